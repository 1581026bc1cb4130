//! Tests of the store as a whole: what it refuses, and that disk and memory agree.
#![expect(clippy::disallowed_methods, reason = "looks at files as another program would, and breaks them")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::address::Address;
use crate::model::asset::{AssetType, FileFormat, Moderation, Privacy};
use crate::model::change::Change;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::desired::Pin;
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::file::{CachedFile, ContentFacts, FileCache, FileFacts, FileProblem, Fingerprint, ModelRoot};
use crate::model::history::{Listing, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash, Creator, GroupId, OperationId, Revision, UploadId, UserId};
use crate::model::latency::LatencySample;
use crate::model::metadata::{Field, FieldDigests, SocialLink, SocialNetwork};
use crate::model::path::ProjectPath;
use crate::model::phase::{Intent, IntentKind, PhaseEvent};
use crate::model::recorded::{
    AttemptId, Blocked, DriftRepair, Identity, PinnedAt, PossibleDuplicate, Record, Recorded, RefusalKind,
    RetireReason, Retirement, SpentQuota,
};
use crate::model::remote::{Extras, RemoteAsset};
use crate::state::StateError;

const REMOTE: &str = "https://apis.roblox.com";

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(seconds, 123_456_789).unwrap()
}

fn open(path: &Path) -> Result<Store, StateError> {
    Store::open(path, REMOTE, at(0))
}

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".macadam/assets.db");
    (folder, path)
}

fn address(number: u8) -> Address {
    Address::new(&format!("dir \"{number}\"/é'{number}.png")).unwrap()
}

fn identity(number: u8) -> Identity {
    let creators = [Creator::User(UserId::new(7).unwrap()), Creator::Group(GroupId::new(i64::MAX as u64).unwrap())];
    Identity {
        asset_type: AssetType::ALL[usize::from(number) % AssetType::ALL.len()],
        creator: creators[usize::from(number) % 2],
        privacy: [Privacy::Default, Privacy::Restricted, Privacy::OpenUse][usize::from(number) % 3],
        path: ProjectPath::new(&format!("p/{number}\n.png")).unwrap(),
    }
}

fn id(number: u8) -> AssetId {
    AssetId::new(u64::from(number) + 1).unwrap()
}

fn hash(number: u8) -> ContentHash {
    ContentHash::from_bytes([number; 32])
}

fn version(number: u8) -> Option<Revision> {
    Revision::new(u64::from(number)).ok()
}

fn digests(number: u8) -> FieldDigests {
    let fields = [Field::DisplayName, Field::Icon, Field::SocialLink(SocialNetwork::DevForum)];
    let some = fields.into_iter().zip([1_u8, 2, 4]).filter(|(_, bit)| number & bit != 0);
    some.map(|(field, bit)| (field, FieldDigest::of_text(&format!("{number}{bit}")))).collect()
}

fn fact(number: u8) -> RevisionFact {
    RevisionFact {
        ordinal: u32::from(number % 3) + 1,
        content: (!number.is_multiple_of(5)).then(|| hash(number % 4)),
        state: RevisionState::ALL[usize::from(number) % RevisionState::ALL.len()],
        round: u32::from(number % 11),
        shared: number.is_multiple_of(2),
        kind: number.is_multiple_of(7).then(|| identity(number).kind()),
        disputed: false,
        era: u32::from(number % 11) / 10,
        made: (!number.is_multiple_of(3)).then(|| (at(i64::from(number)), Origin::Replace)),
    }
}

fn intent(number: u8) -> Intent {
    let asset_id = id(number);
    match number % 6 {
        0 => Intent::Create {
            upload: UploadId::new(u64::from(number)),
            content: hash(number),
            fields: digests(number),
            costly: number.is_multiple_of(4),
            replaces: number.is_multiple_of(8).then_some(asset_id),
        },
        1 => Intent::UpdateContent { asset_id, content: hash(number), head: version(number % 4) },
        2 => Intent::UpdateMetadata { asset_id, fields: digests(number) },
        3 => Intent::Rollback { asset_id, to: Revision::new(u64::from(number)).unwrap() },
        4 => Intent::Archive { asset_id },
        _ => Intent::Restore { asset_id },
    }
}

