//! New assets for a new owner: an asset can't change hands, so after a change of `[creator]` each
//! address that is held because of it gets another one.
//!
//! What the address had stays known under a name of its own, `ADDRESS@OWNER`, as an address that
//! left the manifest: its history, and whether it is kept or archived. All of that is one
//! transaction; the uploads after it are those of any new address, so a crash in between costs
//! nothing. When the manifest goes back to the earlier owner, an address takes over what it had, as
//! in any move.
//!
//! Read next: `src/plan/moves.rs`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::execute::context::ExecutionContext;
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::change::{Change, Event};
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::ids::{AssetId, Creator};
use crate::model::missing_lockfile::{Lost, MissingLockfile};
use crate::model::recorded::{Record, Recorded, RetireReason};
use crate::plan::current::{current, last};
use crate::plan::{Plan, PlanOptions, plan};
use crate::platform::failpoint;

/// Which addresses get new assets, and which of those that are held can't.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Choice {
    /// By address, the name that keeps what it had.
    pub renamed: BTreeMap<Address, Address>,
    /// By address, what is in the way, for a person.
    pub left_out: BTreeMap<Address, String>,
}

impl Choice {
    /// What is to become known, in one transaction.
    pub(crate) fn changes(&self, recorded: &Recorded) -> Vec<Change> {
        let mut changes = Vec::new();
        for (address, name) in &self.renamed {
            let Some(record) = recorded.assets.get(address) else { continue };
            let asset = last(record).map(|(key, _)| format!(" asset {}", key.asset_id)).unwrap_or_default();
            let message = format!("its owner changed: the old asset,{asset}, is called `{name}` from now on");
            changes.push(Change::Move { from: address.clone(), to: name.clone() });
            changes.push(Change::SetRemoved { address: name.clone(), removed: true });
            let event = Event { kind: "recreated", message };
            changes.push(Change::LogEvent { address: Some(name.clone()), event });
        }
        changes
    }
}

/// Chooses the addresses that are held because their creator changed; of `only` these, where that
/// is given.
pub(crate) fn choose(desired: &Desired, recorded: &Recorded, only: Option<&BTreeSet<Address>>) -> Choice {
    let mut choice = Choice::default();
    let chosen = desired.assets.iter().filter(|(address, _)| only.is_none_or(|only| only.contains(*address)));
    for (address, want) in chosen {
        let Some(record) = recorded.assets.get(address).filter(|record| !record.history.is_empty()) else { continue };
        if record.identity.creator == want.creator {
            continue;
        }
        match obstacle(address, want, record, recorded) {
            Some(why) => {
                choice.left_out.insert(address.clone(), why);
            }
            None => match free_name(address, record.identity.creator, desired, recorded, &choice) {
                Some(name) => {
                    choice.renamed.insert(address.clone(), name);
                }
                None => {
                    choice.left_out.insert(address.clone(), "no name is left for what it has".to_owned());
                }
            },
        }
    }
    choice
}

/// What keeps an address from getting a new asset now.
fn obstacle(address: &Address, want: &DesiredAsset, record: &Record, recorded: &Recorded) -> Option<String> {
    if recorded.attempts.values().any(|attempt| attempt.address == *address) {
        return Some("Macadam is still changing it: run `macadam sync --once` first".to_owned());
    }
    if want.pin.is_some() {
        return Some(format!("it is pinned to a revision of the old asset: `macadam unpin {address}` first"));
    }
    let facts = match &want.content {
        Ok(facts) => facts,
        Err(problem) => return Some(format!("its file can't be used: {}", problem.message)),
    };
    if want.asset_type != Some(record.identity.asset_type) {
        return Some("its type changed, too: `macadam forget` it".to_owned());
    }
    if record.history.rejected(facts.hash, record.identity.kind()).is_some() {
        return Some("moderation rejected this content: change the file first".to_owned());
    }
    let (key, _) = current(want, record)?;
    let by_hand = |why, archived| why == RetireReason::ByHand && archived;
    let retirements = record.retirements.get(&key.asset_id);
    let archived = retirements.is_some_and(|retirements| by_hand(retirements.why, retirements.archived_at.is_some()));
    archived.then(|| "it was archived by hand: take it out of the manifest, or `macadam forget` it".to_owned())
}

/// `ADDRESS@OWNER`, with a number where that is taken by an earlier change of the same kind.
fn free_name(
    address: &Address,
    owner: Creator,
    desired: &Desired,
    recorded: &Recorded,
    choice: &Choice,
) -> Option<Address> {
    let names = (1_u32..).map(|number| match number {
        1 => format!("{address}@{owner}"),
        number => format!("{address}@{owner}#{number}"),
    });
    let mut names = names.map_while(|name| Address::new(&name).ok());
    names.find(|name| {
        let taken = recorded.assets.contains_key(name)
            || recorded.attempts.values().any(|attempt| attempt.address == *name)
            || desired.assets.contains_key(name)
            || desired.existing.contains_key(name)
            || choice.renamed.values().any(|other| other == name);
        !taken
    })
}

