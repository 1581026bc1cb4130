//! Executes one step: its requests, and what their outcomes mean.
//!
//! Every write to the remote goes through [`Executor::write`]. The intent is durable before the
//! request, the hand-over before the last byte, and the operation before the first poll. The
//! outcome and all its changes are one transaction. No other code sends writes, and
//! [`super::response`] decides what a response means.
//!
//! Read next: [`super::sharing`], [`crate::engine::execute::rollback`] and
//! [`crate::engine::execute::metadata`] for steps that upload nothing, [`super::effects`] for the
//! changes that follow from an outcome.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::backoff::Backoff;
use crate::cloud::client::{Client, CreateRequest, UpdateRequest};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::ApiReply;
use crate::cloud::http::UploadBody;
use crate::cloud::wire::operation::Submitted;
use crate::engine::execute::chain::Runner;
use crate::engine::execute::effects;
use crate::engine::execute::heads::FetchedHeads;
use crate::engine::execute::step_result::{
    HandOver, Lookup, StepError, StepResult, WENT_ON, Write, forbidden_outcome, run_ends, stop_for, superseded,
    written_anew,
};
use crate::engine::execute::upload_slots::{UploadSlot, UploadSlots};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::breaker::ResultBreaker;
use crate::engine::remote::observe;
use crate::engine::remote::outages::Outages;
use crate::engine::remote::poller::Poller;
use crate::engine::remote::remote_clock::untimely;
use crate::engine::remote::throttle::{Throttle, ThrottlePermit};
use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::finished_uploads::FinishedUploads;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::files;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::Checkout;
use crate::model::file::FileFacts;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash, Creator, Revision, UploadId};
use crate::model::minute::Minute;
use crate::model::path::ProjectPath;
use crate::model::phase::Intent;
use crate::model::recorded::{AttemptId, Blocked, Identity, Record};
use crate::model::shown::with_causes;
use crate::model::urgency::Urgency;
use crate::plan::input_digest::Subjects;
use crate::plan::{Action, NewAsset, Step};
use crate::platform::{clock, failpoint};
use crate::telemetry::logs::OUTCOMES;

/// The files as they were scanned before the plan, by address.
pub(crate) type LookedAt = BTreeMap<Address, (ProjectPath, FileFacts)>;

/// Executes steps against one remote.
#[derive(Clone)]
pub(crate) struct Executor {
    pub(in crate::engine) state_cache: Arc<StateCache>,
    pub(in crate::engine) client: Arc<Client>,
    pub(in crate::engine) throttle: Throttle,
    pub(in crate::engine) poller: Poller,
    pub(in crate::engine) listener: Listener,
    pub(in crate::engine) stop: Shutdown,
    pub(in crate::engine) root: PathBuf,
    /// Finds uploads that another machine finished.
    pub(in crate::engine) finished: FinishedUploads,
    pub(in crate::engine) uploads: UploadSlots,
    /// The urgency of the steps.
    pub(in crate::engine) urgency: Urgency,
    /// The files of this plan.
    pub(in crate::engine) files: Arc<LookedAt>,
    /// The digests of each address's desired state, against which a refusal is recorded.
    pub(in crate::engine) input_digests: Arc<BTreeMap<Address, Subjects>>,
    /// Creators for which the key has no permission.
    pub(in crate::engine) forbidden: Forbidden,
    /// Failures that concern every request.
    pub(in crate::engine) outages: Outages,
    /// Whether the results of uploads can be read.
    pub(in crate::engine) results: ResultBreaker,
    /// What was fetched just before.
    pub(in crate::engine) heads: FetchedHeads,
    /// The changes that abandon creates in doubt, by address: recorded when the next create begins.
    pub(in crate::engine) abandoned_creates: Arc<BTreeMap<Address, Vec<Change>>>,
    /// Triggered when the desired state of the address changes: ends a wait between two tries.
    pub(in crate::engine) superseded: Shutdown,
    /// The effect of a panic in a step.
    pub(in crate::engine) panics: Panics,
    /// The state's generation at the time of the plan, see [`StateCache::generation`].
    pub(in crate::engine) generation: u64,
    /// The checkout for which the steps were planned.
    pub(in crate::engine) checkout: Checkout,
    /// A person's command repeats the request that it settles; no plan would.
    pub(in crate::engine) by_hand: bool,
}

