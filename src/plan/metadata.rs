//! The metadata fields to send: exactly those that changed since they were last asked for, or that
//! changed outside of Macadam.
//!
//! What Roblox's text filter made of a text plays no part once it was asked for: there is no
//! endless correction.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::diff;
use super::input_digest;
use super::inputs::{due, hold_refused};
use super::reason::drift::{DriftKind, DriftedField};
use super::reason::note::NoteKind;
use super::reason::step::StepReason;
use super::step::{Action, Drift, FieldChange, HEALINGS_A_DAY, HeldPart, Note, Plan, Step};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::ids::AssetId;
use crate::model::metadata::{AssetRef, Field, FieldDigests, Metadata, Preview};
use crate::model::phase::IntentKind;
use crate::model::policy::{DriftPolicy, ModeratedName};
use crate::model::recorded::{Blocked, DriftRepair, Record, Recorded, RefusalKind};
use crate::model::remote::RemoteAsset;

/// The asset whose metadata is planned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MetadataSubject<'a> {
    /// An asset that is there.
    Known {
        /// Which.
        asset_id: AssetId,
        /// The metadata last asked of this very asset, where known.
        asked: Option<&'a FieldDigests>,
        /// Where it stored something else.
        stored: Option<&'a FieldDigests>,
        /// The steps before it wait until then.
        not_before: Option<Timestamp>,
    },
    /// The one that the steps before make.
    New,
}

/// One address whose metadata is to be planned.
#[derive(Debug)]
pub(crate) struct MetadataTarget<'a> {
    /// Which.
    pub address: &'a Address,
    /// Its entry in the manifest.
    pub want: &'a DesiredAsset,
    /// Its record.
    pub record: Option<&'a Record>,
    /// Of which asset.
    pub target: MetadataSubject<'a>,
    /// The wanted metadata as digests.
    pub fields: &'a FieldDigests,
}

/// The inputs that the metadata of all addresses depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetadataInputs<'a> {
    /// The desired state.
    pub desired: &'a Desired,
    /// The record of everything.
    pub recorded: &'a Recorded,
    /// Addresses that are another asset once the plan is carried out.
    pub moving: &'a BTreeSet<Address>,
    /// The time.
    pub now: Timestamp,
}

/// The fields to send, and the fields that are managed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MetadataDiff {
    /// Exactly the fields that changed.
    pub changed: Vec<Field>,
    /// What is stored for each field that was ever asked for, afterwards. A field that is no longer
    /// managed stays: another branch's lockfile may tell otherwise of it, and only who
    /// remembers notices.
    pub fields: FieldDigests,
}

/// Compares what is wanted with what was last asked for, and where that is unknown with what the
/// remote last said.
pub(crate) fn compare(wanted: &FieldDigests, asked: &FieldDigests, seen: Option<&RemoteAsset>) -> MetadataDiff {
    let settled = |field: Field| match (wanted.get(&field), asked.get(&field)) {
        (Some(wanted), Some(asked)) => wanted == asked,
        (Some(wanted), None) => seen.and_then(|seen| seen.stored(field)).is_some_and(|stored| stored == *wanted),
        // A key that was set and is gone clears the field; a cleared one is as it should be. A
        // display name can't be cleared: without its key it is no longer managed.
        (None, Some(asked)) => field == Field::DisplayName || *asked == FieldDigest::of_cleared(),
        (None, None) => true,
    };
    let all: BTreeSet<Field> = wanted.keys().chain(asked.keys()).copied().collect();
    let changed = all.into_iter().filter(|field| !settled(*field)).collect();
    let mut fields = asked.clone();
    let left = fields.iter_mut().filter(|(field, _)| **field != Field::DisplayName && !wanted.contains_key(field));
    left.for_each(|(_, digest)| *digest = FieldDigest::of_cleared());
    fields.extend(wanted.iter().map(|(field, digest)| (*field, *digest)));
    MetadataDiff { changed, fields }
}

