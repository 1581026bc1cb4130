//! What reading, merging and writing a lockfile cost, in revisions that are looked at: one that
//! somebody made to be slow is a stranger's pull request.

use super::*;
use crate::model::steps::grows_with_its_input;

/// One address with so many assets, each with bytes of its own, or all with the same; the newest
/// first, as nobody writes them.
fn many(count: u64, same_bytes: bool, listing: Listing) -> LockfileEntry {
    let mut entry = LockfileEntry::new(identity(AssetType::Image, "a.png"));
    for number in (1..=count).rev() {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(if same_bytes { 0 } else { number }).to_be_bytes());
        let content = Some(ContentHash::from_bytes(bytes));
        entry.history.add(key(number, 0), RevisionFact { content, ordinal: number as u32, ..fact(0) });
        entry.history.list(id(number), Some(listing));
    }
    entry
}

/// So many versions of one Model.
fn model(count: u64) -> LockfileEntry {
    let mut entry = LockfileEntry::new(identity(AssetType::Model, "a.fbx"));
    let kind = Some(entry.identity.kind());
    for version in (1..=count).rev() {
        entry.history.add(key(7, version), RevisionFact { kind, ..fact(0) });
        entry.history.list(id(7), Some(Listing::Listed));
    }
    entry
}

#[test]
fn a_lockfile_costs_what_its_length_costs() {
    type Make = fn(u64) -> Ledger;
    let table: [(&str, Make); 5] = [
        ("revisions", |count| ledger([("a", many(count, false, Listing::Listed))])),
        ("assets for the same bytes", |count| ledger([("a", many(count, true, Listing::Listed))])),
        ("duplicates", |count| ledger([("a", many(count, true, Listing::Duplicate))])),
        ("versions", |count| ledger([("a", model(count))])),
        ("addresses", |count| {
            let mut ledger = ledger([]);
            for number in 1..=count {
                let entry = image(&format!("{number}.png"), &[(number, 1)]);
                ledger.entries.insert(address(&number.to_string()), entry);
            }
            ledger
        }),
    ];
    for (what, make) in table {
        grows_with_its_input(what, |count| {
            let ours = make(count);
            let theirs = read_back(&text_of(&ours)).unwrap();
            let merged = merge(None, &ours, &theirs).unwrap();
            let mut recorded = imported(&merged);
            take_in(&mut recorded, &ours);
            export(REMOTE, &recorded, &BTreeSet::new());
            for record in recorded.assets.values() {
                record.history.duplicates(record.identity.kind());
                let numbers = record.history.numbers();
                assert!(record.history.in_order().iter().all(|(key, _)| numbers.of(*key) > 0));
            }
        });
    }
}

/// The answer for all is that for each.
#[test]
fn what_is_told_of_many_is_what_is_told_of_each() {
    for listing in [Listing::Listed, Listing::Duplicate] {
        for entry in [many(40, true, listing), many(40, false, listing), model(40)] {
            let (mut history, kind) = (entry.history, entry.identity.kind());
            history.list(id(3), None);
            history.list(id(5), Some(Listing::Listed));
            let all = history.duplicates(kind);
            let each = history.assets().into_iter().filter(|asset| history.is_duplicate(*asset, kind));
            assert_eq!(all, each.collect());
            for (content, key) in history.by_content(kind) {
                assert_eq!(history.find_content(content, kind).unwrap().0, key);
            }
            let numbers = history.numbers();
            assert!(history.iter().all(|(key, _)| numbers.of(key) == history.number(key)));
        }
    }
}
