//! Which files git has: in its index, which is what the next commit will have, and in the commits
//! that led to the checked-out one.
//!
//! Git answers each question with one run, whatever the number of files. What lies in a submodule or
//! behind a link is another repository's or another path's matter, and counts as git's. Read next:
//! [`crate::engine::workspace::committed`], which concludes something from it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ask::{CheckoutFile, FILES, records, why};
use super::{found, shared_folder};
use crate::model::path::{ProjectPath, composed};

/// With more paths than this, git lists the history of the whole project instead, since a command
/// line has a limit.
const MANY: usize = 200;

/// Files that git doesn't track.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UntrackedFiles {
    /// Their paths.
    pub files: Vec<ProjectPath>,
    /// How many of them git is told to ignore.
    pub ignored: usize,
    /// A merge of the lockfile is not finished.
    pub is_lockfile_unmerged: bool,
}

/// The files that git's index has.
#[derive(Debug)]
pub(crate) struct IndexedFiles {
    place: CheckoutFile,
    answer: Vec<u8>,
}

/// Asks git which files of the project around `manifest` its index has; `None` without a repository.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn index_around(manifest: &Path) -> Result<Option<IndexedFiles>, String> {
    let Some(place) = CheckoutFile::of(manifest)? else { return Ok(None) };
    IndexedFiles::ask(place).map(Some)
}

impl IndexedFiles {
    fn ask(place: CheckoutFile) -> Result<Self, String> {
        let folder = place.inside.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let answer = place.ask_for(&["--literal-pathspecs", "ls-files", "--stage", "-z", "--", folder], b"", FILES)?;
        if !answer.status.success() {
            return Err(why(&answer));
        }
        Ok(Self { place, answer: answer.raw })
    }

    /// The mode, object and stage of each path. One of several versions from a merge that isn't
    /// finished comes once a version.
    fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        records(&self.answer).filter_map(|line| line.split_once('\t'))
    }

    /// Returns those of `wanted` that it doesn't have, and that are in no submodule and behind no
    /// link: that is another repository's or another path's matter.
    fn lacks<'w, T>(&self, wanted: impl IntoIterator<Item = (Cow<'w, str>, T)>) -> BTreeMap<Cow<'w, str>, T> {
        let mut wanted: Vec<(Cow<'_, str>, T)> = wanted.into_iter().collect();
        let mut paths: Vec<(Cow<'_, str>, &str)> = self.lines().map(|(facts, path)| (composed(path), facts)).collect();
        // Both are in order already, but for names with accents.
        wanted.sort_by(|(one, _), (other, _)| one.cmp(other));
        paths.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut has = paths.iter().map(|(path, _)| path).peekable();
        let mut missing = BTreeMap::new();
        for (path, what) in wanted {
            while has.next_if(|before| **before < path).is_some() {}
            if has.peek().is_none_or(|next| **next != path) {
                missing.insert(path, what);
            }
        }
        if !missing.is_empty() {
            let is_elsewhere = |facts: &str| facts.starts_with("160000") || facts.starts_with("120000");
            let elsewhere = paths.iter().filter(|(_, facts)| is_elsewhere(facts));
            let elsewhere: BTreeSet<&str> = elsewhere.map(|(path, _)| &**path).collect();
            missing.retain(|path, _| !is_below(&elsewhere, path));
        }
        missing
    }
}

/// Returns those of the project's `files` that the index doesn't have.
pub(crate) fn lacking<'a>(
    index: &IndexedFiles,
    files: impl Iterator<Item = &'a ProjectPath>,
) -> BTreeSet<&'a ProjectPath> {
    let prefix = prefix(&index.place);
    index.lacks(files.map(|path| (inside(&prefix, path), path))).into_values().collect()
}

/// The files of one kind that git's index has, in the whole checkout.
#[derive(Debug)]
pub(crate) struct IndexedKind {
    place: CheckoutFile,
    entries: BTreeMap<String, IndexEntry>,
}

#[derive(Debug)]
struct IndexEntry {
    /// The name of its content.
    object: String,
    /// Git was told to leave it out of the checkout.
    is_skipped: bool,
}

