//! Watches the disk and reports changes as hints: when to scan, never what is there.
//!
//! The watch is armed before the first scan, so it reports changes in between. Nothing is lost
//! silently: an overflow, an error of the system, or too many changes at once become one
//! [`Hint::Rescan`]. Macadam's own writes and any reading give no hint. An idle watch has no timer
//! and wakes nothing. Where the system can't report all changes, the watch says so
//! ([`Watcher::degraded`]) and still reports what it can. The caller then scans everything at an
//! interval, and [`Watcher::recheck`] tries again.
//!
//! The system doesn't report these, and only the next recheck finds them:
//! - a file system that is unmounted, or mounted over the project;
//! - a renamed folder above the project; on Windows and macOS, a renamed folder of the project;
//! - a new target of a link in the middle of the project's own path.
//!
//! The watch must never read a file's content, decide when a file is stable (`debounce`), or decide
//! what to do about a change.
//!
//! ```text
//! system -> callback -> queue (bounded) -> watcher (a thread) -> hints (bounded) -> the service
//! ```
//!
//! Read next: `watcher`, then `watched_folders` (which folders), `targets` (what other paths mean),
//! `hints` and `queue` (the two buffers).

mod hints;
mod queue;
mod targets;
mod watched_folders;
mod watcher;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

pub(crate) use hints::{Hint, HintSink, Hints, Rescan, hints};
pub(crate) use targets::WatchTargets;

use hints::HintState;
use queue::{Queue, WatchCommand};
use watcher::WatchLoop;

/// The most events that wait for the watcher. A save makes about ten. The events of 1,000 files of
/// a branch switch fit, at about 200 bytes each. If there are more, single events are useless, and
/// a rescan follows.
const QUEUE: usize = 16_384;

/// The reason why the system doesn't report all changes. [`Watcher::recheck`] tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Degraded {
    /// The system's limit of watches is reached.
    #[error("the system's limit of watches is reached")]
    Limit,
    /// Other machines may write there without this machine's knowledge.
    #[error("`{}` is on a network file system ({kind}), so changes by other machines aren't noticed", folder.display())]
    Network {
        /// The first such folder.
        folder: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The project's folder doesn't exist.
    #[error("there is no folder `{}`", root.display())]
    RootMissing {
        /// The folder.
        root: PathBuf,
    },
    /// The system refused for another reason.
    #[error("the system refuses to watch: {message}")]
    Refused {
        /// The system's message.
        message: String,
    },
}

impl Degraded {
    fn of(error: &notify::Error) -> Self {
        /// Out of descriptors, or of inotify instances (`inotify_init(2)`).
        const EMFILE: i32 = 24;
        match &error.kind {
            notify::ErrorKind::MaxFilesWatch => Self::Limit,
            notify::ErrorKind::Io(source) if source.raw_os_error() == Some(EMFILE) => Self::Limit,
            _ => Self::Refused { message: error.to_string() },
        }
    }
}

/// The watch could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// Its thread could not be started.
    #[error("start the thread of the file watch")]
    Thread(#[source] io::Error),
}

/// A running watch. It ends when this is dropped: [`Hints::recv`] then returns `None`.
#[derive(Debug)]
pub(crate) struct Watcher {
    queue: Arc<Queue>,
    shared: Arc<HintState>,
}

impl Watcher {
    /// Starts to watch. When this returns, everything possible is armed, and all later events come
    /// to the [`Hints`] that belong to `sink`. Blocks while it goes through the folders.
    ///
    /// # Errors
    /// When its thread can't be started. Folders that can't be watched are no error: see
    /// [`Watcher::degraded`].
    pub(crate) fn start(targets: WatchTargets, sink: HintSink) -> Result<Self, WatchError> {
        Self::start_with(targets, sink, QUEUE)
    }

    /// The same with a queue for `most` events.
    fn start_with(targets: WatchTargets, sink: HintSink, most: usize) -> Result<Self, WatchError> {
        let (queue, shared) = (Arc::new(Queue::new(most)), sink.shared());
        let watch_loop = WatchLoop::new(queue.clone(), sink, targets);
        let thread = thread::Builder::new().name("file watch".to_owned());
        thread.spawn(move || watch_loop.run()).map_err(WatchError::Thread)?;
        Ok(Self { queue, shared })
    }

    /// Watches other targets from now on; they are armed when this returns. Gives no hints about
    /// new files. Blocks like [`Watcher::start`].
    pub(crate) fn retarget(&self, targets: WatchTargets) {
        self.request(|done| WatchCommand::Retarget(Box::new(targets), done));
    }

    /// Arms everything again, including anything that the system could not report or refused
    /// earlier. Call it before a periodic scan. Blocks like [`Watcher::start`].
    pub(crate) fn recheck(&self) {
        self.request(WatchCommand::Recheck);
    }

    /// Returns why the watch may miss changes, if it may. Each change of this reason gives a
    /// rescan.
    pub(crate) fn degraded(&self) -> Option<Degraded> {
        self.shared.degraded()
    }

    /// Records that Macadam itself wrote the file at `path`, the manifest or the lockfile. Its
    /// present state gives no hint.
    pub(crate) fn wrote(&self, path: &Path) {
        self.shared.wrote(path);
    }

    fn request(&self, command: impl FnOnce(mpsc::Sender<()>) -> WatchCommand) {
        let (done, wait) = mpsc::channel();
        self.queue.send(command(done));
        // An error means that the watch has ended, which the hints report.
        let _ended = wait.recv().is_err();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
