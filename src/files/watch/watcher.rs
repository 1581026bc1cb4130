//! The thread behind the watch: it keeps every folder armed that the manifest needs, and turns the
//! system's events into hints.
//!
//! Linux watches folders one by one, and the watcher arms them itself, never through the system's
//! library. So it knows which ones are armed, excluded folders cost nothing, and a new folder is
//! armed before its hints. Windows and macOS watch a whole tree at once, so there one watch of the
//! project covers its folders: on Windows a watch of a folder keeps everyone from renaming the
//! folders above it. The watcher doesn't trust events about folders: whatever happens to one, it
//! surveys the disk again.
//!
//! It must never read a file's content, and never wait for a timer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::hints::HintSink;
use super::queue::{EventBatch, Queue, Raw, WatchCommand};
use super::targets::{Meaning, Meanings};
use super::watched_folders::{Armed, Map, Wanted, WatchPlace, survey};
use super::{Degraded, Rescan, WatchTargets};
use crate::files::debounce::ChangeKind;
use crate::files::open::Root;
use crate::model::file::Fingerprint;
use crate::model::path::is_guarded;
use crate::platform::{fingerprint, mount};

/// Whether the system can watch a folder with all that is below it.
const WATCHES_TREES: bool = cfg!(any(windows, target_os = "macos"));

/// Whether the system tells all that happened to a path at once and in no order: that it appeared
/// and left, or that it has one of the two names of a rename.
const COALESCES: bool = cfg!(target_os = "macos");

/// A watch on a folder.
struct Watch {
    /// The folder's device and inode. Another folder of the same name has others.
    identity: (u64, u64),
    stale: bool,
    /// Whether the watch of the project's folder reports its events.
    is_covered: bool,
}

pub(super) struct WatchLoop {
    queue: Arc<Queue>,
    sink: HintSink,
    targets: WatchTargets,
    wanted: Wanted,
    meanings: Meanings,
    watches: Watches,
    map: Map,
    rootless: bool,
}

/// The effect of a batch of events.
#[derive(Default)]
struct EventFindings {
    survey: bool,
    /// Something happened to an armed folder.
    is_stale: bool,
    /// Paths that were renamed into place: no program is writing the files in there.
    moved: BTreeSet<PathBuf>,
}

impl WatchLoop {
    /// Arms everything. Gives no hints, since the caller scans everything anyway.
    pub(super) fn new(queue: Arc<Queue>, sink: HintSink, targets: WatchTargets) -> Self {
        let wanted = Wanted::new(&targets.selection);
        let meanings = Meanings::of(&targets);
        let watches = Watches::new(queue.clone());
        let mut watch_loop =
            Self { queue, sink, targets, wanted, meanings, watches, map: Map::default(), rootless: false };
        let degraded = watch_loop.survey();
        watch_loop.sink.set_degraded(degraded);
        watch_loop.map.fresh = Vec::new();
        watch_loop
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.queue.clone().wait() {
            self.handle(batch);
        }
    }

    fn handle(&mut self, batch: EventBatch) {
        let EventBatch { events, lost, commands } = batch;
        let mut findings = EventFindings::default();
        if let Some(reason) = lost {
            // Folders may also have appeared or left.
            self.watches = Watches::new(self.queue.clone());
            self.resurvey(&findings, false);
            self.sink.rescan(reason);
        }
        for event in events {
            self.note(event, &mut findings);
        }
        if findings.survey {
            self.resurvey(&findings, true);
        }
        for command in commands {
            let done = match command {
                WatchCommand::Retarget(targets, done) => {
                    self.wanted = Wanted::new(&targets.selection);
                    self.targets = *targets;
                    self.resurvey(&EventFindings::default(), false);
                    done
                }
                WatchCommand::Recheck(done) => {
                    self.resurvey(&EventFindings::default(), true);
                    done
                }
            };
            let _caller_is_gone = done.send(()).is_err();
        }
    }

