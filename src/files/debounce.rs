//! Decides when a changed file may be scanned: not while a program writes it.
//!
//! Pure: it uses no file and no clock. Times are spans since any fixed start of a clock that never
//! jumps. The caller notes each event of the watch, and asks [`Debouncer::next`] when to come back.
//! It answers each [`CompletenessCheck`] with [`is_whole`](super::is_whole), and scans the files
//! that [`Debouncer::release`] returns. Every rule is about one path alone, so a file that never
//! stops changing delays no other file. Only the end of a burst is common to all, and bounded.
//!
//! A file is stable
//! - [`QUIET`] after its last event, once it was closed and is complete by its own format, or was
//!   removed;
//! - otherwise [`QUIET_UNCONFIRMED`] after its last event, whatever it contains: a broken file is
//!   then reported as broken. A sound or a video that isn't complete waits for
//!   [`QUIET_UNFINISHED`]: each upload of one counts against a quota or costs Robux, and can't be
//!   undone;
//! - otherwise [`MAX_WAIT`] after its first event, as soon as it is complete. A file that is
//!   written endlessly and never complete waits forever. Until then its earlier content counts.
//!
//! Read next: `watch`, which reports the changes; `in_progress`, for how a scan treats the files
//! that are not stable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::asset::FileFormat;
use crate::model::path::ProjectPath;

/// How long nothing may happen to a file that was closed and is complete. Programs that save in
/// several steps (write, rename, set times) do so within about ten milliseconds. The upload of a
/// save must start within 300 ms.
pub(super) const QUIET: Duration = Duration::from_millis(100);
/// The same for a file that was not closed, or that is not complete as far as its format shows.
/// Exporters that write piecemeal pause for less than a second. A person who saves such a file
/// still sees the upload start at once.
pub(super) const QUIET_UNCONFIRMED: Duration = Duration::from_secs(2);
/// The same for a sound or video that is not complete as far as its format shows. Recorders and
/// renderers that append piece by piece pause for seconds up to half a minute between two pieces.
/// Each piece would be an upload of its own. A file that is never finished costs its owner these
/// two minutes once.
pub(super) const QUIET_UNFINISHED: Duration = Duration::from_secs(120);
/// The longest that a stable file waits for the end of a burst in which more and more files change.
/// A branch switch or an export of many files takes about as long, and should be one change.
pub(super) const BURST: Duration = Duration::from_secs(1);
/// How long Macadam waits for a file that never stops changing, before it takes the latest complete
/// version. Longer than any pause between two manual saves, and short enough that a recording that
/// is saved all the time still reaches the game.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);
/// How often such a file is checked from then on. Each check reads the file.
pub(super) const RECHECK: Duration = Duration::from_secs(1);

/// The kind of a file event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChangeKind {
    /// The file appeared; a program may still write it.
    Created,
    /// Its content changed.
    Written,
    /// The file's writer closed it, or it was renamed into its place.
    Closed,
    /// Its permissions or times changed.
    Touched,
    /// It was removed, or renamed to another place.
    Removed,
}

/// A request to check whether a file is complete by its own format. The answer goes to
/// [`Debouncer::whole`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompletenessCheck {
    /// The file.
    pub path: ProjectPath,
    /// The state of the file that the answer is about.
    version: u64,
}

/// The last thing that happened to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastEvent {
    /// A program may be writing it.
    Open,
    Closed,
    Gone,
}

/// The result of the completeness check since the file's last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Unknown,
    Awaited,
    Whole,
    NotWhole,
}

#[derive(Debug, Clone)]
struct Waiting {
    /// Whether an upload of the file counts against a quota or costs Robux.
    has_quota: bool,
    first: Duration,
    last: Duration,
    version: u64,
    last_event: LastEvent,
    completeness: Completeness,
    /// When it was last checked. This paces the checks of a file that never stops changing.
    last_check: Option<Duration>,
}

impl Waiting {
    /// Returns when the file is stable if nothing more happens.
    fn settled_at(&self) -> Duration {
        let quiet = match (self.last_event, self.completeness) {
            (LastEvent::Gone, _) | (LastEvent::Closed, Completeness::Whole) => QUIET,
            (_, Completeness::Unknown | Completeness::Awaited | Completeness::NotWhole) if self.has_quota => {
                QUIET_UNFINISHED
            }
            (LastEvent::Closed, Completeness::Unknown | Completeness::Awaited | Completeness::NotWhole)
            | (LastEvent::Open, _) => QUIET_UNCONFIRMED,
        };
        let by_quiet = self.last + quiet;
        match (self.last_event, self.completeness) {
            (LastEvent::Open | LastEvent::Closed, Completeness::Whole) => by_quiet.min(self.first + MAX_WAIT),
            _ => by_quiet,
        }
    }

