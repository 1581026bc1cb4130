//! Loads what is recorded of some addresses, and finds those that are tied to them, without making
//! a map of all others.
//!
//! Read next: `engine/workspace/changed_part.rs`, which knows what has to be loaded.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Result};

use super::load::{load_forgotten, load_next_attempt, load_quotas, load_record};
use super::proof::FoundRevisions;
use super::{Store, attempts, files, observations, rows};
use crate::model::address::Address;
use crate::model::file::FileCache;
use crate::model::ids::{AssetId, ContentHash};
use crate::model::path::ProjectPath;
use crate::model::recorded::{Record, Recorded, RecordedTies};
use crate::state::error::StateError;

/// What ties addresses to one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TiedBy {
    /// Bytes that they know or want.
    pub contents: BTreeSet<ContentHash>,
    /// Assets that they know.
    pub assets: BTreeSet<AssetId>,
}

impl TiedBy {
    /// Adds what ties a record to others.
    pub fn add(&mut self, record: &Record) {
        for (key, fact) in record.history.iter() {
            self.assets.insert(key.asset_id);
            self.contents.extend(fact.content);
        }
        self.assets.extend(record.points_to.iter().chain(record.retirements.keys()));
    }
}

/// Who is tied to something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TiedNames {
    /// The addresses whose records are.
    pub addresses: BTreeSet<Address>,
    /// The files whose content is, as far as they were looked at.
    pub files: BTreeSet<ProjectPath>,
}

impl Store {
    /// Returns who knows or has one of these. Looks at every revision once, and at nothing else of
    /// most addresses.
    ///
    /// # Errors
    /// When the database can't be read, or lost a revision.
    pub fn tied(&self, by: &TiedBy) -> std::result::Result<TiedNames, StateError> {
        let read = || -> Result<TiedNames> {
            let snapshot = self.connection.unchecked_transaction()?;
            let mut addresses = tied_by_revisions(&snapshot, by)?;
            addresses.extend(tied_by_assets(&snapshot, by)?);
            Ok(TiedNames { addresses, files: files::with_content(&snapshot, &by.contents)? })
        };
        read().map_err(|error| self.failed("read what is known", error))
    }

    /// Returns the entries of the files in a folder, without those of the folders in it.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn load_files_in(&self, folder: &str) -> std::result::Result<FileCache, StateError> {
        files::in_folder(&self.connection, folder).map_err(|error| self.failed("read the file cache", error))
    }

    /// Loads what is recorded of these addresses and assets, and what belongs to no address; `None`
    /// if something is under way or in question, so that everything counts.
    ///
    /// # Errors
    /// As for [`Store::load`].
    pub fn load_part(
        &self,
        addresses: &BTreeSet<Address>,
        assets: &BTreeSet<AssetId>,
    ) -> std::result::Result<Option<Recorded>, StateError> {
        let load = || -> Result<Option<Recorded>> {
            let connection = &self.connection;
            let (not_found, outdated) =
                (observations::load_not_found(connection)?, observations::load_outdated(connection)?);
            let contradicted = observations::load_contradicted(connection)?;
            let is_in_question = !not_found.is_empty() || !outdated.is_empty() || !contradicted.is_empty();
            if is_in_question || !attempts::load(connection)?.is_empty() {
                return Ok(None);
            }
            let mut records = BTreeMap::new();
            for address in addresses {
                let Some(record) = load_record(connection, address)? else { return Ok(None) };
                records.insert(address.clone(), record);
            }
            let about = observations::about(connection, assets)?;
            Ok(Some(Recorded {
                assets: records,
                attempts: BTreeMap::new(),
                forgotten: load_forgotten(connection)?,
                seen: about.seen,
                not_found,
                written: about.written,
                restored: about.restored,
                outdated,
                contradicted,
                quotas: load_quotas(connection)?,
                next_attempt: load_next_attempt(connection)?,
                ties: RecordedTies::default(),
            }))
        };
        load().map_err(|error| self.failed("read what is known", error))
    }
}

fn tied_by_revisions(connection: &Connection, by: &TiedBy) -> Result<BTreeSet<Address>> {
    let mut revisions = FoundRevisions::default();
    let mut tied: BTreeSet<Address> = BTreeSet::new();
    let mut all = connection.prepare_cached("SELECT address, asset_id, version, content FROM revisions")?;
    let mut found = all.query([])?;
    while let Some(row) = found.next()? {
        revisions.count(row, [0, 1, 2, 3])?;
        let is_tied = by.assets.contains(&rows::asset_id(row, 1)?)
            || rows::content_or_null(row, 3)?.is_some_and(|content| by.contents.contains(&content));
        if is_tied {
            tied.insert(Address::new(rows::text(row, 0)?).map_err(|error| rows::wrong(0, error))?);
        }
    }
    revisions.verify(connection)?;
    Ok(tied)
}

fn tied_by_assets(connection: &Connection, by: &TiedBy) -> Result<BTreeSet<Address>> {
    let mut tied = BTreeSet::new();
    for select in [
        "SELECT address, points_to FROM assets WHERE points_to IS NOT NULL",
        "SELECT address, asset_id FROM retirements",
    ] {
        let mut all = connection.prepare_cached(select)?;
        let mut found = all.query([])?;
        while let Some(row) = found.next()? {
            if by.assets.contains(&rows::asset_id(row, 1)?) {
                tied.insert(Address::new(rows::text(row, 0)?).map_err(|error| rows::wrong(0, error))?);
            }
        }
    }
    Ok(tied)
}
