//! One pass: what follows from what is wanted and known is planned, written down and handed out,
//! and the lockfile says it. When: `super`, the loop.

use super::{LOCKFILE_EVERY, POLL_EVERY, Rounds, Service, ServiceError};
use crate::engine::execute::executor::chain;
use crate::engine::reconcile::once::{abandoned_creates, uploads_of};
use crate::engine::workspace::lockfile::KeepError;
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{PlanOptions, plan};
use crate::platform::{clock, failpoint};

impl Service<'_> {
    /// Plans, writes down what the plan marks, and hands out its steps.
    pub(super) async fn plan(&mut self) -> Result<(), ServiceError> {
        let missing_lockfile = self.session.lockfile.missing().cloned();
        self.lockfile_was_missing = missing_lockfile.is_some();
        if self.lockfile_was_missing {
            // What the state knows of it is written down before anything new is created.
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
        self.rounds = self.session.state_cache.read(|recorded| Rounds::new(&self.desired, recorded, clock::now()));
        // Many plans in a row put no look off for ever.
        let next = self.rounds.wait(clock::now()).map(|wait| clock::elapsed() + wait);
        self.times.look = next.into_iter().chain(self.times.look).min();
        self.observability.metrics.pass();
        self.observability.planned(&plan, &options.in_progress, &self.session.state_cache, &self.desired);
        let (steps, failing) = (plan.steps, self.context.throttle.is_failing());
        if steps.is_empty() || self.context.stop.is_triggered() {
            return Ok(());
        }
        // While Roblox fails the question would wait with everything else.
        if !failing && !std::mem::replace(&mut self.looked_at_key, true) && !self.may_begin().await? {
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
        self.context.remember_pace().await?;
        // Another branch, as a rule: which addresses are in its manifest is looked at first.
        if self.session.lockfile.is_changed().unwrap_or(false) {
            (self.needs.look, self.needs.all) = (true, true);
            self.needs.lockfile = Some(clock::elapsed() + LOCKFILE_EVERY);
            return Ok(());
        }
        self.needs.outputs = true;
        match self.session.lockfile.write(&self.session.state_cache, &self.in_manifest).await {
            Ok(false) => {}
            Ok(true) => self.lockfile_written(),
            Err(KeepError::Book(error)) => return Err(error.into()),
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
