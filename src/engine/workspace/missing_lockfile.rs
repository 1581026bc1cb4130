//! Evidence that a missing lockfile was lost: git's commits, and other lockfiles beside it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::workspace::git::ask::{self, FileCommit, FileHistory, Versions};
use crate::engine::workspace::git::commit_times::commit_times;
use crate::engine::workspace::git::{self, at_commit, way_back};
use crate::engine::workspace::lost_entries::{by_name, content, parents};
use crate::engine::workspace::neighbours;
use crate::engine::workspace::project::Project;
use crate::model::ids::{AssetId, Creator};
use crate::model::missing_lockfile::{InGit, MissingLockfile, RemovedLockfile};
use crate::model::neighbours::Neighbour;
use crate::state::lockfile::{self, LockfileEntry};

/// The letters of a commit's name that are shown.
const SHOWN: usize = 10;

/// How many commits of a partial clone are asked one by one whether they have the lockfile. Usually
/// the newest one that git names removed it.
const ASKED: usize = 64;

/// Returns the evidence found in place of the lockfile of `project`; `None` if something is at its
/// path, even a dangling link. Blocks: it reads the disk and runs git.
pub(crate) fn find(project: &Project, remote: &str, was_known: bool) -> Option<MissingLockfile> {
    // The lockfile of the embedded emulator lies elsewhere, unknown to git and other manifests.
    let is_real = project.lockfile.parent() == Some(&*project.root);
    if !is_real || std::fs::symlink_metadata(&project.lockfile).is_ok() {
        return None;
    }
    let name = project.lockfile_name();
    let others = neighbours::look(project, Some(remote)).manifests;
    let in_git = in_git(project, remote, &others).unwrap_or_else(|why| {
        let is_partial = git::is_partial_clone(&project.root) == Ok(true);
        InGit::Unknown { why, is_partial }
    });
    Some(MissingLockfile { name, in_git, others, was_known, is_written_anew: false })
}

fn in_git(project: &Project, remote: &str, others: &[Neighbour]) -> Result<InGit, String> {
    let head = ask::at_head(&project.lockfile)?;
    let Some(commit) = head.commit else { return Ok(InGit::No) };
    // Git denies a content that a partial clone lacks.
    let is_partial = git::is_partial_clone(&project.root)?;
    if head.has_file || is_partial && at_commit::has(&project.lockfile, &commit)? {
        return Ok(InGit::Head(way_back::of(&project.lockfile)?));
    }
    let none = || -> Result<InGit, String> {
        Ok(if git::last_commits(&project.root)?.is_empty() { InGit::No } else { InGit::Shallow })
    };
    // Every merge would be asked. A file that came and went was also changed by another commit.
    if is_partial && !ask::was_changed(&project.lockfile, &commit)? {
        return none();
    }
    let history = ask::history(&project.lockfile, &[&commit], before_removals)?;
    let creators = |bytes: &[u8]| creators(project, remote, bytes, others);
    let removed = removed(project, &history, is_partial, creators)?;
    if !removed.is_empty() {
        return Ok(InGit::Removed(removed));
    }
    none()
}

/// Returns the names of the contents that a commit removed.
fn before_removals(history: &FileHistory) -> BTreeSet<String> {
    let commits = by_name(history);
    let removed = history.commits.iter().filter(|found| found.blob.is_none());
    removed.flat_map(|found| parents(found, &commits)).filter_map(|parent| parent.blob.clone()).collect()
}

