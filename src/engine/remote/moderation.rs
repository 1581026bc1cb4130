//! When an asset under review is fetched again. The first fetches come soon, since most reviews
//! take seconds. They become ever rarer, since the others take hours (creator-docs:
//! projects/assets/index.md, "generally within a few hours").

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::desired::Desired;
use crate::model::history::RevisionState;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::plan::current::current;

/// The shortest wait.
pub(crate) const SOONEST: SignedDuration = SignedDuration::from_secs(2);

/// The longest wait.
const LATEST: SignedDuration = SignedDuration::from_mins(30);

/// An asset under review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Review {
    /// The start of the review, if known.
    pub begun: Option<Timestamp>,
    /// The time of the last observation.
    pub fetched: Option<Timestamp>,
}

impl Review {
    /// Returns when to fetch the asset next, or the past if there is no observation yet. The wait
    /// is a quarter of the review's age at the last observation.
    pub(crate) fn due(self) -> Timestamp {
        let Some(fetched) = self.fetched else { return Timestamp::MIN };
        let age = self.begun.map_or(SignedDuration::ZERO, |begun| fetched.duration_since(begun));
        fetched.saturating_add((age / 4).clamp(SOONEST, LATEST)).unwrap_or(Timestamp::MAX)
    }
}

/// Returns every desired asset that is under review.
pub(crate) fn under_review(desired: &Desired, recorded: &Recorded) -> BTreeMap<AssetId, Review> {
    let mut reviews: BTreeMap<AssetId, Review> = BTreeMap::new();
    for (address, want) in &desired.assets {
        let Some(record) = recorded.assets.get(address) else { continue };
        let Some((key, fact)) = current(want, record).filter(|(_, fact)| fact.state == RevisionState::Reviewing) else {
            continue;
        };
        let review = reviews.entry(key.asset_id).or_default();
        review.begun = review.begun.into_iter().chain(fact.made.map(|(at, _)| at)).min();
        review.fetched = recorded.seen.get(&key.asset_id).map(|seen| seen.at);
    }
    reviews
}

/// Returns the time until the first review is due, or zero if there is none.
pub(crate) fn wait<'a>(reviews: impl IntoIterator<Item = &'a Review>, now: Timestamp) -> Duration {
    let first = reviews.into_iter().map(|review| review.due()).min().unwrap_or(now);
    Duration::try_from(first.duration_since(now)).unwrap_or(Duration::ZERO).min(LATEST.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn reviewed_assets_are_fetched_ever_more_rarely() {
        let review = |fetched| Review { begun: Some(at(0)), fetched: Some(at(fetched)) };
        for (fetched, next) in [(0, 2), (8, 10), (100, 125), (7200, 9000), (360_000, 361_800)] {
            assert_eq!(review(fetched).due(), at(next), "fetched at {fetched}");
        }
        assert_eq!(Review::default().due(), Timestamp::MIN, "never fetched");
        assert_eq!(Review { begun: None, fetched: Some(at(100)) }.due(), at(102), "known from a lockfile alone");
        let reviews = [review(360_000), review(900_000)];
        assert_eq!(wait(&reviews, at(361_000)), Duration::from_secs(800));
        assert_eq!(wait(&reviews, at(900_000)), Duration::ZERO);
        assert_eq!(wait(&[], at(5)), Duration::ZERO);
    }
}
