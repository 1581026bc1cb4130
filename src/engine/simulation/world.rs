//! A remote in memory, as far as plans need it: assets with versions, metadata and moderation, and
//! the two possible results of a rollback.

use std::collections::BTreeMap;

use crate::model::asset::{AssetType, ContentChange, Moderation};
use crate::model::ids::{AssetId, ContentHash, Creator, Revision};
use crate::model::metadata::{DisplayName, SocialLink, SocialNetwork};
use crate::model::remote::{Extras, RemoteAsset};

/// The result of a rollback at Roblox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RollbackMakes {
    /// The head moves back to the old version.
    Repoint,
    /// A new version has the old bytes.
    NewVersion,
}

/// An asset at the remote.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub asset_type: AssetType,
    pub creator: Creator,
    pub versions: Vec<ContentHash>,
    /// The version in use, from 1.
    pub head: usize,
    pub name: String,
    pub description: String,
    pub icon: Option<AssetId>,
    pub previews: Vec<(AssetId, Option<String>)>,
    pub links: BTreeMap<SocialNetwork, SocialLink>,
    pub archived: bool,
    pub rejected: bool,
    pub gone: bool,
}

/// The remote.
#[derive(Debug, Clone)]
pub(super) struct SimulatedRemote {
    pub rollback: RollbackMakes,
    pub things: BTreeMap<AssetId, Thing>,
    next: u64,
}

impl SimulatedRemote {
    pub(super) fn new(rollback: RollbackMakes) -> Self {
        Self { rollback, things: BTreeMap::new(), next: 10 }
    }

    pub(super) fn create(
        &mut self,
        asset_type: AssetType,
        creator: Creator,
        content: ContentHash,
        name: &DisplayName,
    ) -> AssetId {
        let asset_id = AssetId::new(self.next).unwrap();
        self.next += 1;
        let thing = Thing {
            asset_type,
            creator,
            versions: vec![content],
            head: 1,
            name: filtered(name.as_str()),
            description: String::new(),
            icon: None,
            previews: Vec::new(),
            links: BTreeMap::new(),
            archived: false,
            rejected: false,
            gone: false,
        };
        self.things.insert(asset_id, thing);
        asset_id
    }

    pub(super) fn get(&self, asset_id: AssetId) -> Option<&Thing> {
        self.things.get(&asset_id).filter(|thing| !thing.gone)
    }

    /// Returns the remote's description of an asset; icon, previews and links only on request.
    pub(super) fn describe(&self, asset_id: AssetId, extras: bool) -> Option<RemoteAsset> {
        let thing = self.get(asset_id)?;
        let in_place = thing.asset_type.on_content_change() == ContentChange::InPlace;
        let mut asset = RemoteAsset {
            revision: in_place.then(|| Revision::new(thing.head as u64).unwrap()),
            asset_type: Some(thing.asset_type),
            creator: Some(thing.creator),
            display_name: Some(thing.name.clone()),
            description: Some(thing.description.clone()),
            moderation: Some(if thing.rejected { Moderation::Rejected } else { Moderation::Approved }),
            archived: Some(thing.archived),
            ..RemoteAsset::unknown(asset_id)
        };
        if extras {
            asset.previews = Some(thing.previews.clone());
            asset.extras = Some(Box::new(Extras { icon: thing.icon, social_links: thing.links.clone() }));
        }
        Some(asset)
    }

    /// Sets the content. Equal bytes make no second version.
    pub(super) fn update(&mut self, asset_id: AssetId, content: ContentHash) {
        let thing = self.things.get_mut(&asset_id).unwrap();
        if thing.versions[thing.head - 1] != content {
            thing.versions.push(content);
            thing.head = thing.versions.len();
        }
    }

    pub(super) fn roll_back(&mut self, asset_id: AssetId, to: Revision) {
        let rollback = self.rollback;
        let thing = self.things.get_mut(&asset_id).unwrap();
        let to = usize::try_from(to.get()).unwrap();
        match rollback {
            RollbackMakes::Repoint => thing.head = to,
            RollbackMakes::NewVersion => {
                thing.versions.push(thing.versions[to - 1]);
                thing.head = thing.versions.len();
            }
        }
    }
}

/// Returns the text that the text filter stores.
pub(super) fn filtered(text: &str) -> String {
    if text.contains("rude") { "####".to_owned() } else { text.to_owned() }
}
