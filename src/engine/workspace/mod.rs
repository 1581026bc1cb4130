//! What is on this machine: the project, its checkout, manifest, lockfile and state, and what they make known together.

pub mod gather;
pub mod git;
pub mod lockfile;
pub mod lost_entries;
pub mod missing_lockfile;
pub mod outputs;
pub mod project;
pub mod session;
pub mod snapshot;
pub mod state_cache;
pub mod state_folder;
