//! Polls operations, at the pace of the poll schedule and within the limit for polls. One per run.
//!
//! The schedule is pure and lives in `cloud`; here are its one instance, the clock and the
//! requests. An error while polling never fails an operation; only Roblox's statement about the
//! operation does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

use crate::cloud::class::{Class, Refusal};
use crate::cloud::client::Client;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, Failure};
use crate::cloud::poll::lane::{Lane, Lanes};
use crate::cloud::poll::{LatencyRecord, OperationKind, OperationStatus, PollOutcome, PollSchedule, PollTarget};
use crate::cloud::wire::operation::{OperationFailure, OperationState};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::throttle::{Throttle, ThrottlePermit, moment};
use crate::model::ids::{AssetId, OperationId};
use crate::model::recorded::AttemptId;
use crate::model::remote::RemoteAsset;
use crate::model::urgency::Urgency;
use crate::platform::{clock, failpoint};

/// The result of following an operation.
#[derive(Debug)]
pub(crate) enum Followed {
    /// It succeeded with this asset.
    Done(Box<RemoteAsset>),
    /// It failed and made nothing.
    Failed(OperationFailure),
    /// It ended without a result and without an error.
    DoneWithNothing,
    /// Roblox no longer knows it.
    Lost,
    /// It took longer than the poll schedule allows; a later run continues.
    Outlived,
    /// The key may not poll.
    Refused(Failure),
}

/// An operation to follow.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its name at Roblox.
    pub operation: OperationId,
    /// Its kind, which selects the known latencies.
    pub kind: OperationKind,
    /// How urgent its result is.
    pub urgency: Urgency,
    /// The asset that it changes; `None` for a create.
    pub about: Option<AssetId>,
    /// When it was submitted, or when this machine heard of it.
    pub since: Timestamp,
    /// Another machine submitted it.
    pub is_taken_over: bool,
}

/// Follows operations to their end.
#[derive(Clone)]
pub(crate) struct Poller {
    inner: Arc<PollerState>,
}

struct PollerState {
    client: Arc<Client>,
    throttle: Throttle,
    queue: Mutex<PollQueue>,
    /// Wakes the task of a lane.
    changed: Lanes<Notify>,
    stop: Shutdown,
}

struct PollQueue {
    schedule: PollSchedule,
    followed: HashMap<u64, FollowedOperation>,
}

struct FollowedOperation {
    operation: OperationId,
    about: Option<AssetId>,
    reply: oneshot::Sender<Followed>,
}

impl Poller {
    /// Starts the polling tasks, which end with the run: one for each lane, so that urgent polls
    /// don't stand behind others that wait for the budget.
    pub(crate) fn start(client: Arc<Client>, throttle: Throttle, latencies: &[LatencyRecord], stop: Shutdown) -> Self {
        let schedule = match client.is_rehearsal() {
            true => PollSchedule::for_rehearsal(),
            false => PollSchedule::restore(latencies).with_first_poll(failpoint::first_poll()),
        };
        let queue = PollQueue { schedule, followed: HashMap::new() };
        let inner =
            Arc::new(PollerState { client, throttle, queue: Mutex::new(queue), changed: Lanes::default(), stop });
        for lane in Lane::ALL {
            let worker = Arc::clone(&inner);
            tokio::spawn(async move {
                let stop = worker.stop.clone();
                stop.or(stop.catch(worker.run(lane))).await
            });
        }
        Self { inner }
    }

    /// Follows an operation to its end. Cancelling is harmless: the operation continues at Roblox.
    pub(crate) async fn follow(&self, id: AttemptId, subject: Subject) -> Followed {
        let (reply, answer) = oneshot::channel();
        let age = clock::now().duration_since(subject.since);
        let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
        {
            let mut queue = self.inner.queue();
            let Subject { kind, urgency, .. } = subject;
            let (now, schedule) = (moment(), &mut queue.schedule);
            if subject.is_taken_over {
                schedule.insert_taken_over(id.0, kind, urgency, now - age, now);
            } else {
                schedule.insert(id.0, kind, urgency, now - age);
            }
            queue
                .followed
                .insert(id.0, FollowedOperation { operation: subject.operation, about: subject.about, reply });
        }
        let _guard = RemoveOnDrop { inner: &self.inner, key: id.0 };
        self.inner.wake();
        // The sender is dropped without an answer only when the poller ends; nothing is known then.
        answer.await.unwrap_or(Followed::Outlived)
    }

