//! A ledger to what becomes known by reading it: a union, so that an older lockfile takes nothing
//! away.
//!
//! Where state and lockfile can't both be right, the lockfile is: it is what the other machines
//! have. Reading it twice changes nothing more.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::export::relisted;
use super::merge::union_of_possible;
use super::{Ledger, LockfileEntry, OpenWork};
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::change::{Change, Event};
use crate::model::digest::FieldDigest;
use crate::model::forgotten::Forgotten;
use crate::model::history::{History, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Blocked, PossibleDuplicate, Record, Recorded, Retirement};

/// What becomes known by reading a lockfile. Call it after the journal was recovered, so that no
/// attempt of a dead process still looks alive.
///
/// - Facts: the union. Which asset counts among equals is the lockfile's choice, each time it is
///   read; what is passed over for it is told with an event.
/// - Forgotten: what either side forgot is forgotten here too, and what the lockfile still says of
///   it is left out.
/// - Identity: the lockfile's. Assets of another type or creator stay in the history and aren't
///   used.
/// - Metadata: a field that only one side knows is taken. Where they differ and this state never
///   heard of the lockfile's value, that is newer and counts; until somebody looked, Roblox may
///   still have what was known before. Otherwise the lockfile may be an older one: what Roblox has
///   is [`FieldDigest::UNKNOWN`], and the field is asserted anew unless a look shows that it is as
///   it should be.
/// - Where the address points: where the lockfile knows the address otherwise than the state, it
///   and the file tell, as in a fresh clone.
/// - Rollbacks: the lockfile's, if it has one. Removal: the lockfile's. Archived: what either side
///   archived; since when is not known, so it is `now`.
/// - Open work that neither the journal nor the history knows is taken over: operations to be
///   polled, creates in doubt to be held or retried. An operation on metadata is not: by now
///   something later may have been asked for, and its fields are asserted anew.
/// - Possible duplicates: the union, without what was forgotten with its address. An upload in
///   doubt here that another machine gave up or settled is over here too.
/// - How often in a row a create was given up: the higher count of the two.
pub fn import(recorded: &Recorded, ledger: &Ledger, now: Timestamp) -> Vec<Change> {
    let mut attempts: BTreeMap<&Address, Vec<(AttemptId, &Attempt)>> = BTreeMap::new();
    for (id, attempt) in &recorded.attempts {
        attempts.entry(&attempt.address).or_default().push((*id, attempt));
    }
    let mut next = recorded.next_attempt;
    let mut changes = Vec::new();
    // An address that another machine forgot, with all that was suspected of it by then.
    let forgotten_elsewhere = |address: &Address| {
        let ours = recorded.forgotten.get(address);
        let theirs = ledger.forgotten.get(address).into_iter().flat_map(Forgotten::iter);
        theirs.into_iter().any(|(asset_id, times)| ours.map_or(0, |ours| ours.times(asset_id)) < times)
    };
    let forgotten_elsewhere: BTreeSet<&Address> =
        ledger.forgotten.keys().filter(|address| forgotten_elsewhere(address)).collect();
    // What is known before anything else is: the state without what another machine forgot.
    let mut known = Cow::Borrowed(recorded);
    for change in forget(recorded, ledger, &mut changes) {
        // It fits: forgetting needs no record.
        let _ = known.to_mut().apply(&change, now);
        changes.push(change);
    }
    let recorded = known.as_ref();
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
        let meeting = Meeting { address, entry, known: recorded.assets.get(address), heads: &heads, was_forgotten };
        let under_way = attempts.get(address).map(Vec::as_slice).unwrap_or_default();
        let before = changes.len();
        meeting.learn(under_way, &mut changes, now);
        let mut open = Vec::new();
        for work in &entry.open {
            if meeting.take_over(work, under_way, &mut next, &mut changes) {
                open.push(work);
            }
        }
        changes.extend(meeting.count_in_doubt(&open));
        meeting.outdate(recorded, before, &mut changes);
    }
    for (address, record) in &recorded.assets {
        if record.in_lockfile && !ledger.entries.contains_key(address) {
            changes.push(Change::SetInLockfile { address: address.clone(), in_lockfile: false });
        }
        if !ledger.entries.contains_key(address) {
            changes.extend(relisted(address, &record.history, None));
        }
    }
    changes
}

