//! `--on-change COMMAND` at the end of `sync --once`: the command runs whenever the lockfile or
//! outputs changed in this run, or in an earlier one whose command failed, however the sync ended.
//!
//! When it is due, and how it went as an exit code and in the document. Read next:
//! `engine/on_change`, which runs it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::args::{Global, SyncArgs};
use super::exit::{CommandFailure, Exit, ReportedProblem};
use super::output::Printer;
use super::target;
use crate::engine::on_change::merged::{self, Merged};
use crate::engine::on_change::{self, CommandSettings, leave_to_a_person, run_once};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::run_report::{StepReport, Warning};
use crate::engine::workspace::committed;
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::outputs::{OutputFile, OutputState};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::session::Session;
use crate::model::address::Address;
use crate::model::shown::with_causes;

/// The command of `--on-change`, if one is given.
///
/// # Errors
/// In a rehearsal, or with a server on this machine. Its asset IDs exist nowhere else, and a command that commits, pushes
/// or deploys them can't know that unless it was written for it.
pub(super) fn on_change_command<'a>(global: &Global, args: &'a SyncArgs) -> Result<Option<&'a str>, CommandFailure> {
    if global.emulator && args.on_change.is_some() {
        let hint = "leave `--on-change` out: the emulator's asset IDs don't exist on Roblox, and must not be published";
        return Err(CommandFailure::new(Exit::Usage, "`--on-change` can't be used with `--emulator`").hint(hint));
    }
    if target::is_local(global) && args.on_change.is_some() {
        let message = "`--on-change` can't be used with a server on this machine";
        let hint = "leave `--on-change` out: the server's asset IDs don't exist on Roblox, and must not be published";
        return Err(CommandFailure::new(Exit::Usage, message).hint(hint));
    }
    Ok(args.on_change.as_deref())
}

/// How the command of a run went.
#[derive(Debug)]
pub(super) enum Ran {
    /// Nothing changed since a command last succeeded, or there is no command.
    NotDue,
    /// The command succeeded.
    Well,
    /// The command failed.
    Failed(ReportedProblem),
}

impl Ran {
    /// The worse of the sync's end and the command's.
    pub(super) const fn worse(&self, sync: Exit) -> Exit {
        match (self, sync) {
            (Self::Failed(_), Exit::Success) => Exit::Unreconciled,
            (Self::Failed(_) | Self::Well | Self::NotDue, sync) => sync,
        }
    }

    /// Its part of the document of a run.
    pub(super) fn document(&self) -> Value {
        match self {
            Self::NotDue => Value::Null,
            Self::Well => json!({ "succeeded": true, "error": null, "hint": null }),
            Self::Failed(ReportedProblem { message, hint, .. }) => {
                json!({ "succeeded": false, "error": message, "hint": hint })
            }
        }
    }

    /// The problem to print after the report.
    pub(super) fn problem(&self) -> Option<&ReportedProblem> {
        match self {
            Self::Failed(problem) => Some(problem),
            Self::NotDue | Self::Well => None,
        }
    }
}

/// How often the command runs again because it merged another machine's lockfile.
const ROUNDS: u32 = 3;

/// How the command of a run went, and what it changed.
#[derive(Debug)]
pub(super) struct Published {
    /// How it went.
    pub ran: Ran,
    /// The outputs, if they were made again.
    pub outputs: Option<Vec<OutputFile>>,
    /// What it found.
    pub warnings: Vec<Warning>,
}

/// Runs the command if it is due. If it merged what another machine pushed meanwhile, the outputs are
/// written again from the merged lockfile, and the command publishes them too.
pub(super) async fn publish(
    output: Printer,
    command: Option<&str>,
    session: &mut Session,
    remote: &str,
    outputs: &[OutputFile],
    stop: &Shutdown,
) -> Published {
    let ran = run(output, command, session, outputs, stop).await;
    let mut published = Published { ran, outputs: None, warnings: Vec::new() };
    for _ in 0..ROUNDS {
        // A run that was told to end has no time for more: the next one writes the outputs.
        if !matches!(published.ran, Ran::Well) || stop.signalled().borrow().is_some() {
            break;
        }
        let lockfile = session.project.lockfile_name();
        match merged::take_in(session, remote).await {
            Ok(None) => break,
            Ok(Some(Merged { outputs, twice })) => {
                published.warnings.extend(uploaded_twice(&twice));
                let written = outputs.iter().filter(|file| file.state == OutputState::Written);
                written.for_each(|file| {
                    output.aside(&format!("{} is written again, from the merged {lockfile}", file.path));
                });
                let again = run(output, command, session, &outputs, stop).await;
                published.outputs = Some(outputs);
                if matches!(again, Ran::NotDue) {
                    break;
                }
                published.ran = again;
            }
            Err(error) => {
                let why = with_causes(&error);
                published.warnings.push(Warning {
                    message: format!("{lockfile} was merged with that of another machine, and the outputs could not be written again: {why}"),
                    hint: "run `macadam outputs`, and commit what it writes".to_owned(),
                });
                break;
            }
        }
    }
    published
}

