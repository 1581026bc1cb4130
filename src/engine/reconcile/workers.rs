//! The workers: everything that takes time is a future of this set, and its end is a result that
//! the driver takes in. The steps of each address are one worker, so that no address waits for
//! another's upload.
//!
//! Each address has one slot. A change of a busy address is planned when its worker ends; a wait
//! between two tries is cancelled for it. A panic ends that work alone. Requests of other commands
//! run here too, and their addresses are kept free from the start. Read next: `super`, which begins
//! work and waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tracing::Instrument as _;

use crate::engine::execute::chain::{Finished, Reports, asset_of, chains, run_chain, urgency_of, waits};
use crate::engine::execute::executor::Executor;
use crate::engine::reconcile::shutdown::{Shutdown, panic_message};
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe::QueryResult;
use crate::engine::remote::overdue::OverdueResult;
use crate::engine::report::run_report::{Outcome, StepReport};
use crate::engine::workspace::lockfile::WriteDone;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::request::{RequestDone, RequestProblem};
use crate::model::urgency::Urgency;
use crate::plan::Step;
use crate::platform::clock;

use super::wanted::ScannedProject;

/// The first and the longest back-off of an address whose worker made no progress.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The number of addresses in progress at once. Most of them wait for an operation, which can take
/// minutes; uploads have a limit of their own. Urgent ones begin beyond it.
const ADDRESSES_AT_ONCE: usize = 4096;

/// The end of a piece of work.
pub(super) enum End {
    /// The steps of an address.
    Steps(WorkerResult),
    /// The job of a request; `Err` is the panic's message.
    Job(Result<Result<JobDone, RequestProblem>, String>),
    /// A scan of manifest and files; `Err` is the panic's message.
    Scan(Result<Box<ScannedProject>, String>),
    /// A look whether manifest, files and checkout are what they were at the last scan; `Err` is
    /// the panic's message.
    Look(Result<bool, String>),
    /// Fetches of assets.
    Observation(AnsweredQueries),
    /// Polls of operations that were set aside.
    Overdue(Vec<OverdueResult>),
    /// The check of the key that has this serial; `false` if nothing may begin.
    Key { serial: u64, may_begin: bool },
    /// A write of the lockfile.
    Lockfile(WriteDone),
    /// A person's answer.
    Confirmed(bool),
    /// A wait of the driver.
    Waited,
    /// One of those panicked, with this message: a defect of Macadam.
    Broken(String),
}

/// What a request's job did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct JobDone {
    pub(super) answer: RequestDone,
    /// The addresses whose steps the request waits for.
    pub(super) follows: BTreeSet<Address>,
}

impl From<RequestDone> for JobDone {
    fn from(answer: RequestDone) -> Self {
        Self { answer, follows: BTreeSet::new() }
    }
}

/// The fetches of assets that went together.
pub(super) struct AnsweredQueries {
    pub(super) queries: Vec<AssetQuery>,
    /// Those that came in time, before any step began.
    pub(super) answers: Vec<(AssetId, QueryResult)>,
}

/// The end of one address's steps.
#[derive(Debug)]
pub(super) struct WorkerResult {
    pub(super) address: Address,
    /// The steps that were tried.
    pub(super) reports: Vec<StepReport>,
    /// The panic's message: a defect of Macadam.
    pub(super) panicked: Option<String>,
    /// Whether the steps were about metadata alone.
    metadata: bool,
}

/// The steps of an address that are in progress.
struct Busy {
    /// Cancels their waits.
    superseded: Shutdown,
    /// The steps that ended so far.
    reports: Reports,
}

/// The place of a chain among those that wait: chains that wait for others come last, so that they
/// never keep those from starting; then the urgent come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct WaitingPlace {
    waits: bool,
    urgency: Urgency,
    count: u64,
}

/// The steps of an address that wait for a place among [`ADDRESSES_AT_ONCE`].
struct WaitingChain {
    chain: Vec<Step>,
    with: Arc<Executor>,
    superseded: Shutdown,
    reports: Reports,
    span: tracing::Span,
}

