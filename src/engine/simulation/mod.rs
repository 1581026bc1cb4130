//! A pure simulation of convergence. Whatever was wanted before, whatever others changed at the
//! remote, and however a rollback works: a few rounds of planning and executing end in an empty
//! plan. Then the remote matches the files, or the plan says why not.
//!
//! `tests/it/property` checks the same with the real binary against the emulator.

mod executor;
mod scenarios;
mod world;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::desired::Desired;
use crate::model::digest::FieldDigest;
use crate::model::ids::AssetId;
use crate::model::metadata::Field;
use crate::model::phase::Phase;
use crate::model::recorded::Recorded;
use crate::plan::current::current;
use crate::plan::{Action, Plan, PlanOptions, input_digest, lint, plan};
use crate::state::lockfile::{Ledger, export, import, locked};
use executor::{FaultMode, SimulatedExecutor, stored};
use scenarios::{Meddling, ScenarioEvent, any_scenario, hash, without_dangling};
use world::{RollbackMakes, SimulatedRemote};

const REMOTE: &str = "https://remote.test";

/// The number of rounds after which a plan must be empty.
const ROUNDS: usize = 8;

struct SimulationFixture {
    world: SimulatedRemote,
    recorded: Recorded,
    desired: Desired,
    ledger: Ledger,
    commits: Vec<(Desired, Ledger)>,
    fault_mode: FaultMode,
    now: Timestamp,
    /// The last content made elsewhere, which no file has.
    strange: u8,
}

impl SimulationFixture {
    fn new(rollback: RollbackMakes) -> Self {
        Self {
            world: SimulatedRemote::new(rollback),
            recorded: Recorded::default(),
            desired: Desired::default(),
            ledger: Ledger::new(REMOTE.to_owned()),
            commits: Vec::new(),
            fault_mode: FaultMode::Fine,
            now: Timestamp::UNIX_EPOCH,
            strange: 100,
        }
    }

