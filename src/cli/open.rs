//! `macadam open`: where an asset is on the web, and how the game's code names it. Reads state and
//! lockfile alone, and `[existing]` of the manifest.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::args::{Global, OpenArgs};
use super::asset_words::NamedWords;
use super::exit::{CommandFailure, Exit};
use super::output::Printer;
use super::selection::AddressSelection;
use super::status::not_uploaded;
use super::target;
use super::unknown::unknown_address;
use crate::engine::report::asset_state::AssetState;
use crate::engine::report::status::{status, status_of};
use crate::engine::workspace::asset_ids;
use crate::model::address::Address;
use crate::model::ids::AssetId;

/// Prints the pages of assets.
pub(super) fn run(output: Printer, global: &Global, args: &OpenArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let asked = NamedWords::read(&target, &args.addresses)?;
    let named = AddressSelection::plain(&asked.words);
    let named = named.and_then(|addresses| status_of(&target.project, &target.remote, &addresses));
    let rows = match named {
        Some(rows) => rows,
        None => status(&target.project, &target.remote)?.rows,
    };
    let known: BTreeSet<Address> = rows.iter().map(|row| row.address.clone()).collect();
    let AddressSelection { addresses, is_single, .. } = AddressSelection::read(&asked.words, || Ok(known.clone()))?;
    let mut found: Vec<(Address, AssetId)> = Vec::new();
    let mut existing = None;
    for address in addresses {
        let by_id = asked.assets.iter().filter(|(other, _)| *other == address);
        if by_id.clone().next().is_some() {
            found.extend(by_id.cloned());
            continue;
        }
        let row = rows.iter().find(|row| row.address == address);
        // One that left the manifest may be there under another asset ID.
        if row.is_none_or(|row| row.state == AssetState::Removed)
            && let Some(asset_id) = existing.get_or_insert_with(|| asset_ids::existing(&target.project)).get(&address)
        {
            found.push((address, *asset_id));
            continue;
        }
        let Some(row) = row else {
            return Err(unknown_address(address.as_str(), known.iter().map(Address::as_str)));
        };
        let Some(asset_id) = row.asset_id else {
            return Err(not_uploaded(row, format!("`{address}` isn't uploaded yet")));
        };
        found.push((address, asset_id));
    }
    found.extend(asked.existing.iter().cloned());
    let is_single = found.len() == 1 && args.addresses.len() == 1 && (is_single || !asked.existing.is_empty());
    if output.is_json() {
        let mut documents: Vec<Value> = found.iter().map(|(address, asset_id)| document(address, *asset_id)).collect();
        match (is_single, documents.pop()) {
            (true, Some(document)) => output.document(&document),
            (_, last) => {
                documents.extend(last);
                output.document(&json!({ "assets": documents }));
            }
        }
        return Ok(Exit::Success);
    }
    asked.tell(output);
    for (address, asset_id) in &found {
        let name = if is_single { String::new() } else { format!("{address}  ") };
        output.line(format!("{name}{}  {}", page(*asset_id), asset_id.uri()));
    }
    Ok(Exit::Success)
}

/// The page where Roblox shows an asset to its owner.
fn page(asset_id: AssetId) -> String {
    format!("https://create.roblox.com/store/asset/{asset_id}")
}

fn document(address: &Address, asset_id: AssetId) -> Value {
    json!({
        "address": address.as_str(), "asset_id": asset_id.get(), "url": page(asset_id),
        "uri": asset_id.uri(),
    })
}
