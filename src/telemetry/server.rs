//! `--listen`: serves `/healthz`, `/readyz` and `/metrics` over HTTP.
//!
//! It only reads the state that the loop published. No request can make it act, and it must never
//! block the loop. Every connection answers one request and has a deadline, so the slowest client
//! takes one of a few slots for a few seconds. If all slots are taken, a new connection replaces
//! the one that has been silent longest. So a client that opens connections and sends nothing can't
//! keep a probe out. Read next: [`super::health`].

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

/// The most that one client, or all of them, may use.
#[derive(Debug, Clone, Copy)]
struct ClientLimits {
    /// Connections at once. One more replaces the longest silent one. While all are being answered,
    /// it waits in the kernel's queue.
    connections: usize,
    /// How long a connection may live, from its first byte to the last of the answer.
    patience: Duration,
    /// How long a client may take to send its request's head.
    head_patience: Duration,
}

/// Two probes and a scraper need three slots; the rest is for people. Probes and scrapers
/// themselves time out after ten seconds.
const LIMITS: ClientLimits =
    ClientLimits { connections: 32, patience: Duration::from_secs(10), head_patience: Duration::from_secs(5) };

/// The largest head of a request, in bytes; browsers send less than 2 KiB. A longer one is answered
/// with 431. It is also hyper's minimum.
const MAX_HEAD: usize = 8 * 1024;

/// The pause after a failed accept. The likely cause is a lack of descriptors, until other
/// connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The clock of [`Health::last_progress`]: the time since the start, never jumping.
pub(crate) type ProgressClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The state behind the pages.
#[derive(Clone)]
pub(crate) struct StatusPages {
    /// The loop's health. When its sender is gone, the loop has ended, and `/healthz` says so.
    pub health: watch::Receiver<Health>,
    /// The program's metrics.
    pub metrics: Arc<Metrics>,
    /// Read at each request.
    pub clock: ProgressClock,
}

impl std::fmt::Debug for StatusPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { health, metrics: _, clock: _ } = self;
        f.debug_struct("StatusPages").field("health", &*health.borrow()).finish_non_exhaustive()
    }
}

/// Serves until `shutdown` is done, then drops the open connections. End it last, after the loop
/// has published that it stops.
pub(crate) async fn serve(listener: TcpListener, pages: StatusPages, shutdown: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, pages, shutdown).await;
}

/// The open connections, the oldest first.
#[derive(Default)]
struct ConnectionSlots {
    taken: VecDeque<ConnectionSlot>,
}

/// One open connection.
struct ConnectionSlot {
    task: AbortHandle,
    /// Whether the whole head of its request has arrived.
    has_request: Arc<AtomicBool>,
}

impl ConnectionSlots {
    /// Returns whether there is room for another connection. If needed, ends the one that has been
    /// silent longest.
    fn make_room(&mut self, slots: usize) -> bool {
        self.taken.retain(|slot| !slot.task.is_finished());
        if self.taken.len() < slots {
            return true;
        }
        let silent = self.taken.iter().position(|slot| !slot.has_request.load(Ordering::Relaxed));
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
    pages: StatusPages,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(pages);
    let mut slots = ConnectionSlots::default();
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
                // Answers take milliseconds: if every slot has a request in progress, one is free
                // soon.
                while !slots.make_room(limits.connections) {
                    tokio::select! {
                        () = &mut shutdown => return connections.shutdown().await,
                        _ = connections.join_next() => {}
                    }
                }
                let (router, has_request) = (router.clone(), Arc::new(AtomicBool::new(false)));
                let slot = Arc::clone(&has_request);
                let task = connections.spawn(async move {
                    // A connection past its deadline ends; the client may try again.
                    tokio::time::timeout(limits.patience, connect(limits, stream, router, has_request)).await.ok();
                });
                slots.taken.push_back(ConnectionSlot { task, has_request: slot });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection on the address of --listen");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    connections.shutdown().await;
}

async fn connect(limits: ClientLimits, stream: TcpStream, router: Router, has_request: Arc<AtomicBool>) {
    let pages = TowerToHyperService::new(router);
    let answering = service_fn(|request: Request<Incoming>| {
        has_request.store(true, Ordering::Relaxed);
        pages.call(request)
    });
    // One request per connection: then the connection's deadline is the request's, and no idle
    // connection keeps a slot.
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_patience)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answering);
    // A broken connection concerns only its client.
    serving.await.ok();
}

fn router(pages: StatusPages) -> Router {
    // No handler reads a body, so its size doesn't matter. `get` answers HEAD too.
    Router::new()
        .route(
            "/healthz",
            get(async |pages: State<StatusPages>, headers: HeaderMap| check(&pages, &headers, Health::alive)),
        )
        .route(
            "/readyz",
            get(async |pages: State<StatusPages>, headers: HeaderMap| check(&pages, &headers, Health::takes_work)),
        )
        .route("/metrics", get(counted))
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "no such page: /healthz, /readyz, /metrics") })
        .with_state(pages)
}

async fn counted(State(pages): State<StatusPages>) -> Response {
    pages.metrics.set_tasks(tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64);
    answer(StatusCode::OK, metrics::CONTENT_TYPE, pages.metrics.text())
}

fn check(pages: &StatusPages, headers: &HeaderMap, judge: fn(&Health, Duration) -> HealthVerdict) -> Response {
    // Read before the clock, so that the progress is never in the future.
    let health = pages.health.borrow().clone();
    let now = (pages.clock)();
    // The sender is dropped when the loop ends, even by a panic.
    let ended = pages.health.has_changed().is_err();
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
