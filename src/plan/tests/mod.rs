//! Tables of text: what is wanted, what is known, and the plan that follows; a file for each rule.
//! The helpers are here.

mod content;
mod cost;
mod drift;
mod for_game;
mod in_doubt;
mod meetings;
mod metadata;
mod moderation;
mod moves;
mod part;
mod pins;
mod properties;
mod retirement;
mod sharing;

use super::*;
use crate::model::asset::{AssetType, FileFormat, Privacy};
use crate::model::change::Change;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::desired::{AbsenceReason, Absences, DesiredAsset, NeverCommitted, Pin, Stray, StrayPlace};
use crate::model::digest::FieldDigest;
use crate::model::file::{ContentFacts, FileFacts, FileProblem};
use crate::model::history::{Listing, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Creator, OperationId, Revision, UploadId, UserId};
use crate::model::metadata::{
    AssetRef, Description, DisplayName, Field, FieldDigests, Metadata, Preview, SocialLink, SocialNetwork,
};
use crate::model::metadata_digest;
use crate::model::path::ProjectPath;
use crate::model::phase::{Intent, IntentKind, PhaseEvent};
use crate::model::policy::{AmbiguousCreate, DriftPolicy, LeavePolicy, ModeratedName, Policy};
use crate::model::rare::Rare;
use crate::model::recorded::{
    AttemptId, Blocked, DriftRepair, Identity, PinnedAt, RefusalKind, RetireReason, Retirement, SpentQuota,
};
use crate::model::remote::RemoteAsset;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A plan without a person's wishes.
fn plan(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Plan {
    super::plan(desired, recorded, &PlanOptions::default(), now)
}

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn id(number: u64) -> AssetId {
    AssetId::new(number).unwrap()
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn creator(number: u64) -> Creator {
    Creator::User(UserId::new(number).unwrap())
}

/// A wanted asset: its type follows from the extension, its content is one byte.
fn want(path: &str, content: u8) -> DesiredAsset {
    let path = ProjectPath::new(path).unwrap();
    let format = FileFormat::of_extension(&path.extension().unwrap()).unwrap();
    let facts = FileFacts { size: 3, hash: hash(content), format, content: ContentFacts::Opaque };
    DesiredAsset {
        path,
        asset_type: format.types().first().copied(),
        creator: creator(1),
        content: Ok(facts),
        metadata: Arc::default(),
        privacy: Privacy::Default,
        expected_price: Rare::new(),
        prevent_replace: false,
        pin: Rare::new(),
        grants: Rare::new(),
    }
}

fn named(want: DesiredAsset, name: &str) -> DesiredAsset {
    let metadata = Metadata { display_name: Some(DisplayName::new(name).unwrap()), ..(*want.metadata).clone() };
    DesiredAsset { metadata: metadata.into(), ..want }
}

fn described(want: DesiredAsset, text: &str) -> DesiredAsset {
    let metadata = Metadata { description: Some(Description::new(text).unwrap()), ..(*want.metadata).clone() };
    DesiredAsset { metadata: metadata.into(), ..want }
}

fn with_icon(want: DesiredAsset, icon: Option<&str>) -> DesiredAsset {
    let metadata = Metadata { icon: Some(icon.map(reference)), ..(*want.metadata).clone() };
    DesiredAsset { metadata: metadata.into(), ..want }
}

fn with_preview(want: DesiredAsset, of: &str, alt_text: Option<&str>) -> DesiredAsset {
    let preview = Preview { asset: reference(of), alt_text: alt_text.map(str::to_owned) };
    let metadata = Metadata { previews: Some(vec![preview]), ..(*want.metadata).clone() };
    DesiredAsset { metadata: metadata.into(), ..want }
}

/// `assets/N`, or an address.
fn reference(text: &str) -> AssetRef {
    match text.strip_prefix("assets/") {
        Some(number) => AssetRef::Id(id(number.parse().unwrap())),
        None => AssetRef::Address(address(text)),
    }
}

fn with_link(want: DesiredAsset, uri: Option<&str>) -> DesiredAsset {
    let link = uri.map(|uri| SocialLink { title: None, uri: uri.to_owned() });
    let social_links = [(SocialNetwork::Twitter, link)].into();
    let metadata = Metadata { social_links, ..(*want.metadata).clone() };
    DesiredAsset { metadata: metadata.into(), ..want }
}

/// Pinned: a Model to a revision, another type to an asset.
fn pinned(want: DesiredAsset, to: u64) -> DesiredAsset {
    let model = want.asset_type == Some(AssetType::Model);
    let pin = if model { Pin::Revision(Revision::new(to).unwrap()) } else { Pin::Asset(id(to)) };
    DesiredAsset { pin: Some(pin).into(), ..want }
}

fn missing(want: DesiredAsset) -> DesiredAsset {
    DesiredAsset {
        content: Err(FileProblem {
            kind: crate::model::file::FileProblemKind::Missing,
            message: "no such file".to_owned(),
            hint: None,
        }),
        ..want
    }
}

/// The same file under another address.
fn called(name: &str, want: DesiredAsset) -> (Address, DesiredAsset) {
    (address(name), want)
}

fn with_policy(desired: Desired, edit: impl Fn(&mut Policy)) -> Desired {
    let mut desired = desired;
    edit(&mut desired.policy);
    desired
}

fn repair(desired: Desired) -> Desired {
    with_policy(desired, |policy| policy.drift = DriftPolicy::Heal)
}

fn archiving(desired: Desired) -> Desired {
    with_policy(desired, |policy| (policy.removed, policy.replaced) = (LeavePolicy::Archive, LeavePolicy::Archive))
}

fn days_ago(days: i64) -> Timestamp {
    NOW - SignedDuration::from_hours(24 * days)
}

fn desired(assets: Vec<DesiredAsset>) -> Desired {
    Desired { assets: assets.into_iter().map(|a| (address(a.path.as_str()), a)).collect(), ..Desired::default() }
}

/// What is known, told as the changes that made it known.
#[derive(Default)]
struct KnownBuilder(Recorded);

impl KnownBuilder {
    fn tell(mut self, change: Change) -> Self {
        self.0.apply(&change, NOW).unwrap();
        self
    }

    fn enrolled(self, path: &str) -> Self {
        let wanted = want(path, 0);
        let identity = Identity {
            asset_type: wanted.asset_type.unwrap(),
            creator: wanted.creator,
            privacy: wanted.privacy,
            path: wanted.path,
        };
        self.tell(Change::SetIdentity { address: address(path), identity })
    }

    /// A revision of `path` with its asset's ordinal; a Model's version is its ordinal too.
    fn revision(self, path: &str, asset: u64, ordinal: u32, content: u8) -> Self {
        self.fact(path, asset, ordinal, |fact| fact.content = Some(hash(content)))
    }

    fn fact(self, path: &str, asset: u64, ordinal: u32, edit: impl Fn(&mut RevisionFact)) -> Self {
        let known = if self.0.assets.contains_key(&address(path)) { self } else { self.enrolled(path) };
        let model = want(path, 0).asset_type == Some(AssetType::Model);
        let version = model.then(|| Revision::new(u64::from(ordinal)).unwrap());
        let mut fact = RevisionFact::new(if model { 1 } else { ordinal }, None, RevisionState::Live);
        edit(&mut fact);
        known.tell(Change::AddRevision {
            address: address(path),
            key: RevisionKey { asset_id: id(asset), version },
            fact,
        })
    }

    fn points_to(self, path: &str, asset: u64) -> Self {
        self.tell(Change::SetCurrentAsset { address: address(path), asset_id: id(asset) })
    }

    fn asked(self, like: &DesiredAsset) -> Self {
        self.tell(Change::SetMetadata {
            address: address(like.path.as_str()),
            fields: like.metadata.digests(),
            stored: FieldDigests::new(),
        })
    }

    fn elsewhere(self, path: &str, asset: u64, ordinal: u32) -> Self {
        self.fact(path, asset, ordinal, |fact| fact.made = Some((days_ago(1), Origin::Elsewhere)))
    }

    /// `path` uses an asset that another address made.
    fn sharing(self, path: &str, asset: u64, content: u8) -> Self {
        let known = self.fact(path, asset, 1, |fact| (fact.content, fact.shared) = (Some(hash(content)), true));
        known.points_to(path, asset)
    }

    fn state(self, path: &str, asset: u64, ordinal: u32, state: RevisionState) -> Self {
        self.fact(path, asset, ordinal, |fact| fact.state = state)
    }

    fn locked(self, path: &str) -> Self {
        self.tell(Change::SetInLockfile { address: address(path), in_lockfile: InLockfile::Yes })
    }

    /// It left the manifest, some time ago.
    fn left(self, path: &str) -> Self {
        self.locked(path).tell(Change::SetRemoved { address: address(path), removed: true })
    }

    fn seen(self, asset: u64, edit: impl Fn(&mut RemoteAsset)) -> Self {
        let mut seen = RemoteAsset::unknown(id(asset));
        edit(&mut seen);
        self.tell(Change::RecordObservation { asset: seen })
    }

    fn retirements(
        self,
        path: &str,
        asset: u64,
        why: RetireReason,
        since: Timestamp,
        archived_at: Option<Timestamp>,
    ) -> Self {
        let retirement = Some(Retirement { why, since, archived_at });
        self.tell(Change::SetRetirement { address: address(path), asset_id: id(asset), retirement })
    }

    /// The rollback to `pin` led to version `at`, when `newest` was the newest.
    fn rolled_back(self, path: &str, asset: u64, pin: u64, at: u64, newest: u64) -> Self {
        let version = |number| Revision::new(number).unwrap();
        let at = RevisionKey { asset_id: id(asset), version: Some(version(at)) };
        let pinned = Some(PinnedAt { pin: Pin::Revision(version(pin)), at, newest: Some(version(newest)) });
        self.tell(Change::SetPinnedAt { address: address(path), pinned })
    }

    fn repairs(self, path: &str, repair: DriftRepair, times: usize) -> Self {
        let heal = || Change::RecordRepair { address: address(path), repair };
        (0..times).fold(self, |known, _| known.tell(heal()))
    }

    fn refused(self, path: &str, input_digest: FieldDigest, refusal_kind: RefusalKind) -> Self {
        self.refused_as(IntentKind::UpdateMetadata, path, input_digest, refusal_kind)
    }

    fn refused_as(self, action: IntentKind, path: &str, input_digest: FieldDigest, refusal_kind: RefusalKind) -> Self {
        let message = "Moderated".to_owned();
        let blocked = Blocked::Refused { input_digest, action, refusal_kind, message, at: NOW };
        self.tell(Change::SetBlocked { address: address(path), blocked: Some(blocked) })
    }

    /// What was asked last, of assets as they are now.
    fn asked_of(self, like: &DesiredAsset, assets: &[(&str, u64)]) -> Self {
        let asset_of = |of: &Address| assets.iter().find(|(path, _)| of.as_str() == *path).map(|(_, asset)| id(*asset));
        let fields = like.metadata.digests_with(asset_of);
        self.tell(Change::SetMetadata { address: address(like.path.as_str()), fields, stored: FieldDigests::new() })
    }

    fn create_under_way(self, path: &str, content: u8, costly: bool, events: &[PhaseEvent]) -> Self {
        let attempt = AttemptId(self.0.next_attempt);
        let upload = UploadId::new(self.0.next_attempt);
        let intent =
            Intent::Create { upload, content: hash(content), fields: FieldDigests::new(), costly, replaces: None };
        let mut known = self.enrolled(path).tell(Change::Begin { attempt, address: address(path), intent });
        for event in events {
            known = known.tell(Change::Advance { attempt, event: event.clone() });
        }
        known
    }
}

fn text(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for step in &plan.steps {
        let asset = step.action.asset_id().map(|id| format!(" {id}")).unwrap_or_default();
        lines.push(format!("{} {}{asset}: {}", step.action.name(), step.address, step.reason));
    }
    lines.extend(plan.held.iter().map(|hold| format!("{} {}: {}", hold.kind(), hold.address, hold.reason)));
    lines.extend(plan.drifts.iter().map(|drift| format!("drift {}: {}", drift.address, drift.kind)));
    let about = |note: &Note| note.address.as_ref().map(|address| format!(" {address}")).unwrap_or_default();
    lines.extend(plan.notes.iter().map(|note| format!("note{}: {}", about(note), note.kind)));
    lines.join("\n")
}

/// The hints of everything that is held, by address.
fn hints(plan: &Plan) -> Vec<String> {
    let hints =
        plan.held.iter().map(|hold| format!("{}: {}", hold.address, hold.hint().unwrap_or_else(|| "-".to_owned())));
    hints.collect()
}

/// What is wanted, some of it under another address than its path.
fn desired_as(assets: Vec<(Address, DesiredAsset)>) -> Desired {
    Desired { assets: assets.into_iter().collect(), ..Desired::default() }
}

fn check(wanted: Vec<DesiredAsset>, known: KnownBuilder, expected: &str) {
    check_desired(&desired(wanted), known, expected);
}

fn check_desired(desired: &Desired, known: KnownBuilder, expected: &str) {
    let plan = plan(desired, &known.0, NOW);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(text(&plan), expected.join("\n"));
}
