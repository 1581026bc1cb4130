//! What files look like, by their names alone: no file is opened.
//!
//! Read next: [`scan`](mod@super::scan), which reads those that changed.

use std::path::{Path, PathBuf};

use super::open::Root;
use super::share::do_each;
use crate::model::file::Fingerprint;
use crate::model::path::{ProjectPath, is_guarded};
use crate::platform::below::FilesBelow;
use crate::platform::fingerprint;

/// The folder of a file and its name in it.
pub(super) fn folder_and_name(path: &ProjectPath) -> (&str, &str) {
    path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()))
}

/// Returns the fingerprint of the file at `path`, to which no link leads; `None` if there is none.
pub(crate) fn fingerprint_of(root: &Path, path: &ProjectPath) -> Option<Fingerprint> {
    let place = Root::new(root).ok()?.join(path.as_str());
    let metadata = place.symlink_metadata().ok()?;
    (metadata.is_file() && place.canonicalize().ok()? == place).then(|| fingerprint::at(&place, &metadata))
}

/// Returns the files' fingerprints by their names alone, in order; `None` where there is no file that
/// may be read. The links of a folder's path are resolved once for the files in it that follow each
/// other.
pub(super) fn fingerprints(root: &Root, paths: &[&ProjectPath]) -> Vec<Option<Fingerprint>> {
    let below = root.below();
    let below = below.as_ref();
    do_each(paths, |paths| fingerprints_of(root, below, paths))
}

fn fingerprints_of(root: &Root, project: Option<&FilesBelow>, paths: &[&ProjectPath]) -> Vec<Option<Fingerprint>> {
    let mut known: Option<(&str, Option<ReadableFolder>)> = None;
    let mut states = Vec::with_capacity(paths.len());
    for path in paths {
        let (folder, name) = folder_and_name(path);
        if known.as_ref().is_none_or(|(before, _)| *before != folder) {
            known = Some((folder, ReadableFolder::at(root, project, folder)));
        }
        let found = known.as_ref().and_then(|(_, found)| found.as_ref());
        states.push(found.and_then(|found| found.fingerprint(root, name)));
    }
    states
}

/// A folder whose files may be read, its links resolved.
struct ReadableFolder {
    place: PathBuf,
    below: Option<FilesBelow>,
}

impl ReadableFolder {
    /// Resolves a folder of the project; `None` if it can't be reached, or leads out of the project or
    /// into a folder that is never read.
    fn at(root: &Root, project: Option<&FilesBelow>, folder: &str) -> Option<Self> {
        if let Some(below) = project.and_then(|project| project.folder(folder))
            && !folder.split('/').any(is_guarded)
        {
            return Some(Self { place: root.join(folder), below: Some(below) });
        }
        let place = root.resolve(&root.join(folder)).ok()?.ok()?;
        Some(Self { below: FilesBelow::open(&place), place })
    }

    /// Returns the fingerprint of the plain file of this name, or of the one that a link of this name
    /// leads to within the project.
    fn fingerprint(&self, root: &Root, name: &str) -> Option<Fingerprint> {
        let place = || self.place.join(name);
        match &self.below {
            Some(below) => below.fingerprint(name),
            None => fingerprint::of_file(&place()),
        }
        .or_else(|| fingerprint::of_file(&root.resolve(&place()).ok()?.ok()?))
    }
}
