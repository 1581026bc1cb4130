//! Fetches assets from Roblox, and derives what each observation means for the addresses that have
//! the asset.
//!
//! It concludes only from responses: an asset that could not be fetched stays as recorded. Nothing
//! here changes anything at Roblox. Read next: [`crate::engine::execute::effects`].

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::cloud::client::Client;
use crate::engine::execute::effects;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::fetch::{AssetQuery, fetch};
use crate::engine::remote::throttle::Throttle;
use crate::engine::report::run_report::Stop;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::event::EventKind;
use crate::model::history::{RevisionFact, RevisionState};
use crate::model::ids::AssetId;
use crate::model::metadata::Field;
use crate::model::observation::{Mismatch, NotFound};
use crate::model::phase::Phase;
use crate::model::recorded::{Record, Recorded};
use crate::model::remote::RemoteAsset;
use crate::plan::current::{current, last};

/// The number of requests in flight at once; the limits decide how fast they go.
const IN_FLIGHT: usize = 16;

/// The result of fetching one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueryResult {
    /// Roblox describes it.
    Present(Box<RemoteAsset>),
    /// Roblox doesn't have it.
    Gone,
    /// It could not be fetched.
    Unknown { why: String },
}

/// Returns a query for every asset that is in use, or was when its address left this checkout's
/// manifest. Assets that Roblox last called gone or rejected are included: that may have changed. So
/// are archived ones of which a lockfile made outdated what was seen, or contradicts that.
pub(crate) fn queries(desired: &Desired, recorded: &Recorded) -> Vec<AssetQuery> {
    let mut all: BTreeMap<AssetId, bool> = BTreeMap::new();
    for (address, record) in &recorded.assets {
        let want = desired.assets.get(address);
        let asset = match want {
            Some(want) => current(want, record),
            None if record.in_lockfile.is_of(&desired.checkout) => last(record),
            None => continue,
        };
        let archived = record.retirements.iter().filter(|(_, retirement)| retirement.archived_at.is_some());
        let is_asked = |asset_id| recorded.outdated.contains(asset_id) || recorded.contradicted.contains(asset_id);
        for (asset_id, _) in archived.filter(|(asset_id, _)| is_asked(*asset_id)) {
            all.entry(*asset_id).or_default();
        }
        let lost = |fact: &RevisionFact| matches!(fact.state, RevisionState::Rejected | RevisionState::Gone);
        for (key, _) in record.history.iter().filter(|(_, fact)| lost(fact)) {
            all.entry(key.asset_id).or_default();
        }
        let Some((key, _)) = asset else { continue };
        let wanted = want.map(|want| want.metadata.digests()).unwrap_or_default();
        let extras = wanted.keys().chain(record.asked.keys()).any(|field| is_extra(*field));
        *all.entry(key.asset_id).or_default() |= extras;
    }
    all.into_iter().map(|(asset_id, extras)| AssetQuery { asset_id, extras }).collect()
}

/// Returns whether Roblox sends this field only on request.
pub(crate) fn is_extra(field: Field) -> bool {
    match field {
        Field::DisplayName | Field::Description => false,
        Field::Icon | Field::Previews | Field::SocialLink(_) => true,
    }
}

/// Fetches every asset. Ends early when the run ends; a refused key ends the run.
pub(crate) async fn fetch_assets(
    client: &Client,
    throttle: &Throttle,
    stop: &Shutdown,
    queries: Vec<AssetQuery>,
) -> Vec<(AssetId, QueryResult)> {
    let answers = futures_util::stream::iter(queries).map(async |query| {
        let answer = stop.or(ask(client, throttle, stop, query)).await?;
        Some((query.asset_id, answer))
    });
    answers.buffer_unordered(IN_FLIGHT).filter_map(std::future::ready).collect().await
}

async fn ask(client: &Client, throttle: &Throttle, stop: &Shutdown, query: AssetQuery) -> QueryResult {
    let failure = match fetch(client, throttle, query).await {
        Ok(asset) => return QueryResult::Present(Box::new(asset)),
        Err(failure) if failure.is_not_found() => return QueryResult::Gone,
        Err(failure) => failure,
    };
    if failure.is_credential() {
        let hint = failure.hint().unwrap_or_default().to_owned();
        stop.trigger(Stop::Credential { message: failure.to_string(), hint });
    }
    QueryResult::Unknown { why: failure.cause() }
}

