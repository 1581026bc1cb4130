//! Which file a path leads to: its device and inode, so that it shows when another one has taken
//! its place.
//!
//! Content that is copied over a file in place keeps its identity; that can't be seen here.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// One file, whatever it is called. Where a system has no such numbers all files are one, and no
/// change is ever seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that `path` leads to; `None`: there is none.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Self::of_metadata(&found))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An open file.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::of_metadata(&file.metadata()?))
    }

    /// A file that was looked at.
    #[cfg(unix)]
    pub fn of_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// A file that was looked at.
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
    fn another_file_of_the_same_name_is_another_file() {
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
