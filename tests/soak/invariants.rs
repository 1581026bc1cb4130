//! The invariants of each calm. They look where a person would: at the files, the output of
//! `status`, the assets at the remote, and the state behind the program's back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::figures::PhaseSample;
use crate::fixture::{Row, SoakFixture};
use crate::known::{Known, tally};
use crate::manifest::Manifest;
use crate::runners;
use crate::scenario::Scenario;

/// The most resident memory in kilobytes, and the most growth beyond half again of the size at the
/// start of a life.
const MEMORY: u64 = 100 * 1024;
const GROWTH: u64 = 10 * 1024;

const DESCRIPTORS: u64 = 200;
const THREADS: u64 = 40;
/// At most one task for each file, and some more.
const TASKS: u64 = 300;

/// Lines of log for each action, roughly: a change has two to four, and an outage as many again.
const LINES: u64 = 40;

/// Returns the content that an asset was made with.
pub fn made_with(asset: &Value) -> String {
    asset["versions"][0]["content"]["hash"].as_str().unwrap().to_owned()
}

fn id(asset: &Value) -> u64 {
    asset["id"].as_u64().unwrap()
}

/// Returns its current content.
fn head(asset: &Value) -> &str {
    let versions = asset["versions"].as_array().unwrap();
    let current = versions.iter().find(|version| version["number"] == asset["head"]).unwrap();
    current["content"]["hash"].as_str().unwrap()
}

/// Returns the SHA-256 of these bytes, in the emulator's format.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the path of each desired address, from the files and the manifest alone.
fn desired(fixture: &SoakFixture, manifest: &Manifest) -> BTreeMap<String, String> {
    let entries = manifest.entries();
    let found = [fixture.project.files("ui", "png"), fixture.project.files("models", "rbxmx")].concat();
    let is_free = |path: &String| entries.values().all(|entry| entry.path != *path);
    let free = found.into_iter().filter(is_free).map(|path| (path.clone(), path));
    free.chain(entries.iter().map(|(address, entry)| (address.clone(), entry.path.clone()))).collect()
}

/// The reason why the service is not in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfStep {
    /// The address concerned.
    pub address: String,
    pub why: String,
    /// Whether Macadam reports it as synced, so that nothing will repair it.
    pub unseen: bool,
}

/// Checks that every address is synced, or pinned or archived by the scenario, and that the remote
/// has the bytes.
pub fn in_step(fixture: &SoakFixture, scenario: &Scenario) -> Result<(), OutOfStep> {
    let manifest = Manifest::read(&fixture.project);
    let desired = desired(fixture, &manifest);
    let out = |address: &str, why: String| OutOfStep { address: address.to_owned(), why, unseen: false };
    let rows = fixture.status().ok_or_else(|| out("", "`status` says nothing".to_owned()))?;
    let rows: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.address.as_str(), row)).collect();
    let assets: BTreeMap<u64, Value> =
        fixture.emulator.assets().into_iter().map(|asset| (asset["id"].as_u64().unwrap(), asset)).collect();
    for (address, path) in &desired {
        let row = rows.get(address.as_str()).ok_or_else(|| out(address, format!("`{address}` has no row")))?;
        let wrong = |what: &str| OutOfStep {
            unseen: true,
            ..out(address, format!("`{address}` is {}, and {what}", row.state))
        };
        let asset = row.asset_id.and_then(|id| assets.get(&id));
        let is_archived = asset.is_some_and(|asset| asset["archived"] == true);
        match (row.state.as_str(), asset) {
            ("synced" | "pinned", Some(_)) if is_archived => return Err(wrong("its asset is archived")),
            ("synced", Some(asset)) if head(asset) != hash(&fixture.project.read(path)) => {
                return Err(wrong("the remote has other bytes than the file"));
            }
            ("pinned", _) if !manifest.pins().contains(address) => return Err(wrong("no pin says so")),
            ("archived", Some(_)) if !is_archived => return Err(wrong("its asset is not")),
            ("archived", _) if row.archived_by.as_deref() != Some("hand") => return Err(wrong("not by hand")),
            ("archived", _) if row.asset_id.is_none_or(|id| !scenario.archived.contains(&id)) => {
                return Err(wrong("nobody asked for it"));
            }
            ("synced" | "pinned" | "archived", Some(asset)) => {
                if row.content_hash.as_deref() != Some(head(asset)) {
                    return Err(wrong("the remote has other bytes than it knows"));
                }
            }
            _ => return Err(out(address, row.description())),
        }
        let described = manifest.entries().get(address).and_then(|entry| entry.description.clone());
        let stored = asset.and_then(|asset| asset["metadata"]["description"].as_str()).unwrap_or_default();
        if described.is_some_and(|text| row.state == "synced" && text != stored) {
            return Err(wrong(&format!("its description at the remote is {stored:?}")));
        }
    }
    // A create in doubt of a removed address stays as it is: no file needs it.
    let is_over = |row: &Row| ["removed", "archived", "in_progress"].contains(&row.state.as_str());
    let mut left = rows.values().filter(|row| !desired.contains_key(&row.address));
    match left.find(|row| !is_over(row)) {
        Some(row) => Err(out(&row.address, format!("nobody wants {}", row.description()))),
        None => Ok(()),
    }
}

