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
use super::github::AnnotationLevel;
use super::on_change::{self, Ran};
use super::output::{Printer, TextStyle, annotate, annotates, listed, paint, plural};
use super::part::LeftOut;
use super::progress::Bars;
use super::question::asks;
use super::status::unknown_address;
use super::tally::{Tally, Tense, hold_word, tally};
use super::target::ProjectTarget;
use super::{ci, invocation, outputs, part, plan, plan_text, service, target};
use crate::engine::reconcile::once::{Confirm, OnceOptions, SyncError, sync_once};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::silent;
use crate::engine::report::run_report::{Outcome, RunReport, Stop, Warning};
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::settled::{self, NothingToDo};
use crate::engine::workspace::snapshot;
use crate::model::address::Address;
use crate::model::shown::foreign;
use crate::plan::reason::hold::HoldReason;
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{Hold, HoldKind, Plan, PlanOptions};
use crate::platform::{clock, failpoint, signals};

/// Syncs once.
pub(super) async fn run(output: Printer, global: &Global, args: &SyncArgs) -> Result<Exit, CommandFailure> {
    if !args.once {
        if let Some(first) = args.addresses.first() {
            let message = "without --once, `macadam sync` keeps the whole project up to date";
            return Err(CommandFailure::new(Exit::Usage, message)
                .hint(format!("`macadam sync --once {first}` syncs only what you name")));
        }
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
    // Without a manifest or a key Macadam attempts nothing, and makes no state.
    read_manifest(&target.project)?;
    refuse_pointless(&target, args)?;
    let part = part::read(&target, &args.addresses)?;
    let credential = target::credential(global, &target)?;
    if command.is_none()
        && let Some(NothingToDo { assets, outputs }) = settled(global, args, &target)
    {
        let report = RunReport { assets, outputs, ..RunReport::default() };
        let ended = SyncEnd { report: Some(report), failure: None, left_out: None };
        if output.is_json() {
            ended.print_document(output, &Ran::NotDue);
        } else {
            ended.print(output, global, false, false);
        }
        return Ok(Exit::Success);
    }
    on_change::may_publish(output, command, &target.project, &stop).await?;
    let mut session = Session::open(&target.project, &target.remote, "macadam sync --once").await?;
    let (client, embedded) = target::connect(global, &target, credential).await?;
    let bars = Bars::with_results(output);
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
    bars.clear();
    let mut ended = SyncEnd::of(ended);
    ended.left_out = match (&part, &ended.report) {
        (Some(part), Some(report)) => Some(LeftOut::look(&target, part, &report.left)?),
        _ => None,
    };
    if let Some(report) = &ended.report {
        annotate_report(report, &target.project);
    }
    if !output.is_json() {
        ended.print(output, global, command.is_some(), bars.prints_results());
    }
    // Under the lock, so that no other process changes the lockfile meanwhile.
    let outputs = ended.report.as_ref().map(|report| report.outputs.clone()).unwrap_or_default();
    let ran = on_change::run(output, command, &mut session, &outputs, &stop).await;
    session.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    // After the command, which may have added the lockfile to git.
    if let Some(report) = ended.report.as_mut() {
        if !target::is_local(global) {
            let warning = block_in_place(|| ci::lockfile_warning(&target.project, report));
            report.warnings.extend(warning);
        }
        for Warning { message, hint } in &report.warnings {
            let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
            output.warning(format!("{message}{hint}"));
        }
    }
    if output.is_json() {
        ended.print_document(output, &ran);
    } else if let Some(problem) = ran.problem() {
        Printer::problem(problem);
    }
    Ok(ran.worse(ended.exit()))
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

/// Returns what there is to tell, if it is proved that a run has nothing to do.
fn settled(global: &Global, args: &SyncArgs, target: &ProjectTarget) -> Option<NothingToDo> {
    let is_plain = global.verbose == 0 && !global.emulator;
    let asks_more = args.refresh
        || !args.addresses.is_empty()
        || args.accept_new_lockfile
        || args.wait_moderation.is_some()
        || !args.overwrite.is_empty()
        || args.confirm.is_some();
    (is_plain && !asks_more).then(|| block_in_place(|| settled::check(&target.project, &target.remote))).flatten()
}

/// How a run ended: with a report, with why it ended early, or with both.
struct SyncEnd {
    report: Option<RunReport>,
    failure: Option<CommandFailure>,
    /// Of a run for a part.
    left_out: Option<LeftOut>,
}

impl SyncEnd {
    fn of(ended: Result<RunReport, SyncError>) -> Self {
        match ended {
            Ok(report) => Self { failure: stopped(&report), report: Some(report), left_out: None },
            Err(SyncError::Midway { source, report }) => {
                Self { report: Some(*report), failure: Some(CommandFailure::from(*source)), left_out: None }
            }
            Err(error) => Self { report: None, failure: Some(error.into()), left_out: None },
        }
    }

    /// Prints it for a person, with everything that was done before a failure.
    fn print(&self, output: Printer, global: &Global, passed_on: bool, results_are_printed: bool) {
        if let Some(report) = &self.report {
            if !results_are_printed {
                show_results(output, report);
            }
            show(output, report, global, passed_on);
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
    let left_out = part.map(|part| LeftOut::look(target, &part, &preview.plan.steps)).transpose()?;
    let violated = !preview.plan.steps.is_empty() || preview.lockfile_changes || preview.outputs_change();
    if output.is_json() {
        let mut document = document::locked(&preview, violated);
        if let (Some(left_out), Some(fields)) = (&left_out, document.as_object_mut()) {
            fields.insert("part".to_owned(), left_out.document());
        }
        output.document(&document);
    } else {
        plan::show(output, &preview, global, target);
        if let Some(left_out) = &left_out {
            left_out.print(output);
        }
        if violated {
            let lockfile = target.project.lockfile_name();
            Printer::problem(&ReportedProblem {
                message: "--locked: changes are waiting (above)".to_owned(),
                hint: Some(format!("run `macadam sync --once` and commit {lockfile}")),
                ..ReportedProblem::default()
            });
        }
    }
    Ok(if violated || !preview.plan.held.is_empty() { Exit::Unreconciled } else { Exit::Success })
}

/// The plan options of this run.
fn plan_options(args: &SyncArgs) -> Result<PlanOptions, CommandFailure> {
    let overwrite = args.overwrite.iter().map(|text| target::address(text)).collect::<Result<_, _>>()?;
    let (confirmed, accept_new_lockfile) = (args.confirm.clone(), args.accept_new_lockfile);
    let lost_answer_rest = failpoint::rest(LOST_ANSWER_REST);
    Ok(PlanOptions { overwrite, confirmed, accept_new_lockfile, lost_answer_rest, ..PlanOptions::default() })
}

/// The time for Roblox to answer requests that are on the wire at the first signal. CI kills the
/// process 7.5 s after it (GitHub) or 10 s (most others). The rest of [`END`] is for recording.
const WIRE: Duration = Duration::from_millis(4500);

/// The longest time from the first signal to the end of the process, even if a disk hangs. The
/// next run recovers from the state's journal.
const END: Duration = Duration::from_millis(5700);

/// Ends the run in order at the first signal, within [`END`], and the process at the second.
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

fn exit(report: &RunReport) -> Exit {
    match report.stop {
        Some(Stop::Signal(code)) if !report.left.is_empty() => Exit::Signal(code),
        _ if report.in_sync() && report.outputs_are_current() => Exit::Success,
        _ => Exit::Unreconciled,
    }
}

/// The most unfinished assets that a summary names.
const MOST_NAMED: usize = 3;

/// What a person does about the assets that are not finished, by name.
fn what_is_next(report: &RunReport) -> String {
    let needs_person = |hold: &&Hold| hold.kind() != HoldKind::Waiting;
    let held: BTreeSet<&Address> = report.held.iter().filter(needs_person).map(|hold| &hold.address).collect();
    let refused = report.failures().into_iter().filter(|entry| matches!(entry.outcome, Outcome::Refused { .. }));
    let held: BTreeSet<&Address> = held.into_iter().chain(refused.map(|entry| &entry.step.address)).collect();
    if !held.is_empty() {
        return format!("Do what is said above about {}, then run it again.", names(&held));
    }
    let left: BTreeSet<&Address> = report.left.iter().map(|step| &step.address).collect();
    match left.is_empty() {
        true => "Run it again to go on.".to_owned(),
        false => format!("Run it again to go on with {}.", names(&left)),
    }
}

/// `a`, `a and b`, `a, b, c and 4 more`.
fn names(addresses: &BTreeSet<&Address>) -> String {
    let mut names: Vec<String> =
        addresses.iter().take(MOST_NAMED).map(|address| foreign(address.as_str()).into_owned()).collect();
    if addresses.len() > MOST_NAMED {
        names.push(format!("{} more", addresses.len() - MOST_NAMED));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Prints what was done, for a run that didn't print it meanwhile.
fn show_results(output: Printer, report: &RunReport) {
    for entry in &report.steps {
        if let Outcome::Done { asset_id, revision } = &entry.outcome {
            output.line(plan_text::done(&entry.step, *asset_id, *revision, output.is_verbose()));
        }
    }
}

/// Prints the result of a run but for what was done; a command is `passed_on` the lockfile
/// afterwards.
fn show(output: Printer, report: &RunReport, global: &Global, passed_on: bool) {
    let all = global.verbose > 0;
    let unfinished = show_failures(output, report, all);
    let mut above = report.done().values().sum::<u64>() + unfinished.iter().map(|tally| tally.count).sum::<u64>() > 0;
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
        let hint = drift.hint();
        output.warning(format!("{} ({}): {}; {hint}", drift.address, drift.asset_id.uri(), drift.kind));
    }
    plan::warn_of_unasked(output, &report.unasked);
    outputs::show(output, &report.outputs);
    show_summary(output, report, &unfinished, global, passed_on);
}

/// Annotates what did not end well, at its line of the manifest.
fn annotate_report(report: &RunReport, project: &Project) {
    if !annotates() {
        return;
    }
    // It may have changed since, but so does the line that a person looks at.
    let lines = || read_manifest(project).ok().map(|(manifest, _)| manifest.lines());
    let failures: Vec<_> = report.failures().into_iter().filter(|entry| !report.is_held(&entry.step)).collect();
    let of_entries = if failures.is_empty() { None } else { lines() };
    for entry in failures {
        let (level, message, hint) = match &entry.outcome {
            Outcome::Refused { message, hint } => (AnnotationLevel::Error, message, hint.clone()),
            Outcome::InDoubt { message } => (AnnotationLevel::Error, message, None),
            Outcome::TryLater { message } => (AnnotationLevel::Warning, message, None),
            Outcome::NotBegun | Outcome::Running { .. } | Outcome::Superseded { .. } | Outcome::Done { .. } => continue,
        };
        let message = format!("{}: {message}", entry.step.address);
        annotate(level, plan::at_entry(project, of_entries.as_ref(), &entry.step.address, message, hint));
    }
    plan::annotate_holds(&report.held, project, lines);
}

/// Prints the actions that did not end well, and counts them.
fn show_failures(output: Printer, report: &RunReport, all: bool) -> [Tally; 3] {
    let (mut waiting, mut not_begun, mut running) = (0, 0, 0);
    // What several met alike is told once, at the place of the first one.
    type Told<'a> = (TextStyle, &'a str, &'a String, Option<&'a String>);
    let mut alike: Vec<(Told<'_>, Vec<&Address>)> = Vec::new();
    for entry in report.failures() {
        let (tone, word, message, hint) = match &entry.outcome {
            // The hold says more.
            _ if report.is_held(&entry.step) => continue,
            Outcome::Refused { message, hint } => (TextStyle::Bad, "failed", message, hint.as_ref()),
            // An interrupted run has many of these: their number is enough here.
            Outcome::NotBegun => {
                not_begun += 1;
                continue;
            }
            Outcome::Running { .. } => {
                running += 1;
                continue;
            }
            Outcome::TryLater { message } => (TextStyle::Warning, "waiting", message, None),
            Outcome::InDoubt { message } => (TextStyle::Warning, "unknown", message, None),
            Outcome::Superseded { reason } => (TextStyle::Warning, "changed", reason, None),
            Outcome::Done { .. } => continue,
        };
        waiting += 1;
        let (address, told) = (&entry.step.address, (tone, word, message, hint));
        match alike.iter_mut().find(|(known, _)| *known == told) {
            Some((_, addresses)) => addresses.push(address),
            None => alike.push((told, vec![address])),
        }
    }
    for ((tone, word, message, hint), addresses) in alike {
        let names = match addresses.as_slice() {
            [one] => one.to_string(),
            several => plan_text::together(several, all),
        };
        output.line(format!("{} {names}", paint(tone, format!("{word:<15}"))));
        output.line(format!("                {message}"));
        if let Some(hint) = hint {
            output.line(format!("                {} {hint}", paint(TextStyle::Change, "hint:")));
        }
    }
    [
        Tally::assets(waiting, "not done"),
        Tally::assets(running, "still processing at Roblox"),
        Tally::assets(not_begun, "not started"),
    ]
}

/// `Done. 8 assets are up to date: 8 uploaded, 1 icon set.`, with what a person has to do next.
fn show_summary(output: Printer, report: &RunReport, unfinished: &[Tally], global: &Global, passed_on: bool) {
    let rehearsal = global.emulator;
    let done = report.steps.iter().filter(|entry| entry.outcome.is_done()).map(|entry| &entry.step);
    let mut tallies = tally(done, Tense::Done);
    for kind in [HoldKind::Failed, HoldKind::Rejected, HoldKind::Held, HoldKind::Waiting] {
        tallies.push(Tally::assets(report.held_by(kind) as u64, hold_word(kind)));
    }
    tallies.extend(unfinished.iter().cloned());
    tallies.push(Tally::assets(report.under_review, "in moderation"));
    tallies.push(Tally::assets(report.drifts.len() as u64, "changed on Roblox"));
    match &report.stop {
        Some(Stop::TimedOut) => output.warning("stopped, because the time of --timeout is over. Nothing is lost"),
        Some(Stop::Signal(_)) => output.warning("interrupted. Nothing is lost"),
        Some(Stop::Credential { .. } | Stop::State { .. } | Stop::Taken { .. } | Stop::Defect { .. }) | None => {}
    }
    let in_sync = report.in_sync();
    if in_sync && report.assets == 0 && tallies.iter().all(|tally| tally.count == 0) {
        output.summary(plan_text::nothing_listed(rehearsal));
        return;
    }
    let counts = Tally::list(&tallies, Some(report.assets).filter(|_| !in_sync));
    let (style, head) = match (in_sync, &report.stop, rehearsal) {
        (true, _, false) => (TextStyle::Good, "Done."),
        (true, _, true) => (TextStyle::Good, "Rehearsal done. Nothing was sent to Roblox."),
        (false, Some(_), false) => (TextStyle::Warning, "Stopped:"),
        (false, Some(_), true) => (TextStyle::Warning, "Rehearsal stopped. Nothing was sent to Roblox."),
        (false, None, false) => (TextStyle::Warning, "Not finished:"),
        (false, None, true) => (TextStyle::Warning, "Rehearsal not finished. Nothing was sent to Roblox."),
    };
    let (assets, colon) = (plan_text::are(report.assets), if counts.is_empty() { ", nothing to do" } else { ": " });
    let rest = match (in_sync, rehearsal) {
        (true, false) => format!("{assets} up to date{colon}{counts}."),
        (true, true) => format!("{}{colon}{counts}.", plural(report.assets, "asset")),
        (false, _) if counts.is_empty() => format!("{assets} not up to date."),
        (false, _) => format!("{counts}."),
    };
    let again = match &report.stop {
        Some(Stop::TimedOut | Stop::Signal(_)) if !in_sync => " Run it again to go on.".to_owned(),
        None if !in_sync => format!(" {}", what_is_next(report)),
        _ => String::new(),
    };
    output.summary(format!("{} {rest}{again}", paint(style, head)));
    let mut changed: Vec<String> = report.lockfile_written.then(|| "the lockfile".to_owned()).into_iter().collect();
    changed.extend(outputs::written(&report.outputs));
    if changed.is_empty() || passed_on || rehearsal {
        return;
    }
    let (has, them) = if changed.len() == 1 { ("has", "it") } else { ("have", "them") };
    let what = capitalized(&listed(&changed));
    output.line(match invocation::named_server(global).filter(|_| target::is_local(global)) {
        Some(server) => {
            let whose = if changed.len() == 1 { "Its" } else { "Their" };
            format!("{what} {has} changed. {whose} asset IDs are of {server}, not of Roblox: don't publish them.")
        }
        None => format!("{what} {has} changed: commit {them}."),
    });
}

/// The text with a capital at its start, where that is one of ours: a file keeps its name.
fn capitalized(text: &str) -> String {
    match text.strip_prefix("the ") {
        Some(rest) => format!("The {rest}"),
        None => text.to_owned(),
    }
}
