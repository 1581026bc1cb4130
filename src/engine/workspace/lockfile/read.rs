//! Reads the lockfile: its facts are added to the state, with those that it lost and git still has.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::content::{in_lockfile, parse};
use super::{KeepError, Lockfile};
use crate::engine::workspace::finished_uploads::FinishedUploads;
use crate::engine::workspace::git;
use crate::engine::workspace::lost_entries::{self, Compared};
use crate::engine::workspace::missing_lockfile;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::files;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::event::EventKind;
use crate::model::file::Fingerprint;
use crate::model::missing_lockfile::MissingLockfile;
use crate::platform::{clock, fingerprint};
use crate::state::lockfile::{self, Digests, Ledger, NextText, finished};

/// A tick of the clock that a file's times are of, at most: 10 milliseconds on Unix, and 16 on
/// Windows. A file system that keeps whole seconds has longer ones.
const TICK_NS: i64 = 20_000_000;

/// What the file system said of the lockfile when its content was known.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::workspace) struct Stamp {
    state: Fingerprint,
    /// Every change since changes what the file system says.
    shows_changes: bool,
}

impl Stamp {
    /// Returns what the file system said at `looked_at_ns`, before it was known what the file holds.
    pub(in crate::engine::workspace) fn of(state: Fingerprint, looked_at_ns: i64) -> Self {
        Self { state, shows_changes: files::is_unchanged_since(&state, looked_at_ns) }
    }

    /// Returns what the file system says now; `None` if there is no such file. Its content has to be
    /// read after that.
    pub(super) fn now(path: &Path) -> Option<Self> {
        let looked_at_ns = clock::nanoseconds();
        Some(Self::of(fingerprint::of_file(path)?, looked_at_ns))
    }

    /// Returns what the file system says of a file that was written just now with this text, once
    /// every later change shows; `None` if it has another text by then, or that can't be told. Blocks
    /// for a tick.
    ///
    /// In the tick in which the file got its name, another program may write into it and restore the
    /// time of modification, without a trace. So it is compared after that tick, which takes a
    /// fraction of the time to sum it up.
    pub(super) fn written(path: &Path, text: &NextText) -> Option<Self> {
        let age = |state: &Fingerprint| clock::nanoseconds().saturating_sub(state.last_change_ns());
        let left = TICK_NS.saturating_sub(age(&fingerprint::of_file(path)?)).clamp(0, TICK_NS);
        std::thread::sleep(Duration::from_nanos(u64::try_from(left).unwrap_or_default()));
        let state = fingerprint::of_file(path)?;
        let is_over = age(&state) >= TICK_NS && state.last_change_ns() % 1_000_000_000 != 0;
        (is_over && lockfile::has_text(path, text)).then_some(Self { state, shows_changes: true })
    }

    /// Returns whether the file is certainly the one whose content was known.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.shows_changes && fingerprint::of_file(path).as_ref() == Some(&self.state)
    }
}

impl Lockfile {
    /// Records what the file says since the last read. A missing file says that nothing is known.
    ///
    /// # Errors
    /// When it can't be read or used, or the state can't be written.
    pub async fn read(&mut self, state_cache: &StateCache) -> Result<(), KeepError> {
        let stamp = Stamp::now(&self.project.lockfile);
        let bytes = lockfile::read(&self.project.lockfile)?;
        let fingerprint = bytes.as_deref().map(lockfile::fingerprint);
        self.take_in(state_cache, bytes, fingerprint).await?;
        self.stamp = stamp;
        Ok(())
    }

    /// Returns whether the file is as it was last read or written. Reads it only where its metadata
    /// can't tell.
    pub(crate) fn is_untouched(&mut self) -> bool {
        let path = &self.project.lockfile;
        if self.stamp.is_some_and(|stamp| stamp.holds(path)) {
            return true;
        }
        let stamp = Stamp::now(path);
        let is_same = !self.is_changed().unwrap_or(true);
        self.stamp = stamp.filter(|_| is_same);
        is_same
    }