/// What the lockfile says was forgotten, as far as the state doesn't know it; tells of what that
/// takes from the state.
fn forget(recorded: &Recorded, ledger: &Ledger, told: &mut Vec<Change>) -> Vec<Change> {
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
                let message = format!("asset {asset_id} was forgotten on another machine, and is forgotten here too");
                let event = Event { kind: "forgotten", message };
                told.push(Change::LogEvent { address: Some(address.clone()), event });
            }
        }
    }
    changes
}

/// What is left of an entry without what was forgotten; `None`: nothing.
pub(super) fn remembered<'a>(
    entry: &'a LockfileEntry,
    forgotten: Option<&Forgotten>,
) -> Option<Cow<'a, LockfileEntry>> {
    let Some(forgotten) = forgotten else { return Some(Cow::Borrowed(entry)) };
    let mut history = entry.history.clone();
    if !history.forget(forgotten) {
        return Some(Cow::Borrowed(entry));
    }
    if history.is_empty() && entry.open.is_empty() && entry.possible_duplicates.is_empty() {
        return None;
    }
    let has = |asset_id: &AssetId| history.of_asset(*asset_id).next().is_some();
    let archived = entry.archived.iter().filter(|(asset_id, _)| has(asset_id)).map(|(id, why)| (*id, *why)).collect();
    let pinned = entry.pinned.filter(|pinned| has(&pinned.at.asset_id));
    let unlisted: Vec<AssetId> = history.listings().map(|(asset_id, _)| asset_id).filter(|id| !has(id)).collect();
    unlisted.into_iter().for_each(|asset_id| history.list(asset_id, None));
    Some(Cow::Owned(LockfileEntry { history, archived, pinned, ..entry.clone() }))
}

/// One address, as the lockfile and the state know it.
struct Meeting<'a> {
    address: &'a Address,
    entry: &'a LockfileEntry,
    known: Option<&'a Record>,
    /// Every known record by the asset that is its head.
    heads: &'a BTreeMap<AssetId, Vec<(&'a Address, &'a Record)>>,
    /// Another machine forgot it since this one read of it last.
    was_forgotten: bool,
}

