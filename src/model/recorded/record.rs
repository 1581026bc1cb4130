//! The record of one address.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::asset::{AssetType, ContentChange, Privacy};
use crate::model::checkout::InLockfile;
use crate::model::desired::Pin;
use crate::model::digest::FieldDigest;
use crate::model::history::{History, Kind, Origin, RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, ContentHash, Creator, Revision, UploadId};
use crate::model::metadata::{Field, FieldDigests};
use crate::model::path::ProjectPath;
use crate::model::phase::{Intent, IntentKind};
use crate::model::rare::Rare;

/// The identity of an address, apart from its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its type.
    pub asset_type: AssetType,
    /// Its owner.
    pub creator: Creator,
    /// Its privacy as requested at creation.
    pub privacy: Privacy,
    /// The file that it last came from.
    pub path: ProjectPath,
}

impl Identity {
    /// Returns whether the other one is the same, though its path may be spelt with accents apart.
    pub fn is_alike(&self, other: &Self) -> bool {
        let Self { asset_type, creator, privacy, path } = self;
        *asset_type == other.asset_type
            && *creator == other.creator
            && *privacy == other.privacy
            && path.composed() == other.path.composed()
    }

    /// The kind of its assets.
    pub const fn kind(&self) -> Kind {
        let Self { asset_type, creator, privacy: _, path: _ } = self;
        Kind { asset_type: *asset_type, creator: *creator }
    }
}

/// Where the last rollback of a Model led. Roblox's answers leave open whether it makes a new
/// version or moves the head back, so it is read anew each time; nothing newer than `newest` being
/// known, `at` is the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedAt {
    /// The requested revision.
    pub pin: Pin,
    /// The revision that became current by it.
    pub at: RevisionKey,
    /// The newest version that was known then: a newer one came after.
    pub newest: Option<Revision>,
}

/// Why an asset of an address is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetireReason {
    /// Another asset took its place.
    Replaced,
    /// The address left the manifest.
    Removed,
    /// A person archived it.
    ByHand,
}

impl RetireReason {
    /// The name in lockfile and state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Removed => "removed",
            Self::ByHand => "by_hand",
        }
    }

    /// Reads the name that [`RetireReason::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Replaced, Self::Removed, Self::ByHand].into_iter().find(|leaving| leaving.name() == name)
    }
}

/// An asset of an address that is to be archived, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// Why.
    pub why: RetireReason,
    /// Since when it is known: `archive_after` counts from here.
    pub since: Timestamp,
    /// When Macadam archived it; `None` while that is still to come.
    pub archived_at: Option<Timestamp>,
}

impl Retirement {
    /// The union of what two machines know of one retirement: the later times, since nothing may be
    /// archived earlier than either of them said, and the reason that goes with them.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let order = |one: &Self| (one.archived_at, one.since, one.why);
        let last = if order(&self) < order(&other) { other } else { self };
        Self { since: self.since.max(other.since), ..last }
    }

    /// Whether a person archived it.
    pub fn is_by_hand(&self) -> bool {
        self.why == RetireReason::ByHand && self.archived_at.is_some()
    }

    /// The same with whole seconds, as a lockfile has it.
    #[must_use]
    pub fn in_seconds(self) -> Self {
        let Self { why, since, archived_at } = self;
        let floor = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        Self { why, since: floor(since), archived_at: archived_at.map(floor) }
    }
}

/// A repair of a change made outside of Macadam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftRepair {
    /// Names, descriptions and such.
    Metadata,
    /// An asset that was archived.
    Archived,
}

impl DriftRepair {
    /// The name in the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Archived => "archived",
        }
    }

    /// Reads the name that [`DriftRepair::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Metadata, Self::Archived].into_iter().find(|repair| repair.name() == name)
    }
}

/// Repairs older than this no longer count.
pub(crate) const HEALINGS_COUNT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The part that Roblox objected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// The text filter refused the display name.
    DisplayName,
    /// The upload costs more than `expected_price` allows.
    Price {
        /// The price in Robux, where Roblox named it.
        robux: Option<u64>,
    },
    /// Something else.
    Other,
}

impl RefusalKind {
    /// The name in the state.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::DisplayName => "display_name".into(),
            Self::Price { robux: None } => "price".into(),
            Self::Price { robux: Some(robux) } => format!("price {robux}").into(),
            Self::Other => "other".into(),
        }
    }

    /// Reads the name that [`RefusalKind::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.split_once(' ') {
            Some(("price", robux)) => Some(Self::Price { robux: Some(robux.parse().ok()?) }),
            Some(_) => None,
            None => {
                let known = [Self::DisplayName, Self::Price { robux: None }, Self::Other];
                known.into_iter().find(|refusal_kind| refusal_kind.name() == name)
            }
        }
    }
}

