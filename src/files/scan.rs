//! Returns the facts of the found files: from the cache where nothing changed, otherwise by reading
//! each file once.
//!
//! A file's facts and its hash belong to one state of it. Its fingerprint is read before and after,
//! and a file that changed in between is read again. All cores work, each with one fixed buffer.
//!
//! Read next: `inspect` for the content of a file.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::completeness;
use super::fingerprints::fingerprints;
use super::first_reads::FirstReads;
use super::found::Walk;
use super::in_progress::FilesInProgress;
use super::open::{Root, unreadable_folder};
use super::read::{ScanProgress, ScanResult, read_as_seen, read_stable};
use super::share::{both, threads};
use crate::model::along::along;
use crate::model::desired::{FoundFile, FoundFiles};
use crate::model::file::{CachedFile, FileCache, FileFacts, FileProblem, Fingerprint};
use crate::model::path::ProjectPath;

/// The size of each core's buffer, in bytes. A file that fits is read once, for both its hash and
/// its inspection.
const BUFFER: usize = 1 << 20;
/// How many files a thread reads before it passes their results on. Waking the other thread costs
/// more than hashing a small file.
const BATCH: usize = 64;
/// How coarse the clock of a file system can be that keeps whole seconds (FAT counts two). A file
/// that changed less than this before its scan may have changed again without a trace (git's "racy"
/// rule).
const COARSE_CLOCK_NS: i64 = 2_000_000_000;
/// The same of one that keeps fractions of a second, with room to spare. It stamps files with a
/// clock of the system that ticks every 10 milliseconds or faster (16 on Windows).
const FINE_CLOCK_NS: i64 = 100_000_000;

/// The result of scanning all files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    /// A finding for every file of the walk.
    pub findings: FoundFiles,
    /// The cache for the next scan, which holds these files alone.
    pub cache: FileCache,
    /// Changed files that were not read because they are still changing. A caller without events
    /// ([`FilesInProgress::without_events`]) scans these files again.
    pub waiting: BTreeSet<ProjectPath>,
}

/// Scans every file of `walk`, below `root`, the manifest's folder.
///
/// `now_ns` is the time at which the scan begins, in nanoseconds since 1970. `progress` is called
/// on this thread, at least once when there is something to read. For a file that is `in_progress`
/// the cached content counts, as if it had not changed. Without cached content the finding is
/// [`FileProblem::being_written`].
pub fn scan(
    root: &Path,
    walk: &Walk,
    cache: &FileCache,
    in_progress: &FilesInProgress,
    now_ns: i64,
    progress: &dyn Fn(ScanProgress),
) -> Scanned {
    scan_rest(root, walk, FirstReads::default(), cache, in_progress, now_ns, progress)
}

