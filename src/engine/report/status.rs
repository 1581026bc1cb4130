//! The status of every address. No file is read: a cached one counts as unchanged while its size and
//! times are. Read next: [`super::asset_status`] for one address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use crate::engine::report::asset_state::Unknown;
use crate::engine::report::asset_status::{AssetStatus, Parts, StatusInputs, addresses};
use crate::engine::workspace::committed;
use crate::engine::workspace::gather::{GatherError, absences, keep_findable, other_case, read_manifest, unseen};
use crate::engine::workspace::git;
use crate::engine::workspace::neighbours;
use crate::engine::workspace::not_checked_out::with_files_left_out;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::saved_answer::SavedAnswer;
use crate::engine::workspace::settled;
use crate::engine::workspace::snapshot::{StateSnapshot, ViewError};
use crate::engine::workspace::unseen_history;
use crate::files;
use crate::manifest::Diagnostic;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::{Desired, FoundFile, FoundFiles, Unseen};
use crate::model::file::{FileCache, FileProblem, FileProblemKind};
use crate::model::path::ProjectPath;
use crate::model::phase::Phase;
use crate::model::recorded::{ApplyError, Recorded};
use crate::plan::{PlanOptions, plan};
use crate::platform::clock;
use crate::platform::fingerprint;

/// The status of this checkout.
#[derive(Debug)]
pub(crate) struct Status {
    /// All addresses, sorted.
    pub rows: Vec<AssetStatus>,
    /// Set if the lockfile was lost, so that nothing new is uploaded.
    pub lost_lockfile: Option<LostLockfile>,
    /// Findings that are no errors but probably not intended.
    pub notes: Vec<Diagnostic>,
}

/// A lost lockfile, for a person.
#[derive(Debug)]
pub(crate) struct LostLockfile {
    /// The evidence: lower case, no full stop.
    pub reason: String,
    /// How to continue.
    pub hint: String,
}

/// Returns the status of every address of this checkout. Where it is proved that there is nothing to
/// do, it is read instead of planned.
///
/// # Errors
/// When manifest, state or lockfile can't be used.
pub(crate) fn status(project: &Project, remote: &str) -> Result<Status, ViewError> {
    if let Some(rows) = settled::statuses(project, remote) {
        return Ok(Status { rows, lost_lockfile: None, notes: Vec::new() });
    }
    let view = StateSnapshot::open(project, remote)?;
    let (manifest, text) = read_manifest(project)?;
    let looking = thread::spawn({
        let (project, remote) = (project.clone(), remote.to_owned());
        move || neighbours::look(&project, Some(&remote))
    });
    let selection = manifest.selection();
    let mut walk = files::walk(&project.root, &selection);
    let known = view.recorded.addresses();
    files::keep_behind_links(&mut walk, &project.root, &selection, &known.here);
    let (findings, unknown) = recall(project, &walk, &view.cache);
    let resolved = manifest
        .resolve(&findings, &with_files_left_out(project, &manifest, &known.all), &walk.unread_globs())
        .map_err(|diagnostics| GatherError::Manifest { diagnostics, text })?;
    let (mut notes, mut desired) = (manifest.notes(&resolved), resolved.desired);
    keep_findable(&mut desired, &selection);
    desired.absences = absences(project, &walk, &desired);
    desired.never_committed =
        committed::never_committed(project, &manifest, &desired, &known, &mut SavedAnswer::default());
    desired.unseen_history = unseen_history::look(project, &desired);
    let neighbours = looking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    notes.extend(neighbours::unasked(&neighbours, project));
    desired.neighbours = Arc::new(neighbours);
    notes.extend(committed::untracked(project, &desired));
    notes.extend(other_case(project, &walk));
    desired.unseen = walk.problems.iter().cloned().map(unseen).collect();
    // Such a place has no row.
    notes.extend(desired.unseen.iter().map(|Unseen { place: _, incomplete: _, problem }| {
        let hint = problem.hint.clone().unwrap_or_else(|| "`macadam plan` shows what waits for it".to_owned());
        Diagnostic::of_project(problem.message.clone(), hint, project.manifest_name())
    }));
    desired.checkout = git::checkout(&project.root);
    let lost = view.missing_lockfile.as_ref().and_then(|missing| missing.lost(&desired, &view.recorded));
    let lost_lockfile = lost.map(|lost| LostLockfile { reason: lost.to_string(), hint: lost.hint() });
    Ok(Status { rows: rows(&desired, &unknown, view)?, lost_lockfile, notes })
}

