//! Converts a ledger to the changes that reading it makes. They form a union, so an older lockfile
//! removes nothing.
//!
//! Where state and lockfile contradict each other, the lockfile wins, since the other machines have
//! it. Reading it twice changes nothing more.

mod open_work;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use open_work::is_polled;

use super::export::relisted;
use super::union::{join_stored, remembered, union_of_possible};
use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::change::Change;
use crate::model::checkout::InLockfile;
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::forgotten::Forgotten;
use crate::model::history::{History, Kind};
use crate::model::ids::{AssetId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Identity, PossibleDuplicate, Record, Recorded, Retirement};

/// Returns the changes that reading a lockfile makes. Call it after the recovery of the journal, so
/// that no attempt of a dead process still looks alive.
///
/// - Facts: the union. The lockfile chooses which of several equal assets counts, each time it is
///   read. An event reports each asset that this replaces.
/// - Forgotten: an asset that either side forgot is forgotten here too, and the lockfile's facts
///   about it are ignored.
/// - Identity: the lockfile's. Assets of another type or creator stay in the history, unused.
/// - Metadata: a field that only one side has is taken. If the values differ, and this state never
///   had the lockfile's value, that value is newer and counts; until the asset is read, Roblox may
///   still have the earlier one. Otherwise the lockfile may be older: the value becomes
///   [`FieldDigest::UNKNOWN`], and the field is asserted again unless a read shows that it is
///   right.
/// - Current asset: the lockfile's, as in a fresh clone. A newer one that no lockfile had yet is found
///   again by its file.
/// - Rollbacks: the lockfile's, if it has one. Removal: the lockfile's. Assets that were archived, or
///   are to be: those of either side, with the later times.
/// - Open work that neither the journal nor the history has is taken over: operations to poll,
///   creates in doubt to hold or retry, updates and rollbacks in doubt to look for, so that their
///   revisions aren't taken for somebody else's. An operation on metadata is not: later values may
///   have been set since, and its fields are asserted again.
/// - Possible duplicates: the union, without those that were forgotten with their address. An
///   upload in doubt here that another machine abandoned or resolved is closed here too.
/// - An archiving that only this state knows of an asset that the lockfile has is contradicted, and
///   looked at again: another machine restored it, or the lockfile is older.
/// - Number of creates of the same input that were abandoned in a row: the higher one.
pub fn import(recorded: &Recorded, ledger: &Ledger, now: Timestamp) -> Vec<Change> {
    let mut attempts: BTreeMap<&Address, Vec<(AttemptId, &Attempt)>> = BTreeMap::new();
    for (id, attempt) in &recorded.attempts {
        attempts.entry(&attempt.address).or_default().push((*id, attempt));
    }
    let mut next = recorded.next_attempt;
    let mut changes = Vec::new();
    // Whether another machine forgot the address, and all its possible duplicates with it.
    let forgotten_elsewhere = |address: &Address| {
        let ours = recorded.forgotten.get(address);
        let theirs = ledger.forgotten.get(address).into_iter().flat_map(Forgotten::iter);
        theirs.into_iter().any(|(asset_id, times)| ours.map_or(0, |ours| ours.times(asset_id)) < times)
    };
    let forgotten_elsewhere: BTreeSet<&Address> =
        ledger.forgotten.keys().filter(|address| forgotten_elsewhere(address)).collect();
    // The state without the assets that another machine forgot.
    let mut known = Cow::Borrowed(recorded);
    for change in forget(recorded, ledger, &mut changes) {
        // This can't fail: forgetting needs no record.
        let _ = known.to_mut().apply(&change, now);
        changes.push(change);
    }
    let recorded = known.as_ref();
    let archived: BTreeSet<AssetId> = archived(ledger).collect();
    let is_agreed = |asset_id: &&AssetId| archived.contains(*asset_id);
    let agreed = recorded.contradicted.iter().filter(is_agreed);
    changes.extend(agreed.map(|asset_id| Change::SetContradicted { asset_id: *asset_id, contradicted: false }));
    let mut heads: BTreeMap<AssetId, Vec<(&Address, &Record)>> = BTreeMap::new();
    for (address, record) in &recorded.assets {
        if let Some((head, _)) = record.head() {
            heads.entry(head.asset_id).or_default().push((address, record));
        }
    }
    for (address, entry) in &ledger.entries {
        let forgotten = recorded.forgotten.get(address);
        let Some(entry) = remembered(entry, forgotten) else { continue };
        let entry = entry.as_ref();
        let was_forgotten = forgotten_elsewhere.contains(address);
        let known = recorded.assets.get(address);
        let address_import = AddressImport { address, entry, known, heads: &heads, archived: &archived, was_forgotten };
        let under_way = attempts.get(address).map(Vec::as_slice).unwrap_or_default();
        let before = changes.len();
        address_import.import_facts(under_way, &mut changes);
        let mut open = Vec::new();
        for work in &entry.open {
            if address_import.take_over(work, under_way, &mut next, &mut changes) {
                open.push(work);
            }
        }
        changes.extend(address_import.count_in_doubt(&open));
        address_import.outdate(recorded, before, &mut changes);
    }
    for (address, record) in &recorded.assets {
        if record.in_lockfile == InLockfile::Yes && !ledger.entries.contains_key(address) {
            changes.push(Change::SetInLockfile { address: address.clone(), in_lockfile: InLockfile::No });
        }
        if !ledger.entries.contains_key(address) {
            changes.extend(relisted(address, &record.history, None));
        }
    }
    changes
}

