//! What reading a lockfile and merging two have in common.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::digest::FieldDigest;
use crate::model::forgotten::Forgotten;
use crate::model::ids::{AssetId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::recorded::PossibleDuplicate;

/// Returns an entry without the forgotten assets; `None` if nothing is left.
pub(crate) fn remembered<'a>(
    entry: &'a LockfileEntry,
    forgotten: Option<&Forgotten>,
) -> Option<Cow<'a, LockfileEntry>> {
    let Some(forgotten) = forgotten else { return Some(Cow::Borrowed(entry)) };
    let mut history = entry.history.clone();
    if !history.forget(forgotten) {
        return Some(Cow::Borrowed(entry));
    }
    if history.is_empty() && entry.open.is_empty() && entry.possible_duplicates.is_empty() {
        return None;
    }
    let has = |asset_id: &AssetId| history.of_asset(*asset_id).next().is_some();
    let retirements = entry.retirements.iter().filter(|(asset_id, _)| has(asset_id));
    let retirements = retirements.map(|(asset_id, retirement)| (*asset_id, *retirement)).collect();
    let pinned = entry.pinned.filter(|pinned| has(&pinned.at.asset_id));
    let unlisted: Vec<AssetId> = history.listings().map(|(asset_id, _)| asset_id).filter(|id| !has(id)).collect();
    unlisted.into_iter().for_each(|asset_id| history.list(asset_id, None));
    let mut left = LockfileEntry { history, retirements, pinned, ..entry.clone() };
    left.set_in_use(entry.current);
    Some(Cow::Owned(left))
}

/// Returns the assets that were forgotten since `earlier` under an address that didn't have them
/// there: they moved to it in between. An asset that its address shared with another one when it
/// forgot it stays the other's.
pub(crate) fn moved_and_forgotten(earlier: &Ledger, forgotten: &BTreeMap<Address, Forgotten>) -> BTreeSet<AssetId> {
    let known = |address: &Address| earlier.forgotten.get(address);
    let had = |address: &Address, asset_id| {
        earlier.entries.get(address).is_some_and(|entry| entry.history.of_asset(asset_id).next().is_some())
    };
    let all = forgotten.iter().flat_map(|(address, forgotten)| forgotten.iter().map(move |one| (address, one)));
    all.filter(|(address, (asset_id, times))| known(address).map_or(0, |known| known.times(*asset_id)) < *times)
        .filter(|(address, (asset_id, _))| !had(address, *asset_id))
        .map(|(_, (asset_id, _))| asset_id)
        .collect()
}

/// Returns what an address forgot, with those assets of its entry that `is_forgotten` under another
/// address.
pub(crate) fn forgotten_too(
    entry: &LockfileEntry,
    forgotten: Option<&Forgotten>,
    is_forgotten: impl Fn(AssetId) -> bool,
) -> Forgotten {
    let mut all = forgotten.cloned().unwrap_or_default();
    for (key, fact) in entry.history.iter().filter(|(key, _)| is_forgotten(key.asset_id)) {
        all.raise(key.asset_id, fact.era.saturating_add(1));
    }
    all
}

/// Merges the values that Roblox stored in place of the sent ones, for two writers. Covers the
/// fields with a known value; where the writers differ, the smaller digest counts.
pub(super) fn join_stored(asked: &FieldDigests, a: &FieldDigests, b: &FieldDigests) -> FieldDigests {
    let known = asked.iter().filter(|(_, digest)| **digest != FieldDigest::UNKNOWN);
    known
        .filter_map(|(field, _)| {
            let digests = [a.get(field), b.get(field)];
            Some((*field, *digests.into_iter().flatten().min()?))
        })
        .collect()
}

/// Unites possible duplicates. One is settled if either side settled it.
pub(super) fn union_of_possible(
    ours: &BTreeMap<UploadId, PossibleDuplicate>,
    theirs: &BTreeMap<UploadId, PossibleDuplicate>,
) -> BTreeMap<UploadId, PossibleDuplicate> {
    let mut union = ours.clone();
    for (upload, duplicate) in theirs {
        union.entry(*upload).and_modify(|known| *known = known.union(*duplicate)).or_insert(*duplicate);
    }
    union
}
