//! From desired, recorded and observed to a plan: what to do, what not to do, and why.
//!
//! [`plan`] is pure and total: the same inputs give the same plan in the same order. It leaves the executor no choice to make; what Roblox
//! refuses becomes a recorded fact, and the next plan decides again. It must never read a clock, a file or the network.
//!
//! Read next: [`step`] for what a plan consists of, [`asset`] for the rules in their order, one small function a case.

pub mod asset;
pub mod doubt;
pub mod lint;
pub mod metadata;
pub mod sharing;
pub mod step;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{Absences, Desired, Unseen};
use crate::model::file::FileProblem;
use crate::model::phase::{Phase, PhaseEvent};
use crate::model::recorded::Recorded;
use sharing::Sharing;
pub use step::{Action, FieldChange, Hold, HoldKind, NewAsset, Note, Plan, Step};

/// Plans what makes the remote match `desired`, as far as `recorded` knows it, at the time `now`.
pub fn plan(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let sharing = Sharing::of(desired, recorded);
    for (address, want) in &desired.assets {
        asset::plan_asset(&mut plan, &asset::Case { address, want, recorded, sharing: &sharing, desired, now });
    }
    plan_left(&mut plan, desired, recorded);
    hold_sharers_of_held(&mut plan);
    for Unseen { place, problem, .. } in &desired.unseen {
        let FileProblem { message, hint } = problem.clone();
        plan.held.push(Hold { address: place.clone(), kind: HoldKind::Failed, reason: message, hint });
    }
    plan_removed(&mut plan, desired, recorded);
    debug_assert_eq!(lint::check(&plan), Vec::<String>::new(), "a plan breaks its own rules");
    plan
}

/// Whoever waits for the upload of an address that is held, or that has nothing left to do, is held with it.
fn hold_sharers_of_held(plan: &mut Plan) {
    let acting: BTreeSet<Address> = plan.steps.iter().map(|step| step.address.clone()).collect();
    let (kept, stuck) = std::mem::take(&mut plan.steps)
        .into_iter()
        .partition(|step| step.after.as_ref().is_none_or(|owner| acting.contains(owner)));
    plan.steps = kept;
    for Step { address, after, .. } in stuck as Vec<Step> {
        let owner = after.map(|owner| owner.to_string()).unwrap_or_default();
        let reason = format!("it shares the upload of `{owner}`, which is held");
        let hint = Some(format!("see `macadam status {owner}`"));
        plan.held.push(Hold { address, kind: HoldKind::Held, reason, hint });
    }
}

/// What is under way for an address that left the manifest goes on, so that no asset is lost: Roblox forgets an operation after a while. A create
/// in doubt stays recorded; it is nothing that anybody wants again.
fn plan_left(plan: &mut Plan, desired: &Desired, recorded: &Recorded) {
    let left = recorded.attempts.iter().filter(|(_, attempt)| !desired.assets.contains_key(&attempt.address));
    let mut left: Vec<_> = left.collect();
    left.sort_by_key(|(id, attempt)| (&attempt.address, **id));
    for (id, attempt) in left {
        let (action, reason) = match (&attempt.phase, attempt.intent.asset_id()) {
            (Phase::Submitted(operation), _) => {
                (Action::Wait { attempt: *id }, format!("Roblox works on operation {operation}"))
            }
            (Phase::HandedOver | Phase::InDoubt, Some(_)) => {
                (Action::Settle { attempt: *id }, "it left the manifest while this was under way".to_owned())
            }
            (Phase::HandedOver | Phase::InDoubt, None) | (Phase::Closed(_), _) => continue,
            (Phase::Intended, _) => {
                plan.marks.push(Change::Advance { attempt: *id, event: PhaseEvent::NotCarriedOut });
                continue;
            }
        };
        plan.steps.push(Step { address: attempt.address.clone(), action, reason, after: None, not_before: None });
    }
    // Stable: the steps of an address keep their order.
    plan.steps.sort_by(|a, b| a.address.cmp(&b.address));
}

/// Removed means: this checkout's lockfile has the address and its manifest doesn't. What only the state knows belongs to another branch.
fn plan_removed(plan: &mut Plan, desired: &Desired, recorded: &Recorded) {
    // What is not seen may be there: no absence counts then.
    let complete = !desired.unseen.iter().any(|unseen| unseen.incomplete);
    let mut uncounted = 0;
    for (address, record) in &recorded.assets {
        let wanted = desired.assets.contains_key(address);
        let mark = |removed: bool| Change::Remove { address: address.clone(), removed };
        match (wanted, record.removed) {
            (true, true) => plan.marks.push(mark(false)),
            (false, false) if record.in_lockfile && complete && desired.absences != Absences::Count => uncounted += 1,
            (false, false) if record.in_lockfile && complete => {
                plan.marks.push(mark(true));
                let text = "left the manifest; its asset at Roblox is kept".to_owned();
                plan.notes.push(Note { address: Some(address.clone()), text });
            }
            (true, false) | (false, true | false) => {}
        }
    }
    if let (Absences::DontCount { why }, 1..) = (&desired.absences, uncounted) {
        let what = if uncounted == 1 { "1 asset is" } else { &format!("{uncounted} assets are") };
        plan.notes.push(Note { address: None, text: format!("{what} absent and not taken for removed: {why}") });
    }
}

#[cfg(test)]
mod tests;
