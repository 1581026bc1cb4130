//! The schedule of polls for running operations.
//!
//! Polls have a budget of their own, 100 a minute, and a create can afford about one of them. Each
//! operation is first polled when nearly all of its kind are done, judging by earlier ones, and
//! then at growing intervals. Of a kind without known latencies one goes ahead, and the others wait
//! for its result. The operation that has been due longest goes first. Urgent operations are a lane
//! of their own, which may have polls when the others have none left.
//!
//! The schedule must never give an operation up for an error, and never say that one failed: only
//! the remote's "done" decides, and the caller reads that. Pure: it never sends, sleeps, or reads a
//! clock.
//!
//! Read next: [`kind`] for the choice among operations of one kind, [`latency`] for the estimate of
//! each kind, `simulation` for the benchmarks.

mod entry;
mod kind;
pub(crate) mod lane;
pub(crate) mod latency;
#[cfg(test)]
mod simulation;

use super::backoff::Backoff;
use super::moment::Moment;
use crate::model::latency::LatencySample;
use crate::model::urgency::Urgency;
use entry::{PollEntry, PollPlace};
use kind::{GROWTH, LONGEST_GAP, LeaderPace, PollKind, PollRole, SHORTEST_GAP};
use lane::{Lane, Lanes};
use latency::{KEPT, ScoutAges};
pub(crate) use latency::{OperationAction, OperationKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The age from which an operation is slow: one poll ends the wait for it, and the caller decides
/// when to ask again (the contract's number; heavy meshes were seen to take 10 to 30 minutes).
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// The age up to which an unknown operation means nothing. A fresh one may be unknown for its first
/// one or two seconds.
const UNKNOWN_GRACE: Duration = Duration::from_secs(10);

/// After the grace, Macadam believes that an operation doesn't exist after this many responses in a
/// row that say so, this far apart.
const UNKNOWN_BELIEVED: u32 = 3;
const UNKNOWN_GAP: Duration = Duration::from_secs(15);

/// An answer is late whose poll was sent later than planned by more than this share of the
/// operation's age, and this long: it had to wait for the budget.
const LATE: (f64, Duration) = (0.25, Duration::from_secs(1));

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
    /// A gateway may say so. After the first seconds that is no response.
    NotVisible,
    /// No response, a server failure, or a 429.
    Unanswered,
}

/// The status of an operation after a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationStatus {
    /// Polled again at this moment at the earliest.
    Waiting(Moment),
    /// Not known to be done, and older than the schedule waits. No longer scheduled.
    Outlived,
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
    /// The latest latencies, oldest first.
    pub samples: Vec<LatencySample>,
}

/// The operations that wait for their result.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollSchedule {
    entries: HashMap<u64, PollEntry>,
    kinds: BTreeMap<OperationKind, PollKind>,
    /// The operations that are due at a moment, by lane.
    again: Lanes<BTreeSet<(Moment, u64)>>,
    /// Operations end at once, and polls are free.
    is_rehearsal: bool,
    /// The age at which a kind without known latencies is scouted, in place of its own.
    first_poll: Option<Duration>,
}

impl PollSchedule {
    /// Makes an empty schedule that knows no latencies.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes a schedule with the latencies of an earlier run. Rows of unknown kinds are skipped.
    pub(crate) fn restore(rows: &[LatencyRecord]) -> Self {
        let kinds = rows.iter().filter_map(|LatencyRecord { kind, samples }| {
            let newest = samples.iter().skip(samples.len().saturating_sub(KEPT)).copied();
            Some((OperationKind::from_name(kind)?, PollKind::new(newest)))
        });
        Self { kinds: kinds.collect(), ..Self::default() }
    }

    /// The same, with a first poll of the kinds without known latencies at this age.
    #[must_use]
    pub(crate) fn with_first_poll(self, first_poll: Option<Duration>) -> Self {
        Self { first_poll, ..self }
    }

    /// Makes a schedule for a rehearsal, whose operations end at once and whose polls are free.
    pub(crate) fn for_rehearsal() -> Self {
        Self { is_rehearsal: true, ..Self::default() }
    }

    /// Returns the known latencies, for the next run.
    pub(crate) fn latencies(&self) -> Vec<LatencyRecord> {
        let known = self.kinds.iter().filter(|(_, kind)| kind.latency.count() > 0);
        known
            .map(|(name, kind)| LatencyRecord { kind: name.name(), samples: kind.latency.recent().collect() })
            .collect()
    }

    /// Adds an operation. The caller chooses its `key`; an operation with that key is replaced.
    pub(crate) fn insert(&mut self, key: u64, kind: OperationKind, urgency: Urgency, submitted_at: Moment) {
        self.add(key, kind, urgency, submitted_at, false);
    }

