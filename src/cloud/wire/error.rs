//! The shapes of refusals: the content of an unsuccessful response, and how far its form can be
//! trusted.
//!
//! [`crate::cloud::class`] decides whether a body settles anything, never this module.

use serde::Deserialize;

use super::scalar::{CodeForm, Lenient};

/// The form of an unsuccessful body, as far as it reveals the author (creator-docs:
/// cloud/reference/errors.md, and public clients' reports).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// `{"errors":[{"code":0,"message":"…"}]}`: gateway, authorization, unknown route.
    Errors,
    /// `{"code":"…","message":"…"}` or `{"error":"…","message":"…"}`: the service.
    Service,
    /// `{"title":"…","status":400,"errors":{"field":["…"]}}`: the service's framework.
    Problem,
    /// A JSON string.
    JsonText,
    /// Plain text. Any hop on the way may have written it.
    PlainText,
    /// A page of a load balancer or proxy. Says nothing about the request.
    Html,
    /// JSON of no known form.
    OtherJson,
    /// An empty body.
    Empty,
    /// Cut off, binary, or broken JSON.
    Unreadable,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 9] = [
        Self::Errors,
        Self::Service,
        Self::Problem,
        Self::JsonText,
        Self::PlainText,
        Self::Html,
        Self::OtherJson,
        Self::Empty,
        Self::Unreadable,
    ];

    /// Whether Roblox's own code wrote it, in one of its forms for refusals.
    pub const fn is_own(self) -> bool {
        match self {
            Self::Errors | Self::Service | Self::Problem | Self::JsonText => true,
            Self::PlainText | Self::Html | Self::OtherJson | Self::Empty | Self::Unreadable => false,
        }
    }
}

/// The content of an unsuccessful body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// Its form.
    pub shape: Shape,
    /// A code such as `INVALID_ARGUMENT`, if there is one.
    pub code: Option<String>,
    /// The message for people as received, neither redacted nor cut.
    pub message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorWire {
    errors: Lenient<ErrorsWire>,
    code: Lenient<CodeForm>,
    message: Lenient<String>,
    error: Lenient<InnerWire>,
    title: Lenient<String>,
    detail: Lenient<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ErrorsWire {
    List(Vec<StatusWire>),
    // The values are lists of texts. JSON objects have no order, so a sorted map makes messages
    // stable.
    Fields(std::collections::BTreeMap<String, Lenient<Vec<String>>>),
}

/// The value of `error`: a word, or a code with a message.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum InnerWire {
    Word(String),
    Status(StatusWire),
}

/// A code with a message, the common part of all forms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct StatusWire {
    pub(super) code: Lenient<CodeForm>,
    pub(super) status: Lenient<String>,
    pub(super) message: Lenient<String>,
}

impl InnerWire {
    pub(super) fn into_status(self) -> StatusWire {
        match self {
            Self::Word(word) => StatusWire { code: Lenient(Some(CodeForm::Word(word))), ..StatusWire::default() },
            Self::Status(status) => status,
        }
    }
}

impl StatusWire {
    /// Returns the word for programs. It is in `status` where Google's form has the HTTP status as
    /// `code`.
    pub(super) fn word(&self) -> Option<String> {
        self.status.0.clone().or_else(|| self.code.0.as_ref().and_then(CodeForm::text))
    }

    pub(super) fn says_something(&self) -> bool {
        self.word().is_some() || self.message.0.as_ref().is_some_and(|message| !message.is_empty())
    }
}

impl ErrorBody {
    /// Reads a body. `complete` is false if it was cut off or too long.
    pub fn read(body: &[u8], complete: bool) -> Self {
        let bare = |shape: Shape| Self { shape, code: None, message: String::new() };
        let Ok(text) = std::str::from_utf8(body) else { return bare(Shape::Unreadable) };
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.starts_with('<') {
            return bare(Shape::Html);
        }
        if !complete {
            return bare(Shape::Unreadable);
        }
        if text.is_empty() {
            return bare(Shape::Empty);
        }
        if text.starts_with('{') {
            return match serde_json::from_str::<ErrorWire>(text) {
                Ok(wire) => wire.into_body().unwrap_or_else(|| bare(Shape::OtherJson)),
                Err(_) => bare(Shape::Unreadable),
            };
        }
        match serde_json::from_str::<Lenient<String>>(text) {
            Ok(Lenient(Some(message))) => Self { shape: Shape::JsonText, code: None, message },
            Ok(Lenient(None)) => bare(Shape::OtherJson),
            // Half of a JSON string or list is no text for people.
            Err(_) if text.starts_with(['"', '[']) => bare(Shape::Unreadable),
            Err(_) if text.chars().any(|c| c.is_control() && !c.is_whitespace()) => bare(Shape::Unreadable),
            Err(_) => Self { shape: Shape::PlainText, code: None, message: text.to_owned() },
        }
    }
}

