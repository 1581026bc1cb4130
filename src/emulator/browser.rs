//! Keeps web pages out: a page that a person happens to have open must neither script an emulator
//! on the same machine nor read its data.
//!
//! Three things distinguish a page from a program, and each is checked before anything else
//! happens:
//!
//! - `Host`: a page whose name was pointed at 127.0.0.1 ("DNS rebinding") sends that name.
//! - `Origin` and `Sec-Fetch-Site`: browsers add them to the requests of a page's script, and
//!   programs don't. An address that a person types has `Sec-Fetch-Site: none`.
//! - `Content-Type`: a form can send a body without a preflight request, but never as JSON.
//!
//! The guard is against pages only. Programs on this machine may do anything: see SECURITY.md.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use axum::middleware::{self, Next};
use serde_json::json;

use super::control_api::json_response;

/// The reason to refuse a request before it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    /// The `Host` is not a name of this machine.
    Host,
    /// The script of a web page sent it.
    Page,
    /// The body is not declared as JSON.
    NotJson,
}

impl Suspicion {
    fn response(self) -> Response<Body> {
        let (status, message) = match self {
            Self::Host => (StatusCode::FORBIDDEN, "the Host header must be localhost or an IP address"),
            Self::Page => (StatusCode::FORBIDDEN, "web pages may not use the emulator"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with `content-type: application/json`"),
        };
        json_response(status, &json!({ "error": message }))
    }
}

/// Puts the check in front of all routes.
pub(super) fn guarded(router: Router, listens_on: SocketAddr) -> Router {
    let local = listens_on.ip().is_loopback();
    router.layer(middleware::from_fn(move |request: Request, next: Next| async move {
        match suspicion(local, request.method(), request.uri().path(), request.headers()) {
            Some(suspicion) => suspicion.response(),
            None => next.run(request).await,
        }
    }))
}

/// Returns the reason to refuse a request, if there is one. `local` means that the emulator listens
/// on loopback only; otherwise other machines may use any name for it.
fn suspicion(local: bool, method: &Method, path: &str, headers: &HeaderMap) -> Option<Suspicion> {
    // HTTP/1.0 needs no Host, and no browser uses it.
    let host = headers.get(header::HOST);
    if local && host.is_some_and(|host| !host.to_str().is_ok_and(is_this_machine)) {
        return Some(Suspicion::Host);
    }
    let from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site != "none");
    if headers.contains_key(header::ORIGIN) || from_elsewhere {
        return Some(Suspicion::Page);
    }
    // Uploads are forms, so the API can't require JSON. It needs a key in a header, which a page
    // can't send without a preflight request.
    let control = path.starts_with("/emulator/") && *method != Method::GET && *method != Method::HEAD;
    let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    let kind = headers.get(header::CONTENT_TYPE);
    let json = kind.is_some_and(|kind| kind.to_str().is_ok_and(is_json));
    (control && !json && (has_body || kind.is_some())).then_some(Suspicion::NotJson)
}

/// Whether a `Host` names this machine, or any machine by its IP address, which no page can choose.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_page_is_distinguished_from_a_program() {
        const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        const BODY: (&str, &str) = ("content-length", "2");
        let check = |local: bool, method: Method, path: &str, sent: &[(&str, &str)], wanted: Option<Suspicion>| {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                let name: header::HeaderName = name.parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
            assert_eq!(suspicion(local, &method, path, &headers), wanted, "{local} {method} {path} {sent:?}");
        };
        let (get, post) = (Method::GET, Method::POST);
        for host in ["127.0.0.1:8787", "localhost", "LOCALHOST:1", "[::1]:8787", "127.0.0.1", "192.168.1.5:8787"] {
            check(true, get.clone(), "/emulator/assets", &[("host", host)], None);
        }
        for host in ["evil.example:8787", "localhost.evil.example", "127.0.0.1.evil.example", "", "[evil]", "a:b"] {
            check(true, get.clone(), "/emulator/assets", &[("host", host)], Some(Suspicion::Host));
            check(true, post.clone(), "/assets/v1/assets", &[("host", host)], Some(Suspicion::Host));
            check(false, get.clone(), "/emulator/assets", &[("host", host)], None);
        }
        check(true, get.clone(), "/emulator/assets", &[("sec-fetch-site", "none")], None);
        for page in [("origin", "null"), ("origin", "http://127.0.0.1:8787"), ("sec-fetch-site", "cross-site")] {
            check(true, post.clone(), "/emulator/reset", &[page], Some(Suspicion::Page));
            check(false, get.clone(), "/assets/v1/assets/1", &[page], Some(Suspicion::Page));
        }
        check(true, post.clone(), "/emulator/faults", &[JSON, BODY], None);
        check(true, post.clone(), "/emulator/reset", &[], None);
        check(true, post.clone(), "/emulator/reset", &[("content-length", "0")], None);
        check(true, post.clone(), "/emulator/faults", &[FORM, BODY], Some(Suspicion::NotJson));
        check(true, post.clone(), "/emulator/faults", &[BODY], Some(Suspicion::NotJson));
        check(true, post.clone(), "/emulator/reset", &[("transfer-encoding", "chunked")], Some(Suspicion::NotJson));
        check(true, Method::DELETE, "/emulator/faults", &[FORM], Some(Suspicion::NotJson));
        check(true, post, "/assets/v1/assets", &[("content-type", "multipart/form-data; boundary=x"), BODY], None);
    }
}
