//! The service: reconciles at start, then after every settled change of a file or the manifest, and
//! at least every interval, until a signal.
//!
//! One loop drives the [`Reconciler`]. Events, timers and requests tell it *when* to act; the plan
//! alone says *what* to do. The loop waits in one place, and never begins anything while git is
//! busy.
//!
//! Read next: [`super::reconciler`], then [`due`] for what is due when, [`pass`] for one pass,
//! [`requests`] for requests of other commands, [`file_monitor`] and [`rescan`] for the disk,
//! [`waits`] for git at work, [`quiet`] for the interval while nothing changes, [`results`] for work
//! that ended, [`scan_schedule`] for the order of fetches, [`outputs`] for the game's files,
//! [`publishing`] for the command of `--on-change`, [`key`] for a refused key, [`end`] for the
//! shutdown, [`observability`] for operators.

mod drift_scan;
mod due;
mod end;
mod file_monitor;
mod key;
pub(crate) mod observability;
mod outputs;
mod pass;
mod publishing;
mod quiet;
mod requests;
mod rescan;
mod results;
mod scan_schedule;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::due::{Needs, Times};
use self::file_monitor::FileMonitor;
use self::observability::{DEADLINE, Observability};
use self::outputs::OutputReporter;
use self::publishing::UploadedFiles;
use self::quiet::QuietPlan;
use self::requests::{ActiveRequest, FollowedRequest};
use self::scan_schedule::ScanSchedule;
use crate::cloud::client::Client;
use crate::cloud::secret::Credential;
use crate::engine::commands::request_queue::RequestQueue;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::on_change::{MayPublish, OnChange};
use crate::engine::reconcile::reconciler::Reconciler;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::reconcile::workers::End;
use crate::engine::report::progress::{Listener, WaitReason};
use crate::engine::workspace::gather::{GatherError, read_manifest};
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::required_branch::OffBranch;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::manifest::{Diagnostic, Manifest};
use crate::model::minute::Minute;
use crate::model::missing_lockfile::Lost;
use crate::platform::clock;
use crate::state::StateError;
use crate::state::stoppage::{self, StoppedWork};

/// How often to check whether git is done, where no event tells.
const GIT_AGAIN: Duration = Duration::from_secs(2);

/// How often to scan everything while watching is degraded.
const POLL_EVERY: Duration = Duration::from_secs(30);

/// The most bytes of lockfile that are written a second. The file is one, however little changed, so
/// that a large one waits for more changes.
const LOCKFILE_BYTES_A_SECOND: u64 = 4 << 20;

/// While work is in progress, the pause after a plan is this many times as long as the plan took.
/// In a large project a plan takes a while, and many outcomes follow one another closely.
const PAUSE_PER_PLAN: u32 = 9;

/// The longest sleep of the loop, so that its supervisor sees progress.
const PULSE: Duration = Duration::from_secs(15);

/// A command to the service from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceCommand {
    /// Shut down in order.
    Stop,
    /// Read the key again, and scan everything.
    Reload,
}

/// The settings of a service.
pub(crate) struct ServiceSettings {
    /// The number of files uploaded at once.
    pub uploads: usize,
    /// The longest time between two full scans.
    pub interval: Duration,
    /// Hold all writes on any other branch.
    pub branch: Option<String>,
    /// Reads the key again.
    pub key: Box<dyn Fn() -> Result<Credential, String> + Send>,
    /// How a person changes it.
    pub key_change: KeyChange,
    /// Receives the events of requests.
    pub listener: Listener,
}

/// How a person gives a running service another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyChange {
    /// The rest of a sentence.
    pub how: String,
    /// The service can't read the new key by itself: the old one is in its environment.
    pub needs_restart: bool,
}

