//! Converts the recorded facts to a ledger: everything that another machine needs, and nothing that
//! belongs to this checkout alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ledger, LockfileEntry, OpenWork, without_made};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::InLockfile;
use crate::model::history::{History, Listing};
use crate::model::ids::AssetId;
use crate::model::phase::{Intent, Phase};
use crate::model::recorded::{Attempt, Record, Recorded, Retirement};
use crate::model::steps::step;

/// Returns the lockfile of this checkout: every address with facts that its manifest or its
/// lockfile has.
///
/// Addresses that only the state knows (another branch) stay out.
pub(crate) fn export(remote: &str, recorded: &Recorded, in_manifest: &BTreeSet<Address>) -> Ledger {
    let entries = exported(recorded, in_manifest).map(|(address, entry)| (address.clone(), entry)).collect();
    Ledger { remote: remote.to_owned(), entries, forgotten: recorded.forgotten.clone() }
}

/// Returns the entries of [`export`] in the order of their addresses, one at a time. With
/// [`save`](super::save) a large project is never in memory twice.
pub(crate) fn exported<'a>(
    recorded: &'a Recorded,
    in_manifest: &'a BTreeSet<Address>,
) -> impl Iterator<Item = (&'a Address, LockfileEntry)> {
    let mut open = all_open_work(recorded);
    recorded.assets.iter().filter_map(move |(address, record)| {
        let open = open.remove(address).unwrap_or_default();
        let is_ours = record.in_lockfile == InLockfile::Yes || in_manifest.contains(address);
        exported_entry(recorded, record, open, is_ours).map(|entry| (address, entry))
    })
}

/// Returns the entries of [`export`] of these addresses alone; `None` where it has none.
pub(crate) fn entries_of(
    recorded: &Recorded,
    addresses: &BTreeSet<Address>,
    in_manifest: impl Fn(&Address, &Record) -> bool,
) -> BTreeMap<Address, Option<LockfileEntry>> {
    let mut open = all_open_work(recorded);
    let mut entry = |address: &Address| {
        let record = recorded.assets.get(address)?;
        let is_ours = record.in_lockfile == InLockfile::Yes || in_manifest(address, record);
        exported_entry(recorded, record, open.remove(address).unwrap_or_default(), is_ours)
    };
    addresses.iter().map(|address| (address.clone(), entry(address))).collect()
}

fn all_open_work(recorded: &Recorded) -> BTreeMap<&Address, Vec<OpenWork>> {
    let mut open: BTreeMap<&Address, Vec<OpenWork>> = BTreeMap::new();
    for attempt in recorded.attempts.values() {
        if let Some(work) = open_work(attempt, recorded.assets.get(&attempt.address)) {
            open.entry(&attempt.address).or_default().push(work);
        }
    }
    open
}

/// Returns the entry of an address with facts.
fn exported_entry(recorded: &Recorded, record: &Record, open: Vec<OpenWork>, is_ours: bool) -> Option<LockfileEntry> {
    step();
    let is_known = !(record.history.is_empty() && open.is_empty() && record.possible_duplicates.is_empty());
    (is_ours && is_known).then(|| LockfileEntry { retirements: retirements(recorded, record), ..entry(record, open) })
}

/// The assets on their way out, without archivings that another lockfile has and the checked-out one
/// contradicts.
fn retirements(recorded: &Recorded, record: &Record) -> BTreeMap<AssetId, Retirement> {
    let all = record.retirements.iter().map(|(asset_id, retirement)| (*asset_id, retirement.in_seconds()));
    let counts = |asset_id: &AssetId, retirement: &Retirement| {
        retirement.archived_at.is_none() || !recorded.contradicted.contains(asset_id)
    };
    all.filter(|(asset_id, retirement)| counts(asset_id, retirement)).collect()
}

