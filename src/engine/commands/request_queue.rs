//! Requests of other commands to the service that holds the state: the client, and the service's
//! request queue.
//!
//! A request is a row of the state. The client wakes the service through a socket beside the state,
//! then polls its row for the response. The service reads the queue on each wakeup, and now and
//! then in case one was lost. A request is carried out at most once. Its row is marked as the service
//! begins, and a marked request is never begun again; an unmarked one can be withdrawn, and is
//! dropped if its client has ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::workspace::git::{self, GitWork};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::session::Session;
use crate::model::request::{Request, RequestDone, RequestId, RequestProblem};
use crate::platform::clock;
use crate::platform::own_file;
use crate::platform::wakeup::{self, Wakeup};
use crate::state::StateError;
use crate::state::handle::StoreHandle;
use crate::state::lock::{self, LockError};
use crate::state::store::{RequestClient, RequestProgress, RequestStart};

/// The first poll's delay: most requests are answered within milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(10);

/// The longest delay between polls: a person waits, and a poll costs microseconds.
const LATER_LOOKS: Duration = Duration::from_millis(500);

/// How often the service reads the queue without a wakeup: one can get lost.
const WITHOUT_WAKEUP: Duration = Duration::from_secs(30);

/// The same without a wakeup socket.
const WITHOUT_SOCKET: Duration = Duration::from_secs(2);

/// The result of a request.
pub(crate) type RequestOutcome = Result<RequestDone, AskError>;

/// Why a request was not carried out, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// No service holds the state, so no request was made.
    #[error("no `macadam sync` is running in this project")]
    NoService,
    /// The service refused it or failed.
    #[error(transparent)]
    Problem(RequestProblem),
    /// The service ended before it answered.
    #[error("the running `macadam sync` ended {}", if *begun { "while it was doing this" } else { "before it started this" })]
    Ended {
        /// Whether it had begun. If not, the request is withdrawn and never carried out.
        begun: bool,
    },
    /// The patience ran out.
    #[error("the running `macadam sync` has not {} within {} s", if *begun { "finished this" } else { "started this" }, waited.as_secs())]
    Patience {
        /// Whether it has begun, and continues. If not, the request is withdrawn and never carried
        /// out.
        begun: bool,
        /// The time waited.
        waited: Duration,
        /// What the service itself waits for.
        git: Option<GitWork>,
    },
    /// A person, or the system, wanted this command to end.
    #[error("interrupted {}", if *begun { "while the running `macadam sync` was doing this" } else { "before the running `macadam sync` started this" })]
    Interrupted {
        /// Whether it had begun, and continues. If not, the request is withdrawn and never carried
        /// out.
        begun: bool,
    },
    /// The state could not be read or written.
    #[error("leave a request for the service")]
    State(#[from] StateError),
    /// The lock could not be inspected.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl AskError {
    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoService => None,
            Self::Problem(problem) => problem.hint.clone(),
            Self::Ended { begun: true } => {
                Some("`macadam status` shows what is done; run the same command again for the rest".to_owned())
            }
            Self::Ended { begun: false } => Some("nothing was done; try again".to_owned()),
            Self::Interrupted { begun: false } => Some("nothing was done".to_owned()),
            Self::Patience { begun: true, .. } | Self::Interrupted { begun: true } => {
                Some("it goes on; `macadam status` shows the result".to_owned())
            }
            Self::Patience { begun: false, git: Some(work), .. } => Some(format!("nothing was done: {work}")),
            Self::Patience { begun: false, git: None, .. } => {
                Some("nothing was done; its log says what it is busy with".to_owned())
            }
            Self::State(error) => error.hint(),
            Self::Lock(error) => error.hint(),
        }
    }
}

