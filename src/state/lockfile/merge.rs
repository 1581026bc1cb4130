//! Two branches' lockfiles to one: git's merge driver.
//!
//! Facts are united. What is not a fact but a condition (metadata, pin, removal, open work, path) follows the side that changed it since the
//! base; where both did, what is left is what makes the next sync look again. The result doesn't depend on whose side is whose.

use std::collections::{BTreeMap, BTreeSet};

use super::import::join_stored;
use super::{Entry, Ledger, OpenWork};
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::digest::FieldDigest;
use crate::model::history::{History, RevisionFact};
use crate::model::ids::AssetId;
use crate::model::metadata::FieldDigests;
use crate::model::recorded::{Identity, Leaving};

/// Two lockfiles of different remotes, which have no facts in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("one side belongs to {ours}, the other to {theirs}")]
pub struct OtherRemotes {
    /// The remote of our side.
    pub ours: String,
    /// The remote of their side.
    pub theirs: String,
}

/// Merges two lockfiles that come from `base`; `None`: both sides made theirs anew.
///
/// # Errors
/// When they belong to different remotes.
pub fn merge(base: Option<&Ledger>, ours: &Ledger, theirs: &Ledger) -> Result<Ledger, OtherRemotes> {
    if ours.remote != theirs.remote {
        return Err(OtherRemotes { ours: ours.remote.clone(), theirs: theirs.remote.clone() });
    }
    let base = base.filter(|base| base.remote == ours.remote);
    let mut merged = Ledger::new(ours.remote.clone());
    let addresses: BTreeSet<&Address> = ours.entries.keys().chain(theirs.entries.keys()).collect();
    for address in addresses {
        let base = base.and_then(|base| base.entries.get(address));
        let entry = match (ours.entries.get(address), theirs.entries.get(address)) {
            (Some(ours), Some(theirs)) => Some(merge_entries(base, ours, theirs)),
            // Forgotten on one side: gone, unless the other side learned something since.
            (Some(one), None) | (None, Some(one)) => (base != Some(one)).then(|| one.clone()),
            (None, None) => None,
        };
        if let Some(entry) = entry {
            merged.entries.insert(address.clone(), entry);
        }
    }
    Ok(merged)
}

fn merge_entries(base: Option<&Entry>, ours: &Entry, theirs: &Entry) -> Entry {
    let identity = merge_identities(base.map(|base| &base.identity), &ours.identity, &theirs.identity);
    let mut history = ours.history.clone();
    history.union(&theirs.history);
    mark_duplicates(&mut history, &ours.history, &theirs.history, identity.asset_type);
    let asked = merge_asked(base.map(|base| &base.asked), &ours.asked, &theirs.asked);
    let archived = three_way(base.map(|base| &base.archived), &ours.archived, &theirs.archived);
    let mut entry = Entry {
        history,
        identity,
        stored: three_way(base.map(|base| &base.stored), &ours.stored, &theirs.stored).map_or_else(
            || join_stored(&asked, &ours.stored, &theirs.stored),
            |stored| join_stored(&asked, stored, stored),
        ),
        asked,
        // Archived on one side is archived.
        archived: archived.cloned().unwrap_or_else(|| union(&ours.archived, &theirs.archived)),
        // Two pins that were both carried out: which came last is not known, so neither counts and the pin is carried out again.
        pinned: three_way(base.map(|base| &base.pinned), &ours.pinned, &theirs.pinned).copied().flatten(),
        // Both sides can only disagree without a base; then one of them has it in its manifest.
        removed: three_way(base.map(|base| &base.removed), &ours.removed, &theirs.removed).copied().unwrap_or(false),
        open: merge_open(base.map(|base| base.open.as_slice()).unwrap_or_default(), &ours.open, &theirs.open),
    };
    entry.normalize();
    entry
}

