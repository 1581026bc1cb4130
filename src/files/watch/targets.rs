//! What is watched for a project, and what a path outside its assets means.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::model::desired::FileSelection;

/// The files in git's folder that tell that it is in the middle of something, or that it has ended:
/// each appears, vanishes or is replaced then (git's Documentation/gitrepository-layout.adoc;
/// wt-status.c, `wt_status_get_state`).
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

/// What to watch. All paths are absolute, or relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchTargets {
    /// The manifest's folder.
    pub root: PathBuf,
    /// The manifest.
    pub manifest: PathBuf,
    /// The lockfile, whether it is there or not.
    pub lockfile: PathBuf,
    /// The assets' files.
    pub selection: FileSelection,
    /// Git's own folder of this checkout; in a worktree the one of the worktree.
    pub git: Option<PathBuf>,
    /// Files and folders that only Macadam writes: the outputs, the state. Nothing in them is a
    /// hint. `.macadam` folders need not be named.
    pub own: Vec<PathBuf>,
}

/// What a path means besides being an asset's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Manifest,
    Lockfile,
    Git,
    Own,
}

/// The meanings of paths as the system spells them: with links resolved.
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
        fixed.extend(places(&targets.manifest).map(|place| (place, Meaning::Manifest)));
        Self { fixed, git: targets.git.as_ref().and_then(|git| git.canonicalize().ok()) }
    }

    /// The folders that must be watched for these.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        let told = self.fixed.iter().filter(|(_, meaning)| **meaning != Meaning::Own);
        told.filter_map(|(place, _)| place.parent()).chain(self.git.as_deref())
    }

    pub(super) fn of_path(&self, path: &Path) -> Option<Meaning> {
        if let Some(meaning) = self.fixed.get(path) {
            return Some(*meaning);
        }
        if self.git.is_some() && path.parent() == self.git.as_deref() {
            let told = path.file_name().is_some_and(|name| GIT_FILES.iter().any(|file| name == OsStr::new(file)));
            // Nothing else in there is anybody's asset.
            return Some(if told { Meaning::Git } else { Meaning::Own });
        }
        let within = path.ancestors().skip(1).any(|folder| self.fixed.get(folder) == Some(&Meaning::Own));
        (within || self.is_temporary(path)).then_some(Meaning::Own)
    }

    /// What `platform::atomic_file` writes before it replaces a file: `.NAME.XXXXXX.tmp` beside it.
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

/// Where events of a file are told: at its own place, and at the one that it leads to as a link.
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
