//! What must hold in each calm. A person would look in the same places: the files, what `status`
//! says, the assets at the remote, and the state past the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::figures::Taken;
use crate::known::{Known, tally};
use crate::manifest::Manifest;
use crate::runners;
use crate::stage::{Row, Stage};
use crate::story::Story;

/// Resident memory at most, in kilobytes, and how much of it may come on top of half again of what
/// a life began with.
const MEMORY: u64 = 100 * 1024;
const GROWTH: u64 = 10 * 1024;

const DESCRIPTORS: u64 = 200;
const THREADS: u64 = 40;
/// A task a file at most, and some.
const TASKS: u64 = 300;

/// Lines of log for each action, about: a change has two to four, and an outage as many again.
const LINES: u64 = 40;

/// The content that an asset was made with.
pub fn made_with(asset: &Value) -> String {
    asset["versions"][0]["content"]["hash"].as_str().unwrap().to_owned()
}

fn id(asset: &Value) -> u64 {
    asset["id"].as_u64().unwrap()
}

/// The content that it has now.
fn head(asset: &Value) -> &str {
    let versions = asset["versions"].as_array().unwrap();
    let current = versions.iter().find(|version| version["number"] == asset["head"]).unwrap();
    current["content"]["hash"].as_str().unwrap()
}

/// The SHA-256 of these bytes, as the emulator spells it.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is wanted: the path of each address, by the files and the manifest alone.
fn wanted(stage: &Stage, manifest: &Manifest) -> BTreeMap<String, String> {
    let entries = manifest.entries();
    let found = [stage.project.files("ui", "png"), stage.project.files("models", "rbxmx")].concat();
    let is_free = |path: &String| entries.values().all(|entry| entry.path != *path);
    let free = found.into_iter().filter(is_free).map(|path| (path.clone(), path));
    free.chain(entries.iter().map(|(address, entry)| (address.clone(), entry.path.clone()))).collect()
}

/// Why the service is not in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfStep {
    /// Of which address.
    pub address: String,
    pub why: String,
    /// Macadam says that it is, so that nothing will mend it.
    pub unseen: bool,
}

/// Every address is synced, or pinned or archived by the story, and the remote has the bytes.
pub fn in_step(stage: &Stage, story: &Story) -> Result<(), OutOfStep> {
    let manifest = Manifest::read(&stage.project);
    let wanted = wanted(stage, &manifest);
    let out = |address: &str, why: String| OutOfStep { address: address.to_owned(), why, unseen: false };
    let rows = stage.status().ok_or_else(|| out("", "`status` says nothing".to_owned()))?;
    let rows: BTreeMap<&str, &Row> = rows.iter().map(|row| (row.address.as_str(), row)).collect();
    let assets: BTreeMap<u64, Value> =
        stage.emulator.assets().into_iter().map(|asset| (asset["id"].as_u64().unwrap(), asset)).collect();
    for (address, path) in &wanted {
        let row = rows.get(address.as_str()).ok_or_else(|| out(address, format!("`{address}` has no row")))?;
        let wrong = |what: &str| OutOfStep {
            unseen: true,
            ..out(address, format!("`{address}` is {}, and {what}", row.state))
        };
        let asset = row.asset_id.and_then(|id| assets.get(&id));
        let is_archived = asset.is_some_and(|asset| asset["archived"] == true);
        match (row.state.as_str(), asset) {
            ("synced" | "pinned", Some(_)) if is_archived => return Err(wrong("its asset is archived")),
            ("synced", Some(asset)) if head(asset) != hash(&stage.project.read(path)) => {
                return Err(wrong("the remote has other bytes than the file"));
            }
            ("pinned", _) if !manifest.pins().contains(address) => return Err(wrong("no pin says so")),
            ("archived", Some(_)) if !is_archived => return Err(wrong("its asset is not")),
            ("archived", _) if row.archived_by.as_deref() != Some("hand") => return Err(wrong("not by hand")),
            ("archived", _) if row.asset_id.is_none_or(|id| !story.archived.contains(&id)) => {
                return Err(wrong("nobody asked for it"));
            }
            ("synced" | "pinned" | "archived", Some(asset)) => {
                if row.content_hash.as_deref() != Some(head(asset)) {
                    return Err(wrong("the remote has other bytes than it knows"));
                }
            }
            _ => return Err(out(address, row.told())),
        }
        let described = manifest.entries().get(address).and_then(|entry| entry.description.clone());
        let stored = asset.and_then(|asset| asset["metadata"]["description"].as_str()).unwrap_or_default();
        if described.is_some_and(|text| row.state == "synced" && text != stored) {
            return Err(wrong(&format!("its description at the remote is {stored:?}")));
        }
    }
    // A create in doubt of one that left stays as it is: nobody wants to know.
    let is_over = |row: &Row| ["removed", "archived", "in_progress"].contains(&row.state.as_str());
    let mut left = rows.values().filter(|row| !wanted.contains_key(&row.address));
    match left.find(|row| !is_over(row)) {
        Some(row) => Err(out(&row.address, format!("nobody wants {}", row.told()))),
        None => Ok(()),
    }
}

