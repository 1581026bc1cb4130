//! Maps a method and a path to an endpoint. Pure; knows nothing of bodies.

use serde::{Deserialize, Serialize};

/// The endpoints of the API, by the names that the request log, fault scripts and limits use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiEndpoint {
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
    /// `GET /assets/v1/assets/{id}/versions/{number}`
    GetVersion,
    /// `POST /assets/v1/assets/{id}/versions:rollback`
    RollbackAsset,
    /// `GET /assets/v1/operations/{id}`
    GetOperation,
    /// `POST /api-keys/v1/introspect`
    IntrospectKey,
}

impl ApiEndpoint {
    /// All endpoints.
    pub const ALL: [ApiEndpoint; 10] = [
        ApiEndpoint::CreateAsset,
        ApiEndpoint::GetAsset,
        ApiEndpoint::UpdateAsset,
        ApiEndpoint::ArchiveAsset,
        ApiEndpoint::RestoreAsset,
        ApiEndpoint::ListVersions,
        ApiEndpoint::GetVersion,
        ApiEndpoint::RollbackAsset,
        ApiEndpoint::GetOperation,
        ApiEndpoint::IntrospectKey,
    ];

    /// Returns the name in logs, counters and scripts.
    pub fn name(self) -> &'static str {
        match self {
            ApiEndpoint::CreateAsset => "create_asset",
            ApiEndpoint::GetAsset => "get_asset",
            ApiEndpoint::UpdateAsset => "update_asset",
            ApiEndpoint::ArchiveAsset => "archive_asset",
            ApiEndpoint::RestoreAsset => "restore_asset",
            ApiEndpoint::ListVersions => "list_versions",
            ApiEndpoint::GetVersion => "get_version",
            ApiEndpoint::RollbackAsset => "rollback_asset",
            ApiEndpoint::GetOperation => "get_operation",
            ApiEndpoint::IntrospectKey => "introspect_key",
        }
    }

    /// Whether the endpoint changes something. A key then needs `asset:read` and `asset:write`
    /// (V1).
    pub(super) fn writes(self) -> bool {
        matches!(
            self,
            ApiEndpoint::CreateAsset
                | ApiEndpoint::UpdateAsset
                | ApiEndpoint::ArchiveAsset
                | ApiEndpoint::RestoreAsset
                | ApiEndpoint::RollbackAsset
        )
    }
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Create,
    Asset {
        endpoint: ApiEndpoint,
        id: u64,
    },
    Version {
        id: u64,
        number: u32,
    },
    Operation {
        id: String,
    },
    Introspect,
    /// The path has the form of an endpoint, but a malformed ID or number: a refusal by the model
    /// binder.
    Malformed {
        endpoint: ApiEndpoint,
        field: &'static str,
        value: String,
    },
    /// An endpoint's path with a method that it doesn't have.
    WrongMethod,
    Unknown,
}

impl Route {
    pub(super) fn endpoint(&self) -> Option<ApiEndpoint> {
        match self {
            Route::Create => Some(ApiEndpoint::CreateAsset),
            Route::Asset { endpoint, .. } | Route::Malformed { endpoint, .. } => Some(*endpoint),
            Route::Version { .. } => Some(ApiEndpoint::GetVersion),
            Route::Operation { .. } => Some(ApiEndpoint::GetOperation),
            Route::Introspect => Some(ApiEndpoint::IntrospectKey),
            Route::WrongMethod | Route::Unknown => None,
        }
    }

