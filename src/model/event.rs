//! Events that a person may want to read later.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::address::Address;
use super::history::Kind;
use super::ids::{AssetId, Creator, Revision};
use super::minute::{Age, Minute};
use super::observation::Mismatch;
use super::phase::IntentKind;

/// An event that a person may want to read later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// An upload that got no clear answer is sent again.
    SentAgain {
        /// When it was sent; `None`: by another machine.
        sent_at: Option<Timestamp>,
    },
    /// An upload got no clear answer, and another one of the same file has arrived.
    MayBeTwice {
        /// When it was sent; `None`: by another machine.
        sent_at: Option<Timestamp>,
    },
    /// Another machine sent an upload of this one again.
    SentAgainElsewhere {
        /// When this machine sent it.
        sent_at: Timestamp,
    },
    /// A newer file takes the place of an upload that Roblox never finished.
    SetAside {
        /// How long Roblox has been processing it.
        age: SignedDuration,
    },
    /// A person stopped waiting for an upload that Roblox still processes.
    GivenUp,
    /// An earlier upload made a second asset for one content.
    MadeTwice {
        /// The new asset.
        made: AssetId,
        /// The asset in use.
        kept: AssetId,
    },
    /// An asset is no longer used, since the lockfile has another one.
    PassedOver {
        /// The asset.
        asset_id: AssetId,
        /// The lockfile has another type or owner for its address.
        other_kind: bool,
    },
    /// A request got no clear answer.
    InDoubt {
        /// The change that was requested.
        action: IntentKind,
        /// The failure.
        message: String,
    },
    /// A lost entry of the lockfile was taken from git.
    EntryTakenBack {
        /// The lockfile's name.
        lockfile: String,
    },
    /// Roblox made an asset under another owner than requested.
    OtherCreator {
        /// The asset.
        asset_id: AssetId,
        /// Its owner.
        made: Creator,
        /// The requested owner.
        meant: Creator,
    },
    /// Moderation rejected an asset.
    Rejected(AssetId),
    /// Moderation no longer rejects an asset.
    NoLongerRejected(AssetId),
    /// Roblox has an asset again that it didn't find.
    FoundAgain(AssetId),
    /// Roblox answered that it doesn't have an asset.
    NotFound {
        /// The asset.
        asset_id: AssetId,
        /// How many such answers there were.
        answers: u32,
    },
    /// Roblox no longer has an asset.
    Gone(AssetId),
    /// A revision was made outside of Macadam.
    MadeElsewhere {
        /// The asset.
        asset_id: AssetId,
        /// The revision, where known.
        version: Option<Revision>,
    },
    /// An answer described another asset than the record.
    AnotherAsset(Mismatch),
    /// A person said which asset an upload without a clear answer made.
    ResolvedAs(AssetId),
    /// A person said that there is no duplicate.
    NoDuplicate,
    /// A person said that an upload without a clear answer made nothing.
    NotMade,
    /// A change of the owner: the earlier assets go on under another name.
    Recreated {
        /// The last asset.
        asset_id: Option<AssetId>,
        /// The name.
        name: Address,
    },
    /// A merged branch brought assets of an earlier owner back: they go on under another name.
    BroughtBack {
        /// The last asset.
        asset_id: Option<AssetId>,
        /// Their owner.
        owner: Creator,
        /// The name.
        name: Address,
    },
    /// A change of the owner: the new one has assets for it already.
    UsedAgain {
        /// The new owner.
        creator: Creator,
    },
    /// An upload was for another owner or type than the address has by now.
    MadeForAnother {
        /// The asset.
        asset_id: AssetId,
        /// The type and owner that it was uploaded for.
        kind: Kind,
    },
    /// A person forgot an address.
    Forgotten {
        /// Its assets.
        asset_ids: Vec<AssetId>,
        /// How many possible duplicates it had.
        suspected: u64,
    },
    /// Another machine forgot an asset.
    ForgottenElsewhere(AssetId),
    /// A person imported an asset.
    Imported {
        /// The asset.
        asset_id: AssetId,
        /// The address that had it and left.
        from: Option<Address>,
    },
}

/// The stable name of the events of an upload that may have made a second copy.
pub(crate) const POSSIBLE_DUPLICATE: &str = "possible_duplicate";

impl EventKind {
    /// The stable name in the state and in `--json`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SentAgain { .. }
            | Self::MayBeTwice { .. }
            | Self::SentAgainElsewhere { .. }
            | Self::SetAside { .. }
            | Self::GivenUp => POSSIBLE_DUPLICATE,
            Self::MadeTwice { .. } | Self::PassedOver { .. } => "duplicate_asset",
            Self::InDoubt { .. } => "in_doubt",
            Self::EntryTakenBack { .. } => "entry_taken_back",
            Self::OtherCreator { .. } => "other_creator",
            Self::Rejected(_) => "rejected",
            Self::NoLongerRejected(_) => "no_longer_rejected",
            Self::FoundAgain(_) => "found_again",
            Self::NotFound { .. } => "not_found",
            Self::Gone(_) => "gone",
            Self::MadeElsewhere { .. } => "made_elsewhere",
            Self::AnotherAsset(_) => "another_asset",
            Self::ResolvedAs(_) | Self::NoDuplicate => "resolved",
            Self::NotMade | Self::Recreated { .. } | Self::BroughtBack { .. } => "recreated",
            Self::UsedAgain { .. } => "creator_changed",
            Self::MadeForAnother { .. } => "made_for_another",
            Self::Forgotten { .. } | Self::ForgottenElsewhere(_) => "forgotten",
            Self::Imported { .. } => "imported",
        }
    }
}

