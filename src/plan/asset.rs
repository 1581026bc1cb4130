//! The rules for one address, in their order: what is open, what is in the way, the pin, and then
//! the content.

use jiff::{SignedDuration, Timestamp};

use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::change::{Change, Event};
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::file::FileFacts;
use crate::model::file::FileProblem;
use crate::model::ids::{AssetId, OperationId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::policy::ModeratedName;
use crate::model::recorded::{Attempt, AttemptId, Blocked, Identity, PossibleDuplicate, Record, Recorded, RefusalKind};

use super::content::plan_content;
use super::contradiction;
use super::in_doubt;
use super::input_digest;
use super::metadata::MetadataSubject;
use super::moves::Moves;
use super::pin;
use super::rule::Rule;
use super::sharing::Sharing;
use super::step::{Action, HeldPart, Hold, HoldKind, Note, Plan, PlanOptions, Step};

/// One address with all that its plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressInputs<'a> {
    /// The address.
    pub address: &'a Address,
    /// What is wanted of it.
    pub want: &'a DesiredAsset,
    /// What is wanted of its metadata.
    pub fields: &'a FieldDigests,
    /// What is known of everything.
    pub recorded: &'a Recorded,
    /// Who shares with whom.
    pub sharing: &'a Sharing<'a>,
    /// Who took over from whom, and who may have.
    pub moves: &'a Moves,
    /// What is wanted of everything.
    pub desired: &'a Desired,
    /// What a person asks of this run.
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
    /// What is known of the address.
    pub(super) fn record(&self) -> Option<&'a Record> {
        self.recorded.assets.get(self.address)
    }
}

