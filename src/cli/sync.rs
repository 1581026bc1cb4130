//! `macadam sync`: uploads changes until Roblox matches the files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::block_in_place;

use super::args::{Global, SyncArgs};
use super::consent::agreed;
use super::document;
use super::exit::{CommandFailure, Exit, ReportedProblem};
use super::interruption::Interruption;
use super::on_change::{self, Published, Ran};
use super::output::{Printer, plural};
use super::part::LeftOut;
use super::progress::Bars;
use super::question::asks;
use super::sync_results::{annotate_report, exit, not_started, show, show_results};
use super::target::ProjectTarget;
use super::unknown::unknown_address;
use super::{ci, outputs, part, plan, service, target, values};
use crate::engine::on_change::leave_to_a_person;
use crate::engine::reconcile::once::{Confirm, OnceOptions, SyncError, sync_once};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::remote_clock::SET_CLOCK;
use crate::engine::report::progress::{WaitReason, silent};
use crate::engine::report::run_report::{RunReport, Stop};
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::outputs::RenderedOutput;
use crate::engine::workspace::required_branch::{self, OffBranch};
use crate::engine::workspace::session::{Session, require_own_state};
use crate::engine::workspace::settled::{self, Look, NothingToDo};
use crate::engine::workspace::snapshot;
use crate::model::address::Address;
use crate::plan::reason::hold::HoldReason;
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{Plan, PlanOptions};
use crate::platform::{clock, failpoint};

/// Syncs once.
pub(super) async fn run(output: Printer, global: &Global, args: &SyncArgs) -> Result<Exit, CommandFailure> {
    if !args.once {
        if let Some(first) = args.addresses.first() {
            let message = "without --once, `macadam sync` keeps the whole project up to date";
            let hint = match first.as_str() {
                "once" => "did you mean `macadam sync --once`?".to_owned(),
                _ => format!("`macadam sync --once {first:#}` syncs only what you name"),
            };
            return Err(CommandFailure::new(Exit::Usage, message).hint(hint));
        }
        return service::run(output, global, args).await;
    }
    let command = on_change::on_change_command(global, args)?;
    let target = target::find(global)?;
    require_branch(&target, args)?;
    if args.locked {
        return locked(output, global, &target, args).await;
    }
    let stop = Shutdown::default();
    let interruption = Interruption::listen(&stop)?;
    end_after(&stop, args.timeout);
    // Without a manifest or a key Macadam attempts nothing, and makes no state.
    read_manifest(&target.project)?;
    refuse_pointless(&target, args)?;
    let part = part::read(&target, &args.addresses).map_err(|failure| about_equals(failure, args))?;
    let credential = target::credential(global, &target)?;
    let mut change = None;
    if command.is_none() {
        block_in_place(|| leave_to_a_person(&target.project));
        match settled(global, args, &target) {
            Look::NothingToDo(NothingToDo { assets, outputs }) => {
                let report = RunReport { assets, outputs, ..RunReport::default() };
                let ended = SyncEnd { report: Some(report), failure: None, left_out: None, waits_for: None };
                if output.is_json() {
                    ended.print_document(output, &Ran::NotDue);
                } else {
                    ended.print(output, global, &target, false, false);
                }
                return Ok(Exit::Success);
            }
            Look::Changed(files) => change = Some(files),
            Look::Unknown => {}
        }
    }
    let command_line = "macadam sync --once";
    require_own_state(&target.project, command_line)?;
    on_change::may_publish(output, command, &target.project, &stop).await?;
    let mut session = Session::open_changed(&target.project, &target.remote, command_line, change).await?;
    let (client, embedded) = target::connect(global, &target, credential).await?;
    let bars = Bars::with_results(output);
    interruption.tell_through(output, &bars);
    if command.is_some() {
        interruption.publishes(target.project.lockfile_name());
    }
    let options = OnceOptions {
        uploads: args.uploads as usize,
        confirm: confirm(output, args.yes || global.emulator, bars.clone()),
        listener: bars.listener(),
        plan_options: PlanOptions { only: part.clone(), ..plan_options(args)? },
        refresh: args.refresh,
        wait_moderation: args.wait_moderation,
        stop: stop.clone(),
    };
    let ended = sync_once(&mut session, Arc::new(client), options).await;
    let waits_for = bars.waits_for();
    bars.clear();
    let mut ended = SyncEnd { waits_for, ..SyncEnd::of(ended) };
    ended.left_out = match (&part, &ended.report) {
        (Some(part), Some(report)) => Some(LeftOut::look(&target, part, &report.left)?),
        _ => None,
    };
    if let Some(report) = &ended.report {
        annotate_report(report, &target.project);
    }
    if !output.is_json() {
        ended.print(output, global, &target, command.is_some(), bars.prints_results());
    }
    // Under the lock, so that no other process changes the lockfile meanwhile.
    let outputs = ended.report.as_ref().map(|report| report.outputs.clone()).unwrap_or_default();
    let remote = &target.remote;
    let Published { ran, outputs, warnings } =
        on_change::publish(output, command, &mut session, remote, &outputs, &stop).await;
    let steps = ended.report.as_ref().map(|report| report.steps.as_slice()).unwrap_or_default();
    let edited = if matches!(ran, Ran::Well) { on_change::edited(&session, steps).await } else { None };
    session.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    match ended.report.as_mut() {
        Some(report) => {
            report.warnings.extend(warnings.into_iter().chain(edited));
            report.outputs = outputs.unwrap_or_else(|| std::mem::take(&mut report.outputs));
        }
        None => warnings.iter().for_each(|warning| output.warning(warning.to_string())),
    }
    // After the command, which may have added the lockfile to git.
    if let Some(report) = ended.report.as_mut() {
        if !target::is_local(global) {
            let warning = block_in_place(|| ci::lockfile_warning(&target.project, report));
            report.warnings.extend(warning);
        }
        report.warnings.iter().for_each(|warning| output.warning(warning.to_string()));
    }
    if output.is_json() {
        ended.print_document(output, &ran);
    } else if let Some(problem) = ran.problem() {
        Printer::problem(problem);
    }
    Ok(ran.worse(ended.exit()))
}

