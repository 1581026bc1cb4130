//! Keeping the lockfile in step with the book: read as a union, written when it would say something else.

use std::collections::BTreeSet;

use super::book::{Book, BookError};
use super::missing_lockfile;
use super::project::Project;
use crate::model::address::Address;
use crate::model::missing_lockfile::MissingLockfile;
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
    /// It was written, and no command of `--on-change` has ended well since.
    untold: bool,
    /// What was found when it was last looked at and not there.
    missing: Option<MissingLockfile>,
    /// It was there before, as far as this state knows, and was not seen since.
    was_known: bool,
    /// A person agreed to a new one in place of a missing one.
    accepted: bool,
    /// The state that knows it: one that was written anew may have taken in another's facts since.
    generation: u64,
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
    /// The lockfile of `project`, last seen as `known`; `untold` as [`Lockfile::is_untold`] says.
    pub fn new(project: Project, remote: String, known: Option<String>, untold: bool) -> Self {
        let (digests, missing, was_known, accepted) = (None, None, false, false);
        Self { project, remote, known, digests, untold, missing, was_known, accepted, generation: 0 }
    }

    /// Whether it was written, by this process or an earlier one, and no command of `--on-change` has
    /// ended well since: what a push that failed left behind waits for the next run.
    pub const fn is_untold(&self) -> bool {
        self.untold
    }

    /// A command of `--on-change` ended well.
    ///
    /// # Errors
    /// When the state can't be written.
    pub async fn told(&mut self, book: &Book) -> Result<(), BookError> {
        self.untold = false;
        Ok(book.store().set_lockfile_untold(false).await?)
    }

    /// Agrees to a new one where it is missing.
    pub const fn accept_new(&mut self) {
        self.accepted = true;
    }

    /// What was found in its place, where it was missing when it was last looked at.
    pub const fn missing(&self) -> Option<&MissingLockfile> {
        self.missing.as_ref()
    }

    /// Takes over what the file says since it was last looked at. A missing file says that nothing is known.
    ///
    /// # Errors
    /// When it can't be read or used, or the state can't be written.
    pub async fn read(&mut self, book: &Book) -> Result<(), KeepError> {
        let bytes = lockfile::read(&self.project.lockfile)?;
        let fingerprint = bytes.as_deref().map(lockfile::fingerprint);
        self.was_known = bytes.is_none() && (self.was_known || self.known.is_some());
        self.missing = if bytes.is_none() { self.find_missing().await } else { None };
        let generation = book.generation();
        if self.known == fingerprint && self.generation == generation {
            return Ok(());
        }
        let ledger = parse(&self.project, &self.remote, bytes.as_deref())?;
        self.digests = Some(Digests::of(&ledger));
        book.commit_with(|recorded| lockfile::import(recorded, &ledger, clock::now())).await?;
        self.generation = generation;
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
        if self.missing.as_ref().is_some_and(|missing| !self.accepted && forbids(missing, &ledger)) {
            return Ok(false);
        }
        let unchanged = self.known.as_deref() == Some(lockfile::fingerprint(&written).as_str());
        if unchanged || (ledger.entries.is_empty() && self.known.is_none()) {
            return Ok(false);
        }
        let digests = Digests::of(&ledger);
        self.refuse_loss(&digests, &ledger)?;
        if !std::mem::replace(&mut self.untold, true) {
            // Before the file: a change that was told twice is better than one that was never told.
            book.store().set_lockfile_untold(true).await.map_err(BookError::from)?;
        }
        failpoint::hit("lockfile");
        let (path, access) = (&self.project.lockfile, self.project.lockfile_access);
        self.known = Some(lockfile::save(path, access, &self.remote, &ledger.entries, &ledger.forgotten)?);
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

    /// Looks aside, since git is asked.
    async fn find_missing(&self) -> Option<MissingLockfile> {
        let (project, remote, was_known) = (self.project.clone(), self.remote.clone(), self.was_known);
        let looked = tokio::task::spawn_blocking(move || missing_lockfile::find(&project, &remote, was_known));
        looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
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

/// Whether `ledger` may not be written where the lockfile is missing.
fn forbids(missing: &MissingLockfile, ledger: &Ledger) -> bool {
    missing.forbids(ledger.entries.values().map(|entry| (&entry.identity.path, entry.identity.creator)))
}

/// Whether a sync that changes nothing at the remote would still change the lockfile. One that is `missing` is not always written.
///
/// # Errors
/// When the lockfile can't be read.
pub fn would_change(
    project: &Project,
    remote: &str,
    recorded: &Recorded,
    in_manifest: &BTreeSet<Address>,
    missing: Option<&MissingLockfile>,
) -> Result<bool, LockfileError> {
    let ledger = lockfile::export(remote, recorded, in_manifest);
    Ok(match lockfile::read(&project.lockfile)? {
        Some(current) => current != text(&ledger),
        None => !ledger.entries.is_empty() && !missing.is_some_and(|missing| forbids(missing, &ledger)),
    })
}

fn text(ledger: &Ledger) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory can't fail.
    let _ = lockfile::write(&ledger.remote, &ledger.entries, &ledger.forgotten, &mut text);
    text
}
