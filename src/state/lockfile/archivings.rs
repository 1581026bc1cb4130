//! Archivings that an earlier lockfile has and the checked-out one lacks: a revert of the commit took
//! them out, or a restore did. Only Roblox knows which.

use std::collections::{BTreeMap, BTreeSet};

use super::Ledger;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::ids::AssetId;
use crate::model::observation;
use crate::model::recorded::{Recorded, RetireReason, Retirement};

/// An archiving by an earlier lockfile of an asset that isn't archived by the checked-out one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EarlierArchiving {
    /// The address that has the asset.
    pub address: Address,
    /// The asset.
    pub asset_id: AssetId,
    /// How the newest lockfile that has it describes it.
    pub retirement: Retirement,
}

/// Returns the archivings of earlier lockfiles, the newest first, that `ledger` may have lost. It took
/// back revisions of the addresses `lost`.
///
/// A sync that restores a replaced asset keeps the revision that had replaced it, so a lockfile without
/// that revision, or with the date from before the archiving, is an earlier one. After another archiving
/// an earlier lockfile looks the same as one of a restore.
pub(crate) fn earlier_archivings(
    ledger: &Ledger,
    earlier: &[&Ledger],
    lost: &BTreeSet<Address>,
) -> Vec<EarlierArchiving> {
    let archived = earlier.iter().flat_map(|earlier| earlier.entries.values()).flat_map(|entry| &entry.retirements);
    let mut newest: BTreeMap<AssetId, Retirement> = BTreeMap::new();
    for (asset_id, retirement) in archived.filter(|(_, retirement)| retirement.archived_at.is_some()) {
        newest.entry(*asset_id).or_insert(*retirement);
    }
    if newest.is_empty() {
        return Vec::new();
    }
    let ours = || ledger.entries.values().flat_map(|entry| &entry.retirements);
    for (asset_id, _) in ours().filter(|(_, retirement)| retirement.archived_at.is_some()) {
        newest.remove(asset_id);
    }
    let mut found = Vec::new();
    for (address, entry) in &ledger.entries {
        for asset_id in entry.history.assets() {
            let Some(retirement) = newest.get(&asset_id).copied() else { continue };
            let is_as_before = || entry.retirements.get(&asset_id).is_some_and(|ours| ours.since == retirement.since);
            let may_be_lost = match retirement.why {
                RetireReason::Replaced => lost.contains(address) || is_as_before(),
                RetireReason::Removed | RetireReason::ByHand => true,
            };
            if may_be_lost {
                found.push(EarlierArchiving { address: address.clone(), asset_id, retirement });
            }
        }
    }
    found
}

/// Returns the changes that make these archivings count until Roblox was asked about the assets, which
/// the next run does before it plans. What this state knows better stays.
pub(crate) fn ask_about(recorded: &Recorded, earlier: &[EarlierArchiving]) -> Vec<Change> {
    let mut changes = Vec::new();
    for EarlierArchiving { address, asset_id, retirement } in earlier {
        let Some(record) = recorded.assets.get(address) else { continue };
        let ours = record.retirements.get(asset_id).copied();
        let is_known =
            ours.is_some_and(|ours| ours.archived_at.is_some()) || is_restored(recorded, *asset_id, *retirement);
        if is_known || record.history.of_asset(*asset_id).next().is_none() {
            continue;
        }
        let joined = Some(ours.map_or(*retirement, |ours| ours.union(*retirement)));
        changes.push(Change::SetRetirement { address: address.clone(), asset_id: *asset_id, retirement: joined });
        changes.push(Change::MarkOutdated { asset_id: *asset_id });
        changes.push(Change::SetContradicted { asset_id: *asset_id, contradicted: true });
    }
    changes
}

/// Whether this state restored an asset since it was archived, or saw that it isn't archived.
fn is_restored(recorded: &Recorded, asset_id: AssetId, retirement: Retirement) -> bool {
    let Some(archived_at) = retirement.archived_at else { return false };
    let seen = recorded.seen.get(&asset_id).filter(|seen| seen.asset.archived == Some(false));
    let was_seen = seen.is_some_and(|seen| seen.at >= archived_at && !observation::may_lag(archived_at, seen.at));
    was_seen || recorded.restored.get(&asset_id).is_some_and(|restored| *restored >= archived_at)
}
