//! A lock that lets only one process at a time write a state. Readers don't take it, nor does a
//! command that leaves a request for the service that holds it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::StateError;
use super::store::create_folder;
use crate::model::minute::Minute;
use crate::platform::file_id::FileId;
use crate::platform::lock::{FileLock, host_name, is_locked};
use crate::platform::own_file::{self, with_ending};

/// The right to write a state. Dropping it frees it; so does the kernel when the process dies.
#[derive(Debug)]
pub struct StateLock {
    lock: FileLock,
    path: PathBuf,
    holder: PathBuf,
}

/// The command name with which the long-running service takes the lock.
pub const SERVICE: &str = "macadam sync";

/// The most attempts to take the lock. Another process may hold it shared for a moment to check
/// whether it is held; this many attempts, with a pause between, outlast any such check.
const MAX_ATTEMPTS: u32 = 4;

/// The pause between attempts: a check takes microseconds.
const PAUSE: Duration = Duration::from_millis(20);

/// The holder of a lock, as far as it is known: the file may be older than the lock. It serves
/// messages, and decides which process gets a request. If it is wrong, nothing may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process ID.
    pub pid: u32,
    /// Its machine.
    pub host: Option<String>,
    /// The command that it runs, for example `macadam sync`.
    pub command: String,
    /// When it took the lock.
    pub since: Timestamp,
}

impl Holder {
    /// Returns whether the holder is the service, which carries out requests.
    pub fn is_service(&self) -> bool {
        self.command == SERVICE
    }
}

/// Whether a process holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Occupancy {
    /// No process holds it.
    Free,
    /// A process holds it.
    Held {
        /// The holder, if it could be read.
        by: Option<Holder>,
    },
}

impl Occupancy {
    /// Returns whether the service holds it.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Self::Held { by: Some(holder) } if holder.is_service())
    }
}

/// Returns the holder of the state at `database`, without taking the lock.
///
/// # Errors
/// When its lock can't be checked.
pub(crate) fn holder(database: &Path) -> Result<Occupancy, LockError> {
    let path = with_ending(database, ".lock");
    match is_locked(&path) {
        Ok(false) => Ok(Occupancy::Free),
        Ok(true) => Ok(Occupancy::Held { by: read_holder(&with_ending(database, ".holder")) }),
        Err(source) => Err(LockError::Lock { path, source }),
    }
}

/// The lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{}", describe(holder.as_ref(), path))]
    Held {
        /// The database.
        path: PathBuf,
        /// The holder, if it could be read.
        holder: Option<Holder>,
    },
    /// The folder of the state could not be created.
    #[error(transparent)]
    Folder(#[from] StateError),
    /// The lock's file could not be created or locked.
    #[error("can't lock the state with `{}`", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn describe(holder: Option<&Holder>, path: &Path) -> String {
    match holder {
        None => format!("another Macadam is already running in this project (it uses `{}`)", path.display()),
        Some(Holder { pid, host, command, since }) => {
            let host = host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            let since = Minute(*since);
            format!("`{command}` is already running in this project (process {pid}{host}, since {since})")
        }
    }
}

impl LockError {
    /// Returns what a person can do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { holder: Some(holder), .. } if holder.is_service() => Some(
                "it uploads what changes by itself: `macadam status` shows how far it is; stop it first to do this by hand"
                    .to_owned(),
            ),
            Self::Held { .. } => Some("wait for it, or stop it".to_owned()),
            Self::Folder(error) => error.hint(),
            Self::Lock { source, .. } if let Some(hint) = own_file::hint(source) => Some(hint),
            Self::Lock { source, .. } => match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Some("give this user write access to the state's folder".to_owned())
                }
                io::ErrorKind::Unsupported => Some("keep the state on a local disk, see --state".to_owned()),
                _ => None,
            },
        }
    }
}

/// The JSON of the holder's file.
#[derive(Serialize, Deserialize)]
struct HolderText {
    pid: u32,
    host: Option<String>,
    command: String,
    since: String,
}

impl StateLock {
    /// Takes the lock of the state at `database` without waiting, and writes its holder beside it:
    /// `command`, since `now`.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process holds it; the others when the lock can't be taken.
    pub fn acquire(database: &Path, command: &str, now: Timestamp) -> Result<Self, LockError> {
        create_folder(database)?;
        let (path, holder) = (with_ending(database, ".lock"), with_ending(database, ".holder"));
        let mut attempts = 1;
        let taken = loop {
            match FileLock::try_acquire(&path) {
                Ok(None) if attempts < MAX_ATTEMPTS => attempts += 1,
                taken => break taken,
            }
            std::thread::sleep(PAUSE);
        };
        match taken {
            Err(source) => Err(LockError::Lock { path, source }),
            Ok(None) => Err(LockError::Held { path: database.to_owned(), holder: read_holder(&holder) }),
            Ok(Some(lock)) => {
                // Not in the lock's own file, since Windows lets no process read a locked file. The
                // holder only serves messages, so a failed write is no error.
                let text = HolderText {
                    pid: std::process::id(),
                    host: host_name(),
                    command: command.to_owned(),
                    since: now.to_string(),
                };
                let text = serde_json::to_vec(&text).unwrap_or_default();
                let _ = own_file::replace_private(&holder, &text);
                Ok(Self { lock, path, holder })
            }
        }
    }
}

