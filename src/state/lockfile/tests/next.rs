//! A text made from the one before is the text that is made of everything.

use super::*;
use crate::model::steps::steps_of;
use crate::state::lockfile::loss::EntryChange;

/// Returns the text after `changed`, made from `previous`; `None` if that isn't possible.
fn next(previous: &Ledger, changed: &BTreeMap<Address, Option<LockfileEntry>>) -> Option<NextText> {
    let text = text_of(previous).into_bytes();
    let pieces = LockfileText::of(&text, REMOTE, &previous.forgotten)?.with(changed)?;
    Some(NextText::of(text, pieces))
}

fn bytes_of(text: &NextText) -> String {
    String::from_utf8(text.parts().flatten().copied().collect()).unwrap()
}

fn apply_to(previous: &Ledger, changed: &BTreeMap<Address, Option<LockfileEntry>>) -> Ledger {
    let mut after = previous.clone();
    for (address, entry) in changed {
        match entry {
            Some(entry) => after.entries.insert(address.clone(), entry.clone()),
            None => after.entries.remove(address),
        };
    }
    after
}

prop_compose! {
    /// A ledger of several addresses, and other entries for some of them and for others.
    fn any_change()(
        ledger in any_ledger(),
        more in prop::collection::btree_map("[a-e\"\\\\\u{e9}. /]{1,3}", any_entry(), 0..6),
        changed in prop::collection::btree_map("[a-c\"\\\\\u{e9}. /]{1,3}", prop::option::of(any_entry()), 0..4),
        which in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any_entry())), 0..3),
    ) -> (Ledger, BTreeMap<Address, Option<LockfileEntry>>) {
        let mut ledger = ledger;
        ledger.entries.extend(more.into_iter().map(|(text, entry)| (address(&text), entry)));
        let mut changed: BTreeMap<Address, Option<LockfileEntry>> =
            changed.into_iter().map(|(text, entry)| (address(&text), entry)).collect();
        let known: Vec<Address> = ledger.entries.keys().cloned().collect();
        if !known.is_empty() {
            changed.extend(which.into_iter().map(|(at, entry)| (at.get(&known).clone(), entry)));
        }
        (ledger, changed)
    }
}

proptest! {
    #[test]
    fn a_text_from_the_one_before_is_the_text_of_everything((ledger, changed) in any_change()) {
        let after = apply_to(&ledger, &changed);
        let made = next(&ledger, &changed).unwrap();
        prop_assert_eq!(bytes_of(&made), text_of(&after));
        prop_assert_eq!(made.is_unchanged(), ledger == after);
        prop_assert_eq!(made.fingerprint(), fingerprint(text_of(&after).as_bytes()));
        prop_assert_eq!(made.length(), text_of(&after).len() as u64);
        let streamed = fingerprint_of(REMOTE, &after.entries, &after.forgotten);
        prop_assert_eq!(streamed, made.fingerprint());
    }

    #[test]
    fn each_entry_is_found_in_the_text((ledger, changed) in any_change()) {
        let text = text_of(&ledger);
        let found = LockfileText::of(text.as_bytes(), REMOTE, &ledger.forgotten).unwrap();
        for address in ledger.entries.keys().chain(changed.keys()) {
            let entry = found.entry(address).unwrap();
            prop_assert_eq!(entry.as_ref(), ledger.entries.get(address));
        }
    }

    /// The digests after a change are those of the whole ledger, and a revision that is missing is
    /// noticed.
    #[test]
    fn digests_follow_a_change((ledger, changed) in any_change()) {
        let after = apply_to(&ledger, &changed);
        let changes: Vec<EntryChange<'_>> = changed.iter().map(|(address, after)| {
            EntryChange { address, before: ledger.entries.get(address), after: after.as_ref() }
        }).collect();
        let (before, all) = (Digests::of(&ledger), Digests::of(&after));
        match before.with(&changes) {
            Some(digests) => prop_assert_eq!(digests, all),
            None => prop_assert!(!before.are_in(&all)),
        }
    }

    /// Whatever a text is cut to or git makes of it, nothing is made from it that isn't a lockfile's
    /// text with these entries.
    #[test]
    fn a_text_that_is_not_as_written_is_not_used(ledger in any_ledger(), at in any::<prop::sample::Index>()) {
        let text = text_of(&ledger);
        let of = |text: &str| LockfileText::of(text.as_bytes(), REMOTE, &ledger.forgotten).is_some();
        prop_assert!(of(&text));
        let line = at.index(text.matches('\n').count());
        let (end, _) = text.match_indices('\n').nth(line).unwrap();
        prop_assert!(!of(&format!("{}\r{}", &text[..end], &text[end..])), "one line end of Windows");
        prop_assert!(!of(&text[..text.len() - 1]), "cut off");
        prop_assert!(LockfileText::of(text.as_bytes(), "https://other", &ledger.forgotten).is_none());
        let mut forgotten = ledger.forgotten.clone();
        if forgotten.pop_first().is_some() {
            prop_assert!(LockfileText::of(text.as_bytes(), REMOTE, &forgotten).is_none(), "more was forgotten");
        }
    }
}

#[test]
fn one_entry_of_many_is_found_without_a_look_at_the_others() {
    let entries = (0..4096).map(|number| (address(&format!("ui/{number:04}.png")), image("a.png", &[(number + 1, 1)])));
    let ledger = Ledger { entries: entries.collect(), ..Ledger::new(REMOTE.to_owned()) };
    let changed = BTreeMap::from([(address("ui/0815.png"), Some(image("a.png", &[(816, 1), (9999, 2)])))]);
    let text = text_of(&ledger).into_bytes();
    let found = LockfileText::of(&text, REMOTE, &ledger.forgotten).unwrap();
    let mut part = None;
    let steps = steps_of(|| part = found.find(&address("ui/0815.png")));
    assert!(steps <= 13, "{steps} entries were looked at");
    assert!(part.unwrap().is_ok());
    assert_eq!(bytes_of(&next(&ledger, &changed).unwrap()), text_of(&apply_to(&ledger, &changed)));
}

/// Only the entries that changed are made anew from what is recorded.
#[test]
fn entries_of_some_addresses_are_those_of_the_whole_lockfile() {
    let cost = |count: u64| {
        let image = |number| (address(&format!("{number}.png")), image("a.png", &[(number, 1)]));
        let ledger = Ledger { entries: (1..=count).map(image).collect(), ..Ledger::new(REMOTE.to_owned()) };
        let recorded = imported(&ledger);
        let all = export(REMOTE, &recorded, &BTreeSet::new());
        let some = BTreeSet::from([address("7.png"), address("no.png")]);
        let mut found = BTreeMap::new();
        let steps = steps_of(|| found = entries_of(&recorded, &some, |_, _| false));
        let wanted = [(address("7.png"), all.entries.get(&address("7.png")).cloned()), (address("no.png"), None)];
        assert_eq!(found, BTreeMap::from(wanted));
        assert_eq!(locked_of(&recorded, &found), locked(&recorded, &BTreeSet::new()));
        steps
    };
    assert_eq!(cost(10), cost(100));
}
