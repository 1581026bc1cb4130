//! `--on-change COMMAND`: a command of the user's that runs after the lockfile or outputs changed,
//! for example to commit and push them.
//!
//! `sync --once` runs it once, at the end ([`run_once`]). The service ([`OnChange`]) has one run at
//! a time, and a change during a run causes one more. A failure never stops the service: it is
//! logged, counted and tried again, with a longer wait each time. The command sees no credential.
//! Read next: [`schedule`] for when it runs, [`shipped`] for the command that ships with Macadam,
//! [`permission`] for whether it could publish,
//! [`merged`] for what it may change, [`failure`] for what is written down while it fails.

mod environment;
mod failure;
pub(crate) mod merged;
mod output;
mod permission;
mod schedule;
mod shipped;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::environment::{environment, has_line_break};
pub(crate) use self::failure::leave_to_a_person;
use self::output::{Allowance, Lines};
pub(crate) use self::permission::{MayPublish, may_publish};
use self::schedule::Schedule;
use self::shipped::Shipped;
use crate::engine::workspace::project::Project;
use crate::platform::clock;
use crate::platform::process::{self, Shell};

/// The limit of one run. A commit and a push take seconds; a longer run waits for something that
/// never comes, such as a password.
const RUN: Duration = Duration::from_mins(10);

/// The time between SIGTERM and SIGKILL, in which git removes its locks.
const GRACE: Duration = Duration::from_secs(5);

/// The same at shutdown, taken out of the patience that shutdown has.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// A `sync --once` that receives a signal ends within this time, command included: GitHub sends the
/// next signal after 7.5 seconds.
const AFTER_SIGNAL: Duration = Duration::from_secs(6);

/// The least time that a command gets after a signal: without it, the commit of a long run could be
/// lost.
const LEAST_AFTER_SIGNAL: Duration = Duration::from_secs(3);

/// The longest wait for the output to close after the command's end. A process that it left running
/// may hold the pipe open.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// The command and its environment.
#[derive(Debug, Clone)]
pub(crate) struct CommandSettings {
    /// The command, for the shell.
    pub command: String,
    /// The project. The command runs in its root folder.
    pub project: Project,
    /// More variables that the command must not see, for example the one that holds the webhook.
    pub hidden: Vec<String>,
}

/// The number of runs so far, by result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg(all(test, unix))]
pub(crate) struct Counts {
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed, could not be started, or were ended.
    pub failed: u64,
}

/// Receives each line that the command prints.
pub(crate) type LineSink<'a> = &'a mut (dyn FnMut(String) + Send);

/// The command of one service. Dropping this kills the command and its children;
/// [`OnChange::finish`] ends it in order.
#[derive(Debug)]
pub(crate) struct OnChange {
    inbox: mpsc::UnboundedSender<RunnerMessage>,
    counters: Arc<RunCounters>,
    may_publish: watch::Receiver<MayPublish>,
}

#[derive(Debug, Default)]
struct RunCounters {
    succeeded: AtomicU64,
    failed: AtomicU64,
    running: AtomicBool,
    /// The number of calls of [`OnChange::changed`].
    changes: AtomicU64,
    /// The value of `changes` when the last successful run began.
    covered: AtomicU64,
    /// When the first of the failures in a row ended.
    failing_since: Mutex<Option<Timestamp>>,
    /// Notified at the end of each run, and of each check whether it could publish.
    ended: Notify,
}

impl RunCounters {
    fn is_up_to_date(&self) -> bool {
        let changes = self.changes.load(Ordering::SeqCst);
        changes > 0 && self.covered.load(Ordering::SeqCst) == changes
    }

    fn ended(&self, succeeded: bool) {
        let mut since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if succeeded { None } else { earlier(*since) };
    }
}

/// Returns `since`, or now where that is earlier or nothing was known: a clock may have been ahead.
fn earlier(since: Option<Timestamp>) -> Option<Timestamp> {
    let now = clock::now();
    Some(since.map_or(now, |since| since.min(now)))
}

#[derive(Debug)]
enum RunnerMessage {
    Changed(Vec<PathBuf>),
    Hide(String),
    Finish(Duration, oneshot::Sender<()>),
}

/// The limits of a run's duration.
#[derive(Debug, Clone, Copy)]
struct TimeLimits {
    run: Duration,
    /// Between SIGTERM and SIGKILL.
    grace: Duration,
    /// The same at shutdown, taken out of its patience.
    last: Duration,
}

