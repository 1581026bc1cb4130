//! Git for tests: without this machine's settings, with an author, and with local submodules.

use std::path::Path;
use std::process::{Command, Output};

/// A program that sees none of this machine's git settings.
pub fn isolated(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    super::system::prepare(&mut command);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@example.com");
    }
    command
}

/// Runs a git command that may fail.
pub fn try_git(folder: &Path, args: &[&str]) -> Output {
    isolated("git", folder).args(["-c", "protocol.file.allow=always"]).args(args).output().unwrap()
}

/// Runs a git command and returns what it printed.
#[track_caller]
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = try_git(folder, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
