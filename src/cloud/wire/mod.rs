//! The bodies on the wire, in every dialect that Roblox was seen to speak.
//!
//! Reading is tolerant: IDs are strings or numbers, enums prefixed or plain, and anything may be
//! absent, null, unknown or of an undocumented type. A field that can't be understood is left out
//! and doesn't fail the rest: an asset ID must not be lost for a strange description. Writing is
//! strict.
//!
//! Nothing here sends or decides. A body without the requested content is `None`, and
//! [`super::class`] says what that means.
//!
//! Read next: [`operation`] for the responses to a create, [`error`] for the shapes of refusals.

pub(crate) mod asset;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod operation;
pub(super) mod request;
mod scalar;
pub(crate) mod version;
