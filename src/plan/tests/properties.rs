//! What holds of every plan, whatever is wanted and known; also of what no history could lead to.

use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

use super::*;

const PATHS: [&str; 6] = ["a.png", "b.png", "c.fbx", "d.fbx", "e.ogg", "i.png"];

prop_compose! {
    pub(super) fn any_metadata()(name in prop::option::of(select(vec!["n", "m"])), text in prop::option::of(select(vec!["", "d"])),
                      icon in prop::option::of(prop::option::of(select(vec!["i.png", "assets/10", "assets/12"]))),
                      link in prop::option::weighted(0.2, prop::option::of(select(vec!["https://x.com/a"])))) -> Metadata {
        let mut wanted = want("a.png", 0);
        if let Some(name) = name { wanted = named(wanted, name) }
        if let Some(text) = text { wanted = described(wanted, text) }
        if let Some(icon) = icon { wanted = with_icon(wanted, icon) }
        if let Some(link) = link { wanted = with_link(wanted, link) }
        (*wanted.metadata).clone()
    }
}

prop_compose! {
    fn any_want()(path in select(PATHS.to_vec()), content in 0u8..4, metadata in any_metadata(), broken in prop::bool::weighted(0.1),
                  owner in prop::bool::weighted(0.1), keep in prop::bool::weighted(0.3), pin in prop::option::weighted(0.3, 1u64..15),
                  alias in prop::bool::weighted(0.2)) -> (Address, DesiredAsset) {
        let mut wanted = want(path, content);
        wanted.metadata = metadata.into();
        if path == "i.png" {
            Arc::make_mut(&mut wanted.metadata).icon = None;
        }
        if owner {
            wanted.creator = creator(2);
        }
        wanted.prevent_replace = keep;
        if broken {
            wanted = missing(wanted);
        }
        if let Some(pin) = pin {
            wanted = pinned(wanted, pin);
        }
        (address(&if alias && path != "i.png" { format!("x/{path}") } else { path.to_owned() }), wanted)
    }
}

prop_compose! {
    pub(super) fn any_desired()(wanted in prop::collection::vec(any_want(), 0..6), existing in prop::option::of(10u64..15), absences in prop::bool::weighted(0.2),
                     flags in any::<[bool; 5]>()) -> Desired {
        let [heal, removed, replaced, at_once, neutral] = flags;
        let mut desired = desired_as(wanted);
        // Two addresses of one path are a manifest error, and so is an icon that isn't there.
        let mut paths = std::collections::BTreeSet::new();
        desired.assets.retain(|_, want| paths.insert(want.path.clone()));
        let there = desired.assets.contains_key(&address("i.png"));
        let dangles = |want: &DesiredAsset| !there && want.metadata.icon == Some(Some(reference("i.png")));
        desired.assets.values_mut().filter(|want| dangles(want)).for_each(|want| Arc::make_mut(&mut want.metadata).icon = None);
        desired.existing.extend(existing.map(|asset| (address("theme"), id(asset))));
        if absences {
            desired.absences = Absences::DontCount { why: AbsenceReason::Unreadable };
        }
        let leave = |archive: bool| if archive { LeavePolicy::Archive } else { LeavePolicy::Keep };
        desired.policy = Policy {
            drift: if heal { DriftPolicy::Heal } else { DriftPolicy::Report },
            removed: leave(removed),
            replaced: leave(replaced),
            moderated_name: if neutral { ModeratedName::Neutral } else { ModeratedName::Fail },
            ..Policy::default()
        };
        if at_once {
            desired.policy.archive_after = Duration::ZERO;
        }
        desired
    }
}

/// One thing that may be known, of one of the addresses.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Revision(u64, u32, Option<u8>, usize, bool, bool),
    Point(u64),
    Ask(Metadata),
    Lock(bool),
    Shelve(u64, usize, bool),
    Seen(u64, Option<bool>, Option<&'static str>, u64),
    RolledBack(u64, u64, u64),
    Healed(bool),
    Refused(Metadata, u8, bool),
    UnderWay(u8, usize),
}

