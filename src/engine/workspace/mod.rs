//! The local workspace: the project, its checkout, manifest, lockfile and state, and the desired
//! and recorded state that follow from them.
//!
//! It must never talk to Roblox. Read next: [`session`] for what a run opens, [`gather`] for the
//! desired state, [`state_cache`] for the recorded one, [`snapshot`] for commands that only look.

pub(crate) mod asset_ids;
pub(crate) mod changed_part;
pub(crate) mod committed;
pub(in crate::engine) mod finished_uploads;
pub(crate) mod gather;
pub(crate) mod git;
pub(crate) mod lockfile;
pub(crate) mod lockfile_commits;
pub(crate) mod lost_entries;
mod lost_outcomes;
pub(crate) mod missing_lockfile;
pub(crate) mod neighbours;
pub(in crate::engine) mod not_checked_out;
pub(crate) mod outputs;
pub(crate) mod plan_inputs;
pub(crate) mod project;
mod rehearsal_pins;
pub(crate) mod renamed;
pub(crate) mod required_branch;
pub(crate) mod saved_answer;
pub(crate) mod session;
pub(crate) mod settled;
pub(crate) mod snapshot;
pub(crate) mod state_cache;
pub(crate) mod state_folder;
pub(crate) mod unfinished_merge;
pub(crate) mod unseen_history;
