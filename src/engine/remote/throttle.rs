//! The gate that every request passes: the limits of its endpoint, and the breaker of the remote.
//! One for a run.
//!
//! The rules are pure and live in `cloud`; here is their one instance, the clock, and the queue:
//! first come, first served, an endpoint at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::cloud::breaker::{Breaker, BreakerGate as Barrier, HealthSignal, RequestRole as Ticket};
use crate::cloud::class::{Class, Later, Refusal};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::ApiReply;
use crate::cloud::limits::{Acquire, Budget, LimitOwner, LimitRecord, LimitSample, LimitSignal, Permit, RateLimits};
use crate::cloud::moment::Moment;
use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::platform::clock;

/// Who is counted: whose key it is need not be known for that, one process has one key.
pub(crate) const OWNER: &str = "key";

/// Waiting for longer than this is told to whoever watches.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// The gate.
#[derive(Clone)]
pub(crate) struct Throttle {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Mutex<Rules>,
    /// One queue an endpoint: who stands first waits for the rules, the others wait for their turn.
    queues: BTreeMap<Endpoint, tokio::sync::Mutex<()>>,
    changed: Notify,
    owner: LimitOwner,
    listener: Listener,
    /// When Roblox last answered a request as it should.
    well: Mutex<Option<Timestamp>>,
}

struct Rules {
    limits: RateLimits,
    breaker: Breaker,
}

/// The right to send one request; it comes back through [`Throttle::release`] or
/// [`Throttle::release_unsent`]. Dropped with whoever had it, it counts as sent and not answered.
#[must_use = "tell the gate what came of the request"]
pub(crate) struct ThrottlePermit {
    endpoint: Endpoint,
    right: Option<SendRight>,
    throttle: Throttle,
}

struct SendRight {
    permit: Option<Permit>,
    ticket: Ticket,
}

impl Drop for ThrottlePermit {
    fn drop(&mut self) {
        if let Some(right) = self.right.take() {
            self.throttle.take_back(right, Some(LimitSignal::Silence), HealthSignal::Unknown);
        }
    }
}

enum Admittance {
    Open(ThrottlePermit),
    Closed { until: Option<Moment>, reason: &'static str },
}

impl Throttle {
    /// A gate that remembers what an earlier run learned of the limits. `owner` stands for the
    /// key's owner.
    pub(crate) fn new(rows: &[LimitRecord], owner: &str, listener: Listener) -> Self {
        let limits = RateLimits::restore(rows, moment(), clock::now());
        let rules = Mutex::new(Rules { limits, breaker: Breaker::new() });
        let queues = Endpoint::ALL.into_iter().map(|endpoint| (endpoint, tokio::sync::Mutex::new(()))).collect();
        let owner = LimitOwner::new(owner);
        Self {
            inner: Arc::new(Inner { rules, queues, changed: Notify::new(), owner, listener, well: Mutex::default() }),
        }
    }

    /// Waits until a request to `endpoint` may go. Giving up waiting is harmless.
    pub(crate) async fn acquire(&self, endpoint: Endpoint) -> ThrottlePermit {
        let _first = match self.inner.queues.get(&endpoint) {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        let (since, mut told, mut waited) = (moment(), false, false);
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            // Listening before asking: a report in between is not missed.
            changed.as_mut().enable();
            match self.try_acquire(endpoint) {
                Admittance::Open(pass) => {
                    let time = moment().since(since);
                    if waited {
                        (self.inner.listener)(ProgressEvent::Waited { endpoint: endpoint.name(), time });
                    }
                    return pass;
                }
                Admittance::Closed { until, reason } => {
                    waited = true;
                    let left = until.map_or(Duration::from_secs(1), |until| until.since(moment()));
                    // A request that goes ahead alone tells soon what is left: only what lasts is told.
                    let wait = if told { left } else { left.min(WORTH_TELLING) };
                    if moment().since(since) >= WORTH_TELLING && !told {
                        told = true;
                        tracing::info!(endpoint = endpoint.name(), seconds = left.as_secs(), "{reason}");
                        (self.inner.listener)(ProgressEvent::Waiting { reason, wait: left });
                    }
                    let _ = tokio::time::timeout(wait.max(Duration::from_millis(1)), changed).await;
                }
            }
        }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.inner.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_acquire(&self, endpoint: Endpoint) -> Admittance {
        let now = moment();
        let mut rules = self.rules();
        let permit = match budget(endpoint) {
            None => None,
            Some(budget) => match rules.limits.acquire(budget, &self.inner.owner, now) {
                Acquire::Go(permit) => Some(permit),
                Acquire::Wait { until } => {
                    return Admittance::Closed { until, reason: "waiting for Roblox's rate limit" };
                }
            },
        };
        match rules.breaker.ask(now) {
            Barrier::Go(ticket) => Admittance::Open(ThrottlePermit {
                endpoint,
                right: Some(SendRight { permit, ticket }),
                throttle: self.clone(),
            }),
            Barrier::WaitUntil(until) => {
                if let Some(permit) = permit {
                    rules.limits.release_unsent(permit);
                }
                Admittance::Closed { until: Some(until), reason: "Roblox fails: waiting for it to recover" }
            }
        }
    }

    /// Whether Roblox has answered a request as it should since then.
    pub(crate) fn has_answered_since(&self, then: Timestamp) -> bool {
        self.inner.well.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at > then)
    }

