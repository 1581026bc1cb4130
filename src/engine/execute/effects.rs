//! From the end of a change of the remote to what becomes known by it. Pure: every function gives
//! the changes of one transaction.
//!
//! Read next: `src/model/change.rs` for the vocabulary, `src/engine/steps.rs` for who calls this.

use jiff::{SignedDuration, Timestamp};

use crate::cloud::backoff::Backoff;
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::change::{Change, Event};
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::desired::Pin;
use crate::model::digest::FieldDigest;
use crate::model::history::{Kind, Listing, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::{Field, FieldDigests};
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::recorded::{
    Attempt, AttemptId, Blocked, Identity, PinnedAt, PossibleDuplicate, Record, Recorded, RefusalKind, RetireReason,
    Retirement,
};
use crate::model::remote::RemoteAsset;

/// How far Roblox's clock and this machine's may be apart when a revision's time is compared with
/// that of an attempt.
pub(crate) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);

/// What an address is known by after a change, and what a person should be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The transaction.
    pub changes: Vec<Change>,
    /// The asset and its revision.
    pub key: RevisionKey,
    /// Moderation rejected what was uploaded.
    pub rejected: bool,
}

/// Roblox carried out what `attempt` set out to do, and describes the asset as `asset`.
pub(crate) fn completed(
    id: AttemptId,
    attempt: &Attempt,
    record: &Record,
    asset: &RemoteAsset,
    now: Timestamp,
) -> Settled {
    let address = &attempt.address;
    let mut changes = vec![Change::Advance { attempt: id, event: PhaseEvent::Complete }];
    let state = RevisionState::of_moderation(asset.moderation);
    let rejected = state == RevisionState::Rejected;
    let mut key = known_key(record, asset.asset_id);
    match &attempt.intent {
        Intent::Create { content, fields, replaces, .. } => {
            let origin = if replaces.is_some() { Origin::Replace } else { Origin::Create };
            let ordinal = record.history.next_ordinal();
            key = key_of(attempt.kind.asset_type, asset);
            let fact = RevisionFact { ordinal, kind: Some(attempt.kind), ..new_fact(*content, state, now, origin) };
            changes.push(Change::AddRevision { address: address.clone(), key, fact });
            let kept = late(record, *content, *replaces, asset.asset_id);
            let is_anothers = attempt.kind != record.identity.kind();
            if is_anothers || kept.is_some() {
                match kept.filter(|_| !is_anothers) {
                    Some(kept) => changes.extend(passed_over(address, asset.asset_id, kept)),
                    None => changes.push(made_for_another(attempt, asset.asset_id)),
                }
                changes.extend(other_creator(attempt, asset));
                changes.push(Change::RecordObservation { asset: asset.clone() });
                changes.push(Change::RecordWrite { asset_id: asset.asset_id, restores: false });
                changes.push(Change::SetBlocked { address: address.clone(), blocked: None });
                return Settled { changes, key, rejected };
            }
            // Also where it is to take the place of one with the same bytes.
            let listing = Some(Listing::Listed);
            changes.push(Change::SetListing { address: address.clone(), asset_id: asset.asset_id, listing });
            let mut asked = fields.clone();
            // What the address had before: a new asset without it is as good as cleared.
            for field in record.asked.keys().filter(|field| **field != Field::DisplayName) {
                asked.entry(*field).or_insert(FieldDigest::of_cleared());
            }
            let stored = stored_otherwise(fields, &FieldDigests::new(), asset);
            changes.push(Change::SetMetadata { address: address.clone(), fields: asked, stored });
            changes.push(Change::SetCurrentAsset { address: address.clone(), asset_id: asset.asset_id });
            changes.extend(other_creator(attempt, asset));
        }
        Intent::UpdateContent { asset_id, content, .. } => {
            key = key_of(record.identity.asset_type, asset);
            let ordinal = ordinal_of(record, *asset_id);
            let fact = RevisionFact { ordinal, ..new_fact(*content, state, now, Origin::UpdateContent) };
            changes.push(Change::AddRevision { address: address.clone(), key, fact });
            changes.push(Change::SetCurrentAsset { address: address.clone(), asset_id: *asset_id });
        }
        Intent::UpdateMetadata { fields, .. } => {
            let mut asked = record.asked.clone();
            asked.extend(fields.iter().map(|(field, digest)| (*field, *digest)));
            let stored = stored_otherwise(fields, &record.stored, asset);
            changes.push(Change::SetMetadata { address: address.clone(), fields: asked, stored });
            changes.extend(revision_of_metadata(attempt, record, asset, now));
        }
        Intent::Rollback { asset_id, to } => {
            key = key_of(record.identity.asset_type, asset);
            changes.extend(rolled_back(address, record, *asset_id, *to, asset, now));
        }
        Intent::Archive { asset_id } => {
            let known = record.retirements.get(asset_id).copied();
            let known = known.unwrap_or(Retirement { why: RetireReason::ByHand, since: now, archived_at: None });
            let retirements = Some(Retirement { archived_at: Some(now), ..known });
            changes.push(Change::SetRetirement { address: address.clone(), asset_id: *asset_id, retirements });
        }
        Intent::Restore { asset_id } => {
            changes.push(Change::SetRetirement { address: address.clone(), asset_id: *asset_id, retirements: None });
        }
    }
    changes.push(Change::RecordObservation { asset: as_written(&attempt.intent, asset) });
    changes.extend(answered_late(attempt, record, key));
    let restores = matches!(attempt.intent, Intent::Restore { .. });
    changes.push(Change::RecordWrite { asset_id: asset.asset_id, restores });
    changes.push(Change::SetBlocked { address: address.clone(), blocked: None });
    Settled { changes, key, rejected }
}

