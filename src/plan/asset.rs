//! The rules for one address, in their order: what is open, what is in the way, the pin, and then
//! the content.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::change::Change;
use crate::model::desired::DesiredAsset;
use crate::model::event::EventKind;
use crate::model::file::FileProblem;
use crate::model::ids::ContentHash;
use crate::model::phase::{Intent, IntentKind, Phase, PhaseEvent};
use crate::model::policy::ModeratedName;
use crate::model::recorded::{Attempt, AttemptId, Blocked, Identity, PossibleDuplicate, Record, RefusalKind};

use super::content::plan_content;
use super::current::current;
use super::drift;
use super::in_doubt;
use super::input_digest;
use super::inputs::{AddressInputs, ReadyAddress, due, hold, hold_refused, note, push};
use super::metadata::MetadataSubject;
use super::missing_files;
use super::pin;
use super::reason::MoveEvidence;
use super::reason::hold::HoldReason;
use super::reason::lost_upload::LostUpload;
use super::reason::note::{NoteKind, WayOut};
use super::reason::step::StepReason;
use super::step::{Action, HeldPart, Hold, Plan};
use super::unverified;

/// Plans the asset of one address. Returns the asset whose metadata is planned next, if any.
pub(crate) fn plan_asset<'a>(plan: &mut Plan, inputs: &AddressInputs<'a>) -> Option<MetadataSubject<'a>> {
    let mut open = inputs.sharing.open(inputs.address).iter();
    let wanted = inputs.want.content.as_ref().ok().map(|facts| facts.hash).filter(|_| inputs.want.pin.is_none());
    let binding = |attempt: &Attempt| {
        in_doubt::is_binding(attempt, inputs.record, &inputs.desired.policy)
            && !in_doubt::is_overtaken(attempt, wanted, inputs.now)
    };
    if let Some((id, attempt)) = open.find(|(_, attempt)| binding(attempt)) {
        plan_binding(plan, inputs, *id, attempt);
        return None;
    }
    let known = inputs.record.filter(|record| !record.history.is_empty());
    if let Some(record) = known {
        if identity_changed(plan, inputs, record) || has_rival(plan, inputs) || is_contradictory(plan, inputs, record) {
            return None;
        }
        note_path(plan, inputs, record);
        note_privacy(plan, inputs, record);
    }
    if let (Some(pin), Some(record)) = (*inputs.want.pin, known) {
        close_needless(plan, inputs);
        return pin::plan_pin(plan, inputs, record, pin);
    }
    let facts = match &inputs.want.content {
        Ok(facts) => facts,
        Err(problem) => {
            hold(plan, inputs, HoldReason::File(problem.clone()));
            return None;
        }
    };
    let Some(asset_type) = inputs.want.asset_type else {
        hold(plan, inputs, HoldReason::TypeUnknown);
        return None;
    };
    if let Some(pin) = *inputs.want.pin {
        pin::hold_unknown(plan, inputs, pin);
        return None;
    }
    let (not_before, neutral) = match resting(plan, inputs, asset_type, facts.hash).and_after(lost_answers(inputs)) {
        ContentBackoff::Held => return None,
        ContentBackoff::Until(time) => (Some(time), false),
        ContentBackoff::NeutralName => (None, true),
        ContentBackoff::No => (None, false),
    };
    close_needless(plan, inputs);
    plan_content(plan, &ReadyAddress { inputs: *inputs, asset_type, facts, not_before, neutral })
}

/// Plans a change under way before everything else: it is awaited, checked at Roblox or left to a
/// person.
fn plan_binding(plan: &mut Plan, inputs: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    match (&attempt.phase, &attempt.intent) {
        (Phase::Submitted(_), _) => {
            push(plan, inputs, Action::Wait { attempt: id }, under_way(attempt, inputs.now), None);
            if in_doubt::is_overdue(attempt, inputs.now) {
                note_overdue(plan, inputs, attempt);
            }
        }
        (Phase::Held, Intent::Create { .. }) => hold_for_person(plan, inputs, attempt),
        (_, Intent::Create { .. }) => {
            hold_in_doubt(plan, inputs, attempt, in_doubt::doubts(inputs.record, attempt).saturating_add(1))
        }
        (_, _) => {
            push(plan, inputs, Action::Settle { attempt: id }, StepReason::InDoubt, None);
        }
    }
}