/// The value of the side that changed it; `None` when both did, differently.
fn three_way<'a, T: PartialEq>(base: Option<&T>, ours: &'a T, theirs: &'a T) -> Option<&'a T> {
    if ours == theirs || base == Some(theirs) {
        Some(ours)
    } else if base == Some(ours) {
        Some(theirs)
    } else {
        None
    }
}

fn union(ours: &BTreeMap<AssetId, Leaving>, theirs: &BTreeMap<AssetId, Leaving>) -> BTreeMap<AssetId, Leaving> {
    let mut union = ours.clone();
    for (asset_id, why) in theirs {
        union.entry(*asset_id).and_modify(|known| *known = (*known).min(*why)).or_insert(*why);
    }
    union
}

/// Where both sides changed something the manifest has a conflict too, which a person resolves, and the next sync writes what it says; until then
/// the smaller value is as good as the other.
fn merge_identities(base: Option<&Identity>, ours: &Identity, theirs: &Identity) -> Identity {
    fn pick<T: Ord + Clone>(base: Option<&T>, ours: &T, theirs: &T) -> T {
        three_way(base, ours, theirs).unwrap_or_else(|| ours.min(theirs)).clone()
    }
    let Identity { asset_type, creator, privacy, path } = theirs;
    Identity {
        asset_type: pick(base.map(|base| &base.asset_type), &ours.asset_type, asset_type),
        creator: pick(base.map(|base| &base.creator), &ours.creator, creator),
        privacy: pick(base.map(|base| &base.privacy), &ours.privacy, privacy),
        path: pick(base.map(|base| &base.path), &ours.path, path),
    }
}

/// Each field by itself. Changed on both sides, or changed on one and dropped on the other: managed, with an unknown value.
fn merge_asked(base: Option<&FieldDigests>, ours: &FieldDigests, theirs: &FieldDigests) -> FieldDigests {
    let fields: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().collect();
    fields
        .into_iter()
        .filter_map(|field| {
            let (ours, theirs) = (ours.get(&field), theirs.get(&field));
            let base = base.map(|base| base.get(&field));
            let merged = match three_way(base.as_ref(), &ours, &theirs) {
                Some(digest) => digest.copied(),
                // Both sides made the entry, and only one manages the field.
                None if base.is_none() && (ours.is_none() || theirs.is_none()) => ours.or(theirs).copied(),
                None => Some(FieldDigest::UNKNOWN),
            };
            merged.map(|digest| (field, digest))
        })
        .collect()
}

/// What either side has open, without what one side settled since the base. Tried again since, it is not what the other side settled.
fn merge_open(base: &[OpenWork], ours: &[OpenWork], theirs: &[OpenWork]) -> Vec<OpenWork> {
    let has = |side: &[OpenWork], work: &OpenWork| side.iter().any(|other| other.is_same(work));
    let both = |work: &&OpenWork| has(ours, work) && has(theirs, work);
    ours.iter().chain(theirs).filter(|work| both(work) || !base.contains(work)).cloned().collect()
}

/// Marks the assets that one side made for what the other side made an asset for as well. Which of the two counts is the model's rule, the
/// same on every machine.
fn mark_duplicates(history: &mut History, ours: &History, theirs: &History, asset_type: AssetType) {
    let has = |side: &History, asset: AssetId| side.iter().any(|(key, _)| key.asset_id == asset);
    let only = |asset: AssetId| match (has(ours, asset), has(theirs, asset)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    };
    let united = history.clone();
    for (key, fact) in united.iter().filter(|(_, fact)| !fact.duplicate) {
        let winner = match asset_type.on_content_change() {
            ContentChange::InPlace => united.head(),
            ContentChange::NewAsset => fact.content.and_then(|content| united.find_content(content)),
        };
        let sides = winner.map(|(winner, _)| (only(winner.asset_id), only(key.asset_id)));
        if let Some((Some(winner), Some(loser))) = sides
            && winner != loser
        {
            history.add(key, RevisionFact { duplicate: true, ..*fact });
        }
    }
}
