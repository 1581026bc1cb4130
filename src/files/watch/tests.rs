//! Tests with real files in a real folder. They wait for the hints that must come. They never wait
//! for the absence of a hint: a later event shows it.
#![expect(clippy::disallowed_methods, reason = "the tests are the other program that writes files")]

use std::fs;
use std::time::Duration;

use super::*;
use crate::files::debounce::ChangeKind;
use crate::files::tests_support::{Folder, path};
use crate::files::{scan, walk};
use crate::model::desired::{FileSelection, GlobPattern};
use crate::model::file::FileCache;

/// What the system tells last of a file that was written: only Linux tells that it was closed.
const SAVED: &[ChangeKind] = if cfg!(target_os = "linux") {
    &[ChangeKind::Closed]
} else {
    &[ChangeKind::Created, ChangeKind::Written, ChangeKind::Closed]
};

/// Far longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

fn selection(globs: &[&str], explicit: &[&str]) -> FileSelection {
    let glob =
        |pattern: &&str| GlobPattern { name: "g".into(), path: (*pattern).into(), exclude: vec!["**/wip/**".into()] };
    FileSelection {
        explicit: explicit.iter().map(|text| path(text)).collect(),
        globs: globs.iter().map(glob).collect(),
    }
}

fn targets(root: &Path, selection: FileSelection) -> WatchTargets {
    WatchTargets {
        root: root.to_owned(),
        manifest: root.join("assets.toml"),
        rehearsal_pins: None,
        lockfile: root.join("assets.lock.toml"),
        selection,
        git: Some(root.join(".git")),
        own: vec![root.join("ui/out.png")],
    }
}

/// A watched project, and every hint received so far.
struct WatchFixture {
    root: PathBuf,
    watcher: Watcher,
    hints: Hints,
    seen: Vec<Hint>,
    folder: Folder,
}

