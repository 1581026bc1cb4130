//! Why something of an address is not done. Read next: `hold/text`, `hold/facts`.

mod facts;
mod text;

use std::fmt;

use jiff::Timestamp;

use super::MoveEvidence;
use super::lost_upload::LostUpload;
use super::step::ReplaceCause;
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::desired::{AbsenceReason, NeverCommitted, Pin, StrayPlace};
use crate::model::file::FileProblem;
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::missing_lockfile::Lost;
use crate::model::neighbours::KnownAsset;
use crate::model::observation::{Mismatch, NotFound};
use crate::model::path::ProjectPath;
use crate::model::phase::IntentKind;
use crate::model::recorded::{RefusalKind, RetireReason};
use crate::model::unseen_history::HistoryGap;
use crate::plan::contradiction::Contradiction;
use crate::plan::pinnable::{Unusable, UsableRevisions};

pub(crate) use facts::HoldFacts;
pub(super) use text::{NotFoundYet, asked_again, gone_hint, overwrite_hint};

/// The kind of obstacle that holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum HoldKind {
    /// A person has to decide.
    Held,
    /// Moderation rejected this content.
    Rejected,
    /// The file can't be used, or Roblox refused it.
    Failed,
    /// An upload quota is used up: it goes on by itself.
    Waiting,
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        })
    }
}

/// A change that an archived asset keeps from being made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BlockedChange {
    /// The file changed.
    Content,
    /// It is pinned to another revision.
    Pin {
        /// The pinned revision.
        to: Revision,
    },
    /// Another address is to use it, which would restore it.
    Sharing {
        /// The address that has it.
        owner: Address,
    },
}

