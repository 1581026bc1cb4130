//! The benchmarks: creates and polls against a simulated remote with 120 creates and 100 polls a
//! minute, at virtual time. The counts are exact.

use super::*;
use crate::cloud::limits::simulation::{Headers, LimitedRemote, Rounding, Scheme};
use crate::cloud::limits::{Acquire, Budget, LimitOwner, LimitSignal, Permit, RateLimits};
use crate::model::asset::AssetType;
use crate::model::latency::LatencySample;

const KIND: OperationKind = OperationKind { asset_type: AssetType::Model, action: OperationAction::Create };
const IMAGES: OperationKind = OperationKind { asset_type: AssetType::Image, action: OperationAction::Create };

/// The length of a step of the simulation.
const STEP: Duration = Duration::from_millis(10);

/// A sync to simulate.
struct SimulatedSync<'a> {
    assets: u64,
    kind: OperationKind,
    known: &'a [LatencyRecord],
    /// The time from a request to its response; the remote reads it half way.
    round_trip: Duration,
    /// The creates that may be on the wire at once.
    uploads: usize,
    scheme: Scheme,
    /// An urgent change beside it: when, of which kind, and how long its operation takes.
    edit: Option<(Moment, OperationKind, Duration)>,
}

struct SimulationReport {
    /// When the edit was on the wire, and when it was found done.
    edited: Option<(Moment, Moment)>,
    took: Duration,
    polls: u32,
    refused: u32,
    latencies: Vec<LatencyRecord>,
}

/// The key of the edit.
const EDIT: u64 = u64::MAX;

/// The budget of the requests that begin operations of a kind.
fn budget_of(kind: OperationKind) -> Budget {
    match kind.action {
        OperationAction::Create => Budget::CreateAsset,
        OperationAction::UpdateContent | OperationAction::UpdateMetadata => Budget::UpdateAsset,
    }
}

/// A request on its way: when the remote reads it, and its answer.
enum Travelling {
    Create { key: u64, permit: Permit, signal: Option<LimitSignal> },
    Poll { key: u64, permit: Permit, signal: Option<LimitSignal>, outcome: PollOutcome },
}

impl SimulatedSync<'_> {
    /// Uploads all assets. Each operation takes `latency(key)` from when the remote has read its
    /// create.
    fn run(&self, latency: impl Fn(u64) -> Duration) -> SimulationReport {
        let owner = LimitOwner::new("user:1");
        let mut limits = RateLimits::new();
        let mut schedule = PollSchedule::restore(self.known);
        let mut creates = LimitedRemote::new(120, self.scheme, Rounding::Up, Headers::Full);
        let mut updates = LimitedRemote::new(120, self.scheme, Rounding::Up, Headers::Full);
        let mut operations = LimitedRemote::new(100, self.scheme, Rounding::Up, Headers::Full);
        let (mut unsent, mut done, mut polls): (Vec<u64>, u64, u32) = ((0..self.assets).rev().collect(), 0, 0);
        let mut accepted = HashMap::new();
        let mut travelling: Vec<(Moment, Travelling)> = Vec::new();
        let (there, mut uploading) = (self.round_trip / 2, 0);
        let (mut edit, mut wired, mut edited) = (self.edit, None, None);
        if edit.is_some() {
            limits.keep_reserve();
        }
        let mut now = Moment::START;
        while done < self.assets && edited.is_none() {
            assert!(now.since(Moment::START) < Duration::from_secs(7200), "{done} done in two hours");
            loop {
                let mut moved = false;
                if let Some((at, kind, _)) = edit
                    && at <= now
                    && let Acquire::Go(permit) = limits.acquire(budget_of(kind), &owner, Urgency::Live, now)
                {
                    travelling.push((now + there, Travelling::Create { key: EDIT, permit, signal: None }));
                    (edit, wired) = (None, Some(now));
                }
                if uploading < self.uploads
                    && !unsent.is_empty()
                    && let Acquire::Go(permit) = limits.acquire(Budget::CreateAsset, &owner, Urgency::FirstUpload, now)
                    && let Some(key) = unsent.pop()
                {
                    travelling.push((now + there, Travelling::Create { key, permit, signal: None }));
                    uploading += 1;
                    moved = true;
                }
                for lane in Lane::ALL {
                    let PollTarget::Now(key) = schedule.due(lane, now) else { continue };
                    let permit = limits.acquire(Budget::Operations, &owner, lane.urgency(), now);
                    let Acquire::Go(permit) = permit else { continue };
                    schedule.begin(key, now);
                    polls += 1;
                    let outcome = PollOutcome::Unanswered;
                    travelling.push((now + there, Travelling::Poll { key, permit, signal: None, outcome }));
                    moved = true;
                }
                let arrived = travelling.iter().position(|(at, _)| *at <= now);
                match arrived.map(|index| travelling.swap_remove(index)) {
                    None if !moved => break,
                    None => {}
                    Some((at, Travelling::Create { key, permit, signal: None })) => {
                        let kind = self.kind_of(key);
                        let signal =
                            if budget_of(kind) == Budget::UpdateAsset { &mut updates } else { &mut creates }.serve(at);
                        accepted.insert(key, at);
                        travelling.push((at + there, Travelling::Create { key, permit, signal: Some(signal) }));
                    }
                    Some((_, Travelling::Create { key, permit, signal: Some(signal) })) => {
                        uploading -= usize::from(key != EDIT);
                        if matches!(signal, LimitSignal::Answer(_)) {
                            let urgency = if key == EDIT { Urgency::Live } else { Urgency::FirstUpload };
                            schedule.insert(key, self.kind_of(key), urgency, now);
                        } else {
                            unsent.push(key);
                        }
                        limits.report(permit, signal, 0.5, now);
                    }
                    Some((at, Travelling::Poll { key, permit, signal: None, .. })) => {
                        let signal = operations.serve(at);
                        let outcome = match signal {
                            LimitSignal::Answer(_) if at.since(accepted[&key]) >= self.takes(key, &latency) => {
                                PollOutcome::Done
                            }
                            LimitSignal::Answer(_) => PollOutcome::Pending,
                            _ => PollOutcome::Unanswered,
                        };
                        travelling.push((at + there, Travelling::Poll { key, permit, signal: Some(signal), outcome }));
                    }
                    Some((_, Travelling::Poll { key, permit, signal: Some(signal), outcome })) => {
                        done += u64::from(outcome == PollOutcome::Done);
                        if key == EDIT && outcome == PollOutcome::Done {
                            edited = wired.map(|wired| (wired, now));
                        }
                        schedule.report(key, outcome, 0.5, now);
                        limits.report(permit, signal, 0.5, now);
                    }
                }
            }
            now = now + STEP;
        }
        SimulationReport {
            edited,
            took: now.since(Moment::START),
            polls,
            refused: creates.refused + updates.refused + operations.refused,
            latencies: schedule.latencies(),
        }
    }

    fn kind_of(&self, key: u64) -> OperationKind {
        self.edit.filter(|_| key == EDIT).map_or(self.kind, |(_, kind, _)| kind)
    }

    fn takes(&self, key: u64, latency: impl Fn(u64) -> Duration) -> Duration {
        self.edit.filter(|_| key == EDIT).map_or_else(|| latency(key), |(_, _, takes)| takes)
    }
}