/// Returns the lockfile's forgotten assets that the state doesn't know yet, and reports those that
/// the state loses.
fn forget(recorded: &Recorded, ledger: &Ledger, events: &mut Vec<Change>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (address, forgotten) in &ledger.forgotten {
        let known = recorded.forgotten.get(address);
        for (asset_id, times) in forgotten.iter() {
            if known.is_some_and(|known| known.times(asset_id) >= times) {
                continue;
            }
            changes.push(Change::ForgetAsset { address: address.clone(), asset_id, times });
            let history = recorded.assets.get(address).map(|record| &record.history);
            if history.is_some_and(|history| history.of_asset(asset_id).any(|(_, fact)| fact.era < times)) {
                let event = EventKind::ForgottenElsewhere(asset_id);
                events.push(Change::log(address, event));
            }
        }
    }
    changes
}

/// The assets that a lockfile has as archived.
fn archived(ledger: &Ledger) -> impl Iterator<Item = AssetId> {
    let all = ledger.entries.values().flat_map(|entry| &entry.retirements);
    all.filter(|(_, retirement)| retirement.archived_at.is_some()).map(|(asset_id, _)| *asset_id)
}

/// One address, as the lockfile and the state know it.
struct AddressImport<'a> {
    address: &'a Address,
    entry: &'a LockfileEntry,
    known: Option<&'a Record>,
    /// Every known record by its head asset.
    heads: &'a BTreeMap<AssetId, Vec<(&'a Address, &'a Record)>>,
    /// The assets that the lockfile has as archived, under any address.
    archived: &'a BTreeSet<AssetId>,
    /// Whether another machine forgot the address since the last time that this one read the
    /// lockfile.
    was_forgotten: bool,
}

