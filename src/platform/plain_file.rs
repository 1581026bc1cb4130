//! Reads a small file of another program, without ever waiting for it. A FIFO, a device or a folder
//! in its place is an error, and so is a file that is longer than such a file ever is.
//!
//! Links are followed: the file is git's, or a person named it and may keep it anywhere. For the
//! project's own files see [`super::own_file`]. It knows nothing of the file's content but how its
//! text is encoded.

use std::borrow::Cow;
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

/// Returns the text of a file that a person wrote. PowerShell's `>` writes UTF-16, and Windows'
/// editor puts a mark before the first line. What is no text becomes a replacement character.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let utf_16 = |rest: &[u8], number: fn([u8; 2]) -> u16| {
        let (pairs, left) = rest.as_chunks::<2>();
        let read = char::decode_utf16(pairs.iter().copied().map(number));
        let half = (!left.is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        read.map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)).chain(half).collect()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_be_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
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

    #[test]
    fn a_file_written_by_a_program_of_windows_is_read() {
        let line = "ROBLOX_API_KEY=abc é";
        let units = || std::iter::once(0xfeff).chain(line.encode_utf16());
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        let marked = format!("\u{feff}{line}");
        for bytes in [line.as_bytes(), marked.as_bytes(), &little, &big] {
            assert_eq!(text_of(bytes), line);
        }
        assert_eq!(text_of(&[0xff, 0xfe, b'a', 0, b'b']), "a\u{fffd}");
        assert_eq!(text_of(b"a\xff"), "a\u{fffd}");
    }
}
