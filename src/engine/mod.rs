//! Drives the program: gathers the desired and the recorded state, plans, executes and records.
//!
//! The engine makes no decision about assets; the plan has made them. It never holds a lock across
//! an await and never cancels a write to the state. No other room decides when something is tried
//! again.
//!
//! Read next: [`reconcile::once`] for the loop of a run, [`execute::executor`] for how one step is
//! carried out, [`execute::effects`] for the changes that follow from it,
//! [`workspace::state_cache`] for where those are recorded.

pub(crate) mod commands;
pub(crate) mod doctor;
pub(crate) mod execute;
pub(crate) mod on_change;
pub(crate) mod reconcile;
pub(crate) mod remote;
pub(crate) mod report;
#[cfg(test)]
mod simulation;
pub(crate) mod workspace;