    async fn take_in(
        &mut self,
        state_cache: &StateCache,
        bytes: Option<Vec<u8>>,
        fingerprint: Option<String>,
    ) -> Result<(), KeepError> {
        self.notice_loss(state_cache, bytes.as_deref(), fingerprint.as_deref()).await?;
        self.missing = if bytes.is_none() { self.find_missing().await } else { self.written_anew() };
        self.length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match &bytes {
            None => self.remember_what_it_had(state_cache).await?,
            Some(_) if self.known != fingerprint => self.had.clear(),
            Some(_) => {}
        }
        if bytes.is_none() {
            self.digests = Some(Arc::new(Digests::of(&Ledger::new(self.remote.clone()))));
        }
        let generation = state_cache.generation();
        let is_same = self.known == fingerprint && self.generation == generation;
        self.head = git::head(&self.project.root);
        let is_compared = self.known == fingerprint && self.compared.as_ref() == Some(&self.head);
        if is_same && (is_compared || bytes.is_none()) {
            return Ok(());
        }
        let mut ledger = parse(&self.project, &self.remote, bytes.as_deref())?;
        self.digests = Some(Arc::new(Digests::of(&ledger)));
        let mut compared = Compared::default();
        if let Some(bytes) = bytes {
            (ledger, compared) = self.take_back(state_cache, bytes, ledger).await?;
        }
        // A state that is ahead of a file that it knows learns nothing from it.
        self.took_back |= compared.is_changed;
        if !is_same || compared.is_changed {
            state_cache.commit_with(|recorded| lockfile::import(recorded, &ledger, clock::now())).await?;
        }
        if !compared.archivings.is_empty() {
            state_cache.commit_with(|recorded| lockfile::ask_about(recorded, &compared.archivings)).await?;
        }
        self.close_finished(state_cache, &ledger).await?;
        self.generation = generation;
        if self.known != fingerprint {
            self.known = fingerprint;
            self.made_from = None;
            self.remember(state_cache).await?;
        }
        if self.compared != compared.at {
            self.compared = compared.at;
            let proven = self.compared.clone().filter(|_| !compared.failed);
            state_cache.store().set_lockfile_compared(proven).await.map_err(StateCacheError::from)?;
        }
        Ok(())
    }

    /// Adds to `ledger`, which the file holds as `bytes`, entries that the file lost and git still
    /// has.
    async fn take_back(
        &self,
        state_cache: &StateCache,
        bytes: Vec<u8>,
        mut ledger: Ledger,
    ) -> Result<(Ledger, Compared), StateCacheError> {
        let (project, remote, name) = (self.project.clone(), self.remote.clone(), self.project.lockfile_name());
        let looked = tokio::task::spawn_blocking(move || {
            let compared = lost_entries::take_back(&project, &remote, &bytes, &mut ledger);
            (ledger, compared)
        });
        let (ledger, compared) = looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        for address in &compared.lost {
            tracing::warn!(%address, "{name} had lost its entry, which git still has: it is taken from there and written again");
        }
        let tell = |address: Address| Change::LogEvent {
            address: Some(address),
            event: EventKind::EntryTakenBack { lockfile: name.clone() },
        };
        state_cache.commit(compared.lost.iter().cloned().map(tell).collect()).await?;
        Ok((ledger, compared))
    }

    /// Closes uploads in doubt that another machine finished, as git's history of the lockfile shows.
    async fn close_finished(&self, state_cache: &StateCache, ledger: &Ledger) -> Result<(), StateCacheError> {
        let in_question = state_cache.read(|recorded| finished::in_question(recorded, ledger));
        let over = self.finished_uploads().find(in_question).await;
        if !over.is_empty() {
            state_cache.commit_with(|recorded| finished::close(recorded, &over)).await?;
        }
        Ok(())
    }

    /// Returns what finds uploads that another machine finished.
    pub(in crate::engine) fn finished_uploads(&self) -> FinishedUploads {
        FinishedUploads::new(&self.project, &self.remote)
    }

    /// Remembers what the missing file had, until there is one again: the state forgets that next, and
    /// this process may end before it writes a new one.
    async fn remember_what_it_had(&mut self, state_cache: &StateCache) -> Result<(), StateCacheError> {
        let had = state_cache.read(in_lockfile);
        if !had.is_subset(&self.had) {
            state_cache.store().add_lockfile_had(had.clone()).await?;
            self.had.extend(had);
        }
        Ok(())
    }

