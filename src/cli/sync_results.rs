//! How the results of a run are shown: as they happen, in the summary, and at lines of the manifest.

use std::collections::BTreeSet;

use super::args::Global;
use super::exit::Exit;
use super::github::AnnotationLevel;
use super::output::{Printer, TextStyle, annotate, annotates, listed, paint, plural};
use super::tally::{HoldGroup, Tally, Tense, tally};
use super::target::{self, ProjectTarget};
use super::{invocation, outputs, plan, plan_text};
use crate::engine::report::run_report::{Outcome, RunReport, Stop};
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::project::Project;
use crate::model::address::Address;
use crate::model::shown::foreign;
use crate::plan::{HeldPart, Hold, HoldKind};

pub(super) fn exit(report: &RunReport) -> Exit {
    match report.stop {
        Some(Stop::Signal(code)) if !report.left.is_empty() => Exit::Signal(code),
        _ if report.in_sync() && report.outputs_are_current() => Exit::Success,
        _ => Exit::Unreconciled,
    }
}

/// The most unfinished assets that a summary names.
const MOST_NAMED: usize = 3;

/// What a person does about the assets that are not finished, by name.
pub(super) fn what_is_next(report: &RunReport) -> String {
    let needs_person = |hold: &&Hold| hold.kind() != HoldKind::Waiting;
    let held: BTreeSet<&Address> = report.held.iter().filter(needs_person).map(|hold| &hold.address).collect();
    let refused = report.failures().into_iter().filter(|entry| matches!(entry.outcome, Outcome::Refused { .. }));
    let held: BTreeSet<&Address> = held.into_iter().chain(refused.map(|entry| &entry.step.address)).collect();
    if !held.is_empty() {
        return format!("See above how to fix {}, then run it again.", names(&held));
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
pub(super) fn show_results(output: Printer, report: &RunReport) {
    for entry in &report.steps {
        if let Outcome::Done { asset_id, revision } = &entry.outcome {
            output.line(plan_text::done(&entry.step, *asset_id, *revision, output.is_verbose()));
        }
    }
}

/// Prints the result of a run for so many `assets`, but for what was done; a command is `passed_on`
/// the lockfile afterwards.
pub(super) fn show(
    output: Printer,
    report: &RunReport,
    assets: u64,
    global: &Global,
    target: &ProjectTarget,
    passed_on: bool,
) {
    let all = global.verbose > 0;
    let unfinished = show_failures(output, report, all);
    let mut above = report.done().values().sum::<u64>() + unfinished.iter().map(|tally| tally.count).sum::<u64>() > 0;
    let told = plan_text::held_archivings(&report.held).collect();
    for section in [plan_text::holds(&report.held, all), plan_text::notes(&report.notes, &told, all)] {
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
    outputs::show(output, &target.project.outputs, &report.outputs);
    show_summary(output, report, (assets, &unfinished), global, passed_on);
}

/// Annotates what did not end well, at its line of the manifest.
pub(super) fn annotate_report(report: &RunReport, project: &Project) {
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

/// The assets that a run had no more time for.
pub(super) fn not_started(report: &RunReport) -> BTreeSet<&Address> {
    let not_begun = report.failures().into_iter().filter(|entry| matches!(entry.outcome, Outcome::NotBegun));
    let not_begun = not_begun.filter(|entry| !report.is_held(&entry.step)).map(|entry| &entry.step.address);
    let is_over = matches!(report.stop, Some(Stop::TimedOut | Stop::Signal(_)));
    not_begun.chain(untried(report).filter(|_| is_over)).collect()
}

/// The assets with steps that are left and that nothing else is said about.
fn untried(report: &RunReport) -> impl Iterator<Item = &Address> {
    report.unreported().into_iter().filter(|step| !report.is_held(step)).map(|step| &step.address)
}

/// Prints the actions that did not end well, and counts them.
fn show_failures(output: Printer, report: &RunReport, all: bool) -> [Tally; 3] {
    let mut running = 0;
    let not_started = not_started(report);
    let mut not_done: BTreeSet<&Address> = untried(report).filter(|address| !not_started.contains(address)).collect();
    // What several met alike is told once, at the place of the first one.
    type ShownFailure<'a> = (TextStyle, &'a str, &'a String, Option<&'a String>);
    let mut alike: Vec<(ShownFailure<'_>, Vec<&Address>)> = Vec::new();
    for entry in report.failures() {
        let (tone, word, message, hint) = match &entry.outcome {
            // The hold says more.
            _ if report.is_held(&entry.step) => continue,
            Outcome::Refused { message, hint } => (TextStyle::Bad, "failed", message, hint.as_ref()),
            // An interrupted run has many of these: their number is enough here.
            Outcome::NotBegun => continue,
            Outcome::Running { .. } => {
                running += 1;
                continue;
            }
            Outcome::TryLater { message } => (TextStyle::Warning, "waiting", message, None),
            Outcome::InDoubt { message } => (TextStyle::Warning, "unknown", message, None),
            Outcome::Superseded { reason } => (TextStyle::Warning, "changed", reason, None),
            Outcome::Done { .. } => continue,
        };
        not_done.insert(&entry.step.address);
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
    // If nothing is left, a later plan settled what failed before it.
    let not_done = if report.in_sync() { 0 } else { not_done.len() };
    [
        Tally::assets(not_done as u64, "not done"),
        Tally::assets(running, "still processing at Roblox"),
        Tally::assets(not_started.len() as u64, "not started"),
    ]
}

/// `Done. 8 assets are up to date: 8 uploaded, 1 icon set.`, with what a person has to do next.
fn show_summary(
    output: Printer,
    report: &RunReport,
    (all, unfinished): (u64, &[Tally]),
    global: &Global,
    passed_on: bool,
) {
    let rehearsal = global.emulator;
    let done = report.steps.iter().filter(|entry| entry.outcome.is_done()).map(|entry| &entry.step);
    let mut tallies = tally(done, Tense::Done);
    let groups = [HoldGroup::Unusable, HoldGroup::Failed, HoldGroup::Rejected, HoldGroup::Held, HoldGroup::Waiting];
    tallies.extend(groups.map(|group| group.tally(&report.held)));
    tallies.extend(unfinished.iter().cloned());
    tallies.push(Tally::assets(report.under_review, "in moderation"));
    let differ = report.drifts.iter().map(|drift| &drift.address).collect::<BTreeSet<_>>().len() as u64;
    // A run that is done says it by itself.
    if !report.in_sync() || rehearsal {
        tallies.push(Tally::assets(differ, "changed on Roblox"));
    }
    match &report.stop {
        Some(Stop::TimedOut) => output.warning("stopped, because the time of --timeout is over. Nothing is lost"),
        Some(Stop::Signal(_)) => output.warning("interrupted. Nothing is lost"),
        Some(
            Stop::Credential { .. }
            | Stop::Clock { .. }
            | Stop::State { .. }
            | Stop::Taken { .. }
            | Stop::Defect { .. },
        )
        | None => {}
    }
    let in_sync = report.in_sync();
    let unwritten = report.outputs.iter().filter(|output| !output.state.is_current()).count() as u64;
    if in_sync && unwritten == 0 && report.assets == 0 && tallies.iter().all(|tally| tally.count == 0) {
        output.summary(plan_text::nothing_listed(rehearsal, &report.unlisted));
        return;
    }
    // An asset on its way out is none of the manifest's.
    let of_manifest = report.held.iter().all(|hold| hold.part != HeldPart::Archiving);
    let counts = Tally::list(&tallies, Some(all).filter(|_| !in_sync && of_manifest));
    let (style, head) = match (in_sync && unwritten == 0, report.stop.as_ref().filter(|_| !in_sync), rehearsal) {
        (true, _, false) => (TextStyle::Good, "Done."),
        (true, _, true) => (TextStyle::Good, "Rehearsal done. Nothing was sent to Roblox."),
        (false, Some(_), false) => (TextStyle::Warning, "Stopped:"),
        (false, Some(_), true) => (TextStyle::Warning, "Rehearsal stopped. Nothing was sent to Roblox."),
        (false, None, false) => (TextStyle::Warning, "Not finished:"),
        (false, None, true) => (TextStyle::Warning, "Rehearsal not finished. Nothing was sent to Roblox."),
    };
    let colon = match (counts.is_empty(), unwritten) {
        (false, _) => ": ",
        (true, 0) if differ == 0 || rehearsal => ", nothing to do",
        (true, _) => "",
    };
    let assets = plan_text::are(all);
    let rest = match (in_sync, rehearsal) {
        (true, false) if differ > 0 => {
            let (same, were) = (all.saturating_sub(differ), if differ == 1 { "was" } else { "were" });
            let (of, are) = (plural(all, "asset"), if same == 1 { "is" } else { "are" });
            format!("{same} of {of} {are} up to date{colon}{counts}; {differ} {were} changed on Roblox (above).")
        }
        (true, false) => format!("{assets} up to date{colon}{counts}."),
        (true, true) => format!("{}{colon}{counts}.", plural(all, "asset")),
        (false, _) if counts.is_empty() => format!("{assets} not up to date."),
        (false, _) => format!("{counts}."),
    };
    let rest = match (in_sync, unwritten) {
        (true, 1..) => {
            let was = if unwritten == 1 { "was" } else { "were" };
            format!("{} {was} not written. {rest}", plural(unwritten, "output"))
        }
        _ => rest,
    };
    let again = match &report.stop {
        Some(Stop::TimedOut | Stop::Signal(_)) if !in_sync => " Run it again to go on.".to_owned(),
        None if !in_sync => format!(" {}", what_is_next(report)),
        _ => String::new(),
    };
    output.summary(format!("{} {rest}{again}", paint(style, head)));
    let why = report.lockfile_changes.to_string();
    let why = (report.lockfile_written && report.steps.is_empty() && !why.is_empty()).then_some(why);
    let mut changed: Vec<String> = report.lockfile_written.then(|| "the lockfile".to_owned()).into_iter().collect();
    changed.extend(outputs::written(&report.outputs));
    let is_told_to_commit = !(changed.is_empty() || passed_on || rehearsal);
    let server = invocation::named_server(global).filter(|_| target::is_local(global));
    if let Some(why) = why {
        let is_all = is_told_to_commit && changed.len() == 1 && server.is_none();
        output.line(format!("The lockfile has changed: {why}.{}", if is_all { " Commit it." } else { "" }));
        if is_all {
            return;
        }
    }
    if !is_told_to_commit {
        return;
    }
    let (has, them) = if changed.len() == 1 { ("has", "it") } else { ("have", "them") };
    let what = capitalized(&listed(&changed));
    output.line(match server {
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
