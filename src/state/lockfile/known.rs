//! The known addresses of a lockfile that nothing else is known beside, for a look that needs no
//! more of it.

use jiff::Timestamp;

use super::{Ledger, LockfileEntry, import};
use crate::model::recorded::{KnownAddresses, Recorded, Retirement};

/// Returns the addresses that would be known if a machine without a state read the lockfile.
pub(crate) fn known_addresses(ledger: &Ledger) -> KnownAddresses {
    let Ledger { remote, entries, forgotten } = ledger;
    let mut unusual = Ledger::new(remote.clone());
    let (mut all, mut here, mut elsewhere, mut with_quota) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (address, entry) in entries {
        // Every field has a say here, or none.
        let LockfileEntry {
            identity,
            history,
            asked: _,
            stored: _,
            current: _,
            pinned: _,
            retirements,
            removed,
            possible_duplicates,
            open,
        } = entry;
        if !open.is_empty() || forgotten.contains_key(address) {
            unusual.entries.insert(address.clone(), entry.clone());
            unusual.forgotten.extend(forgotten.get(address).map(|times| (address.clone(), times.clone())));
            continue;
        }
        all.push(address.clone());
        if identity.asset_type.has_upload_quota() {
            with_quota.extend(history.contents());
        }
        if *removed {
            continue;
        }
        here.push(address.clone());
        let has_something = !history.is_empty() || !possible_duplicates.is_empty();
        if has_something && !retirements.values().any(Retirement::is_by_hand) {
            elsewhere.push((address.clone(), identity.path.clone()));
        }
    }
    // What becomes of these takes the whole reading; one address has no say in another's.
    let mut others = Recorded::default();
    let epoch = Timestamp::UNIX_EPOCH;
    // They fit: nothing is known yet.
    import(&others, &unusual, epoch).iter().for_each(|change| drop(others.apply(change, epoch)));
    let others = others.addresses();
    KnownAddresses {
        all: all.into_iter().chain(others.all).collect(),
        here: here.into_iter().chain(others.here).collect(),
        from_elsewhere: elsewhere.into_iter().chain(others.from_elsewhere).collect(),
        with_quota: with_quota.into_iter().chain(others.with_quota).collect(),
    }
}
