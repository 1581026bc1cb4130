//! `macadam recreate`: new assets for a new owner. An asset can't change owners, so after a change
//! of `[creator]` each address that is held because of it gets a new one.
//!
//! The old assets stay known under a name of their own, `ADDRESS@OWNER`, as an address that left
//! the manifest, with its history and its retirement. That is one transaction. The uploads after it
//! are those of any new address, so a crash in between loses nothing. If the manifest returns to
//! the earlier owner, an address takes over its old assets, as in any move.
//!
//! An address may have assets of several owners: git took back an earlier change of owner, or an
//! old branch was merged. Each owner's assets then go to the name of that owner, and those of the
//! new owner stay, so that nothing is uploaded again.
//!
//! Read next: `src/plan/moves.rs`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, btree_map};

use jiff::Timestamp;

use crate::engine::commands::error::CommandError;
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::change::Change;
use crate::model::checkout::InLockfile;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::former;
use crate::model::history::{History, Kind};
use crate::model::ids::{AssetId, Creator, UploadId};
use crate::model::metadata::{Field, FieldDigests};
use crate::model::missing_lockfile::{Lost, MissingLockfile};
use crate::model::recorded::{Identity, PossibleDuplicate, Record, Recorded, Retirement};
use crate::plan::current::{current, last};
use crate::plan::{Plan, PlanOptions, Restriction, plan};
use crate::platform::clock;
use crate::platform::failpoint;

/// The addresses that get assets of the new owner, and the held ones that can't.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Choice {
    /// The separation of each address's assets.
    pub separated: BTreeMap<Address, Separation>,
    /// The obstacle, by address, for a person.
    pub left_out: BTreeMap<Address, String>,
}

/// Separates the assets of one address by owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Separation {
    /// The name for each earlier owner's assets: a new one, or that of an earlier change of owner.
    names: BTreeMap<Creator, Address>,
    /// The new owner.
    creator: Creator,
    /// Whether the address still belongs to an earlier owner. Otherwise a merged old branch only
    /// brought in assets of an earlier owner.
    changes_owner: bool,
    /// Whether the new owner has assets of this address already, from a change that git took back.
    /// They are used again.
    has_own: bool,
    /// The names that kept assets of the new owner, which come back.
    comes_back: BTreeSet<Address>,
}

impl Choice {
    /// Returns the addresses whose owner changes.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &Address> {
        self.separated.iter().filter(|(_, separation)| separation.changes_owner).map(|(address, _)| address)
    }

    /// Returns the changes of the transaction.
    pub(crate) fn changes(&self, recorded: &Recorded) -> Vec<Change> {
        let mut changes = Vec::new();
        for (address, separation) in &self.separated {
            if let Some(record) = recorded.assets.get(address) {
                separation.changes(address, record, recorded, &mut changes);
            }
        }
        changes
    }
}

