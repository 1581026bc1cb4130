//! The record of everything: all addresses, the changes under way, Roblox's last answers.
//!
//! [`Recorded`] changes only by [`Recorded::apply`], with the same [`Change`] values that the state
//! writes in one transaction, so that memory and disk can't drift apart.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::address::Address;
use super::asset::{AssetType, ContentChange, Privacy};
use super::change::Change;
use super::checkout::InLockfile;
use super::desired::Pin;
use super::digest::FieldDigest;
use super::forgotten::Forgotten;
use super::history::{History, Kind, RevisionFact, RevisionKey};
use super::ids::{AssetId, ContentHash, Creator, Revision, UploadId};
use super::metadata::{Field, FieldDigests};
use super::observation::{self, NotFound};
use super::path::ProjectPath;
use super::phase::{IllegalTransition, Intent, IntentKind, Phase};
use super::remote::RemoteAsset;

/// The identity of an address, apart from its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its type.
    pub asset_type: AssetType,
    /// Its owner.
    pub creator: Creator,
    /// Its privacy as asked at creation.
    pub privacy: Privacy,
    /// The file that it last came from.
    pub path: ProjectPath,
}

impl Identity {
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
    /// The revision that was asked for.
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
    /// Since when this checkout knows: `archive_after` counts from here.
    pub since: Timestamp,
    /// When Macadam archived it; `None` while that is still to come.
    pub archived_at: Option<Timestamp>,
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
    /// Something else.
    Other,
}

impl RefusalKind {
    /// The name in the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DisplayName => "display_name",
            Self::Other => "other",
        }
    }

    /// Reads the name that [`RefusalKind::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::DisplayName, Self::Other].into_iter().find(|refusal_kind| refusal_kind.name() == name)
    }
}

/// The reason why an address waits although something is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Roblox said no: waits until what was refused changes, or for `retry`.
    Refused {
        /// The refused content and metadata, see [`super::digest::input_digest`].
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
        /// The content and metadata that failed; others start anew.
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
    /// The metadata that was last asked for and stored, a digest a field.
    pub asked: FieldDigests,
    /// Where Roblox stored something else than was asked, its digest: what its text filter left of
    /// a text.
    pub stored: FieldDigests,
    /// Every value that was asked for so far, as far as this state knows. A lockfile that names one
    /// of them may be older than what was asked since; one that names another is newer.
    pub asked_before: BTreeSet<(Field, FieldDigest)>,
    /// What Roblox was known to have before a newer lockfile named something else: as long as
    /// nobody looked, Roblox may still have it, if both were asked for on two branches at once.
    pub overruled: FieldDigests,
    /// The asset that the address was last reported to be.
    pub points_to: Option<AssetId>,
    /// Where the last rollback led.
    pub pinned: Option<PinnedAt>,
    /// Its assets that are to be archived, or were.
    pub retirements: BTreeMap<AssetId, Retirement>,
    /// Uploads that may have made an unknown asset, and those of which that is settled.
    pub possible_duplicates: BTreeMap<UploadId, PossibleDuplicate>,
    /// The repairs of the last day, and when.
    pub repairs: Vec<(DriftRepair, Timestamp)>,
    /// It left the manifest of a checkout whose lockfile had it.
    pub removed: bool,
    /// Whether this checkout's lockfile has it.
    pub in_lockfile: InLockfile,
    /// The reason why it waits, if it does.
    pub blocked: Option<Blocked>,
}

impl Record {
    /// A record of an address of which nothing else is known.
    pub const fn new(identity: Identity) -> Self {
        Self {
            identity,
            history: History::new(),
            asked: FieldDigests::new(),
            stored: FieldDigests::new(),
            asked_before: BTreeSet::new(),
            overruled: FieldDigests::new(),
            points_to: None,
            pinned: None,
            retirements: BTreeMap::new(),
            possible_duplicates: BTreeMap::new(),
            repairs: Vec::new(),
            removed: false,
            in_lockfile: InLockfile::No,
            blocked: None,
        }
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

    /// Drops what is known of an asset beside its revisions.
    fn leave_asset(&mut self, asset_id: AssetId) {
        self.history.list(asset_id, None);
        self.retirements.remove(&asset_id);
        self.points_to = self.points_to.filter(|points_to| *points_to != asset_id);
        self.pinned = self.pinned.filter(|pinned| pinned.at.asset_id != asset_id);
    }

    /// How many assets nobody knows of may be at Roblox beside those that are known.
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
        match &self.blocked {
            Some(Blocked::Retrying { input_digest, doubts, .. }) if *input_digest == intent.input_digest() => *doubts,
            Some(Blocked::Retrying { .. } | Blocked::Refused { .. }) | None => 0,
        }
    }
}

