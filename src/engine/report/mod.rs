//! Progress, reports of runs, and the status of each asset.

pub(crate) mod asset_state;
pub(crate) mod asset_status;
pub(crate) mod estimate;
pub(crate) mod progress;
pub(crate) mod run_report;
pub(in crate::engine) mod settled_rows;
pub(crate) mod status;