    /// Whether the remote fails, so that nothing goes out but probes.
    pub(crate) fn is_failing(&self) -> bool {
        self.rules().breaker.open_since().is_some()
    }

    /// Takes back the right to a request that was sent, with what came of it.
    pub(crate) fn release<T>(&self, mut pass: ThrottlePermit, reply: &ApiReply<T>) {
        let (heard, health) = judge(reply);
        let well = match &reply.result {
            Ok(_) => true,
            Err(failure) => failure.class == Class::Refused(Refusal::NotFound),
        };
        if well {
            *self.inner.well.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
        }
        let status = reply.head.as_ref().map(|head| head.status);
        (self.inner.listener)(ProgressEvent::Answered { endpoint: pass.endpoint.name(), status });
        if pass.endpoint == Endpoint::GetOperation {
            (self.inner.listener)(ProgressEvent::Polled);
        }
        if let Some(right) = pass.right.take() {
            self.take_back(right, heard, health);
        }
    }

    /// Takes back the right to a request that was never sent.
    pub(crate) fn release_unsent(&self, mut pass: ThrottlePermit) {
        if let Some(right) = pass.right.take() {
            self.take_back(right, None, HealthSignal::Unknown);
        }
    }

    /// `heard` is `None` for what never left.
    fn take_back(&self, right: SendRight, heard: Option<LimitSignal>, health: HealthSignal) {
        let SendRight { permit, ticket } = right;
        let (now, jitter) = (moment(), fastrand::f64());
        {
            let mut rules = self.rules();
            match (permit, heard) {
                (Some(permit), Some(heard)) => rules.limits.report(permit, heard, jitter, now),
                (Some(permit), None) => rules.limits.release_unsent(permit),
                (None, _) => {}
            }
            rules.breaker.report(ticket, health, jitter, now);
        }
        self.inner.changed.notify_waiters();
    }

    /// What is worth remembering of the limits at the time of day `now`.
    pub(crate) fn snapshot(&self, now: Timestamp) -> Vec<LimitRecord> {
        self.rules().limits.snapshot(moment(), now)
    }
}

/// Now, on the clock of the schedules.
pub(crate) fn moment() -> Moment {
    Moment::after_start(clock::elapsed())
}

/// Which limit a request counts against; looking at the key counts against none.
const fn budget(endpoint: Endpoint) -> Option<Budget> {
    Some(match endpoint {
        Endpoint::CreateAsset => Budget::CreateAsset,
        Endpoint::GetAsset => Budget::GetAsset,
        Endpoint::UpdateAsset => Budget::UpdateAsset,
        Endpoint::ArchiveAsset => Budget::Archive,
        Endpoint::RestoreAsset => Budget::Restore,
        Endpoint::ListVersions => Budget::ListVersions,
        Endpoint::GetVersion => Budget::GetVersion,
        Endpoint::Rollback => Budget::Rollback,
        Endpoint::GetOperation => Budget::Operations,
        Endpoint::Introspect => return None,
    })
}

/// What an answer tells of the limits (nothing, if the request never left) and of the remote's
/// health.
fn judge<T>(reply: &ApiReply<T>) -> (Option<LimitSignal>, HealthSignal) {
    let Some(head) = &reply.head else {
        return match &reply.result {
            Err(failure) if !failure.class.is_outage() => (None, HealthSignal::Unknown),
            Ok(_) | Err(_) => (Some(LimitSignal::Silence), HealthSignal::Failed),
        };
    };
    let limits = &head.limits;
    let sample = LimitSample::parse(&limits.limit, &limits.remaining, &limits.reset, &limits.retry_after, clock::now());
    // A used-up quota keeps nobody else waiting.
    let quota = matches!(&reply.result, Err(failure) if failure.class == Class::TryLater(Later::QuotaSpent));
    if head.status == 429 && !quota {
        return (Some(LimitSignal::Limited(sample)), HealthSignal::Unknown);
    }
    let failed = matches!(&reply.result, Err(failure) if failure.class.is_outage());
    let heard =
        if failed && sample == LimitSample::default() { LimitSignal::Silence } else { LimitSignal::Answer(sample) };
    (Some(heard), if failed { HealthSignal::Failed } else { HealthSignal::Answered })
}