impl AddressImport<'_> {
    /// The entry's identity, with the type and owner that Roblox confirmed where the entry has only
    /// what another tool claims of the same asset.
    fn confirmed_identity(&self) -> Cow<'_, Identity> {
        let Self { entry: LockfileEntry { identity, history, .. }, known, .. } = self;
        let claims = |known: &&&Record| {
            let is_known = |asset_id| known.history.of_asset(asset_id).any(|(_, fact)| !fact.is_claim());
            !history.is_empty() && history.iter().all(|(key, fact)| fact.is_claim() && is_known(key.asset_id))
        };
        match known.as_ref().filter(claims) {
            Some(known) => {
                let Kind { asset_type, creator } = known.identity.kind();
                Cow::Owned(Identity { asset_type, creator, ..identity.clone() })
            }
            None => Cow::Borrowed(identity),
        }
    }

    fn import_facts(&self, under_way: &[(AttemptId, &Attempt)], changes: &mut Vec<Change>) {
        let Self { address, entry, known, heads: _, archived: _, was_forgotten: _ } = self;
        let LockfileEntry { identity: _, history, asked, stored, current: _, pinned, retirements, removed, .. } = entry;
        let LockfileEntry { possible_duplicates, open, .. } = entry;
        let address = || (*address).clone();
        let identity = self.confirmed_identity();
        if known.is_none_or(|known| !known.identity.is_alike(&identity)) {
            changes.push(Change::SetIdentity { address: address(), identity: identity.into_owned() });
        }
        let joined = self.import_history(history, changes);
        self.import_in_use(&joined, changes);
        self.import_possible_duplicates(possible_duplicates, under_way, changes);

        let nothing = FieldDigests::new();
        let known_asked = known.map_or(&nothing, |known| &known.asked);
        let known_stored = known.map_or(&nothing, |known| &known.stored);
        let (mut fields, overruled) = self.join_asked(known_asked);
        self.mark_fields_unknown(&mut fields);
        for work in open.iter().filter(|work| !self.is_over(work) && !is_polled(work, under_way)) {
            if let Intent::UpdateMetadata { fields: in_progress, .. } = &work.intent {
                fields.extend(in_progress.keys().map(|field| (*field, FieldDigest::UNKNOWN)));
            }
        }
        let mut stored = join_stored(&fields, known_stored, stored);
        for field in overruled.keys() {
            // The stored form of the lockfile's value. A value that is unknown by now was left out.
            let newer = entry.stored.get(field).filter(|_| fields.get(field) == asked.get(field));
            match newer {
                Some(digest) => stored.insert(*field, *digest),
                None => stored.remove(field),
            };
        }
        if fields != *known_asked || stored != *known_stored {
            let still = overruled.into_iter().filter(|(field, _)| fields.get(field) == asked.get(field));
            let still: FieldDigests = still.collect();
            changes.push(Change::SetMetadata { address: address(), fields, stored });
            if !still.is_empty() {
                changes.push(Change::Overrule { address: address(), asked: still });
            }
        }
        for (asset_id, theirs) in retirements {
            let ours = known.and_then(|known| known.retirements.get(asset_id)).map(|ours| ours.in_seconds());
            let joined = ours.map_or(*theirs, |ours| ours.union(*theirs));
            if ours != Some(joined) {
                let retirement = Some(joined);
                changes.push(Change::SetRetirement { address: address(), asset_id: *asset_id, retirement });
            }
        }
        if pinned.is_some() && known.is_none_or(|known| *known.pinned != *pinned) {
            changes.push(Change::SetPinnedAt { address: address(), pinned: *pinned });
        }
        if known.is_some_and(|known| known.removed) != *removed {
            changes.push(Change::SetRemoved { address: address(), removed: *removed });
        }
        if known.is_none_or(|known| known.in_lockfile != InLockfile::Yes) {
            changes.push(Change::SetInLockfile { address: address(), in_lockfile: InLockfile::Yes });
        }
    }

    /// Merges the metadata of state and lockfile. Also returns the state's values of fields for
    /// which the lockfile has newer ones.
    fn join_asked(&self, known_asked: &FieldDigests) -> (FieldDigests, FieldDigests) {
        let (mut joined, mut overruled) = (known_asked.clone(), FieldDigests::new());
        for (field, digest) in &self.entry.asked {
            let Some(known) = joined.get_mut(field) else {
                joined.insert(*field, *digest);
                continue;
            };
            let was_known = |digest: &FieldDigest| {
                self.known.is_some_and(|record| record.asked_before.contains(&(*field, *digest)))
            };
            if known == digest {
                continue;
            }
            if *known == FieldDigest::UNKNOWN || *digest == FieldDigest::UNKNOWN || was_known(digest) {
                *known = FieldDigest::UNKNOWN;
                continue;
            }
            let earlier = self.known.and_then(|record| record.overruled.get(field).or(record.stored.get(field)));
            overruled.insert(*field, *earlier.unwrap_or(known));
            *known = *digest;
        }
        // The overruled values of fields that don't change now.
        let earlier = self.known.into_iter().flat_map(|record| record.overruled.iter());
        for (field, digest) in earlier {
            overruled.entry(*field).or_insert(*digest);
        }
        (joined, overruled)
    }

    /// Marks fields as unknown that were set meanwhile under another branch's name of the same
    /// asset. This happens only when the address comes back to this checkout; fields that it sets
    /// later are newer.
    fn mark_fields_unknown(&self, fields: &mut FieldDigests) {
        if self.known.is_some_and(|known| known.in_lockfile == InLockfile::Yes) {
            return;
        }
        let assets = self.entry.history.assets();
        let heads = assets.iter().filter_map(|asset_id| self.heads.get(asset_id)).flatten();
        for (_, other) in heads.filter(|(address, _)| *address != self.address) {
            for (field, digest) in fields.iter_mut() {
                if other.asked.get(field).is_some_and(|asked| asked != digest) {
                    *digest = FieldDigest::UNKNOWN;
                }
            }
        }
    }

    /// Marks earlier observations of the address's assets as outdated, if the lockfile brought any
    /// news about them. They decide nothing until the assets are read again. A lockfile has no
    /// times, so the order in which this state learned of both counts.
    fn outdate(&self, recorded: &Recorded, before: usize, changes: &mut Vec<Change>) {
        let is_news = |change: &Change| {
            matches!(
                change,
                Change::AddRevision { .. }
                    | Change::SetMetadata { .. }
                    | Change::SetRetirement { retirement: Some(Retirement { archived_at: Some(_), .. }), .. }
                    | Change::SetPinnedAt { .. }
                    | Change::SetCurrentAsset { .. }
            )
        };
        let back = self.known.map(|known| self.back(known)).unwrap_or_default();
        if !changes.iter().skip(before).any(is_news) && back.is_empty() {
            return;
        }
        let ours = self.known.map(|known| known.history.assets()).unwrap_or_default();
        let all = ours.union(&self.entry.history.assets()).copied().collect::<Vec<_>>();
        // An archiving that only lockfiles told is in question too, though the asset was never read.
        let is_seen = |asset_id: &AssetId| recorded.seen.contains_key(asset_id) || back.contains(asset_id);
        let seen = all.into_iter().filter(is_seen).filter(|asset_id| !recorded.outdated.contains(asset_id));
        changes.extend(seen.map(|asset_id| Change::MarkOutdated { asset_id }));
        let is_new =
            |asset_id: &AssetId| !self.archived.contains(asset_id) && !recorded.contradicted.contains(asset_id);
        let new = back.into_iter().filter(is_new);
        changes.extend(new.map(|asset_id| Change::SetContradicted { asset_id, contradicted: true }));
    }

    /// Returns the assets that are archived by what this state knows, and aren't by the lockfile:
    /// another machine restored them, or the lockfile is older.
    fn back(&self, known: &Record) -> BTreeSet<AssetId> {
        let has = |asset_id: AssetId| self.entry.history.of_asset(asset_id).next().is_some();
        let theirs = &self.entry.retirements;
        let is_archived = |asset_id: &AssetId| theirs.get(asset_id).is_some_and(|theirs| theirs.archived_at.is_some());
        let archived = known.retirements.iter().filter(|(_, retirement)| retirement.archived_at.is_some());
        let archived = archived.map(|(asset_id, _)| *asset_id);
        archived.filter(|asset_id| has(*asset_id) && !is_archived(asset_id)).collect()
    }

    /// Adds the lockfile's facts. Returns all that is known then.
    fn import_history(&self, theirs: &History, changes: &mut Vec<Change>) -> History {
        let nothing = History::new();
        let ours = self.known.map_or(&nothing, |known| &known.history);
        let mut joined = ours.clone();
        theirs.iter().for_each(|(key, fact)| joined.add(key, *fact));
        for (key, fact) in joined.iter() {
            if ours.get(key) != Some(fact) {
                changes.push(Change::AddRevision { address: self.address.clone(), key, fact: *fact });
            }
        }
        let relisted = relisted(self.address, ours, Some(theirs));
        for change in &relisted {
            if let Change::SetListing { asset_id, listing, .. } = change {
                joined.list(*asset_id, *listing);
            }
        }
        changes.extend(relisted);
        self.report_unused_assets(&joined, changes);
        joined
    }

    /// Points the address to the asset that the lockfile says. The usual address has one asset, and
    /// points to it once its file was seen.
    fn import_in_use(&self, joined: &History, changes: &mut Vec<Change>) {
        if self.entry.identity.asset_type.on_content_change() == ContentChange::InPlace {
            return;
        }
        let pointed = self.known.and_then(|known| known.points_to);
        if pointed.is_none() && joined.count() < 2 {
            return;
        }
        match self.entry.in_use() {
            Some(asset_id) if pointed != Some(asset_id) => {
                changes.push(Change::SetCurrentAsset { address: self.address.clone(), asset_id });
            }
            None if pointed.is_some() => changes.push(Change::Unpoint { address: self.address.clone() }),
            Some(_) | None => {}
        }
    }

    fn import_possible_duplicates(
        &self,
        theirs: &BTreeMap<UploadId, PossibleDuplicate>,
        under_way: &[(AttemptId, &Attempt)],
        changes: &mut Vec<Change>,
    ) {
        let nothing = BTreeMap::new();
        let ours = self.known.map_or(&nothing, |known| &known.possible_duplicates);
        for (upload, mut duplicate) in union_of_possible(ours, theirs) {
            // A person forgot it together with the address.
            duplicate.settled |= self.was_forgotten && !theirs.contains_key(&upload);
            if ours.get(&upload) != Some(&duplicate) {
                changes.push(Change::AddPossibleDuplicate { address: self.address.clone(), upload, duplicate });
            }
        }
        // The operation in the lockfile says more.
        let has_operation = |attempt: &Attempt| {
            self.entry.open.iter().any(|work| work.operation.is_some() && work.intent == attempt.intent)
        };
        let abandoned_creates = |attempt: &Attempt| {
            let waits = matches!(attempt.phase, Phase::InDoubt | Phase::Held) && !has_operation(attempt);
            waits && attempt.intent.upload().is_some_and(|upload| theirs.contains_key(&upload))
        };
        for (id, attempt) in under_way.iter().filter(|(_, attempt)| abandoned_creates(attempt)) {
            changes.push(Change::Advance { attempt: *id, event: PhaseEvent::Abandon });
            let is_settled = |upload| theirs.get(&upload).is_some_and(|duplicate| duplicate.settled);
            if !attempt.intent.upload().is_some_and(is_settled) {
                changes.push(self.event(EventKind::SentAgainElsewhere { sent_at: attempt.begun_at }));
            }
        }
    }

    /// Reports assets that this machine could use until now, and can't any more.
    fn report_unused_assets(&self, joined: &History, changes: &mut Vec<Change>) {
        let Some(known) = self.known else { return };
        let (before, now) = (known.identity.kind(), self.confirmed_identity().kind());
        if known.history.assets().len() < 2 && joined.assets().len() < 2 {
            return; // the usual case
        }
        let (were_duplicates, duplicates) = (known.history.duplicates(before), joined.duplicates(now));
        let was_used = |asset_id: AssetId| {
            let is_it = known.history.of_asset(asset_id).any(|(_, fact)| fact.kind == Some(before));
            is_it && !were_duplicates.contains(&asset_id)
        };
        for asset_id in known.history.assets().into_iter().filter(|asset_id| was_used(*asset_id)) {
            let of_kind = joined.of_asset(asset_id).any(|(_, fact)| fact.kind == Some(now));
            if !of_kind || duplicates.contains(&asset_id) {
                changes.push(self.event(EventKind::PassedOver { asset_id, other_kind: !of_kind }));
            }
        }
    }

    fn event(&self, event: EventKind) -> Change {
        Change::log(self.address, event)
    }
}
