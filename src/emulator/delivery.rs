//! Delivers responses as a fault script demands: replaced, changed, cut off, or a byte at a time.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;

use super::faults::{RetryAfter, ScriptedReply};
use super::wire::{Reply, error};

/// The way a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// Half of the announced body; then the connection ends.
    Truncated,
    /// One byte, a pause, the next byte.
    Dripping(Duration),
}

/// The middle of a response, where the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("a fault script cut the answer off")]
struct CutOff;

/// Makes a response ready to be sent. Rate limit headers may come twice, any other once.
pub(super) fn deliver(reply: Reply, delivery: Delivery) -> Response<Body> {
    let length = reply.body.len();
    let body = match delivery {
        Delivery::Whole => Body::from(reply.body),
        Delivery::Truncated => {
            let half = Bytes::from(reply.body.into_iter().take(length / 2).collect::<Vec<u8>>());
            // The pause lets the first half go out before the error ends the connection.
            let cut = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(CutOff)
            };
            Body::from_stream(stream::StreamExt::chain(stream::iter([Ok::<_, CutOff>(half)]), stream::once(cut)))
        }
        Delivery::Dripping(pause) => {
            Body::from_stream(stream::unfold(reply.body.into_iter(), move |mut rest| async move {
                let byte = rest.next()?;
                tokio::time::sleep(pause).await;
                Some((Ok::<_, Infallible>(Bytes::copy_from_slice(&[byte])), rest))
            }))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(content_type) = reply.content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in &reply.headers {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else { continue };
        if name.as_str().starts_with("x-ratelimit-") {
            headers.append(name, value);
        } else {
            headers.insert(name, value);
        }
    }
    response
}

/// Makes the response of a script.
pub(super) fn scripted(script: &ScriptedReply, now: u64) -> Reply {
    let mut reply = error::scripted(script.status, script.shape, &script.message);
    if let Some(body) = &script.body {
        reply.body = body.clone().into_bytes();
    }
    if let Some(after) = script.retry_after {
        let value = match after {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::DateInMs(ms) => {
                // HTTP dates end with the year 9999.
                const LAST: u64 = 253_402_300_799_000;
                let at = Duration::from_millis(now.saturating_add(ms).min(LAST));
                httpdate::fmt_http_date(std::time::UNIX_EPOCH + at)
            }
        };
        reply.headers.push(("retry-after".to_owned(), value));
    }
    reply.headers.extend(script.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    reply
}

/// Merges fields into a JSON response (RFC 7396). Any other response stays unchanged.
pub(super) fn merge_into(reply: &mut Reply, fields: &Value) {
    if let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) {
        merge(&mut body, fields);
        reply.body = body.to_string().into_bytes();
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
