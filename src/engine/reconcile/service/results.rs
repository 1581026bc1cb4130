//! The results of work: each is recorded, and says what is needed next.

use super::{LOCKFILE_EVERY, Service, ServiceError};
use crate::engine::reconcile::workers::{End, WorkerResult};
use crate::engine::remote::overdue;
use crate::engine::report::run_report::Outcome;
use crate::platform::clock;

impl Service<'_> {
    /// Takes in everything that ended, so that one plan follows from all of it.
    pub(super) async fn take_in(&mut self, ends: Vec<End>) -> Result<(), ServiceError> {
        for end in ends {
            match end {
                End::Steps(result) => self.steps_ended(result),
                End::Job(result) => self.job_ended(result),
                End::Scan(scanned) => self.scan_ended(scanned).await?,
                End::Observation(answered) => self.observed(answered).await?,
                End::Overdue(results) => {
                    overdue::record(&self.reconciler.session.state_cache, &results).await?;
                    if !results.is_empty() {
                        self.needs.lockfile.get_or_insert(clock::elapsed());
                    }
                }
                End::Key { serial, may_begin } => self.needs.begin |= self.reconciler.key_checked(serial, may_begin),
                End::Confirmed(_) | End::Waited => {}
                End::Broken(message) => return Err(ServiceError::Defect { message }),
            }
        }
        self.check_shutdown()
    }

    fn steps_ended(&mut self, WorkerResult { address, reports, panicked, .. }: WorkerResult) {
        if let Some(message) = panicked {
            tracing::error!(%address, "a bug in Macadam stopped this asset until the next full check: {message}");
            self.needs.recovery.insert(address);
        }
        for report in &reports {
            self.observability.step_ended(report);
        }
        if reports.iter().any(|report| !matches!(report.outcome, Outcome::NotBegun)) {
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        if self.reconciler.workers.is_idle() {
            self.needs.plan = true;
            // While nothing else runs, the lockfile is written at once.
            self.needs.lockfile = self.needs.lockfile.map(|_| clock::elapsed());
        } else {
            let at = self.times.plan_rest.max(clock::elapsed());
            self.times.plan = Some(self.times.plan.map_or(at, |planned| planned.min(at)));
        }
    }

    /// Recovers from the journal the attempts of workers that panicked, as after a crash.
    pub(super) async fn recover(&mut self) -> Result<(), ServiceError> {
        let panicked = std::mem::take(&mut self.needs.recovery);
        if !panicked.is_empty() {
            self.reconciler.recover(|address| panicked.contains(address)).await?;
        }
        Ok(())
    }
}
