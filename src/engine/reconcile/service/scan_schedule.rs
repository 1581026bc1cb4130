//! Which assets the service fetches next, and when: what a newer lockfile made outdated at once,
//! reviews as they fall due, and in between all assets, one after another, for drift.
//!
//! Each plan makes a new schedule, since that is when its inputs change. Pure: time is an argument.
//! Read next: [`super::drift_scan`], which carries it out.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::moderation::{self, Review};
use crate::engine::remote::observe;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::plan::retirement;

/// The time within which every asset is fetched for drift, as far as the limits allow.
const DRIFT_ROUND: SignedDuration = SignedDuration::from_hours(6);

/// The shortest pause before a review: together they take at most half of the limit of 120 a
/// minute, so that no update waits for them.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// In large projects, the assets due within this time are fetched together, so that the service
/// wakes no more often than when idle.
const TOGETHER: Duration = Duration::from_secs(15);

/// The most assets fetched together, again half of the limit: with more assets, a round takes
/// longer.
const MOST_TOGETHER: u128 = 15;

/// The most assets whose last observation proves nothing that are fetched together, within
/// [`URGENT_SPAN`]: half of the limit, so that no update waits for them.
const MOST_URGENT: usize = 60;

/// The time within which at most [`MOST_URGENT`] of them are fetched.
const URGENT_SPAN: Duration = Duration::from_secs(60);

/// The delay before an asset is fetched again after a fetch without a result.
const RETRY_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// As many assets as are searched one by one faster than all are compared with them.
const FEW: usize = 8;

/// In small projects, overdue assets, as after a start, are fetched at this interval.
const OVERDUE: Duration = Duration::from_secs(5);

/// A planned fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ScheduledScan {
    at: Timestamp,
    query: AssetQuery,
    /// The review, if moderation has not decided yet: of few assets, and there are many.
    review: Option<Box<Review>>,
}

impl ScheduledScan {
    /// Creates the fetch that follows one at `seen`, if there was one.
    fn after(seen: Option<Timestamp>, query: AssetQuery, review: Option<Review>) -> Self {
        let drift = seen.map_or(Timestamp::MIN, |at| at.saturating_add(DRIFT_ROUND).unwrap_or(Timestamp::MAX));
        let review = review.map(|review| Review { fetched: seen, ..review });
        let at = review.map_or(drift, |review| review.due().min(drift));
        Self { at, query, review: review.map(Box::new) }
    }

    /// Returns the next fetch of the asset, after one at `now`.
    fn again(self, now: Timestamp) -> Self {
        Self::after(Some(now), self.query, self.review.map(|review| *review))
    }

    fn place(&self) -> impl Ord + use<> {
        (self.at, self.query)
    }
}

/// The planned fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ScanSchedule {
    /// The assets whose last observation proves nothing, since the lockfile says something else.
    urgent: Vec<AssetQuery>,
    /// The times of the last fetches of all assets, oldest first, at most [`MOST_URGENT`].
    lately: VecDeque<Timestamp>,
    /// The reviews, latest due first, so that the next is popped from the end.
    reviews: VecDeque<ScheduledScan>,
    /// All other assets, likewise. One that was fetched just now goes to the front, before all the
    /// others.
    drifts: VecDeque<ScheduledScan>,
    /// When the next scheduled archiving is due.
    archiving: Option<Timestamp>,
}

