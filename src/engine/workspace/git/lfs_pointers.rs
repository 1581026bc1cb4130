//! The pointers of Git LFS that a commit has in place of files, in every form that Git LFS reads.
//!
//! Git LFS names the content of a file in a pointer. The usual text of one follows from the content;
//! one of an old version, of an extension or without its last line break has another name in git, so
//! it is read. Read next: [`super::at_commit`], the caller.

use std::collections::BTreeSet;

use super::ask::{CheckoutFile, FILES, contents, why};
use crate::model::ids::ContentHash;

/// The limit for a pointer, in bytes (Git LFS, docs/spec.md).
const LONGEST: u64 = 1024;

/// What the version line of a pointer names, now and formerly (Git LFS, `lfs/pointer.go`).
const NAMES: [&str; 3] = ["git-lfs", "hawser", "git-media"];

/// The pointers of a commit.
#[derive(Debug, Default)]
pub(super) struct LfsPointers {
    /// The contents that they name: of the file, or of what an extension made of it.
    named: BTreeSet<String>,
    /// One has not the usual text.
    has_unusual: bool,
    /// An object is not here, as in a partial clone.
    lacks_some: bool,
}

impl LfsPointers {
    /// Reads those of these `objects` that are pointers.
    ///
    /// # Errors
    /// Returns why they are unknown: lower case, no full stop.
    pub(super) fn among(place: &CheckoutFile, objects: &BTreeSet<&str>) -> Result<Self, String> {
        let all: String = objects.iter().flat_map(|object| [object, "\n"]).collect();
        let sizes = place.ask_for(&["cat-file", "--batch-check"], all.as_bytes(), FILES)?;
        if !sizes.status.success() {
            return Err(why(&sizes));
        }
        let mut pointers = Self::default();
        let mut short = String::new();
        for line in sizes.said()?.lines() {
            match line.rsplit_once(' ') {
                Some((object, size)) => match (object.strip_suffix(" blob"), size.parse::<u64>()) {
                    (Some(object), Ok(size)) if size <= LONGEST => short.extend([object, "\n"]),
                    (None, Err(_)) => pointers.lacks_some = true,
                    _ => {}
                },
                None => pointers.lacks_some = true,
            }
        }
        let texts = place.ask_for(&["cat-file", "--batch"], short.as_bytes(), FILES)?;
        if !texts.status.success() {
            return Err(why(&texts));
        }
        contents(&texts.raw).iter().flatten().for_each(|text| pointers.read(text));
        Ok(pointers)
    }

    fn read(&mut self, text: &[u8]) {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let version = text.trim_start().lines().next().and_then(|line| line.strip_prefix("version "));
        if !version.is_some_and(|version| NAMES.iter().any(|name| version.contains(name))) {
            return;
        }
        // An extension's line has the content before it, `oid` the one after all of them.
        self.named.extend(text.split("sha256:").skip(1).filter_map(|rest| rest.get(..64)).map(str::to_owned));
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let usual = value("oid sha256:").zip(value("size ")).map(|(oid, size)| usual(oid, size));
        self.has_unusual |= usual.as_deref() != Some(text);
    }

    /// Returns whether one names this content.
    pub(super) fn has(&self, content: ContentHash) -> bool {
        self.named.contains(&content.to_string())
    }

    /// Returns whether one that is not here may name any content: its usual text would be known.
    pub(super) const fn may_lack_one(&self, is_extended: bool) -> bool {
        self.lacks_some && (self.has_unusual || is_extended)
    }
}

/// Returns the text of the pointer that Git LFS makes of a file.
fn usual(oid: &str, size: &str) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
}
