//! Requests whose steps are the service's own: they are answered once a plan has nothing left to do
//! for their addresses. Others are taken meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use super::RequestScan;
use super::jobs::{key_refused, refused};
use crate::engine::reconcile::service::{Service, ServiceError};
use crate::model::address::Address;
use crate::model::desired::{Desired, Pin};
use crate::model::recorded::Recorded;
use crate::model::request::{ProblemKind, Request, RequestDone, RequestId, RequestProblem};
use crate::plan::{Hold, Plan};
use crate::platform::failpoint;

/// A hold that lasts longer than this is final: the service has seen the new manifest.
const HELD_FOR_GOOD: Duration = Duration::from_secs(10);

/// A request that waits for the steps of its addresses.
pub(in crate::engine::reconcile::service) struct FollowedRequest {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) answer: RequestDone,
    /// What waits: everything of these addresses.
    pub(super) addresses: BTreeSet<Address>,
    /// The pins that it wrote into the manifest, and took away.
    pub(super) pins: Vec<(Address, Option<Pin>)>,
    /// The scan that shows the manifest as it is now.
    pub(super) scan: RequestScan,
    pub(super) standing: Standing,
}

/// How far the steps are, by the last plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something is to be done, or in progress.
    Acts,
    /// Nothing is in progress, and this holds one of the addresses.
    Held { since: Duration, seen: Duration, hold: Hold },
    /// Nothing is left to do.
    Done,
}

impl FollowedRequest {
    /// Takes in what a plan made `now` says of its addresses.
    pub(in crate::engine::reconcile::service) fn planned(
        &mut self,
        plan: &Plan,
        in_progress: &BTreeSet<Address>,
        recorded: &Recorded,
        now: Duration,
    ) {
        if self.scan != RequestScan::Over {
            return;
        }
        let is_ours = |address: &Address| self.addresses.contains(address);
        let acts = plan.steps.iter().any(|step| is_ours(&step.address))
            || in_progress.iter().any(is_ours)
            || recorded.attempts.values().any(|attempt| is_ours(&attempt.address));
        let held = plan.held.iter().find(|hold| is_ours(&hold.address));
        self.standing = match held {
            _ if acts => Standing::Acts,
            None => Standing::Done,
            Some(hold) => {
                let since = match self.standing {
                    Standing::Held { since, .. } => since,
                    Standing::Acts | Standing::Done => now,
                };
                Standing::Held { since, seen: now, hold: hold.clone() }
            }
        };
    }

    /// Returns when a hold becomes final, which the plan of that time decides.
    pub(in crate::engine::reconcile::service) fn due(&self) -> Option<Duration> {
        match &self.standing {
            Standing::Held { since, seen, .. } => Some(since.saturating_add(final_after())).filter(|due| seen < due),
            Standing::Acts | Standing::Done => None,
        }
    }

    /// Returns how it ended, if it has.
    fn ended(&self, desired: &Desired) -> Option<Result<(), RequestProblem>> {
        if self.scan != RequestScan::Over {
            return None;
        }
        match &self.standing {
            Standing::Acts => None,
            Standing::Held { hold, .. } if self.due().is_none() => {
                let (message, hint) = (hold.reason.to_string(), hold.hint().filter(|hint| !hint.is_empty()));
                Some(Err(RequestProblem::new(ProblemKind::Refused, message, hint)))
            }
            Standing::Held { .. } => None,
            Standing::Done => Some(match self.pins.iter().find(|(address, pin)| !is_wanted(desired, address, *pin)) {
                Some((address, _)) => Err(refused(&format!("the pin of `{address}` was changed meanwhile"))),
                None => Ok(()),
            }),
        }
    }
}

fn final_after() -> Duration {
    failpoint::held(HELD_FOR_GOOD)
}

fn is_wanted(desired: &Desired, address: &Address, pin: Option<Pin>) -> bool {
    match desired.assets.get(address) {
        Some(want) => *want.pin == pin,
        None => pin.is_none(),
    }
}

