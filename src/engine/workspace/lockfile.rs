//! Keeps lockfile and state cache in step: reads the file as a union, and writes it when its
//! content changes.

use std::collections::BTreeSet;

use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::git;
use crate::engine::workspace::lost_entries::{self, Compared};
use crate::engine::workspace::missing_lockfile;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::files;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::event::EventKind;
use crate::model::file::Fingerprint;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::recorded::Recorded;
use crate::platform::atomic_file::Room;
use crate::platform::{clock, failpoint, fingerprint};
use crate::state::lockfile::{self, Digests, Ledger, LockfileError};

/// The most that an upload usually adds to the lockfile, in bytes: an entry of its own, with a
/// digest for each field of metadata.
const AN_UPLOAD: u64 = 2048;

/// The reserve for other additions during uploads, in bytes: observations of earlier assets,
/// possible duplicates.
const SPARE: u64 = 64 * 1024;

/// The lockfile of one project.
#[derive(Debug)]
pub struct Lockfile {
    project: Project,
    remote: String,
    /// The fingerprint of the file as last read or written. While it matches, the file has nothing
    /// new.
    known: Option<String>,
    /// What the file system said of that file before it was read, and when.
    stamp: Option<(Fingerprint, i64)>,
    /// The commit at which that file was compared with its history in git, as [`git::head`] gives
    /// it. A merge may leave the file as it is and still have dropped what it merged.
    compared: Option<String>,
    /// The checked-out commit at the last read.
    head: String,
    /// Entries that the file lost were taken in, and no file was written with them yet.
    took_back: bool,
    /// The checkout of the last scan of manifest and files; unknown before the first.
    checkout: Checkout,
    /// The revisions of that file, once this process has read it.
    digests: Option<Digests>,
    /// The lockfile or an output was written, and no command of `--on-change` has succeeded since.
    unreported: bool,
    /// The evidence found by the last read, if the file was missing.
    missing: Option<MissingLockfile>,
    /// This state knew the file, found it missing, and neither another file nor a person's consent
    /// has replaced it since.
    is_lost: bool,
    /// A person agreed to a new file in place of a missing one.
    accepted: bool,
    /// The addresses that the file had when this process found it missing.
    had: BTreeSet<Address>,
    /// The file's length, and the room kept for the next one during uploads.
    length: u64,
    room: Option<Room>,
    /// The state's generation at the last read: a state that was written anew may hold more facts
    /// since.
    generation: u64,
}

/// How often a file is read and written anew that another program changes meanwhile.
const ATTEMPTS: u32 = 3;

/// Why the lockfile could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It can't be read, used or written.
    #[error(transparent)]
    Lockfile(#[from] LockfileError),
    /// Its facts could not be recorded.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
}

/// The state's memory of the lockfile.
#[derive(Debug)]
pub struct SavedLockfile {
    /// The fingerprint of the file as last read or written.
    pub fingerprint: Option<String>,
    /// The commit at which it was compared with its history in git.
    pub compared: Option<String>,
    /// See [`Lockfile::is_unreported`].
    pub is_unreported: bool,
    /// Whether it was lost.
    pub is_lost: bool,
}

impl Lockfile {
    /// Creates the lockfile of `project`, as the state remembers it.
    pub fn new(project: Project, remote: String, memory: SavedLockfile) -> Self {
        let SavedLockfile { fingerprint: known, compared, is_unreported: unreported, is_lost } = memory;
        Self {
            project,
            remote,
            known,
            stamp: None,
            compared,
            head: String::new(),
            took_back: false,
            checkout: Checkout::Unknown,
            digests: None,
            unreported,
            missing: None,
            is_lost,
            accepted: false,
            had: BTreeSet::new(),
            length: 0,
            room: None,
            generation: 0,
        }
    }

    /// Returns whether the lockfile or an output was written, by any process, without a successful
    /// command of `--on-change` since. A failed push waits for the next run.
    pub const fn is_unreported(&self) -> bool {
        self.unreported
    }

    /// Records that the lockfile or outputs are about to be written, so that the command of
    /// `--on-change` has to run.
    ///
    /// # Errors
    /// When the state can't be written.
    pub async fn mark_unreported(&mut self, state_cache: &StateCache) -> Result<(), StateCacheError> {
        if !std::mem::replace(&mut self.unreported, true) {
            state_cache.store().set_lockfile_unreported(true).await?;
        }
        Ok(())
    }

