//! The signals that end a run, as a stream of values.

use tokio::sync::mpsc;

/// A signal with a request for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// End.
    End(EndSignal),
    /// SIGHUP: read everything again.
    Hangup,
}

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// SIGINT: a person's Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor.
    Terminate,
}

impl EndSignal {
    /// Returns the exit code after this signal: 128 and the signal's number.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Starts to catch SIGINT and SIGTERM; from now on they don't kill the process.
///
/// # Errors
/// When the system refuses the handlers.
#[cfg(unix)]
pub(crate) fn catch_end_signals() -> std::io::Result<mpsc::UnboundedReceiver<EndSignal>> {
    use signal_hook::consts::{SIGINT, SIGTERM};

    let (send, receive) = mpsc::unbounded_channel();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let signal = if signal == SIGINT { EndSignal::Interrupt } else { EndSignal::Terminate };
            if send.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receive)
}

/// Starts to catch SIGINT, SIGTERM and SIGHUP; from now on they don't kill the process.
///
/// # Errors
/// When the system refuses the handlers.
#[cfg(unix)]
pub(crate) fn catch_all() -> std::io::Result<mpsc::UnboundedReceiver<Signal>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let (send, receive) = mpsc::unbounded_channel();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let signal = match signal {
                SIGINT => Signal::End(EndSignal::Interrupt),
                SIGTERM => Signal::End(EndSignal::Terminate),
                _ => Signal::Hangup,
            };
            if send.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receive)
}

/// The same on a system without Unix signals.
///
/// # Errors
/// Never on this system.
#[cfg(not(unix))]
pub fn catch_all() -> std::io::Result<mpsc::UnboundedReceiver<Signal>> {
    let (send, receive) = mpsc::unbounded_channel();
    // The sender lives as long as the process, so that the stream is silent instead of closed.
    std::mem::forget(send);
    Ok(receive)
}

/// Starts to catch Ctrl-C; from now on it doesn't kill the process.
///
/// # Errors
/// Never on this system: without Unix signals there is nothing to catch, and the channel stays
/// silent.
#[cfg(not(unix))]
pub fn catch_end_signals() -> std::io::Result<mpsc::UnboundedReceiver<EndSignal>> {
    let (send, receive) = mpsc::unbounded_channel();
    // The sender lives as long as the process, so that the stream is silent instead of closed.
    std::mem::forget(send);
    Ok(receive)
}
