//! Asset types and file formats as Roblox knows them. Each fact about them has its one home here.

use std::fmt;
use std::str::FromStr;

/// A type of asset that the Assets API creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetType {
    /// A package of instances or a mesh file.
    Model,
    /// A KeyframeSequence or CurveAnimation.
    Animation,
    /// A picture whose ID works in ImageLabel and Texture.
    Image,
    /// A wrapper around a picture, with an ID of its own. Only on request.
    Decal,
    /// A sound.
    Audio,
    /// A moving picture.
    Video,
    /// Roblox mesh data.
    Mesh,
}

/// The effect of a changed content on an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentChange {
    /// The same asset ID gets a new revision.
    InPlace,
    /// The content needs a new asset, with another asset ID.
    NewAsset,
}

impl AssetType {
    /// Every type.
    pub const ALL: [Self; 7] =
        [Self::Model, Self::Animation, Self::Image, Self::Decal, Self::Audio, Self::Video, Self::Mesh];

    /// How Roblox takes a changed content. Only Models are updated in place (creator-docs:
    /// reference/cloud/assets/v1.json, "Currently can only update the content body for
    /// Models").
    pub const fn on_content_change(self) -> ContentChange {
        match self {
            Self::Model => ContentChange::InPlace,
            Self::Animation | Self::Image | Self::Decal | Self::Audio | Self::Video | Self::Mesh => {
                ContentChange::NewAsset
            }
        }
    }

    /// Whether an upload counts against a monthly or daily quota, or costs Robux (creator-docs:
    /// audio/assets.md, ui/video-frames.md).
    pub const fn has_upload_quota(self) -> bool {
        match self {
            Self::Audio | Self::Video => true,
            Self::Model | Self::Animation | Self::Image | Self::Decal | Self::Mesh => false,
        }
    }

    /// Whether `privacy` can be chosen at creation (creator-docs: projects/assets/privacy.md).
    pub const fn allows_privacy_override(self) -> bool {
        match self {
            Self::Image | Self::Decal | Self::Mesh => true,
            Self::Model | Self::Animation | Self::Audio | Self::Video => false,
        }
    }

    /// The name in manifests, lockfiles and requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Animation => "Animation",
            Self::Image => "Image",
            Self::Decal => "Decal",
            Self::Audio => "Audio",
            Self::Video => "Video",
            Self::Mesh => "Mesh",
        }
    }
}

