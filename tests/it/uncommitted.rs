//! Files that nobody added to git: whoever uploads one is told, and a clone that lacks it takes it
//! for no removal.

use macadam::emulator::ApiEndpoint;

use super::support::git::git;
use super::support::{Project, Remote, png};

const MANIFEST: &str = "\
[creator]
user_id = 1

[policy]
removed = \"archive\"
archive_after = \"0d\"

[globs.ui]
path = \"ui/*.png\"

[[outputs]]
path = \"ids.json\"
";

/// What clones share: the remote, and the repository that they push to.
struct Shared {
    remote: Remote,
    origin: tempfile::TempDir,
}

impl Shared {
    /// With a clone whose pictures `a` and `b` are committed, and whose picture `new` is only
    /// uploaded: the lockfile that tells of it was pushed.
    fn with_a_file_that_is_not_in_git() -> (Self, Project) {
        let (shared, project) = Self::new();
        project.write("ui/new.png", png(3));
        shared.push(&project, &["assets.lock.toml", "ids.json"]);
        (shared, project)
    }

    fn new() -> (Self, Project) {
        let remote = Remote::start();
        let origin = tempfile::tempdir().unwrap();
        git(origin.path(), &["init", "--quiet", "--bare", "--initial-branch=main"]);
        let project = Project::new(MANIFEST).at(&remote.url());
        git(project.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(project.path(), &["remote", "add", "origin", &origin.path().to_string_lossy()]);
        project.write("ui/a.png", png(1));
        project.write("ui/b.png", png(2));
        let shared = Self { remote, origin };
        shared.push(&project, &["."]);
        (shared, project)
    }

    /// Syncs, and pushes these files.
    fn push(&self, project: &Project, files: &[&str]) {
        project.sync();
        project.git(&[&["add"], files].concat());
        project.git(&["commit", "--quiet", "--message", "sync"]);
        project.git(&["push", "--quiet", "origin", "main"]);
    }

    fn clone(&self, options: &[&str]) -> Project {
        let project = Project::new("").at(&self.remote.url());
        project.remove("assets.toml");
        let origin = format!("file://{}", self.origin.path().display());
        git(project.path(), &[&["clone", "--quiet"], options, &[&origin, "."]].concat());
        project
    }

    fn archived(&self) -> usize {
        self.remote.requests(ApiEndpoint::ArchiveAsset)
    }
}

#[test]
fn a_clone_without_a_file_that_was_never_committed_archives_nothing() {
    let (shared, uploader) = Shared::with_a_file_that_is_not_in_git();
    let clone = shared.clone(&[]);
    let (_, plan) = clone.json(&["plan"]);
    assert_eq!(plan["actions"][0]["code"], "never_committed", "{plan:#}");
    assert_eq!(plan["actions"].as_array().unwrap().len(), 1, "{plan:#}");
    for _ in 0..2 {
        let (code, report) = clone.json(&["sync", "--once"]);
        assert_eq!((code, &report["actions"][0]["code"]), (1, &"never_committed".into()), "{report:#}");
    }
    assert_eq!((shared.archived(), clone.git(&["status", "--porcelain"]).as_str()), (0, ""));
    assert!(clone.read("ids.json").contains("ui/new.png"), "the game still gets its asset ID");
    let status = clone.run(&["status", "ui/new.png"]).expect(0).stdout;
    assert!(status.contains("on hold") && status.contains("add ui/new.png to git"), "{status}");
    // The file arrives.
    uploader.git(&["add", "ui/new.png"]);
    shared.push(&uploader, &["ui/new.png"]);
    clone.git(&["pull", "--quiet"]);
    assert_eq!(clone.sync()["actions"], serde_json::json!([]));
}

#[test]
fn a_file_that_a_commit_removed_is_removed_in_every_clone() {
    let (shared, uploader) = Shared::new();
    let clone = shared.clone(&[]);
    uploader.git(&["rm", "--quiet", "ui/b.png"]);
    uploader.git(&["commit", "--quiet", "--message", "remove"]);
    uploader.git(&["push", "--quiet", "origin", "main"]);
    clone.git(&["pull", "--quiet"]);
    clone.sync();
    assert_eq!(shared.archived(), 1);
}

#[test]
fn an_entry_that_was_never_committed_is_no_removal_and_one_that_a_commit_removed_is() {
    let (shared, uploader) = Shared::new();
    let committed = uploader.read("assets.toml");
    let with = |name: &str| format!("{committed}\n[assets.{name}]\npath = \"{name}.png\"\n");
    uploader.write("sword.png", png(7));
    uploader.write("assets.toml", with("sword"));
    shared.push(&uploader, &["assets.lock.toml", "ids.json", "sword.png"]);
    let clone = shared.clone(&[]);
    let (code, report) = clone.json(&["sync", "--once"]);
    assert_eq!((code, &report["actions"][0]["code"]), (1, &"never_committed".into()), "{report:#}");
    let hint = report["actions"][0]["hint"].as_str().unwrap();
    assert!(hint.starts_with("commit the manifest"), "{hint}");
    shared.push(&uploader, &["assets.toml"]);
    clone.git(&["pull", "--quiet"]);
    clone.sync();
    assert_eq!(shared.archived(), 0);
    uploader.write("assets.toml", &committed);
    uploader.git(&["commit", "--quiet", "--all", "--message", "no sword"]);
    uploader.git(&["push", "--quiet", "origin", "main"]);
    clone.git(&["pull", "--quiet"]);
    clone.sync();
    assert_eq!(shared.archived(), 1);
}

#[test]
fn an_asset_that_was_never_committed_can_be_archived_or_forgotten_by_hand() {
    for command in ["archive", "forget"] {
        let (shared, _uploader) = Shared::with_a_file_that_is_not_in_git();
        let clone = shared.clone(&[]);
        clone.run(&[command, "ui/new.png"]).expect(0);
        let (code, report) = clone.json(&["sync", "--once"]);
        assert_eq!((code, &report["actions"]), (0, &serde_json::json!([])), "{command}: {report:#}");
        assert_eq!(shared.archived(), usize::from(command == "archive"));
    }
}

/// Git can't tell there what was committed before.
#[test]
fn where_git_can_not_read_its_history_an_absence_is_no_removal() {
    let (shared, _uploader) = Shared::with_a_file_that_is_not_in_git();
    let clone = shared.clone(&[]);
    let objects = clone.file(".git/objects/pack");
    std::fs::rename(&objects, objects.with_extension("away")).unwrap();
    let (code, report) = clone.json(&["sync", "--once"]);
    assert_eq!((code, &report["actions"][0]["code"]), (1, &"never_committed".into()), "{report:#}");
    let plan = clone.run(&["plan"]).stdout;
    assert!(plan.contains("git can't tell whether its file ui/new.png was ever committed"), "{plan}");
    assert_eq!(shared.archived(), 0);
    // Whole again.
    std::fs::rename(objects.with_extension("away"), &objects).unwrap();
    let plan = clone.run(&["plan"]).stdout;
    assert!(plan.contains("was never committed to git"), "{plan}");
}

/// A pipeline often has the newest commit alone.
#[test]
fn a_shallow_clone_that_can_not_tell_a_removal_archives_nothing_and_says_what_to_fetch() {
    let (shared, uploader) = Shared::with_a_file_that_is_not_in_git();
    let clone = shared.clone(&["--depth=1"]);
    let ran = clone.run(&["sync", "--once"]).expect(1);
    assert!(
        ran.stdout.contains("this is a shallow clone") && ran.stdout.contains("`fetch-depth: 0`"),
        "{}",
        ran.stdout
    );
    assert_eq!(shared.archived(), 0);
    clone.git(&["fetch", "--quiet", "--unshallow"]);
    let plan = clone.run(&["plan"]).stdout;
    assert!(plan.contains("was never committed to git"), "{plan}");
    // A removal counts wherever the commits that are there show it.
    uploader.git(&["rm", "--quiet", "ui/b.png"]);
    uploader.git(&["commit", "--quiet", "--message", "remove"]);
    uploader.git(&["push", "--quiet", "origin", "main"]);
    for (depth, archived) in [("--depth=1", 0), ("--depth=2", 1)] {
        let clone = shared.clone(&[depth]);
        clone.run(&["sync", "--once"]).expect(1);
        assert_eq!(shared.archived(), archived, "{depth}");
    }
}

#[test]
fn where_removed_assets_are_kept_a_shallow_clone_goes_on() {
    let (shared, uploader) = Shared::new();
    uploader.write("assets.toml", MANIFEST.replace("\"archive\"", "\"keep\""));
    uploader.git(&["rm", "--quiet", "ui/b.png"]);
    uploader.git(&["commit", "--quiet", "--all", "--message", "remove"]);
    uploader.git(&["push", "--quiet", "origin", "main"]);
    shared.clone(&["--depth=1"]).sync();
    assert_eq!(shared.archived(), 0);
}

#[test]
fn a_file_that_never_got_to_roblox_leaves_without_a_trace() {
    let (shared, project) = Shared::new();
    let reply = serde_json::json!({
        "match": {"endpoint": "create_asset"},
        "action": {"kind": "reply", "status": 400, "shape": "service", "message": "no"},
    });
    shared.remote.control().add_faults(vec![serde_json::from_value(reply).unwrap()]).unwrap();
    project.write("ui/new.png", png(3));
    project.run(&["sync", "--once"]).expect(1);
    project.remove("ui/new.png");
    for _ in 0..2 {
        let (code, report) = project.json(&["sync", "--once"]);
        let told = (code, &report["actions"], report.to_string().contains("stays on Roblox"));
        assert_eq!(told, (0, &serde_json::json!([]), false), "{report:#}");
    }
    let (_, status) = project.json(&["status"]);
    assert!(!status.to_string().contains("ui/new.png"), "{status:#}");
}

/// The machine that uploaded a file saw it.
#[test]
fn a_file_that_its_own_machine_removes_is_removed() {
    let (shared, uploader) = Shared::with_a_file_that_is_not_in_git();
    uploader.remove("ui/new.png");
    uploader.sync();
    assert_eq!(shared.archived(), 1);
}

#[test]
fn commands_about_all_assets_warn_after_their_result_of_wanted_files_that_are_not_in_git() {
    let (shared, project) = Shared::with_a_file_that_is_not_in_git();
    let says = |args: &[&str]| project.run(args).stderr.matches("not in git").count();
    for name in ["x1", "x2", "x3"] {
        project.write(&format!("ui/{name}.png"), png(name.as_bytes()[1]));
    }
    let check = project.run(&["check"]).expect(0).stderr;
    let wanted = "warning: 4 asset files are not in git, so other machines lack them: ui/new.png, ui/x1.png, \
                  ui/x2.png and 1 more; `git add ui/new.png ui/x1.png ui/x2.png ui/x3.png`, and commit them with the lockfile\n";
    assert_eq!(check, wanted);
    for args in [&["plan"][..], &["status"], &["sync", "--once"], &["sync", "--once"], &["outputs"]] {
        assert_eq!(says(args), 1, "{args:?}");
    }
    for args in [
        &["pin", "ui/a.png", "1"][..],
        &["unpin", "ui/a.png", "--no-sync"],
        &["archive", "--yes", "ui/b.png"],
        &["restore", "ui/b.png"],
        &["import", "ui/a.png", "7"],
        &["retry", "ui/a.png"],
        &["forget", "ui/new.png"],
    ] {
        let syncs = args[0] == "pin";
        assert_eq!(says(args), usize::from(syncs), "without a sync it is about other assets: {args:?}");
    }
    project.write("assets.toml", format!("{}\nwrong = 1\n", project.read("assets.toml")));
    assert_eq!((says(&["plan"]), says(&["check"])), (0, 0), "an error comes alone");
    project.git(&["checkout", "-q", "--", "assets.toml"]);
    let (_, doctor) = project.json(&["doctor"]);
    let about = doctor["checks"].as_array().unwrap().iter().find(|check| check.to_string().contains("4 asset files"));
    assert_eq!(about.unwrap()["check"], "git", "{doctor:#}");
    // Ignored ones are no better off.
    project.write(".gitignore", "ui/x*\n");
    let plan = project.run(&["plan"]).expect(0).stderr;
    assert!(plan.contains(", 3 of which git is told to ignore,") && plan.contains("`git add --force"), "{plan}");
    project.git(&["add", "--force", "ui"]);
    assert_eq!((says(&["plan"]), says(&["status"]), says(&["check"])), (0, 0, 0));
    // A rehearsal's lockfile is nobody else's.
    project.write("ui/y.png", png(9));
    assert_eq!((says(&["plan"]), says(&["plan", "--emulator"])), (1, 0));
    // Nothing of this project is in git yet.
    project.git(&["rm", "--quiet", "--cached", "assets.toml"]);
    assert_eq!(says(&["plan"]), 0);
    drop(shared);
}

/// Both go to one place, as at a terminal.
#[test]
#[cfg(unix)]
fn the_warning_of_files_that_are_not_in_git_stands_below_the_result() {
    let (shared, project) = Shared::with_a_file_that_is_not_in_git();
    for (command, result) in [("check", "no problems found"), ("plan", "nothing to do"), ("status", "synced")] {
        let own = project.command(&[command]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "\"$0\" \"$@\" 2>&1"]).arg(own.get_program()).args(own.get_args());
        shell.current_dir(project.path()).env_clear();
        shell.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let told = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        assert!(told.find(result) < told.find("not in git") && told.contains(result), "{told}");
    }
    drop(shared);
}