/// Refuses to sync another branch than the one of `--require-branch`.
fn require_branch(target: &ProjectTarget, args: &SyncArgs) -> Result<(), CommandFailure> {
    let Some(wanted) = &args.require_branch else { return Ok(()) };
    match block_in_place(|| required_branch::look(&target.project.root, wanted)) {
        Some(OffBranch { message, hint }) => {
            Err(CommandFailure::new(Exit::Unreconciled, format!("nothing was done: {message}")).hint(hint))
        }
        None => Ok(()),
    }
}

/// Refuses a code that no archiving waits for, and an address that nothing is known of: the person
/// meant something else.
fn refuse_pointless(target: &target::ProjectTarget, args: &SyncArgs) -> Result<(), CommandFailure> {
    if args.confirm.is_none() && args.overwrite.is_empty() {
        return Ok(());
    }
    let options = plan_options(args)?;
    let look = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
    let seen = block_in_place(look)?;
    for address in &options.overwrite {
        if !seen.gathered.desired.assets.contains_key(address) {
            return Err(unknown_address(address.as_str(), seen.gathered.desired.assets.keys().map(Address::as_str)));
        }
        // With `--refresh` it shows only once Roblox was asked.
        if !args.refresh && !is_in_question(&seen.plan, address) {
            let message =
                format!("--overwrite: there is nothing to overwrite, as far as is known: `{address}` is up to date");
            return Err(CommandFailure::new(Exit::Unreconciled, message)
                .hint("`macadam plan --refresh` asks Roblox whether somebody else changed it"));
        }
    }
    let Some(given) = &args.confirm else { return Ok(()) };
    let mut codes = seen.plan.held.iter().filter_map(|hold| match &hold.reason {
        HoldReason::ManyArchivings { code, .. } => Some(code),
        _ => None,
    });
    match codes.next() {
        None => Err(CommandFailure::new(Exit::Unreconciled, "--confirm: no archiving waits for a code")
            .hint("`macadam plan` shows what waits, and for what")),
        Some(code) if code != given => {
            Err(CommandFailure::new(Exit::Unreconciled, format!("--confirm: `{given}` is not the code of this plan"))
                .hint("look at `macadam plan` again, which prints the code of what would be archived now"))
        }
        Some(_) => Ok(()),
    }
}