/// The reason why an address waits although something is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Roblox said no: waits until what was refused changes, or for `retry`.
    Refused {
        /// The refused content and metadata, see [`crate::model::metadata_digest::input_digest`].
        input_digest: FieldDigest,
        /// The change that was refused.
        action: IntentKind,
        /// The part that it objected to.
        refusal_kind: RefusalKind,
        /// Roblox's words.
        message: String,
        /// When.
        at: Timestamp,
    },
    /// Something failed that may go better: waits until `next_at`.
    Retrying {
        /// The content and metadata that failed; others start from zero.
        input_digest: FieldDigest,
        /// How often in a row.
        failures: u32,
        /// Creates among them that were given up without knowing whether they happened: each may
        /// have left an unknown asset.
        doubts: u32,
        /// When it is due again.
        next_at: Timestamp,
        /// The last failure.
        message: String,
    },
}

/// An upload whose outcome is unknown and that something newer took the place of: it may have made
/// an unknown asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PossibleDuplicate {
    /// The bytes that it sent.
    pub content: ContentHash,
    /// It is known by now what came of it: Roblox said so at last, or a person looked. Stays known,
    /// so that an older lockfile doesn't bring the suspicion back.
    pub settled: bool,
}

impl PossibleDuplicate {
    /// The union of two reports of one upload: what one side settled is settled.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let Self { content, settled } = other;
        Self { content: self.content.min(content), settled: self.settled || settled }
    }
}

/// All that is known of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its identity.
    pub identity: Identity,
    /// Every revision that is known.
    pub history: History,
    /// The metadata that was last requested and stored, a digest a field.
    pub asked: FieldDigests,
    /// Where Roblox stored something else than was requested, its digest: what its text filter left
    /// of a text.
    pub stored: Rare<FieldDigests>,
    /// Every value that was requested so far, as far as this state knows. A lockfile that names one
    /// of them may be older than a later request; one that names another is newer.
    pub asked_before: Rare<BTreeSet<(Field, FieldDigest)>>,
    /// The values that Roblox had before a newer lockfile named others. Until the asset is read,
    /// Roblox may still have them, if two branches requested both at once.
    pub overruled: Rare<FieldDigests>,
    /// The asset that the address was last reported to be.
    pub points_to: Option<AssetId>,
    /// Where the last rollback led.
    pub pinned: Rare<Option<PinnedAt>>,
    /// Its assets that are to be archived, or were.
    pub retirements: Rare<BTreeMap<AssetId, Retirement>>,
    /// Those of them that Roblox refused to archive, with its words. Each waits for `retry`, or until
    /// its retirement changes.
    pub refused_archivings: Rare<BTreeMap<AssetId, String>>,
    /// Uploads that may have made an unknown asset, and those of which that is settled.
    pub possible_duplicates: Rare<BTreeMap<UploadId, PossibleDuplicate>>,
    /// The repairs of the last day, and when.
    pub repairs: Rare<Vec<(DriftRepair, Timestamp)>>,
    /// It left the manifest of a checkout whose lockfile had it.
    pub removed: bool,
    /// Whether this checkout's lockfile has it.
    pub in_lockfile: InLockfile,
    /// The reason why it waits, if it does; apart, since few do.
    pub blocked: Option<Box<Blocked>>,
}

impl Record {
    /// A record of an address of which nothing else is known.
    pub const fn new(identity: Identity) -> Self {
        Self {
            identity,
            history: History::new(),
            asked: FieldDigests::new(),
            stored: Rare::new(),
            asked_before: Rare::new(),
            overruled: Rare::new(),
            points_to: None,
            pinned: Rare::new(),
            retirements: Rare::new(),
            refused_archivings: Rare::new(),
            possible_duplicates: Rare::new(),
            repairs: Rare::new(),
            removed: false,
            in_lockfile: InLockfile::No,
            blocked: None,
        }
    }

    /// Whether this machine uploaded one of its files, so that they were here.
    pub fn was_uploaded_here(&self) -> bool {
        let is_upload = |origin| matches!(origin, Origin::Create | Origin::UpdateContent | Origin::Replace);
        self.history.iter().any(|(_, fact)| fact.made.is_some_and(|(_, origin)| is_upload(origin)))
    }

    /// Whether a person archived one of its assets.
    pub fn is_archived_by_hand(&self) -> bool {
        self.retirements.values().any(Retirement::is_by_hand)
    }

