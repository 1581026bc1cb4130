//! The end of a run, and what is written before it in case there is none: a CI machine may
//! disappear at any time.

use super::report::warn_of_filtered;
use super::{SyncError, SyncRun};
use crate::engine::execute::step_result::stop_for;
use crate::engine::reconcile::LOCKFILE_EVERY;
use crate::engine::reconcile::reconciler::Reconciler;
use crate::engine::reconcile::wanted::WantedAssets;
use crate::engine::reconcile::workers::End;
use crate::engine::report::run_report::{RunReport, Stop};
use crate::engine::workspace::lockfile::{self, KeepError};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::settled::{self, SettledRun};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::recorded::Recorded;
use crate::model::shown::with_causes;
use crate::platform::clock;
use crate::state::lockfile::LockfileError;
use crate::state::stoppage::{self, StoppedWork};

impl SyncRun<'_> {
    /// Writes the lockfile and the learned limits while steps are in progress. They are awaited
    /// whatever happens: their outcome belongs in the lockfile.
    pub(super) async fn save_progress(&mut self) -> Result<(), SyncError> {
        if let Err(error) = self.reconciler.session.state_cache.secure().await {
            self.options.stop.trigger(stop_for(&error));
        }
        self.reconciler.context.save_limits().await?;
        self.begin_lockfile().await;
        self.lockfile_at = Some(clock::elapsed() + LOCKFILE_EVERY);
        Ok(())
    }

    /// Begins to write the lockfile, unless that is in progress.
    pub(super) async fn begin_lockfile(&mut self) {
        if self.reconciler.writing.is_some() {
            return;
        }
        self.explain_lockfile();
        match self.reconciler.write_lockfile().await {
            Ok(true) => {}
            // What it holds is taken in with everything else.
            Ok(false) if self.is_part() => {}
            Ok(false) => {
                // Taken in for the next time.
                let Session { state_cache, lockfile, .. } = &mut *self.reconciler.session;
                let read = lockfile.read(state_cache).await;
                self.lockfile_is(read.map(|()| None));
            }
            Err(error) => self.lockfile_is(Err(error)),
        }
    }

    /// Tells the lockfile whether steps say why it changes.
    fn explain_lockfile(&mut self) {
        if !self.report.steps.is_empty() || !self.round.steps.is_empty() {
            self.reconciler.session.lockfile.explained_by_steps();
        }
    }

    /// Waits for the write of the lockfile in progress, which nothing breaks off.
    pub(super) async fn lockfile_settled(&mut self) {
        while self.reconciler.writing.is_some() {
            for end in self.reconciler.next().await {
                match end {
                    End::Lockfile(done) => {
                        let written = self.reconciler.lockfile_ended(done);
                        self.lockfile_is(written);
                    }
                    End::Steps(ended) => self.round.reports.extend(ended.reports),
                    _ => {}
                }
            }
        }
    }

    /// Reacts to whether the lockfile was written; `None` if another program changed it.
    pub(super) fn lockfile_is(&mut self, written: Result<Option<bool>, KeepError>) {
        match written {
            Ok(written) => self.report.lockfile_written |= written == Some(true),
            // Steps that are not sent yet wait for another run.
            Err(KeepError::Lockfile(error @ LockfileError::NoRoom(_))) => {
                let hint = lockfile::hint(&error).map(|hint| format!(": {hint}")).unwrap_or_default();
                self.options.stop.trigger(Stop::State { message: format!("{}{hint}", with_causes(&error)) });
            }
            // The end of the run tries again, and reports a failure.
            Err(error) => tracing::warn!("the lockfile can't be written yet: {}", with_causes(&error)),
        }
    }

    /// Writes the lockfile, the learned limits and the latencies, however the run ended.
    pub(super) async fn end(mut self, ended: Result<(), SyncError>) -> Result<RunReport, SyncError> {
        let is_part = self.is_part();
        self.note_changes_elsewhere();
        self.explain_lockfile();
        let Reconciler { session, wanted, context, .. } = &mut self.reconciler;
        let written = session.write_last(&wanted.in_manifest).await;
        self.report.lockfile_changes = session.lockfile.take_changes();
        let learned = context.save_limits().await;
        let stopped = context.uploads_stop();
        // Else what stopped uploads before may not have been tried again.
        if stopped.is_some() || (self.options.stop.why().is_none() && !is_part) {
            let state = &session.project.state;
            tokio::task::block_in_place(|| stoppage::write(state, StoppedWork::Uploads, stopped, clock::now()));
        }
        self.report.stop = self.options.stop.why();
        if let Some(Stop::Defect { .. }) = self.report.stop {
            // Other errors followed from the defect.
            return Ok(self.report);
        }
        self.report.lockfile_written |= matches!(written, Ok(true));
        self.report.is_declined = self.confirmed == Some(false);
        session.state_cache.read(|recorded| warn_of_filtered(&mut self.report, &wanted.desired, recorded));
        let has_assets = session.state_cache.read(|recorded| !recorded.assets.is_empty());
        let written = match written {
            // Nobody wants a file of no asset IDs from a run that was not to be.
            Ok(_) if self.report.is_declined || (self.refused && !has_assets) => Ok(()),
            // If they are out of date by now, the next run writes them.
            Ok(_) if self.is_part() => {
                self.report.outputs = self.outputs_of_part().unwrap_or_default();
                Ok(())
            }
            Ok(_) => {
                let outputs = self.reconciler.write_outputs().await;
                outputs.map(|outputs| self.report.outputs = outputs).map_err(KeepError::from)
            }
            // The game must not get an ID that no other machine can know.
            Err(error) => Err(error),
        };
        let written = written.map_err(SyncError::from);
        // A lockfile that lacks entries is reported before any other error.
        let ended = match written {
            Err(SyncError::Lockfile(KeepError::Lockfile(LockfileError::Behind { .. }))) => written,
            Ok(()) | Err(_) => ended.and(written),
        };
        let ended = ended.and(learned.map_err(SyncError::from));
        match ended {
            Ok(()) => {
                if self.is_part() {
                    self.settle_part().await?;
                } else {
                    self.settle().await?;
                }
                Ok(self.report)
            }
            // The report of completed steps is never dropped.
            Err(source) if !self.report.steps.is_empty() => {
                self.report.break_off(with_causes(&source));
                Err(SyncError::Midway { source: Box::new(source), report: Box::new(self.report) })
            }
            Err(error) => Err(error),
        }
    }

    /// Stores the proof that there was nothing to do, if that was so.
    async fn settle(&mut self) -> Result<(), StateCacheError> {
        let Reconciler { session, wanted, .. } = &mut self.reconciler;
        let Session { project, state_cache, lockfile, .. } = &mut **session;
        let WantedAssets { manifest: Some((manifest, _)), desired, inputs, .. } = wanted else { return Ok(()) };
        let Some(inputs) = inputs.take() else { return Ok(()) };
        if self.options.plan_options.only.is_some() || self.missing_lockfile.is_some() {
            return Ok(());
        }
        let (options, report, lockfile) = (&self.options.plan_options, &self.report, lockfile.taken_in());
        let prove = |recorded: &Recorded| {
            let run = SettledRun { project, manifest, desired, recorded, options, report, lockfile };
            settled::prove(&run, inputs, clock::now())
        };
        match tokio::task::block_in_place(|| state_cache.read(prove)) {
            Some((proof, statuses)) => Ok(state_cache.store().set_settled(proof, statuses).await?),
            None => Ok(()),
        }
    }
}
