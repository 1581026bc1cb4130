//! The hands: gather what is wanted and known, plan, execute, record.
//!
//! It decides nothing about assets: the plan did. It never holds a lock over an await, never
//! cancels a write of the state, and is the only place that decides when something is tried again.
//!
//! Read next: [`reconcile::once`] for the loop of a run, [`execute::executor`] for how one step is
//! carried out, [`execute::effects`] for what becomes known by it, [`workspace::state_cache`] for
//! where.

pub(crate) mod commands;
pub(crate) mod execute;
pub(crate) mod on_change;
pub(crate) mod reconcile;
pub(crate) mod remote;
pub(crate) mod report;
#[cfg(test)]
mod simulation;
pub(crate) mod workspace;
