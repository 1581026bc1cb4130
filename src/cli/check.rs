//! `macadam check`: the manifest and every file, without network, key or state. The lockfile tells
//! which addresses there were before: a pin of one that was renamed is no mistake, as little as for
//! `plan`.

use std::mem::ManuallyDrop;
use std::sync::OnceLock;
use std::thread;

use serde_json::{Value, json};

use super::args::Global;
use super::document;
use super::exit::{CommandFailure, Exit, ReportedProblem, unusable_lockfile};
use super::github::AnnotationLevel;
use super::output::{Printer, TextStyle, annotate, annotates, paint, plural};
use super::plan::at_entry;
use super::progress::Bars;
use super::{credential, plan_text, target, warnings};
use crate::engine::workspace::gather::gather_beside;
use crate::engine::workspace::outputs::mistakes;
use crate::engine::workspace::project::Project;
use crate::model::address::Address;
use crate::model::desired::{Desired, Stray, StrayPlace, Unfound, Unlisted};
use crate::model::path::ProjectPath;
use crate::model::recorded::KnownAddresses;
use crate::state::lockfile::{self, Ledger, LockfileError};

/// Checks everything that can be checked offline.
pub(super) fn run(output: Printer, global: &Global) -> Result<Exit, CommandFailure> {
    let project = target::find_files(global)?;
    // Before the manifest: a pull may bring both. It is parsed while the files are looked for.
    let bytes = lockfile::read(&project.lockfile);
    let before = OnceLock::new();
    let bars = Bars::only_printed(output);
    let gathered = thread::scope(|scope| {
        let parsing = scope.spawn(|| LockfileBefore::parse(&project, bytes));
        let known = || {
            let parsed = parsing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            &before.get_or_init(|| parsed).known
        };
        gather_beside(&project, known, &bars.listener())
    });
    bars.clear();
    // The process ends after this, and the system takes back the whole at once.
    let gathered = ManuallyDrop::new(gathered?);
    let before = ManuallyDrop::new(before.into_inner().unwrap_or_default());
    let unusable = &before.unusable;
    let desired = &gathered.desired;
    let files = desired.assets.iter().filter_map(|(address, want)| {
        want.content.as_ref().err().map(|problem| (address, want.path.as_str(), problem))
    });
    let unseen = desired.unseen.iter().map(|unseen| (&unseen.place, unseen.place.as_str(), &unseen.problem));
    let mut problems: Vec<_> = files.collect();
    let unusable_files = problems.len();
    problems.extend(unseen);
    let outputs = mistakes(&project, &gathered.manifest, desired);
    if let Some(error) = unusable.as_ref().filter(|_| output.is_json()) {
        return Err(unusable_lockfile(error));
    }
    if output.is_json() {
        let outputs = outputs.iter().map(|(path, problem)| {
            json!({
                "message": format!("{path}: {}", problem.message), "hint": problem.hint, "file": path.as_str(),
                "line": null, "column": null, "address": null,
            })
        });
        let errors: Vec<Value> = problems
            .iter()
            .map(|(address, path, problem)| {
                json!({
                    "message": format!("{address}: {}", problem.message), "hint": problem.hint, "file": path,
                    "line": null, "column": null, "address": address.as_str(),
                })
            })
            .chain(outputs)
            .collect();
        let warnings = document::warnings(&gathered.notes);
        output.document(&json!({ "assets": desired.assets.len(), "errors": errors, "warnings": warnings }));
    }
    warnings::warn(output, &gathered.notes);
    if let Some((message, remedy)) = credential::exposed_env_file(&project) {
        output.warning(format!("{message}: {remedy}"));
    }
    for stray in &desired.stray {
        output.warning(left(stray, desired, &before));
    }
    let show = |name: &str, message: &str, hint: Option<&String>| {
        output.line(format!("{} {name}: {message}", paint(TextStyle::Bad, "error")));
        if let Some(hint) = hint {
            output.line(format!("      {} {hint}", paint(TextStyle::Change, "hint:")));
        }
    };
    for (address, path, problem) in &problems {
        let name = if address.as_str() == *path { address.to_string() } else { format!("{address} ({path})") };
        show(&name, &problem.message, problem.hint.as_ref());
    }
    for (path, problem) in &outputs {
        show(path.as_str(), &problem.message, problem.hint.as_ref());
    }
    if annotates() && !problems.is_empty() {
        let lines = gathered.manifest.lines();
        for (address, path, problem) in &problems {
            let name = if address.as_str() == *path { address.to_string() } else { format!("{address} ({path})") };
            let message = format!("{name}: {}", problem.message);
            annotate(AnnotationLevel::Error, at_entry(&project, Some(&lines), address, message, problem.hint.clone()));
        }
    }
    for (path, problem) in &outputs {
        let (message, hint) = (format!("{path}: {}", problem.message), problem.hint.clone());
        let file = Some(path.to_string());
        annotate(AnnotationLevel::Error, ReportedProblem { message, hint, file, ..ReportedProblem::default() });
    }
    if let Some(error) = unusable {
        return Err(unusable_lockfile(error));
    }
    let counts = CheckedCounts {
        assets: desired.assets.len(),
        files: unusable_files,
        paths: problems.len() - unusable_files,
        outputs: outputs.len(),
    };
    let exit = conclude(output, &counts, &desired.unlisted(before.addresses_in_use()));
    warnings::warn_of_untracked(output, &gathered.notes);
    Ok(exit)
}

