//! The reason why a request failed, in words that help a person.
//!
//! The message quotes Roblox without the credential and without control characters, cut to a few
//! lines. Read next: [`super::class`] for the classes of failures.

use std::fmt;
use std::io;
use std::time::Duration;

use super::class::{Breakage, Class, Refusal};
use super::endpoint::{Endpoint, ResponseHead};
use super::secret::Credential;
use super::wire::error::{ErrorBody, Shape};

/// The length, in characters, to which messages are cut. Every message that was ever recorded is
/// shorter.
const MAX_MESSAGE: usize = 500;

/// An error while recording that a change is about to be handed over.
pub(crate) type RecordError = Box<dyn std::error::Error + Send + Sync>;

/// The outcome of one request.
#[derive(Debug)]
pub struct ApiReply<T> {
    /// Status and rate limit headers, if there was any response.
    pub head: Option<ResponseHead>,
    /// The requested result.
    pub result: Result<T, Failure>,
}

/// A request that did not bring the requested result.
#[derive(Debug)]
pub struct Failure {
    /// Its class.
    pub class: Class,
    /// The endpoint that was called.
    pub endpoint: Endpoint,
    /// The target of the request, for example `asset 123`.
    pub target: String,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// The shape of the response's body.
    pub shape: Option<Shape>,
    /// Roblox's code, such as `INVALID_ARGUMENT`.
    pub code: Option<String>,
    /// Roblox's message without the credential; empty if there was none.
    pub message: String,
    /// The transport error, if the response is missing or incomplete.
    pub source: Option<TransportError>,
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl Failure {
    /// Returns a person's next step, if there is one.
    pub const fn hint(&self) -> Option<&'static str> {
        self.class.hint()
    }

    /// Returns what Roblox answered, with its status and words; `None` where there was no answer.
    pub fn answer(&self) -> Option<String> {
        let mut said = format!("Roblox answered {}", self.status?);
        if let Some(code) = &self.code {
            said = format!("{said} {code}");
        }
        let message = self.message.trim_end_matches('.');
        Some(match self.shape {
            _ if !message.is_empty() => format!("{said}: {message}"),
            Some(Shape::Html) => format!("{said} with a page for browsers"),
            Some(Shape::OtherJson | Shape::Unreadable) => format!("{said} with a body that can't be understood"),
            Some(Shape::Empty) => format!("{said} with nothing"),
            Some(Shape::Errors | Shape::Service | Shape::Problem | Shape::JsonText | Shape::PlainText) | None => said,
        })
    }

    /// Whether there was no connection, so that any other request would have failed alike.
    pub const fn is_without_connection(&self) -> bool {
        matches!(self.source, Some(TransportError::Connect { .. } | TransportError::Certificate { .. }))
    }

    /// Whether this machine's clock is probably wrong: Roblox's certificate isn't valid now.
    pub const fn is_untimely(&self) -> bool {
        matches!(self.source, Some(TransportError::Certificate { .. }))
    }

