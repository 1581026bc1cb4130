//! Files with asset IDs for the game's code: `[[outputs]]` of the manifest.
//!
//! There are two halves. [`render`] is pure: it turns an output and the asset ID of each address
//! into the text of the file, with the same bytes on every machine. [`mod@file`] compares that text
//! with the disk and replaces a file as a whole, only where it differs, and never one that someone
//! else made. Neither decides which asset ID an address has: `plan/current.rs` does, from desired
//! content and history.
//!
//! Read next: [`tree`] for how addresses become keys, [`mod@print`] for the languages, [`quote`]
//! for keys that are not identifiers, [`mark`] for how a generated file is recognized, and
//! [`mod@keys`] for what it offers to the game's code.

pub(crate) mod file;
mod keys;
pub(crate) mod mark;
mod print;
mod quote;
mod tree;

use std::collections::BTreeMap;
use std::fmt;

use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::output::{Language, MissingAsset, Output, ValueForm};
use crate::model::shown::foreign;

pub(crate) use keys::{KeyPath, keys};
pub(crate) use tree::Collision;

/// The asset of each address of an output; `None` if it has none yet.
pub(crate) type AssetIds = BTreeMap<Address, Option<AssetId>>;

/// The number of addresses that one message names.
const NAMED: usize = 3;

/// The deepest nesting of tables: Luau's parser accepts a few hundred, and no project has as many
/// folders.
const DEEPEST: usize = 100;

/// The largest ID that a number of Luau or JavaScript holds exactly: 2^53.
const LARGEST_NUMBER: u64 = 1 << 53;

/// Why the text of an output can't be made. Its file stays unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RenderError {
    /// Two addresses get the same key, or one gets the key of a table that holds another.
    Collisions(Vec<Collision>),
    /// An address with more `/` than tables can be nested, with `style = "nested"`.
    TooDeep { address: Address },
    /// Addresses without an asset, with `missing = "error"`.
    Missing(Vec<Address>),
    /// An ID that a number can't hold, with `value = "id"`.
    NoNumber { address: Address, asset_id: AssetId },
}

impl RenderError {
    /// Returns what to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Collisions(all) if all.iter().any(|collision| collision.is_table) => {
                "rename one of the two, leave one out with `exclude`, or use `style = \"flat\"`".to_owned()
            }
            Self::Collisions(_) => {
                "rename one of the two, leave one out with `exclude`, or keep the extensions in the keys".to_owned()
            }
            Self::TooDeep { .. } => {
                "leave it out with `exclude`, cut something off with `base`, or use `style = \"flat\"`".to_owned()
            }
            Self::Missing(_) => {
                "they get one with the next sync; with `missing = \"omit\"` the file is written without them".to_owned()
            }
            Self::NoNumber { .. } => "use `value = \"uri\"`".to_owned(),
        }
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collisions(all) => {
                let shown: Vec<String> = all.iter().take(NAMED).map(Collision::to_string).collect();
                write!(f, "{}{}", shown.join("; "), more(all.len()))
            }
            Self::TooDeep { address } => {
                write!(f, "{} lies in more than {DEEPEST} folders", quoted(address))
            }
            Self::Missing(all) => {
                let shown: Vec<String> = all.iter().take(NAMED).map(quoted).collect();
                let verb = if all.len() == 1 { "has" } else { "have" };
                write!(f, "{}{} {verb} no asset ID yet", shown.join(", "), more(all.len()))
            }
            Self::NoNumber { address, asset_id } => {
                write!(f, "asset {asset_id} of {} is too large for a number", quoted(address))
            }
        }
    }
}

impl std::error::Error for RenderError {}

fn quoted(address: &Address) -> String {
    format!("`{}`", foreign(address.as_str()))
}

fn more(count: usize) -> String {
    match count.saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

/// Returns the text of an output with these addresses. `manifest` is the name of the manifest's
/// file.
///
/// # Errors
/// See [`RenderError`].
pub(crate) fn render(output: &Output, manifest: &str, assets: &AssetIds) -> Result<String, RenderError> {
    let tree = tree::build(output, assets)?;
    let is_missing = |(address, asset_id): (&Address, &Option<AssetId>)| asset_id.is_none().then(|| address.clone());
    match output.missing {
        MissingAsset::Error => {
            let missing: Vec<Address> = assets.iter().filter_map(is_missing).collect();
            if !missing.is_empty() {
                return Err(RenderError::Missing(missing));
            }
        }
        MissingAsset::Omit | MissingAsset::Empty => {}
    }
    if output.value == ValueForm::Id && output.language != Language::Json {
        let too_large =
            |(_, asset_id): &(&Address, &Option<AssetId>)| asset_id.is_some_and(|id| id.get() > LARGEST_NUMBER);
        if let Some((address, Some(asset_id))) = assets.iter().find(too_large) {
            return Err(RenderError::NoNumber { address: address.clone(), asset_id: *asset_id });
        }
    }
    let tree = if output.missing == MissingAsset::Omit { tree.without_missing() } else { tree };
    Ok(print::file(output, manifest, &tree))
}

#[cfg(test)]
mod tests;
