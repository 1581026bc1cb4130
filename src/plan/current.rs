//! Which revision an address is, as far as is known.

use crate::model::asset::{AssetType, ContentChange};
use crate::model::desired::{DesiredAsset, Pin};
use crate::model::history::{RevisionFact, RevisionKey, Standing};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::recorded::Record;

/// The revision that `want` is: the pinned one, the one with its bytes, or else the one that it last was.
pub fn current(want: &DesiredAsset, record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    let owned = |(key, fact): (RevisionKey, &RevisionFact)| (key, *fact);
    if let Some(Pin::Asset(asset_id)) = want.pin
        && let Some(pinned) = record.history.of_asset(asset_id).next_back()
    {
        return Some(owned(pinned));
    }
    let wanted = || {
        let facts = want.content.as_ref().ok()?;
        record.current(want.asset_type.unwrap_or(record.identity.asset_type), facts.hash)
    };
    let wanted = if want.pin.is_some() { None } else { wanted() };
    wanted.or_else(|| last(record))
}

/// The revision that an address last was: of a Model its head, of another type the asset that it last pointed to, or else its newest.
pub fn last(record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    match record.identity.asset_type.on_content_change() {
        ContentChange::InPlace => record.head(),
        ContentChange::NewAsset => {
            let pointed = record.points_to.and_then(|asset_id| record.history.of_asset(asset_id).next_back());
            pointed.map(|(key, fact)| (key, *fact)).or_else(|| newest_usable(record))
        }
    }
}

/// The asset that an address is and that Roblox no longer has, where its bytes are wanted as they were.
pub fn vanished(asset_type: AssetType, content: ContentHash, record: &Record) -> Option<AssetId> {
    let asset_id = match (asset_type.on_content_change(), record.points_to) {
        // A machine that has only the lockfile doesn't know where the address pointed. Nothing that is known is uploaded again there.
        (ContentChange::NewAsset, points_to) => points_to.or_else(|| newest_of(record, content))?,
        (ContentChange::InPlace, _) if record.head().is_none() => record.history.in_order().last()?.0.asset_id,
        (ContentChange::InPlace, _) => return None,
    };
    let (_, fact) = record.history.of_asset(asset_id).next_back()?;
    let is_it = fact.standing == Standing::Gone && fact.content == Some(content);
    (is_it && record.current(asset_type, content).is_none()).then_some(asset_id)
}

fn newest_of(record: &Record, content: ContentHash) -> Option<AssetId> {
    let all = record.history.in_order();
    all.iter().rev().find(|(_, fact)| fact.content == Some(content)).map(|(key, _)| key.asset_id)
}

fn newest_usable(record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    let all = record.history.in_order();
    let usable = all.iter().rev().find(|(key, fact)| fact.standing.is_usable() && !record.is_passed_over(*key, fact));
    usable.or_else(|| all.iter().rev().find(|(_, fact)| fact.standing != Standing::Gone)).copied()
}
