//! The story: which action comes when, and what of it is still to come. Nothing here checks
//! anything; what can't be done just now is left for another card.
//!
//! Read next: `files.rs` for files, `wishes.rs` for manifest, git and commands, `upsets.rs` for
//! what goes wrong, `edges.rs` for what befalls checkout and state, and `crate::runners` for a CI
//! of two machines beside it all.

mod edges;
mod files;
mod upsets;
mod wishes;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::content::Kind;
use crate::deck::{Card, Deck};
use crate::manifest::{Entry, Manifest};
use crate::pace::Pace;
use crate::stage::Stage;

use self::files::SlowWrite;

/// After so many in a row that can't be done, an action is dropped for good.
const MOST_PUT_OFF: u32 = 20;

/// What was begun and ends later by itself.
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

/// Where the story stands.
#[derive(Debug)]
pub struct Story {
    rng: fastrand::Rng,
    deck: Deck,
    /// A storm goes on until each card was dealt.
    whole_deck: bool,
    /// The next content, and the next name.
    number: u64,
    /// How often in a row an action could not be done.
    put_off: u32,
    later: Vec<(Instant, Later)>,
    slow: Vec<SlowWrite>,
    branches: Vec<String>,
    branch: String,
    /// Assets that were to be archived by hand.
    pub archived: BTreeSet<u64>,
}

impl Story {
    pub fn new(pace: &Pace, without: &[String], rng: fastrand::Rng) -> Self {
        let main = "main".to_owned();
        Self {
            rng,
            deck: Deck::new(pace.cards, without),
            whole_deck: pace.whole_deck,
            number: 0,
            put_off: 0,
            later: Vec::new(),
            slow: Vec::new(),
            branches: vec![main.clone()],
            branch: main,
            archived: BTreeSet::new(),
        }
    }

