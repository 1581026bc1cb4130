//! Gathers the desired state from the manifest's text and the files on disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use crate::files::{self, FilesInProgress, FirstReads, TreeDigest};
use crate::manifest::{self, Diagnostic, Manifest};
use crate::model::address::Address;
use crate::model::desired::{Absences, Desired, FileSelection, FoundFile, FoundFiles, Unseen};
use crate::model::file::{FileCache, FileProblem, FileProblemKind};
use crate::model::path::ProjectPath;
use crate::model::recorded::KnownAddresses;
use crate::model::shown::foreign;
use crate::platform::clock;

use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::engine::workspace::committed;
use crate::engine::workspace::git;
use crate::engine::workspace::neighbours;
use crate::engine::workspace::not_checked_out::with_files_left_out;
use crate::engine::workspace::plan_inputs::{CheckoutState, PlanInputs};
use crate::engine::workspace::project::{Project, ProjectError};
use crate::engine::workspace::saved_answer::SavedAnswer;
use crate::engine::workspace::unseen_history;

/// The number of characters shown of each end of a path that is too long. With three bytes each,
/// and three times as many in Unicode's normal form, they still fit into an address.
const SHOWN: usize = 150;

/// The number of files that a note names.
const LISTED: usize = 3;

/// The result of scanning manifest and files.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub manifest: Manifest,
    /// The desired state, with the current files.
    pub desired: Desired,
    /// Findings that are no errors but probably not intended.
    pub notes: Vec<Diagnostic>,
    /// The facts about files, for the next scan.
    pub cache: FileCache,
    /// Changed files that were not read because they are still being written.
    pub waiting: BTreeSet<ProjectPath>,
    /// What all of this was gathered from, if that is known.
    pub inputs: Option<PlanInputs>,
    /// What git said of absent assets, for the next scan.
    pub history: SavedAnswer,
}

/// What an earlier scan left for the next one, which reads only what changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastScan<'a> {
    /// The facts about files.
    pub cache: &'a FileCache,
    /// What git said of absent assets.
    pub history: &'a SavedAnswer,
}

/// Why the desired state is unknown. Nothing is attempted then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatherError {
    /// A file of the project could not be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The manifest is not valid. Its text is kept so that lines can be shown.
    #[error("the manifest has {} error(s)", .diagnostics.len())]
    Manifest {
        /// Every error.
        diagnostics: Vec<Diagnostic>,
        /// The manifest's text, with invalid UTF-8 replaced.
        text: String,
    },
}

/// Reads the manifest alone.
///
/// # Errors
/// When it can't be read or is not valid.
pub(crate) fn read_manifest(project: &Project) -> Result<(Manifest, String), GatherError> {
    let bytes = project.read_manifest()?;
    let source = || String::from_utf8_lossy(&bytes).into_owned();
    match manifest::parse(&bytes, &project.manifest_name()) {
        Ok(manifest) => Ok((manifest, source())),
        Err(diagnostics) => Err(GatherError::Manifest { diagnostics, text: source() }),
    }
}

/// Returns the files that a single run must not read yet. In CI there are none: everything was just
/// checked out, and no one edits it.
pub(crate) fn in_progress_now(project: &Project) -> FilesInProgress {
    if project.in_ci {
        return FilesInProgress::default();
    }
    FilesInProgress::single_run(clock::nanoseconds())
}

/// Reads the manifest and scans every file that it selects. A reference to an address that left the
/// manifest is valid if state or lockfile know the address (`known`). For files that are
/// `in_progress`, the `cache`d content counts. Blocks: it reads the disk.
///
/// # Errors
/// When the manifest is not valid, on its own or for these files, or a folder can't be read.
pub(crate) fn gather(
    project: &Project,
    cache: &FileCache,
    known: &KnownAddresses,
    in_progress: &FilesInProgress,
    listener: &Listener,
) -> Result<Gathered, GatherError> {
    let last = LastScan { cache, history: &SavedAnswer::default() };
    let search = Search { project, last, in_progress, listener, remember: RememberInputs::No };
    search.run(read_manifest(project)?, || known)
}

