//! The shapes of error bodies. At least five were seen (creator-docs: `cloud/reference/errors.md`,
//! and public clients).

use serde_json::{Value, json};

use super::{JSON, Reply};
use crate::emulator::refusal::{ApiErrorCode, ApiRefusal};
use crate::emulator::switches::{ErrorCode, ErrorShape, ScopeRefusal, Switches};

/// Encodes a refusal.
pub(in crate::emulator) fn reply(refusal: &ApiRefusal, switches: &Switches) -> Reply {
    match refusal {
        ApiRefusal::Gateway { status, message } => gateway(*status, message),
        ApiRefusal::Problem { status, message } => problem(*status, message, None),
        ApiRefusal::Binding { field, message } => {
            problem(400, "One or more validation errors occurred.", Some((*field, message.as_str())))
        }
        ApiRefusal::Service { code, message } => service(*code, message, switches),
    }
}

/// `{"errors":[{"code":0,"message"}]}`
pub(in crate::emulator) fn gateway(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "errors": [{ "code": 0, "message": message }] }))
}

/// Makes the refusal of a key without the scope that an endpoint needs.
pub(in crate::emulator) fn scope(scope: &str, switches: &Switches) -> Reply {
    let message = format!("The API key lacks the scope {scope}.");
    match switches.scope_refusal {
        ScopeRefusal::Service403 => service(ApiErrorCode::InsufficientScope, &message, switches),
        ScopeRefusal::Gateway403 => gateway(403, &message),
        ScopeRefusal::Problem403 => problem(403, &message, None),
        ScopeRefusal::Gateway401 => gateway(401, "Invalid API Key"),
    }
}

/// Encodes a code in the current dialect. V1: the integer is the HTTP status.
pub(in crate::emulator) fn code(name: &str, number: u16, switches: &Switches) -> Value {
    match switches.error_code {
        ErrorCode::String => json!(name),
        ErrorCode::Number => json!(number),
    }
}

fn service(kind: ApiErrorCode, message: &str, switches: &Switches) -> Reply {
    let code = code(kind.name(), kind.status(), switches);
    match switches.error_shape {
        ErrorShape::Status => Reply::json(kind.status(), &json!({ "code": code, "message": message })),
        ErrorShape::ProblemDetails => problem(kind.status(), message, None),
        ErrorShape::ErrorField => {
            Reply::json(kind.status(), &json!({ "error": kind.name(), "message": message, "errorDetails": [] }))
        }
        ErrorShape::Text => text(kind.status(), message),
    }
}

fn problem(status: u16, title: &str, field: Option<(&str, &str)>) -> Reply {
    let mut body =
        json!({ "type": "https://tools.ietf.org/html/rfc9110#section-15.5", "title": title, "status": status });
    if let (Some((name, message)), Some(fields)) = (field, body.as_object_mut()) {
        fields.insert("errors".into(), json!({ name: [message] }));
    }
    if let Some(fields) = body.as_object_mut() {
        fields.insert("traceId".into(), json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
    }
    Reply { content_type: Some("application/problem+json; charset=utf-8"), ..Reply::json(status, &body) }
}

fn text(status: u16, message: &str) -> Reply {
    Reply {
        content_type: Some("text/plain; charset=utf-8"),
        body: message.as_bytes().to_vec(),
        ..Reply::json(status, &Value::Null)
    }
}

/// The body shapes that a fault script can combine with any status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyShape {
    /// `{"errors":[{"code":0,"message"}]}`
    Gateway,
    /// `{"code","message"}`
    Service,
    /// `{"error","message","errorDetails"}`
    ErrorField,
    /// ASP.NET's ProblemDetails.
    ProblemDetails,
    /// Plain text.
    Text,
    /// A JSON string.
    JsonString,
    /// A load balancer's page.
    Html,
    /// An empty body.
    Empty,
    /// JSON that is cut off.
    TruncatedJson,
    /// Bytes that are not text.
    Garbage,
    /// A JSON object without any known field.
    UnknownObject,
}

