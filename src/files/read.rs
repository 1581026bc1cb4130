//! Reads one file: its facts, and the state of it that they belong to.
//!
//! Read next: `inspect` for the content of a file; [`scan`](mod@super::scan) and
//! [`first_reads`](super::first_reads) for who reads which.

use std::fs::File;
use std::io::{self, Cursor, Read as _, Seek as _};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::inspect::{self, Unfit};
use super::open::{OpenError, Opened, Root, open, open_seen};
use crate::model::file::{FileFacts, FileProblem, FileProblemKind, Fingerprint};
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;
use crate::platform::below::FilesBelow;
use crate::platform::fingerprint;

/// How often a file that changes during the scan is read, and the pause for its writer in between.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// The progress of a [`scan`](mod@super::scan) through the files that it has to read. Cached files don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanProgress {
    /// The number of files that are done.
    pub files_done: usize,
    /// The number of files to read.
    pub files: usize,
    /// Bytes that were hashed, and all bytes of the files that are done.
    pub bytes_done: u64,
    /// The total length of the files to read, as it was at the start.
    pub bytes: u64,
}

/// The result of reading one file.
pub(super) struct ScanResult {
    pub(super) content: Result<FileFacts, FileProblem>,
    /// The state that the content belongs to; `None` when the file could not be read to its end in
    /// one state.
    pub(super) state: Option<Fingerprint>,
}

/// Reads a file that is still what it was when it was looked at, so that it needs no look before;
/// `None` if it isn't, or can't be read like this.
pub(super) fn read_as_seen(
    (below, state): (&FilesBelow, &Fingerprint),
    path: &ProjectPath,
    buffer: &mut [u8],
    hashed: &dyn Fn(u64),
) -> Option<ScanResult> {
    let mut opened = Opened { file: open_seen(below, path)?, fingerprint: *state };
    let content = read_once(path, &mut opened, buffer, hashed).ok()??;
    Some(ScanResult { content, state: Some(*state) })
}

/// Reads a file until it stays the same for one whole read.
pub(super) fn read_stable(root: &Root, path: &ProjectPath, buffer: &mut [u8], hashed: &dyn Fn(u64)) -> ScanResult {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let mut opened = match open(root, path) {
            Ok(opened) => opened,
            Err(error) => return ScanResult { content: Err(error.into_problem()), state: None },
        };
        match read_once(path, &mut opened, buffer, hashed) {
            Ok(Some(content)) => return ScanResult { content, state: Some(opened.fingerprint) },
            Ok(None) => {}
            Err(source) => {
                let error = OpenError::Read { path: path.clone(), source };
                return ScanResult { content: Err(error.into_problem()), state: None };
            }
        }
    }
    let problem = FileProblem::new(
        FileProblemKind::Changing,
        "the file keeps changing while it is read",
        Some("let the program that writes it finish, then run again"),
    );
    ScanResult { content: Err(problem), state: None }
}