/// Why the service could not start or continue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The manifest can't be used at the start.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// The state could not be read or written.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
    /// The lockfile could not be kept.
    #[error(transparent)]
    Lockfile(#[from] KeepError),
    /// Requests could not be received.
    #[error("take requests")]
    Requests(#[from] StateError),
    /// The state was deleted or replaced, and another process holds it by now.
    #[error("{message}")]
    Taken {
        /// The failure.
        message: String,
        /// The next step.
        hint: String,
    },
    /// A defect of Macadam.
    #[error("{message}")]
    Defect {
        /// The failure.
        message: String,
    },
}

struct Service<'a> {
    reconciler: Reconciler<'a>,
    setting: ServiceSettings,
    observability: Observability,
    on_change: Option<OnChange>,
    /// Triggered as soon as shutdown is requested, whatever the loop waits for.
    ending: Shutdown,
    file_monitor: FileMonitor,
    queue: RequestQueue,
    /// The request of another command that is in progress; one at a time.
    request: Option<ActiveRequest>,
    /// The requests that wait for steps of the plan.
    followed: Vec<FollowedRequest>,
    needs: Needs,
    times: Times,
    scan_schedule: ScanSchedule,
    /// The manifest of the start, until the first scan.
    first: Option<(Manifest, String)>,
    /// A scan was just taken over, and what follows from it comes before the next one.
    scanned: bool,
    /// The last scan was to look at every file.
    scanned_all: bool,
    /// What the last scan warned of: it is told again only after it was gone.
    warned: Vec<Diagnostic>,
    /// Why the current manifest is not in force.
    invalid: Option<String>,
    /// Why the lockfile can't be used.
    unreadable: Option<String>,
    /// The last plan of everything, if it had nothing to do.
    quiet: Option<QuietPlan>,
    /// The last plan was made without a lockfile.
    lockfile_was_missing: bool,
    /// Why nothing new was uploaded at that plan, as the log said.
    told_lost: Option<Lost>,
    /// Reports the outputs' state.
    outputs: OutputReporter,
    /// Another branch is checked out than the required one, as it stands beside the state.
    off_branch: Option<OffBranch>,
    /// Why the command of `--on-change` can't publish from here, as it stands beside the state.
    unpublishable: Option<String>,
    /// What was uploaded and not yet published.
    uploaded: UploadedFiles,
    /// Why nothing is written: the key was refused.
    refused: Option<String>,
    /// Why nothing is uploaded and what to do about it, as it stands beside the state.
    uploads_stop: Option<(String, String)>,
    /// Why the remote was failing when this was last reported.
    failing: Option<WaitReason>,
}

/// Runs the service until shutdown.
///
/// # Errors
/// When manifest, state or lockfile can't be used at the start, or the state can't be written
/// later.
pub(crate) async fn serve(
    session: &mut Session,
    client: Arc<Client>,
    setting: ServiceSettings,
    observability: Observability,
    on_change: Option<OnChange>,
    commands: mpsc::UnboundedReceiver<ServiceCommand>,
    ending: Shutdown,
) -> Result<(), ServiceError> {
    let context = context(session, &client, &setting).await?;
    let (manifest, text) = read_manifest(&session.project)?;
    let mut file_monitor = FileMonitor::new();
    let now = clock::elapsed();
    // Armed before the first scan, so that no change is missed in between.
    tokio::task::block_in_place(|| file_monitor.watch(&session.project, manifest.selection()));
    let queue = RequestQueue::open(session);
    tokio::task::block_in_place(|| publishing::resume(session, &manifest, on_change.as_ref()));
    let times = Times {
        interval: now + setting.interval,
        git: None,
        fetch: None,
        plan: None,
        outcomes: None,
        observed: None,
        plan_rest: now,
        lockfile_begun: now,
        lockfile_rest: now,
        pulse: now,
        quiet: None,
    };
    let needs = Needs { scan: true, all: true, ..Needs::default() };
    let uploads_stop = tokio::task::block_in_place(|| stoppage::read(&session.project.state, StoppedWork::Uploads));
    let uploads_stop = uploads_stop.map(|stop| (stop.message, stop.hint));
    let mut reconciler = Reconciler::new(session, context, setting.interval);
    reconciler.find_parts();
    let mut service = Service {
        reconciler,
        setting,
        observability,
        on_change,
        ending,
        file_monitor,
        queue,
        request: None,
        followed: Vec::new(),
        needs,
        times,
        scan_schedule: ScanSchedule::default(),
        first: Some((manifest, text)),
        scanned: false,
        scanned_all: false,
        warned: Vec::new(),
        invalid: None,
        unreadable: None,
        quiet: None,
        lockfile_was_missing: false,
        told_lost: None,
        outputs: OutputReporter::default(),
        off_branch: None,
        unpublishable: None,
        uploaded: UploadedFiles::default(),
        refused: None,
        uploads_stop,
        failing: None,
    };
    let ended = service.run(commands).await;
    service.end(ended).await
}

async fn context(
    session: &Session,
    client: &Arc<Client>,
    setting: &ServiceSettings,
) -> Result<ExecutionContext, StateCacheError> {
    let (listener, stop) = (setting.listener.clone(), Shutdown::default());
    let context = ExecutionContext::new(session, Arc::clone(client), listener, stop, setting.uploads).await?;
    // At any time somebody may save a file that players have.
    context.throttle.keep_reserve();
    // The workers catch a panic, so that it doesn't affect other addresses.
    Ok(context.for_a_service())
}

