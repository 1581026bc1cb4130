//! `macadam sync` as a process, life after life, each with a log of its own.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::log::Log;
use super::sample::Sample;
use super::{NEVER, signal, wait, was_terminated};
use crate::http;
use crate::support::Project;
use crate::system::Signal;

/// The service, which may be down.
#[derive(Debug)]
pub struct Service {
    folder: PathBuf,
    child: Option<Child>,
    /// The number of its life, counted from 1.
    pub life: u32,
    pub log: Log,
    /// Lines in the logs of its earlier lives.
    earlier_lines: u64,
    /// The longest orderly shutdown.
    pub slowest_end: Duration,
}

impl Service {
    pub fn new(folder: PathBuf) -> Self {
        let log = Log::new(folder.join("service-0.log"));
        Self { folder, child: None, life: 0, log, earlier_lines: 0, slowest_end: Duration::ZERO }
    }

    pub const fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Starts a new life, which may end at once. Doesn't wait.
    pub fn start(&mut self, project: &Project, patience: &str, interval: &str) {
        self.earlier_lines += self.log.lines;
        self.life += 1;
        self.log = Log::new(self.folder.join(format!("service-{}.log", self.life)));
        let log = std::fs::File::create(&self.log.path).unwrap();
        let args = ["sync", "--listen", "127.0.0.1:0", "--patience", patience, "--interval", interval];
        let mut command = project.command(&args);
        self.child = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Whether it has been ready in this life. Only then does it surely handle signals.
    pub fn is_ready(&self) -> bool {
        self.log.text().lines().any(|line| line.ends_with(" ready"))
    }

    /// Whether it has read manifest and files in this life.
    pub fn has_scanned(&self) -> bool {
        self.child.is_some() && self.log.text().contains("read the manifest and all files")
    }

    /// Returns the exit status, if it ended by itself.
    pub fn ended_by_itself(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        self.log.catch_up();
        Some(status)
    }

    pub fn signal(&self, with: Signal) {
        signal(self.child.as_ref().unwrap(), with);
    }

    /// Ends it with SIGKILL, or with SIGTERM, after which it must end in order.
    pub fn end(&mut self, with: Signal) {
        let was_ready = self.is_ready();
        let mut child = self.child.take().unwrap();
        signal(&child, with);
        let began = Instant::now();
        let status = wait(&mut child, "the service");
        self.log.catch_up();
        if with != Signal::TERM {
            return;
        }
        self.slowest_end = self.slowest_end.max(began.elapsed());
        // Before it is ready, a signal ends it like any program.
        let in_order = status.success() || (!was_ready && was_terminated(status));
        assert!(in_order, "at SIGTERM the service ended with {status}");
    }

    /// Returns the address of its pages.
    fn address(&self) -> Option<String> {
        let text = self.log.text();
        let (_, rest) = text.split_once("listening on http://")?;
        Some(rest.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect())
    }

    /// Returns the status and text of one of its pages; `None` while it can't be reached.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        http::request(&self.address()?, "GET", path, None).ok()
    }

    /// Waits until it accepts work.
    pub fn until_ready(&mut self) {
        let began = Instant::now();
        while self.page("/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(began.elapsed() < NEVER, "the service does not get ready");
            if let Some(status) = self.ended_by_itself() {
                panic!("the service ended by itself with {status}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Samples its current resource usage.
    pub fn sample(&self) -> Sample {
        let (_, metrics) = self.page("/metrics").expect("the metrics can be reached");
        let line = metrics.lines().find_map(|line| line.strip_prefix("macadam_tasks "));
        let tasks = line.and_then(|value| value.trim().parse::<f64>().ok()).map(|tasks| tasks as u64);
        Sample { tasks, ..Sample::of(self.child.as_ref().unwrap().id()) }
    }

    /// Returns the number of lines in all its logs.
    pub const fn lines(&self) -> u64 {
        self.earlier_lines + self.log.lines
    }

    /// Freezes it while `look` reads its files.
    pub fn frozen<T>(&self, look: impl FnOnce() -> T) -> T {
        self.signal(Signal::STOP);
        let seen = look();
        self.signal(Signal::CONT);
        seen
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
