//! What people wish in other ways than by a file: in the manifest, by git, and by commands beside
//! the service.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{Later, Story};
use crate::content::Kind;
use crate::manifest::{Entry, FILE, Manifest};
use crate::stage::{Row, Stage};

/// So many pins, and so many archived assets, at most.
const MOST_BY_HAND: usize = 3;

/// So many branches at most.
const MOST_BRANCHES: usize = 3;

/// The lock that git holds while it writes.
pub(super) const INDEX_LOCK: &str = ".git/index.lock";

impl Story {
    /// Whether the manifest is whole and no command is about to write it.
    pub(super) fn manifest_rests(&self, stage: &mut Stage) -> bool {
        stage.commands.reap();
        let is_edit = |later: &Later| matches!(later, Later::MendManifest { .. } | Later::MovePin { .. });
        stage.commands.is_idle() && !self.later.iter().any(|(_, later)| is_edit(later))
    }

    /// The manifest to be edited, if it may be.
    pub(super) fn manifest(&self, stage: &mut Stage) -> Option<Manifest> {
        self.manifest_rests(stage).then(|| Manifest::read(&stage.project))
    }

    /// An entry of the manifest that no pin speaks of.
    fn some_entry(manifest: &Manifest, rng: &mut fastrand::Rng) -> Option<(String, Entry)> {
        let pins = manifest.pins();
        let entries = manifest.entries().into_iter().filter(|(address, _)| !pins.contains(address));
        rng.choice(entries.collect::<Vec<_>>())
    }

    fn description(&mut self, rng: &mut fastrand::Rng) -> Option<String> {
        match rng.u8(..4) {
            0 => None,
            1 => Some(String::new()),
            _ => Some(format!("description {}", self.fresh())),
        }
    }

    pub(super) fn add_entry(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(stage)?;
        let (number, kind) = (self.fresh(), if rng.bool() { Kind::Picture } else { Kind::Model });
        let path = format!("items/e{number}.{}", kind.extension());
        stage.project.write(&path, kind.bytes(number));
        let description = self.description(rng);
        manifest.add(&format!("e{number}"), &Entry { path, description });
        manifest.write(&stage.project);
        Some(format!("add the entry e{number}"))
    }

    /// A file that a glob finds gets an entry of its own, and with it another address.
    pub(super) fn promote(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(stage)?;
        let path = rng.choice(Self::free_files(stage))?;
        // With a description of its own a copy would be another asset, and rightly so.
        let bytes = stage.project.read(&path);
        let is_copied = Self::all_files(stage).iter().filter(|other| stage.project.read(other) == bytes).count() > 1;
        if is_copied {
            return None;
        }
        let (number, description) = (self.fresh(), self.description(rng));
        let told = format!("give {path} the entry p{number}");
        manifest.add(&format!("p{number}"), &Entry { path, description });
        manifest.write(&stage.project);
        Some(told)
    }

    pub(super) fn remove_entry(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(stage)?;
        let (address, entry) = Self::some_entry(&manifest, rng)?;
        manifest.drop_entry(&address);
        manifest.write(&stage.project);
        if entry.path.starts_with("items/") {
            self.finish_writes();
            stage.project.remove(&entry.path);
        }
        Some(format!("remove the entry {address}"))
    }

    pub(super) fn describe(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(stage)?;
        let (address, mut entry) = Self::some_entry(&manifest, rng)?;
        entry.description = self.description(rng);
        manifest.add(&address, &entry);
        manifest.write(&stage.project);
        Some(format!("describe {address} as {:?}", entry.description))
    }

    pub(super) fn break_manifest(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        // One that it meets at its start is the end of a service.
        if !stage.service.has_looked() || !self.manifest_rests(stage) {
            return None;
        }
        let text = stage.project.text(FILE);
        stage.project.write(FILE, format!("{text}\nbroken = = 1\n"));
        let after = Duration::from_millis(rng.u64(stage.pace.outage.clone()));
        self.plan(after, Later::MendManifest { text });
        Some("break the manifest".to_owned())
    }

    /// Commits what is there, and checks out another branch, or a new one.
    pub(super) fn switch_branch(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !self.git_rests(stage) {
            return None;
        }
        let new = self.branches.len() == 1 || (self.branches.len() < MOST_BRANCHES && rng.u8(..3) == 0);
        let to = if new {
            format!("b{}", self.fresh())
        } else {
            rng.choice(self.branches.iter().filter(|branch| **branch != self.branch).collect::<Vec<_>>())?.clone()
        };
        let from = self.branch.clone();
        self.switch_to(stage, &to, new);
        Some(format!("switch from {from} to {}{to}", if new { "the new " } else { "" }))
    }

