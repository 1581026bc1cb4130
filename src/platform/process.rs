//! Runs a person's command in a shell, in a process group of its own, so that it ends together with
//! everything that it started.
//!
//! The caller limits its time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Changes to the environment that a command inherits from this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShellEnvironment {
    /// Variables to add.
    pub with: Vec<(&'static str, OsString)>,
    /// Variables of this process to remove.
    pub without: Vec<String>,
}

/// A running command. Dropping it before its end kills it, with its whole group.
#[derive(Debug)]
pub(crate) struct Shell {
    child: Child,
    /// The leader's process ID, which is also the group's.
    group: Option<u32>,
}

/// Starts `command` with the system's shell in `folder`, without any input.
///
/// # Errors
/// When the shell or the folder is missing, or the system starts no process.
pub(crate) fn shell(command: &str, folder: &Path, environment: &ShellEnvironment) -> io::Result<Shell> {
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command).current_dir(folder);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    shell.process_group(0);
    for name in &environment.without {
        shell.env_remove(name);
    }
    shell.envs(environment.with.iter().map(|(name, value)| (OsStr::new(name), value)));
    let child = shell.spawn()?;
    Ok(Shell { group: child.id(), child })
}

impl Shell {
    /// Takes the output streams, once.
    pub(crate) const fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for the end of the command. The future may be dropped and this called again.
    ///
    /// # Errors
    /// When the system can't report the status.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the command and all its children to end.
    pub(crate) fn terminate(&mut self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::TERM);
    }

    /// Kills the command and all its children. Right after [`Shell::wait`] it still reaches
    /// children that outlived the command, since the system reuses no group number while a member
    /// lives.
    pub(crate) fn kill(&mut self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::KILL);
        let _ = self.child.start_kill(); // it may have ended
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let group = self.group.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, signal); // the group may be empty
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // After a wait, another process may have the number.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}
