//! One fixed window of one budget: when it ends, what is left in it, and what others take from it.
//!
//! Everything here errs on the safe side. `remaining` never rises within a window. An end reported
//! in whole seconds is a span of time: a new window counts from its late edge, and a request may
//! count in the next window from its early edge.

use crate::cloud::moment::Moment;
use std::time::Duration;

/// The length of Roblox's windows. Limits are documented per minute, and the whole budget comes
/// back at once (creator-docs: cloud/reference/rate-limits.md).
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The guard at each edge of a window. Resets come in whole seconds, rounded up or down, or from a
/// clock that is slightly off.
pub(super) const GUARD: Duration = Duration::from_secs(1);

/// The span in which a window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) earliest: Moment,
    pub(super) latest: Moment,
}

impl Ends {
    /// Computes the span from a response's headers. The remote read its clock at some time between
    /// sending and receiving.
    pub(super) fn reported(reset: Duration, sent_at: Moment, received_at: Moment) -> Self {
        Self { earliest: sent_at + reset - GUARD, latest: received_at + reset + GUARD }
    }

    /// Returns the span of a window without headers, in which requests may count from `first` on. A
    /// window in step with the minute may end at once; one that its first request opens lasts the
    /// longest.
    pub(super) fn assumed(first: Moment) -> Self {
        Self { earliest: first, latest: first + WINDOW + GUARD }
    }

    /// Returns the overlap of both spans, or `by`, the later report, if they contradict each other.
    fn narrowed(self, by: Self) -> Self {
        let both = Self { earliest: self.earliest.max(by.earliest), latest: self.latest.min(by.latest) };
        if both.earliest <= both.latest { both } else { by }
    }
}

/// One fixed window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// A time when it had certainly begun.
    pub(super) opened_at: Moment,
    /// The span of its end; `None` until one of our requests may count in it.
    pub(super) ends: Option<Ends>,
    /// Whether headers reported it. Otherwise it only follows from the previous one.
    pub(super) confirmed: bool,
    /// The time of the last report.
    pub(super) reported_at: Option<Moment>,
    /// The remaining count, requests in flight not subtracted.
    pub(super) remaining: u32,
    /// The remaining count before our first request.
    baseline: u32,
    /// The most requests of ours that count in it.
    pub(super) ours: u32,
    /// The fewest requests of others that count in it.
    pub(super) others: u32,
    /// Our requests that were answered in the span of its end. They may count in the next window.
    pub(super) edge: u32,
}

impl Window {
    /// Makes the window after one that is over. It is whole, but for `edge` requests that may
    /// already count in it and `in_flight` ones that still may.
    pub(super) fn fresh(limit: u32, edge: u32, in_flight: u32, now: Moment) -> Self {
        let ours = edge.saturating_add(in_flight);
        Self {
            opened_at: now,
            ends: (ours > 0).then(|| Ends::assumed(now)),
            confirmed: false,
            reported_at: None,
            remaining: limit.saturating_sub(edge),
            baseline: limit,
            ours,
            others: 0,
            edge: 0,
        }
    }

    /// Makes a window that headers reported. `before` is the remaining count before our first
    /// request, where that is known.
    pub(super) fn reported(ends: Ends, remaining: u32, before: Option<u32>, ours: u32, now: Moment) -> Self {
        let baseline = before.unwrap_or(remaining.saturating_add(1));
        let others = baseline.saturating_sub(ours).saturating_sub(remaining);
        Self {
            opened_at: now,
            ends: Some(ends),
            confirmed: true,
            reported_at: Some(now),
            remaining,
            baseline,
            ours,
            others,
            edge: 0,
        }
    }

