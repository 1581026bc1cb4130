//! The commands of a person: import, forget, archive, pin, recreate, resolve, retry.

pub(crate) mod by_hand;
pub(crate) mod error;
pub(crate) mod forget;
pub(crate) mod import;
pub(crate) mod moving;
pub(crate) mod obstacle;
pub(crate) mod pins;
pub(crate) mod recreate;
pub(crate) mod request_queue;
pub(crate) mod resolve;
pub(crate) mod retry;
