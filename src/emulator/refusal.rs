//! A request that the remote refuses: what it means, apart from how it is spelt (`wire/error.rs`).

/// Why, in the words of Google's status codes, which Roblox uses (ERR's table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument,
    InsufficientScope,
    PermissionDenied,
    NotFound,
    ResourceExhausted,
}

impl Code {
    pub(super) fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::InsufficientScope => "INSUFFICIENT_SCOPE",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::NotFound => "NOT_FOUND",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        }
    }

    /// The HTTP status (ERR's table).
    pub(super) fn status(self) -> u16 {
        match self {
            Code::InvalidArgument => 400,
            Code::InsufficientScope | Code::PermissionDenied => 403,
            Code::NotFound => 404,
            Code::ResourceExhausted => 429,
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// By the assets service: `{"code", "message"}`, unless a switch says otherwise.
    Service { code: Code, message: String },
    /// By the gateway: `{"errors":[{"code":0,"message"}]}`.
    Gateway { status: u16, message: String },
    /// As ASP.NET's ProblemDetails.
    Problem { status: u16, message: String },
    /// By ASP.NET's model binding: ProblemDetails with the fields in error.
    Binding { field: &'static str, message: String },
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Refusal::Service { code: Code::InvalidArgument, message: message.into() }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Refusal::Service { code: Code::NotFound, message: message.into() }
    }

    /// The wording for an unknown asset seen on the wire.
    pub(super) fn no_asset(id: u64) -> Self {
        Refusal::not_found(format!("AssetId {id} is not found"))
    }

    pub(super) fn gateway(status: u16, message: impl Into<String>) -> Self {
        Refusal::Gateway { status, message: message.into() }
    }
}
