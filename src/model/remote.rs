//! What the remote said of an asset.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::asset::{AssetType, Moderation};
use super::ids::{AssetId, Creator, Revision};
use super::metadata::{SocialLink, SocialNetwork};

/// An asset as Roblox describes it. What an answer left out is `None`: not asked for, or unset there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAsset {
    /// Its ID.
    pub asset_id: AssetId,
    /// The version of its content; absent for some types that can't be updated.
    pub revision: Option<Revision>,
    /// When that content was made.
    pub revision_created_at: Option<Timestamp>,
    /// Its type; `None` also for one that Macadam doesn't know.
    pub asset_type: Option<AssetType>,
    /// Its owner.
    pub creator: Option<Creator>,
    /// The name as stored, after Roblox's text filter.
    pub display_name: Option<String>,
    /// The description as stored, after Roblox's text filter.
    pub description: Option<String>,
    /// What moderation said, at the moment of the answer.
    pub moderation: Option<Moderation>,
    /// Whether it is archived.
    pub archived: Option<bool>,
    /// Its icon, where asked for.
    pub icon: Option<AssetId>,
    /// Its previews with their alternative texts, where asked for.
    pub previews: Option<Vec<(AssetId, Option<String>)>>,
    /// Its social links, where asked for.
    pub social_links: BTreeMap<SocialNetwork, SocialLink>,
}

impl RemoteAsset {
    /// An asset of which nothing is known but its ID.
    pub const fn unknown(asset_id: AssetId) -> Self {
        Self {
            asset_id,
            revision: None,
            revision_created_at: None,
            asset_type: None,
            creator: None,
            display_name: None,
            description: None,
            moderation: None,
            archived: None,
            icon: None,
            previews: None,
            social_links: BTreeMap::new(),
        }
    }
}

/// What is known of an asset at the remote. Failing to ask is never absence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Observation {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// Asked, and Roblox has no such asset.
    Gone,
    /// Asked, and this came back.
    Present(RemoteAsset),
    /// Asked, without an answer that tells.
    CouldNotAsk {
        /// Why.
        reason: String,
    },
}

/// What is known of the remote's assets in this run.
pub type Observed = BTreeMap<AssetId, Observation>;
