//! Derives the changes that follow from the end of a request. Pure: every function returns the
//! changes of one transaction.
//!
//! Read next: `src/model/change.rs` for the vocabulary, `src/engine/execute/executor.rs` for the
//! caller.

mod observed;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::backoff::Backoff;
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::change::Change;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::desired::Pin;
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::history::{Listing, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::{Field, FieldDigests};
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::recorded::{
    Attempt, AttemptId, Blocked, Identity, PinnedAt, PossibleDuplicate, Record, Recorded, RefusalKind, RetireReason,
    Retirement,
};
use crate::model::remote::RemoteAsset;
use crate::plan::in_doubt::OPERATION_PATIENCE;

pub(crate) use observed::{gone, looked_at, made_elsewhere, of_all, rejected};

/// The tolerance between Roblox's clock and this machine's, when a revision's time is compared with
/// an attempt's.
pub(crate) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);

/// Whether a revision that Roblox made at `made` may be that of an attempt, by its times: Roblox works
/// on no request longer than [`OPERATION_PATIENCE`].
pub(crate) fn may_have_made_at(attempt: &Attempt, made: Timestamp, now: Timestamp) -> bool {
    // An attempt from the future was begun by a clock that was corrected since: its times mean
    // nothing.
    if attempt.begun_at > now {
        return true;
    }
    let earliest = attempt.begun_at.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
    let latest = attempt.handed_over_at.saturating_add(OPERATION_PATIENCE + CLOCK_SKEW).unwrap_or(Timestamp::MAX);
    (earliest..=latest).contains(&made)
}

/// The result of a completed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The changes of the transaction.
    pub changes: Vec<Change>,
    /// The asset and its revision.
    pub key: RevisionKey,
    /// Whether moderation rejected the upload.
    pub rejected: bool,
}

/// Completes `attempt`, which Roblox carried out; `asset` is its description of the asset.
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
            // Also where it replaces an asset with the same content.
            let listing = Some(Listing::Listed);
            changes.push(Change::SetListing { address: address.clone(), asset_id: asset.asset_id, listing });
            let mut asked = fields.clone();
            // Fields that the address had before: a new asset without them has them cleared.
            for field in record.asked.keys().filter(|field| **field != Field::DisplayName) {
                asked.entry(*field).or_insert(FieldDigest::of_cleared());
            }
            let stored = stored_otherwise(fields, &FieldDigests::new(), asset);
            // In place of a rejected picture the game keeps the one of before.
            let is_replaced = attempt.kind.asset_type.on_content_change() == ContentChange::NewAsset;
            let keeps = || is_replaced && record.in_use().is_some_and(|(_, fact)| fact.state.is_usable());
            if !(rejected && keeps()) {
                changes.push(Change::SetMetadata { address: address.clone(), fields: asked, stored });
                changes.push(Change::SetCurrentAsset { address: address.clone(), asset_id: asset.asset_id });
            }
            changes.extend(other_creator(attempt, asset));
        }
        Intent::UpdateContent { asset_id, content, head } => {
            key = key_of(record.identity.asset_type, asset);
            let ordinal = ordinal_of(record, *asset_id);
            let fact = RevisionFact { ordinal, ..new_fact(*content, state, now, Origin::UpdateContent) };
            changes.push(Change::AddRevision { address: address.clone(), key, fact });
            changes.push(Change::SetCurrentAsset { address: address.clone(), asset_id: *asset_id });
            // Roblox makes no new revision of the bytes that are current. An older one was, and it
            // stays so: as after a rollback to it.
            if let (Some(at), true) = (key.version, key.version < *head) {
                let newest = record.newest().and_then(|(newest, _)| newest.version);
                let pinned = Some(PinnedAt { pin: Pin::Revision(at), at: key, newest });
                changes.push(Change::SetPinnedAt { address: address.clone(), pinned });
            }
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
            let retirement = Some(Retirement { archived_at: Some(now), ..known });
            changes.push(Change::SetRetirement { address: address.clone(), asset_id: *asset_id, retirement });
        }
        Intent::Restore { asset_id } => {
            changes.push(Change::SetRetirement { address: address.clone(), asset_id: *asset_id, retirement: None });
        }
    }
    changes.push(Change::RecordObservation { asset: as_written(&attempt.intent, asset) });
    let restores = matches!(attempt.intent, Intent::Restore { .. });
    changes.push(Change::RecordWrite { asset_id: asset.asset_id, restores });
    if !leaves_a_refusal(&attempt.intent, Some(record)) {
        changes.push(Change::SetBlocked { address: address.clone(), blocked: None });
    }
    Settled { changes, key, rejected }
}