/// Asks git which files with a name that ends in `suffix` the index has around `file`; `None` without
/// a repository.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn of_kind(file: &Path, suffix: &str) -> Result<Option<IndexedKind>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let pattern = format!("*{suffix}");
    let answer = place.ask_for(&["ls-files", "--stage", "-t", "-z", "--", &pattern], b"", FILES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let lines = records(&answer.raw).filter_map(|line| line.split_once('\t'));
    let entries = lines.filter_map(|(facts, path)| {
        // Its tag, its mode, its content and its stage.
        let mut facts = facts.split(' ');
        let is_skipped = facts.next()? == "S";
        Some((path.to_owned(), IndexEntry { object: facts.nth(1)?.to_owned(), is_skipped }))
    });
    Ok(Some(IndexedKind { entries: entries.collect(), place }))
}

impl IndexedKind {
    /// The checkout's top folder.
    pub(crate) fn top(&self) -> &Path {
        &self.place.top
    }

    /// The checkout's git folder.
    pub(crate) fn git_folder(&self) -> &Path {
        &self.place.private
    }

    /// The path of the file around which was asked, from the top folder.
    pub(crate) fn inside(&self) -> &str {
        &self.place.inside
    }

    /// The paths from the top folder.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns whether git was told to leave a file out of the checkout.
    pub(crate) fn is_skipped(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.is_skipped)
    }

    /// Returns what the index has at a path; `None` if nothing.
    ///
    /// # Errors
    /// Returns why it is unknown: lower case, no full stop.
    pub(crate) fn content(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(IndexEntry { object, .. }) = self.entries.get(name) else { return Ok(None) };
        let answer = self.place.ask_for(&["cat-file", "blob", object], b"", FILES)?;
        if answer.status.success() { Ok(Some(answer.raw)) } else { Err(why(&answer)) }
    }
}

/// Returns those of the project's `files` that git doesn't track, and what it says of the `lockfile`
/// beside the manifest; none where git doesn't track the manifest either: that project isn't in git
/// yet.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn untracked<'a>(
    index: &IndexedFiles,
    lockfile: &str,
    files: impl Iterator<Item = &'a ProjectPath>,
) -> Result<UntrackedFiles, String> {
    let place = &index.place;
    let prefix = prefix(place);
    let manifest = composed(&place.inside);
    // The last one counts where an asset is the manifest.
    let wanted = files.map(|path| (inside(&prefix, path), Some(path))).chain([(manifest.clone(), None)]);
    let missing = index.lacks(wanted);
    if missing.contains_key(&manifest) {
        return Ok(UntrackedFiles::default());
    }
    let lockfile = composed(&format!("{prefix}{lockfile}")).into_owned();
    let is_lockfile_unmerged = index.lines().any(|(facts, path)| !facts.ends_with(" 0") && composed(path) == lockfile);
    let ignored = if missing.is_empty() { 0 } else { ignored(place, missing.keys().map(|path| &**path))?.len() };
    Ok(UntrackedFiles { files: missing.into_values().flatten().cloned().collect(), ignored, is_lockfile_unmerged })
}

/// Those of some files that no known commit has which led to the checked-out one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NeverTracked<'a> {
    /// The files.
    pub files: BTreeSet<&'a ProjectPath>,
    /// The clone is shallow, so a commit that it lacks may have them.
    pub is_shallow: bool,
}

/// Returns whether the clone around `file` has only the newest commits; `false` without a repository.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn is_in_shallow_clone(file: &Path) -> Result<bool, String> {
    CheckoutFile::of(file)?.map_or(Ok(false), |place| is_shallow(&place))
}

fn is_shallow(place: &CheckoutFile) -> Result<bool, String> {
    let ends = shared_folder(&place.private).and_then(|shared| found(&shared.join("shallow")));
    Ok(ends.map_err(|unread| unread.to_string())?.is_some())
}

