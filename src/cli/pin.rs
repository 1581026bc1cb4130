//! `macadam pin` and `macadam unpin`: addresses held at an earlier revision, and back to their
//! files. Of several all are pinned, or none.
//!
//! All that can refuse comes before the manifest is touched. Once that is written it stays: it is
//! what is wanted, and the next sync goes on from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::{Global, PinArgs, UnpinArgs};
use super::command_context::{self, COMMIT, CommandResult, Hand, Shortfall};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural};
use super::selection::{AddressSelection, Candidates};
use super::service_client::{is_served, until_all_carried_out};
use super::status::unknown_address;
use super::target::{self, ProjectTarget};
use crate::engine::commands::pins::{self, CheckError, PinError};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::reconcile::once::SyncError;
use crate::engine::report::run_report::RunReport;
use crate::engine::report::status::status;
use crate::engine::workspace::gather::{Gathered, read_manifest};
use crate::engine::workspace::project::EditManifestError;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::manifest::EditError;
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::model::history::RevisionKey;
use crate::model::recorded::Recorded;

impl From<EditManifestError<EditError>> for CommandFailure {
    fn from(error: EditManifestError<EditError>) -> Self {
        let exit = match &error {
            EditManifestError::Busy { .. } => Exit::Unreconciled,
            _ => Exit::Unusable,
        };
        let hint = match &error {
            EditManifestError::Edit { source, .. } => Some(source.hint()),
            other => other.hint(),
        };
        Self::of(exit, &error, hint)
    }
}

/// A refusal, with the nearest address where none was meant.
fn refusal(error: PinError, desired: &Gathered, recorded: &Recorded) -> CommandFailure {
    match error {
        PinError::Unknown { address } => {
            let known = desired.desired.assets.keys().chain(recorded.assets.keys());
            unknown_address(address.as_str(), known.map(Address::as_str))
        }
        error => CommandFailure::of(Exit::Unreconciled, &error, error.hint()),
    }
}

/// The edit of the manifest, and its purpose.
struct Edited {
    each: Vec<(Address, CommandResult)>,
    is_single: bool,
    changed: bool,
    /// The edit in words, for a person.
    what: String,
    /// How to undo it, for a person.
    undo: String,
    is_rehearsal: bool,
    /// The server is on this machine.
    is_local: bool,
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

/// The revision that each address is pinned to.
type Chosen = Vec<(Address, Pin, RevisionKey)>;

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
    let choose = |recorded: &Recorded| -> Result<Chosen, CommandFailure> {
        let each = selection.addresses.iter().map(|address| {
            let chosen = pins::choose(&gathered.desired, recorded, address, args.revision);
            chosen.map(|(pin, key)| (address.clone(), pin, key)).map_err(|error| refusal(error, &gathered, recorded))
        });
        each.collect()
    };
    let mut chosen = choose(&view.recorded)?;
    let mut hand = None;
    let served = !args.no_sync && is_served(&target)?;
    if !args.no_sync && !served {
        let open = Hand::open(output, global, &target, "macadam pin").await?;
        // Somebody else may have reconciled before the lock was free.
        let again = prepare(&open, &selection.addresses, choose, |error| {
            open.session.state_cache.read(|recorded| refusal(error, &gathered, recorded))
        });
        let again = again.await;
        hand = Some(open);
        match again {
            Ok(again) => chosen = again,
            Err(failure) => return close(hand, Err(failure)).await,
        }
    }
    let pins: Vec<(Address, Pin)> = chosen.iter().map(|(address, pin, _)| (address.clone(), *pin)).collect();
    let changed = match tokio::task::block_in_place(|| pins::write(&target.project, &pins)) {
        Ok(changed) => changed,
        Err(error) => return close(hand, Err(error.into())).await,
    };
    let each = chosen.iter().map(|(address, _, key)| {
        let told =
            CommandResult { asset_id: Some(key.asset_id), revision: Some(args.revision), ..CommandResult::default() };
        (address.clone(), told)
    });
    let (names, verb) = (names(&selection.addresses), if selection.addresses.len() == 1 { "is" } else { "are" });
    let asset = match chosen.as_slice() {
        [(_, _, key)] => format!(" (asset {})", key.asset_id),
        _ => String::new(),
    };
    let edited = Edited {
        each: each.collect(),
        is_single: selection.is_single,
        changed,
        what: format!("{names} {verb} pinned to revision {}{asset}", args.revision),
        undo: format!("`macadam unpin {}` removes the pin", args.addresses.join(" ")),
        is_rehearsal: global.emulator,
        is_local: target::is_local(global),
    };
    if served {
        return finish_through_service(output, global, &target, edited).await;
    }
    finish(output, &target, hand, edited, args.yes).await
}

/// Chooses again under the lock, and asks Roblox for the versions that are to be gone back to.
async fn prepare(
    hand: &Hand,
    addresses: &[Address],
    choose: impl Fn(&Recorded) -> Result<Chosen, CommandFailure>,
    refuse: impl Fn(PinError) -> CommandFailure,
) -> Result<Chosen, CommandFailure> {
    let state_cache = &hand.session.state_cache;
    for address in addresses {
        pins::remember_where_it_was(state_cache, address).await?;
    }
    let chosen = state_cache.read(choose)?;
    let (client, listener) = (Arc::clone(&hand.client), hand.bars.listener());
    let context = ExecutionContext::new(&hand.session, client, listener, hand.stop.clone(), 1).await?;
    for (address, _, key) in &chosen {
        match pins::check_version(&context, address, *key).await {
            Ok(()) => {}
            Err(CheckError::Pin(error)) => return Err(refuse(error)),
            Err(CheckError::StateCache(error)) => return Err(error.into()),
        }
    }
    Ok(chosen)
}

