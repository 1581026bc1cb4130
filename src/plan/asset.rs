//! The rules for one address, in their order: what is open, what is in the way, the pin, and then
//! the content.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::change::Change;
use crate::model::event::EventKind;
use crate::model::file::FileProblem;
use crate::model::ids::OperationId;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::policy::ModeratedName;
use crate::model::recorded::{Attempt, AttemptId, Blocked, Identity, PossibleDuplicate, Record, RefusalKind};

use super::content::plan_content;
use super::current::current;
use super::in_doubt;
use super::input_digest;
use super::inputs::{AddressInputs, ReadyAddress, due, hold, hold_refused, note, push};
use super::metadata::MetadataSubject;
use super::pin;
use super::reason::hold::HoldReason;
use super::reason::note::{NoteKind, WayOut};
use super::reason::step::StepReason;
use super::step::{Action, HeldPart, Plan};

/// Plans the asset of one address. Returns the asset whose metadata is planned next, if any.
pub(crate) fn plan_asset<'a>(plan: &mut Plan, case: &AddressInputs<'a>) -> Option<MetadataSubject<'a>> {
    let mut open = case.sharing.open(case.address).iter();
    let wanted = case.want.content.as_ref().ok().map(|facts| facts.hash).filter(|_| case.want.pin.is_none());
    let binding = |attempt: &Attempt| {
        in_doubt::is_binding(attempt, case.record(), &case.desired.policy)
            && !in_doubt::is_overtaken(attempt, wanted, case.now)
    };
    if let Some((id, attempt)) = open.find(|(_, attempt)| binding(attempt)) {
        plan_binding(plan, case, *id, attempt);
        return None;
    }
    let known = case.record().filter(|record| !record.history.is_empty());
    if let Some(record) = known {
        if identity_changed(plan, case, record) || has_rival(plan, case) || is_contradictory(plan, case, record) {
            return None;
        }
        note_path(plan, case, record);
        note_privacy(plan, case, record);
    }
    note_grants(plan, case);
    if let (Some(pin), Some(record)) = (case.want.pin, known) {
        close_unbinding(plan, case);
        return pin::plan_pin(plan, case, record, pin);
    }
    let facts = match &case.want.content {
        Ok(facts) => facts,
        Err(problem) => {
            hold(plan, case, HoldReason::File(problem.clone()));
            return None;
        }
    };
    let Some(asset_type) = case.want.asset_type else {
        hold(plan, case, HoldReason::TypeUnknown);
        return None;
    };
    if let Some(pin) = case.want.pin {
        pin::hold_unknown(plan, case, pin);
        return None;
    }
    let (not_before, neutral) = match resting(plan, case).and_after(lost_answers(case)) {
        ContentBackoff::Held => return None,
        ContentBackoff::Until(time) => (Some(time), false),
        ContentBackoff::NeutralName => (None, true),
        ContentBackoff::No => (None, false),
    };
    close_unbinding(plan, case);
    plan_content(plan, &ReadyAddress { case: *case, asset_type, facts, not_before, neutral })
}

/// Plans a change under way before everything else: it is awaited, checked at Roblox or left to a
/// person.
fn plan_binding(plan: &mut Plan, case: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    match (&attempt.phase, &attempt.intent) {
        (Phase::Submitted(operation), _) => {
            push(plan, case, Action::Wait { attempt: id }, under_way(operation, attempt, case.now), None);
            if in_doubt::is_overdue(attempt, case.now) {
                note_overdue(plan, case, attempt);
            }
        }
        (Phase::Held, Intent::Create { .. }) => hold_for_person(plan, case, attempt),
        (_, Intent::Create { .. }) => {
            hold_in_doubt(plan, case, attempt, in_doubt::doubts(case.record(), attempt).saturating_add(1))
        }
        (_, _) => {
            push(plan, case, Action::Settle { attempt: id }, StepReason::InDoubt, None);
        }
    }
}

/// Closes changes under way that don't bind the address: they never left, or are sent again.
fn close_unbinding(plan: &mut Plan, case: &AddressInputs<'_>) {
    let mut abandoned_creates: u32 = 0;
    for (id, attempt) in case.sharing.open(case.address) {
        match &attempt.phase {
            // Nothing was handed over, so nothing happened: as if it had never begun.
            Phase::Intended => {
                plan.marks.push(Change::Advance { attempt: *id, event: PhaseEvent::NotCarriedOut });
            }
            Phase::Submitted(_) if in_doubt::is_overdue(attempt, case.now) => stop_waiting(plan, case, *id, attempt),
            Phase::HandedOver | Phase::InDoubt => {
                abandoned_creates = abandoned_creates.saturating_add(1);
                abandon(
                    plan,
                    case,
                    *id,
                    attempt,
                    in_doubt::doubts(case.record(), attempt).saturating_add(abandoned_creates),
                );
            }
            Phase::Submitted(_) | Phase::SetAside(_) | Phase::Held | Phase::Closed(_) => {}
        }
    }
}

