//! The one way to fetch an asset. Its callers differ in what they ask for and in what a failure
//! means to them: a step (`execute/fetch.rs`), an observation ([`super::observe`]), a command
//! (`commands/error.rs`), and a person who reads a history ([`super::revisions`]).
//!
//! Must never decide anything from an answer.

use crate::cloud::class::Class;
use crate::cloud::client::Client;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::Failure;
use crate::engine::remote::throttle::{Throttle, ThrottlePermit};
use crate::model::ids::AssetId;
use crate::model::metadata::{Field, SocialNetwork};
use crate::model::remote::RemoteAsset;
use crate::model::urgency::Urgency;

/// An asset to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AssetQuery {
    /// Its ID.
    pub asset_id: AssetId,
    /// Whether to fetch its icon, previews and links too, which Roblox sends only on request.
    pub extras: bool,
}

impl AssetQuery {
    /// A query for what Roblox sends by itself.
    pub(crate) const fn plain(asset_id: AssetId) -> Self {
        Self { asset_id, extras: false }
    }
}

/// Fetches an asset, once.
///
/// # Errors
/// When Roblox doesn't have it, or it could not be fetched.
pub(crate) async fn fetch(client: &Client, throttle: &Throttle, query: AssetQuery) -> Result<RemoteAsset, Failure> {
    let permit = throttle.acquire(Endpoint::GetAsset, Urgency::Metadata).await;
    fetch_with(permit, client, throttle, query).await
}

/// Does the same with a permit for [`Endpoint::GetAsset`] that the caller waited for.
///
/// # Errors
/// As for [`fetch`].
pub(crate) async fn fetch_with(
    permit: ThrottlePermit,
    client: &Client,
    throttle: &Throttle,
    query: AssetQuery,
) -> Result<RemoteAsset, Failure> {
    let asset = get(permit, client, throttle, query.asset_id, &[]).await?;
    if !query.extras {
        return Ok(asset);
    }
    let links = SocialNetwork::ALL.into_iter().map(Field::SocialLink);
    let fields: Vec<Field> = [Field::Icon, Field::Previews].into_iter().chain(links).collect();
    let permit = throttle.acquire(Endpoint::GetAsset, Urgency::Metadata).await;
    let extras = get(permit, client, throttle, query.asset_id, &fields).await;
    // The asset is there, whatever this says.
    let RemoteAsset { previews, extras, .. } = extras.map_err(|failure| match failure.is_not_found() {
        true => Failure { class: Class::CouldNotAsk, ..failure },
        false => failure,
    })?;
    Ok(RemoteAsset { previews, extras, ..asset })
}

async fn get(
    permit: ThrottlePermit,
    client: &Client,
    throttle: &Throttle,
    asset_id: AssetId,
    fields: &[Field],
) -> Result<RemoteAsset, Failure> {
    let reply = client.get_asset(asset_id, fields).await;
    throttle.release(permit, &reply);
    reply.result
}
