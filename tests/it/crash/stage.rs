//! A project and a remote under crashes, and the audit after each of them.
//!
//! The state is only ever read from a copy, so that looking at it neither recovers nor tidies what
//! the crash left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};

use macadam::emulator::{ApiEndpoint, Conditions, Config, EndpointLimits, FaultAction, FaultRule, Limit};
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::system::{self, Signal};
use crate::support::{Project, Ran, Remote};

/// The number of runs that a death may need: one settles the request in doubt, and one continues
/// from there.
const RUNS_TO_CONVERGE: usize = 2;

/// A project, its remote, and the findings of the audit so far.
pub struct Stage {
    pub remote: Remote,
    pub project: Project,
    /// Which addresses ever held which content.
    written: BTreeMap<String, BTreeSet<String>>,
    recorded: RecordedDuplicates,
}

/// Counts over the life of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RecordedDuplicates {
    /// Assets at the remote that neither state nor lockfile knows, by address.
    orphans: BTreeMap<String, u32>,
    /// Possible duplicates that the state records, by address.
    duplicates: BTreeMap<String, u32>,
}

/// A change of the remote that a death left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its number in the journal.
    pub id: i64,
    pub address: String,
    pub action: String,
    /// The last event of its journal.
    pub last: Option<String>,
}

impl Open {
    /// Whether it is unknown whether an asset was made.
    pub fn is_create_in_doubt(&self) -> bool {
        let handed_over = matches!(self.last.as_deref(), Some("hand_over" | "doubt" | "recover"));
        handed_over && matches!(self.action.as_str(), "create" | "replace")
    }
}

/// A run of the program beside the test. It dies with the test.
pub struct Beside(Option<Child>);

impl Beside {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub fn send(&mut self, signal: Signal) {
        system::send(self.child(), signal);
    }

    pub fn is_running(&mut self) -> bool {
        self.child().try_wait().unwrap().is_none()
    }