    /// Adds an operation that another machine submitted at an unknown time: before `learned_at`, and
    /// probably so long ago that it is done. So it is polled as soon as the budget allows.
    pub(crate) fn insert_taken_over(
        &mut self,
        key: u64,
        kind: OperationKind,
        urgency: Urgency,
        learned_at: Moment,
        now: Moment,
    ) {
        let expected = self.kinds.get(&kind).and_then(|kind| kind.latency.expected());
        let typical = expected.unwrap_or_else(|| self.ages(kind).second);
        self.add(key, kind, urgency, learned_at.min(now - typical), true);
    }

    fn add(&mut self, key: u64, kind: OperationKind, urgency: Urgency, submitted_at: Moment, is_guessed: bool) {
        self.remove(key);
        let (lane, ages, is_rehearsal) = (Lane::of(urgency), self.ages(kind), self.is_rehearsal);
        let mut entry = PollEntry {
            kind,
            lane,
            submitted_at,
            is_guessed,
            place: PollPlace::First,
            pending: None,
            was_polled: false,
            unanswered: 0,
            unknown: 0,
        };
        let pace = self.pace(lane);
        let of_kind = self.kind(kind);
        if is_rehearsal {
            entry.place = PollPlace::Again(submitted_at);
            self.again.get_mut(lane).insert((submitted_at, key));
        } else if entry.is_measured() {
            of_kind.lanes.get_mut(lane).waiting.insert((submitted_at, key));
        } else {
            // It neither leads nor follows a leader.
            let cold = if pace == LeaderPace::Fine { ages.leader } else { ages.second };
            let at = submitted_at + of_kind.latency.expected().unwrap_or(cold);
            entry.place = PollPlace::Again(at);
            self.again.get_mut(lane).insert((at, key));
        }
        self.entries.insert(key, entry);
        self.elect(kind);
    }

