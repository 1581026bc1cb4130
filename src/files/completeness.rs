//! Checks whether a file on disk is complete by its own format, for the [`super::Debouncer`].
//!
//! The answer is no promise: another program may write the next moment. The upload still verifies
//! the content as it streams.
//!
//! Read next: `inspect/whole.rs` for each format.

use std::path::Path;

use super::inspect;
use super::open::{Root, open};
use crate::model::path::ProjectPath;
use crate::platform::fingerprint;

/// Returns whether the file at `path` below `root` is complete, as far as its format shows, and did
/// not change during the check.
///
/// Returns `false` for a file that can't be read or that Roblox would refuse, and for a format that
/// doesn't show it; such a file only waits longer. Reads headers and tails, which takes
/// milliseconds for most files. Blocks.
pub(crate) fn is_whole(root: &Path, path: &ProjectPath) -> bool {
    Root::new(root).is_ok_and(|root| is_whole_in(&root, path))
}

/// The same as [`is_whole`] below a known root.
pub(super) fn is_whole_in(root: &Root, path: &ProjectPath) -> bool {
    looks_whole(root, path).unwrap_or(false)
}

fn looks_whole(root: &Root, path: &ProjectPath) -> Option<bool> {
    let mut opened = open(root, path).ok()?;
    let size = opened.fingerprint.size;
    let format = inspect::admit(path, size).ok()?;
    let whole = inspect::is_whole(path, format, &mut opened.file, size).ok()?;
    Some(whole && fingerprint::of(&opened.file).ok()? == opened.fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::inspect::samples::wav;
    use crate::files::tests_support::{Folder, path};

    #[test]
    fn a_file_on_disk_is_whole_or_not() {
        let sound = wav(8000, &[0; 100]);
        let folder = Folder::with(&[("a.wav", &sound), ("b.wav", &sound[..90]), ("a.txt", b"x"), ("c.wav", b"")]);
        let check = |name: &str, expected: bool| assert_eq!(is_whole(folder.path(), &path(name)), expected, "{name}");
        check("a.wav", true);
        for name in ["b.wav", "c.wav", "a.txt", "none.wav", "b/c.wav"] {
            check(name, false);
        }
        assert!(!is_whole(&folder.path().join("none"), &path("a.wav")));
    }
}
