//! `macadam pin` and `macadam unpin`: finds the revision that a person means, and edits the pins of
//! the manifest.
//!
//! Pins are planned and executed like everything else: `src/plan/pin.rs`.

use std::collections::BTreeSet;

use crate::cloud::endpoint::Endpoint;
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::execute::rollback::{self, VersionVerdict};
use crate::engine::workspace::project::{EditManifestError, Project};
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::manifest::{self, EditError, remove_pin, set_pin};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{Desired, Pin};
use crate::model::history::RevisionKey;
use crate::model::recorded::{Record, Recorded};
use crate::model::urgency::Urgency;
use crate::plan::current::last;
use crate::plan::pinnable::{Unusable, UsableRevisions, find, numbered};
use crate::platform::clock;

/// Why an address can't be pinned. The manifest is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PinError {
    /// Neither manifest nor history has the address.
    #[error("there is no asset named `{address}`")]
    Unknown {
        /// The address as given.
        address: Address,
    },
    /// The address is known, but not in the manifest.
    #[error("`{address}` is not in the manifest")]
    NotInManifest { address: Address },
    /// The address has no revision yet.
    #[error("`{address}` has no revisions yet{}", Obstacle::ending(.obstacle.as_ref()))]
    NoRevisions {
        address: Address,
        /// What keeps the next sync from uploading it.
        obstacle: Option<Obstacle>,
    },
    /// Roblox doesn't have the version, or moderation rejected it.
    #[error("`{address}` can't be pinned to revision {number}: {why}")]
    AtRemote {
        address: Address,
        /// The revision as given.
        number: u64,
        why: String,
    },
    /// The revision can't be used.
    #[error("`{address}` can't be pinned to revision {number}, {why}")]
    Unusable {
        address: Address,
        /// The revision as given.
        number: u64,
        why: Unusable,
        /// The usable revisions.
        usable: UsableRevisions,
    },
}

impl PinError {
    /// Creates the error for a reason that Roblox gave.
    fn at_remote(address: &Address, number: u64, why: String) -> Self {
        Self::AtRemote { address: address.clone(), number, why }
    }

    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => None,
            Self::AtRemote { address, number, .. } => {
                Some(format!("`macadam history {address:#} {number} --remote` shows what Roblox says of it"))
            }
            Self::NotInManifest { address } => Some(format!("add `{address}` to the manifest again, then pin it")),
            Self::NoRevisions { obstacle, .. } => {
                Obstacle::hint_or(obstacle.as_ref(), "`macadam sync --once` uploads the first")
            }
            Self::Unusable { usable, .. } => Some(usable.to_string()),
        }
    }

    /// Returns the address that was asked for and names no asset, or none that was uploaded.
    pub(crate) const fn unknown(&self) -> Option<&Address> {
        match self {
            Self::Unknown { address } | Self::NotInManifest { address } | Self::NoRevisions { address, .. } => {
                Some(address)
            }
            _ => None,
        }
    }
}

/// The revision that each address is to be pinned to.
pub(crate) type ChosenPins = Vec<(Address, Pin, RevisionKey)>;

/// Returns the revision of each address that has this number for people.
///
/// # Errors
/// When one of them can't be pinned to it.
pub(crate) fn choose(
    desired: &Desired,
    recorded: &Recorded,
    addresses: &[Address],
    number: u64,
) -> Result<ChosenPins, PinError> {
    let chosen = |address: &Address| {
        choose_one(desired, recorded, address, number).map(|(pin, key)| (address.clone(), pin, key))
    };
    addresses.iter().map(chosen).collect()
}

/// Chooses, and asks Roblox for the versions that are to be gone back to.
///
/// # Errors
/// When one of the addresses can't be pinned to that revision, or the state can't be written.
pub(crate) async fn prepare(
    context: &ExecutionContext,
    desired: &Desired,
    addresses: &[Address],
    number: u64,
) -> Result<ChosenPins, CheckError> {
    for address in addresses {
        remember_where_it_was(&context.state_cache, address).await?;
    }
    let chosen = context.state_cache.read(|recorded| choose(desired, recorded, addresses, number))?;
    for (address, _, key) in &chosen {
        check_version(context, address, *key).await?;
    }
    Ok(chosen)
}

fn choose_one(
    desired: &Desired,
    recorded: &Recorded,
    address: &Address,
    number: u64,
) -> Result<(Pin, RevisionKey), PinError> {
    let address = || address.clone();
    let record = recorded.assets.get(&address());
    if !desired.assets.contains_key(&address()) {
        return Err(match record {
            Some(_) => PinError::NotInManifest { address: address() },
            None => PinError::Unknown { address: address() },
        });
    }
    let record = record.filter(|record| !record.history.is_empty());
    let record = record.ok_or_else(|| {
        let obstacle = Obstacle::of(&address(), desired, recorded, clock::now());
        PinError::NoRevisions { address: address(), obstacle }
    })?;
    let pin = numbered(record, number).ok_or(Unusable::NeverHad);
    let found = pin.and_then(|pin| find(record, pin).map(|(key, _)| (pin, key)));
    found.map_err(|why| {
        let usable = UsableRevisions::of(record);
        PinError::Unusable { address: address(), number, why, usable }
    })
}

