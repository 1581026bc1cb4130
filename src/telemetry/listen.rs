//! Parses the value of `--listen`.

use std::net::{Ipv4Addr, SocketAddr};

/// The value is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` isn't an address to listen on: a port (9400), or an address with a port (127.0.0.1:9400, [::1]:9400)"
)]
pub(crate) struct ListenError {
    text: String,
}

/// Parses an address to listen on. A bare port, `:9400` and `localhost:9400` mean loopback. What is
/// served has no password, so other machines can read it only if an address says so, as in
/// `0.0.0.0:9400`.
///
/// # Errors
/// When it is neither a port nor an IP address with a port. Other names are not looked up, since
/// their addresses may change unnoticed.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, ListenError> {
    let trimmed = text.trim();
    let port = trimmed.strip_prefix("localhost").filter(|rest| rest.starts_with(':')).unwrap_or(trimmed);
    let port = port.strip_prefix(':').unwrap_or(port);
    // `parse` would accept a sign.
    if port.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    trimmed.parse().map_err(|_| ListenError { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_loopback_unless_it_says_otherwise() {
        for (text, expected) in [
            ("9400", "127.0.0.1:9400"),
            (":9400", "127.0.0.1:9400"),
            (" 9400 ", "127.0.0.1:9400"),
            ("localhost:9400", "127.0.0.1:9400"),
            ("0", "127.0.0.1:0"),
            ("127.0.0.1:9400", "127.0.0.1:9400"),
            ("0.0.0.0:9400", "0.0.0.0:9400"),
            ("[::1]:9400", "[::1]:9400"),
            ("[::]:1", "[::]:1"),
        ] {
            assert_eq!(parse_listen(text).map(|address| address.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            ":",
            "+80",
            "-1",
            "65536",
            ":65536",
            "host:80",
            "localhost",
            "127.0.0.1",
            "::1",
            "1.2.3.4:",
            "http://x:1",
        ] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
        let said = parse_listen("build-box:80").map_err(|error| error.to_string());
        assert!(said.is_err_and(|said| said.starts_with("`build-box:80` isn't an address to listen on")));
    }
}
