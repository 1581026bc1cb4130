//! One pass: plans and begins the plan's steps; then writes the lockfile. See `super` for when.

use std::cell::RefCell;
use std::time::Duration;

use super::quiet::QuietPlan;
use super::{LOCKFILE_BYTES_A_SECOND, PAUSE_PER_PLAN, POLL_EVERY, ScanSchedule, Service, ServiceError};
use crate::engine::reconcile::LOCKFILE_EVERY;
use crate::engine::reconcile::reconciler::{Dispatch, Reconciler, Verdict};
use crate::engine::reconcile::workers::End;
use crate::engine::workspace::lockfile::{self, KeepError, WriteDone};
use crate::model::address::Address;
use crate::model::shown::with_causes;
use crate::plan::part::{PartialPlan, Touched};
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{Plan, PlanOptions};
use crate::platform::{clock, failpoint};

impl Service<'_> {
    /// Plans, and begins the plan's steps.
    pub(super) async fn plan(&mut self) -> Result<(), ServiceError> {
        let begun = clock::elapsed();
        let missing_lockfile = self.reconciler.session.lockfile.missing().cloned();
        self.lockfile_was_missing = missing_lockfile.is_some();
        if self.lockfile_was_missing {
            // The state's entries are written to the lockfile before anything new is uploaded.
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        let lost_answer_rest = failpoint::rest(LOST_ANSWER_REST);
        let options = PlanOptions { missing_lockfile, lost_answer_rest, ..PlanOptions::default() };
        let (needs, times, schedule) = (&mut self.needs, &mut self.times, &mut self.scan_schedule);
        let (news, mut quiet) = (self.reconciler.session.state_cache.news(), None);
        let followed = &mut self.followed;
        let (observability, failing) =
            (RefCell::new(&mut self.observability), self.reconciler.context.throttle.is_failing());
        let judge = |plan: &mut Plan, reconciler: &Reconciler<'_>| {
            if !plan.marks.is_empty() {
                needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
            }
            let (state_cache, desired) = (&reconciler.session.state_cache, &reconciler.wanted.desired);
            let in_progress = reconciler.workers.in_progress();
            let is_quiet = *plan == Plan::default() && in_progress.is_empty();
            quiet = is_quiet.then_some(QuietPlan { news, until: None });
            state_cache.read(|recorded| {
                *schedule = ScanSchedule::new(desired, recorded, clock::now());
                let now = clock::elapsed();
                followed.iter_mut().for_each(|request| request.planned(plan, &in_progress, recorded, now));
            });
            // A series of plans must not postpone a fetch for ever.
            let next = schedule.wait(clock::now()).map(|wait| clock::elapsed() + wait);
            times.fetch = next.into_iter().chain(times.fetch).min();
            let mut observability = observability.borrow_mut();
            observability.metrics.pass("all", desired.assets.len());
            observability.planned(plan, None, &in_progress, state_cache, desired);
            // While Roblox fails, the check would wait like everything else.
            Verdict::Begin { needs_key: !failing }
        };
        let span = |address: &Address| observability.borrow().span(address);
        let dispatched = self.reconciler.plan_and_dispatch(options, judge, span).await?;
        self.tell_lost_lockfile();
        self.quiet = quiet.filter(|_| !self.lockfile_was_missing);
        self.dispatched(dispatched);
        self.times.plan_rest = rest_after(begun);
        Ok(())
    }

    /// Logs once that the lockfile is lost: what is up to date waits for nothing, and would say nothing.
    fn tell_lost_lockfile(&mut self) {
        let session = &self.reconciler.session;
        let desired = &self.reconciler.wanted.desired;
        let lost = session.state_cache.read(|recorded| session.lockfile.lost(desired, recorded));
        if let Some(lost) = lost.as_ref().filter(|lost| self.told_lost.as_ref() != Some(*lost)) {
            tracing::warn!(hint = lost.hint(), "nothing new is uploaded: {lost}");
        }
        self.told_lost = lost;
    }

    /// Plans what `touched` can touch, and begins the steps. Returns whether that was enough: else
    /// everything is to be planned.
    pub(super) async fn plan_touched(&mut self, touched: &Touched) -> Result<bool, ServiceError> {
        let begun = clock::elapsed();
        if self.lockfile_was_missing || self.reconciler.session.lockfile.missing().is_some() {
            return Ok(false);
        }
        let options = PlanOptions { lost_answer_rest: failpoint::rest(LOST_ANSWER_REST), ..PlanOptions::default() };
        let (needs, times, schedule) = (&mut self.needs, &mut self.times, &mut self.scan_schedule);
        let (observability, failing) =
            (RefCell::new(&mut self.observability), self.reconciler.context.throttle.is_failing());
        let judge = |part: &PartialPlan, reconciler: &Reconciler<'_>| {
            if !part.plan.marks.is_empty() {
                needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
            }
            schedule.update(&part.desired, &part.recorded, clock::now());
            let next = schedule.wait(clock::now()).map(|wait| clock::elapsed() + wait);
            times.fetch = next.into_iter().chain(times.fetch).min();
            let (state_cache, desired) = (&reconciler.session.state_cache, &reconciler.wanted.desired);
            let mut observability = observability.borrow_mut();
            observability.metrics.pass("part", part.desired.assets.len());
            let in_progress = reconciler.workers.in_progress();
            observability.planned(&part.plan, Some(&part.desired), &in_progress, state_cache, desired);
            Verdict::Begin { needs_key: !failing }
        };
        let span = |address: &Address| observability.borrow().span(address);
        let dispatched = self.reconciler.plan_touched(touched, options, judge, span).await?;
        let is_enough = dispatched.is_some();
        if let Some(dispatched) = dispatched {
            self.dispatched(dispatched);
            self.times.plan_rest = rest_after(begun);
        }
        Ok(is_enough)
    }

    /// Begins the steps that waited for the check of the key.
    pub(super) fn begin(&mut self) {
        let observability = &self.observability;
        let dispatched = self.reconciler.dispatch(|address| observability.span(address));
        self.dispatched(dispatched);
    }

    fn dispatched(&mut self, dispatched: Dispatch) {
        if let Dispatch::NoRoom(error) = dispatched {
            let hint = lockfile::hint(&error).unwrap_or_default();
            tracing::error!(hint, "{}", with_causes(&error));
            self.times.plan = Some(clock::elapsed() + POLL_EVERY);
        }
    }

    /// Begins to write the lockfile.
    pub(super) async fn write_lockfile(&mut self) -> Result<(), ServiceError> {
        self.times.lockfile_begun = clock::elapsed();
        self.needs.lockfile = None;
        self.reconciler.context.save_limits().await?;
        match self.reconciler.write_lockfile().await {
            Ok(true) => Ok(()),
            Ok(false) => self.lockfile_is(Ok(None)),
            Err(error) => self.lockfile_is(Err(error)),
        }
    }

    /// Takes in the end of a write.
    pub(super) fn lockfile_ended(&mut self, done: WriteDone) -> Result<(), ServiceError> {
        let written = self.reconciler.lockfile_ended(done);
        self.lockfile_is(written)
    }

    /// Reacts to whether the lockfile was written; `None` if another program changed it.
    fn lockfile_is(&mut self, written: Result<Option<bool>, KeepError>) -> Result<(), ServiceError> {
        match written {
            // The branch has probably changed: scan first which addresses its manifest has.
            Ok(None) => {
                (self.needs.scan, self.needs.all) = (true, true);
                self.needs.lockfile = Some(clock::elapsed() + LOCKFILE_EVERY);
                return Ok(());
            }
            Ok(Some(false)) => {}
            Ok(Some(true)) => self.lockfile_written(),
            Err(KeepError::StateCache(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!("the lockfile can't be written: {}", with_causes(&error));
                self.needs.lockfile = Some(clock::elapsed() + POLL_EVERY);
            }
        }
        let length = self.reconciler.session.lockfile.length();
        let pace = Duration::from_millis(length.saturating_mul(1000) / LOCKFILE_BYTES_A_SECOND);
        let begun = self.times.lockfile_begun;
        self.times.lockfile_rest = rest_after(begun).max(begun + pace.min(LOCKFILE_EVERY));
        self.needs.outputs = true;
        Ok(())
    }

    /// Writes the lockfile, and waits for it.
    pub(super) async fn write_last_lockfile(&mut self) -> Result<(), ServiceError> {
        self.lockfile_settled().await?;
        self.write_lockfile().await?;
        self.lockfile_settled().await
    }

    async fn lockfile_settled(&mut self) -> Result<(), ServiceError> {
        while self.reconciler.writing.is_some() {
            for end in self.reconciler.next().await {
                if let End::Lockfile(done) = end {
                    self.lockfile_ended(done)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn lockfile_written(&mut self) {
        let path = self.reconciler.session.project.lockfile.clone();
        self.needs.plan |= std::mem::take(&mut self.lockfile_was_missing);
        self.file_monitor.wrote(&path);
        let changes = self.reconciler.session.lockfile.take_changes().to_string();
        match changes.is_empty() {
            true => tracing::info!("wrote the lockfile"),
            false => tracing::info!("wrote the lockfile: {changes}"),
        }
        self.outputs.changed.push(path);
    }
}

/// Returns when something that began at `begun` and ends now may be done again, while there is other
/// work.
fn rest_after(begun: Duration) -> Duration {
    let ended = clock::elapsed();
    ended.saturating_add(ended.saturating_sub(begun).saturating_mul(PAUSE_PER_PLAN))
}
