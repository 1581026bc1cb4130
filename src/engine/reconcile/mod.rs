//! Brings the remote to what the files say: once, or as a service.

pub(crate) mod once;
pub(crate) mod service;
pub(crate) mod shutdown;
