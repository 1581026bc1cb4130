//! The rules for the content of one address whose file can be used.

use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::history::{RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::DisplayName;
use crate::model::recorded::{Identity, Record};

use super::asset::{ReadyAddress, hold, point, push};
use super::drift;
use super::input_digest;
use super::lookalikes;
use super::metadata::MetadataSubject;
use super::rule::Rule;
use super::sharing::AssetSource;
use super::step::{Action, HoldKind, NewAsset, Plan};

/// Plans the content, and says whose metadata is to be planned then.
pub(super) fn plan_content<'a>(plan: &mut Plan, ready: &ReadyAddress<'a>) -> Option<MetadataSubject<'a>> {
    let case = &ready.case;
    let Some(record) = case.record().filter(|record| !record.history.is_empty()) else {
        return plan_upload(plan, ready, None, Rule::New, "it is new");
    };
    if !record.history.has_kind(record.identity.kind()) {
        // What it had belongs to another owner, and stays in the history.
        let why = format!("none of its assets belongs to {}", record.identity.creator);
        return plan_upload(plan, ready, record.points_to, Rule::New, &why);
    }
    if let Some((key, fact)) = record.current(ready.asset_type, ready.facts.hash) {
        return plan_current(plan, ready, record, key, fact);
    }
    if let Some(target) = drift::content_elsewhere(plan, ready, record) {
        return Some(target);
    }
    if record.history.rejected(ready.facts.hash, record.identity.kind()).is_some() {
        let hint = Some("change the file: uploading the same again risks the account".to_owned());
        hold(plan, case, HoldKind::Rejected, "Roblox's moderation rejected this content", hint);
        return None;
    }
    if drift::vanished(plan, ready, record) {
        return None;
    }
    match (record.head(), ready.asset_type.on_content_change()) {
        (None, ContentChange::InPlace) => {
            let hint = drift::gone_hint(case.address);
            hold(plan, case, HoldKind::Held, "Roblox no longer has its asset", Some(hint));
            None
        }
        (None, ContentChange::NewAsset) => match record.points_to {
            Some(old) => plan_replace(plan, ready, old, Rule::AssetGone, "Roblox no longer has its asset"),
            None => plan_upload(plan, ready, None, Rule::AssetGone, "Roblox no longer has its asset"),
        },
        (Some((head, fact)), ContentChange::InPlace) => plan_update(plan, ready, record, head, fact),
        (Some((head, _)), ContentChange::NewAsset) => {
            let old = record.points_to.unwrap_or(head.asset_id);
            let why = "its content changed, and this type can't be updated in place";
            plan_replace(plan, ready, old, Rule::ContentChanged, why)
        }
    }
}

/// The wanted content is at Roblox: what is left is to point there, and the metadata.
fn plan_current<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    record: &'a Record,
    key: RevisionKey,
    fact: RevisionFact,
) -> Option<MetadataSubject<'a>> {
    let case = &ready.case;
    let asset_id = key.asset_id;
    if fact.shared && case.sharing.must_split(case.fields, asset_id) {
        let why = "it shares an asset whose metadata it wants otherwise";
        return plan_replace(plan, ready, asset_id, Rule::Splits, why);
    }
    let goes_back = match record.points_to {
        Some(from) if from != asset_id => {
            let reason = format!("its content is again that of asset {asset_id}");
            let action = Action::PointBack { to: key, from, pinned: false };
            push(plan, case, action, Rule::ContentKnown, reason, ready.not_before);
            true
        }
        Some(_) | None => false,
    };
    if !goes_back {
        point(plan, case, record, asset_id);
        drift::archived(plan, case, record, asset_id);
        drift::rolled_back_elsewhere(plan, case, key, fact);
    }
    let owns = case.sharing.owns_metadata(case.address, asset_id);
    owns.then_some(MetadataSubject::Known {
        asset_id,
        // What was asked for was asked of the other asset.
        asked: (!goes_back).then_some(&record.asked),
        stored: (!goes_back).then_some(&record.stored),
        not_before: ready.not_before,
    })
}

fn plan_replace<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    old: AssetId,
    rule: Rule,
    why: &str,
) -> Option<MetadataSubject<'a>> {
    if ready.case.want.prevent_replace {
        let hint = Some("set `prevent_replace = false`, or undo the change".to_owned());
        let reason = format!("{why}, and `prevent_replace` forbids a new asset ID");
        hold(plan, &ready.case, HoldKind::Held, &reason, hint);
        return None;
    }
    plan_upload(plan, ready, Some(old), rule, why)
}

fn plan_upload<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    old: Option<AssetId>,
    rule: Rule,
    why: &str,
) -> Option<MetadataSubject<'a>> {
    let case = &ready.case;
    let share = |owner: Address, key: Option<RevisionKey>| Action::Share {
        owner,
        key,
        identity: identity(ready),
        content: ready.facts.hash,
        from: old,
    };
    let source = case.sharing.source(case.address);
    if !matches!(source, AssetSource::Existing { .. }) && rejected_elsewhere(plan, ready) {
        return None;
    }
    if old.is_none()
        && matches!(source, AssetSource::Own)
        && case.want.prevent_replace
        && let Some((reason, hint)) = lookalikes::refusal_kind(case.moves, case.address)
    {
        hold(plan, case, HoldKind::Held, &reason, Some(hint));
        return None;
    }
    match source {
        AssetSource::Own if quota_spent(plan, ready) => None,
        AssetSource::Own => {
            let new = Box::new(new_asset(ready));
            let action = match old {
                Some(old) => Action::Replace { old, new },
                None => Action::Create(new),
            };
            push(plan, case, action, rule, why.to_owned(), ready.not_before);
            Some(MetadataSubject::New)
        }
        AssetSource::Existing { owner, key } => {
            let reason = format!("{why}; `{owner}` has an asset with the same bytes");
            push(plan, case, share(owner, Some(key)), Rule::SameBytes, reason, ready.not_before);
            None
        }
        AssetSource::Planned { owner } => {
            let reason = format!("{why}; the same bytes are uploaded for `{owner}`");
            push(plan, case, share(owner.clone(), None), Rule::SameBytes, reason, ready.not_before);
            if let Some(step) = plan.steps.last_mut() {
                step.after.push(owner);
            }
            None
        }
    }
}