impl Separation {
    fn changes(&self, address: &Address, record: &Record, recorded: &Recorded, changes: &mut Vec<Change>) {
        let Self { names, creator, changes_owner, has_own, comes_back } = self;
        // Facts that belong to no single asset go with the assets of the address's last owner.
        let heir = names.get_key_value(&record.identity.creator).or(names.first_key_value()).map(|(owner, _)| *owner);
        for (owner, name) in names {
            let history = record.history.of_owner(*owner);
            match recorded.assets.get(name) {
                // From now on, everything known about the address is known under the name.
                None if !has_own && names.len() == 1 => {
                    changes.push(Change::Move { from: address.clone(), to: name.clone() });
                }
                known => {
                    let keeper = Keeper { address, record, owner: *owner, name, known };
                    keeper.take_over(&history, !has_own && heir == Some(*owner), changes);
                }
            }
            // The lockfile is written with it at once.
            changes.push(Change::SetInLockfile { address: name.clone(), in_lockfile: InLockfile::Yes });
            changes.push(Change::SetRemoved { address: name.clone(), removed: true });
            let part = Record { history, ..record.clone() };
            let asset_id = last(&part).map(|(key, _)| key.asset_id);
            let event = match changes_owner {
                true => EventKind::Recreated { asset_id, name: name.clone() },
                false => EventKind::BroughtBack { asset_id, owner: *owner, name: name.clone() },
            };
            changes.push(Change::log(name, event));
        }
        if !(*has_own && *changes_owner) {
            return;
        }
        for name in comes_back {
            let Some(kept) = recorded.assets.get(name) else { continue };
            changes.extend(suspicions(kept, address));
            let move_asset = |asset_id| Change::MoveAsset { from: name.clone(), to: address.clone(), asset_id };
            changes.extend(kept.history.assets().into_iter().map(move_asset));
        }
        let identity = Identity { creator: *creator, ..record.identity.clone() };
        changes.push(Change::SetIdentity { address: address.clone(), identity });
        // It is unknown which of it was requested of which owner's asset.
        let fields = record.asked.keys().map(|field| (*field, FieldDigest::UNKNOWN)).collect();
        changes.push(Change::SetMetadata { address: address.clone(), fields, stored: FieldDigests::new() });
        changes.push(Change::SetBlocked { address: address.clone(), blocked: None });
        let event = EventKind::UsedAgain { creator: *creator };
        changes.push(Change::log(address, event));
    }
}

/// The name for an address's assets of an earlier owner.
struct Keeper<'a> {
    address: &'a Address,
    record: &'a Record,
    owner: Creator,
    name: &'a Address,
    /// The name's record, if it has one.
    known: Option<&'a Record>,
}

impl Keeper<'_> {
    /// Moves the owner's `assets` to the name. With `takes_all` the address keeps nothing, and this
    /// name takes the facts that belong to no asset.
    fn take_over(&self, assets: &History, takes_all: bool, changes: &mut Vec<Change>) {
        let Self { address, record, owner, name, known } = self;
        let identity = Identity { creator: *owner, ..record.identity.clone() };
        changes.push(Change::SetIdentity { address: (*name).clone(), identity });
        let (fields, stored) = self.asked();
        changes.push(Change::SetMetadata { address: (*name).clone(), fields, stored });
        let suspected = suspicions(record, name);
        let is_known = |upload: &UploadId| known.is_some_and(|known| known.possible_duplicates.contains_key(upload));
        changes.extend(suspected.filter(|change| match change {
            Change::AddPossibleDuplicate { upload, .. } => takes_all || is_known(upload),
            _ => false,
        }));
        // The last used asset is known only if the name has all of them already.
        if known.is_some_and(|known| !assets.assets().is_subset(&known.history.assets())) {
            changes.push(Change::Unpoint { address: (*name).clone() });
        }
        let move_asset = |asset_id| Change::MoveAsset { from: (*address).clone(), to: (*name).clone(), asset_id };
        changes.extend(assets.assets().into_iter().map(move_asset));
    }

    /// Returns the metadata of the owner's assets, as far as address and name agree.
    fn asked(&self) -> (FieldDigests, FieldDigests) {
        let Self { record, owner, known, .. } = self;
        let ours = |field: &Field| {
            let is_asked_of_it = record.identity.creator == *owner && !record.overruled.contains_key(field);
            record.asked.get(field).filter(|_| is_asked_of_it)
        };
        let agreed = |field: &Field| {
            let ours = ours(field);
            let agreed = known.is_none_or(|known| known.asked.get(field) == ours);
            ours.copied().filter(|_| agreed).unwrap_or(FieldDigest::UNKNOWN)
        };
        let managed = record.asked.keys().chain(known.iter().flat_map(|known| known.asked.keys()));
        let fields: FieldDigests = managed.map(|field| (*field, agreed(field))).collect();
        let stored = known.map_or(&record.stored, |known| &known.stored).iter();
        let stored = stored.filter(|(field, _)| fields.get(field).is_some_and(|asked| *asked != FieldDigest::UNKNOWN));
        let stored = stored.map(|(field, digest)| (*field, *digest)).collect();
        (fields, stored)
    }
}

