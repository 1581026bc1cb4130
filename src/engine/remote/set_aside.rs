//! Operations that nobody waits for any more, since something newer took their place: asked about
//! once a run, or as often as the service looks around.
//!
//! What one makes late is recorded beside the asset that is used; the plan has no step for it, so
//! nothing waits behind it.

use jiff::{SignedDuration, Timestamp};

use crate::cloud::endpoint::Endpoint;
use crate::cloud::wire::operation::OperationState;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::execute::effects;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::change::Change;
use crate::model::ids::OperationId;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Recorded};
use crate::model::remote::RemoteAsset;
use crate::platform::clock;

/// So many are asked about at once, at most: they share the budget of operations that are waited
/// for.
const AT_ONCE: usize = 20;

/// An operation that Roblox doesn't know is over after so long, and nobody will ever learn what
/// came of it.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What Roblox says of an operation that was set aside.
pub(crate) struct SetAsideResult {
    id: AttemptId,
    attempt: Attempt,
    state: OperationState,
}

/// Asks about the operations that were set aside. Giving up the answers is harmless: they are asked
/// for again.
pub(crate) async fn ask(context: &ExecutionContext) -> Vec<SetAsideResult> {
    let mut said = Vec::new();
    for (id, operation, attempt) in context.state_cache.read(set_aside).into_iter().take(AT_ONCE) {
        let Some(pass) = context.stop.or(context.throttle.acquire(Endpoint::GetOperation)).await else { return said };
        let reply = context.client.get_operation(&operation, attempt.intent.asset_id()).await;
        context.throttle.release(pass, &reply);
        // Whoever could not be asked is asked next time.
        if let Ok(state) = reply.result {
            said.push(SetAsideResult { id, attempt, state });
        }
    }
    said
}

/// Writes down what came of them.
///
/// # Errors
/// When the state can't be written.
pub(crate) async fn take_in(state_cache: &StateCache, said: &[SetAsideResult]) -> Result<(), StateCacheError> {
    for SetAsideResult { id, attempt, state } in said {
        state_cache.commit_with(|recorded| ended(recorded, *id, attempt, state, clock::now())).await?;
    }
    Ok(())
}

fn set_aside(recorded: &Recorded) -> Vec<(AttemptId, OperationId, Attempt)> {
    let operation = |attempt: &Attempt| match &attempt.phase {
        Phase::SetAside(operation) => Some(operation.clone()),
        _ => None,
    };
    let all = recorded.attempts.iter();
    all.filter_map(|(id, attempt)| Some((*id, operation(attempt)?, attempt.clone()))).collect()
}

/// What becomes known by an answer about an operation that was set aside.
fn ended(recorded: &Recorded, id: AttemptId, attempt: &Attempt, state: &OperationState, now: Timestamp) -> Vec<Change> {
    let is_open = recorded.attempts.get(&id).is_some_and(|open| open.phase == attempt.phase);
    if !is_open {
        return Vec::new();
    }
    let advance = |event: PhaseEvent| Change::Advance { attempt: id, event };
    match state {
        OperationState::Pending => Vec::new(),
        OperationState::Done(asset) => {
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
        OperationState::Unknown { .. } if now.duration_since(attempt.since) >= FORGOTTEN_AFTER => {
            vec![advance(PhaseEvent::Abandon)]
        }
        OperationState::Unknown { .. } => Vec::new(),
    }
}

/// An asset is recorded beside the one that is used; a revision of a known asset with the bytes
/// that it was made of.
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
