//! `macadam recreate --creator`: after `[creator]` changed, new assets for the new owner, and a
//! table of old and new IDs.
//!
//! Can be run again: it reports what an earlier run made, and continues what that run left.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Global, RecreateArgs};
use super::command_context::{self, CommandContext, Shortfall};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, plural};
use super::question::asks;
use super::selection::AddressSelection;
use super::service_client::{is_served, through_service};
use super::sync::confirm;
use super::target::{self, ProjectTarget};
use super::unknown::unknown_address;
use crate::engine::commands::recreate::{self, Choice, RecreateError, RecreatedAsset};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::reconcile::once::SyncError;
use crate::engine::report::run_report::RunReport;
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::snapshot::StateSnapshot;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::policy::{LeavePolicy, Policy};
use crate::model::request::Request;
use crate::plan::Plan;
use crate::platform::atomic_file::{AtomicWriteError, write_atomic, write_atomic_if};
use crate::platform::clock;
use crate::platform::own_file;

impl From<RecreateError> for CommandFailure {
    fn from(error: RecreateError) -> Self {
        match error {
            RecreateError::Command(error) => error.into(),
            RecreateError::Stopped { is_credential: true, .. } => Self::of(Exit::Credential, &error, error.hint()),
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

/// The result of the command.
struct RecreateResult {
    choice: Choice,
    rows: Vec<RecreatedAsset>,
    policy: Policy,
    report: Option<RunReport>,
    shortfall: Option<Shortfall>,
    by_service: bool,
}

/// Makes new assets for every address that is held because its creator changed, or those of them
/// that are named.
pub(super) async fn run(output: Printer, global: &Global, args: &RecreateArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    read_manifest(&target.project)?;
    let view = StateSnapshot::open(&target.project, &target.remote)?;
    let selection = AddressSelection::read(&args.addresses, || Ok(view.known()))?;
    let known = view.known();
    if let Some(unknown) = selection.addresses.iter().find(|address| !known.contains(*address)) {
        return Err(unknown_address(unknown.as_str(), known.iter().map(Address::as_str)));
    }
    let only: Option<BTreeSet<Address>> =
        (!args.addresses.is_empty()).then(|| selection.addresses.iter().cloned().collect());
    // Before any question or upload, because a table that can't be written must not end the run.
    if let Some(path) = &args.table {
        probe(path).map_err(|error| {
            let failure = CommandFailure::of(Exit::Unusable, &error, error.hint());
            failure.hint("nothing was changed; give `--table` a path that can be written")
        })?;
    }
    let ended = if is_served(&target)? {
        served(output, global, &target, &view, only.as_ref(), args.yes).await?
    } else {
        drop(view);
        let mut command = CommandContext::open(output, global, &target, "macadam recreate").await?;
        let ended = alone(output, &mut command, only.as_ref(), args.yes).await;
        command.close().await;
        ended?
    };
    let Some(ended) = ended else { return Ok(Exit::Unreconciled) };
    let written = args.table.as_deref().map_or(Ok(()), |path| write_table(path, &ended.rows));
    let exit = tell(output, &ended, args.table.as_deref().filter(|_| written.is_ok()), target::is_local(global));
    let Err(failure) = written else { return Ok(exit) };
    // The assets are made, and the table is printed above.
    failure.problems.iter().for_each(Printer::problem);
    Ok(if exit == Exit::Success { Exit::Unreconciled } else { exit })
}

/// The addresses without an asset for the new owner: new ones, and ones of an earlier run.
fn to_make(choice: &Choice, rows: &[RecreatedAsset], only: Option<&BTreeSet<Address>>) -> BTreeSet<Address> {
    let left = rows.iter().filter(|row| row.new.is_none()).map(|row| &row.address);
    let all = choice.changed().chain(left);
    all.filter(|address| only.is_none_or(|only| only.contains(*address))).cloned().collect()
}

/// Returns the addresses of `asked` that ended without an asset of the new owner, though nothing
/// failed: the manifest changed during the command, as by a checkout of the earlier one.
fn not_made(asked: &BTreeSet<Address>, rows: &[RecreatedAsset]) -> Option<Shortfall> {
    let made: BTreeSet<&Address> = rows.iter().filter(|row| row.new.is_some()).map(|row| &row.address).collect();
    let left = asked.iter().filter(|address| !made.contains(address)).count() as u64;
    (left > 0).then(|| {
        let message =
            format!("the manifest changed meanwhile: {} of the new owner could not be made", plural(left, "asset"));
        let failure = CommandFailure::new(Exit::Unreconciled, message);
        Shortfall { outcome: "waiting", failure: failure.hint("name the new owner in the manifest again") }
    })
}

/// Asks before anything is changed; `None` when a person says no.
async fn alone(
    output: Printer,
    command: &mut CommandContext,
    only: Option<&BTreeSet<Address>>,
    yes: bool,
) -> Result<Option<RecreateResult>, CommandFailure> {
    let (listener, stop) = (command.bars.listener(), command.stop.clone());
    let desired = command.session.wanted(listener.clone()).await?;
    let plan = command.session.state_cache.read(|recorded| recreate::preview(&desired, recorded, only, clock::now()));
    let agree = confirm(output, yes, command.bars.clone());
    let answer = tokio::task::spawn_blocking(move || agree(&plan));
    // On a thread of its own, so that a signal ends the run although nobody answers.
    if !stop.or(answer).await.is_some_and(|answer| answer.unwrap_or(false)) {
        return Ok(None);
    }
    let context = ExecutionContext::new(&command.session, Arc::clone(&command.client), listener, stop, 1).await?;
    let choice = recreate::begin(&context, &desired, only, command.session.lockfile.missing()).await?;
    drop(context);
    command.session.keep(None).await?;
    let table = |command: &CommandContext, desired: &Desired| {
        command.session.state_cache.read(|recorded| recreate::table(desired, recorded))
    };
    let make = to_make(&choice, &table(command, &desired), only);
    let (asked, mut report, mut shortfall) = (make.clone(), None, None);
    if !make.is_empty() {
        // They were agreed to.
        match command.reconcile(output, make, true).await {
            Ok(ended) => {
                shortfall = Shortfall::of(&ended);
                report = Some(ended);
            }
            Err(SyncError::Midway { source, report: ended }) => {
                shortfall = Some(Shortfall { outcome: "failed", failure: (*source).into() });
                report = Some(*ended);
            }
            Err(error) => shortfall = Some(Shortfall { outcome: "failed", failure: error.into() }),
        }
    }
    let rows = table(command, &desired);
    let shortfall = shortfall.or_else(|| not_made(&asked, &rows));
    Ok(Some(RecreateResult { choice, rows, policy: desired.policy, report, shortfall, by_service: false }))
}

/// Leaves the work to the service, and waits for the result.
async fn served(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    view: &StateSnapshot,
    only: Option<&BTreeSet<Address>>,
    yes: bool,
) -> Result<Option<RecreateResult>, CommandFailure> {
    let desired = command_context::wanted(target, view)?.desired;
    let choice = recreate::choose(&desired, &view.recorded, only);
    let plan: Plan = recreate::preview(&desired, &view.recorded, only, clock::now());
    if asks(output, yes) {
        let agree = confirm(output, yes, super::progress::Bars::new(output));
        if !tokio::task::block_in_place(|| agree(&plan)) {
            return Ok(None);
        }
    }
    let rows = |view: &StateSnapshot| recreate::table(&desired, &view.recorded);
    let make = to_make(&choice, &rows(view), only);
    let addresses: BTreeSet<Address> = choice.separated.keys().chain(&make).cloned().collect();
    let mut shortfall = None;
    if !addresses.is_empty() {
        let request = Request::Recreate { addresses: addresses.into_iter().collect() };
        match through_service(output, global, target, &request).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                return Err(CommandFailure::new(
                    Exit::Unreconciled,
                    "the running `macadam sync` ended before it started this",
                )
                .hint("nothing was done; try again"));
            }
            Err(failure) => {
                let view = StateSnapshot::open(&target.project, &target.remote)?;
                let left = recreate::choose(&desired, &view.recorded, only);
                // Nothing was begun: all of them are separated in one transaction.
                if choice.separated.keys().any(|address| left.separated.contains_key(address)) {
                    return Err(failure);
                }
                shortfall = Some(Shortfall { outcome: "waiting", failure });
            }
        }
    }
    let rows = rows(&StateSnapshot::open(&target.project, &target.remote)?);
    let shortfall = shortfall.or_else(|| not_made(&make, &rows));
    Ok(Some(RecreateResult { choice, rows, policy: desired.policy, report: None, shortfall, by_service: true }))
}

/// Whether [`write_table`] can write at `path`; leaves everything as it is.
fn probe(path: &Path) -> Result<(), AtomicWriteError> {
    write_atomic_if(&own_file::named(path), |_| Ok(()), || Ok(false)).map(drop)
}

/// The table for other programs: one line of comma-separated values an asset.
fn write_table(path: &Path, rows: &[RecreatedAsset]) -> Result<(), CommandFailure> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |id: Option<AssetId>| id.map(|id| id.to_string()).unwrap_or_default();
    let written = write_atomic(&own_file::named(path), |file| {
        writeln!(file, "address,old_creator,old_asset_id,new_asset_id")?;
        for RecreatedAsset { address, former: _, owner, old, new } in rows {
            writeln!(file, "{},{owner},{old},{}", quoted(address.as_str()), number(*new))?;
        }
        Ok(())
    });
    written.map_err(|error| CommandFailure::of(Exit::Unusable, &error, error.hint()))
}

