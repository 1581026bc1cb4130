//! Changing metadata: which assets the icon and previews are now, and then one update that names
//! exactly the fields that change.
//!
//! Read next: [`super::executor`].

use crate::cloud::client::{FieldUpdate, UpdateRequest};
use crate::cloud::endpoint::Endpoint;
use crate::engine::execute::executor::{Executor, Lookup, StepResult, Write, superseded};
use crate::engine::remote::observe;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::change::Change;
use crate::model::digest::{self, FieldDigest};
use crate::model::ids::AssetId;
use crate::model::metadata::{AssetRef, Field, FieldDigests};
use crate::model::phase::Intent;
use crate::model::recorded::{DriftRepair, Recorded};
use crate::plan::FieldChange;
use crate::platform::clock;

impl Executor {
    /// Changes metadata fields of an asset; `None`: of the one that the steps before made.
    pub(in crate::engine) async fn update_metadata(
        &self,
        address: &Address,
        asset_id: Option<AssetId>,
        changes: &[FieldChange],
        repairs: bool,
    ) -> Result<StepResult, StateCacheError> {
        let Some(record) = self.record(address) else { return Ok(superseded("it has no record")) };
        let made_just_now = asset_id.is_none();
        let Some(asset_id) = asset_id.or(record.points_to) else { return Ok(superseded("it has no asset")) };
        let mut fields = Vec::new();
        for change in changes {
            match self.resolve(change) {
                Ok(update) => fields.push(update),
                Err(missing) => return Ok(superseded(&format!("`{missing}`, which it shows, has no asset"))),
            }
        }
        // Of a Model a change of metadata may make a revision as well; whose it is can only be told
        // by who knows the head before.
        let in_place = record.identity.asset_type.on_content_change() == ContentChange::InPlace;
        if !made_just_now && (in_place || !self.state_cache.read(|recorded| is_vouched_for(recorded, asset_id))) {
            match self.look(address, asset_id).await? {
                Lookup::Present(asset) => {
                    self.state_cache.commit_with(|recorded| observe::observed(recorded, &asset, clock::now())).await?;
                }
                Lookup::Gone => return self.not_found(address, asset_id).await,
                Lookup::Unknown(tried) => return Ok(tried),
            }
        }
        if repairs {
            // Counted before it is sent: a bound that a crash can't lift.
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

    /// A field as it is sent; or the address that it shows and that has no asset.
    fn resolve(&self, change: &FieldChange) -> Result<FieldUpdate, Address> {
        let id = |reference: &AssetRef| match reference {
            AssetRef::Id(id) => Ok(*id),
            AssetRef::Address(address) => {
                self.record(address).and_then(|record| record.points_to).ok_or_else(|| address.clone())
            }
        };
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
    }
}

/// Whether Roblox has said whose an asset is and what, since Macadam last wrote to it. The plan
/// holds an asset that it says is somebody else's, so that nothing is sent to it.
fn is_vouched_for(recorded: &Recorded, asset_id: AssetId) -> bool {
    let written = recorded.written.get(&asset_id);
    recorded.observed(asset_id).is_some_and(|seen| {
        let is_newer = written.is_none_or(|written| seen.at > *written);
        is_newer && seen.asset.creator.is_some() && seen.asset.asset_type.is_some()
    })
}

/// What is asked of a field, as it is remembered.
fn asked(update: &FieldUpdate) -> (Field, FieldDigest) {
    let digest = match update {
        FieldUpdate::DisplayName(name) => FieldDigest::of_text(name.as_str()),
        FieldUpdate::Description(text) => FieldDigest::of_text(text.as_str()),
        FieldUpdate::Icon(icon) => digest::of_icon(*icon),
        FieldUpdate::Previews(previews) => digest::of_previews(previews),
        FieldUpdate::SocialLink(_, link) => digest::of_link(link.as_ref()),
    };
    (update.field(), digest)
}