/// Returns the status of these addresses, for which only their own files are looked at; `None` if
/// that isn't enough to know it, or one of them doesn't exist: then [`status`] looks at everything.
pub(crate) fn status_of<'a>(
    project: &Project,
    remote: &str,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> Option<Vec<AssetStatus>> {
    let proof = settled::open(project, remote)?;
    addresses.into_iter().map(|address| proof.status(address)).collect()
}

/// Returns the cached facts of the files, and the files for which the cache has none.
fn recall(project: &Project, walk: &files::Walk, cache: &FileCache) -> (FoundFiles, BTreeMap<ProjectPath, Unknown>) {
    let mut findings = FoundFiles::new();
    let mut unknown = BTreeMap::new();
    let obstacles = files::Obstacles::below(&project.root);
    for (path, globs) in &walk.files {
        if let Some(problem) = walk.unreachable.get(path) {
            findings.insert(path.clone(), FoundFile { globs: globs.clone(), content: Err(problem.clone()) });
            continue;
        }
        let place = project.root.join(path.as_str());
        let found = std::fs::metadata(&place).ok().filter(std::fs::Metadata::is_file);
        let now = found.map(|found| fingerprint::at(&place, &found));
        let content = match (cache.get(path), now) {
            (Some(cached), Some(now)) if cached.fingerprint == now => cached.content.clone(),
            (cached, now) => {
                // Only what a scan can't read has a scan's words; opening each new file would cost.
                let is_plain = now.is_some() && !place.is_symlink();
                let obstacle = if is_plain { None } else { obstacles.of(path) };
                Err(obstacle.unwrap_or_else(|| {
                    let why = if cached.is_some() { Unknown::Changed } else { Unknown::NeverLooked };
                    unknown.insert(path.clone(), why);
                    FileProblem::new(FileProblemKind::NotLookedAt, "not looked at", None)
                }))
            }
        };
        findings.insert(path.clone(), FoundFile { globs: globs.clone(), content });
    }
    (findings, unknown)
}

/// Returns the status of each address. The plan's marks are applied first, as a sync would do, so
/// that moves and archivings show.
fn rows(
    desired: &Desired,
    unknown: &BTreeMap<ProjectPath, Unknown>,
    view: StateSnapshot,
) -> Result<Vec<AssetStatus>, ApplyError> {
    let StateSnapshot { mut recorded, missing_lockfile, being_sent, .. } = view;
    let now = clock::now();
    let in_progress: BTreeSet<Address> = being_sent.into_keys().collect();
    let options = PlanOptions { missing_lockfile, in_progress: in_progress.clone(), ..PlanOptions::default() };
    let plan = plan(desired, &recorded, &options, now);
    let mut under_way = sent(&recorded);
    under_way.extend(in_progress);
    // An upload is a possible duplicate only once it is sent again.
    let marks = plan.marks.iter().filter(|mark| !matches!(mark, Change::AddPossibleDuplicate { .. }));
    marks.into_iter().try_for_each(|mark| recorded.apply(mark, now))?;
    // An address that moved takes its open attempts along.
    under_way.extend(sent(&recorded));
    let parts = Parts::of(&plan, &recorded);
    let row = |address: &Address| {
        let unknown = desired.assets.get(address).and_then(|want| unknown.get(&want.path)).copied();
        let under_way = under_way.contains(address);
        let recorded = &recorded;
        StatusInputs { address, desired, recorded, parts: &parts, under_way, unknown, now }.row()
    };
    Ok(addresses(desired, &recorded).into_iter().filter_map(row).collect())
}

/// Returns the addresses with a request that was sent and is not finished. An operation that was
/// set aside doesn't count.
fn sent(recorded: &Recorded) -> BTreeSet<Address> {
    let attempts = recorded.attempts.values();
    let sent = attempts.filter(|attempt| !matches!(attempt.phase, Phase::Intended | Phase::SetAside(_)));
    sent.map(|attempt| attempt.address.clone()).collect()
}
