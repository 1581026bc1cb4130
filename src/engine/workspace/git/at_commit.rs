//! What an earlier commit had: which files, and which of the contents that files have now.
//!
//! It needs the commit's list of files, and no file of it: a partial clone lacks those. What git keeps
//! of a file may differ from the file, by a filter or another end of lines. Where git can't tell
//! without a program of the filter's, a content counts as one that the commit may have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ask::{CheckoutFile, FILES, why};
use super::tracked::{ignored, inside, prefix};
use crate::model::path::{ProjectPath, composed};

/// The most bytes that git hashes in one run: it has a limited time for that.
const BATCH: u64 = 256 << 20;
/// The same number for a file without content, which has to be opened too.
const ONE_FILE: u64 = 16 << 10;

/// Files of which a commit tells something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EarlierFiles {
    /// Those that the commit has, and those of which git tells nothing since it ignores them.
    pub existed: BTreeSet<ProjectPath>,
    /// Those whose content the commit has or may have, by whatever name.
    pub known_content: BTreeSet<ProjectPath>,
}

/// Returns those of `files`, of the project around `manifest`, of which `commit` tells something. Each
/// comes with its length, or `None` if its content doesn't matter.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn files_at<'a>(
    manifest: &Path,
    commit: &str,
    files: impl Iterator<Item = (&'a ProjectPath, Option<u64>)>,
) -> Result<EarlierFiles, String> {
    let Some(place) = CheckoutFile::of(manifest)? else { return Ok(EarlierFiles::default()) };
    let prefix = prefix(&place);
    let folder = if prefix.is_empty() { "." } else { prefix.as_str() };
    // The attributes of the folders above count as well.
    let above = prefix.match_indices('/').map(|(end, _)| prefix.get(..end).unwrap_or_default());
    let above = above.map(|folder| folder.rsplit_once('/').map_or("", |(up, _)| up));
    let above: Vec<String> = above.map(|up| format!("{up}/{ATTRIBUTES}").trim_start_matches('/').to_owned()).collect();
    let paths: Vec<&str> = above.iter().map(String::as_str).chain([folder]).collect();
    let list = |query: &[&str]| {
        let answer =
            place.ask_for(&[&["--literal-pathspecs"], query, &["--"], paths.as_slice()].concat(), b"", FILES)?;
        if answer.status.success() { Ok(answer.said) } else { Err(why(&answer)) }
    };
    let (then, now) =
        (list(&["ls-tree", "-r", "-z", "--full-tree", commit])?, list(&["ls-files", "--stage", "-v", "-z"])?);
    let edited = list(&["ls-files", "--modified", "-z"])?;
    // A mode, a type and an object.
    let then = objects(&then, |facts| facts.split(' ').nth(2));
    // A tag, a mode, an object and a stage. Git doesn't look at a file with another tag, and keeps of
    // a link the path that it leads to.
    let now = objects(&now, |facts| match facts.split(' ').collect::<Vec<_>>()[..] {
        ["H", "100644" | "100755", object, "0"] => Some(Some(object)),
        _ => Some(None),
    });
    let edited: BTreeSet<String> = edited.split('\0').map(|path| composed(path).into_owned()).collect();
    let attributes = Attributes { place: &place, then: &then, now: &now, edited: &edited };
    let changes_filters = attributes.change_filters(commit)?;
    let contents: BTreeSet<&str> = then.values().copied().collect();
    let mut found = EarlierFiles::default();
    let (mut unknown, mut unsure) = (BTreeMap::new(), Vec::new());
    for (path, length) in files {
        let name = inside(&prefix, path).into_owned();
        let after = now.get(&name);
        if then.contains_key(&name) {
            found.existed.insert(path.clone());
        } else if after.is_none() {
            unknown.insert(name.clone(), path);
        }
        let Some(length) = length else { continue };
        let in_index = after.copied().flatten().filter(|_| !edited.contains(&name));
        if changes_filters || in_index.is_some_and(|object| contents.contains(object)) {
            found.known_content.insert(path.clone());
        } else {
            unsure.push(UnsureFile { path, name, length, is_in_index: in_index.is_some() });
        }
    }
    if !unknown.is_empty() {
        let ignored: BTreeSet<String> = ignored(&place, unknown.keys().map(String::as_str))?.into_iter().collect();
        for path in ignored.iter().filter_map(|name| unknown.get(name)) {
            found.existed.insert(ProjectPath::clone(path));
            found.known_content.insert(ProjectPath::clone(path));
        }
        unsure.retain(|file| !ignored.contains(&file.name));
    }
    found.known_content.extend(with_content(&place, &contents, &unsure)?.into_iter().cloned());
    Ok(found)
}

