//! A command of a person's, run by the shell in a process group of its own, so that it ends with
//! everything that it started.
//!
//! What it may cost in time is the caller's business.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// What a command is told and what is kept from it, beside what this process inherited itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Variables that it gets.
    pub with: Vec<(&'static str, OsString)>,
    /// Variables that it doesn't get, though this process has them.
    pub without: Vec<String>,
}

/// A running command. Dropped before its end it is killed, with its whole group.
#[derive(Debug)]
pub(crate) struct Shell {
    child: Child,
    /// The leader's process ID, which is the group's.
    group: Option<u32>,
}

/// Starts `command` by the system's shell in `folder`, without any input.
///
/// # Errors
/// When there is no shell or no folder, or the system starts no process.
pub(crate) fn shell(command: &str, folder: &Path, surroundings: &Surroundings) -> io::Result<Shell> {
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command).current_dir(folder);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    shell.process_group(0);
    for name in &surroundings.without {
        shell.env_remove(name);
    }
    shell.envs(surroundings.with.iter().map(|(name, value)| (OsStr::new(name), value)));
    let child = shell.spawn()?;
    Ok(Shell { group: child.id(), child })
}

impl Shell {
    /// What it says, once.
    pub(crate) const fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for its end. May be dropped and called again.
    ///
    /// # Errors
    /// When the system can't tell.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it and all that it started to end.
    pub(crate) fn terminate(&mut self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends it and all that it started. Right after [`Shell::wait`] it still reaches what outlived
    /// the command itself: the group's number is not given to others while a member lives.
    pub(crate) fn kill(&mut self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::KILL);
        let _ = self.child.start_kill(); // it may be over
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let group = self.group.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, signal); // nobody may be left
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Once it was waited for, its number may belong to others.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}
