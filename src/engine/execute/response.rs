//! Decides what a response, or a missing one, means for its step.
//!
//! The client has classified the response. Here the classes become phases of the journal, back-off
//! of the address, and outcomes. Read next: [`super::effects`].

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::class::{Class, Later, Refusal, Unsent};
use crate::cloud::endpoint::RawLimitHeaders;
use crate::cloud::failure::{ApiReply, Failure};
use crate::cloud::wire::error::Shape;
use crate::cloud::wire::operation::Submitted;
use crate::engine::execute::effects;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{StepError, StepResult, forbidden_outcome, superseded};
use crate::engine::report::run_report::Outcome;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::change::Change;
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::history::Kind;
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::metadata::FieldDigests;
use crate::model::metadata_digest;
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Recorded, RefusalKind, SpentQuota};
use crate::model::remote::RemoteAsset;
use crate::platform::{clock, failpoint};
use crate::telemetry::logs::OUTCOMES;

/// The least time until a spent quota is tried again, unless Roblox names a longer one. The known
/// quotas last a day (videos) and a month (sounds), and their start is unknown. So at most a few
/// uploads an hour try it.
const QUOTA_ASKED_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Why an attempt that Roblox agreed to is in doubt.
pub(super) const UNSEEN: &str = "Roblox agreed, but the asset could not be fetched to see its revision";

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
    pub(super) async fn quota_spent(
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
        match (self.glance(&attempt.address, asset_id).await?, &attempt.intent) {
            (Some(asset), _) => self.finish(id, asset).await,
            // Only the asset shows which revision is current now.
            (None, Intent::Rollback { .. }) => self.mark_in_doubt(id, UNSEEN).await,
            // The asset was just changed; a failed fetch doesn't undo that.
            (None, _) => {
                let seen = self.state_cache.read(|recorded| Some(recorded.seen.get(&asset_id)?.asset.clone()));
                self.finish(id, seen.unwrap_or_else(|| RemoteAsset::unknown(asset_id))).await
            }
        }
    }

    async fn failed(&self, id: AttemptId, failure: Failure) -> Result<StepResult, StepError> {
        let message = self.outages.message(&failure);
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
                let outcome = self.forbid(attempt.kind.creator, failure);
                self.state_cache.advance(id, PhaseEvent::NotCarriedOut).await?;
                Ok(StepResult::Ended(outcome))
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
            | Refusal::PriceTooHigh { .. }
            | Refusal::Invalid => {
                let said = if failure.message.is_empty() { message } else { failure.message.clone() };
                self.refuse(id, &attempt, refusal_kind(refusal), &said, failure.hint().map(str::to_owned)).await
            }
        }
    }

    /// Remembers that the key has no permission for a creator. Call it before any await, so that the next
    /// step knows.
    pub(super) fn forbid(&self, creator: Creator, failure: &Failure) -> Outcome {
        // What Roblox said of one asset holds for all of this creator.
        let message = failure.answer().unwrap_or_else(|| failure.to_string());
        let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        forbidden.insert(creator, message.clone());
        forbidden_outcome(creator, message)
    }

    /// Records that Roblox refused the step: it waits for a change or for `retry`.
    pub(super) async fn refuse(
        &self,
        id: AttemptId,
        attempt: &Attempt,
        refusal_kind: RefusalKind,
        said: &str,
        hint: Option<String>,
    ) -> Result<StepResult, StepError> {
        let why = (self.input_digest(attempt), refusal_kind);
        self.state_cache
            .commit_with(|recorded| match recorded.attempts.contains_key(&id) {
                true => effects::refused(id, attempt, recorded.assets.get(&attempt.address), why, said, clock::now()),
                false => Vec::new(),
            })
            .await?;
        tracing::error!(target: OUTCOMES, address = %attempt.address, action = attempt.intent.name(), "Roblox refused it: {said}");
        Ok(StepResult::Ended(Outcome::Refused { message: format!("Roblox refused it: {said}"), hint }))
    }

    /// Records that the request had no effect. The step may be tried again after its back-off.
    async fn not_carried_out(&self, id: AttemptId, message: String) -> Result<StepResult, StepError> {
        self.back_off_after(id, PhaseEvent::NotCarriedOut, &message).await?;
        Ok(StepResult::Again { message })
    }

    /// Records that the outcome is in doubt: the next plan decides, by fetching the asset or by the
    /// policy.
    pub(super) async fn mark_in_doubt(&self, id: AttemptId, message: &str) -> Result<StepResult, StepError> {
        self.back_off_after(id, PhaseEvent::Doubt, message).await?;
        Ok(StepResult::Ended(Outcome::InDoubt { message: message.to_owned() }))
    }

    /// Records a success that can't be read: a new asset waits for a person, a changed one is
    /// fetched.
    pub(super) async fn hold(&self, id: AttemptId, message: &str) -> Result<StepResult, StepError> {
        let upload = self.attempt(id).and_then(|attempt| attempt.intent.upload());
        if upload.is_none() {
            return self.mark_in_doubt(id, message).await;
        }
        self.results.unreadable(clock::elapsed());
        self.back_off_after(id, PhaseEvent::Hold, message).await?;
        Ok(StepResult::Ended(Outcome::InDoubt { message: message.to_owned() }))
    }

    /// Advances an attempt and makes its address back off, in one transaction.
    pub(super) async fn back_off_after(
        &self,
        id: AttemptId,
        event: PhaseEvent,
        message: &str,
    ) -> Result<(), StateCacheError> {
        let jitter = fastrand::f64();
        let decide = |recorded: &Recorded| {
            let Some(attempt) = recorded.attempts.get(&id) else { return Vec::new() };
            let input_digest = self.input_digest(attempt);
            let record = recorded.assets.get(&attempt.address);
            let blocked = effects::failed(record, input_digest, message, jitter, clock::now());
            let mut changes = vec![Change::Advance { attempt: id, event: event.clone() }];
            if !effects::leaves_a_refusal(&attempt.intent, record) {
                changes.push(Change::SetBlocked { address: attempt.address.clone(), blocked: Some(blocked) });
            }
            if matches!(event, PhaseEvent::Doubt | PhaseEvent::Hold) {
                let event = EventKind::InDoubt { action: attempt.intent.kind(), message: message.to_owned() };
                changes.push(Change::log(&attempt.address, event));
            }
            changes
        };
        self.state_cache.commit_with(decide).await.map(|_| ())
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
        known.unwrap_or_else(|| metadata_digest::input_digest(attempt.intent.content(), &FieldDigests::new()))
    }
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
pub(super) const fn refusal_kind(refusal: Refusal) -> RefusalKind {
    match refusal {
        Refusal::NameModerated => RefusalKind::DisplayName,
        Refusal::PriceTooHigh { robux } => RefusalKind::Price { robux },
        _ => RefusalKind::Other,
    }
}