/// The knowledge of the previous calm, and the facts kept over all of them.
#[derive(Debug, Default)]
pub struct Ledger {
    known: Known,
    /// The number of states there had been then.
    states: u32,
    /// The contents that were reported as duplicated.
    doubled: BTreeSet<String>,
}

impl Ledger {
    /// Checks that the state is sound and has forgotten nothing, and that no asset is lost or
    /// duplicated without a record.
    pub fn check(&mut self, fixture: &mut SoakFixture) {
        let known = fixture.service.frozen(|| Known::state(&fixture.project));
        let lockfiles = fixture.project.lockfiles();
        // Facts that only a lost state knew are excused. A state that was not touched is never
        // excused.
        let mut excused: BTreeSet<u64> = fixture.gone.iter().flat_map(Known::assets).collect();
        excused.extend(&known.forgotten);
        let mut before = std::mem::take(&mut self.known);
        before.facts.retain(|(_, asset, _), _| !excused.contains(asset));
        if self.states == fixture.states {
            known.has_lost_nothing_of(&before, "the state");
        } else {
            known.clone().and(&lockfiles).has_lost_nothing_of(&before, "the state and the lockfiles");
        }
        self.states = fixture.states;
        let lockfile = Known::lockfile(&fixture.project.text("assets.lock.toml"));
        known.has_lost_nothing_of(&lockfile, "the state, of the lockfile");
        let desired = desired(fixture, &Manifest::read(&fixture.project));
        for address in desired.keys() {
            assert!(lockfile.has(address), "the lockfile lacks `{address}`");
        }
        for (address, submitted, content) in &known.open {
            let is_over = !submitted && !desired.contains_key(address);
            assert!(is_over, "the create of `{address}` with the content {content} is open");
        }
        known.check_all_reported();
        let mut assets = fixture.emulator.assets();
        assets.retain(|asset| asset["creator"] != runners::OWNER);
        let both = known.clone().and(&lockfiles);
        let open = tally(both.open.iter().map(|(_, _, content)| content));
        let mut given_up = known.abandoned.clone();
        given_up.extend(both.possible.iter().map(|(upload, one)| (upload.clone(), one.content.clone())));
        given_up.extend(fixture.gone.iter().flat_map(|gone| gone.abandoned.clone()));
        let all_given_up = given_up.len();
        let unsettled = tally(both.unsettled(&given_up).values());
        let given_up = tally(given_up.values());
        let lost_open = tally(fixture.gone.iter().flat_map(|gone| gone.open.iter().map(|(_, _, content)| content)));
        // An asset that only a lost state knew may have been made again.
        let lost =
            tally(assets.iter().filter(|asset| excused.contains(&id(asset))).map(made_with).collect::<Vec<_>>().iter());
        let of = |counts: &BTreeMap<String, usize>, content: &String| counts.get(content).copied().unwrap_or(0);
        let may_be = |content: &String| {
            of(&open, content) + of(&lost_open, content) + of(&given_up, content) + of(&lost, content)
        };

        let ids = both.assets();
        let unknown = assets.iter().filter(|asset| !ids.contains(&asset["id"].as_u64().unwrap())).map(made_with);
        let unknown: Vec<String> = unknown.collect();
        for (content, count) in tally(&unknown) {
            let recorded =
                of(&open, &content) + of(&lost_open, &content) + of(&unsettled, &content) + of(&lost, &content);
            assert!(
                count <= recorded,
                "{count} assets with the content {content} are unknown, {recorded} are recorded"
            );
        }
        let doubles = self.doubles(&assets, &known, &may_be, fixture);
        let figures = &mut fixture.figures;
        (figures.assets, figures.unknown, figures.doubles) = (assets.len(), unknown.len(), doubles);
        figures.given_up = all_given_up;
        self.known = known;
    }

