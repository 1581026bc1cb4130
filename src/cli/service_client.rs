//! Commands beside a running service: they leave what they would do to it, and print what came of
//! it.

use std::time::Duration;

use serde_json::json;

use super::args::Global;
use super::command_context::{CommandResult, documents};
use super::exit::{CommandFailure, Exit};
use super::interruption::ServiceWait;
use super::output::{Printer, TextStyle, paint};
use super::target::ProjectTarget;
use crate::engine::commands::request_queue::{AskError, RequestOutcome, ask};
use crate::engine::workspace::git;
use crate::model::address::Address;
use crate::model::request::{ProblemKind, Request, RequestDone};
use crate::platform::signals::EndSignal;
use crate::state::lock::{self, LockError};
use crate::state::stoppage::{self, Stoppage, StoppedWork};

/// A service answers between two of its rounds, and a round may upload for minutes.
const PATIENCE: Duration = Duration::from_mins(10);

/// After this time without an answer, a message says what Macadam waits for.
const SILENCE: Duration = Duration::from_secs(2);

/// Has the service carry out `request`, where one holds the state. `None`: there is none, and
/// nothing was asked; the command goes on by itself, and is refused where another process holds the
/// state.
///
/// # Errors
/// The answer of the service, or the reason why there is none.
pub(super) async fn through_service(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    request: &Request,
) -> Result<Option<RequestDone>, CommandFailure> {
    let wait = ServiceWait::begin()?;
    let (mut signal, interrupted) = (None, wait.signalled());
    let interrupted = async { signal = Some(interrupted.await) };
    let patience = global.patience.unwrap_or(PATIENCE);
    let answered = waited(output, target, ask(&target.project, &target.remote, request, patience, interrupted)).await;
    wait.end();
    match answered {
        Ok(answer) => Ok(Some(answer)),
        // The service certainly never does it.
        Err(AskError::NoService | AskError::Ended { begun: false }) => Ok(None),
        Err(error) => {
            let (exit, unknown) = match &error {
                AskError::Problem(problem) => {
                    let exit = match problem.kind {
                        ProblemKind::Refused | ProblemKind::Interrupted => Exit::Unreconciled,
                        ProblemKind::Unusable => Exit::Unusable,
                        ProblemKind::Credential => Exit::Credential,
                    };
                    (exit, problem.unknown.as_ref().map(ToString::to_string))
                }
                AskError::Interrupted { .. } => {
                    (Exit::Signal(signal.unwrap_or(EndSignal::Interrupt).exit_code()), None)
                }
                AskError::Patience { begun: false, .. } => (Exit::Busy, None),
                AskError::State(_) | AskError::Lock(_) => (Exit::Unusable, None),
                AskError::NoService | AskError::Ended { .. } | AskError::Patience { .. } => (Exit::Unreconciled, None),
            };
            Err(CommandFailure { unknown, ..CommandFailure::of(exit, &error, error.hint()) })
        }
    }
}

/// Waits for the service's answer, and says so after a while.
async fn waited(
    output: Printer,
    target: &ProjectTarget,
    asking: impl Future<Output = RequestOutcome>,
) -> RequestOutcome {
    tokio::pin!(asking);
    tokio::select! {
        answered = &mut asking => answered,
        () = tokio::time::sleep(SILENCE) => {
            if !output.is_quiet() {
                let waits = stoppage::read(&target.project.state, StoppedWork::Service);
                let waits = waits.map(|Stoppage { message, hint, .. }| format!("{message}; {hint}"));
                let itself = git::busy(&target.project.root).map(|work| work.to_string()).or(waits);
                let itself = itself.map(|why| format!(". It waits too: {why}"));
                output.warning(format!(
                    "`macadam sync` is running in this project; waiting for it to do this{}",
                    itself.unwrap_or_default()
                ));
            }
            asking.await
        }
    }
}

/// Whether a service is running in this project.
///
/// # Errors
/// When the state's lock can't be read.
pub(super) fn is_served(target: &ProjectTarget) -> Result<bool, CommandFailure> {
    let held = lock::holder(&target.project.state);
    Ok(held.map_err(|error: LockError| CommandFailure::of(Exit::Unusable, &error, None))?.is_service())
}

/// Prints the service's answer for one address; `word` is the new state.
pub(super) fn tell(output: Printer, address: &Address, answer: RequestDone, word: &str, is_local: bool) {
    let is_left = answer.is_left_to_commit();
    let RequestDone { asset_id, revision, lockfile_written, has_command: _, notes } = answer;
    if output.is_json() {
        let more =
            vec![("notes", json!(notes)), ("lockfile_written", json!(lockfile_written)), ("by_service", json!(true))];
        output.document(&CommandResult { asset_id, revision, outcome: "done", more }.document(address));
        return;
    }
    let asset = asset_id.map(|asset_id| format!(" ({})", asset_id.uri())).unwrap_or_default();
    output.line(format!("{} {address}{asset} (done by the running `macadam sync`)", paint(TextStyle::Good, word)));
    for note in notes {
        output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
    }
    if is_left && !is_local {
        output.line("Commit the lockfile.");
    }
}

/// The same for several addresses that the service did at once.
pub(super) fn tell_all(output: Printer, addresses: &[Address], answer: &RequestDone, word: &str, is_local: bool) {
    let RequestDone { asset_id: _, revision: _, lockfile_written, has_command: _, notes } = answer;
    if output.is_json() {
        let told: Vec<(Address, CommandResult)> = addresses
            .iter()
            .map(|address| (address.clone(), CommandResult { outcome: "done", ..CommandResult::default() }))
            .collect();
        let more =
            vec![("notes", json!(notes)), ("lockfile_written", json!(lockfile_written)), ("by_service", json!(true))];
        output.document(&documents(&told, more));
        return;
    }
    for address in addresses {
        output.line(format!("{} {address} (done by the running `macadam sync`)", paint(TextStyle::Good, word)));
    }
    for note in notes {
        output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
    }
    if answer.is_left_to_commit() && !is_local {
        output.line("Commit the lockfile.");
    }
}
