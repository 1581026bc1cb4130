//! The progress display: a bar that moves on a terminal, and elsewhere, such as in CI, a line now and
//! then. Both appear only while something takes time. Results are printed as they happen.
//!
//! One thread draws the line anew each second, since its words count down while nothing happens.
//! Read next: [`super::progress_line`], which has the words.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Printer, stderr_columns};
use super::plan_text::done;
use super::progress_line::ProgressLine;
use crate::engine::report::progress::{Listener, ProgressEvent, WaitReason, silent};
use crate::engine::report::run_report::Outcome;
use crate::platform::{clock, failpoint};

/// Below this many columns there is no room for a bar beside the words.
const WIDE: usize = 60;

/// The columns of the bar.
const BAR: usize = 10;

/// The display with the bar.
const WITH_BAR: &str = "{bar:10} {wide_msg}";

/// The display without a bar. `wide_msg` is cut at the terminal's edge: a line that wraps can't be
/// drawn over.
const WITHOUT_BAR: &str = "{spinner} {wide_msg}";

/// How often the display moves.
const TICK: Duration = Duration::from_millis(120);

/// How often its words are written anew: they count seconds.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);

/// The time between two lines where no terminal is. CI systems and people take a job that prints
/// nothing for a few minutes for dead.
const PRINTED_EVERY: Duration = Duration::from_secs(30);

/// One line with the progress.
#[derive(Debug, Clone)]
pub(super) struct Bars {
    display: Option<Arc<Mutex<Display>>>,
    /// Ends the thread that draws or prints the line, once it is gone.
    drawing: Option<Arc<Mutex<Option<Sender<()>>>>>,
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

/// The line and where it is shown.
#[derive(Debug, Default)]
struct Display {
    line: ProgressLine,
    /// The display, on a terminal.
    bar: Option<ProgressBar>,
    /// It shows a bar beside the words.
    has_bar: bool,
    /// It is taken away, for good or for a question.
    is_hidden: bool,
}

impl Bars {
    /// A display on standard error, if people read. On a terminal it moves.
    pub(super) fn new(output: Printer) -> Self {
        if output.is_json() || output.is_quiet() {
            return Self::hidden(output);
        }
        // A log and a display that moves disturb one another.
        if !std::io::stderr().is_terminal() || output.is_verbose() {
            return Self::printed(output);
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(style(WITHOUT_BAR));
        bar.enable_steady_tick(TICK);
        let display = Display { bar: Some(bar), ..Display::default() };
        Self::repeated(output, display, REDRAWN_EVERY, Display::draw)
    }

    /// The same for a command that prints each result when it is there. They are all printed once
    /// the display is taken away.
    pub(super) fn with_results(output: Printer) -> Self {
        let bars = Self::new(output);
        if output.is_json() {
            return bars;
        }
        let bar = bars.display.as_ref().and_then(|display| lock(display).bar.clone());
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
    pub(super) fn waits_for(&self) -> Option<WaitReason> {
        lock(self.display.as_ref()?).line.waits_for(clock::elapsed())
    }

    /// The number of uploads that are being sent; `None` while nothing is shown to a person.
    pub(super) fn uploads(&self) -> Option<u64> {
        let display = lock(self.display.as_ref()?);
        (!display.is_hidden).then(|| display.line.uploads())
    }

    /// Prints a line above the display.
    pub(super) fn say(&self, output: Printer, text: &str) {
        match self.display.as_ref().and_then(|display| lock(display).bar.clone()) {
            Some(bar) => bar.suspend(|| output.say(text)),
            None => output.say(text),
        }
    }

    /// Whether results are printed as they happen.
    pub(super) const fn prints_results(&self) -> bool {
        self.results.is_some()
    }

    /// A display for a command that is nearly always done at once: lines where no terminal is, and
    /// nothing on one.
    pub(super) fn only_printed(output: Printer) -> Self {
        if output.is_json() || output.is_quiet() || std::io::stderr().is_terminal() {
            return Self::hidden(output);
        }
        Self::printed(output)
    }

    const fn hidden(output: Printer) -> Self {
        Self { display: None, drawing: None, results: None, is_verbose: output.is_verbose() }
    }

    fn printed(output: Printer) -> Self {
        let print = move |display: &mut Display| {
            let message = display.line.message(clock::elapsed());
            if !message.is_empty() {
                output.progress(&message);
            }
        };
        Self::repeated(output, Display::default(), failpoint::progress(PRINTED_EVERY), print)
    }

    /// A display that a thread shows in these intervals.
    fn repeated(
        output: Printer,
        display: Display,
        every: Duration,
        show: impl Fn(&mut Display) + Send + 'static,
    ) -> Self {
        let display = Arc::new(Mutex::new(display));
        let (end, ended) = channel();
        let shown = Arc::clone(&display);
        let draw = move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                show(&mut lock(&shown));
            }
        };
        // Without a thread, lines are missing or old; the run goes on.
        let started = std::thread::Builder::new().name("progress".to_owned()).spawn(draw);
        let drawing = started.ok().map(|_| Arc::new(Mutex::new(Some(end))));
        Self { display: Some(display), drawing, results: None, is_verbose: output.is_verbose() }
    }

