//! The hashes by which other tools know a file. Macadam's own is [`ContentHash`].

use super::ids::ContentHash;

/// A hash function of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum HashKind {
    /// Asphalt's and Tarmac's.
    Blake3,
    /// asset-sync's.
    Sha1,
    /// Mantle's and Tungsten's, and Macadam's own.
    Sha256,
}

/// The hashes that one read of a file gave: Macadam's and another tool's of the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileHashes {
    /// SHA-256 of the bytes.
    pub content: ContentHash,
    /// The other tool's hash of the same bytes, in lower-case hex.
    pub foreign: String,
}