impl ErrorWire {
    fn into_body(self) -> Option<ErrorBody> {
        match self.errors.0 {
            Some(ErrorsWire::List(list)) if !list.is_empty() => {
                let messages: Vec<&str> = list.iter().filter_map(|status| status.message.0.as_deref()).collect();
                let code = list.iter().find_map(StatusWire::word);
                return Some(ErrorBody { shape: Shape::Errors, code, message: join(&messages) });
            }
            Some(ErrorsWire::Fields(fields)) if self.title.0.is_some() => {
                let fields = fields.iter().flat_map(|(name, texts)| {
                    texts
                        .0
                        .iter()
                        .flatten()
                        .map(move |text| if name.is_empty() { text.clone() } else { format!("{name}: {text}") })
                });
                let all: Vec<String> = self.title.0.iter().cloned().chain(self.detail.0).chain(fields).collect();
                let all: Vec<&str> = all.iter().map(String::as_str).collect();
                return Some(ErrorBody { shape: Shape::Problem, code: None, message: join(&all) });
            }
            _ => {}
        }
        let inner = self.error.0.map(InnerWire::into_status).unwrap_or_default();
        let (inner_word, inner_message) = (inner.word(), inner.message.0);
        let outer_word = self.code.0.as_ref().and_then(CodeForm::text);
        let message = self.message.0.or(inner_message);
        // A code of 0 means nothing to people, but it reveals the form.
        if self.code.0.is_some() || inner_word.is_some() || message.is_some() {
            let code = outer_word.or(inner_word);
            return Some(ErrorBody { shape: Shape::Service, code, message: message.unwrap_or_default() });
        }
        let title = self.title.0?;
        let texts: Vec<&str> = [Some(title.as_str()), self.detail.0.as_deref()].into_iter().flatten().collect();
        Some(ErrorBody { shape: Shape::Problem, code: None, message: join(&texts) })
    }
}

