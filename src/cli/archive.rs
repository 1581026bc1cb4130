//! `macadam archive` and `macadam restore`: assets out of use by hand, and back. Of several each is
//! done for itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::args::{ArchiveArgs, Global, RestoreArgs};
use super::command_context::{CommandContext, CommandResult, Shortfall, documents};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural, problems_json};
use super::question::{ask, asks};
use super::renamed;
use super::selection::{AddressSelection, Candidates};
use super::service_client::{self, is_served, through_service};
use super::target::{self, ProjectTarget};
use super::unknown::unknown_address;
use crate::engine::commands::by_hand::{self, ByHandError, CommandEnd, Direction, Prepared};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::recorded::Record;
use crate::model::request::{Request, RequestDone};
use crate::model::shown::with_causes;
use crate::plan::current::last;

impl From<ByHandError> for CommandFailure {
    fn from(error: ByHandError) -> Self {
        match error {
            ByHandError::Command(error) => error.into(),
            ByHandError::Unknown { address, known } => {
                unknown_address(address.as_str(), known.iter().map(Address::as_str))
            }
            error => {
                let unknown = error.unknown().map(ToString::to_string);
                Self { unknown, ..Self::of(Exit::Unreconciled, &error, error.hint()) }
            }
        }
    }
}

/// Archives the assets of addresses, one after another.
pub(super) async fn archive(output: Printer, global: &Global, args: &ArchiveArgs) -> Result<Exit, CommandFailure> {
    run(output, global, &args.addresses, Direction::Archive, args.yes).await
}

/// Restores the assets of addresses, one after another.
pub(super) async fn restore(output: Printer, global: &Global, args: &RestoreArgs) -> Result<Exit, CommandFailure> {
    run(output, global, &args.addresses, Direction::Restore, true).await
}

async fn run(
    output: Printer,
    global: &Global,
    texts: &[String],
    direction: Direction,
    yes: bool,
) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    // Without a usable manifest nothing is attempted, and no state is made.
    read_manifest(&target.project)?;
    let selection = AddressSelection::read(texts, || {
        let view = StateSnapshot::open(&target.project, &target.remote)?;
        let fits = view.recorded.assets.iter().filter(|(_, record)| has_to_do(record, direction));
        let what = match direction {
            Direction::Archive => "can be archived: each is archived already, or has no asset",
            Direction::Restore => "is archived",
        };
        Ok(Candidates { eligible: fits.map(|(address, _)| address.clone()).collect(), known: view.known(), what })
    })?;
    let exit = match selection.addresses.as_slice() {
        [address] if selection.is_single => run_one(output, global, &target, address, direction, yes).await?,
        _ => run_all(output, global, &target, &selection, direction, yes).await?,
    };
    if exit == Exit::Success && !output.is_json() {
        renamed::tell(output, &target, &selection.addresses);
    }
    Ok(exit)
}

/// Whether a glob means an address: it has an asset, which is archived or not as far as is known
/// here.
fn has_to_do(record: &Record, direction: Direction) -> bool {
    let Some((key, _)) = last(record) else { return false };
    let archived = record.retirements.get(&key.asset_id).is_some_and(|retirement| retirement.archived_at.is_some());
    archived == (direction == Direction::Restore)
}

const fn command_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Archive => "macadam archive",
        Direction::Restore => "macadam restore",
    }
}

const fn word_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Archive => "archived:",
        Direction::Restore => "restored:",
    }
}

/// `together` are all addresses that the command names.
fn request_of(address: &Address, direction: Direction, together: &BTreeSet<Address>) -> Request {
    let together = together.iter().filter(|other| *other != address).cloned().collect();
    match direction {
        Direction::Archive => Request::Archive { address: address.clone(), together },
        Direction::Restore => Request::Restore { address: address.clone() },
    }
}

