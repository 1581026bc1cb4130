//! Hints from the watch to the service, in a buffer of bounded size. Events of one file become one
//! hint, and too many become a rescan, so nothing is ever lost silently.
//!
//! A receiver sleeps while it waits: nothing in this module has a timer. Read next: `watcher`,
//! which fills the buffer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Degraded;
use crate::files::debounce::ChangeKind;
use crate::model::file::Fingerprint;
use crate::model::path::ProjectPath;
use crate::platform::fingerprint;

/// The most changed files between two reads of the buffer. More become one rescan: a full scan
/// costs about as much, and the buffer stays below a megabyte.
const MOST_CHANGED: usize = 4096;

/// A reason for the service to scan. Only the disk says what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Something happened to a file that the manifest names.
    Changed {
        /// The file.
        path: ProjectPath,
        /// The last thing that happened to it.
        kind: ChangeKind,
    },
    /// The manifest was written, replaced or removed.
    Manifest,
    /// Another program wrote the lockfile.
    Lockfile,
    /// Git started or finished an operation.
    Git,
    /// Anything may have changed: everything must be scanned.
    Rescan {
        /// Why.
        reason: Rescan,
    },
}

/// The reason for a rescan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rescan {
    /// The system's queue or ours was full, so events are lost.
    Overflow,
    /// More files changed at once than are reported one by one.
    TooMany,
    /// The system reported an error of the watch.
    WatchFailed,
    /// A folder was removed, replaced or moved, perhaps for a moment. Its events in the meantime
    /// were not reported.
    FolderGone,
    /// The watch became worse or better: see [`Watcher::degraded`](super::Watcher::degraded).
    Degraded,
}

impl Rescan {
    /// Returns the reason as one word, for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::TooMany => "too_many",
            Self::WatchFailed => "watch_failed",
            Self::FolderGone => "folder_gone",
            Self::Degraded => "degraded",
        }
    }
}

impl fmt::Display for Rescan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Debug, Default)]
struct Pending {
    changed: BTreeMap<ProjectPath, ChangeKind>,
    /// Places where the manifest changed; links may lead to it.
    manifest: BTreeSet<PathBuf>,
    lockfile: BTreeSet<PathBuf>,
    git: bool,
    rescan: Option<Rescan>,
    degraded: Option<Degraded>,
    /// The state of each file as Macadam itself wrote it last.
    own: BTreeMap<PathBuf, Fingerprint>,
    closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct HintState {
    pending: Mutex<Pending>,
    wake: Notify,
}

impl HintState {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // No code panics while it holds the lock, and every state of the buffer is a valid one.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn degraded(&self) -> Option<Degraded> {
        self.pending().degraded.clone()
    }

    pub(super) fn wrote(&self, path: &Path) {
        if let Some((path, state)) = state_of(path) {
            self.pending().own.insert(path, state);
        }
    }
}

/// Returns the file behind a path, and its fingerprint.
fn state_of(path: &Path) -> Option<(PathBuf, Fingerprint)> {
    let real = path.canonicalize().ok()?;
    let state = fingerprint::at(&real, &real.metadata().ok()?);
    Some((real, state))
}

/// Creates the buffer for hints. [`Watcher::start`](super::Watcher::start) takes the sink that
/// fills it.
pub(crate) fn hints() -> (HintSink, Hints) {
    let shared = Arc::new(HintState::default());
    (HintSink(shared.clone()), Hints(shared))
}

/// The watch's end of the buffer.
#[derive(Debug)]
pub(crate) struct HintSink(Arc<HintState>);

impl HintSink {
    pub(super) fn shared(&self) -> Arc<HintState> {
        self.0.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.0.pending());
        self.0.wake.notify_one();
    }

    pub(super) fn changed(&self, path: ProjectPath, kind: ChangeKind) {
        self.change(|pending| {
            let known = pending.changed.entry(path).or_insert(kind);
            // A write or a close says more than a change of times.
            if kind != ChangeKind::Touched {
                *known = kind;
            }
            if pending.changed.len() > MOST_CHANGED {
                pending.changed.clear();
                pending.rescan.get_or_insert(Rescan::TooMany);
            }
        });
    }

    /// Reports a file that was not known before. An event about it says more.
    pub(super) fn found(&self, path: ProjectPath, kind: ChangeKind) {
        if !self.0.pending().changed.contains_key(&path) {
            self.changed(path, kind);
        }
    }

    pub(super) fn manifest(&self, place: PathBuf) {
        self.change(|pending| pending.manifest.extend([place]));
    }

    pub(super) fn lockfile(&self, place: PathBuf) {
        self.change(|pending| pending.lockfile.extend([place]));
    }

    pub(super) fn git(&self) {
        self.change(|pending| pending.git = true);
    }

    /// Requests a rescan. The first reason stays until it is taken.
    pub(super) fn rescan(&self, reason: Rescan) {
        self.change(|pending| pending.rescan = pending.rescan.or(Some(reason)));
    }

    pub(super) fn set_degraded(&self, degraded: Option<Degraded>) {
        self.0.pending().degraded = degraded;
    }
}

