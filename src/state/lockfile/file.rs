//! The lockfile on disk.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::path::Path;

use memchr::memchr;

use super::error::{LockfileError, LockfilePosition};
use super::next::NextText;
use super::write::write;
use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::digest::Checksum;
use crate::model::forgotten::Forgotten;
use crate::platform::atomic_file::{Room, keep_room, replace, write_atomic_for};
use crate::platform::own_file::{self, Access, How, PathRefusal};

/// The largest lockfile in bytes: room for a million addresses. A larger file is no lockfile, and
/// must not fill the memory.
const MAX_BYTES: u64 = 512 << 20;

/// Reads the file; `None` if there is none.
///
/// # Errors
/// When it can't be read, or is larger than 512 MiB.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, LockfileError> {
    match own_file::read(path, MAX_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(match own_file::refusal(&error) {
            Some(PathRefusal::TooLong { limit }) => LockfileError::TooLarge { path: path.to_owned(), limit: *limit },
            _ => LockfileError::Read { path: path.to_owned(), source: error },
        }),
    }
}

/// Returns a checksum that identifies an unchanged lockfile, which needs no parsing. The line ends
/// that git makes of it on Windows (`core.autocrlf`) are no change: the text never has a `\r`.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let mut sum = FileSum::default();
    sum.update(bytes);
    sum.finish()
}

/// Returns the [`fingerprint`] of the file; `None` if there is none. Takes no room for its text.
///
/// # Errors
/// As for [`read`].
pub(crate) fn fingerprint_at(path: &Path) -> Result<Option<String>, LockfileError> {
    let failed = |source| LockfileError::Read { path: path.to_owned(), source };
    let mut file = match own_file::open(path, How::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut sum = FileSum::default();
    let mut part = vec![0; 64 * 1024];
    let mut length = 0_u64;
    loop {
        let read = match file.read(&mut part) {
            Ok(0) => return Ok(Some(sum.finish())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        sum.update(part.get(..read).unwrap_or_default());
        length = length.saturating_add(read as u64);
        if length > MAX_BYTES {
            return Err(LockfileError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
        }
    }
}

/// Sums up a file without the `\r` of its line ends.
#[derive(Debug, Default)]
struct FileSum {
    checksum: Checksum,
    /// A `\r` ended the last part.
    is_open: bool,
}

impl FileSum {
    fn update(&mut self, bytes: &[u8]) {
        let Some(first) = bytes.first() else { return };
        if std::mem::take(&mut self.is_open) && *first != b'\n' {
            self.checksum.update(b"\r");
        }
        let mut rest = bytes;
        // Most have none, and are read often.
        while let Some(at) = memchr(b'\r', rest) {
            let (line, end) = rest.split_at(at);
            self.checksum.update(line);
            rest = end.get(1..).unwrap_or_default();
            match rest.first() {
                Some(b'\n') => {}
                Some(_) => self.checksum.update(b"\r"),
                None => self.is_open = true,
            }
        }
        self.checksum.update(rest);
    }

    fn finish(mut self) -> String {
        tracing::debug!("the lockfile was summed up");
        if self.is_open {
            self.checksum.update(b"\r");
        }
        self.checksum.finish()
    }
}

/// Returns the fingerprint of the file that [`save`] would write.
pub(crate) fn fingerprint_of<A, E>(
    remote: &str,
    entries: impl IntoIterator<Item = (A, E)>,
    forgotten: &BTreeMap<Address, Forgotten>,
) -> String
where
    A: Borrow<Address>,
    E: Borrow<LockfileEntry>,
{
    let mut checksum = Checksum::default();
    // Writing nowhere can't fail.
    let _ = write(remote, entries, forgotten, &mut Summed { out: &mut io::sink(), checksum: &mut checksum });
    checksum.finish()
}

/// Replaces the file with these entries, which come in the order of their addresses, and the
/// forgotten assets. Returns its fingerprint. Atomic and durable. A new file has the permissions of
/// `access`.
///
/// # Errors
/// When it can't be written; the old one is unchanged.
pub(crate) fn save<A, E>(
    path: &Path,
    access: Access,
    remote: &str,
    entries: impl IntoIterator<Item = (A, E)>,
    forgotten: &BTreeMap<Address, Forgotten>,
) -> Result<String, LockfileError>
where
    A: Borrow<Address>,
    E: Borrow<LockfileEntry>,
{
    let mut checksum = Checksum::default();
    write_atomic_for(access, path, |out| {
        write(remote, entries, forgotten, &mut Summed { out, checksum: &mut checksum })
    })?;
    Ok(checksum.finish())
}

/// Replaces the file with this text, as [`save`] does, unless `still` finds just
/// before the replacement that it may not: then this returns `false`, and the old file stays.
///
/// # Errors
/// When it can't be written; the old one is unchanged.
pub(crate) fn replace_if(
    path: &Path,
    access: Access,
    text: &NextText,
    still: impl FnOnce() -> io::Result<bool>,
) -> Result<bool, LockfileError> {
    Ok(replace(access, path, |out| text.write_to(out), still)?)
}

/// Returns whether the file has exactly this text; `false` if it can't be read.
pub(crate) fn has_text(path: &Path, text: &NextText) -> bool {
    let Ok(mut file) = own_file::open(path, How::Read) else { return false };
    let mut read = vec![0; 64 * 1024];
    let mut is_next = |part: &[u8]| {
        let read = read.get_mut(..part.len()).unwrap_or_default();
        file.read_exact(read).is_ok() && *read == *part
    };
    let is_begin = text.parts().all(|part| part.chunks(64 * 1024).all(&mut is_next));
    is_begin && file.read(&mut [0]).is_ok_and(|more| more == 0)
}

/// Reserves room for a lockfile of `bytes` bytes, until it is about to be saved.
///
/// # Errors
/// When it could not be written now.
pub(crate) fn room(path: &Path, bytes: u64) -> Result<Room, LockfileError> {
    keep_room(path, bytes).map_err(LockfileError::NoRoom)
}

/// A writer that sums up its output.
struct Summed<'a> {
    out: &'a mut dyn Write,
    checksum: &'a mut Checksum,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.checksum.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Ledger {
    /// Refuses a lockfile of another remote. `file` is its name in the error.
    ///
    /// # Errors
    /// [`LockfileError::OtherRemote`].
    pub fn require_remote(&self, remote: &str, file: &Path) -> Result<(), LockfileError> {
        if self.remote == remote {
            return Ok(());
        }
        // The header always has the same lines: a comment, the version, the remote.
        let place = LockfilePosition { file: file.to_owned(), line: 3, column: 1 };
        Err(LockfileError::OtherRemote { found: self.remote.clone(), wanted: remote.to_owned(), place })
    }
}
