//! The client: one method for each endpoint, tried once and classified.
//!
//! It never repeats a request, never waits for a limit, and keeps nothing between requests but
//! connections: the schedule alone decides what is sent when. Every method that changes the remote
//! takes `record`, a future that runs to its end before the last byte leaves. If it fails, the
//! change is never sent.
//!
//! Read next: `assets` for creates and updates, `versions`, `operations`; [`super::http`] for the
//! exchange below them.

mod assets;
mod operations;
pub(crate) mod reach;
mod versions;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

pub(crate) use self::assets::UpdateRequest;
pub(crate) use self::versions::RollbackForm;
pub(crate) use super::wire::request::{CreateRequest, FieldUpdate};

use super::base::BaseUrl;
use super::class::{Received, Sent, classify, of_operation};
use super::endpoint::Endpoint;
use super::failure::{ApiReply, Failure, RecordError, TransportError, fit, fit_body};
use super::http::{Exchange, HttpTransport, Outgoing, RawResponse};
use super::secret::Credential;
use super::timeouts::Timeouts;
use super::wire::error::ErrorBody;
use super::wire::operation::OperationFailure;

/// A client for one remote with one credential.
#[derive(Debug)]
pub struct Client {
    base: BaseUrl,
    /// Replaced when a person changes it. Requests that are under way keep the previous one.
    credential: RwLock<Arc<Credential>>,
    wire: HttpTransport,
    is_rehearsal: bool,
    /// Measures requests for the log.
    clock: fn() -> Duration,
}

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not prepare connections to {remote}")]
pub struct ClientError {
    remote: String,
    #[source]
    source: reqwest::Error,
}

/// The reason why a successful response lacks the requested result.
enum Unexpected {
    /// The operation finished at once, and failed.
    Failure(OperationFailure),
    /// The body can't be understood.
    Unreadable,
}

/// One request, ready to leave.
struct ApiRequest {
    endpoint: Endpoint,
    target: String,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    outgoing: Outgoing,
}

impl ApiRequest {
    fn get(endpoint: Endpoint, target: String, path: String) -> Self {
        Self { endpoint, target, method: Method::GET, path, query: Vec::new(), outgoing: Outgoing::Nothing }
    }

    fn post(endpoint: Endpoint, target: String, path: String, outgoing: Outgoing) -> Self {
        Self { endpoint, target, method: Method::POST, path, query: Vec::new(), outgoing }
    }
}

impl Client {
    /// Prepares connections; the first request opens one.
    ///
    /// # Errors
    /// When TLS can't be set up on this machine.
    pub fn new(base: BaseUrl, credential: Credential, timeouts: Timeouts) -> Result<Self, ClientError> {
        let wire =
            HttpTransport::new(&base, timeouts).map_err(|source| ClientError { remote: base.to_string(), source })?;
        let (credential, clock) = (RwLock::new(Arc::new(credential)), || Duration::ZERO);
        Ok(Self { base, credential, wire, is_rehearsal: false, clock })
    }

    /// Measures requests for the log by this clock.
    #[must_use]
    pub fn timed_by(self, clock: fn() -> Duration) -> Self {
        Self { clock, ..self }
    }

    /// Says that the server is the built-in emulator, which nobody has to spare.
    #[must_use]
    pub fn for_rehearsal(self) -> Self {
        Self { is_rehearsal: true, ..self }
    }

    /// Returns whether the server is the built-in emulator.
    pub(crate) const fn is_rehearsal(&self) -> bool {
        self.is_rehearsal
    }

