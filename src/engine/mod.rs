//! The hands: gather what is wanted and known, plan, execute, record.
//!
//! It decides nothing about assets: the plan did. It never holds a lock over an await, never cancels a write of the state, and is the only place that
//! decides when something is tried again.
//!
//! Read next: [`sync`] for the loop of a run, [`steps`] for how one step is carried out, [`settle`] for what becomes known by it, [`book`] for where.

mod response;
pub mod state_cache;
pub mod breaker;
pub mod by_hand;
mod in_doubt;
pub mod execute;
pub mod forget;
pub mod throttle;
pub mod gather;
pub mod git;
pub mod context;
pub mod import;
pub mod key;
pub mod lockfile;
mod lost_entries;
mod metadata;
mod missing_lockfile;
pub mod moving;
pub mod on_change;
pub mod outputs;
mod saved_limits;
pub mod pins;
pub mod poller;
pub mod progress;
pub mod project;
pub mod recovery;
pub mod recreate;
pub mod refresh;
pub mod remote;
pub mod resolve;
pub mod report;
pub mod request;
mod sharing;
mod moderation;
mod rollback;
pub mod asset_status;
pub mod service;
pub mod session;
pub mod set_aside;
pub mod effects;
#[cfg(test)]
mod simulation;
pub mod state_folder;
pub mod status;
pub mod executor;
pub mod stop;
pub mod sync;
pub mod snapshot;
