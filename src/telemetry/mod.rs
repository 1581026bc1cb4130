//! What operators see: logs on standard error, metrics, health over HTTP, and what systemd is told.
//!
//! It must never see a credential: what is logged is addresses, IDs, statuses and messages that
//! `cloud` has already redacted. Nothing here has a timer or a global: the service's loop says what
//! happened, and time is an argument. Read next: [`metrics`] and [`server`].

pub(crate) mod change;
pub(crate) mod health;
pub(crate) mod listen;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod server;
pub(crate) mod systemd;
