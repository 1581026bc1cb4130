//! Executes the steps of a plan, and records the changes that follow.
//!
//! It must never choose what to do, nor send a request before its intent is durable. Read next:
//! [`executor`] for the way of one step, [`effects`] for the changes that follow from a response,
//! [`in_doubt`] for a request without an answer.

pub(crate) mod chain;
pub(crate) mod context;
pub(crate) mod effects;
pub(crate) mod elsewhere;
pub(crate) mod executor;
mod fetch;
mod finish;
pub(crate) mod heads;
pub(crate) mod in_doubt;
pub(crate) mod metadata;
pub(crate) mod recovery;
pub(crate) mod response;
pub(crate) mod rollback;
pub(crate) mod sharing;
pub(crate) mod step_result;
mod upload_slots;
