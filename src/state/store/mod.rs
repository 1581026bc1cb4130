//! The state database: one owner, synchronous calls, and each change durable when its call returns.
//!
//! Nothing here is cancelled halfway or retried. Async code uses
//! [`StoreHandle`](crate::state::handle::StoreHandle).
//!
//! Read next: `open` for what is refused, `commit` for how changes are written, `load` for how they
//! are read; the schema with its reasons is in `migrations/`.

mod anew;
mod attempts;
mod commit;
mod events;
mod files;
mod forget;
mod learned;
mod load;
mod lost_lockfile;
mod moves;
mod observations;
mod open;
mod part;
mod proof;
mod records;
mod request_form;
mod requests;
mod room;
mod rows;
mod schema;
mod settled;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, ToSql, Transaction};

use crate::platform::file_id::FileId;
use crate::platform::lock::FileLock;
use crate::state::error::StateError;

pub(crate) use anew::Anew;
pub(crate) use commit::Batch;
pub(crate) use events::EventRow;
pub(crate) use files::FileDelta;
pub(crate) use learned::{LatencyRow, LimitRow};
pub(super) use open::create_folder;
pub(crate) use part::{TiedBy, TiedNames};
pub use requests::RequestStart;
pub(crate) use requests::{RequestClient, RequestProgress};
pub(crate) use settled::{CommitBase, SettledProof, SettledRows};

/// An open state.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    remote: String,
    /// The files that it opened, by path and identity; empty if it only reads.
    files: Vec<(PathBuf, FileId)>,
    // Dropped after the connection: see `FileLock::try_acquire_beside_sqlite`.
    _alone: Option<FileLock>,
}

impl Store {
    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the opened files, by path and identity: the database and SQLite's files beside it.
    pub fn files(&self) -> &[(PathBuf, FileId)] {
        &self.files
    }

    /// Returns the fingerprint of the lockfile that was last read or written.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn lockfile_fingerprint(&self) -> Result<Option<String>, StateError> {
        self.connection
            .query_row("SELECT lockfile_fingerprint FROM meta", [], |row| row.get(0))
            .map_err(|error| self.failed("read the lockfile's fingerprint", error))
    }

    /// Stores the fingerprint of the lockfile that was just read or written; `None` if there is no
    /// lockfile any more. None is coming then, and none is lost that had anything.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_lockfile_fingerprint(&mut self, fingerprint: Option<&str>) -> Result<(), StateError> {
        const DOING: &str = "write the lockfile's fingerprint";
        if fingerprint.is_some() {
            lost_lockfile::clear(&self.connection).map_err(|error| self.failed(DOING, error))?;
        }
        let statement = "UPDATE meta SET lockfile_fingerprint = ?1, lockfile_coming = NULL";
        self.update_meta(statement, fingerprint, DOING)
    }

    /// Returns the fingerprint of the lockfile that was about to be put in place of a lost one;
    /// `None` if that ended.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn lockfile_coming(&self) -> Result<Option<String>, StateError> {
        self.connection
            .query_row("SELECT lockfile_coming FROM meta", [], |row| row.get(0))
            .map_err(|error| self.failed("read which lockfile was about to be written", error))
    }

    /// Stores the fingerprint of the lockfile that is about to be put in place of a lost one.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_lockfile_coming(&mut self, fingerprint: &str) -> Result<(), StateError> {
        let statement = "UPDATE meta SET lockfile_coming = ?1";
        self.update_meta(statement, fingerprint, "write which lockfile is about to be written")
    }

    /// Returns the commit at which the lockfile was last compared with its history in git, as
    /// text; `None` if it never was.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn lockfile_compared(&self) -> Result<Option<String>, StateError> {
        self.connection
            .query_row("SELECT lockfile_compared FROM meta", [], |row| row.get(0))
            .map_err(|error| self.failed("read when the lockfile was compared with git", error))
    }

    /// Stores the commit at which the lockfile was compared with its history in git.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_lockfile_compared(&mut self, head: Option<&str>) -> Result<(), StateError> {
        let statement = "UPDATE meta SET lockfile_compared = ?1";
        self.update_meta(statement, head, "write when the lockfile was compared with git")
    }

    /// Returns whether the lockfile was written and no command of `--on-change` has succeeded
    /// since.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn is_lockfile_unreported(&self) -> Result<bool, StateError> {
        self.connection
            .query_row("SELECT lockfile_unreported FROM meta", [], |row| row.get(0))
            .map_err(|error| self.failed("read whether the lockfile's change was told", error))
    }

    /// Stores whether the lockfile was written and no command of `--on-change` has succeeded since.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_lockfile_unreported(&mut self, unreported: bool) -> Result<(), StateError> {
        let statement = "UPDATE meta SET lockfile_unreported = ?1";
        self.update_meta(statement, unreported, "write whether the lockfile's change was told")
    }

    /// Returns since when the lockfile is lost; `None` if it isn't, or was replaced or given up by a
    /// person since.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn lockfile_lost_since(&self) -> Result<Option<Timestamp>, StateError> {
        let query = "SELECT lockfile_lost_since FROM meta WHERE lockfile_lost_since IS NOT NULL";
        let since = self.connection.query_row(query, [], |row| rows::time(row, 0)).optional();
        since.map_err(|error| self.failed("read whether the lockfile was lost", error))
    }

    /// Stores since when the lockfile is lost, as above.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_lockfile_lost_since(&mut self, since: Option<Timestamp>) -> Result<(), StateError> {
        let since = since.map(|since| since.to_string());
        self.update_meta("UPDATE meta SET lockfile_lost_since = ?1", since, "write whether the lockfile was lost")
    }

    fn update_meta(&self, statement: &str, value: impl ToSql, doing: &'static str) -> Result<(), StateError> {
        let update = || {
            settled::clear(&self.connection)?;
            self.connection.execute(statement, [value]).map(drop)
        };
        update().map_err(|error| self.failed(doing, error))
    }

    /// Writes something that only saves time, in one transaction that doesn't wait for the disk. In
    /// WAL mode the file stays sound, and the next durable change takes this one with it to the disk.
    fn without_waiting(
        &mut self,
        doing: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StateError> {
        let all = |connection: &mut Connection| -> rusqlite::Result<()> {
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let written = connection.transaction().and_then(|transaction| {
                write(&transaction)?;
                transaction.commit()
            });
            connection.pragma_update(None, "synchronous", "FULL")?;
            written
        };
        let written = all(&mut self.connection);
        written.map_err(|error| self.failed(doing, error))
    }

    fn failed(&self, doing: &'static str, error: rusqlite::Error) -> StateError {
        StateError::from_sql(&self.path, doing, error)
    }
}