impl WatchFixture {
    /// Creates the project as a folder in the test's folder, so that it can leave and come back.
    fn new(files: &[&str], globs: &[&str], explicit: &[&str]) -> Self {
        let folder = Folder::with(&[("game/assets.toml", b"")]);
        files.iter().for_each(|file| folder.write(&format!("game/{file}"), b"old"));
        let root = folder.path().join("game");
        let (sink, hints) = hints();
        let watcher = Watcher::start(targets(&root, selection(globs, explicit)), sink).unwrap();
        assert_eq!(watcher.degraded(), None);
        Self { root, watcher, hints, seen: Vec::new(), folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write(&self, name: &str) {
        self.folder.write(&format!("game/{name}"), b"new");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    /// Waits for a hint.
    fn expect(&mut self, hint: &Hint) {
        let mut waited = Duration::ZERO;
        while !self.seen.contains(hint) {
            assert!(waited < PATIENCE, "{hint:?} never came, only {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
            self.seen.extend(self.hints.take());
        }
    }

    fn expect_change(&mut self, name: &str, kind: ChangeKind) {
        self.expect(&Hint::Changed { path: path(name), kind });
    }

    fn expect_saved(&mut self, name: &str) {
        self.expect_any(name, SAVED);
    }

    /// Waits for a file that appeared with its folder. It is reported as still open if it is so
    /// young that it may be.
    fn expect_appearance(&mut self, name: &str) {
        self.expect_any(name, &[ChangeKind::Closed, ChangeKind::Created]);
    }

    fn has_any(&self, name: &str, kinds: &[ChangeKind]) -> bool {
        kinds.iter().any(|kind| self.seen.contains(&Hint::Changed { path: path(name), kind: *kind }))
    }

    fn expect_any(&mut self, name: &str, kinds: &[ChangeKind]) {
        let mut waited = Duration::ZERO;
        while !self.has_any(name, kinds) {
            assert!(waited < PATIENCE, "{name}: {kinds:?} never came, only {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
            self.seen.extend(self.hints.take());
        }
    }

    fn expect_rescan(&mut self, reason: Rescan) {
        self.expect(&Hint::Rescan { reason });
    }

    /// Writes a file again and again until a hint comes: a folder that just appeared is not armed
    /// at once.
    fn write_until_reported(&mut self, name: &str, reported: &str) {
        let mut waited = Duration::ZERO;
        while !self.has_any(reported, SAVED) {
            assert!(waited < PATIENCE, "{name} is not watched, only {:?}", self.seen);
            self.write(name);
            std::thread::sleep(Duration::from_millis(50));
            waited += Duration::from_millis(50);
            self.seen.extend(self.hints.take());
        }
    }

    /// Waits for a change that comes after all others, and returns the earlier hints. Removes the
    /// file, since nothing more comes of one that is gone.
    fn settle(&mut self, last: &str) -> Vec<Hint> {
        self.write(last);
        fs::remove_file(self.at(last)).unwrap();
        self.expect_change(last, ChangeKind::Removed);
        let mut seen = std::mem::take(&mut self.seen);
        seen.retain(|hint| !matches!(hint, Hint::Changed { path, .. } if path.as_str() == last));
        seen
    }

    fn forget(&mut self) {
        self.seen.clear();
    }
}

#[test]
fn every_way_to_save_a_file_gives_a_hint() {
    let mut fixture = WatchFixture::new(&["ui/a.png", "ui/b.png"], &["ui/**/*.png"], &["one/x.mp3"]);
    // Truncated and written.
    fixture.write("ui/a.png");
    fixture.expect_saved("ui/a.png");
    // Written beside and renamed.
    fixture.forget();
    fixture.write("ui/.a.png.swp");
    fixture.write("ui/a.png~");
    fixture.rename("ui/.a.png.swp", "ui/a.png");
    fixture.expect_saved("ui/a.png");
    let others =
        fixture.seen.iter().filter(|hint| !matches!(hint, Hint::Changed { path: of, .. } if *of == path("ui/a.png")));
    assert_eq!(others.count(), 0, "{:?}", fixture.seen);
    // Created, renamed, removed.
    fixture.write("ui/c.png");
    fixture.expect_saved("ui/c.png");
    fixture.rename("ui/c.png", "ui/d.png");
    fixture.expect_change("ui/c.png", ChangeKind::Removed);
    fixture.expect_saved("ui/d.png");
    fs::remove_file(fixture.at("ui/b.png")).unwrap();
    fixture.expect_change("ui/b.png", ChangeKind::Removed);
    // An explicit entry, in a folder that did not exist.
    fixture.write("one/y.mp3");
    fixture.write_until_reported("one/x.mp3", "one/x.mp3");
    assert!(
        !fixture.seen.iter().any(|hint| matches!(hint, Hint::Changed { path: of, .. } if *of == path("one/y.mp3")))
    );
}

#[test]
fn an_unfinished_write_is_reported() {
    use std::io::Write as _;

    let mut fixture = WatchFixture::new(&["ui/a.png"], &["ui/*.png"], &[]);
    let mut file = fs::OpenOptions::new().append(true).open(fixture.at("ui/a.png")).unwrap();
    file.write_all(b"more").unwrap();
    // Windows tells of a write when the file is closed, or at any time before.
    if cfg!(target_os = "linux") {
        fixture.expect_change("ui/a.png", ChangeKind::Written);
    }
    drop(file);
    fixture.expect_saved("ui/a.png");
}

#[test]
fn folders_that_appear_move_and_vanish_are_followed() {
    let mut fixture = WatchFixture::new(&["z.png"], &["ui/**/*.png", "*.png"], &[]);
    fixture.write_until_reported("ui/deep/er/a.png", "ui/deep/er/a.png");

    fixture.forget();
    fixture.rename("ui/deep", "ui/moved");
    fixture.expect_rescan(Rescan::FolderGone);
    fixture.expect_appearance("ui/moved/er/a.png");
    fixture.write_until_reported("ui/moved/er/b.png", "ui/moved/er/b.png");

    // Away and back again, before the watcher can notice.
    fixture.forget();
    for _ in 0..20 {
        fixture.rename("ui/moved", "ui/deep");
        fixture.rename("ui/deep", "ui/moved");
    }
    fixture.settle("z.png");
    fixture.write_until_reported("ui/moved/er/c.png", "ui/moved/er/c.png");

    fixture.forget();
    fs::remove_dir_all(fixture.at("ui")).unwrap();
    fixture.expect_rescan(Rescan::FolderGone);
    fixture.write_until_reported("ui/moved/er/d.png", "ui/moved/er/d.png");

    // From elsewhere, with all its contents.
    fs::create_dir_all(fixture.folder.path().join("else/x")).unwrap();
    fixture.folder.write("else/x/a.png", b"x");
    fs::rename(fixture.folder.path().join("else"), fixture.at("ui/new")).unwrap();
    fixture.expect_appearance("ui/new/x/a.png");
}

#[test]
fn files_outside_the_manifest_give_no_hint() {
    let mut fixture = WatchFixture::new(
        &["ui/a.png", "ui/wip/a.png", "node_modules/a.png", ".hidden/a.png", ".macadam/a.png", ".git/HEAD", "z.png"],
        &["**/*.png"],
        &[],
    );
    for name in ["ui/wip/a.png", "ui/a.jpg", ".hidden/a.png", ".macadam/a.png", ".git/x.png", "ui/.macadam/x.png"] {
        fixture.write(name);
    }
    assert_eq!(fixture.settle("z.png"), []);
}

#[test]
fn macadams_own_writes_give_no_hint() {
    let mut fixture = WatchFixture::new(&["ui/a.png"], &["**/*", "**/.*"], &[]);
    let save = |fixture: &WatchFixture, name: &str| {
        crate::platform::atomic_file::write_atomic(&fixture.at(name), |file| file.write_all(b"x")).unwrap();
    };
    save(&fixture, "ui/out.png");
    save(&fixture, "assets.lock.toml");
    fixture.watcher.wrote(&fixture.at("assets.lock.toml"));
    save(&fixture, "assets.toml");
    fixture.watcher.wrote(&fixture.at("assets.toml"));
    fixture.write(".macadam/state.db");
    assert_eq!(fixture.settle("ui/a.png"), []);
}

#[test]
fn manifest_lockfile_and_git_have_hints_of_their_own() {
    let mut fixture = WatchFixture::new(&[".git/HEAD"], &["ui/*.png"], &[]);
    fixture.write("assets.toml");
    fixture.expect(&Hint::Manifest);
    fixture.forget();
    fixture.write("new.toml");
    fixture.rename("new.toml", "assets.toml");
    fixture.expect(&Hint::Manifest);
    fixture.forget();
    fs::remove_file(fixture.at("assets.toml")).unwrap();
    fixture.expect(&Hint::Manifest);
    fixture.write("assets.lock.toml");
    fixture.expect(&Hint::Lockfile);
    fixture.write(".git/index.lock");
    fixture.expect(&Hint::Git);
    assert!(!fixture.seen.iter().any(|hint| matches!(hint, Hint::Changed { .. })), "{:?}", fixture.seen);
}

#[test]
fn reading_files_gives_no_hint() {
    let mut fixture = WatchFixture::new(&["ui/a.png", "ui/b.png"], &["ui/*.png"], &[]);
    for name in ["ui/a.png", "ui/b.png"] {
        crate::files::is_whole(&fixture.root, &path(name));
    }
    let walk = walk(&fixture.root, &selection(&["ui/*.png"], &[]));
    scan(&fixture.root, &walk, &FileCache::new(), &crate::files::FilesInProgress::default(), 0, &|_| {});
    assert_eq!(fixture.settle("ui/c.png"), []);
}

#[test]
fn a_full_queue_is_a_rescan() {
    let folder = Folder::with(&[("ui/a.png", b"")]);
    let (sink, hints) = hints();
    let watcher = Watcher::start_with(targets(folder.path(), selection(&["ui/*.png"], &[])), sink, 0).unwrap();
    let mut fixture = WatchFixture { root: folder.path().to_owned(), watcher, hints, seen: Vec::new(), folder };
    for _ in 0..3 {
        fixture.forget();
        fixture.folder.write("ui/a.png", b"x");
        fixture.expect_rescan(Rescan::Overflow);
    }
}

#[test]
fn many_changes_are_reported_one_by_one_or_as_a_rescan() {
    let mut fixture = WatchFixture::new(&["z.png"], &["ui/**/*.png", "*.png"], &[]);
    let names: Vec<String> = (0..3000).map(|index| format!("ui/d{}/f{index}.png", index % 40)).collect();
    names.iter().for_each(|name| fixture.write(name));
    fixture.write_until_reported("z.png", "z.png");
    // The survey finds a file that was created before its folder was armed, and it may still run.
    fixture.watcher.recheck();
    fixture.seen.extend(fixture.hints.take());
    let changed = fixture.seen.iter().filter_map(|hint| match hint {
        Hint::Changed { path, .. } => Some(path.to_string()),
        _ => None,
    });
    let reported: std::collections::BTreeSet<String> = changed.collect();
    let rescan = fixture.seen.iter().any(|hint| matches!(hint, Hint::Rescan { .. }));
    assert!(rescan || names.iter().all(|name| reported.contains(name)));
}

#[test]
fn each_refusal_of_the_system_has_its_own_reason() {
    use notify::{Error, ErrorKind};

    let check = |error: Error, limit: bool| assert_eq!(Degraded::of(&error) == Degraded::Limit, limit, "{error}");
    check(Error::new(ErrorKind::MaxFilesWatch), true);
    check(Error::io(io::Error::from_raw_os_error(24)), true);
    check(Error::io(io::Error::from_raw_os_error(5)), false);
    check(Error::generic("x"), false);
}

#[cfg(unix)]
#[test]
fn links_are_followed_as_the_walk_does() {
    use std::os::unix::fs::symlink;

    let mut fixture =
        WatchFixture::new(&["real/a.png", "other/b.png", "z.png"], &["linked/*.png", "by/**/*.png", "*.png"], &[]);
    symlink("real", fixture.at("linked")).unwrap();
    fs::create_dir(fixture.at("by")).unwrap();
    symlink("../other/b.png", fixture.at("by/b.png")).unwrap();
    fixture.write_until_reported("real/a.png", "linked/a.png");
    fixture.write_until_reported("other/b.png", "by/b.png");
    fs::remove_file(fixture.at("linked")).unwrap();
    fixture.expect_rescan(Rescan::FolderGone);
    // Out of the project: not followed.
    fs::create_dir(fixture.folder.path().join("outside")).unwrap();
    symlink("../outside", fixture.at("linked")).unwrap();
    fixture.settle("z.png");
    fixture.folder.write("outside/a.png", b"x");
    assert_eq!(fixture.settle("z.png"), []);
}

#[test]
fn a_project_that_goes_and_comes_back_is_watched_again() {
    let mut fixture = WatchFixture::new(&["ui/a.png"], &["ui/*.png"], &[]);
    let away = fixture.folder.path().join("away");
    fs::rename(&fixture.root, &away).unwrap();
    // Only Linux tells that the project's own folder was renamed.
    if !cfg!(target_os = "linux") {
        fixture.watcher.recheck();
    }
    fixture.expect_rescan(Rescan::Degraded);
    assert!(
        matches!(fixture.watcher.degraded(), Some(Degraded::RootMissing { .. })),
        "{:?}",
        fixture.watcher.degraded()
    );
    fixture.forget();
    fs::rename(&away, &fixture.root).unwrap();
    fixture.expect_rescan(Rescan::Degraded);
    assert_eq!(fixture.watcher.degraded(), None);
    fixture.forget();
    fixture.write("ui/a.png");
    fixture.expect_saved("ui/a.png");

    // Another folder in its place, and nothing in between.
    fs::create_dir_all(away.join("ui")).unwrap();
    fs::rename(&fixture.root, fixture.folder.path().join("old")).unwrap();
    fs::rename(&away, &fixture.root).unwrap();
    fixture.watcher.recheck();
    fixture.write_until_reported("ui/b.png", "ui/b.png");
}

#[test]
fn new_targets_are_watched_as_soon_as_they_are_set() {
    let mut fixture = WatchFixture::new(&["ui/a.png", "art/a.png"], &["ui/*.png"], &[]);
    fixture.write("art/a.png");
    assert_eq!(fixture.settle("ui/a.png"), []);
    fixture.watcher.retarget(targets(&fixture.root, selection(&["art/*.png"], &[])));
    fixture.write("ui/a.png");
    fixture.write("art/a.png");
    fixture.expect_saved("art/a.png");
    assert!(fixture.seen.iter().all(|hint| matches!(hint, Hint::Changed { path: of, .. } if *of == path("art/a.png"))));
}

#[tokio::test]
async fn the_hints_end_with_the_watch() {
    let folder = Folder::with(&[]);
    let (sink, mut hints) = hints();
    let watcher = Watcher::start(targets(folder.path(), FileSelection::default()), sink).unwrap();
    drop(watcher);
    while hints.recv().await.is_some() {}
}

#[test]
fn a_missing_project_is_no_error() {
    let folder = Folder::with(&[]);
    let root = folder.path().join("none");
    let (sink, hints) = hints();
    let watcher = Watcher::start(targets(&root, selection(&["*.png"], &[])), sink).unwrap();
    assert!(matches!(watcher.degraded(), Some(Degraded::RootMissing { .. })));
    let mut fixture = WatchFixture { root: root.clone(), watcher, hints, seen: Vec::new(), folder };
    fs::create_dir(&root).unwrap();
    fixture.expect_rescan(Rescan::Degraded);
    fs::write(root.join("a.png"), b"x").unwrap();
    fixture.expect_saved("a.png");
}
