//! Reads a small file of another program, without ever waiting for it. A FIFO, a device or a folder
//! in its place is an error, and so is a file that is longer than such a file ever is.
//!
//! Links are followed: the file is git's, or a person named it and may keep it anywhere. For the
//! project's own files see [`super::own_file`]. It knows nothing of the file's content.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::own_file::{PathRefusal, kind_of, limited};

/// Reads the plain file at `path`, following links.
///
/// # Errors
/// The system's error, or a [`PathRefusal`] when it is not a plain file or has more than `limit`
/// bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Checked before it is opened, since opening a device may have an effect.
    if let Some(kind) = kind_of(&std::fs::metadata(path)?) {
        return Err(PathRefusal::NotAFile { kind }.into());
    }
    limited(open(path)?, limit)
}

/// Returns the path that a file of git's names.
#[cfg(unix)]
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;

    std::ffi::OsStr::from_bytes(bytes).into()
}

/// Returns the path that a file of git's names. Git writes paths as UTF-8 here.
#[cfg(not(unix))]
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "the owner of files that aren't ours")]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the owner of files that aren't ours")]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_within_the_limit_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"abcd");
        assert_eq!(read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(folder.path(), 4).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fifo_and_a_device_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for path in [fifo.as_path(), Path::new("/dev/zero")] {
            assert_eq!(read(path, 4).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
    }
}
