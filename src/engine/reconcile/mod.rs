//! Makes the remote match the files: once, or as a service.

pub(crate) mod once;
pub(crate) mod service;
pub(crate) mod shutdown;