async fn run_one(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    address: &Address,
    direction: Direction,
    yes: bool,
) -> Result<Exit, CommandFailure> {
    let (request, word) = (request_of(address, direction, &BTreeSet::new()), word_of(direction));
    if direction == Direction::Archive && asks(output, yes) && is_served(target)? {
        let question = format!("This archives the asset of {address}. Games can't use it until you restore it.");
        // No lock is taken and nothing has started: a signal just ends the process.
        if !tokio::task::block_in_place(|| ask(output, &[question])) {
            return Ok(Exit::Unreconciled);
        }
    }
    if let Some(answer) = through_service(output, global, target, &request).await? {
        service_client::tell(output, address, answer, word, target::is_local(global));
        return Ok(Exit::Success);
    }
    let mut command = CommandContext::open(output, global, target, command_of(direction)).await?;
    let ended = match command.session.wanted(command.bars.listener()).await {
        Ok(desired) => carry_out(output, &mut command, &desired, address, direction, yes).await,
        Err(error) => Err(error.into()),
    };
    command.close().await;
    match ended? {
        Some(done) => Ok(tell(output, address, direction, &done, target::is_local(global))),
        None => Ok(Exit::Unreconciled),
    }
}

/// The result for one of several addresses.
enum Each {
    Done {
        told: CommandResult,
        lockfile_written: bool,
        /// The service commits it.
        has_command: bool,
    },
    /// The asset was in that state already, and only a glob named it.
    Unchanged(String),
    Failed(CommandResult, CommandFailure),
}

/// Each for itself: one that can't be done keeps no other from it. What ends everything ends it,
/// and the rest is not begun.
async fn run_all(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    selection: &AddressSelection,
    direction: Direction,
    yes: bool,
) -> Result<Exit, CommandFailure> {
    let (mut command, mut each, mut wanted) = (None, Vec::new(), None);
    let mut changed = BTreeSet::new();
    let together: BTreeSet<Address> = selection.addresses.iter().cloned().collect();
    if direction == Direction::Archive && asks(output, yes) {
        let question = match selection.addresses.as_slice() {
            [address] => format!("This archives the asset of {address}. Games can't use it until you restore it."),
            several => format!("This archives {} assets. Games can't use them until you restore them.", several.len()),
        };
        if !tokio::task::block_in_place(|| ask(output, &[question])) {
            return Ok(Exit::Unreconciled);
        }
    }
    for address in &selection.addresses {
        if command.is_none() {
            let request = request_of(address, direction, &together);
            match through_service(output, global, target, &request).await {
                Ok(Some(RequestDone { asset_id, revision, lockfile_written, has_command, notes })) => {
                    let more = vec![("notes", json!(notes)), ("by_service", json!(true))];
                    let told = CommandResult { asset_id, revision, outcome: "done", more };
                    each.push((address.clone(), Each::Done { told, lockfile_written, has_command }));
                    continue;
                }
                Ok(None) => {
                    let mut open = CommandContext::open(output, global, target, command_of(direction)).await?;
                    wanted = Some(open.session.wanted(open.bars.listener()).await);
                    command = Some(open);
                }
                Err(failure) => {
                    let ends = matches!(failure.exit, Exit::Credential | Exit::Busy | Exit::Unusable | Exit::Signal(_));
                    each.push((
                        address.clone(),
                        Each::Failed(CommandResult { outcome: "failed", ..CommandResult::default() }, failure),
                    ));
                    if ends {
                        break;
                    }
                    continue;
                }
            }
        }
        let (Some(command), Some(desired)) = (&mut command, &wanted) else { break };
        let desired = match desired {
            Ok(desired) => desired,
            Err(error) => {
                let failure = CommandFailure::new(Exit::Unusable, with_causes(error));
                each.push((
                    address.clone(),
                    Each::Failed(CommandResult { outcome: "failed", ..CommandResult::default() }, failure),
                ));
                break;
            }
        };
        let ended = alone(output, command, desired, address, direction, selection, &changed).await;
        if let Each::Done { told: CommandResult { asset_id: Some(asset_id), .. }, .. } = &ended {
            changed.insert(*asset_id);
        }
        each.push((address.clone(), ended));
        if command.stop.is_triggered() {
            break;
        }
    }
    if let Some(command) = command {
        command.close().await;
    }
    Ok(tell_all(output, direction, &each, selection, target::is_local(global)))
}