    /// Records that a command of `--on-change` succeeded.
    ///
    /// # Errors
    /// When the state can't be written.
    pub async fn mark_reported(&mut self, state_cache: &StateCache) -> Result<(), StateCacheError> {
        self.unreported = false;
        Ok(state_cache.store().set_lockfile_unreported(false).await?)
    }

    /// Allows a new file if it is missing.
    pub const fn accept_new(&mut self) {
        self.accepted = true;
    }

    /// Returns the fingerprint of the file, once all of it and of its history is in the state.
    pub(crate) fn taken_in(&self) -> Option<&str> {
        let is_compared = self.compared.as_ref() == Some(&self.head);
        self.known.as_deref().filter(|_| is_compared && !self.is_lost)
    }

    /// Returns the evidence found by the last read, if the file was missing.
    pub const fn missing(&self) -> Option<&MissingLockfile> {
        self.missing.as_ref()
    }

    /// Records what the file says since the last read. A missing file says that nothing is known.
    ///
    /// # Errors
    /// When it can't be read or used, or the state can't be written.
    pub async fn read(&mut self, state_cache: &StateCache) -> Result<(), KeepError> {
        let stamp = self.stamp_now();
        let bytes = lockfile::read(&self.project.lockfile)?;
        let fingerprint = bytes.as_deref().map(lockfile::fingerprint);
        self.take_in(state_cache, bytes, fingerprint).await?;
        self.stamp = stamp;
        Ok(())
    }

