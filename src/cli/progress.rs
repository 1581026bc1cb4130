//! The progress display: a bar that moves on a terminal, and elsewhere, such as in CI, a line now and
//! then. Both appear only while something takes time. Results are printed as they happen.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::fit;
use super::output::{Printer, stderr_columns};
use super::plan_text::done;
use crate::engine::report::estimate::{Estimate, RoughTime};
use crate::engine::report::progress::{Listener, ProgressEvent, silent};
use crate::engine::report::run_report::Outcome;
use crate::model::address::Address;
use crate::model::minute::Minute;
use crate::platform::{clock, failpoint};

/// Macadam hashes fewer files than this before anybody could read a display.
const WORTH_SHOWING: u64 = 64;

/// The number of files that are named while they upload.
const NAMED: usize = 2;

/// Below this many columns there is no room for a bar beside the words.
const WIDE: usize = 60;

/// The columns of the bar.
const BAR: usize = 10;

/// How often the display moves.
const TICK: Duration = Duration::from_millis(120);

/// The time between two lines where no terminal is. CI systems and people take a job that prints
/// nothing for a few minutes for dead.
const PRINTED_EVERY: Duration = Duration::from_secs(30);

/// One line with the progress.
#[derive(Debug, Clone)]
pub(super) struct Bars {
    line: Option<Arc<Mutex<Line>>>,
    /// Ends the thread that prints lines, once it is gone.
    printing: Option<Arc<Mutex<Option<Sender<()>>>>>,
    /// Prints results.
    results: Option<Arc<Mutex<Option<ResultPrinter>>>>,
    /// Names the rules too.
    is_verbose: bool,
}

/// A thread that prints results, so that a reader who stops to read delays no upload.
#[derive(Debug)]
struct ResultPrinter {
    lines: Sender<String>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    /// The display, on a terminal.
    bar: Option<ProgressBar>,
    /// What is done before there is a plan, such as hashing files.
    before: Option<String>,
    uploading: BTreeSet<Address>,
    at_roblox: BTreeSet<Address>,
    /// Why the latest delayed request waits, and until when.
    waiting: Option<(&'static str, Duration)>,
    /// Since when there is no connection.
    unconnected_since: Option<Timestamp>,
    /// When the run ends whatever is left.
    ends_at: Option<Timestamp>,
    done: u64,
    failed: u64,
    steps: u64,
    estimate: Estimate,
}

impl Bars {
    /// A display on standard error, if people read. On a terminal it moves.
    pub(super) fn new(output: Printer) -> Self {
        if output.is_json() || output.is_quiet() {
            return Self { line: None, printing: None, results: None, is_verbose: output.is_verbose() };
        }
        // A log and a display that moves disturb one another.
        if !std::io::stderr().is_terminal() || output.is_verbose() {
            return Self::printed(output);
        }
        let bar = ProgressBar::new_spinner();
        // `wide_msg` is cut at the terminal's edge: a line that wraps can't be drawn over.
        bar.set_style(style("{spinner} {wide_msg}"));
        bar.enable_steady_tick(TICK);
        Self {
            line: Some(Arc::new(Mutex::new(Line::new(Some(bar))))),
            printing: None,
            results: None,
            is_verbose: output.is_verbose(),
        }
    }

    /// The same for a command that prints each result when it is there. They are all printed once
    /// the display is taken away.
    pub(super) fn with_results(output: Printer) -> Self {
        let bars = Self::new(output);
        if output.is_json() {
            return bars;
        }
        let bar = bars.line.as_ref().and_then(|line| lock(line).bar.clone());
        let (lines, received) = channel::<String>();
        let print = move || {
            for text in received {
                match &bar {
                    Some(bar) => bar.suspend(|| output.line(&text)),
                    None => output.line(&text),
                }
            }
        };
        let started = std::thread::Builder::new().name("results".to_owned()).spawn(print);
        let results = started.ok().map(|thread| Arc::new(Mutex::new(Some(ResultPrinter { lines, thread }))));
        Self { results, ..bars }
    }

