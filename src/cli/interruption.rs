//! Ends a run at a signal, and says so to the person who pressed Ctrl-C.
//!
//! The first signal begins nothing new and lets requests on the wire finish; the second ends the
//! process at once. What was begun is in the journal either way. A command that waits for a running
//! service takes its request back at the first one: see [`ServiceWait`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::exit::{CommandFailure, Exit};
use super::output::{Printer, plural};
use super::progress::Bars;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::run_report::Stop;
use crate::platform::signals::{self, EndSignal};

/// The time for Roblox to answer requests that are on the wire at the first signal. CI kills the
/// process 7.5 s after it (GitHub) or 10 s (most others). The rest of [`END`] is for recording.
const WIRE: Duration = Duration::from_millis(4500);

/// The longest time from the first signal to the end of the process, even if a disk hangs. The
/// next run recovers from the state's journal.
const END: Duration = Duration::from_millis(5700);

/// A run that ends sooner than this after a signal says no more than its result.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Says what a signal does, once there is a display.
#[derive(Debug, Clone, Default)]
pub(super) struct Interruption {
    display: Arc<OnceLock<(Printer, Bars)>>,
    /// The name of the lockfile that the command of `--on-change` is to publish.
    publishes: Arc<OnceLock<String>>,
}

impl Interruption {
    /// Ends the run in order at the first signal, within [`END`], and the process at the second.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub(super) fn listen(stop: &Shutdown) -> Result<Self, CommandFailure> {
        let mut signals = catch()?;
        if let Some(wait) = SERVICE_WAIT.get() {
            wait.task.abort(); // the command does the work itself, and signals are this one's
        }
        let (stop, interruption) = (stop.clone(), Self::default());
        let told = interruption.clone();
        tokio::spawn(async move {
            let Some(first) = signals.recv().await else { return };
            stop.trigger(Stop::Signal(first.exit_code()));
            let mut last = first;
            let in_time = async {
                told.say_what_is_finished(first).await;
                tokio::time::sleep(WIRE.saturating_sub(AT_ONCE)).await;
                stop.cut_off();
                tokio::time::sleep(END.saturating_sub(WIRE)).await;
            };
            tokio::select! {
                () = in_time => {}
                Some(second) = signals.recv() => last = second,
            }
            told.say_what_is_left();
            super::die(last.exit_code());
        });
        Ok(interruption)
    }

    /// From now on a person is told through this display.
    pub(super) fn tell_through(&self, output: Printer, bars: &Bars) {
        let _ = self.display.set((output, bars.clone())); // a run has one display
    }

    /// The run is to publish this lockfile at its end, which a process that ends at once doesn't do.
    pub(super) fn publishes(&self, lockfile: String) {
        let _ = self.publishes.set(lockfile); // a run has one lockfile
    }

    /// Says what the run still waits for; takes [`AT_ONCE`].
    async fn say_what_is_finished(&self, signal: EndSignal) {
        let is_said = self.say(|uploads| (uploads > 0).then(|| stopping(uploads, signal)));
        tokio::time::sleep(AT_ONCE).await;
        if !is_said {
            self.say(|uploads| Some(stopping(uploads, signal)));
        }
    }

    fn say_what_is_left(&self) {
        self.say(|uploads| Some(stopped(uploads, self.publishes.get().map(String::as_str))));
        if let Some((_, bars)) = self.display.get() {
            bars.hide();
        }
    }

    /// Says what follows from the number of uploads that are being sent, while a display is shown;
    /// `false` if nothing was said.
    fn say(&self, text: impl Fn(u64) -> Option<String>) -> bool {
        let Some((output, bars)) = self.display.get() else { return false };
        let Some(text) = bars.uploads().and_then(text) else { return false };
        bars.say(*output, &text);
        true
    }
}

fn catch() -> Result<mpsc::UnboundedReceiver<EndSignal>, CommandFailure> {
    signals::catch_end_signals().map_err(|error| CommandFailure::new(Exit::Unusable, format!("catch signals: {error}")))
}

