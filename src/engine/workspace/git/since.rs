//! What commits and git's index changed since a commit, where these are plain steps forward.
//! Anything else (a merge, another branch, a rewritten history, a submodule) is no answer.
//!
//! Read next: [`crate::engine::workspace::settled`], which concludes from it that what was proved
//! at that commit still holds.

use std::collections::BTreeSet;
use std::path::Path;

use super::ask::{CheckoutFile, why};
use super::tracked::prefix;
use super::{found, is_object_name};
use crate::state::store::CommitBase;

/// The most commits that are looked at.
const COMMITS: usize = 64;

/// The limit for a list of changes, in bytes.
const CHANGES: u64 = 4 << 20;

/// Git's modes of plain files, and what stands for no file.
const PLAIN: [&str; 3] = ["100644", "100755", "000000"];

/// A file that one side lacks, or has otherwise.
#[derive(Debug, PartialEq, Eq)]
struct FileChange {
    path: String,
    status: char,
    /// The name of its content afterwards.
    after: String,
}

/// Returns what a later look compares the commit and the index of the project around `manifest`
/// with; `None` if it can't. The commit is `commit`, as [`head`](super::head) returns it.
pub(crate) fn base(manifest: &Path, commit: &str) -> Option<CommitBase> {
    if !is_object_name(commit) {
        return None;
    }
    let place = CheckoutFile::of(manifest).ok()??;
    let staged = added(&staged(&place, commit).ok()??);
    Some(CommitBase { commit: commit.to_owned(), staged })
}

/// Returns what a later look compares the commit `now` and the index with; `None` unless plain
/// commits led there from `base`, git has everything that it had, no file of the project became one
/// that git doesn't have, and every version of the `lockfile` that came is the one on the disk.
/// Then git says of this project what it said at `base`. Blocks: it runs git.
pub(crate) fn since(manifest: &Path, lockfile: &str, base: &CommitBase, now: &str) -> Option<CommitBase> {
    if !is_object_name(now) {
        return None;
    }
    let place = CheckoutFile::of(manifest).ok()??;
    look(&place, lockfile, base, now).unwrap_or_else(|why| {
        tracing::debug!("what git changed since the last run is unknown: {why}");
        None
    })
}

fn look(place: &CheckoutFile, lockfile: &str, base: &CommitBase, now: &str) -> Result<Option<CommitBase>, String> {
    let lockfile = format!("{}{lockfile}", prefix(place));
    let Some(commits) = commits(place, &base.commit, now)? else { return Ok(None) };
    let committed = if commits.is_empty() { Some(Vec::new()) } else { committed(place, &base.commit, now)? };
    let (Some(committed), Some(staged)) = (committed, staged(place, now)?) else { return Ok(None) };
    let mut versions = versions(place, &lockfile, &base.commit, &commits)?;
    if let Some(change) = staged.iter().find(|change| change.path == lockfile) {
        versions.push(Some(change.after.clone()));
    }
    if !lead_to_the_disk(place, &lockfile, versions)? {
        return Ok(None);
    }
    let all = || committed.iter().chain(&staged);
    // Where git has no manifest, it is asked about no file.
    let is_plain = all().all(|change| match change.status {
        'A' => change.path != place.inside,
        'M' => true,
        'D' => is_gone(place, &change.path),
        _ => false,
    });
    let (now_added, staged) = (added(&committed), added(&staged));
    let is_kept = |path: &String| now_added.contains(path) || staged.contains(path) || is_gone(place, path);
    let is_same = is_plain && base.staged.iter().all(is_kept);
    Ok(is_same.then(|| CommitBase { commit: now.to_owned(), staged }))
}