/// Whether an attempt says nothing about what Roblox refused of the address itself: it archives or
/// restores an asset, and the refusal, of the file or its metadata, stays however it ends.
pub(crate) fn leaves_a_refusal(intent: &Intent, record: Option<&Record>) -> bool {
    match (intent, record.and_then(|record| record.blocked.as_deref())) {
        (Intent::Archive { .. } | Intent::Restore { .. }, Some(Blocked::Refused { action, .. })) => {
            *action != intent.kind()
        }
        _ => false,
    }
}

/// Marks an asset whose operation describes an older revision as outdated. After an old state came
/// back, the lockfile may know a newer revision, under this name of the asset or another one, and
/// no one else made the old one current.
pub(crate) fn answered_late(intent: &Intent, recorded: &Recorded, made: RevisionKey) -> Option<Change> {
    let is_new = match intent {
        // Roblox made no revision of bytes that an older one has, which is current.
        Intent::UpdateContent { head, .. } => made.version >= *head,
        _ => intent.content().is_some(),
    };
    let is_newer = |key: RevisionKey| key.version > made.version;
    let is_late = |record: &Record| record.history.of_asset(made.asset_id).any(|(key, _)| is_newer(key));
    let is_late = |(_, record): (&Address, &Record)| is_late(record);
    (is_new && recorded.owners(made.asset_id).any(is_late)).then_some(Change::MarkOutdated { asset_id: made.asset_id })
}

/// Returns the asset that an address already has for a created one: an upload of an old state or
/// another branch ended after someone else's. Only the asset that the create was to replace is
/// replaced, such as a shared one by its own with the same content.
fn late(record: &Record, content: ContentHash, replaces: Option<AssetId>, made: AssetId) -> Option<AssetId> {
    let (key, _) = match record.identity.asset_type.on_content_change() {
        ContentChange::InPlace => record.head()?,
        ContentChange::NewAsset => record.find_content(content)?,
    };
    (key.asset_id != made && Some(key.asset_id) != replaces).then_some(key.asset_id)
}

/// Records that an asset was made although the address uses `kept`: it stays known, but isn't used.
fn passed_over(address: &Address, made: AssetId, kept: AssetId) -> [Change; 2] {
    let event = EventKind::MadeTwice { made, kept };
    [
        Change::SetListing { address: address.clone(), asset_id: made, listing: Some(Listing::Duplicate) },
        Change::log(address, event),
    ]
}

/// Returns an asset as of a response soon after an earlier write of Macadam's, when it was known as
/// `before`. The response may lag behind that write for values that `intent` doesn't change.
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

/// Returns an asset as it is after a change, whatever a lagging read says.
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

/// Records an asset that an upload of `address` made beside the one in use, as a person or a late
/// operation reported. The address keeps its current asset.
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
    // If the content has no other asset, the address may point back to this one.
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

/// Records the revision of an update that a newer change replaced, and that was carried out after
/// all: it holds `content`.
pub(crate) fn revised_late(
    address: &Address,
    record: &Record,
    content: ContentHash,
    asset: &RemoteAsset,
    now: Timestamp,
) -> Vec<Change> {
    let key = key_of(record.identity.asset_type, asset);
    // It was observed since; the observation counts.
    if record.history.get(key).is_some_and(|fact| fact.content.is_some()) {
        return Vec::new();
    }
    let state = RevisionState::of_moderation(asset.moderation);
    let ordinal = ordinal_of(record, asset.asset_id);
    let fact = RevisionFact { ordinal, ..new_fact(content, state, now, Origin::UpdateContent) };
    vec![Change::AddRevision { address: address.clone(), key, fact }]
}

/// Records that the outcome of an attempt's upload is known.
pub(crate) fn accounted(attempt: &Attempt) -> Option<Change> {
    let (upload, content) = (attempt.intent.upload()?, attempt.intent.content()?);
    let duplicate = PossibleDuplicate { content, settled: true };
    Some(Change::AddPossibleDuplicate { address: attempt.address.clone(), upload, duplicate })
}

/// Returns an asset's revision after a change that leaves its content alone.
fn known_key(record: &Record, asset_id: AssetId) -> RevisionKey {
    let head = record.head().map(|(key, _)| key).filter(|key| key.asset_id == asset_id);
    let newest = || record.history.of_asset(asset_id).next_back().map(|(key, _)| key);
    head.or_else(newest).unwrap_or(RevisionKey { asset_id, version: None })
}

