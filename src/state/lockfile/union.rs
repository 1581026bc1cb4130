//! What reading a lockfile and merging two have in common.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::LockfileEntry;
use crate::model::digest::FieldDigest;
use crate::model::forgotten::Forgotten;
use crate::model::ids::{AssetId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::recorded::PossibleDuplicate;

/// Returns an entry without the forgotten assets; `None` if nothing is left.
pub(super) fn remembered<'a>(
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
    let archived = entry.archived.iter().filter(|(asset_id, _)| has(asset_id)).map(|(id, why)| (*id, *why)).collect();
    let pinned = entry.pinned.filter(|pinned| has(&pinned.at.asset_id));
    let unlisted: Vec<AssetId> = history.listings().map(|(asset_id, _)| asset_id).filter(|id| !has(id)).collect();
    unlisted.into_iter().for_each(|asset_id| history.list(asset_id, None));
    Some(Cow::Owned(LockfileEntry { history, archived, pinned, ..entry.clone() }))
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
