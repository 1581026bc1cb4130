//! Identifies the file behind a path by its device and inode, to detect that another one has
//! replaced it.
//!
//! Content that is copied over a file in place keeps its identity; this can't detect that.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// The identity of one file, whatever its name. On a system without such numbers all files are
/// equal, and no change is ever detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Returns the identity of the file at `path`; `None` if there is none.
    ///
    /// # Errors
    /// When the file's metadata can't be read.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Self::of_metadata(&found))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// When the file's metadata can't be read.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::of_metadata(&file.metadata()?))
    }

    /// Returns the identity of the file with this metadata.
    #[cfg(unix)]
    pub fn of_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Returns the identity of the file with this metadata.
    #[cfg(not(unix))]
    pub fn of_metadata(_metadata: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

#[cfg(all(test, unix))]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;

    #[test]
    fn another_file_of_the_same_name_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        assert_eq!(FileId::at(&path).unwrap(), None);
        fs::write(&path, "1").unwrap();
        let first = FileId::at(&path).unwrap().unwrap();
        assert_eq!(FileId::of(&File::open(&path).unwrap()).unwrap(), first);
        fs::write(&path, "22").unwrap();
        assert_eq!(FileId::at(&path).unwrap(), Some(first), "written in place");
        fs::write(&other, "1").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_ne!(FileId::at(&path).unwrap(), Some(first));
        assert_eq!(FileId::at(&path.join("below")).unwrap(), None);
    }
}