/// Plans the metadata of one address.
pub(super) fn plan_metadata(plan: &mut Plan, scene: &MetadataInputs<'_>, intention: MetadataTarget<'_>) {
    let MetadataTarget { address, want, record, target, fields } = &intention;
    let record = *record;
    let blocked = record.and_then(|record| record.blocked.as_deref());
    // A digest for each address would take longer than the rest of its plan.
    let wanted = blocked.map(|_| input_digest::of(want, fields).metadata);
    let mut name_refused = false;
    // What was refused is asked for by now: another machine did so since, and its lockfile came. A
    // refused repair is asked for too, and the asset shows that it wasn't made.
    let is_set_since = || match target {
        MetadataSubject::Known { asset_id, asked: Some(asked), stored: Some(stored), .. } => {
            let seen = scene.recorded.observed(*asset_id).map(|seen| &seen.asset);
            compare(fields, asked, None).changed.is_empty()
                && seen.is_none_or(|seen| drifted(fields, asked, stored, seen).is_empty())
        }
        MetadataSubject::Known { .. } | MetadataSubject::New => false,
    };
    if let Some(Blocked::Refused { input_digest, action, refusal_kind, message, .. }) = blocked
        && Some(*input_digest) == wanted
    {
        if *action == IntentKind::UpdateMetadata && is_set_since() {
            plan.marks.push(Change::SetBlocked { address: (*address).clone(), blocked: None });
            return;
        }
        name_refused = *refusal_kind == RefusalKind::DisplayName
            && scene.desired.policy.moderated_name == ModeratedName::Neutral
            && matches!(target, MetadataSubject::Known { .. });
        if !name_refused {
            return hold_refused(plan, address, HeldPart::Metadata, *action, *refusal_kind, message);
        }
    }
    let mut not_before = wanted.and_then(|wanted| due(blocked, wanted, scene.now));
    let nothing = FieldDigests::new();
    // An observation shows the values that a newer lockfile named.
    let mut looked = false;
    let (asset_id, mut comparison, repairs) = match target {
        MetadataSubject::New => {
            let sent = input_digest::sent_at_creation(fields);
            let cleared = |field: &Field| fields.get(field) == Some(&FieldDigest::of_cleared());
            let changed = fields.keys().filter(|field| !sent.contains_key(field) && !cleared(field)).copied();
            (None, MetadataDiff { changed: changed.collect(), fields: sent }, false)
        }
        MetadataSubject::Known { asset_id, asked, stored, not_before: waits } => {
            not_before = not_before.max(*waits);
            let seen = scene.recorded.observed(*asset_id).map(|seen| &seen.asset);
            let mut comparison = compare(fields, asked.unwrap_or(&nothing), seen);
            let overruled = record.filter(|_| asked.is_some()).map_or(&nothing, |record| &record.overruled);
            let mut drifted = match (asked, stored, seen) {
                (Some(asked), Some(stored), Some(seen)) => drifted(fields, asked, stored, seen),
                _ => Vec::new(),
            };
            // A value that this state had asked for itself is no foreign change.
            let is_ours = |field: &Field| seen.and_then(|seen| seen.stored(*field)) == overruled.get(field).copied();
            let ours: Vec<Field> =
                drifted.extract_if(.., |field| overruled.contains_key(field) && is_ours(field)).collect();
            comparison.changed.extend(ours);
            comparison.changed.sort();
            looked = !overruled.is_empty()
                && overruled.keys().all(|field| seen.is_some_and(|seen| seen.stored(*field).is_some()));
            let repairs = plan_drift(plan, scene, &intention, (*asset_id, seen), &drifted);
            if repairs {
                comparison.changed.extend(drifted);
                comparison.changed.sort();
            }
            (Some(*asset_id), comparison, repairs)
        }
    };
    let mut known = record.map(|record| (record.asked.clone(), (*record.stored).clone())).unwrap_or_default();
    if name_refused {
        // The stored name stays, and status shows it beside the one that is wanted.
        comparison.changed.retain(|field| *field != Field::DisplayName);
        let seen = asset_id.and_then(|asset_id| scene.recorded.observed(asset_id)).map(|seen| &seen.asset);
        keep_name(plan, address, &mut known, &comparison, seen);
    }
    add_moving(want, scene, &mut comparison.changed);
    let changes = changes(plan, address, &want.metadata, scene, &comparison.changed);
    if changes.is_empty() {
        let (asked, stored) = known;
        if let MetadataSubject::Known { asked: Some(_), .. } = target
            && comparison.changed.is_empty()
            // A name that stays was recorded above, and with it that somebody looked.
            && (comparison.fields != asked || looked && !name_refused)
        {
            let fields = comparison.fields;
            plan.marks.push(Change::SetMetadata { address: (*address).clone(), fields, stored });
        }
        return;
    }
    let fields: Vec<Field> = changes.iter().map(FieldChange::field).collect();
    let reason = match (asset_id, repairs) {
        (None, _) => StepReason::AfterCreate(fields),
        (Some(_), true) => StepReason::MetadataHeals(fields),
        (Some(_), false) => StepReason::MetadataChanged(fields),
    };
    let after: BTreeSet<Address> = changes.iter().flat_map(FieldChange::waits_for).cloned().collect();
    plan.steps.push(Step {
        address: (*address).clone(),
        action: Action::UpdateMetadata { asset_id, changes, repairs },
        reason,
        after: after.into_iter().collect(),
        not_before,
    });
}

