//! What is known to a ledger: what another machine needs of it, and nothing of this checkout's own.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Ledger, OpenWork, without_made};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::history::History;
use crate::model::phase::{Intent, Phase};
use crate::model::recorded::{Attempt, Record, Recorded};

/// The lockfile of this checkout: every address that its manifest or its lockfile has and of which there is a fact.
///
/// What only the state knows (another branch) stays out.
pub fn export(remote: &str, recorded: &Recorded, in_manifest: &BTreeSet<Address>) -> Ledger {
    let entries = exported(recorded, in_manifest).map(|(address, entry)| (address.clone(), entry)).collect();
    Ledger { remote: remote.to_owned(), entries }
}

/// The entries of [`export`] in the order of their addresses, made one at a time: with [`save`](super::save) a large project is never in memory twice.
pub fn exported<'a>(
    recorded: &'a Recorded,
    in_manifest: &'a BTreeSet<Address>,
) -> impl Iterator<Item = (&'a Address, Entry)> {
    let mut open: BTreeMap<&Address, Vec<OpenWork>> = BTreeMap::new();
    for attempt in recorded.attempts.values() {
        if let Some(work) = open_work(attempt, recorded.assets.get(&attempt.address)) {
            open.entry(&attempt.address).or_default().push(work);
        }
    }
    recorded.assets.iter().filter_map(move |(address, record)| {
        let open = open.remove(address).unwrap_or_default();
        let ours = record.in_lockfile || in_manifest.contains(address);
        (ours && !(record.history.is_empty() && open.is_empty())).then(|| (address, entry(record, open)))
    })
}

fn entry(record: &Record, open: Vec<OpenWork>) -> Entry {
    // What is this checkout's own: where the address points, whether the lockfile had it, why it rests.
    let Record {
        identity,
        history,
        asked,
        stored,
        points_to: _,
        pinned,
        shelved,
        healed: _,
        removed,
        in_lockfile: _,
        trouble: _,
    } = record;
    let mut facts = History::new();
    history.iter().for_each(|(key, fact)| facts.add(key, without_made(*fact)));
    let mut entry = Entry {
        identity: identity.clone(),
        history: facts,
        asked: asked.clone(),
        stored: stored.clone(),
        pinned: *pinned,
        archived: shelved.iter().filter(|(_, at)| at.archived_at.is_some()).map(|(id, at)| (*id, at.why)).collect(),
        removed: *removed,
        open,
    };
    entry.normalize();
    entry
}

/// What another machine would have to go on with. What only concerns a known asset is settled there by looking at the remote, and metadata that are under
/// way are not asked for yet as far as the lockfile says, so that they are asserted there.
fn open_work(attempt: &Attempt, record: Option<&Record>) -> Option<OpenWork> {
    let operation = match (&attempt.phase, &attempt.intent) {
        (_, Intent::UpdateMetadata { .. }) => return None,
        (Phase::Submitted(operation), _) => Some(operation.clone()),
        (Phase::HandedOver | Phase::InDoubt, Intent::Create { .. }) => None,
        (Phase::Intended | Phase::HandedOver | Phase::InDoubt | Phase::Closed(_), _) => return None,
    };
    let doubts = match &attempt.intent {
        Intent::Create { .. } => record.map_or(0, |record| record.doubts(&attempt.intent)),
        Intent::UpdateContent { .. }
        | Intent::UpdateMetadata { .. }
        | Intent::Rollback { .. }
        | Intent::Archive { .. }
        | Intent::Restore { .. } => 0,
    };
    Some(OpenWork { intent: attempt.intent.clone(), operation, doubts })
}

/// What becomes known when the lockfile of [`export`] was written: which addresses it has.
pub fn locked(recorded: &Recorded, in_manifest: &BTreeSet<Address>) -> Vec<Change> {
    let written: BTreeSet<&Address> = exported(recorded, in_manifest).map(|(address, _)| address).collect();
    let changed = recorded.assets.iter().filter(|(address, record)| record.in_lockfile != written.contains(address));
    changed
        .map(|(address, record)| Change::Lock { address: address.clone(), in_lockfile: !record.in_lockfile })
        .collect()
}
