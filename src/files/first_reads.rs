//! The first reads of a project's files: where nothing is known of any of them, each small one is
//! read as soon as the walk finds it. Its folder is at hand then, so nobody has to look at the file
//! by its name before, nor to go the way to it from the project's folder.
//!
//! Such a read is an offer: [`scan`](mod@super::scan) takes it where the file's present content
//! counts. It reads what isn't offered: longer files, links, and whatever has something wrong with
//! it that a second look may explain. Only Linux has the calls for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::open::{Opened, Root};
use super::read::{ScanProgress, ScanResult, read_once};
use crate::model::path::{ProjectPath, is_guarded};
use crate::platform::below::FilesBelow;
use crate::platform::fingerprint;

/// The length of the longest file that is read like this, in bytes. Longer ones take so long that
/// all cores should begin with them, and that people want to see how far they are.
const LONGEST: usize = 64 << 10;

/// Reads files while they are found.
pub(super) struct FirstReader<'a> {
    project: FilesBelow,
    files: AtomicUsize,
    bytes: AtomicU64,
    progress: &'a (dyn Fn(ScanProgress) + Sync),
}

impl<'a> FirstReader<'a> {
    /// Begins in a project; `None` where the system has no calls for it. `progress` is called for each
    /// folder.
    pub(super) fn new(root: &Root, progress: &'a (dyn Fn(ScanProgress) + Sync)) -> Option<Self> {
        let (files, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        Some(Self { project: root.below()?, files, bytes, progress })
    }

    /// Opens a folder by its path below the project's; `None` if a link leads there.
    pub(super) fn folder(&self, path: &str) -> Option<FilesBelow> {
        self.project.folder(path)
    }

    /// Shows that a folder with so many files was read.
    pub(super) fn tell(&self, read: &[ScanResult]) {
        if read.is_empty() {
            return;
        }
        let bytes = read.iter().filter_map(|read| read.state.as_ref()).map(|state| state.size).sum();
        let files_done = self.files.fetch_add(read.len(), Ordering::Relaxed) + read.len();
        let bytes_done = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(ScanProgress { files_done, files: files_done, bytes_done, bytes: bytes_done });
    }
}

/// Reads the small plain file `path`, which is called `name` in `folder`; `None` if it is none, or
/// can't be read in one state.
pub(super) fn read(folder: &FilesBelow, path: &ProjectPath, name: &str, buffer: &mut Vec<u8>) -> Option<ScanResult> {
    if is_guarded(name) {
        return None;
    }
    let file = folder.file(name)?;
    let fingerprint = fingerprint::of_plain(&file)?;
    if fingerprint.size > LONGEST as u64 {
        return None;
    }
    buffer.resize(LONGEST, 0);
    let content = read_once(path, &mut Opened { file, fingerprint }, buffer, &|_| {}).ok()??;
    Some(ScanResult { content, state: Some(fingerprint) })
}

/// The files that were read while they were found, in the order of their paths.
#[derive(Default)]
pub(crate) struct FirstReads {
    /// The place of each one's result.
    places: Vec<(ProjectPath, usize)>,
    results: Vec<Option<ScanResult>>,
}

impl FirstReads {
    /// Returns the files of these paths, each with the place of its result.
    pub(super) fn new(places: Vec<(ProjectPath, usize)>, results: Vec<ScanResult>) -> Self {
        Self { places, results: results.into_iter().map(Some).collect() }
    }

    /// The number of files, and their length in bytes.
    pub(crate) fn total(&self) -> (usize, u64) {
        let states = self.results.iter().flatten().filter_map(|read| read.state.as_ref());
        (self.places.len(), states.map(|state| state.size).sum())
    }

    /// Returns the place of the result of each of these paths, which come in order.
    pub(super) fn places(&self, paths: &[&ProjectPath]) -> Vec<Option<usize>> {
        let mut rest = self.places.iter().peekable();
        let mut place = |path: &ProjectPath| {
            while rest.next_if(|(before, _)| before < path).is_some() {}
            rest.next_if(|(next, _)| next == path).map(|(_, place)| *place)
        };
        paths.iter().map(|path| place(path)).collect()
    }

