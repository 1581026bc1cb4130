//! What other commands ask of the service that holds the state: the side that asks, and the desk of
//! the service.
//!
//! A request is a row of the state. Whoever asks rings a bell beside the state and then looks at
//! its row until it is answered; the service looks when the bell rings, and now and then in case a
//! ring was lost. A request is carried out once or not at all: the row is marked before the service
//! begins, a marked one is never begun again, and one that isn't can be taken back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::workspace::project::Project;
use crate::engine::workspace::session::Session;
use crate::model::request::{Request, RequestDone, RequestId, RequestProblem};
use crate::platform::clock;
use crate::platform::wakeup::{self, Wakeup};
use crate::state::StateError;
use crate::state::handle::StoreHandle;
use crate::state::lock::{self, LockError};
use crate::state::store::{RequestClient, RequestProgress};

/// How soon the answer is looked for first; most requests are answered within milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(10);

/// How often it is looked for in the end: a person waits, and a look costs microseconds.
const LATER_LOOKS: Duration = Duration::from_millis(500);

/// How often the service looks though no bell rang: a ring can get lost.
const UNRUNG: Duration = Duration::from_secs(30);

/// The same where no bell can be hung.
const WITHOUT_BELL: Duration = Duration::from_secs(2);

/// What came of asking.
pub(crate) type RequestOutcome = Result<RequestDone, AskError>;

/// Why a request was not carried out, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody holds the state, or no service: nothing was asked.
    #[error("no service holds the state")]
    NoService,
    /// The service answered that it could not.
    #[error(transparent)]
    Problem(RequestProblem),
    /// The service ended before it answered.
    #[error("the service ended {}", if *begun { "while it carried this out" } else { "before it began with this" })]
    Ended {
        /// Whether it had begun; if not, the request is taken back and never carried out.
        begun: bool,
    },
    /// The patience is over.
    #[error("the service has not {} within {} s", if *begun { "finished this" } else { "begun with this" }, waited.as_secs())]
    Patience {
        /// Whether it has begun, and goes on; if not, the request is taken back and never carried
        /// out.
        begun: bool,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The state could not be read or written.
    #[error("leave a request for the service")]
    State(#[from] StateError),
    /// The lock could not be looked at.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl AskError {
    /// What would mend it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoService => None,
            Self::Problem(problem) => problem.hint.clone(),
            Self::Ended { begun: true } => {
                Some("`macadam status` shows what is known; try again where it was not done".to_owned())
            }
            Self::Ended { begun: false } => Some("nothing was done; try again".to_owned()),
            Self::Patience { begun: true, .. } => Some("it goes on; `macadam status` shows what came of it".to_owned()),
            Self::Patience { begun: false, .. } => {
                Some("nothing was done; the service's log says what it is busy with".to_owned())
            }
            Self::State(error) => error.hint(),
            Self::Lock(error) => error.hint(),
        }
    }
}

/// Asks the service that holds the state of `project`, and waits for its answer.
///
/// # Errors
/// See [`AskError`]; each says whether anything may have been done.
pub(crate) async fn ask(project: &Project, remote: &str, request: &Request, patience: Duration) -> RequestOutcome {
    let begun_at = clock::elapsed();
    let serves = || Ok::<_, LockError>(lock::holder(&project.state)?.is_service());
    if !serves()? {
        return Err(AskError::NoService);
    }
    let mut counter = match RequestClient::open(&project.state, remote) {
        // It has only just begun and is not ready for anybody.
        Err(StateError::Busy { .. }) => return Err(AskError::NoService),
        opened => opened?,
    };
    let id = counter.ask(request, clock::now())?;
    // Without a bell the service looks by itself after a while.
    let _ = wakeup::wake(&wakeup_path(&project.state));
    let mut pause = FIRST_LOOK;
    loop {
        // In this order: what the service answered before it ended is found by the look after.
        let (serves, waited) = (serves()?, clock::elapsed().saturating_sub(begun_at));
        match counter.progress(id)? {
            RequestProgress::Answered(result) => return result.map_err(AskError::Problem),
            // Somebody removed it; what was done is anybody's guess.
            RequestProgress::Gone => return Err(AskError::Ended { begun: true }),
            RequestProgress::Waiting | RequestProgress::Taken => {}
        }
        if !serves || waited >= patience {
            let begun = !counter.withdraw(id)?;
            return match counter.progress(id)? {
                // In the very last moment.
                RequestProgress::Answered(result) => result.map_err(AskError::Problem),
                _ if serves => Err(AskError::Patience { begun, waited }),
                _ => Err(AskError::Ended { begun }),
            };
        }
        tokio::time::sleep(pause.min(patience.saturating_sub(waited))).await;
        pause = (pause * 3 / 2).min(LATER_LOOKS);
    }
}

/// Where the service takes requests and answers them. One a session, and dropped before it: the
/// bell's place is its own only while the lock is held.
#[derive(Debug)]
pub struct RequestQueue {
    store: StoreHandle,
    wakeup: Option<Wakeup>,
    look_at: Duration,
}

impl RequestQueue {
    /// Opens the desk of a session that names itself [`lock::SERVICE`]; others are not asked. Needs
    /// a runtime.
    pub fn open(session: &Session) -> Self {
        let wakeup = Wakeup::hang(&wakeup_path(&session.project.state));
        if let Err(error) = &wakeup {
            tracing::debug!("no bell beside the state, requests are looked for every {WITHOUT_BELL:?}: {error}");
        }
        Self { store: session.state_cache.store().clone(), wakeup: wakeup.ok(), look_at: Duration::ZERO }
    }

    /// Waits until there may be requests; at once the first time. May be dropped and called again
    /// at any point.
    pub async fn woken(&mut self) {
        let wait = self.look_at.saturating_sub(clock::elapsed());
        let heard = async {
            match &self.wakeup {
                Some(wakeup) => wakeup.woken().await,
                None => std::future::pending().await,
            }
        };
        let deaf = tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => false,
            heard = heard => heard.is_err(),
        };
        if deaf {
            // Never in a circle: without a bell the clock remains.
            self.wakeup = None;
        }
        let pause = if self.wakeup.is_some() { UNRUNG } else { WITHOUT_BELL };
        self.look_at = clock::elapsed().saturating_add(pause);
    }

    /// Takes the oldest request that waits, if there is one: ask until there is none. Not to be
    /// dropped half-way: a request that was taken and is not answered is told as interrupted.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub async fn next(&self) -> Result<Option<(RequestId, Request)>, StateError> {
        self.store.take_request(clock::now()).await
    }

    /// Answers a request; whoever asked sees it.
    ///
    /// # Errors
    /// When the state can't be written.
    pub async fn answer(&self, id: RequestId, result: Result<RequestDone, RequestProblem>) -> Result<(), StateError> {
        self.store.answer_request(id, result, clock::now()).await
    }
}

fn wakeup_path(state: &Path) -> PathBuf {
    let mut path = state.as_os_str().to_owned();
    path.push(".bell");
    path.into()
}
