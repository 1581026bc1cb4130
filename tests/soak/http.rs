//! One request over HTTP/1.1 to this machine, for the emulator's control API and the service's
//! pages.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// The time limit of a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the status and the body of a response.
pub fn request(address: &str, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidData, format!("{method} {path}: {what}"));
    let to = address.parse().map_err(|_| wrong("no address"))?;
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| wrong("no whole answer"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| wrong("no status"))?;
    Ok((status, body.to_owned()))
}
