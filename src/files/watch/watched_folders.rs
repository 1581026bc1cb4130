//! Finds the folders to watch: those that the walk would enter, the folders of explicit entries,
//! and the targets of links. Also says which asset a name in one of them is.
//!
//! The walk's own rules decide (`globs::Globs`, `walk::follow`), so exactly the files that it finds
//! are watched. Each folder is armed before it is read, so the watch reports what appears in
//! between.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirEntry, Metadata};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::files::globs::Globs;
use crate::files::open::Root;
use crate::files::pattern::PatternPart;
use crate::files::walk;
use crate::model::desired::FileSelection;
use crate::model::path::{ProjectPath, composed, is_guarded};

/// The files that the manifest names, ready to match.
pub(super) struct Wanted {
    globs: Globs,
    /// The files that the manifest names one by one, by their names in NFC.
    explicit: BTreeMap<String, ProjectPath>,
}

impl Wanted {
    pub(super) fn new(selection: &FileSelection) -> Self {
        // The walk reports invalid patterns.
        let globs = Globs::new(&selection.globs, &mut Vec::new());
        let named = |path: &ProjectPath| (composed(path.as_str()).into_owned(), path.clone());
        Self { globs, explicit: selection.explicit.iter().map(named).collect() }
    }

    /// Returns the file's path, if the manifest names it.
    pub(super) fn file(&self, place: &WatchPlace) -> Option<ProjectPath> {
        let path = ProjectPath::new(&place.path).ok()?;
        let named = self.explicit.get(composed(&place.path).as_ref());
        if named == Some(&path) || !self.globs.matching(&place.parts).is_empty() {
            return Some(path);
        }
        // macOS tells a name as the disk has it, whose accents may be in another form than the
        // manifest's, and opens the file by either.
        named.cloned()
    }

    /// Returns whether the manifest names files below the folder.
    pub(super) fn reaches(&self, place: &WatchPlace) -> bool {
        !self.globs.reaching(&place.parts).is_empty() || self.names_below(&place.path)
    }

    fn names_below(&self, folder: &str) -> bool {
        let folder = format!("{}/", composed(folder));
        let mut after = self.explicit.range((Bound::Included(folder.clone()), Bound::Unbounded));
        after.next().is_some_and(|(path, _)| path.starts_with(&folder))
    }
}

/// A place in the project, as the manifest would name it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WatchPlace {
    path: String,
    parts: Vec<PatternPart>,
}

impl WatchPlace {
    /// Returns the place of an entry in this folder.
    pub(super) fn join(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        let mut parts = self.parts.clone();
        parts.push(PatternPart::new(name));
        Self { path, parts }
    }

    /// Returns the same place as a link to a folder.
    fn into_link(mut self) -> Self {
        let last = self.parts.pop().map(PatternPart::into_link);
        self.parts.extend(last);
        self
    }
}

/// The result of a survey.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// The real folders, and every place in the project at which each appears. A folder that only
    /// holds targets of links has no place.
    pub(super) folders: BTreeMap<PathBuf, Vec<WatchPlace>>,
    /// The real files that links in the project lead to.
    pub(super) targets: BTreeMap<PathBuf, BTreeSet<ProjectPath>>,
    /// The links themselves.
    pub(super) links: BTreeSet<PathBuf>,
    /// The files in newly armed folders, with their real places.
    pub(super) fresh: Vec<(PathBuf, ProjectPath)>,
}

/// Whether a folder is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Armed {
    /// Since an earlier survey.
    Before,
    Now,
    /// The folder can't be watched; its files may still be found.
    Not,
}

struct SurveyStart {
    real: PathBuf,
    place: WatchPlace,
    /// The real folders that led here through links.
    trail: Vec<PathBuf>,
}

/// Goes through the folders below `root`, and passes each to `arm` first.
pub(super) fn survey(root: &Root, wanted: &Wanted, arm: &mut dyn FnMut(&Path) -> Armed) -> Map {
    let mut map = Map::default();
    let mut starts = vec![SurveyStart {
        real: root.join("").components().collect(),
        place: WatchPlace::default(),
        trail: Vec::new(),
    }];
    while let Some(start) = starts.pop() {
        let armed = arm(&start.real);
        // The walk reports folders that can't be read.
        for entry in start.real.read_dir().into_iter().flatten().flatten() {
            visit(root, wanted, &start, &entry, armed, arm, &mut map, &mut starts);
        }
        map.folders.entry(start.real).or_default().push(start.place);
    }
    map
}

#[expect(clippy::too_many_arguments, reason = "one step of the loop above, with all that it works on")]
fn visit(
    root: &Root,
    wanted: &Wanted,
    start: &SurveyStart,
    entry: &DirEntry,
    armed: Armed,
    arm: &mut dyn FnMut(&Path) -> Armed,
    map: &mut Map,
    starts: &mut Vec<SurveyStart>,
) {
    let name = entry.file_name();
    let (Some(name), Ok(kind)) = (name.to_str(), entry.file_type()) else { return };
    let (place, real) = (start.place.join(name), start.real.join(name));
    if kind.is_dir() {
        if !is_guarded(name) && wanted.reaches(&place) {
            starts.push(SurveyStart { real, place, trail: start.trail.clone() });
        }
    } else if kind.is_symlink() {
        let target = real.metadata();
        if target.as_ref().is_ok_and(Metadata::is_dir) {
            let place = place.into_link();
            if wanted.reaches(&place) {
                if let (Ok(trail), Ok(target)) = (walk::follow(root, &start.trail, &real), real.canonicalize()) {
                    starts.push(SurveyStart { real: target, place, trail });
                }
                map.links.insert(real);
            }
        } else if let Some(path) = wanted.file(&place) {
            if let Ok(Ok(target)) = root.resolve(&real) {
                if let Some(folder) = target.parent() {
                    arm(folder);
                    map.folders.entry(folder.to_owned()).or_default();
                }
                map.targets.entry(target).or_default().insert(path.clone());
            }
            map.links.insert(real.clone());
            if armed == Armed::Now {
                map.fresh.push((real, path));
            }
        }
    } else if armed == Armed::Now
        && let Some(path) = wanted.file(&place)
    {
        map.fresh.push((real, path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(explicit: &str) -> Wanted {
        Wanted::new(&FileSelection { explicit: vec![ProjectPath::new(explicit).unwrap()], globs: Vec::new() })
    }

    fn place(path: &str) -> WatchPlace {
        path.split('/').fold(WatchPlace::default(), |place, name| place.join(name))
    }

    #[test]
    fn a_name_with_accents_is_the_manifests_in_either_form() {
        let (composed, decomposed) = ("ui/caf\u{e9}/b.png", "ui/cafe\u{301}/b.png");
        for (manifest, disk) in [(composed, decomposed), (decomposed, composed), (composed, composed)] {
            let wanted = wanted(manifest);
            assert_eq!(wanted.file(&place(disk)).unwrap().as_str(), manifest, "{disk}");
            assert!(wanted.reaches(&place(disk.strip_suffix("/b.png").unwrap())), "{disk}");
        }
        assert_eq!(wanted(composed).file(&place("ui/cafe/b.png")), None);
        assert!(!wanted(composed).reaches(&place("ui/cafe")) && !wanted("ui/ab.png").reaches(&place("ui/a")));
    }
}