impl ScanSchedule {
    /// Returns the schedule for this desired and recorded state.
    pub(super) fn new(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Self {
        let reviews = moderation::under_review(desired, recorded);
        let scan = |query: AssetQuery| {
            // An observation from the future of a wrong clock counts as none.
            let seen = recorded.observed(query.asset_id).map(|seen| seen.at).filter(|at| *at <= now);
            let scan = ScheduledScan::after(seen, query, reviews.get(&query.asset_id).copied());
            // An asset that Roblox didn't find is fetched before another 404 would count: a good
            // response ends the suspicion, and releases the steps that wait for it.
            match recorded.not_found.get(&query.asset_id).filter(|known| !known.is_gone() && known.at <= now) {
                Some(known) => ScheduledScan { at: known.ask_again_at(now), ..scan },
                None => scan,
            }
        };
        let queries = observe::queries(desired, recorded);
        let (urgent, lately) = (urgent(queries.clone(), recorded, now), lately(recorded, now));
        let scans = queries.into_iter().map(scan);
        let (mut reviews, mut drifts): (Vec<ScheduledScan>, Vec<ScheduledScan>) =
            scans.partition(|scan| scan.review.is_some());
        reviews.sort_unstable_by_key(|scan| Reverse(scan.place()));
        drifts.sort_unstable_by_key(|scan| Reverse(scan.place()));
        let coming = recorded.assets.iter().flat_map(|(address, record)| retirement::coming(address, record, desired));
        let archiving = coming.map(|coming| coming.at).filter(|at| *at > now).min();
        drifts.shrink_to_fit(); // for as long as the service runs
        Self { urgent, lately, reviews: reviews.into(), drifts: drifts.into(), archiving }
    }

    /// Replaces what is planned for some addresses, of which this is wanted and known.
    pub(super) fn update(&mut self, desired: &Desired, recorded: &Recorded, now: Timestamp) {
        // What was fetched of all is known already.
        let Self { urgent, lately: _, reviews, drifts, archiving } = Self::new(desired, recorded, now);
        let theirs: BTreeSet<AssetId> = recorded.assets.values().flat_map(|record| record.history.assets()).collect();
        let theirs: Vec<AssetId> = theirs.into_iter().collect();
        let is_other = |query: &AssetQuery| theirs.binary_search(&query.asset_id).is_err();
        self.urgent.retain(is_other);
        self.urgent.extend(urgent);
        for (scans, new) in [(&mut self.reviews, reviews), (&mut self.drifts, drifts)] {
            // A save touches one or two of all assets.
            match theirs.len() <= FEW {
                true => theirs.iter().for_each(|asset_id| drop(remove(scans, *asset_id))),
                false => scans.retain(|scan| is_other(&scan.query)),
            }
            new.into_iter().for_each(|scan| insert(scans, scan));
        }
        self.archiving = self.archiving.into_iter().chain(archiving).min();
    }

    /// Returns how long to wait for the next fetch, after one at `now`; `None` if there is no
    /// asset. Reviews are fetched as they fall due; a drift scan takes as long as it may.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let pause = if self.share() < TOGETHER { TOGETHER } else { OVERDUE };
        let until = |scans: &VecDeque<ScheduledScan>| {
            scans.back().map(|scan| Duration::try_from(scan.at.duration_since(now)).unwrap_or_default())
        };
        let (review, drift) = (until(&self.reviews), until(&self.drifts));
        let urgent = if self.urgent.is_empty() { None } else { self.next_urgent(now) };
        let soon = review.into_iter().chain(urgent).map(|wait| wait.max(SHORTEST_PAUSE));
        soon.chain(drift.map(|wait| wait.max(pause))).min()
    }

    /// Returns how many urgent assets may be fetched now.
    fn most_urgent(&self, now: Timestamp) -> usize {
        MOST_URGENT.saturating_sub(self.lately.iter().filter(|at| is_lately(**at, now)).count())
    }

    /// Returns how long to wait until an urgent asset may be fetched.
    fn next_urgent(&self, now: Timestamp) -> Option<Duration> {
        if self.most_urgent(now) > 0 {
            return Some(Duration::ZERO);
        }
        let free = self.lately.front()?.saturating_add(URGENT_SPAN).unwrap_or(Timestamp::MAX);
        Some(Duration::try_from(free.duration_since(now)).unwrap_or_default())
    }

    /// Returns the part of a round's time that one asset has.
    fn share(&self) -> Duration {
        let assets = u32::try_from(self.drifts.len().max(1)).unwrap_or(u32::MAX);
        DRIFT_ROUND.unsigned_abs().checked_div(assets).unwrap_or_default()
    }

    /// Takes the fetches that are due and may go together: urgent ones, then a review, then the
    /// others.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<AssetQuery> {
        let most = self.most_urgent(now).min(self.urgent.len());
        let urgent: Vec<AssetQuery> = self.urgent.drain(..most).collect();
        if !urgent.is_empty() {
            self.lately.extend(urgent.iter().map(|_| now));
            self.lately.drain(..self.lately.len().saturating_sub(MOST_URGENT));
            for scans in [&mut self.reviews, &mut self.drifts] {
                let (taken, rest) = scans.drain(..).partition(|scan| urgent.contains(&scan.query));
                *scans = rest;
                let taken: VecDeque<ScheduledScan> = taken;
                let again = |scan: ScheduledScan| scan.again(now);
                taken.into_iter().map(again).for_each(|scan| insert(scans, scan));
            }
            return urgent;
        }
        if let Some(query) = take(&mut self.reviews, now) {
            return vec![query];
        }
        let most = TOGETHER.as_millis().div_ceil(self.share().as_millis().max(1)).min(MOST_TOGETHER);
        (0..most).map_while(|_| take(&mut self.drifts, now)).collect()
    }

    /// Postpones an asset whose fetch had no result.
    pub(super) fn postpone(&mut self, asset_id: AssetId, now: Timestamp) {
        for scans in [&mut self.reviews, &mut self.drifts] {
            if let Some(scan) = remove(scans, asset_id) {
                let at = now.saturating_add(RETRY_AFTER).unwrap_or(Timestamp::MAX);
                insert(scans, ScheduledScan { at, ..scan });
            }
        }
    }

    /// Returns `true` once when an archiving has become due.
    pub(super) fn take_archiving(&mut self, now: Timestamp) -> bool {
        self.archiving.take_if(|at| *at <= now).is_some()
    }

    /// Returns when the next archiving is due.
    pub(super) const fn archiving(&self) -> Option<Timestamp> {
        self.archiving
    }
}

