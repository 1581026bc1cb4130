//! Writes the state again under its path, when its files were deleted or replaced while they were
//! open.
//!
//! The open connection still reaches the old files, whatever happened to their names, and has
//! everything that was ever committed. Any file at the path is kept aside, since it may be another
//! process's state, or a backup.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::config::DbConfig;

use super::Store;
use crate::model::recorded::Recorded;
use crate::platform::file_id::FileId;
use crate::platform::own_file::{self, How, with_ending};
use crate::state::error::StateError;

/// The files of an SQLite database, the database itself first. Once that is gone, SQLite doesn't
/// use the files beside it.
const FAMILY: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A state that was written again.
#[derive(Debug)]
pub struct Anew {
    /// Its files, by path and identity.
    pub files: Vec<(PathBuf, FileId)>,
    /// The data of the state that had taken its place, if it could be read.
    pub found: Option<Box<Recorded>>,
    /// The path where that state is kept.
    pub aside: Option<PathBuf>,
}

impl Store {
    /// Writes this state again at its path and continues with the new file. The caller must hold
    /// the lock. Does nothing if the files are in their place.
    ///
    /// # Errors
    /// When it can't be written; this state is unchanged then.
    pub fn write_anew(&mut self, now: Timestamp) -> Result<Anew, StateError> {
        if self.files.iter().all(|(path, id)| FileId::at(path).is_ok_and(|found| found == Some(*id))) {
            return Ok(Anew { files: self.files.clone(), found: None, aside: None });
        }
        let fresh = with_ending(&self.path, ".new");
        self.copy_to(&fresh)?;
        let aside = self.set_aside(now)?;
        own_file::rename(&fresh, &self.path).map_err(|source| self.unwritten(source))?;
        // Read only now, under its own name: beside our log, SQLite would apply that log to it.
        let found = aside.as_deref().and_then(|aside| self.read_aside(aside));
        let opened = Self::open(&self.path, &self.remote, now)?;
        // Otherwise closing the old connection would reach the new state's log by its path.
        let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        let _ = self.connection.set_db_config(no_checkpoint, true);
        *self = opened;
        Ok(Anew { files: self.files.clone(), found, aside })
    }

    /// Reads the state that took the place of this one.
    fn read_aside(&self, aside: &Path) -> Option<Box<Recorded>> {
        let read =
            Self::open_read_only(aside, &self.remote).and_then(|store| store.map(|store| store.load()).transpose());
        match read {
            Ok(found) => found.map(Box::new),
            Err(error) => {
                tracing::warn!("what took the place of the state can't be read, and is only kept: {error}");
                None
            }
        }
    }

    /// Makes a durable copy of everything that was committed.
    pub(super) fn copy_to(&self, fresh: &Path) -> Result<(), StateError> {
        for ending in FAMILY {
            own_file::remove(&with_ending(fresh, ending)).map_err(|source| self.unwritten(source))?;
        }
        let long = own_file::of_any_length(fresh);
        let text = long.as_deref().unwrap_or(fresh).to_str();
        let text = text.ok_or_else(|| self.unwritten(io::ErrorKind::InvalidFilename.into()))?;
        self.connection.execute("VACUUM INTO ?1", [text]).map_err(|error| self.failed("copy the state", error))?;
        private(fresh).map_err(|source| self.unwritten(source))
    }

    /// Moves other files at the path out of the way. Our own database stays until it is replaced,
    /// with its log copied into it. Our own log is deleted, since SQLite would apply it to the new
    /// database.
    fn set_aside(&self, now: Timestamp) -> Result<Option<PathBuf>, StateError> {
        let aside = with_ending(&self.path, &format!(".aside-{}", now.as_second()));
        let is_own = |path: &Path| {
            let own = self.files.iter().find(|(file, _)| file == path).map(|(_, id)| *id);
            own.is_some() && FileId::at(path).is_ok_and(|found| found == own)
        };
        if is_own(&self.path) {
            let all = "PRAGMA wal_checkpoint(TRUNCATE)";
            self.connection.query_row(all, [], |_| Ok(())).map_err(|error| self.failed("empty the log", error))?;
        }
        let mut any = None;
        for ending in FAMILY {
            let path = with_ending(&self.path, ending);
            let moved = match (is_own(&path), ending) {
                (true, "") => continue,
                (true, _) => own_file::remove(&path).map(|()| false),
                (false, _) => match own_file::rename(&path, &with_ending(&aside, ending)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    moved => moved.map(|()| true),
                },
            };
            // A log or an index alone is not a state.
            if moved.map_err(|source| self.unwritten(source))? && ending.is_empty() {
                any = Some(aside.clone());
            }
        }
        Ok(any)
    }

    fn unwritten(&self, source: io::Error) -> StateError {
        StateError::OpenFile { path: self.path.clone(), source: Arc::new(source) }
    }
}

/// Makes a file this user's alone, and waits until its content is on the disk.
fn private(path: &Path) -> io::Result<()> {
    own_file::open(path, How::Private)?.sync_all()
}
