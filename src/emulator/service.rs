//! One request from its head to its response: faults, gateway, body, the world, and the encoding of
//! the response.
//!
//! Owns the order of these steps and nothing else. `gateway.rs` decides which callers may proceed,
//! `world/` which requests are valid, `wire/` how they are encoded, and `server.rs` owns the
//! sockets.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response};

use super::body::{self, Parsed};
use super::connection::{Connection, ConnectionEnd};
use super::delivery::{Delivery, deliver, merge_into, scripted};
use super::endpoint::{ApiEndpoint, Route, route};
use super::faults::{FaultAction, FaultStage, Point};
use super::gateway::{Admitted, admit, rate_limit_headers, secret};
use super::log::RequestReport;
use super::refusal::ApiRefusal;
use super::request_head::{RequestHead, cut_at};
use super::shared::{Inner, Shared};
use super::switches::Switches;
use super::wire::render::{Writer, is_field};
use super::wire::{Reply, error, query};
use super::world::account::EmulatedKey;
use super::world::{Effects, UpdateReply};

/// How often a delay looks whether its rule is still there.
const DELAY_STEP: Duration = Duration::from_millis(5);

/// The effect of a request.
struct HandledRequest {
    reply: Reply,
    committed: bool,
    asset_id: Option<u64>,
    operation_id: Option<String>,
}

impl HandledRequest {
    fn read(reply: Reply) -> Self {
        HandledRequest { reply, committed: false, asset_id: None, operation_id: None }
    }

    fn wrote(reply: Reply, asset_id: Option<u64>, operation_id: Option<String>) -> Self {
        HandledRequest { reply, committed: true, asset_id, operation_id }
    }
}

/// Keeps the log correct even for a request that is dropped midway.
struct LogEntryGuard {
    shared: Arc<Shared>,
    seq: u64,
    status: Option<u16>,
}

impl Drop for LogEntryGuard {
    fn drop(&mut self) {
        self.shared.lock().log.end(self.seq, self.status);
    }
}

/// Responds to one request of the API.
pub(super) async fn respond(shared: Arc<Shared>, connection: Connection, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let route = route(head.method.as_str(), head.uri.path());
    let secret = secret(&head.headers);
    let seq = begin(&shared, &connection, &head, &route);
    let mut entry = LogEntryGuard { shared: Arc::clone(&shared), seq, status: None };
    let call = RequestHead {
        shared: &shared,
        connection: &connection,
        head: &head,
        route: &route,
        secret: secret.as_deref(),
        seq: entry.seq,
    };

    if let Some(cut) = arrive(&call) {
        return connection.cut(cut).await;
    }
    let switches = shared.lock().world.settings.switches.clone();
    let (parsed, bytes) = body::read(&route, &head.headers, body, &switches).await;
    shared.lock().log.note(seq, |report| report.bytes = bytes);
    let (reply, delivery) = match admit(&call, parsed) {
        Err(reply) => (reply, Delivery::Whole),
        Ok(admitted) => match handle(&call, admitted, &switches).await {
            Ok(delivered) => delivered,
            Err(cut) => return connection.cut(cut).await,
        },
    };
    entry.status = Some(reply.status);
    deliver(reply, delivery)
}

fn begin(shared: &Shared, connection: &Connection, head: &Parts, route: &Route) -> u64 {
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
    shared.lock().log.begin(report)
}

/// Applies the faults that act on a request's head alone. Returns how the connection ends, if it
/// does.
fn arrive(call: &RequestHead<'_>) -> Option<ConnectionEnd> {
    let (mut inner, now) = call.shared.settled();
    let (id, action) = inner.faults.pick(FaultStage::Head, &call.facts())?;
    inner.log.note(call.seq, |report| report.faults.push(id));
    match &action {
        FaultAction::SetLimits { limits } => inner.limits = limits.clone(),
        FaultAction::RevokeKey => call.secret.into_iter().for_each(|secret| inner.keys.revoke(secret)),
        FaultAction::ModerateAccount => {
            if let Ok(key) = inner.keys.authenticate(call.secret, now) {
                inner.world.moderate_account(key.owner, true);
                call.shared.touch();
            }
        }
        _ => {}
    }
    cut_at(&action, Point::BeforeBody)
}