impl StateLock {
    /// Returns the path and identity of the lock's file.
    ///
    /// # Errors
    /// When its metadata can't be read.
    pub(super) fn file(&self) -> Result<(PathBuf, FileId), LockError> {
        let id = self.lock.id().map_err(|source| LockError::Lock { path: self.path.clone(), source })?;
        Ok((self.path.clone(), id))
    }

    /// Returns whether its file is still the one at its path.
    pub(super) fn is_in_place(&self) -> bool {
        matches!((self.lock.id(), FileId::at(&self.path)), (Ok(own), Ok(found)) if found == Some(own))
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Before the lock is freed, so that a successor's file is safe. If another lock took its
        // place, the holder's file belongs to that lock's holder.
        if self.is_in_place() {
            let _ = own_file::remove(&self.holder);
        }
    }
}

/// The most bytes to read of a holder's file, which has one line.
const MAX_HOLDER_BYTES: u64 = 4096;

fn read_holder(path: &Path) -> Option<Holder> {
    let text = own_file::read(path, MAX_HOLDER_BYTES).ok()?;
    let HolderText { pid, host, command, since } = serde_json::from_slice(&text).ok()?;
    Some(Holder { pid, host, command, since: since.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(".macadam/assets.db");
        let held = StateLock::acquire(&database, "macadam sync", Timestamp::UNIX_EPOCH).unwrap();
        let error = StateLock::acquire(&database, "macadam pin", Timestamp::UNIX_EPOCH).unwrap_err();
        let LockError::Held { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
        assert_eq!((holder.pid, holder.command.as_str()), (std::process::id(), "macadam sync"));
        assert!(error.to_string().contains("`macadam sync` is already running in this project (process"), "{error}");
        assert!(error.to_string().contains("since 1970-01-01 00:00 UTC"), "{error}");
        drop(held);
        drop(StateLock::acquire(&database, "macadam pin", Timestamp::UNIX_EPOCH).unwrap());
    }

    #[test]
    fn the_holder_is_read_without_taking_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(".macadam/assets.db");
        assert_eq!(holder(&database).unwrap(), Occupancy::Free);
        for (command, service) in [(SERVICE, true), ("macadam sync --once", false)] {
            let held = StateLock::acquire(&database, command, Timestamp::UNIX_EPOCH).unwrap();
            let Occupancy::Held { by: Some(by) } = holder(&database).unwrap() else { panic!("{command}") };
            assert_eq!((by.command.as_str(), by.is_service()), (command, service));
            drop(held);
            // A process that another test is starting has this one's files until it runs its own program.
            let is_free = |_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                holder(&database).unwrap() == Occupancy::Free
            };
            assert!((0..100).any(is_free), "{command}");
        }
        // The leftovers of a killed process hold nothing.
        own_file::replace_private(&with_ending(&database, ".holder"), b"{").unwrap();
        assert_eq!(holder(&database).unwrap(), Occupancy::Free);
    }

    #[test]
    fn a_check_does_not_keep_another_process_out() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("assets.db");
        let looking = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            let look = || {
                while looking.load(std::sync::atomic::Ordering::Relaxed) {
                    holder(&database).unwrap();
                    std::thread::sleep(Duration::from_millis(1));
                }
            };
            scope.spawn(look);
            let acquired = (0..50).map(|_| StateLock::acquire(&database, SERVICE, Timestamp::UNIX_EPOCH).map(drop));
            let kept_out = acquired.filter(Result::is_err).count();
            // Before any panic, which would wait for that thread for ever.
            looking.store(false, std::sync::atomic::Ordering::Relaxed);
            // A process that another test starts shares an open lock for a moment.
            assert!(kept_out < 10, "{kept_out} of 50");
        });
    }

    #[test]
    fn a_damaged_holder_file_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("assets.db");
        let _held = StateLock::acquire(&database, "macadam sync", Timestamp::UNIX_EPOCH).unwrap();
        own_file::replace_private(&with_ending(&database, ".holder"), b"{").unwrap();
        let error = StateLock::acquire(&database, "macadam pin", Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, LockError::Held { holder: None, .. }), "{error:?}");
    }
}