/// The number of one change of the remote in the journal; never used twice in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// One change of the remote that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// For which address.
    pub address: Address,
    /// Its intent.
    pub intent: Intent,
    /// What its address was when it was begun: an upload makes an asset of this kind, whatever the
    /// address is by the time that Roblox answers.
    pub kind: Kind,
    /// How far it is.
    pub phase: Phase,
    /// When it was written down.
    pub begun_at: Timestamp,
    /// It was begun elsewhere and came by a lockfile, which has no times: the others here are those
    /// at which it was read.
    pub taken_over: bool,
    /// Since when it is in this phase.
    pub since: Timestamp,
}

/// Roblox's last description of an asset, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The description.
    pub asset: RemoteAsset,
    /// When.
    pub at: Timestamp,
}

/// An upload quota that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentQuota {
    /// Until when nothing of the kind is uploaded; then it is tried again.
    pub until: Timestamp,
    /// Roblox's words.
    pub message: String,
}

/// The addresses that are known, for whoever reads a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownAddresses {
    /// All of them, also those of other branches and those that left.
    pub all: BTreeSet<Address>,
    /// Of these those that this checkout has, as far as is known: its lockfile has them, and they
    /// did not leave.
    pub here: BTreeSet<Address>,
}

/// Everything that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// The records by address.
    pub assets: BTreeMap<Address, Record>,
    /// The changes under way; a closed one leaves.
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// The forgotten assets, by address; they stay when the record leaves.
    pub forgotten: BTreeMap<Address, Forgotten>,
    /// Roblox's last descriptions.
    pub seen: BTreeMap<AssetId, Observation>,
    /// Assets that the remote didn't find when it was last asked.
    pub not_found: BTreeMap<AssetId, NotFound>,
    /// When Macadam last changed an asset.
    pub written: BTreeMap<AssetId, Timestamp>,
    /// When Macadam last restored an asset that was archived.
    pub restored: BTreeMap<AssetId, Timestamp>,
    /// Assets of which what was seen is out of date.
    pub outdated: BTreeSet<AssetId>,
    /// The upload quotas that are used up.
    pub quotas: BTreeMap<(Creator, AssetType), SpentQuota>,
    /// The number that the next attempt gets.
    pub next_attempt: u64,
}

/// A change that does not fit what is known: a defect of Macadam or a damaged state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The change speaks of an address that has no record.
    #[error("`{address}` has no record")]
    NoRecord {
        /// The address.
        address: Address,
    },
    /// The change speaks of an attempt that is not open.
    #[error("attempt {} is not open", attempt.0)]
    NoAttempt {
        /// The attempt.
        attempt: AttemptId,
    },
    /// An attempt's number was given before.
    #[error("attempt {} was begun before", attempt.0)]
    AttemptReused {
        /// The attempt.
        attempt: AttemptId,
    },
    /// An address can't take over another's record, because it has one of its own.
    #[error("`{address}` has assets of its own and can't take over those of another")]
    Occupied {
        /// The address.
        address: Address,
    },
    /// The journal can't go that way.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
}

impl Recorded {
    /// The addresses that are known.
    pub fn addresses(&self) -> KnownAddresses {
        let here = self.assets.iter().filter(|(_, record)| record.in_lockfile.is_any() && !record.removed);
        KnownAddresses {
            all: self.assets.keys().cloned().collect(),
            here: here.map(|(address, _)| address.clone()).collect(),
        }
    }

