//! The service's view of the disk: hints of the watcher, and the files that are still being
//! written.
//!
//! A hint only asks for a scan of manifest and files; the scan is the truth. Read next: `super`,
//! the loop.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::files::{self, Debouncer, Degraded, FilesInProgress, Hint, HintSink, Hints, WatchTargets, Watcher};
use crate::model::desired::FileSelection;
use crate::model::path::ProjectPath;
use crate::platform::clock;

/// Receives hints, and waits for files to settle.
pub(super) struct FileMonitor {
    hints: Hints,
    /// The watcher's end of the channel, until the watcher starts.
    sink: Option<HintSink>,
    watcher: Option<Watcher>,
    debouncer: Debouncer,
    /// Why the watcher could not start.
    blind: Option<String>,
}

/// The work that hints ask of the loop.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Wake {
    /// Scan manifest and files.
    pub(super) scan: bool,
    /// The lockfile was written, by whomever.
    pub(super) lockfile: bool,
    /// Events may have been lost, for this reason: scan every file.
    pub(super) rescan: Option<&'static str>,
    /// The watcher's queue was full.
    pub(super) overflow: bool,
}

impl FileMonitor {
    /// Creates a monitor that watches nothing yet.
    pub(super) fn new() -> Self {
        let (sink, hints) = files::hints();
        Self { hints, sink: Some(sink), watcher: None, debouncer: Debouncer::default(), blind: None }
    }

    /// Watches the files that the manifest selects. Blocks: it arms watches.
    pub(super) fn watch(&mut self, project: &Project, selection: FileSelection) {
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

    /// Tries again to arm failed watches. Blocks.
    pub(super) fn recheck(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.recheck();
        }
    }

    /// Returns why some changes may go unnoticed, if so.
    pub(super) fn degraded(&self) -> Option<String> {
        let degraded = self.watcher.as_ref().and_then(Watcher::degraded);
        degraded.as_ref().map(Degraded::to_string).or_else(|| self.blind.clone())
    }

    /// Reports a file that Macadam itself wrote.
    pub(super) fn wrote(&self, path: &std::path::Path) {
        if let Some(watcher) = &self.watcher {
            watcher.wrote(path);
        }
    }

    /// Waits for hints.
    pub(super) async fn hints(&mut self) -> Vec<Hint> {
        match self.hints.recv().await {
            Some(hints) => hints,
            // Without a watcher, the interval remains.
            None => std::future::pending().await,
        }
    }

    /// Records hints.
    pub(super) fn take(&mut self, hints: Vec<Hint>) -> Wake {
        let mut wake = Wake::default();
        for hint in hints {
            match hint {
                Hint::Changed { path, kind } => self.debouncer.note(path, kind, clock::elapsed()),
                Hint::Manifest | Hint::Git => wake.scan = true,
                Hint::Lockfile => wake.lockfile = true,
                Hint::Rescan { reason } => {
                    wake.overflow |= matches!(reason, files::Rescan::Overflow | files::Rescan::TooMany);
                    (wake.scan, wake.rescan) = (true, Some(reason.name()));
                }
            }
        }
        wake
    }

    /// Returns when a file may settle; `None` if none waits.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        self.debouncer.next(now)
    }

    /// Checks whether files are complete, and returns those that have settled. Blocks: it reads files.
    pub(super) fn settle(&mut self, project: &Project) -> BTreeSet<ProjectPath> {
        for look in self.debouncer.looks(clock::elapsed()) {
            let whole = files::is_whole(&project.root, &look.path);
            self.debouncer.whole(&look, whole);
        }
        self.debouncer.release(clock::elapsed())
    }

    /// Returns the files that must not be read now. With `all`, the scan also covers files without
    /// events.
    pub(super) fn in_progress(&self, all: bool) -> FilesInProgress {
        let paths = self.debouncer.in_progress(clock::elapsed());
        if all {
            let now_ns = clock::nanoseconds();
            return FilesInProgress::without_events(paths, now_ns);
        }
        FilesInProgress { paths, ..FilesInProgress::default() }
    }

    /// Adds files that a scan found being written, without an event about them.
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
        rehearsal_pins: project.rehearsal_pins.clone(),
        lockfile: project.lockfile.clone(),
        selection,
        git,
        own: vec![project.state.clone()],
    }
}