/// Closes changes under way that nothing waits for. A lost upload that the address may still need
/// stays open until [`close_lost`].
fn close_needless(plan: &mut Plan, inputs: &AddressInputs<'_>) {
    for (id, attempt) in inputs.sharing.open(inputs.address) {
        match &attempt.phase {
            // Nothing was handed over, so nothing happened: as if it had never begun.
            Phase::Intended => {
                plan.marks.push(Change::Advance { attempt: *id, event: PhaseEvent::NotCarriedOut });
            }
            Phase::Submitted(_) if in_doubt::is_overdue(attempt, inputs.now) => {
                stop_waiting(plan, inputs, *id, attempt)
            }
            _ if in_doubt::is_needless(attempt, inputs.record) => leave_in_doubt(plan, inputs, *id, attempt),
            Phase::HandedOver
            | Phase::InDoubt
            | Phase::Submitted(_)
            | Phase::SetAside(_)
            | Phase::Held
            | Phase::Closed(_) => {}
        }
    }
}

/// Closes uploads with a lost answer, once the steps of the address say what comes in their place: a
/// new upload may be the second copy, or the address has an asset without one. While the address is
/// held or waits, the uploads stay in doubt, and their count goes on.
pub(crate) fn close_lost(plan: &mut Plan, inputs: &AddressInputs<'_>) {
    let lost = |attempt: &Attempt| {
        matches!(attempt.phase, Phase::HandedOver | Phase::InDoubt) && !in_doubt::is_needless(attempt, inputs.record)
    };
    let mut lost = inputs.sharing.open(inputs.address).iter().filter(|(_, attempt)| lost(attempt)).peekable();
    if lost.peek().is_none() {
        return;
    }
    let steps = plan.steps.iter().filter(|step| step.address == *inputs.address);
    let actions: Vec<&Action> = steps.map(|step| &step.action).collect();
    let is_sent_again = actions.iter().any(|action| action.creates_asset());
    let is_held = |hold: &Hold| hold.part == HeldPart::Asset && hold.address == *inputs.address;
    let waits = |action: &&Action| {
        matches!(action, Action::Wait { .. } | Action::Settle { .. } | Action::Share { key: None, .. })
    };
    if !is_sent_again && (plan.held.iter().any(is_held) || actions.iter().any(waits)) {
        return;
    }
    for ((id, attempt), nth) in lost.zip(1_u32..) {
        if is_sent_again {
            let doubts = in_doubt::doubts(inputs.record, attempt).saturating_add(nth);
            send_again(plan, inputs, *id, attempt, doubts);
        } else {
            leave_in_doubt(plan, inputs, *id, attempt);
        }
    }
}

/// Roblox works on it, for how long where that is more than usual.
pub(super) fn under_way(attempt: &Attempt, now: Timestamp) -> StepReason {
    let overdue = in_doubt::is_overdue(attempt, now).then(|| now.duration_since(attempt.since));
    StepReason::UnderWay { sent_at: sent_at(attempt), overdue }
}

/// Notes an operation that never ends, with the ways out.
fn note_overdue(plan: &mut Plan, inputs: &AddressInputs<'_>, attempt: &Attempt) {
    let (address, age) = (inputs.address.clone(), inputs.now.duration_since(attempt.since));
    note(plan, inputs, NoteKind::Overdue { address, age, creates: created(attempt, Some(inputs.want)) });
}

/// The ways out for a person where an operation never ends.
pub(crate) fn way_out<'a>(address: &'a Address, attempt: &Attempt, want: Option<&DesiredAsset>) -> WayOut<'a> {
    WayOut { address, creates: created(attempt, want) }
}

fn created(attempt: &Attempt, want: Option<&DesiredAsset>) -> Option<LostUpload> {
    matches!(attempt.intent, Intent::Create { .. }).then(|| LostUpload::of(attempt, want))
}

