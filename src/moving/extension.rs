//! The files that each tool takes, by extension, and the asset type that it requests.

use crate::model::asset::AssetType;

/// Extensions of files that become assets of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtensionGroup {
    /// In lower case, without the dot.
    pub extensions: &'static [&'static str],
    /// The type that the tool requests, if Macadam would infer another.
    pub asset_type: Option<AssetType>,
    /// Added to the input's name, if one input becomes several globs.
    pub suffix: &'static str,
}

impl ExtensionGroup {
    /// Returns whether a file belongs to it.
    pub(super) fn fits(&self, path: &str) -> bool {
        let extension = of(path).unwrap_or_default();
        self.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
    }
}

/// Creates a group of extensions whose types Macadam infers.
const fn inferred(extensions: &'static [&'static str]) -> ExtensionGroup {
    ExtensionGroup { extensions, asset_type: None, suffix: "" }
}

/// Asphalt 1 and 2, without `svg`, which Macadam can't upload.
pub(super) const ASPHALT: &[ExtensionGroup] = &[inferred(&[
    "png", "jpg", "jpeg", "bmp", "tga", "mp3", "ogg", "wav", "flac", "fbx", "gltf", "glb", "rbxm", "rbxmx", "mp4",
    "mov",
])];

/// Tarmac.
pub(super) const TARMAC: &[ExtensionGroup] = &[inferred(&["png", "jpg"])];

/// asset-sync.
pub(super) const ASSET_SYNC: &[ExtensionGroup] = &[inferred(&["png", "jpg", "jpeg", "mp3", "ogg", "wav", "fbx"])];

/// Tungsten, which uploads images as Decals and animations as Models.
pub(super) const TUNGSTEN: &[ExtensionGroup] = &[
    ExtensionGroup {
        extensions: &["png", "jpg", "jpeg", "bmp", "tga"],
        asset_type: Some(AssetType::Decal),
        suffix: "",
    },
    ExtensionGroup {
        extensions: &["fbx", "gltf", "glb", "rbxm", "rbxmx"],
        asset_type: Some(AssetType::Model),
        suffix: "_models",
    },
    ExtensionGroup { extensions: &["mp3", "ogg", "wav", "flac"], asset_type: None, suffix: "_sounds" },
];

/// The extension of images that a tool renders before the upload, and that Macadam can't upload.
pub(super) const DRAWN: &str = "svg";

/// Returns the extension of a path, without the dot.
pub(super) fn of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}

/// Returns whether the path is that of an image.
pub(super) fn is_image(path: &str) -> bool {
    let images = ["png", "jpg", "jpeg", "bmp", "tga", DRAWN];
    of(path).is_some_and(|extension| images.iter().any(|image| extension.eq_ignore_ascii_case(image)))
}
