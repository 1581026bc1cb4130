//! The service: reconciles at start, then after every settled change of a file or the manifest, and
//! at least every interval, until a signal.
//!
//! One loop owns everything: it scans, plans, hands out steps and records outcomes. Events, timers
//! and requests tell it *when* to act; the plan alone says *what* to do. The loop must never wait
//! without also receiving results of workers, and never begin anything while git is busy.
//!
//! Read next: [`reconcile`] for one pass, [`workers`] for the work in progress, [`requests`] for
//! requests of other commands, [`file_monitor`] and [`rescan`] for the disk, [`scan_schedule`] for
//! the order of fetches, [`outputs`] for the game's files, [`key`] for a refused key,
//! [`observability`] for operators.

mod drift_scan;
mod file_monitor;
mod key;
pub(crate) mod observability;
mod outputs;
mod reconcile;
mod requests;
mod rescan;
mod scan_schedule;
mod workers;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::drift_scan::until;
use self::file_monitor::FileMonitor;
use self::observability::Observability;
use self::outputs::OutputReporter;
use self::requests::ActiveRequest;
use self::scan_schedule::ScanSchedule;
use self::workers::{End, WorkerResult, Workers};
use crate::cloud::client::Client;
use crate::cloud::secret::Credential;
use crate::engine::commands::request_queue::RequestQueue;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::on_change::OnChange;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::Listener;
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::gather::{GatherError, read_manifest};
use crate::engine::workspace::git;
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::outputs::ours;
use crate::engine::workspace::session::{Session, recover};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::platform::clock;
use crate::state::StateError;

/// The lockfile is written at most this long after an outcome.
const LOCKFILE_EVERY: Duration = Duration::from_secs(5);

/// How often to check whether git is done, where no event tells.
const GIT_AGAIN: Duration = Duration::from_secs(2);

/// How often to scan everything while watching is degraded.
const POLL_EVERY: Duration = Duration::from_secs(30);

/// How long requests in flight may take at shutdown. Supervisors promise 10 seconds; the remaining
/// 3 are for writing state, lockfile and outputs.
const DRAIN: Duration = Duration::from_secs(7);

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
    /// Receives the events of requests.
    pub listener: Listener,
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

/// The work that is needed next.
#[derive(Debug, Default)]
struct Needs {
    scan: bool,
    /// Scan every file, since no events tell of changes.
    all: bool,
    plan: bool,
    requests: bool,
    /// Addresses whose worker panicked: their attempts are recovered from the journal.
    recovery: BTreeSet<Address>,
    /// When to write the lockfile.
    lockfile: Option<Duration>,
    /// Check the outputs, once the lockfile is written.
    outputs: bool,
}

/// When periodic work is due.
#[derive(Debug)]
struct Times {
    interval: Duration,
    git: Option<Duration>,
    /// The next fetch of an asset; `None` if there is none.
    fetch: Option<Duration>,
    /// The next plan for changes that can wait.
    plan: Option<Duration>,
    pulse: Duration,
}

/// Ends a wait that runs alongside the workers.
struct Interrupts<'a> {
    ending: &'a Shutdown,
    stop: &'a Shutdown,
    pause: Duration,
}

struct Service<'a> {
    session: &'a mut Session,
    client: Arc<Client>,
    context: ExecutionContext,
    setting: ServiceSettings,
    observability: Observability,
    on_change: Option<OnChange>,
    /// Triggered as soon as shutdown is requested, whatever the loop waits for.
    ending: Shutdown,
    workers: Workers,
    file_monitor: FileMonitor,
    queue: RequestQueue,
    /// The state's generation at the last check, see
    /// [`StateCache::generation`](crate::engine::workspace::state_cache::StateCache::generation).
    generation: u64,
    /// The request of another command that is in progress; one at a time.
    request: Option<ActiveRequest>,
    needs: Needs,
    times: Times,
    scan_schedule: ScanSchedule,
    /// The last valid manifest, with its text.
    manifest: Option<(Manifest, String)>,
    /// The manifest of the start, until the first scan.
    first: Option<(Manifest, String)>,
    desired: Arc<Desired>,
    in_manifest: BTreeSet<Address>,
    /// Why the current manifest is not in force.
    invalid: Option<String>,
    /// Why the lockfile can't be used.
    unreadable: Option<String>,
    /// The last plan was made without a lockfile.
    lockfile_was_missing: bool,
    /// Reports the outputs' state.
    outputs: OutputReporter,
    /// Why nothing is written: the key was refused.
    refused: Option<String>,
    checked_key: bool,
    /// The remote was failing when this was last reported.
    failing: bool,
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
    if let Some(on_change) = &on_change {
        manifest.webhook_env().into_iter().for_each(|variable| on_change.hide(variable));
        // In an earlier process the command failed, or was cut off.
        if session.lockfile.is_untold() {
            let outputs = tokio::task::block_in_place(|| ours(&session.project, &manifest));
            on_change.changed(std::iter::once(session.project.lockfile.clone()).chain(outputs));
        }
    }
    let times = Times { interval: now + setting.interval, git: None, fetch: None, plan: None, pulse: now };
    let needs = Needs { scan: true, all: true, ..Needs::default() };
    let mut service = Service {
        session,
        client,
        context,
        setting,
        observability,
        on_change,
        ending,
        workers: Workers::default(),
        file_monitor,
        queue,
        generation: 0,
        request: None,
        needs,
        times,
        scan_schedule: ScanSchedule::default(),
        manifest: None,
        first: Some((manifest, text)),
        desired: Arc::default(),
        in_manifest: BTreeSet::new(),
        invalid: None,
        unreadable: None,
        lockfile_was_missing: false,
        outputs: OutputReporter::default(),
        refused: None,
        checked_key: false,
        failing: false,
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
    // The workers catch a panic, so that it doesn't affect other addresses.
    Ok(context.propagating_panics())
}

