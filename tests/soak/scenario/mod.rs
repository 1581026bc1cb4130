//! The scenario: the order of the random actions, and the effects that are still to come. Nothing
//! here checks anything. An impossible action is put off.
//!
//! Read next: `files.rs` for files, `requests.rs` for manifest, git and commands, `disruptions.rs`
//! for faults, `damage.rs` for damage to checkout and state. `crate::runners` is a CI of two
//! machines beside it all.

mod damage;
mod disruptions;
mod files;
mod requests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::actions::{Action, ActionGenerator};
use crate::content::Kind;
use crate::fixture::SoakFixture;
use crate::manifest::{Entry, Manifest};
use crate::pace::Pace;

use self::files::SlowWrite;

/// The number of failed attempts in a row after which an action is dropped.
const MOST_PUT_OFF: u32 = 20;

/// The later end of something that was started.
#[derive(Debug)]
enum Later {
    ThawEmulator,
    StartEmulator,
    ClearFaults,
    StartService,
    MendManifest { text: String },
    DropIndexLock,
    MovePin { from: String, to: String },
    EndLag,
    SettleEndless,
}

/// The state of a scenario.
#[derive(Debug)]
pub struct Scenario {
    rng: fastrand::Rng,
    actions: ActionGenerator,
    /// Whether a storm continues until every action of the list was taken.
    every_action: bool,
    /// The number of the latest content and name.
    number: u64,
    /// How often in a row an action was impossible.
    put_off: u32,
    later: Vec<(Instant, Later)>,
    slow: Vec<SlowWrite>,
    branches: Vec<String>,
    branch: String,
    /// Assets that the scenario archived.
    pub archived: BTreeSet<u64>,
}

impl Scenario {
    pub fn new(pace: &Pace, without: &[String], rng: fastrand::Rng) -> Self {
        let main = "main".to_owned();
        Self {
            rng,
            actions: ActionGenerator::new(pace.most_of_each_action, without),
            every_action: pace.every_action,
            number: 0,
            put_off: 0,
            later: Vec::new(),
            slow: Vec::new(),
            branches: vec![main.clone()],
            branch: main,
            archived: BTreeSet::new(),
        }
    }

