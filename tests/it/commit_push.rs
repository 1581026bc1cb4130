//! `systemd/macadam-commit-push` with the real git: files that it commits, files that it leaves alone,
//! and two machines that push at once.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::support::git::isolated;
use super::support::{Project, Remote, png};

/// A bare repository and its clones.
pub struct Hub {
    pub folder: tempfile::TempDir,
}

pub struct Clone {
    pub path: PathBuf,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/macadam-commit-push");

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Hub {
    /// Without a commit.
    pub fn empty() -> Self {
        let hub = Self { folder: tempfile::tempdir().unwrap() };
        let made = isolated("git", hub.folder.path()).args(["init", "-q", "--bare", "-b", "main", "hub.git"]).status();
        assert!(made.unwrap().success());
        hub
    }

    /// With one commit of a manifest, a lockfile and a note.
    pub fn new() -> Self {
        let hub = Self::empty();
        let first = hub.clone("first");
        first.write("game/assets.toml", "[creator]\nuser_id = 1\n");
        first.write("game/assets.lock.toml", "one = 1\n");
        first.write("note.txt", "a\nb\nc\n");
        first.write("staged.txt", "as it was\n");
        first.git(&["checkout", "-q", "-B", "main"]);
        first.git(&["add", "--all"]);
        first.git(&["commit", "-q", "-m", "first"]);
        first.git(&["push", "-q", "-u", "origin", "main"]);
        hub
    }

    pub fn clone(&self, name: &str) -> Clone {
        let made = isolated("git", self.folder.path()).args(["clone", "-q", "hub.git", name]).output().unwrap();
        assert!(made.status.success(), "{}", said(&made));
        Clone { path: self.folder.path().join(name) }
    }

    /// By git's own protocol, so that the options count which leave out a part of the history.
    pub fn clone_partly(&self, name: &str, options: &[&str]) -> Clone {
        let url = format!("file://{}", self.folder.path().join("hub.git").display());
        let made = isolated("git", self.folder.path()).args(["clone", "-q"]).args(options).args([&url, name]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", said(&made));
        Clone { path: self.folder.path().join(name) }
    }

    /// The subjects on main, the newest first.
    pub fn log(&self) -> Vec<String> {
        let log = isolated("git", &self.folder.path().join("hub.git")).args(["log", "--format=%s", "main"]).output();
        String::from_utf8(log.unwrap().stdout).unwrap().lines().map(str::to_owned).collect()
    }

    pub fn show(&self, path: &str) -> String {
        let shown =
            isolated("git", &self.folder.path().join("hub.git")).args(["show", &format!("main:{path}")]).output();
        String::from_utf8(shown.unwrap().stdout).unwrap()
    }
}

impl Clone {
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).unwrap()
    }

    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        let output = isolated("git", &self.path).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The script, called with the lockfile and these files in `game`.
    pub fn script(&self, changed: &[&str]) -> Command {
        let game = self.path.join("game");
        let changed: Vec<String> = changed.iter().map(|name| game.join(name).display().to_string()).collect();
        let mut script = isolated(SCRIPT, &game);
        script.env("MACADAM_LOCKFILE", game.join("assets.lock.toml"));
        script.env("MACADAM_MANIFEST", game.join("assets.toml")).env("MACADAM_CHANGED", changed.join("\n"));
        script.env("MACADAM", env!("CARGO_BIN_EXE_macadam")).env("MACADAM_PUSH_PAUSE", "0");
        script
    }

    #[track_caller]
    pub fn run(&self, changed: &[&str], succeeds: bool) -> String {
        let output = self.script(changed).output().unwrap();
        assert_eq!(output.status.success(), succeeds, "{}", said(&output));
        for left in ["rebase-merge", "index.lock", "macadam-commit-push.lock"] {
            assert!(!self.path.join(".git").join(left).exists(), "{left}");
        }
        said(&output)
    }

    pub fn commit_and_push(&self, name: &str, text: &str) {
        self.write(name, text);
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "-m", name]);
        self.git(&["push", "-q"]);
    }
}