/// The work in progress.
pub(super) struct Workers {
    work: FuturesUnordered<LocalBoxFuture<'static, End>>,
    /// By address and whether it is metadata.
    in_progress: BTreeMap<(Address, bool), Busy>,
    /// In the order in which they begin, see [`WaitingPlace`].
    waiting: BTreeMap<WaitingPlace, WaitingChain>,
    /// Counts the chains.
    chains: u64,
    /// The number of chains in `work`.
    running: usize,
    /// Whether a request's job is in `work`.
    job: bool,
    /// Addresses kept free for a request, or in use by it.
    kept: BTreeSet<Address>,
    finished: Finished,
    /// The back-off after a failure that only a person or much time ends.
    pause: Duration,
    /// The time up to which expired back-offs were returned.
    checked_until: Duration,
    /// The end of each address's back-off, and the number of failures in a row.
    backoffs: BTreeMap<Address, (Duration, u32)>,
}

impl Workers {
    /// Creates workers whose addresses back off for `pause` after a refusal.
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            work: FuturesUnordered::new(),
            in_progress: BTreeMap::new(),
            waiting: BTreeMap::new(),
            chains: 0,
            running: 0,
            job: false,
            kept: BTreeSet::new(),
            finished: Finished::default(),
            pause,
            checked_until: Duration::ZERO,
            backoffs: BTreeMap::new(),
        }
    }

    /// Returns the busy addresses, and those that are kept free.
    pub(super) fn in_progress(&self) -> BTreeSet<Address> {
        self.in_progress.keys().map(|(address, _)| address).chain(&self.kept).cloned().collect()
    }

    /// Keeps these addresses free: begins no new work on them, and cancels their waits.
    pub(super) fn keep_free(&mut self, addresses: BTreeSet<Address>) {
        self.supersede(&addresses);
        self.kept = addresses;
    }

    /// Returns whether no worker is busy with the addresses that are kept free.
    pub(super) fn are_free(&self) -> bool {
        !self.in_progress.keys().any(|(address, _)| self.kept.contains(address))
    }

    /// Ends keeping addresses free.
    pub(super) fn release(&mut self) {
        self.kept.clear();
    }

    /// Runs a request's job on the addresses that are kept free for it.
    pub(super) fn run_job(&mut self, job: impl Future<Output = Result<JobDone, RequestProblem>> + 'static) {
        let work = AssertUnwindSafe(job).catch_unwind();
        self.job = true;
        self.work.push(Box::pin(async { End::Job(work.await.map_err(|panic| panic_message(panic.as_ref()))) }));
    }

    /// Runs work that changes nothing at Roblox, or waits.
    pub(super) fn run(&mut self, work: impl Future<Output = End> + 'static) {
        let work = AssertUnwindSafe(work).catch_unwind();
        let ended = async { work.await.unwrap_or_else(|panic| End::Broken(panic_message(panic.as_ref()))) };
        self.work.push(Box::pin(ended));
    }

    /// Returns whether no steps and no job are in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.in_progress.is_empty() && !self.job
    }

    /// Returns whether nothing at all is in progress.
    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty() && self.waiting.is_empty()
    }

    /// Drops all work, as a crash would, and returns the steps that had ended.
    pub(super) fn break_off(&mut self) -> Vec<StepReport> {
        self.work.clear();
        self.waiting.clear();
        std::mem::take(&mut self.in_progress).into_values().flat_map(|busy| busy.reports.take()).collect()
    }

    /// Begins `steps`, except those of addresses that back off.
    pub(super) fn begin(
        &mut self,
        steps: Vec<Step>,
        with: Executor,
        now: Duration,
        span: impl Fn(&Address) -> tracing::Span,
    ) {
        if self.is_idle() {
            self.finished.clear();
        }
        let ready = |step: &Step| self.backoffs.get(&step.address).is_none_or(|(until, _)| *until <= now);
        let mut steps: Vec<Step> = steps.into_iter().filter(ready).collect();
        // A step that needs the asset of an address that has not begun is planned again later. The
        // whole address waits, or its later steps would come first.
        loop {
            let begun: BTreeSet<&Address> = steps.iter().map(|step| &step.address).collect();
            let comes = |address: &Address| begun.contains(address) || self.finished.has(address);
            let early = |step: &&Step| !step.after.iter().all(comes);
            let early: BTreeSet<Address> = steps.iter().filter(early).map(|step| step.address.clone()).collect();
            if early.is_empty() {
                break;
            }
            steps.retain(|step| !early.contains(&step.address));
        }
        let chains = chains(steps);
        // An earlier failure holds nothing back now. No worker is busy with these addresses, since
        // the plan leaves out busy ones.
        chains.iter().filter_map(|chain| chain.first()).for_each(|step| self.finished.forget_failure(&step.address));
        for chain in &chains {
            if let Some(address) = asset_of(chain) {
                self.finished.begin(address.clone());
            }
        }
        let with = Arc::new(with);
        for chain in chains {
            let Some(first) = chain.first() else { continue };
            let waits = waits(&chain, |address| self.finished.has(address));
            let place = WaitingPlace { waits, urgency: urgency_of(&chain), count: self.chains };
            self.chains += 1;
            let slot = (first.address.clone(), first.action.is_metadata());
            let span = span(&first.address);
            let (superseded, reports) = (Shutdown::default(), Reports::default());
            self.in_progress.insert(slot, Busy { superseded: superseded.clone(), reports: reports.clone() });
            self.waiting.insert(place, WaitingChain { chain, with: Arc::clone(&with), superseded, reports, span });
        }
        self.start_waiting();
    }

    /// Starts waiting chains, as many as there are places.
    fn start_waiting(&mut self) {
        let may_begin = |running: usize, place: &WaitingPlace| {
            running < ADDRESSES_AT_ONCE || (place.urgency.is_urgent() && !place.waits)
        };
        while self.waiting.first_key_value().is_some_and(|(place, _)| may_begin(self.running, place))
            && let Some((place, waiting)) = self.waiting.pop_first()
        {
            let WaitingChain { chain, with, superseded, reports, span } = waiting;
            let Some(first) = chain.first() else { continue };
            let (address, metadata) = (first.address.clone(), first.action.is_metadata());
            let steps = Executor { superseded, urgency: place.urgency, ..(*with).clone() };
            let finished = self.finished.clone();
            let work = async move {
                let work = run_chain(&steps, chain, &finished, &reports);
                let ended = AssertUnwindSafe(work).catch_unwind().await;
                let panicked = ended.err().map(|panic| {
                    finished.give_up(&address);
                    panic_message(panic.as_ref())
                });
                End::Steps(WorkerResult { address, reports: reports.take(), panicked, metadata })
            };
            self.running += 1;
            self.work.push(Box::pin(work.instrument(span)));
        }
    }

    /// Waits for the next ends, and returns all that came by then; waits for ever while there is no
    /// work. May be cancelled at any point and called again.
    pub(super) async fn next(&mut self) -> Vec<End> {
        let Some(first) = self.work.next().await else { return std::future::pending().await };
        let mut ends = vec![self.ended(first)];
        while let Some(Some(end)) = self.work.next().now_or_never() {
            ends.push(self.ended(end));
        }
        self.start_waiting();
        ends
    }

    /// Frees the place of a piece of work.
    fn ended(&mut self, end: End) -> End {
        let ended = match end {
            End::Steps(ended) => ended,
            End::Job(result) => {
                self.job = false;
                return End::Job(result);
            }
            other => return other,
        };
        let now = clock::elapsed();
        self.running -= 1;
        self.in_progress.remove(&(ended.address.clone(), ended.metadata));
        match backoff_after(&ended) {
            // No step was tried, so the back-off stays as it is.
            _ if ended.reports.is_empty() && ended.panicked.is_none() => {}
            WorkerBackoff::None => {
                self.backoffs.remove(&ended.address);
            }
            WorkerBackoff::Briefly => {
                let times = self.backoffs.get(&ended.address).map_or(0, |(_, times)| *times);
                let wait = BACKOFF.0.saturating_mul(1 << times.min(10)).min(BACKOFF.1);
                self.backoffs.insert(ended.address.clone(), (now.saturating_add(wait), times.saturating_add(1)));
            }
            WorkerBackoff::Long => {
                self.backoffs.insert(ended.address.clone(), (now.saturating_add(self.pause), 0));
            }
        }
        End::Steps(ended)
    }

    /// Reacts to new desired content of these addresses: cancels their waits and their back-off.
    pub(super) fn supersede(&mut self, addresses: &BTreeSet<Address>) {
        self.backoffs.retain(|address, _| !addresses.contains(address));
        for ((address, _), busy) in &self.in_progress {
            if addresses.contains(address) {
                busy.superseded.trigger_quietly();
            }
        }
    }

    /// Returns the end of the next back-off; `None` if there is none.
    pub(super) fn next_due(&self, now: Duration) -> Option<Duration> {
        self.backoffs.values().map(|(until, _)| *until).filter(|until| *until > now).min()
    }

    /// Returns `true` once after any address's back-off has expired.
    pub(super) fn take_expired_backoff(&mut self, now: Duration) -> bool {
        let since = std::mem::replace(&mut self.checked_until, now);
        self.backoffs.values().any(|(until, _)| since < *until && *until <= now)
    }

    /// Ends every back-off: the key, a permission or the account may have changed.
    pub(super) fn reset_backoff(&mut self) {
        self.backoffs.clear();
    }
}

