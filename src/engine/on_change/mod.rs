//! `--on-change COMMAND`: a person's command that runs after the lockfile or outputs changed, for
//! example to commit and push them.
//!
//! For `sync --once` it runs once, at the end ([`run_once`]). For the service ([`OnChange`]) one
//! run goes on at a time, a change during a run makes it run once more, and a failure never stops
//! the service: it is logged, counted and tried again, later each time. The command sees no
//! credential. Read next: [`schedule`] for when it runs, [`shipped`] for the command that ships
//! with Macadam.

mod output;
mod schedule;
mod shipped;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::output::{Allowance, Lines};
use self::schedule::Schedule;
use self::shipped::Shipped;
use crate::engine::workspace::project::Project;
use crate::platform::clock;
use crate::platform::process::{self, Shell, Surroundings};
use crate::telemetry::systemd;

/// A commit and a push take seconds; what takes this long waits for something that never comes, for
/// example a password.
const RUN: Duration = Duration::from_mins(10);

/// From asking it to end until it is killed: git removes its locks meanwhile.
const GRACE: Duration = Duration::from_secs(5);

/// The part of the patience at the end of the service that is kept for the same.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// A run of `sync --once` that gets a signal is over within this time, its command included: GitHub
/// sends the next signal after 7.5 seconds.
const AFTER_SIGNAL: Duration = Duration::from_secs(6);

/// It gets this long in any case: a run that took longer to end has no time to lose what it did.
const LEAST: Duration = Duration::from_secs(3);

/// What it started may hold its output open; nobody waits longer for that.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the command must not see: the credentials, and what systemd tells this process alone.
const HIDDEN: &[&str] =
    &["ROBLOX_API_KEY", "ROBLOX_OAUTH_TOKEN", "CREDENTIALS_DIRECTORY", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// What is run, and with what.
#[derive(Debug, Clone)]
pub(crate) struct CommandSettings {
    /// The command, for the shell.
    pub command: String,
    /// The project, in whose folder it runs.
    pub project: Project,
    /// More variables that it must not see, for example the one that holds the webhook.
    pub hidden: Vec<String>,
}

/// How it went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg(test)]
pub(crate) struct Counts {
    /// Runs that ended well.
    pub succeeded: u64,
    /// Runs that failed, could not be started, or were ended.
    pub failed: u64,
}

/// Receives each line that the command prints.
pub(crate) type LineSink<'a> = &'a mut (dyn FnMut(String) + Send);

/// The command of one service. Dropped, it and what it started are killed; [`OnChange::finish`] is
/// the orderly end.
#[derive(Debug)]
pub(crate) struct OnChange {
    inbox: mpsc::UnboundedSender<RunnerMessage>,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    succeeded: AtomicU64,
    failed: AtomicU64,
    running: AtomicBool,
    /// How often it was said that something changed.
    changes: AtomicU64,
    /// Of these, how many had been said when the last run that ended well began.
    covered: AtomicU64,
    /// A run ended.
    ended: Notify,
}

impl Tally {
    fn is_up_to_date(&self) -> bool {
        let changes = self.changes.load(Ordering::SeqCst);
        changes > 0 && self.covered.load(Ordering::SeqCst) == changes
    }
}

#[derive(Debug)]
enum RunnerMessage {
    Changed(Vec<PathBuf>),
    Hide(String),
    Finish(Duration, oneshot::Sender<()>),
}

/// How long a run may take.
#[derive(Debug, Clone, Copy)]
struct TimeLimits {
    run: Duration,
    /// From asking it to end until it is killed.
    grace: Duration,
    /// The same at the end of the service, taken from its patience.
    last: Duration,
}

impl OnChange {
    /// Stands ready; runs nothing before something changed. Needs a runtime.
    pub(crate) fn start(setting: CommandSettings) -> Self {
        Self::with(setting, TimeLimits { run: RUN, grace: GRACE, last: LAST_GRACE })
    }

    fn with(setting: CommandSettings, limits: TimeLimits) -> Self {
        let (inbox, messages) = mpsc::unbounded_channel();
        let tally = Arc::new(Tally::default());
        tokio::spawn(attend(setting, limits, messages, Arc::clone(&tally)));
        Self { inbox, tally }
    }

    /// These files were written, created or removed; or an earlier process did that, and its run
    /// for it was cut off.
    pub(crate) fn changed(&self, paths: impl IntoIterator<Item = PathBuf>) {
        self.tally.changes.fetch_add(1, Ordering::SeqCst);
        let _ = self.inbox.send(RunnerMessage::Changed(paths.into_iter().collect())); // the task ends with this handle
    }

    /// From now on the command doesn't see this variable.
    pub(crate) fn hide(&self, variable: &str) {
        let _ = self.inbox.send(RunnerMessage::Hide(variable.to_owned())); // as above
    }

    /// Whether a run that ended well began after the last change.
    pub(crate) fn is_up_to_date(&self) -> bool {
        self.tally.is_up_to_date()
    }

    /// Returns after the next end of a run, or at once if one ended since this returned last.
    pub(crate) async fn run_ended(&self) {
        self.tally.ended.notified().await;
    }

    /// How it went so far.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> Counts {
        let Tally { succeeded, failed, .. } = &*self.tally;
        Counts { succeeded: succeeded.load(Ordering::Relaxed), failed: failed.load(Ordering::Relaxed) }
    }

    /// Whether it runs now.
    #[cfg(test)]
    pub(crate) fn is_running(&self) -> bool {
        self.tally.running.load(Ordering::Relaxed)
    }

    /// The end of the service: what runs may go on, and what changed is still told, until
    /// `patience` is over; then it is ended. Returns whether a run that ended well began after
    /// the last change.
    pub(crate) async fn finish(self, patience: Duration) -> bool {
        let (done, finished) = oneshot::channel();
        if self.inbox.send(RunnerMessage::Finish(patience, done)).is_ok() {
            let _ = finished.await;
        }
        self.tally.is_up_to_date()
    }
}