/// A used-up quota is nothing that is wrong with the file, and ends by itself.
fn quota_spent(plan: &mut Plan, ready: &ReadyAddress<'_>) -> bool {
    let case = &ready.case;
    let Some(spent) = case.recorded.spent_quota(case.want.creator, ready.asset_type, case.now) else { return false };
    let until = spent.until.strftime("%Y-%m-%d %H:%M UTC");
    let reason = format!(
        "the {} uploads of {} are used up ({}); Macadam tries again by itself after {until}",
        ready.asset_type, case.want.creator, spent.message
    );
    hold(plan, case, HoldKind::Waiting, &reason, None);
    true
}

/// Moderation judges bytes, not addresses: what it rejected once is not sent again under another
/// name.
fn rejected_elsewhere(plan: &mut Plan, ready: &ReadyAddress<'_>) -> bool {
    let Some(other) = ready.case.sharing.rejected(ready.facts.hash) else { return false };
    let hint = Some("change the file: uploading the same again risks the account".to_owned());
    let reason = format!("Roblox's moderation rejected this content, as `{other}`");
    hold(plan, &ready.case, HoldKind::Rejected, &reason, hint);
    true
}

fn plan_update<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    record: &'a Record,
    head: RevisionKey,
    fact: RevisionFact,
) -> Option<MetadataSubject<'a>> {
    let case = &ready.case;
    let asset_id = head.asset_id;
    let overwrites = case.options.overwrite.contains(case.address);
    if !overwrites && drift::holds_update(plan, case, record, head, fact) {
        return None;
    }
    if rejected_elsewhere(plan, ready) {
        return None;
    }
    let target =
        MetadataSubject::Known { asset_id, asked: Some(&record.asked), stored: Some(&record.stored), not_before: None };
    if let Some(to) = unpinned(record, head, ready.facts.hash) {
        let reason = format!("it is no longer pinned, and revision {to} has the file's bytes");
        push(plan, case, Action::Rollback { asset_id, to }, Rule::Unpinned, reason, ready.not_before);
        return Some(target);
    }
    let wanted = short(&ready.facts.hash);
    let (rule, reason) = match fact.content {
        _ if overwrites && drift::is_elsewhere(record, head, fact) => {
            (Rule::Overwrites, format!("the file, {wanted}, is put over what somebody else made"))
        }
        Some(hash) if hash == ready.facts.hash => {
            (Rule::Overwrites, format!("the file, {wanted}, is made current again"))
        }
        Some(hash) => (Rule::ContentChanged, format!("its content changed from {} to {wanted}", short(&hash))),
        None => (Rule::ContentChanged, format!("its content changed from an unknown content to {wanted}")),
    };
    let action = Action::UpdateContent {
        asset_id,
        head: record.newest().and_then(|(newest, _)| newest.version),
        identity: identity(ready),
        content: ready.facts.hash,
        size: ready.facts.size,
        format: ready.facts.format,
    };
    push(plan, case, action, rule, reason, ready.not_before);
    Some(target)
}

/// After a pin: the newest version that has the wanted bytes, so that they needn't be uploaded
/// again.
fn unpinned(record: &Record, head: RevisionKey, content: ContentHash) -> Option<Revision> {
    record.pinned.filter(|pinned| pinned.at == head)?;
    let of_asset = record.history.of_asset(head.asset_id);
    let usable = |fact: &RevisionFact| fact.content == Some(content) && fact.state.is_usable();
    of_asset.filter(|(_, fact)| usable(fact)).filter_map(|(key, _)| key.version).next_back()
}

fn new_asset(ready: &ReadyAddress<'_>) -> NewAsset {
    let want = ready.case.want;
    let meta = &want.metadata;
    let named = || meta.display_name.clone().unwrap_or_else(|| DisplayName::from_stem(want.path.stem()));
    let neutral = || DisplayName::from_stem(ready.asset_type.name());
    NewAsset {
        identity: identity(ready),
        content: ready.facts.hash,
        size: ready.facts.size,
        format: ready.facts.format,
        display_name: if ready.neutral { neutral() } else { named() },
        description: meta.description.clone(),
        expected_price: want.expected_price,
        fields: input_digest::sent_at_creation(ready.case.fields),
    }
}

fn identity(ready: &ReadyAddress<'_>) -> Identity {
    let want = ready.case.want;
    Identity { asset_type: ready.asset_type, creator: want.creator, privacy: want.privacy, path: want.path.clone() }
}

/// The first digits of a hash, enough to tell contents apart by eye.
pub(super) fn short(hash: &ContentHash) -> String {
    hash.to_string().chars().take(8).collect()
}