/// The name of the files that say how git keeps others.
const ATTRIBUTES: &str = ".gitattributes";

/// The files of attributes at a commit and now.
struct Attributes<'a> {
    place: &'a CheckoutFile,
    then: &'a BTreeMap<String, &'a str>,
    now: &'a BTreeMap<String, Option<&'a str>>,
    edited: &'a BTreeSet<String>,
}

impl Attributes<'_> {
    /// Returns whether git may keep files otherwise now than at `commit`: then its objects tell nothing
    /// about the contents.
    fn change_filters(&self, commit: &str) -> Result<bool, String> {
        let is_same = |name: &str| {
            let (then, now) = (self.then.get(name), self.now.get(name));
            then.is_some() && then == now.and_then(Option::as_ref) && !self.edited.contains(name)
        };
        let names = self.then.keys().chain(self.now.keys());
        let changed: BTreeSet<&str> = names
            .map(String::as_str)
            .filter(|name| name.rsplit('/').next() == Some(ATTRIBUTES) && !is_same(name))
            .collect();
        if changed.is_empty() {
            return Ok(false);
        }
        let query = ["--literal-pathspecs", "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--text"];
        let query: Vec<&str> = query.into_iter().chain(["--unified=0", commit, "--"]).chain(changed).collect();
        let answer = self.place.ask_for(&query, b"", FILES)?;
        if !answer.status.success() {
            return Err(why(&answer));
        }
        let is_filter =
            |line: &str| line.starts_with(['+', '-']) && ["filter", "lfs"].iter().any(|word| line.contains(word));
        Ok(answer.said.lines().any(is_filter))
    }
}

/// A file whose content is not that of an object which the commit has.
struct UnsureFile<'a> {
    path: &'a ProjectPath,
    /// Its path in the checkout.
    name: String,
    length: u64,
    /// Git's index has its content.
    is_in_index: bool,
}