impl fmt::Display for AssetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no asset type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` isn't an asset type")]
pub struct UnknownAssetType(pub String);

impl FromStr for AssetType {
    type Err = UnknownAssetType;

    fn from_str(text: &str) -> Result<Self, UnknownAssetType> {
        Self::ALL
            .into_iter()
            .find(|t| t.name() == text)
            .ok_or_else(|| UnknownAssetType(text.chars().take(40).collect()))
    }
}

/// A file format that the Assets API takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileFormat {
    /// Autodesk FBX.
    Fbx,
    /// glTF with its buffers inside.
    Gltf,
    /// Binary glTF.
    Glb,
    /// Roblox binary model.
    Rbxm,
    /// Roblox XML model.
    Rbxmx,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Windows bitmap.
    Bmp,
    /// Truevision TGA.
    Tga,
    /// MPEG layer 3.
    Mp3,
    /// Ogg.
    Ogg,
    /// RIFF WAVE.
    Wav,
    /// FLAC.
    Flac,
    /// MPEG-4.
    Mp4,
    /// QuickTime.
    Mov,
    /// Roblox mesh data.
    MeshData,
}

impl FileFormat {
    /// Every format.
    pub const ALL: [Self; 16] = [
        Self::Fbx,
        Self::Gltf,
        Self::Glb,
        Self::Rbxm,
        Self::Rbxmx,
        Self::Png,
        Self::Jpeg,
        Self::Bmp,
        Self::Tga,
        Self::Mp3,
        Self::Ogg,
        Self::Wav,
        Self::Flac,
        Self::Mp4,
        Self::Mov,
        Self::MeshData,
    ];

    /// The format that an extension promises; `extension` in lower case, without the dot.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extensions().contains(&extension))
    }

    /// The extensions of this format in lower case, the usual one first.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Fbx => &["fbx"],
            Self::Gltf => &["gltf"],
            Self::Glb => &["glb"],
            Self::Rbxm => &["rbxm"],
            Self::Rbxmx => &["rbxmx"],
            Self::Png => &["png"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Bmp => &["bmp"],
            Self::Tga => &["tga"],
            Self::Mp3 => &["mp3"],
            Self::Ogg => &["ogg"],
            Self::Wav => &["wav"],
            Self::Flac => &["flac"],
            Self::Mp4 => &["mp4"],
            Self::Mov => &["mov"],
            Self::MeshData => &["mesh"],
        }
    }

    /// The MIME type of the `fileContent` part (creator-docs: cloud/guides/usage-assets.md,
    /// "Supported asset types and limits").
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Fbx => "model/fbx",
            Self::Gltf => "model/gltf+json",
            Self::Glb => "model/gltf-binary",
            Self::Rbxm | Self::Rbxmx => "model/x-rbxm",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Bmp => "image/bmp",
            Self::Tga => "image/tga",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/mov",
            Self::MeshData => "model/x-file-mesh-data",
        }
    }

    /// The types that take this format, the default first.
    pub const fn types(self) -> &'static [AssetType] {
        match self {
            Self::Fbx | Self::Gltf | Self::Glb => &[AssetType::Model],
            Self::Rbxm | Self::Rbxmx => &[AssetType::Model, AssetType::Animation],
            Self::Png | Self::Jpeg | Self::Bmp | Self::Tga => &[AssetType::Image, AssetType::Decal],
            Self::Mp3 | Self::Ogg | Self::Wav | Self::Flac => &[AssetType::Audio],
            Self::Mp4 | Self::Mov => &[AssetType::Video],
            Self::MeshData => &[AssetType::Mesh],
        }
    }

    /// The largest file in bytes: 20,000,000, or 3,750,000,000 for a video (creator-docs:
    /// cloud/guides/usage-assets.md).
    pub const fn max_bytes(self) -> u64 {
        match self {
            Self::Mp4 | Self::Mov => 3_750_000_000,
            Self::Fbx
            | Self::Gltf
            | Self::Glb
            | Self::Rbxm
            | Self::Rbxmx
            | Self::Png
            | Self::Jpeg
            | Self::Bmp
            | Self::Tga
            | Self::Mp3
            | Self::Ogg
            | Self::Wav
            | Self::Flac
            | Self::MeshData => 20_000_000,
        }
    }
}

/// The people who may use an asset, chosen with the first upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Privacy {
    /// As the creator's settings say.
    #[default]
    Default,
    /// Only those who are granted it.
    Restricted,
    /// Everybody, for ever: can't be undone (creator-docs: projects/assets/privacy.md).
    OpenUse,
}

impl Privacy {
    /// The name in manifests and lockfiles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Restricted => "restricted",
            Self::OpenUse => "open_use",
        }
    }

    /// Reads the name that [`Privacy::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Default, Self::Restricted, Self::OpenUse].into_iter().find(|p| p.name() == name)
    }
}

/// The verdict of Roblox's moderation on an asset or on one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moderation {
    /// Not decided yet: others can't see it.
    Reviewing,
    /// Usable.
    Approved,
    /// Refused: uploading the same again risks the account.
    Rejected,
}

impl Moderation {
    /// The name in lockfiles, the state and JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reviewing => "reviewing",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    /// Reads the name that [`Moderation::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Reviewing, Self::Approved, Self::Rejected].into_iter().find(|m| m.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_belongs_to_one_format() {
        let mut seen = std::collections::BTreeSet::new();
        for format in FileFormat::ALL {
            for extension in format.extensions() {
                assert!(seen.insert(extension), "{extension} twice");
                assert_eq!(FileFormat::of_extension(extension), Some(format));
            }
        }
        assert_eq!(FileFormat::of_extension("exe"), None);
    }

    #[test]
    fn names_read_back() {
        for kind in AssetType::ALL {
            assert_eq!(kind.name().parse::<AssetType>().unwrap(), kind);
        }
        assert!("model".parse::<AssetType>().is_err());
    }
}
