//! The checks in front of the service: key, account, scope and limits. Then come the faults that
//! act on admitted requests.

use axum::http::HeaderMap;

use super::body::Parsed;
use super::endpoint::{ApiEndpoint, Route};
use super::faults::{FaultAction, FaultStage, Point};
use super::refusal::{ApiErrorCode, ApiRefusal};
use super::request_head::{RequestHead, cut_at};
use super::shared::Inner;
use super::switches::{KeyThrottleReply, RateLimitHeaders, Switches};
use super::wire::{Reply, error};
use super::world::account::EmulatedKey;
use super::world::limits::{Admission, WindowUse};

/// A request that passed.
pub(super) struct Admitted {
    pub(super) parsed: Parsed,
    pub(super) key: Option<EmulatedKey>,
    pub(super) budget: Option<WindowUse>,
    pub(super) fault: Option<(u64, FaultAction)>,
}

/// Returns the API key or OAuth token of a request.
pub(super) fn secret(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("x-api-key").or_else(|| text("authorization")?.strip_prefix("Bearer ")).map(|secret| secret.trim().to_owned())
}

/// Admits a request, or responds to it.
pub(super) fn admit(call: &RequestHead<'_>, parsed: Result<Parsed, ApiRefusal>) -> Result<Admitted, Reply> {
    let (mut guard, now) = call.shared.settled();
    let inner = &mut *guard;
    let switches = inner.world.settings.switches.clone();
    let endpoint = match call.route {
        Route::WrongMethod => return Err(error::gateway(405, "MethodNotAllowed")),
        route => route.endpoint().ok_or_else(|| error::gateway(404, "NotFound"))?,
    };
    let key = match endpoint {
        // The key in question is in the body.
        ApiEndpoint::IntrospectKey => None,
        _ => Some(authorize(inner, call, endpoint, &switches, now)?),
    };
    let budget = match &key {
        Some(key) => count(inner, call, endpoint, key, &switches, now)?,
        None => None,
    };
    let fault = pick_fault(inner, call, parsed.as_ref().ok());
    let unread = match &fault {
        Some((_, FaultAction::Reply(reply))) => !reply.commit,
        Some((_, action)) => cut_at(action, Point::AfterBody).is_some(),
        None => false,
    };
    let refusal = match (parsed, call.route) {
        // The fault comes before the service reads the request.
        _ if unread => return Ok(Admitted { parsed: Parsed::Nothing, key, budget, fault }),
        (_, Route::Malformed { field, value, .. }) => {
            ApiRefusal::Binding { field, message: format!("The value '{value}' is not valid.") }
        }
        (Ok(parsed), _) => return Ok(Admitted { parsed, key, budget, fault }),
        (Err(refusal), _) => refusal,
    };
    fault.into_iter().for_each(|(id, _)| inner.faults.take_back(id));
    let mut reply = error::reply(&refusal, &switches);
    reply.headers.extend(budget.iter().flat_map(|budget| rate_limit_headers(budget, &switches)));
    Err(reply)
}

/// Returns the key, if it works, its account is in good standing, and it has the scope.
fn authorize(
    inner: &mut Inner,
    call: &RequestHead<'_>,
    endpoint: ApiEndpoint,
    switches: &Switches,
    now: u64,
) -> Result<EmulatedKey, Reply> {
    let refuse = |refusal: ApiRefusal| error::reply(&refusal, switches);
    let key = inner.keys.authenticate(call.secret, now).map_err(refuse)?;
    inner.log.note(call.seq, |report| (report.key, report.owner) = (Some(key.name.clone()), Some(key.owner)));
    inner.world.check_account(key.owner).map_err(refuse)?;
    match (key.read, key.write) {
        (false, _) => Err(error::scope("asset:read", switches)),
        (true, false) if endpoint.writes() => Err(error::scope("asset:write", switches)),
        _ => Ok(key),
    }
}

/// Counts a request towards the limits.
fn count(
    inner: &mut Inner,
    call: &RequestHead<'_>,
    endpoint: ApiEndpoint,
    key: &EmulatedKey,
    switches: &Switches,
    now: u64,
) -> Result<Option<WindowUse>, Reply> {
    match inner.limiter.admit(&inner.limits, endpoint, call.connection.ip, key.owner, &key.name, now) {
        Admission::Unlimited => Ok(None),
        Admission::Admitted(left) => Ok(Some(left)),
        Admission::OverGateway(left) => Err(throttled(true, &left, switches)),
        Admission::OverKey(left) => {
            Err(throttled(switches.key_throttle_reply == KeyThrottleReply::Gateway, &left, switches))
        }
    }
}

fn pick_fault(inner: &mut Inner, call: &RequestHead<'_>, parsed: Option<&Parsed>) -> Option<(u64, FaultAction)> {
    let mut facts = call.facts();
    if let Some(Parsed::Asset(asset)) = parsed {
        facts.name = asset.input.display_name.as_deref();
        facts.content_hash = asset.form.file.as_ref().map(|file| file.content.hash.as_str());
        inner.log.note(call.seq, |report| report.content_hash = facts.content_hash.map(str::to_owned));
    }
    let fault = inner.faults.pick(FaultStage::Handling, &facts);
    if let Some((id, _)) = &fault {
        inner.log.note(call.seq, |report| report.faults.push(*id));
    }
    fault
}

/// Makes a 429: from the gateway with a `retry-after` that is too short, or from the service
/// (BEDROCK).
fn throttled(by_gateway: bool, budget: &WindowUse, switches: &Switches) -> Reply {
    let mut reply = if by_gateway {
        let mut reply = error::gateway(429, "");
        reply.headers.push(("x-envoy-ratelimited".into(), "true".into()));
        reply.headers.push(("retry-after".into(), "5".into()));
        reply
    } else {
        let message = "Too many requests for this API key.".to_owned();
        error::reply(&ApiRefusal::Service { code: ApiErrorCode::ResourceExhausted, message }, switches)
    };
    reply.headers.extend(rate_limit_headers(budget, switches));
    reply
}

/// Returns the headers of every response to a counted request.
pub(super) fn rate_limit_headers(budget: &WindowUse, switches: &Switches) -> Vec<(String, String)> {
    let WindowUse { owner_limit, owner_remaining, key_limit, key_remaining, window_s, reset_s } = budget;
    let pair = |name: &str, owner: String, key: String| match switches.rate_limit_headers {
        RateLimitHeaders::Plain => vec![(name.to_owned(), owner)],
        RateLimitHeaders::List => vec![(name.to_owned(), format!("{owner}, {key}"))],
        RateLimitHeaders::Repeated => vec![(name.to_owned(), owner), (name.to_owned(), key)],
    };
    let limit = |limit: &u32| match switches.rate_limit_headers {
        RateLimitHeaders::List => format!("{limit}, {limit};w={window_s}"),
        RateLimitHeaders::Plain | RateLimitHeaders::Repeated => limit.to_string(),
    };
    [
        pair("x-ratelimit-limit", limit(owner_limit), limit(key_limit)),
        pair("x-ratelimit-remaining", owner_remaining.to_string(), key_remaining.to_string()),
        pair("x-ratelimit-reset", reset_s.to_string(), reset_s.to_string()),
    ]
    .concat()
}
