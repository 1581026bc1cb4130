//! What is wanted: the manifest's text and the files on disk, as the desired state.

use std::collections::BTreeSet;

use crate::files::{self, FilesInProgress};
use crate::manifest::{self, Diagnostic, Manifest};
use crate::model::address::Address;
use crate::model::desired::{Absences, Desired, Unseen};
use crate::model::file::FileCache;
use crate::model::path::ProjectPath;
use crate::model::recorded::KnownAddresses;
use crate::platform::clock;

use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::engine::workspace::git;
use crate::engine::workspace::project::{Project, ProjectError};

/// How many characters are shown of each end of a path that is too long: three bytes each, and
/// three times as many in Unicode's normal form, are still less than an address may have.
const SHOWN: usize = 150;

/// What a look at manifest and files gave.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The manifest.
    pub manifest: Manifest,
    /// What it wants with the files as they are.
    pub desired: Desired,
    /// What is no error and hardly meant.
    pub notes: Vec<Diagnostic>,
    /// The looks at files, for the next time.
    pub cache: FileCache,
    /// The files that changed and were not looked into because they are unsettled.
    pub waiting: BTreeSet<ProjectPath>,
}

/// Why the desired state is unknown. Nothing is attempted then.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A file of the project could not be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The manifest is not valid; its text is kept for showing the lines.
    #[error("the manifest has {} mistake(s)", .diagnostics.len())]
    Manifest {
        /// Every mistake.
        diagnostics: Vec<Diagnostic>,
        /// The manifest's text, as far as it is text.
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

/// What a single run must not take yet. In CI everything was just checked out, and nobody writes
/// there.
pub(crate) fn unsettled_now(project: &Project) -> FilesInProgress {
    if project.in_ci {
        return FilesInProgress::default();
    }
    FilesInProgress::single_run(i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX))
}

/// Reads the manifest and looks at every file that it speaks of. A reference to an address that
/// left the manifest is no mistake where the address is `known`, to state or lockfile. Of files
/// that are `in_progress` the `cache`d content counts. Blocks: it reads the disk.
///
/// # Errors
/// When the manifest is not valid, also in the light of the files, or the folders can't be looked
/// into.
pub(crate) fn gather(
    project: &Project,
    cache: &FileCache,
    known: &KnownAddresses,
    in_progress: &FilesInProgress,
    listener: &Listener,
) -> Result<Gathered, GatherError> {
    let (manifest, text) = read_manifest(project)?;
    look(project, manifest, text, cache, known, in_progress, listener)
}

/// The same for a `manifest` that was read before, with its `text`.
///
/// # Errors
/// When it is not valid in the light of the files, or the folders can't be looked into.
pub(crate) fn look(
    project: &Project,
    manifest: Manifest,
    text: String,
    cache: &FileCache,
    known: &KnownAddresses,
    in_progress: &FilesInProgress,
    listener: &Listener,
) -> Result<Gathered, GatherError> {
    let selection = manifest.selection();
    let mut walk = files::walk(&project.root, &selection);
    in_progress.keep(&mut walk, &selection, cache);
    files::keep_behind_links(&mut walk, &project.root, &selection, &known.here);
    let now_ns = i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX);
    let tell = |seen: files::ScanProgress| {
        let (done, total) = (seen.files_done as u64, seen.files as u64);
        listener(ProgressEvent::Files { done, total, bytes: seen.bytes_done });
    };
    let files::Scanned { findings, cache, waiting } =
        files::scan(&project.root, &walk, cache, in_progress, now_ns, &tell);
    match manifest.resolve(&findings, &known.all) {
        Ok(resolved) => {
            let notes = resolved.notes;
            let mut desired = resolved.desired;
            desired.absences = absences(project, &walk, &desired);
            desired.unseen = walk.problems.into_iter().map(unseen).collect();
            Ok(Gathered { manifest, desired, notes, cache, waiting })
        }
        Err(diagnostics) => Err(GatherError::Manifest { diagnostics, text }),
    }
}

/// Whether what is not wanted may be taken for removed: not where something seems to be missing as
/// a whole.
pub(in crate::engine) fn absences(project: &Project, walk: &files::Walk, desired: &Desired) -> Absences {
    if let Some(why) = git::partial(&project.root) {
        return Absences::DontCount { why };
    }
    if desired.assets.is_empty() {
        return Absences::NothingWanted;
    }
    let missing = walk.missing.iter().map(|files::MissingFolder { glob, folder }| {
        (folder.clone(), format!("there is no folder `{folder}`, in which the glob `{glob}` looks for files"))
    });
    let folders: Vec<(String, String)> = missing.collect();
    if folders.is_empty() { Absences::Count } else { Absences::Missing { folders } }
}

/// Something that the walk could not look at, under the address that it would have. A name that is
/// no address (a control character, a path longer than any address) is shown as one that is: no
/// problem may get lost.
fn unseen(problem: files::WalkProblem) -> Unseen {
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
    use crate::model::file::FileProblem;

    /// Whether absences count in a project with these files.
    fn check(manifest: &str, files: &[&str], expected: Absences) {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[creator]\nuser_id = 1\n{manifest}");
        for (name, text) in files.iter().map(|name| (*name, "")).chain([("assets.toml", text.as_str())]) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let project = Project::find(None, None, folder.path()).unwrap();
        let gathered =
            gather(&project, &FileCache::new(), &KnownAddresses::default(), &FilesInProgress::default(), &silent())
                .unwrap();
        assert_eq!(gathered.desired.absences, expected, "{manifest}");
        assert_eq!(gathered.desired.unseen, [], "{manifest}");
    }

    #[test]
    fn no_problem_of_the_walk_is_dropped_whatever_its_path() {
        let place = |path: String| {
            let problem = FileProblem { message: "m".to_owned(), hint: None };
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
        let why = "there is no folder `ui`, in which the glob `ui` looks for files".to_owned();
        check(&format!("{ui}{entry}"), &["a.png"], Absences::Missing { folders: vec![("ui".to_owned(), why)] });
        check(&format!("{ui}{entry}"), &["ui/a.png", ".git/config"], Absences::Count);
    }
}
