//! What a person asks for by hand: import, forget, archive, pin, recreate, resolve.

pub mod by_hand;
pub mod forget;
pub mod import;
pub mod moving;
pub mod pins;
pub mod recreate;
pub mod request_queue;
pub mod resolve;
