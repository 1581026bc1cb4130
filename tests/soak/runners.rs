//! A CI of two machines beside the service. They are clones of one bare repository, and each runs
//! `sync --once --on-change macadam-commit-push`, one after the other or both at once. The checkout
//! is cleaned before. The state is that of the last run, an older copy, or missing. Their assets
//! belong to a group, so that they are not mistaken for the service's.
//!
//! Two runs that start from one lockfile both create: that is a limit of docs/promises.md. Still,
//! everything they made must be in the lockfile that both pushed, and after all have seen it, no
//! run makes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Instant;

use serde_json::Value;

use crate::actions::Action;
use crate::content::Kind;
use crate::known::{Known, state_folder, tally};
use crate::pace::Pace;
use crate::processes::NEVER;
use crate::processes::emulator::Emulator;
use crate::support::{Project, SECRET, beyond};

/// The owner of the assets.
pub const OWNER: &str = "group:7";

const MANIFEST: &str = "\
[creator]
group_id = 7

[globs.ui]
path = \"ui/**/*.png\"

[globs.models]
path = \"models/**/*.rbxmx\"
";

const LOCKFILE: &str = "assets.lock.toml";

/// The number of files in the first push, and the most files.
const FILES: usize = 6;
const MOST_FILES: usize = 14;

/// The most runs until the CI must be in step, once all trouble is over.
const RUNS_TO_SETTLE: usize = 12;

/// One of the machines.
#[derive(Debug)]
struct Machine {
    name: &'static str,
    project: Project,
    running: Option<(Child, PathBuf, Instant)>,
}

/// The whole CI.
#[derive(Debug)]
pub struct Runners {
    folder: PathBuf,
    logs: PathBuf,
    url: String,
    patience: &'static str,
    rest: &'static str,
    /// A person's clone, in which files are edited.
    person: Project,
    machines: Vec<Machine>,
    /// The number of runs that ended, by exit code.
    pub ended: BTreeMap<String, u64>,
    /// The knowledge of states that were discarded.
    gone: Vec<Known>,
    runs: u32,
    /// Their assets at the last look, and the number of duplicates among them.
    pub assets: (usize, usize),
    /// Counts the fresh clones, each of which gets a new name.
    clones: u32,
}

impl Runners {
    pub fn new(folder: PathBuf, logs: PathBuf, url: String, pace: &Pace) -> Self {
        let Pace { patience, rest, .. } = *pace;
        let person = Project::new(folder.join("person"), url.clone(), rest);
        Self {
            folder,
            logs,
            url,
            patience,
            rest,
            person,
            machines: Vec::new(),
            ended: BTreeMap::new(),
            gone: Vec::new(),
            runs: 0,
            assets: (0, 0),
            clones: 0,
        }
    }

    /// Makes the bare repository, its first files, and the machines' clones.
    pub fn begin(&mut self) {
        self.person.write("assets.toml", MANIFEST);
        self.person.write(".gitattributes", "*.lock.toml merge=macadam text eol=lf\n");
        for number in 0..FILES as u64 {
            let kind = if number % 2 == 0 { Kind::Picture } else { Kind::Model };
            self.person.write(&format!("{}/f{number}.{}", kind.folder(), kind.extension()), bytes(kind, number));
        }
        self.person.commit("first");
        self.person.git(&["clone", "--quiet", "--bare", ".", "../hub.git"]);
        self.person.git(&["remote", "add", "origin", "../hub.git"]);
        self.person.git(&["fetch", "--quiet"]);
        self.person.git(&["branch", "--quiet", "--set-upstream-to", "origin/main"]);
        for name in ["one", "two"] {
            self.machines.push(Machine { name, project: self.clone(name), running: None });
        }
    }

