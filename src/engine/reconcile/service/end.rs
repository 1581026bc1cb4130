//! The shutdown of the service: finishes requests in flight, and writes everything down.

use std::pin::pin;
use std::time::Duration;

use super::{Service, ServiceError};
use crate::engine::reconcile::workers::End;
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::state_cache::StateCacheError;

/// How long requests in flight may take at shutdown. Supervisors promise 10 seconds; the remaining
/// 3 are for writing state, lockfile and outputs.
const DRAIN: Duration = Duration::from_secs(7);

impl Service<'_> {
    /// Saves what a lost state knows to the lockfile, whatever git does; unanswered requests are
    /// recorded as in doubt. The lockfile is a union, so the process that holds the state now loses
    /// nothing.
    async fn leave_to_lockfile(&mut self) -> Result<(), ServiceError> {
        self.reconciler.recover(|_| true).await?;
        if self
            .reconciler
            .session
            .lockfile
            .write(&self.reconciler.session.state_cache, &self.reconciler.wanted.in_manifest)
            .await?
        {
            self.lockfile_written();
        }
        Ok(())
    }

    /// Finishes requests in flight, and writes everything down.
    pub(super) async fn end(mut self, ended: Result<(), ServiceError>) -> Result<(), ServiceError> {
        self.observability.stopping();
        let until = tokio::time::sleep(DRAIN);
        let mut until = pin!(until);
        self.reconciler.context.stop.trigger(Stop::Signal(0));
        let (mut running, mut written_before) = (0_usize, Ok(()));
        while !self.reconciler.is_idle() {
            let ends = tokio::select! {
                () = &mut until => break,
                ends = self.reconciler.next() => ends,
            };
            for end in ends {
                match end {
                    End::Job(result) => self.job_ended(result),
                    End::Lockfile(done) => written_before = self.lockfile_ended(done),
                    End::Steps(ended) => {
                        for report in &ended.reports {
                            match report.outcome {
                                Outcome::Running { .. } => running += 1,
                                _ => self.observability.step_ended(report, false),
                            }
                        }
                    }
                    // The next start looks again.
                    _ => {}
                }
            }
        }
        if running > 0 {
            tracing::info!(
                operations = running,
                "Roblox is still processing some uploads; the next start waits for them"
            );
        }
        let answered = self.end_requests().await;
        let unanswered = self.reconciler.workers.in_progress().len();
        if unanswered > 0 {
            tracing::warn!(assets = unanswered, "Roblox did not answer in time: the next start checks the results");
        }
        // The state has it too, and the next start writes it.
        let written = match &ended {
            Err(ServiceError::Taken { .. } | ServiceError::StateCache(StateCacheError::Lost(_))) => {
                self.leave_to_lockfile().await
            }
            _ if self.must_wait() => Ok(()),
            _ => self.write_last_lockfile().await,
        };
        if written.is_ok() && ended.is_ok() && self.may_write_outputs() && !self.must_wait() {
            self.write_outputs().await?;
        }
        self.announce_changes();
        let mut noted = Ok(());
        if let Some(on_change) = self.on_change.take()
            && on_change.finish(Duration::from_secs(2)).await
            && self.reconciler.session.lockfile.is_unreported()
        {
            noted = self
                .reconciler
                .session
                .lockfile
                .mark_reported(&self.reconciler.session.state_cache)
                .await
                .map_err(ServiceError::from);
        }
        // Nothing looks at the branch any more.
        self.keep_waits(None, None);
        ended.and(answered).and(written_before).and(written).and(noted)
    }
}