    /// Applies a response's report on this window. Responses arrive out of order, so a later one
    /// never raises the remaining count.
    pub(super) fn confirm(&mut self, ends: Ends, remaining: u32, now: Moment) {
        // An assumed end counts from sending, a window from arrival, so an assumption bounds
        // nothing once there is a report.
        let ends = self.ends.filter(|_| self.confirmed).map_or(ends, |known| known.narrowed(ends));
        self.confirmed = true;
        self.reported_at = Some(now);
        self.ends = Some(ends);
        if now < ends.earliest {
            self.edge = 0;
        }
        self.remaining = self.remaining.min(remaining);
        // All of our requests may count by now, and some may not yet. Anything missing beyond them
        // was taken by others.
        let others = self.baseline.saturating_sub(self.ours).saturating_sub(remaining);
        self.others = self.others.max(others);
    }

    /// Applies a lowered limit. The difference was not taken by others.
    pub(super) fn lower(&mut self, by: u32) {
        self.baseline = self.baseline.saturating_sub(by);
    }

    /// Books a request that counts, or may count, without having reported so.
    pub(super) fn book_unseen(&mut self) {
        self.remaining = self.remaining.saturating_sub(1);
    }

    /// Books a request of ours that was answered now. Past the earliest end it may count in the
    /// next window.
    pub(super) fn book_edge(&mut self, now: Moment) {
        if self.ends.is_some_and(|ends| ends.earliest <= now) {
            self.edge = self.edge.saturating_add(1);
        }
    }

    /// Whether the window may or may not have ended.
    pub(super) fn is_ending(&self, now: Moment) -> bool {
        self.ends.is_some_and(|ends| ends.earliest <= now && now < ends.latest)
    }

    /// Whether the window has certainly ended.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.ends.is_some_and(|ends| ends.latest <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::after_start(Duration::from_millis(millis))
    }

    fn reported(reset: u64, sent: u64, received: u64) -> Ends {
        Ends::reported(Duration::from_secs(reset), at(sent), at(received))
    }

    #[test]
    fn responses_narrow_the_end() {
        let mut window = Window::reported(reported(30, 0, 100), 100, Some(120), 1, at(100));
        assert_eq!(window.ends, Some(Ends { earliest: at(29_000), latest: at(31_100) }));
        window.confirm(reported(30, 900, 950), 99, at(950));
        assert_eq!(window.ends, Some(Ends { earliest: at(29_900), latest: at(31_100) }));
        assert!(!window.is_ending(at(29_899)));
        assert!(window.is_ending(at(29_900)));
        assert!(window.is_over(at(31_100)));
    }

    #[test]
    fn the_last_of_contradicting_responses_wins() {
        let mut window = Window::reported(reported(10, 0, 0), 100, None, 1, at(0));
        window.confirm(reported(50, 0, 0), 90, at(0));
        assert_eq!(window.ends, Some(reported(50, 0, 0)));
    }

    #[test]
    fn out_of_order_responses_never_raise_the_remaining_count() {
        let mut window = Window::reported(reported(30, 0, 0), 100, Some(120), 20, at(0));
        window.confirm(reported(30, 0, 0), 90, at(0));
        window.confirm(reported(30, 0, 0), 95, at(0));
        assert_eq!(window.remaining, 90);
        window.book_unseen();
        assert_eq!(window.remaining, 89);
    }

    #[test]
    fn requests_missing_beyond_ours_count_as_others() {
        let mut window = Window::fresh(120, 0, 0, at(0));
        window.ours = 10;
        window.confirm(reported(60, 0, 0), 110, at(0));
        assert_eq!(window.others, 0);
        window.confirm(reported(60, 0, 0), 112, at(0));
        assert_eq!(window.others, 0);
        window.confirm(reported(60, 0, 0), 85, at(0));
        assert_eq!(window.others, 25);
        assert_eq!(Window::reported(reported(60, 0, 0), 80, Some(120), 1, at(0)).others, 39);
        // In the first window of a run the missing requests may be the last run's.
        assert_eq!(Window::reported(reported(60, 0, 0), 80, None, 1, at(0)).others, 0);
    }
}