/// A refused name under the policy `neutral`: asked for as far as Macadam goes, and not asked for
/// again. The name that stays is what was stored in its place, and so no drift.
fn keep_name(
    plan: &mut Plan,
    address: &Address,
    (asked, stored): &mut (FieldDigests, FieldDigests),
    comparison: &MetadataDiff,
    seen: Option<&RemoteAsset>,
) {
    let Some(name) = comparison.fields.get(&Field::DisplayName) else { return };
    let kept = seen.and_then(|seen| seen.stored(Field::DisplayName));
    let kept = kept.or_else(|| stored.get(&Field::DisplayName).or(asked.get(&Field::DisplayName)).copied());
    asked.insert(Field::DisplayName, *name);
    stored.extend(kept.map(|kept| (Field::DisplayName, kept)));
    let (fields, stored) = (asked.clone(), stored.clone());
    plan.marks.push(Change::SetMetadata { address: address.clone(), fields, stored });
    plan.marks.push(Change::SetBlocked { address: address.clone(), blocked: None });
    plan.notes.push(Note { address: Some(address.clone()), kind: NoteKind::NameKept });
}

/// The fields of which the remote now has neither what was asked nor what it stored in its place.
fn drifted(fields: &FieldDigests, asked: &FieldDigests, stored: &FieldDigests, seen: &RemoteAsset) -> Vec<Field> {
    let is_ours = |field: &Field, now: &FieldDigest| Some(now) == asked.get(field) || Some(now) == stored.get(field);
    // A field that is sent anyway is no drift.
    let settled = fields.iter().filter(|(field, wanted)| asked.get(field) == Some(wanted));
    settled
        .map(|(field, _)| *field)
        .filter(|field| seen.stored(*field).is_some_and(|now| !is_ours(field, &now)))
        .collect()
}

