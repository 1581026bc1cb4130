//! A digest of the files that a manifest names and of their fingerprints. While it stays the same,
//! no file came, went or changed, and nothing needs to be read.
//!
//! The digest of the disk is made while the folders are listed: all cores take folders from one
//! list, and no list of all files is ever made. So it is the digest of parts, each of them the
//! files of one folder, at most [`PART`] of them. Read next: [`mod@super::walk`], which makes the same
//! choice of files and says what is wrong with the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::fingerprints::{fingerprints, folder_and_name};
use super::found::Walk;
use super::globs::Globs;
use super::open::Root;
use super::pattern::PatternPart;
use super::scan::is_unchanged_since;
use super::share::do_all;
use super::tree_parts::{InFolder, PART, Part, PartName, PartPlace, TreeParts, named_part, parts_of};
use super::walk::walk;
use crate::model::desired::FileSelection;
use crate::model::file::{CachedFile, FileCache, Fingerprint};
use crate::model::path::{ProjectPath, is_guarded};
use crate::platform::fingerprint;

/// The digest of a walk and of the fingerprint of each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeDigest([u8; 32]);

impl fmt::Display for TreeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A digest of the disk, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskDigest {
    /// The digest.
    pub digest: TreeDigest,
    /// What it was made of.
    pub parts: TreeParts,
    /// The number of files whose metadata was read.
    pub files: u64,
    /// The number of folders that were listed.
    pub folders: u64,
}

/// The digest of what a scan saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanDigest {
    /// The digest.
    pub digest: TreeDigest,
    /// What it was made of.
    pub parts: TreeParts,
    /// The files that changed so recently before the scan that they may change again without a
    /// trace: of these the digest proves nothing.
    pub recent: BTreeSet<ProjectPath>,
}

impl TreeDigest {
    /// Returns the digest of what a scan of `selection` saw; `None` if something could not be read.
    pub(crate) fn of_scan(selection: &FileSelection, walk: &Walk, cache: &FileCache) -> Option<ScanDigest> {
        let mut recent = BTreeSet::new();
        let (digest, parts) = Self::of_walk(selection, walk, |path| {
            let CachedFile { fingerprint, looked_at_ns, .. } = cache.get(path)?;
            if !is_unchanged_since(fingerprint, *looked_at_ns) {
                recent.insert(path.clone());
            }
            Some(*fingerprint)
        })?;
        Some(ScanDigest { digest, parts, recent })
    }

    /// Returns the digest of the files of `selection` as they are now, from their names and metadata
    /// alone; `None` if something can't be read. Blocks: it reads the disk.
    pub(crate) fn of_disk(root: &Path, selection: &FileSelection) -> Option<DiskDigest> {
        let named = Root::new(root).ok()?;
        let mut checked = Walk::default();
        let globs = Globs::new(&selection.globs, &mut checked.problems);
        globs.check_bases(&named, &mut checked);
        if !is_complete(&checked) {
            return None;
        }
        let FoundParts { parts, folders, has_links } = list(&named, &globs)?;
        if has_links {
            // Links are rare, and the walk alone knows when to follow those to folders.
            return Self::of_walked(root, selection);
        }
        let explicit: Vec<&ProjectPath> = explicit(selection).into_iter().collect();
        let states = fingerprints(&named, &explicit);
        let files = parts.values().map(|part| part.files).sum::<u64>() + explicit.len() as u64;
        let (digest, parts) = Self::of(parts, explicit.into_iter().zip(states))?;
        Some(DiskDigest { digest, parts, files, folders })
    }

    fn of_walked(root: &Path, selection: &FileSelection) -> Option<DiskDigest> {
        let walk = walk(root, selection);
        let named = Root::new(root).ok()?;
        let paths: Vec<&ProjectPath> = walk.files.keys().collect();
        let states = fingerprints(&named, &paths);
        let states: BTreeMap<&ProjectPath, Option<Fingerprint>> = paths.into_iter().zip(states).collect();
        let (digest, parts) = Self::of_walk(selection, &walk, |path| states.get(path).copied().flatten())?;
        Some(DiskDigest { digest, parts, files: walk.files.len() as u64, folders: 0 })
    }

    fn of_walk(
        selection: &FileSelection,
        walk: &Walk,
        mut state: impl FnMut(&ProjectPath) -> Option<Fingerprint>,
    ) -> Option<(Self, TreeParts)> {
        if !is_complete(walk) {
            return None;
        }
        let mut folders: BTreeMap<&str, Vec<InFolder<'_>>> = BTreeMap::new();
        for (path, globs) in walk.files.iter().filter(|(_, globs)| !globs.is_empty()) {
            let (folder, name) = folder_and_name(path);
            folders.entry(folder).or_default().push((name, globs, state(path)));
        }
        let mut parts = BTreeMap::new();
        for (folder, files) in folders {
            parts.extend(parts_of(folder, files)?);
        }
        Self::of(parts, explicit(selection).into_iter().map(|path| (path, state(path))))
    }

