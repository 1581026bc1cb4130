//! One fixed window of one budget: when it ends, what is left in it, and what others take from it.
//!
//! Everything here errs to the safe side: `remaining` never rises within a window, and an end told
//! in whole seconds is a span of time, whose late edge counts for beginning anew and whose early
//! edge for what may already count in the next window.

use crate::cloud::moment::Moment;
use std::time::Duration;

/// The length of Roblox's windows: limits are documented a minute, and the whole budget comes back
/// at once (creator-docs: cloud/reference/rate-limits.md).
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// Resets are told in whole seconds, rounded up, down or by a clock a little off: a second's guard
/// at each edge.
pub(super) const GUARD: Duration = Duration::from_secs(1);

/// The span in which a window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) earliest: Moment,
    pub(super) latest: Moment,
}

impl Ends {
    /// From the headers of an answer: the remote looked at its clock at some time between sending
    /// and hearing.
    pub(super) fn told(reset: Duration, sent_at: Moment, heard_at: Moment) -> Self {
        Self { earliest: sent_at + reset - GUARD, latest: heard_at + reset + GUARD }
    }

    /// Of a window that nothing was told about, and in which something may count from `first` on:
    /// windows in step with the minute may end at once, windows that their first request opens
    /// last the longest.
    pub(super) fn assumed(first: Moment) -> Self {
        Self { earliest: first, latest: first + WINDOW + GUARD }
    }

    /// What both say; where they contradict each other, what was heard last.
    fn narrowed(self, by: Self) -> Self {
        let both = Self { earliest: self.earliest.max(by.earliest), latest: self.latest.min(by.latest) };
        if both.earliest <= both.latest { both } else { by }
    }
}

/// One fixed window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// When it had begun for certain.
    pub(super) opened_at: Moment,
    /// None until a request of ours may count in it.
    pub(super) ends: Option<Ends>,
    /// Whether headers told of it, or it is only what followed from the last one.
    pub(super) confirmed: bool,
    /// When they last did.
    pub(super) heard_at: Option<Moment>,
    /// What is left, without what is in flight.
    pub(super) remaining: u32,
    /// What was left before the first request of ours.
    baseline: u32,
    /// At most so many requests of ours count in it.
    pub(super) ours: u32,
    /// At least so many requests of others count in it.
    pub(super) others: u32,
    /// So many requests of ours were answered in the span of its end: they may count in the next
    /// window.
    pub(super) edge: u32,
}

impl Window {
    /// The window that follows one that is over: whole, but for `edge` requests that may count in
    /// it already and `in_flight` that may come to.
    pub(super) fn fresh(limit: u32, edge: u32, in_flight: u32, now: Moment) -> Self {
        let ours = edge.saturating_add(in_flight);
        Self {
            opened_at: now,
            ends: (ours > 0).then(|| Ends::assumed(now)),
            confirmed: false,
            heard_at: None,
            remaining: limit.saturating_sub(edge),
            baseline: limit,
            ours,
            others: 0,
            edge: 0,
        }
    }

    /// A window that headers told of. `before` is what was left before the first of ours, where
    /// that is known.
    pub(super) fn told(ends: Ends, remaining: u32, before: Option<u32>, ours: u32, now: Moment) -> Self {
        let baseline = before.unwrap_or(remaining.saturating_add(1));
        let others = baseline.saturating_sub(ours).saturating_sub(remaining);
        Self {
            opened_at: now,
            ends: Some(ends),
            confirmed: true,
            heard_at: Some(now),
            remaining,
            baseline,
            ours,
            others,
            edge: 0,
        }
    }

    /// Takes in what an answer told of this window. Answers come out of order, so nothing told
    /// later raises what is left.
    pub(super) fn confirm(&mut self, ends: Ends, remaining: u32, now: Moment) {
        // What was assumed counts from sending, a window from arrival: it bounds nothing once something was
        // told.
        let ends = self.ends.filter(|_| self.confirmed).map_or(ends, |known| known.narrowed(ends));
        self.confirmed = true;
        self.heard_at = Some(now);
        self.ends = Some(ends);
        if now < ends.earliest {
            self.edge = 0;
        }
        self.remaining = self.remaining.min(remaining);
        // All of ours may count by now, and some may not yet: what is missing beyond them was taken by
        // others.
        let others = self.baseline.saturating_sub(self.ours).saturating_sub(remaining);
        self.others = self.others.max(others);
    }

    /// Takes in that the limit fell: what is missing for that was not taken by others.
    pub(super) fn lower(&mut self, by: u32) {
        self.baseline = self.baseline.saturating_sub(by);
    }

    /// Books a request that counts, or may count, without having told so.
    pub(super) fn book_unseen(&mut self) {
        self.remaining = self.remaining.saturating_sub(1);
    }

    /// Books a request of ours that was answered now: past the earliest end it may count in the
    /// next window.
    pub(super) fn book_edge(&mut self, now: Moment) {
        if self.ends.is_some_and(|ends| ends.earliest <= now) {
            self.edge = self.edge.saturating_add(1);
        }
    }

    /// Whether the window may have ended and may not have.
    pub(super) fn is_ending(&self, now: Moment) -> bool {
        self.ends.is_some_and(|ends| ends.earliest <= now && now < ends.latest)
    }

    /// Whether the window has ended for certain.
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

    fn told(reset: u64, sent: u64, heard: u64) -> Ends {
        Ends::told(Duration::from_secs(reset), at(sent), at(heard))
    }

    #[test]
    fn answers_narrow_the_end() {
        let mut window = Window::told(told(30, 0, 100), 100, Some(120), 1, at(100));
        assert_eq!(window.ends, Some(Ends { earliest: at(29_000), latest: at(31_100) }));
        window.confirm(told(30, 900, 950), 99, at(950));
        assert_eq!(window.ends, Some(Ends { earliest: at(29_900), latest: at(31_100) }));
        assert!(!window.is_ending(at(29_899)));
        assert!(window.is_ending(at(29_900)));
        assert!(window.is_over(at(31_100)));
    }

    #[test]
    fn contradicting_answers_leave_the_last_one() {
        let mut window = Window::told(told(10, 0, 0), 100, None, 1, at(0));
        window.confirm(told(50, 0, 0), 90, at(0));
        assert_eq!(window.ends, Some(told(50, 0, 0)));
    }

    #[test]
    fn answers_out_of_order_never_raise_what_is_left() {
        let mut window = Window::told(told(30, 0, 0), 100, Some(120), 20, at(0));
        window.confirm(told(30, 0, 0), 90, at(0));
        window.confirm(told(30, 0, 0), 95, at(0));
        assert_eq!(window.remaining, 90);
        window.book_unseen();
        assert_eq!(window.remaining, 89);
    }

    #[test]
    fn others_are_what_is_missing_beyond_ours() {
        let mut window = Window::fresh(120, 0, 0, at(0));
        window.ours = 10;
        window.confirm(told(60, 0, 0), 110, at(0));
        assert_eq!(window.others, 0);
        window.confirm(told(60, 0, 0), 112, at(0));
        assert_eq!(window.others, 0);
        window.confirm(told(60, 0, 0), 85, at(0));
        assert_eq!(window.others, 25);
        assert_eq!(Window::told(told(60, 0, 0), 80, Some(120), 1, at(0)).others, 39);
        // In the first window of a run what is missing may be the last run's.
        assert_eq!(Window::told(told(60, 0, 0), 80, None, 1, at(0)).others, 0);
    }
}