impl OnChange {
    /// Starts the task. Nothing runs until something changes, but for the check whether it could
    /// publish that. Needs a runtime.
    pub(crate) fn start(setting: CommandSettings) -> Self {
        Self::with(setting, TimeLimits { run: RUN, grace: GRACE, last: SHUTDOWN_GRACE })
    }

    fn with(setting: CommandSettings, limits: TimeLimits) -> Self {
        let (inbox, messages) = mpsc::unbounded_channel();
        let counters = Arc::new(RunCounters::default());
        let may_publish = permission::ask(&setting, limits, Arc::clone(&counters));
        tokio::spawn(run_task(setting, limits, messages, Arc::clone(&counters)));
        Self { inbox, counters, may_publish }
    }

    /// Reports files that were written, created or removed. The caller also reports files of an
    /// earlier process whose run was cut off.
    pub(crate) fn changed(&self, paths: impl IntoIterator<Item = PathBuf>) {
        self.counters.changes.fetch_add(1, Ordering::SeqCst);
        let _ = self.inbox.send(RunnerMessage::Changed(paths.into_iter().collect())); // the task ends with this handle
    }

    /// Hides a variable from every run that starts after this.
    pub(crate) fn hide(&self, variable: &str) {
        let _ = self.inbox.send(RunnerMessage::Hide(variable.to_owned())); // the task ends with this handle
    }

    /// Returns whether a successful run began after the last change.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.counters.is_up_to_date()
    }

    /// Returns since when the command fails; `None` if it succeeded when it last ran, or never ran.
    pub(crate) fn failing_since(&self) -> Option<Timestamp> {
        *self.counters.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that it failed since then in an earlier process, and didn't succeed since.
    pub(crate) fn fails_since(&self, since: Timestamp) {
        *self.counters.failing_since.lock().unwrap_or_else(PoisonError::into_inner) = earlier(Some(since));
    }

    /// Returns whether the command could publish a change, as far as it was asked.
    pub(crate) fn may_publish(&self) -> MayPublish {
        self.may_publish.borrow().clone()
    }

    /// Returns after the next end of a run or a check, or at once if one has ended since the last call.
    pub(crate) async fn run_ended(&self) {
        self.counters.ended.notified().await;
    }

    /// Returns the number of runs so far, by result.
    #[cfg(all(test, unix))]
    pub(crate) fn counts(&self) -> Counts {
        let RunCounters { succeeded, failed, .. } = &*self.counters;
        Counts { succeeded: succeeded.load(Ordering::Relaxed), failed: failed.load(Ordering::Relaxed) }
    }

    /// Returns whether a run is in progress.
    #[cfg(all(test, unix))]
    pub(crate) fn is_running(&self) -> bool {
        self.counters.running.load(Ordering::Relaxed)
    }

    /// Shuts down: a run in progress continues and pending changes still get a run, until
    /// `patience` is over; then the command is ended. Returns whether a successful run began after
    /// the last change.
    pub(crate) async fn finish(self, patience: Duration) -> bool {
        let (done, finished) = oneshot::channel();
        if self.inbox.send(RunnerMessage::Finish(patience, done)).is_ok() {
            let _ = finished.await;
        }
        self.counters.is_up_to_date()
    }
}

