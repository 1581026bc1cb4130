//! What goes wrong around the service: kills, outages, faults of the remote; and how each ends.

use std::time::Duration;

use rustix::process::Signal;

use super::{Later, Story};
use crate::content::Kind;
use crate::deck::Card;
use crate::endless;
use crate::invariants;
use crate::manifest::{FILE, Manifest};
use crate::stage::Stage;
use crate::trouble;

/// How far reads may be behind writes.
const LAG: Duration = Duration::from_secs(3);

impl Story {
    fn outage(stage: &Stage, rng: &mut fastrand::Rng) -> Duration {
        Duration::from_millis(rng.u64(stage.pace.outage.clone()))
    }

    /// SIGHUP, which a process heeds that has begun.
    pub(super) fn reload(stage: &Stage) -> Option<String> {
        if !stage.service.is_up() || !stage.service.is_ready() {
            return None;
        }
        stage.service.signal(Signal::HUP);
        Some("SIGHUP to the service".to_owned())
    }

    pub(super) fn freeze_emulator(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !stage.emulator.is_up() {
            return None;
        }
        stage.emulator.freeze();
        let time = Self::outage(stage, rng);
        self.plan(time, Later::ThawEmulator);
        Some(format!("SIGSTOP to the emulator for {} ms", time.as_millis()))
    }

    pub(super) fn end_emulator(&mut self, card: Card, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !stage.emulator.is_up() {
            return None;
        }
        let (with, name) =
            if card == Card::KillEmulator { (Signal::KILL, "SIGKILL") } else { (Signal::TERM, "SIGTERM") };
        stage.emulator.end(with);
        let time = Self::outage(stage, rng);
        self.plan(time, Later::StartEmulator);
        Some(format!("{name} to the emulator, back after {} ms", time.as_millis()))
    }

    pub(super) fn end_service(&mut self, card: Card, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        // A state that was deleted is in the service's memory alone until it has written it anew.
        if !stage.service.is_up() || stage.project.lacks_state() {
            return None;
        }
        let (with, name) =
            if card == Card::KillService { (Signal::KILL, "SIGKILL") } else { (Signal::TERM, "SIGTERM") };
        stage.service.end(with);
        let time = Self::outage(stage, rng) / 4;
        self.plan(time, Later::StartService);
        Some(format!("{name} to the service, back after {} ms", time.as_millis()))
    }

    /// Faults for a while, and two edits that they can strike.
    pub(super) fn begin_faults(&mut self, card: Card, stage: &Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !stage.emulator.is_up() {
            return None;
        }
        let rules = trouble::rules(card, rng, stage.pace.limits);
        stage.emulator.add_faults(&rules);
        let time = Self::outage(stage, rng);
        self.plan(time, Later::ClearFaults);
        let edits = [Kind::Picture, Kind::Model].map(|kind| self.edit(stage, rng, Some(kind)).unwrap_or_default());
        let rule = serde_json::to_string(&rules.first()).unwrap();
        Some(format!("faults for {} ms: {rule}; {}", time.as_millis(), edits.join(", ")))
    }

    /// Roblox takes a new content and never ends its operation; a person sees to it later.
    pub(super) fn begin_endless(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !stage.emulator.is_up() || !stage.service.is_up() || !stage.service.is_ready() {
            return None;
        }
        self.manifest(stage)?;
        let (number, kind) = (self.fresh(), if rng.u8(..3) > 0 { Kind::Picture } else { Kind::Model });
        // A Model has an operation of its own only where it is new.
        let mut files = Self::free_files(stage);
        files.retain(|path| kind == Kind::Picture && Kind::of(path) == kind);
        let path = rng.choice(files).unwrap_or_else(|| self.new_path(stage, kind, rng));
        stage.emulator.add_faults(&[trouble::endless(invariants::hash(&kind.bytes(number)))]);
        stage.project.write(&path, kind.bytes(number));
        let time = stage.pace.endless + Self::outage(stage, rng);
        self.plan(time, Later::SettleEndless);
        Some(format!("the operation of {path} never ends"))
    }

    /// For a while the remote answers reads with what was before its last writes.
    pub(super) fn lag_reads(&mut self, stage: &Stage, rng: &mut fastrand::Rng) -> Option<String> {
        if !stage.emulator.is_up() {
            return None;
        }
        stage.emulator.lag_reads(LAG);
        let time = Self::outage(stage, rng);
        self.plan(time, Later::EndLag);
        let edit = self.edit(stage, rng, Some(Kind::Model)).unwrap_or_default();
        Some(format!("for {} ms reads lag {} s behind writes; {edit}", time.as_millis(), LAG.as_secs()))
    }

    /// The end of something.
    pub(super) fn carry_out(&mut self, later: Later, stage: &mut Stage, rng: &mut fastrand::Rng) {
        match later {
            Later::ThawEmulator => {
                stage.tell("SIGCONT to the emulator");
                stage.emulator.thaw();
            }
            Later::StartEmulator => {
                stage.emulator.start();
                stage.tell("the emulator is back");
            }
            // Those of an emulator that is down end with it; while others are still to end, all go on.
            Later::ClearFaults
                if stage.emulator.is_up()
                    && !self.later.iter().any(|(_, later)| matches!(later, Later::ClearFaults)) =>
            {
                stage.emulator.clear_faults();
                stage.tell("the faults end");
            }
            Later::ClearFaults => {}
            Later::StartService => {
                // A manifest that is not valid is no beginning.
                self.mend_manifest_first(stage, rng);
                stage.start_service(rng);
            }
            Later::MendManifest { text } => {
                stage.project.write(FILE, text);
                stage.tell("the manifest is mended");
            }
            Later::SettleEndless => {
                self.mend_manifest_first(stage, rng);
                let number = self.number_block();
                endless::settle(stage, number, rng);
            }
            Later::EndLag => {
                if stage.emulator.is_up() {
                    stage.emulator.lag_reads(Duration::ZERO);
                }
            }
            Later::MovePin { from, to } => {
                self.mend_manifest_first(stage, rng);
                stage.commands.finish();
                let mut manifest = Manifest::read(&stage.project);
                manifest.move_pin(&from, &to);
                manifest.write(&stage.project);
                stage.tell(format!("the pin of {from} moves to {to}"));
            }
            Later::DropIndexLock => {
                Self::drop_index_lock(stage);
                stage.tell("git's index lock goes");
            }
        }
    }
    fn mend_manifest_first(&mut self, stage: &mut Stage, rng: &mut fastrand::Rng) {
        if let Some(at) = self.later.iter().position(|(_, later)| matches!(later, Later::MendManifest { .. })) {
            let (_, mend) = self.later.remove(at);
            self.carry_out(mend, stage, rng);
        }
    }
}
