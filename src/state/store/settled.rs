//! The proof that there is nothing to do. It holds while its inputs are the same and nothing was
//! written since: every change of the state deletes it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, Transaction};

use super::{Store, rows};
use crate::model::address::Address;
use crate::model::path::ProjectPath;
use crate::state::error::StateError;

/// What a plan was made from, when it had nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledProof {
    /// A digest of everything that a plan depends on beside the files, the state, the time, and
    /// git's commit and index.
    pub inputs: String,
    /// A digest of these; empty where the index changed too recently to show another change.
    pub git: String,
    /// What other ones are compared with, if that tells whether the proof holds for them too.
    pub base: Option<CommitBase>,
    /// A digest of the names and fingerprints of all files.
    pub files: String,
    /// The number of assets in the manifest.
    pub assets: u64,
    /// When the plan was made.
    pub since: Timestamp,
    /// Until when time alone gives a plan nothing to do.
    pub until: Timestamp,
    /// What is kept of the parts of the digest of all files.
    pub parts: Vec<u8>,
    /// The files that changed too recently for their metadata to show another change, if the lockfile
    /// or files did: only what they hold tells.
    pub recent: Option<BTreeSet<ProjectPath>>,
}

/// What git had when there was nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBase {
    /// The commit.
    pub commit: String,
    /// The files that the index had and the commit lacks, with their paths in the checkout.
    pub staged: BTreeSet<String>,
}

/// The statuses of some addresses that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledRows {
    /// The first of them.
    pub first: Address,
    /// Their statuses, in the writer's form.
    pub rows: Vec<u8>,
}

impl Store {
    /// Returns the proof, if nothing was written since. What is read after it is of the same moment.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn settled(&self) -> std::result::Result<Option<SettledProof>, StateError> {
        let read = || -> Result<Option<SettledProof>> {
            if self.connection.is_autocommit() {
                self.connection.execute_batch("BEGIN")?;
            }
            self.proof()
        };
        read().map_err(|error| self.failed("read whether there is anything to do", error))
    }

    /// Returns whether this is the proof, which nothing was written since.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn is_settled_by(&self, proof: &SettledProof) -> std::result::Result<bool, StateError> {
        let found = self.proof().map_err(|error| self.failed("read whether there is anything to do", error))?;
        Ok(found.as_ref() == Some(proof))
    }

    fn proof(&self) -> Result<Option<SettledProof>> {
        let mut all = self.connection.prepare_cached(
            "SELECT inputs, files, assets, since, until, parts, recent, git, at_commit, staged FROM settled",
        )?;
        all.query_row([], |row| {
            let (since, until) = (rows::time(row, 3)?, rows::time(row, 4)?);
            let (inputs, files) = (rows::text(row, 0)?.to_owned(), rows::text(row, 1)?.to_owned());
            let assets = row.get::<_, i64>(2)?.unsigned_abs();
            let recent = rows::text_or_null(row, 6)?.map(recent_files).transpose()?;
            let git = rows::text(row, 7)?.to_owned();
            let base = rows::text_or_null(row, 8)?.zip(rows::text_or_null(row, 9)?);
            let base = base.map(|(commit, staged)| {
                let staged = serde_json::from_str(staged).map_err(|error| rows::wrong(9, error))?;
                Ok::<_, rusqlite::Error>(CommitBase { commit: commit.to_owned(), staged })
            });
            let (parts, base) = (row.get(5)?, base.transpose()?);
            Ok(SettledProof { inputs, git, base, files, assets, since, until, parts, recent })
        })
        .optional()
    }

    /// Passes all statuses that were stored with the proof to `take`, in the order of their
    /// addresses, until it returns `false`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn settled_rows(&self, mut take: impl FnMut(&[u8]) -> bool) -> std::result::Result<(), StateError> {
        let mut read = || -> Result<()> {
            let mut all = self.connection.prepare_cached("SELECT rows FROM settled_rows ORDER BY first")?;
            let mut found = all.query([])?;
            while let Some(row) = found.next()? {
                let bytes = row.get_ref(0)?.as_blob().map_err(|error| rows::wrong(0, error))?;
                if !take(bytes) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|error| self.failed("read what is settled", error))
    }

    /// Returns those statuses among which that of `address` is, if it has one.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn settled_rows_with(&self, address: &Address) -> std::result::Result<Option<SettledRows>, StateError> {
        let read = || {
            let mut one = self
                .connection
                .prepare_cached("SELECT first, rows FROM settled_rows WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?;
            let found = |row: &Row<'_>| {
                let first = Address::new(rows::text(row, 0)?).map_err(|error| rows::wrong(0, error))?;
                Ok(SettledRows { first, rows: row.get(1)? })
            };
            one.query_row([address.as_str()], found).optional()
        };
        read().map_err(|error| self.failed("read what is settled", error))
    }

    /// Stores the proof, with the status of every address. Doesn't wait for the disk: without the
    /// proof a plan is made.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_settled(
        &mut self,
        proof: &SettledProof,
        statuses: &[SettledRows],
    ) -> std::result::Result<(), StateError> {
        self.without_waiting("write that there is nothing to do", |transaction| {
            transaction.execute("DELETE FROM settled_rows", [])?;
            put_rows(transaction, statuses)?;
            put_proof(transaction, proof)
        })
    }

    /// Stores the proof, with statuses in place of those that were stored with the same first
    /// address. The others stay what they are.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn set_settled_again(
        &mut self,
        proof: &SettledProof,
        changed: &[SettledRows],
    ) -> std::result::Result<(), StateError> {
        self.without_waiting("write that there is nothing to do", |transaction| {
            put_rows(transaction, changed)?;
            put_proof(transaction, proof)
        })
    }
}

fn put_rows(transaction: &Transaction<'_>, statuses: &[SettledRows]) -> Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO settled_rows (first, rows) VALUES (?1, ?2)")?;
    for SettledRows { first, rows } in statuses {
        insert.execute((first.as_str(), rows))?;
    }
    Ok(())
}

fn put_proof(transaction: &Transaction<'_>, proof: &SettledProof) -> Result<()> {
    let SettledProof { inputs, git, base, files, assets, since, until, parts, recent } = proof;
    let assets = i64::try_from(*assets).unwrap_or(i64::MAX);
    let recent = recent.as_ref().map(|paths| json(paths.iter().map(ProjectPath::as_str))).transpose()?;
    let staged = base.as_ref().map(|base| json(base.staged.iter().map(String::as_str))).transpose()?;
    let commit = base.as_ref().map(|base| &base.commit);
    let row = (inputs, git, commit, staged, files, assets, since.to_string(), until.to_string(), parts, recent);
    let put = "INSERT OR REPLACE INTO settled \
        (id, inputs, git, at_commit, staged, files, assets, since, until, parts, recent) \
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    transaction.execute(put, row).map(drop)
}

fn json<'a>(texts: impl Iterator<Item = &'a str>) -> Result<String> {
    let texts: Vec<&str> = texts.collect();
    serde_json::to_string(&texts).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn recent_files(text: &str) -> Result<BTreeSet<ProjectPath>> {
    let paths: Vec<String> = serde_json::from_str(text).map_err(|error| rows::wrong(6, error))?;
    paths.iter().map(|path| ProjectPath::new(path).map_err(|error| rows::wrong(6, error))).collect()
}

/// Deletes the proof, as part of every change.
pub(super) fn clear(connection: &Connection) -> Result<()> {
    connection.prepare_cached("DELETE FROM settled")?.execute([]).map(drop)
}
