//! Carries out plans against the simulated remote: in the order of the real one
//! ([`chain`](crate::engine::execute::chain)), with the fields that it sends
//! ([`metadata`](crate::engine::execute::metadata)) and what it records of outcomes ([`effects`]).
//!
//! Everything of the real executor that awaits nothing is shared. What is left here are its
//! requests themselves. It sends them through an HTTP client, and each passes a state on disk, on a
//! thread of its own that no paused clock knows of: with both, a scenario takes seconds in place of
//! milliseconds, and thousands of them run. `tests/it/property` checks the real ones together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use jiff::Timestamp;

use super::world::{SimulatedRemote, Thing, filtered};
use crate::cloud::client::FieldUpdate;
use crate::engine::execute::chain::{Finished, Reports, Runner, asset_of, chains, run_chain};
use crate::engine::execute::{effects, metadata};
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe::{self, QueryResult};
use crate::engine::report::run_report::Outcome;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::digest::FieldDigest;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, OperationId};
use crate::model::metadata::Field;
use crate::model::observation::{ANSWERS_UNTIL_GONE, NOT_FOUND_APART};
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::recorded::{AttemptId, DriftRepair, Identity, Record, Recorded, RefusalKind};
use crate::plan::input_digest::{self, Subjects};
use crate::plan::{Action, FieldChange, NewAsset, Plan, Step};

/// How the remote behaves while one plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum FaultMode {
    #[default]
    Fine,
    /// Operations of creates take longer than the run.
    Slow,
    /// The connection breaks during every create, which succeeds nevertheless.
    Silent,
}

/// Carries out plans.
pub(super) struct SimulatedExecutor<'a> {
    pub world: &'a mut SimulatedRemote,
    pub recorded: &'a mut Recorded,
    pub desired: &'a Desired,
    pub fault_mode: FaultMode,
    pub now: Timestamp,
}

