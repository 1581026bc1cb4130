//! Which revision an address is, as far as is known, and which asset ID the game is given for it.

use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::desired::{Desired, DesiredAsset, Pin};
use crate::model::history::{RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::recorded::{Record, Retirement};

/// The revision that `want` is: the pinned one, the one with its bytes (unless a person archived the
/// one in use, and didn't restore it), or else the one that it last was. A picture that moderation
/// rejected or Roblox lost is passed over, as long as there is another: a game shows the picture of
/// before rather than none.
pub(crate) fn current(want: &DesiredAsset, record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    if let Some(pinned) = pinned(*want.pin, record) {
        return Some(pinned);
    }
    let wanted = || {
        let facts = want.content.as_ref().ok()?;
        record.current(want.asset_type.unwrap_or(record.identity.asset_type), facts.hash)
    };
    let wanted = if want.pin.is_some() { None } else { wanted() };
    wanted.filter(|(key, _)| !waits_for_restore(record, key.asset_id)).or_else(|| last(record))
}

/// Whether the address uses an asset that a person archived, so that a file with the bytes of another
/// one waits until it is restored.
fn waits_for_restore(record: &Record, wanted: AssetId) -> bool {
    let in_use = record.points_to.filter(|in_use| *in_use != wanted);
    in_use.and_then(|in_use| record.retirements.get(&in_use)).is_some_and(Retirement::is_by_hand)
}

/// The revision at which a pin holds the asset ID; `None` if it is of no asset that the address had.
fn pinned(pin: Option<Pin>, record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    let Some(Pin::Asset(asset_id)) = pin else { return None };
    record.history.of_asset(asset_id).next_back().map(|(key, fact)| (key, *fact))
}

/// The revision that an address last was: of a Model its head, of another type the asset that it
/// uses.
pub(crate) fn last(record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    match record.identity.asset_type.on_content_change() {
        ContentChange::InPlace => record.head().or_else(|| record.history.in_order().last().copied()),
        ContentChange::NewAsset => record.in_use(),
    }
}

/// The revision that the game is given for an address: the pinned one, the one with the file's bytes,
/// or else, while those are on their way, were refused, or can't be read, the last one that can be
/// used. Of an address whose file is absent here, and that is not removed, the pin decides too.
pub(crate) fn for_game(desired: &Desired, address: &Address, record: &Record) -> Option<(RevisionKey, RevisionFact)> {
    match desired.assets.get(address) {
        Some(want) => current(want, record),
        None => pinned(desired.stray_pin(address), record).or_else(|| last(record)),
    }
}

/// The asset that an address is, or was with the bytes that are wanted now, and that Roblox no
/// longer has. Its bytes are not sent again by themselves.
pub(crate) fn vanished(asset_type: AssetType, content: ContentHash, record: &Record) -> Option<AssetId> {
    match asset_type.on_content_change() {
        ContentChange::NewAsset => record.history.gone(content, record.identity.kind()),
        ContentChange::InPlace if record.head().is_none() => {
            let (key, fact) = *record.history.in_order().last()?;
            (fact.content == Some(content)).then_some(key.asset_id)
        }
        ContentChange::InPlace => None,
    }
}
