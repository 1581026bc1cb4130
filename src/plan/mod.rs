//! From desired and recorded to a plan: what to do, what not to do, and why.
//!
//! [`plan`] is pure and total: the same inputs give the same plan in the same order. It leaves the
//! executor no choice to make; what Roblox refuses becomes a recorded fact, and the next plan
//! decides again. It must never read a clock, a file or the network.
//!
//! Observations of the remote are part of the record: its last answer about each asset, and the
//! facts that followed from it.
//!
//! Read next: [`step`] for what a plan consists of, [`asset`] for the rules of one address in their
//! order, one small function a case. Rules across addresses have files of their own: [`renamed`],
//! [`aliases`], [`moves`], [`sharing`], [`metadata`] (icons order the work), [`retirement`] (archiving),
//! [`neighbours`] (other manifests).
//! [`part`] plans only what a change can touch.

pub(crate) mod aliases;
pub(crate) mod asset;
pub(crate) mod content;
mod contradiction;
pub(crate) mod current;
pub(crate) mod diff;
pub(crate) mod drift;
pub(crate) mod in_doubt;
pub(crate) mod input_digest;
mod inputs;
pub(crate) mod lint;
pub(crate) mod lookalikes;
pub(crate) mod metadata;
mod missing_files;
mod missing_lockfile;
pub(crate) mod moves;
pub(crate) mod neighbours;
pub(crate) mod part;
mod pin;
pub(crate) mod pinnable;
pub(crate) mod reason;
mod renamed;
mod restriction;
pub(crate) mod retirement;
pub(crate) mod rule;
pub(crate) mod sharing;
mod side_by_side;
pub(crate) mod step;
mod unproven;
mod unverified;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{AbsenceReason, Desired, DesiredAsset, NeverCommitted, Unseen};
use crate::model::digest::FieldDigest;
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Phase, PhaseEvent};
use crate::model::policy::LeavePolicy;
use crate::model::recorded::{Blocked, Recorded};
use moves::Moves;
pub(crate) use reason::hold::HoldKind;
use reason::hold::HoldReason;
use reason::note::NoteKind;
use reason::step::StepReason;
use sharing::Sharing;
pub(crate) use step::{
    Action, Drift, FieldChange, HeldPart, Hold, NewAsset, Note, Plan, PlanOptions, Restriction, Step,
};

