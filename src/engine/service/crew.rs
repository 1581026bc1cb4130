//! Who works on what: the steps of each address as one task of the loop, so that nobody waits for anybody else's upload.
//!
//! One slot an address. A change that comes while an address is in hand is planned when that is over; what only rests between two tries is called off
//! for it. A panic outside of its tries ends that work alone; one inside ends the service in order, as a defect. Read next: `super`, the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tracing::Instrument as _;

use crate::engine::execute::{Finished, asset_of, chains, run_chain};
use crate::engine::report::{Outcome, StepReport};
use crate::engine::steps::Steps;
use crate::engine::stop::StopSwitch;
use crate::model::address::Address;
use crate::plan::Step;

/// The first and the longest rest of an address whose work ended without having come any further.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The end of one address's work.
#[derive(Debug)]
pub(super) struct Ended {
    /// Which.
    pub(super) address: Address,
    /// What was tried; a panic leaves nothing.
    pub(super) reports: Vec<StepReport>,
    /// It ended with a defect of Macadam.
    pub(super) panicked: bool,
    /// It was about metadata alone.
    metadata: bool,
}

/// The work in hand.
#[derive(Default)]
pub(super) struct Crew {
    work: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    /// By address and whether it is metadata: how to call off what only rests.
    in_hand: BTreeMap<(Address, bool), StopSwitch>,
    finished: Finished,
    /// Rests that were over by then have been told.
    rested: Duration,
    /// Until when an address is left alone, and how often in a row it came no further.
    rests: BTreeMap<Address, (Duration, u32)>,
}

impl Crew {
    /// The addresses in hand.
    pub(super) fn in_hand(&self) -> BTreeSet<Address> {
        self.in_hand.keys().map(|(address, _)| address.clone()).collect()
    }

    /// Whether nobody works.
    pub(super) fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Begins with `steps`, but for those of addresses that rest.
    pub(super) fn begin(
        &mut self,
        steps: Vec<Step>,
        with: &Steps,
        now: Duration,
        span: impl Fn(&Address) -> tracing::Span,
    ) {
        let ready =
            steps.into_iter().filter(|step| self.rests.get(&step.address).is_none_or(|(until, _)| *until <= now));
        let chains = chains(ready.collect());
        // What failed earlier keeps nothing back now; nobody works on these addresses, since the plan leaves out what is in hand.
        chains.iter().filter_map(|chain| chain.first()).for_each(|step| self.finished.forget_undone(&step.address));
        for chain in &chains {
            if let Some(address) = asset_of(chain) {
                self.finished.begin(address.clone());
            }
        }
        for chain in chains {
            let Some(first) = chain.first() else { continue };
            let (address, metadata) = (first.address.clone(), first.action.is_metadata());
            let superseded = StopSwitch::default();
            let steps = Steps { superseded: superseded.clone(), ..with.clone() };
            self.in_hand.insert((address.clone(), metadata), superseded);
            let finished = self.finished.clone();
            let span = span(&address);
            let work = async move {
                let work = run_chain(&steps, chain, &finished);
                let ended = AssertUnwindSafe(work).catch_unwind().await;
                let panicked = ended.is_err();
                if panicked {
                    finished.give_up(&address);
                }
                Ended { address, reports: ended.unwrap_or_default(), panicked, metadata }
            };
            self.work.push(Box::pin(work.instrument(span)));
        }
    }

    /// Waits for the next end; never comes back while nobody works.
    pub(super) async fn next(&mut self, now: impl Fn() -> Duration, pause: Duration) -> Ended {
        let Some(ended) = self.work.next().await else { return std::future::pending().await };
        self.in_hand.remove(&(ended.address.clone(), ended.metadata));
        match rest(&ended) {
            // Nothing was tried, so nothing is learned of how long to rest.
            _ if ended.reports.is_empty() && !ended.panicked => {}
            Rest::None => {
                self.rests.remove(&ended.address);
            }
            Rest::Briefly => {
                let times = self.rests.get(&ended.address).map_or(0, |(_, times)| *times);
                let wait = REST.0.saturating_mul(1 << times.min(10)).min(REST.1);
                self.rests.insert(ended.address.clone(), (now().saturating_add(wait), times.saturating_add(1)));
            }
            Rest::Long => {
                self.rests.insert(ended.address.clone(), (now().saturating_add(pause), 0));
            }
        }
        ended
    }

    /// New content is wanted of these addresses: what rests is called off, and no rest of before counts.
    pub(super) fn supersede(&mut self, addresses: &BTreeSet<Address>) {
        self.rests.retain(|address, _| !addresses.contains(address));
        for ((address, _), switch) in &self.in_hand {
            if addresses.contains(address) {
                switch.throw_quietly();
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
    pub(super) fn forgive(&mut self) {
        self.rests.clear();
    }
}

enum Rest {
    None,
    Briefly,
    Long,
}

/// How long an address rests that ended so. Where the state says when it is due again, it needs no rest here.
fn rest(ended: &Ended) -> Rest {
    if ended.panicked {
        return Rest::Long;
    }
    match ended.reports.last().map(|report| &report.outcome) {
        Some(Outcome::Done { .. } | Outcome::NotBegun) | None => Rest::None,
        Some(Outcome::Superseded { .. } | Outcome::TryLater { .. } | Outcome::InDoubt { .. }) => Rest::Briefly,
        Some(Outcome::Running { .. } | Outcome::Refused { .. }) => Rest::Long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_rest_is_told_once() {
        let at = Duration::from_secs;
        let mut crew = Crew::default();
        assert!(!crew.rested(at(1)));
        crew.rests.insert(Address::new("a").unwrap(), (at(5), 1));
        assert!(!crew.rested(at(4)));
        assert!(crew.rested(at(5)), "it is to be planned again");
        assert!(!crew.rested(at(6)), "but not for ever");
    }
}
