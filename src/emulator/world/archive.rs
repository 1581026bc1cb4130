//! `POST /assets/{id}:archive` and `:restore`. Pure.

use super::account::EmulatedKey;
use super::asset::Asset;
use super::content::CreatableType;
use super::moderation::ModerationVerdict;
use super::{Effects, World};
use crate::emulator::refusal::ApiRefusal;
use crate::emulator::switches::{ArchiveAgain, ArchiveRejected, ArchiveTypes};

impl World {
    /// Serves `:archive` and `:restore`: at once, without an operation.
    pub(in crate::emulator) fn archive(
        &mut self,
        key: &EmulatedKey,
        id: u64,
        archived: bool,
        effects: &Effects,
        now: u64,
    ) -> Result<Asset, ApiRefusal> {
        let asset = self.writable(key, id)?;
        let switches = self.switches();
        if asset.archived == archived && switches.archive_again == ArchiveAgain::BadRequest {
            let state = if archived { "Archived" } else { "Active" };
            return Err(ApiRefusal::invalid(format!("AssetId {id} is already {state}.")));
        }
        let refused = archived
            && ((asset.verdict(now) == ModerationVerdict::Rejected
                && switches.archive_rejected == ArchiveRejected::BadRequest)
                || (asset.asset_type == CreatableType::Video && switches.archive_types == ArchiveTypes::AllButVideo));
        if refused {
            return Err(ApiRefusal::invalid(format!("AssetId {id} can't be archived.")));
        }
        self.write(id, effects.stale_for, now, |world| {
            if let Some(asset) = world.assets.get_mut(&id) {
                asset.archived = archived;
            }
        });
        self.assets.get(&id).cloned().ok_or_else(|| ApiRefusal::no_asset(id))
    }
}
