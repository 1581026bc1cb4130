//! Which asset the service looks at next, and when: what is under review as it falls due, and in
//! between all assets, one after another, for drift.
//!
//! Made anew with every plan, which is when what it depends on changes. Pure: time is an argument.
//! Read next: [`super::drift_scan`], which carries it out.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::engine::remote::moderation::{self, Review};
use crate::engine::remote::observe::{self, AssetQuery};
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::plan::retirement;

/// The whole of the assets is looked at for drift within this time, as far as the budget allows.
const DRIFT_ROUND: SignedDuration = SignedDuration::from_hours(6);

/// What is under review takes at most half of the budget of 120 a minute, so that no update waits
/// for it.
const LEAST: Duration = Duration::from_secs(1);

/// Where assets are many, those of this time are looked at together, so that the service wakes as
/// rarely as it does for nothing.
const TOGETHER: Duration = Duration::from_secs(15);

/// So many at most, which is half of the budget again: of more assets a round takes longer.
const MOST_AT_ONCE: u128 = 15;

/// What nobody answered is asked again after so long.
const UNANSWERED: SignedDuration = SignedDuration::from_secs(60);

/// Where they are few, those that are overdue, as after a start, are looked at in this step.
const OVERDUE: Duration = Duration::from_secs(5);

/// A look that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ScheduledScan {
    at: Timestamp,
    query: AssetQuery,
    /// Where moderation has not decided, since when.
    review: Option<Review>,
}

impl ScheduledScan {
    /// At a question that was asked last at `seen`, if ever.
    fn after(seen: Option<Timestamp>, query: AssetQuery, review: Option<Review>) -> Self {
        let drift = seen.map_or(Timestamp::MIN, |at| at.saturating_add(DRIFT_ROUND).unwrap_or(Timestamp::MAX));
        let review = review.map(|review| Review { fetched: seen, ..review });
        Self { at: review.map_or(drift, |review| review.due().min(drift)), query, review }
    }

    fn place(&self) -> impl Ord + use<> {
        (self.at, self.query)
    }
}

/// What is to be looked at, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rounds {
    /// What is under review: by when it is due, the latest first, so that the next one is popped.
    reviews: Vec<ScheduledScan>,
    /// The rest, likewise.
    drifts: Vec<ScheduledScan>,
    /// When the first asset that is on its way out may be archived.
    archiving: Option<Timestamp>,
}

impl Rounds {
    /// The looks that follow from what is wanted and known.
    pub(super) fn new(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Self {
        let reviews = moderation::under_review(desired, recorded);
        let look = |query: AssetQuery| {
            // What was seen in a future that a clock dreamt of counts as never seen.
            let seen = recorded.observed(query.asset_id).map(|seen| seen.at).filter(|at| *at <= now);
            let look = ScheduledScan::after(seen, query, reviews.get(&query.asset_id).copied());
            // What Roblox didn't find is asked for again before another such answer counts: a good one ends the
            // doubt, and lets go what waits for it.
            match recorded.not_found.get(&query.asset_id).filter(|known| !known.is_gone() && known.at <= now) {
                Some(known) => ScheduledScan { at: known.ask_again_at(now), ..look },
                None => look,
            }
        };
        let looks = observe::queries(desired, recorded).into_iter().map(look);
        let (mut reviews, mut drifts): (Vec<ScheduledScan>, Vec<ScheduledScan>) =
            looks.partition(|look| look.review.is_some());
        reviews.sort_unstable_by_key(|look| Reverse(look.place()));
        drifts.sort_unstable_by_key(|look| Reverse(look.place()));
        let coming = recorded.assets.iter().flat_map(|(address, record)| retirement::coming(address, record, desired));
        let archiving = coming.map(|coming| coming.at).filter(|at| *at > now).min();
        Self { reviews, drifts, archiving }
    }

    /// How long to wait for the next look, after one at `now`: what is under review is asked for as
    /// it falls due, and a round for drift takes as long as it may. `None` where there is no
    /// asset.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let pause = if self.share() < TOGETHER { TOGETHER } else { OVERDUE };
        let until = |looks: &[ScheduledScan]| {
            looks.last().map(|look| Duration::try_from(look.at.duration_since(now)).unwrap_or_default())
        };
        let (review, drift) = (until(&self.reviews), until(&self.drifts));
        review.map(|wait| wait.max(LEAST)).into_iter().chain(drift.map(|wait| wait.max(pause))).min()
    }

    /// The part of a round that one asset has.
    fn share(&self) -> Duration {
        let assets = u32::try_from(self.drifts.len().max(1)).unwrap_or(u32::MAX);
        DRIFT_ROUND.unsigned_abs().checked_div(assets).unwrap_or_default()
    }

