//! Notifications to systemd: ready, reloading, stopping, a line of status, and the loop's watchdog
//! pings.
//!
//! Without systemd, or on a system that can't have it, all of this does nothing. It never pings by
//! itself: [`Watchdog`] decides by the loop's own progress, and the loop sends the ping.
//!
//! Children (git, a command of `--on-change`) must not speak for the service. The variables can't
//! be removed from this process's own environment: that is unsafe while other threads may read it,
//! and this crate forbids unsafe code. So the code that starts a child removes [`NOT_FOR_CHILDREN`]
//! from the child's environment. And the unit sets `NotifyAccess=main`, so systemd drops any
//! message of a child.

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

/// The variables that a child must not inherit: `Command::env_remove` each.
pub(crate) const NOT_FOR_CHILDREN: [&str; 3] = [SOCKET, WATCHDOG, WATCHDOG_PID];

const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The longest status, in characters. systemd truncates nothing, but shows it on one line of a
/// terminal.
#[cfg(unix)]
const MAX_STATUS: usize = 200;

/// A connection to systemd, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    #[cfg(unix)]
    socket: Option<unix::Socket>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads systemd's settings from the environment, once. `variable` looks one up
    /// (`std::env::var_os`), `pid` is this process.
    ///
    /// # Errors
    /// When there is a socket that can't be used: an invalid path, an address that this system
    /// doesn't have, no free descriptor. The service should report that and continue with
    /// [`Notifier::default`]; systemd ends it if it needs the notifications.
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

    /// Returns whether systemd listens.
    pub(crate) fn is_connected(&self) -> bool {
        #[cfg(unix)]
        let connected = self.socket.is_some();
        #[cfg(not(unix))]
        let connected = false;
        connected
    }

    /// Returns how long systemd waits for a ping before it kills the service; `None` without a
    /// watchdog.
    pub(crate) fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.is_connected())
    }

    /// Returns the loop's watchdog, if systemd listens for it. `deadline` is how old progress may
    /// become, the same as for `/healthz`.
    pub(crate) fn watchdog(&self, deadline: Duration) -> Option<Watchdog> {
        self.watchdog_interval().map(|interval| Watchdog::new(interval, deadline))
    }
}

#[cfg(unix)]
impl Notifier {
    /// Reports that the service accepts work: the lock is held, the state is recovered, the watches
    /// are armed; or that a reload is done.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn ready(&self) -> io::Result<()> {
        self.notify(&[sd_notify::NotifyState::Ready])
    }

    /// Reports the current activity in a few words; `systemctl status` shows it. It must not
    /// contain a credential.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn status(&self, text: &str) -> io::Result<()> {
        let text: String = super::health::one_line(text).chars().take(MAX_STATUS).collect();
        self.notify(&[sd_notify::NotifyState::Status(&text)])
    }

    /// Reports that a reload begins. [`Notifier::ready`] must follow. Otherwise systemd considers
    /// the reload failed and, with `Type=notify-reload`, ends the service.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn reloading(&self) -> io::Result<()> {
        // The time tells systemd that this answers its latest signal. It is the kernel's clock,
        // because systemd compares it with its own.
        self.notify(&[sd_notify::NotifyState::Reloading, sd_notify::NotifyState::monotonic_usec_now()?])
    }

    /// Reports that the service starts to stop.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn stopping(&self) -> io::Result<()> {
        self.notify(&[sd_notify::NotifyState::Stopping])
    }

    /// Sends one watchdog ping. Call it only when [`Watchdog::beat`] returns true.
    ///
    /// # Errors
    /// When systemd can't be reached.
    pub(crate) fn notify_watchdog(&self) -> io::Result<()> {
        self.notify(&[sd_notify::NotifyState::Watchdog])
    }

    fn notify(&self, what: &[sd_notify::NotifyState<'_>]) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        // One datagram, so that systemd reads all lines together.
        let lines: Vec<String> = what.iter().map(ToString::to_string).collect();
        socket.send(&lines.join("\n"))
    }
}

/// There is no systemd here: as on Unix, and never fails.
#[cfg(not(unix))]
impl Notifier {
    pub(crate) fn ready(&self) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn status(&self, _text: &str) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn reloading(&self) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn stopping(&self) -> io::Result<()> {
        Ok(())
    }
    pub(crate) fn notify_watchdog(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Decides when to ping, and whether the loop's progress allows it.
///
/// The loop wakes at least every [`Watchdog::interval`], idle or not, and asks. A loop that hangs
/// doesn't ask, so it doesn't ping. It asks with the age of its progress, so one that only spins
/// doesn't ping either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watchdog {
    interval: Duration,
    deadline: Duration,
}

impl Watchdog {
    /// Creates a watchdog. `watchdog` is systemd's timeout, `deadline` how old progress may become.
    pub(crate) fn new(watchdog: Duration, deadline: Duration) -> Self {
        // At half the timeout, so that one late ping is harmless (systemd's advice,
        // sd_watchdog_enabled(3)).
        Self { interval: watchdog / 2, deadline }
    }

    /// Returns how often to ask.
    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns whether to ping now, when nothing has moved for `progress_age`.
    pub(crate) fn beat(&self, progress_age: Duration) -> bool {
        progress_age <= self.deadline
    }

    /// Returns when to ask next, on the loop's clock, after the ping at `last`.
    #[cfg(test)]
    pub(crate) const fn next(&self, last: Duration) -> Duration {
        last.saturating_add(self.interval)
    }
}

/// Parses `WATCHDOG_USEC`, if it is meant for this process: a child that inherited it is not
/// watched.
fn watchdog(microseconds: Option<&OsStr>, of: Option<&OsStr>, pid: u32) -> Option<Duration> {
    let number = |text: &OsStr| text.to_str()?.parse::<u64>().ok();
    if of.is_some_and(|of| number(of) != Some(u64::from(pid))) {
        return None;
    }
    number(microseconds?).filter(|microseconds| *microseconds > 0).map(Duration::from_micros)
}

/// The socket. The crate would read the environment and connect again at each call, and treats
/// `@name` as a file. So the crate only formats the messages, and this sends them.
#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    /// How long a message may wait for room in systemd's queue. After that, losing a line does less
    /// harm than blocking the loop.
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

        /// Sends to the address and not over a connection, so that the message also reaches a
        /// systemd that was replaced (daemon-reexec).
        pub(super) fn send(&self, message: &str) -> io::Result<()> {
            // A datagram is sent completely or not at all.
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
#[allow(clippy::disallowed_methods, reason = "tests write files by hand")]
#[path = "systemd_tests.rs"]
mod tests;
