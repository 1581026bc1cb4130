//! Dying at a named step, for tests: the real binary, killed as by SIGKILL, at a point that can be moved.
//!
//! Only with the hidden feature `failpoints`; otherwise [`hit`] is nothing. The variable `MACADAM_FAILPOINT` holds `N` (die at the Nth step of
//! any name) or `NAME:N` (at the Nth step of that name).

/// Passes a named step, or dies there.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn hit(_name: &str) {}

#[cfg(feature = "failpoints")]
pub use armed::hit;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Where to die: a step's name, or any, and how often it is passed before.
    struct Fuse {
        name: Option<String>,
        left: AtomicU64,
    }

    static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "a hidden switch of the tests, not a setting")]
    fn fuse() -> Option<Fuse> {
        let text = std::env::var("MACADAM_FAILPOINT").ok()?;
        let (name, count) = match text.rsplit_once(':') {
            Some((name, count)) => (Some(name.to_owned()), count.to_owned()),
            None => (None, text),
        };
        Some(Fuse { name, left: AtomicU64::new(count.parse().ok()?) })
    }

    /// Passes a named step, or dies there as by SIGKILL.
    pub fn hit(name: &str) {
        let Some(fuse) = FUSE.get_or_init(fuse) else { return };
        if fuse.name.as_deref().is_some_and(|wanted| wanted != name) {
            return;
        }
        if fuse.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            die();
        }
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
