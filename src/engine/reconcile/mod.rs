//! Makes the remote match the files: once, or as a service.

mod looks;
pub(crate) mod once;
mod reconciler;
mod records;
mod scan;
pub(crate) mod service;
pub(crate) mod shutdown;
mod touched;
mod wanted;
mod workers;
