//! Why something of an address is not done.

use std::fmt;

use jiff::Timestamp;

use super::step::ReplaceCause;
use super::{AddressNames, MoveEvidence, Place, WithArticle};
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::desired::{AbsenceReason, Pin, StrayPlace};
use crate::model::file::FileProblem;
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::minute::Minute;
use crate::model::missing_lockfile::Lost;
use crate::model::observation::{ANSWERS_UNTIL_GONE, Mismatch, NotFound};
use crate::model::recorded::{RefusalKind, RetireReason};
use crate::plan::contradiction::Contradiction;
use crate::plan::pin::{Unusable, UsableRevisions, shown};
use crate::plan::retirement::why_text;
use crate::plan::step::{HeldPart, HoldKind};

/// A change that an archived asset keeps from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BlockedChange {
    /// The file changed.
    Content,
    /// It is pinned to another revision.
    Pin {
        /// The pinned revision.
        to: Revision,
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
        /// When it was sent; `None`: by another machine.
        sent_at: Option<Timestamp>,
        /// How many uploads in a row ended so.
        in_a_row: u32,
    },
    /// Something came of an upload, and its answer could not be read or written down.
    AnswerLost {
        /// The failure, where it is known.
        said: Option<String>,
        /// When it was sent; `None`: by another machine.
        sent_at: Option<Timestamp>,
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
    /// Roblox refused this very change before.
    Refused {
        /// The refused change, by the name of its intent.
        action: String,
        /// The part that Roblox objects to.
        refusal_kind: RefusalKind,
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
        /// The asset of the first one.
        asset_id: Option<AssetId>,
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
    /// The lockfile that tells what was uploaded is missing.
    LockfileLost(Lost),
    /// Roblox doesn't find its asset at the moment.
    NotFound {
        /// The asset.
        asset_id: AssetId,
        /// Roblox's answers so far.
        known: NotFound,
    },
    /// Roblox has another asset under its ID.
    AnotherAsset(Mismatch),
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
            Self::File(_) | Self::TypeUnknown | Self::Refused { .. } => HoldKind::Failed,
            Self::Rejected { .. } => HoldKind::Rejected,
            Self::QuotaSpent { .. } => HoldKind::Waiting,
            Self::NoAnswer { .. }
            | Self::AnswerLost { .. }
            | Self::CreatorChanged { .. }
            | Self::TypeChanged { .. }
            | Self::SameAsset { .. }
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
            | Self::LockfileLost(_)
            | Self::NotFound { .. }
            | Self::AnotherAsset(_)
            | Self::Unverified { .. }
            | Self::Contradiction(_)
            | Self::PinUnusable { .. }
            | Self::PinnedTooEarly { .. }
            | Self::ManyArchivings { .. } => HoldKind::Held,
        }
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
            Self::Refused { .. } => "refused",
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
            Self::LockfileLost(_) => "lockfile_lost",
            Self::NotFound { .. } => "not_found",
            Self::AnotherAsset(_) => "another_asset",
            Self::Unverified { .. } => "unverified",
            Self::Contradiction(_) => "contradiction",
            Self::PinUnusable { .. } => "pin_unusable",
            Self::PinnedTooEarly { .. } => "pinned_too_early",
            Self::ManyArchivings { .. } => "many_archivings",
        }
    }

    /// The next thing to do for a person; `None` where nothing has to be done.
    pub(crate) fn hint(&self, address: &Address, part: HeldPart) -> Option<String> {
        Some(match self {
            Self::File(problem) => return problem.hint.clone(),
            Self::QuotaSpent { .. } => return None,
            Self::TypeUnknown => "set `type`".to_owned(),
            Self::NoAnswer { .. } | Self::AnswerLost { .. } => resolve_hint(address),
            Self::CreatorChanged { has_old: true, .. } => {
                "`macadam recreate --creator` takes back the asset that it had for this owner".to_owned()
            }
            Self::CreatorChanged { has_old: false, .. } => {
                "set it back, or `macadam recreate --creator` to upload new assets for the new owner".to_owned()
            }
            Self::TypeChanged { .. } => format!("set it back, or `macadam forget {address}` to upload a new asset"),
            Self::SameAsset { .. } => {
                "`macadam forget` the one that it doesn't belong to, or remove that one from the manifest".to_owned()
            }
            Self::Refused { refusal_kind: RefusalKind::DisplayName, .. } => {
                "set another `display_name`, or `policy.moderated_name = \"neutral\"`".to_owned()
            }
            Self::Refused { refusal_kind: RefusalKind::Other, .. } => match part {
                HeldPart::Metadata => format!("change its metadata, or `macadam retry {address}`"),
                HeldPart::Asset | HeldPart::Archiving => {
                    format!("change the file or its metadata, or `macadam retry {address}`")
                }
            },
            Self::Rejected { .. } => "change the file: uploading the same again risks the account".to_owned(),
            Self::AssetGone | Self::ContentGone { .. } => gone_hint(address),
            Self::ReplaceForbidden(_) => "set `prevent_replace = false`, or undo the change".to_owned(),
            Self::MayBeRenamed { from, asset_id } => {
                let first = from.first().map_or("it", Address::as_str);
                format!(
                    "`macadam import {address} {asset_id}` if it is `{first}`; `prevent_replace = false` if it is a new asset"
                )
            }
            Self::MadeElsewhere { .. } | Self::RolledBackElsewhere { .. } => overwrite_hint(address),
            Self::Archived { .. } => format!("`macadam restore {address}`"),
            Self::OneOfSeveralNew { from, asset_id, .. } => choice_hint(address, Some(from), *asset_id),
            Self::OneOfSeveralLeft { from, asset_id, .. } => choice_hint(address, from.first(), *asset_id),
            Self::MayHaveMoved { .. } => "fix that first, so that nothing is uploaded twice".to_owned(),
            Self::StillNamed { new: Some(new), .. } => format!("write `{new}` there"),
            Self::StillNamed { new: None, .. } => {
                "remove the reference, or put the asset back into the manifest".to_owned()
            }
            Self::MayBeNamed { named, place } => {
                let then = match place {
                    StrayPlace::Pin => "remove that pin",
                    StrayPlace::Icon { .. } => "choose another icon there",
                    StrayPlace::Preview { .. } => "choose another preview there",
                };
                format!("write `{address}` there if it is `{named}`; {then} if it is another asset")
            }
            Self::SharedUpload { owner } => format!("see `macadam status {owner}`"),
            Self::LockfileLost(lost) => lost.hint(),
            Self::NotFound { known, .. } => asked_again(*known),
            Self::AnotherAsset(mismatch) => mismatch.hint().to_owned(),
            Self::Unverified { .. } => "`macadam sync` checks that first, and continues by itself".to_owned(),
            Self::Contradiction(contradiction) => {
                let asset_id = contradiction.asset_id();
                format!(
                    "look at https://create.roblox.com/store/asset/{asset_id}, then `macadam forget` the address that is wrong; where that is `{address}` itself, \
                     `macadam import {address} ASSET_ID` gives it the right asset"
                )
            }
            Self::PinUnusable { usable, .. } => usable.to_string(),
            Self::PinnedTooEarly { .. } => format!("`macadam unpin {address}`"),
            Self::ManyArchivings { code, .. } => format!("if that is right: `macadam sync --once --confirm {code}`"),
        })
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(problem) => f.write_str(&problem.message),
            Self::TypeUnknown => f.write_str("Macadam can't tell its type from the file"),
            Self::NoAnswer { sent_at, in_a_row } => {
                match (sent_at, in_a_row) {
                    (Some(at), 0 | 1) => write!(f, "its upload of {} got no clear answer", Minute(*at))?,
                    (Some(at), times) => {
                        write!(f, "its last {times} uploads, the latest of {}, got no clear answer", Minute(*at))?;
                    }
                    (None, 0 | 1) => f.write_str("its upload from another machine got no clear answer")?,
                    (None, times) => {
                        write!(f, "its last {times} uploads, the latest from another machine, got no clear answer")?;
                    }
                }
                f.write_str(", so it is unknown whether Roblox has it")
            }
            Self::AnswerLost { said, sent_at } => {
                f.write_str("Roblox has probably made its asset, but Macadam didn't learn which")?;
                said.as_ref().map_or(Ok(()), |said| write!(f, " ({said})"))?;
                match sent_at {
                    Some(at) => write!(f, "; it was uploaded at {}", Minute(*at)),
                    None => f.write_str("; it was uploaded from another machine"),
                }
            }
            Self::CreatorChanged { from, to, .. } => write!(f, "its creator changed from {from} to {to}"),
            Self::TypeChanged { from, to } => write!(f, "its type changed from {from} to {to}"),
            Self::SameAsset { other } => write!(f, "`{other}` has the same asset"),
            Self::Refused { action, message, .. } => write!(f, "Roblox refused {}: {message}", refused(action)),
            Self::Rejected { uploaded_as: None } => f.write_str("Roblox's moderation rejected this content"),
            Self::Rejected { uploaded_as: Some(other) } => {
                write!(f, "Roblox's moderation rejected this content, uploaded as `{other}`")
            }
            Self::AssetGone => f.write_str("Roblox no longer has its asset"),
            Self::ContentGone { asset_id } => {
                write!(f, "its file is again the one of asset {asset_id}, which Roblox no longer has")
            }
            Self::ReplaceForbidden(cause) => {
                match cause {
                    ReplaceCause::ContentChanged(asset_type) => {
                        write!(f, "the file changed and Roblox can't update {}", WithArticle(*asset_type))?;
                    }
                    ReplaceCause::AssetGone => f.write_str("Roblox no longer has its asset")?,
                    ReplaceCause::Splits => f.write_str("it shares an asset but has other metadata")?,
                }
                f.write_str(", and `prevent_replace` forbids a new asset ID")
            }
            Self::MayBeRenamed { from, .. } => write!(
                f,
                "it may be {}, which left in the same change, renamed and edited; `prevent_replace` forbids a new asset ID",
                AddressNames(from)
            ),
            Self::QuotaSpent { asset_type, creator, message, until } => write!(
                f,
                "the {asset_type} uploads of {} are used up ({message}); Macadam tries again by itself after {}",
                creator.in_words(),
                Minute(*until)
            ),
            Self::MadeElsewhere { asset_id, version: Some(version) } => {
                write!(f, "revision {version} of asset {asset_id} was made on Roblox, outside of Macadam")
            }
            Self::MadeElsewhere { asset_id, version: None } => {
                write!(f, "a newer revision of asset {asset_id} was made on Roblox, outside of Macadam")
            }
            Self::RolledBackElsewhere { asset_id, current, known } => write!(
                f,
                "revision {current} of asset {asset_id} was made current on Roblox in place of {known}, outside of Macadam"
            ),
            Self::Archived { asset_id, change } => {
                match change {
                    BlockedChange::Content => f.write_str("its file changed")?,
                    BlockedChange::Pin { to } => write!(f, "it is pinned to revision {to}")?,
                }
                write!(f, ", but asset {asset_id} is archived")
            }
            Self::OneOfSeveralNew { from, evidence, .. } => {
                write!(f, "`{from}` moved here or to another new address: each has {evidence}")
            }
            Self::OneOfSeveralLeft { from, evidence, .. } => {
                write!(f, "it may be any of {}, which left and had {evidence}", AddressNames(from))
            }
            Self::MayHaveMoved { from, evidence, why } => {
                write!(f, "it has {evidence} as {}, which may have moved here or not: {why}", AddressNames(from))
            }
            Self::StillNamed { place, old, new } => match new {
                Some(new) => write!(f, "{} still names `{old}`, which is called `{new}` now", Place(place)),
                None => write!(f, "{} still names `{old}`, which is no longer in the manifest", Place(place)),
            },
            Self::MayBeNamed { named, place } => {
                let place = Place(place);
                write!(f, "it may be `{named}` under another name: that left the manifest, but {place} still names it")
            }
            Self::SharedUpload { owner } => write!(f, "it shares the upload of `{owner}`, which is on hold"),
            Self::LockfileLost(lost) => lost.fmt(f),
            Self::NotFound { asset_id, known } => NotFoundYet(*asset_id, *known).fmt(f),
            Self::AnotherAsset(mismatch) => mismatch.fmt(f),
            Self::Unverified { asset_id } => write!(
                f,
                "asset {asset_id} is known only from another tool's files; Macadam hasn't checked its owner and type yet"
            ),
            Self::Contradiction(contradiction) => contradiction.fmt(f),
            Self::PinUnusable { pin, why, .. } => write!(f, "it is pinned to {}, {why}", shown(*pin)),
            Self::PinnedTooEarly { pin } => write!(f, "it is pinned to {}, but has no revisions yet", shown(*pin)),
            Self::ManyArchivings { asset_id, why, count, all, .. } => write!(
                f,
                "asset {asset_id} {} and would be archived now, but {count} of {all} assets in one day is a lot",
                why_text(*why)
            ),
        }
    }
}

