//! Why a step is in a plan.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{Disappearance, Fields, MoveEvidence, WithArticle};
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::desired::Unfound;
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::metadata::Field;
use crate::model::minute::{Age, Minute};
use crate::plan::rule::Rule;

/// Why an address gets another asset in place of the one that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ReplaceCause {
    /// The file changed, and Roblox can't update its type.
    ContentChanged(AssetType),
    /// Nothing tells what the asset holds, as after an import, and Roblox can't update its type.
    ContentUnknown(AssetType, AssetId),
    /// Roblox no longer has the asset.
    AssetGone,
    /// It shares an asset whose metadata it wants otherwise.
    Splits,
}

/// Why a step is in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepReason {
    /// Roblox doesn't have it yet.
    New,
    /// All its assets belong to another owner.
    NewOwner(Creator),
    /// The first asset of an address whose assets are all gone.
    AssetGone,
    /// It gets another asset.
    Replace(ReplaceCause),
    /// Another address has an asset with the same bytes.
    SharesAsset {
        /// Why it needs an asset.
        because: Box<StepReason>,
        /// The other address.
        owner: Address,
    },
    /// Another address uploads the same bytes.
    SharesUpload {
        /// Why it needs an asset.
        because: Box<StepReason>,
        /// The other address.
        owner: Address,
    },
    /// The file has the bytes of an earlier asset again.
    ContentKnown(AssetId),
    /// The file changed.
    ContentChanged,
    /// Nothing tells what the asset holds, as after an import.
    ContentUnknown {
        /// The address.
        address: Address,
        /// The asset.
        asset_id: AssetId,
        /// Its type, if that can't be updated, so that the address gets another asset.
        replaces: Option<AssetType>,
    },
    /// A person put the file over a change made outside of Macadam.
    Overwrites,
    /// The newest revision has the file's bytes, but another one is current.
    CurrentAgain,
    /// The manifest's metadata changed.
    MetadataChanged(Vec<Field>),
    /// Roblox takes these fields only for an asset that it has.
    AfterCreate(Vec<Field>),
    /// Metadata that changed outside of Macadam is put back.
    MetadataHeals(Vec<Field>),
    /// An asset that was archived outside of Macadam is restored.
    ArchivedElsewhere,
    /// It took over the assets of an address that left.
    Moved {
        /// The address that left.
        from: Address,
        /// What tells that they are one.
        evidence: MoveEvidence,
    },
    /// `[pins]` holds a Model at an earlier revision.
    PinnedToRevision {
        /// The pinned revision.
        to: Revision,
        /// The revision that is current.
        from: Option<Revision>,
    },
    /// `[pins]` holds it at an earlier asset.
    PinnedToAsset(AssetId),
    /// It is no longer pinned, and Roblox has a revision with the file's bytes.
    Unpinned(Revision),
    /// Another asset took its place.
    Replaced,
    /// Its address left the manifest.
    Removed {
        /// Why the glob that found its file no longer does.
        glob: Option<Unfound>,
    },
    /// It was archived while it was not wanted.
    ComesBack,
    /// It was archived, and the game is given it again though its file is another one, or none.
    GivenAgain,
    /// A person asked for this very step.
    ByHand,
    /// Roblox processes it.
    UnderWay {
        /// When it was sent; `None`: by another machine.
        sent_at: Option<Timestamp>,
        /// For how long, where that is longer than usual.
        overdue: Option<SignedDuration>,
    },
    /// Another process is sending it.
    BeingSent,
    /// An earlier request got no clear answer.
    InDoubt,
    /// It left the manifest while a change of it was under way.
    LeftUnderWay,
}

impl StepReason {
    /// The rule by which the step came about; its name is the reason's code.
    pub(crate) const fn rule(&self) -> Rule {
        match self {
            Self::New | Self::NewOwner(_) => Rule::New,
            Self::AssetGone | Self::Replace(ReplaceCause::AssetGone) => Rule::AssetGone,
            Self::Replace(ReplaceCause::ContentChanged(_) | ReplaceCause::ContentUnknown(..))
            | Self::ContentChanged
            | Self::ContentUnknown { .. } => Rule::ContentChanged,
            Self::Replace(ReplaceCause::Splits) => Rule::Splits,
            Self::SharesAsset { .. } | Self::SharesUpload { .. } => Rule::SameBytes,
            Self::ContentKnown(_) => Rule::ContentKnown,
            Self::Overwrites | Self::CurrentAgain => Rule::Overwrites,
            Self::MetadataChanged(_) => Rule::MetadataChanged,
            Self::AfterCreate(_) => Rule::AfterCreate,
            Self::MetadataHeals(_) | Self::ArchivedElsewhere => Rule::Heals,
            Self::Moved { evidence: MoveEvidence::File, .. } => Rule::MovedByPath,
            Self::Moved { evidence: MoveEvidence::PinnedRevision, .. } => Rule::MovedByPin,
            Self::Moved { evidence: MoveEvidence::Content, .. } => Rule::MovedByContent,
            Self::PinnedToRevision { .. } | Self::PinnedToAsset(_) => Rule::Pinned,
            Self::Unpinned(_) => Rule::Unpinned,
            Self::Replaced => Rule::Replaced,
            Self::Removed { .. } => Rule::Removed,
            Self::ComesBack | Self::GivenAgain => Rule::ComesBack,
            Self::ByHand => Rule::ByHand,
            Self::UnderWay { .. } | Self::BeingSent => Rule::UnderWay,
            Self::InDoubt | Self::LeftUnderWay => Rule::InDoubt,
        }
    }
}