    /// Returns the failure with its causes. Where there was no connection it names no asset, since
    /// it is none's fault.
    pub fn cause(&self) -> String {
        match &self.source {
            Some(source @ (TransportError::Connect { .. } | TransportError::Certificate { .. })) => source.to_string(),
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether Roblox has no such thing.
    pub fn is_not_found(&self) -> bool {
        self.class == Class::Refused(Refusal::NotFound)
    }

    /// Whether Roblox refused the caller rather than the request: the key, a missing scope, or the
    /// account.
    pub const fn is_credential(&self) -> bool {
        matches!(self.class, Class::Refused(Refusal::KeyRefused | Refusal::MissingScope | Refusal::AccountModerated))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = self.answer();
        if let (Class::Refused(Refusal::KeyRefused), Some(answer)) = (self.class, &answer) {
            return write!(f, "Roblox doesn't accept this API key: {}", answer.replacen("Roblox", "it", 1));
        }
        write!(f, "could not {} {}", self.endpoint.verb(), self.target)?;
        answer.map_or(Ok(()), |answer| write!(f, ": {answer}"))
    }
}

/// A transport error. Never contains a URL's secrets, a body, or a header.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: name, TCP, proxy or TLS.
    #[error("no connection to {remote}: {why}")]
    Connect {
        /// The base URL.
        remote: String,
        /// The cause, in a person's words.
        why: String,
    },
    /// The certificate is expired or not yet valid by this machine's clock.
    #[error("the certificate of {remote} isn't valid at this machine's time")]
    Certificate {
        /// The base URL.
        remote: String,
    },
    /// The connection broke, or carried something other than HTTP.
    #[error("the connection to {remote} broke: {why}")]
    Connection {
        /// The base URL.
        remote: String,
        /// The cause, in a person's words.
        why: String,
    },
    /// No progress, or too slow.
    #[error("nothing came of {doing} within {} s", .limit.as_secs_f32())]
    Timeout {
        /// The part of the exchange.
        doing: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// The content could not be read, or differs from the hashed content.
    #[error("the content could not be sent as it was hashed")]
    Content(#[source] io::Error),
    /// The content is shorter or longer than announced.
    #[error("the content has {found} bytes instead of {announced}")]
    Length {
        /// The announced length in bytes.
        announced: u64,
        /// The bytes read before the content ended or exceeded the announced length.
        found: u64,
    },
    /// The hand-over could not be recorded, so the change was not sent.
    #[error("the change could not be recorded before it is sent")]
    Record(#[source] RecordError),
    /// The response is longer than any of Roblox's.
    #[error("the answer is longer than {0} bytes")]
    Oversized(usize),
}

impl TransportError {
    /// Returns the kind of breakage, for the table in [`super::class`].
    pub(super) const fn breakage(&self) -> Breakage {
        match self {
            Self::Connect { .. } | Self::Certificate { .. } => Breakage::Connect,
            Self::Connection { .. } | Self::Oversized(_) => Breakage::Connection,
            Self::Timeout { .. } => Breakage::Timeout,
            Self::Content(_) | Self::Length { .. } => Breakage::Content,
            Self::Record(_) => Breakage::Record,
        }
    }
}

/// The cause of a connection's failure in a person's words: the innermost one, without the layers
/// of libraries around it.
pub(super) fn cause_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    let mut is_name = false;
    while let Some(source) = innermost.source() {
        innermost = source;
        // The library has no type for it, so its words have to tell.
        is_name |= innermost.to_string().starts_with("dns error");
    }
    if is_name {
        return "its name can't be looked up. Is this machine online?".to_owned();
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "nothing answers at that address".to_owned(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => "it was reset".to_owned(),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            "the network can't be reached. Is this machine online?".to_owned()
        }
        _ => {
            let text = innermost.to_string();
            text.split(" (os error ").next().unwrap_or_default().to_owned()
        }
    }
}

/// Whether a connection failed because a certificate is expired or not yet valid. The type of that
/// error is the TLS library's own, so its words have to tell.
pub(super) fn is_untimely(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let why = text.strip_prefix("invalid peer certificate: ");
    why.is_some_and(|why| why.starts_with("certificate expired") || why.starts_with("certificate not valid yet"))
}

/// Makes Roblox's text fit for a terminal and a log: one line, cut, without the credential.
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

/// Makes Roblox's code and message fit to be shown.
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
        // Cutting first and hiding afterwards would leave half a key.
        let edge = format!("{}{}", "x".repeat(MAX_MESSAGE - 6), " a-very-secret-key");
        assert!(!fit(&edge, &credential).contains("a-ver"));
    }

    #[test]
    fn failures_name_the_request_and_its_target() {
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

    #[test]
    fn a_refused_key_and_a_missing_connection_are_no_assets_fault() {
        let failure = |class, status, source| Failure {
            class,
            endpoint: Endpoint::CreateAsset,
            target: "Image `a`".to_owned(),
            status,
            shape: None,
            code: None,
            message: if status.is_some() { "Invalid API Key".to_owned() } else { String::new() },
            source,
        };
        let refused = failure(Class::Refused(Refusal::KeyRefused), Some(401), None);
        assert_eq!(refused.to_string(), "Roblox doesn't accept this API key: it answered 401: Invalid API Key");
        let connect = || TransportError::Connect { remote: "https://r".to_owned(), why: "it was reset".to_owned() };
        let offline = failure(Class::CouldNotAsk, None, Some(connect()));
        assert_eq!(offline.cause(), "no connection to https://r: it was reset");
        let broken = TransportError::Connection { remote: "https://r".to_owned(), why: "it was reset".to_owned() };
        let broken = failure(Class::InDoubt, None, Some(broken));
        assert_eq!(broken.cause(), "could not create Image `a`: the connection to https://r broke: it was reset");
    }
}
