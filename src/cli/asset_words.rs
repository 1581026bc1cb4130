//! An asset ID in place of a name: the game's log and a mail of moderation know only that. Commands
//! that read take it; one that changes something says the name, which a person then types.
//!
//! A name wins over an ID: an address may be all digits. Read next: [`super::selection`].

use std::collections::BTreeSet;

use super::exit::{CommandFailure, Exit};
use super::output::Printer;
use super::target::ProjectTarget;
use super::values;
use crate::engine::commands::forget::way_back;
use crate::engine::report::asset_state::AssetState;
use crate::engine::report::asset_status::AssetStatus;
use crate::engine::report::status::status;
use crate::engine::workspace::asset_ids::{AssetUse, KnownAssetIds};
use crate::engine::workspace::snapshot::{self, NamedAddresses};
use crate::model::address::Address;
use crate::model::ids::AssetId;

/// The words of a command, where every asset ID became the names of the addresses that have it.
#[derive(Debug, Default)]
pub(super) struct NamedWords {
    /// Names and patterns, in the order of the words.
    pub words: Vec<String>,
    /// The assets that were named by their IDs.
    pub assets: Vec<(Address, AssetId)>,
    /// The entries of `[existing]` that were named by their IDs.
    pub existing: Vec<(Address, AssetId)>,
    notes: Vec<String>,
}

impl NamedWords {
    /// Reads the words. Without an asset ID among them nothing is looked up.
    ///
    /// # Errors
    /// When the project doesn't know an asset ID, or an address forgot it.
    pub(super) fn read(target: &ProjectTarget, words: &[String]) -> Result<Self, CommandFailure> {
        if words.iter().all(|word| values::asset_id(word).is_err()) {
            return Ok(Self { words: words.to_vec(), ..Self::default() });
        }
        let known = names(target);
        let (ids, mut found, mut rows) = (KnownAssetIds::read(&target.project, &target.remote)?, Self::default(), None);
        for word in words {
            let is_name = Address::new(word).is_ok_and(|address| known.contains(&address));
            let Some(asset_id) = values::asset_id(word).ok().filter(|_| !is_name) else {
                found.words.push(word.clone());
                continue;
            };
            let uses = ids.uses(asset_id);
            if uses.is_empty() {
                let message = format!("no asset of this project has the ID {asset_id}");
                let hint =
                    "`macadam status` lists the asset IDs in use; `macadam history ADDRESS` also shows earlier ones";
                return Err(CommandFailure::new(Exit::Unreconciled, message).unknown(word).hint(hint));
            }
            for one in uses {
                match &one {
                    AssetUse::Revisions { address, .. } => {
                        let look = || status(&target.project, &target.remote).map(|status| status.rows);
                        let rows = rows.get_or_insert_with(|| look().unwrap_or_default());
                        let row = rows.iter().find(|row| row.address == *address);
                        found.notes.push(format!("asset {asset_id} is {}{}", named(&one), since(row, asset_id)));
                        found.words.push(address.as_str().to_owned());
                        found.assets.push((address.clone(), asset_id));
                    }
                    AssetUse::Existing(address) => found.existing.push((address.clone(), asset_id)),
                    AssetUse::Forgotten(address) => return Err(forgotten(asset_id, address)),
                }
            }
        }
        Ok(found)
    }

    /// Fails if an ID is that of an entry of `[existing]`, of which Macadam knows nothing more.
    ///
    /// # Errors
    /// For the first such ID.
    pub(super) fn without_existing(self) -> Result<Self, CommandFailure> {
        match self.existing.first() {
            Some((address, asset_id)) => Err(left_alone(address, *asset_id)),
            None => Ok(self),
        }
    }

    /// Prints what each asset ID is.
    pub(super) fn tell(&self, output: Printer) {
        if !output.is_json() {
            self.notes.iter().for_each(|note| output.line(note));
        }
    }
}

/// Whether the word is an asset ID of this project rather than the number of a revision.
pub(super) fn is_known(target: &ProjectTarget, word: &str) -> bool {
    let known = |asset_id| {
        Ok::<_, CommandFailure>(!KnownAssetIds::read(&target.project, &target.remote)?.uses(asset_id).is_empty())
    };
    values::asset_id(word).is_ok_and(|asset_id| known(asset_id).unwrap_or(false))
}

/// What a person is told who gave an asset ID to a command that needs a name.
pub(super) fn hint(target: &ProjectTarget, word: &str) -> Option<String> {
    let asset_id = values::asset_id(word).ok()?;
    let uses = KnownAssetIds::read(&target.project, &target.remote).ok()?.uses(asset_id);
    let told = match uses.first()? {
        first @ AssetUse::Revisions { .. } => {
            format!("asset {asset_id} is {}: this command needs the name", named(first))
        }
        AssetUse::Existing(address) => existing_text(address, asset_id),
        AssetUse::Forgotten(address) => {
            format!("asset {asset_id} was `{address}`, which is forgotten; {}", way_back(address, &[asset_id]))
        }
    };
    Some(told)
}

/// A command that needs more of an entry of `[existing]` than its asset ID.
pub(super) fn left_alone(address: &Address, asset_id: AssetId) -> CommandFailure {
    CommandFailure::new(Exit::Unreconciled, existing_text(address, asset_id))
        .hint(format!("`macadam open {address:#}` prints the address of its page"))
}

fn forgotten(asset_id: AssetId, address: &Address) -> CommandFailure {
    let message = format!("asset {asset_id} was `{address}`, which is forgotten");
    CommandFailure::new(Exit::Unreconciled, message).hint(way_back(address, &[asset_id]))
}

fn existing_text(address: &Address, asset_id: AssetId) -> String {
    format!("`{address}` is asset {asset_id} in [existing]; Macadam leaves it alone")
}

/// All names of the project's assets. A manifest with a mistake has none.
fn names(target: &ProjectTarget) -> BTreeSet<Address> {
    let Ok(NamedAddresses { mut wanted, mut recorded }) = snapshot::addresses(&target.project, &target.remote) else {
        return BTreeSet::new();
    };
    wanted.append(&mut recorded);
    wanted
}

/// The address and its revisions, in words.
fn named(one: &AssetUse) -> String {
    match one {
        AssetUse::Revisions { address, numbers: Some((first, last)) } if first == last => {
            format!("`{address}`, revision {first}")
        }
        AssetUse::Revisions { address, numbers: Some((first, last)) } => {
            format!("`{address}`, revisions {first} to {last}")
        }
        AssetUse::Revisions { address, numbers: None } => format!("an earlier asset of `{address}`"),
        AssetUse::Existing(address) | AssetUse::Forgotten(address) => format!("`{address}`"),
    }
}

/// What became of the address since it had this asset.
fn since(row: Option<&AssetStatus>, asset_id: AssetId) -> String {
    let now = |row: &AssetStatus| Some((row.asset_id.filter(|now| *now != asset_id)?, row.revision?));
    match row {
        Some(row) if row.state == AssetState::Removed => "; it left the manifest".to_owned(),
        Some(row) => {
            now(row).map(|(id, number)| format!("; asset {id}, revision {number}, is in use now")).unwrap_or_default()
        }
        None => String::new(),
    }
}