/// The task behind the handle.
async fn run_task(
    mut setting: CommandSettings,
    limits: TimeLimits,
    mut messages: mpsc::UnboundedReceiver<RunnerMessage>,
    counters: Arc<RunCounters>,
) {
    let mut changes: u64 = 0;
    let mut schedule = Schedule::default();
    let mut allowance = Allowance::default();
    // The latest end of a run. It moves forward once, at shutdown.
    let (last, deadline) = watch::channel(Duration::MAX);
    let mut finishing: Option<oneshot::Sender<()>> = None;
    loop {
        if let Some(paths) = schedule.begin(clock::elapsed()) {
            counters.running.store(true, Ordering::Relaxed);
            let covered = changes;
            let mut hidden = Vec::new();
            let succeeded = {
                let run = logged(&setting, &paths, limits, deadline.clone(), &mut allowance);
                tokio::pin!(run);
                loop {
                    tokio::select! {
                        succeeded = &mut run => break succeeded,
                        message = messages.recv(), if finishing.is_none() => match message {
                            Some(RunnerMessage::Changed(paths)) => {
                                changes += 1;
                                schedule.changed(paths);
                            }
                            Some(RunnerMessage::Hide(variable)) => hidden.push(variable),
                            Some(RunnerMessage::Finish(patience, done)) => {
                                let _ = last.send(end_of(patience, limits)); // this task holds a receiver
                                finishing = Some(done);
                            }
                            // The handle was dropped: dropping `run` kills the command.
                            None => return,
                        },
                    }
                }
            };
            setting.hidden.append(&mut hidden);
            counters.running.store(false, Ordering::Relaxed);
            if succeeded {
                counters.covered.store(covered, Ordering::SeqCst);
            }
            counters.ended(succeeded);
            counters.ended.notify_one();
            let count = if succeeded { &counters.succeeded } else { &counters.failed };
            count.fetch_add(1, Ordering::Relaxed);
            schedule.ended(clock::elapsed(), succeeded);
            if let Some(due) = schedule.due().filter(|_| !succeeded && finishing.is_none()) {
                let seconds = due.saturating_sub(clock::elapsed()).as_secs();
                tracing::info!(failures = schedule.failures(), "on-change: the next try is in {seconds} s");
            }
            // A run that fails during shutdown is left to the next start.
            if finishing.is_some() && (!succeeded || clock::elapsed() >= *deadline.borrow()) {
                break;
            }
            continue;
        }
        if finishing.is_some() {
            break;
        }
        let wait = schedule.due().map(|due| due.saturating_sub(clock::elapsed()));
        tokio::select! {
            message = messages.recv() => match message {
                Some(RunnerMessage::Changed(paths)) => {
                    changes += 1;
                    schedule.changed(paths);
                }
                Some(RunnerMessage::Hide(variable)) => setting.hidden.push(variable),
                Some(RunnerMessage::Finish(patience, done)) => {
                    let _ = last.send(end_of(patience, limits));
                    schedule.run_soon();
                    finishing = Some(done);
                }
                None => return,
            },
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
    if let Some(done) = finishing {
        let _ = done.send(()); // the caller may be gone
    }
}

/// Returns when the command is asked to end, so that it is gone when `patience` is over.
fn end_of(patience: Duration, limits: TimeLimits) -> Duration {
    clock::elapsed().saturating_add(patience.saturating_sub(limits.last))
}

/// Runs the command once for `sync --once`, and passes each line that it prints to `print`.
///
/// It takes at most ten minutes. Once `signalled` holds a time ([`clock::elapsed`]), the command
/// and its children end within [`AFTER_SIGNAL`] of that time, but not before they have had
/// [`LEAST_AFTER_SIGNAL`].
///
/// # Errors
/// Returns why the command failed, for a person: lower case, no full stop.
pub(crate) async fn run_once(
    setting: &CommandSettings,
    paths: &[PathBuf],
    signalled: watch::Receiver<Option<Duration>>,
    print: LineSink<'_>,
) -> Result<(), String> {
    let mut last_line = None;
    let mut kept = |line: String| {
        last_line = Some(line.clone());
        print(line);
    };
    let ended = run_limited(setting, paths, signalled, &mut kept).await;
    failure::keep(setting, ended.as_ref().err().map(String::as_str), last_line).await;
    ended
}

/// Does what [`run_once`] does, and writes nothing down.
async fn run_limited(
    setting: &CommandSettings,
    paths: &[PathBuf],
    mut signalled: watch::Receiver<Option<Duration>>,
    print: LineSink<'_>,
) -> Result<(), String> {
    let limits = TimeLimits { run: RUN, grace: GRACE, last: SHUTDOWN_GRACE };
    let least = clock::elapsed().saturating_add(LEAST_AFTER_SIGNAL);
    let ends = |at: Duration| at.saturating_add(AFTER_SIGNAL).max(least);
    let asked = |at: Option<Duration>| at.map_or(Duration::MAX, |at| ends(at).saturating_sub(SHUTDOWN_GRACE));
    let (last, deadline) = watch::channel(asked(*signalled.borrow_and_update()));
    let run = run(setting, paths, limits, deadline, print);
    tokio::pin!(run);
    loop {
        tokio::select! {
            ended = &mut run => return ended,
            changed = signalled.changed() => {
                if changed.is_err() {
                    return run.await; // no signal can come any more
                }
                let _ = last.send(asked(*signalled.borrow_and_update())); // `run` may be over
            }
        }
    }
}

/// Runs the service's command once and logs its output. Returns whether it succeeded.
async fn logged(
    setting: &CommandSettings,
    paths: &[PathBuf],
    limits: TimeLimits,
    deadline: watch::Receiver<Duration>,
    allowance: &mut Allowance,
) -> bool {
    let begun = clock::elapsed();
    let mut last_line = None;
    let mut log = |line: String| {
        last_line = Some(line.clone());
        if allowance.admit(clock::elapsed()) {
            tracing::info!("on-change: {line}");
        }
    };
    let ended = run(setting, paths, limits, deadline, &mut log).await;
    let dropped = allowance.take_dropped();
    if dropped > 0 {
        tracing::warn!(dropped, "on-change: it said more than is logged");
    }
    let seconds = clock::elapsed().saturating_sub(begun).as_secs();
    match &ended {
        Ok(()) => tracing::info!(files = paths.len(), seconds, "on-change: done"),
        Err(why) => tracing::warn!(seconds, "on-change: {why}"),
    }
    failure::keep(setting, ended.as_ref().err().map(String::as_str), last_line).await;
    ended.is_ok()
}

/// Runs the command once.
///
/// # Errors
/// Returns why it failed.
async fn run(
    setting: &CommandSettings,
    paths: &[PathBuf],
    limits: TimeLimits,
    deadline: watch::Receiver<Duration>,
    print: LineSink<'_>,
) -> Result<(), String> {
    let own = [&setting.project.manifest, &setting.project.lockfile];
    if let Some(path) = own.into_iter().chain(paths).find(|path| has_line_break(path)) {
        return Err(format!(
            "it was not started: {path:?} has a line break, and MACADAM_CHANGED has a path on each line"
        ));
    }
    // Kept until the command has ended.
    let shipped = Shipped::unpack().inspect_err(|error| tracing::debug!("can't unpack macadam-commit-push: {error}"));
    let environment = environment(setting, paths, shipped.as_ref().ok());
    let status = match process::shell(&setting.command, &setting.project.root, &environment) {
        Ok(shell) => follow(shell, limits, deadline, print).await?,
        Err(error) => return Err(format!("it could not be started: {error}")),
    };
    if status.success() { Ok(()) } else { Err(format!("the command failed ({status})")) }
}

/// Passes on the command's output until it ends or reaches a limit.
async fn follow(
    mut shell: Shell,
    limits: TimeLimits,
    mut deadline: watch::Receiver<Duration>,
    print: LineSink<'_>,
) -> Result<ExitStatus, String> {
    let latest = clock::elapsed().saturating_add(limits.run);
    let (out, err) = shell.output();
    let (lines, mut received) = mpsc::channel(16);
    tokio::spawn(read(out, lines.clone()));
    tokio::spawn(read(err, lines));
    let mut ended = None;
    while ended.is_none() {
        let until = latest.min(*deadline.borrow_and_update());
        tokio::select! {
            status = shell.wait() => ended = Some(status.map_err(|error| format!("its end is unknown: {error}"))),
            Some(line) = received.recv() => print(line),
            // Ends the wait early at shutdown or after a signal.
            Ok(()) = deadline.changed() => {}
            () = tokio::time::sleep(until.saturating_sub(clock::elapsed())) => {
                let short = until < latest;
                end(&mut shell, if short { limits.last } else { limits.grace }).await;
                ended = Some(Err(if short {
                    "it was ended before it was done, because macadam was told to stop".to_owned()
                } else {
                    format!("it was ended after {} s", limits.run.as_secs())
                }));
            }
        }
    }
    let remaining = async {
        while let Some(line) = received.recv().await {
            print(line);
        }
    };
    // A process that the command left running may hold the pipe open.
    let _ = tokio::time::timeout(OUTPUT_GRACE, remaining).await;
    ended.unwrap_or_else(|| Err("its end is unknown".to_owned()))
}

/// Sends SIGTERM, waits for `grace`, and kills what is left.
async fn end(shell: &mut Shell, grace: Duration) {
    shell.terminate();
    // A script that the shell waits for may outlive it, and take back what it had begun.
    let _ = tokio::time::timeout(grace, shell.wait_for_all()).await;
    shell.kill();
    let _ = tokio::time::timeout(grace, shell.wait()).await;
}

/// Passes on the lines of one stream. A slow log slows the command down instead of filling memory.
async fn read(stream: Option<impl AsyncRead + Unpin>, lines: mpsc::Sender<String>) {
    let Some(mut stream) = stream else { return };
    let mut cutter = Lines::default();
    let mut buffer = [0; 4096];
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        for line in cutter.push(buffer.get(..read).unwrap_or_default()) {
            if lines.send(line).await.is_err() {
                return;
            }
        }
    }
    if let Some(line) = cutter.end() {
        let _ = lines.send(line).await; // the receiver may be gone
    }
}

#[cfg(test)]
mod tests;
