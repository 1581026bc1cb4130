//! `macadam-commit-push`, the command that ships inside the program, so that
//! `--on-change macadam-commit-push` works where only the program was installed.
//!
//! It is unpacked anew for each run, since cleaners of temporary folders may delete it between two
//! runs of a service, and it stands last in the command's `PATH`: one that a person installed wins.
#![expect(clippy::disallowed_methods, reason = "this module writes the script, and reads what the command's path is")]

use std::env;
use std::ffi::OsString;
use std::io;

/// The script.
const COMMIT_PUSH: &str = include_str!("../../../systemd/macadam-commit-push");

/// The unpacked script; dropped, it is gone.
#[derive(Debug)]
pub struct Shipped {
    folder: tempfile::TempDir,
}

impl Shipped {
    /// Unpacks the script into a folder of its own, which nobody else can write.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn unpack() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("macadam-").tempdir()?;
        let script = folder.path().join("macadam-commit-push");
        std::fs::write(&script, COMMIT_PUSH)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder })
    }

    /// What the command needs to find the script, and the script this program (for the merge driver).
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([self.folder.path().to_owned()]);
        let mut variables = Vec::new();
        if let Ok(path) = env::join_paths(folders) {
            variables.push(("PATH", path));
        }
        if let (None, Ok(program)) = (env::var_os("MACADAM"), env::current_exe()) {
            variables.push(("MACADAM", program.into()));
        }
        variables
    }
}
