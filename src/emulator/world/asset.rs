//! Assets and their versions. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::Principal;
use super::content::{Content, CreatableType};
use super::moderation::{ModerationTimeline, ModerationVerdict};

/// A link to a creator's page (V1's SocialLink).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetLink {
    /// An optional title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// The target.
    pub uri: String,
}

/// A picture of the asset (V1's Preview).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewImage {
    /// The ID of an Image.
    pub asset: u64,
    /// Text in place of the picture.
    pub alt_text: String,
}

/// The properties that can change without new content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetMetadata {
    /// The name after the text filter.
    pub display_name: String,
    /// The description after the text filter; `None` if it is unset or empty.
    pub description: Option<String>,
    /// The ID of a square Image.
    pub icon: Option<u64>,
    /// Pictures, in order.
    pub previews: Vec<PreviewImage>,
    /// Links by field name: `twitterSocialLink` and so on.
    pub social_links: BTreeMap<String, AssetLink>,
}

/// The cause of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionOrigin {
    /// The create.
    Create,
    /// A content update.
    Update,
    /// A metadata change, where the switch `metadata_revision` says so.
    Metadata,
    /// A rollback that makes a version.
    Rollback,
    /// Another person's edit, through the control API.
    Edit,
}

/// One version of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counted from 1.
    pub number: u32,
    /// The uploaded content.
    pub content: Content,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Its cause.
    pub origin: VersionOrigin,
    /// Its verdicts over time.
    pub moderation: ModerationTimeline,
}

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The ID that Roblox would give.
    pub id: u64,
    /// Its type.
    pub asset_type: CreatableType,
    /// Its owner.
    pub creator: Principal,
    /// The owner of the key that created it. Rejections count for this account.
    pub uploaded_by: Principal,
    /// Name, description and the rest.
    pub metadata: AssetMetadata,
    /// True after `:archive`.
    pub archived: bool,
    /// All versions, oldest first; never empty.
    pub versions: Vec<Version>,
    /// The number of the current version.
    pub head: u32,
    /// When the current version became current, in milliseconds since the Unix epoch.
    pub head_since_ms: u64,
    /// `assetPrivacy` of the create; never in a response (V1: write-only).
    pub privacy: Option<String>,
    /// `expectedPrice` of the create; never in a response (V1: write-only).
    pub expected_price: Option<i64>,
    /// The Image that a Decal wraps.
    pub wraps: Option<u64>,
}

impl Asset {
    /// Returns the current version.
    pub(in crate::emulator) fn current(&self) -> Option<&Version> {
        self.version(self.head)
    }

    pub(in crate::emulator) fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub(in crate::emulator) fn last_number(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number)
    }

    /// Returns the verdict on the current version.
    pub(in crate::emulator) fn verdict(&self, now: u64) -> ModerationVerdict {
        self.current().map_or(ModerationVerdict::Approved, |version| version.moderation.at(now))
    }

    /// Adds a version and makes it current.
    pub(in crate::emulator) fn push(
        &mut self,
        content: Content,
        origin: VersionOrigin,
        moderation: ModerationTimeline,
        at: u64,
    ) {
        let number = self.last_number() + 1;
        self.versions.push(Version { number, content, created_at_ms: at, origin, moderation });
        self.head = number;
        self.head_since_ms = at;
    }

    /// Returns the asset as responses describe it at one moment.
    pub(in crate::emulator) fn view(&self, now: u64) -> AssetView {
        AssetView {
            id: self.id,
            asset_type: self.asset_type,
            creator: self.creator,
            metadata: self.metadata.clone(),
            archived: self.archived,
            revision: self.head,
            revision_at: self.head_since_ms,
            verdict: self.verdict(now),
        }
    }
}

/// An asset at one moment. An operation keeps one, because its response is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) struct AssetView {
    pub(in crate::emulator) id: u64,
    pub(in crate::emulator) asset_type: CreatableType,
    pub(in crate::emulator) creator: Principal,
    pub(in crate::emulator) metadata: AssetMetadata,
    pub(in crate::emulator) archived: bool,
    pub(in crate::emulator) revision: u32,
    pub(in crate::emulator) revision_at: u64,
    pub(in crate::emulator) verdict: ModerationVerdict,
}
