//! `macadam sync`: reconcile until the remote matches the files.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::{Global, SyncArgs};
use super::document;
use super::exit::{CommandFailure, Exit};
use super::on_change::{self, Ran};
use super::output::{Printer, TextStyle, paint, plural};
use super::progress::Bars;
use super::{ci, outputs, plan, plan_text, service, target};
use crate::engine::reconcile::once::{Confirm, OnceOptions, SyncError, sync_once};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::run_report::{Outcome, RunReport, Stop, Warning};
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::session::Session;
use crate::model::asset::Privacy;
use crate::model::ids::AssetId;
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{Action, HoldKind, Plan, PlanOptions, Step};
use crate::platform::{failpoint, signals};

/// More creates than this are asked about at a terminal.
const CREATES_WITHOUT_ASKING: usize = 50;

/// Reconciles once.
pub(super) async fn run(output: Printer, global: &Global, args: &SyncArgs) -> Result<Exit, CommandFailure> {
    if !args.once {
        return service::run(output, global, args).await;
    }
    let command = on_change::on_change_command(global, args)?;
    let target = target::find(global)?;
    if args.locked {
        return locked(output, global, &target, args).await;
    }
    let stop = Shutdown::default();
    listen_to_signals(&stop)?;
    end_after(&stop, args.timeout);
    // Without a manifest or a key nothing is attempted, and no state is made.
    read_manifest(&target.project)?;
    let credential = target::credential(global)?;
    on_change::may_publish(output, command, &target.project, &stop).await?;
    let mut session = Session::open(&target.project, &target.remote, "macadam sync --once").await?;
    let (client, embedded) = target::connect(global, &target, credential).await?;
    let bars = Bars::new(output);
    let options = OnceOptions {
        uploads: args.uploads as usize,
        confirm: confirm(output, args.yes, bars.clone()),
        listener: bars.listener(),
        options: options(args)?,
        only: None,
        refresh: args.refresh,
        wait_moderation: args.wait_moderation,
        stop: stop.clone(),
    };
    let ended = sync_once(&mut session, Arc::new(client), options).await;
    bars.clear();
    let mut ended = SyncEnd::of(ended);
    if !output.is_json() {
        ended.print(output, global, command.is_some());
    }
    // Under the lock: nobody else changes the lockfile meanwhile.
    let outputs = ended.report.as_ref().map(|report| report.outputs.clone()).unwrap_or_default();
    let ran = on_change::run(output, command, &mut session, &outputs, &stop).await;
    session.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    // After the command, which may have added it.
    if let Some(report) = ended.report.as_mut().filter(|_| !global.emulator) {
        let warning = tokio::task::block_in_place(|| ci::lockfile_warning(&target.project, report));
        report.warnings.extend(warning);
        for Warning { message, hint } in &report.warnings {
            output.warning(format!("{message}; {hint}"));
        }
    }
    if output.is_json() {
        ended.print_document(output, &ran);
    } else if let Some(problem) = ran.problem() {
        Printer::problem(problem);
    }
    Ok(ran.worse(ended.exit()))
}

/// How a run ended: with a report, with why it ended early, or with both.
struct SyncEnd {
    report: Option<RunReport>,
    failure: Option<CommandFailure>,
}

impl SyncEnd {
    fn of(ended: Result<RunReport, SyncError>) -> Self {
        match ended {
            Ok(report) => Self { failure: stopped(&report), report: Some(report) },
            Err(SyncError::Midway { source, report }) => {
                Self { report: Some(*report), failure: Some(CommandFailure::from(*source)) }
            }
            Err(error) => Self { report: None, failure: Some(error.into()) },
        }
    }

    /// For a person: what was done is told in any case.
    fn print(&self, output: Printer, global: &Global, passed_on: bool) {
        if let Some(report) = &self.report {
            show(output, report, global, passed_on);
        }
        if let Some(failure) = &self.failure {
            output.failure(failure);
        }
    }

