//! One budget: who may go now, and what each answer teaches.
//!
//! The rules, each of which may hold a request back:
//!
//! 1. A refusal for rate (429) closes the budget for everybody: until the reset where the gateway
//!    counted, by exponential back-off where the service refused with requests left. After the
//!    reset one request goes within the guard's second, so that an instance that came too late is
//!    first in the next window, and seen by the one that would spend it all.
//! 2. The first request of a run goes alone, and so does the first after the windows were lost
//!    sight of, after a 429, and in each window that others spend from too. Its answer lets eight
//!    go, each further answer one more, so that a rival shows before much is spent. An unanswered
//!    request (a large upload) holds the others back for five seconds only.
//! 3. Where headers do not bound the spending (there are none, they allow more than is documented,
//!    or a 429 came in spite of them), no 61 seconds see more than the documented limit.
//! 4. In a window that headers told of, what is left less what is in flight; in the window after
//!    it, all of the limit at once.
//! 5. While others spend from the budget: at most a quarter of what is left in flight, the last two
//!    left to them, and, until the last quarter of the window, no more than half the limit or what
//!    the others left over in the window before, whichever is more.
//!
//! It must never look at a clock, and never let a window be exceeded for the sake of speed.

use super::recent::Recent;
use super::sample::{LONGEST_WAIT, LimitSample};
use super::window::{Ends, GUARD, WINDOW, Window};
use super::{Acquire, LimitSignal};
use crate::cloud::backoff::{Backoff, fraction};
use crate::cloud::moment::Moment;
use std::time::Duration;

/// After this long without an answer to the request that goes alone another may follow: an upload
/// can take minutes.
const LONE_PATIENCE: Duration = Duration::from_secs(5);

/// How many may be in flight after the first answer: the default number of uploads at once, so that
/// these never wait.
const SECOND_VOLLEY: u32 = 8;

/// While others spend, so many of a window are left to them: two requests that meet at the last one
/// would make a 429.
const RESERVE: u32 = 2;

/// While others spend, what an answer told of the window is news for so long; after that the next
/// request goes alone again.
const NEWS: Duration = Duration::from_secs(2);

/// While others spend, the end of the window in which everybody may have what is left, lest it go
/// to waste.
const FREE_FOR_ALL: Duration = Duration::from_secs(15);

/// What steers the budget.
#[derive(Debug, Clone)]
enum Steering {
    /// Nothing is known of the windows.
    Unknown,
    /// Headers told of the windows.
    Headers(Window),
    /// The service answers without headers: our own count.
    Count,
}

/// A request that may go, or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    sent_at: Moment,
    /// The window in which it was granted.
    serial: u64,
}

/// What the state remembers of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SavedBudget {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) ends_at: Moment,
}

/// One budget of one owner.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    documented: u32,
    /// The limit that headers told last.
    told: Option<u32>,
    steering: Steering,
    /// Counts the windows.
    serial: u64,
    in_flight: u32,
    last_sent_at: Option<Moment>,
    /// How many may be in flight, and since when that is built up.
    trust: u32,
    trust_since: Option<Moment>,
    closed_until: Option<Moment>,
    /// Service-level 429s in a row, and since when the last of them counts.
    strain: u32,
    strain_since: Option<Moment>,
    /// A 429 came although headers said that there was something left: a limit that they do not
    /// show.
    hidden_limit: bool,
    recent: Recent,
    /// What others spent in the last window that headers told of.
    others: u32,
}

impl Meter {
    pub(super) fn new(documented: u32) -> Self {
        Self {
            documented,
            told: None,
            steering: Steering::Unknown,
            serial: 0,
            in_flight: 0,
            last_sent_at: None,
            trust: 1,
            trust_since: None,
            closed_until: None,
            strain: 0,
            strain_since: None,
            hidden_limit: false,
            recent: Recent::default(),
            others: 0,
        }
    }

