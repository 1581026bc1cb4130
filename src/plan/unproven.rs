//! Steps of an asset that Roblox doesn't find at the moment, that is another one than the record
//! means, or that is known from another tool's records alone, are held: nothing is sent to such an
//! asset, and nothing is uploaded in its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::history::RevisionState;
use crate::model::ids::AssetId;
use crate::model::observation::{Mismatch, NotFound};
use crate::model::recorded::{Record, Recorded};

use super::current::current;
use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::side_by_side;
use super::step::{Action, HeldPart, Hold, Note, Plan, Step};
use super::unverified;

/// Why nothing is sent to an asset.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    /// Roblox answered that it doesn't have it.
    NotFound(AssetId, NotFound),
    /// It is another one than the record means.
    Foreign(Mismatch),
    /// It is another one than a list or another tool claims.
    NotAsClaimed(Mismatch),
    /// Another tool's records name it, and Roblox was not asked yet.
    Unverified(AssetId),
}

impl Doubt {
    fn of(recorded: &Recorded, record: Option<&Record>, asset_id: AssetId) -> Option<Self> {
        let foreign = || {
            let (seen, record) = (recorded.observed(asset_id)?, record?);
            let doubt = if unverified::is_claimed(record) { Self::NotAsClaimed } else { Self::Foreign };
            Mismatch::of(record.kind_of(asset_id), &seen.asset).map(doubt)
        };
        let known = recorded.not_found.get(&asset_id).filter(|known| !known.is_gone());
        let unverified = || {
            let mut facts = record?.history.of_asset(asset_id);
            facts.any(|(_, fact)| fact.state == RevisionState::Unverified).then_some(Self::Unverified(asset_id))
        };
        foreign().or(known.map(|known| Self::NotFound(asset_id, *known))).or_else(unverified)
    }

    fn hold(self, address: &Address, part: HeldPart) -> Hold {
        let reason = match self {
            Self::NotFound(asset_id, known) => HoldReason::NotFound { asset_id, known },
            Self::Foreign(mismatch) => HoldReason::AnotherAsset(mismatch),
            Self::NotAsClaimed(mismatch) => HoldReason::NotAsClaimed(mismatch),
            Self::Unverified(asset_id) => HoldReason::Unverified { asset_id },
        };
        Hold { address: address.clone(), part, reason }
    }
}

/// Holds the steps of assets that are in doubt. Called for what is planned of the content, and
/// again for what follows from it.
pub(super) fn hold(plan: &mut Plan, desired: &Desired, recorded: &Recorded, in_progress: &BTreeSet<Address>) {
    let mut foreign: BTreeMap<&Address, Doubt> = BTreeMap::new();
    for (address, want, record) in side_by_side::wanted(desired, recorded) {
        let Some(record) = record.filter(|_| !in_progress.contains(address)) else { continue };
        // Held already, for what the manifest wants it to be.
        if unverified::corrected(want, record).is_some() {
            continue;
        }
        let doubt = current(want, record).and_then(|(key, _)| Doubt::of(recorded, Some(record), key.asset_id));
        let is_another = |doubt: &Doubt| matches!(doubt, Doubt::Foreign(_) | Doubt::NotAsClaimed(_));
        foreign.extend(doubt.filter(is_another).map(|doubt| (address, doubt)));
    }
    let mut held: Vec<Hold> = Vec::new();
    let mut kept = Vec::new();
    for step in std::mem::take(&mut plan.steps) {
        let doubt = foreign.get(&step.address).copied().or_else(|| of_step(recorded, &step));
        match doubt
            .filter(|_| !matches!(step.action, Action::Wait { .. } | Action::Settle { .. } | Action::Move { .. }))
        {
            Some(doubt) => held.push(doubt.hold(&step.address, part(&step.action))),
            None => kept.push(step),
        }
    }
    plan.steps = kept;
    // Held also where nothing is to be done: the game uses an asset that is not the project's.
    held.extend(foreign.iter().map(|(address, doubt)| doubt.hold(address, HeldPart::Asset)));
    let told = |hold: &Hold| (hold.address.clone(), hold.reason.clone());
    let mut all: BTreeSet<(Address, HoldReason)> = plan.held.iter().map(told).collect();
    plan.held.extend(held.into_iter().filter(|hold| all.insert(told(hold))));
}

/// The doubt about the asset that a step is about.
fn of_step(recorded: &Recorded, step: &Step) -> Option<Doubt> {
    let owner = match &step.action {
        // It doesn't touch the asset that it replaces.
        Action::Replace { .. } => return None,
        Action::Share { owner, .. } => owner,
        _ => &step.address,
    };
    Doubt::of(recorded, recorded.assets.get(owner), step.action.asset_id()?)
}

const fn part(action: &Action) -> HeldPart {
    match action {
        Action::UpdateMetadata { .. } => HeldPart::Metadata,
        Action::Archive { .. } => HeldPart::Archiving,
        _ => HeldPart::Asset,
    }
}

/// Tells of wanted assets that Roblox didn't find, where no step had to be held for it.
pub(super) fn note(plan: &mut Plan, desired: &Desired, recorded: &Recorded) {
    if recorded.not_found.is_empty() {
        return;
    }
    let held: BTreeSet<&Address> = plan.held.iter().map(|hold| &hold.address).collect();
    for (address, want, record) in side_by_side::wanted(desired, recorded) {
        let Some(record) = record else { continue };
        let doubt = current(want, record).and_then(|(key, _)| Doubt::of(recorded, Some(record), key.asset_id));
        let Some(Doubt::NotFound(asset_id, known)) = doubt else { continue };
        if !held.contains(address) {
            let kind = NoteKind::NotFound { asset_id, known };
            plan.notes.push(Note { address: Some(address.clone()), kind });
        }
    }
}