    fn of<'a>(
        parts: BTreeMap<PartName, Part>,
        explicit: impl IntoIterator<Item = (&'a ProjectPath, Option<Fingerprint>)>,
    ) -> Option<(Self, TreeParts)> {
        let (mut digest, mut found) = (Sha256::new(), TreeParts::default());
        for ((folder, index), part) in parts {
            let part = part.finish();
            digest.update((folder.len() as u64).to_le_bytes());
            digest.update(folder.as_bytes());
            digest.update((index as u64).to_le_bytes());
            digest.update(part);
            found.push(PartPlace::Folder(folder, index), &part);
        }
        digest.update(u64::MAX.to_le_bytes());
        for (path, state) in explicit {
            let part = named_part(path, state?)?.finish();
            digest.update(part);
            found.push(PartPlace::Named(path.clone()), &part);
        }
        Some((Self(digest.finalize().into()), found))
    }
}

/// Whether everything was found and can be read.
fn is_complete(walk: &Walk) -> bool {
    // Files whose case keeps them out are worth a word each time.
    let Walk { files: _, unreachable, problems, missing, other_case } = walk;
    unreachable.is_empty() && problems.is_empty() && missing.is_empty() && other_case.is_empty()
}

/// The paths that the manifest names one by one, whether or not a glob finds them too.
fn explicit(selection: &FileSelection) -> BTreeSet<&ProjectPath> {
    selection.explicit.iter().collect()
}

/// All parts below a folder.
#[derive(Default)]
struct FoundParts {
    parts: BTreeMap<PartName, Part>,
    folders: u64,
    /// A link may lead to files of the globs, and was not followed.
    has_links: bool,
}

/// Something to do for whichever core is free.
enum ListingJob {
    /// List a folder.
    Folder { place: PathBuf, path: String, parts: Vec<PatternPart> },
    /// Read the metadata of some of its files.
    Files { name: PartName, files: Vec<FoundEntry> },
}

/// A file that globs match.
struct FoundEntry {
    name: String,
    globs: Vec<usize>,
    entry: DirEntry,
}

/// Lists the files that `globs` find below `root`, with all cores; `None` where the walk would find
/// a problem.
fn list(root: &Root, globs: &Globs) -> Option<FoundParts> {
    let mut found = FoundParts::default();
    if !globs.find_something() {
        return Some(found);
    }
    let first = ListingJob::Folder { place: root.join(""), path: String::new(), parts: Vec::new() };
    let of_each = do_all(first, |job, found: &mut FoundParts, more| {
        let done = match job {
            ListingJob::Folder { place, path, parts } => list_folder(&place, path, parts, globs),
            ListingJob::Files { name, files } => read_part(name, &files),
        };
        let Some(Done { jobs, part, folders, has_links }) = done else { return false };
        found.parts.extend(part);
        found.folders += folders;
        found.has_links |= has_links;
        more.extend(jobs);
        true
    });
    for FoundParts { parts, folders, has_links } in of_each? {
        found.parts.extend(parts);
        found.folders += folders;
        found.has_links |= has_links;
    }
    Some(found)
}

/// The result of a job.
#[derive(Default)]
struct Done {
    jobs: Vec<ListingJob>,
    part: Option<(PartName, Part)>,
    folders: u64,
    has_links: bool,
}

/// Lists one folder; `None` if it, or a name in it, can't be read.
fn list_folder(place: &Path, path: String, mut parts: Vec<PatternPart>, globs: &Globs) -> Option<Done> {
    let states = globs.within(&parts);
    let (mut done, mut files) = (Done { folders: 1, ..Done::default() }, Vec::new());
    for entry in std::fs::read_dir(place).ok()? {
        let entry = entry.ok()?;
        let kind = entry.file_type().ok()?;
        let raw = entry.file_name();
        let text = raw.to_string_lossy();
        let is_name = raw.to_str().is_some_and(|name| !name.contains('\\'));
        if kind.is_dir() {
            if is_guarded(&text) {
                continue;
            }
            parts.push(PatternPart::new(&text));
            if !globs.reaching(&parts).is_empty() {
                if !is_name {
                    return None;
                }
                let path = if path.is_empty() { text.into_owned() } else { format!("{path}/{text}") };
                done.jobs.push(ListingJob::Folder { place: place.join(&raw), path, parts: parts.clone() });
            }
            parts.pop();
            continue;
        }
        let is_link = kind.is_symlink();
        let part = PatternPart::new(&text);
        if is_link && entry.path().is_dir() {
            parts.push(part.into_link());
            done.has_links |= !globs.reaching(&parts).is_empty();
            parts.pop();
            continue;
        }
        let matching = globs.matching_in(&states, &part);
        if matching.is_empty() {
            // The walk has something to say of it.
            if globs.match_in_other_case(&parts, &text) {
                return None;
            }
            continue;
        }
        if !is_name {
            return None;
        }
        if is_link {
            done.has_links = true;
            continue;
        }
        files.push(FoundEntry { name: text.into_owned(), globs: matching, entry });
    }
    files.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let folder: Arc<str> = path.into();
    let (mut rest, mut index) = (files, 0);
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(PART));
        chunks.push(((Arc::clone(&folder), index), rest));
        (rest, index) = (later, index + 1);
    }
    // The first part is read at once, while its folder is at hand; the others by whoever is free.
    let mut chunks = chunks.into_iter();
    if let Some((name, files)) = chunks.next() {
        done.part = read_part(name, &files)?.part;
    }
    done.jobs.extend(chunks.map(|(name, files)| ListingJob::Files { name, files }));
    Some(done)
}