/// Returns those of these files that have one of the earlier `contents`, or may have it. Git's own
/// conversions are made for that, and no program of a filter runs.
fn with_content<'a>(
    place: &CheckoutFile,
    contents: &BTreeSet<&str>,
    files: &[UnsureFile<'a>],
) -> Result<Vec<&'a ProjectPath>, String> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let names: String = files.iter().flat_map(|file| [file.name.as_str(), "\0"]).collect();
    let answer = place.ask_for(&["check-attr", "--stdin", "-z", "filter"], names.as_bytes(), FILES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    // A path, an attribute and its value, each with a NUL after it.
    let filters = answer.said.split('\0').skip(2).step_by(3);
    let (mut found, mut plain) = (Vec::new(), Vec::new());
    for (file, filter) in files.iter().zip(filters.map(Some).chain(std::iter::repeat(None))) {
        match filter {
            Some("unspecified" | "unset") => plain.push(file),
            // Git LFS keeps the same of the same bytes; what other filters keep may depend on more.
            Some("lfs") if file.is_in_index => {}
            Some(_) | None => found.push(file.path),
        }
    }
    let converted: Vec<&UnsureFile<'_>> = plain.iter().copied().filter(|file| !file.is_in_index).collect();
    let queries: [(&[&str], _); 2] =
        [(&["hash-object", "--no-filters", "--stdin-paths"], plain), (&["hash-object", "--stdin-paths"], converted)];
    for (query, files) in queries {
        let mut bytes = 0;
        let place_in_batches = |file: &UnsureFile<'_>| {
            bytes += file.length + ONE_FILE;
            bytes / BATCH
        };
        let numbers: Vec<u64> = files.iter().copied().map(place_in_batches).collect();
        let numbered: Vec<(u64, &UnsureFile<'_>)> = numbers.into_iter().zip(files).collect();
        for batch in numbered.chunk_by(|(one, _), (other, _)| one == other) {
            let names: String = batch.iter().map(|(_, file)| format!("{}\n", file.name)).collect();
            let answer = place.ask_for(query, names.as_bytes(), FILES)?;
            let objects: Vec<&str> = answer.said.lines().collect();
            // One of them can't be read, or has a name that is no line.
            let is_unknown = !answer.status.success() || objects.len() != batch.len();
            let now = batch.iter().zip(objects.iter().map(Some).chain(std::iter::repeat(None)));
            let known = now.filter(|(_, object)| is_unknown || object.is_some_and(|object| contents.contains(object)));
            found.extend(known.map(|((_, file), _)| file.path));
        }
    }
    Ok(found)
}

/// Reads a list of files, each with its facts before a tab.
fn objects<'a, T>(list: &'a str, object: impl Fn(&'a str) -> Option<T>) -> BTreeMap<String, T> {
    let lines = list.split('\0').filter_map(|line| line.split_once('\t'));
    lines.filter_map(|(facts, path)| Some((composed(path).into_owned(), object(facts)?))).collect()
}

/// Returns whether `commit` has `file`, also where its content is not here.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn has(file: &Path, commit: &str) -> Result<bool, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(false) };
    let query = ["--literal-pathspecs", "ls-tree", "--full-tree", "--name-only", commit, "--", &place.inside];
    let answer = place.ask(&query, b"")?;
    if answer.status.success() { Ok(!answer.said.is_empty()) } else { Err(why(&answer)) }
}