    /// What Macadam archived, for whichever address: by hand counts most, since only a person takes
    /// that back.
    pub fn archivings(&self) -> BTreeMap<AssetId, Retirement> {
        let all = self.assets.values().flat_map(|record| &record.retirements);
        let mut found: BTreeMap<AssetId, Retirement> = BTreeMap::new();
        for (asset_id, retirement) in all.filter(|(_, retirement)| retirement.archived_at.is_some()) {
            let known = found.entry(*asset_id).or_insert(*retirement);
            if retirement.why == RetireReason::ByHand {
                *known = *retirement;
            }
        }
        found
    }

    /// Roblox's last description of an asset, unless it is out of date.
    pub fn observed(&self, asset_id: AssetId) -> Option<&Observation> {
        self.seen.get(&asset_id).filter(|_| !self.outdated.contains(&asset_id))
    }

    /// Whether a read at `now` may show an asset as it was before Macadam's own last write.
    pub fn may_lag(&self, asset_id: AssetId, now: Timestamp) -> bool {
        self.written.get(&asset_id).is_some_and(|written| observation::may_lag(*written, now))
    }

    /// Whether Macadam restored an asset so shortly before `now` that no read can tell otherwise yet.
    pub fn was_just_restored(&self, asset_id: AssetId, now: Timestamp) -> bool {
        self.restored.get(&asset_id).is_some_and(|restored| observation::may_lag(*restored, now))
    }

    /// The quota that keeps new assets of a type of a creator from being uploaded now.
    pub fn spent_quota(&self, creator: Creator, asset_type: AssetType, now: Timestamp) -> Option<&SpentQuota> {
        self.quotas.get(&(creator, asset_type)).filter(|spent| spent.until > now)
    }

    fn record(&mut self, address: &Address) -> Result<&mut Record, ApplyError> {
        self.assets.get_mut(address).ok_or_else(|| ApplyError::NoRecord { address: address.clone() })
    }

