//! The circuit breaker: while Roblox is down a probe goes out now and then, not the whole queue.
//!
//! One for a remote. It counts failures of the server in a row, never refusals: a well-formed 4xx
//! is a server that works. It must never decide whether something is repeated, only when the next
//! request may try. Pure: time and randomness are arguments.

use super::backoff::Backoff;
use super::moment::Moment;
use std::time::Duration;

/// So many failures in a row open the circuit. With eight uploads at once it is less than one
/// volley, and more than a hiccup on a single request and its first repetition.
const FAILURES_TO_OPEN: u32 = 5;

/// A probe that has said nothing for so long no longer keeps the others waiting: it may be a large
/// upload, or its task may have died.
const PROBE_PATIENCE: Duration = Duration::from_secs(60);

/// Whether a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerGate {
    /// It may: hand the pass back with what came of it.
    Go(RequestRole),
    /// Not before then; a report may open the gate earlier.
    WaitUntil(Moment),
}

/// What a request went out as. A cheap request makes the best [`RequestRole::Probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestRole {
    /// One of many, while all is well.
    Ordinary,
    /// The one that tries whether the remote is back.
    Probe,
}

/// What a request tells of the remote's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthSignal {
    /// An answer in one of the service's shapes, refusals included.
    Answered,
    /// A 5xx, an error page, an unreadable body, or no answer: refused, reset, timed out, name not
    /// found.
    Failed,
    /// Nothing: it was not sent for a reason of ours, or a gateway that may have nothing behind it
    /// answered (a 429).
    Unknown,
}

/// The circuit breaker of one remote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// All goes; so many failures in a row.
    Closed { failures: u32 },
    /// Nothing goes until the next probe; so many probes failed.
    Open { probes: u32, since: Moment, probe_at: Moment },
    /// A probe is out since then.
    Probing { probes: u32, since: Moment, sent_at: Moment },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// A closed breaker: all goes.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Whether a request may go now. After a [`BreakerGate::Go`] the request must be reported.
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

    /// Takes in what came of a request. Any answer closes the circuit, also that of a request from
    /// before it opened. `jitter` (0 to 1) spreads the probes of several instances.
    pub(crate) fn report(&mut self, pass: RequestRole, health: HealthSignal, jitter: f64, now: Moment) {
        self.state = match (health, self.state) {
            (HealthSignal::Answered, _) => State::Closed { failures: 0 },
            (HealthSignal::Failed, State::Closed { failures }) if failures + 1 < FAILURES_TO_OPEN => {
                State::Closed { failures: failures + 1 }
            }
            (HealthSignal::Failed, State::Closed { .. }) => {
                State::Open { probes: 0, since: now, probe_at: now + Backoff::PROBE.delay(1, jitter) }
            }
            (HealthSignal::Failed, State::Probing { probes, since, .. }) if pass == RequestRole::Probe => {
                let probes = probes.saturating_add(1);
                let wait = Backoff::PROBE.delay(probes.saturating_add(1), jitter);
                State::Open { probes, since, probe_at: now + wait }
            }
            // A probe that told nothing: the next one may go at once.
            (HealthSignal::Unknown, State::Probing { probes, since, .. }) if pass == RequestRole::Probe => {
                State::Open { probes, since, probe_at: now }
            }
            // Stragglers from before the circuit opened tell nothing new.
            (HealthSignal::Failed | HealthSignal::Unknown, state) => state,
        };
    }

    /// Since when the remote has been failing, while the circuit is open: for `status` and the
    /// logs.
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

    /// Steps `time verb → throttle`, one a line: `ask` tells the gate, `answered`, `failed` and
    /// `unknown` report an ordinary request, with `probe-` before them a probe.
    #[track_caller]
    fn check(script: &str) {
        let mut breaker = Breaker::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let now = at(words.next().unwrap().parse().unwrap());
            let verb = words.next().unwrap();
            let (pass, word) =
                verb.strip_prefix("probe-").map_or((RequestRole::Ordinary, verb), |word| (RequestRole::Probe, word));
            let health = match word {
                "answered" => HealthSignal::Answered,
                "failed" => HealthSignal::Failed,
                "unknown" => HealthSignal::Unknown,
                _ => {
                    let throttle = match breaker.ask(now) {
                        BreakerGate::Go(RequestRole::Ordinary) => "go".to_owned(),
                        BreakerGate::Go(RequestRole::Probe) => "probe".to_owned(),
                        BreakerGate::WaitUntil(until) => format!("wait {}", until.since(Moment::START).as_secs()),
                    };
                    assert_eq!(throttle, words.collect::<Vec<_>>().join(" "), "{line}");
                    continue;
                }
            };
            breaker.report(pass, health, 1.0, now);
        }
    }

    #[test]
    fn opens_after_five_failures_in_a_row_and_closes_on_an_answer() {
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
    fn an_answer_between_starts_the_count_again() {
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
            if let BreakerGate::Go(pass) = breaker.ask(now) {
                assert_eq!(pass, RequestRole::Probe);
                probes.push(now);
                breaker.report(pass, HealthSignal::Failed, 0.5, now);
            }
        }
        assert!((60..=90).contains(&probes.len()), "{} probes", probes.len());
        assert!(probes.windows(2).all(|pair| pair[1].since(pair[0]) <= Duration::from_secs(60)));
        assert_eq!(breaker.open_since(), Some(at(0)));
        breaker.report(RequestRole::Probe, HealthSignal::Answered, 0.5, at(3600));
        assert_eq!(breaker.open_since(), None);
    }
}
