//! The store on a thread of its own, and the handle by which async code reaches it.
//!
//! The call itself queues the work, not the first poll of its future, and queued work is never
//! removed. A caller that drops the future only gives up the answer. Waiting changes are committed
//! together, so a burst needs few waits for the disk; room for outcomes is made once for all that
//! wait for it, after those changes. Each caller gets its answer after the COMMIT of its change. The
//! queue needs no bound, since each caller waits for at most one entry.

use std::collections::BTreeSet;
use std::future::Future;

use std::thread;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::error::StateError;
use super::store::{
    Anew, Batch, EventRow, FileDelta, LatencyRow, LimitRow, RequestStart, SettledProof, SettledRows, Store,
};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::file::FileCache;
use crate::model::path::ProjectPath;
use crate::model::recorded::Recorded;
use crate::model::request::{self, Request, RequestId, RequestProblem};
use crate::platform::failpoint;

/// The most lists of changes in one transaction. It bounds how long the first of them waits for its
/// answer.
const GROUP: usize = 512;

/// A store that any number of tasks may use. Clones reach the same store. It closes with the last
/// of them, or by [`StoreHandle::close`].
#[derive(Debug, Clone)]
pub struct StoreHandle {
    queue: mpsc::UnboundedSender<StoreWork>,
}

type JobResult<T> = oneshot::Sender<T>;
type Job = Box<dyn FnOnce(&mut Store) + Send>;

enum StoreWork {
    Commit(Batch, JobResult<Result<(), StateError>>),
    MakeRoom(JobResult<Result<(), StateError>>),
    Call(Job),
    Close(JobResult<()>),
}

