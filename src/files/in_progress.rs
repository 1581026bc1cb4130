//! What a look at all files does with those that are not settled: their earlier content counts, so
//! that nothing half-written is uploaded and nothing that is just being replaced counts as removed.
//!
//! Decides nothing about when a file is settled: that is `settle`. Must never hide a file without
//! an end: who gives a path here takes it out again.

use std::collections::BTreeSet;
use std::time::Duration;

use super::debounce::{QUIET_UNFINISHED, QUIET_UNTOLD, has_quota};
use super::scan::last_change_ns;
use super::walk::{self, Walk};
use crate::model::desired::FileSelection;
use crate::model::file::{FileCache, Fingerprint};
use crate::model::path::ProjectPath;

/// The files that must not be looked into yet. The default, none, is for a single run: what is on
/// disk counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesInProgress {
    /// Those that [`Debouncer::in_progress`](super::Debouncer::in_progress) tells.
    pub paths: BTreeSet<ProjectPath>,
    /// Also every file that changed at this time or later, in nanoseconds since 1970: for a look
    /// after events were lost, or without a watch, when nobody can tell who is writing.
    pub changed_since_ns: Option<i64>,
    /// Also every sound and video that changed at this time or later and that isn't whole by its
    /// own format.
    pub unfinished_since_ns: Option<i64>,
    /// Whoever looks doesn't come back by itself: what is not finished is a problem then, and its
    /// earlier content doesn't count.
    pub is_single: bool,
}

impl FilesInProgress {
    /// The files at `paths`, and at `now_ns` everything that changed within the last
    /// [`QUIET_UNTOLD`].
    pub fn without_events(paths: BTreeSet<ProjectPath>, now_ns: i64) -> Self {
        let changed_since_ns = Some(before(now_ns, QUIET_UNTOLD));
        let unfinished_since_ns = Some(before(now_ns, QUIET_UNFINISHED));
        Self { paths, changed_since_ns, unfinished_since_ns, is_single: false }
    }

    /// For a single run at `now_ns`: what is on disk counts, but for sounds and videos that
    /// somebody seems to be writing.
    pub fn single_run(now_ns: i64) -> Self {
        Self { unfinished_since_ns: Some(before(now_ns, QUIET_UNFINISHED)), is_single: true, ..Self::default() }
    }

    /// Whether the file at `path`, in this state as the system tells it, must not be looked into.
    pub(super) fn holds(&self, path: &ProjectPath, state: Option<&Fingerprint>) -> bool {
        self.paths.contains(path) || self.changed_since_ns.is_some_and(|since| changed_since(since, state))
    }

    /// Whether the file at `path` changed so lately, in this state as the system tells it, that it
    /// must not be taken unless it is whole.
    pub(super) fn wants_whole(&self, path: &ProjectPath, state: Option<&Fingerprint>) -> bool {
        has_quota(path) && self.unfinished_since_ns.is_some_and(|since| changed_since(since, state))
    }

    /// Adds to `walk` the files that it didn't find, that are unsettled and that an earlier look
    /// knows: they are being replaced.
    pub fn keep(&self, walk: &mut Walk, selection: &FileSelection, cache: &FileCache) {
        let known = self.paths.iter().filter(|path| cache.contains_key(path));
        let absent: Vec<&ProjectPath> = known.filter(|path| !walk.files.contains_key(path)).collect();
        if absent.is_empty() {
            return;
        }
        let found = walk::matching(selection, &absent);
        walk.files.extend(found.into_iter().filter(|(_, globs)| !globs.is_empty()));
    }
}

fn before(now_ns: i64, span: Duration) -> i64 {
    now_ns.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

/// A clock that was set back would keep a file waiting for as long: what claims to be from the
/// future is not recent.
fn changed_since(since: i64, state: Option<&Fingerprint>) -> bool {
    let day = i64::try_from(Duration::from_secs(86_400).as_nanos()).unwrap_or(i64::MAX);
    let changed = state.map(last_change_ns);
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

    fn look(
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
    fn an_unsettled_file_counts_as_it_was_and_a_new_one_not_yet() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes()), ("b.mesh", mesh("b").as_bytes())]);
        let (before, cache) = look(&folder, &FileCache::new(), &FilesInProgress::default());
        folder.write("a.mesh", b"half");
        folder.remove("b.mesh");
        folder.write("c.mesh", mesh("c").as_bytes());
        folder.write("e.mesh", mesh("e").as_bytes());
        let paths = ["a.mesh", "b.mesh", "c.mesh", "e.mesh", "xd.mesh", "none.mesh"].map(path).into();
        let in_progress = FilesInProgress { paths, ..FilesInProgress::default() };
        let (during, kept) = look(&folder, &cache, &in_progress);
        let mut expected = before.clone();
        expected.insert(2, ("c.mesh".to_owned(), None));
        assert_eq!(during, expected);
        assert_eq!(kept, cache, "the old looks stay, and no new ones are added");

        folder.write("a.mesh", mesh("new").as_bytes());
        let (after, _) = look(&folder, &kept, &FilesInProgress::default());
        let names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.mesh", "c.mesh", "e.mesh"]);
        assert!(after.iter().all(|(_, facts)| facts.is_some()));
        assert_ne!(after[0], before[0]);
    }

    #[test]
    fn without_events_what_changed_just_now_waits() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        let walk = walk(folder.path(), &selection());
        let now = {
            let metadata = folder.path().join("a.mesh").metadata().unwrap();
            last_change_ns(&crate::platform::fingerprint::of(&metadata))
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