/// Signals around waits for a running service. There is one per process: a signal that was caught
/// once is never the system's to handle again.
pub(super) struct ServiceWait {
    signal: watch::Receiver<Option<EndSignal>>,
    /// Nothing else reacts to a signal.
    ends_process: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

static SERVICE_WAIT: OnceLock<ServiceWait> = OnceLock::new();

impl ServiceWait {
    /// Starts to catch signals, unless that began before. They end the process, as before, but for
    /// those during a wait.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    fn listen() -> Result<&'static Self, CommandFailure> {
        if let Some(listening) = SERVICE_WAIT.get() {
            return Ok(listening);
        }
        let mut signals = catch()?;
        let (send, signal) = watch::channel(None);
        let ends_process = Arc::new(AtomicBool::new(true));
        let ends = Arc::clone(&ends_process);
        let task = tokio::spawn(async move {
            while let Some(signal) = signals.recv().await {
                let is_second = send.send_replace(Some(signal)).is_some();
                if is_second || ends.load(Ordering::SeqCst) {
                    super::die(signal.exit_code());
                }
            }
        });
        Ok(SERVICE_WAIT.get_or_init(|| Self { signal, ends_process, task }))
    }

    /// Begins a wait for the service: until [`Self::end`] a first signal ends nothing, and
    /// [`Self::signalled`] returns it.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub(super) fn begin() -> Result<&'static Self, CommandFailure> {
        let wait = Self::listen()?;
        wait.ends_process.store(false, Ordering::SeqCst);
        Ok(wait)
    }

    /// Waits for the signal.
    pub(super) async fn signalled(&self) -> EndSignal {
        match self.signal.clone().wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            _ => std::future::pending().await,
        }
    }

    /// Ends the wait.
    pub(super) fn end(&self) {
        self.ends_process.store(true, Ordering::SeqCst);
    }
}

/// What is said after the first signal, while so many uploads are being sent.
fn stopping(uploads: u64, signal: EndSignal) -> String {
    let work = if uploads == 0 { "what is under way".to_owned() } else { plural(uploads, "upload") };
    let again = match signal {
        EndSignal::Interrupt => " Ctrl-C again stops at once.",
        EndSignal::Terminate => "",
    };
    format!("Stopping: finishing {work}.{again}")
}

/// What is said at the end of a process that no longer waits for so many uploads, and didn't come to
/// publish `lockfile`.
fn stopped(uploads: u64, lockfile: Option<&str>) -> String {
    let arrived = match uploads {
        0 => String::new(),
        _ => format!(" {} may have arrived.", plural(uploads, "upload")),
    };
    match (uploads, lockfile) {
        (_, Some(lockfile)) => format!(
            "Stopped before the command of --on-change ran.{arrived} Keep this folder and run it again here: a machine that gets no \
             {lockfile} of this run uploads its files again."
        ),
        (0, None) => "Stopped. Nothing is lost: run it again to go on.".to_owned(),
        (_, None) => format!("Stopped. {} may have arrived; run it again to go on.", plural(uploads, "upload")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_what_is_waited_for_and_what_may_have_arrived() {
        let again = "Ctrl-C again stops at once.";
        assert_eq!(stopping(8, EndSignal::Interrupt), format!("Stopping: finishing 8 uploads. {again}"));
        assert_eq!(stopping(0, EndSignal::Interrupt), format!("Stopping: finishing what is under way. {again}"));
        assert_eq!(stopping(1, EndSignal::Terminate), "Stopping: finishing 1 upload.");
        assert_eq!(stopped(1, None), "Stopped. 1 upload may have arrived; run it again to go on.");
        assert_eq!(stopped(0, None), "Stopped. Nothing is lost: run it again to go on.");
    }

    /// On most CI machines nothing of the folder is kept.
    #[test]
    fn a_run_that_did_not_publish_its_lockfile_does_not_say_that_nothing_is_lost() {
        let again = "Keep this folder and run it again here: a machine that gets no assets.lock.toml of this run uploads its files again.";
        let stopped = |uploads| stopped(uploads, Some("assets.lock.toml"));
        assert_eq!(stopped(0), format!("Stopped before the command of --on-change ran. {again}"));
        let arrived = "Stopped before the command of --on-change ran. 1 upload may have arrived.";
        assert_eq!(stopped(1), format!("{arrived} {again}"));
    }
}
