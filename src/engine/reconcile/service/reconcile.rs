//! One pass: plans, records the plan's marks and hands out its steps; then writes the lockfile. See
//! `super` for when.

use super::{LOCKFILE_EVERY, POLL_EVERY, ScanSchedule, Service, ServiceError};
use crate::engine::execute::executor::chain;
use crate::engine::reconcile::once::{abandoned_creates, uploads_of};
use crate::engine::workspace::lockfile::KeepError;
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{PlanOptions, plan};
use crate::platform::{clock, failpoint};

impl Service<'_> {
    /// Plans, records the plan's marks, and hands out its steps.
    pub(super) async fn plan(&mut self) -> Result<(), ServiceError> {
        let missing_lockfile = self.session.lockfile.missing().cloned();
        self.lockfile_was_missing = missing_lockfile.is_some();
        if self.lockfile_was_missing {
            // The state's entries are written to the lockfile before anything new is uploaded.
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        let (in_progress, lost_answer_rest) = (self.workers.in_progress(), failpoint::rest(LOST_ANSWER_REST));
        let options = PlanOptions { in_progress, missing_lockfile, lost_answer_rest, ..PlanOptions::default() };
        let (plan, abandoned_creates, marks) = self.session.state_cache.read(|recorded| {
            let plan = plan(&self.desired, recorded, &options, clock::now());
            let (abandoned_creates, marks) = abandoned_creates(&plan, recorded);
            (plan, abandoned_creates, marks)
        });
        if !marks.is_empty() {
            self.session.state_cache.commit(marks).await?;
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        self.scan_schedule =
            self.session.state_cache.read(|recorded| ScanSchedule::new(&self.desired, recorded, clock::now()));
        // A series of plans must not postpone a fetch for ever.
        let next = self.scan_schedule.wait(clock::now()).map(|wait| clock::elapsed() + wait);
        self.times.fetch = next.into_iter().chain(self.times.fetch).min();
        self.observability.metrics.pass();
        self.observability.planned(&plan, &options.in_progress, &self.session.state_cache, &self.desired);
        let (steps, failing) = (plan.steps, self.context.throttle.is_failing());
        if steps.is_empty() || self.context.stop.is_triggered() {
            return Ok(());
        }
        // While Roblox fails, the check would wait like everything else.
        if !failing && !std::mem::replace(&mut self.checked_key, true) && !self.may_begin().await? {
            return Ok(());
        }
        let uploads = uploads_of(&steps);
        if uploads > 0
            && let Err(error) = self.session.lockfile.make_room(&self.session.state_cache, &self.in_manifest, uploads)
        {
            let hint = error.hint().unwrap_or_default();
            tracing::error!(hint, "{}", chain(&error));
            self.times.plan = Some(clock::elapsed() + POLL_EVERY);
            return Ok(());
        }
        let with = self.context.steps(&self.desired, abandoned_creates, self.generation);
        self.workers.begin(steps, &with, clock::elapsed(), |address| self.observability.span(address));
        Ok(())
    }

    pub(super) async fn write_lockfile(&mut self) -> Result<(), ServiceError> {
        self.needs.lockfile = None;
        self.context.save_limits().await?;
        // The branch has probably changed: scan first which addresses its manifest has.
        if self.session.lockfile.is_changed().unwrap_or(false) || self.session.lockfile.is_of_another_branch() {
            (self.needs.scan, self.needs.all) = (true, true);
            self.needs.lockfile = Some(clock::elapsed() + LOCKFILE_EVERY);
            return Ok(());
        }
        self.needs.outputs = true;
        match self.session.lockfile.write(&self.session.state_cache, &self.in_manifest).await {
            Ok(false) => {}
            Ok(true) => self.lockfile_written(),
            Err(KeepError::StateCache(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!("the lockfile can't be written: {}", chain(&error));
                self.needs.lockfile = Some(clock::elapsed() + POLL_EVERY);
            }
        }
        Ok(())
    }

    pub(super) fn lockfile_written(&mut self) {
        let path = self.session.project.lockfile.clone();
        self.needs.plan |= std::mem::take(&mut self.lockfile_was_missing);
        self.file_monitor.wrote(&path);
        tracing::info!("the lockfile was written");
        self.outputs.changed.push(path);
    }
}