/// An operation tells of its asset as it was when the operation ended. Where an old state follows
/// it, the lockfile may know a newer revision by now, and nobody else made the old one current.
fn answered_late(attempt: &Attempt, record: &Record, made: RevisionKey) -> Option<Change> {
    let uploads = attempt.intent.content().is_some();
    let is_newer = |key: RevisionKey| key.version > made.version;
    let is_late = uploads && record.history.of_asset(made.asset_id).any(|(key, _)| is_newer(key));
    is_late.then_some(Change::MarkOutdated { asset_id: made.asset_id })
}

/// The asset that an address already has for what a create just made: an upload that an old state
/// or another branch had begun ended after somebody else's did. Only the asset whose place it was
/// to take is replaced: one that it shares, by one of its own with the same bytes.
fn late(record: &Record, content: ContentHash, replaces: Option<AssetId>, made: AssetId) -> Option<AssetId> {
    let (key, _) = match record.identity.asset_type.on_content_change() {
        ContentChange::InPlace => record.head()?,
        ContentChange::NewAsset => record.find_content(content)?,
    };
    (key.asset_id != made && Some(key.asset_id) != replaces).then_some(key.asset_id)
}

/// An asset was made for what the address has another one for, `kept`: it stays known, and isn't
/// used.
fn passed_over(address: &Address, made: AssetId, kept: AssetId) -> [Change; 2] {
    let message = format!(
        "asset {made} came of an earlier upload, but asset {kept} is in use for it already: {made} is a duplicate, and isn't used"
    );
    let event = Event { kind: Event::DUPLICATE_ASSET, message };
    [
        Change::SetListing { address: address.clone(), asset_id: made, listing: Some(Listing::Duplicate) },
        Change::LogEvent { address: Some(address.clone()), event },
    ]
}

/// An asset as an answer describes it soon after an earlier write of Macadam's, when it was known
/// as `before`: of what `intent` leaves alone the answer may be older than that write.
pub(crate) fn since(intent: &Intent, before: &RemoteAsset, asset: &RemoteAsset) -> RemoteAsset {
    let text = |field: Field, before: &Option<String>, now: &Option<String>| match intent {
        Intent::UpdateMetadata { fields, .. } if fields.contains_key(&field) => now.clone(),
        _ => before.clone().or_else(|| now.clone()),
    };
    RemoteAsset {
        display_name: text(Field::DisplayName, &before.display_name, &asset.display_name),
        description: text(Field::Description, &before.description, &asset.description),
        archived: before.archived.or(asset.archived),
        ..asset.clone()
    }
}

