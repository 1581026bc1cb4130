//! Finds the files that the manifest names.
//!
//! The walk only enters folders that can contain a match. A place that can't be read becomes a
//! [`WalkProblem`] that names the affected globs. `.gitignore` doesn't count.
//!
//! Read next: `globs` for which files are wanted, `scan` for the next step of the list.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use super::first_reads::{self, FirstReader, FirstReads};
use super::found::{Walk, WalkProblem, problem};
use super::globs::Globs;
use super::open::{Barred, Root, remedy};
use super::pattern::PatternPart;
use super::read::{ScanProgress, ScanResult};
use super::share::do_all;
use crate::model::desired::FileSelection;
use crate::model::file::FileProblemKind;
use crate::model::path::{ProjectPath, is_guarded};

/// Finds the files that `selection` names below `root`, the manifest's folder.
///
/// In globs `*` doesn't cross `/`, and case counts. Hidden files and links to folders are skipped
/// unless a part of the glob without wildcards names them. A part that starts with a dot also finds
/// hidden names. `.git` and `.macadam` are never entered. The same files give the same result, in
/// the same order. Uses all cores.
pub fn walk(root: &Path, selection: &FileSelection) -> Walk {
    walk_with(root, selection, |_| None).0
}

/// Does what [`walk()`] does, and reads the small files that it finds, where the system has the calls
/// for it. `progress` is called on any thread.
pub(crate) fn walk_reading(
    root: &Path,
    selection: &FileSelection,
    progress: &(dyn Fn(ScanProgress) + Sync),
) -> (Walk, FirstReads) {
    walk_with(root, selection, |root| FirstReader::new(root, progress))
}

fn walk_with<'a>(
    root: &Path,
    selection: &FileSelection,
    reader: impl FnOnce(&Root) -> Option<FirstReader<'a>>,
) -> (Walk, FirstReads) {
    let (mut walk, mut reads) = (Walk::default(), FirstReads::default());
    let globs = Globs::new(&selection.globs, &mut walk.problems);
    match Root::new(root) {
        Ok(root) => {
            globs.check_bases(&root, &mut walk);
            if globs.find_something() {
                reads = find(&root, &globs, reader(&root).as_ref(), &mut walk);
            }
        }
        Err(error) => walk.problems.extend((!selection.globs.is_empty()).then(|| WalkProblem {
            path: ".".to_owned(),
            globs: (0..selection.globs.len()).collect(),
            incomplete: true,
            problem: problem(
                FileProblemKind::Unreadable,
                format!("cannot read the manifest's folder: {error}"),
                remedy(&error),
            ),
        })),
    }
    for path in &selection.explicit {
        walk.files.entry(path.clone()).or_default();
    }
    walk.problems.sort_by(|a, b| (&a.path, &a.globs).cmp(&(&b.path, &b.globs)));
    (walk, reads)
}

/// A folder to walk: the project's, or the target of a link that a glob names.
struct WalkStart {
    place: PathBuf,
    parts: Vec<PatternPart>,
    path: String,
    /// The real folders that led here through links, to detect circles.
    trail: Vec<PathBuf>,
}

/// A file that globs match.
struct MetFile {
    path: ProjectPath,
    globs: Vec<usize>,
    /// The place of what was read of it, in its folder.
    read: Option<usize>,
}

/// What was met in one folder, in the order of the paths.
struct FoundHere {
    met: Vec<Met>,
    /// What was read of its files.
    reads: Vec<ScanResult>,
}

impl FoundHere {
    fn first_path(&self) -> &str {
        self.met.first().map_or("", Met::path)
    }
}

/// The folders of one thread, and the buffer that their files are read into.
#[derive(Default)]
struct Found {
    folders: Vec<FoundHere>,
    buffer: Vec<u8>,
}

/// One result of the walk.
enum Met {
    File(MetFile),
    FolderLink { place: PathBuf, path: String, parts: Vec<PatternPart>, globs: Vec<usize> },
    Problem(WalkProblem),
    OtherCase(String),
}

impl Met {
    fn path(&self) -> &str {
        match self {
            Self::File(file) => file.path.as_str(),
            Self::FolderLink { path, .. } | Self::OtherCase(path) => path,
            Self::Problem(problem) => &problem.path,
        }
    }
}

