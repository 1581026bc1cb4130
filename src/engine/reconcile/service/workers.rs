//! The workers: the steps of each address run as one task of the loop, so that no address waits for
//! another's upload.
//!
//! Each address has one slot. A change of a busy address is planned when its worker ends; a wait
//! between two tries is cancelled for it. A panic ends the work on that address alone. Requests of
//! other commands run here too, and their addresses are kept free from the start. Read next:
//! `super`, the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tracing::Instrument as _;

use crate::engine::execute::executor::Executor;
use crate::engine::execute::schedule::{Finished, asset_of, chains, run_chain};
use crate::engine::reconcile::shutdown::{Shutdown, panic_message};
use crate::engine::report::run_report::{Outcome, StepReport};
use crate::model::address::Address;
use crate::model::request::{RequestDone, RequestProblem};
use crate::plan::Step;

/// The first and the longest back-off of an address whose worker made no progress.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The end of a piece of work.
#[derive(Debug)]
pub(super) enum End {
    /// The steps of an address.
    Steps(WorkerResult),
    /// The job of a request; `Err` is the panic's message.
    Job(Result<Result<RequestDone, RequestProblem>, String>),
}

/// The end of one address's steps.
#[derive(Debug)]
pub(super) struct WorkerResult {
    pub(super) address: Address,
    /// The steps that were tried; empty after a panic.
    pub(super) reports: Vec<StepReport>,
    /// The panic's message: a defect of Macadam.
    pub(super) panicked: Option<String>,
    /// Whether the steps were about metadata alone.
    metadata: bool,
}

/// The work in progress.
#[derive(Default)]
pub(super) struct Workers {
    work: FuturesUnordered<LocalBoxFuture<'static, End>>,
    /// By address and whether it is metadata: cancels a worker's waits.
    in_progress: BTreeMap<(Address, bool), Shutdown>,
    /// Addresses kept free for a request, or in use by it.
    kept: BTreeSet<Address>,
    finished: Finished,
    /// The time up to which expired back-offs were returned.
    checked_until: Duration,
    /// The end of each address's back-off, and the number of failures in a row.
    backoffs: BTreeMap<Address, (Duration, u32)>,
}

impl Workers {
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
    pub(super) fn run_job(&mut self, job: impl Future<Output = Result<RequestDone, RequestProblem>> + 'static) {
        let work = AssertUnwindSafe(job).catch_unwind();
        self.work.push(Box::pin(async { End::Job(work.await.map_err(|panic| panic_message(panic.as_ref()))) }));
    }

    /// Returns whether there is no work.
    pub(super) fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Begins `steps`, except those of addresses that back off.
    pub(super) fn begin(
        &mut self,
        steps: Vec<Step>,
        with: &Executor,
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
        for chain in chains {
            let Some(first) = chain.first() else { continue };
            let (address, metadata) = (first.address.clone(), first.action.is_metadata());
            let superseded = Shutdown::default();
            let steps = Executor { superseded: superseded.clone(), ..with.clone() };
            self.in_progress.insert((address.clone(), metadata), superseded);
            let finished = self.finished.clone();
            let span = span(&address);
            let work = async move {
                let work = run_chain(&steps, chain, &finished);
                let ended = AssertUnwindSafe(work).catch_unwind().await;
                let (reports, panicked) = match ended {
                    Ok(reports) => (reports, None),
                    Err(panic) => {
                        finished.give_up(&address);
                        (Vec::new(), Some(panic_message(panic.as_ref())))
                    }
                };
                End::Steps(WorkerResult { address, reports, panicked, metadata })
            };
            self.work.push(Box::pin(work.instrument(span)));
        }
    }

    /// Waits for the next end; for ever while there is no work.
    pub(super) async fn next(&mut self, now: impl Fn() -> Duration, pause: Duration) -> End {
        let ended = match self.work.next().await {
            None => return std::future::pending().await,
            Some(job @ End::Job(_)) => return job,
            Some(End::Steps(ended)) => ended,
        };
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
                self.backoffs.insert(ended.address.clone(), (now().saturating_add(wait), times.saturating_add(1)));
            }
            WorkerBackoff::Long => {
                self.backoffs.insert(ended.address.clone(), (now().saturating_add(pause), 0));
            }
        }
        End::Steps(ended)
    }

    /// Reacts to new desired content of these addresses: cancels their waits and their back-off.
    pub(super) fn supersede(&mut self, addresses: &BTreeSet<Address>) {
        self.backoffs.retain(|address, _| !addresses.contains(address));
        for ((address, _), switch) in &self.in_progress {
            if addresses.contains(address) {
                switch.trigger_quietly();
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

    #[test]
    fn an_expired_backoff_is_returned_once() {
        let at = Duration::from_secs;
        let mut workers = Workers::default();
        assert!(!workers.take_expired_backoff(at(1)));
        workers.backoffs.insert(Address::new("a").unwrap(), (at(5), 1));
        assert!(!workers.take_expired_backoff(at(4)));
        assert!(workers.take_expired_backoff(at(5)), "it is to be planned again");
        assert!(!workers.take_expired_backoff(at(6)), "but not for ever");
    }
}
