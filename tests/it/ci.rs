//! `sync --once --on-change macadam-commit-push` on machines that keep nothing but what is pushed:
//! real git, the real binary, and an emulator that counts what was made.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::commit_push::{Clone, Hub};
use super::support::git::isolated;
use super::support::{Ran, Remote, SECRET, png, system};

pub const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n";
const ON_CHANGE: [&str; 4] = ["sync", "--once", "--on-change", "macadam-commit-push"];

/// A project at a hub, a remote that counts, and machines that come and go.
pub struct Ci {
    pub hub: Hub,
    pub remote: Remote,
    machines: Cell<u32>,
}

impl Ci {
    /// A manifest and pictures in these shades, committed without a lockfile.
    pub fn new(shades: u8) -> Self {
        let ci = Self { hub: Hub::empty(), remote: Remote::start(), machines: Cell::new(0) };
        let author = ci.machine();
        author.git(&["checkout", "-q", "-B", "main"]);
        author.write("assets.toml", MANIFEST);
        author.write(".gitignore", ".macadam/\n");
        for shade in 0..shades {
            std::fs::create_dir_all(author.path.join("ui")).unwrap();
            std::fs::write(author.path.join(format!("ui/{shade}.png")), png(shade)).unwrap();
        }
        push(&author, "first");
        ci
    }

    /// A fresh clone.
    pub fn machine(&self) -> Clone {
        self.machines.set(self.machines.get() + 1);
        self.hub.clone(&format!("machine-{}", self.machines.get()))
    }

    /// The program on a machine without a home, without a git identity, and with nothing installed
    /// but git.
    pub fn command(&self, machine: &Clone, args: &[&str]) -> Command {
        let mut command = isolated(env!("CARGO_BIN_EXE_macadam"), &machine.path);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("GIT_{who}_NAME")).env_remove(format!("GIT_{who}_EMAIL"));
        }
        command
            .env("HOME", self.hub.folder.path())
            .env("ROBLOX_API_KEY", SECRET)
            .env("MACADAM_PUSH_PAUSE", "0")
            .env("MACADAM_FIRST_POLL", "40")
            .env("MACADAM_STAND_IN", "1");
        command.args(args).args(["--api-url", &self.remote.url()]);
        command
    }

    pub fn run(&self, machine: &Clone, args: &[&str]) -> Ran {
        Ran::of(self.command(machine, args).output().unwrap())
    }

    #[track_caller]
    pub fn json(&self, machine: &Clone, args: &[&str], code: i32) -> Value {
        let ran = self.run(machine, &[args, &["--json"]].concat()).expect(code);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in {:?}\n{}", ran.stdout, ran.stderr))
    }

    /// Git in the bare repository.
    pub fn hub_git(&self, args: &[&str]) {
        let hub = self.hub.folder.path().join("hub.git");
        assert!(isolated("git", &hub).args(args).status().unwrap().success(), "{args:?}");
    }

    pub fn creates(&self) -> usize {
        self.remote.requests(ApiEndpoint::CreateAsset)
    }

    /// The lockfile as it was pushed.
    pub fn pushed(&self) -> String {
        self.hub.show("assets.lock.toml")
    }
}

/// Commits everything on a machine and pushes it, as a person does.
pub fn push(machine: &Clone, subject: &str) {
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", subject]);
    machine.git(&["push", "-q", "-u", "origin", "HEAD:main"]);
}

fn refuse(ci: &Ci, refuse: bool) {
    let hook: PathBuf = ci.hub.folder.path().join("hub.git/hooks/pre-receive");
    if refuse {
        std::fs::write(&hook, "#!/bin/sh\necho main is protected >&2\nexit 1\n").unwrap();
        system::make_executable(&hook);
    } else {
        std::fs::remove_file(hook).unwrap();
    }
}

