//! The vocabulary in which everything becomes known. A list of changes is one transaction of the
//! state and one step of [`super::recorded::Recorded`].

use super::address::Address;
use super::asset::AssetType;
use super::checkout::InLockfile;
use super::history::{Listing, RevisionFact, RevisionKey};
use super::ids::{AssetId, Creator, UploadId};
use super::metadata::FieldDigests;
use super::phase::{Intent, PhaseEvent};
use super::recorded::{AttemptId, Blocked, DriftRepair, Identity, PinnedAt, PossibleDuplicate, Retirement, SpentQuota};
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
        /// What it sets out to do.
        intent: Intent,
    },
    /// A change of the remote moved on.
    Advance {
        /// Which.
        attempt: AttemptId,
        /// What moved it.
        event: PhaseEvent,
    },
    /// An address is under management, as this.
    SetIdentity {
        /// Which.
        address: Address,
        /// What it is.
        identity: Identity,
    },
    /// A revision of an address, or something about a known one.
    AddRevision {
        /// Of which address.
        address: Address,
        /// Which revision.
        key: RevisionKey,
        /// What is known of it; added to what was known.
        fact: RevisionFact,
    },
    /// An attempt was begun elsewhere, and came by a lockfile.
    TakeOver {
        /// Which.
        attempt: AttemptId,
    },
    /// The metadata that is now stored as asked.
    SetMetadata {
        /// Of which address.
        address: Address,
        /// All fields that are managed from now on, with what was asked.
        fields: FieldDigests,
        /// Of these the fields for which Roblox stored something else, with that.
        stored: FieldDigests,
    },
    /// What Roblox was known to have of some fields, where a newer lockfile names something else.
    /// Follows an [`Change::SetMetadata`] with the lockfile's values; the next one ends it.
    Overrule {
        /// Of which address.
        address: Address,
        /// What was known.
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
    /// An address hands one of its assets over to another address, with all that is known of the asset. Uploads that both
    /// suspect of having made a copy are suspected by the taker alone. An address without assets leaves.
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
        /// What is known of its leaving; `None`: it stays.
        retirements: Option<Retirement>,
    },
    /// Something that somebody else changed is about to be put back.
    RecordRepair {
        /// Of which address.
        address: Address,
        /// What.
        repair: DriftRepair,
    },
    /// An upload of an address may have made an asset that nobody knows, or no longer.
    AddPossibleDuplicate {
        /// Of which address.
        address: Address,
        /// Which upload.
        upload: UploadId,
        /// What is known of it; added to what was known.
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
    /// Where a pin was carried out to, or that it is gone.
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
    /// An address rests, or goes on.
    SetBlocked {
        /// Which.
        address: Address,
        /// Why it rests; `None` when it goes on.
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
        /// Whose.
        creator: Creator,
        /// For which type.
        asset_type: AssetType,
        /// Until when, and what Roblox said; `None`: uploads go on.
        spent: Option<SpentQuota>,
    },
    /// What the remote said of an asset, which it has therefore.
    RecordObservation {
        /// What it said.
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
    /// What was seen of an asset is older than something that became known since, or a person
    /// doubts it: nothing is concluded from it until the asset is looked at again.
    MarkOutdated {
        /// Which.
        asset_id: AssetId,
    },
    /// Something that a person may want to read later. Changes nothing else.
    LogEvent {
        /// Of which address, if of one.
        address: Option<Address>,
        /// What happened.
        event: Event,
    },
}

/// What a person may want to read later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// A stable name, `snake_case`, for example [`Event::POSSIBLE_DUPLICATE`].
    pub kind: &'static str,
    /// One line.
    pub message: String,
}

impl Event {
    /// A create was sent again though the one before may have made something.
    pub const POSSIBLE_DUPLICATE: &'static str = "possible_duplicate";

    /// An asset is passed over, because there is another one for the same content or of the same
    /// Model.
    pub const DUPLICATE_ASSET: &'static str = "duplicate_asset";
}
