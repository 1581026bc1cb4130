//! The rules for one address, in their order: what is open, what is in the way, the pin, and then
//! the content.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::file::FileFacts;
use crate::model::file::FileProblem;
use crate::model::ids::{AssetId, OperationId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Intent, IntentKind, Phase, PhaseEvent};
use crate::model::policy::ModeratedName;
use crate::model::recorded::{
    Attempt, AttemptId, Blocked, Identity, PossibleDuplicate, Record, Recorded, RefusalKind, Retirement,
};

use super::content::plan_content;
use super::contradiction;
use super::in_doubt;
use super::input_digest;
use super::metadata::MetadataSubject;
use super::moves::Moves;
use super::pin;
use super::reason::hold::HoldReason;
use super::reason::note::{NoteKind, WayOut};
use super::reason::step::StepReason;
use super::sharing::Sharing;
use super::step::{Action, HeldPart, Hold, Note, Plan, PlanOptions, Step};

/// One address with all that its plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressInputs<'a> {
    /// The address.
    pub address: &'a Address,
    /// Its entry in the manifest.
    pub want: &'a DesiredAsset,
    /// The wanted metadata.
    pub fields: &'a FieldDigests,
    /// The record of everything.
    pub recorded: &'a Recorded,
    /// What Macadam archived, for whichever address.
    pub archivings: &'a BTreeMap<AssetId, Retirement>,
    /// The sharing between addresses.
    pub sharing: &'a Sharing<'a>,
    /// The moves between addresses, certain and possible ones.
    pub moves: &'a Moves,
    /// Everything that the manifest wants.
    pub desired: &'a Desired,
    /// The options of this run.
    pub options: &'a PlanOptions,
    /// The time.
    pub now: Timestamp,
}

/// An address whose file can be used.
#[derive(Clone, Copy)]
pub(super) struct ReadyAddress<'a> {
    pub(super) case: AddressInputs<'a>,
    pub(super) asset_type: AssetType,
    pub(super) facts: &'a FileFacts,
    pub(super) not_before: Option<Timestamp>,
    /// Roblox refused the display name, and the policy is to upload under a neutral one.
    pub(super) neutral: bool,
}

impl<'a> AddressInputs<'a> {
    /// The record of the address.
    pub(super) fn record(&self) -> Option<&'a Record> {
        self.recorded.assets.get(self.address)
    }
}

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
        if identity_changed(plan, case, record) || has_rival(plan, case) || contradiction::holds(plan, case, record) {
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
    let wanted = input_digest::of(case.want, case.fields).asset;
    match case.record().and_then(|record| record.blocked.as_ref()) {
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

/// The time of the next try after a failure; `None`: now.
pub(super) fn due(blocked: Option<&Blocked>, wanted: FieldDigest, now: Timestamp) -> Option<Timestamp> {
    match blocked {
        Some(Blocked::Retrying { input_digest, next_at, .. }) if *input_digest == wanted && *next_at > now => {
            Some(*next_at)
        }
        Some(Blocked::Refused { .. } | Blocked::Retrying { .. }) | None => None,
    }
}

/// Holds a change that Roblox refused, as long as nothing of it has changed.
pub(super) fn hold_refused(
    plan: &mut Plan,
    case: &AddressInputs<'_>,
    part: HeldPart,
    action: IntentKind,
    refusal_kind: RefusalKind,
    message: &str,
) {
    let reason = HoldReason::Refused { action, refusal_kind, message: message.to_owned() };
    plan.held.push(Hold { address: case.address.clone(), part, reason });
}

pub(super) fn push(
    plan: &mut Plan,
    case: &AddressInputs<'_>,
    action: Action,
    reason: StepReason,
    not_before: Option<Timestamp>,
) {
    plan.steps.push(Step { address: case.address.clone(), action, reason, after: Vec::new(), not_before });
}

/// Records the current asset on a machine that has only the lockfile.
pub(super) fn point(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record, asset_id: AssetId) {
    if record.points_to.is_none() {
        plan.marks.push(Change::SetCurrentAsset { address: case.address.clone(), asset_id });
    }
}

pub(super) fn hold(plan: &mut Plan, case: &AddressInputs<'_>, reason: HoldReason) {
    plan.held.push(Hold { address: case.address.clone(), part: HeldPart::Asset, reason });
}

pub(super) fn note(plan: &mut Plan, case: &AddressInputs<'_>, kind: NoteKind) {
    plan.notes.push(Note { address: Some(case.address.clone()), kind });
}
