//! The requests of the last window's length: the limiter of last resort, for responses without
//! headers.
//!
//! Where the edges of the windows are unknown, no window can exceed its limit if no stretch of a
//! window's length does.

use super::window::{GUARD, WINDOW};
use crate::cloud::moment::Moment;
use std::collections::VecDeque;

/// The times when the latest requests of a budget were answered, oldest first. It holds at most as
/// many as the limit; more never matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    answered_at: VecDeque<Moment>,
}

impl Recent {
    /// Records a request that was answered now, or earlier.
    pub(super) fn record(&mut self, limit: u32, now: Moment) {
        self.answered_at.push_back(now);
        while self.answered_at.len() > limit as usize {
            self.answered_at.pop_front();
        }
    }

    /// Drops the requests that can't share a window with one sent now.
    pub(super) fn prune(&mut self, now: Moment) {
        while self.answered_at.front().is_some_and(|at| *at + WINDOW + GUARD <= now) {
            self.answered_at.pop_front();
        }
    }

    /// Returns how many requests may count in one window with a request sent now.
    pub(super) fn spent(&self) -> u32 {
        u32::try_from(self.answered_at.len()).unwrap_or(u32::MAX)
    }

    /// Returns when the `oldest` oldest requests (at least one) no longer matter, or `None` if
    /// there are fewer.
    pub(super) fn frees(&self, oldest: u32) -> Option<Moment> {
        let last = usize::try_from(oldest.saturating_sub(1)).unwrap_or(usize::MAX);
        self.answered_at.get(last).map(|at| *at + WINDOW + GUARD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn spending_is_forgotten_after_a_window_and_its_guard() {
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        let mut recent = Recent::default();
        for second in [0, 1, 1, 5] {
            recent.record(3, at(second));
        }
        assert_eq!(recent.spent(), 3);
        assert_eq!(recent.frees(1), Some(at(62)));
        assert_eq!(recent.frees(3), Some(at(66)));
        assert_eq!(recent.frees(4), None);
        recent.prune(at(61));
        assert_eq!(recent.spent(), 3);
        recent.prune(at(62));
        assert_eq!(recent.spent(), 1);
    }
}
