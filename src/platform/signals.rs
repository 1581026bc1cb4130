//! The signals that end a run, as a stream of values.

use tokio::sync::mpsc;

/// A signal with a request for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// End.
    End(EndSignal),
    /// SIGHUP: read everything again.
    #[cfg_attr(windows, expect(dead_code, reason = "Windows has no such signal"))]
    Hangup,
}

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// SIGINT: a person's Ctrl-C. On Windows also Ctrl-Break, and the console's end.
    Interrupt,
    /// SIGTERM: a supervisor. On Windows the end of the system.
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

/// Starts to catch what asks the process to end; from now on it doesn't end the process.
///
/// Ctrl-C, Ctrl-Break and the end of the console come from a person. Windows waits about five
/// seconds after the console is closed, and then ends the process: the journal is made for that.
/// The end of another user's session is none of a service's business, so it isn't caught.
///
/// # Errors
/// When the system refuses the handlers.
#[cfg(windows)]
pub(crate) fn catch_end_signals() -> std::io::Result<mpsc::UnboundedReceiver<EndSignal>> {
    forward(|signal| signal)
}

/// The same as a stream of signals. Windows has nothing like SIGHUP.
///
/// # Errors
/// When the system refuses the handlers.
#[cfg(windows)]
pub(crate) fn catch_all() -> std::io::Result<mpsc::UnboundedReceiver<Signal>> {
    forward(Signal::End)
}

#[cfg(windows)]
fn forward<S: Send + 'static>(meant: fn(EndSignal) -> S) -> std::io::Result<mpsc::UnboundedReceiver<S>> {
    use tokio::signal::windows;

    let (send, receive) = mpsc::unbounded_channel();
    let (mut interrupt, mut pause) = (windows::ctrl_c()?, windows::ctrl_break()?);
    let (mut close, mut shutdown) = (windows::ctrl_close()?, windows::ctrl_shutdown()?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupt.recv() => EndSignal::Interrupt,
                    Some(()) = pause.recv() => EndSignal::Interrupt,
                    Some(()) = close.recv() => EndSignal::Interrupt,
                    Some(()) = shutdown.recv() => EndSignal::Terminate,
                    else => return,
                };
                if send.send(meant(signal)).is_err() {
                    return;
                }
            }
        });
    })?;
    Ok(receive)
}
