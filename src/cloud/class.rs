//! Classifies a response, or a missing one. One table maps how far a request got, what broke, the
//! status and the shape of the body to a [`Class`].
//!
//! The rule behind it: Roblox can't have carried out a request whose last byte never reached the
//! connection. After that byte, only a response that Roblox's own code wrote settles the request.
//! An error page shows that something on the way is unwell, not what became of the request.
//!
//! Pure: no I/O, no clock. Read next: [`super::http`], which finds out how far a request got.

use super::wire::error::{ErrorBody, Shape};

/// The meaning of a request's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The change can't have been carried out: its last byte never left. It may be sent again.
    NeverSent(Unsent),
    /// Roblox processed the request and refused it.
    Refused(Refusal),
    /// Roblox did not carry out the request, and may do so later.
    TryLater(Later),
    /// The change may or may not have been carried out.
    InDoubt,
    /// A read got no usable response. Nothing is known; above all, the asset is not known to be
    /// absent.
    CouldNotAsk,
}

/// The reason why a change was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unsent {
    /// The connection could not be made, or broke before the last byte.
    Connection,
    /// The content could not be read, or differs from the hashed content.
    Content,
    /// The hand-over could not be recorded.
    Record,
}

/// The reason why Roblox refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The key or token is wrong, expired, disabled, or used from a forbidden IP address.
    KeyRefused,
    /// The key lacks a scope.
    MissingScope,
    /// The account is sanctioned: every write must stop.
    AccountModerated,
    /// The key has no permission for this creator or asset.
    PermissionDenied,
    /// The service has no such asset or version.
    NotFound,
    /// No service is behind the URL, or something other than the service says so. The API address
    /// may be wrong. Says nothing about an asset.
    NoRoute,
    /// A proxy, firewall or load balancer turned the request away before it reached the service.
    /// Says nothing about key, creator or file.
    Intercepted,
    /// The text filter refused the display name.
    NameModerated,
    /// The text filter refused the description.
    DescriptionModerated,
    /// Moderation refused the content.
    ContentModerated,
    /// The file is too large.
    TooLarge,
    /// The upload costs more than the request allows.
    PriceTooHigh {
        /// The price in Robux, if the answer names it.
        robux: Option<u64>,
    },
    /// Anything else is wrong with the request or the content.
    Invalid,
}

impl Refusal {
    /// Returns whether it is about what was sent, and not about the key, the asset or the way there: the
    /// same would be refused each time.
    pub(crate) const fn is_of_content(self) -> bool {
        match self {
            Self::NameModerated
            | Self::DescriptionModerated
            | Self::ContentModerated
            | Self::TooLarge
            | Self::PriceTooHigh { .. }
            | Self::Invalid => true,
            Self::KeyRefused
            | Self::MissingScope
            | Self::AccountModerated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::NoRoute
            | Self::Intercepted => false,
        }
    }
}

/// The reason why Roblox did not carry out a request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Later {
    /// Too many requests.
    RateLimited,
    /// The creator's upload quota for an asset type is used up. Says nothing about the file, and
    /// lasts for hours or days.
    QuotaSpent,
    /// The service reported that it is down.
    Unavailable,
    /// Another change of the same thing conflicted.
    Conflict,
    /// An operation ended in an internal failure at Roblox.
    Internal,
}

/// How far a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sent {
    /// The last byte was held back.
    Partly,
    /// The last byte was handed to the connection, or was about to be.
    Whole,
}

/// The event that ended a request without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Breakage {
    /// No connection: name, TCP, proxy or TLS. Proves that no byte of the request left.
    Connect,
    /// The connection broke, or carried something other than HTTP.
    Connection,
    /// A timeout.
    Timeout,
    /// The content changed or could not be read.
    Content,
    /// The hand-over could not be recorded.
    Record,
}

impl Breakage {
    /// Every breakage.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [Self::Connect, Self::Connection, Self::Timeout, Self::Content, Self::Record];
}

/// The response to a request, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Received<'a> {
    /// A response that did not bring the requested result.
    Response {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a ErrorBody,
    },
    /// No response.
    Nothing(Breakage),
}