    /// Records a loss. It stays recorded even if this process writes a new file, until someone puts
    /// another file there, checks out a commit that had this one before, or agrees to the new one.
    async fn notice_loss(
        &mut self,
        state_cache: &StateCache,
        bytes: Option<&[u8]>,
        found: Option<&str>,
    ) -> Result<(), StateCacheError> {
        let lost_since = match (bytes, self.lost_since) {
            _ if self.accepted => None,
            (None, since) => since.or_else(|| self.known.as_ref().map(|_| clock::now())),
            (Some(_), None) => None,
            (Some(bytes), Some(since)) => {
                let store = state_cache.store();
                let is_ours = self.known.as_deref() == found || store.lockfile_coming().await?.as_deref() == found;
                let is_still_lost = is_ours && !self.is_of_before(bytes, since).await;
                is_still_lost.then_some(since)
            }
        };
        if std::mem::replace(&mut self.lost_since, lost_since) != lost_since {
            state_cache.store().set_lockfile_lost_since(lost_since).await?;
        }
        Ok(())
    }

    /// Returns whether git had the file before it was lost. Runs on another thread, since it runs git.
    async fn is_of_before(&self, bytes: &[u8], lost_since: Timestamp) -> bool {
        let (project, bytes) = (self.project.clone(), bytes.to_vec());
        let looked = tokio::task::spawn_blocking(move || missing_lockfile::is_of_before(&project, &bytes, lost_since));
        looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// The evidence that stays once there is a file again.
    pub(super) fn written_anew(&self) -> Option<MissingLockfile> {
        self.lost_since.map(|_| missing_lockfile::written_anew(&self.project))
    }

    /// Runs on another thread, since it runs git.
    async fn find_missing(&self) -> Option<MissingLockfile> {
        let (project, remote, is_lost) = (self.project.clone(), self.remote.clone(), self.lost_since.is_some());
        let looked = tokio::task::spawn_blocking(move || missing_lockfile::find(&project, &remote, is_lost));
        looked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    async fn remember(&self, state_cache: &StateCache) -> Result<(), StateCacheError> {
        Ok(state_cache.store().set_lockfile_fingerprint(self.known.clone()).await?)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::fs::{FileTimes, OpenOptions};
    use std::io::Write as _;

    use super::*;
    use crate::platform::own_file::Access;

    fn text(text: &str) -> NextText {
        NextText::whole(text.as_bytes().to_vec())
    }

    fn replaced(path: &Path) -> NextText {
        let ours = text("ours");
        assert!(lockfile::replace_if(path, Access::Usual, &ours, || Ok(true)).unwrap());
        ours
    }

    /// Writes into the file, and restores its time of modification.
    fn write_unseen(path: &Path) {
        let before = std::fs::metadata(path).unwrap().modified().unwrap();
        let mut same_length = OpenOptions::new().write(true).open(path).unwrap();
        same_length.write_all(b"them").unwrap();
        same_length.set_times(FileTimes::new().set_modified(before)).unwrap();
    }

    #[test]
    fn a_file_of_ours_is_known_by_its_metadata_until_somebody_writes_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets.lock.toml");
        let ours = replaced(&path);
        let stamp = Stamp::written(&path, &ours).unwrap();
        assert!(stamp.holds(&path), "at once");
        #[cfg(unix)]
        {
            write_unseen(&path);
            assert!(!stamp.holds(&path));
        }
    }

    /// The clock that the file's times are of may not have moved since it got its name.
    #[test]
    fn what_was_written_into_it_right_after_it_got_its_name_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets.lock.toml");
        let ours = replaced(&path);
        write_unseen(&path);
        assert!(Stamp::written(&path, &ours).is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(Stamp::written(&path, &ours).is_none());
    }

    #[test]
    fn a_text_is_the_same_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets.lock.toml");
        let long = "0123456789".repeat(30_000);
        for (content, wanted) in [("ours", true), ("our", false), ("ours and more", false), ("", false)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(lockfile::has_text(&path, &text("ours")), wanted, "{content}");
            assert!(!lockfile::has_text(&path, &text(&long)), "{content}");
        }
        std::fs::write(&path, &long).unwrap();
        assert!(lockfile::has_text(&path, &text(&long)));
        std::fs::write(&path, long.replacen('9', "8", 1)).unwrap();
        assert!(!lockfile::has_text(&path, &text(&long)));
    }
}
