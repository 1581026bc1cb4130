//! Decides whether the service is alive, from the progress that its loop publishes. Pure: the time
//! is an argument.
//!
//! No timer refreshes the progress, so a loop that hangs can't look healthy. Read next:
//! [`super::server`], which serves the verdict.

use std::time::Duration;

/// The state that the loop publishes whenever it makes progress.
///
/// Anyone who reaches the port can read the texts: they must not contain keys, paths or Roblox's
/// messages about an asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Whether the service has its lock, its state and its watches, and accepts work. False again
    /// once it starts to stop.
    pub ready: bool,
    /// When the loop last made progress, on the server's clock (monotonic, since the start).
    pub last_progress: Duration,
    /// How old the progress may become before the loop counts as stuck.
    pub deadline: Duration,
    /// The current activity, in a few words: `watching 120 files`.
    pub detail: String,
    /// Problems of a loop that is alive: `the key was refused`. They fail no check, since a restart
    /// would not fix them.
    pub degraded: Vec<String>,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthVerdict {
    /// Whether the check passes.
    pub ok: bool,
    /// The reason, on one line.
    pub reason: String,
}

impl Health {
    /// Returns how long nothing has moved. Returns zero if the clock was read before the last
    /// progress was published.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_progress)
    }

    /// Returns whether the loop still makes progress. A supervisor should restart the service by
    /// this.
    pub(crate) fn alive(&self, now: Duration) -> HealthVerdict {
        let age = self.age(now);
        if age <= self.deadline {
            return HealthVerdict { ok: true, reason: self.detail_line() };
        }
        let reason = format!("no progress for {} s, {} s are allowed", age.as_secs(), self.deadline.as_secs());
        HealthVerdict { ok: false, reason }
    }

    /// Returns whether the service accepts work: not before it is ready, not while it stops, and
    /// not while it is stuck.
    pub(crate) fn takes_work(&self, now: Duration) -> HealthVerdict {
        if !self.ready {
            let detail = one_line(&self.detail);
            let reason = if detail.is_empty() { "not ready".to_owned() } else { format!("not ready: {detail}") };
            return HealthVerdict { ok: false, reason };
        }
        self.alive(now)
    }

    fn detail_line(&self) -> String {
        let mut line = one_line(&self.detail);
        if line.is_empty() {
            "ok".clone_into(&mut line);
        }
        for blocked in &self.degraded {
            line.push_str("; degraded: ");
            line.push_str(&one_line(blocked));
        }
        line
    }
}

/// Replaces control characters with spaces, since a text from outside must not forge lines.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn health() -> Health {
        Health { ready: true, last_progress: s(100), deadline: s(60), detail: "watching".into(), degraded: vec![] }
    }

    #[test]
    fn the_service_is_alive_while_its_progress_is_recent() {
        for (now, ok) in [(0, true), (100, true), (160, true), (161, false), (100_000, false)] {
            assert_eq!(health().alive(s(now)).ok, ok, "{now}");
            assert_eq!(health().takes_work(s(now)).ok, ok, "{now}");
        }
        assert_eq!(health().alive(s(130)).reason, "watching");
        assert_eq!(health().alive(s(200)).reason, "no progress for 100 s, 60 s are allowed");
    }

    #[test]
    fn the_service_accepts_work_once_it_is_ready() {
        let starting = Health { ready: false, detail: "recovering".into(), ..health() };
        assert!(starting.alive(s(101)).ok, "a slow start is no reason to restart");
        assert_eq!(starting.takes_work(s(101)), HealthVerdict { ok: false, reason: "not ready: recovering".into() });
        assert_eq!(Health::default().takes_work(s(0)).reason, "not ready");
    }

    #[test]
    fn a_degraded_service_names_its_problems_and_stays_healthy() {
        let refused = Health { degraded: vec!["the key was\nrefused".into(), "it polls".into()], ..health() };
        let verdict = refused.alive(s(101));
        assert!(verdict.ok);
        assert_eq!(verdict.reason, "watching; degraded: the key was refused; degraded: it polls");
    }
}
