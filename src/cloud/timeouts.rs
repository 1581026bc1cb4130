//! The time limits for each part of a request.
//!
//! Long waits cost time; short ones leave changes in doubt, because a create that Macadam gave up
//! too early may still be carried out. So the wait for the response to an upload is the longest.
//! Read next: [`super::http`].

use std::time::Duration;

/// The time limits of one request. Pauses of the hand-over don't count: they are Macadam's own
/// work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit for name, TCP and TLS together.
    pub connect: Duration,
    /// The limit without progress while a body is sent or read. A stalled connection was seen to
    /// end only after about 75 s, by the load balancer (public reports of uploads over reused
    /// connections).
    pub idle: Duration,
    /// The limit from the last byte sent to the whole response, for anything but an upload.
    pub answer: Duration,
    /// The same for an upload. Public clients wait 120 to 300 s, because giving up leaves it in
    /// doubt.
    pub upload_answer: Duration,
    /// Bytes per second. Sending a body takes at most `idle` plus the time that its bytes take at
    /// this rate.
    pub slowest_rate: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            upload_answer: Duration::from_secs(300),
            // A slow DSL uplink still sends 20 MB in five minutes.
            slowest_rate: 64 * 1024,
        }
    }
}

impl Timeouts {
    /// Returns the limits with no part longer than `longest`.
    #[must_use]
    pub fn at_most(self, longest: Duration) -> Self {
        let Self { connect, idle, answer, upload_answer, slowest_rate } = self;
        Self {
            connect: connect.min(longest),
            idle: idle.min(longest),
            answer: answer.min(longest),
            upload_answer: upload_answer.min(longest),
            slowest_rate,
        }
    }

    /// Returns the longest time that sending `bytes` may take.
    pub fn sending(&self, bytes: u64) -> Duration {
        self.idle.saturating_add(Duration::from_secs(bytes / self.slowest_rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sending_has_time_for_its_size() {
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.sending(0), timeouts.idle);
        assert!(timeouts.sending(20_000_000) > Duration::from_secs(300));
        assert!(timeouts.at_most(Duration::from_secs(2)).sending(0) == Duration::from_secs(2));
        assert_eq!(timeouts.at_most(Duration::MAX), timeouts);
        assert!(Timeouts { slowest_rate: 0, ..timeouts }.sending(u64::MAX) > timeouts.idle);
    }
}
