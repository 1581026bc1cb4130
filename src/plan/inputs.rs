//! What the plan of one address depends on, and the few ways to say something in a plan.
//!
//! Read next: [`super::asset`], for the rules of one address.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::moves::Moves;
use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::reason::step::StepReason;
use super::sharing::Sharing;
use super::step::{Action, HeldPart, Hold, Note, Plan, PlanOptions, Step};
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::file::FileFacts;
use crate::model::ids::AssetId;
use crate::model::metadata::FieldDigests;
use crate::model::phase::IntentKind;
use crate::model::recorded::{Blocked, Record, Recorded, RefusalKind, Retirement};

/// One address with all that its plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressInputs<'a> {
    /// The address.
    pub address: &'a Address,
    /// Its entry in the manifest.
    pub want: &'a DesiredAsset,
    /// Its record.
    pub record: Option<&'a Record>,
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
    pub(super) inputs: AddressInputs<'a>,
    pub(super) asset_type: AssetType,
    pub(super) facts: &'a FileFacts,
    pub(super) not_before: Option<Timestamp>,
    /// Roblox refused the display name, and the policy is to upload under a neutral one.
    pub(super) neutral: bool,
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
    address: &Address,
    part: HeldPart,
    action: IntentKind,
    refusal_kind: RefusalKind,
    message: &str,
) {
    let reason = HoldReason::Refused { action, refusal_kind, message: message.to_owned() };
    plan.held.push(Hold { address: address.clone(), part, reason });
}

pub(super) fn push(
    plan: &mut Plan,
    inputs: &AddressInputs<'_>,
    action: Action,
    reason: StepReason,
    not_before: Option<Timestamp>,
) {
    plan.steps.push(Step { address: inputs.address.clone(), action, reason, after: Vec::new(), not_before });
}

/// Records the current asset on a machine that has only the lockfile.
pub(super) fn point(plan: &mut Plan, inputs: &AddressInputs<'_>, record: &Record, asset_id: AssetId) {
    if record.points_to.is_none() {
        plan.marks.push(Change::SetCurrentAsset { address: inputs.address.clone(), asset_id });
    }
}

pub(super) fn hold(plan: &mut Plan, inputs: &AddressInputs<'_>, reason: HoldReason) {
    plan.held.push(Hold { address: inputs.address.clone(), part: HeldPart::Asset, reason });
}

pub(super) fn note(plan: &mut Plan, inputs: &AddressInputs<'_>, kind: NoteKind) {
    plan.notes.push(Note { address: Some(inputs.address.clone()), kind });
}
