//! `PATCH /assets/{id}`: new content, new metadata, or both. Pure.

use super::account::EmulatedKey;
use super::asset::{Asset, AssetView};
use super::content::{CreatableType, UploadFormat};
use super::input::{AssetInput, FilePart, SOCIAL_LINKS};
use super::operation::{FailedOperation, FieldError, MetadataEdit, Operation, OperationWork};
use super::{Effects, World};
use crate::emulator::refusal::ApiRefusal;
use crate::emulator::switches::{
    ContentUpdate, MetadataFailure, MetadataReply, UnmaskedMetadata, UpdateFee, UpdateWithoutAssetId,
};

/// The response to an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum UpdateReply {
    /// The ID of a running operation.
    Running(String),
    /// An operation that is done.
    Done(Box<Operation>),
    /// The changed fields.
    Fields(Box<AssetView>, Vec<String>),
}

/// The most social links of an asset (V1).
const SOCIAL_LINKS_MOST: usize = 3;

impl World {
    /// Checks an update, and carries it out if it is valid.
    #[expect(clippy::too_many_arguments, reason = "one request in its parts")]
    pub(in crate::emulator) fn update(
        &mut self,
        key: &EmulatedKey,
        id: u64,
        input: &AssetInput,
        mask: Option<&[String]>,
        file: Option<&FilePart>,
        effects: &Effects,
        now: u64,
    ) -> Result<UpdateReply, ApiRefusal> {
        let asset = &self.writable(key, id)?.clone();
        self.not_archived(asset)?;
        match input.asset_id {
            Some(named) if named != id => {
                return Err(ApiRefusal::invalid("AssetId in the request does not match the path."));
            }
            None if self.switches().update_without_asset_id == UpdateWithoutAssetId::Refused => {
                return Err(ApiRefusal::invalid("AssetId is required."));
            }
            _ => {}
        }
        let unmasked = match self.switches().unmasked_metadata {
            UnmaskedMetadata::Ignored => Vec::new(),
            UnmaskedMetadata::Applied => input.named.clone(),
        };
        // With a file and no mask, the request's JSON identifies the asset and changes nothing.
        let mask = mask.map_or(if file.is_some() { Vec::new() } else { unmasked }, <[String]>::to_vec);
        let (fields, errors) = self.check_fields(asset, input, &mask)?;
        let failure = match file {
            Some(file) => self.check_new_content(asset, input, file, effects)?,
            None => effects.operation.as_ref().and_then(super::OperationFault::failure),
        };
        let (asset_type, content) = (asset.asset_type, file.map(|file| file.content.clone()));
        if failure.is_none()
            && let Some(content) = &content
        {
            self.count_commits(&content.hash, if effects.twice { 2 } else { 1 });
        }
        let reply = if content.is_some() || effects.operation.is_some() {
            MetadataReply::Operation
        } else {
            self.switches().metadata_reply
        };
        if reply == MetadataReply::Fields {
            self.write(id, effects.stale_for, now, |world| world.apply_fields(id, &fields, now));
            let view = self.assets.get(&id).ok_or_else(|| ApiRefusal::no_asset(id))?.view(now);
            return Ok(UpdateReply::Fields(Box::new(view), mask));
        }
        let work = failure.map_or(OperationWork::Change { content, fields, errors }, OperationWork::Fail);
        if effects.twice {
            self.start(key, Some(id), asset_type, work.clone(), effects, now);
        }
        let operation = self.start(key, Some(id), asset_type, work, effects, now);
        if reply == MetadataReply::DoneOperation {
            if let Some(at) = self.operations.get(&operation).and_then(|started| started.finish_at) {
                self.running.remove(&(at, operation.clone()));
            }
            self.finish(&operation, now);
            let ended =
                self.operations.get(&operation).ok_or_else(|| ApiRefusal::not_found("Operation is not found"))?;
            return Ok(UpdateReply::Done(Box::new(ended.clone())));
        }
        Ok(UpdateReply::Running(operation))
    }

