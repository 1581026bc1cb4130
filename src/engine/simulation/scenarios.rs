//! Random scenarios: the manifest from one commit to the next, and changes that others make at the
//! remote meanwhile.

use std::fmt;
use std::sync::Arc;

use proptest::prelude::*;

use super::executor::FaultMode;
use crate::model::address::Address;
use crate::model::asset::{FileFormat, Privacy};
use crate::model::desired::{Desired, DesiredAsset, Pin};
use crate::model::file::{ContentFacts, FileFacts, FileProblem};
use crate::model::ids::{AssetId, ContentHash, Creator, Revision, UserId};
use crate::model::metadata::{AssetRef, Description, DisplayName, Metadata, Preview, SocialLink, SocialNetwork};
use crate::model::path::ProjectPath;
use crate::model::policy::{AmbiguousCreate, DriftPolicy, LeavePolicy, ModeratedName, Policy};
use crate::model::rare::Rare;

/// One event of a scenario.
#[derive(Clone)]
pub(super) enum ScenarioEvent {
    /// Another commit of the manifest and the files.
    Want(Box<Desired>),
    /// One asset of the last commit changes its bytes or its metadata.
    Edit(prop::sample::Index, u8, Option<Metadata>),
    /// The earlier commit with this number is checked out, with its lockfile.
    CheckOut(prop::sample::Index),
    /// Someone else changes an asset at the remote.
    Meddle(prop::sample::Index, Meddling),
    /// Macadam fetches every asset.
    Refresh,
    /// Days pass.
    Days(i64),
    /// The remote has this fault during the next plan.
    Fault(FaultMode),
    /// The state is lost; only the lockfile is left.
    FreshMachine,
}

/// Short enough that a failed scenario can be read.
impl fmt::Debug for ScenarioEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Want(desired) => {
                write!(f, "Want {:?} existing {:?}", desired.policy, desired.existing)?;
                desired.assets.iter().try_for_each(|(address, want)| {
                    let content = want.content.as_ref().ok().map(|facts| byte(facts.hash));
                    let pin = want.pin.map(|pin| format!(" {pin:?}")).unwrap_or_default();
                    let keep = if want.prevent_replace { " keep" } else { "" };
                    write!(f, "\n  {address} = {content:?} by {}{pin}{keep}", want.creator)?;
                    if *want.metadata != Metadata::default() { write!(f, " {:?}", want.metadata) } else { Ok(()) }
                })
            }
            Self::Edit(at, content, None) => write!(f, "Edit {at:?} to {content}"),
            Self::Edit(at, _, Some(metadata)) => write!(f, "Edit {at:?} {metadata:?}"),
            Self::CheckOut(at) => write!(f, "CheckOut {at:?}"),
            Self::Meddle(at, what) => write!(f, "Meddle {at:?} {what:?}"),
            Self::Refresh => write!(f, "Refresh"),
            Self::Days(days) => write!(f, "Days {days}"),
            Self::Fault(fault_mode) => write!(f, "Fault {fault_mode:?}"),
            Self::FreshMachine => write!(f, "FreshMachine"),
        }
    }
}

/// A change of an asset by someone else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meddling {
    NewVersion,
    OldVersion,
    Rename,
    Describe,
    Icon,
    Archive,
    Restore,
    Reject,
    Vanish,
}

pub(super) fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn any_policy() -> impl Strategy<Value = Policy> {
    (any::<[bool; 5]>(), 0_u8..3).prop_map(|([heal, removed, replaced, neutral, at_once], ambiguous)| {
        let leave = |archive: bool| if archive { LeavePolicy::Archive } else { LeavePolicy::Keep };
        let mut policy = Policy {
            drift: if heal { DriftPolicy::Heal } else { DriftPolicy::Report },
            removed: leave(removed),
            replaced: leave(replaced),
            moderated_name: if neutral { ModeratedName::Neutral } else { ModeratedName::Fail },
            ambiguous_create: [AmbiguousCreate::Auto, AmbiguousCreate::Retry, AmbiguousCreate::Hold]
                [ambiguous as usize],
            ..Policy::default()
        };
        if at_once {
            policy.archive_after = std::time::Duration::ZERO;
        }
        policy
    })
}

/// Images that may be icons have no icon themselves, so that there is no cycle.
const ICONS: [&str; 2] = ["i.png", "j.png"];
const PATHS: [&str; 7] = ["i.png", "j.png", "a.png", "b.png", "m.fbx", "n.fbx", "o.ogg"];

fn any_ref() -> impl Strategy<Value = AssetRef> {
    prop_oneof![
        4 => prop::sample::select(ICONS.to_vec()).prop_map(|path| AssetRef::Address(Address::new(path).unwrap())),
        1 => (9_u64..13).prop_map(|id| AssetRef::Id(AssetId::new(id).unwrap())),
    ]
}

pub(super) fn any_metadata() -> impl Strategy<Value = Metadata> {
    let name = prop::option::weighted(0.5, prop::sample::select(vec!["n", "m", "rude", "banned", "banned2"]));
    let text = prop::option::weighted(0.4, prop::sample::select(vec!["", "d", "e", "rude"]));
    let icon = prop::option::weighted(0.3, prop::option::weighted(0.8, any_ref()));
    let previews = prop::option::weighted(0.2, prop::collection::vec((any_ref(), any::<bool>()), 0..3));
    let link = prop::option::weighted(0.2, prop::option::weighted(0.8, 0_u8..2));
    (name, text, icon, previews, link).prop_map(|(name, text, icon, previews, link)| Metadata {
        display_name: name.map(|name| DisplayName::new(name).unwrap()),
        description: text.map(|text| Description::new(text).unwrap()),
        icon,
        previews: previews.map(|previews| {
            let preview = |(asset, alt): (AssetRef, bool)| Preview { asset, alt_text: alt.then(|| "alt".to_owned()) };
            previews.into_iter().map(preview).collect()
        }),
        social_links: link
            .map(|link| {
                let link = link.map(|link| SocialLink { title: None, uri: format!("https://x.com/{link}") });
                (SocialNetwork::Twitter, link)
            })
            .into_iter()
            .collect(),
    })
}

