//! Reads a file's fingerprint: its size and times, and the numbers by which its system knows it.
//!
//! Unix has a file's inode, its device and the time of the inode's last change. Windows has a file
//! ID, its volume and the time of its creation; std shows no time of the last change there, so an
//! edit in place that keeps size and modification time doesn't show. `crate::files` decides whether
//! a file may be read.

use std::fs::{DirEntry, File, Metadata};
use std::io;
use std::path::Path;

use crate::model::file::Fingerprint;

/// Returns the fingerprint of an open file.
///
/// # Errors
/// When its metadata can't be read.
pub(crate) fn of(file: &File) -> io::Result<Fingerprint> {
    Ok(of_opened(file, &file.metadata()?))
}

/// Returns the fingerprint of an open plain file; `None` if it is none, or can't be looked at.
pub(crate) fn of_plain(file: &File) -> Option<Fingerprint> {
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some(of_opened(file, &metadata))
}

fn of_opened(file: &File, metadata: &Metadata) -> Fingerprint {
    #[cfg(unix)]
    let fingerprint = {
        let _ = file;
        of_metadata(metadata)
    };
    #[cfg(windows)]
    let fingerprint = of_metadata(metadata, super::file_id::FileId::of(file).ok());
    fingerprint
}

/// Returns the fingerprint of the file or folder at `path`, whose metadata were read just now.
pub(crate) fn at(path: &Path, metadata: &Metadata) -> Fingerprint {
    #[cfg(unix)]
    let fingerprint = {
        let _ = path;
        of_metadata(metadata)
    };
    #[cfg(windows)]
    let fingerprint = of_metadata(metadata, super::file_id::FileId::at(path).ok().flatten());
    fingerprint
}

/// Returns the fingerprint of the plain file at `path`, which is no link; `None` if there is none.
pub(crate) fn of_file(path: &Path) -> Option<Fingerprint> {
    let metadata = std::fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
    Some(at(path, &metadata))
}

/// Returns the fingerprint of an entry of a folder, whose metadata were read just now. On Unix it
/// makes no path.
pub(crate) fn of_entry(entry: &DirEntry, metadata: &Metadata) -> Fingerprint {
    #[cfg(unix)]
    let fingerprint = {
        let _ = entry;
        of_metadata(metadata)
    };
    #[cfg(windows)]
    let fingerprint = at(&entry.path(), metadata);
    fingerprint
}

/// Returns the fingerprint in what the system says of a file; `None` for one with times that are out
/// of range.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn of_stat(found: &rustix::fs::Stat) -> Option<Fingerprint> {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Some(Fingerprint {
        size: u64::try_from(found.st_size).ok()?,
        modified_ns: nanoseconds(found.st_mtime, i64::try_from(found.st_mtime_nsec).ok()?),
        changed_ns: nanoseconds(found.st_ctime, i64::try_from(found.st_ctime_nsec).ok()?),
        inode: found.st_ino,
        device: found.st_dev,
    })
}

#[cfg(unix)]
fn of_metadata(metadata: &Metadata) -> Fingerprint {
    use std::os::unix::fs::MetadataExt as _;

    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Fingerprint {
        size: metadata.size(),
        modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
        device: metadata.dev(),
    }
}

/// A file that is copied or unpacked keeps its time of modification; the time of its creation tells
/// when it came.
#[cfg(windows)]
fn of_metadata(metadata: &Metadata, id: Option<super::file_id::FileId>) -> Fingerprint {
    use std::time::{SystemTime, UNIX_EPOCH};

    let nanoseconds = |time: io::Result<SystemTime>| {
        time.map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        })
    };
    let (device, inode) = id.map_or((0, 0), super::file_id::FileId::numbers);
    Fingerprint {
        size: metadata.len(),
        modified_ns: nanoseconds(metadata.modified()),
        changed_ns: nanoseconds(metadata.created()),
        inode,
        device,
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_edit_that_keeps_size_and_modification_time_shows() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abcd").unwrap();
        let before = of(file.as_file()).unwrap();
        assert_eq!(before.size, 4);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        file.as_file_mut().write_all(b"").unwrap();
        std::io::Seek::rewind(file.as_file_mut()).unwrap();
        file.write_all(b"efgh").unwrap();
        file.as_file().set_modified(modified).unwrap();
        let after = of(file.as_file()).unwrap();
        assert_eq!((before.size, before.modified_ns, before.inode), (after.size, after.modified_ns, after.inode));
        assert_ne!(before.changed_ns, after.changed_ns);
    }
}

#[cfg(test)]
mod every_system {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
    fn a_path_and_the_open_file_have_one_fingerprint_and_another_file_another() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, "same").unwrap();
        std::fs::write(&other, "same").unwrap();
        let now = |path: &Path| at(path, &path.metadata().unwrap());
        assert_eq!(now(&path), of(&File::open(&path).unwrap()).unwrap());
        let first = now(&path);
        // As an editor saves: size and modification time may be the same.
        let modified = path.metadata().unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!((now(&path).size, now(&path).modified_ns), (first.size, first.modified_ns));
        assert_ne!(now(&path), first);
    }
}