/// The reason for a wakeup of the loop.
enum Woken {
    Command(ServiceCommand),
    Hints(Vec<crate::files::Hint>),
    Ended(Vec<End>),
    Request,
    Time,
}

impl Service<'_> {
    async fn run(&mut self, mut commands: mpsc::UnboundedReceiver<ServiceCommand>) -> Result<(), ServiceError> {
        loop {
            self.act().await?;
            self.keep_uploads_stop();
            let failing_since = self.on_change_fails_since().map(|at| at.as_second().unsigned_abs());
            self.observability.metrics.set_on_change_failing(failing_since);
            // The watchdog takes a disk that hangs for a loop that hangs.
            if !self.reconciler.hangs(clock::elapsed(), DEADLINE) {
                self.observability.progress(&self.health());
            }
            let wait = self.next_time().saturating_sub(clock::elapsed());
            let woken = tokio::select! {
                command = commands.recv() => Woken::Command(command.unwrap_or(ServiceCommand::Stop)),
                ends = self.reconciler.next() => Woken::Ended(ends),
                hints = self.file_monitor.hints() => Woken::Hints(hints),
                () = self.queue.woken() => Woken::Request,
                () = run_ended(self.on_change.as_ref()) => Woken::Time,
                () = tokio::time::sleep(wait) => Woken::Time,
            };
            match woken {
                Woken::Command(ServiceCommand::Stop) => return Ok(()),
                Woken::Command(ServiceCommand::Reload) => self.reload().await?,
                Woken::Hints(hints) => self.hinted(hints),
                Woken::Ended(ends) => self.take_in(ends).await?,
                Woken::Request => self.needs.requests = true,
                Woken::Time => {}
            }
        }
    }

    /// Does the work that is needed and allowed now.
    async fn act(&mut self) -> Result<(), ServiceError> {
        self.secure().await?;
        self.times.pulse = clock::elapsed() + PULSE;
        // Everything else may read or write the lockfile.
        if self.reconciler.writing.is_some() {
            return Ok(());
        }
        if std::mem::take(&mut self.needs.lockfile_hint) {
            let is_ours = self.unreadable.is_none() && self.reconciler.session.lockfile.is_untouched();
            self.needs.scan |= !is_ours;
        }
        self.note_published().await?;
        let now = clock::elapsed();
        let failing = self.reconciler.context.throttle.outage();
        match (std::mem::replace(&mut self.failing, failing), failing) {
            (None, Some(reason)) => tracing::warn!("{}: {reason}", reason.cause()),
            (Some(_), None) => tracing::info!("Roblox answers again"),
            _ => {}
        }
        // Watching may have become degraded since the interval began.
        self.times.interval = self.times.interval.min(now + self.interval());
        if now >= self.times.interval {
            self.times.interval = now + self.interval();
            tokio::task::block_in_place(|| self.file_monitor.recheck());
            self.observability.metrics.rescan("interval");
            self.begin_interval();
            self.reconciler.context.reset_backoff();
            self.reconciler.workers.reset_backoff();
            if self.refused.is_some() {
                self.try_key_again().await?;
            }
            if self.refused.is_none() {
                self.reconciler.poll_overdue();
            }
        }
        self.recover().await?;
        self.answer_requests().await?;
        self.needs.plan |= self.times.plan.take_if(|at| *at <= now).is_some();
        if self.times.outcomes.take_if(|at| *at <= now).is_some() {
            self.needs.plan_for_outcomes();
        }
        if self.times.observed.take_if(|at| *at <= now).is_some() {
            self.needs.touched.addresses.append(&mut self.needs.observed);
        }
        self.needs.plan |=
            self.reconciler.workers.take_expired_backoff(now) || self.scan_schedule.take_archiving(clock::now());
        self.needs.plan |= self.followed.iter().filter_map(FollowedRequest::due).any(|due| due <= now);
        if self.file_monitor.next(now).is_some_and(|at| at <= now) {
            let project = self.reconciler.session.project.clone();
            self.needs.files.extend(tokio::task::block_in_place(|| self.file_monitor.settle(&project)));
        }
        let due = self.needs.scan
            || self.needs.look
            || !self.needs.files.is_empty()
            || !self.needs.touched.is_empty()
            || self.needs.plan
            || self.needs.begin
            || self.needs.requests
            || self.request.as_ref().is_some_and(ActiveRequest::is_due)
            || self.needs.lockfile.is_some_and(|at| at <= now)
            || self.may_write_outputs();
        if due && self.must_wait() {
            self.times.git = Some(now + GIT_AGAIN);
            // What was scanned or planned before is outdated when git is done.
            self.needs.scan |= std::mem::take(&mut self.scanned)
                | std::mem::take(&mut self.needs.begin)
                | !std::mem::take(&mut self.needs.files).is_empty()
                | !std::mem::take(&mut self.needs.touched).is_empty();
            // Waiting for git may take days, and is not a failed start.
            if self.may_publish() != MayPublish::Asking {
                self.observability.ready();
            }
            return Ok(());
        }
        self.times.git = None;
        // Nothing else begins while files are scanned: what is wanted may be outdated.
        if self.reconciler.scanning.is_some() {
            return Ok(());
        }
        let was_scanned = std::mem::take(&mut self.scanned);
        if !was_scanned {
            self.scan_settled().await?;
            // Git began to work meanwhile.
            if self.times.git.is_some() {
                return Ok(());
            }
        }
        if !was_scanned && self.look() {
            return Ok(());
        }
        if !was_scanned && std::mem::take(&mut self.needs.scan) {
            self.needs.files.clear();
            self.scan().await?;
            // Git began to work meanwhile, or the scan is in progress.
            if self.times.git.is_some() || self.reconciler.scanning.is_some() {
                return Ok(());
            }
        }
        let is_scanned = self.reconciler.wanted.manifest.is_some();
        if is_scanned {
            self.take_requests().await?;
        }
        let begin = std::mem::take(&mut self.needs.begin);
        let touched = std::mem::take(&mut self.needs.touched);
        let mut all = std::mem::take(&mut self.needs.plan);
        // A plan of everything says how far the followed requests are.
        all |= !touched.is_empty() && !self.followed.is_empty();
        let may_plan = is_scanned && self.unreadable.is_none();
        if !touched.is_empty() && may_plan && !all {
            all = !self.plan_touched(&touched).await?;
        }
        if all && may_plan {
            self.plan().await?;
        } else if begin {
            self.begin();
        }
        if self.needs.lockfile.is_some_and(|at| at <= clock::elapsed()) {
            self.write_lockfile().await?;
        }
        if self.may_write_outputs() {
            self.write_outputs().await?;
        }
        self.announce_changes();
        if self.times.fetch.is_some_and(|at| at <= now) {
            self.scan_drift();
        }
        Ok(())
    }

    /// Checks that the state is still the one at its path. If it was written anew, everything is
    /// scanned again: another process may have been there.
    async fn secure(&mut self) -> Result<(), ServiceError> {
        if self.reconciler.secure().await? {
            // The wakeup socket was in that folder too, and the lockfile may be gone with it.
            self.queue = RequestQueue::open(self.reconciler.session);
            (self.needs.scan, self.needs.all, self.needs.requests) = (true, true, true);
            self.scanned = false;
            self.needs.lockfile = Some(clock::elapsed());
        }
        Ok(())
    }

    fn health(&self) -> observability::LoopStatus {
        let mut degraded = Vec::new();
        degraded.extend(self.refused.as_ref().map(|_| "the key was refused".to_owned()));
        let is_forbidden = self.refused.is_none() && self.reconciler.context.uploads_stop().is_some();
        degraded.extend(is_forbidden.then(|| "the key has no access to an owner".to_owned()));
        degraded.extend(self.unreadable.as_ref().map(|_| "the lockfile can't be used".to_owned()));
        degraded.extend(
            self.on_change_fails_since().map(|at| format!("the command of --on-change fails since {}", Minute(at))),
        );
        degraded.extend(self.observability.waits_long().then(|| "git's work here doesn't end".to_owned()));
        degraded.extend(self.off_branch.as_ref().map(|_| "another branch is checked out".to_owned()));
        degraded.extend(self.unpublishable.as_ref().map(|_| "--on-change can't publish from here".to_owned()));
        degraded.extend(self.failing.map(|reason| reason.cause().to_owned()));
        degraded.extend(self.invalid.as_ref().map(|_| "the manifest is not valid".to_owned()));
        degraded.extend(self.outputs.is_failing().then(|| "an output can't be written".to_owned()));
        degraded.extend(self.file_monitor.degraded().map(|_| "files are polled, not watched".to_owned()));
        observability::LoopStatus {
            assets: self.reconciler.wanted.desired.assets.len(),
            in_progress: self.reconciler.workers.in_progress().len(),
            degraded,
        }
    }
}

/// Waits for the next end of the command's run; for ever without a command.
async fn run_ended(on_change: Option<&OnChange>) {
    match on_change {
        Some(on_change) => on_change.run_ended().await,
        None => std::future::pending().await,
    }
}