impl SimulatedExecutor<'_> {
    pub(super) fn commit(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| self.recorded.apply(change, self.now).unwrap());
    }

    /// Carries out a plan.
    pub(super) fn carry_out(&mut self, plan: &Plan) {
        let input_digests = input_digest::of_each(self.desired.assets.keys(), self.desired, self.recorded);
        let (chains, finished) = (chains(plan.steps.clone()), Finished::default());
        chains.iter().filter_map(|chain| asset_of(chain)).for_each(|address| finished.begin(address.clone()));
        let runner = StepRunner { executor: RefCell::new(self), input_digests };
        let each = chains.into_iter().map(async |chain| {
            run_chain(&runner, chain, &finished, &Reports::default()).await;
        });
        let mut all = pin!(join_all(each));
        // Only chains wait, and only for one another.
        let ended = (0..plan.steps.len() + 2).any(|_| all.as_mut().now_or_never().is_some());
        assert!(ended, "steps wait for one another");
    }

    fn record(&self, address: &Address) -> Record {
        self.recorded.assets[address].clone()
    }

    fn begin(&mut self, address: &Address, identity: Identity, intent: Intent) -> AttemptId {
        let attempt = AttemptId(self.recorded.next_attempt);
        self.commit(&[
            Change::SetIdentity { address: address.clone(), identity },
            Change::Begin { attempt, address: address.clone(), intent },
            Change::Advance { attempt, event: PhaseEvent::HandOver },
        ]);
        attempt
    }

    fn finish(&mut self, id: AttemptId, asset_id: AssetId) -> bool {
        let asset = self.world.describe(asset_id, false).unwrap();
        let attempt = self.recorded.attempts[&id].clone();
        let settled = effects::completed(id, &attempt, &self.record(&attempt.address), &asset, self.now);
        let late = effects::answered_late(&attempt.intent, self.recorded, settled.key);
        self.commit(&[settled.changes, late.into_iter().collect()].concat());
        !settled.rejected
    }

    fn refuse(&mut self, id: AttemptId, input_digest: FieldDigest, refusal_kind: RefusalKind) -> bool {
        let attempt = self.recorded.attempts[&id].clone();
        let record = self.recorded.assets.get(&attempt.address);
        let changes = effects::refused(id, &attempt, record, (input_digest, refusal_kind), "no", self.now);
        self.commit(&changes);
        false
    }

    /// Carries out one step. Returns whether it is done.
    fn one(&mut self, step: &Step, input_digests: Option<&Subjects>) -> bool {
        let address = &step.address;
        match &step.action {
            Action::Create(new) => self.create(address, new, None, input_digests),
            Action::Replace { new, old } => self.create(address, new, Some(*old), input_digests),
            Action::UpdateContent { asset_id, head, identity, content, .. } => {
                let Some(seen) = self.world.describe(*asset_id, false) else { return self.gone(*asset_id) };
                if seen.revision > *head {
                    let changes = effects::made_elsewhere(address, &self.record(address), &seen, self.now);
                    self.commit(&changes);
                    return false;
                }
                let intent = Intent::UpdateContent { asset_id: *asset_id, content: *content, head: *head };
                let id = self.begin(address, identity.clone(), intent);
                self.world.update(*asset_id, *content);
                self.finish(id, *asset_id)
            }
            Action::UpdateMetadata { asset_id, changes, repairs } => {
                self.update_metadata(address, *asset_id, changes, *repairs, input_digests)
            }
            Action::Share { owner, key, identity, content, .. } => {
                if let Some(key) = key
                    && !self.check_alive(address, identity, *key)
                {
                    return false;
                }
                let found = self.recorded.assets.get(owner).and_then(|record| record.find_content(*content));
                let Some((key, fact)) = found else { return false };
                let record = self.recorded.assets.get(address);
                let changes = effects::shared(address, record, identity, (key, fact), &self.desired.checkout, self.now);
                self.commit(&changes);
                true
            }
            Action::PointBack { to, .. } => {
                let identity = self.record(address).identity;
                if !self.check_alive(address, &identity, *to) {
                    return false;
                }
                let seen = self.recorded.seen[&to.asset_id].asset.clone();
                let changes = effects::pointed_back(address, &self.record(address), &seen);
                self.commit(&changes);
                true
            }
            Action::Rollback { asset_id, to } => {
                let record = self.record(address);
                let Some(seen) = self.world.describe(*asset_id, false) else { return self.gone(*asset_id) };
                if seen.revision > record.newest().and_then(|(newest, _)| newest.version) {
                    let changes = effects::made_elsewhere(address, &record, &seen, self.now);
                    self.commit(&changes);
                    return false;
                }
                let id = self.begin(address, record.identity, Intent::Rollback { asset_id: *asset_id, to: *to });
                self.world.roll_back(*asset_id, *to);
                self.finish(id, *asset_id)
            }
            Action::Archive { asset_id, .. } => self.archive(address, *asset_id, true),
            Action::Restore { asset_id, repairs } => {
                if *repairs {
                    self.commit(&[Change::RecordRepair { address: address.clone(), repair: DriftRepair::Archived }]);
                }
                self.archive(address, *asset_id, false)
            }
            Action::Move { .. } => true,
            Action::Wait { attempt } => {
                let made = self.made_by(*attempt);
                self.finish(*attempt, made)
            }
            Action::Settle { .. } => unreachable!("only creates end in doubt here"),
        }
    }

    fn create(
        &mut self,
        address: &Address,
        new: &NewAsset,
        replaces: Option<AssetId>,
        input_digests: Option<&Subjects>,
    ) -> bool {
        let costly = new.identity.asset_type.has_upload_quota();
        let intent = Intent::Create {
            upload: crate::model::ids::UploadId::new(self.recorded.next_attempt),
            content: new.content,
            fields: new.fields.clone(),
            costly,
            replaces,
        };
        let id = self.begin(address, new.identity.clone(), intent);
        if new.display_name.as_str().contains("banned") {
            return self.refuse(id, input_digests.unwrap().asset, RefusalKind::DisplayName);
        }
        let identity = &new.identity;
        let asset_id = self.world.create(identity.asset_type, identity.creator, new.content, &new.display_name);
        if let Some(description) = &new.description {
            self.world.things.get_mut(&asset_id).unwrap().description = filtered(description.as_str());
        }
        match self.fault_mode {
            FaultMode::Fine => self.finish(id, asset_id),
            FaultMode::Slow => {
                let operation = OperationId::new(&asset_id.to_string()).unwrap();
                self.commit(&[Change::Advance { attempt: id, event: PhaseEvent::Accept(operation) }]);
                false
            }
            FaultMode::Silent => {
                self.commit(&[Change::Advance { attempt: id, event: PhaseEvent::Doubt }]);
                false
            }
        }
    }

    /// Returns the asset that an operation made: its ID is the operation's name.
    fn made_by(&self, attempt: AttemptId) -> AssetId {
        match &self.recorded.attempts[&attempt].phase {
            crate::model::phase::Phase::Submitted(operation) => {
                AssetId::new(operation.to_string().parse().unwrap()).unwrap()
            }
            other => panic!("{other:?} is no operation"),
        }
    }

    fn update_metadata(
        &mut self,
        address: &Address,
        asset_id: Option<AssetId>,
        changes: &[FieldChange],
        repairs: bool,
        input_digests: Option<&Subjects>,
    ) -> bool {
        let record = self.record(address);
        let Some(asset_id) = asset_id.or(record.points_to) else { return false };
        let Ok(updates) = metadata::resolve(changes, self.recorded) else { return false };
        let is_banned =
            |update: &FieldUpdate| matches!(update, FieldUpdate::DisplayName(name) if name.as_str().contains("banned"));
        let banned = updates.iter().any(is_banned);
        if record.identity.asset_type.on_content_change() == crate::model::asset::ContentChange::InPlace {
            let Some(seen) = self.world.describe(asset_id, false) else { return self.gone(asset_id) };
            let newest = record.history.of_asset(asset_id).next_back().and_then(|(newest, _)| newest.version);
            if seen.revision > newest {
                let changes = effects::made_elsewhere(address, &record, &seen, self.now);
                self.commit(&changes);
            }
        }
        if repairs {
            self.commit(&[Change::RecordRepair { address: address.clone(), repair: DriftRepair::Metadata }]);
        }
        let fields = updates.iter().map(metadata::asked).collect();
        let id = self.begin(address, record.identity, Intent::UpdateMetadata { asset_id, fields });
        if banned {
            return self.refuse(id, input_digests.unwrap().metadata, RefusalKind::DisplayName);
        }
        if self.world.get(asset_id).is_none() {
            self.commit(&[Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }]);
            return self.gone(asset_id);
        }
        let thing = self.world.things.get_mut(&asset_id).unwrap();
        updates.into_iter().for_each(|update| edit(thing, update));
        self.finish(id, asset_id)
    }

    fn archive(&mut self, address: &Address, asset_id: AssetId, archived: bool) -> bool {
        let intent = if archived { Intent::Archive { asset_id } } else { Intent::Restore { asset_id } };
        let identity = self.record(address).identity;
        let id = self.begin(address, identity, intent);
        if self.world.get(asset_id).is_none() {
            self.commit(&[Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }]);
            return self.gone(asset_id);
        }
        self.world.things.get_mut(&asset_id).unwrap().archived = archived;
        self.finish(id, asset_id)
    }

    fn check_alive(&mut self, address: &Address, identity: &Identity, key: RevisionKey) -> bool {
        let asset_id = key.asset_id;
        let Some(asset) = self.world.describe(asset_id, false) else { return self.gone(asset_id) };
        if self.world.get(asset_id).unwrap().rejected {
            return self.learn(asset_id, effects::rejected);
        }
        if asset.archived == Some(true) {
            let id = self.begin(address, identity.clone(), Intent::Restore { asset_id });
            self.world.things.get_mut(&asset_id).unwrap().archived = false;
            return self.finish(id, asset_id);
        }
        let changes = observe::observed(self.recorded, &asset, self.now);
        self.commit(&changes);
        true
    }

    /// Roblox repeats the 404 until the asset counts as gone.
    fn gone(&mut self, asset_id: AssetId) -> bool {
        for _ in 0..ANSWERS_UNTIL_GONE {
            self.now += NOT_FOUND_APART;
            let changes = observe::not_found(self.recorded, asset_id, self.now);
            self.commit(&changes);
        }
        false
    }

    fn learn(&mut self, asset_id: AssetId, facts: fn(&Address, &Record, AssetId) -> Vec<Change>) -> bool {
        self.commit(&effects::of_all(self.recorded, asset_id, facts));
        false
    }

    /// Fetches every asset, as `--refresh` does.
    pub(super) fn refresh(&mut self) {
        self.ask(observe::queries(self.desired, self.recorded));
    }

    /// Fetches the urgent assets, as every run does.
    pub(super) fn fetch_urgent(&mut self) {
        let queries = observe::queries(self.desired, self.recorded);
        self.ask(observe::urgent(queries, self.recorded, self.now));
    }

    fn ask(&mut self, queries: Vec<AssetQuery>) {
        for query in queries {
            let Some(asset) = self.world.describe(query.asset_id, query.extras) else {
                self.gone(query.asset_id);
                continue;
            };
            let answer = QueryResult::Present(Box::new(asset));
            let changes = observe::apply_observation(self.recorded, query.asset_id, &answer, self.now);
            self.commit(&changes);
        }
    }
}