    /// Removes an operation that was settled in another way. Later reports on it are ignored.
    pub(crate) fn remove(&mut self, key: u64) {
        let Some(entry) = self.entries.remove(&key) else { return };
        let submission = (entry.submitted_at, key);
        let kind = self.kinds.entry(entry.kind).or_insert_with(|| PollKind::new([]));
        let lane = kind.lanes.get_mut(entry.lane);
        match entry.place {
            PollPlace::First => {
                lane.waiting.remove(&submission);
            }
            PollPlace::Early => {
                lane.early.remove(&(entry.pending.unwrap_or_default(), submission));
            }
            PollPlace::Leading => lane.depose(key),
            PollPlace::Again(at) => {
                self.again.get_mut(entry.lane).remove(&(at, key));
            }
            PollPlace::Out { role, .. } => {
                lane.depose(key);
                kind.come_back(role);
            }
        }
        kind.begun = kind.begun.saturating_sub(usize::from(entry.was_polled));
        self.elect(entry.kind);
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

    /// Returns the operation of a lane that has been due longest.
    pub(crate) fn due(&self, lane: Lane, now: Moment) -> PollTarget {
        let is_lone = self.is_lone();
        let of_kinds = self.kinds.iter().flat_map(|(name, kind)| kind.candidates(lane, self.ages(*name), is_lone));
        match of_kinds.chain(self.again.get(lane).first().copied()).min() {
            Some((at, key)) if at <= now => PollTarget::Now(key),
            Some((at, _)) => PollTarget::At(at),
            None => PollTarget::Nothing,
        }
    }

    /// Records that an operation is being polled. Its report must follow.
    pub(crate) fn begin(&mut self, key: u64, now: Moment) {
        let Some(entry) = self.entries.get(&key) else { return };
        let (name, lane_of, submitted_at) = (entry.kind, entry.lane, entry.submitted_at);
        let (ages, is_lone) = (self.ages(name), self.is_lone());
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let kind = self.kinds.entry(name).or_insert_with(|| PollKind::new([]));
        let due = kind.candidates(lane_of, ages, is_lone).find(|(_, due)| *due == key).map(|(at, _)| at);
        let submission = (submitted_at, key);
        let lane = kind.lanes.get_mut(lane_of);
        let (due, role) = match entry.place {
            PollPlace::First => {
                lane.waiting.remove(&submission);
                let role = kind.send_first(lane_of, now.since(submitted_at));
                (due, role)
            }
            PollPlace::Early => {
                lane.early.remove(&(entry.pending.unwrap_or_default(), submission));
                lane.ask_second(now.since(submitted_at));
                (due, PollRole::Second)
            }
            PollPlace::Leading => {
                lane.poll_leader();
                (due, PollRole::Leader)
            }
            PollPlace::Again(at) => {
                self.again.get_mut(lane_of).remove(&(at, key));
                (Some(at), PollRole::Again)
            }
            PollPlace::Out { .. } => return,
        };
        let planned = due.unwrap_or(now);
        let is_late = now.since(planned) > planned.since(submitted_at).mul_f64(LATE.0) + LATE.1
            || kind.lanes.get(lane_of).is_bounded(now.since(submitted_at));
        kind.begun += usize::from(!entry.was_polled);
        entry.was_polled = true;
        entry.place = PollPlace::Out { sent_at: now, role, is_late };
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
        let operations = self.entries.len();
        let entry = self.entries.get_mut(&key)?;
        let PollPlace::Out { sent_at, role, is_late } = entry.place else { return None };
        let (name, lane_of, is_measured) = (entry.kind, entry.lane, entry.is_measured());
        let (submitted_at, age) = (entry.submitted_at, sent_at.since(entry.submitted_at));
        let outcome = match outcome {
            PollOutcome::Unknown | PollOutcome::NotVisible if age < UNKNOWN_GRACE => PollOutcome::Pending,
            outcome => outcome,
        };
        let pace = LeaderPace::of(lane_of, operations);
        let kind = self.kinds.entry(name).or_insert_with(|| PollKind::new([]));
        kind.come_back(role);
        // No longer out: its role is back already.
        entry.place = PollPlace::Leading;
        let mut is_running = false;
        let gap = match outcome {
            PollOutcome::Done | PollOutcome::Failed => {
                let was_scouted = kind.is_scouted();
                if outcome == PollOutcome::Done && is_measured {
                    kind.learn_done(role, entry.pending, age, is_late);
                }
                let is_known = was_scouted && !kind.is_scouted();
                self.remove(key);
                if is_known {
                    self.end_scouting(name);
                }
                return Some(OperationStatus::Settled);
            }
            PollOutcome::Unanswered | PollOutcome::NotVisible => {
                entry.unanswered = entry.unanswered.saturating_add(1);
                Backoff::POLL.delay(entry.unanswered, jitter)
            }
            PollOutcome::Unknown => {
                entry.unanswered = 0;
                entry.unknown += 1;
                if entry.unknown >= UNKNOWN_BELIEVED {
                    self.remove(key);
                    return Some(OperationStatus::Gone);
                }
                UNKNOWN_GAP
            }
            PollOutcome::Pending => {
                entry.unanswered = 0;
                entry.unknown = 0;
                entry.pending = Some(age);
                is_running = true;
                pending_gap(kind, pace, role, (submitted_at, age), now)
            }
        };
        // One that is said to be unknown is soon settled, whatever its age.
        if age >= PATIENCE && outcome != PollOutcome::Unknown {
            self.remove(key);
            return Some(OperationStatus::Outlived);
        }
        if is_running && is_measured && kind.learn_pending(role) {
            self.begin_scouting(key, name, age);
        }
        Some(OperationStatus::Waiting(self.put_back(key, is_running, gap, now)))
    }

    /// Puts an operation back that is not done, and returns the time of its next poll at the
    /// earliest.
    fn put_back(&mut self, key: u64, is_running: bool, gap: Duration, now: Moment) -> Moment {
        let operations = self.entries.len();
        let Some(entry) = self.entries.get_mut(&key) else { return now };
        let (age, submission) = (entry.pending.unwrap_or_default(), (entry.submitted_at, key));
        let kind = self.kinds.entry(entry.kind).or_insert_with(|| PollKind::new([]));
        let leaders_gap = LeaderPace::of(entry.lane, operations).gap(age);
        if !entry.is_measured() || !kind.is_scouted() {
            self.again_at(key, now + gap);
            return now + gap;
        }
        let lane = kind.lanes.get_mut(entry.lane);
        if lane.is_led_by(key) {
            if is_running {
                lane.found_running(age);
            }
            let at = if is_running { entry.submitted_at + age + leaders_gap } else { now + gap };
            lane.lead(key, at);
            entry.place = PollPlace::Leading;
            return at;
        }
        if !is_running {
            self.again_at(key, now + gap);
            return now + gap;
        }
        lane.early.insert((age, submission));
        entry.place = PollPlace::Early;
        now + gap
    }

    fn again_at(&mut self, key: u64, at: Moment) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.kinds.entry(entry.kind).or_insert_with(|| PollKind::new([])).lanes.get_mut(entry.lane).depose(key);
        entry.place = PollPlace::Again(at);
        self.again.get_mut(entry.lane).insert((at, key));
        let kind = entry.kind;
        self.elect(kind);
    }

    /// Begins to scout a kind whose operation `key` was running at `age`, as were others before:
    /// known latencies are outdated. It leads, and the others wait for it.
    fn begin_scouting(&mut self, key: u64, name: OperationKind, age: Duration) {
        let Some(leading) = self.entries.get(&key).map(|entry| entry.lane) else { return };
        for lane_of in Lane::ALL {
            let again = self.again.get_mut(lane_of);
            let kind = self.kinds.entry(name).or_insert_with(|| PollKind::new([]));
            let lane = kind.lanes.get_mut(lane_of);
            lane.found_running(age);
            again.retain(|(_, other)| {
                let Some(entry) = self.entries.get_mut(other).filter(|entry| entry.kind == name) else { return true };
                let Some(pending) =
                    entry.pending.filter(|_| entry.is_measured() && entry.unanswered == 0 && entry.unknown == 0)
                else {
                    return true;
                };
                entry.place = PollPlace::Early;
                lane.early.insert((pending, (entry.submitted_at, *other)));
                false
            });
            if lane_of == leading {
                lane.lead(key, Moment::START);
            }
        }
        self.elect(name);
    }

