//! Facts that a person should know although nothing is done about them.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{AddressNames, Disappearance};
use crate::model::address::Address;
use crate::model::desired::{AbsenceReason, Twins, Unfound};
use crate::model::event::EventKind;
use crate::model::ids::AssetId;
use crate::model::minute::{Age, Minute};
use crate::model::missing_lockfile::Lost;
use crate::model::neighbours::OtherUse;
use crate::model::observation::NotFound;
use crate::model::path::ProjectPath;
use crate::model::recorded::RetireReason;
use crate::model::shown::foreign;
use crate::plan::reason::hold::{NotFoundYet, asked_again};
use crate::plan::reason::lost_upload::{LostUpload, resolve_hint};
use crate::plan::reason::why_text;

/// A fact that a person should know although nothing is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoteKind {
    /// A run for some addresses leaves this one out, since it needs another's asset first.
    NeedsOther {
        /// The other address.
        other: Address,
    },
    /// It left the manifest.
    Removed {
        /// Its asset stays on Roblox.
        kept: bool,
        /// Why the glob that found its file no longer does.
        glob: Option<Unfound>,
    },
    /// Assets are absent, and that doesn't count as a removal.
    AbsenceIgnored {
        /// How many.
        count: u64,
        /// Why it doesn't count.
        why: AbsenceReason,
    },
    /// `privacy` was changed, which has no effect.
    PrivacyIsFixed,
    /// Roblox processes an upload for longer than any that succeeds.
    Overdue {
        /// The address.
        address: Address,
        /// For how long.
        age: SignedDuration,
        /// The upload, if it makes a new asset.
        creates: Option<LostUpload>,
    },
    /// A newer file takes the place of an upload that Roblox never finished.
    SetAside {
        /// How long Roblox has been processing it.
        age: SignedDuration,
    },
    /// An upload whose answer was lost is sent again.
    SentAgain,
    /// The answer to an upload was lost, and another upload of the same file has arrived.
    MayBeTwice,
    /// A person archived the asset.
    ArchivedByHand {
        /// The address.
        address: Address,
    },
    /// The file changed while the address is pinned.
    PinHoldsFile {
        /// The address.
        address: Address,
        /// The number of the pinned revision.
        number: u64,
    },
    /// A new address may be one that left in the same change.
    MayBeRenamed {
        /// The new address.
        address: Address,
        /// The addresses that left.
        from: Vec<Address>,
        /// The asset of the first one.
        asset_id: AssetId,
    },
    /// The address has another file than before.
    FileRenamed {
        /// The earlier file.
        from: ProjectPath,
        /// The file.
        to: ProjectPath,
    },
    /// Roblox refused the display name, and the asset keeps its old one.
    NameKept,
    /// An icon or preview has no asset yet.
    ShownAssetMissing {
        /// The address of the icon or preview.
        to: Address,
    },
    /// The lockfile was lost, and isn't written until a person decides.
    LockfileLost(Lost),
    /// Roblox doesn't find the asset at the moment.
    NotFound {
        /// The asset.
        asset_id: AssetId,
        /// Its answers so far.
        known: NotFound,
    },
    /// An asset will be archived.
    ArchivedLater {
        /// The asset.
        asset_id: AssetId,
        /// Why.
        why: RetireReason,
        /// Not before this time.
        at: Timestamp,
    },
    /// An earlier lockfile has an asset as archived, and what the sync does depends on whether it still
    /// is.
    MayBeArchived {
        /// The asset.
        asset_id: AssetId,
    },
    /// An asset would be archived, and another manifest keeps it.
    KeptElsewhere {
        /// The asset.
        asset_id: AssetId,
        /// Why it would be archived.
        why: RetireReason,
        /// Who keeps it.
        by: OtherUse,
    },
    /// A Model changes in place that another manifest uses too.
    ChangesElsewhere {
        /// The asset.
        asset_id: AssetId,
        /// By whom.
        by: OtherUse,
    },
    /// Two addresses differ only by case.
    DifferOnlyByCase {
        /// The first in order.
        first: Address,
        /// The other one.
        second: Address,
    },
}