    /// Returns an unused number.
    fn fresh(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Returns the first of a hundred unused numbers.
    pub fn number_block(&mut self) -> u64 {
        self.number += 100;
        self.number - 99
    }

    /// Makes the first files and the first commit, and starts both processes.
    pub fn begin(&mut self, fixture: &mut SoakFixture) {
        let mut rng = self.rng.fork();
        let mut manifest = Manifest::begin();
        for _ in 0..fixture.pace.files {
            let number = self.fresh();
            let kind = if rng.bool() { Kind::Picture } else { Kind::Model };
            if rng.u8(..8) == 0 {
                let path = format!("items/e{number}.{}", kind.extension());
                fixture.project.write(&path, kind.bytes(number));
                manifest.add(&format!("e{number}"), &Entry { path, description: None });
            } else {
                let path = self.new_path(fixture, kind, &mut rng);
                fixture.project.write(&path, kind.bytes(number));
            }
        }
        manifest.write(&fixture.project);
        fixture.project.commit("first");
        fixture.emulator.start();
        fixture.runners.begin();
        fixture.start_service(&mut rng);
    }

    /// Performs random actions until the storm's time is over.
    pub fn storm(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
        let mut rng_of_storm = self.rng.fork();
        let end = Instant::now() + Duration::from_secs(rng_of_storm.u64(fixture.pace.storm.clone()));
        // In most phases the service lives on, so that leaks show.
        let spares_service = !self.every_action && rng_of_storm.u8(..3) > 0;
        let mut next = Instant::now();
        while Instant::now() < end || (self.every_action && self.actions.left() > 0) {
            fixture.supervise(rng);
            self.advance(fixture, rng);
            if Instant::now() >= next {
                // Each action has random numbers of its own, so that an impossible one doesn't
                // change those that follow.
                let mut own = self.rng.fork();
                let pause = Duration::from_millis(own.u64(fixture.pace.between.clone()));
                let acted = self.next_action(fixture, &mut own, spares_service);
                next = Instant::now() + if acted { pause } else { pause / 10 };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the next action, and returns whether it was possible.
    fn next_action(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng, spares_service: bool) -> bool {
        let action = self.actions.draw(rng);
        if spares_service && action.ends_service() {
            return false;
        }
        match self.act(action, fixture, rng) {
            Some(what) => {
                fixture.record(what);
                *fixture.figures.actions.entry(action.name()).or_default() += 1;
                self.put_off = 0;
                true
            }
            None => {
                fixture.figures.count("actions put off");
                if self.put_off < MOST_PUT_OFF {
                    self.put_off += 1;
                    self.actions.take_back(action);
                }
                false
            }
        }
    }

    fn act(&mut self, action: Action, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        match action {
            Action::EditPicture => self.edit(fixture, rng, Some(Kind::Picture)),
            Action::EditModel => self.edit(fixture, rng, Some(Kind::Model)),
            Action::AtomicSave => self.atomic_save(fixture, rng),
            Action::TruncateAndWrite => self.truncate_and_write(fixture, rng),
            Action::SlowWrite => self.slow_write(fixture, rng),
            Action::Burst => self.burst(fixture, rng),
            Action::Add => self.add(fixture, rng),
            Action::Copy => self.copy(fixture, rng),
            Action::Rename => self.rename(fixture, rng),
            Action::RenameFolder => self.rename_folder(fixture, rng),
            Action::Delete => self.delete(fixture, rng),
            Action::AddEntry => self.add_entry(fixture, rng),
            Action::Promote => self.promote(fixture, rng),
            Action::RemoveEntry => self.remove_entry(fixture, rng),
            Action::Describe => self.describe(fixture, rng),
            Action::BreakManifest => self.break_manifest(fixture, rng),
            Action::SwitchBranch => self.switch_branch(fixture, rng),
            Action::HoldIndexLock => self.hold_index_lock(fixture, rng),
            Action::Pin => self.pin(fixture, rng),
            Action::Unpin => self.unpin(fixture, rng),
            Action::Archive => self.archive(fixture, rng),
            Action::Restore => self.restore(fixture, rng),
            Action::Reload => Self::reload(fixture),
            Action::FreezeEmulator => self.freeze_emulator(fixture, rng),
            Action::KillEmulator | Action::EndEmulator => self.end_emulator(action, fixture, rng),
            Action::KillService | Action::EndService => self.end_service(action, fixture, rng),
            Action::ServerErrors
            | Action::CommittedErrors
            | Action::TooMany
            | Action::Reset
            | Action::ResetAfterCommit
            | Action::Hang
            | Action::Truncate
            | Action::StuckOperation
            | Action::NotFound
            | Action::ForeignTooMany => self.begin_faults(action, fixture, rng),
            Action::EndlessOperation => self.begin_endless(fixture, rng),
            Action::LaggingReads => self.lag_reads(fixture, rng),
            Action::GitClean => self.git_clean(fixture),
            Action::DeleteState => self.delete_state(fixture),
            Action::CopyState => self.copy_state(fixture),
            Action::StaleState => self.stale_state(fixture, rng),
            Action::OldLockfile => self.old_lockfile(fixture, rng),
            Action::VisitBranches => self.visit_branches(fixture, rng),
            Action::RenamePinned => self.rename_pinned(fixture, rng),
            Action::PushEdits | Action::PushOldLockfile | Action::RunOne | Action::RunBoth => {
                fixture.runners.act(action, self.number_block(), rng)
            }
        }
    }

    fn plan(&mut self, after: Duration, later: Later) {
        self.later.push((Instant::now() + after, later));
    }

    /// Ends everything that has become due.
    fn advance(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
        self.write_on();
        let now = Instant::now();
        while let Some(at) = self.later.iter().position(|(due, _)| *due <= now) {
            let (_, later) = self.later.remove(at);
            self.carry_out(later, fixture, rng);
        }
    }

    /// Ends everything that is under way: files are complete, the manifest is valid, git is idle,
    /// the faults are over, and both processes run.
    pub fn wind_down(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
        fixture.record("the storm is over");
        self.finish_writes();
        while let Some((_, later)) = self.later.pop() {
            self.carry_out(later, fixture, rng);
        }
        fixture.emulator.bring_up();
        fixture.emulator.clear_faults();
        fixture.emulator.lag_reads(Duration::ZERO);
        if !fixture.service.is_up() {
            fixture.start_service(rng);
        }
        fixture.commands.finish();
        fixture.runners.finish();
    }
}