/// The effect of a panic in a step, which is a defect of Macadam in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Panics {
    /// Ends the run in order, with a reason.
    EndTheRun,
    /// Propagates to the caller, which catches it: other addresses are not affected.
    GoOn,
}

/// Creators for which the key has no permission, with Roblox's message. Shared by the whole run.
pub(crate) type Forbidden = Arc<Mutex<BTreeMap<Creator, String>>>;

impl Runner for Executor {
    async fn run(&self, step: &Step) -> Outcome {
        let mut due = step.not_before;
        let mut last = None;
        let mut tries = 0_u32;
        loop {
            self.tell_of_the_wait(step, due, last.is_some());
            if !self.wait_until(due).await {
                return last.map_or(Outcome::NotBegun, |message| Outcome::TryLater { message });
            }
            let outcome = match self.caught(step).await {
                // The run ended while the step waited for its next try; the reason of that wait is
                // still reported.
                Ok(StepResult::Ended(Outcome::NotBegun)) if let Some(message) = last => Outcome::TryLater { message },
                Ok(StepResult::Ended(outcome)) => {
                    if outcome.is_done() {
                        self.outages.end();
                    }
                    outcome
                }
                Ok(StepResult::Again { message }) if self.stop.is_triggered() => Outcome::TryLater { message },
                Ok(StepResult::Again { message }) if self.outages.ends_the_run(&message) => {
                    self.stop.trigger(Stop::Clock { message: untimely(&message, clock::now()) });
                    Outcome::TryLater { message }
                }
                Ok(StepResult::Again { message }) => {
                    self.tell_of_another_try(step, &message, last.as_ref() == Some(&message));
                    tries = tries.saturating_add(1);
                    due = Some(self.next_try(&step.address, tries));
                    last = Some(message);
                    continue;
                }
                Err(error) => {
                    let message = with_causes(&error);
                    self.stop.trigger(stop_for(&error));
                    Outcome::TryLater { message }
                }
            };
            let (step, ended) = (Box::new(step.clone()), outcome.clone());
            (self.listener)(ProgressEvent::Finished { step, outcome: ended });
            return outcome;
        }
    }
}

impl Executor {
    /// Logs that a step is tried again. The same reason is told once, and one that every request
    /// meets once for all of them.
    fn tell_of_another_try(&self, step: &Step, message: &str, is_told: bool) {
        let (address, action) = (&step.address, step.action.name());
        let until = self.stop.ends_at().map(|at| format!(" until {}", Minute(at))).unwrap_or_default();
        let end = if message.ends_with('?') { "" } else { "." };
        if self.outages.is_news(message) {
            tracing::warn!("{message}{end} Macadam tries again{until}");
        } else if is_told || self.outages.is_one(message) {
            tracing::debug!(%address, action, "{message}{end} Macadam tries again{until}");
        } else {
            tracing::warn!(%address, action, "{message}{end} Macadam tries again{until}");
        }
    }

    /// Tells the listener how long a step waits for its next try.
    fn tell_of_the_wait(&self, step: &Step, due: Option<Timestamp>, was_tried: bool) {
        let (address, wait) = (step.address.clone(), rest(due));
        if wait.is_some() || was_tried {
            let lost_answer = !was_tried && self.abandoned_creates.contains_key(&address);
            (self.listener)(ProgressEvent::Delayed { address, wait: wait.unwrap_or_default(), lost_answer });
        }
    }

    /// Tries the step once. A panic ends the run in order, or propagates to the caller.
    async fn caught(&self, step: &Step) -> Result<StepResult, StateCacheError> {
        let tried = match self.panics {
            Panics::EndTheRun => match self.stop.catch(self.try_step(step)).await {
                Ok(tried) => tried,
                Err(message) => Ok(StepResult::Ended(Outcome::TryLater { message })),
            },
            Panics::GoOn => self.try_step(step).await,
        };
        match tried {
            Ok(result) | Err(StepError::Over(result)) => Ok(result),
            Err(StepError::StateCache(error)) => Err(error),
        }
    }

