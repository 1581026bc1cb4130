//! Tests of the lockfile's laws: text and ledger, state and ledger, two branches.

mod as_written;
mod cost;
mod next;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::asset::{AssetType, Privacy};
use crate::model::change::Change;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::desired::Pin;
use crate::model::digest::FieldDigest;
use crate::model::history::{Kind, Listing, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Creator, GroupId, Revision, UploadId, UserId};
use crate::model::metadata::{Field, SocialNetwork};
use crate::model::path::ProjectPath;
use crate::model::phase::{Phase, PhaseEvent};
use crate::model::recorded::{AttemptId, PossibleDuplicate, Recorded, RetireReason, Retirement};
use crate::model::remote::RemoteAsset;
use crate::platform::own_file::Access;

const REMOTE: &str = "https://apis.roblox.com";

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn id(number: u64) -> AssetId {
    AssetId::new(number).unwrap()
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn key(asset: u64, version: u64) -> RevisionKey {
    RevisionKey { asset_id: id(asset), version: Revision::new(version).ok() }
}

fn fact(content: u8) -> RevisionFact {
    RevisionFact {
        kind: Some(identity(AssetType::Image, "x").kind()),
        ..RevisionFact::new(1, Some(hash(content)), RevisionState::Live)
    }
}

fn identity(asset_type: AssetType, path: &str) -> Identity {
    let creator = Creator::User(UserId::new(1).unwrap());
    Identity { asset_type, creator, privacy: Privacy::Default, path: ProjectPath::new(path).unwrap() }
}

fn create(content: u8) -> Intent {
    Intent::Create {
        upload: UploadId::new(u64::from(content)),
        content: hash(content),
        fields: FieldDigests::new(),
        costly: false,
        replaces: None,
    }
}

fn open(intent: Intent, operation: Option<&str>) -> OpenWork {
    OpenWork { intent, operation: operation.map(|text| OperationId::new(text).unwrap()), set_aside: false, doubts: 0 }
}

fn abandoned_before(intent: Intent, doubts: u32) -> OpenWork {
    OpenWork { doubts, ..open(intent, None) }
}

fn image(path: &str, revisions: &[(u64, u8)]) -> LockfileEntry {
    let mut entry = LockfileEntry::new(identity(AssetType::Image, path));
    for (asset, content) in revisions {
        entry.history.add(key(*asset, 0), fact(*content));
        entry.history.list(id(*asset), Some(Listing::Listed));
    }
    entry
}

fn ledger(entries: impl IntoIterator<Item = (&'static str, LockfileEntry)>) -> Ledger {
    let entries = entries.into_iter().map(|(text, entry)| (address(text), entry)).collect();
    Ledger { entries, ..Ledger::new(REMOTE.to_owned()) }
}

fn text_of(ledger: &Ledger) -> String {
    let mut bytes = Vec::new();
    write(&ledger.remote, &ledger.entries, &ledger.forgotten, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn parse_text(text: &str) -> Result<Ledger, LockfileError> {
    parse(text.as_bytes(), Path::new("assets.lock.toml"))
}

fn apply(recorded: &mut Recorded, changes: &[Change]) {
    changes.iter().for_each(|change| recorded.apply(change, Timestamp::UNIX_EPOCH).unwrap());
}

fn import_into(recorded: &mut Recorded, ledger: &Ledger) {
    let changes = import(recorded, ledger, Timestamp::UNIX_EPOCH);
    apply(recorded, &changes);
}

fn imported(ledger: &Ledger) -> Recorded {
    let mut recorded = Recorded::default();
    import_into(&mut recorded, ledger);
    recorded
}

fn any_digests() -> impl Strategy<Value = FieldDigests> {
    let fields = [Field::DisplayName, Field::Description, Field::SocialLink(SocialNetwork::DevForum)];
    prop::collection::btree_map(0_usize..3, 0_u8..3, 0..4).prop_map(move |some| {
        some.into_iter().map(|(at, value)| (fields[at], FieldDigest::of_text(&value.to_string()))).collect()
    })
}

fn any_intent() -> impl Strategy<Value = Intent> {
    (0_u8..6, 1_u64..4, 10_u8..14, any_digests(), any::<[bool; 2]>()).prop_map(
        |(kind, asset, content, fields, [costly, other])| match kind {
            0 | 1 => Intent::Create {
                upload: UploadId::new(asset),
                content: hash(content),
                fields,
                costly,
                replaces: other.then(|| id(asset)),
            },
            2 => Intent::UpdateContent {
                asset_id: id(asset),
                content: hash(content),
                head: other.then(|| Revision::new(asset).unwrap()),
            },
            3 => Intent::UpdateMetadata { asset_id: id(asset), fields },
            4 => Intent::Rollback { asset_id: id(asset), to: Revision::new(asset).unwrap() },
            _ if other => Intent::Archive { asset_id: id(asset) },
            _ => Intent::Restore { asset_id: id(asset) },
        },
    )
}

prop_compose! {
    fn any_fact()(ordinal in 1_u32..4, content in prop::option::of(0_u8..3), (state, round) in (0..RevisionState::ALL.len(), 0_u32..3), shared: bool, disputed in prop::bool::weighted(0.1), era in 0_u32..6) -> RevisionFact {
        let state = RevisionState::ALL[state];
        RevisionFact { ordinal, content: content.map(hash), state, round, shared, kind: None, disputed, era: era / 5, made: None }
    }
}

/// Also with times of a wrong clock.
fn any_retirement() -> impl Strategy<Value = Retirement> {
    let whys = prop::sample::select(vec![RetireReason::Replaced, RetireReason::Removed, RetireReason::ByHand]);
    let seconds = || prop::sample::select(vec![-62_167_219_201_i64, -1, 0, 1, 1_796_000_000, 253_402_207_200]);
    let at = move || seconds().prop_map(|at| Timestamp::from_second(at).unwrap());
    (whys, at(), prop::option::of(at())).prop_map(|(why, since, archived_at)| Retirement { why, since, archived_at })
}

prop_compose! {
    fn any_entry()(
        (asset_type, creator, privacy) in (0_usize..7, any::<bool>(), 0_usize..3),
        path in "[a-c\"'#\\]\u{e9}\u{1f5e1}\n\t= .]{1,6}",
        facts in prop::collection::vec((1_u64..4, 0_u64..3, any_fact(), 0_u8..8), 1..5),
        (asked, stored) in (any_digests(), any_digests()),
        retirements in prop::collection::btree_map(1_u64..4, any_retirement(), 0..3),
        pinned in prop::option::of((any::<bool>(), 1_u64..4, 0_u64..3)),
        (removed, current) in (any::<bool>(), prop::option::of(1_u64..4)),
        possible in prop::collection::btree_map(0_u64..4, (10_u8..14, any::<bool>()), 0..3),
        open in prop::collection::vec((any_intent(), prop::option::of("[a-z0-9-]{1,9}"), any::<bool>()), 0..3),
        doubts in 0_u32..4,
    ) -> LockfileEntry {
        let creator = if creator { Creator::User(UserId::new(7).unwrap()) } else { Creator::Group(GroupId::new(i64::MAX as u64).unwrap()) };
        let privacy = [Privacy::Default, Privacy::Restricted, Privacy::OpenUse][privacy];
        let path = ProjectPath::new(&path).unwrap_or_else(|_| ProjectPath::new("x").unwrap());
        let mut entry = LockfileEntry::new(Identity { asset_type: AssetType::ALL[asset_type], creator, privacy, path });
        for (asset, version, fact, how) in facts {
            let other = Kind { asset_type: AssetType::Mesh, creator: Creator::User(UserId::new(8).unwrap()) };
            let kind = Some(if how == 7 { other } else { entry.identity.kind() });
            entry.history.add(key(asset, version), RevisionFact { kind, ..fact });
            entry.history.list(id(asset), Some(if how % 3 == 0 { Listing::Duplicate } else { Listing::Listed }));
        }
        entry.stored = stored.into_iter().filter(|(field, _)| asked.contains_key(field)).collect();
        entry.asked = asked;
        entry.retirements = retirements.into_iter().map(|(asset, retirement)| (id(asset), retirement)).collect();
        entry.pinned = pinned.map(|(revision, asset, version)| {
            let pin = if revision { Pin::Revision(Revision::new(asset).unwrap()) } else { Pin::Asset(id(asset)) };
            PinnedAt { pin, at: key(asset, version), newest: Revision::new(asset).ok().filter(|_| revision) }
        });
        entry.removed = removed;
        entry.set_in_use(current.map(id));
        entry.possible_duplicates = possible.into_iter().map(|(upload, (content, settled))| {
            (UploadId::new(upload), PossibleDuplicate { content: hash(content), settled })
        }).collect();
        // An address has one count, that of the work that was abandoned last.
        let counted = open.iter().find(|(intent, ..)| matches!(intent, Intent::Create { .. })).map(|(intent, ..)| intent.input_digest());
        let doubts = |intent: &Intent| if matches!(intent, Intent::Create { .. }) && Some(intent.input_digest()) == counted { doubts } else { 0 };
        // Only work that may make a revision is written down without an operation, and a metadata
        // update never is.
        entry.open = open.into_iter().filter(|(intent, ..)| !matches!(intent, Intent::UpdateMetadata { .. }))
            .filter(|(intent, operation, _)| operation.is_some() || intent.may_make_a_revision())
            .map(|(intent, operation, set_aside)| {
                OpenWork { doubts: doubts(&intent), intent, set_aside, operation: operation.map(|text| OperationId::new(&text).unwrap()) }
            }).collect();
        entry.normalize();
        entry
    }
}

/// Returns a ledger as Macadam writes it: an asset that is known again was forgotten before, and a
/// forgotten asset is not in it.
fn normalized(entries: BTreeMap<Address, LockfileEntry>, forgets: &[(Option<String>, u64, u32)]) -> Ledger {
    let mut ledger = Ledger { entries, ..Ledger::new(REMOTE.to_owned()) };
    let first = ledger.entries.keys().next().cloned();
    for (text, asset, times) in forgets {
        let of = text.as_ref().map(|text| address(text)).or_else(|| first.clone());
        if let Some(of) = of.filter(|_| times / 6 > 0) {
            ledger.forgotten.entry(of).or_default().raise(id(*asset), times / 6);
        }
    }
    for (address, entry) in &ledger.entries {
        for (key, fact) in entry.history.iter().filter(|(_, fact)| fact.era > 0) {
            ledger.forgotten.entry(address.clone()).or_default().raise(key.asset_id, fact.era);
        }
    }
    let Ledger { entries, forgotten, .. } = &mut ledger;
    let left = entries.iter().filter_map(|(address, entry)| {
        Some((address.clone(), remembered(entry, forgotten.get(address))?.into_owned()))
    });
    *entries = left.collect();
    ledger
}

prop_compose! {
    fn any_ledger()(entries in prop::collection::btree_map("[a-c\"'\\\\#\\]\u{e9}\u{1f5e1}= ./]{1,3}", any_entry(), 0..4), forgets in prop::collection::vec((prop::option::of("[a-c]"), 1_u64..4, 0_u32..8), 0..3)) -> Ledger {
        normalized(entries.into_iter().map(|(text, entry)| (address(&text), entry)).collect(), &forgets)
    }
}

proptest! {
    #[test]
    fn text_reads_back_and_is_the_same_every_time(ledger in any_ledger()) {
        let text = text_of(&ledger);
        let read = parse_text(&text).unwrap();
        prop_assert_eq!(&read, &ledger, "{}", text);
        prop_assert_eq!(text_of(&read), text);
    }

    #[test]
    fn a_fresh_machine_writes_the_lockfile_that_it_read(ledger in any_ledger()) {
        let recorded = imported(&ledger);
        let again = export(REMOTE, &recorded, &BTreeSet::new());
        for (address, wanted) in &ledger.entries {
            let mut wanted = wanted.clone();
            // An upload whose content is known by now is not in doubt, nor is one whose own
            // operation made it.
            let entry = &again.entries[address];
            // Nor is an upload with a known outcome.
            let accounted = |work: &OpenWork| is_accounted(&entry.possible_duplicates, work);
            wanted.open.retain(|work| entry.open.contains(work) || (work.operation.is_some() && !accounted(work)));
            // An upload in doubt beside its own content may exist twice.
            let suspected = wanted.possible_duplicates.clone();
            wanted.possible_duplicates = entry.possible_duplicates.clone();
            prop_assert!(suspected.iter().all(|(upload, known)| entry.possible_duplicates.get(upload) == Some(known)));
            prop_assert_eq!(entry, &wanted);
        }
        prop_assert_eq!(again.entries.len(), ledger.entries.len());
        prop_assert_eq!(locked(&recorded, &BTreeSet::new()), []);
    }

    #[test]
    fn reading_twice_changes_nothing_more(first in any_ledger(), second in any_ledger()) {
        let mut recorded = imported(&first);
        import_into(&mut recorded, &second);
        let once = recorded.clone();
        prop_assert_eq!(import(&recorded, &second, Timestamp::UNIX_EPOCH), []);
        import_into(&mut recorded, &second);
        prop_assert_eq!(recorded, once);
    }

    /// A branch switch and back: no asset ID is lost, whatever the other lockfile has.
    #[test]
    fn reading_loses_no_fact(first in any_ledger(), second in any_ledger()) {
        let mut recorded = imported(&first);
        for other in [&second, &first] {
            import_into(&mut recorded, other);
        }
        for (address, entry) in first.entries.iter().chain(&second.entries) {
            let forgotten = recorded.forgotten.get(address);
            for (key, fact) in entry.history.iter() {
                if forgotten.is_some_and(|forgotten| forgotten.covers(key.asset_id, fact.era)) {
                    prop_assert!([&first, &second].iter().any(|ledger| ledger.forgotten.contains_key(address)));
                    continue;
                }
                let known = recorded.assets[address].history.get(key).unwrap();
                prop_assert!(fact.content.is_none() || known.content.is_some() || known.era > fact.era);
            }
            // A possible duplicate stays one until it is settled.
            for (upload, duplicate) in &entry.possible_duplicates {
                let known = recorded.assets[address].possible_duplicates.get(upload).unwrap();
                prop_assert!(known.settled || !duplicate.settled);
            }
            for work in entry.open.iter().filter(|work| work.operation.is_some()) {
                let operation = work.operation.clone().unwrap();
                let polled = [Phase::Submitted(operation.clone()), Phase::SetAside(operation)];
                let settled = !recorded.attempts.values().any(|attempt| attempt.address == *address && polled.contains(&attempt.phase));
                let settled = settled && !is_accounted(&recorded.assets[address].possible_duplicates, work);
                // Left out only where the state knew the outcome.
                prop_assert!(!settled || first.entries.contains_key(address) && second.entries.contains_key(address));
            }
        }
    }

    #[test]
    fn merging_is_commutative_and_idempotent(base in any_ledger(), ours in any_ledger(), theirs in any_ledger()) {
        for base in [None, Some(&base)] {
            let merged = merge(base, &ours, &theirs).unwrap();
            prop_assert_eq!(&merge(base, &theirs, &ours).unwrap(), &merged);
            prop_assert_eq!(&merge(base, &merged, &merged).unwrap(), &merged);
        }
        let caught_up = merge(Some(&ours), &ours, &theirs).unwrap();
        for (address, entry) in &ours.entries {
            let left = remembered(entry, caught_up.forgotten.get(address));
            let kept = caught_up.entries.contains_key(address) || theirs.forgotten.contains_key(address);
            let forgotten = moved_and_forgotten(&ours, &theirs.forgotten);
            let moved = |asset: &AssetId| {
                let other = || theirs.entries.values().any(|other| other.history.assets().contains(asset));
                forgotten.contains(asset) || other()
            };
            prop_assert!(kept || left.is_none_or(|left| left.history.assets().iter().all(moved)));
        }
        let facts = merge(None, &ours, &theirs).unwrap();
        for (address, entry) in ours.entries.iter().chain(&theirs.entries) {
            for (key, fact) in entry.history.iter() {
                let covers = |forgotten: &Forgotten| forgotten.covers(key.asset_id, fact.era);
                if !facts.forgotten.get(address).is_some_and(covers) {
                    prop_assert!(facts.entries[address].history.get(key).is_some());
                }
            }
            for (upload, duplicate) in &entry.possible_duplicates {
                let known = facts.entries[address].possible_duplicates.get(upload).unwrap();
                prop_assert!(known.settled || !duplicate.settled);
            }
        }
    }

    #[test]
    fn damage_never_panics_and_never_adds(ledger in any_ledger(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let mut bytes = text_of(&ledger).into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(read) = parse(&bytes, Path::new("x")) {
            prop_assert!(!cut || at + 1 >= text_of(&ledger).len(), "a cut file was taken for a whole one");
            prop_assert!(read.entries.len() <= ledger.entries.len());
        }
    }

    #[test]
    fn parsing_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(version = 1\n|\\[|\\]|\"|assets|\\.|=|\\{|\\}|\n|,|remote|# end of lockfile|[a-z0-9])*") {
        let _ = parse(&bytes, Path::new("x"));
        let _ = parse(text.as_bytes(), Path::new("x"));
    }
}

/// Returns whether the outcome of an upload is known.
fn is_accounted(known: &BTreeMap<UploadId, PossibleDuplicate>, work: &OpenWork) -> bool {
    work.intent.upload().and_then(|upload| known.get(&upload)).is_some_and(|duplicate| duplicate.settled)
}

/// Git's line ends are no change, wherever a part of the file ends.
#[test]
fn the_fingerprint_of_a_file_is_that_of_its_text_whatever_its_line_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("assets.lock.toml");
    assert_eq!(fingerprint_at(&path).unwrap(), None);
    let text = "one\ntwo \r three\n\n".repeat(9_000);
    for (from, to) in [("\n", "\n"), ("\n", "\r\n"), ("one\n", "one\r\n"), ("\n\n", "\n\r\n")] {
        let bytes = text.replace(from, to);
        save_text(&path, &bytes);
        assert_eq!(fingerprint(bytes.as_bytes()), fingerprint(text.as_bytes()), "{to:?}");
        assert_eq!(fingerprint_at(&path).unwrap(), Some(fingerprint(text.as_bytes())), "{to:?}");
    }
    save_text(&path, &format!("{text}\r"));
    assert_ne!(fingerprint_at(&path).unwrap(), Some(fingerprint(text.as_bytes())));
}

#[expect(clippy::disallowed_methods, reason = "writes a file as git would")]
fn save_text(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// A line that is too deep or too long is damage, and exhausts no stack.
#[test]
fn deep_nesting_never_panics() {
    for open in ["[", "{ a = ", "a.", "[[", "[assets.", "\"", "{"] {
        for depth in [100, 10_000, 200_000] {
            let deep = open.repeat(depth);
            for body in [
                deep.clone(),
                format!("x = {deep}"),
                format!("[assets.\"a\"]\ntype = {deep}"),
                format!("[assets.\"a\"]\nrevisions = [\n{deep}"),
            ] {
                assert!(
                    parse_text(&format!("version = 1\nremote = \"{REMOTE}\"\n\n{body}\n# end of lockfile\n")).is_err(),
                    "{open}"
                );
                assert!(parse_text(&format!("{body}\n# end of lockfile\n")).is_err(), "{open}");
            }
        }
    }
}

#[test]
fn the_format_is_stable() {
    let mut sword = LockfileEntry::new(identity(AssetType::Model, "models/sword.fbx"));
    let model = |content| RevisionFact { kind: Some(sword.identity.kind()), ..fact(content) };
    let group = Kind { creator: Creator::Group(GroupId::new(2).unwrap()), ..sword.identity.kind() };
    let mut history = History::new();
    history.add(key(9, 1), RevisionFact { kind: Some(group), ..fact(0x99) });
    history.add(key(10, 1), model(0xaa));
    history.add(key(10, 2), RevisionFact { state: RevisionState::Rejected, ..model(0xbb) });
    history.add(key(11, 1), RevisionFact { ordinal: 2, content: None, ..model(0) });
    history.list(id(11), Some(Listing::Duplicate));
    sword.history = history;
    sword.pinned =
        Some(PinnedAt { pin: Pin::Revision(Revision::new(1).unwrap()), at: key(10, 1), newest: Revision::new(2).ok() });
    sword.asked.insert(Field::SocialLink(SocialNetwork::Twitter), FieldDigest::of_cleared());
    sword.removed = true;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let since = at("2026-11-30T04:05:06.789Z");
    let archived_at = Some(at("2026-12-14T04:06:00Z"));
    sword.retirements.insert(id(9), Retirement { why: RetireReason::Replaced, since, archived_at });
    sword.retirements.insert(id(10), Retirement { why: RetireReason::Removed, since, archived_at: None });
    let mut close = image("ui/close.png", &[]);
    close.open = vec![open(create(0xcc), Some("op-1"))];
    insta::assert_snapshot!(text_of(&ledger([("sword", sword), ("ui/close.png", close)])), @r##"
    # Written by macadam: commit it, don't edit it. It says which asset ID each content became, so that nothing is uploaded twice.
    version = 1
    remote = "https://apis.roblox.com"

    [assets."sword"]
    type = "Model"
    creator = "user:1"
    path = "models/sword.fbx"
    removed = true
    pinned = { pin = "revision:1", asset_id = 10, revision = 1, newest = 2 }
    asked = { "social_links.twitter" = "e3b0c44298fc1c14" }
    revisions = [
      { asset_id = 9, revision = 1, content_hash = "9999999999999999999999999999999999999999999999999999999999999999", creator = "group:2" },
      { asset_id = 10, revision = 1, content_hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
      { asset_id = 10, revision = 2, content_hash = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", state = "rejected" },
      { asset_id = 11, revision = 1, ordinal = 2, duplicate = true },
    ]
    retirements = [
      { asset_id = 9, why = "replaced", since = "2026-11-30T04:05:06Z", archived_at = "2026-12-14T04:06:00Z" },
      { asset_id = 10, why = "removed", since = "2026-11-30T04:05:06Z" },
    ]

    [assets."ui/close.png"]
    type = "Image"
    creator = "user:1"
    open = [
      { action = "create", content_hash = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", upload = "00000000000000cc", operation = "op-1" },
    ]

    # end of lockfile
    "##);
}

/// Checks the error of a text that follows a valid header.
fn check_error(body: &str, wanted: &str, line: usize, column: usize) {
    let text = format!("version = 1\nremote = \"r\"\n{body}\n# end of lockfile\n");
    let error = parse_text(&text).unwrap_err();
    let place = error.place().unwrap();
    assert!(error.to_string().contains(wanted), "{error}");
    assert_eq!((place.line, place.column), (line, column), "{error}");
    assert!(error.hint(GitCopy::Head).is_some(), "{error}");
}

#[test]
fn errors_have_their_place() {
    let entry = "[assets.a]\ntype = \"Image\"\ncreator = \"user:1\"\n";
    check_error("colour = 1", "unknown field `colour`", 3, 1);
    check_error("[other]", "unknown field `other`", 3, 2);
    check_error("[assets.a]\ntype = \"Hat\"\ncreator = \"user:1\"", "`Hat` isn't an asset type", 4, 8);
    check_error("[assets.a]\ntype = \"Image\"", "missing field `creator`", 3, 1);
    check_error(&format!("{entry}path = \"../x\""), "leaves the manifest's folder", 6, 8);
    check_error(&format!("{entry}revisions = [\n  {{ asset_id = 0 }},\n]"), "`0` isn't a valid asset ID", 7, 16);
    check_error(&format!("{entry}revisions = [\n  {{ asset_id = 1, made = 2 }},\n]"), "unknown field `made`", 7, 19);
    let retired = |keys: &str| format!("{entry}retirements = [\n  {{ asset_id = 1, why = \"removed\"{keys} }},\n]");
    check_error(&retired(""), "missing field `since`", 7, 3);
    check_error(&retired(", since = \"2026-11-30\""), "`2026-11-30` isn't a time like 2026-11-30T04:05:00Z", 7, 44);
    check_error(&retired(", since = \"2026-11-30T04:05:00.5Z\""), "isn't a time like", 7, 44);
    check_error(&format!("{entry}asked = {{ hat = \"00\" }}"), "`hat` isn't a metadata field", 6, 11);
    check_error(&format!("{entry}open = [\n  {{ action = \"create\" }},\n]"), "`create` needs `content_hash`", 7, 3);
    check_error(
        &format!("{entry}open = [\n  {{ action = \"archive\", asset_id = 1 }},\n]"),
        "`archive` needs `operation`",
        7,
        3,
    );
    let odd = "open = [\n  { action = \"archive\", asset_id = 1, to = 2, operation = \"x\" },\n]";
    check_error(&format!("{entry}{odd}"), "`archive` has no `to`", 7, 3);
    check_error(&format!("{entry}\n{entry}"), "`a` is here twice", 7, 9);
    check_error("[assets.\"/a\"]\ntype = \"Image\"\ncreator = \"user:1\"", "`/a` needs a `path`", 3, 9);
    check_error("[assets.\"\"]\ntype = \"Image\"\ncreator = \"user:1\"", "an address can't be empty", 3, 9);
    check_error("[assets.\u{e9}a", "unclosed table", 3, 11);
    check_error(&format!("{entry}<<<<<<< HEAD"), "merge conflicts", 6, 1);
    check_error(&format!("{entry}=======\r"), "merge conflicts", 6, 1);
}

#[test]
fn an_invalid_lockfile_is_never_an_empty_one() {
    let check = |bytes: &[u8], wanted: &str, line: usize| {
        let error = parse(bytes, Path::new("a.lock.toml")).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(error.place().unwrap().line, line, "{error}");
    };
    check(b"", "is empty", 1);
    check(b" \n\n", "is empty", 1);
    check(b"version = 1\nremote = \"r\"\n# end of lockfile\n\n[assets.a]\n", "goes on after its last line", 5);
    check(b"version = 1\nremote = \"r\"\n", "is cut off", 3);
    check(b"# end of lockfile\n", "it has no `version`", 1);
    check(b"version = 1\n# end of lockfile\n", "missing field `remote`", 1);
    check(b"version = 0\nremote = \"r\"\n# end of lockfile\n", "there is no version 0", 1);
    check(b"\nversion = 2\nanything = []\n# end of lockfile\n", "written by a newer Macadam (version 2", 2);
    check(b"version = 1\nremote = \"\xff\"\n# end of lockfile\n", "UTF-8", 2);
    let ledger = parse_text("\u{feff}version = 1\r\nremote = \"r\"\r\n\r\n# end of lockfile\r\n").unwrap();
    assert_eq!(ledger, Ledger::new("r".to_owned()));
    let error = ledger.require_remote(REMOTE, Path::new("a")).unwrap_err();
    assert_eq!(error.to_string(), "the lockfile belongs to r, not to https://apis.roblox.com");
    ledger.require_remote("r", Path::new("a")).unwrap();
}

#[test]
fn saving_returns_the_fingerprint_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assets.lock.toml");
    assert!(read(&path).unwrap().is_none());
    let wanted = ledger([("a", image("a", &[(10, 1)]))]);
    let saved = save(&path, Access::Usual, REMOTE, &wanted.entries, &wanted.forgotten).unwrap();
    let bytes = read(&path).unwrap().unwrap();
    assert_eq!(fingerprint(&bytes), saved);
    assert_eq!(parse(&bytes, &path).unwrap(), wanted);
    assert_ne!(save(&path, Access::Usual, "other", &wanted.entries, &wanted.forgotten).unwrap(), saved);
    assert!(matches!(read(folder.path()), Err(LockfileError::Read { .. })));
}

#[test]
fn only_this_checkouts_addresses_are_exported() {
    let mut recorded = imported(&ledger([("here", image("here", &[(1, 1)])), ("there", image("there", &[(2, 2)]))]));
    import_into(&mut recorded, &ledger([("here", image("here", &[(1, 1)]))]));
    let set_identity =
        |text: &str| Change::SetIdentity { address: address(text), identity: identity(AssetType::Image, text) };
    apply(&mut recorded, &[set_identity("new"), set_identity("bare")]);
    let begin = Change::Begin { attempt: AttemptId(0), address: address("new"), intent: create(9) };
    apply(&mut recorded, &[begin]);
    let manifest = BTreeSet::from([address("new"), address("bare")]);
    let names = |recorded: &Recorded| {
        export(REMOTE, recorded, &manifest).entries.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&recorded), ["here"], "an intent that was not handed over is no work for others");
    apply(&mut recorded, &[Change::Advance { attempt: AttemptId(0), event: PhaseEvent::HandOver }]);
    assert_eq!(names(&recorded), ["here", "new"]);
    let lock = Change::SetInLockfile { address: address("new"), in_lockfile: InLockfile::Yes };
    assert_eq!(locked(&recorded, &manifest), [lock]);
    assert_eq!(export(REMOTE, &recorded, &manifest).entries[&address("new")].open, [open(create(9), None)]);
}

#[test]
fn facts_missing_in_the_lockfile_are_exported_only_where_wanted() {
    let begun = InLockfile::NotYet { begun_in: Checkout::Branch("x".to_owned()) };
    let mut recorded = imported(&ledger([("here", image("here", &[(1, 1)])), ("new", image("new", &[(2, 2)]))]));
    apply(&mut recorded, &[Change::SetInLockfile { address: address("new"), in_lockfile: begun.clone() }]);
    let (here, wanted) = (BTreeSet::from([address("here")]), BTreeSet::from([address("new")]));
    let has_it = |in_manifest| export(REMOTE, &recorded, in_manifest).entries.contains_key(&address("new"));
    assert!(!has_it(&here) && has_it(&wanted));
    // A lockfile that is written or read without it says nothing of it.
    let said = locked(&recorded, &here);
    assert!(!said.iter().any(|change| matches!(change, Change::SetInLockfile { .. })), "{said:?}");
    import_into(&mut recorded, &ledger([("here", image("here", &[(1, 1)]))]));
    assert_eq!(recorded.assets[&address("new")].in_lockfile, begun);
    let lock = Change::SetInLockfile { address: address("new"), in_lockfile: InLockfile::Yes };
    assert!(locked(&recorded, &wanted).contains(&lock));
}

#[test]
fn open_work_continues_on_another_machine() {
    let mut entry = image("a", &[]);
    entry.open = vec![open(create(1), Some("op-1")), open(create(2), None)];
    let ledger = ledger([("a", entry)]);
    let mut recorded = imported(&ledger);
    let phases: Vec<_> = recorded.attempts.values().map(|attempt| attempt.phase.clone()).collect();
    assert_eq!(phases.len(), 2);
    assert!(phases.contains(&Phase::InDoubt) && phases.contains(&Phase::Submitted(OperationId::new("op-1").unwrap())));
    // Once the content is known, an older lockfile starts nothing again.
    let ids: Vec<AttemptId> = recorded.attempts.keys().copied().collect();
    for attempt in ids {
        apply(&mut recorded, &[Change::Advance { attempt, event: PhaseEvent::Complete }]);
    }
    for (asset, content) in [(10, 1), (11, 2)] {
        apply(&mut recorded, &[Change::AddRevision { address: address("a"), key: key(asset, 0), fact: fact(content) }]);
    }
    assert_eq!(import(&recorded, &ledger, Timestamp::UNIX_EPOCH), []);
}

/// Only the attempt of an update in doubt tells whose the next revision is.
#[test]
fn an_update_in_doubt_is_taken_over_unless_something_later_is_known() {
    let update = Intent::UpdateContent { asset_id: id(10), content: hash(2), head: Revision::new(1).ok() };
    let rollback = Intent::Rollback { asset_id: id(10), to: Revision::new(1).unwrap() };
    for intent in [update, rollback] {
        let mut entry = LockfileEntry::new(identity(AssetType::Model, "a"));
        let kind = Some(entry.identity.kind());
        entry.history.add(key(10, 1), RevisionFact { kind, ..fact(1) });
        entry.history.list(id(10), Some(Listing::Listed));
        let before = ledger([("a", entry.clone())]);
        entry.open = vec![open(intent.clone(), None)];
        let in_doubt = ledger([("a", entry.clone())]);
        assert_eq!(parse_text(&text_of(&in_doubt)).unwrap(), in_doubt);
        let phases = |recorded: &Recorded| -> Vec<(Phase, bool)> {
            recorded.attempts.values().map(|attempt| (attempt.phase.clone(), attempt.taken_over)).collect()
        };
        // On a machine without a state, and on one whose state is older than the update.
        for mut recorded in [Recorded::default(), imported(&before)] {
            import_into(&mut recorded, &in_doubt);
            assert_eq!(phases(&recorded), [(Phase::InDoubt, true)], "{intent:?}");
            let again = export(REMOTE, &recorded, &BTreeSet::new());
            assert_eq!(again.entries[&address("a")].open, in_doubt.entries[&address("a")].open);
        }
        // A machine that has a later revision has nothing to find out.
        let mut later = entry.clone();
        later.open.clear();
        later.history.add(key(10, 2), RevisionFact { kind, ..fact(3) });
        let pin = Pin::Revision(Revision::new(1).unwrap());
        later.pinned = Some(PinnedAt { pin, at: key(10, 1), newest: Revision::new(2).ok() });
        let mut recorded = imported(&ledger([("a", later)]));
        import_into(&mut recorded, &in_doubt);
        assert_eq!(phases(&recorded), [], "{intent:?}");
    }
}

/// A CI machine starts without a state. If each one counted from zero, a remote that creates assets
/// and never answers would get two copies from each.
#[test]
fn the_count_of_creates_in_doubt_continues_on_another_machine() {
    let with = |doubts: u32| {
        let mut entry = image("a", &[]);
        entry.open = vec![abandoned_before(create(1), doubts)];
        ledger([("a", entry)])
    };
    assert!(text_of(&with(2)).contains(", doubts = 2 }"));
    let mut recorded = imported(&with(2));
    let doubts = |recorded: &Recorded| recorded.assets[&address("a")].doubts(&create(1));
    assert_eq!(doubts(&recorded), 2);
    assert_eq!(export(REMOTE, &recorded, &BTreeSet::new()), with(2));
    // An older lockfile lowers no count, a newer one raises it.
    import_into(&mut recorded, &with(1));
    assert_eq!(doubts(&recorded), 2);
    import_into(&mut recorded, &with(3));
    assert_eq!(doubts(&recorded), 3);
    assert_eq!(recorded.attempts.len(), 1, "it is the same doubt");
    // An upload whose content is known by now is not in doubt, whatever the count.
    let mut settled = imported(&ledger([("a", image("a", &[(10, 1)]))]));
    import_into(&mut settled, &with(2));
    assert_eq!((doubts(&settled), settled.attempts.len()), (0, 0));
}

#[test]
fn merging_two_counts_of_creates_in_doubt_keeps_the_higher_one() {
    let with = |doubts: u32| {
        let mut entry = image("a", &[]);
        entry.open = vec![abandoned_before(create(1), doubts)];
        ledger([("a", entry)])
    };
    let open_of = |merged: Ledger| merged.entries[&address("a")].open.clone();
    for base in [None, Some(with(0)), Some(with(1))] {
        assert_eq!(open_of(merge(base.as_ref(), &with(1), &with(2)).unwrap()), [abandoned_before(create(1), 2)]);
    }
    // Work that one side settled stays settled, unless the other tried again since.
    let mut settled = with(1);
    settled.entries.get_mut(&address("a")).unwrap().open.clear();
    assert_eq!(open_of(merge(Some(&with(1)), &with(1), &settled).unwrap()), []);
    assert_eq!(open_of(merge(Some(&with(1)), &with(2), &settled).unwrap()), [abandoned_before(create(1), 2)]);
}

#[test]
fn an_operation_of_the_lockfile_resolves_a_create_in_doubt() {
    let mut doubted = image("a", &[]);
    doubted.open = vec![open(create(1), None)];
    let mut recorded = imported(&ledger([("a", doubted.clone())]));
    doubted.open = vec![open(create(1), Some("op-1"))];
    let changes = import(&recorded, &ledger([("a", doubted)]), Timestamp::UNIX_EPOCH);
    apply(&mut recorded, &changes);
    assert_eq!(recorded.assets[&address("a")].suspected(), 0, "it is the same upload");
    let phases: Vec<_> = recorded.attempts.values().map(|attempt| &attempt.phase).collect();
    assert_eq!(phases, [&Phase::Submitted(OperationId::new("op-1").unwrap())]);
}

#[test]
fn an_upload_that_another_machine_abandoned_is_closed_here_too() {
    let mut doubted = image("a", &[]);
    doubted.open = vec![open(create(1), None)];
    let mut recorded = imported(&ledger([("a", doubted.clone())]));
    let mut abandoned_creates = image("a", &[(10, 1)]);
    let duplicate = PossibleDuplicate { content: hash(1), settled: false };
    abandoned_creates.possible_duplicates.insert(UploadId::new(1), duplicate);
    import_into(&mut recorded, &ledger([("a", abandoned_creates)]));
    assert!(recorded.attempts.is_empty(), "else it would be sent once more");
    assert_eq!(recorded.assets[&address("a")].suspected(), 1);
    // An older lockfile doesn't put it in doubt again.
    import_into(&mut recorded, &ledger([("a", doubted)]));
    assert!(recorded.attempts.is_empty());
}

#[test]
fn the_same_possible_duplicate_in_two_lockfiles_is_one() {
    let suspecting = |uploads: &[u64], settled: bool| {
        let mut entry = image("a", &[(10, 1)]);
        for upload in uploads {
            entry.possible_duplicates.insert(UploadId::new(*upload), PossibleDuplicate { content: hash(1), settled });
        }
        ledger([("a", entry)])
    };
    let merged = merge(None, &suspecting(&[1, 2], false), &suspecting(&[2, 3], false)).unwrap();
    assert_eq!(imported(&merged).assets[&address("a")].suspected(), 3);
    let settled = merge(Some(&merged), &merged, &suspecting(&[1, 3], true)).unwrap();
    assert_eq!(imported(&settled).assets[&address("a")].suspected(), 1, "settled on one side is settled");
}

#[test]
fn an_operation_beside_its_own_content_is_polled_for_the_other_asset() {
    let mut merged = image("a", &[(20, 1)]);
    merged.open = vec![open(create(1), Some("op-1"))];
    let mut recorded = imported(&ledger([("a", image("a", &[(20, 1)]))]));
    import_into(&mut recorded, &ledger([("a", merged)]));
    assert_eq!(recorded.attempts.len(), 1, "its asset ID would be lost");
}

#[test]
fn the_same_content_again_is_new_work_for_a_model() {
    let mut entry = LockfileEntry::new(identity(AssetType::Model, "a"));
    for (version, content) in [(1, 1), (2, 2), (3, 1)] {
        entry.history.add(key(10, version), fact(content));
    }
    let recorded = imported(&ledger([("a", entry.clone())]));
    let update = |head| Intent::UpdateContent { asset_id: id(10), content: hash(2), head: Revision::new(head).ok() };
    let begun = |head| {
        let mut bare = entry.clone();
        bare.history = History::new();
        bare.open = vec![open(update(head), Some("op"))];
        import(&recorded, &ledger([("a", bare)]), Timestamp::UNIX_EPOCH)
            .iter()
            .any(|change| matches!(change, Change::Begin { .. }))
    };
    assert!(!begun(1), "version 2 is its outcome");
    assert!(begun(3));
}

#[test]
fn the_lockfiles_asset_is_used_and_the_other_one_reported() {
    let mut recorded = imported(&ledger([("a", image("a", &[(10, 1)]))]));
    let changes = import(&recorded, &ledger([("a", image("a", &[(20, 1)]))]), Timestamp::UNIX_EPOCH);
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, Change::LogEvent { event, .. } if event.code() == "duplicate_asset"))
    );
    apply(&mut recorded, &changes);
    let record = &recorded.assets[&address("a")];
    assert_eq!(record.find_content(hash(1)).unwrap().0, key(20, 0));
    assert_eq!(record.history.duplicates(record.identity.kind()), BTreeSet::from([id(10)]));
}

/// A mark on both assets would outlive the visit, and the first branch's asset would be used on the
/// second.
#[test]
fn each_branch_keeps_its_own_asset_after_any_number_of_switches() {
    let (mut x, mut y) = (ledger([("a", image("a", &[(10, 1)]))]), ledger([("a", image("a", &[(20, 1)]))]));
    let mut recorded = Recorded::default();
    for _ in 0..3 {
        for (branch, asset) in [(&mut x, 10), (&mut y, 20)] {
            import_into(&mut recorded, branch);
            assert_eq!(recorded.assets[&address("a")].find_content(hash(1)).unwrap().0, key(asset, 0));
            // Written on this branch, the lockfile has both assets and still the same choice, here
            // and on a fresh machine.
            *branch = export(REMOTE, &recorded, &BTreeSet::new());
            let changes = locked(&recorded, &BTreeSet::new());
            apply(&mut recorded, &changes);
            assert_eq!(recorded.assets[&address("a")].find_content(hash(1)).unwrap().0, key(asset, 0));
            assert_eq!(imported(branch).assets[&address("a")].find_content(hash(1)).unwrap().0, key(asset, 0));
            assert_eq!(import(&recorded, branch, Timestamp::UNIX_EPOCH), []);
        }
    }
    // After a merge every machine makes the same choice, and the other asset stays known as a
    // duplicate.
    for base in [None, Some(ledger([]))] {
        let both = merge(base.as_ref(), &x, &y).unwrap();
        let record = &imported(&both).assets[&address("a")];
        assert_eq!(record.find_content(hash(1)).unwrap().0, key(10, 0));
        assert_eq!(record.history.duplicates(record.identity.kind()), BTreeSet::from([id(20)]));
    }
}

#[test]
fn the_old_owners_assets_do_not_come_back_with_an_old_branch() {
    let old = ledger([("a", image("a", &[(10, 1)]))]);
    let mut recorded = imported(&old);
    let mut moved = image("a", &[]);
    moved.identity.creator = Creator::Group(GroupId::new(2).unwrap());
    moved.history = old.entries[&address("a")].history.clone();
    moved.history.add(key(20, 0), RevisionFact { ordinal: 2, kind: Some(moved.identity.kind()), ..fact(1) });
    moved.history.list(id(20), Some(Listing::Listed));
    let new = ledger([("a", moved)]);
    for (branch, asset) in [(&new, 20), (&old, 10), (&new, 20), (&old, 10), (&new, 20)] {
        import_into(&mut recorded, branch);
        assert_eq!(recorded.assets[&address("a")].find_content(hash(1)).unwrap().0, key(asset, 0));
    }
    assert_eq!(parse_text(&text_of(&new)).unwrap(), new);
}

#[test]
fn two_contents_of_one_asset_are_disputed_wherever_they_meet() {
    let (one, other) = (ledger([("a", image("a", &[(10, 1)]))]), ledger([("a", image("a", &[(10, 2)]))]));
    let mut recorded = imported(&one);
    import_into(&mut recorded, &other);
    let merged = imported(&merge(None, &one, &other).unwrap());
    let mut owner = one.clone();
    let entry = owner.entries.get_mut(&address("a")).unwrap();
    let kind = Kind { creator: Creator::Group(GroupId::new(2).unwrap()), ..entry.identity.kind() };
    entry.history.add(key(10, 0), RevisionFact { kind: Some(kind), ..fact(1) });
    let line = "{ asset_id = 10, content_hash = \"";
    let twice = text_of(&one).replace("revisions = [\n", &format!("revisions = [\n  {line}{}\" }},\n", hash(7)));
    for recorded in [recorded, merged, imported(&owner), imported(&parse_text(&twice).unwrap())] {
        assert!(recorded.assets[&address("a")].history.get(key(10, 0)).unwrap().disputed);
    }
}

#[test]
fn only_forgetting_takes_an_asset_out_of_a_lockfile() {
    let old = ledger([("a", image("a", &[(10, 1), (11, 2)])), ("b", image("b", &[(20, 3)]))]);
    let mut new = old.clone();
    assert_eq!(first_lost(&old, &new), None);
    assert!(Digests::of(&old).are_in(&Digests::of(&new)));
    new.entries.insert(address("a"), image("a", &[(11, 2)]));
    assert_eq!(first_lost(&old, &new), Some((address("a"), id(10))));
    assert!(!Digests::of(&old).are_in(&Digests::of(&new)));
    let mut moved = new.clone();
    moved.entries.insert(address("c"), image("c", &[(10, 1)]));
    assert_eq!(first_lost(&old, &moved), None);
    // Moved and forgotten under its new name between two writes.
    let mut elsewhere = new.clone();
    elsewhere.forgotten.entry(address("c")).or_default().raise(id(10), 1);
    assert_eq!(first_lost(&old, &elsewhere), None);
    new.forgotten.entry(address("a")).or_default().raise(id(10), 1);
    assert_eq!(first_lost(&old, &new), None);
    // The fact that it was forgotten is not lost either.
    assert_eq!(
        first_lost(
            &new,
            &ledger(
                new.entries
                    .iter()
                    .map(|(address, entry)| (if address.as_str() == "a" { "a" } else { "b" }, entry.clone()))
            )
        ),
        Some((address("a"), id(10)))
    );
}

#[test]
fn an_asset_of_an_address_and_of_a_former_name_may_leave_one_of_them() {
    let group = Creator::Group(GroupId::new(7).unwrap());
    let user = Creator::User(UserId::new(1).unwrap());
    let of = |creator, assets: &[(u64, u8)]| {
        let mut entry = image("a", assets);
        entry.identity.creator = creator;
        entry
    };
    let both = ledger([("a", of(group, &[(10, 1), (20, 1)])), ("a@user:1", of(user, &[(10, 1)]))]);
    let separated = ledger([("a", of(group, &[(20, 1)])), ("a@user:1", of(user, &[(10, 1)]))]);
    assert_eq!(first_lost(&both, &separated), None);
    assert_eq!(first_lost(&both, &ledger([("a@user:1", of(user, &[(10, 1)]))])), Some((address("a"), id(20))));
    // The way back.
    let back = ledger([("a", of(user, &[(10, 1)])), ("a@group:7", of(group, &[(20, 1)]))]);
    assert_eq!(first_lost(&both, &back), None);
    // The asset that the address uses doesn't leave it.
    let old = ledger([("a", of(user, &[(10, 1), (11, 2)])), ("a@user:1", of(user, &[(10, 1)]))]);
    let lost = ledger([("a", of(user, &[(11, 2)])), ("a@user:1", of(user, &[(10, 1)]))]);
    assert_eq!(first_lost(&old, &lost), Some((address("a"), id(10))));
}

#[test]
fn an_asset_of_another_type_is_not_used() {
    let mut recorded = imported(&ledger([("a", image("a", &[(10, 1)]))]));
    let mut decal = image("a", &[(20, 2)]);
    decal.identity.asset_type = AssetType::Decal;
    import_into(&mut recorded, &ledger([("a", decal)]));
    let record = &recorded.assets[&address("a")];
    assert_eq!(record.identity.asset_type, AssetType::Decal);
    assert!(record.history.get(key(10, 0)).is_some());
    assert_eq!(record.find_content(hash(1)), None, "kept, but not used");
}

#[test]
fn metadata_that_two_writers_disagree_on_is_unknown() {
    let asked = |values: &[(Field, &str)]| -> FieldDigests {
        values.iter().map(|(field, text)| (*field, FieldDigest::of_text(text))).collect()
    };
    let with = |fields: FieldDigests| {
        let mut entry = image("a", &[(10, 1)]);
        entry.asked = fields;
        ledger([("a", entry)])
    };
    let ours = with(asked(&[(Field::DisplayName, "x"), (Field::Description, "d")]));
    let theirs = with(asked(&[(Field::DisplayName, "y"), (Field::Icon, "i")]));
    let mut recorded = imported(&ours);
    import_into(&mut recorded, &theirs);
    let mut wanted = asked(&[(Field::Description, "d"), (Field::Icon, "i")]);
    wanted.insert(Field::DisplayName, FieldDigest::of_text("y"));
    assert_eq!(recorded.assets[&address("a")].asked, wanted, "a value that was never heard of is newer");
    assert_eq!(recorded.assets[&address("a")].overruled, asked(&[(Field::DisplayName, "x")]).into());
    import_into(&mut recorded, &ours);
    wanted.insert(Field::DisplayName, FieldDigest::UNKNOWN);
    assert_eq!(recorded.assets[&address("a")].asked, wanted, "one that was asked for before may be older");
    assert_eq!(merge(None, &ours, &theirs).unwrap().entries[&address("a")].asked, wanted);
    let base = with(asked(&[(Field::DisplayName, "x"), (Field::Description, "d")]));
    assert_eq!(merge(Some(&base), &ours, &theirs).unwrap(), theirs, "only one side changed something");
}

/// Merges two changes of one base.
fn merged(base: &Ledger, ours: impl FnOnce(&mut Ledger), theirs: impl FnOnce(&mut Ledger)) -> Ledger {
    let (mut a, mut b) = (base.clone(), base.clone());
    ours(&mut a);
    theirs(&mut b);
    merge(Some(base), &a, &b).unwrap()
}

fn add(text: &'static str, asset: u64, content: u8) -> impl FnOnce(&mut Ledger) {
    move |ledger| {
        ledger.entries.insert(address(text), image(text, &[(asset, content)]));
    }
}

#[test]
fn merging_keeps_the_assets_that_each_branch_adds() {
    let base = ledger([("m", image("m", &[(1, 1)]))]);
    let all = merged(&base, add("a", 2, 2), add("z", 3, 3));
    assert_eq!(all, ledger([("a", image("a", &[(2, 2)])), ("m", image("m", &[(1, 1)])), ("z", image("z", &[(3, 3)]))]));
    let error = merge(None, &base, &Ledger::new("other".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "one side belongs to https://apis.roblox.com, the other to other");
}

#[test]
fn merging_two_uploads_of_one_content_marks_one_as_the_duplicate() {
    let base = ledger([]);
    let both = merged(&base, add("a", 20, 1), add("a", 10, 1));
    let entry = &both.entries[&address("a")];
    assert_eq!(entry.history.find_content(hash(1), entry.identity.kind()).unwrap().0, key(10, 0));
    assert_eq!(entry.history.duplicates(entry.identity.kind()), BTreeSet::from([id(20)]));
}

#[test]
fn merging_two_changes_of_one_model_keeps_both_revisions() {
    let mut sword = LockfileEntry::new(identity(AssetType::Model, "sword"));
    let kind = Some(sword.identity.kind());
    let fact = move |content| RevisionFact { kind, ..fact(content) };
    sword.history.add(key(10, 1), fact(1));
    sword.history.list(id(10), Some(Listing::Listed));
    let base = ledger([("sword", sword)]);
    let update = |version, content| {
        move |ledger: &mut Ledger| {
            ledger.entries.get_mut(&address("sword")).unwrap().history.add(key(10, version), fact(content));
        }
    };
    let both = merged(&base, update(2, 2), update(3, 3));
    let entry = &both.entries[&address("sword")];
    assert_eq!(entry.history.head(entry.identity.kind()).unwrap().0, key(10, 3));
    assert_eq!(entry.history.duplicates(entry.identity.kind()), BTreeSet::new());
}

#[test]
fn work_that_one_side_settled_stays_settled() {
    let mut waiting = image("a", &[]);
    waiting.open = vec![open(create(1), Some("op-1"))];
    let base = ledger([("a", waiting)]);
    let settle = |ledger: &mut Ledger| {
        ledger.entries.insert(address("a"), image("a", &[(10, 1)]));
    };
    let more = |ledger: &mut Ledger| {
        let entry = ledger.entries.get_mut(&address("a")).unwrap();
        entry.open.push(open(create(2), None));
    };
    let both = merged(&base, settle, more);
    assert_eq!(both.entries[&address("a")].open, [open(create(2), None)]);
    assert!(
        both.entries[&address("a")].history.find_content(hash(1), identity(AssetType::Image, "a").kind()).is_some()
    );
}

#[test]
fn an_asset_that_one_side_forgot_is_gone_unless_the_other_added_facts() {
    let base = ledger([("a", image("a", &[(1, 1)]))]);
    let forget = |ledger: &mut Ledger| {
        let entry = ledger.entries.remove(&address("a")).unwrap();
        ledger.forgotten.insert(address("a"), entry.history.to_forget());
    };
    let mut forgotten = base.clone();
    forget(&mut forgotten);
    assert_eq!(merged(&base, forget, |_| {}), forgotten);
    assert_eq!(merged(&base, |_| {}, forget), forgotten);
    // An asset that the other side made since was not forgotten.
    let both = merged(&base, forget, add("a", 2, 2));
    assert_eq!(both.entries[&address("a")].history.assets(), BTreeSet::from([id(2)]));
    assert_eq!(both.forgotten, forgotten.forgotten);
    // Without a common base it is still forgotten.
    assert_eq!(merge(None, &base, &forgotten).unwrap(), forgotten);
}

#[test]
fn an_asset_that_one_side_renamed_and_forgot_is_gone_under_every_name() {
    let base = ledger([("a", image("a", &[(1, 1)])), ("b", image("b", &[(2, 2)]))]);
    let forget = |ledger: &mut Ledger| {
        let entry = ledger.entries.remove(&address("a")).unwrap();
        ledger.forgotten.insert(address("z"), entry.history.to_forget());
    };
    let mut forgotten = base.clone();
    forget(&mut forgotten);
    assert_eq!(merged(&base, forget, |_| {}), forgotten);
    assert_eq!(merged(&base, |_| {}, forget), forgotten);
    // The other side changed the file, or renamed it too.
    let both = merged(&base, forget, add("a", 3, 3));
    assert_eq!(both.entries[&address("a")].history.assets(), BTreeSet::from([id(3)]));
    let both = merged(&base, forget, |ledger| {
        let entry = ledger.entries.remove(&address("a")).unwrap();
        ledger.entries.insert(address("c"), entry);
    });
    assert!(both.entries.contains_key(&address("c")), "it is in use there");
    // Two names shared it, and one of them was forgotten.
    let shared = ledger([("a", image("a", &[(1, 1)])), ("z", image("z", &[(1, 1)]))]);
    let forget = |ledger: &mut Ledger| {
        let entry = ledger.entries.remove(&address("z")).unwrap();
        ledger.forgotten.insert(address("z"), entry.history.to_forget());
        ledger.entries.remove(&address("a"));
    };
    assert!(merged(&shared, forget, |_| {}).entries.contains_key(&address("a")), "the other one keeps it");
}

#[test]
fn an_entry_that_one_side_lost_is_kept() {
    let base = ledger([("a", image("a", &[(1, 1)])), ("b", image("b", &[(2, 2)]))]);
    let lose = |ledger: &mut Ledger| drop(ledger.entries.remove(&address("a")));
    assert_eq!(merged(&base, lose, |_| {}), base);
    let rename = |ledger: &mut Ledger| {
        let entry = ledger.entries.remove(&address("a")).unwrap();
        ledger.entries.insert(address("z"), entry);
    };
    assert!(!merged(&base, rename, |_| {}).entries.contains_key(&address("a")));
}

#[test]
fn an_asset_forgotten_on_another_machine_is_forgotten_here() {
    let old = ledger([("a", image("a", &[(1, 1), (2, 2)])), ("b", image("b", &[(3, 3)]))]);
    let mut forgot = old.clone();
    let gone = forgot.entries.remove(&address("a")).unwrap();
    forgot.forgotten.insert(address("a"), gone.history.to_forget());
    assert!(text_of(&forgot).ends_with("[forgotten.\"a\"]\n1 = 1\n2 = 1\n\n# end of lockfile\n"));
    let mut recorded = imported(&old);
    let changes = import(&recorded, &forgot, Timestamp::UNIX_EPOCH);
    assert!(
        changes.iter().any(|change| matches!(change, Change::LogEvent { event, .. } if event.code() == "forgotten"))
    );
    apply(&mut recorded, &changes);
    assert!(!recorded.assets.contains_key(&address("a")));
    // An old copy of the lockfile doesn't bring it back, and assets made since stay.
    let since = Change::AddRevision { address: address("a"), key: key(4, 0), fact: fact(4) };
    let set_identity = Change::SetIdentity { address: address("a"), identity: identity(AssetType::Image, "a") };
    apply(&mut recorded, &[set_identity, since]);
    import_into(&mut recorded, &old);
    assert_eq!(recorded.assets[&address("a")].history.assets(), BTreeSet::from([id(4)]));
    // Imported again it is known on every machine.
    apply(&mut recorded, &[Change::AddRevision { address: address("a"), key: key(1, 0), fact: fact(1) }]);
    let again = export(REMOTE, &recorded, &BTreeSet::from([address("a")]));
    assert_eq!(again.entries[&address("a")].history.get(key(1, 0)).unwrap().era, 1);
    let mut other = imported(&forgot);
    import_into(&mut other, &again);
    assert!(other.assets[&address("a")].history.get(key(1, 0)).is_some());
}

#[test]
fn pin_and_removal_follow_the_side_that_changed_them() {
    let base = ledger([("a", image("a", &[(1, 1), (2, 2)]))]);
    let pin = |asset| {
        move |ledger: &mut Ledger| {
            let entry = ledger.entries.get_mut(&address("a")).unwrap();
            entry.pinned = Some(PinnedAt { pin: Pin::Asset(id(asset)), at: key(asset, 0), newest: None });
            entry.removed = asset == 1;
        }
    };
    let one = merged(&base, pin(1), |_| {});
    assert!(one.entries[&address("a")].removed && one.entries[&address("a")].pinned.is_some());
    assert_eq!(merged(&base, pin(1), pin(2)).entries[&address("a")].pinned, None);
}

/// Another asset than the newest is written down, and only that.
#[test]
fn the_asset_in_use_is_written_where_it_is_not_the_newest() {
    let mut recorded = imported(&ledger([("a", image("a", &[(1, 1), (2, 2)]))]));
    let in_use = |recorded: &Recorded| recorded.assets[&address("a")].in_use().unwrap().0.asset_id;
    let written = |recorded: &Recorded| export(REMOTE, recorded, &BTreeSet::new());
    assert_eq!(in_use(&recorded), id(2));
    assert!(!text_of(&written(&recorded)).contains("current"));
    apply(&mut recorded, &[Change::SetCurrentAsset { address: address("a"), asset_id: id(1) }]);
    let back = written(&recorded);
    assert!(text_of(&back).contains("\ncurrent = 1\nrevisions = ["), "{}", text_of(&back));
    assert_eq!(in_use(&imported(&parse_text(&text_of(&back)).unwrap())), id(1));
    // A state that is older, and one that has a third asset from another branch.
    let mut older = imported(&ledger([("a", image("a", &[(1, 1), (2, 2)]))]));
    import_into(&mut older, &back);
    assert_eq!(in_use(&older), id(1));
    let mut other = imported(&ledger([("a", image("a", &[(1, 1), (2, 2), (3, 3)]))]));
    assert_eq!(in_use(&other), id(3));
    import_into(&mut other, &ledger([("a", image("a", &[(1, 1), (2, 2)]))]));
    assert_eq!(in_use(&other), id(2), "without the line it is the newest of the lockfile");
    assert!(text_of(&written(&other)).contains("\ncurrent = 2\n"));
    // One that can't be used is passed over, and none that is only said.
    let rejected = |entry: &mut LockfileEntry, asset| {
        let fact = RevisionFact { state: RevisionState::Rejected, ..*entry.history.get(key(asset, 0)).unwrap() };
        entry.history.add(key(asset, 0), fact);
    };
    let mut entry = LockfileEntry { current: Some(id(1)), ..image("a", &[(1, 1), (2, 2), (3, 3)]) };
    assert_eq!(entry.in_use(), Some(id(1)));
    rejected(&mut entry, 1);
    assert_eq!(entry.in_use(), Some(id(3)));
    entry.current = Some(id(9));
    assert_eq!(entry.in_use(), Some(id(3)));
}

#[test]
fn the_asset_in_use_follows_the_side_that_changed_it() {
    let with = |revisions: &[(u64, u8)], asset| {
        let mut entry = image("a", &[]);
        for ((asset, content), ordinal) in revisions.iter().zip(1..) {
            entry.history.add(key(*asset, 0), RevisionFact { ordinal, ..fact(*content) });
            entry.history.list(id(*asset), Some(Listing::Listed));
        }
        entry.set_in_use(Some(id(asset)));
        ledger([("a", entry)])
    };
    let (two, three) = ([(1, 1), (2, 2)], [(1, 1), (2, 2), (3, 3)]);
    let other = [(1, 1), (2, 2), (4, 4)];
    let (at_first, at_second) = (with(&two, 1), with(&two, 2));
    let table = [
        // One side went back, or replaced it.
        (&at_second, &at_first, &at_second, 1),
        (&at_first, &at_first, &at_second, 2),
        (&at_first, &at_first, &with(&three, 3), 3),
        (&with(&three, 3), &with(&three, 1), &with(&three, 3), 1),
        (&at_second, &at_first, &with(&three, 2), 1),
        // Both did: the newer one of what they have, and none that neither has.
        (&at_second, &with(&three, 3), &with(&other, 4), 4),
        (&at_second, &at_first, &with(&three, 3), 3),
        (&with(&three, 3), &with(&three, 1), &with(&three, 2), 2),
        // The same content twice: the one that counts.
        (&at_second, &with(&three, 3), &with(&[(1, 1), (2, 2), (5, 3)], 5), 3),
    ];
    for (at, (base, ours, theirs, wanted)) in table.into_iter().enumerate() {
        let merged = merge(Some(base), ours, theirs).unwrap();
        assert_eq!(merged.entries[&address("a")].in_use(), Some(id(wanted)), "{at}");
        assert_eq!(merge(Some(base), theirs, ours).unwrap(), merged, "{at}");
    }
}

/// Git alone, without the merge driver, usually manages this.
fn retired(why: RetireReason, since: i64, archived_at: Option<i64>) -> Retirement {
    let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
    Retirement { why, since: at(since), archived_at: archived_at.map(at) }
}

/// Returns an image whose asset is on its way out.
fn leaving(retirement: impl Into<Option<Retirement>>) -> Ledger {
    let mut entry = image("a", &[(1, 1)]);
    entry.retirements.extend(retirement.into().map(|retirement| (id(1), retirement)));
    ledger([("a", entry)])
}

#[test]
fn merging_archives_no_earlier_than_either_branch_and_forgets_no_archiving() {
    use RetireReason::{ByHand, Removed, Replaced};
    let check = |base: Option<Option<Retirement>>, ours, theirs, wanted: Option<Retirement>| {
        let base = base.map(leaving);
        let merged = merge(base.as_ref(), &leaving(ours), &leaving(theirs)).unwrap();
        assert_eq!(merged, leaving(wanted), "{ours:?} {theirs:?}");
        assert_eq!(merge(base.as_ref(), &leaving(theirs), &leaving(ours)).unwrap(), merged);
    };
    let scheduled = |day| Some(retired(Removed, day, None));
    let archived = Some(retired(Removed, 1, Some(15)));
    check(Some(None), scheduled(1), scheduled(5), scheduled(5));
    check(None, scheduled(1), scheduled(5), scheduled(5));
    // It came back on one side, and left again there.
    check(Some(scheduled(1)), scheduled(1), None, None);
    check(Some(scheduled(1)), scheduled(1), scheduled(5), scheduled(5));
    // The sides disagree: it is in use, or the time begins anew.
    check(Some(scheduled(1)), scheduled(5), None, None);
    check(None, scheduled(5), None, None);
    // It is archived, whatever the other side knew.
    check(Some(scheduled(1)), archived, None, archived);
    check(Some(scheduled(1)), archived, scheduled(5), Some(retired(Removed, 5, Some(15))));
    check(None, archived, Some(retired(ByHand, 0, Some(20))), Some(retired(ByHand, 1, Some(20))));
    check(None, archived, Some(retired(Replaced, 20, None)), Some(retired(Removed, 20, Some(15))));
}

#[test]
fn reading_dates_takes_the_later_ones_and_writes_them_back_as_they_were() {
    use RetireReason::Removed;
    let dates = |recorded: &Recorded| export(REMOTE, recorded, &BTreeSet::new());
    let (early, late) = (leaving(retired(Removed, 1, None)), leaving(retired(Removed, 5, None)));
    assert_eq!(dates(&imported(&early)), early);
    for [first, second] in [[&early, &late], [&late, &early]] {
        let mut recorded = imported(first);
        import_into(&mut recorded, second);
        assert_eq!(dates(&recorded), late, "whichever is read first");
    }
    // What this state knows to the nanosecond is in its own lockfile to the second.
    let mut recorded = imported(&early);
    let since = Timestamp::new(5 * 86_400, 999_999_999).unwrap();
    let retirement = Some(Retirement { since, ..retired(Removed, 5, None) });
    apply(&mut recorded, &[Change::SetRetirement { address: address("a"), asset_id: id(1), retirement }]);
    assert_eq!(dates(&recorded), late);
    assert_eq!(import(&recorded, &late, Timestamp::UNIX_EPOCH), []);
    // It is in use on a branch that this lockfile is not of.
    let mut recorded = imported(&early);
    import_into(&mut recorded, &leaving(None));
    assert_eq!(dates(&recorded), early, "a plan takes it off");
}

#[test]
fn git_merges_two_branches_that_add_different_assets() {
    let folder = tempfile::tempdir().unwrap();
    let base = ledger([("d", image("d", &[(4, 4)])), ("m", image("m", &[(13, 13)])), ("t", image("t", &[(20, 20)]))]);
    let versions = [
        ("base", base.clone()),
        ("ours", merged(&base, add("a", 1, 1), add("p", 16, 16))),
        ("theirs", merged(&base, add("f", 6, 6), add("z", 26, 26))),
    ];
    for (name, version) in versions {
        save(&folder.path().join(name), Access::Usual, REMOTE, &version.entries, &version.forgotten).unwrap();
    }
    let git = std::process::Command::new("git")
        .args(["merge-file", "-p", "ours", "base", "theirs"])
        .current_dir(folder.path())
        .output();
    let Ok(git) = git else { return }; // a machine without git
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stdout));
    let all = parse(&git.stdout, Path::new("merged")).unwrap();
    let names: Vec<_> = all.entries.keys().map(Address::as_str).collect();
    assert_eq!(names, ["a", "d", "f", "m", "p", "t", "z"]);
}

/// Another branch may have set other values since, so the end of that operation doesn't show what
/// the asset has now.
#[test]
fn an_operation_on_metadata_is_not_taken_over() {
    let field = Field::Description;
    let digest = |text: &str| FieldDigests::from([(field, FieldDigest::of_text(text))]);
    let entry = LockfileEntry { asked: digest("old"), ..image("a", &[(1, 1)]) };
    let mut recorded = imported(&ledger([("a", entry.clone())]));
    let asked = Change::SetMetadata { address: address("a"), fields: digest("new"), stored: FieldDigests::new() };
    apply(&mut recorded, &[asked]);
    let intent = Intent::UpdateMetadata { asset_id: id(1), fields: digest("middle") };
    let ledger = ledger([("a", LockfileEntry { open: vec![open(intent, Some("op"))], ..entry })]);
    let changes = import(&recorded, &ledger, Timestamp::UNIX_EPOCH);
    apply(&mut recorded, &changes);
    assert!(recorded.attempts.is_empty(), "{:?}", recorded.attempts);
    assert_eq!(recorded.assets[&address("a")].asked[&field], FieldDigest::UNKNOWN, "asserted anew, whatever is wanted");
    assert_eq!(import(&recorded, &ledger, Timestamp::UNIX_EPOCH), [], "reading it again tells nothing more");
}

#[test]
fn metadata_set_under_another_branchs_name_is_asserted_again() {
    let field = Field::Description;
    let asks = |text: &str| LockfileEntry {
        asked: FieldDigests::from([(field, FieldDigest::of_text(text))]),
        ..image("a", &[(1, 1)])
    };
    let (ours, theirs) = (ledger([("a", asks("old"))]), ledger([("b", asks("new"))]));
    let mut recorded = imported(&ours);
    let asked = |recorded: &Recorded, name: &str| recorded.assets[&address(name)].asked[&field];
    let visit = |recorded: &mut Recorded, ledger: &Ledger| {
        let changes = import(recorded, ledger, Timestamp::UNIX_EPOCH);
        apply(recorded, &changes);
        assert_eq!(import(recorded, ledger, Timestamp::UNIX_EPOCH), [], "reading it again tells nothing more");
    };
    visit(&mut recorded, &theirs);
    assert_eq!(asked(&recorded, "b"), FieldDigest::UNKNOWN, "`a` asked for something else");
    assert_eq!(asked(&recorded, "a"), FieldDigest::of_text("old"));
    let settled = Change::SetMetadata {
        address: address("b"),
        fields: FieldDigests::from([(field, FieldDigest::of_text("new"))]),
        stored: FieldDigests::new(),
    };
    apply(&mut recorded, &[settled]);
    visit(&mut recorded, &theirs);
    assert_eq!(asked(&recorded, "b"), FieldDigest::of_text("new"), "it stays settled while it is checked out");
    visit(&mut recorded, &ours);
    assert_eq!(asked(&recorded, "a"), FieldDigest::UNKNOWN, "and on the way back");
}

/// Another machine restored it, or the lockfile is older: only Roblox knows.
#[test]
fn an_archiving_that_the_lockfile_lacks_is_looked_at_again() {
    let archived = leaving(retired(RetireReason::ByHand, 1, Some(1)));
    let mut recorded = imported(&archived);
    apply(&mut recorded, &[Change::RecordObservation { asset: RemoteAsset::unknown(id(1)) }]);
    import_into(&mut recorded, &archived);
    assert!(recorded.outdated.is_empty(), "both say the same");
    import_into(&mut recorded, &leaving(None));
    assert_eq!(recorded.outdated, BTreeSet::from([id(1)]));
    assert_eq!(import(&recorded, &leaving(None), Timestamp::UNIX_EPOCH), []);
}

/// Only Roblox knows which lockfile is right: until it says so, this one is.
#[test]
fn an_archiving_that_the_lockfile_lacks_is_not_written_before_roblox_describes_the_asset() {
    let archived = leaving(retired(RetireReason::ByHand, 1, Some(1)));
    let observed = || Change::RecordObservation { asset: RemoteAsset::unknown(id(1)) };
    let written = |recorded: &Recorded| export(REMOTE, recorded, &BTreeSet::new());
    for was_read in [false, true] {
        let mut recorded = imported(&archived);
        if was_read {
            apply(&mut recorded, &[observed()]);
        }
        assert_eq!(written(&recorded), archived);
        import_into(&mut recorded, &leaving(None));
        assert_eq!(recorded.outdated, BTreeSet::from([id(1)]));
        assert_eq!(written(&recorded), leaving(None), "{was_read}");
        assert_eq!(import(&recorded, &leaving(None), Timestamp::UNIX_EPOCH), [], "{was_read}");
        apply(&mut recorded, &[Change::RecordNotFound { asset_id: id(1) }]);
        assert_eq!(written(&recorded), leaving(None), "{was_read}: one such answer decides nothing");
        let mut back = recorded.clone();
        import_into(&mut back, &archived);
        assert_eq!(written(&back), archived, "{was_read}: the lockfile says so again");
        apply(&mut recorded, &[observed()]);
        assert_eq!(written(&recorded), archived, "{was_read}: the lockfile is an older one");
    }
}

#[test]
fn an_archiving_that_a_revert_took_out_is_asked_about() {
    use RetireReason::{ByHand, Removed, Replaced};
    let lost = |addresses: &[&str]| addresses.iter().map(|text| address(text)).collect::<BTreeSet<Address>>();
    let check = |why, ours: Option<Retirement>, lost: &BTreeSet<Address>, asked: bool| {
        let found = earlier_archivings(&leaving(ours), &[&leaving(retired(why, 1, Some(2)))], lost);
        assert_eq!(!found.is_empty(), asked, "{why:?} {ours:?} {lost:?}");
        let mut recorded = imported(&leaving(ours));
        apply(&mut recorded, &[Change::RecordObservation { asset: RemoteAsset::unknown(id(1)) }]);
        let changes = ask_about(&recorded, &found);
        apply(&mut recorded, &changes);
        assert_eq!(recorded.outdated.contains(&id(1)), asked);
        assert_eq!(ask_about(&recorded, &found), [], "it is known by now");
        let written = export(REMOTE, &recorded, &BTreeSet::new());
        let retirements = written.entries.values().flat_map(|entry| entry.retirements.values());
        assert!(!asked || retirements.into_iter().all(|retirement| retirement.archived_at.is_none()), "{written:?}");
    };
    // A restore leaves the revision that had replaced it.
    check(Replaced, None, &lost(&[]), false);
    check(Replaced, None, &lost(&["a"]), true);
    check(Replaced, Some(retired(Replaced, 1, None)), &lost(&[]), true);
    check(Replaced, Some(retired(Replaced, 5, None)), &lost(&[]), false);
    check(Removed, None, &lost(&[]), true);
    check(ByHand, None, &lost(&[]), true);
    check(Removed, Some(retired(Removed, 5, Some(6))), &lost(&["a"]), false);
    // This state restored it, or saw that.
    let found = earlier_archivings(&leaving(None), &[&leaving(retired(Removed, 1, Some(-9)))], &lost(&[]));
    let mut recorded = imported(&leaving(None));
    let seen = RemoteAsset { archived: Some(false), ..RemoteAsset::unknown(id(1)) };
    apply(&mut recorded, &[Change::RecordObservation { asset: seen }]);
    assert_eq!((found.len(), ask_about(&recorded, &found)), (1, vec![]));
}
