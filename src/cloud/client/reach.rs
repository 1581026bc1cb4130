//! Whether the remote answers at all, and what time it is there. Needs no credential and sends
//! none.

use jiff::Timestamp;
use reqwest::Url;

use crate::cloud::base::BaseUrl;
use crate::cloud::failure::TransportError;
use crate::cloud::http::HttpTransport;
use crate::cloud::timeouts::Timeouts;

/// Something answered at the remote's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The HTTP status, of a page that need not exist.
    pub status: u16,
    /// The time of day that the remote's clock shows (`date`, RFC 9110, to the second).
    pub date: Option<Timestamp>,
}

/// Why nothing answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// TLS can't be set up on this machine.
    #[error("could not prepare connections to {remote}")]
    Prepare {
        /// The base URL.
        remote: String,
        /// The library's error.
        #[source]
        source: reqwest::Error,
    },
    /// The request was not answered.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Sends one request that asks for nothing, and returns who answers.
///
/// # Errors
/// When nothing answers, or not in time.
pub(crate) async fn reach(base: &BaseUrl, timeouts: Timeouts) -> Result<Reached, ReachError> {
    let prepare = |source| ReachError::Prepare { remote: base.to_string(), source };
    let transport = HttpTransport::new(base, timeouts).map_err(prepare)?;
    // A base URL is a URL, so its root can't be none.
    let Ok(url) = Url::parse(base.as_str()) else { return Ok(Reached { status: 0, date: None }) };
    let (status, date) = transport.knock(url).await?;
    Ok(Reached { status, date })
}