/// Carries a request out, with the fault that was picked for it around that.
async fn handle(
    call: &RequestHead<'_>,
    admitted: Admitted,
    switches: &Switches,
) -> Result<(Reply, Delivery), ConnectionEnd> {
    let Admitted { parsed, key, budget, fault } = admitted;
    let action = fault.as_ref().map(|(_, action)| action);
    if let Some(cut) = action.and_then(|action| cut_at(action, Point::AfterBody)) {
        return Err(cut);
    }
    if let Some((rule, FaultAction::Delay { before_commit_ms, .. })) = &fault {
        delay(call.shared, *rule, *before_commit_ms).await;
    }
    let script = if let Some(FaultAction::Reply(script)) = action { Some(script) } else { None };
    let mut reply = match script {
        Some(script) if !script.commit => scripted(script, call.shared.clock.now()),
        _ => perform(call, key.as_ref(), parsed, fault.as_ref()),
    };
    let acted = (200..300).contains(&reply.status);
    call.shared.wait_saved().await;

    if let Some(cut) = action.filter(|_| acted).and_then(|action| cut_at(action, Point::AfterCommit)) {
        return Err(cut);
    }
    if let Some(script) = script.filter(|script| script.commit && acted) {
        reply = scripted(script, call.shared.clock.now());
    }
    if let Some(budget) = budget.filter(|_| script.is_none_or(|script| script.rate_limit_headers)) {
        let mut headers = rate_limit_headers(&budget, switches);
        headers.retain(|(name, _)| !reply.headers.iter().any(|(own, _)| own == name));
        reply.headers.extend(headers);
    }
    let delivery = match action {
        Some(FaultAction::Truncate) => Delivery::Truncated,
        Some(FaultAction::Drip { interval_ms }) => Delivery::Dripping(Duration::from_millis(*interval_ms)),
        _ => Delivery::Whole,
    };
    match &fault {
        Some((rule, FaultAction::Delay { before_reply_ms, .. })) => {
            delay(call.shared, *rule, *before_reply_ms).await;
        }
        Some((_, FaultAction::Merge { fields })) => merge_into(&mut reply, fields),
        _ => {}
    }
    Ok((reply, delivery))
}

/// Waits for so many milliseconds, or until the rule that asks for it is removed.
async fn delay(shared: &Shared, rule: u64, ms: u64) {
    let removed = async {
        while shared.lock().faults.is_active(rule) {
            tokio::time::sleep(DELAY_STEP).await;
        }
    };
    // It has waited long enough, or the rule is gone: both end the wait.
    let _ = tokio::time::timeout(Duration::from_millis(ms), removed).await;
}

/// Carries a request out in the world, logs its effect, and encodes the response.
fn perform(
    call: &RequestHead<'_>,
    key: Option<&EmulatedKey>,
    parsed: Parsed,
    fault: Option<&(u64, FaultAction)>,
) -> Reply {
    let (mut guard, now) = call.shared.settled();
    let inner = &mut *guard;
    let switches = inner.world.settings.switches.clone();
    let action = fault.map(|(_, action)| action);
    let outcome = carry_out(inner, call, key, parsed, action, now);
    if let (Err(_), Some((id, action))) = (&outcome, fault)
        && action.needs_success()
    {
        inner.faults.take_back(*id);
    }
    let done = outcome.unwrap_or_else(|refusal| HandledRequest::read(error::reply(&refusal, &switches)));
    if done.committed {
        call.shared.touch();
    }
    inner.log.note(call.seq, |report| {
        report.committed = done.committed;
        report.asset_id = done.asset_id.or(report.asset_id);
        report.operation_id = done.operation_id.clone().or(report.operation_id.take());
    });
    done.reply
}

fn carry_out(
    inner: &mut Inner,
    call: &RequestHead<'_>,
    key: Option<&EmulatedKey>,
    parsed: Parsed,
    action: Option<&FaultAction>,
    now: u64,
) -> Result<HandledRequest, ApiRefusal> {
    let switches = inner.world.settings.switches.clone();
    let writer = Writer(&switches);
    if let (Route::Introspect, Parsed::ApiKey(secret)) = (call.route, &parsed) {
        let found = inner.keys.find(secret).ok_or_else(|| ApiRefusal::gateway(401, "Invalid API Key"))?;
        return Ok(HandledRequest::read(Reply::ok(&found.introspection(now))));
    }
    let key = key.ok_or_else(|| ApiRefusal::gateway(401, "Invalid API Key"))?;
    let effects = Effects {
        operation: if let Some(FaultAction::Operation(fault)) = action { Some(fault.clone()) } else { None },
        stale_for: if let Some(FaultAction::StaleReads { for_ms }) = action { Some(*for_ms) } else { None },
        twice: matches!(action, Some(FaultAction::DuplicateCommit)),
    };
    match parsed {
        Parsed::Nothing => read_or_archive(inner, call, key, &writer, &effects, action, now),
        parsed => write(inner, call, key, parsed, &writer, &effects, now),
    }
}

