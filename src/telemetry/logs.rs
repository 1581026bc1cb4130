//! Logs on standard error, for people or as one JSON object a line.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Errors alone.
    Error,
    /// What a person should look into.
    Warn,
    /// What happened to the assets.
    Info,
    /// Every request.
    Debug,
}

/// Starts to log; a second call changes nothing.
pub fn start(form: Form, level: Level, color: bool) {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    // Only what Macadam says: the libraries' own lines may hold headers.
    let filter = EnvFilter::new(format!("off,macadam={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    let started = match form {
        Form::Text => builder.with_target(false).finish().try_init(),
        Form::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    // Failing means that a log was started before: a test in the same process.
    drop(started);
}