/// With `sync --once && git commit … && git push` these five runs made 25 assets.
#[test]
fn five_runs_on_fresh_clones_make_each_asset_once() {
    let ci = Ci::new(5);
    let author = ci.machine();
    author.write("ui/broken.png", "no picture");
    push(&author, "a file that fails");
    for run in 0..5 {
        let machine = ci.machine();
        let ran = ci.run(&machine, &ON_CHANGE).expect(1);
        assert_eq!(ran.stderr.contains("pushed to origin/main"), run == 0, "{}", ran.stderr);
        assert!(!ran.stdout.contains("commit it"), "the command did: {}", ran.stdout);
        assert_eq!(ci.creates(), 5);
    }
    assert_eq!(ci.hub.log(), ["assets: sync", "a file that fails", "first"]);
    assert_eq!(ci.pushed().matches("ui/").count(), 5, "{}", ci.pushed());
}

#[test]
fn the_document_says_how_the_command_went_and_is_alone_on_standard_output() {
    let ci = Ci::new(2);
    let machine = ci.machine();
    let command = "env > env.txt; echo said; exit 7";
    let args = ["sync", "--once", "--on-change", command];
    let document = ci.json(&machine, &args, 1);
    assert_eq!(document["in_sync"], true, "{document:#}");
    assert_eq!(document["on_change"]["succeeded"], false, "{document:#}");
    assert!(document["on_change"]["error"].as_str().unwrap().contains("exit status: 7"), "{document:#}");
    let env = machine.read("env.txt");
    assert!(!env.contains(SECRET) && env.contains("assets.lock.toml"), "{env}");

    // Nothing changed, but the last command failed.
    let ran = ci.run(&machine, &args).expect(1);
    assert!(
        ran.stderr.contains("said\n") && ran.stderr.contains("the next run uploads everything again"),
        "{}",
        ran.stderr
    );
    let well = ["sync", "--once", "--on-change", "true"];
    assert_eq!(ci.json(&machine, &well, 0)["on_change"], json!({ "succeeded": true, "error": null, "hint": null }));
    assert_eq!(ci.json(&machine, &args, 0)["on_change"], Value::Null, "nothing changed since");
}

#[test]
fn a_command_that_publishes_is_refused_in_a_rehearsal() {
    let ci = Ci::new(1);
    let machine = ci.machine();
    for mode in [["--once"].as_slice(), &[]] {
        let mut command = isolated(env!("CARGO_BIN_EXE_macadam"), &machine.path);
        command.args(["sync", "--emulator", "--on-change", "touch ran"]).args(mode);
        let ran = Ran::of(command.output().unwrap()).expect(64);
        assert!(ran.stderr.contains("must not be published"), "{}", ran.stderr);
    }
    assert!(!machine.path.join("ran").exists() && !machine.path.join("assets.lock.toml").exists());
}

