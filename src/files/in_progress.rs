//! The files in progress: how a scan treats files that a program may still be writing. Their
//! earlier content counts, so nothing half-written is uploaded, and a file that is just being
//! replaced doesn't count as removed.
//!
//! `debounce` decides when a file is stable. A file must never be hidden forever: the caller that
//! adds a path here also removes it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::debounce::{QUIET_UNCONFIRMED, QUIET_UNFINISHED, has_quota};
use super::found::Walk;
use super::globs::matching;
use crate::model::desired::FileSelection;
use crate::model::file::{FileCache, Fingerprint};
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;

/// The files that must not be read yet. The default is empty, for a single run: the content on disk
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesInProgress {
    /// The files of [`Debouncer::in_progress`](super::Debouncer::in_progress).
    pub paths: BTreeSet<ProjectPath>,
    /// Adds every file that changed at this time or later, in nanoseconds since 1970. For a scan
    /// after events were lost, or without a watch, when it is unknown which files are being
    /// written.
    pub changed_since_ns: Option<i64>,
    /// Adds every sound and video that changed at this time or later and is not complete by its own
    /// format.
    pub unfinished_since_ns: Option<i64>,
    /// Whether the caller scans only once. An unfinished file is then a problem, and its earlier
    /// content doesn't count.
    pub is_single: bool,
    /// The contents of sounds and videos that were uploaded before: a file with one of them is whole.
    pub uploaded: BTreeSet<ContentHash>,
}

impl FilesInProgress {
    /// Adds to `paths` every file that changed within the last [`QUIET_UNCONFIRMED`] before
    /// `now_ns`.
    pub fn without_events(paths: BTreeSet<ProjectPath>, now_ns: i64) -> Self {
        let changed_since_ns = Some(before(now_ns, QUIET_UNCONFIRMED));
        let unfinished_since_ns = Some(before(now_ns, QUIET_UNFINISHED));
        Self { paths, changed_since_ns, unfinished_since_ns, ..Self::default() }
    }

    /// For a single run at `now_ns`: the content on disk counts, except that of sounds and videos
    /// that a program seems to be writing.
    pub fn single_run(now_ns: i64) -> Self {
        Self { unfinished_since_ns: Some(before(now_ns, QUIET_UNFINISHED)), is_single: true, ..Self::default() }
    }

    /// Returns whether the file at `path`, with this fingerprint, must not be read.
    pub(super) fn holds(&self, path: &ProjectPath, state: Option<&Fingerprint>) -> bool {
        self.paths.contains(path) || self.changed_since_ns.is_some_and(|since| changed_since(since, state))
    }

    /// Returns whether the file at `path`, with this fingerprint, changed so recently that it
    /// counts only when it is complete.
    pub(super) fn wants_whole(&self, path: &ProjectPath, state: Option<&Fingerprint>) -> bool {
        self.unfinished_since_ns.is_some_and(|since| changed_since(since, state)) && has_quota(path)
    }

    /// Returns the same for a project whose sounds and videos have these contents. Only a single run
    /// asks for them: others wait, and then take what the file has.
    #[must_use]
    pub fn knowing(&self, uploaded: &BTreeSet<ContentHash>) -> Self {
        let uploaded = if self.is_single { uploaded.clone() } else { BTreeSet::new() };
        Self { uploaded, ..self.clone() }
    }

    /// Adds to `walk` the files in progress that it didn't find and that the cache knows: they are
    /// being replaced.
    pub fn keep(&self, walk: &mut Walk, selection: &FileSelection, cache: &FileCache) {
        let known = self.paths.iter().filter(|path| cache.contains_key(path));
        let absent: Vec<&ProjectPath> = known.filter(|path| !walk.files.contains_key(path)).collect();
        if absent.is_empty() {
            return;
        }
        let found = matching(selection, &absent);
        walk.files.extend(found.into_iter().filter(|(_, globs)| !globs.is_empty()));
    }
}

