//! The rate limit budget of one owner and endpoint: who may go now, and what each response reveals.
//!
//! Each of these rules may hold a request back:
//!
//! 1. A 429 closes the budget for everybody. Where the gateway counted, it stays closed until the
//!    reset; where the service refused with requests left, for an exponential back-off. After the
//!    reset one request goes within the guard's second. So an instance that came too late is first
//!    in the next window, and visible to the instance that would spend it all.
//! 2. The first request of a run goes alone. So does the first one after Macadam lost track of the
//!    windows, after a 429, and in each window that others spend from too. Its response releases
//!    eight, each further response one more, so that a rival shows before much is spent. A request
//!    without a response (a large upload) holds the others back for five seconds only.
//! 3. Where headers don't bound the spending, no 61 seconds see more requests than the documented
//!    limit. That is so if there are no headers, if they allow more than is documented, or if a 429
//!    came in spite of them.
//! 4. In a window that headers reported, the allowance is the remaining count minus the requests in
//!    flight; in the window after it, the whole limit at once.
//! 5. While others spend from the budget, at most a quarter of the remaining count is in flight,
//!    and the last two are left to the others. Until the last quarter of the window Macadam spends
//!    no more than half the limit, or what the others left over in the previous window if that is
//!    more.
//! 6. Where a reserve is kept, requests that are not urgent leave a tenth of the limit to urgent
//!    ones, and a sixtieth in the last seconds of the window.
//!
//! It must never look at a clock, and never exceed a window for the sake of speed.
//!
//! Read next: [`super::window`] for one window, [`super::recent`] for the count without headers.

use super::recent::Recent;
use super::sample::{LONGEST_WAIT, LimitSample};
use super::window::{Ends, GUARD, WINDOW, Window};
use super::{Acquire, LimitSignal};
use crate::cloud::backoff::{Backoff, fraction};
use crate::cloud::moment::Moment;
use std::time::Duration;

/// The time without a response after which another request may follow the one that goes alone: an
/// upload can take minutes.
const LONE_PATIENCE: Duration = Duration::from_secs(5);

/// The requests that may be in flight after the first response. It equals the default number of
/// parallel uploads, so that these never wait.
const SECOND_VOLLEY: u32 = 8;

/// The requests of a window that are left to others while they spend. Two requests that meet at the
/// last one would cause a 429.
const RESERVE: u32 = 2;

/// How long a response's view of the window counts as current while others spend. After that the
/// next request goes alone again.
const FRESHNESS: Duration = Duration::from_secs(2);

/// The end of the window in which everybody may spend the rest, lest it go to waste, while others
/// spend.
const FREE_FOR_ALL: Duration = Duration::from_secs(15);

/// The part of a window's limit that is kept for urgent requests: one in this many, and in the end
/// of the window, when the next one is near, one in that many.
const KEPT: (u32, u32) = (10, 60);
const KEPT_UNTIL: Duration = Duration::from_secs(4);

/// The source of what is known about the windows.
#[derive(Debug, Clone)]
enum Steering {
    /// Nothing is known.
    Unknown,
    /// Headers reported a window.
    Headers(Window),
    /// The service responds without headers: Macadam counts by itself.
    Count,
}

/// The permission of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    sent_at: Moment,
    /// The window in which it was granted.
    serial: u64,
}

/// The part of a budget that the state remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SavedBudget {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) ends_at: Moment,
}

/// The budget of one endpoint and owner.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    documented: u32,
    /// The limit that headers reported last.
    reported_limit: Option<u32>,
    steering: Steering,
    /// Counts the windows.
    serial: u64,
    in_flight: u32,
    last_sent_at: Option<Moment>,
    /// The number of requests that may be in flight, and the time since which it builds up.
    trust: u32,
    trust_since: Option<Moment>,
    closed_until: Option<Moment>,
    /// Service-level 429s in a row, and the time of the last one.
    refusals: u32,
    refused_at: Option<Moment>,
    /// Whether a 429 came although headers reported requests left: there is a limit that they don't
    /// show.
    hidden_limit: bool,
    recent: Recent,
    /// The requests that others spent in the last window that headers reported.
    others: u32,
}