    /// Returns what the requests wait for now: Roblox's limits, or Roblox to recover.
    pub(super) fn waits_for(&self) -> Option<&'static str> {
        let (reason, until) = lock(self.line.as_ref()?).waiting?;
        (clock::elapsed() < until).then_some(reason)
    }

    /// Whether results are printed as they happen.
    pub(super) const fn prints_results(&self) -> bool {
        self.results.is_some()
    }

    /// A display for a command that is nearly always done at once: lines where no terminal is, and
    /// nothing on one.
    pub(super) fn only_printed(output: Printer) -> Self {
        if output.is_json() || output.is_quiet() || std::io::stderr().is_terminal() {
            return Self { line: None, printing: None, results: None, is_verbose: output.is_verbose() };
        }
        Self::printed(output)
    }

    fn printed(output: Printer) -> Self {
        let line = Arc::new(Mutex::new(Line::new(None)));
        let (end, ended) = channel();
        let (shown, every) = (Arc::clone(&line), failpoint::progress(PRINTED_EVERY));
        let print = move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let message = lock(&shown).message();
                if !message.is_empty() {
                    output.progress(&message);
                }
            }
        };
        // Without a thread, the lines are missing; the run goes on.
        let started = std::thread::Builder::new().name("progress".to_owned()).spawn(print);
        let printing = started.ok().map(|_| Arc::new(Mutex::new(Some(end))));
        Self { line: Some(line), printing, results: None, is_verbose: output.is_verbose() }
    }

    /// Returns the listener for the engine's progress.
    pub(super) fn listener(&self) -> Listener {
        if self.line.is_none() && self.results.is_none() {
            return silent();
        }
        let (line, results, is_verbose) = (self.line.clone(), self.results.clone(), self.is_verbose);
        Arc::new(move |progress| {
            if let (Some(results), ProgressEvent::Finished { step, outcome }) = (&results, &progress)
                && let Outcome::Done { asset_id, revision } = outcome
                && let Some(printer) = lock(results).as_ref()
            {
                let _ = printer.lines.send(done(step, *asset_id, *revision, is_verbose)); // the thread may have died
            }
            if let Some(line) = &line {
                lock(line).tell(progress);
            }
        })
    }

    /// Takes the display away while `work` talks to the person.
    pub(super) fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.line {
            None => work(),
            Some(line) => {
                // Not suspended, which would hold the display's lock: the run may end while nobody
                // answers.
                let Some(bar) = lock(line).bar.clone() else { return work() };
                bar.finish_and_clear();
                let answer = work();
                bar.reset();
                bar.enable_steady_tick(TICK);
                answer
            }
        }
    }

    /// Takes the display away for good, after all results were printed.
    pub(super) fn clear(&self) {
        if let Some(ResultPrinter { lines, thread }) = self.results.as_ref().and_then(|results| lock(results).take()) {
            drop(lines);
            let _ = thread.join(); // a result that couldn't be printed is counted in the summary
        }
        if let Some(bar) = self.line.as_ref().and_then(|line| lock(line).bar.clone()) {
            bar.finish_and_clear();
        }
        if let Some(printing) = &self.printing {
            drop(lock(printing).take());
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A template of this file; a wrong one shows the default style.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Line {
    fn new(bar: Option<ProgressBar>) -> Self {
        Self {
            bar,
            before: None,
            uploading: BTreeSet::new(),
            at_roblox: BTreeSet::new(),
            waiting: None,
            unconnected_since: None,
            ends_at: None,
            done: 0,
            failed: 0,
            steps: 0,
            estimate: Estimate::default(),
        }
    }

    fn tell(&mut self, progress: ProgressEvent) {
        match progress {
            ProgressEvent::Files { done, total, bytes } if total > WORTH_SHOWING || bytes > 0 => {
                self.before = Some(format!("checking files: {done} of {total}, {} MB read", bytes / 1_000_000));
            }
            ProgressEvent::Listed { asset_id, versions } => {
                let so_far = format!("{versions} versions of asset {asset_id} read");
                self.before = Some(so_far);
            }
            ProgressEvent::Files { .. }
            | ProgressEvent::Waited { .. }
            | ProgressEvent::KeyExpires { .. }
            | ProgressEvent::Polled => return,
            ProgressEvent::Answered { unconnected: Some(at), .. } => {
                self.unconnected_since.get_or_insert(at);
            }
            ProgressEvent::Answered { unconnected: None, .. } => {
                if self.unconnected_since.take().is_none() {
                    return;
                }
            }
            ProgressEvent::Planned { work, ends_at } => {
                let steps = work.steps;
                self.ends_at = ends_at;
                (self.steps, self.done, self.failed, self.before) = (steps, 0, 0, None);
                self.estimate = Estimate::new(work, clock::elapsed());
                self.uploading.clear();
                self.at_roblox.clear();
                if let Some(bar) = self.bar.as_ref().filter(|_| steps > 1) {
                    bar.set_length(steps);
                    if stderr_columns().is_none_or(|columns| columns >= WIDE) {
                        bar.set_style(style("{bar:10} {wide_msg}"));
                    }
                }
            }
            ProgressEvent::Uploading { address, .. } => {
                self.uploading.insert(address);
            }
            ProgressEvent::Accepted { address } => {
                self.estimate.accept();
                self.uploading.remove(&address);
                self.at_roblox.insert(address);
            }
            ProgressEvent::Delayed { address } => {
                self.uploading.remove(&address);
            }
            ProgressEvent::Finished { step, outcome } => {
                self.done += u64::from(outcome.is_done());
                self.failed += u64::from(matches!(outcome, Outcome::Refused { .. } | Outcome::InDoubt { .. }));
                self.estimate.finish();
                self.uploading.remove(&step.address);
                self.at_roblox.remove(&step.address);
            }
            ProgressEvent::Waiting { reason, wait } => self.waiting = Some((reason, clock::elapsed() + wait)),
        }
        if let Some(bar) = &self.bar {
            let columns = stderr_columns().unwrap_or(WIDE);
            let has_bar = self.steps > 1 && columns >= WIDE;
            // The bar or the spinner, and a space.
            let taken = if has_bar { BAR + 1 } else { 2 };
            bar.set_position(self.done);
            bar.set_message(fitting(&self.parts(), columns.saturating_sub(taken)));
        }
    }

    /// The line while nothing answers: until when the run waits is what a person decides by.
    fn offline(&self, since: Timestamp) -> String {
        let gives_up = match self.ends_at {
            Some(end) if end.duration_since(since) < WITHIN_A_DAY => {
                format!(", gives up at {}", end.strftime("%H:%M:%S UTC"))
            }
            Some(end) => format!(", gives up at {}", Minute(end)),
            None => String::new(),
        };
        let zone = if gives_up.is_empty() { " UTC" } else { "" };
        let counts = if self.steps > 0 { format!(" · {} of {} done", self.done, self.steps) } else { String::new() };
        format!("waiting for the network since {}{zone}{gives_up}{counts}", since.strftime("%H:%M:%S"))
    }

    /// The progress in one line; empty while there is nothing to tell.
    fn message(&self) -> String {
        self.parts().join(BETWEEN)
    }

    /// The progress, the most important first, so that a narrow terminal has that whole.
    fn parts(&self) -> Vec<String> {
        if let Some(before) = &self.before {
            return vec![before.clone()];
        }
        if let Some(since) = self.unconnected_since {
            return vec![self.offline(since)];
        }
        if self.steps == 0 && self.waiting.is_none() {
            return Vec::new();
        }
        let now = clock::elapsed();
        let mut parts = vec![format!("{} of {} done", self.done, self.steps)];
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        let left = self.estimate.time_left(now);
        parts.extend(left.map(|left| format!("{} left", RoughTime(left))));
        let waiting = self.waiting.map(|(reason, until)| (reason, until.saturating_sub(now).as_secs()));
        if let Some((reason, seconds @ 1..)) = waiting {
            parts.push(format!("{reason} ({seconds} s)"));
        }
        parts.push(uploading(&self.uploading));
        parts.push(format!("{} processing at Roblox", self.at_roblox.len()));
        parts.extend(left.and_then(|_| self.estimate.rate(now)).map(|rate| format!("{rate} a minute")));
        parts
    }
}

/// The longest time for which the hour says which day is meant.
const WITHIN_A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Stands between the parts of a line.
const BETWEEN: &str = " · ";

/// The first of these parts that fit into this many columns, in one line. A first one that is wider
/// is cut by the display.
fn fitting(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let longer = if line.is_empty() { part.clone() } else { format!("{line}{BETWEEN}{part}") };
        if fit::width(&longer) > columns && !line.is_empty() {
            break;
        }
        line = longer;
    }
    line
}

/// How many files are uploading, and the names of some.
fn uploading(addresses: &BTreeSet<Address>) -> String {
    let names: Vec<&str> = addresses.iter().take(NAMED).map(Address::as_str).collect();
    match (names.as_slice(), addresses.len() - names.len()) {
        ([], _) => "0 uploading".to_owned(),
        (names, 0) => format!("uploading {}", names.join(", ")),
        (names, more) => format!("uploading {} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::estimate::Workload;

    #[test]
    fn without_a_connection_the_line_says_since_when_and_until_when_it_waits() {
        let mut line = Line::new(None);
        let address = Address::new("ui/a.png").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let answered = |unconnected| ProgressEvent::Answered { endpoint: "create_asset", status: None, unconnected };
        let planned = |ends_at| ProgressEvent::Planned { work: Workload { steps: 4, ..Workload::default() }, ends_at };
        line.tell(planned(Some(at("2026-11-29T15:19:36Z"))));
        line.tell(ProgressEvent::Uploading { address: address.clone(), bytes: 1 });
        assert!(line.message().contains("uploading ui/a.png"), "{}", line.message());
        line.tell(answered(Some(at("2026-11-29T14:19:36Z"))));
        line.tell(ProgressEvent::Delayed { address });
        line.tell(answered(Some(at("2026-11-29T14:20:07Z"))));
        let waits = "waiting for the network since 14:19:36, gives up at 15:19:36 UTC · 0 of 4 done";
        assert_eq!(line.message(), waits);
        line.tell(planned(Some(at("2026-12-01T15:19:36Z"))));
        let days = "waiting for the network since 14:19:36, gives up at 2026-12-01 15:19 UTC · 0 of 4 done";
        assert_eq!(line.message(), days);
        line.tell(planned(None));
        assert_eq!(line.message(), "waiting for the network since 14:19:36 UTC · 0 of 4 done");
        line.tell(answered(None));
        assert!(
            line.message().starts_with("0 of 4 done") && line.message().contains(" · 0 uploading"),
            "{}",
            line.message()
        );
    }

    #[test]
    fn a_narrow_terminal_has_the_most_important_parts_whole() {
        let mut line = Line::new(None);
        (line.steps, line.done, line.failed) = (60, 12, 2);
        line.uploading.insert(Address::new("ui/a-long-name.png").unwrap());
        let parts = line.parts();
        assert_eq!(fitting(&parts, 38), "12 of 60 done · 2 failed");
        assert_eq!(fitting(&parts, 69), "12 of 60 done · 2 failed · uploading ui/a-long-name.png");
        assert_eq!(fitting(&parts, 200), line.message());
        assert!(line.message().ends_with(" · 0 processing at Roblox"), "{}", line.message());
        line.waiting = Some(("Roblox allows 120 uploads a minute", clock::elapsed() + Duration::from_secs(41)));
        assert!(
            fitting(&line.parts(), 80).starts_with("12 of 60 done · 2 failed · Roblox allows 120 uploads a minute (")
        );
    }
}
