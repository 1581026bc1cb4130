//! `macadam forget`: drops an address from state and lockfile. Its assets at Roblox stay as they
//! are.
//!
//! Read next: [`crate::engine::commands::import`] for the reverse.

use jiff::Timestamp;

use crate::engine::commands::error::CommandError;
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::event::EventKind;
use crate::model::ids::AssetId;
use crate::model::phase::{Intent, Phase};
use crate::model::recorded::Recorded;
use crate::plan::in_doubt::is_overdue;
use crate::plan::reason::lost_upload::{LostUpload, resolve_hint};
use crate::platform::clock;

/// The result of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForgetReport {
    /// Each address, in the order given.
    pub each: Vec<ForgottenAddress>,
    /// Whether the lockfile was written.
    pub lockfile_written: bool,
}

impl ForgottenAddress {
    /// Returns what to look for at Roblox, if uploads of the address may have made assets whose IDs
    /// are unknown.
    pub(crate) fn advice(&self) -> Option<String> {
        let copies = match self.suspected {
            0 => return None,
            1 => "1 more copy of it".to_owned(),
            several => format!("{several} more copies of it"),
        };
        Some(format!(
            "there may be {copies} on Roblox, from uploads whose answers were lost: look at create.roblox.com"
        ))
    }
}

/// A forgotten address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForgottenAddress {
    pub address: Address,
    /// Its assets, in the order in which it had them.
    pub asset_ids: Vec<AssetId>,
    /// Those of its assets that other addresses keep.
    pub shared: Vec<AssetId>,
    /// The number of its uploads that may have made assets whose IDs are unknown. They are
    /// forgotten too.
    pub suspected: u64,
}

/// Why an address was not forgotten. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The address is unknown.
    #[error("there is no asset named `{address}`")]
    Unknown {
        /// The address as given.
        address: Address,
        /// The known addresses, for suggestions.
        known: Vec<Address>,
    },
    /// It was forgotten before.
    #[error("`{address}` was forgotten; it had {}", names(.asset_ids))]
    Already {
        /// The address.
        address: Address,
        /// The assets that it had.
        asset_ids: Vec<AssetId>,
    },
    /// A change is open whose result would be lost.
    #[error("Macadam is still changing `{address}`, and would lose the result")]
    UnderWay {
        /// The address.
        address: Address,
    },
    /// A create in doubt may have made an asset that would be lost.
    #[error("it is still unknown whether an upload of `{address}` arrived on Roblox")]
    InDoubt {
        /// The address.
        address: Address,
        /// The upload.
        upload: LostUpload,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for ForgetError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl From<KeepError> for ForgetError {
    fn from(error: KeepError) -> Self {
        Self::Command(error.into())
    }
}

impl ForgetError {
    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnderWay { .. } => Some("run `macadam sync --once` first".to_owned()),
            Self::InDoubt { address, upload } => Some(resolve_hint(address, upload)),
            Self::Already { address, asset_ids } => Some(way_back(address, asset_ids)),
            Self::Command(error) => error.hint(),
            Self::Unknown { .. } => None,
        }
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the address that was asked for and names no asset.
    pub(crate) const fn unknown(&self) -> Option<&Address> {
        match self {
            Self::Unknown { address, .. } => Some(address),
            _ => None,
        }
    }
}

fn names(asset_ids: &[AssetId]) -> String {
    let names: Vec<String> = asset_ids.iter().map(|id| format!("asset {id}")).collect();
    names.join(", ")
}

/// Returns the command that restores a forgotten address, for a person.
pub(crate) fn way_back(address: &Address, asset_ids: &[AssetId]) -> String {
    match asset_ids {
        [asset_id] => format!("`macadam import {address:#} {asset_id} --content-matches` takes it back"),
        _ => format!("`macadam import {address:#} ASSET_ID --content-matches` takes one of them back"),
    }
}