impl NoteKind {
    /// The stable name in `--json`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NeedsOther { .. } => "needs_other",
            Self::Removed { .. } => "removed",
            Self::AbsenceIgnored { .. } => "absence_ignored",
            Self::PrivacyIsFixed => "privacy_is_fixed",
            Self::Overdue { .. } => "overdue",
            Self::SetAside { .. } => "set_aside",
            Self::SentAgain => "sent_again",
            Self::MayBeTwice => "may_be_twice",
            Self::ArchivedByHand { .. } => "archived_by_hand",
            Self::PinHoldsFile { .. } => "pin_holds_file",
            Self::MayBeRenamed { .. } => "may_be_renamed",
            Self::FileRenamed { .. } => "file_renamed",
            Self::NameKept => "name_kept",
            Self::ShownAssetMissing { .. } => "shown_asset_missing",
            Self::LockfileLost(_) => "lockfile_lost",
            Self::NotFound { .. } => "not_found",
            Self::ArchivedLater { .. } => "archived_later",
            Self::MayBeArchived { .. } => "may_be_archived",
            Self::KeptElsewhere { .. } => "kept_elsewhere",
            Self::ChangesElsewhere { .. } => "changes_elsewhere",
            Self::DifferOnlyByCase { .. } => "differ_only_by_case",
        }
    }
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsOther { other } => {
                write!(f, "it needs the asset of `{other}` first; `macadam sync --once` uploads both")
            }
            Self::Removed { kept, glob } => {
                let stays = if *kept { "; its asset stays on Roblox" } else { "" };
                write!(f, "{}{stays}", Disappearance(glob.as_ref()))
            }
            Self::AbsenceIgnored { count, why } => {
                let assets = if *count == 1 { "1 asset is" } else { &format!("{count} assets are") };
                write!(f, "{assets} absent here, which doesn't count as a removal: {why}")?;
                if *why == AbsenceReason::NothingWanted {
                    f.write_str("; `macadam archive '**'` archives them all on purpose")?;
                }
                Ok(())
            }
            Self::PrivacyIsFixed => {
                f.write_str("Roblox takes `privacy` only with the first upload, so changing it here has no effect")
            }
            Self::Overdue { address, age, creates } => {
                let age = Age(*age);
                let way_out = WayOut { address, creates: creates.clone() };
                write!(f, "Roblox has been processing its upload for {age}, longer than any that succeeds: {way_out}")
            }
            Self::SetAside { age } => EventKind::SetAside { age: *age }.fmt(f),
            Self::MayBeTwice => f.write_str(
                "the answer to an earlier upload of it got lost, and it has an asset from another one; there may be a second copy of it on Roblox",
            ),
            Self::SentAgain => f.write_str(
                "it is uploaded again because the first answer got lost; there may now be two copies of it on Roblox",
            ),
            Self::ArchivedByHand { address } => {
                write!(f, "it was archived by hand; `macadam restore {address:#}` brings it back")
            }
            Self::PinHoldsFile { address, number } => write!(
                f,
                "it is pinned to revision {number}, and its file has other content; `macadam unpin {address:#}` goes back to it"
            ),
            Self::MayBeRenamed { address, from, asset_id } => {
                let first = from.first().map_or("it", Address::as_str);
                write!(
                    f,
                    "it is new, and {} left in the same change; if it is `{first}`, renamed and edited, `macadam import {address:#} {asset_id}` gives it the old asset ID",
                    AddressNames(from)
                )
            }
            Self::FileRenamed { from, to } => {
                let (from, to) = (foreign(from.as_str()), foreign(to.as_str()));
                write!(f, "its file is {to} now, and was {from} before; it keeps its asset")
            }
            Self::NameKept => f.write_str("Roblox refused the display name, so the asset keeps its old one"),
            Self::ShownAssetMissing { to } => {
                write!(f, "it shows `{to}`, which has no asset yet, so that part of it is set later")
            }
            Self::LockfileLost(lost) => {
                write!(f, "{lost}; Macadam doesn't write it until you decide: {}", lost.hint())
            }
            Self::NotFound { asset_id, known } => {
                write!(f, "{}; {}", NotFoundYet(*asset_id, *known), asked_again(*known))
            }
            Self::ArchivedLater { asset_id, why, at } => {
                write!(f, "asset {asset_id} {}; Macadam archives it after {}", why_text(*why), Minute(*at))
            }
            Self::MayBeArchived { asset_id } => write!(
                f,
                "asset {asset_id} may be archived on Roblox, as an earlier lockfile says; the sync looks first, and `macadam plan --refresh` shows what it does then"
            ),
            Self::KeptElsewhere { asset_id, why, by } => {
                write!(f, "asset {asset_id} {}; Macadam doesn't archive it: {by}", why_text(*why))
            }
            Self::ChangesElsewhere { asset_id, by } => write!(f, "asset {asset_id} changes elsewhere too: {by}"),
            Self::DifferOnlyByCase { first, second } => Twins { first, second }.fmt(f),
        }
    }
}

/// What a person can do about an operation that never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WayOut<'a> {
    /// The address.
    pub address: &'a Address,
    /// The upload, if it makes a new asset.
    pub creates: Option<LostUpload>,
}

impl fmt::Display for WayOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, creates } = self;
        match creates {
            Some(upload) => write!(f, "change the file, or {}", resolve_hint(address, upload)),
            None => write!(f, "change the file, or send it again with `macadam resolve {address:#} --recreate`"),
        }
    }
}
