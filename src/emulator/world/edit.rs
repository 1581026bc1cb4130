//! Out-of-band edits: another person's changes to an asset in Studio or on the website. Pure.

use serde::{Deserialize, Serialize};

use super::World;
use super::asset::{Asset, VersionOrigin};
use super::content::Content;
use super::moderation::ModerationVerdict;

/// A change by another person. Absent fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignEdit {
    /// A new name, which bypasses every filter.
    #[serde(default)]
    pub display_name: Option<String>,
    /// A new description; empty clears it.
    #[serde(default)]
    pub description: Option<String>,
    /// Archives or restores the asset.
    #[serde(default)]
    pub archived: Option<bool>,
    /// Adds a version with content of this SHA-256.
    #[serde(default)]
    pub content_hash: Option<String>,
    /// Makes this existing version current.
    #[serde(default)]
    pub head: Option<u32>,
    /// Rejects this existing version, as moderation would.
    #[serde(default)]
    pub reject_version: Option<u32>,
    /// Removes this existing version, which must not be the current one.
    #[serde(default)]
    pub remove_version: Option<u32>,
}

impl World {
    /// Carries out an edit. `None` if there is no such asset or version.
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
