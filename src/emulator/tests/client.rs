//! A client of bare sockets, which sees how a connection ended as well as the response.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::files::FilePartFixture;
use super::fixture::{FORM, form, new_asset};
use crate::emulator::{Config, LatencyModel, Running, start};

/// The way an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExchangeEnd {
    /// A whole response.
    Answer { status: u16, head: String, body: Vec<u8> },
    /// RST, after this many bytes of a response.
    Reset(usize),
    /// FIN before the response was whole, after this many bytes.
    Closed(usize),
    /// Silence, until the client gave up.
    Silence,
}

impl ExchangeEnd {
    #[track_caller]
    pub(super) fn status(&self) -> u16 {
        match self {
            ExchangeEnd::Answer { status, .. } => *status,
            other => panic!("no answer: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        match self {
            ExchangeEnd::Answer { body, .. } => serde_json::from_slice(body).unwrap(),
            other => panic!("no answer: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let ExchangeEnd::Answer { head, .. } = self else { panic!("no answer: {self:?}") };
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    }
}

/// Starts an emulator on a free port, whose operations end at once.
pub(super) async fn quick() -> Running {
    started(|_| {}).await
}

pub(super) async fn started(change: impl FnOnce(&mut Config)) -> Running {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let mut config = Config { latency: LatencyModel::Fixed(0), switches, ..Config::default() };
    change(&mut config);
    start(config).await.unwrap()
}

/// Sends one request over a connection of its own.
pub(super) async fn call(addr: SocketAddr, method: &str, path: &str, content_type: &str, body: &[u8]) -> ExchangeEnd {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nx-api-key: k\r\nconnection: close\r\n");
    head += &format!("content-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A reset may arrive while the request is sent; the result of reading counts.
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok();
    let mut got = Vec::new();
    let end = loop {
        match tokio::time::timeout(Duration::from_millis(400), stream.read_buf(&mut got)).await {
            Err(_) => return ExchangeEnd::Silence,
            Ok(Ok(0)) => break ExchangeEnd::Closed(got.len()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => break ExchangeEnd::Reset(got.len()),
            Ok(Err(error)) => panic!("{error}"),
        }
    };
    whole(&got).unwrap_or(end)
}

fn whole(got: &[u8]) -> Option<ExchangeEnd> {
    let end = got.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (String::from_utf8_lossy(&got[..end]).into_owned(), got[end + 4..].to_vec());
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    (body.len() == length).then_some(ExchangeEnd::Answer { status, head, body })
}

pub(super) async fn get(emulator: &Running, path: &str) -> ExchangeEnd {
    call(emulator.addr(), "GET", path, "text/plain", b"").await
}

pub(super) async fn create(emulator: &Running, file: &FilePartFixture) -> ExchangeEnd {
    let body = form(&new_asset("Model", "Sword").to_string(), Some(file));
    call(emulator.addr(), "POST", "/assets/v1/assets", FORM, &body).await
}
