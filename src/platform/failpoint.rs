//! Kills the process at a named step, makes it panic at one, or shifts its clock, for tests of the
//! real binary.
//!
//! All of this works only with the hidden feature `failpoints`, and otherwise does nothing.
//!
//! - `MACADAM_FAILPOINT` is `N` (die as by SIGKILL at the Nth step of any name) or `NAME:N` (at the
//!   Nth step of that name).
//! - `MACADAM_PANIC` is `NAME:N` (panic at the Nth pass of that place).
//! - `MACADAM_REST` is the back-off of an upload whose answer was lost, in seconds, in place of a
//!   minute.
//! - `MACADAM_FIRST_POLL` is the age of the first operation of its kind at its first poll, in
//!   milliseconds, in place of a second or more.
//! - `MACADAM_HELD` is the time after which a hold is final for a waiting command, in milliseconds,
//!   in place of ten seconds.
//! - `MACADAM_PROGRESS` is the time between two lines of progress, in milliseconds, in place of half
//!   a minute.
//! - `MACADAM_COLUMNS` makes standard output and standard error as wide as a terminal of so many
//!   columns.
//! - `MACADAM_STAND_IN` makes a server that `--api-url` names stand in for Roblox: what it uploads
//!   may be published, and hints don't name it.
//! - `MACADAM_CLOCK_SHIFT` is how many seconds the clock is ahead of the time of day, or behind it.
//!   Time passes for the remote too, unless `MACADAM_CLOCK_WRONG` is set.

/// Passes a named step, or dies there.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn hit(_name: &str) {}

/// Passes a place that may fail but is not a step of the journal, or panics there.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn trip(_name: &str) {}

/// Returns how far the clock is shifted.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn clock_shift() -> jiff::SignedDuration {
    jiff::SignedDuration::ZERO
}

/// Returns how far the remote's clock is shifted.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn remote_shift() -> jiff::SignedDuration {
    jiff::SignedDuration::ZERO
}

/// Returns the back-off of an upload whose answer was lost; `known` is the real one.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn rest(known: jiff::SignedDuration) -> jiff::SignedDuration {
    known
}

/// Returns the age at which operations of an unknown kind are polled first; `None`: as ever.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn first_poll() -> Option<std::time::Duration> {
    None
}

/// Returns the time after which a hold is final for a waiting command; `known` is the real one.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn held(known: std::time::Duration) -> std::time::Duration {
    known
}

/// Returns the time between two lines of progress; `known` is the real one.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn progress(known: std::time::Duration) -> std::time::Duration {
    known
}

/// Returns the columns of a terminal that stands in for standard output and standard error.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn columns() -> Option<usize> {
    None
}

/// Returns whether the server of `--api-url` stands in for Roblox.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn stands_in() -> bool {
    false
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::{clock_shift, columns, first_poll, held, hit, progress, remote_shift, rest, stands_in, trip};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use jiff::SignedDuration;

    /// A place where something happens: a step's name, or any, and the passes left until then.
    struct Trigger {
        name: Option<String>,
        left: AtomicU64,
    }

    static DEATH: OnceLock<Option<Trigger>> = OnceLock::new();
    static PANIC: OnceLock<Option<Trigger>> = OnceLock::new();
    static SHIFT: OnceLock<SignedDuration> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "a hidden switch of the tests, not a setting")]
    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    impl Trigger {
        fn parse(variable_name: &str) -> Option<Self> {
            let text = variable(variable_name)?;
            let (name, count) = match text.rsplit_once(':') {
                Some((name, count)) => (Some(name.to_owned()), count.to_owned()),
                None => (None, text),
            };
            Some(Self { name, left: AtomicU64::new(count.parse().ok()?) })
        }

        fn fires(&self, name: &str) -> bool {
            self.name.as_deref().is_none_or(|wanted| wanted == name) && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        }
    }

    /// Passes a named step, or dies there as by SIGKILL, or panics.
    pub(crate) fn hit(name: &str) {
        let trigger = DEATH.get_or_init(|| Trigger::parse("MACADAM_FAILPOINT"));
        if trigger.as_ref().is_some_and(|trigger| trigger.fires(name)) {
            die();
        }
        trip(name);
    }

    /// Passes a place, or panics there.
    #[expect(clippy::panic, reason = "that is what it is for")]
    pub(crate) fn trip(name: &str) {
        let trigger = PANIC.get_or_init(|| Trigger::parse("MACADAM_PANIC"));
        if trigger.as_ref().is_some_and(|trigger| trigger.fires(name)) {
            panic!("scripted at `{name}`");
        }
    }

    /// Returns how far the clock is shifted.
    pub(crate) fn clock_shift() -> SignedDuration {
        *SHIFT.get_or_init(|| {
            let seconds = variable("MACADAM_CLOCK_SHIFT").and_then(|text| text.parse().ok());
            seconds.map_or(SignedDuration::ZERO, SignedDuration::from_secs)
        })
    }

    /// Returns how far the remote's clock is shifted.
    pub(crate) fn remote_shift() -> SignedDuration {
        if variable("MACADAM_CLOCK_WRONG").is_some() { SignedDuration::ZERO } else { clock_shift() }
    }

    /// Returns the back-off of a request whose answer was lost; `known` is the real one.
    pub(crate) fn rest(known: SignedDuration) -> SignedDuration {
        static REST: OnceLock<Option<SignedDuration>> = OnceLock::new();
        let seconds = || variable("MACADAM_REST").and_then(|text| text.parse().ok()).map(SignedDuration::from_secs);
        REST.get_or_init(seconds).unwrap_or(known)
    }

    /// Returns the age at which operations of an unknown kind are polled first; `None`: as ever.
    pub(crate) fn first_poll() -> Option<std::time::Duration> {
        variable("MACADAM_FIRST_POLL").and_then(|text| text.parse().ok()).map(std::time::Duration::from_millis)
    }

    /// Returns the time after which a hold is final for a waiting command; `known` is the real one.
    pub(crate) fn held(known: std::time::Duration) -> std::time::Duration {
        let given = variable("MACADAM_HELD").and_then(|text| text.parse().ok());
        given.map_or(known, std::time::Duration::from_millis)
    }

    /// Returns the time between two lines of progress; `known` is the real one.
    pub(crate) fn progress(known: std::time::Duration) -> std::time::Duration {
        let given = variable("MACADAM_PROGRESS").and_then(|text| text.parse().ok());
        given.map_or(known, std::time::Duration::from_millis)
    }

    /// Returns the columns of a terminal that stands in for standard output and standard error.
    pub(crate) fn columns() -> Option<usize> {
        variable("MACADAM_COLUMNS").and_then(|text| text.parse().ok())
    }

    /// Returns whether the server of `--api-url` stands in for Roblox.
    pub(crate) fn stands_in() -> bool {
        static STANDS_IN: OnceLock<bool> = OnceLock::new();
        *STANDS_IN.get_or_init(|| variable("MACADAM_STAND_IN").is_some())
    }

    #[cfg(unix)]
    fn die() -> ! {
        // No destructor, no buffer and no signal handler runs.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort()
    }

    #[cfg(not(unix))]
    fn die() -> ! {
        std::process::abort()
    }
}