/// An asset as it is after a change of it, whatever a read that lags behind it says.
fn as_written(intent: &Intent, asset: &RemoteAsset) -> RemoteAsset {
    let archived = match intent {
        Intent::Archive { .. } => Some(true),
        Intent::Restore { .. } => Some(false),
        Intent::Create { .. }
        | Intent::UpdateContent { .. }
        | Intent::UpdateMetadata { .. }
        | Intent::Rollback { .. } => asset.archived,
    };
    RemoteAsset { archived, ..asset.clone() }
}

/// A person, or an operation that something newer took the place of, tells of an asset that an
/// upload of `address` made beside the one that is used: its ID is recorded, and the address stays
/// what it is.
pub(crate) fn made_beside(
    address: &Address,
    record: &Record,
    content: ContentHash,
    asset: &RemoteAsset,
    now: Timestamp,
) -> Vec<Change> {
    let key = key_of(record.identity.asset_type, asset);
    let state = RevisionState::of_moderation(asset.moderation);
    let ordinal = record.history.next_ordinal();
    let fact = RevisionFact { ordinal, ..new_fact(content, state, now, Origin::Create) };
    let mut changes = vec![Change::AddRevision { address: address.clone(), key, fact }];
    // The asset of a content that has no other is one to point back to.
    match late(record, content, None, asset.asset_id) {
        Some(kept) => changes.extend(passed_over(address, asset.asset_id, kept)),
        None => {
            let listing = Some(Listing::Listed);
            changes.push(Change::SetListing { address: address.clone(), asset_id: asset.asset_id, listing });
        }
    }
    changes.push(Change::RecordObservation { asset: asset.clone() });
    changes
}

/// An update that something newer took the place of was carried out after all: its revision holds
/// `content`.
pub(crate) fn revised_late(
    address: &Address,
    record: &Record,
    content: ContentHash,
    asset: &RemoteAsset,
    now: Timestamp,
) -> Vec<Change> {
    let key = key_of(record.identity.asset_type, asset);
    // Read since, it is known by what somebody saw of it.
    if record.history.get(key).is_some_and(|fact| fact.content.is_some()) {
        return Vec::new();
    }
    let state = RevisionState::of_moderation(asset.moderation);
    let ordinal = ordinal_of(record, asset.asset_id);
    let fact = RevisionFact { ordinal, ..new_fact(content, state, now, Origin::UpdateContent) };
    vec![Change::AddRevision { address: address.clone(), key, fact }]
}

/// It is known what came of the upload of an attempt.
pub(crate) fn accounted(attempt: &Attempt) -> Option<Change> {
    let (upload, content) = (attempt.intent.upload()?, attempt.intent.content()?);
    let duplicate = PossibleDuplicate { content, settled: true };
    Some(Change::AddPossibleDuplicate { address: attempt.address.clone(), upload, duplicate })
}

/// The revision that an asset is, where a change leaves its content alone.
fn known_key(record: &Record, asset_id: AssetId) -> RevisionKey {
    let head = record.head().map(|(key, _)| key).filter(|key| key.asset_id == asset_id);
    let newest = || record.history.of_asset(asset_id).next_back().map(|(key, _)| key);
    head.or_else(newest).unwrap_or(RevisionKey { asset_id, version: None })
}

/// An asset is back in use: it is archived for none of the addresses that have it.
pub(crate) fn restored(recorded: &Recorded, asset_id: AssetId) -> Vec<Change> {
    let with = recorded.assets.iter().filter(|(_, record)| record.retirements.contains_key(&asset_id));
    with.map(|(address, _)| Change::SetRetirement { address: address.clone(), asset_id, retirements: None }).collect()
}

