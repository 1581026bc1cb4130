//! A running `macadam sync`: the real program as a child process, with its log in an unwatched
//! folder.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::support::Project;
use super::support::system::{Signal, send};

/// The time after which a missing event counts as a failure.
const NEVER: Duration = Duration::from_secs(120);

/// The interval between checks for an event.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// A service. Dropping it kills the process.
pub struct Service {
    child: Child,
    log: TempDir,
}

impl Service {
    /// Starts the service, and waits until it is ready.
    pub fn start(project: &Project) -> Self {
        let log = tempfile::tempdir().expect("a temporary folder");
        let file = std::fs::File::create(log.path().join("log.txt")).expect("the log");
        let mut command = project.command(&["sync"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("the program");
        let service = Self { child, log };
        service.until("it is ready", || service.log().contains("ready"));
        service
    }

    /// Returns the process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log.txt")).expect("the log")
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < NEVER, "never came: {what}\n{}", self.log());
            sleep(CHECK_INTERVAL);
        }
    }

    /// Ends the service in order.
    pub fn end(mut self) {
        send(&self.child, Signal::TERM);
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{}", self.log());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}
