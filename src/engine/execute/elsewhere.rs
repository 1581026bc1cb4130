//! Closes uploads of new assets that another machine finished, and whose assets came by the lockfile.
//!
//! Roblox's own answer counts first. Read next: [`crate::state::lockfile::finished`].

use crate::engine::execute::executor::Executor;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::change::Change;
use crate::model::ids::AssetId;
use crate::model::recorded::{Attempt, AttemptId, Record, Recorded};
use crate::state::lockfile::finished;

/// Returns the changes that close an upload that made `asset_id`, if that asset is known by now: it was
/// used, renamed or forgotten since, and Roblox's answer to the upload is older than that. `None` if it
/// is news.
pub(crate) fn known_by_now(
    recorded: &Recorded,
    id: AttemptId,
    attempt: &Attempt,
    asset_id: AssetId,
) -> Option<Vec<Change>> {
    attempt.intent.upload()?;
    let is_forgotten = recorded.forgotten.values().any(|forgotten| forgotten.times(asset_id) > 0);
    let has_it = |record: &Record| record.history.of_asset(asset_id).next().is_some();
    if !is_forgotten && !recorded.owners(asset_id).any(|(_, record)| has_it(record)) {
        return None;
    }
    let mut changes = Vec::new();
    finished::close_one(recorded, id, attempt, &mut changes);
    Some(changes)
}

impl Executor {
    /// Closes an upload if its asset is known by now. Returns whether it is.
    pub(super) async fn is_known_by_now(&self, id: AttemptId, asset_id: AssetId) -> Result<bool, StateCacheError> {
        let mut is_known = false;
        let close = |recorded: &Recorded| {
            let attempt = recorded.attempts.get(&id);
            let changes = attempt.and_then(|attempt| known_by_now(recorded, id, attempt, asset_id));
            is_known = changes.is_some();
            changes.unwrap_or_default()
        };
        self.state_cache.commit_with(close).await?;
        Ok(is_known)
    }

    /// Closes an upload that Roblox no longer knows, if git's history of the lockfile shows that
    /// another machine finished it. Returns whether it does.
    pub(super) async fn is_finished_elsewhere(&self, id: AttemptId) -> Result<bool, StateCacheError> {
        let question = self.state_cache.read(|recorded| finished::question(recorded, recorded.attempts.get(&id)?));
        let over = self.finished.find(question.into_iter().collect()).await;
        if over.is_empty() {
            return Ok(false);
        }
        self.state_cache.commit_with(|recorded| finished::close(recorded, &over)).await?;
        Ok(true)
    }
}
