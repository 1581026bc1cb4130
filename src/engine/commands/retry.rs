//! `macadam retry`: lets the next sync try again what Roblox refused, what waits for its next try,
//! and what Roblox didn't find.
//!
//! What a repetition can't help is refused, with what would help; of several addresses it does what
//! it can. Read next: [`super::resolve`], for uploads whose outcome is unknown.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::engine::commands::error::CommandError;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::recorded::{Record, Recorded};
use crate::plan::reason::hold::HoldReason;
use crate::plan::{Action, Hold, Plan, PlanOptions, Step, plan};
use crate::platform::clock;
use crate::state::stoppage::Stoppage;

/// The number of addresses whose refusals a message tells.
const TOLD: usize = 3;

/// Why a repetition doesn't help an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoUse {
    /// Neither manifest, state nor lockfile has it.
    Unknown,
    /// Nothing is wrong.
    UpToDate,
    /// Nothing keeps the next sync from doing what is to be done for it.
    ToDo,
    /// Roblox is processing it.
    UnderWay,
    /// Something else is in the way.
    Held {
        /// What: lower case, no full stop.
        reason: String,
        /// What helps.
        hint: Option<String>,
    },
}

/// One address that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRetried {
    address: Address,
    why: NoUse,
}

impl fmt::Display for NotRetried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, why } = self;
        match why {
            NoUse::Unknown => write!(f, "there is no asset named `{address}`"),
            NoUse::UpToDate => write!(f, "there is nothing to retry: `{address}` is up to date"),
            NoUse::ToDo => write!(f, "there is nothing to retry: `{address}` is still to be uploaded"),
            NoUse::UnderWay => write!(f, "there is nothing to retry: Roblox is still processing `{address}`"),
            NoUse::Held { reason, .. } => write!(f, "a retry doesn't help `{address}`: {reason}"),
        }
    }
}

impl NotRetried {
    fn hint(&self) -> Option<String> {
        match &self.why {
            NoUse::Unknown => Some("`macadam status` lists all names".to_owned()),
            NoUse::UpToDate => None,
            NoUse::ToDo | NoUse::UnderWay => Some("`macadam sync --once` continues with it".to_owned()),
            NoUse::Held { hint, .. } => hint.clone(),
        }
    }
}

/// Why a retry did not do all that it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// Some addresses can't be helped by it.
    #[error("{}", told(.done, .not))]
    Partly {
        /// How many are tried again.
        done: usize,
        /// The others.
        not: Vec<NotRetried>,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for RetryError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl RetryError {
    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Partly { not, .. } => {
                let mut hints: Vec<String> = not.iter().take(TOLD).filter_map(NotRetried::hint).collect();
                hints.dedup();
                (!hints.is_empty()).then(|| hints.join("; "))
            }
            Self::Command(error) => error.hint(),
        }
    }

    /// Returns whether all that it couldn't help is still to be sent, and held by nothing of its own.
    pub(crate) fn is_still_to_be_sent(&self) -> bool {
        matches!(self, Self::Partly { not, .. } if not.iter().all(|not| not.why == NoUse::ToDo))
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            Self::Partly { .. } => None,
        }
    }

    /// Returns the one unknown address, if nothing else is wrong.
    pub(crate) fn unknown(&self) -> Option<&Address> {
        self.alone().filter(|not| matches!(not.why, NoUse::Unknown)).map(|not| &not.address)
    }

    /// Returns the address, if it was the only one.
    pub(crate) fn only(&self) -> Option<&Address> {
        self.alone().map(|not| &not.address)
    }

    fn alone(&self) -> Option<&NotRetried> {
        match self {
            Self::Partly { done: 0, not } => match not.as_slice() {
                [not] => Some(not),
                _ => None,
            },
            Self::Partly { .. } | Self::Command(_) => None,
        }
    }
}

fn told(done: &usize, not: &[NotRetried]) -> String {
    let mut parts: Vec<String> = not.iter().take(TOLD).map(ToString::to_string).collect();
    let more = not.len().saturating_sub(TOLD);
    parts.extend((more > 0).then(|| format!("{more} more can't be helped by a retry")));
    parts.extend(match done {
        0 => None,
        1 => Some("the other one is tried again".to_owned()),
        done => Some(format!("the other {done} are tried again")),
    });
    parts.join("; ")
}

/// Returns what to do about uploads that stand still because of the key: the hint, and what tries it again.
pub(crate) fn way_on(stoppage: &Stoppage, is_served: bool) -> String {
    let again = try_again(stoppage, is_served);
    match (stoppage.hint.as_str(), &stoppage.restart) {
        ("", _) => again,
        (hint, Some(_)) if is_served => format!("{hint}; {again}"),
        (hint, _) => format!("{hint}; then {again}"),
    }
}

/// Returns what tries uploads again that stood still because of the key.
pub(crate) fn try_again(Stoppage { restart, .. }: &Stoppage, is_served: bool) -> String {
    match (is_served, restart) {
        (true, Some(restart)) => keeps_key(restart),
        (true, None) => "`macadam retry --all` has the running `macadam sync` try it again at once".to_owned(),
        (false, _) => "`macadam sync --once` tries all of it again".to_owned(),
    }
}