fn entry(record: &Record, open: Vec<OpenWork>) -> LockfileEntry {
    // The ignored fields belong to this checkout alone (earlier metadata, whether the lockfile had it,
    // and its back-off), but for the retirements, which the caller adds.
    let Record {
        identity,
        history,
        asked,
        stored,
        asked_before: _,
        overruled: _,
        points_to,
        pinned,
        retirements: _,
        possible_duplicates,
        repairs: _,
        removed,
        in_lockfile: _,
        refused_archivings: _,
        blocked: _,
    } = record;
    let mut facts = History::new();
    history.iter().for_each(|(key, fact)| facts.add(key, without_made(*fact)));
    // Writes down the choice among equals, so that every checkout of this lockfile makes the same.
    let kind = identity.kind();
    let duplicates = history.duplicates(kind);
    for asset_id in history.assets() {
        let is_new = || if duplicates.contains(&asset_id) { Listing::Duplicate } else { Listing::Listed };
        facts.list(asset_id, Some(history.listing(asset_id).unwrap_or_else(is_new)));
    }
    let mut entry = LockfileEntry {
        identity: identity.clone(),
        history: facts,
        asked: asked.clone(),
        stored: (**stored).clone(),
        current: None,
        pinned: **pinned,
        retirements: BTreeMap::new(),
        removed: *removed,
        possible_duplicates: (**possible_duplicates).clone(),
        open,
    };
    // The usual address has one asset.
    if points_to.is_some() && entry.history.count() > 1 {
        entry.set_in_use(record.in_use().map(|(key, _)| key.asset_id));
    }
    entry.normalize();
    entry
}

/// Returns the open work that another machine must continue. An archiving or a restore without an
/// operation is left out: that machine asks Roblox about the asset. So are metadata updates in
/// progress: the lockfile doesn't have their values yet, so that machine asserts them.
fn open_work(attempt: &Attempt, record: Option<&Record>) -> Option<OpenWork> {
    let operation = match (&attempt.phase, &attempt.intent) {
        (_, Intent::UpdateMetadata { .. }) => return None,
        (Phase::Submitted(operation) | Phase::SetAside(operation), _) => Some(operation.clone()),
        (Phase::HandedOver | Phase::InDoubt | Phase::Held, intent) if intent.may_make_a_revision() => None,
        (Phase::Intended | Phase::HandedOver | Phase::InDoubt | Phase::Held | Phase::Closed(_), _) => return None,
    };
    let set_aside = matches!(attempt.phase, Phase::SetAside(_) | Phase::Held);
    let doubts = match &attempt.intent {
        Intent::Create { .. } => record.map_or(0, |record| record.doubts(&attempt.intent)),
        Intent::UpdateContent { .. }
        | Intent::UpdateMetadata { .. }
        | Intent::Rollback { .. }
        | Intent::Archive { .. }
        | Intent::Restore { .. } => 0,
    };
    Some(OpenWork { intent: attempt.intent.clone(), operation, set_aside, doubts })
}

/// Returns the changes after the lockfile of [`export`] was written: which addresses and which
/// assets it has.
pub(crate) fn locked(recorded: &Recorded, in_manifest: &BTreeSet<Address>) -> Vec<Change> {
    let written: BTreeMap<&Address, LockfileEntry> = exported(recorded, in_manifest).collect();
    let all = recorded.assets.iter().map(|(address, record)| (address, record, written.get(address)));
    locked_as(all)
}

/// Returns the changes after a lockfile was written that differs from the one before in these
/// entries.
pub(crate) fn locked_of(recorded: &Recorded, written: &BTreeMap<Address, Option<LockfileEntry>>) -> Vec<Change> {
    let known = written.iter().filter_map(|(address, entry)| Some((address, recorded.assets.get(address)?, entry)));
    locked_as(known.map(|(address, record, entry)| (address, record, entry.as_ref())))
}

fn locked_as<'a>(all: impl Iterator<Item = (&'a Address, &'a Record, Option<&'a LockfileEntry>)>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (address, record, entry) in all {
        let in_lockfile = match (entry, &record.in_lockfile) {
            (Some(_), _) => InLockfile::Yes,
            (None, InLockfile::Yes) => InLockfile::No,
            // What is under way in another checkout stays that.
            (None, other) => other.clone(),
        };
        if record.in_lockfile != in_lockfile {
            changes.push(Change::SetInLockfile { address: address.clone(), in_lockfile });
        }
        changes.extend(relisted(address, &record.history, entry.map(|entry| &entry.history)));
    }
    changes
}

/// Returns the changes of an address's assets when the checked-out lockfile has `listed` for it, or
/// no entry.
pub(super) fn relisted(address: &Address, known: &History, listed: Option<&History>) -> Vec<Change> {
    let listing = |asset_id: AssetId| listed.and_then(|listed| listed.listing(asset_id));
    let mut assets: BTreeSet<AssetId> = known.listings().map(|(asset_id, _)| asset_id).collect();
    assets.extend(listed.iter().flat_map(|listed| listed.listings()).map(|(asset_id, _)| asset_id));
    let changed = assets.into_iter().filter(|asset_id| known.listing(*asset_id) != listing(*asset_id));
    changed
        .map(|asset_id| Change::SetListing { address: address.clone(), asset_id, listing: listing(asset_id) })
        .collect()
}
