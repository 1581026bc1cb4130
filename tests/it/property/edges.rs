//! Edge cases of a checkout and its state: git cleans it, an older copy of the
//! state comes back, the lockfile is put back to an old commit, a second machine starts from a
//! stale lockfile, and two branches are visited in turn.

use std::collections::BTreeSet;
use std::time::Duration;

use super::known::{Known, state_folder};
use super::{Branch, Walk, actions};
use crate::support::{Project, Ran};

pub const LOCKFILE: &str = "assets.lock.toml";

impl Walk {
    /// Where it is a checkout of git: what is there is committed.
    pub(super) fn commit(&self) {
        if self.git {
            self.project.git(&["add", "--all"]);
            self.project.git(&["commit", "--quiet", "--allow-empty", "--message", "what is there"]);
        }
    }

    /// Cleans the checkout as a CI does: all files that git doesn't know go.
    pub(super) fn clean(&mut self) {
        if !self.git {
            return;
        }
        self.log.push("git clean -ffdx".to_owned());
        self.commit();
        self.project.git(&["clean", "-ffdxq"]);
        // Git keeps no empty folders, and a folder that is gone says nothing of what it had.
        self.tree.check_out(&self.project);
    }

    /// A copy of the state, as a cache of CI or a backup takes it.
    pub(super) fn copy_state(&mut self) {
        if let Some(folder) = state_folder(self.project.path()) {
            self.log.push("copy the state".to_owned());
            copy_files(&folder, self.copy.path());
            self.has_copy = true;
        }
    }

    /// That copy takes the state's place; the lockfile has all that came since. What only the state
    /// knew is gone, by the contract.
    pub(super) fn restore_state(&mut self) {
        if !self.has_copy || !self.is_written_down() {
            return;
        }
        self.log.push("an older copy of the state comes back".to_owned());
        self.forget();
        let folder = if self.git { ".git/macadam" } else { ".macadam" };
        copy_files(self.copy.path(), &self.project.file(folder));
        self.sync(None);
    }

    /// The branches' lockfiles have what the state has.
    pub(super) fn is_written_down(&self) -> bool {
        self.orderly && self.others.iter().all(|branch| branch.orderly)
    }

    /// Somebody puts the lockfile back to how an earlier run on this branch left it.
    pub(super) fn old_lockfile(&mut self) {
        if self.lockfiles.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.lockfiles.len());
        self.log.push(format!("the lockfile as run {at} left it"));
        let text = self.lockfiles[at].clone();
        self.put_lockfile(Some(&text));
        self.orderly = false;
        self.commit();
        self.sync(None);
    }

    /// Another machine starts from a lockfile that is stale, makes what it lacks anew, and its
    /// lockfile is a branch's. Without faults, which are the story of this machine.
    pub(super) fn second_machine(&mut self) {
        if self.others.len() > 1 {
            return;
        }
        self.remote.control().clear_faults();
        let second = Project::new("").at(&self.remote.url());
        self.tree.check_out(&second);
        if let Some(text) = self.lockfiles.first() {
            second.write(LOCKFILE, text);
        }
        let at_remote =
            |walk: &Self| -> BTreeSet<u64> { walk.remote.assets().iter().map(|report| report.asset.id).collect() };
        let before = at_remote(self);
        let args = ["sync", "--once", "--patience", "5s", "--timeout", "2m", "--json"];
        let ran = Ran::of(second.command(&args).output().unwrap());
        self.log.push(format!("a second machine with a stale lockfile: exit code {}", ran.code));
        self.log.extend(actions(&ran.stdout));
        self.remote.control().advance(Duration::from_secs(2));
        let lockfile = second.file(LOCKFILE).exists().then(|| second.read(LOCKFILE));
        let known = lockfile.as_deref().map(Known::lockfile).unwrap_or_default();
        self.seen = at_remote(self);
        let made: BTreeSet<u64> = self.seen.difference(&before).copied().collect();
        assert!(made.is_subset(&known.assets()), "it made {made:?}, and its lockfile has {known:?}\n{}", ran.stdout);
        // It holds what the first machine went on with, whose revisions a stale lockfile doesn't
        // have, and what that lockfile has in doubt: its exit code is 1 then, rightly.
        if ran.code != 0 {
            self.strangers.extend(made);
            return;
        }
        self.others.push(Branch { tree: self.tree.clone(), lockfile, lockfiles: Vec::new(), orderly: true });
        self.is_twofold = true;
        self.visit();
    }

    /// To another branch, back, and both again.
    pub(super) fn visit(&mut self) {
        if self.others.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.others.len());
        for _ in 0..4 {
            let branch = self.others.remove(at);
            self.check_out(branch);
            // The one that was left is the last now.
            let left = self.others.pop().unwrap();
            self.others.insert(at, left);
            self.sync(None);
        }
    }

    /// Which assets are current is what the lockfile says that was checked out, if it says so: no
    /// visit of another branch changes it.
    pub(super) fn currents(&self) {
        let Some(text) = &self.checked_out else { return };
        let lockfile = Known::lockfile(text);
        let (_, status) = self.project.json(&["status"]);
        for row in status["assets"].as_array().unwrap() {
            let address = row["address"].as_str().unwrap();
            let own = lockfile.facts.iter().filter(|((of, ..), fact)| {
                of == address && !fact.shared && !fact.duplicate && fact.hash.as_deref() == row["content_hash"].as_str()
            });
            let own: BTreeSet<u64> = own.map(|((_, asset, _), _)| *asset).collect();
            if let (1, Some(asset), Some(id)) = (own.len(), own.first(), row["asset_id"].as_u64()) {
                assert_eq!(id, *asset, "`{address}`: the lockfile that was checked out has another asset\n{text}");
            }
        }
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["assets.db", "assets.db-wal", "assets.toml.db", "assets.toml.db-wal"] {
        let _ = std::fs::remove_file(to.join(name));
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}
