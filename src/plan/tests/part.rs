//! A part is planned as everything would be, and what isn't in it is left as it was.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::properties::{Fact, any_desired, any_fact, any_known, any_metadata, learn};
use super::*;
use crate::model::steps::steps_of;
use crate::plan::part::{PartialPlan, Touched, plan_part, tie, ties_of};

fn part(desired: &Desired, recorded: &Recorded, touched: &Touched) -> Option<PartialPlan> {
    plan_part(desired, &ties_of(desired), recorded, touched, &PlanOptions::default(), NOW)
}

/// Also compares the part of records with an index of their ties with the one of records without.
fn checked_part(
    desired: &Desired,
    recorded: &Recorded,
    touched: &Touched,
) -> Result<Option<PartialPlan>, TestCaseError> {
    let mut indexed = recorded.clone();
    indexed.index_ties();
    let (part, indexed) = (part(desired, recorded, touched), part(desired, &indexed, touched));
    let all = |part: &Option<PartialPlan>| {
        part.as_ref().map(|part| (part.desired.clone(), part.recorded.clone(), part.plan.clone()))
    };
    prop_assert_eq!(all(&part), all(&indexed));
    Ok(indexed)
}

/// What a plan says of the addresses that `fits` accepts, as text: everything but what is about no
/// address.
fn of(plan: &Plan, recorded: &Recorded, fits: &dyn Fn(&Address) -> bool) -> Vec<String> {
    let marked = |mark: &&Change| match mark {
        Change::Begin { address, .. }
        | Change::SetIdentity { address, .. }
        | Change::AddRevision { address, .. }
        | Change::SetMetadata { address, .. }
        | Change::Overrule { address, .. }
        | Change::Unpoint { address }
        | Change::SetRetirement { address, .. }
        | Change::SetRefusedArchiving { address, .. }
        | Change::RecordRepair { address, .. }
        | Change::AddPossibleDuplicate { address, .. }
        | Change::SetCurrentAsset { address, .. }
        | Change::SetPinnedAt { address, .. }
        | Change::SetRemoved { address, .. }
        | Change::SetInLockfile { address, .. }
        | Change::SetListing { address, .. }
        | Change::SetBlocked { address, .. }
        | Change::Forget { address }
        | Change::ForgetAsset { address, .. }
        | Change::LogEvent { address: Some(address), .. } => fits(address),
        Change::Move { from, to } | Change::MoveAsset { from, to, .. } => fits(from) || fits(to),
        Change::TakeOver { attempt } | Change::Advance { attempt, .. } => {
            recorded.attempts.get(attempt).is_some_and(|attempt| fits(&attempt.address))
        }
        Change::SetSpentQuota { .. }
        | Change::RecordObservation { .. }
        | Change::RecordNotFound { .. }
        | Change::RecordWrite { .. }
        | Change::MarkOutdated { .. }
        | Change::SetContradicted { .. }
        | Change::LogEvent { address: None, .. } => false,
    };
    let mut said: Vec<String> = Vec::new();
    said.extend(plan.steps.iter().filter(|step| fits(&step.address)).map(|step| format!("{step:?}")));
    said.extend(plan.held.iter().filter(|hold| fits(&hold.address)).map(|hold| format!("{hold:?}")));
    said.extend(plan.drifts.iter().filter(|drift| fits(&drift.address)).map(|drift| format!("{drift:?}")));
    said.extend(
        plan.notes.iter().filter(|note| note.address.as_ref().is_some_and(fits)).map(|note| format!("{note:?}")),
    );
    said.extend(plan.marks.iter().filter(marked).map(|mark| format!("{mark:?}")));
    said.sort();
    said
}

/// How many random projects are tried, and in how many of them at least there is a part.
const CASES: u32 = 2000;
const PARTS: u32 = 400;

const PATHS: [&str; 8] = ["a.png", "b.png", "c.fbx", "d.fbx", "e.ogg", "i.png", "j.png", "k.fbx"];