/// However many files there are, and whatever their names, the command is whole.
#[test]
#[cfg(unix)]
fn the_proposed_git_add_can_be_pasted_and_adds_every_file() {
    let remote = Remote::start();
    let globs = "[globs.a]\npath = \"**/*.png\"\n";
    for (files, ignored) in [
        (vec!["ui/a b.png".to_owned(), "-x.png".to_owned(), "ui/c[1].png".to_owned()], false),
        ((1..=30).map(|number| format!("u[i] x/deep/{number}.png")).collect(), false),
        ((1..=30).map(|number| format!("ui/{number}.png")).collect(), true),
        ((1..=30).map(|number| format!("ui/{number}.png")).chain(["top.png".to_owned()]).collect(), false),
        ((1..=30).map(|number| format!("f{number}/a.png")).chain(["top.png".to_owned()]).collect(), false),
    ] {
        let project = Project::new(&format!("[creator]\nuser_id = 1\n\n{globs}")).at(&remote.url());
        for (number, file) in (1..).zip(&files) {
            project.write(file, png(number));
        }
        if ignored {
            project.write(".gitignore", "*.png\n");
        }
        project.git(&["init", "-q"]);
        project.git(&["add", "assets.toml"]);
        let (_, document) = project.json(&["check"]);
        let hint = document["warnings"][0]["hint"].as_str().unwrap();
        let command = hint.split('`').nth(1).unwrap();
        assert!(command.starts_with("git add "), "{hint}");
        let ran = std::process::Command::new("sh").args(["-c", command]).current_dir(project.path()).output().unwrap();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        let (_, document) = project.json(&["check"]);
        assert_eq!(document["warnings"], serde_json::json!([]), "{command}");
    }
}
