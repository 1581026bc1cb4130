//! `macadam pin` and `macadam unpin`: addresses held at an earlier revision, and back to their
//! files. Of several all are pinned, or none.
//!
//! All that can refuse comes before the manifest is touched. Once that is written it stays: it is
//! what is wanted, and the next sync goes on from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::{Global, PinArgs, UnpinArgs};
use super::command_context::{self, CommandContext, CommandResult, Shortfall};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural};
use super::outputs;
use super::selection::{AddressSelection, Candidates};
use super::service_client::through_service;
use super::target::{self, ProjectTarget};
use super::unknown::unknown_address;
use super::warnings;
use crate::engine::commands::pins::{self, CheckError, ChosenPins, PinError, UnpinError};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::reconcile::once::SyncError;
use crate::engine::report::run_report::RunReport;
use crate::engine::report::status::status;
use crate::engine::workspace::gather::{Gathered, read_manifest};
use crate::engine::workspace::project::EditManifestError;
use crate::engine::workspace::session::require_own_state;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::manifest::EditError;
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::model::proposed::quoted;
use crate::model::recorded::Recorded;
use crate::model::request::{Request, RequestDone};

impl From<EditManifestError<EditError>> for CommandFailure {
    fn from(error: EditManifestError<EditError>) -> Self {
        let exit = match &error {
            EditManifestError::Busy { .. } => Exit::Unreconciled,
            _ => Exit::Unusable,
        };
        Self::of(exit, &error, pins::edit_hint(&error))
    }
}

impl From<UnpinError> for CommandFailure {
    fn from(error: UnpinError) -> Self {
        let exit = match &error {
            UnpinError::NotPinned { .. } => Exit::Unreconciled,
            UnpinError::Edit(_) => Exit::Unusable,
        };
        Self::of(exit, &error, Some(error.hint()))
    }
}

/// A refusal, with the nearest address where none was meant.
fn refusal(error: PinError, desired: &Gathered, recorded: &Recorded) -> CommandFailure {
    match error {
        PinError::Unknown { address } => {
            let known = desired.desired.assets.keys().chain(recorded.assets.keys());
            unknown_address(address.as_str(), known.map(Address::as_str))
        }
        error => {
            let unknown = error.unknown().map(ToString::to_string);
            CommandFailure { unknown, ..CommandFailure::of(Exit::Unreconciled, &error, error.hint()) }
        }
    }
}

/// The edit of the manifest, and its purpose.
struct Edited {
    each: Vec<(Address, CommandResult)>,
    is_single: bool,
    changed: bool,
    /// The edit in words, for a person.
    what: String,
    /// How to undo it, for a person, if there is a way.
    undo: Option<String>,
    is_rehearsal: bool,
    /// The server is on this machine.
    is_local: bool,
    /// The outputs that changed.
    outputs: Vec<String>,
}

impl Edited {
    fn addresses(&self) -> BTreeSet<Address> {
        self.each.iter().map(|(address, _)| address.clone()).collect()
    }

    /// The place of the pins, in words.
    fn place(&self, target: &ProjectTarget) -> String {
        match self.is_rehearsal {
            true => "this rehearsal".to_owned(),
            false => target.project.manifest_name(),
        }
    }

    /// Fills in what each address has now, where the command did not name it.
    fn look_up(&mut self, target: &ProjectTarget) {
        if self.each.iter().all(|(_, told)| told.asset_id.is_some()) {
            return;
        }
        let looked = tokio::task::block_in_place(|| status(&target.project, &target.remote));
        let rows = looked.map(|status| status.rows).unwrap_or_default();
        for (address, told) in self.each.iter_mut().filter(|(_, told)| told.asset_id.is_none()) {
            let row = rows.iter().find(|row| row.address == *address);
            (told.asset_id, told.revision) = row.map_or((None, None), |row| (row.asset_id, row.revision));
        }
    }

    /// The one document: about the address, or about each of several.
    fn document(&self, outcome: &'static str, more: Vec<(&'static str, Value)>) -> Value {
        let all = [("manifest_written", json!(self.changed && !self.is_rehearsal))].into_iter().chain(more);
        let told = |told: &CommandResult| CommandResult {
            asset_id: told.asset_id,
            revision: told.revision,
            outcome,
            more: Vec::new(),
        };
        match self.each.as_slice() {
            [(address, one)] if self.is_single => CommandResult { more: all.collect(), ..told(one) }.document(address),
            several => {
                let several: Vec<_> = several.iter().map(|(address, one)| (address.clone(), told(one))).collect();
                command_context::documents(&several, [("outcome", json!(outcome))].into_iter().chain(all).collect())
            }
        }
    }
}

