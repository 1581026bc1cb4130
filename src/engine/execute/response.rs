//! Decides what a response, or a missing one, means for its step.
//!
//! The client has classified the response. Here the classes become phases of the journal, back-off
//! of the address, and outcomes. Read next: [`super::effects`].

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::backoff::Backoff;
use crate::cloud::class::{self, Class, Later, Refusal, Unsent};
use crate::cloud::endpoint::{Endpoint, RawLimitHeaders};
use crate::cloud::failure::{ApiReply, Failure};
use crate::cloud::poll::{OperationAction, OperationKind};
use crate::cloud::wire::error::Shape;
use crate::cloud::wire::operation::{OperationFailure, Submitted};
use crate::engine::execute::effects::{self, Settled};
use crate::engine::execute::executor::{Executor, Lookup, StepError, StepResult, chain, run_ends, superseded};
use crate::engine::remote::poller::{Followed, Subject};
use crate::engine::report::progress::ProgressEvent;
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::digest::{self, FieldDigest};
use crate::model::event::EventKind;
use crate::model::history::Kind;
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::metadata::{Field, FieldDigests};
use crate::model::observation::Mismatch;
use crate::model::phase::{Intent, IntentKind, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Blocked, Recorded, RefusalKind, SpentQuota};
use crate::model::remote::RemoteAsset;
use crate::plan::in_doubt;
use crate::platform::{clock, failpoint};

/// The number of times that an asset is fetched again for the texts of an update, since reads lag
/// behind writes. After that the texts are accepted: an old text recorded beside the requested one
/// does no harm.
const READS_OF_TEXTS: u32 = 5;

/// The number of times that it is fetched again before a content or a rollback counts as refused.
/// The waits between them add up to more than [`READ_LAG`](crate::model::observation::READ_LAG).
const READS_OF_CONTENT: u32 = 8;

/// The least time until a spent quota is tried again, unless Roblox names a longer one. The known
/// quotas last a day (videos) and a month (sounds), and their start is unknown. So at most a few
/// uploads an hour try it.
const QUOTA_ASKED_AGAIN: SignedDuration = SignedDuration::from_hours(1);

impl Executor {
    /// Handles the response to a write.
    pub(in crate::engine) async fn handle_response(
        &self,
        id: AttemptId,
        reply: ApiReply<Submitted>,
    ) -> Result<StepResult, StepError> {
        let stated = reply.head.as_ref().and_then(|head| stated_wait(&head.limits));
        match reply.result {
            Ok(Submitted::Operation(operation)) => {
                self.state_cache.advance(id, PhaseEvent::Accept(operation)).await?;
                failpoint::hit("accepted");
                // Not since the attempt began: an attempt in doubt for an hour may just have been
                // sent again.
                self.follow(id, Some(clock::now())).await
            }
            Ok(Submitted::Done(asset)) => self.finish(id, asset).await,
            Ok(Submitted::Fields(_)) => {
                let asset_id = self.attempt(id).and_then(|attempt| attempt.intent.asset_id());
                match asset_id {
                    Some(asset_id) => self.finish_by_fetching(id, asset_id).await,
                    None => self.hold(id, "Roblox's answer does not name the new asset").await,
                }
            }
            Err(failure) if failure.class == Class::TryLater(Later::QuotaSpent) => {
                self.quota_spent(id, PhaseEvent::NotCarriedOut, &failure.message, stated).await
            }
            Err(failure) => self.failed(id, failure).await,
        }
    }

    /// Records that the creator's quota for the type is spent. Uploads of the kind wait until it
    /// may be over; the file is not at fault.
    async fn quota_spent(
        &self,
        id: AttemptId,
        event: PhaseEvent,
        said: &str,
        stated: Option<SignedDuration>,
    ) -> Result<StepResult, StepError> {
        let until =
            clock::now().saturating_add(stated.unwrap_or_default().max(QUOTA_ASKED_AGAIN)).unwrap_or(Timestamp::MAX);
        let spent = SpentQuota { until, message: said.trim_end_matches('.').to_owned() };
        self.state_cache
            .commit_with(|recorded| {
                let Some(attempt) = recorded.attempts.get(&id) else { return Vec::new() };
                let Kind { creator, asset_type } = attempt.kind;
                vec![
                    Change::Advance { attempt: id, event: event.clone() },
                    Change::SetSpentQuota { creator, asset_type, spent: Some(spent.clone()) },
                ]
            })
            .await?;
        Ok(StepResult::Ended(Outcome::TryLater { message: format!("an upload quota is used up: {said}") }))
    }

