//! What systemd is told: ready, reloading, stopping, a line of status, and that the loop still
//! beats.
//!
//! Without systemd, or on a system that can't have it, all of it does nothing. It must never beat
//! by itself: [`Watchdog`] says whether a beat is deserved, by the loop's own progress, and the
//! loop sends it.
//!
//! Children (git, a command of `--on-change`) must not speak for the service. The variables can't
//! be taken out of this process's own environment: that is unsafe while other threads may read it,
//! and this crate forbids unsafe code. So whoever starts a child removes [`NOT_FOR_CHILDREN`] from
//! the child's environment, and the unit says `NotifyAccess=main`, by which systemd drops what a
//! child sends all the same.

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

/// The variables that a child must not inherit: `Command::env_remove` each.
pub(crate) const NOT_FOR_CHILDREN: [&str; 3] = [SOCKET, WATCHDOG, WATCHDOG_PID];

const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// systemd cuts nothing, but shows the status on one line of a terminal.
const MAX_STATUS: usize = 200;

/// The line to systemd, or to nobody.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    #[cfg(unix)]
    socket: Option<unix::Socket>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads, once, what systemd said in the environment. `variable` looks one up
    /// (`std::env::var_os`), `pid` is this process.
    ///
    /// # Errors
    /// When there is a socket but no way to talk to it: a path that is none, an address that this
    /// system doesn't have, no descriptor left. The service should say so and go on with
    /// [`Notifier::default`]: systemd will end it if it insists on hearing.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> io::Result<Self> {
        let watchdog = watchdog(variable(WATCHDOG).as_deref(), variable(WATCHDOG_PID).as_deref(), pid);
        let socket = variable(SOCKET).filter(|address| !address.is_empty());
        #[cfg(unix)]
        let notifier = Self { socket: socket.as_deref().map(unix::Socket::open).transpose()?, watchdog };
        #[cfg(not(unix))]
        let notifier = {
            let _ = socket;
            Self { watchdog }
        };
        Ok(notifier)
    }

    /// Whether anybody listens.
    pub(crate) fn is_connected(&self) -> bool {
        #[cfg(unix)]
        let connected = self.socket.is_some();
        #[cfg(not(unix))]
        let connected = false;
        connected
    }

    /// How long systemd waits for a beat before it kills the service; `None` when it doesn't watch.
    pub(crate) fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.is_connected())
    }

    /// The loop's watchdog, if systemd listens for it. `deadline` is how old progress may become,
    /// the same as of `/healthz`.
    pub(crate) fn watchdog(&self, deadline: Duration) -> Option<Watchdog> {
        self.watchdog_interval().map(|interval| Watchdog::new(interval, deadline))
    }
}

#[cfg(unix)]
impl Notifier {
    /// It takes work: the lock is held, the state is recovered, the watches are armed; or a reload
    /// is done.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn ready(&self) -> io::Result<()> {
        self.tell(&[sd_notify::NotifyState::Ready])
    }

    /// What it does, in a few words; shown by `systemctl status`. Must not hold a credential.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn status(&self, text: &str) -> io::Result<()> {
        let text: String = super::health::one_line(text).chars().take(MAX_STATUS).collect();
        self.tell(&[sd_notify::NotifyState::Status(&text)])
    }

    /// A reload begins. [`Notifier::ready`] must follow, or systemd takes the reload for failed
    /// and, with `Type=notify-reload`, ends the service.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn reloading(&self) -> io::Result<()> {
        // The time tells systemd that this is the answer to its signal and not to an earlier one; the
        // kernel's clock, because it compares with its own.
        self.tell(&[sd_notify::NotifyState::Reloading, sd_notify::NotifyState::monotonic_usec_now()?])
    }

    /// It begins to stop.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn stopping(&self) -> io::Result<()> {
        self.tell(&[sd_notify::NotifyState::Stopping])
    }

    /// One beat. Send it only when [`Watchdog::beat`] says so.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn notify_watchdog(&self) -> io::Result<()> {
        self.tell(&[sd_notify::NotifyState::Watchdog])
    }

    fn tell(&self, what: &[sd_notify::NotifyState<'_>]) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        // One datagram: what belongs together is read together.
        let lines: Vec<String> = what.iter().map(ToString::to_string).collect();
        socket.send(&lines.join("\n"))
    }
}