/// Why something of an address is not done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HoldReason {
    /// The file can't be used.
    File(FileProblem),
    /// The file doesn't tell its type.
    TypeUnknown,
    /// An upload got no clear answer.
    NoAnswer {
        /// The upload.
        upload: LostUpload,
        /// How many uploads in a row ended so.
        in_a_row: u32,
    },
    /// Something came of an upload, and its answer could not be read or written down.
    AnswerLost {
        /// The failure, where it is known.
        said: Option<String>,
        /// The upload.
        upload: LostUpload,
    },
    /// It has another owner than its assets.
    CreatorChanged {
        /// The owner of its assets.
        from: Creator,
        /// The owner in the manifest.
        to: Creator,
        /// An address that left has its asset for the new owner.
        has_old: bool,
    },
    /// It has another type than its assets.
    TypeChanged {
        /// The type of its assets.
        from: AssetType,
        /// The type in the manifest.
        to: AssetType,
    },
    /// Another address has the same Model.
    SameAsset {
        /// The other address.
        other: Address,
    },
    /// It has the file of another address, whose own is missing.
    FileOfAnother {
        /// Its file.
        path: ProjectPath,
        /// The other address.
        owner: Address,
        /// The path in the manifest of that one, where there is no file.
        missing: ProjectPath,
        /// The evidence.
        evidence: MoveEvidence,
    },
    /// Roblox refused this very change before.
    Refused {
        /// The refused change.
        action: IntentKind,
        /// The part that Roblox objects to.
        refusal_kind: RefusalKind,
        /// Roblox's words.
        message: String,
    },
    /// Roblox refused to archive an asset that nothing uses any more.
    ArchivingRefused {
        /// The asset.
        asset_id: AssetId,
        /// Why it would be archived.
        why: RetireReason,
        /// Roblox's words.
        message: String,
    },
    /// Moderation rejected these bytes.
    Rejected {
        /// Another address for which it did.
        uploaded_as: Option<Address>,
    },
    /// Roblox no longer has its asset.
    AssetGone,
    /// The file is the one of an earlier asset that Roblox no longer has.
    ContentGone {
        /// The earlier asset.
        asset_id: AssetId,
    },
    /// `prevent_replace` forbids a new asset ID.
    ReplaceForbidden(ReplaceCause),
    /// `prevent_replace` is set, and it may be an address that left in the same change.
    MayBeRenamed {
        /// The addresses that left.
        from: Vec<Address>,
        /// The asset of the first one.
        asset_id: AssetId,
    },
    /// An upload quota is used up.
    QuotaSpent {
        /// The type that it counts.
        asset_type: AssetType,
        /// Whose quota it is.
        creator: Creator,
        /// Roblox's words.
        message: String,
        /// When Macadam tries again.
        until: Timestamp,
    },
    /// Its asset has a newer revision that was made outside of Macadam.
    MadeElsewhere {
        /// The asset.
        asset_id: AssetId,
        /// The number of that revision, where known.
        version: Option<Revision>,
    },
    /// An earlier revision was made current outside of Macadam.
    RolledBackElsewhere {
        /// The asset.
        asset_id: AssetId,
        /// The revision that is current.
        current: Revision,
        /// The revision that should be.
        known: Revision,
    },
    /// Its asset is archived, so Roblox would refuse a change.
    Archived {
        /// The asset.
        asset_id: AssetId,
        /// The change.
        change: BlockedChange,
    },
    /// One address left, and several new ones may be it.
    OneOfSeveralNew {
        /// The address that left.
        from: Address,
        /// The evidence that they share.
        evidence: MoveEvidence,
        /// The asset of the one that left.
        asset_id: Option<AssetId>,
    },
    /// Several addresses left, and it may be any of them.
    OneOfSeveralLeft {
        /// The addresses that left.
        from: Vec<Address>,
        /// The evidence that they share.
        evidence: MoveEvidence,
        /// The asset of each.
        asset_ids: Vec<Option<AssetId>>,
    },
    /// It may be an address whose absence doesn't count as a removal.
    MayHaveMoved {
        /// The absent addresses.
        from: Vec<Address>,
        /// The evidence that they share.
        evidence: MoveEvidence,
        /// Why the absence doesn't count.
        why: AbsenceReason,
    },
    /// The manifest still names an address that left.
    StillNamed {
        /// Where.
        place: StrayPlace,
        /// The address that left.
        old: Address,
        /// Its new name, where that is known.
        new: Option<Address>,
    },
    /// It may be an address that left and that the manifest still names.
    MayBeNamed {
        /// The address that left.
        named: Address,
        /// Where the manifest names it.
        place: StrayPlace,
    },
    /// It shares the upload of an address that is on hold.
    SharedUpload {
        /// The other address.
        owner: Address,
    },
    /// It is absent here, and git never had it.
    NeverCommitted {
        /// Its file.
        path: ProjectPath,
        /// What is absent.
        part: NeverCommitted,
    },
    /// Another manifest has an asset for its file.
    KnownElsewhere {
        /// The asset.
        known: KnownAsset,
        /// The path of that manifest.
        manifest: String,
        /// The path of its lockfile.
        lockfile: String,
    },
    /// The lockfile that tells what was uploaded is missing.
    LockfileLost(Lost),
    /// An earlier lockfile that this clone lacks may have its asset.
    HistoryUnseen(HistoryGap),
    /// Roblox doesn't find its asset at the moment.
    NotFound {
        /// The asset.
        asset_id: AssetId,
        /// Roblox's answers so far.
        known: NotFound,
    },
    /// Roblox has another asset under its ID.
    AnotherAsset(Mismatch),
    /// Roblox has another asset under its ID than a list or another tool says.
    NotAsClaimed(Mismatch),
    /// Its asset is known from another tool's files alone.
    Unverified {
        /// The asset.
        asset_id: AssetId,
    },
    /// Lockfile and state contradict one another.
    Contradiction(Contradiction),
    /// It is pinned to a revision that can't be used.
    PinUnusable {
        /// The pin.
        pin: Pin,
        /// The obstacle.
        why: Unusable,
        /// The revisions that can be used.
        usable: UsableRevisions,
    },
    /// It is pinned, and has no revisions yet.
    PinnedTooEarly {
        /// The pin.
        pin: Pin,
    },
    /// A suspiciously large part of all assets would be archived within a day.
    ManyArchivings {
        /// The asset.
        asset_id: AssetId,
        /// Why it would be archived.
        why: RetireReason,
        /// How many would be.
        count: usize,
        /// Of how many.
        all: usize,
        /// The code that agrees to it.
        code: String,
    },
}