/// Returns the content that `file` had at `commit`; `None` if it had none, or it is not here.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn content(file: &Path, commit: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let answer = place.ask_for(&["cat-file", "blob", &format!("{commit}:{}", place.inside)], b"", FILES)?;
    Ok(answer.status.success().then_some(answer.raw))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;

    fn git(folder: &Path, args: &[&str]) {
        let settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
        let ran = std::process::Command::new("git").arg("-C").arg(folder).args(settings).args(args).output().unwrap();
        assert!(ran.status.success(), "{args:?} {ran:?}");
    }

    /// A checkout with these files in its first commit, in the folder `game`.
    fn committed(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "-b", "main"]);
        // Only to take a file into the index: Macadam runs no program of a filter.
        for (key, value) in [("clean", "tr a-z n-za-m"), ("smudge", "tr a-z n-za-m")] {
            git(folder.path(), &["config", &format!("filter.rot.{key}"), value]);
        }
        write(&folder, files);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "-qm", "one"]);
        git(folder.path(), &["tag", "one"]);
        folder
    }

    fn write(folder: &tempfile::TempDir, files: &[(&str, &str)]) {
        for (name, content) in files {
            let place = folder.path().join(name);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, content).unwrap();
        }
    }

    /// Which of these files the first commit has, and which contents it has or may have.
    #[track_caller]
    fn check(folder: &tempfile::TempDir, asked: &[&str], existed: &[&str], known_content: &[&str]) {
        let paths: Vec<ProjectPath> = asked.iter().map(|text| ProjectPath::new(text).unwrap()).collect();
        let manifest = folder.path().join("game/assets.toml");
        let found = files_at(&manifest, "one", paths.iter().map(|path| (path, Some(3)))).unwrap();
        let texts = |paths: &BTreeSet<ProjectPath>| paths.iter().map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(&found.existed), existed, "{asked:?}");
        assert_eq!(texts(&found.known_content), known_content, "{asked:?}");
    }

    #[test]
    fn a_content_is_known_under_every_name() {
        let files =
            [("game/assets.toml", ""), ("game/a.mesh", "one"), ("game/b.mesh", "two"), (".gitignore", "built\n")];
        let folder = committed(&files);
        check(&folder, &["a.mesh", "b.mesh"], &["a.mesh", "b.mesh"], &["a.mesh", "b.mesh"]);
        git(folder.path(), &["mv", "game/b.mesh", "game/moved.mesh"]);
        write(&folder, &[("game/a.mesh", "six"), ("game/copy.mesh", "one"), ("game/new.mesh", "ten")]);
        write(&folder, &[("game/built/x.mesh", "elf")]);
        let asked = ["a.mesh", "built/x.mesh", "copy.mesh", "moved.mesh", "new.mesh"];
        let known = ["built/x.mesh", "copy.mesh", "moved.mesh"];
        check(&folder, &asked, &["a.mesh", "built/x.mesh"], &known);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "-qm", "two"]);
        check(&folder, &asked, &["a.mesh", "built/x.mesh"], &known);
        // An edit that git was told not to see.
        git(folder.path(), &["update-index", "--assume-unchanged", "game/a.mesh"]);
        write(&folder, &[("game/a.mesh", "one")]);
        check(&folder, &["a.mesh"], &["a.mesh"], &["a.mesh"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_has_the_content_of_its_file() {
        let folder = committed(&[("game/assets.toml", ""), ("game/a.mesh", "one")]);
        std::os::unix::fs::symlink("a.mesh", folder.path().join("game/link.mesh")).unwrap();
        git(folder.path(), &["add", "."]);
        check(&folder, &["link.mesh"], &[], &["link.mesh"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_filter_makes_of_a_content_is_not_known_unless_it_is_git_lfs_and_in_the_index() {
        let attributes = (".gitattributes", "*.mesh filter=rot\n*.png filter=lfs\n");
        let folder = committed(&[attributes, ("game/assets.toml", ""), ("game/a.mesh", "one"), ("game/a.png", "two")]);
        check(&folder, &["a.mesh", "a.png"], &["a.mesh", "a.png"], &["a.mesh", "a.png"]);
        write(&folder, &[("game/a.mesh", "six"), ("game/a.png", "ten"), ("game/b.wav", "elf")]);
        check(&folder, &["a.mesh", "a.png", "b.wav"], &["a.mesh", "a.png"], &["a.mesh", "a.png"]);
        git(folder.path(), &["add", "."]);
        check(&folder, &["a.mesh", "a.png", "b.wav"], &["a.mesh", "a.png"], &["a.mesh"]);
        // A filter that came or went in between says nothing of what there was before.
        write(&folder, &[(".gitattributes", "*.mesh filter=rot\n")]);
        check(&folder, &["a.png", "b.wav"], &["a.png"], &["a.png", "b.wav"]);
        write(&folder, &[attributes, ("game/.gitattributes", "assets.lock.toml merge=union\n")]);
        git(folder.path(), &["add", "."]);
        check(&folder, &["a.png", "b.wav"], &["a.png"], &[]);
    }

    #[test]
    fn ends_of_lines_are_those_of_git_and_those_of_the_disk() {
        let attributes = (".gitattributes", "*.mesh text=auto\n");
        let folder = committed(&[attributes, ("game/assets.toml", ""), ("game/a.mesh", "one\n")]);
        write(&folder, &[("game/b.mesh", "one\r\n"), ("game/c.mesh", "one\n"), ("game/d.mesh", "two\r\n")]);
        check(&folder, &["b.mesh", "c.mesh", "d.mesh"], &[], &["b.mesh", "c.mesh"]);
    }
}