    /// Completes an attempt whose response holds only the changed fields: the stored values are
    /// fetched.
    async fn finish_by_fetching(&self, id: AttemptId, asset_id: AssetId) -> Result<StepResult, StepError> {
        let Some(attempt) = self.attempt(id) else { return Ok(superseded("it is no longer under way")) };
        // The asset was just changed; a failed fetch doesn't undo that.
        let asset = self.glance(&attempt.address, asset_id).await?.unwrap_or_else(|| {
            let seen = self.state_cache.read(|recorded| recorded.seen.get(&asset_id).map(|seen| seen.asset.clone()));
            seen.unwrap_or_else(|| RemoteAsset::unknown(asset_id))
        });
        self.finish(id, asset).await
    }

    async fn failed(&self, id: AttemptId, failure: Failure) -> Result<StepResult, StepError> {
        let message = chain(&failure);
        match failure.class {
            // The file changed during the upload. The next scan sees new content, without a
            // back-off.
            Class::NeverSent(Unsent::Content) => {
                self.state_cache.advance(id, PhaseEvent::NotCarriedOut).await?;
                Ok(superseded(&message))
            }
            Class::NeverSent(Unsent::Connection | Unsent::Record) | Class::TryLater(_) => {
                self.not_carried_out(id, message).await
            }
            Class::Refused(refusal) => self.refused(id, refusal, &failure).await,
            // Roblox accepted it in a form that this version doesn't know: a repeated upload would
            // probably be a duplicate.
            Class::InDoubt if is_unknown_success(&failure) => self.hold(id, &message).await,
            // A failed write has neither of the last two classes; if it had, nothing would be
            // known.
            Class::InDoubt | Class::CouldNotAsk => self.mark_in_doubt(id, &message).await,
        }
    }

    async fn refused(&self, id: AttemptId, refusal: Refusal, failure: &Failure) -> Result<StepResult, StepError> {
        let Some(attempt) = self.attempt(id) else { return Ok(superseded("it is no longer under way")) };
        let message = failure.to_string();
        match refusal {
            Refusal::KeyRefused | Refusal::MissingScope | Refusal::AccountModerated => {
                // Before anything else, so that no waiting request gets a permit.
                self.stop_for_credential(failure);
                self.state_cache.advance(id, PhaseEvent::NotCarriedOut).await?;
                Ok(StepResult::Again { message })
            }
            Refusal::PermissionDenied => {
                let creator = attempt.kind.creator;
                {
                    // Before any await, so that the next step knows it.
                    let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
                    forbidden.insert(creator, message.clone());
                }
                self.state_cache.advance(id, PhaseEvent::NotCarriedOut).await?;
                Ok(StepResult::Ended(forbidden_outcome(creator, message)))
            }
            // The API's address is wrong, or a proxy refused the request: that says nothing about
            // the asset.
            Refusal::NoRoute | Refusal::Intercepted => {
                self.state_cache.advance(id, PhaseEvent::NotCarriedOut).await?;
                Ok(StepResult::Ended(Outcome::Refused { message, hint: failure.hint().map(str::to_owned) }))
            }
            Refusal::NotFound if let Some(asset_id) = attempt.intent.asset_id() => {
                self.state_cache.advance(id, PhaseEvent::NotCarriedOut).await?;
                self.not_found(&attempt.address, asset_id).await
            }
            Refusal::Invalid if let Some((asset_id, aim)) = Aim::of(&attempt.intent) => {
                // An earlier request may have arrived although its response was lost, and Roblox
                // may refuse the second one.
                match self.glance(&attempt.address, asset_id).await? {
                    Some(asset) if aim.is_reached(&asset) => self.finish(id, asset).await,
                    Some(_) | None => {
                        let hint = failure.hint().map(str::to_owned);
                        self.refuse(id, &attempt, RefusalKind::Other, &failure.message, hint).await
                    }
                }
            }
            Refusal::NotFound
            | Refusal::NameModerated
            | Refusal::DescriptionModerated
            | Refusal::ContentModerated
            | Refusal::TooLarge
            | Refusal::Invalid => {
                let said = if failure.message.is_empty() { message } else { failure.message.clone() };
                self.refuse(id, &attempt, refusal_kind(refusal), &said, failure.hint().map(str::to_owned)).await
            }
        }
    }

