//! One request from its head to its answer: faults, authentication, limits, body, the world, and the spelling of the answer.
//!
//! Owns the order of these steps and nothing else: what is allowed is `world/`'s, how it is spelt `wire/`'s, sockets are `server.rs`'s.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response, header};
use futures_util::StreamExt;
use serde_json::Value;

use super::delivery::{Delivery, deliver};
use super::endpoint::{Endpoint, Route, route};
use super::faults::{Action, Facts, Point, ScriptedReply, Stage};
use super::log::RequestReport;
use super::refusal::Refusal;
use super::server::{Connection, Cut};
use super::shared::{Inner, Shared};
use super::switches::{LargeVideo, RollbackBody, Switches};
use super::wire::form::{BODY_LIMIT, Counted, Form, too_large};
use super::wire::render::{Writer, is_field};
use super::wire::{Reply, error, form, query, request};
use super::world::account::Key;
use super::world::input::AssetInput;
use super::world::limits::{Admission, Budget};
use super::world::{Effects, UpdateAnswer};

/// The most of a body that is read only to be thrown away, so that an early answer reaches a client that is still sending.
const DRAIN_LIMIT: u64 = 64_000_000;

/// A video's 3.75 GB and room for the rest of its body.
const VIDEO_BODY_LIMIT: u64 = 3_751_000_000;

/// The most text that a JSON body has.
const JSON_LIMIT: usize = 1024 * 1024;

/// A body that was read to its end.
#[derive(Debug)]
enum Parsed {
    Asset { input: AssetInput, form: Form },
    RollbackPath(String),
    ApiKey(String),
    Nothing,
}

/// What a request did.
struct Done {
    reply: Reply,
    committed: bool,
    asset_id: Option<u64>,
    operation_id: Option<String>,
}

impl Done {
    fn read(reply: Reply) -> Self {
        Done { reply, committed: false, asset_id: None, operation_id: None }
    }
}

/// Keeps the log right also for a request that is dropped midway.
struct Entry {
    shared: Arc<Shared>,
    seq: u64,
    status: Option<u16>,
}

impl Entry {
    fn note(&self, change: impl FnOnce(&mut RequestReport)) {
        self.shared.lock().log.note(self.seq, change);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.lock().log.end(self.seq, self.status);
    }
}

/// Answers one request of the API.
pub(super) async fn answer(shared: Arc<Shared>, connection: Connection, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let route = route(head.method.as_str(), head.uri.path());
    let mut entry = begin(&shared, &connection, &head, &route);
    let secret = secret(&head.headers);

    if let Some(cut) = arrive(&shared, &entry, &head, &route, secret.as_deref()) {
        return connection.cut(cut).await;
    }
    let switches = shared.lock().world.settings.switches.clone();
    let parsed = read_body(&route, &head.headers, body, &switches, &entry).await;
    let (parsed, key, budget, fault) =
        match admit(&shared, &connection, &head, &route, secret.as_deref(), parsed, &entry) {
            Ok(admitted) => admitted,
            Err(reply) => {
                entry.status = Some(reply.status);
                return deliver(reply, Delivery::Whole);
            }
        };
    let (fault_id, action) = fault.unzip();
    let scripted = match &action {
        Some(Action::Delay { before_commit_ms, .. }) => {
            tokio::time::sleep(Duration::from_millis(*before_commit_ms)).await;
            None
        }
        Some(action) if let Some(cut) = cut_at(action, Point::AfterBody) => return connection.cut(cut).await,
        Some(Action::Reply(reply)) => Some(reply),
        _ => None,
    };

    let mut reply = match scripted {
        Some(script) if !script.commit => script_reply(script, &shared),
        _ => perform(&shared, &route, &head, key.as_ref(), parsed, action.as_ref(), fault_id, &entry),
    };
    let acted = (200..300).contains(&reply.status);
    shared.wait_saved().await;
    if let Some(script) = scripted.filter(|script| script.commit && acted) {
        reply = script_reply(script, &shared);
    }
    if let Some(budget) = budget.filter(|_| scripted.is_none_or(|script| script.rate_limit_headers)) {
        let mut headers = rate_limit_headers(&budget, &switches);
        headers.retain(|(name, _)| !reply.headers.iter().any(|(own, _)| own == name));
        reply.headers.extend(headers);
    }
    let delivery = match &action {
        Some(action) if acted && let Some(cut) = cut_at(action, Point::AfterCommit) => {
            return connection.cut(cut).await;
        }
        Some(Action::Delay { before_reply_ms, .. }) => {
            tokio::time::sleep(Duration::from_millis(*before_reply_ms)).await;
            Delivery::Whole
        }
        Some(Action::Merge { fields }) => {
            merge_into(&mut reply, fields);
            Delivery::Whole
        }
        Some(Action::Truncate) => Delivery::Truncated,
        Some(Action::Drip { interval_ms }) => Delivery::Dripping(Duration::from_millis(*interval_ms)),
        _ => Delivery::Whole,
    };
    entry.status = Some(reply.status);
    deliver(reply, delivery)
}

