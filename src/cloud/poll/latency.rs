//! How long operations take: the estimate for one kind, and how it stays true.
//!
//! A poll reveals only "done by now" or "not yet". Polling at the expected time alone could never
//! reveal that operations became faster. So every now and then a probe polls one operation early.
//! Probes that find their operations done cost nothing, and the expectation falls. A probe that
//! finds its operation running costs a poll, and probes become rarer.

use crate::model::asset::AssetType;
use crate::model::latency::LatencySample;
use std::collections::VecDeque;
use std::time::Duration;

/// The purpose of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OperationAction {
    /// Creates an asset.
    Create,
    /// Gives an asset new content.
    UpdateContent,
    /// Changes an asset's metadata.
    UpdateMetadata,
}

/// Operations that take about equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OperationKind {
    /// The type of the asset.
    pub asset_type: AssetType,
    /// The purpose of the operation.
    pub action: OperationAction,
}

/// The ages at which a kind without known latencies is scouted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScoutAges {
    /// The first poll of the leader.
    pub(super) leader: Duration,
    /// The first second opinion.
    pub(super) second: Duration,
}

impl OperationKind {
    /// Returns the name in the state, such as `Model/create`.
    pub(crate) fn name(self) -> String {
        let action = match self.action {
            OperationAction::Create => "create",
            OperationAction::UpdateContent => "update_content",
            OperationAction::UpdateMetadata => "update_metadata",
        };
        format!("{}/{action}", self.asset_type.name())
    }

    /// Parses a name that [`OperationKind::name`] made.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (asset_type, action) = name.split_once('/')?;
        let action = match action {
            "create" => OperationAction::Create,
            "update_content" => OperationAction::UpdateContent,
            "update_metadata" => OperationAction::UpdateMetadata,
            _ => return None,
        };
        Some(Self { asset_type: asset_type.parse().ok()?, action })
    }

    /// Whether operations of the other kind probably take about as long: they change the same type
    /// of asset, or go through the same pipeline.
    pub(super) fn resembles(self, other: Self) -> bool {
        let is_metadata = |kind: Self| kind.action == OperationAction::UpdateMetadata;
        match (is_metadata(self), is_metadata(other)) {
            (true, true) => true,
            (false, false) => self.pipeline() == other.pipeline(),
            (true, false) | (false, true) => false,
        }
    }

    /// Returns a type that stands for all that Roblox processes in the same way.
    const fn pipeline(self) -> AssetType {
        match self.asset_type {
            AssetType::Image | AssetType::Decal => AssetType::Image,
            AssetType::Model | AssetType::Animation | AssetType::Mesh => AssetType::Model,
            AssetType::Audio => AssetType::Audio,
            AssetType::Video => AssetType::Video,
        }
    }

    /// Returns the ages at which a kind is scouted of which nothing is known. Users of the API
    /// report 1.3 to 10 s for .rbxm, about 3 s for small .fbx and half an hour for heavy meshes.
    /// Images and metadata take a short pipeline; audio and video are transcoded.
    pub(super) const fn cold(self) -> ScoutAges {
        let (leader, second) = match (self.action, self.asset_type) {
            (OperationAction::UpdateMetadata, _) => (1, 3),
            (_, AssetType::Image | AssetType::Decal) => (1, 5),
            (_, AssetType::Model | AssetType::Animation | AssetType::Mesh | AssetType::Audio) => (1, 10),
            (_, AssetType::Video) => (5, 60),
        };
        ScoutAges { leader: Duration::from_secs(leader), second: Duration::from_secs(second) }
    }
}

/// The number of latencies that are kept: enough for a twentieth to show, few enough to follow a
/// change.
pub(super) const KEPT: usize = 64;

/// The number of latencies from which a kind counts as known.
const KNOWN: usize = 16;

/// The share of operations that should be done at their first poll, in percent.
const QUANTILE: usize = 95;

/// The share of the expectation at which a probe polls.
const EARLY: f64 = 0.8;

/// The earliest poll after submission: the response takes as long.
const SOONEST: Duration = Duration::from_millis(200);

/// The probes in a row that must find their operation done before the expectation falls. If a fifth
/// of the operations took longer, the chance would be one in fifteen.
const STREAK: u32 = 12;

/// How many of the latest operations must have taken equally long, as far as is known, so that the
/// poll of a lone one narrows down how long that is: by how much at most, and until it is known how
/// closely, as shares of it.
const AGREEING: usize = 32;
const NARROWED_BY: f64 = 0.05;
const NARROW: f64 = 0.02;

