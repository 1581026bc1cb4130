//! Space on a disk: how much is free, whether an error means that there is none, and how a file gets
//! it in advance.
//!
//! It decides nothing.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Returns whether an error means that a disk, or this user's part of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns how many bytes this user may still write on the disk of `path`; `None` where the system
/// doesn't say. A quota isn't looked at.
#[cfg(unix)]
pub(crate) fn free(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The same; this system isn't asked.
#[cfg(not(unix))]
pub(crate) const fn free(_path: &Path) -> Option<u64> {
    None
}

/// Makes a file of `length` bytes `more` bytes longer, by zeros that have their place on the disk:
/// what is written over them later needs no space. Where the file system gives space to a file that
/// nobody writes to, nothing is written.
///
/// # Errors
/// When there isn't so much space, or the file can't be written.
pub(crate) fn lengthen(file: &File, length: u64, more: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;

        match fallocate(file, FallocateFlags::empty(), length, more) {
            Ok(()) => return Ok(()),
            // Not every file system can; writing does it everywhere.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    write_zeros(file, length, more)
}

/// Does the same by writing them. A hole would have no place on the disk, and what was only written
/// to memory has none yet.
fn write_zeros(mut file: &File, length: u64, more: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(length))?;
    io::copy(&mut io::repeat(0).take(more), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_makes_a_file_longer_is_zeros_with_blocks() {
        use std::io::Write as _;
        use std::os::unix::fs::MetadataExt as _;

        for make in [lengthen, write_zeros] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"kept").unwrap();
            make(&file, 4, 100_000).unwrap();
            let found = file.metadata().unwrap();
            assert!(found.blocks() * 512 >= 100_000, "{found:?}");
            let mut content = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut content).unwrap();
            assert_eq!(content, [b"kept".as_slice(), &[0; 100_000]].concat());
        }
    }

    #[test]
    fn a_disk_says_how_much_is_free() {
        #[cfg(unix)]
        assert!(free(tempfile::tempdir().unwrap().path()).unwrap() > 0);
        assert_eq!(free(Path::new("/nowhere/at/all")), None);
    }

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_the_same() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(is_full(&kind.into()), "{kind}");
        }
        assert!(!is_full(&io::ErrorKind::PermissionDenied.into()));
    }
}