/// The task behind the handle.
async fn attend(
    mut setting: CommandSettings,
    limits: TimeLimits,
    mut messages: mpsc::UnboundedReceiver<RunnerMessage>,
    tally: Arc<Tally>,
) {
    let mut heard: u64 = 0;
    let mut schedule = Schedule::default();
    let mut allowance = Allowance::default();
    // When a run must be over at the latest; moved forward once, by the end of the service.
    let (last, deadline) = watch::channel(Duration::MAX);
    let mut finishing: Option<oneshot::Sender<()>> = None;
    loop {
        if let Some(paths) = schedule.begin(clock::elapsed()) {
            tally.running.store(true, Ordering::Relaxed);
            let covered = heard;
            let mut hidden = Vec::new();
            let succeeded = {
                let run = logged(&setting, &paths, limits, deadline.clone(), &mut allowance);
                tokio::pin!(run);
                loop {
                    tokio::select! {
                        succeeded = &mut run => break succeeded,
                        message = messages.recv(), if finishing.is_none() => match message {
                            Some(RunnerMessage::Changed(paths)) => {
                                heard += 1;
                                schedule.changed(paths);
                            }
                            Some(RunnerMessage::Hide(variable)) => hidden.push(variable),
                            Some(RunnerMessage::Finish(patience, done)) => {
                                let _ = last.send(end_of(patience, limits)); // this task holds a receiver
                                finishing = Some(done);
                            }
                            // The service is gone without an order: `run` is dropped, which kills.
                            None => return,
                        },
                    }
                }
            };
            setting.hidden.append(&mut hidden);
            tally.running.store(false, Ordering::Relaxed);
            if succeeded {
                tally.covered.store(covered, Ordering::SeqCst);
            }
            tally.ended.notify_one();
            let count = if succeeded { &tally.succeeded } else { &tally.failed };
            count.fetch_add(1, Ordering::Relaxed);
            schedule.ended(clock::elapsed(), succeeded);
            if let Some(due) = schedule.due().filter(|_| !succeeded && finishing.is_none()) {
                let seconds = due.saturating_sub(clock::elapsed()).as_secs();
                tracing::info!(failures = schedule.failures(), "on-change: the next try is in {seconds} s");
            }
            // What failed at the very end waits for the next start.
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
                    heard += 1;
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
        let _ = done.send(()); // nobody may wait
    }
}

/// When what runs is asked to end, so that it is gone when `patience` is over.
fn end_of(patience: Duration, limits: TimeLimits) -> Duration {
    clock::elapsed().saturating_add(patience.saturating_sub(limits.last))
}

/// Runs the command once for `sync --once`, and hands each line that it prints to `said`.
///
/// It never takes longer than ten minutes, and once `signalled` holds a time ([`clock::elapsed`])
/// the command and all that it started are gone [`AFTER_SIGNAL`] later, or [`LEAST`] after it
/// began.
///
/// # Errors
/// Why it did not end well, for a person: lower case, no full stop.
pub(crate) async fn run_once(
    setting: &CommandSettings,
    paths: &[PathBuf],
    mut signalled: watch::Receiver<Option<Duration>>,
    said: LineSink<'_>,
) -> Result<(), String> {
    let limits = TimeLimits { run: RUN, grace: GRACE, last: LAST_GRACE };
    let least = clock::elapsed().saturating_add(LEAST);
    let ends = |at: Duration| at.saturating_add(AFTER_SIGNAL).max(least);
    let asked = |at: Option<Duration>| at.map_or(Duration::MAX, |at| ends(at).saturating_sub(LAST_GRACE));
    let (last, deadline) = watch::channel(asked(*signalled.borrow_and_update()));
    let run = run(setting, paths, limits, deadline, said);
    tokio::pin!(run);
    loop {
        tokio::select! {
            ended = &mut run => return ended,
            changed = signalled.changed() => {
                if changed.is_err() {
                    return run.await; // nobody is left who could shorten it
                }
                let _ = last.send(asked(*signalled.borrow_and_update())); // `run` may be over
            }
        }
    }
}

/// Whether the command could publish what it will be told: asked of the one that ships inside,
/// before anything is uploaded. Others can't be asked.
///
/// # Errors
/// Why it could not: lower case, no full stop; what is in the way was handed to `said`.
pub(crate) async fn may_publish(
    setting: &CommandSettings,
    paths: &[PathBuf],
    signalled: watch::Receiver<Option<Duration>>,
    said: LineSink<'_>,
) -> Result<(), String> {
    let Some(command) = shipped::check_of(&setting.command) else { return Ok(()) };
    run_once(&CommandSettings { command, ..setting.clone() }, paths, signalled, said).await
}

/// One run of the service's command, told in the log. Returns whether it went well.
async fn logged(
    setting: &CommandSettings,
    paths: &[PathBuf],
    limits: TimeLimits,
    deadline: watch::Receiver<Duration>,
    allowance: &mut Allowance,
) -> bool {
    let begun = clock::elapsed();
    let mut log = |line: String| {
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
    ended.is_ok()
}

/// One run. The error says why it did not end well.
async fn run(
    setting: &CommandSettings,
    paths: &[PathBuf],
    limits: TimeLimits,
    deadline: watch::Receiver<Duration>,
    said: LineSink<'_>,
) -> Result<(), String> {
    // Kept until the command is over.
    let shipped = Shipped::unpack().inspect_err(|error| tracing::debug!("can't unpack macadam-commit-push: {error}"));
    let surroundings = surroundings(setting, paths, shipped.as_ref().ok());
    let status = match process::shell(&setting.command, &setting.project.root, &surroundings) {
        Ok(shell) => follow(shell, limits, deadline, said).await?,
        Err(error) => return Err(format!("it could not be started: {error}")),
    };
    if status.success() { Ok(()) } else { Err(format!("the command failed ({status})")) }
}

/// Hands on what the command says until it is over, or takes too long.
async fn follow(
    mut shell: Shell,
    limits: TimeLimits,
    mut deadline: watch::Receiver<Duration>,
    say: LineSink<'_>,
) -> Result<ExitStatus, String> {
    let latest = clock::elapsed().saturating_add(limits.run);
    let (out, err) = shell.output();
    let (lines, mut said) = mpsc::channel(16);
    tokio::spawn(read(out, lines.clone()));
    tokio::spawn(read(err, lines));
    let mut ended = None;
    while ended.is_none() {
        let until = latest.min(*deadline.borrow_and_update());
        tokio::select! {
            status = shell.wait() => ended = Some(status.map_err(|error| format!("its end is unknown: {error}"))),
            Some(line) = said.recv() => say(line),
            // Ends the wait early when the service, or the run, begins to end.
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
    let rest = async {
        while let Some(line) = said.recv().await {
            say(line);
        }
    };
    // What the command left running may hold the pipe open.
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    ended.unwrap_or_else(|| Err("its end is unknown".to_owned()))
}

/// Asks, waits a little, and kills what is left.
async fn end(shell: &mut Shell, grace: Duration) {
    shell.terminate();
    let _ = tokio::time::timeout(grace, shell.wait()).await;
    shell.kill();
    let _ = tokio::time::timeout(grace, shell.wait()).await;
}

/// Hands on the lines of one stream; a slow log slows the command down instead of filling the
/// memory.
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
        let _ = lines.send(line).await; // nobody may listen any more
    }
}

fn surroundings(setting: &CommandSettings, paths: &[PathBuf], shipped: Option<&Shipped>) -> Surroundings {
    let CommandSettings { command: _, project, hidden } = setting;
    let mut changed = OsString::new();
    for path in paths {
        if !changed.is_empty() {
            // Not a space: that is in many file names, a line break in none that a person made.
            changed.push("\n");
        }
        changed.push(absolute(path));
    }
    let mut with = vec![
        ("MACADAM_CHANGED", changed),
        ("MACADAM_MANIFEST", absolute(&project.manifest).into()),
        ("MACADAM_LOCKFILE", absolute(&project.lockfile).into()),
    ];
    with.extend(shipped.map(Shipped::variables).into_iter().flatten());
    Surroundings {
        with,
        without: HIDDEN
            .iter()
            .chain(&systemd::NOT_FOR_CHILDREN)
            .map(|name| (*name).to_owned())
            .chain(hidden.iter().cloned())
            .collect(),
    }
}

/// The command may change its folder before it looks at a path.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_: io::Error| path.to_owned())
}

#[cfg(test)]
mod tests;
