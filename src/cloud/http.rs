//! One exchange with the remote: how a body leaves, how far it got, and the response.
//!
//! The last piece of every body is held back until the caller has recorded that it is about to
//! leave. A multipart body without its end, or JSON without its last brace, can't have been carried
//! out. So a change that breaks before that moment was never sent, and one that breaks later is in
//! doubt.
//!
//! Nothing here classifies ([`super::class`] does), retries, or follows a redirect: a redirect to
//! another host would carry the API key along.
//!
//! Dropping the future of an exchange breaks the connection. The last piece leaves before that or
//! never.
//!
//! Read next: [`super::client`] for the requests that are sent.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, FutureExt, select};
use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use reqwest::{Client, Method, Request, Response, Url};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::base::BaseUrl;
use super::class::Sent;
use super::endpoint::{ResponseHead, date_of};
use super::failure::{RecordError, TransportError, cause_of, is_untimely};
use super::proxy;
use super::secret::Credential;
use super::timeouts::Timeouts;

/// The most that is read of a response, in bytes. The longest of Roblox's, a page of 50 versions,
/// is some 20 kB; error pages are cut.
pub(super) const MAX_RESPONSE: usize = 1024 * 1024;
/// The part of an uploading file that is in memory at once, in bytes.
const CHUNK: usize = 64 * 1024;
/// How long an idle connection is kept. Load balancers close them after a minute or more, and a
/// read over a connection that is just being closed fails for nothing.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// A file to upload. The reader verifies the bytes that it reads: an error, even at its end, keeps
/// the request from being completed.
pub struct UploadBody {
    /// The bytes.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The exact length in bytes.
    pub length: u64,
    /// The file's name. Only a plain form of it is sent.
    pub file_name: String,
    /// Roblox's MIME type for the format.
    pub mime: &'static str,
}

/// A body in pieces. Everything but the tail may leave before the hand-over.
pub(super) struct Payload {
    pub(super) content_type: String,
    pub(super) head: Bytes,
    pub(super) upload: Option<UploadBody>,
    pub(super) tail: Bytes,
}

impl Payload {
    /// Makes a JSON body; its last byte is the tail.
    pub(super) fn json(text: String) -> Self {
        let mut head = Bytes::from(text);
        let tail = head.split_off(head.len().saturating_sub(1));
        Self { content_type: "application/json".to_owned(), head, upload: None, tail }
    }

    fn length(&self) -> u64 {
        let content = self.upload.as_ref().map_or(0, |upload| upload.length);
        (self.head.len() as u64).saturating_add(content).saturating_add(self.tail.len() as u64)
    }
}

/// The content of a request.
pub(super) enum Outgoing {
    /// Nothing: a read.
    Nothing,
    /// JSON that changes nothing: a read as well.
    Read(String),
    /// Nothing, although the request changes something. Its headers are all of it, so it is handed
    /// over before it begins.
    Command,
    /// A body.
    Payload(Payload),
}

/// A response, read as far as it arrived.
pub(super) struct RawResponse {
    pub(super) head: ResponseHead,
    pub(super) body: Vec<u8>,
    /// The reason why the body is incomplete, if it is.
    pub(super) cut: Option<TransportError>,
}

impl RawResponse {
    /// Removes the credential, which the remote may have sent back.
    pub(super) fn clean(&mut self, credential: &Credential) {
        self.body = credential.clean_body(std::mem::take(&mut self.body));
        self.head.limits.texts().for_each(|text| credential.clean_header(text));
    }
}

/// The outcome of an exchange, and how far the request got.
pub(super) struct Exchange {
    pub(super) sent: Sent,
    pub(super) outcome: Result<RawResponse, TransportError>,
}

/// The connections to one remote.
#[derive(Debug)]
pub(super) struct HttpTransport {
    /// With the proxy on the way, as messages name it.
    remote: String,
    /// For reads: connections are kept and reused.
    reads: Client,
    /// For changes: HTTP/1.1, one connection each. A pooled connection was seen to stall under
    /// uploads, and one that the other side has just closed would leave a change in doubt for
    /// nothing.
    changes: Client,
    timeouts: Timeouts,
}

