//! The progress display. It appears only on a terminal, and only while something takes time.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Printer;
use crate::engine::report::progress::{Listener, ProgressEvent, silent};
use crate::model::address::Address;
use crate::platform::clock;

/// Macadam hashes fewer files than this before anybody could read a display.
const WORTH_SHOWING: u64 = 64;

/// How often the display moves.
const TICK: Duration = Duration::from_millis(120);

/// One line with the progress.
#[derive(Debug, Clone)]
pub(super) struct Bars {
    line: Option<Arc<Mutex<Line>>>,
}

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    uploading: BTreeSet<Address>,
    at_roblox: BTreeSet<Address>,
    /// Why the latest delayed request waits, and until when.
    waiting: Option<(&'static str, Duration)>,
    done: u64,
    steps: u64,
}

impl Bars {
    /// A display on standard error, if that is a terminal and people read.
    pub(super) fn new(output: Printer) -> Self {
        let shown = !output.is_json() && !output.is_quiet() && std::io::stderr().is_terminal();
        let line = shown.then(|| {
            let bar = ProgressBar::new_spinner();
            // `wide_msg` is cut at the terminal's edge: a line that wraps can't be drawn over.
            bar.set_style(style("{spinner} {wide_msg}"));
            bar.enable_steady_tick(TICK);
            let (uploading, at_roblox) = (BTreeSet::new(), BTreeSet::new());
            Arc::new(Mutex::new(Line { bar, uploading, at_roblox, waiting: None, done: 0, steps: 0 }))
        });
        Self { line }
    }

    /// Returns the listener for the engine's progress.
    pub(super) fn listener(&self) -> Listener {
        match &self.line {
            None => silent(),
            Some(line) => {
                let line = Arc::clone(line);
                Arc::new(move |progress| lock(&line).tell(progress))
            }
        }
    }

    /// Takes the display away while `work` talks to the person.
    pub(super) fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.line {
            None => work(),
            Some(line) => {
                // Not suspended, which would hold the display's lock: the run may end while nobody
                // answers.
                let bar = lock(line).bar.clone();
                bar.finish_and_clear();
                let answer = work();
                bar.reset();
                bar.enable_steady_tick(TICK);
                answer
            }
        }
    }

    /// Takes the display away for good.
    pub(super) fn clear(&self) {
        if let Some(line) = &self.line {
            lock(line).bar.finish_and_clear();
        }
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A template of this file; a wrong one shows the default style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Line {
    fn tell(&mut self, progress: ProgressEvent) {
        match progress {
            ProgressEvent::Files { done, total, bytes } if total > WORTH_SHOWING || bytes > 0 => {
                self.bar.set_message(format!("checking files: {done} of {total}, {} MB read", bytes / 1_000_000));
                return;
            }
            ProgressEvent::Listed { asset_id, versions } => {
                self.bar.set_message(format!("reading the versions of asset {asset_id} on Roblox: {versions} so far"));
                return;
            }
            ProgressEvent::Files { .. }
            | ProgressEvent::Answered { .. }
            | ProgressEvent::Waited { .. }
            | ProgressEvent::KeyExpires { .. }
            | ProgressEvent::Polled => return,
            ProgressEvent::Planned { steps } => {
                (self.steps, self.done) = (steps, 0);
                self.uploading.clear();
                self.at_roblox.clear();
            }
            ProgressEvent::Uploading { address, .. } => {
                self.uploading.insert(address);
            }
            ProgressEvent::Accepted { address } => {
                self.uploading.remove(&address);
                self.at_roblox.insert(address);
            }
            ProgressEvent::Finished { address } => {
                self.done += 1;
                self.uploading.remove(&address);
                self.at_roblox.remove(&address);
            }
            ProgressEvent::Waiting { reason, wait } => self.waiting = Some((reason, clock::elapsed() + wait)),
        }
        let (uploading, at_roblox) = (self.uploading.len(), self.at_roblox.len());
        let counts =
            format!("{} of {} done · {uploading} uploading · {at_roblox} processing at Roblox", self.done, self.steps);
        let left = self.waiting.map(|(reason, until)| (reason, until.saturating_sub(clock::elapsed()).as_secs()));
        self.bar.set_message(match left {
            Some((reason, seconds @ 1..)) => format!("{counts} · {reason} ({seconds} s)"),
            Some((_, 0)) | None => counts,
        });
    }
}