fn begin(shared: &Arc<Shared>, connection: &Connection, head: &Parts, route: &Route) -> Entry {
    let report = RequestReport {
        connection: connection.id,
        at_ms: shared.clock.now(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        endpoint: route.endpoint(),
        asset_id: route.asset_id(),
        operation_id: if let Route::Operation { id } = route { Some(id.clone()) } else { None },
        ..RequestReport::default()
    };
    let seq = shared.lock().log.begin(report);
    Entry { shared: Arc::clone(shared), seq, status: None }
}

/// The API key or OAuth token of a request.
fn secret(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("x-api-key").or_else(|| text("authorization")?.strip_prefix("Bearer ")).map(|secret| secret.trim().to_owned())
}

/// The faults that act on a request's head alone. Says how the connection ends, if it does.
fn arrive(shared: &Shared, entry: &Entry, head: &Parts, route: &Route, secret: Option<&str>) -> Option<Cut> {
    let (mut inner, now) = shared.settled();
    let (id, action) = inner.faults.pick(Stage::Head, &facts(head, route))?;
    inner.log.note(entry.seq, |report| report.faults.push(id));
    match &action {
        Action::SetLimits { limits } => inner.limits = limits.clone(),
        Action::RevokeKey => secret.into_iter().for_each(|secret| inner.keys.revoke(secret)),
        Action::ModerateAccount => {
            if let Ok(key) = inner.keys.authenticate(secret, now) {
                inner.world.moderate_account(key.owner, true);
                shared.touch();
            }
        }
        _ => {}
    }
    cut_at(&action, Point::BeforeBody)
}

fn cut_at(action: &Action, point: Point) -> Option<Cut> {
    match action {
        Action::Reset { at } if *at == point => Some(Cut::Reset),
        Action::Close { at } if *at == point => Some(Cut::Close),
        Action::Hang { at } if *at == point => Some(Cut::Never),
        _ => None,
    }
}

fn facts<'a>(head: &'a Parts, route: &Route) -> Facts<'a> {
    Facts {
        endpoint: route.endpoint(),
        method: head.method.as_str(),
        path: head.uri.path(),
        asset_id: route.asset_id(),
        ..Facts::default()
    }
}