/// Returns the changes that move the possible duplicates of `record` to the address `to`.
fn suspicions(record: &Record, to: &Address) -> impl Iterator<Item = Change> {
    let of_upload = |(upload, duplicate): (&UploadId, &PossibleDuplicate)| Change::AddPossibleDuplicate {
        address: to.clone(),
        upload: *upload,
        duplicate: *duplicate,
    };
    record.possible_duplicates.iter().map(of_upload)
}

/// Chooses the addresses that are held because their creator changed, and those that also have
/// assets of an earlier owner. `only` restricts the choice.
pub(crate) fn choose(desired: &Desired, recorded: &Recorded, only: Option<&BTreeSet<Address>>) -> Choice {
    let mut choice = Choice::default();
    let chosen = desired.assets.iter().filter(|(address, _)| only.is_none_or(|only| only.contains(*address)));
    for (address, want) in chosen {
        let Some(record) = recorded.assets.get(address).filter(|record| !record.history.is_empty()) else { continue };
        let changes_owner = record.identity.creator != want.creator;
        let mut owners = record.history.owners();
        let has_own = owners.remove(&want.creator);
        if owners.is_empty() && !changes_owner {
            continue;
        }
        if let Some(why) = obstacle(address, desired, want, record, recorded) {
            if changes_owner {
                choice.left_out.insert(address.clone(), why);
            }
            continue;
        }
        let name = |owner: Creator| Some((owner, former_name(address, owner, record, desired, recorded)?));
        let Some(names) = owners.into_iter().map(name).collect() else {
            choice.left_out.insert(address.clone(), "no name is left for what it has".to_owned());
            continue;
        };
        let creator = want.creator;
        let kept = former::names(address, creator).take_while(|name| recorded.assets.contains_key(name));
        let comes_back = kept.filter(|name| may_keep(name, creator, record, desired, recorded)).collect();
        choice.separated.insert(address.clone(), Separation { names, creator, changes_owner, has_own, comes_back });
    }
    // A person named it, and what its owner would be is not known here.
    for address in only.into_iter().flatten().filter(|address| !desired.assets.contains_key(*address)) {
        let record = recorded.assets.get(address);
        if let Some(why) = record.and_then(|record| desired.is_absence_in_doubt(&record.identity.path)) {
            choice.left_out.insert(address.clone(), format!("it is missing here: {why}"));
        }
    }
    choice
}

/// Returns the obstacle to a change of owner for an address.
fn obstacle(
    address: &Address,
    desired: &Desired,
    want: &DesiredAsset,
    record: &Record,
    recorded: &Recorded,
) -> Option<String> {
    if let Some(why) = Obstacle::still_changing(address, desired, recorded, clock::now()) {
        return Some(why);
    }
    if record.identity.creator == want.creator {
        return None;
    }
    if want.pin.is_some() {
        return Some(format!("it is pinned to a revision of the old asset: `macadam unpin {address:#}` first"));
    }
    let facts = match &want.content {
        Ok(facts) => facts,
        Err(problem) => return Some(format!("its file can't be used: {}", problem.message)),
    };
    if want.asset_type != Some(record.identity.asset_type) {
        return Some(format!("its type changed, too: `macadam forget {address:#}` first"));
    }
    // The address's record after the change: with the new owner's assets, if there are any.
    let own = record.history.of_owner(want.creator);
    let after = if own.is_empty() {
        record.clone()
    } else {
        let identity = Identity { creator: want.creator, ..record.identity.clone() };
        Record { identity, history: own, points_to: None, ..record.clone() }
    };
    if record.history.rejected(facts.hash, after.identity.kind()).is_some() {
        return Some(
            "moderation rejected this content: change the file, then run `macadam recreate --creator` again".to_owned(),
        );
    }
    let (key, _) = current(want, &after)?;
    let archived = record.retirements.get(&key.asset_id).is_some_and(Retirement::is_by_hand);
    archived.then(|| format!("it was archived by hand: take it out of the manifest, or `macadam forget {address:#}`"))
}

