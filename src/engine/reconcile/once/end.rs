//! The end of a run, and what is written before it in case there is none: a CI machine may disappear
//! at any time.

use super::{LOCKFILE_EVERY, SyncError, SyncRun};
use crate::engine::execute::executor::stop_for;
use crate::engine::reconcile::reconciler::Reconciler;
use crate::engine::reconcile::scan::WantedAssets;
use crate::engine::report::run_report::{Outcome, RunReport, StepReport, Stop};
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::outputs::{self, RenderedOutput};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::settled::{self, SettledRun};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::phase::Phase;
use crate::model::recorded::Recorded;
use crate::model::shown::with_causes;
use crate::plan::Step;
use crate::platform::clock;
use crate::state::lockfile::LockfileError;

impl SyncRun<'_> {
    /// Writes the lockfile and the learned limits while steps are in progress. They are awaited
    /// whatever happens: their outcome belongs in the lockfile.
    pub(super) async fn save_progress(&mut self) -> Result<(), SyncError> {
        if let Err(error) = self.reconciler.session.state_cache.secure().await {
            self.options.stop.trigger(stop_for(&error));
        }
        self.reconciler.context.save_limits().await?;
        match self.write_lockfile().await {
            Ok(()) => {}
            // Steps that are not sent yet wait for another run.
            Err(KeepError::Lockfile(error @ LockfileError::NoRoom(_))) => {
                let hint = error.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
                self.options.stop.trigger(Stop::State { message: format!("{}{hint}", with_causes(&error)) });
            }
            // The end of the run tries again, and reports a failure.
            Err(error) => tracing::warn!("the lockfile can't be written yet: {}", with_causes(&error)),
        }
        self.lockfile_at = Some(clock::elapsed() + LOCKFILE_EVERY);
        Ok(())
    }

    /// Ends a run that has no time left: it doesn't wait for requests in flight. They are recorded
    /// as after a crash, in state and lockfile.
    pub(super) async fn break_off(&mut self) -> Result<(), SyncError> {
        self.reconciler.recover(|_| true).await?;
        self.report.forget_done();
        let unanswered: Vec<Step> = self.reconciler.session.state_cache.read(|recorded| {
            let open = |address: &Address| {
                recorded.attempts.values().any(|attempt| attempt.address == *address && attempt.phase == Phase::InDoubt)
            };
            self.report.left.iter().filter(|step| open(&step.address)).cloned().collect()
        });
        self.report.steps.extend(unanswered.into_iter().map(|step| {
            let message = "interrupted before Roblox answered; the next run checks the result".to_owned();
            StepReport { step, outcome: Outcome::InDoubt { message } }
        }));
        Ok(())
    }

    /// Writes the lockfile, the learned limits and the latencies, however the run ended.
    pub(super) async fn end(mut self, ended: Result<(), SyncError>) -> Result<RunReport, SyncError> {
        let Reconciler { session, wanted, context, .. } = &mut self.reconciler;
        let written = session.lockfile.write_last(&session.state_cache, &wanted.in_manifest).await;
        let learned = context.save_limits().await;
        self.report.stop = self.options.stop.why();
        if let Some(Stop::Defect { .. }) = self.report.stop {
            // Other errors followed from the defect.
            return Ok(self.report);
        }
        self.report.lockfile_written |= matches!(written, Ok(true));
        let written = match written {
            Ok(_) => self.write_outputs().await.map_err(KeepError::from),
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
                self.settle().await?;
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

    /// Writes the outputs that differ, if the desired state is known.
    async fn write_outputs(&mut self) -> Result<(), StateCacheError> {
        let WantedAssets { manifest, desired, .. } = &self.reconciler.wanted;
        let Some((manifest, _)) = manifest else { return Ok(()) };
        let Session { project, state_cache, lockfile, .. } = &mut *self.reconciler.session;
        let asset_ids = state_cache.read(|recorded| outputs::asset_ids(desired, recorded));
        let drafts = tokio::task::block_in_place(|| outputs::draft(project, manifest, &asset_ids));
        if drafts.iter().any(RenderedOutput::is_due) {
            lockfile.mark_unreported(state_cache).await?;
        }
        self.report.outputs = tokio::task::block_in_place(|| outputs::write(project, drafts));
        Ok(())
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

    pub(super) async fn write_lockfile(&mut self) -> Result<(), KeepError> {
        let Reconciler { session, wanted, .. } = &mut self.reconciler;
        let written = session.lockfile.write(&session.state_cache, &wanted.in_manifest).await?;
        self.report.lockfile_written |= written;
        Ok(())
    }
}