/// An address goes back to an asset that it had before, which the remote describes as `asset`: what
/// was asked for was asked of another one.
pub(crate) fn pointed_back(address: &Address, record: &Record, asset: &RemoteAsset) -> Vec<Change> {
    let of_asset = |field: &Field| asset.stored(*field).unwrap_or(FieldDigest::UNKNOWN);
    let fields = record.asked.keys().map(|field| (*field, of_asset(field))).collect();
    vec![
        Change::SetMetadata { address: address.clone(), fields, stored: FieldDigests::new() },
        Change::SetCurrentAsset { address: address.clone(), asset_id: asset.asset_id },
        Change::SetBlocked { address: address.clone(), blocked: None },
    ]
}

/// An address, of which `record` is known, uses the asset that another one has as revision `found`.
pub(crate) fn shared(
    address: &Address,
    record: Option<&Record>,
    identity: &Identity,
    (key, found): (RevisionKey, RevisionFact),
    checkout: &Checkout,
    now: Timestamp,
) -> Vec<Change> {
    let fact = RevisionFact {
        ordinal: record.map_or(1, |record| record.history.next_ordinal()),
        shared: true,
        kind: None,
        disputed: false,
        era: 0,
        made: Some((now, Origin::Create)),
        ..found
    };
    let in_lockfile = record.map_or(InLockfile::No, |record| record.in_lockfile.clone()).begun(checkout);
    vec![
        Change::SetIdentity { address: address.clone(), identity: identity.clone() },
        Change::SetInLockfile { address: address.clone(), in_lockfile },
        Change::AddRevision { address: address.clone(), key, fact },
        Change::SetMetadata { address: address.clone(), fields: FieldDigests::new(), stored: FieldDigests::new() },
        Change::SetCurrentAsset { address: address.clone(), asset_id: key.asset_id },
        Change::SetBlocked { address: address.clone(), blocked: None },
    ]
}

/// Of the fields in `sent` those for which Roblox stored something else, beside what was known of
/// other fields.
fn stored_otherwise(sent: &FieldDigests, known: &FieldDigests, asset: &RemoteAsset) -> FieldDigests {
    let mut stored = known.clone();
    for (field, asked) in sent {
        match asset.stored(*field) {
            Some(found) if found != *asked => stored.insert(*field, found),
            Some(_) | None => stored.remove(field),
        };
    }
    stored
}

/// A change of metadata may make a revision as well: V1 says that every change does, clients' tests
/// say that none does. The head was read before the change was sent; one that follows it, and was
/// not made before, is the change's own, with the bytes of the head.
fn revision_of_metadata(attempt: &Attempt, record: &Record, asset: &RemoteAsset, now: Timestamp) -> Option<Change> {
    let key = key_of(record.identity.asset_type, asset);
    let (newest, _) = record.newest()?;
    let (_, head) = record.head()?;
    let follows = key.version.map(Revision::get) == newest.version.map(|version| version.get() + 1);
    let made = asset
        .revision_created_at
        .is_none_or(|made| made >= attempt.begun_at.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN));
    if newest.asset_id != key.asset_id || !follows || !made {
        return None;
    }
    let fact = RevisionFact {
        state: RevisionState::of_moderation(asset.moderation),
        round: 0,
        // Over content made elsewhere it is still that.
        made: Some((now, if head.content.is_some() { Origin::UpdateContent } else { Origin::Elsewhere })),
        ..head
    };
    Some(Change::AddRevision { address: attempt.address.clone(), key, fact })
}

/// Version `to` is current again: the head moved back to it, or a new version has its bytes.
fn rolled_back(
    address: &Address,
    record: &Record,
    asset_id: AssetId,
    to: Revision,
    asset: &RemoteAsset,
    now: Timestamp,
) -> Vec<Change> {
    let at = key_of(record.identity.asset_type, asset);
    let mut changes = Vec::new();
    if at.version != Some(to) && record.history.get(at).is_none() {
        let source = record.history.get(RevisionKey { asset_id, version: Some(to) });
        let fact = RevisionFact {
            ordinal: ordinal_of(record, asset_id),
            content: source.and_then(|fact| fact.content),
            state: RevisionState::of_moderation(asset.moderation),
            round: 0,
            shared: false,
            kind: None,
            disputed: false,
            era: 0,
            made: Some((now, Origin::Rollback)),
        };
        changes.push(Change::AddRevision { address: address.clone(), key: at, fact });
    }
    let newest = record.newest().and_then(|(newest, _)| newest.version).max(at.version);
    let pinned = Some(PinnedAt { pin: Pin::Revision(to), at, newest });
    changes.push(Change::SetPinnedAt { address: address.clone(), pinned });
    changes.push(Change::SetCurrentAsset { address: address.clone(), asset_id });
    changes
}

