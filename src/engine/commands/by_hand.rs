//! `macadam archive` and `macadam restore`: one step, through the same journal as the steps of a
//! plan.
//!
//! [`prepare`] checks the command before the user confirms it, [`carry_out`] executes it. The
//! archiving is recorded as done by hand before the request, so no sync takes it for someone else's
//! change, whatever happens in between.
//!
//! Read next: [`crate::engine::execute::context`], and `src/plan/drift.rs` for how a sync treats
//! assets that were archived by hand.

mod failure;

use std::collections::BTreeSet;

use crate::engine::commands::error;
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::execute::chain::run_step;
use crate::engine::execute::context::{AbandonedCreates, ExecutionContext};
use crate::engine::execute::effects;
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe::{self, QueryResult};
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::session::recover;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::history::{RevisionKey, RevisionState};
use crate::model::ids::AssetId;
use crate::model::observation::Mismatch;
use crate::model::phase::{Intent, Phase};
use crate::model::recorded::{AttemptId, Recorded, RetireReason, Retirement};
use crate::model::shown::with_causes;
use crate::plan::current::for_game;
use crate::plan::reason::step::StepReason;
use crate::plan::retirement::is_removed;
use crate::plan::{Action, Step, input_digest};
use crate::platform::clock;

pub(crate) use failure::ByHandError;

/// The number of times that a step in doubt is settled and sent again before the next sync has to
/// do it.
const TRIES: usize = 3;

/// The direction of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Out of use.
    Archive,
    /// Back into use.
    Restore,
}

/// A checked command.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    address: Address,
    direction: Direction,
    /// The asset and its revision.
    pub key: RevisionKey,
    /// The revision's number, as people see it.
    pub number: u64,
    /// Roblox has done it already, so it only needs recording.
    pub at_roblox: bool,
}

/// The result of the command.
#[derive(Debug)]
pub(crate) struct CommandEnd {
    /// How the step ended.
    pub outcome: Outcome,
    /// Why it was stopped, if it was.
    pub stop: Option<Stop>,
}

/// Checks whether the command is possible, locally and at Roblox. An earlier command that is in
/// doubt is settled first. `together` holds all addresses of the command.
///
/// # Errors
/// When it is not possible, or there is nothing to do.
pub(crate) async fn prepare(
    context: &ExecutionContext,
    desired: &Desired,
    address: &Address,
    direction: Direction,
    together: &BTreeSet<Address>,
) -> Result<Prepared, ByHandError> {
    let settled = settle_open(context, desired, address, direction).await?;
    let (key, number) = context.state_cache.read(|recorded| find(recorded, desired, address, direction, together))?;
    let asset_id = key.asset_id;
    let query = AssetQuery::plain(asset_id);
    let answer = match error::fetch(context, query).await {
        Ok(asset) => QueryResult::Present(Box::new(asset)),
        Err(error) if error.is_not_found() => QueryResult::Gone,
        Err(error) => return Err(error.into()),
    };
    let follow = |recorded: &Recorded| observe::apply_observation(recorded, asset_id, &answer, clock::now());
    context.state_cache.commit_with(follow).await?;
    let QueryResult::Present(asset) = answer else {
        let gone = |recorded: &Recorded| recorded.assets.get(address).is_some_and(|r| r.history.is_gone(asset_id));
        let (is_gone, address) = (context.state_cache.read(gone), address.clone());
        return Err(match is_gone {
            true => ByHandError::Gone { address, asset_id },
            false => ByHandError::NotFound { address, asset_id },
        });
    };
    let foreign = |recorded: &Recorded| Mismatch::of(recorded.assets.get(address)?.kind_of(asset_id), &asset);
    if let Some(mismatch) = context.state_cache.read(foreign) {
        return Err(ByHandError::Foreign { mismatch });
    }
    let retirement = context.state_cache.read(|recorded| {
        let retirement = recorded.assets.get(address)?.retirements.get(&asset_id)?;
        retirement.archived_at
    });
    // It may have been archived for another address that shares it, by this command or earlier.
    let for_another =
        || retirement.is_none() && context.state_cache.read(|recorded| recorded.archivings().contains_key(&asset_id));
    // The read may be older than Macadam's last write, and that write may have been undone. Where
    // they differ, the request is sent.
    let seen = context.state_cache.read(|recorded| recorded.observed(asset_id).and_then(|seen| seen.asset.archived));
    let both = [seen, asset.archived];
    let archived = match direction {
        Direction::Archive => both.into_iter().flatten().reduce(|seen, read| seen && read),
        Direction::Restore => both.into_iter().flatten().reduce(|seen, read| seen || read),
    };
    let archived = archived.unwrap_or(retirement.is_some());
    let at_roblox = match direction {
        Direction::Archive if archived && !settled && !for_another() => {
            return Err(ByHandError::Archived { address: address.clone(), asset_id });
        }
        Direction::Restore if !archived && !settled && retirement.is_none() => {
            return Err(ByHandError::NotArchived { address: address.clone(), asset_id });
        }
        Direction::Archive => archived,
        Direction::Restore if context.state_cache.read(|recorded| is_removed(address, asset_id, desired, recorded)) => {
            return Err(ByHandError::Removed { address: address.clone(), asset_id });
        }
        // Someone else restored it, and the record still says archived.
        Direction::Restore => !archived,
    };
    Ok(Prepared { address: address.clone(), direction, key, number, at_roblox })
}

