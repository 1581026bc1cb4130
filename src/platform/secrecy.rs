//! Keeps the process's memory, which holds the API key, out of core dumps and of the reach of other
//! programs of the same user.

/// Asks the system for no core dumps of this process, and that only root may look into its memory
/// and its environment. Where the system refuses, it works as before: this is a second line.
///
/// The soft limit alone, so that a command of `--on-change` may raise its own again.
#[cfg(target_os = "linux")]
pub(crate) fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior, setrlimit};

    let limit = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, rustix::process::Rlimit { current: Some(0), ..limit });
    // Also where cores go to a program instead of a file, which the limit doesn't stop (core(5)).
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Asks the system for no core dumps of this process.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn keep_memory_private() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, rustix::process::Rlimit { current: Some(0), ..limit });
}

/// Nothing to ask for on this system.
#[cfg(not(unix))]
pub const fn keep_memory_private() {}