/// Does what [`gather`] does in a place where nothing was scanned before, while `known` is still
/// being made: it is waited for once the files are found.
///
/// # Errors
/// As for [`gather`].
pub(crate) fn gather_beside<'a>(
    project: &Project,
    known: impl FnOnce() -> &'a KnownAddresses,
    listener: &Listener,
) -> Result<Gathered, GatherError> {
    let last = LastScan { cache: &FileCache::new(), history: &SavedAnswer::default() };
    let in_progress = &in_progress_now(project);
    let search = Search { project, last, in_progress, listener, remember: RememberInputs::No };
    search.run(read_manifest(project)?, known)
}

/// Does what [`gather`] does, for a `manifest` that was read before, with its `text`, and remembers
/// what it was gathered from.
///
/// # Errors
/// When it is not valid for these files, or a folder can't be read.
pub(crate) fn gather_manifest(
    project: &Project,
    manifest: Manifest,
    text: String,
    last: LastScan<'_>,
    known: &KnownAddresses,
    in_progress: &FilesInProgress,
    listener: &Listener,
) -> Result<Gathered, GatherError> {
    let search = Search { project, last, in_progress, listener, remember: RememberInputs::Yes };
    search.run((manifest, text), || known)
}

/// Whether the result says what it was gathered from, so that a later run can tell that nothing
/// changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RememberInputs {
    Yes,
    No,
}

/// A search for what a manifest wants.
struct Search<'a> {
    project: &'a Project,
    last: LastScan<'a>,
    in_progress: &'a FilesInProgress,
    listener: &'a Listener,
    remember: RememberInputs,
}

impl Search<'_> {
    fn run<'k>(
        self,
        (manifest, text): (Manifest, String),
        known: impl FnOnce() -> &'k KnownAddresses,
    ) -> Result<Gathered, GatherError> {
        let Self { project, last: LastScan { cache, history }, in_progress, listener, remember } = self;
        let mut history = history.clone();
        let checkout = git::checkout(&project.root);
        let state = if remember == RememberInputs::Yes { CheckoutState::now(project) } else { None };
        let selection = manifest.selection();
        // Git reads its index meanwhile.
        let index = thread::spawn({
            let project = project.clone();
            move || committed::index(&project)
        });
        let neighbours = thread::spawn({
            let project = project.clone();
            move || neighbours::look(&project, project.remote.as_deref())
        });
        let tell = |seen: files::ScanProgress| {
            let (done, total) = (seen.files_done as u64, seen.files as u64);
            listener(ProgressEvent::Files { done, total, bytes: seen.bytes_done });
        };
        // Before the first read: a file may change in the tick of the clock in which it was read.
        let now_ns = clock::nanoseconds();
        // Where nothing is known of any file, it is read as soon as it is found.
        let (mut walk, reads) = match cache.is_empty() {
            true => files::walk_reading(&project.root, &selection, &tell),
            false => (files::walk(&project.root, &selection), FirstReads::default()),
        };
        in_progress.keep(&mut walk, &selection, cache);
        let known = known();
        files::keep_behind_links(&mut walk, &project.root, &selection, &known.here);
        let in_progress = &in_progress.knowing(&known.with_quota);
        let (read, bytes) = reads.total();
        let and_these = |seen: files::ScanProgress| {
            let (files_done, files) = (read + seen.files_done, read + seen.files);
            tell(files::ScanProgress {
                files_done,
                files,
                bytes_done: bytes + seen.bytes_done,
                bytes: bytes + seen.bytes,
            });
        };
        let files::Scanned { findings, cache, waiting } =
            files::scan_rest(&project.root, &walk, reads, cache, in_progress, now_ns, &and_these);
        let left_out = with_files_left_out(project, &manifest, &known.all);
        let resolved = match manifest.resolve(&findings, &left_out, &walk.unread_globs()) {
            Ok(resolved) => resolved,
            Err(diagnostics) => return Err(GatherError::Manifest { diagnostics, text }),
        };
        let neighbours = neighbours.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut notes = thread::scope(|scope| {
            let mistakes = scope.spawn(|| manifest.notes(&resolved));
            let index = index.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let untracked = committed::untracked_by(index, project, &resolved.desired);
            let mut notes = mistakes.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            notes.extend(neighbours::unasked(&neighbours, project));
            notes.extend(untracked);
            notes
        });
        notes.extend(other_case(project, &walk));
        let mut desired = resolved.desired;
        keep_findable(&mut desired, &selection);
        desired.absences = absences(project, &walk, &desired);
        desired.never_committed = committed::never_committed(project, &manifest, &desired, known, &mut history);
        desired.unseen_history = unseen_history::look(project, &desired);
        desired.neighbours = Arc::new(neighbours);
        desired.unseen = walk.problems.iter().cloned().map(unseen).collect();
        // If git switched meanwhile, the files belong to no single checkout.
        desired.checkout = Some(checkout).filter(|seen| *seen == git::checkout(&project.root)).unwrap_or_default();
        let inputs = state.filter(|_| waiting.is_empty()).and_then(|state| {
            let tree = TreeDigest::of_scan(&selection, &walk, &cache)?;
            Some(PlanInputs::new(text.as_bytes(), tree, state))
        });
        // Nobody waits until they are freed.
        thread::spawn(|| drop((walk, findings)));
        Ok(Gathered { manifest, desired, notes, cache, waiting, inputs, history })
    }
}