/// Pins addresses.
pub(super) async fn pin(output: Printer, global: &Global, args: &PinArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let view = StateSnapshot::open(&target.project, &target.remote)?;
    let gathered = command_context::wanted(&target, &view)?;
    // An asset outside of the manifest, or without revisions, can't be pinned.
    let pinnable = || {
        let known = gathered.desired.assets.keys().filter(|address| view.recorded.assets.contains_key(*address));
        Ok(Candidates {
            eligible: known.cloned().collect(),
            known: view.known(),
            what: "can be pinned: they aren't in the manifest any more",
        })
    };
    let selection = AddressSelection::read(&args.addresses, pinnable)?;
    let chosen = pins::choose(&gathered.desired, &view.recorded, &selection.addresses, args.revision);
    let chosen = chosen.map_err(|error| refusal(error, &gathered, &view.recorded))?;
    let edited = |chosen: &ChosenPins| {
        let each = chosen.iter().map(|(address, _, key)| {
            let (asset_id, revision) = (Some(key.asset_id), Some(args.revision));
            (address.clone(), CommandResult { asset_id, revision, ..CommandResult::default() })
        });
        let verb = if chosen.len() == 1 { "is" } else { "are" };
        let asset = match chosen.as_slice() {
            [(_, _, key)] => format!(" ({})", key.asset_id.uri()),
            _ => String::new(),
        };
        let typed: Vec<String> = args.addresses.iter().map(|address| quoted(address)).collect();
        Edited {
            each: each.collect(),
            is_single: selection.is_single,
            changed: false,
            what: format!("{} {verb} pinned to revision {}{asset}", names(&selection.addresses), args.revision),
            undo: Some(format!("`macadam unpin {}` removes the pin", typed.join(" "))),
            is_rehearsal: global.emulator,
            is_local: target::is_local(global),
            outputs: Vec::new(),
        }
    };
    if args.no_sync {
        require_own_state(&target.project, "macadam pin")?;
        warnings::warn(output, &gathered.notes);
        let changed = tokio::task::block_in_place(|| write(&target, &chosen))?;
        return Ok(tell_written(output, &target, &Edited { changed, ..edited(&chosen) }));
    }
    let request = Request::Pin { addresses: selection.addresses.clone(), revision: args.revision };
    let pins: Pins = chosen.iter().map(|(address, pin, _)| (address.clone(), Some(*pin))).collect();
    if let Some(exit) = by_service(output, global, &target, &request, &pins, &mut edited(&chosen)).await? {
        return Ok(exit);
    }
    let command = CommandContext::open(output, global, &target, "macadam pin").await?;
    // Somebody else may have reconciled before the lock was free.
    let again = prepare(&command, &gathered, &selection.addresses, args.revision).await;
    let written = again.and_then(|again| {
        let changed = tokio::task::block_in_place(|| write(&target, &again))?;
        Ok(Edited { changed, ..edited(&again) })
    });
    match written {
        Ok(edited) => Ok(finish(output, &target, command, edited, args.yes).await),
        Err(failure) => {
            command.close().await;
            Err(failure)
        }
    }
}

/// The pin that the manifest is to have for each address.
type Pins = Vec<(Address, Option<Pin>)>;

fn write(target: &ProjectTarget, chosen: &ChosenPins) -> Result<bool, CommandFailure> {
    let pins: Vec<(Address, Pin)> = chosen.iter().map(|(address, pin, _)| (address.clone(), *pin)).collect();
    Ok(pins::write(&target.project, &pins)?)
}

/// Chooses again under the lock, and asks Roblox for the versions that are to be gone back to.
async fn prepare(
    command: &CommandContext,
    gathered: &Gathered,
    addresses: &[Address],
    revision: u64,
) -> Result<ChosenPins, CommandFailure> {
    let (client, listener) = (Arc::clone(&command.client), command.bars.listener());
    let context = ExecutionContext::new(&command.session, client, listener, command.stop.clone(), 1).await?;
    let prepared = pins::prepare(&context, &gathered.desired, addresses, revision).await;
    prepared.map_err(|error| match error {
        CheckError::Pin(error) => command.session.state_cache.read(|recorded| refusal(error, gathered, recorded)),
        CheckError::StateCache(error) => error.into(),
    })
}

