//! The rules for one address, in their order: what is open, what is in the way, the content, the metadata.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::change::{Change, Event};
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest;
use crate::model::file::FileFacts;
use crate::model::history::{Origin, RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::metadata::{DisplayName, FieldDigests};
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Identity, Record, Recorded, Trouble};

use super::doubt;
use super::metadata::{self, MetadataChange};
use super::sharing::{Sharing, Source};
use super::step::{Action, Hold, HoldKind, NewAsset, Note, Plan, Step};

/// One address with all that its plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The address.
    pub address: &'a Address,
    /// What is wanted of it.
    pub want: &'a DesiredAsset,
    /// What is known of everything.
    pub recorded: &'a Recorded,
    /// Who shares with whom.
    pub sharing: &'a Sharing<'a>,
    /// What is wanted of everything.
    pub desired: &'a Desired,
    /// The time.
    pub now: Timestamp,
}

/// An address whose file can be used.
struct Ready<'a> {
    case: &'a Case<'a>,
    asset_type: AssetType,
    facts: &'a FileFacts,
    not_before: Option<Timestamp>,
}

/// Plans one address.
pub fn plan_asset(plan: &mut Plan, case: &Case<'_>) {
    let mut open = case.sharing.open(case.address).iter();
    if let Some((id, attempt)) =
        open.find(|(_, attempt)| doubt::is_binding(attempt, record(case), &case.desired.policy))
    {
        return plan_binding(plan, case, *id, attempt);
    }
    let facts = match &case.want.content {
        Ok(facts) => facts,
        Err(problem) => return hold(plan, case, HoldKind::Failed, &problem.message, problem.hint.clone()),
    };
    let Some(asset_type) = case.want.asset_type else {
        return hold(plan, case, HoldKind::Failed, "nothing tells its type", Some("set `type`".to_owned()));
    };
    if identity_changed(plan, case, asset_type) {
        return;
    }
    note_privacy(plan, case);
    note_not_yet_carried_out(plan, case);
    if case.want.pin.is_some() {
        return note(plan, case, "is pinned: its file is left alone; pins are not carried out by this version");
    }
    let not_before = match resting(plan, case, facts.hash) {
        Rest::Held => return,
        Rest::Until(time) => Some(time),
        Rest::No => None,
    };
    close_unbinding(plan, case);
    plan_content(plan, &Ready { case, asset_type, facts, not_before });
}

/// A change under way that is to be waited for, looked into or decided by a person comes before everything else.
fn plan_binding(plan: &mut Plan, case: &Case<'_>, id: AttemptId, attempt: &Attempt) {
    match (&attempt.phase, &attempt.intent) {
        (Phase::Submitted(operation), _) => {
            let reason = format!("Roblox works on operation {operation}");
            push(plan, case, Action::Wait { attempt: id }, reason, None);
        }
        (_, Intent::Create { .. }) => {
            hold_in_doubt(plan, case, attempt, doubt::doubts(record(case), attempt).saturating_add(1))
        }
        (_, _) => {
            let reason = "the outcome of an earlier request is unknown: looking at the remote".to_owned();
            push(plan, case, Action::Settle { attempt: id }, reason, None);
        }
    }
}

/// What is under way and binds nobody is closed: it never left, or it is sent again.
fn close_unbinding(plan: &mut Plan, case: &Case<'_>) {
    for (id, attempt) in case.sharing.open(case.address) {
        match &attempt.phase {
            // Nothing was handed over, so nothing happened: as if it had never begun.
            Phase::Intended => {
                plan.marks.push(Change::Advance { attempt: *id, event: PhaseEvent::NotCarriedOut });
            }
            Phase::HandedOver | Phase::InDoubt => {
                abandon(plan, case, *id, attempt, doubt::doubts(record(case), attempt).saturating_add(1));
            }
            Phase::Submitted(_) | Phase::Closed(_) => {}
        }
    }
}

