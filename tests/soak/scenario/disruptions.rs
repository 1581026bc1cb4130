//! Disruptions around the service: kills, outages, faults of the remote; and how each ends.

use std::time::Duration;

use super::{Later, Scenario};
use crate::actions::Action;
use crate::content::Kind;
use crate::endless;
use crate::faults;
use crate::fixture::SoakFixture;
use crate::invariants;
use crate::manifest::{FILE, Manifest};
use crate::system::Signal;

/// How far reads may lag behind writes.
const LAG: Duration = Duration::from_secs(3);

impl Scenario {
    fn outage(fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Duration {
        Duration::from_millis(rng.u64(fixture.pace.outage.clone()))
    }

    /// Sends SIGHUP, which only a service that is ready handles.
    pub(super) fn reload(fixture: &SoakFixture) -> Option<String> {
        if !fixture.service.is_up() || !fixture.service.is_ready() {
            return None;
        }
        fixture.service.signal(Signal::HUP);
        Some("SIGHUP to the service".to_owned())
    }

    pub(super) fn freeze_emulator(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if !fixture.emulator.is_up() {
            return None;
        }
        fixture.emulator.freeze();
        let time = Self::outage(fixture, rng);
        self.plan(time, Later::ThawEmulator);
        Some(format!("SIGSTOP to the emulator for {} ms", time.as_millis()))
    }

    pub(super) fn end_emulator(
        &mut self,
        action: Action,
        fixture: &mut SoakFixture,
        rng: &mut fastrand::Rng,
    ) -> Option<String> {
        if !fixture.emulator.is_up() {
            return None;
        }
        let (with, name) =
            if action == Action::KillEmulator { (Signal::KILL, "SIGKILL") } else { (Signal::TERM, "SIGTERM") };
        fixture.emulator.end(with);
        let time = Self::outage(fixture, rng);
        self.plan(time, Later::StartEmulator);
        Some(format!("{name} to the emulator, back after {} ms", time.as_millis()))
    }

    pub(super) fn end_service(
        &mut self,
        action: Action,
        fixture: &mut SoakFixture,
        rng: &mut fastrand::Rng,
    ) -> Option<String> {
        // After a state was deleted, only the service's memory has it until it is written anew.
        if !fixture.service.is_up() || fixture.project.lacks_state() {
            return None;
        }
        let (with, name) =
            if action == Action::KillService { (Signal::KILL, "SIGKILL") } else { (Signal::TERM, "SIGTERM") };
        fixture.service.end(with);
        let time = Self::outage(fixture, rng) / 4;
        self.plan(time, Later::StartService);
        Some(format!("{name} to the service, back after {} ms", time.as_millis()))
    }

    /// Starts faults for a while, and makes two edits that they can hit.
    pub(super) fn begin_faults(
        &mut self,
        action: Action,
        fixture: &SoakFixture,
        rng: &mut fastrand::Rng,
    ) -> Option<String> {
        if !fixture.emulator.is_up() {
            return None;
        }
        let rules = faults::rules(action, rng, fixture.pace.limits);
        fixture.emulator.add_faults(&rules);
        let time = Self::outage(fixture, rng);
        self.plan(time, Later::ClearFaults);
        let edits = [Kind::Picture, Kind::Model].map(|kind| self.edit(fixture, rng, Some(kind)).unwrap_or_default());
        let rule = serde_json::to_string(&rules.first()).unwrap();
        Some(format!("faults for {} ms: {rule}; {}", time.as_millis(), edits.join(", ")))
    }

    /// Makes Roblox accept new content and never end its operation. A person handles it later.
    pub(super) fn begin_endless(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if !fixture.emulator.is_up() || !fixture.service.is_up() || !fixture.service.is_ready() {
            return None;
        }
        self.manifest(fixture)?;
        let (number, kind) = (self.fresh(), if rng.u8(..3) > 0 { Kind::Picture } else { Kind::Model });
        // A Model has an operation of its own only if it is new.
        let mut files = Self::free_files(fixture);
        files.retain(|path| kind == Kind::Picture && Kind::of(path) == kind);
        let path = rng.choice(files).unwrap_or_else(|| self.new_path(fixture, kind, rng));
        fixture.emulator.add_faults(&[faults::endless(invariants::hash(&kind.bytes(number)))]);
        fixture.project.write(&path, kind.bytes(number));
        let time = fixture.pace.endless + Self::outage(fixture, rng);
        self.plan(time, Later::SettleEndless);
        Some(format!("the operation of {path} never ends"))
    }

    /// Makes the remote's reads show the state before its last writes for a while.
    pub(super) fn lag_reads(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if !fixture.emulator.is_up() {
            return None;
        }
        fixture.emulator.lag_reads(LAG);
        let time = Self::outage(fixture, rng);
        self.plan(time, Later::EndLag);
        let edit = self.edit(fixture, rng, Some(Kind::Model)).unwrap_or_default();
        Some(format!("for {} ms reads lag {} s behind writes; {edit}", time.as_millis(), LAG.as_secs()))
    }

    /// Carries out the end of something.
    pub(super) fn carry_out(&mut self, later: Later, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
        match later {
            Later::ThawEmulator => {
                fixture.record("SIGCONT to the emulator");
                fixture.emulator.thaw();
            }
            Later::StartEmulator => {
                fixture.emulator.start();
                fixture.record("the emulator is back");
            }
            // The faults of an emulator that is down end with it. While others are still to end,
            // all continue.
            Later::ClearFaults
                if fixture.emulator.is_up()
                    && !self.later.iter().any(|(_, later)| matches!(later, Later::ClearFaults)) =>
            {
                fixture.emulator.clear_faults();
                fixture.record("the faults end");
            }
            Later::ClearFaults => {}
            Later::StartService => {
                // The service can't start with an invalid manifest.
                self.mend_manifest_first(fixture, rng);
                fixture.start_service(rng);
            }
            Later::MendManifest { text } => {
                fixture.project.write(FILE, text);
                fixture.record("the manifest is mended");
            }
            Later::SettleEndless => {
                self.mend_manifest_first(fixture, rng);
                let number = self.number_block();
                endless::settle(fixture, number, rng);
            }
            Later::EndLag => {
                if fixture.emulator.is_up() {
                    fixture.emulator.lag_reads(Duration::ZERO);
                }
            }
            Later::MovePin { from, to } => {
                self.mend_manifest_first(fixture, rng);
                fixture.commands.finish();
                let mut manifest = Manifest::read(&fixture.project);
                manifest.move_pin(&from, &to);
                manifest.write(&fixture.project);
                fixture.record(format!("the pin of {from} moves to {to}"));
            }
            Later::DropIndexLock => {
                Self::drop_index_lock(fixture);
                fixture.record("git's index lock goes");
            }
        }
    }
    fn mend_manifest_first(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
        if let Some(at) = self.later.iter().position(|(_, later)| matches!(later, Later::MendManifest { .. })) {
            let (_, mend) = self.later.remove(at);
            self.carry_out(mend, fixture, rng);
        }
    }
}
