//! The addresses that left the manifest with an asset that is imported: which of them becomes the
//! receiver, and which lose it.

use std::cmp::Reverse;

use super::{ImportRequest, has};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::recorded::Recorded;
use crate::plan::current::last;

/// Returns the address that left the manifest with this asset; of several, the one that knows the
/// newest revision of it, then the one that left last, then the one that made it.
pub(super) fn left_with(desired: &Desired, recorded: &Recorded, wish: ImportRequest<'_>) -> Option<Address> {
    let ImportRequest { address, asset_id, .. } = wish;
    if recorded.assets.get(address).is_some_and(|record| !record.history.is_empty()) {
        return None;
    }
    let left = recorded.assets.iter().filter(|(other, record)| {
        record.in_lockfile.is_any() && !desired.assets.contains_key(*other) && other != &address
    });
    let with = left.filter_map(|(other, record)| {
        let (key, fact) = last(record)?;
        (key.asset_id == asset_id).then_some((Reverse(key.version), record.removed, fact.shared, other))
    });
    with.min().map(|(.., other)| other.clone())
}

/// Returns the addresses that left the manifest and lose the asset, besides the one that becomes the
/// receiver: if their files come back, the asset is no longer theirs.
pub(super) fn losers(
    desired: &Desired,
    recorded: &Recorded,
    wish: ImportRequest<'_>,
    moved_from: Option<&Address>,
) -> Vec<Address> {
    let ImportRequest { address, asset_id, .. } = wish;
    let is_under_way = |other: &Address| recorded.attempts.values().any(|attempt| attempt.address == *other);
    let left = recorded.assets.iter().filter(|(other, record)| {
        let is_receiver = *other == address || Some(*other) == moved_from;
        !is_receiver && record.in_lockfile.is_of(&desired.checkout) && !desired.assets.contains_key(*other)
    });
    let with = left.filter(|(other, record)| has(record, asset_id) && !is_under_way(other));
    with.map(|(other, _)| other.clone()).collect()
}