/// Plans the asset of one address, and says whose metadata is to be planned then, if any.
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
            hold(plan, case, HoldKind::Failed, &problem.message, problem.hint.clone());
            return None;
        }
    };
    let Some(asset_type) = case.want.asset_type else {
        hold(plan, case, HoldKind::Failed, "nothing tells its type", Some("set `type`".to_owned()));
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

/// A change under way that is to be waited for, looked into or decided by a person comes before
/// everything else.
fn plan_binding(plan: &mut Plan, case: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    match (&attempt.phase, &attempt.intent) {
        (Phase::Submitted(operation), _) => {
            let reason = working(operation, attempt, case.now);
            push(plan, case, Action::Wait { attempt: id }, Rule::UnderWay, reason, None);
            if in_doubt::is_overdue(attempt, case.now) {
                note_overdue(plan, case, attempt);
            }
        }
        (Phase::Held, Intent::Create { .. }) => hold_for_person(plan, case, attempt),
        (_, Intent::Create { .. }) => {
            hold_in_doubt(plan, case, attempt, in_doubt::doubts(case.record(), attempt).saturating_add(1))
        }
        (_, _) => {
            let reason = "the outcome of an earlier request is unknown: looking at the remote".to_owned();
            push(plan, case, Action::Settle { attempt: id }, Rule::InDoubt, reason, None);
        }
    }
}

/// What is under way and binds nobody is closed: it never left, or it is sent again.
fn close_unbinding(plan: &mut Plan, case: &AddressInputs<'_>) {
    let mut abandoned_creates: u32 = 0;
    for (id, attempt) in case.sharing.open(case.address) {
        match &attempt.phase {
            // Nothing was handed over, so nothing happened: as if it had never begun.
            Phase::Intended => {
                plan.marks.push(Change::Advance { attempt: *id, event: PhaseEvent::NotCarriedOut });
            }
            Phase::Submitted(_) if in_doubt::is_overdue(attempt, case.now) => set_aside(plan, case, *id, attempt),
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

/// What Roblox works on, and for how long where that is more than usual.
pub(super) fn working(operation: &OperationId, attempt: &Attempt, now: Timestamp) -> String {
    let age = now.duration_since(attempt.since);
    match in_doubt::is_overdue(attempt, now) {
        true => format!("Roblox has been working on operation {operation} for {}", spelled(age)),
        false => format!("Roblox works on operation {operation}"),
    }
}

/// An age in the two largest units that matter.
fn spelled(age: SignedDuration) -> String {
    match (age.as_hours() / 24, age.as_hours() % 24, age.as_mins() % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// An operation that never ends has a way out, and whoever looks is told of it.
fn note_overdue(plan: &mut Plan, case: &AddressInputs<'_>, attempt: &Attempt) {
    let age = spelled(case.now.duration_since(attempt.since));
    let hint = way_out(case.address, attempt);
    note(
        plan,
        case,
        &format!("Roblox has been processing its upload for {age}, longer than any that succeeds: {hint}"),
    );
}

/// What a person can do about an operation that never ends.
pub(crate) fn way_out(address: &Address, attempt: &Attempt) -> String {
    match attempt.intent {
        Intent::Create { .. } => format!(
            "change the file, or look at create.roblox.com: if the asset is there, `macadam resolve {address} --asset-id N`, else `--recreate`"
        ),
        _ => format!("change the file, or send it again with `macadam resolve {address} --recreate`"),
    }
}

/// Something newer is wanted than what an operation that never ends would make: it is no longer
/// waited for, and what it makes late is still recorded.
fn set_aside(plan: &mut Plan, case: &AddressInputs<'_>, id: AttemptId, attempt: &Attempt) {
    plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::SetAside });
    let age = spelled(case.now.duration_since(attempt.since));
    let message = format!("Roblox has been processing an older upload of it for {age}, which is waited for no longer");
    if let Some(suspected) = suspect(case.address, attempt) {
        plan.marks.push(suspected);
        let event = Event { kind: Event::POSSIBLE_DUPLICATE, message: message.clone() };
        plan.marks.push(Change::LogEvent { address: Some(case.address.clone()), event });
    }
    note(plan, case, &message);
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
    let which = match attempt.taken_over {
        true => "an upload from another machine".to_owned(),
        false => format!("the create of {}", attempt.begun_at),
    };
    let message = format!("{which} has no known outcome; it is sent again and may exist twice");
    let event = Event { kind: Event::POSSIBLE_DUPLICATE, message: message.clone() };
    plan.marks.push(Change::LogEvent { address: Some(case.address.clone()), event });
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
    note(plan, case, "the outcome of an earlier create is unknown; it is sent again and may exist twice");
}

/// Something came of an upload that could not be read or written down.
fn hold_for_person(plan: &mut Plan, case: &AddressInputs<'_>, attempt: &Attempt) {
    let said = match case.record().and_then(|record| record.blocked.as_ref()) {
        Some(Blocked::Retrying { message, .. }) => format!(" ({message})"),
        Some(Blocked::Refused { .. }) | None => String::new(),
    };
    // A lockfile has no times.
    let when = match attempt.taken_over {
        true => "from another machine".to_owned(),
        false => format!("at {}", attempt.begun_at.strftime("%Y-%m-%d %H:%M UTC")),
    };
    let reason = format!("Roblox has probably made its asset, but not told which{said}; it was uploaded {when}");
    let address = case.address;
    let hint = format!(
        "look for it at create.roblox.com, then `macadam resolve {address} --asset-id N`, or `--recreate` if it isn't there"
    );
    hold(plan, case, HoldKind::Held, &reason, Some(hint));
}

fn hold_in_doubt(plan: &mut Plan, case: &AddressInputs<'_>, attempt: &Attempt, doubts: u32) {
    let row = if doubts > 1 { format!(", the last of {doubts} in a row,") } else { String::new() };
    let which = match attempt.taken_over {
        true => "an upload of it from another machine".to_owned(),
        false => format!("its create of {}", attempt.begun_at),
    };
    let reason = format!("nobody knows whether {which}{row} was carried out");
    let address = case.address;
    let hint = format!(
        "look for it at create.roblox.com, then `macadam resolve {address} --asset-id N`, or `--recreate` if it isn't there"
    );
    hold(plan, case, HoldKind::Held, &reason, Some(hint));
}

/// Whether an address that left has an asset of the wanted owner for the wanted bytes: a change of
/// the owner that is taken back.
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

/// A changed type or creator needs a person.
fn identity_changed(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) -> bool {
    let known = &record.identity;
    let mut changed = |what: &str, from: String, to: String, hint: String| {
        hold(plan, case, HoldKind::Held, &format!("its {what} changed from {from} to {to}"), Some(hint));
        true
    };
    if known.creator != case.want.creator {
        let hint = match has_old_asset(case) {
            true => "`macadam recreate --creator` takes back the asset that it had for this owner",
            false => "set it back, or `macadam recreate --creator` to make new assets for the new owner",
        };
        let hint = hint.to_owned();
        return changed("creator", known.creator.to_string(), case.want.creator.to_string(), hint);
    }
    // A file that can't be read tells no type, or only that of its extension.
    match case.want.asset_type {
        Some(wanted) if wanted != known.asset_type && case.want.content.is_ok() => {
            let hint = format!("set it back, or `macadam forget {}` to make a new asset", case.address);
            changed("type", known.asset_type.to_string(), wanted.to_string(), hint)
        }
        Some(_) | None => false,
    }
}

/// Two addresses would put their files over one another.
fn has_rival(plan: &mut Plan, case: &AddressInputs<'_>) -> bool {
    let Some(other) = case.sharing.rival(case.address) else { return false };
    let is_written = |address: &Address| {
        let want = case.desired.assets.get(address);
        want.is_some_and(|want| want.content.as_ref().is_err_and(FileProblem::is_being_written))
    };
    // In the middle of a branch switch, as a rule: one of the two is about to leave.
    if is_written(case.address) || is_written(other) {
        let FileProblem { message, hint } = FileProblem::being_written();
        hold(plan, case, HoldKind::Failed, &message, hint);
        return true;
    }
    let hint = "`macadam forget` the one that it is not, or take that out of the manifest".to_owned();
    hold(plan, case, HoldKind::Held, &format!("its asset is that of `{other}` as well"), Some(hint));
    true
}

/// The same asset from another file.
fn note_path(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) {
    if record.identity.path != case.want.path {
        let identity = Identity { path: case.want.path.clone(), ..record.identity.clone() };
        plan.marks.push(Change::SetIdentity { address: case.address.clone(), identity });
    }
}

fn note_privacy(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) {
    if record.identity.privacy != case.want.privacy {
        note(plan, case, "`privacy` is chosen at creation: changing it here has no effect");
    }
}

fn note_grants(plan: &mut Plan, case: &AddressInputs<'_>) {
    if !case.want.grants.is_empty() {
        note(plan, case, "grants checked, but not carried out by this version");
    }
}

/// Whether the content of an address rests.
enum ContentBackoff {
    No,
    Until(Timestamp),
    /// The name was refused, and the policy knows a way on.
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

/// Until when uploads whose answers were lost are left alone: Roblox may recover and answer others
/// meanwhile, and is not fed copies in a few bad seconds.
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
            hold_refused(plan, case, HeldPart::Asset, action, *refusal_kind, message);
            ContentBackoff::Held
        }
        other => due(other, wanted, case.now).map_or(ContentBackoff::No, ContentBackoff::Until),
    }
}

/// When what failed is due again; `None`: now.
pub(super) fn due(blocked: Option<&Blocked>, wanted: FieldDigest, now: Timestamp) -> Option<Timestamp> {
    match blocked {
        Some(Blocked::Retrying { input_digest, next_at, .. }) if *input_digest == wanted && *next_at > now => {
            Some(*next_at)
        }
        Some(Blocked::Refused { .. } | Blocked::Retrying { .. }) | None => None,
    }
}

/// Roblox said no, and nothing of what it said no to has changed.
pub(super) fn hold_refused(
    plan: &mut Plan,
    case: &AddressInputs<'_>,
    part: HeldPart,
    action: &str,
    refusal_kind: RefusalKind,
    message: &str,
) {
    let hint = match refusal_kind {
        RefusalKind::DisplayName => "set another `display_name`, or `policy.moderated_name = \"neutral\"`".to_owned(),
        RefusalKind::Other => format!("change the file or its metadata, or `macadam retry {}`", case.address),
    };
    let reason = format!("Roblox refused to {action} it: {message}");
    plan.held.push(Hold { address: case.address.clone(), kind: HoldKind::Failed, part, reason, hint: Some(hint) });
}

pub(super) fn push(
    plan: &mut Plan,
    case: &AddressInputs<'_>,
    action: Action,
    rule: Rule,
    reason: String,
    not_before: Option<Timestamp>,
) {
    plan.steps.push(Step { address: case.address.clone(), action, reason, rule, after: Vec::new(), not_before });
}

/// A machine that has only the lockfile learns which asset the address is.
pub(super) fn point(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record, asset_id: AssetId) {
    if record.points_to.is_none() {
        plan.marks.push(Change::SetCurrentAsset { address: case.address.clone(), asset_id });
    }
}

pub(super) fn hold(plan: &mut Plan, case: &AddressInputs<'_>, kind: HoldKind, reason: &str, hint: Option<String>) {
    let (address, reason) = (case.address.clone(), reason.to_owned());
    plan.held.push(Hold { address, kind, part: HeldPart::Asset, reason, hint });
}

pub(super) fn note(plan: &mut Plan, case: &AddressInputs<'_>, text: &str) {
    plan.notes.push(Note { address: Some(case.address.clone()), text: text.to_owned() });
}