/// Does it for one address. `changed` holds the assets for which it is done already.
async fn alone(
    output: Printer,
    command: &mut CommandContext,
    desired: &Desired,
    address: &Address,
    direction: Direction,
    selection: &AddressSelection,
    changed: &BTreeSet<AssetId>,
) -> Each {
    let together = selection.addresses.iter().cloned().collect();
    let failed = |outcome, failure| Each::Failed(CommandResult { outcome, ..CommandResult::default() }, failure);
    match carry_out_typed(output, command, desired, address, direction, &together, true).await {
        Ok(Some(ArchiveResult { prepared, ended: CommandEnd { outcome, stop }, lockfile_written })) => {
            let (asset_id, revision) = (Some(prepared.key.asset_id), Some(prepared.number));
            match Shortfall::of_step(&outcome, stop.as_ref()) {
                None => {
                    let told = CommandResult { asset_id, revision, outcome: "done", more: Vec::new() };
                    Each::Done { told, lockfile_written, has_command: false }
                }
                Some(Shortfall { outcome, failure }) => {
                    Each::Failed(CommandResult { asset_id, revision, outcome, more: Vec::new() }, failure)
                }
            }
        }
        Ok(None) => failed("waiting", CommandFailure::new(Exit::Unreconciled, "it was not started")),
        // It came back with another address that shares it.
        Err(CarryOutError::ByHand(ByHandError::NotArchived { asset_id, .. })) if changed.contains(&asset_id) => {
            let told = CommandResult { asset_id: Some(asset_id), outcome: "done", ..CommandResult::default() };
            Each::Done { told, lockfile_written: false, has_command: false }
        }
        Err(CarryOutError::ByHand(error @ (ByHandError::Archived { .. } | ByHandError::NotArchived { .. })))
            if selection.by_glob.contains(address) =>
        {
            Each::Unchanged(error.to_string())
        }
        Err(error) => failed("failed", error.into()),
    }
}

fn tell_all(
    output: Printer,
    direction: Direction,
    each: &[(Address, Each)],
    selection: &AddressSelection,
    is_local: bool,
) -> Exit {
    let failures = || {
        each.iter().filter_map(|(address, each)| match each {
            Each::Failed(_, failure) => Some((address, failure)),
            Each::Done { .. } | Each::Unchanged(_) => None,
        })
    };
    let not_begun = selection.addresses.len().saturating_sub(each.len());
    let written = each.iter().any(|(_, each)| matches!(each, Each::Done { lockfile_written: true, .. }));
    let exit = failures().map(|(_, failure)| failure.exit).max_by_key(|exit| (*exit == Exit::Credential, exit.code()));
    let exit = exit.unwrap_or(if not_begun > 0 { Exit::Unreconciled } else { Exit::Success });
    if output.is_json() {
        let entries: Vec<(Address, CommandResult)> =
            each.iter().map(|(address, each)| (address.clone(), told_of(each))).collect();
        let more = vec![("lockfile_written", json!(written)), ("not_begun", json!(not_begun))];
        output.document(&documents(&entries, more));
        return exit;
    }
    let word = word_of(direction);
    for (address, each) in each {
        match each {
            Each::Done { told, .. } => {
                let asset = told.asset_id.map(|id| format!(" ({})", id.uri())).unwrap_or_default();
                output.line(format!("{} {address}{asset}", paint(TextStyle::Good, word)));
            }
            Each::Unchanged(why) => output.line(format!("{} {why}", paint(TextStyle::Quiet, "note"))),
            Each::Failed(_, failure) => output.failure(failure),
        }
    }
    if not_begun > 0 {
        output.warning(format!("{} not started", plural(not_begun as u64, "asset")));
    }
    let is_left = |each: &Each| matches!(each, Each::Done { lockfile_written: true, has_command: false, .. });
    if each.iter().any(|(_, each)| is_left(each)) && !is_local {
        output.line("Commit the lockfile.");
    }
    exit
}

fn told_of(each: &Each) -> CommandResult {
    let copy = |told: &CommandResult| CommandResult {
        asset_id: told.asset_id,
        revision: told.revision,
        outcome: told.outcome,
        more: told.more.clone(),
    };
    match each {
        Each::Done { told, .. } => copy(told),
        Each::Unchanged(why) => {
            CommandResult { outcome: "unchanged", more: vec![("note", json!(why))], ..CommandResult::default() }
        }
        Each::Failed(told, failure) => {
            let mut told = copy(told);
            told.more.push(("errors", problems_json(failure)));
            told
        }
    }
}