fn remote_asset(number: u8) -> RemoteAsset {
    let mut asset = RemoteAsset::unknown(id(number));
    if number.is_multiple_of(2) {
        asset.revision = version(number);
        asset.asset_type = Some(identity(number).asset_type);
        asset.creator = Some(identity(number).creator);
        asset.display_name = Some("####".to_owned());
        asset.description = Some(String::new());
        asset.moderation =
            Some([Moderation::Reviewing, Moderation::Approved, Moderation::Rejected][usize::from(number) % 3]);
        asset.archived = Some(number.is_multiple_of(4));
        asset.previews = Some(vec![(id(8), None), (id(7), Some("a \"front\"".to_owned()))]);
        let link = SocialLink { title: None, uri: "https://x".to_owned() };
        let social_links = BTreeMap::from([(SocialNetwork::Twitter, link)]);
        asset.extras = number.is_multiple_of(4).then(|| Box::new(Extras { icon: Some(id(9)), social_links }));
    }
    asset
}

fn blocked(number: u8) -> Option<Blocked> {
    let input_digest = FieldDigest::of_text(&number.to_string());
    match number % 3 {
        0 => None,
        1 => Some(Blocked::Refused {
            input_digest,
            action: IntentKind::Create,
            refusal_kind: match number % 4 {
                0 => RefusalKind::DisplayName,
                1 => RefusalKind::Price { robux: None },
                2 => RefusalKind::Price { robux: Some(u64::from(number)) },
                _ => RefusalKind::Other,
            },
            message: "no\0\n".to_owned(),
            at: at(i64::from(number)),
        }),
        _ => Some(Blocked::Retrying {
            input_digest,
            failures: u32::from(number),
            doubts: u32::from(number) / 2,
            next_at: at(i64::from(number)),
            message: String::new(),
        }),
    }
}