/// Says that a running service can't read another key, and how to give it one.
pub(crate) fn keeps_key(restart: &str) -> String {
    format!("the running `macadam sync` can't read another key by itself: {restart}")
}

/// Ends the refusal or back-off of these addresses, as far as that helps; assets that Roblox didn't
/// find are fetched again.
///
/// # Errors
/// When some can't be helped by it; the others are done. When the state can't be written.
pub(crate) async fn retry(
    state_cache: &StateCache,
    desired: &Desired,
    addresses: &[Address],
) -> Result<(), RetryError> {
    let (mut changes, mut done, mut not) = (Vec::new(), 0, Vec::new());
    state_cache.read(|recorded| {
        let now = clock::now();
        let plan = plan(desired, recorded, &PlanOptions::default(), now);
        for address in addresses {
            match judge(address, desired, recorded, &plan) {
                Ok(()) => {
                    done += 1;
                    changes.extend(again(address, recorded, &plan));
                }
                Err(why) => not.push(NotRetried { address: address.clone(), why }),
            }
        }
    });
    state_cache.commit(changes).await?;
    if not.is_empty() { Ok(()) } else { Err(RetryError::Partly { done, not }) }
}

/// Returns the addresses that a retry helps.
pub(crate) fn eligible<'a>(desired: &Desired, recorded: &'a Recorded, now: Timestamp) -> Vec<&'a Address> {
    let plan = plan(desired, recorded, &PlanOptions::default(), now);
    recorded.assets.keys().filter(|address| judge(address, desired, recorded, &plan).is_ok()).collect()
}

/// Returns the addresses that something holds and that no retry helps, with what would.
pub(crate) fn helpless(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Vec<NotRetried> {
    let plan = plan(desired, recorded, &PlanOptions::default(), now);
    let held: BTreeSet<&Address> = plan.held.iter().map(|hold| &hold.address).collect();
    let not_retried = |address: &Address| match judge(address, desired, recorded, &plan) {
        Err(why @ NoUse::Held { .. }) => Some(NotRetried { address: address.clone(), why }),
        Ok(()) | Err(_) => None,
    };
    held.into_iter().filter_map(not_retried).collect()
}

fn judge(address: &Address, desired: &Desired, recorded: &Recorded, plan: &Plan) -> Result<(), NoUse> {
    let record = recorded.assets.get(address);
    if record.is_none() && !desired.assets.contains_key(address) {
        return Err(NoUse::Unknown);
    }
    let mut holds: Vec<&Hold> = plan.held.iter().filter(|hold| hold.address == *address).collect();
    holds.sort_by_key(|hold| hold.part);
    if holds.iter().any(|hold| matches!(hold.reason, HoldReason::ArchivingRefused { .. })) {
        return Ok(());
    }
    let is_stopped = record.is_some_and(|record| record.blocked.is_some() || !lost(recorded, record).is_empty());
    let helps = |reason: &HoldReason| {
        matches!(
            reason,
            HoldReason::Refused { .. }
                | HoldReason::AssetGone
                | HoldReason::ContentGone { .. }
                | HoldReason::NotFound { .. }
        )
    };
    match holds.first() {
        Some(hold) if is_stopped && helps(&hold.reason) => Ok(()),
        Some(hold) => Err(NoUse::Held { reason: hold.reason.to_string(), hint: hold.hint() }),
        None if is_stopped => Ok(()),
        None => {
            let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.address == *address).collect();
            let is_under_way = steps.iter().any(|step| matches!(step.action, Action::Wait { .. }));
            Err(match steps.as_slice() {
                [] => NoUse::UpToDate,
                _ if is_under_way => NoUse::UnderWay,
                _ => NoUse::ToDo,
            })
        }
    }
}

/// Returns the changes that have an address tried again.
fn again(address: &Address, recorded: &Recorded, plan: &Plan) -> Vec<Change> {
    let Some(record) = recorded.assets.get(address) else { return Vec::new() };
    let unblocked = record.blocked.as_deref().map(|_| Change::SetBlocked { address: address.clone(), blocked: None });
    let lost = lost(recorded, record).into_iter().map(|asset_id| Change::MarkOutdated { asset_id });
    let refused = plan.held.iter().filter(|hold| hold.address == *address).filter_map(|hold| match hold.reason {
        HoldReason::ArchivingRefused { asset_id, .. } => Some(asset_id),
        _ => None,
    });
    // It may have been refused for another address that has the asset too.
    let refused = refused.flat_map(|asset_id| {
        recorded.owners(asset_id).map(move |(address, _)| {
            let address = address.clone();
            Change::SetRefusedArchiving { address, asset_id, said: None }
        })
    });
    unblocked.into_iter().chain(lost).chain(refused).collect()
}

/// Returns the assets of an address that Roblox didn't find.
fn lost(recorded: &Recorded, record: &Record) -> Vec<AssetId> {
    let lost = |asset_id: &AssetId| record.history.is_gone(*asset_id) || recorded.not_found.contains_key(asset_id);
    record.history.assets().into_iter().filter(lost).collect()
}