    async fn try_step(&self, step: &Step) -> Result<StepResult, StepError> {
        let address = &step.address;
        match &step.action {
            Action::Create(new) => self.create(address, new, None).await,
            Action::Replace { new, old } => self.create(address, new, Some(*old)).await,
            Action::UpdateContent { asset_id, head, identity, content, .. } => {
                self.update_content(address, identity, *asset_id, *head, *content).await
            }
            Action::UpdateMetadata { asset_id, changes, repairs } => {
                self.update_metadata(address, *asset_id, changes, *repairs).await
            }
            Action::Share { owner, key, identity, content, restores, .. } => {
                let key = key.map(|key| (key, *restores));
                self.share(address, owner, key, identity, *content).await
            }
            Action::PointBack { to, .. } => self.point_back(address, *to).await,
            Action::Rollback { asset_id, to } => self.roll_back(address, *asset_id, *to).await,
            Action::Archive { asset_id, why } => self.archive(address, *asset_id, *why).await,
            Action::Restore { asset_id, repairs } => self.bring_back(address, *asset_id, *repairs).await,
            Action::Move { .. } => Ok(self.moved(address)),
            Action::Wait { attempt } => self.follow(*attempt, None).await,
            Action::Settle { attempt } => self.settle_in_doubt(*attempt).await,
        }
    }

    async fn create(
        &self,
        address: &Address,
        new: &NewAsset,
        replaces: Option<AssetId>,
    ) -> Result<StepResult, StepError> {
        let costly = new.identity.asset_type.has_upload_quota() || new.expected_price.is_some_and(|price| price > 0);
        let upload = UploadId::new(fastrand::u64(..));
        self.require_recovered(address).await?;
        let intent = Intent::Create { upload, content: new.content, fields: new.fields.clone(), costly, replaces };
        let slot = self.slot().await?;
        let upload = self.open(address)?;
        let request = CreateRequest {
            asset_type: new.identity.asset_type,
            display_name: new.display_name.clone(),
            description: new.description.clone(),
            creator: new.identity.creator,
            expected_price: new.expected_price,
            privacy: new.identity.privacy,
        };
        let write = Write {
            address,
            identity: new.identity.clone(),
            intent,
            endpoint: Endpoint::CreateAsset,
            upload: Some((slot, new.size)),
        };
        self.write(write, async |hand_over| self.client.create_asset(&request, upload, hand_over).await).await
    }

    async fn update_content(
        &self,
        address: &Address,
        identity: &Identity,
        asset_id: AssetId,
        head: Option<Revision>,
        content: ContentHash,
    ) -> Result<StepResult, StepError> {
        // Fetched after the wait for the upload slot: an earlier observation could be old by then.
        let slot = self.slot().await?;
        // A newer revision may be a deploy that this checkout has not pulled. It is never
        // overwritten unseen.
        let seen = match self.fetch_head(address, asset_id).await? {
            Lookup::Present(asset) => asset,
            Lookup::Gone => return self.not_found(address, asset_id).await,
        };
        if seen.revision > head {
            self.state_cache
                .commit_with(|recorded| match recorded.assets.get(address) {
                    Some(record) => effects::made_elsewhere(address, record, &seen, clock::now()),
                    None => Vec::new(),
                })
                .await?;
            return Ok(superseded("somebody else changed it at Roblox"));
        }
        // Or an older one was made current. A plan that knew of it wants it overwritten.
        let is_news = self.state_cache.read(|recorded| {
            let known = recorded.observed(asset_id).and_then(|known| known.asset.revision);
            known != seen.revision && !recorded.may_lag(asset_id, clock::now())
        });
        if seen.revision.is_some() && seen.revision < head && is_news {
            self.state_cache.commit_with(|recorded| observe::observed(recorded, &seen, clock::now())).await?;
            return Ok(superseded("somebody else made an older revision current at Roblox"));
        }
        let upload = self.open(address)?;
        let intent = Intent::UpdateContent { asset_id, content, head };
        let identity = identity.clone();
        let slot = Some((slot, upload.length));
        let write = Write { address, identity, intent, endpoint: Endpoint::UpdateAsset, upload: slot };
        let request = UpdateRequest { asset_id, fields: Vec::new(), content: Some(upload) };
        self.write(write, async |hand_over| self.client.update_asset(request, hand_over).await).await
    }

