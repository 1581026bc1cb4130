//! Damage to a checkout and its state. Git cleans it, the state is deleted, or an older copy of it
//! comes back. The lockfile is put back to an old commit, branches are visited in turn, and a
//! pinned file is renamed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Later, Scenario};
use crate::content::Kind;
use crate::fixture::SoakFixture;
use crate::known::{self, Known};
use crate::support::beyond;
use crate::system::Signal;

/// The lockfile, by its name in git.
pub(super) const LOCKFILE: &str = "assets.lock.toml";

/// The number of its latest commits that may be restored.
const COMMITS_BACK: &str = "-20";

impl Scenario {
    /// Removes everything that git doesn't track, as the first step of a CI checkout does. The
    /// files are committed first, since they are not the target.
    pub(super) fn git_clean(&mut self, fixture: &mut SoakFixture) -> Option<String> {
        if !self.git_is_idle(fixture) {
            return None;
        }
        self.finish_writes();
        fixture.project.commit("what is there");
        fixture.project.git(&["clean", "-ffdxq"]);
        Some("git clean -ffdx".to_owned())
    }

    /// Deletes the state under the running service, which has all of it in memory.
    pub(super) fn delete_state(&mut self, fixture: &mut SoakFixture) -> Option<String> {
        if !fixture.service.is_up() || !fixture.service.has_scanned() || !fixture.service.is_ready() {
            return None;
        }
        fixture.commands.reap();
        if !fixture.commands.is_idle() {
            return None;
        }
        let folder = known::state_folder(&fixture.project.file(""))?;
        // The service continues from its memory, which has no abandoned creates.
        let before = fixture.service.frozen(|| {
            let before = Known::state(&fixture.project);
            std::fs::remove_dir_all(folder).unwrap();
            before
        });
        fixture.gone.push(Known { abandoned: before.abandoned, ..Known::default() });
        fixture.states += 1;
        Some("delete the state under the service".to_owned())
    }

    /// Copies the state, as a cache of CI or a backup does.
    pub(super) fn copy_state(&mut self, fixture: &mut SoakFixture) -> Option<String> {
        let folder = known::state_folder(&fixture.project.file(""))?;
        let copy = fixture.project.beside("state-copy");
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
        if fixture.service.is_up() {
            fixture.service.frozen(take)
        } else {
            take()
        }
        Some("copy the state".to_owned())
    }

    /// Puts that copy in place of the state. The lockfile stays as it is.
    pub(super) fn stale_state(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let (copy, folder) = (fixture.project.beside("state-copy"), known::state_folder(&fixture.project.file(""))?);
        if !copy.exists() || !fixture.service.is_up() || !fixture.service.is_ready() || !self.manifest_is_idle(fixture)
        {
            return None;
        }
        fixture.service.end(Signal::TERM);
        let lost = Known::state(&fixture.project);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        for entry in std::fs::read_dir(&copy).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        fixture.states += 1;
        // By the contract, facts that only that state knew are lost with it. Each of them is
        // counted, and nothing else is excused.
        let copy = Known::state(&fixture.project);
        // A branch that was left before its first lockfile was written has none.
        let lockfile = std::fs::read_to_string(fixture.project.file(LOCKFILE)).unwrap_or_default();
        let here = copy.clone().and(&Known::lockfile(&lockfile));
        let made: BTreeSet<(u64, u64)> = lost.facts.keys().map(|(_, asset, revision)| (*asset, *revision)).collect();
        let is_known = |made: &(u64, u64)| here.facts.keys().any(|(_, asset, revision)| (*asset, *revision) == *made);
        fixture.unknown_revisions.extend(made.into_iter().filter(|made| !is_known(made)));
        fixture.unknown_archivings.extend(&self.archived);
        let kept = copy.and(&fixture.project.lockfiles());
        fixture.gone.push(beyond(lost, &kept));
        fixture.start_service(rng);
        Some("an older copy of the state comes back".to_owned())
    }

    /// A person puts the lockfile back to an old commit, under the running service.
    pub(super) fn old_lockfile(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if !self.git_is_idle(fixture) {
            return None;
        }
        let log = fixture.project.try_git(&["log", "--format=%h", COMMITS_BACK, "--", LOCKFILE]);
        let text = String::from_utf8_lossy(&log.stdout).into_owned();
        let commit = rng.choice(text.lines().skip(1).collect::<Vec<_>>())?.to_owned();
        let done = fixture.project.try_git(&["checkout", "--quiet", &commit, "--", LOCKFILE]);
        done.status.success().then(|| format!("put the lockfile back to {commit}"))
    }

    /// Switches to another branch, back, and to the other again.
    pub(super) fn visit_branches(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if self.branches.len() < 2 || !self.git_is_idle(fixture) {
            return None;
        }
        let here = self.branch.clone();
        let other = rng.choice(self.branches.iter().filter(|branch| **branch != here).collect::<Vec<_>>())?.clone();
        for to in [&other, &here, &other] {
            self.switch_to(fixture, to, false);
            std::thread::sleep(Duration::from_millis(rng.u64(fixture.pace.between.clone())));
            fixture.supervise(rng);
            if !self.git_is_idle(fixture) {
                break;
            }
        }
        Some(format!("visit {other}, {here} and {other}: on {}", self.branch))
    }

    /// Renames the file of a pinned address. Its pin moves along in the same step, or names the old
    /// address for a while.
    pub(super) fn rename_pinned(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let mut manifest = self.manifest(fixture)?;
        let free = |path: &String| fixture.project.file(path).exists() && !manifest.entries().contains_key(path);
        let from = rng.choice(manifest.pins().into_iter().filter(free).collect::<Vec<_>>())?;
        let to = self.new_path(fixture, Kind::of(&from), rng);
        let along = rng.bool();
        if along {
            manifest.move_pin(&from, &to);
            manifest.write(&fixture.project);
        } else {
            let time = Duration::from_millis(rng.u64(fixture.pace.outage.clone()));
            self.plan(time, Later::MovePin { from: from.clone(), to: to.clone() });
        }
        fixture.project.rename(&from, &to);
        Some(format!("rename the pinned {from} to {to}, its pin {}", if along { "along" } else { "later" }))
    }

    /// Whether neither git nor the manifest is in the middle of a change.
    pub(super) fn git_is_idle(&self, fixture: &mut SoakFixture) -> bool {
        self.manifest_is_idle(fixture) && !fixture.project.file(super::requests::INDEX_LOCK).exists()
    }
}
