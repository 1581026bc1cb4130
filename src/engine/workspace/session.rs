//! A session: the one process that may change a state, from acquiring the lock to releasing it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::execute::effects;
use crate::engine::report::progress::Listener;
use crate::engine::workspace::gather::{GatherError, gather, in_progress_now};
use crate::engine::workspace::lockfile::{KeepError, Lockfile, SavedLockfile};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::manifest::Diagnostic;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::InLockfile;
use crate::model::desired::Desired;
use crate::model::event::EventKind;
use crate::model::file::FileCache;
use crate::model::phase::{Phase, PhaseEvent};
use crate::model::recorded::Recorded;
use crate::model::shown::with_causes;
use crate::platform::clock;
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
    /// Cached facts about files.
    pub cache: FileCache,
    /// Likely mistakes of manifest and files, as of the last look at them.
    pub notes: Vec<Diagnostic>,
}

/// Why a session could not begin. Nothing was attempted.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
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
        if let Some(before) = project.state_before_git()
            // An unreadable path there is not Macadam's.
            && let Ok(Occupancy::Held { by }) = lock::holder(&before)
        {
            return Err(LockError::Held { path: before, holder: by }.into());
        }
        project.prepare_state_folder();
        let lock = StateLock::acquire(&project.state, command, clock::now())?;
        let mut store = Store::open(&project.state, remote, clock::now())?;
        // A service that is gone left these requests. It may have begun them, so they are not begun
        // again.
        store.end_requests(clock::now())?;
        let recorded = store.load()?;
        let cache = store.load_files()?;
        let lost = store.has_lost_outcomes()?;
        let memory = SavedLockfile {
            fingerprint: store.lockfile_fingerprint()?,
            compared: store.lockfile_compared()?,
            is_unreported: store.is_lockfile_unreported()?,
            is_lost: store.is_lockfile_lost()?,
        };
        let (command, place) = (command.to_owned(), project.clone());
        let place = Box::new(move || place.state_now().map_err(|error| with_causes(&error)));
        let hold = WriteLock::new(lock, &store, &command, place)?;
        let store = StoreHandle::spawn(store).map_err(SessionError::Thread)?;
        let state_cache = Arc::new(StateCache::new(recorded, store, hold, remote.to_owned()));
        if lost {
            state_cache.commit_with(|recorded| hold_lost(recorded, clock::now())).await?;
        }
        state_cache.commit_with(|recorded| recover(recorded, |_| true)).await?;
        state_cache.store().settle_lost_outcomes().await?;
        let mut lockfile = Lockfile::new(project.clone(), remote.to_owned(), memory);
        lockfile.read(&state_cache).await?;
        Ok(Self { project: project.clone(), state_cache, lockfile, cache, notes: Vec::new() })
    }

    /// Writes the lockfile after a change of one address, and includes that address if it has
    /// anything to record. Returns whether the lockfile was written.
    ///
    /// # Errors
    /// When the lockfile can't be written.
    pub async fn keep(&mut self, address: Option<&Address>) -> Result<bool, KeepError> {
        let mut known: BTreeSet<Address> = self.state_cache.read(|recorded| {
            recorded
                .assets
                .iter()
                .filter(|(_, record)| record.in_lockfile == InLockfile::Yes)
                .map(|(address, _)| address.clone())
                .collect()
        });
        known.extend(address.cloned());
        self.lockfile.write(&self.state_cache, &Arc::new(known)).await
    }

    /// Returns the current desired state, from manifest and files.
    ///
    /// # Errors
    /// When the manifest is not valid.
    pub(crate) async fn wanted(&mut self, listener: Listener) -> Result<Desired, GatherError> {
        let (project, cache) = (self.project.clone(), std::mem::take(&mut self.cache));
        let known = self.state_cache.read(Recorded::addresses);
        let looked = tokio::task::spawn_blocking(move || {
            gather(&project, &cache, &known, &in_progress_now(&project), &listener)
        })
        .await;
        let gathered = match looked {
            Ok(gathered) => gathered?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        (self.cache, self.notes) = (gathered.cache, gathered.notes);
        self.lockfile.wanted_by(&gathered.desired.checkout);
        Ok(gathered.desired)
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

/// Returns the changes that recover the open attempts of these addresses after the end of their
/// worker: the last process, or a task that panicked.
pub(in crate::engine) fn recover(recorded: &Recorded, of: impl Fn(&Address) -> bool) -> Vec<Change> {
    let open = recorded.attempts.iter().filter(|(_, attempt)| of(&attempt.address));
    open.filter(|(_, attempt)| attempt.phase.next(&PhaseEvent::Recover).is_ok_and(|next| next != attempt.phase))
        .map(|(id, _)| Change::Advance { attempt: *id, event: PhaseEvent::Recover })
        .collect()
}

/// Returns the changes that hold handed-over uploads of new assets, if the last process could not
/// record all outcomes. Sent again, they would probably be duplicates. Changes of known assets are
/// settled by fetching the asset, as after a crash.
pub(in crate::engine) fn hold_lost(recorded: &Recorded, now: Timestamp) -> Vec<Change> {
    let open = recorded.attempts.iter().filter(|(_, attempt)| attempt.phase == Phase::HandedOver);
    open.filter(|(_, attempt)| attempt.intent.upload().is_some())
        .flat_map(|(id, attempt)| {
            let message = "the state could not be written when its answer came";
            let (record, input_digest) = (recorded.assets.get(&attempt.address), attempt.intent.input_digest());
            let blocked = effects::failed(record, input_digest, message, fastrand::f64(), now);
            let event = EventKind::InDoubt { action: attempt.intent.kind(), message: message.to_owned() };
            [
                Change::Advance { attempt: *id, event: PhaseEvent::Hold },
                Change::SetBlocked { address: attempt.address.clone(), blocked: Some(blocked) },
                Change::log(&attempt.address, event),
            ]
        })
        .collect()
}