/// The operation at Roblox, with its age where that is more than usual.
pub(super) fn under_way(operation: &OperationId, attempt: &Attempt, now: Timestamp) -> StepReason {
    let overdue = in_doubt::is_overdue(attempt, now).then(|| now.duration_since(attempt.since));
    StepReason::UnderWay { operation: operation.clone(), overdue }
}

/// Notes an operation that never ends, with the ways out.
fn note_overdue(plan: &mut Plan, case: &AddressInputs<'_>, attempt: &Attempt) {
    let (address, age) = (case.address.clone(), case.now.duration_since(attempt.since));
    note(plan, case, NoteKind::Overdue { address, age, creates: is_create(attempt) });
}

/// The ways out for a person where an operation never ends.
pub(crate) fn way_out<'a>(address: &'a Address, attempt: &Attempt) -> WayOut<'a> {
    WayOut { address, creates: is_create(attempt) }
}

const fn is_create(attempt: &Attempt) -> bool {
    matches!(attempt.intent, Intent::Create { .. })
}

/// Something newer is wanted than what an operation that never ends would make: it is no longer
/// waited for, and what it makes late is still recorded.
fn stop_waiting(plan: &mut Plan, case: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::SetAside });
    let age = case.now.duration_since(attempt.since);
    if let Some(suspected) = suspect(case.address, attempt) {
        plan.marks.push(suspected);
        let event = EventKind::SetAside { age };
        plan.marks.push(Change::log(case.address, event));
    }
    note(plan, case, NoteKind::SetAside { age });
}

/// An upload of a new asset that is given up may have made one.
pub(crate) fn suspect(address: &Address, attempt: &Attempt) -> Option<Change> {
    let (upload, content) = (attempt.intent.upload()?, attempt.intent.content()?);
    let duplicate = PossibleDuplicate { content, settled: false };
    Some(Change::AddPossibleDuplicate { address: address.clone(), upload, duplicate })
}

/// Gives up on a create that may have happened, and says that the next one may be its double.
/// `doubts` counts this one.
fn abandon(plan: &mut Plan, case: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt, doubts: u32) {
    if attempt.phase == Phase::HandedOver {
        plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::Doubt });
    }
    plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::Abandon });
    let event = EventKind::SentAgain { sent_at: sent_at(attempt) };
    let message = event.to_string();
    plan.marks.push(Change::log(case.address, event));
    plan.marks.extend(suspect(case.address, attempt));
    let input_digest = in_doubt::input_digest_of(attempt);
    let blocked = match case.record().and_then(|record| record.blocked.clone()) {
        Some(Blocked::Retrying { input_digest: known, failures, next_at, message, .. }) if known == input_digest => {
            Blocked::Retrying { input_digest, failures, doubts, next_at, message }
        }
        // A crash left it: nothing was written down of how it ended.
        Some(Blocked::Retrying { .. } | Blocked::Refused { .. }) | None => {
            Blocked::Retrying { input_digest, failures: 1, doubts, next_at: case.now, message }
        }
    };
    plan.marks.push(Change::SetBlocked { address: case.address.clone(), blocked: Some(blocked) });
    note(plan, case, NoteKind::SentAgain);
}

/// Holds an upload whose result could not be read or written down.
fn hold_for_person(plan: &mut Plan, case: &AddressInputs<'_>, attempt: &Attempt) {
    let said = match case.record().and_then(|record| record.blocked.as_ref()) {
        Some(Blocked::Retrying { message, .. }) => Some(message.clone()),
        Some(Blocked::Refused { .. }) | None => None,
    };
    hold(plan, case, HoldReason::AnswerLost { said, sent_at: sent_at(attempt) });
}

fn hold_in_doubt(plan: &mut Plan, case: &AddressInputs<'_>, attempt: &Attempt, doubts: u32) {
    hold(plan, case, HoldReason::NoAnswer { sent_at: sent_at(attempt), in_a_row: doubts });
}

/// When this machine sent a request; `None` for one from a lockfile, which has no times.
fn sent_at(attempt: &Attempt) -> Option<Timestamp> {
    (!attempt.taken_over).then_some(attempt.begun_at)
}

/// Whether an address that left has an asset of the wanted owner with the wanted bytes. Then a
/// change of the owner was undone.
fn has_old_asset(case: &AddressInputs<'_>) -> bool {
    let Ok(facts) = &case.want.content else { return false };
    let is_it = |record: &Record| {
        record.identity.creator == case.want.creator
            && record.history.iter().any(|(_, fact)| fact.content == Some(facts.hash))
    };
    let name = format!("{}@", case.address);
    let left = case.recorded.assets.iter().filter(|(address, _)| !case.desired.assets.contains_key(*address));
    left.into_iter().any(|(address, record)| address.as_str().starts_with(&name) && is_it(record))
}

