//! Whether the service lives, from what its loop says of its progress. Pure: the time is an
//! argument.
//!
//! No timer refreshes it, so a loop that hangs can't look well. Read next: [`super::server`], which
//! answers with it.

use std::time::Duration;

/// What the loop publishes about itself each time it gets somewhere.
///
/// Whoever reaches the port can read the texts: they must not hold keys, paths or what Roblox said
/// of an asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// It has its lock, its state and its watches, and takes work; false again from when it begins
    /// to stop.
    pub ready: bool,
    /// When the loop last got somewhere, on the clock that the server is given (monotonic, since
    /// the start).
    pub last_progress: Duration,
    /// How old that may become until the loop counts as stuck.
    pub deadline: Duration,
    /// What it does, in a few words: `watching 120 files`.
    pub detail: String,
    /// What doesn't work as it should though the loop lives: `the key was refused`. It makes no
    /// check fail: restarting would not mend it.
    pub degraded: Vec<String>,
}

/// The answer to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthVerdict {
    /// The check passes.
    pub ok: bool,
    /// One line that says why, or why not.
    pub reason: String,
}

impl Health {
    /// How long nothing has moved. A clock that was read before the last progress was published
    /// gives zero.
    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_progress)
    }

    /// Whether the loop still gets somewhere: what a supervisor should restart the service by.
    pub(crate) fn alive(&self, now: Duration) -> HealthVerdict {
        let age = self.age(now);
        if age <= self.deadline {
            return HealthVerdict { ok: true, reason: self.told() };
        }
        let reason = format!("no progress for {} s, {} s are allowed", age.as_secs(), self.deadline.as_secs());
        HealthVerdict { ok: false, reason }
    }

    /// Whether it takes work: not before it is ready, not while it stops, and not while it is
    /// stuck.
    pub(crate) fn takes_work(&self, now: Duration) -> HealthVerdict {
        if !self.ready {
            let detail = one_line(&self.detail);
            let reason = if detail.is_empty() { "not ready".to_owned() } else { format!("not ready: {detail}") };
            return HealthVerdict { ok: false, reason };
        }
        self.alive(now)
    }

    fn told(&self) -> String {
        let mut told = one_line(&self.detail);
        if told.is_empty() {
            "ok".clone_into(&mut told);
        }
        for blocked in &self.degraded {
            told.push_str("; degraded: ");
            told.push_str(&one_line(blocked));
        }
        told
    }
}

/// Control characters become spaces: a text that came from outside must not forge lines.
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
    fn it_lives_while_progress_is_fresh() {
        for (now, ok) in [(0, true), (100, true), (160, true), (161, false), (100_000, false)] {
            assert_eq!(health().alive(s(now)).ok, ok, "{now}");
            assert_eq!(health().takes_work(s(now)).ok, ok, "{now}");
        }
        assert_eq!(health().alive(s(130)).reason, "watching");
        assert_eq!(health().alive(s(200)).reason, "no progress for 100 s, 60 s are allowed");
    }

    #[test]
    fn it_takes_work_once_it_is_ready() {
        let starting = Health { ready: false, detail: "recovering".into(), ..health() };
        assert!(starting.alive(s(101)).ok, "a slow start is no reason to restart");
        assert_eq!(starting.takes_work(s(101)), HealthVerdict { ok: false, reason: "not ready: recovering".into() });
        assert_eq!(Health::default().takes_work(s(0)).reason, "not ready");
    }

    #[test]
    fn what_is_degraded_is_said_and_fails_nothing() {
        let refused = Health { degraded: vec!["the key was\nrefused".into(), "it polls".into()], ..health() };
        let verdict = refused.alive(s(101));
        assert!(verdict.ok);
        assert_eq!(verdict.reason, "watching; degraded: the key was refused; degraded: it polls");
    }
}