/// Gives up on a create that may have happened, and says that the next one may be its double. `doubts` counts this one.
fn abandon(plan: &mut Plan, case: &Case<'_>, id: AttemptId, attempt: &Attempt, doubts: u32) {
    if attempt.phase == Phase::HandedOver {
        plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::Doubt });
    }
    plan.marks.push(Change::Advance { attempt: id, event: PhaseEvent::Abandon });
    let message =
        format!("the create of {} has no known outcome; it is sent again and may exist twice", attempt.begun_at);
    let event = Event { kind: "possible_duplicate", message: message.clone() };
    plan.marks.push(Change::Tell { address: Some(case.address.clone()), event });
    let subject = doubt::subject_of(attempt);
    let trouble = match record(case).and_then(|record| record.trouble.clone()) {
        Some(Trouble::Retrying { subject: known, failures, next_at, message, .. }) if known == subject => {
            Trouble::Retrying { subject, failures, doubts, next_at, message }
        }
        // A crash left it: nothing was written down of how it ended.
        Some(Trouble::Retrying { .. } | Trouble::Refused { .. }) | None => {
            Trouble::Retrying { subject, failures: 1, doubts, next_at: case.now, message }
        }
    };
    plan.marks.push(Change::Rest { address: case.address.clone(), trouble: Some(trouble) });
    note(plan, case, "the outcome of an earlier create is unknown; it is sent again and may exist twice");
}

fn hold_in_doubt(plan: &mut Plan, case: &Case<'_>, attempt: &Attempt, doubts: u32) {
    let row = if doubts > 1 { format!(", the last of {doubts} in a row,") } else { String::new() };
    let reason = format!("nobody knows whether its create of {}{row} was carried out", attempt.begun_at);
    let address = case.address;
    let hint = format!(
        "look for it at create.roblox.com, then `macadam resolve {address} --asset-id N`, or `--recreate` if it isn't there"
    );
    hold(plan, case, HoldKind::Held, &reason, Some(hint));
}

/// A changed type or creator needs a person.
fn identity_changed(plan: &mut Plan, case: &Case<'_>, asset_type: AssetType) -> bool {
    let Some(known) = record(case).filter(|record| !record.history.is_empty()).map(|record| &record.identity) else {
        return false;
    };
    let mut changed = |what: &str, from: String, to: String| {
        let hint = format!("set it back, or `macadam forget {}` to make a new asset", case.address);
        hold(plan, case, HoldKind::Held, &format!("its {what} changed from {from} to {to}"), Some(hint));
        true
    };
    if known.creator != case.want.creator {
        return changed("creator", known.creator.to_string(), case.want.creator.to_string());
    }
    if known.asset_type != asset_type {
        return changed("type", known.asset_type.to_string(), asset_type.to_string());
    }
    false
}

fn note_privacy(plan: &mut Plan, case: &Case<'_>) {
    let changed = record(case).is_some_and(|r| !r.history.is_empty() && r.identity.privacy != case.want.privacy);
    if changed {
        note(plan, case, "`privacy` is chosen at creation: changing it here has no effect");
    }
}

fn note_not_yet_carried_out(plan: &mut Plan, case: &Case<'_>) {
    let meta = &case.want.metadata;
    let mut keys = Vec::new();
    keys.extend(meta.icon.as_ref().map(|_| "icon"));
    keys.extend(meta.previews.as_ref().map(|_| "previews"));
    keys.extend((!meta.social_links.is_empty()).then_some("social_links"));
    keys.extend((!case.want.grants.is_empty()).then_some("grants"));
    if !keys.is_empty() {
        note(plan, case, &format!("{} checked, but not carried out by this version", keys.join(", ")));
    }
}

/// Whether an address rests.
enum Rest {
    No,
    Until(Timestamp),
    Held,
}

fn resting(plan: &mut Plan, case: &Case<'_>, content: ContentHash) -> Rest {
    let wanted = digest::subject(Some(content), &metadata::sendable(case.want));
    match record(case).and_then(|record| record.trouble.as_ref()) {
        Some(Trouble::Refused { subject, action, message, .. }) if *subject == wanted => {
            let hint = format!("change the file or its metadata, or `macadam retry {}`", case.address);
            hold(plan, case, HoldKind::Failed, &format!("Roblox refused to {action} it: {message}"), Some(hint));
            Rest::Held
        }
        Some(Trouble::Retrying { subject, next_at, .. }) if *subject == wanted && *next_at > case.now => {
            Rest::Until(*next_at)
        }
        Some(Trouble::Refused { .. } | Trouble::Retrying { .. }) | None => Rest::No,
    }
}

