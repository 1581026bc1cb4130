//! When a file that changes may be looked at: not while somebody writes it.
//!
//! Pure: no file, no clock. Times are spans since any fixed start of a clock that never jumps. The
//! caller notes what the watch tells, asks [`Debouncer::next`] when to come back, answers the
//! [`CompletenessCheck`]s that are wanted by [`is_whole`](super::is_whole), and takes what
//! [`Debouncer::release`] gives. Every rule is one path's alone, so a file that never holds still
//! keeps no other one waiting; only the end of a burst is common to all, and bounded.
//!
//! A file is settled
//! - [`QUIET`] after its last event, once it was closed and is whole by its own format, or was
//!   removed;
//! - else [`QUIET_UNTOLD`] after its last event, whatever it holds: what is broken then is reported
//!   as broken. A sound or a video that isn't whole waits for [`QUIET_UNFINISHED`]: each upload of
//!   one counts against a quota or costs Robux, and can't be taken back;
//! - else [`MOST`] after its first event, as soon as it is whole. One that is written without end
//!   and never whole waits for ever: its earlier content counts as long, and [`Debouncer::overdue`]
//!   tells of it.
//!
//! Read next: `watch`, which tells what changes; `in_progress`, what a look at all files does with
//! what is not settled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::asset::FileFormat;
use crate::model::path::ProjectPath;

/// How long nothing may happen to a file that was closed and is whole. Programs that save in
/// several steps (write, rename, set times) do so within some ten milliseconds; a save must be on
/// the wire within 300 ms.
pub(super) const QUIET: Duration = Duration::from_millis(100);
/// The same for a file that was not closed, or that is not whole as far as its format tells.
/// Exporters that write piecemeal pause for less than a second; a person who saved such a file
/// still sees the upload start at once.
pub(super) const QUIET_UNTOLD: Duration = Duration::from_secs(2);
/// The same for a sound or video that is not whole as far as its format tells. Recorders and
/// renderers that append piece by piece pause for seconds up to half a minute between two pieces,
/// and every piece would be an upload of its own; a file that is never finished costs its owner
/// these two minutes once.
pub(super) const QUIET_UNFINISHED: Duration = Duration::from_secs(120);
/// The longest that a settled file waits for the end of a burst in which more and more files
/// change: a branch switch or an export of many files takes about as long, and shall be one change.
pub(super) const BURST: Duration = Duration::from_secs(1);
/// How long a file that never holds still is waited for before it is taken in its latest whole
/// form. Longer than any pause between two saves by hand, and short enough that a recording that is
/// saved all the time still reaches the game.
pub(super) const MOST: Duration = Duration::from_secs(10);
/// How often such a file is looked at from then on: a look reads the file.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ChangeKind {
    /// It appeared; somebody may still write it.
    Created,
    /// Its content changed.
    Written,
    /// It was closed by who wrote it, or renamed into its place.
    Closed,
    /// Its permissions or times changed.
    Touched,
    /// It was removed, or renamed to another place.
    Removed,
}

/// A file to be looked at: is it whole by its own format? The answer goes to [`Debouncer::whole`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompletenessCheck {
    /// The file.
    pub path: ProjectPath,
    /// The state that the answer will be about.
    version: u64,
}

/// What the last event says of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastEvent {
    /// Somebody may be writing it.
    Open,
    Closed,
    Gone,
}

/// What is known of the file's form since its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Unknown,
    Asked,
    Whole,
    NotWhole,
}

#[derive(Debug, Clone)]
struct Waiting {
    /// An upload of it counts against a quota or costs Robux.
    has_quota: bool,
    first: Duration,
    last: Duration,
    version: u64,
    hold: LastEvent,
    form: Completeness,
    /// When it was last looked at, for the pace of the looks at one that never holds still.
    looked: Option<Duration>,
}

impl Waiting {
    /// When it is settled if nothing more happens.
    fn settled_at(&self) -> Duration {
        let quiet = match (self.hold, self.form) {
            (LastEvent::Gone, _) | (LastEvent::Closed, Completeness::Whole) => QUIET,
            (_, Completeness::Unknown | Completeness::Asked | Completeness::NotWhole) if self.has_quota => {
                QUIET_UNFINISHED
            }
            (LastEvent::Closed, Completeness::Unknown | Completeness::Asked | Completeness::NotWhole)
            | (LastEvent::Open, _) => QUIET_UNTOLD,
        };
        let by_quiet = self.last + quiet;
        match (self.hold, self.form) {
            (LastEvent::Open | LastEvent::Closed, Completeness::Whole) => by_quiet.min(self.first + MOST),
            _ => by_quiet,
        }
    }

    /// When to look whether it is whole; `None` when that is known, being asked, or of no use.
    fn look_at(&self) -> Option<Duration> {
        let overdue = self.first + MOST;
        let by_age = match self.looked {
            Some(looked) if looked >= overdue => looked + LOOK_AGAIN,
            _ => overdue,
        };
        match (self.form, self.hold) {
            (Completeness::Asked | Completeness::Whole | Completeness::NotWhole, _)
            | (Completeness::Unknown, LastEvent::Gone) => None,
            // It is taken soon if it is whole, and much later if it isn't.
            (Completeness::Unknown, LastEvent::Open) if self.has_quota => Some(by_age.min(self.last + QUIET_UNTOLD)),
            (Completeness::Unknown, LastEvent::Open) => Some(by_age),
            (Completeness::Unknown, LastEvent::Closed) => Some(by_age.min(self.last + QUIET)),
        }
    }
}

