//! The queue between the system's callback and the watcher. The callback only appends: any longer
//! work there loses events in the kernel.
//!
//! The queue is bounded. An event that doesn't fit is dropped together with everything before it. A
//! flag records this, and stays until it is taken.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use super::{Rescan, WatchTargets};
use crate::files::debounce::ChangeKind;

/// An event from the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) path: PathBuf,
    pub(super) kind: ChangeKind,
}

/// A request to the watcher, which answers through the sender when it is done.
#[derive(Debug)]
pub(super) enum WatchCommand {
    Retarget(Box<WatchTargets>, Sender<()>),
    Recheck(Sender<()>),
}

#[derive(Debug, Default)]
pub(super) struct EventBatch {
    pub(super) events: Vec<Raw>,
    /// Whether events before these are missing, and why.
    pub(super) lost: Option<Rescan>,
    pub(super) commands: Vec<WatchCommand>,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<(EventBatch, bool)>,
    wake: Condvar,
    capacity: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), capacity }
    }

    fn state(&self) -> MutexGuard<'_, (EventBatch, bool)> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event or error from the system's callback.
    pub(super) fn push(&self, event: notify::Result<notify::Event>) {
        let lost = match event {
            Err(_) => Some(Rescan::WatchFailed),
            Ok(event) if event.need_rescan() => Some(Rescan::Overflow),
            Ok(event) => {
                let Some(kind) = kind_of(event.kind) else { return };
                let mut state = self.state();
                let batch = &mut state.0;
                if batch.events.len() + event.paths.len() <= self.capacity {
                    batch.events.extend(event.paths.into_iter().map(|path| Raw { path, kind }));
                    None
                } else {
                    Some(Rescan::Overflow)
                }
            }
        };
        if let Some(reason) = lost {
            let mut state = self.state();
            state.0.events.clear();
            state.0.lost.get_or_insert(reason);
        }
        self.wake.notify_one();
    }

    /// Sends a command. Once the queue is closed, the command and its sender are dropped.
    pub(super) fn send(&self, command: WatchCommand) {
        let mut state = self.state();
        let (batch, closed) = &mut *state;
        if !*closed {
            batch.commands.push(command);
            self.wake.notify_one();
        }
    }

    /// Ends the watcher.
    pub(super) fn close(&self) {
        *self.state() = (EventBatch::default(), true);
        self.wake.notify_one();
    }

    /// Waits for events and takes all of them; `None` once the queue is closed.
    pub(super) fn wait(&self) -> Option<EventBatch> {
        let mut state = self.state();
        loop {
            let (batch, closed) = &mut *state;
            if *closed {
                return None;
            }
            if !batch.events.is_empty() || batch.lost.is_some() || !batch.commands.is_empty() {
                return Some(std::mem::take(batch));
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Returns the kind of change that an event reports; `None` for events that reading causes too, and
/// for those that repeat other events.
fn kind_of(kind: EventKind) -> Option<ChangeKind> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(ChangeKind::Closed),
        // Opened and read, also by Macadam itself.
        EventKind::Access(_) => None,
        EventKind::Create(_) => Some(ChangeKind::Created),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(ChangeKind::Removed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(ChangeKind::Closed),
        // Repeats the two events above.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(ChangeKind::Touched),
        // One of the two names of a rename, and it is unknown which: the watcher checks.
        EventKind::Modify(ModifyKind::Name(RenameMode::Any | RenameMode::Other)) => Some(ChangeKind::Created),
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Other) => Some(ChangeKind::Written),
        EventKind::Any | EventKind::Other => Some(ChangeKind::Written),
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag};

    use super::*;

    fn event(kind: EventKind, path: &str) -> notify::Event {
        notify::Event::new(kind).add_path(path.into())
    }

    #[test]
    fn reading_makes_no_events() {
        let queue = Queue::new(10);
        for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Read, AccessKind::Close(AccessMode::Read)] {
            queue.push(Ok(event(EventKind::Access(kind), "a")));
        }
        queue.push(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "b")));
        assert_eq!(queue.wait().unwrap().events, [Raw { path: "b".into(), kind: ChangeKind::Closed }]);
    }

    #[test]
    fn an_overflow_is_reported_exactly_once() {
        let queue = Queue::new(2);
        let create = EventKind::Create(CreateKind::File);
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for (kind, path) in [(create, "a"), (write, "a"), (write, "b"), (write, "c")] {
            queue.push(Ok(event(kind, path)));
        }
        let batch = queue.wait().unwrap();
        assert_eq!((batch.events.len(), batch.lost), (1, Some(Rescan::Overflow)));
        queue.push(Ok(notify::Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        queue.push(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        assert_eq!(queue.wait().unwrap().lost, Some(Rescan::Overflow));
        queue.push(Err(notify::Error::generic("x")));
        assert_eq!(queue.wait().unwrap().lost, Some(Rescan::WatchFailed));
        queue.close();
        assert!(queue.wait().is_none());
    }
}
