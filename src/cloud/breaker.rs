//! The circuit breaker: while Roblox is down, Macadam sends an occasional probe instead of the
//! whole queue.
//!
//! Each remote has one breaker. It counts server failures in a row, never refusals: a server that
//! sends a well-formed 4xx works. It must never decide whether a request is repeated, only when the
//! next one may try. Pure: time and randomness are arguments.
//!
//! Read next: [`super::backoff`] for the waits between probes.

use super::backoff::Backoff;
use super::moment::Moment;
use std::time::Duration;

/// The failures in a row that open the circuit. Eight uploads run at once, so it is less than one
/// volley, and more than a hiccup on one request and its first repetition.
const FAILURES_TO_OPEN: u32 = 5;

/// The time after which a silent probe no longer keeps the others waiting. It may be a large
/// upload, or its task may have died.
const PROBE_PATIENCE: Duration = Duration::from_secs(60);

/// Whether a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerGate {
    /// The request may go. Report its outcome with this role.
    Go(RequestRole),
    /// Wait until this moment. A report may open the circuit earlier.
    WaitUntil(Moment),
}

/// The role of a request. A cheap request makes the best [`RequestRole::Probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestRole {
    /// One of many, while the circuit is closed.
    Ordinary,
    /// The one request that tests whether the remote is back.
    Probe,
}

/// The evidence that one request gives about the remote's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthSignal {
    /// A response in one of the service's shapes, refusals included.
    Answered,
    /// A 5xx, an error page, an unreadable body, or no response: connection refused, reset,
    /// timeout, name not found.
    Failed,
    /// No evidence: the request was not sent for a local reason, or a gateway that may have nothing
    /// behind it responded (a 429).
    Unknown,
}

