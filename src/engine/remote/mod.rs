//! Requests to Roblox and their timing: the throttle, the poller, observations, the key check.
//!
//! It must never write anything at Roblox, but for [`overdue`], which hands that to the executor.
//! Read next: [`throttle`], which every request passes; [`observe`] for what an answer changes.

pub(crate) mod breaker;
pub(crate) mod fetch;
pub(crate) mod key;
pub(crate) mod moderation;
pub(crate) mod observe;
pub(crate) mod outages;
pub(crate) mod overdue;
pub(crate) mod poller;
pub(crate) mod remote_clock;
pub(crate) mod revisions;
pub(crate) mod saved_limits;
pub(crate) mod throttle;
