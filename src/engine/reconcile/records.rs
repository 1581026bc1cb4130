//! What becomes of results, whoever drives: the lockfile and the outputs are written, and what
//! Roblox said is recorded.

use std::sync::Arc;

use super::reconciler::Reconciler;
use super::wanted::WantedAssets;
use super::workers::End;
use crate::engine::remote::observe::{self, QueryResult};
use crate::engine::workspace::lockfile::{KeepError, WriteDone};
use crate::engine::workspace::outputs::{self, OutputFile, RenderedOutput};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::change::Change;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::platform::clock;

impl Reconciler<'_> {
    /// Begins to write the lockfile. Returns `false` if another program changed it or the branch,
    /// and nothing was begun. Until its end nothing else may read or write it.
    ///
    /// # Errors
    /// When it can't be read, or the state can't be written.
    pub(super) async fn write_lockfile(&mut self) -> Result<bool, KeepError> {
        let Session { state_cache, lockfile, .. } = &mut *self.session;
        let Some(write) = lockfile.prepare_write(state_cache, &self.wanted.in_manifest).await? else {
            return Ok(false);
        };
        self.writing = Some(clock::elapsed());
        self.workers.run(async move { End::Lockfile(write.run().await) });
        Ok(true)
    }

    /// Takes in the end of a write. Returns whether the file was written; `None` if another program
    /// changed it or the branch meanwhile, and nothing was.
    ///
    /// # Errors
    /// When it could not be written.
    pub(super) fn lockfile_ended(&mut self, done: WriteDone) -> Result<Option<bool>, KeepError> {
        self.session.lockfile.wrote(done)
    }

    /// Writes the outputs that differ, if it is known what is wanted. Call it after the lockfile
    /// was written: the game must not get an ID that no other machine can know.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn write_outputs(&mut self) -> Result<Vec<OutputFile>, StateCacheError> {
        let WantedAssets { manifest, desired, .. } = &self.wanted;
        let Some((manifest, _)) = manifest else { return Ok(Vec::new()) };
        let Session { project, state_cache, lockfile, .. } = &mut *self.session;
        let (asset_ids, lost) =
            state_cache.read(|recorded| (outputs::asset_ids(desired, recorded), lockfile.lost(desired, recorded)));
        let drafts = tokio::task::block_in_place(|| outputs::draft(project, manifest, &asset_ids, lost.as_ref()));
        if drafts.iter().any(RenderedOutput::is_due) {
            lockfile.mark_unreported(state_cache).await?;
        }
        Ok(tokio::task::block_in_place(|| outputs::write(project, drafts)))
    }

    /// Records what Roblox said of assets, and what follows. `each` is told every change before it
    /// is recorded.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn record_observations(
        &self,
        answers: &[(AssetId, QueryResult)],
        mut each: impl FnMut(&Recorded, &Change),
    ) -> Result<(), StateCacheError> {
        let state_cache = Arc::clone(&self.session.state_cache);
        let follow = |recorded: &Recorded| {
            let now = clock::now();
            let follow = |(asset_id, answer): &(AssetId, QueryResult)| {
                observe::apply_observation(recorded, *asset_id, answer, now)
            };
            let changes: Vec<Change> = answers.iter().flat_map(follow).collect();
            changes.iter().for_each(|change| each(recorded, change));
            changes
        };
        state_cache.commit_with(follow).await.map(|_| ())
    }
}
