//! Leaves alone what other manifests of the repository have: no asset is archived that
//! another one has in use, and no file is uploaded anew, unasked, that another one has uploaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::missing_lockfile::hold_new;
use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::step::{Action, Note, Plan, Step};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::neighbours::{Neighbour, Neighbours, OtherUse, WantedFile};
use crate::model::recorded::{Recorded, RetireReason};

/// Holds uploads of files for which a manifest in the same folder, above or below has an asset of the
/// same type and owner. Where both have assets of their own for a file, they are two environments, and
/// nothing is held.
pub(super) fn hold_known(plan: &mut Plan, desired: &Desired, recorded: &Recorded) {
    let near: Vec<&Neighbour> = desired.neighbours.manifests.iter().filter(|one| one.is_near).collect();
    if near.is_empty() || !plan.steps.iter().any(|step| matches!(step.action, Action::Create(_))) {
        return;
    }
    let near: Vec<&Neighbour> = near.into_iter().filter(|one| !one.is_apart(recorded)).collect();
    hold_new(plan, |step| {
        let Action::Create(new) = &step.action else { return None };
        let want = desired.assets.get(&step.address)?;
        let file = WantedFile { content: Some(new.content), ..want.wanted_file() };
        near.iter().find_map(|one| {
            let known = one.asset_of(file)?;
            let (manifest, lockfile) = (one.manifest.clone(), one.lockfile.clone());
            Some(HoldReason::KnownElsewhere { known, manifest, lockfile })
        })
    });
}

/// Returns the other manifests as they count for a part of what is `recorded`.
pub(super) fn of_part(all: &Arc<Neighbours>, recorded: &Recorded) -> Arc<Neighbours> {
    if !all.manifests.iter().any(|one| one.is_apart(recorded)) {
        return Arc::clone(all);
    }
    let mut counted = Neighbours::clone(all);
    for one in &mut counted.manifests {
        one.is_near &= !one.is_apart(recorded);
    }
    Arc::new(counted)
}

/// Says of each Model that changes in place that another manifest uses it too: its game is given the
/// same revision.
pub(crate) fn changes_elsewhere<'a>(steps: impl Iterator<Item = &'a Step>, known: &Neighbours) -> Vec<Note> {
    let notes = steps.filter_map(|step| {
        let (Action::UpdateContent { asset_id, .. } | Action::Rollback { asset_id, .. }) = step.action else {
            return None;
        };
        let by = known.user(asset_id).filter(is_certain)?;
        Some(Note { address: Some(step.address.clone()), kind: NoteKind::ChangesElsewhere { asset_id, by } })
    });
    notes.collect()
}

const fn is_certain(by: &OtherUse) -> bool {
    match by {
        OtherUse::Manifest { .. } | OtherUse::Lockfile { .. } => true,
        OtherUse::Unread { .. } | OtherUse::Unasked { .. } => false,
    }
}

/// Whether the steps of a plan depend on what other manifests have: those that archive on any, and
/// uploads of new files on those that are `known`.
pub(crate) fn matter_to(plan: &Plan, known: &Neighbours) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::Archive { .. } => true,
        Action::Create(_) => !known.manifests.is_empty(),
        _ => false,
    })
}

/// Whether other manifests keep all of these assets, so that none is lost with this one's entry.
pub(super) fn is_used(desired: &Desired, assets: &BTreeSet<AssetId>) -> bool {
    !assets.is_empty() && assets.iter().all(|id| desired.neighbours.manifests.iter().any(|one| one.kept.contains(id)))
}

/// Says that an asset stays since another manifest keeps it, or may do so. Returns whether it does.
pub(super) fn stays(
    plan: &mut Plan,
    desired: &Desired,
    address: &Address,
    asset_id: AssetId,
    why: RetireReason,
) -> bool {
    let Some(by) = desired.neighbours.keeper(asset_id) else { return false };
    let kind = NoteKind::KeptElsewhere { asset_id, why, by };
    plan.notes.push(Note { address: Some(address.clone()), kind });
    true
}