fn find(root: &Root, globs: &Globs, reader: Option<&FirstReader<'_>>, walk: &mut Walk) -> FirstReads {
    let mut starts =
        vec![WalkStart { place: root.join(""), parts: Vec::new(), path: String::new(), trail: Vec::new() }];
    let (mut files, mut reads) = (Vec::new(), Vec::new());
    while let Some(start) = starts.pop() {
        let mut folders: Vec<FoundHere> =
            walk_from(&start, globs, reader).into_iter().flat_map(|found| found.folders).collect();
        folders.sort_by(|one, other| one.first_path().cmp(other.first_path()));
        for FoundHere { met, reads: here } in folders {
            let before = reads.len();
            reads.extend(here);
            for found in met {
                match found {
                    Met::File(file) => {
                        files.push(MetFile { read: file.read.map(|place| before + place), ..file });
                    }
                    Met::Problem(problem) => walk.problems.push(problem),
                    Met::OtherCase(path) => walk.other_case.push(path),
                    Met::FolderLink { place, path, parts, globs } => match follow(root, &start.trail, &place) {
                        Ok(trail) => starts.push(WalkStart { place, parts, path, trail }),
                        Err(wrong) => walk.problems.push(WalkProblem {
                            problem: problem(
                                FileProblemKind::BadLink,
                                format!("the folder link `{path}` {wrong}"),
                                None,
                            ),
                            path,
                            globs,
                            incomplete: true,
                        }),
                    },
                }
            }
        }
    }
    walk.other_case.sort_unstable();
    // Nearly all are: each folder's, one folder after the other.
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let places = files.iter().filter_map(|file| Some((file.path.clone(), file.read?))).collect();
    walk.files = files.into_iter().map(|file| (file.path, file.globs)).collect();
    FirstReads::new(places, reads)
}

/// Extends the trail through a folder link, or says why the link is not followed.
pub(super) fn follow(root: &Root, trail: &[PathBuf], link: &Path) -> Result<Vec<PathBuf>, String> {
    let resolve = |place: &Path| match root.resolve(place) {
        Ok(Ok(real)) => Ok(real),
        Ok(Err(Barred::Outside)) => Err("leads out of the manifest's folder".to_owned()),
        Ok(Err(Barred::Guarded)) => Err("leads into a folder of git's or Macadam's own".to_owned()),
        Err(error) => Err(format!("cannot be followed: {error}")),
    };
    let target = resolve(link)?;
    let mut trail = trail.to_vec();
    trail.push(resolve(link.parent().unwrap_or(link))?);
    if trail.iter().any(|folder| folder.starts_with(&target)) {
        return Err("leads in a circle".to_owned());
    }
    Ok(trail)
}

/// Returns everything that the globs match below one folder, in no particular order.
fn walk_from(start: &WalkStart, globs: &Globs, reader: Option<&FirstReader<'_>>) -> Vec<Found> {
    let first = WalkFolder { place: start.place.clone(), path: start.path.clone(), parts: start.parts.clone() };
    let found = do_all(first, |folder, found: &mut Found, more| {
        let mut here = FoundHere { met: Vec::new(), reads: Vec::new() };
        if let Err(error) = list(&folder, globs, reader, (&mut here, &mut found.buffer), more) {
            here.met.push(failed(folder, globs, &error));
        }
        here.met.sort_by(|one, other| one.path().cmp(other.path()));
        if let Some(reader) = reader {
            reader.tell(&here.reads);
        }
        found.folders.push(here);
        true
    });
    found.unwrap_or_default()
}

/// A folder on the walk.
struct WalkFolder {
    place: PathBuf,
    /// Its path below the project's folder, empty for that one.
    path: String,
    parts: Vec<PatternPart>,
}

impl WalkFolder {
    /// The path of something in it.
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }

    /// The parts of a folder in it.
    fn parts_of(&self, last: PatternPart) -> Vec<PatternPart> {
        self.parts.iter().cloned().chain([last]).collect()
    }
}