    fn print_document(&self, output: Printer, ran: &Ran) {
        let mut document = self.report.as_ref().map_or_else(|| json!({}), document::report);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("on_change".to_owned(), ran.document());
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

/// What stopped a run, where that is a failure of its own.
fn stopped(report: &RunReport) -> Option<CommandFailure> {
    match report.stop.as_ref()? {
        Stop::Credential { message, hint } => {
            let failure = CommandFailure::new(Exit::Credential, message);
            Some(if hint.is_empty() { failure } else { failure.hint(hint) })
        }
        Stop::State { message } => Some(CommandFailure::new(Exit::Unusable, message)),
        Stop::Taken { message, hint } => Some(CommandFailure::new(Exit::Busy, message).hint(hint)),
        Stop::Defect { message } => Some(CommandFailure::defect(message)),
        Stop::TimedOut | Stop::Signal(_) => None,
    }
}

/// `--locked`: nothing is changed; anything that would change is a failure.
async fn locked(
    output: Printer,
    global: &Global,
    target: &target::ProjectTarget,
    args: &SyncArgs,
) -> Result<Exit, CommandFailure> {
    let preview = plan::preview(output, global, target, &options(args)?, args.refresh).await?;
    let violated = !preview.plan.steps.is_empty() || preview.lockfile_changes || preview.outputs_change();
    if output.is_json() {
        output.document(&document::locked(&preview, violated));
    } else {
        plan::show(output, &preview, global.verbose > 0);
        if violated {
            output.warning(
                "--locked: the remote, the lockfile or an output would change; run `macadam sync --once` and commit what it writes",
            );
        }
    }
    Ok(if violated || !preview.plan.held.is_empty() { Exit::Unreconciled } else { Exit::Success })
}

/// What a person asks of this run.
fn options(args: &SyncArgs) -> Result<PlanOptions, CommandFailure> {
    let overwrite = args.overwrite.iter().map(|text| target::address(text)).collect::<Result<_, _>>()?;
    let (confirmed, accept_new_lockfile) = (args.confirm.clone(), args.accept_new_lockfile);
    let lost_answer_rest = failpoint::rest(LOST_ANSWER_REST);
    Ok(PlanOptions { overwrite, confirmed, accept_new_lockfile, lost_answer_rest, ..PlanOptions::default() })
}

/// What is on the wire at the first signal has so long to be answered. CI kills 7.5 s after it
/// (GitHub) or 10 s (most others); the rest of [`END`] is for writing down what happened.
const WIRE: Duration = Duration::from_millis(4500);

/// The process ends at most so long after the first signal, even if a disk keeps it from writing
/// anything down. The journal is made for this.
const END: Duration = Duration::from_millis(5700);

/// The first signal ends the run in order, within [`END`]; a second one ends the process.
pub(super) fn listen_to_signals(stop: &Shutdown) -> Result<(), CommandFailure> {
    let mut signals = signals::catch_end_signals()
        .map_err(|error| CommandFailure::new(Exit::Unusable, format!("catch signals: {error}")))?;
    let stop = stop.clone();
    tokio::spawn(async move {
        let Some(first) = signals.recv().await else { return };
        stop.trigger(Stop::Signal(first.exit_code()));
        let mut last = first;
        let in_time = async {
            tokio::time::sleep(WIRE).await;
            stop.cut_off();
            tokio::time::sleep(END.saturating_sub(WIRE)).await;
        };
        tokio::select! {
            () = in_time => {}
            Some(second) = signals.recv() => last = second,
        }
        super::die(last.exit_code());
    });
    Ok(())
}

pub(super) fn end_after(stop: &Shutdown, timeout: Duration) {
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(timeout).await;
        stop.trigger(Stop::TimedOut);
    });
}

/// Whether somebody sits there who can be asked.
pub(super) fn asks(output: Printer, yes: bool) -> bool {
    !yes && !output.is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// At a person's terminal many creates, a fee and what can't be undone are asked about.
pub(super) fn confirm(output: Printer, yes: bool, bars: Bars) -> Confirm {
    let asks = asks(output, yes);
    Arc::new(move |plan| {
        let questions = if asks { questions(plan) } else { Vec::new() };
        questions.is_empty() || bars.pause(|| ask(output, &questions))
    })
}

fn questions(plan: &Plan) -> Vec<String> {
    let new: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Create(new) | Action::Replace { new, .. } => Some((step, new)),
            Action::Share { .. }
            | Action::UpdateContent { .. }
            | Action::PointBack { .. }
            | Action::UpdateMetadata { .. }
            | Action::Rollback { .. }
            | Action::Move { .. }
            | Action::Archive { .. }
            | Action::Restore { .. }
            | Action::Settle { .. }
            | Action::Wait { .. } => None,
        })
        .collect();
    let mut questions = Vec::new();
    if new.len() > CREATES_WITHOUT_ASKING {
        questions.push(format!("{} will be created; Roblox can't delete assets", plural(new.len() as u64, "asset")));
    }
    let fees: u64 = new.iter().filter_map(|(_, new)| new.expected_price).sum();
    if fees > 0 {
        questions.push(format!("up to {fees} Robux may be spent"));
    }
    for (step, new) in new {
        if new.identity.privacy == Privacy::OpenUse {
            questions.push(format!("{} becomes open for everybody's use, for ever", step.address));
        }
    }
    questions
}

/// Asks before something is changed at Roblox.
pub(super) fn ask(output: Printer, questions: &[String]) -> bool {
    ask_or(output, questions, "nothing is changed at Roblox")
}

/// Asks, and says what is so if a person doesn't agree.
pub(super) fn ask_or(output: Printer, questions: &[String], declined: &str) -> bool {
    for question in questions {
        output.warning(question);
    }
    let _ = write!(std::io::stderr(), "Go on? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let agreed = read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        output.warning(format!("not confirmed: {declined}"));
    }
    agreed
}

fn exit(report: &RunReport) -> Exit {
    match report.stop {
        Some(Stop::Signal(code)) if !report.left.is_empty() => Exit::Signal(code),
        _ if report.in_sync() && report.outputs_are_current() => Exit::Success,
        _ => Exit::Unreconciled,
    }
}