/// Reads the whole body, whatever is wrong with it.
async fn read_body(
    route: &Route,
    headers: &HeaderMap,
    body: Body,
    switches: &Switches,
    entry: &Entry,
) -> Result<Parsed, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let limit = if switches.large_video == LargeVideo::Accepted { VIDEO_BODY_LIMIT } else { BODY_LIMIT };
    let mut stream = Counted::new(body.into_data_stream(), limit);
    let parsed = match route {
        Route::Create | Route::Asset { endpoint: Endpoint::UpdateAsset, .. } => {
            let form = form::read(&mut stream, content_type).await;
            drain(&mut stream).await;
            form.and_then(|form| {
                let text = form.request.as_deref().ok_or_else(|| Refusal::invalid("Request body cannot be empty"))?;
                Ok(Parsed::Asset { input: request::asset_input(text)?, form })
            })
            .and_then(|parsed| check_size(parsed, stream.bytes))
        }
        Route::Asset { endpoint: Endpoint::RollbackAsset, .. } => {
            let is_form = content_type.is_some_and(|text| text.starts_with("multipart/form-data"));
            let path = match (is_form, switches.rollback_body) {
                (true, RollbackBody::Json) => Err(Refusal::invalid("The request must be JSON.")),
                (false, RollbackBody::Multipart) => Err(Refusal::invalid("The request must be multipart/form-data.")),
                (true, _) => form::read(&mut stream, content_type)
                    .await
                    .and_then(|form| form.asset_version.ok_or_else(|| Refusal::invalid("AssetVersion is required."))),
                (false, _) => json_text(&mut stream).await.and_then(|text| request::rollback(&text)),
            };
            path.map(Parsed::RollbackPath)
        }
        Route::Introspect => {
            json_text(&mut stream).await.and_then(|text| request::introspection(&text)).map(Parsed::ApiKey)
        }
        _ => Ok(Parsed::Nothing),
    };
    drain(&mut stream).await;
    entry.note(|report| report.bytes = stream.bytes);
    parsed
}

/// A body over 30,000,000 bytes can only be a video's.
fn check_size(parsed: Parsed, bytes: u64) -> Result<Parsed, Refusal> {
    match &parsed {
        Parsed::Asset { input, .. } if bytes > BODY_LIMIT && input.asset_type.as_deref() != Some("Video") => {
            Err(too_large())
        }
        _ => Ok(parsed),
    }
}

type BodyStream = Counted<axum::body::BodyDataStream>;

