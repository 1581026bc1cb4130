//! Space on a disk: how much is free, and whether an error means that there is none.
//!
//! It decides nothing, and leaves nothing behind.

use std::io;
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

#[cfg(test)]
mod tests {
    use super::*;

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
