//! What the service sees of the disk: hints of the watcher, and which files have settled.
//!
//! A hint says only that something is to be looked at; the look at manifest and files that follows
//! is the truth. Read next: `super`, the loop.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::files::{self, Debouncer, Degraded, FilesInProgress, Hint, HintSink, Hints, WatchTargets, Watcher};
use crate::model::desired::FileSelection;
use crate::model::path::ProjectPath;
use crate::platform::clock;

/// Hints, and what waits to settle.
pub(super) struct FileMonitor {
    hints: Hints,
    /// Until somebody watches.
    sink: Option<HintSink>,
    watcher: Option<Watcher>,
    debouncer: Debouncer,
    /// Watching failed at the start, with the reason.
    blind: Option<String>,
}

/// What a hint asks the loop to do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Wake {
    /// Look at manifest and files.
    pub(super) look: bool,
    /// Events may have been lost: every file is to be looked at.
    pub(super) rescan: Option<&'static str>,
    /// The watcher's queue was full.
    pub(super) overflow: bool,
}

impl FileMonitor {
    /// Opens eyes that watch nothing yet.
    pub(super) fn new() -> Self {
        let (sink, hints) = files::hints();
        Self { hints, sink: Some(sink), watcher: None, debouncer: Debouncer::default(), blind: None }
    }

    /// Watches what the manifest speaks of. Blocks: it arms watches.
    pub(super) fn turn_to(&mut self, project: &Project, selection: FileSelection) {
        let targets = targets(project, selection);
        let Some(watcher) = &self.watcher else {
            let sink = self.sink.take().unwrap_or_else(|| {
                let (sink, hints) = files::hints();
                self.hints = hints;
                sink
            });
            match Watcher::start(targets, sink) {
                Ok(watcher) => (self.watcher, self.blind) = (Some(watcher), None),
                Err(error) => self.blind = Some(error.to_string()),
            }
            return;
        };
        watcher.retarget(targets);
    }

    /// Arms again what could not be armed. Blocks.
    pub(super) fn recheck(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.recheck();
        }
    }

    /// Why watching doesn't tell everything, if so.
    pub(super) fn degraded(&self) -> Option<String> {
        let degraded = self.watcher.as_ref().and_then(Watcher::degraded);
        degraded.as_ref().map(Degraded::to_string).or_else(|| self.blind.clone())
    }

    /// Macadam itself wrote a file.
    pub(super) fn wrote(&self, path: &std::path::Path) {
        if let Some(watcher) = &self.watcher {
            watcher.wrote(path);
        }
    }

    /// Waits for hints.
    pub(super) async fn hints(&mut self) -> Vec<Hint> {
        match self.hints.recv().await {
            Some(hints) => hints,
            // Nobody watches: the interval remains.
            None => std::future::pending().await,
        }
    }

    /// Takes hints in.
    pub(super) fn take(&mut self, hints: Vec<Hint>) -> Wake {
        let mut wake = Wake::default();
        for hint in hints {
            match hint {
                Hint::Changed { path, kind } => self.debouncer.note(path, kind, clock::elapsed()),
                Hint::Manifest | Hint::Lockfile | Hint::Git => wake.look = true,
                Hint::Rescan { reason } => {
                    wake.overflow |= matches!(reason, files::Rescan::Overflow | files::Rescan::TooMany);
                    (wake.look, wake.rescan) = (true, Some(reason.name()));
                }
            }
        }
        wake
    }

    /// When something is to be settled; `None`: nothing waits.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        self.debouncer.next(now)
    }

    /// Looks whether files are whole, and says whether some have settled. Blocks: it reads files.
    pub(super) fn settle(&mut self, project: &Project) -> bool {
        for look in self.debouncer.looks(clock::elapsed()) {
            let whole = files::is_whole(&project.root, &look.path);
            self.debouncer.whole(&look, whole);
        }
        !self.debouncer.release(clock::elapsed()).is_empty()
    }

    /// The files that must not be looked at; `all`: no events tell of the others.
    pub(super) fn in_progress(&self, all: bool) -> FilesInProgress {
        let paths = self.debouncer.in_progress(clock::elapsed());
        if all {
            let now_ns = i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX);
            return FilesInProgress::without_events(paths, now_ns);
        }
        FilesInProgress { paths, ..FilesInProgress::default() }
    }

    /// Files that a look left for later without an event that tells of them.
    pub(super) fn wait_for(&mut self, waiting: BTreeSet<ProjectPath>) {
        let now = clock::elapsed();
        let known = self.debouncer.in_progress(now);
        for path in waiting.into_iter().filter(|path| !known.contains(path)) {
            self.debouncer.note(path, files::ChangeKind::Written, now);
        }
    }
}

fn targets(project: &Project, selection: FileSelection) -> WatchTargets {
    let git = git::own_folder(&project.root);
    WatchTargets {
        root: project.root.clone(),
        manifest: project.manifest.clone(),
        lockfile: project.lockfile.clone(),
        selection,
        git,
        own: vec![project.state.clone()],
    }
}