/// The future of the old assets, in words.
fn old_assets(ended: &RecreateResult) -> Option<String> {
    let owners: BTreeSet<String> = ended.rows.iter().map(|row| row.owner.to_string()).collect();
    if owners.is_empty() {
        return None;
    }
    if ended.rows.iter().all(|row| row.new.is_none()) {
        let still = "nothing was uploaded yet, so the outputs keep the old asset IDs; `macadam sync --once` goes on. To give up, set the creator in the manifest back";
        return Some(still.to_owned());
    }
    let kept = match ended.policy.removed {
        LeavePolicy::Keep => "the old assets are kept".to_owned(),
        LeavePolicy::Archive => {
            let after = ended.policy.archive_after;
            let when = if after.is_zero() { "with the next sync".to_owned() } else { format!("after {}", span(after)) };
            format!("`policy.removed` archives the old assets {when}")
        }
    };
    // `*` doesn't cross `/`, and an owner's number may begin like another's.
    let mut globs: BTreeSet<String> = owners.iter().map(|owner| format!("'**/*@{owner}'")).collect();
    let numbered = ended.rows.iter().filter(|row| row.former.as_str().contains(&format!("@{}#", row.owner)));
    globs.extend(numbered.map(|row| format!("'**/*@{}#*'", row.owner)));
    let globs: Vec<String> = globs.into_iter().collect();
    let (owners, globs) = (owners.into_iter().collect::<Vec<_>>().join(" and "), globs.join(" "));
    Some(format!(
        "{kept}; only a key that may act for {owners} can archive them: `macadam archive {globs}` does it at once, and `macadam forget {globs}` leaves them alone for good"
    ))
}