/// Sends a request to the service that holds the state of `project`, and waits for the response,
/// until `interrupted` completes.
///
/// # Errors
/// See [`AskError`]; each variant says whether anything may have been done.
pub(crate) async fn ask(
    project: &Project,
    remote: &str,
    request: &Request,
    patience: Duration,
    interrupted: impl Future<Output = ()>,
) -> RequestOutcome {
    let begun_at = clock::elapsed();
    let serves = || Ok::<_, LockError>(lock::holder(&project.state)?.is_service());
    if !serves()? {
        return Err(AskError::NoService);
    }
    let mut counter = match RequestClient::open(&project.state, remote) {
        // A process that is just starting serves no requests yet.
        Err(StateError::Busy { .. }) => return Err(AskError::NoService),
        opened => opened?,
    };
    let id = counter.ask(request, clock::now())?;
    // Without a wakeup, the service reads the queue after a while.
    let _ = wakeup::wake(&wakeup_path(&project.state));
    let (mut pause, mut is_interrupted) = (FIRST_LOOK, false);
    tokio::pin!(interrupted);
    loop {
        // In this order: a response that came before the service ended is found by the poll after
        // it.
        let (serves, waited) = (serves()?, clock::elapsed().saturating_sub(begun_at));
        match counter.progress(id)? {
            RequestProgress::Answered(result) => return result.map_err(AskError::Problem),
            // The row was removed, so the outcome is unknown.
            RequestProgress::Gone => return Err(AskError::Ended { begun: true }),
            RequestProgress::Waiting | RequestProgress::Taken => {}
        }
        if !serves || is_interrupted || waited >= patience {
            let begun = !counter.withdraw(id)?;
            // It may keep addresses free for this.
            let _ = wakeup::wake(&wakeup_path(&project.state));
            return match counter.progress(id)? {
                // It was answered at the last moment.
                RequestProgress::Answered(result) => result.map_err(AskError::Problem),
                _ if is_interrupted => Err(AskError::Interrupted { begun }),
                _ if serves => Err(AskError::Patience { begun, waited, git: git::busy(&project.root) }),
                _ => Err(AskError::Ended { begun }),
            };
        }
        tokio::select! {
            () = tokio::time::sleep(pause.min(patience.saturating_sub(waited))) => {}
            () = &mut interrupted => is_interrupted = true,
        }
        pause = (pause * 3 / 2).min(LATER_LOOKS);
    }
}

/// The service's end of the request queue. There is one per session, dropped before it: the
/// socket's path is its own only while the lock is held.
#[derive(Debug)]
pub struct RequestQueue {
    store: StoreHandle,
    wakeup: Option<Wakeup>,
    look_at: Duration,
}

impl RequestQueue {
    /// Opens the queue of a session named [`lock::SERVICE`]; other sessions receive no requests.
    /// Needs a runtime.
    pub fn open(session: &Session) -> Self {
        let wakeup = Wakeup::open(&wakeup_path(&session.project.state));
        if let Err(error) = &wakeup {
            tracing::debug!(
                "no socket for wakeups beside the state, so requests are looked for every {WITHOUT_SOCKET:?}: {error}"
            );
        }
        Self { store: session.state_cache.store().clone(), wakeup: wakeup.ok(), look_at: Duration::ZERO }
    }

    /// Waits until there may be requests; returns at once the first time. May be cancelled at any
    /// point and called again.
    pub async fn woken(&mut self) {
        let wait = self.look_at.saturating_sub(clock::elapsed());
        let woken = async {
            match &mut self.wakeup {
                Some(wakeup) => wakeup.woken().await,
                None => std::future::pending().await,
            }
        };
        let is_broken = tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => false,
            woken = woken => woken.is_err(),
        };
        if is_broken {
            // A broken socket must not cause a busy loop; the timer remains.
            self.wakeup = None;
        }
        let pause = if self.wakeup.is_some() { WITHOUT_WAKEUP } else { WITHOUT_SOCKET };
        self.look_at = clock::elapsed().saturating_add(pause);
    }

    /// Returns the oldest request that was not started, if there is one.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub async fn next(&self) -> Result<Option<(RequestId, Request)>, StateError> {
        self.store.next_request(clock::now()).await
    }

    /// Returns whether a request may still start.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub(crate) async fn may_start(&self, id: RequestId) -> Result<RequestStart, StateError> {
        self.store.may_start_request(id, clock::now()).await
    }

    /// Marks a request as started; it must not start unless it is still wanted. Must not be
    /// cancelled: a request that was started and not answered is reported as interrupted.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub async fn start(&self, id: RequestId) -> Result<RequestStart, StateError> {
        self.store.start_request(id, clock::now()).await
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the state can't be written.
    pub async fn answer(&self, id: RequestId, result: Result<RequestDone, RequestProblem>) -> Result<(), StateError> {
        self.store.answer_request(id, result, clock::now()).await
    }
}

fn wakeup_path(state: &Path) -> PathBuf {
    own_file::with_ending(state, ".bell")
}
