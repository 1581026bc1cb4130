//! Merges the lockfiles of two branches: git's merge driver.
//!
//! Facts are united. Other values (metadata, pin, asset in use, removal, open work, path) follow the
//! side that changed them since the base. If both sides did, the result makes the next sync check
//! again. The result doesn't depend on the order of the sides.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::union::{forgotten_too, join_stored, moved_and_forgotten, remembered, union_of_possible};
use super::{Ledger, LockfileEntry, OpenWork};
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::digest::FieldDigest;
use crate::model::forgotten::Forgotten;
use crate::model::history::{History, Kind, Listing};
use crate::model::ids::{AssetId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::recorded::{Identity, Retirement};

/// Two lockfiles of different remotes, which have no facts in common.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("one side belongs to {ours}, the other to {theirs}")]
pub struct OtherRemotes {
    /// The remote of our side.
    pub ours: String,
    /// The remote of their side.
    pub theirs: String,
}

/// Merges two lockfiles that come from `base`; `None` if both sides created theirs.
///
/// # Errors
/// When they belong to different remotes.
pub fn merge(base: Option<&Ledger>, ours: &Ledger, theirs: &Ledger) -> Result<Ledger, OtherRemotes> {
    if ours.remote != theirs.remote {
        return Err(OtherRemotes { ours: ours.remote.clone(), theirs: theirs.remote.clone() });
    }
    let base = base.filter(|base| base.remote == ours.remote);
    let mut merged = Ledger::new(ours.remote.clone());
    merged.forgotten = ours.forgotten.clone();
    for (address, forgotten) in &theirs.forgotten {
        merged.forgotten.entry(address.clone()).or_default().union(forgotten);
    }
    let base_forgotten = |address: &Address| base.and_then(|base| base.forgotten.get(address));
    let (our_assets, their_assets) = (assets(ours), assets(theirs));
    // What one side renamed and then forgot doesn't come back under the name that the other has.
    let renamed_and_forgotten: Vec<(&Ledger, BTreeSet<AssetId>)> = base.map_or_else(Vec::new, |base| {
        [ours, theirs].map(|side| (side, moved_and_forgotten(base, &side.forgotten))).to_vec()
    });
    let has = |side: Option<&LockfileEntry>, asset_id| {
        side.is_some_and(|entry| entry.history.of_asset(asset_id).next().is_some())
    };
    let addresses: BTreeSet<&Address> = ours.entries.keys().chain(theirs.entries.keys()).collect();
    for address in addresses {
        let base = base.and_then(|base| base.entries.get(address));
        let entry = match (ours.entries.get(address), theirs.entries.get(address)) {
            (Some(ours), Some(theirs)) => Some(merge_entries(base, ours, theirs)),
            // Moved or forgotten on one side: removed, unless the other side added facts since.
            // Assets that are nowhere else are never removed.
            (Some(one), None) => (base != Some(one) || !is_elsewhere(one, &their_assets)).then(|| one.clone()),
            (None, Some(one)) => (base != Some(one) || !is_elsewhere(one, &our_assets)).then(|| one.clone()),
            (None, None) => None,
        };
        let mut entry = entry;
        if let Some(entry) = &mut entry {
            let before = base_forgotten(address);
            for side in [ours, theirs].into_iter().filter(|side| has_forgotten_since(side, address, before)) {
                settle_forgotten(entry, base, side.entries.get(address));
            }
        }
        let is_forgotten = |asset_id: AssetId| {
            let by = |(side, forgotten): &(&Ledger, BTreeSet<AssetId>)| {
                forgotten.contains(&asset_id) && !has(side.entries.get(address), asset_id)
            };
            has(base, asset_id) && renamed_and_forgotten.iter().any(by)
        };
        let entry = entry.and_then(|entry| {
            let forgotten = forgotten_too(&entry, merged.forgotten.get(address), is_forgotten);
            remembered(&entry, Some(&forgotten)).map(Cow::into_owned)
        });
        if let Some(entry) = entry {
            merged.entries.insert(address.clone(), entry);
        }
    }
    Ok(merged)
}

/// Returns whether one side forgot an address since the base.
fn has_forgotten_since(side: &Ledger, address: &Address, base: Option<&Forgotten>) -> bool {
    let mut forgotten = side.forgotten.get(address).into_iter().flat_map(Forgotten::iter);
    forgotten.any(|(asset_id, times)| base.map_or(0, |base| base.times(asset_id)) < times)
}

/// Marks possible duplicates as settled if one side forgot them with their address.
fn settle_forgotten(entry: &mut LockfileEntry, base: Option<&LockfileEntry>, side: Option<&LockfileEntry>) {
    let is_left = |upload: &UploadId| side.is_some_and(|side| side.possible_duplicates.contains_key(upload));
    let before = base.into_iter().flat_map(|base| base.possible_duplicates.keys());
    for upload in before.filter(|upload| !is_left(upload)) {
        if let Some(duplicate) = entry.possible_duplicates.get_mut(upload) {
            duplicate.settled = true;
        }
    }
}

/// Returns every asset of a ledger.
fn assets(ledger: &Ledger) -> BTreeSet<AssetId> {
    ledger.entries.values().flat_map(|entry| entry.history.assets()).collect()
}

/// Returns whether every asset of an entry is among `assets`, under any address.
fn is_elsewhere(entry: &LockfileEntry, assets: &BTreeSet<AssetId>) -> bool {
    entry.history.assets().is_subset(assets)
}

fn merge_entries(base: Option<&LockfileEntry>, ours: &LockfileEntry, theirs: &LockfileEntry) -> LockfileEntry {
    let identity = merge_identities(base.map(|base| &base.identity), &ours.identity, &theirs.identity);
    let mut history = ours.history.clone();
    history.union(&theirs.history);
    choose(&mut history, base.map(|base| &base.history), &ours.history, &theirs.history, identity.kind());
    let asked = merge_asked(base.map(|base| &base.asked), &ours.asked, &theirs.asked);
    let mut entry = LockfileEntry {
        history,
        identity,
        stored: three_way(base.map(|base| &base.stored), &ours.stored, &theirs.stored).map_or_else(
            || join_stored(&asked, &ours.stored, &theirs.stored),
            |stored| join_stored(&asked, stored, stored),
        ),
        asked,
        retirements: merge_retirements(base.map(|base| &base.retirements), &ours.retirements, &theirs.retirements),
        current: None,
        // Two pins that were both carried out: it is unknown which was last. So neither counts, and
        // the pin is carried out again.
        pinned: three_way(base.map(|base| &base.pinned), &ours.pinned, &theirs.pinned).copied().flatten(),
        // The sides can only disagree without a base; then one of them has it in its manifest.
        removed: three_way(base.map(|base| &base.removed), &ours.removed, &theirs.removed).copied().unwrap_or(false),
        possible_duplicates: union_of_possible(&ours.possible_duplicates, &theirs.possible_duplicates),
        open: merge_open(base.map(|base| base.open.as_slice()).unwrap_or_default(), &ours.open, &theirs.open),
    };
    entry.set_in_use(merge_in_use(base, ours, theirs, &entry));
    entry.normalize();
    entry
}

/// Returns the asset that the `merged` entry uses. If both sides changed it, a file of both
/// has a conflict too; where it isn't here, the newer one of the two counts. An asset of which the
/// merge made a duplicate gives way to the one with the same content.
fn merge_in_use(
    base: Option<&LockfileEntry>,
    ours: &LockfileEntry,
    theirs: &LockfileEntry,
    merged: &LockfileEntry,
) -> Option<AssetId> {
    let (history, kind) = (&merged.history, merged.identity.kind());
    let (our, their) = (ours.in_use(), theirs.in_use());
    let newest = || {
        let order = history.in_order();
        let used = order.iter().rev().filter(|(key, _)| [our, their].contains(&Some(key.asset_id)));
        let mut usable = used.clone().filter(|(_, fact)| fact.state.is_usable());
        usable.next().or(used.clone().next()).map(|(key, _)| key.asset_id)
    };
    let used = match three_way(base.map(LockfileEntry::in_use).as_ref(), &our, &their) {
        Some(used) => *used,
        None => newest(),
    };
    let is_usable = |asset_id: &AssetId| history.usable(*asset_id, kind).is_some();
    if used.as_ref().is_some_and(is_usable) {
        return used;
    }
    let contents = history.of_asset(used?).filter_map(|(_, fact)| fact.content);
    let mut equal = contents.filter_map(|content| history.find_content(content, kind)).map(|(key, _)| key.asset_id);
    equal.find(is_usable).or(used)
}

/// Returns the value of the side that changed it; `None` if both did, differently.
fn three_way<'a, T: PartialEq>(base: Option<&T>, ours: &'a T, theirs: &'a T) -> Option<&'a T> {
    if ours == theirs || base == Some(theirs) {
        Some(ours)
    } else if base == Some(ours) {
        Some(theirs)
    } else {
        None
    }
}

/// Merges each asset separately. An asset that one side archived is archived. If one side has it in
/// use, and the other only scheduled it, it isn't scheduled: where it is not wanted in the end, the
/// next sync begins to count.
fn merge_retirements(
    base: Option<&BTreeMap<AssetId, Retirement>>,
    ours: &BTreeMap<AssetId, Retirement>,
    theirs: &BTreeMap<AssetId, Retirement>,
) -> BTreeMap<AssetId, Retirement> {
    let assets: BTreeSet<AssetId> = ours.keys().chain(theirs.keys()).copied().collect();
    let merge = |asset_id: AssetId| {
        let (ours, theirs) = (ours.get(&asset_id).copied(), theirs.get(&asset_id).copied());
        let base = base.map(|base| base.get(&asset_id).copied());
        let merged = match three_way(base.as_ref(), &ours, &theirs) {
            Some(retirement) => *retirement,
            None => match (ours, theirs) {
                (Some(ours), Some(theirs)) => Some(ours.union(theirs)),
                (one, other) => one.or(other).filter(|retirement| retirement.archived_at.is_some()),
            },
        };
        Some((asset_id, merged?))
    };
    assets.into_iter().filter_map(merge).collect()
}

/// Merges identities. If both sides changed one, the manifest has a conflict too. A person resolves
/// it, and the next sync writes the result. Until then the smaller value is as good as the other.
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

/// Merges each field separately. A field that both sides changed, or that one side changed and the
/// other dropped, stays managed with an unknown value.
fn merge_asked(base: Option<&FieldDigests>, ours: &FieldDigests, theirs: &FieldDigests) -> FieldDigests {
    let fields: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().collect();
    fields
        .into_iter()
        .filter_map(|field| {
            let (ours, theirs) = (ours.get(&field), theirs.get(&field));
            let base = base.map(|base| base.get(&field));
            let merged = match three_way(base.as_ref(), &ours, &theirs) {
                Some(digest) => digest.copied(),
                // Both sides created the entry, and only one manages the field.
                None if base.is_none() && (ours.is_none() || theirs.is_none()) => ours.or(theirs).copied(),
                None => Some(FieldDigest::UNKNOWN),
            };
            merged.map(|digest| (field, digest))
        })
        .collect()
}

/// Unites the open work of both sides, without work that one side finished since the base. A later
/// attempt at the same is other work.
fn merge_open(base: &[OpenWork], ours: &[OpenWork], theirs: &[OpenWork]) -> Vec<OpenWork> {
    let has = |side: &[OpenWork], work: &OpenWork| side.iter().any(|other| other.is_same(work));
    let both = |work: &&OpenWork| has(ours, work) && has(theirs, work);
    ours.iter().chain(theirs).filter(|work| both(work) || !base.contains(work)).cloned().collect()
}

/// Chooses the listing of each asset in the merged lockfile. If each side made an asset for the
/// same content, the model's rule chooses one, the same on every machine, and the other becomes a
/// duplicate.
fn choose(history: &mut History, base: Option<&History>, ours: &History, theirs: &History, kind: Kind) {
    for asset_id in history.assets() {
        let (ours, theirs) = (ours.listing(asset_id), theirs.listing(asset_id));
        let chosen = three_way(base.map(|base| base.listing(asset_id)).as_ref(), &ours, &theirs).copied();
        // A side that doesn't have an asset made no choice about it.
        let chosen = chosen.flatten().or_else(|| ours.max(theirs));
        history.list(asset_id, chosen);
    }
    let has = |side: &History, asset: AssetId| side.of_asset(asset).next().is_some();
    let only = |asset: AssetId| match (has(ours, asset), has(theirs, asset)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    };
    let united = history.clone();
    let (head, by_content) = (united.head(kind).map(|(head, _)| head), united.by_content(kind));
    for (key, fact) in united.iter().filter(|(_, fact)| fact.kind == Some(kind)) {
        let winner = match kind.asset_type.on_content_change() {
            ContentChange::InPlace => head,
            ContentChange::NewAsset => fact.content.and_then(|content| by_content.get(&content).copied()),
        };
        let sides = winner.map(|winner| (only(winner.asset_id), only(key.asset_id)));
        let made_twice = matches!(sides, Some((Some(winner), Some(loser))) if winner != loser);
        // Two branches that know both, each with its own choice.
        let chosen = [ours.listing(key.asset_id), theirs.listing(key.asset_id)];
        let contested = chosen.contains(&Some(Listing::Duplicate)) && chosen.contains(&Some(Listing::Listed));
        if made_twice || (contested && winner.is_some_and(|winner| winner.asset_id != key.asset_id)) {
            history.list(key.asset_id, Some(Listing::Duplicate));
        }
    }
}