#[test]
fn commit_push_commits_only_files_that_macadam_wrote() {
    let hub = Hub::new();
    let a = hub.clone("a");
    assert_eq!(a.run(&["assets.lock.toml"], true), "", "nothing changed");
    assert_eq!(hub.log(), ["first"]);

    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.write("game/src/new ids.luau", "return {}\n");
    a.write("game/ignored.json", "{}\n");
    a.write("game/.gitignore", "ignored.json\n");
    a.write("game/assets.toml", "[creator]\nuser_id = 2\n");
    a.write("note.txt", "a\nb\nlocal\n");
    a.write("staged.txt", "staged\n");
    a.git(&["add", "staged.txt"]);
    a.write("unknown.txt", "");
    a.write("../elsewhere", "outside of the checkout");
    a.run(
        &["assets.lock.toml", "src/new ids.luau", "ignored.json", "gone.json", "assets.toml", "../../elsewhere"],
        true,
    );
    assert_eq!(hub.log(), ["assets: sync", "first"]);
    let files = a.git(&["show", "--format=", "--name-only", "HEAD"]);
    assert_eq!(files, "game/assets.lock.toml\ngame/src/new ids.luau\n");
    assert!(a.git(&["show", "-s", "--format=%B", "HEAD"]).contains("- new ids.luau\n"));
    let status = a.git(&["status", "--porcelain"]);
    assert_eq!(status, " M game/assets.toml\n M note.txt\nM  staged.txt\n?? game/.gitignore\n?? unknown.txt\n");

    // An output that is gone; and what a person committed here isn't pushed without a reason.
    std::fs::remove_file(a.path.join("game/src/new ids.luau")).unwrap();
    a.run(&["src/new ids.luau"], true);
    assert_eq!(hub.show("game/src/new ids.luau"), "");
    a.git(&["commit", "-q", "-m", "a person's", "staged.txt"]);
    a.run(&["assets.lock.toml"], true);
    assert_eq!(hub.log().len(), 3, "{:?}", hub.log());
}

#[test]
fn a_dirty_clone_that_is_behind_catches_up() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.commit_and_push("other.txt", "from b\n");
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.write("note.txt", "local\n");
    a.run(&["assets.lock.toml"], true);
    assert_eq!(hub.log(), ["assets: sync", "other.txt", "first"]);
    assert_eq!((a.read("note.txt"), a.read("other.txt")), ("local\n".to_owned(), "from b\n".to_owned()));

    // The upstream changes what is modified here: nothing is touched, the commit waits.
    b.git(&["pull", "-q", "--rebase"]);
    b.commit_and_push("note.txt", "from b\n");
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\nthree = 3\n");
    let said = a.run(&["assets.lock.toml"], false);
    assert!(said.contains("note.txt"), "{said}");
    assert_eq!((a.read("note.txt"), hub.log().len()), ("local\n".to_owned(), 4));
    assert_eq!(a.git(&["log", "-1", "--format=%s"]), "assets: sync\n");
    // Later, though nothing changed since.
    a.git(&["checkout", "-q", "note.txt"]);
    a.run(&["assets.lock.toml"], true);
    assert_eq!(hub.log().first().unwrap(), "assets: sync");
    assert_eq!((hub.log().len(), a.read("note.txt")), (5, "from b\n".to_owned()));
}

#[test]
fn a_conflict_leaves_the_commit_in_place() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.commit_and_push("game/assets.lock.toml", "b = 1\n");
    a.write("game/assets.lock.toml", "a = 1\n");
    a.write("note.txt", "local\n");
    for _ in 0..2 {
        let said = a.run(&["assets.lock.toml"], false);
        assert!(said.contains("contradicts origin/main"), "{said}");
        assert_eq!((a.read("game/assets.lock.toml"), a.read("note.txt")), ("a = 1\n".to_owned(), "local\n".to_owned()));
        assert_eq!(a.git(&["log", "--format=%s"]), "assets: sync\nfirst\n");
        assert_eq!(a.git(&["stash", "list"]), "");
    }
    assert_eq!(hub.log(), ["game/assets.lock.toml", "first"]);
}