pub(super) fn any_fact() -> impl Strategy<Value = Fact> {
    let asset = || 10u64..15;
    let revision = (
        asset(),
        1u32..4,
        prop::option::weighted(0.9, 0u8..4),
        0usize..RevisionState::ALL.len(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    );
    prop_oneof![
        8 => revision.prop_map(|(asset, ordinal, content, state, shared, duplicate)| Fact::Revision(asset, ordinal, content, state, shared, duplicate)),
        4 => asset().prop_map(Fact::Point),
        2 => any_metadata().prop_map(Fact::Ask),
        4 => any::<bool>().prop_map(Fact::Lock),
        2 => (asset(), 0usize..3, any::<bool>()).prop_map(|(asset, why, archived)| Fact::Shelve(asset, why, archived)),
        2 => (asset(), prop::option::of(any::<bool>()), prop::option::of(select(vec!["n", "z"])), 1u64..4).prop_map(|(asset, archived, name, revision)| Fact::Seen(asset, archived, name, revision)),
        1 => (asset(), 1u64..4, 1u64..4).prop_map(|(asset, pin, at)| Fact::RolledBack(asset, pin, at)),
        1 => any::<bool>().prop_map(Fact::Healed),
        1 => (any_metadata(), 0u8..4, any::<bool>()).prop_map(|(metadata, content, name)| Fact::Refused(metadata, content, name)),
        // What was never handed over is closed by recovery, before anything is planned.
        1 => (0u8..4, 0usize..3).prop_map(|(content, phase)| Fact::UnderWay(content, phase)),
    ]
}

pub(super) fn learn(known: KnownBuilder, path: &str, fact: Fact) -> KnownBuilder {
    let known = if known.0.assets.contains_key(&address(path)) { known } else { known.enrolled(path) };
    match fact {
        Fact::Revision(asset, ordinal, content, state, shared, duplicate) => {
            let known = known.fact(path, asset, ordinal, |fact| {
                (fact.content, fact.state) = (content.map(hash), RevisionState::ALL[state]);
                fact.shared = shared;
            });
            let listing = Some(if duplicate { Listing::Duplicate } else { Listing::Listed });
            known.tell(Change::SetListing { address: address(path), asset_id: id(asset), listing })
        }
        Fact::Point(asset) => known.points_to(path, asset),
        Fact::Ask(metadata) => known.asked(&DesiredAsset { metadata: metadata.into(), ..want(path, 0) }),
        Fact::Lock(removed) if removed => known.left(path),
        Fact::Lock(_) => known.locked(path),
        Fact::Shelve(asset, why, archived) => {
            let why = [RetireReason::Replaced, RetireReason::Removed, RetireReason::ByHand][why];
            let archived = (archived || why == RetireReason::ByHand).then(|| days_ago(2));
            known.retirements(path, asset, why, days_ago(20), archived)
        }
        Fact::Seen(asset, archived, name, revision) => known.seen(asset, move |seen| {
            (seen.archived, seen.display_name) = (archived, name.map(str::to_owned));
            seen.revision = Revision::new(revision).ok();
        }),
        Fact::RolledBack(asset, pin, at) => known.rolled_back(path, asset, pin, at, 3),
        Fact::Healed(metadata) => {
            known.repairs(path, if metadata { DriftRepair::Metadata } else { DriftRepair::Archived }, 3)
        }
        Fact::Refused(metadata, content, name) => {
            let wanted = DesiredAsset { metadata: metadata.into(), ..want(path, content) };
            let input_digests = input_digest::of(&wanted, &wanted.metadata.digests());
            let refusal_kind = if name { RefusalKind::DisplayName } else { RefusalKind::Other };
            known.refused(path, if name { input_digests.metadata } else { input_digests.asset }, refusal_kind)
        }
        Fact::UnderWay(content, phase) => {
            let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
            let events = [
                vec![PhaseEvent::HandOver],
                vec![PhaseEvent::HandOver, PhaseEvent::Doubt],
                vec![PhaseEvent::HandOver, accepted],
            ];
            known.create_under_way(path, content, path == "e.ogg", &events[phase])
        }
    }
}

pub(super) fn any_known() -> impl Strategy<Value = Recorded> {
    let facts = prop::collection::vec(
        (select(vec!["a.png", "b.png", "c.fbx", "d.fbx", "i.png", "z.png", "z.fbx"]), any_fact()),
        0..14,
    );
    facts.prop_map(|facts| {
        facts.into_iter().fold(KnownBuilder::default(), |known, (path, fact)| learn(known, path, fact)).0
    })
}

/// Which asset every wanted address is, or shows.
fn in_use(desired: &Desired, recorded: &Recorded) -> Vec<AssetId> {
    let mut used: Vec<AssetId> = desired.existing.values().copied().collect();
    for (address, want) in &desired.assets {
        used.extend(input_digest::asset_of(address, desired, recorded));
        if let Some(Some(AssetRef::Id(icon))) = &want.metadata.icon {
            used.push(*icon);
        }
    }
    used
}

proptest! {
    #[test]
    fn every_plan_is_sound_and_repeatable(desired in any_desired(), recorded in any_known()) {
        let first = plan(&desired, &recorded, NOW);
        prop_assert_eq!(lint::check(&first, &BTreeSet::new()), Vec::<String>::new());
        prop_assert_eq!(&plan(&desired, &recorded, NOW), &first);
        for address in desired.assets.keys() {
            let spoken = first.steps.iter().any(|s| s.address == *address) || first.held.iter().any(|h| h.address == *address);
            let settled = recorded.assets.get(address).is_some_and(|r| !r.history.is_empty());
            prop_assert!(spoken || settled, "{} is neither planned nor held nor known", address);
        }
    }

    #[test]
    fn carrying_out_the_marks_leaves_no_marks(desired in any_desired(), recorded in any_known()) {
        let mut recorded = recorded;
        // A create in doubt keeps its address from taking over what left, until it is given up.
        recorded.attempts.clear();
        let first = plan(&desired, &recorded, NOW);
        for mark in &first.marks {
            recorded.apply(mark, NOW).unwrap();
        }
        let second = plan(&desired, &recorded, NOW);
        prop_assert_eq!(&second.marks, &vec![], "after {:#?}", first.marks);
    }

    #[test]
    fn no_plan_archives_what_is_in_use_or_more_than_the_guard_allows(desired in any_desired(), recorded in any_known()) {
        let plan = plan(&desired, &recorded, NOW);
        // By what the plan learns of an asset from other addresses that have it.
        let mut known = recorded.clone();
        for mark in &plan.marks {
            known.apply(mark, NOW).unwrap();
        }
        let used = in_use(&desired, &known);
        let archived: Vec<AssetId> = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Archive { asset_id, .. } => Some(*asset_id),
            _ => None,
        }).collect();
        for asset_id in &archived {
            prop_assert!(!used.contains(asset_id), "asset {} is in use", asset_id);
        }
        let all: std::collections::BTreeSet<AssetId> = recorded.assets.values().flat_map(|record| record.history.assets()).collect();
        prop_assert!(archived.len() < 3 || archived.len() * 3 <= all.len(), "{} of {}", archived.len(), all.len());
        if desired.absences_dont_count().is_some() {
            let removed = |step: &Step| matches!(step.action, Action::Archive { why: RetireReason::Removed, .. });
            prop_assert!(!plan.steps.iter().any(removed));
            let taken_for_removed = plan.marks.iter().any(|mark| matches!(mark, Change::SetRemoved { removed: true, .. }));
            prop_assert!(!taken_for_removed);
            prop_assert!(!plan.steps.iter().any(|step| step.reason.rule() == rule::Rule::MovedByContent));
        }
    }

    #[test]
    fn a_pinned_asset_goes_nowhere_but_to_its_pin(desired in any_desired(), recorded in any_known()) {
        let plan = plan(&desired, &recorded, NOW);
        for step in &plan.steps {
            let Some(pin) = desired.assets.get(&step.address).and_then(|want| *want.pin) else { continue };
            let right = match &step.action {
                Action::Rollback { to, .. } => pin == Pin::Revision(*to),
                Action::PointBack { to, pinned, .. } => *pinned && pin == Pin::Asset(to.asset_id),
                Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. } | Action::Share { .. } => false,
                Action::UpdateMetadata { .. } | Action::Move { .. } | Action::Archive { .. } | Action::Restore { .. } | Action::Settle { .. } | Action::Wait { .. } => true,
            };
            prop_assert!(right, "{:?}", step);
        }
    }
}