/// Returns the class of an outcome. `writes` is whether the request changes the remote.
pub(crate) fn classify(writes: bool, sent: Sent, received: Received<'_>) -> Class {
    let class = match received {
        Received::Response { status, body } => definite(status, body)
            // A read can be repeated, so its class needs no guess about the response's author.
            .or_else(|| by_status(status).filter(|_| writes))
            .unwrap_or_else(|| in_progress(sent)),
        Received::Nothing(breakage) => match (breakage, sent) {
            (Breakage::Connect, _) => Class::NeverSent(Unsent::Connection),
            (Breakage::Content, Sent::Partly) => Class::NeverSent(Unsent::Content),
            (Breakage::Record, Sent::Partly) => Class::NeverSent(Unsent::Record),
            (Breakage::Connection | Breakage::Timeout | Breakage::Content | Breakage::Record, _) => in_progress(sent),
        },
    };
    match class {
        Class::NeverSent(_) | Class::InDoubt if !writes => Class::CouldNotAsk,
        class => class,
    }
}

const fn in_progress(sent: Sent) -> Class {
    match sent {
        Sent::Partly => Class::NeverSent(Unsent::Connection),
        Sent::Whole => Class::InDoubt,
    }
}

/// Returns the class that an unsuccessful response settles, or `None` if it settles nothing.
///
/// The codes are those of creator-docs: cloud/reference/errors.md. Plain text settles only what the
/// front of a service decides before any work. Any hop may send a 400, 409 or 503 in plain text,
/// even after the work was done: "upstream connect error or disconnect/reset before headers" is a
/// 503 in plain text.
fn definite(status: u16, body: &ErrorBody) -> Option<Class> {
    let own = body.shape.is_own();
    let readable = own || body.shape == Shape::PlainText;
    Some(match status {
        400 | 403 | 429 if readable && is_quota(status, body) => Class::TryLater(Later::QuotaSpent),
        401 if readable => Class::Refused(account(body).unwrap_or(Refusal::KeyRefused)),
        403 if readable => Class::Refused(account(body).unwrap_or_else(|| forbidden(body))),
        // `{"code":"NOT_FOUND","message":"AssetId 1 is not found"}` comes from the service
        // (recorded 2026-07). The gateway, the framework and plain text speak of unserved URLs, and
        // a wrong URL must not make an asset count as gone.
        404 if body.shape == Shape::Service => Class::Refused(Refusal::NotFound),
        404 if readable => Class::Refused(Refusal::NoRoute),
        413 if readable => Class::Refused(Refusal::TooLarge),
        // Unserved under this method, or no longer served. No message of the service can change
        // that.
        405 | 410 | 501 if own => Class::Refused(Refusal::NoRoute),
        // RFC 6585: the request is not carried out. Gateway and service both count before any work
        // (a public client's measurement of the sibling API). So the body doesn't matter; it may be
        // empty, a page or `{"errors":[]}`.
        429 => Class::TryLater(Later::RateLimited),
        // Load balancers send these after silence, and services for a call that they gave up
        // halfway.
        408 | 499 => return None,
        409 if own => Class::TryLater(Later::Conflict),
        400..=499 if own => Class::Refused(invalid(body)),
        503 if own => Class::TryLater(Later::Unavailable),
        // 1xx, 2xx without the requested result, 3xx (never followed), 500, 502, 504 and the rest
        // of 5xx: see `by_status`.
        _ => return None,
    })
}