/// Plans what makes the remote match `desired`, as far as `recorded` knows it, at the time `now`.
pub(crate) fn plan(desired: &Desired, recorded: &Recorded, options: &PlanOptions, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let (recorded, confirmed) = unverified::confirm(desired, recorded, now);
    plan.marks.extend(confirmed);
    let (recorded, given_up) = renamed::give_up(desired, &recorded, options, now);
    plan.marks.extend(given_up);
    let moves = Moves::of(desired, &recorded, &options.in_progress);
    let (recorded, moved) = moves.apply(&recorded, now);
    plan.marks.extend(moved);
    let (recorded, learned) = aliases::share_history(desired, &recorded, now);
    plan.marks.extend(learned);
    let recorded: &Recorded = &recorded;
    let mut in_progress: BTreeSet<Address> = options.in_progress.union(&moves.waiting).cloned().collect();
    in_progress.extend(aliases::waiting(desired, recorded));
    let sharing = Sharing::of(desired, recorded, &in_progress);
    let fields = desired.assets.values().map(|want| input_digest::fields(want, desired, recorded));
    let fields: Vec<FieldDigests> = fields.collect();
    let archivings = &recorded.archivings();
    let (mut intentions, mut open) = (Vec::new(), Vec::new());
    for ((address, want, record), fields) in side_by_side::wanted(desired, recorded).zip(&fields) {
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
        let inputs = inputs::AddressInputs {
            address,
            want,
            record,
            fields,
            recorded,
            archivings,
            sharing,
            moves,
            desired,
            options,
            now,
        };
        if let Some(target) = asset::plan_asset(&mut plan, &inputs) {
            intentions.push(metadata::MetadataTarget { address, want, record, target, fields });
        }
        if !sharing.open(address).is_empty() {
            open.push(inputs);
        }
    }
    plan.held.extend(moves.held.values().filter(|hold| !desired.assets.contains_key(&hold.address)).cloned());
    plan_left(&mut plan, desired, recorded, &in_progress, now);
    lookalikes::note(&mut plan, &moves);
    if let Some(missing) = options.missing_lockfile.as_ref().filter(|_| !options.accept_new_lockfile) {
        missing_lockfile::hold_creates(&mut plan, missing, desired, recorded);
    }
    if let Some(unseen) = &desired.unseen_history
        && options.missing_lockfile.is_none()
        && !options.accept_new_lockfile
        && !options.trust_lockfile
    {
        missing_lockfile::hold_open(&mut plan, unseen, desired);
    }
    if !options.accept_new_lockfile {
        neighbours::hold_known(&mut plan, desired, recorded);
    }
    plan.notes.extend(neighbours::changes_elsewhere(plan.steps.iter(), &desired.neighbours));
    unproven::hold(&mut plan, desired, recorded, &in_progress);
    hold_sharers_of_held(&mut plan, &in_progress);
    open.iter().for_each(|inputs| asset::close_lost(&mut plan, inputs));
    plan_metadata(&mut plan, desired, recorded, intentions, now);
    for Unseen { place, problem, .. } in &desired.unseen {
        let reason = HoldReason::File(problem.clone());
        plan.held.push(Hold { address: place.clone(), part: HeldPart::Asset, reason });
    }
    plan_removed(&mut plan, desired, recorded, &moves.undecided);
    let (in_progress, undecided) = (&in_progress, &moves.undecided);
    retirement::plan_retirement(
        &mut plan,
        &retirement::RetireInputs { desired, recorded, in_progress, undecided, options, now },
    );
    unproven::hold(&mut plan, desired, recorded, in_progress);
    unproven::note(&mut plan, desired, recorded);
    end_backoffs(&mut plan, (desired, recorded), &fields, &sharing, in_progress);
    // Stable: the steps of an address keep their order, and metadata comes last.
    plan.steps.sort_by(|a, b| (&a.address, a.action.is_metadata()).cmp(&(&b.address, b.action.is_metadata())));
    debug_assert_eq!(lint::check(&plan, in_progress), Vec::<String>::new(), "a plan breaks its own rules");
    if let Some(restriction) = &options.only {
        plan.restrict(restriction, desired, recorded);
    }
    plan
}

/// Ends the back-off of each address for which nothing is left to do: another machine did it since,
/// and its lockfile came.
fn end_backoffs(
    plan: &mut Plan,
    (desired, recorded): (&Desired, &Recorded),
    fields: &[FieldDigests],
    sharing: &Sharing<'_>,
    in_progress: &BTreeSet<Address>,
) {
    let waiting: Vec<(&Address, FieldDigest, &DesiredAsset, &FieldDigests)> = side_by_side::wanted(desired, recorded)
        .zip(fields)
        .filter_map(|((address, want, record), fields)| match record?.blocked.as_deref()? {
            Blocked::Retrying { input_digest, .. } => Some((address, *input_digest, want, fields)),
            Blocked::Refused { .. } => None,
        })
        .collect();
    if waiting.is_empty() {
        return;
    }
    let steps = plan.steps.iter().map(|step| &step.address);
    let to_do: BTreeSet<&Address> = steps.chain(plan.held.iter().map(|hold| &hold.address)).collect();
    let is_over = |(address, failed, want, fields): &(&Address, FieldDigest, &DesiredAsset, &FieldDigests)| {
        let wanted = input_digest::of(want, fields);
        !to_do.contains(address)
            && !in_progress.contains(*address)
            && sharing.open(address).is_empty()
            && [wanted.asset, wanted.metadata].contains(failed)
    };
    let over = waiting.iter().filter(|waiting| is_over(waiting));
    let ended: Vec<Change> =
        over.map(|(address, ..)| Change::SetBlocked { address: (*address).clone(), blocked: None }).collect();
    plan.marks.extend(ended);
}

fn push_move(plan: &mut Plan, address: &Address, moved: &moves::Move) {
    let moves::Move { from, evidence } = moved.clone();
    plan.steps.push(Step {
        address: address.clone(),
        action: Action::Move { from: from.clone() },
        reason: StepReason::Moved { from, evidence },
        after: Vec::new(),
        not_before: None,
    });
}

