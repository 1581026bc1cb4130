//! The lockfile of every Asphalt, and what else all of them share.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::read::{Fetch, ReadError, toml};

pub(super) const CONFIG: &str = "asphalt.toml";
pub(super) const LOCKFILE: &str = "asphalt.lock.toml";

#[derive(Deserialize)]
pub(super) struct AsphaltWebAsset {
    pub(super) id: u64,
}

/// The lockfile, of any version.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct AsphaltLockfile {
    pub(super) version: u64,
    pub(super) inputs: BTreeMap<String, BTreeMap<String, AsphaltEntry>>,
    pub(super) entries: BTreeMap<String, AsphaltEntry>,
}

#[derive(Deserialize)]
pub(super) struct AsphaltEntry {
    pub(super) hash: Option<String>,
    pub(super) asset_id: u64,
}

/// Reads the lockfile; `None` if there is none. Such a project has uploaded nothing, or what it
/// uploaded can't be known.
pub(super) fn lockfile(fetch: &Fetch<'_>) -> Result<Option<AsphaltLockfile>, ReadError> {
    let Some(text) = fetch(LOCKFILE)? else { return Ok(None) };
    let lockfile: AsphaltLockfile = toml(LOCKFILE, &text)?;
    if lockfile.version > 2 {
        let hint = "it was written by an Asphalt newer than 2; look for a newer Macadam".to_owned();
        return Err(ReadError::Version { file: LOCKFILE.to_owned(), version: lockfile.version.to_string(), hint });
    }
    Ok(Some(lockfile))
}