/// Returns the lockfiles that commits of `history` removed, of those that say something: `creators`
/// returns `None` for the others. Each set of owners is there once. Those that the branch itself removed
/// come first, then those that were removed inside a merged branch, the newest first. Nothing follows
/// one whose owners are unknown.
///
/// A removal inside a merged branch counts too, though no entry is taken back from there
/// (`lost_entries`): the assets exist, and a lockfile that a pull request planted there only has Macadam
/// wait for a person.
fn removed(
    project: &Project,
    history: &FileHistory,
    is_partial: bool,
    creators: impl Fn(&[u8]) -> Option<Option<BTreeSet<Creator>>>,
) -> Result<Vec<RemovedLockfile>, String> {
    let (mut known, mut asked): (BTreeMap<String, bool>, usize) = (BTreeMap::new(), 0);
    let mut has = |one: &FileCommit| match (&one.blob, known.get(&one.commit).copied()) {
        (Some(_), _) => Ok(true),
        (None, _) if !is_partial => Ok(false),
        (None, Some(has)) => Ok(has),
        (None, None) if asked == ASKED => Err("this is a partial clone, and lacks too many earlier files".to_owned()),
        (None, None) => {
            asked += 1;
            let has = at_commit::has(&project.lockfile, &one.commit)?;
            known.insert(one.commit.clone(), has);
            Ok(has)
        }
    };
    let commits = by_name(history);
    let own: BTreeSet<&String> = history.line.iter().collect();
    let line = history.line.iter().filter_map(|name| commits.get(name.as_str()).copied());
    let others = history.commits.iter().filter(|found| !own.contains(&found.commit));
    let shown = |one: &FileCommit| one.commit.get(..SHOWN).unwrap_or(&one.commit).to_owned();
    let mut all: Vec<RemovedLockfile> = Vec::new();
    for found in line.chain(others) {
        if has(found)? {
            continue;
        }
        for parent in parents(found, &commits) {
            if !has(parent)? {
                continue;
            }
            let found_creators = content(history, parent).map_or(Some(None), &creators);
            let Some(creators) = found_creators.filter(|new| all.iter().all(|one| one.creators != *new)) else {
                continue;
            };
            let is_merged = !own.contains(&found.commit);
            let is_last = creators.is_none();
            all.push(RemovedLockfile { commit: shown(found), before: shown(parent), is_merged, creators });
            if is_last {
                return Ok(all);
            }
        }
    }
    Ok(all)
}

/// Returns the owners of a lockfile's assets, `None` within if it can't be used; `None` if it has no
/// assets, or those of another remote, or was renamed: another one has its assets.
fn creators(project: &Project, remote: &str, bytes: &[u8], others: &[Neighbour]) -> Option<Option<BTreeSet<Creator>>> {
    let Ok(ledger) = lockfile::parse(bytes, &project.lockfile) else { return Some(None) };
    ledger.require_remote(remote, &project.lockfile).ok()?;
    let is_elsewhere = |asset_id: &AssetId| others.iter().any(|other| other.assets.contains(asset_id));
    let is_here = |entry: &&LockfileEntry| {
        let assets = entry.history.assets();
        assets.is_empty() || !assets.iter().all(is_elsewhere)
    };
    let creators: BTreeSet<Creator> =
        ledger.entries.values().filter(is_here).map(|entry| entry.identity.creator).collect();
    (!creators.is_empty()).then_some(Some(creators))
}

/// Returns whether `bytes`, which this machine has written anew, are also those of the checked-out
/// commit, and of a commit from before the loss: then the lockfile of that commit is back. A later
/// commit may be one that `--on-change` made of the new file. Blocks: it runs git.
pub(crate) fn is_of_before(project: &Project, bytes: &[u8], lost_since: Timestamp) -> bool {
    // The lockfile of the embedded emulator lies elsewhere, unknown to git.
    if project.lockfile.parent() != Some(&*project.root) {
        return false;
    }
    let looked = had_before(project, bytes, lost_since);
    looked.unwrap_or_else(|why| {
        tracing::debug!("can't tell whether {} is that of an earlier commit: {why}", project.lockfile_name());
        false
    })
}

fn had_before(project: &Project, bytes: &[u8], lost_since: Timestamp) -> Result<bool, String> {
    let Versions { commit: Some(commit), head: Some(head), index: _ } = ask::versions(&project.lockfile)? else {
        return Ok(false);
    };
    if head != bytes {
        return Ok(false);
    }
    let history = ask::history(&project.lockfile, &[&commit], |_| BTreeSet::new())?;
    // The newest one has what the checked-out commit has.
    let newest = history.line.first().and_then(|name| history.commits.iter().find(|one| one.commit == *name));
    let Some(blob) = newest.and_then(|newest| newest.blob.as_ref()) else { return Ok(false) };
    let same = history.commits.iter().filter(|one| one.blob.as_ref() == Some(blob));
    let times = commit_times(&project.lockfile, same.map(|one| one.commit.as_str()))?;
    // Commits have whole seconds.
    Ok(times.values().any(|at| at.as_second() < lost_since.as_second()))
}

/// Returns the evidence for a lockfile that was lost and that this machine has written anew.
pub(crate) fn written_anew(project: &Project) -> MissingLockfile {
    let name = project.lockfile_name();
    MissingLockfile { name, in_git: InGit::No, others: Vec::new(), was_known: true, is_written_anew: true }
}
