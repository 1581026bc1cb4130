//! A lock that the kernel frees when its process dies, however it dies.
//!
//! It is never a file whose presence means "locked", since such a file survives a crash. The lock's
//! file stays when the lock is freed. If it were removed, two processes could lock two files of one
//! name.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::file_id::FileId;
use super::mount;
use super::own_file::{self, How};

/// A held lock. Dropping it, or the end of the process, frees it. Child processes don't inherit it.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl Drop for FileLock {
    /// Closing the file alone would leave it locked for as long as a process that another thread is
    /// just starting shares it.
    fn drop(&mut self) {
        // Closing it frees it too.
        let _ = self.file.unlock();
    }
}

impl FileLock {
    /// Locks the file at `path` without waiting, and creates it if it is missing. `None` if another
    /// process holds it.
    ///
    /// # Errors
    /// When the file can't be opened or the file system has no locks.
    pub(crate) fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = own_file::open(path, How::Private)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Makes a file at `path` anew and locks it: a sign that this process lives, which
    /// [`is_locked`] reads. Other users may open it where the folder lets them, to look at the lock.
    ///
    /// # Errors
    /// When the file can't be made or the file system has no locks.
    pub(crate) fn acquire_new(path: &Path) -> io::Result<Self> {
        own_file::remove(path)?;
        let file = own_file::open(path, How::New)?;
        file.try_lock()?;
        Ok(Self { file })
    }

    /// Returns the identity of the locked file, even if its path now has another one.
    ///
    /// # Errors
    /// When the file's metadata can't be read.
    pub(crate) fn id(&self) -> io::Result<FileId> {
        FileId::of(&self.file)
    }

    /// Locks an existing file that SQLite uses, without waiting, and makes it this user's alone.
    /// `None` if another process holds it.
    ///
    /// It only locks where such a lock and SQLite's own don't affect each other: on a local disk of
    /// Linux. Elsewhere nothing is locked. The lock must outlive every connection of this process
    /// to that file, since closing any handle of it frees SQLite's locks.
    ///
    /// # Errors
    /// When the file can't be opened or locked.
    pub(crate) fn try_acquire_beside_sqlite(path: &Path) -> io::Result<Option<Self>> {
        let file = own_file::open(path, How::Read)?;
        own_file::keep_private(&file)?;
        if !cfg!(target_os = "linux") || mount::network(path).is_some() {
            return Ok(Some(Self { file }));
        }
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Returns whether another process holds the lock at `path`. Never creates the file. It holds the
/// lock shared for a moment, and an attempt to take the lock fails meanwhile.
///
/// # Errors
/// When the file exists and can't be opened.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match own_file::open(path, How::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            drop(FileLock { file });
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns this machine's name on its network, where the system has one.
pub(crate) fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
    #[cfg(windows)]
    let name = Some(gethostname::gethostname().to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_dropping_it_frees_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        assert!(is_locked(&path).unwrap() && !is_locked(&folder.path().join("other.lock")).unwrap());
        drop(held);
        assert!(!is_locked(&path).unwrap());
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
        assert!(FileLock::try_acquire(&folder.path().join("none/x.lock")).is_err());
    }

    #[test]
    fn dropping_a_lock_frees_it_even_if_a_child_process_shares_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = FileLock::try_acquire(&path).unwrap().unwrap();
        // What a child has between its start and its program's.
        let shared = held.file.try_clone().unwrap();
        drop(held);
        assert!(!is_locked(&path).unwrap());
        drop(shared);
    }
}