impl Meeting<'_> {
    fn learn(&self, under_way: &[(AttemptId, &Attempt)], changes: &mut Vec<Change>, now: Timestamp) {
        let Self { address, entry, known, heads: _, was_forgotten: _ } = self;
        let LockfileEntry { identity, history, asked, stored, pinned, archived, removed, possible_duplicates, open } =
            entry;
        let address = || (*address).clone();
        if known.is_none_or(|known| known.identity != *identity) {
            changes.push(Change::SetIdentity { address: address(), identity: identity.clone() });
        }
        self.learn_history(history, changes);
        self.learn_possible_duplicates(possible_duplicates, under_way, changes);

        let nothing = FieldDigests::new();
        let known_asked = known.map_or(&nothing, |known| &known.asked);
        let known_stored = known.map_or(&nothing, |known| &known.stored);
        let (mut fields, overruled) = self.join_asked(known_asked);
        self.doubt_what_was_asked_elsewhere(&mut fields);
        for work in open.iter().filter(|work| !self.is_over(work) && !is_polled(work, under_way)) {
            if let Intent::UpdateMetadata { fields: in_progress, .. } = &work.intent {
                fields.extend(in_progress.keys().map(|field| (*field, FieldDigest::UNKNOWN)));
            }
        }
        let mut stored = join_stored(&fields, known_stored, stored);
        for field in overruled.keys() {
            // What the lockfile's value was stored as; what is unknown by now was left out.
            let newer = entry.stored.get(field).filter(|_| fields.get(field) == asked.get(field));
            match newer {
                Some(digest) => stored.insert(*field, *digest),
                None => stored.remove(field),
            };
        }
        let points_elsewhere = known.is_some_and(|known| {
            let in_place = identity.asset_type.on_content_change() == ContentChange::InPlace;
            !in_place && known.points_to.is_some() && !self.is_known_as(known)
        });
        if points_elsewhere {
            changes.push(Change::Unpoint { address: address() });
        }
        if fields != *known_asked || stored != *known_stored {
            let still = overruled.into_iter().filter(|(field, _)| fields.get(field) == asked.get(field));
            let still: FieldDigests = still.collect();
            changes.push(Change::SetMetadata { address: address(), fields, stored });
            if !still.is_empty() {
                changes.push(Change::Overrule { address: address(), asked: still });
            }
        }
        for (asset_id, why) in archived {
            let retirements = known.and_then(|known| known.retirements.get(asset_id)).copied();
            if retirements.is_none_or(|retirements| retirements.archived_at.is_none()) {
                let since = retirements.map_or(now, |retirements| retirements.since);
                let retirements = Some(Retirement { why: *why, since, archived_at: Some(now) });
                changes.push(Change::SetRetirement { address: address(), asset_id: *asset_id, retirements });
            }
        }
        if pinned.is_some() && known.is_none_or(|known| known.pinned != *pinned) {
            changes.push(Change::SetPinnedAt { address: address(), pinned: *pinned });
        }
        if known.is_some_and(|known| known.removed) != *removed {
            changes.push(Change::SetRemoved { address: address(), removed: *removed });
        }
        if !known.is_some_and(|known| known.in_lockfile) {
            changes.push(Change::SetInLockfile { address: address(), in_lockfile: true });
        }
    }

    /// What state and lockfile know together of the metadata, and what the state knew of fields of
    /// which the lockfile knows something newer.
    fn join_asked(&self, known_asked: &FieldDigests) -> (FieldDigests, FieldDigests) {
        let (mut joined, mut overruled) = (known_asked.clone(), FieldDigests::new());
        for (field, digest) in &self.entry.asked {
            let Some(known) = joined.get_mut(field) else {
                joined.insert(*field, *digest);
                continue;
            };
            let heard = |digest: &FieldDigest| {
                self.known.is_some_and(|record| record.asked_before.contains(&(*field, *digest)))
            };
            if known == digest {
                continue;
            }
            if *known == FieldDigest::UNKNOWN || *digest == FieldDigest::UNKNOWN || heard(digest) {
                *known = FieldDigest::UNKNOWN;
                continue;
            }
            let earlier = self.known.and_then(|record| record.overruled.get(field).or(record.stored.get(field)));
            overruled.insert(*field, *earlier.unwrap_or(known));
            *known = *digest;
        }
        // Of fields that stay as they are.
        let earlier = self.known.into_iter().flat_map(|record| &record.overruled);
        for (field, digest) in earlier {
            overruled.entry(*field).or_insert(*digest);
        }
        (joined, overruled)
    }

    /// Whether the lockfile has the same assets and metadata of the address as the state.
    fn is_known_as(&self, known: &Record) -> bool {
        let LockfileEntry { history, asked, .. } = self.entry;
        let same = |(key, fact): (RevisionKey, &RevisionFact)| {
            known.history.get(key).is_some_and(|known| known.content == fact.content)
        };
        let count = |history: &History| history.iter().count();
        *asked == known.asked && count(history) == count(&known.history) && history.iter().all(same)
    }

    /// Under another name, that of another branch, something else was asked of its asset in the
    /// meantime. Only where the address comes back to this checkout: what it asks from then on
    /// is newer.
    fn doubt_what_was_asked_elsewhere(&self, fields: &mut FieldDigests) {
        if self.known.is_some_and(|known| known.in_lockfile) {
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

    /// What was seen of its assets before the lockfile told anything new of them is older than
    /// that, and decides nothing until they are looked at again: a lockfile has no times, so
    /// the order in which this state learned of both is what counts.
    fn outdate(&self, recorded: &Recorded, before: usize, changes: &mut Vec<Change>) {
        let is_news = |change: &Change| {
            matches!(
                change,
                Change::AddRevision { .. }
                    | Change::SetMetadata { .. }
                    | Change::SetRetirement { .. }
                    | Change::SetPinnedAt { .. }
            )
        };
        if !changes.iter().skip(before).any(is_news) {
            return;
        }
        let ours = self.known.map(|known| known.history.assets()).unwrap_or_default();
        let all = ours.union(&self.entry.history.assets()).copied().collect::<Vec<_>>();
        let seen = all.into_iter().filter(|asset_id| recorded.seen.contains_key(asset_id));
        changes.extend(seen.map(|asset_id| Change::MarkOutdated { asset_id }));
    }

    fn learn_history(&self, theirs: &History, changes: &mut Vec<Change>) {
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
        self.tell_passed_over(&joined, changes);
    }

    fn learn_possible_duplicates(
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
        // Where the lockfile has its operation, that tells more.
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
                let at = attempt.begun_at;
                let message = format!(
                    "the lockfile says that the upload of {at} was sent again, since its answer was lost; it may exist twice"
                );
                changes.push(self.tell(Event::POSSIBLE_DUPLICATE, message));
            }
        }
    }

    /// Whether it is known of an upload what came of it, or that something newer took its place:
    /// without its operation there is nothing left to do.
    fn is_accounted_for(&self, work: &OpenWork) -> bool {
        let Some(upload) = work.intent.upload() else { return false };
        let ours = self.known.and_then(|known| known.possible_duplicates.get(&upload));
        let known = ours.into_iter().chain(self.entry.possible_duplicates.get(&upload));
        known.into_iter().any(|duplicate| duplicate.settled || work.operation.is_none())
    }

    /// Tells of assets that this machine could use until now, and can't any more.
    fn tell_passed_over(&self, joined: &History, changes: &mut Vec<Change>) {
        let Some(known) = self.known else { return };
        let (before, now) = (known.identity.kind(), self.entry.identity.kind());
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
            let why = match (of_kind, duplicates.contains(&asset_id)) {
                (false, _) => "the lockfile has another type or owner here",
                (true, true) => "the lockfile has another asset for it",
                (true, false) => continue,
            };
            changes.push(self.tell(Event::DUPLICATE_ASSET, format!("asset {asset_id} isn't used: {why}")));
        }
    }

    /// Takes over one piece of open work; whether it is open here too from now on.
    fn take_over(
        &self,
        work: &OpenWork,
        under_way: &[(AttemptId, &Attempt)],
        next: &mut u64,
        changes: &mut Vec<Change>,
    ) -> bool {
        let OpenWork { intent, operation, set_aside, doubts: _ } = work;
        if matches!(intent, Intent::UpdateMetadata { .. }) {
            return is_polled(work, under_way);
        }
        if self.is_accounted_for(work) {
            return false;
        }
        let ours = self.known.is_some_and(|known| is_settled(intent, &known.history, &known.asked));
        let theirs = is_settled(intent, &self.entry.history, &self.entry.asked);
        let same = under_way.iter().find(|(_, attempt)| attempt.intent == *intent);
        let mut events = match operation {
            Some(operation) => {
                let known = is_polled(work, under_way);
                // Where the lockfile has both the content and the operation, two branches were merged and the
                // operation makes another asset: it is polled, so that its ID is not lost. Where
                // only the state has the content, the lockfile is older than the operation's end.
                if known || (ours && !theirs) {
                    return known;
                }
                vec![PhaseEvent::Accept(operation.clone())]
            }
            None if same.is_some() => return true,
            None if ours => return false,
            // Two branches were merged: one has the asset, and of the other's upload nobody knows whether it made
            // another.
            None if theirs => {
                if let (Some(upload), Some(content)) = (intent.upload(), intent.content()) {
                    let duplicate = PossibleDuplicate { content, settled: false };
                    changes.push(Change::AddPossibleDuplicate { address: self.address.clone(), upload, duplicate });
                }
                return false;
            }
            None => vec![if *set_aside { PhaseEvent::Hold } else { PhaseEvent::Doubt }],
        };
        if *set_aside && operation.is_some() {
            events.push(PhaseEvent::SetAside);
        }
        let attempt = match same {
            // The same work, whose answer was lost here but not there.
            Some((attempt, known)) if matches!(known.phase, Phase::InDoubt | Phase::Held) => *attempt,
            // It is in this process's hands.
            Some(_) => return true,
            None => {
                let attempt = AttemptId(*next);
                *next += 1;
                changes.push(Change::Begin { attempt, address: self.address.clone(), intent: intent.clone() });
                changes.push(Change::TakeOver { attempt });
                changes.push(Change::Advance { attempt, event: PhaseEvent::HandOver });
                attempt
            }
        };
        changes.extend(events.into_iter().map(|event| Change::Advance { attempt, event }));
        true
    }

    /// Whether either side shows that some work was carried out.
    fn is_over(&self, work: &OpenWork) -> bool {
        let LockfileEntry { history, asked, .. } = self.entry;
        let ours = self.known.is_some_and(|known| is_settled(&work.intent, &known.history, &known.asked));
        ours || is_settled(&work.intent, history, asked)
    }

    /// An address has one count: that of the work that was given up most often, wherever it is
    /// higher than what is counted here.
    fn count_in_doubt(&self, open: &[&OpenWork]) -> Option<Change> {
        // Of equals the first in their order, so that reading twice changes nothing more.
        let most = open.iter().rev().max_by_key(|work| work.doubts)?;
        let input_digest = most.intent.input_digest();
        let blocked = self.known.and_then(|known| known.blocked.as_ref());
        let (counted, (failures, next_at, message)) = match blocked {
            Some(Blocked::Retrying { input_digest: same, failures, doubts, next_at, message })
                if *same == input_digest =>
            {
                (*doubts, (*failures, *next_at, message.clone()))
            }
            Some(Blocked::Retrying { doubts, .. }) => (*doubts, self.elsewhere(most)),
            // A refusal that is forgotten costs one request; a count that is forgotten, an asset that nobody knows.
            Some(Blocked::Refused { .. }) | None => (0, self.elsewhere(most)),
        };
        let blocked = Blocked::Retrying { input_digest, failures, doubts: most.doubts, next_at, message };
        (most.doubts > counted).then(|| Change::SetBlocked { address: self.address.clone(), blocked: Some(blocked) })
    }

    /// What is known of failures that another machine counted: it is due again, for their rests are
    /// long over.
    fn elsewhere(&self, work: &OpenWork) -> (u32, Timestamp, String) {
        let message = format!("its create had no known outcome {} times on another machine", work.doubts);
        (work.doubts, Timestamp::UNIX_EPOCH, message)
    }

    fn tell(&self, kind: &'static str, message: String) -> Change {
        Change::LogEvent { address: Some(self.address.clone()), event: Event { kind, message } }
    }
}