/// Serves the endpoints whose requests have a body.
fn write(
    inner: &mut Inner,
    call: &RequestHead<'_>,
    key: &EmulatedKey,
    parsed: Parsed,
    writer: &Writer<'_>,
    effects: &Effects,
    now: u64,
) -> Result<HandledRequest, ApiRefusal> {
    let world = &mut inner.world;
    match (call.route, parsed) {
        (Route::Create, Parsed::Asset(asset)) => {
            let made = world.create(key, &asset.input, asset.form.file.as_ref(), effects, now)?;
            Ok(HandledRequest::wrote(Reply::ok(&writer.accepted(&made.operation)), made.asset_id, Some(made.operation)))
        }
        (Route::Asset { id, .. }, Parsed::Asset(asset)) => {
            let mask = call.query("updateMask").map(|mask| query::list(&mask));
            let (input, file) = (&asset.input, asset.form.file.as_ref());
            let reply = world.update(key, *id, input, mask.as_deref(), file, effects, now)?;
            let (body, operation_id) = match reply {
                UpdateReply::Running(operation) => (writer.accepted(&operation), Some(operation)),
                UpdateReply::Done(operation) => (writer.operation(&operation), Some(operation.id)),
                UpdateReply::Fields(view, mask) => (writer.asset(&view, Some(&mask), 3), None),
            };
            Ok(HandledRequest::wrote(Reply::ok(&body), Some(*id), operation_id))
        }
        (Route::Asset { id, .. }, Parsed::RollbackPath(path)) => {
            let (asset, version) = world.roll_back(key, *id, &path, effects, now)?;
            Ok(HandledRequest::wrote(Reply::ok(&writer.version(&asset, &version, now)), Some(*id), None))
        }
        _ => Err(ApiRefusal::gateway(404, "NotFound")),
    }
}

/// Serves the endpoints whose requests have no body.
fn read_or_archive(
    inner: &mut Inner,
    call: &RequestHead<'_>,
    key: &EmulatedKey,
    writer: &Writer<'_>,
    effects: &Effects,
    action: Option<&FaultAction>,
    now: u64,
) -> Result<HandledRequest, ApiRefusal> {
    let world = &mut inner.world;
    let body = match call.route {
        Route::Asset { id, endpoint: endpoint @ (ApiEndpoint::ArchiveAsset | ApiEndpoint::RestoreAsset) } => {
            let asset = world.archive(key, *id, *endpoint == ApiEndpoint::ArchiveAsset, effects, now)?;
            return Ok(HandledRequest::wrote(Reply::ok(&writer.asset(&asset.view(now), None, 3)), Some(*id), None));
        }
        Route::Asset { id, endpoint: ApiEndpoint::ListVersions } => {
            let looping = matches!(action, Some(FaultAction::VersionsLoop));
            let (size, token) = (call.query("maxPageSize"), call.query("pageToken").filter(|_| !looping));
            let mut page = world.versions(key, *id, size.as_deref(), token.as_deref(), now)?;
            if looping {
                page.next_page = Some("6c6f6f70".to_owned());
            }
            writer.versions(&page, now)
        }
        Route::Version { id, number } => {
            let (asset, version) = world.version(key, *id, *number, now)?;
            writer.version(&asset, &version, now)
        }
        Route::Operation { id } => {
            let operation = world.poll(key, id, now)?;
            if operation.polls_left.is_some() {
                // The poll was counted, and may have ended the operation.
                call.shared.touch();
            }
            let reply = Reply::ok(&writer.operation(&operation));
            return Ok(HandledRequest { asset_id: operation.asset_id, ..HandledRequest::read(reply) });
        }
        Route::Asset { id, .. } => {
            let mask = call.query("readMask").map(|mask| query::list(&mask));
            if let Some(wrong) = mask.iter().flatten().find(|name| !is_field(name)) {
                return Err(ApiRefusal::invalid(format!("The read mask has an invalid field: {wrong}.")));
            }
            writer.asset(&world.read(*id, now)?.view(now), mask.as_deref(), 3)
        }
        Route::Create | Route::Introspect | Route::Malformed { .. } | Route::WrongMethod | Route::Unknown => {
            return Err(ApiRefusal::gateway(404, "NotFound"));
        }
    };
    Ok(HandledRequest::read(Reply::ok(&body)))
}
