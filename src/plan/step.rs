//! The parts of a plan.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::address::Address;
use crate::model::asset::FileFormat;
use crate::model::change::Change;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::{
    AssetRef, Description, DisplayName, Field, FieldDigests, Preview, SocialLink, SocialNetwork,
};
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::recorded::{AttemptId, Identity, RetireReason};
use crate::model::urgency::Urgency;

use super::reason::drift::DriftKind;
use super::reason::hold::{HoldKind, HoldReason};
use super::reason::note::NoteKind;
use super::reason::step::StepReason;

/// The steps to do, the ones not to do, and the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// The steps, by address; the steps of one address follow one another.
    pub steps: Vec<Step>,
    /// The things that are not done, and why.
    pub held: Vec<Hold>,
    /// Changes made at Roblox outside of Macadam, which are left as they are.
    pub drifts: Vec<Drift>,
    /// Facts that a person should know although nothing is done about them.
    pub notes: Vec<Note>,
    /// Changes of the state that need no request, written before the steps.
    pub marks: Vec<Change>,
}

/// One thing to do for one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// For which address.
    pub address: Address,
    /// The action.
    pub action: Action,
    /// Why.
    pub reason: StepReason,
    /// Other addresses whose assets have to be there before.
    pub after: Vec<Address>,
    /// Not before this time: an earlier try failed.
    pub not_before: Option<Timestamp>,
}

/// Everything that an upload of a new asset needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAsset {
    /// Its identity.
    pub identity: Identity,
    /// The bytes.
    pub content: ContentHash,
    /// Their number.
    pub size: u64,
    /// Their format.
    pub format: FileFormat,
    /// The name: the managed one, or the file's stem, or a neutral one after Roblox refused that.
    pub display_name: DisplayName,
    /// The description, where managed.
    pub description: Option<Description>,
    /// The most Robux that it may cost.
    pub expected_price: Option<u64>,
    /// The managed fields that go along, as they were asked for.
    pub fields: FieldDigests,
}

/// A new value of a metadata field. An icon or preview is an address only where that has to get its
/// asset first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldChange {
    /// Another display name.
    DisplayName(DisplayName),
    /// Another description; an empty one clears it.
    Description(Description),
    /// Another icon; `None` clears it.
    Icon(Option<AssetRef>),
    /// All previews; none clears them.
    Previews(Vec<Preview>),
    /// Another social link; `None` clears it.
    SocialLink(SocialNetwork, Option<SocialLink>),
}

impl FieldChange {
    /// Which field.
    pub(crate) const fn field(&self) -> Field {
        match self {
            Self::DisplayName(_) => Field::DisplayName,
            Self::Description(_) => Field::Description,
            Self::Icon(_) => Field::Icon,
            Self::Previews(_) => Field::Previews,
            Self::SocialLink(network, _) => Field::SocialLink(*network),
        }
    }

    /// The addresses that have to get their assets first.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = &Address> {
        let (icon, previews) = match self {
            Self::Icon(Some(icon)) => (Some(icon), [].as_slice()),
            Self::Previews(previews) => (None, previews.as_slice()),
            Self::Icon(None) | Self::DisplayName(_) | Self::Description(_) | Self::SocialLink(..) => {
                (None, [].as_slice())
            }
        };
        icon.into_iter().chain(previews.iter().map(|preview| &preview.asset)).filter_map(|reference| match reference {
            AssetRef::Address(address) => Some(address),
            AssetRef::Id(_) => None,
        })
    }
}

/// An action on one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Upload a new asset.
    Create(Box<NewAsset>),
    /// Use the asset that another address has, or will have when its own steps are done: the bytes
    /// are the same.
    Share {
        /// The other address.
        owner: Address,
        /// Its revision with these bytes; `None` while its steps are still to be done.
        key: Option<RevisionKey>,
        /// The identity of the address.
        identity: Identity,
        /// The bytes.
        content: ContentHash,
        /// The asset that the address is now.
        from: Option<AssetId>,
        /// The asset is archived as far as is known, so it is restored before.
        restores: bool,
    },
    /// Give a Model new content.
    UpdateContent {
        /// The asset.
        asset_id: AssetId,
        /// The newest version that is known.
        head: Option<Revision>,
        /// The identity of the address.
        identity: Identity,
        /// The bytes.
        content: ContentHash,
        /// Their number.
        size: u64,
        /// Their format.
        format: FileFormat,
    },
    /// Upload a new asset in place of an older one.
    Replace {
        /// The older asset.
        old: AssetId,
        /// The new one.
        new: Box<NewAsset>,
    },
    /// Go back to an asset that the address had before, after looking that it still lives.
    PointBack {
        /// The revision that is wanted.
        to: RevisionKey,
        /// The asset that the address is now.
        from: AssetId,
        /// A pin asks for it.
        pinned: bool,
        /// The asset is archived as far as is known, so it is restored before.
        restores: bool,
    },
    /// Make an earlier version of a Model current again.
    Rollback {
        /// The asset.
        asset_id: AssetId,
        /// The version.
        to: Revision,
    },
    /// Change metadata fields.
    UpdateMetadata {
        /// The asset; `None`: the one that the steps before make.
        asset_id: Option<AssetId>,
        /// Exactly the fields that changed.
        changes: Vec<FieldChange>,
        /// One of them changed outside of Macadam, so this counts as a repair.
        repairs: bool,
    },
    /// The address took over the assets of another, which left. Nothing is sent: what is known was
    /// moved with the plan's marks.
    Move {
        /// The name that they had.
        from: Address,
    },
    /// Archive an asset.
    Archive {
        /// The asset.
        asset_id: AssetId,
        /// Why it is on its way out.
        why: RetireReason,
    },
    /// Restore an archived asset.
    Restore {
        /// The asset.
        asset_id: AssetId,
        /// It was archived outside of Macadam, so this counts as a repair.
        repairs: bool,
    },
    /// Look at the remote to learn what came of a change whose outcome is unknown.
    Settle {
        /// The change.
        attempt: AttemptId,
    },
    /// Follow an operation that Roblox already works on.
    Wait {
        /// The change under way.
        attempt: AttemptId,
    },
}

