//! The environment of the command: what it is told, and what it must not see.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::CommandSettings;
use super::shipped::{Shipped, absolute};
use crate::engine::workspace::git;
use crate::platform::process::ShellEnvironment;
use crate::telemetry::systemd;

/// Variables that the command must not see: credentials, and those that systemd sets for this
/// process alone.
const HIDDEN: &[&str] =
    &["ROBLOX_API_KEY", "ROBLOX_OAUTH_TOKEN", "CREDENTIALS_DIRECTORY", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Returns whether a line break in a path would make two of it.
pub(super) fn has_line_break(path: &Path) -> bool {
    absolute(path).as_os_str().as_encoded_bytes().contains(&b'\n')
}

/// Returns the environment in which the command is told of these paths.
pub(super) fn environment(setting: &CommandSettings, paths: &[PathBuf], shipped: Option<&Shipped>) -> ShellEnvironment {
    let CommandSettings { command: _, project, hidden } = setting;
    let mut changed = OsString::new();
    for path in paths {
        if !changed.is_empty() {
            // Many file names have spaces. Those with a line break were refused.
            changed.push("\n");
        }
        changed.push(absolute(path));
    }
    let mut with = vec![
        ("MACADAM_CHANGED", changed),
        ("MACADAM_MANIFEST", absolute(&project.manifest).into()),
        ("MACADAM_LOCKFILE", absolute(&project.lockfile).into()),
    ];
    // Where git looks for itself, files in the project may lead it to another repository.
    let repository = git::own_folder(&project.root).map(|folder| ("MACADAM_GIT_DIR", absolute(&folder).into()));
    with.extend(repository);
    with.extend(shipped.map(Shipped::variables).into_iter().flatten());
    ShellEnvironment {
        with,
        without: HIDDEN
            .iter()
            .chain(&systemd::NOT_FOR_CHILDREN)
            .map(|name| (*name).to_owned())
            .chain(hidden.iter().cloned())
            .collect(),
    }
}