/// Returns the name for the assets that `address`, recorded as `record`, has under `owner`: that of
/// an earlier change of owner, or the first free one.
fn former_name(
    address: &Address,
    owner: Creator,
    record: &Record,
    desired: &Desired,
    recorded: &Recorded,
) -> Option<Address> {
    former::names(address, owner).find(|name| may_keep(name, owner, record, desired, recorded))
}

/// Returns whether `name` can keep assets of `owner`, for an address recorded as `record`.
fn may_keep(name: &Address, owner: Creator, record: &Record, desired: &Desired, recorded: &Recorded) -> bool {
    let is_in_use = recorded.attempts.values().any(|attempt| attempt.address == *name)
        || desired.assets.contains_key(name)
        || desired.existing.contains_key(name);
    let fits = |known: &Record| known.identity.kind() == Kind { creator: owner, ..record.identity.kind() };
    !is_in_use && recorded.assets.get(name).is_none_or(fits)
}

/// Why the command did not begin. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecreateError {
    /// The key may not create assets for the new owner.
    #[error("the API key may not upload assets for {}: {message}", .creator.in_words())]
    Forbidden {
        /// The new owner.
        creator: Creator,
        /// Roblox's message about the key.
        message: String,
    },
    /// Without the lockfile, other machines' uploads are unknown.
    #[error("nothing was uploaded: {reason}")]
    LostLockfile {
        /// The evidence that it was lost.
        reason: String,
        /// The remedy.
        hint: String,
    },
    /// A refused key, or a signal.
    #[error("{message}")]
    Stopped {
        /// The reason.
        message: String,
        /// Whether it was the key.
        is_credential: bool,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for RecreateError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl RecreateError {
    fn lost(lost: Lost) -> Self {
        Self::LostLockfile { reason: lost.to_string(), hint: lost.hint() }
    }

    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { .. } => {
                Some("give the key access to the new owner: https://create.roblox.com/dashboard/credentials".to_owned())
            }
            Self::LostLockfile { hint, .. } => Some(hint.clone()),
            Self::Command(error) => error.hint(),
            Self::Stopped { .. } => None,
        }
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            _ => None,
        }
    }
}

/// Moves the old assets of the chosen addresses to names of their own, so that the addresses are
/// new. The caller writes the lockfile and uploads. First checks what the key may do for the new
/// owners. `missing` is the evidence found in place of the lockfile.
///
/// # Errors
/// When the key may not create assets for one of them, or the lockfile was lost.
pub(crate) async fn begin(
    context: &ExecutionContext,
    desired: &Desired,
    only: Option<&BTreeSet<Address>>,
    missing: Option<&MissingLockfile>,
) -> Result<Choice, RecreateError> {
    // The lockfile would be written anew with the new names only.
    let lost =
        |recorded: &Recorded| missing.and_then(|missing| missing.lost(desired, recorded)).map(RecreateError::lost);
    if let Some(error) = context.state_cache.read(lost) {
        return Err(error);
    }
    let choice = context.state_cache.read(|recorded| choose(desired, recorded, only));
    let owners: BTreeSet<Creator> =
        choice.changed().filter_map(|address| desired.assets.get(address)).map(|want| want.creator).collect();
    if choice.separated.is_empty() {
        return Ok(choice);
    }
    if !owners.is_empty() && !context.may_begin(&owners).await {
        let is_credential = matches!(context.stop.why(), Some(Stop::Credential { .. }));
        let message = match context.stop.why() {
            Some(
                Stop::Credential { message, .. }
                | Stop::Clock { message }
                | Stop::State { message }
                | Stop::Taken { message, .. }
                | Stop::Defect { message },
            ) => message,
            Some(Stop::Signal(_) | Stop::TimedOut) | None => "interrupted: nothing was changed".to_owned(),
        };
        return Err(RecreateError::Stopped { message, is_credential });
    }
    if let Some((creator, message)) = owners.iter().find_map(|owner| Some((*owner, context.forbidden(*owner)?))) {
        return Err(RecreateError::Forbidden { creator, message });
    }
    context.state_cache.commit_with(|recorded| choice.changes(recorded)).await?;
    failpoint::hit("recreate_begun");
    Ok(choice)
}