    /// Refuses unacceptable content, or returns the reason why its operation will fail.
    fn check_new_content(
        &self,
        asset: &Asset,
        input: &AssetInput,
        file: &FilePart,
        effects: &Effects,
    ) -> Result<Option<FailedOperation>, ApiRefusal> {
        let named = input.asset_type.as_deref().map(|text| CreatableType::parse(text, true));
        if named.is_some_and(|named| named != Some(asset.asset_type)) {
            return Err(ApiRefusal::invalid("AssetType can't be changed."));
        }
        let fbx = self.declared(file).or(file.content.format) == Some(UploadFormat::Fbx);
        let possible = match self.switches().content_update {
            ContentUpdate::Models => asset.asset_type == CreatableType::Model,
            ContentUpdate::FbxOnly => asset.asset_type == CreatableType::Model && fbx,
            ContentUpdate::ModelsAndAnimations => {
                matches!(asset.asset_type, CreatableType::Model | CreatableType::Animation)
            }
        };
        if !possible {
            let name = asset.asset_type.name();
            return Err(ApiRefusal::invalid(format!("AssetType {name} does not support content updates.")));
        }
        let corrupt = self.check_file(asset.asset_type, file)?;
        if self.switches().update_fee == UpdateFee::Charged {
            self.check_fee(asset.asset_type, input.expected_price)?;
        }
        Ok(self.failure(&file.content, &asset.metadata.display_name, corrupt, effects, Some(asset.id)))
    }

    /// Returns the changes of the mask's fields. A field in the mask that the request lacks is
    /// cleared; one outside the mask is ignored.
    fn check_fields(
        &self,
        asset: &Asset,
        input: &AssetInput,
        mask: &[String],
    ) -> Result<(Vec<MetadataEdit>, Vec<FieldError>), ApiRefusal> {
        let (mut changes, mut errors) = (Vec::new(), Vec::new());
        for field in mask {
            match field.as_str() {
                "displayName" => {
                    changes.push(MetadataEdit::DisplayName(self.check_name(input.display_name.as_deref())?))
                }
                "description" => {
                    changes.push(MetadataEdit::Description(self.check_description(input.description.as_deref())?))
                }
                "icon" => match input.icon.map_or(Ok(()), |icon| self.check_picture(icon, true)) {
                    Ok(()) => changes.push(MetadataEdit::Icon(input.icon)),
                    Err(message) => errors.push(self.unusable(field, message)?),
                },
                "previews" => {
                    match input.previews.iter().try_for_each(|preview| self.check_picture(preview.asset, false)) {
                        Ok(()) => changes.push(MetadataEdit::Previews(input.previews.clone())),
                        Err(message) => errors.push(self.unusable(field, message)?),
                    }
                }
                name => changes.push(social_link(name, input)?),
            }
        }
        let mut links: Vec<&String> = asset.metadata.social_links.keys().collect();
        for change in &changes {
            if let MetadataEdit::SocialLink(name, link) = change {
                links.retain(|link| *link != name);
                links.extend(link.as_ref().map(|_| name));
            }
        }
        if links.len() > SOCIAL_LINKS_MOST {
            return Err(ApiRefusal::invalid("An asset can have at most 3 social links."));
        }
        Ok((changes, errors))
    }

    /// Reports an unusable picture: refuses it at once, or returns an error for inside the
    /// operation.
    fn unusable(&self, field: &str, message: String) -> Result<FieldError, ApiRefusal> {
        let switches = self.switches();
        if switches.metadata_failure == MetadataFailure::Refused || switches.metadata_reply == MetadataReply::Fields {
            return Err(ApiRefusal::invalid(message));
        }
        Ok(FieldError { code: "InvalidArgument".to_owned(), message, field: field.to_owned() })
    }
}

fn social_link(name: &str, input: &AssetInput) -> Result<MetadataEdit, ApiRefusal> {
    let Some((_, hosts)) = SOCIAL_LINKS.iter().find(|(known, _)| *known == name) else {
        return Err(ApiRefusal::invalid(format!("The update mask has an invalid field: {name}.")));
    };
    let link = input.social_links.get(name).cloned();
    if let Some(link) = &link {
        let host = link.uri.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if !hosts.iter().any(|known| host == *known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')))
        {
            return Err(ApiRefusal::invalid(format!("The uri of {name} is invalid.")));
        }
    }
    Ok(MetadataEdit::SocialLink(name.to_owned(), link))
}