/// One name, or how many.
fn names(addresses: &[Address]) -> String {
    match addresses {
        [address] => address.to_string(),
        several => plural(several.len() as u64, "asset"),
    }
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
    selection.addresses.iter().try_for_each(|address| refuse_unpinned(&text, address))?;
    let mut hand = None;
    let served = !args.no_sync && is_served(&target)?;
    if !args.no_sync {
        // A manifest with errors elsewhere can't be synced.
        read_manifest(&target.project)?;
    }
    if !args.no_sync && !served {
        hand = Some(Hand::open(output, global, &target, "macadam unpin").await?);
    }
    let changed = match tokio::task::block_in_place(|| pins::remove(&target.project, &selection.addresses)) {
        Ok(changed) => changed,
        Err(error) => return close(hand, Err(error.into())).await,
    };
    let (names, verb) = (names(&selection.addresses), if selection.addresses.len() == 1 { "is" } else { "are" });
    let edited = Edited {
        each: selection.addresses.iter().map(|address| (address.clone(), CommandResult::default())).collect(),
        is_single: selection.is_single,
        changed,
        what: format!("{names} {verb} no longer pinned"),
        undo: "Macadam uses the file again".to_owned(),
        is_rehearsal: global.emulator,
        is_local: target::is_local(global),
    };
    if served {
        return finish_through_service(output, global, &target, edited).await;
    }
    finish(output, &target, hand, edited, args.yes).await
}

/// Refuses to remove a pin that doesn't exist.
fn refuse_unpinned(text: &str, address: &Address) -> Result<(), CommandFailure> {
    match pins::is_pinned(text, address) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandFailure::new(Exit::Unreconciled, format!("`{address}` is not pinned"))
            .hint("`macadam status` shows what is pinned; [pins] in the manifest lists them")),
        Err(error) => Err(CommandFailure::of(Exit::Unusable, &error, Some(error.hint()))),
    }
}

async fn close<T>(hand: Option<Hand>, ended: T) -> T {
    if let Some(hand) = hand {
        hand.close().await;
    }
    ended
}

/// Syncs the edited manifest, unless `--no-sync` was given, and prints the result.
async fn finish(
    output: Printer,
    target: &ProjectTarget,
    hand: Option<Hand>,
    mut edited: Edited,
    yes: bool,
) -> Result<Exit, CommandFailure> {
    let Some(mut hand) = hand else {
        if output.is_json() {
            output.document(&edited.document("written", Vec::new()));
        } else {
            let place = edited.place(target);
            output.line(format!("{} {} in {place}", paint(TextStyle::Good, "written:"), edited.what));
            output.line("`macadam sync --once` does the rest");
            last_line(output, &edited);
        }
        return Ok(Exit::Success);
    };
    let ended = hand.reconcile(output, edited.addresses(), yes).await;
    hand.close().await;
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
    let more = command_context::more(&report);
    if !output.is_json() {
        command_context::show(output, &report);
    }
    let Some(Shortfall { outcome, failure }) = shortfall else {
        if output.is_json() {
            output.document(&edited.document("done", more));
        } else {
            let nothing = if report.steps.is_empty() { "; nothing had to change on Roblox" } else { "" };
            output.line(format!("{} {}{nothing}", paint(TextStyle::Good, "done:"), edited.what));
            last_line(output, &edited);
        }
        return Ok(Exit::Success);
    };
    Ok(tell_shortfall(output, target, &edited, (outcome, more), failure))
}

/// Waits until the running service has synced the edited manifest, and prints the result.
async fn finish_through_service(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    mut edited: Edited,
) -> Result<Exit, CommandFailure> {
    let ended = until_all_carried_out(output, global, target, &edited.addresses()).await;
    edited.look_up(target);
    let more = vec![("by_service", json!(true))];
    if let Err(failure) = ended {
        return Ok(tell_shortfall(output, target, &edited, ("waiting", more), failure));
    }
    if output.is_json() {
        output.document(&edited.document("done", more));
    } else {
        output.line(format!(
            "{} {} (done by the running `macadam sync`)",
            paint(TextStyle::Good, "done:"),
            edited.what
        ));
        last_line(output, &edited);
    }
    Ok(Exit::Success)
}

fn tell_shortfall(
    output: Printer,
    target: &ProjectTarget,
    edited: &Edited,
    (outcome, more): (&'static str, Vec<(&'static str, Value)>),
    failure: CommandFailure,
) -> Exit {
    let failure = not_carried_out(target, edited, failure);
    if output.is_json() {
        output.stopped(edited.document(outcome, more), &failure);
    } else {
        output.failure(&failure);
    }
    failure.exit
}

/// The failure after the manifest was edited: Roblox doesn't have it yet.
fn not_carried_out(target: &ProjectTarget, edited: &Edited, failure: CommandFailure) -> CommandFailure {
    let what = format!("{} in {}, but that isn't done yet", edited.what, edited.place(target));
    let then = format!("`macadam sync --once` tries it again; {}", edited.undo);
    command_context::although(failure, &what, &then)
}

fn last_line(output: Printer, edited: &Edited) {
    if !edited.is_local {
        output.line(COMMIT);
    }
}
