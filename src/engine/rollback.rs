//! Making an earlier version of a Model current again.
//!
//! What Roblox makes of it is contested: the head moves back, or a new version has the old bytes. So the asset is read before and after, and only what
//! is read counts. Read next: [`super::steps`].

use super::book::BookError;
use super::settle;
use super::steps::{Look, Steps, Try, Write, superseded};
use crate::cloud::class::{Class, Refusal};
use crate::cloud::client::RollbackForm;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::Reply;
use crate::cloud::wire::operation::Submitted;
use crate::cloud::wire::version::RemoteVersion;
use crate::model::address::Address;
use crate::model::ids::{AssetId, Revision};
use crate::model::phase::Intent;
use crate::model::remote::RemoteAsset;
use crate::platform::clock;

impl Steps {
    /// Makes version `to` of a Model current again, unless somebody else made a newer one meanwhile.
    pub(super) async fn roll_back(&self, address: &Address, asset_id: AssetId, to: Revision) -> Result<Try, BookError> {
        let Some(record) = self.record(address) else { return Ok(superseded("it has no record")) };
        let seen = match self.look(address, asset_id).await? {
            Look::Present(asset) => asset,
            Look::Gone => return self.learn_gone(asset_id).await,
            Look::Unknown(tried) => return Ok(tried),
        };
        let newest = record.newest().and_then(|(newest, _)| newest.version);
        if seen.revision > newest {
            self.book.commit(settle::made_elsewhere(address, &record, &seen, clock::now())).await?;
            return Ok(superseded("somebody else changed it at Roblox"));
        }
        let intent = Intent::Rollback { asset_id, to };
        let write = Write { address, identity: record.identity, intent, endpoint: Endpoint::Rollback, upload: None };
        let send = async |hand_over| {
            let reply = self.client.rollback(asset_id, to, RollbackForm::Json, hand_over).await;
            if !is_wrong_form(&reply) {
                return submitted(asset_id, reply);
            }
            // V1's schema says a form, its sample and all clients JSON. A definite no to the one is the time for the other; it was handed over before.
            let recorded = std::future::ready(Ok(()));
            submitted(asset_id, self.client.rollback(asset_id, to, RollbackForm::Multipart, recorded).await)
        };
        self.write(write, send).await
    }
}

fn is_wrong_form(reply: &Reply<RemoteVersion>) -> bool {
    let Err(failure) = &reply.result else { return false };
    failure.status == Some(400) && failure.class == Class::Refused(Refusal::Invalid)
}

/// The answer names a version, but not reliably the head: that is read from the asset.
fn submitted(asset_id: AssetId, Reply { head, result }: Reply<RemoteVersion>) -> Reply<Submitted> {
    Reply { head, result: result.map(|_| Submitted::Fields(RemoteAsset::unknown(asset_id))) }
}
