//! The cost of reading, merging and writing a lockfile, in visited revisions. A stranger's pull
//! request may bring a lockfile that was made to be slow.

use super::*;
use crate::model::steps::grows_with_its_input;

/// Returns one address with `count` assets, all with the same bytes or each with its own. The
/// newest comes first, which is not Macadam's order.
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

/// Returns `count` versions of one Model.
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
fn the_cost_of_a_lockfile_grows_with_its_length() {
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
            let theirs = parse_text(&text_of(&ours)).unwrap();
            let merged = merge(None, &ours, &theirs).unwrap();
            let mut recorded = imported(&merged);
            import_into(&mut recorded, &ours);
            export(REMOTE, &recorded, &BTreeSet::new());
            for record in recorded.assets.values() {
                record.history.duplicates(record.identity.kind());
                let numbers = record.history.numbers();
                assert!(record.history.in_order().iter().all(|(key, _)| numbers.of(*key) > 0));
            }
        });
    }
}

/// The answer for all assets equals the answer for each.
#[test]
fn reading_many_assets_gives_the_same_answer_as_reading_each() {
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