    fn context(&mut self) -> SimulatedExecutor<'_> {
        let Self { world, recorded, desired, fault_mode, now, .. } = self;
        SimulatedExecutor { world, recorded, desired, fault_mode: std::mem::take(fault_mode), now: *now }
    }

    fn plan(&self) -> Plan {
        plan(&self.desired, &self.recorded, &PlanOptions::default(), self.now)
    }

    fn read_lockfile(&mut self) {
        let changes = import(&self.recorded, &self.ledger, self.now);
        self.executor_commit(&changes);
    }

    fn executor_commit(&mut self, changes: &[crate::model::change::Change]) {
        changes.iter().for_each(|change| self.recorded.apply(change, self.now).unwrap());
    }

    fn happen(&mut self, event: ScenarioEvent) {
        // Reads lag behind writes; people are slower than that.
        self.now += SignedDuration::from_mins(10);
        match event {
            ScenarioEvent::Want(desired) => self.desired = *desired,
            ScenarioEvent::Edit(at, content, metadata) if !self.desired.assets.is_empty() => {
                let at = at.index(self.desired.assets.len());
                let want = self.desired.assets.values_mut().nth(at).unwrap();
                match metadata {
                    Some(metadata) => want.metadata = metadata.into(),
                    None => {
                        if let Ok(facts) = &mut want.content {
                            facts.hash = hash(content);
                        }
                    }
                }
                self.desired = without_dangling(std::mem::take(&mut self.desired));
            }
            ScenarioEvent::CheckOut(at) if !self.commits.is_empty() => {
                let (desired, ledger) = self.commits[at.index(self.commits.len())].clone();
                (self.desired, self.ledger) = (desired, ledger);
                self.read_lockfile();
            }
            ScenarioEvent::Edit(..) | ScenarioEvent::CheckOut(_) => {}
            ScenarioEvent::Meddle(at, what) => self.edit_elsewhere(at, what),
            ScenarioEvent::Refresh => self.context().refresh(),
            ScenarioEvent::Days(days) => self.now += SignedDuration::from_hours(24 * days),
            ScenarioEvent::Fault(fault_mode) => self.fault_mode = fault_mode,
            ScenarioEvent::FreshMachine => {
                self.recorded = Recorded::default();
                self.read_lockfile();
            }
        }
    }

    fn edit_elsewhere(&mut self, at: prop::sample::Index, what: Meddling) {
        if self.world.things.is_empty() {
            return;
        }
        self.strange += 1;
        let strange = hash(self.strange);
        let at = at.index(self.world.things.len());
        let other = *self.world.things.keys().next().unwrap();
        let thing = self.world.things.values_mut().nth(at).unwrap();
        let in_place = thing.asset_type.on_content_change() == ContentChange::InPlace;
        match what {
            Meddling::NewVersion if in_place => {
                thing.versions.push(strange);
                thing.head = thing.versions.len();
            }
            Meddling::OldVersion => thing.head = 1,
            Meddling::Rename => thing.name = "meddled".to_owned(),
            Meddling::Describe => thing.description = "meddled".to_owned(),
            Meddling::Icon => thing.icon = Some(other),
            Meddling::Archive => thing.archived = true,
            Meddling::Restore => thing.archived = false,
            Meddling::Reject => thing.rejected = true,
            Meddling::Vanish => thing.gone = true,
            Meddling::NewVersion => {}
        }
    }

    /// Plans and executes until a plan is empty.
    fn converge(&mut self) -> Plan {
        self.context().fetch_urgent();
        let mut plans = Vec::new();
        for _ in 0..ROUNDS {
            let plan = self.plan();
            assert_eq!(lint::check(&plan, &BTreeSet::new()), Vec::<String>::new());
            assert_eq!(self.plan(), plan, "the same inputs gave two plans");
            self.executor_commit(&plan.marks);
            self.check_archiving(&plan);
            if plan.steps.is_empty() {
                let again = self.plan();
                assert_eq!(again.marks, [], "marks are left after {:#?}", plan.marks);
                assert_eq!(again.steps, [], "steps come after marks {:#?}", plan.marks);
                return again;
            }
            self.context().carry_out(&plan);
            self.now += SignedDuration::from_secs(1);
            plans.push(plan);
        }
        panic!("no end after {ROUNDS} rounds: {:#?}", plans.split_off(ROUNDS - 3));
    }

    /// Checks that no asset in use is archived.
    fn check_archiving(&self, plan: &Plan) {
        let mut used: BTreeSet<AssetId> = self.desired.existing.values().copied().collect();
        for (address, want) in &self.desired.assets {
            let Some(record) = self.recorded.assets.get(address) else { continue };
            used.extend(current(want, record).map(|(key, _)| key.asset_id));
            used.extend(record.points_to);
        }
        for step in &plan.steps {
            if let Action::Archive { asset_id, .. } = &step.action {
                assert!(!used.contains(asset_id), "asset {asset_id} is in use, and archived");
            }
        }
    }

    fn write_lockfile(&mut self) {
        let in_manifest: BTreeSet<Address> = self.desired.assets.keys().cloned().collect();
        self.ledger = export(REMOTE, &self.recorded, &in_manifest);
        let changes = locked(&self.recorded, &in_manifest);
        self.executor_commit(&changes);
    }

    /// Checks that every address without a hold or drift points to the wanted asset.
    fn check_in_sync(&self, plan: &Plan) {
        let silent = |address: &Address| {
            !plan.held.iter().any(|hold| hold.address == *address)
                && !plan.drifts.iter().any(|drift| drift.address == *address)
        };
        for (address, want) in self.desired.assets.iter().filter(|(address, _)| silent(address)) {
            let record = &self.recorded.assets[address];
            let (key, fact) = current(want, record).expect("it is something");
            assert_eq!(record.points_to, Some(key.asset_id), "{address} points elsewhere");
            if let (None, Ok(facts)) = (*want.pin, &want.content) {
                assert_eq!(fact.content, Some(facts.hash), "{address} is another content");
            }
        }
    }

    /// Checks, after a refresh, that the remote is as wanted wherever the plan doesn't say
    /// otherwise.
    fn check_remote(&self, plan: &Plan) {
        let spoken = |address: &Address| {
            plan.held.iter().any(|hold| hold.address == *address)
                || plan.drifts.iter().any(|drift| drift.address == *address)
                || plan.notes.iter().any(|note| note.address.as_ref() == Some(address))
        };
        for (address, want) in self.desired.assets.iter().filter(|(address, _)| !spoken(address)) {
            let record = &self.recorded.assets[address];
            let (key, _) = current(want, record).unwrap();
            let Some(thing) = self.world.get(key.asset_id) else { panic!("{address} is gone, and nobody says so") };
            assert!(!thing.archived, "{address} is archived, and nobody says so");
            if let (None, Ok(facts)) = (*want.pin, &want.content) {
                assert_eq!(thing.versions[thing.head - 1], facts.hash, "{address} has other bytes");
            }
            let sharers = |asset_id: AssetId| {
                let all =
                    self.desired.assets.iter().filter_map(|(a, want)| current(want, self.recorded.assets.get(a)?));
                all.filter(|(key, _)| key.asset_id == asset_id).count()
            };
            if sharers(key.asset_id) > 1 {
                continue;
            }
            for (field, wanted) in input_digest::fields(want, &self.desired, &self.recorded) {
                let at_remote = stored(&self.world, key.asset_id, field).unwrap();
                let is_asked = record.asked.get(&field) == Some(&wanted);
                let otherwise = record.stored.get(&field) == Some(&at_remote);
                let filtered = at_remote == FieldDigest::of_text("####");
                assert!(
                    is_asked && (at_remote == wanted || otherwise || filtered || field == Field::Icon),
                    "{address}: its {} is {at_remote}, asked {:?}, wanted {wanted}",
                    field.name(),
                    record.asked.get(&field)
                );
            }
        }
    }
}

