//! The reasons that a plan gives: an enum each, whose `Display` makes the sentence and whose
//! `code` is its stable name in `--json`.
//!
//! Sentences are lower case without a full stop, and speak of an address as "it". No code compares,
//! cuts or searches one. Read next: [`step`] for why something is done, [`hold`] for why not.

pub(crate) mod drift;
pub(crate) mod hold;
pub(crate) mod lost_upload;
pub(crate) mod note;
pub(crate) mod step;

use std::fmt;

use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::desired::{StrayPlace, Unfound};
use crate::model::metadata::Field;
use crate::model::recorded::RetireReason;

/// The most addresses that a sentence names.
const NAMED: usize = 3;

/// What an address that left and a new one have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MoveEvidence {
    /// The same file.
    File,
    /// The new one is pinned to a revision of the other.
    PinnedRevision,
    /// The same bytes.
    Content,
}

impl fmt::Display for MoveEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "the same file",
            Self::PinnedRevision => "the same pinned revision",
            Self::Content => "the same bytes",
        })
    }
}

/// Why an address is no asset any more: a glob no longer finds it, or it is not in the manifest.
struct Disappearance<'a>(Option<&'a Unfound>);

impl fmt::Display for Disappearance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Unfound { glob, taken_by: None }) => {
                write!(f, "its file is gone, so the glob `{glob}` no longer finds it")
            }
            Some(Unfound { glob, taken_by: Some(taker) }) => {
                write!(f, "its file belongs to `{taker}` now, so the glob `{glob}` no longer finds it")
            }
            None => f.write_str("it is no longer in the manifest"),
        }
    }
}

/// Addresses in a sentence, the first few by name.
struct AddressNames<'a>(&'a [Address]);

impl fmt::Display for AddressNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.0.iter().take(NAMED).enumerate() {
            write!(f, "{}`{address}`", if at == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, ", {more} more"),
        }
    }
}

/// Metadata fields in a sentence.
struct Fields<'a>(&'a [Field]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, field) in self.0.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { " and " }, field.name())?;
        }
        Ok(())
    }
}

/// A place of the manifest that still names an address which left.
struct Place<'a>(&'a StrayPlace);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            StrayPlace::Pin(_) => f.write_str("[pins]"),
            StrayPlace::Icon { of } => write!(f, "the icon of `{of}`"),
            StrayPlace::Preview { of } => write!(f, "a preview of `{of}`"),
        }
    }
}

/// A type with its article: `an Image`.
pub(crate) struct WithArticle(pub(crate) AssetType);

impl fmt::Display for WithArticle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = match self.0 {
            AssetType::Animation | AssetType::Image | AssetType::Audio => "an",
            AssetType::Model | AssetType::Decal | AssetType::Video | AssetType::Mesh => "a",
        };
        write!(f, "{article} {}", self.0)
    }
}

/// The reason of a retirement, as the end of a sentence about the asset.
pub(crate) const fn why_text(why: RetireReason) -> &'static str {
    match why {
        RetireReason::Replaced => "was replaced",
        RetireReason::Removed => "left the manifest",
        RetireReason::ByHand => "was archived by hand",
    }
}
