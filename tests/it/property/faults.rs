//! Random faults of the remote. Each ends after a few requests, so that a run continues.

use std::collections::BTreeMap;

use macadam::emulator::{
    ApiEndpoint, BodyShape, FaultAction, FaultRule, OperationFault, Point, RetryAfter, ScriptedReply,
};

const SHAPES: [BodyShape; 8] = [
    BodyShape::Gateway,
    BodyShape::Service,
    BodyShape::ProblemDetails,
    BodyShape::Html,
    BodyShape::Empty,
    BodyShape::TruncatedJson,
    BodyShape::Garbage,
    BodyShape::UnknownObject,
];

const POINTS: [Point; 3] = [Point::BeforeBody, Point::AfterBody, Point::AfterCommit];

/// A rule for one of the endpoints that a run uses.
pub fn random(rng: &mut fastrand::Rng) -> FaultRule {
    let endpoints = [
        ApiEndpoint::CreateAsset,
        ApiEndpoint::CreateAsset,
        ApiEndpoint::CreateAsset,
        ApiEndpoint::UpdateAsset,
        ApiEndpoint::UpdateAsset,
        ApiEndpoint::GetOperation,
        ApiEndpoint::GetAsset,
    ];
    let endpoint = pick(rng, &endpoints);
    let submits = matches!(endpoint, ApiEndpoint::CreateAsset | ApiEndpoint::UpdateAsset);
    let action = match rng.u8(..14) {
        12 => return single_404(rng),
        13 => foreign_429(rng),
        0 => return FaultRule::always(FaultAction::Refuse).nth(rng.u64(1..4)).times(1),
        1 | 2 => FaultAction::Reset { at: pick(rng, &POINTS) },
        3 => FaultAction::Close { at: pick(rng, &POINTS) },
        4 => FaultAction::Truncate,
        5 => FaultAction::Merge {
            fields: serde_json::json!({ "neverHeardOf": [1, { "a": null }], "state": "SOMETHING_NEW" }),
        },
        6 if submits => FaultAction::Operation(operation(rng)),
        7 if submits => FaultAction::StaleReads { for_ms: 300 },
        8 => FaultAction::Delay { before_commit_ms: rng.u64(..30), before_reply_ms: rng.u64(..30) },
        _ => reply(rng),
    };
    FaultRule::on(endpoint, action).nth(rng.u64(1..4)).nth(rng.u64(1..5)).times(2)
}

/// A rule after which it is clear whether a request was carried out.
pub fn clear(rng: &mut fastrand::Rng) -> FaultRule {
    let endpoints =
        [ApiEndpoint::CreateAsset, ApiEndpoint::UpdateAsset, ApiEndpoint::GetOperation, ApiEndpoint::GetAsset];
    let endpoint = pick(rng, &endpoints);
    let submits = matches!(endpoint, ApiEndpoint::CreateAsset | ApiEndpoint::UpdateAsset);
    let action = match rng.u8(..8) {
        0 => return FaultRule::always(FaultAction::Refuse).nth(rng.u64(1..4)).times(1),
        1 | 2 => return single_404(rng),
        3 if submits => FaultAction::Operation(OperationFault::Stuck { for_ms: Some(rng.u64(100..900)) }),
        4 if submits => FaultAction::Operation(OperationFault::Invisible { for_ms: rng.u64(100..1500) }),
        5 => FaultAction::Delay { before_commit_ms: rng.u64(..30), before_reply_ms: rng.u64(..30) },
        _ => foreign_429(rng),
    };
    FaultRule::on(endpoint, action).nth(rng.u64(1..4)).nth(rng.u64(1..5)).times(2)
}

/// A single answer says that an asset doesn't exist.
fn single_404(rng: &mut fastrand::Rng) -> FaultRule {
    let reply = ScriptedReply::new(404, BodyShape::Service);
    let endpoint = pick(rng, &[ApiEndpoint::GetAsset, ApiEndpoint::UpdateAsset]);
    FaultRule::on(endpoint, FaultAction::Reply(reply)).nth(rng.u64(1..4)).times(1)
}

/// Too many requests, in the words of a proxy.
fn foreign_429(rng: &mut fastrand::Rng) -> FaultAction {
    let body = (rng.u8(..4) == 0).then(|| "{\"errors\":[]}".to_owned());
    let shape = pick(rng, &[BodyShape::Empty, BodyShape::Html, BodyShape::Garbage, BodyShape::UnknownObject]);
    let retry_after = Some(RetryAfter::Seconds(1));
    let reply = ScriptedReply { body, retry_after, headers: window(), ..ScriptedReply::new(429, shape) };
    FaultAction::Reply(ScriptedReply { rate_limit_headers: false, ..reply })
}

/// The headers of a window that ends soon: without them a budget stops for a whole minute.
fn window() -> BTreeMap<String, String> {
    let window = [("limit", "100"), ("remaining", "0"), ("reset", "1")];
    window.map(|(name, value)| (format!("x-ratelimit-{name}"), value.to_owned())).into()
}

fn operation(rng: &mut fastrand::Rng) -> OperationFault {
    let text = |code: &str| (code.to_owned(), "it went wrong".to_owned());
    let (code, message) = text(pick(rng, &["Internal", "CorruptedData", "ResourceExhausted", "InvalidArgument"]));
    match rng.u8(..6) {
        0 => OperationFault::Stuck { for_ms: Some(rng.u64(100..900)) },
        1 => OperationFault::Invisible { for_ms: rng.u64(100..1500) },
        2 => OperationFault::Nothing,
        3 => OperationFault::Error { code, message },
        4 => OperationFault::MetadataError { code, message },
        _ => OperationFault::FailureInResponse { code, message },
    }
}

fn reply(rng: &mut fastrand::Rng) -> FaultAction {
    let status = pick(rng, &[200, 400, 401, 403, 408, 429, 500, 502, 503, 503, 504]);
    let shape = pick(rng, &SHAPES);
    // In Roblox's own words a 503 is definite too: nothing was carried out.
    let own = matches!(shape, BodyShape::Gateway | BodyShape::Service | BodyShape::ProblemDetails);
    let may_commit = matches!(status, 200 | 408 | 500..) && !(status == 503 && own);
    FaultAction::Reply(ScriptedReply {
        retry_after: (status == 429 || rng.bool()).then_some(RetryAfter::Seconds(1)),
        // Without them a 429 stops its budget for a whole minute, which is right, and too long for
        // a test.
        headers: if status == 429 { window() } else { BTreeMap::new() },
        // A final refusal was not carried out; anything else may have been.
        commit: may_commit && rng.bool(),
        ..ScriptedReply::new(status, shape)
    })
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}