#[test]
fn commit_push_does_nothing_in_the_wrong_checkout() {
    let hub = Hub::new();
    let a = hub.clone("a");
    a.write("game/assets.lock.toml", "two = 2\n");
    a.write(".git/MERGE_HEAD", "");
    assert!(a.run(&["assets.lock.toml"], false).contains("MERGE_HEAD"));
    std::fs::remove_file(a.path.join(".git/MERGE_HEAD")).unwrap();
    a.git(&["checkout", "-q", "--detach"]);
    assert!(a.run(&["assets.lock.toml"], false).contains("no branch"));
    assert_eq!(hub.log(), ["first"]);
    a.git(&["checkout", "-q", "-b", "local"]);
    // Only a person decides to push a new branch.
    assert!(a.run(&["assets.lock.toml"], false).contains("git push -u origin local"));
    assert_eq!(a.git(&["log", "-1", "--format=%s"]), "assets: sync\n");
    // The hub is gone: the commit stays.
    let b = hub.clone("b");
    std::fs::rename(hub.folder.path().join("hub.git"), hub.folder.path().join("gone.git")).unwrap();
    b.write("game/assets.lock.toml", "two = 2\n");
    let refused = b.run(&["assets.lock.toml"], false);
    assert!(refused.contains("took no push in 6 tries"), "{refused}");
    assert_eq!(refused.matches("does not appear to be a git repository").count(), 1, "told once: {refused}");
    assert_eq!(b.git(&["log", "-1", "--format=%s"]), "assets: sync\n");
    let no_remote = b;
    no_remote.git(&["remote", "remove", "origin"]);
    assert!(no_remote.run(&["assets.lock.toml"], true).contains("no remote"));
    // A lockfile that is missing was not removed on purpose.
    std::fs::remove_file(no_remote.path.join("game/assets.lock.toml")).unwrap();
    assert!(no_remote.run(&["assets.lock.toml"], false).contains("git checkout -- assets.lock.toml"));
}

/// The check before the first upload passed, and every run after it failed.
#[test]
fn a_branch_that_the_remote_lacks_is_told_before_anything_is_uploaded() {
    let hub = Hub::empty();
    let a = hub.clone("a");
    a.write("game/assets.toml", "[creator]\nuser_id = 1\n");
    a.write("game/assets.lock.toml", "one = 1\n");
    a.git(&["checkout", "-q", "-B", "main"]);
    a.git(&["add", "game/assets.toml"]);
    a.git(&["commit", "-q", "-m", "first"]);
    a.git(&["config", "branch.main.remote", "origin"]);
    a.git(&["config", "branch.main.merge", "refs/heads/main"]);
    let check = || a.script(&["assets.lock.toml"]).arg("--check").output().unwrap();
    let told = check();
    assert!(!told.status.success(), "{}", said(&told));
    let way_out =
        "origin has no branch main, so nothing could be pushed: `git push origin HEAD:refs/heads/main` makes it";
    assert!(said(&told).contains(way_out), "{}", said(&told));
    let refused = a.run(&["assets.lock.toml"], false);
    assert!(refused.contains("origin has no branch main") && refused.contains("stays here"), "{refused}");
    a.git(&["push", "-q", "origin", "HEAD:refs/heads/main"]);
    assert!(check().status.success());
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.run(&["assets.lock.toml"], true);
    assert_eq!(hub.log(), ["assets: sync", "assets: sync", "first"]);
}

/// Two clones of one project sync different pictures; the lockfiles are merged by the driver, and
/// no asset is lost.
#[test]
fn two_machines_that_push_at_once_both_arrive() {
    let hub = Hub::new();
    let first = hub.clone("setup");
    first.write(".gitattributes", "*.lock.toml merge=macadam text eol=lf\n");
    first.write("game/.gitignore", ".macadam/\n");
    let manifest = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n";
    first.write("game/assets.toml", manifest);
    std::fs::remove_file(first.path.join("game/assets.lock.toml")).unwrap();
    first.git(&["add", "--all"]);
    first.git(&["commit", "-q", "-m", "setup"]);
    first.git(&["push", "-q"]);

    let remote = Remote::start();
    let names = ["a", "b", "c"];
    let clones: Vec<Clone> = names.iter().map(|name| hub.clone(name)).collect();
    for (shade, (clone, name)) in clones.iter().zip(names).enumerate() {
        let game = Project::new(manifest).at(&remote.url());
        game.write(&format!("ui/{name}.png"), png(shade as u8));
        game.sync();
        clone.write("game/assets.lock.toml", &game.read("assets.lock.toml"));
    }
    let start = |clone: &Clone| {
        let mut script = clone.script(&["assets.lock.toml"]);
        script.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = clones.iter().map(start).collect();
    for script in running {
        let output = script.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(hub.log().len(), 5, "{:?}", hub.log());
    let lockfile = hub.show("game/assets.lock.toml");
    for name in names {
        assert!(lockfile.contains(&format!("ui/{name}.png")), "{lockfile}");
    }
}
