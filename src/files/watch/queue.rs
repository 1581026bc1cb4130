//! What waits between the system's callback and the patrol. The callback only appends: whatever
//! takes longer there loses events in the kernel.
//!
//! Bounded: what doesn't fit is forgotten together with everything before it, and one flag says so,
//! which stays until it is taken.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use super::{Rescan, WatchTargets};
use crate::files::debounce::ChangeKind;

/// An event as the system tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) path: PathBuf,
    pub(super) kind: ChangeKind,
}

/// What the patrol is asked for; the sender tells when it is done.
#[derive(Debug)]
pub(super) enum WatchCommand {
    Retarget(Box<WatchTargets>, Sender<()>),
    Recheck(Sender<()>),
}

#[derive(Debug, Default)]
pub(super) struct EventBatch {
    pub(super) events: Vec<Raw>,
    /// Events are missing before the ones here.
    pub(super) lost: Option<Rescan>,
    pub(super) orders: Vec<WatchCommand>,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<(EventBatch, bool)>,
    wake: Condvar,
    most: usize,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), most }
    }

    fn state(&self) -> MutexGuard<'_, (EventBatch, bool)> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the system reports: the callback.
    pub(super) fn push(&self, event: notify::Result<notify::Event>) {
        let lost = match event {
            Err(_) => Some(Rescan::WatchFailed),
            Ok(event) if event.need_rescan() => Some(Rescan::Overflow),
            Ok(event) => {
                let Some(kind) = kind_of(event.kind) else { return };
                let mut state = self.state();
                let batch = &mut state.0;
                if batch.events.len() + event.paths.len() <= self.most {
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

    /// Gives an order. Once the queue is closed it is dropped, and its sender with it.
    pub(super) fn order(&self, order: WatchCommand) {
        let mut state = self.state();
        let (batch, closed) = &mut *state;
        if !*closed {
            batch.orders.push(order);
            self.wake.notify_one();
        }
    }

    /// No more is wanted, or nobody is there to do it: the patrol ends.
    pub(super) fn close(&self) {
        *self.state() = (EventBatch::default(), true);
        self.wake.notify_one();
    }

    /// Waits for something, and takes all of it; `None` once the queue is closed.
    pub(super) fn wait(&self) -> Option<EventBatch> {
        let mut state = self.state();
        loop {
            let (batch, closed) = &mut *state;
            if *closed {
                return None;
            }
            if !batch.events.is_empty() || batch.lost.is_some() || !batch.orders.is_empty() {
                return Some(std::mem::take(batch));
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What an event says of a file; `None` for what reading makes too, and for what other events tell
/// as well.
fn kind_of(kind: EventKind) -> Option<ChangeKind> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(ChangeKind::Closed),
        // Opened and read, also by Macadam itself.
        EventKind::Access(_) => None,
        EventKind::Create(_) => Some(ChangeKind::Created),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Some(ChangeKind::Removed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(ChangeKind::Closed),
        // Both of the above, once more.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(ChangeKind::Touched),
        // One of two names, and nobody says which: somebody looks.
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
    fn what_does_not_fit_is_told_once_and_never_forgotten() {
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