/// Does what [`scan`] does, where the walk has read some files already.
pub(crate) fn scan_rest(
    root: &Path,
    walk: &Walk,
    mut reads: FirstReads,
    cache: &FileCache,
    in_progress: &FilesInProgress,
    now_ns: i64,
    progress: &dyn Fn(ScanProgress),
) -> Scanned {
    let root = match Root::new(root) {
        Ok(root) => root,
        Err(error) => return Scanned { findings: unreachable_root(walk, &error), ..Scanned::default() },
    };
    let paths: Vec<&ProjectPath> = walk.files.keys().collect();
    let places = reads.places(&paths);
    let unread = paths.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(path, _)| *path);
    let unread: Vec<&ProjectPath> = unread.collect();
    let mut states = fingerprints(&root, &unread).into_iter();
    // By the file's place in the walk.
    let mut seen: Vec<Option<SeenFile>> = Vec::new();
    seen.resize_with(paths.len(), || None);
    let (mut todo, mut waiting) = (Vec::new(), BTreeSet::new());
    let settle = Settle { root: &root, walk, in_progress, now_ns };
    for ((((path, _, cached), place), at), seen) in along(&walk.files, cache).zip(places).zip(0..).zip(&mut seen) {
        let read = place.and_then(|place| reads.take(place));
        let state = match (&read, place) {
            (Some(read), _) => read.state,
            (None, Some(_)) => None,
            (None, None) => states.next().flatten(),
        };
        if let Some(problem) = walk.unreachable.get(path) {
            *seen = Some(SeenFile { content: Err(problem.clone()), cached: None });
            continue;
        }
        let mut is_unfinished = false;
        if let (Some(cached), Some(state)) = (cached, &state)
            && is_current(cached, state)
        {
            *seen = Some(SeenFile { content: cached.content.clone(), cached: Some(cached.clone()) });
            continue;
        }
        let wants_whole = in_progress.wants_whole(path, state.as_ref());
        let waits = in_progress.holds(path, state.as_ref()) || {
            // Read all the same in a single run: what is wrong with it in any case reads as `check`
            // says it.
            is_unfinished = wants_whole && !completeness::is_whole_in(&root, path);
            is_unfinished && !in_progress.is_single
        };
        if waits {
            // The cached content keeps its old fingerprint, so that the file is read once it is
            // stable.
            waiting.insert(path.clone());
            let content = cached.map_or_else(|| Err(FileProblem::being_written()), |cached| cached.content.clone());
            *seen = Some(SeenFile { content, cached: cached.cloned() });
            continue;
        }
        let file = UnreadFile { path, state, at, is_unfinished };
        match read {
            // It may have been read before it was whole.
            Some(read) if !wants_whole => *seen = Some(settle.file(&file, read, &mut waiting)),
            _ => todo.push(file),
        }
    }
    // The longest files come first, so that all cores finish together.
    todo.sort_by_key(|file| Reverse(size_of(&file.state)));
    read_all(&root, &todo, progress, |file, result| {
        if let Some(seen) = seen.get_mut(file.at) {
            *seen = Some(settle.file(file, result, &mut waiting));
        }
    });
    // Made at once: one entry after the other would be looked up, and leave the maps half empty.
    let (mut findings, mut fresh) = (Vec::with_capacity(paths.len()), Vec::with_capacity(paths.len()));
    for ((path, globs), seen) in walk.files.iter().zip(seen) {
        let Some(SeenFile { content, cached }) = seen else { continue };
        findings.push((path.clone(), FoundFile { globs: globs.clone(), content }));
        fresh.extend(cached.map(|cached| (path.clone(), cached)));
    }
    let (findings, cache) = both(|| findings.into_iter().collect(), || fresh.into_iter().collect());
    Scanned { findings, cache, waiting }
}

/// What is known of a file after the scan.
struct SeenFile {
    content: Result<FileFacts, FileProblem>,
    /// For the next scan.
    cached: Option<CachedFile>,
}

/// A file that has to be read.
struct UnreadFile<'a> {
    path: &'a ProjectPath,
    /// What it was when it was looked at.
    state: Option<Fingerprint>,
    /// Its place in the walk.
    at: usize,
    /// A program seems to be writing it.
    is_unfinished: bool,
}

/// What tells whether the content of a file that was read counts.
struct Settle<'a> {
    root: &'a Root,
    walk: &'a Walk,
    in_progress: &'a FilesInProgress,
    now_ns: i64,
}

impl Settle<'_> {
    /// Returns what is known of a file that was read; one that only seems to be complete waits.
    fn file(&self, file: &UnreadFile<'_>, read: ScanResult, waiting: &mut BTreeSet<ProjectPath>) -> SeenFile {
        let Self { root, walk, in_progress, now_ns } = self;
        let (path, is_unfinished, ScanResult { mut content, state }) = (file.path, file.is_unfinished, read);
        // The file left after a glob had found it, or is being replaced. The next scan decides.
        let left = state.is_none() && root.join(path.as_str()).symlink_metadata().is_err();
        if left && walk.files.get(path).is_some_and(|globs| !globs.is_empty()) {
            content = Err(FileProblem::being_written());
        }
        // Nothing would be uploaded.
        let is_uploaded = content.as_ref().is_ok_and(|facts| in_progress.uploaded.contains(&facts.hash));
        if is_unfinished && content.is_ok() && !is_uploaded {
            waiting.insert(path.clone());
            return SeenFile { content: Err(FileProblem::unfinished()), cached: None };
        }
        let cached =
            state.map(|fingerprint| CachedFile { fingerprint, looked_at_ns: *now_ns, content: content.clone() });
        SeenFile { content: if is_unfinished { content.map_err(FileProblem::of_unfinished) } else { content }, cached }
    }
}

