//! The vocabulary in which everything becomes known. A list of changes is one transaction of the
//! state and one step of [`super::recorded::Recorded`].

use super::address::Address;
use super::asset::AssetType;
use super::checkout::InLockfile;
use super::event::EventKind;
use super::history::{Listing, RevisionFact, RevisionKey};
use super::ids::{AssetId, Creator, UploadId};
use super::metadata::FieldDigests;
use super::phase::{Intent, PhaseEvent};
use super::recorded::{
    AttemptId, Blocked, DriftRepair, Identity, PinnedAt, PossibleDuplicate, Recorded, Retirement, SpentQuota,
};
use super::remote::RemoteAsset;

/// One thing that becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A change of the remote is about to be tried.
    Begin {
        /// Its number, the next of the state.
        attempt: AttemptId,
        /// For which address; it has a record.
        address: Address,
        /// Its intent.
        intent: Intent,
    },
    /// A change of the remote moved on.
    Advance {
        /// Which.
        attempt: AttemptId,
        /// The event that moved it.
        event: PhaseEvent,
    },
    /// An address is under management, as this.
    SetIdentity {
        /// Which.
        address: Address,
        /// Its identity.
        identity: Identity,
    },
    /// A revision of an address, or something about a known one.
    AddRevision {
        /// Of which address.
        address: Address,
        /// Which revision.
        key: RevisionKey,
        /// The facts about it, added to the known ones.
        fact: RevisionFact,
    },
    /// An attempt was begun elsewhere, and came by a lockfile.
    TakeOver {
        /// Which.
        attempt: AttemptId,
    },
    /// The metadata that Roblox now stores as requested.
    SetMetadata {
        /// Of which address.
        address: Address,
        /// All fields that are managed from now on, with the requested values.
        fields: FieldDigests,
        /// Of these the fields for which Roblox stored something else, with that.
        stored: FieldDigests,
    },
    /// The values that Roblox was known to have of some fields, where a newer lockfile names
    /// others. Follows an [`Change::SetMetadata`] with the lockfile's values; the next one ends it.
    Overrule {
        /// Of which address.
        address: Address,
        /// The known values.
        asked: FieldDigests,
    },
    /// An address takes over all that is known of another, which left: the same asset under a new
    /// name.
    Move {
        /// The name that it had; it has a record.
        from: Address,
        /// The name that it has now; nothing is known of it yet.
        to: Address,
    },
    /// An address hands one of its assets over to another address, with all that is known of the
    /// asset. Uploads that both suspect of having made a copy are suspected by the taker alone. An
    /// address without assets leaves.
    MoveAsset {
        /// The address that has it.
        from: Address,
        /// The address that takes it; it has a record.
        to: Address,
        /// Which asset.
        asset_id: AssetId,
    },
    /// An asset of an address is to be archived, was, or is wanted again.
    SetRetirement {
        /// Of which address.
        address: Address,
        /// Which asset.
        asset_id: AssetId,
        /// Its retirement; `None`: it stays.
        retirement: Option<Retirement>,
    },
    /// Roblox refused to archive an asset that is to be archived, or it is asked again. A change of
    /// the retirement ends the refusal too.
    SetRefusedArchiving {
        /// Of which address.
        address: Address,
        /// Which asset.
        asset_id: AssetId,
        /// Roblox's words; `None`: it is asked again.
        said: Option<String>,
    },
    /// Macadam is about to put back a change made outside of it.
    RecordRepair {
        /// Of which address.
        address: Address,
        /// The kind of repair.
        repair: DriftRepair,
    },
    /// An upload of an address may have made an unknown asset, or no longer.
    AddPossibleDuplicate {
        /// Of which address.
        address: Address,
        /// Which upload.
        upload: UploadId,
        /// The facts about it, added to the known ones.
        duplicate: PossibleDuplicate,
    },
    /// The asset that an address is from now on.
    SetCurrentAsset {
        /// Which address.
        address: Address,
        /// Which asset.
        asset_id: AssetId,
    },
    /// Another lockfile was checked out, and it and the file tell which asset the address is.
    Unpoint {
        /// Which address.
        address: Address,
    },
    /// The revision that a pin led to, or the end of the pin.
    SetPinnedAt {
        /// Of which address.
        address: Address,
        /// Where to.
        pinned: Option<PinnedAt>,
    },
    /// An address left the manifest, or came back.
    SetRemoved {
        /// Which.
        address: Address,
        /// Left.
        removed: bool,
    },
    /// Whether this checkout's lockfile has an address.
    SetInLockfile {
        /// Which.
        address: Address,
        /// Whether it has.
        in_lockfile: InLockfile,
    },
    /// How this checkout's lockfile has an asset, which decides among equals.
    SetListing {
        /// Of which address.
        address: Address,
        /// Which asset.
        asset_id: AssetId,
        /// How; `None`: not at all.
        listing: Option<Listing>,
    },
    /// An address is blocked, or no longer.
    SetBlocked {
        /// Which.
        address: Address,
        /// The reason; `None` when it is no longer blocked.
        blocked: Option<Blocked>,
    },
    /// An address is no longer managed; its history and open changes go with it. That its assets
    /// were forgotten stays known.
    Forget {
        /// Which.
        address: Address,
    },
    /// Another machine forgot an asset of an address.
    ForgetAsset {
        /// Which address; it needn't have a record.
        address: Address,
        /// Which asset.
        asset_id: AssetId,
        /// How often it was forgotten by now; at least once.
        times: u32,
    },
    /// An upload quota is used up, or no longer.
    SetSpentQuota {
        /// The owner of the quota.
        creator: Creator,
        /// For which type.
        asset_type: AssetType,
        /// Until when, and what Roblox said; `None`: uploads go on.
        spent: Option<SpentQuota>,
    },
    /// Roblox described an asset, which it has therefore.
    RecordObservation {
        /// The description.
        asset: RemoteAsset,
    },
    /// The remote answered that it doesn't have an asset.
    RecordNotFound {
        /// Which.
        asset_id: AssetId,
    },
    /// Macadam changed an asset: what is read of it soon after may be how it was before.
    RecordWrite {
        /// Which.
        asset_id: AssetId,
        /// It was archived, and is no longer.
        restores: bool,
    },
    /// The observation of an asset is older than something that became known since, or a person
    /// doubts it. It counts for nothing until the asset is read again.
    MarkOutdated {
        /// Which.
        asset_id: AssetId,
    },
    /// Whether the checked-out lockfile contradicts another one that has an asset as archived. An
    /// observation ends it.
    SetContradicted {
        /// Which asset.
        asset_id: AssetId,
        /// Whether it does.
        contradicted: bool,
    },
    /// A person may want to read an event later. Changes nothing else.
    LogEvent {
        /// Of which address, if of one.
        address: Option<Address>,
        /// The event.
        event: EventKind,
    },
}