/// Prints what came of a run; a command is `passed_on` the lockfile afterwards.
fn show(output: Printer, report: &RunReport, global: &Global, passed_on: bool) {
    for entry in &report.steps {
        if let Outcome::Done { asset_id, revision } = &entry.outcome {
            output.line(done(&entry.step, *asset_id, *revision));
        }
    }
    let unfinished = show_failures(output, report);
    let mut above = report.done().values().sum::<u64>() + unfinished.iter().map(|(count, _)| count).sum::<u64>() > 0;
    let all = global.verbose > 0;
    for section in [plan_text::holds(&report.held, all), plan_text::notes(&report.notes, all)] {
        if section.is_empty() {
            continue;
        }
        if std::mem::replace(&mut above, true) {
            output.line("");
        }
        section.into_iter().for_each(|line| output.line(line));
    }
    if above {
        output.line("");
    }
    for drift in &report.drifts {
        let hint = drift.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        output.warning(format!("{} (asset {}) drifted: {}{hint}", drift.address, drift.asset_id, drift.what));
    }
    for (asset_id, why) in &report.unasked {
        output.warning(plan::unasked(*asset_id, why));
    }
    outputs::show(output, &report.outputs);
    // The emulator's lockfile lies among its own files, and nobody commits it.
    show_summary(output, report, unfinished, !global.emulator && !passed_on);
}

/// What was done, to which address and asset.
fn done(step: &Step, asset_id: AssetId, revision: Option<u64>) -> String {
    let revision = revision.map(|number| format!(", revision {number}")).unwrap_or_default();
    let about = match &step.action {
        Action::UpdateMetadata { changes, .. } => {
            let fields: Vec<String> = changes.iter().map(|change| change.field().name()).collect();
            format!(": {}", fields.join(", "))
        }
        Action::Move { from } => format!(", from {from}"),
        _ => String::new(),
    };
    let name = paint(TextStyle::Good, format!("{:<15}", step.action.name()));
    format!("{name} {} (asset {asset_id}{revision}){about}", step.address)
}

/// Prints what did not end well, and counts it by how.
fn show_failures(output: Printer, report: &RunReport) -> [(u64, &'static str); 3] {
    let (mut waiting, mut not_begun, mut running) = (0, 0, 0);
    for entry in report.failures() {
        let (tone, word, message, hint) = match &entry.outcome {
            // What holds it now says more.
            _ if report.is_held(&entry.step) => continue,
            Outcome::Refused { message, hint } => (TextStyle::Bad, "failed", message, hint.as_ref()),
            // An interrupted run has many of these: their number tells enough, and `macadam status`
            // the rest.
            Outcome::NotBegun => {
                not_begun += 1;
                continue;
            }
            Outcome::Running { .. } => {
                running += 1;
                continue;
            }
            Outcome::TryLater { message } => (TextStyle::Warning, "waiting", message, None),
            Outcome::InDoubt { message } => (TextStyle::Warning, "in doubt", message, None),
            Outcome::Superseded { reason } => (TextStyle::Warning, "changed", reason, None),
            Outcome::Done { .. } => continue,
        };
        waiting += 1;
        output.line(format!("{} {}", paint(tone, format!("{word:<15}")), entry.step.address));
        output.line(format!("                {message}"));
        if let Some(hint) = hint {
            output.line(format!("                {} {hint}", paint(TextStyle::Change, "hint:")));
        }
    }
    [(waiting, "not done"), (running, "in the works at Roblox"), (not_begun, "not begun")]
}

fn show_summary(output: Printer, report: &RunReport, unfinished: [(u64, &str); 3], by_hand: bool) {
    let mut parts: Vec<String> = report.done().into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    for kind in [HoldKind::Failed, HoldKind::Rejected, HoldKind::Held, HoldKind::Waiting] {
        let count = report.held_by(kind);
        if count > 0 {
            parts.push(format!("{count} {kind}"));
        }
    }
    parts.extend(unfinished.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    for (count, what) in [(report.under_review, "under review"), (report.drifts.len() as u64, "drifted")] {
        parts.extend((count > 0).then(|| format!("{count} {what}")));
    }
    let assets = plural(report.assets, "asset");
    let lockfile = if report.lockfile_written && by_hand { "; the lockfile was written: commit it" } else { "" };
    match &report.stop {
        Some(Stop::TimedOut) => output.warning("the time given with --timeout is over; run it again to go on"),
        Some(Stop::Signal(_)) => output.warning("interrupted; what was begun is recorded, run it again to go on"),
        Some(Stop::Credential { .. } | Stop::State { .. } | Stop::Taken { .. } | Stop::Defect { .. }) | None => {}
    }
    if report.in_sync() && parts.is_empty() {
        output.line(format!("{} {assets}, nothing to do{lockfile}", paint(TextStyle::Good, "in sync:")));
    } else if report.in_sync() {
        output.line(format!("{} {assets}: {}{lockfile}", paint(TextStyle::Good, "in sync:"), parts.join(", ")));
    } else {
        let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        output.line(format!("{} {assets}{parts}{lockfile}", paint(TextStyle::Warning, "not in sync:")));
    }
}
