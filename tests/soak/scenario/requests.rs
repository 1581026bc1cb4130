//! People's changes other than to files: to the manifest, through git, and by commands beside the
//! service.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{Later, Scenario};
use crate::content::Kind;
use crate::fixture::{Row, SoakFixture};
use crate::manifest::{Entry, FILE, Manifest};

/// The most pins, and the most archived assets.
const MOST_PINNED_OR_ARCHIVED: usize = 3;

/// The most branches.
const MOST_BRANCHES: usize = 3;

/// The lock that git holds while it writes.
pub(super) const INDEX_LOCK: &str = ".git/index.lock";

impl Scenario {
    /// Whether the manifest is valid and no command is about to write it.
    pub(super) fn manifest_is_idle(&self, fixture: &mut SoakFixture) -> bool {
        fixture.commands.reap();
        let is_edit = |later: &Later| matches!(later, Later::MendManifest { .. } | Later::MovePin { .. });
        fixture.commands.is_idle() && !self.later.iter().any(|(_, later)| is_edit(later))
    }

    /// Returns the manifest for editing, if that is possible now.
    pub(super) fn manifest(&self, fixture: &mut SoakFixture) -> Option<Manifest> {
        self.manifest_is_idle(fixture).then(|| Manifest::read(&fixture.project))
    }

    /// Returns an entry of the manifest without a pin.
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

    pub(super) fn add_entry(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(fixture)?;
        let (number, kind) = (self.fresh(), if rng.bool() { Kind::Picture } else { Kind::Model });
        let path = format!("items/e{number}.{}", kind.extension());
        fixture.project.write(&path, kind.bytes(number));
        let description = self.description(rng);
        manifest.add(&format!("e{number}"), &Entry { path, description });
        manifest.write(&fixture.project);
        Some(format!("add the entry e{number}"))
    }

    /// Gives a file that a glob finds an entry of its own, and thereby another address.
    pub(super) fn promote(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(fixture)?;
        let path = rng.choice(Self::free_files(fixture))?;
        // With a description of its own a copy would rightly be another asset.
        let bytes = fixture.project.read(&path);
        let is_copied =
            Self::all_files(fixture).iter().filter(|other| fixture.project.read(other) == bytes).count() > 1;
        if is_copied {
            return None;
        }
        let (number, description) = (self.fresh(), self.description(rng));
        let outcome = format!("give {path} the entry p{number}");
        manifest.add(&format!("p{number}"), &Entry { path, description });
        manifest.write(&fixture.project);
        Some(outcome)
    }

    pub(super) fn remove_entry(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(fixture)?;
        let (address, entry) = Self::some_entry(&manifest, rng)?;
        manifest.drop_entry(&address);
        manifest.write(&fixture.project);
        if entry.path.starts_with("items/") {
            self.finish_writes();
            fixture.project.remove(&entry.path);
        }
        Some(format!("remove the entry {address}"))
    }

    pub(super) fn describe(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(fixture)?;
        let (address, mut entry) = Self::some_entry(&manifest, rng)?;
        entry.description = self.description(rng);
        manifest.add(&address, &entry);
        manifest.write(&fixture.project);
        Some(format!("describe {address} as {:?}", entry.description))
    }

    pub(super) fn break_manifest(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        // A service that starts with a broken manifest ends.
        if !fixture.service.has_scanned() || !self.manifest_is_idle(fixture) {
            return None;
        }
        let text = fixture.project.text(FILE);
        fixture.project.write(FILE, format!("{text}\nbroken = = 1\n"));
        let after = Duration::from_millis(rng.u64(fixture.pace.outage.clone()));
        self.plan(after, Later::MendManifest { text });
        Some("break the manifest".to_owned())
    }

    /// Commits everything, and checks out another branch, or a new one.
    pub(super) fn switch_branch(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if !self.git_is_idle(fixture) {
            return None;
        }
        let new = self.branches.len() == 1 || (self.branches.len() < MOST_BRANCHES && rng.u8(..3) == 0);
        let to = if new {
            format!("b{}", self.fresh())
        } else {
            rng.choice(self.branches.iter().filter(|branch| **branch != self.branch).collect::<Vec<_>>())?.clone()
        };
        let from = self.branch.clone();
        self.switch_to(fixture, &to, new);
        Some(format!("switch from {from} to {}{to}", if new { "the new " } else { "" }))
    }