impl Change {
    /// Whether it says only what is known: an observation of an asset that is what it was at the last
    /// one.
    pub fn is_known(&self, recorded: &Recorded) -> bool {
        let Self::RecordObservation { asset } = self else { return false };
        let Recorded { not_found, outdated, seen, .. } = recorded;
        // An update waits until Roblox answers for this asset again.
        let waits = not_found.contains_key(&asset.asset_id) || outdated.contains(&asset.asset_id);
        !waits && seen.get(&asset.asset_id).is_some_and(|seen| seen.asset == *asset)
    }

    /// Returns the addresses whose record, open attempts or forgotten assets it changes, if it is
    /// applied to `recorded`.
    pub(crate) fn addresses<'a>(&'a self, recorded: &'a Recorded) -> impl Iterator<Item = &'a Address> {
        let (one, other) = match self {
            Self::Begin { address, .. }
            | Self::SetIdentity { address, .. }
            | Self::AddRevision { address, .. }
            | Self::SetMetadata { address, .. }
            | Self::Overrule { address, .. }
            | Self::SetRetirement { address, .. }
            | Self::SetRefusedArchiving { address, .. }
            | Self::RecordRepair { address, .. }
            | Self::AddPossibleDuplicate { address, .. }
            | Self::SetCurrentAsset { address, .. }
            | Self::Unpoint { address }
            | Self::SetPinnedAt { address, .. }
            | Self::SetRemoved { address, .. }
            | Self::SetInLockfile { address, .. }
            | Self::SetListing { address, .. }
            | Self::SetBlocked { address, .. }
            | Self::Forget { address }
            | Self::ForgetAsset { address, .. } => (Some(address), None),
            Self::Move { from, to } | Self::MoveAsset { from, to, .. } => (Some(from), Some(to)),
            Self::TakeOver { attempt } | Self::Advance { attempt, .. } => {
                (recorded.attempts.get(attempt).map(|attempt| &attempt.address), None)
            }
            Self::SetSpentQuota { .. }
            | Self::RecordObservation { .. }
            | Self::RecordNotFound { .. }
            | Self::RecordWrite { .. }
            | Self::MarkOutdated { .. }
            | Self::SetContradicted { .. }
            | Self::LogEvent { .. } => (None, None),
        };
        one.into_iter().chain(other)
    }

    /// Returns the asset that it says something about, if it is what Roblox said of one, or what makes
    /// that worth nothing.
    pub(crate) const fn observed(&self) -> Option<AssetId> {
        match self {
            Self::RecordObservation { asset } => Some(asset.asset_id),
            Self::RecordNotFound { asset_id }
            | Self::MarkOutdated { asset_id }
            | Self::SetContradicted { asset_id, .. } => Some(*asset_id),
            _ => None,
        }
    }

    /// Logs an event of an address.
    pub(crate) fn log(address: &Address, event: EventKind) -> Self {
        Self::LogEvent { address: Some(address.clone()), event }
    }
}
