//! The addresses that have an asset, for a person who knows only its ID. Reads state, lockfile and
//! manifest; asks and writes nothing.

use std::collections::BTreeMap;

use super::gather::read_manifest;
use super::project::Project;
use super::snapshot::{StateSnapshot, ViewError};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::recorded::Record;

/// What an asset is in this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AssetUse {
    /// Revisions of an address, by the numbers of the first and the last; `None` for an asset whose
    /// revisions have no numbers.
    Revisions { address: Address, numbers: Option<(u64, u64)> },
    /// An entry of `[existing]`.
    Existing(Address),
    /// An address had it, and was forgotten.
    Forgotten(Address),
}

/// The assets of a project by their IDs.
pub(crate) struct KnownAssetIds {
    view: StateSnapshot,
    existing: BTreeMap<Address, AssetId>,
}

impl KnownAssetIds {
    /// Reads state, lockfile and manifest; a manifest with a mistake counts as one without
    /// `[existing]`. Blocks: it reads the disk.
    ///
    /// # Errors
    /// When state or lockfile can't be used.
    pub(crate) fn read(project: &Project, remote: &str) -> Result<Self, ViewError> {
        let view = StateSnapshot::open(project, remote)?;
        Ok(Self { view, existing: existing(project) })
    }

    /// Returns what an asset is: nothing if the project doesn't know it.
    pub(crate) fn uses(&self, asset_id: AssetId) -> Vec<AssetUse> {
        let revisions = |(address, record): (&Address, &Record)| {
            let mut keys = record.history.of_asset(asset_id).map(|(key, _)| key);
            let first = keys.next()?;
            let last = keys.next_back().unwrap_or(first);
            let has_numbers = record.numbered().is_none_or(|numbered| numbered == asset_id);
            let numbers = has_numbers.then(|| (record.history.number(first), record.history.number(last)));
            Some(AssetUse::Revisions { address: address.clone(), numbers })
        };
        let mut uses: Vec<AssetUse> = self.view.recorded.assets.iter().filter_map(revisions).collect();
        let existing = self.existing.iter().filter(|(_, id)| **id == asset_id);
        uses.extend(existing.map(|(address, _)| AssetUse::Existing(address.clone())));
        if uses.is_empty() {
            let forgotten = self.view.recorded.forgotten.iter();
            let had = forgotten.filter(|(_, forgotten)| forgotten.times(asset_id) > 0);
            uses.extend(had.map(|(address, _)| AssetUse::Forgotten(address.clone())));
        }
        uses
    }
}

/// Returns `[existing]`; nothing where the manifest has a mistake.
pub(crate) fn existing(project: &Project) -> BTreeMap<Address, AssetId> {
    read_manifest(project).map(|(manifest, _)| manifest.existing()).unwrap_or_default()
}
