//! Why a request did not bring what was asked for, in words that a person can use.
//!
//! What Roblox said stands in the message, without the credential, without control characters, and
//! not longer than a few lines.

use std::fmt;
use std::io;
use std::time::Duration;

use super::class::{Breakage, Class, Refusal};
use super::endpoint::{Endpoint, ResponseHead};
use super::secret::Credential;
use super::wire::error::{ErrorBody, Shape};

/// Longer messages are cut: enough for every message that was ever recorded.
const MAX_MESSAGE: usize = 500;

/// An error of whoever records that a change is about to be handed over.
pub(crate) type RecordError = Box<dyn std::error::Error + Send + Sync>;

/// What came of one request.
#[derive(Debug)]
pub struct ApiReply<T> {
    /// Status and limits, when there was an answer of any kind.
    pub head: Option<ResponseHead>,
    /// What was asked for.
    pub result: Result<T, Failure>,
}

/// A request that did not bring what was asked for.
#[derive(Debug)]
pub struct Failure {
    /// What it means.
    pub class: Class,
    /// What was asked.
    pub endpoint: Endpoint,
    /// Of what, for example `asset 123`.
    pub target: String,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The form of the answer's body.
    pub shape: Option<Shape>,
    /// Roblox's code, such as `INVALID_ARGUMENT`.
    pub code: Option<String>,
    /// What Roblox said, without the credential; empty when it said nothing.
    pub message: String,
    /// What broke, when there was no answer or not all of it.
    pub source: Option<TransportError>,
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl Failure {
    /// What a person can do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        self.class.hint()
    }

    /// Whether Roblox refused whoever asks, whatever was asked: the key, a scope that it lacks, or
    /// the account.
    pub const fn is_credential(&self) -> bool {
        matches!(self.class, Class::Refused(Refusal::KeyRefused | Refusal::MissingScope | Refusal::AccountModerated))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} {}", self.endpoint.verb(), self.target)?;
        let Some(status) = self.status else { return Ok(()) };
        write!(f, ": Roblox answered {status}")?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        let message = self.message.trim_end_matches('.');
        match self.shape {
            _ if !message.is_empty() => write!(f, ": {message}"),
            Some(Shape::Html) => f.write_str(" with a page for browsers"),
            Some(Shape::OtherJson | Shape::Unreadable) => f.write_str(" with a body that can't be understood"),
            Some(Shape::Empty) => f.write_str(" with nothing"),
            Some(Shape::Errors | Shape::Service | Shape::Problem | Shape::JsonText | Shape::PlainText) | None => Ok(()),
        }
    }
}

/// What broke on the way. Never holds a URL's secrets, a body, or a header.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Name, TCP, proxy or TLS.
    #[error("no connection to {remote}")]
    Connect {
        /// The base URL.
        remote: String,
        /// What the library said.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke, or what came over it is no HTTP.
    #[error("the connection to {remote} broke")]
    Connection {
        /// The base URL.
        remote: String,
        /// What the library said.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing moved, or not fast enough.
    #[error("nothing came of {doing} within {} s", .limit.as_secs_f32())]
    Timeout {
        /// Which part.
        doing: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The content could not be read as it was when it was hashed.
    #[error("the content could not be sent as it was hashed")]
    Content(#[source] io::Error),
    /// The content is shorter or longer than announced.
    #[error("the content has {found} bytes instead of {announced}")]
    Length {
        /// What the request promised.
        announced: u64,
        /// What was read before it ended, or was too much.
        found: u64,
    },
    /// The hand-over could not be recorded, so the change was not sent.
    #[error("the change could not be recorded before it is sent")]
    Record(#[source] RecordError),
    /// The answer is longer than any of Roblox's.
    #[error("the answer is longer than {0} bytes")]
    Oversized(usize),
}

impl TransportError {
    /// What kind of breakage it is, for the table.
    pub(super) const fn breakage(&self) -> Breakage {
        match self {
            Self::Connect { .. } => Breakage::Connect,
            Self::Connection { .. } | Self::Oversized(_) => Breakage::Connection,
            Self::Timeout { .. } => Breakage::Timeout,
            Self::Content(_) | Self::Length { .. } => Breakage::Content,
            Self::Record(_) => Breakage::Record,
        }
    }
}

/// What Roblox said, fit for a terminal and a log: one line, without the credential, cut.
pub(super) fn fit(text: &str, credential: &Credential) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut shown = credential.redact(&words.join(" "));
    if let Some((at, _)) = shown.char_indices().nth(MAX_MESSAGE) {
        shown.truncate(at);
        shown.push('…');
    }
    shown
}

/// What Roblox said, fit to be shown.
pub(super) fn fit_body(body: ErrorBody, credential: &Credential) -> ErrorBody {
    ErrorBody {
        shape: body.shape,
        code: body.code.map(|code| fit(&code, credential)),
        message: fit(&body.message, credential),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_short_line_without_the_credential() {
        let credential = Credential::api_key("a-very-secret-key").unwrap();
        assert_eq!(fit("a\r\n  b\u{1b}[31mc\ta-very-secret-key", &credential), "a b [31mc [redacted]");
        let long = fit(&"ü".repeat(9000), &credential);
        assert_eq!(long.chars().count(), MAX_MESSAGE + 1);
        // Cut first and hidden later, the half of a key would stay.
        let edge = format!("{}{}", "x".repeat(MAX_MESSAGE - 6), " a-very-secret-key");
        assert!(!fit(&edge, &credential).contains("a-ver"));
    }

    #[test]
    fn failures_say_what_was_tried_on_what() {
        let check = |status: Option<u16>, shape: Option<Shape>, code: Option<&str>, message: &str, wanted: &str| {
            let failure = Failure {
                class: Class::Refused(Refusal::Invalid),
                endpoint: Endpoint::UpdateAsset,
                target: "asset 5".to_owned(),
                status,
                shape,
                code: code.map(str::to_owned),
                message: message.to_owned(),
                source: None,
            };
            assert_eq!(failure.to_string(), wanted);
        };
        check(None, None, None, "", "could not update asset 5");
        check(
            Some(400),
            Some(Shape::Service),
            Some("INVALID_ARGUMENT"),
            "AssetName is moderated.",
            "could not update asset 5: Roblox answered 400 INVALID_ARGUMENT: AssetName is moderated",
        );
        check(
            Some(502),
            Some(Shape::Html),
            None,
            "",
            "could not update asset 5: Roblox answered 502 with a page for browsers",
        );
        check(Some(429), Some(Shape::Errors), None, "", "could not update asset 5: Roblox answered 429");
        check(Some(200), Some(Shape::Empty), None, "", "could not update asset 5: Roblox answered 200 with nothing");
    }
}
