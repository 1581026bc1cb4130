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
    /// Where it leads.
    pub uri: String,
}

/// A picture of the asset (V1's Preview).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewImage {
    /// The id of an Image.
    pub asset: u64,
    /// Text in place of the picture.
    pub alt_text: String,
}

/// What can be changed without new content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetMetadata {
    /// The name, as the text filter left it.
    pub display_name: String,
    /// The description, as the text filter left it; none when it is unset or empty.
    pub description: Option<String>,
    /// The id of a square Image.
    pub icon: Option<u64>,
    /// Pictures, in order.
    pub previews: Vec<PreviewImage>,
    /// By field name: `twitterSocialLink` and so on.
    pub social_links: BTreeMap<String, AssetLink>,
}

/// What made a version.
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
    /// Somebody else, through the side door.
    Edit,
}

/// One version of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// What was uploaded.
    pub content: Content,
    /// When, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// What made it.
    pub origin: VersionOrigin,
    /// Its verdicts over time.
    pub moderation: ModerationTimeline,
}

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// The id that Roblox would give.
    pub id: u64,
    /// What it is.
    pub asset_type: CreatableType,
    /// Whose it is.
    pub creator: Principal,
    /// The owner of the key that created it: rejections count for this account.
    pub uploaded_by: Principal,
    /// Name, description and the rest.
    pub metadata: AssetMetadata,
    /// True after `:archive`.
    pub archived: bool,
    /// All versions, oldest first; never empty.
    pub versions: Vec<Version>,
    /// The number of the current version.
    pub head: u32,
    /// When the current version became current.
    pub head_since_ms: u64,
    /// `assetPrivacy` of the create; never answered (V1: write-only).
    pub privacy: Option<String>,
    /// `expectedPrice` of the create; never answered (V1: write-only).
    pub expected_price: Option<i64>,
    /// The Image that a Decal wraps.
    pub wraps: Option<u64>,
}

impl Asset {
    /// The current version.
    pub(in crate::emulator) fn current(&self) -> Option<&Version> {
        self.version(self.head)
    }

    pub(in crate::emulator) fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub(in crate::emulator) fn last_number(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.number)
    }

    /// The verdict on the current version.
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

    /// What an answer about the asset says at one moment.
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

/// An asset at one moment; an operation keeps one, for its response is a snapshot.
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