    /// Returns the API address.
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Uses another credential from now on.
    pub fn renew(&self, credential: Credential) {
        *self.credential.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credential);
    }

    fn credential(&self) -> Arc<Credential> {
        Arc::clone(&self.credential.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn headers(credential: &Credential, outgoing: &Outgoing) -> HeaderMap {
        let json = HeaderValue::from_static("application/json");
        let content_type = match outgoing {
            Outgoing::Nothing => None,
            // V1's samples of archive and restore have this header, though no body.
            Outgoing::Read(_) | Outgoing::Command => Some(json),
            Outgoing::Payload(payload) => HeaderValue::from_str(&payload.content_type).ok(),
        };
        let mut headers = HeaderMap::from_iter(content_type.map(|value| (CONTENT_TYPE, value)));
        // The one read with a body carries the credential in it.
        if !matches!(outgoing, Outgoing::Read(_)) {
            let (name, value) = credential.header();
            headers.insert(name, value);
        }
        if matches!(outgoing, Outgoing::Command) {
            // Without it, some servers in front of a service respond with 411.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        headers
    }

    fn url(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = Url::parse(&format!("{}/{path}", self.base))
            .expect("a base that was parsed, with a path of digits, letters and dashes behind it, is a URL");
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Sends a read.
    async fn read<T>(&self, call: ApiRequest, decode: impl FnOnce(&[u8]) -> Result<T, Unexpected>) -> ApiReply<T> {
        self.change(call, std::future::ready(Ok(())), decode).await
    }

    /// Sends a request and classifies the response.
    async fn change<T>(
        &self,
        call: ApiRequest,
        record: impl Future<Output = Result<(), RecordError>>,
        decode: impl FnOnce(&[u8]) -> Result<T, Unexpected>,
    ) -> ApiReply<T> {
        let ApiRequest { endpoint, target, method, path, query, outgoing } = call;
        // The credential that is sent is the one that may come back, though another may be in use
        // by then.
        let credential = self.credential();
        let (url, headers) = (self.url(&path, &query), Self::headers(&credential, &outgoing));
        let (begun, verb) = ((self.clock)(), method.clone());
        let mut exchange = self.wire.exchange(method, url, headers, outgoing, record).await;
        let status = exchange.outcome.as_ref().ok().map(|response| response.head.status);
        let ms = u64::try_from((self.clock)().saturating_sub(begun).as_millis()).unwrap_or(u64::MAX);
        // The query may hold what isn't for a log, such as a page's token.
        match status {
            Some(status) => tracing::debug!(method = %verb, path = %format_args!("/{path}"), status, ms, "request"),
            None => tracing::debug!(method = %verb, path = %format_args!("/{path}"), ms, "request without an answer"),
        }
        if let Ok(response) = &mut exchange.outcome {
            response.clean(&credential);
        }
        self.judge(endpoint, target, exchange, decode)
    }

    fn judge<T>(
        &self,
        endpoint: Endpoint,
        target: String,
        exchange: Exchange,
        decode: impl FnOnce(&[u8]) -> Result<T, Unexpected>,
    ) -> ApiReply<T> {
        let Exchange { sent, outcome } = exchange;
        let response = match outcome {
            Ok(response) => response,
            Err(source) => return self.no_response(endpoint, target, sent, source),
        };
        let RawResponse { head, body, cut } = response;
        let status = head.status;
        if (200..300).contains(&status) && cut.is_none() {
            match decode(&body) {
                Ok(result) => return ApiReply { head: Some(head), result: Ok(result) },
                Err(Unexpected::Failure(failure)) => {
                    let failure = self.fit_operation(failure);
                    let class = of_operation(failure.code.as_deref(), &failure.message);
                    let OperationFailure { code, message } = failure;
                    let failure = Failure {
                        class,
                        endpoint,
                        target,
                        status: Some(status),
                        shape: None,
                        code,
                        message,
                        source: None,
                    };
                    return ApiReply { head: Some(head), result: Err(failure) };
                }
                Err(Unexpected::Unreadable) => {}
            }
        }
        let said = fit_body(ErrorBody::read(&body, cut.is_none()), &self.credential());
        let class = classify(endpoint.is_write(), sent, Received::Response { status, body: &said });
        let ErrorBody { shape, code, message } = said;
        let failure =
            Failure { class, endpoint, target, status: Some(status), shape: Some(shape), code, message, source: cut };
        ApiReply { head: Some(head), result: Err(failure) }
    }

    fn no_response<T>(&self, endpoint: Endpoint, target: String, sent: Sent, source: TransportError) -> ApiReply<T> {
        let class = classify(endpoint.is_write(), sent, Received::Nothing(source.breakage()));
        let message = String::new();
        let failure =
            Failure { class, endpoint, target, status: None, shape: None, code: None, message, source: Some(source) };
        ApiReply { head: None, result: Err(failure) }
    }

    fn fit_operation(&self, failure: OperationFailure) -> OperationFailure {
        OperationFailure {
            code: failure.code.map(|code| fit(&code, &self.credential())),
            message: fit(&failure.message, &self.credential()),
        }
    }
}

#[cfg(test)]
mod tests;
