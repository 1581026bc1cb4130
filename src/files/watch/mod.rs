//! What changes on disk, told as hints: when to look, never what is there.
//!
//! Armed before the first look: what changes in between is told. Nothing is lost silently: an
//! overflow, an error of the system, too many changes at once all become one [`Hint::Rescan`]. What
//! Macadam writes itself and what reading makes is no hint. An idle watch has no timer and wakes
//! nobody. Where the system can't tell of all changes, the watch says so ([`Watcher::degraded`])
//! and goes on telling what it can; the caller looks at everything at an interval then, and
//! [`Watcher::recheck`] tries again.
//!
//! Not told by the system, and found by the next recheck only: a file system that is unmounted or
//! mounted over the project, a folder above the project that is renamed, a link in the middle of
//! the project's own path that is set anew.
//!
//! Must never read a file's content, decide when a file is settled (`settle`) or what to do about a
//! change.
//!
//! ```text
//! system -> callback -> queue (bounded) -> patrol (a thread) -> hints (bounded) -> the service
//! ```
//!
//! Read next: `patrol`, then `survey` (which folders), `targets` (what other paths mean), `hints`
//! and `queue` (the two boxes).

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

/// How many events wait for the patrol. A save makes some ten; what 1,000 files of a branch switch
/// make fits, at some 200 bytes each; of more than that every single one is of no use, and a rescan
/// follows.
const QUEUE: usize = 16_384;

/// Why the system doesn't tell of all changes. It may be asked again: [`Watcher::recheck`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Degraded {
    /// No more watches are to be had.
    #[error("the system's limit of watches is reached")]
    Limit,
    /// Somebody else may write there without this machine's knowing.
    #[error("`{}` is on a network file system ({kind}), where other machines' changes are not told", folder.display())]
    Network {
        /// The first such folder.
        folder: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// The project's folder is gone.
    #[error("there is no folder `{}`", root.display())]
    RootMissing {
        /// The folder.
        root: PathBuf,
    },
    /// The system refused for another reason.
    #[error("the system refuses to watch: {message}")]
    Refused {
        /// What it said.
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

/// No watch at all could be begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// Its thread could not be started.
    #[error("start the thread of the file watch")]
    Thread(#[source] io::Error),
}

/// A running watch. It ends when this is dropped: [`Hints::recv`] gives `None` then.
#[derive(Debug)]
pub(crate) struct Watcher {
    queue: Arc<Queue>,
    shared: Arc<HintState>,
}

impl Watcher {
    /// Begins to watch. When this returns, all that can be armed is armed, and what happens from
    /// here on comes to the [`Hints`] that belong to `sink`. Blocks while it goes through the
    /// folders.
    ///
    /// # Errors
    /// When its thread can't be started. Watches that are not to be had are no error: see
    /// [`Watcher::degraded`].
    pub(crate) fn start(targets: WatchTargets, sink: HintSink) -> Result<Self, WatchError> {
        Self::start_with(targets, sink, QUEUE)
    }

    /// The same with room for `most` events.
    fn start_with(targets: WatchTargets, sink: HintSink, most: usize) -> Result<Self, WatchError> {
        let (queue, shared) = (Arc::new(Queue::new(most)), sink.shared());
        let patrol = WatchLoop::new(queue.clone(), sink, targets);
        let thread = thread::Builder::new().name("file watch".to_owned());
        thread.spawn(move || patrol.run()).map_err(WatchError::Thread)?;
        Ok(Self { queue, shared })
    }

    /// Watches other targets from now on: when this returns, they are armed. Gives no hints of what
    /// is new; blocks as [`Watcher::start`] does.
    pub(crate) fn retarget(&self, targets: WatchTargets) {
        self.ask(|done| WatchCommand::Retarget(Box::new(targets), done));
    }

    /// Sees to it that everything is armed, also what the system could not tell or refused earlier.
    /// To be called before a look at everything at an interval; blocks as [`Watcher::start`]
    /// does.
    pub(crate) fn recheck(&self) {
        self.ask(WatchCommand::Recheck);
    }

    /// Why changes may go untold, if so. Whenever that changes, a rescan is told.
    pub(crate) fn degraded(&self) -> Option<Degraded> {
        self.shared.degraded()
    }

    /// Says that the file at `path`, manifest or lockfile, is now as Macadam itself wrote it: this
    /// state of it is no hint.
    pub(crate) fn wrote(&self, path: &Path) {
        self.shared.wrote(path);
    }

    fn ask(&self, order: impl FnOnce(mpsc::Sender<()>) -> WatchCommand) {
        let (done, wait) = mpsc::channel();
        self.queue.order(order(done));
        // An error means that the watch has ended, which the hints tell.
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
