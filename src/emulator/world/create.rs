//! `POST /assets`: checks a create and carries it out. Pure.
//!
//! A create always makes a new asset, even from known bytes: nothing suggests that Roblox compares
//! them.

use super::account::{EmulatedKey, Principal};
use super::asset::{Asset, AssetMetadata, VersionOrigin};
use super::content::{Content, CreatableType, UploadFormat};
use super::input::{AssetInput, FilePart};
use super::moderation::{TextField, filter};
use super::operation::{FailedOperation, OperationWork};
use super::{Effects, QuotaUse, World};
use crate::emulator::refusal::{ApiErrorCode, ApiRefusal};
use crate::emulator::switches::{
    CreateIconPreviews, Decal, FormatDecidedBy, LargeVideo, MissingDescription, NameLengthUnit, PrefixedInput,
    QuotaOfFailed, QuotaRefusal, SizeLimit,
};

/// 20 MB for a file (GUIDE).
const FILE_LIMIT: u64 = 20_000_000;

/// 3.75 GB for a video (VID).
const VIDEO_LIMIT: u64 = 3_750_000_000;

/// Images must be smaller (GUIDE).
const PIXELS: u32 = 8000;

/// In code points (V1).
const DESCRIPTION_LENGTH: usize = 1000;

/// V1, and the message of the refusal on the wire.
const NAME_LENGTH: usize = 50;

const DAY: u64 = 86_400_000;

/// The result of a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::emulator) struct Creation {
    pub(in crate::emulator) operation: String,
    pub(in crate::emulator) asset_id: Option<u64>,
}

impl World {
    /// Checks a create, and carries it out if it is valid.
    pub(in crate::emulator) fn create(
        &mut self,
        key: &EmulatedKey,
        input: &AssetInput,
        file: Option<&FilePart>,
        effects: &Effects,
        now: u64,
    ) -> Result<Creation, ApiRefusal> {
        let asset_type = self.check_type(input)?;
        let metadata = self.check_new_metadata(input)?;
        let creator = input.creator.ok_or_else(|| ApiRefusal::invalid("Creator is required."))?;
        self.permit(key, creator)?;
        if let Some(privacy) = &input.privacy
            && !["default", "restricted", "openUse"].contains(&privacy.as_str())
        {
            return Err(ApiRefusal::invalid(format!("AssetPrivacy {privacy} is invalid.")));
        }
        let file = file.ok_or_else(|| ApiRefusal::invalid("Request body cannot be empty"))?;
        let corrupt = self.check_file(asset_type, file)?;
        self.check_fee(asset_type, input.expected_price)?;
        self.check_quota(asset_type, creator, now)?;

        let creation =
            self.carry_out(key, (asset_type, creator), input, &metadata, &file.content, corrupt, effects, now);
        if effects.twice {
            self.carry_out(key, (asset_type, creator), input, &metadata, &file.content, corrupt, effects, now);
        }
        Ok(creation)
    }

    #[expect(clippy::too_many_arguments, reason = "the judged request, in parts; two callers side by side")]
    fn carry_out(
        &mut self,
        key: &EmulatedKey,
        (asset_type, creator): (CreatableType, Principal),
        input: &AssetInput,
        metadata: &AssetMetadata,
        content: &Content,
        corrupt: bool,
        effects: &Effects,
        now: u64,
    ) -> Creation {
        let failure = self.failure(content, &metadata.display_name, corrupt, effects, None);
        let asset_id = failure.is_none().then(|| {
            let wraps = (asset_type == CreatableType::Decal && self.switches().decal == Decal::WrapsImage).then(|| {
                self.mint_asset(key, CreatableType::Image, creator, input, metadata.clone(), content.clone(), None, now)
            });
            let id = self.mint_asset(key, asset_type, creator, input, metadata.clone(), content.clone(), wraps, now);
            self.count_commits(&content.hash, 1);
            self.keep_stale(id, effects.stale_for, now, None);
            id
        });
        let counted = failure.is_none() || self.switches().quota_of_failed == QuotaOfFailed::Counted;
        let work = failure.map_or(OperationWork::Create, OperationWork::Fail);
        let operation = self.start(key, asset_id, asset_type, work, effects, now);
        if counted && self.quota(asset_type).is_some() {
            self.uploads.push(QuotaUse { creator, asset_type, at: now, operation: operation.clone() });
        }
        Creation { operation, asset_id }
    }

