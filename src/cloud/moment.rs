//! The only kind of time in this room's schedules: points on a clock that never jumps.
//!
//! Limits, polls, back-off and breaker measure spans. A wall clock that is set by an hour must not
//! stall or flood them. The caller counts from a monotonic clock; nothing here reads one.
//!
//! Times of day meet a [`Moment`] in two places only: a `retry-after` that is a date, and the rows
//! that the state remembers. Both are bounded, so that a wrong time of day costs a bounded wait.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a monotonic clock, counted from the start of this process. Earlier points, such as an
/// earlier run's operation, are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(i64);

impl Moment {
    /// The start of the count.
    pub(crate) const START: Self = Self(0);

    /// Returns the moment `elapsed` after [`Moment::START`]. Readings of a monotonic clock become
    /// moments here.
    pub(crate) fn after_start(elapsed: Duration) -> Self {
        Self::START + elapsed
    }

    /// Returns the time since `earlier`; zero if that is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Returns a span in nanoseconds. An `i64` reaches 292 years; a longer span is as good as never.
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
    fn spans_between_moments_are_never_negative() {
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