/// A sync of Models whose responses take no time.
fn sync(assets: u64, known: &[LatencyRecord], latency: impl Fn(u64) -> Duration) -> SimulationReport {
    let (round_trip, uploads, scheme) = (Duration::ZERO, 1, Scheme::OnRequest);
    SimulatedSync { assets, kind: KIND, known, round_trip, uploads, scheme, edit: None }.run(latency)
}

/// The shortest time that the limits and one operation allow, with 1.1 polls an operation.
fn floor(assets: u64, longest: Duration) -> Duration {
    let windows = assets.div_ceil(120).max((assets * 11).div_ceil(1000)) - 1;
    Duration::from_secs(60 * windows) + longest
}

/// Checks a cold run and then two warm ones. `cold` and `warm` are the most polls per asset; runs
/// with a fixed latency must also end in time.
#[track_caller]
fn check(assets: u64, latency: impl Fn(u64) -> Duration, longest: Option<Duration>, cold: f64, warm: f64) {
    let mut known = Vec::new();
    for (name, most) in [("cold", cold), ("warm", warm), ("warm again", warm)] {
        let report = sync(assets, &known, &latency);
        let each = f64::from(report.polls) / assets as f64;
        assert_eq!(report.refused, 0, "{name}");
        assert!(each <= most, "{name}: {each} polls an asset");
        if let Some(longest) = longest {
            let floor = floor(assets, longest);
            let more = floor.mul_f64(0.05).max(Duration::from_secs(2));
            assert!(report.took <= floor + more, "{name}: {:?}, the floor is {floor:?}", report.took);
        }
        known = report.latencies;
    }
}

#[test]
fn three_hundred_assets_stay_within_the_poll_budget() {
    let three = Duration::from_secs(3);
    check(300, |_| three, Some(three), 1.5, 1.1);
}

#[test]
fn syncs_of_other_sizes_stay_within_the_poll_budget() {
    for (assets, millis) in [(60, 500), (90, 1500), (170, 8000), (430, 3000), (1000, 12_000)] {
        let latency = Duration::from_millis(millis);
        check(assets, |_| latency, Some(latency), 1.5, 1.1);
    }
}

#[test]
fn latencies_that_vary_cost_few_polls_more() {
    // Evenly from 1.3 to 10 s, as users report for .rbxm.
    check(600, |key| Duration::from_millis(1300 + key * 7919 % 8700), None, 1.5, 1.1);
    // Most in 3 s, one in fifty in a minute.
    let slow = |key: u64| if key % 50 == 13 { Duration::from_secs(60) } else { Duration::from_secs(3) };
    check(600, slow, None, 1.5, 1.25);
}

#[test]
fn slower_operations_than_remembered_are_soon_known_again() {
    let known = [LatencyRecord { kind: KIND.name(), samples: vec![LatencySample::done(3000); KEPT] }];
    let report = sync(300, &known, |_| Duration::from_secs(10));
    assert_eq!(report.refused, 0);
    assert!(report.polls <= 330, "{} polls", report.polls);
    let again = sync(300, &report.latencies, |_| Duration::from_secs(10));
    assert!(again.polls <= 330, "{} polls", again.polls);
}

