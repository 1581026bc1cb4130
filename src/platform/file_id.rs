//! Identifies the file behind a path by its device and inode, on Windows by its volume's serial
//! number and its file ID, to detect that another one has replaced it.
//!
//! Content that is copied over a file in place keeps its identity; this can't detect that.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// The identity of one file, whatever its name.
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
        match found(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// When the file's metadata can't be read.
    #[cfg(unix)]
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::of_metadata(&file.metadata()?))
    }

    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// When the file's metadata can't be read.
    #[cfg(windows)]
    pub fn of(file: &File) -> io::Result<Self> {
        let known = winapi_util::file::information(file)?;
        Ok(Self { device: known.volume_serial_number(), inode: known.file_index() })
    }

    /// Returns the identity of the file at `path`, whose metadata were read. On Unix it is in them,
    /// so the file isn't opened: closing it would free this process's locks.
    ///
    /// # Errors
    /// When the system doesn't say.
    pub(crate) fn of_found(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        #[cfg(unix)]
        let id = {
            let _ = path;
            Ok(Self::of_metadata(metadata))
        };
        #[cfg(windows)]
        let id = {
            let _ = metadata;
            found(path)
        };
        id
    }

    #[cfg(unix)]
    fn of_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Returns the device, and the inode on it.
    #[cfg(windows)]
    pub(super) const fn numbers(self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

#[cfg(unix)]
fn found(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|found| FileId::of_metadata(&found))
}

/// Opens the file or folder without any right to its content, so that it is refused nowhere and
/// keeps nobody else from it.
#[cfg(windows)]
#[expect(clippy::disallowed_methods, reason = "only Windows' numbers of the file are read")]
fn found(path: &Path) -> io::Result<FileId> {
    use std::os::windows::fs::OpenOptionsExt as _;

    /// Without it, Windows opens no folder (`FILE_FLAG_BACKUP_SEMANTICS`).
    const FOLDERS_TOO: u32 = 0x0200_0000;
    FileId::of(&fs::OpenOptions::new().access_mode(0).custom_flags(FOLDERS_TOO).open(path)?)
}

#[cfg(test)]
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