/// Reports drifted metadata. Returns whether the plan puts it back.
fn plan_drift(
    plan: &mut Plan,
    scene: &MetadataInputs<'_>,
    MetadataTarget { address, want, record, target: _, fields: _ }: &MetadataTarget<'_>,
    (asset_id, seen): (AssetId, Option<&RemoteAsset>),
    drifted: &[Field],
) -> bool {
    let Some(record) = record.filter(|_| !drifted.is_empty()) else { return false };
    let times = record.recent_repairs(DriftRepair::Metadata, scene.now);
    let repairs = scene.desired.policy.drift == DriftPolicy::Heal;
    if repairs && times < HEALINGS_A_DAY {
        return true;
    }
    let shown = |reference: &AssetRef| match reference {
        AssetRef::Address(to) => input_digest::asset_of(to, scene.desired, scene.recorded).map(AssetRef::Id),
        AssetRef::Id(_) => None,
    };
    let mut resolve = |reference: &AssetRef| Some(shown(reference).unwrap_or_else(|| reference.clone()));
    let value = |field: &Field| DriftedField {
        field: *field,
        at_roblox: seen.and_then(|seen| diff::at_roblox(seen, *field)).unwrap_or_default(),
        wanted: wanted(*field, &want.metadata, &mut resolve).as_ref().map(diff::value).unwrap_or_default(),
    };
    let fields = drifted.iter().map(value).collect();
    let kind = DriftKind::Metadata { fields, repaired: repairs.then_some(times) };
    plan.drifts.push(Drift { address: (*address).clone(), asset_id, kind });
    false
}

/// An icon or preview whose address gets another asset changes with it.
fn add_moving(want: &DesiredAsset, scene: &MetadataInputs<'_>, changed: &mut Vec<Field>) {
    let moves = |reference: &AssetRef| matches!(reference, AssetRef::Address(a) if scene.moving.contains(a));
    let meta = &want.metadata;
    if meta.icon.iter().flatten().any(moves) && !changed.contains(&Field::Icon) {
        changed.push(Field::Icon);
    }
    let shows = |preview: &Preview| moves(&preview.asset);
    if meta.previews.iter().flatten().any(shows) && !changed.contains(&Field::Previews) {
        changed.push(Field::Previews);
    }
    changed.sort();
}

/// The new values of the changed fields. What shows an asset that isn't there, and isn't coming,
/// waits for it.
fn changes(
    plan: &mut Plan,
    address: &Address,
    meta: &Metadata,
    scene: &MetadataInputs<'_>,
    changed: &[Field],
) -> Vec<FieldChange> {
    let mut missing = Vec::new();
    let mut resolve = |reference: &AssetRef| match reference {
        AssetRef::Address(to) if !scene.moving.contains(to) => {
            let found = input_digest::asset_of(to, scene.desired, scene.recorded).map(AssetRef::Id);
            if found.is_none() {
                missing.push(to.clone());
            }
            found
        }
        AssetRef::Address(_) | AssetRef::Id(_) => Some(reference.clone()),
    };
    let changes = changed.iter().filter_map(|field| wanted(*field, meta, &mut resolve)).collect();
    for to in missing {
        plan.notes.push(Note { address: Some(address.clone()), kind: NoteKind::ShownAssetMissing { to } });
    }
    changes
}

/// The value of a field by the manifest; `None` where it has none, or shows an asset that `resolve`
/// doesn't find.
fn wanted(
    field: Field,
    meta: &Metadata,
    mut resolve: impl FnMut(&AssetRef) -> Option<AssetRef>,
) -> Option<FieldChange> {
    match field {
        Field::DisplayName => meta.display_name.clone().map(FieldChange::DisplayName),
        Field::Description => Some(FieldChange::Description(meta.description.clone().unwrap_or_default())),
        Field::Icon => match meta.icon.as_ref().and_then(Option::as_ref) {
            Some(icon) => resolve(icon).map(|icon| FieldChange::Icon(Some(icon))),
            None => Some(FieldChange::Icon(None)),
        },
        Field::Previews => {
            let previews = meta.previews.iter().flatten();
            let resolved: Option<Vec<Preview>> = previews
                .map(|preview| Some(Preview { asset: resolve(&preview.asset)?, alt_text: preview.alt_text.clone() }))
                .collect();
            resolved.map(FieldChange::Previews)
        }
        Field::SocialLink(network) => {
            let link = meta.social_links.get(&network).cloned().flatten();
            Some(FieldChange::SocialLink(network, link))
        }
    }
}