    /// Returns when to check for completeness; `None` when the result is known, is awaited, or
    /// doesn't matter.
    fn check_at(&self) -> Option<Duration> {
        let overdue = self.first + MAX_WAIT;
        let by_age = match self.last_check {
            Some(last_check) if last_check >= overdue => last_check + RECHECK,
            _ => overdue,
        };
        match (self.completeness, self.last_event) {
            (Completeness::Awaited | Completeness::Whole | Completeness::NotWhole, _)
            | (Completeness::Unknown, LastEvent::Gone) => None,
            // A complete file is taken soon, an incomplete one much later.
            (Completeness::Unknown, LastEvent::Open) if self.has_quota => {
                Some(by_age.min(self.last + QUIET_UNCONFIRMED))
            }
            (Completeness::Unknown, LastEvent::Open) => Some(by_age),
            (Completeness::Unknown, LastEvent::Closed) => Some(by_age.min(self.last + QUIET)),
        }
    }
}

/// The files that changed and were not released yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Debouncer {
    waiting: BTreeMap<ProjectPath, Waiting>,
    /// When the latest of them changed for the first time.
    latest_first: Duration,
    versions: u64,
}

impl Debouncer {
    /// Notes an event of the file at `path`. A time that runs backwards counts as the latest known
    /// time.
    pub(crate) fn note(&mut self, path: ProjectPath, kind: ChangeKind, now: Duration) {
        self.versions += 1;
        let version = self.versions;
        let latest_first = &mut self.latest_first;
        let has_quota = has_quota(&path);
        let waiting = self.waiting.entry(path).or_insert_with(|| {
            *latest_first = now.max(*latest_first);
            // A file that was only touched was not written, as far as is known.
            let (last_event, completeness) = (LastEvent::Closed, Completeness::Unknown);
            Waiting { has_quota, first: now, last: now, version, last_event, completeness, last_check: None }
        });
        waiting.last = waiting.last.max(now);
        waiting.version = version;
        waiting.completeness = Completeness::Unknown;
        waiting.last_event = match kind {
            ChangeKind::Created | ChangeKind::Written => LastEvent::Open,
            ChangeKind::Closed => LastEvent::Closed,
            ChangeKind::Removed => LastEvent::Gone,
            ChangeKind::Touched => waiting.last_event,
        };
    }

    /// Returns the files to check now, each of them once. Without an answer a file waits like an
    /// incomplete one.
    pub(crate) fn looks(&mut self, now: Duration) -> Vec<CompletenessCheck> {
        let due = |waiting: &Waiting| waiting.check_at().is_some_and(|at| at <= now);
        let due = self.waiting.iter_mut().filter(|(_, waiting)| due(waiting));
        due.map(|(path, waiting)| {
            waiting.completeness = Completeness::Awaited;
            waiting.last_check = Some(now);
            CompletenessCheck { path: path.clone(), version: waiting.version }
        })
        .collect()
    }

    /// Takes the answer to a check. It doesn't count when the file changed since the request.
    pub(crate) fn whole(&mut self, check: &CompletenessCheck, whole: bool) {
        if let Some(waiting) = self.waiting.get_mut(&check.path).filter(|waiting| waiting.version == check.version) {
            waiting.completeness = if whole { Completeness::Whole } else { Completeness::NotWhole };
        }
    }

    /// Returns when to call [`Debouncer::looks`] or [`Debouncer::release`] if nothing more happens.
    /// Never before `now`; `None` while no file waits.
    pub(crate) fn next(&self, now: Duration) -> Option<Duration> {
        let at = |waiting: &Waiting| {
            let ready = self.ready_at(waiting);
            waiting.check_at().map_or(ready, |check| check.min(ready))
        };
        self.waiting.values().map(at).min().map(|at| at.max(now))
    }

    /// Takes all stable files together, as soon as one of them need not wait for the end of a
    /// burst. A later event of theirs is a new change.
    pub(crate) fn release(&mut self, now: Duration) -> BTreeSet<ProjectPath> {
        if !self.waiting.values().any(|waiting| self.ready_at(waiting) <= now) {
            return BTreeSet::new();
        }
        let settled = self.waiting.iter().filter(|(_, waiting)| waiting.settled_at() <= now);
        let released: BTreeSet<ProjectPath> = settled.map(|(path, _)| path.clone()).collect();
        self.waiting.retain(|path, _| !released.contains(path));
        released
    }

    /// Returns the files that must not be scanned yet: their earlier content counts.
    pub(crate) fn in_progress(&self, now: Duration) -> BTreeSet<ProjectPath> {
        self.waiting.iter().filter(|(_, waiting)| self.ready_at(waiting) > now).map(|(path, _)| path.clone()).collect()
    }

    /// Returns whether the file may be scanned. A file without events may.
    #[cfg(test)]
    pub(crate) fn is_settled(&self, path: &ProjectPath, now: Duration) -> bool {
        self.waiting.get(path).is_none_or(|waiting| self.ready_at(waiting) <= now)
    }

    /// Returns when a file is released if nothing more happens: it is stable, and its burst is
    /// over.
    fn ready_at(&self, waiting: &Waiting) -> Duration {
        let settled = waiting.settled_at();
        let burst = (self.latest_first + QUIET).min(settled + BURST).min(waiting.first + MAX_WAIT);
        settled.max(burst)
    }
}

/// Returns whether an upload of the file counts against a quota or costs Robux, by its name.
pub(super) fn has_quota(path: &ProjectPath) -> bool {
    let format = path.extension().as_deref().and_then(FileFormat::of_extension);
    format.is_some_and(|format| format.types().iter().any(|kind| kind.has_upload_quota()))
}

#[cfg(test)]
mod tests;