fn unreachable_root(walk: &Walk, error: &io::Error) -> FoundFiles {
    let problem = unreadable_folder(error);
    let missing = |(path, globs): (&ProjectPath, &Vec<usize>)| {
        (path.clone(), FoundFile { globs: globs.clone(), content: Err(problem.clone()) })
    };
    walk.files.iter().map(missing).collect()
}

/// Returns whether the cached content is still that of the file.
fn is_current(cached: &CachedFile, state: &Fingerprint) -> bool {
    cached.fingerprint == *state && is_unchanged_since(state, cached.looked_at_ns)
}

/// Returns whether every change after `looked_at_ns` changes this fingerprint.
pub(crate) fn is_unchanged_since(state: &Fingerprint, looked_at_ns: i64) -> bool {
    let changed = state.last_change_ns();
    let clock = if changed % 1_000_000_000 == 0 { COARSE_CLOCK_NS } else { FINE_CLOCK_NS };
    changed.saturating_add(clock) < looked_at_ns
}

/// The length of a file that was looked at, in bytes.
fn size_of(state: &Option<Fingerprint>) -> u64 {
    state.as_ref().map_or(0, |state| state.size)
}

enum ScanMessage {
    /// The number of bytes just hashed of the long file at this index.
    Hashed(usize, u64),
    /// The files at these indexes are done.
    Done(Vec<(usize, ScanResult)>),
}

/// Reads all files, the first ones first, and passes each result to `done` on this thread.
fn read_all(
    root: &Root,
    todo: &[UnreadFile<'_>],
    progress: &dyn Fn(ScanProgress),
    mut done: impl FnMut(&UnreadFile<'_>, ScanResult),
) {
    if todo.is_empty() {
        return;
    }
    let bytes = todo.iter().map(|file| size_of(&file.state)).sum();
    let mut now = ScanProgress { files: todo.len(), bytes, ..ScanProgress::default() };
    progress(now);
    // The bytes left of each file. A file that is hashed twice, or not at all, counts once.
    let mut left: Vec<u64> = todo.iter().map(|file| size_of(&file.state)).collect();
    let mut count = |now: &mut ScanProgress, index: usize, bytes: u64| {
        if let Some(left) = left.get_mut(index) {
            let counted = bytes.min(*left);
            now.bytes_done += counted;
            *left -= counted;
        }
    };
    let (next, below) = (AtomicUsize::new(0), root.below());
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads(todo.len()) {
            let (sender, next, below) = (sender.clone(), &next, below.as_ref());
            scope.spawn(move || {
                let mut buffer = vec![0; BUFFER];
                let mut done = Vec::with_capacity(BATCH);
                // The receiver outlives the workers.
                let tell = |message| drop(sender.send(message));
                while let index = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(UnreadFile { path, state, .. }) = todo.get(index)
                {
                    let is_long = size_of(state) > BUFFER as u64;
                    if done.len() == BATCH || is_long {
                        tell(ScanMessage::Done(std::mem::replace(&mut done, Vec::with_capacity(BATCH))));
                    }
                    let hashed = |bytes| {
                        if is_long {
                            tell(ScanMessage::Hashed(index, bytes));
                        }
                    };
                    let seen = below.zip(state.as_ref());
                    let as_seen = seen.and_then(|seen| read_as_seen(seen, path, &mut buffer, &hashed));
                    done.push((index, as_seen.unwrap_or_else(|| read_stable(root, path, &mut buffer, &hashed))));
                }
                tell(ScanMessage::Done(done));
            });
        }
        drop(sender);
        for message in receiver {
            match message {
                ScanMessage::Hashed(index, bytes) => count(&mut now, index, bytes),
                ScanMessage::Done(results) => {
                    for (index, result) in results {
                        now.files_done += 1;
                        count(&mut now, index, u64::MAX);
                        if let Some(file) = todo.get(index) {
                            done(file, result);
                        }
                    }
                }
            }
            progress(now);
        }
    });
}

