//! Restores lockfile entries and revisions that git still has: an edit dropped them, an earlier
//! lockfile replaced them, or a merge or rebase took one side's lockfile.
//!
//! An entry leaves a lockfile only if it is forgotten, which leaves a tombstone, or if another
//! address takes its assets over, and may be forgotten then. So whatever else an earlier lockfile of
//! the checked-out commit's history has, the lockfile lost, and its assets would be uploaded again.
//! An older branch's lockfile rightly lacks what its history never had. Read next:
//! [`crate::engine::workspace::missing_lockfile`], for a lockfile that is missing as a whole.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::path::Path;

use crate::engine::workspace::git::ask::{FileCommit, FileHistory, Versions};
use crate::engine::workspace::git::{self, ask, at_commit};
use crate::engine::workspace::lockfile::parse;
use crate::engine::workspace::project::Project;
use crate::model::address::Address;
use crate::model::history::{Listing, RevisionFact, RevisionKey};
use crate::model::ids::AssetId;
use crate::state::lockfile::{
    self, EarlierArchiving, Ledger, LockfileEntry, earlier_archivings, forgotten_too, moved_and_forgotten, remembered,
};

/// The result of a comparison of a lockfile with git.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// The addresses of the entries and revisions that it had lost.
    pub lost: Vec<Address>,
    /// It had lost those, or what somebody forgot.
    pub is_changed: bool,
    /// Archivings that earlier lockfiles have and it lacks.
    pub archivings: Vec<EarlierArchiving>,
    /// The checked-out commit, as [`git::head`] gives it; `None` if git was just working or may
    /// fetch more, so that it has to be compared again.
    pub at: Option<String>,
    /// Git could not be asked.
    pub failed: bool,
}

/// Adds to `ledger`, which the lockfile on disk holds as `bytes`, the entries and revisions that it
/// lost. Blocks: it runs git.
///
/// A version that git can't return or that can't be used adds nothing.
pub(crate) fn take_back(project: &Project, remote: &str, bytes: &[u8], ledger: &mut Ledger) -> Compared {
    let at = git::head(&project.root);
    // The lockfile of the embedded emulator lies elsewhere, unknown to git.
    if project.lockfile.parent() != Some(&*project.root) {
        return Compared { at: Some(at), ..Compared::default() };
    }
    // While git is busy, the file on disk is ahead of git's versions.
    if git::busy(&project.root).is_some() {
        return Compared::default();
    }
    let looked = settled_versions(&project.lockfile).and_then(|versions| {
        let Some(versions) = versions else { return Ok(None) };
        let history = versions
            .commit
            .as_ref()
            .map(|commit| ask::history(&project.lockfile, &[commit], |all| needed(all, usize::MAX)));
        Ok(Some((versions, history.transpose()?.unwrap_or_default())))
    });
    let (versions, history) = match looked {
        Ok(Some(looked)) => looked,
        Ok(None) => return Compared::default(),
        Err(why) => {
            tracing::warn!("can't tell whether {} lost entries: {why}", project.lockfile_name());
            return Compared { at: Some(at), failed: true, ..Compared::default() };
        }
    };
    // Git began to work meanwhile.
    let now = lockfile::read(&project.lockfile).ok().flatten();
    if now.as_deref() != Some(bytes) || git::head(&project.root) != at {
        return Compared::default();
    }
    let Versions { commit: _, index, head } = versions;
    let has = |commit: &str| at_commit::has(&project.lockfile, commit);
    let lacks = history.commits.iter().any(|one| one.blob.is_none())
        && history_end(&history, Some(bytes), &BTreeSet::new(), has) != Ok(None);
    if lacks && git::is_partial_clone(&project.root) == Ok(false) {
        let name = project.lockfile_name();
        tracing::warn!(
            hint = "`git fsck` names it; a new clone has it",
            "git lacks the content of an earlier {name}: entries that only that one has are not taken back"
        );
    }
    // It may be fetched without a change of the commit.
    let at = if lacks { None } else { Some(at) };
    let uncommitted = index.iter().chain(&head).map(Vec::as_slice).filter(|version| *version != bytes);
    let mut others: Vec<(&[u8], VersionPlace)> =
        uncommitted.map(|version| (version, VersionPlace::CheckedOut)).collect();
    others.extend(earlier(&history, bytes).into_iter().map(|version| (version, VersionPlace::Earlier)));
    let (lost, archivings) = add_lost(project, remote, bytes, &others, ledger);
    let is_changed = !lost.is_empty();
    Compared { lost: lost.into_iter().collect(), is_changed, archivings, at, failed: false }
}

