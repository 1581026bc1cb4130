//! Brings the remote to what the files say: once, or as a service.

pub mod once;
pub mod service;
pub mod shutdown;