/// Returns a change of some kind about some address, whether it fits or not.
fn any_change(recorded: &Recorded, kind: u8, which: u8, number: u8) -> Change {
    let address = address(which % 4);
    let open: Vec<AttemptId> = recorded.attempts.keys().copied().collect();
    let attempt = open.get(usize::from(which) % open.len().max(1)).copied().unwrap_or(AttemptId(recorded.next_attempt));
    let events = [
        PhaseEvent::HandOver,
        PhaseEvent::HandOver,
        PhaseEvent::Accept(OperationId::new(&format!("op-{number}")).unwrap()),
        PhaseEvent::Complete,
        PhaseEvent::Refuse,
        PhaseEvent::NotCarriedOut,
        PhaseEvent::SetAside,
        PhaseEvent::Doubt,
        PhaseEvent::Hold,
        PhaseEvent::Abandon,
        PhaseEvent::Recover,
    ];
    match kind % 31 {
        0 | 1 => Change::SetIdentity { address, identity: identity(number) },
        2 | 3 => {
            let skipped = u64::from(number.is_multiple_of(9));
            Change::Begin { attempt: AttemptId(recorded.next_attempt + skipped), address, intent: intent(number) }
        }
        4 => Change::Begin { attempt: AttemptId(u64::from(number % 8)), address, intent: intent(number) },
        5..=9 => Change::Advance { attempt, event: events[usize::from(number) % events.len()].clone() },
        10 | 11 => {
            let key = RevisionKey { asset_id: id(number % 3), version: version(number % 4) };
            Change::AddRevision { address, key, fact: fact(which ^ number) }
        }
        12 => Change::SetMetadata { address, fields: digests(number), stored: digests(which) },
        27 => Change::SetSpentQuota {
            creator: identity(which).creator,
            asset_type: identity(which).asset_type,
            spent: (!number.is_multiple_of(3))
                .then(|| SpentQuota { until: at(i64::from(number)), message: "spent".to_owned() }),
        },
        26 => Change::AddPossibleDuplicate {
            address,
            upload: UploadId::new(u64::from(number % 3)),
            duplicate: PossibleDuplicate { content: hash(which % 4), settled: number.is_multiple_of(5) },
        },
        30 => Change::TakeOver { attempt },
        28 => Change::Overrule { address, asked: digests(number) },
        29 => Change::Unpoint { address },
        13 => Change::SetCurrentAsset { address, asset_id: id(number) },
        14 => {
            let at = RevisionKey { asset_id: id(number), version: version(number % 3) };
            let pin = if number.is_multiple_of(2) {
                Pin::Asset(id(number))
            } else {
                Pin::Revision(Revision::new(u64::from(number)).unwrap())
            };
            Change::SetPinnedAt {
                address,
                pinned: (!number.is_multiple_of(5)).then_some(PinnedAt { pin, at, newest: version(number % 4) }),
            }
        }
        15 => Change::SetRemoved { address, removed: number.is_multiple_of(2) },
        16 if number.is_multiple_of(3) => {
            let listing = [None, Some(Listing::Duplicate), Some(Listing::Listed)][usize::from(number) / 3 % 3];
            Change::SetListing { address, asset_id: id(number % 4), listing }
        }
        16 => {
            let begun_in = [Checkout::Unknown, Checkout::Branch("x".to_owned()), Checkout::Commit("0f".to_owned())];
            let begun_in = begun_in[usize::from(number) / 12 % 3].clone();
            let all = [InLockfile::No, InLockfile::NotYet { begun_in }, InLockfile::Yes];
            Change::SetInLockfile { address, in_lockfile: all[usize::from(number) / 4 % 3].clone() }
        }
        17 => Change::SetBlocked { address, blocked: blocked(number) },
        18 if number.is_multiple_of(4) => Change::Forget { address },
        18 if number.is_multiple_of(2) => {
            Change::ForgetAsset { address, asset_id: id(number % 3), times: u32::from(number % 8) / 2 + 1 }
        }
        18 => Change::LogEvent { address: Some(address), event: EventKind::GivenUp },
        19 if number.is_multiple_of(2) => {
            Change::MoveAsset { from: address, to: self::address(number / 2 % 4), asset_id: id(number / 8 % 3) }
        }
        19 => Change::Move { from: address, to: self::address(number % 4) },
        20 | 21 => {
            let whys = [RetireReason::Replaced, RetireReason::Removed, RetireReason::ByHand];
            let retirement = Retirement {
                why: whys[usize::from(number) % whys.len()],
                since: at(i64::from(number)),
                archived_at: number.is_multiple_of(2).then(|| at(i64::from(number) + 5)),
            };
            if number.is_multiple_of(7) {
                let said = number.is_multiple_of(2).then(|| "no".to_owned());
                return Change::SetRefusedArchiving { address, asset_id: id(number % 3), said };
            }
            let retirement = (!number.is_multiple_of(5)).then_some(retirement);
            Change::SetRetirement { address, asset_id: id(number % 3), retirement }
        }
        22 if number.is_multiple_of(2) => Change::RecordRepair { address, repair: DriftRepair::Metadata },
        22 => Change::RecordRepair { address, repair: DriftRepair::Archived },
        23 => Change::RecordWrite { asset_id: id(number % 16), restores: number.is_multiple_of(2) },
        24 if number.is_multiple_of(3) => Change::MarkOutdated { asset_id: id(number % 16) },
        24 if number.is_multiple_of(2) => {
            Change::SetContradicted { asset_id: id(number % 16), contradicted: !number.is_multiple_of(5) }
        }
        24 => Change::RecordNotFound { asset_id: id(number % 3) },
        _ => Change::RecordObservation { asset: remote_asset(number % 16) },
    }
}

