//! Old names of assets that another machine renamed.
//!
//! A state keeps what it knows of a name that the lockfile no longer has: another branch may have it.
//! If this checkout then has another file under that name, the assets stay those of the new name, as
//! in a clone without this state.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::moves::Moves;
use super::side_by_side;
use super::step::PlanOptions;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::checkout::InLockfile;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::ids::AssetId;
use crate::model::recorded::{Record, Recorded};

/// Takes assets from wanted addresses that the lockfile doesn't have, if it has them under another
/// name that is wanted, or moves now. Returns what is known then, and the changes that lead there.
///
/// An address whose file is one of these assets keeps them: it needs no upload.
pub(super) fn give_up<'a>(
    desired: &Desired,
    recorded: &'a Recorded,
    options: &PlanOptions,
    now: Timestamp,
) -> (Cow<'a, Recorded>, Vec<Change>) {
    let (mut known, mut changes, mut kept) = (Cow::Borrowed(recorded), Vec::new(), BTreeMap::new());
    loop {
        // Without its old assets an address may take over those of one that left.
        let mut more = given_up(desired, &known, options);
        // They fit: both have a record.
        let mut fits = |change: &Change| known.to_mut().apply(change, now).is_ok();
        more.moves.retain(&mut fits);
        more.kept.values_mut().for_each(|kept| kept.retain(&mut fits));
        if more.moves.is_empty() {
            changes.extend(kept.into_values().flatten());
            return (known, changes);
        }
        changes.extend(more.moves);
        kept.extend(more.kept);
    }
}

/// What old names give up.
#[derive(Default)]
pub(super) struct GivenUp {
    /// The assets that go to new names.
    moves: Vec<Change>,
    /// What each new name was before, and stays: what the old one was says nothing of it.
    kept: BTreeMap<Address, Vec<Change>>,
}

impl GivenUp {
    pub(super) fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }
}

/// Returns what old names give up, since a new name has it.
pub(super) fn given_up(desired: &Desired, recorded: &Recorded, options: &PlanOptions) -> GivenUp {
    let old_names = side_by_side::wanted(desired, recorded).filter_map(|(address, want, record)| {
        record.filter(|record| is_old_name(record) && !has_file(want, record)).map(|record| (address, record))
    });
    let old_names: Vec<(&Address, &Record)> = old_names.collect();
    if old_names.is_empty() {
        return GivenUp::default();
    }
    let moves = Moves::of(desired, recorded, &options.in_progress);
    let stays = |address: &Address| desired.assets.contains_key(address) || moves.is_taken(address);
    let is_busy = |address: &Address| {
        options.in_progress.contains(address) || recorded.attempts.values().any(|open| open.address == *address)
    };
    let mut given = GivenUp::default();
    for (address, record) in old_names.into_iter().filter(|(address, _)| !is_busy(address)) {
        let kind = record.identity.kind();
        for asset_id in record.history.assets() {
            let is_own = record.history.of_asset(asset_id).any(|(_, fact)| !fact.shared);
            let has_it = |other: &Record| other.history.of_asset(asset_id).next().is_some();
            let mut owners = recorded.owners(asset_id).filter(|(other, record)| {
                *other != address
                    && stays(other)
                    && record.in_lockfile == InLockfile::Yes
                    && has_it(record)
                    && record.identity.kind() == kind
            });
            if let Some((to, owner)) = owners.next().filter(|(to, _)| is_own && !is_busy(to)) {
                given.moves.extend(moved(address, (to, owner), asset_id));
                given.kept.insert(to.clone(), kept(to, owner));
            }
        }
    }
    given
}

/// The changes by which the new name takes the asset.
fn moved(from: &Address, (to, owner): (&Address, &Record), asset_id: AssetId) -> [Change; 2] {
    let retirement = owner.retirements.get(&asset_id).copied();
    [
        Change::MoveAsset { from: from.clone(), to: to.clone(), asset_id },
        Change::SetRetirement { address: to.clone(), asset_id, retirement },
    ]
}

/// The changes by which the new name stays what it is.
fn kept(to: &Address, owner: &Record) -> Vec<Change> {
    let address = || to.clone();
    let current = match owner.points_to {
        Some(asset_id) => Change::SetCurrentAsset { address: address(), asset_id },
        None => Change::Unpoint { address: address() },
    };
    vec![current, Change::SetPinnedAt { address: address(), pinned: *owner.pinned }]
}

fn is_old_name(record: &Record) -> bool {
    record.in_lockfile == InLockfile::No && !record.history.is_empty()
}

fn has_file(want: &DesiredAsset, record: &Record) -> bool {
    let Ok(facts) = &want.content else { return true };
    record.history.iter().any(|(_, fact)| fact.content == Some(facts.hash))
}
