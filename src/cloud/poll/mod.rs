//! The schedule of polls for running operations.
//!
//! Polls have a budget of their own, 100 a minute, and a create can afford about one of them. Each
//! operation is first polled when nearly all of its kind are done, judging by earlier ones, and
//! then at growing intervals. Of a kind without known latencies one goes ahead, and the others wait
//! for its result. The operation that has been due longest goes first.
//!
//! The schedule must never give an operation up for an error, and never say that one failed: only
//! the remote's "done" decides, and the caller reads that. Pure: it never sends, sleeps, or reads a
//! clock.
//!
//! Read next: [`latency`] for the estimate of each kind, `simulation` for the benchmarks.

pub(crate) mod latency;
#[cfg(test)]
mod simulation;

use super::backoff::Backoff;
use super::moment::Moment;
use latency::{KEPT, LatencyEstimate};
pub(crate) use latency::{OperationAction, OperationKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The age from which an operation is recorded as slow, and polled rarely (the contract's number;
/// heavy meshes were seen to take 10 to 30 minutes).
pub(crate) const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// The age up to which an unknown operation means nothing. A fresh one may be unknown for its first
/// one or two seconds.
const UNKNOWN_GRACE: Duration = Duration::from_secs(10);

/// After the grace, Macadam believes that an operation doesn't exist after this many responses in a
/// row that say so, this far apart.
const UNKNOWN_BELIEVED: u32 = 3;
const UNKNOWN_GAP: Duration = Duration::from_secs(15);

/// The share of the operation's age after which the next poll comes. From one poll to the next the
/// age grows by it.
const GROWTH: f64 = 0.4;
/// The same while the kind is unknown, when each poll reveals more.
const COLD_GROWTH: f64 = 0.5;

/// The first polls in a row that must find their operation running before operations count as
/// slower. Then the others wait while two at a time find out how slow. By chance that happens once
/// in 20^8.
const SURPRISE: u32 = 8;
const AHEAD: u32 = 2;

/// The shortest gap between two polls of one operation and, within [`PATIENCE`], the longest.
const SHORTEST_GAP: Duration = Duration::from_millis(250);
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// The same beyond [`PATIENCE`].
const SLOW_GAPS: (Duration, Duration) = (Duration::from_secs(10 * 60), Duration::from_secs(60 * 60));

/// The outcome of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PollOutcome {
    /// Done, with a result.
    Done,
    /// Done, without a result. Says nothing about how long such operations take.
    Failed,
    /// Not done.
    Pending,
    /// The service says that there is no such operation.
    Unknown,
    /// No response, a server failure, or a 429.
    Unanswered,
}

/// The status of an operation after a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationStatus {
    /// Polled again at this moment at the earliest.
    Waiting(Moment),
    /// Older than [`PATIENCE`]. Polled again at this moment.
    Outlived(Moment),
    /// Done, and no longer scheduled.
    Settled,
    /// The service no longer knows it, so polling can't reveal its result. No longer scheduled.
    Gone,
}

/// The operation to poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PollTarget {
    /// Poll this operation as soon as the budget allows. Then call [`PollSchedule::begin`].
    Now(u64),
    /// Nothing before this moment, unless an operation is added or reported.
    At(Moment),
    /// Nothing, unless an operation is added or reported.
    Nothing,
}

/// The state's row for one kind of operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatencyRecord {
    /// [`OperationKind::name`].
    pub kind: String,
    /// The latest latencies in milliseconds, oldest first.
    pub millis: Vec<u32>,
}

/// One operation.
#[derive(Debug, Clone)]
struct PollEntry {
    kind: OperationKind,
    submitted_at: Moment,
    place: PollPlace,
    /// Its age at the last poll that found it running.
    pending: Option<Duration>,
    unanswered: u32,
    unknown: u32,
}

/// The place of an operation in the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollPlace {
    /// Never polled: in its kind's queue.
    First,
    /// Polled before, and due again at this moment.
    Again(Moment),
    /// Being polled.
    Out { sent_at: Moment, role: PollRole },
}

/// The purpose of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollRole {
    /// The first of its operation, which should be done.
    First,
    /// An early first poll, to find out whether the kind became faster.
    Probe,
    /// A later poll of its operation.
    Again,
}