/// Why nothing was begun. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecreateError {
    /// The key may not make assets for the new owner.
    #[error("the API key may not upload assets for {creator}: {message}")]
    Forbidden {
        /// The new owner.
        creator: Creator,
        /// What Roblox says of the key.
        message: String,
    },
    /// What another machine uploaded is unknown without the lockfile.
    #[error("nothing was uploaded: {reason}")]
    LostLockfile {
        /// What shows that it was lost.
        reason: String,
        /// What would mend it.
        hint: String,
    },
    /// A refused key, or a signal.
    #[error("{message}")]
    Stopped {
        /// What stopped it.
        message: String,
        /// It was the key.
        is_credential: bool,
    },
    /// The state could not be written.
    #[error(transparent)]
    Book(#[from] StateCacheError),
}

impl RecreateError {
    fn lost(lost: Lost<'_>) -> Self {
        Self::LostLockfile { reason: lost.to_string(), hint: lost.hint() }
    }

    /// What would mend it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Forbidden { .. } => {
                Some("give the key access to the new owner: https://create.roblox.com/dashboard/credentials".to_owned())
            }
            Self::LostLockfile { hint, .. } => Some(hint.clone()),
            Self::Stopped { .. } | Self::Book(_) => None,
        }
    }
}

/// Keeps what the chosen addresses had under names of its own, so that they are new from then on;
/// the lockfile and the uploads are the caller's. Asks first what the key may do for the new
/// owners. `missing` is what was found in place of the lockfile.
///
/// # Errors
/// When the key may not make assets for one of them, or the lockfile was lost.
pub(crate) async fn begin(
    context: &ExecutionContext,
    desired: &Desired,
    only: Option<&BTreeSet<Address>>,
    missing: Option<&MissingLockfile>,
) -> Result<Choice, RecreateError> {
    // It would be written anew with the new names, as if nothing else had been in it.
    let lost =
        |recorded: &Recorded| missing.and_then(|missing| missing.lost(desired, recorded)).map(RecreateError::lost);
    if let Some(error) = context.state_cache.read(lost) {
        return Err(error);
    }
    let choice = context.state_cache.read(|recorded| choose(desired, recorded, only));
    let owners = choice.renamed.keys().filter_map(|address| desired.assets.get(address));
    let owners: BTreeSet<Creator> = owners.map(|want| want.creator).collect();
    if owners.is_empty() {
        return Ok(choice);
    }
    if !context.may_begin(&owners).await {
        let is_credential = matches!(context.stop.why(), Some(Stop::Credential { .. }));
        let message = match context.stop.why() {
            Some(
                Stop::Credential { message, .. }
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

/// What a sync of these addresses would do after [`begin`], for whoever is to agree to it.
pub(crate) fn preview(
    desired: &Desired,
    recorded: &Recorded,
    only: Option<&BTreeSet<Address>>,
    now: Timestamp,
) -> Plan {
    let choice = choose(desired, recorded, only);
    let mut after = recorded.clone();
    for change in choice.changes(recorded) {
        // It fits: it was chosen from this very state.
        let _ = after.apply(&change, now);
    }
    let mut plan = plan(desired, &after, &PlanOptions::default(), now);
    plan.restrict(&choice.renamed.keys().cloned().collect(), desired);
    plan
}

/// One asset of an earlier owner, with the one that took its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecreatedAsset {
    /// The address.
    pub address: Address,
    /// The name that keeps what it had.
    pub former: Address,
    /// The earlier owner.
    pub owner: Creator,
    /// The asset of the earlier owner.
    pub old: AssetId,
    /// The asset of the new one; `None` while there is none.
    pub new: Option<AssetId>,
}

/// Every asset that the manifest's addresses had under another owner, also from earlier changes:
/// old and new.
pub(crate) fn table(desired: &Desired, recorded: &Recorded) -> Vec<RecreatedAsset> {
    let rows = recorded.assets.iter().filter_map(|(former, record)| {
        let owner = record.identity.creator;
        let address = address_of(former, owner)?;
        let want = desired.assets.get(&address).filter(|want| want.creator != owner)?;
        let (key, _) = last(record)?;
        let now = recorded.assets.get(&address).filter(|record| record.identity.creator == want.creator);
        let new = now.and_then(|record| current(want, record)).map(|(key, _)| key.asset_id);
        Some(RecreatedAsset { address, former: former.clone(), owner, old: key.asset_id, new })
    });
    rows.collect()
}

/// The address whose earlier assets have this name, if they have one that [`free_name`] gives.
fn address_of(former: &Address, owner: Creator) -> Option<Address> {
    let (address, rest) = former.as_str().rsplit_once('@')?;
    let rest = rest.strip_prefix(&owner.to_string())?;
    let number = rest.strip_prefix('#').is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 1));
    (rest.is_empty() || number).then(|| Address::new(address).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{GroupId, UserId};

    #[test]
    fn a_name_tells_whose_it_was() {
        let (user, group) = (Creator::User(UserId::new(1).unwrap()), Creator::Group(GroupId::new(7).unwrap()));
        let check = |former: &str, owner: Creator, expected: Option<&str>| {
            let found = address_of(&Address::new(former).unwrap(), owner);
            assert_eq!(found.as_ref().map(Address::as_str), expected, "{former}");
        };
        check("sword@user:1", user, Some("sword"));
        check("ui/close@2x.png@group:7", group, Some("ui/close@2x.png"));
        check("sword@user:1#2", user, Some("sword"));
        check("sword@user:1#1", user, None);
        check("sword@user:12", user, None);
        check("sword@user:1", group, None);
        check("sword", user, None);
    }
}
