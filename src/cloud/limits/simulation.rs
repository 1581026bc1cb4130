//! The proof: [`RateLimits`] against a simulated remote that counts in fixed windows, in simulated
//! time.

use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

const BUDGET: Budget = Budget::CreateAsset;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The times when windows begin.
#[derive(Debug, Clone, Copy)]
pub(in crate::cloud) enum Scheme {
    /// In step with the remote's clock. The first window ends after this many milliseconds.
    InStep(u64),
    /// With the first request after the previous window ended.
    OnRequest,
}

/// The way a reset is rounded to whole seconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::cloud) enum Rounding {
    Up,
    Down,
    /// Alternately up and down: clocks a second apart.
    Mixed,
}

/// The form of a response's headers.
#[derive(Debug, Clone, Copy)]
pub(in crate::cloud) enum Headers {
    Full,
    /// Lists that contain a larger limit too.
    Lists,
    /// No headers, except a `retry-after` on a 429, which is too short.
    Missing,
}

#[derive(Debug, Clone)]
pub(in crate::cloud) struct LimitedRemote {
    limit: u32,
    scheme: Scheme,
    rounding: Rounding,
    headers: Headers,
    ends_at: Option<Moment>,
    count: u32,
    asked: u32,
    pub(in crate::cloud) refused: u32,
}

impl LimitedRemote {
    pub(in crate::cloud) fn new(limit: u32, scheme: Scheme, rounding: Rounding, headers: Headers) -> Self {
        let ends_at = match scheme {
            Scheme::InStep(phase) => Some(Moment::START + millis(phase)),
            Scheme::OnRequest => None,
        };
        Self { limit, scheme, rounding, headers, ends_at, count: 0, asked: 0, refused: 0 }
    }

    pub(in crate::cloud) fn serve(&mut self, now: Moment) -> LimitSignal {
        self.asked += 1;
        let minute = millis(60_000);
        let mut ends_at = self.ends_at.unwrap_or(now);
        if ends_at <= now {
            self.count = 0;
            ends_at = match self.scheme {
                Scheme::OnRequest => now + minute,
                Scheme::InStep(_) => {
                    while ends_at <= now {
                        ends_at = ends_at + minute;
                    }
                    ends_at
                }
            };
        }
        self.ends_at = Some(ends_at);
        let refused = self.count >= self.limit;
        if refused {
            self.refused += 1;
        } else {
            self.count += 1;
        }
        let left = ends_at.since(now).as_millis() as u64;
        let reset = match self.rounding {
            Rounding::Up => left.div_ceil(1000),
            Rounding::Down => left / 1000,
            Rounding::Mixed if self.asked.is_multiple_of(2) => left.div_ceil(1000),
            Rounding::Mixed => left / 1000,
        };
        let (limit, remaining) = (self.limit, self.limit.saturating_sub(self.count));
        let retry_after = if refused { vec!["5".to_owned()] } else { Vec::new() };
        let wall = Timestamp::UNIX_EPOCH;
        let header = |text: String| vec![text];
        let sample = match self.headers {
            Headers::Full => LimitSample::parse(
                &header(limit.to_string()),
                &header(remaining.to_string()),
                &header(reset.to_string()),
                &retry_after,
                wall,
            ),
            Headers::Lists => LimitSample::parse(
                &header(format!("{limit}, {limit};w=60, 70000")),
                &header(format!("{remaining}, 69000")),
                &header(format!("{reset}, {}", reset / 2)),
                &retry_after,
                wall,
            ),
            Headers::Missing => LimitSample::parse(&[], &[], &[], &retry_after, wall),
        };
        if refused { LimitSignal::Limited(sample) } else { LimitSignal::Answer(sample) }
    }
}

/// One Macadam with uploads to do.
struct SimulatedClient {
    limits: RateLimits,
    jobs: u32,
    at_once: u32,
    /// Pairs of latencies to the remote and back, in milliseconds, used in turn.
    latencies: VecDeque<(u64, u64)>,
    in_flight: u32,
    done: u32,
    refused: u32,
    done_at: Vec<Moment>,
}