    /// Takes the result at a place.
    pub(super) fn take(&mut self, place: usize) -> Option<ScanResult> {
        self.results.get_mut(place).and_then(Option::take)
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::files::walk::{walk, walk_reading};
    use crate::files::{FilesInProgress, Scanned, Walk, scan, scan_rest};
    use crate::model::desired::{FileSelection, GlobPattern};
    use crate::model::file::FileCache;

    /// A time later than any change of a test's files, by more than the granularity.
    const LATER: i64 = i64::MAX / 2;

    fn selection() -> FileSelection {
        let glob = |path: &str| GlobPattern { name: path.into(), path: path.into(), exclude: Vec::new() };
        FileSelection {
            explicit: vec![path("one.mesh"), path("ui/a.mesh")],
            globs: vec![glob("ui/**/*.{mesh,png,ogg}"), glob("linked/*.mesh")],
        }
    }

    fn folder() -> Folder {
        let folder = Folder::with(&[("ui/empty.mesh", b""), ("ui/lie.png", b"no picture"), ("ui/deep/s.ogg", b"OggS")]);
        for name in ["one.mesh", "ui/a.mesh", "ui/b.mesh", "ui/deep/c.mesh", "there/d.mesh"] {
            folder.write(name, mesh(name).as_bytes());
        }
        folder.write("ui/deep/long.mesh", mesh(&"x".repeat(LONGEST)).as_bytes());
        symlink("b.mesh", folder.path().join("ui/link.mesh")).unwrap();
        symlink("there", folder.path().join("linked")).unwrap();
        folder
    }

    fn offered(reads: &FirstReads) -> Vec<&str> {
        reads.places.iter().map(|(path, _)| path.as_str()).collect()
    }

    fn scanned(folder: &Path, walk: &Walk, reads: FirstReads, in_progress: &FilesInProgress) -> Scanned {
        scan_rest(folder, walk, reads, &FileCache::new(), in_progress, LATER, &|_| {})
    }

    #[test]
    fn a_project_whose_small_files_were_read_while_they_were_found_is_scanned_like_any_other() {
        let folder = folder();
        let told = Mutex::new(Vec::new());
        let (found, reads) = walk_reading(folder.path(), &selection(), &|seen| told.lock().unwrap().push(seen));
        assert_eq!(found, walk(folder.path(), &selection()));
        let small = ["ui/a.mesh", "ui/b.mesh", "ui/deep/c.mesh", "ui/deep/s.ogg", "ui/empty.mesh", "ui/lie.png"];
        assert_eq!(offered(&reads), small);
        let (files, bytes) = reads.total();
        let most = told.into_inner().unwrap().into_iter().max_by_key(|seen| seen.files_done).unwrap();
        assert_eq!((most.files_done, most.files, most.bytes_done), (files, files, bytes));
        let in_progress = FilesInProgress::default();
        let plain = scan(folder.path(), &found, &FileCache::new(), &in_progress, LATER, &|_| {});
        assert_eq!(plain.findings.len(), 10);
        assert_eq!(scanned(folder.path(), &found, reads, &in_progress), plain);
    }

    #[test]
    fn a_file_that_a_program_may_be_writing_is_read_again() {
        let changed = |in_progress: &FilesInProgress| {
            let folder = folder();
            let (found, reads) = walk_reading(folder.path(), &selection(), &|_| {});
            let before = scan(folder.path(), &found, &FileCache::new(), &FilesInProgress::default(), LATER, &|_| {});
            // Whatever is read again is another file by now.
            for name in offered(&reads) {
                folder.write(name, format!("version 2.00\n{name}").as_bytes());
            }
            let Scanned { findings, .. } = scanned(folder.path(), &found, reads, in_progress);
            let differing = findings.into_iter().filter(|(path, found)| before.findings[path] != *found);
            differing.map(|(path, _)| path.to_string()).collect::<Vec<_>>()
        };
        // The link was not read before.
        assert_eq!(changed(&FilesInProgress::default()), ["ui/link.mesh"]);
        let held = FilesInProgress { paths: [path("ui/b.mesh")].into(), ..FilesInProgress::default() };
        assert_eq!(changed(&held), ["ui/b.mesh", "ui/link.mesh"]);
        assert_eq!(
            changed(&FilesInProgress::single_run(crate::platform::clock::nanoseconds())),
            ["ui/deep/s.ogg", "ui/link.mesh"]
        );
    }

    #[test]
    fn only_a_plain_small_file_is_read() {
        let folder = folder();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("ui/pipe.mesh"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let root = Root::new(folder.path()).unwrap();
        let reader = FirstReader::new(&root, &|_| {}).unwrap();
        let ui = reader.folder("ui").unwrap();
        let read = |name: &str| read(&ui, &path(&format!("ui/{name}")), name, &mut Vec::new());
        assert!(read("a.mesh").unwrap().content.is_ok());
        assert!(read("lie.png").unwrap().content.is_err());
        for name in ["link.mesh", "pipe.mesh", "gone.mesh", "deep"] {
            assert!(read(name).is_none(), "{name}");
        }
        assert!(reader.folder("linked").is_none(), "a link leads there");
    }
}