    /// Returns the listener for the engine's progress.
    pub(super) fn listener(&self) -> Listener {
        if self.display.is_none() && self.results.is_none() {
            return silent();
        }
        let (display, results, is_verbose) = (self.display.clone(), self.results.clone(), self.is_verbose);
        Arc::new(move |progress| {
            if let (Some(results), ProgressEvent::Finished { step, outcome }) = (&results, &progress)
                && let Outcome::Done { asset_id, revision } = outcome
                && let Some(printer) = lock(results).as_ref()
            {
                let _ = printer.lines.send(done(step, *asset_id, *revision, is_verbose)); // the thread may have died
            }
            if let Some(display) = &display {
                lock(display).tell(progress);
            }
        })
    }

    /// Takes the display away while `work` talks to the person.
    pub(super) fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.display {
            None => work(),
            Some(display) => {
                // Not suspended, which would hold the display's lock: the run may end while nobody
                // answers.
                let Some(bar) = lock(display).hide() else { return work() };
                let answer = work();
                bar.reset();
                bar.enable_steady_tick(TICK);
                lock(display).is_hidden = false;
                answer
            }
        }
    }

    /// Takes the display away, and shows no more of it.
    pub(super) fn hide(&self) {
        if let Some(display) = &self.display {
            lock(display).hide();
        }
    }

    /// Takes the display away for good, after all results were printed.
    pub(super) fn clear(&self) {
        if let Some(ResultPrinter { lines, thread }) = self.results.as_ref().and_then(|results| lock(results).take()) {
            drop(lines);
            let _ = thread.join(); // a result that couldn't be printed is counted in the summary
        }
        self.hide();
        if let Some(drawing) = &self.drawing {
            drop(lock(drawing).take());
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

impl Display {
    fn tell(&mut self, event: ProgressEvent) {
        if self.line.tell(event, clock::elapsed()) {
            self.draw();
        }
    }

    /// Shows the line as it is now, where a terminal is.
    fn draw(&mut self) {
        let Some(bar) = self.bar.as_ref().filter(|_| !self.is_hidden) else { return };
        let columns = stderr_columns().unwrap_or(WIDE);
        let (steps, done) = self.line.steps();
        let has_bar = steps > 1 && columns >= WIDE;
        if std::mem::replace(&mut self.has_bar, has_bar) != has_bar {
            bar.set_style(style(if has_bar { WITH_BAR } else { WITHOUT_BAR }));
        }
        // The bar or the spinner, and a space.
        let taken = if has_bar { BAR + 1 } else { 2 };
        bar.set_length(steps);
        bar.set_position(done);
        bar.set_message(self.line.fitting(clock::elapsed(), columns.saturating_sub(taken)));
    }

    /// Takes the display away, and returns it.
    fn hide(&mut self) -> Option<ProgressBar> {
        self.is_hidden = true;
        let bar = self.bar.clone()?;
        bar.finish_and_clear();
        Some(bar)
    }
}