/// The rows of the table of speeds: 80 new images, cold, and 250 warm.
#[test]
fn new_images_take_an_operations_time_and_the_windows() {
    for (seconds, scheme) in
        [(6, Scheme::OnRequest), (10, Scheme::OnRequest), (6, Scheme::InStep(31_000)), (10, Scheme::InStep(31_000))]
    {
        let (latency, round_trip) = (Duration::from_secs(seconds), Duration::from_millis(20));
        let run = |assets, known: &[LatencyRecord]| {
            SimulatedSync { assets, kind: IMAGES, known, round_trip, uploads: 8, scheme, edit: None }.run(|_| latency)
        };
        let cold = run(80, &[]);
        assert_eq!(cold.refused, 0);
        assert!(cold.took <= latency + Duration::from_secs(2), "{scheme:?} {seconds} s: {:?}", cold.took);
        assert!(cold.polls <= 120, "{} polls for 80", cold.polls);
        let warm = run(250, &cold.latencies);
        assert_eq!(warm.refused, 0);
        let floor = floor(250, latency);
        assert!(warm.took <= floor.mul_f64(1.05), "{scheme:?} {seconds} s: {:?}, the floor is {floor:?}", warm.took);
        assert!(warm.polls <= 275, "{} polls for 250", warm.polls);
    }
}

#[test]
fn three_hundred_known_creates_cost_one_poll_each() {
    for seconds in [1, 3, 6, 10] {
        let known = [LatencyRecord { kind: IMAGES.name(), samples: vec![LatencySample::done(seconds * 1000); KEPT] }];
        let (round_trip, uploads, scheme) = (Duration::from_millis(20), 8, Scheme::OnRequest);
        let sync = SimulatedSync { assets: 300, kind: IMAGES, known: &known, round_trip, uploads, scheme, edit: None };
        let report = sync.run(|_| Duration::from_secs(seconds.into()));
        assert_eq!((report.refused, report.polls / 3), (0, 100), "{seconds} s: {} polls", report.polls);
    }
}

/// Whatever the kind, the time of its operations and the remote's windows, and also with a slow
/// network: no 429, few polls, and close to the least time.
#[test]
fn every_kind_stays_within_the_poll_budget() {
    for asset_type in AssetType::ALL {
        for action in [OperationAction::Create, OperationAction::UpdateContent, OperationAction::UpdateMetadata] {
            let kind = OperationKind { asset_type, action };
            for (millis, round_trip) in [(500, 20), (3000, 200), (6000, 20), (10_000, 200), (25_000, 20)] {
                let (latency, round_trip) = (Duration::from_millis(millis), Duration::from_millis(round_trip));
                let mut known = Vec::new();
                for (name, most) in [("cold", 1.5), ("warm", 1.1), ("warm again", 1.1)] {
                    let scheme = if millis % 1000 == 0 { Scheme::OnRequest } else { Scheme::InStep(23_000) };
                    let sync =
                        SimulatedSync { assets: 90, kind, known: &known, round_trip, uploads: 8, scheme, edit: None };
                    let report = sync.run(|_| latency);
                    let each = f64::from(report.polls) / 90.0;
                    let told = format!("{} {millis} ms, {name}: {each} polls, {:?}", kind.name(), report.took);
                    assert_eq!(report.refused, 0, "{told}");
                    assert!(each <= most, "{told}");
                    known = report.latencies;
                }
            }
        }
    }
}

/// While 5,000 first uploads are on their way, somebody changes an asset that players have. Whether
/// that is an update or a new asset in its place, and at whatever time of the windows: it is on the
/// wire within a second, and done within its operation's time and five seconds.
#[test]
fn an_urgent_edit_overtakes_five_thousand_first_uploads() {
    let update = OperationKind { action: OperationAction::UpdateContent, ..KIND };
    for (kind, known) in [(update, true), (IMAGES, true), (update, false), (IMAGES, false)] {
        for second in (0..60).step_by(7) {
            let three = Duration::from_secs(3);
            let row = LatencyRecord { kind: kind.name(), samples: vec![LatencySample::done(3000); KEPT] };
            let rows = if known { vec![row] } else { Vec::new() };
            let at = Moment::START + Duration::from_secs(120 + second);
            let sync = SimulatedSync {
                assets: 5000,
                kind: IMAGES,
                known: &rows,
                round_trip: Duration::from_millis(200),
                uploads: 8,
                scheme: Scheme::OnRequest,
                edit: Some((at, kind, three)),
            };
            let report = sync.run(|_| three);
            let (wired, done) = report.edited.expect("edited");
            let told = format!("{} at {second} s: {:?}, {:?}", kind.name(), wired.since(at), done.since(at));
            assert_eq!(report.refused, 0, "{told}");
            assert!(wired.since(at) <= Duration::from_secs(1), "{told}");
            assert!(done.since(at) <= three + Duration::from_secs(5), "{told}");
        }
    }
}
