//! Nothing lost, nothing doubled: the faults of network, server and disk, each scripted, each
//! counted, each survived.
//!
//! A case lets the program run under faults, proves by their counters that they fired, ends them,
//! and lets it run until it converges. [`Trial::converge`] holds what must be true after every one.
//! Read next: the file of a level.

mod backup;
mod clock;
mod disk;
mod endless;
mod foreign;
mod hostile;
mod lagging;
mod lockfile;
mod network;
mod operations;
mod pace;
mod panics;
mod process;
mod quota;
mod refusals;
mod room;
mod server;
mod shared_key;
mod tls;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use macadam::emulator::{Config, EndpointLimits, FaultRule, Limit};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::support::{Project, Ran, Remote, SECRET, png, rbxmx};

/// One of each kind of upload: a type that is replaced, and one that is updated in place.
const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n\n[assets.sword]\npath = \"models/sword.rbxmx\"\ndisplay_name = \"Sword\"\ndescription = \"\"\n";

/// A project and its remote, under faults.
pub struct Trial {
    pub remote: Remote,
    pub project: Project,
    /// The rules whose counters must tell that they fired.
    rules: Vec<u64>,
    /// How many windows may be exceeded: none, unless a limit is lowered and the client can't know.
    pub exceeded: u64,
}

/// Limits so high that tests of other things never reach them.
pub fn generous() -> EndpointLimits {
    let mut limits = EndpointLimits::documented();
    limits.endpoints.values_mut().for_each(|limit| *limit = Limit::of(10_000));
    limits
}

impl Trial {
    /// Two pictures and a model, none of them uploaded.
    pub fn new() -> Self {
        Self::with(MANIFEST, Config { limits: generous(), ..Config::default() })
    }

    /// The same files under another manifest, with another remote.
    pub fn with(manifest: &str, config: Config) -> Self {
        let remote = Remote::with(config);
        // Operations are known at once; that they may not be has a test of its own.
        remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
        let project = Project::new(manifest).at(&remote.url());
        project.write("ui/a.png", png(1));
        project.write("ui/b.png", png(2));
        project.write("models/sword.rbxmx", rbxmx("one"));
        Self { remote, project, rules: Vec::new(), exceeded: 0 }
    }

    /// All uploaded, and then everything changed: what follows are a replacement, an update of
    /// content and one of metadata.
    pub fn changed() -> Self {
        let trial = Self::new();
        trial.project.sync();
        trial.project.write("ui/a.png", png(11));
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        trial.project.write("assets.toml", MANIFEST.replace("description = \"\"", "description = \"Sharp\""));
        trial
    }

    /// Scripts faults: one rule, or a list.
    pub fn fault(mut self, script: Value) -> Self {
        let rules: Vec<FaultRule> =
            serde_json::from_value(if script.is_array() { script } else { json!([script]) }).unwrap();
        self.rules.extend(self.remote.control().add_faults(rules).unwrap());
        self
    }

    /// Runs under the faults for this many seconds, with short timeouts.
    pub fn run(&self, seconds: u32) -> Ran {
        let timeout = format!("{seconds}s");
        self.project.run(&["sync", "--once", "--json", "--patience", "2s", "--timeout", &timeout])
    }