impl HoldReason {
    /// The kind of obstacle that it is.
    pub(crate) const fn kind(&self) -> HoldKind {
        match self {
            Self::File(_) | Self::TypeUnknown | Self::Refused { .. } | Self::ArchivingRefused { .. } => {
                HoldKind::Failed
            }
            Self::Rejected { .. } => HoldKind::Rejected,
            Self::QuotaSpent { .. } => HoldKind::Waiting,
            Self::NoAnswer { .. }
            | Self::AnswerLost { .. }
            | Self::CreatorChanged { .. }
            | Self::TypeChanged { .. }
            | Self::SameAsset { .. }
            | Self::FileOfAnother { .. }
            | Self::AssetGone
            | Self::ContentGone { .. }
            | Self::ReplaceForbidden(_)
            | Self::MayBeRenamed { .. }
            | Self::MadeElsewhere { .. }
            | Self::RolledBackElsewhere { .. }
            | Self::Archived { .. }
            | Self::OneOfSeveralNew { .. }
            | Self::OneOfSeveralLeft { .. }
            | Self::MayHaveMoved { .. }
            | Self::StillNamed { .. }
            | Self::MayBeNamed { .. }
            | Self::SharedUpload { .. }
            | Self::NeverCommitted { .. }
            | Self::KnownElsewhere { .. }
            | Self::LockfileLost(_)
            | Self::HistoryUnseen(_)
            | Self::NotFound { .. }
            | Self::AnotherAsset(_)
            | Self::NotAsClaimed(_)
            | Self::Unverified { .. }
            | Self::Contradiction(_)
            | Self::PinUnusable { .. }
            | Self::PinnedTooEarly { .. }
            | Self::ManyArchivings { .. } => HoldKind::Held,
        }
    }

    /// Whether Roblox said no.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::ArchivingRefused { .. })
    }

    /// The stable name in `--json`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::File(problem) => problem.kind.code(),
            Self::TypeUnknown => "type_unknown",
            Self::NoAnswer { .. } => "no_answer",
            Self::AnswerLost { .. } => "answer_lost",
            Self::CreatorChanged { .. } => "creator_changed",
            Self::TypeChanged { .. } => "type_changed",
            Self::SameAsset { .. } => "same_asset",
            Self::FileOfAnother { .. } => "file_of_another",
            Self::Refused { .. } => "refused",
            Self::ArchivingRefused { .. } => "archiving_refused",
            Self::Rejected { .. } => "rejected",
            Self::AssetGone => "asset_gone",
            Self::ContentGone { .. } => "content_gone",
            Self::ReplaceForbidden(_) => "replace_forbidden",
            Self::MayBeRenamed { .. } => "may_be_renamed",
            Self::QuotaSpent { .. } => "quota_spent",
            Self::MadeElsewhere { .. } => "made_elsewhere",
            Self::RolledBackElsewhere { .. } => "rolled_back_elsewhere",
            Self::Archived { .. } => "archived",
            Self::OneOfSeveralNew { .. } => "one_of_several_new",
            Self::OneOfSeveralLeft { .. } => "one_of_several_left",
            Self::MayHaveMoved { .. } => "may_have_moved",
            Self::StillNamed { .. } => "still_named",
            Self::MayBeNamed { .. } => "may_be_named",
            Self::SharedUpload { .. } => "shared_upload",
            Self::NeverCommitted { .. } => "never_committed",
            Self::KnownElsewhere { .. } => "known_elsewhere",
            Self::LockfileLost(_) => "lockfile_lost",
            Self::HistoryUnseen(_) => "history_unseen",
            Self::NotFound { .. } => "not_found",
            Self::AnotherAsset(_) | Self::NotAsClaimed(_) => "another_asset",
            Self::Unverified { .. } => "unverified",
            Self::Contradiction(_) => "contradiction",
            Self::PinUnusable { .. } => "pin_unusable",
            Self::PinnedTooEarly { .. } => "pinned_too_early",
            Self::ManyArchivings { .. } => "many_archivings",
        }
    }
}
