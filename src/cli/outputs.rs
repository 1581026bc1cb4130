//! `macadam outputs`: write the files of `[[outputs]]` from what state and lockfile know, without
//! key or network; and how every command tells of them.

use std::path::Path;

use serde_json::{Value, json};

use super::args::{Global, OutputsArgs};
use super::exit::{CommandFailure, Exit, ReportedProblem};
use super::github::AnnotationLevel;
use super::invocation::is_rehearsal;
use super::output::{Printer, TextStyle, annotate, paint, plural};
use super::question::{ask_or, asks};
use super::target::{self, ProjectTarget};
use super::warnings;
use crate::engine::workspace::git::ask::{Tracking, tracking};
use crate::engine::workspace::outputs::{ChangedAssetId, OutputFile, OutputState, RenderedOutput};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::session::require_own_state;
use crate::engine::workspace::snapshot::{self, PlanPreview};
use crate::model::shown::foreign;
use crate::outputs::mark::Maker;

/// How many asset IDs that change, and keys that leave, are named for an output.
const LISTED: usize = 5;

/// Writes the outputs, or with `--check` says whether they are as they should be.
pub(super) fn run(output: Printer, global: &Global, args: &OutputsArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    if !args.check {
        require_own_state(&target.project, "macadam outputs")?;
    }
    let (drafts, notes) = snapshot::outputs(&target.project, &target.remote)?;
    if drafts.is_empty() && !output.is_json() {
        output.line("The manifest has no [[outputs]].");
        return Ok(Exit::Success);
    }
    if !output.is_json() {
        warnings::warn(output, &notes);
    }
    let files: Vec<OutputFile> = drafts.into_iter().map(|draft| settle(output, &target, args, draft)).collect();
    let current = files.iter().all(|file| file.state.is_current());
    if output.is_json() {
        output.document(&json!({ "outputs": documents(&files), "up_to_date": current }));
    } else {
        show_all(output, &files, global.emulator.then_some(target.project.outputs.as_path()));
        warnings::warn_of_untracked(output, &notes);
    }
    Ok(if current { Exit::Success } else { Exit::Unreconciled })
}

/// Does with one output what was asked for.
fn settle(output: Printer, target: &ProjectTarget, args: &OutputsArgs, draft: RenderedOutput) -> OutputFile {
    if args.check {
        return OutputFile { path: draft.path.clone(), state: draft.state(), keys_gone: draft.keys_gone_now() };
    }
    let adopted = args.adopt
        && match draft.other_maker() {
            Some(Maker::Other(_) | Maker::OtherManifest) => true,
            Some(Maker::Unknown | Maker::Macadam) if args.yes => true,
            Some(Maker::Unknown | Maker::Macadam) if asks(output, args.yes) => {
                let path = &draft.path;
                ask_to_overwrite(output, &format!("Macadam didn't make {path}. This overwrites its content."))
            }
            Some(_) | None => false,
        };
    let asked = args.adopt && !adopted;
    let mut file = draft.write(&target.project, adopted);
    // `--adopt` was typed already: what is missing is the answer to a question that nobody was asked.
    if let (OutputState::Refused(problem), true) = (&mut file.state, asked && !asks(output, args.yes)) {
        problem.hint = Some("add `--yes`: this overwrites its content".to_owned());
    }
    file
}

fn ask_to_overwrite(output: Printer, question: &str) -> bool {
    ask_or(output, &[question.to_owned()], "The file is unchanged.")
}

/// Prints every output, for `macadam outputs`; those of a rehearsal with their folder.
fn show_all(output: Printer, files: &[OutputFile], rehearsed_in: Option<&Path>) {
    for file in files.iter().filter(|file| !output.is_quiet() || !file.state.is_current()) {
        let (tone, word) = match &file.state {
            OutputState::UpToDate => (TextStyle::Quiet, "up to date"),
            OutputState::Written => (TextStyle::Good, "written"),
            OutputState::OutOfDate => (TextStyle::Warning, "out of date"),
            OutputState::Refused(_) | OutputState::Failed(_) => (TextStyle::Bad, "not written"),
        };
        let gone = without(file, output.is_verbose());
        output.line(format!("{} {}{gone}", paint(tone, format!("{word:<15}")), file.path));
        show_problem(output, file);
    }
    if let Some(folder) = rehearsed_in.filter(|_| !output.is_quiet()) {
        output.line(format!("{}. Nothing was sent to Roblox.", not_in_the_game(folder)));
    }
    let due = files.iter().filter(|file| file.state == OutputState::OutOfDate).count() as u64;
    if due > 0 {
        let verb = if due == 1 { "is" } else { "are" };
        Printer::problem(&ReportedProblem {
            message: format!("{} {verb} out of date", plural(due, "output")),
            hint: Some("run `macadam outputs`, and commit what it writes".to_owned()),
            ..ReportedProblem::default()
        });
    }
}

fn show_problem(output: Printer, file: &OutputFile) {
    let Some(problem) = file.state.problem() else { return };
    let message = format!("{}: {}", file.path, problem.message);
    let (hint, file) = (problem.hint.clone(), Some(file.path.to_string()));
    annotate(AnnotationLevel::Error, ReportedProblem { message, hint, file, ..ReportedProblem::default() });
    output.line(format!("                {}", problem.message));
    if let Some(hint) = &problem.hint {
        output.line(format!("                {} {hint}", paint(TextStyle::Change, "hint:")));
    }
}

/// The paths of the outputs that were written.
pub(super) fn written(files: &[OutputFile]) -> impl Iterator<Item = String> {
    files.iter().filter(|file| file.state == OutputState::Written).map(|file| file.path.to_string())
}