/// Records the newest asset as current, if a fresh clone hasn't recorded any. Without that, the pin
/// would count as carried out before any check that the pinned asset still exists.
async fn remember_where_it_was(state_cache: &StateCache, address: &Address) -> Result<(), StateCacheError> {
    let point = |recorded: &Recorded| {
        let unknown = recorded.assets.get(address).filter(|record| record.points_to.is_none());
        let (key, _) = unknown.and_then(last)?;
        Some(Change::SetCurrentAsset { address: address.clone(), asset_id: key.asset_id })
    };
    state_cache.commit_with(|recorded| point(recorded).into_iter().collect()).await.map(|_| ())
}

/// Fetches the version of a Model to go back to, before the manifest is edited. If that fails, the
/// rollback checks it again. A rejection is recorded.
async fn check_version(context: &ExecutionContext, address: &Address, key: RevisionKey) -> Result<(), CheckError> {
    let Some(revision) = key.version else { return Ok(()) };
    let head = context.state_cache.read(|recorded| recorded.assets.get(address).and_then(Record::head));
    if head.is_some_and(|(head, _)| head == key) {
        return Ok(());
    }
    let Some(permit) = context.stop.or(context.throttle.acquire(Endpoint::GetVersion, Urgency::Rescue)).await else {
        return Ok(());
    };
    let reply = context.client.get_version(key.asset_id, revision).await;
    context.throttle.release(permit, &reply);
    let why = match VersionVerdict::of(reply.result) {
        VersionVerdict::Usable | VersionVerdict::Unknown(_) => return Ok(()),
        VersionVerdict::Missing => rollback::missing(key.asset_id, revision),
        VersionVerdict::Rejected => {
            let learn = |recorded: &Recorded| rollback::rejected(recorded, address, key.asset_id, revision);
            context.state_cache.commit_with(learn).await?;
            "moderation rejected it".to_owned()
        }
    };
    Err(PinError::at_remote(address, revision.get(), why).into())
}

/// Why a pin is not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// Roblox rules it out.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The state could not be written.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
}

/// Writes pins into the manifest, or in a rehearsal beside it, and replaces earlier ones, all of
/// them or none. Returns whether the file changed. Blocks: it waits for the disk.
///
/// # Errors
/// When the manifest can't be edited; it is unchanged then.
pub(crate) fn write(project: &Project, pins: &[(Address, Pin)]) -> Result<bool, EditManifestError<EditError>> {
    if let Some(changed) = project.pin_in_rehearsal(pins.iter().map(|(address, pin)| (address.clone(), Some(*pin))))? {
        return Ok(changed);
    }
    project.edit_manifest(|text| {
        let edited = pins.iter().try_fold(text.to_owned(), |text, (address, pin)| set_pin(&text, address, *pin));
        edited.map(Some)
    })
}

/// Removes pins from the manifest, all of them or none. Returns whether there was one. Blocks: it
/// waits for the disk.
///
/// # Errors
/// As for [`write()`].
pub(crate) fn remove(project: &Project, addresses: &[Address]) -> Result<bool, EditManifestError<EditError>> {
    if let Some(changed) = project.pin_in_rehearsal(addresses.iter().map(|address| (address.clone(), None)))? {
        return Ok(changed);
    }
    project.edit_manifest(|text| {
        let mut edited = None;
        for address in addresses {
            let before = edited.as_deref().unwrap_or(text);
            edited = remove_pin(before, address)?.or(edited);
        }
        Ok(edited)
    })
}

/// Returns every address that the manifest pins.
///
/// # Errors
/// When the text is not a manifest.
pub(crate) fn pinned(text: &str) -> Result<BTreeSet<Address>, EditError> {
    manifest::pinned(text)
}

/// Why a pin can't be taken away. The manifest is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnpinError {
    /// There is none.
    #[error("`{address}` is not pinned")]
    NotPinned { address: Address },
    /// The text is not a manifest, or the pin can't be removed from it.
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl UnpinError {
    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NotPinned { .. } => {
                "`macadam status` shows what is pinned; [pins] in the manifest lists them".to_owned()
            }
            Self::Edit(error) => error.hint(),
        }
    }
}

/// Checks that the manifest pins every one of these addresses, even one that has no other entry.
///
/// # Errors
/// When one of them is not pinned, or its pin can't be removed.
pub(crate) fn require_pinned(text: &str, addresses: &[Address]) -> Result<(), UnpinError> {
    addresses.iter().try_for_each(|address| match remove_pin(text, address)? {
        Some(_) => Ok(()),
        None => Err(UnpinError::NotPinned { address: address.clone() }),
    })
}

/// Returns whether the manifest has exactly these pins of their addresses.
pub(crate) fn are_written(text: &str, pins: &[(Address, Option<Pin>)]) -> bool {
    pins.iter().all(|(address, pin)| match pin {
        Some(pin) => set_pin(text, address, *pin).is_ok_and(|edited| edited == text),
        None => remove_pin(text, address).is_ok_and(|edited| edited.is_none()),
    })
}

/// Returns how to fix an edit of the manifest that failed.
pub(crate) fn edit_hint(error: &EditManifestError<EditError>) -> Option<String> {
    match error {
        EditManifestError::Edit { source, .. } => Some(source.hint()),
        other => other.hint(),
    }
}