impl StoreHandle {
    /// Moves the store to a thread of its own.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn spawn(store: Store) -> std::io::Result<Self> {
        let (queue, work) = mpsc::unbounded_channel();
        thread::Builder::new().name("state".to_owned()).spawn(move || run(store, work))?;
        Ok(Self { queue })
    }

    /// See [`Store::commit`]. Durable when the future is done, and written even if it is dropped.
    ///
    /// # Errors
    /// Like [`Store::commit`], or [`StateError::Closed`].
    pub fn commit(
        &self,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.enqueue(move |answer| StoreWork::Commit(Batch { changes, now }, answer))
    }

    /// See [`Store::make_room`].
    ///
    /// # Errors
    /// Like [`Store::make_room`], or [`StateError::Closed`].
    pub fn make_room(&self) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.enqueue(StoreWork::MakeRoom)
    }

    /// See [`Store::settle_lost_outcomes`].
    ///
    /// # Errors
    /// Like [`Store::settle_lost_outcomes`], or [`StateError::Closed`].
    pub fn settle_lost_outcomes(&self) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(Store::settle_lost_outcomes)
    }

    /// See [`Store::load`].
    ///
    /// # Errors
    /// Like [`Store::load`], or [`StateError::Closed`].
    pub fn load(&self) -> impl Future<Output = Result<Recorded, StateError>> + Send + 'static {
        self.call(|store| store.load())
    }

    /// See [`Store::load_files`].
    ///
    /// # Errors
    /// Like [`Store::load_files`], or [`StateError::Closed`].
    pub fn load_files(&self) -> impl Future<Output = Result<FileCache, StateError>> + Send + 'static {
        self.call(|store| store.load_files())
    }

    /// See [`Store::load_files_at`].
    ///
    /// # Errors
    /// Like [`Store::load_files_at`], or [`StateError::Closed`].
    pub fn load_files_at(
        &self,
        paths: BTreeSet<ProjectPath>,
    ) -> impl Future<Output = Result<FileCache, StateError>> + Send + 'static {
        self.call(move |store| store.load_files_at(&paths))
    }

    /// See [`Store::save_files`].
    ///
    /// # Errors
    /// Like [`Store::save_files`], or [`StateError::Closed`].
    pub fn save_files(&self, delta: FileDelta) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.save_files(&delta))
    }

    /// See [`Store::set_settled`].
    ///
    /// # Errors
    /// Like [`Store::set_settled`], or [`StateError::Closed`].
    pub fn set_settled(
        &self,
        proof: SettledProof,
        statuses: Vec<SettledRows>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_settled(&proof, &statuses))
    }

    /// See [`Store::set_settled_again`].
    ///
    /// # Errors
    /// Like [`Store::set_settled_again`], or [`StateError::Closed`].
    pub fn set_settled_again(
        &self,
        proof: SettledProof,
        statuses: Vec<SettledRows>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_settled_again(&proof, &statuses))
    }

    /// See [`Store::settled_rows_with`].
    ///
    /// # Errors
    /// Like [`Store::settled_rows_with`], or [`StateError::Closed`].
    pub fn settled_rows_with(
        &self,
        address: Address,
    ) -> impl Future<Output = Result<Option<SettledRows>, StateError>> + Send + 'static {
        self.call(move |store| store.settled_rows_with(&address))
    }

    /// See [`Store::lockfile_fingerprint`].
    ///
    /// # Errors
    /// Like [`Store::lockfile_fingerprint`], or [`StateError::Closed`].
    pub fn lockfile_fingerprint(&self) -> impl Future<Output = Result<Option<String>, StateError>> + Send + 'static {
        self.call(|store| store.lockfile_fingerprint())
    }

    /// See [`Store::set_lockfile_fingerprint`].
    ///
    /// # Errors
    /// Like [`Store::set_lockfile_fingerprint`], or [`StateError::Closed`].
    pub fn set_lockfile_fingerprint(
        &self,
        fingerprint: Option<String>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_lockfile_fingerprint(fingerprint.as_deref()))
    }

    /// See [`Store::add_lockfile_had`].
    ///
    /// # Errors
    /// Like [`Store::add_lockfile_had`], or [`StateError::Closed`].
    pub fn add_lockfile_had(
        &self,
        addresses: BTreeSet<Address>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.add_lockfile_had(&addresses))
    }

    /// See [`Store::lockfile_coming`].
    ///
    /// # Errors
    /// Like [`Store::lockfile_coming`], or [`StateError::Closed`].
    pub fn lockfile_coming(&self) -> impl Future<Output = Result<Option<String>, StateError>> + Send + 'static {
        self.call(|store| store.lockfile_coming())
    }

    /// See [`Store::set_lockfile_coming`].
    ///
    /// # Errors
    /// Like [`Store::set_lockfile_coming`], or [`StateError::Closed`].
    pub fn set_lockfile_coming(
        &self,
        fingerprint: String,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_lockfile_coming(&fingerprint))
    }

    /// See [`Store::set_lockfile_compared`].
    ///
    /// # Errors
    /// Like [`Store::set_lockfile_compared`], or [`StateError::Closed`].
    pub fn set_lockfile_compared(
        &self,
        head: Option<String>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_lockfile_compared(head.as_deref()))
    }

    /// See [`Store::set_lockfile_unreported`].
    ///
    /// # Errors
    /// Like [`Store::set_lockfile_unreported`], or [`StateError::Closed`].
    pub fn set_lockfile_unreported(
        &self,
        unreported: bool,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_lockfile_unreported(unreported))
    }

    /// See [`Store::set_lockfile_lost_since`].
    ///
    /// # Errors
    /// Like [`Store::set_lockfile_lost_since`], or [`StateError::Closed`].
    pub fn set_lockfile_lost_since(
        &self,
        since: Option<Timestamp>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.set_lockfile_lost_since(since))
    }

    /// See [`Store::write_anew`]. The new file has all work queued before, and gets all work queued
    /// after.
    ///
    /// # Errors
    /// Like [`Store::write_anew`], or [`StateError::Closed`].
    pub fn write_anew(&self, now: Timestamp) -> impl Future<Output = Result<Anew, StateError>> + Send + 'static {
        self.call(move |store| store.write_anew(now))
    }

    /// See [`Store::events`].
    ///
    /// # Errors
    /// Like [`Store::events`], or [`StateError::Closed`].
    pub fn events(
        &self,
        address: Option<Address>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<EventRow>, StateError>> + Send + 'static {
        self.call(move |store| store.events(address.as_ref(), limit))
    }

    /// See [`Store::load_limits`].
    ///
    /// # Errors
    /// Like [`Store::load_limits`], or [`StateError::Closed`].
    pub fn load_limits(&self) -> impl Future<Output = Result<Vec<LimitRow>, StateError>> + Send + 'static {
        self.call(|store| store.load_limits())
    }

    /// See [`Store::save_limits`].
    ///
    /// # Errors
    /// Like [`Store::save_limits`], or [`StateError::Closed`].
    pub fn save_limits(&self, limits: Vec<LimitRow>) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.save_limits(&limits))
    }

    /// See [`Store::load_latencies`].
    ///
    /// # Errors
    /// Like [`Store::load_latencies`], or [`StateError::Closed`].
    pub fn load_latencies(&self) -> impl Future<Output = Result<Vec<LatencyRow>, StateError>> + Send + 'static {
        self.call(|store| store.load_latencies())
    }

    /// See [`Store::save_latencies`].
    ///
    /// # Errors
    /// Like [`Store::save_latencies`], or [`StateError::Closed`].
    pub fn save_latencies(
        &self,
        latencies: Vec<LatencyRow>,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.save_latencies(&latencies))
    }

    /// See [`Store::next_request`].
    ///
    /// # Errors
    /// Like [`Store::next_request`], or [`StateError::Closed`].
    pub fn next_request(
        &self,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<(RequestId, Request)>, StateError>> + Send + 'static {
        self.call(move |store| store.next_request(now))
    }

    /// See [`Store::may_start_request`].
    ///
    /// # Errors
    /// Like [`Store::may_start_request`], or [`StateError::Closed`].
    pub fn may_start_request(
        &self,
        id: RequestId,
        now: Timestamp,
    ) -> impl Future<Output = Result<RequestStart, StateError>> + Send + 'static {
        self.call(move |store| store.may_start_request(id, now))
    }

    /// See [`Store::start_request`]. The request is marked even if the future is dropped.
    ///
    /// # Errors
    /// Like [`Store::start_request`], or [`StateError::Closed`].
    pub fn start_request(
        &self,
        id: RequestId,
        now: Timestamp,
    ) -> impl Future<Output = Result<RequestStart, StateError>> + Send + 'static {
        self.call(move |store| store.start_request(id, now))
    }

    /// See [`Store::answer_request`].
    ///
    /// # Errors
    /// Like [`Store::answer_request`], or [`StateError::Closed`].
    pub fn answer_request(
        &self,
        id: RequestId,
        result: Result<request::RequestDone, RequestProblem>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StateError>> + Send + 'static {
        self.call(move |store| store.answer_request(id, &result, now))
    }

    /// Does all queued work, closes the database and ends the thread. Done when the file is closed;
    /// later calls get [`StateError::Closed`].
    pub fn close(self) -> impl Future<Output = ()> + Send + 'static {
        let (answer, closed) = oneshot::channel();
        let _ = self.queue.send(StoreWork::Close(answer)); // it may be closed already
        async move {
            let _ = closed.await;
        }
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Store) -> Result<T, StateError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StateError>> + Send + 'static {
        self.enqueue(|answer| {
            StoreWork::Call(Box::new(move |store| {
                let _ = answer.send(call(store)); // the caller may have gone
            }))
        })
    }

    /// Queues work now; the future only waits for its answer.
    fn enqueue<T: Send + 'static>(
        &self,
        work: impl FnOnce(JobResult<Result<T, StateError>>) -> StoreWork,
    ) -> impl Future<Output = Result<T, StateError>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        // If the thread has ended, the work is dropped here, and its answer with it.
        let _ = self.queue.send(work(answer));
        async move { answered.await.unwrap_or(Err(StateError::Closed)) }
    }
}