/// Returns the class that a status settles whoever wrote it and whatever the body is. RFC 9110
/// gives these statuses only to a request that is turned away before any work.
///
/// Everything else depends on the body:
///
/// - 400 is also HAProxy's status for a connection that fell silent, and 408 and 499 for one that
///   was given up.
/// - 406 can follow the work, when the response could not be produced.
/// - 409, 423 and 424 may respond to a second delivery of a request that was carried out.
/// - 502, 503 and 504 come from a gateway that forwarded the whole body.
/// - A redirect may follow the work.
const fn by_status(status: u16) -> Option<Class> {
    Some(Class::Refused(match status {
        // RFC 9110, 15.5.2: no valid credentials. Every other request would get the same response.
        401 => Refusal::KeyRefused,
        // 15.5.4: understood and refused. Without a message from Roblox a firewall sent it, and it
        // says nothing about creator and permission. 15.5.8 and RFC 6585: a proxy asks for
        // authentication (407, 511). The rest rejects the form of the request before reading it:
        // its length (411), URL (414), expectation (417), server (421), protocol (426, 505),
        // condition (428) or headers (431), or a legal block (451).
        403 | 407 | 411 | 414 | 417 | 421 | 426 | 428 | 431 | 451 | 505 | 511 => Refusal::Intercepted,
        // 15.5.5, 15.5.6, 15.5.11, 15.6.2: unserved here.
        404 | 405 | 410 | 501 => Refusal::NoRoute,
        // 15.5.14: larger than the responding server accepts.
        413 => Refusal::TooLarge,
        // 15.5.16, 15.5.21: a form of content that the server doesn't accept.
        415 | 422 => Refusal::Invalid,
        _ => return None,
    }))
}

fn says(body: &ErrorBody, words: &str) -> bool {
    body.message.to_ascii_lowercase().contains(words)
}

/// Whether the response reports a used-up upload quota.
///
/// How Roblox spells that is not recorded, so every likely spelling counts, as 400, 403 or 429: in
/// the message, or in the code, such as asset-quotas' `RATE_LIMIT_UPLOAD`. `RESOURCE_EXHAUSTED`
/// alone is the rate limiter's code for a 429, and has no such meaning in a 400 or 403.
fn is_quota(status: u16, body: &ErrorBody) -> bool {
    let code = body.code.as_deref().unwrap_or_default().to_ascii_lowercase();
    let limit = says(body, "limit")
        && ["upload", "monthly", "daily", "per month", "per day"].iter().any(|words| says(body, words));
    let exhausted = status != 429 && code.chars().filter(char::is_ascii_alphanumeric).eq("resourceexhausted".chars());
    says(body, "quota") || code.contains("quota") || code == "rate_limit_upload" || limit || exhausted
}

/// "User is moderated" arrives in the gateway's shape, whatever the endpoint (a public client's
/// report).
fn account(body: &ErrorBody) -> Option<Refusal> {
    says(body, "user is moderated").then_some(Refusal::AccountModerated)
}

/// The message about a missing scope is not recorded. A refusal for lack of a permission has no
/// reason to mention scopes.
fn forbidden(body: &ErrorBody) -> Refusal {
    if body.code.as_deref() == Some("INSUFFICIENT_SCOPE") || says(body, "scope") {
        Refusal::MissingScope
    } else {
        Refusal::PermissionDenied
    }
}

/// Returns the price that a refusal names: the highest of its numbers, since it is above the expected
/// one. How Roblox spells that refusal is not recorded.
fn price(body: &ErrorBody) -> Option<u64> {
    let numbers = body.message.split(|c: char| !c.is_ascii_digit() && c != ',');
    numbers.filter_map(|text| text.replace(',', "").parse().ok()).max()
}

/// The messages are those of recorded responses, but for the price's.
fn invalid(body: &ErrorBody) -> Refusal {
    if says(body, "assetname is moderated") {
        Refusal::NameModerated
    } else if says(body, "assetdescription is moderated") {
        Refusal::DescriptionModerated
    } else if says(body, "request body too large") {
        Refusal::TooLarge
    } else if says(body, "price") && (says(body, "robux") || says(body, "expected")) {
        Refusal::PriceTooHigh { robux: price(body) }
    } else {
        Refusal::Invalid
    }
}

/// Returns the class of a failed operation. The names are those of Roblox's own Blender add-on, and
/// of V1 with numbers for words.
pub(crate) fn of_operation(code: Option<&str>, message: &str) -> Class {
    let body = ErrorBody { shape: Shape::Service, code: code.map(str::to_owned), message: message.to_owned() };
    let word: String = code.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    match word.to_ascii_lowercase().as_str() {
        _ if account(&body).is_some() => Class::Refused(Refusal::AccountModerated),
        _ if is_quota(429, &body) => Class::TryLater(Later::QuotaSpent),
        "contentmoderated" => Class::Refused(Refusal::ContentModerated),
        "permissiondenied" | "403" => Class::Refused(Refusal::PermissionDenied),
        "resourceexhausted" | "429" => Class::TryLater(Later::RateLimited),
        "internal" | "500" => Class::TryLater(Later::Internal),
        "unavailable" | "503" => Class::TryLater(Later::Unavailable),
        "aborted" | "409" => Class::TryLater(Later::Conflict),
        _ => Class::Refused(invalid(&body)),
    }
}

