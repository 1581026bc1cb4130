//! Tests of the status server over real sockets, with a clock that the test sets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::*;

/// A server whose clock stands still until it is set.
struct Served {
    address: SocketAddr,
    health: watch::Sender<Health>,
    metrics: Arc<Metrics>,
    seconds: Arc<AtomicU64>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        Self::within(LIMITS).await
    }

    async fn within(limits: ClientLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = watch::Sender::new(Health {
            ready: true,
            last_progress: Duration::from_secs(100),
            deadline: Duration::from_secs(60),
            detail: "watching 3 files".to_owned(),
            degraded: Vec::new(),
        });
        let metrics = Arc::new(Metrics::new("1.2.3", 0));
        let seconds = Arc::new(AtomicU64::new(110));
        let clock = Arc::clone(&seconds);
        let pages = StatusPages {
            health: health.subscribe(),
            metrics: Arc::clone(&metrics),
            clock: Arc::new(move || Duration::from_secs(clock.load(Ordering::SeqCst))),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve_within(limits, listener, pages, stop.clone().cancelled_owned()));
        Served { address, health, metrics, seconds, stop, task }
    }

    /// Sends bytes and reads until the server closes.
    async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        stream.write_all(request.as_ref()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    }

    async fn ask(&self, method: &str, path: &str, accept: &str) -> (u16, String, String) {
        let answer = self.raw(format!("{method} {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.ask("GET", path, "*/*").await;
        (status, body)
    }
}

#[tokio::test]
async fn health_follows_progress() {
    let served = Served::start().await;
    let fresh = (200, "watching 3 files\n".to_owned());
    assert_eq!(served.get("/healthz").await, fresh);
    served.seconds.store(161, Ordering::SeqCst);
    let stale = (503, "no progress for 61 s, 60 s are allowed\n".to_owned());
    assert_eq!(served.get("/healthz").await, stale);
    assert_eq!(served.get("/readyz").await, stale);
    served.health.send_modify(|health| health.last_progress = Duration::from_secs(160));
    assert_eq!(served.get("/healthz").await, fresh);
}

#[tokio::test]
async fn readiness_is_published_by_the_loop() {
    let served = Served::start().await;
    assert_eq!(served.get("/readyz").await.0, 200);
    served.health.send_modify(|health| {
        health.ready = false;
        health.detail = "stopping".to_owned();
    });
    assert_eq!(served.get("/readyz").await, (503, "not ready: stopping\n".to_owned()));
    assert_eq!(served.get("/healthz").await.0, 200, "stopping is no illness");
}

#[tokio::test]
async fn a_loop_that_died_is_not_healthy() {
    let mut served = Served::start().await;
    served.health = watch::Sender::new(Health::default());
    assert_eq!(served.get("/healthz").await, (503, "the loop has ended\n".to_owned()));
    assert_eq!(served.get("/readyz").await.0, 503);
}

#[tokio::test]
async fn json_is_served_on_request() {
    let served = Served::start().await;
    served.health.send_modify(|health| health.degraded.push("the key was refused".to_owned()));
    let (status, head, body) = served.ask("GET", "/readyz", "text/html;q=0.5, Application/JSON;q=0.9").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json") && head.contains("cache-control: no-store"), "{head}");
    let expected = serde_json::json!({
        "ok": true,
        "reason": "watching 3 files; degraded: the key was refused",
        "ready": true,
        "progress_age_seconds": 10,
        "deadline_seconds": 60,
        "detail": "watching 3 files",
        "degraded": ["the key was refused"],
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn metrics_are_served_as_prometheus_expects() {
    let served = Served::start().await;
    served.metrics.pass("all", 1);
    let (status, head, body) = served.ask("GET", "/metrics", "*/*").await;
    assert_eq!((status, &body), (200, &served.metrics.text()));
    // At least the server and this connection.
    let tasks = body.lines().find_map(|line| line.strip_prefix("macadam_tasks ")?.parse::<u64>().ok());
    assert!(tasks.is_some_and(|tasks| tasks >= 2), "{body}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
}

#[tokio::test]
async fn head_is_get_without_a_body_and_the_rest_is_refused() {
    let served = Served::start().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let (status, head, body) = served.ask("HEAD", path, "*/*").await;
        assert_eq!((status, body.as_str()), (200, ""), "{path}");
        assert!(head.contains("content-length: "), "{head}");
        assert_eq!(served.ask("POST", path, "*/*").await.0, 405, "{path}");
    }
    for path in ["/", "/healthz/", "/metrics/x", "/../etc/passwd", "/%2e%2e/healthz"] {
        assert_eq!(served.get(path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn huge_and_broken_requests_are_answered_and_closed() {
    let served = Served::start().await;
    let head = "GET /healthz HTTP/1.1\r\nhost: x\r\n";
    let long = served.raw(format!("{head}a: {}\r\n\r\n", "b".repeat(MAX_HEAD))).await;
    // It may close before the client has sent everything, and then the answer is lost.
    assert!(long.is_empty() || long.starts_with("HTTP/1.1 431 "), "{long}");
    let garbage = served.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
    // The body of a terabyte never comes, and the server doesn't wait for it.
    let body = served.raw(format!("{head}content-length: 1000000000000\r\n\r\nx")).await;
    assert!(body.is_empty() || body.starts_with("HTTP/1.1 200 "), "{body}");
    assert_eq!(served.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_connection_answers_only_one_request() {
    let served = Served::start().await;
    let answer = served.raw("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2)).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn silent_clients_lose_their_slots() {
    let short = Duration::from_millis(50);
    for limits in [
        ClientLimits { connections: 2, head_patience: short, ..LIMITS },
        ClientLimits { connections: 2, patience: short, ..LIMITS },
    ] {
        let served = Served::within(limits).await;
        let mut silent = Vec::new();
        for said in ["", "GET /healthz HTTP/1.1\r\n", "GET /hea"] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            silent.push(stream);
        }
        // More silent clients than slots, and they stay: an answer needs their slots.
        assert_eq!(served.get("/healthz").await.0, 200);
        drop(silent);
    }
}

#[tokio::test]
async fn silent_clients_do_not_keep_a_probe_out() {
    // No client is too late here.
    let day = Duration::from_secs(86_400);
    let served = Served::within(ClientLimits { connections: 4, patience: day, head_patience: day }).await;
    let mut silent = Vec::new();
    for round in 0..40 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(if round % 2 == 0 { b"" } else { b"GET /hea" }).await.unwrap();
        silent.push(stream);
    }
    let probe = tokio::time::timeout(Duration::from_secs(10), served.get("/healthz"));
    assert_eq!(probe.await.expect("the probe is answered").0, 200);
    drop(silent);
}

#[tokio::test]
async fn a_client_that_never_reads_delays_no_other() {
    let served = Served::start().await;
    let mut deaf = TcpStream::connect(served.address).await.unwrap();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(served.get("/healthz").await.0, 200);
    served.stop.cancel();
    served.task.await.unwrap();
}

#[tokio::test]
async fn shutdown_frees_the_port() {
    let served = Served::start().await;
    let _open = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(served.get("/healthz").await.0, 200);
    served.stop.cancel();
    served.task.await.unwrap();
    TcpListener::bind(served.address).await.unwrap();
}