    /// Sends one write to the remote, with its journal entries.
    pub(in crate::engine) async fn write(
        &self,
        write: Write<'_>,
        send: impl AsyncFnOnce(HandOver) -> ApiReply<Submitted>,
    ) -> Result<StepResult, StepError> {
        let permit = self.permit(write.endpoint, write.identity.creator).await?;
        let new_asset = write.intent.upload().is_some();
        if let Some(outcome) = self.unreadable().or_else(|| self.quota_of(&write.identity)).filter(|_| new_asset) {
            self.throttle.release_unsent(permit);
            return Ok(StepResult::Ended(outcome));
        }
        let abandoned_creates = match write.intent {
            Intent::Create { .. } => self.abandoned_creates.get(write.address).map(Vec::as_slice).unwrap_or_default(),
            _ => &[],
        };
        let begun = self
            .state_cache
            .begin(write.address, write.identity, write.intent, abandoned_creates, self.generation, &self.checkout)
            .await;
        let attempt = match begun {
            Ok(Some(attempt)) => attempt,
            Ok(None) => {
                self.throttle.release_unsent(permit);
                let is_new = self.state_cache.generation() != self.generation;
                return Ok(if is_new { written_anew() } else { superseded(WENT_ON) });
            }
            Err(error) => {
                self.throttle.release_unsent(permit);
                return Err(error.into());
            }
        };
        failpoint::hit("begun");
        if !abandoned_creates.is_empty() {
            let address = write.address;
            // A command tells it as a note of its plan.
            tracing::warn!(target: OUTCOMES, %address, "uploaded again, because the answer to the first upload got lost: it may exist twice on Roblox");
        }
        if let Some((_, bytes)) = write.upload {
            (self.listener)(ProgressEvent::Uploading { address: write.address.clone(), bytes });
        }
        let reply = self.send(attempt, permit, send).await;
        // Roblox may process it for minutes; others upload meanwhile.
        drop(write.upload);
        self.handle_response(attempt, reply).await
    }

    /// Waits for the permit of a request that changes something of this creator.
    pub(super) async fn permit(&self, endpoint: Endpoint, creator: Creator) -> Result<ThrottlePermit, StepError> {
        let permit = self.turn(self.throttle.acquire(endpoint, self.urgency)).await?;
        // Checked at the last moment: both came at once, or a response to another step decided it
        // during the wait.
        let stopped = match self.superseded.is_triggered() {
            true => self.cancelled(),
            false => match self.forbidden_to(creator) {
                Some(outcome) => StepResult::Ended(outcome),
                None => return Ok(permit),
            },
        };
        self.throttle.release_unsent(permit);
        Err(stopped.into())
    }

    /// Sends the request of an open attempt. Every request that changes something goes through here,
    /// and so through the hand-over.
    pub(super) async fn send(
        &self,
        attempt: AttemptId,
        permit: ThrottlePermit,
        send: impl AsyncFnOnce(HandOver) -> ApiReply<Submitted>,
    ) -> ApiReply<Submitted> {
        let (state_cache, generation) = (Arc::clone(&self.state_cache), self.generation);
        let hand_over: HandOver = Box::pin(async move {
            let written = state_cache.hand_over(attempt, generation).await;
            failpoint::hit("handed_over");
            written.map_err(|error| with_causes(&error).into())
        });
        let reply = send(hand_over).await;
        failpoint::hit("answered");
        self.throttle.release(permit, &reply);
        reply
    }

    /// Waits for an upload slot. Acquire it before opening the file, so that few files are open at
    /// once.
    pub(in crate::engine) async fn slot(&self) -> Result<UploadSlot, StepError> {
        self.turn(self.uploads.acquire(self.urgency)).await
    }

    /// Waits before anything is sent. A newer desired state ends the wait, and so does the end of
    /// the run.
    async fn turn<T>(&self, turn: impl Future<Output = T>) -> Result<T, StepError> {
        self.stop.or(self.superseded.or(turn)).await.flatten().ok_or_else(|| self.cancelled().into())
    }