/// Returns the asset of the address, if it may be taken out of use.
fn find(
    recorded: &Recorded,
    desired: &Desired,
    address: &Address,
    direction: Direction,
    together: &BTreeSet<Address>,
) -> Result<(RevisionKey, u64), ByHandError> {
    let known = || recorded.assets.keys().chain(desired.assets.keys()).cloned().collect();
    let want = desired.assets.get(address);
    let no_asset = || {
        let obstacle = Obstacle::of(address, desired, recorded, clock::now());
        ByHandError::NoAsset { address: address.clone(), obstacle }
    };
    let Some(record) = recorded.assets.get(address) else {
        return Err(match want {
            Some(_) => no_asset(),
            None => ByHandError::Unknown { address: address.clone(), known: known() },
        });
    };
    let found = for_game(desired, address, record);
    let Some((key, _)) = found else { return Err(no_asset()) };
    if direction == Direction::Archive
        && let Some(by) = user(recorded, desired, address, key.asset_id, together)
    {
        return Err(ByHandError::InUse { address: address.clone(), asset_id: key.asset_id, by });
    }
    if direction == Direction::Archive
        && let Some(by) = desired.neighbours.user(key.asset_id)
    {
        return Err(ByHandError::InUseElsewhere { address: address.clone(), asset_id: key.asset_id, by });
    }
    Ok((key, record.history.number(key)))
}

/// Returns what else in the manifest uses an asset, for a person. Addresses of the same command
/// don't count.
fn user(
    recorded: &Recorded,
    desired: &Desired,
    address: &Address,
    asset_id: AssetId,
    together: &BTreeSet<Address>,
) -> Option<String> {
    let others = desired.assets.iter().filter(|(other, _)| *other != address && !together.contains(*other));
    for (other, want) in others {
        let is_it = input_digest::asset_of(other, desired, recorded) == Some(asset_id)
            || recorded.assets.get(other).is_some_and(|record| record.points_to == Some(asset_id));
        if is_it {
            return Some(format!("`{other}`"));
        }
        let names_it = want.metadata.references().any(|shown| shown == address);
        if names_it || want.metadata.asset_ids().any(|shown| shown == asset_id) {
            return Some(format!("`{other}`, as its icon or preview"));
        }
    }
    let existing = desired.existing.iter().find(|(_, existing)| **existing == asset_id);
    existing.map(|(name, _)| format!("`{name}` of [existing]"))
}

/// Settles earlier archivings and restorings that are in doubt. Returns whether one of them did
/// what this command asks for.
async fn settle_open(
    context: &ExecutionContext,
    desired: &Desired,
    address: &Address,
    direction: Direction,
) -> Result<bool, ByHandError> {
    let mut settled = false;
    let open = context.state_cache.read(|recorded| {
        let of_it = recorded.attempts.iter().filter(|(_, attempt)| attempt.address == *address);
        of_it.map(|(id, attempt)| (*id, attempt.clone())).collect::<Vec<_>>()
    });
    let under_way = || {
        let obstacle = context.state_cache.read(|recorded| Obstacle::of(address, desired, recorded, clock::now()));
        ByHandError::UnderWay { address: address.clone(), obstacle }
    };
    for (id, attempt) in open {
        let is_it = match (&attempt.intent, &attempt.phase) {
            (Intent::Archive { .. }, Phase::InDoubt) => direction == Direction::Archive,
            (Intent::Restore { .. }, Phase::InDoubt) => direction == Direction::Restore,
            _ => return Err(under_way()),
        };
        match run(context, desired, step(address, Action::Settle { attempt: id }, StepReason::InDoubt)).await {
            Outcome::Done { .. } => settled |= is_it,
            Outcome::Superseded { .. } => {}
            _ => return Err(under_way()),
        }
    }
    Ok(settled)
}

/// Archives or restores, and records the outcome. The caller writes the lockfile. Cancelling this
/// leaves what a crash would leave.
///
/// # Errors
/// When the state can't be written.
pub(crate) async fn carry_out(
    context: &ExecutionContext,
    desired: &Desired,
    prepared: &Prepared,
) -> Result<CommandEnd, ByHandError> {
    let Prepared { address, key, number, at_roblox, .. } = prepared;
    let done = || Outcome::Done { asset_id: key.asset_id, revision: Some(*number) };
    let creator =
        context.state_cache.read(|recorded| recorded.assets.get(address).map(|record| record.identity.creator));
    let outcome = if *at_roblox {
        context.state_cache.commit_with(|recorded| written_down(recorded, prepared)).await?;
        done()
    } else if context.may_begin(&creator.into_iter().collect()).await {
        journalled(context, desired, prepared).await?
    } else {
        Outcome::NotBegun
    };
    context.save_limits().await?;
    Ok(CommandEnd { outcome, stop: context.stop.why() })
}

