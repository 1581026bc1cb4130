//! Whether a file on disk is whole by its own format: what the settling of changed files asks.
//!
//! Must never be taken for a promise: another program may write on the next moment. What is
//! uploaded is checked as it streams all the same.
//!
//! Read next: `inspect/whole.rs` for each format.

use std::path::Path;

use super::inspect;
use super::open::{Root, open};
use crate::model::path::ProjectPath;
use crate::platform::fingerprint;

/// Whether the file at `path` below `root` is written to its end, as far as its format tells; it
/// holds still meanwhile.
///
/// `false` for what can't be read, what Roblox would refuse, and what a format can't tell: such a
/// file is only waited for longer. Reads headers and tails, milliseconds for most files; blocks.
pub(crate) fn is_whole(root: &Path, path: &ProjectPath) -> bool {
    Root::new(root).is_ok_and(|root| is_whole_in(&root, path))
}

/// The same below a root that is known.
pub(super) fn is_whole_in(root: &Root, path: &ProjectPath) -> bool {
    looks_whole(root, path).unwrap_or(false)
}

fn looks_whole(root: &Root, path: &ProjectPath) -> Option<bool> {
    let mut opened = open(root, path).ok()?;
    let size = opened.fingerprint.size;
    let format = inspect::admit(path, size).ok()?;
    let whole = inspect::is_whole(path, format, &mut opened.file, size).ok()?;
    Some(whole && fingerprint::of(&opened.file.metadata().ok()?) == opened.fingerprint)
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