impl Service<'_> {
    /// Answers the followed requests that are over.
    pub(super) async fn answer_followed(&mut self) -> Result<(), ServiceError> {
        let mut left = Vec::new();
        for mut followed in std::mem::take(&mut self.followed) {
            let Some(mut result) = self.end_of(&followed) else {
                left.push(followed);
                continue;
            };
            if result.is_ok() {
                result = self.keep_answer(&followed.request, &mut followed.answer).await?;
            }
            self.send_answer(followed.id, &followed.request, result.map(|()| followed.answer)).await?;
        }
        self.followed = left;
        Ok(())
    }

    /// Returns whether a followed request is over.
    pub(in crate::engine::reconcile::service) fn has_answer(&self) -> bool {
        self.followed.iter().any(|followed| self.end_of(followed).is_some())
    }

    fn end_of(&self, followed: &FollowedRequest) -> Option<Result<(), RequestProblem>> {
        if let Some(message) = &self.refused {
            return Some(Err(key_refused(message)));
        }
        // Nothing would be planned for it.
        let why = (self.invalid.as_ref().map(|problem| format!("the manifest has an error: {problem}")))
            .or_else(|| self.unreadable.clone())
            .filter(|_| followed.scan == RequestScan::Over);
        match why {
            Some(message) => Some(Err(RequestProblem::new(ProblemKind::Unusable, message, None))),
            None => followed.ended(&self.reconciler.wanted.desired),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::HeldPart;
    use crate::plan::reason::hold::HoldReason;

    fn address(name: &str) -> Address {
        Address::new(name).unwrap()
    }

    fn followed(name: &str) -> FollowedRequest {
        let addresses = vec![address(name)];
        FollowedRequest {
            id: RequestId::new(1),
            request: Request::Unpin { addresses: addresses.clone() },
            answer: RequestDone::default(),
            addresses: addresses.into_iter().collect(),
            pins: Vec::new(),
            scan: RequestScan::Over,
            standing: Standing::Acts,
        }
    }

    fn held(name: &str) -> Plan {
        let reason = HoldReason::PinnedTooEarly { pin: Pin::Asset("7".parse().unwrap()) };
        let hold = Hold { address: address(name), part: HeldPart::Asset, reason };
        Plan { held: vec![hold], ..Plan::default() }
    }

    #[test]
    fn a_hold_is_final_once_a_plan_after_ten_seconds_has_it_still() {
        let at = Duration::from_secs;
        let (none, recorded, desired) = (BTreeSet::new(), Recorded::default(), Desired::default());
        let mut request = followed("a");
        assert_eq!(request.ended(&desired), None, "no plan has seen it");
        request.planned(&held("a"), &none, &recorded, at(1));
        assert_eq!((request.due(), request.ended(&desired)), (Some(at(11)), None));
        // Another hold, work in between, or the end of the hold begin anew.
        request.planned(&held("a"), &[address("a")].into(), &recorded, at(5));
        assert_eq!((request.due(), request.ended(&desired)), (None, None));
        request.planned(&held("a"), &none, &recorded, at(6));
        request.planned(&held("a"), &none, &recorded, at(16));
        assert!(matches!(request.ended(&desired), Some(Err(RequestProblem { kind: ProblemKind::Refused, .. }))));
        request.planned(&Plan::default(), &none, &recorded, at(17));
        assert_eq!(request.ended(&desired), Some(Ok(())));
    }

    #[test]
    fn only_a_plan_of_a_newer_scan_and_of_its_own_addresses_counts() {
        let (none, recorded, desired) = (BTreeSet::new(), Recorded::default(), Desired::default());
        let mut request = FollowedRequest { scan: RequestScan::InProgress, ..followed("a") };
        request.planned(&Plan::default(), &none, &recorded, Duration::ZERO);
        request.scan = RequestScan::Over;
        assert_eq!(request.ended(&desired), None, "that plan was made before the manifest was read");
        request.planned(&held("b"), &[address("b")].into(), &recorded, Duration::ZERO);
        assert_eq!(request.ended(&desired), Some(Ok(())));
        request.pins = vec![(address("a"), Some(Pin::Asset("7".parse().unwrap())))];
        assert!(matches!(request.ended(&desired), Some(Err(problem)) if problem.message.contains("changed meanwhile")));
    }
}