impl Meter {
    pub(super) fn new(documented: u32) -> Self {
        Self {
            documented,
            reported_limit: None,
            steering: Steering::Unknown,
            serial: 0,
            in_flight: 0,
            last_sent_at: None,
            trust: 1,
            trust_since: None,
            closed_until: None,
            refusals: 0,
            refused_at: None,
            hidden_limit: false,
            recent: Recent::default(),
            others: 0,
        }
    }

    /// Grants a request now, or says how long to wait. A request that `leaves_reserve` doesn't use
    /// what is kept for urgent ones.
    pub(super) fn acquire(&mut self, leaves_reserve: bool, now: Moment) -> Result<Grant, Acquire> {
        self.turn_windows(now);
        let kept = if leaves_reserve { self.kept(now) } else { 0 };
        if let Some(hold) = self.held(kept, now) {
            return Err(hold);
        }
        if let Steering::Headers(window) = &mut self.steering {
            window.ours = window.ours.saturating_add(1);
            window.ends.get_or_insert_with(|| Ends::assumed(now));
        }
        self.in_flight += 1;
        self.last_sent_at = Some(now);
        Ok(Grant { sent_at: now, serial: self.serial })
    }

    /// Returns the limit that headers reported last.
    pub(super) const fn reported_limit(&self) -> Option<u32> {
        self.reported_limit
    }

    /// Takes back the grant of a request that was never sent.
    pub(super) fn release(&mut self, grant: Grant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Steering::Headers(window) = &mut self.steering
            && grant.serial == self.serial
        {
            window.ours = window.ours.saturating_sub(1);
        }
    }