#[cfg(test)]
#[cfg_attr(unix, expect(clippy::disallowed_methods, reason = "tests write files by hand"))]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::model::asset::{AssetType, FileFormat};
    use crate::model::file::ContentFacts;
    use crate::model::ids::ContentHash;

    /// A time later than any change of a test's files, by more than the granularity.
    const LATER: i64 = i64::MAX / 2;
    const QUIET: &dyn Fn(ScanProgress) = &|_| {};

    /// Scans with no file in progress.
    fn scan(
        root: &Path,
        walk: &Walk,
        cache: &FileCache,
        now_ns: i64,
        progress: &dyn Fn(ScanProgress),
    ) -> (FoundFiles, FileCache) {
        let Scanned { findings, cache, waiting } =
            super::scan(root, walk, cache, &FilesInProgress::default(), now_ns, progress);
        assert_eq!(waiting, BTreeSet::new());
        (findings, cache)
    }

    fn of(paths: &[&str]) -> Walk {
        Walk { files: paths.iter().map(|text| (path(text), vec![0])).collect(), ..Walk::default() }
    }

    fn check(folder: &Folder, name: &str, message: &str) {
        let (findings, _) = scan(folder.path(), &of(&[name]), &FileCache::new(), LATER, QUIET);
        let problem = findings[&path(name)].content.clone().unwrap_err();
        assert!(problem.message.contains(message), "{name}: {}", problem.message);
    }

    #[test]
    fn files_give_facts_and_a_cache() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes()), ("sub/b.mesh", mesh("b").as_bytes())]);
        let (findings, cache) =
            scan(folder.path(), &of(&["a.mesh", "sub/b.mesh", "c.mesh"]), &FileCache::new(), LATER, QUIET);
        let facts = findings[&path("a.mesh")].content.clone().unwrap();
        assert_eq!(facts.hash.as_bytes()[..], Sha256::digest(mesh("a"))[..]);
        assert_eq!((facts.format, facts.content), (FileFormat::MeshData, ContentFacts::Opaque));
        assert_eq!(facts.inferred_type(), Some(AssetType::Mesh));
        assert_eq!(findings[&path("a.mesh")].globs, [0]);
        assert!(findings[&path("c.mesh")].content.is_err());
        assert_eq!(cache.keys().map(ProjectPath::as_str).collect::<Vec<_>>(), ["a.mesh", "sub/b.mesh"]);
    }

    #[test]
    fn a_long_file_is_hashed_through_the_buffer() {
        let folder = Folder::with(&[]);
        let mut bytes = mesh("long").into_bytes();
        bytes.resize(3 * BUFFER + 17, 7);
        folder.write("long.mesh", &bytes);
        folder.write_sparse("unfit.png", b"no picture", 5000);
        let seen = RefCell::new(Vec::new());
        let progress = |progress| seen.borrow_mut().push(progress);
        let (findings, _) = scan(folder.path(), &of(&["long.mesh", "unfit.png"]), &FileCache::new(), LATER, &progress);
        let facts = findings[&path("long.mesh")].content.clone().unwrap();
        assert_eq!(facts.hash.as_bytes()[..], Sha256::digest(&bytes)[..]);
        let size = bytes.len() as u64 + 5000;
        assert_eq!(seen.borrow().first(), Some(&ScanProgress { files_done: 0, files: 2, bytes_done: 0, bytes: size }));
        assert_eq!(
            seen.borrow().last(),
            Some(&ScanProgress { files_done: 2, files: 2, bytes_done: size, bytes: size })
        );
        assert!(seen.borrow().len() > 4);
    }

    #[test]
    fn an_unusable_file_is_a_problem_with_its_reason() {
        let folder = Folder::with(&[
            ("empty.png", b""),
            ("notes.txt", b"x"),
            ("Makefile", b"x"),
            ("lie.png", b"\xff\xd8\xff\xe0"),
        ]);
        folder.write_sparse("big.mesh", mesh("x").as_bytes(), 20_000_001);
        folder.write_sparse("big.mp4", b"\0\0\0\x10ftypisom", 3_750_000_001);
        check(&folder, "empty.png", "empty");
        check(&folder, "notes.txt", "accept .txt files");
        check(&folder, "Makefile", "no extension");
        check(&folder, "lie.png", "a JPEG picture, but its name ends in .png");
        check(&folder, "big.mesh", "20000001 bytes; Roblox takes up to 20000000");
        check(&folder, "big.mp4", "3750000001 bytes; Roblox takes up to 3750000000");
        check(&folder, "gone.png", &FileProblem::being_written().message);
        let explicit = Walk { files: [(path("gone.png"), Vec::new())].into(), ..Walk::default() };
        let (findings, _) = scan(folder.path(), &explicit, &FileCache::new(), LATER, QUIET);
        let problem = findings[&path("gone.png")].content.clone().unwrap_err();
        assert_eq!(problem.message, "there is no file `gone.png`");
    }

    #[test]
    fn the_largest_size_is_taken() {
        let folder = Folder::with(&[]);
        folder.write_sparse("big.mesh", mesh("x").as_bytes(), 20_000_000);
        let (findings, _) = scan(folder.path(), &of(&["big.mesh"]), &FileCache::new(), LATER, QUIET);
        assert_eq!(findings[&path("big.mesh")].content.clone().unwrap().size, 20_000_000);
    }

    #[test]
    fn a_vanished_root_is_a_problem_of_every_file() {
        let (findings, cache) = scan(Path::new("/nowhere/at/all"), &of(&["a.png"]), &FileCache::new(), LATER, QUIET);
        assert!(findings[&path("a.png")].content.is_err() && cache.is_empty());
    }

    /// Returns a cache with a wrong hash, which shows whether the file was read.
    fn poisoned(cache: &FileCache, looked_at_ns: i64) -> FileCache {
        let mut cache = cache.clone();
        for cached in cache.values_mut() {
            cached.looked_at_ns = looked_at_ns;
            cached.content.as_mut().unwrap().hash = ContentHash::from_bytes([0; 32]);
        }
        cache
    }

    #[test]
    fn an_unchanged_file_is_not_read_again_unless_it_changed_just_before_the_scan() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        let walk = of(&["a.mesh"]);
        let (first, cache) = scan(folder.path(), &walk, &FileCache::new(), LATER, QUIET);
        let changed = cache[&path("a.mesh")].fingerprint.changed_ns.max(cache[&path("a.mesh")].fingerprint.modified_ns);
        for (looked_at, read) in [
            (changed + COARSE_CLOCK_NS + 1, false),
            (changed, true),
            // The clock was set back after the scan, or the file comes from the future.
            (changed - 1_000_000_000_000, true),
        ] {
            let (second, fresh) = scan(folder.path(), &walk, &poisoned(&cache, looked_at), LATER, QUIET);
            assert_eq!(second == first, read, "looked at {}", looked_at - changed);
            assert_eq!(fresh[&path("a.mesh")].looked_at_ns, if read { LATER } else { looked_at });
        }
    }

    /// A time in whole seconds is that of a coarse clock, on which a later change may leave no trace
    /// for two seconds.
    #[test]
    fn the_time_after_which_a_change_shows_depends_on_the_clock_of_the_file_system() {
        let second = 1_000_000_000;
        for (changed, after) in [(second * 7, COARSE_CLOCK_NS), (second * 7 + 10_000_000, FINE_CLOCK_NS)] {
            for (changed_ns, modified_ns) in [(changed, 0), (0, changed)] {
                let state = Fingerprint { size: 1, modified_ns, changed_ns, inode: 0, device: 0 };
                assert!(is_unchanged_since(&state, changed + after + 1), "{state:?}");
                assert!(!is_unchanged_since(&state, changed + after), "{state:?}");
                assert!(!is_unchanged_since(&state, changed - second), "{state:?}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_edit_that_keeps_size_and_modification_time_is_found() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        let walk = of(&["a.mesh"]);
        let (_, cache) = scan(folder.path(), &walk, &FileCache::new(), LATER, QUIET);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let place = folder.path().join("a.mesh");
        let modified = place.metadata().unwrap().modified().unwrap();
        folder.write("a.mesh", mesh("b").as_bytes());
        std::fs::OpenOptions::new().write(true).open(&place).unwrap().set_modified(modified).unwrap();
        let (findings, _) = scan(folder.path(), &walk, &cache, LATER, QUIET);
        let facts = findings[&path("a.mesh")].content.clone().unwrap();
        assert_eq!(facts.hash.as_bytes()[..], Sha256::digest(mesh("b"))[..]);
    }

    #[test]
    fn files_that_left_the_walk_leave_the_cache() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes()), ("b.mesh", mesh("b").as_bytes())]);
        let (_, cache) = scan(folder.path(), &of(&["a.mesh", "b.mesh"]), &FileCache::new(), LATER, QUIET);
        folder.remove("a.mesh");
        let (findings, cache) = scan(folder.path(), &of(&["a.mesh", "b.mesh"]), &cache, LATER, QUIET);
        assert!(findings[&path("a.mesh")].content.is_err());
        assert_eq!(cache.keys().map(ProjectPath::as_str).collect::<Vec<_>>(), ["b.mesh"]);
        let (_, cache) = scan(folder.path(), &Walk::default(), &cache, LATER, QUIET);
        assert_eq!(cache, BTreeMap::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_known_file_is_read_again_once_a_link_out_of_the_project_leads_to_it() {
        let (folder, outside) = (Folder::with(&[("x/o.mesh", mesh("o").as_bytes())]), Folder::with(&[]));
        let (_, cache) = scan(folder.path(), &of(&["x/o.mesh"]), &FileCache::new(), LATER, QUIET);
        let link = |target: &Path| std::os::unix::fs::symlink(target, folder.path().join("x")).unwrap();
        folder.rename("x", "y");
        link(Path::new("y"));
        let (findings, _) = scan(folder.path(), &of(&["x/o.mesh"]), &cache, LATER, QUIET);
        assert_eq!(findings[&path("x/o.mesh")].content, cache[&path("x/o.mesh")].content, "within it all is well");
        folder.remove("x");
        std::fs::rename(folder.path().join("y"), outside.path().join("y")).unwrap();
        link(&outside.path().join("y"));
        let (findings, cache) = scan(folder.path(), &of(&["x/o.mesh"]), &cache, LATER, QUIET);
        let problem = findings[&path("x/o.mesh")].content.clone().unwrap_err();
        assert!(problem.message.contains("leads out"), "{}", problem.message);
        assert!(cache.is_empty());
    }

    #[test]
    fn a_problem_inside_a_file_is_remembered_until_it_changes() {
        let folder = Folder::with(&[("a.png", b"no picture")]);
        let (first, cache) = scan(folder.path(), &of(&["a.png"]), &FileCache::new(), LATER, QUIET);
        assert!(cache[&path("a.png")].content.is_err());
        let reads = RefCell::new(0);
        let (second, _) = scan(folder.path(), &of(&["a.png"]), &cache, LATER, &|_| *reads.borrow_mut() += 1);
        assert_eq!((first, *reads.borrow()), (second, 0));
    }
}