/// Makes a scripted response.
pub(in crate::emulator) fn scripted(status: u16, shape: BodyShape, message: &str) -> Reply {
    let (name, text_message) = (code_name(status), message);
    let json_body = |value: Value| Reply::json(status, &value);
    let raw = |content_type, body: &[u8]| Reply { status, content_type, headers: Vec::new(), body: body.to_vec() };
    match shape {
        BodyShape::Gateway => gateway(status, message),
        BodyShape::Service => json_body(json!({ "code": name, "message": message })),
        BodyShape::ErrorField => json_body(json!({ "error": name, "message": message, "errorDetails": [] })),
        BodyShape::ProblemDetails => problem(status, message, None),
        BodyShape::Text => text(status, text_message),
        BodyShape::JsonString => json_body(json!(message)),
        BodyShape::Html => {
            let reason = name.replace('_', " ");
            let page = format!(
                "<html><body><h1>{status} {reason}</h1>\nYour browser sent an invalid request.\n</body></html>\n"
            );
            raw(Some("text/html"), page.as_bytes())
        }
        BodyShape::Empty => raw(None, b""),
        BodyShape::TruncatedJson => raw(Some(JSON), b"{\"path\":\"operations/0b1c"),
        BodyShape::Garbage => raw(Some(JSON), b"\xff\xfe\0\x01\x9f\x80garbage\xc3("),
        BodyShape::UnknownObject => json_body(json!({ "weather": "fine" })),
    }
}

fn code_name(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "NOT_IMPLEMENTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::switches::Profile;

    #[test]
    fn refusals_have_the_shapes_seen_on_the_wire() {
        #[track_caller]
        fn check(refusal: ApiRefusal, status: u16, body: &str) {
            let reply = reply(&refusal, &Switches::of(Profile::Observed));
            assert_eq!((reply.status, String::from_utf8(reply.body).unwrap().as_str()), (status, body));
        }
        check(ApiRefusal::no_asset(7), 404, r#"{"code":"NOT_FOUND","message":"AssetId 7 is not found"}"#);
        check(
            ApiRefusal::gateway(401, "Invalid API Key"),
            401,
            r#"{"errors":[{"code":0,"message":"Invalid API Key"}]}"#,
        );
        check(
            ApiRefusal::Binding { field: "assetId", message: "The value 'x' is not valid.".into() },
            400,
            r#"{"type":"https://tools.ietf.org/html/rfc9110#section-15.5","title":"One or more validation errors occurred.","status":400,"errors":{"assetId":["The value 'x' is not valid."]},"traceId":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}"#,
        );
    }

    #[test]
    fn every_scripted_shape_has_its_form() {
        let parses = |shape| serde_json::from_slice::<Value>(&scripted(500, shape, "m").body).ok();
        assert_eq!(parses(BodyShape::Gateway).unwrap()["errors"][0]["message"], "m");
        assert_eq!(parses(BodyShape::Service).unwrap()["code"], "INTERNAL");
        assert_eq!(parses(BodyShape::ErrorField).unwrap()["error"], "INTERNAL");
        assert_eq!(parses(BodyShape::ProblemDetails).unwrap()["status"], 500);
        assert_eq!(parses(BodyShape::JsonString).unwrap(), "m");
        assert!(parses(BodyShape::UnknownObject).unwrap().is_object());
        for shape in [BodyShape::Text, BodyShape::Html, BodyShape::Empty, BodyShape::TruncatedJson, BodyShape::Garbage]
        {
            assert_eq!(parses(shape), None, "{shape:?}");
        }
        assert!(scripted(502, BodyShape::Html, "").body.starts_with(b"<html>"));
        assert!(std::str::from_utf8(&scripted(200, BodyShape::Garbage, "").body).is_err());
    }
}