    /// Returns the asset in the path.
    pub(super) fn asset_id(&self) -> Option<u64> {
        match self {
            Route::Asset { id, .. } | Route::Version { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// Parses a method and a raw path, which is still percent-encoded.
pub(super) fn route(method: &str, raw_path: &str) -> Route {
    let path = super::wire::query::percent_decode(raw_path);
    if path == "/api-keys/v1/introspect" {
        return if method == "POST" { Route::Introspect } else { Route::WrongMethod };
    }
    let Some(rest) = path.strip_prefix("/assets/v1/") else { return Route::Unknown };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        ["assets"] if method == "POST" => Route::Create,
        ["assets"] => Route::WrongMethod,
        ["assets", id] => {
            let (id, verb) = id.split_once(':').map_or((*id, None), |(id, verb)| (id, Some(verb)));
            let endpoint = match (method, verb) {
                ("GET", None) => ApiEndpoint::GetAsset,
                ("PATCH", None) => ApiEndpoint::UpdateAsset,
                ("POST", Some("archive")) => ApiEndpoint::ArchiveAsset,
                ("POST", Some("restore")) => ApiEndpoint::RestoreAsset,
                (_, None | Some("archive" | "restore")) => return Route::WrongMethod,
                _ => return Route::Unknown,
            };
            of_asset(endpoint, id)
        }
        ["assets", id, "versions"] if method == "GET" => of_asset(ApiEndpoint::ListVersions, id),
        ["assets", id, "versions:rollback"] if method == "POST" => of_asset(ApiEndpoint::RollbackAsset, id),
        ["assets", _, "versions" | "versions:rollback"] => Route::WrongMethod,
        ["assets", id, "versions", number] if method == "GET" => match (asset_id(id), number.parse::<u32>()) {
            (None, _) => malformed(ApiEndpoint::GetVersion, "assetId", id),
            (_, Err(_)) => malformed(ApiEndpoint::GetVersion, "versionNumber", number),
            (Some(id), Ok(number)) => Route::Version { id, number },
        },
        ["assets", _, "versions", _] => Route::WrongMethod,
        ["operations", id] if method == "GET" && !id.is_empty() => Route::Operation { id: (*id).to_owned() },
        ["operations", _] => Route::WrongMethod,
        _ => Route::Unknown,
    }
}

fn of_asset(endpoint: ApiEndpoint, id: &str) -> Route {
    match asset_id(id) {
        Some(id) => Route::Asset { endpoint, id },
        None => malformed(endpoint, "assetId", id),
    }
}

/// Parses an asset ID: an int64 above zero.
fn asset_id(text: &str) -> Option<u64> {
    text.parse::<i64>().ok().and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0)
}

fn malformed(endpoint: ApiEndpoint, field: &'static str, value: &str) -> Route {
    Route::Malformed { endpoint, field, value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_endpoints_are_found_by_method_and_path() {
        #[track_caller]
        fn check(method: &str, path: &str, expected: Route) {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
        let asset = |endpoint| Route::Asset { endpoint, id: 12 };
        check("POST", "/assets/v1/assets", Route::Create);
        check("GET", "/assets/v1/assets/12", asset(ApiEndpoint::GetAsset));
        check("PATCH", "/assets/v1/assets/12", asset(ApiEndpoint::UpdateAsset));
        check("POST", "/assets/v1/assets/12:archive", asset(ApiEndpoint::ArchiveAsset));
        check("POST", "/assets/v1/assets/12%3Arestore", asset(ApiEndpoint::RestoreAsset));
        check("GET", "/assets/v1/assets/12/versions", asset(ApiEndpoint::ListVersions));
        check("GET", "/assets/v1/assets/12/versions/3", Route::Version { id: 12, number: 3 });
        check("POST", "/assets/v1/assets/12/versions:rollback", asset(ApiEndpoint::RollbackAsset));
        check("GET", "/assets/v1/operations/a-b", Route::Operation { id: "a-b".into() });
        check("POST", "/api-keys/v1/introspect", Route::Introspect);

        check("GET", "/assets/v1/assets", Route::WrongMethod);
        check("GET", "/assets/v1/assets/12:archive", Route::WrongMethod);
        check("DELETE", "/assets/v1/assets/12", Route::WrongMethod);
        check("POST", "/assets/v1/assets/12:burn", Route::Unknown);
        check("GET", "/assets/v2/assets/12", Route::Unknown);
        check("GET", "/", Route::Unknown);
        check("GET", "/assets/v1/assets/abc", malformed(ApiEndpoint::GetAsset, "assetId", "abc"));
        check(
            "GET",
            "/assets/v1/assets/99999999999999999999",
            malformed(ApiEndpoint::GetAsset, "assetId", "99999999999999999999"),
        );
        check("GET", "/assets/v1/assets/12/versions/x", malformed(ApiEndpoint::GetVersion, "versionNumber", "x"));
        check("GET", "/assets/v1/assets/%ff%00", malformed(ApiEndpoint::GetAsset, "assetId", "\u{fffd}\0"));
    }

    #[test]
    fn endpoint_names_are_those_in_scripts() {
        for endpoint in ApiEndpoint::ALL {
            assert_eq!(serde_json::to_value(endpoint).unwrap(), endpoint.name());
        }
    }
}
