//! Fetches an asset for a step, and decides what a failed or surprising answer means for it.

use crate::cloud::class::{Class, Refusal};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::Failure;
use crate::engine::execute::effects;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{Lookup, StepError, StepResult, run_ends};
use crate::engine::remote::fetch::{AssetQuery, fetch_with};
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::event::EventKind;
use crate::model::ids::AssetId;
use crate::model::metadata::FieldDigests;
use crate::model::metadata_digest;
use crate::model::observation::Mismatch;
use crate::model::phase::IntentKind;
use crate::model::recorded::{Blocked, Recorded, RefusalKind};
use crate::model::remote::RemoteAsset;
use crate::platform::clock;
use crate::telemetry::logs::OUTCOMES;

impl Executor {
    /// Fetches an asset once, for a step of `address`, which backs off on failure.
    pub(in crate::engine) async fn fetch_asset(
        &self,
        address: &Address,
        asset_id: AssetId,
    ) -> Result<Lookup, StepError> {
        let Some(permit) = self.stop.or(self.throttle.acquire(Endpoint::GetAsset, self.urgency)).await else {
            return Err(run_ends().into());
        };
        let answer = fetch_with(permit, &self.client, &self.throttle, AssetQuery::plain(asset_id)).await;
        self.read_answer(address, asset_id, answer).await
    }

    /// Does the same for an asset that is about to be updated, which may have been fetched a moment
    /// ago.
    pub(super) async fn fetch_head(&self, address: &Address, asset_id: AssetId) -> Result<Lookup, StepError> {
        match self.heads.take(asset_id, clock::elapsed()) {
            Some(answer) => self.read_answer(address, asset_id, answer).await,
            None => self.fetch_asset(address, asset_id).await,
        }
    }

    async fn read_answer(
        &self,
        address: &Address,
        asset_id: AssetId,
        answer: Result<RemoteAsset, Failure>,
    ) -> Result<Lookup, StepError> {
        match answer {
            Ok(asset) => self.vouched(address, asset_id, asset).await,
            Err(failure) if failure.is_not_found() => Ok(Lookup::Gone),
            Err(failure) => Err(self.fetch_failed(address, failure).await?.into()),
        }
    }

    /// Fetches an asset where the step goes on without it.
    pub(super) async fn glance(
        &self,
        address: &Address,
        asset_id: AssetId,
    ) -> Result<Option<RemoteAsset>, StateCacheError> {
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
        let message = self.outages.message(&failure);
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
        let input_digest = known.unwrap_or_else(|| metadata_digest::input_digest(None, &FieldDigests::new()));
        let (message, at) = (message.to_owned(), clock::now());
        let blocked = Blocked::Refused { input_digest, action, refusal_kind: RefusalKind::Other, message, at };
        self.state_cache.commit(vec![Change::SetBlocked { address: address.clone(), blocked: Some(blocked) }]).await
    }

    /// Returns the fetched asset, unless it is a different one from the record of `address`.
    pub(super) async fn vouched(
        &self,
        address: &Address,
        meant: AssetId,
        asset: RemoteAsset,
    ) -> Result<Lookup, StepError> {
        match self.mismatch(address, Some(meant), &asset) {
            Some(mismatch) => Err(self.foreign(address, mismatch, asset).await?.into()),
            None => Ok(Lookup::Present(Box::new(asset))),
        }
    }

    /// Returns why a response can't be about the asset of `address`, or about asset `meant` if one
    /// was requested.
    pub(super) fn mismatch(&self, address: &Address, meant: Option<AssetId>, asset: &RemoteAsset) -> Option<Mismatch> {
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
        tracing::error!(target: OUTCOMES, %address, "{message}");
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
    pub(super) fn stop_for_credential(&self, failure: &Failure) {
        let hint = failure.hint().unwrap_or_default().to_owned();
        self.stop.trigger(Stop::Credential { message: failure.to_string(), hint });
    }

    /// Makes an address back off after a failed request that changed nothing. What Roblox refused of what
    /// is wanted stays refused: the request was about another asset of the address.
    pub(in crate::engine) async fn back_off(&self, address: &Address, message: &str) -> Result<(), StateCacheError> {
        let known = self.input_digests.get(address).map(|input_digests| input_digests.asset);
        let input_digest = known.unwrap_or_else(|| metadata_digest::input_digest(None, &FieldDigests::new()));
        let jitter = fastrand::f64();
        let decide = |recorded: &Recorded| {
            let Some(record) = recorded.assets.get(address) else { return Vec::new() };
            if let (Some(Blocked::Refused { input_digest, .. }), Some(wanted)) =
                (record.blocked.as_deref(), self.input_digests.get(address))
                && [wanted.asset, wanted.metadata].contains(input_digest)
            {
                return Vec::new();
            }
            let blocked = effects::failed(Some(record), input_digest, message, jitter, clock::now());
            vec![Change::SetBlocked { address: address.clone(), blocked: Some(blocked) }]
        };
        self.state_cache.commit_with(decide).await.map(|_| ())
    }
}