/// Something newer is wanted than what an operation that never ends would make: it is no longer
/// waited for, and what it makes late is still recorded.
fn stop_waiting(plan: &mut Plan, inputs: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::SetAside });
    let age = inputs.now.duration_since(attempt.since);
    if let Some(suspected) = suspect(inputs.address, attempt) {
        plan.marks.push(suspected);
        let event = EventKind::SetAside { age };
        plan.marks.push(Change::log(inputs.address, event));
    }
    note(plan, inputs, NoteKind::SetAside { age });
}

/// An upload of a new asset that is given up may have made one.
pub(crate) fn suspect(address: &Address, attempt: &Attempt) -> Option<Change> {
    let (upload, content) = (attempt.intent.upload()?, attempt.intent.content()?);
    let duplicate = PossibleDuplicate { content, settled: false };
    Some(Change::AddPossibleDuplicate { address: address.clone(), upload, duplicate })
}

/// Closes an upload that may have arrived, and whose asset ID is unknown.
fn abandon(plan: &mut Plan, inputs: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt, event: EventKind) {
    if attempt.phase == Phase::HandedOver {
        plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::Doubt });
    }
    plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::Abandon });
    plan.marks.push(Change::log(inputs.address, event));
    plan.marks.extend(suspect(inputs.address, attempt));
}

/// Gives up on a create that may have happened, and says that the next one may be its double.
/// `doubts` counts this one.
fn send_again(plan: &mut Plan, inputs: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt, doubts: u32) {
    let event = EventKind::SentAgain { sent_at: sent_at(attempt) };
    let message = event.to_string();
    abandon(plan, inputs, id, attempt, event);
    let input_digest = attempt.intent.input_digest();
    let blocked = match inputs.record.and_then(|record| record.blocked.as_deref().cloned()) {
        Some(Blocked::Retrying { input_digest: known, failures, next_at, message, .. }) if known == input_digest => {
            Blocked::Retrying { input_digest, failures, doubts, next_at, message }
        }
        // A crash left it: nothing was written down of how it ended.
        Some(Blocked::Retrying { .. } | Blocked::Refused { .. }) | None => {
            Blocked::Retrying { input_digest, failures: 1, doubts, next_at: inputs.now, message }
        }
    };
    plan.marks.push(Change::SetBlocked { address: inputs.address.clone(), blocked: Some(blocked) });
    note(plan, inputs, NoteKind::SentAgain);
}

/// Gives up on a create that may have happened and that nothing waits for: the address has an asset
/// without it. The create may have made a second copy.
fn leave_in_doubt(plan: &mut Plan, inputs: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    abandon(plan, inputs, id, attempt, EventKind::MayBeTwice { sent_at: sent_at(attempt) });
    let blocked = inputs.record.and_then(|record| record.blocked.as_deref());
    if matches!(blocked, Some(Blocked::Retrying { .. })) {
        plan.marks.push(Change::SetBlocked { address: inputs.address.clone(), blocked: None });
    }
    note(plan, inputs, NoteKind::MayBeTwice);
}

/// Holds an upload whose result could not be read or written down.
fn hold_for_person(plan: &mut Plan, inputs: &AddressInputs<'_>, attempt: &Attempt) {
    let said = match inputs.record.and_then(|record| record.blocked.as_deref()) {
        Some(Blocked::Retrying { message, .. }) => Some(message.clone()),
        Some(Blocked::Refused { .. }) | None => None,
    };
    hold(plan, inputs, HoldReason::AnswerLost { said, upload: LostUpload::of(attempt, Some(inputs.want)) });
}

fn hold_in_doubt(plan: &mut Plan, inputs: &AddressInputs<'_>, attempt: &Attempt, doubts: u32) {
    let upload = LostUpload::of(attempt, Some(inputs.want));
    hold(plan, inputs, HoldReason::NoAnswer { upload, in_a_row: doubts });
}

/// When this machine sent a request; `None` for one from a lockfile, which has no times.
fn sent_at(attempt: &Attempt) -> Option<Timestamp> {
    (!attempt.taken_over).then_some(attempt.begun_at)
}

