//! A session: the one process that may change a state, from acquiring the lock to releasing it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::report::progress::Listener;
use crate::engine::workspace::changed_part::{self, LoadedPart, WantedPart};
use crate::engine::workspace::gather::{GatherError, gather, in_progress_now};
use crate::engine::workspace::lockfile::{KeepError, Lockfile, SavedLockfile};
use crate::engine::workspace::lost_outcomes::hold_lost;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::saved_answer::SavedAnswer;
use crate::engine::workspace::settled::ChangedFiles;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::manifest::Diagnostic;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::InLockfile;
use crate::model::desired::Desired;
use crate::model::phase::PhaseEvent;
use crate::model::recorded::Recorded;
use crate::model::shown::with_causes;
use crate::platform::clock;
use crate::platform::owner::{self, Owner};
use crate::state::StateError;
use crate::state::handle::StoreHandle;
use crate::state::lock::{self, LockError, Occupancy, StateLock};
use crate::state::store::Store;
use crate::state::write_lock::WriteLock;

/// The open state of a project, after recovery of an earlier process's open attempts.
pub struct Session {
    /// The project.
    pub project: Project,
    /// The recorded state.
    pub state_cache: Arc<StateCache>,
    /// The lockfile.
    pub lockfile: Lockfile,
    /// What git said last of absent assets.
    pub(in crate::engine) history: Arc<SavedAnswer>,
    /// Likely mistakes of manifest and files, as of the last look at them.
    pub notes: Vec<Diagnostic>,
    /// What is wanted of the only part that was loaded, until a run takes it.
    pub(in crate::engine) part: Option<WantedPart>,
}

/// The state is another user's, who can't use what this user writes: neither the state nor the manifest,
/// the lockfile and the outputs.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state `{}` belongs to {}, who can't use what {} writes here",
    path.display(), owner.in_words(), me.in_words()
)]
pub struct OthersState {
    path: PathBuf,
    owner: Owner,
    me: Owner,
    command: String,
}

impl OthersState {
    /// Returns how to go on.
    pub(crate) fn hint(&self) -> String {
        let Self { owner, command, .. } = self;
        format!("run it as {}: `sudo -u {} {command} …`", owner.in_words(), owner.for_sudo())
    }
}

/// Refuses root to write in a project whose state is another user's, in the name of `command`. The system
/// refuses that to every other user.
///
/// # Errors
/// When it is another user's.
pub(crate) fn require_own_state(project: &Project, command: &str) -> Result<(), OthersState> {
    match owner::another(&project.state).filter(|(_, me)| me.is_root()) {
        Some((owner, me)) => Err(OthersState { path: project.state.clone(), owner, me, command: command.to_owned() }),
        None => Ok(()),
    }
}