/// Returns the addresses that the manifest wants, without a look into any file. Blocks: it reads the
/// disk.
///
/// # Errors
/// When the manifest is not valid, on its own or for these files.
pub(crate) fn wanted_addresses(project: &Project, known: &KnownAddresses) -> Result<BTreeSet<Address>, GatherError> {
    let (manifest, text) = read_manifest(project)?;
    let selection = manifest.selection();
    let mut walk = files::walk(&project.root, &selection);
    files::keep_behind_links(&mut walk, &project.root, &selection, &known.here);
    let unread = |globs: &Vec<usize>| FoundFile {
        globs: globs.clone(),
        content: Err(FileProblem::new(FileProblemKind::NotLookedAt, "not looked at", None)),
    };
    let findings: FoundFiles = walk.files.iter().map(|(path, globs)| (path.clone(), unread(globs))).collect();
    match manifest.resolve(&findings, &with_files_left_out(project, &manifest, &known.all), &walk.unread_globs()) {
        Ok(resolved) => Ok(resolved.desired.assets.into_keys().collect()),
        Err(diagnostics) => Err(GatherError::Manifest { diagnostics, text }),
    }
}

/// Drops from what globs no longer find what no walk would find: a glob passes over hidden files,
/// so such a file may be there.
pub(in crate::engine) fn keep_findable(desired: &mut Desired, selection: &FileSelection) {
    let findable = files::wanted_by_globs(selection, desired.fileless.keys());
    desired.fileless.retain(|address, _| findable.contains(address));
}

/// Returns a note about files that only the case of their extension keeps out.
pub(in crate::engine) fn other_case(project: &Project, walk: &files::Walk) -> Option<Diagnostic> {
    let names = &walk.other_case;
    let more = names.len().saturating_sub(LISTED);
    let shown: Vec<_> = names.iter().take(LISTED).map(|name| foreign(name)).collect();
    let (file, is) =
        if names.len() == 1 { ("1 file".to_owned(), "is") } else { (format!("{} files", names.len()), "are") };
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| {
        Diagnostic::of_project(
            format!("{file} {is} left out because upper and lower case differ: {}{and}", shown.join(", ")),
            "rename them, or name both spellings in the glob, such as \"*.{png,PNG}\"".to_owned(),
            project.manifest_name(),
        )
    })
}

/// Returns whether absent files count as removed. They don't where a whole folder or part of the
/// checkout seems to be missing.
pub(in crate::engine) fn absences(project: &Project, walk: &files::Walk, desired: &Desired) -> Absences {
    if let Some(why) = git::partial(&project.root) {
        return Absences::DontCount { why };
    }
    if desired.assets.is_empty() {
        return Absences::NothingWanted;
    }
    let missing = walk.missing.iter().map(|files::MissingFolder { glob, folder }| (folder.clone(), glob.clone()));
    let folders: Vec<(String, String)> = missing.collect();
    if folders.is_empty() { Absences::Count } else { Absences::Missing { folders } }
}