/// There is no systemd here.
#[cfg(not(unix))]
#[expect(missing_docs, clippy::missing_errors_doc, reason = "as on Unix, and never fails")]
impl Notifier {
    pub fn ready(&self) -> io::Result<()> {
        Ok(())
    }
    pub fn status(&self, _text: &str) -> io::Result<()> {
        Ok(())
    }
    pub fn reloading(&self) -> io::Result<()> {
        Ok(())
    }
    pub fn stopping(&self) -> io::Result<()> {
        Ok(())
    }
    pub fn notify_watchdog(&self) -> io::Result<()> {
        Ok(())
    }
}

/// When to beat, and whether a beat is deserved.
///
/// The loop wakes at least every [`Watchdog::interval`], idle or not, and asks. Since it asks
/// itself, a loop that hangs doesn't beat; and since it asks with the age of its progress, one that
/// only spins doesn't either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watchdog {
    interval: Duration,
    deadline: Duration,
}

impl Watchdog {
    /// `watchdog` is what systemd waits, `deadline` how old progress may become.
    pub(crate) fn new(watchdog: Duration, deadline: Duration) -> Self {
        // systemd's advice (sd_watchdog_enabled(3)): at half the time, so that one late beat costs nothing.
        Self { interval: watchdog / 2, deadline }
    }

    /// How often to ask.
    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether to beat now, when nothing has moved for `progress_age`.
    pub(crate) fn beat(&self, progress_age: Duration) -> bool {
        progress_age <= self.deadline
    }

    /// When to ask next, on the loop's clock, after the beat of `last`.
    #[cfg(test)]
    pub(crate) const fn next(&self, last: Duration) -> Duration {
        last.saturating_add(self.interval)
    }
}

/// `WATCHDOG_USEC`, if it is meant for this process: a child that inherited it is not watched.
fn watchdog(microseconds: Option<&OsStr>, of: Option<&OsStr>, pid: u32) -> Option<Duration> {
    let number = |text: &OsStr| text.to_str()?.parse::<u64>().ok();
    if of.is_some_and(|of| number(of) != Some(u64::from(pid))) {
        return None;
    }
    number(microseconds?).filter(|microseconds| *microseconds > 0).map(Duration::from_micros)
}

/// The socket. The crate would read the environment and connect anew at each call, and takes
/// `@name` for a file; so it makes the messages, and this sends them.
#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    /// How long a message may wait for room in systemd's queue. If systemd reads nothing for so
    /// long, a lost line is the smaller harm than a loop that stands.
    const PATIENCE: Duration = Duration::from_secs(2);

    #[derive(Debug)]
    pub(super) struct Socket {
        socket: UnixDatagram,
        address: SocketAddr,
    }

    impl Socket {
        pub(super) fn open(address: &OsStr) -> io::Result<Self> {
            let address = read(address)?;
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Self { socket, address })
        }

        /// To the address and not over a connection, so that a systemd that was replaced under us
        /// (daemon-reexec) is reached all the same.
        pub(super) fn send(&self, message: &str) -> io::Result<()> {
            // A datagram goes whole or not at all.
            self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
        }
    }

    fn read(address: &OsStr) -> io::Result<SocketAddr> {
        match address.as_bytes() {
            [b'@', name @ ..] if !name.is_empty() => abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(address),
            // `vsock:` (a virtual machine that reports to its host) is not for services.
            _ => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "NOTIFY_SOCKET is neither a path nor an abstract name"))
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt as _;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt as _;
        SocketAddr::from_abstract_name(name)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn abstract_name(_name: &[u8]) -> io::Result<SocketAddr> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no abstract sockets"))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
#[path = "systemd_tests.rs"]
mod tests;
