//! What operators see: logs on standard error.
//!
//! It must never see a credential: what is logged is addresses, IDs, statuses and messages that `cloud` has already redacted.

pub mod logs;