    /// Of a Model the newest version that is known.
    pub fn newest(&self) -> Option<(RevisionKey, RevisionFact)> {
        self.history.head(self.identity.kind())
    }

    /// Of a type that is updated in place the asset that counts: only its revisions have numbers by
    /// which people name them, since each asset has versions of the same numbers. `None`: every
    /// revision has one.
    pub fn numbered(&self) -> Option<AssetId> {
        let counts = match self.identity.asset_type.on_content_change() {
            ContentChange::InPlace => self.newest().or_else(|| self.history.in_order().last().copied()),
            ContentChange::NewAsset => None,
        };
        counts.map(|(key, _)| key.asset_id)
    }

    /// Of another type the asset that holds `content`.
    pub fn find_content(&self, content: ContentHash) -> Option<(RevisionKey, RevisionFact)> {
        self.history.find_content(content, self.identity.kind())
    }

    /// Tells of revisions whether their asset is not for use: another owner's, of another type, or
    /// passed over for what the checked-out lockfile has.
    pub fn passed_over(&self) -> impl Fn(RevisionKey, &RevisionFact) -> bool + use<> {
        let kind = self.identity.kind();
        let duplicates = self.history.duplicates(kind);
        move |key, fact| fact.kind != Some(kind) || duplicates.contains(&key.asset_id)
    }

    /// Of a Model the revision that Roblox gives players, as far as is known: the newest, or where
    /// the last rollback led.
    pub fn head(&self) -> Option<(RevisionKey, RevisionFact)> {
        let newest = self.newest()?;
        let rolled_back = self.pinned.filter(|pinned| {
            pinned.at.asset_id == newest.0.asset_id && pinned.newest.max(pinned.at.version) >= newest.0.version
        });
        let at = rolled_back.and_then(|pinned| Some((pinned.at, *self.history.get(pinned.at)?)));
        at.or(Some(newest))
    }

    /// Of a type with one content an asset the revision that the game has as long as neither the file
    /// nor a pin says otherwise: the one that the address last pointed to, or else the newest, as a
    /// reader of the lockfile takes it.
    pub fn in_use(&self) -> Option<(RevisionKey, RevisionFact)> {
        self.history.in_use(self.points_to, self.identity.kind())
    }

    /// The revision that holds `content` now: of a Model the head if it has these bytes, of another
    /// type the asset that has them.
    pub fn current(&self, asset_type: AssetType, content: ContentHash) -> Option<(RevisionKey, RevisionFact)> {
        match asset_type.on_content_change() {
            ContentChange::InPlace => {
                self.head().filter(|(_, fact)| fact.content == Some(content) && fact.state.is_usable())
            }
            ContentChange::NewAsset => self.find_content(content),
        }
    }

    /// The kind of an asset of the address: as known of it, or else that of the address.
    pub fn kind_of(&self, asset_id: AssetId) -> Kind {
        let known = self.history.of_asset(asset_id).next_back().and_then(|(_, fact)| fact.kind);
        known.unwrap_or_else(|| self.identity.kind())
    }

    /// Whether it has an asset, and none is on its way out or archived.
    pub fn is_used(&self) -> bool {
        !self.history.is_empty() && self.retirements.is_empty()
    }

    /// Drops what is known of an asset beside its revisions.
    pub(super) fn leave_asset(&mut self, asset_id: AssetId) {
        self.history.list(asset_id, None);
        self.retirements.remove(&asset_id);
        self.refused_archivings.remove(&asset_id);
        self.points_to = self.points_to.filter(|points_to| *points_to != asset_id);
        self.pinned = self.pinned.filter(|pinned| pinned.at.asset_id != asset_id).into();
    }

    /// How many unknown assets may be at Roblox beside the known ones.
    pub fn suspected(&self) -> u64 {
        self.possible_duplicates.values().filter(|duplicate| !duplicate.settled).count() as u64
    }

    /// How often `repair` was done within the day before `now`.
    pub fn recent_repairs(&self, repair: DriftRepair, now: Timestamp) -> usize {
        let lately = |at: &Timestamp| now.duration_since(*at) < HEALINGS_COUNT_FOR;
        self.repairs.iter().filter(|(done, at)| *done == repair && lately(at)).count()
    }

    /// How many creates of the same were given up in a row without knowing whether they happened,
    /// before `intent`.
    pub fn doubts(&self, intent: &Intent) -> u32 {
        match self.blocked.as_deref() {
            Some(Blocked::Retrying { input_digest, doubts, .. }) if *input_digest == intent.input_digest() => *doubts,
            Some(Blocked::Retrying { .. } | Blocked::Refused { .. }) | None => 0,
        }
    }
}
