//! Finds facts that a new lockfile would lack compared with the one that it replaces. Only `forget`
//! removes an asset ID from a lockfile.

use std::collections::BTreeSet;

use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::digest::FieldDigest;
use crate::model::former;
use crate::model::history::RevisionKey;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;

/// Digests of a lockfile's revisions, eight bytes each, to check that none is missing from the next
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    sorted: Vec<u64>,
}

impl Digests {
    /// Computes the digests of a ledger's revisions and forgotten assets.
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let Ledger { remote: _, entries, forgotten } = ledger;
        let mut sorted: Vec<u64> = entries
            .iter()
            .flat_map(|(address, entry)| entry.history.iter().map(move |(key, _)| digest(address, key)))
            .collect();
        sorted.extend(forgotten.iter().flat_map(|(address, forgotten)| {
            forgotten.iter().map(move |(asset_id, times)| digest_of(address, &format!("{asset_id} forgotten {times}")))
        }));
        sorted.sort_unstable();
        Self { sorted }
    }

    /// Returns the assets of a ledger with a revision that this lockfile lacks, with their
    /// addresses.
    pub(crate) fn lacks(&self, ledger: &Ledger) -> Vec<(Address, AssetId)> {
        let has = |address: &Address, key| self.sorted.binary_search(&digest(address, key)).is_ok();
        let lacking = |(address, entry): (&Address, &LockfileEntry)| {
            let keys = entry.history.iter().map(|(key, _)| key).filter(|key| !has(address, *key));
            let assets: BTreeSet<AssetId> = keys.map(|key| key.asset_id).collect();
            assets.into_iter().map(|asset_id| (address.clone(), asset_id)).collect::<Vec<_>>()
        };
        ledger.entries.iter().flat_map(lacking).collect()
    }

    /// Returns the digests after these changes of entries; `None` if one of the new entries lacks a
    /// revision that the old one has.
    pub(crate) fn with(&self, changed: &[EntryChange<'_>]) -> Option<Self> {
        let mut more = Vec::new();
        for change in changed {
            if change.loses_a_revision() {
                return None;
            }
            let EntryChange { address, before: _, after } = change;
            let digests = after.iter().flat_map(|after| after.history.iter()).map(|(key, _)| digest(address, key));
            more.extend(digests.filter(|digest| self.sorted.binary_search(digest).is_err()));
        }
        let mut sorted = self.sorted.clone();
        more.sort_unstable();
        more.dedup();
        sorted.extend(more);
        // Nearly sorted already.
        sorted.sort();
        Some(Self { sorted })
    }

    /// Returns whether another lockfile has all of them.
    pub(crate) fn are_in(&self, other: &Self) -> bool {
        self.sorted.iter().all(|digest| other.sorted.binary_search(digest).is_ok())
    }
}

/// The entry of an address in one lockfile and in the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryChange<'a> {
    pub(crate) address: &'a Address,
    pub(crate) before: Option<&'a LockfileEntry>,
    pub(crate) after: Option<&'a LockfileEntry>,
}

impl EntryChange<'_> {
    /// Returns whether the next lockfile lacks a revision of this entry.
    pub(crate) fn loses_a_revision(&self) -> bool {
        let has = |key| self.after.is_some_and(|after| after.history.get(key).is_some());
        self.before.is_some_and(|before| before.history.iter().any(|(key, _)| !has(key)))
    }
}

/// Returns the assets of a ledger that the checked-out lockfile lacks as far as is recorded, with
/// their addresses.
pub(crate) fn unlisted(recorded: &Recorded, ledger: &Ledger) -> Vec<(Address, AssetId)> {
    let listing = |address: &Address, asset_id| recorded.assets.get(address)?.history.listing(asset_id);
    let unlisted = |(address, entry): (&Address, &LockfileEntry)| {
        let assets = entry.history.assets().into_iter().filter(|asset_id| listing(address, *asset_id).is_none());
        assets.map(|asset_id| (address.clone(), asset_id)).collect::<Vec<_>>()
    };
    ledger.entries.iter().flat_map(unlisted).collect()
}

fn digest(address: &Address, RevisionKey { asset_id, version }: RevisionKey) -> u64 {
    digest_of(address, &format!("{asset_id} {}", version.map_or(0, |version| version.get())))
}

fn digest_of(address: &Address, what: &str) -> u64 {
    FieldDigest::of_parts([address.as_str(), what]).bits()
}

/// Returns the first asset of `old` that `new` would lack, with its address. Forgotten assets may
/// be missing, and so may assets that `new` has under another name, or under the name of an earlier
/// owner.
pub(crate) fn first_lost(old: &Ledger, new: &Ledger) -> Option<(Address, AssetId)> {
    let mut moved: BTreeSet<RevisionKey> = BTreeSet::new();
    let has = |ledger: &Ledger, address: &Address, key: RevisionKey| {
        ledger.entries.get(address).is_some_and(|entry: &LockfileEntry| entry.history.get(key).is_some())
    };
    for (address, entry) in &new.entries {
        moved.extend(entry.history.iter().map(|(key, _)| key).filter(|key| !has(old, address, *key)));
    }
    // This includes an address that had the asset only briefly, after a move.
    let known = |ledger: &Ledger, address: &Address, asset_id: AssetId| {
        ledger.forgotten.get(address).map_or(0, |forgotten| forgotten.times(asset_id))
    };
    let forgotten: BTreeSet<AssetId> = (new.forgotten.iter())
        .flat_map(|(address, all)| all.iter().map(move |(asset_id, times)| (address, asset_id, times)))
        .filter(|(address, asset_id, times)| known(old, address, *asset_id) < *times)
        .map(|(_, asset_id, _)| asset_id)
        .collect();
    // `recreate` takes apart what an address and the name of an earlier owner both have.
    let is_of = |address: &Address, owner| {
        new.entries.get(address).is_some_and(|entry: &LockfileEntry| entry.identity.creator == owner)
    };
    let mut separated: BTreeSet<(Address, RevisionKey)> = BTreeSet::new();
    for (former, entry) in &new.entries {
        let owner = entry.identity.creator;
        let Some(address) = former::address_of(former, owner).filter(|address| !is_of(address, owner)) else {
            continue;
        };
        separated.extend(entry.history.iter().map(|(key, _)| (address.clone(), key)));
    }
    for (address, entry) in &old.entries {
        let owner = entry.identity.creator;
        let returned = former::address_of(address, owner).filter(|address| is_of(address, owner));
        for (key, fact) in entry.history.iter() {
            let is_forgotten = forgotten.contains(&key.asset_id) || fact.era < known(new, address, key.asset_id);
            let is_separated = separated.contains(&(address.clone(), key))
                || returned.as_ref().is_some_and(|address| has(new, address, key));
            if !has(new, address, key) && !is_forgotten && !moved.contains(&key) && !is_separated {
                return Some((address.clone(), key.asset_id));
            }
        }
    }
    old.forgotten.iter().find_map(|(address, forgotten)| {
        let lost = forgotten.iter().find(|(asset_id, times)| known(new, address, *asset_id) < *times);
        lost.map(|(asset_id, _)| (address.clone(), asset_id))
    })
}
