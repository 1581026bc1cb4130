//! The operations of one kind: which of them is polled next, and at which age.
//!
//! A kind with known latencies polls each operation when nearly all are done, and a lone one a
//! little earlier if that may be enough. A kind without is scouted: one operation, the leader, is
//! polled again and again, and the others wait while it is found running. The leader may be an
//! exception, so now and then one of the others gives a second opinion. The first that is found
//! done ends the scouting. Urgent operations have a leader of their own, because the others' leader
//! may wait for the budget.
//!
//! Read next: [`super::latency`] for what is learnt.

use super::lane::{Lane, Lanes};
use super::latency::{LatencyEstimate, ScoutAges};
use crate::cloud::moment::Moment;
use crate::model::latency::LatencySample;
use std::collections::BTreeSet;
use std::time::Duration;

/// The share of the operation's age after which the next poll comes. From one poll to the next the
/// age grows by it.
pub(super) const GROWTH: f64 = 0.4;

/// The shortest gap between two polls of one operation and, within the schedule's patience, the
/// longest.
pub(super) const SHORTEST_GAP: Duration = Duration::from_millis(250);
pub(super) const LONGEST_GAP: Duration = Duration::from_secs(60);

/// With at most this many operations, polls are plentiful, and somebody waits for each.
const FEW: usize = 4;

/// The gap between two polls of a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaderPace {
    /// Polls are plentiful.
    Fine,
    /// Many wait for what it finds.
    Leading,
    /// It leads only itself and has few polls: others use up the budget.
    Sparing,
}

impl LeaderPace {
    /// Returns the pace in a lane while so many operations are scheduled.
    pub(super) const fn of(lane: Lane, operations: usize) -> Self {
        match lane {
            _ if operations <= FEW => Self::Fine,
            Lane::Urgent => Self::Sparing,
            Lane::Ordinary => Self::Leading,
        }
    }

    /// Returns the gap after an operation was found running at `age`.
    pub(super) fn gap(self, age: Duration) -> Duration {
        let gap = match self {
            Self::Fine => age.mul_f64(0.1).max(Duration::from_millis(200)),
            Self::Leading => age.mul_f64(GROWTH).min(age.mul_f64(0.15).max(Duration::from_secs(1))).max(SHORTEST_GAP),
            Self::Sparing => age.mul_f64(0.5).max(SHORTEST_GAP),
        };
        gap.min(LONGEST_GAP)
    }
}

/// The growth of the age from one second opinion to the next.
const SECOND_GROWTH: f64 = 0.5;

/// The first polls in a row that must find their operation running before the known latencies count
/// as outdated. If one in twenty takes longer than expected, that happens by chance once in 160,000.
const SURPRISE: u32 = 4;

/// An operation of a lane: when it was submitted, and its key.
pub(super) type Submission = (Moment, u64);

/// The purpose of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollRole {
    /// The first of its operation, which should be done.
    First,
    /// An early first poll, to find out whether the kind became faster.
    Probe,
    /// The first of a lone operation, a little earlier than it should be done.
    Narrowing,
    /// A poll of the leader.
    Leader,
    /// A second opinion beside the leader's.
    Second,
    /// A later poll of its operation.
    Again,
}

/// One kind of operation.
#[derive(Debug, Clone)]
pub(super) struct PollKind {
    pub(super) latency: LatencyEstimate,
    pub(super) lanes: Lanes<PollLane>,
    /// The operations that were polled and are not settled.
    pub(super) begun: usize,
    pub(super) probes_out: u32,
    /// First polls in a row that found their operation running.
    misses: u32,
}

/// The operations of one kind that are urgent, or those that are not.
#[derive(Debug, Clone, Default)]
pub(super) struct PollLane {
    /// The operations that were never polled, in the order of submission.
    pub(super) waiting: BTreeSet<Submission>,
    /// The others that were found running while the kind was scouted, by their age then.
    pub(super) early: BTreeSet<(Duration, Submission)>,
    leader: Option<Leader>,
    /// The age up to which the leader was found running.
    running: Duration,
    /// The age at which a second opinion was last asked for.
    second: Duration,
    /// The age at which an operation was found done by a poll that came late. Older ones are
    /// probably done too.
    bound: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Leader {
    key: u64,
    /// The time of its next poll; `None` while it is polled.
    at: Option<Moment>,
}

impl PollKind {
    pub(super) fn new(recent: impl IntoIterator<Item = LatencySample>) -> Self {
        Self { latency: LatencyEstimate::new(recent), lanes: Lanes::default(), begun: 0, probes_out: 0, misses: 0 }
    }

    /// Whether latencies are unknown, so that a leader goes ahead.
    pub(super) fn is_scouted(&self) -> bool {
        self.latency.expected().is_none()
    }

    /// Returns the age at which the next operation is polled for the first time, if the kind's
    /// latencies are known. `is_lone` says that no other operation is scheduled.
    pub(super) fn first_poll(&self, ages: ScoutAges, is_lone: bool) -> Option<Duration> {
        let expected = self.latency.expected()?;
        // The expectation rests on few latencies, and the first polls may show that it is too
        // short.
        if !self.latency.is_known() && self.begun >= 2 + 2 * self.latency.count() {
            return Some(expected.max(ages.second));
        }
        let lone = || self.latency.lone_poll().filter(|_| is_lone);
        self.probe_at().or_else(lone).or(Some(expected))
    }

    fn probe_at(&self) -> Option<Duration> {
        self.latency.probe_at().filter(|_| self.probes_out == 0)
    }