impl SimulatedClient {
    fn new(jobs: u32, at_once: u32, latencies: &[(u64, u64)]) -> Self {
        Self {
            limits: RateLimits::new(),
            jobs,
            at_once,
            latencies: latencies.iter().copied().collect(),
            in_flight: 0,
            done: 0,
            refused: 0,
            done_at: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.done >= self.jobs
    }

    fn finished_at(&self) -> Moment {
        *self.done_at.last().expect("it has done something")
    }
}

enum SimulationEvent {
    Wake(usize),
    Arrive(usize, Permit, u64),
    Return(usize, Permit, LimitSignal),
    Outside(RemoteEvent),
}

/// An event at the remote that no client caused.
#[derive(Debug, Clone, Copy)]
enum RemoteEvent {
    /// Another tool's request.
    Request,
    /// Changes the limit.
    Limit(u32),
}

/// Runs until every client is done.
fn run(remote: &mut LimitedRemote, clients: &mut [SimulatedClient], outside: &[(u64, RemoteEvent)]) {
    let owner = LimitOwner::new("user:1");
    let mut queue = BinaryHeap::new();
    let mut events: Vec<Option<SimulationEvent>> = Vec::new();
    let push =
        |queue: &mut BinaryHeap<Reverse<(Moment, usize)>>, events: &mut Vec<Option<SimulationEvent>>, at, event| {
            events.push(Some(event));
            queue.push(Reverse((at, events.len() - 1)));
        };
    for client in 0..clients.len() {
        push(&mut queue, &mut events, Moment::START, SimulationEvent::Wake(client));
    }
    for (at, what) in outside {
        push(&mut queue, &mut events, Moment::START + millis(*at), SimulationEvent::Outside(*what));
    }
    while clients.iter().any(|client| !client.is_done()) {
        let Reverse((now, index)) = queue.pop().expect("somebody waits for something that never comes");
        assert!(now < Moment::START + millis(24 * 3_600_000), "no end within a day");
        let awake = match events[index].take().expect("each event happens once") {
            SimulationEvent::Outside(RemoteEvent::Request) => {
                remote.serve(now);
                continue;
            }
            SimulationEvent::Outside(RemoteEvent::Limit(limit)) => {
                remote.limit = limit;
                continue;
            }
            SimulationEvent::Arrive(index, permit, back) => {
                let signal = remote.serve(now);
                push(&mut queue, &mut events, now + millis(back), SimulationEvent::Return(index, permit, signal));
                continue;
            }
            SimulationEvent::Return(index, permit, signal) => {
                let client = &mut clients[index];
                client.in_flight -= 1;
                if matches!(signal, LimitSignal::Limited(_)) {
                    client.refused += 1;
                } else {
                    client.done += 1;
                    client.done_at.push(now);
                }
                // Every instance draws its own numbers.
                let jitter = (f64::from(client.done + client.refused) * 0.618 + index as f64 * 0.41).fract();
                client.limits.report(permit, signal, jitter, now);
                index
            }
            SimulationEvent::Wake(index) => index,
        };
        let client = &mut clients[awake];
        while client.done + client.in_flight < client.jobs && client.in_flight < client.at_once {
            match client.limits.acquire(BUDGET, &owner, Urgency::FirstUpload, now) {
                Acquire::Go(permit) => {
                    client.in_flight += 1;
                    client.latencies.rotate_left(1);
                    let (there, back) = client.latencies[0];
                    push(&mut queue, &mut events, now + millis(there), SimulationEvent::Arrive(awake, permit, back));
                }
                Acquire::Wait { until } => {
                    if let Some(until) = until {
                        assert!(now < until, "told to wait until a time that has come");
                        push(&mut queue, &mut events, until, SimulationEvent::Wake(awake));
                    } else {
                        assert!(client.in_flight > 0, "told to wait for a report that never comes");
                    }
                    break;
                }
            }
        }
    }
}

fn schemes() -> impl Strategy<Value = Scheme> {
    prop_oneof![(1_u64..=60_000).prop_map(Scheme::InStep), Just(Scheme::OnRequest)]
}

fn roundings() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::Up), Just(Rounding::Down), Just(Rounding::Mixed)]
}

fn headers() -> impl Strategy<Value = Headers> {
    prop_oneof![Just(Headers::Full), Just(Headers::Lists), Just(Headers::Missing)]
}

