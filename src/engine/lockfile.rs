//! Keeping the lockfile in step with the book: read as a union, written when it would say something else.

use std::collections::BTreeSet;

use super::book::{Book, BookError};
use super::project::Project;
use crate::model::address::Address;
use crate::model::recorded::Recorded;
use crate::platform::{clock, failpoint};
use crate::state::lockfile::{self, Digests, Ledger, LockfileError};

/// The lockfile of one project.
#[derive(Debug)]
pub struct Lockfile {
    project: Project,
    remote: String,
    /// What was read or written last: as long as the file is that, it has nothing new to say.
    known: Option<String>,
    /// The revisions of that file, once this process has looked into it.
    digests: Option<Digests>,
}

/// Why the lockfile could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It can't be read, used or written.
    #[error(transparent)]
    Lockfile(#[from] LockfileError),
    /// What it says could not be written down.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl Lockfile {
    /// The lockfile of `project`, last seen as `known`.
    pub const fn new(project: Project, remote: String, known: Option<String>) -> Self {
        Self { project, remote, known, digests: None }
    }

    /// Takes over what the file says since it was last looked at. A missing file says that nothing is known.
    ///
    /// # Errors
    /// When it can't be read or used, or the state can't be written.
    pub async fn read(&mut self, book: &Book) -> Result<(), KeepError> {
        let bytes = lockfile::read(&self.project.lockfile)?;
        let fingerprint = bytes.as_deref().map(lockfile::fingerprint);
        if self.known == fingerprint {
            return Ok(());
        }
        let ledger = parse(&self.project, &self.remote, bytes.as_deref())?;
        self.digests = Some(Digests::of(&ledger));
        book.commit_with(|recorded| lockfile::import(recorded, &ledger, clock::now())).await?;
        if self.known != fingerprint {
            self.known = fingerprint;
            self.remember(book).await?;
        }
        Ok(())
    }

    /// Whether somebody else wrote the file since it was last read or written: git, as a rule, with another branch.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn is_changed(&self) -> Result<bool, KeepError> {
        let bytes = lockfile::read(&self.project.lockfile)?;
        Ok(self.known != bytes.as_deref().map(lockfile::fingerprint))
    }

    /// Writes the file if it would say something else than it does. Returns whether it was written.
    ///
    /// # Errors
    /// When it can't be read or written, or the state can't be written.
    pub async fn write(&mut self, book: &Book, in_manifest: &BTreeSet<Address>) -> Result<bool, KeepError> {
        // Somebody may have changed it meanwhile: git, for one. Its facts are never overwritten unread.
        self.read(book).await?;
        let ledger = book.read(|recorded| lockfile::export(&self.remote, recorded, in_manifest));
        let written = text(&ledger);
        let unchanged = self.known.as_deref() == Some(lockfile::fingerprint(&written).as_str());
        if unchanged || (ledger.entries.is_empty() && self.known.is_none()) {
            return Ok(false);
        }
        let digests = Digests::of(&ledger);
        self.refuse_loss(&digests, &ledger)?;
        failpoint::hit("lockfile");
        self.known = Some(lockfile::save(&self.project.lockfile, &self.remote, &ledger.entries, &ledger.forgotten)?);
        self.digests = Some(digests);
        failpoint::hit("lockfile_written");
        book.commit_with(|recorded| lockfile::locked(recorded, in_manifest)).await?;
        self.remember(book).await?;
        Ok(true)
    }

    /// Whatever this process believes, no asset leaves the file unless it was forgotten.
    fn refuse_loss(&self, digests: &Digests, ledger: &Ledger) -> Result<(), LockfileError> {
        if self.digests.as_ref().is_some_and(|old| old.are_in(digests)) {
            return Ok(());
        }
        let path = &self.project.lockfile;
        let old = parse(&self.project, &self.remote, lockfile::read(path)?.as_deref())?;
        match lockfile::first_lost(&old, ledger) {
            None => Ok(()),
            Some((address, asset_id)) => Err(LockfileError::WouldLose { path: path.clone(), address, asset_id }),
        }
    }

    async fn remember(&self, book: &Book) -> Result<(), BookError> {
        Ok(book.store().set_lockfile_fingerprint(self.known.clone()).await?)
    }
}

/// What the lockfile of `project` says; nothing where there is none.
///
/// # Errors
/// When it can't be used, or belongs to another remote.
pub fn parse(project: &Project, remote: &str, bytes: Option<&[u8]>) -> Result<Ledger, LockfileError> {
    let Some(bytes) = bytes else { return Ok(Ledger::new(remote.to_owned())) };
    let ledger = lockfile::parse(bytes, &project.lockfile)?;
    ledger.require_remote(remote, &project.lockfile)?;
    Ok(ledger)
}

/// Whether a sync that changes nothing at the remote would still change the lockfile.
///
/// # Errors
/// When the lockfile can't be read.
pub fn would_change(
    project: &Project,
    remote: &str,
    recorded: &Recorded,
    in_manifest: &BTreeSet<Address>,
) -> Result<bool, LockfileError> {
    let ledger = lockfile::export(remote, recorded, in_manifest);
    Ok(match lockfile::read(&project.lockfile)? {
        Some(current) => current != text(&ledger),
        None => !ledger.entries.is_empty(),
    })
}

fn text(ledger: &Ledger) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory can't fail.
    let _ = lockfile::write(&ledger.remote, &ledger.entries, &ledger.forgotten, &mut text);
    text
}
