//! The rules for the content of one address whose file can be used.

use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::history::{RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::DisplayName;
use crate::model::recorded::{Identity, Record, SpentQuota};

use super::drift;
use super::input_digest;
use super::inputs::{ReadyAddress, hold, point, push};
use super::lookalikes;
use super::metadata::MetadataSubject;
use super::reason::hold::HoldReason;
use super::reason::step::{ReplaceCause, StepReason};
use super::sharing::AssetSource;
use super::step::{Action, NewAsset, Plan};

/// Plans the content. Returns the asset whose metadata is planned next.
pub(super) fn plan_content<'a>(plan: &mut Plan, ready: &ReadyAddress<'a>) -> Option<MetadataSubject<'a>> {
    let inputs = &ready.inputs;
    let Some(record) = inputs.record.filter(|record| !record.history.is_empty()) else {
        return plan_upload(plan, ready, None, StepReason::New);
    };
    if !record.history.has_kind(record.identity.kind()) {
        // Its earlier assets belong to another owner, and stay in the history.
        return plan_upload(plan, ready, record.points_to, StepReason::NewOwner(record.identity.creator));
    }
    if let Some((key, fact)) = record.current(ready.asset_type, ready.facts.hash) {
        return plan_current(plan, ready, record, key, fact);
    }
    if let Some(target) = drift::content_elsewhere(plan, ready, record) {
        return Some(target);
    }
    if record.history.rejected(ready.facts.hash, record.identity.kind()).is_some() {
        hold(plan, inputs, HoldReason::Rejected { uploaded_as: None });
        return None;
    }
    if drift::vanished(plan, ready, record) {
        return None;
    }
    match (record.head(), ready.asset_type.on_content_change()) {
        (None, ContentChange::InPlace) => {
            hold(plan, inputs, HoldReason::AssetGone);
            None
        }
        (None, ContentChange::NewAsset) => match record.points_to {
            Some(old) => plan_replace(plan, ready, old, ReplaceCause::AssetGone),
            None => plan_upload(plan, ready, None, StepReason::AssetGone),
        },
        (Some((head, fact)), ContentChange::InPlace) => plan_update(plan, ready, record, head, fact),
        (Some((head, _)), ContentChange::NewAsset) => {
            let old = record.points_to.unwrap_or(head.asset_id);
            let overwrites = inputs.options.overwrite.contains(inputs.address);
            if !overwrites && drift::holds_archived_by_hand(plan, inputs, record, old) {
                return None;
            }
            let cause = if is_unknown(record, old) {
                ReplaceCause::ContentUnknown(ready.asset_type, old)
            } else {
                ReplaceCause::ContentChanged(ready.asset_type)
            };
            plan_replace(plan, ready, old, cause)
        }
    }
}

/// Plans an address whose content Roblox has: it points there, and gets its metadata.
fn plan_current<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    record: &'a Record,
    key: RevisionKey,
    fact: RevisionFact,
) -> Option<MetadataSubject<'a>> {
    let inputs = &ready.inputs;
    let asset_id = key.asset_id;
    if fact.shared && inputs.sharing.must_split(inputs.fields, asset_id) {
        return plan_replace(plan, ready, asset_id, ReplaceCause::Splits);
    }
    let goes_back = match record.points_to {
        Some(from) if from != asset_id => {
            let overwrites = inputs.options.overwrite.contains(inputs.address);
            if !overwrites && drift::holds_archived_by_hand(plan, inputs, record, from) {
                return None;
            }
            let restores = drift::is_known_archived(inputs, record, asset_id);
            let action = Action::PointBack { to: key, from, pinned: false, restores };
            push(plan, inputs, action, StepReason::ContentKnown(asset_id), ready.not_before);
            true
        }
        Some(_) | None => false,
    };
    if !goes_back {
        point(plan, inputs, record, asset_id);
        drift::archived(plan, inputs, record, asset_id);
        drift::rolled_back_elsewhere(plan, inputs, key, fact);
    }
    let owns = inputs.sharing.owns_metadata(inputs.address, asset_id);
    owns.then_some(MetadataSubject::Known {
        asset_id,
        // The metadata was set on the other asset.
        asked: (!goes_back).then_some(&record.asked),
        stored: (!goes_back).then_some(&record.stored),
        not_before: ready.not_before,
    })
}

fn plan_replace<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    old: AssetId,
    cause: ReplaceCause,
) -> Option<MetadataSubject<'a>> {
    if ready.inputs.want.prevent_replace {
        hold(plan, &ready.inputs, HoldReason::ReplaceForbidden(cause));
        return None;
    }
    let reason = match cause {
        ReplaceCause::ContentUnknown(asset_type, asset_id) => {
            let address = ready.inputs.address.clone();
            StepReason::ContentUnknown { address, asset_id, replaces: Some(asset_type) }
        }
        _ => StepReason::Replace(cause),
    };
    plan_upload(plan, ready, Some(old), reason)
}

/// Returns whether nothing tells what an asset holds. What another tool's files say of one is checked.
fn is_unknown(record: &Record, asset_id: AssetId) -> bool {
    let is_unknown = |fact: &RevisionFact| fact.content.is_none() && fact.state != RevisionState::Unverified;
    record.history.of_asset(asset_id).all(|(_, fact)| is_unknown(fact))
}

