//! What is told of it: progress, reports, the status of each asset.

pub mod asset_status;
pub mod progress;
pub mod run_report;
pub mod status;
