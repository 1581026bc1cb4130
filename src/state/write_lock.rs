//! The right to write a state, and the check whether it still holds: the lock and the database must
//! still be the files at their paths, by device and inode.
//!
//! A person or a program may delete or replace them under a running process: `git clean`, a
//! restored backup, a moved folder. SQLite then writes on to a file that has no path any more, and
//! a second process takes a new lock at the old path. So the engine calls [`WriteLock::check`]
//! before it changes the remote, which costs one `stat` per file. [`WriteLock::regain`] restores
//! the right: it takes a new lock, and writes the state again from the open one. If another process
//! holds the lock by then, this one may write nothing more.
//!
//! Content that is copied over the database in place keeps its identity; this can't detect that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::error::StateError;
use super::handle::StoreHandle;
use super::lock::{LockError, StateLock};
use super::store::Store;
use crate::model::recorded::Recorded;
use crate::platform::file_id::FileId;

/// Returns where the state belongs now, or why that is unknown. It may change under a running
/// process, with the checkout around it.
pub(crate) type StateLocation = Box<dyn Fn() -> Result<PathBuf, String> + Send + Sync>;

/// The right to write one state.
pub struct WriteLock {
    database: PathBuf,
    command: String,
    place: StateLocation,
    held: Mutex<Held>,
    generation: AtomicU64,
}

struct Held {
    lock: Option<StateLock>,
    files: Vec<(PathBuf, FileId)>,
    /// Another process holds it; this process never gets it back.
    lost: Option<Arc<LockError>>,
}

impl fmt::Debug for WriteLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteLock").field("database", &self.database).finish_non_exhaustive()
    }
}