/// Lists one folder, and adds those in it that can have a match to `more`.
fn list(
    folder: &WalkFolder,
    globs: &Globs,
    reader: Option<&FirstReader<'_>>,
    (here, buffer): (&mut FoundHere, &mut Vec<u8>),
    more: &mut Vec<WalkFolder>,
) -> io::Result<()> {
    let FoundHere { met: found, reads } = here;
    let states = globs.within(&folder.parts);
    let mut below = None;
    for entry in std::fs::read_dir(&folder.place)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let raw = entry.file_name();
        let name = raw.to_string_lossy();
        if kind.is_dir() {
            if is_guarded(&name) {
                continue;
            }
            let parts = folder.parts_of(PatternPart::new(&name));
            let reaching = globs.reaching(&parts);
            if reaching.is_empty() {
                continue;
            }
            let path = folder.path_of(&name);
            match not_a_path(&path, &raw) {
                Some(wrong) => found.push(Met::Problem(wrong.of(path, reaching, true))),
                None => more.push(WalkFolder { place: entry.path(), path, parts }),
            }
            continue;
        }
        let part = PatternPart::new(&name);
        if kind.is_symlink() && entry.path().is_dir() {
            found.extend(folder_link(folder, globs, &entry, part));
            continue;
        }
        let matching = globs.matching_in(&states, &part);
        if matching.is_empty() {
            if globs.match_in_other_case(&folder.parts, &name) {
                found.push(Met::OtherCase(folder.path_of(&name)));
            }
            continue;
        }
        let path = folder.path_of(&name);
        found.push(match (not_a_path(&path, &raw), ProjectPath::new(&path)) {
            (Some(wrong), _) => Met::Problem(wrong.of(path, matching, false)),
            (None, Ok(path)) => {
                let read = reader.filter(|_| kind.is_file()).and_then(|reader| {
                    let below = below.get_or_insert_with(|| reader.folder(&folder.path)).as_ref()?;
                    reads.push(first_reads::read(below, &path, &name, buffer)?);
                    Some(reads.len() - 1)
                });
                Met::File(MetFile { path, globs: matching, read })
            }
            (None, Err(error)) => Met::Problem(BadName(error.to_string()).of(path, matching, false)),
        });
    }
    Ok(())
}

/// A link to a folder, if something below it can match.
fn folder_link(folder: &WalkFolder, globs: &Globs, entry: &DirEntry, name: PatternPart) -> Option<Met> {
    let parts = folder.parts_of(name.into_link());
    let reaching = globs.reaching(&parts);
    if reaching.is_empty() {
        return None;
    }
    let raw = entry.file_name();
    let path = folder.path_of(&raw.to_string_lossy());
    Some(match not_a_path(&path, &raw) {
        Some(wrong) => Met::Problem(wrong.of(path, reaching, true)),
        None => Met::FolderLink { place: entry.path(), path, parts, globs: reaching },
    })
}

/// The reason why a name on disk can't be part of a project path.
struct BadName(String);

impl BadName {
    fn of(self, path: String, globs: Vec<usize>, incomplete: bool) -> WalkProblem {
        let problem = problem(FileProblemKind::BadName, self.0, Some("rename it"));
        WalkProblem { path, globs, incomplete, problem }
    }
}

fn not_a_path(path: &str, name: &OsStr) -> Option<BadName> {
    match name.to_str() {
        None => Some(BadName(format!("the name of `{path}` is not UTF-8"))),
        Some(name) if name.contains('\\') => {
            Some(BadName(format!("the name of `{path}` contains a backslash, which separates folders on Windows")))
        }
        Some(_) => None,
    }
}