/// Runs the thread: does all queued work, in order, until it is closed or every handle is dropped.
fn run(mut store: Store, mut queue: mpsc::UnboundedReceiver<StoreWork>) {
    let mut waiting = None;
    while let Some(work) = waiting.take().or_else(|| queue.blocking_recv()) {
        match work {
            work @ (StoreWork::Commit(..) | StoreWork::MakeRoom(_)) => {
                let mut group = WriteGroup::default();
                waiting = group.add(work);
                while waiting.is_none()
                    && group.len() < GROUP
                    && let Ok(next) = queue.try_recv()
                {
                    // The order holds: work queued after the changes sees them.
                    waiting = group.add(next);
                }
                group.write(&mut store);
            }
            StoreWork::Call(call) => call(&mut store),
            StoreWork::Close(answer) => {
                drop((store, queue));
                let _ = answer.send(());
                return;
            }
        }
    }
}

/// Work that waits for the disk once.
#[derive(Default)]
struct WriteGroup {
    batches: Vec<Batch>,
    answers: Vec<JobResult<Result<(), StateError>>>,
    /// Those who wait for room.
    rooms: Vec<JobResult<Result<(), StateError>>>,
}

impl WriteGroup {
    /// Adds work, or returns it if it is of another kind.
    fn add(&mut self, work: StoreWork) -> Option<StoreWork> {
        match work {
            StoreWork::Commit(batch, answer) => {
                self.batches.push(batch);
                self.answers.push(answer);
            }
            StoreWork::MakeRoom(answer) => self.rooms.push(answer),
            other => return Some(other),
        }
        None
    }