/// Returns the changes that follow from a result. While a change of the asset is open there are
/// none: the observation may show that change.
pub(crate) fn apply_observation(
    recorded: &Recorded,
    asset_id: AssetId,
    answer: &QueryResult,
    now: Timestamp,
) -> Vec<Change> {
    let mut sent = recorded.attempts.values().filter(|attempt| attempt.phase != Phase::Intended);
    if sent.any(|attempt| attempt.intent.asset_id() == Some(asset_id)) {
        return Vec::new();
    }
    match answer {
        QueryResult::Present(asset) => observed(recorded, asset, now),
        QueryResult::Gone => not_found(recorded, asset_id, now),
        QueryResult::Unknown { .. } => Vec::new(),
    }
}

/// Returns the changes that follow from an observation of an asset. The observation may be older
/// than Macadam's own last write; then it decides only what an older one can't show. The last
/// observation, with what was written since, stays until a later one.
pub(crate) fn observed(recorded: &Recorded, asset: &RemoteAsset, now: Timestamp) -> Vec<Change> {
    let asset_id = asset.asset_id;
    let owners: Vec<_> = recorded.owners(asset_id).filter(|(_, record)| has(record, asset_id)).collect();
    let observation = Change::RecordObservation { asset: asset.clone() };
    // Macadam's writes change neither owner nor type. If these differ from the record, it is
    // another asset, and nothing else of the observation counts.
    if owners.iter().any(|(_, record)| Mismatch::of(record.kind_of(asset_id), asset).is_some()) {
        return vec![observation];
    }
    let lags = recorded.may_lag(asset_id, now) && recorded.seen.contains_key(&asset_id);
    // One asset may have two addresses, by which two branches call it: what was made under one name
    // is not somebody else's under the other.
    let known = |record: &Record| {
        let key = effects::key_of(record.identity.asset_type, asset);
        record.history.get(key).copied()
    };
    let known = owners.iter().find_map(|(_, record)| known(record));
    let looked_at = |(address, record)| effects::looked_at(address, record, asset, known, lags, now);
    let mut changes: Vec<Change> = owners.into_iter().flat_map(looked_at).collect();
    match recorded.seen.get(&asset_id).filter(|_| lags) {
        None => changes.push(observation),
        // Of a lagging observation only the moderation state counts, and only where it is a later
        // one.
        Some(seen) if !recorded.outdated.contains(&asset_id) && !recorded.contradicted.contains(&asset_id) => {
            let is_later =
                RevisionState::of_moderation(asset.moderation) >= RevisionState::of_moderation(seen.asset.moderation);
            let moderation = asset.moderation.filter(|_| is_later).or(seen.asset.moderation);
            changes.push(Change::RecordObservation { asset: RemoteAsset { moderation, ..seen.asset.clone() } });
        }
        Some(_) => {}
    }
    changes
}

/// Returns the changes that follow from a 404. The first is recorded; only several that are minutes
/// apart make the asset gone.
pub(crate) fn not_found(recorded: &Recorded, asset_id: AssetId, now: Timestamp) -> Vec<Change> {
    if recorded.may_lag(asset_id, now) {
        return Vec::new();
    }
    let known = recorded.not_found.get(&asset_id).copied();
    let not_found = NotFound::again(known, now);
    let mut changes = vec![Change::RecordNotFound { asset_id }];
    if known == Some(not_found) {
        return changes;
    }
    for (address, record) in recorded.owners(asset_id).filter(|(_, record)| has(record, asset_id)) {
        let gone = if not_found.is_gone() { effects::gone(address, record, asset_id) } else { Vec::new() };
        let event = if gone.is_empty() {
            EventKind::NotFound { asset_id, answers: not_found.answers }
        } else {
            EventKind::Gone(asset_id)
        };
        changes.extend(gone);
        changes.push(Change::log(address, event));
    }
    changes
}

