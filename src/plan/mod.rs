//! From desired and recorded to a plan: what to do, what not to do, and why.
//!
//! [`plan`] is pure and total: the same inputs give the same plan in the same order. It leaves the
//! executor no choice to make; what Roblox refuses becomes a recorded fact, and the next plan
//! decides again. It must never read a clock, a file or the network.
//!
//! What was observed of the remote is part of what is recorded: its last word on each asset, and
//! the facts that followed from it.
//!
//! Read next: [`step`] for what a plan consists of, [`asset`] for the rules of one address in their
//! order, one small function a case. Rules across addresses have files of their own: [`aliases`],
//! [`moves`], [`sharing`], [`metadata`] (icons order the work), [`retirement`] (archiving).

pub(crate) mod aliases;
pub(crate) mod asset;
pub(crate) mod content;
mod contradiction;
pub(crate) mod current;
pub(crate) mod diff;
pub(crate) mod drift;
pub(crate) mod in_doubt;
pub(crate) mod input_digest;
pub(crate) mod lint;
pub(crate) mod lookalikes;
pub(crate) mod metadata;
mod missing_lockfile;
pub(crate) mod moves;
pub(crate) mod pin;
pub(crate) mod retirement;
pub(crate) mod rule;
pub(crate) mod sharing;
pub(crate) mod step;
mod unproven;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{Absences, Desired, Unseen};
use crate::model::file::FileProblem;
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Phase, PhaseEvent};
use crate::model::policy::LeavePolicy;
use crate::model::recorded::Recorded;
use moves::Moves;
use rule::Rule;
use sharing::Sharing;
pub(crate) use step::{Action, Drift, FieldChange, HeldPart, Hold, HoldKind, NewAsset, Note, Plan, PlanOptions, Step};

/// Plans what makes the remote match `desired`, as far as `recorded` knows it, at the time `now`.
pub(crate) fn plan(desired: &Desired, recorded: &Recorded, options: &PlanOptions, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let moves = Moves::of(desired, recorded, &options.in_progress);
    let (recorded, moved) = moves.apply(recorded, now);
    plan.marks.extend(moved);
    let (recorded, learned) = aliases::share_history(desired, &recorded, now);
    plan.marks.extend(learned);
    let recorded: &Recorded = &recorded;
    let mut in_progress: BTreeSet<Address> = options.in_progress.union(&moves.waiting).cloned().collect();
    in_progress.extend(aliases::waiting(desired, recorded));
    let sharing = Sharing::of(desired, recorded, &in_progress);
    let fields = desired.assets.values().map(|want| input_digest::fields(want, desired, recorded));
    let fields: Vec<FieldDigests> = fields.collect();
    let mut intentions = Vec::new();
    for ((address, want), fields) in desired.assets.iter().zip(&fields) {
        if in_progress.contains(address) {
            continue;
        }
        if let Some(hold) = moves.held.get(address) {
            plan.held.push(hold.clone());
            continue;
        }
        if let Some(moved) = moves.taken.get(address) {
            push_move(&mut plan, address, moved);
        }
        let (sharing, moves) = (&sharing, &moves);
        let case = asset::AddressInputs { address, want, fields, recorded, sharing, moves, desired, options, now };
        if let Some(target) = asset::plan_asset(&mut plan, &case) {
            intentions.push(metadata::MetadataTarget { address, want, target, fields });
        }
    }
    plan.held.extend(moves.held.values().filter(|hold| !desired.assets.contains_key(&hold.address)).cloned());
    plan_left(&mut plan, desired, recorded, &in_progress, now);
    lookalikes::note(&mut plan, &moves);
    if let Some(missing) = options.missing_lockfile.as_ref().filter(|_| !options.accept_new_lockfile) {
        missing_lockfile::hold_creates(&mut plan, missing, desired, recorded);
    }
    unproven::hold(&mut plan, desired, recorded, &in_progress);
    hold_sharers_of_held(&mut plan, &in_progress);
    plan_metadata(&mut plan, desired, recorded, intentions, now);
    for Unseen { place, problem, .. } in &desired.unseen {
        let FileProblem { message, hint } = problem.clone();
        plan.held.push(Hold {
            address: place.clone(),
            kind: HoldKind::Failed,
            part: HeldPart::Asset,
            reason: message,
            hint,
        });
    }
    plan_removed(&mut plan, desired, recorded, &moves.undecided);
    let (in_progress, undecided) = (&in_progress, &moves.undecided);
    retirement::plan_retirement(
        &mut plan,
        &retirement::RetireInputs { desired, recorded, in_progress, undecided, options, now },
    );
    unproven::hold(&mut plan, desired, recorded, in_progress);
    unproven::note(&mut plan, desired, recorded);
    // Stable: the steps of an address keep their order, and metadata comes last.
    plan.steps.sort_by(|a, b| (&a.address, a.action.is_metadata()).cmp(&(&b.address, b.action.is_metadata())));
    debug_assert_eq!(lint::check(&plan, in_progress), Vec::<String>::new(), "a plan breaks its own rules");
    plan
}

fn push_move(plan: &mut Plan, address: &Address, moved: &moves::Move) {
    let from = moved.from.clone();
    let reason = match moved.rule {
        Rule::MovedByPath => format!("`{from}` left, and had the same file"),
        Rule::MovedByPin => format!("`{from}` left, and had the pinned revision"),
        _ => format!("`{from}` left, and had the same bytes"),
    };
    plan.steps.push(Step {
        address: address.clone(),
        action: Action::Move { from },
        reason,
        rule: moved.rule,
        after: Vec::new(),
        not_before: None,
    });
}