fn latencies(longest: u64) -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((20..longest, 20..longest), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_single_client_neither_exceeds_nor_wastes_a_window(
        limit in 1_u32..=120,
        scheme in schemes(),
        rounding in roundings(),
        headers in headers(),
        latencies in latencies(1500),
        at_once in 1_u32..200,
        windows in 1_u32..5,
        more in 0_u32..120,
    ) {
        let limit = if matches!(headers, Headers::Missing) { 120 } else { limit };
        let mut remote = LimitedRemote::new(limit, scheme, rounding, headers);
        let jobs = limit * (windows - 1) + 1 + more.min(limit - 1);
        let mut clients = [SimulatedClient::new(jobs, at_once, &latencies)];
        run(&mut remote, &mut clients, &[]);
        prop_assert_eq!(remote.refused, 0);
        // A window, its guard and the responses at its edge; plus the time to send one window's
        // requests when few go at once.
        let slowest = latencies.iter().map(|(there, back)| there + back).max().unwrap_or(0);
        let sending = slowest * u64::from(jobs) / u64::from(at_once.min(8)) + 3 * slowest + 500;
        let bound = u64::from(windows) * (62_000 + 2 * slowest) + sending;
        let took = clients[0].finished_at().since(Moment::START);
        prop_assert!(took <= millis(bound), "{:?} for {} of {} a window", took, jobs, limit);
    }

    #[test]
    fn beside_strangers_refusals_stay_few_and_the_work_gets_done(
        scheme in schemes(),
        latencies in latencies(400),
        at_once in 1_u32..50,
        jobs in 50_u32..300,
        pace in 1000_u64..5000,
    ) {
        let mut remote = LimitedRemote::new(120, scheme, Rounding::Up, Headers::Full);
        let mut clients = [SimulatedClient::new(jobs, at_once, &latencies)];
        let strangers: Vec<_> = (1..600).map(|n| (n * pace, RemoteEvent::Request)).collect();
        run(&mut remote, &mut clients, &strangers);
        let took = clients[0].finished_at().since(Moment::START);
        let windows = took.as_secs() as u32 / 60 + 1;
        prop_assert!(clients[0].refused <= 3 + 2 * windows, "{} refused in {} windows", clients[0].refused, windows);
        // Strangers take at most half, and the rest is ours.
        prop_assert!(windows <= jobs / 50 + 3, "{} windows for {}", windows, jobs);
    }

    #[test]
    fn two_instances_share_the_limit_fairly(
        scheme in schemes(),
        ours in latencies(400),
        theirs in latencies(400),
        at_once in 4_u32..30,
    ) {
        let mut remote = LimitedRemote::new(120, scheme, Rounding::Up, Headers::Full);
        let mut clients = [SimulatedClient::new(500, at_once, &ours), SimulatedClient::new(500, at_once, &theirs)];
        run(&mut remote, &mut clients, &[]);
        let last = clients.iter().map(SimulatedClient::finished_at).max().expect("two");
        let first = clients.iter().map(SimulatedClient::finished_at).min().expect("two");
        let windows = last.since(Moment::START).as_secs() as u32 / 60 + 1;
        let refused: u32 = clients.iter().map(|client| client.refused).sum();
        prop_assert!(refused <= 4 + 2 * windows, "{} refused in {} windows", refused, windows);
        prop_assert!(windows <= 12, "{} windows for 1000", windows);
        for client in &clients {
            let by_then = client.done_at.iter().filter(|at| **at <= first).count();
            prop_assert!(by_then >= 75, "only {} of 500 when the other was done", by_then);
        }
    }
}

#[test]
fn a_small_batch_never_waits() {
    for headers in [Headers::Full, Headers::Lists, Headers::Missing] {
        let mut remote = LimitedRemote::new(120, Scheme::InStep(30_000), Rounding::Up, headers);
        let mut clients = [SimulatedClient::new(90, 8, &[(100, 100)])];
        run(&mut remote, &mut clients, &[]);
        // Eight at once, 200 ms each, and one that goes alone.
        assert_eq!(clients[0].finished_at().since(Moment::START), millis(200 * (1 + 89_u64.div_ceil(8))));
    }
}

#[test]
fn three_hundred_requests_take_three_windows() {
    let mut remote = LimitedRemote::new(120, Scheme::OnRequest, Rounding::Up, Headers::Full);
    let mut clients = [SimulatedClient::new(300, 8, &[(1, 1)])];
    run(&mut remote, &mut clients, &[]);
    assert_eq!(remote.refused, 0);
    assert!(clients[0].finished_at().since(Moment::START) <= millis(2 * 61_100), "{:?}", clients[0].finished_at());
}

#[test]
fn a_limit_lowered_at_run_time_is_obeyed() {
    // At one request per second the limit falls below the spent count, and rises again later.
    let mut remote = LimitedRemote::new(120, Scheme::InStep(60_000), Rounding::Up, Headers::Full);
    let mut clients = [SimulatedClient::new(250, 1, &[(500, 500)])];
    run(&mut remote, &mut clients, &[(40_250, RemoteEvent::Limit(30)), (240_250, RemoteEvent::Limit(120))]);
    assert!(remote.refused <= 1, "{} refused", remote.refused);
    // A rival might have caused the refusal, so two requests are left to it. Then whole windows of
    // the new limit follow.
    let by =
        |seconds: u64| clients[0].done_at.iter().filter(|at| at.since(Moment::START) <= millis(seconds * 1000)).count();
    assert_eq!((by(60), by(120), by(180), by(240)), (40, 68, 98, 128));
    assert!(by(360) >= 130 + 30 + 50, "{}", by(360));
}
