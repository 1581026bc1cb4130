//! Polls operations that a newer change replaced: once per run, or at each full rescan of the
//! service.
//!
//! A late result is recorded beside the asset that is used. The plan has no step for such an
//! operation, so nothing waits for it.

use jiff::{SignedDuration, Timestamp};

use crate::cloud::endpoint::Endpoint;
use crate::cloud::wire::operation::OperationState;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::execute::{effects, elsewhere};
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::change::Change;
use crate::model::ids::OperationId;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Recorded};
use crate::model::remote::RemoteAsset;
use crate::model::urgency::Urgency;
use crate::platform::clock;

/// The most operations polled at once: they share the limit of the operations that a run waits for.
const MAX_POLLS: usize = 20;

/// The age at which an operation that Roblox doesn't know counts as over: its outcome can never be
/// known.
const UNKNOWN_IS_OVER_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Roblox's statement about an operation that was set aside.
pub(crate) struct OverdueResult {
    id: AttemptId,
    attempt: Attempt,
    state: OperationState,
}

/// Polls the operations that were set aside. Cancelling is harmless: they are polled again.
pub(crate) async fn poll(context: &ExecutionContext) -> Vec<OverdueResult> {
    let mut results = Vec::new();
    for (id, operation, attempt) in context.state_cache.read(overdue_operations).into_iter().take(MAX_POLLS) {
        let Some(permit) =
            context.stop.or(context.throttle.acquire(Endpoint::GetOperation, Urgency::FirstUpload)).await
        else {
            return results;
        };
        let reply = context.client.get_operation(&operation, attempt.intent.asset_id()).await;
        context.throttle.release(permit, &reply);
        // A failed poll is repeated next time.
        if let Ok(state) = reply.result {
            results.push(OverdueResult { id, attempt, state });
        }
    }
    results
}

/// Records the outcomes.
///
/// # Errors
/// When the state can't be written.
pub(crate) async fn record(state_cache: &StateCache, results: &[OverdueResult]) -> Result<(), StateCacheError> {
    for OverdueResult { id, attempt, state } in results {
        state_cache.commit_with(|recorded| ended(recorded, *id, attempt, state, clock::now())).await?;
    }
    Ok(())
}

fn overdue_operations(recorded: &Recorded) -> Vec<(AttemptId, OperationId, Attempt)> {
    let operation = |attempt: &Attempt| match &attempt.phase {
        Phase::SetAside(operation) => Some(operation.clone()),
        _ => None,
    };
    let all = recorded.attempts.iter();
    all.filter_map(|(id, attempt)| Some((*id, operation(attempt)?, attempt.clone()))).collect()
}

/// Returns the changes that follow from the state of an operation that was set aside.
fn ended(recorded: &Recorded, id: AttemptId, attempt: &Attempt, state: &OperationState, now: Timestamp) -> Vec<Change> {
    let is_open = recorded.attempts.get(&id).is_some_and(|open| open.phase == attempt.phase);
    if !is_open {
        return Vec::new();
    }
    let advance = |event: PhaseEvent| Change::Advance { attempt: id, event };
    match state {
        OperationState::Pending => Vec::new(),
        OperationState::Done(asset) => {
            if let Some(mut changes) = elsewhere::known_by_now(recorded, id, attempt, asset.asset_id) {
                changes.extend(effects::accounted(attempt));
                return changes;
            }
            let mut changes = made_late(recorded, attempt, asset, now);
            changes.push(advance(PhaseEvent::Complete));
            changes.extend(effects::accounted(attempt));
            changes
        }
        OperationState::Failed(_) => {
            let mut changes = vec![advance(PhaseEvent::Refuse)];
            changes.extend(effects::accounted(attempt));
            changes
        }
        // It stays a possible duplicate.
        OperationState::DoneWithNothing => vec![advance(PhaseEvent::Abandon)],
        OperationState::Unknown if now.duration_since(attempt.since) >= UNKNOWN_IS_OVER_AFTER => {
            vec![advance(PhaseEvent::Abandon)]
        }
        OperationState::Unknown | OperationState::NotVisible => Vec::new(),
    }
}

/// Returns the changes for a late result. A new asset is recorded beside the one that is used; a
/// revision of a known asset, with the content that it was made of.
fn made_late(recorded: &Recorded, attempt: &Attempt, asset: &RemoteAsset, now: Timestamp) -> Vec<Change> {
    let Some(record) = recorded.assets.get(&attempt.address) else { return Vec::new() };
    match &attempt.intent {
        Intent::Create { content, .. } => effects::made_beside(&attempt.address, record, *content, asset, now),
        Intent::UpdateContent { content, .. } => effects::revised_late(&attempt.address, record, *content, asset, now),
        Intent::UpdateMetadata { .. } | Intent::Rollback { .. } | Intent::Archive { .. } | Intent::Restore { .. } => {
            vec![Change::RecordObservation { asset: asset.clone() }]
        }
    }
}
