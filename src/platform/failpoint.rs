//! Dying at a named step, stumbling at one, or living at another time, for tests of the real
//! binary.
//!
//! Only with the hidden feature `failpoints`; otherwise all of this is nothing.
//!
//! - `MACADAM_FAILPOINT` is `N` (die as by SIGKILL at the Nth step of any name) or `NAME:N` (at the
//!   Nth step of that name).
//! - `MACADAM_PANIC` is `NAME:N` (panic at the Nth pass of that place).
//! - `MACADAM_REST` is for how many seconds an upload whose answer was lost rests, in place of a
//!   minute.
//! - `MACADAM_CLOCK_SHIFT` is how many seconds the clock is ahead of the time of day, or behind it.

/// Passes a named step, or dies there.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn hit(_name: &str) {}

/// Passes a place where something may go wrong that is no step of the journal, or panics there.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn trip(_name: &str) {}

/// How far the clock was moved.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn clock_shift() -> jiff::SignedDuration {
    jiff::SignedDuration::ZERO
}

/// How long an upload whose answer was lost rests, where that is `known`.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) const fn rest(known: jiff::SignedDuration) -> jiff::SignedDuration {
    known
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::{clock_shift, hit, rest, trip};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use jiff::SignedDuration;

    /// Where something happens: a step's name, or any, and how often it is passed before.
    struct Fuse {
        name: Option<String>,
        left: AtomicU64,
    }

    static DEATH: OnceLock<Option<Fuse>> = OnceLock::new();
    static PANIC: OnceLock<Option<Fuse>> = OnceLock::new();
    static SHIFT: OnceLock<SignedDuration> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "a hidden switch of the tests, not a setting")]
    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    impl Fuse {
        fn lay(variable_name: &str) -> Option<Self> {
            let text = variable(variable_name)?;
            let (name, count) = match text.rsplit_once(':') {
                Some((name, count)) => (Some(name.to_owned()), count.to_owned()),
                None => (None, text),
            };
            Some(Self { name, left: AtomicU64::new(count.parse().ok()?) })
        }

        fn burns_down(&self, name: &str) -> bool {
            self.name.as_deref().is_none_or(|wanted| wanted == name) && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        }
    }

    /// Passes a named step, or dies there as by SIGKILL, or panics.
    pub(crate) fn hit(name: &str) {
        let fuse = DEATH.get_or_init(|| Fuse::lay("MACADAM_FAILPOINT"));
        if fuse.as_ref().is_some_and(|fuse| fuse.burns_down(name)) {
            die();
        }
        trip(name);
    }

    /// Passes a place, or panics there.
    #[expect(clippy::panic, reason = "that is what it is for")]
    pub(crate) fn trip(name: &str) {
        let fuse = PANIC.get_or_init(|| Fuse::lay("MACADAM_PANIC"));
        if fuse.as_ref().is_some_and(|fuse| fuse.burns_down(name)) {
            panic!("scripted at `{name}`");
        }
    }

    /// How far the clock was moved.
    pub(crate) fn clock_shift() -> SignedDuration {
        *SHIFT.get_or_init(|| {
            let seconds = variable("MACADAM_CLOCK_SHIFT").and_then(|text| text.parse().ok());
            seconds.map_or(SignedDuration::ZERO, SignedDuration::from_secs)
        })
    }

    /// How long a request whose answer was lost rests, where that is `known`.
    pub(crate) fn rest(known: SignedDuration) -> SignedDuration {
        static REST: OnceLock<Option<SignedDuration>> = OnceLock::new();
        let seconds = || variable("MACADAM_REST").and_then(|text| text.parse().ok()).map(SignedDuration::from_secs);
        REST.get_or_init(seconds).unwrap_or(known)
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