/// Returns git's versions of the file; `None` in the middle of a switch of branches. If `HEAD` and
/// the index differ, either someone took an earlier lockfile from git, or a switch is about to end.
fn settled_versions(file: &Path) -> Result<Option<Versions>, String> {
    let versions = ask::versions(file)?;
    if versions.index == versions.head || versions.head.is_none() {
        return Ok(Some(versions));
    }
    std::thread::sleep(git::HEAD_FOLLOWS);
    let again = ask::versions(file)?;
    Ok(Some(again).filter(|again| *again == versions))
}

/// A commit of the branch itself whose lockfile counts.
#[derive(Debug)]
pub(super) struct OwnCommit<'a> {
    /// The commit.
    pub commit: &'a FileCommit,
    /// The next earlier commits.
    parents: Vec<&'a FileCommit>,
    /// Those of them that aren't of the branch itself: it merged them.
    merged: Vec<&'a FileCommit>,
}

/// Returns the commits of a history whose lockfiles count, the newest first: those of the branch
/// itself, back along the first parents, each with what it merged.
///
/// What happened inside a branch that was merged doesn't count: a pull request whose commits add
/// lines and remove them again has no line in what a person reviews.
pub(super) fn lineage(history: &FileHistory) -> Vec<OwnCommit<'_>> {
    let commits = by_name(history);
    let own: BTreeSet<&String> = history.line.iter().collect();
    let line = history.line.iter().filter_map(|name| commits.get(name.as_str()).copied());
    line.map(|commit| {
        let parents: Vec<&FileCommit> = parents(commit, &commits).collect();
        let merged = parents.iter().copied().filter(|parent| !own.contains(&parent.commit)).collect();
        OwnCommit { commit, parents, merged }
    })
    .collect()
}

/// Returns the commits of a history by their names.
pub(super) fn by_name(history: &FileHistory) -> BTreeMap<&str, &FileCommit> {
    history.commits.iter().map(|commit| (commit.commit.as_str(), commit)).collect()
}

/// Returns the next earlier commits.
pub(super) fn parents<'a>(
    commit: &FileCommit,
    commits: &BTreeMap<&str, &'a FileCommit>,
) -> impl Iterator<Item = &'a FileCommit> {
    commit.parents.iter().filter_map(|name| commits.get(name.as_str()).copied())
}

/// Returns the names of the contents that [`earlier`] needs, of at most so many commits of the branch.
pub(crate) fn needed(history: &FileHistory, newest: usize) -> BTreeSet<String> {
    let line = lineage(history).into_iter().take(newest);
    line.flat_map(|own| std::iter::once(own.commit).chain(own.merged)).filter_map(|one| one.blob.clone()).collect()
}

/// Returns the earlier versions of the lockfile, the newest first. `here` is the one on disk.
///
/// A commit that put a lockfile in its place with none of its assets began a new one on purpose, and
/// so did one that deleted it, if the next one has none of its assets: nothing before it counts.
fn earlier<'a>(history: &'a FileHistory, here: &'a [u8]) -> Vec<&'a [u8]> {
    let mut versions = Vec::new();
    let mut beginning = Beginning::before(history, Some(here));
    for own in lineage(history) {
        versions.extend(content(history, own.commit));
        if beginning.is(&own) {
            break;
        }
        versions.extend(own.merged.iter().filter_map(|commit| content(history, commit)));
    }
    versions
}

/// Looks for the beginning of the lockfile, from the newest commit on.
struct Beginning<'a> {
    history: &'a FileHistory,
    /// The last version that was looked at, of those with assets.
    newer: Option<&'a [u8]>,
}

impl<'a> Beginning<'a> {
    fn before(history: &'a FileHistory, here: Option<&'a [u8]>) -> Self {
        Self { history, newer: here.filter(|here| !assets(here).is_empty()) }
    }

    /// Returns whether nothing before the next commit counts.
    fn is(&mut self, own: &OwnCommit<'_>) -> bool {
        let new = content(self.history, own.commit);
        self.newer = new.filter(|new| !assets(new).is_empty()).or(self.newer);
        let [parent] = own.parents[..] else { return false };
        let Some(old) = content(self.history, parent) else { return false };
        new.or(self.newer).is_none_or(|new| is_another(old, new))
    }
}

