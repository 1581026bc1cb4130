//! Commands beside a running service: they leave what they would do to it, and print what came of
//! it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::args::Global;
use super::command_context::{CommandResult, documents};
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint};
use super::target::ProjectTarget;
use crate::engine::commands::request_queue::{AskError, ask};
use crate::engine::report::progress::silent;
use crate::engine::workspace::snapshot;
use crate::model::address::Address;
use crate::model::request::{ProblemKind, Request, RequestDone};
use crate::plan::PlanOptions;
use crate::platform::clock;
use crate::state::lock::{self, LockError};

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
    let asking = ask(&target.project, &target.remote, request, global.patience.unwrap_or(PATIENCE));
    tokio::pin!(asking);
    let answered = tokio::select! {
        answered = &mut asking => answered,
        () = tokio::time::sleep(SILENCE) => {
            if !output.is_quiet() {
                output.warning("`macadam sync` is running in this project; waiting for it to do this");
            }
            asking.await
        }
    };
    match answered {
        Ok(answer) => Ok(Some(answer)),
        // The service certainly never does it.
        Err(AskError::NoService | AskError::Ended { begun: false }) => Ok(None),
        Err(error) => {
            let exit = match &error {
                AskError::Problem(problem) => match problem.kind {
                    ProblemKind::Refused | ProblemKind::Interrupted => Exit::Unreconciled,
                    ProblemKind::Unusable => Exit::Unusable,
                    ProblemKind::Credential => Exit::Credential,
                },
                AskError::Patience { begun: false, .. } => Exit::Busy,
                AskError::State(_) | AskError::Lock(_) => Exit::Unusable,
                AskError::NoService | AskError::Ended { .. } | AskError::Patience { .. } => Exit::Unreconciled,
            };
            Err(CommandFailure::of(exit, &error, error.hint()))
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
    let RequestDone { asset_id, revision, lockfile_written, notes } = answer;
    if output.is_json() {
        let more =
            vec![("notes", json!(notes)), ("lockfile_written", json!(lockfile_written)), ("by_service", json!(true))];
        output.document(&CommandResult { asset_id, revision, outcome: "done", more }.document(address));
        return;
    }
    let asset = asset_id.map(|asset_id| format!(" (asset {asset_id})")).unwrap_or_default();
    output.line(format!("{} {address}{asset} (done by the running `macadam sync`)", paint(TextStyle::Good, word)));
    for note in notes {
        output.line(format!("{} {note}", paint(TextStyle::Quiet, "note")));
    }
    if lockfile_written && !is_local {
        output.line("Commit the lockfile.");
    }
}

/// The same for several addresses that the service did at once.
pub(super) fn tell_all(output: Printer, addresses: &[Address], answer: &RequestDone, word: &str, is_local: bool) {
    let RequestDone { asset_id: _, revision: _, lockfile_written, notes } = answer;
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
    if *lockfile_written && !is_local {
        output.line("Commit the lockfile.");
    }
}

/// The interval between checks of the state, after the manifest was edited.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A hold that lasts longer than this is final: the service has seen the new manifest.
const HELD_FOR_GOOD: Duration = Duration::from_secs(10);

/// Waits until the service has synced these addresses.
///
/// # Errors
/// When one is held, or the service ends, or patience does.
pub(super) async fn until_all_carried_out(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    addresses: &BTreeSet<Address>,
) -> Result<(), CommandFailure> {
    let patience = global.patience.unwrap_or(PATIENCE);
    let mut silent_still = !output.is_quiet();
    let began = clock::elapsed();
    let mut held_since = None;
    loop {
        // Checked first, because a service may finish the work and end right after.
        let served = is_served(target)?;
        let look = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
        let seen = tokio::task::block_in_place(look)?;
        let acts = seen.plan.steps.iter().any(|step| addresses.contains(&step.address))
            || seen.recorded.attempts.values().any(|attempt| addresses.contains(&attempt.address));
        let now = clock::elapsed();
        match seen.plan.held.iter().find(|hold| addresses.contains(&hold.address)) {
            None if !acts => return Ok(()),
            None => held_since = None,
            Some(hold) => {
                let since = *held_since.get_or_insert(now);
                if !acts && now.saturating_sub(since) >= HELD_FOR_GOOD {
                    let failure = CommandFailure::new(Exit::Unreconciled, hold.reason.to_string());
                    return Err(match hold.hint().filter(|hint| !hint.is_empty()) {
                        Some(hint) => failure.hint(hint),
                        None => failure,
                    });
                }
            }
        }
        if !served {
            return Err(CommandFailure::new(Exit::Unreconciled, "the running `macadam sync` ended before it was done"));
        }
        if now.saturating_sub(began) >= patience {
            let message = "the running `macadam sync` has not done it in time. It may be waiting for git, for Roblox, or for a valid key";
            return Err(CommandFailure::new(Exit::Unreconciled, message)
                .hint("its log says why; `macadam status` shows the state of each asset"));
        }
        if silent_still && now.saturating_sub(began) >= SILENCE {
            silent_still = false;
            output.warning("the manifest is written; waiting for the running `macadam sync`");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