    /// Surveys again. If `report`, it reports new and vanished files. It always reports when the
    /// watch became worse or better.
    fn resurvey(&mut self, findings: &EventFindings, report: bool) {
        self.meanings = Meanings::of(&self.targets);
        if self.watches.system.is_err() {
            self.watches = Watches::new(self.queue.clone());
        }
        let before = std::mem::take(&mut self.map);
        let degraded = self.survey();
        let fresh = std::mem::take(&mut self.map.fresh);
        if self.sink.shared().degraded() != degraded {
            self.sink.set_degraded(degraded);
            self.sink.rescan(Rescan::Degraded);
        }
        let gone = |(folder, places): (&PathBuf, &Vec<WatchPlace>)| {
            let now = self.map.folders.get(folder);
            places.iter().any(|place| now.is_none_or(|now| !now.contains(place)))
        };
        if !report {
            return;
        }
        if findings.is_stale || before.folders.iter().any(gone) {
            self.sink.rescan(Rescan::FolderGone);
        }
        for (real, path) in fresh {
            let moved = real.ancestors().any(|place| findings.moved.contains(place));
            self.sink.found(path, if moved { ChangeKind::Closed } else { ChangeKind::Created });
        }
    }

    /// Arms exactly the needed folders. Returns what keeps the watch from being complete.
    fn survey(&mut self) -> Option<Degraded> {
        let watches = &mut self.watches;
        let root = Root::new(&self.targets.root);
        watches.begin(root.as_ref().ok().map(|root| root.join("").components().collect()));
        for folder in self.meanings.folders() {
            watches.arm(folder);
        }
        match root {
            Ok(root) => {
                self.rootless = false;
                self.map = survey(&root, &self.wanted, &mut |folder| watches.arm(folder));
            }
            Err(_) => {
                self.rootless = true;
                self.map = Map::default();
                // If the project comes back, something happens in its nearest existing parent.
                let above = self.targets.root.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
                if let Some(folder) = &above {
                    watches.arm(folder);
                }
                if Root::new(&self.targets.root).is_ok() {
                    // It came back before the parent was armed.
                    return self.survey();
                }
            }
        }
        let blocked = watches.end();
        let missing = self.rootless.then(|| Degraded::RootMissing { root: self.targets.root.clone() });
        missing.or(blocked)
    }

    fn note(&mut self, event: Raw, findings: &mut EventFindings) {
        let Raw { path, kind } = event;
        let kind = if COALESCES { as_found(kind, path.symlink_metadata().is_ok()) } else { kind };
        match self.meanings.of_path(&path) {
            Some(Meaning::Own) => return,
            // A close follows where the system reports one.
            Some(Meaning::Manifest | Meaning::Lockfile) if kind == ChangeKind::Written && cfg!(target_os = "linux") => {
                return;
            }
            Some(Meaning::Manifest) => return self.sink.manifest(path),
            Some(Meaning::Lockfile) => return self.sink.lockfile(path),
            Some(Meaning::Git) => return self.sink.git(),
            None => {}
        }
        if self.watches.is_armed(&path) {
            if !matches!(kind, ChangeKind::Touched | ChangeKind::Written) {
                self.watches.mark_stale(&path);
                (findings.survey, findings.is_stale) = (true, true);
                findings.moved.extend((kind == ChangeKind::Closed).then_some(path));
            }
            return;
        }
        let appeared = matches!(kind, ChangeKind::Created | ChangeKind::Closed | ChangeKind::Touched);
        findings.survey |= self.rootless && appeared;
        findings.survey |= kind == ChangeKind::Removed && self.map.links.contains(&path);
        for target in self.map.targets.get(&path).into_iter().flatten() {
            self.sink.changed(target.clone(), kind);
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return;
        };
        let places: Vec<WatchPlace> =
            self.map.folders.get(folder).into_iter().flatten().map(|place| place.join(name)).collect();
        let found = if appeared && !places.is_empty() { path.symlink_metadata().ok() } else { None };
        if found.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            if !is_guarded(name) && places.iter().any(|place| self.wanted.reaches(place)) {
                findings.survey = true;
                findings.moved.extend((kind == ChangeKind::Closed).then_some(path));
            }
            return;
        }
        let is_link = found.is_some_and(|found| found.is_symlink());
        // A link is never written piece by piece. The survey covers its target.
        findings.survey |= is_link;
        let kind = if is_link { ChangeKind::Closed } else { kind };
        for path in places.iter().filter_map(|place| self.wanted.file(place)) {
            self.sink.changed(path, kind);
        }
    }
}