    /// Commits everything, and checks out this branch.
    pub(super) fn switch_to(&mut self, fixture: &SoakFixture, to: &str, new: bool) {
        self.finish_writes();
        let args: &[&str] = if new { &["switch", "--quiet", "-c", to] } else { &["switch", "--quiet", to] };
        let mut refused = String::new();
        for _ in 0..20 {
            fixture.project.commit("what is there");
            let output = fixture.project.try_git(args);
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

    /// Holds git's lock, as a slow git does.
    pub(super) fn hold_index_lock(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if fixture.project.file(INDEX_LOCK).exists() {
            return None;
        }
        fixture.project.write(INDEX_LOCK, "");
        self.plan(Duration::from_millis(rng.u64(fixture.pace.outage.clone())), Later::DropIndexLock);
        Some("hold git's index lock".to_owned())
    }

    pub(super) fn drop_index_lock(fixture: &SoakFixture) {
        std::fs::remove_file(fixture.project.file(INDEX_LOCK)).unwrap();
    }

    /// Returns the rows in one of these states that don't share their asset, if a service can be
    /// queried.
    fn alone(&self, fixture: &mut SoakFixture, states: &[&str]) -> Option<Vec<Row>> {
        // A command that finds no state makes a new one.
        if !fixture.service.is_up() || fixture.project.lacks_state() || !self.manifest_is_idle(fixture) {
            return None;
        }
        let rows = fixture.status()?;
        let mut users: BTreeMap<u64, usize> = BTreeMap::new();
        rows.iter().filter_map(|row| row.asset_id).for_each(|asset| *users.entry(asset).or_default() += 1);
        let is_alone = |row: &Row| row.asset_id.is_some_and(|asset| users[&asset] == 1);
        Some(rows.into_iter().filter(|row| states.contains(&row.state.as_str()) && is_alone(row)).collect())
    }

    fn begin_command(fixture: &mut SoakFixture, args: &[&str]) {
        let patience = ["--patience", fixture.pace.command_patience];
        fixture.commands.begin(&fixture.project, &[args, &patience].concat());
    }

    pub(super) fn pin(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let rows = self.alone(fixture, &["synced", "pinned"])?;
        if Manifest::read(&fixture.project).pins().len() >= MOST_PINNED_OR_ARCHIVED {
            return None;
        }
        // Few have more than one revision, so several are tried.
        for _ in 0..8 {
            let row = rng.choice(&rows)?;
            let (code, history) = fixture.project.json(&["history", &row.address]);
            let revisions = history["revisions"].as_array().filter(|_| code == 0).cloned().unwrap_or_default();
            let usable = |revision: &Value| {
                let flag = |key: &str| revision[key].as_bool().unwrap_or(false);
                revision["state"] == "live" && !flag("current") && !flag("shared") && !flag("duplicate")
            };
            let numbers = revisions.iter().filter(|revision| usable(revision)).filter_map(|r| r["revision"].as_u64());
            let Some(number) = rng.choice(numbers.collect::<Vec<_>>()) else { continue };
            let number = number.to_string();
            Self::begin_command(fixture, &["pin", &row.address, &number, "--yes"]);
            return Some(format!("pin {} to {number}", row.address));
        }
        None
    }

    pub(super) fn unpin(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if !fixture.service.is_up() || fixture.project.lacks_state() {
            return None;
        }
        let address = rng.choice(self.manifest(fixture)?.pins())?;
        Self::begin_command(fixture, &["unpin", &address, "--yes"]);
        Some(format!("unpin {address}"))
    }

    pub(super) fn archive(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let mut rows = self.alone(fixture, &["synced", "archived"])?;
        let archived = rows.iter().filter(|row| row.state == "archived").count();
        rows.retain(|row| row.state == "synced");
        let row = rng.choice(rows).filter(|_| archived < MOST_PINNED_OR_ARCHIVED)?;
        self.archived.extend(row.asset_id);
        Self::begin_command(fixture, &["archive", &row.address, "--yes"]);
        Some(format!("archive {}, asset {:?}", row.address, row.asset_id))
    }

    pub(super) fn restore(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let row = rng.choice(self.alone(fixture, &["archived"])?)?;
        Self::begin_command(fixture, &["restore", &row.address]);
        Some(format!("restore {}", row.address))
    }
}