/// One kind of operation.
#[derive(Debug, Clone)]
struct PollKind {
    latency: LatencyEstimate,
    /// The operations that were never polled, in the order of submission.
    waiting: BTreeSet<(Moment, u64)>,
    /// The operations that were polled and are not settled.
    begun: usize,
    /// Polls in flight: probes (at most one) and other first polls.
    probes_out: u32,
    firsts_out: u32,
    /// First polls in a row that found their operation running and, after too many of them, the age
    /// at which the next operation may be polled.
    misses: u32,
    hold: Duration,
}

impl PollKind {
    fn new(recent: impl IntoIterator<Item = u32>) -> Self {
        Self {
            latency: LatencyEstimate::new(recent),
            waiting: BTreeSet::new(),
            begun: 0,
            probes_out: 0,
            firsts_out: 0,
            misses: 0,
            hold: Duration::ZERO,
        }
    }

    /// Returns the age at which the next operation is polled for the first time.
    fn first_poll(&self, kind: OperationKind) -> Duration {
        let (ahead, others) = kind.cold();
        let Some(expected) = self.latency.expected() else {
            return if self.begun == 0 { ahead } else { others };
        };
        if !self.latency.is_known() && self.begun >= 2 + 2 * self.latency.count() {
            // The expectation rests on few latencies, and the first polls may show that it is too
            // short.
            return expected.max(others);
        }
        if self.misses >= SURPRISE {
            let hold = if self.firsts_out < AHEAD { self.hold } else { self.hold.mul_f64(1.0 + GROWTH) };
            return expected.max(hold);
        }
        self.latency.probe_at().filter(|_| self.probes_out == 0).unwrap_or(expected)
    }

    /// Records a first poll that goes out, and returns its purpose.
    fn send_first(&mut self, age: Duration) -> PollRole {
        self.begun += 1;
        if self.latency.is_known() && self.latency.expected().is_some_and(|expected| age < expected) {
            self.latency.send_probe();
            self.probes_out += 1;
            PollRole::Probe
        } else {
            self.latency.book_poll();
            self.firsts_out += 1;
            PollRole::First
        }
    }

    /// Records that a poll is no longer in flight.
    fn come_back(&mut self, role: PollRole) {
        match role {
            PollRole::First => self.firsts_out = self.firsts_out.saturating_sub(1),
            PollRole::Probe => self.probes_out = self.probes_out.saturating_sub(1),
            PollRole::Again => {}
        }
    }

    /// Records that an operation was done at `age`. `pending` is the age at which it was last found
    /// running.
    fn learn_done(&mut self, role: PollRole, pending: Option<Duration>, age: Duration) {
        match role {
            PollRole::Probe => self.latency.probe_done(age),
            PollRole::Again => self.latency.learn(pending, age),
            PollRole::First => {
                // After a series of misses, others of the kind were found running until shortly
                // before.
                let surprised = (self.misses >= SURPRISE).then(|| self.hold.div_f64(1.0 + GROWTH));
                self.latency.learn(surprised, age);
                self.misses = 0;
                self.hold = Duration::ZERO;
            }
        }
    }

    /// Records that an operation was running at `age`.
    fn learn_pending(&mut self, role: PollRole, age: Duration) {
        match role {
            PollRole::Probe => self.latency.probe_early(),
            PollRole::First => {
                self.misses = self.misses.saturating_add(1);
                if self.misses >= SURPRISE {
                    self.hold = self.hold.max(age.mul_f64(1.0 + GROWTH));
                }
            }
            PollRole::Again => {}
        }
    }
}

/// The operations that wait for their result.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollSchedule {
    entries: HashMap<u64, PollEntry>,
    kinds: BTreeMap<OperationKind, PollKind>,
    again: BTreeSet<(Moment, u64)>,
}

impl PollSchedule {
    /// Makes an empty schedule that knows no latencies.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes a schedule with the latencies of an earlier run. Rows of unknown kinds are skipped.
    pub(crate) fn restore(rows: &[LatencyRecord]) -> Self {
        let kinds = rows.iter().filter_map(|LatencyRecord { kind, millis }| {
            let newest = millis.iter().skip(millis.len().saturating_sub(KEPT)).copied();
            Some((OperationKind::from_name(kind)?, PollKind::new(newest)))
        });
        Self { kinds: kinds.collect(), ..Self::default() }
    }

    /// Returns the known latencies, for the next run.
    pub(crate) fn latencies(&self) -> Vec<LatencyRecord> {
        let known = self.kinds.iter().filter(|(_, kind)| kind.latency.count() > 0);
        known.map(|(name, kind)| LatencyRecord { kind: name.name(), millis: kind.latency.recent().collect() }).collect()
    }