/// Whether git is told to ignore an output, so that each machine makes its own.
pub(super) fn is_ignored(project: &Project, path: impl AsRef<Path>) -> bool {
    matches!(tracking(&project.outputs.join(path)), Ok(Some(Tracking::Ignored)))
}

/// Says where a rehearsal's outputs are.
fn not_in_the_game(folder: &Path) -> String {
    format!("Rehearsal: these files are in {}, not in your game", folder.display())
}

/// Prints the outputs in `folder` that were written and those that could not be, after a run.
pub(super) fn show(output: Printer, folder: &Path, files: &[OutputFile]) {
    for file in files.iter().filter(|file| file.state == OutputState::Written) {
        let gone = without(file, output.is_verbose());
        output.line(format!("{} {}{gone}", paint(TextStyle::Good, format!("{:<15}", "wrote")), file.path));
    }
    if is_rehearsal() && written(files).next().is_some() {
        output.line(paint(TextStyle::Quiet, not_in_the_game(folder)));
    }
    for file in files.iter().filter(|file| !file.state.is_current()) {
        output.line(format!("{} {}", paint(TextStyle::Bad, format!("{:<15}", "not written")), file.path));
        show_problem(output, file);
    }
}

/// Prints what a sync would do to the outputs.
pub(super) fn show_planned(output: Printer, preview: &PlanPreview, all: bool) {
    let PlanPreview { outputs: drafts, plan, .. } = preview;
    let told = |draft: &&RenderedOutput| draft.state() != OutputState::UpToDate || draft.new_asset_ids(plan) > 0;
    for draft in drafts.iter().filter(told) {
        let file = planned(preview, draft);
        let unknown = draft.unknown_asset_ids(plan) as u64;
        let to_come = (unknown > 0).then(|| format!("{} to come", plural(unknown, "asset ID")));
        let gone = file.keys_gone.len() as u64;
        let leaves = (gone > 0).then(|| {
            let verb = if gone == 1 { "leaves" } else { "leave" };
            format!("{} {verb}: {}", plural(gone, "key"), some_of(&file.keys_gone, all))
        });
        let what: Vec<String> = to_come.into_iter().chain(leaves).collect();
        let what = if what.is_empty() { String::new() } else { format!(": {}", what.join(", ")) };
        match file.state.problem() {
            Some(_) => {
                output.line(format!("{} {}", paint(TextStyle::Bad, format!("{:<15}", "can't write")), file.path))
            }
            None => output.line(format!(
                "{} {}{what}",
                paint(TextStyle::Change, format!("{:<15}", "would write")),
                file.path
            )),
        }
        show_problem(output, &file);
        show_changed(output, &preview.changed_asset_ids(draft), all);
    }
}

/// An output as a sync would leave it.
fn planned(preview: &PlanPreview, draft: &RenderedOutput) -> OutputFile {
    OutputFile {
        path: draft.path.clone(),
        state: draft.planned_state(&preview.plan),
        keys_gone: preview.keys_gone(draft),
    }
}

/// Says which keys a file lost when it was written, or loses.
fn without(file: &OutputFile, all: bool) -> String {
    match file.keys_gone.len() as u64 {
        0 => String::new(),
        count => format!(", without {} that it had: {}", plural(count, "key"), some_of(&file.keys_gone, all)),
    }
}

/// Returns the first few of these keys, or `all`.
fn some_of(keys: &[String], all: bool) -> String {
    let shown = if all { keys.len() } else { LISTED };
    let named: Vec<_> = keys.iter().take(shown).map(|key| foreign(key)).collect();
    let more = keys.len().saturating_sub(shown);
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{and}", named.join(", "))
}

/// Prints which asset IDs in an output become others, the first few of them or `all`.
fn show_changed(output: Printer, changed: &[ChangedAssetId], all: bool) {
    let shown = if all { changed.len() } else { LISTED };
    for ChangedAssetId { address, from, to } in changed.iter().take(shown) {
        output.line(format!("                {address}: asset {from} -> {to}"));
    }
    if changed.len() > shown {
        output.line(format!("                and {} more; -v shows all", changed.len() - shown));
    }
}

/// Outputs as they were left, for JSON.
pub(super) fn documents(files: &[OutputFile]) -> Value {
    files.iter().map(document).collect()
}

fn document(OutputFile { path, state, keys_gone }: &OutputFile) -> Value {
    let problem = state.problem();
    json!({
        "path": path.as_str(),
        "state": state.name(),
        "error": problem.map(|problem| &problem.message),
        "hint": problem.and_then(|problem| problem.hint.as_ref()),
        "keys_gone": keys_gone,
    })
}

/// The same for outputs that a sync would write, with how many addresses get another asset ID.
pub(super) fn planned_documents(preview: &PlanPreview) -> Value {
    let entry = |draft: &RenderedOutput| {
        let file = planned(preview, draft);
        planned_document(&file, draft.new_asset_ids(&preview.plan), &preview.changed_asset_ids(draft))
    };
    preview.outputs.iter().map(entry).collect()
}

/// The same where no address gets another asset ID.
pub(super) fn settled_documents(files: &[OutputFile]) -> Value {
    files.iter().map(|file| planned_document(file, 0, &[])).collect()
}

fn planned_document(file: &OutputFile, new_asset_ids: usize, changed: &[ChangedAssetId]) -> Value {
    let mut entry = document(file);
    if let Some(fields) = entry.as_object_mut() {
        let document = |ChangedAssetId { address, from, to }: &ChangedAssetId| json!({ "address": address.as_str(), "from": from.get(), "to": to.get() });
        fields.insert("new_asset_ids".to_owned(), json!(new_asset_ids));
        fields.insert("changed_asset_ids".to_owned(), changed.iter().map(document).collect());
    }
    entry
}
