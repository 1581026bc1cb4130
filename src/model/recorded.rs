//! The record of everything: all addresses, the changes under way, Roblox's last answers.
//!
//! [`Recorded`] changes only by [`Recorded::apply`], with the same values of
//! [`Change`](super::change::Change) that the state writes in one transaction, so that memory and
//! disk can't drift apart. Read next: `recorded/record`, `recorded/apply`.

mod apply;
mod record;
mod ties;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::address::Address;
use super::asset::AssetType;
use super::forgotten::Forgotten;
use super::history::Kind;
use super::ids::{AssetId, ContentHash, Creator};
use super::observation::{self, NotFound};
use super::path::ProjectPath;
use super::phase::{Intent, Phase};
use super::remote::RemoteAsset;

pub(crate) use apply::ApplyError;
pub use record::Identity;
pub(crate) use record::{
    Blocked, DriftRepair, HEALINGS_COUNT_FOR, PinnedAt, PossibleDuplicate, Record, RefusalKind, RetireReason,
    Retirement,
};
pub(crate) use ties::RecordedTies;

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
    /// The kind of its address when it was begun: an upload makes an asset of this kind, whatever
    /// the address is by the time that Roblox answers.
    pub kind: Kind,
    /// How far it is.
    pub phase: Phase,
    /// When it was written down.
    pub begun_at: Timestamp,
    /// When its last byte was last about to leave; before that, as `begun_at`.
    pub handed_over_at: Timestamp,
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

/// The known addresses, for the reader of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct KnownAddresses {
    /// All of them, also those of other branches and those that left.
    pub all: BTreeSet<Address>,
    /// Of these those that this checkout has, as far as is known: its lockfile has them, and they
    /// did not leave.
    pub here: BTreeSet<Address>,
    /// Of these those that other machines uploaded, with their files, as long as nobody archived
    /// them by hand.
    pub from_elsewhere: BTreeMap<Address, ProjectPath>,
    /// The contents of all sounds and videos, whose uploads count against a quota. A file with one of
    /// them is whole: it was uploaded before.
    pub with_quota: BTreeSet<ContentHash>,
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
    /// Assets that the remote didn't find at the last query.
    pub not_found: BTreeMap<AssetId, NotFound>,
    /// When Macadam last changed an asset.
    pub written: BTreeMap<AssetId, Timestamp>,
    /// When Macadam last restored an asset that was archived.
    pub restored: BTreeMap<AssetId, Timestamp>,
    /// Assets of which what was seen is out of date.
    pub outdated: BTreeSet<AssetId>,
    /// Assets that another lockfile has as archived and the checked-out one doesn't, until Roblox
    /// describes them: that archiving counts, and no lockfile gets it. Each of them is also outdated, or
    /// was not found.
    pub contradicted: BTreeSet<AssetId>,
    /// The upload quotas that are used up.
    pub quotas: BTreeMap<(Creator, AssetType), SpentQuota>,
    /// The number that the next attempt gets.
    pub next_attempt: u64,
    /// What ties the records to one another.
    pub ties: RecordedTies,
}

impl Recorded {
    /// The addresses whose assets are in use.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Address> {
        self.assets.iter().filter(|(_, record)| record.is_used()).map(|(address, _)| address)
    }

    /// The addresses that are known.
    pub fn addresses(&self) -> KnownAddresses {
        let here = || self.assets.iter().filter(|(_, record)| record.in_lockfile.is_any() && !record.removed);
        let from_elsewhere = here().filter(|(address, record)| {
            !record.was_uploaded_here() && !record.is_archived_by_hand() && !self.has_nothing(address, record)
        });
        let with_quota = self.assets.values().filter(|record| record.identity.asset_type.has_upload_quota());
        KnownAddresses {
            with_quota: with_quota.flat_map(|record| record.history.contents()).collect(),
            all: self.assets.keys().cloned().collect(),
            here: here().map(|(address, _)| address.clone()).collect(),
            from_elsewhere: from_elsewhere
                .map(|(address, record)| (address.clone(), record.identity.path.clone()))
                .collect(),
        }
    }

    /// Whether nothing of an address is or may be at Roblox: it has no asset, no possible duplicate
    /// and no open upload. No lockfile has it.
    pub fn has_nothing(&self, address: &Address, record: &Record) -> bool {
        let is_open = || self.attempts.values().any(|attempt| attempt.address == *address);
        record.history.is_empty() && record.possible_duplicates.is_empty() && !is_open()
    }

    /// The assets that Macadam archived, for any address: by hand counts most, since only a person
    /// takes that back.
    pub fn archivings(&self) -> BTreeMap<AssetId, Retirement> {
        let all = self.assets.values().flat_map(|record| record.retirements.iter());
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

    /// Whether Macadam restored an asset so shortly before `now` that no read can tell otherwise
    /// yet.
    pub fn was_just_restored(&self, asset_id: AssetId, now: Timestamp) -> bool {
        self.restored.get(&asset_id).is_some_and(|restored| observation::may_lag(*restored, now))
    }

    /// The quota that keeps new assets of a type of a creator from being uploaded now.
    pub fn spent_quota(&self, creator: Creator, asset_type: AssetType, now: Timestamp) -> Option<&SpentQuota> {
        self.quotas.get(&(creator, asset_type)).filter(|spent| spent.until > now)
    }
}