/// Whether something is to be done for an address, or somebody else changed it.
fn is_in_question(plan: &Plan, address: &Address) -> bool {
    plan.steps.iter().any(|step| step.address == *address)
        || plan.held.iter().any(|hold| hold.address == *address)
        || plan.drifts.iter().any(|drift| drift.address == *address)
}

/// Looks whether it is proved that a run has nothing to do, or what changed since it was.
fn settled(global: &Global, args: &SyncArgs, target: &ProjectTarget) -> Look {
    let asks_more = args.refresh
        || !args.addresses.is_empty()
        || args.accept_new_lockfile
        || args.trust_lockfile
        || args.wait_moderation.is_some()
        || !args.overwrite.is_empty()
        || args.confirm.is_some();
    if global.emulator || asks_more {
        return Look::Unknown;
    }
    match block_in_place(|| settled::look(&target.project, &target.remote)) {
        // Who wants to know more is told of a scan.
        Look::NothingToDo(_) if global.verbose > 0 => Look::Unknown,
        found => found,
    }
}

/// How a run ended: with a report, with why it ended early, or with both.
struct SyncEnd {
    report: Option<RunReport>,
    failure: Option<CommandFailure>,
    /// Of a run for a part.
    left_out: Option<LeftOut>,
    /// What requests waited for at its end.
    waits_for: Option<WaitReason>,
}

impl SyncEnd {
    fn of(ended: Result<RunReport, SyncError>) -> Self {
        match ended {
            Ok(report) => Self { failure: stopped(&report), report: Some(report), left_out: None, waits_for: None },
            Err(SyncError::Midway { source, report }) => Self {
                report: Some(*report),
                failure: Some(CommandFailure::from(*source)),
                left_out: None,
                waits_for: None,
            },
            Err(error) => Self { report: None, failure: Some(error.into()), left_out: None, waits_for: None },
        }
    }

    /// Prints it for a person, with everything that was done before a failure.
    fn print(
        &self,
        output: Printer,
        global: &Global,
        target: &ProjectTarget,
        passed_on: bool,
        results_are_printed: bool,
    ) {
        if let Some(report) = &self.report {
            // The person's own answer was the last line.
            let is_last = self.failure.is_none() && report.stop.is_none();
            if report.is_declined && is_last && report.steps.is_empty() && !report.lockfile_written {
                return;
            }
            if !results_are_printed {
                show_results(output, report);
            }
            let count = not_started(report).len() as u64;
            if let Some(reason) = self.waits_for.filter(|_| count > 0) {
                let were = if count == 1 { "was" } else { "were" };
                let assets = plural(count, "asset");
                output.warning(format!("{assets} {were} not started, because Macadam was {reason}"));
            }
            let assets = self.left_out.as_ref().map_or(report.assets, |left_out| left_out.assets_of_part(report));
            show(output, report, assets, global, target, passed_on);
        }
        if let Some(left_out) = &self.left_out {
            left_out.print(output);
        }
        if let Some(failure) = &self.failure {
            output.failure(failure);
        }
    }

    fn print_document(&self, output: Printer, ran: &Ran) {
        let mut document = self.report.as_ref().map_or_else(|| json!({}), document::report);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("on_change".to_owned(), ran.document());
            if let Some(left_out) = &self.left_out {
                fields.insert("part".to_owned(), left_out.document());
            }
        }
        match &self.failure {
            Some(failure) => output.stopped(document, failure),
            None => output.document(&document),
        }
    }

    fn exit(&self) -> Exit {
        match (&self.failure, &self.report) {
            (Some(failure), _) => failure.exit,
            (None, Some(report)) => exit(report),
            (None, None) => Exit::Success,
        }
    }
}

/// Returns the failure that stopped a run, if one did.
fn stopped(report: &RunReport) -> Option<CommandFailure> {
    match report.stop.as_ref()? {
        Stop::Credential { message, hint } => {
            let failure = CommandFailure::new(Exit::Credential, message);
            Some(if hint.is_empty() { failure } else { failure.hint(hint) })
        }
        Stop::Clock { message } => Some(CommandFailure::new(Exit::Unreconciled, message).hint(SET_CLOCK)),
        Stop::State { message } => Some(CommandFailure::new(Exit::Unusable, message)),
        Stop::Taken { message, hint } => Some(CommandFailure::new(Exit::Busy, message).hint(hint)),
        Stop::Defect { message } => Some(CommandFailure::defect(message)),
        Stop::TimedOut | Stop::Signal(_) => None,
    }
}