/// The same fact about assets and bytes that no other address has.
fn apart(fact: Fact, by: u8) -> Fact {
    let (asset, content) = (|asset: u64| asset + 10 * u64::from(by), |content: u8| content + 8 * by);
    match fact {
        Fact::Revision(id, ordinal, bytes, state, shared, duplicate) => {
            Fact::Revision(asset(id), ordinal, bytes.map(content), state, shared, duplicate)
        }
        Fact::Point(id) => Fact::Point(asset(id)),
        Fact::Shelve(id, why, archived) => Fact::Shelve(asset(id), why, archived),
        Fact::Seen(id, archived, name, revision) => Fact::Seen(asset(id), archived, name, revision),
        Fact::RolledBack(id, pin, at) => Fact::RolledBack(asset(id), pin, at),
        Fact::Refused(metadata, bytes, name) => Fact::Refused(metadata, content(bytes), name),
        Fact::UnderWay(bytes, phase) => Fact::UnderWay(content(bytes), phase),
        Fact::Ask(_) | Fact::Lock(_) | Fact::Healed(_) => fact,
    }
}

/// A project whose addresses mostly have assets of their own, and sometimes one another's.
fn any_project() -> impl Strategy<Value = (Desired, Recorded)> {
    let likely = || prop::bool::weighted(0.9);
    let one = (
        (likely(), likely(), likely(), prop::bool::weighted(0.05), any::<bool>()),
        0u8..3,
        prop::option::weighted(0.4, any_metadata()),
        prop::option::weighted(0.1, 1u64..40),
        prop::collection::vec((likely(), any_fact()), 0..3),
    );
    (any_desired(), prop::collection::vec(one, PATHS.len())).prop_map(|(like, all)| {
        let mut known = KnownBuilder::default();
        let mut wanted = Vec::new();
        for ((path, place), (flags, content, metadata, pin, facts)) in PATHS.into_iter().zip(0u8..).zip(all) {
            let (is_wanted, is_known, is_alone, is_broken, keeps) = flags;
            let place = if is_alone { place } else { 0 };
            if is_known {
                known = known.enrolled(path).locked(path).fact(path, 10 + 10 * u64::from(place), 1, |fact| {
                    fact.content = Some(hash(8 * place));
                });
            }
            for (is_own, fact) in facts {
                known = learn(known, path, if is_own { apart(fact, place) } else { fact });
            }
            let mut want = want(path, content + 8 * place);
            want.metadata = metadata.filter(|_| path != "i.png").unwrap_or_default().into();
            want.prevent_replace = keeps;
            if is_broken {
                want = missing(want);
            }
            if let Some(pin) = pin {
                want = pinned(want, pin);
            }
            // What shows the picture needs it.
            if is_wanted || path == "i.png" {
                wanted.push((address(path), want));
            }
        }
        (Desired { assets: desired_as(wanted).assets, ..like }, known.0)
    })
}

