//! Asking how operations are doing: one for a run, at the pace of the poll schedule and within the
//! budget for polls.
//!
//! The schedule is pure and lives in `cloud`; here are its one instance, the clock and the
//! requests. It never fails an operation for an error while asking; only what Roblox says of the
//! operation decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

use crate::cloud::class::{Class, Refusal};
use crate::cloud::client::Client;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, Failure};
use crate::cloud::poll::{LatencyRecord, OperationKind, OperationStatus, PollOutcome, PollSchedule, PollTarget};
use crate::cloud::wire::operation::{OperationFailure, OperationState};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::throttle::{Throttle, ThrottlePermit, moment};
use crate::model::ids::{AssetId, OperationId};
use crate::model::recorded::AttemptId;
use crate::model::remote::RemoteAsset;
use crate::platform::{clock, failpoint};

/// What following an operation came to.
#[derive(Debug)]
pub(crate) enum Followed {
    /// It made this.
    Done(Box<RemoteAsset>),
    /// It made nothing.
    Failed(OperationFailure),
    /// It is over, and says neither what it made nor what went wrong.
    DoneWithNothing,
    /// Roblox no longer knows it.
    Lost,
    /// It outlived our patience: a later run goes on.
    Outlived,
    /// The key may not ask.
    Refused(Failure),
}

/// An operation to follow.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its name at Roblox.
    pub operation: OperationId,
    /// What kind of operation it is, for what is known of its pace.
    pub kind: OperationKind,
    /// The asset that it changes; a create has none.
    pub about: Option<AssetId>,
    /// When it was submitted.
    pub since: Timestamp,
}

/// Follows operations.
#[derive(Clone)]
pub(crate) struct Poller {
    inner: Arc<Inner>,
}

struct Inner {
    client: Arc<Client>,
    throttle: Throttle,
    queue: Mutex<PollQueue>,
    changed: Notify,
    stop: Shutdown,
}

struct PollQueue {
    schedule: PollSchedule,
    followed: HashMap<u64, Ticket>,
}

struct Ticket {
    operation: OperationId,
    about: Option<AssetId>,
    reply: oneshot::Sender<Followed>,
}

impl Poller {
    /// Starts to poll what will be followed, until the run ends.
    pub(crate) fn start(client: Arc<Client>, throttle: Throttle, latencies: &[LatencyRecord], stop: Shutdown) -> Self {
        let queue = PollQueue { schedule: PollSchedule::restore(latencies), followed: HashMap::new() };
        let inner = Arc::new(Inner { client, throttle, queue: Mutex::new(queue), changed: Notify::new(), stop });
        let worker = Arc::clone(&inner);
        tokio::spawn(async move {
            let stop = worker.stop.clone();
            stop.or(stop.catch(worker.run())).await
        });
        Self { inner }
    }

    /// Follows an operation to its end. Giving up waiting is harmless: the operation goes on.
    pub(crate) async fn follow(&self, id: AttemptId, input_digest: Subject) -> Followed {
        let (reply, answer) = oneshot::channel();
        let age = clock::now().duration_since(input_digest.since);
        let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
        {
            let mut queue = self.inner.queue();
            queue.schedule.insert(id.0, input_digest.kind, moment() - age);
            queue.followed.insert(id.0, Ticket { operation: input_digest.operation, about: input_digest.about, reply });
        }
        let _leave = Leave { inner: &self.inner, key: id.0 };
        self.inner.changed.notify_one();
        // The sender goes only with an answer; without one nothing is known.
        answer.await.unwrap_or(Followed::Outlived)
    }

    /// What is known of latencies, for the next run.
    pub(crate) fn latencies(&self) -> Vec<LatencyRecord> {
        self.inner.queue().schedule.latencies()
    }
}

/// Takes an operation off the desk when nobody follows it any more.
struct Leave<'a> {
    inner: &'a Inner,
    key: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut queue = self.inner.queue();
        queue.schedule.remove(self.key);
        queue.followed.remove(&self.key);
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, PollQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        loop {
            let due = self.queue().schedule.due(moment());
            match due {
                PollTarget::Now(_) => {
                    failpoint::trip("poller");
                    let pass = self.throttle.acquire(Endpoint::GetOperation).await;
                    self.poll_next(pass);
                }
                PollTarget::At(at) => {
                    let wait = at.since(moment()).max(Duration::from_millis(1));
                    let _ = tokio::time::timeout(wait, self.changed.notified()).await;
                }
                PollTarget::Nothing => self.changed.notified().await,
            }
        }
    }

    /// Sends one poll for what is due longest now: waiting for the budget may have changed that.
    fn poll_next(self: &Arc<Self>, pass: ThrottlePermit) {
        let next = {
            let mut queue = self.queue();
            match queue.schedule.due(moment()) {
                PollTarget::Now(key) => {
                    queue.schedule.begin(key, moment());
                    queue.followed.get(&key).map(|ticket| (key, ticket.operation.clone(), ticket.about))
                }
                PollTarget::At(_) | PollTarget::Nothing => None,
            }
        };
        let Some((key, operation, about)) = next else { return self.throttle.release_unsent(pass) };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let polling = async {
                let reply = inner.client.get_operation(&operation, about).await;
                failpoint::trip("polled");
                inner.throttle.release(pass, &reply);
                inner.take(key, reply);
                inner.changed.notify_one();
            };
            inner.stop.catch(polling).await
        });
    }

    /// Takes the answer to a poll.
    fn take(&self, key: u64, reply: ApiReply<OperationState>) {
        let (outcome, followed) = read(reply);
        let mut queue = self.queue();
        let state = queue.schedule.report(key, outcome, fastrand::f64(), moment());
        let followed = match (state, followed) {
            (_, Some(followed)) => Some(followed),
            (Some(OperationStatus::Gone), None) => Some(Followed::Lost),
            (Some(OperationStatus::Outlived(_)), None) => Some(Followed::Outlived),
            (Some(OperationStatus::Waiting(_) | OperationStatus::Settled) | None, None) => None,
        };
        if let Some(followed) = followed
            && let Some(ticket) = queue.followed.remove(&key)
        {
            queue.schedule.remove(key);
            // Nobody may be waiting any more: the run ends.
            drop(ticket.reply.send(followed));
        }
    }
}

/// What an answer means for the schedule, and for whoever follows.
fn read(reply: ApiReply<OperationState>) -> (PollOutcome, Option<Followed>) {
    match reply.result {
        Ok(OperationState::Pending) => (PollOutcome::Pending, None),
        Ok(OperationState::Done(asset)) => (PollOutcome::Done, Some(Followed::Done(Box::new(asset)))),
        Ok(OperationState::Failed(failure)) => (PollOutcome::Failed, Some(Followed::Failed(failure))),
        Ok(OperationState::DoneWithNothing) => (PollOutcome::Failed, Some(Followed::DoneWithNothing)),
        Ok(OperationState::Unknown { .. }) => (PollOutcome::Unknown, None),
        Err(failure) => match failure.class {
            Class::Refused(Refusal::KeyRefused | Refusal::MissingScope | Refusal::AccountModerated) => {
                (PollOutcome::Unanswered, Some(Followed::Refused(failure)))
            }
            Class::Refused(_) | Class::NeverSent(_) | Class::TryLater(_) | Class::InDoubt | Class::CouldNotAsk => {
                (PollOutcome::Unanswered, None)
            }
        },
    }
}
