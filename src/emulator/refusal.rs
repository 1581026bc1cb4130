//! A request that the remote refuses: the reason, independent of its encoding (`wire/error.rs`).

/// The reason, named after Google's status codes, which Roblox uses (ERR's table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiErrorCode {
    InvalidArgument,
    InsufficientScope,
    PermissionDenied,
    NotFound,
    ResourceExhausted,
}

impl ApiErrorCode {
    pub(super) fn name(self) -> &'static str {
        match self {
            ApiErrorCode::InvalidArgument => "INVALID_ARGUMENT",
            ApiErrorCode::InsufficientScope => "INSUFFICIENT_SCOPE",
            ApiErrorCode::PermissionDenied => "PERMISSION_DENIED",
            ApiErrorCode::NotFound => "NOT_FOUND",
            ApiErrorCode::ResourceExhausted => "RESOURCE_EXHAUSTED",
        }
    }

    /// Returns the HTTP status (ERR's table).
    pub(super) fn status(self) -> u16 {
        match self {
            ApiErrorCode::InvalidArgument => 400,
            ApiErrorCode::InsufficientScope | ApiErrorCode::PermissionDenied => 403,
            ApiErrorCode::NotFound => 404,
            ApiErrorCode::ResourceExhausted => 429,
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiRefusal {
    /// By the assets service: `{"code", "message"}`, unless a switch says otherwise.
    Service { code: ApiErrorCode, message: String },
    /// By the gateway: `{"errors":[{"code":0,"message"}]}`.
    Gateway { status: u16, message: String },
    /// As ASP.NET's ProblemDetails.
    Problem { status: u16, message: String },
    /// By ASP.NET's model binding: ProblemDetails with the fields in error.
    Binding { field: &'static str, message: String },
}

impl ApiRefusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        ApiRefusal::Service { code: ApiErrorCode::InvalidArgument, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        ApiRefusal::Service { code: ApiErrorCode::NotFound, message: message.into() }
    }

    /// Makes the refusal of an unknown asset, with the message seen on the wire.
    pub(super) fn no_asset(id: u64) -> Self {
        ApiRefusal::not_found(format!("AssetId {id} is not found"))
    }

    pub(super) fn gateway(status: u16, message: impl Into<String>) -> Self {
        ApiRefusal::Gateway { status, message: message.into() }
    }
}
