//! `macadam import`: an asset that is at Roblox already comes under management.

use std::sync::Arc;

use serde_json::json;

use super::args::{Global, ImportArgs};
use super::command_context::{CommandContext, CommandResult};
use super::exit::{CommandFailure, Exit};
use super::move_in;
use super::output::{Printer, TextStyle, paint};
use super::service_client::{self, through_service};
use super::target;
use super::target::ProjectTarget;
use super::unknown::guess;
use crate::engine::commands::import::{self, ImportError, ImportFit, ImportRequest, Imported};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::report::status::status;
use crate::engine::workspace::gather::read_manifest;
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::ids::AssetId;
use crate::model::request::Request;
use crate::model::toml_text::{TomlKey, TomlText};

impl From<ImportError> for CommandFailure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Command(error) => error.into(),
            ImportError::NotInManifest { address, known } => {
                let known: Vec<&str> = known.iter().map(Address::as_str).collect();
                let guess = guess(address.as_str(), &known);
                CommandFailure::new(Exit::Unreconciled, format!("`{address}` is not in the manifest"))
                    .unknown(address.as_str())
                    .hint(guess.unwrap_or_else(|| entry_to_add(&address)))
            }
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// What to write into the manifest, so that it has this address.
fn entry_to_add(address: &Address) -> String {
    let text = address.as_str();
    let (key, file) = (TomlKey(text), TomlText(if text.contains('.') { text } else { "FILE" }));
    format!("add it to the manifest first: `[assets.{key}]`, and below it `path = {file}`, with the path of its file")
}

/// Imports one asset.
pub(super) async fn run(output: Printer, global: &Global, args: &ImportArgs) -> Result<Exit, CommandFailure> {
    if let Some(from) = &args.from {
        return move_in::run(output, global, from, args).await;
    }
    let (Some(address), Some(asset_id)) = (&args.address, args.asset_id) else {
        return Err(CommandFailure::new(Exit::Usage, "import needs an address and an asset ID, or --from FILE"));
    };
    let address = target::address(address)?;
    let target = target::find(global)?;
    // Without a usable manifest nothing is attempted, and no state is made.
    read_manifest(&target.project)?;
    let content_matches = args.content_matches;
    let announces = !content_matches && !output.is_json() && !output.is_quiet();
    let before = asset_of(&target, &address);
    let announce = |fit: ImportFit| {
        if !announces {
            return;
        }
        let Some(note) = fit.note(&address, asset_id) else {
            output.say(format!("{address} has the bytes of asset {asset_id}: nothing is uploaded."));
            return;
        };
        // Forgetting would drop the asset that it has by now too, and upload the file again.
        let back = match (fit, &before) {
            (ImportFit::Unused { .. }, _) => String::new(),
            (_, Some(old)) => format!(" {}.", back_to(&address, old)),
            (_, None) => format!(" `macadam forget {address:#}` takes the import back."),
        };
        output.say(format!("{note}.{back}"));
    };
    let request = Request::Import { address: address.clone(), asset_id, content_matches };
    if let Some(answer) = through_service(output, global, &target, &request).await? {
        service_client::tell(output, &address, answer, "imported:", target::is_local(global));
        return Ok(Exit::Success);
    }
    let mut command = CommandContext::open(output, global, &target, "macadam import").await?;
    let wish = ImportRequest { address: &address, asset_id, content_matches };
    let imported = carry_out(&mut command, wish, &announce).await;
    command.close().await;
    let (imported, lockfile_written) = imported?;
    let notes = if announces { imported.notes_beside_fit(&address) } else { imported.notes(&address) };
    tell(output, &address, &imported, notes, (lockfile_written, target::is_local(global)));
    Ok(Exit::Success)
}

/// What an address is by now: its asset, the number of its revision, and its type.
fn asset_of(target: &ProjectTarget, address: &Address) -> Option<(AssetId, u64, AssetType)> {
    let rows = status(&target.project, &target.remote).ok()?.rows;
    let row = rows.into_iter().find(|row| row.address == *address)?;
    Some((row.asset_id?, row.revision?, row.asset_type?))
}

/// How an address goes back to its asset after an import. A revision of a Model's other asset can't
/// be pinned.
fn back_to(address: &Address, (asset_id, number, asset_type): &(AssetId, u64, AssetType)) -> String {
    let command = match asset_type.on_content_change() {
        ContentChange::InPlace => format!("macadam import {address:#} {asset_id}"),
        ContentChange::NewAsset => format!("macadam pin {address:#} {number}"),
    };
    format!("`{command}` goes back to asset {asset_id}")
}

async fn carry_out(
    command: &mut CommandContext,
    wish: ImportRequest<'_>,
    announce: &(dyn Fn(ImportFit) + Sync),
) -> Result<(Imported, bool), CommandFailure> {
    let (listener, stop) = (command.bars.listener(), command.stop.clone());
    let desired = command.session.wanted(listener.clone()).await?;
    let context = ExecutionContext::new(&command.session, Arc::clone(&command.client), listener, stop, 1).await?;
    let imported = import::import(&context, &desired, wish, &|fit| {
        command.bars.clear();
        announce(fit);
    })
    .await?;
    Ok((imported, command.session.keep(Some(wish.address)).await?))
}

fn tell(
    output: Printer,
    address: &Address,
    imported: &Imported,
    notes: Vec<String>,
    (lockfile_written, is_local): (bool, bool),
) {
    let Imported { key, number, moved_from, fit, archived, .. } = imported;
    if output.is_json() {
        let more = vec![
            ("moved_from", json!(moved_from.as_ref().map(Address::as_str))),
            ("content_known", json!(fit.is_content_known())),
            ("archived", json!(archived)),
            ("notes", json!(notes)),
            ("lockfile_written", json!(lockfile_written)),
        ];
        let told = CommandResult { asset_id: Some(key.asset_id), revision: Some(*number), outcome: "done", more };
        output.document(&told.document(address));
        return;
    }
    let from = moved_from
        .as_ref()
        .map(|from| format!(", taken over from {from}, which is no longer in the manifest"))
        .unwrap_or_default();
    let what = match fit {
        ImportFit::Unused { .. } => format!("asset {} is revision {number} of {address}", key.asset_id),
        ImportFit::Same | ImportFit::Differs { .. } => {
            format!("{address} is asset {}, revision {number}{from}", key.asset_id)
        }
    };
    output.line(format!("{} {what}", paint(TextStyle::Good, "imported:")));
    for note in notes {
        output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
    }
    if lockfile_written && !is_local {
        output.line("Commit the lockfile.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_to_add_are_toml_in_every_language() {
        let hint = entry_to_add(&Address::new("ui/हिन्दी.png").unwrap());
        assert!(hint.contains("`[assets.\"ui/हिन्दी.png\"]`") && hint.contains("`path = \"ui/हिन्दी.png\"`"), "{hint}");
        assert!(entry_to_add(&Address::new("sword").unwrap()).contains("`[assets.sword]`"));
    }
}
