//! The order of a plan's steps: those of one address are a chain, one after another; chains run side
//! by side, an asset before those that share or show it.
//!
//! Steps wait for an address's asset, never for its metadata, so an image may be the icon of the
//! asset whose bytes it shares.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::engine::report::run_report::{Outcome, StepReport};
use crate::model::address::Address;
use crate::model::urgency::Urgency;
use crate::plan::{Action, Step};
use crate::telemetry::logs::OUTCOMES;

/// Executes one step to its outcome.
pub(crate) trait Runner {
    /// Executes `step`. A step that waits for other addresses comes after theirs.
    fn run(&self, step: &Step) -> impl Future<Output = Outcome>;
}

/// The result of each address's asset, as far as it is part of the plan. Shared by all that wait
/// for one another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finished {
    under_way: Arc<Mutex<HashMap<Address, watch::Sender<Option<bool>>>>>,
}

impl Finished {
    fn under_way(&self) -> MutexGuard<'_, HashMap<Address, watch::Sender<Option<bool>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the asset of an address as in progress.
    pub(crate) fn begin(&self, address: Address) {
        self.under_way().insert(address, watch::Sender::new(None));
    }

    /// Records the result of an address, and tells those that wait for it.
    fn end(&self, address: &Address, done: bool) {
        if let Some(sender) = self.under_way().get(address) {
            sender.send_replace(Some(done));
        }
    }

    /// Records that the worker of an address is gone without a result, so that no one waits for
    /// ever.
    pub(crate) fn give_up(&self, address: &Address) {
        self.end(address, false);
    }

    /// Clears all results, while nothing runs: the next plan knows what was done.
    pub(crate) fn clear(&self) {
        self.under_way().clear();
    }

    /// Forgets a failure of an address.
    pub(crate) fn forget_failure(&self, address: &Address) {
        let mut under_way = self.under_way();
        if under_way.get(address).is_some_and(|sender| *sender.borrow() == Some(false)) {
            under_way.remove(address);
        }
    }

    /// Returns whether an address was begun.
    pub(crate) fn has(&self, address: &Address) -> bool {
        self.under_way().contains_key(address)
    }

    /// Waits for an address. Returns `false` also if no worker has it.
    async fn is_done(&self, address: &Address) -> bool {
        let Some(mut receiver) = self.under_way().get(address).map(watch::Sender::subscribe) else { return false };
        let result = receiver.wait_for(Option::is_some).await;
        result.is_ok_and(|done| *done == Some(true))
    }

    async fn first_undone<'a>(&self, addresses: &'a [Address]) -> Option<&'a Address> {
        for address in addresses {
            if !self.is_done(address).await {
                return Some(address);
            }
        }
        None
    }
}

/// The steps of a chain that have ended, kept where they survive a chain that is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<StepReport>>>);

impl Reports {
    fn push(&self, report: StepReport) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }

    /// Takes them all.
    pub(crate) fn take(&self) -> Vec<StepReport> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the address whose asset a chain is about; `None` for metadata, for which no step waits.
pub(crate) fn asset_of(chain: &[Step]) -> Option<&Address> {
    chain.first().filter(|step| !step.action.is_metadata()).map(|step| &step.address)
}

/// Returns the urgency of a chain: that of its most urgent step.
pub(crate) fn urgency_of(chain: &[Step]) -> Urgency {
    chain.iter().map(|step| step.action.urgency()).min().unwrap_or(Urgency::FirstUpload)
}

/// Groups steps by address, metadata apart, keeping their order. The urgent come first. Chains that
/// wait for others come last, so that they never keep those from starting.
pub(crate) fn chains(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let belongs = |last: &Step, step: &Step| {
        last.address == step.address && last.action.is_metadata() == step.action.is_metadata()
    };
    let mut chains: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        match chains.last_mut() {
            Some(chain) if chain.last().is_some_and(|last| belongs(last, &step)) => chain.push(step),
            _ => chains.push(vec![step]),
        }
    }
    let assets: BTreeSet<Address> = chains.iter().filter_map(|chain| asset_of(chain)).cloned().collect();
    chains.sort_by_key(|chain| (waits(chain, |address| assets.contains(address)), urgency_of(chain)));
    chains
}

/// Returns whether a chain waits for another one: for that of an address it needs, or for its own
/// asset, if `has_chain` says that there is one.
pub(crate) fn waits(chain: &[Step], has_chain: impl Fn(&Address) -> bool) -> bool {
    let own = chain.first().filter(|first| first.action.is_metadata()).is_some_and(|first| has_chain(&first.address));
    own || chain.iter().any(|step| !step.after.is_empty())
}

/// Executes one step.
pub(crate) async fn run_step(runner: &impl Runner, step: &Step) -> Outcome {
    let outcome = runner.run(step).await;
    if let Outcome::Done { asset_id, revision } = &outcome {
        let from = if let Action::Move { from } = &step.action { Some(from.as_str()) } else { None };
        let word = step.action.done_word();
        tracing::info!(target: OUTCOMES, address = %step.address, outcome = "done", from, %asset_id, revision, "{word}");
    }
    outcome
}