    const fn len(&self) -> usize {
        self.batches.len() + self.rooms.len()
    }

    /// Does it. The room is made last: the changes take some of it.
    fn write(self, store: &mut Store) {
        let Self { batches, answers, rooms } = self;
        if !batches.is_empty() {
            failpoint::trip("state");
            for (answer, result) in answers.into_iter().zip(store.commit_group(&batches)) {
                let _ = answer.send(result); // the caller may have gone; the change stays
            }
        }
        if !rooms.is_empty() {
            let made = store.make_room();
            for answer in rooms {
                let _ = answer.send(made.clone()); // the caller may have gone
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::model::event::EventKind;
    use crate::model::phase::{IntentKind, PhaseEvent};
    use crate::model::recorded::AttemptId;

    fn event(message: String) -> Vec<Change> {
        vec![Change::LogEvent { address: None, event: EventKind::InDoubt { action: IntentKind::Create, message } }]
    }

    fn store(folder: &Path) -> Store {
        Store::open(&folder.join("s.db"), "r", Timestamp::UNIX_EPOCH).unwrap()
    }

    /// Keeps the thread busy until the sender is dropped, so that work queues up behind it.
    fn hold(handle: &StoreHandle) -> std::sync::mpsc::Sender<()> {
        let (release, held) = std::sync::mpsc::channel::<()>();
        drop(handle.call(move |_| Ok(held.recv().is_ok())));
        release
    }

    /// Returns how many pages were ever written to the log: a transaction writes each page that it
    /// changed once.
    fn pages_logged(folder: &Path) -> u64 {
        std::fs::metadata(folder.join("s.db-wal")).unwrap().len() / 4096
    }

    #[tokio::test]
    async fn a_burst_is_one_transaction_and_a_misfit_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let handle = StoreHandle::spawn(store(folder.path())).unwrap();
        let before = pages_logged(folder.path());
        let release = hold(&handle);
        let mut waiting: Vec<_> =
            (0..100).map(|n| handle.commit(event(n.to_string()), Timestamp::UNIX_EPOCH)).collect();
        let mut misfit = event("must not be stored".to_owned());
        misfit.push(Change::Advance { attempt: AttemptId(7), event: PhaseEvent::HandOver });
        let misfit = handle.commit(misfit, Timestamp::UNIX_EPOCH);
        waiting.push(handle.commit(event("100".to_owned()), Timestamp::UNIX_EPOCH));
        drop(release);
        for answer in waiting {
            answer.await.unwrap();
        }
        assert!(matches!(misfit.await, Err(StateError::Misfit(_))));
        let messages: Vec<_> = handle.events(None, 1000).await.unwrap().into_iter().map(|e| e.message).collect();
        assert_eq!(
            messages,
            (0..=100).rev().map(|n| format!("the upload of a new asset got no clear answer: {n}")).collect::<Vec<_>>()
        );
        let pages = pages_logged(folder.path()) - before;
        assert!(pages < 50, "{pages} pages for 101 changes: they were not written together");
    }

    #[tokio::test]
    async fn room_for_outcomes_parts_no_group_of_changes() {
        let folder = tempfile::tempdir().unwrap();
        let handle = StoreHandle::spawn(store(folder.path())).unwrap();
        let frames = || -> i64 {
            let looking = rusqlite::Connection::open(folder.path().join("s.db")).unwrap();
            looking.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).unwrap()
        };
        let before = frames();
        let release = hold(&handle);
        let waiting: Vec<_> = (0..100)
            .map(|n| (handle.make_room(), handle.commit(event(n.to_string()), Timestamp::UNIX_EPOCH)))
            .collect();
        drop(release);
        for (room, written) in waiting {
            room.await.unwrap();
            written.await.unwrap();
        }
        let written = frames() - before;
        assert!(written < 50, "{written} pages for 100 changes: they were not written together");
    }

    #[tokio::test]
    async fn queued_work_is_done_even_if_its_caller_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let handle = StoreHandle::spawn(store(folder.path())).unwrap();
        drop(handle.commit(event("kept".to_owned()), Timestamp::UNIX_EPOCH));
        handle.clone().close().await;
        assert!(matches!(handle.load().await, Err(StateError::Closed)));
        assert!(matches!(handle.commit(event(String::new()), Timestamp::UNIX_EPOCH).await, Err(StateError::Closed)));
        handle.close().await;
        assert_eq!(
            store(folder.path()).events(None, 10).unwrap()[0].message,
            "the upload of a new asset got no clear answer: kept"
        );
    }
}
