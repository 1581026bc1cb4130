//! Nothing new is created while the lockfile, or the part of its history, is missing that would say
//! what exists already.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::ContentHash;
use crate::model::missing_lockfile::{Lost, MissingLockfile};
use crate::model::recorded::Recorded;
use crate::model::unseen_history::UnseenHistory;

use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::step::{Action, HeldPart, Hold, Note, Plan, Step};

/// Holds all uploads of new assets where the lockfile was lost; everything else goes on.
pub(super) fn hold_creates(plan: &mut Plan, missing: &MissingLockfile, desired: &Desired, recorded: &Recorded) {
    let Some(lost) = missing.lost(desired, recorded) else { return };
    let held = hold_new(plan, |_| Some(HoldReason::LockfileLost(lost.clone())))
        | explain_pins(plan, |_| Some(HoldReason::LockfileLost(lost.clone())));
    if !held && !matches!(lost, Lost::KnownToState { .. }) {
        plan.notes.push(Note { address: None, kind: NoteKind::LockfileLost(lost) });
    }
}

/// Holds uploads of new assets that may be in a part of the lockfile's history that this clone lacks.
pub(super) fn hold_open(plan: &mut Plan, unseen: &UnseenHistory, desired: &Desired) {
    // Whichever address with these bytes has the asset, the upload would be a second one.
    let open: BTreeSet<ContentHash> = plan
        .steps
        .iter()
        .filter_map(|step| {
            // An address that has assets may lack one for the content that its file has now.
            let (content, has_others) = match &step.action {
                Action::Create(new) => (new.content, false),
                Action::Replace { new, .. } => (new.content, true),
                Action::Share { key: None, content, from, .. } => (*content, from.is_some()),
                _ => return None,
            };
            let path = &desired.assets.get(&step.address)?.path;
            unseen.may_have(path, has_others).then_some(content)
        })
        .collect();
    hold_new(plan, |step| {
        let (Action::Create(new) | Action::Replace { new, .. }) = &step.action else { return None };
        open.contains(&new.content).then(|| HoldReason::HistoryUnseen(unseen.gap.clone()))
    });
    explain_pins(plan, |address| {
        let path = &desired.assets.get(address)?.path;
        unseen.may_have(path, false).then(|| HoldReason::HistoryUnseen(unseen.gap.clone()))
    });
}

/// Gives pins of addresses without a revision the reason why none is known: without the pin, a later
/// sync would undo the rollback. Returns whether there are any.
fn explain_pins(plan: &mut Plan, reason: impl Fn(&Address) -> Option<HoldReason>) -> bool {
    let mut any = false;
    for hold in plan.held.iter_mut().filter(|hold| matches!(hold.reason, HoldReason::PinnedTooEarly { .. })) {
        let Some(reason) = reason(&hold.address) else { continue };
        (hold.reason, any) = (reason, true);
    }
    any
}

/// Holds the uploads of new assets for which there is a reason. Returns whether there are any.
pub(super) fn hold_new(plan: &mut Plan, reason: impl Fn(&Step) -> Option<HoldReason>) -> bool {
    let mut held = BTreeMap::new();
    plan.steps.retain(|step| {
        let reason = step.action.creates_asset().then(|| reason(step)).flatten();
        let stays = reason.is_none();
        held.extend(reason.map(|reason| (step.address.clone(), reason)));
        stays
    });
    plan.notes.retain(|note| note.address.as_ref().is_none_or(|address| !held.contains_key(address)));
    let any = !held.is_empty();
    plan.held.extend(held.into_iter().map(|(address, reason)| Hold { address, part: HeldPart::Asset, reason }));
    any
}