/// Returns those of `files` that no commit which led to the checked-out one has; `None` without a
/// repository or a commit around `manifest`.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn never_committed<'a>(
    manifest: &Path,
    files: &[&'a ProjectPath],
) -> Result<Option<NeverTracked<'a>>, String> {
    let Some(place) = CheckoutFile::of(manifest)? else { return Ok(None) };
    let is_shallow = is_shallow(&place)?;
    if !has_commit(&place)? {
        return Ok(None);
    }
    let prefix = prefix(&place);
    let index = IndexedFiles::ask(place)?;
    let place = &index.place;
    let mut missing = index.lacks(files.iter().map(|path| (inside(&prefix, path), *path)));
    if missing.is_empty() {
        return Ok(Some(NeverTracked { files: BTreeSet::new(), is_shallow }));
    }
    let whole = [if prefix.is_empty() { "." } else { prefix.as_str() }];
    let named: Vec<&str> = missing.keys().map(|path| &**path).collect();
    let paths = [&["--"][..], if named.len() > MANY { &whole[..] } else { named.as_slice() }].concat();
    let ask = |query: &[&str], input: &[u8]| {
        let answer = place.ask_for(&[&["--literal-pathspecs"], query, &paths].concat(), input, FILES)?;
        if answer.status.success() { Ok(answer.raw) } else { Err(why(&answer)) }
    };
    // `--full-history` also follows the sides of a merge that ended without a file. `git log` would
    // do it at once, but checks signatures by a program if the repository says so.
    let commits = ask(&["rev-list", "--full-history", "HEAD"], b"")?;
    // A merge may have added a file too, and the first commits of a shallow clone count as having
    // added all their files.
    let query = ["diff-tree", "--stdin", "-r", "-m", "--root", "--no-renames", "--diff-filter=A"];
    let form = ["--name-only", "--no-commit-id", "-z"];
    let added = ask(&[&query[..], &form].concat(), &commits)?;
    for path in records(&added) {
        missing.remove(&*composed(path));
    }
    Ok(Some(NeverTracked { files: missing.into_values().collect(), is_shallow }))
}

/// Returns whether a commit of any branch has `file`, or may have it in a part of the history that a
/// shallow clone lacks; `false` without a repository.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn was_committed(file: &Path) -> Result<bool, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(false) };
    if is_shallow(&place)? {
        return Ok(true);
    }
    let answer = place.ask(&["--literal-pathspecs", "rev-list", "--all", "--max-count=1", "--", &place.inside], b"")?;
    if answer.status.success() { Ok(!answer.raw.is_empty()) } else { Err(why(&answer)) }
}

/// Returns whether a commit is checked out.
fn has_commit(place: &CheckoutFile) -> Result<bool, String> {
    let answer = place.ask(&["rev-parse", "--verify", "--quiet", "HEAD"], b"")?;
    match answer.status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        Some(_) | None => Err(why(&answer)),
    }
}

/// Returns those of these files that git is told to ignore.
pub(super) fn ignored<'a>(place: &CheckoutFile, files: impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let names: String = files.flat_map(|path| [path, "\0"]).collect();
    let answer = place.ask_for(&["check-ignore", "--stdin", "-z"], names.as_bytes(), FILES)?;
    match answer.status.code() {
        Some(0 | 1) => Ok(records(&answer.raw).map(|path| composed(path).into_owned()).collect()),
        Some(_) | None => Err(why(&answer)),
    }
}

/// Whether a folder on the way to `path` is one of `places`.
fn is_below(places: &BTreeSet<&str>, path: &str) -> bool {
    !places.is_empty() && path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|up| places.contains(up)))
}

/// The folder of the project within the checkout, with a `/` after it.
pub(super) fn prefix(place: &CheckoutFile) -> String {
    place.inside.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default()
}

