//! What is asked of Roblox and when: the throttle, the poller, observations, the key.

pub(crate) mod breaker;
pub(crate) mod key;
pub(crate) mod moderation;
pub(crate) mod observe;
pub(crate) mod poller;
pub(crate) mod revisions;
pub(crate) mod saved_limits;
pub(crate) mod set_aside;
pub(crate) mod throttle;