    /// What is due, as much of it as one look may be about: a review before anything else.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<AssetQuery> {
        if let Some(query) = take(&mut self.reviews, now) {
            return vec![query];
        }
        let most = TOGETHER.as_millis().div_ceil(self.share().as_millis().max(1)).min(MOST_AT_ONCE);
        (0..most).map_while(|_| take(&mut self.drifts, now)).collect()
    }

    /// Looks at an asset again in a while, since nobody answered.
    pub(super) fn put_off(&mut self, asset_id: AssetId, now: Timestamp) {
        for looks in [&mut self.reviews, &mut self.drifts] {
            if let Some(at) = looks.iter().position(|look| look.query.asset_id == asset_id) {
                let look =
                    ScheduledScan { at: now.saturating_add(UNANSWERED).unwrap_or(Timestamp::MAX), ..looks.remove(at) };
                insert(looks, look);
            }
        }
    }

    /// Whether an asset may be archived that could not before; told once.
    pub(super) fn take_archiving(&mut self, now: Timestamp) -> bool {
        self.archiving.take_if(|at| *at <= now).is_some()
    }

    /// When that is.
    pub(super) const fn archiving(&self) -> Option<Timestamp> {
        self.archiving
    }
}

/// The first look, if it is due; it comes again when it is due again, or as the next plan says.
fn take(looks: &mut Vec<ScheduledScan>, now: Timestamp) -> Option<AssetQuery> {
    let ScheduledScan { query, review, .. } = looks.pop_if(|look| look.at <= now)?;
    insert(looks, ScheduledScan::after(Some(now), query, review));
    Some(query)
}

fn insert(looks: &mut Vec<ScheduledScan>, look: ScheduledScan) {
    let place = looks.partition_point(|other| other.place() > look.place());
    looks.insert(place, look);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn look(seconds: i64, asset_id: u64) -> ScheduledScan {
        let query = AssetQuery { asset_id: AssetId::new(asset_id).unwrap(), extras: false };
        ScheduledScan { at: at(seconds), query, review: None }
    }

    fn drifts(looks: impl IntoIterator<Item = ScheduledScan>) -> Rounds {
        Rounds { drifts: looks.into_iter().collect(), ..Rounds::default() }
    }

    fn ids(queries: Vec<AssetQuery>) -> Vec<u64> {
        queries.into_iter().map(|query| query.asset_id.get()).collect()
    }

    #[test]
    fn what_is_due_longest_comes_first_and_again_after_a_round() {
        let mut rounds = drifts([look(300, 3), look(200, 2), look(100, 1)]);
        assert_eq!(rounds.wait(at(0)), Some(Duration::from_secs(100)));
        assert_eq!(ids(rounds.take(at(99))), Vec::<u64>::new());
        assert_eq!(
            (ids(rounds.take(at(250))), ids(rounds.take(at(250))), ids(rounds.take(at(250)))),
            (vec![1], vec![2], vec![])
        );
        assert_eq!(rounds.wait(at(250)), Some(Duration::from_secs(50)));
        assert_eq!(ids(rounds.take(at(400))), [3]);
        assert_eq!(rounds.wait(at(400)), Some(Duration::from_secs(6 * 3600 - 150)));
        assert_eq!(rounds.drifts.len(), 3, "nothing is lost");
        rounds.put_off(AssetId::new(3).unwrap(), at(400));
        assert_eq!(rounds.wait(at(400)), Some(UNANSWERED.unsigned_abs()), "nobody answered");
        assert_eq!(Rounds::default().wait(at(0)), None);
    }

    #[test]
    fn many_are_looked_at_together_within_half_of_the_budget() {
        for (assets, pause, together) in [(1, 5, 1), (1_000, 5, 1), (10_000, 15, 7), (100_000, 15, 15)] {
            let mut rounds = drifts((1..=assets).map(|id| look(0, id)));
            assert_eq!(rounds.wait(at(1)), Some(Duration::from_secs(pause)), "{assets}");
            assert_eq!(rounds.take(at(1)).len(), together, "{assets}");
        }
    }

    #[test]
    fn what_is_under_review_comes_again_soon_then_ever_more_rarely_and_before_all_others() {
        let review = Some(Review { begun: Some(at(0)), fetched: None });
        let overdue = (2..5_000).map(|id| look(0, id));
        let mut rounds = Rounds { reviews: vec![ScheduledScan { review, ..look(0, 1) }], ..drifts(overdue) };
        let mut looked = Vec::new();
        for now in 0..500 {
            let taken = ids(rounds.take(at(now)));
            looked.extend(taken.contains(&1).then_some(now));
            assert!(!taken.is_empty(), "the others come in between");
        }
        assert_eq!(looked[..4], [0, 2, 4, 6]);
        assert!(looked.windows(3).all(|w| w[2] - w[1] >= w[1] - w[0]), "{looked:?}");
        assert!(looked.len() < 25, "{looked:?}");
    }

    #[test]
    fn an_archiving_falls_due_once() {
        let mut rounds = Rounds { archiving: Some(at(100)), ..Rounds::default() };
        assert!(!rounds.take_archiving(at(99)));
        assert!(rounds.take_archiving(at(100)));
        assert!(!rounds.take_archiving(at(101)));
        assert_eq!(rounds.archiving(), None);
    }
}
