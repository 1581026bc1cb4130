//! What a person asks by hand: import, moving in from another tool, forget, archive and restore, pin,
//! recreate, resolve, retry; and the queue of requests to a running service.
//!
//! It must never touch another address than the ones it was given, and plans nothing by itself. Read
//! next: [`by_hand`] for a command that changes Roblox at once, [`request_queue`] for its way to a
//! service, [`moving`] for `import --from`.

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