/// Returns the `queries` to fetch before the first plan: outdated assets, those that only another
/// tool's records mention, and due ones that Roblox didn't find.
pub(crate) fn urgent(queries: Vec<AssetQuery>, recorded: &Recorded, now: Timestamp) -> Vec<AssetQuery> {
    let is_due = |known: &NotFound| !known.is_gone() && (known.next_at() <= now || known.at > now);
    let is_due = |query: &AssetQuery| recorded.not_found.get(&query.asset_id).is_some_and(is_due);
    let due: Vec<AssetQuery> = queries.iter().copied().filter(is_due).collect();
    let outdated = outdated(queries, recorded);
    let more: Vec<AssetQuery> = due.into_iter().filter(|query| !outdated.contains(query)).collect();
    outdated.into_iter().chain(more).collect()
}

/// Returns the `queries` of assets whose last observation proves nothing: the lockfile made it
/// outdated, or only another tool's records mention the asset. Those that Roblox didn't find have
/// their own time.
pub(crate) fn outdated(queries: Vec<AssetQuery>, recorded: &Recorded) -> Vec<AssetQuery> {
    let facts = recorded.assets.values().flat_map(|record| record.history.iter());
    let unverified: BTreeSet<AssetId> =
        facts.filter(|(_, fact)| fact.state == RevisionState::Unverified).map(|(key, _)| key.asset_id).collect();
    let proves_nothing = |query: &AssetQuery| {
        let is_unverified =
            || unverified.contains(&query.asset_id) && !recorded.not_found.contains_key(&query.asset_id);
        recorded.outdated.contains(&query.asset_id) || is_unverified()
    };
    queries.into_iter().filter(proves_nothing).collect()
}

fn has(record: &Record, asset_id: AssetId) -> bool {
    record.history.of_asset(asset_id).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::asset::{AssetType, Privacy};
    use crate::model::history::{Origin, RevisionKey};
    use crate::model::ids::{ContentHash, Creator, Revision, UserId};
    use crate::model::path::ProjectPath;
    use crate::model::recorded::Identity;

    fn asset_id() -> AssetId {
        AssetId::new(7).unwrap()
    }

    fn add(recorded: &mut Recorded, address: &str, version: u64) {
        let address = Address::new(address).unwrap();
        let identity = Identity {
            asset_type: AssetType::Model,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new(address.as_str()).unwrap(),
        };
        let key = RevisionKey { asset_id: asset_id(), version: Revision::new(version).ok() };
        let fact = RevisionFact {
            ordinal: 0,
            content: Some(ContentHash::from_bytes([1; 32])),
            state: RevisionState::Live,
            round: 0,
            shared: false,
            kind: None,
            disputed: false,
            era: 0,
            made: Some((Timestamp::UNIX_EPOCH, Origin::UpdateContent)),
        };
        for change in
            [Change::SetIdentity { address: address.clone(), identity }, Change::AddRevision { address, key, fact }]
        {
            recorded.apply(&change, Timestamp::UNIX_EPOCH).unwrap();
        }
    }

    /// An asset was renamed and rolled back on one branch. On another one, which has it under its
    /// old name, its new revision was taken for somebody else's.
    #[test]
    fn a_revision_that_was_made_under_another_name_is_not_somebody_elses() {
        let mut recorded = Recorded::default();
        add(&mut recorded, "old", 1);
        add(&mut recorded, "new", 1);
        add(&mut recorded, "new", 2);
        let see = |version: u64| {
            let asset = RemoteAsset { revision: Revision::new(version).ok(), ..RemoteAsset::unknown(asset_id()) };
            let mut after = recorded.clone();
            for change in observed(&after.clone(), &asset, Timestamp::UNIX_EPOCH) {
                after.apply(&change, Timestamp::UNIX_EPOCH).unwrap();
            }
            let of = |address: &str| after.assets[&Address::new(address).unwrap()].newest().unwrap().1;
            (of("old").content.is_some(), of("new").content.is_some())
        };
        assert_eq!(see(2), (true, true));
        assert_eq!(see(3), (false, false), "nobody here made it");
    }
}
