//! The globs of a selection: which files they match, and which folders can hold such files.
//!
//! Read next: `pattern` for what one glob means.

use std::collections::BTreeMap;
use std::io;

use super::found::{MissingFolder, Walk, WalkProblem, problem};
use super::open::{Barred, Root, remedy};
use super::pattern::{Pattern, PatternPart, PatternRole, PatternStates};
use crate::model::desired::{FileSelection, GlobPattern};
use crate::model::file::FileProblemKind;
use crate::model::path::ProjectPath;

/// Returns the globs that would match files at these paths if they existed.
pub(super) fn matching(selection: &FileSelection, paths: &[&ProjectPath]) -> Vec<(ProjectPath, Vec<usize>)> {
    let globs = Globs::new(&selection.globs, &mut Vec::new());
    // It is unknown by now whether a folder is a link, so a link matches like a folder of that
    // name.
    let parts = |path: &ProjectPath| path.as_str().split('/').map(PatternPart::new).collect::<Vec<_>>();
    paths.iter().map(|path| ((*path).clone(), globs.matching(&parts(path)))).collect()
}

struct Glob {
    /// The glob's key.
    name: String,
    /// `None` when the pattern is invalid: the glob matches nothing then.
    pattern: Option<Pattern>,
    exclude: Vec<Pattern>,
}

/// The globs of a selection, ready to match.
pub(super) struct Globs {
    all: Vec<Glob>,
    /// The extensions that the patterns end with, by their lower case.
    extensions: BTreeMap<String, String>,
}

impl Globs {
    /// Parses the globs. An invalid pattern goes to `problems`, and matches nothing.
    pub(super) fn new(written: &[GlobPattern], problems: &mut Vec<WalkProblem>) -> Self {
        let mut parse = |index, glob: &GlobPattern, text: &str, role| {
            Pattern::parse(text, role)
                .map_err(|wrong| {
                    problems.push(WalkProblem {
                        path: text.to_owned(),
                        globs: vec![index],
                        incomplete: true,
                        problem: problem(
                            FileProblemKind::BadGlob,
                            format!("glob `{}`: `{text}` isn't a pattern: {wrong}", glob.name),
                            None,
                        ),
                    });
                })
                .ok()
        };
        let globs = written.iter().enumerate().map(|(index, glob)| {
            let exclude: Vec<Option<Pattern>> =
                glob.exclude.iter().map(|text| parse(index, glob, text, PatternRole::Exclude)).collect();
            let pattern = parse(index, glob, &glob.path, PatternRole::Find);
            // A glob whose exclusions are unknown must not find the files that they exclude.
            let pattern = pattern.filter(|_| exclude.iter().all(Option::is_some));
            Glob { name: glob.name.clone(), pattern, exclude: exclude.into_iter().flatten().collect() }
        });
        let extension = |glob: &GlobPattern| {
            let extension = extension(&glob.path).filter(|text| text.chars().all(char::is_alphanumeric))?;
            Some((extension.to_lowercase(), extension.to_owned()))
        };
        Self { all: globs.collect(), extensions: written.iter().filter_map(extension).collect() }
    }

    /// Returns whether a glob matches the file `name` in these folders once its extension is written
    /// as in the patterns.
    pub(super) fn match_in_other_case(&self, folders: &[PatternPart], name: &str) -> bool {
        let Some(found) = extension(name) else { return false };
        let Some(meant) = self.extensions.get(&found.to_lowercase()).filter(|meant| *meant != found) else {
            return false;
        };
        let stem = name.get(..name.len() - found.len()).unwrap_or_default();
        let parts: Vec<PatternPart> =
            folders.iter().cloned().chain([PatternPart::new(&format!("{stem}{meant}"))]).collect();
        !self.matching(&parts).is_empty()
    }

    /// Returns the globs that match the file at `parts`.
    pub(super) fn matching(&self, parts: &[PatternPart]) -> Vec<usize> {
        self.indexes(|glob, pattern| pattern.matches(parts) && !glob.exclude.iter().any(|out| out.matches(parts)))
    }

