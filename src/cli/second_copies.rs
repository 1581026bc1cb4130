//! What a person is told of second copies that may be on Roblox: the answer to an upload got lost.

use super::output::plural;
use crate::model::address::Address;
use crate::model::event::POSSIBLE_DUPLICATE;
use crate::model::recorded::Record;
use crate::state::store::EventRow;

/// The line under a status of assets that may have one; `None` without such assets.
pub(super) fn of_several(addresses: &[&Address]) -> Option<String> {
    let first = addresses.first()?;
    let count = plural(addresses.len() as u64, "asset");
    Some(format!(
        "{count} may have a second copy on Roblox, because the first answer got lost. `macadam history {first:#}` shows what is known of \
         it; then `macadam resolve {first:#} --asset-id N`, or `--no-duplicate`"
    ))
}

/// The note under the history of an asset that may have one.
pub(super) fn of_one(address: &Address, record: &Record, events: &[EventRow]) -> Option<String> {
    let is_told = events.iter().any(|event| event.kind == POSSIBLE_DUPLICATE);
    let place = if is_told { "" } else { " on another machine" };
    (record.suspected() > 0).then(|| {
        format!(
            "an upload of it got no clear answer{place}, so there may be a second copy on Roblox: look for it at create.roblox.com, then \
             `macadam resolve {address:#} --asset-id N`, or `--no-duplicate` if there is none"
        )
    })
}