/// A request, at the beginning of a sentence.
const fn request(action: IntentKind) -> &'static str {
    match action {
        IntentKind::Create | IntentKind::Replace => "the upload of a new asset",
        IntentKind::UpdateContent => "the update of its content",
        IntentKind::UpdateMetadata => "the change of its name, description or links",
        IntentKind::Rollback => "the rollback",
        IntentKind::Archive => "the archiving",
        IntentKind::Restore => "the restoring",
    }
}

/// Writes which upload it was, at the beginning of a sentence.
fn write_upload(f: &mut fmt::Formatter<'_>, sent_at: Option<Timestamp>) -> fmt::Result {
    match sent_at {
        Some(at) => write!(f, "the upload of {}", Minute(at)),
        None => f.write_str("an upload from another machine"),
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SentAgain { sent_at } => {
                write_upload(f, *sent_at)?;
                f.write_str(" got no clear answer and is sent again, so there may be two copies of it on Roblox")
            }
            Self::MayBeTwice { sent_at } => {
                write_upload(f, *sent_at)?;
                f.write_str(
                    " got no clear answer, and another upload has arrived, so there may be two copies of it on Roblox",
                )
            }
            Self::SentAgainElsewhere { sent_at } => write!(
                f,
                "the lockfile says that the upload of {} was sent again, since its answer was lost; there may be two copies of it on Roblox",
                Minute(*sent_at)
            ),
            Self::SetAside { age } => {
                let age = Age(*age);
                write!(f, "Roblox has been processing an older upload of it for {age}; Macadam stops waiting for it")
            }
            Self::GivenUp => f.write_str("you decided to wait no longer for an upload that Roblox is still processing"),
            Self::MadeTwice { made, kept } => write!(
                f,
                "asset {made} came of an earlier upload, but asset {kept} is in use for it already: {made} is a duplicate, and isn't used"
            ),
            Self::PassedOver { asset_id, other_kind: true } => {
                write!(f, "asset {asset_id} isn't used: the lockfile has another type or owner here")
            }
            Self::PassedOver { asset_id, other_kind: false } => {
                write!(f, "asset {asset_id} isn't used: the lockfile has another asset for it")
            }
            Self::InDoubt { action, message } => write!(f, "{} got no clear answer: {message}", request(*action)),
            Self::EntryTakenBack { lockfile } => {
                write!(f, "{lockfile} had lost its entry, so Macadam took it from git")
            }
            Self::OtherCreator { asset_id, made, meant } => {
                write!(f, "asset {asset_id} was made under {}, not under {}", made.in_words(), meant.in_words())
            }
            Self::Rejected(asset_id) => write!(f, "moderation rejected asset {asset_id}"),
            Self::NoLongerRejected(asset_id) => write!(f, "moderation no longer rejects asset {asset_id}"),
            Self::FoundAgain(asset_id) => write!(f, "Roblox has asset {asset_id} again"),
            Self::NotFound { asset_id, answers } => {
                write!(f, "Roblox answered that it has no asset {asset_id} (answer number {answers})")
            }
            Self::Gone(asset_id) => write!(f, "Roblox no longer has asset {asset_id}"),
            Self::MadeElsewhere { asset_id, version: Some(version) } => {
                write!(f, "revision {version} of asset {asset_id} was made on Roblox, outside of Macadam")
            }
            Self::MadeElsewhere { asset_id, version: None } => {
                write!(f, "a newer revision of asset {asset_id} was made on Roblox, outside of Macadam")
            }
            Self::AnotherAsset(mismatch) => mismatch.fmt(f),
            Self::ResolvedAs(asset_id) => write!(f, "an upload that got no clear answer made asset {asset_id}"),
            Self::NoDuplicate => f.write_str("you said that it has no duplicate"),
            Self::NotMade => f.write_str("you said that the interrupted upload did not arrive"),
            Self::Recreated { asset_id: Some(asset_id), name } => {
                write!(f, "its creator changed: asset {asset_id} is `{name}` from now on")
            }
            Self::Recreated { asset_id: None, name } => {
                write!(f, "its creator changed: its earlier uploads are `{name}` from now on")
            }
            Self::BroughtBack { asset_id, owner, name } => {
                f.write_str("a merged branch brought ")?;
                match asset_id {
                    Some(asset_id) => write!(f, "asset {asset_id} of {} back", owner.in_words())?,
                    None => write!(f, "earlier uploads of {} back", owner.in_words())?,
                }
                write!(f, "; Macadam keeps it as `{name}` from now on")
            }
            Self::UsedAgain { creator } => {
                write!(f, "its creator changed: the assets that {} already has are used again", creator.in_words())
            }
            Self::MadeForAnother { asset_id, kind: Kind { asset_type, creator } } => write!(
                f,
                "asset {asset_id} came from an upload as {asset_type} of {}, which this checkout doesn't want, so it isn't used here",
                creator.in_words()
            ),
            Self::Forgotten { asset_ids, suspected } => {
                f.write_str("forgotten, with its assets: ")?;
                for (at, asset_id) in asset_ids.iter().enumerate() {
                    write!(f, "{}{asset_id}", if at == 0 { "" } else { ", " })?;
                }
                if *suspected > 0 { write!(f, "; possible duplicates: {suspected}") } else { Ok(()) }
            }
            Self::ForgottenElsewhere(asset_id) => {
                write!(f, "asset {asset_id} was forgotten on another machine, and is forgotten here too")
            }
            Self::Imported { asset_id, from: Some(from) } => {
                write!(f, "asset {asset_id} of `{from}`, which left, was taken over")
            }
            Self::Imported { asset_id, from: None } => write!(f, "Macadam manages asset {asset_id} from now on"),
        }
    }
}
