//! One process at a time writes a state. Readers don't take the lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::StateError;
use super::store::create_folder;
use crate::platform::atomic_file::write_atomic;
use crate::platform::lock::{FileLock, host_name};

/// The right to write a state; freed when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct StateLock {
    _lock: FileLock,
    holder: PathBuf,
}

/// Who holds a lock, as far as it is known: for a message, never for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process ID.
    pub pid: u32,
    /// Its machine.
    pub host: Option<String>,
    /// What it does, for example `macadam sync`.
    pub command: String,
    /// Since when.
    pub since: Timestamp,
}

/// The lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process holds the state `{}`{}", path.display(), describe(holder.as_ref()))]
    Held {
        /// The database.
        path: PathBuf,
        /// Who, where it could be read.
        holder: Option<Holder>,
    },
    /// The folder of the state could not be made.
    #[error(transparent)]
    Folder(#[from] StateError),
    /// The lock's file could not be made or locked.
    #[error("can't lock the state with `{}`", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn describe(holder: Option<&Holder>) -> String {
    match holder {
        None => String::new(),
        Some(Holder { pid, host, command, since }) => {
            let host = host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
            format!(": `{command}` (process {pid}{host}, since {since})")
        }
    }
}

impl LockError {
    /// What would mend it, where that is plain.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { .. } => {
                Some("wait until it is done, or stop it; one process at a time reconciles a state".to_owned())
            }
            Self::Folder(error) => error.hint(),
            Self::Lock { source, .. } => match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Some("allow this user to write the state's folder".to_owned())
                }
                io::ErrorKind::Unsupported => Some("keep the state on a local disk, see --state".to_owned()),
                _ => None,
            },
        }
    }
}

/// The form of the holder's file.
#[derive(Serialize, Deserialize)]
struct HolderText {
    pid: u32,
    host: Option<String>,
    command: String,
    since: String,
}

impl StateLock {
    /// Takes the lock of the state at `database` without waiting, and says beside it who has it: `command`, since `now`.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it; the rest when it can't be made.
    pub fn acquire(database: &Path, command: &str, now: Timestamp) -> Result<Self, LockError> {
        create_folder(database)?;
        let (path, holder) = (beside(database, ".lock"), beside(database, ".holder"));
        match FileLock::try_acquire(&path) {
            Err(source) => Err(LockError::Lock { path, source }),
            Ok(None) => Err(LockError::Held { path: database.to_owned(), holder: read_holder(&holder) }),
            Ok(Some(lock)) => {
                // Not in the lock's own file: Windows lets nobody read a locked file. It only serves a message, so failing to write it is no error.
                let text = HolderText {
                    pid: std::process::id(),
                    host: host_name(),
                    command: command.to_owned(),
                    since: now.to_string(),
                };
                let _ = write_atomic(&holder, |out| serde_json::to_writer(out, &text).map_err(io::Error::from));
                Ok(Self { _lock: lock, holder })
            }
        }
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.holder); // before the lock goes, so that a successor's file is safe
    }
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

#[expect(clippy::disallowed_methods, reason = "reads who holds the lock, for a message")]
fn read_holder(path: &Path) -> Option<Holder> {
    let HolderText { pid, host, command, since } = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
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
        assert!(error.to_string().contains("`macadam sync` (process"), "{error}");
        assert!(error.to_string().contains("since 1970-01-01T00:00:00Z"), "{error}");
        drop(held);
        drop(StateLock::acquire(&database, "macadam pin", Timestamp::UNIX_EPOCH).unwrap());
    }

    #[test]
    fn a_damaged_holder_is_no_holder() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("assets.db");
        let _held = StateLock::acquire(&database, "macadam sync", Timestamp::UNIX_EPOCH).unwrap();
        write_atomic(&beside(&database, ".holder"), |out| out.write_all(b"{")).unwrap();
        let error = StateLock::acquire(&database, "macadam pin", Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, LockError::Held { holder: None, .. }), "{error:?}");
    }
}