/// Checks that everything that is tied to an address is found, and that a part of the state is what
/// memory has of it.
fn check_parts(store: &Store, recorded: &Recorded) {
    let ties = |record: &Record| {
        let mut by = TiedBy::default();
        by.add(record);
        by
    };
    for (address, record) in &recorded.assets {
        let by = ties(record);
        let is_tied =
            |other: &TiedBy| !other.assets.is_disjoint(&by.assets) || !other.contents.is_disjoint(&by.contents);
        let tied = recorded.assets.iter().filter(|(_, other)| is_tied(&ties(other)));
        assert_eq!(store.tied(&by).unwrap().addresses, tied.map(|(address, _)| address.clone()).collect());
        let Recorded { attempts, not_found, outdated, contradicted, .. } = recorded;
        let is_certain = attempts.is_empty() && [outdated, contradicted].iter().all(|assets| assets.is_empty());
        let is_certain = is_certain && not_found.is_empty();
        let part = store.load_part(&[address.clone()].into(), &by.assets).unwrap();
        let of_assets = |id: &AssetId| by.assets.contains(id);
        let expected = Recorded {
            assets: [(address.clone(), record.clone())].into(),
            seen: recorded.seen.clone().into_iter().filter(|(id, _)| of_assets(id)).collect(),
            written: recorded.written.clone().into_iter().filter(|(id, _)| of_assets(id)).collect(),
            restored: recorded.restored.clone().into_iter().filter(|(id, _)| of_assets(id)).collect(),
            ..recorded.clone()
        };
        assert_eq!(part, is_certain.then_some(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The loaded record equals the result of the same changes in memory. If memory refuses a list,
    /// the disk refuses all of it. The same holds after a restart.
    #[test]
    fn disk_and_memory_agree(steps in prop::collection::vec(
        (prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..8), any::<u8>()), 1..30)) {
        let (_folder, path) = fresh();
        let mut store = open(&path).unwrap();
        let mut recorded = Recorded::default();
        recorded.index_ties();
        for (round, (kinds, what_else)) in (1..).zip(steps) {
            let (mut next, mut batch, now) = (recorded.clone(), Vec::new(), at(round));
            let mut fits = true;
            for (kind, which, number) in kinds {
                let change = any_change(&next, kind, which, number);
                let applied = next.apply(&change, now).is_ok();
                // Mostly leaves out changes that don't fit; now and then sends one along.
                if applied || what_else.is_multiple_of(8) {
                    batch.push(change);
                }
                fits &= applied || !what_else.is_multiple_of(8);
                if !fits { break; }
            }
            let group = what_else.is_multiple_of(2);
            let stored = if group {
                let other = Batch { changes: vec![Change::LogEvent { address: None, event: EventKind::GivenUp }], now };
                let mut results = store.commit_group(&[other.clone(), Batch { changes: batch, now }, other]).into_iter();
                prop_assert!(results.next().unwrap().is_ok());
                let stored = results.next().unwrap();
                prop_assert!(results.next().unwrap().is_ok());
                stored
            } else {
                store.commit(&batch, now)
            };
            prop_assert_eq!(stored.is_ok(), fits, "{:?}", stored);
            if fits {
                recorded = next;
            }
            prop_assert_eq!(recorded.missing_tie(), None);
            if what_else.is_multiple_of(5) {
                drop(store);
                store = open(&path).unwrap();
            }
            prop_assert_eq!(&store.load().unwrap(), &recorded);
        }
        check_parts(&store, &recorded);
        store.integrity_check().unwrap();
        let reader = Store::open_read_only(&path, REMOTE).unwrap().unwrap();
        prop_assert_eq!(&reader.load().unwrap(), &recorded);
    }

    #[test]
    fn the_file_cache_reads_back(before in any_cache(), after in any_cache()) {
        let (_folder, path) = fresh();
        let mut store = open(&path).unwrap();
        store.save_files(&FileDelta::between(&FileCache::new(), &before)).unwrap();
        prop_assert_eq!(&store.load_files().unwrap(), &before);
        store.save_files(&FileDelta::between(&before, &after)).unwrap();
        prop_assert_eq!(&store.load_files().unwrap(), &after);
        prop_assert!(FileDelta::between(&after, &store.load_files().unwrap()).is_empty());
        let synchronous: i64 = store.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        prop_assert_eq!(synchronous, 2, "changes must wait for the disk again");
    }
}

prop_compose! {
    fn any_cache()(files in prop::collection::btree_map(0_u8..6, (any::<[u64; 3]>(), any::<[i64; 3]>(), any::<u8>(), any::<u32>()), 0..6)) -> FileCache {
        files.into_iter().map(|(name, ([size, inode, device], [modified_ns, changed_ns, looked_at_ns], kind, number))| {
            let duration = number.is_multiple_of(2).then(|| Duration::from_nanos(u64::from(number)));
            let found = match kind % 7 {
                0 if duration.is_some() => ContentFacts::Instances { root: ModelRoot::Unknown },
                0 => ContentFacts::Instances { root: ModelRoot::Animation },
                1 => ContentFacts::Instances { root: ModelRoot::Other },
                2 => ContentFacts::Image { width: number, height: 3 },
                3 => ContentFacts::Audio { duration, sample_rate: duration.map(|_| number) },
                4 => ContentFacts::Video { duration, width: 0, height: number },
                _ => ContentFacts::Opaque,
            };
            let content = if kind % 7 == 6 {
                Err(FileProblem { kind: crate::model::file::FileProblemKind::Missing, message: "bad\u{0}".to_owned(), hint: duration.map(|_| String::new()) })
            } else {
                Ok(FileFacts { size: size ^ 1, hash: hash(kind), format: FileFormat::ALL[usize::from(kind) % 16], content: found })
            };
            let fingerprint = Fingerprint { size, modified_ns, changed_ns, inode, device };
            (ProjectPath::new(&format!("é/{name}")).unwrap(), CachedFile { fingerprint, looked_at_ns, content })
        }).collect()
    }
}

fn some_changes() -> Vec<Change> {
    let fact = RevisionFact { state: RevisionState::Live, ..fact(1) };
    vec![
        Change::SetIdentity { address: address(1), identity: identity(1) },
        Change::AddRevision { address: address(1), key: RevisionKey { asset_id: id(1), version: None }, fact },
    ]
}

#[test]
fn an_attempts_number_is_never_used_twice() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    let begin = |number| Change::Begin { attempt: AttemptId(number), address: address(1), intent: intent(4) };
    store.commit(&some_changes(), at(1)).unwrap();
    store.commit(&[begin(0)], at(1)).unwrap();
    store.commit(&[Change::Forget { address: address(1) }], at(1)).unwrap();
    drop(store);
    let mut store = open(&path).unwrap();
    assert_eq!(store.load().unwrap().next_attempt, 1);
    store.commit(&some_changes(), at(2)).unwrap();
    assert!(matches!(store.commit(&[begin(0)], at(2)), Err(StateError::Misfit(_))));
    store.commit(&[begin(1)], at(2)).unwrap();
}

#[test]
fn closed_attempts_and_events_are_bounded() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    let mut changes = Vec::new();
    for number in 0..20_050 {
        let attempt = AttemptId(number);
        changes.push(Change::Begin { attempt, address: address(1), intent: intent(4) });
        if number != 3 {
            changes.push(Change::Advance { attempt, event: PhaseEvent::NotCarriedOut });
        }
        changes.push(Change::LogEvent {
            address: None,
            event: EventKind::InDoubt { action: IntentKind::Create, message: number.to_string() },
        });
    }
    store.commit(&changes, at(2)).unwrap();
    let count = |table: &str| -> i64 {
        store.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count("attempts"), 20_001, "the open one stays, however old");
    assert_eq!(count("events"), 20_000);
    assert_eq!(store.events(None, 1).unwrap()[0].message, "the upload of a new asset got no clear answer: 20049");
    assert_eq!(store.load().unwrap().attempts.keys().collect::<Vec<_>>(), [&AttemptId(3)]);
}