/// One name, or how many.
fn names(addresses: &[Address]) -> String {
    match addresses {
        [address] => address.to_string(),
        several => plural(several.len() as u64, "asset"),
    }
}

/// The most pins that a hint names.
const MOST_NAMED: usize = 5;

/// Why pins are not removed, with what is known and what is pinned.
fn unpin_refusal(error: UnpinError, text: &str, target: &ProjectTarget) -> CommandFailure {
    let UnpinError::NotPinned { address } = &error else { return error.into() };
    let rows = status(&target.project, &target.remote).map(|status| status.rows).unwrap_or_default();
    if !rows.is_empty() && rows.iter().all(|row| row.address != *address) {
        return unknown_address(address.as_str(), rows.iter().map(|row| row.address.as_str()));
    }
    let pinned = pins::pinned(text).unwrap_or_default();
    let names: Vec<String> = pinned.iter().take(MOST_NAMED).map(|address| format!("`{address}`")).collect();
    let more = if pinned.len() > MOST_NAMED { " and more" } else { "" };
    CommandFailure::from(error).hint(match names.as_slice() {
        [] => "no asset is pinned".to_owned(),
        names => format!("[pins] in the manifest has {}{more}", names.join(", ")),
    })
}

/// Removes pins.
pub(super) async fn unpin(output: Printer, global: &Global, args: &UnpinArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let bytes = target.project.read_manifest();
    let bytes = bytes.map_err(|error| CommandFailure::of(Exit::Unusable, &error, error.hint()))?;
    // The edit refuses a file that is not text, with its name.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let selection = AddressSelection::read(&args.addresses, || {
        let eligible =
            pins::pinned(&text).map_err(|error| CommandFailure::of(Exit::Unusable, &error, Some(error.hint())))?;
        let mut known = StateSnapshot::open(&target.project, &target.remote)?.known();
        known.extend(eligible.iter().cloned());
        Ok(Candidates { eligible, known, what: "is pinned" })
    })?;
    pins::require_pinned(&text, &selection.addresses).map_err(|error| unpin_refusal(error, &text, &target))?;
    let (names, verb) = (names(&selection.addresses), if selection.addresses.len() == 1 { "is" } else { "are" });
    let mut edited = Edited {
        each: selection.addresses.iter().map(|address| (address.clone(), CommandResult::default())).collect(),
        is_single: selection.is_single,
        changed: false,
        what: format!("{names} {verb} no longer pinned"),
        undo: None,
        is_rehearsal: global.emulator,
        is_local: target::is_local(global),
        outputs: Vec::new(),
    };
    let remove = || tokio::task::block_in_place(|| pins::remove(&target.project, &selection.addresses));
    if args.no_sync {
        require_own_state(&target.project, "macadam unpin")?;
        edited.changed = remove()?;
        return Ok(tell_written(output, &target, &edited));
    }
    // A manifest with errors elsewhere can't be synced.
    read_manifest(&target.project)?;
    let request = Request::Unpin { addresses: selection.addresses.clone() };
    let pins: Pins = selection.addresses.iter().map(|address| (address.clone(), None)).collect();
    if let Some(exit) = by_service(output, global, &target, &request, &pins, &mut edited).await? {
        return Ok(exit);
    }
    let command = CommandContext::open(output, global, &target, "macadam unpin").await?;
    match remove() {
        Ok(changed) => Ok(finish(output, &target, command, Edited { changed, ..edited }, args.yes).await),
        Err(error) => {
            command.close().await;
            Err(error.into())
        }
    }
}

/// Prints that the manifest is written, and nothing else done.
fn tell_written(output: Printer, target: &ProjectTarget, edited: &Edited) -> Exit {
    if output.is_json() {
        output.document(&edited.document("written", Vec::new()));
    } else {
        let place = edited.place(target);
        output.line(format!("{} {} in {place}", paint(TextStyle::Good, "written:"), edited.what));
        output.line("`macadam sync --once` does the rest");
        if !edited.is_local {
            output.line(command_context::COMMIT_MANIFEST);
        }
    }
    Exit::Success
}

