//! Whether git left a Git LFS pointer in place of a file.

use std::io::Read as _;
use std::path::Path;

use super::inspect::begins_lfs_pointer;
use super::open::{Root, open};
use crate::model::path::ProjectPath;

/// A pointer is shorter than this (Git LFS, docs/spec.md), and its first line much shorter.
const HEAD: u64 = 128;

/// Whether the file is a Git LFS pointer; `false` for one that can't be read. Reads its first
/// bytes.
pub(crate) fn is_lfs_pointer(root: &Path, path: &ProjectPath) -> bool {
    let Ok(root) = Root::new(root) else { return false };
    let Ok(opened) = open(&root, path) else { return false };
    let mut head = Vec::new();
    opened.file.take(HEAD).read_to_end(&mut head).is_ok() && begins_lfs_pointer(&head)
}