    /// Ends the scouting of a kind whose latencies are known now.
    fn end_scouting(&mut self, name: OperationKind) {
        for lane_of in Lane::ALL {
            let kind = self.kind(name);
            let found = kind.lanes.get_mut(lane_of).end_scouting();
            let expected = kind.latency.expected().unwrap_or_default();
            for key in found {
                let Some(entry) = self.entries.get_mut(&key) else { continue };
                let grown = |age: Duration| age + age.mul_f64(GROWTH).min(LONGEST_GAP);
                let age = entry.pending.filter(|age| *age >= expected).map_or(expected, grown);
                let at = entry.submitted_at + age;
                entry.place = PollPlace::Again(at);
                self.again.get_mut(lane_of).insert((at, key));
            }
        }
    }

    /// Gives each lane of a scouted kind a leader.
    fn elect(&mut self, name: OperationKind) {
        let (ages, operations) = (self.ages(name), self.entries.len());
        let kind = self.kinds.entry(name).or_insert_with(|| PollKind::new([]));
        if !kind.is_scouted() {
            return;
        }
        for lane_of in Lane::ALL {
            let lane = kind.lanes.get(lane_of);
            if lane.has_leader() {
                continue;
            }
            let running = lane.running();
            let age = if running.is_zero() {
                ages.leader
            } else {
                running + LeaderPace::of(lane_of, operations).gap(running)
            };
            let lane = kind.lanes.get_mut(lane_of);
            let Some((since, key)) = lane.take_next_leader() else { continue };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let after = entry.pending.map_or(Duration::ZERO, |age| age + SHORTEST_GAP);
            entry.place = PollPlace::Leading;
            lane.lead(key, since + age.max(after));
        }
    }

    /// Returns the ages at which a kind is scouted: from what similar kinds taught, where they did.
    fn ages(&self, name: OperationKind) -> ScoutAges {
        let similar = self.kinds.iter().filter(|(other, _)| name.resembles(**other));
        let taught = similar.filter_map(|(_, kind)| kind.latency.expected()).min();
        let cold = ScoutAges { leader: self.first_poll.unwrap_or(name.cold().leader), ..name.cold() };
        taught.map_or(cold, |taught| ScoutAges { leader: taught, second: cold.second.max(taught.mul_f64(1.5)) })
    }

    /// Whether only one operation is scheduled.
    fn is_lone(&self) -> bool {
        self.entries.len() == 1
    }

    fn pace(&self, lane: Lane) -> LeaderPace {
        LeaderPace::of(lane, self.entries.len())
    }

    fn kind(&mut self, kind: OperationKind) -> &mut PollKind {
        self.kinds.entry(kind).or_insert_with(|| PollKind::new([]))
    }
}

