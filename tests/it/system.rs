//! What only one operating system has: links, permissions, users, signals. The other tests call this
//! module and so compile everywhere; a test that shows nothing elsewhere is ignored there.
//!
//! On Windows a function does the nearest thing, and nothing where there is none.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

#[cfg(unix)]
pub use self::unix::*;
#[cfg(windows)]
pub use self::windows::*;

/// A user without rights, and its group.
pub const NOBODY: u32 = 65534;

/// Sets the permissions of a program that a test writes.
pub fn make_executable(path: &Path) {
    set_mode(path, 0o755);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::OsStringExt as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

    pub use rustix::process::Signal;

    use super::*;

    /// Sends a signal to a process that was not waited for yet.
    pub fn send(child: &Child, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
    }

    /// Whether a process died at once, as by SIGKILL. Another signal is a failure.
    pub fn was_killed(status: ExitStatus) -> bool {
        match status.signal() {
            Some(9) => true,
            Some(other) => panic!("died of signal {other}"),
            None => false,
        }
    }

    /// Whether SIGTERM ended a process, or its exit code says so.
    pub fn was_terminated(status: ExitStatus) -> bool {
        status.signal() == Some(15) || status.code() == Some(143)
    }

    /// Gives a command whose environment is empty what the system needs to start it.
    pub fn prepare(_command: &mut Command) {}

    /// Makes a link at `at`.
    pub fn symlink(target: impl AsRef<Path>, at: impl AsRef<Path>) -> io::Result<()> {
        std::os::unix::fs::symlink(target, at)
    }

    pub fn set_mode(path: impl AsRef<Path>, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn mode_of(metadata: &Metadata) -> u32 {
        metadata.mode() & 0o777
    }

    pub fn owner_of(metadata: &Metadata) -> u32 {
        metadata.uid()
    }

    /// The device and the inode.
    pub fn identity_of(metadata: &Metadata) -> (u64, u64) {
        (metadata.dev(), metadata.ino())
    }

    pub fn is_root() -> bool {
        rustix::process::getuid().is_root()
    }

    /// Gives a file to another user, which only root may do.
    pub fn give(path: impl AsRef<Path>, owner: u32, group: Option<u32>) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(owner), group)
    }

    /// Runs a command as another user, which only root may do.
    pub fn run_as(command: &mut Command, user: u32) -> &mut Command {
        command.uid(user).gid(user)
    }

    /// Makes a text of the system of any bytes.
    pub fn any_text(bytes: Vec<u8>) -> OsString {
        OsString::from_vec(bytes)
    }
}

#[cfg(windows)]
mod windows {
    use std::os::windows::process::CommandExt as _;

    use super::*;

    /// A process group of its own, which a Ctrl-Break reaches alone (`CREATE_NEW_PROCESS_GROUP`).
    const NEW_GROUP: u32 = 0x200;

    /// Variables without which Windows opens no socket and finds no folder for temporary files.
    const NEEDED: [&str; 6] = ["SystemRoot", "SystemDrive", "TEMP", "TMP", "ComSpec", "PATHEXT"];

    /// The exit code of a process that was killed, and of one that ended itself at once.
    const KILLED: [u32; 3] = [1, 3, 0xC000_0409];

    /// A signal, by its name on Unix.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Signal(&'static str);

    impl Signal {
        pub const INT: Self = Self("INT");
        pub const TERM: Self = Self("TERM");
        pub const KILL: Self = Self("KILL");
        pub const HUP: Self = Self("HUP");
        pub const STOP: Self = Self("STOP");
        pub const CONT: Self = Self("CONT");
    }

    /// Ends a process at once, or sends it a Ctrl-Break. PowerShell is on every Windows, and can
    /// call the system without `unsafe` here.
    pub fn send(child: &Child, signal: Signal) {
        let id = child.id();
        let done = match signal {
            Signal::KILL => Command::new("taskkill").args(["/F", "/PID", &id.to_string()]).status(),
            Signal::INT | Signal::TERM => {
                let declare = "Add-Type -Namespace It -Name Console -MemberDefinition \
                               '[DllImport(\"kernel32.dll\")] public static extern bool \
                               GenerateConsoleCtrlEvent(uint what, uint group);'";
                let call = format!("{declare}; if (-not [It.Console]::GenerateConsoleCtrlEvent(1, {id})) {{ exit 1 }}");
                Command::new("powershell").args(["-NoProfile", "-NonInteractive", "-Command", &call]).status()
            }
            other => panic!("Windows has no {other:?}"),
        };
        assert!(done.unwrap().success(), "{signal:?} could not be sent");
    }

    /// Whether a process died at once.
    pub fn was_killed(status: ExitStatus) -> bool {
        status.code().is_some_and(|code| KILLED.contains(&code.cast_unsigned()))
    }

    /// Whether a Ctrl-Break ended a process.
    pub fn was_terminated(status: ExitStatus) -> bool {
        status.code() == Some(130)
    }

    /// Gives a command whose environment is empty what the system needs to start it.
    pub fn prepare(command: &mut Command) {
        command.envs(NEEDED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.creation_flags(NEW_GROUP);
    }

    /// Makes a link at `at`; Windows asks what it leads to, and for the right to make one.
    pub fn symlink(target: impl AsRef<Path>, at: impl AsRef<Path>) -> io::Result<()> {
        let (target, at) = (target.as_ref(), at.as_ref());
        let real = at.parent().map_or_else(|| target.to_owned(), |folder| folder.join(target));
        if real.is_dir() {
            std::os::windows::fs::symlink_dir(target, at)
        } else {
            std::os::windows::fs::symlink_file(target, at)
        }
    }

    pub fn set_mode(_path: impl AsRef<Path>, _mode: u32) {}

    pub fn mode_of(_metadata: &Metadata) -> u32 {
        0
    }

    pub fn owner_of(_metadata: &Metadata) -> u32 {
        NOBODY
    }

    pub fn identity_of(_metadata: &Metadata) -> (u64, u64) {
        (0, 0)
    }

    pub fn is_root() -> bool {
        false
    }

    pub fn give(_path: impl AsRef<Path>, _owner: u32, _group: Option<u32>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn run_as(command: &mut Command, _user: u32) -> &mut Command {
        command
    }

    /// Makes a text of the system of any bytes.
    pub fn any_text(bytes: Vec<u8>) -> OsString {
        String::from_utf8_lossy(&bytes).into_owned().into()
    }
}