fn before(now_ns: i64, span: Duration) -> i64 {
    now_ns.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

/// A time in the future is not recent. Otherwise a clock that was set back would keep a file
/// waiting for as long.
fn changed_since(since: i64, state: Option<&Fingerprint>) -> bool {
    let day = i64::try_from(Duration::from_secs(86_400).as_nanos()).unwrap_or(i64::MAX);
    let changed = state.map(Fingerprint::last_change_ns);
    changed.is_some_and(|changed| changed >= since && changed < since.saturating_add(day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::files::{Scanned, scan, walk};
    use crate::model::desired::GlobPattern;
    use crate::model::file::FileFacts;

    const LATER: i64 = i64::MAX / 2;

    fn selection() -> FileSelection {
        let glob = GlobPattern { name: "g".into(), path: "*.mesh".into(), exclude: vec!["x*".into()] };
        FileSelection { explicit: vec![path("e.mesh")], globs: vec![glob] }
    }

    fn scan_with(
        folder: &Folder,
        cache: &FileCache,
        in_progress: &FilesInProgress,
    ) -> (Vec<(String, Option<FileFacts>)>, FileCache) {
        let mut walk = walk(folder.path(), &selection());
        in_progress.keep(&mut walk, &selection(), cache);
        let Scanned { findings, cache, waiting } = scan(folder.path(), &walk, cache, in_progress, LATER, &|_| {});
        assert!(waiting.is_subset(&in_progress.paths));
        let early = findings.values().filter_map(|finding| finding.content.as_ref().err());
        assert!(
            early
                .into_iter()
                .all(|problem| problem.is_being_written() || problem.message.starts_with("there is no file"))
        );
        (findings.into_iter().map(|(path, finding)| (path.to_string(), finding.content.ok())).collect(), cache)
    }

    #[test]
    fn a_changing_file_keeps_its_earlier_content_and_a_new_one_waits() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes()), ("b.mesh", mesh("b").as_bytes())]);
        let (before, cache) = scan_with(&folder, &FileCache::new(), &FilesInProgress::default());
        folder.write("a.mesh", b"half");
        folder.remove("b.mesh");
        folder.write("c.mesh", mesh("c").as_bytes());
        folder.write("e.mesh", mesh("e").as_bytes());
        let paths = ["a.mesh", "b.mesh", "c.mesh", "e.mesh", "xd.mesh", "none.mesh"].map(path).into();
        let in_progress = FilesInProgress { paths, ..FilesInProgress::default() };
        let (during, kept) = scan_with(&folder, &cache, &in_progress);
        let mut expected = before.clone();
        expected.insert(2, ("c.mesh".to_owned(), None));
        assert_eq!(during, expected);
        assert_eq!(kept, cache, "the old looks stay, and no new ones are added");

        folder.write("a.mesh", mesh("new").as_bytes());
        let (after, _) = scan_with(&folder, &kept, &FilesInProgress::default());
        let names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.mesh", "c.mesh", "e.mesh"]);
        assert!(after.iter().all(|(_, facts)| facts.is_some()));
        assert_ne!(after[0], before[0]);
    }

    #[test]
    fn without_events_a_file_that_changed_just_now_waits() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        let walk = walk(folder.path(), &selection());
        let now = {
            let place = folder.path().join("a.mesh");
            crate::platform::fingerprint::at(&place, &place.metadata().unwrap()).last_change_ns()
        };
        let waits = |now_ns: i64| {
            let in_progress = FilesInProgress::without_events(BTreeSet::new(), now_ns);
            let Scanned { findings, waiting, .. } =
                scan(folder.path(), &walk, &FileCache::new(), &in_progress, now_ns, &|_| {});
            let early = findings[&path("a.mesh")].content.as_ref().is_err_and(|problem| problem.is_being_written());
            assert_eq!(early, waiting.contains(&path("a.mesh")));
            early
        };
        assert!(waits(now) && waits(now + 1_999_000_000));
        assert!(!waits(now + 2_001_000_000));
        assert!(!waits(now - 200_000_000_000_000), "a file from the future is not waited for");
    }
}