    fn stamp_now(&self) -> Option<(Fingerprint, i64)> {
        let now_ns = i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX);
        let metadata = std::fs::symlink_metadata(&self.project.lockfile).ok().filter(std::fs::Metadata::is_file)?;
        Some((fingerprint::at(&self.project.lockfile, &metadata), now_ns))
    }

    /// Returns whether the file is as it was last read or written. Reads it only where its metadata
    /// can't tell.
    pub(crate) fn is_untouched(&self) -> bool {
        let is_same = |(state, looked_at_ns): (Fingerprint, i64)| {
            files::is_unchanged_since(&state, looked_at_ns) && self.stamp_now().is_some_and(|(now, _)| now == state)
        };
        self.stamp.is_some_and(is_same) || !self.is_changed().unwrap_or(true)
    }

    async fn take_in(
        &mut self,
        state_cache: &StateCache,
        bytes: Option<Vec<u8>>,
        fingerprint: Option<String>,
    ) -> Result<(), KeepError> {
        self.notice_loss(state_cache, fingerprint.as_deref()).await?;
        self.missing = if bytes.is_none() {
            self.find_missing().await
        } else {
            self.is_lost.then(|| missing_lockfile::written_anew(&self.project))
        };
        self.length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match &bytes {
            None => self.had.extend(state_cache.read(in_lockfile)),
            Some(_) if self.known != fingerprint => self.had.clear(),
            Some(_) => {}
        }
        if bytes.is_none() {
            self.digests = Some(Digests::of(&Ledger::new(self.remote.clone())));
        }
        let generation = state_cache.generation();
        let is_same = self.known == fingerprint && self.generation == generation;
        self.head = git::head(&self.project.root);
        let is_compared = self.known == fingerprint && self.compared.as_ref() == Some(&self.head);
        if is_same && (is_compared || bytes.is_none()) {
            return Ok(());
        }
        let mut ledger = parse(&self.project, &self.remote, bytes.as_deref())?;
        self.digests = Some(Digests::of(&ledger));
        let mut compared = Compared::default();
        if let Some(bytes) = bytes {
            (ledger, compared) = self.take_back(state_cache, bytes, ledger).await?;
        }
        // A state that is ahead of a file that it knows learns nothing from it.
        self.took_back |= compared.is_changed;
        if !is_same || compared.is_changed {
            state_cache.commit_with(|recorded| lockfile::import(recorded, &ledger, clock::now())).await?;
        }
        self.generation = generation;
        if self.known != fingerprint {
            self.known = fingerprint;
            self.remember(state_cache).await?;
        }
        if self.compared != compared.at {
            self.compared = compared.at;
            let proven = self.compared.clone().filter(|_| !compared.failed);
            state_cache.store().set_lockfile_compared(proven).await.map_err(StateCacheError::from)?;
        }
        Ok(())
    }

    /// Adds to `ledger`, which the file holds as `bytes`, entries that the file lost and git still
    /// has.
    async fn take_back(
        &self,
        state_cache: &StateCache,
        bytes: Vec<u8>,
        mut ledger: Ledger,
    ) -> Result<(Ledger, Compared), StateCacheError> {
        let (project, remote, name) = (self.project.clone(), self.remote.clone(), self.project.lockfile_name());
        let looked = tokio::task::spawn_blocking(move || {
            let compared = lost_entries::take_back(&project, &remote, &bytes, &mut ledger);
            (ledger, compared)
        });
        let (ledger, compared) = looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        for address in &compared.lost {
            tracing::warn!(%address, "{name} had lost its entry, which git still has: it is taken from there and written again");
        }
        let tell = |address: Address| Change::LogEvent {
            address: Some(address),
            event: EventKind::EntryTakenBack { lockfile: name.clone() },
        };
        state_cache.commit(compared.lost.iter().cloned().map(tell).collect()).await?;
        Ok((ledger, compared))
    }

    /// Records a loss. It stays recorded even if this process writes a new file, until someone puts
    /// another file there or agrees to the new one.
    async fn notice_loss(&mut self, state_cache: &StateCache, found: Option<&str>) -> Result<(), StateCacheError> {
        let is_lost = match (found, self.known.as_deref()) {
            _ if self.accepted => false,
            (None, Some(_)) => true,
            (Some(found), known) if known != Some(found) => false,
            (None, None) | (Some(_), _) => self.is_lost,
        };
        if std::mem::replace(&mut self.is_lost, is_lost) != is_lost {
            state_cache.store().set_lockfile_lost(is_lost).await?;
        }
        Ok(())
    }

    /// Returns whether another program wrote the file since it was last read or written; usually
    /// git, with another branch.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn is_changed(&self) -> Result<bool, KeepError> {
        let bytes = lockfile::read(&self.project.lockfile)?;
        Ok(self.known != bytes.as_deref().map(lockfile::fingerprint))
    }

    /// Returns whether another commit is checked out than at the last read. It may have changed the
    /// other files alone: a merge can bring files and drop their entries.
    pub fn is_of_another_commit(&self) -> bool {
        self.head != git::head(&self.project.root)
    }

    /// Writes the file if its content would change. Returns whether it was written.
    ///
    /// # Errors
    /// When it can't be read or written, or the state can't be written.
    pub async fn write(
        &mut self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
    ) -> Result<bool, KeepError> {
        // Git, for example, may have changed it. Unread facts are never overwritten.
        for _ in 0..ATTEMPTS {
            self.read(state_cache).await?;
            if let Some(written) = self.replace(state_cache, in_manifest, false).await? {
                return Ok(written);
            }
        }
        tracing::warn!("{} is not written: another program changes it all the time", self.project.lockfile_name());
        Ok(false)
    }

    /// Does the same, unless the file is not as it was last read or written, or belongs to another
    /// branch: then `None`, and nothing is written or read from it. Reads the file once.
    ///
    /// # Errors
    /// As for [`Lockfile::write`].
    pub async fn write_unless_changed(
        &mut self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
    ) -> Result<Option<bool>, KeepError> {
        let bytes = lockfile::read(&self.project.lockfile)?;
        let fingerprint = bytes.as_deref().map(lockfile::fingerprint);
        if self.known != fingerprint || self.is_of_another_branch() {
            return Ok(None);
        }
        self.take_in(state_cache, bytes, fingerprint).await?;
        self.replace(state_cache, in_manifest, true).await
    }

    /// Replaces the file, which was just read, if its content would change. Makes its text once.
    /// `None` if another program changed the file or the branch meanwhile, or, if it `waits_for_git`,
    /// began to: the text may belong to another branch, and nothing is written.
    async fn replace(
        &mut self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
        waits_for_git: bool,
    ) -> Result<Option<bool>, KeepError> {
        self.stamp = None;
        let now = git::checkout(&self.project.root);
        if self.is_elsewhere(&now) {
            tracing::warn!(
                "{} is not written: another branch was checked out in the meantime. Run `macadam sync --once` again on each branch",
                self.project.lockfile_name()
            );
            return Ok(Some(false));
        }
        let in_manifest = &self.addresses(state_cache, in_manifest, &now);
        let took_back = std::mem::take(&mut self.took_back);
        let ledger = state_cache.read(|recorded| lockfile::export(&self.remote, recorded, in_manifest));
        let written = text(&ledger);
        if self.missing.as_ref().is_some_and(|missing| !self.accepted && forbids(missing, &ledger)) {
            return Ok(Some(false));
        }
        let fingerprint = Some(lockfile::fingerprint(&written));
        if self.known == fingerprint || (ledger.entries.is_empty() && self.known.is_none()) {
            return Ok(Some(false));
        }
        let digests = Digests::of(&ledger);
        self.refuse_loss(&digests, &ledger)?;
        if !self.unreported {
            // Before the file: a change that is announced twice is better than one that never is.
            state_cache.store().set_lockfile_unreported(true).await.map_err(StateCacheError::from)?;
        }
        failpoint::hit("lockfile");
        let room = self.room.take().map(|room| room.bytes());
        let (path, access) = (&self.project.lockfile, self.project.lockfile_access);
        let still = || {
            let bytes = lockfile::read(path).ok().flatten();
            let is_same = bytes.as_deref().map(lockfile::fingerprint) == self.known;
            let is_free = !waits_for_git || git::busy(&self.project.root).is_none();
            Ok(is_same && is_free && git::checkout(&self.project.root) == now)
        };
        if !lockfile::replace_if(path, access, &written, still)? {
            self.took_back = took_back;
            room.map_or(Ok(()), |bytes| self.keep_room(bytes))?;
            return Ok(None);
        }
        self.known = fingerprint;
        self.unreported = true;
        self.digests = Some(digests);
        failpoint::hit("lockfile_written");
        state_cache.commit_with(|recorded| lockfile::locked(recorded, in_manifest)).await?;
        self.remember(state_cache).await?;
        self.length = written.len() as u64;
        // The results of uploads in progress have to fit into the next file.
        if let Some(bytes) = room {
            self.keep_room(bytes.max(self.length.saturating_add(SPARE)))?;
        }
        Ok(Some(true))
    }

    /// Records the checkout in which manifest and files were scanned. Their addresses go into no
    /// other branch's lockfile.
    pub fn wanted_by(&mut self, checkout: &Checkout) {
        self.checkout.clone_from(checkout);
    }

    /// Returns whether another branch is checked out than at the last scan.
    pub fn is_of_another_branch(&self) -> bool {
        self.is_elsewhere(&git::checkout(&self.project.root))
    }

    /// Returns whether the checkout of the last scan has assets that its lockfile lacks, though
    /// nothing ended since: those of an upload that ended while another one was checked out, and
    /// those that the lockfile lost.
    pub fn is_behind(&self, state_cache: &StateCache) -> bool {
        let has_begun = |recorded: &Recorded| {
            let begun = begun_in(recorded, &self.checkout);
            begun.iter().filter_map(|address| recorded.assets.get(address)).any(|record| !record.history.is_empty())
        };
        self.took_back || state_cache.read(has_begun)
    }

    fn is_elsewhere(&self, now: &Checkout) -> bool {
        self.checkout.is_another_branch(now)
    }

    /// Returns the addresses of the lockfile for the checkout `now`. Includes those whose upload
    /// began there and whose file is gone since.
    fn addresses(
        &self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
        now: &Checkout,
    ) -> BTreeSet<Address> {
        let mut all = self.with_absent(in_manifest);
        all.extend(state_cache.read(|recorded| begun_in(recorded, now)));
        all
    }

    /// Adds addresses that the lost file had and globs select, although their files are absent now:
    /// a clone with only the new file would upload them again.
    fn with_absent(&self, in_manifest: &BTreeSet<Address>) -> BTreeSet<Address> {
        let mut all = in_manifest.clone();
        if !self.had.is_empty()
            && let Ok((manifest, _)) = read_manifest(&self.project)
        {
            all.append(&mut files::wanted_by_globs(&manifest.selection(), &self.had));
        }
        all
    }

    /// Writes the file a last time, and releases the room kept for it.
    ///
    /// # Errors
    /// As for [`Lockfile::write`]. If the file lacks assets that the state has by now, the error
    /// names them.
    pub async fn write_last(
        &mut self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
    ) -> Result<bool, KeepError> {
        self.room = None;
        match self.write(state_cache, in_manifest).await {
            Err(KeepError::Lockfile(error)) => {
                let all = self.addresses(state_cache, in_manifest, &git::checkout(&self.project.root));
                let ledger = state_cache.read(|recorded| lockfile::export(&self.remote, recorded, &all));
                let lacks = self.digests.as_ref().map(|known| known.lacks(&ledger)).unwrap_or_default();
                Err(KeepError::Lockfile(if lacks.is_empty() {
                    error
                } else {
                    LockfileError::Behind { lacks, source: Box::new(error) }
                }))
            }
            written => written,
        }
    }

    /// Keeps room for what `uploads` uploads add to the file, so that nothing is uploaded unless
    /// the file can be written.
    ///
    /// # Errors
    /// When it can't be written, or can't be read.
    pub fn make_room(
        &mut self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
        uploads: usize,
    ) -> Result<(), LockfileError> {
        if self.digests.is_none() {
            let ledger = parse(&self.project, &self.remote, lockfile::read(&self.project.lockfile)?.as_deref())?;
            self.digests = Some(Digests::of(&ledger));
        }
        let known = match self.length {
            // The state may know many addresses of a missing lockfile.
            0 => text(&state_cache.read(|recorded| lockfile::export(&self.remote, recorded, in_manifest))).len() as u64,
            length => length,
        };
        let more = (uploads as u64).saturating_mul(AN_UPLOAD).saturating_add(SPARE);
        self.keep_room(known.saturating_add(more))
    }

    fn keep_room(&mut self, bytes: u64) -> Result<(), LockfileError> {
        if self.room.as_ref().is_none_or(|room| room.bytes() < bytes) {
            self.room = None;
            self.room = Some(lockfile::room(&self.project.lockfile, bytes)?);
        }
        Ok(())
    }

    /// Refuses to write a file without an asset that the current one has, unless it was forgotten.
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

    /// Runs on another thread, since it runs git.
    async fn find_missing(&self) -> Option<MissingLockfile> {
        let (project, remote, is_lost) = (self.project.clone(), self.remote.clone(), self.is_lost);
        let looked = tokio::task::spawn_blocking(move || missing_lockfile::find(&project, &remote, is_lost));
        looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn remember(&self, state_cache: &StateCache) -> Result<(), StateCacheError> {
        Ok(state_cache.store().set_lockfile_fingerprint(self.known.clone()).await?)
    }
}