fn new_fact(content: ContentHash, state: RevisionState, now: Timestamp, origin: Origin) -> RevisionFact {
    RevisionFact {
        ordinal: 1,
        content: Some(content),
        state,
        round: 0,
        shared: false,
        kind: None,
        disputed: false,
        era: 0,
        made: Some((now, origin)),
    }
}

/// The key of what an answer describes: with the version for a type that is updated in place, where
/// an answer without one means the first.
pub(crate) fn key_of(asset_type: AssetType, asset: &RemoteAsset) -> RevisionKey {
    let version = match asset_type.on_content_change() {
        ContentChange::InPlace => asset.revision.or_else(|| Revision::new(1).ok()),
        ContentChange::NewAsset => None,
    };
    RevisionKey { asset_id: asset.asset_id, version }
}

/// The ordinal of an asset that the history knows.
pub(crate) fn ordinal_of(record: &Record, asset_id: AssetId) -> u32 {
    let known = record.history.of_asset(asset_id).map(|(_, fact)| fact.ordinal).min();
    known.unwrap_or_else(|| record.history.next_ordinal())
}

/// Roblox makes an asset under another owner without a word when the key allows only that one.
fn other_creator(attempt: &Attempt, asset: &RemoteAsset) -> Option<Change> {
    let made = asset.creator.filter(|creator| *creator != attempt.kind.creator)?;
    let message = format!("asset {} was made under {made}, not under {}", asset.asset_id, attempt.kind.creator);
    Some(Change::LogEvent { address: Some(attempt.address.clone()), event: Event { kind: "other_creator", message } })
}

/// An upload that was begun for another owner or type than the address has by now: another checkout
/// changed it meanwhile. The asset stays known as what it is.
fn made_for_another(attempt: &Attempt, made: AssetId) -> Change {
    let Kind { asset_type, creator } = attempt.kind;
    let message = format!(
        "asset {made} came of an upload for {creator} ({asset_type}), which this checkout doesn't want: it isn't used here"
    );
    Change::LogEvent { address: Some(attempt.address.clone()), event: Event { kind: "made_for_another", message } }
}

/// Roblox refused what `attempt` set out to do, for its `input_digest`.
pub(crate) fn refused(
    id: AttemptId,
    attempt: &Attempt,
    record: Option<&Record>,
    (input_digest, refusal_kind): (FieldDigest, RefusalKind),
    message: &str,
    now: Timestamp,
) -> Vec<Change> {
    let before = record.and_then(|record| record.blocked.as_ref());
    let again = matches!(before, Some(Blocked::Refused { input_digest: known, refusal_kind: RefusalKind::DisplayName, .. }) if *known == input_digest);
    // What was refused after a neutral name was sent was not refused for its name.
    let refusal_kind = if again { RefusalKind::Other } else { refusal_kind };
    let (action, message) = (attempt.intent.name().to_owned(), message.to_owned());
    let blocked = Blocked::Refused { input_digest, action, refusal_kind, message, at: now };
    vec![
        Change::Advance { attempt: id, event: PhaseEvent::Refuse },
        Change::SetBlocked { address: attempt.address.clone(), blocked: Some(blocked) },
    ]
}

