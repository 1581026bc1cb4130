//! The endpoints by name, and the rate limit headers of every response.
//!
//! Knows no URL and no body; [`super::client`] does. Read next: [`super::client`].

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};

/// One kind of request to Open Cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `POST /assets/v1/assets`
    CreateAsset,
    /// `GET /assets/v1/assets/{id}`
    GetAsset,
    /// `PATCH /assets/v1/assets/{id}`
    UpdateAsset,
    /// `POST /assets/v1/assets/{id}:archive`
    ArchiveAsset,
    /// `POST /assets/v1/assets/{id}:restore`
    RestoreAsset,
    /// `GET /assets/v1/assets/{id}/versions`
    ListVersions,
    /// `GET /assets/v1/assets/{id}/versions/{n}`
    GetVersion,
    /// `POST /assets/v1/assets/{id}/versions:rollback`
    Rollback,
    /// `GET /assets/v1/operations/{id}`
    GetOperation,
    /// `POST /api-keys/v1/introspect`
    Introspect,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 10] = [
        Self::CreateAsset,
        Self::GetAsset,
        Self::UpdateAsset,
        Self::ArchiveAsset,
        Self::RestoreAsset,
        Self::ListVersions,
        Self::GetVersion,
        Self::Rollback,
        Self::GetOperation,
        Self::Introspect,
    ];

    /// Returns the name in logs, metrics and the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateAsset => "create_asset",
            Self::GetAsset => "get_asset",
            Self::UpdateAsset => "update_asset",
            Self::ArchiveAsset => "archive_asset",
            Self::RestoreAsset => "restore_asset",
            Self::ListVersions => "list_versions",
            Self::GetVersion => "get_version",
            Self::Rollback => "rollback",
            Self::GetOperation => "get_operation",
            Self::Introspect => "introspect",
        }
    }

    /// Whether a request changes the remote.
    pub const fn is_write(self) -> bool {
        match self {
            Self::CreateAsset | Self::UpdateAsset | Self::ArchiveAsset | Self::RestoreAsset | Self::Rollback => true,
            Self::GetAsset | Self::ListVersions | Self::GetVersion | Self::GetOperation | Self::Introspect => false,
        }
    }

    /// Returns the verb of an error message: "could not `{verb}` asset 123".
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::CreateAsset => "create",
            Self::GetAsset => "read",
            Self::UpdateAsset => "update",
            Self::ArchiveAsset => "archive",
            Self::RestoreAsset => "restore",
            Self::ListVersions => "list the versions of",
            Self::GetVersion => "read a version of",
            Self::Rollback => "roll back",
            Self::GetOperation => "ask for",
            Self::Introspect => "check",
        }
    }
}

/// The rate limit headers as received. Each may be absent, repeated, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawLimitHeaders {
    /// Every `x-ratelimit-limit`.
    pub limit: Vec<String>,
    /// Every `x-ratelimit-remaining`.
    pub remaining: Vec<String>,
    /// Every `x-ratelimit-reset`, seconds.
    pub reset: Vec<String>,
    /// Every `retry-after`, seconds or an HTTP date.
    pub retry_after: Vec<String>,
    /// `x-envoy-ratelimited: true`: the gateway refused the request, not the service.
    pub envoy_ratelimited: bool,
}

impl ResponseHead {
    pub(super) fn of(status: u16, headers: &HeaderMap) -> Self {
        Self { status, date: date_of(headers), limits: RawLimitHeaders::of(headers) }
    }
}

/// Returns the time in a response's `date`.
pub(super) fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(text.trim()).ok()?).ok()
}

impl RawLimitHeaders {
    /// Iterates over every text in the headers.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let Self { limit, remaining, reset, retry_after, envoy_ratelimited: _ } = self;
        limit.iter_mut().chain(remaining).chain(reset).chain(retry_after)
    }

    pub(super) fn of(headers: &HeaderMap) -> Self {
        let all = |name: &str| -> Vec<String> {
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
        };
        Self {
            limit: all("x-ratelimit-limit"),
            remaining: all("x-ratelimit-remaining"),
            reset: all("x-ratelimit-reset"),
            retry_after: all("retry-after"),
            envoy_ratelimited: all("x-envoy-ratelimited").iter().any(|value| value.eq_ignore_ascii_case("true")),
        }
    }
}

/// Status, date and rate limit headers of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: u16,
    /// The time of day that the remote's clock shows (`date`, RFC 9110, to the second).
    pub date: Option<Timestamp>,
    /// The rate limit headers.
    pub limits: RawLimitHeaders,
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_date_is_read_or_unknown() {
        let date = |text: &'static str| date_of(&HeaderMap::from_iter([(DATE, HeaderValue::from_static(text))]));
        assert_eq!(date("Sun, 29 Nov 2026 04:00:00 GMT").unwrap().to_string(), "2026-11-29T04:00:00Z");
        assert_eq!(date("tomorrow"), None);
        assert_eq!(date_of(&HeaderMap::new()), None);
    }
}