/// Why a session could not begin. Nothing was attempted.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The state is another user's.
    #[error(transparent)]
    Others(#[from] OthersState),
    /// Another process holds the state, or the lock is unavailable.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The state can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The system gave no thread for the state.
    #[error("can't start a thread")]
    Thread(#[source] std::io::Error),
    /// Open attempts could not be recovered.
    #[error("can't recover from an earlier run")]
    Recover(#[from] StateCacheError),
    /// The lockfile can't be used.
    #[error(transparent)]
    Lockfile(#[from] KeepError),
}

impl Session {
    /// Acquires the lock in the name of `command`, opens the state, recovers the journal and reads
    /// the lockfile.
    ///
    /// # Errors
    /// When another process holds the state, or state or lockfile can't be used.
    pub async fn open(project: &Project, remote: &str, command: &str) -> Result<Self, SessionError> {
        Self::open_changed(project, remote, command, None).await
    }

    /// Does what [`Session::open`] does. If nothing but a `change` of some files is to be looked at,
    /// only what that can touch is loaded.
    ///
    /// # Errors
    /// As for [`Session::open`].
    pub(crate) async fn open_changed(
        project: &Project,
        remote: &str,
        command: &str,
        change: Option<Box<ChangedFiles>>,
    ) -> Result<Self, SessionError> {
        if let Some(before) = project.state_before_git()
            // An unreadable path there is not Macadam's.
            && let Ok(Occupancy::Held { by }) = lock::holder(&before)
        {
            return Err(LockError::Held { path: before, holder: by }.into());
        }
        require_own_state(project, command)?;
        project.prepare_state_folder();
        let lock = StateLock::acquire(&project.state, command, clock::now())?;
        let (mut store, read) = Store::open_and_read(&project.state, remote, clock::now(), |store| {
            let lost = store.has_lost_outcomes()?;
            let memory = SavedLockfile {
                fingerprint: store.lockfile_fingerprint()?,
                compared: store.lockfile_compared()?,
                is_unreported: store.is_lockfile_unreported()?,
                lost_since: store.lockfile_lost_since()?,
                had: store.lockfile_had()?,
            };
            let part = match change.filter(|_| !lost) {
                Some(change) => changed_part::load(store, project, change)?,
                None => None,
            };
            let (recorded, part) = match part {
                Some(LoadedPart { recorded, wanted }) => (recorded, Some(wanted)),
                None => (store.load()?, None),
            };
            Ok((lost, memory, recorded, part))
        })?;
        let (lost, memory, recorded, part) = read;
        // A service that is gone left these requests. It may have begun them, so they are not begun
        // again.
        store.end_requests(clock::now())?;
        let (command, place) = (command.to_owned(), project.clone());
        let place = Box::new(move || place.state_now().map_err(|error| with_causes(&error)));
        let hold = WriteLock::new(lock, &store, &command, place)?;
        let store = StoreHandle::spawn(store).map_err(SessionError::Thread)?;
        let state_cache = Arc::new(StateCache::new(recorded, part.is_some(), store, hold, remote.to_owned()));
        let mut lockfile = Lockfile::new(project.clone(), remote.to_owned(), memory);
        let (project, notes, history) = (project.clone(), Vec::new(), Arc::default());
        let begins_with_part = match &part {
            Some(part) => lockfile.begin_with_changes(&state_cache, part.moved(), part.lockfile()).await?,
            None => false,
        };
        if begins_with_part {
            return Ok(Self { project, state_cache, lockfile, history, notes, part });
        }
        let mut session = Self { project, state_cache, lockfile, history, notes, part: None };
        session.load_everything().await?;
        let Self { state_cache, lockfile, .. } = &mut session;
        if lost {
            state_cache.commit_with(|recorded| hold_lost(recorded, clock::now())).await?;
        }
        state_cache.commit_with(|recorded| recover(recorded, |_| true)).await?;
        state_cache.store().settle_lost_outcomes().await?;
        lockfile.read(state_cache).await?;
        Ok(session)
    }

    /// Loads everything, if only a part was loaded. Call it while nothing is in progress.
    ///
    /// # Errors
    /// When the state can't be read.
    pub(in crate::engine) async fn load_everything(&mut self) -> Result<(), StateCacheError> {
        self.part = None;
        if !self.state_cache.is_part() {
            return Ok(());
        }
        tracing::debug!("everything was loaded after a part");
        self.state_cache.load_everything().await?;
        self.lockfile.ends_with_changes();
        Ok(())
    }

    /// Writes the lockfile a last time, and releases the room kept for it. If only a part is loaded,
    /// its entries alone are made anew where that is enough.
    ///
    /// # Errors
    /// As for [`Lockfile::write_last`].
    pub(in crate::engine) async fn write_last(
        &mut self,
        in_manifest: &Arc<BTreeSet<Address>>,
    ) -> Result<bool, KeepError> {
        if !self.state_cache.is_part() {
            return self.lockfile.write_last(&self.state_cache, in_manifest).await;
        }
        if let Ok(Some(written)) = self.lockfile.write_changes(&self.state_cache, in_manifest).await {
            return Ok(written);
        }
        self.load_everything().await?;
        let mut known = self.state_cache.read(in_lockfile);
        known.extend(in_manifest.iter().cloned());
        self.lockfile.read(&self.state_cache).await?;
        self.lockfile.write_last(&self.state_cache, &Arc::new(known)).await
    }

    /// Writes the lockfile after a change of one address, and includes that address if it has
    /// anything to record. Returns whether the lockfile was written.
    ///
    /// # Errors
    /// When the lockfile can't be written.
    pub async fn keep(&mut self, address: Option<&Address>) -> Result<bool, KeepError> {
        let mut known = self.state_cache.read(in_lockfile);
        known.extend(address.cloned());
        self.lockfile.write(&self.state_cache, &Arc::new(known)).await
    }

    /// Returns the current desired state, from manifest and files.
    ///
    /// # Errors
    /// When the manifest is not valid.
    pub(crate) async fn wanted(&mut self, listener: Listener) -> Result<Desired, GatherError> {
        // Without it every file is read; whatever is wrong with the state, its next use says.
        let cache = self.state_cache.store().load_files().await.unwrap_or_default();
        let project = self.project.clone();
        let known = self.state_cache.read(Recorded::addresses);
        let looked = tokio::task::spawn_blocking(move || {
            gather(&project, &cache, &known, &in_progress_now(&project), &listener)
        })
        .await;
        let gathered = match looked {
            Ok(gathered) => gathered?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        self.notes = gathered.notes;
        let desired = Arc::new(gathered.desired);
        self.lockfile.wanted_by(&desired);
        Ok(Arc::unwrap_or_clone(desired))
    }

    /// Closes the state and releases it. Commits are durable already.
    pub async fn close(self) {
        // Commits to a file that is no longer at its path are not durable.
        match self.state_cache.secure().await {
            Ok(()) | Err(StateCacheError::Lost(_)) => {}
            Err(error) => tracing::error!("the state could not be written at the end: {}", with_causes(&error)),
        }
        self.state_cache.close().await;
    }
}

/// Returns the addresses that the lockfile has.
fn in_lockfile(recorded: &Recorded) -> BTreeSet<Address> {
    let known = recorded.assets.iter().filter(|(_, record)| record.in_lockfile == InLockfile::Yes);
    known.map(|(address, _)| address.clone()).collect()
}

/// Returns the changes that recover the open attempts of these addresses after the end of their
/// worker: the last process, or a task that panicked.
pub(in crate::engine) fn recover(recorded: &Recorded, of: impl Fn(&Address) -> bool) -> Vec<Change> {
    let open = recorded.attempts.iter().filter(|(_, attempt)| of(&attempt.address));
    open.filter(|(_, attempt)| attempt.phase.next(&PhaseEvent::Recover).is_ok_and(|next| next != attempt.phase))
        .map(|(id, _)| Change::Advance { attempt: *id, event: PhaseEvent::Recover })
        .collect()
}
