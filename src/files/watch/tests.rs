//! Real files in a real folder. Tests wait for what must come, and never for what must not: that is
//! seen when something later has come.
#![expect(clippy::disallowed_methods, reason = "the tests are the other program that writes files")]

use std::fs;
use std::time::Duration;

use super::*;
use crate::files::debounce::ChangeKind;
use crate::files::tests_support::{Folder, path};
use crate::files::{scan, walk};
use crate::model::desired::{FileSelection, GlobPattern};
use crate::model::file::FileCache;

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
        lockfile: root.join("assets.lock.toml"),
        selection,
        git: Some(root.join(".git")),
        own: vec![root.join("ui/out.png")],
    }
}

/// A watched project, and every hint that came so far.
struct WatchFixture {
    root: PathBuf,
    watcher: Watcher,
    hints: Hints,
    seen: Vec<Hint>,
    folder: Folder,
}

impl WatchFixture {
    /// The project is a folder in the test's folder, so that it can go and come back.
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

    /// Waits until the hint has come.
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

    /// Waits until a file that came along with its folder is told: as still open where it is so
    /// young that it may be.
    fn expect_appearance(&mut self, name: &str) {
        let kinds = [ChangeKind::Closed, ChangeKind::Created];
        let told =
            |seen: &[Hint]| kinds.iter().any(|kind| seen.contains(&Hint::Changed { path: path(name), kind: *kind }));
        let mut waited = Duration::ZERO;
        while !told(&self.seen) {
            assert!(waited < PATIENCE, "{name} never appeared, only {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
            self.seen.extend(self.hints.take());
        }
    }

    fn expect_rescan(&mut self, reason: Rescan) {
        self.expect(&Hint::Rescan { reason });
    }

    /// Writes a file again and again until that is told: a folder that just appeared is not armed
    /// at once.
    fn write_until_told(&mut self, name: &str, told: &str) {
        let hint = Hint::Changed { path: path(told), kind: ChangeKind::Closed };
        let mut waited = Duration::ZERO;
        while !self.seen.contains(&hint) {
            assert!(waited < PATIENCE, "{name} is not watched, only {:?}", self.seen);
            self.write(name);
            std::thread::sleep(Duration::from_millis(50));
            waited += Duration::from_millis(50);
            self.seen.extend(self.hints.take());
        }
    }

    /// Waits for a change that comes after all others, and gives what came before.
    fn settle(&mut self, last: &str) -> Vec<Hint> {
        self.write(last);
        self.expect_change(last, ChangeKind::Closed);
        let mut seen = std::mem::take(&mut self.seen);
        seen.retain(|hint| !matches!(hint, Hint::Changed { path, .. } if path.as_str() == last));
        seen
    }

    fn forget(&mut self) {
        self.seen.clear();
    }
}

#[test]
fn saves_are_told_however_a_program_saves() {
    let mut stage = WatchFixture::new(&["ui/a.png", "ui/b.png"], &["ui/**/*.png"], &["one/x.mp3"]);
    // Truncated and written.
    stage.write("ui/a.png");
    stage.expect_change("ui/a.png", ChangeKind::Closed);
    // Written beside and renamed.
    stage.forget();
    stage.write("ui/.a.png.swp");
    stage.write("ui/a.png~");
    stage.rename("ui/.a.png.swp", "ui/a.png");
    stage.expect_change("ui/a.png", ChangeKind::Closed);
    let others =
        stage.seen.iter().filter(|hint| !matches!(hint, Hint::Changed { path: of, .. } if *of == path("ui/a.png")));
    assert_eq!(others.count(), 0, "{:?}", stage.seen);
    // Created, renamed, removed.
    stage.write("ui/c.png");
    stage.expect_change("ui/c.png", ChangeKind::Closed);
    stage.rename("ui/c.png", "ui/d.png");
    stage.expect_change("ui/c.png", ChangeKind::Removed);
    stage.expect_change("ui/d.png", ChangeKind::Closed);
    fs::remove_file(stage.at("ui/b.png")).unwrap();
    stage.expect_change("ui/b.png", ChangeKind::Removed);
    // A file that is named, in a folder that was not there.
    stage.write("one/y.mp3");
    stage.write_until_told("one/x.mp3", "one/x.mp3");
    assert!(!stage.seen.iter().any(|hint| matches!(hint, Hint::Changed { path: of, .. } if *of == path("one/y.mp3"))));
}

#[test]
fn a_writer_that_is_not_done_is_told() {
    use std::io::Write as _;

    let mut stage = WatchFixture::new(&["ui/a.png"], &["ui/*.png"], &[]);
    let mut file = fs::OpenOptions::new().append(true).open(stage.at("ui/a.png")).unwrap();
    file.write_all(b"more").unwrap();
    stage.expect_change("ui/a.png", ChangeKind::Written);
    drop(file);
    stage.expect_change("ui/a.png", ChangeKind::Closed);
}

#[test]
fn folders_that_appear_move_and_vanish_are_followed() {
    let mut stage = WatchFixture::new(&["z.png"], &["ui/**/*.png", "*.png"], &[]);
    stage.write_until_told("ui/deep/er/a.png", "ui/deep/er/a.png");

    stage.forget();
    stage.rename("ui/deep", "ui/moved");
    stage.expect_rescan(Rescan::FolderGone);
    stage.expect_appearance("ui/moved/er/a.png");
    stage.write_until_told("ui/moved/er/b.png", "ui/moved/er/b.png");

    // Away and back again, before anybody looks.
    stage.forget();
    for _ in 0..20 {
        stage.rename("ui/moved", "ui/deep");
        stage.rename("ui/deep", "ui/moved");
    }
    stage.settle("z.png");
    stage.write_until_told("ui/moved/er/c.png", "ui/moved/er/c.png");

    stage.forget();
    fs::remove_dir_all(stage.at("ui")).unwrap();
    stage.expect_rescan(Rescan::FolderGone);
    stage.write_until_told("ui/moved/er/d.png", "ui/moved/er/d.png");

    // From elsewhere, with all that is in it.
    fs::create_dir_all(stage.folder.path().join("else/x")).unwrap();
    stage.folder.write("else/x/a.png", b"x");
    fs::rename(stage.folder.path().join("else"), stage.at("ui/new")).unwrap();
    stage.expect_appearance("ui/new/x/a.png");
}

#[test]
fn what_the_manifest_does_not_speak_of_is_not_told() {
    let mut stage = WatchFixture::new(
        &["ui/a.png", "ui/wip/a.png", "node_modules/a.png", ".hidden/a.png", ".macadam/a.png", ".git/HEAD", "z.png"],
        &["**/*.png"],
        &[],
    );
    for name in ["ui/wip/a.png", "ui/a.jpg", ".hidden/a.png", ".macadam/a.png", ".git/x.png", "ui/.macadam/x.png"] {
        stage.write(name);
    }
    assert_eq!(stage.settle("z.png"), []);
}

#[test]
fn what_macadam_writes_is_not_told() {
    let mut stage = WatchFixture::new(&["ui/a.png"], &["**/*", "**/.*"], &[]);
    let save = |stage: &WatchFixture, name: &str| {
        crate::platform::atomic_file::write_atomic(&stage.at(name), |file| file.write_all(b"x")).unwrap();
    };
    save(&stage, "ui/out.png");
    save(&stage, "assets.lock.toml");
    stage.watcher.wrote(&stage.at("assets.lock.toml"));
    save(&stage, "assets.toml");
    stage.watcher.wrote(&stage.at("assets.toml"));
    stage.write(".macadam/state.db");
    assert_eq!(stage.settle("ui/a.png"), []);
}

#[test]
fn manifest_lockfile_and_git_have_hints_of_their_own() {
    let mut stage = WatchFixture::new(&[".git/HEAD"], &["ui/*.png"], &[]);
    stage.write("assets.toml");
    stage.expect(&Hint::Manifest);
    stage.forget();
    stage.write("new.toml");
    stage.rename("new.toml", "assets.toml");
    stage.expect(&Hint::Manifest);
    stage.forget();
    fs::remove_file(stage.at("assets.toml")).unwrap();
    stage.expect(&Hint::Manifest);
    stage.write("assets.lock.toml");
    stage.expect(&Hint::Lockfile);
    stage.write(".git/index.lock");
    stage.expect(&Hint::Git);
    assert!(!stage.seen.iter().any(|hint| matches!(hint, Hint::Changed { .. })), "{:?}", stage.seen);
}

#[test]
fn looking_at_files_is_not_told() {
    let mut stage = WatchFixture::new(&["ui/a.png", "ui/b.png"], &["ui/*.png"], &[]);
    for name in ["ui/a.png", "ui/b.png"] {
        crate::files::is_whole(&stage.root, &path(name));
    }
    let walk = walk(&stage.root, &selection(&["ui/*.png"], &[]));
    scan(&stage.root, &walk, &FileCache::new(), &crate::files::FilesInProgress::default(), 0, &|_| {});
    assert_eq!(stage.settle("ui/c.png"), []);
}

#[test]
fn a_full_queue_is_a_rescan() {
    let folder = Folder::with(&[("ui/a.png", b"")]);
    let (sink, hints) = hints();
    let watcher = Watcher::start_with(targets(folder.path(), selection(&["ui/*.png"], &[])), sink, 0).unwrap();
    let mut stage = WatchFixture { root: folder.path().to_owned(), watcher, hints, seen: Vec::new(), folder };
    for _ in 0..3 {
        stage.forget();
        stage.folder.write("ui/a.png", b"x");
        stage.expect_rescan(Rescan::Overflow);
    }
}

#[test]
fn a_storm_is_told_file_by_file_or_as_a_rescan() {
    let mut stage = WatchFixture::new(&["z.png"], &["ui/**/*.png", "*.png"], &[]);
    let names: Vec<String> = (0..3000).map(|index| format!("ui/d{}/f{index}.png", index % 40)).collect();
    names.iter().for_each(|name| stage.write(name));
    stage.write_until_told("z.png", "z.png");
    // What was created before its folder was armed is found by a survey, which may still be under way.
    stage.watcher.recheck();
    stage.seen.extend(stage.hints.take());
    let changed = stage.seen.iter().filter_map(|hint| match hint {
        Hint::Changed { path, .. } => Some(path.to_string()),
        _ => None,
    });
    let told: std::collections::BTreeSet<String> = changed.collect();
    let rescan = stage.seen.iter().any(|hint| matches!(hint, Hint::Rescan { .. }));
    assert!(rescan || names.iter().all(|name| told.contains(name)));
}

#[test]
fn what_the_system_refuses_is_told_apart() {
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

    let mut stage =
        WatchFixture::new(&["real/a.png", "other/b.png", "z.png"], &["linked/*.png", "by/**/*.png", "*.png"], &[]);
    symlink("real", stage.at("linked")).unwrap();
    fs::create_dir(stage.at("by")).unwrap();
    symlink("../other/b.png", stage.at("by/b.png")).unwrap();
    stage.write_until_told("real/a.png", "linked/a.png");
    stage.write_until_told("other/b.png", "by/b.png");
    fs::remove_file(stage.at("linked")).unwrap();
    stage.expect_rescan(Rescan::FolderGone);
    // Out of the project: not followed.
    fs::create_dir(stage.folder.path().join("outside")).unwrap();
    symlink("../outside", stage.at("linked")).unwrap();
    stage.settle("z.png");
    stage.folder.write("outside/a.png", b"x");
    assert_eq!(stage.settle("z.png"), []);
}

#[test]
fn a_project_that_goes_and_comes_back_is_watched_again() {
    let mut stage = WatchFixture::new(&["ui/a.png"], &["ui/*.png"], &[]);
    let away = stage.folder.path().join("away");
    fs::rename(&stage.root, &away).unwrap();
    stage.expect_rescan(Rescan::Degraded);
    assert!(matches!(stage.watcher.degraded(), Some(Degraded::RootMissing { .. })), "{:?}", stage.watcher.degraded());
    stage.forget();
    fs::rename(&away, &stage.root).unwrap();
    stage.expect_rescan(Rescan::Degraded);
    assert_eq!(stage.watcher.degraded(), None);
    stage.forget();
    stage.write("ui/a.png");
    stage.expect_change("ui/a.png", ChangeKind::Closed);

    // Another folder in its place, and nothing in between.
    fs::create_dir_all(away.join("ui")).unwrap();
    fs::rename(&stage.root, stage.folder.path().join("old")).unwrap();
    fs::rename(&away, &stage.root).unwrap();
    stage.watcher.recheck();
    stage.write_until_told("ui/b.png", "ui/b.png");
}

#[test]
fn other_targets_are_watched_from_the_moment_they_are_set() {
    let mut stage = WatchFixture::new(&["ui/a.png", "art/a.png"], &["ui/*.png"], &[]);
    stage.write("art/a.png");
    assert_eq!(stage.settle("ui/a.png"), []);
    stage.watcher.retarget(targets(&stage.root, selection(&["art/*.png"], &[])));
    stage.write("ui/a.png");
    stage.write("art/a.png");
    stage.expect_change("art/a.png", ChangeKind::Closed);
    assert!(stage.seen.iter().all(|hint| matches!(hint, Hint::Changed { path: of, .. } if *of == path("art/a.png"))));
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
    let mut stage = WatchFixture { root: root.clone(), watcher, hints, seen: Vec::new(), folder };
    fs::create_dir(&root).unwrap();
    stage.expect_rescan(Rescan::Degraded);
    fs::write(root.join("a.png"), b"x").unwrap();
    stage.expect_change("a.png", ChangeKind::Closed);
}
