//! An asset as Roblox describes it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::asset::{AssetType, Moderation};
use super::digest::FieldDigest;
use super::ids::{AssetId, Creator, Revision};
use super::metadata::{Field, SocialLink, SocialNetwork};
use super::metadata_digest;

/// An asset as Roblox describes it. A field that an answer left out is `None`: unknown, or unset
/// there.
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
    /// Moderation's verdict at the moment of the answer.
    pub moderation: Option<Moderation>,
    /// Whether it is archived.
    pub archived: Option<bool>,
    /// Its previews with their alternative texts; `None` where they are unknown.
    pub previews: Option<Vec<(AssetId, Option<String>)>>,
    /// Its icon and links; `None` where no query asked for them.
    pub extras: Option<Box<Extras>>,
}

/// The fields that Roblox sends only if the query names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Its icon; `None`: it has none.
    pub icon: Option<AssetId>,
    /// The social links that it has.
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
            previews: None,
            extras: None,
        }
    }

    /// The stored value of a field; `None` where Roblox's answers don't tell.
    pub fn stored(&self, field: Field) -> Option<FieldDigest> {
        let extras = self.extras.as_deref();
        match field {
            Field::DisplayName => self.display_name.as_deref().map(FieldDigest::of_text),
            // An answer without a name is no whole one: there a missing description says nothing.
            Field::Description if self.description.is_none() && self.display_name.is_none() => None,
            Field::Description => Some(FieldDigest::of_text(self.description.as_deref().unwrap_or_default())),
            Field::Icon => extras.map(|extras| metadata_digest::of_icon(extras.icon)),
            Field::Previews => self.previews.as_deref().map(metadata_digest::of_previews),
            Field::SocialLink(network) => {
                extras.map(|extras| metadata_digest::of_link(extras.social_links.get(&network)))
            }
        }
    }
}