/// Whether an address that left has an asset of the wanted owner with the wanted bytes. Then a
/// change of the owner was undone.
fn has_old_asset(inputs: &AddressInputs<'_>) -> bool {
    let Ok(facts) = &inputs.want.content else { return false };
    let is_it = |record: &Record| {
        record.identity.creator == inputs.want.creator
            && record.history.iter().any(|(_, fact)| fact.content == Some(facts.hash))
    };
    let name = format!("{}@", inputs.address);
    let left = inputs.recorded.assets.iter().filter(|(address, _)| !inputs.desired.assets.contains_key(*address));
    left.into_iter().any(|(address, record)| address.as_str().starts_with(&name) && is_it(record))
}

/// Holds a changed type or creator, which needs a person.
fn identity_changed(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record) -> bool {
    if let Some(reason) = unverified::hold(inputs.recorded, inputs.want, record) {
        hold(plan, inputs, reason);
        return true;
    }
    let known = &record.identity;
    if known.creator != inputs.want.creator {
        // Its assets can't be told apart by owner before it is known what came of this.
        let mut open = inputs.sharing.open(inputs.address).iter();
        let is_lost = |attempt: &Attempt| {
            matches!(attempt.phase, Phase::HandedOver | Phase::InDoubt | Phase::Held)
                && attempt.intent.upload().is_some()
        };
        if let Some((_, attempt)) = open.find(|(_, attempt)| is_lost(attempt)) {
            if attempt.phase == Phase::Held {
                hold_for_person(plan, inputs, attempt);
            } else {
                hold_in_doubt(plan, inputs, attempt, in_doubt::doubts(inputs.record, attempt).saturating_add(1));
            }
            return true;
        }
        let (from, to, has_old) = (known.creator, inputs.want.creator, has_old_asset(inputs));
        hold(plan, inputs, HoldReason::CreatorChanged { from, to, has_old });
        return true;
    }
    // A file that can't be read tells no type, or only that of its extension.
    match inputs.want.asset_type {
        Some(wanted) if wanted != known.asset_type && inputs.want.content.is_ok() => {
            hold(plan, inputs, HoldReason::TypeChanged { from: known.asset_type, to: wanted });
            true
        }
        Some(_) | None => false,
    }
}

/// Holds two addresses that would overwrite one another's asset.
fn has_rival(plan: &mut Plan, inputs: &AddressInputs<'_>) -> bool {
    let Some(other) = inputs.sharing.rival(inputs.address) else { return false };
    let is_written = |address: &Address| {
        let want = inputs.desired.assets.get(address);
        want.is_some_and(|want| want.content.as_ref().is_err_and(FileProblem::is_being_written))
    };
    // In the middle of a branch switch, as a rule: one of the two is about to leave.
    if is_written(inputs.address) || is_written(other) {
        hold(plan, inputs, HoldReason::File(FileProblem::being_written()));
        return true;
    }
    let reason = match (&inputs.want.content, inputs.desired.assets.get(other)) {
        (Err(problem), _) if inputs.want.is_missing() => HoldReason::File(problem.clone()),
        (_, Some(want)) if want.is_missing() => {
            missing_files::reason(inputs.want, (other, want), rival_evidence(inputs, other))
        }
        _ => HoldReason::SameAsset { other: other.clone() },
    };
    hold(plan, inputs, reason);
    true
}

/// By what an address is recognized as `other`, which has the same asset.
fn rival_evidence(inputs: &AddressInputs<'_>, other: &Address) -> MoveEvidence {
    let same = inputs.recorded.assets.get(other).filter(|record| record.identity.path == inputs.want.path);
    same.map_or(MoveEvidence::Content, |_| MoveEvidence::File)
}

