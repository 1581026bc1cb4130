//! Keeps lockfile and state cache in step: reads the file as a union, and writes it when its
//! content changes.
//!
//! Read next: [`read`] for what is taken in, [`content`] for what it says, [`mod@write`] for one write.

mod content;
mod read;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

pub(crate) use self::content::{LockfileChanges, hint, parse, would_change};
use self::content::{begun_in, text};
pub(super) use self::read::Stamp;
pub(crate) use self::write::{LockfileWrite, WriteDone};
use self::write::{MadeFrom, RoomLeft, WriteEnd, WriteInputs};
use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::checkout::Checkout;
use crate::model::desired::Desired;
use crate::model::missing_lockfile::{Lost, MissingLockfile};
use crate::model::recorded::Recorded;
use crate::platform::atomic_file::Room;
use crate::state::lockfile::{self, Digests, LockfileError};

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
    /// What the file system said of that file before it was read, or says since it was written.
    stamp: Option<Stamp>,
    /// What that file was made from, if by this process.
    made_from: Option<MadeFrom>,
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
    digests: Option<Arc<Digests>>,
    /// The lockfile or an output was written, and no command of `--on-change` has succeeded since.
    unreported: bool,
    /// The evidence found by the last read, if the file was missing.
    missing: Option<MissingLockfile>,
    /// What the manifest wanted at the last scan, if the file was missing then.
    wanted: Option<Arc<Desired>>,
    /// When this state, which knew the file, found it missing; `None` if it didn't, or if another file
    /// or a person's consent has replaced it since.
    lost_since: Option<Timestamp>,
    /// A person agreed to a new file in place of a missing one.
    accepted: bool,
    /// The addresses that the file had when it was found missing, until there is one again.
    had: BTreeSet<Address>,
    /// The file's length, and the room kept for the next one during uploads.
    length: u64,
    room: Option<Room>,
    /// Only entries of what is loaded may be made anew: the file says all of the others.
    only_changes: bool,
    /// The changes that were written and not yet told.
    changes: LockfileChanges,
    /// Uploads and other steps say why the file changes.
    is_explained: bool,
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
    /// Since when it is lost.
    pub lost_since: Option<Timestamp>,
    /// The addresses that it had then.
    pub had: BTreeSet<Address>,
}

impl Lockfile {
    /// Creates the lockfile of `project`, as the state remembers it.
    pub fn new(project: Project, remote: String, memory: SavedLockfile) -> Self {
        let SavedLockfile { fingerprint: known, compared, is_unreported: unreported, lost_since, had } = memory;
        Self {
            project,
            remote,
            known,
            stamp: None,
            made_from: None,
            compared,
            head: String::new(),
            took_back: false,
            checkout: Checkout::Unknown,
            digests: None,
            unreported,
            missing: None,
            wanted: None,
            lost_since,
            accepted: false,
            had,
            length: 0,
            room: None,
            only_changes: false,
            changes: LockfileChanges::default(),
            is_explained: false,
            generation: 0,
        }
    }

