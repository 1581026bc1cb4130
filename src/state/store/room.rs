//! Room for outcomes: before anything is sent, the disk has given what it takes to write down what
//! comes of it.
//!
//! A commit appends to SQLite's log, over what earlier rounds of the log left there; the file
//! system has to give new blocks only where the file ends. So it is made longer before: zeros
//! behind the last frame are no frame to SQLite, which writes over them. That copying the log into
//! the database may find no room does no harm, since the log then goes on. Only a file system that
//! never writes in place may still refuse.
//!
//! Where writing fails all the same, a small file beside the state says so, made before and written
//! over in place: what was sent and not answered by then may have an outcome that was known and is
//! lost.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Store;
use crate::platform::file_id::FileId;
use crate::platform::own_file::{self, How};
use crate::state::error::StateError;

/// So many pages of the log are free before anything is sent. What an upload makes to be written is
/// 10 to 30 of them in two commits, uploads at once are at most 64, and what waits together is
/// committed together.
const FREE_PAGES: u64 = 1024;

/// So many more at once, so that not each upload makes the log longer.
const STEP_PAGES: u64 = 256;

/// What stands in the log before its first frame, and in a frame before its page.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// What the file beside the state says: both are of one length.
const KEPT: &[u8] = b"kept\n";
const LOST: &[u8] = b"lost\n";

impl Store {
    /// Makes sure that what comes of the next uploads can be written down although the disk may be
    /// full by then.
    ///
    /// # Errors
    /// When the disk has no room for that: then nothing may be sent. What is on its way can still
    /// be written down.
    pub fn make_room(&mut self) -> Result<(), StateError> {
        let doing = "look at the log";
        let failed = |error| StateError::from_sql(&self.path, doing, error);
        let page: u64 = self
            .connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))
            .map(u64::from)
            .map_err(failed)?;
        // Copies nothing, and waits for nobody.
        let frames: i64 =
            self.connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).map_err(failed)?;
        let frames = u64::try_from(frames).unwrap_or_default();
        let bytes = |pages: u64| pages.saturating_mul(page.saturating_add(FRAME_HEADER));
        let least = bytes(frames.saturating_add(FREE_PAGES)).saturating_add(LOG_HEADER);
        let log = beside(&self.path, "-wal");
        let own = self.files.iter().find(|(path, _)| *path == log).map(|(_, id)| *id);
        let made =
            lengthen(&log, own, least, bytes(STEP_PAGES)).and_then(|()| make_note(&beside(&self.path, ".outcomes")));
        made.map_err(|source| StateError::NoRoom { path: self.path.clone(), source: Arc::new(source) })
    }

    /// Notes that something could not be written down. To be called after any failed write,
    /// whatever was under way.
    pub(super) fn note_lost_outcomes(&self) {
        // Not made here: without it nothing was sent. Failing is all that is left where even this can't be
        // written; the error that led here is told.
        let note = || -> io::Result<()> {
            let mut file = own_file::open(&beside(&self.path, ".outcomes"), How::Write)?;
            file.write_all(LOST)?;
            file.sync_all()
        };
        let _ = note();
    }

    /// Whether an earlier process could not write down everything that came of what it sent.
    ///
    /// # Errors
    /// When that can't be read.
    pub fn has_lost_outcomes(&self) -> Result<bool, StateError> {
        match own_file::read(&beside(&self.path, ".outcomes"), KEPT.len() as u64) {
            Ok(said) => Ok(said == LOST),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// Takes the note back, when what it means is written down.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn settle_lost_outcomes(&mut self) -> Result<(), StateError> {
        own_file::remove(&beside(&self.path, ".outcomes")).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: io::Error) -> StateError {
        StateError::OpenFile { path: beside(&self.path, ".outcomes"), source: Arc::new(error) }
    }
}

/// Makes a file at least so long, and by a step longer where it has to grow; really written, since
/// a hole has no blocks. Only the `own` one: another process may write to the one that took its
/// place.
fn lengthen(path: &Path, own: Option<FileId>, least: u64, step: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut file = own_file::open(path, How::Append)?;
    if Some(FileId::of(&file)?) != own {
        return Err(io::Error::new(io::ErrorKind::NotFound, "another file took the place of the log"));
    }
    let length = file.metadata()?.len();
    if length >= least {
        return Ok(());
    }
    let mut missing = least.saturating_add(step).saturating_sub(length);
    while missing > 0 {
        let part = ZEROS.get(..usize::try_from(missing).unwrap_or(usize::MAX)).unwrap_or(&ZEROS);
        file.write_all(part)?;
        missing = missing.saturating_sub(part.len() as u64);
    }
    file.sync_all()
}

/// Makes the note, which says that nothing is lost, where there is none.
fn make_note(path: &Path) -> io::Result<()> {
    let mut file = own_file::open(path, How::Private)?;
    if file.metadata()?.len() < KEPT.len() as u64 {
        file.write_all(KEPT)?;
        file.sync_all()?;
    }
    Ok(())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::fs;

    use super::*;

    use jiff::Timestamp;

    use crate::model::change::{Change, Event};
    use crate::state::store::Batch;

    fn telling(bytes: usize) -> Vec<Change> {
        vec![Change::LogEvent { address: None, event: Event { kind: "test", message: "x".repeat(bytes) } }]
    }

    fn open(folder: &Path) -> Store {
        Store::open(&folder.join("s.db"), "r", Timestamp::UNIX_EPOCH).unwrap()
    }

    fn log(folder: &Path) -> u64 {
        fs::metadata(folder.join("s.db-wal")).unwrap().len()
    }

    #[test]
    fn what_is_written_after_room_was_made_lengthens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.make_room().unwrap();
        let before = log(folder.path());
        assert!(before > FREE_PAGES * 4096, "{before}");
        for _ in 0..40 {
            store.commit(&telling(60_000), Timestamp::UNIX_EPOCH).unwrap(); // 15 pages and more
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
            store.commit(&telling(10), Timestamp::UNIX_EPOCH).unwrap();
            store.make_room().unwrap();
        }
        assert_eq!(log(folder.path()), before);
    }

    #[test]
    fn a_failed_write_is_noted_only_where_something_may_have_been_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let fail = |store: &mut Store| {
            store.connection.pragma_update(None, "query_only", true).unwrap();
            let batch = Batch { changes: telling(10), now: Timestamp::UNIX_EPOCH };
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
