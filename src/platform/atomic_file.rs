//! Writing a whole file so that a crash leaves the old one or the new one, and never less.
//!
//! Knows nothing of what is written. Who needs it: the lockfile, the manifest, the outputs.
#![expect(clippy::disallowed_methods, reason = "the owner of durable writes opens folders to fsync them")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::failpoint;

/// As many links as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// A file that could not be replaced. The old one is as it was, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum AtomicWriteError {
    /// Where the path leads could not be found out.
    #[error("can't follow the path `{}`", path.display())]
    Follow {
        /// The path as given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No temporary file could be made beside it.
    #[error("can't create a temporary file beside `{}`", path.display())]
    Create {
        /// The file to be replaced.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The new content could not be written in full.
    #[error("can't write the new `{}`", path.display())]
    Write {
        /// The file to be replaced.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The new content is whole, but could not take the old one's place.
    #[error("can't replace `{}`", path.display())]
    Replace {
        /// The file to be replaced.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is replaced, but a power loss may bring the old one back.
    #[error("`{}` is written, but its folder could not be synced", path.display())]
    Sync {
        /// The file that was replaced.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl AtomicWriteError {
    /// What would mend it, where that is plain.
    pub fn hint(&self) -> Option<&'static str> {
        let (Self::Follow { source, .. }
        | Self::Create { source, .. }
        | Self::Write { source, .. }
        | Self::Replace { source, .. }
        | Self::Sync { source, .. }) = self;
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("free space on this disk"),
            io::ErrorKind::ReadOnlyFilesystem => Some("mount the file system so that it can be written"),
            io::ErrorKind::PermissionDenied => Some("allow this user to write in the file's folder"),
            io::ErrorKind::NotFound => Some("create the folder first"),
            _ => None,
        }
    }
}

/// Replaces the file at `path` by what `write` writes, or creates it. When this returns, the new content survives power loss.
///
/// The content goes to a hidden temporary file in the same folder, which vanishes on an error. A symbolic link stays and its target is
/// replaced. The old file's permissions are kept; a new file gets the usual ones.
///
/// # Errors
/// See [`AtomicWriteError`]; what `write` returns comes as [`AtomicWriteError::Write`].
pub fn write_atomic<F>(path: &Path, write: F) -> Result<(), AtomicWriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    write_atomic_if(path, write, || Ok(true)).map(|_| ())
}

/// The same, unless `still` says, when all is written and nothing replaced yet, that the old file is not the one any more that it was: then that one
/// stays, and the answer is `false`. Between the question and the replacement lies one system call.
///
/// # Errors
/// See [`AtomicWriteError`]; what `still` returns comes as [`AtomicWriteError::Replace`].
pub fn write_atomic_if<F, S>(path: &Path, write: F, still: S) -> Result<bool, AtomicWriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
    S: FnOnce() -> io::Result<bool>,
{
    let target = follow(path).map_err(|source| AtomicWriteError::Follow { path: path.to_owned(), source })?;
    let path = || target.clone();
    let folder = folder_of(&target);

    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions); // the umask takes its part, as for any new file
    let mut temporary =
        builder.tempfile_in(folder).map_err(|source| AtomicWriteError::Create { path: path(), source })?;

    fill(temporary.as_file_mut(), &target, write).map_err(|source| AtomicWriteError::Write { path: path(), source })?;
    failpoint::hit("temporary_written");
    if !still().map_err(|source| AtomicWriteError::Replace { path: path(), source })? {
        return Ok(false);
    }
    temporary.persist(&target).map_err(|error| AtomicWriteError::Replace { path: path(), source: error.error })?;
    failpoint::hit("replaced");
    sync_folder(folder).map_err(|source| AtomicWriteError::Sync { path: path(), source })?;
    Ok(true)
}

/// Writes, takes over the old file's permissions, and waits for the disk.
fn fill<F>(file: &mut File, target: &Path, write: F) -> io::Result<()>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let mut buffered = BufWriter::with_capacity(64 * 1024, &mut *file);
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    match fs::metadata(target) {
        Ok(old) => file.set_permissions(old.permissions())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.sync_all()
}

/// The file that a path leads to in the end, whether it is there or not.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let link = fs::read_link(&path)?;
                path = folder_of(&path).join(link);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Waits until the names in a folder are on the disk. Does nothing where folders can't be synced.
///
/// # Errors
/// When the folder can't be opened, or the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network and FUSE file systems have no fsync for folders.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(error.hint(), Some("free space on this disk"));
        assert!(error.to_string().contains("a.toml"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(folder.path()), ["a.toml"]);
    }

    #[test]
    fn a_file_that_is_another_by_now_stays() {
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
        assert_eq!(error.hint(), Some("create the folder first"));
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        let (real, link) = (folder.path().join("real/a.toml"), folder.path().join("a.toml"));
        symlink("real/b.toml", folder.path().join("middle.toml")).unwrap();
        symlink("middle.toml", &link).unwrap();
        symlink("a.toml", folder.path().join("real/b.toml")).unwrap();
        write(&link, "through a link that leads nowhere yet").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        write(&link, "two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "two");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(&folder.path().join("real")), ["a.toml", "b.toml"]);

        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(matches!(write(&folder.path().join("loop"), "x"), Err(AtomicWriteError::Follow { .. })));
    }
}
