//! Runs a person's command in a shell, in a process group of its own (on Windows a job object), so
//! that it ends together with everything that it started.
//!
//! The caller limits its time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use tokio::process::Child;
use tokio::process::{ChildStderr, ChildStdout, Command};

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
    #[cfg(unix)]
    child: Child,
    /// The leader's process ID, which is also the group's.
    #[cfg(unix)]
    group: Option<u32>,
    /// The command in a job object, which ends with it.
    #[cfg(windows)]
    child: Box<dyn process_wrap::tokio::ChildWrapper>,
}

/// The time between two looks at whether a group of processes has ended: the system reports the end of
/// a child alone.
#[cfg(unix)]
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Starts `command` with the system's shell in `folder`, without any input.
///
/// # Errors
/// When the shell or the folder is missing, or the system starts no process.
pub(crate) fn shell(command: &str, folder: &Path, environment: &ShellEnvironment) -> io::Result<Shell> {
    #[cfg(windows)]
    require_enterable(folder)?;
    let mut shell = shell_of(command);
    shell.current_dir(folder);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for name in &environment.without {
        shell.env_remove(name);
    }
    shell.envs(environment.with.iter().map(|(name, value)| (OsStr::new(name), value)));
    start(shell)
}

#[cfg(unix)]
fn shell_of(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).process_group(0);
    shell
}

/// `/d` leaves out what a user set to run in each shell. With `/s`, cmd takes off the outer quotes
/// and reads what is between them as it was written; std's own quoting is for programs, and would
/// change quotes inside.
///
/// What cmd and many programs write is in the code page of their console, which is an old one of the
/// country unless it is told otherwise. The console is the command's own ([`start`]), so it is UTF-8.
#[cfg(windows)]
fn shell_of(command: &str) -> Command {
    let mut shell = Command::new("cmd.exe");
    shell.raw_arg(format!("/d /s /c \"chcp 65001>nul 2>nul&{command}\""));
    shell
}

/// Refuses a folder that Windows can't make the current one: it would only say that the name is
/// wrong.
#[cfg(windows)]
fn require_enterable(folder: &Path) -> io::Result<()> {
    use std::os::windows::ffi::OsStrExt as _;

    /// `MAX_PATH`, less the backslash and the end that Windows adds.
    const LONGEST: usize = 258;
    if folder.as_os_str().encode_wide().count() <= LONGEST {
        return Ok(());
    }
    Err(io::Error::other(format!("Windows runs no command in a folder whose path has more than {LONGEST} characters")))
}

#[cfg(unix)]
fn start(mut shell: Command) -> io::Result<Shell> {
    let child = shell.spawn()?;
    Ok(Shell { group: child.id(), child })
}

/// Starts it suspended and lets it go once it is in its job, so that nothing that it starts escapes.
///
/// It has a console of its own that nobody sees. In ours it would get our Ctrl-C, and end in the middle
/// of a push instead of in its grace; where we have none, a window would open for each command.
#[cfg(windows)]
fn start(shell: Command) -> io::Result<Shell> {
    use process_wrap::tokio::{CommandWrap, CreationFlags, JobObject, KillOnDrop};

    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    let mut flags = CreationFlags(Default::default());
    flags.0.0 = CREATE_NO_WINDOW;
    Ok(Shell { child: CommandWrap::from(shell).wrap(flags).wrap(KillOnDrop).wrap(JobObject).spawn()? })
}

impl Shell {
    /// Takes the output streams, once.
    pub(crate) fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        #[cfg(unix)]
        let output = (self.child.stdout.take(), self.child.stderr.take());
        #[cfg(windows)]
        let output = (self.child.stdout().take(), self.child.stderr().take());
        output
    }

    /// Waits for the end of the command. The future may be dropped and this called again.
    ///
    /// # Errors
    /// When the system can't report the status.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        #[cfg(unix)]
        let ended = self.child.wait().await;
        // The job itself ends only with the last of its processes.
        #[cfg(windows)]
        let ended = self.child.inner_mut().wait().await;
        ended
    }

    /// Waits for the end of the command and, except on Windows, of all its children.
    pub(crate) async fn wait_for_all(&mut self) {
        let _ = self.wait().await; // as above
        #[cfg(unix)]
        while self.group().is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok()) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Asks the command and all its children to end. Windows has no such request for programs without
    /// a window: there the command has its grace to come to an end by itself.
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
        if let Some(group) = self.group() {
            let _ = rustix::process::kill_process_group(group, signal); // the group may be empty
        }
    }

    #[cfg(unix)]
    fn group(&self) -> Option<rustix::process::Pid> {
        self.group.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
    }
}

#[cfg(unix)]
impl Drop for Shell {
    fn drop(&mut self) {
        // After a wait, another process may have the number.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn start(command: &str) -> Shell {
        shell(command, &std::env::temp_dir(), &ShellEnvironment::default()).unwrap()
    }

    #[tokio::test]
    async fn quotes_reach_the_shell_as_they_were_written() {
        let (command, expected) = if cfg!(windows) {
            (r#"echo "a b"&& echo c^&d&& exit /b 7"#, "\"a b\"\r\nc&d\r\n")
        } else {
            (r#"echo '"a b"' && echo 'c&d' && exit 7"#, "\"a b\"\nc&d\n")
        };
        let mut shell = start(command);
        let mut said = String::new();
        shell.output().0.unwrap().read_to_string(&mut said).await.unwrap();
        assert_eq!(said, expected);
        assert_eq!(shell.wait().await.unwrap().code(), Some(7));
    }

    /// On Windows a console has an old code page, unless it is told otherwise.
    #[tokio::test]
    async fn what_the_shell_says_is_utf_8() {
        let mut shell = start("echo münze-日本");
        let mut said = Vec::new();
        shell.output().0.unwrap().read_to_end(&mut said).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said).trim_end(), "münze-日本");
    }

    /// A child that lives holds the output open.
    #[tokio::test]
    async fn a_kill_and_a_drop_reach_what_the_command_started() {
        let command = if cfg!(windows) {
            "start /b ping -n 600 127.0.0.1 & echo begun & ping -n 600 127.0.0.1 > nul"
        } else {
            "sleep 600 & echo begun; sleep 600"
        };
        for kill in [true, false] {
            let mut shell = Some(start(command));
            let mut output = shell.as_mut().unwrap().output().0.unwrap();
            let mut said = String::new();
            while !said.contains("begun") {
                let mut bytes = [0; 64];
                let read = output.read(&mut bytes).await.unwrap();
                said.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            }
            if kill {
                shell.as_mut().unwrap().kill();
            } else {
                shell = None;
            }
            let end = output.read_to_string(&mut said);
            tokio::time::timeout(Duration::from_secs(60), end).await.expect("all are gone").unwrap();
            drop(shell);
        }
    }
}