    /// Returns how many assets there are beyond the first of their type with the content that they
    /// were made with. Unexplained ones fail the soak, but only at its end: later phases are worth
    /// seeing too.
    fn doubles(
        &mut self,
        assets: &[Value],
        known: &Known,
        excused: &dyn Fn(&String) -> usize,
        fixture: &mut SoakFixture,
    ) -> usize {
        let mut made: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
        for asset in assets {
            let of_type = (asset["asset_type"].to_string(), made_with(asset));
            made.entry(of_type).or_default().push(asset["id"].as_u64().unwrap());
        }
        let has_gone_on = |asset: &&Value| asset["head"].as_u64() > Some(1);
        let went_on: BTreeSet<u64> =
            assets.iter().filter(has_gone_on).map(|asset| asset["id"].as_u64().unwrap()).collect();
        let mut doubles = 0;
        for ((asset_type, content), ids) in made {
            doubles += ids.len() - 1;
            // A Model that was renamed on one branch is another asset on a branch that had never
            // synced it (docs/promises.md). And a Model that received other bytes is not reused for
            // a new file with its first ones.
            let is_other = |id: &&u64| known.elsewhere.contains(id) || went_on.contains(id);
            let others = if asset_type.contains("Model") { ids.iter().filter(is_other).count() } else { 0 };
            let allowed = 1 + excused(&content) + others;
            if ids.len() > allowed && self.doubled.insert(content.clone()) {
                let what =
                    format!("{ids:?} of type {asset_type} were made with {content}, of which {allowed} are explained");
                fixture.broken(&what);
            }
        }
        doubles
    }
}

/// Checks that the service's resource usage is bounded, and doesn't grow within a life.
pub fn bounded(samples: &[PhaseSample]) {
    let Some(PhaseSample { life, phase, sample: now }) = samples.last() else { return };
    let first = samples.iter().find(|sampled| sampled.life == *life).map(|sampled| sampled.sample).unwrap();
    let allowed = (first.rss * 3 / 2 + GROWTH).min(MEMORY);
    assert!(now.rss <= allowed, "life {life} takes {} KB in phase {phase}, began with {} KB", now.rss, first.rss);
    assert!(now.peak <= MEMORY, "life {life} took {} KB", now.peak);
    assert!(now.descriptors <= DESCRIPTORS, "life {life} has {} descriptors open", now.descriptors);
    assert!(now.threads <= THREADS, "life {life} has {} threads", now.threads);
    assert!(now.tasks.unwrap_or(0) <= TASKS, "life {life} has {:?} tasks", now.tasks);
}

/// Checks that the service reports itself healthy.
pub fn healthy(fixture: &SoakFixture) {
    for page in ["/healthz", "/readyz"] {
        let (status, text) = fixture.service.page(page).unwrap_or_else(|| panic!("{page} can't be reached"));
        assert_eq!(status, 200, "{page}: {text}");
    }
}

/// Checks that the log has what a person needs, and not everything that happens.
pub fn few_lines(fixture: &SoakFixture) {
    let (lines, actions) = (fixture.service.lines(), fixture.figures.all_actions());
    assert!(lines <= LINES * actions + 1000, "{lines} lines were logged in {actions} actions");
}
