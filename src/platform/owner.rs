//! Checks which user owns a file, to decide whether it may be trusted, and to say whose it is.

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

/// The most bytes to read of the list of users.
#[cfg(unix)]
const USERS_BYTES: u64 = 1 << 20;

impl Owner {
    /// Returns whether it is root.
    pub(crate) const fn is_root(self) -> bool {
        self.0 == 0
    }

    /// The user in words: `root`, `the user macadam`, `the user 991`.
    pub(crate) fn in_words(self) -> String {
        match (self.0, self.named()) {
            (0, _) => "root".to_owned(),
            (_, Some(name)) => format!("the user {name}"),
            (number, None) => format!("the user {number}"),
        }
    }

    /// The user as `chown` takes it.
    pub(crate) fn for_chown(self) -> String {
        self.named().unwrap_or_else(|| self.0.to_string())
    }

    /// The user as `sudo -u` takes it.
    pub(crate) fn for_sudo(self) -> String {
        self.named().unwrap_or_else(|| format!("'#{}'", self.0))
    }

    /// The name, where the system's list of users has one that can be typed.
    #[cfg(unix)]
    #[expect(
        clippy::disallowed_methods,
        reason = "the system's own file, and `own_file` says whose a file is by this module"
    )]
    fn named(self) -> Option<String> {
        use std::io::Read as _;

        let mut users = Vec::new();
        std::fs::File::open("/etc/passwd").ok()?.take(USERS_BYTES).read_to_end(&mut users).ok()?;
        let users = String::from_utf8_lossy(&users).into_owned();
        let name = users.lines().map(|line| line.split(':')).find_map(|mut fields| {
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(self.0)).then(|| name.to_owned())
        })?;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        (!name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)).then_some(name)
    }

    #[cfg(not(unix))]
    fn named(self) -> Option<String> {
        let Self(_) = self;
        None
    }
}

/// Returns the owner of `path` and this user, if they are two: root, too, leaves files that their owner
/// can't use afterwards. A link is not followed. `None` if nothing is there, or the system has no owners.
#[cfg(unix)]
pub(crate) fn another(path: &Path) -> Option<(Owner, Owner)> {
    use std::os::unix::fs::MetadataExt as _;

    let owner = std::fs::symlink_metadata(path).ok()?.uid();
    let me = rustix::process::geteuid().as_raw();
    (owner != me).then_some((Owner(owner), Owner(me)))
}

/// Returns `None`: this system has no such owners.
#[cfg(not(unix))]
pub(crate) fn another(_path: &Path) -> Option<(Owner, Owner)> {
    None
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
        assert_eq!(another(tempfile::tempdir().unwrap().path()), None);
        let words = |number| [Owner(number).in_words(), Owner(number).for_chown(), Owner(number).for_sudo()];
        assert_eq!(words(0), ["root"; 3]);
        assert_eq!(words(4_000_000_007), ["the user 4000000007", "4000000007", "'#4000000007'"]);
    }
}
