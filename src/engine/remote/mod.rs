//! What is asked of Roblox and when: the throttle, the poller, observations, the key.

pub mod breaker;
pub mod key;
pub mod moderation;
pub mod observe;
pub mod poller;
pub mod revisions;
pub mod saved_limits;
pub mod set_aside;
pub mod throttle;