/// Whoever waits for the upload of an address that is held, or that has nothing left to do, is held
/// with it.
fn hold_sharers_of_held(plan: &mut Plan, in_progress: &BTreeSet<Address>) {
    let mut acting: BTreeSet<Address> =
        plan.steps.iter().filter(|step| step.action.changes_asset()).map(|step| step.address.clone()).collect();
    acting.extend(in_progress.iter().cloned());
    let stuck = |step: &Step| step.after.iter().find(|owner| !acting.contains(*owner)).cloned();
    let mut kept = Vec::new();
    for step in std::mem::take(&mut plan.steps) {
        let Some(owner) = stuck(&step) else {
            kept.push(step);
            continue;
        };
        let reason = format!("it shares the upload of `{owner}`, which is held");
        let hint = Some(format!("see `macadam status {owner}`"));
        plan.held.push(Hold { address: step.address, kind: HoldKind::Held, part: HeldPart::Asset, reason, hint });
    }
    plan.steps = kept;
}

/// Metadata last: which assets icons and previews are depends on all the steps before.
fn plan_metadata(
    plan: &mut Plan,
    desired: &Desired,
    recorded: &Recorded,
    intentions: Vec<metadata::MetadataTarget<'_>>,
    now: Timestamp,
) {
    let moving = plan.steps.iter().filter(|step| step.action.changes_asset());
    let moving: BTreeSet<Address> = moving.map(|step| step.address.clone()).collect();
    let held: BTreeSet<Address> = plan.held.iter().map(|hold| hold.address.clone()).collect();
    let scene = metadata::MetadataInputs { desired, recorded, moving: &moving, now };
    for intention in intentions.into_iter().filter(|intention| !held.contains(intention.address)) {
        metadata::plan_metadata(plan, &scene, intention);
    }
}

/// What is under way for an address that left the manifest goes on, so that no asset is lost:
/// Roblox forgets an operation after a while. A create in doubt stays recorded; it is nothing that
/// anybody wants again.
fn plan_left(plan: &mut Plan, desired: &Desired, recorded: &Recorded, in_progress: &BTreeSet<Address>, now: Timestamp) {
    let is_left = |address: &Address| !desired.assets.contains_key(address) && !in_progress.contains(address);
    let left = recorded.attempts.iter().filter(|(_, attempt)| is_left(&attempt.address));
    let mut left: Vec<_> = left.collect();
    left.sort_by_key(|(id, attempt)| (&attempt.address, **id));
    for (id, attempt) in left {
        let (action, rule, reason) = match (&attempt.phase, attempt.intent.asset_id()) {
            (Phase::Submitted(operation), _) => {
                let reason = asset::working(operation, attempt, now);
                (Action::Wait { attempt: *id }, Rule::UnderWay, reason)
            }
            (Phase::HandedOver | Phase::InDoubt | Phase::Held, Some(_)) => {
                let reason = "it left the manifest while this was under way".to_owned();
                (Action::Settle { attempt: *id }, Rule::InDoubt, reason)
            }
            (Phase::HandedOver | Phase::InDoubt | Phase::Held, None) | (Phase::SetAside(_) | Phase::Closed(_), _) => {
                continue;
            }
            (Phase::Intended, _) => {
                plan.marks.push(Change::Advance { attempt: *id, event: PhaseEvent::NotCarriedOut });
                continue;
            }
        };
        let address = attempt.address.clone();
        plan.steps.push(Step { address, action, reason, rule, after: Vec::new(), not_before: None });
    }
}

/// Removed means: this checkout's lockfile has the address and its manifest doesn't. What only the
/// state knows belongs to another branch.
fn plan_removed(plan: &mut Plan, desired: &Desired, recorded: &Recorded, undecided: &BTreeSet<Address>) {
    let mut uncounted: BTreeMap<&str, u64> = BTreeMap::new();
    for (address, record) in &recorded.assets {
        let wanted = desired.assets.contains_key(address);
        let mark = |removed: bool| Change::SetRemoved { address: address.clone(), removed };
        match (wanted, record.removed) {
            (true, true) => plan.marks.push(mark(false)),
            (false, false) if undecided.contains(address) => {}
            (false, false) if record.in_lockfile.is_of(&desired.checkout) => {
                if let Some(why) = desired.is_absence_in_doubt(&record.identity.path) {
                    *uncounted.entry(why).or_default() += 1;
                    continue;
                }
                let text = match desired.policy.removed {
                    LeavePolicy::Keep => "left the manifest; its asset at Roblox is kept",
                    LeavePolicy::Archive => "left the manifest",
                };
                plan.marks.push(mark(true));
                plan.notes.push(Note { address: Some(address.clone()), text: text.to_owned() });
            }
            (true, false) | (false, true | false) => {}
        }
    }
    for (why, count) in uncounted {
        let what = if count == 1 { "1 asset is" } else { &format!("{count} assets are") };
        let on_purpose = if desired.absences == Absences::NothingWanted {
            "; nothing is archived by itself then: `macadam archive '**'` does it on purpose"
        } else {
            ""
        };
        let text = format!("{what} absent and not taken for removed: {why}{on_purpose}");
        plan.notes.push(Note { address: None, text });
    }
}

#[cfg(test)]
mod tests;
