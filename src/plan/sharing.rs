//! Which addresses share one asset: the same bytes, immutable type, creator and privacy, and no
//! metadata that is explicitly different.
//!
//! Read next: [`super::asset`], which turns what is decided here into steps.

use std::collections::{BTreeMap, BTreeSet};

use super::contradiction::{Contradiction, contradictions};
use super::current::{current, vanished};
use super::in_doubt::is_binding;
use super::{input_digest, side_by_side};
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange, Privacy};
use crate::model::desired::{Desired, DesiredAsset, Pin};
use crate::model::file::FileFacts;
use crate::model::history::{Kind, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Creator};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Intent, Phase};
use crate::model::recorded::{Attempt, AttemptId, Record, Recorded};

/// The properties that must be equal for two addresses to share an asset.
type ShareKey = (AssetType, Creator, Privacy, ContentHash);

/// The source of an asset for an address that has none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AssetSource {
    /// Its own upload.
    Own,
    /// An asset that another address has.
    Existing {
        /// The other address.
        owner: Address,
        /// Its revision with these bytes.
        key: RevisionKey,
    },
    /// The asset that another address's upload will give.
    Planned {
        /// The other address.
        owner: Address,
    },
}

/// The look across addresses that planning one address needs.
#[derive(Debug)]
pub(crate) struct Sharing<'a> {
    sources: BTreeMap<&'a Address, AssetSource>,
    owners: BTreeMap<AssetId, MetadataOwner<'a>>,
    open: BTreeMap<&'a Address, Vec<(AttemptId, &'a Attempt)>>,
    rejected: BTreeMap<ContentHash, &'a Address>,
    rivals: BTreeMap<&'a Address, &'a Address>,
    contradictions: BTreeMap<AssetId, Contradiction>,
}

/// The address that decides on the metadata of an asset.
#[derive(Debug)]
struct MetadataOwner<'a> {
    address: &'a Address,
    fields: FieldDigests,
}

/// An address whose asset others may use.
struct AssetOwner<'a> {
    address: &'a Address,
    fields: FieldDigests,
    key: Option<RevisionKey>,
}

impl<'a> Sharing<'a> {
    /// Decides which addresses share an asset.
    pub(crate) fn of(desired: &'a Desired, recorded: &'a Recorded, in_progress: &BTreeSet<Address>) -> Self {
        let open = open(recorded);
        let binding = |address: &Address| {
            open.get(address).is_some_and(|of| {
                of.iter().any(|(_, attempt)| is_binding(attempt, recorded.assets.get(address), &desired.policy))
            })
        };
        let fields = |want: &DesiredAsset| input_digest::fields(want, desired, recorded);
        let contradictions = contradictions(recorded);
        let mut owners = existing_owners(desired, recorded, &contradictions);
        add_uploads_under_way(&mut owners, desired, recorded);
        let mut needs: Vec<(&Address, &DesiredAsset, ShareKey)> = side_by_side::wanted(desired, recorded)
            .filter_map(|(address, want, record)| Some((address, want, record, share_key(want)?)))
            .filter(|(address, want, record, key)| !binding(address) && may_upload(want, *key, *record))
            .filter(|(_, _, record, key)| needs_asset(*record, *key))
            .map(|(address, want, _, key)| (address, want, key))
            .collect();
        let lost = |address: &Address, key: ShareKey| {
            recorded.assets.get(address).is_some_and(|record| vanished(key.0, key.3, record).is_some())
        };
        // Whoever says most about the metadata uploads; the others join where nothing they say
        // differs. Whose asset vanished joins, but uploads nothing by itself. What is in hand is on
        // its way already.
        needs.sort_by_key(|(address, want, key)| {
            let waits = !in_progress.contains(*address);
            (waits, lost(address, *key), std::cmp::Reverse(want.metadata.digests().len()), *address)
        });
        let mut sources = BTreeMap::new();
        for (address, want, key) in needs {
            let fields = fields(want);
            let group = owners.entry(key).or_default();
            let found = group.iter().find(|owner| owner.address != address && fits(&fields, &owner.fields));
            let source = match found {
                Some(AssetOwner { address, key: Some(key), .. }) => {
                    AssetSource::Existing { owner: (*address).clone(), key: *key }
                }
                Some(AssetOwner { address, key: None, .. }) => AssetSource::Planned { owner: (*address).clone() },
                None if lost(address, key) => AssetSource::Own,
                None => {
                    group.push(AssetOwner { address, fields, key: None });
                    AssetSource::Own
                }
            };
            sources.insert(address, source);
        }
        let (owners, rivals) = (metadata_owners(desired, recorded), rivals(desired, recorded));
        Self { sources, owners, open, rejected: rejected(recorded), rivals, contradictions }
    }