impl Drop for WatchLoop {
    fn drop(&mut self) {
        // A caller that waits for a command must not wait forever.
        self.queue.close();
    }
}

/// The system's watches, and their folders.
struct Watches {
    system: Result<RecommendedWatcher, Degraded>,
    armed: BTreeMap<PathBuf, Watch>,
    /// The folders that the current survey wants.
    wanted: BTreeSet<PathBuf>,
    /// The project's folder, where the system watches it with all that is below it.
    tree: Option<PathBuf>,
    /// The network file system of each device, looked up once for each survey.
    devices: BTreeMap<u64, Option<&'static str>>,
    blocked: Option<Degraded>,
}

impl Watches {
    fn new(queue: Arc<Queue>) -> Self {
        let callback = move |event| queue.push(event);
        let config = notify::Config::default().with_follow_symlinks(false);
        let system = RecommendedWatcher::new(callback, config).map_err(|error| Degraded::of(&error));
        let (armed, wanted, devices) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { system, armed, wanted, tree: None, devices, blocked: None }
    }

    fn is_armed(&self, folder: &Path) -> bool {
        self.armed.contains_key(folder)
    }

    /// Marks the watches of the folder and of those below as stale: after an event of the folder
    /// the system may have dropped them.
    fn mark_stale(&mut self, folder: &Path) {
        let below = self.armed.range_mut(folder.to_owned()..).take_while(|(path, _)| path.starts_with(folder));
        below.for_each(|(_, watch)| watch.stale = true);
    }

    fn disarm(&mut self, folder: &Path) {
        let has_own = self.armed.remove(folder).is_some_and(|watch| !watch.is_covered);
        if let Ok(system) = &mut self.system
            && has_own
        {
            // The watch ends by itself when the folder is gone.
            drop(system.unwatch(folder));
        }
    }

    /// Begins a survey of the project's folder, if there is one.
    fn begin(&mut self, root: Option<PathBuf>) {
        self.wanted.clear();
        self.devices.clear();
        self.blocked = None;
        self.tree = root.filter(|_| WATCHES_TREES);
        if let Some(tree) = self.tree.clone() {
            // Before all that it covers.
            self.arm(&tree);
        }
    }

    /// Returns whether the watch of the project's folder reports what happens in this one.
    fn is_covered(&self, folder: &Path) -> bool {
        self.tree.as_ref().is_some_and(|tree| folder != tree && folder.starts_with(tree) && self.is_armed(tree))
    }