/// Returns the commits after `from` that led to `to`, the oldest first; `None` unless each has one
/// parent, or if they are too many.
fn commits(place: &CheckoutFile, from: &str, to: &str) -> Result<Option<Vec<String>>, String> {
    if from == to {
        return Ok(Some(Vec::new()));
    }
    let (newest, range) = (format!("--max-count={COMMITS}"), format!("{from}..{to}"));
    let listed = place.ask(&["rev-list", "--parents", &newest, &range, "--"], b"")?;
    if !listed.status.success() {
        return Err(why(&listed));
    }
    let (mut commits, mut next) = (Vec::new(), to);
    for line in listed.said()?.lines() {
        match line.split_once(' ') {
            Some((commit, parent)) if commit == next && is_object_name(parent) => {
                commits.push(commit.to_owned());
                next = parent;
            }
            _ => return Ok(None),
        }
    }
    commits.reverse();
    Ok((next == from).then_some(commits))
}

/// Returns the files of the project's folder that differ between two commits; `None` if not only
/// plain files do.
fn committed(place: &CheckoutFile, from: &str, to: &str) -> Result<Option<Vec<FileChange>>, String> {
    changes(place, &["diff-tree", "-r"], &[from, to])
}

/// Returns the files of the project's folder that differ between a commit and the index; `None` if
/// not only plain files do, or a merge isn't finished.
fn staged(place: &CheckoutFile, commit: &str) -> Result<Option<Vec<FileChange>>, String> {
    changes(place, &["diff-index", "--cached", "--ita-visible-in-index"], &[commit])
}

fn changes(place: &CheckoutFile, question: &[&str], of: &[&str]) -> Result<Option<Vec<FileChange>>, String> {
    let form = ["--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none"];
    let folder = place.inside.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let query = [&["--literal-pathspecs"], question, &form, of, &["--", folder]].concat();
    let answer = place.ask_for(&query, b"", CHANGES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    // A list that was cut off says nothing.
    let is_whole = (answer.raw.len() as u64) < CHANGES;
    Ok(std::str::from_utf8(&answer.raw).ok().filter(|_| is_whole).and_then(read))
}

/// Reads lines such as `:100644 100644 <before> <after> M`, each with its path in a line of its
/// own.
fn read(text: &str) -> Option<Vec<FileChange>> {
    let mut lines = text.split_terminator('\0');
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.strip_prefix(':')?.split(' ').collect();
        let [before, after, _, content, status] = words[..] else { return None };
        if !PLAIN.contains(&before) || !PLAIN.contains(&after) {
            return None;
        }
        let status = status.chars().next()?;
        all.push(FileChange { path: lines.next()?.to_owned(), status, after: content.to_owned() });
    }
    Some(all)
}

fn added(changes: &[FileChange]) -> BTreeSet<String> {
    changes.iter().filter(|change| change.status == 'A').map(|change| change.path.clone()).collect()
}

/// Returns the names of the lockfile's contents in `base` and in these commits, `None` where it is
/// missing.
fn versions(
    place: &CheckoutFile,
    lockfile: &str,
    base: &str,
    commits: &[String],
) -> Result<Vec<Option<String>>, String> {
    let all = std::iter::once(base).chain(commits.iter().map(String::as_str));
    let queries: String = all.map(|commit| format!("{commit}:{lockfile}\n")).collect();
    let answer = place.ask(&["cat-file", "--batch-check"], queries.as_bytes())?;
    let versions: Vec<_> = answer.said()?.lines().map(|line| Some(line.split_once(" blob ")?.0.to_owned())).collect();
    if answer.status.success() && versions.len() == commits.len() + 1 { Ok(versions) } else { Err(why(&answer)) }
}

/// Returns whether the first version was kept, or at some time replaced by the one on the disk.
fn lead_to_the_disk(place: &CheckoutFile, lockfile: &str, versions: Vec<Option<String>>) -> Result<bool, String> {
    let mut versions = versions;
    versions.dedup();
    match &versions[..] {
        [_] => Ok(true),
        [_, Some(new)] => {
            let answer = place.ask(&["hash-object", "--no-filters", "--", lockfile], b"")?;
            if answer.status.success() { Ok(answer.said()?.trim_end() == new) } else { Err(why(&answer)) }
        }
        _ => Ok(false),
    }
}

/// Whether nothing is at this place of the checkout.
fn is_gone(place: &CheckoutFile, path: &str) -> bool {
    matches!(found(&place.top.join(path)), Ok(None))
}
