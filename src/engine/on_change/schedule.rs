//! When the command runs: pure, with time as an argument.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The first wait after a failure: long enough for a push that lost a race, or a network that comes
/// back.
const FIRST_REST: Duration = Duration::from_secs(30);

/// The longest wait: as often as the service looks at everything anyway.
const LONGEST_REST: Duration = Duration::from_mins(10);

/// What changed and was not told yet, and when it may be. Times count from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: BTreeSet<PathBuf>,
    running: Option<BTreeSet<PathBuf>>,
    /// In a row.
    failures: u32,
    rests_until: Duration,
}

impl Schedule {
    /// These files changed.
    pub(super) fn changed(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.waiting.extend(paths);
    }

    /// Begins a run if one is due: the files to tell it of, all that changed since the last run
    /// that went well.
    pub(super) fn begin(&mut self, now: Duration) -> Option<Vec<PathBuf>> {
        if self.due()? > now {
            return None;
        }
        let told = std::mem::take(&mut self.waiting);
        self.running = Some(told.clone());
        Some(told.into_iter().collect())
    }

    /// The run that was begun is over. What a failed one was told is told again, with what changes
    /// until then.
    pub(super) fn ended(&mut self, now: Duration, succeeded: bool) {
        let told = self.running.take().unwrap_or_default();
        if succeeded {
            (self.failures, self.rests_until) = (0, Duration::ZERO);
            return;
        }
        self.waiting.extend(told);
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let rest = FIRST_REST.saturating_mul(1 << doublings).min(LONGEST_REST);
        self.rests_until = now.saturating_add(rest);
    }

    /// Forgets that a failure makes it rest: there is no later.
    pub(super) const fn run_soon(&mut self) {
        self.rests_until = Duration::ZERO;
    }

    /// When the next run may begin; `None` while one runs, or nothing changed.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.running.is_none() && !self.waiting.is_empty()).then_some(self.rests_until)
    }

    /// How often it failed in a row.
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
    fn what_a_failed_run_was_told_is_told_again_later_and_later() {
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
        // A change neither shortens the rest nor is forgotten.
        assert!(schedule.begin(now).is_some());
        schedule.ended(now, false);
        schedule.changed(paths(&["b"]));
        assert_eq!(schedule.begin(now), None);
        assert_eq!(schedule.begin(now + at(600)), Some(paths(&["a", "b"])));
        schedule.ended(now, true);
        assert_eq!((schedule.failures(), schedule.due()), (0, None));
        schedule.changed(paths(&["c"]));
        assert_eq!(schedule.begin(now), Some(paths(&["c"])), "after a success there is no rest");
        schedule.ended(now, false);
        schedule.run_soon();
        assert_eq!(schedule.begin(now), Some(paths(&["c"])));
    }
}