/// The reason for a wakeup of the loop.
enum Woken {
    Command(ServiceCommand),
    Hints(Vec<crate::files::Hint>),
    Ended(End),
    Request,
    Time,
}

impl Service<'_> {
    async fn run(&mut self, mut commands: mpsc::UnboundedReceiver<ServiceCommand>) -> Result<(), ServiceError> {
        loop {
            self.act().await?;
            self.observability.progress(&self.health());
            let wait = self.next_time().saturating_sub(clock::elapsed());
            let pause = self.setting.interval;
            let woken = tokio::select! {
                command = commands.recv() => Woken::Command(command.unwrap_or(ServiceCommand::Stop)),
                ended = self.workers.next(clock::elapsed, pause) => Woken::Ended(ended),
                hints = self.file_monitor.hints() => Woken::Hints(hints),
                () = self.queue.woken() => Woken::Request,
                () = run_ended(self.on_change.as_ref()) => Woken::Time,
                () = tokio::time::sleep(wait) => Woken::Time,
            };
            match woken {
                Woken::Command(ServiceCommand::Stop) => return Ok(()),
                Woken::Command(ServiceCommand::Reload) => self.reload().await?,
                Woken::Hints(hints) => self.hinted(hints),
                Woken::Ended(ended) => self.ended(ended)?,
                Woken::Request => self.needs.requests = true,
                Woken::Time => {}
            }
        }
    }

    /// Does the work that is needed and allowed now.
    async fn act(&mut self) -> Result<(), ServiceError> {
        self.secure().await?;
        let is_announced =
            self.outputs.changed.is_empty() && self.on_change.as_ref().is_some_and(OnChange::is_up_to_date);
        if is_announced && self.session.lockfile.is_untold() {
            self.session.lockfile.told(&self.session.state_cache).await?;
        }
        let now = clock::elapsed();
        self.times.pulse = now + PULSE;
        let failing = self.context.throttle.is_failing();
        match (std::mem::replace(&mut self.failing, failing), failing) {
            (false, true) => tracing::warn!("Roblox is failing: waiting for it to recover"),
            (true, false) => tracing::info!("Roblox answers again"),
            _ => {}
        }
        // Watching may have become degraded since the interval began.
        self.times.interval = self.times.interval.min(now + self.interval());
        if now >= self.times.interval {
            self.times.interval = now + self.interval();
            tokio::task::block_in_place(|| self.file_monitor.recheck());
            self.observability.metrics.rescan("interval");
            (self.needs.scan, self.needs.all) = (true, true);
            self.context.reset_backoff();
            self.workers.reset_backoff();
            if self.refused.is_some() {
                self.try_key_again().await?;
            }
            self.ask_set_aside().await?;
        }
        self.recover().await?;
        self.answer_request().await?;
        self.needs.plan |= self.times.plan.take_if(|at| *at <= now).is_some();
        self.needs.plan |= self.workers.take_expired_backoff(now) || self.scan_schedule.take_archiving(clock::now());
        if self.file_monitor.next(now).is_some_and(|at| at <= now) {
            let project = self.session.project.clone();
            self.needs.scan |= tokio::task::block_in_place(|| self.file_monitor.settle(&project));
        }
        let due = self.needs.scan
            || self.needs.plan
            || self.needs.requests
            || self.request.as_ref().is_some_and(|request| !request.is_begun())
            || self.needs.lockfile.is_some_and(|at| at <= now)
            || self.may_write_outputs();
        if due && self.must_wait() {
            self.times.git = Some(now + GIT_AGAIN);
            // Waiting for git may take days, and is not a failed start.
            self.observability.ready();
            return Ok(());
        }
        self.times.git = None;
        if std::mem::take(&mut self.needs.scan) {
            self.scan().await?;
            // Git began to work during the scan.
            if self.times.git.is_some() {
                return Ok(());
            }
        }
        if self.manifest.is_some() {
            self.take_requests().await?;
        }
        if std::mem::take(&mut self.needs.plan) && self.manifest.is_some() && self.unreadable.is_none() {
            self.plan().await?;
        }
        if self.needs.lockfile.is_some_and(|at| at <= clock::elapsed()) {
            self.write_lockfile().await?;
        }
        if self.may_write_outputs() {
            self.write_outputs().await?;
        }
        self.announce_changes();
        if self.times.fetch.is_some_and(|at| at <= now) {
            self.scan_drift().await?;
        }
        Ok(())
    }

    /// Checks that the state is still the one at its path. If it was written anew, everything is
    /// scanned again: another process may have been there.
    async fn secure(&mut self) -> Result<(), ServiceError> {
        self.session.state_cache.secure().await?;
        let generation = self.session.state_cache.generation();
        if std::mem::replace(&mut self.generation, generation) != generation {
            // The wakeup socket was in that folder too, and the lockfile may be gone with it.
            self.queue = RequestQueue::open(self.session);
            (self.needs.scan, self.needs.all, self.needs.requests) = (true, true, true);
            self.needs.lockfile = Some(clock::elapsed());
        }
        Ok(())
    }

    fn interval(&self) -> Duration {
        if self.file_monitor.degraded().is_some() {
            POLL_EVERY.min(self.setting.interval)
        } else {
            self.setting.interval
        }
    }

    /// Returns whether git, or the checkout's branch, forbids to act now.
    fn must_wait(&mut self) -> bool {
        let root = &self.session.project.root;
        let why = git::busy(root).or_else(|| {
            let wanted = self.setting.branch.as_ref()?;
            match git::branch(root) {
                Some(branch) if branch.is(wanted) => None,
                Some(branch) => Some(format!("the checkout is on {branch}, not on {wanted}")),
                None => Some(format!("there is no git checkout, and so no branch {wanted}")),
            }
        });
        self.observability.waits_for(why.clone());
        why.is_some()
    }

    fn next_time(&self) -> Duration {
        let now = clock::elapsed();
        let times = [
            Some(self.times.interval),
            Some(self.times.pulse),
            self.times.fetch.filter(|_| self.times.git.is_none()),
            self.times.plan,
            self.scan_schedule.archiving().map(|at| now + until(at)),
            self.times.git,
            // Work that came up meanwhile is done at once.
            Some(now).filter(|_| self.has_work() && self.times.git.is_none()),
            self.file_monitor.next(now),
            self.needs.lockfile.filter(|_| self.times.git.is_none()),
            self.workers.next_due(now),
        ];
        times.into_iter().flatten().min().unwrap_or(now + PULSE)
    }

    fn has_work(&self) -> bool {
        let Needs { scan, plan, recovery, .. } = &self.needs;
        *scan
            || *plan
            || self.may_write_outputs()
            || !recovery.is_empty()
            || self.request.as_ref().is_some_and(ActiveRequest::is_over)
    }

    fn hinted(&mut self, hints: Vec<crate::files::Hint>) {
        let wake = self.file_monitor.take(hints);
        self.needs.scan |= wake.scan;
        if wake.overflow {
            self.observability.metrics.overflow();
        }
        if let Some(reason) = wake.rescan {
            self.observability.metrics.rescan(reason);
            self.needs.all = true;
        }
    }

    /// Records the end of some work.
    fn ended(&mut self, end: End) -> Result<(), ServiceError> {
        let WorkerResult { address, reports, panicked, .. } = match end {
            End::Steps(ended) => ended,
            End::Job(result) => {
                self.job_ended(result);
                return self.check_shutdown();
            }
        };
        if let Some(message) = panicked {
            tracing::error!(%address, "a bug in Macadam stopped this asset until the next full check: {message}");
            self.needs.recovery.insert(address);
        }
        for report in &reports {
            self.observability.step_ended(report);
        }
        self.check_shutdown()?;
        if reports.iter().any(|report| !matches!(report.outcome, Outcome::NotBegun)) {
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        self.needs.plan = true;
        if self.workers.is_idle() {
            // While nothing else runs, the lockfile is written at once.
            self.needs.lockfile = self.needs.lockfile.map(|_| clock::elapsed());
        }
        Ok(())
    }

    /// Recovers from the journal the attempts of workers that panicked, as after a crash.
    async fn recover(&mut self) -> Result<(), ServiceError> {
        let panicked = std::mem::take(&mut self.needs.recovery);
        if !panicked.is_empty() {
            self.session
                .state_cache
                .commit_with(|recorded| recover(recorded, |address| panicked.contains(address)))
                .await?;
        }
        Ok(())
    }

    /// Runs `work` while receiving the results of workers. Shutdown cancels every wait for the
    /// remote.
    async fn alongside_workers<T>(
        workers: &mut Workers,
        done: &mut Vec<End>,
        with: Interrupts<'_>,
        work: impl Future<Output = T>,
    ) -> T {
        let Interrupts { ending, stop, pause } = with;
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = ending.triggered(), if !stop.is_triggered() => stop.trigger(Stop::Signal(0)),
                ended = workers.next(clock::elapsed, pause) => done.push(ended),
            }
        }
    }

    /// Records the results that were received meanwhile.
    fn all_ended(&mut self, done: Vec<End>) -> Result<(), ServiceError> {
        done.into_iter().try_for_each(|end| self.ended(end))?;
        self.check_shutdown()
    }

    fn health(&self) -> observability::LoopStatus {
        let mut degraded = Vec::new();
        degraded.extend(self.refused.as_ref().map(|_| "the key was refused".to_owned()));
        degraded.extend(self.unreadable.as_ref().map(|_| "the lockfile can't be used".to_owned()));
        degraded.extend(self.failing.then(|| "Roblox fails".to_owned()));
        degraded.extend(self.invalid.as_ref().map(|_| "the manifest is not valid".to_owned()));
        degraded.extend(self.outputs.is_failing().then(|| "an output can't be written".to_owned()));
        degraded.extend(self.file_monitor.degraded().map(|_| "files are polled, not watched".to_owned()));
        observability::LoopStatus {
            assets: self.desired.assets.len(),
            in_progress: self.workers.in_progress().len(),
            degraded,
        }
    }

    /// Saves what a lost state knows to the lockfile, whatever git does; unanswered requests are
    /// recorded as in doubt. The lockfile is a union, so the process that holds the state now loses
    /// nothing.
    async fn leave_to_lockfile(&mut self) -> Result<(), ServiceError> {
        self.session.state_cache.commit_with(|recorded| recover(recorded, |_| true)).await?;
        if self.session.lockfile.write(&self.session.state_cache, &self.in_manifest).await? {
            self.lockfile_written();
        }
        Ok(())
    }

    /// Finishes requests in flight, and writes everything down.
    async fn end(mut self, ended: Result<(), ServiceError>) -> Result<(), ServiceError> {
        self.observability.stopping();
        let until = tokio::time::sleep(DRAIN);
        let mut until = pin!(until);
        self.context.stop.trigger(Stop::Signal(0));
        let mut running = 0_usize;
        while !self.workers.is_idle() {
            tokio::select! {
                () = &mut until => break,
                end = self.workers.next(clock::elapsed, Duration::ZERO) => match end {
                    End::Job(result) => self.job_ended(result),
                    End::Steps(ended) => {
                        for report in &ended.reports {
                            match report.outcome {
                                Outcome::Running { .. } => running += 1,
                                _ => self.observability.step_ended(report),
                            }
                        }
                    }
                },
            }
        }
        if running > 0 {
            tracing::info!(
                operations = running,
                "Roblox is still processing some uploads; the next start waits for them"
            );
        }
        let answered = self.end_request().await;
        let unanswered = self.workers.in_progress().len();
        if unanswered > 0 {
            tracing::warn!(assets = unanswered, "Roblox did not answer in time: the next start checks the results");
        }
        // The state has it too, and the next start writes it.
        let written = match &ended {
            Err(ServiceError::Taken { .. } | ServiceError::StateCache(StateCacheError::Lost(_))) => {
                self.leave_to_lockfile().await
            }
            _ if self.must_wait() => Ok(()),
            _ => self.write_lockfile().await,
        };
        if written.is_ok() && ended.is_ok() && self.may_write_outputs() && !self.must_wait() {
            self.write_outputs().await?;
        }
        self.announce_changes();
        let mut noted = Ok(());
        if let Some(on_change) = self.on_change.take()
            && on_change.finish(Duration::from_secs(2)).await
            && self.session.lockfile.is_untold()
        {
            noted = self.session.lockfile.told(&self.session.state_cache).await.map_err(ServiceError::from);
        }
        ended.and(answered).and(written).and(noted)
    }
}

/// Waits for the next end of the command's run; for ever without a command.
async fn run_ended(on_change: Option<&OnChange>) {
    match on_change {
        Some(on_change) => on_change.run_ended().await,
        None => std::future::pending().await,
    }
}
