//! Makes an earlier version of a Model current again.
//!
//! Sources disagree on the result of a rollback at Roblox: the head moves back, or a new version
//! has the old bytes. So the asset is fetched before and after, and only observations count. Read
//! next: [`super::executor`].

use crate::cloud::class::{Class, Refusal};
use crate::cloud::client::RollbackForm;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, Failure};
use crate::cloud::wire::operation::Submitted;
use crate::cloud::wire::version::RemoteVersion;
use crate::engine::execute::effects;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{Lookup, StepError, StepResult, Write, run_ends, superseded};
use crate::engine::report::run_report::Outcome;
use crate::model::address::Address;
use crate::model::asset::Moderation;
use crate::model::change::Change;
use crate::model::history::{RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, Revision};
use crate::model::phase::{Intent, IntentKind};
use crate::model::recorded::Recorded;
use crate::model::remote::RemoteAsset;
use crate::model::shown::with_causes;
use crate::platform::clock;

impl Executor {
    /// Makes version `to` of a Model current again, unless someone else made a newer one meanwhile.
    pub(in crate::engine) async fn roll_back(
        &self,
        address: &Address,
        asset_id: AssetId,
        to: Revision,
    ) -> Result<StepResult, StepError> {
        let Some(record) = self.record(address) else { return Ok(superseded("it has no record")) };
        let seen = match self.fetch_asset(address, asset_id).await? {
            Lookup::Present(asset) => asset,
            Lookup::Gone => return self.not_found(address, asset_id).await,
        };
        let newest = record.newest().and_then(|(newest, _)| newest.version);
        if seen.revision > newest {
            self.state_cache.commit(effects::made_elsewhere(address, &record, &seen, clock::now())).await?;
            return Ok(superseded("somebody else changed it at Roblox"));
        }
        self.require_version(address, asset_id, to).await?;
        let intent = Intent::Rollback { asset_id, to };
        let write = Write { address, identity: record.identity, intent, endpoint: Endpoint::Rollback, upload: None };
        let send = async |hand_over| {
            let reply = self.client.rollback(asset_id, to, RollbackForm::Json, hand_over).await;
            if !is_wrong_form(&reply) {
                return submitted(asset_id, reply);
            }
            // V1's schema says a form, its sample and all clients say JSON. A definite refusal of
            // one allows the other; the attempt was handed over before.
            let recorded = async {
                let may_send = self.state_cache.may_send(self.generation);
                may_send.map_err(|error| with_causes(&error).into())
            };
            submitted(asset_id, self.client.rollback(asset_id, to, RollbackForm::Multipart, recorded).await)
        };
        self.write(write, send).await
    }
}

impl Executor {
    /// Checks that a version can be made current, before anything is sent: it can't if Roblox
    /// doesn't have it, moderation rejected it, or it can't be fetched now.
    async fn require_version(&self, address: &Address, asset_id: AssetId, to: Revision) -> Result<(), StepError> {
        let Some(permit) = self.stop.or(self.throttle.acquire(Endpoint::GetVersion, self.urgency)).await else {
            return Err(run_ends().into());
        };
        let reply = self.client.get_version(asset_id, to).await;
        self.throttle.release(permit, &reply);
        match VersionVerdict::of(reply.result) {
            VersionVerdict::Usable => Ok(()),
            VersionVerdict::Rejected => {
                self.state_cache.commit_with(|recorded| rejected(recorded, address, asset_id, to)).await?;
                Err(superseded("moderation rejected that revision").into())
            }
            VersionVerdict::Missing => {
                let message = missing(asset_id, to);
                self.refuse_desired(address, IntentKind::Rollback, &message).await?;
                let hint = format!("`macadam history {address:#} {to} --remote` shows what Roblox says of it");
                Err(StepResult::Ended(Outcome::Refused { message, hint: Some(hint) }).into())
            }
            VersionVerdict::Unknown(failure) => Err(self.fetch_failed(address, *failure).await?.into()),
        }
    }
}

/// Whether a version can be made current, according to Roblox.
pub(in crate::engine) enum VersionVerdict {
    /// It can.
    Usable,
    /// Moderation rejected it.
    Rejected,
    /// Roblox has the asset, but not this version.
    Missing,
    /// The version could not be fetched.
    Unknown(Box<Failure>),
}

impl VersionVerdict {
    pub(in crate::engine) fn of(answer: Result<RemoteVersion, Failure>) -> Self {
        match answer {
            Ok(version) if version.moderation == Some(Moderation::Rejected) => Self::Rejected,
            Ok(_) => Self::Usable,
            Err(failure) if failure.class == Class::Refused(Refusal::NotFound) => Self::Missing,
            Err(failure) => Self::Unknown(Box::new(failure)),
        }
    }
}

/// Returns the message for a missing version.
pub(in crate::engine) fn missing(asset_id: AssetId, revision: Revision) -> String {
    format!("Roblox has no version {revision} of asset {asset_id}")
}

/// Returns the change that records a rejected revision.
pub(in crate::engine) fn rejected(
    recorded: &Recorded,
    address: &Address,
    asset_id: AssetId,
    revision: Revision,
) -> Vec<Change> {
    let key = RevisionKey { asset_id, version: Some(revision) };
    let fact = recorded.assets.get(address).and_then(|record| record.history.get(key));
    let learn = |fact: &RevisionFact| Change::AddRevision {
        address: address.clone(),
        key,
        fact: fact.now(RevisionState::Rejected),
    };
    fact.map(learn).into_iter().collect()
}

fn is_wrong_form(reply: &ApiReply<RemoteVersion>) -> bool {
    let Err(failure) = &reply.result else { return false };
    failure.status == Some(400) && failure.class == Class::Refused(Refusal::Invalid)
}

/// The response names a version, but not reliably the head, which is fetched from the asset.
fn submitted(asset_id: AssetId, ApiReply { head, result }: ApiReply<RemoteVersion>) -> ApiReply<Submitted> {
    ApiReply { head, result: result.map(|_| Submitted::Fields(RemoteAsset::unknown(asset_id))) }
}
