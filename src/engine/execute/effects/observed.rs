//! The changes that follow from reading an asset. Pure.

use jiff::Timestamp;

use super::{key_of, ordinal_of};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::event::EventKind;
use crate::model::history::{Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::AssetId;
use crate::model::recorded::{Record, Recorded};
use crate::model::remote::RemoteAsset;

/// Returns the `facts` about an asset, for every address.
pub(crate) fn of_all(
    recorded: &Recorded,
    asset_id: AssetId,
    facts: fn(&Address, &Record, AssetId) -> Vec<Change>,
) -> Vec<Change> {
    recorded.owners(asset_id).flat_map(|(address, record)| facts(address, record, asset_id)).collect()
}

/// Records that Roblox no longer has an asset. Rejected revisions stay rejected, except for the
/// newest, which stands for the asset.
pub(crate) fn gone(address: &Address, record: &Record, asset_id: AssetId) -> Vec<Change> {
    let of_asset = || record.history.of_asset(asset_id);
    let newest = of_asset().next_back().map(|(key, _)| key);
    let vanishes = |key: RevisionKey, fact: &RevisionFact| match fact.state {
        RevisionState::Unverified | RevisionState::Reviewing | RevisionState::Live => true,
        RevisionState::Rejected => Some(key) == newest,
        RevisionState::Gone => false,
    };
    let gone = of_asset().filter(|(key, fact)| vanishes(*key, fact));
    gone.map(|(key, fact)| Change::AddRevision { address: address.clone(), key, fact: fact.now(RevisionState::Gone) })
        .collect()
}

/// Records that moderation rejected an asset, for a type with one content per asset.
pub(crate) fn rejected(address: &Address, record: &Record, asset_id: AssetId) -> Vec<Change> {
    stand(address, record, asset_id, RevisionState::Rejected)
}

fn stand(address: &Address, record: &Record, asset_id: AssetId, state: RevisionState) -> Vec<Change> {
    let of_asset = record.history.of_asset(asset_id);
    of_asset.map(|(key, fact)| Change::AddRevision { address: address.clone(), key, fact: fact.now(state) }).collect()
}

/// Derives the changes from an observation, for an address that has the asset. With `lags`, the
/// response may be older than Macadam's own last write of the asset. `of_another` is what another
/// address that has the asset knows of its current revision.
pub(crate) fn looked_at(
    address: &Address,
    record: &Record,
    asset: &RemoteAsset,
    of_another: Option<RevisionFact>,
    lags: bool,
    now: Timestamp,
) -> Vec<Change> {
    let known: Vec<_> = record.history.of_asset(asset.asset_id).collect();
    let Some((newest, _)) = known.last().copied() else { return Vec::new() };
    let at = key_of(record.identity.asset_type, asset);
    let mut changes = Vec::new();
    for (key, fact) in known {
        // It exists, and nothing was said against it before it vanished.
        let as_before = match fact.state {
            RevisionState::Gone | RevisionState::Unverified => RevisionState::Live,
            said => said,
        };
        let said =
            asset.moderation.filter(|_| key == at).map(|moderation| RevisionState::of_moderation(Some(moderation)));
        let state = said.unwrap_or(as_before);
        // A lagging read shows an earlier state, so it takes nothing back.
        let is_earlier = lags && state < as_before;
        if state != fact.state && !is_earlier {
            changes.push(Change::AddRevision { address: address.clone(), key, fact: fact.now(state) });
            changes.extend(event_of(fact.state, state, asset.asset_id).map(|event| Change::log(address, event)));
        }
    }
    // Versions only grow, so a newer one can't be an earlier read.
    if at.version > newest.version {
        changes.extend(match of_another {
            // Macadam made it under another name, on another branch.
            Some(fact) => {
                let fact = RevisionFact { era: 0, ..fact };
                vec![Change::AddRevision { address: address.clone(), key: at, fact }]
            }
            None => made_elsewhere(address, record, asset, now),
        });
    }
    changes
}

/// The event of a changed state, where a person may want to know of it.
const fn event_of(before: RevisionState, now: RevisionState, asset_id: AssetId) -> Option<EventKind> {
    match (before, now) {
        (_, RevisionState::Rejected) => Some(EventKind::Rejected(asset_id)),
        (RevisionState::Rejected, _) => Some(EventKind::NoLongerRejected(asset_id)),
        (RevisionState::Gone, _) => Some(EventKind::FoundAgain(asset_id)),
        (RevisionState::Unverified | RevisionState::Reviewing | RevisionState::Live, _) => None,
    }
}

/// Records a newer version of an asset that someone else made.
pub(crate) fn made_elsewhere(address: &Address, record: &Record, asset: &RemoteAsset, now: Timestamp) -> Vec<Change> {
    let key = key_of(record.identity.asset_type, asset);
    let fact = RevisionFact {
        made: Some((now, Origin::Elsewhere)),
        ..RevisionFact::new(ordinal_of(record, asset.asset_id), None, RevisionState::of_moderation(asset.moderation))
    };
    vec![
        Change::AddRevision { address: address.clone(), key, fact },
        Change::RecordObservation { asset: asset.clone() },
        Change::log(address, EventKind::MadeElsewhere { asset_id: asset.asset_id, version: key.version }),
    ]
}
