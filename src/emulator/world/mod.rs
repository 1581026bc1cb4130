//! The world behind the API: assets, versions, operations, moderation, keys and limits, as plain
//! data.
//!
//! Pure: every time is an argument, every ID comes from the seed, and nothing here knows HTTP, JSON
//! or sockets. It must never panic on any input, and never keep the bytes of an upload. Read
//! `asset.rs` and `operation.rs` for the data, then `create.rs`, `update.rs` and `versions.rs` for
//! the effects of requests.

pub(super) mod account;
mod archive;
pub(super) mod asset;
pub(super) mod content;
mod create;
pub(super) mod edit;
pub(super) mod ids;
pub(super) mod input;
pub(super) mod latency;
pub(super) mod limits;
pub(super) mod moderation;
pub(super) mod operation;
mod running;
mod saved;
mod tracked;
mod update;
mod versions;

pub(super) use saved::WorldChange;
pub(super) use update::UpdateReply;
pub(super) use versions::VersionPage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::account::{EmulatedKey, Principal};
use self::asset::{Asset, VersionOrigin};
use self::content::{Content, CreatableType};
use self::ids::Mint;
use self::latency::LatencyModel;
use self::moderation::{ModerationRule, ModerationTimeline, ModerationVerdict, TextRule};
use self::operation::{MetadataEdit, Operation, OperationFault};
use self::saved::{LastSaved, ModerationState};
use self::tracked::Tracked;
use super::refusal::{ApiErrorCode, ApiRefusal};
use super::switches::{
    ArchivedGet, ArchivedWrite, Deduplicate, MetadataRevision, PermissionRefusal, Profile, RejectedGet, Switches,
};

/// The settings of a run, which are not part of the saved world.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) switches: Switches,
    pub(super) latency: LatencyModel,
    /// The fee of an upload in Robux.
    pub(super) fees: BTreeMap<CreatableType, u64>,
    /// The number of rejections from which an account is moderated.
    pub(super) rejections_allowed: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            switches: Switches::of(Profile::default()),
            latency: LatencyModel::default(),
            fees: BTreeMap::new(),
            rejections_allowed: None,
        }
    }
}

/// The effects of a fault script on one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    pub(super) operation: Option<OperationFault>,
    pub(super) stale_for: Option<u64>,
    /// The request is carried out twice, and gets one response.
    pub(super) twice: bool,
}

/// An upload that counts towards a quota.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct QuotaUse {
    creator: Principal,
    asset_type: CreatableType,
    at: u64,
    operation: String,
}

/// The asset that reads still see after a write, and until when.
#[derive(Clone, Debug)]
struct StaleView {
    until: u64,
    before: Option<Asset>,
}

/// The whole remote. Its saved parts are in `saved.rs`.
#[derive(Clone, Debug)]
pub(super) struct World {
    mint: Mint,
    assets: Tracked<u64, Asset>,
    operations: Tracked<String, Operation>,
    /// Operations that end by themselves, by end time.
    running: BTreeSet<(u64, String)>,
    /// Operations that ended, by end time.
    ended: BTreeSet<(u64, String)>,
    moderation: ModerationState,
    uploads: Vec<QuotaUse>,
    /// The number of creates and updates carried out, by content hash.
    commits: Tracked<String, u64>,
    stale_views: BTreeMap<u64, Vec<StaleView>>,
    /// `None` while nobody saves it.
    last_saved: Option<LastSaved>,
    pub(super) settings: Settings,
}

impl World {
    pub(super) fn new(seed: u64, first_asset: Option<u64>, settings: Settings) -> Self {
        World {
            mint: Mint::new(seed, first_asset),
            assets: Tracked::default(),
            operations: Tracked::default(),
            running: BTreeSet::new(),
            ended: BTreeSet::new(),
            moderation: ModerationState::default(),
            uploads: Vec::new(),
            commits: Tracked::default(),
            stale_views: BTreeMap::new(),
            last_saved: None,
            settings,
        }
    }

