//! Faults of the remote, as rules for the emulator's control API. Each has a label, under which the
//! figures count how often it fired.

use std::collections::BTreeMap;

use macadam::emulator::{
    ApiEndpoint, BodyShape, FaultAction, FaultRule, OperationFault, Point, RetryAfter, ScriptedReply,
};

use crate::actions::Action;

/// The endpoints that a change of the remote uses.
const ENDPOINTS: [ApiEndpoint; 5] = [
    ApiEndpoint::CreateAsset,
    ApiEndpoint::UpdateAsset,
    ApiEndpoint::GetOperation,
    ApiEndpoint::GetAsset,
    ApiEndpoint::RollbackAsset,
];

/// Returns the rules of an action; none if it is no fault of the remote. With `long`, a 429 may
/// also come without the end of the window, which rightly stops its budget for a whole minute.
pub fn rules(kind: Action, rng: &mut fastrand::Rng, long: bool) -> Vec<FaultRule> {
    let submits = &ENDPOINTS[..2];
    let (endpoints, action) = match kind {
        Action::ServerErrors => (&ENDPOINTS[..], reply(pick(rng, &[500, 502, 503, 504]), rng, false)),
        Action::CommittedErrors => (submits, reply(500, rng, true)),
        Action::TooMany => (&ENDPOINTS[..], too_many(long && rng.u8(..4) == 0)),
        Action::Reset => (&ENDPOINTS[..], FaultAction::Reset { at: pick(rng, &[Point::BeforeBody, Point::AfterBody]) }),
        Action::ResetAfterCommit => (submits, FaultAction::Reset { at: Point::AfterCommit }),
        Action::Hang => (&ENDPOINTS[..], FaultAction::Hang { at: pick(rng, &[Point::BeforeBody, Point::AfterCommit]) }),
        Action::Truncate => (&ENDPOINTS[..], FaultAction::Truncate),
        Action::StuckOperation => {
            (submits, FaultAction::Operation(OperationFault::Stuck { for_ms: Some(rng.u64(200..8000)) }))
        }
        Action::NotFound => return vec![not_found(kind, rng)],
        Action::ForeignTooMany => (&ENDPOINTS[..], foreign_too_many(rng, long)),
        _ => return Vec::new(),
    };
    let probability = [0.3, 0.6, 1.0][rng.usize(..3)];
    let rule = |endpoint: &ApiEndpoint| {
        let mut rule = FaultRule::on(*endpoint, action.clone());
        rule.label = Some(kind.name());
        rule.conditions.probability = Some(probability);
        rule
    };
    endpoints.iter().map(rule).collect()
}

/// Makes a rule by which the operation of the upload of these bytes never ends.
pub fn endless(content_hash: String) -> FaultRule {
    let mut rule = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Operation(OperationFault::Endless)).times(1);
    rule.label = Some(Action::EndlessOperation.name());
    rule.conditions.content_hash = Some(content_hash);
    rule
}

/// Makes a rule by which one response says that an asset doesn't exist.
fn not_found(kind: Action, rng: &mut fastrand::Rng) -> FaultRule {
    let body = BodyShape::Service;
    let action = FaultAction::Reply(ScriptedReply::new(404, body));
    let mut rule = FaultRule::on(pick(rng, &[ApiEndpoint::GetAsset, ApiEndpoint::UpdateAsset]), action).times(1);
    rule.label = Some(kind.name());
    rule
}

/// Makes a 429 as an intermediary sends it; in the long scenario sometimes without the end of the
/// window.
fn foreign_too_many(rng: &mut fastrand::Rng, long: bool) -> FaultAction {
    let (shape, body) = match rng.u8(..4) {
        0 => (BodyShape::Empty, None),
        1 => (BodyShape::Html, None),
        2 => (BodyShape::Garbage, None),
        _ => (BodyShape::Gateway, Some("{\"errors\":[]}".to_owned())),
    };
    let retry_after = Some(RetryAfter::Seconds(1));
    let headers = if long && rng.u8(..4) == 0 { BTreeMap::new() } else { window() };
    let reply = ScriptedReply { body, retry_after, headers, ..ScriptedReply::new(429, shape) };
    FaultAction::Reply(ScriptedReply { rate_limit_headers: false, ..reply })
}

/// Returns the headers of a window that ends soon.
fn window() -> BTreeMap<String, String> {
    let window = [("limit", "100"), ("remaining", "0"), ("reset", "1")];
    window.map(|(name, value)| (format!("x-ratelimit-{name}"), value.to_owned())).into()
}

fn reply(status: u16, rng: &mut fastrand::Rng, commit: bool) -> FaultAction {
    let shape = pick(rng, &[BodyShape::Gateway, BodyShape::Html, BodyShape::Empty, BodyShape::Garbage]);
    FaultAction::Reply(ScriptedReply { commit, ..ScriptedReply::new(status, shape) })
}

fn too_many(silent: bool) -> FaultAction {
    FaultAction::Reply(ScriptedReply {
        status: 429,
        shape: BodyShape::Gateway,
        retry_after: (!silent).then_some(RetryAfter::Seconds(1)),
        headers: if silent { BTreeMap::new() } else { window() },
        rate_limit_headers: !silent,
        ..ScriptedReply::new(429, BodyShape::Gateway)
    })
}

fn pick<T: Copy>(rng: &mut fastrand::Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())]
}
