//! A process that only holds the system's file watches: the least that any watching service costs.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use notify::{RecursiveMode, Watcher as _};

/// The argument that makes this program such a process; folders follow.
pub const ARGUMENT: &str = "bare-watch";

/// Holds watches on these folders until standard input ends.
pub fn run(folders: impl Iterator<Item = PathBuf>) {
    let mut watcher = notify::recommended_watcher(|_: notify::Result<notify::Event>| {}).expect("a watch");
    folders.for_each(|folder| watcher.watch(&folder, RecursiveMode::Recursive).expect("watch"));
    println!("ready");
    let ended = std::io::stdin().read(&mut [0]).expect("standard input");
    assert_eq!(ended, 0, "nobody says anything to it");
}

/// A process that only watches. Dropping it ends the process.
pub struct Bare {
    child: Child,
    stdin: Option<ChildStdin>,
    _stdout: ChildStdout,
}

impl Bare {
    /// Starts the process, and waits until it watches.
    pub fn start(folders: impl Iterator<Item = PathBuf>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(ARGUMENT).args(folders).env_clear();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program starts");
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0; "ready\n".len()]).expect("it watches");
        Self { child, stdin, _stdout: stdout }
    }

    /// Returns the process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stdin.take();
        let _ = self.child.wait(); // it ends by itself
    }
}