/// Returns the assets that an address had when it was forgotten; none if it is known, or never was.
pub(crate) fn forgotten_assets(recorded: &Recorded, address: &Address) -> Vec<AssetId> {
    if recorded.assets.contains_key(address) {
        return Vec::new();
    }
    let forgotten = recorded.forgotten.get(address);
    forgotten.iter().flat_map(|forgotten| forgotten.iter()).map(|(asset_id, _)| asset_id).collect()
}

/// Drops addresses from state and lockfile, all of them or none.
///
/// # Errors
/// When one of them is unknown, or a change of it is open.
pub(crate) async fn forget(session: &mut Session, addresses: &[Address]) -> Result<ForgetReport, ForgetError> {
    // The lockfile is read before the address is forgotten: a later read would bring it back.
    session.lockfile.read(&session.state_cache).await?;
    let may = |recorded: &Recorded| {
        let each = addresses.iter().map(|address| may_forget(recorded, address, addresses, clock::now()));
        each.collect::<Result<Vec<ForgottenAddress>, ForgetError>>()
    };
    let each = session.state_cache.read(may)?;
    let changes = each.iter().flat_map(|ForgottenAddress { address, asset_ids, suspected, .. }| {
        let event = EventKind::Forgotten { asset_ids: asset_ids.to_vec(), suspected: *suspected };
        [Change::Forget { address: address.clone() }, Change::log(address, event)]
    });
    session.state_cache.commit(changes.collect()).await?;
    let lockfile_written = session.keep(None).await?;
    Ok(ForgetReport { each, lockfile_written })
}

/// Checks that `address` may be forgotten with all of `together`, and returns what it has.
fn may_forget(
    recorded: &Recorded,
    address: &Address,
    together: &[Address],
    now: Timestamp,
) -> Result<ForgottenAddress, ForgetError> {
    let Some(record) = recorded.assets.get(address) else {
        let asset_ids = forgotten_assets(recorded, address);
        if !asset_ids.is_empty() {
            return Err(ForgetError::Already { address: address.clone(), asset_ids });
        }
        let known = recorded.assets.keys().cloned().collect();
        return Err(ForgetError::Unknown { address: address.clone(), known });
    };
    let mut suspected = record.suspected();
    for attempt in recorded.attempts.values().filter(|attempt| attempt.address == *address) {
        // Nobody waits any longer for the asset that Roblox may still make.
        let is_counted = |upload| record.possible_duplicates.contains_key(&upload);
        let may_make_one = attempt.intent.upload().is_some_and(|upload| !is_counted(upload));
        suspected += u64::from(may_make_one && !matches!(attempt.phase, Phase::Intended | Phase::Closed(_)));
        match (&attempt.phase, &attempt.intent) {
            // It was never sent.
            (Phase::Intended | Phase::Closed(_), _) => {}
            // An operation that never ends must not block the command for ever.
            (Phase::SetAside(_), _) => {}
            (Phase::Submitted(_), _) if is_overdue(attempt, now) => {}
            (Phase::HandedOver | Phase::InDoubt | Phase::Held, Intent::Create { .. }) => {
                let upload = LostUpload::of(attempt, None);
                return Err(ForgetError::InDoubt { address: address.clone(), upload });
            }
            (Phase::HandedOver | Phase::InDoubt | Phase::Held | Phase::Submitted(_), _) => {
                return Err(ForgetError::UnderWay { address: address.clone() });
            }
        }
    }
    let mut asset_ids: Vec<AssetId> = record.history.in_order().iter().map(|(key, _)| key.asset_id).collect();
    asset_ids.dedup();
    let others = || recorded.assets.iter().filter(|(other, _)| !together.contains(other));
    let has = |asset_id: AssetId| others().any(|(_, other)| other.history.of_asset(asset_id).next().is_some());
    let shared = asset_ids.iter().copied().filter(|asset_id| has(*asset_id)).collect();
    Ok(ForgottenAddress { address: address.clone(), asset_ids, shared, suspected })
}