impl Drop for HintSink {
    fn drop(&mut self) {
        self.change(|pending| pending.closed = true);
    }
}

/// The service's end of the buffer.
#[derive(Debug)]
pub(crate) struct Hints(Arc<HintState>);

impl Hints {
    /// Waits for hints, and takes all of them: rescan, git, manifest and lockfile first, then the
    /// files in the order of their paths. Returns `None` once the watch has ended and all hints are
    /// taken. Dropping the future loses nothing.
    pub(crate) async fn recv(&mut self) -> Option<Vec<Hint>> {
        loop {
            let hints = self.take();
            if !hints.is_empty() {
                return Some(hints);
            }
            if self.0.pending().closed {
                return None;
            }
            self.0.wake.notified().await;
        }
    }

    /// Takes all hints without waiting; empty when there are none.
    pub(crate) fn take(&mut self) -> Vec<Hint> {
        let mut pending = self.0.pending();
        let rescan = pending.rescan.take();
        let git = std::mem::take(&mut pending.git);
        let manifest = std::mem::take(&mut pending.manifest);
        let lockfile = std::mem::take(&mut pending.lockfile);
        let changed = std::mem::take(&mut pending.changed);
        // Checked here and not when the event came: the file's writer had no time yet to call
        // `wrote`.
        let foreign = |places: BTreeSet<PathBuf>| {
            places.iter().any(|place| match state_of(place) {
                Some((real, state)) => pending.own.get(&real) != Some(&state),
                None => true,
            })
        };
        let (manifest, lockfile) = (foreign(manifest), foreign(lockfile));
        let mut hints = Vec::new();
        hints.extend(rescan.map(|reason| Hint::Rescan { reason }));
        hints.extend(git.then_some(Hint::Git));
        hints.extend(manifest.then_some(Hint::Manifest));
        hints.extend(lockfile.then_some(Hint::Lockfile));
        hints.extend(changed.into_iter().map(|(path, kind)| Hint::Changed { path, kind }));
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, path};

    #[test]
    fn events_of_a_file_become_one_and_too_many_become_a_rescan() {
        let (sink, mut hints) = hints();
        for kind in [ChangeKind::Created, ChangeKind::Written, ChangeKind::Closed, ChangeKind::Touched] {
            sink.changed(path("a"), kind);
        }
        sink.git();
        sink.git();
        assert_eq!(hints.take(), [Hint::Git, Hint::Changed { path: path("a"), kind: ChangeKind::Closed }]);
        assert_eq!(hints.take(), []);

        sink.rescan(Rescan::Overflow);
        sink.rescan(Rescan::FolderGone);
        for index in 0..=MOST_CHANGED {
            sink.changed(path(&format!("f{index}")), ChangeKind::Closed);
        }
        sink.changed(path("late"), ChangeKind::Written);
        let late = Hint::Changed { path: path("late"), kind: ChangeKind::Written };
        assert_eq!(hints.take(), [Hint::Rescan { reason: Rescan::Overflow }, late]);
    }

    #[test]
    fn macadams_own_writes_give_no_hint_until_another_program_writes() {
        let folder = Folder::with(&[("lock", b"ours")]);
        let place = folder.path().join("lock");
        let (sink, mut hints) = hints();
        sink.lockfile(place.clone());
        sink.shared().wrote(&place);
        assert_eq!(hints.take(), []);
        folder.write("lock", b"somebody else's");
        sink.lockfile(place.clone());
        assert_eq!(hints.take(), [Hint::Lockfile]);
        sink.shared().wrote(&place);
        folder.remove("lock");
        sink.lockfile(place);
        assert_eq!(hints.take(), [Hint::Lockfile]);
    }

    #[tokio::test]
    async fn a_waiting_receiver_wakes_for_a_hint_and_at_the_end() {
        let (sink, mut hints) = hints();
        let waiting = tokio::spawn(async move { (hints.recv().await, hints.recv().await) });
        tokio::task::yield_now().await;
        sink.git();
        drop(sink);
        assert_eq!(waiting.await.unwrap(), (Some(vec![Hint::Git]), None));
    }
}