/// `--locked`: changes nothing, and fails if anything would change.
async fn locked(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    args: &SyncArgs,
) -> Result<Exit, CommandFailure> {
    let part = part::read(target, &args.addresses)?;
    let options = PlanOptions { only: part.clone(), ..plan_options(args)? };
    let preview = plan::preview(output, global, target, &options, args.refresh).await?;
    let left_out = part.as_ref().map(|part| LeftOut::look(target, part, &preview.plan.steps)).transpose()?;
    // What git ignores can't be committed: each machine makes its own.
    let is_stale =
        |draft: &RenderedOutput| draft.is_due() && !outputs::is_ignored(&target.project, draft.path.as_str());
    let outputs_change = preview.outputs.iter().any(is_stale);
    let violated = !preview.plan.steps.is_empty() || preview.lockfile_changes.any || outputs_change;
    if output.is_json() {
        let mut document = document::locked(&preview, violated);
        if let (Some(left_out), Some(fields)) = (&left_out, document.as_object_mut()) {
            fields.insert("part".to_owned(), left_out.document());
        }
        output.document(&document);
    } else {
        plan::show(output, &preview, part.as_ref(), global, target);
        if let Some(left_out) = &left_out {
            left_out.print(output);
        }
        if violated {
            let lockfile = target.project.lockfile_name();
            Printer::problem(&ReportedProblem {
                message: "--locked: changes are waiting (above)".to_owned(),
                hint: Some(match target::is_local(global) {
                    true => "run `macadam sync --once`".to_owned(),
                    false => format!("run `macadam sync --once` and commit {lockfile}"),
                }),
                ..ReportedProblem::default()
            });
        } else if !preview.plan.held.is_empty() {
            let held: BTreeSet<&Address> = preview.plan.held.iter().map(|hold| &hold.address).collect();
            Printer::problem(&ReportedProblem {
                message: format!(
                    "--locked: nothing would change, but a sync fails while {} on hold or rejected (above)",
                    match held.len() {
                        1 => "1 asset is".to_owned(),
                        count => format!("{count} assets are"),
                    }
                ),
                ..ReportedProblem::default()
            });
        }
    }
    let is_left = !preview.plan.held.is_empty() || preview.outputs_fail();
    Ok(if violated || is_left { Exit::Unreconciled } else { Exit::Success })
}

/// The plan options of this run.
fn plan_options(args: &SyncArgs) -> Result<PlanOptions, CommandFailure> {
    let overwrite = args.overwrite.iter().map(|text| target::address(text)).collect::<Result<_, _>>()?;
    Ok(PlanOptions {
        overwrite,
        confirmed: args.confirm.clone(),
        accept_new_lockfile: args.accept_new_lockfile,
        trust_lockfile: args.trust_lockfile,
        lost_answer_rest: failpoint::rest(LOST_ANSWER_REST),
        ..PlanOptions::default()
    })
}

/// A failure that may come from a time behind `--wait-moderation`, which is taken for a name: the
/// option can stand alone, so its value needs a `=`.
fn about_equals(failure: CommandFailure, args: &SyncArgs) -> CommandFailure {
    let time = failure.unknown.clone().filter(|name| args.wait_moderation.is_some() && values::duration(name).is_ok());
    match time {
        Some(time) => failure.hint(format!("for a time, write `--wait-moderation={time}`, with a `=`")),
        None => failure,
    }
}

/// Ends the run in order after this time.
pub(super) fn end_after(stop: &Shutdown, timeout: Duration) {
    let stop = stop.clone();
    if let Ok(at) = clock::now().checked_add(timeout) {
        stop.will_end_at(at);
    }
    tokio::spawn(async move {
        tokio::time::sleep(timeout).await;
        stop.trigger(Stop::TimedOut);
    });
}

/// Asks at a terminal before many uploads, a fee, or a step that can't be undone.
pub(super) fn confirm(output: Printer, yes: bool, bars: Bars) -> Confirm {
    let asks = asks(output, yes);
    Arc::new(move |plan| !asks || bars.pause(|| agreed(output, plan)))
}
