//! The throttle that every request passes: the limits of its endpoint, and the breaker of the
//! remote. One per run.
//!
//! The rules are pure and live in `cloud`; here are their one instance, the clock, and a queue per
//! endpoint and urgency: the more urgent go first, and among equals those that came first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::cloud::breaker::{Breaker, BreakerGate, HealthSignal, RequestRole};
use crate::cloud::class::{Class, Later, Refusal};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::ApiReply;
use crate::cloud::limits::{Acquire, Budget, LimitOwner, LimitRecord, LimitSample, LimitSignal, Permit, RateLimits};
use crate::cloud::moment::Moment;
use crate::engine::remote::remote_clock::ClockOffset;
use crate::engine::report::progress::{Listener, ProgressEvent, WaitReason};
use crate::model::urgency::Urgency;
use crate::platform::clock;

/// The owner of the limits. One process has one key, so the real owner need not be known.
pub(crate) const OWNER: &str = "key";

/// A longer wait is reported to the listener, and again when it gets that much longer.
const WORTH_REPORTING: Duration = Duration::from_secs(2);

/// Issues permits for requests, within the limits. Clones share their state.
#[derive(Clone)]
pub(crate) struct Throttle {
    inner: Arc<ThrottleState>,
}

struct ThrottleState {
    rules: Mutex<Rules>,
    /// One queue per endpoint and urgency: its head waits for the rules, the others for their turn.
    queues: BTreeMap<(Endpoint, Urgency), tokio::sync::Mutex<()>>,
    changed: Notify,
    owner: LimitOwner,
    listener: Listener,
    /// The time of Roblox's last good response.
    last_good: Mutex<Option<Timestamp>>,
    /// How far this machine's clock was off at the last response that had a date.
    clock_offset: Mutex<Option<ClockOffset>>,
}

struct Rules {
    limits: RateLimits,
    breaker: Breaker,
    /// The last request found no connection.
    is_unconnected: bool,
    /// The queues whose head waits.
    heads: BTreeSet<(Endpoint, Urgency)>,
}

impl Rules {
    /// What is wrong with a remote that is failing.
    const fn outage(&self) -> WaitReason {
        if self.is_unconnected { WaitReason::Unconnected } else { WaitReason::Failing }
    }
}

/// The permit for one request. It is returned through [`Throttle::release`] or
/// [`Throttle::release_unsent`]; a dropped permit counts as a request without a response.
#[must_use = "tell the throttle what came of the request"]
pub(crate) struct ThrottlePermit {
    endpoint: Endpoint,
    right: Option<SendRight>,
    throttle: Throttle,
}

struct SendRight {
    permit: Option<Permit>,
    role: RequestRole,
}

impl Drop for ThrottlePermit {
    fn drop(&mut self) {
        if let Some(right) = self.right.take() {
            self.throttle.take_back(right, Some(LimitSignal::Silence), HealthSignal::Unknown);
        }
    }
}

/// The head of a queue, while it waits for the rules. Heads of less urgent queues let it go first.
struct QueueHead<'a> {
    throttle: &'a Throttle,
    queue: (Endpoint, Urgency),
}

impl<'a> QueueHead<'a> {
    fn new(throttle: &'a Throttle, endpoint: Endpoint, urgency: Urgency) -> Self {
        let queue = (endpoint, urgency);
        throttle.rules().heads.insert(queue);
        Self { throttle, queue }
    }
}

impl Drop for QueueHead<'_> {
    fn drop(&mut self) {
        self.throttle.rules().heads.remove(&self.queue);
        self.throttle.inner.changed.notify_waiters();
    }
}

enum Admittance {
    Open(ThrottlePermit),
    Closed { until: Option<Moment>, reason: WaitReason },
}

impl Throttle {
    /// Creates a throttle with the limits that an earlier run learned. `owner` stands for the owner
    /// of the key.
    pub(crate) fn new(rows: &[LimitRecord], owner: &str, listener: Listener) -> Self {
        Self::with(RateLimits::restore(rows, moment(), clock::now()), owner, listener)
    }

    /// Creates a throttle for a server without Roblox's documented limits.
    pub(crate) fn without_documented(owner: &str, listener: Listener) -> Self {
        Self::with(RateLimits::without_documented(), owner, listener)
    }

