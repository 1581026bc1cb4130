//! Where the state lives: in a git checkout out of the reach of `git clean` and of what a pull
//! request brings, one for each manifest, by the real git.

use std::path::{Path, PathBuf};
use std::process::Command;

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::service::Service;
use super::support::git::git;
use super::support::system::{self, NOBODY, symlink};
use super::support::{GLOBS, Project, Ran, Remote, copy_program, png};

/// A project in a git checkout, with two pictures, and nothing synced yet.
pub fn checkout(remote: &Remote) -> Project {
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(2));
    git(project.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(project.path(), &["add", "--all"]);
    git(project.path(), &["commit", "--quiet", "--message=first"]);
    project
}

/// Runs the program in another folder than the project's.
#[track_caller]
fn run_in(project: &Project, folder: &str, args: &[&str], code: i32) -> Ran {
    Ran::of(project.command(args).current_dir(project.file(folder)).output().unwrap()).expect(code)
}

/// `sync --once --emulator` with its result, which is about a remote of its own.
fn rehearse(project: &Project) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_macadam"));
    command.args(["sync", "--once", "--emulator", "--json"]).current_dir(project.path()).env_clear();
    system::prepare(&mut command);
    Ran::of(command.output().unwrap())
}

fn databases(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![below.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap().is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|ending| ending == "db") => {
                    found.push(path.strip_prefix(below).unwrap().to_owned());
                }
                false => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn git_clean_leaves_the_state_and_nothing_of_ours_is_in_the_work_tree() {
    let remote = Remote::start();
    let project = checkout(&remote);
    project.sync();
    rehearse(&project).expect(0);
    assert_eq!(git(project.path(), &["status", "--porcelain", "--ignored"]), "?? assets.lock.toml\n");
    git(project.path(), &["add", "assets.lock.toml"]);
    git(project.path(), &["commit", "--quiet", "--message=lockfile"]);
    git(project.path(), &["clean", "-ffdxq"]);
    assert_eq!(project.state(), project.file(".git/macadam/assets.toml.db"));
    assert!(project.state().exists());
    assert!(project.state_folder().join("emulator/world.json").exists());
    let requests = remote.all_requests();
    assert_eq!(project.sync()["actions"], json!([]));
    assert_eq!(remote.all_requests(), requests);
    // Neither is it part of the repository for git itself.
    git(project.path(), &["gc", "--quiet", "--prune=now"]);
    git(project.path(), &["fsck", "--strict"]);
    assert!(project.state().exists());
}

#[test]
fn each_work_tree_and_each_manifest_has_a_state_of_its_own() {
    let remote = Remote::start();
    let project = checkout(&remote);
    for (seed, folder) in (3..).zip(["game", "game/assets.toml.db", "emulator"]) {
        project.write(&format!("{folder}/assets.toml"), GLOBS);
        project.write(&format!("{folder}/ui/c.png"), png(seed));
    }
    project.write("game/other.toml", GLOBS);
    git(project.path(), &["add", "--all"]);
    git(project.path(), &["commit", "--quiet", "--message=second"]);
    git(project.path(), &["worktree", "add", "--quiet", "linked"]);
    // A submodule: this very repository, of which only the root's manifest is used there.
    git(project.path(), &["submodule", "--quiet", "add", "./", "module"]);

    for (folder, args) in [
        (".", &["sync", "--once"][..]),
        ("game", &["sync", "--once"]),
        ("game", &["sync", "--once", "--manifest", "other.toml", "--accept-new-lockfile"]),
        ("game", &["sync", "--once", "--manifest", "../game/assets.toml.db/assets.toml"]),
        ("emulator/ui", &["sync", "--once"]),
        ("linked/game", &["sync", "--once"]),
        ("module", &["sync", "--once"]),
    ] {
        run_in(&project, folder, args, 0);
    }
    rehearse(&project).expect(0);
    let expected = [
        ".git/macadam/%65mulator/assets.toml.db",
        ".git/macadam/assets.toml.db",
        ".git/macadam/emulator/assets.toml.db",
        ".git/macadam/game/assets%2etoml%2edb/assets.toml.db",
        ".git/macadam/game/assets.toml.db",
        ".git/macadam/game/other.toml.db",
        ".git/modules/module/macadam/assets.toml.db",
        ".git/worktrees/linked/macadam/game/assets.toml.db",
    ];
    assert_eq!(databases(project.path()), expected.map(PathBuf::from));
    // However the manifest is named, and by whatever way its folder is reached, it is the same one.
    let before = remote.all_requests();
    symlink("game", project.file("way")).unwrap();
    run_in(&project, "way", &["sync", "--once"], 0);
    run_in(&project, "linked", &["sync", "--once", "--manifest", "../game/../game/assets.toml"], 0);
    // A hook's environment changes nothing.
    let mut hook = project.command(&["sync", "--once"]);
    hook.env("GIT_DIR", project.file(".git/worktrees/linked")).env("GIT_WORK_TREE", project.file("linked"));
    Ran::of(hook.output().unwrap()).expect(0);
    assert_eq!(databases(project.path()), expected.map(PathBuf::from));
    assert_eq!(remote.all_requests(), before);
    git(project.path(), &["worktree", "remove", "--force", "linked"]);
    assert!(!project.file(".git/worktrees").exists(), "what belonged to the work tree is gone with it");
}

#[test]
#[cfg_attr(windows, ignore = "no FIFOs")]
fn files_planted_beside_the_manifest_have_no_effect() {
    let remote = Remote::start();
    let project = checkout(&remote);
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    // Another project's state, whose lock is held.
    let elsewhere = Project::new(GLOBS).at(&remote.url());
    let other = Service::start(&elsewhere, &[]);

    for plant in [
        &(|at: &Path| symlink(outside.path(), at).unwrap()) as &dyn Fn(&Path),
        &|at| symlink(elsewhere.state_folder(), at).unwrap(),
        &|at| std::fs::write(at, "no folder").unwrap(),
        &|at| {
            std::fs::create_dir(at).unwrap();
            for name in [".gitignore", "assets.db", "assets.db-wal", "assets.db.holder", "assets.db.bell"] {
                symlink(&victim, at.join(name)).unwrap();
            }
            symlink(elsewhere.state_folder().join("assets.db.lock"), at.join("assets.db.lock")).unwrap();
            symlink(outside.path(), at.join("emulator")).unwrap();
        },
        &|at| {
            std::fs::create_dir(at).unwrap();
            Command::new("mkfifo").arg(at.join("assets.db")).arg(at.join("assets.db.lock")).status().unwrap();
        },
    ] {
        let at = project.file(".macadam");
        plant(&at);
        let done = project.run(&["init"]).expect(0);
        assert!(!done.stdout.contains(".macadam/"), "{}", done.stdout);
        for args in [&["sync", "--once"][..], &["plan"], &["status"]] {
            project.run(args).expect(0);
        }
        rehearse(&project).expect(0);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        match at.symlink_metadata().unwrap().is_dir() {
            true => std::fs::remove_dir_all(at).unwrap(),
            false => std::fs::remove_file(at).unwrap(),
        }
    }
    other.end();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
}

#[test]
#[cfg_attr(windows, ignore = "no FIFOs")]
fn a_git_file_that_can_not_be_understood_stops_what_needs_a_state_and_nothing_else() {
    let remote = Remote::start();
    let project = checkout(&remote);
    std::fs::rename(project.file(".git"), project.file("aside")).unwrap();
    for plant in [
        &(|at: &Path| std::fs::write(at, "gitdir: /nowhere/at/all\n").unwrap()) as &dyn Fn(&Path),
        &|at| std::fs::write(at, "").unwrap(),
        &|at| {
            Command::new("mkfifo").arg(at).status().unwrap();
        },
    ] {
        let at = project.file(".git");
        plant(&at);
        rehearse(&project).expect(3);
        for args in [&["sync", "--once"][..], &["plan"], &["status"]] {
            let (code, document) = project.json(args);
            assert_eq!(code, 3, "{document:#}");
            assert!(document["errors"][0]["hint"].as_str().unwrap().contains("--state"), "{document:#}");
        }
        project.run(&["check"]).expect(0);
        project.run(&["plan", "--state", "by-hand.db"]).expect(0);
        std::fs::remove_file(at).unwrap();
    }
    assert!(!project.file(".macadam").exists());
    assert_eq!(remote.all_requests(), 0);
    // An empty folder of that name is nothing to git either.
    std::fs::create_dir(project.file(".git")).unwrap();
    project.sync();
    assert!(project.file(".macadam/assets.db").exists());
}

#[test]
fn a_service_that_began_before_the_folder_was_a_checkout_keeps_others_out() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    git(project.path(), &["init", "--quiet"]);
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 5, "{document:#}");
    service.end();
    assert_eq!(project.sync()["actions"], json!([]));
    assert_eq!(databases(&project.file(".git")), [PathBuf::from("macadam/assets.toml.db")]);
}

