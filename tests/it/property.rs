//! Nothing lost, nothing doubled, as a property: random files, edits, branches, faults and crashes,
//! the real binary between them, and a reference beside it that says what the remote may and must
//! have.
//!
//! A sequence's steps are made from one number. A failure prints that number and the steps;
//! `MACADAM_SEED=N` takes the same steps again. What the program does at the same time within a run
//! is left to chance: a rare failure may need several tries. The longer run, so many sequences from
//! a random start:
//!
//! ```text
//! MACADAM_SEQUENCES=500 cargo test --test it property -- --nocapture
//! ```
//!
//! Checked after every run of the program, also a killed one: the state is sound and
//! has forgotten nothing; every asset at the remote is known, or its create is recorded as open or
//! given up; no asset was made for bytes that were known. When the faults are over, on each branch:
//! the program converges, each address's asset has exactly the file's bytes and the managed
//! metadata, and another run changes nothing; once reads have caught up, it sends nothing at all.
//!
//! Out of its reach, because the contract says so: a state that is deleted before the lockfile was
//! written. A fresh clone therefore happens after an orderly run, with the branches' lockfiles
//! merged by the merge driver, and an older state comes back only then. A second machine that
//! starts from a stale lockfile makes assets of its own, by the contract too; what it made is on a
//! branch from then on.
//!
//! In each fourth sequence everything that happens has a clear meaning (429 with whatever body, a
//! single 404, reads that lag, operations that take long, connections that are refused; no kills):
//! then nothing may be in doubt, given up or doubled at all. Half of the sequences are checkouts of
//! git.
//!
//! Read next: `property/edges.rs` for what befalls checkout and state, `property/tree.rs` for the
//! files, `property/known.rs` for what the program knows, `property/faults.rs`.

mod edges;
mod endless;
mod faults;
mod known;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use macadam::emulator::{
    ApiEndpoint, AssetReport, Config, CreatableType, EndpointLimits, TextAction, TextField, TextRule,
};
use serde_json::Value;

use self::edges::LOCKFILE;
use self::known::{Known, state_folder, tally};
use self::tree::{CENSORED, Kind, Tree};
use super::support::{Project, Ran, Remote};

/// The number of sequences unless the environment asks for more.
const SEQUENCES: usize = 16;
/// At once: most of the time they wait for the remote.
const AT_ONCE: usize = 20;
/// Steps of a sequence.
const STEPS: usize = 12;
/// Runs within which what is left after the faults must be in sync; a refusal that a person lifts
/// takes one more each.
const RUNS_TO_CONVERGE: usize = 8;

#[test]
fn nothing_is_lost_or_doubled_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds: Vec<u64> = match (number("MACADAM_SEED"), number("MACADAM_SEQUENCES")) {
        (Some(seed), sequences) => (seed..).take(sequences.map_or(1, |n| usize::try_from(n).unwrap())).collect(),
        (None, Some(sequences)) => {
            let start = fastrand::u64(..1 << 32);
            (start..).take(usize::try_from(sequences).unwrap()).collect()
        }
        (None, None) => (1..).take(SEQUENCES).collect(),
    };
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            sequence(*seed);
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
}

/// One sequence, with its log if it fails.
fn sequence(seed: u64) {
    let mut walk = Walk::new(seed);
    if let Err(failure) = catch_unwind(AssertUnwindSafe(|| walk.run())) {
        eprintln!("\nMACADAM_SEED={seed} failed after these steps:\n  {}\n", walk.log.join("\n  "));
        resume_unwind(failure);
    }
}

/// A branch that is not checked out: its files and its lockfile.
struct Branch {
    tree: Tree,
    lockfile: Option<String>,
    /// As earlier runs on it left it.
    lockfiles: Vec<String>,
    orderly: bool,
}