    /// A number that was not used yet.
    fn fresh(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The first of a hundred numbers that were not used yet.
    pub fn number_block(&mut self) -> u64 {
        self.number += 100;
        self.number - 99
    }

    /// The first files, the first commit, both processes.
    pub fn begin(&mut self, stage: &mut Stage) {
        let mut rng = self.rng.fork();
        let mut manifest = Manifest::begin();
        for _ in 0..stage.pace.files {
            let number = self.fresh();
            let kind = if rng.bool() { Kind::Picture } else { Kind::Model };
            if rng.u8(..8) == 0 {
                let path = format!("items/e{number}.{}", kind.extension());
                stage.project.write(&path, kind.bytes(number));
                manifest.add(&format!("e{number}"), &Entry { path, description: None });
            } else {
                let path = self.new_path(stage, kind, &mut rng);
                stage.project.write(&path, kind.bytes(number));
            }
        }
        manifest.write(&stage.project);
        stage.project.commit("first");
        stage.emulator.start();
        stage.runners.begin();
        stage.start_service(&mut rng);
    }

    /// Random actions, until the storm's time is over.
    pub fn storm(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) {
        let mut rng_of_storm = self.rng.fork();
        let end = Instant::now() + Duration::from_secs(rng_of_storm.u64(stage.pace.storm.clone()));
        // In most phases the service lives on, so that what grows in it shows.
        let spares_service = !self.whole_deck && rng_of_storm.u8(..3) > 0;
        let mut next = Instant::now();
        while Instant::now() < end || (self.whole_deck && self.deck.left() > 0) {
            stage.supervise(rng);
            self.go_on(stage, rng);
            if Instant::now() >= next {
                // Each action has random numbers of its own, so that one that can't be done doesn't change those
                // that follow.
                let mut own = self.rng.fork();
                let pause = Duration::from_millis(own.u64(stage.pace.between.clone()));
                let acted = self.next_action(stage, &mut own, spares_service);
                next = Instant::now() + if acted { pause } else { pause / 10 };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the next card, and says whether something was done.
    fn next_action(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng, spares_service: bool) -> bool {
        let card = self.deck.deal(rng);
        if spares_service && card.ends_service() {
            return false;
        }
        match self.act(card, stage, rng) {
            Some(what) => {
                stage.tell(what);
                *stage.figures.actions.entry(card.name()).or_default() += 1;
                self.put_off = 0;
                true
            }
            None => {
                stage.figures.count("actions put off");
                if self.put_off < MOST_PUT_OFF {
                    self.put_off += 1;
                    self.deck.take_back(card);
                }
                false
            }
        }
    }

    fn act(&mut self, card: Card, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        match card {
            Card::EditPicture => self.edit(stage, rng, Some(Kind::Picture)),
            Card::EditModel => self.edit(stage, rng, Some(Kind::Model)),
            Card::AtomicSave => self.atomic_save(stage, rng),
            Card::TruncateAndWrite => self.truncate_and_write(stage, rng),
            Card::SlowWrite => self.slow_write(stage, rng),
            Card::Burst => self.burst(stage, rng),
            Card::Add => self.add(stage, rng),
            Card::Copy => self.copy(stage, rng),
            Card::Rename => self.rename(stage, rng),
            Card::RenameFolder => self.rename_folder(stage, rng),
            Card::Delete => self.delete(stage, rng),
            Card::AddEntry => self.add_entry(stage, rng),
            Card::Promote => self.promote(stage, rng),
            Card::RemoveEntry => self.remove_entry(stage, rng),
            Card::Describe => self.describe(stage, rng),
            Card::BreakManifest => self.break_manifest(stage, rng),
            Card::SwitchBranch => self.switch_branch(stage, rng),
            Card::HoldIndexLock => self.hold_index_lock(stage, rng),
            Card::Pin => self.pin(stage, rng),
            Card::Unpin => self.unpin(stage, rng),
            Card::Archive => self.archive(stage, rng),
            Card::Restore => self.restore(stage, rng),
            Card::Reload => Self::reload(stage),
            Card::FreezeEmulator => self.freeze_emulator(stage, rng),
            Card::KillEmulator | Card::EndEmulator => self.end_emulator(card, stage, rng),
            Card::KillService | Card::EndService => self.end_service(card, stage, rng),
            Card::ServerErrors
            | Card::CommittedErrors
            | Card::TooMany
            | Card::Reset
            | Card::ResetAfterCommit
            | Card::Hang
            | Card::Truncate
            | Card::StuckOperation
            | Card::NotFound
            | Card::ForeignTooMany => self.begin_faults(card, stage, rng),
            Card::EndlessOperation => self.begin_endless(stage, rng),
            Card::LaggingReads => self.lag_reads(stage, rng),
            Card::GitClean => self.git_clean(stage),
            Card::DeleteState => self.delete_state(stage),
            Card::CopyState => self.copy_state(stage),
            Card::StaleState => self.stale_state(stage, rng),
            Card::OldLockfile => self.old_lockfile(stage, rng),
            Card::VisitBranches => self.visit_branches(stage, rng),
            Card::RenamePinned => self.rename_pinned(stage, rng),
            Card::PushEdits | Card::PushOldLockfile | Card::RunOne | Card::RunBoth => {
                stage.runners.act(card, self.number_block(), rng)
            }
        }
    }

    fn plan(&mut self, after: Duration, later: Later) {
        self.later.push((Instant::now() + after, later));
    }

    /// Does what has become due.
    fn go_on(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) {
        self.write_on();
        let now = Instant::now();
        while let Some(at) = self.later.iter().position(|(due, _)| *due <= now) {
            let (_, later) = self.later.remove(at);
            self.carry_out(later, stage, rng);
        }
    }

    /// Ends all that is under way: files are whole, the manifest is valid, git rests, the faults
    /// are over, and both processes run.
    pub fn rest(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) {
        stage.tell("the storm is over");
        self.finish_writes();
        while let Some((_, later)) = self.later.pop() {
            self.carry_out(later, stage, rng);
        }
        stage.emulator.bring_up();
        stage.emulator.clear_faults();
        stage.emulator.lag_reads(Duration::ZERO);
        if !stage.service.is_up() {
            stage.start_service(rng);
        }
        stage.commands.finish();
        stage.runners.finish();
    }
}