#[test]
fn a_second_removal_keeps_the_time_of_the_first() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    let removed_at = |store: &Store| -> Option<String> {
        store.connection.query_row("SELECT removed_at FROM assets", [], |row| row.get(0)).unwrap()
    };
    for (seconds, removed, wanted) in [(2, true, Some(2)), (3, true, Some(2)), (4, false, None), (5, true, Some(5))] {
        store.commit(&[Change::SetRemoved { address: address(1), removed }], at(seconds)).unwrap();
        assert_eq!(removed_at(&store), wanted.map(|seconds| at(seconds).to_string()));
    }
}

#[test]
fn events_are_read_for_one_address() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    let tell = |number, message: &str| Change::LogEvent {
        address: Some(address(number)),
        event: EventKind::InDoubt { action: IntentKind::Create, message: message.to_owned() },
    };
    store.commit(&[tell(1, "a"), tell(2, "b"), tell(1, "c")], at(9)).unwrap();
    let found = store.events(Some(&address(1)), 10).unwrap();
    assert_eq!(
        found.iter().map(|event| event.message.as_str()).collect::<Vec<_>>(),
        ["c", "a"].map(|message| format!("the upload of a new asset got no clear answer: {message}"))
    );
    assert_eq!((found[0].at, found[0].kind.as_str()), (at(9), "in_doubt"));
    assert_eq!(found[0].address, Some(address(1)));
}

