//! Nothing new is created while the lockfile is missing that would say what exists already.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::missing_lockfile::{Lost, MissingLockfile};
use crate::model::recorded::Recorded;

use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::step::{Action, HeldPart, Hold, Note, Plan};

/// Holds all uploads of new assets where the lockfile was lost; everything else goes on.
pub(super) fn hold_creates(plan: &mut Plan, missing: &MissingLockfile, desired: &Desired, recorded: &Recorded) {
    let Some(lost) = missing.lost(desired, recorded) else { return };
    let mut held = BTreeSet::new();
    plan.steps.retain(|step| {
        let creates = matches!(step.action, Action::Create(_) | Action::Replace { .. });
        if creates {
            held.insert(step.address.clone());
        }
        !creates
    });
    // A change in doubt stays so: it is given up only for another try.
    plan.marks.retain(|mark| address_of(mark, recorded).is_none_or(|address| !held.contains(address)));
    plan.notes.retain(|note| note.address.as_ref().is_none_or(|address| !held.contains(address)));
    if held.is_empty() && !matches!(lost, Lost::KnownToState { .. }) {
        plan.notes.push(Note { address: None, kind: NoteKind::LockfileLost(lost.clone()) });
    }
    plan.held.extend(held.into_iter().map(|address| Hold {
        address,
        part: HeldPart::Asset,
        reason: HoldReason::LockfileLost(lost.clone()),
    }));
}

/// The address whose earlier try a mark gives up.
fn address_of<'a>(mark: &'a Change, recorded: &'a Recorded) -> Option<&'a Address> {
    match mark {
        Change::Advance { attempt, .. } => recorded.attempts.get(attempt).map(|attempt| &attempt.address),
        Change::SetBlocked { address, .. } | Change::LogEvent { address: Some(address), .. } => Some(address),
        _ => None,
    }
}
