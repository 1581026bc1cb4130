//! Carries out the steps of a plan, and records what becomes known by them.

pub mod context;
pub mod effects;
pub mod executor;
pub mod in_doubt;
pub mod metadata;
pub mod recovery;
pub mod response;
pub mod rollback;
pub mod schedule;
pub mod sharing;
