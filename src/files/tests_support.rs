//! Folders of tiny files for this room's tests.
#![expect(clippy::disallowed_methods, reason = "test files need no atomic writes")]

use std::path::Path;

use crate::model::path::ProjectPath;

/// A folder that is deleted at the end of the test.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (path, bytes) in files {
            folder.write(path, bytes);
        }
        folder
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        let place = self.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, bytes).unwrap();
    }

    /// Writes a long file that takes no space: `bytes`, then zeros up to `length`.
    pub(super) fn write_sparse(&self, path: &str, bytes: &[u8], length: u64) {
        self.write(path, bytes);
        std::fs::OpenOptions::new().write(true).open(self.path().join(path)).unwrap().set_len(length).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path().join(path)).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path().join(from), self.path().join(to)).unwrap();
    }
}

pub(super) fn path(text: &str) -> ProjectPath {
    ProjectPath::new(text).unwrap()
}

/// The shortest content that passes for an asset: mesh data.
pub(super) fn mesh(text: &str) -> String {
    format!("version 1.00\n{text}")
}
