//! What a hold's reason names, for programs.

use super::{BlockedChange, HoldReason};
use crate::model::address::Address;
use crate::model::ids::{AssetId, Revision};
use crate::plan::contradiction::Contradiction;

/// The other addresses, the asset and the revision that the reason of a hold names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HoldFacts {
    /// Other addresses.
    pub addresses: Vec<Address>,
    /// The asset.
    pub asset_id: Option<AssetId>,
    /// Its revision.
    pub revision: Option<Revision>,
}

impl HoldReason {
    /// Returns what the reason names.
    pub(crate) fn facts(&self) -> HoldFacts {
        HoldFacts { addresses: self.addresses(), asset_id: self.asset_id(), revision: self.revision() }
    }

    fn addresses(&self) -> Vec<Address> {
        match self {
            Self::SameAsset { other: one }
            | Self::FileOfAnother { owner: one, .. }
            | Self::Rejected { uploaded_as: Some(one) }
            | Self::OneOfSeveralNew { from: one, .. }
            | Self::MayBeNamed { named: one, .. }
            | Self::SharedUpload { owner: one }
            | Self::Contradiction(Contradiction::Disputed { address: one, .. }) => vec![one.clone()],
            Self::MayBeRenamed { from, .. } | Self::OneOfSeveralLeft { from, .. } | Self::MayHaveMoved { from, .. } => {
                from.clone()
            }
            Self::StillNamed { old, new, .. } => [old].into_iter().chain(new).cloned().collect(),
            Self::Contradiction(Contradiction::Owners { claims, .. }) => {
                claims.iter().map(|(address, _)| address.clone()).collect()
            }
            Self::Contradiction(Contradiction::Types { claims, .. }) => {
                claims.iter().map(|(address, _)| address.clone()).collect()
            }
            Self::Contradiction(Contradiction::Contents { claims, .. }) => claims.to_vec(),
            Self::Archived { change: BlockedChange::Sharing { owner }, .. } => vec![owner.clone()],
            Self::File(_)
            | Self::TypeUnknown
            | Self::NoAnswer { .. }
            | Self::AnswerLost { .. }
            | Self::CreatorChanged { .. }
            | Self::TypeChanged { .. }
            | Self::Refused { .. }
            | Self::ArchivingRefused { .. }
            | Self::Rejected { uploaded_as: None }
            | Self::AssetGone
            | Self::ContentGone { .. }
            | Self::ReplaceForbidden(_)
            | Self::QuotaSpent { .. }
            | Self::MadeElsewhere { .. }
            | Self::RolledBackElsewhere { .. }
            | Self::Archived { .. }
            | Self::NeverCommitted { .. }
            | Self::KnownElsewhere { .. }
            | Self::LockfileLost(_)
            | Self::HistoryUnseen(_)
            | Self::NotFound { .. }
            | Self::AnotherAsset(_)
            | Self::NotAsClaimed(_)
            | Self::Unverified { .. }
            | Self::PinUnusable { .. }
            | Self::PinnedTooEarly { .. }
            | Self::ManyArchivings { .. } => Vec::new(),
        }
    }

    const fn asset_id(&self) -> Option<AssetId> {
        match self {
            Self::ContentGone { asset_id }
            | Self::MayBeRenamed { asset_id, .. }
            | Self::MadeElsewhere { asset_id, .. }
            | Self::RolledBackElsewhere { asset_id, .. }
            | Self::Archived { asset_id, .. }
            | Self::NotFound { asset_id, .. }
            | Self::Unverified { asset_id }
            | Self::ArchivingRefused { asset_id, .. }
            | Self::ManyArchivings { asset_id, .. } => Some(*asset_id),
            Self::OneOfSeveralNew { asset_id, .. } => *asset_id,
            Self::OneOfSeveralLeft { asset_ids, .. } => match asset_ids.as_slice() {
                [first, ..] => *first,
                [] => None,
            },
            Self::KnownElsewhere { known, .. } => Some(known.asset_id),
            Self::AnotherAsset(mismatch) | Self::NotAsClaimed(mismatch) => Some(mismatch.asset_id()),
            Self::Contradiction(contradiction) => Some(contradiction.asset_id()),
            Self::File(_)
            | Self::TypeUnknown
            | Self::NoAnswer { .. }
            | Self::AnswerLost { .. }
            | Self::CreatorChanged { .. }
            | Self::TypeChanged { .. }
            | Self::SameAsset { .. }
            | Self::FileOfAnother { .. }
            | Self::Refused { .. }
            | Self::Rejected { .. }
            | Self::AssetGone
            | Self::ReplaceForbidden(_)
            | Self::QuotaSpent { .. }
            | Self::MayHaveMoved { .. }
            | Self::StillNamed { .. }
            | Self::MayBeNamed { .. }
            | Self::SharedUpload { .. }
            | Self::NeverCommitted { .. }
            | Self::LockfileLost(_)
            | Self::HistoryUnseen(_)
            | Self::PinUnusable { .. }
            | Self::PinnedTooEarly { .. } => None,
        }
    }

    const fn revision(&self) -> Option<Revision> {
        if let Self::MadeElsewhere { version, .. } = self {
            *version
        } else if let Self::RolledBackElsewhere { current, .. } = self {
            Some(*current)
        } else {
            None
        }
    }
}