/// Checks a property of a random project and one of its addresses, which says whether there was a part.
fn check(property: impl Fn(&Desired, &Recorded, &Address, u8) -> Result<bool, TestCaseError>) {
    let parts = Cell::new(0);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let wild = (any_desired(), any_known());
    let projects = prop_oneof![4 => any_project(), 1 => wild];
    let projects = (projects, any::<prop::sample::Index>(), 0u8..70);
    let outcome = TestRunner::new(config).run(&projects, |((desired, recorded), which, content)| {
        let addresses: Vec<Address> = desired.assets.keys().cloned().collect();
        if !addresses.is_empty() && property(&desired, &recorded, which.get(&addresses), content)? {
            parts.set(parts.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(parts.get() > PARTS, "only {} parts", parts.get());
}

#[test]
fn a_part_is_planned_as_everything_would_be() {
    check(|desired, recorded, address, _| {
        let touched = Touched { addresses: [address.clone()].into(), earlier: BTreeSet::new() };
        let Some(part) = checked_part(desired, recorded, &touched)? else { return Ok(false) };
        let inside = |address: &Address| part.desired.assets.contains_key(address);
        let whole = plan(desired, recorded, NOW);
        prop_assert_eq!(of(&part.plan, recorded, &|_| true), of(&whole, recorded, &inside));
        Ok(true)
    });
}

#[test]
fn a_changed_file_touches_nothing_outside_its_part() {
    check(|desired, recorded, address, content| {
        let mut changed = desired.clone();
        let want = changed.assets.get_mut(address).unwrap();
        let Ok(before) = want.content.clone() else { return Ok(false) };
        want.content = Ok(FileFacts { hash: hash(content), ..before });
        let touched = Touched { addresses: [address.clone()].into(), earlier: [before.hash].into() };
        // The index keeps the ties of what was wanted before.
        let mut index = ties_of(desired);
        tie(&mut index, address, &changed.assets[address]);
        let part = plan_part(&changed, &index, recorded, &touched, &PlanOptions::default(), NOW);
        let Some(part) = part else { return Ok(false) };
        prop_assert_eq!(&part.desired, &checked_part(&changed, recorded, &touched)?.unwrap().desired);
        let outside = |address: &Address| !part.desired.assets.contains_key(address);
        let (before, after) = (plan(desired, recorded, NOW), plan(&changed, recorded, NOW));
        prop_assert_eq!(of(&after, recorded, &outside), of(&before, recorded, &outside));
        Ok(true)
    });
}

#[test]
fn a_part_is_what_ties_lead_to() {
    let wanted = [want("a.png", 9), want("b.png", 2), want("c.png", 3), want("d.png", 3)];
    let wanted = wanted.map(|want| (address(want.path.as_str()), want));
    let mut desired = desired_as(wanted.to_vec());
    let shows = with_icon(want("m.fbx", 5), Some("a.png"));
    desired.assets.insert(address("m.fbx"), shows);
    let mut known = KnownBuilder::default();
    for (path, asset, content) in
        [("a.png", 10, 1), ("b.png", 11, 2), ("c.png", 12, 3), ("d.png", 12, 3), ("m.fbx", 13, 5)]
    {
        known = known.enrolled(path).fact(path, asset, 1, |fact| fact.content = Some(hash(content)));
    }
    let recorded = known.0;
    let addresses = |of: &str| {
        let touched = Touched { addresses: [address(of)].into(), earlier: BTreeSet::new() };
        part(&desired, &recorded, &touched)
            .map(|part| part.desired.assets.keys().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(addresses("b.png").unwrap(), ["b.png"]);
    assert_eq!(addresses("a.png").unwrap(), ["a.png", "m.fbx"], "what shows it");
    assert_eq!(addresses("m.fbx").unwrap(), ["a.png", "m.fbx"], "what it shows");
    assert_eq!(addresses("c.png").unwrap(), ["c.png", "d.png"], "who shares its asset");
    assert_eq!(addresses("new.png"), None, "what may have moved");
}

#[test]
fn the_cost_of_a_part_does_not_grow_with_the_project() {
    let cost = |count: u64| {
        let paths: Vec<String> = (0..count).map(|number| format!("ui/{number}.png")).collect();
        let (mut known, mut wanted) = (KnownBuilder::default(), Vec::new());
        for (path, number) in paths.iter().zip(1_u64..) {
            let content = ContentHash::from_bytes([number.to_be_bytes(); 4].concat().try_into().unwrap());
            known = known.enrolled(path).fact(path, number, 1, |fact| fact.content = Some(content));
            let mut want = want(path, 0);
            want.content = want.content.map(|facts| FileFacts { hash: content, ..facts });
            wanted.push((address(path), want));
        }
        let (desired, mut recorded) = (desired_as(wanted), known.0);
        recorded.index_ties();
        let index = ties_of(&desired);
        let touched = Touched { addresses: [address("ui/7.png")].into(), earlier: BTreeSet::new() };
        let mut planned = 0;
        let steps = steps_of(|| {
            let part = plan_part(&desired, &index, &recorded, &touched, &PlanOptions::default(), NOW);
            planned = part.map_or(0, |part| part.desired.assets.len());
        });
        assert_eq!(planned, 1);
        steps
    };
    assert_eq!(cost(50), cost(500));
}
