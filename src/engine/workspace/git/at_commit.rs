//! What an earlier commit had: which files, and which of them have the same content now.
//!
//! It needs the commit's list of files, and no file of it: a partial clone lacks those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ask::{CheckoutFile, FILES, why};
use super::tracked::{ignored, inside, prefix};
use crate::model::path::{ProjectPath, composed};

/// Files that were there at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EarlierFiles {
    /// Those that the commit has, and those of which git tells nothing since it ignores them.
    pub existed: BTreeSet<ProjectPath>,
    /// Of these those that have the same content now.
    pub unchanged: BTreeSet<ProjectPath>,
}

/// Returns those of `files`, of the project around `manifest`, that were there at `commit`.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn files_at<'a>(
    manifest: &Path,
    commit: &str,
    files: impl Iterator<Item = &'a ProjectPath>,
) -> Result<EarlierFiles, String> {
    let Some(place) = CheckoutFile::of(manifest)? else { return Ok(EarlierFiles::default()) };
    let prefix = prefix(&place);
    let folder = if prefix.is_empty() { "." } else { prefix.as_str() };
    let list = |query: &[&str]| {
        let answer = place.ask_for(&[&["--literal-pathspecs"], query, &["--", folder]].concat(), b"", FILES)?;
        if answer.status.success() { Ok(answer.said) } else { Err(why(&answer)) }
    };
    let (then, now) = (list(&["ls-tree", "-r", "-z", "--full-tree", commit])?, list(&["ls-files", "--stage", "-z"])?);
    let edited = list(&["ls-files", "--modified", "-z"])?;
    // A mode, a type and an object.
    let then = objects(&then, |facts| facts.split(' ').nth(2));
    // A mode, an object and a stage.
    let now = objects(&now, |facts| facts.split(' ').nth(1));
    let edited: BTreeSet<String> = edited.split('\0').map(|path| composed(path).into_owned()).collect();
    let mut found = EarlierFiles::default();
    let (mut unknown, mut reworked) = (BTreeMap::new(), Vec::new());
    for path in files {
        let name = inside(&prefix, path);
        let (before, after) = (then.get(&name), now.get(&name));
        if before.is_some() {
            found.existed.insert(path.clone());
        } else if after.is_none() {
            unknown.insert(name.clone(), path);
        }
        match before {
            Some(before) if edited.contains(&name) => reworked.push((name, *before, path)),
            Some(_) if before == after => {
                found.unchanged.insert(path.clone());
            }
            Some(_) | None => {}
        }
    }
    found.unchanged.extend(edited_back(&place, &reworked)?.into_iter().cloned());
    if !unknown.is_empty() {
        for name in ignored(&place, unknown.keys())? {
            found.existed.extend(unknown.get(&name).map(|path| ProjectPath::clone(path)));
            found.unchanged.extend(unknown.get(&name).map(|path| ProjectPath::clone(path)));
        }
    }
    Ok(found)
}

/// Returns those of these edited files, each with its path in the checkout and its earlier object, that
/// have the earlier content again, or may have it. Git's filters don't run for that.
fn edited_back<'a>(
    place: &CheckoutFile,
    files: &[(String, &str, &'a ProjectPath)],
) -> Result<Vec<&'a ProjectPath>, String> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let names: String = files.iter().map(|(name, ..)| format!("{name}\n")).collect();
    let answer = place.ask_for(&["hash-object", "--no-filters", "--stdin-paths"], names.as_bytes(), FILES)?;
    let objects: Vec<&str> = answer.said.lines().collect();
    // One of them can't be read, or has a name that is no line.
    let is_unknown = !answer.status.success() || objects.len() != files.len();
    let now = files.iter().zip(objects.iter().map(Some).chain(std::iter::repeat(None)));
    let back = now.filter(|((_, before, _), object)| is_unknown || *object == Some(before));
    Ok(back.map(|((.., path), _)| *path).collect())
}

/// Reads a list of files, each with its facts before a tab.
fn objects<'a>(list: &'a str, object: impl Fn(&'a str) -> Option<&'a str>) -> BTreeMap<String, &'a str> {
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