    fn with(limits: RateLimits, owner: &str, listener: Listener) -> Self {
        let rules =
            Mutex::new(Rules { limits, breaker: Breaker::new(), is_unconnected: false, heads: BTreeSet::new() });
        let each = |endpoint| Urgency::ALL.map(|urgency| ((endpoint, urgency), tokio::sync::Mutex::new(())));
        let queues = Endpoint::ALL.into_iter().flat_map(each).collect();
        let owner = LimitOwner::new(owner);
        Self {
            inner: Arc::new(ThrottleState {
                rules,
                queues,
                changed: Notify::new(),
                owner,
                listener,
                last_good: Mutex::default(),
                clock_offset: Mutex::default(),
            }),
        }
    }

    /// Keeps a part of each limit for urgent requests from now on, because more may come.
    pub(crate) fn keep_reserve(&self) {
        self.rules().limits.keep_reserve();
    }

    /// Waits until a request to `endpoint` may be sent. Cancelling is harmless.
    pub(crate) async fn acquire(&self, endpoint: Endpoint, urgency: Urgency) -> ThrottlePermit {
        let _first = match self.inner.queues.get(&(endpoint, urgency)) {
            Some(queue) => Some(queue.lock().await),
            None => None,
        };
        let _head = QueueHead::new(self, endpoint, urgency);
        let (since, mut logged, mut reported, mut waited) = (moment(), false, None, false);
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            // Listening before the check: a release in between is not missed.
            changed.as_mut().enable();
            match self.try_acquire(endpoint, urgency) {
                Admittance::Open(permit) => {
                    let time = moment().since(since);
                    if waited {
                        (self.inner.listener)(ProgressEvent::Waited { endpoint: endpoint.name(), time });
                    }
                    return permit;
                }
                Admittance::Closed { until, reason } => {
                    waited = true;
                    let left = until.map_or(Duration::from_secs(1), |until| until.since(moment()));
                    // A lone request soon learns the remaining limit, so only a lasting wait is
                    // reported.
                    let is_lasting = moment().since(since) >= WORTH_REPORTING;
                    if is_lasting && !std::mem::replace(&mut logged, true) {
                        tracing::info!(endpoint = endpoint.name(), seconds = left.as_secs(), "{reason}");
                    }
                    // One that waits for its turn alone knows no end: the one before it does.
                    let known = until.filter(|_| is_lasting);
                    if let Some(until) = known.filter(|until| is_news((reason, *until), reported)) {
                        reported = Some((reason, until));
                        (self.inner.listener)(ProgressEvent::Waiting { reason, wait: left });
                    }
                    let wait = if is_lasting { left } else { left.min(WORTH_REPORTING) };
                    let _ = tokio::time::timeout(wait.max(Duration::from_millis(1)), changed).await;
                }
            }
        }
    }

    /// Returns how many requests of a budget Roblox takes a minute; `None` if it limits none.
    pub(crate) fn a_minute(&self, budget: Budget) -> Option<u32> {
        self.rules().limits.a_minute(budget, &self.inner.owner)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.inner.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_acquire(&self, endpoint: Endpoint, urgency: Urgency) -> Admittance {
        let now = moment();
        let mut rules = self.rules();
        if rules.heads.iter().any(|(other, before)| *other == endpoint && *before < urgency) {
            return Admittance::Closed { until: None, reason: WaitReason::RateLimit };
        }
        let permit = match budget(endpoint) {
            None => None,
            Some(budget) => match rules.limits.acquire(budget, &self.inner.owner, urgency, now) {
                Acquire::Go(permit) => Some(permit),
                Acquire::Wait { until } => {
                    return Admittance::Closed { until, reason: WaitReason::RateLimit };
                }
            },
        };
        match rules.breaker.ask(now) {
            BreakerGate::Go(role) => Admittance::Open(ThrottlePermit {
                endpoint,
                right: Some(SendRight { permit, role }),
                throttle: self.clone(),
            }),
            BreakerGate::WaitUntil(until) => {
                if let Some(permit) = permit {
                    rules.limits.release_unsent(permit);
                }
                let reason = rules.outage();
                Admittance::Closed { until: Some(until), reason }
            }
        }
    }

    /// Returns whether Roblox has given a good response since `then`.
    pub(crate) fn has_answered_since(&self, then: Timestamp) -> bool {
        self.inner.last_good.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at > then)
    }

    /// Returns how far this machine's clock was off at the last answer; `None` if none had a date.
    pub(crate) fn clock_offset(&self) -> Option<ClockOffset> {
        *self.inner.clock_offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the remote is failing, so that only probes are sent.
    pub(crate) fn is_failing(&self) -> bool {
        self.outage().is_some()
    }

    /// Returns why only probes are sent: the remote fails, or nothing answers.
    pub(crate) fn outage(&self) -> Option<WaitReason> {
        let rules = self.rules();
        rules.breaker.open_since().map(|_| rules.outage())
    }

    /// Returns the permit of a request that was sent, with its response.
    pub(crate) fn release<T>(&self, mut permit: ThrottlePermit, reply: &ApiReply<T>) {
        let (signal, health) = judge(reply);
        let good = match &reply.result {
            Ok(_) => true,
            Err(failure) => failure.class == Class::Refused(Refusal::NotFound),
        };
        if good {
            *self.inner.last_good.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
        }
        let status = reply.head.as_ref().map(|head| head.status);
        if let Some(date) = reply.head.as_ref().and_then(|head| head.date) {
            let offset = ClockOffset::between(clock::remote(date), clock::now());
            *self.inner.clock_offset.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
        }
        let unconnected = matches!(&reply.result, Err(failure) if failure.is_without_connection()).then(clock::now);
        self.rules().is_unconnected = unconnected.is_some();
        (self.inner.listener)(ProgressEvent::Answered { endpoint: permit.endpoint.name(), status, unconnected });
        if permit.endpoint == Endpoint::GetOperation {
            (self.inner.listener)(ProgressEvent::Polled);
        }
        if let Some(right) = permit.right.take() {
            self.take_back(right, signal, health);
        }
    }

    /// Returns the permit of a request that was never sent.
    pub(crate) fn release_unsent(&self, mut permit: ThrottlePermit) {
        if let Some(right) = permit.right.take() {
            self.take_back(right, None, HealthSignal::Unknown);
        }
    }

    /// `signal` is `None` for a request that was never sent.
    fn take_back(&self, right: SendRight, signal: Option<LimitSignal>, health: HealthSignal) {
        let SendRight { permit, role } = right;
        let (now, jitter) = (moment(), fastrand::f64());
        {
            let mut rules = self.rules();
            match (permit, signal) {
                (Some(permit), Some(signal)) => rules.limits.report(permit, signal, jitter, now),
                (Some(permit), None) => rules.limits.release_unsent(permit),
                (None, _) => {}
            }
            rules.breaker.report(role, health, jitter, now);
        }
        self.inner.changed.notify_waiters();
    }

    /// Returns the limits worth saving, at the wall-clock time `now`.
    pub(crate) fn snapshot(&self, now: Timestamp) -> Vec<LimitRecord> {
        self.rules().limits.snapshot(moment(), now)
    }
}