/// Warns of files that `steps` uploaded and git has otherwise: their new asset IDs were published, and
/// the files were not.
pub(super) async fn edited(session: &Session, steps: &[StepReport]) -> Option<Warning> {
    let uploads = steps.iter().filter(|report| report.uploaded_a_file());
    let uploaded =
        committed::uploaded(&session.state_cache, uploads.map(|report| report.step.address.clone()).collect()).await;
    block_in_place(|| committed::edited(&session.project, &uploaded))
}

/// The number of addresses that a warning names.
const NAMED: usize = 5;

/// Warns that another machine uploaded the files of these addresses too.
fn uploaded_twice(addresses: &BTreeSet<Address>) -> Option<Warning> {
    let named: Vec<&str> = addresses.iter().take(NAMED).map(Address::as_str).collect();
    let more = addresses.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let are = if addresses.len() == 1 { "is" } else { "are" };
    (!addresses.is_empty()).then(|| Warning {
        message: format!(
            "another machine uploaded the same files at the same time: {}{more} {are} on Roblox twice",
            named.join(", ")
        ),
        hint: "`macadam status` names the copies that aren't used; let only one machine sync at a time".to_owned(),
    })
}

/// Runs the command if it is due. What it prints goes to standard error, line by line: standard
/// output is the report's.
async fn run(
    output: Printer,
    command: Option<&str>,
    session: &mut Session,
    outputs: &[OutputFile],
    stop: &Shutdown,
) -> Ran {
    let Some(command) = command else { return Ran::NotDue };
    if !session.lockfile.is_unreported() {
        // The state that knew of a failed one may be gone.
        block_in_place(|| leave_to_a_person(&session.project));
        return Ran::NotDue;
    }
    let project = session.project.clone();
    // All that are Macadam's: what a push that failed left behind is told again.
    let ours = outputs.iter().filter(|file| file.state.is_current());
    let ours = ours.map(|file| project.outputs.join(file.path.as_str()));
    let paths: Vec<_> = std::iter::once(project.lockfile.clone()).chain(ours).collect();
    let lockfile = project.lockfile_name();
    let hidden = webhook_variable(&project).into_iter().collect();
    let setting = CommandSettings { command: command.to_owned(), project, hidden };
    let mut said = |line: String| output.aside(&line);
    let ended = run_once(&setting, &paths, stop.signalled(), &mut said).await;
    match ended {
        Ok(()) => {
            if let Err(error) = session.lockfile.mark_reported(&session.state_cache).await {
                tracing::warn!("the next run runs the command of --on-change again: {error}");
            }
            Ran::Well
        }
        Err(why) => Ran::Failed(failed(&why, session.lockfile.missing().is_none().then_some(lockfile.as_str()))),
    }
}

/// Makes sure that the lockfile can be published from here, as far as that can be known before
/// there is something to publish: an upload that no other machine hears of is made again by each of
/// them.
///
/// # Errors
/// When the command says that it can't publish. Nothing was uploaded then.
pub(super) async fn may_publish(
    output: Printer,
    command: Option<&str>,
    project: &Project,
    stop: &Shutdown,
) -> Result<(), CommandFailure> {
    let Some(command) = command else { return Ok(()) };
    let setting = CommandSettings { command: command.to_owned(), project: project.clone(), hidden: Vec::new() };
    let mut said = |line: String| output.aside(&line);
    let asked =
        on_change::may_publish(&setting, std::slice::from_ref(&project.lockfile), stop.signalled(), &mut said).await;
    asked.map_err(|_| {
        let name = project.lockfile_name();
        CommandFailure::new(Exit::Unusable, format!("nothing was uploaded, because {name} could not be published from here"))
            .hint("the line above says what is in the way; `macadam plan` shows what there is to upload, and publishes nothing")
    })
}

/// The variable that holds the webhook's address, which is a secret. A manifest that can't be read
/// names none.
fn webhook_variable(project: &Project) -> Option<String> {
    read_manifest(project).ok().and_then(|(manifest, _)| manifest.webhook_env().map(str::to_owned))
}

/// `lockfile` is its name, where it is there.
fn failed(why: &str, lockfile: Option<&str>) -> ReportedProblem {
    ReportedProblem {
        message: format!("--on-change: {why}"),
        hint: lockfile.map(|lockfile| format!(
            "{lockfile} is complete here. The next run with the state of this one runs the command again. Where nothing of this folder is kept, as on \
             most CI machines, save {lockfile} first (commit and push it): without it the next run uploads everything again"
        )),
        ..ReportedProblem::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_exit_code_is_kept() {
        let failed = Ran::Failed(ReportedProblem::default());
        for (sync, worse) in [
            (Exit::Success, Exit::Unreconciled),
            (Exit::Unreconciled, Exit::Unreconciled),
            (Exit::Unusable, Exit::Unusable),
            (Exit::Credential, Exit::Credential),
            (Exit::Signal(143), Exit::Signal(143)),
        ] {
            assert_eq!(failed.worse(sync), worse);
            assert_eq!((Ran::Well.worse(sync), Ran::NotDue.worse(sync)), (sync, sync));
        }
    }
}