/// Reports a folder that could not be read, or that vanished during the walk.
fn failed(folder: WalkFolder, globs: &Globs, error: &io::Error) -> Met {
    let WalkFolder { place: _, path, parts } = folder;
    let name = if path.is_empty() { ".".to_owned() } else { path };
    let message = format!("cannot read the folder `{name}`: {error}");
    let problem = problem(FileProblemKind::Unreadable, message, remedy(error));
    Met::Problem(WalkProblem { globs: globs.reaching(&parts), incomplete: true, problem, path: name })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::files::found::MissingFolder;
    use crate::files::tests_support::{Folder, path};
    use crate::model::desired::GlobPattern;
    use crate::model::steps::steps_of;

    fn glob(path: &str, exclude: &[&str]) -> GlobPattern {
        GlobPattern { name: "g".into(), path: path.into(), exclude: exclude.iter().map(|e| (*e).into()).collect() }
    }

    fn walk_globs(folder: &Folder, globs: &[GlobPattern]) -> Walk {
        walk(folder.path(), &FileSelection { explicit: Vec::new(), globs: globs.to_vec() })
    }

    fn check(folder: &Folder, globs: &[GlobPattern], expected: &[(&str, &[usize])], problems: &[&str]) -> Walk {
        let walk = walk_globs(folder, globs);
        let found: Vec<(&str, &[usize])> = walk.files.iter().map(|(p, g)| (p.as_str(), g.as_slice())).collect();
        assert_eq!(found, expected);
        assert_eq!(walk.problems.len(), problems.len(), "{:#?}", walk.problems);
        for (problem, part) in walk.problems.iter().zip(problems) {
            assert!(problem.problem.message.contains(part), "{part}: {problem:?}");
        }
        walk
    }

    #[test]
    fn globs_find_files_and_say_which_matched() {
        let folder = Folder::with(&[
            ("ui/a.png", b""),
            ("ui/wip/b.png", b""),
            ("ui/deep/c.png", b""),
            ("ui/deep/c.jpg", b""),
            ("a.png", b""),
            (".gitignore", b"*.png"),
            (".hidden/a.png", b""),
            (".git/a.png", b""),
            ("sub/.macadam/a.png", b""),
            ("node_modules/x/a.png", b""),
        ]);
        check(
            &folder,
            &[glob("ui/**/*.png", &["ui/wip/**"]), glob("ui/*.png", &[])],
            &[("ui/a.png", &[0, 1]), ("ui/deep/c.png", &[0])],
            &[],
        );
        check(&folder, &[glob(".hidden/*", &[]), glob("*.png", &[])], &[(".hidden/a.png", &[0]), ("a.png", &[1])], &[]);
        check(&folder, &[glob(".git/*", &[])], &[], &["git's"]);
        check(&folder, &[glob("**/.macadam/*", &[])], &[], &[]);
    }

    #[test]
    fn the_folders_on_the_way_to_a_file_are_matched_once_for_all_its_files() {
        let names: Vec<String> = (0..100).map(|number| format!("a/b/c/d/e/{number}.png")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        let folder = Folder::with(&files);
        let globs = Globs::new(&[glob("a/**/*.png", &[])], &mut Vec::new());
        let path = "a/b/c/d/e";
        let parts = path.split('/').map(PatternPart::new).collect();
        let inner = WalkFolder { place: folder.path().join(path), path: path.to_owned(), parts };
        let mut here = FoundHere { met: Vec::new(), reads: Vec::new() };
        let list = |here: &mut FoundHere| list(&inner, &globs, None, (here, &mut Vec::new()), &mut Vec::new());
        let steps = steps_of(|| list(&mut here).unwrap());
        assert_eq!(here.met.len(), 100);
        assert!(steps <= 120, "{steps} parts were matched for 100 files");
    }

    #[test]
    fn explicit_paths_are_listed_even_if_no_file_exists() {
        let folder = Folder::with(&[("a.png", b"")]);
        let selection =
            FileSelection { explicit: vec![path("a.png"), path("gone.png")], globs: vec![glob("*.png", &[])] };
        let walk = walk(folder.path(), &selection);
        assert_eq!(walk.files, BTreeMap::from([(path("a.png"), vec![0]), (path("gone.png"), vec![])]));
    }

    #[test]
    fn a_vanished_folder_is_reported_and_is_not_an_empty_result() {
        let folder = Folder::with(&[("a.png", b""), ("models/a.fbx", b"")]);
        let missing =
            |path: &str| check(&folder, &[glob("*.png", &[]), glob(path, &[])], &[("a.png", &[0])], &[]).missing;
        let gone = |folder: &str| MissingFolder { glob: "g".into(), folder: folder.into() };
        assert_eq!(missing("ui/icons/**"), [gone("ui/icons")]);
        assert_eq!(missing("ui/a.png"), [gone("ui")]);
        assert_eq!(missing("{models,ui}/**/*.png"), [gone("ui")]);
        assert_eq!(missing("models/*/x.png"), []);
        assert_eq!(missing("*/x.png"), []);
        let a_file = check(&folder, &[glob("a.png/*", &[])], &[], &["`a.png` isn't a folder"]);
        assert_eq!((a_file.problems[0].incomplete, a_file.missing.len()), (true, 0));
        let gone = super::walk(
            &folder.path().join("gone"),
            &FileSelection { explicit: vec![path("a.png")], globs: vec![glob("*", &[])] },
        );
        assert_eq!(gone.problems.len(), 1);
        assert!(gone.problems[0].incomplete && gone.files.contains_key(&path("a.png")));
    }

    #[test]
    fn a_bad_pattern_concerns_its_glob_alone() {
        let folder = Folder::with(&[("a.png", b""), ("b.png", b"")]);
        check(
            &folder,
            &[glob("{a", &[]), glob("*.png", &["[b.png"]), glob("b*", &[])],
            &[("b.png", &[2])],
            &["isn't a pattern", "isn't a pattern"],
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_where_named_and_never_out_of_the_project() {
        use std::os::unix::fs::symlink;

        let outside = Folder::with(&[("x.png", b"")]);
        let folder = Folder::with(&[("real/a.png", b""), ("real/sub/b.png", b""), (".git/c.png", b"")]);
        let at = |name: &str| folder.path().join(name);
        symlink("real", at("linked")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink("..", at("real/sub/up")).unwrap();
        symlink(".git", at("git")).unwrap();
        symlink("a.png", at("real/link.png")).unwrap();
        symlink(outside.path().join("x.png"), at("real/out.png")).unwrap();
        let real: &[(&str, &[usize])] =
            &[("real/a.png", &[0]), ("real/link.png", &[0]), ("real/out.png", &[0]), ("real/sub/b.png", &[0])];
        check(&folder, &[glob("**/*.png", &[])], real, &[]);
        check(
            &folder,
            &[glob("linked/**/*.png", &["**/out.png"]), glob("**/a.png", &[])],
            &[("linked/a.png", &[0]), ("linked/link.png", &[0]), ("linked/sub/b.png", &[0]), ("real/a.png", &[1])],
            &[],
        );
        check(&folder, &[glob("out/*.png", &[])], &[], &["`out` leads out"]);
        check(&folder, &[glob("git/*.png", &[])], &[], &["own", "own"]);
        check(&folder, &[glob("real/sub/up/**/up/*.png", &[])], &[], &["circle"]);
    }

    #[cfg(unix)]
    #[test]
    fn two_links_that_lead_to_each_other_end_the_walk() {
        let folder = Folder::with(&[("a/x.png", b""), ("b/y.png", b"")]);
        std::os::unix::fs::symlink("../b", folder.path().join("a/l")).unwrap();
        std::os::unix::fs::symlink("../a", folder.path().join("b/l")).unwrap();
        let once: &[(&str, &[usize])] = &[("a/l/y.png", &[0]), ("b/l/x.png", &[0])];
        check(&folder, &[glob("**/l/**", &[])], once, &[]);
        check(&folder, &[glob("**/l/l/l/**", &[])], &[], &["`a/l/l` leads in a circle", "`b/l/l` leads in a circle"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_not_utf8_is_a_problem_of_that_file_alone() {
        use std::os::unix::ffi::OsStrExt as _;

        let folder = Folder::with(&[("ui/a.png", b""), ("ui/back\\slash.png", b"")]);
        let bad = folder.path().join(OsStr::from_bytes(b"ui/\xff.png"));
        std::fs::copy(folder.path().join("ui/a.png"), bad).unwrap();
        std::fs::create_dir(folder.path().join(OsStr::from_bytes(b"ui/d\xff"))).unwrap();
        let walk = check(
            &folder,
            &[glob("ui/*.png", &[])],
            &[("ui/a.png", &[0])],
            &["backslash", "`ui/\u{fffd}.png` is not UTF-8"],
        );
        assert!(walk.problems.iter().all(|problem| !problem.incomplete));
        let walk = walk_globs(&folder, &[glob("ui/**/x.png", &[])]);
        assert_eq!(walk.problems.iter().map(|problem| problem.incomplete).collect::<Vec<_>>(), [true]);
    }

    #[test]
    fn a_folder_that_fails_to_be_read_concerns_the_globs_that_reach_it() {
        let written = [glob("ui/**", &[]), glob("*", &[]), glob("**", &["ui/**"])];
        let globs = Globs::new(&written, &mut Vec::new());
        let parts = ["ui", "a"].map(PatternPart::new).to_vec();
        let folder = WalkFolder { place: "/p/ui/a".into(), path: "ui/a".to_owned(), parts };
        let Met::Problem(found) = failed(folder, &globs, &io::ErrorKind::PermissionDenied.into()) else {
            panic!("no problem");
        };
        assert_eq!((found.path.as_str(), found.globs.as_slice(), found.incomplete), ("ui/a", &[0][..], true));
        assert!(found.problem.message.contains("cannot read the folder `ui/a`"), "{found:?}");
    }

    #[cfg(unix)]
    #[test]
    fn an_unreadable_folder_is_a_problem() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = Folder::with(&[("ui/a.png", b""), ("ui/secret/b.png", b"")]);
        let secret = folder.path().join("ui/secret");
        let mode = |mode| std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o000);
        // The superuser can read every folder, so there is no problem then.
        let readable = secret.read_dir().is_ok();
        let walk = walk_globs(&folder, &[glob("ui/**/*.png", &[]), glob("*.png", &[])]);
        let excluded = walk_globs(&folder, &[glob("ui/**/*.png", &["ui/secret/**"])]);
        mode(0o755);
        if !readable {
            assert_eq!(walk.problems.len(), 1, "{walk:?}");
            assert_eq!((walk.problems[0].path.as_str(), walk.problems[0].globs.as_slice()), ("ui/secret", &[0][..]));
            assert!(walk.problems[0].incomplete);
        }
        assert_eq!(excluded.problems, []);
    }
}
