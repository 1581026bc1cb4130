//! The bodies that go over the wire, in every dialect that Roblox was seen to speak.
//!
//! Reading is tolerant: ids are strings or numbers, enums prefixed or plain, anything may be
//! absent, null, unknown or of another kind than documented, and what is not understood is left out
//! instead of failing the rest: an asset ID must not be lost for a strange description. Writing is
//! strict. Nothing here sends or decides; a body that does not hold what was asked for is `None`,
//! and [`super::class`] says what that means.
//!
//! Read next: [`operation`] for what a create answers, [`error`] for the shapes of refusals.

pub(crate) mod asset;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod operation;
pub(super) mod request;
mod scalar;
pub(crate) mod version;
