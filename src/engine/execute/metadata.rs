//! Changes metadata: resolves icon and previews to their current assets, then sends one update with
//! exactly the fields that change.
//!
//! Read next: [`super::executor`].

use crate::cloud::client::{FieldUpdate, UpdateRequest};
use crate::cloud::endpoint::Endpoint;
use crate::engine::execute::executor::Executor;
use crate::engine::execute::step_result::{Lookup, StepError, StepResult, Write, superseded};
use crate::engine::remote::observe;
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::change::Change;
use crate::model::digest::FieldDigest;
use crate::model::ids::AssetId;
use crate::model::metadata::{AssetRef, Field, FieldDigests};
use crate::model::metadata_digest;
use crate::model::phase::Intent;
use crate::model::recorded::{DriftRepair, Recorded};
use crate::plan::FieldChange;
use crate::platform::clock;

impl Executor {
    /// Changes metadata fields of an asset; `None` for the asset that the steps before made.
    pub(in crate::engine) async fn update_metadata(
        &self,
        address: &Address,
        asset_id: Option<AssetId>,
        changes: &[FieldChange],
        repairs: bool,
    ) -> Result<StepResult, StepError> {
        let Some(record) = self.record(address) else { return Ok(superseded("it has no record")) };
        let made_just_now = asset_id.is_none();
        let Some(asset_id) = asset_id.or(record.points_to) else { return Ok(superseded("it has no asset")) };
        let fields = match self.state_cache.read(|recorded| resolve(changes, recorded)) {
            Ok(fields) => fields,
            Err(missing) => return Ok(superseded(&format!("`{missing}`, which it shows, has no asset"))),
        };
        // A change of a Model's metadata may make a revision as well. Only the head before the
        // change tells whose a revision is.
        let in_place = record.identity.asset_type.on_content_change() == ContentChange::InPlace;
        if !made_just_now && (in_place || !self.state_cache.read(|recorded| is_confirmed(recorded, asset_id))) {
            match self.fetch_asset(address, asset_id).await? {
                Lookup::Present(asset) => {
                    self.state_cache.commit_with(|recorded| observe::observed(recorded, &asset, clock::now())).await?;
                }
                Lookup::Gone => return self.not_found(address, asset_id).await,
            }
        }
        if repairs {
            // Counted before it is sent, so that a crash can't lift the limit.
            self.state_cache
                .commit(vec![Change::RecordRepair { address: address.clone(), repair: DriftRepair::Metadata }])
                .await?;
        }
        let asked: FieldDigests = fields.iter().map(asked).collect();
        let intent = Intent::UpdateMetadata { asset_id, fields: asked };
        let endpoint = Endpoint::UpdateAsset;
        let write = Write { address, identity: record.identity, intent, endpoint, upload: None };
        let request = UpdateRequest { asset_id, fields, content: None };
        self.write(write, async |hand_over| self.client.update_asset(request, hand_over).await).await
    }
}

/// Returns the fields as they are sent, or an address that one of them refers to and that has no
/// asset.
pub(in crate::engine) fn resolve(changes: &[FieldChange], recorded: &Recorded) -> Result<Vec<FieldUpdate>, Address> {
    let id = |reference: &AssetRef| match reference {
        AssetRef::Id(id) => Ok(*id),
        AssetRef::Address(address) => {
            recorded.assets.get(address).and_then(|record| record.points_to).ok_or_else(|| address.clone())
        }
    };
    let resolve = |change: &FieldChange| {
        Ok(match change {
            FieldChange::DisplayName(name) => FieldUpdate::DisplayName(name.clone()),
            FieldChange::Description(text) => FieldUpdate::Description(text.clone()),
            FieldChange::Icon(icon) => FieldUpdate::Icon(icon.as_ref().map(id).transpose()?),
            FieldChange::Previews(previews) => {
                let sent = previews.iter().map(|preview| Ok((id(&preview.asset)?, preview.alt_text.clone())));
                FieldUpdate::Previews(sent.collect::<Result<_, Address>>()?)
            }
            FieldChange::SocialLink(network, link) => FieldUpdate::SocialLink(*network, link.clone()),
        })
    };
    changes.iter().map(resolve).collect()
}

/// Returns whether Roblox has confirmed the asset's owner and type since Macadam's last write. The
/// plan holds an asset of another owner, so nothing is sent to it.
fn is_confirmed(recorded: &Recorded, asset_id: AssetId) -> bool {
    let written = recorded.written.get(&asset_id);
    recorded.observed(asset_id).is_some_and(|seen| {
        let is_newer = written.is_none_or(|written| seen.at > *written);
        is_newer && seen.asset.creator.is_some() && seen.asset.asset_type.is_some()
    })
}

/// Returns the digest by which the requested value is remembered.
pub(in crate::engine) fn asked(update: &FieldUpdate) -> (Field, FieldDigest) {
    let digest = match update {
        FieldUpdate::DisplayName(name) => FieldDigest::of_text(name.as_str()),
        FieldUpdate::Description(text) => FieldDigest::of_text(text.as_str()),
        FieldUpdate::Icon(icon) => metadata_digest::of_icon(*icon),
        FieldUpdate::Previews(previews) => metadata_digest::of_previews(previews),
        FieldUpdate::SocialLink(_, link) => metadata_digest::of_link(link.as_ref()),
    };
    (update.field(), digest)
}