/// What was known in the calm before, and what is kept in mind over all of them.
#[derive(Debug, Default)]
pub struct Ledger {
    known: Known,
    /// How many states there had been then.
    states: u32,
    /// The contents that were doubled, as was told.
    doubled: BTreeSet<String>,
}

impl Ledger {
    /// The state is sound and has forgotten nothing; no asset is lost, none is doubled, but for
    /// what is recorded.
    pub fn check(&mut self, stage: &mut Stage) {
        let known = stage.service.frozen(|| Known::state(&stage.project));
        let lockfiles = stage.project.lockfiles();
        // What a state that is gone knew alone is excused; what a state forgot that was not touched, never.
        let mut excused: BTreeSet<u64> = stage.gone.iter().flat_map(Known::assets).collect();
        excused.extend(&known.forgotten);
        let mut before = std::mem::take(&mut self.known);
        before.facts.retain(|(_, asset, _), _| !excused.contains(asset));
        if self.states == stage.states {
            known.has_lost_nothing_of(&before, "the state");
        } else {
            known.clone().and(&lockfiles).has_lost_nothing_of(&before, "the state and the lockfiles");
        }
        self.states = stage.states;
        let lockfile = Known::lockfile(&stage.project.text("assets.lock.toml"));
        known.has_lost_nothing_of(&lockfile, "the state, of the lockfile");
        let wanted = wanted(stage, &Manifest::read(&stage.project));
        for address in wanted.keys() {
            assert!(lockfile.has(address), "the lockfile lacks `{address}`");
        }
        for (address, submitted, content) in &known.open {
            let is_over = !submitted && !wanted.contains_key(address);
            assert!(is_over, "the create of `{address}` with the content {content} is open");
        }
        known.has_told_all();
        let mut assets = stage.emulator.assets();
        assets.retain(|asset| asset["creator"] != runners::OWNER);
        let both = known.clone().and(&lockfiles);
        let open = tally(both.open.iter().map(|(_, _, content)| content));
        let mut given_up = known.abandoned.clone();
        given_up.extend(both.possible.iter().map(|(upload, one)| (upload.clone(), one.content.clone())));
        given_up.extend(stage.gone.iter().flat_map(|gone| gone.abandoned.clone()));
        let all_given_up = given_up.len();
        let unsettled = tally(both.unsettled(&given_up).values());
        let given_up = tally(given_up.values());
        let lost_open = tally(stage.gone.iter().flat_map(|gone| gone.open.iter().map(|(_, _, content)| content)));
        // An asset that a lost state alone knew may have been made again.
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
        let doubles = self.doubles(&assets, &known, &may_be, stage);
        let figures = &mut stage.figures;
        (figures.assets, figures.unknown, figures.doubles) = (assets.len(), unknown.len(), doubles);
        figures.given_up = all_given_up;
        self.known = known;
    }

    /// How many assets there are beyond the first of their type with the content that they were
    /// made with. Those that nothing explains fail the soak, at its end: what comes after them
    /// is worth seeing too.
    fn doubles(
        &mut self,
        assets: &[Value],
        known: &Known,
        excused: &dyn Fn(&String) -> usize,
        stage: &mut Stage,
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
            // A Model that was renamed on one branch is another asset on a branch that had never synced it
            // (docs/promises.md), and one that went on to other bytes is not what a new file with
            // its first ones is.
            let is_other = |id: &&u64| known.elsewhere.contains(id) || went_on.contains(id);
            let others = if asset_type.contains("Model") { ids.iter().filter(is_other).count() } else { 0 };
            let allowed = 1 + excused(&content) + others;
            if ids.len() > allowed && self.doubled.insert(content.clone()) {
                let what =
                    format!("{ids:?} of type {asset_type} were made with {content}, of which {allowed} are explained");
                stage.broken(&what);
            }
        }
        doubles
    }
}

/// What the service takes is bounded, and doesn't grow in a life that goes on.
pub fn bounded(samples: &[Taken]) {
    let Some(Taken { life, phase, sample: now }) = samples.last() else { return };
    let first = samples.iter().find(|taken| taken.life == *life).map(|taken| taken.sample).unwrap();
    let allowed = (first.rss * 3 / 2 + GROWTH).min(MEMORY);
    assert!(now.rss <= allowed, "life {life} takes {} KB in phase {phase}, began with {} KB", now.rss, first.rss);
    assert!(now.peak <= MEMORY, "life {life} took {} KB", now.peak);
    assert!(now.descriptors <= DESCRIPTORS, "life {life} has {} descriptors open", now.descriptors);
    assert!(now.threads <= THREADS, "life {life} has {} threads", now.threads);
    assert!(now.tasks.unwrap_or(0) <= TASKS, "life {life} has {:?} tasks", now.tasks);
}

/// The service says of itself that it is well.
pub fn healthy(stage: &Stage) {
    for page in ["/healthz", "/readyz"] {
        let (status, text) = stage.service.page(page).unwrap_or_else(|| panic!("{page} can't be reached"));
        assert_eq!(status, 200, "{page}: {text}");
    }
}

/// The log tells what a person needs, and not everything that happens.
pub fn few_lines(stage: &Stage) {
    let (lines, actions) = (stage.service.lines(), stage.figures.all_actions());
    assert!(lines <= LINES * actions + 1000, "{lines} lines were logged in {actions} actions");
}