    /// Records that Roblox refused the step: it waits for a change or for `retry`.
    async fn refuse(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        refusal_kind: RefusalKind,
        said: &str,
        hint: Option<String>,
    ) -> Result<StepResult, StepError> {
        let why = (self.input_digest(attempt), refusal_kind);
        self.state_cache
            .commit_with(|recorded| {
                effects::refused(id, attempt, recorded.assets.get(&attempt.address), why, said, clock::now())
            })
            .await?;
        tracing::error!(address = %attempt.address, action = attempt.intent.name(), "Roblox refused it: {said}");
        Ok(StepResult::Ended(Outcome::Refused { message: format!("Roblox refused it: {said}"), hint }))
    }

    /// Records that the request had no effect. The step may be tried again after its back-off.
    async fn not_carried_out(&self, id: AttemptId, message: String) -> Result<StepResult, StepError> {
        self.back_off_after(id, PhaseEvent::NotCarriedOut, &message).await?;
        Ok(StepResult::Again { message })
    }

    /// Records that the outcome is in doubt: the next plan decides, by fetching the asset or by the
    /// policy.
    async fn mark_in_doubt(&self, id: AttemptId, message: &str) -> Result<StepResult, StepError> {
        self.back_off_after(id, PhaseEvent::Doubt, message).await?;
        Ok(StepResult::Ended(Outcome::InDoubt { message: message.to_owned() }))
    }

    /// Records a success that can't be read: a new asset waits for a person, a changed one is
    /// fetched.
    async fn hold(&self, id: AttemptId, message: &str) -> Result<StepResult, StepError> {
        let upload = self.attempt(id).and_then(|attempt| attempt.intent.upload());
        if upload.is_none() {
            return self.mark_in_doubt(id, message).await;
        }
        self.results.unreadable(clock::elapsed());
        self.back_off_after(id, PhaseEvent::Hold, message).await?;
        Ok(StepResult::Ended(Outcome::InDoubt { message: message.to_owned() }))
    }

    /// Advances an attempt and makes its address back off, in one transaction.
    async fn back_off_after(&self, id: AttemptId, event: PhaseEvent, message: &str) -> Result<(), StateCacheError> {
        let jitter = fastrand::f64();
        let decide = |recorded: &Recorded| {
            let Some(attempt) = recorded.attempts.get(&id) else { return Vec::new() };
            let input_digest = self.input_digest(attempt);
            let record = recorded.assets.get(&attempt.address);
            let blocked = effects::failed(record, input_digest, message, jitter, clock::now());
            let mut changes = vec![Change::Advance { attempt: id, event: event.clone() }];
            changes.push(Change::SetBlocked { address: attempt.address.clone(), blocked: Some(blocked) });
            if matches!(event, PhaseEvent::Doubt | PhaseEvent::Hold) {
                let event = EventKind::InDoubt { action: attempt.intent.kind(), message: message.to_owned() };
                changes.push(Change::log(&attempt.address, event));
            }
            changes
        };
        self.state_cache.commit_with(decide).await.map(|_| ())
    }