    /// The same, and returns its output.
    pub fn document(&self, seconds: u32, code: i32) -> Value {
        let ran = self.run(seconds).expect(code);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Whether every scripted fault has fired so far.
    pub fn has_fired(&self) -> bool {
        self.rules.iter().all(|id| self.remote.control().fired(*id) > 0)
    }

    /// Checks that every scripted fault has fired.
    #[track_caller]
    pub fn fired(&self) {
        for id in &self.rules {
            assert!(self.remote.control().fired(*id) > 0, "never fired: {:?}", self.remote.control().faults());
        }
    }

    /// Ends the faults, which must have fired, and lets the project converge.
    #[track_caller]
    pub fn converge(&self) {
        self.fired();
        self.remote.control().clear_faults();
        self.settle();
    }

    /// Lets the project converge, and checks the invariants.
    #[track_caller]
    pub fn settle(&self) {
        let (code, document) = self.project.json(&["sync", "--once", "--timeout", "60s"]);
        assert_eq!((code, &document["in_sync"]), (0, &json!(true)), "{document:#}");
        let requests = self.remote.all_requests();
        let (code, second) = self.project.json(&["sync", "--once"]);
        assert_eq!((code, &second["actions"]), (0, &json!([])), "{second:#}");
        assert_eq!(self.remote.all_requests(), requests, "a second run sends nothing");
        self.invariants();
    }

    /// Checks the invariants that hold whatever happened.
    #[track_caller]
    pub fn invariants(&self) {
        let counters = self.remote.control().counters();
        let exceeded: u64 = counters.windows_exceeded.values().sum();
        assert!(exceeded <= self.exceeded, "{:?}", counters.windows_exceeded);
        self.every_asset_is_known();
        self.a_doubled_upload_is_recorded();
        no_key_in(self.project.path());
    }

    /// The bytes at the remote are the bytes of the files, and state and lockfile know every ID.
    #[track_caller]
    fn every_asset_is_known(&self) {
        let (_, status) = self.project.json(&["status"]);
        let lockfile = self.project.read("assets.lock.toml");
        for row in status["assets"].as_array().unwrap() {
            assert_eq!(row["state"], "synced", "{status:#}");
            let bytes = std::fs::read(self.project.file(row["path"].as_str().unwrap())).unwrap();
            let hash = hex(&bytes);
            assert_eq!(row["content_hash"], hash.as_str(), "{row:#}");
            let id = row["asset_id"].as_u64().unwrap();
            assert!(lockfile.contains(&id.to_string()) && lockfile.contains(&hash), "{lockfile}");
            let found = self.remote.control().asset(id).expect("the asset exists").asset;
            let head = found.versions.iter().find(|version| version.number == found.head).unwrap();
            assert_eq!(head.content.hash, hash, "{row:#}");
        }
    }

    /// One asset a content, and one version a content of a model; unless an event says that there
    /// may be more.
    #[track_caller]
    fn a_doubled_upload_is_recorded(&self) {
        let mut made: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for report in self.remote.assets() {
            let contents: Vec<_> = report.asset.versions.iter().map(|version| &version.content.hash).collect();
            let different: BTreeSet<_> = contents.iter().collect();
            assert_eq!(different.len(), contents.len(), "a version twice: {:?}", report.asset);
            let first = report.asset.versions[0].content.hash.clone();
            made.entry(first).or_default().insert(report.asset.id);
        }
        let extra: usize = made.values().map(|ids| ids.len() - 1).sum();
        let (_, status) = self.project.json(&["status"]);
        let rows = status["assets"].as_array().unwrap().iter();
        let told: u64 = rows.map(|row| row["possible_duplicates"].as_u64().unwrap()).sum();
        assert!(extra as u64 <= told, "{extra} doubled, {told} recorded: {made:?}");
    }

    /// How many events of a kind the state has.
    pub fn events(&self, kind: &str) -> usize {
        let state = rusqlite::Connection::open(self.project.state()).unwrap();
        state.query_row("SELECT count(*) FROM events WHERE kind = ?1", [kind], |row| row.get::<_, u32>(0)).unwrap()
            as usize
    }

    /// The `error` of an address in a report.
    pub fn error(document: &Value, address: &str) -> String {
        let actions = document["actions"].as_array().unwrap();
        let entries = actions.iter().filter(|action| action["address"] == address);
        entries.filter_map(|action| action["error"].as_str()).next_back().unwrap_or_default().to_owned()
    }

    /// The last `outcome` of an address in a report.
    pub fn outcome(document: &Value, address: &str) -> String {
        let actions = document["actions"].as_array().unwrap();
        let entries = actions.iter().filter(|action| action["address"] == address);
        entries.filter_map(|action| action["outcome"].as_str()).next_back().unwrap_or_default().to_owned()
    }
}

/// SHA-256 in hex.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key is in no file of the project.
#[track_caller]
fn no_key_in(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_key_in(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!found, "the key is in {}", path.display());
        }
    }
}

/// Runs the cases of a table side by side: most of their time is waiting.
pub fn side_by_side<T: Sync>(cases: &[(&'static str, T)], check: impl Fn(&T) + Sync) {
    let check = &check;
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|(name, case)| {
                let thread = std::thread::Builder::new().name((*name).to_owned());
                (*name, thread.spawn_scoped(scope, move || check(case)).unwrap())
            })
            .collect();
        running.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}; each says above, under its name, what happened");
}

/// The table that most faults share: both a first upload and a change of everything run under the
/// fault, survive it, and converge.
pub fn survive(cases: &[(&'static str, Value)]) {
    side_by_side(cases, |script| {
        let trial = Trial::new().fault(script.clone());
        trial.run(15);
        trial.converge();
    });
}

/// The same for a change of everything.
pub fn survive_changing(cases: &[(&'static str, Value)]) {
    side_by_side(cases, |script| {
        let trial = Trial::changed().fault(script.clone());
        trial.run(15);
        trial.converge();
    });
}