/// The circuit breaker of one remote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Every request goes. Counts failures in a row.
    Closed { failures: u32 },
    /// No request goes before the next probe. Counts failed probes.
    Open { probes: u32, since: Moment, probe_at: Moment },
    /// A probe left at `sent_at` and has not been reported.
    Probing { probes: u32, since: Moment, sent_at: Moment },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Returns a closed breaker.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Decides whether a request may go now. The caller must report every request that got
    /// [`BreakerGate::Go`].
    pub(crate) fn ask(&mut self, now: Moment) -> BreakerGate {
        match self.state {
            State::Closed { .. } => BreakerGate::Go(RequestRole::Ordinary),
            State::Open { probe_at, .. } if now < probe_at => BreakerGate::WaitUntil(probe_at),
            State::Probing { sent_at, .. } if now < sent_at + PROBE_PATIENCE => {
                BreakerGate::WaitUntil(sent_at + PROBE_PATIENCE)
            }
            State::Open { probes, since, .. } | State::Probing { probes, since, .. } => {
                self.state = State::Probing { probes, since, sent_at: now };
                BreakerGate::Go(RequestRole::Probe)
            }
        }
    }

    /// Applies the outcome of a request. Any response closes the circuit, even to a request from
    /// before it opened. `jitter` (0 to 1) spreads the probes of several instances.
    pub(crate) fn report(&mut self, role: RequestRole, health: HealthSignal, jitter: f64, now: Moment) {
        self.state = match (health, self.state) {
            (HealthSignal::Answered, _) => State::Closed { failures: 0 },
            (HealthSignal::Failed, State::Closed { failures }) if failures + 1 < FAILURES_TO_OPEN => {
                State::Closed { failures: failures + 1 }
            }
            (HealthSignal::Failed, State::Closed { .. }) => {
                State::Open { probes: 0, since: now, probe_at: now + Backoff::PROBE.delay(1, jitter) }
            }
            (HealthSignal::Failed, State::Probing { probes, since, .. }) if role == RequestRole::Probe => {
                let probes = probes.saturating_add(1);
                let wait = Backoff::PROBE.delay(probes.saturating_add(1), jitter);
                State::Open { probes, since, probe_at: now + wait }
            }
            // The probe gave no evidence, so the next one may go at once.
            (HealthSignal::Unknown, State::Probing { probes, since, .. }) if role == RequestRole::Probe => {
                State::Open { probes, since, probe_at: now }
            }
            // Stragglers from before the circuit opened are no news.
            (HealthSignal::Failed | HealthSignal::Unknown, state) => state,
        };
    }

    /// Returns the time since which the remote has been failing, while the circuit is open.
    /// `status` and the logs show it.
    pub(crate) fn open_since(&self) -> Option<Moment> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { since, .. } | State::Probing { since, .. } => Some(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    /// Runs steps of the form `time verb expected`, one a line. `ask` asks the breaker; `answered`,
    /// `failed` and `unknown` report an ordinary request, and with the prefix `probe-` a probe.
    #[track_caller]
    fn check(script: &str) {
        let mut breaker = Breaker::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let now = at(words.next().unwrap().parse().unwrap());
            let verb = words.next().unwrap();
            let (role, word) =
                verb.strip_prefix("probe-").map_or((RequestRole::Ordinary, verb), |word| (RequestRole::Probe, word));
            let health = match word {
                "answered" => HealthSignal::Answered,
                "failed" => HealthSignal::Failed,
                "unknown" => HealthSignal::Unknown,
                _ => {
                    let decision = match breaker.ask(now) {
                        BreakerGate::Go(RequestRole::Ordinary) => "go".to_owned(),
                        BreakerGate::Go(RequestRole::Probe) => "probe".to_owned(),
                        BreakerGate::WaitUntil(until) => format!("wait {}", until.since(Moment::START).as_secs()),
                    };
                    assert_eq!(decision, words.collect::<Vec<_>>().join(" "), "{line}");
                    continue;
                }
            };
            breaker.report(role, health, 1.0, now);
        }
    }

    #[test]
    fn opens_after_five_failures_in_a_row_and_closes_on_a_response() {
        check(
            "0 failed
             0 failed
             0 failed
             0 failed
             0 ask go
             0 failed
             0 ask wait 1
             1 ask probe
             1 ask wait 61
             2 probe-failed
             2 ask wait 4
             4 ask probe
             4 probe-failed
             4 ask wait 8
             8 ask probe
             9 probe-answered
             9 ask go
             9 failed
             9 ask go",
        );
    }

    #[test]
    fn a_response_resets_the_failure_count() {
        check(
            "0 failed
             0 failed
             0 failed
             0 failed
             0 answered
             0 failed
             0 failed
             0 failed
             0 failed
             0 unknown
             0 ask go
             0 failed
             0 ask wait 1",
        );
    }

    #[test]
    fn stragglers_neither_lengthen_the_wait_nor_end_a_probe() {
        check(
            "0 failed
             0 failed
             0 failed
             0 failed
             0 failed
             0 failed
             0 failed
             0 ask wait 1
             1 ask probe
             1 failed
             1 ask wait 61
             1 probe-unknown
             1 ask probe
             2 answered
             2 ask go",
        );
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        check(
            "0 failed
             0 failed
             0 failed
             0 failed
             0 failed
             5 ask probe
             64 ask wait 65
             65 ask probe
             65 ask wait 125",
        );
    }

    #[test]
    fn an_hour_of_outage_costs_about_a_probe_a_minute() {
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES_TO_OPEN {
            breaker.report(RequestRole::Ordinary, HealthSignal::Failed, 0.5, at(0));
        }
        assert_eq!(breaker.open_since(), Some(at(0)));
        let mut probes = Vec::new();
        for now in (0..3600).map(at) {
            if let BreakerGate::Go(role) = breaker.ask(now) {
                assert_eq!(role, RequestRole::Probe);
                probes.push(now);
                breaker.report(role, HealthSignal::Failed, 0.5, now);
            }
        }
        assert!((60..=90).contains(&probes.len()), "{} probes", probes.len());
        assert!(probes.windows(2).all(|pair| pair[1].since(pair[0]) <= Duration::from_secs(60)));
        assert_eq!(breaker.open_since(), Some(at(0)));
        breaker.report(RequestRole::Probe, HealthSignal::Answered, 0.5, at(3600));
        assert_eq!(breaker.open_since(), None);
    }
}