/// What follows from one more failure of `input_digest`: it rests, and the longer the more often it
/// has failed in a row.
pub(crate) fn failed(
    record: Option<&Record>,
    input_digest: FieldDigest,
    message: &str,
    jitter: f64,
    now: Timestamp,
) -> Blocked {
    let (failures, doubts) = match record.and_then(|record| record.blocked.as_ref()) {
        Some(Blocked::Retrying { input_digest: known, failures, doubts, .. }) if *known == input_digest => {
            (*failures, *doubts)
        }
        Some(Blocked::Retrying { .. } | Blocked::Refused { .. }) | None => (0, 0),
    };
    let failures = failures.saturating_add(1);
    let delay = SignedDuration::try_from(Backoff::ADDRESS.delay(failures, jitter)).unwrap_or(SignedDuration::MAX);
    let next_at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
    Blocked::Retrying { input_digest, failures, doubts, next_at, message: message.to_owned() }
}

/// The revisions of an asset that Roblox no longer has. What moderation rejected stays that, but
/// for the newest, which stands for the asset.
pub(crate) fn gone(address: &Address, record: &Record, asset_id: AssetId) -> Vec<Change> {
    let of_asset = || record.history.of_asset(asset_id);
    let newest = of_asset().next_back().map(|(key, _)| key);
    let vanishes = |key: RevisionKey, fact: &RevisionFact| match fact.state {
        RevisionState::Unverified | RevisionState::Reviewing | RevisionState::Live => true,
        RevisionState::Rejected => Some(key) == newest,
        RevisionState::Gone => false,
    };
    let gone = of_asset().filter(|(key, fact)| vanishes(*key, fact));
    gone.map(|(key, fact)| Change::AddRevision { address: address.clone(), key, fact: fact.now(RevisionState::Gone) })
        .collect()
}

/// Every revision of an asset that moderation rejected, for a type with one content an asset.
pub(crate) fn rejected(address: &Address, record: &Record, asset_id: AssetId) -> Vec<Change> {
    stand(address, record, asset_id, RevisionState::Rejected)
}

fn stand(address: &Address, record: &Record, asset_id: AssetId, state: RevisionState) -> Vec<Change> {
    let of_asset = record.history.of_asset(asset_id);
    of_asset.map(|(key, fact)| Change::AddRevision { address: address.clone(), key, fact: fact.now(state) }).collect()
}

/// The remote describes an asset in answer to a question: what follows for an address that has it.
/// `lags`: the answer may be older than Macadam's own last write of the asset.
pub(crate) fn looked_at(
    address: &Address,
    record: &Record,
    asset: &RemoteAsset,
    lags: bool,
    now: Timestamp,
) -> Vec<Change> {
    let known: Vec<_> = record.history.of_asset(asset.asset_id).collect();
    let Some((newest, _)) = known.last().copied() else { return Vec::new() };
    let at = key_of(record.identity.asset_type, asset);
    let mut changes = Vec::new();
    for (key, fact) in known {
        // It is there, and nothing was said against it when it vanished.
        let as_before = match fact.state {
            RevisionState::Gone | RevisionState::Unverified => RevisionState::Live,
            said => said,
        };
        let said =
            asset.moderation.filter(|_| key == at).map(|moderation| RevisionState::of_moderation(Some(moderation)));
        let state = said.unwrap_or(as_before);
        // A read that lags shows what was said earlier, so it takes nothing back.
        let is_earlier = lags && state < as_before;
        if state != fact.state && !is_earlier {
            changes.push(Change::AddRevision { address: address.clone(), key, fact: fact.now(state) });
            changes.extend(event_of(fact.state, state, asset.asset_id).map(|event| told(address, event)));
        }
    }
    // Versions only grow, so that a newer one is no earlier read.
    if at.version > newest.version {
        changes.extend(made_elsewhere(address, record, asset, now));
    }
    changes
}

/// What a person may want to know of another standing.
fn event_of(before: RevisionState, now: RevisionState, asset_id: AssetId) -> Option<Event> {
    let (kind, message) = match (before, now) {
        (_, RevisionState::Rejected) => ("rejected", format!("moderation rejected asset {asset_id}")),
        (RevisionState::Rejected, _) => {
            ("no_longer_rejected", format!("moderation no longer rejects asset {asset_id}"))
        }
        (RevisionState::Gone, _) => ("found_again", format!("Roblox has asset {asset_id} again")),
        (RevisionState::Unverified | RevisionState::Reviewing | RevisionState::Live, _) => return None,
    };
    Some(Event { kind, message })
}

