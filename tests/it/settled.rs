//! Nothing to do is a proof: a run or a plan that would find everything as it was reads no file, no
//! lockfile and no revision.

use macadam::emulator::ApiEndpoint;

use super::support::git::git;
use crate::support::{Project, Remote, png, rbxmx};

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n\n[assets.sword]\npath = \"sword.rbxmx\"\n\n[[outputs]]\npath = \"ids.json\"\n";

/// A project in a git checkout, synced, with the proof that there is nothing to do.
fn proved(manifest: &str) -> (Remote, Project) {
    let remote = Remote::start();
    let project = Project::new(manifest).at(&remote.url());
    git(project.path(), &["init", "-q", "-b", "main"]);
    for (path, content) in [("ui/a.png", png(1)), ("ui/b.png", png(2)), ("sword.rbxmx", rbxmx("1").into())] {
        project.write(path, content);
    }
    project.run(&["sync", "--once"]).expect(0);
    git(project.path(), &["add", "-A"]);
    git(project.path(), &["commit", "-q", "-m", "synced"]);
    // Times that are too recent prove nothing.
    project.pass(1);
    project.run(&["sync", "--once"]).expect(0);
    (remote, project)
}

/// The same with a state that has lost its revisions behind Macadam's back: a command that needs
/// them fails with exit code 3.
fn settled(manifest: &str) -> (Remote, Project) {
    let (remote, project) = proved(manifest);
    let state = rusqlite::Connection::open(project.state()).unwrap();
    assert_eq!(state.execute("DELETE FROM revisions", []).unwrap(), 3);
    (remote, project)
}

/// Takes the proof away.
fn forget_the_proof(project: &Project) {
    let state = rusqlite::Connection::open(project.state()).unwrap();
    assert_eq!(state.execute("DELETE FROM settled", []).unwrap(), 1);
}