/// Reads the metadata of some files; `None` if one of them can't be read.
fn read_part(name: PartName, files: &[FoundEntry]) -> Option<Done> {
    let mut part = Part::default();
    for FoundEntry { name, globs, entry } in files {
        let metadata = entry.metadata().ok()?;
        if !metadata.is_file() {
            return None;
        }
        part.add(name, globs, fingerprint::of_entry(entry, &metadata))?;
    }
    Some(Done { part: Some((name, part)), ..Done::default() })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::files::{FilesInProgress, Scanned, scan};
    use crate::model::desired::GlobPattern;

    /// A time later than any change of a test's files, by more than the granularity.
    const LATER: i64 = i64::MAX / 2;

    fn glob(path: &str, exclude: &[&str]) -> GlobPattern {
        GlobPattern { name: "g".into(), path: path.into(), exclude: exclude.iter().map(|e| (*e).into()).collect() }
    }

    fn globs(globs: &[&str]) -> FileSelection {
        FileSelection { explicit: Vec::new(), globs: globs.iter().map(|text| glob(text, &[])).collect() }
    }

    fn disk(folder: &Folder, selection: &FileSelection) -> Option<TreeDigest> {
        TreeDigest::of_disk(folder.path(), selection).map(|found| found.digest)
    }

    /// The digest of a scan that began at `now_ns`, and that of the disk after it.
    fn both(folder: &Folder, selection: &FileSelection, now_ns: i64) -> (Option<TreeDigest>, Option<TreeDigest>) {
        let walk = walk(folder.path(), selection);
        let Scanned { cache, .. } =
            scan(folder.path(), &walk, &FileCache::new(), &FilesInProgress::default(), now_ns, &|_| {});
        let certain = TreeDigest::of_scan(selection, &walk, &cache).filter(|seen| seen.recent.is_empty());
        (certain.map(|seen| seen.digest), disk(folder, selection))
    }

    #[test]
    fn it_is_the_same_until_a_file_comes_goes_or_changes() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes()), ("b.mesh", mesh("b").as_bytes())]);
        let all = globs(&["*.mesh"]);
        let (scanned, before) = both(&folder, &all, LATER);
        assert!(scanned.is_some());
        assert_eq!(scanned, before);
        assert_eq!(before, disk(&folder, &all));
        assert_ne!(before, disk(&folder, &globs(&["a.mesh"])));
        assert_ne!(before, disk(&folder, &globs(&["a.mesh", "b.mesh"])), "by other globs");
        let explicit = FileSelection { explicit: vec![path("a.mesh")], ..all.clone() };
        assert_ne!(before, disk(&folder, &explicit), "also named by itself");
        // The same bytes and the same time, in another file.
        let modified = std::fs::metadata(folder.path().join("b.mesh")).unwrap().modified().unwrap();
        folder.write("c.new", mesh("b").as_bytes());
        std::fs::File::options().write(true).open(folder.path().join("c.new")).unwrap().set_modified(modified).unwrap();
        std::fs::rename(folder.path().join("c.new"), folder.path().join("b.mesh")).unwrap();
        let replaced = disk(&folder, &all);
        assert_ne!(before, replaced);
        folder.write("d.mesh", mesh("d").as_bytes());
        assert_ne!(replaced, disk(&folder, &all), "a new one");
        folder.remove("d.mesh");
        assert_eq!(replaced, disk(&folder, &all));
    }

    #[test]
    fn the_disk_gives_what_a_scan_gives_whatever_the_tree() {
        let folder = Folder::with(&[
            ("ui/a.mesh", b"1"),
            ("ui/deep/er/b.mesh", b"2"),
            ("ui/wip/c.mesh", b"3"),
            ("ui/.hidden/d.mesh", b"4"),
            ("ui/.git/e.mesh", b"5"),
            ("ui-x/f.mesh", b"6"),
            ("ui/\u{e9}.mesh", b"7"),
            ("ui/a.txt", b"8"),
            ("one.mesh", b"9"),
        ]);
        for number in 0..2 * PART + 1 {
            folder.write(&format!("many/{number}.mesh"), b"x");
        }
        let wip = glob("ui/**/*.mesh", &["ui/wip/**"]);
        let selections = [
            FileSelection { explicit: vec![path("one.mesh"), path("ui/a.mesh")], globs: vec![wip.clone()] },
            FileSelection {
                explicit: Vec::new(),
                globs: vec![wip, glob("**/*.mesh", &[]), glob("many/1*", &["**/*5*"])],
            },
            globs(&["ui/.hidden/*", "many/**", "ui*/*.mesh"]),
            FileSelection { explicit: vec![path("one.mesh")], globs: Vec::new() },
        ];
        for selection in selections {
            let (scanned, disk) = both(&folder, &selection, LATER);
            assert!(scanned.is_some(), "{selection:?}");
            assert_eq!(scanned, disk, "{selection:?}");
        }
    }

    #[test]
    fn each_file_is_looked_at_once_and_only_folders_that_may_hold_one_are_listed() {
        let folder =
            Folder::with(&[("ui/a/1.mesh", b"1"), ("ui/b/2.mesh", b"2"), ("ui/b/3.txt", b"3"), ("x/4.mesh", b"")]);
        let cost = |selection: &FileSelection| {
            let DiskDigest { files, folders, .. } = TreeDigest::of_disk(folder.path(), selection).unwrap();
            (files, folders)
        };
        assert_eq!(cost(&globs(&["ui/**/*.mesh"])), (2, 4), "two files; the root, ui, a and b");
        assert_eq!(cost(&globs(&["ui/a/*.mesh"])), (1, 3));
        assert_eq!(cost(&FileSelection { explicit: vec![path("x/4.mesh")], globs: Vec::new() }), (1, 0));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_the_files_that_they_lead_to() {
        use std::os::unix::fs::symlink;

        let folder = Folder::with(&[("real/a.mesh", b"1"), ("real/b.mesh", b"2")]);
        let at = |name: &str| folder.path().join(name);
        symlink("a.mesh", at("real/link.mesh")).unwrap();
        symlink("real", at("linked")).unwrap();
        for selection in [globs(&["real/*"]), globs(&["linked/*", "real/*"])] {
            let (scanned, before) = both(&folder, &selection, LATER);
            assert!(scanned.is_some(), "{selection:?}");
            assert_eq!(scanned, before, "{selection:?}");
            folder.remove("real/link.mesh");
            symlink("b.mesh", at("real/link.mesh")).unwrap();
            assert_ne!(before, disk(&folder, &selection), "{selection:?}");
            folder.remove("real/link.mesh");
            symlink("a.mesh", at("real/link.mesh")).unwrap();
        }
        symlink("none.mesh", at("real/dead.mesh")).unwrap();
        assert_eq!(disk(&folder, &globs(&["real/*"])), None);
    }

    /// The file itself stays the same: its folder is moved, and a link leads there.
    #[cfg(unix)]
    #[test]
    fn a_file_behind_a_folder_that_became_a_link_out_of_the_project_has_no_digest() {
        use std::os::unix::fs::symlink;

        let (folder, outside) = (Folder::with(&[("x/o.mesh", b"1"), ("ui/a.mesh", b"2")]), Folder::with(&[]));
        symlink("../x/o.mesh", folder.path().join("ui/link.mesh")).unwrap();
        let explicit = FileSelection { explicit: vec![path("x/o.mesh")], globs: Vec::new() };
        let through_a_link = globs(&["ui/*"]);
        let before = [&explicit, &through_a_link].map(|selection| both(&folder, selection, LATER));
        assert!(before.iter().all(|(scanned, disk)| scanned.is_some() && scanned == disk), "{before:?}");
        std::fs::rename(folder.path().join("x"), outside.path().join("x")).unwrap();
        symlink(outside.path().join("x"), folder.path().join("x")).unwrap();
        for selection in [&explicit, &through_a_link] {
            assert_eq!(both(&folder, selection, LATER), (None, None), "{selection:?}");
        }
    }

    #[test]
    fn it_proves_nothing_of_what_could_change_without_a_trace() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        let changed = std::fs::File::open(folder.path().join("a.mesh")).unwrap();
        let now = crate::platform::fingerprint::of(&changed).unwrap().last_change_ns();
        let all = globs(&["*.mesh"]);
        assert_eq!(both(&folder, &all, now).0, None, "it may change again at the same time");
        let named = FileSelection { explicit: vec![path("missing.mesh")], ..all };
        assert_eq!(both(&folder, &named, LATER), (None, None));
        assert_eq!(disk(&folder, &globs(&["*.mesh", "ui/*"])), None, "a folder is missing");
    }
}
