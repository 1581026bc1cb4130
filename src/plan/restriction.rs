//! A plan for some addresses, and for whatever their steps need.
//!
//! Nothing is done, and nothing recorded, for the others: they are neither uploaded nor archived nor
//! moved. What a step of theirs needs comes along, because it would wait for ever otherwise: the
//! asset whose bytes it shares, and the assets that it shows. What shows an asset of the part as an
//! icon or preview follows it, or a game would go on showing the old one.

use std::collections::BTreeSet;

use super::reason::note::NoteKind;
use super::step::{Action, Note, Plan, Restriction, Step};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::metadata::Field;
use crate::model::recorded::Recorded;

impl Plan {
    /// Leaves only what concerns these addresses.
    pub(super) fn restrict(&mut self, restriction: &Restriction, desired: &Desired, recorded: &Recorded) {
        let Restriction { addresses, brings_needed } = restriction;
        let only = if *brings_needed { self.needed_by(addresses) } else { addresses.clone() };
        let mut waiting = Vec::new();
        let shows = |step: &Step| {
            let follows = matches!(&step.action, Action::UpdateMetadata { asset_id: Some(_), changes, .. }
                if changes.iter().any(|change| matches!(change.field(), Field::Icon | Field::Previews)));
            let want = desired.assets.get(&step.address);
            follows && want.is_some_and(|want| want.metadata.references().any(|shown| only.contains(shown)))
        };
        self.steps.retain(|step| {
            if !only.contains(&step.address) && shows(step) {
                return step.after.iter().all(|after| only.contains(after));
            }
            let missing = step.after.iter().find(|after| !only.contains(*after));
            match missing {
                _ if !only.contains(&step.address) => false,
                None => true,
                Some(other) => {
                    let kind = NoteKind::NeedsOther { other: other.clone() };
                    waiting.push(Note { address: Some(step.address.clone()), kind });
                    false
                }
            }
        });
        self.notes.extend(waiting);
        self.held.retain(|hold| only.contains(&hold.address));
        self.drifts.retain(|drift| only.contains(&drift.address));
        self.notes.retain(|note| note.address.as_ref().is_none_or(|address| only.contains(address)));
        self.restrict_marks(&only, recorded);
    }

    /// Returns these addresses, and those whose assets their steps need.
    fn needed_by(&self, addresses: &BTreeSet<Address>) -> BTreeSet<Address> {
        let mut only = addresses.clone();
        loop {
            let steps = self.steps.iter().filter(|step| only.contains(&step.address));
            let owners = steps.flat_map(|step| {
                let owner = match &step.action {
                    Action::Share { owner, .. } => Some(owner),
                    _ => None,
                };
                step.after.iter().chain(owner)
            });
            let more: Vec<Address> = owners.filter(|owner| !only.contains(*owner)).cloned().collect();
            if more.is_empty() {
                return only;
            }
            only.extend(more);
        }
    }

    /// Leaves the changes of the state that are about these addresses, and facts about Roblox.
    fn restrict_marks(&mut self, only: &BTreeSet<Address>, recorded: &Recorded) {
        let mut known_as = only.clone();
        known_as.extend(self.marks.iter().filter_map(|mark| match mark {
            Change::Move { from, to } | Change::MoveAsset { from, to, .. } if only.contains(to) => Some(from.clone()),
            // The new name of what an old name gives up.
            Change::MoveAsset { from, to, .. } if only.contains(from) => Some(to.clone()),
            _ => None,
        }));
        let is_of = |change: &Change| match change {
            Change::Begin { address, .. }
            | Change::SetIdentity { address, .. }
            | Change::AddRevision { address, .. }
            | Change::SetMetadata { address, .. }
            | Change::Overrule { address, .. }
            | Change::SetRetirement { address, .. }
            | Change::SetRefusedArchiving { address, .. }
            | Change::RecordRepair { address, .. }
            | Change::AddPossibleDuplicate { address, .. }
            | Change::SetCurrentAsset { address, .. }
            | Change::Unpoint { address }
            | Change::SetPinnedAt { address, .. }
            | Change::SetRemoved { address, .. }
            | Change::SetInLockfile { address, .. }
            | Change::SetListing { address, .. }
            | Change::SetBlocked { address, .. }
            | Change::Forget { address }
            | Change::ForgetAsset { address, .. }
            | Change::LogEvent { address: Some(address), .. } => known_as.contains(address),
            Change::Move { to, .. } => only.contains(to),
            Change::MoveAsset { from, to, .. } => only.contains(from) || only.contains(to),
            Change::Advance { attempt, .. } | Change::TakeOver { attempt } => {
                recorded.attempts.get(attempt).is_some_and(|attempt| known_as.contains(&attempt.address))
            }
            Change::SetSpentQuota { .. }
            | Change::RecordObservation { .. }
            | Change::RecordNotFound { .. }
            | Change::RecordWrite { .. }
            | Change::MarkOutdated { .. }
            | Change::SetContradicted { .. }
            | Change::LogEvent { address: None, .. } => true,
        };
        self.marks.retain(is_of);
    }
}