/// Converts a problem of the walk, under the address that the file would have. A path that is no
/// address (a control character, too long) is shown as a similar one, so that no problem is
/// dropped.
pub(in crate::engine) fn unseen(problem: files::WalkProblem) -> Unseen {
    let plain: String = problem.path.chars().filter(|c| !c.is_control()).collect();
    let shortened = || {
        let characters: Vec<char> = plain.chars().collect();
        let (start, end) = (characters.iter().take(SHOWN), characters.iter().rev().take(SHOWN).rev());
        start.chain(std::iter::once(&'…')).chain(end).collect::<String>()
    };
    let place = Address::new(&plain).or_else(|_| Address::new(&shortened()));
    let place = place.or_else(|_| Address::new(".")).expect("`.` is an address");
    Unseen { place, incomplete: problem.incomplete, problem: problem.problem }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test writes a project")]
mod tests {
    use super::*;
    use crate::engine::report::progress::silent;

    /// Returns what a manifest wants in a project with these files, of which some addresses are known.
    fn wanted(manifest: &str, files: &[&str], known: &KnownAddresses) -> Desired {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[creator]\nuser_id = 1\n{manifest}");
        for (name, text) in files.iter().map(|name| (*name, "")).chain([("assets.toml", text.as_str())]) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let project = Project::find(None, None, folder.path()).unwrap();
        gather(&project, &FileCache::new(), known, &FilesInProgress::default(), &silent()).unwrap().desired
    }

    /// Checks whether absences count in a project with these files.
    fn check(manifest: &str, files: &[&str], expected: Absences) {
        let desired = wanted(manifest, files, &KnownAddresses::default());
        assert_eq!(desired.absences, expected, "{manifest}");
        assert_eq!(desired.unseen, [], "{manifest}");
    }

    #[test]
    fn a_hidden_file_that_no_glob_names_is_not_called_gone() {
        let known = ["ui/.draft.png", "ui/.old/a.png", "ui/gone.png"].map(|name| Address::new(name).unwrap());
        let known = KnownAddresses { all: known.into(), ..KnownAddresses::default() };
        let desired = wanted("[globs.ui]\npath = 'ui/**/*.png'\n", &["ui/.draft.png", "ui/a.png"], &known);
        let fileless: Vec<&str> = desired.fileless.keys().map(Address::as_str).collect();
        assert_eq!(fileless, ["ui/gone.png"]);
    }

    #[test]
    fn no_problem_of_the_walk_is_dropped_whatever_its_path() {
        let place = |path: String| {
            let problem =
                FileProblem { kind: crate::model::file::FileProblemKind::Missing, message: "m".to_owned(), hint: None };
            let unseen = unseen(files::WalkProblem { path, globs: vec![0], incomplete: true, problem });
            assert!(unseen.incomplete);
            unseen.place.to_string()
        };
        assert_eq!(place("a/b".to_owned()), "a/b");
        assert_eq!(place("a\n/b".to_owned()), "a/b");
        assert_eq!(place(String::new()), "…");
        let long = place(format!("start/{}/end", "\u{fffd}".repeat(4000)));
        assert!(long.starts_with("start/") && long.ends_with("/end") && long.contains('…'));
        // A character that is longer in its normal form.
        assert!(place("\u{1d160}".repeat(4000)).contains('…'));
    }

    #[test]
    fn absences_count_only_where_nothing_seems_to_be_missing() {
        let nothing = || Absences::NothingWanted;
        let ui = "[globs.ui]\npath = 'ui/**/*.png'\n";
        let entry = "[assets.a]\npath = 'a.png'\n";
        check("", &[], nothing());
        check(ui, &[], nothing());
        check(ui, &["ui/x.txt"], nothing());
        check(ui, &["ui/a.png"], Absences::Count);
        check(entry, &[], Absences::Count);
        check(&format!("{ui}{entry}"), &["ui/x.txt"], Absences::Count);
        let folders = vec![("ui".to_owned(), "ui".to_owned())];
        check(&format!("{ui}{entry}"), &["a.png"], Absences::Missing { folders });
        check(&format!("{ui}{entry}"), &["ui/a.png", ".git/config"], Absences::Count);
    }
}