    /// Follows the operation of an attempt to its end. `since` is its submission; `None` if an
    /// earlier run submitted it, about when the attempt began.
    pub(in crate::engine) async fn follow(
        &self,
        id: AttemptId,
        since: Option<Timestamp>,
    ) -> Result<StepResult, StepError> {
        let Some(attempt) = self.attempt(id) else { return Ok(superseded("it is no longer under way")) };
        let Phase::Submitted(operation) = &attempt.phase else { return Ok(superseded("it is no longer polled")) };
        (self.listener)(ProgressEvent::Accepted { address: attempt.address.clone() });
        let asset_type = attempt.kind.asset_type;
        let action = match attempt.intent {
            Intent::Create { .. } => OperationAction::Create,
            Intent::UpdateContent { .. } => OperationAction::UpdateContent,
            Intent::UpdateMetadata { .. }
            | Intent::Rollback { .. }
            | Intent::Archive { .. }
            | Intent::Restore { .. } => OperationAction::UpdateMetadata,
        };
        let input_digest = Subject {
            operation: operation.clone(),
            kind: OperationKind { asset_type, action },
            about: attempt.intent.asset_id(),
            since: since.unwrap_or(attempt.begun_at),
        };
        // Once the operation takes longer than any that succeeds, a newer desired state of the
        // address ends the wait.
        let cancelled = async {
            self.superseded.or(std::future::pending::<()>()).await;
            tokio::time::sleep(in_doubt::patience_left(&attempt, clock::now())).await;
        };
        let followed = tokio::select! {
            followed = self.stop.or(self.poller.follow(id, input_digest)) => followed,
            () = cancelled => return Ok(superseded("its operation is waited for no longer than something else is wanted")),
        };
        let running = || format!("Roblox still works on operation {operation}; the next run goes on waiting");
        match followed {
            None => Ok(StepResult::Ended(Outcome::Running { reason: running() })),
            Some(Followed::Outlived) => Ok(StepResult::Ended(Outcome::Running { reason: running() })),
            Some(Followed::Done(asset)) => {
                failpoint::hit("operation_done");
                self.finish(id, *asset).await
            }
            Some(Followed::Failed(failure)) => self.operation_failed(id, &attempt, failure).await,
            Some(Followed::DoneWithNothing) => {
                self.hold(id, &format!("operation {operation} ended without a result or an error")).await
            }
            Some(Followed::Lost) => self.mark_in_doubt(id, &format!("Roblox no longer knows operation {operation}")).await,
            Some(Followed::Refused(failure)) => {
                let message = failure.to_string();
                self.stop_for_credential(&failure);
                Ok(StepResult::Ended(Outcome::TryLater { message }))
            }
        }
    }

    /// Handles an operation that ended with an error: its class decides whether the step is sent
    /// again.
    async fn operation_failed(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        failure: OperationFailure,
    ) -> Result<StepResult, StepError> {
        let class = class::of_operation(failure.code.as_deref(), &failure.message);
        let code = failure.code.unwrap_or_default();
        let said = if failure.message.is_empty() { code } else { failure.message };
        match class {
            Class::TryLater(Later::QuotaSpent) => self.quota_spent(id, PhaseEvent::Refuse, &said, None).await,
            Class::TryLater(_) => {
                let message = format!("Roblox's operation failed: {said}");
                self.back_off_after(id, PhaseEvent::Refuse, &message).await?;
                Ok(StepResult::Again { message })
            }
            Class::Refused(Refusal::AccountModerated) => {
                self.stop.trigger(Stop::Credential { message: said.clone(), hint: String::new() });
                self.state_cache.advance(id, PhaseEvent::Refuse).await?;
                Ok(StepResult::Again { message: said })
            }
            Class::Refused(refusal) => {
                self.refuse(id, attempt, refusal_kind(refusal), &said, class.hint().map(str::to_owned)).await
            }
            Class::NeverSent(_) | Class::InDoubt | Class::CouldNotAsk => {
                self.refuse(id, attempt, RefusalKind::Other, &said, class.hint().map(str::to_owned)).await
            }
        }
    }