fn play(rollback: RollbackMakes, scenario: Vec<ScenarioEvent>) {
    let mut scene = SimulationFixture::new(rollback);
    for event in scenario {
        scene.happen(event);
        let plan = scene.converge();
        scene.check_in_sync(&plan);
        scene.write_lockfile();
        let still = scene.plan();
        assert_eq!((still.steps, still.marks), (vec![], vec![]), "the lockfile changed the plan");
        scene.commits.push((scene.desired.clone(), scene.ledger.clone()));
        scene.check_fresh_machine();
    }
    scene.happen(ScenarioEvent::Refresh);
    scene.converge();
    scene.happen(ScenarioEvent::Refresh);
    let plan = scene.converge();
    scene.check_remote(&plan);
}

impl SimulationFixture {
    /// Checks that a new machine with only the lockfile uploads nothing and rolls nothing back.
    fn check_fresh_machine(&self) {
        if self.recorded.attempts.values().any(|attempt| !matches!(attempt.phase, Phase::Submitted(_))) {
            return;
        }
        let held: BTreeSet<Address> = self.plan().held.into_iter().map(|hold| hold.address).collect();
        let mut fresh = Recorded::default();
        for change in import(&fresh, &self.ledger, self.now) {
            fresh.apply(&change, self.now).unwrap();
        }
        let plan = plan(&self.desired, &fresh, &PlanOptions::default(), self.now);
        for step in plan.steps.iter().filter(|step| !held.contains(&step.address)) {
            let changes = matches!(
                step.action,
                Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. } | Action::Rollback { .. }
            );
            assert!(!changes, "a fresh machine would {} {}", step.action.name(), step.address);
        }
    }
}

/// Scenarios are long, so a quarter of the usual number runs.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 4, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_scenario_ends_in_an_empty_plan(scenario in any_scenario(), new_version: bool) {
        play(if new_version { RollbackMakes::NewVersion } else { RollbackMakes::Repoint }, scenario);
    }
}
