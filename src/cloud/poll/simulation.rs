//! The benchmarks: creates and polls against a simulated remote with 120 creates and 100 polls a
//! minute.

use super::*;
use crate::cloud::limits::simulation::{Headers, LimitedRemote, Rounding, Scheme};
use crate::cloud::limits::{Acquire, Budget, LimitOwner, LimitSignal, RateLimits};
use crate::model::asset::AssetType;

const KIND: OperationKind = OperationKind { asset_type: AssetType::Model, action: OperationAction::Create };

struct SimulationReport {
    took: Duration,
    polls: u32,
    refused: u32,
    latencies: Vec<LatencyRecord>,
}

/// Uploads `assets` in steps of 10 ms. Each operation takes `latency(key)`, and responses take no
/// time.
fn sync(assets: u64, known: &[LatencyRecord], latency: impl Fn(u64) -> Duration) -> SimulationReport {
    let owner = LimitOwner::new("user:1");
    let mut limits = RateLimits::new();
    let mut schedule = PollSchedule::restore(known);
    let mut creates = LimitedRemote::new(120, Scheme::OnRequest, Rounding::Up, Headers::Full);
    let mut operations = LimitedRemote::new(100, Scheme::OnRequest, Rounding::Up, Headers::Full);
    let (mut created, mut done, mut polls) = (0, 0, 0);
    let mut submitted = HashMap::new();
    let mut now = Moment::START;
    while done < assets {
        assert!(now.since(Moment::START) < Duration::from_secs(7200), "{done} of {assets} done in two hours");
        while created < assets
            && let Acquire::Go(permit) = limits.acquire(Budget::CreateAsset, &owner, now)
        {
            let signal = creates.serve(now);
            if matches!(signal, LimitSignal::Answer(_)) {
                schedule.insert(created, KIND, now);
                submitted.insert(created, now);
                created += 1;
            }
            limits.report(permit, signal, 0.5, now);
        }
        while let PollTarget::Now(key) = schedule.due(now)
            && let Acquire::Go(permit) = limits.acquire(Budget::Operations, &owner, now)
        {
            schedule.begin(key, now);
            polls += 1;
            let signal = operations.serve(now);
            let outcome = match signal {
                LimitSignal::Answer(_) if now.since(submitted[&key]) >= latency(key) => PollOutcome::Done,
                LimitSignal::Answer(_) => PollOutcome::Pending,
                _ => PollOutcome::Unanswered,
            };
            done += u64::from(outcome == PollOutcome::Done);
            schedule.report(key, outcome, 0.5, now);
            limits.report(permit, signal, 0.5, now);
        }
        now = now + Duration::from_millis(10);
    }
    SimulationReport {
        took: now.since(Moment::START),
        polls,
        refused: creates.refused + operations.refused,
        latencies: schedule.latencies(),
    }
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
            let windows = assets.div_ceil(120).max((assets * 11).div_ceil(1000)) - 1;
            let floor = Duration::from_secs(60 * windows) + longest;
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
    let known = [LatencyRecord { kind: KIND.name(), millis: vec![3000; KEPT] }];
    let report = sync(300, &known, |_| Duration::from_secs(10));
    assert_eq!(report.refused, 0);
    assert!(report.polls <= 400, "{} polls", report.polls);
    let again = sync(300, &report.latencies, |_| Duration::from_secs(10));
    assert!(again.polls <= 330, "{} polls", again.polls);
}