/// Returns whether a wait has another reason than was reported, or got longer.
fn is_news((reason, until): (WaitReason, Moment), reported: Option<(WaitReason, Moment)>) -> bool {
    reported.is_none_or(|(known, end)| known != reason || until.since(end) >= WORTH_REPORTING)
}

/// Returns the current moment on the clock of the schedules.
pub(crate) fn moment() -> Moment {
    Moment::after_start(clock::elapsed())
}

/// Returns the limit that a request counts against. The key's introspection counts against none.
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

/// Returns what a response says about the limits (`None` if the request was never sent) and about
/// the remote's health.
fn judge<T>(reply: &ApiReply<T>) -> (Option<LimitSignal>, HealthSignal) {
    let Some(head) = &reply.head else {
        return match &reply.result {
            Err(failure) if !failure.class.is_outage() => (None, HealthSignal::Unknown),
            Ok(_) | Err(_) => (Some(LimitSignal::Silence), HealthSignal::Failed),
        };
    };
    let limits = &head.limits;
    let sample = LimitSample::parse(&limits.limit, &limits.remaining, &limits.reset, &limits.retry_after, clock::now());
    // A spent quota delays no other request.
    let quota = matches!(&reply.result, Err(failure) if failure.class == Class::TryLater(Later::QuotaSpent));
    if head.status == 429 && !quota {
        return (Some(LimitSignal::Limited(sample)), HealthSignal::Unknown);
    }
    let failed = matches!(&reply.result, Err(failure) if failure.class.is_outage());
    let signal =
        if failed && sample == LimitSample::default() { LimitSignal::Silence } else { LimitSignal::Answer(sample) };
    (Some(signal), if failed { HealthSignal::Failed } else { HealthSignal::Answered })
}
