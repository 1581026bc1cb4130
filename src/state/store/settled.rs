//! The proof that there is nothing to do. It holds while its inputs are the same and nothing was
//! written since: every change of the state deletes it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result};

use super::{Store, rows};
use crate::state::error::StateError;

/// What a plan was made from, when it had nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledProof {
    /// A digest of everything that a plan depends on beside the state and the time.
    pub inputs: String,
    /// The number of assets in the manifest.
    pub assets: u64,
    /// When the plan was made.
    pub since: Timestamp,
    /// Until when time alone gives a plan nothing to do.
    pub until: Timestamp,
}

impl Store {
    /// Returns the proof, if nothing was written since.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn settled(&self) -> std::result::Result<Option<SettledProof>, StateError> {
        let read = || -> Result<Option<SettledProof>> {
            let mut all = self.connection.prepare_cached("SELECT inputs, assets, since, until FROM settled")?;
            all.query_row([], |row| {
                let (since, until) = (rows::time(row, 2)?, rows::time(row, 3)?);
                let assets = row.get::<_, i64>(1)?.unsigned_abs();
                Ok(SettledProof { inputs: rows::text(row, 0)?.to_owned(), assets, since, until })
            })
            .optional()
        };
        read().map_err(|error| self.failed("read whether there is anything to do", error))
    }

    /// Stores the proof.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_settled(&mut self, proof: &SettledProof) -> std::result::Result<(), StateError> {
        let SettledProof { inputs, assets, since, until } = proof;
        let assets = i64::try_from(*assets).unwrap_or(i64::MAX);
        let row = (inputs, assets, since.to_string(), until.to_string());
        self.connection
            .execute("INSERT OR REPLACE INTO settled VALUES (1, ?1, ?2, ?3, ?4)", row)
            .map(drop)
            .map_err(|error| self.failed("write that there is nothing to do", error))
    }
}

/// Deletes the proof, as part of every change.
pub(super) fn clear(connection: &Connection) -> Result<()> {
    connection.prepare_cached("DELETE FROM settled")?.execute([]).map(drop)
}