impl HttpTransport {
    pub(super) fn new(base: &BaseUrl, timeouts: Timeouts) -> Result<Self, reqwest::Error> {
        let common = || {
            let mut builder = Client::builder()
                .user_agent(concat!("macadam/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .https_only(base.is_encrypted())
                .connect_timeout(timeouts.connect);
            if !base.is_encrypted() {
                // Without https nothing needs verifying. Loading no certificates saves time, and
                // lets a machine without any use the emulator.
                builder = builder.tls_certs_only([]);
            }
            if base.is_loopback() {
                // A build box's proxy can't reach this machine. And `localhost` means this machine,
                // whatever a name server says.
                let here = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
                let here = here.map(|address: std::net::IpAddr| std::net::SocketAddr::new(address, 0));
                builder = builder.no_proxy().resolve_to_addrs("localhost", &here);
            }
            builder
        };
        Ok(Self {
            remote: match proxy::on_the_way(base) {
                Some(proxy) => format!("{base} through {proxy}"),
                None => base.to_string(),
            },
            reads: common().pool_idle_timeout(POOL_IDLE).build()?,
            changes: common().http1_only().pool_max_idle_per_host(0).build()?,
            timeouts,
        })
    }

    /// Tries once. Runs `record` after everything but the tail has left, and before the tail does.
    /// If the request ends earlier, `record` doesn't run.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: reqwest::header::HeaderMap,
        outgoing: Outgoing,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> Exchange {
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        match outgoing {
            Outgoing::Nothing => Exchange { sent: Sent::Whole, outcome: self.send_at_once(&self.reads, request).await },
            Outgoing::Read(json) => {
                *request.body_mut() = Some(json.into());
                Exchange { sent: Sent::Whole, outcome: self.send_at_once(&self.reads, request).await }
            }
            Outgoing::Command => {
                if let Err(error) = record.await {
                    return Exchange { sent: Sent::Partly, outcome: Err(TransportError::Record(error)) };
                }
                close_after(&mut request);
                Exchange { sent: Sent::Whole, outcome: self.send_at_once(&self.changes, request).await }
            }
            Outgoing::Payload(payload) => {
                close_after(&mut request);
                self.change(request, payload, record).await
            }
        }
    }

    /// Asks for a page without a credential, and returns the status and the `date` of whatever
    /// answers. Its body isn't read.
    pub(super) async fn knock(&self, url: Url) -> Result<(u16, Option<Timestamp>), TransportError> {
        let limit = self.timeouts.connect.saturating_add(self.timeouts.answer);
        match within("an answer", limit, self.reads.execute(Request::new(Method::GET, url))).await? {
            Ok(response) => Ok((response.status().as_u16(), date_of(response.headers()))),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Sends a request that has no body, or one whose body may leave at once.
    async fn send_at_once(&self, client: &Client, request: Request) -> Result<RawResponse, TransportError> {
        let limit = self.timeouts.connect.saturating_add(self.timeouts.answer);
        match within("an answer", limit, client.execute(request)).await? {
            Ok(response) => Ok(self.read(response).await),
            Err(error) => Err(self.broken(error)),
        }
    }

    async fn change(
        &self,
        mut request: Request,
        payload: Payload,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> Exchange {
        let partly = |outcome| Exchange { sent: Sent::Partly, outcome };
        let sending = self.timeouts.sending(payload.length());
        let answering = if payload.upload.is_some() { self.timeouts.upload_answer } else { self.timeouts.answer };
        let (pieces, body) = HeldBody::new(payload.length());
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let tail = payload.tail.clone();

        let mut response = pin!(self.changes.execute(request));
        let mut feeding = pin!(feed(payload, pieces, self.timeouts.idle));
        let permit = match timeout(sending, select(response.as_mut(), feeding.as_mut())).await {
            Err(_) => return partly(Err(TransportError::Timeout { doing: "sending the body", limit: sending })),
            Ok(Either::Right((Err(error), _))) => return partly(Err(error)),
            Ok(Either::Right((Ok(permit), _))) => permit,
            // A response before the whole body is usually a refusal.
            Ok(Either::Left((Err(error), _))) => return partly(Err(self.broken(error))),
            Ok(Either::Left((Ok(response), _))) => {
                // Half a request can't succeed. If it does all the same, its result must reach the
                // journal.
                if response.status().is_success()
                    && let Err(error) = record.await
                {
                    return partly(Err(TransportError::Record(error)));
                }
                // `feeding` still holds the body open. Dropping it would break the connection under
                // the response.
                return partly(Ok(self.read(response).await));
            }
        };
        if let Err(error) = record.await {
            return partly(Err(TransportError::Record(error)));
        }
        // Recording takes a moment. If the exchange ended meanwhile, it ended without the tail,
        // which then never leaves.
        if let Some(ended) = response.as_mut().now_or_never() {
            return partly(match ended {
                Ok(response) => Ok(self.read(response).await),
                Err(error) => Err(self.broken(error)),
            });
        }
        permit.send(tail);
        let outcome = match within("an answer", answering, response).await {
            Ok(Ok(response)) => Ok(self.read(response).await),
            Ok(Err(error)) => Err(self.broken(error)),
            Err(error) => Err(error),
        };
        Exchange { sent: Sent::Whole, outcome }
    }

    async fn read(&self, mut response: Response) -> RawResponse {
        let head = ResponseHead::of(response.status().as_u16(), response.headers());
        let mut body = Vec::new();
        let reading = async {
            loop {
                let chunk = within("the answer's body", self.timeouts.idle, response.chunk()).await?;
                let Some(chunk) = chunk.map_err(|error| self.broken(error))? else { return Ok(()) };
                let room = MAX_RESPONSE.saturating_sub(body.len());
                body.extend(chunk.iter().take(room));
                if chunk.len() > room {
                    return Err(TransportError::Oversized(MAX_RESPONSE));
                }
            }
        };
        let cut = within("the whole answer", self.timeouts.answer, reading).await.and_then(|read| read).err();
        RawResponse { head, body, cut }
    }

    fn broken(&self, error: reqwest::Error) -> TransportError {
        let (remote, connect) = (self.remote.clone(), error.is_connect());
        let source = error.without_url();
        if connect && is_untimely(&source) {
            return TransportError::Certificate { remote };
        }
        let why = cause_of(&source);
        if connect { TransportError::Connect { remote, why } } else { TransportError::Connection { remote, why } }
    }
}

fn close_after(request: &mut Request) {
    request.headers_mut().insert(reqwest::header::CONNECTION, reqwest::header::HeaderValue::from_static("close"));
}

async fn within<T>(doing: &'static str, limit: Duration, future: impl Future<Output = T>) -> Result<T, TransportError> {
    timeout(limit, future).await.map_err(|_| TransportError::Timeout { doing, limit })
}

/// Hands over everything but the tail, each piece after the previous one has left. Returns the
/// permit to send the tail.
async fn feed(
    payload: Payload,
    pieces: mpsc::Sender<Bytes>,
    idle: Duration,
) -> Result<mpsc::OwnedPermit<Bytes>, TransportError> {
    let permit = |pieces: mpsc::Sender<Bytes>| async move {
        match within("sending the body", idle, pieces.reserve_owned()).await? {
            Ok(permit) => Ok(permit),
            // The connection is gone. The response, which is awaited beside this, knows why.
            Err(_) => std::future::pending().await,
        }
    };
    let mut pieces = permit(pieces).await?.send(payload.head);
    if let Some(UploadBody { mut reader, length, .. }) = payload.upload {
        let mut found = 0_u64;
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = reader.read(&mut chunk).await.map_err(TransportError::Content)?;
            if read == 0 {
                break;
            }
            chunk.truncate(read);
            found += read as u64;
            if found > length {
                return Err(TransportError::Length { announced: length, found });
            }
            pieces = permit(pieces).await?.send(Bytes::from(chunk));
        }
        if found < length {
            return Err(TransportError::Length { announced: length, found });
        }
    }
    permit(pieces).await
}

/// A body of known length whose pieces are sent one by one. Dropping the sender before its end is
/// an error, which breaks the connection.
struct HeldBody {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
}

impl HeldBody {
    fn new(length: u64) -> (mpsc::Sender<Bytes>, Self) {
        // Capacity 1: the connection takes a piece when it has room, so a free slot means that the
        // previous piece has left.
        let (sender, pieces) = mpsc::channel(1);
        (sender, Self { pieces, left: length })
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let body = self.get_mut();
        if body.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(body.pieces.poll_recv(cx)) {
            Some(piece) => {
                body.left = body.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            None => Some(Err(io::Error::new(io::ErrorKind::Interrupted, "the body was withdrawn"))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