    /// Adds an operation. The caller chooses its `key`; an operation with that key is replaced.
    pub(crate) fn insert(&mut self, key: u64, kind: OperationKind, submitted_at: Moment) {
        self.remove(key);
        let entry = PollEntry { kind, submitted_at, place: PollPlace::First, pending: None, unanswered: 0, unknown: 0 };
        self.entries.insert(key, entry);
        self.kind(kind).waiting.insert((submitted_at, key));
    }

    /// Removes an operation that was settled in another way. Later reports on it are ignored.
    pub(crate) fn remove(&mut self, key: u64) {
        let Some(entry) = self.entries.remove(&key) else { return };
        match entry.place {
            PollPlace::First => {
                self.kind(entry.kind).waiting.remove(&(entry.submitted_at, key));
                return;
            }
            PollPlace::Again(at) => {
                self.again.remove(&(at, key));
            }
            PollPlace::Out { role, .. } => self.kind(entry.kind).come_back(role),
        }
        let kind = self.kind(entry.kind);
        kind.begun = kind.begun.saturating_sub(1);
    }

    /// Returns the number of operations that are scheduled or being polled.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no operations.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the operation that has been due longest.
    pub(crate) fn due(&self, now: Moment) -> PollTarget {
        let firsts = self.kinds.iter().filter_map(|(name, kind)| {
            kind.waiting.first().map(|(submitted_at, key)| (*submitted_at + kind.first_poll(*name), *key))
        });
        match firsts.chain(self.again.first().copied()).min() {
            Some((at, key)) if at <= now => PollTarget::Now(key),
            Some((at, _)) => PollTarget::At(at),
            None => PollTarget::Nothing,
        }
    }

    /// Records that an operation is being polled. Its report must follow.
    pub(crate) fn begin(&mut self, key: u64, now: Moment) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let is_first = match entry.place {
            PollPlace::First => true,
            PollPlace::Again(at) => {
                self.again.remove(&(at, key));
                false
            }
            PollPlace::Out { .. } => return,
        };
        let kind = self.kinds.entry(entry.kind).or_insert_with(|| PollKind::new([]));
        let role = if is_first {
            kind.waiting.remove(&(entry.submitted_at, key));
            kind.send_first(now.since(entry.submitted_at))
        } else {
            PollRole::Again
        };
        entry.place = PollPlace::Out { sent_at: now, role };
    }

    /// Applies the outcome of a poll. `jitter` (0 to 1) spreads polls that failed together. Returns
    /// `None` for an operation that is not being polled.
    pub(crate) fn report(
        &mut self,
        key: u64,
        outcome: PollOutcome,
        jitter: f64,
        now: Moment,
    ) -> Option<OperationStatus> {
        let entry = self.entries.get_mut(&key)?;
        let PollPlace::Out { sent_at, role } = entry.place else { return None };
        let age = sent_at.since(entry.submitted_at);
        // An operation that an earlier run submitted was not measured. Its age by the time of day
        // includes the time when the machine was off, or a change of the clock. It must not become
        // the expectation for others of its kind.
        let measured = entry.submitted_at >= Moment::START;
        let kind = self.kinds.entry(entry.kind).or_insert_with(|| PollKind::new([]));
        kind.come_back(role);
        let gap = match outcome {
            PollOutcome::Done | PollOutcome::Failed => {
                if outcome == PollOutcome::Done && measured {
                    kind.learn_done(role, entry.pending, age);
                }
                self.settle(key);
                return Some(OperationStatus::Settled);
            }
            PollOutcome::Unanswered => {
                entry.unanswered = entry.unanswered.saturating_add(1);
                Backoff::POLL.delay(entry.unanswered, jitter)
            }
            PollOutcome::Unknown if age >= UNKNOWN_GRACE => {
                entry.unanswered = 0;
                entry.unknown += 1;
                if entry.unknown >= UNKNOWN_BELIEVED {
                    self.settle(key);
                    return Some(OperationStatus::Gone);
                }
                UNKNOWN_GAP
            }
            PollOutcome::Pending | PollOutcome::Unknown => {
                entry.unanswered = 0;
                entry.unknown = 0;
                entry.pending = Some(age);
                if measured {
                    kind.learn_pending(role, age);
                }
                pending_gap(&kind.latency, age)
            }
        };
        let outlived = age >= PATIENCE;
        let gap = if outlived { age.mul_f64(GROWTH).clamp(SLOW_GAPS.0, SLOW_GAPS.1) } else { gap };
        let at = now + gap;
        entry.place = PollPlace::Again(at);
        self.again.insert((at, key));
        Some(if outlived { OperationStatus::Outlived(at) } else { OperationStatus::Waiting(at) })
    }

    fn settle(&mut self, key: u64) {
        if let Some(entry) = self.entries.remove(&key) {
            let kind = self.kind(entry.kind);
            kind.begun = kind.begun.saturating_sub(1);
        }
    }

    fn kind(&mut self, kind: OperationKind) -> &mut PollKind {
        self.kinds.entry(kind).or_insert_with(|| PollKind::new([]))
    }
}