/// Records that an asset is in use again: no address has it archived.
pub(crate) fn restored(recorded: &Recorded, asset_id: AssetId) -> Vec<Change> {
    let with = recorded.owners(asset_id).filter(|(_, record)| record.retirements.contains_key(&asset_id));
    with.map(|(address, _)| Change::SetRetirement { address: address.clone(), asset_id, retirement: None }).collect()
}

/// Points an address back to an earlier asset, which the remote describes as `asset`. The requested
/// metadata was requested of another asset.
pub(crate) fn pointed_back(address: &Address, record: &Record, asset: &RemoteAsset) -> Vec<Change> {
    let of_asset = |field: &Field| asset.stored(*field).unwrap_or(FieldDigest::UNKNOWN);
    let fields = record.asked.keys().map(|field| (*field, of_asset(field))).collect();
    vec![
        Change::SetMetadata { address: address.clone(), fields, stored: FieldDigests::new() },
        Change::SetCurrentAsset { address: address.clone(), asset_id: asset.asset_id },
        Change::SetBlocked { address: address.clone(), blocked: None },
    ]
}

/// Makes an address, recorded as `record`, use revision `found` of another address's asset.
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

/// Returns the fields that Roblox stored differently: those of `sent`, and known ones of other
/// fields.
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

/// Returns the revision that a change of metadata made, if it made one: V1 says that every change
/// does, tests of clients say that none does. The head was read before the change was sent. A
/// revision that follows it and was not made before is the change's own, with the content of the
/// head.
fn revision_of_metadata(attempt: &Attempt, record: &Record, asset: &RemoteAsset, now: Timestamp) -> Option<Change> {
    let key = key_of(record.identity.asset_type, asset);
    let (newest, _) = record.newest()?;
    let (_, head) = record.head()?;
    let follows = key.version.map(Revision::get) == newest.version.map(|version| version.get() + 1);
    let made = asset.revision_created_at.is_none_or(|made| may_have_made_at(attempt, made, now));
    if newest.asset_id != key.asset_id || !follows || !made {
        return None;
    }
    let fact = RevisionFact {
        state: RevisionState::of_moderation(asset.moderation),
        round: 0,
        // After content made elsewhere, it still counts as that.
        made: Some((now, if head.content.is_some() { Origin::UpdateContent } else { Origin::Elsewhere })),
        ..head
    };
    Some(Change::AddRevision { address: attempt.address.clone(), key, fact })
}

/// Records a rollback to version `to`: the head moved back to it, or a new version has its bytes.
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
        let content = source.and_then(|fact| fact.content);
        let state = RevisionState::of_moderation(asset.moderation);
        let fact = RevisionFact {
            made: Some((now, Origin::Rollback)),
            ..RevisionFact::new(ordinal_of(record, asset_id), content, state)
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
    RevisionFact { made: Some((now, origin)), ..RevisionFact::new(1, Some(content), state) }
}

/// Returns the key of the described revision. For a type that is updated in place it has a version;
/// a response without one means the first.
pub(crate) fn key_of(asset_type: AssetType, asset: &RemoteAsset) -> RevisionKey {
    let version = match asset_type.on_content_change() {
        ContentChange::InPlace => asset.revision.or_else(|| Revision::new(1).ok()),
        ContentChange::NewAsset => None,
    };
    RevisionKey { asset_id: asset.asset_id, version }
}

/// Returns the ordinal of a known asset.
pub(crate) fn ordinal_of(record: &Record, asset_id: AssetId) -> u32 {
    let known = record.history.of_asset(asset_id).map(|(_, fact)| fact.ordinal).min();
    known.unwrap_or_else(|| record.history.next_ordinal())
}

/// Logs that an asset was made under another owner. Roblox does that silently if the key allows
/// only that owner.
fn other_creator(attempt: &Attempt, asset: &RemoteAsset) -> Option<Change> {
    let meant = attempt.kind.creator;
    let made = asset.creator.filter(|creator| *creator != meant)?;
    Some(Change::log(&attempt.address, EventKind::OtherCreator { asset_id: asset.asset_id, made, meant }))
}

/// Logs that an upload was for another owner or type than the address has now, because another
/// checkout changed it meanwhile. The asset stays known as it is.
fn made_for_another(attempt: &Attempt, made: AssetId) -> Change {
    Change::log(&attempt.address, EventKind::MadeForAnother { asset_id: made, kind: attempt.kind })
}

