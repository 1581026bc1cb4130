//! Scans a few known files again, without a look at any other.
//!
//! It never decides that a file came or went: whatever isn't a known file in its known place, and
//! whatever is long, is left to a walk and a whole [`scan`](super::scan()).

use std::collections::BTreeSet;
use std::path::Path;

use super::fingerprints::fingerprint_of;
use super::found::Walk;
use super::globs::matching;
use super::in_progress::FilesInProgress;
use super::scan::{Scanned, scan};
use crate::model::desired::{FileSelection, FoundFile};
use crate::model::file::{CachedFile, FileCache};
use crate::model::path::ProjectPath;

/// The most files that are scanned at once, and the most bytes: this is done while everything else
/// waits.
const MOST_FILES: usize = 64;
const MOST_BYTES: u64 = 4 << 20;

/// A known file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RescannedFile {
    /// Its path.
    pub path: ProjectPath,
    /// What was found.
    pub found: FoundFile,
    /// The same for the next scan.
    pub cached: CachedFile,
}

/// Scans the files at `paths` again, all of which `cache` knows; `None` if that isn't enough to know
/// what changed, or one of them is `in_progress`. Blocks: it reads the files.
pub(crate) fn rescan(
    root: &Path,
    selection: &FileSelection,
    cache: &FileCache,
    paths: &BTreeSet<ProjectPath>,
    in_progress: &FilesInProgress,
    now_ns: i64,
) -> Option<Vec<RescannedFile>> {
    if paths.len() > MOST_FILES {
        return None;
    }
    let known = paths.iter().map(|path| Some((path.clone(), cache.get(path)?.clone())));
    let known: FileCache = known.collect::<Option<_>>()?;
    let sizes = paths.iter().map(|path| fingerprint_of(root, path).map(|state| state.size));
    if sizes.sum::<Option<u64>>()? > MOST_BYTES {
        return None;
    }
    let files = matching(selection, &paths.iter().collect::<Vec<_>>());
    let is_selected =
        |(path, globs): &(ProjectPath, Vec<usize>)| !globs.is_empty() || selection.explicit.contains(path);
    if !files.iter().all(is_selected) {
        return None;
    }
    let walk = Walk { files: files.into_iter().collect(), ..Walk::default() };
    let Scanned { findings, mut cache, waiting } = scan(root, &walk, &known, in_progress, now_ns, &|_| {});
    if !waiting.is_empty() {
        return None;
    }
    findings
        .into_iter()
        .map(|(path, found)| Some(RescannedFile { cached: cache.remove(&path)?, found, path }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::files::walk;
    use crate::model::desired::GlobPattern;

    const LATER: i64 = i64::MAX / 2;

    fn selection() -> FileSelection {
        let glob = GlobPattern { name: "g".into(), path: "ui/*.mesh".into(), exclude: Vec::new() };
        FileSelection { explicit: vec![path("one.mesh")], globs: vec![glob] }
    }

    #[test]
    fn known_files_are_read_as_a_whole_scan_reads_them_and_nothing_else_is() {
        let folder = Folder::with(&[]);
        for file in ["one.mesh", "ui/a.mesh", "ui/b.mesh"] {
            folder.write(file, mesh(file).as_bytes());
        }
        let whole = |cache: &FileCache| {
            let walk = walk(folder.path(), &selection());
            scan(folder.path(), &walk, cache, &FilesInProgress::default(), LATER, &|_| {})
        };
        let cache = whole(&FileCache::new()).cache;
        let again = |paths: &[&str]| {
            let paths = paths.iter().map(|text| path(text)).collect();
            rescan(folder.path(), &selection(), &cache, &paths, &FilesInProgress::default(), LATER)
        };
        folder.write("ui/a.mesh", mesh("new").as_bytes());
        folder.write("one.mesh", mesh("other").as_bytes());
        let found = again(&["one.mesh", "ui/a.mesh"]).unwrap();
        let after = whole(&cache);
        for RescannedFile { path, found, cached } in &found {
            assert_eq!(Some(found), after.findings.get(path), "{path}");
            assert_eq!(Some(cached), after.cache.get(path), "{path}");
            assert_ne!(cache.get(path), Some(cached), "{path}");
        }
        assert_eq!(found.len(), 2);
        let paths: BTreeSet<ProjectPath> = [path("one.mesh")].into();
        let in_progress = FilesInProgress { paths: paths.clone(), ..FilesInProgress::default() };
        assert_eq!(
            rescan(folder.path(), &selection(), &cache, &paths, &in_progress, LATER),
            None,
            "it is being written"
        );
        // Whatever came, went or moved is for a walk.
        folder.write("ui/c.mesh", mesh("c").as_bytes());
        assert_eq!(again(&["ui/c.mesh"]), None, "a new one");
        folder.remove("ui/b.mesh");
        assert_eq!(again(&["ui/b.mesh"]), None, "one that is gone");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a.mesh", folder.path().join("ui/b.mesh")).unwrap();
            assert_eq!(again(&["ui/b.mesh"]), None, "a link");
        }
        folder.write("ui/a.mesh", &vec![b'x'; 5 << 20]);
        assert_eq!(again(&["ui/a.mesh"]), None, "a long one");
    }
}
