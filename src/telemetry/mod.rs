//! Everything that operators see: logs on standard error, metrics, health over HTTP, and the
//! notifications to systemd.
//!
//! It must never see a credential: it logs addresses, IDs, statuses and messages that `cloud` has
//! already redacted. Nothing here has a timer or a global: the service's loop reports events, and
//! time is an argument. Read next: [`metrics`] and [`server`].

pub(crate) mod change;
pub(crate) mod health;
pub(crate) mod listen;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod server;
pub(crate) mod systemd;
