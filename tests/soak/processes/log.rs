//! A log that is read as it grows. Its lines are counted, and the key must not be in it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use crate::support::SECRET;

/// One log file.
#[derive(Debug)]
pub struct Log {
    pub path: PathBuf,
    read: u64,
    pub lines: u64,
}

impl Log {
    pub const fn new(path: PathBuf) -> Self {
        Self { path, read: 0, lines: 0 }
    }

    /// Reads the lines that were added, as far as they are complete.
    pub fn catch_up(&mut self) -> String {
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut added = Vec::new();
        file.read_to_end(&mut added).unwrap();
        added.truncate(added.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        self.read += added.len() as u64;
        let added = String::from_utf8_lossy(&added).into_owned();
        assert!(!added.contains(SECRET), "the key is in the log {}", self.path.display());
        self.lines += added.lines().count() as u64;
        added
    }

    /// Returns the whole text.
    pub fn text(&self) -> String {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