/// How many there are, and how many of them can't be used.
struct CheckedCounts {
    /// All assets.
    assets: usize,
    /// Unusable files of assets.
    files: usize,
    /// Places that could not be read.
    paths: usize,
    /// Outputs that can't be written.
    outputs: usize,
}

/// Prints the last line of a check.
fn conclude(output: Printer, counts: &CheckedCounts, unlisted: &Unlisted) -> Exit {
    let CheckedCounts { assets, files, paths, outputs } = *counts;
    let (all, unusable, unread) =
        (plural(assets as u64, "asset"), plural(files as u64, "file"), plural(paths as u64, "path"));
    let (line, exit) = match (files, paths, outputs) {
        (0, 0, 0) if assets == 0 => (plan_text::nothing_listed(false, unlisted), Exit::Success),
        (0, 0, 0) => (format!("{} {all}, no problems found", paint(TextStyle::Good, "OK:")), Exit::Success),
        (0, 0, _) => (format!("{} can't be written", plural(outputs as u64, "output")), Exit::Unreconciled),
        (_, 0, _) => (format!("{unusable} can't be used, of {all}"), Exit::Unreconciled),
        (0, ..) => (format!("{unread} can't be used; {all} found"), Exit::Unreconciled),
        (..) => {
            (format!("{unusable} can't be used, of {all} found; {unread} can't be used either"), Exit::Unreconciled)
        }
    };
    output.summary(line);
    exit
}

/// What the lockfile says of earlier runs. One that can't be used counts as empty, so that the rest
/// is checked too.
#[derive(Default)]
struct LockfileBefore {
    ledger: Option<Ledger>,
    known: KnownAddresses,
    unusable: Option<LockfileError>,
}

impl LockfileBefore {
    fn parse(project: &Project, bytes: Result<Option<Vec<u8>>, LockfileError>) -> Self {
        let parsed = bytes.and_then(|bytes| bytes.map(|bytes| lockfile::parse(&bytes, &project.lockfile)).transpose());
        let (ledger, unusable) = match parsed {
            Ok(ledger) => (ledger, None),
            Err(error) => (None, Some(error)),
        };
        let known = ledger.as_ref().map(lockfile::known_addresses).unwrap_or_default();
        Self { ledger, known, unusable }
    }

    /// Returns the addresses whose assets the game may still use.
    fn addresses_in_use(&self) -> impl Iterator<Item = &Address> {
        let entries = self.ledger.iter().flat_map(|ledger| &ledger.entries);
        let used = entries.filter(|(_, entry)| !entry.history.is_empty() && entry.retirements.is_empty());
        used.map(|(address, _)| address)
    }

    /// Returns the file that a known address last came from.
    fn path_of(&self, address: &Address) -> Option<&ProjectPath> {
        let entry = self.ledger.as_ref()?.entries.get(address)?;
        self.known.all.contains(address).then_some(&entry.identity.path)
    }
}

/// A warning about a pin, icon or preview of an address that left the manifest, or whose file was
/// never here. Names the new address if the file is the same.
fn left(stray: &Stray, desired: &Desired, before: &LockfileBefore) -> String {
    let Stray { to, place } = stray;
    let place = match place {
        StrayPlace::Pin(_) => "[pins] names".to_owned(),
        StrayPlace::Icon { of } => format!("the icon of `{of}` names"),
        StrayPlace::Preview { of } => format!("a preview of `{of}` names"),
    };
    let path = before.path_of(to);
    if path.is_none() && desired.absences_dont_count().is_some() {
        return format!("{place} `{to}`, whose file this checkout leaves out");
    }
    let renamed = desired.assets.iter().find(|(_, want)| Some(&want.path) == path);
    match renamed {
        Some((now, _)) => format!("{place} `{to}`, which is called `{now}` now: write `{now}`"),
        None => {
            let gone = match desired.fileless.get(to) {
                Some(Unfound { glob, .. }) => format!("whose file is gone, so the glob `{glob}` no longer finds it"),
                None => "which is no longer in the manifest".to_owned(),
            };
            format!("{place} `{to}`, {gone}; `macadam plan` shows what happens to it")
        }
    }
}