/// The files that changed and were not taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Debouncer {
    waiting: BTreeMap<ProjectPath, Waiting>,
    /// When the latest of them changed for the first time.
    latest_first: Duration,
    versions: u64,
}

impl Debouncer {
    /// Notes that something happened to the file at `path`. Times that run backwards are taken for
    /// the latest known one.
    pub(crate) fn note(&mut self, path: ProjectPath, kind: ChangeKind, now: Duration) {
        self.versions += 1;
        let version = self.versions;
        let latest_first = &mut self.latest_first;
        let has_quota = has_quota(&path);
        let waiting = self.waiting.entry(path).or_insert_with(|| {
            *latest_first = now.max(*latest_first);
            // What is only touched was not written as far as anybody knows.
            let (hold, form) = (LastEvent::Closed, Completeness::Unknown);
            Waiting { has_quota, first: now, last: now, version, hold, form, looked: None }
        });
        waiting.last = waiting.last.max(now);
        waiting.version = version;
        waiting.form = Completeness::Unknown;
        waiting.hold = match kind {
            ChangeKind::Created | ChangeKind::Written => LastEvent::Open,
            ChangeKind::Closed => LastEvent::Closed,
            ChangeKind::Removed => LastEvent::Gone,
            ChangeKind::Touched => waiting.hold,
        };
    }

    /// The files to be looked at now. Each is asked for once: without an answer it waits as one
    /// that is not whole.
    pub(crate) fn looks(&mut self, now: Duration) -> Vec<CompletenessCheck> {
        let due = |waiting: &Waiting| waiting.look_at().is_some_and(|at| at <= now);
        let due = self.waiting.iter_mut().filter(|(_, waiting)| due(waiting));
        due.map(|(path, waiting)| {
            waiting.form = Completeness::Asked;
            waiting.looked = Some(now);
            CompletenessCheck { path: path.clone(), version: waiting.version }
        })
        .collect()
    }

    /// The answer to a look. It doesn't count when the file changed since it was asked for.
    pub(crate) fn whole(&mut self, look: &CompletenessCheck, whole: bool) {
        if let Some(waiting) = self.waiting.get_mut(&look.path).filter(|waiting| waiting.version == look.version) {
            waiting.form = if whole { Completeness::Whole } else { Completeness::NotWhole };
        }
    }

    /// When there is something to do if nothing more happens: [`Debouncer::looks`] or
    /// [`Debouncer::release`]. Never before `now`; `None` while nothing waits.
    pub(crate) fn next(&self, now: Duration) -> Option<Duration> {
        let at = |waiting: &Waiting| {
            let ready = self.ready_at(waiting);
            waiting.look_at().map_or(ready, |look| look.min(ready))
        };
        self.waiting.values().map(at).min().map(|at| at.max(now))
    }

    /// Takes the files that are settled, all together as soon as one of them need not wait for the
    /// end of a burst; what happens to them from here on is a new change.
    pub(crate) fn release(&mut self, now: Duration) -> BTreeSet<ProjectPath> {
        if !self.waiting.values().any(|waiting| self.ready_at(waiting) <= now) {
            return BTreeSet::new();
        }
        let settled = self.waiting.iter().filter(|(_, waiting)| waiting.settled_at() <= now);
        let released: BTreeSet<ProjectPath> = settled.map(|(path, _)| path.clone()).collect();
        self.waiting.retain(|path, _| !released.contains(path));
        released
    }

    /// The files that must not be looked at yet: their earlier content counts.
    pub(crate) fn in_progress(&self, now: Duration) -> BTreeSet<ProjectPath> {
        self.waiting.iter().filter(|(_, waiting)| self.ready_at(waiting) > now).map(|(path, _)| path.clone()).collect()
    }

    /// Whether the file may be looked at. One that nothing was noted of may.
    #[cfg(test)]
    pub(crate) fn is_settled(&self, path: &ProjectPath, now: Duration) -> bool {
        self.waiting.get(path).is_none_or(|waiting| self.ready_at(waiting) <= now)
    }

    /// The files that were waited for longer than for any that is whole now and then, each with how
    /// long it has been changing: for a person.
    #[cfg(test)]
    pub(crate) fn overdue(&self, now: Duration) -> impl Iterator<Item = (&ProjectPath, Duration)> {
        let age = move |waiting: &Waiting| now.saturating_sub(waiting.first);
        let overdue = self.waiting.iter().map(move |(path, waiting)| (path, age(waiting)));
        overdue.filter(|(_, age)| *age > MOST + LOOK_AGAIN)
    }

    /// When a file is taken if nothing more happens: settled, and the burst that it is part of is
    /// over.
    fn ready_at(&self, waiting: &Waiting) -> Duration {
        let settled = waiting.settled_at();
        let burst = (self.latest_first + QUIET).min(settled + BURST).min(waiting.first + MOST);
        settled.max(burst)
    }
}

/// Whether an upload of the file counts against a quota or costs Robux, by its name.
pub(super) fn has_quota(path: &ProjectPath) -> bool {
    let format = path.extension().as_deref().and_then(FileFormat::of_extension);
    format.is_some_and(|format| format.types().iter().any(|kind| kind.has_upload_quota()))
}

#[cfg(test)]
mod tests;
