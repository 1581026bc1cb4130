//! Returns the facts of the found files: from the cache where nothing changed, otherwise by reading
//! each file once.
//!
//! A file's facts and its hash belong to one state of it. Its fingerprint is read before and after,
//! and a file that changed in between is read again. All cores work, each with one fixed buffer.
//!
//! Read next: `inspect` for the content of a file.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::completeness;
use super::fingerprints::fingerprints;
use super::in_progress::FilesInProgress;
use super::inspect::{self, Unfit};
use super::open::{OpenError, Opened, Root, open, open_seen, unreadable_folder};
use super::share::{both, threads};
use super::walk::Walk;
use crate::model::along::along;
use crate::model::desired::{FoundFile, FoundFiles};
use crate::model::file::{CachedFile, FileCache, FileFacts, FileProblem, FileProblemKind, Fingerprint};
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;
use crate::platform::below::FilesBelow;
use crate::platform::fingerprint;

/// The size of each core's buffer, in bytes. A file that fits is read once, for both its hash and
/// its inspection.
const BUFFER: usize = 1 << 20;
/// How many files a thread reads before it passes their results on. Waking the other thread costs
/// more than hashing a small file.
const BATCH: usize = 64;
/// How often a file that changes during the scan is read, and the pause for its writer in between.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);
/// How coarse the clock of a file system can be that keeps whole seconds (FAT counts two). A file
/// that changed less than this before its scan may have changed again without a trace (git's "racy"
/// rule).
const COARSE_CLOCK_NS: i64 = 2_000_000_000;
/// The same of one that keeps fractions of a second, with room to spare. It stamps files with a
/// clock of the system that ticks every 10 milliseconds or faster (16 on Windows).
const FINE_CLOCK_NS: i64 = 100_000_000;