    /// Records that an attempt is done, with all changes that follow.
    pub(in crate::engine) async fn finish(&self, id: AttemptId, asset: RemoteAsset) -> Result<StepResult, StepError> {
        let Some(attempt) = self.attempt(id) else { return Ok(superseded("it is no longer under way")) };
        let mismatch = match &attempt.intent {
            // The address may have another owner by now.
            Intent::Create { .. } => Mismatch::of(attempt.kind, &asset),
            _ => self.mismatch(&attempt.address, attempt.intent.asset_id(), &asset),
        };
        if let Some(mismatch) = mismatch
            && !matches!(attempt.intent, Intent::Create { .. })
        {
            self.state_cache.advance(id, PhaseEvent::Refuse).await?;
            return self.foreign(&attempt.address, mismatch, asset).await;
        }
        let asset = self.newest_after_update(id, asset).await?;
        let mut settled: Option<(Settled, Attempt)> = None;
        self.state_cache
            .commit_with(|recorded| {
                let Some(attempt) = recorded.attempts.get(&id) else { return Vec::new() };
                let Some(record) = recorded.assets.get(&attempt.address) else { return Vec::new() };
                let (now, seen) = (clock::now(), recorded.seen.get(&asset.asset_id));
                let before = seen.filter(|_| recorded.may_lag(asset.asset_id, now));
                let asset = before.map_or(asset.clone(), |seen| effects::since(&attempt.intent, &seen.asset, &asset));
                let done = effects::completed(id, attempt, record, &asset, now);
                let mut changes = done.changes.clone();
                // An operation that ended long ago describes the asset of that time; a later
                // observation counts instead.
                let later = |asset: &RemoteAsset| {
                    let seen = recorded.seen.get(&asset.asset_id);
                    seen.is_some_and(|seen| seen.asset.revision > asset.revision)
                };
                changes.retain(|change| !matches!(change, Change::RecordObservation { asset } if later(asset)));
                let Kind { creator, asset_type } = attempt.kind;
                if attempt.intent.upload().is_some() && recorded.quotas.contains_key(&(creator, asset_type)) {
                    changes.push(Change::SetSpentQuota { creator, asset_type, spent: None });
                }
                if let Intent::Restore { asset_id } = attempt.intent {
                    changes.extend(effects::restored(recorded, asset_id));
                }
                settled = Some((done, attempt.clone()));
                changes
            })
            .await?;
        failpoint::hit("settled");
        let Some((settled, attempt)) = settled else { return Ok(superseded("it is no longer under way")) };
        let asset_id = settled.key.asset_id;
        // Its ID is kept, but the plan doesn't use it.
        if let Some(mismatch) = mismatch {
            let (message, hint) = (mismatch.to_string(), Some(mismatch.hint().to_owned()));
            return Ok(StepResult::Ended(Outcome::Refused { message, hint }));
        }
        if attempt.intent.upload().is_some() {
            self.results.readable();
        }
        if settled.rejected {
            let message = format!("asset {asset_id} was made, but moderation rejected it");
            let hint = Some("change the file: uploading the same again risks the account".to_owned());
            return Ok(StepResult::Ended(Outcome::Refused { message, hint }));
        }
        tracing::debug!(address = %attempt.address, action = attempt.intent.name(), %asset_id, "done");
        Ok(StepResult::Ended(self.done(&attempt.address, settled.key)))
    }

    /// Fetches the asset again while it still shows the values of before: the read may lag, or
    /// Roblox may not have done what it said.
    async fn newest_after_update(&self, id: AttemptId, mut asset: RemoteAsset) -> Result<RemoteAsset, StepError> {
        for read in 0.. {
            let clash = self.state_cache.read(|recorded| clashes(recorded, id, &asset));
            let Some(attempt) = clash else { return Ok(asset) };
            let reads = match attempt.intent {
                Intent::UpdateContent { .. } | Intent::Rollback { .. } => READS_OF_CONTENT,
                _ => READS_OF_TEXTS,
            };
            if read == reads {
                let message = match attempt.intent {
                    Intent::UpdateContent { .. } => "Roblox took the content without making a new revision of it",
                    Intent::Rollback { .. } => "Roblox agreed to the rollback without making the revision current",
                    // It stored the old text again, which is recorded beside the requested one.
                    _ => return Ok(asset),
                };
                return Err(self.refuse(id, &attempt, RefusalKind::Other, message, None).await?.into());
            }
            if self.stop.or(tokio::time::sleep(Backoff::POLL.delay(read, 0.5))).await.is_none() {
                return Err(StepResult::Ended(Outcome::Running { reason: "the run ends".to_owned() }).into());
            }
            asset = self.glance(&attempt.address, asset.asset_id).await?.unwrap_or(asset);
        }
        Ok(asset)
    }

    /// Fetches an asset once, for a step of `address`, which backs off on failure.
    pub(in crate::engine) async fn fetch_asset(&self, address: &Address, asset_id: AssetId) -> Result<Lookup, StepError> {
        let Some(permit) = self.stop.or(self.throttle.acquire(Endpoint::GetAsset)).await else {
            return Err(run_ends().into());
        };
        let reply = self.client.get_asset(asset_id, &[]).await;
        self.throttle.release(permit, &reply);
        let failure = match reply.result {
            Ok(asset) => return self.vouched(address, asset_id, asset).await,
            Err(failure) => failure,
        };
        match failure.class {
            Class::Refused(Refusal::NotFound) => Ok(Lookup::Gone),
            _ => Err(self.fetch_failed(address, failure).await?.into()),
        }
    }

    /// Fetches an asset where the step goes on without it.
    async fn glance(&self, address: &Address, asset_id: AssetId) -> Result<Option<RemoteAsset>, StateCacheError> {
        match self.fetch_asset(address, asset_id).await {
            Ok(Lookup::Present(asset)) => Ok(Some(*asset)),
            Ok(Lookup::Gone) | Err(StepError::Over(_)) => Ok(None),
            Err(StepError::StateCache(error)) => Err(error),
        }
    }

