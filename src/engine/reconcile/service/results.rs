//! The results of work: each is recorded, and says what is needed next.

use super::{Service, ServiceError};
use crate::engine::reconcile::LOCKFILE_EVERY;
use crate::engine::reconcile::workers::{End, WorkerResult};
use crate::engine::remote::overdue;
use crate::engine::report::run_report::{Outcome, Stop};
use crate::platform::clock;

impl Service<'_> {
    /// Takes in everything that ended, so that one plan follows from all of it.
    pub(super) async fn take_in(&mut self, ends: Vec<End>) -> Result<(), ServiceError> {
        for end in ends {
            match end {
                End::Steps(result) => self.steps_ended(result),
                End::Job(result) => self.job_ended(result),
                End::Scan(scanned) => self.scan_ended(scanned).await?,
                End::Look(held) => self.look_ended(held.map_err(|message| ServiceError::Defect { message })?),
                End::Observation(answered) => self.observed(answered).await?,
                End::Overdue(results) => {
                    overdue::record(&self.reconciler.session.state_cache, &results).await?;
                    if !results.is_empty() {
                        self.needs.lockfile.get_or_insert(clock::elapsed());
                    }
                }
                End::Key { serial, may_begin } => self.needs.begin |= self.reconciler.key_checked(serial, may_begin),
                End::Lockfile(done) => self.lockfile_ended(done)?,
                End::Confirmed(_) | End::Waited => {}
                End::Broken(message) => return Err(ServiceError::Defect { message }),
            }
        }
        self.check_shutdown()
    }

    fn steps_ended(&mut self, WorkerResult { address, reports, panicked, .. }: WorkerResult) {
        let is_done =
            panicked.is_none() && !reports.is_empty() && reports.iter().all(|report| report.outcome.is_done());
        if let Some(message) = panicked {
            tracing::error!(%address, "a bug in Macadam stopped this asset until the next full check: {message}");
            self.needs.recovery.insert(address.clone());
        }
        self.uploaded.extend(&reports);
        let key_is_refused = matches!(self.reconciler.context.stop.why(), Some(Stop::Credential { .. }));
        for report in &reports {
            self.observability.step_ended(report, key_is_refused);
        }
        if reports.iter().any(|report| !matches!(report.outcome, Outcome::NotBegun)) {
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        // What was done concerns the address and what depends on it. A refusal may be one of the whole
        // account.
        self.needs.undone |= !is_done;
        self.needs.done.insert(address);
        let now = clock::elapsed();
        if self.reconciler.workers.is_idle() {
            self.times.outcomes = None;
            self.needs.plan_for_outcomes();
            // While nothing else runs, the lockfile is written at once, unless that takes long.
            let soon = self.times.lockfile_rest.max(now);
            self.needs.lockfile = self.needs.lockfile.map(|at| at.min(soon));
        } else {
            let at = self.times.plan_rest.max(now);
            self.times.outcomes = Some(self.times.outcomes.map_or(at, |planned| planned.min(at)));
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
