//! Requests to Roblox and their timing: the throttle, the poller, observations, the key check.

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
