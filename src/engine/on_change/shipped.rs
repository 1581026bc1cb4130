//! `macadam-commit-push`, the command that ships inside the program, so that `--on-change
//! macadam-commit-push` works where only the program is installed.
//!
//! Each run unpacks it again, since cleaners of temporary folders may delete it between two runs of
//! a service. It comes last in the command's `PATH`, so that one that a person installed wins.
#![expect(clippy::disallowed_methods, reason = "this module writes the script, and reads what the command's path is")]

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The script.
const COMMIT_PUSH: &str = include_str!("../../../systemd/macadam-commit-push");

/// The script's name.
const NAME: &str = "macadam-commit-push";

/// Returns the command that checks whether the script could commit and push here, or `None` if
/// `command` doesn't begin with the script. Variables may precede it.
pub(super) fn check_of(command: &str) -> Option<String> {
    let is_variable = |word: &&str| word.split_once('=').is_some_and(|(name, _)| !name.contains(['"', '\'', '$', '`']));
    let variables: Vec<&str> = command.split_whitespace().take_while(is_variable).collect();
    let first = command.split_whitespace().nth(variables.len())?;
    let is_plain = |word: &str| !word.contains(['"', '\'', '`', '\\', '(', ')', ';', '&', '|', '<', '>']);
    let is_it = first == NAME && variables.iter().all(|word| is_plain(word));
    is_it.then(|| variables.into_iter().chain([NAME, "--check"]).collect::<Vec<_>>().join(" "))
}

/// Lets `cmd` run the script: git brings a `sh`, which is not in the path of Windows, but runs git's
/// aliases.
#[cfg(windows)]
const FOR_CMD: &str = "@git -c \"alias.macadam-sh=!sh\" macadam-sh \"%~dp0macadam-commit-push\" %*\r\n";

/// The unpacked script, removed on drop.
#[derive(Debug)]
pub(super) struct Shipped {
    folder: tempfile::TempDir,
}

impl Shipped {
    /// Unpacks the script into a folder of its own that only this user can write.
    ///
    /// # Errors
    /// When the folder or the script can't be written.
    pub(super) fn unpack() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("macadam-").tempdir()?;
        let script = folder.path().join(NAME);
        std::fs::write(&script, COMMIT_PUSH)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
        }
        #[cfg(windows)]
        std::fs::write(script.with_extension("cmd"), FOR_CMD)?;
        Ok(Self { folder })
    }

    /// Returns the variables by which the command finds the script, and the script finds this
    /// program (for the merge driver).
    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([self.folder.path().to_owned()]);
        let mut variables = Vec::new();
        if let Ok(path) = env::join_paths(folders) {
            variables.push(("PATH", path));
        }
        if let (None, Ok(program)) = (env::var_os("MACADAM"), env::current_exe()) {
            variables.push(("MACADAM", absolute(&program).into()));
        }
        variables
    }
}

/// Returns an absolute path: the command may change its folder before it uses one. On Windows it has
/// `/` between its parts, which every program there takes and `sh` needs.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_: io::Error| path.to_owned());
    #[cfg(windows)]
    let path = match path.to_str() {
        Some(text) => text.replace('\\', "/").into(),
        None => path,
    };
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shipped_command_can_be_asked() {
        let check =
            |command: &str, expected: Option<&str>| assert_eq!(check_of(command).as_deref(), expected, "{command}");
        check("macadam-commit-push", Some("macadam-commit-push --check"));
        check(" macadam-commit-push && ./deploy", Some("macadam-commit-push --check"));
        check("MACADAM_BRANCH=main macadam-commit-push", Some("MACADAM_BRANCH=main macadam-commit-push --check"));
        check("A='b c' macadam-commit-push", None);
        check("./macadam-commit-push", None);
        check("make && macadam-commit-push", None);
        check("", None);
    }
}
