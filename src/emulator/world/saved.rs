//! The parts of the world that are saved, as changes since the last time. A whole world is a change
//! of an empty one. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::account::Principal;
use super::asset::Asset;
use super::ids::Mint;
use super::moderation::{ModerationRule, TextRule};
use super::operation::Operation;
use super::tracked::ChangedEntries;
use super::{QuotaUse, Settings, World};

/// What moderation and the text filter are told to do, and did. It stays small, so that it is saved
/// whole when it changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ModerationState {
    pub(super) moderation_rules: Vec<ModerationRule>,
    pub(super) text_rules: Vec<TextRule>,
    /// Versions that will be rejected: time, asset, version.
    pub(super) rejections_ahead: BTreeSet<(u64, u64, u32)>,
    pub(super) rejections: BTreeMap<Principal, u32>,
    pub(super) moderated: BTreeSet<Principal>,
}

/// What was saved last, of the parts that are no [`Tracked`](super::tracked::Tracked) maps.
#[derive(Clone, Debug)]
pub(super) struct LastSaved {
    mint: Mint,
    moderation: ModerationState,
    /// The number of uploads.
    uploads: usize,
}

/// A change of the world.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::emulator) struct WorldChange<'a> {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    mint: Option<Mint>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    assets: ChangedEntries<'a, u64, Asset>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    operations: ChangedEntries<'a, String, Operation>,
    /// The number of creates and updates carried out, by content hash.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    commits: ChangedEntries<'a, String, u64>,
    /// The new ones.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    uploads: Vec<QuotaUse>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    moderation: Option<ModerationState>,
}

impl WorldChange<'_> {
    /// Returns whether nothing changed.
    pub(in crate::emulator) fn is_empty(&self) -> bool {
        let WorldChange { mint, assets, operations, commits, uploads, moderation } = self;
        let maps = assets.is_empty() && operations.is_empty() && commits.is_empty();
        maps && mint.is_none() && uploads.is_empty() && moderation.is_none()
    }
}

impl World {
    /// Returns the whole world. From now on changes are noted.
    pub(in crate::emulator) fn whole(&mut self) -> WorldChange<'_> {
        self.last_saved = Some(self.saved_now());
        WorldChange {
            mint: Some(self.mint.clone()),
            assets: self.assets.all(),
            operations: self.operations.all(),
            commits: self.commits.all(),
            uploads: self.uploads.clone(),
            moderation: Some(self.moderation.clone()),
        }
    }

    /// Returns the changes since [`World::whole`] or this was last called; `None` if neither was,
    /// nor the world restored.
    pub(in crate::emulator) fn changes(&mut self) -> Option<WorldChange<'_>> {
        let before = self.last_saved.take()?;
        let now = self.saved_now();
        self.last_saved = Some(now.clone());
        Some(WorldChange {
            mint: (now.mint != before.mint).then_some(now.mint),
            assets: self.assets.changes(),
            operations: self.operations.changes(),
            commits: self.commits.changes(),
            uploads: self.uploads.get(before.uploads..).unwrap_or_default().to_vec(),
            moderation: (now.moderation != before.moderation).then_some(now.moderation),
        })
    }

    fn saved_now(&self) -> LastSaved {
        LastSaved { mint: self.mint.clone(), moderation: self.moderation.clone(), uploads: self.uploads.len() }
    }

    /// Makes a world of its saved changes, in their order. The first is a whole world.
    pub(in crate::emulator) fn restored<'a>(changes: impl IntoIterator<Item = WorldChange<'a>>) -> Self {
        let mut world = World::new(0, None, Settings::default());
        for WorldChange { mint, assets, operations, commits, uploads, moderation } in changes {
            world.mint = mint.unwrap_or(world.mint);
            world.assets.restore(assets);
            world.operations.restore(operations);
            world.commits.restore(commits);
            world.uploads.extend(uploads);
            world.moderation = moderation.unwrap_or(world.moderation);
        }
        for operation in world.operations.values() {
            let id = operation.id.clone();
            match (&operation.ending, operation.finish_at) {
                (Some((at, _)), _) => drop(world.ended.insert((*at, id))),
                (None, Some(at)) => drop(world.running.insert((at, id))),
                (None, None) => {}
            }
        }
        world.last_saved = Some(world.saved_now());
        world
    }
}