/// Returns the changes to record once Roblox has done it.
fn written_down(recorded: &Recorded, prepared: &Prepared) -> Vec<Change> {
    let Prepared { address, direction, key, .. } = prepared;
    let asset_id = key.asset_id;
    match direction {
        Direction::Archive => {
            let known = recorded.assets.get(address).and_then(|record| record.retirements.get(&asset_id));
            let since = known.map_or_else(clock::now, |retirement| retirement.since);
            let retirement = Retirement { why: RetireReason::ByHand, since, archived_at: Some(clock::now()) };
            vec![Change::SetRetirement { address: address.clone(), asset_id, retirement: Some(retirement) }]
        }
        Direction::Restore => effects::restored(recorded, asset_id),
    }
}

async fn journalled(
    context: &ExecutionContext,
    desired: &Desired,
    prepared: &Prepared,
) -> Result<Outcome, ByHandError> {
    let Prepared { address, direction, key, .. } = prepared;
    let asset_id = key.asset_id;
    let before = context.state_cache.read(|recorded| {
        let record = recorded.assets.get(address);
        let retirement = record.and_then(|record| record.retirements.get(&asset_id)).copied();
        let said = record.and_then(|record| record.refused_archivings.get(&asset_id)).cloned();
        (retirement, said, record.and_then(|record| record.blocked.as_deref().cloned()))
    });
    let retire = |retirement| Change::SetRetirement { address: address.clone(), asset_id, retirement };
    let action = match direction {
        Direction::Archive => {
            let retirement = Retirement { why: RetireReason::ByHand, since: clock::now(), archived_at: None };
            context.state_cache.commit(vec![retire(Some(retirement))]).await?;
            Action::Archive { asset_id, why: RetireReason::ByHand }
        }
        Direction::Restore => Action::Restore { asset_id, repairs: false },
    };
    let mut outcome = until_known(context, desired, step(address, action, StepReason::ByHand)).await;
    let is_rejected = |recorded: &Recorded| {
        let record = recorded.assets.get(address);
        record.and_then(|record| record.history.get(*key)).is_some_and(|fact| fact.state == RevisionState::Rejected)
    };
    if let Outcome::Refused { message, hint } = &mut outcome {
        *message = format!("{address}: {message}");
        if hint.is_none() && context.state_cache.read(is_rejected) {
            *hint = Some("moderation rejected this asset, so no game can use it: there is nothing to do".to_owned());
        }
    }
    let (retirement, said, blocked) = before;
    let is_open = in_doubt(context, address).is_some();
    let mut changes = Vec::new();
    if !outcome.is_done() && !is_open && *direction == Direction::Archive {
        changes.push(retire(retirement));
        changes.push(Change::SetRefusedArchiving { address: address.clone(), asset_id, said });
    }
    if !is_open {
        // The outcome of the command says nothing about the manifest's steps.
        changes.push(Change::SetBlocked { address: address.clone(), blocked });
    }
    context.state_cache.commit(changes).await?;
    Ok(outcome)
}

/// Runs a step. While it is in doubt, fetches the asset, and runs it again if nothing happened.
async fn until_known(context: &ExecutionContext, desired: &Desired, step_asked: Step) -> Outcome {
    let mut outcome = run(context, desired, step_asked.clone()).await;
    for _ in 0..TRIES {
        let Some(attempt) = in_doubt(context, &step_asked.address) else { return outcome };
        let settle = step(&step_asked.address, Action::Settle { attempt }, StepReason::InDoubt);
        let settled = run(context, desired, settle).await;
        outcome = match settled {
            Outcome::Superseded { .. } => run(context, desired, step_asked.clone()).await,
            Outcome::Done { .. } => return settled,
            _ => return outcome,
        };
    }
    outcome
}

fn in_doubt(context: &ExecutionContext, address: &Address) -> Option<AttemptId> {
    context.state_cache.read(|recorded| {
        let open = recorded.attempts.iter().find(|(_, attempt)| attempt.address == *address);
        open.map(|(id, _)| *id)
    })
}

async fn run(context: &ExecutionContext, desired: &Desired, step: Step) -> Outcome {
    let mut steps =
        context.steps(std::slice::from_ref(&step), desired, AbandonedCreates::new(), context.state_cache.generation());
    steps.by_hand = true;
    let address = step.address.clone();
    tokio::select! {
        outcome = run_step(&steps, &step) => outcome,
        () = context.stop.is_cut_off() => {
            let recovered = context.state_cache.commit_with(|recorded| recover(recorded, |of| *of == address)).await;
            let message = match recovered {
                Ok(_) => "interrupted before Roblox answered".to_owned(),
                Err(error) => with_causes(&error),
            };
            Outcome::InDoubt { message }
        }
    }
}

fn step(address: &Address, action: Action, reason: StepReason) -> Step {
    Step { address: address.clone(), action, reason, after: Vec::new(), not_before: None }
}