    /// Its end: how it ended, or that it was killed.
    pub fn end(mut self) -> Option<Ran> {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        (!system::was_killed(output.status)).then(|| Ran::of(output))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Switches off limits and delays, which these tests don't need.
pub fn remote() -> Remote {
    let endpoints = ApiEndpoint::ALL.into_iter().map(|endpoint| (endpoint, Limit::of(1_000_000))).collect();
    Remote::with(Config {
        limits: EndpointLimits { endpoints, ..EndpointLimits::none() },
        switches: vec![("operation_visible_after_ms".to_owned(), "0".to_owned())],
        ..Config::default()
    })
}

pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Stage {
    pub fn new(manifest: &str) -> Self {
        let remote = remote();
        let project = Project::new(manifest).at(&remote.url());
        Self { remote, project, written: BTreeMap::new(), recorded: RecordedDuplicates::default() }
    }

    /// Writes an asset's file, whose address is its path.
    pub fn write(&mut self, address: &str, content: impl AsRef<[u8]>) {
        self.written.entry(hash(content.as_ref())).or_default().insert(address.to_owned());
        self.project.write(address, content);
    }

    /// A run that is to die at `failpoint`; `None` when it died there.
    pub fn crash(&self, failpoint: &str) -> Option<Ran> {
        self.crash_in(&["sync", "--once"], failpoint)
    }

    /// The same of another command.
    pub fn crash_in(&self, args: &[&str], failpoint: &str) -> Option<Ran> {
        let mut command = self.project.command(&[args, &["--json"]].concat());
        let output = command.env("MACADAM_FAILPOINT", failpoint).output().unwrap();
        (!system::was_killed(output.status)).then(|| Ran::of(output))
    }

    /// A run beside the test.
    pub fn spawn(&self) -> Beside {
        self.spawn_with(&[])
    }

    /// A run beside the test with further arguments.
    pub fn spawn_with(&self, arguments: &[&str]) -> Beside {
        let mut command = self.project.command(&[&["sync", "--once", "--json"], arguments].concat());
        Beside(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Waits until the remote has handled the requests that a dead process left on the wire.
    pub fn quiet(&self) {
        wait_until("the remote to be quiet", || self.remote.control().counters().in_flight == 0);
    }

    /// Runs until everything is in sync.
    #[track_caller]
    pub fn converge(&self) {
        for _ in 0..RUNS_TO_CONVERGE {
            let (code, document) = self.project.json(&["sync", "--once"]);
            if code == 0 {
                assert_eq!(document["in_sync"], true, "{document:#}");
                return;
            }
        }
        panic!("not in sync after {RUNS_TO_CONVERGE} runs: {:#}", self.project.json(&["sync", "--once"]).1);
    }

    /// Checks the state right after a death: the state is sound, the lockfile whole. Returns the
    /// work that the death left open.
    #[track_caller]
    pub fn examine_the_dead(&self) -> Vec<Open> {
        self.quiet();
        if self.project.file("assets.lock.toml").exists() {
            self.lockfile();
        }
        let (code, _) = self.project.json(&["status"]);
        assert_eq!(code, 0, "status after a death");
        self.open()
    }

    /// Converges after a death, which left `open` behind, and checks that nothing was lost or
    /// doubled beyond what is allowed and recorded: a possible duplicate for each create in
    /// doubt, and for nothing else.
    #[track_caller]
    pub fn recover(&mut self, open: &[Open]) {
        let before = self.recorded.clone();
        self.converge();
        self.audit();
        // An attempt that outlived two deaths counts once.
        let in_doubt: BTreeMap<i64, &Open> =
            open.iter().filter(|open| open.is_create_in_doubt()).map(|open| (open.id, open)).collect();
        let mut expected = before.duplicates.clone();
        in_doubt.values().for_each(|open| *expected.entry(open.address.clone()).or_default() += 1);
        assert_eq!(self.recorded.duplicates, expected, "possible duplicates recorded, after {open:?}");
        for (address, count) in &self.recorded.orphans {
            let new = count - before.orphans.get(address).unwrap_or(&0);
            let more =
                self.recorded.duplicates.get(address).unwrap_or(&0) - before.duplicates.get(address).unwrap_or(&0);
            assert!(new <= more, "{address} was doubled {new} times and recorded {more} times, after {open:?}");
        }
    }

    /// Checks a project that is in sync.
    #[track_caller]
    pub fn audit(&mut self) {
        self.quiet();
        assert_eq!(self.open(), [], "open changes of a project in sync");
        let ids = self.matches_the_files();
        self.recorded =
            RecordedDuplicates { orphans: self.orphans(&ids), duplicates: self.events("possible_duplicate") };
        let before = self.remote.all_requests();
        let second = self.project.sync();
        assert_eq!(second["actions"].as_array().map(Vec::len), Some(0), "{second:#}");
        assert_eq!(self.remote.all_requests(), before, "a second run sends nothing");
    }

    /// Checks that lockfile, status and remote agree with the files. Returns all asset IDs of the
    /// lockfile.
    #[track_caller]
    fn matches_the_files(&self) -> BTreeSet<u64> {
        let lockfile = self.lockfile();
        let (code, status) = self.project.json(&["status"]);
        assert_eq!(code, 0);
        let assets = self.remote.assets();
        for row in status["assets"].as_array().unwrap() {
            assert_eq!(row["state"], "synced", "{row:#}");
            let address = row["address"].as_str().unwrap();
            let file = hash(&std::fs::read(self.project.file(address)).unwrap());
            assert_eq!(row["content_hash"], file.as_str(), "{address}");
            let id = row["asset_id"].as_u64().unwrap();
            let at_remote = assets.iter().find(|asset| asset.asset.id == id).expect("an asset of this ID");
            let head = at_remote.asset.versions.iter().find(|version| version.number == at_remote.asset.head).unwrap();
            assert_eq!(head.content.hash, file, "{address} at the remote");
            let revisions = lockfile["assets"][address]["revisions"].as_array().unwrap();
            assert!(revisions.iter().any(|revision| number(revision) == id), "{address}: {id} is not in the lockfile");
        }
        let entries = lockfile["assets"].as_table().unwrap();
        assert!(entries.values().all(|entry| entry.get("open").is_none()), "{lockfile}");
        lockfile_ids(&lockfile)
    }

    /// Assets at the remote that the lockfile doesn't know, by the address whose content they have;
    /// and no content twice in one asset.
    fn orphans(&self, known: &BTreeSet<u64>) -> BTreeMap<String, u32> {
        let mut orphans = BTreeMap::new();
        for report in self.remote.assets() {
            let asset = report.asset;
            let contents: Vec<&str> = asset.versions.iter().map(|version| version.content.hash.as_str()).collect();
            let distinct: BTreeSet<&str> = contents.iter().copied().collect();
            assert_eq!(distinct.len(), contents.len(), "asset {} has a content twice", asset.id);
            if !known.contains(&asset.id) {
                let address = self.written[contents[0]].first().unwrap();
                *orphans.entry(address.clone()).or_default() += 1;
            }
        }
        orphans
    }

    /// Plays a fault until the faults are cleared.
    pub fn fault(&self, endpoint: ApiEndpoint, action: FaultAction) -> u64 {
        let conditions = Conditions { endpoint: Some(endpoint), ..Conditions::default() };
        let rule = FaultRule { label: None, conditions, times: None, action };
        self.remote.control().add_faults(vec![rule]).unwrap()[0]
    }

    /// How many assets at the remote were made with this content.
    pub fn copies(&self, content: &[u8]) -> usize {
        let hash = hash(content);
        self.remote.assets().iter().filter(|asset| asset.asset.versions[0].content.hash == hash).count()
    }

    /// The lockfile, which must be whole.
    #[track_caller]
    pub fn lockfile(&self) -> toml::Value {
        let text = self.project.read("assets.lock.toml");
        assert!(text.ends_with("\n# end of lockfile\n"), "a torn lockfile: {text:?}");
        toml::Value::Table(toml::from_str(&text).unwrap())
    }

    /// The state as it is on disk, which must be sound. Read from a copy.
    fn state(&self) -> (tempfile::TempDir, Option<Connection>) {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["", "-wal"] {
            let mut from = self.project.state().into_os_string();
            from.push(ending);
            if std::path::Path::new(&from).exists() {
                std::fs::copy(from, folder.path().join(format!("assets.db{ending}"))).unwrap();
            }
        }
        let path = folder.path().join("assets.db");
        // A run may die before it made the state: then there is no file, an empty one, or one
        // without its tables.
        let connection = path.exists().then(|| Connection::open(path).unwrap()).filter(|connection| {
            let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok");
            connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)) == Ok(0)
                && connection.table_exists(None, "attempts").unwrap()
        });
        (folder, connection)
    }

    /// The changes of the remote that are open, by the journal.
    pub fn open(&self) -> Vec<Open> {
        let (_folder, Some(state)) = self.state() else { return Vec::new() };
        let sql = "SELECT id, address, action,
                (SELECT event FROM journal WHERE attempt = attempts.id ORDER BY step DESC LIMIT 1)
            FROM attempts WHERE ending IS NULL ORDER BY id";
        let mut statement = state.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            Ok(Open { id: row.get(0)?, address: row.get(1)?, action: row.get(2)?, last: row.get(3)? })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// How many events of a kind the state tells, by address.
    pub fn events(&self, kind: &str) -> BTreeMap<String, u32> {
        let (_folder, Some(state)) = self.state() else { return BTreeMap::new() };
        let sql = "SELECT address, count(*) FROM events WHERE kind = ?1 AND address IS NOT NULL GROUP BY address";
        let mut statement = state.prepare(sql).unwrap();
        let rows = statement.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Deletes the state, as on a CI machine that is thrown away.
    pub fn lose_the_state(&self) {
        self.project.remove_state();
    }
}

/// Waits for something that must come, however slow the machine is.
#[track_caller]
pub fn wait_until(what: &str, mut come: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !come() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// All asset IDs that a lockfile knows.
pub fn lockfile_ids(lockfile: &toml::Value) -> BTreeSet<u64> {
    let entries = lockfile.get("assets").and_then(toml::Value::as_table);
    let revisions = entries.into_iter().flat_map(toml::Table::values).filter_map(|entry| entry.get("revisions"));
    revisions.filter_map(toml::Value::as_array).flatten().map(number).collect()
}

fn number(revision: &toml::Value) -> u64 {
    u64::try_from(revision["asset_id"].as_integer().unwrap()).unwrap()
}

/// Returns the outcome of `sync` for an address.
pub fn action<'a>(document: &'a Value, address: &str) -> &'a Value {
    let actions = document["actions"].as_array().unwrap();
    actions.iter().rfind(|action| action["address"] == address).unwrap_or_else(|| panic!("{address}: {document:#}"))
}