/// Changes something and checks that the proof doesn't count any more.
#[track_caller]
fn check(what: &str, change: impl FnOnce(&Project)) {
    let (_remote, project) = settled(MANIFEST);
    change(&project);
    for command in [&["sync", "--once"][..], &["plan"]] {
        let ran = project.run(command);
        assert_eq!(ran.code, 3, "{what}, {command:?}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_run_and_a_plan_with_nothing_to_do_need_only_the_proof() {
    let (remote, project) = settled(MANIFEST);
    let before = remote.requests(ApiEndpoint::GetAsset);
    let ran = project.run(&["sync", "--once"]).expect(0);
    assert_eq!(ran.stdout, "Done. 3 assets are up to date, nothing to do.\n");
    let ran = project.run(&["plan"]).expect(0);
    assert_eq!(ran.stdout, "Plan: nothing to do, 3 assets are up to date.\n");
    assert_eq!(remote.requests(ApiEndpoint::GetAsset), before);
    // What asks for more gets more.
    for command in [&["sync", "--once", "--refresh"][..], &["plan", "--refresh"]] {
        assert_eq!(project.run(command).code, 3, "{command:?}");
    }
}

#[test]
fn the_proof_gives_the_same_documents_as_a_plan() {
    let (_remote, project) = proved(MANIFEST);
    let commands = [
        &["plan"][..],
        &["status"],
        &["status", "ui/a.png", "sword"],
        &["history", "sword"],
        &["history", "ui/a.png", "sword"],
        &["open", "ui/b.png"],
        &["sync", "--once"],
    ];
    let proved = commands.map(|command| project.json(command));
    for (command, proved) in commands.into_iter().zip(proved) {
        // A run proves it anew.
        forget_the_proof(&project);
        assert_eq!(project.json(command), proved, "{command:?}");
        project.run(&["sync", "--once"]).expect(0);
    }
}

#[test]
fn one_address_is_known_from_its_own_file() {
    let (_remote, project) = settled(MANIFEST);
    let codes = || {
        [&["status", "ui/a.png"][..], &["open", "ui/a.png"], &["history", "ui/a.png"], &["status"]]
            .map(|command| project.run(command).code)
    };
    assert_eq!(codes(), [0, 0, 0, 0]);
    project.write("ui/b.png", png(7));
    assert_eq!(codes(), [0, 0, 0, 3], "only all of them need the other file");
    project.write("ui/a.png", png(8));
    assert_eq!(codes(), [3, 3, 3, 3]);
    // What shows another asset depends on that one's file.
    let (_remote, project) = settled(&MANIFEST.replace("\n\n[[outputs]]", "\nicon = \"ui/a.png\"\n\n[[outputs]]"));
    assert_eq!(project.run(&["status", "sword"]).code, 0);
    project.write("ui/a.png", png(9));
    assert_eq!(project.run(&["status", "sword"]).code, 3);
}

/// Another run may have looked at a file that changed, and uploaded nothing of it.
#[test]
fn one_address_is_what_its_file_was_when_there_was_nothing_to_do() {
    let state = |project: &Project| {
        let (_, document) = project.json(&["status", "ui/a.png"]);
        document["assets"][0]["state"].as_str().map(str::to_owned)
    };
    for (content, expected) in [(png(9), "pending"), (b"no picture".to_vec(), "failed")] {
        let (_remote, project) = proved(MANIFEST);
        assert_eq!(state(&project).as_deref(), Some("synced"));
        project.write("ui/a.png", content);
        project.pass(1);
        project.run(&["sync", "--once", "ui/b.png"]);
        assert_eq!(state(&project).as_deref(), Some(expected));
    }
}

#[test]
fn whatever_a_plan_depends_on_ends_the_proof() {
    check("a file with other bytes of the same length and time", |project| {
        let path = project.file("ui/a.png");
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        project.write("ui/a.png", png(3));
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    });
    check("a new file", |project| project.write("ui/c.png", png(1)));
    check("a removed file", |project| project.remove("ui/b.png"));
    check("the manifest", |project| project.write("assets.toml", format!("{MANIFEST}# a comment\n")));
    check("the lockfile", |project| project.write("assets.lock.toml", project.read("assets.lock.toml")));
    check("an output", |project| project.remove("ids.json"));
}

#[test]
fn git_and_the_clock_end_the_proof() {
    check("another commit in its place", |project| {
        git(project.path(), &["commit", "-q", "--allow-empty", "--amend", "-m", "another"]);
    });
    check("another branch", |project| {
        git(project.path(), &["switch", "-q", "-c", "other"]);
    });
    check("git's index", |project| {
        git(project.path(), &["rm", "-q", "--cached", "ui/a.png"]);
    });
    check("git at work", |project| project.write(".git/index.lock", ""));
    check("a day later", |project| project.pass(25 * 60));
}

#[test]
fn a_file_that_leaves_git_is_told_and_git_add_needs_no_plan() {
    let (_remote, project) = proved(MANIFEST);
    let warns = || project.run(&["status"]).expect(0).stderr.contains("ui/a.png");
    assert!(!warns());
    git(project.path(), &["rm", "-q", "--cached", "ui/a.png"]);
    assert!(warns());
    git(project.path(), &["add", "ui/a.png"]);
    assert!(!warns());
    let state = rusqlite::Connection::open(project.state()).unwrap();
    assert_eq!(state.execute("DELETE FROM revisions", []).unwrap(), 3);
    let ran = project.run(&["sync", "--once"]).expect(0);
    assert_eq!(ran.stdout, "Done. 3 assets are up to date, nothing to do.\n");
}

#[test]
fn a_run_that_has_something_to_say_proves_nothing() {
    let remote = Remote::start();
    let unused = "[globs.none]\npath = \"none/*.png\"\n";
    let project = Project::new(&format!("{MANIFEST}\n{unused}")).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("sword.rbxmx", rbxmx("1"));
    project.run(&["sync", "--once"]).expect(0);
    project.pass(1);
    project.run(&["sync", "--once"]).expect(0);
    let state = rusqlite::Connection::open(project.state()).unwrap();
    let proofs: i64 = state.query_row("SELECT count(*) FROM settled", [], |row| row.get(0)).unwrap();
    assert_eq!(proofs, 0, "the glob's folder is missing");
    // The next change of the state deletes a proof.
    project.write("assets.toml", MANIFEST);
    project.run(&["sync", "--once"]).expect(0);
    project.pass(1);
    project.run(&["sync", "--once"]).expect(0);
    let proofs = || state.query_row("SELECT count(*) FROM settled", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(proofs(), 1);
    project.run(&["archive", "--yes", "sword"]).expect(0);
    assert_eq!(proofs(), 0);
}