impl Class {
    /// Whether the cause is an unwell remote or network rather than the request. The circuit
    /// breaker counts these.
    pub const fn is_outage(self) -> bool {
        match self {
            Self::NeverSent(Unsent::Connection)
            | Self::InDoubt
            | Self::CouldNotAsk
            | Self::TryLater(Later::Unavailable) => true,
            Self::NeverSent(Unsent::Content | Unsent::Record)
            | Self::Refused(_)
            | Self::TryLater(Later::RateLimited | Later::QuotaSpent | Later::Conflict | Later::Internal) => false,
        }
    }

    /// Returns a person's next step, if there is one.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::NeverSent(Unsent::Content) => "the file is being written: it is tried again once it is settled",
            Self::Refused(Refusal::KeyRefused) => {
                "check that the key is whole, enabled and not expired (keys expire after 60 days unused), and allows this machine's IP address: https://create.roblox.com/dashboard/credentials"
            }
            Self::Refused(Refusal::MissingScope) => {
                "give the key the scopes asset:read and asset:write: https://create.roblox.com/dashboard/credentials"
            }
            Self::Refused(Refusal::AccountModerated) => {
                "the account that owns the key is sanctioned: sign in to Roblox and read its notice; nothing is sent until then"
            }
            Self::Refused(Refusal::PermissionDenied) => {
                "check that the creator in the manifest is right, and that the key may act for that user or group"
            }
            Self::Refused(Refusal::NoRoute) => "check --api-url: nothing answers there as Open Cloud",
            Self::Refused(Refusal::Intercepted) => {
                "a proxy or a firewall between here and Roblox blocks the upload: try another network, or ask whoever runs this one"
            }
            Self::Refused(Refusal::NameModerated) => {
                "choose another display_name, or set moderated_name = \"neutral\" in [policy]"
            }
            Self::Refused(Refusal::DescriptionModerated) => "choose another description",
            Self::Refused(Refusal::ContentModerated) => "change the content: sending it again risks the account",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(shape: Shape) -> ErrorBody {
        ErrorBody { shape, code: None, message: "words".to_owned() }
    }

    /// The same table inverted: for each class of a write that was handed over, the statuses and
    /// shapes that lead to it.
    fn expected(status: u16, shape: Shape) -> Class {
        use Shape::{Empty, Errors, Html, JsonText, OtherJson, PlainText, Problem, Service, Unreadable};
        let own = [Errors, Service, Problem, JsonText];
        let front = [Errors, Service, Problem, JsonText, PlainText];
        let foreign = [PlainText, Html, OtherJson, Empty, Unreadable];
        let turned_away = [403, 407, 411, 414, 417, 421, 426, 428, 431, 451, 505, 511];
        let rows: [(&[u16], &[Shape], Class); 12] = [
            (&[401], &Shape::ALL, Class::Refused(Refusal::KeyRefused)),
            (&[403], &front, Class::Refused(Refusal::PermissionDenied)),
            (&turned_away, &foreign, Class::Refused(Refusal::Intercepted)),
            (&[505, 511], &own, Class::Refused(Refusal::Intercepted)),
            (&[404], &[Service], Class::Refused(Refusal::NotFound)),
            (&[404, 405, 410, 501], &Shape::ALL, Class::Refused(Refusal::NoRoute)),
            (&[409], &own, Class::TryLater(Later::Conflict)),
            (&[413], &Shape::ALL, Class::Refused(Refusal::TooLarge)),
            (&[415, 422], &foreign, Class::Refused(Refusal::Invalid)),
            (&[429], &Shape::ALL, Class::TryLater(Later::RateLimited)),
            (&[503], &own, Class::TryLater(Later::Unavailable)),
            (&[503], &foreign, Class::InDoubt),
        ];
        let row = rows.into_iter().find(|(statuses, shapes, _)| statuses.contains(&status) && shapes.contains(&shape));
        match row {
            Some((_, _, class)) => class,
            None if status / 100 == 4 && !matches!(status, 408 | 499) && own.contains(&shape) => {
                Class::Refused(Refusal::Invalid)
            }
            None => Class::InDoubt,
        }
    }