/// The path of a file within the checkout.
pub(super) fn inside<'a>(prefix: &str, path: &'a ProjectPath) -> Cow<'a, str> {
    if prefix.is_empty() {
        return path.composed();
    }
    Cow::Owned(composed(&format!("{prefix}{}", path.as_str())).into_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;
    use crate::engine::workspace::git::tests::git;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::new(text).unwrap()
    }

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let place = folder.join(name);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, name).unwrap();
        }
    }

    #[test]
    fn the_index_and_every_commit_that_led_here_count() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("game");
        let manifest = project.join("assets.toml");
        write(&project, &["assets.toml", "a.png", "é.png", "gone.png", "side.png"]);
        git(folder.path(), &["init", "-q", "-b", "main"]);
        let wanted = ["a.png", "é.png", "new.png", "out/x.png"].map(path);
        let untracked = || {
            let index = index_around(&manifest).unwrap().unwrap();
            untracked(&index, "assets.lock.toml", wanted.iter()).unwrap()
        };
        assert_eq!(untracked(), UntrackedFiles::default(), "the project isn't in git yet");
        git(&project, &["add", "assets.toml", "a.png", "é.png", "gone.png"]);
        git(&project, &["commit", "-qm", "one"]);
        // On a side branch that is merged without it.
        git(&project, &["checkout", "-qb", "side"]);
        git(&project, &["add", "side.png"]);
        git(&project, &["commit", "-qm", "side"]);
        git(&project, &["rm", "-q", "side.png"]);
        git(&project, &["commit", "-qm", "not"]);
        git(&project, &["checkout", "-q", "main"]);
        git(&project, &["rm", "-q", "gone.png"]);
        git(&project, &["commit", "-qm", "two"]);
        git(&project, &["merge", "-q", "--no-edit", "side"]);
        write(&project, &["new.png", "out/x.png"]);
        std::fs::write(folder.path().join(".gitignore"), "out/\n").unwrap();
        assert_eq!(
            untracked(),
            UntrackedFiles { files: vec![path("new.png"), path("out/x.png")], ignored: 1, is_lockfile_unmerged: false }
        );
        let asked = ["a.png", "gone.png", "new.png", "side.png", "never.png"].map(path);
        let never = never_committed(&manifest, &asked.iter().collect::<Vec<_>>()).unwrap().map(|never| never.files);
        assert_eq!(never, Some(BTreeSet::from([&path("new.png"), &path("never.png")])));
        git(&project, &["add", "new.png"]);
        let new = path("new.png");
        let never = never_committed(&manifest, &[&new]).unwrap().map(|never| never.files);
        assert_eq!(never, Some(BTreeSet::new()), "the next commit has it");
        let many: Vec<ProjectPath> =
            (0..=MANY).map(|at| path(&format!("{at}.png"))).chain([path("gone.png")]).collect();
        let never = never_committed(&manifest, &many.iter().collect::<Vec<_>>()).unwrap().map(|never| never.files);
        assert_eq!(never.map(|never| never.len()), Some(MANY + 1));
    }

    #[test]
    fn a_history_that_is_not_whole_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin");
        write(&origin, &["assets.toml"]);
        let gone = path("gone.png");
        assert_eq!(never_committed(&origin.join("assets.toml"), &[&gone]), Ok(None), "no repository");
        git(&origin, &["init", "-q", "-b", "main"]);
        assert_eq!(never_committed(&origin.join("assets.toml"), &[&gone]), Ok(None), "no commit");
        git(&origin, &["add", "."]);
        git(&origin, &["commit", "-qm", "one"]);
        assert_eq!(
            never_committed(&origin.join("assets.toml"), &[&gone]),
            Ok(Some(NeverTracked { files: BTreeSet::from([&gone]), is_shallow: false }))
        );
        let url = format!("file://{}", origin.display());
        git(folder.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
        let partly = NeverTracked { files: BTreeSet::from([&gone]), is_shallow: true };
        assert_eq!(never_committed(&folder.path().join("shallow/assets.toml"), &[&gone]), Ok(Some(partly)), "shallow");
    }

    #[test]
    fn a_submodule_and_a_link_are_not_this_repositorys_matter() {
        let places = BTreeSet::from(["game/art"]);
        assert!(is_below(&places, "game/art/a.png") && is_below(&places, "game/art/b/a.png"));
        assert!(!is_below(&places, "game/art.png") && !is_below(&places, "game/artful/a.png"));
    }
}