/// The polls for each probe: at first, and at the rarest.
const SPACING: u32 = 8;
const WIDEST_SPACING: u32 = 128;

/// The latency estimate for one kind.
#[derive(Debug, Clone)]
pub(super) struct LatencyEstimate {
    /// The latest latencies, oldest first. An operation that was done at its first poll took no
    /// longer than expected; the expectation stands for it.
    recent: VecDeque<LatencySample>,
    expected: Option<Duration>,
    spacing: u32,
    polls_since_probe: u32,
    /// The probes in a row that found their operation done, and the highest age among them.
    streak: u32,
    streak_age: Duration,
}

impl LatencyEstimate {
    pub(super) fn new(recent: impl IntoIterator<Item = LatencySample>) -> Self {
        let mut latency = Self {
            recent: VecDeque::new(),
            expected: None,
            spacing: SPACING,
            polls_since_probe: 0,
            streak: 0,
            streak_age: Duration::ZERO,
        };
        for sample in recent {
            latency.push(sample);
        }
        latency.expected = latency.quantile();
        latency
    }

    pub(super) fn recent(&self) -> impl Iterator<Item = LatencySample> {
        self.recent.iter().copied()
    }

    pub(super) fn count(&self) -> usize {
        self.recent.len()
    }

    pub(super) fn is_known(&self) -> bool {
        self.count() >= KNOWN
    }

    /// Returns the age by which nearly all operations are done.
    pub(super) fn expected(&self) -> Option<Duration> {
        self.expected
    }

    /// Returns the age at which to poll a lone operation, for which somebody waits and polls are
    /// plentiful. While the latest could all have taken equally long, it is a little below the least
    /// age at which one was done, until that is close to the age at which one was found running.
    pub(super) fn lone_poll(&self) -> Option<Duration> {
        let latest = || self.recent.iter().rev().take(AGREEING);
        let (running, done) = (latest().map(|sample| sample.running).max()?, latest().map(|sample| sample.done).min()?);
        if running >= done {
            return self.expected;
        }
        let (width, done) = (f64::from(done - running), f64::from(done));
        let by = if width <= done * NARROW { 0.0 } else { (width / 2.0).min(done * NARROWED_BY) };
        Some(Duration::from_secs_f64((done - by) / 1000.0).max(SOONEST))
    }

    /// Returns the age at which to poll a probe, if one is due.
    pub(super) fn probe_at(&self) -> Option<Duration> {
        let expected = self.expected.filter(|_| self.is_known() && self.polls_since_probe >= self.spacing)?;
        let early = expected.mul_f64(EARLY);
        (early >= SOONEST).then_some(early)
    }

    /// Records a first poll that is no probe.
    pub(super) fn book_poll(&mut self) {
        self.polls_since_probe = self.polls_since_probe.saturating_add(1);
    }

    /// Records that an operation was done at age `done`. `pending` is the age of the last poll that
    /// found it running, if any.
    pub(super) fn learn(&mut self, pending: Option<Duration>, done: Duration) {
        let took = match (self.expected, pending) {
            // The operation may have been done long before a poll that had to wait for its turn.
            (_, Some(pending)) if self.expected.is_none_or(|expected| expected <= pending) => {
                done.min(pending.mul_f64(1.5))
            }
            (Some(expected), _) if done <= expected.mul_f64(1.25) + Duration::from_secs(1) => done.min(expected),
            (Some(_), _) => return,
            (None, _) => done,
        };
        self.add(pending, took);
    }

    /// Records how long the first operation took of which that is known: it was found running at
    /// `pending`, if ever, and then done at age `done`.
    pub(super) fn learn_first(&mut self, pending: Option<Duration>, done: Duration) {
        self.add(pending, done);
    }

    fn add(&mut self, running: Option<Duration>, done: Duration) {
        let done = millis(done.max(SOONEST));
        self.push(LatencySample { running: running.map_or(0, millis).min(done), done });
        self.expected = self.quantile();
    }

    /// Forgets what is known: operations take longer than they did.
    pub(super) fn forget(&mut self) {
        *self = Self::new([]);
    }

    /// Records that a probe was sent.
    pub(super) fn send_probe(&mut self) {
        self.polls_since_probe = 0;
    }

