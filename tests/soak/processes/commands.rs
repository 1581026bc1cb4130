//! Commands beside the service, which take their time while the scenario continues.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use super::NEVER;
use crate::support::{Project, SECRET};

/// One command that was started.
#[derive(Debug)]
struct Running {
    command: String,
    child: Child,
    output: PathBuf,
    begun: Instant,
}

/// The commands that were started and have not ended.
#[derive(Debug)]
pub struct Commands {
    folder: PathBuf,
    begun: u32,
    running: Vec<Running>,
    /// The number of commands that ended, by name and exit code.
    pub ended: BTreeMap<String, u64>,
}

impl Commands {
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, begun: 0, running: Vec::new(), ended: BTreeMap::new() }
    }

    /// Starts a command. Its first word names it in the figures.
    pub fn begin(&mut self, project: &Project, args: &[&str]) {
        self.begun += 1;
        let command = args[0].to_owned();
        let output = self.folder.join(format!("command-{}-{command}.log", self.begun));
        let log = std::fs::File::create(&output).unwrap();
        let mut line = project.command(&[args, &["--json"]].concat());
        let child = line.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.running.push(Running { command, child, output, begun: Instant::now() });
    }

    /// Collects the commands that have ended.
    pub fn reap(&mut self) {
        let (mut left, ended) = (Vec::new(), &mut self.ended);
        for mut running in self.running.drain(..) {
            let Some(status) = running.child.try_wait().unwrap() else {
                assert!(running.begun.elapsed() < 2 * NEVER, "`macadam {}` does not end", running.command);
                left.push(running);
                continue;
            };
            let text = std::fs::read_to_string(&running.output).unwrap();
            assert!(!text.contains(SECRET), "the key was printed by `macadam {}`", running.command);
            let code = status.code().map_or_else(|| status.to_string(), |code| code.to_string());
            *ended.entry(format!("{}: {code}", running.command)).or_default() += 1;
        }
        self.running = left;
    }

    /// Whether all have ended.
    pub const fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits for all of them.
    pub fn finish(&mut self) {
        while !self.running.is_empty() {
            self.reap();
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        for running in &mut self.running {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
