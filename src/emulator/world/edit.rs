//! Out-of-band edits: what somebody else does to an asset in Studio or on the website. Pure.

use serde::{Deserialize, Serialize};

use super::World;
use super::asset::{Asset, VersionOrigin};
use super::content::Content;
use super::moderation::ModerationVerdict;

/// A change by somebody else; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignEdit {
    /// A new name, past every filter.
    #[serde(default)]
    pub display_name: Option<String>,
    /// A new description; empty clears it.
    #[serde(default)]
    pub description: Option<String>,
    /// Archived or restored.
    #[serde(default)]
    pub archived: Option<bool>,
    /// A new version with content of this SHA-256.
    #[serde(default)]
    pub content_hash: Option<String>,
    /// The head points to this existing version.
    #[serde(default)]
    pub head: Option<u32>,
    /// Moderation takes this existing version down.
    #[serde(default)]
    pub reject_version: Option<u32>,
    /// This existing version, which is not the current one, is gone.
    #[serde(default)]
    pub remove_version: Option<u32>,
}

impl World {
    /// Carries out an edit; none when there is no such asset, or no such version.
    pub(in crate::emulator) fn edit(&mut self, id: u64, edit: &ForeignEdit, now: u64) -> Option<Asset> {
        let asset = self.assets.get_mut(&id)?;
        if let Some(head) = edit.head {
            asset.version(head)?;
            (asset.head, asset.head_since_ms) = (head, now);
        }
        if let Some(number) = edit.reject_version {
            let version = asset.versions.iter_mut().find(|version| version.number == number)?;
            version.moderation.decide(now, ModerationVerdict::Rejected);
        }
        if let Some(number) = edit.remove_version {
            asset.version(number).filter(|version| version.number != asset.head)?;
            asset.versions.retain(|version| version.number != number);
        }
        if let Some(name) = &edit.display_name {
            asset.metadata.display_name.clone_from(name);
        }
        if let Some(text) = &edit.description {
            asset.metadata.description = Some(text.clone()).filter(|text| !text.is_empty());
        }
        asset.archived = edit.archived.unwrap_or(asset.archived);
        if let Some(hash) = &edit.content_hash {
            let content = Content { hash: hash.clone(), bytes: 0, format: None, pixels: None };
            self.push_version(id, content, VersionOrigin::Edit, now);
        }
        self.assets.get(&id).cloned()
    }
}
