//! Stops uploads while Roblox's results can't be read: each upload would make an asset whose ID is
//! lost.
//!
//! One per run. Pure but for its lock: time is an argument.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of unreadable results in a row that stops uploads: one may be an accident, three are
/// a dialect that this version doesn't know.
const UNREADABLE_TO_STOP: u32 = 3;

/// The time after which one upload is tried again. A service that runs for weeks continues by
/// itself once Roblox is mended. Until then it makes at most six assets an hour that wait for a
/// person.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);

/// Counts unreadable results of uploads. Clones share the count.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResultBreaker {
    count: Arc<Mutex<UnreadableCount>>,
}

#[derive(Debug, Default)]
struct UnreadableCount {
    in_a_row: u32,
    last: Duration,
}

impl ResultBreaker {
    fn count(&self) -> MutexGuard<'_, UnreadableCount> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a result that could not be read.
    pub(crate) fn unreadable(&self, now: Duration) {
        let mut count = self.count();
        count.in_a_row = count.in_a_row.saturating_add(1);
        count.last = now;
    }

    /// Records a result that could be read.
    pub(crate) fn readable(&self) {
        *self.count() = UnreadableCount::default();
    }

    /// Returns the number of unreadable results in a row while it stops uploads.
    pub(crate) fn stops(&self, now: Duration) -> Option<u32> {
        let count = self.count();
        let stops = count.in_a_row >= UNREADABLE_TO_STOP && now.saturating_sub(count.last) < TRIED_AGAIN_AFTER;
        stops.then_some(count.in_a_row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_unreadable_results_in_a_row_stop_uploads_for_a_while() {
        let breaker = ResultBreaker::default();
        let at = Duration::from_secs;
        for (second, stops) in [(0, None), (1, None), (2, Some(3))] {
            breaker.unreadable(at(second));
            assert_eq!(breaker.stops(at(second)), stops);
        }
        assert_eq!(breaker.stops(at(2) + TRIED_AGAIN_AFTER), None);
        breaker.unreadable(at(700));
        assert_eq!(breaker.stops(at(701)), Some(4), "one more is enough then");
        breaker.readable();
        assert_eq!(breaker.stops(at(701)), None);
    }
}
