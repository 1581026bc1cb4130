//! The emulator's time, in milliseconds since the Unix epoch.
//!
//! The clock shows either the time of day plus every advance, or a time that moves only when it is
//! advanced. The world never reads it: times are arguments there.
#![expect(clippy::disallowed_methods, reason = "this is the only clock of the emulator, which has a time of its own")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;

/// The kind of clock that an emulator runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockKind {
    /// The time of day. [`Control::advance`](super::Control::advance) moves it forward.
    #[default]
    Real,
    /// Stands still until it is advanced.
    Manual {
        /// The initial time, in milliseconds since the Unix epoch.
        start_ms: u64,
    },
}

/// The clock of one emulator.
#[derive(Debug)]
pub(super) struct EmulatorClock {
    real: bool,
    base: AtomicU64,
}

/// A reading of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockReport {
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The same, as RFC 3339 text.
    pub now: String,
    /// Whether it moves only when it is advanced.
    pub manual: bool,
}

impl EmulatorClock {
    pub(super) fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => EmulatorClock { real: true, base: AtomicU64::new(0) },
            ClockKind::Manual { start_ms } => EmulatorClock { real: false, base: AtomicU64::new(start_ms) },
        }
    }

    /// Returns the current time.
    pub(super) fn now(&self) -> u64 {
        let base = self.base.load(Ordering::SeqCst);
        if self.real {
            let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            base.saturating_add(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
        } else {
            base
        }
    }

    /// Moves the clock forward and returns the new time.
    pub(super) fn advance(&self, by_ms: u64) -> u64 {
        // A limit far below u64's keeps later sums of times from overflowing.
        const FOREVER: u64 = 1 << 48;
        let step = |base: u64| Some(base.saturating_add(by_ms).min(FOREVER));
        self.base.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).ok();
        self.now()
    }

    pub(super) fn report(&self) -> ClockReport {
        let now_ms = self.now();
        ClockReport { now_ms, now: rfc3339(now_ms, 3), manual: !self.real }
    }
}

/// Formats a time as RFC 3339 text in UTC with this many fractional digits: GET responses have 3,
/// operations 9 (OPENBLOX).
pub(super) fn rfc3339(ms: u64, digits: usize) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    format!("{stamp:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_as_many_digits_as_the_wire() {
        assert_eq!(rfc3339(1_712_098_665_953, 3), "2024-04-02T22:57:45.953Z");
        assert_eq!(rfc3339(1_712_098_665_953, 9), "2024-04-02T22:57:45.953000000Z");
        assert_eq!(rfc3339(0, 3), "1970-01-01T00:00:00.000Z");
        rfc3339(u64::MAX, 3);
    }

    #[test]
    fn a_manual_clock_moves_only_when_advanced() {
        let clock = EmulatorClock::new(ClockKind::Manual { start_ms: 5 });
        assert_eq!((clock.now(), clock.now()), (5, 5));
        assert_eq!(clock.advance(10), 15);
        clock.advance(u64::MAX);
        assert!(clock.now() < u64::MAX / 2);
    }

    #[test]
    fn a_real_clock_can_be_advanced() {
        let clock = EmulatorClock::new(ClockKind::Real);
        let before = clock.now();
        assert!(clock.advance(3_600_000) >= before + 3_600_000);
    }
}
