//! The two processes of the soak and their entries in `/proc`. Read next: `emulator.rs`,
//! `service.rs`; `commands.rs` for commands beside the service.

pub mod commands;
pub mod emulator;
pub mod log;
pub mod sample;
pub mod service;

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

pub use crate::system::{send as signal, was_terminated};

/// The time after which a missing event counts as a failure.
pub const NEVER: Duration = Duration::from_secs(60);

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