    #[expect(clippy::too_many_arguments, reason = "all parts of an asset; only the create has them")]
    fn mint_asset(
        &mut self,
        key: &EmulatedKey,
        asset_type: CreatableType,
        creator: Principal,
        input: &AssetInput,
        metadata: AssetMetadata,
        content: Content,
        wraps: Option<u64>,
        now: u64,
    ) -> u64 {
        let id = self.mint.asset();
        let asset = Asset {
            id,
            asset_type,
            creator,
            uploaded_by: key.owner,
            metadata,
            archived: false,
            versions: Vec::new(),
            head: 0,
            head_since_ms: now,
            privacy: input.privacy.clone(),
            expected_price: input.expected_price,
            wraps,
        };
        self.assets.insert(id, asset);
        self.push_version(id, content, VersionOrigin::Create, now);
        id
    }

    /// Returns the reason why the operation of an upload will fail, if it will.
    pub(super) fn failure(
        &self,
        content: &Content,
        name: &str,
        corrupt: bool,
        effects: &Effects,
        asset: Option<u64>,
    ) -> Option<FailedOperation> {
        let error =
            |code: &str, message: &str| FailedOperation::Error { code: code.to_owned(), message: message.to_owned() };
        if let Some(failure) = effects.operation.as_ref().and_then(super::OperationFault::failure) {
            Some(failure)
        } else if corrupt {
            Some(error("CorruptedData", "The file is corrupted."))
        } else if self.rule(&content.hash, name, asset).is_some_and(|rule| rule.fail_operation) {
            Some(error("ContentModerated", "The content is moderated."))
        } else {
            None
        }
    }

    fn check_type(&self, input: &AssetInput) -> Result<CreatableType, ApiRefusal> {
        let text = input.asset_type.as_deref().ok_or_else(|| ApiRefusal::invalid("AssetType is required."))?;
        let prefixed = self.switches().prefixed_input == PrefixedInput::Accepted;
        CreatableType::parse(text, prefixed)
            .ok_or_else(|| ApiRefusal::invalid(format!("AssetType {text} is not supported.")))
    }

    fn check_new_metadata(&self, input: &AssetInput) -> Result<AssetMetadata, ApiRefusal> {
        if input.description.is_none() && self.switches().missing_description == MissingDescription::Refused {
            return Err(ApiRefusal::invalid("Description is required."));
        }
        if !input.social_links.is_empty() {
            return Err(ApiRefusal::invalid("Social links can't be set when an asset is created."));
        }
        let pictures = input.icon.is_some() || !input.previews.is_empty();
        if pictures && self.switches().create_icon_previews == CreateIconPreviews::Refused {
            return Err(ApiRefusal::invalid("Icon and previews can't be set when an asset is created."));
        }
        if let Some(icon) = input.icon {
            self.check_picture(icon, true).map_err(ApiRefusal::invalid)?;
        }
        for preview in &input.previews {
            self.check_picture(preview.asset, false).map_err(ApiRefusal::invalid)?;
        }
        Ok(AssetMetadata {
            display_name: self.check_name(input.display_name.as_deref())?,
            description: self.check_description(input.description.as_deref())?,
            icon: input.icon,
            previews: input.previews.clone(),
            social_links: Default::default(),
        })
    }

    /// Returns the name as it will be stored.
    pub(super) fn check_name(&self, name: Option<&str>) -> Result<String, ApiRefusal> {
        let name = name.unwrap_or_default();
        let length = match self.switches().name_length_unit {
            NameLengthUnit::CodePoints => name.chars().count(),
            NameLengthUnit::Utf16 => name.encode_utf16().count(),
        };
        if !(1..=NAME_LENGTH).contains(&length) {
            return Err(ApiRefusal::invalid("Asset name length is invalid."));
        }
        filter(&self.moderation.text_rules, TextField::Name, name)
    }

