//! Addresses that have one asset share its history, if it is updated in place:
//! its newest revision is what games get, whoever made it, and what a person archived under one
//! name is archived under the other.
//!
//! A state comes to two addresses of one asset when it moved the asset and a branch from before the
//! move is checked out, whose lockfile has it under its old name with fewer revisions. They take
//! turns, too: what is under way for the one that left would look to the other like somebody else's
//! doing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::history::RevisionFact;
use crate::model::ids::AssetId;
use crate::model::phase::Phase;
use crate::model::recorded::{Record, Recorded, Retirement};

/// Gives every wanted address all revisions of its assets, and which were
/// archived by hand; and what it had to learn for that.
pub(crate) fn share_history<'a>(
    desired: &Desired,
    recorded: &'a Recorded,
    now: Timestamp,
) -> (Cow<'a, Recorded>, Vec<Change>) {
    let mut by_asset: BTreeMap<AssetId, Vec<(&Address, &Record)>> = BTreeMap::new();
    for (address, record) in recorded.assets.iter().filter(|(_, record)| in_place(record)) {
        for asset_id in record.history.assets() {
            by_asset.entry(asset_id).or_default().push((address, record));
        }
    }
    let mut changes = Vec::new();
    for (asset_id, sharing) in by_asset.iter().filter(|(_, sharing)| sharing.len() > 1) {
        for (address, record) in sharing.iter().filter(|(address, _)| desired.assets.contains_key(*address)) {
            let known = sharing.iter().flat_map(|(_, other)| other.history.of_asset(*asset_id));
            let new = known.filter_map(|(key, fact)| match record.history.get(key) {
                None => Some((key, RevisionFact { era: 0, ..*fact })),
                // Seen at Roblox under this name alone, and made under the other.
                Some(ours) if ours.content.is_none() && fact.content.is_some() => {
                    Some((key, RevisionFact { content: fact.content, ..*ours }))
                }
                Some(_) => None,
            });
            let learn = |(key, fact)| Change::AddRevision { address: Address::clone(address), key, fact };
            // Several others may know the very same.
            let mut learned = Vec::new();
            for (key, fact) in new {
                if !learned.contains(&(key, fact)) {
                    learned.push((key, fact));
                }
            }
            changes.extend(learned.into_iter().map(learn));
            if !record.retirements.contains_key(asset_id) {
                let known = sharing.iter().filter_map(|(_, other)| other.retirements.get(asset_id));
                let retirement = known.copied().find(Retirement::is_by_hand);
                let retire = |retirement| Change::SetRetirement {
                    address: Address::clone(address),
                    asset_id: *asset_id,
                    retirement,
                };
                changes.extend(retirement.map(|retirement| retire(Some(retirement))));
            }
        }
    }
    let mut known = Cow::Borrowed(recorded);
    // They fit: each address has a record.
    changes.retain(|change| known.to_mut().apply(change, now).is_ok());
    (known, changes)
}

/// Wanted addresses with an asset that is being changed for an address that left: nothing is
/// planned for them until that is over.
pub(crate) fn waiting(desired: &Desired, recorded: &Recorded) -> BTreeSet<Address> {
    let sent = recorded.attempts.values().filter(|attempt| attempt.phase != Phase::Intended);
    let left = sent.filter(|attempt| !desired.assets.contains_key(&attempt.address));
    let changing: BTreeSet<AssetId> = left.filter_map(|attempt| attempt.intent.asset_id()).collect();
    if changing.is_empty() {
        return BTreeSet::new();
    }
    let waits = |address: &&Address| {
        let record = recorded.assets.get(*address).filter(|record| in_place(record));
        record.and_then(Record::head).is_some_and(|(head, _)| changing.contains(&head.asset_id))
    };
    desired.assets.keys().filter(waits).cloned().collect()
}

fn in_place(record: &Record) -> bool {
    record.identity.asset_type.on_content_change() == ContentChange::InPlace
}