impl Action {
    /// Returns whether an archived asset is restored beside what the name says.
    pub(crate) const fn restores(&self) -> bool {
        matches!(self, Self::Share { restores: true, .. } | Self::PointBack { restores: true, .. })
    }

    /// A person's word for it once it is done.
    pub(crate) const fn done_word(&self) -> &'static str {
        match self {
            Self::Create(_) => "uploaded",
            Self::Share { .. } => "shared",
            Self::Move { .. } => "moved",
            Self::UpdateContent { .. } => "updated",
            Self::Replace { .. } => "replaced",
            Self::PointBack { pinned: false, .. } => "switched back",
            Self::PointBack { pinned: true, .. } | Self::Rollback { .. } => "rolled back",
            Self::UpdateMetadata { .. } => "changed",
            Self::Restore { .. } => "restored",
            Self::Archive { .. } => "archived",
            Self::Settle { .. } | Self::Wait { .. } => "finished",
        }
    }

    /// The name in output.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) | Self::Share { from: None, .. } => "create",
            Self::UpdateContent { .. } => "update_content",
            Self::Replace { .. } | Self::PointBack { pinned: false, .. } | Self::Share { from: Some(_), .. } => {
                "replace"
            }
            Self::PointBack { pinned: true, .. } | Self::Rollback { .. } => "rollback",
            Self::UpdateMetadata { .. } => "update_metadata",
            Self::Move { .. } => "move",
            Self::Archive { .. } => "archive",
            Self::Restore { .. } => "restore",
            Self::Settle { .. } | Self::Wait { .. } => "wait",
        }
    }

    /// The words for a person while it is planned: "2 to upload".
    pub(crate) const fn planned(&self) -> &'static str {
        match self {
            Self::Create(_) => "to upload",
            Self::Share { .. } => "to share an asset ID",
            Self::UpdateContent { .. } => "to update",
            Self::Replace { .. } => "to replace",
            Self::PointBack { pinned: false, .. } => "to switch back",
            Self::PointBack { pinned: true, .. } | Self::Rollback { .. } => "to roll back",
            Self::Move { .. } => "to move",
            Self::Restore { .. } => "to restore",
            Self::Archive { .. } => "to archive",
            Self::UpdateMetadata { .. } => "to change",
            Self::Settle { .. } | Self::Wait { .. } => "waiting for Roblox",
        }
    }

    /// How soon it has to be done.
    pub(crate) const fn urgency(&self) -> Urgency {
        match self {
            Self::Rollback { .. } | Self::PointBack { .. } => Urgency::Rescue,
            // What a change in doubt did decides what its address does next.
            Self::UpdateContent { .. }
            | Self::Replace { .. }
            | Self::Share { from: Some(_), .. }
            | Self::Restore { .. }
            | Self::Settle { .. } => Urgency::Live,
            Self::UpdateMetadata { asset_id: Some(_), .. } | Self::Move { .. } | Self::Archive { .. } => {
                Urgency::Metadata
            }
            // The operation's own urgency counts while it is followed.
            Self::Create(_)
            | Self::Share { from: None, .. }
            | Self::UpdateMetadata { asset_id: None, .. }
            | Self::Wait { .. } => Urgency::FirstUpload,
        }
    }

    /// The asset that it concerns, where known.
    pub(crate) fn asset_id(&self) -> Option<AssetId> {
        match self {
            Self::UpdateContent { asset_id, .. }
            | Self::Rollback { asset_id, .. }
            | Self::Archive { asset_id, .. }
            | Self::Restore { asset_id, .. } => Some(*asset_id),
            Self::UpdateMetadata { asset_id, .. } => *asset_id,
            Self::Replace { old, .. } => Some(*old),
            Self::PointBack { to, .. } => Some(to.asset_id),
            Self::Share { key: Some(key), .. } => Some(key.asset_id),
            Self::Create(_)
            | Self::Share { key: None, .. }
            | Self::Move { .. }
            | Self::Settle { .. }
            | Self::Wait { .. } => None,
        }
    }

    /// Whether the address is another asset once this is done.
    pub(crate) const fn changes_asset(&self) -> bool {
        match self {
            Self::Create(_)
            | Self::Share { .. }
            | Self::Replace { .. }
            | Self::PointBack { .. }
            | Self::Wait { .. } => true,
            Self::UpdateContent { .. }
            | Self::Rollback { .. }
            | Self::UpdateMetadata { .. }
            | Self::Move { .. }
            | Self::Archive { .. }
            | Self::Restore { .. }
            | Self::Settle { .. } => false,
        }
    }

    /// Whether it uploads a file as a new asset.
    pub(crate) const fn creates_asset(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Replace { .. })
    }

    /// Whether it changes metadata alone; such a step comes after the others of its address, and
    /// nobody waits for it.
    pub(crate) const fn is_metadata(&self) -> bool {
        matches!(self, Self::UpdateMetadata { .. })
    }
}

