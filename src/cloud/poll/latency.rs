//! How long operations take: what is known of one kind, and how it is kept true.
//!
//! A poll tells only "done by now" or "not yet", so polling at the expected time alone could never
//! learn that operations became faster. So now and then one operation is polled early, as a scout:
//! while scouts find their operations done, which costs nothing, the expectation falls; when one
//! finds it running, which costs a poll, scouts become rarer.

use crate::model::asset::AssetType;
use std::collections::VecDeque;
use std::time::Duration;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OperationAction {
    /// Makes an asset.
    Create,
    /// Gives an asset new content.
    UpdateContent,
    /// Changes an asset's description of itself.
    UpdateMetadata,
}

/// Operations that take about as long as each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OperationKind {
    /// The type of the asset.
    pub asset_type: AssetType,
    /// What is done to it.
    pub action: OperationAction,
}

impl OperationKind {
    /// The name in the state, such as `Model/create`.
    pub(crate) fn name(self) -> String {
        let action = match self.action {
            OperationAction::Create => "create",
            OperationAction::UpdateContent => "update_content",
            OperationAction::UpdateMetadata => "update_metadata",
        };
        format!("{}/{action}", self.asset_type.name())
    }

    /// The kind of a name that [`OperationKind::name`] made.
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

    /// Of a kind of which nothing is known: when to poll the one that goes ahead, and when the
    /// others no longer wait for it. Users of the API report 1.3 to 10 s for .rbxm, about 3 s
    /// for small .fbx and half an hour for heavy meshes; images and metadata take the pipeline's
    /// short way, audio and video are transcoded.
    pub(super) const fn cold(self) -> (Duration, Duration) {
        let (ahead, others) = match (self.action, self.asset_type) {
            (OperationAction::UpdateMetadata, _) => (1, 3),
            (_, AssetType::Image | AssetType::Decal) => (1, 5),
            (_, AssetType::Model | AssetType::Animation | AssetType::Mesh | AssetType::Audio) => (1, 10),
            (_, AssetType::Video) => (5, 60),
        };
        (Duration::from_secs(ahead), Duration::from_secs(others))
    }
}

/// So many latencies are kept: enough to tell a twentieth, few enough to follow a change.
pub(super) const KEPT: usize = 64;

/// With so many the kind counts as known.
const KNOWN: usize = 16;

/// The share of operations that should be done at their first poll, in hundredths.
const QUANTILE: usize = 95;

/// A scout polls at this share of the expectation.
const EARLY: f64 = 0.8;

/// Nothing is polled sooner after it was submitted: the answer takes as long.
const SOONEST: Duration = Duration::from_millis(200);

/// So many scouts in a row must find their operation done before the expectation falls: if a fifth
/// of the operations took longer, the chance were one in fifteen.
const STREAK: u32 = 12;

/// One scout for so many polls to begin with, and at the least.
const SPACING: u32 = 8;
const WIDEST_SPACING: u32 = 128;

/// What is known of one kind.
#[derive(Debug, Clone)]
pub(super) struct LatencyEstimate {
    /// The latest, in milliseconds, oldest first. Of an operation that was done at its first poll
    /// it is known only that it took no longer than was expected: the expectation stands for
    /// it.
    recent: VecDeque<u32>,
    expected: Option<Duration>,
    spacing: u32,
    polls_since_probe: u32,
    streak: u32,
}

impl LatencyEstimate {
    pub(super) fn new(recent: impl IntoIterator<Item = u32>) -> Self {
        let mut latency =
            Self { recent: VecDeque::new(), expected: None, spacing: SPACING, polls_since_probe: 0, streak: 0 };
        for millis in recent {
            latency.push(millis);
        }
        latency.expected = latency.quantile();
        latency
    }

    pub(super) fn recent(&self) -> impl Iterator<Item = u32> {
        self.recent.iter().copied()
    }

    pub(super) fn count(&self) -> usize {
        self.recent.len()
    }

    pub(super) fn is_known(&self) -> bool {
        self.count() >= KNOWN
    }

    /// By when nearly all are done.
    pub(super) fn expected(&self) -> Option<Duration> {
        self.expected
    }

    /// When to poll a scout, if one is due.
    pub(super) fn probe_at(&self) -> Option<Duration> {
        let expected = self.expected.filter(|_| self.is_known() && self.polls_since_probe >= self.spacing)?;
        let early = expected.mul_f64(EARLY);
        (early >= SOONEST).then_some(early)
    }

    /// Books a first poll that is no scout.
    pub(super) fn book_poll(&mut self) {
        self.polls_since_probe = self.polls_since_probe.saturating_add(1);
    }

    /// Takes in that an operation, not done at `pending` (if it was asked), was done at `done`.
    pub(super) fn learn(&mut self, pending: Option<Duration>, done: Duration) {
        let took = match (self.expected, pending) {
            // It may have been done long before a poll that had to wait its turn.
            (_, Some(pending)) if self.expected.is_none_or(|expected| expected <= pending) => {
                done.min(pending.mul_f64(1.5))
            }
            (Some(expected), _) if done <= expected.mul_f64(1.25) + Duration::from_secs(1) => done.min(expected),
            (Some(_), _) => return,
            (None, _) => done,
        };
        self.push(millis(took.max(SOONEST)));
        self.expected = self.quantile();
    }

    /// Books a scout that was sent.
    pub(super) fn send_probe(&mut self) {
        self.polls_since_probe = 0;
    }

    /// A scout that was sent at `early` found its operation done.
    pub(super) fn probe_done(&mut self, early: Duration) {
        self.learn(None, early);
        self.spacing = (self.spacing / 2).max(SPACING.min(self.spacing));
        self.streak += 1;
        let Some(expected) = self.expected.filter(|_| self.streak >= STREAK) else { return };
        let lowered = expected.mul_f64(EARLY);
        for value in self.recent.iter_mut().filter(|value| **value <= millis(expected)) {
            *value = (*value).min(millis(lowered));
        }
        self.expected = self.quantile();
        self.streak = 0;
        // It was far off, perhaps: on with the next at once.
        self.spacing = 1;
    }

    /// A scout found its operation running.
    pub(super) fn probe_early(&mut self) {
        self.streak = 0;
        self.spacing = self.spacing.max(SPACING).saturating_mul(2).min(WIDEST_SPACING);
    }

    fn push(&mut self, millis: u32) {
        self.recent.push_back(millis);
        while self.recent.len() > KEPT {
            self.recent.pop_front();
        }
    }

    fn quantile(&self) -> Option<Duration> {
        let mut sorted: Vec<u32> = self.recent().collect();
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
    fn names_of_kinds_come_back() {
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
    fn a_twentieth_may_take_longer() {
        let check = |recent: &[u32], expected| {
            assert_eq!(LatencyEstimate::new(recent.iter().copied()).expected(), expected, "{recent:?}");
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
    fn what_a_poll_tells_depends_on_when_it_was() {
        let check = |pending: Option<u64>, done, learnt: Option<u32>| {
            let mut latency = LatencyEstimate::new([4000; KNOWN]);
            latency.learn(pending.map(ms), ms(done));
            assert_eq!(latency.recent().nth(KNOWN), learnt, "pending {pending:?}, done {done}");
        };
        check(None, 4100, Some(4000));
        check(None, 5900, Some(4000));
        check(None, 60_000, None);
        check(Some(3200), 4000, Some(4000));
        check(Some(4000), 5500, Some(5500));
        check(Some(4000), 90_000, Some(6000));
    }

    #[test]
    fn scouts_find_out_that_operations_became_faster() {
        let mut latency = LatencyEstimate::new([10_000; KEPT]);
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
