//! Carries out plans against the simulated remote, with the same bookkeeping as the real executor:
//! a step's outcome goes through [`effects`].

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::world::{SimulatedRemote, Thing, filtered};
use crate::engine::execute::effects;
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe::{self, QueryResult};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::digest::FieldDigest;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, OperationId};
use crate::model::metadata::{AssetRef, Field, FieldDigests};
use crate::model::metadata_digest;
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

/// An edit of one field.
type FieldEdit = Box<dyn Fn(&mut Thing)>;

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

    /// Carries out a plan. After a step that is not done, the later steps of its address and those
    /// that wait for it are skipped.
    pub(super) fn carry_out(&mut self, plan: &Plan) {
        let input_digests = input_digest::of_each(self.desired.assets.keys(), self.desired, self.recorded);
        let (metadata, mut left): (Vec<&Step>, Vec<&Step>) = plan.steps.iter().partition(|s| s.action.is_metadata());
        let mut failed: BTreeSet<&Address> = BTreeSet::new();
        while !left.is_empty() {
            let pending: BTreeSet<&Address> = left.iter().map(|step| &step.address).collect();
            let at = left.iter().position(|step| !step.after.iter().any(|after| pending.contains(after)));
            let step = left.remove(at.expect("steps wait for one another"));
            self.run(step, &mut failed, &input_digests);
        }
        metadata.into_iter().for_each(|step| self.run(step, &mut failed, &input_digests));
    }

    fn run<'s>(
        &mut self,
        step: &'s Step,
        failed: &mut BTreeSet<&'s Address>,
        input_digests: &std::collections::BTreeMap<Address, Subjects>,
    ) {
        let blocked = failed.contains(&step.address) || step.after.iter().any(|after| failed.contains(after));
        if blocked || !self.one(step, input_digests.get(&step.address)) {
            failed.insert(&step.address);
        }
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
        let mut fields = FieldDigests::new();
        let mut edits: Vec<FieldEdit> = Vec::new();
        let mut banned = false;
        for change in changes {
            let id = |reference: &AssetRef| match reference {
                AssetRef::Id(id) => Some(*id),
                AssetRef::Address(to) => self.recorded.assets.get(to).and_then(|record| record.points_to),
            };
            let digest = match change.clone() {
                FieldChange::DisplayName(name) => {
                    banned |= name.as_str().contains("banned");
                    let digest = FieldDigest::of_text(name.as_str());
                    edits.push(Box::new(move |thing| thing.name = filtered(name.as_str())));
                    digest
                }
                FieldChange::Description(text) => {
                    let digest = FieldDigest::of_text(text.as_str());
                    edits.push(Box::new(move |thing| thing.description = filtered(text.as_str())));
                    digest
                }
                FieldChange::Icon(icon) => {
                    let Some(icon) = icon.as_ref().map(id).map_or(Some(None), |id| id.map(Some)) else { return false };
                    edits.push(Box::new(move |thing| thing.icon = icon));
                    metadata_digest::of_icon(icon)
                }
                FieldChange::Previews(previews) => {
                    let sent = previews.iter().map(|preview| Some((id(&preview.asset)?, preview.alt_text.clone())));
                    let Some(sent) = sent.collect::<Option<Vec<_>>>() else { return false };
                    let digest = metadata_digest::of_previews(&sent);
                    edits.push(Box::new(move |thing| thing.previews = sent.clone()));
                    digest
                }
                FieldChange::SocialLink(network, link) => {
                    let digest = metadata_digest::of_link(link.as_ref());
                    edits.push(Box::new(move |thing| {
                        match link.clone() {
                            Some(link) => thing.links.insert(network, link),
                            None => thing.links.remove(&network),
                        };
                    }));
                    digest
                }
            };
            fields.insert(change.field(), digest);
        }
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
        let id = self.begin(address, record.identity, Intent::UpdateMetadata { asset_id, fields });
        if banned {
            return self.refuse(id, input_digests.unwrap().metadata, RefusalKind::DisplayName);
        }
        if self.world.get(asset_id).is_none() {
            self.commit(&[Change::Advance { attempt: id, event: PhaseEvent::NotCarriedOut }]);
            return self.gone(asset_id);
        }
        let thing = self.world.things.get_mut(&asset_id).unwrap();
        edits.iter().for_each(|edit| edit(thing));
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
        let all = self.recorded.assets.iter().flat_map(|(address, record)| facts(address, record, asset_id));
        let all: Vec<Change> = all.collect();
        self.commit(&all);
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

/// Returns the digest of a field's value at the remote.
pub(super) fn stored(world: &SimulatedRemote, asset_id: AssetId, field: Field) -> Option<FieldDigest> {
    world.describe(asset_id, true)?.stored(field)
}