fn plan_content(plan: &mut Plan, ready: &Ready<'_>) {
    let case = ready.case;
    let Some(record) = record(case).filter(|record| !record.history.is_empty()) else {
        return plan_upload(plan, ready, None, "it is new");
    };
    if let Some((key, fact)) = record.history.current(ready.asset_type, ready.facts.hash) {
        return plan_current(plan, ready, record, key, fact);
    }
    if record.history.rejected(ready.facts.hash).is_some() {
        let hint = Some("change the file: uploading the same again risks the account".to_owned());
        return hold(plan, case, HoldKind::Rejected, "Roblox's moderation rejected this content", hint);
    }
    match (record.history.head(), ready.asset_type.on_content_change()) {
        (None, ContentChange::InPlace) => {
            let hint = format!("if a new asset ID is right, `macadam forget {}`", case.address);
            hold(plan, case, HoldKind::Held, "Roblox no longer has its asset", Some(hint));
        }
        (None, ContentChange::NewAsset) => match record.points_to {
            Some(old) => plan_replace(plan, ready, old, "Roblox no longer has its asset"),
            None => plan_upload(plan, ready, None, "Roblox no longer has its asset"),
        },
        (Some((head, fact)), ContentChange::InPlace) => plan_update(plan, ready, record, head, fact),
        (Some((head, _)), ContentChange::NewAsset) => {
            let old = record.points_to.unwrap_or(head.asset_id);
            plan_replace(plan, ready, old, "its content changed, and this type can't be updated in place");
        }
    }
}

/// The wanted content is at Roblox: what is left is to point there, and the metadata.
fn plan_current(plan: &mut Plan, ready: &Ready<'_>, record: &Record, key: RevisionKey, fact: RevisionFact) {
    let case = ready.case;
    let split = fact.shared && case.sharing.must_split(case.want, key.asset_id, case.desired, case.recorded);
    if split {
        return plan_replace(plan, ready, key.asset_id, "it shares an asset whose metadata it wants otherwise");
    }
    match record.points_to {
        Some(from) if from != key.asset_id => {
            let reason = format!("its content is again that of asset {}", key.asset_id);
            push(plan, case, Action::PointBack { to: key, from }, reason, ready.not_before);
        }
        Some(_) => {}
        None => plan.marks.push(Change::Point { address: case.address.clone(), asset_id: key.asset_id }),
    }
    if record.identity.path != case.want.path {
        plan.marks.push(Change::Enroll { address: case.address.clone(), identity: identity(ready) });
    }
    if case.sharing.owns_metadata(case.address, key.asset_id) {
        if record.points_to.is_some_and(|from| from != key.asset_id) {
            // What was asked for was asked of the other asset.
            plan_metadata(plan, ready, None, key.asset_id);
        } else {
            plan_metadata(plan, ready, Some(&record.asked), key.asset_id);
        }
    }
}

/// `asked` is what was last asked of this very asset, where that is known.
fn plan_metadata(plan: &mut Plan, ready: &Ready<'_>, asked: Option<&FieldDigests>, asset_id: AssetId) {
    let case = ready.case;
    let seen = case.recorded.seen.get(&asset_id).map(|seen| &seen.asset);
    let nothing = FieldDigests::new();
    let MetadataChange { changes, fields } = metadata::compare(case.want, asked.unwrap_or(&nothing), seen);
    if changes.is_empty() {
        if asked.is_some_and(|asked| fields != *asked) {
            plan.marks.push(Change::Ask { address: case.address.clone(), fields });
        }
        return;
    }
    let names: Vec<String> = changes.iter().map(|change| change.field().name()).collect();
    let reason = format!("{} changed", names.join(" and "));
    push(plan, case, Action::UpdateMetadata { asset_id, changes, fields }, reason, ready.not_before);
}

fn plan_replace(plan: &mut Plan, ready: &Ready<'_>, old: AssetId, why: &str) {
    if ready.case.want.prevent_replace {
        let hint = Some("set `prevent_replace = false`, or undo the change".to_owned());
        let reason = format!("{why}, and `prevent_replace` forbids a new asset ID");
        return hold(plan, ready.case, HoldKind::Held, &reason, hint);
    }
    plan_upload(plan, ready, Some(old), why);
}