/// Records that Roblox refused `attempt`, for the desired state `input_digest`.
pub(crate) fn refused(
    id: AttemptId,
    attempt: &Attempt,
    record: Option<&Record>,
    (input_digest, refusal_kind): (FieldDigest, RefusalKind),
    message: &str,
    now: Timestamp,
) -> Vec<Change> {
    let refuse = Change::Advance { attempt: id, event: PhaseEvent::Refuse };
    // It says nothing about the file and settings of the address.
    if let Intent::Archive { asset_id } = attempt.intent {
        let (address, said) = (attempt.address.clone(), Some(message.to_owned()));
        return vec![refuse, Change::SetRefusedArchiving { address, asset_id, said }];
    }
    let before = record.and_then(|record| record.blocked.as_deref());
    let again = matches!(before, Some(Blocked::Refused { input_digest: known, refusal_kind: RefusalKind::DisplayName, .. }) if *known == input_digest);
    // A refusal after a neutral name was not for the name.
    let refusal_kind = if again { RefusalKind::Other } else { refusal_kind };
    let (action, message) = (attempt.intent.kind(), message.to_owned());
    let blocked = Blocked::Refused { input_digest, action, refusal_kind, message, at: now };
    vec![refuse, Change::SetBlocked { address: attempt.address.clone(), blocked: Some(blocked) }]
}

/// Returns the back-off after one more failure of `input_digest`: it grows with the failures in a
/// row.
pub(crate) fn failed(
    record: Option<&Record>,
    input_digest: FieldDigest,
    message: &str,
    jitter: f64,
    now: Timestamp,
) -> Blocked {
    let (failures, doubts) = match record.and_then(|record| record.blocked.as_deref()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::asset::Privacy;
    use crate::model::history::History;
    use crate::model::ids::{Creator, UserId};
    use crate::model::metadata_digest;
    use crate::model::path::ProjectPath;
    use crate::model::phase::IntentKind;
    use crate::model::recorded::RefusalKind;

    #[test]
    fn archiving_and_restoring_leave_what_was_refused_of_the_file() {
        let asset_id = AssetId::new(1).unwrap();
        let refused = |action| {
            let (input_digest, at) = (metadata_digest::input_digest(None, &FieldDigests::new()), Timestamp::UNIX_EPOCH);
            let (refusal_kind, message) = (RefusalKind::Other, "no".to_owned());
            let blocked = Blocked::Refused { input_digest, action, refusal_kind, message, at };
            Record { blocked: Some(Box::new(blocked)), ..Record::new(identity()) }
        };
        let [archive, restore] = [Intent::Archive { asset_id }, Intent::Restore { asset_id }];
        for intent in [&archive, &restore] {
            assert!(leaves_a_refusal(intent, Some(&refused(IntentKind::Create))));
            assert!(!leaves_a_refusal(intent, Some(&Record::new(identity()))));
        }
        assert!(!leaves_a_refusal(&restore, Some(&refused(IntentKind::Restore))), "it is its own");
    }

    fn identity() -> Identity {
        Identity {
            asset_type: AssetType::Image,
            creator: Creator::User(UserId::new(1).unwrap()),
            privacy: Privacy::Default,
            path: ProjectPath::new("a.png").unwrap(),
        }
    }

    fn record(blocked: Option<Blocked>) -> Record {
        Record { blocked: blocked.map(Box::new), ..Record::new(identity()) }
    }

    #[test]
    fn the_first_failure_backs_off() {
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

    /// The description changed together with the content. Back at the first content, the first
    /// asset's old description must not count as the new one.
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

    /// A Model was renamed and rolled back, an older copy of the state came back, and its operation
    /// of an earlier update, under the old name, ended. The rollback was taken back, it seemed.
    #[test]
    fn an_operation_that_ends_late_is_compared_with_every_name_of_the_asset() {
        let now = Timestamp::UNIX_EPOCH;
        let identity = Identity { asset_type: AssetType::Model, ..identity() };
        let key = |version: u64| RevisionKey {
            asset_id: AssetId::new(7).unwrap(),
            version: crate::model::ids::Revision::new(version).ok(),
        };
        let content = ContentHash::from_bytes([1; 32]);
        let fact = new_fact(content, RevisionState::Live, now, Origin::UpdateContent);
        let mut recorded = Recorded::default();
        for (name, version) in [("old", 1), ("new", 5)] {
            let address = Address::new(name).unwrap();
            recorded.apply(&Change::SetIdentity { address: address.clone(), identity: identity.clone() }, now).unwrap();
            recorded.apply(&Change::AddRevision { address, key: key(version), fact }, now).unwrap();
        }
        let intent = Intent::UpdateContent { asset_id: key(4).asset_id, content, head: None };
        let late = answered_late(&intent, &recorded, key(4));
        assert_eq!(late, Some(Change::MarkOutdated { asset_id: key(4).asset_id }));
        assert_eq!(answered_late(&intent, &recorded, key(6)), None);
    }
}