/// The progress of [`scan`] through the files that it has to read. Cached files don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanProgress {
    /// The number of files that are done.
    pub files_done: usize,
    /// The number of files to read.
    pub files: usize,
    /// Bytes that were hashed, and all bytes of the files that are done.
    pub bytes_done: u64,
    /// The total length of the files to read, as it was at the start.
    pub bytes: u64,
}

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
    let root = match Root::new(root) {
        Ok(root) => root,
        Err(error) => return Scanned { findings: unreachable_root(walk, &error), ..Scanned::default() },
    };
    let paths: Vec<&ProjectPath> = walk.files.keys().collect();
    let states = fingerprints(&root, &paths);
    // By the file's place in the walk.
    let mut seen: Vec<Option<SeenFile>> = Vec::new();
    seen.resize_with(paths.len(), || None);
    let (mut todo, mut waiting) = (Vec::new(), BTreeSet::new());
    for ((((path, _, cached), state), at), seen) in along(&walk.files, cache).zip(states).zip(0..).zip(&mut seen) {
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
        let waits = in_progress.holds(path, state.as_ref()) || {
            let is_whole = || !in_progress.wants_whole(path, state.as_ref()) || completeness::is_whole_in(&root, path);
            // Read all the same in a single run: what is wrong with it in any case reads as `check`
            // says it.
            is_unfinished = !is_whole();
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
        todo.push(UnreadFile { path, state, at, is_unfinished });
    }
    // The longest files come first, so that all cores finish together.
    todo.sort_by_key(|file| Reverse(size_of(&file.state)));
    read_all(&root, &todo, progress, |UnreadFile { path, at, is_unfinished, .. }, result| {
        let ScanResult { mut content, state } = result;
        // The file left after a glob had found it, or is being replaced. The next scan decides.
        let left = state.is_none() && root.join(path.as_str()).symlink_metadata().is_err();
        if left && walk.files.get(path).is_some_and(|globs| !globs.is_empty()) {
            content = Err(FileProblem::being_written());
        }
        // Nothing would be uploaded.
        let is_uploaded = content.as_ref().is_ok_and(|facts| in_progress.uploaded.contains(&facts.hash));
        let found = if *is_unfinished && content.is_ok() && !is_uploaded {
            waiting.insert((*path).clone());
            SeenFile { content: Err(FileProblem::unfinished()), cached: None }
        } else {
            let cached =
                state.map(|fingerprint| CachedFile { fingerprint, looked_at_ns: now_ns, content: content.clone() });
            SeenFile {
                content: if *is_unfinished { content.map_err(FileProblem::of_unfinished) } else { content },
                cached,
            }
        };
        if let Some(seen) = seen.get_mut(*at) {
            *seen = Some(found);
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

/// The result of scanning one file.
struct ScanResult {
    content: Result<FileFacts, FileProblem>,
    /// The state that the content belongs to; `None` when the file could not be read to its end in
    /// one state.
    state: Option<Fingerprint>,
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

/// Reads a file that is still what it was when it was looked at, so that it needs no look before;
/// `None` if it isn't, or can't be read like this.
fn read_as_seen(
    (below, state): (&FilesBelow, &Fingerprint),
    path: &ProjectPath,
    buffer: &mut [u8],
    hashed: &dyn Fn(u64),
) -> Option<ScanResult> {
    let mut opened = Opened { file: open_seen(below, path)?, fingerprint: *state };
    let content = read_once(path, &mut opened, buffer, hashed).ok()??;
    Some(ScanResult { content, state: Some(*state) })
}

/// Reads a file until it stays the same for one whole read.
fn read_stable(root: &Root, path: &ProjectPath, buffer: &mut [u8], hashed: &dyn Fn(u64)) -> ScanResult {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let mut opened = match open(root, path) {
            Ok(opened) => opened,
            Err(error) => return ScanResult { content: Err(error.into_problem()), state: None },
        };
        match read_once(path, &mut opened, buffer, hashed) {
            Ok(Some(content)) => return ScanResult { content, state: Some(opened.fingerprint) },
            Ok(None) => {}
            Err(source) => {
                let error = OpenError::Read { path: path.clone(), source };
                return ScanResult { content: Err(error.into_problem()), state: None };
            }
        }
    }
    let problem = FileProblem::new(
        FileProblemKind::Changing,
        "the file keeps changing while it is read",
        Some("let the program that writes it finish, then run again"),
    );
    ScanResult { content: Err(problem), state: None }
}

/// Reads an open file; returns `None` if it changed meanwhile.
fn read_once(
    path: &ProjectPath,
    opened: &mut Opened,
    buffer: &mut [u8],
    hashed: &dyn Fn(u64),
) -> io::Result<Option<Result<FileFacts, FileProblem>>> {
    let size = opened.fingerprint.size;
    let format = match inspect::admit(path, size) {
        Ok(format) => format,
        Err(problem) => return Ok(Some(Err(problem))),
    };
    let small = usize::try_from(size).ok().filter(|size| *size <= buffer.len());
    // A file that fits into the buffer is read once. Of a longer one the headers are read first, so
    // that an unusable file is not hashed for nothing.
    let (inspected, hash) = match small.and_then(|size| buffer.get_mut(..size)) {
        Some(bytes) => {
            match opened.file.read_exact(bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
            let inspected = inspect::inspect(path, format, &mut Cursor::new(&*bytes), size);
            hashed(size);
            (inspected, Some(ContentHash::from_bytes(Sha256::digest(&*bytes).into())))
        }
        None => match inspect::inspect(path, format, &mut opened.file, size) {
            Ok(content) => (Ok(content), hash(&mut opened.file, size, buffer, hashed)?),
            Err(unfit) => (Err(unfit), None),
        },
    };
    if fingerprint::of(&opened.file)? != opened.fingerprint {
        return Ok(None);
    }
    match (inspected, hash) {
        (Ok(content), Some(hash)) => Ok(Some(Ok(FileFacts { size, hash, format, content }))),
        // The length differs from the metadata: the file is being written.
        (Ok(_), None) => Ok(None),
        (Err(Unfit::Problem(problem)), _) => Ok(Some(Err(problem))),
        (Err(Unfit::Read(error)), _) => Err(error),
    }
}

/// Returns the hash of a file of `size` bytes; `None` if it has another length.
fn hash(file: &mut File, size: u64, buffer: &mut [u8], hashed: &dyn Fn(u64)) -> io::Result<Option<ContentHash>> {
    file.rewind()?;
    let mut hasher = Sha256::new();
    let mut left = size;
    loop {
        let read = match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        match left.checked_sub(read as u64) {
            None => return Ok(None),
            Some(_) if read == 0 => break,
            Some(rest) => left = rest,
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        hashed(read as u64);
    }
    Ok((left == 0).then(|| ContentHash::from_bytes(hasher.finalize().into())))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::model::asset::{AssetType, FileFormat};
    use crate::model::file::ContentFacts;

    /// A time later than any change of a test's files, by more than the granularity.
    const LATER: i64 = i64::MAX / 2;
    const QUIET: &dyn Fn(ScanProgress) = &|_| {};

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_stays_what_it_was_is_read_without_another_look_before() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        std::os::unix::fs::symlink("a.mesh", folder.path().join("link.mesh")).unwrap();
        let root = Root::new(folder.path()).unwrap();
        let below = root.below().unwrap();
        let state = below.fingerprint("a.mesh").unwrap();
        assert_eq!(fingerprints(&root, &[&path("link.mesh")]), [Some(state)]);
        let read = |name| read_as_seen((&below, &state), &path(name), &mut vec![0; BUFFER], &|_| {});
        assert_eq!(read("a.mesh").unwrap().state, Some(state));
        assert!(read("link.mesh").is_none(), "a link is resolved first");
        folder.write("a.mesh", mesh("another").as_bytes());
        assert!(read("a.mesh").is_none(), "it is another file by now");
    }

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
        std::thread::sleep(Duration::from_millis(30));
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

    /// Lets `edit` change a file while it is hashed, in each of the first `times` attempts.
    fn scan_while(times: u32, length: usize) -> ScanResult {
        let mut bytes = mesh("a").into_bytes();
        bytes.resize(length, 0);
        let folder = Folder::with(&[("a.mesh", &bytes)]);
        let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("a.mesh")).unwrap();
        let seen = RefCell::new((0, 0));
        let grow = |hashed: u64| {
            let (attempts, before) = &mut *seen.borrow_mut();
            // The first piece of an attempt.
            *before = if *before + hashed > file.metadata().unwrap().len() { hashed } else { *before + hashed };
            if *before == hashed && *attempts < times {
                *attempts += 1;
                file.set_len(length as u64 + u64::from(*attempts)).unwrap();
            }
        };
        read_stable(&Root::new(folder.path()).unwrap(), &path("a.mesh"), &mut vec![0; BUFFER], &grow)
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again() {
        for length in [100, 3 * BUFFER] {
            let ScanResult { content, state } = scan_while(2, length);
            let mut bytes = mesh("a").into_bytes();
            bytes.resize(length + 2, 0);
            let facts = content.unwrap();
            assert_eq!((facts.size, state.unwrap().size), (bytes.len() as u64, bytes.len() as u64));
            assert_eq!(facts.hash.as_bytes()[..], Sha256::digest(&bytes)[..]);
        }
    }

    #[test]
    fn a_file_that_keeps_changing_is_a_problem_and_never_a_wrong_hash() {
        for length in [100, 3 * BUFFER] {
            let ScanResult { content, state } = scan_while(u32::MAX, length);
            assert!(content.unwrap_err().message.contains("keeps changing"));
            assert_eq!(state, None);
        }
    }
}
