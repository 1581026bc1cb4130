//! How far a run is, how fast it goes, and how long it still takes. Pure: the time is an argument.
//!
//! Roblox takes only so many uploads and polls a minute, so a large run takes as many minutes as
//! that leaves, whatever the network. That is known before the first upload. Later what was done so
//! far tells too, if it is slower.

use std::fmt;
use std::time::Duration;

/// The time after which the rate so far says something: windows of the limits last a minute.
const TELLING: Duration = Duration::from_secs(60);

/// The same where there are no limits.
const TELLING_WITHOUT_LIMITS: Duration = Duration::from_secs(2);

/// What a plan asks of Roblox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Workload {
    /// The number of steps.
    pub steps: u64,
    /// The number of them that upload a new asset.
    pub creates: u64,
    /// The number of them whose result is polled.
    pub operations: u64,
    /// How many uploads of new assets Roblox takes a minute; `None` for a server without limits.
    pub creates_a_minute: Option<u32>,
    /// How many polls it answers a minute.
    pub polls_a_minute: Option<u32>,
}

/// The progress of a plan that is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Estimate {
    work: Workload,
    began: Duration,
    /// Uploads that Roblox accepted, and steps that ended.
    accepted: u64,
    done: u64,
}

impl Estimate {
    /// Begins with a plan, at this time of the process.
    pub(crate) const fn new(work: Workload, now: Duration) -> Self {
        Self { work, began: now, accepted: 0, done: 0 }
    }

    /// Records that Roblox accepted an upload.
    pub(crate) const fn accept(&mut self) {
        self.accepted += 1;
    }

    /// Records that a step ended.
    pub(crate) const fn finish(&mut self) {
        self.done += 1;
    }

    /// Returns how many steps end a minute, once that can be told.
    pub(crate) fn rate(&self, now: Duration) -> Option<u64> {
        let elapsed = now.saturating_sub(self.began);
        let rate = self.done.saturating_mul(60_000) / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        (elapsed >= self.telling() && rate > 0).then_some(rate)
    }

    /// Returns how long the rest takes, once that can be told. How long Roblox processes the last
    /// uploads is left out.
    pub(crate) fn time_left(&self, now: Duration) -> Option<Duration> {
        let left = self.work.steps.saturating_sub(self.done);
        if left == 0 {
            return None;
        }
        let by_limits = self.by_limits();
        let elapsed = now.saturating_sub(self.began);
        let by_rate =
            (elapsed >= self.telling() && self.done > 0).then(|| elapsed.mul_f64(left as f64 / self.done as f64));
        by_limits.max(by_rate)
    }

    /// Returns how long the limits alone make the rest take, if it doesn't fit into one window.
    fn by_limits(&self) -> Option<Duration> {
        let minutes = |left: u64, a_minute: Option<u32>| {
            let a_minute = u64::from(a_minute?.max(1));
            (left > a_minute).then(|| Duration::from_millis(left.saturating_mul(60_000) / a_minute))
        };
        let left = self.work.steps.saturating_sub(self.done);
        let creates = self.work.creates.saturating_sub(self.accepted).min(left);
        let operations = self.work.operations.min(left);
        minutes(creates, self.work.creates_a_minute).max(minutes(operations, self.work.polls_a_minute))
    }

    const fn telling(&self) -> Duration {
        match (self.work.creates_a_minute, self.work.polls_a_minute) {
            (None, None) => TELLING_WITHOUT_LIMITS,
            _ => TELLING,
        }
    }
}

/// A time as people say it: `50 min`, `1 h 20 min`.
pub(crate) struct RoughTime(pub Duration);

impl fmt::Display for RoughTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs().div_ceil(60);
        match (minutes / 60, minutes % 60) {
            (0, 0 | 1) => f.write_str("less than a minute"),
            (0, minutes) => write!(f, "about {minutes} min"),
            (hours, 0) => write!(f, "about {hours} h"),
            (hours, minutes) => write!(f, "about {hours} h {minutes} min"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BULK: Workload = Workload {
        steps: 5000,
        creates: 5000,
        operations: 5000,
        creates_a_minute: Some(120),
        polls_a_minute: Some(100),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn words(estimate: &Estimate, seconds: u64) -> Option<String> {
        estimate.time_left(at(seconds)).map(|left| RoughTime(left).to_string())
    }

    #[test]
    fn the_limits_are_known_before_the_first_upload() {
        let estimate = Estimate::new(BULK, at(7));
        assert_eq!(words(&estimate, 7).as_deref(), Some("about 50 min"));
        assert_eq!(estimate.rate(at(7)), None);
        let small = Workload { steps: 80, creates: 80, operations: 80, ..BULK };
        assert_eq!(words(&Estimate::new(small, at(0)), 0), None, "it fits into one window");
        let without = Workload { creates_a_minute: None, polls_a_minute: None, ..BULK };
        assert_eq!(words(&Estimate::new(without, at(0)), 0), None);
    }

    #[test]
    fn the_rest_takes_as_long_as_the_limits_or_the_rate_say() {
        let mut estimate = Estimate::new(BULK, at(0));
        (0..2000).for_each(|_| estimate.accept());
        (0..1000).for_each(|_| estimate.finish());
        // 1,000 in 10 minutes is what the limits allow.
        assert_eq!(words(&estimate, 600).as_deref(), Some("about 40 min"));
        assert_eq!(estimate.rate(at(600)), Some(100));
        // In 20 minutes it is slower than that.
        assert_eq!(words(&estimate, 1200).as_deref(), Some("about 1 h 20 min"));
        assert_eq!(estimate.rate(at(1200)), Some(50));
        (0..3990).for_each(|_| estimate.finish());
        assert_eq!(words(&estimate, 3000).as_deref(), Some("less than a minute"));
        (0..10).for_each(|_| estimate.finish());
        assert_eq!(words(&estimate, 3001), None);
    }

    #[test]
    fn a_burst_at_the_start_of_a_window_promises_nothing() {
        let mut estimate = Estimate::new(BULK, at(0));
        (0..100).for_each(|_| estimate.accept());
        (0..100).for_each(|_| estimate.finish());
        assert_eq!((words(&estimate, 5).as_deref(), estimate.rate(at(5))), (Some("about 49 min"), None));
    }
}