    /// Returns what a failed fetch means for a step of `address`.
    pub(in crate::engine) async fn fetch_failed(
        &self,
        address: &Address,
        failure: Failure,
    ) -> Result<StepResult, StepError> {
        let message = chain(&failure);
        Ok(match failure.class {
            Class::Refused(Refusal::KeyRefused | Refusal::MissingScope | Refusal::AccountModerated) => {
                self.stop_for_credential(&failure);
                StepResult::Again { message }
            }
            Class::Refused(_) => {
                StepResult::Ended(Outcome::Refused { message, hint: failure.hint().map(str::to_owned) })
            }
            Class::NeverSent(_) | Class::InDoubt | Class::TryLater(_) | Class::CouldNotAsk => {
                self.back_off(address, &message).await?;
                StepResult::Again { message }
            }
        })
    }

    /// Records that an observation rules out the desired state of an address: it waits for a
    /// change, or for `retry`.
    pub(in crate::engine) async fn refuse_desired(
        &self,
        address: &Address,
        action: IntentKind,
        message: &str,
    ) -> Result<(), StateCacheError> {
        let known = self.input_digests.get(address).map(|input_digests| input_digests.asset);
        let input_digest = known.unwrap_or_else(|| digest::input_digest(None, &FieldDigests::new()));
        let (message, at) = (message.to_owned(), clock::now());
        let blocked = Blocked::Refused { input_digest, action, refusal_kind: RefusalKind::Other, message, at };
        self.state_cache.commit(vec![Change::SetBlocked { address: address.clone(), blocked: Some(blocked) }]).await
    }

    /// Returns the fetched asset, unless it is a different one from the record of `address`.
    async fn vouched(&self, address: &Address, meant: AssetId, asset: RemoteAsset) -> Result<Lookup, StepError> {
        match self.mismatch(address, Some(meant), &asset) {
            Some(mismatch) => Err(self.foreign(address, mismatch, asset).await?.into()),
            None => Ok(Lookup::Present(Box::new(asset))),
        }
    }

    /// Returns why a response can't be about the asset of `address`, or about asset `meant` if one
    /// was requested.
    fn mismatch(&self, address: &Address, meant: Option<AssetId>, asset: &RemoteAsset) -> Option<Mismatch> {
        let found = asset.asset_id;
        let other = meant.filter(|meant| *meant != found).map(|meant| Mismatch::Asset { meant, found });
        other.or_else(|| Mismatch::of(self.record(address)?.kind_of(found), asset))
    }

    /// Records an observation of an asset that is not the recorded one: the plan holds its address
    /// from now on.
    pub(in crate::engine) async fn foreign(
        &self,
        address: &Address,
        mismatch: Mismatch,
        asset: RemoteAsset,
    ) -> Result<StepResult, StepError> {
        let message = mismatch.to_string();
        tracing::error!(%address, "{message}");
        let event = EventKind::AnotherAsset(mismatch);
        let mut changes = vec![Change::log(address, event)];
        if let Mismatch::Asset { .. } = mismatch {
            self.state_cache.commit(changes).await?;
            self.back_off(address, &message).await?;
            return Ok(StepResult::Ended(Outcome::TryLater { message }));
        }
        changes.push(Change::RecordObservation { asset });
        self.state_cache.commit(changes).await?;
        Ok(StepResult::Ended(Outcome::Refused { message, hint: Some(mismatch.hint().to_owned()) }))
    }

    /// Ends the run: the key was refused, lacks a scope, or its account is moderated.
    fn stop_for_credential(&self, failure: &Failure) {
        let hint = failure.hint().unwrap_or_default().to_owned();
        self.stop.trigger(Stop::Credential { message: failure.to_string(), hint });
    }

    pub(in crate::engine) fn attempt(&self, id: AttemptId) -> Option<Attempt> {
        self.state_cache.read(|recorded| recorded.attempts.get(&id).cloned())
    }

    /// Returns the digest against which a failure of an attempt is recorded: of that part of the
    /// address's desired state, or without one, of the attempt's content.
    fn input_digest(&self, attempt: &Attempt) -> FieldDigest {
        let known = self.input_digests.get(&attempt.address).map(|input_digests| match attempt.intent {
            Intent::UpdateMetadata { .. } => input_digests.metadata,
            _ => input_digests.asset,
        });
        known.unwrap_or_else(|| digest::input_digest(attempt.intent.content(), &FieldDigests::new()))
    }