    /// Commits what is there, and checks out this branch.
    pub(super) fn switch_to(&mut self, stage: &Stage, to: &str, new: bool) {
        self.finish_writes();
        let args: &[&str] = if new { &["switch", "--quiet", "-c", to] } else { &["switch", "--quiet", to] };
        let mut refused = String::new();
        for _ in 0..20 {
            stage.project.commit("what is there");
            let output = stage.project.try_git(args);
            if output.status.success() {
                if new {
                    self.branches.push(to.to_owned());
                }
                self.branch = to.to_owned();
                return;
            }
            // The service has written the lockfile in between.
            refused = String::from_utf8_lossy(&output.stderr).into_owned();
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("git does not switch: {refused}");
    }

    /// What a git that takes its time does to those who wait for it.
    pub(super) fn hold_index_lock(&mut self, stage: &Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if stage.project.file(INDEX_LOCK).exists() {
            return None;
        }
        stage.project.write(INDEX_LOCK, "");
        self.plan(Duration::from_millis(rng.u64(stage.pace.outage.clone())), Later::DropIndexLock);
        Some("hold git's index lock".to_owned())
    }

    pub(super) fn drop_index_lock(stage: &Stage) {
        std::fs::remove_file(stage.project.file(INDEX_LOCK)).unwrap();
    }

    /// The addresses in one of these states that have their asset for themselves, if there is a
    /// service to ask about them.
    fn alone(&self, stage: &mut Stage, states: &[&str]) -> Option<Vec<Row>> {
        // A command that finds no state begins one of its own.
        if !stage.service.is_up() || stage.project.lacks_state() || !self.manifest_rests(stage) {
            return None;
        }
        let rows = stage.status()?;
        let mut users: BTreeMap<u64, usize> = BTreeMap::new();
        rows.iter().filter_map(|row| row.asset_id).for_each(|asset| *users.entry(asset).or_default() += 1);
        let is_alone = |row: &Row| row.asset_id.is_some_and(|asset| users[&asset] == 1);
        Some(rows.into_iter().filter(|row| states.contains(&row.state.as_str()) && is_alone(row)).collect())
    }

    fn begin_command(stage: &mut Stage, args: &[&str]) {
        let patience = ["--patience", stage.pace.command_patience];
        stage.commands.begin(&stage.project, &[args, &patience].concat());
    }

    pub(super) fn pin(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let rows = self.alone(stage, &["synced", "pinned"])?;
        if Manifest::read(&stage.project).pins().len() >= MOST_BY_HAND {
            return None;
        }
        // Few have more than one revision: some are tried.
        for _ in 0..8 {
            let row = rng.choice(&rows)?;
            let (code, history) = stage.project.json(&["history", &row.address]);
            let revisions = history["revisions"].as_array().filter(|_| code == 0).cloned().unwrap_or_default();
            let usable = |revision: &Value| {
                let flag = |key: &str| revision[key].as_bool().unwrap_or(false);
                revision["state"] == "live" && !flag("current") && !flag("shared") && !flag("duplicate")
            };
            let numbers = revisions.iter().filter(|revision| usable(revision)).filter_map(|r| r["revision"].as_u64());
            let Some(number) = rng.choice(numbers.collect::<Vec<_>>()) else { continue };
            let number = number.to_string();
            Self::begin_command(stage, &["pin", &row.address, &number, "--yes"]);
            return Some(format!("pin {} to {number}", row.address));
        }
        None
    }

    pub(super) fn unpin(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !stage.service.is_up() || stage.project.lacks_state() {
            return None;
        }
        let address = rng.choice(self.manifest(stage)?.pins())?;
        Self::begin_command(stage, &["unpin", &address, "--yes"]);
        Some(format!("unpin {address}"))
    }

    pub(super) fn archive(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let mut rows = self.alone(stage, &["synced", "archived"])?;
        let archived = rows.iter().filter(|row| row.state == "archived").count();
        rows.retain(|row| row.state == "synced");
        let row = rng.choice(rows).filter(|_| archived < MOST_BY_HAND)?;
        self.archived.extend(row.asset_id);
        Self::begin_command(stage, &["archive", &row.address, "--yes"]);
        Some(format!("archive {}, asset {:?}", row.address, row.asset_id))
    }

    pub(super) fn restore(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let row = rng.choice(self.alone(stage, &["archived"])?)?;
        Self::begin_command(stage, &["restore", &row.address]);
        Some(format!("restore {}", row.address))
    }
}
