//! Who works on what: the steps of each address as one task of the loop, so that nobody waits for
//! anybody else's upload.
//!
//! One slot an address. A change that comes while an address is in hand is planned when that is
//! over; what only rests between two tries is called off for it. A panic ends the work on that
//! address alone. What another command asked for is work too: its addresses are kept free for it
//! from when it is taken up. Read next: `super`, the loop.

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

/// The first and the longest rest of an address whose work ended without having come any further.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The end of a piece of work.
#[derive(Debug)]
pub(super) enum End {
    /// Of an address's steps.
    Steps(WorkerResult),
    /// Of what another command asked for; `Err` is what it panicked with.
    Errand(Result<Result<RequestDone, RequestProblem>, String>),
}

/// The end of one address's steps.
#[derive(Debug)]
pub(super) struct WorkerResult {
    /// Which.
    pub(super) address: Address,
    /// What was tried; a panic leaves nothing.
    pub(super) reports: Vec<StepReport>,
    /// What it panicked with: a defect of Macadam.
    pub(super) panicked: Option<String>,
    /// It was about metadata alone.
    metadata: bool,
}

/// The work in hand.
#[derive(Default)]
pub(super) struct Workers {
    work: FuturesUnordered<LocalBoxFuture<'static, End>>,
    /// By address and whether it is metadata: how to call off what only rests.
    in_progress: BTreeMap<(Address, bool), Shutdown>,
    /// Kept free for what another command asked for, or in its hands.
    kept: BTreeSet<Address>,
    finished: Finished,
    /// Rests that were over by then have been told.
    rested: Duration,
    /// Until when an address is left alone, and how often in a row it came no further.
    rests: BTreeMap<Address, (Duration, u32)>,
}

impl Workers {
    /// The addresses in hand, and those that are kept free.
    pub(super) fn in_progress(&self) -> BTreeSet<Address> {
        self.in_progress.keys().map(|(address, _)| address).chain(&self.kept).cloned().collect()
    }

    /// Begins nothing more of these addresses, and calls off what of them only rests.
    pub(super) fn keep_free(&mut self, addresses: BTreeSet<Address>) {
        self.supersede(&addresses);
        self.kept = addresses;
    }

    /// Whether nobody works on the addresses that are kept free.
    pub(super) fn are_free(&self) -> bool {
        !self.in_progress.keys().any(|(address, _)| self.kept.contains(address))
    }

    /// Keeps nothing free any more.
    pub(super) fn release(&mut self) {
        self.kept.clear();
    }

    /// Carries out what was asked, on the addresses that are kept free for it.
    pub(super) fn run_job(&mut self, job: impl Future<Output = Result<RequestDone, RequestProblem>> + 'static) {
        let work = AssertUnwindSafe(job).catch_unwind();
        self.work.push(Box::pin(async { End::Errand(work.await.map_err(|panic| panic_message(panic.as_ref()))) }));
    }

    /// Whether nobody works.
    pub(super) fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Begins with `steps`, but for those of addresses that rest.
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
        let ready = |step: &Step| self.rests.get(&step.address).is_none_or(|(until, _)| *until <= now);
        let mut steps: Vec<Step> = steps.into_iter().filter(ready).collect();
        // Whoever needs the asset of somebody who has not begun yet is planned again when that one has; all
        // of it, or its later steps would come first.
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
        // What failed earlier keeps nothing back now; nobody works on these addresses, since the plan
        // leaves out what is in hand.
        chains.iter().filter_map(|chain| chain.first()).for_each(|step| self.finished.forget_undone(&step.address));
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

    /// Waits for the next end; never comes back while nobody works.
    pub(super) async fn next(&mut self, now: impl Fn() -> Duration, pause: Duration) -> End {
        let ended = match self.work.next().await {
            None => return std::future::pending().await,
            Some(job @ End::Errand(_)) => return job,
            Some(End::Steps(ended)) => ended,
        };
        self.in_progress.remove(&(ended.address.clone(), ended.metadata));
        match rest(&ended) {
            // Nothing was tried, so nothing is learned of how long to rest.
            _ if ended.reports.is_empty() && ended.panicked.is_none() => {}
            WorkerBackoff::None => {
                self.rests.remove(&ended.address);
            }
            WorkerBackoff::Briefly => {
                let times = self.rests.get(&ended.address).map_or(0, |(_, times)| *times);
                let wait = REST.0.saturating_mul(1 << times.min(10)).min(REST.1);
                self.rests.insert(ended.address.clone(), (now().saturating_add(wait), times.saturating_add(1)));
            }
            WorkerBackoff::Long => {
                self.rests.insert(ended.address.clone(), (now().saturating_add(pause), 0));
            }
        }
        End::Steps(ended)
    }

    /// New content is wanted of these addresses: what rests is called off, and no rest of before
    /// counts.
    pub(super) fn supersede(&mut self, addresses: &BTreeSet<Address>) {
        self.rests.retain(|address, _| !addresses.contains(address));
        for ((address, _), switch) in &self.in_progress {
            if addresses.contains(address) {
                switch.trigger_quietly();
            }
        }
    }

    /// When the first rest is over; `None`: nobody rests.
    pub(super) fn next_due(&self, now: Duration) -> Option<Duration> {
        self.rests.values().map(|(until, _)| *until).filter(|until| *until > now).min()
    }

    /// Whether somebody's rest is over who is to be planned again; told once.
    pub(super) fn rested(&mut self, now: Duration) -> bool {
        let since = std::mem::replace(&mut self.rested, now);
        self.rests.values().any(|(until, _)| since < *until && *until <= now)
    }

    /// Everybody may try again: the key, a permission or the account may be another.
    pub(super) fn reset_backoff(&mut self) {
        self.rests.clear();
    }
}

enum WorkerBackoff {
    None,
    Briefly,
    Long,
}

/// How long an address rests that ended so. Where the state says when it is due again, it needs no
/// rest here.
fn rest(ended: &WorkerResult) -> WorkerBackoff {
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
    fn the_end_of_a_rest_is_told_once() {
        let at = Duration::from_secs;
        let mut workers = Workers::default();
        assert!(!workers.rested(at(1)));
        workers.rests.insert(Address::new("a").unwrap(), (at(5), 1));
        assert!(!workers.rested(at(4)));
        assert!(workers.rested(at(5)), "it is to be planned again");
        assert!(!workers.rested(at(6)), "but not for ever");
    }
}
