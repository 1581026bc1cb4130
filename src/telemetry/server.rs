//! `--listen`: `/healthz`, `/readyz` and `/metrics` over HTTP.
//!
//! It reads what the loop published and nothing else: it can't be asked to do anything, and must
//! never hold up the loop. Every connection answers one request and has a deadline, so the slowest
//! client costs one of a few places for a few seconds. Where all places are taken, the connection
//! that has been silent longest makes room for a new one: who opens connections and says nothing
//! can't keep a probe out. Read next: [`super::health`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::health::{Health, HealthVerdict, one_line};
use super::metrics::{self, Metrics};

/// What one client, or all of them, may cost.
#[derive(Debug, Clone, Copy)]
struct ClientLimits {
    /// Connections at once. One more takes the place of the longest silent one; where all are being
    /// answered it waits in the kernel's queue.
    connections: usize,
    /// How long a connection may live, from its first byte to the last of the answer.
    patience: Duration,
    /// How long a client may take to say what it wants.
    head_patience: Duration,
}

/// Two probes and a scraper need three places; the rest is for people. Probes and scrapers give up
/// after ten seconds themselves.
const LIMITS: ClientLimits =
    ClientLimits { connections: 32, patience: Duration::from_secs(10), head_patience: Duration::from_secs(5) };

/// The largest head of a request; browsers send less than 2 KiB. A longer one is answered with 431.
/// It is also what hyper needs at least.
const MAX_HEAD: usize = 8 * 1024;

/// How long accepting rests after a failure, which is most likely a lack of descriptors: others
/// have to end first.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// The clock that [`Health::last_progress`] is on: the time since the start, never jumping.
pub(crate) type ProgressClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What is shown to the outside.
#[derive(Clone)]
pub(crate) struct StatusPages {
    /// What the loop says of itself. When its sender is gone, so is the loop, and `/healthz` says
    /// so.
    pub health: watch::Receiver<Health>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Read at each request.
    pub clock: ProgressClock,
}

impl std::fmt::Debug for StatusPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { health, metrics: _, clock: _ } = self;
        f.debug_struct("Face").field("health", &*health.borrow()).finish_non_exhaustive()
    }
}

/// Answers until `shutdown` is done, then drops what is open: so end it last, after the loop has
/// published that it stops.
pub(crate) async fn serve(listener: TcpListener, face: StatusPages, shutdown: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, face, shutdown).await;
}

/// The connections that are open, the oldest first.
#[derive(Default)]
struct Places {
    taken: VecDeque<ConnectionSlot>,
}

/// One open connection.
struct ConnectionSlot {
    task: AbortHandle,
    /// Whether the whole head of its request has come.
    asked: Arc<AtomicBool>,
}

impl Places {
    /// Whether there is room for another one, if need be by ending the connection that has been
    /// silent longest.
    fn make_room(&mut self, places: usize) -> bool {
        self.taken.retain(|place| !place.task.is_finished());
        if self.taken.len() < places {
            return true;
        }
        let silent = self.taken.iter().position(|place| !place.asked.load(Ordering::Relaxed));
        if let Some(evicted) = silent.and_then(|at| self.taken.remove(at)) {
            evicted.task.abort();
            return true;
        }
        false
    }
}

async fn serve_within(
    limits: ClientLimits,
    listener: TcpListener,
    face: StatusPages,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(face);
    let mut places = Places::default();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers take milliseconds: where every place has one under way, one is free soon.
                while !places.make_room(limits.connections) {
                    tokio::select! {
                        () = &mut shutdown => return connections.shutdown().await,
                        _ = connections.join_next() => {}
                    }
                }
                let (router, asked) = (router.clone(), Arc::new(AtomicBool::new(false)));
                let place = Arc::clone(&asked);
                let task = connections.spawn(async move {
                    // Past its deadline a connection is the client's loss.
                    tokio::time::timeout(limits.patience, connect(limits, stream, router, asked)).await.ok();
                });
                places.taken.push_back(ConnectionSlot { task, asked: place });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection on the address of --listen");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_REST) => {}
                }
            }
        }
    }
    connections.shutdown().await;
}

async fn connect(limits: ClientLimits, stream: TcpStream, router: Router, asked: Arc<AtomicBool>) {
    let pages = TowerToHyperService::new(router);
    let answering = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        pages.call(request)
    });
    // One request a connection: then the deadline of the connection is that of the request, and nobody
    // keeps a place by being idle.
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_patience)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answering);
    // A connection that breaks is the client's business.
    serving.await.ok();
}

fn router(face: StatusPages) -> Router {
    // No handler reads a body, so its size is of no interest. `get` answers HEAD too.
    Router::new()
        .route(
            "/healthz",
            get(async |face: State<StatusPages>, headers: HeaderMap| check(&face, &headers, Health::alive)),
        )
        .route(
            "/readyz",
            get(async |face: State<StatusPages>, headers: HeaderMap| check(&face, &headers, Health::takes_work)),
        )
        .route("/metrics", get(counted))
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "no such page: /healthz, /readyz, /metrics") })
        .with_state(face)
}

async fn counted(State(face): State<StatusPages>) -> Response {
    face.metrics.set_tasks(tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64);
    answer(StatusCode::OK, metrics::CONTENT_TYPE, face.metrics.text())
}

fn check(face: &StatusPages, headers: &HeaderMap, judge: fn(&Health, Duration) -> HealthVerdict) -> Response {
    // Before the clock is read: progress can't lie in its future then.
    let health = face.health.borrow().clone();
    let now = (face.clock)();
    // The sender goes when the loop ends, even by a panic.
    let ended = face.health.has_changed().is_err();
    let verdict =
        if ended { HealthVerdict { ok: false, reason: "the loop has ended".to_owned() } } else { judge(&health, now) };
    let status = if verdict.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !wants_json(headers) {
        return plain(status, &verdict.reason);
    }
    let document = serde_json::json!({
        "ok": verdict.ok,
        "reason": verdict.reason,
        "ready": health.ready && !ended,
        "progress_age_seconds": health.age(now).as_secs(),
        "deadline_seconds": health.deadline.as_secs(),
        "detail": one_line(&health.detail),
        "degraded": health.degraded.iter().map(|blocked| one_line(blocked)).collect::<Vec<_>>(),
    });
    answer(status, "application/json", format!("{document}\n"))
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    })
}

fn plain(status: StatusCode, line: &str) -> Response {
    answer(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // A cached answer says nothing about now.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