    /// Begins with a file that says all of the state, of which only a part is loaded, and that is
    /// not read: `stamp` is of when it was known. `moved` are the commit with which it was compared,
    /// if that says all of another one, and that one. Returns `false`, and does nothing, if it has to
    /// be read.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn begin_with_changes(
        &mut self,
        state_cache: &StateCache,
        moved: Option<(&str, &str)>,
        stamp: Stamp,
    ) -> Result<bool, StateCacheError> {
        let head = git::head(&self.project.root);
        let (compared, now) = moved.unwrap_or((&head, &head));
        let length = std::fs::symlink_metadata(&self.project.lockfile).map(|metadata| metadata.len());
        let is_compared = [compared, now].map(Some).contains(&self.compared.as_deref());
        if self.lost_since.is_some() || self.known.is_none() || !is_compared || now != head {
            return Ok(false);
        }
        let Ok(length) = length else { return Ok(false) };
        if moved.is_some() {
            self.compared = Some(head.clone());
            state_cache.store().set_lockfile_compared(self.compared.clone()).await?;
        }
        (self.only_changes, self.head, self.length, self.stamp) = (true, head, length, Some(stamp));
        Ok(true)
    }

    /// Records what the file was made from, beside the state: the addresses of the part that is loaded.
    pub(in crate::engine) fn says_all(&mut self, in_manifest: &Arc<BTreeSet<Address>>, checkout: &Checkout) {
        let (in_manifest, checkout) = (Arc::clone(in_manifest), checkout.clone());
        self.made_from = Some(MadeFrom { in_manifest, checkout, generation: self.generation });
    }

    /// Ends that: everything is loaded.
    pub(super) fn ends_with_changes(&mut self) {
        (self.only_changes, self.made_from, self.stamp) = (false, None, None);
    }

    /// Writes the entries that changed, and releases the room kept for them. Returns whether the file
    /// was written; `None` if that isn't enough, and nothing was.
    ///
    /// # Errors
    /// As for [`Lockfile::write`].
    pub(super) async fn write_changes(
        &mut self,
        state_cache: &Arc<StateCache>,
        in_manifest: &Arc<BTreeSet<Address>>,
    ) -> Result<Option<bool>, KeepError> {
        self.room = None;
        match self.prepare_write(state_cache, in_manifest).await? {
            Some(write) => self.wrote(write.run().await),
            None => Ok(None),
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

    /// Records that uploads or other steps say why the file changes.
    pub(crate) const fn explained_by_steps(&mut self) {
        self.is_explained = true;
    }

    /// Returns what was written since the last call, as far as it is known.
    pub(crate) fn take_changes(&mut self) -> LockfileChanges {
        std::mem::take(&mut self.changes)
    }

    /// Allows a new file if it is missing.
    pub const fn accept_new(&mut self) {
        self.accepted = true;
    }

    /// Returns the fingerprint of the file, once all of it and of its history is in the state.
    pub(crate) fn taken_in(&self) -> Option<&str> {
        let is_compared = self.compared.as_ref() == Some(&self.head);
        self.known.as_deref().filter(|_| is_compared && self.lost_since.is_none())
    }

    /// Returns the evidence found by the last read, if the file was missing.
    pub const fn missing(&self) -> Option<&MissingLockfile> {
        self.missing.as_ref()
    }

    /// Returns why nothing new may be created, if the file is lost and nobody agreed to a new one.
    pub(crate) fn lost(&self, desired: &Desired, recorded: &Recorded) -> Option<Lost> {
        self.missing.as_ref().filter(|_| !self.accepted)?.lost(desired, recorded)
    }

    /// Returns whether another program wrote the file since it was last read or written; usually
    /// git, with another branch.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn is_changed(&self) -> Result<bool, KeepError> {
        Ok(self.known != lockfile::fingerprint_at(&self.project.lockfile)?)
    }

    /// Returns whether another commit is checked out than at the last read. It may have changed the
    /// other files alone: a merge can bring files and drop their entries.
    pub fn is_of_another_commit(&self) -> bool {
        self.head != git::head(&self.project.root)
    }

    /// Returns the length of the file as last read or written, in bytes.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Writes the file if its content would change. Returns whether it was written.
    ///
    /// # Errors
    /// When it can't be read or written, or the state can't be written.
    pub async fn write(
        &mut self,
        state_cache: &Arc<StateCache>,
        in_manifest: &Arc<BTreeSet<Address>>,
    ) -> Result<bool, KeepError> {
        // Git, for example, may have changed it. Unread facts are never overwritten.
        for _ in 0..ATTEMPTS {
            self.read(state_cache).await?;
            let write = self.prepare(state_cache, in_manifest, false);
            if let Some(written) = self.wrote(write.run().await)? {
                return Ok(written);
            }
        }
        tracing::warn!("couldn't write {}: another program keeps changing it", self.project.lockfile_name());
        Ok(false)
    }

    /// Prepares a write that leaves a file alone which is not as it was last read or written, or
    /// belongs to another branch. `None` if that is so now. Until [`Lockfile::wrote`] nothing else
    /// may read or write the file.
    ///
    /// # Errors
    /// As for [`Lockfile::write`].
    pub(crate) async fn prepare_write(
        &mut self,
        state_cache: &Arc<StateCache>,
        in_manifest: &Arc<BTreeSet<Address>>,
    ) -> Result<Option<LockfileWrite>, KeepError> {
        if self.generation != state_cache.generation() || self.is_of_another_commit() {
            if self.only_changes || self.is_changed()? || self.is_of_another_branch() {
                return Ok(None);
            }
            self.read(state_cache).await?;
        }
        Ok(Some(self.prepare(state_cache, in_manifest, true)))
    }

    fn prepare(
        &mut self,
        state_cache: &Arc<StateCache>,
        in_manifest: &Arc<BTreeSet<Address>>,
        is_cautious: bool,
    ) -> LockfileWrite {
        let room = self.room.take();
        let (stamp, made_from) = (self.stamp.take(), self.made_from.take());
        let inputs = WriteInputs { is_cautious, stamp, made_from, ..self.inputs(state_cache, in_manifest) };
        LockfileWrite { inputs: Arc::new(inputs), room }
    }

    fn inputs(&self, state_cache: &Arc<StateCache>, in_manifest: &Arc<BTreeSet<Address>>) -> WriteInputs {
        WriteInputs {
            project: self.project.clone(),
            remote: self.remote.clone(),
            state_cache: Arc::clone(state_cache),
            in_manifest: Arc::clone(in_manifest),
            had: self.had.clone(),
            checkout: self.checkout.clone(),
            known: self.known.clone(),
            digests: self.digests.clone(),
            stamp: None,
            made_from: None,
            missing: self.missing.clone().filter(|_| !self.accepted),
            wanted: self.wanted.clone(),
            is_lost: self.lost_since.is_some(),
            is_unreported: self.unreported,
            is_cautious: false,
            only_changes: self.only_changes,
            is_explained: self.is_explained,
        }
    }

    /// Takes in the end of a write. Returns whether the file was written; `None` if another program
    /// changed it or the branch meanwhile, and nothing was.
    ///
    /// # Errors
    /// When it could not be written, or no room can be kept for the next one.
    pub(crate) fn wrote(&mut self, done: WriteDone) -> Result<Option<bool>, KeepError> {
        let WriteDone { end, room } = done;
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                if let RoomLeft::Kept(room) = room {
                    self.room = room;
                }
                return Err(error);
            }
        };
        let written = match end {
            WriteEnd::Same(made_from) => {
                self.took_back = false;
                self.made_from = made_from;
                Some(false)
            }
            WriteEnd::Elsewhere => {
                tracing::warn!(
                    "{} is not written: another branch was checked out in the meantime. Run `macadam sync --once` again on each branch",
                    self.project.lockfile_name()
                );
                Some(false)
            }
            WriteEnd::Changed => None,
            WriteEnd::Written(written) => {
                self.took_back = false;
                self.missing = self.written_anew();
                self.wanted = self.wanted.take().filter(|_| self.missing.is_some());
                self.known = Some(written.fingerprint);
                self.digests = written.digests.map(Arc::new);
                self.length = written.length;
                self.made_from = Some(written.made_from);
                self.stamp = written.stamp;
                self.unreported = true;
                self.changes.extend(written.changes);
                Some(true)
            }
        };
        match room {
            RoomLeft::Kept(room) => self.room = room,
            // The results of uploads in progress have to fit into the next file.
            RoomLeft::Released(bytes) => {
                let next = if written == Some(true) { self.length.saturating_add(SPARE) } else { 0 };
                self.keep_room(bytes.max(next))?;
            }
        }
        Ok(written)
    }

    /// Records the checkout in which manifest and files were scanned: their addresses go into no
    /// other branch's lockfile. While the file is missing, what they want decides whether a new one may
    /// be written.
    pub(in crate::engine) fn wanted_by(&mut self, desired: &Arc<Desired>) {
        self.checkout.clone_from(&desired.checkout);
        self.wanted = self.missing.is_some().then(|| Arc::clone(desired));
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

    /// Writes the file a last time, and releases the room kept for it.
    ///
    /// # Errors
    /// As for [`Lockfile::write`]. If the file lacks assets that the state has by now, the error
    /// names them.
    pub async fn write_last(
        &mut self,
        state_cache: &Arc<StateCache>,
        in_manifest: &Arc<BTreeSet<Address>>,
    ) -> Result<bool, KeepError> {
        self.room = None;
        match self.write(state_cache, in_manifest).await {
            Err(KeepError::Lockfile(error)) => {
                let inputs = self.inputs(state_cache, in_manifest);
                let all = inputs.addresses(&git::checkout(&self.project.root));
                let lacks = state_cache.read(|recorded| {
                    let ledger = lockfile::export(&self.remote, recorded, &all);
                    let unlisted = || lockfile::unlisted(recorded, &ledger);
                    self.digests.as_ref().map_or_else(unlisted, |known| known.lacks(&ledger))
                });
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
    /// When it can't be written.
    pub fn make_room(
        &mut self,
        state_cache: &StateCache,
        in_manifest: &BTreeSet<Address>,
        uploads: usize,
    ) -> Result<(), LockfileError> {
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
}
