//! The API address, checked before a credential can go there.
//!
//! Only the command line sets it, never the manifest. Read next: [`super::client`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// The root of an Open Cloud: https anywhere, or http to this machine. Displays as the name under
/// which state and lockfile record the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Has no trailing slash.
    text: String,
    loopback: bool,
    encrypted: bool,
}

/// A text that can't be the address of an Open Cloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Not a URL.
    #[error("`--api-url` must start with https:// ({0})")]
    NoUrl(String),
    /// Nothing but white space.
    #[error("`--api-url` is empty")]
    Empty,
    /// The address of a server without its scheme.
    #[error("`--api-url` needs the whole address: write `--api-url {meant}`")]
    NoScheme {
        /// The address with the scheme that it needs.
        meant: String,
    },
    /// Neither https nor http to this machine.
    #[error("`--api-url` must start with https://, or with http:// for this machine (127.0.0.1, [::1], localhost)")]
    Insecure,
    /// Contains a user name or password.
    #[error("`--api-url` must not contain a user name or password")]
    UserInfo,
    /// Contains a line break, tab or other control character. A URL parser would drop it silently.
    #[error("`--api-url` must not contain control characters")]
    Control,
    /// Contains a query or fragment.
    #[error("`--api-url` must not contain `?` or `#`")]
    Tail,
}

impl BaseUrl {
    /// The address where Roblox serves Open Cloud (V1).
    pub const ROBLOX: &'static str = "https://apis.roblox.com";

    /// Whether the address is this machine. No proxy is used then.
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether the scheme is https.
    pub(super) const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Returns the address without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        Self { text: Self::ROBLOX.to_owned(), loopback: false, encrypted: true }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim();
        if text.contains(char::is_control) {
            return Err(BaseUrlError::Control);
        }
        if text.is_empty() {
            return Err(BaseUrlError::Empty);
        }
        // `localhost:8787` is a URL of the scheme `localhost`.
        if !text.contains("://") && text.starts_with(|first: char| first.is_alphanumeric() || first == '[') {
            let completed = ["http", "https"].map(|scheme| format!("{scheme}://{text}"));
            let meant = completed.iter().map(|whole| whole.parse::<Self>());
            return Err(match meant.into_iter().reduce(Result::or) {
                Some(Ok(Self { text: meant, .. })) => BaseUrlError::NoScheme { meant },
                Some(Err(error)) => error,
                None => BaseUrlError::Insecure,
            });
        }
        let url = Url::parse(text).map_err(|error| BaseUrlError::NoUrl(error.to_string()))?;
        // Checked first, so that no other message repeats a password.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::UserInfo);
        }
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let encrypted = url.scheme() == "https";
        if host.is_empty() || !(encrypted || (url.scheme() == "http" && loopback)) {
            return Err(BaseUrlError::Insecure);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::Tail);
        }
        Ok(Self { text: url.as_str().trim_end_matches('/').to_owned(), loopback, encrypted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_addresses_are_accepted() {
        let check = |text: &str, wanted: Result<(&str, bool), BaseUrlError>| {
            let made = text.parse::<BaseUrl>();
            let made = made.as_ref().map(|base| (base.as_str(), base.is_loopback())).map_err(Clone::clone);
            assert_eq!(made, wanted, "{text}");
        };
        check("https://apis.roblox.com", Ok(("https://apis.roblox.com", false)));
        check("HTTPS://APIS.roblox.com:443/", Ok(("https://apis.roblox.com", false)));
        check("https://gateway.example/roblox/", Ok(("https://gateway.example/roblox", false)));
        check("http://127.0.0.1:8787", Ok(("http://127.0.0.1:8787", true)));
        check("http://127.8.9.1:1", Ok(("http://127.8.9.1:1", true)));
        check("http://[::1]:8787/", Ok(("http://[::1]:8787", true)));
        check("http://localhost:8787", Ok(("http://localhost:8787", true)));
        check("https://localhost:8787", Ok(("https://localhost:8787", true)));
        for beyond in [
            "http://apis.roblox.com",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://0.0.0.0:1",
            "http://[::2]",
            "http://[::ffff:127.0.0.1]",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
        ] {
            check(beyond, Err(BaseUrlError::Insecure));
        }
        check("https://apis.roblox.com@evil.example", Err(BaseUrlError::UserInfo));
        check("https://user:pw@apis.roblox.com", Err(BaseUrlError::UserInfo));
        check("https://apis.roblox.com/?a", Err(BaseUrlError::Tail));
        check("https://apis.roblox.com/#a", Err(BaseUrlError::Tail));
        for dropped in ["https://apis.\nroblox.com", "https://apis.roblox.com/a\tb", "\u{7f}https://apis.roblox.com"] {
            check(dropped, Err(BaseUrlError::Control));
        }
        for (short, meant) in [
            ("127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("localhost:8787", "http://localhost:8787"),
            ("localhost", "http://localhost"),
            ("[::1]:8787/", "http://[::1]:8787"),
            ("apis.roblox.com", "https://apis.roblox.com"),
            ("gateway.example:8443/roblox", "https://gateway.example:8443/roblox"),
        ] {
            check(short, Err(BaseUrlError::NoScheme { meant: meant.to_owned() }));
        }
        check("user:pw@localhost:1", Err(BaseUrlError::UserInfo));
        check(" ", Err(BaseUrlError::Empty));
        assert!(matches!("/tmp/socket".parse::<BaseUrl>(), Err(BaseUrlError::NoUrl(_))));
        assert!(matches!("127.0.0.1:99999".parse::<BaseUrl>(), Err(BaseUrlError::NoUrl(_))));
        assert_eq!(BaseUrl::ROBLOX.parse::<BaseUrl>().unwrap(), BaseUrl::default());
    }
}