/// A finished archiving or restoring.
struct ArchiveResult {
    prepared: Prepared,
    ended: CommandEnd,
    lockfile_written: bool,
}

/// Why it was not carried out.
enum CarryOutError {
    ByHand(ByHandError),
    Other(Box<CommandFailure>),
}

impl<E: Into<ByHandError>> From<E> for CarryOutError {
    fn from(error: E) -> Self {
        Self::ByHand(error.into())
    }
}

impl From<CarryOutError> for CommandFailure {
    fn from(error: CarryOutError) -> Self {
        match error {
            CarryOutError::ByHand(error) => error.into(),
            CarryOutError::Other(failure) => *failure,
        }
    }
}

async fn carry_out(
    output: Printer,
    command: &mut CommandContext,
    desired: &Desired,
    address: &Address,
    direction: Direction,
    yes: bool,
) -> Result<Option<ArchiveResult>, CommandFailure> {
    carry_out_typed(output, command, desired, address, direction, &BTreeSet::new(), yes)
        .await
        .map_err(CommandFailure::from)
}

/// Checks, asks, and does it; `None` when a person says no.
async fn carry_out_typed(
    output: Printer,
    command: &mut CommandContext,
    desired: &Desired,
    address: &Address,
    direction: Direction,
    together: &BTreeSet<Address>,
    yes: bool,
) -> Result<Option<ArchiveResult>, CarryOutError> {
    let (listener, stop) = (command.bars.listener(), command.stop.clone());
    let context =
        ExecutionContext::new(&command.session, Arc::clone(&command.client), listener, stop.clone(), 1).await?;
    let prepared = by_hand::prepare(&context, desired, address, direction, together).await?;
    if direction == Direction::Archive && !prepared.at_roblox && asks(output, yes) {
        let question = format!(
            "This archives asset {} of {address}. Games can't use it until you restore it.",
            prepared.key.asset_id
        );
        let bars = command.bars.clone();
        let answer = tokio::task::spawn_blocking(move || bars.pause(|| ask(output, &[question])));
        // On a thread of its own, so that a signal ends the run although nobody answers.
        if !stop.or(answer).await.is_some_and(|answer| answer.unwrap_or(false)) {
            return Ok(None);
        }
    }
    let ended = by_hand::carry_out(&context, desired, &prepared).await?;
    let wanted = desired.assets.contains_key(address);
    let kept = command.session.keep(wanted.then_some(address)).await;
    let lockfile_written = kept.map_err(|error| CarryOutError::Other(Box::new(error.into())))?;
    Ok(Some(ArchiveResult { prepared, ended, lockfile_written }))
}

fn tell(output: Printer, address: &Address, direction: Direction, done: &ArchiveResult, is_local: bool) -> Exit {
    let ArchiveResult { prepared, ended: CommandEnd { outcome, stop }, lockfile_written } = done;
    let asset_id = prepared.key.asset_id;
    let mut told = CommandResult {
        asset_id: Some(asset_id),
        revision: Some(prepared.number),
        outcome: "done",
        more: vec![("lockfile_written", json!(lockfile_written))],
    };
    let Some(Shortfall { outcome, failure }) = Shortfall::of_step(outcome, stop.as_ref()) else {
        if output.is_json() {
            output.document(&told.document(address));
            return Exit::Success;
        }
        let (word, then) = match direction {
            Direction::Archive => ("archived:", format!("; undo with `macadam restore {address:#}`")),
            Direction::Restore => ("restored:", String::new()),
        };
        output.line(format!("{} {address} ({}){then}", paint(TextStyle::Good, word), asset_id.uri()));
        if *lockfile_written && !is_local {
            output.line("Commit the lockfile.");
        }
        return Exit::Success;
    };
    told.outcome = outcome;
    if output.is_json() {
        output.stopped(told.document(address), &failure);
    } else {
        output.failure(&failure);
    }
    failure.exit
}
