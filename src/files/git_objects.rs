//! The names of the objects in which git may keep the bytes of a file.
//!
//! Git names an object by a hash of its bytes. It keeps a file as it is, or with other ends of lines,
//! or as a pointer of Git LFS. Those names are found without git, whatever attributes the file has now
//! or had when it was committed. Read next: `engine/workspace/git/at_commit.rs`, the caller.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::open::{OpenError, Root, open};
use crate::model::file::FileProblem;
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;

const BUFFER: usize = 256 * 1024;

/// How a repository hashes its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectFormat {
    Sha1,
    Sha256,
}

/// The files of a project, of which names are asked for.
pub(crate) struct GitObjects {
    root: Root,
    format: ObjectFormat,
    buffer: Vec<u8>,
}

impl GitObjects {
    /// # Errors
    /// When the project's folder can't be read.
    pub(crate) fn new(root: &Path, format: ObjectFormat) -> io::Result<Self> {
        Ok(Self { root: Root::new(root)?, format, buffer: vec![0; BUFFER] })
    }

    /// Returns the names of the objects that git may make of the bytes of `path`: of the bytes, and of
    /// the same with LF in place of each CRLF. Blocks: it reads the file, twice where it has a CRLF.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(crate) fn of_file(&mut self, path: &ProjectPath) -> Result<Vec<String>, FileProblem> {
        let failed = |source: io::Error| OpenError::Read { path: path.clone(), source }.into_problem();
        let mut file = open(&self.root, path).map_err(OpenError::into_problem)?.file;
        let length = file.metadata().map_err(failed)?.len();
        let (plain, pairs) = self.hash(&mut file, length, false).map_err(failed)?;
        let mut names = vec![plain];
        if pairs > 0 {
            file.rewind().map_err(failed)?;
            names.push(self.hash(&mut file, length.saturating_sub(pairs), true).map_err(failed)?.0);
        }
        Ok(names)
    }

    /// Returns the name of the object that Git LFS makes of a file with this content and length: a
    /// pointer (Git LFS, docs/spec.md).
    pub(crate) fn of_lfs_pointer(&self, content: ContentHash, length: u64) -> String {
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{content}\nsize {length}\n");
        let mut hasher = Hasher::new(self.format, text.len() as u64);
        hasher.update(text.as_bytes());
        hasher.finish()
    }

    /// Returns the name of an object of this length with the bytes of `file`, and how many CRLF they
    /// have. The CR of each is left out if that is asked for.
    fn hash(&mut self, file: &mut File, length: u64, lf_alone: bool) -> io::Result<(String, u64)> {
        let mut hasher = Hasher::new(self.format, length);
        // A CR at the end of a block belongs to what follows.
        let (mut pairs, mut ends_with_cr) = (0, false);
        loop {
            let read = match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = self.buffer.get(..read).unwrap_or_default();
            if !lf_alone {
                let starts = ends_with_cr && bytes.first() == Some(&b'\n');
                pairs += u64::from(starts) + bytes.windows(2).filter(|two| *two == b"\r\n").count() as u64;
                ends_with_cr = bytes.last() == Some(&b'\r');
                hasher.update(bytes);
                continue;
            }
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if ends_with_cr && line != b"\n" {
                    hasher.update(b"\r");
                }
                ends_with_cr = line.ends_with(b"\r");
                match line.strip_suffix(b"\r\n") {
                    Some(text) => {
                        hasher.update(text);
                        hasher.update(b"\n");
                    }
                    None => hasher.update(line.strip_suffix(b"\r").unwrap_or(line)),
                }
            }
        }
        if lf_alone && ends_with_cr {
            hasher.update(b"\r");
        }
        Ok((hasher.finish(), pairs))
    }
}

enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(Sha256),
}

impl Hasher {
    /// Begins an object of this length.
    fn new(format: ObjectFormat, length: u64) -> Self {
        let mut hasher = match format {
            ObjectFormat::Sha1 => Self::Sha1(sha1::Sha1::default()),
            ObjectFormat::Sha256 => Self::Sha256(Sha256::default()),
        };
        hasher.update(format!("blob {length}\0").as_bytes());
        hasher
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha1(hasher) => hex(&hasher.finalize()),
            Self::Sha256(hasher) => hex(&hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, path};

    /// Checks the names that `git hash-object --no-filters` gives.
    #[test]
    fn the_names_are_those_of_git() {
        let folder = Folder::with(&[("a.mesh", b"abc"), ("empty.mesh", b"")]);
        let name = |format, name| GitObjects::new(folder.path(), format).unwrap().of_file(&path(name)).unwrap();
        assert_eq!(name(ObjectFormat::Sha1, "a.mesh"), ["f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"]);
        assert_eq!(name(ObjectFormat::Sha1, "empty.mesh"), ["e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"]);
        let long = "c1cf6e465077930e88dc5136641d402f72a229ddd996f627d60e9639eaba35a6";
        assert_eq!(name(ObjectFormat::Sha256, "a.mesh"), [long]);
        assert!(GitObjects::new(folder.path(), ObjectFormat::Sha1).unwrap().of_file(&path("gone.mesh")).is_err());
    }

    #[test]
    fn a_carriage_return_is_left_out_only_before_a_line_break() {
        let check = |bytes: &[u8], with_lf: &[u8]| {
            let folder = Folder::with(&[("a.mesh", bytes), ("b.mesh", with_lf)]);
            // Blocks of every length end at every place.
            for length in 1..bytes.len() + 2 {
                let root = Root::new(folder.path()).unwrap();
                let mut objects = GitObjects { root, format: ObjectFormat::Sha1, buffer: vec![0; length] };
                let (found, expected) = (objects.of_file(&path("a.mesh")), objects.of_file(&path("b.mesh")));
                assert_eq!(found.unwrap().last(), expected.unwrap().first(), "{bytes:?} in blocks of {length}");
            }
        };
        check(b"a\r\nb\r\n", b"a\nb\n");
        check(b"\r\n\r\n", b"\n\n");
        check(b"a\r\r\nb\rc\r\n\r", b"a\r\nb\rc\n\r");
        check(b"a\rb\n\r", b"a\rb\n\r");
    }
}