    /// Makes an address back off after a failed request that changed nothing.
    pub(in crate::engine) async fn back_off(&self, address: &Address, message: &str) -> Result<(), StateCacheError> {
        let known = self.input_digests.get(address).map(|input_digests| input_digests.asset);
        let input_digest = known.unwrap_or_else(|| digest::input_digest(None, &FieldDigests::new()));
        let jitter = fastrand::f64();
        let decide = |recorded: &Recorded| {
            let Some(record) = recorded.assets.get(address) else { return Vec::new() };
            let blocked = effects::failed(Some(record), input_digest, message, jitter, clock::now());
            vec![Change::SetBlocked { address: address.clone(), blocked: Some(blocked) }]
        };
        self.state_cache.commit_with(decide).await.map(|_| ())
    }
}

/// Returns the outcome for a creator that the key has no permission for. Its assets wait for the
/// rest of the run.
pub(in crate::engine) fn forbidden_outcome(creator: Creator, message: String) -> Outcome {
    let hint = format!(
        "give the key access to {}, or set another creator: https://create.roblox.com/dashboard/credentials",
        creator.in_words()
    );
    Outcome::Refused { message, hint: Some(hint) }
}

/// Returns how long Roblox says to wait, if it says so in seconds. The limit is a month, the
/// longest known quota.
fn stated_wait(limits: &RawLimitHeaders) -> Option<SignedDuration> {
    let seconds = limits.retry_after.iter().filter_map(|text| text.trim().parse::<u32>().ok()).max()?;
    Some(SignedDuration::from_secs(i64::from(seconds)).min(SignedDuration::from_hours(30 * 24)))
}

/// Returns whether a complete successful response has an unknown form.
fn is_unknown_success(failure: &Failure) -> bool {
    let success = failure.status.is_some_and(|status| (200..300).contains(&status));
    success && matches!(failure.shape, Some(Shape::OtherJson | Shape::Service | Shape::Problem))
}

/// The state that a request aims at, where Roblox may refuse to repeat it.
enum Aim {
    Archived(bool),
    Current(Revision),
}

impl Aim {
    /// Returns the aim of an attempt, and its asset.
    const fn of(intent: &Intent) -> Option<(AssetId, Self)> {
        match intent {
            Intent::Archive { asset_id } => Some((*asset_id, Self::Archived(true))),
            Intent::Restore { asset_id } => Some((*asset_id, Self::Archived(false))),
            Intent::Rollback { asset_id, to } => Some((*asset_id, Self::Current(*to))),
            Intent::Create { .. } | Intent::UpdateContent { .. } | Intent::UpdateMetadata { .. } => None,
        }
    }

    fn is_reached(&self, asset: &RemoteAsset) -> bool {
        match self {
            Self::Archived(archived) => asset.archived == Some(*archived),
            Self::Current(revision) => asset.revision == Some(*revision),
        }
    }
}

/// Returns the kind of a refusal.
const fn refusal_kind(refusal: Refusal) -> RefusalKind {
    match refusal {
        Refusal::NameModerated => RefusalKind::DisplayName,
        _ => RefusalKind::Other,
    }
}

/// Returns the attempt if `asset` still shows the values of before: a revision with other content,
/// the old head, or an old text.
fn clashes(recorded: &Recorded, id: AttemptId, asset: &RemoteAsset) -> Option<Attempt> {
    let attempt = recorded.attempts.get(&id)?;
    let record = recorded.assets.get(&attempt.address)?;
    let key = effects::key_of(record.identity.asset_type, asset);
    let clash = match &attempt.intent {
        Intent::UpdateContent { content, .. } => record.history.get(key)?.content? != *content,
        Intent::Rollback { to, .. } => key.version != Some(*to) && record.head().is_some_and(|(head, _)| head == key),
        Intent::UpdateMetadata { fields, .. } => {
            let before = &recorded.seen.get(&asset.asset_id)?.asset;
            let is_old = |(field, asked): (&Field, &FieldDigest)| {
                let now = asset.stored(*field);
                now.is_some() && now == before.stored(*field) && now != Some(*asked)
            };
            fields.iter().any(is_old)
        }
        Intent::Create { .. } | Intent::Archive { .. } | Intent::Restore { .. } => false,
    };
    clash.then(|| attempt.clone())
}
