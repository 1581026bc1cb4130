//! Writes a whole file so that a crash leaves either the old one or the new one.
//!
//! It knows nothing of the content, and follows no link: see [`super::own_file`]. The lockfile, the
//! manifest and the outputs use it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::access::{Access, PathRefusal};
use super::failpoint;
use super::folder::{Folder, split};
use super::own_file;
use super::space;

/// An error that kept a file from being replaced. The old one is unchanged, unless the variant says
/// otherwise.
#[derive(Debug, thiserror::Error)]
pub enum AtomicWriteError {
    /// The existing file may not be replaced, or its folder can't be reached.
    #[error("can't write `{}`", path.display())]
    Reach {
        /// The path as given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No temporary file could be created beside it.
    #[error("can't create a temporary file beside `{}`", path.display())]
    Create {
        /// The file to be replaced.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The new content could not be written in full.
    #[error("can't write the new `{}`", path.display())]
    Write {
        /// The file to be replaced.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The new content is complete, but could not replace the old one.
    #[error("can't replace `{}`", path.display())]
    Replace {
        /// The file to be replaced.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is replaced, but a power loss may bring the old one back.
    #[error("`{}` is written, but its folder could not be synced", path.display())]
    Sync {
        /// The file that was replaced.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl AtomicWriteError {
    /// Returns what a person can do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        let source = self.system_error();
        if let Some(hint) = own_file::hint(source) {
            return Some(hint);
        }
        let hint = match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => "mount the file system so that it can be written",
            io::ErrorKind::PermissionDenied => "allow this user to write in the file's folder",
            io::ErrorKind::NotFound => "create the folder first",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Returns the system's error.
    pub(crate) const fn system_error(&self) -> &io::Error {
        let (Self::Reach { source, .. }
        | Self::Create { source, .. }
        | Self::Write { source, .. }
        | Self::Replace { source, .. }
        | Self::Sync { source, .. }) = self;
        source
    }
}

/// Replaces the file at `path` with the content that `write` writes, or creates it. When this
/// returns, the new content survives a power loss.
///
/// The content goes to a hidden temporary file in the same folder, which is deleted on an error. No
/// link is followed: one in the file's place, or above it, is an error. The old file's permissions
/// are kept; a new file gets the usual ones.
///
/// # Errors
/// See [`AtomicWriteError`]; an error of `write` becomes [`AtomicWriteError::Write`].
pub(crate) fn write_atomic<F>(path: &Path, write: F) -> Result<(), AtomicWriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    write_atomic_for(Access::Usual, path, write)
}

/// The same, with the permissions of `access` for a new file.
///
/// # Errors
/// Like [`write_atomic`].
pub(crate) fn write_atomic_for<F>(access: Access, path: &Path, write: F) -> Result<(), AtomicWriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    replace(access, path, write, || Ok(true)).map(drop)
}

/// The same, unless `still` finds, just before the replacement, that the old file has changed. Then
/// the old file stays, and this returns `false`. Only one system call lies between that check and
/// the replacement.
///
/// # Errors
/// See [`AtomicWriteError`]; an error of `still` becomes [`AtomicWriteError::Replace`].
pub(crate) fn write_atomic_if<F, S>(path: &Path, write: F, still: S) -> Result<bool, AtomicWriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
    S: FnOnce() -> io::Result<bool>,
{
    replace(Access::Usual, path, write, still)
}

/// The same, with the permissions of `access` for a new file.
///
/// # Errors
/// Like [`write_atomic_if`].
pub(crate) fn replace<F, S>(access: Access, path: &Path, write: F, still: S) -> Result<bool, AtomicWriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
    S: FnOnce() -> io::Result<bool>,
{
    let reach = |source| AtomicWriteError::Reach { path: path.to_owned(), source };
    let (folder, name) = split(path).map_err(reach)?;
    let folder = match Folder::open(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            return Err(AtomicWriteError::Create { path: path.to_owned(), source });
        }
        folder => folder.map_err(reach)?,
    };
    let old = permissions(path).map_err(reach)?;
    let path = || path.to_owned();

    let temporary = folder.temporary(name, access.new_file());
    let mut temporary = temporary.map_err(|source| AtomicWriteError::Create { path: path(), source })?;
    let filled = fill(temporary.file(), old, write);
    filled.map_err(|source| AtomicWriteError::Write { path: path(), source })?;
    failpoint::hit("temporary_written");
    if !still().map_err(|source| AtomicWriteError::Replace { path: path(), source })? {
        return Ok(false);
    }
    temporary.persist(name).map_err(|source| AtomicWriteError::Replace { path: path(), source })?;
    failpoint::hit("replaced");
    folder.sync().map_err(|source| AtomicWriteError::Sync { path: path(), source })?;
    Ok(true)
}

/// Reserved disk blocks for a later write. Dropping this frees them for it.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: u64,
    /// A file without a name, so that no crash leaves it behind.
    _blocks: File,
}

impl Room {
    /// Returns the number of reserved bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// More than the smallest file that SQLite needs beside a database, and less than anybody would
/// call free.
const NEXT_TO_NOTHING: u64 = 64 * 1024;

/// Returns whether next to nothing can be written beside the file at `path`. That is tried with a
/// file without a name, so that a quota counts too.
pub(crate) fn is_used_up(path: &Path) -> bool {
    keep_room(path, NEXT_TO_NOTHING).is_err_and(|error| space::is_full(error.system_error()))
}

/// Reserves `bytes` bytes where [`write_atomic`] would write the new content of the file at `path`.
///
/// # Errors
/// Like those of the write; everything reserved so far is free again then.
pub(crate) fn keep_room(path: &Path, bytes: u64) -> Result<Room, AtomicWriteError> {
    let reach = |source| AtomicWriteError::Reach { path: path.to_owned(), source };
    let (folder, _) = split(path).map_err(reach)?;
    permissions(path).map_err(reach)?;
    let blocks = tempfile::tempfile_in(folder);
    let blocks = blocks.map_err(|source| AtomicWriteError::Create { path: path.to_owned(), source })?;
    match space::lengthen(&blocks, 0, bytes) {
        Ok(()) => Ok(Room { bytes, _blocks: blocks }),
        Err(source) => Err(AtomicWriteError::Write { path: path.to_owned(), source }),
    }
}

/// Returns the permissions of the existing file, if any; a new one gets the usual ones. Even if the
/// file changes meanwhile, its name is replaced and nothing is written through it.
fn permissions(path: &Path) -> io::Result<Option<std::fs::Permissions>> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(PathRefusal::Link { at: path.to_owned() }.into()),
        Ok(found) => match own_file::kind_of(&found) {
            Some(kind) => Err(PathRefusal::NotAFile { kind }.into()),
            None => Ok(Some(found.permissions())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the content, copies the old file's permissions, and waits for the disk.
fn fill<F>(file: &mut File, old: Option<std::fs::Permissions>, write: F) -> io::Result<()>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let mut buffered = BufWriter::with_capacity(64 * 1024, &mut *file);
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    if let Some(old) = old {
        file.set_permissions(old)?;
    }
    file.sync_all()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::fs;

    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), AtomicWriteError> {
        write_atomic(path, |out| out.write_all(text.as_bytes()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_disk_with_space_is_not_used_up() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_used_up(&folder.path().join("state.db")));
        assert!(!is_used_up(Path::new("/nowhere/at/all/state.db")), "that is another problem");
    }

    #[test]
    fn creates_and_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(names(folder.path()), ["a.toml"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        write(&path, "one").unwrap();
        let error = write_atomic(&path, |out| {
            out.write_all(&[b'x'; 200_000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(matches!(error, AtomicWriteError::Write { .. }));
        assert_eq!(error.hint().as_deref(), Some("free space on this disk"));
        assert!(error.to_string().contains("a.toml"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(folder.path()), ["a.toml"]);
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        write(&path, "one").unwrap();
        let replace = |answer: io::Result<bool>| write_atomic_if(&path, |out| out.write_all(b"two"), || answer);
        assert!(!replace(Ok(false)).unwrap());
        assert!(matches!(replace(Err(io::Error::other("gone"))), Err(AtomicWriteError::Replace { .. })));
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), names(folder.path())),
            ("one".to_owned(), vec!["a.toml".to_owned()])
        );
        assert!(replace(Ok(true)).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("none/a.toml"), "x").unwrap_err();
        assert!(matches!(error, AtomicWriteError::Create { .. }), "{error:?}");
        assert_eq!(error.hint().as_deref(), Some("create the folder first"));
    }

    #[cfg(unix)]
    #[test]
    fn permissions_stay_and_no_link_is_written_through() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let (real, link) = (base.join("real/a.toml"), base.join("a.toml"));
        fs::create_dir(base.join("real")).unwrap();
        fs::write(&real, "one").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        write(&real, "two").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "two");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);

        symlink("real/a.toml", &link).unwrap();
        symlink("real", base.join("folder")).unwrap();
        for path in [link, base.join("folder/a.toml"), base.join("real")] {
            let error = write(&path, "x").unwrap_err();
            assert!(matches!(error, AtomicWriteError::Reach { .. }) && error.hint().is_some(), "{error:?}");
        }
        assert_eq!(fs::read_to_string(&real).unwrap(), "two");
        assert_eq!(names(&base.join("real")), ["a.toml"]);
    }
}
