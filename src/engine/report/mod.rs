//! Progress, reports of runs, and the status of each asset.
//!
//! It must never decide anything: it says what plans and runs decided. Read next: [`run_report`] for
//! a run, [`asset_status`] for an asset.

pub(crate) mod asset_state;
pub(crate) mod asset_status;
pub(crate) mod estimate;
pub(crate) mod progress;
pub(crate) mod run_report;
pub(in crate::engine) mod settled_rows;
pub(crate) mod status;