/// A length of time in the largest unit that it is a whole number of, as the manifest has it.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length));
    unit.map_or_else(|| plural(seconds, "second"), |(length, noun)| plural(seconds / length, noun))
}

fn row_json(row: &RecreatedAsset) -> Value {
    let RecreatedAsset { address, former, owner, old, new } = row;
    json!({
        "address": address.as_str(),
        "former_address": former.as_str(),
        "old_creator": owner.to_string(),
        "old_asset_id": old.get(),
        "new_asset_id": new.map(AssetId::get),
    })
}

fn tell(output: Printer, ended: &RecreateResult, table: Option<&Path>, is_local: bool) -> Exit {
    let RecreateResult { choice, rows, report, shortfall, by_service, .. } = ended;
    let note = old_assets(ended);
    let failure = shortfall.as_ref().map(|shortfall| &shortfall.failure);
    let left_out = choice.left_out.iter();
    if output.is_json() {
        let mut document = json!({
            "assets": rows.iter().map(row_json).collect::<Vec<_>>(),
            "left_out": left_out.map(|(address, why)| json!({ "address": address.as_str(), "reason": why })).collect::<Vec<_>>(),
            "outcome": shortfall.as_ref().map_or("done", |shortfall| shortfall.outcome),
            "by_service": by_service,
            "old_assets": note,
        });
        if let (Some(fields), Some(report)) = (document.as_object_mut(), report) {
            fields.extend(command_context::more(report).into_iter().map(|(key, value)| (key.to_owned(), value)));
        }
        match failure {
            Some(failure) => output.stopped(document, failure),
            None => output.document(&document),
        }
    } else {
        if rows.is_empty() && choice.left_out.is_empty() && failure.is_none() {
            output.line("nothing to do: every asset already belongs to the owner in the manifest");
            return Exit::Success;
        }
        show(output, rows);
        for (address, why) in left_out {
            output.warning(format!("{address} is unchanged: {why}"));
        }
        if let Some(note) = note {
            output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
        }
        if let Some(path) = table {
            output.line(format!("the table is in {}", path.display()));
        }
        match failure {
            Some(failure) => {
                output.failure(failure);
                if shortfall.as_ref().is_some_and(|shortfall| shortfall.outcome == "waiting") {
                    output.line("Run `macadam recreate --creator` again to go on.");
                } else if rows.iter().any(|row| row.new.is_some()) {
                    output.line("The other assets have the new owner. `macadam sync --once` goes on with the rest.");
                }
            }
            None if !choice.separated.is_empty() && !is_local => output.line(command_context::commit([])),
            None => {}
        }
    }
    match failure {
        Some(failure) => failure.exit,
        None if !choice.left_out.is_empty() => Exit::Unreconciled,
        None => Exit::Success,
    }
}

fn show(output: Printer, rows: &[RecreatedAsset]) {
    let width = rows.iter().map(|row| row.address.as_str().chars().count()).max().unwrap_or(0).max(7);
    let head = format!("{:<width$}  {:>16}  {:>16}  OLD OWNER", "ADDRESS", "OLD ASSET ID", "NEW ASSET ID");
    output.line(paint(TextStyle::Quiet, head));
    for RecreatedAsset { address, former: _, owner, old, new } in rows {
        let new = new.map_or_else(|| "-".to_owned(), |id| id.to_string());
        output.line(format!("{:<width$}  {old:>16}  {new:>16}  {owner}", address.as_str()));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_behind_the_links_that_a_person_names() {
        let (real, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(real.path(), other.path().join("link")).unwrap();
        let table = other.path().join("link/ids.csv");
        probe(&table).unwrap();
        assert!(!table.exists(), "the probe leaves nothing");
        write_table(&table, &[]).map_err(|_| "not written").unwrap();
        assert!(real.path().join("ids.csv").exists());
    }
}
