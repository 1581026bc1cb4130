//! Makes the remote match the files: once, or as a service.
//!
//! It must never plan by itself, nor wait for one asset while another could go on. Read next:
//! `reconciler` for the one loop, [`once`] and [`service`] for its two drivers.

mod looks;
mod neighbours;
pub(crate) mod once;
mod reconciler;
mod records;
mod scan;
pub(crate) mod service;
pub(crate) mod shutdown;
mod touched;
mod wanted;
mod workers;

use std::time::Duration;

/// The lockfile is written at most this long after an outcome: a CI machine may disappear at any
/// time.
const LOCKFILE_EVERY: Duration = Duration::from_secs(5);