    /// Takes over one change at the time `now`.
    ///
    /// # Errors
    /// When the change does not fit what is known; nothing is changed then.
    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Result<(), ApplyError> {
        match change {
            Change::Begin { attempt, address, intent } => {
                if attempt.0 < self.next_attempt {
                    return Err(ApplyError::AttemptReused { attempt: *attempt });
                }
                let kind = self.record(address)?.identity.kind();
                self.next_attempt = attempt.0 + 1;
                let (address, intent) = (address.clone(), intent.clone());
                let (phase, begun_at, since, taken_over) = (Phase::Intended, now, now, false);
                self.attempts.insert(*attempt, Attempt { address, intent, kind, phase, begun_at, taken_over, since });
            }
            Change::TakeOver { attempt } => {
                let open = self.attempts.get_mut(attempt).ok_or(ApplyError::NoAttempt { attempt: *attempt })?;
                open.taken_over = true;
            }
            Change::Advance { attempt, event } => {
                let open = self.attempts.get_mut(attempt).ok_or(ApplyError::NoAttempt { attempt: *attempt })?;
                (open.phase, open.since) = (open.phase.next(event)?, now);
                if open.phase.is_closed() {
                    self.attempts.remove(attempt);
                }
            }
            Change::SetIdentity { address, identity } => match self.assets.get_mut(address) {
                Some(record) => record.identity = identity.clone(),
                None => {
                    self.assets.insert(address.clone(), Record::new(identity.clone()));
                }
            },
            Change::AddRevision { address, key, fact } => {
                let times = self.forgotten.get(address).map_or(0, |forgotten| forgotten.times(key.asset_id));
                let record = self.record(address)?;
                let kind = fact.kind.or(Some(record.identity.kind()));
                record.history.add(*key, RevisionFact { era: fact.era.max(times), kind, ..*fact });
            }
            Change::SetMetadata { address, fields, stored } => {
                let record = self.record(address)?;
                (record.asked, record.stored) = (fields.clone(), stored.clone());
                let known = fields.iter().filter(|(_, digest)| **digest != FieldDigest::UNKNOWN);
                record.asked_before.extend(known.map(|(field, digest)| (*field, *digest)));
                record.overruled.clear();
            }
            Change::Move { from, to } => self.move_record(from, to)?,
            Change::MoveAsset { from, to, asset_id } => self.move_asset(from, to, *asset_id)?,
            Change::SetRetirement { address, asset_id, retirement } => {
                let record = self.record(address)?;
                match retirement {
                    Some(retirement) => record.retirements.insert(*asset_id, *retirement),
                    None => record.retirements.remove(asset_id),
                };
            }
            Change::RecordRepair { address, repair } => {
                let repairs = &mut self.record(address)?.repairs;
                repairs.retain(|(_, at)| now.duration_since(*at) < HEALINGS_COUNT_FOR);
                repairs.push((*repair, now));
            }
            Change::AddPossibleDuplicate { address, upload, duplicate } => {
                let known = &mut self.record(address)?.possible_duplicates;
                known.entry(*upload).and_modify(|known| *known = known.union(*duplicate)).or_insert(*duplicate);
            }
            Change::Overrule { address, asked } => self.record(address)?.overruled = asked.clone(),
            Change::Unpoint { address } => self.record(address)?.points_to = None,
            Change::SetCurrentAsset { address, asset_id } => self.record(address)?.points_to = Some(*asset_id),
            Change::SetPinnedAt { address, pinned } => self.record(address)?.pinned = *pinned,
            Change::SetRemoved { address, removed } => self.record(address)?.removed = *removed,
            Change::SetInLockfile { address, in_lockfile } => self.record(address)?.in_lockfile = in_lockfile.clone(),
            Change::SetListing { address, asset_id, listing } => {
                self.record(address)?.history.list(*asset_id, *listing)
            }
            Change::SetBlocked { address, blocked } => self.record(address)?.blocked = blocked.clone(),
            Change::Forget { address } => {
                let forgotten = self.record(address)?.history.to_forget();
                self.assets.remove(address);
                self.attempts.retain(|_, attempt| attempt.address != *address);
                if !forgotten.is_empty() {
                    self.forgotten.entry(address.clone()).or_default().union(&forgotten);
                }
            }
            Change::ForgetAsset { address, asset_id, times } => self.forget_asset(address, *asset_id, *times),
            Change::SetSpentQuota { creator, asset_type, spent } => {
                match spent {
                    Some(spent) => self.quotas.insert((*creator, *asset_type), spent.clone()),
                    None => self.quotas.remove(&(*creator, *asset_type)),
                };
            }
            Change::RecordObservation { asset } => {
                self.seen.insert(asset.asset_id, Observation { asset: asset.clone(), at: now });
                self.not_found.remove(&asset.asset_id);
                self.outdated.remove(&asset.asset_id);
            }
            Change::RecordNotFound { asset_id } => {
                let known = self.not_found.get(asset_id).copied();
                self.not_found.insert(*asset_id, NotFound::again(known, now));
                self.outdated.remove(asset_id);
            }
            Change::RecordWrite { asset_id, restores } => {
                self.written.insert(*asset_id, now);
                if *restores {
                    self.restored.insert(*asset_id, now);
                }
            }
            Change::MarkOutdated { asset_id } => {
                self.outdated.insert(*asset_id);
            }
            Change::LogEvent { .. } => {}
        }
        Ok(())
    }

    /// Another machine forgot an asset of an address: what is known of it from before goes, and the
    /// record with its last asset.
    fn forget_asset(&mut self, address: &Address, asset_id: AssetId, times: u32) {
        let forgotten = self.forgotten.entry(address.clone()).or_default();
        forgotten.raise(asset_id, times);
        let Some(record) = self.assets.get_mut(address) else { return };
        if !record.history.forget(forgotten) {
            return;
        }
        let under_way = self.attempts.values().any(|attempt| attempt.address == *address);
        if record.history.is_empty() && !under_way {
            self.assets.remove(address);
        } else if record.history.of_asset(asset_id).next().is_none() {
            record.leave_asset(asset_id);
        }
    }