/// Syncs the edited manifest, and prints the result.
async fn finish(
    output: Printer,
    target: &ProjectTarget,
    mut command: CommandContext,
    mut edited: Edited,
    yes: bool,
) -> Exit {
    let ended = command.reconcile(output, edited.addresses(), yes).await;
    command.close().await;
    let (report, shortfall) = match ended {
        Ok(report) => {
            let shortfall = Shortfall::of(&report);
            (report, shortfall)
        }
        Err(SyncError::Midway { source, report }) => {
            (*report, Some(Shortfall { outcome: "failed", failure: (*source).into() }))
        }
        Err(error) => (RunReport::default(), Some(Shortfall { outcome: "failed", failure: error.into() })),
    };
    edited.look_up(target);
    edited.outputs = outputs::written(&report.outputs).collect();
    let more = command_context::more(&report);
    if !output.is_json() {
        command_context::show(output, &report);
        outputs::show(output, &target.project.outputs, &report.outputs);
        report.warnings.iter().for_each(|warning| output.warning(warning.to_string()));
    }
    let Some(Shortfall { outcome, failure }) = shortfall else {
        if output.is_json() {
            output.document(&edited.document("done", more));
        } else {
            let nothing = if report.steps.is_empty() { "; nothing had to change on Roblox" } else { "" };
            output.line(format!("{} {}{nothing}", paint(TextStyle::Good, "done:"), edited.what));
            last_line(output, &edited);
        }
        return Exit::Success;
    };
    // The next sync leaves it on hold.
    let tries_again = report.stop.is_some() || report.held.is_empty();
    let failure = not_carried_out(target, &edited, failure, tries_again);
    tell_shortfall(output, &edited, (outcome, more), failure)
}

/// Has the running service edit the manifest and sync it, and prints the result. `None`: there is
/// no service, and nothing was done.
async fn by_service(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    request: &Request,
    pins: &Pins,
    edited: &mut Edited,
) -> Result<Option<Exit>, CommandFailure> {
    let manifest = || tokio::task::block_in_place(|| target.project.read_manifest()).unwrap_or_default();
    let before = manifest();
    let answered = through_service(output, global, target, request).await;
    let after = manifest();
    edited.changed = before != after;
    let by_service = ("by_service", json!(true));
    match answered {
        Ok(None) => Ok(None),
        Ok(Some(answer)) => {
            edited.look_up(target);
            tell_done(output, edited, answer, by_service);
            Ok(Some(Exit::Success))
        }
        // Whatever became of the service, the manifest says what is wanted.
        Err(failure) if pins::are_written(&String::from_utf8_lossy(&after), pins) => {
            edited.look_up(target);
            let failure = not_carried_out(target, edited, failure, true);
            Ok(Some(tell_shortfall(output, edited, ("waiting", vec![by_service]), failure)))
        }
        Err(failure) => Err(failure),
    }
}

fn tell_done(output: Printer, edited: &Edited, answer: RequestDone, by_service: (&'static str, Value)) {
    let RequestDone { asset_id: _, revision: _, lockfile_written, has_command: _, notes } = answer;
    if output.is_json() {
        let more = vec![("notes", json!(notes)), ("lockfile_written", json!(lockfile_written)), by_service];
        return output.document(&edited.document("done", more));
    }
    let done = paint(TextStyle::Good, "done:");
    output.line(format!("{done} {} (done by the running `macadam sync`)", edited.what));
    for note in notes {
        output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
    }
    last_line(output, edited);
}

fn tell_shortfall(
    output: Printer,
    edited: &Edited,
    (outcome, more): (&'static str, Vec<(&'static str, Value)>),
    failure: CommandFailure,
) -> Exit {
    if output.is_json() {
        output.stopped(edited.document(outcome, more), &failure);
    } else {
        output.failure(&failure);
    }
    failure.exit
}

/// The failure after the manifest was edited: Roblox doesn't have it yet.
fn not_carried_out(
    target: &ProjectTarget,
    edited: &Edited,
    failure: CommandFailure,
    tries_again: bool,
) -> CommandFailure {
    let what = format!("{} in {}, but that isn't done yet", edited.what, edited.place(target));
    let again = tries_again.then(|| "`macadam sync --once` tries it again".to_owned());
    let then: Vec<String> = again.into_iter().chain(edited.undo.clone()).collect();
    command_context::although(failure, &what, &then.join("; "))
}

fn last_line(output: Printer, edited: &Edited) {
    if !edited.is_local {
        output.line(command_context::commit(edited.outputs.iter().cloned()));
    }
}
