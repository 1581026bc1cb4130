//! Jittered exponential back-off.
//!
//! Pure: takes a failure count and a random number, returns a wait. The caller counts failures, and
//! forgets them on success and on new content. Curves must never be layered: one curve for one
//! subject.
//!
//! Read next: [`super::breaker`], which spaces its probes by one of these curves.

use std::time::Duration;

/// The curve by which waits grow for one kind of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// For an address that could not be reconciled. A hiccup is over within a second or two. The
    /// longest wait is of the order of the service's full scan (10 minutes): an asset recovers soon
    /// after a long outage, and costs only four requests an hour until then.
    pub(crate) const ADDRESS: Self = Self { first: Duration::from_secs(1), longest: Duration::from_secs(15 * 60) };

    /// For a budget that the service refuses although requests are left in the window. Such a
    /// service is overloaded rather than counting. Waiting longer than a minute, the length of a
    /// window, reveals nothing new.
    pub(crate) const BUDGET: Self = Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    /// For a poll without a response. An upload depends on it, so the next poll follows within a
    /// minute.
    pub(crate) const POLL: Self = Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    /// For the probes of an open circuit breaker. Recovery is noticed within a minute.
    pub(crate) const PROBE: Self = Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    /// Returns the longest wait.
    pub(crate) const fn longest(self) -> Duration {
        self.longest
    }

    /// Returns the wait after `failures` failures in a row. It doubles with each failure, up to the
    /// longest. `jitter` (0 to 1) picks a point between half the wait and all of it, so that
    /// requests that failed together don't return together. No failure means no wait.
    pub(crate) fn delay(self, failures: u32, jitter: f64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let whole = 2_u32
            .checked_pow(doublings)
            .and_then(|factor| self.first.checked_mul(factor))
            .map_or(self.longest, |wait| wait.min(self.longest));
        whole.mul_f64(0.5 + 0.5 * fraction(jitter))
    }
}

/// Clamps a random number to 0 to 1. NaN counts as 1, the longest wait.
pub(super) fn fraction(jitter: f64) -> f64 {
    if jitter.is_nan() { 1.0 } else { jitter.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let check = |failures, jitter, millis| {
            let delay = Backoff::ADDRESS.delay(failures, jitter);
            assert_eq!(delay, Duration::from_millis(millis), "{failures} failures, jitter {jitter}");
        };
        check(0, 1.0, 0);
        check(1, 1.0, 1_000);
        check(1, 0.0, 500);
        check(2, 1.0, 2_000);
        check(2, 0.5, 1_500);
        check(10, 1.0, 512_000);
        check(11, 1.0, 900_000);
        check(11, 0.0, 450_000);
        check(32, 1.0, 900_000);
        check(33, 1.0, 900_000);
        check(u32::MAX, 1.0, 900_000);
        check(1, f64::NAN, 1_000);
        check(1, -3.0, 500);
        check(1, f64::INFINITY, 1_000);
    }

    proptest! {
        #[test]
        fn waits_stay_between_half_a_step_and_the_longest(failures in 1_u32.., jitter in any::<f64>()) {
            for curve in [Backoff::ADDRESS, Backoff::BUDGET, Backoff::POLL, Backoff::PROBE] {
                let delay = curve.delay(failures, jitter);
                prop_assert!(delay <= curve.longest);
                prop_assert!(delay >= curve.first / 2);
                prop_assert!(curve.delay(failures.saturating_add(1), 0.0) >= curve.delay(failures, 0.0));
            }
        }
    }
}
