//! The two processes of the soak and their entries in `/proc`. Read next: `emulator.rs`,
//! `service.rs`; `commands.rs` for commands beside the service.

pub mod commands;
pub mod emulator;
pub mod log;
pub mod sample;
pub mod service;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The time after which a missing event counts as a failure.
pub const NEVER: Duration = Duration::from_secs(60);

/// Sends a signal to a process that was not waited for yet.
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits for the end of a process.
pub fn wait(child: &mut Child, what: &str) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < NEVER, "{what} does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether SIGTERM ended a process, or its exit code says so.
pub fn was_terminated(status: ExitStatus) -> bool {
    status.signal() == Some(15) || status.code() == Some(143)
}