async fn json_text(stream: &mut BodyStream) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = stream.next().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > JSON_LIMIT {
            return Err(too_large());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn drain(stream: &mut BodyStream) {
    use super::wire::form::BodyError;
    while stream.bytes < DRAIN_LIMIT {
        match stream.next().await {
            Some(Ok(_) | Err(BodyError::TooLarge)) => {}
            Some(Err(BodyError::Broken)) | None => return,
        }
    }
}

type Admitted = (Parsed, Option<Key>, Option<Budget>, Option<(u64, Action)>);

/// The gateway: route, key, account, scope, limits; then the faults that act on what got through.
fn admit(
    shared: &Shared,
    connection: &Connection,
    head: &Parts,
    route: &Route,
    secret: Option<&str>,
    parsed: Result<Parsed, Refusal>,
    entry: &Entry,
) -> Result<Admitted, Reply> {
    let (mut guard, now) = shared.settled();
    let inner = &mut *guard;
    let switches = inner.world.settings.switches.clone();
    let refuse = |refusal: &Refusal| error::reply(refusal, &switches);
    let endpoint = match route {
        Route::WrongMethod => return Err(error::gateway(405, "MethodNotAllowed")),
        Route::Unknown => return Err(error::gateway(404, "NotFound")),
        other => other.endpoint().ok_or_else(|| error::gateway(404, "NotFound"))?,
    };
    let mut key = None;
    if endpoint != Endpoint::IntrospectKey {
        let found = inner.keys.authenticate(secret, now).map_err(|refusal| refuse(&refusal))?;
        inner.log.note(entry.seq, |report| (report.key, report.owner) = (Some(found.name.clone()), Some(found.owner)));
        inner.world.check_account(found.owner).map_err(|refusal| refuse(&refusal))?;
        let missing =
            if !found.read { Some("asset:read") } else { (endpoint.writes() && !found.write).then_some("asset:write") };
        if let Some(scope) = missing {
            return Err(error::scope(scope, &switches));
        }
        key = Some(found);
    }
    let mut budget = None;
    if let Some(key) = &key {
        match inner.limiter.admit(&inner.limits, endpoint, connection.ip, key.owner, &key.name, now) {
            Admission::Unlimited => {}
            Admission::Admitted(left) => budget = Some(left),
            Admission::OverGateway(left) => return Err(throttled(true, &left, &switches)),
            Admission::OverKey(left) => {
                let by_gateway = switches.key_throttle_reply == super::switches::KeyThrottleReply::Gateway;
                return Err(throttled(by_gateway, &left, &switches));
            }
        }
    }
    let mut known = facts(head, route);
    if let Ok(Parsed::Asset { input, form }) = &parsed {
        known.name = input.display_name.as_deref();
        known.content_hash = form.file.as_ref().map(|file| file.content.hash.as_str());
        inner.log.note(entry.seq, |report| report.content_hash = known.content_hash.map(str::to_owned));
    }
    let fault = inner.faults.pick(Stage::Handling, &known);
    if let Some((id, _)) = &fault {
        inner.log.note(entry.seq, |report| report.faults.push(*id));
    }
    let scripted = matches!(&fault, Some((_, Action::Reply(reply))) if !reply.commit);
    let cut = matches!(&fault, Some((_, action)) if cut_at(action, Point::AfterBody).is_some());
    let parsed = match (parsed, route) {
        // The fault comes before the service reads the request.
        (_, _) if scripted || cut => Parsed::Nothing,
        (_, Route::Malformed { field, value, .. }) => {
            take_back(inner, fault.as_ref());
            let refusal = Refusal::Binding { field, message: format!("The value '{value}' is not valid.") };
            return Err(with_budget(refuse(&refusal), budget.as_ref(), &switches));
        }
        (Err(refusal), _) => {
            take_back(inner, fault.as_ref());
            return Err(with_budget(refuse(&refusal), budget.as_ref(), &switches));
        }
        (Ok(parsed), _) => parsed,
    };
    Ok((parsed, key, budget, fault))
}

fn take_back(inner: &mut Inner, fault: Option<&(u64, Action)>) {
    fault.into_iter().for_each(|(id, _)| inner.faults.take_back(*id));
}

fn with_budget(mut reply: Reply, budget: Option<&Budget>, switches: &Switches) -> Reply {
    reply.headers.extend(budget.into_iter().flat_map(|budget| rate_limit_headers(budget, switches)));
    reply
}

/// 429: by the gateway with a `retry-after` that is too short, or by the service (BEDROCK).
fn throttled(by_gateway: bool, budget: &Budget, switches: &Switches) -> Reply {
    let mut reply = if by_gateway {
        let mut reply = error::gateway(429, "");
        reply.headers.push(("x-envoy-ratelimited".into(), "true".into()));
        reply.headers.push(("retry-after".into(), "5".into()));
        reply
    } else {
        let code = super::refusal::Code::ResourceExhausted;
        error::reply(&Refusal::Service { code, message: "Too many requests for this API key.".into() }, switches)
    };
    reply.headers.extend(rate_limit_headers(budget, switches));
    reply
}

fn rate_limit_headers(budget: &Budget, switches: &Switches) -> Vec<(String, String)> {
    use super::switches::RateLimitHeaders;
    let Budget { owner_limit, owner_remaining, key_limit, key_remaining, window_s, reset_s } = budget;
    let pair = |name: &str, owner: String, key: String| match switches.rate_limit_headers {
        RateLimitHeaders::Plain => vec![(name.to_owned(), owner)],
        RateLimitHeaders::List => vec![(name.to_owned(), format!("{owner}, {key}"))],
        RateLimitHeaders::Repeated => vec![(name.to_owned(), owner), (name.to_owned(), key)],
    };
    let limit = |limit: &u32| match switches.rate_limit_headers {
        RateLimitHeaders::List => format!("{limit}, {limit};w={window_s}"),
        _ => limit.to_string(),
    };
    [
        pair("x-ratelimit-limit", limit(owner_limit), limit(key_limit)),
        pair("x-ratelimit-remaining", owner_remaining.to_string(), key_remaining.to_string()),
        pair("x-ratelimit-reset", reset_s.to_string(), reset_s.to_string()),
    ]
    .concat()
}

/// Carries a request out in the world and spells the answer.
#[expect(clippy::too_many_arguments, reason = "one request in its parts, called once")]
fn perform(
    shared: &Shared,
    route: &Route,
    head: &Parts,
    key: Option<&Key>,
    parsed: Parsed,
    action: Option<&Action>,
    fault_id: Option<u64>,
    entry: &Entry,
) -> Reply {
    let (mut guard, now) = shared.settled();
    let inner = &mut *guard;
    let switches = inner.world.settings.switches.clone();
    let effects = Effects {
        operation: if let Some(Action::Operation(fault)) = action { Some(fault.clone()) } else { None },
        stale_for: if let Some(Action::StaleReads { for_ms }) = action { Some(*for_ms) } else { None },
        twice: matches!(action, Some(Action::DuplicateCommit)),
    };
    let query = head.uri.query().unwrap_or_default();
    let versions_loop = matches!(action, Some(Action::VersionsLoop));
    let outcome = carry_out(inner, route, query, key, parsed, &effects, versions_loop, now);
    let refused = outcome.is_err();
    let done = outcome.unwrap_or_else(|refusal| Done::read(error::reply(&refusal, &switches)));
    if refused && action.is_some_and(Action::needs_success) {
        fault_id.into_iter().for_each(|id| inner.faults.take_back(id));
    }
    if done.committed {
        shared.touch();
    }
    inner.log.note(entry.seq, |report| {
        report.committed = done.committed;
        report.asset_id = done.asset_id.or(report.asset_id);
        report.operation_id = done.operation_id.clone().or(report.operation_id.take());
    });
    done.reply
}

#[expect(clippy::too_many_arguments, reason = "one request in its parts, called once")]
fn carry_out(
    inner: &mut Inner,
    route: &Route,
    query: &str,
    key: Option<&Key>,
    parsed: Parsed,
    effects: &Effects,
    versions_loop: bool,
    now: u64,
) -> Result<Done, Refusal> {
    let switches = inner.world.settings.switches.clone();
    let (writer, world) = (Writer(&switches), &mut inner.world);
    if let (Route::Introspect, Parsed::ApiKey(secret)) = (route, &parsed) {
        let found = inner.keys.find(secret).ok_or_else(|| Refusal::gateway(401, "Invalid API Key"))?;
        return Ok(Done::read(Reply::ok(&found.introspection(now))));
    }
    let key = key.ok_or_else(|| Refusal::gateway(401, "Invalid API Key"))?;
    match (route, parsed) {
        (Route::Create, Parsed::Asset { input, form }) => {
            let made = world.create(key, &input, form.file.as_ref(), effects, now)?;
            let reply = Reply::ok(&writer.accepted(&made.operation));
            Ok(Done { reply, committed: true, asset_id: made.asset_id, operation_id: Some(made.operation) })
        }
        (Route::Asset { id, endpoint: Endpoint::UpdateAsset }, Parsed::Asset { input, form }) => {
            let mask = query::parameter(query, "updateMask").map(|mask| query::list(&mask));
            let answer = world.update(key, *id, &input, mask.as_deref(), form.file.as_ref(), effects, now)?;
            let (body, operation_id) = match answer {
                UpdateAnswer::Running(operation) => (writer.accepted(&operation), Some(operation)),
                UpdateAnswer::Done(operation) => {
                    let ended =
                        world.operation(&operation).ok_or_else(|| Refusal::not_found("Operation is not found"))?;
                    (writer.operation(ended), Some(operation))
                }
                UpdateAnswer::Fields(view, mask) => (writer.asset(&view, Some(&mask), 3), None),
            };
            Ok(Done { reply: Reply::ok(&body), committed: true, asset_id: Some(*id), operation_id })
        }
        (Route::Asset { id, endpoint: Endpoint::RollbackAsset }, Parsed::RollbackPath(path)) => {
            let (asset, version) = world.roll_back(key, *id, &path, effects, now)?;
            let reply = Reply::ok(&writer.version(&asset, &version, now));
            Ok(Done { reply, committed: true, asset_id: Some(*id), operation_id: None })
        }
        (Route::Asset { id, endpoint: endpoint @ (Endpoint::ArchiveAsset | Endpoint::RestoreAsset) }, _) => {
            let asset = world.archive(key, *id, *endpoint == Endpoint::ArchiveAsset, effects, now)?;
            let reply = Reply::ok(&writer.asset(&asset.view(now), None, 3));
            Ok(Done { reply, committed: true, asset_id: Some(*id), operation_id: None })
        }
        (Route::Asset { id, endpoint: Endpoint::ListVersions }, _) => {
            let (size, token) = (query::parameter(query, "maxPageSize"), query::parameter(query, "pageToken"));
            let token = token.filter(|_| !versions_loop);
            let mut page = world.versions(key, *id, size.as_deref(), token.as_deref(), now)?;
            if versions_loop {
                page.next_page = Some("6c6f6f70".to_owned());
            }
            Ok(Done::read(Reply::ok(&writer.versions(&page, now))))
        }
        (Route::Version { id, number }, _) => {
            let (asset, version) = world.version(key, *id, *number, now)?;
            Ok(Done::read(Reply::ok(&writer.version(&asset, &version, now))))
        }
        (Route::Operation { id }, _) => {
            let operation = world.poll(key, id, now)?;
            let reply = Reply::ok(&writer.operation(&operation));
            Ok(Done { asset_id: operation.asset_id, ..Done::read(reply) })
        }
        (Route::Asset { id, .. }, _) => {
            let mask = query::parameter(query, "readMask").map(|mask| query::list(&mask));
            if let Some(wrong) = mask.iter().flatten().find(|name| !is_field(name)) {
                return Err(Refusal::invalid(format!("The read mask has an invalid field: {wrong}.")));
            }
            let asset = world.read(*id, now)?;
            Ok(Done::read(Reply::ok(&writer.asset(&asset.view(now), mask.as_deref(), 3))))
        }
        (Route::Create | Route::Introspect | Route::Malformed { .. } | Route::WrongMethod | Route::Unknown, _) => {
            Err(Refusal::gateway(404, "NotFound"))
        }
    }
}

fn script_reply(script: &ScriptedReply, shared: &Shared) -> Reply {
    let mut reply = error::scripted(script.status, script.shape, &script.message);
    if let Some(body) = &script.body {
        reply.body = body.clone().into_bytes();
    }
    if let Some(after) = script.retry_after {
        let value = match after {
            super::faults::RetryAfter::Seconds(seconds) => seconds.to_string(),
            super::faults::RetryAfter::DateInMs(ms) => {
                let at =
                    std::time::UNIX_EPOCH.checked_add(Duration::from_millis(shared.clock.now().saturating_add(ms)));
                httpdate::fmt_http_date(at.unwrap_or(std::time::UNIX_EPOCH))
            }
        };
        reply.headers.push(("retry-after".to_owned(), value));
    }
    reply.headers.extend(script.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    reply
}

/// RFC 7396.
fn merge_into(reply: &mut Reply, fields: &Value) {
    fn merge(target: &mut Value, patch: &Value) {
        let (Value::Object(patch), Value::Object(target)) = (patch, &mut *target) else {
            *target = patch.clone();
            return;
        };
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
    if let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) {
        merge(&mut body, fields);
        reply.body = body.to_string().into_bytes();
    }
}
