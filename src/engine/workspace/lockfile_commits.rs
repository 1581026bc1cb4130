//! The commits that brought revisions into the lockfile. Where only another machine syncs, they alone
//! tell when something was uploaded: the lockfile has no times.
//!
//! Read next: [`super::lost_entries`] for the same history, read for what it lost.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::git;
use super::git::ask::{self, FileCommit, FileHistory};
use super::git::commit_times::commit_times;
use super::lost_entries::{content, lineage, needed};
use super::project::Project;
use crate::model::history::RevisionKey;

/// The largest lockfile whose history is read, in bytes: `history` of one asset is to cost little,
/// and each version is about as large as the next.
const LARGEST: u64 = 1 << 20;

/// How much of its history is read, in bytes, the newest versions first.
const READ: u64 = 4 << 20;

/// How the line of a revision begins.
const REVISION: &str = "{ asset_id = ";

/// A commit, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockfileCommit {
    /// Its name.
    pub commit: String,
    /// The time by its committer's clock.
    pub at: Timestamp,
}

/// For each revision the commit of the checked-out branch that brought it into the lockfile; a merge
/// where it came from another branch.
#[derive(Debug, Default)]
pub(crate) struct LockfileCommits {
    found: BTreeMap<(u64, Option<u64>), LockfileCommit>,
    /// The lockfile is too large for that, and nothing was read.
    pub is_too_large: bool,
}

impl LockfileCommits {
    /// Reads git's history of the lockfile, within its limits; nothing where git can't tell. Blocks:
    /// it runs git.
    pub(crate) fn read(project: &Project) -> Self {
        // The lockfile of the embedded emulator lies elsewhere, unknown to git.
        if project.lockfile.parent() != Some(&*project.root) {
            return Self::default();
        }
        Self::look(project).unwrap_or_else(|why| {
            tracing::debug!("what git says of {} is unknown: {why}", project.lockfile_name());
            Self::default()
        })
    }

    fn look(project: &Project) -> Result<Self, String> {
        let length = std::fs::symlink_metadata(&project.lockfile).map_or(0, |found| found.len());
        if length > LARGEST {
            return Ok(Self { is_too_large: true, ..Self::default() });
        }
        let Some(commit) = ask::versions(&project.lockfile)?.commit else { return Ok(Self::default()) };
        let versions = usize::try_from(READ / length.max(1)).unwrap_or(usize::MAX);
        let newest = |all: &FileHistory| needed(all, versions);
        let history = ask::history(&project.lockfile, &[&commit], newest)?;
        let line: Vec<&FileCommit> = lineage(&history).into_iter().map(|own| own.commit).collect();
        let last = git::last_commits(&project.root)?;
        let first = brought(&history, &line, &last);
        let times = commit_times(&project.lockfile, first.values().copied().collect::<BTreeSet<_>>().into_iter())?;
        let with_time = |(key, commit): (_, &str)| {
            Some((key, LockfileCommit { commit: commit.to_owned(), at: *times.get(commit)? }))
        };
        Ok(Self { found: first.into_iter().filter_map(with_time).collect(), is_too_large: false })
    }

    /// Returns the commit that brought a revision.
    pub(crate) fn of(&self, key: RevisionKey) -> Option<&LockfileCommit> {
        self.found.get(&(key.asset_id.get(), key.version.map(|version| version.get())))
    }
}

/// The oldest commit of `line`, which begins with the newest, whose lockfile has each revision. One
/// before which lockfiles are not here, as at the end of a shallow clone, says nothing.
fn brought<'a>(
    history: &FileHistory,
    line: &[&'a FileCommit],
    last: &BTreeSet<String>,
) -> BTreeMap<(u64, Option<u64>), &'a str> {
    let mut first = BTreeMap::new();
    for (at, found) in line.iter().enumerate() {
        let is_before_known = match line.get(at + 1) {
            Some(earlier) => earlier.blob.is_none() || content(history, earlier).is_some(),
            None => !last.contains(&found.commit),
        };
        for key in content(history, found).into_iter().flat_map(revisions) {
            first.insert(key, is_before_known.then_some(found.commit.as_str()));
        }
    }
    first.into_iter().filter_map(|(key, commit)| Some((key, commit?))).collect()
}

/// The revisions of a lockfile, by its lines.
fn revisions(lockfile: &[u8]) -> impl Iterator<Item = (u64, Option<u64>)> {
    let lines = lockfile.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok());
    lines.filter_map(|line| {
        let (asset_id, rest) = number(line.strip_prefix(REVISION)?)?;
        let version = rest.strip_prefix(", revision = ").and_then(number).map(|(version, _)| version);
        Some((asset_id, version))
    })
}

/// The number with which a text begins, and the rest.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}