    /// Returns the description as it will be stored; an empty one is unset.
    pub(super) fn check_description(&self, description: Option<&str>) -> Result<Option<String>, ApiRefusal> {
        let text = description.unwrap_or_default();
        if text.chars().count() > DESCRIPTION_LENGTH {
            return Err(ApiRefusal::invalid("Asset description length is invalid."));
        }
        filter(&self.moderation.text_rules, TextField::Description, text)
            .map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    /// Refuses an unacceptable file, or returns whether its operation will find it corrupt.
    pub(super) fn check_file(&self, asset_type: CreatableType, file: &FilePart) -> Result<bool, ApiRefusal> {
        let content = &file.content;
        let large_video = asset_type == CreatableType::Video && self.switches().large_video == LargeVideo::Accepted;
        let limit = match (large_video, self.switches().size_limit) {
            (true, _) => VIDEO_LIMIT,
            (false, SizeLimit::File20Mb) => FILE_LIMIT,
            (false, SizeLimit::Body30Mb) => u64::MAX,
        };
        if file.name.is_none() || content.bytes == 0 {
            return Err(ApiRefusal::invalid("Request body cannot be empty"));
        }
        if content.bytes > limit {
            return Err(ApiRefusal::invalid(format!("The file is too large. The max file size is {limit} bytes.")));
        }
        let declared = self.declared(file);
        if declared.is_some_and(|format| !asset_type.takes(format)) {
            return Err(ApiRefusal::invalid(format!(
                "The content type is not supported for AssetType {}.",
                asset_type.name()
            )));
        }
        let sound = content.format.is_some_and(|found| {
            declared.is_none_or(|declared| found.same_family(declared)) && asset_type.takes(found)
        });
        if matches!(asset_type, CreatableType::Image | CreatableType::Decal) {
            let fits = content.pixels.is_some_and(|(width, height)| width < PIXELS && height < PIXELS);
            // The quotation marks are part of the message.
            return if sound && fits { Ok(false) } else { Err(ApiRefusal::invalid("\"InvalidImage\"")) };
        }
        Ok(!sound)
    }

    /// Returns the format that the upload declares.
    pub(super) fn declared(&self, file: &FilePart) -> Option<UploadFormat> {
        let mime = file.mime.as_deref().and_then(UploadFormat::of_mime);
        let name = file.name.as_deref().and_then(UploadFormat::of_name);
        match self.switches().format_decided_by {
            FormatDecidedBy::Mime => mime.or(name),
            FormatDecidedBy::Extension => name.or(mime),
        }
    }

    pub(super) fn check_fee(&self, asset_type: CreatableType, expected: Option<i64>) -> Result<(), ApiRefusal> {
        let fee = self.settings.fees.get(&asset_type).copied().unwrap_or(0);
        match expected {
            Some(expected) if u64::try_from(expected).unwrap_or(0) < fee => Err(ApiRefusal::invalid(format!(
                "The price is {fee} Robux, more than the expected price of {expected}."
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the number of uploads of a type and the period in milliseconds, where there is a
    /// quota.
    fn quota(&self, asset_type: CreatableType) -> Option<(u64, u64)> {
        match asset_type {
            CreatableType::Audio => Some((self.switches().audio_quota, 30 * DAY)),
            CreatableType::Video => Some((self.switches().video_quota, DAY)),
            _ => None,
        }
    }

    fn check_quota(&self, asset_type: CreatableType, creator: Principal, now: u64) -> Result<(), ApiRefusal> {
        let Some((most, period)) = self.quota(asset_type) else { return Ok(()) };
        let counts = |upload: &&QuotaUse| {
            upload.creator == creator && upload.asset_type == asset_type && upload.at.saturating_add(period) > now
        };
        if (self.uploads.iter().filter(counts).count() as u64) < most {
            return Ok(());
        }
        let message = format!("The upload quota for AssetType {} is exhausted.", asset_type.name());
        let code = match self.switches().quota_refusal {
            QuotaRefusal::ResourceExhausted => ApiErrorCode::ResourceExhausted,
            QuotaRefusal::InvalidArgument => ApiErrorCode::InvalidArgument,
            QuotaRefusal::PermissionDenied => ApiErrorCode::PermissionDenied,
        };
        Err(ApiRefusal::Service { code, message })
    }

    /// Checks an icon or preview: it must be an Image, and an icon a square one (V1).
    pub(super) fn check_picture(&self, id: u64, square: bool) -> Result<(), String> {
        let Some(asset) = self.assets.get(&id) else { return Err(format!("AssetId {id} is not found")) };
        if asset.asset_type != CreatableType::Image {
            return Err(format!("AssetId {id} is not an Image."));
        }
        let pixels = asset.current().and_then(|version| version.content.pixels);
        match pixels {
            Some((width, height)) if square && width != height => Err(format!("AssetId {id} is not square.")),
            _ => Ok(()),
        }
    }
}