/// Returns the plan of a sync of these addresses after [`begin`], for the confirmation.
pub(crate) fn preview(
    desired: &Desired,
    recorded: &Recorded,
    only: Option<&BTreeSet<Address>>,
    now: Timestamp,
) -> Plan {
    let choice = choose(desired, recorded, only);
    let mut after = recorded.clone();
    for change in choice.changes(recorded) {
        // It always fits: it was chosen from this state.
        let _ = after.apply(&change, now);
    }
    let part = Restriction { addresses: choice.changed().cloned().collect(), brings_needed: false };
    plan(desired, &after, &PlanOptions { only: Some(part), ..PlanOptions::default() }, now)
}

/// An asset of an earlier owner, with its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecreatedAsset {
    pub address: Address,
    /// The name of the old assets.
    pub former: Address,
    /// The earlier owner.
    pub owner: Creator,
    /// The asset of the earlier owner.
    pub old: AssetId,
    /// The asset of the new owner; `None` if there is none yet.
    pub new: Option<AssetId>,
}

/// The assets of one address under one earlier owner.
struct Kept<'a> {
    /// The first of the names that keep them.
    former: &'a Address,
    /// Their facts, from all these names.
    record: Cow<'a, Record>,
}

impl Kept<'_> {
    /// Adds facts about the owner's assets under another name.
    fn add(&mut self, history: &History) {
        if history.assets().is_subset(&self.record.history.assets()) {
            return;
        }
        let record = self.record.to_mut();
        // It is unknown which of all these assets was used last.
        record.points_to = None;
        for (key, fact) in history.iter() {
            record.history.add(key, *fact);
            if record.history.listing(key.asset_id).is_none() {
                record.history.list(key.asset_id, history.listing(key.asset_id));
            }
        }
    }
}

/// Returns every asset that the manifest's addresses had under another owner, with its successor.
/// Includes earlier changes of owner. Each address has one row for each earlier owner.
pub(crate) fn table(desired: &Desired, recorded: &Recorded) -> Vec<RecreatedAsset> {
    let mut all: BTreeMap<(Address, Creator, AssetType), Kept<'_>> = BTreeMap::new();
    for (former, record) in &recorded.assets {
        let Kind { asset_type, creator } = record.identity.kind();
        let Some(address) = former::address_of(former, creator) else { continue };
        match all.entry((address, creator, asset_type)) {
            btree_map::Entry::Vacant(place) => {
                place.insert(Kept { former, record: Cow::Borrowed(record) });
            }
            btree_map::Entry::Occupied(mut place) => place.get_mut().add(&record.history),
        }
    }
    let rows = all.into_iter().filter_map(|((address, owner, _), mut kept)| {
        let want = desired.assets.get(&address).filter(|want| want.creator != owner)?;
        let now = recorded.assets.get(&address).filter(|record| record.identity.creator == want.creator);
        // A merge may have brought more of the old owner's assets back to the address itself.
        if let Some(record) = now {
            kept.add(&record.history.of_owner(owner));
        }
        let (key, _) = last(&kept.record)?;
        let new = now.and_then(|record| current(want, record)).map(|(key, _)| key.asset_id);
        Some(RecreatedAsset { address, former: kept.former.clone(), owner, old: key.asset_id, new })
    });
    rows.collect()
}

#[cfg(test)]
mod tests;