/// Says what follows for a file that can't be compared with its asset.
struct NotCompared {
    asset_id: AssetId,
    replaces: Option<AssetType>,
}

impl fmt::Display for NotCompared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Macadam can't compare asset {} with the file, ", self.asset_id)?;
        match self.replaces {
            Some(asset_type) => {
                write!(f, "and Roblox can't update {}, so it gets a new asset ID", WithArticle(asset_type))
            }
            None => f.write_str("so it uploads the file"),
        }
    }
}

impl fmt::Display for StepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("not on Roblox yet"),
            Self::NewOwner(creator) => write!(f, "none of its assets belongs to {}", creator.in_words()),
            Self::AssetGone | Self::Replace(ReplaceCause::AssetGone) => f.write_str("Roblox no longer has its asset"),
            Self::Replace(ReplaceCause::ContentChanged(asset_type)) => {
                let kind = WithArticle(*asset_type);
                write!(f, "the file changed; Roblox can't update {kind}, so it gets a new asset ID")
            }
            Self::Replace(ReplaceCause::ContentUnknown(asset_type, asset_id)) => {
                write!(f, "{}", NotCompared { asset_id: *asset_id, replaces: Some(*asset_type) })
            }
            Self::ContentUnknown { address, asset_id, replaces } => write!(
                f,
                "{}; if they are the same, `macadam import {address:#} {asset_id} --content-matches` keeps the asset",
                NotCompared { asset_id: *asset_id, replaces: *replaces }
            ),
            Self::Replace(ReplaceCause::Splits) => {
                f.write_str("it shares an asset but has other metadata, so it gets an asset of its own")
            }
            Self::SharesAsset { because, owner } => {
                write!(f, "{because}; it shares the asset of `{owner}`, which has the same bytes")
            }
            Self::SharesUpload { because, owner } => {
                write!(f, "{because}; it shares the upload of `{owner}`, which has the same bytes")
            }
            Self::ContentKnown(asset_id) => write!(f, "the file is again the one of asset {asset_id}"),
            Self::ContentChanged => f.write_str("the file changed"),
            Self::Overwrites => f.write_str("the file replaces a revision that was made outside of Macadam"),
            Self::CurrentAgain => f.write_str("the file becomes the current revision again"),
            Self::MetadataChanged(fields) => write!(f, "{} changed", Fields(fields)),
            Self::AfterCreate(fields) => {
                let verb = if fields.len() == 1 { "is" } else { "are" };
                write!(f, "the {} {verb} set after the upload", Fields(fields))
            }
            Self::MetadataHeals(fields) => {
                write!(f, "{} changed, here or on Roblox, and is set as the manifest says", Fields(fields))
            }
            Self::ArchivedElsewhere => f.write_str("it was archived on Roblox, outside of Macadam"),
            Self::Moved { from, evidence } => write!(f, "it was `{from}` before: both have {evidence}"),
            Self::PinnedToRevision { to, from } => {
                write!(f, "it is pinned to revision {to}")?;
                from.map_or(Ok(()), |from| write!(f, ", and revision {from} is current"))
            }
            Self::PinnedToAsset(asset_id) => write!(f, "it is pinned to asset {asset_id}"),
            Self::Unpinned(to) => write!(f, "it is no longer pinned, and revision {to} has the file's bytes"),
            Self::Replaced => f.write_str("another asset took its place"),
            Self::Removed { glob } => Disappearance(glob.as_ref()).fmt(f),
            Self::ComesBack => f.write_str("Macadam archived it while it was not in the manifest, and it is back"),
            Self::GivenAgain => f.write_str("Macadam archived it, and the game uses it again"),
            Self::ByHand => f.write_str("you asked for it"),
            Self::UnderWay { sent_at, overdue } => {
                match sent_at {
                    Some(at) => write!(f, "sent at {}; Roblox ", Minute(*at))?,
                    None => f.write_str("sent from another machine; Roblox ")?,
                }
                match overdue {
                    Some(age) => write!(f, "has been processing it for {}", Age(*age)),
                    None => f.write_str("is still processing it"),
                }
            }
            Self::BeingSent => f.write_str("the running `macadam` is sending it to Roblox now"),
            Self::InDoubt => f.write_str("an earlier request got no clear answer, so Macadam checks what Roblox has"),
            Self::LeftUnderWay => f.write_str("it left the manifest while Roblox was changing it"),
        }
    }
}