    /// Returns the source of the asset when `address` needs another than it has.
    pub(crate) fn source(&self, address: &Address) -> AssetSource {
        self.sources.get(address).cloned().unwrap_or(AssetSource::Own)
    }

    /// The changes of the remote that are under way for `address`: as a rule one, several when a
    /// lockfile brought more. Operations come first.
    pub(crate) fn open(&self, address: &Address) -> &[(AttemptId, &'a Attempt)] {
        self.open.get(address).map(Vec::as_slice).unwrap_or_default()
    }

    /// Another address that claims the same asset, which is updated in place.
    pub(crate) fn rival(&self, address: &Address) -> Option<&'a Address> {
        self.rivals.get(address).copied()
    }

    /// Why an asset can't be what is known of it.
    pub(crate) fn contradiction(&self, asset_id: AssetId) -> Option<&Contradiction> {
        self.contradictions.get(&asset_id)
    }

    /// An address for which moderation rejected exactly these bytes.
    pub(crate) fn rejected(&self, content: ContentHash) -> Option<&'a Address> {
        self.rejected.get(&content).copied()
    }

    /// Whether `address` decides on the metadata of `asset_id`.
    pub(crate) fn owns_metadata(&self, address: &Address, asset_id: AssetId) -> bool {
        self.owners.get(&asset_id).is_none_or(|owner| owner.address == address)
    }

    /// Whether what an address says of its metadata, as `fields`, can't be had from an asset that
    /// another address owns.
    pub(crate) fn must_split(&self, fields: &FieldDigests, asset_id: AssetId) -> bool {
        self.owners.get(&asset_id).is_some_and(|owner| !fits(fields, &owner.fields))
    }
}

fn open(recorded: &Recorded) -> BTreeMap<&Address, Vec<(AttemptId, &Attempt)>> {
    let mut open: BTreeMap<&Address, Vec<(AttemptId, &Attempt)>> = BTreeMap::new();
    for (id, attempt) in &recorded.attempts {
        open.entry(&attempt.address).or_default().push((*id, attempt));
    }
    open.values_mut().for_each(|of| of.sort_by_key(|(id, a)| (!matches!(a.phase, Phase::Submitted(_)), *id)));
    open
}

fn rejected(recorded: &Recorded) -> BTreeMap<ContentHash, &Address> {
    let mut rejected = BTreeMap::new();
    for (address, record) in &recorded.assets {
        for (_, fact) in record.history.iter().filter(|(_, fact)| fact.state == RevisionState::Rejected) {
            if let Some(content) = fact.content {
                rejected.entry(content).or_insert(address);
            }
        }
    }
    rejected
}

/// Of addresses that claim one asset which is updated in place each with another one. A state comes
/// to that when it moved an asset and a branch from before the move is checked out. Nothing tells
/// which of them is right, so a person does, and no address puts its file over another's.
fn rivals<'a>(desired: &'a Desired, recorded: &'a Recorded) -> BTreeMap<&'a Address, &'a Address> {
    let mut claims: BTreeMap<AssetId, Vec<&'a Address>> = BTreeMap::new();
    for (address, _, record) in side_by_side::wanted(desired, recorded) {
        let Some(record) = record else { continue };
        if record.identity.asset_type.on_content_change() == ContentChange::InPlace
            && let Some((head, _)) = record.head()
        {
            claims.entry(head.asset_id).or_default().push(address);
        }
    }
    let mut rivals = BTreeMap::new();
    for claims in claims.values() {
        for address in claims {
            rivals.extend(claims.iter().find(|other| *other != address).map(|other| (*address, *other)));
        }
    }
    rivals
}

/// Whether nothing in the manifest keeps an address from an upload of its own. Otherwise others
/// would wait for an upload that never comes.
fn may_upload(want: &DesiredAsset, (asset_type, creator, ..): ShareKey, record: Option<&Record>) -> bool {
    let known = record.filter(|record| !record.history.is_empty());
    let fits = |record: &Record| {
        !want.prevent_replace && record.identity.creator == creator && record.identity.asset_type == asset_type
    };
    want.pin.is_none() && known.is_none_or(fits)
}

fn share_key(want: &DesiredAsset) -> Option<ShareKey> {
    let asset_type = want.asset_type.filter(|t| t.on_content_change() == ContentChange::NewAsset)?;
    let facts = want.content.as_ref().ok()?;
    Some((asset_type, want.creator, want.privacy, facts.hash))
}

fn needs_asset(record: Option<&Record>, key: ShareKey) -> bool {
    record.is_none_or(|record| record.current(key.0, key.3).is_none())
}

