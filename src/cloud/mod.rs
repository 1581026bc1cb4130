//! Open Cloud: wire types, client, limits.

pub mod backoff;
pub mod breaker;
pub mod limits;
pub mod moment;
pub mod poll;