    /// `to` takes one asset of `from` over.
    fn move_asset(&mut self, from: &Address, to: &Address, asset_id: AssetId) -> Result<(), ApplyError> {
        if from == to {
            return Err(ApplyError::Occupied { address: to.clone() });
        }
        let era = self.forgotten.get(to).map_or(0, |forgotten| forgotten.times(asset_id));
        if !self.assets.contains_key(to) {
            return Err(ApplyError::NoRecord { address: to.clone() });
        }
        let giver = self.record(from)?;
        let facts: Vec<(RevisionKey, RevisionFact)> =
            giver.history.of_asset(asset_id).map(|(key, fact)| (key, RevisionFact { era, ..*fact })).collect();
        let listing = giver.history.listing(asset_id);
        let retirement = giver.retirements.get(&asset_id).copied();
        let was_current = giver.points_to == Some(asset_id);
        let pinned = giver.pinned.filter(|pinned| pinned.at.asset_id == asset_id);
        giver.history.remove_asset(asset_id);
        giver.leave_asset(asset_id);
        let taker = self.record(to)?;
        facts.into_iter().for_each(|(key, fact)| taker.history.add(key, fact));
        if listing.is_some() {
            taker.history.list(asset_id, listing);
        }
        if let Some(retirement) = retirement {
            let known = taker.retirements.entry(asset_id).or_insert(retirement);
            if known.archived_at.is_none() && retirement.archived_at.is_some() {
                *known = retirement;
            }
        }
        if was_current {
            taker.points_to = Some(asset_id);
        }
        taker.pinned = pinned.or(taker.pinned);
        let suspected: BTreeSet<UploadId> = taker.possible_duplicates.keys().copied().collect();
        let under_way = self.attempts.values().any(|attempt| attempt.address == *from);
        let giver = self.record(from)?;
        giver.possible_duplicates.retain(|upload, _| !suspected.contains(upload));
        if giver.history.is_empty() && !under_way {
            self.assets.remove(from);
        }
        Ok(())
    }

    /// `to` takes over all that is known of `from`, and what is under way for it.
    fn move_record(&mut self, from: &Address, to: &Address) -> Result<(), ApplyError> {
        if !self.assets.contains_key(from) {
            return Err(ApplyError::NoRecord { address: from.clone() });
        }
        let occupied = from == to
            || self.assets.get(to).is_some_and(|record| !record.history.is_empty())
            || self.attempts.values().any(|attempt| attempt.address == *to);
        if occupied {
            return Err(ApplyError::Occupied { address: to.clone() });
        }
        if let Some(mut record) = self.assets.remove(from) {
            record.history.renew(self.forgotten.get(to).unwrap_or(&Forgotten::new()));
            self.assets.insert(to.clone(), Record { removed: false, ..record });
        }
        for attempt in self.attempts.values_mut().filter(|attempt| attempt.address == *from) {
            attempt.address = to.clone();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{ContentHash, UserId};
    use crate::model::phase::PhaseEvent;

    fn begin(attempt: u64) -> Change {
        Change::Begin {
            attempt: AttemptId(attempt),
            address: Address::new("a").unwrap(),
            intent: Intent::Create {
                upload: UploadId::new(attempt),
                content: ContentHash::from_bytes([1; 32]),
                fields: FieldDigests::new(),
                costly: false,
                replaces: None,
            },
        }
    }

    #[test]
    fn attempts_need_a_record_and_leave_when_closed() {
        let now = Timestamp::UNIX_EPOCH;
        let mut recorded = Recorded::default();
        assert!(matches!(recorded.apply(&begin(0), now), Err(ApplyError::NoRecord { .. })));
        let identity = Identity {
            asset_type: AssetType::Image,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new("a.png").unwrap(),
        };
        recorded.apply(&Change::SetIdentity { address: Address::new("a").unwrap(), identity }, now).unwrap();
        recorded.apply(&begin(0), now).unwrap();
        assert!(matches!(recorded.apply(&begin(0), now), Err(ApplyError::AttemptReused { .. })));
        let end = Change::Advance { attempt: AttemptId(0), event: PhaseEvent::NotCarriedOut };
        recorded.apply(&end, now).unwrap();
        assert!(recorded.attempts.is_empty());
        assert!(matches!(recorded.apply(&end, now), Err(ApplyError::NoAttempt { .. })));
        recorded.apply(&begin(1), now).unwrap();
        assert_eq!(recorded.next_attempt, 2);
    }
}