/// Returns the gap until the next poll of an operation that was submitted at a moment and running
/// at an age. One that was polled before its expected time waits for that; otherwise the gap grows
/// with the age.
fn pending_gap(
    kind: &PollKind,
    pace: LeaderPace,
    role: PollRole,
    (submitted_at, age): (Moment, Duration),
    now: Moment,
) -> Duration {
    let grown = if pace == LeaderPace::Fine { pace.gap(age) } else { age.mul_f64(GROWTH) };
    match kind.latency.expected().filter(|expected| *expected > age) {
        // The answer may have come after that time.
        Some(expected) if matches!(role, PollRole::Probe | PollRole::Narrowing) => {
            (submitted_at + expected).since(now).min(LONGEST_GAP)
        }
        Some(expected) => (submitted_at + expected).since(now).clamp(SHORTEST_GAP, LONGEST_GAP),
        None => grown.clamp(SHORTEST_GAP, LONGEST_GAP),
    }
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

    #[test]
    fn a_rehearsal_waits_for_no_operation() {
        let mut schedule = PollSchedule::for_rehearsal();
        for key in 0..3 {
            schedule.insert(key, IMAGE, Urgency::FirstUpload, at(500));
        }
        for key in 0..3 {
            assert_eq!(schedule.due(Lane::Ordinary, at(500)), PollTarget::Now(key));
            schedule.begin(key, at(500));
            assert_eq!(schedule.report(key, PollOutcome::Done, 0.5, at(501)), Some(OperationStatus::Settled));
        }
        assert_eq!(schedule.due(Lane::Ordinary, at(501)), PollTarget::Nothing);
    }

    fn warm(kind: OperationKind, millis: u32) -> PollSchedule {
        PollSchedule::restore(&[LatencyRecord { kind: kind.name(), samples: vec![LatencySample::done(millis); KEPT] }])
    }

    /// Polls the operation that is due at `millis`, and returns its new status.
    fn poll(schedule: &mut PollSchedule, millis: u64, outcome: PollOutcome) -> (u64, OperationStatus) {
        let PollTarget::Now(key) = schedule.due(Lane::Ordinary, at(millis)) else {
            panic!("nothing due at {millis}: {:?}", schedule.due(Lane::Ordinary, at(millis)))
        };
        schedule.begin(key, at(millis));
        (key, schedule.report(key, outcome, 1.0, at(millis)).unwrap())
    }

    #[test]
    fn a_known_kind_is_polled_when_it_should_be_done() {
        let mut schedule = warm(IMAGE, 3000);
        assert_eq!(schedule.due(Lane::Ordinary, at(0)), PollTarget::Nothing);
        (7..9).for_each(|key| schedule.insert(key, IMAGE, Urgency::FirstUpload, at(500)));
        for key in 7..9 {
            assert_eq!(schedule.due(Lane::Ordinary, at(3500)), PollTarget::Now(key));
            assert_eq!(poll(&mut schedule, 3500, PollOutcome::Done), (key, OperationStatus::Settled));
        }
        assert!(schedule.is_empty());
    }

    /// Follows an operation of a round trip of 200 ms that is alone and done after `takes`, with what
    /// `known` says of its kind. Returns the ages at which it was polled.
    fn follow_lone(known: &mut Vec<LatencyRecord>, takes: u64) -> Vec<u128> {
        let mut schedule = PollSchedule::restore(known);
        schedule.insert(1, MODEL, Urgency::Live, at(0));
        let (mut now, mut ages) = (at(0), Vec::new());
        loop {
            if let PollTarget::At(due) = schedule.due(Lane::Urgent, now) {
                now = due;
            }
            schedule.begin(1, now);
            ages.push(now.since(at(0)).as_millis());
            let outcome = if now >= at(takes) { PollOutcome::Done } else { PollOutcome::Pending };
            now = now + Duration::from_millis(200);
            if schedule.report(1, outcome, 0.5, now) == Some(OperationStatus::Settled) {
                *known = schedule.latencies();
                return ages;
            }
        }
    }

    #[test]
    fn lone_operations_narrow_down_how_long_they_take() {
        let mut known = Vec::new();
        let mut next = |takes| follow_lone(&mut known, takes);
        assert_eq!(next(2800), [1000, 1200, 1400, 1600, 1800, 2000, 2200, 2420, 2662, 2928]);
        // One poll too early, which costs the operation hardly any time.
        assert_eq!(next(2800), [2795, 2995]);
        assert_eq!([next(2800), next(2800)].concat(), [2861, 2828]);
        assert!((0..9).all(|_| next(2800) == [2828]));
        // They take longer by now, and then vary: nearly all shall be done at their first poll.
        assert_eq!(next(3500), [2828, 3028, 3530]);
        assert_eq!((next(2800), next(3500)), (vec![3530], vec![3530]));
    }

    #[test]
    fn a_lone_operation_is_polled_a_little_before_it_should_be_done() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(7, IMAGE, Urgency::FirstUpload, at(500));
        assert_eq!(schedule.due(Lane::Ordinary, at(500)), PollTarget::At(at(3350)));
        assert_eq!(poll(&mut schedule, 3350, PollOutcome::Pending), (7, OperationStatus::Waiting(at(3500))));
        schedule.insert(8, IMAGE, Urgency::FirstUpload, at(500));
        assert_eq!(poll(&mut schedule, 3500, PollOutcome::Done), (7, OperationStatus::Settled));
    }

    /// The machine was off for an hour, and an operation submitted before was done at its first
    /// poll. The next operations must not wait for an hour.
    #[test]
    fn the_time_while_the_machine_was_off_is_no_latency() {
        let mut schedule = PollSchedule::new();
        schedule.insert(7, IMAGE, Urgency::FirstUpload, at(500) - Duration::from_secs(3600));
        assert_eq!(poll(&mut schedule, 500, PollOutcome::Done), (7, OperationStatus::Settled));
        assert_eq!(schedule.latencies(), []);
        schedule.insert(8, IMAGE, Urgency::FirstUpload, at(500));
        assert_eq!(schedule.due(Lane::Ordinary, at(500)), PollTarget::At(at(500) + IMAGE.cold().leader));
    }

    #[test]
    fn an_operation_of_another_machine_is_polled_at_once_and_teaches_nothing() {
        for mut schedule in [PollSchedule::new(), warm(IMAGE, 25_000)] {
            let known = schedule.latencies();
            for key in 0..10 {
                schedule.insert_taken_over(key, IMAGE, Urgency::FirstUpload, at(40_000), at(40_000));
            }
            for _ in 0..10 {
                let (_, status) = poll(&mut schedule, 40_000, PollOutcome::Done);
                assert_eq!(status, OperationStatus::Settled);
            }
            assert_eq!(schedule.latencies(), known);
            // One that is running is polled at growing gaps.
            schedule.insert_taken_over(7, IMAGE, Urgency::FirstUpload, at(40_000), at(40_000));
            let (_, status) = poll(&mut schedule, 40_000, PollOutcome::Pending);
            assert!(matches!(status, OperationStatus::Waiting(next) if next > at(40_000)), "{status:?}");
        }
    }

    #[test]
    fn intervals_grow_with_the_age_until_patience_ends() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(7, IMAGE, Urgency::FirstUpload, at(0));
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
        // Somebody waits for a lone operation, and polls are plentiful.
        assert_eq!(gaps[..4], [300, 330, 363, 399]);
        assert_eq!(gaps.last(), Some(&60_000));
        assert!(gaps.len() < 80, "{} polls", gaps.len());
        assert!(now.since(at(0)) >= PATIENCE);
        assert_eq!((outlived, schedule.len()), (OperationStatus::Outlived, 0));
        // It may still end well, if it is followed again.
        schedule.insert(7, IMAGE, Urgency::FirstUpload, at(0));
        schedule.begin(7, now);
        assert_eq!(schedule.report(7, PollOutcome::Done, 0.5, now), Some(OperationStatus::Settled));
    }

    #[test]
    fn an_operation_unknown_for_its_first_seconds_is_pending() {
        let mut schedule = PollSchedule::new();
        schedule.insert(1, IMAGE, Urgency::FirstUpload, at(0));
        assert_eq!(poll(&mut schedule, 1000, PollOutcome::NotVisible), (1, OperationStatus::Waiting(at(1200))));
        assert_eq!(poll(&mut schedule, 1200, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(1400))));
        assert_eq!(poll(&mut schedule, 1400, PollOutcome::Done), (1, OperationStatus::Settled));
    }

    #[test]
    fn an_operation_is_gone_after_three_unknown_responses_in_a_row() {
        let mut schedule = warm(IMAGE, 3000);
        // However old it is when the machine is switched on again.
        schedule.insert(1, IMAGE, Urgency::FirstUpload, Moment::START - Duration::from_secs(3600));
        assert_eq!(poll(&mut schedule, 0, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(15_000))));
        assert_eq!(poll(&mut schedule, 15_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(30_000))));
        assert_eq!(poll(&mut schedule, 30_000, PollOutcome::Unknown), (1, OperationStatus::Gone));
        schedule.insert(1, IMAGE, Urgency::FirstUpload, at(0));
        assert_eq!(poll(&mut schedule, 20_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(35_000))));
        assert_eq!(poll(&mut schedule, 35_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(50_000))));
        // A sign of life restarts the count.
        assert_eq!(poll(&mut schedule, 50_000, PollOutcome::Pending), (1, OperationStatus::Waiting(at(55_000))));
        assert_eq!(poll(&mut schedule, 55_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(70_000))));
        assert_eq!(poll(&mut schedule, 70_000, PollOutcome::Unknown), (1, OperationStatus::Waiting(at(85_000))));
        assert_eq!(poll(&mut schedule, 85_000, PollOutcome::Unknown), (1, OperationStatus::Gone));
        assert!(schedule.is_empty());
    }

    #[test]
    fn errors_back_off_and_settle_nothing() {
        // After the first seconds a gateway's words are no answer either.
        for (start, outcome) in [(3000, PollOutcome::Unanswered), (10_000, PollOutcome::NotVisible)] {
            let mut schedule = warm(IMAGE, 3000);
            schedule.insert(1, IMAGE, Urgency::FirstUpload, at(0));
            let mut now = start;
            for gap in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
                assert_eq!(poll(&mut schedule, now, outcome), (1, OperationStatus::Waiting(at(now + gap))));
                now += gap;
            }
            assert_eq!(poll(&mut schedule, now, PollOutcome::Done), (1, OperationStatus::Settled));
            // It may have been done long before, so no latency was learnt.
            assert_eq!(schedule.latencies()[0].samples, vec![LatencySample::done(3000); KEPT]);
        }
    }

    /// The operations of an unknown kind that are due at `millis`, which go out.
    fn send_due(schedule: &mut PollSchedule, millis: u64) -> Vec<u64> {
        let mut out = Vec::new();
        while let PollTarget::Now(key) = schedule.due(Lane::Ordinary, at(millis)) {
            schedule.begin(key, at(millis));
            out.push(key);
        }
        out
    }

    #[test]
    fn one_operation_of_an_unknown_kind_goes_ahead() {
        let mut schedule = PollSchedule::new();
        (0..50).for_each(|key| schedule.insert(key, MODEL, Urgency::FirstUpload, at(key)));
        for now in [1000, 1400, 1960, 2744] {
            assert_eq!(schedule.due(Lane::Ordinary, at(now - 1)), PollTarget::At(at(now)));
            assert!(matches!(poll(&mut schedule, now, PollOutcome::Pending), (0, OperationStatus::Waiting(_))));
        }
        poll(&mut schedule, 3744, PollOutcome::Done);
        // Four next, and the others only after these are found done.
        let out = send_due(&mut schedule, 3800);
        assert_eq!(out, [1, 2, 3, 4]);
        assert_eq!(schedule.due(Lane::Ordinary, at(3800)), PollTarget::At(at(10_005)));
        out.into_iter().for_each(|key| {
            schedule.report(key, PollOutcome::Done, 0.5, at(3800));
        });
        assert_eq!(send_due(&mut schedule, 3800).len(), 12);
    }

    /// The leader may be the one that takes half an hour.
    #[test]
    fn the_others_wait_for_a_running_leader_but_not_for_ever() {
        let mut schedule = PollSchedule::new();
        (0..50).for_each(|key| schedule.insert(key, MODEL, Urgency::FirstUpload, at(0)));
        let mut asked = Vec::new();
        for now in 0..40_000 {
            for key in send_due(&mut schedule, now) {
                schedule.report(key, PollOutcome::Pending, 0.5, at(now));
                asked.push((key, now));
            }
        }
        let others: Vec<_> = asked.iter().filter(|(key, _)| *key != 0).copied().collect();
        assert_eq!(others, [(1, 10_000), (2, 15_000), (3, 22_500), (4, 33_750)]);
        assert!(asked.len() < 30, "{} polls", asked.len());
        // One of the others is done, and so all may be.
        let (key, _) = poll(&mut schedule, 50_625, PollOutcome::Pending);
        assert_eq!(key, 0, "the leader was due before");
        assert_eq!(poll(&mut schedule, 50_625, PollOutcome::Done).0, 5);
        assert_eq!(schedule.due(Lane::Ordinary, at(50_700)), PollTarget::Now(1));
    }

    /// The budget was spent, so that the first answer came after a minute. Operations take some
    /// time up to that, and not that time.
    #[test]
    fn a_late_answer_is_an_upper_bound_and_no_latency() {
        let mut schedule = PollSchedule::new();
        (0..50).for_each(|key| schedule.insert(key, IMAGE, Urgency::FirstUpload, at(0)));
        poll(&mut schedule, 1000, PollOutcome::Pending);
        assert_eq!(poll(&mut schedule, 62_000, PollOutcome::Done).0, 0);
        assert_eq!(schedule.latencies(), []);
        // All that are older are polled; a new one leads.
        let out = send_due(&mut schedule, 62_000);
        assert_eq!(out.len(), 49);
        out.into_iter().for_each(|key| {
            schedule.report(key, PollOutcome::Done, 0.5, at(62_000));
        });
        schedule.insert(50, IMAGE, Urgency::FirstUpload, at(62_000));
        schedule.insert(51, IMAGE, Urgency::FirstUpload, at(62_000));
        assert_eq!(schedule.due(Lane::Ordinary, at(62_000)), PollTarget::At(at(63_200)));
    }

    #[test]
    fn an_unknown_kind_begins_with_what_similar_kinds_taught() {
        let decal = OperationKind { asset_type: AssetType::Decal, ..IMAGE };
        let mut schedule = warm(IMAGE, 4000);
        for (kind, first) in [(decal, 4000), (OperationKind { asset_type: AssetType::Audio, ..IMAGE }, 1000)] {
            schedule.insert(1, kind, Urgency::FirstUpload, at(0));
            assert_eq!(schedule.due(Lane::Ordinary, at(0)), PollTarget::At(at(first)), "{kind:?}");
        }
    }

    /// Urgent operations wait for no other, whose polls may have no budget.
    #[test]
    fn an_urgent_operation_leads_its_own_lane() {
        let mut schedule = PollSchedule::new();
        (0..50).for_each(|key| schedule.insert(key, IMAGE, Urgency::FirstUpload, at(0)));
        schedule.insert(99, IMAGE, Urgency::Live, at(500));
        assert_eq!(schedule.due(Lane::Urgent, at(500)), PollTarget::At(at(1500)));
        schedule.begin(99, at(1500));
        schedule.report(99, PollOutcome::Pending, 0.5, at(1500));
        assert_eq!(schedule.due(Lane::Urgent, at(1500)), PollTarget::At(at(2000)));
        schedule.begin(99, at(2000));
        assert_eq!(schedule.report(99, PollOutcome::Done, 0.5, at(2000)), Some(OperationStatus::Settled));
        // It teaches the others.
        assert_eq!(schedule.due(Lane::Ordinary, at(2000)), PollTarget::Now(0));
    }

    #[test]
    fn kinds_do_not_wait_for_each_other() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(1, MODEL, Urgency::FirstUpload, at(0));
        schedule.insert(2, IMAGE, Urgency::FirstUpload, at(0));
        assert_eq!(poll(&mut schedule, 1000, PollOutcome::Pending).0, 1);
        assert_eq!(poll(&mut schedule, 3100, PollOutcome::Pending).0, 1);
        assert_eq!(poll(&mut schedule, 3100, PollOutcome::Done).0, 2);
    }

    #[test]
    fn the_operation_due_longest_is_polled_first() {
        let mut schedule = warm(IMAGE, 3000);
        schedule.insert(1, IMAGE, Urgency::FirstUpload, at(2000));
        schedule.insert(2, IMAGE, Urgency::FirstUpload, Moment::START - Duration::from_secs(60));
        schedule.insert(3, IMAGE, Urgency::FirstUpload, at(1000));
        let order = [(); 3].map(|()| poll(&mut schedule, 9000, PollOutcome::Done).0);
        assert_eq!(order, [2, 3, 1]);
    }

    #[test]
    fn removed_and_unknown_keys_are_ignored() {
        let mut schedule = PollSchedule::new();
        schedule.insert(1, MODEL, Urgency::FirstUpload, at(0));
        assert_eq!(schedule.report(1, PollOutcome::Done, 0.5, at(0)), None);
        schedule.begin(1, at(1000));
        schedule.remove(1);
        assert_eq!(schedule.report(1, PollOutcome::Done, 0.5, at(2000)), None);
        assert_eq!(schedule.due(Lane::Ordinary, at(9000)), PollTarget::Nothing);
        assert_eq!(schedule.latencies(), []);
        // The next one may go ahead.
        schedule.insert(2, MODEL, Urgency::FirstUpload, at(0));
        assert_eq!(schedule.due(Lane::Ordinary, at(0)), PollTarget::At(at(1000)));
    }

    #[test]
    fn latencies_survive_a_restart() {
        let mut schedule = PollSchedule::new();
        schedule.insert(1, MODEL, Urgency::FirstUpload, at(0));
        poll(&mut schedule, 1000, PollOutcome::Pending);
        poll(&mut schedule, 1500, PollOutcome::Done);
        let rows = schedule.latencies();
        let samples = vec![LatencySample { running: 1000, done: 1500 }];
        assert_eq!(rows, [LatencyRecord { kind: "Model/update_content".to_owned(), samples }]);
        let mut many = rows.clone();
        many.push(LatencyRecord { kind: "Model/dance".to_owned(), samples: vec![LatencySample::done(1); 1000] });
        assert_eq!(PollSchedule::restore(&many).latencies(), rows);
        many[0].samples = vec![LatencySample::done(5); 1000];
        assert_eq!(PollSchedule::restore(&many).latencies()[0].samples.len(), KEPT);
    }

    proptest! {
        /// Whatever the outcomes and their order, every unsettled operation becomes due.
        #[test]
        fn every_unsettled_operation_becomes_due(steps in prop::collection::vec((0_u8..10, 0_u64..40, 0_u64..100_000), 1..300)) {
            let outcomes =
                [PollOutcome::Done, PollOutcome::Failed, PollOutcome::Pending, PollOutcome::Unknown, PollOutcome::NotVisible, PollOutcome::Unanswered];
            let mut schedule = PollSchedule::new();
            let mut alive = BTreeSet::new();
            let mut out = BTreeSet::new();
            let mut now = at(0);
            for (verb, key, more) in steps {
                now = now + Duration::from_millis(more);
                match verb {
                    0..3 => {
                        schedule.insert(key, if key % 2 == 0 { IMAGE } else { MODEL }, Urgency::FirstUpload, now);
                        alive.insert(key);
                        out.remove(&key);
                    }
                    3 => {
                        schedule.remove(key);
                        alive.remove(&key);
                        out.remove(&key);
                    }
                    4..7 => if let PollTarget::Now(key) = schedule.due(Lane::Ordinary, now) {
                        schedule.begin(key, now);
                        prop_assert!(out.insert(key));
                    },
                    _ => {
                        let status = schedule.report(key, outcomes[(more % 6) as usize], 0.5, now);
                        prop_assert_eq!(status.is_some(), out.remove(&key));
                        if matches!(status, Some(OperationStatus::Settled | OperationStatus::Gone | OperationStatus::Outlived)) {
                            alive.remove(&key);
                        }
                    }
                }
                prop_assert_eq!(schedule.len(), alive.len());
            }
            while alive.len() > out.len() {
                let key = match schedule.due(Lane::Ordinary, now) {
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