fn plan_upload(plan: &mut Plan, ready: &Ready<'_>, old: Option<AssetId>, why: &str) {
    let case = ready.case;
    let share = |owner: Address, key: Option<RevisionKey>| Action::Share {
        owner,
        key,
        identity: identity(ready),
        content: ready.facts.hash,
        from: old,
    };
    let source = case.sharing.source(case.address);
    if !matches!(source, Source::Existing { .. }) && rejected_elsewhere(plan, ready) {
        return;
    }
    match source {
        Source::Own => {
            let new = Box::new(new_asset(ready));
            let action = match old {
                Some(old) => Action::Replace { old, new },
                None => Action::Create(new),
            };
            push(plan, case, action, why.to_owned(), ready.not_before);
        }
        Source::Existing { owner, key } => {
            let reason = format!("{why}; `{owner}` has an asset with the same bytes");
            push(plan, case, share(owner, Some(key)), reason, ready.not_before);
        }
        Source::Planned { owner } => {
            let reason = format!("{why}; the same bytes are uploaded for `{owner}`");
            let after = Some(owner.clone());
            push(plan, case, share(owner, None), reason, ready.not_before);
            if let Some(step) = plan.steps.last_mut() {
                step.after = after;
            }
        }
    }
}

/// Moderation judges bytes, not addresses: what it rejected once is not sent again under another name.
fn rejected_elsewhere(plan: &mut Plan, ready: &Ready<'_>) -> bool {
    let Some(other) = ready.case.sharing.rejected(ready.facts.hash) else { return false };
    let hint = Some("change the file: uploading the same again risks the account".to_owned());
    let reason = format!("Roblox's moderation rejected this content, as `{other}`");
    hold(plan, ready.case, HoldKind::Rejected, &reason, hint);
    true
}

fn plan_update(plan: &mut Plan, ready: &Ready<'_>, record: &Record, head: RevisionKey, fact: RevisionFact) {
    let case = ready.case;
    let imported = fact.made.is_some_and(|(_, origin)| origin == Origin::Import);
    if fact.content.is_none() && !imported {
        let number = head.version.map_or_else(|| "a newer revision".to_owned(), |v| format!("revision {v}"));
        let hint = "if it is a deploy that this checkout hasn't pulled, pull it".to_owned();
        let reason = format!("somebody else made {number} of asset {}", head.asset_id);
        return hold(plan, case, HoldKind::Held, &reason, Some(hint));
    }
    if rejected_elsewhere(plan, ready) {
        return;
    }
    let from = fact.content.map_or_else(|| "an unknown content".to_owned(), |hash| short(&hash));
    let reason = format!("its content changed from {from} to {}", short(&ready.facts.hash));
    let action = Action::UpdateContent {
        asset_id: head.asset_id,
        head: head.version,
        identity: identity(ready),
        content: ready.facts.hash,
        size: ready.facts.size,
        format: ready.facts.format,
    };
    push(plan, case, action, reason, ready.not_before);
    plan_metadata(plan, &Ready { not_before: None, ..*ready }, Some(&record.asked), head.asset_id);
}

fn new_asset(ready: &Ready<'_>) -> NewAsset {
    let want = ready.case.want;
    let meta = &want.metadata;
    let stem = || DisplayName::from_stem(want.path.stem());
    NewAsset {
        identity: identity(ready),
        content: ready.facts.hash,
        size: ready.facts.size,
        format: ready.facts.format,
        display_name: meta.display_name.clone().unwrap_or_else(stem),
        description: meta.description.clone(),
        expected_price: want.expected_price,
        fields: metadata::sendable(want),
    }
}

fn identity(ready: &Ready<'_>) -> Identity {
    let want = ready.case.want;
    Identity { asset_type: ready.asset_type, creator: want.creator, privacy: want.privacy, path: want.path.clone() }
}

/// The first digits of a hash, enough to tell contents apart by eye.
fn short(hash: &ContentHash) -> String {
    hash.to_string().chars().take(8).collect()
}

fn record<'a>(case: &Case<'a>) -> Option<&'a Record> {
    case.recorded.assets.get(case.address)
}

fn push(plan: &mut Plan, case: &Case<'_>, action: Action, reason: String, not_before: Option<Timestamp>) {
    plan.steps.push(Step { address: case.address.clone(), action, reason, after: None, not_before });
}

fn hold(plan: &mut Plan, case: &Case<'_>, kind: HoldKind, reason: &str, hint: Option<String>) {
    plan.held.push(Hold { address: case.address.clone(), kind, reason: reason.to_owned(), hint });
}

fn note(plan: &mut Plan, case: &Case<'_>, text: &str) {
    plan.notes.push(Note { address: Some(case.address.clone()), text: text.to_owned() });
}
