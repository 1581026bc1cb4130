//! The progress display: only on a terminal, and only while something takes time.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use crate::engine::progress::{Listener, Progress, silent};

/// Fewer bytes than this are hashed before anybody could read a display.
const WORTH_SHOWING: u64 = 64;

/// One line that tells what goes on.
#[derive(Debug, Clone)]
pub struct Bars {
    line: Option<Arc<Mutex<Line>>>,
}

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    uploading: u64,
    at_roblox: u64,
    done: u64,
    steps: u64,
}

impl Bars {
    /// A display on standard error, if that is a terminal and people read.
    pub fn new(output: Output) -> Self {
        let shown = !output.is_json() && !output.is_quiet() && std::io::stderr().is_terminal();
        let line = shown.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{spinner} {msg}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            Arc::new(Mutex::new(Line { bar, uploading: 0, at_roblox: 0, done: 0, steps: 0 }))
        });
        Self { line }
    }

    /// What the engine tells its progress to.
    pub fn listener(&self) -> Listener {
        match &self.line {
            None => silent(),
            Some(line) => {
                let line = Arc::clone(line);
                Arc::new(move |progress| lock(&line).tell(progress))
            }
        }
    }

    /// Takes the display away while `work` talks to the person.
    pub fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.line {
            None => work(),
            Some(line) => {
                let bar = lock(line).bar.clone();
                bar.suspend(work)
            }
        }
    }

    /// Takes the display away for good.
    pub fn clear(&self) {
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
    fn tell(&mut self, progress: Progress) {
        match progress {
            Progress::Files { done, total, bytes } if total > WORTH_SHOWING || bytes > 0 => {
                self.bar.set_message(format!("looking at files: {done} of {total}, {} MB hashed", bytes / 1_000_000));
                return;
            }
            Progress::Files { .. } => return,
            Progress::Planned { steps } => (self.steps, self.done) = (steps, 0),
            Progress::Uploading { .. } => self.uploading += 1,
            Progress::Accepted { .. } => {
                self.uploading = self.uploading.saturating_sub(1);
                self.at_roblox += 1;
            }
            Progress::Finished { .. } => {
                self.done += 1;
                self.at_roblox = self.at_roblox.saturating_sub(1);
            }
            Progress::Waiting { reason } => {
                self.bar.set_message(reason);
                return;
            }
        }
        self.bar.set_message(format!(
            "{} of {} done, {} uploading, {} in the works at Roblox",
            self.done, self.steps, self.uploading, self.at_roblox
        ));
    }
}
