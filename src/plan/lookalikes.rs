//! New addresses that may be others that left, and nothing tells: renamed and edited in one change,
//! under another key.
//!
//! An asset ID must not change without a word. So the plan names both addresses; it holds the new
//! one where `prevent_replace` forbids a new asset ID, and where a pin, icon or preview still names
//! the old one. Read next: [`super::moves`], for what tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::current;
use super::moves::{Left, Lookalike, Moves, is_pin_of_absent_file};
use super::reason::hold::HoldReason;
use super::reason::note::NoteKind;
use super::step::{Action, Note, Plan, Step};
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::desired::{Desired, DesiredAsset, Stray};
use crate::model::ids::Creator;
use crate::model::recorded::{Identity, Recorded};
use crate::model::steps::step;

/// The most addresses that a note is made for.
const NAMED: usize = 3;

impl Moves {
    /// Finds new addresses without a match that may be one of those that left just now.
    pub(super) fn find_lookalikes(
        &mut self,
        new: &BTreeMap<&Address, &DesiredAsset>,
        left: &[Left<'_>],
        desired: &Desired,
    ) {
        let mut alike: BTreeMap<(AssetType, Creator), Vec<Lookalike>> = BTreeMap::new();
        for (from, record) in left {
            step();
            let identity = &record.identity;
            let is_here = record.in_lockfile.is_of(&desired.checkout);
            if !is_here
                || record.removed
                || self.is_taken(from)
                || desired.is_absence_in_doubt(&identity.path).is_some()
            {
                continue;
            }
            let Some((key, _)) = current::last(record) else { continue };
            let Identity { asset_type, creator, .. } = *identity;
            let like = Lookalike { from: (*from).clone(), asset_id: key.asset_id, asset_type };
            alike.entry((asset_type, creator)).or_default().push(like);
        }
        let alike: BTreeMap<(AssetType, Creator), Arc<[Lookalike]>> =
            alike.into_iter().map(|(kind, like)| (kind, like.into())).collect();
        let mut protected = BTreeSet::new();
        for (address, want) in new {
            let (Some(asset_type), Ok(_)) = (want.asset_type, &want.content) else { continue };
            let kind = (asset_type, want.creator);
            let Some(like) = alike.get(&kind) else { continue };
            if want.prevent_replace && protected.insert(kind) {
                // Until a person has said what it is, it did not leave.
                self.undecided.extend(like.iter().map(|like| like.from.clone()));
            }
            self.lookalikes.insert((*address).clone(), Arc::clone(like));
        }
    }

    /// While a pin, icon or preview names an address that left, nothing new is made that may be the
    /// same asset under another name.
    pub(super) fn hold_in_place_of_the_named(&mut self, desired: &Desired, recorded: &Recorded) {
        let under_way: BTreeSet<&Address> = recorded.attempts.values().map(|attempt| &attempt.address).collect();
        let mut new: BTreeMap<AssetType, Vec<&Address>> = BTreeMap::new();
        for (address, want) in desired.assets.iter().filter(|_| !desired.stray.is_empty()) {
            step();
            let is_new = recorded.assets.get(address).is_none_or(|record| record.history.is_empty())
                && !under_way.contains(address)
                && !self.taken.contains_key(address)
                && !self.held.contains_key(address);
            if let (true, Some(asset_type), Ok(_)) = (is_new, want.asset_type, &want.content) {
                new.entry(asset_type).or_default().push(address);
            }
        }
        for stray in &desired.stray {
            step();
            let Stray { to, place } = stray;
            if self.is_taken(to) || is_pin_of_absent_file(stray, desired, recorded) {
                continue;
            }
            let Some(named) = recorded.assets.get(to).filter(|record| !record.history.is_empty()) else { continue };
            // Each is held once, by the first that may be meant.
            for address in new.remove(&named.identity.asset_type).unwrap_or_default() {
                self.hold(address, HoldReason::MayBeNamed { named: to.clone(), place: place.clone() });
            }
        }
    }
}

/// Why Macadam makes no new asset for `address`, which `prevent_replace` protects.
pub(super) fn refusal(moves: &Moves, address: &Address) -> Option<HoldReason> {
    let like = moves.lookalikes.get(address)?;
    let asset_id = like.first()?.asset_id;
    Some(HoldReason::MayBeRenamed { from: addresses(like), asset_id })
}

fn addresses(like: &[Lookalike]) -> Vec<Address> {
    like.iter().map(|like| like.from.clone()).collect()
}

/// Says of a new asset that it may be one that left, where that asset could go on under the new
/// name: of a type that isn't updated in place an edited file is another asset all the same. Among
/// many that are new nobody would look for the one that isn't.
pub(super) fn note(plan: &mut Plan, moves: &Moves) {
    let made: Vec<&Step> = plan.steps.iter().filter(|step| matches!(step.action, Action::Create(_))).collect();
    let mut wanted: BTreeMap<&Address, usize> = BTreeMap::new();
    for like in made.iter().filter_map(|step| moves.lookalikes.get(&step.address)).flat_map(|like| like.iter()) {
        *wanted.entry(&like.from).or_default() += 1;
    }
    let few = |like: &[Lookalike]| {
        let by_few = |like: &Lookalike| wanted.get(&like.from).is_none_or(|count| *count <= NAMED);
        like.len() <= NAMED && like.iter().all(by_few)
    };
    let notes = made.iter().filter_map(|step| {
        let like = moves.lookalikes.get(&step.address).filter(|like| few(like.as_ref()))?;
        let Lookalike { asset_id, asset_type, .. } = like.first()?;
        if asset_type.on_content_change() == ContentChange::NewAsset {
            return None;
        }
        let address = step.address.clone();
        let kind = NoteKind::MayBeRenamed { address: address.clone(), from: addresses(like), asset_id: *asset_id };
        Some(Note { address: Some(address), kind })
    });
    let notes: Vec<Note> = notes.collect();
    plan.notes.extend(notes);
}
