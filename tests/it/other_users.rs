//! A build box on which two users run Macadam: the service's, and root. What root writes is root's, and
//! the service can't use it.
#![cfg(unix)]

use std::process::Command;

use super::state_folder::checkout;
use super::support::system::{self, NOBODY};
use super::support::{Project, Ran, Remote, SECRET, copy_program, png};

/// A synced project of another user's; `None` where this user can't give files away.
fn of_another_user(remote: &Remote) -> Option<Project> {
    if !system::is_root() {
        return None;
    }
    let project = checkout(remote);
    project.sync();
    copy_program(&project.file("macadam"));
    for path in walk(&project) {
        system::give(path, NOBODY, Some(NOBODY)).unwrap();
    }
    Some(project)
}

/// The project's folder and all that is in it.
fn walk(project: &Project) -> Vec<std::path::PathBuf> {
    let (mut found, mut next) = (vec![project.path().to_owned()], 0);
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Runs the program as the owner of the project.
fn as_owner(project: &Project, args: &[&str]) -> Ran {
    let inner = project.command(args);
    let mut command = Command::new(project.file("macadam"));
    command.args(inner.get_args()).current_dir(project.path()).env_clear().env("ROBLOX_API_KEY", SECRET);
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(system::run_as(&mut command, NOBODY).output().unwrap())
}

#[test]
fn root_leaves_no_file_in_a_project_of_another_user() {
    let remote = Remote::start();
    let Some(project) = of_another_user(&remote) else { return };
    project.write("ui/a.png", png(7));
    system::give(project.file("ui/a.png"), NOBODY, Some(NOBODY)).unwrap();
    for (args, command) in [
        (&["pin", "ui/b.png", "1"][..], "pin"),
        (&["pin", "ui/b.png", "1", "--no-sync"], "pin"),
        (&["forget", "--yes", "ui/b.png"], "forget"),
        (&["sync", "--once"], "sync --once"),
        (&["sync"], "sync"),
    ] {
        let ran = project.run(args).expect(3);
        assert!(
            ran.stderr.contains("belongs to the user nobody, who can't use what root writes here"),
            "{}",
            ran.stderr
        );
        let way_on = format!("hint: run it as the user nobody: `sudo -u nobody macadam {command} …`");
        assert!(ran.stderr.contains(&way_on), "{}", ran.stderr);
    }
    drop(project.run(&["status"]).expect(0));
    drop(project.run(&["plan"]).expect(0));
    for path in walk(&project) {
        assert_eq!(system::owner_of(&path.metadata().unwrap()), NOBODY, "{}", path.display());
    }
    drop(as_owner(&project, &["sync", "--once"]).expect(0));
}

#[test]
fn a_file_that_is_another_users_is_told_with_its_owner() {
    let remote = Remote::start();
    let Some(project) = of_another_user(&remote) else { return };
    let give_to_root = |path: &std::path::Path| {
        if !path.exists() {
            std::fs::write(path, "").unwrap();
        }
        system::give(path, 0, Some(0)).unwrap();
        system::set_mode(path, 0o600);
    };
    let told = |path: &std::path::Path| {
        let ran = as_owner(&project, &["sync", "--once"]).expect(3);
        assert!(ran.stderr.contains("it belongs to root"), "{}", ran.stderr);
        let chown = format!("`sudo chown nobody {}`", path.display());
        assert!(ran.stderr.contains(&chown), "{}", ran.stderr);
    };
    let outcomes = project.state().with_extension("db.outcomes");
    for path in [project.file("assets.toml"), project.file("assets.lock.toml"), project.state(), outcomes.clone()] {
        give_to_root(&path);
        told(&path);
        system::give(&path, NOBODY, Some(NOBODY)).unwrap();
    }
    std::fs::remove_file(outcomes).unwrap();
    drop(as_owner(&project, &["sync", "--once"]).expect(0));
}
