//! The places to watch for a project, and the meaning of paths that are not assets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::model::desired::FileSelection;

/// The files in git's folder that show that an operation started or ended: git creates, removes or
/// replaces them then (git's Documentation/gitrepository-layout.adoc; wt-status.c,
/// `wt_status_get_state`).
const GIT_FILES: [&str; 9] = [
    "HEAD",
    "index",
    "index.lock",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
    "sequencer",
];

/// The places to watch. All paths are absolute, or relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchTargets {
    /// The manifest's folder.
    pub root: PathBuf,
    /// The manifest.
    pub manifest: PathBuf,
    /// The file with the pins of a rehearsal, which belong to the manifest then.
    pub rehearsal_pins: Option<PathBuf>,
    /// The lockfile, whether or not it exists.
    pub lockfile: PathBuf,
    /// The assets' files.
    pub selection: FileSelection,
    /// Git's own folder of this checkout; in a worktree that of the worktree.
    pub git: Option<PathBuf>,
    /// Files and folders that only Macadam writes: the outputs and the state. They give no hints.
    /// `.macadam` folders need not be named.
    pub own: Vec<PathBuf>,
}

/// The meaning of a path that is not an asset's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Manifest,
    Lockfile,
    Git,
    Own,
}

/// The meanings of paths as the system spells them, with links resolved.
#[derive(Debug, Default)]
pub(super) struct Meanings {
    fixed: BTreeMap<PathBuf, Meaning>,
    git: Option<PathBuf>,
}

impl Meanings {
    pub(super) fn of(targets: &WatchTargets) -> Self {
        let mut fixed = BTreeMap::new();
        for own in &targets.own {
            fixed.extend(places(own).map(|place| (place, Meaning::Own)));
        }
        fixed.extend(places(&targets.lockfile).map(|place| (place, Meaning::Lockfile)));
        let manifest = std::iter::once(&targets.manifest).chain(&targets.rehearsal_pins);
        fixed.extend(manifest.flat_map(|path| places(path)).map(|place| (place, Meaning::Manifest)));
        Self { fixed, git: targets.git.as_ref().and_then(|git| git.canonicalize().ok()) }
    }

    /// Returns the folders that must be watched for these paths.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        let watched = self.fixed.iter().filter(|(_, meaning)| **meaning != Meaning::Own);
        watched.filter_map(|(place, _)| place.parent()).chain(self.git.as_deref())
    }

    pub(super) fn of_path(&self, path: &Path) -> Option<Meaning> {
        if let Some(meaning) = self.fixed.get(path) {
            return Some(*meaning);
        }
        if self.git.is_some() && path.parent() == self.git.as_deref() {
            let watched = path.file_name().is_some_and(|name| GIT_FILES.iter().any(|file| name == OsStr::new(file)));
            // Nothing else in git's folder is an asset.
            return Some(if watched { Meaning::Git } else { Meaning::Own });
        }
        let within = path.ancestors().skip(1).any(|folder| self.fixed.get(folder) == Some(&Meaning::Own));
        (within || self.is_temporary(path)).then_some(Meaning::Own)
    }

    /// Matches the temporary files that `platform::atomic_file` writes before it replaces a file:
    /// `.NAME.RANDOM.tmp` beside it.
    fn is_temporary(&self, path: &Path) -> bool {
        let name = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
        let Some(own) = name(path).filter(|name| name.starts_with('.') && name.ends_with(".tmp")) else { return false };
        let beside = self.fixed.keys().filter(|place| place.parent() == path.parent());
        beside.filter_map(|place| name(place)).any(|name| {
            own.strip_prefix('.')
                .and_then(|own| own.strip_prefix(name.as_str()))
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }
}

/// Returns the places where the system reports events of a file: its own, and its target if it is a
/// link.
fn places(path: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let own = path.file_name().and_then(|name| Some(folder.canonicalize().ok()?.join(name)));
    own.into_iter().chain(path.canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::Folder;

    #[test]
    fn paths_mean_what_the_targets_say() {
        let folder =
            Folder::with(&[("assets.toml", b""), (".git/HEAD", b""), ("out/ids.luau", b""), ("state/x.db", b"")]);
        let root = folder.path().canonicalize().unwrap();
        let targets = WatchTargets {
            root: root.clone(),
            manifest: root.join("assets.toml"),
            rehearsal_pins: None,
            lockfile: root.join("assets.lock.toml"),
            selection: FileSelection::default(),
            git: Some(root.join(".git")),
            own: vec![root.join("out/ids.luau"), root.join("state")],
        };
        let meanings = Meanings::of(&targets);
        let check = |path: &str, expected: Option<Meaning>| {
            assert_eq!(meanings.of_path(&root.join(path)), expected, "{path}");
        };
        check("assets.toml", Some(Meaning::Manifest));
        check("assets.lock.toml", Some(Meaning::Lockfile));
        check(".assets.lock.toml.Ab12cd.tmp", Some(Meaning::Own));
        check(".assets.toml.Ab12cd.tmp", Some(Meaning::Own));
        check("out/.ids.luau.Ab12cd.tmp", Some(Meaning::Own));
        check("out/.other.luau.Ab12cd.tmp", None);
        check("out/ids.luau", Some(Meaning::Own));
        check("out/other.luau", None);
        check("state/x.db-wal", Some(Meaning::Own));
        check("state/deep/x", Some(Meaning::Own));
        check(".git/HEAD", Some(Meaning::Git));
        check(".git/index.lock", Some(Meaning::Git));
        check(".git/COMMIT_EDITMSG", Some(Meaning::Own));
        check(".git", None);
        check("ui/a.png", None);
        let folders: Vec<&Path> = meanings.folders().collect();
        assert_eq!(folders, [&*root, &*root, &*root.join(".git")]);
    }
}