/// Parses the lockfile of `project`; an empty ledger if there is none.
///
/// # Errors
/// When it can't be used, or belongs to another remote.
pub(crate) fn parse(project: &Project, remote: &str, bytes: Option<&[u8]>) -> Result<Ledger, LockfileError> {
    let Some(bytes) = bytes else { return Ok(Ledger::new(remote.to_owned())) };
    let ledger = lockfile::parse(bytes, &project.lockfile)?;
    ledger.require_remote(remote, &project.lockfile)?;
    Ok(ledger)
}

/// Returns whether `ledger` may not be written while the lockfile is missing.
fn forbids(missing: &MissingLockfile, ledger: &Ledger) -> bool {
    missing.forbids(ledger.entries.values().map(|entry| (&entry.identity.path, entry.identity.creator)))
}

/// Returns whether a sync without steps would still change the lockfile. A `missing` one is not
/// always written.
///
/// # Errors
/// When the lockfile can't be read.
pub(crate) fn would_change(
    project: &Project,
    remote: &str,
    recorded: &Recorded,
    in_manifest: &BTreeSet<Address>,
    missing: Option<&MissingLockfile>,
) -> Result<bool, LockfileError> {
    let mut all = begun_in(recorded, &git::checkout(&project.root));
    all.extend(in_manifest.iter().cloned());
    let ledger = lockfile::export(remote, recorded, &all);
    Ok(match lockfile::read(&project.lockfile)? {
        Some(current) => lockfile::fingerprint(&current) != lockfile::fingerprint(&text(&ledger)),
        None => !ledger.entries.is_empty() && !missing.is_some_and(|missing| forbids(missing, &ledger)),
    })
}

/// Returns the addresses whose upload began in `checkout` and that no lockfile has yet.
fn begun_in(recorded: &Recorded, checkout: &Checkout) -> BTreeSet<Address> {
    let begun = recorded.assets.iter().filter(|(_, record)| match &record.in_lockfile {
        InLockfile::NotYet { begun_in } => begun_in == checkout,
        InLockfile::No | InLockfile::Yes => false,
    });
    begun.map(|(address, _)| address.clone()).collect()
}

fn in_lockfile(recorded: &Recorded) -> BTreeSet<Address> {
    let in_it = recorded.assets.iter().filter(|(_, record)| record.in_lockfile == InLockfile::Yes);
    in_it.map(|(address, _)| address.clone()).collect()
}

fn text(ledger: &Ledger) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory can't fail.
    let _ = lockfile::write(&ledger.remote, &ledger.entries, &ledger.forgotten, &mut text);
    text
}
