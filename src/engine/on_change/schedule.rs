//! When the command runs: pure, with time as an argument.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The first back-off after a failure: long enough for a push that lost a race, or a network that
/// comes back.
const FIRST_BACKOFF: Duration = Duration::from_secs(30);

/// The longest back-off: the interval of the service's full rescan.
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);

/// The changed files that no successful run has covered, and when the next run may begin. Times
/// count from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: BTreeSet<PathBuf>,
    running: Option<BTreeSet<PathBuf>>,
    /// Failures in a row.
    failures: u32,
    backoff_until: Duration,
}

impl Schedule {
    /// Adds changed files.
    pub(super) fn changed(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.waiting.extend(paths);
    }

    /// Begins a run if one is due. Returns the files that changed since the last successful run.
    pub(super) fn begin(&mut self, now: Duration) -> Option<Vec<PathBuf>> {
        if self.due()? > now {
            return None;
        }
        let files = std::mem::take(&mut self.waiting);
        self.running = Some(files.clone());
        Some(files.into_iter().collect())
    }

    /// Records the end of the run. After a failure its files stay pending, beside those that change
    /// until the next run.
    pub(super) fn ended(&mut self, now: Duration, succeeded: bool) {
        let files = self.running.take().unwrap_or_default();
        if succeeded {
            (self.failures, self.backoff_until) = (0, Duration::ZERO);
            return;
        }
        self.waiting.extend(files);
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let backoff = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
        self.backoff_until = now.saturating_add(backoff);
    }

    /// Ends the back-off: at shutdown there is no later run.
    pub(super) const fn run_soon(&mut self) {
        self.backoff_until = Duration::ZERO;
    }

    /// Returns when the next run may begin; `None` while one runs or nothing changed.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.running.is_none() && !self.waiting.is_empty()).then_some(self.backoff_until)
    }

    /// Returns the number of failures in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_change_while_it_runs_makes_one_more_run() {
        let mut schedule = Schedule::default();
        assert_eq!((schedule.due(), schedule.begin(at(0))), (None, None));
        schedule.changed(paths(&["b", "a"]));
        assert_eq!(schedule.begin(at(0)), Some(paths(&["a", "b"])));
        schedule.changed(paths(&["c"]));
        schedule.changed(paths(&["c", "a"]));
        assert_eq!((schedule.due(), schedule.begin(at(1))), (None, None), "one at a time");
        schedule.ended(at(2), true);
        assert_eq!(schedule.begin(at(2)), Some(paths(&["a", "c"])));
        schedule.ended(at(3), true);
        assert_eq!((schedule.due(), schedule.begin(at(9))), (None, None));
    }

    #[test]
    fn a_failed_run_is_repeated_with_growing_backoff() {
        let mut schedule = Schedule::default();
        schedule.changed(paths(&["a"]));
        let mut now = at(0);
        let mut waits = Vec::new();
        for failures in 1..=7 {
            assert_eq!(schedule.begin(now), Some(paths(&["a"])));
            schedule.ended(now, false);
            assert_eq!((schedule.failures(), schedule.begin(now)), (failures, None));
            let due = schedule.due().unwrap();
            waits.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
        // A change neither shortens the back-off nor is forgotten.
        assert!(schedule.begin(now).is_some());
        schedule.ended(now, false);
        schedule.changed(paths(&["b"]));
        assert_eq!(schedule.begin(now), None);
        assert_eq!(schedule.begin(now + at(600)), Some(paths(&["a", "b"])));
        schedule.ended(now, true);
        assert_eq!((schedule.failures(), schedule.due()), (0, None));
        schedule.changed(paths(&["c"]));
        assert_eq!(schedule.begin(now), Some(paths(&["c"])), "after a success there is no back-off");
        schedule.ended(now, false);
        schedule.run_soon();
        assert_eq!(schedule.begin(now), Some(paths(&["c"])));
    }
}