#[test]
fn limits_and_latencies_read_back() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    let limit = |endpoint: &str| LimitRow {
        endpoint: endpoint.to_owned(),
        owner: "user:1".to_owned(),
        limit: 120,
        remaining: 3,
        window_ends_at: at(60),
    };
    store.save_limits(&[limit("create"), limit("get")]).unwrap();
    store.save_limits(&[limit("get")]).unwrap();
    assert_eq!(store.load_limits().unwrap(), [limit("get")]);

    let sample = |running| LatencySample { running, done: running.saturating_add(9) };
    let row =
        |kind: &str, samples: Range<u32>| LatencyRow { kind: kind.to_owned(), samples: samples.map(sample).collect() };
    store.save_latencies(&[row("create Image", 1..3), row("create Model", 0..100)]).unwrap();
    store.save_latencies(&[row("create Image", u32::MAX - 1..u32::MAX)]).unwrap();
    let wanted = [row("create Image", u32::MAX - 1..u32::MAX), row("create Model", 36..100)];
    assert_eq!(store.load_latencies().unwrap(), wanted);

    assert_eq!(store.lockfile_fingerprint().unwrap(), None);
    assert!(!store.is_lockfile_unreported().unwrap());
    store.set_lockfile_unreported(true).unwrap();
    assert!(store.is_lockfile_unreported().unwrap());
    store.set_lockfile_fingerprint(Some("12-abc")).unwrap();
    assert_eq!(store.lockfile_fingerprint().unwrap().as_deref(), Some("12-abc"));
    store.set_lockfile_coming("13-def").unwrap();
    assert_eq!(store.lockfile_fingerprint().unwrap().as_deref(), Some("12-abc"));
    assert_eq!(store.lockfile_coming().unwrap().as_deref(), Some("13-def"));
    store.set_lockfile_fingerprint(Some("13-def")).unwrap();
    assert_eq!(store.lockfile_coming().unwrap(), None);
}

#[cfg(unix)]
#[test]
fn folder_and_file_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path) = fresh();
    let _store = open(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
}

/// Creates a state, breaks it, and checks that opening it for writing and for reading is refused
/// and changes nothing.
fn check_refused(break_it: impl FnOnce(&Path), remote: &str, wanted: &str) {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    drop(store);
    break_it(&path);
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path, remote, at(2)).unwrap_err();
    assert!(error.to_string().contains(wanted), "{error}");
    assert!(error.hint().is_some(), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before, "{wanted}");
    let error = Store::open_read_only(&path, remote).and_then(|store| store.unwrap().load()).unwrap_err();
    assert!(error.to_string().contains(wanted), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before, "{wanted}");
}

fn sql(path: &Path, statements: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(statements).unwrap();
}

#[test]
fn an_unusable_state_is_refused_and_unchanged() {
    check_refused(|_| {}, "http://127.0.0.1:1", "belongs to https://apis.roblox.com, not to http://127.0.0.1:1");
    check_refused(|path| sql(path, "PRAGMA user_version = 99"), REMOTE, "written by a newer Macadam (schema 99;");
    check_refused(|path| fs::write(path, "[assets]\n".repeat(999)).unwrap(), REMOTE, "is not a database");
    check_refused(|path| sql(path, "PRAGMA application_id = 1"), REMOTE, "another program's database");
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    check_refused(cut, REMOTE, "is damaged");
    let garble = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(path, bytes).unwrap();
    };
    check_refused(garble, REMOTE, "is damaged");
}