/// The refused change as the object of "Roblox refused".
fn refused(action: &str) -> &'static str {
    match action {
        "create" | "replace" => "the upload",
        "update_content" => "the new revision",
        "update_metadata" => "the new metadata",
        "rollback" => "the rollback",
        "archive" => "to archive it",
        "restore" => "to restore it",
        _ => "the change",
    }
}

/// Roblox doesn't find an asset, and not for long enough to count.
pub(super) struct NotFoundYet(pub AssetId, pub NotFound);

impl fmt::Display for NotFoundYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(asset_id, NotFound { answers, .. }) = self;
        write!(
            f,
            "Roblox answered that it has no asset {asset_id}; that counts after {ANSWERS_UNTIL_GONE} such answers, so far {answers}"
        )
    }
}

/// When Macadam asks for an asset again that Roblox didn't find.
pub(super) fn asked_again(known: NotFound) -> String {
    format!("the first `macadam sync` after {} asks again, and nothing is uploaded until then", Minute(known.next_at()))
}

/// The two ways on after an upload that got no clear answer.
pub(crate) fn resolve_hint(address: &Address) -> String {
    format!(
        "look for it at create.roblox.com: if it is there, `macadam resolve {address} --asset-id N`; if not, `macadam resolve {address} --recreate`"
    )
}

/// The ways on for an asset that Roblox no longer has.
pub(crate) fn gone_hint(address: &Address) -> String {
    format!(
        "`macadam retry {address}` has the next sync ask Roblox again; after `macadam forget {address}` the next sync uploads the file as a new asset, \
         with a new ID"
    )
}

/// The ways on where a revision was made outside of Macadam.
pub(super) fn overwrite_hint(address: &Address) -> String {
    format!(
        "if it is a deploy that this checkout hasn't pulled, pull it; `macadam sync --once --overwrite {address}` puts the file over it"
    )
}

fn choice_hint(address: &Address, from: Option<&Address>, asset_id: Option<AssetId>) -> String {
    let asset = asset_id.map_or_else(|| "ASSET_ID".to_owned(), |asset_id| asset_id.to_string());
    let from = from.map_or("it", Address::as_str);
    format!("`macadam import {address} {asset}` if it is `{from}`; `macadam forget {from}` if it is none of them")
}
