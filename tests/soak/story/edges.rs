//! What happens to a checkout and its state at their edges: git cleans it, the state is deleted or
//! an older copy of it comes back, the lockfile is put back to an old commit, branches are visited
//! in turn, and what is pinned is renamed.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use super::{Later, Story};
use crate::content::Kind;
use crate::known::{self, Known};
use crate::stage::Stage;
use crate::support::beyond;

/// The lockfile, as git knows it.
pub(super) const LOCKFILE: &str = "assets.lock.toml";

/// So many of its last commits may be gone back to.
const COMMITS_BACK: &str = "-20";

impl Story {
    /// What a CI checkout does first: all that git doesn't know goes. The files are committed
    /// before, as nobody means them.
    pub(super) fn git_clean(&mut self, stage: &mut Stage) -> Option<String> {
        if !self.git_rests(stage) {
            return None;
        }
        self.finish_writes();
        stage.project.commit("what is there");
        stage.project.git(&["clean", "-ffdxq"]);
        Some("git clean -ffdx".to_owned())
    }

    /// Under the running service, which has all of it in memory.
    pub(super) fn delete_state(&mut self, stage: &mut Stage) -> Option<String> {
        if !stage.service.is_up() || !stage.service.has_looked() || !stage.service.is_ready() {
            return None;
        }
        stage.commands.reap();
        if !stage.commands.is_idle() {
            return None;
        }
        let folder = known::state_folder(&stage.project.file(""))?;
        // The service goes on from its memory, which has no creates that were given up.
        let before = stage.service.frozen(|| {
            let before = Known::state(&stage.project);
            std::fs::remove_dir_all(folder).unwrap();
            before
        });
        stage.gone.push(Known { abandoned: before.abandoned, ..Known::default() });
        stage.states += 1;
        Some("delete the state under the service".to_owned())
    }

    /// A copy of the state is taken, as a cache of CI or a backup takes it.
    pub(super) fn copy_state(&mut self, stage: &mut Stage) -> Option<String> {
        let folder = known::state_folder(&stage.project.file(""))?;
        let copy = stage.project.beside("state-copy");
        if copy.exists() {
            std::fs::remove_dir_all(&copy).unwrap();
        }
        std::fs::create_dir_all(&copy).unwrap();
        let take = || {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_file() && name.starts_with("assets.") && name.contains(".db") && !name.ends_with("-shm") {
                    std::fs::copy(&path, copy.join(name)).unwrap();
                }
            }
        };
        if stage.service.is_up() {
            stage.service.frozen(take)
        } else {
            take()
        }
        Some("copy the state".to_owned())
    }

    /// That copy comes back in place of the state, while the lockfile stays as it is.
    pub(super) fn stale_state(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let (copy, folder) = (stage.project.beside("state-copy"), known::state_folder(&stage.project.file(""))?);
        if !copy.exists() || !stage.service.is_up() || !stage.service.is_ready() || !self.manifest_rests(stage) {
            return None;
        }
        stage.service.end(Signal::TERM);
        let lost = Known::state(&stage.project);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        for entry in std::fs::read_dir(&copy).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        stage.states += 1;
        // What only that state knew is gone with it, by the contract; each of these is counted, and nothing
        // else is excused.
        let copy = Known::state(&stage.project);
        let here = copy.clone().and(&Known::lockfile(&stage.project.text(LOCKFILE)));
        let made: BTreeSet<(u64, u64)> = lost.facts.keys().map(|(_, asset, revision)| (*asset, *revision)).collect();
        let is_known = |made: &(u64, u64)| here.facts.keys().any(|(_, asset, revision)| (*asset, *revision) == *made);
        stage.unknown_revisions.extend(made.into_iter().filter(|made| !is_known(made)));
        let kept = copy.and(&stage.project.lockfiles());
        stage.gone.push(beyond(lost, &kept));
        stage.start_service(rng);
        Some("an older copy of the state comes back".to_owned())
    }

    /// Somebody puts the lockfile back to an old commit, under the running service.
    pub(super) fn old_lockfile(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !self.git_rests(stage) {
            return None;
        }
        let log = stage.project.try_git(&["log", "--format=%h", COMMITS_BACK, "--", LOCKFILE]);
        let text = String::from_utf8_lossy(&log.stdout).into_owned();
        let commit = rng.choice(text.lines().skip(1).collect::<Vec<_>>())?.to_owned();
        let done = stage.project.try_git(&["checkout", "--quiet", &commit, "--", LOCKFILE]);
        done.status.success().then(|| format!("put the lockfile back to {commit}"))
    }

    /// To another branch, back, and both again.
    pub(super) fn visit_branches(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if self.branches.len() < 2 || !self.git_rests(stage) {
            return None;
        }
        let here = self.branch.clone();
        let other = rng.choice(self.branches.iter().filter(|branch| **branch != here).collect::<Vec<_>>())?.clone();
        for to in [&other, &here, &other] {
            self.switch_to(stage, to, false);
            std::thread::sleep(Duration::from_millis(rng.u64(stage.pace.between.clone())));
            stage.supervise(rng);
            if !self.git_rests(stage) {
                break;
            }
        }
        Some(format!("visit {other}, {here} and {other}: on {}", self.branch))
    }

    /// The file of a pinned address is renamed. Its pin moves along in the same step, or speaks of
    /// the old address for a while.
    pub(super) fn rename_pinned(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(stage)?;
        let free = |path: &String| stage.project.file(path).exists() && !manifest.entries().contains_key(path);
        let from = rng.choice(manifest.pins().into_iter().filter(free).collect::<Vec<_>>())?;
        let to = self.new_path(stage, Kind::of(&from), rng);
        let along = rng.bool();
        if along {
            manifest.move_pin(&from, &to);
            manifest.write(&stage.project);
        } else {
            let time = Duration::from_millis(rng.u64(stage.pace.outage.clone()));
            self.plan(time, Later::MovePin { from: from.clone(), to: to.clone() });
        }
        stage.project.rename(&from, &to);
        Some(format!("rename the pinned {from} to {to}, its pin {}", if along { "along" } else { "later" }))
    }

    /// Nobody is in the middle of git's work or of the manifest.
    pub(super) fn git_rests(&self, stage: &mut Stage) -> bool {
        self.manifest_rests(stage) && !stage.project.file(super::wishes::INDEX_LOCK).exists()
    }
}