#[test]
fn what_was_read_of_a_large_state_counts_only_if_its_check_finds_nothing() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    let tell = |_| Change::LogEvent {
        address: Some(address(1)),
        event: EventKind::InDoubt { action: IntentKind::Create, message: "x".repeat(5000) },
    };
    store.commit(&(0..400).map(tell).collect::<Vec<_>>(), at(1)).unwrap();
    drop(store);
    let reads = std::cell::Cell::new(0);
    let open_and_load = || {
        Store::open_and_read(&path, REMOTE, at(2), |store| {
            reads.set(reads.get() + 1);
            store.load()
        })
    };
    let (store, recorded) = open_and_load().unwrap();
    assert_eq!(recorded, store.load().unwrap());
    drop(store);
    // A page of events, which loading doesn't read.
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 1 << 20, "large: {}", bytes.len());
    bytes.get_mut(900_000..912_000).unwrap().fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let error = open_and_load().map(drop).unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error:?}");
    assert_eq!(reads.get(), 2, "it was read before the check had ended");
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file is unchanged");
}

#[test]
fn invalid_values_are_damage() {
    let check = |statement: &str, wanted: &str| {
        let (_folder, path) = fresh();
        let mut store = open(&path).unwrap();
        store.commit(&some_changes(), at(1)).unwrap();
        let begin = Change::Begin { attempt: AttemptId(0), address: address(1), intent: intent(4) };
        store.commit(&[begin], at(1)).unwrap();
        store.connection.execute_batch(statement).unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }), "{statement}: {error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
    };
    check("UPDATE assets SET asset_type = 'Hat'", "`Hat` isn't an asset type");
    check("UPDATE assets SET creator = 'x'", "`x` isn't a valid creator");
    check("UPDATE assets SET path = '../x'", "leaves the manifest's folder");
    check("UPDATE assets SET asked = '{\"x\": 1}'", "`x` isn't a metadata field");
    check("UPDATE revisions SET made_at = 'soon'", "");
    check(
        "INSERT INTO journal VALUES (0, 0, 'complete', NULL, '2026-01-01T00:00:00Z')",
        "the journal can't go from Intended by Complete",
    );
    check(
        "INSERT INTO journal VALUES (0, 0, 'refuse', NULL, '2026-01-01T00:00:00Z')",
        "attempt 0 is closed, but has no ending",
    );
    check("PRAGMA foreign_keys = 0; DELETE FROM assets", "has a revision but no record");
}

#[test]
fn integrity_check_finds_orphans() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    store.integrity_check().unwrap();
    store.connection.execute_batch("PRAGMA foreign_keys = 0; DELETE FROM assets").unwrap();
    let error = store.integrity_check().unwrap_err();
    assert!(error.to_string().contains("a row of `revisions` belongs to nothing"), "{error}");
}

