//! The paths of a list that somebody kept: refuses a list whose files are not where it says, since
//! whoever then lists the files in the manifest would upload them again.
//!
//! It never guesses: a path that differs from a file's name is for a person to correct.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::MoveError;
use crate::files;
use crate::model::path::ProjectPath;
use crate::moving::{Source, Tool};

/// Checks the paths of a list against the files below `root`.
///
/// # Errors
/// When none of its files is there, or a file is there under a similar name.
pub(crate) fn check_paths(root: &Path, source: &Source) -> Result<(), MoveError> {
    if source.tool != Tool::List {
        return Ok(());
    }
    let rows = || source.inputs.iter().flat_map(|input| &input.rows).filter_map(|row| row.path.as_deref());
    let files = files::list(root, "").files;
    let there: BTreeMap<String, &ProjectPath> = files.iter().map(|path| (folded(path), path)).collect();
    let spelt: BTreeSet<Cow<'_, str>> = files.iter().map(ProjectPath::composed).collect();
    // Some systems find a file by another case of its name, and the manifest doesn't.
    let is_spelt = |path: &ProjectPath| spelt.contains(&path.composed()) || !there.contains_key(&folded(path));
    let is_there =
        |path: &&str| ProjectPath::new(path).is_ok_and(|path| root.join(path.as_str()).is_file() && is_spelt(&path));
    let missing: Vec<&str> = rows().filter(|path| !is_there(path)).collect();
    let Some(example) = missing.first() else { return Ok(()) };
    let near = |path: &str| there.get(&folded(&ProjectPath::new(path).ok()?)).map(|file| file.as_str().to_owned());
    let paths: Vec<_> = missing.iter().filter_map(|path| Some(((*path).to_owned(), near(path)?))).collect();
    if !paths.is_empty() {
        return Err(MoveError::Misspelt { paths });
    }
    if missing.len() == rows().count() {
        let (count, example, folder) = (missing.len(), (*example).to_owned(), root.to_owned());
        return Err(MoveError::NoFileListed { count, example, folder });
    }
    Ok(())
}

/// A path without what people and systems write in different ways.
fn folded(path: &ProjectPath) -> String {
    path.composed().to_lowercase()
}
