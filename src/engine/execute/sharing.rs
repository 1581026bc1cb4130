//! Steps that upload nothing: using an asset of another address, and going back to an earlier asset
//! of this one.
//!
//! Both first check that the asset still exists; other findings are recorded for every address that
//! has it. Read next: [`super::executor`].

use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::ApiReply;
use crate::cloud::wire::operation::Submitted;
use crate::engine::execute::effects;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{Lookup, StepError, StepResult, Write, superseded};
use crate::engine::remote::observe;
use crate::engine::remote::remote_clock::SET_CLOCK;
use crate::engine::report::run_report::Outcome;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::asset::Moderation;
use crate::model::change::Change;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash};
use crate::model::observation::Mismatch;
use crate::model::phase::Intent;
use crate::model::recorded::{DriftRepair, Identity, Record, RetireReason};
use crate::platform::clock;

impl Executor {
    /// Uses another address's asset: a `known` one after checking that it still exists, and whether it
    /// may be restored; `None` if this run makes it.
    pub(in crate::engine) async fn share(
        &self,
        address: &Address,
        owner: &Address,
        known: Option<(RevisionKey, bool)>,
        identity: &Identity,
        content: ContentHash,
    ) -> Result<StepResult, StepError> {
        if let Some((key, restores)) = known {
            self.check_alive(address, identity, key.asset_id, restores).await?;
        }
        let mut shared = None;
        self.state_cache
            .commit_with(|recorded| {
                let found = recorded.assets.get(owner).and_then(|record| record.find_content(content));
                let Some((key, found_fact)) = found else { return Vec::new() };
                shared = Some(key);
                let record = recorded.assets.get(address);
                effects::shared(address, record, identity, (key, found_fact), &self.checkout, clock::now())
            })
            .await?;
        Ok(match shared {
            Some(key) => StepResult::Ended(self.done(address, key)),
            None => superseded(&format!("`{owner}` no longer has an asset with these bytes")),
        })
    }

    /// Goes back to an asset that the address had before.
    pub(in crate::engine) async fn point_back(
        &self,
        address: &Address,
        to: RevisionKey,
    ) -> Result<StepResult, StepError> {
        let Some(identity) = self.record(address).map(|record| record.identity) else {
            return Ok(superseded("it has no record"));
        };
        self.check_alive(address, &identity, to.asset_id, true).await?;
        self.state_cache
            .commit_with(|recorded| match (recorded.assets.get(address), recorded.seen.get(&to.asset_id)) {
                (Some(record), Some(seen)) => effects::pointed_back(address, record, &seen.asset),
                _ => Vec::new(),
            })
            .await?;
        Ok(StepResult::Ended(self.done(address, to)))
    }

    /// Checks whether an asset can be that of `address`, and records the result. One that is archived
    /// is restored if the plan `restores` it; otherwise somebody just archived it, and the next plan
    /// decides.
    async fn check_alive(
        &self,
        address: &Address,
        identity: &Identity,
        asset_id: AssetId,
        restores: bool,
    ) -> Result<(), StepError> {
        let asset = match self.fetch_asset(address, asset_id).await? {
            Lookup::Present(asset) => asset,
            Lookup::Gone => return Err(self.not_found(address, asset_id).await?.into()),
        };
        if let Some(mismatch) = Mismatch::of(identity.kind(), &asset) {
            return Err(self.foreign(address, mismatch, *asset).await?.into());
        }
        if asset.moderation == Some(Moderation::Rejected) {
            self.learn(asset_id, effects::rejected).await?;
            return Err(superseded("moderation rejected the asset that it had").into());
        }
        if asset.archived == Some(true) && restores {
            // The response to the restore is newer than this observation.
            return self.restore(address, identity, asset_id).await;
        }
        self.state_cache.commit_with(|recorded| observe::observed(recorded, &asset, clock::now())).await?;
        if asset.archived == Some(true) {
            let message = format!("asset {asset_id} is archived on Roblox");
            self.back_off(address, &message).await?;
            return Err(StepResult::Ended(Outcome::TryLater { message }).into());
        }
        Ok(())
    }

