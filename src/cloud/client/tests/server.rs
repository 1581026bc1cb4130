//! A remote that follows a script byte by byte, and remembers every byte it received.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One step of a connection.
#[derive(Debug, Clone)]
pub(super) enum ConnectionStep {
    /// Reads a request's head.
    Head,
    /// Reads a whole request, by its content length.
    Whole,
    /// Writes these bytes.
    Say(String),
    /// Writes these bytes one by one, 10 ms apart.
    Drip(String),
    /// Breaks the connection with a reset.
    Reset,
    /// Keeps the connection open without reading.
    Hang,
    /// Reads until the other side ends.
    Drain,
}

pub(super) struct Server {
    pub(super) url: String,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves one script for each connection, in the order of the connections. Further connections
    /// are reset.
    pub(super) async fn start(scripts: Vec<Vec<ConnectionStep>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&received);
        let task = tokio::spawn(async move {
            let mut scripts = scripts.into_iter();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = {
                    let mut all = all.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let script = scripts.next().unwrap_or_else(|| vec![ConnectionStep::Reset]);
                tokio::spawn(serve(stream, script, number, Arc::clone(&all)));
            }
        });
        Self { url, received, task }
    }

    pub(super) fn connections(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Returns the bytes received over a connection so far.
    pub(super) fn received(&self, connection: usize) -> String {
        let all = self.received.lock().unwrap();
        String::from_utf8(all.get(connection).cloned().unwrap_or_default()).unwrap()
    }

    /// Waits until `found` holds for the bytes received over a connection.
    pub(super) async fn until(&self, connection: usize, found: impl Fn(&str) -> bool) -> String {
        for _ in 0..500 {
            let received = self.received(connection);
            if found(&received) {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came, but: {}", self.received(connection));
    }
}

async fn serve(mut stream: TcpStream, script: Vec<ConnectionStep>, number: usize, all: Arc<Mutex<Vec<Vec<u8>>>>) {
    // Start of the request that is being read.
    let mut start = 0;
    for step in script {
        match step {
            ConnectionStep::Head => start = read_until(&mut stream, number, &all, start, head_end).await,
            ConnectionStep::Whole => start = read_until(&mut stream, number, &all, start, request_end).await,
            ConnectionStep::Say(text) => drop(stream.write_all(text.as_bytes()).await),
            ConnectionStep::Drip(text) => {
                for byte in text.bytes() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
            }
            ConnectionStep::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            ConnectionStep::Hang => std::future::pending().await,
            ConnectionStep::Drain => while read(&mut stream, number, &all).await {},
        }
    }
    drop(stream.shutdown().await);
}

async fn read(stream: &mut TcpStream, number: usize, all: &Mutex<Vec<Vec<u8>>>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer).await {
        Ok(0) | Err(_) => false,
        Ok(read) => {
            all.lock().unwrap()[number].extend_from_slice(&buffer[..read]);
            true
        }
    }
}

async fn read_until(
    stream: &mut TcpStream,
    number: usize,
    all: &Mutex<Vec<Vec<u8>>>,
    start: usize,
    end: fn(&[u8]) -> Option<usize>,
) -> usize {
    loop {
        let found = end(&all.lock().unwrap()[number][start..]);
        if let Some(length) = found {
            return start + length;
        }
        if !read(stream, number, all).await {
            return start;
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn request_end(bytes: &[u8]) -> Option<usize> {
    let head = head_end(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}

/// Returns a response with a JSON body that keeps the connection open.
pub(super) fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Words\r\ncontent-type: application/json\r\nx-ratelimit-limit: 120, 120;w=60\r\nx-ratelimit-remaining: 119, 69000\r\nx-ratelimit-remaining: 118\r\nx-ratelimit-reset: 41, 12\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