    #[test]
    fn every_status_and_shape_has_its_class() {
        let mut seen = 0;
        for status in 100..=599 {
            for shape in Shape::ALL {
                let body = body(shape);
                let received = Received::Response { status, body: &body };
                let wanted = expected(status, shape);
                let whole = classify(true, Sent::Whole, received);
                assert_eq!(whole, wanted, "{status} {shape:?}");
                // Before the hand-over nothing can be in doubt; nothing else changes.
                let partly = if wanted == Class::InDoubt { Class::NeverSent(Unsent::Connection) } else { wanted };
                assert_eq!(classify(true, Sent::Partly, received), partly, "{status} {shape:?}");
                // A read can be repeated: only a readable response, or the rate limit, settles it.
                let understood = status == 429 || definite(status, &body).is_some();
                let read = if understood { wanted } else { Class::CouldNotAsk };
                for sent in [Sent::Partly, Sent::Whole] {
                    assert_eq!(classify(false, sent, received), read, "{status} {shape:?}");
                }
                // The promise itself: a gateway's response after it forwarded everything never
                // settles a change that was handed over.
                let unreadable = matches!(shape, Shape::Html | Shape::OtherJson | Shape::Empty | Shape::Unreadable);
                let forwarded = [400, 406, 408, 409, 423, 424, 499].contains(&status) && unreadable;
                let server = status >= 500 && ![501, 503, 505, 511].contains(&status);
                if forwarded || server || (status == 503 && unreadable) || status < 400 {
                    assert_eq!(whole, Class::InDoubt, "{status} {shape:?}");
                }
                seen += 1;
            }
        }
        assert_eq!(seen, 500 * 9);
    }

    #[test]
    fn every_breakage_has_its_class() {
        for breakage in Breakage::ALL {
            let received = Received::Nothing(breakage);
            let whole =
                if breakage == Breakage::Connect { Class::NeverSent(Unsent::Connection) } else { Class::InDoubt };
            assert_eq!(classify(true, Sent::Whole, received), whole, "{breakage:?}");
            let unsent = match breakage {
                Breakage::Content => Unsent::Content,
                Breakage::Record => Unsent::Record,
                Breakage::Connect | Breakage::Connection | Breakage::Timeout => Unsent::Connection,
            };
            assert_eq!(classify(true, Sent::Partly, received), Class::NeverSent(unsent), "{breakage:?}");
            for sent in [Sent::Partly, Sent::Whole] {
                assert_eq!(classify(false, sent, received), Class::CouldNotAsk, "{breakage:?}");
            }
        }
    }