/// Returns the urgent ones of `queries`.
fn urgent(queries: Vec<AssetQuery>, recorded: &Recorded, now: Timestamp) -> Vec<AssetQuery> {
    let mut urgent = observe::outdated(queries, recorded);
    // A read that may lag would decide nothing.
    urgent.retain(|query| !recorded.may_lag(query.asset_id, now));
    urgent
}

/// Returns the times of the last observations, oldest first.
fn lately(recorded: &Recorded, now: Timestamp) -> VecDeque<Timestamp> {
    let mut lately: Vec<Timestamp> =
        recorded.seen.values().map(|seen| seen.at).filter(|at| is_lately(*at, now)).collect();
    lately.sort_unstable();
    lately.drain(..lately.len().saturating_sub(MOST_URGENT));
    lately.into()
}

fn is_lately(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() < URGENT_SPAN
}

/// Takes the first fetch if it is due, and schedules the next one of that asset.
fn take(scans: &mut VecDeque<ScheduledScan>, now: Timestamp) -> Option<AssetQuery> {
    let scan = scans.pop_back_if(|scan| scan.at <= now)?;
    let query = scan.query;
    insert(scans, scan.again(now));
    Some(query)
}

/// Removes the fetch of an asset, of which there is one at most.
fn remove(scans: &mut VecDeque<ScheduledScan>, asset_id: AssetId) -> Option<ScheduledScan> {
    let at = scans.iter().position(|scan| scan.query.asset_id == asset_id)?;
    scans.remove(at)
}

