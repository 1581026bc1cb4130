//! The hashes by which another tool knows a project's files, for moving in from that tool.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::open::{Root, open};
use super::share::threads;
use crate::model::file::{FileProblem, FileProblemKind};
use crate::model::foreign_hash::{FileHashes, HashKind};
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;

const BUFFER: usize = 256 * 1024;

/// Reads each of `paths` below `root` once, and returns Macadam's hash and one of `kind` of the
/// same bytes, or why the file can't be read. Uses several cores.
pub(crate) fn foreign_hashes(
    root: &Path,
    paths: &[ProjectPath],
    kind: HashKind,
) -> BTreeMap<ProjectPath, Result<FileHashes, FileProblem>> {
    let root = match Root::new(root) {
        Ok(root) => root,
        Err(error) => {
            let problem = unreadable(format!("cannot read the project's folder: {error}"));
            return paths.iter().map(|path| (path.clone(), Err(problem.clone()))).collect();
        }
    };
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        let mut buffer = vec![0; BUFFER];
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            let hashes = hash(&root, path, kind, &mut buffer);
            // A panic elsewhere leaves no half-made entry here, since each insertion is atomic.
            found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(path.clone(), hashes);
        }
    };
    let threads = threads(paths.len());
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn unreadable(message: String) -> FileProblem {
    FileProblem::new(FileProblemKind::Unreadable, message, None)
}

fn hash(root: &Root, path: &ProjectPath, kind: HashKind, buffer: &mut [u8]) -> Result<FileHashes, FileProblem> {
    let opened = open(root, path).map_err(super::open::OpenError::into_problem)?;
    let failed = |error: io::Error| unreadable(format!("cannot read `{path}`: {error}"));
    hash_open(opened.file, kind, buffer).map_err(failed)
}

fn hash_open(mut file: File, kind: HashKind, buffer: &mut [u8]) -> io::Result<FileHashes> {
    let (mut own, mut other) = (Sha256::new(), Other::new(kind));
    loop {
        let read = match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        own.update(bytes);
        other.update(bytes);
    }
    let content = ContentHash::from_bytes(own.finalize().into());
    Ok(FileHashes { content, foreign: other.finish().unwrap_or_else(|| content.to_string()) })
}

enum Other {
    Blake3(Box<blake3::Hasher>),
    Sha1(sha1::Sha1),
    /// The same as Macadam's own.
    Sha256,
}

impl Other {
    fn new(kind: HashKind) -> Self {
        match kind {
            HashKind::Blake3 => Self::Blake3(Box::default()),
            HashKind::Sha1 => Self::Sha1(sha1::Sha1::default()),
            HashKind::Sha256 => Self::Sha256,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha1(hasher) => sha1::Digest::update(hasher, bytes),
            Self::Sha256 => {}
        }
    }

    fn finish(self) -> Option<String> {
        match self {
            Self::Blake3(hasher) => Some(hasher.finalize().to_hex().to_string()),
            Self::Sha1(hasher) => {
                let digest = sha1::Digest::finalize(hasher);
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Self::Sha256 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, path};

    fn check(kind: HashKind, expected: &str) {
        let folder = Folder::with(&[("a.png", b"abc")]);
        let hashes = foreign_hashes(folder.path(), &[path("a.png"), path("gone.png")], kind);
        let found = hashes[&path("a.png")].as_ref().unwrap();
        assert_eq!(found.foreign, expected);
        assert!(found.content.to_string().starts_with("ba7816bf8f01cfea"));
        assert!(hashes[&path("gone.png")].is_err());
    }

    /// Checks the published values for `abc`.
    #[test]
    fn the_hashes_are_those_of_the_other_tools() {
        check(HashKind::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        check(HashKind::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        check(HashKind::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