/// Whether this machine polls an operation already.
fn is_polled(work: &OpenWork, under_way: &[(AttemptId, &Attempt)]) -> bool {
    let polls = |attempt: &Attempt| match &attempt.phase {
        Phase::Submitted(operation) | Phase::SetAside(operation) => work.operation.as_ref() == Some(operation),
        Phase::Intended | Phase::HandedOver | Phase::InDoubt | Phase::Held | Phase::Closed(_) => false,
    };
    under_way.iter().any(|(_, attempt)| polls(attempt))
}

/// Whether the facts show that some work was carried out.
fn is_settled(intent: &Intent, history: &History, asked: &FieldDigests) -> bool {
    match intent {
        Intent::Create { content, .. } => {
            history.iter().any(|(_, fact)| fact.content == Some(*content) && fact.state != RevisionState::Gone)
        }
        Intent::UpdateContent { asset_id, content, head } => history
            .iter()
            .any(|(key, fact)| key.asset_id == *asset_id && fact.content == Some(*content) && key.version > *head),
        Intent::UpdateMetadata { asset_id: _, fields } => {
            fields.iter().all(|(field, digest)| asked.get(field) == Some(digest))
        }
        // Roblox answers these at once, without an operation.
        Intent::Rollback { .. } | Intent::Archive { .. } | Intent::Restore { .. } => false,
    }
}

/// What two writers know together of what Roblox stored in place of what was asked: of fields whose
/// value is known, the least where they differ.
pub(super) fn join_stored(asked: &FieldDigests, a: &FieldDigests, b: &FieldDigests) -> FieldDigests {
    let known = asked.iter().filter(|(_, digest)| **digest != FieldDigest::UNKNOWN);
    known
        .filter_map(|(field, _)| {
            let digests = [a.get(field), b.get(field)];
            Some((*field, *digests.into_iter().flatten().min()?))
        })
        .collect()
}