    /// Counts a create or update that was carried out.
    fn count_commits(&mut self, hash: &str, times: u64) {
        let before = self.commits.get(hash).copied().unwrap_or_default();
        self.commits.insert(hash.to_owned(), before + times);
    }

    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    pub(super) fn asset(&self, id: u64) -> Option<&Asset> {
        self.assets.get(&id)
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    pub(super) fn commits(&self) -> &BTreeMap<String, u64> {
        &self.commits
    }

    fn switches(&self) -> &Switches {
        &self.settings.switches
    }

    /// Adds a scripted verdict. One for an asset decides on its current version now.
    pub(super) fn add_moderation_rule(&mut self, rule: ModerationRule, now: u64) {
        if let Some(asset) = rule.asset_id.and_then(|id| self.assets.get_mut(&id)) {
            let (id, head) = (asset.id, asset.head);
            if let Some(version) = asset.versions.iter_mut().find(|version| version.number == head) {
                for step in &rule.verdicts {
                    version.moderation.decide(now.saturating_add(step.after_ms), step.verdict);
                }
                self.expect_rejection(id, head);
            }
        }
        self.moderation.moderation_rules.push(rule);
    }

    pub(super) fn add_text_rule(&mut self, rule: TextRule) {
        self.moderation.text_rules.push(rule);
    }

    /// Ends all scripted verdicts. Their decisions stay.
    pub(super) fn clear_moderation_rules(&mut self) {
        self.moderation.moderation_rules.clear();
    }

    pub(super) fn clear_text_rules(&mut self) {
        self.moderation.text_rules.clear();
    }

    /// Sanctions an account, or lifts the sanction.
    pub(super) fn moderate_account(&mut self, owner: Principal, moderated: bool) {
        if moderated {
            self.moderation.moderated.insert(owner);
        } else {
            self.moderation.moderated.remove(&owner);
            self.moderation.rejections.remove(&owner);
        }
    }

    /// Refuses everything to a sanctioned account (jackTabsCode/asphalt#114).
    pub(super) fn check_account(&self, owner: Principal) -> Result<(), ApiRefusal> {
        let too_many = self
            .settings
            .rejections_allowed
            .is_some_and(|most| self.moderation.rejections.get(&owner).is_some_and(|n| *n >= most));
        if self.moderation.moderated.contains(&owner) || too_many {
            return Err(ApiRefusal::gateway(403, "User is moderated"));
        }
        Ok(())
    }

    /// Brings the world up to a time: operations end and are dropped, verdicts take effect. Must
    /// run before every read.
    pub(super) fn settle(&mut self, now: u64) {
        while let Some((at, id)) = self.running.first().filter(|(at, _)| *at <= now).cloned() {
            self.running.remove(&(at, id.clone()));
            self.finish(&id, at);
        }
        self.forget_operations(now);
        while let Some(entry) = self.moderation.rejections_ahead.first().filter(|(at, ..)| *at <= now).copied() {
            self.moderation.rejections_ahead.remove(&entry);
            let (at, id, number) = entry;
            let Some(asset) = self.assets.get(&id) else { continue };
            if asset.version(number).is_some_and(|version| version.moderation.at(at) == ModerationVerdict::Rejected) {
                *self.moderation.rejections.entry(asset.uploaded_by).or_default() += 1;
            }
        }
        for stale_views in self.stale_views.values_mut() {
            stale_views.retain(|stale_view| stale_view.until > now);
        }
        self.stale_views.retain(|_, stale_views| !stale_views.is_empty());
    }

    /// Changes an asset. Where a fault or a switch says so, reads see the old state for a while.
    fn write(&mut self, id: u64, stale_for: Option<u64>, at: u64, change: impl FnOnce(&mut Self)) {
        let before = self.assets.get(&id).cloned();
        change(self);
        self.keep_stale(id, stale_for, at, before);
    }

    /// Makes reads see `before` for a while. Of several writes in a row, each becomes visible only
    /// after its own delay.
    fn keep_stale(&mut self, id: u64, stale_for: Option<u64>, at: u64, before: Option<Asset>) {
        let always = self.switches().reads_behind_ms;
        if let Some(ms) = stale_for.or((always > 0).then_some(always)) {
            self.stale_views.entry(id).or_default().push(StaleView { until: at.saturating_add(ms), before });
        }
    }

    /// Adds a version, unless the bytes are known: equal content makes none (FACET, RBXASSET).
    fn apply_content(&mut self, id: u64, content: Content, at: u64) {
        let same = |version: &asset::Version| version.content.hash == content.hash;
        let Some(asset) = self.assets.get(&id) else { return };
        let known = match self.switches().deduplicate {
            Deduplicate::Head => asset.current().is_some_and(same),
            Deduplicate::AnyVersion => asset.versions.iter().any(same),
            Deduplicate::Never => false,
        };
        if !known {
            self.push_version(id, content, VersionOrigin::Update, at);
        }
    }

    fn apply_fields(&mut self, id: u64, fields: &[MetadataEdit], at: u64) {
        let bump = self.switches().metadata_revision == MetadataRevision::Bumped;
        let Some(asset) = self.assets.get_mut(&id) else { return };
        let before = asset.metadata.clone();
        for field in fields {
            match field.clone() {
                MetadataEdit::DisplayName(name) => asset.metadata.display_name = name,
                MetadataEdit::Description(text) => asset.metadata.description = text,
                MetadataEdit::Icon(icon) => asset.metadata.icon = icon,
                MetadataEdit::Previews(previews) => asset.metadata.previews = previews,
                MetadataEdit::SocialLink(name, Some(link)) => drop(asset.metadata.social_links.insert(name, link)),
                MetadataEdit::SocialLink(name, None) => drop(asset.metadata.social_links.remove(&name)),
            }
        }
        if bump
            && asset.metadata != before
            && let Some(content) = asset.current().map(|version| version.content.clone())
        {
            let moderation = asset
                .current()
                .map_or_else(|| ModerationTimeline::starting(at, &[]), |version| version.moderation.clone());
            asset.push(content, VersionOrigin::Metadata, moderation, at);
        }
    }

    fn push_version(&mut self, id: u64, content: Content, origin: VersionOrigin, at: u64) {
        let Some(asset) = self.assets.get(&id) else { return };
        let moderation =
            ModerationTimeline::starting(at, self.verdicts(&content.hash, &asset.metadata.display_name, Some(id)));
        let Some(asset) = self.assets.get_mut(&id) else { return };
        asset.push(content, origin, moderation, at);
        let head = asset.head;
        self.expect_rejection(id, head);
    }

    fn expect_rejection(&mut self, id: u64, number: u32) {
        let version = self.assets.get(&id).and_then(|asset| asset.version(number));
        if let Some(at) = version.and_then(|version| version.moderation.rejected_at()) {
            self.moderation.rejections_ahead.insert((at, id, number));
        }
    }

    fn rule(&self, hash: &str, name: &str, asset: Option<u64>) -> Option<&ModerationRule> {
        self.moderation.moderation_rules.iter().find(|rule| rule.fits(hash, name, asset))
    }

    fn verdicts(&self, hash: &str, name: &str, asset: Option<u64>) -> &[moderation::VerdictStep] {
        self.rule(hash, name, asset).map_or(&[], |rule| &rule.verdicts)
    }

    /// Serves `GET /assets/{id}`. It needs no ownership: anybody can read public assets.
    pub(super) fn read(&self, id: u64, now: u64) -> Result<Asset, ApiRefusal> {
        let stale_view = self
            .stale_views
            .get(&id)
            .and_then(|stale_views| stale_views.iter().find(|stale_view| stale_view.until > now));
        let asset = stale_view.map_or_else(|| self.assets.get(&id), |stale_view| stale_view.before.as_ref());
        let asset = asset.ok_or_else(|| ApiRefusal::no_asset(id))?;
        let hidden = (asset.archived && self.switches().archived_get == ArchivedGet::NotFound)
            || (asset.verdict(now) == ModerationVerdict::Rejected
                && self.switches().rejected_get == RejectedGet::NotFound);
        if hidden { Err(ApiRefusal::no_asset(id)) } else { Ok(asset.clone()) }
    }

    /// Returns the asset, if the key may write it.
    fn writable(&self, key: &EmulatedKey, id: u64) -> Result<&Asset, ApiRefusal> {
        let asset = self.assets.get(&id).ok_or_else(|| ApiRefusal::no_asset(id))?;
        self.permit(key, asset.creator)?;
        Ok(asset)
    }

    fn permit(&self, key: &EmulatedKey, creator: Principal) -> Result<(), ApiRefusal> {
        if key.may_act_for(creator) {
            return Ok(());
        }
        let message = format!("The API key has no permission for {creator}.");
        Err(match self.switches().permission_refusal {
            PermissionRefusal::Service => ApiRefusal::Service { code: ApiErrorCode::PermissionDenied, message },
            PermissionRefusal::Gateway => ApiRefusal::gateway(403, message),
            PermissionRefusal::Problem => ApiRefusal::Problem { status: 403, message },
        })
    }

    fn not_archived(&self, asset: &Asset) -> Result<(), ApiRefusal> {
        if asset.archived && self.switches().archived_write == ArchivedWrite::BadRequest {
            return Err(ApiRefusal::invalid(format!("AssetId {} is archived.", asset.id)));
        }
        Ok(())
    }
}