fn insert(scans: &mut VecDeque<ScheduledScan>, scan: ScheduledScan) {
    let place = scans.partition_point(|other| other.place() > scan.place());
    scans.insert(place, scan);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::Change;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn scan(seconds: i64, asset_id: u64) -> ScheduledScan {
        let query = AssetQuery { asset_id: AssetId::new(asset_id).unwrap(), extras: false };
        ScheduledScan { at: at(seconds), query, review: None }
    }

    fn drifts(scans: impl IntoIterator<Item = ScheduledScan>) -> ScanSchedule {
        ScanSchedule { drifts: scans.into_iter().collect(), ..ScanSchedule::default() }
    }

    fn ids(queries: Vec<AssetQuery>) -> Vec<u64> {
        queries.into_iter().map(|query| query.asset_id.get()).collect()
    }

    #[test]
    fn the_most_overdue_asset_comes_first_and_again_after_a_round() {
        let mut schedule = drifts([scan(300, 3), scan(200, 2), scan(100, 1)]);
        assert_eq!(schedule.wait(at(0)), Some(Duration::from_secs(100)));
        assert_eq!(ids(schedule.take(at(99))), Vec::<u64>::new());
        assert_eq!(
            (ids(schedule.take(at(250))), ids(schedule.take(at(250))), ids(schedule.take(at(250)))),
            (vec![1], vec![2], vec![])
        );
        assert_eq!(schedule.wait(at(250)), Some(Duration::from_secs(50)));
        assert_eq!(ids(schedule.take(at(400))), [3]);
        assert_eq!(schedule.wait(at(400)), Some(Duration::from_secs(6 * 3600 - 150)));
        assert_eq!(schedule.drifts.len(), 3, "nothing is lost");
        schedule.postpone(AssetId::new(3).unwrap(), at(400));
        assert_eq!(schedule.wait(at(400)), Some(RETRY_AFTER.unsigned_abs()), "nobody answered");
        assert_eq!(ScanSchedule::default().wait(at(0)), None);
    }

    #[test]
    fn many_assets_are_fetched_together_within_half_of_the_limit() {
        for (assets, pause, together) in [(1, 5, 1), (1_000, 5, 1), (10_000, 15, 7), (100_000, 15, 15)] {
            let mut schedule = drifts((1..=assets).map(|id| scan(0, id)));
            assert_eq!(schedule.wait(at(1)), Some(Duration::from_secs(pause)), "{assets}");
            assert_eq!(schedule.take(at(1)).len(), together, "{assets}");
        }
    }

    /// After an older lockfile was put back, outdated assets were fetched one every five seconds.
    #[test]
    fn outdated_assets_are_fetched_together_within_half_of_the_limit() {
        let scans: Vec<ScheduledScan> = (1..=130).rev().map(|id| scan(9_000, id)).collect();
        let urgent = scans.iter().map(|scan| scan.query).collect();
        let mut schedule = ScanSchedule { urgent, lately: [at(-50)].into(), ..drifts(scans) };
        assert_eq!(schedule.wait(at(0)), Some(SHORTEST_PAUSE));
        assert_eq!(schedule.take(at(1)).len(), MOST_URGENT - 1, "one was fetched just before");
        assert_eq!(schedule.wait(at(1)), Some(Duration::from_secs(9)), "the others of this minute wait");
        assert_eq!(ids(schedule.take(at(9))), Vec::<u64>::new());
        assert_eq!(schedule.drifts.len(), 130, "nothing is lost");
        assert_eq!(schedule.take(at(10)).len(), 1);
        assert_eq!(schedule.wait(at(10)), Some(Duration::from_secs(51)));
        // A plan of a part leaves the others as they are.
        schedule.update(&Desired::default(), &Recorded::default(), at(10));
        assert_eq!(schedule.take(at(61)).len(), MOST_URGENT - 1, "no plan of everything is needed for them");
        assert_eq!(schedule.take(at(121)).len(), 11);
        assert_eq!(schedule.wait(at(121)), Some(Duration::from_secs(21_480)), "none is left");
    }

    #[test]
    fn an_asset_outdated_by_the_lockfile_is_urgent_unless_a_read_may_lag() {
        let asset_id = AssetId::new(7).unwrap();
        let fixture = || {
            let mut recorded = Recorded::default();
            let asset = crate::model::remote::RemoteAsset::unknown(asset_id);
            recorded.apply(&Change::RecordObservation { asset }, at(1_000)).unwrap();
            recorded.apply(&Change::MarkOutdated { asset_id }, at(1_000)).unwrap();
            recorded
        };
        let query = vec![AssetQuery::plain(asset_id)];
        assert_eq!(
            (urgent(query.clone(), &fixture(), at(2_000)), lately(&fixture(), at(2_000)).len()),
            (query.clone(), 0)
        );
        assert_eq!(
            (urgent(query.clone(), &fixture(), at(1_010)), lately(&fixture(), at(1_010)).len()),
            (query.clone(), 1)
        );
        let mut written = fixture();
        written.apply(&Change::RecordWrite { asset_id, restores: false }, at(1_990)).unwrap();
        assert_eq!(urgent(query, &written, at(2_000)), Vec::new());
    }

    #[test]
    fn a_review_comes_before_all_others_and_ever_more_rarely() {
        let review = Some(Box::new(Review { begun: Some(at(0)), fetched: None }));
        let overdue = (2..5_000).map(|id| scan(0, id));
        let mut schedule = ScanSchedule { reviews: [ScheduledScan { review, ..scan(0, 1) }].into(), ..drifts(overdue) };
        let mut fetched = Vec::new();
        for now in 0..500 {
            let taken = ids(schedule.take(at(now)));
            fetched.extend(taken.contains(&1).then_some(now));
            assert!(!taken.is_empty(), "the others come in between");
        }
        assert_eq!(fetched[..4], [0, 2, 4, 6]);
        assert!(fetched.windows(3).all(|w| w[2] - w[1] >= w[1] - w[0]), "{fetched:?}");
        assert!(fetched.len() < 25, "{fetched:?}");
    }

    #[test]
    fn an_archiving_falls_due_once() {
        let mut schedule = ScanSchedule { archiving: Some(at(100)), ..ScanSchedule::default() };
        assert!(!schedule.take_archiving(at(99)));
        assert!(schedule.take_archiving(at(100)));
        assert!(!schedule.take_archiving(at(101)));
        assert_eq!(schedule.archiving(), None);
    }
}