    /// Returns the globs that can match something below the folder at `parts`.
    pub(super) fn reaching(&self, parts: &[PatternPart]) -> Vec<usize> {
        self.indexes(|glob, pattern| pattern.reaches_below(parts) && !glob.exclude.iter().any(|out| out.covers(parts)))
    }

    /// Returns how far the globs come with the folder at `parts`, for [`Globs::matching_in`].
    pub(super) fn within(&self, parts: &[PatternPart]) -> GlobStates {
        let states = |glob: &Glob| {
            let pattern = glob.pattern.as_ref()?;
            Some((pattern.within(parts), glob.exclude.iter().map(|out| out.within(parts)).collect()))
        };
        GlobStates(self.all.iter().map(states).collect())
    }

    /// Returns the globs that match the file `name` in the folder of `states`.
    pub(super) fn matching_in(&self, states: &GlobStates, name: &PatternPart) -> Vec<usize> {
        let accepted = |(glob, states): &(&Glob, &Option<(PatternStates, Vec<PatternStates>)>)| {
            let (Some(pattern), Some((found, excluded))) = (&glob.pattern, states) else { return false };
            pattern.matches_in(found, name)
                && !glob.exclude.iter().zip(excluded).any(|(out, states)| out.matches_in(states, name))
        };
        self.all.iter().zip(&states.0).enumerate().filter(|(_, both)| accepted(both)).map(|(index, _)| index).collect()
    }

    fn indexes(&self, accepts: impl Fn(&Glob, &Pattern) -> bool) -> Vec<usize> {
        let accepted = |glob: &Glob| glob.pattern.as_ref().is_some_and(|pattern| accepts(glob, pattern));
        self.all.iter().enumerate().filter(|(_, glob)| accepted(glob)).map(|(index, _)| index).collect()
    }

    /// Returns whether any of them can match something.
    pub(super) fn find_something(&self) -> bool {
        self.all.iter().any(|glob| glob.pattern.is_some())
    }

    /// Checks the folders that the globs name. A vanished folder is not the same as an empty one.
    pub(super) fn check_bases(&self, root: &Root, walk: &mut Walk) {
        for (index, glob) in self.all.iter().enumerate() {
            for base in glob.pattern.iter().flat_map(Pattern::base_folders) {
                let hint = "create the folder, or mend the glob's `path`";
                let (wrong, hint) = match root.resolve(&root.join(&base)) {
                    Ok(Ok(real)) => match root.other_case(&base, &real) {
                        Some(actual) => (
                            format!("the folder `{base}` is named `{actual}` on disk; upper and lower case differ"),
                            hint,
                        ),
                        None if real.is_dir() => continue,
                        None => (format!("`{base}` isn't a folder"), hint),
                    },
                    // The walk meets the link itself.
                    Ok(Err(Barred::Outside)) => continue,
                    Ok(Err(Barred::Guarded)) => (
                        format!("`{base}` lies in a folder of git's or Macadam's own"),
                        "no assets are taken from there",
                    ),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        walk.missing.push(MissingFolder { glob: glob.name.clone(), folder: base });
                        continue;
                    }
                    Err(error) => (format!("cannot read the folder `{base}`: {error}"), remedy(&error).unwrap_or(hint)),
                };
                let message = format!("glob `{}`: {wrong}", glob.name);
                walk.problems.push(WalkProblem {
                    path: base,
                    globs: vec![index],
                    incomplete: true,
                    problem: problem(FileProblemKind::NotAFile, message, Some(hint)),
                });
            }
        }
    }
}

/// How far each glob, and each of its exclusions, comes with the folders on the way to a file.
pub(super) struct GlobStates(Vec<Option<(PatternStates, Vec<PatternStates>)>>);

/// The extension of a name or pattern, without the dot.
fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, extension)| extension).filter(|extension| !extension.is_empty())
}