/// Returns the gap until the next poll of an operation that was running at `age`. A probe waits for
/// the expected time; otherwise the gap grows with the age.
fn pending_gap(latency: &LatencyEstimate, age: Duration) -> Duration {
    let growth = if latency.count() == 0 { COLD_GROWTH } else { GROWTH };
    let grown = age.mul_f64(growth).min(LONGEST_GAP);
    let ahead = latency.expected().and_then(|expected| expected.checked_sub(age)).filter(|ahead| !ahead.is_zero());
    ahead.map_or(grown, |ahead| ahead.min(LONGEST_GAP)).max(SHORTEST_GAP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::AssetType;
    use proptest::prelude::*;

    const IMAGE: OperationKind = OperationKind { asset_type: AssetType::Image, action: OperationAction::Create };
    const MODEL: OperationKind = OperationKind { asset_type: AssetType::Model, action: OperationAction::UpdateContent };

    fn at(millis: u64) -> Moment {
        Moment::START + Duration::from_millis(millis)
    }

    fn warm(kind: OperationKind, millis: u32) -> PollSchedule {
        PollSchedule::restore(&[LatencyRecord { kind: kind.name(), millis: vec![millis; KEPT] }])
    }

    /// Polls the operation that is due at `millis`, and returns its new status.
    fn poll(schedule: &mut PollSchedule, millis: u64, outcome: PollOutcome) -> (u64, OperationStatus) {
        let PollTarget::Now(key) = schedule.due(at(millis)) else {
            panic!("nothing due at {millis}: {:?}", schedule.due(at(millis)))
        };
        schedule.begin(key, at(millis));
        (key, schedule.report(key, outcome, 1.0, at(millis)).unwrap())
    }

    #[test]
    fn a_known_kind_is_polled_when_it_should_be_done() {
        let mut schedule = warm(IMAGE, 3000);
        assert_eq!(schedule.due(at(0)), PollTarget::Nothing);
        schedule.insert(7, IMAGE, at(500));
        assert_eq!(schedule.due(at(0)), PollTarget::At(at(3500)));
        assert_eq!(poll(&mut schedule, 3500, PollOutcome::Done), (7, OperationStatus::Settled));
        assert!(schedule.is_empty());
    }

    /// The machine was off for an hour, and an operation submitted before was done at its first
    /// poll. The next operations must not wait for an hour.
    #[test]
    fn the_time_while_the_machine_was_off_is_no_latency() {
        let mut schedule = PollSchedule::new();
        schedule.insert(7, IMAGE, at(500) - Duration::from_secs(3600));
        assert_eq!(poll(&mut schedule, 500, PollOutcome::Done), (7, OperationStatus::Settled));
        assert_eq!(schedule.latencies(), []);
        schedule.insert(8, IMAGE, at(500));
        assert_eq!(schedule.due(at(500)), PollTarget::At(at(500) + IMAGE.cold().0));
    }

    #[test]
    fn intervals_grow_with_the_age_until_patience_ends() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(7, IMAGE, at(0));
        let mut now = at(3000);
        let mut gaps = Vec::new();
        let outlived = loop {
            schedule.begin(7, now);
            match schedule.report(7, PollOutcome::Pending, 0.5, now).unwrap() {
                OperationStatus::Waiting(next) => {
                    gaps.push(next.since(now).as_millis());
                    now = next;
                }
                status => break status,
            }
        };
        assert_eq!(gaps[..4], [1200, 1680, 2352, 3292]);
        assert_eq!(gaps.last(), Some(&60_000));
        assert!(gaps.len() < 45, "{} polls", gaps.len());
        assert!(now.since(at(0)) >= PATIENCE);
        let OperationStatus::Outlived(next) = outlived else { panic!("{outlived:?}") };
        assert!(next.since(now) >= Duration::from_secs(600));
        // It is polled for ever, and never more often than that.
        let mut polls = 0;
        let mut now = next;
        while now < at(24 * 3_600_000) {
            assert_eq!(schedule.due(now), PollTarget::Now(7));
            schedule.begin(7, now);
            let Some(OperationStatus::Outlived(next)) = schedule.report(7, PollOutcome::Pending, 0.5, now) else {
                panic!()
            };
            now = next;
            polls += 1;
        }
        assert!((20..40).contains(&polls), "{polls} polls a day");
        // It may still end well.
        schedule.begin(7, now);
        assert_eq!(schedule.report(7, PollOutcome::Done, 0.5, now), Some(OperationStatus::Settled));
    }

    #[test]
    fn an_operation_unknown_for_its_first_seconds_is_pending() {
        let mut schedule = PollSchedule::new();
        schedule.insert(1, IMAGE, at(0));
        assert_eq!(poll(&mut schedule, 1000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(1500))));
        assert_eq!(poll(&mut schedule, 1500, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(2250))));
        assert_eq!(poll(&mut schedule, 2250, PollOutcome::Done), (1, OperationStatus::Settled));
    }

    #[test]
    fn an_operation_is_gone_after_three_unknown_responses_in_a_row() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(1, IMAGE, Moment::START - Duration::from_secs(3600));
        assert!(matches!(poll(&mut schedule, 0, PollOutcome::Unknown), (1, OperationStatus::Outlived(_))));
        schedule.insert(1, IMAGE, at(0));
        assert_eq!(poll(&mut schedule, 20_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(35_000))));
        assert_eq!(poll(&mut schedule, 35_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(50_000))));
        // A sign of life restarts the count.
        assert_eq!(poll(&mut schedule, 50_000, PollOutcome::Pending), (1, OperationStatus::Waiting(at(70_000))));
        assert_eq!(poll(&mut schedule, 70_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(85_000))));
        assert_eq!(poll(&mut schedule, 85_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(100_000))));
        assert_eq!(poll(&mut schedule, 100_000, PollOutcome::Unknown), (1, OperationStatus::Gone));
        assert!(schedule.is_empty());
    }

    #[test]
    fn errors_back_off_and_settle_nothing() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(1, IMAGE, at(0));
        let mut now = 3000;
        for gap in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            assert_eq!(poll(&mut schedule, now, PollOutcome::Unanswered), (1, OperationStatus::Waiting(at(now + gap))));
            now += gap;
        }
        assert_eq!(poll(&mut schedule, now, PollOutcome::Done), (1, OperationStatus::Settled));
        // It may have been done long before, so no latency was learnt.
        assert_eq!(schedule.latencies()[0].millis, vec![3000; KEPT]);
    }

    #[test]
    fn one_operation_of_an_unknown_kind_goes_ahead() {
        let mut schedule = PollSchedule::new();
        (0..50).for_each(|key| schedule.insert(key, MODEL, at(key)));
        assert_eq!(schedule.due(at(0)), PollTarget::At(at(1000)));
        for now in [1000, 1500, 2250] {
            assert!(matches!(poll(&mut schedule, now, PollOutcome::Pending), (0, OperationStatus::Waiting(_))));
        }
        assert_eq!(schedule.due(at(2300)), PollTarget::At(at(3375)));
        poll(&mut schedule, 3375, PollOutcome::Done);
        // Four next, and the others only after these are found done.
        let mut out = Vec::new();
        while let PollTarget::Now(key) = schedule.due(at(3425)) {
            schedule.begin(key, at(3425));
            out.push(key);
        }
        assert_eq!(out, [1, 2, 3, 4]);
        assert_eq!(schedule.due(at(3425)), PollTarget::At(at(10_005)));
        out.drain(..).for_each(|key| {
            schedule.report(key, PollOutcome::Done, 0.5, at(3425));
        });
        while let PollTarget::Now(key) = schedule.due(at(3425)) {
            schedule.begin(key, at(3425));
            out.push(key);
        }
        assert_eq!(out.len(), 12);
    }

    #[test]
    fn kinds_do_not_wait_for_each_other() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(1, MODEL, at(0));
        schedule.insert(2, IMAGE, at(0));
        assert_eq!(poll(&mut schedule, 1000, PollOutcome::Pending).0, 1);
        assert_eq!(poll(&mut schedule, 3100, PollOutcome::Pending).0, 1);
        assert_eq!(poll(&mut schedule, 3100, PollOutcome::Done).0, 2);
    }

    #[test]
    fn the_operation_due_longest_is_polled_first() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(1, IMAGE, at(2000));
        schedule.insert(2, IMAGE, Moment::START - Duration::from_secs(60));
        schedule.insert(3, IMAGE, at(1000));
        let order = [(); 3].map(|()| poll(&mut schedule, 9000, PollOutcome::Done).0);
        assert_eq!(order, [2, 3, 1]);
    }

    #[test]
    fn removed_and_unknown_keys_are_ignored() {
        let mut schedule = PollSchedule::new();
        schedule.insert(1, MODEL, at(0));
        assert_eq!(schedule.report(1, PollOutcome::Done, 0.5, at(0)), None);
        schedule.begin(1, at(1000));
        schedule.remove(1);
        assert_eq!(schedule.report(1, PollOutcome::Done, 0.5, at(2000)), None);
        assert_eq!(schedule.due(at(9000)), PollTarget::Nothing);
        assert_eq!(schedule.latencies(), []);
        // The next one may go ahead.
        schedule.insert(2, MODEL, at(0));
        assert_eq!(schedule.due(at(0)), PollTarget::At(at(1000)));
    }

    #[test]
    fn latencies_survive_a_restart() {
        let mut schedule = PollSchedule::new();
        schedule.insert(1, MODEL, at(0));
        poll(&mut schedule, 1000, PollOutcome::Pending);
        poll(&mut schedule, 1500, PollOutcome::Done);
        let rows = schedule.latencies();
        assert_eq!(rows, [LatencyRecord { kind: "Model/update_content".to_owned(), millis: vec![1500] }]);
        let mut many = rows.clone();
        many.push(LatencyRecord { kind: "Model/dance".to_owned(), millis: vec![1; 1000] });
        assert_eq!(PollSchedule::restore(&many).latencies(), rows);
        many[0].millis = vec![5; 1000];
        assert_eq!(PollSchedule::restore(&many).latencies()[0].millis.len(), KEPT);
    }

    proptest! {
        /// Whatever the outcomes and their order, every unsettled operation becomes due.
        #[test]
        fn every_unsettled_operation_becomes_due(steps in prop::collection::vec((0_u8..10, 0_u64..40, 0_u64..100_000), 1..300)) {
            let outcomes =
                [PollOutcome::Done, PollOutcome::Failed, PollOutcome::Pending, PollOutcome::Unknown, PollOutcome::Unanswered];
            let mut schedule = PollSchedule::new();
            let mut alive = BTreeSet::new();
            let mut out = BTreeSet::new();
            let mut now = at(0);
            for (verb, key, more) in steps {
                now = now + Duration::from_millis(more);
                match verb {
                    0..3 => {
                        schedule.insert(key, if key % 2 == 0 { IMAGE } else { MODEL }, now);
                        alive.insert(key);
                        out.remove(&key);
                    }
                    3 => {
                        schedule.remove(key);
                        alive.remove(&key);
                        out.remove(&key);
                    }
                    4..7 => if let PollTarget::Now(key) = schedule.due(now) {
                        schedule.begin(key, now);
                        prop_assert!(out.insert(key));
                    },
                    _ => {
                        let status = schedule.report(key, outcomes[(more % 5) as usize], 0.5, now);
                        prop_assert_eq!(status.is_some(), out.remove(&key));
                        if matches!(status, Some(OperationStatus::Settled | OperationStatus::Gone)) {
                            alive.remove(&key);
                        }
                    }
                }
                prop_assert_eq!(schedule.len(), alive.len());
            }
            while alive.len() > out.len() {
                let key = match schedule.due(now) {
                    PollTarget::Now(key) => key,
                    PollTarget::At(later) => {
                        now = later;
                        continue;
                    }
                    PollTarget::Nothing => return Err(TestCaseError::fail("forgotten")),
                };
                schedule.begin(key, now);
                schedule.report(key, PollOutcome::Done, 0.5, now);
                prop_assert!(alive.remove(&key) && !out.contains(&key));
            }
        }
    }
}
