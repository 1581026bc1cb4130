//! One write of the lockfile, which needs no loop: its text is made and hashed once, on a thread of
//! its own, from the state as it is then. While it is in progress nothing else may read or write
//! the file.
//!
//! Read next: [`super::Lockfile::wrote`], which takes in its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::KeepError;
use super::content::{begun_in, forbids, parse, text, with_absent};
use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::checkout::Checkout;
use crate::model::missing_lockfile::MissingLockfile;
use crate::platform::atomic_file::Room;
use crate::platform::failpoint;
use crate::state::lockfile::{self, Digests, Ledger, LockfileError};

/// A write that was prepared.
#[derive(Debug)]
pub(crate) struct LockfileWrite {
    pub(super) inputs: Arc<WriteInputs>,
    /// The room kept for it.
    pub(super) room: Option<Room>,
}

/// What the text is made from, beside the state.
#[derive(Debug)]
pub(super) struct WriteInputs {
    pub(super) project: Project,
    pub(super) remote: String,
    pub(super) state_cache: Arc<StateCache>,
    pub(super) in_manifest: Arc<BTreeSet<Address>>,
    /// The addresses that the file had when it was found missing.
    pub(super) had: BTreeSet<Address>,
    /// The checkout of the last scan.
    pub(super) checkout: Checkout,
    /// The fingerprint of the file as last read or written, and its revisions.
    pub(super) known: Option<String>,
    pub(super) digests: Option<Arc<Digests>>,
    /// The evidence that forbids a new file.
    pub(super) missing: Option<MissingLockfile>,
    pub(super) is_unreported: bool,
    /// Leave the file alone if another program wrote it or git is at work. Otherwise the caller has
    /// just read it.
    pub(super) is_cautious: bool,
}

/// The end of a write.
#[derive(Debug)]
pub(crate) struct WriteDone {
    pub(super) end: Result<WriteEnd, KeepError>,
    pub(super) room: RoomLeft,
}

/// What is left of the room.
#[derive(Debug)]
pub(super) enum RoomLeft {
    Kept(Option<Room>),
    /// This many bytes were released for the file.
    Released(u64),
}

#[derive(Debug)]
pub(super) enum WriteEnd {
    /// The file says all of it, or may not be written while it is missing.
    Same,
    /// Another branch is checked out than at the last scan.
    Elsewhere,
    /// Another program changed the file or the branch meanwhile, or git began to work: the text may
    /// belong to another branch, and nothing is written.
    Changed,
    Written(WrittenFile),
}

/// The file that was written.
#[derive(Debug)]
pub(super) struct WrittenFile {
    pub(super) fingerprint: String,
    pub(super) digests: Digests,
    pub(super) length: u64,
}

/// The text for the file.
#[derive(Debug)]
struct NewFile {
    text: Vec<u8>,
    addresses: BTreeSet<Address>,
    /// The checkout that it was made for.
    checkout: Checkout,
}

/// What is to be written.
#[derive(Debug)]
enum Made {
    Nothing(WriteEnd),
    File(NewFile, WrittenFile),
}

impl LockfileWrite {
    /// Runs it. Cancelling this leaves what a crash would leave.
    pub(crate) async fn run(self) -> WriteDone {
        let Self { inputs, room } = self;
        let mut room = RoomLeft::Kept(room);
        let end = replace(&inputs, &mut room).await;
        WriteDone { end, room }
    }
}

async fn replace(inputs: &Arc<WriteInputs>, room: &mut RoomLeft) -> Result<WriteEnd, KeepError> {
    let (file, written) = match on_a_thread(inputs, WriteInputs::make).await? {
        Made::File(file, written) => (Arc::new(file), written),
        Made::Nothing(end) => return Ok(end),
    };
    let store = inputs.state_cache.store();
    if !inputs.is_unreported {
        // Before the file: a change that is announced twice is better than one that never is.
        store.set_lockfile_unreported(true).await.map_err(StateCacheError::from)?;
    }
    failpoint::hit("lockfile");
    if let RoomLeft::Kept(kept) = room
        && let Some(kept) = kept.take()
    {
        *room = RoomLeft::Released(kept.bytes());
    }
    let replaced = {
        let file = Arc::clone(&file);
        on_a_thread(inputs, move |inputs| inputs.replace(&file)).await?
    };
    if !replaced {
        return Ok(WriteEnd::Changed);
    }
    failpoint::hit("lockfile_written");
    inputs.state_cache.commit_with(|recorded| lockfile::locked(recorded, &file.addresses)).await?;
    let fingerprint = Some(written.fingerprint.clone());
    store.set_lockfile_fingerprint(fingerprint).await.map_err(StateCacheError::from)?;
    Ok(WriteEnd::Written(written))
}

async fn on_a_thread<T: Send + 'static>(
    inputs: &Arc<WriteInputs>,
    work: impl FnOnce(&WriteInputs) -> T + Send + 'static,
) -> T {
    let inputs = Arc::clone(inputs);
    let worked = tokio::task::spawn_blocking(move || work(&inputs)).await;
    worked.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}

impl WriteInputs {
    /// Makes the text, unless nothing is to be written.
    fn make(&self) -> Result<Made, LockfileError> {
        let checkout = git::checkout(&self.project.root);
        let is_elsewhere = self.checkout.is_another_branch(&checkout);
        if self.is_cautious {
            let bytes = lockfile::read(&self.project.lockfile)?;
            if is_elsewhere || self.known != bytes.as_deref().map(lockfile::fingerprint) {
                return Ok(Made::Nothing(WriteEnd::Changed));
            }
        } else if is_elsewhere {
            return Ok(Made::Nothing(WriteEnd::Elsewhere));
        }
        let addresses = self.addresses(&checkout);
        let ledger = self.state_cache.read(|recorded| lockfile::export(&self.remote, recorded, &addresses));
        if self.missing.as_ref().is_some_and(|missing| forbids(missing, &ledger)) {
            return Ok(Made::Nothing(WriteEnd::Same));
        }
        let text = text(&ledger);
        let fingerprint = lockfile::fingerprint(&text);
        if self.known.as_ref() == Some(&fingerprint) || (ledger.entries.is_empty() && self.known.is_none()) {
            return Ok(Made::Nothing(WriteEnd::Same));
        }
        let digests = Digests::of(&ledger);
        self.refuse_loss(&digests, &ledger)?;
        let written = WrittenFile { fingerprint, digests, length: text.len() as u64 };
        Ok(Made::File(NewFile { text, addresses, checkout }, written))
    }

    /// Returns the addresses of the lockfile for the checkout `now`. Includes those whose upload
    /// began there and whose file is gone since.
    pub(super) fn addresses(&self, now: &Checkout) -> BTreeSet<Address> {
        let mut all = with_absent(&self.project, &self.in_manifest, &self.had);
        all.extend(self.state_cache.read(|recorded| begun_in(recorded, now)));
        all
    }

    /// Replaces the file, unless a last look finds that it may not.
    fn replace(&self, file: &NewFile) -> Result<bool, LockfileError> {
        let (path, access) = (&self.project.lockfile, self.project.lockfile_access);
        let still = || {
            let bytes = lockfile::read(path).ok().flatten();
            let is_same = bytes.as_deref().map(lockfile::fingerprint) == self.known;
            let is_free = !self.is_cautious || git::busy(&self.project.root).is_none();
            Ok(is_same && is_free && git::checkout(&self.project.root) == file.checkout)
        };
        lockfile::replace_if(path, access, &file.text, still)
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
}