    fn clone(&self, name: &str) -> Project {
        self.person.git(&["clone", "--quiet", "../hub.git", &format!("../{name}")]);
        let project = Project::at(self.folder.join(name), self.url.clone(), self.rest);
        let driver = format!("'{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
        project.git(&["config", "merge.macadam.driver", &driver]);
        project
    }

    /// Performs one action. `number` is the first of many that no content has yet.
    pub fn act(&mut self, action: Action, number: u64, rng: &mut fastrand::Rng) -> Option<String> {
        self.reap();
        match action {
            Action::PushEdits => self.push_edits(number, rng),
            Action::PushOldLockfile => self.push_old_lockfile(rng),
            Action::RunOne => {
                let at = rng.usize(..self.machines.len());
                self.start(&[at], rng)
            }
            Action::RunBoth => self.start(&[0, 1], rng),
            _ => None,
        }
    }

    /// A person edits some files and pushes them.
    fn push_edits(&mut self, number: u64, rng: &mut fastrand::Rng) -> Option<String> {
        self.catch_up();
        let mut events = Vec::new();
        for step in 0..rng.u64(1..5) {
            let files = [self.person.files("ui", "png"), self.person.files("models", "rbxmx")].concat();
            let path = rng.choice(&files)?.clone();
            let (kind, number) = (Kind::of(&path), number + step);
            let new = format!("{}/f{number}.{}", kind.folder(), kind.extension());
            match rng.u8(..6) {
                0..2 if files.len() < MOST_FILES => {
                    self.person.write(&new, bytes(kind, number));
                    events.push(format!("add {new}"));
                }
                2 => {
                    self.person.rename(&path, &new);
                    events.push(format!("rename {path} to {new}"));
                }
                3 if files.len() > FILES => {
                    self.person.remove(&path);
                    events.push(format!("delete {path}"));
                }
                _ => {
                    self.person.write(&path, bytes(kind, number));
                    events.push(format!("edit {path}"));
                }
            }
        }
        self.person.commit("edits");
        let pushed = self.person.try_git(&["push", "--quiet", "origin", "HEAD:main"]).status.success();
        Some(format!("CI: {}; {}", events.join(", "), if pushed { "pushed" } else { "not pushed yet" }))
    }

    /// A person puts the lockfile back to an old commit, and pushes that.
    fn push_old_lockfile(&mut self, rng: &mut fastrand::Rng) -> Option<String> {
        self.catch_up();
        let log = self.person.try_git(&["log", "--format=%h", "-8", "--", LOCKFILE]);
        let text = String::from_utf8_lossy(&log.stdout).into_owned();
        let commit = rng.choice(text.lines().skip(1).collect::<Vec<_>>())?.to_owned();
        self.person.git(&["checkout", "--quiet", &commit, "--", LOCKFILE]);
        self.person.commit("an old lockfile");
        let pushed = self.person.try_git(&["push", "--quiet", "origin", "HEAD:main"]).status.success();
        Some(format!("CI: the lockfile of {commit}; {}", if pushed { "pushed" } else { "not pushed yet" }))
    }

    /// Rebases the person's unpushed commits onto those of the machines.
    fn catch_up(&self) {
        self.person.git(&["fetch", "--quiet", "origin"]);
        let driver = format!("merge.macadam.driver='{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
        let rebased = self.person.try_git(&["-c", &driver, "rebase", "--quiet", "origin/main"]);
        if !rebased.status.success() {
            self.person.try_git(&["rebase", "--abort"]);
            self.person.git(&["reset", "--quiet", "--hard", "origin/main"]);
        }
    }

    /// Starts a run on each of these machines, in a checkout as a CI makes it. Does nothing if one
    /// of them is running.
    fn start(&mut self, machines: &[usize], rng: &mut fastrand::Rng) -> Option<String> {
        if machines.iter().any(|at| self.machines[*at].running.is_some()) {
            return None;
        }
        let events: Vec<String> = machines.iter().map(|at| self.prepare(*at, rng)).collect();
        for at in machines {
            self.launch(*at);
        }
        Some(format!("CI: {}", events.join("; ")))
    }

    /// Prepares a checkout of the hub's main. The state is that of the last run, an older copy of
    /// it, or missing.
    fn prepare(&mut self, at: usize, rng: &mut fastrand::Rng) -> String {
        let pushed = self.lockfile();
        let Machine { name, project, .. } = &self.machines[at];
        // A refused push is an error which says that the next run depends on it. Such a checkout is
        // kept as it is, but for the rebase.
        project.git(&["fetch", "--quiet", "origin"]);
        let waits = !project.try_git(&["merge-base", "--is-ancestor", "HEAD", "origin/main"]).status.success();
        if !waits {
            project.git(&["reset", "--quiet", "--hard", "origin/main"]);
        }
        project.git(&["clean", "-ffdxq"]);
        let copy = self.folder.join(format!("{name}-state-copy"));
        let folder = state_folder(&project.file(""));
        let choice = rng.u8(..5);
        let cache = match (choice, folder) {
            (0, Some(folder)) if !waits => {
                self.gone.push(beyond(Known::state_in(&project.file("")), &pushed));
                std::fs::remove_dir_all(folder).unwrap();
                "no state"
            }
            (1..3, Some(folder)) if !waits && copy.exists() => {
                let lost = Known::state_in(&project.file(""));
                std::fs::remove_dir_all(&folder).unwrap();
                copy_files(&copy, &folder);
                self.gone.push(beyond(lost, &Known::state_in(&project.file("")).and(&pushed)));
                "an older state"
            }
            (3, Some(folder)) => {
                copy_files(&folder, &copy);
                "its state, which is copied"
            }
            _ => "its state",
        };
        format!("a run on `{name}` with {cache}{}", if waits { ", its last push was not taken" } else { "" })
    }

    fn launch(&mut self, at: usize) {
        self.runs += 1;
        let machine = &mut self.machines[at];
        let output = self.logs.join(format!("ci-{}-{}.log", self.runs, machine.name));
        let log = std::fs::File::create(&output).unwrap();
        let mut command = run(&machine.project, self.patience);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        machine.running = Some((child, output, Instant::now()));
    }

    /// Collects the runs that have ended.
    fn reap(&mut self) {
        for machine in &mut self.machines {
            let Some((mut child, output, begun)) = machine.running.take() else { continue };
            let Some(status) = child.try_wait().unwrap() else {
                assert!(begun.elapsed() < 5 * NEVER, "a run on `{}` does not end: {}", machine.name, output.display());
                machine.running = Some((child, output, begun));
                continue;
            };
            let text = std::fs::read_to_string(&output).unwrap();
            assert!(!text.contains(SECRET), "the key was printed by a run on `{}`", machine.name);
            let code = status.code().map_or_else(|| status.to_string(), |code| code.to_string());
            assert!(["0", "1", "4"].contains(&&*code), "a run on `{}` ended with {code}: {text}", machine.name);
            *self.ended.entry(code).or_default() += 1;
        }
    }

    /// Waits for the runs that are under way.
    pub fn finish(&mut self) {
        while self.machines.iter().any(|machine| machine.running.is_some()) {
            self.reap();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Returns the knowledge of the hub's lockfile on main.
    fn lockfile(&self) -> Known {
        let shown = self.person.try_git(&["--git-dir", "../hub.git", "show", &format!("main:{LOCKFILE}")]);
        if !shown.status.success() {
            return Known::default();
        }
        Known::lockfile(&String::from_utf8_lossy(&shown.stdout))
    }

    /// Waits until the machines settle after all trouble. Each gets in step, and then no machine,
    /// not even a new one, makes anything.
    pub fn settle(&mut self, emulator: &Emulator) {
        if self.runs == 0 {
            return;
        }
        self.catch_up();
        self.person.try_git(&["push", "--quiet", "origin", "HEAD:main"]);
        let mut in_a_row = 0;
        for round in 0..RUNS_TO_SETTLE {
            let at = round % self.machines.len();
            let project = &self.machines[at].project;
            project.git(&["fetch", "--quiet", "origin"]);
            if project.try_git(&["merge-base", "--is-ancestor", "HEAD", "origin/main"]).status.success() {
                project.git(&["reset", "--quiet", "--hard", "origin/main"]);
            }
            self.launch(at);
            let before = self.ended.get("0").copied().unwrap_or(0);
            self.finish();
            let well = self.ended.get("0").copied().unwrap_or(0) > before;
            in_a_row = if well { in_a_row + 1 } else { 0 };
            if in_a_row > self.machines.len() {
                break;
            }
            if !well {
                self.help(at, emulator);
            }
        }
        assert!(in_a_row > self.machines.len(), "CI is not in step after {RUNS_TO_SETTLE} runs");
        self.check(emulator);
        self.clones += 1;
        let name = format!("clone-{}", self.clones);
        let fresh = self.clone(&name);
        let (before, pushed) = (emulator.assets().len(), self.lockfile());
        let ended = run(&fresh, self.patience).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.code(), Some(0), "a fresh clone: {said}");
        assert_eq!(before, emulator.assets().len(), "a fresh clone made assets: {said}");
        self.lockfile().has_lost_nothing_of(&pushed, "the hub's lockfile after a fresh clone's run");
        std::fs::remove_dir_all(self.folder.join(name)).unwrap();
    }

    /// Does the tasks that `status` leaves to a person.
    fn help(&self, at: usize, emulator: &Emulator) {
        let project = &self.machines[at].project;
        let (code, status) = project.json(&["status"]);
        if code != 0 {
            return;
        }
        let held = |row: &&Value| row["state"] == "held" || row["state"] == "failed";
        let rows = status["assets"].as_array().cloned().unwrap_or_default();
        for row in rows.iter().filter(held) {
            let address = row["address"].as_str().unwrap();
            if row["state"] == "failed" {
                project.json(&["retry", address]);
                continue;
            }
            let known = Known::state_in(&project.file(""));
            let Some((_, _, content)) = known.open.iter().find(|(of, ..)| of == address) else { continue };
            let ids = known.assets();
            let made =
                mine(emulator).into_iter().find(|asset| made_with(asset) == *content && !ids.contains(&id(asset)));
            match made {
                Some(asset) => project.json(&["resolve", address, "--asset-id", &id(&asset).to_string()]),
                None => project.json(&["resolve", address, "--recreate"]),
            };
        }
    }

    /// Checks that every asset is in the lockfile, in a state, or explained by an open or abandoned
    /// create.
    fn check(&mut self, emulator: &Emulator) {
        let lockfile = self.lockfile();
        let states = self.machines.iter().map(|machine| Known::state_in(&machine.project.file("")));
        let states: Vec<Known> = states.inspect(Known::check_all_reported).chain(self.gone.iter().cloned()).collect();
        let open: Vec<String> =
            states.iter().flat_map(|state| state.open.iter().map(|(_, _, content)| content.clone())).collect();
        let all = states.iter().fold(lockfile.clone(), Known::and);
        let known = all.assets();
        let recorded = tally(open.iter().chain(all.unsettled(&BTreeMap::new()).values()));
        let made: Vec<String> = mine(emulator).iter().map(made_with).collect();
        self.assets = (made.len(), tally(&made).into_values().map(|count| count - 1).sum());
        let unknown: Vec<String> =
            mine(emulator).iter().filter(|asset| !known.contains(&id(asset))).map(made_with).collect();
        for (content, count) in tally(&unknown) {
            let recorded = recorded.get(&content).copied().unwrap_or(0);
            assert!(count <= recorded, "CI: {count} assets with {content} are unknown, {recorded} are recorded");
        }
        let in_states: BTreeSet<u64> =
            self.machines.iter().flat_map(|machine| Known::state_in(&machine.project.file("")).assets()).collect();
        let missing: Vec<&u64> = in_states.iter().filter(|asset| !lockfile.assets().contains(asset)).collect();
        assert!(missing.is_empty(), "CI: {missing:?} are in a machine's state and not in the lockfile that was pushed");
    }
}

impl Drop for Runners {
    fn drop(&mut self) {
        for machine in &mut self.machines {
            if let Some((child, ..)) = &mut machine.running {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Returns the command of one run, as in the README for a CI.
fn run(project: &Project, patience: &str) -> std::process::Command {
    let mut command = project.command(&[
        "sync",
        "--once",
        "--on-change",
        "macadam-commit-push",
        "--timeout",
        "2m",
        "--patience",
        patience,
    ]);
    command.env("CI", "true");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

/// Returns content that no other file has.
fn bytes(kind: Kind, number: u64) -> Vec<u8> {
    kind.bytes(number + (1 << 40))
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && name.starts_with("assets.") && name.contains(".db") && !name.ends_with("-shm") {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn mine(emulator: &Emulator) -> Vec<Value> {
    emulator.assets().into_iter().filter(|asset| asset["creator"] == OWNER).collect()
}

fn id(asset: &Value) -> u64 {
    asset["id"].as_u64().unwrap()
}

fn made_with(asset: &Value) -> String {
    crate::invariants::made_with(asset)
}