fn plan_upload<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    old: Option<AssetId>,
    reason: StepReason,
) -> Option<MetadataSubject<'a>> {
    let inputs = &ready.inputs;
    let share = |owner: Address, key: Option<RevisionKey>| Action::Share {
        owner,
        key,
        identity: identity(ready),
        content: ready.facts.hash,
        from: old,
        restores: key.is_some_and(|key| drift::is_archived_for(inputs, key.asset_id)),
    };
    let source = inputs.sharing.source(inputs.address);
    if !matches!(source, AssetSource::Existing { .. }) && rejected_elsewhere(plan, ready) {
        return None;
    }
    if old.is_none()
        && matches!(source, AssetSource::Own)
        && inputs.want.prevent_replace
        && let Some(reason) = lookalikes::refusal(inputs.moves, inputs.address)
    {
        hold(plan, inputs, reason);
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
            push(plan, inputs, action, reason, ready.not_before);
            Some(MetadataSubject::New)
        }
        AssetSource::Existing { owner, key } if drift::holds_sharing(plan, inputs, &owner, key.asset_id) => None,
        AssetSource::Existing { owner, key } => {
            let reason = StepReason::SharesAsset { because: Box::new(reason), owner: owner.clone() };
            push(plan, inputs, share(owner, Some(key)), reason, ready.not_before);
            None
        }
        AssetSource::Planned { owner } => {
            let reason = StepReason::SharesUpload { because: Box::new(reason), owner: owner.clone() };
            push(plan, inputs, share(owner.clone(), None), reason, ready.not_before);
            if let Some(step) = plan.steps.last_mut() {
                step.after.push(owner);
            }
            None
        }
    }
}

/// Waits for a used-up quota. The file is fine, and the wait ends by itself.
fn quota_spent(plan: &mut Plan, ready: &ReadyAddress<'_>) -> bool {
    let inputs = &ready.inputs;
    let Some(spent) = inputs.recorded.spent_quota(inputs.want.creator, ready.asset_type, inputs.now) else {
        return false;
    };
    let SpentQuota { until, message } = spent.clone();
    let (asset_type, creator) = (ready.asset_type, inputs.want.creator);
    hold(plan, inputs, HoldReason::QuotaSpent { asset_type, creator, message, until });
    true
}

/// Holds bytes that moderation rejected for another address. It judges bytes, not names.
fn rejected_elsewhere(plan: &mut Plan, ready: &ReadyAddress<'_>) -> bool {
    let Some(other) = ready.inputs.sharing.rejected(ready.facts.hash) else { return false };
    hold(plan, &ready.inputs, HoldReason::Rejected { uploaded_as: Some(other.clone()) });
    true
}

fn plan_update<'a>(
    plan: &mut Plan,
    ready: &ReadyAddress<'a>,
    record: &'a Record,
    head: RevisionKey,
    fact: RevisionFact,
) -> Option<MetadataSubject<'a>> {
    let inputs = &ready.inputs;
    let asset_id = head.asset_id;
    let overwrites = inputs.options.overwrite.contains(inputs.address);
    if !overwrites && drift::holds_update(plan, inputs, record, head, fact) {
        return None;
    }
    if rejected_elsewhere(plan, ready) {
        return None;
    }
    let target =
        MetadataSubject::Known { asset_id, asked: Some(&record.asked), stored: Some(&record.stored), not_before: None };
    if let Some(to) = unpinned(record, head, ready.facts.hash) {
        push(plan, inputs, Action::Rollback { asset_id, to }, StepReason::Unpinned(to), ready.not_before);
        return Some(target);
    }
    let reason = match fact.content {
        _ if overwrites && drift::is_elsewhere(record, head, fact) => StepReason::Overwrites,
        Some(hash) if hash == ready.facts.hash => StepReason::CurrentAgain,
        None if is_unknown(record, asset_id) => {
            StepReason::ContentUnknown { address: inputs.address.clone(), asset_id, replaces: None }
        }
        Some(_) | None => StepReason::ContentChanged,
    };
    let action = Action::UpdateContent {
        asset_id,
        head: record.newest().and_then(|(newest, _)| newest.version),
        identity: identity(ready),
        content: ready.facts.hash,
        size: ready.facts.size,
        format: ready.facts.format,
    };
    push(plan, inputs, action, reason, ready.not_before);
    Some(target)
}

/// Returns the newest version with the wanted bytes after a pin, which saves an upload.
fn unpinned(record: &Record, head: RevisionKey, content: ContentHash) -> Option<Revision> {
    record.pinned.filter(|pinned| pinned.at == head)?;
    let of_asset = record.history.of_asset(head.asset_id);
    let usable = |fact: &RevisionFact| fact.content == Some(content) && fact.state.is_usable();
    of_asset.filter(|(_, fact)| usable(fact)).filter_map(|(key, _)| key.version).next_back()
}

fn new_asset(ready: &ReadyAddress<'_>) -> NewAsset {
    let want = ready.inputs.want;
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
        expected_price: *want.expected_price,
        fields: input_digest::sent_at_creation(ready.inputs.fields),
    }
}

fn identity(ready: &ReadyAddress<'_>) -> Identity {
    let want = ready.inputs.want;
    Identity { asset_type: ready.asset_type, creator: want.creator, privacy: want.privacy, path: want.path.clone() }
}