/// Runs the steps of a plan, one at a time.
struct StepRunner<'e, 'a> {
    executor: RefCell<&'e mut SimulatedExecutor<'a>>,
    input_digests: BTreeMap<Address, Subjects>,
}

impl Runner for StepRunner<'_, '_> {
    async fn run(&self, step: &Step) -> Outcome {
        let mut executor = self.executor.borrow_mut();
        if !executor.one(step, self.input_digests.get(&step.address)) {
            return Outcome::TryLater { message: "simulated".to_owned() };
        }
        let asset_id = executor.recorded.assets.get(&step.address).and_then(|record| record.points_to);
        Outcome::Done { asset_id: asset_id.unwrap_or(AssetId::new(1).unwrap()), revision: None }
    }
}

fn edit(thing: &mut Thing, update: FieldUpdate) {
    match update {
        FieldUpdate::DisplayName(name) => thing.name = filtered(name.as_str()),
        FieldUpdate::Description(text) => thing.description = filtered(text.as_str()),
        FieldUpdate::Icon(icon) => thing.icon = icon,
        FieldUpdate::Previews(previews) => thing.previews = previews,
        FieldUpdate::SocialLink(network, Some(link)) => _ = thing.links.insert(network, link),
        FieldUpdate::SocialLink(network, None) => _ = thing.links.remove(&network),
    }
}

/// Returns the digest of a field's value at the remote.
pub(super) fn stored(world: &SimulatedRemote, asset_id: AssetId, field: Field) -> Option<FieldDigest> {
    world.describe(asset_id, true)?.stored(field)
}
