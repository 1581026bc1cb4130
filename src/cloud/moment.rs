//! The one kind of time that the schedules of this room know: points on a clock that never jumps.
//!
//! Limits, polls, back-off and breaker measure spans, so a wall clock that is set by an hour must
//! not stall or flood them. The caller counts from a monotonic clock; nothing here reads one. Times
//! of day meet a [`Moment`] in two places only: a `retry-after` that is a date, and the rows that
//! the state remembers. Both are bounded, so that a wrong time of day costs a bounded wait.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a monotonic clock, counted from when this process began to count. Points before that
/// (an operation that an earlier run submitted) are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(i64);

impl Moment {
    /// When the counting began.
    pub(crate) const START: Self = Self(0);

    /// So long after [`Moment::START`]: the way in from a monotonic clock.
    pub(crate) fn after_start(elapsed: Duration) -> Self {
        Self::START + elapsed
    }

    /// How long it is since `earlier`; zero when that is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Nanoseconds in an `i64` reach 292 years; what is longer is as good as never.
fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_between_moments() {
        let at = |ms| Moment::after_start(Duration::from_millis(ms));
        assert_eq!(at(1500).since(at(500)), Duration::from_secs(1));
        assert_eq!(at(500).since(at(1500)), Duration::ZERO);
        let before = Moment::START - Duration::from_secs(60);
        assert!(before < Moment::START);
        assert_eq!(at(1000).since(before), Duration::from_secs(61));
    }

    #[test]
    fn nothing_overflows() {
        let end = Moment::START + Duration::MAX;
        let begin = Moment::START - Duration::MAX - Duration::MAX;
        assert_eq!(end + Duration::MAX, end);
        assert!(end.since(begin) >= Duration::from_nanos(i64::MAX as u64));
    }
}