#[test]
fn an_empty_state_beside_its_log_is_damage() {
    let (folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    let copy = folder.path().join("copy.db");
    fs::write(&copy, "").unwrap();
    fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    for error in [open(&copy).unwrap_err(), Store::open_read_only(&copy, REMOTE).unwrap_err()] {
        assert!(matches!(error, StateError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn committed_changes_survive_the_death_of_the_process() {
    let (folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    // The files as a killed process leaves them.
    let copy = folder.path().join("copy.db");
    for ending in ["", "-wal"] {
        let with = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        fs::copy(with(&path), with(&copy)).unwrap();
    }
    let recorded = store.load().unwrap();
    assert_eq!(Store::open_read_only(&copy, REMOTE).unwrap().unwrap().load().unwrap(), recorded);
    assert_eq!(open(&copy).unwrap().load().unwrap(), recorded);
}

#[test]
fn readers_see_committed_changes_and_leave_no_files() {
    let (_folder, path) = fresh();
    assert!(Store::open_read_only(&path, REMOTE).unwrap().is_none());
    assert!(!path.parent().unwrap().exists());
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    let beside = Store::open_read_only(&path, REMOTE).unwrap().unwrap();
    assert_eq!(beside.load().unwrap(), store.load().unwrap());
    store.commit(&[Change::Forget { address: address(1) }], at(2)).unwrap();
    assert!(beside.load().unwrap().assets.is_empty());
    drop((store, beside));
    let mut alone = Store::open_read_only(&path, REMOTE).unwrap().unwrap();
    assert!(alone.load().unwrap().assets.is_empty());
    let error = alone.commit(&some_changes(), at(3)).unwrap_err();
    assert!(matches!(error, StateError::ReadOnly { .. }), "{error:?}");
    drop(alone);
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["assets.db"]);
}

#[test]
fn a_read_only_database_is_read_without_files_beside_it() {
    let (folder, path) = fresh();
    // Signs that mean something in a URI, which SQLite gets; Windows has no `?` in a name.
    let odd = folder.path().join(if cfg!(windows) { "50% #1.db" } else { "50%? #1.db" });
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    drop(store);
    fs::rename(&path, &odd).unwrap();
    let connection = super::open::connect_immutable(&odd).unwrap();
    let store = Store { connection, path: odd, remote: REMOTE.to_owned(), files: Vec::new(), _alone: None };
    assert_eq!(store.load().unwrap().assets.len(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the empty folder and the database");
}

/// Windows itself opens nothing with more than 260 characters.
#[test]
fn a_state_with_a_long_path_is_written_read_and_copied() {
    let (folder, _) = fresh();
    let deep = folder.path().join(["a-folder-with-a-name-of-more-than-forty-letters"; 6].join("/"));
    let path = deep.join("assets.db");
    assert!(path.as_os_str().len() > 300);
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    let beside = Store::open_read_only(&path, REMOTE).unwrap().unwrap();
    assert_eq!(beside.load().unwrap(), store.load().unwrap());
    drop(beside);
    let copy = deep.join("copy.db");
    store.copy_to(&copy).unwrap();
    drop(store);
    let connection = super::open::connect_immutable(&copy).unwrap();
    let read = Store { connection, path: copy, remote: REMOTE.to_owned(), files: Vec::new(), _alone: None };
    assert_eq!(read.load().unwrap(), open(&path).unwrap().load().unwrap());
}

#[test]
#[cfg(unix)]
fn a_path_that_sqlite_can_not_open_is_an_error_with_a_way_out() {
    let (folder, _) = fresh();
    let deep = folder.path().join(["a-folder-with-a-name-of-more-than-forty-letters"; 12].join("/"));
    let error = open(&deep.join("assets.db")).unwrap_err();
    assert!(matches!(error, StateError::PathTooLong { .. }), "{error:?}");
    assert!(error.to_string().ends_with("bytes, and SQLite takes at most 504"), "{error}");
    assert!(error.hint().unwrap().contains("--state"));
}

#[test]
fn a_full_disk_loses_nothing_and_is_reported() {
    let (_folder, path) = fresh();
    let mut store = open(&path).unwrap();
    store.commit(&some_changes(), at(1)).unwrap();
    let before = store.load().unwrap();
    let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let long = |number: u8| {
        let message = "x".repeat(50_000);
        vec![Change::LogEvent {
            address: Some(address(number)),
            event: EventKind::InDoubt { action: IntentKind::Create, message },
        }]
    };
    let error = store.commit(&long(1), at(2)).unwrap_err();
    assert!(matches!(error, StateError::Full { .. }), "{error:?}");
    let batches: Vec<Batch> = (1..3).map(|n| Batch { changes: long(n), now: at(2) }).collect();
    for result in store.commit_group(&batches) {
        assert!(matches!(result, Err(StateError::Full { .. })), "{result:?}");
    }
    assert_eq!(store.load().unwrap(), before);
    assert!(store.events(None, 9).unwrap().is_empty());
    store.connection.pragma_update_and_check(None, "max_page_count", 1 << 20, |_| Ok(())).unwrap();
    store.commit(&long(1), at(3)).unwrap();
}

#[test]
fn migrations_are_sound() {
    rusqlite_migration::Migrations::from_slice(super::schema::MIGRATIONS).validate().unwrap();
}

#[test]
fn a_check_on_json_says_what_null_means() {
    // Before 3.43 SQLite's `json_valid(NULL)` is 0, so its `integrity_check` would find faults in a
    // valid state.
    let migration = include_str!("../../../migrations/0001_state.sql");
    let checks: Vec<&str> =
        migration.lines().filter(|line| line.contains("CHECK (") && line.contains("json_valid(")).collect();
    assert!(checks.len() > 5, "{checks:?}");
    for line in checks {
        assert!(line.contains("NOT NULL") || line.contains("IS NULL OR"), "{line}");
    }
}
