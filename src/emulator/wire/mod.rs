//! The wire: decodes requests and encodes responses, in the emulator's own reading of the API.
//!
//! It must share no type with the client in `cloud`: two independent readings of one API have to
//! agree. It decides nothing about assets; `world/` does. Read `form.rs` for bodies that stream,
//! `request.rs` for their JSON, `render.rs` and `error.rs` for responses.

pub(super) mod error;
pub(super) mod form;
pub(super) mod query;
pub(super) mod render;
pub(super) mod request;

use serde_json::Value;

/// A response before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// The content type as the service writes it.
pub(super) const JSON: &str = "application/json; charset=utf-8";

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Reply { status, content_type: Some(JSON), headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(super) fn ok(body: &Value) -> Self {
        Reply::json(200, body)
    }
}