    /// Returns why a wait ended without a slot or permit.
    pub(in crate::engine) fn cancelled(&self) -> StepResult {
        if self.stop.is_triggered() { run_ends() } else { superseded("something newer is wanted") }
    }

    /// Opens the file of an address for upload, as the bytes that were hashed.
    pub(in crate::engine) fn open(&self, address: &Address) -> Result<UploadBody, StepError> {
        let Some((path, facts)) = self.files.get(address) else {
            return Err(superseded("its file can no longer be used").into());
        };
        match files::open_upload(&self.root, path, facts) {
            Ok(reader) => Ok(UploadBody {
                reader: Box::new(reader),
                length: facts.size,
                file_name: path.file_name().to_owned(),
                mime: facts.format.mime(),
            }),
            Err(error) => Err(superseded(&with_causes(&error)).into()),
        }
    }

    pub(in crate::engine) fn record(&self, address: &Address) -> Option<Record> {
        self.state_cache.read(|recorded| recorded.assets.get(address).cloned())
    }

    /// Returns the outcome of a completed step, with the revision number that people see.
    pub(in crate::engine) fn done(&self, address: &Address, key: RevisionKey) -> Outcome {
        let number = self.record(address).map(|record| record.history.number(key)).filter(|number| *number > 0);
        Outcome::Done { asset_id: key.asset_id, revision: number }
    }

    fn forbidden_to(&self, creator: Creator) -> Option<Outcome> {
        let message = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).get(&creator)?.clone();
        Some(forbidden_outcome(creator, message))
    }

    /// Returns why no new asset of this kind is uploaded now: the quota was spent during the wait.
    fn quota_of(&self, identity: &Identity) -> Option<Outcome> {
        let message = self.state_cache.read(|recorded| {
            let spent = recorded.spent_quota(identity.creator, identity.asset_type, clock::now())?;
            Some(format!("an upload quota is used up: {}", spent.message))
        })?;
        Some(Outcome::TryLater { message })
    }

    /// Returns why no new asset is uploaded now: its ID would be lost.
    fn unreadable(&self) -> Option<Outcome> {
        let count = self.results.stops(clock::elapsed())?;
        let message = format!(
            "not uploaded: Roblox's answers to the last {count} uploads can't be understood, so their asset IDs are unknown"
        );
        let hint =
            "look for a newer macadam; `macadam status` names the assets to look for at create.roblox.com".to_owned();
        Some(Outcome::Refused { message, hint: Some(hint) })
    }

    /// Returns when a step that was tried `tries` times is tried again: when its address is due,
    /// according to the state. A refusal stays recorded in place of a failure, and another address
    /// may have failed; then the step has a back-off of its own. No step is tried again at once.
    fn next_try(&self, address: &Address, tries: u32) -> Timestamp {
        let now = clock::now();
        let due = self.record(address).and_then(|record| match *record.blocked? {
            Blocked::Retrying { next_at, .. } => Some(next_at),
            Blocked::Refused { .. } => None,
        });
        let own = Backoff::ADDRESS.delay(tries, fastrand::f64());
        due.filter(|due| *due > now).unwrap_or_else(|| now.saturating_add(own).unwrap_or(Timestamp::MAX))
    }

    /// Waits until `due`. Returns `false` if the run ends first.
    async fn wait_until(&self, due: Option<Timestamp>) -> bool {
        match rest(due) {
            Some(wait) => {
                let rest = self.superseded.or(tokio::time::sleep(wait));
                self.stop.or(rest).await.flatten().is_some()
            }
            None => !self.stop.is_triggered(),
        }
    }
}

/// Returns how long a step that is due then waits, if it does. No back-off is longer than the
/// longest: such a one was recorded by a clock that was set back since, and isn't waited for.
fn rest(due: Option<Timestamp>) -> Option<Duration> {
    let wait = due?.duration_since(clock::now());
    let wait = Some(wait).filter(|wait| wait.is_positive()).map(SignedDuration::unsigned_abs);
    wait.filter(|wait| *wait <= Backoff::ADDRESS.longest())
}