    /// Applies the outcome of a request.
    pub(super) fn report(&mut self, grant: Grant, signal: LimitSignal, jitter: f64, now: Moment) {
        self.turn_windows(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.recent.record(self.documented, now);
        match signal {
            LimitSignal::Silence => self.book_unseen(),
            LimitSignal::Answer(sample) => {
                self.learn(grant, sample, now);
                self.grow_trust(grant);
                if self.refused_at.is_none_or(|since| since < grant.sent_at) {
                    self.refusals = 0;
                }
            }
            LimitSignal::Limited(sample) => {
                self.learn(grant, sample, now);
                self.close(grant, sample, jitter, now);
            }
        }
        if let Steering::Headers(window) = &mut self.steering {
            window.book_edge(now);
        }
    }

    /// Starts the next window if the current one has certainly ended.
    fn turn_windows(&mut self, now: Moment) {
        self.recent.prune(now);
        if self.closed_until.is_some_and(|until| until <= now) {
            self.closed_until = None;
        }
        let limit = self.reported_limit.unwrap_or(self.documented);
        let Steering::Headers(window) = &mut self.steering else { return };
        if !window.is_over(now) {
            return;
        }
        let long_over = window.ends.is_some_and(|ends| ends.latest + WINDOW <= now);
        if long_over || !window.confirmed {
            // A whole window passed without news: as little is known as at the start of a run.
            self.steering = Steering::Unknown;
            self.others = 0;
            self.lose_trust(now);
        } else {
            self.others = window.others;
            let edge = window.edge;
            self.steering = Steering::Headers(Window::fresh(limit, edge, self.in_flight, now));
            if self.others > 0 {
                self.lose_trust(now);
            }
        }
        self.serial += 1;
    }

    /// Returns the requests that are kept for urgent ones now.
    fn kept(&self, now: Moment) -> u32 {
        let limit = self.reported_limit.map_or(self.documented, |limit| limit.min(self.documented));
        let is_near_end = match &self.steering {
            Steering::Headers(Window { ends: Some(ends), .. }) => ends.latest - KEPT_UNTIL <= now,
            Steering::Headers(_) | Steering::Unknown | Steering::Count => false,
        };
        limit / if is_near_end { KEPT.1 } else { KEPT.0 }
    }

    /// Returns the reason to hold a request back now, if there is one.
    fn held(&self, kept: u32, now: Moment) -> Option<Acquire> {
        if let Some(until) = self.closed_until {
            return Some(Acquire::Wait { until: Some(until) });
        }
        // The longest wait comes first, so that no request wakes up in vain.
        self.held_by_window(kept, now).or_else(|| self.held_by_count(kept)).or_else(|| self.held_by_trust(now))
    }

    fn held_by_trust(&self, now: Moment) -> Option<Acquire> {
        let at_once = match &self.steering {
            Steering::Headers(window) if self.has_rivals() => {
                let is_fresh = window.reported_at.is_some_and(|at| now < at + FRESHNESS);
                let share = if is_fresh { window.remaining / 4 } else { 1 };
                self.trust.min(share.max(1))
            }
            _ => self.trust,
        };
        if self.in_flight < at_once {
            return None;
        }
        let patience = self.last_sent_at.map(|at| at + LONE_PATIENCE)?;
        (now < patience).then_some(Acquire::Wait { until: Some(patience) })
    }

    fn held_by_count(&self, kept: u32) -> Option<Acquire> {
        let headers_bound = matches!(self.steering, Steering::Headers(_) | Steering::Unknown)
            && !self.hidden_limit
            && self.reported_limit.is_none_or(|limit| limit <= self.documented);
        if headers_bound {
            return None;
        }
        let limit = self.reported_limit.map_or(self.documented, |limit| limit.min(self.documented));
        let spent = self.recent.spent().saturating_add(self.in_flight);
        let excess = spent.checked_sub(limit.saturating_sub(kept))?;
        Some(Acquire::Wait { until: self.recent.frees(excess.saturating_add(1)) })
    }

    fn held_by_window(&self, kept: u32, now: Moment) -> Option<Acquire> {
        let Steering::Headers(window) = &self.steering else { return None };
        let latest = window.ends.map(|ends| ends.latest);
        let limit = self.reported_limit.unwrap_or(self.documented);
        let reserve = if self.has_rivals() { RESERVE.min(limit / 2) } else { 0 };
        if window.remaining.saturating_sub(self.in_flight) <= reserve {
            return Some(Acquire::Wait { until: latest });
        }
        if window.remaining.saturating_sub(self.in_flight) <= reserve + kept {
            let shared = latest.map(|latest| latest - KEPT_UNTIL).filter(|shared| now < *shared);
            return Some(Acquire::Wait { until: shared.or(latest) });
        }
        // A request sent now may count in the next window. Don't send so many that too few would be
        // left there.
        if window.confirmed && window.is_ending(now) && window.edge.saturating_add(self.in_flight) >= limit / 4 {
            return Some(Acquire::Wait { until: latest });
        }
        if self.others > 0 {
            let share = (limit / 2).max(limit.saturating_sub(self.others).saturating_sub(limit / 10));
            let free = latest.map(|latest| latest - FREE_FOR_ALL);
            if window.ours >= share && free.is_some_and(|free| now < free) {
                return Some(Acquire::Wait { until: free });
            }
        }
        None
    }

    /// Whether others spend from this budget, now or in the last window.
    fn has_rivals(&self) -> bool {
        let now = match &self.steering {
            Steering::Headers(window) => window.others,
            Steering::Unknown | Steering::Count => 0,
        };
        now.max(self.others) > 0
    }

    fn lose_trust(&mut self, now: Moment) {
        self.trust = 1;
        self.trust_since = Some(now);
    }

    /// Lets more requests fly. A response to a request from before trust was lost is no evidence
    /// for the time since.
    fn grow_trust(&mut self, grant: Grant) {
        if self.trust_since.is_none_or(|since| since <= grant.sent_at) {
            let grown = if self.trust < SECOND_VOLLEY { SECOND_VOLLEY } else { self.trust.saturating_add(1) };
            self.trust = grown.min(self.documented.max(SECOND_VOLLEY));
        }
    }

    fn book_unseen(&mut self) {
        if let Steering::Headers(window) = &mut self.steering {
            window.book_unseen();
        }
    }

    /// Applies the headers of a response.
    fn learn(&mut self, grant: Grant, sample: LimitSample, now: Moment) {
        let LimitSample { limit, remaining, reset, retry_after: _ } = sample;
        let (Some(remaining), Some(reset)) = (remaining, reset) else {
            self.learn_partial(limit, remaining);
            return;
        };
        let ends = Ends::reported(reset, grant.sent_at, now);
        let is_old = grant.serial < self.serial;
        match &mut self.steering {
            // Sent in an earlier window, which the headers describe. In case it counts in this
            // window after all, it is booked.
            Steering::Headers(window) if is_old && ends.earliest <= window.opened_at => window.book_unseen(),
            Steering::Headers(window) if window.ends.is_none_or(|known| ends.earliest <= known.latest) => {
                // The first response in a window sets its limit. Later ones, in whatever order,
                // only lower it.
                if let Some(limit) = limit {
                    let known = self.reported_limit.unwrap_or(self.documented);
                    self.reported_limit = Some(if window.confirmed { limit.min(known) } else { limit });
                    window.lower(known.saturating_sub(limit));
                }
                window.confirm(ends, remaining, now);
            }
            Steering::Headers(window) => {
                self.others = window.others;
                self.reported_limit = limit.or(self.reported_limit);
                let whole = self.reported_limit.unwrap_or(self.documented);
                self.open(Window::reported(ends, remaining, Some(whole), self.in_flight.saturating_add(1), now));
            }
            Steering::Unknown | Steering::Count => {
                self.reported_limit = limit.or(self.reported_limit);
                self.open(Window::reported(ends, remaining, None, self.in_flight.saturating_add(1), now));
            }
        }
    }

    /// Applies headers that lack the remaining count or the reset, and so describe no window.
    fn learn_partial(&mut self, limit: Option<u32>, remaining: Option<u32>) {
        if let Some(limit) = limit {
            self.reported_limit = Some(limit);
        }
        match &mut self.steering {
            Steering::Headers(window) => {
                window.book_unseen();
                window.remaining = window.remaining.min(remaining.unwrap_or(u32::MAX));
            }
            Steering::Unknown => self.steering = Steering::Count,
            Steering::Count => {}
        }
    }

    fn open(&mut self, window: Window) {
        self.serial += 1;
        self.steering = Steering::Headers(window);
    }

    /// Closes the budget after a 429.
    fn close(&mut self, grant: Grant, sample: LimitSample, jitter: f64, now: Moment) {
        let asked = sample.retry_after.unwrap_or(Duration::ZERO);
        let until = if sample.remaining.is_some_and(|left| left > 0) {
            self.hidden_limit = true;
            // Requests that were in flight together fail together, and count as one failure.
            if self.refused_at.is_none_or(|since| since < grant.sent_at) {
                self.refusals = self.refusals.saturating_add(1);
                self.refused_at = Some(now);
            }
            now + Backoff::BUDGET.delay(self.refusals, jitter).max(asked)
        } else {
            // Not the guard's whole second. A refused instance goes first in the next window,
            // alone; otherwise an instance that spends every window at its first instant would
            // never notice it.
            let rest = match (sample.reset, &self.steering) {
                (Some(reset), _) => now + reset,
                (None, Steering::Headers(Window { ends: Some(ends), confirmed: true, .. })) => ends.latest,
                (None, _) => now + WINDOW + GUARD,
            };
            self.steering = Steering::Unknown;
            self.serial += 1;
            self.others = self.others.max(1);
            rest.max(now + asked) + GUARD.mul_f64(fraction(jitter))
        };
        let until = until.min(now + LONGEST_WAIT);
        self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
        self.lose_trust(now);
    }

    /// Returns the part that the state should remember, if anything is known.
    pub(super) fn memory(&self, now: Moment) -> Option<SavedBudget> {
        let limit = self.reported_limit.map_or(self.documented, |limit| limit.min(self.documented));
        let window = match &self.steering {
            Steering::Headers(window) => {
                window.ends.map(|ends| (window.remaining.saturating_sub(self.in_flight), ends.latest))
            }
            Steering::Count => {
                let spent = self.recent.spent().saturating_add(self.in_flight);
                self.recent.frees(self.recent.spent()).map(|at| (limit.saturating_sub(spent), at))
            }
            Steering::Unknown => None,
        };
        let closed = self.closed_until.map(|until| (0, until));
        let (remaining, ends_at) = closed.into_iter().chain(window).max_by_key(|(_, ends_at)| *ends_at)?;
        let remaining = if closed.is_some() { 0 } else { remaining.min(limit) };
        (now < ends_at).then_some(SavedBudget { limit, remaining, ends_at })
    }

    /// Restores a budget from the state. The first request still goes alone.
    pub(super) fn remembered(documented: u32, memory: SavedBudget, now: Moment) -> Self {
        let SavedBudget { limit, remaining, ends_at } = memory;
        let mut meter = Self::new(documented);
        meter.reported_limit = Some(limit.max(1));
        if now < ends_at {
            let ends = Ends { earliest: ends_at - GUARD - GUARD, latest: ends_at };
            meter.open(Window::reported(ends, remaining, Some(remaining), 0, now));
        }
        meter
    }
}