pub(super) fn content<'a>(history: &'a FileHistory, commit: &FileCommit) -> Option<&'a [u8]> {
    history.contents.get(commit.blob.as_ref()?).map(Vec::as_slice)
}

/// The commit before which the lockfiles of a history that would count are not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HistoryEnd {
    /// The clone has no commit before this one.
    NoEarlierCommit(String),
    /// The clone lacks the lockfile of this one, or of what it merged.
    NoContent(String),
}

/// Returns the commit at which a history ends though earlier lockfiles count; `None` if all that count
/// are here. `here` is the lockfile on disk, `last` are the commits at which a shallow clone ends, and
/// `has` says whether a commit has a lockfile.
pub(crate) fn history_end(
    history: &FileHistory,
    here: Option<&[u8]>,
    last: &BTreeSet<String>,
    has: impl Fn(&str) -> Result<bool, String>,
) -> Result<Option<HistoryEnd>, String> {
    let mut beginning = Beginning::before(history, here);
    for own in lineage(history) {
        let found = own.commit;
        for one in [found].iter().chain(&own.merged) {
            if one.blob.is_none() && has(&one.commit)? {
                return Ok(Some(HistoryEnd::NoContent(found.commit.clone())));
            }
        }
        if last.contains(&found.commit) {
            return Ok(Some(HistoryEnd::NoEarlierCommit(found.commit.clone())));
        }
        if beginning.is(&own) {
            break;
        }
    }
    Ok(None)
}

/// Returns whether a lockfile has assets, and none of those that an older one has.
fn is_another(old: &[u8], new: &[u8]) -> bool {
    let (old, new) = (assets(old), assets(new));
    !old.is_empty() && !new.is_empty() && old.is_disjoint(&new)
}

/// The assets of a lockfile, by its lines: those that it has, and those that it forgot.
fn assets(version: &[u8]) -> BTreeSet<&[u8]> {
    let lines = facts(version).filter(|line| !line.starts_with(b"["));
    lines.filter_map(|line| line.split(|byte| !byte.is_ascii_digit()).find(|digits| !digits.is_empty())).collect()
}

/// The lines of a lockfile that tell of an asset: a revision, or what an address forgot.
fn facts(version: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = version.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_fact = |line: &[u8]| line.starts_with(b"{ asset_id = ") || line.starts_with(b"[forgotten.");
    lines.filter(move |line| is_fact(line) || line.first().is_some_and(u8::is_ascii_digit))
}

/// Where git has a version of the lockfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VersionPlace {
    /// In the checked-out commit, or in the index: another file was put in its place.
    CheckedOut,
    /// In the history.
    Earlier,
}

/// Adds to `ledger` what the lockfile `bytes` lacks of other versions, of which the newest comes
/// first. Returns the addresses of entries and revisions, and the archivings that it may have lost.
fn add_lost(
    project: &Project,
    remote: &str,
    bytes: &[u8],
    others: &[(&[u8], VersionPlace)],
    ledger: &mut Ledger,
) -> (BTreeSet<Address>, Vec<EarlierArchiving>) {
    let mut known: BTreeSet<&[u8]> = facts(bytes).collect();
    let mut versions = Vec::new();
    for (version, place) in others {
        // Parsing is slow, and nearly every version has no line of its own.
        let new: Vec<&[u8]> = facts(version).filter(|line| !known.contains(line)).collect();
        // Somebody may have committed one with the marks of a conflict.
        if !new.is_empty()
            && let Ok(version) = parse(project, remote, Some(version))
        {
            known.extend(new);
            versions.push((version, *place));
        }
    }
    // What any of them forgot isn't found again. What the lockfile has stays: who reverts a mistaken
    // `forget` means it.
    let mut forgotten = ledger.forgotten.clone();
    for (address, theirs) in versions.iter().flat_map(|(version, _)| &version.forgotten) {
        forgotten.entry(address.clone()).or_default().union(theirs);
    }
    let mut lost = BTreeSet::new();
    for (version, place) in &versions {
        let elsewhere = moved_and_forgotten(version, &forgotten);
        let here: BTreeSet<RevisionKey> =
            ledger.entries.values().flat_map(|entry| entry.history.iter().map(|(key, _)| key)).collect();
        for (address, entry) in &version.entries {
            let forgotten = forgotten_too(entry, forgotten.get(address), |asset_id| elsewhere.contains(&asset_id));
            let Some(entry) = remembered(entry, Some(&forgotten)) else { continue };
            if take_back_entry(ledger.entries.entry(address.clone()), (&entry, *place), &here) {
                lost.insert(address.clone());
            }
        }
    }
    let versions: Vec<&Ledger> = versions.iter().map(|(version, _)| version).collect();
    let archivings = earlier_archivings(ledger, &versions, &lost);
    (lost, archivings)
}