/// Executes the steps of one address in sequence, until one is not done.
pub(crate) async fn run_chain(runner: &impl Runner, chain: Vec<Step>, finished: &Finished, reports: &Reports) {
    let asset = asset_of(&chain).cloned();
    let own = chain.first().map(|step| step.address.clone());
    if let (None, Some(address)) = (&asset, &own)
        && finished.has(address)
        && !finished.is_done(address).await
    {
        // The failed step reports it.
        return;
    }
    let mut all_done = true;
    for step in chain {
        let outcome = match finished.first_undone(&step.after).await {
            Some(owner) => {
                Outcome::TryLater { message: format!("the asset of `{owner}`, which it needs, is not there yet") }
            }
            None => run_step(runner, &step).await,
        };
        all_done = outcome.is_done();
        reports.push(StepReport { step, outcome });
        if !all_done {
            break;
        }
    }
    if let Some(address) = asset {
        finished.end(&address, all_done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::AssetId;
    use crate::model::recorded::AttemptId;
    use crate::plan::reason::MoveEvidence;
    use crate::plan::reason::step::StepReason;
    use futures_util::FutureExt as _;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Script {
        failing: Vec<&'static str>,
        log: Mutex<Vec<String>>,
    }

    impl Runner for Script {
        async fn run(&self, step: &Step) -> Outcome {
            tokio::task::yield_now().await;
            self.log.lock().unwrap().push(format!("{} {}", step.address, word(step)));
            if self.failing.contains(&word(step)) {
                return Outcome::TryLater { message: "scripted".to_owned() };
            }
            Outcome::Done { asset_id: AssetId::new(1).unwrap(), revision: None }
        }
    }

    /// Executes `steps`, and returns how each ended, in the order of their addresses.
    async fn execute(runner: &impl Runner, steps: Vec<Step>) -> Vec<StepReport> {
        let finished = Finished::default();
        let chains = chains(steps);
        chains.iter().filter_map(|chain| asset_of(chain)).for_each(|address| finished.begin(address.clone()));
        let each = chains.into_iter().map(async |chain| {
            let reports = Reports::default();
            run_chain(runner, chain, &finished, &reports).await;
            reports.take()
        });
        let mut reports = futures_util::future::join_all(each).await.concat();
        reports.sort_by_cached_key(|report| (report.step.address.clone(), report.step.action.is_metadata()));
        reports
    }

    fn step(address: &str, reason: &str, after: Option<&str>) -> Step {
        Step {
            address: Address::new(address).unwrap(),
            action: Action::Wait { attempt: AttemptId(0) },
            // Stands for a word that names the step.
            reason: StepReason::Moved { from: Address::new(reason).unwrap(), evidence: MoveEvidence::File },
            after: after.map(|a| Address::new(a).unwrap()).into_iter().collect(),
            not_before: None,
        }
    }

    fn word(step: &Step) -> &str {
        match &step.reason {
            StepReason::Moved { from, .. } => from.as_str(),
            other => panic!("{other:?}"),
        }
    }

    async fn check(steps: Vec<Step>, failing: Vec<&'static str>, ran: &[&str], reported: &[(&str, bool)]) {
        let script = Script { failing, ..Script::default() };
        let reports = execute(&script, steps).await;
        let log = script.log.lock().unwrap().clone();
        // Addresses run in parallel: only the order within one, and of a sharer after its owner, is
        // guaranteed.
        for pair in ran.windows(2) {
            let at = |line: &str| log.iter().position(|logged| logged == line);
            let (first, second) = (pair[0], pair[1]);
            let bound = first.split(' ').next() == second.split(' ').next() || second.ends_with("share");
            assert!(!bound || at(first) < at(second), "{log:?}");
        }
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        assert_eq!(sorted(log.clone()), sorted(ran.iter().map(|line| (*line).to_owned()).collect()));
        let outcomes: Vec<(&str, bool)> = reports.iter().map(|r| (word(&r.step), r.outcome.is_done())).collect();
        assert_eq!(outcomes, reported);
    }

    #[tokio::test]
    async fn a_chain_that_is_dropped_keeps_what_had_ended() {
        let (finished, reports) = (Finished::default(), Reports::default());
        finished.begin(Address::new("b").unwrap());
        let chain = vec![step("a", "a1", None), step("a", "a2", Some("b"))];
        let script = Script::default();
        let mut running = Box::pin(run_chain(&script, chain, &finished, &reports));
        for _ in 0..3 {
            assert!(running.as_mut().now_or_never().is_none());
        }
        drop(running);
        assert_eq!(reports.take().iter().map(|report| word(&report.step)).collect::<Vec<_>>(), ["a1"]);
    }

    #[tokio::test]
    async fn a_failed_step_ends_its_address_and_no_other() {
        check(
            vec![step("a", "a1", None), step("a", "a2", None), step("b", "b1", None)],
            vec!["a1"],
            &["a a1", "b b1"],
            &[("a1", false), ("b1", true)],
        )
        .await;
    }

    #[tokio::test]
    async fn sharers_run_after_their_owner_and_fail_with_it() {
        let steps = || vec![step("a", "share", Some("b")), step("b", "b1", None), step("b", "b2", None)];
        check(steps(), vec![], &["b b1", "b b2", "a share"], &[("share", true), ("b1", true), ("b2", true)]).await;
        check(steps(), vec!["b2"], &["b b1", "b b2"], &[("share", false), ("b1", true), ("b2", false)]).await;
    }
}
