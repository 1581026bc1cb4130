//! Fetches assets with what is left of the limits: reviews as they fall due, then all assets for
//! drift. See [`super::scan_schedule`] for when.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::scan_schedule::ScanSchedule;
use super::{Service, ServiceError};
use crate::engine::reconcile::workers::AnsweredQueries;
use crate::engine::remote::observe::QueryResult;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::platform::clock;

/// The longest wait for a fetch: a fetch can wait.
const FETCH_LIMIT: Duration = Duration::from_secs(5);

/// The delay of the plan that follows first observations, which it takes together: on a new machine
/// they arrive for hours.
const FIRST_OBSERVATIONS: Duration = Duration::from_secs(60);

impl Service<'_> {
    /// Begins to fetch the assets that are most overdue, with what is left of the limits.
    pub(super) fn scan_drift(&mut self) {
        let now = clock::elapsed();
        let again = |schedule: &ScanSchedule| schedule.wait(clock::now()).map(|wait| now + wait);
        self.times.fetch = again(&self.scan_schedule);
        let is_busy = !self.reconciler.workers.is_idle() || self.reconciler.observing.is_some();
        if is_busy || self.refused.is_some() || self.times.git.is_some() {
            return;
        }
        let queries = self.scan_schedule.take(clock::now());
        self.times.fetch = again(&self.scan_schedule);
        if !queries.is_empty() {
            self.reconciler.observe(queries, Some(FETCH_LIMIT));
        }
    }

    /// Records what was fetched.
    pub(super) async fn observed(&mut self, answered: AnsweredQueries) -> Result<(), ServiceError> {
        let AnsweredQueries { queries, answers } = answered;
        let state_cache = &self.reconciler.session.state_cache;
        for query in queries {
            let was_answered = |(asset_id, answer): &(AssetId, QueryResult)| {
                *asset_id == query.asset_id && !matches!(answer, QueryResult::Unknown { .. })
            };
            // A response that may be older than Macadam's own last write decided nothing.
            let lags = state_cache.read(|recorded| recorded.may_lag(query.asset_id, clock::now()));
            if lags || !answers.iter().any(was_answered) {
                self.scan_schedule.postpone(query.asset_id, clock::now());
            }
        }
        let mut observed = ObservedAddresses::default();
        for (asset_id, answer) in &answers {
            if let QueryResult::Unknown { why } = &answer {
                tracing::debug!(%asset_id, "could not be looked at: {why}");
            }
        }
        let take_in = |recorded: &Recorded, change: &Change| observed.take_in(recorded, change);
        self.reconciler.record_observations(&answers, take_in).await?;
        let ObservedAddresses { first, other } = observed;
        if !first.is_empty() {
            self.times.observed.get_or_insert(clock::elapsed() + FIRST_OBSERVATIONS);
        }
        self.needs.observed.extend(first);
        self.needs.touched.addresses.extend(other);
        Ok(())
    }
}

/// The addresses of which something new was observed.
#[derive(Debug, Default)]
struct ObservedAddresses {
    /// For the first time.
    first: BTreeSet<Address>,
    /// Since an earlier time.
    other: BTreeSet<Address>,
}

impl ObservedAddresses {
    fn take_in(&mut self, recorded: &Recorded, change: &Change) {
        let addresses = match Novelty::of(recorded, change) {
            Novelty::None => return,
            Novelty::First => &mut self.first,
            Novelty::Other => &mut self.other,
        };
        addresses.extend(change.addresses(recorded).cloned());
        if let Some(asset_id) = change.observed() {
            addresses.extend(recorded.owners(asset_id).map(|(address, _)| address.clone()));
        }
    }
}

/// The novelty of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Novelty {
    /// Nothing.
    None,
    /// The first observation of an asset.
    First,
    /// A change since the last observation.
    Other,
}

impl Novelty {
    fn of(recorded: &Recorded, change: &Change) -> Self {
        let is_first = |asset_id| {
            let waits = recorded.not_found.contains_key(&asset_id) || recorded.outdated.contains(&asset_id);
            !waits && !recorded.seen.contains_key(&asset_id)
        };
        match change {
            change if change.is_known(recorded) => Self::None,
            Change::RecordObservation { asset } if is_first(asset.asset_id) => Self::First,
            _ => Self::Other,
        }
    }
}

/// Returns the time until `at`, or zero if that is past.
pub(super) fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::{AssetType, Privacy};
    use crate::model::ids::{Creator, UserId};
    use crate::model::path::ProjectPath;
    use crate::model::recorded::Identity;
    use crate::model::remote::RemoteAsset;

    #[test]
    fn an_observation_is_planned_for_the_addresses_that_have_the_asset() {
        let asset_id = AssetId::new(7).unwrap();
        let mut recorded = Recorded::default();
        recorded.index_ties();
        for text in ["a", "b", "c"] {
            let address = Address::new(text).unwrap();
            let identity = Identity {
                asset_type: AssetType::Image,
                creator: Creator::User(UserId::new(1).unwrap()),
                privacy: Privacy::Default,
                path: ProjectPath::new(text).unwrap(),
            };
            let current = if text == "c" { AssetId::new(8).unwrap() } else { asset_id };
            let changes = [
                Change::SetIdentity { address: address.clone(), identity },
                Change::SetCurrentAsset { address, asset_id: current },
            ];
            changes.iter().for_each(|change| recorded.apply(change, Timestamp::UNIX_EPOCH).unwrap());
        }
        let mut observed = ObservedAddresses::default();
        let observe = Change::RecordObservation { asset: RemoteAsset::unknown(asset_id) };
        observed.take_in(&recorded, &observe);
        let texts = |addresses: &BTreeSet<Address>| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((texts(&observed.first), texts(&observed.other)), (vec!["a".to_owned(), "b".to_owned()], vec![]));
        recorded.apply(&observe, Timestamp::UNIX_EPOCH).unwrap();
        observed.take_in(&recorded, &observe);
        assert_eq!(texts(&observed.other), Vec::<String>::new(), "as before");
        observed.take_in(&recorded, &Change::RecordNotFound { asset_id });
        assert_eq!(texts(&observed.other), ["a", "b"]);
    }

    #[test]
    fn an_asset_that_is_found_again_is_planned_again() {
        let asset_id = AssetId::new(7).unwrap();
        let asset = RemoteAsset::unknown(asset_id);
        let observe = Change::RecordObservation { asset };
        let mut recorded = Recorded::default();
        let mut apply = |change: &Change| {
            let novelty = Novelty::of(&recorded, change);
            recorded.apply(change, Timestamp::UNIX_EPOCH).unwrap();
            novelty
        };
        assert_eq!(apply(&observe), Novelty::First);
        assert_eq!(apply(&observe), Novelty::None, "as before");
        assert_eq!(apply(&Change::RecordNotFound { asset_id }), Novelty::Other);
        assert_eq!(apply(&observe), Novelty::Other, "found again");
        assert_eq!(apply(&observe), Novelty::None);
        apply(&Change::MarkOutdated { asset_id });
        assert_eq!(apply(&observe), Novelty::Other, "a fact of the lockfile made the last one outdated");
    }
}
