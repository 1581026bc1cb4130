//! Room for outcomes: before anything is sent, the disk has the space to record its outcome.
//!
//! A commit appends to SQLite's log, over the remains of earlier rounds of the log. The file system
//! only needs new blocks at the end of the file, so the file is made longer in advance: SQLite
//! treats zeros behind the last frame as no frame, and overwrites them. If there is no room to copy
//! the log into the database, that does no harm, since the log then grows on. Only a file system
//! that never writes in place may still refuse.
//!
//! If a write fails all the same, a small file beside the state says so. It is created in advance
//! and overwritten in place. It means that a sent and unanswered request may have had a known
//! outcome that is now lost.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::Store;
use crate::platform::file_id::FileId;
use crate::platform::own_file::{self, How, with_ending};
use crate::platform::space;
use crate::state::error::StateError;

/// The free pages of the log before anything is sent. An upload writes 10 to 30 of them in two
/// commits, at most 64 uploads run at once, and waiting changes are committed together.
const FREE_PAGES: u64 = 1024;

/// The pages to add at once, so that not each upload makes the log longer.
const STEP_PAGES: u64 = 256;

/// The bytes in the log before its first frame, and in a frame before its page.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// The contents of the file beside the state; both have one length.
const NOTHING_LOST: &[u8] = b"kept\n";
const OUTCOMES_LOST: &[u8] = b"lost\n";

impl Store {
    /// Makes sure that the outcomes of the next uploads can be written even if the disk is full by
    /// then.
    ///
    /// # Errors
    /// When the disk has no room for that: nothing may be sent then. The outcomes of earlier
    /// uploads can still be written.
    pub fn make_room(&mut self) -> Result<(), StateError> {
        let doing = "look at the log";
        let failed = |error| StateError::from_sql(&self.path, doing, error);
        let page: u64 = self
            .connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))
            .map(u64::from)
            .map_err(failed)?;
        // Copies nothing, and waits for no lock.
        let frames: i64 =
            self.connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).map_err(failed)?;
        let frames = u64::try_from(frames).unwrap_or_default();
        let bytes = |pages: u64| pages.saturating_mul(page.saturating_add(FRAME_HEADER));
        let least = bytes(frames.saturating_add(FREE_PAGES)).saturating_add(LOG_HEADER);
        let log = with_ending(&self.path, "-wal");
        let own = self.files.iter().find(|(path, _)| *path == log).map(|(_, id)| *id);
        let made = lengthen(&log, own, least, bytes(STEP_PAGES))
            .and_then(|()| make_note(&with_ending(&self.path, ".outcomes")));
        made.map_err(|source| StateError::NoRoom { path: self.path.clone(), source: Arc::new(source) })
    }

    /// Notes that an outcome could not be written. Called after any failed write, whatever was in
    /// progress.
    pub(super) fn note_lost_outcomes(&self) {
        // Not created here: without the file nothing was sent. If even this write fails, nothing is
        // left to do; the caller reports its own error.
        let note = || -> io::Result<()> {
            let mut file = own_file::open(&with_ending(&self.path, ".outcomes"), How::Write)?;
            file.write_all(OUTCOMES_LOST)?;
            file.sync_all()
        };
        let _ = note();
    }

    /// Returns whether an earlier process could not write every outcome of what it sent.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn has_lost_outcomes(&self) -> Result<bool, StateError> {
        match own_file::read(&with_ending(&self.path, ".outcomes"), NOTHING_LOST.len() as u64) {
            Ok(note) => Ok(note == OUTCOMES_LOST),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// Removes the note, once its meaning is recorded.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn settle_lost_outcomes(&mut self) -> Result<(), StateError> {
        own_file::remove(&with_ending(&self.path, ".outcomes")).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: io::Error) -> StateError {
        StateError::OpenFile { path: with_ending(&self.path, ".outcomes"), source: Arc::new(error) }
    }
}

/// Makes a file at least `least` bytes long, and `step` bytes longer if it must grow. It changes
/// only the `own` file: another process may write to one that took its place.
fn lengthen(path: &Path, own: Option<FileId>, least: u64, step: u64) -> io::Result<()> {
    let file = own_file::open(path, How::Append)?;
    if Some(FileId::of(&file)?) != own {
        return Err(io::Error::new(io::ErrorKind::NotFound, "another file took the place of the log"));
    }
    let length = file.metadata()?.len();
    if length >= least {
        return Ok(());
    }
    space::lengthen(&file, length, least.saturating_add(step).saturating_sub(length))
}

/// Creates the note, which says that nothing is lost, if it is missing.
fn make_note(path: &Path) -> io::Result<()> {
    let mut file = own_file::open(path, How::Private)?;
    if file.metadata()?.len() < NOTHING_LOST.len() as u64 {
        file.write_all(NOTHING_LOST)?;
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::phase::IntentKind;

    use jiff::Timestamp;

    use crate::model::change::Change;
    use crate::model::event::EventKind;
    use crate::state::store::Batch;

    fn event_of(bytes: usize) -> Vec<Change> {
        vec![Change::LogEvent {
            address: None,
            event: EventKind::InDoubt { action: IntentKind::Create, message: "x".repeat(bytes) },
        }]
    }

    fn open(folder: &Path) -> Store {
        Store::open(&folder.join("s.db"), "r", Timestamp::UNIX_EPOCH).unwrap()
    }

    fn log(folder: &Path) -> u64 {
        fs::metadata(folder.join("s.db-wal")).unwrap().len()
    }

    #[test]
    fn writes_within_the_room_do_not_lengthen_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.make_room().unwrap();
        let before = log(folder.path());
        assert!(before > FREE_PAGES * 4096, "{before}");
        for _ in 0..40 {
            store.commit(&event_of(60_000), Timestamp::UNIX_EPOCH).unwrap(); // 15 pages and more
        }
        assert_eq!(log(folder.path()), before);
        store.make_room().unwrap();
        assert!(log(folder.path()) > before, "there is as much room as before");
        // A crash leaves the log with its zeros.
        let crashed = tempfile::tempdir().unwrap();
        for name in ["s.db", "s.db-wal"] {
            fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
        }
        let store = open(crashed.path());
        assert_eq!(store.events(None, 100).unwrap().len(), 40);
        store.integrity_check().unwrap();
    }

    #[test]
    fn room_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.make_room().unwrap();
        let before = log(folder.path());
        for _ in 0..10 {
            store.commit(&event_of(10), Timestamp::UNIX_EPOCH).unwrap();
            store.make_room().unwrap();
        }
        assert_eq!(log(folder.path()), before);
    }

    #[test]
    fn a_failed_write_is_noted_only_if_something_may_have_been_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let fail = |store: &mut Store| {
            store.connection.pragma_update(None, "query_only", true).unwrap();
            let batch = Batch { changes: event_of(10), now: Timestamp::UNIX_EPOCH };
            assert!(store.commit_group(&[batch]).iter().all(Result::is_err));
            store.connection.pragma_update(None, "query_only", false).unwrap();
        };
        fail(&mut store);
        assert!(!store.has_lost_outcomes().unwrap());
        store.make_room().unwrap();
        assert!(!store.has_lost_outcomes().unwrap());
        fail(&mut store);
        store.make_room().unwrap();
        drop(store);
        let mut store = open(folder.path());
        assert!(store.has_lost_outcomes().unwrap());
        store.settle_lost_outcomes().unwrap();
        assert!(!store.has_lost_outcomes().unwrap());
    }
}