/// A file of the state is no longer the one at its path.
#[derive(Debug, thiserror::Error)]
pub enum Displaced {
    /// No file is there.
    #[error("`{}` was deleted or moved while Macadam was running", path.display())]
    Deleted {
        /// The path.
        path: PathBuf,
    },
    /// Another file is there.
    #[error("`{}` was replaced by another file while Macadam was running", path.display())]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// Its metadata can't be read.
    #[error("can't look at `{}`", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The reason why the right to write the state can't be regained. Nothing more may be written to
/// the remote.
#[derive(Debug, thiserror::Error)]
pub enum RegainError {
    /// Another process holds it by now.
    #[error("{displaced}, and another Macadam has started since")]
    Taken {
        /// The file that was deleted or replaced.
        displaced: Displaced,
        /// The lock's error, with its holder.
        source: Arc<LockError>,
    },
    /// The lock can't be taken again.
    #[error("{displaced}, and can't be locked again")]
    Lock {
        /// The file that was deleted or replaced.
        displaced: Displaced,
        /// The lock's error.
        source: LockError,
    },
    /// The state belongs to another place now.
    #[error("{displaced}, and this project's state belongs elsewhere now: {now}")]
    Elsewhere {
        /// The file that was deleted or replaced.
        displaced: Displaced,
        /// The new place, or why it is unknown.
        now: String,
    },
    /// It can't be written again.
    #[error("{displaced}, and can't be written anew")]
    State {
        /// The file that was deleted or replaced.
        displaced: Displaced,
        /// The state's error.
        source: StateError,
    },
}

impl RegainError {
    /// Returns whether another process holds the state.
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    /// Returns what a person can do next.
    pub fn hint(&self) -> Option<String> {
        let again = "run the same command again: the lockfile has everything that was done";
        Some(match self {
            Self::Taken { .. } => format!("wait until the other one is done, then {again}"),
            Self::Elsewhere { .. } => again.to_owned(),
            Self::Lock { source, .. } => {
                source.hint().map_or_else(|| again.to_owned(), |hint| format!("{hint}; then {again}"))
            }
            Self::State { source, .. } => {
                source.hint().map_or_else(|| again.to_owned(), |hint| format!("{hint}; then {again}"))
            }
        })
    }
}

/// A state that was written again.
#[derive(Debug)]
pub struct Regained {
    /// The file that was deleted or replaced before.
    pub displaced: Displaced,
    /// The data of the state that had taken its place, if it could be read.
    pub found: Option<Box<Recorded>>,
    /// The path where that state is kept.
    pub aside: Option<PathBuf>,
}

impl WriteLock {
    /// Combines `lock` with the state that `store` opened under it.
    ///
    /// # Errors
    /// When the metadata of the lock's file can't be read.
    pub fn new(lock: StateLock, store: &Store, command: &str, place: StateLocation) -> Result<Self, LockError> {
        let files = files(&lock, store.files().to_vec())?;
        Ok(Self {
            database: store.path().to_owned(),
            command: command.to_owned(),
            place,
            held: Mutex::new(Held { lock: Some(lock), files, lost: None }),
            generation: AtomicU64::new(0),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that lock and database are still the files at their paths. Costs one `stat` per file.
    ///
    /// # Errors
    /// When one isn't, or its metadata can't be read.
    pub fn check(&self) -> Result<(), Displaced> {
        self.held().files.iter().try_for_each(|(path, id)| match FileId::at(path) {
            Ok(Some(found)) if found == *id => Ok(()),
            Ok(Some(_)) => Err(Displaced::Replaced { path: path.clone() }),
            Ok(None) => Err(Displaced::Deleted { path: path.clone() }),
            Err(source) => Err(Displaced::Unreadable { path: path.clone(), source }),
        })
    }

    /// Returns how often the state was written again. A decision under an earlier number doesn't
    /// know what another process may have done since.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Takes the lock again and writes the state again where it was. Returns `None` if nothing was
    /// wrong. Must not run twice at a time.
    ///
    /// # Errors
    /// See [`RegainError`].
    pub async fn regain(&self, store: &StoreHandle, now: Timestamp) -> Result<Option<Regained>, RegainError> {
        let Err(displaced) = self.check() else { return Ok(None) };
        if let Some(source) = self.held().lost.clone() {
            return Err(RegainError::Taken { displaced, source });
        }
        match (self.place)() {
            Ok(place) if place == self.database => {}
            Ok(place) => return Err(RegainError::Elsewhere { displaced, now: place.display().to_string() }),
            Err(now) => return Err(RegainError::Elsewhere { displaced, now }),
        }
        if let Err(error) = self.relock(now) {
            return Err(match error {
                LockError::Held { .. } => {
                    let source = Arc::new(error);
                    self.held().lost = Some(Arc::clone(&source));
                    RegainError::Taken { displaced, source }
                }
                source => RegainError::Lock { displaced, source },
            });
        }
        let written = match store.write_anew(now).await {
            Ok(written) => written,
            Err(source) => return Err(RegainError::State { displaced, source }),
        };
        {
            let mut held = self.held();
            if let Some(lock) = &held.lock {
                held.files = match files(lock, written.files) {
                    Ok(files) => files,
                    Err(source) => return Err(RegainError::Lock { displaced, source }),
                };
            }
        }
        self.generation.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Regained { displaced, found: written.found, aside: written.aside }))
    }

    /// Takes a new lock unless the old one is in its place.
    fn relock(&self, now: Timestamp) -> Result<(), LockError> {
        if self.held().lock.as_ref().is_some_and(StateLock::is_in_place) {
            return Ok(());
        }
        let lock = StateLock::acquire(&self.database, &self.command, now)?;
        // The old one locks a file that has no path any more.
        self.held().lock = Some(lock);
        Ok(())
    }

    /// Frees the lock. Call it only once the state is closed.
    pub fn release(&self) {
        self.held().lock = None;
    }

    /// Returns the path of the state's file.
    pub fn database(&self) -> &Path {
        &self.database
    }
}

fn files(lock: &StateLock, mut files: Vec<(PathBuf, FileId)>) -> Result<Vec<(PathBuf, FileId)>, LockError> {
    files.push(lock.file()?);
    Ok(files)
}
