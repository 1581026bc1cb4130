//! Reads a file's fingerprint from its metadata.
//!
//! Unix has a file's inode, its device and the time of the inode's last change. Elsewhere these are
//! 0, and only the size and the time of the last write distinguish two states. `crate::files`
//! decides whether a file may be read.

use std::fs::Metadata;

use crate::model::file::Fingerprint;

/// Returns the fingerprint for this metadata, which is best read from an open handle.
#[cfg(unix)]
pub(crate) fn of(metadata: &Metadata) -> Fingerprint {
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

/// Returns the fingerprint for this metadata, which is best read from an open handle.
#[cfg(not(unix))]
pub fn of(metadata: &Metadata) -> Fingerprint {
    use std::time::UNIX_EPOCH;

    let modified_ns = metadata.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    });
    Fingerprint { size: metadata.len(), modified_ns, changed_ns: 0, inode: 0, device: 0 }
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
        let before = of(&file.as_file().metadata().unwrap());
        assert_eq!(before.size, 4);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        file.as_file_mut().write_all(b"").unwrap();
        std::io::Seek::rewind(file.as_file_mut()).unwrap();
        file.write_all(b"efgh").unwrap();
        file.as_file().set_modified(modified).unwrap();
        let after = of(&file.as_file().metadata().unwrap());
        assert_eq!((before.size, before.modified_ns, before.inode), (after.size, after.modified_ns, after.inode));
        assert_ne!(before.changed_ns, after.changed_ns);
    }
}
