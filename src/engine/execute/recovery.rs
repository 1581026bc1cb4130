//! Checks whether Roblox has recovered since the response to an upload was lost; before that, the
//! upload is not sent again.
//!
//! The plan makes the upload wait for a while (`src/plan/asset.rs`). Here is the request that a
//! quiet run sends, since no other request would show it.

use jiff::Timestamp;

use crate::cloud::class::{Class, Refusal};
use crate::cloud::endpoint::Endpoint;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{StepError, StepResult, run_ends};
use crate::engine::remote::fetch::{AssetQuery, fetch_with};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::phase::Phase;
use crate::model::recorded::Recorded;
use crate::model::shown::with_causes;
use crate::platform::clock;

impl Executor {
    /// Checks that an upload of `address` whose answer was lost may be sent again.
    pub(in crate::engine) async fn require_recovered(&self, address: &Address) -> Result<(), StepError> {
        let lost = self.state_cache.read(|recorded| lost_at(recorded, address));
        // A clock that was set back must not make it wait for ever.
        let Some(lost) = lost.map(|at| at.min(clock::now())) else { return Ok(()) };
        if self.throttle.has_answered_since(lost) {
            return Ok(());
        }
        match self.state_cache.read(any_asset) {
            Some(asset_id) => self.ask_about_an_asset(address, asset_id).await,
            None => self.ask_about_the_key(address).await,
        }
    }

    /// Fetches an asset, which may be another address's: whatever Roblox answers about it, it answers.
    /// A failure is one of `address`, whose upload waits.
    async fn ask_about_an_asset(&self, address: &Address, asset_id: AssetId) -> Result<(), StepError> {
        let Some(permit) = self.stop.or(self.throttle.acquire(Endpoint::GetAsset, self.urgency)).await else {
            return Err(run_ends().into());
        };
        match fetch_with(permit, &self.client, &self.throttle, AssetQuery::plain(asset_id)).await {
            Ok(_) => Ok(()),
            Err(failure) => match failure.class {
                Class::Refused(Refusal::NotFound | Refusal::PermissionDenied | Refusal::Invalid) => Ok(()),
                _ => Err(self.fetch_failed(address, failure).await?.into()),
            },
        }
    }

    /// Introspects the key, where there is no asset to fetch. A token can't be introspected; then
    /// the back-off has to do.
    async fn ask_about_the_key(&self, address: &Address) -> Result<(), StepError> {
        let Some(permit) = self.stop.or(self.throttle.acquire(Endpoint::Introspect, self.urgency)).await else {
            return Err(run_ends().into());
        };
        let Some(reply) = self.client.introspect().await else {
            self.throttle.release_unsent(permit);
            return Ok(());
        };
        self.throttle.release(permit, &reply);
        let Err(failure) = reply.result else { return Ok(()) };
        let message = with_causes(&failure);
        self.back_off(address, &message).await?;
        Err(StepResult::Again { message }.into())
    }
}

/// Returns when the last response to an upload of `address` was lost, if one was.
fn lost_at(recorded: &Recorded, address: &Address) -> Option<Timestamp> {
    let of_address = recorded.attempts.values().filter(|attempt| attempt.address == *address);
    let lost = of_address.filter(|a| a.phase == Phase::InDoubt && a.intent.upload().is_some());
    lost.map(|attempt| attempt.since).max()
}

/// Returns an asset to fetch.
fn any_asset(recorded: &Recorded) -> Option<AssetId> {
    recorded.assets.values().find_map(|record| record.points_to)
}