    /// Returns the operations of a lane that may be next, with the times of their polls.
    pub(super) fn candidates(&self, lane: Lane, ages: ScoutAges, is_lone: bool) -> impl Iterator<Item = Submission> {
        let lane = self.lanes.get(lane);
        let first = lane.waiting.first();
        let known = self.first_poll(ages, is_lone).and_then(|age| first.map(|(since, key)| (*since + age, *key)));
        let is_scouted = self.is_scouted();
        let leader = lane.leader.and_then(|leader| Some((leader.at?, leader.key)));
        let bound = lane.bound.and_then(|age| first.map(|(since, key)| (*since + age, *key)));
        let second = lane.second_opinion(ages);
        known.into_iter().chain([leader, bound, second].into_iter().flatten().filter(move |_| is_scouted))
    }

    /// Records a first poll that goes out, and returns its purpose.
    pub(super) fn send_first(&mut self, lane: Lane, age: Duration) -> PollRole {
        if self.is_scouted() {
            self.lanes.get_mut(lane).ask_second(age);
            return PollRole::Second;
        }
        let is_early = self.latency.expected().is_some_and(|expected| age < expected);
        if is_early && self.probe_at().is_some() {
            self.latency.send_probe();
            self.probes_out += 1;
            return PollRole::Probe;
        }
        self.latency.book_poll();
        if is_early { PollRole::Narrowing } else { PollRole::First }
    }

    /// Records that a poll is no longer out.
    pub(super) fn come_back(&mut self, role: PollRole) {
        if role == PollRole::Probe {
            self.probes_out = self.probes_out.saturating_sub(1);
        }
    }

    /// Records that an operation was done at `age`, as far as that says how long such operations
    /// take. `pending` is the age at which it was last found running.
    pub(super) fn learn_done(&mut self, role: PollRole, pending: Option<Duration>, age: Duration, is_late: bool) {
        if self.is_scouted() {
            if is_late {
                for lane in Lane::ALL {
                    let lane = self.lanes.get_mut(lane);
                    lane.bound = Some(lane.bound.map_or(age, |bound| bound.min(age)));
                }
            } else {
                self.latency.learn_first(pending, age);
            }
            return;
        }
        match role {
            PollRole::Probe => self.latency.probe_done(age),
            PollRole::First | PollRole::Narrowing => {
                self.latency.learn(None, age);
                self.misses = 0;
            }
            PollRole::Leader | PollRole::Second | PollRole::Again => self.latency.learn(pending, age),
        }
    }

    /// Records that an operation was running at `age`. Returns whether the known latencies are
    /// outdated, and forgets them then.
    pub(super) fn learn_pending(&mut self, role: PollRole) -> bool {
        match role {
            PollRole::Probe => self.latency.probe_early(),
            PollRole::First if !self.is_scouted() => {
                self.misses += 1;
                if self.misses >= SURPRISE {
                    self.misses = 0;
                    self.latency.forget();
                    return true;
                }
            }
            PollRole::First | PollRole::Narrowing | PollRole::Leader | PollRole::Second | PollRole::Again => {}
        }
        false
    }
}

impl PollLane {
    /// Returns the operation that gives the next second opinion, and when: first those that were
    /// never polled, then the one that was polled at the lowest age.
    fn second_opinion(&self, ages: ScoutAges) -> Option<Submission> {
        let grown = |age: Duration| age + age.mul_f64(SECOND_GROWTH).min(LONGEST_GAP);
        let age = ages.second.max(grown(self.second));
        match self.waiting.first() {
            Some((since, key)) => Some((*since + age, *key)),
            None => self.early.first().map(|(polled, (since, key))| (*since + age.max(grown(*polled)), *key)),
        }
    }

    /// Whether an operation of this age is polled because older ones were done.
    pub(super) fn is_bounded(&self, age: Duration) -> bool {
        self.bound.is_some_and(|bound| bound <= age)
    }

    /// Whether this operation leads.
    pub(super) fn is_led_by(&self, key: u64) -> bool {
        self.leader.is_some_and(|leader| leader.key == key)
    }

    pub(super) fn has_leader(&self) -> bool {
        self.leader.is_some()
    }

    /// Takes the operation that shall lead next out of those that wait: the oldest that was never
    /// polled, or the one that was polled at the lowest age.
    pub(super) fn take_next_leader(&mut self) -> Option<Submission> {
        self.waiting.pop_first().or_else(|| self.early.pop_first().map(|(_, submission)| submission))
    }

    /// Makes an operation the leader that is polled next at `at`.
    pub(super) fn lead(&mut self, key: u64, at: Moment) {
        self.leader = Some(Leader { key, at: Some(at) });
    }

    /// Records that the leader is being polled.
    pub(super) fn poll_leader(&mut self) {
        if let Some(leader) = &mut self.leader {
            leader.at = None;
        }
    }

    /// Forgets the leader, whose operation is over or polled in another way from now on.
    pub(super) fn depose(&mut self, key: u64) {
        if self.is_led_by(key) {
            self.leader = None;
        }
    }

    /// Returns the age up to which operations were found running.
    pub(super) fn running(&self) -> Duration {
        self.running
    }

    /// Records that the leader, or one that should have been done, was running at `age`.
    pub(super) fn found_running(&mut self, age: Duration) {
        self.running = self.running.max(age);
    }

    /// Records that an operation is polled at `age` for a second opinion. The next one doesn't wait
    /// for its answer, which may never come.
    pub(super) fn ask_second(&mut self, age: Duration) {
        self.second = self.second.max(age);
    }

    /// Ends the scouting, and returns the operations that were found running during it.
    pub(super) fn end_scouting(&mut self) -> Vec<u64> {
        let Self { waiting, early, leader, .. } = std::mem::take(self);
        self.waiting = waiting;
        let leading = leader.filter(|leader| leader.at.is_some()).map(|leader| leader.key);
        early.into_iter().map(|(_, (_, key))| key).chain(leading).collect()
    }
}