/// Whether the owner of an asset has every field of a sharer with the same value.
fn fits(sharer: &FieldDigests, owner: &FieldDigests) -> bool {
    sharer.iter().all(|(field, digest)| owner.get(field) == Some(digest))
}

fn fields_of(want: Option<&DesiredAsset>, record: &Record, desired: &Desired, recorded: &Recorded) -> FieldDigests {
    match want {
        Some(want) => input_digest::fields(want, desired, recorded),
        None => record.asked.clone(),
    }
}

fn usable(fact: &RevisionFact) -> bool {
    fact.state.is_usable() && !fact.shared && !fact.disputed
}

/// Every asset that is known, also of addresses that left: its bytes needn't be uploaded again.
fn existing_owners<'a>(
    desired: &'a Desired,
    recorded: &'a Recorded,
    contradictions: &BTreeMap<AssetId, Contradiction>,
) -> BTreeMap<ShareKey, Vec<AssetOwner<'a>>> {
    let mut owners: BTreeMap<ShareKey, Vec<AssetOwner<'a>>> = BTreeMap::new();
    for (address, record, want) in side_by_side::known(desired, recorded) {
        let identity = &record.identity;
        if identity.asset_type.on_content_change() == ContentChange::InPlace {
            continue;
        }
        let passed_over = record.passed_over();
        let usable = |(key, fact): &(RevisionKey, &RevisionFact)| usable(fact) && !passed_over(*key, fact);
        for (key, fact) in record.history.iter().filter(usable) {
            let Some(content) = fact.content.filter(|_| !contradictions.contains_key(&key.asset_id)) else { continue };
            let fields = fields_of(want, record, desired, recorded);
            let share = (identity.asset_type, identity.creator, identity.privacy, content);
            owners.entry(share).or_default().push(AssetOwner { address, fields, key: Some(key) });
        }
    }
    owners
}

/// Uploads that Roblox already works on, and those that wait for a person because they may have
/// happened: their bytes are not uploaded again.
fn add_uploads_under_way<'a>(
    owners: &mut BTreeMap<ShareKey, Vec<AssetOwner<'a>>>,
    desired: &'a Desired,
    recorded: &'a Recorded,
) {
    for attempt in recorded.attempts.values() {
        let Intent::Create { content, fields, .. } = &attempt.intent else { continue };
        if !is_binding(attempt, recorded.assets.get(&attempt.address), &desired.policy) {
            continue;
        }
        let Some(record) = recorded.assets.get(&attempt.address) else { continue };
        let Kind { asset_type, creator } = attempt.kind;
        if asset_type.on_content_change() == ContentChange::NewAsset {
            let wanted = desired.assets.get(&attempt.address).map(|want| input_digest::fields(want, desired, recorded));
            let fields = wanted.unwrap_or_else(|| fields.clone());
            let share = (asset_type, creator, record.identity.privacy, *content);
            owners.entry(share).or_default().push(AssetOwner { address: &attempt.address, fields, key: None });
        }
    }
}

/// For each asset that is current somewhere the address that decides on its metadata: the one that
/// created it, as long as it is its asset; else the first that uses it.
fn metadata_owners<'a>(desired: &'a Desired, recorded: &'a Recorded) -> BTreeMap<AssetId, MetadataOwner<'a>> {
    let mut owners: BTreeMap<AssetId, ((bool, bool, &'a Address), &'a DesiredAsset)> = BTreeMap::new();
    for (address, want, record) in side_by_side::wanted(desired, recorded) {
        let Some(record) = record else { continue };
        let Some((key, fact)) = current(want, record) else { continue };
        // Who has no file, or wants what can't be had, only still shows it: nothing of it is
        // planned there.
        let has_it = |facts: &FileFacts| {
            record.current(want.asset_type.unwrap_or(record.identity.asset_type), facts.hash).is_some()
        };
        let shows_it = match *want.pin {
            Some(Pin::Asset(asset_id)) => record.history.of_asset(asset_id).next().is_none(),
            Some(Pin::Revision(_)) => false,
            None => !want.content.as_ref().is_ok_and(has_it),
        };
        let candidate = ((shows_it, fact.shared, address), want);
        let owner = owners.entry(key.asset_id).or_insert(candidate);
        if candidate.0 < owner.0 {
            *owner = candidate;
        }
    }
    let with_fields = |(asset_id, ((_, _, address), want)): (AssetId, ((bool, bool, &'a Address), &DesiredAsset))| {
        (asset_id, MetadataOwner { address, fields: input_digest::fields(want, desired, recorded) })
    };
    owners.into_iter().map(with_fields).collect()
}
