//! Versions: listing, reading, and rolling back. Pure.

use super::account::EmulatedKey;
use super::asset::{Asset, Version, VersionOrigin};
use super::content::CreatableType;
use super::moderation::{ModerationTimeline, ModerationVerdict, VerdictStep};
use super::{Effects, World};
use crate::emulator::refusal::ApiRefusal;
use crate::emulator::switches::{
    PageSizeOutOfRange, Rollback, RollbackModeration, RollbackOfUnversioned, RollbackToCurrent, RollbackToRejected,
    VersionsOfUnversioned,
};

/// The page size: 1 to 50, 8 by default (V1).
const PAGE_DEFAULT: usize = 8;
const PAGE_MOST: usize = 50;

/// A page of versions, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::emulator) struct VersionPage {
    pub(in crate::emulator) asset: Asset,
    pub(in crate::emulator) versions: Vec<Version>,
    pub(in crate::emulator) next_page: Option<String>,
}

impl World {
    /// Serves `GET /assets/{id}/versions`.
    pub(in crate::emulator) fn versions(
        &self,
        key: &EmulatedKey,
        id: u64,
        page_size: Option<&str>,
        page_token: Option<&str>,
        now: u64,
    ) -> Result<VersionPage, ApiRefusal> {
        let asset = self.read_own(key, id, now)?;
        let size = self.page_size(page_size)?;
        let below = match page_token {
            None => u32::MAX,
            Some(token) => read_token(token, id).ok_or_else(|| ApiRefusal::invalid("The page token is invalid."))?,
        };
        let listed = match (asset.asset_type, self.switches().versions_of_unversioned) {
            (CreatableType::Model, _) | (_, VersionsOfUnversioned::Listed) => asset.versions.clone(),
            (_, VersionsOfUnversioned::Empty) => Vec::new(),
            (_, VersionsOfUnversioned::NotFound) => {
                return Err(ApiRefusal::not_found(format!("AssetId {id} has no versions")));
            }
        };
        let mut rest = listed.into_iter().rev().skip_while(|version| version.number >= below);
        let versions: Vec<Version> = rest.by_ref().take(size).collect();
        let more = rest.next().is_some();
        let next_page = versions.last().filter(|_| more).map(|version| token(id, version.number));
        Ok(VersionPage { asset, versions, next_page })
    }

    fn page_size(&self, asked: Option<&str>) -> Result<usize, ApiRefusal> {
        let Some(asked) = asked else { return Ok(PAGE_DEFAULT) };
        let number: i64 = asked.parse().map_err(|_| ApiRefusal::Binding {
            field: "maxPageSize",
            message: format!("The value '{asked}' is not valid."),
        })?;
        match (
            usize::try_from(number).ok().filter(|size| (1..=PAGE_MOST).contains(size)),
            self.switches().page_size_out_of_range,
        ) {
            (Some(size), _) => Ok(size),
            (None, PageSizeOutOfRange::Clamped) => Ok(if number < 1 { 1 } else { PAGE_MOST }),
            (None, PageSizeOutOfRange::BadRequest) => Err(ApiRefusal::invalid("MaxPageSize must be between 1 and 50.")),
        }
    }

    /// Serves `GET /assets/{id}/versions/{number}`.
    pub(in crate::emulator) fn version(
        &self,
        key: &EmulatedKey,
        id: u64,
        number: u32,
        now: u64,
    ) -> Result<(Asset, Version), ApiRefusal> {
        let asset = self.read_own(key, id, now)?;
        let version = asset.version(number).cloned();
        version
            .map(|version| (asset, version))
            .ok_or_else(|| ApiRefusal::not_found(format!("Version {number} of AssetId {id} is not found")))
    }

    fn read_own(&self, key: &EmulatedKey, id: u64, now: u64) -> Result<Asset, ApiRefusal> {
        let asset = self.read(id, now)?;
        self.permit(key, asset.creator)?;
        Ok(asset)
    }

    /// Serves `POST /assets/{id}/versions:rollback`: at once, without an operation. Returns the
    /// version that is current afterwards.
    pub(in crate::emulator) fn roll_back(
        &mut self,
        key: &EmulatedKey,
        id: u64,
        path: &str,
        effects: &Effects,
        now: u64,
    ) -> Result<(Asset, Version), ApiRefusal> {
        let asset = self.writable(key, id)?;
        self.not_archived(asset)?;
        let (named, number) = read_path(path)
            .ok_or_else(|| ApiRefusal::invalid("AssetVersion must be assets/{assetId}/versions/{versionNumber}."))?;
        if named != id {
            return Err(ApiRefusal::invalid("AssetVersion does not belong to the asset in the path."));
        }
        let switches = self.switches();
        if asset.asset_type != CreatableType::Model
            && switches.rollback_of_unversioned == RollbackOfUnversioned::BadRequest
        {
            return Err(ApiRefusal::invalid(format!(
                "AssetType {} does not support versions.",
                asset.asset_type.name()
            )));
        }
        let wanted = asset
            .version(number)
            .cloned()
            .ok_or_else(|| ApiRefusal::not_found(format!("Version {number} of AssetId {id} is not found")))?;
        if number == asset.head && switches.rollback_to_current == RollbackToCurrent::BadRequest {
            return Err(ApiRefusal::invalid(format!("Version {number} is the current version.")));
        }
        if wanted.moderation.at(now) == ModerationVerdict::Rejected
            && switches.rollback_to_rejected == RollbackToRejected::BadRequest
        {
            return Err(ApiRefusal::invalid(format!("Version {number} is rejected.")));
        }
        let (rollback, review) = (switches.rollback, switches.rollback_moderation == RollbackModeration::Reviewed);
        let times = if effects.twice { 2 } else { 1 };
        self.write(id, effects.stale_for, now, |world| {
            for _ in 0..times {
                world.apply_rollback(id, &wanted, rollback, review, now);
            }
        });
        let asset = self.assets.get(&id).cloned().ok_or_else(|| ApiRefusal::no_asset(id))?;
        let current = asset.current().cloned().unwrap_or(wanted);
        Ok((asset, current))
    }

    fn apply_rollback(&mut self, id: u64, wanted: &Version, rollback: Rollback, review: bool, now: u64) {
        let under_review =
            ModerationTimeline::starting(now, &[VerdictStep { after_ms: 0, verdict: ModerationVerdict::Reviewing }]);
        let Some(asset) = self.assets.get_mut(&id) else { return };
        let moderation = if review { under_review } else { wanted.moderation.clone() };
        match rollback {
            Rollback::NewVersion => asset.push(wanted.content.clone(), VersionOrigin::Rollback, moderation, now),
            Rollback::Repoint => {
                asset.head = wanted.number;
                asset.head_since_ms = now;
                if let Some(version) = asset.versions.iter_mut().find(|version| version.number == wanted.number) {
                    version.moderation = moderation;
                }
            }
        }
    }
}

/// Parses `assets/{id}/versions/{number}`.
fn read_path(path: &str) -> Option<(u64, u32)> {
    let (id, number) = path.strip_prefix("assets/")?.split_once("/versions/")?;
    Some((id.parse().ok()?, number.parse().ok()?))
}

/// Returns a page token: opaque to clients, bound to its asset.
fn token(id: u64, below: u32) -> String {
    format!("{id}_{below}").bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(token: &str, id: u64) -> Option<u32> {
    let bytes: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    let text = String::from_utf8(bytes?).ok()?;
    let (asset, below) = text.split_once('_')?;
    (asset.parse() == Ok(id)).then(|| below.parse().ok())?
}