/// Something that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Of which address.
    pub address: Address,
    /// Which part of it.
    pub part: HeldPart,
    /// Why.
    pub reason: HoldReason,
}

impl Hold {
    /// The kind of obstacle.
    pub(crate) const fn kind(&self) -> HoldKind {
        self.reason.kind()
    }

    /// The next thing to do for a person; `None` where nothing has to be done.
    pub(crate) fn hint(&self) -> Option<String> {
        self.reason.hint(&self.address, self.part)
    }
}

/// The part of an address that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum HeldPart {
    /// All of it.
    Asset,
    /// Its metadata; the content goes on.
    Metadata,
    /// The archiving of an asset.
    Archiving,
}

impl HeldPart {
    /// The name in output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Metadata => "metadata",
            Self::Archiving => "archiving",
        }
    }
}

/// A change made at Roblox outside of Macadam, which is reported and left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drift {
    /// Which address.
    pub address: Address,
    /// Its asset.
    pub asset_id: AssetId,
    /// The change.
    pub kind: DriftKind,
}

impl Drift {
    /// A way to end it.
    pub(crate) fn hint(&self) -> String {
        self.kind.hint(&self.address)
    }
}

/// The most repairs a day of one thing of one address. A person who changes it more often than
/// that means it.
pub(crate) const HEALINGS_A_DAY: usize = 3;

/// How long an upload whose answer was lost is left alone before it is sent again. Outages that are
/// over within a minute cost no copy then; it is also the length of Roblox's rate-limit windows.
pub(crate) const LOST_ANSWER_REST: SignedDuration = SignedDuration::from_secs(60);

/// The addresses to which a plan is restricted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restriction {
    /// The addresses that a person named.
    pub addresses: BTreeSet<Address>,
    /// Whether what their steps need comes along. Otherwise such a step is left, with a note.
    pub brings_needed: bool,
}

/// The options of a run beside the manifest, and the work in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanOptions {
    /// Addresses whose files are put over content made elsewhere.
    pub overwrite: BTreeSet<Address>,
    /// The code of the archiving that is agreed to.
    pub confirmed: Option<String>,
    /// How long a new asset whose answer was lost is left alone before it is sent again.
    pub lost_answer_rest: SignedDuration,
    /// Addresses that are being worked on right now: nothing new is planned for them, and what they
    /// upload is on its way.
    pub in_progress: BTreeSet<Address>,
    /// The findings in place of a missing lockfile, which may hold new uploads.
    pub missing_lockfile: Option<MissingLockfile>,
    /// A person agrees to a new lockfile in place of a missing one.
    pub accept_new_lockfile: bool,
    /// A person vouches for the lockfile: what it lacks is new, also where this clone can't show that.
    pub trust_lockfile: bool,
    /// The part of the project to plan for; `None` for all of it.
    pub only: Option<Restriction>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            overwrite: BTreeSet::new(),
            confirmed: None,
            accept_new_lockfile: false,
            trust_lockfile: false,
            missing_lockfile: None,
            lost_answer_rest: LOST_ANSWER_REST,
            in_progress: BTreeSet::new(),
            only: None,
        }
    }
}

impl PlanOptions {
    /// Whether nobody asks for anything but a plan of everything.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self { lost_answer_rest: self.lost_answer_rest, ..Self::default() }
    }
}

/// Something to know, about which nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Which address, if one.
    pub address: Option<Address>,
    /// The fact.
    pub kind: NoteKind,
}
