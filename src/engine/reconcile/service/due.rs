//! What the loop has to do, and when it is due.

use std::collections::BTreeSet;
use std::time::Duration;

use super::drift_scan::until;
use super::requests::{ActiveRequest, FollowedRequest};
use super::{POLL_EVERY, PULSE, Service};
use crate::model::address::Address;
use crate::model::path::ProjectPath;
use crate::plan::part::Touched;
use crate::platform::clock;

/// The work that is needed next.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) scan: bool,
    /// Scan every file, since no events tell of changes.
    pub(super) all: bool,
    /// See whether anything changed since everything was scanned and planned: only then that is
    /// done again.
    pub(super) look: bool,
    pub(super) plan: bool,
    /// Files that settled, and nothing else may have changed.
    pub(super) files: BTreeSet<ProjectPath>,
    /// The addresses of which Roblox said something for the first time, until they are planned
    /// together.
    pub(super) observed: BTreeSet<Address>,
    /// Plan what this touches.
    pub(super) touched: Touched,
    /// The addresses whose steps were done, until their outcomes are planned for together.
    pub(super) done: BTreeSet<Address>,
    /// The outcome of other steps concerns more than their addresses.
    pub(super) undone: bool,
    /// Begin the steps of the last plan, now that the key was checked.
    pub(super) begin: bool,
    pub(super) requests: bool,
    /// Addresses whose worker panicked: their attempts are recovered from the journal.
    pub(super) recovery: BTreeSet<Address>,
    /// The lockfile was written, perhaps by Macadam: see whether it is another one now.
    pub(super) lockfile_hint: bool,
    /// When to write the lockfile.
    pub(super) lockfile: Option<Duration>,
    /// Check the outputs, once the lockfile is written.
    pub(super) outputs: bool,
}

impl Needs {
    /// Returns whether nothing waits to be scanned, planned or begun.
    pub(super) fn is_settled(&self) -> bool {
        let Self { scan, all: _, look, plan, files, observed, touched, done, undone, begin, .. } = self;
        !(*scan || *look || *plan || *undone || *begin)
            && files.is_empty()
            && observed.is_empty()
            && touched.is_empty()
            && done.is_empty()
    }

    /// Plans for the outcomes that were collected.
    pub(super) fn plan_for_outcomes(&mut self) {
        let done = std::mem::take(&mut self.done);
        if std::mem::take(&mut self.undone) {
            self.plan = true;
        } else {
            self.touched.addresses.extend(done);
        }
    }
}

/// When periodic work is due.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) interval: Duration,
    pub(super) git: Option<Duration>,
    /// The next fetch of an asset; `None` if there is none.
    pub(super) fetch: Option<Duration>,
    /// The next plan for changes that can wait.
    pub(super) plan: Option<Duration>,
    /// When to plan for first observations that were collected.
    pub(super) observed: Option<Duration>,
    /// When to plan for outcomes that were collected.
    pub(super) outcomes: Option<Duration>,
    /// Until then outcomes are collected, see [`super::PAUSE_PER_PLAN`].
    pub(super) plan_rest: Duration,
    /// When the last write of the lockfile began.
    pub(super) lockfile_begun: Duration,
    /// Until then the lockfile isn't written again at once: in a large project it is long.
    pub(super) lockfile_rest: Duration,
    pub(super) pulse: Duration,
    /// Until then nobody plans for the next day, since that would find something due.
    pub(super) quiet: Option<Duration>,
}

impl Service<'_> {
    /// Returns the longest time until everything is scanned again.
    pub(super) fn interval(&self) -> Duration {
        if self.file_monitor.degraded().is_some() {
            POLL_EVERY.min(self.setting.interval)
        } else {
            self.setting.interval
        }
    }

    /// Returns when the loop has something to do, if nothing wakes it before.
    pub(super) fn next_time(&self) -> Duration {
        let now = clock::elapsed();
        if self.reconciler.writing.is_some() {
            return self.times.pulse;
        }
        let may_act = self.times.git.is_none() && self.reconciler.scanning.is_none();
        let times = [
            Some(self.times.interval),
            Some(self.times.pulse),
            self.times.fetch.filter(|_| may_act),
            self.times.plan,
            self.times.outcomes,
            self.times.observed,
            self.scan_schedule.archiving().map(|at| now + until(at)),
            self.times.git,
            // Work that came up meanwhile is done at once.
            Some(now).filter(|_| self.has_work() && may_act),
            self.file_monitor.next(now),
            self.needs.lockfile.filter(|_| may_act),
            self.followed.iter().filter_map(FollowedRequest::due).min().filter(|_| may_act),
            self.reconciler.workers.next_due(now),
        ];
        times.into_iter().flatten().min().unwrap_or(now + PULSE)
    }

    fn has_work(&self) -> bool {
        let Needs { scan, look, plan, files, touched, begin, recovery, .. } = &self.needs;
        *scan
            || *look
            || *plan
            || !files.is_empty()
            || !touched.is_empty()
            || *begin
            || self.may_write_outputs()
            || !recovery.is_empty()
            || self.request.as_ref().is_some_and(ActiveRequest::is_over)
            || self.has_answer()
    }
}
