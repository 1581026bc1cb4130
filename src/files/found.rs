//! What the walk found, and what kept it from finding more.
//!
//! An incomplete list must never look like a complete one, or files would seem to be removed.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::file::{FileProblem, FileProblemKind};
use crate::model::path::ProjectPath;

/// The files that the manifest names, and everything that kept the list from being complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// Files that globs match, and the paths of explicit entries whether or not the file exists.
    /// Each has the indexes into [`FileSelection::globs`](crate::model::desired::FileSelection::globs)
    /// of all globs that match.
    pub files: BTreeMap<ProjectPath, Vec<usize>>,
    /// Wanted files that can't be reached ([`keep_behind_links`](super::keep_behind_links)), so it
    /// is unknown whether they exist.
    pub unreachable: BTreeMap<ProjectPath, FileProblem>,
    /// Places that could not be read, in the order of their paths.
    pub problems: Vec<WalkProblem>,
    /// Folders that globs name and that don't exist, in the order of the globs. This is not a
    /// mistake: git keeps no empty folders, so deleting the last file removes its folder. But an
    /// unmounted folder looks the same, so none of its files may count as removed.
    pub missing: Vec<MissingFolder>,
    /// Files that globs would find if their extensions were written as in the pattern, such as
    /// `B.PNG`, in the order of their paths.
    pub other_case: Vec<String>,
}

impl Walk {
    /// The globs of which a place could not be read.
    pub fn unread_globs(&self) -> BTreeSet<usize> {
        self.problems.iter().flat_map(|problem| &problem.globs).copied().collect()
    }
}

/// A folder that a glob names and that doesn't exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFolder {
    /// The glob's key.
    pub glob: String,
    /// The folder, relative to the manifest's folder.
    pub folder: String,
}

/// A place that the walk could not read, and that is not a file of [`Walk::files`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkProblem {
    /// The path relative to the manifest's folder. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The indexes into [`FileSelection::globs`](crate::model::desired::FileSelection::globs) of the affected globs.
    pub globs: Vec<usize>,
    /// Whether files of these globs may be missing from [`Walk::files`], so that none of them may
    /// count as removed. False when the problem affects only the one file at `path`.
    pub incomplete: bool,
    /// The problem.
    pub problem: FileProblem,
}

/// A problem of a place.
pub(super) fn problem(kind: FileProblemKind, message: String, hint: Option<&str>) -> FileProblem {
    FileProblem::new(kind, message, hint)
}
