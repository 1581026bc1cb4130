//! A pinned address is brought back to the revision that the manifest names, and then left there:
//! changes of its file wait.

use super::drift;
use super::input_digest;
use super::inputs::{AddressInputs, due, hold, hold_refused, note, point, push};
use super::metadata::MetadataSubject;
use super::pinnable::{UsableRevisions, find};
use super::reason::hold::{BlockedChange, HoldReason};
use super::reason::note::NoteKind;
use super::reason::step::StepReason;
use super::step::{Action, HeldPart, Plan};
use crate::model::change::Change;
use crate::model::desired::Pin;
use crate::model::history::{RevisionFact, RevisionKey};
use crate::model::ids::Revision;
use crate::model::phase::IntentKind;
use crate::model::recorded::{Blocked, Record};

/// Plans an address that `[pins]` names. Returns the asset whose metadata is planned next.
pub(super) fn plan_pin<'a>(
    plan: &mut Plan,
    inputs: &AddressInputs<'a>,
    record: &'a Record,
    pin: Pin,
) -> Option<MetadataSubject<'a>> {
    let (key, fact) = match find(record, pin) {
        Ok(found) => found,
        Err(why) => {
            hold(plan, inputs, HoldReason::PinUnusable { pin, why, usable: UsableRevisions::of(record) });
            return None;
        }
    };
    let wanted = input_digest::of(inputs.want, inputs.fields).asset;
    if let Some(Blocked::Refused { input_digest, action, refusal_kind, message, .. }) = record.blocked.as_deref()
        && *input_digest == wanted
    {
        let is_done = match action {
            IntentKind::Rollback => is_there(record, pin, key, fact),
            IntentKind::Restore => drift::is_restored(inputs, record),
            _ => false,
        };
        if !is_done {
            hold_refused(plan, inputs.address, HeldPart::Asset, *action, *refusal_kind, message);
            return None;
        }
        // Another machine did it since, and its lockfile came.
        plan.marks.push(Change::SetBlocked { address: inputs.address.clone(), blocked: None });
    }
    let not_before = due(record.blocked.as_deref(), wanted, inputs.now);
    let goes = match key.version {
        Some(to) => roll_back(plan, inputs, record, (key, fact), to, not_before)?,
        None => point_back(plan, inputs, record, key, not_before),
    };
    note_waiting(plan, inputs, record, key, fact);
    let asset_id = key.asset_id;
    let same = record.points_to.is_none_or(|points_to| points_to == asset_id);
    if !goes {
        point(plan, inputs, record, asset_id);
        drift::archived(plan, inputs, record, asset_id);
    }
    let owns = inputs.sharing.owns_metadata(inputs.address, asset_id);
    owns.then_some(MetadataSubject::Known {
        asset_id,
        asked: same.then_some(&record.asked),
        stored: same.then_some(&record.stored),
        not_before: None,
    })
}

/// A pin of an address that has no revisions yet.
pub(super) fn hold_unknown(plan: &mut Plan, inputs: &AddressInputs<'_>, pin: Pin) {
    hold(plan, inputs, HoldReason::PinnedTooEarly { pin });
}

/// Whether the address is at the pinned revision, or at the same bytes.
fn is_there(record: &Record, pin: Pin, key: RevisionKey, fact: RevisionFact) -> bool {
    if key.version.is_none() {
        return record.points_to.is_none_or(|points_to| points_to == key.asset_id);
    }
    record.head().is_some_and(|(head, head_fact)| {
        let same_bytes = fact.content.is_some() && fact.content == head_fact.content;
        let carried_out = record.pinned.is_some_and(|pinned| pinned.pin == pin && pinned.at == head);
        head == key || same_bytes || carried_out
    })
}

/// Of a Model. `None`: it is held. Otherwise whether there is something to do.
fn roll_back(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    record: &Record,
    (key, fact): (RevisionKey, RevisionFact),
    to: Revision,
    not_before: Option<jiff::Timestamp>,
) -> Option<bool> {
    let (head, head_fact) = record.head()?;
    let carried_out = record.pinned.is_some_and(|pinned| pinned.pin == Pin::Revision(to));
    if drift::is_elsewhere(record, head, head_fact) && head != key && !inputs.options.overwrite.contains(inputs.address)
    {
        // The pin was carried out before, and a newer revision was made outside of Macadam since.
        if carried_out {
            drift::tell_made_elsewhere(plan, inputs, head);
            return Some(false);
        }
        drift::holds_update(plan, inputs, record, head, head_fact);
        return None;
    }
    if is_there(record, Pin::Revision(to), key, fact) {
        drift::rolled_back_elsewhere(plan, inputs, head, head_fact);
        return Some(false);
    }
    if drift::holds_archived(plan, inputs, record, key.asset_id, BlockedChange::Pin { to }) {
        return None;
    }
    let reason = StepReason::PinnedToRevision { to, from: head.version };
    push(plan, inputs, Action::Rollback { asset_id: key.asset_id, to }, reason, not_before);
    Some(true)
}

/// Of a type with one content an asset. Whether there is something to do.
fn point_back(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    record: &Record,
    key: RevisionKey,
    not_before: Option<jiff::Timestamp>,
) -> bool {
    match record.points_to {
        Some(from) if from != key.asset_id => {
            let restores = drift::is_known_archived(inputs, record, key.asset_id);
            let action = Action::PointBack { to: key, from, pinned: true, restores };
            push(plan, inputs, action, StepReason::PinnedToAsset(key.asset_id), not_before);
            true
        }
        Some(_) | None => false,
    }
}

/// Notes a file whose bytes wait, since they differ from the pinned revision.
fn note_waiting(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record, key: RevisionKey, fact: RevisionFact) {
    let number = record.history.number(key);
    match &inputs.want.content {
        Ok(facts) if fact.content != Some(facts.hash) => {
            note(plan, inputs, NoteKind::PinHoldsFile { address: inputs.address.clone(), number });
        }
        Ok(_) | Err(_) => {}
    }
}
