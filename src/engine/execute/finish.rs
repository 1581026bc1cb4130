//! Follows the operation of an attempt to its end, and records what it made.
//!
//! Read next: [`super::effects`].

use crate::cloud::backoff::Backoff;
use crate::cloud::class::{self, Class, Later, Refusal};
use crate::cloud::poll::{OperationAction, OperationKind};
use crate::cloud::wire::operation::OperationFailure;
use crate::engine::execute::effects::{self, Settled};
use crate::engine::execute::executor::Executor;
use crate::engine::execute::response::{UNSEEN, refusal_kind};
use crate::engine::execute::step_result::{StepError, StepResult, superseded};
use crate::engine::remote::poller::{Followed, Subject};
use crate::engine::report::progress::ProgressEvent;
use crate::engine::report::run_report::{Outcome, Stop};
use crate::model::change::Change;
use crate::model::digest::FieldDigest;
use crate::model::history::Kind;
use crate::model::metadata::Field;
use crate::model::observation::Mismatch;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Recorded, RefusalKind};
use crate::model::remote::RemoteAsset;
use crate::plan::in_doubt;
use crate::platform::{clock, failpoint};
use jiff::Timestamp;

/// The number of times that an asset is fetched again for the texts of an update, since reads lag
/// behind writes. After that the texts are accepted: an old text recorded beside the requested one
/// does no harm.
const READS_OF_TEXTS: u32 = 5;

/// The number of times that it is fetched again before a content or a rollback counts as refused.
/// The waits between them add up to more than [`READ_LAG`](crate::model::observation::READ_LAG).
const READS_OF_CONTENT: u32 = 8;

impl Executor {
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
        let subject = Subject {
            operation: operation.clone(),
            kind: OperationKind { asset_type, action },
            urgency: self.urgency.min(attempt.intent.urgency()),
            about: attempt.intent.asset_id(),
            since: since.unwrap_or(attempt.begun_at),
            is_taken_over: attempt.taken_over,
        };
        // Once the operation takes longer than any that succeeds, a newer desired state of the
        // address ends the wait.
        let cancelled = async {
            self.superseded.or(std::future::pending::<()>()).await;
            tokio::time::sleep(in_doubt::patience_left(&attempt, clock::now())).await;
        };
        let followed = tokio::select! {
            followed = self.stop.or(self.poller.follow(id, subject)) => followed,
            () = cancelled => return Ok(superseded("its operation is waited for no longer than something else is wanted")),
        };
        let running = || format!("Roblox didn't say that operation {operation} ended; the next run goes on waiting");
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
            Some(Followed::Lost) if self.is_finished_elsewhere(id).await? => {
                Ok(superseded("another machine finished it, and git's history shows its asset"))
            }
            Some(Followed::Lost) => {
                self.mark_in_doubt(id, &format!("Roblox no longer knows operation {operation}")).await
            }
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
        if self.is_known_by_now(id, asset.asset_id).await? {
            return Ok(superseded("another machine finished it, and its asset is known by now"));
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
                changes.extend(effects::answered_late(&attempt.intent, recorded, done.key));
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
        let mut is_seen = true;
        for read in 0.. {
            let clash = self.state_cache.read(|recorded| clashes(recorded, id, &asset));
            let Some(attempt) = clash else { return Ok(asset) };
            let reads = match attempt.intent {
                Intent::UpdateContent { .. } | Intent::Rollback { .. } => READS_OF_CONTENT,
                _ => READS_OF_TEXTS,
            };
            if read == reads {
                let message = match attempt.intent {
                    Intent::UpdateContent { .. } | Intent::Rollback { .. } if !is_seen => {
                        return Err(self.mark_in_doubt(id, UNSEEN).await?.into());
                    }
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
            let seen = self.glance(&attempt.address, asset.asset_id).await?;
            is_seen = seen.is_some();
            asset = seen.unwrap_or(asset);
        }
        Ok(asset)
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
