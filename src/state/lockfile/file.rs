//! The lockfile on disk.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::error::{LockfileError, LockfilePosition};
use super::next::NextText;
use super::write::write;
use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::digest::Checksum;
use crate::model::forgotten::Forgotten;
use crate::platform::atomic_file::{Room, keep_room, write_atomic_for, write_atomic_for_if};
use crate::platform::own_file::{self, Access, PathRefusal};

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
    let mut checksum = Checksum::default();
    let mut rest = bytes;
    // Most have none, and are read often.
    if !bytes.contains(&b'\r') {
        checksum.update(bytes);
        return checksum.finish();
    }
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, end) = rest.split_at(at);
        checksum.update(line);
        rest = end.get(1..).unwrap_or_default();
    }
    checksum.update(rest);
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
    Ok(write_atomic_for_if(access, path, |out| text.write_to(out), still)?)
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
