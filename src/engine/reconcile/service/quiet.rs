//! The pass at the interval while nothing changes: it looks at the disk and neither scans nor
//! plans.
//!
//! Everything was scanned and planned, and nothing was to do. As long as nothing new is recorded,
//! and manifest, files, checkout, lockfile and outputs are certainly what they were, the same would
//! come of another scan and plan. What time alone changes is planned for ahead, as in
//! [`crate::engine::workspace::settled`]. Wherever that isn't certain, everything is scanned and
//! planned.
//!
//! Read next: [`super::rescan`], for the pass that looks at everything.

use jiff::Timestamp;

use super::Service;
use crate::engine::workspace::settled::{HOLDS_FOR, stays_empty};
use crate::model::recorded::Recorded;
use crate::plan::step::LOST_ANSWER_REST;
use crate::plan::{Plan, PlanOptions, plan};
use crate::platform::{clock, failpoint};

/// A plan of everything that had nothing to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuietPlan {
    /// What was recorded then, see
    /// [`StateCache::news`](crate::engine::workspace::state_cache::StateCache::news).
    pub(super) news: u64,
    /// Until when time alone gives nothing to do; `None` if nobody asked yet.
    pub(super) until: Option<Timestamp>,
}

impl Service<'_> {
    /// Has everything scanned and planned again, or only looked at where that is enough.
    pub(super) fn begin_interval(&mut self) {
        self.needs.look = self.may_look();
        if !self.needs.look {
            (self.needs.scan, self.needs.all) = (true, true);
        }
    }

    /// Begins the look, or everything. Returns whether the look is in progress.
    pub(super) fn look(&mut self) -> bool {
        if !std::mem::take(&mut self.needs.look) {
            return false;
        }
        let looks = !self.needs.scan && self.may_look() && self.reconciler.look();
        if !looks {
            (self.needs.scan, self.needs.all) = (true, true);
        }
        looks
    }

    /// Takes in the end of the look.
    pub(super) fn look_ended(&mut self, held: bool) {
        if !held || !self.may_look() || self.must_wait() {
            (self.needs.scan, self.needs.all) = (true, true);
            return;
        }
        tracing::debug!("nothing changed since the last plan");
        let root = &self.reconciler.session.project.outputs;
        self.needs.outputs |= !tokio::task::block_in_place(|| self.outputs.are_untouched(root));
        self.observability.still_up_to_date();
    }

    /// Returns whether only the disk can ask for another scan and plan.
    fn may_look(&mut self) -> bool {
        let is_waiting = self.request.is_some() || !self.followed.is_empty() || self.needs.outputs;
        let is_wrong = self.invalid.is_some() || self.unreadable.is_some() || self.refused.is_some();
        let session = &mut *self.reconciler.session;
        let is_kept = session.lockfile.missing().is_none()
            && !session.lockfile.is_of_another_commit()
            && session.lockfile.taken_in().is_some()
            && !session.lockfile.is_behind(&session.state_cache)
            && session.lockfile.is_untouched();
        let is_free = self.reconciler.is_idle() && self.reconciler.wanted.inputs.is_some();
        !is_waiting && !is_wrong && is_kept && is_free && self.stays_quiet()
    }

    /// Returns whether the last plan of everything would be made again, and has nothing to do.
    fn stays_quiet(&mut self) -> bool {
        let Some(quiet) = self.quiet else { return false };
        let state_cache = &self.reconciler.session.state_cache;
        if quiet.news != state_cache.news() {
            return false;
        }
        let now = clock::now();
        if let Some(until) = quiet.until {
            return now < until;
        }
        // Something falls due within the day, and that day another plan ahead would say the same.
        if self.times.quiet.is_some_and(|at| clock::elapsed() < at) {
            return false;
        }
        let Ok(until) = now.saturating_add(HOLDS_FOR) else { return false };
        let desired = &self.reconciler.wanted.desired;
        let lost_answer_rest = failpoint::rest(LOST_ANSWER_REST);
        let options = PlanOptions { lost_answer_rest, ..PlanOptions::default() };
        let stays = |recorded: &Recorded| {
            stays_empty(recorded, now, until, |at| plan(desired, recorded, &options, at) == Plan::default())
        };
        let stays = tokio::task::block_in_place(|| state_cache.read(stays));
        if stays {
            self.quiet = Some(QuietPlan { until: Some(until), ..quiet });
        } else {
            self.times.quiet = Some(clock::elapsed().saturating_add(HOLDS_FOR.unsigned_abs()));
        }
        stays
    }
}
