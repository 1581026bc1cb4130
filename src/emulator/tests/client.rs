//! A client of bare sockets: it sees how a connection ended, not only what was answered.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bench::{FORM, form, new_asset};
use super::files::FilePartFixture;
use crate::emulator::{Config, LatencyModel, Running, start};

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExchangeEnd {
    /// A whole answer.
    Answer { status: u16, head: String, body: Vec<u8> },
    /// RST, after so many bytes of an answer.
    Reset(usize),
    /// FIN before the answer was whole, after so many bytes.
    Closed(usize),
    /// Nothing for so long that the client went away.
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

/// An emulator on a free port, whose operations end at once.
pub(super) async fn quick() -> Running {
    started(|_| {}).await
}

pub(super) async fn started(change: impl FnOnce(&mut Config)) -> Running {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let mut config = Config { latency: LatencyModel::Fixed(0), switches, ..Config::default() };
    change(&mut config);
    start(config).await.unwrap()
}

/// One request on a connection of its own.
pub(super) async fn call(addr: SocketAddr, method: &str, path: &str, content_type: &str, body: &[u8]) -> ExchangeEnd {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nx-api-key: k\r\nconnection: close\r\n");
    head += &format!("content-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A reset may come while the request is sent; what the reading says counts.
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