#[test]
fn a_refused_push_is_an_error_and_the_next_run_pushes_though_nothing_changed() {
    let ci = Ci::new(3);
    let machine = ci.machine();
    refuse(&ci, true);
    let ran = ci.run(&machine, &ON_CHANGE).expect(1);
    for words in ["refused the push", "main is protected", "the next run depends on it", "contents: write"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert_eq!((ci.creates(), ci.pushed()), (3, String::new()));
    refuse(&ci, false);
    let ran = ci.run(&machine, &ON_CHANGE).expect(0);
    assert!(ran.stderr.contains("pushed to origin/main"), "{}", ran.stderr);
    assert_eq!((ci.creates(), ci.pushed().matches("ui/").count()), (3, 3));
}

/// A runner that keeps its state, and whose checkout reverts commits that were not pushed.
#[test]
fn a_lockfile_that_a_checkout_reverted_is_pushed_by_the_next_run() {
    let ci = Ci::new(2);
    let machine = ci.machine();
    refuse(&ci, true);
    ci.run(&machine, &ON_CHANGE).expect(1);
    refuse(&ci, false);
    machine.git(&["reset", "-q", "--hard", "origin/main"]);
    assert!(!machine.path.join("assets.lock.toml").exists());
    ci.run(&machine, &ON_CHANGE).expect(0);
    assert_eq!((ci.creates(), ci.pushed().matches("ui/").count()), (2, 2));
}

#[test]
fn an_ignored_lockfile_is_an_error_and_a_warning() {
    let ci = Ci::new(1);
    let author = ci.machine();
    author.write(".gitignore", ".macadam/\n*.lock.toml\n");
    push(&author, "ignores too much");
    let machine = ci.machine();
    let ran = ci.run(&machine, &ON_CHANGE).expect(3);
    assert!(ran.stderr.contains("is ignored by git (.gitignore:2:*.lock.toml)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing was uploaded") && ci.creates() == 0, "{}", ran.stderr);

    let warned = |machine: &Clone, ci_is: &str, args: &[&str]| {
        let mut command = ci.command(machine, &[args, &["--json"]].concat());
        let ran = Ran::of(command.env("CI", ci_is).output().unwrap());
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        document["warnings"].as_array().unwrap().iter().map(|w| w["message"].to_string()).collect::<String>()
    };
    let plain = ["sync", "--once"];
    assert!(warned(&ci.machine(), "true", &plain).contains("is ignored by git"));
    let machine = ci.machine();
    machine.write(".gitignore", ".macadam/\n");
    assert!(warned(&machine, "true", &plain).contains("is not in git"));
    assert_eq!(warned(&ci.machine(), "false", &plain), "");
    // Nothing was uploaded, so there is no news.
    assert_eq!(warned(&machine, "true", &plain), "");
    // The command adds it.
    author.write(".gitignore", ".macadam/\n");
    push(&author, "ignores less");
    let machine = ci.machine();
    assert_eq!(warned(&machine, "true", &ON_CHANGE), "");
    let mut command = ci.command(&ci.machine(), &plain);
    let ran = Ran::of(command.env("CI", "true").output().unwrap());
    assert!(!ran.stderr.contains("warning"), "it is in git now: {}", ran.stderr);
}

#[test]
fn a_lockfile_that_git_ignores_is_an_error_before_anything_is_uploaded() {
    let ci = Ci::new(1);
    let author = ci.machine();
    ci.run(&author, &ON_CHANGE).expect(0);
    for mark in ["--assume-unchanged", "--skip-worktree"] {
        let machine = ci.machine();
        machine.git(&["update-index", mark, "assets.lock.toml"]);
        std::fs::write(machine.path.join("ui/new.png"), png(50)).unwrap();
        let ran = ci.run(&machine, &ON_CHANGE).expect(3);
        assert!(ran.stderr.contains("git looks away from assets.lock.toml"), "{mark}: {}", ran.stderr);
        assert_eq!(ci.creates(), 1, "{mark}");
    }
}

#[test]
fn two_runners_with_a_race_both_arrive() {
    let ci = Ci::new(0);
    let machines = [ci.machine(), ci.machine(), ci.machine()];
    // Not pulled by the others: as if each had been committed while the others ran.
    for (shade, machine) in machines.iter().enumerate() {
        std::fs::create_dir_all(machine.path.join("ui")).unwrap();
        std::fs::write(machine.path.join(format!("ui/{shade}.png")), png(shade as u8)).unwrap();
    }
    let start = |machine: &Clone| {
        let mut command = ci.command(machine, &ON_CHANGE);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = machines.iter().map(start).collect();
    for child in running {
        Ran::of(child.wait_with_output().unwrap()).expect(0);
    }
    assert_eq!((ci.creates(), ci.pushed().matches("ui/").count()), (3, 3), "{}", ci.pushed());
    assert_eq!(ci.hub.log().len(), 4);
}

#[test]
fn a_checkout_without_a_branch_pushes_to_the_one_that_ci_names() {
    let ci = Ci::new(1);
    let author = ci.machine();
    let url = format!("file://{}", ci.hub.folder.path().join("hub.git").display());
    let machine = Clone { path: ci.hub.folder.path().join("gitlab") };
    let made = isolated("git", ci.hub.folder.path()).args(["clone", "-q", "--depth", "1", &url, "gitlab"]).status();
    assert!(made.unwrap().success());
    machine.git(&["checkout", "-q", "--detach"]);
    machine.git(&["branch", "-q", "-D", "main"]);
    let ran = ci.run(&machine, &ON_CHANGE).expect(3);
    assert!(ran.stderr.contains("set MACADAM_BRANCH") && ci.creates() == 0, "{}", ran.stderr);
    // Meanwhile another person pushed.
    author.write("note.txt", "later\n");
    push(&author, "later");
    // One commit can't show that there never was a lockfile.
    let mut command = ci.command(&machine, &[&ON_CHANGE[..], &["--accept-new-lockfile"]].concat());
    Ran::of(command.env("CI_COMMIT_BRANCH", "main").output().unwrap()).expect(0);
    assert_eq!(ci.hub.log(), ["assets: sync", "later", "first"]);
    assert_eq!(ci.creates(), 1);

    // A commit of another branch must not be pushed to this one.
    author.git(&["checkout", "-q", "-b", "other"]);
    author.write("note.txt", "of another branch\n");
    author.git(&["commit", "-q", "--all", "-m", "other"]);
    author.git(&["checkout", "-q", "--detach"]);
    let mut command = ci.command(&author, &ON_CHANGE);
    std::fs::write(author.path.join("ui/new.png"), png(9)).unwrap();
    let ran = Ran::of(command.env("CI_COMMIT_BRANCH", "main").output().unwrap()).expect(3);
    assert!(ran.stderr.contains("is not on origin/main"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing was uploaded"), "{}", ran.stderr);
    assert_eq!((ci.hub.log().len(), ci.creates()), (3, 1));
}

#[test]
fn the_command_runs_after_a_timeout_a_signal_and_a_refused_key() {
    // Of three creates the first is made, and the others wait for something.
    let ends = |fault: Value, stop: fn(&mut std::process::Child), args: &[&str], code: i32| {
        let ci = Ci::new(3);
        ci.remote.control().add_faults(serde_json::from_value(json!([fault])).unwrap()).unwrap();
        let machine = ci.machine();
        let mut command = ci.command(&machine, &[&ON_CHANGE, args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = std::time::Instant::now();
        while ci.creates() < 2 {
            assert!(begun.elapsed() < Duration::from_secs(60), "no second create");
            std::thread::sleep(Duration::from_millis(10));
        }
        stop(&mut child);
        let ran = Ran::of(child.wait_with_output().unwrap()).expect(code);
        assert!(ran.stderr.contains("pushed to origin/main"), "{code}: {}", ran.stderr);
        assert!(ci.pushed().contains("ui/"), "{code}: {}", ci.pushed());
    };
    let stuck = json!({"match": {"endpoint": "create_asset", "nth": [2, 3]}, "action": {"kind": "operation", "outcome": "stuck"}});
    let revoke = json!({"match": {"endpoint": "create_asset", "nth": [2]}, "action": {"kind": "revoke_key"}});
    ends(stuck.clone(), |_| {}, &["--timeout", "3s"], 1);
    ends(
        stuck,
        |child| {
            std::thread::sleep(Duration::from_millis(500));
            system::send(child, system::Signal::TERM);
        },
        &[],
        143,
    );
    ends(revoke, |_| {}, &["--uploads", "1"], 4);
}

/// The next run elsewhere goes back to what git has, and nobody had been told.
#[test]
fn a_published_file_that_is_edited_and_not_committed_is_told() {
    let ci = Ci::new(2);
    let machine = ci.machine();
    let ran = ci.run(&machine, &ON_CHANGE).expect(0);
    assert!(!ran.stderr.contains("not committed"), "{}", ran.stderr);
    std::fs::write(machine.path.join("ui/1.png"), png(77)).unwrap();
    let ran = ci.run(&machine, &ON_CHANGE).expect(0);
    let told = "1 asset file is not committed as uploaded, so other machines go back to what git has: ui/1.png";
    assert!(ran.stderr.contains(told) && ran.stderr.contains("`git add ui/1.png`"), "{}", ran.stderr);
}