fn told(address: &Address, event: Event) -> Change {
    Change::LogEvent { address: Some(address.clone()), event }
}

/// A newer version of an asset that nobody here made.
pub(crate) fn made_elsewhere(address: &Address, record: &Record, asset: &RemoteAsset, now: Timestamp) -> Vec<Change> {
    let key = key_of(record.identity.asset_type, asset);
    let fact = RevisionFact {
        ordinal: ordinal_of(record, asset.asset_id),
        content: None,
        state: RevisionState::of_moderation(asset.moderation),
        round: 0,
        shared: false,
        kind: None,
        disputed: false,
        era: 0,
        made: Some((now, Origin::Elsewhere)),
    };
    let number = key.version.map(Revision::get).unwrap_or_default();
    let message = format!("somebody else made revision {number} of asset {}", asset.asset_id);
    vec![
        Change::AddRevision { address: address.clone(), key, fact },
        Change::RecordObservation { asset: asset.clone() },
        Change::LogEvent { address: Some(address.clone()), event: Event { kind: "made_elsewhere", message } },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::Privacy;
    use crate::model::history::History;
    use crate::model::ids::{Creator, UserId};
    use crate::model::path::ProjectPath;

    fn identity() -> Identity {
        Identity {
            asset_type: AssetType::Image,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new("a.png").unwrap(),
        }
    }

    fn record(blocked: Option<Blocked>) -> Record {
        Record { blocked, ..Record::new(identity()) }
    }

    #[test]
    fn the_first_failure_was_repeated_without_a_rest() {
        let (now, input_digest) = (Timestamp::UNIX_EPOCH, FieldDigest::of_text("a"));
        let mut known = record(None);
        let mut rests = Vec::new();
        for _ in 0..3 {
            let blocked = failed(Some(&known), input_digest, "502", 1.0, now);
            let Blocked::Retrying { failures, next_at, .. } = &blocked else { panic!("{blocked:?}") };
            rests.push((*failures, next_at.as_second()));
            known = record(Some(blocked));
        }
        assert_eq!(rests, [(1, 1), (2, 2), (3, 4)]);
        let other = failed(Some(&known), FieldDigest::of_text("b"), "502", 1.0, now);
        assert!(matches!(other, Blocked::Retrying { failures: 1, doubts: 0, .. }), "new content starts anew");
    }

    /// The description was changed together with the content: back at the first content, the first
    /// asset's old description counted as the new one.
    #[test]
    fn pointing_back_trusts_the_old_asset_and_not_requests_for_another() {
        let address = Address::new("a").unwrap();
        let mut recorded = Recorded::default();
        let now = Timestamp::UNIX_EPOCH;
        recorded.apply(&Change::SetIdentity { address: address.clone(), identity: identity() }, now).unwrap();
        let asked = [(Field::Description, FieldDigest::of_text("new")), (Field::Icon, FieldDigest::of_text("x"))];
        recorded
            .apply(
                &Change::SetMetadata {
                    address: address.clone(),
                    fields: FieldDigests::from(asked),
                    stored: FieldDigests::new(),
                },
                now,
            )
            .unwrap();
        let old = RemoteAsset { description: Some("old".to_owned()), ..RemoteAsset::unknown(AssetId::new(7).unwrap()) };
        for change in pointed_back(&address, &recorded.assets[&address], &old) {
            recorded.apply(&change, now).unwrap();
        }
        let record = &recorded.assets[&address];
        assert_eq!(record.points_to, Some(old.asset_id));
        assert_eq!(record.history, History::new());
        let believed = [(Field::Description, FieldDigest::of_text("old")), (Field::Icon, FieldDigest::UNKNOWN)];
        assert_eq!(record.asked, FieldDigests::from(believed));
    }
}