    /// Archives an asset that no address uses any more. By a date only if this machine's clock is
    /// right.
    pub(in crate::engine) async fn archive(
        &self,
        address: &Address,
        asset_id: AssetId,
        why: RetireReason,
    ) -> Result<StepResult, StepError> {
        let Some(record) = self.record(address) else { return Ok(superseded("it has no record")) };
        // Nothing is archived unseen: its owner may differ from the lockfile.
        match self.fetch_asset(address, asset_id).await? {
            Lookup::Present(asset) => {
                self.state_cache.commit_with(|recorded| observe::observed(recorded, &asset, clock::now())).await?;
            }
            Lookup::Gone => return self.not_found(address, asset_id).await,
        }
        let is_by_date = matches!(why, RetireReason::Removed | RetireReason::Replaced);
        if let Some(offset) = self.throttle.clock_offset().filter(|offset| is_by_date && offset.is_off()) {
            let message = format!("{offset}, so asset {asset_id} is not archived: it may not be due yet");
            return Ok(StepResult::Ended(Outcome::Refused { message, hint: Some(SET_CLOCK.to_owned()) }));
        }
        let (identity, intent) = (record.identity, Intent::Archive { asset_id });
        let write = Write { address, identity, intent, endpoint: Endpoint::ArchiveAsset, upload: None };
        let send = async |hand_over| {
            let ApiReply { head, result } = self.client.archive_asset(asset_id, hand_over).await;
            ApiReply { head, result: result.map(Submitted::Done) }
        };
        self.write(write, send).await
    }

    /// Restores an archived asset of an address.
    pub(in crate::engine) async fn bring_back(
        &self,
        address: &Address,
        asset_id: AssetId,
        repairs: bool,
    ) -> Result<StepResult, StepError> {
        let Some(record) = self.record(address) else { return Ok(superseded("it has no record")) };
        match self.fetch_asset(address, asset_id).await? {
            Lookup::Present(_) => {}
            Lookup::Gone => return self.not_found(address, asset_id).await,
        }
        if repairs {
            // Counted before it is sent, so that a crash can't lift the limit.
            self.state_cache
                .commit(vec![Change::RecordRepair { address: address.clone(), repair: DriftRepair::Archived }])
                .await?;
        }
        self.restore(address, &record.identity, asset_id).await?;
        Ok(StepResult::Ended(self.done_with(address, asset_id)))
    }

    /// Returns the result for an address that took over another's assets with the plan's marks.
    pub(in crate::engine) fn moved(&self, address: &Address) -> StepResult {
        match self.record(address).and_then(|record| crate::plan::current::last(&record)) {
            Some((key, _)) => StepResult::Ended(self.done(address, key)),
            None => superseded("it has no asset"),
        }
    }

    /// Returns the outcome of a step that left an asset at some revision.
    fn done_with(&self, address: &Address, asset_id: AssetId) -> Outcome {
        let newest = self.record(address).and_then(|record| Some(record.history.of_asset(asset_id).next_back()?.0));
        newest.map_or(Outcome::Done { asset_id, revision: None }, |key| self.done(address, key))
    }

    /// Restores an archived asset that is in use again, as a change of the address that uses it.
    async fn restore(&self, address: &Address, identity: &Identity, asset_id: AssetId) -> Result<(), StepError> {
        let identity = identity.clone();
        let intent = Intent::Restore { asset_id };
        let write = Write { address, identity, intent, endpoint: Endpoint::RestoreAsset, upload: None };
        let send = async |hand_over| {
            let ApiReply { head, result } = self.client.restore_asset(asset_id, hand_over).await;
            ApiReply { head, result: result.map(Submitted::Done) }
        };
        match self.write(write, send).await? {
            StepResult::Ended(outcome) if outcome.is_done() => Ok(()),
            result => Err(result.into()),
        }
    }

    /// Records that Roblox doesn't find an asset. A single 404 proves nothing, so the step waits
    /// for more, and the plan says so.
    pub(in crate::engine) async fn not_found(
        &self,
        address: &Address,
        asset_id: AssetId,
    ) -> Result<StepResult, StepError> {
        self.state_cache.commit_with(|recorded| observe::not_found(recorded, asset_id, clock::now())).await?;
        let message = format!("Roblox answered that it has no asset {asset_id}; it is asked again before that counts");
        self.back_off(address, &message).await?;
        Ok(StepResult::Ended(Outcome::TryLater { message }))
    }

    /// Records facts about an asset for every address that has it.
    async fn learn(
        &self,
        asset_id: AssetId,
        facts: fn(&Address, &Record, AssetId) -> Vec<Change>,
    ) -> Result<(), StateCacheError> {
        self.state_cache.commit_with(|recorded| effects::of_all(recorded, asset_id, facts)).await.map(|_| ())
    }
}
