//! Operations from their start to their end, and the polls between. Pure.

use super::account::EmulatedKey;
use super::content::CreatableType;
use super::latency::{LatencyModel, observed};
use super::operation::{FailedOperation, FieldError, Operation, OperationEnding, OperationFault, OperationWork};
use super::{Effects, World};
use crate::emulator::refusal::ApiRefusal;
use crate::emulator::switches::{OperationReaders, UnknownOperation};

impl World {
    /// Ends every operation that a fault holds back.
    pub(in crate::emulator) fn release_stuck(&mut self, now: u64) {
        let stuck = |operation: &&Operation| {
            let waits = operation.finish_at.is_none() && operation.polls_left.is_none();
            waits && operation.ending.is_none() && !operation.endless
        };
        let ids: Vec<String> = self.operations.values().filter(stuck).map(|operation| operation.id.clone()).collect();
        for id in ids {
            self.finish(&id, now);
        }
    }

    /// Starts an operation and returns its ID.
    pub(super) fn start(
        &mut self,
        key: &EmulatedKey,
        asset_id: Option<u64>,
        asset_type: CreatableType,
        work: OperationWork,
        effects: &Effects,
        now: u64,
    ) -> String {
        let id = self.mint.operation();
        let content = match &work {
            OperationWork::Change { content, .. } => content.as_ref(),
            OperationWork::Create | OperationWork::Fail(_) => {
                asset_id.and_then(|id| self.assets.get(&id)?.current()).map(|version| &version.content)
            }
        };
        let takes = match self.settings.latency {
            LatencyModel::Fixed(ms) => Some(ms),
            LatencyModel::Observed => Some(observed(asset_type, content, self.mint.spread())),
            LatencyModel::Polls(_) => None,
        };
        let mut operation = Operation {
            id: id.clone(),
            owner: key.owner,
            key_name: key.name.clone(),
            asset_id,
            work,
            created_at: now,
            visible_at: now.saturating_add(self.switches().operation_visible_after_ms),
            finish_at: takes.map(|ms| now.saturating_add(ms)),
            polls_left: if let LatencyModel::Polls(polls) = self.settings.latency { Some(polls) } else { None },
            gone: false,
            endless: effects.operation == Some(OperationFault::Endless),
            stale_for: effects.stale_for,
            ending: None,
        };
        match &effects.operation {
            Some(OperationFault::Stuck { for_ms: None } | OperationFault::Endless) => {
                (operation.finish_at, operation.polls_left) = (None, None);
            }
            Some(OperationFault::Stuck { for_ms: Some(ms) }) => {
                let usual = operation.finish_at.unwrap_or(now);
                (operation.finish_at, operation.polls_left) = (Some(usual.saturating_add(*ms)), None);
            }
            Some(OperationFault::Invisible { for_ms }) => operation.visible_at = now.saturating_add(*for_ms),
            Some(OperationFault::Gone) => operation.gone = true,
            _ => {}
        }
        if let Some(at) = operation.finish_at {
            self.running.insert((at, id.clone()));
        }
        self.operations.insert(id.clone(), operation);
        id
    }

    /// Carries out an operation's effect, and keeps its ending.
    pub(super) fn finish(&mut self, id: &str, at: u64) {
        let Some(operation) = self.operations.get(id) else { return };
        let (asset_id, work, stale_for) = (operation.asset_id, operation.work.clone(), operation.stale_for);
        let ending = match (work, asset_id) {
            (OperationWork::Fail(failure), _) => OperationEnding::Failed(failure),
            (OperationWork::Create, Some(asset_id)) => self.ending(asset_id, Vec::new(), at),
            (OperationWork::Change { content, fields, errors }, Some(asset_id)) => {
                self.write(asset_id, stale_for, at, |world| {
                    world.apply_fields(asset_id, &fields, at);
                    if let Some(content) = content {
                        world.apply_content(asset_id, content, at);
                    }
                });
                self.ending(asset_id, errors, at)
            }
            (OperationWork::Create | OperationWork::Change { .. }, None) => {
                OperationEnding::Failed(FailedOperation::Nothing)
            }
        };
        if let Some(operation) = self.operations.get_mut(id) {
            operation.ending = Some((at, ending));
            self.ended.insert((at, id.to_owned()));
        }
    }

    /// Drops the operations that ended too long ago to be read.
    pub(super) fn forget_operations(&mut self, now: u64) {
        let retention = self.switches().operation_retention_ms;
        if retention == 0 {
            return;
        }
        while let Some((at, id)) = self.ended.first().filter(|(at, _)| at.saturating_add(retention) <= now).cloned() {
            self.operations.remove(&id);
            self.ended.remove(&(at, id));
        }
    }

    fn ending(&self, asset_id: u64, errors: Vec<FieldError>, at: u64) -> OperationEnding {
        match self.assets.get(&asset_id) {
            Some(asset) => OperationEnding::Asset { view: Box::new(asset.view(at)), errors },
            None => OperationEnding::Failed(FailedOperation::Nothing),
        }
    }

    /// Serves `GET /operations/{id}`, a poll. May end the operation, where latency is counted in
    /// polls.
    pub(in crate::emulator) fn poll(&mut self, key: &EmulatedKey, id: &str, now: u64) -> Result<Operation, ApiRefusal> {
        let readers = self.switches().operation_readers;
        let unknown = match self.switches().unknown_operation {
            UnknownOperation::NotFound => ApiRefusal::not_found(format!("Operation {id} is not found")),
            UnknownOperation::BadRequest => ApiRefusal::invalid(format!("Operation {id} is invalid")),
        };
        let Some(operation) = self.operations.get(id) else { return Err(unknown) };
        let foreign =
            operation.owner != key.owner || (readers == OperationReaders::SameKey && operation.key_name != key.name);
        if operation.gone || foreign {
            return Err(unknown);
        }
        if operation.visible_at > now {
            return Err(ApiRefusal::gateway(404, ""));
        }
        let due = match operation.polls_left {
            Some(0) => operation.ending.is_none(),
            Some(polls) => {
                if let Some(operation) = self.operations.get_mut(id) {
                    operation.polls_left = Some(polls - 1);
                }
                false
            }
            None => false,
        };
        if due {
            self.finish(id, now);
        }
        self.operations.get(id).cloned().ok_or(unknown)
    }
}
