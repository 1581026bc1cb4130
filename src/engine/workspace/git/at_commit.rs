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
    let mut unknown = BTreeMap::new();
    for path in files {
        let name = inside(&prefix, path);
        let (before, after) = (then.get(&name), now.get(&name));
        if before.is_some() {
            found.existed.insert(path.clone());
        } else if after.is_none() {
            unknown.insert(name.clone(), path);
        }
        if before.is_some() && before == after && !edited.contains(&name) {
            found.unchanged.insert(path.clone());
        }
    }
    if !unknown.is_empty() {
        for name in ignored(&place, unknown.keys())? {
            found.existed.extend(unknown.get(&name).map(|path| ProjectPath::clone(path)));
            found.unchanged.extend(unknown.get(&name).map(|path| ProjectPath::clone(path)));
        }
    }
    Ok(found)
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