/// Holds a changed type or creator, which needs a person.
fn identity_changed(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) -> bool {
    let known = &record.identity;
    if known.creator != case.want.creator {
        let (from, to, has_old) = (known.creator, case.want.creator, has_old_asset(case));
        hold(plan, case, HoldReason::CreatorChanged { from, to, has_old });
        return true;
    }
    // A file that can't be read tells no type, or only that of its extension.
    match case.want.asset_type {
        Some(wanted) if wanted != known.asset_type && case.want.content.is_ok() => {
            hold(plan, case, HoldReason::TypeChanged { from: known.asset_type, to: wanted });
            true
        }
        Some(_) | None => false,
    }
}

/// Holds two addresses that would overwrite one another's asset.
fn has_rival(plan: &mut Plan, case: &AddressInputs<'_>) -> bool {
    let Some(other) = case.sharing.rival(case.address) else { return false };
    let is_written = |address: &Address| {
        let want = case.desired.assets.get(address);
        want.is_some_and(|want| want.content.as_ref().is_err_and(FileProblem::is_being_written))
    };
    // In the middle of a branch switch, as a rule: one of the two is about to leave.
    if is_written(case.address) || is_written(other) {
        hold(plan, case, HoldReason::File(FileProblem::being_written()));
        return true;
    }
    hold(plan, case, HoldReason::SameAsset { other: other.clone() });
    true
}

/// Holds an address whose asset is contradictory. Another content of a type that can't be updated
/// gets a new asset, and needs no hold: but for an asset of which nobody knows whether it has these
/// very bytes.
fn is_contradictory(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) -> bool {
    let in_place = record.identity.asset_type.on_content_change() == ContentChange::InPlace;
    let is_new = || case.want.content.as_ref().is_ok_and(|facts| record.find_content(facts.hash).is_none());
    let used = if !in_place && case.want.pin.is_none() && is_new() {
        record.history.iter().find(|(_, fact)| fact.disputed).map(|(key, _)| key.asset_id)
    } else {
        current(case.want, record).map(|(key, _)| key.asset_id)
    };
    let Some(contradiction) = used.and_then(|asset_id| case.sharing.contradiction(asset_id)) else { return false };
    hold(plan, case, HoldReason::Contradiction(contradiction.clone()));
    true
}

/// Records that the asset comes from another file now.
fn note_path(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) {
    if record.identity.path != case.want.path {
        let identity = Identity { path: case.want.path.clone(), ..record.identity.clone() };
        plan.marks.push(Change::SetIdentity { address: case.address.clone(), identity });
    }
}

fn note_privacy(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) {
    if record.identity.privacy != case.want.privacy {
        note(plan, case, NoteKind::PrivacyIsFixed);
    }
}

fn note_grants(plan: &mut Plan, case: &AddressInputs<'_>) {
    if !case.want.grants.is_empty() {
        note(plan, case, NoteKind::GrantsIgnored);
    }
}

/// The back-off of an address's content.
enum ContentBackoff {
    No,
    Until(Timestamp),
    /// Roblox refused the name, and the policy allows a neutral one.
    NeutralName,
    Held,
}

impl ContentBackoff {
    /// Not before `time` either.
    fn and_after(self, time: Option<Timestamp>) -> Self {
        match (self, time) {
            (Self::No, Some(time)) => Self::Until(time),
            (Self::Until(known), Some(time)) => Self::Until(known.max(time)),
            (rest, _) => rest,
        }
    }
}

/// The time until which uploads with a lost answer are not sent again. Roblox may recover
/// meanwhile, and a few bad seconds cost no copies.
fn lost_answers(case: &AddressInputs<'_>) -> Option<Timestamp> {
    let open = case.sharing.open(case.address).iter();
    let lost = open.filter(|(_, attempt)| matches!(attempt.phase, Phase::HandedOver | Phase::InDoubt));
    // A clock that was put back since doesn't make it longer.
    let since =
        lost.filter(|(_, attempt)| attempt.intent.upload().is_some()).map(|(_, attempt)| attempt.since.min(case.now));
    let until = since.max()?.saturating_add(case.options.lost_answer_rest).unwrap_or(Timestamp::MAX);
    (until > case.now).then_some(until)
}

fn resting(plan: &mut Plan, case: &AddressInputs<'_>) -> ContentBackoff {
    // A digest for each address would take longer than the rest of its plan.
    let Some(blocked) = case.record().and_then(|record| record.blocked.as_ref()) else { return ContentBackoff::No };
    let wanted = input_digest::of(case.want, case.fields).asset;
    match Some(blocked) {
        Some(Blocked::Refused { input_digest, refusal_kind: RefusalKind::DisplayName, .. })
            if *input_digest == wanted && case.desired.policy.moderated_name == ModeratedName::Neutral =>
        {
            ContentBackoff::NeutralName
        }
        Some(Blocked::Refused { input_digest, action, refusal_kind, message, .. }) if *input_digest == wanted => {
            hold_refused(plan, case, HeldPart::Asset, *action, *refusal_kind, message);
            ContentBackoff::Held
        }
        other => due(other, wanted, case.now).map_or(ContentBackoff::No, ContentBackoff::Until),
    }
}