    /// Records that a probe sent at age `early` found its operation done.
    pub(super) fn probe_done(&mut self, early: Duration) {
        self.learn(None, early);
        self.spacing = (self.spacing / 2).max(SPACING.min(self.spacing));
        self.streak += 1;
        self.streak_age = self.streak_age.max(early);
        let Some(expected) = self.expected.filter(|_| self.streak >= STREAK) else { return };
        // Not the age that was planned: probes may have waited for the budget.
        let lowered = self.streak_age;
        for sample in self.recent.iter_mut().filter(|sample| sample.done <= millis(expected)) {
            sample.done = sample.done.min(millis(lowered));
            sample.running = sample.running.min(sample.done);
        }
        self.expected = self.quantile();
        self.streak = 0;
        self.streak_age = Duration::ZERO;
        // The expectation may be far off, so the next probe follows at once.
        self.spacing = 1;
    }

    /// Records that a probe found its operation running.
    pub(super) fn probe_early(&mut self) {
        self.streak = 0;
        self.streak_age = Duration::ZERO;
        self.spacing = self.spacing.max(SPACING).saturating_mul(2).min(WIDEST_SPACING);
    }

    fn push(&mut self, sample: LatencySample) {
        self.recent.push_back(sample);
        while self.recent.len() > KEPT {
            self.recent.pop_front();
        }
    }

    fn quantile(&self) -> Option<Duration> {
        let mut sorted: Vec<u32> = self.recent().map(|sample| sample.done).collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * QUANTILE).div_ceil(100).saturating_sub(1);
        sorted.get(rank).map(|millis| Duration::from_millis(u64::from(*millis)).max(SOONEST))
    }
}

fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn kind_names_round_trip() {
        for asset_type in AssetType::ALL {
            for action in [OperationAction::Create, OperationAction::UpdateContent, OperationAction::UpdateMetadata] {
                let kind = OperationKind { asset_type, action };
                assert_eq!(OperationKind::from_name(&kind.name()), Some(kind));
            }
        }
        for name in ["", "Model", "Model/", "Model/dance", "Place/create", "Model/create/"] {
            assert_eq!(OperationKind::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_expectation_lets_a_twentieth_take_longer() {
        let check = |recent: &[u32], expected| {
            assert_eq!(
                LatencyEstimate::new(recent.iter().copied().map(LatencySample::done)).expected(),
                expected,
                "{recent:?}"
            );
        };
        check(&[], None);
        check(&[3000], Some(ms(3000)));
        check(&[3000, 9000], Some(ms(9000)));
        check(&[0], Some(SOONEST));
        let mut many = vec![3000; 61];
        many.extend([9000, 9000, 9000]);
        check(&many, Some(ms(3000)));
        many.push(9000);
        check(&many, Some(ms(9000)));
    }

    #[test]
    fn a_latency_is_learnt_only_as_far_as_the_polls_bound_it() {
        let check = |pending: Option<u64>, done, learnt: Option<u32>| {
            let mut latency = LatencyEstimate::new([LatencySample::done(4000); KNOWN]);
            latency.learn(pending.map(ms), ms(done));
            assert_eq!(
                latency.recent().nth(KNOWN).map(|sample| sample.done),
                learnt,
                "pending {pending:?}, done {done}"
            );
        };
        check(None, 4100, Some(4000));
        check(None, 5900, Some(4000));
        check(None, 60_000, None);
        check(Some(3200), 4000, Some(4000));
        check(Some(4000), 5500, Some(5500));
        check(Some(4000), 90_000, Some(6000));
    }

    #[test]
    fn probes_reveal_that_operations_became_faster() {
        let mut latency = LatencyEstimate::new([LatencySample::done(10_000); KEPT]);
        let mut wasted = 0;
        let mut operations = 0;
        while latency.expected().unwrap() > ms(3750) {
            operations += 1;
            assert!(operations < 400, "still {:?}", latency.expected());
            match latency.probe_at() {
                Some(early) if early >= ms(3000) => {
                    latency.send_probe();
                    latency.probe_done(early);
                }
                Some(_) => {
                    latency.send_probe();
                    latency.probe_early();
                    wasted += 1;
                }
                None => {
                    latency.book_poll();
                    let expected = latency.expected().unwrap();
                    latency.learn(None, expected);
                }
            }
        }
        assert_eq!(wasted, 0);
        for _ in 0..1000 {
            if latency.probe_at().is_some() {
                latency.send_probe();
                latency.probe_early();
                wasted += 1;
            } else {
                latency.book_poll();
            }
        }
        assert!((7..=12).contains(&wasted), "{wasted} in a thousand");
        assert!(latency.expected().unwrap() >= ms(3000));
    }
}