enum WorkerBackoff {
    None,
    Briefly,
    Long,
}

/// Returns how long an address backs off after this result. Where the state says when it is due
/// again, it needs no back-off here.
fn backoff_after(ended: &WorkerResult) -> WorkerBackoff {
    if ended.panicked.is_some() {
        return WorkerBackoff::Long;
    }
    match ended.reports.last().map(|report| &report.outcome) {
        Some(Outcome::Done { .. } | Outcome::NotBegun) | None => WorkerBackoff::None,
        Some(Outcome::Superseded { .. } | Outcome::TryLater { .. } | Outcome::InDoubt { .. }) => WorkerBackoff::Briefly,
        Some(Outcome::Running { .. } | Outcome::Refused { .. }) => WorkerBackoff::Long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_that_ended_is_taken_in_together() {
        let mut workers = Workers::new(Duration::ZERO);
        for _ in 0..40 {
            workers.run(std::future::ready(End::Waited));
        }
        workers.run(std::future::pending());
        let mut ends = 0;
        // Tokio and the set of futures let others take their turn now and then.
        while ends < 40 {
            ends += workers.next().await.len();
        }
        assert!(!workers.is_empty() && workers.is_idle(), "what never ends is no step");
        assert!(workers.next().now_or_never().is_none());
        assert_eq!(workers.break_off(), Vec::new());
        assert!(workers.is_empty());
    }

    #[tokio::test]
    async fn a_panic_ends_that_work_alone() {
        let mut workers = Workers::new(Duration::ZERO);
        workers.run(async { panic!("scripted") });
        workers.run_job(async { panic!("scripted") });
        assert!(!workers.is_idle());
        let mut told = Vec::new();
        while told.len() < 2 {
            for end in workers.next().await {
                match end {
                    End::Broken(message) | End::Job(Err(message)) => told.push(message),
                    _ => panic!("neither the work nor the job"),
                }
            }
        }
        assert_eq!(told, ["macadam panicked: scripted"; 2]);
        assert!(workers.is_idle());
    }

    #[test]
    fn an_expired_backoff_is_returned_once() {
        let at = Duration::from_secs;
        let mut workers = Workers::new(Duration::ZERO);
        assert!(!workers.take_expired_backoff(at(1)));
        workers.backoffs.insert(Address::new("a").unwrap(), (at(5), 1));
        assert!(!workers.take_expired_backoff(at(4)));
        assert!(workers.take_expired_backoff(at(5)), "it is to be planned again");
        assert!(!workers.take_expired_backoff(at(6)), "but not for ever");
    }
}
