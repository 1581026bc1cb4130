//! Keeps the process's memory, which holds the API key, out of core dumps and away from other
//! programs of the same user.

/// Asks the system for no core dumps of this process, and for only root to read its memory and its
/// environment. If the system refuses, the process works as before: this is a second line of
/// defence.
///
/// It sets only the soft limit, so that a command of `--on-change` may raise its own again.
#[cfg(target_os = "linux")]
pub(crate) fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior, setrlimit};

    let limit = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, rustix::process::Rlimit { current: Some(0), ..limit });
    // This also covers cores that go to a program instead of a file, which the limit doesn't stop
    // (core(5)).
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Asks the system for no core dumps of this process.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn keep_memory_private() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, rustix::process::Rlimit { current: Some(0), ..limit });
}

/// Does nothing on this system.
#[cfg(not(unix))]
pub(crate) const fn keep_memory_private() {}