    fn arm(&mut self, folder: &Path) -> Armed {
        let Ok(metadata) = folder.symlink_metadata() else { return Armed::Not };
        let Fingerprint { inode, device, .. } = fingerprint::at(folder, &metadata);
        self.wanted.insert(folder.to_owned());
        let network = *self.devices.entry(device).or_insert_with(|| mount::network(folder));
        if let Some(kind) = network {
            let folder = || folder.to_owned();
            self.blocked.get_or_insert_with(|| Degraded::Network { folder: folder(), kind });
        }
        let identity = (device, inode);
        let (is_tree, is_covered) = (self.tree.as_deref() == Some(folder), self.is_covered(folder));
        match self.armed.get(folder) {
            Some(watch) if watch.identity != identity => {
                if is_tree {
                    self.mark_stale(folder);
                }
                self.disarm(folder);
            }
            Some(watch) if !watch.stale && watch.is_covered == is_covered => return Armed::Before,
            // Armed again without a gap where the watch still exists.
            Some(_) | None => {}
        }
        if is_covered {
            self.disarm(folder);
            self.armed.insert(folder.to_owned(), Watch { identity, stale: false, is_covered });
            return Armed::Now;
        }
        // Each further attempt would fail in the same way.
        let full = matches!(self.blocked, Some(Degraded::Limit));
        let Ok(system) = self.system.as_mut().map_err(|_| ()) else { return Armed::Not };
        if full {
            return Armed::Not;
        }
        let mode = if is_tree { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        match system.watch(folder, mode) {
            Ok(()) => {
                self.armed.insert(folder.to_owned(), Watch { identity, stale: false, is_covered });
                Armed::Now
            }
            Err(error) => {
                self.armed.remove(folder);
                if !is_harmless(&error) {
                    self.blocked = Some(Degraded::of(&error));
                }
                Armed::Not
            }
        }
    }

    /// Disarms the folders that the survey didn't want.
    fn end(&mut self) -> Option<Degraded> {
        let spare: Vec<PathBuf> = self.armed.keys().filter(|folder| !self.wanted.contains(*folder)).cloned().collect();
        spare.iter().for_each(|folder| self.disarm(folder));
        self.system.as_ref().err().cloned().or_else(|| self.blocked.take())
    }
}

/// Returns what an event means whose path is there now, or isn't.
const fn as_found(kind: ChangeKind, is_there: bool) -> ChangeKind {
    match (kind, is_there) {
        (_, false) => ChangeKind::Removed,
        // A program may still write it.
        (ChangeKind::Removed, true) => ChangeKind::Created,
        (_, true) => kind,
    }
}

/// Returns whether the folder just vanished or must not be read. The walk reports that.
fn is_harmless(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_no_order_is_what_the_disk_has() {
        use ChangeKind::{Closed, Created, Removed, Touched, Written};

        for kind in [Created, Written, Closed, Touched, Removed] {
            assert_eq!(as_found(kind, false), Removed);
        }
        for (kind, expected) in [(Created, Created), (Written, Written), (Touched, Touched), (Removed, Created)] {
            assert_eq!(as_found(kind, true), expected);
        }
    }

    /// On Windows nobody could rename a folder above one with a watch of its own.
    #[test]
    #[cfg(any(windows, target_os = "macos"))]
    fn only_the_projects_folder_has_a_watch_of_its_own() {
        use crate::files::tests_support::Folder;
        use crate::model::desired::{FileSelection, GlobPattern};

        let folder = Folder::with(&[("assets.toml", b""), (".git/HEAD", b""), ("ui/deep/a.png", b"")]);
        let root = folder.path().to_owned();
        let globs = vec![GlobPattern { name: "g".into(), path: "ui/**/*.png".into(), exclude: Vec::new() }];
        let targets = WatchTargets {
            manifest: root.join("assets.toml"),
            rehearsal_pins: None,
            lockfile: root.join("assets.lock.toml"),
            selection: FileSelection { explicit: Vec::new(), globs },
            git: Some(root.join(".git")),
            own: Vec::new(),
            root: root.clone(),
        };
        let watch_loop = WatchLoop::new(Arc::new(Queue::new(100)), super::super::hints().0, targets);
        let root = root.canonicalize().unwrap();
        let armed: Vec<(&Path, bool)> =
            watch_loop.watches.armed.iter().map(|(path, watch)| (path.as_path(), watch.is_covered)).collect();
        let below = [".git", "ui", "ui/deep"].map(|name| root.join(name));
        let mut expected = vec![(root.as_path(), false)];
        expected.extend(below.iter().map(|path| (path.as_path(), true)));
        assert_eq!(armed, expected);
    }
}