    /// Asks for a request to go now.
    pub(super) fn acquire(&mut self, now: Moment) -> Result<Grant, Acquire> {
        self.turn_windows(now);
        if let Some(hold) = self.held(now) {
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

    /// Takes back a request that never was sent.
    pub(super) fn release(&mut self, grant: Grant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Steering::Headers(window) = &mut self.steering
            && grant.serial == self.serial
        {
            window.ours = window.ours.saturating_sub(1);
        }
    }

    /// Takes in what came of a request.
    pub(super) fn report(&mut self, grant: Grant, heard: LimitSignal, jitter: f64, now: Moment) {
        self.turn_windows(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.recent.state_cache(self.documented, now);
        match heard {
            LimitSignal::Silence => self.book_unseen(),
            LimitSignal::Answer(sample) => {
                self.learn(grant, sample, now);
                self.grow_trust(grant);
                if self.strain_since.is_none_or(|since| since < grant.sent_at) {
                    self.strain = 0;
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

    /// Goes over into the next window when one has ended for certain.
    fn turn_windows(&mut self, now: Moment) {
        self.recent.prune(now);
        if self.closed_until.is_some_and(|until| until <= now) {
            self.closed_until = None;
        }
        let limit = self.told.unwrap_or(self.documented);
        let Steering::Headers(window) = &mut self.steering else { return };
        if !window.is_over(now) {
            return;
        }
        let long_over = window.ends.is_some_and(|ends| ends.latest + WINDOW <= now);
        if long_over || !window.confirmed {
            // Nothing was heard for a window's length: we know as little as at the start of a run.
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

    /// What holds a request back now, if anything does.
    fn held(&self, now: Moment) -> Option<Acquire> {
        if let Some(until) = self.closed_until {
            return Some(Acquire::Wait { until: Some(until) });
        }
        // The longest wait first, so that nobody wakes in vain.
        self.held_by_window(now).or_else(|| self.held_by_count()).or_else(|| self.held_by_trust(now))
    }

    fn held_by_trust(&self, now: Moment) -> Option<Acquire> {
        let at_once = match &self.steering {
            Steering::Headers(window) if self.has_rivals() => {
                let is_news = window.heard_at.is_some_and(|at| now < at + NEWS);
                let share = if is_news { window.remaining / 4 } else { 1 };
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

    fn held_by_count(&self) -> Option<Acquire> {
        let headers_bound = matches!(self.steering, Steering::Headers(_) | Steering::Unknown)
            && !self.hidden_limit
            && self.told.is_none_or(|told| told <= self.documented);
        if headers_bound {
            return None;
        }
        let limit = self.told.map_or(self.documented, |told| told.min(self.documented));
        let spent = self.recent.spent().saturating_add(self.in_flight);
        let excess = spent.checked_sub(limit)?;
        Some(Acquire::Wait { until: self.recent.frees(excess.saturating_add(1)) })
    }

    fn held_by_window(&self, now: Moment) -> Option<Acquire> {
        let Steering::Headers(window) = &self.steering else { return None };
        let latest = window.ends.map(|ends| ends.latest);
        let limit = self.told.unwrap_or(self.documented);
        let reserve = if self.has_rivals() { RESERVE.min(limit / 2) } else { 0 };
        if window.remaining.saturating_sub(self.in_flight) <= reserve {
            return Some(Acquire::Wait { until: latest });
        }
        // What goes now may count in the next window: not so much that too little would be left of that.
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

    /// An answer to a request from before trust was lost tells nothing of the time since.
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

    /// Takes in what the headers tell.
    fn learn(&mut self, grant: Grant, sample: LimitSample, now: Moment) {
        let LimitSample { limit, remaining, reset, retry_after: _ } = sample;
        let (Some(remaining), Some(reset)) = (remaining, reset) else {
            self.learn_little(limit, remaining);
            return;
        };
        let ends = Ends::told(reset, grant.sent_at, now);
        let is_old = grant.serial < self.serial;
        match &mut self.steering {
            // It was sent in an earlier window and tells of that one; if it counts in this one after all, it is booked.
            Steering::Headers(window) if is_old && ends.earliest <= window.opened_at => window.book_unseen(),
            Steering::Headers(window) if window.ends.is_none_or(|known| ends.earliest <= known.latest) => {
                // A window's first answer tells its limit; in whatever order the others come, they only lower it.
                if let Some(limit) = limit {
                    let known = self.told.unwrap_or(self.documented);
                    self.told = Some(if window.confirmed { limit.min(known) } else { limit });
                    window.lower(known.saturating_sub(limit));
                }
                window.confirm(ends, remaining, now);
            }
            Steering::Headers(window) => {
                self.others = window.others;
                self.told = limit.or(self.told);
                let whole = self.told.unwrap_or(self.documented);
                self.open(Window::told(ends, remaining, Some(whole), self.in_flight.saturating_add(1), now));
            }
            Steering::Unknown | Steering::Count => {
                self.told = limit.or(self.told);
                self.open(Window::told(ends, remaining, None, self.in_flight.saturating_add(1), now));
            }
        }
    }

    /// Headers without what is left, or without the reset, tell of no window.
    fn learn_little(&mut self, limit: Option<u32>, remaining: Option<u32>) {
        if let Some(limit) = limit {
            self.told = Some(limit);
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
            // The requests that were in flight together fail together, and count as one.
            if self.strain_since.is_none_or(|since| since < grant.sent_at) {
                self.strain = self.strain.saturating_add(1);
                self.strain_since = Some(now);
            }
            now + Backoff::BUDGET.delay(self.strain, jitter).max(asked)
        } else {
            // Not the guard's whole second: who was refused goes first in the next window, alone, or an
            // instance that spends every window at its first instant would never learn of it.
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

    /// What the state should remember, if anything is known.
    pub(super) fn memory(&self, now: Moment) -> Option<SavedBudget> {
        let limit = self.told.map_or(self.documented, |told| told.min(self.documented));
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

    /// A budget as the state remembers it. The first request still goes alone.
    pub(super) fn remembered(documented: u32, memory: SavedBudget, now: Moment) -> Self {
        let SavedBudget { limit, remaining, ends_at } = memory;
        let mut meter = Self::new(documented);
        meter.told = Some(limit.max(1));
        if now < ends_at {
            let ends = Ends { earliest: ends_at - GUARD - GUARD, latest: ends_at };
            meter.open(Window::told(ends, remaining, Some(remaining), 0, now));
        }
        meter
    }
}