fn any_asset(path: &'static str) -> impl Strategy<Value = (Address, DesiredAsset)> {
    let content = prop::option::weighted(0.93, 0_u8..4);
    let pin = prop::option::weighted(0.15, 1_u64..16);
    let (keep, owner) = (prop::bool::weighted(0.1), prop::bool::weighted(0.05));
    (content, any_metadata(), pin, keep, owner, prop::bool::weighted(0.2)).prop_map(
        move |(content, mut metadata, pin, keep, other_owner, alias)| {
            let project_path = ProjectPath::new(path).unwrap();
            let format = FileFormat::of_extension(&project_path.extension().unwrap()).unwrap();
            let facts = |content| FileFacts { size: 3, hash: hash(content), format, content: ContentFacts::Opaque };
            let missing = FileProblem {
                kind: crate::model::file::FileProblemKind::Missing,
                message: "no such file".to_owned(),
                hint: None,
            };
            let is_icon = ICONS.contains(&path);
            if is_icon {
                (metadata.icon, metadata.previews) = (None, None);
            }
            let asset_type = format.types().first().copied();
            let address = if alias && !is_icon { format!("x/{path}") } else { path.to_owned() };
            let model = path.ends_with(".fbx");
            let pin = pin.and_then(|number| match model {
                true => (number < 5).then(|| Pin::Revision(Revision::new(number).unwrap())),
                false => (number > 9).then(|| Pin::Asset(AssetId::new(number).unwrap())),
            });
            let want = DesiredAsset {
                path: project_path,
                asset_type,
                creator: Creator::User(UserId::new(if other_owner { 2 } else { 1 }).unwrap()),
                content: content.map(facts).ok_or(missing),
                metadata: metadata.into(),
                privacy: Privacy::Default,
                expected_price: Rare::new(),
                prevent_replace: keep,
                pin: pin.into(),
                grants: Rare::new(),
            };
            (Address::new(&address).unwrap(), want)
        },
    )
}

pub(super) fn any_desired() -> impl Strategy<Value = Desired> {
    let assets = PATHS.map(|path| prop::option::weighted(0.65, any_asset(path)));
    let existing = prop::collection::btree_map("[e-f]", 10_u64..20, 0..2);
    (Vec::from(assets), existing, any_policy()).prop_map(|(assets, existing, policy)| {
        let mut desired = Desired { assets: assets.into_iter().flatten().collect(), policy, ..Desired::default() };
        let existing = existing.into_iter();
        desired.existing =
            existing.map(|(name, id)| (Address::new(&name).unwrap(), AssetId::new(id).unwrap())).collect();
        without_dangling(desired)
    })
}

/// Removes references to absent addresses. They are manifest errors or stray references, which the
/// tables of other tests cover.
pub(super) fn without_dangling(mut desired: Desired) -> Desired {
    let known: Vec<Address> = desired.assets.keys().cloned().collect();
    let there = |reference: &AssetRef| match reference {
        AssetRef::Address(address) => known.contains(address),
        AssetRef::Id(_) => true,
    };
    for want in desired.assets.values_mut() {
        let is_icon = ICONS.contains(&want.path.as_str());
        if is_icon || want.metadata.icon.as_ref().is_some_and(|icon| !icon.as_ref().is_none_or(there)) {
            Arc::make_mut(&mut want.metadata).icon = None;
        }
        if is_icon || want.metadata.previews.iter().flatten().any(|preview| !there(&preview.asset)) {
            Arc::make_mut(&mut want.metadata).previews = None;
        }
    }
    desired
}

fn any_event() -> impl Strategy<Value = ScenarioEvent> {
    use Meddling as M;
    let all = vec![
        M::NewVersion,
        M::OldVersion,
        M::Rename,
        M::Describe,
        M::Icon,
        M::Archive,
        M::Restore,
        M::Reject,
        M::Vanish,
    ];
    prop_oneof![
        4 => any_desired().prop_map(|desired| ScenarioEvent::Want(Box::new(desired))),
        5 => (any::<prop::sample::Index>(), 0_u8..4, prop::option::of(any_metadata())).prop_map(|(at, content, metadata)| ScenarioEvent::Edit(at, content, metadata)),
        2 => any::<prop::sample::Index>().prop_map(ScenarioEvent::CheckOut),
        4 => (any::<prop::sample::Index>(), prop::sample::select(all)).prop_map(|(at, what)| ScenarioEvent::Meddle(at, what)),
        4 => Just(ScenarioEvent::Refresh),
        2 => (1_i64..30).prop_map(ScenarioEvent::Days),
        2 => prop::sample::select(vec![FaultMode::Slow, FaultMode::Silent]).prop_map(ScenarioEvent::Fault),
        1 => Just(ScenarioEvent::FreshMachine),
    ]
}

pub(super) fn any_scenario() -> impl Strategy<Value = Vec<ScenarioEvent>> {
    let first = any_desired().prop_map(|desired| ScenarioEvent::Want(Box::new(desired)));
    (first, prop::collection::vec(any_event(), 0..12)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

/// Returns the byte of which a [`hash`] consists, as text.
fn byte(hash: ContentHash) -> String {
    hash.to_string().chars().take(2).collect()
}