/// Adds to an entry the revisions of `theirs` that it lost: those that were not moved to another
/// address, as after a rename.
fn take_back_entry(
    ours: btree_map::Entry<'_, Address, LockfileEntry>,
    (theirs, place): (&LockfileEntry, VersionPlace),
    here: &BTreeSet<RevisionKey>,
) -> bool {
    let lost = theirs.history.iter().filter(|(key, _)| !here.contains(key));
    let lost: Vec<(RevisionKey, RevisionFact)> = lost.map(|(key, fact)| (key, *fact)).collect();
    if lost.is_empty() {
        return false;
    }
    match ours {
        btree_map::Entry::Vacant(ours) => {
            ours.insert(theirs.clone());
        }
        btree_map::Entry::Occupied(mut ours) => {
            let kind = ours.get().identity.kind();
            // What the lockfile says stays: a revert takes the asset in use out on purpose. Unless the
            // checked-out one has that asset.
            let is_lost = |asset_id: &AssetId| lost.iter().any(|(key, _)| key.asset_id == *asset_id);
            let put_aside = theirs.in_use().filter(|asset_id| place == VersionPlace::CheckedOut && is_lost(asset_id));
            let in_use = put_aside.or_else(|| ours.get().in_use()).or_else(|| theirs.in_use());
            let history = &mut ours.get_mut().history;
            for (key, fact) in lost {
                history.add(key, fact);
                if history.listing(key.asset_id).is_none() {
                    // The lockfile's own choice among equals stays.
                    let is_second = history.duplicates(kind).contains(&key.asset_id);
                    let listing = theirs.history.listing(key.asset_id);
                    history.list(key.asset_id, if is_second { Some(Listing::Duplicate) } else { listing });
                }
            }
            ours.get_mut().set_in_use(in_use);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of commits, each with its parents and the assets of its lockfile; none: it has no
    /// lockfile.
    fn history(commits: &[(&str, &[&str], &[u32])]) -> FileHistory {
        let mut history = FileHistory::default();
        for (name, parents, assets) in commits {
            let lines = assets.iter().map(|asset| format!("  {{ asset_id = {asset}, content_hash = \"00\" }},\n"));
            let blob = (!assets.is_empty()).then(|| (*name).to_owned());
            if let Some(blob) = &blob {
                history.contents.insert(blob.clone(), lines.collect::<String>().into_bytes());
            }
            let parents = parents.iter().map(|name| (*name).to_owned()).collect();
            history.commits.push(FileCommit { commit: (*name).to_owned(), parents, blob });
        }
        let mut next = commits.first().map(|(name, ..)| (*name).to_owned());
        while let Some(found) = history.commits.iter().find(|one| Some(&one.commit) == next.as_ref()) {
            history.line.push(found.commit.clone());
            next = found.parents.first().cloned();
        }
        history
    }

    /// The assets that earlier versions have, from the newest commit on; the one on disk is the newest.
    #[track_caller]
    fn check(commits: &[(&str, &[&str], &[u32])], expected: &[&str]) {
        let history = history(commits);
        let here = history.commits.first().and_then(|newest| content(&history, newest)).unwrap_or_default().to_vec();
        check_here(&history, &here, expected);
    }

    #[track_caller]
    fn check_here(history: &FileHistory, here: &[u8], expected: &[&str]) {
        let versions = earlier(history, here);
        let found: BTreeSet<&[u8]> = versions.into_iter().flat_map(assets).collect();
        let expected: BTreeSet<&[u8]> = expected.iter().map(|asset| asset.as_bytes()).collect();
        assert_eq!(found, expected, "{history:?}");
    }

    #[test]
    fn every_side_of_a_merge_counts() {
        let merged: &[(&str, &[&str], &[u32])] = &[
            ("m", &["a", "b", "c"], &[1, 2]),
            ("c", &["o"], &[1, 4]),
            ("b", &["o"], &[1, 3]),
            ("a", &["o"], &[1, 2]),
            ("o", &[], &[1]),
        ];
        check(merged, &["1", "2", "3", "4"]);
        // The first version of a lockfile was made on both sides.
        check(&[("m", &["a", "b"], &[1]), ("b", &[], &[2]), ("a", &[], &[1])], &["1", "2"]);
        // A shallow clone, whose last commit has parents that it doesn't have.
        check(&[("a", &["gone"], &[1])], &["1"]);
        check(&[], &[]);
    }

    /// A pull request planted an asset in one commit and took it out in the next.
    #[test]
    fn what_happened_inside_a_merged_branch_does_not_count() {
        let merged: &[(&str, &[&str], &[u32])] = &[
            ("m", &["a", "clean"], &[1, 2]),
            ("clean", &["planted"], &[1]),
            ("planted", &["o"], &[1, 666]),
            ("a", &["o"], &[1, 2]),
            ("o", &[], &[1]),
        ];
        check(merged, &["1", "2"]);
        assert!(!needed(&history(merged), usize::MAX).contains("planted"), "it isn't even read");
    }

    /// Git leaves out the side of a merge that has no commit of the file.
    #[test]
    fn what_happened_inside_the_merged_branch_that_brought_the_lockfile_does_not_count() {
        let mut merged =
            history(&[("m", &["clean"], &[1]), ("clean", &["planted"], &[1]), ("planted", &[], &[1, 666])]);
        merged.line.truncate(1);
        let here = merged.contents["m"].clone();
        check_here(&merged, &here, &["1"]);
        assert!(!needed(&merged, usize::MAX).contains("planted"), "it isn't even read");
    }

    #[test]
    fn nothing_counts_from_before_a_lockfile_that_was_begun_anew() {
        check(&[("b", &["a"], &[2]), ("a", &[], &[1])], &["2"]);
        check(&[("c", &["b"], &[2]), ("b", &["a"], &[]), ("a", &[], &[1])], &["2"]);
        // An earlier one that was put in place isn't new.
        check(&[("b", &["a"], &[1]), ("a", &[], &[1, 2])], &["1", "2"]);
        // The first version of a new one had no assets yet.
        let begun = b"version = 1\n".to_vec();
        let mut history = history(&[("d", &["c"], &[2]), ("c", &["b"], &[9]), ("b", &["a"], &[]), ("a", &[], &[1])]);
        history.contents.insert("c".to_owned(), begun.clone());
        check_here(&history, &history.contents["d"], &["2"]);
        history.commits.remove(0);
        check_here(&history, &begun, &[]);
    }

    /// A deletion that was undone, with the version before it or an earlier one, is none.
    #[test]
    fn what_came_before_a_deletion_counts_once_the_lockfile_is_back() {
        let merged: &[(&str, &[&str], &[u32])] = &[
            ("back", &["gone"], &[1, 2]),
            ("gone", &["m"], &[]),
            ("m", &["a", "b"], &[1, 2]),
            ("b", &["o"], &[1, 3]),
            ("a", &["o"], &[1, 2]),
            ("o", &[], &[1]),
        ];
        check(merged, &["1", "2", "3"]);
        check(&[("c", &["b"], &[1]), ("b", &["a"], &[]), ("a", &[], &[1, 2])], &["1", "2"]);
        // It is back, but in no commit yet.
        let history = history(&merged[1..]);
        check_here(&history, &history.contents["a"], &["1", "2", "3"]);
        check_here(&history, b"  { asset_id = 7 },\n", &[]);
    }

    #[test]
    fn what_an_address_forgot_tells_a_lockfile_from_a_new_one() {
        let forgotten = b"[forgotten.\"ui/9.png\"]\n1 = 1\n\n[assets.a]\nrevisions = [\n  { asset_id = 3 },\n]\n";
        assert!(!is_another(b"  { asset_id = 1 },\n", forgotten));
        assert!(is_another(b"  { asset_id = 2 },\n", forgotten));
        assert!(!is_another(b"  { asset_id = 2 },\n", b""), "an empty one says nothing");
    }
}
