//! The rules by which steps come about, each with a name that output and documents share.

use std::fmt;

/// Why a step is in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    /// The address is new.
    New,
    /// Another address has, or will have, an asset with the same bytes.
    SameBytes,
    /// The bytes changed.
    ContentChanged,
    /// The address had these bytes before.
    ContentKnown,
    /// Roblox no longer has the asset.
    AssetGone,
    /// The metadata that is wanted differs from that of the asset which is shared.
    Splits,
    /// The manifest's metadata changed.
    MetadataChanged,
    /// Roblox takes it only for an asset that it has.
    AfterCreate,
    /// The same file has another address.
    MovedByPath,
    /// The address is new, and its pin names a revision of one that left.
    MovedByPin,
    /// The same bytes have another address.
    MovedByContent,
    /// `[pins]` holds the address at an earlier revision.
    Pinned,
    /// The address is no longer pinned, and Roblox has a revision with the file's bytes.
    Unpinned,
    /// `policy.replaced`: another asset took its place.
    Replaced,
    /// `policy.removed`: its address left the manifest.
    Removed,
    /// It was archived when it was not wanted, and is wanted again.
    ComesBack,
    /// `policy.drift`: it changed outside of Macadam.
    Heals,
    /// A person said that the file counts.
    Overwrites,
    /// A person asked for this very step.
    ByHand,
    /// Roblox works on it already.
    UnderWay,
    /// The outcome of an earlier request is unknown.
    InDoubt,
}

impl Rule {
    /// The name in output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::SameBytes => "same_bytes",
            Self::ContentChanged => "content_changed",
            Self::ContentKnown => "content_known",
            Self::AssetGone => "asset_gone",
            Self::Splits => "splits",
            Self::MetadataChanged => "metadata_changed",
            Self::AfterCreate => "after_create",
            Self::MovedByPath => "moved_by_path",
            Self::MovedByPin => "moved_by_pin",
            Self::MovedByContent => "moved_by_content",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::ComesBack => "comes_back",
            Self::Heals => "heals",
            Self::Overwrites => "overwrites",
            Self::ByHand => "by_hand",
            Self::UnderWay => "under_way",
            Self::InDoubt => "in_doubt",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