/// Reads an open file; returns `None` if it changed meanwhile.
pub(super) fn read_once(
    path: &ProjectPath,
    opened: &mut Opened,
    buffer: &mut [u8],
    hashed: &dyn Fn(u64),
) -> io::Result<Option<Result<FileFacts, FileProblem>>> {
    let size = opened.fingerprint.size;
    let format = match inspect::admit(path, size) {
        Ok(format) => format,
        Err(problem) => return Ok(Some(Err(problem))),
    };
    let small = usize::try_from(size).ok().filter(|size| *size <= buffer.len());
    // A file that fits into the buffer is read once. Of a longer one the headers are read first, so
    // that an unusable file is not hashed for nothing.
    let (inspected, hash) = match small.and_then(|size| buffer.get_mut(..size)) {
        Some(bytes) => {
            match opened.file.read_exact(bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
            let inspected = inspect::inspect(path, format, &mut Cursor::new(&*bytes), size);
            hashed(size);
            (inspected, Some(ContentHash::from_bytes(Sha256::digest(&*bytes).into())))
        }
        None => match inspect::inspect(path, format, &mut opened.file, size) {
            Ok(content) => (Ok(content), hash(&mut opened.file, size, buffer, hashed)?),
            Err(unfit) => (Err(unfit), None),
        },
    };
    if fingerprint::of(&opened.file)? != opened.fingerprint {
        return Ok(None);
    }
    match (inspected, hash) {
        (Ok(content), Some(hash)) => Ok(Some(Ok(FileFacts { size, hash, format, content }))),
        // The length differs from the metadata: the file is being written.
        (Ok(_), None) => Ok(None),
        (Err(Unfit::Problem(problem)), _) => Ok(Some(Err(problem))),
        (Err(Unfit::Read(error)), _) => Err(error),
    }
}

/// Returns the hash of a file of `size` bytes; `None` if it has another length.
fn hash(file: &mut File, size: u64, buffer: &mut [u8], hashed: &dyn Fn(u64)) -> io::Result<Option<ContentHash>> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let mut left = size;
    loop {
        let read = match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        match left.checked_sub(read as u64) {
            None => return Ok(None),
            Some(_) if read == 0 => break,
            Some(rest) => left = rest,
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        hashed(read as u64);
    }
    Ok((left == 0).then(|| ContentHash::from_bytes(hasher.finalize().into())))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};

    /// The size of a buffer, in bytes.
    const BUFFER: usize = 1 << 20;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_stays_what_it_was_is_read_without_another_look_before() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        std::os::unix::fs::symlink("a.mesh", folder.path().join("link.mesh")).unwrap();
        let root = Root::new(folder.path()).unwrap();
        let below = root.below().unwrap();
        let state = below.fingerprint("a.mesh").unwrap();
        let read = |name| read_as_seen((&below, &state), &path(name), &mut vec![0; BUFFER], &|_| {});
        assert_eq!(read("a.mesh").unwrap().state, Some(state));
        assert!(read("link.mesh").is_none(), "a link is resolved first");
        folder.write("a.mesh", mesh("another").as_bytes());
        assert!(read("a.mesh").is_none(), "it is another file by now");
    }

    /// Lets `edit` change a file while it is hashed, in each of the first `times` attempts.
    fn scan_while(times: u32, length: usize) -> ScanResult {
        let mut bytes = mesh("a").into_bytes();
        bytes.resize(length, 0);
        let folder = Folder::with(&[("a.mesh", &bytes)]);
        let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("a.mesh")).unwrap();
        let seen = RefCell::new((0, 0));
        let grow = |hashed: u64| {
            let (attempts, before) = &mut *seen.borrow_mut();
            // The first piece of an attempt.
            *before = if *before + hashed > file.metadata().unwrap().len() { hashed } else { *before + hashed };
            if *before == hashed && *attempts < times {
                *attempts += 1;
                file.set_len(length as u64 + u64::from(*attempts)).unwrap();
            }
        };
        read_stable(&Root::new(folder.path()).unwrap(), &path("a.mesh"), &mut vec![0; BUFFER], &grow)
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again() {
        for length in [100, 3 * BUFFER] {
            let ScanResult { content, state } = scan_while(2, length);
            let mut bytes = mesh("a").into_bytes();
            bytes.resize(length + 2, 0);
            let facts = content.unwrap();
            assert_eq!((facts.size, state.unwrap().size), (bytes.len() as u64, bytes.len() as u64));
            assert_eq!(facts.hash.as_bytes()[..], Sha256::digest(&bytes)[..]);
        }
    }

    #[test]
    fn a_file_that_keeps_changing_is_a_problem_and_never_a_wrong_hash() {
        for length in [100, 3 * BUFFER] {
            let ScanResult { content, state } = scan_while(u32::MAX, length);
            assert!(content.unwrap_err().message.contains("keeps changing"));
            assert_eq!(state, None);
        }
    }
}