/// Holds addresses that wait for the upload of an address which is held or has nothing to do.
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
        let reason = HoldReason::SharedUpload { owner };
        plan.held.push(Hold { address: step.address, part: HeldPart::Asset, reason });
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

/// Continues changes under way for addresses that left the manifest. Roblox forgets an operation
/// after a while, and its asset would be lost. A create in doubt only stays recorded, since nobody
/// wants it any more.
fn plan_left(plan: &mut Plan, desired: &Desired, recorded: &Recorded, in_progress: &BTreeSet<Address>, now: Timestamp) {
    let is_left = |address: &Address| !desired.assets.contains_key(address) && !in_progress.contains(address);
    let left = recorded.attempts.iter().filter(|(_, attempt)| is_left(&attempt.address));
    let mut left: Vec<_> = left.collect();
    left.sort_by_key(|(id, attempt)| (&attempt.address, **id));
    for (id, attempt) in left {
        let (action, reason) = match (&attempt.phase, attempt.intent.asset_id()) {
            (Phase::Submitted(_), _) => (Action::Wait { attempt: *id }, asset::under_way(attempt, now)),
            (Phase::HandedOver | Phase::InDoubt | Phase::Held, Some(_)) => {
                (Action::Settle { attempt: *id }, StepReason::LeftUnderWay)
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
        plan.steps.push(Step { address, action, reason, after: Vec::new(), not_before: None });
    }
}

/// Marks removed addresses: this checkout's lockfile has them and its manifest doesn't. An address
/// that only the state knows belongs to another branch.
fn plan_removed(plan: &mut Plan, desired: &Desired, recorded: &Recorded, undecided: &BTreeSet<Address>) {
    let mut uncounted: BTreeMap<AbsenceReason, u64> = BTreeMap::new();
    for (address, record, want) in side_by_side::known(desired, recorded) {
        let wanted = want.is_some();
        let mark = |removed: bool| Change::SetRemoved { address: address.clone(), removed };
        match (wanted, record.removed) {
            (true, true) => plan.marks.push(mark(false)),
            (false, false) if undecided.contains(address) => {}
            (false, false) if record.in_lockfile.is_of(&desired.checkout) => {
                let doubt = desired.is_absence_in_doubt(&record.identity.path);
                // It never got to Roblox: there is nothing to say of it.
                if recorded.has_nothing(address, record) {
                    plan.marks.extend(doubt.is_none().then(|| mark(true)));
                    continue;
                }
                // It came with the lockfile of another manifest, which has the file.
                let doubt = doubt.filter(|why| {
                    let is_unknown = matches!(why, AbsenceReason::NeverCommitted { .. });
                    !(is_unknown && neighbours::is_used(desired, &record.history.assets()))
                });
                match doubt {
                    // Nothing is done about it, so that a pipeline with few commits goes on.
                    Some(AbsenceReason::NeverCommitted { part: NeverCommitted::Shallow, .. })
                        if desired.policy.removed == LeavePolicy::Keep => {}
                    Some(AbsenceReason::NeverCommitted { path, part }) => {
                        // An operation of it may still be under way.
                        if plan.steps.iter().any(|step| step.address == *address) {
                            continue;
                        }
                        let reason = HoldReason::NeverCommitted { path, part };
                        plan.held.push(Hold { address: address.clone(), part: HeldPart::Asset, reason });
                        continue;
                    }
                    Some(why) => {
                        *uncounted.entry(why).or_default() += 1;
                        continue;
                    }
                    None => {}
                }
                let (kept, glob) =
                    (desired.policy.removed == LeavePolicy::Keep, desired.fileless.get(address).cloned());
                let kind = NoteKind::Removed { kept, glob };
                plan.marks.push(mark(true));
                plan.notes.push(Note { address: Some(address.clone()), kind });
            }
            (true, false) | (false, true | false) => {}
        }
    }
    let ignored = uncounted.into_iter().map(|(why, count)| NoteKind::AbsenceIgnored { count, why });
    plan.notes.extend(ignored.map(|kind| Note { address: None, kind }));
}

#[cfg(test)]
mod tests;