#[test]
#[cfg_attr(windows, ignore = "folders have no such permissions")]
fn readers_work_in_a_checkout_that_can_not_be_written() {
    let remote = Remote::start();
    let project = checkout(&remote);
    project.sync();
    let folders = [project.path().to_owned(), project.file(".git"), project.state_folder()];
    if system::is_root() {
        // Nothing is read-only for root: nobody looks, from a copy of the program that they can
        // reach.
        copy_program(&project.file("macadam"));
        for entry in std::fs::read_dir(project.state_folder()).unwrap() {
            system::give(entry.unwrap().path(), NOBODY, Some(NOBODY)).unwrap();
        }
        folders.iter().for_each(|folder| system::give(folder, NOBODY, Some(NOBODY)).unwrap());
    }
    let mode = |mode| {
        let there = folders.iter().filter(|folder| folder.exists());
        there.for_each(|folder| system::set_mode(folder, mode));
    };
    mode(0o555);
    for state in [true, false] {
        for args in [&["plan"][..], &["status"], &["history", "ui/a.png"]] {
            let inner = project.command(args);
            let mut command = Command::new(inner.get_program());
            if system::is_root() {
                command = Command::new(project.file("macadam"));
                system::run_as(&mut command, NOBODY);
            }
            command.args(inner.get_args()).current_dir(project.path()).env_clear();
            let ran = Ran::of(command.output().unwrap()).expect(0);
            assert!(args != ["plan"] || ran.stdout.contains("nothing to do"), "{state}: {}", ran.stdout);
        }
        // The lockfile alone does as well.
        mode(0o755);
        project.remove_state();
        mode(0o555);
    }
    mode(0o755);
}
