//! Reads a request's body to its end, even a faulty one, so that an early response reaches a client
//! that is still sending.

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;

use super::endpoint::{ApiEndpoint, Route};
use super::refusal::ApiRefusal;
use super::switches::{LargeVideo, RollbackBody, Switches};
use super::wire::form::{BODY_LIMIT, BodyError, Counted, Form, too_large};
use super::wire::{form, request};
use super::world::input::AssetInput;

/// The most bytes that are read only to be discarded.
const DRAIN_LIMIT: u64 = 64_000_000;

/// A video's 3.75 GB, plus space for the rest of its body.
const VIDEO_BODY_LIMIT: u64 = 3_751_000_000;

/// The longest JSON body, in bytes.
const JSON_LIMIT: usize = 1024 * 1024;

/// The JSON and the file of a create or an update.
#[derive(Debug)]
pub(super) struct AssetRequest {
    pub(super) input: AssetInput,
    pub(super) form: Form,
}

/// The content of a body.
#[derive(Debug)]
pub(super) enum Parsed {
    Asset(Box<AssetRequest>),
    RollbackPath(String),
    ApiKey(String),
    /// The endpoint has no body, or its body is ignored.
    Nothing,
}

type BodyStream = Counted<BodyDataStream>;

/// Reads a body. Also returns the number of bytes received.
pub(super) async fn read(
    route: &Route,
    headers: &HeaderMap,
    body: Body,
    switches: &Switches,
) -> (Result<Parsed, ApiRefusal>, u64) {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let limit = if switches.large_video == LargeVideo::Accepted { VIDEO_BODY_LIMIT } else { BODY_LIMIT };
    let mut stream = Counted::new(body.into_data_stream(), limit);
    let parsed = match route {
        Route::Create | Route::Asset { endpoint: ApiEndpoint::UpdateAsset, .. } => {
            read_asset(&mut stream, content_type).await
        }
        Route::Asset { endpoint: ApiEndpoint::RollbackAsset, .. } => {
            read_rollback(&mut stream, content_type, switches).await.map(Parsed::RollbackPath)
        }
        Route::Introspect => {
            json_text(&mut stream).await.and_then(|text| request::introspection(&text)).map(Parsed::ApiKey)
        }
        _ => Ok(Parsed::Nothing),
    };
    drain(&mut stream).await;
    (parsed.and_then(|parsed| check_size(parsed, stream.bytes)), stream.bytes)
}

async fn read_asset(stream: &mut BodyStream, content_type: Option<&str>) -> Result<Parsed, ApiRefusal> {
    let form = form::read(stream, content_type).await?;
    let text = form.request.as_deref().ok_or_else(|| ApiRefusal::invalid("Request body cannot be empty"))?;
    Ok(Parsed::Asset(Box::new(AssetRequest { input: request::asset_input(text)?, form })))
}

async fn read_rollback(
    stream: &mut BodyStream,
    content_type: Option<&str>,
    switches: &Switches,
) -> Result<String, ApiRefusal> {
    let is_form = content_type.is_some_and(|text| text.starts_with("multipart/form-data"));
    match (is_form, switches.rollback_body) {
        (true, RollbackBody::Json) => Err(ApiRefusal::invalid("The request must be JSON.")),
        (false, RollbackBody::Multipart) => Err(ApiRefusal::invalid("The request must be multipart/form-data.")),
        (true, _) => {
            let form = form::read(stream, content_type).await?;
            form.asset_version.ok_or_else(|| ApiRefusal::invalid("AssetVersion is required."))
        }
        (false, _) => request::rollback(&json_text(stream).await?),
    }
}

/// Refuses a body over 30,000,000 bytes that is not a video's.
fn check_size(parsed: Parsed, bytes: u64) -> Result<Parsed, ApiRefusal> {
    match &parsed {
        Parsed::Asset(asset) if bytes > BODY_LIMIT && asset.input.asset_type.as_deref() != Some("Video") => {
            Err(too_large())
        }
        _ => Ok(parsed),
    }
}

async fn json_text(stream: &mut BodyStream) -> Result<String, ApiRefusal> {
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = stream.next().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > JSON_LIMIT {
            return Err(too_large());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn drain(stream: &mut BodyStream) {
    while stream.bytes < DRAIN_LIMIT {
        match stream.next().await {
            Some(Ok(_) | Err(BodyError::TooLarge)) => {}
            Some(Err(BodyError::Broken)) | None => return,
        }
    }
}