    /// Returns the observed latencies, for the next run.
    pub(crate) fn latencies(&self) -> Vec<LatencyRecord> {
        self.inner.queue().schedule.latencies()
    }
}

/// Removes an operation from the poll queue when its follower is gone.
struct RemoveOnDrop<'a> {
    inner: &'a PollerState,
    key: u64,
}

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        let mut queue = self.inner.queue();
        queue.schedule.remove(self.key);
        queue.followed.remove(&self.key);
    }
}

impl PollerState {
    fn queue(&self) -> MutexGuard<'_, PollQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes both lanes: what one finds may make an operation of the other due.
    fn wake(&self) {
        Lane::ALL.into_iter().for_each(|lane| self.changed.get(lane).notify_one());
    }

    async fn run(self: Arc<Self>, lane: Lane) {
        let changed = self.changed.get(lane);
        loop {
            let due = self.queue().schedule.due(lane, moment());
            match due {
                PollTarget::Now(_) => {
                    failpoint::trip("poller");
                    let permit = self.throttle.acquire(Endpoint::GetOperation, lane.urgency()).await;
                    self.poll_next(lane, permit);
                }
                PollTarget::At(at) => {
                    let wait = at.since(moment()).max(Duration::from_millis(1));
                    let _ = tokio::time::timeout(wait, changed.notified()).await;
                }
                PollTarget::Nothing => changed.notified().await,
            }
        }
    }

    /// Polls the lane's operation that is most overdue. The wait for a permit may have changed which that
    /// is.
    fn poll_next(self: &Arc<Self>, lane: Lane, permit: ThrottlePermit) {
        let next = {
            let mut queue = self.queue();
            match queue.schedule.due(lane, moment()) {
                PollTarget::Now(key) => {
                    queue.schedule.begin(key, moment());
                    queue.followed.get(&key).map(|of| (key, of.operation.clone(), of.about))
                }
                PollTarget::At(_) | PollTarget::Nothing => None,
            }
        };
        let Some((key, operation, about)) = next else { return self.throttle.release_unsent(permit) };
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let polling = async {
                let reply = inner.client.get_operation(&operation, about).await;
                failpoint::trip("polled");
                inner.throttle.release(permit, &reply);
                inner.take(key, reply);
                inner.wake();
            };
            inner.stop.catch(polling).await
        });
    }

    /// Records the response to a poll.
    fn take(&self, key: u64, reply: ApiReply<OperationState>) {
        let (outcome, followed) = read(reply);
        let mut queue = self.queue();
        let state = queue.schedule.report(key, outcome, fastrand::f64(), moment());
        let followed = match (state, followed) {
            (_, Some(followed)) => Some(followed),
            (Some(OperationStatus::Gone), None) => Some(Followed::Lost),
            (Some(OperationStatus::Outlived), None) => Some(Followed::Outlived),
            (Some(OperationStatus::Waiting(_) | OperationStatus::Settled) | None, None) => None,
        };
        if let Some(followed) = followed
            && let Some(operation) = queue.followed.remove(&key)
        {
            queue.schedule.remove(key);
            // The follower may be gone at the end of the run.
            drop(operation.reply.send(followed));
        }
    }
}

/// Returns what a response means for the schedule, and for the follower.
fn read(reply: ApiReply<OperationState>) -> (PollOutcome, Option<Followed>) {
    match reply.result {
        Ok(OperationState::Pending) => (PollOutcome::Pending, None),
        Ok(OperationState::Done(asset)) => (PollOutcome::Done, Some(Followed::Done(Box::new(asset)))),
        Ok(OperationState::Failed(failure)) => (PollOutcome::Failed, Some(Followed::Failed(failure))),
        Ok(OperationState::DoneWithNothing) => (PollOutcome::Failed, Some(Followed::DoneWithNothing)),
        Ok(OperationState::Unknown) => (PollOutcome::Unknown, None),
        Ok(OperationState::NotVisible) => (PollOutcome::NotVisible, None),
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