/// Holds an address whose asset is contradictory. Another content of a type that can't be updated
/// gets a new asset, and needs no hold: but for an asset that may or may not have these very
/// bytes.
fn is_contradictory(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record) -> bool {
    let in_place = record.identity.asset_type.on_content_change() == ContentChange::InPlace;
    let is_new = || inputs.want.content.as_ref().is_ok_and(|facts| record.find_content(facts.hash).is_none());
    let used = if !in_place && inputs.want.pin.is_none() && is_new() {
        record.history.iter().find(|(_, fact)| fact.disputed).map(|(key, _)| key.asset_id)
    } else {
        current(inputs.want, record).map(|(key, _)| key.asset_id)
    };
    let Some(contradiction) = used.and_then(|asset_id| inputs.sharing.contradiction(asset_id)) else { return false };
    hold(plan, inputs, HoldReason::Contradiction(contradiction.clone()));
    true
}

/// Records that the asset comes from another file now. While there is no such file, the earlier one
/// is still its own.
fn note_path(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record) {
    if record.identity.path != inputs.want.path && !inputs.want.is_missing() {
        let identity = Identity { path: inputs.want.path.clone(), ..record.identity.clone() };
        plan.marks.push(Change::SetIdentity { address: inputs.address.clone(), identity });
        // A move says so itself.
        if !inputs.moves.taken.contains_key(inputs.address) {
            let (from, to) = (record.identity.path.clone(), inputs.want.path.clone());
            note(plan, inputs, NoteKind::FileRenamed { from, to });
        }
    }
}

fn note_privacy(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record) {
    if record.identity.privacy != inputs.want.privacy {
        note(plan, inputs, NoteKind::PrivacyIsFixed);
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
fn lost_answers(inputs: &AddressInputs<'_>) -> Option<Timestamp> {
    let open = inputs.sharing.open(inputs.address).iter();
    let lost = open.filter(|(_, attempt)| matches!(attempt.phase, Phase::HandedOver | Phase::InDoubt));
    // A clock that was put back since doesn't make it longer.
    let since =
        lost.filter(|(_, attempt)| attempt.intent.upload().is_some()).map(|(_, attempt)| attempt.since.min(inputs.now));
    let until = since.max()?.saturating_add(inputs.options.lost_answer_rest).unwrap_or(Timestamp::MAX);
    (until > inputs.now).then_some(until)
}

/// Whether another machine did since what Roblox refused here, and its lockfile came.
fn is_done_since(inputs: &AddressInputs<'_>, refused: IntentKind, asset_type: AssetType, hash: ContentHash) -> bool {
    if refused == IntentKind::Restore {
        return inputs.record.is_some_and(|record| drift::is_restored(inputs, record));
    }
    let is_upload = matches!(refused, IntentKind::Create | IntentKind::Replace | IntentKind::UpdateContent);
    let known = inputs.record.filter(|_| is_upload).and_then(|record| record.current(asset_type, hash));
    known.is_some_and(|(key, fact)| !fact.shared || !inputs.sharing.must_split(inputs.fields, key.asset_id))
}

fn resting(plan: &mut Plan, inputs: &AddressInputs<'_>, asset_type: AssetType, hash: ContentHash) -> ContentBackoff {
    // A digest for each address would take longer than the rest of its plan.
    let Some(blocked) = inputs.record.and_then(|record| record.blocked.as_deref()) else { return ContentBackoff::No };
    let wanted = input_digest::of(inputs.want, inputs.fields).asset;
    match Some(blocked) {
        Some(Blocked::Refused { input_digest, action, .. })
            if *input_digest == wanted && is_done_since(inputs, *action, asset_type, hash) =>
        {
            plan.marks.push(Change::SetBlocked { address: inputs.address.clone(), blocked: None });
            ContentBackoff::No
        }
        Some(Blocked::Refused { input_digest, refusal_kind: RefusalKind::DisplayName, .. })
            if *input_digest == wanted && inputs.desired.policy.moderated_name == ModeratedName::Neutral =>
        {
            ContentBackoff::NeutralName
        }
        Some(Blocked::Refused { input_digest, action, refusal_kind, message, .. }) if *input_digest == wanted => {
            hold_refused(plan, inputs.address, HeldPart::Asset, *action, *refusal_kind, message);
            ContentBackoff::Held
        }
        other => due(other, wanted, inputs.now).map_or(ContentBackoff::No, ContentBackoff::Until),
    }
}
