//! Whether a file could be made at a path, told without making it.
//!
//! A hint: another program may change rights at any time, so who makes a file checks that itself.
//! Read next: [`super::folder`], which makes folders.

use std::io;
use std::path::Path;

/// Checks whether the folder of a file that isn't there can be made, or written.
///
/// # Errors
/// The error that making it would have, as far as the system tells.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let found = path.ancestors().skip(1).find_map(|folder| Some((folder, folder.metadata().ok()?)));
    let Some((folder, metadata)) = found else { return Ok(()) };
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    is_writable(folder)
}

#[cfg(unix)]
fn is_writable(folder: &Path) -> io::Result<()> {
    use rustix::fs::Access;

    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Windows says it only to who tries.
#[cfg(not(unix))]
fn is_writable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_made_below_a_folder_and_not_below_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(&folder.path().join("a/b/state.db")).is_ok());
        let file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        let refused = check(&file.path().join("b/state.db")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotADirectory);
    }
}