    #[test]
    fn messages_distinguish_the_classes() {
        let check = |status: u16, text: &str, wanted: Class| {
            let body = ErrorBody::read(text.as_bytes(), true);
            assert_eq!(classify(true, Sent::Whole, Received::Response { status, body: &body }), wanted, "{text}");
        };
        let refused = Class::Refused;
        check(401, r#"{"errors":[{"code":0,"message":"Invalid API Key"}]}"#, refused(Refusal::KeyRefused));
        check(403, r#"{"code":"INSUFFICIENT_SCOPE","message":"x"}"#, refused(Refusal::MissingScope));
        check(403, r#"{"error":"insufficient_scope","message":"Insufficient scope."}"#, refused(Refusal::MissingScope));
        let gateway = r#"{"errors":[{"code":0,"message":"The API key lacks the scope asset:write."}]}"#;
        check(403, gateway, refused(Refusal::MissingScope));
        check(403, r#"{"code":"PERMISSION_DENIED","message":"x"}"#, refused(Refusal::PermissionDenied));
        check(403, r#"{"errors":[{"code":0,"message":"User is moderated"}]}"#, refused(Refusal::AccountModerated));
        check(403, "\"User is moderated\"", refused(Refusal::AccountModerated));
        check(
            400,
            r#"{"code":"INVALID_ARGUMENT","message":"AssetName is moderated."}"#,
            refused(Refusal::NameModerated),
        );
        check(
            400,
            r#"{"code":"INVALID_ARGUMENT","message":"AssetDescription is moderated."}"#,
            refused(Refusal::DescriptionModerated),
        );
        check(
            400,
            r#"{"code":"INVALID_ARGUMENT","message":"Failed to read the request form. Request body too large. The max request body size is 30000000 bytes."}"#,
            refused(Refusal::TooLarge),
        );
        check(400, r#"{"code":"INVALID_ARGUMENT","message":"\"InvalidImage\""}"#, refused(Refusal::Invalid));
        let price = |robux| refused(Refusal::PriceTooHigh { robux });
        check(400, r#"{"message":"The price is 2,000 Robux, more than the expected price of 5."}"#, price(Some(2000)));
        check(400, r#"{"message":"Expected price exceeded."}"#, price(None));
        check(400, "<html><body><h1>400 Bad request</h1></body></html>", Class::InDoubt);
        check(404, r#"{"code":"NOT_FOUND","message":"AssetId 5 is not found"}"#, refused(Refusal::NotFound));
        check(404, r#"{"errors":[{"code":0,"message":"NotFound"}]}"#, refused(Refusal::NoRoute));
        check(429, r#"{"errors":[{"code":0,"message":""}]}"#, Class::TryLater(Later::RateLimited));
        for nothing in ["", r#"{"errors":[]}"#, "<html></html>", "{\"code\":"] {
            check(429, nothing, Class::TryLater(Later::RateLimited));
            check(403, nothing, refused(Refusal::Intercepted));
            check(410, nothing, refused(Refusal::NoRoute));
            check(502, nothing, Class::InDoubt);
        }
        let spent = Class::TryLater(Later::QuotaSpent);
        for status in [400, 403, 429] {
            check(
                status,
                r#"{"code":"INVALID_ARGUMENT","message":"The upload quota for AssetType Audio is exhausted."}"#,
                spent,
            );
            check(status, r#"{"errors":[{"code":0,"message":"You have reached your monthly upload limit."}]}"#, spent);
            check(status, r#"{"code":"QUOTA_EXCEEDED","message":"x"}"#, spent);
            check(status, "Upload limit exceeded", spent);
        }
        check(403, r#"{"code":"RESOURCE_EXHAUSTED","message":"x"}"#, spent);
        check(429, r#"{"code":"RESOURCE_EXHAUSTED","message":"x"}"#, Class::TryLater(Later::RateLimited));
        check(503, "upstream connect error or disconnect/reset before headers", Class::InDoubt);
        check(500, r#"{"code":"INTERNAL","message":"x"}"#, Class::InDoubt);
    }

    #[test]
    fn operation_failures_have_their_class() {
        let check = |code: Option<&str>, message: &str, wanted: Class| {
            assert_eq!(of_operation(code, message), wanted, "{code:?} {message}");
        };
        check(Some("ContentModerated"), "", Class::Refused(Refusal::ContentModerated));
        check(Some("CorruptedData"), "", Class::Refused(Refusal::Invalid));
        check(Some("InvalidArgument"), "AssetName is moderated.", Class::Refused(Refusal::NameModerated));
        check(Some("INVALID_ARGUMENT"), "x", Class::Refused(Refusal::Invalid));
        check(Some("PERMISSION_DENIED"), "x", Class::Refused(Refusal::PermissionDenied));
        check(Some("ResourceExhausted"), "x", Class::TryLater(Later::RateLimited));
        check(Some("RESOURCE_EXHAUSTED"), "x", Class::TryLater(Later::RateLimited));
        check(Some("Internal"), "x", Class::TryLater(Later::Internal));
        check(Some("500"), "x", Class::TryLater(Later::Internal));
        check(Some("Unavailable"), "x", Class::TryLater(Later::Unavailable));
        check(Some("Aborted"), "x", Class::TryLater(Later::Conflict));
        check(Some("Whatever"), "User is moderated", Class::Refused(Refusal::AccountModerated));
        check(None, "", Class::Refused(Refusal::Invalid));
    }
}
