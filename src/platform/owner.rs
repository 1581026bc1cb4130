//! Checks which user owns a file, to decide whether it may be trusted.

use std::fmt;
use std::path::Path;

/// A user of this machine, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(u32);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another user (uid {})", self.0)
    }
}

/// Returns the owner of `path`, if that is neither this user nor root, who can do anything anyway.
/// A link is not followed. `None` if nothing is there, or the system has no owners.
#[cfg(unix)]
pub(crate) fn foreign(path: &Path) -> Option<Owner> {
    use std::os::unix::fs::MetadataExt as _;

    let owner = std::fs::symlink_metadata(path).ok()?.uid();
    is_foreign(owner, rustix::process::geteuid().as_raw()).then_some(Owner(owner))
}

/// Returns `None`: this system has no such owners.
#[cfg(not(unix))]
pub(crate) fn foreign(_path: &Path) -> Option<Owner> {
    None
}

#[cfg(unix)]
const fn is_foreign(owner: u32, me: u32) -> bool {
    owner != me && owner != 0
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_user_and_root_are_trusted() {
        assert!(!is_foreign(1000, 1000) && !is_foreign(0, 1000) && !is_foreign(0, 0));
        assert!(is_foreign(1001, 1000) && is_foreign(1000, 0));
        assert_eq!(foreign(Path::new("/")), None);
        assert_eq!(foreign(tempfile::tempdir().unwrap().path()), None);
        assert!(Owner(7).to_string().contains("uid 7"));
    }
}