struct Walk {
    /// Nothing happens whose meaning isn't clear: then nothing at all may be in doubt, given up or
    /// doubled.
    clear: bool,
    /// The project is a checkout of git.
    git: bool,
    rng: fastrand::Rng,
    remote: Remote,
    project: Project,
    tree: Tree,
    /// The branches that are not checked out.
    others: Vec<Branch>,
    /// The last run on this branch wrote its lockfile.
    orderly: bool,
    /// The lockfile as earlier runs on this branch left it.
    lockfiles: Vec<String>,
    /// A person agrees to a new lockfile where a branch was left before its first one was written.
    agrees: bool,
    /// The lockfile that was checked out last, as long as no other one took its place.
    checked_out: Option<String>,
    /// An older copy of the state.
    copy: tempfile::TempDir,
    has_copy: bool,
    /// A second machine made assets for contents that this one has.
    is_twofold: bool,
    /// Assets of a second machine whose lockfile was lost.
    strangers: BTreeSet<u64>,
    /// The contents of uploads that earlier states gave up, by upload.
    given_up: BTreeMap<String, String>,
    /// The contents of uploads in doubt that an earlier state alone knew.
    left: Vec<String>,
    /// The assets at the remote at the last look.
    seen: BTreeSet<u64>,
    log: Vec<String>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
        let remote = Remote::with(Config { seed, switches, limits: EndpointLimits::none(), ..Config::default() });
        remote.control().add_text_rule(TextRule {
            contains: CENSORED.to_owned(),
            field: TextField::Name,
            action: TextAction::Censor,
        });
        let project = Project::new("").at(&remote.url());
        let mut rng = fastrand::Rng::with_seed(seed);
        let (clear, git_too) = (seed.is_multiple_of(4), seed.is_multiple_of(2));
        if git_too {
            project.git(&["init", "--quiet", "--initial-branch=main"]);
        }
        let mut tree = Tree::default();
        (0..rng.usize(1..8)).for_each(|_| drop(tree.edit(&mut rng)));
        let log = vec![format!("begin with {:?}", tree.entries)];
        tree.check_out(&project);
        Self {
            clear,
            git: git_too,
            rng,
            remote,
            project,
            tree,
            others: Vec::new(),
            orderly: true,
            lockfiles: Vec::new(),
            agrees: false,
            checked_out: None,
            copy: tempfile::tempdir().unwrap(),
            has_copy: false,
            is_twofold: false,
            strangers: BTreeSet::new(),
            given_up: BTreeMap::new(),
            left: Vec::new(),
            seen: BTreeSet::new(),
            log,
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            match self.rng.u8(..31) {
                0..9 => self.edit(),
                9..11 => self.switch(),
                11 => self.clone_afresh(),
                12..15 => self.trouble(),
                15..18 if !self.clear => self.crash(),
                18 => self.clean(),
                19 => self.copy_state(),
                20 if !self.clear => self.restore_state(),
                21 => self.old_lockfile(),
                22 if !self.clear => self.second_machine(),
                23 => self.visit(),
                24 => self.lag(),
                25 => self.pin(),
                26 if !self.clear => self.endless(),
                _ => drop(self.sync(None)),
            }
        }
        self.remote.control().clear_faults();
        self.remote.control().set_switch("reads_behind_ms", "0").unwrap();
        self.log.push("the faults end".to_owned());
        if self.tree.move_pins_along() {
            self.log.push("the pins move along".to_owned());
            self.tree.check_out(&self.project);
        }
        for _ in 0..=self.others.len() {
            self.converge();
            if !self.others.is_empty() {
                let mut branch = self.others.remove(0);
                branch.tree.move_pins_along();
                self.check_out(branch);
            }
        }
    }

    /// From now on reads are behind writes.
    fn lag(&mut self) {
        let ms = [0, 300, 3000][self.rng.usize(..3)].to_string();
        self.log.push(format!("reads are {ms} ms behind"));
        self.remote.control().set_switch("reads_behind_ms", &ms).unwrap();
        self.sync(None);
    }

    /// Some address is held at an earlier revision.
    fn pin(&mut self) {
        if self.sync(None).code != 0 {
            return;
        }
        let wanted = self.tree.wanted();
        let addresses: Vec<&String> = wanted.keys().collect();
        let Some(address) = self.rng.choice(&addresses) else { return };
        let (_, history) = self.project.json(&["history", address]);
        let revisions = history["revisions"].as_array().cloned().unwrap_or_default();
        let usable = |revision: &&Value| {
            let flag = |key: &str| revision[key].as_bool().unwrap_or(false);
            let is_live = revision["state"] == "live" && revision["content_hash"].is_string();
            // One of another asset has no number to pin it by.
            is_live && revision["revision"].is_u64() && !flag("shared") && !flag("duplicate") && !flag("current")
        };
        let Some(revision) = self.rng.choice(revisions.iter().filter(usable).collect::<Vec<_>>()) else { return };
        let (number, hash) = (revision["revision"].as_u64().unwrap(), revision["content_hash"].as_str().unwrap());
        self.log.push(format!("pin {address} to {number}"));
        self.tree.pin(address, number, hash);
        self.tree.check_out(&self.project);
        self.sync(None);
    }

    fn edit(&mut self) {
        for _ in 0..self.rng.usize(1..4) {
            let text = self.tree.edit(&mut self.rng);
            self.log.push(text);
        }
        self.tree.check_out(&self.project);
    }

    fn trouble(&mut self) {
        let rules: Vec<_> = {
            let random = if self.clear { faults::clear } else { faults::random };
            (0..self.rng.usize(1..4)).map(|_| random(&mut self.rng)).collect()
        };
        self.log.push(format!("faults: {}", serde_json::to_string(&rules).unwrap()));
        self.remote.control().add_faults(rules).unwrap();
        self.sync(None);
    }

    fn crash(&mut self) {
        if self.rng.bool() {
            self.edit();
        }
        let point = self.rng.u32(1..16);
        self.sync(Some(point));
    }

    /// To another branch, or to a new one that begins here.
    fn switch(&mut self) {
        let new = self.others.is_empty() || (self.others.len() < 2 && self.rng.bool());
        let branch = if new {
            self.leave()
        } else {
            let at = self.rng.usize(..self.others.len());
            self.others.remove(at)
        };
        self.check_out(branch);
    }

    fn leave(&self) -> Branch {
        Branch {
            tree: self.tree.clone(),
            lockfile: self.lockfile(),
            lockfiles: self.lockfiles.clone(),
            orderly: self.orderly,
        }
    }

    fn check_out(&mut self, branch: Branch) {
        let left = self.leave();
        self.log.push(format!("switch to a branch with {:?}", branch.tree.entries));
        self.others.push(left);
        self.tree = branch.tree;
        (self.orderly, self.lockfiles) = (branch.orderly, branch.lockfiles);
        self.tree.check_out(&self.project);
        self.put_lockfile(branch.lockfile.as_deref());
        self.checked_out = branch.lockfile.filter(|_| self.orderly);
        self.commit();
    }

    /// Merges the branches' lockfiles and goes on without the state, as another machine would.
    fn clone_afresh(&mut self) {
        if !self.is_written_down() {
            return;
        }
        self.log.push("merge the lockfiles, delete the state".to_owned());
        for branch in std::mem::take(&mut self.others) {
            let (Some(theirs), Some(_)) = (branch.lockfile.as_ref(), self.lockfile()) else {
                if branch.lockfile.is_some() {
                    self.put_lockfile(branch.lockfile.as_deref());
                }
                continue;
            };
            self.project.write("base", "");
            self.project.write("theirs", theirs);
            self.project.run(&["lockfile", "merge", "base", "assets.lock.toml", "theirs"]).expect(0);
        }
        self.checked_out = None;
        self.commit();
        self.forget();
        // Which asset is current the lockfile doesn't say, so what is pointed back to is only
        // noticed by a state.
        self.sync(None);
    }

    fn forget(&mut self) {
        let before = Known::state(&self.project);
        // A create in doubt whose address left before any lockfile had it is known to the state
        // alone, and wanted by nobody.
        let (wanted, kept) = (self.tree.wanted(), self.known_of_lockfile().open);
        let left = before.open.iter().filter(|open| !wanted.contains_key(&open.0) && !kept.contains(open));
        self.left.extend(left.map(|(_, _, content)| content.clone()));
        self.given_up.extend(before.abandoned.clone());
        if let Some(folder) = state_folder(self.project.path()) {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    fn lockfile(&self) -> Option<String> {
        let there = self.project.file(LOCKFILE).exists();
        there.then(|| self.project.read(LOCKFILE))
    }

    fn put_lockfile(&self, text: Option<&str>) {
        match text {
            Some(text) => self.project.write(LOCKFILE, text),
            None if self.lockfile().is_some() => self.project.remove(LOCKFILE),
            None => {}
        }
    }

    fn known_of_lockfile(&self) -> Known {
        self.lockfile().map(|text| Known::lockfile(&text)).unwrap_or_default()
    }

    /// One run of the program, killed at a step if wanted, and the properties that must hold after
    /// it.
    fn sync(&mut self, crash: Option<u32>) -> Ran {
        self.sync_within(&["--timeout", "2m"], crash)
    }

    fn sync_within(&mut self, limits: &[&str], crash: Option<u32>) -> Ran {
        let (state, lockfile) = (Known::state(&self.project), self.known_of_lockfile());
        let mut command = self.project.command(&[&["sync", "--once", "--json"], limits].concat());
        if std::mem::take(&mut self.agrees) {
            command.arg("--accept-new-lockfile");
        }
        if let Some(point) = crash {
            command.env("MACADAM_FAILPOINT", point.to_string());
        }
        let ran = Ran::of(command.output().unwrap());
        self.log.push(format!(
            "sync{}: exit code {}",
            crash.map_or(String::new(), |n| format!(" killed at {n}")),
            ran.code
        ));
        self.log.extend(actions(&ran.stdout));
        let killed = ran.code == -1;
        assert!(killed && crash.is_some() || [0, 1, 4].contains(&ran.code), "{}\n{}", ran.stdout, ran.stderr);
        // Requests on their way arrive.
        self.remote.control().advance(Duration::from_secs(2));
        self.orderly = !killed;
        let now = Known::state(&self.project);
        now.has_lost_nothing_of(&state, "the state");
        if let Some(text) = self.lockfile().filter(|text| !killed && self.lockfiles.last() != Some(text)) {
            self.lockfiles.push(text);
        }
        let kept = self.known_of_lockfile();
        kept.has_lost_nothing_of(&lockfile, "the lockfile");
        if !killed {
            now.has_lost_nothing_of(&lockfile, "the state, of the lockfile");
        }
        let assets = self.remote.assets();
        self.nothing_lost(&assets, &now);
        self.nothing_doubled(&assets, &state, &lockfile, &now);
        self.seen = assets.iter().map(|report| report.asset.id).collect();
        if self.clear {
            let in_doubt: Vec<_> = now.open.iter().filter(|(_, submitted, _)| !submitted).collect();
            assert!(
                in_doubt.is_empty() && now.abandoned.is_empty() && now.reported == 0,
                "nothing was in doubt: {now:?}"
            );
        }
        ran
    }

    /// Every asset is known, or there is a record of a create that may have made it.
    fn nothing_lost(&self, assets: &[AssetReport], now: &Known) {
        let lockfiles = self.others.iter().filter_map(|branch| branch.lockfile.as_deref()).map(Known::lockfile);
        let all = lockfiles.chain([self.known_of_lockfile()]).fold(now.clone(), |all, lockfile| all.and(&lockfile));
        let mut ids = all.assets();
        ids.extend(&self.strangers);
        let unknown = assets.iter().filter(|report| !ids.contains(&report.asset.id)).map(content);
        let unsettled = all.unsettled(&self.given_up);
        let open = all.open.iter().map(|(_, _, content)| content);
        let recorded = tally(open.chain(&self.left).chain(unsettled.values()));
        for (content, count) in tally(&unknown.collect::<Vec<_>>()) {
            let recorded = recorded.get(&content).copied().unwrap_or(0);
            assert!(
                count <= recorded,
                "{count} assets with the content {content} are unknown, {recorded} are recorded"
            );
        }
        now.check_all_reported();
    }

    /// No asset was made in this run for bytes that were known before, or twice for the same, but
    /// for creates that were given up.
    fn nothing_doubled(&self, assets: &[AssetReport], state: &Known, lockfile: &Known, now: &Known) {
        let before = state.clone().and(lockfile);
        let open = tally(before.open.iter().map(|(_, _, content)| content));
        let wanted = self.tree.wanted();
        let given_up =
            now.abandoned.iter().filter(|(upload, _)| !state.abandoned.contains_key(*upload)).map(|(_, hash)| hash);
        let given_up = tally(given_up);
        let new: Vec<_> = assets.iter().filter(|report| !self.seen.contains(&report.asset.id)).collect();
        for (hash, made) in tally(&new.iter().map(|report| content(report)).collect::<Vec<_>>()) {
            let users = || wanted.iter().filter(|(_, want)| want.hash == hash);
            let kind = users().next().map(|(_, want)| want.kind);
            // Addresses that have nothing with these bytes yet, and sharers that say other things
            // than the owner of the asset.
            let needed = match kind {
                Some(Kind::Model) => users().filter(|(address, _)| !before.has(address)).count(),
                Some(_) => {
                    let held = before.facts.values().any(|fact| fact.hash.as_deref() == Some(&*hash));
                    let silent = users().all(|(_, want)| want.name.is_none() && want.description.is_none());
                    let settled = users().all(|(address, _)| {
                        before.facts.iter().any(|((of, ..), fact)| {
                            of == address && !fact.shared && fact.hash.as_deref() == Some(&*hash)
                        })
                    });
                    if settled || (held && silent) { 0 } else { self.tree.voices(&hash) }
                }
                None => 0,
            };
            let excused = given_up.get(&hash).copied().unwrap_or(0) + open.get(&hash).copied().unwrap_or(0);
            assert!(
                made <= needed + excused,
                "{made} assets were made with the content {hash}: {needed} were needed, {excused} excused"
            );
        }
    }

    /// Without faults everything is in sync after a few runs, with a person's help where the
    /// contract asks for it.
    fn converge(&mut self) {
        for _ in 0..RUNS_TO_CONVERGE {
            let ran = self.sync(None);
            if ran.code == 0 {
                self.matches();
                self.currents();
                let before = self.writes();
                let again = self.sync(None).expect(0);
                assert_eq!(self.writes(), before, "a second run changes nothing: {}", again.stdout);
                // Facts from another lockfile are read again until reads can't be older than it.
                self.project.let_reads_catch_up();
                self.sync(None).expect(0);
                self.matches();
                let before = self.requests();
                let again = self.sync(None).expect(0);
                assert_eq!(self.requests(), before, "the last run sends nothing: {}", again.stdout);
                return;
            }
            self.help();
        }
        panic!("not in sync after {RUNS_TO_CONVERGE} runs");
    }

    /// How many requests came, but for the question that each run asks of an operation which nobody
    /// waits for any more: it may end one day.
    fn requests(&self) -> usize {
        let none_is_left = Known::state(&self.project).set_aside.is_empty();
        let requests = self.remote.control().requests();
        let counts = |endpoint: &Option<ApiEndpoint>| none_is_left || *endpoint != Some(ApiEndpoint::GetOperation);
        requests.iter().filter(|request| counts(&request.endpoint)).count()
    }

    /// How many requests came that may change something.
    fn writes(&self) -> usize {
        let changes = |endpoint: &ApiEndpoint| match endpoint {
            ApiEndpoint::CreateAsset
            | ApiEndpoint::UpdateAsset
            | ApiEndpoint::ArchiveAsset
            | ApiEndpoint::RestoreAsset
            | ApiEndpoint::RollbackAsset => true,
            ApiEndpoint::GetAsset
            | ApiEndpoint::ListVersions
            | ApiEndpoint::GetVersion
            | ApiEndpoint::GetOperation
            | ApiEndpoint::IntrospectKey => false,
        };
        let requests = self.remote.control().requests();
        requests.iter().filter(|request| request.endpoint.as_ref().is_some_and(changes)).count()
    }

    /// The command that `status` asks a person to run.
    fn help(&mut self) {
        let (_, status) = self.project.json(&["status"]);
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        self.agrees = !status["lost_lockfile"].is_null();
        let mut sharing = BTreeSet::new();
        for row in status["assets"].as_array().unwrap() {
            let address = text(row, "address");
            match &*text(row, "state") {
                "failed" => {
                    self.log.push(format!("retry {address}"));
                    self.project.run(&["retry", &address]).expect(0);
                }
                "held" if ["no_answer", "answer_lost"].contains(&&*text(row, "code")) => self.resolve(&address),
                // Renamed while its create is in doubt: the old address is the one to settle.
                "held" if text(row, "code") == "shared_upload" => {
                    sharing.extend(text(row, "error").split('`').nth(1).map(str::to_owned));
                }
                _ => {}
            }
        }
        let open: BTreeSet<String> =
            Known::state(&self.project).open.into_iter().map(|(address, ..)| address).collect();
        sharing.intersection(&open).for_each(|owner| self.resolve(owner));
    }

    /// Looks for what a create in doubt made, as a person would.
    fn resolve(&mut self, address: &str) {
        let known = Known::state(&self.project).assets();
        let assets = self.remote.assets();
        let candidates: Vec<_> = assets.iter().filter(|report| !known.contains(&report.asset.id)).collect();
        for report in candidates {
            let id = report.asset.id.to_string();
            if self.project.run(&["resolve", address, "--asset-id", &id]).code == 0 {
                return self.log.push(format!("resolve {address} as {id}"));
            }
        }
        self.project.run(&["resolve", address, "--recreate"]).expect(0);
        self.log.push(format!("resolve {address}: recreate"));
    }

    /// The remote has what the files say.
    fn matches(&self) {
        let (_, status) = self.project.json(&["status"]);
        let rows: BTreeMap<&str, &Value> =
            status["assets"].as_array().unwrap().iter().map(|row| (row["address"].as_str().unwrap(), row)).collect();
        let known = Known::state(&self.project);
        let wanted = self.tree.wanted();
        for (address, want) in &wanted {
            let row = rows[address.as_str()];
            assert_eq!(row["state"], if want.pinned { "pinned" } else { "synced" }, "{row:#}");
            let id = row["asset_id"].as_u64().unwrap();
            let report = self.remote.control().asset(id).unwrap();
            let asset = &report.asset;
            assert_eq!(asset.asset_type, asset_type(want.kind), "{address}");
            let head = asset.versions.iter().find(|version| version.number == asset.head).unwrap();
            assert_eq!(head.content.hash, want.hash, "{address}: the bytes at the remote are the file's");
            let name = &asset.metadata.display_name;
            match want.name {
                Some(wanted) if wanted.contains(CENSORED) => assert!(name.contains('#'), "{address}: {name}"),
                Some(wanted) => assert_eq!(name, wanted, "{address}: its name"),
                None => {}
            }
            let description = asset.metadata.description.as_deref().unwrap_or_default();
            if let Some(wanted) = want.description {
                assert_eq!(description, wanted, "{address}: its description");
            }
            let own = known.facts.iter().filter(|((of, _, _), fact)| {
                let same = want.kind == Kind::Model || fact.hash.as_deref() == Some(&*want.hash);
                of == address && same && !fact.shared && !fact.duplicate
            });
            let own: BTreeSet<u64> = own.map(|((_, asset, _), _)| *asset).collect();
            assert!(own.len() <= 1 || self.is_twofold, "{address} has {own:?} for one content");
        }
        self.lockfile_matches(&known, &wanted.keys().map(String::as_str).collect());
    }

    /// The lockfile alone says which asset each address is.
    fn lockfile_matches(&self, known: &Known, wanted: &BTreeSet<&str>) {
        let lockfile = self.known_of_lockfile();
        for address in wanted {
            assert!(lockfile.has(address), "the lockfile lacks {address}");
        }
        // But for creates in doubt whose addresses left: their outcome no longer matters.
        assert!(
            known.open.iter().all(|(address, submitted, _)| !submitted && !wanted.contains(&**address)),
            "{known:?}"
        );
    }
}

/// The steps of a run, a line each.
fn actions(stdout: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(stdout).unwrap_or_default();
    let steps = document["actions"].as_array().cloned().unwrap_or_default();
    let line =
        |step: &Value| ["address", "action", "outcome", "asset_id", "error"].map(|key| step[key].to_string()).join(" ");
    steps.iter().map(|step| format!("    {}", line(step))).collect()
}

/// The content that an asset was made with.
fn content(report: &AssetReport) -> String {
    report.asset.versions[0].content.hash.clone()
}

const fn asset_type(kind: Kind) -> CreatableType {
    match kind {
        Kind::Image => CreatableType::Image,
        Kind::Model => CreatableType::Model,
        Kind::Animation => CreatableType::Animation,
        Kind::Audio => CreatableType::Audio,
    }
}
