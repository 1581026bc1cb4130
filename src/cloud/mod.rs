//! Open Cloud: the only code that knows Roblox's Assets API.
//!
//! Each method sends one request, tries it once, classifies the outcome and returns it. Nothing
//! here retries, sleeps between requests, reads a clock or the environment, or writes to disk. No
//! error, log line or `Debug` output ever shows the credential.
//!
//! Facts about the remote carry their source. "GUIDE" is Roblox's usage guide (creator-docs:
//! cloud/guides/usage-assets.md), "V1" the published document (creator-docs:
//! reference/cloud/assets/v1.json).
//!
//! Read next: [`client`] for the requests, [`class`] for the meaning of an outcome, [`http`] for
//! how far a request got. Then the pure schedules, [`limits`], [`poll`], [`backoff`] and
//! [`breaker`], which say when a request may go.

pub(crate) mod backoff;
pub(crate) mod base;
pub(crate) mod breaker;
pub(crate) mod class;
pub(crate) mod client;
mod echo;
pub(crate) mod endpoint;
pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod moment;
pub(crate) mod multipart;
pub(crate) mod poll;
mod proxy;
pub(crate) mod secret;
pub(crate) mod timeouts;
pub(crate) mod wire;