fn join(texts: &[&str]) -> String {
    let said: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_shape_is_recognized() {
        let check = |body: &str, shape: Shape, code: Option<&str>, message: &str| {
            let wanted = ErrorBody { shape, code: code.map(str::to_owned), message: message.to_owned() };
            assert_eq!(ErrorBody::read(body.as_bytes(), true), wanted, "{body}");
        };
        check(r#"{"errors":[{"code":0,"message":"Invalid API Key"}]}"#, Shape::Errors, None, "Invalid API Key");
        check(r#"{"errors":[{"code":0,"message":""}]}"#, Shape::Errors, None, "");
        check(r#"{"errors":[{"code":4,"message":"a"},{"message":"b"}]}"#, Shape::Errors, Some("4"), "a; b");
        check(
            r#"{"code":"NOT_FOUND","message":"AssetId 5 is not found"}"#,
            Shape::Service,
            Some("NOT_FOUND"),
            "AssetId 5 is not found",
        );
        check(r#"{"code":3,"message":"x","details":[{}]}"#, Shape::Service, Some("3"), "x");
        check(
            r#"{"error":"INVALID_ARGUMENT","message":"x","errorDetails":[]}"#,
            Shape::Service,
            Some("INVALID_ARGUMENT"),
            "x",
        );
        check(
            r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"x"}}"#,
            Shape::Service,
            Some("PERMISSION_DENIED"),
            "x",
        );
        check(r#"{"message":"\"InvalidImage\""}"#, Shape::Service, None, "\"InvalidImage\"");
        check(
            r#"{"type":"t","title":"One or more validation errors occurred.","status":400,"traceId":"1","errors":{"b":["y"],"assetId":["The value is not valid."]}}"#,
            Shape::Problem,
            None,
            "One or more validation errors occurred.; assetId: The value is not valid.; b: y",
        );
        check(r#"{"title":"Forbidden","status":403}"#, Shape::Problem, None, "Forbidden");
        check(r#""User is moderated""#, Shape::JsonText, None, "User is moderated");
        check("  Request body cannot be empty\n", Shape::PlainText, None, "Request body cannot be empty");
        check("\u{feff}<!DOCTYPE html><html></html>", Shape::Html, None, "");
        check("<html><body><h1>400 Bad request</h1>", Shape::Html, None, "");
        check("{}", Shape::OtherJson, None, "");
        check("[]", Shape::OtherJson, None, "");
        check("12", Shape::OtherJson, None, "");
        check("null", Shape::OtherJson, None, "");
        check(r#"{"errors":[]}"#, Shape::OtherJson, None, "");
        check(r#"{"path":"operations/1","done":false}"#, Shape::OtherJson, None, "");
        check("", Shape::Empty, None, "");
        check(" \r\n", Shape::Empty, None, "");
        check(r#"{"code":"NOT_FOU"#, Shape::Unreadable, None, "");
        check(r#""half"#, Shape::Unreadable, None, "");
        check("[1,", Shape::Unreadable, None, "");
        check("\u{1}\u{2}", Shape::Unreadable, None, "");
        assert_eq!(ErrorBody::read(b"\xff\xfe", true).shape, Shape::Unreadable);
        assert_eq!(ErrorBody::read(br#"{"code":"A","message":"b"}"#, false).shape, Shape::Unreadable);
        assert_eq!(ErrorBody::read(b"words", false).shape, Shape::Unreadable);
        assert_eq!(ErrorBody::read(b"<html>", false).shape, Shape::Html);
    }

    /// Random JSON made of the names that the readers look for.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let names = prop::sample::select(vec![
            "errors",
            "code",
            "message",
            "error",
            "title",
            "detail",
            "status",
            "path",
            "assetId",
            "operationId",
            "done",
            "response",
            "metadata",
            "assetVersions",
            "nextPageToken",
            "previews",
            "icon",
            "scopes",
            "name",
        ]);
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            prop::sample::select(vec!["", "5", "assets/5", "operations/a", "assets/5/versions/2", "true"])
                .prop_map(Into::into),
            "\\PC{0,10}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| fields
                    .into_iter()
                    .map(|(n, v)| (n.to_owned(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_panics_any_reader(value in json()) {
            let asset = crate::model::ids::AssetId::new(5).unwrap();
            let body = value.to_string();
            let body = body.as_bytes();
            let read = ErrorBody::read(body, true);
            prop_assert!(!matches!(read.shape, Shape::Unreadable | Shape::Html | Shape::Empty), "{read:?}");
            let _ = super::super::asset::read_asset(body, asset, true);
            let _ = super::super::operation::read_submitted(body, None);
            let _ = super::super::operation::read_submitted(body, Some(asset));
            let _ = super::super::key::read_key(body);
            let _ = super::super::version::VersionList::new(asset).add(body);
            let _ = super::super::version::read_version(body, asset);
            let operation = crate::model::ids::OperationId::new("a").unwrap();
            let _ = super::super::operation::read_operation(body, &operation, None);
            let _ = super::super::operation::read_operation(body, &operation, Some(asset));
        }

        #[test]
        fn no_bytes_panic_any_reader(body in prop::collection::vec(any::<u8>(), 0..300), complete: bool) {
            let asset = crate::model::ids::AssetId::new(5).unwrap();
            let _ = ErrorBody::read(&body, complete);
            let _ = super::super::asset::read_asset(&body, asset, false);
            let _ = super::super::operation::read_submitted(&body, Some(asset));
            let _ = super::super::key::read_key(&body);
            let operation = crate::model::ids::OperationId::new("a").unwrap();
            let _ = super::super::operation::read_operation(&body, &operation, Some(asset));
        }
    }

    /// The longest body that is read at all, nested as deeply as possible: a recursive reader would
    /// exhaust the stack.
    #[test]
    fn no_depth_exhausts_a_reader() {
        let asset = crate::model::ids::AssetId::new(5).unwrap();
        let operation = crate::model::ids::OperationId::new("a").unwrap();
        for (open, close) in [("[", "]"), (r#"{"error":"#, "}"), (r#"{"response":"#, "}"), (r#"{"errors":["#, "]}")] {
            let depth = crate::cloud::http::MAX_RESPONSE / (open.len() + close.len());
            for body in [open.repeat(depth), format!("{}1{}", open.repeat(depth), close.repeat(depth))] {
                let body = body.as_bytes();
                assert_eq!(ErrorBody::read(body, true).code, None);
                assert_eq!(super::super::asset::read_asset(body, asset, false), None);
                assert_eq!(super::super::operation::read_submitted(body, None), None);
                assert_eq!(super::super::operation::read_operation(body, &operation, None), None);
                assert_eq!(super::super::key::read_key(body), None);
                assert!(super::super::version::VersionList::new(asset).add(body).is_err());
                assert_eq!(super::super::version::read_version(body, asset), None);
            }
        }
    }
}
