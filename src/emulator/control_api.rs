//! The control API over HTTP, under `/emulator/`: JSON in, JSON out, no key. docs/emulator.md lists
//! the requests. Each is one call of [`Control`]; nothing is decided here.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{Response, StatusCode, header};
use axum::routing::{get, post, put};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::control::Control;
use super::faults::FaultRule;
use super::switches::Switches;
use super::world::account::{EmulatedKey, Principal};
use super::world::edit::ForeignEdit;
use super::world::moderation::{ModerationRule, TextRule};

/// The reason why a verb did nothing.
struct VerbError {
    status: StatusCode,
    message: String,
}

type ControlResult = Result<Value, VerbError>;

type VerbFuture = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    owner: Principal,
    moderated: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLatency {
    latency: String,
}

fn refused(error: impl std::fmt::Display) -> VerbError {
    VerbError { status: StatusCode::BAD_REQUEST, message: error.to_string() }
}

fn missing(what: &str) -> VerbError {
    VerbError { status: StatusCode::NOT_FOUND, message: what.to_owned() }
}

fn shown(value: impl Serialize) -> ControlResult {
    serde_json::to_value(value).map_err(refused)
}

fn done() -> ControlResult {
    Ok(json!({}))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, VerbError> {
    serde_json::from_slice(body).map_err(refused)
}

/// Reads one item or a list of them. Items are read one by one, so that an error names the fault of
/// the item.
fn read_list<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, VerbError> {
    let items = match read(body)? {
        Value::Array(items) => items,
        item => vec![item],
    };
    items.into_iter().map(|item| serde_json::from_value(item).map_err(refused)).collect()
}

/// Renders a response after the change is in the world file.
async fn respond(control: Control, outcome: ControlResult) -> Response<Body> {
    control.shared.wait_saved().await;
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(VerbError { status, message }) => (status, json!({ "error": message })),
    };
    json_response(status, &body)
}

/// Makes a JSON response.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// A verb of the whole emulator.
fn verb(
    control: &Control,
    act: fn(&Control, &[u8]) -> ControlResult,
) -> impl Fn(Bytes) -> VerbFuture + Clone + Send + Sync + 'static {
    let control = control.clone();
    move |body| {
        let outcome = act(&control, &body);
        Box::pin(respond(control.clone(), outcome))
    }
}

/// A verb of one asset.
fn asset_verb(
    control: &Control,
    act: fn(&Control, u64, &[u8]) -> ControlResult,
) -> impl Fn(Path<String>, Bytes) -> VerbFuture + Clone + Send + Sync + 'static {
    let control = control.clone();
    move |Path(id), body| {
        let outcome = id.parse().map_err(|_| missing("no such asset")).and_then(|id| act(&control, id, &body));
        Box::pin(respond(control.clone(), outcome))
    }
}

/// Returns the routes of the control API.
pub(super) fn router(control: &Control) -> Router {
    let nothing = verb(control, |_, _| Err(missing("no such verb")));
    let nothing = get(nothing.clone()).post(nothing.clone()).put(nothing.clone()).delete(nothing);
    reading_routes(control)
        .merge(scripting_routes(control))
        .merge(setting_routes(control))
        .route("/emulator/{*rest}", nothing)
}

fn reading_routes(control: &Control) -> Router {
    let look = |act| get(verb(control, act));
    let asset = |control: &Control, id, _: &[u8]| shown(control.asset(id).ok_or_else(|| missing("no such asset"))?);
    let edit = |control: &Control, id, body: &[u8]| {
        let edit: ForeignEdit = read(body)?;
        shown(control.edit(id, &edit).ok_or_else(|| missing("no such asset or version"))?)
    };
    Router::new()
        .route("/emulator/assets", look(|control, _| shown(control.assets())))
        .route("/emulator/assets/{id}", get(asset_verb(control, asset)))
        .route("/emulator/assets/{id}/edit", post(asset_verb(control, edit)))
        .route("/emulator/operations", look(|control, _| shown(control.operations())))
        .route("/emulator/requests", look(|control, _| shown(control.requests())))
        .route("/emulator/counters", look(|control, _| shown(control.counters())))
}

fn scripting_routes(control: &Control) -> Router {
    let add_faults = |control: &Control, body: &[u8]| {
        let ids = control.add_faults(read_list::<FaultRule>(body)?).map_err(refused)?;
        Ok(json!({ "ids": ids }))
    };
    let clear_faults = |control: &Control, _: &[u8]| {
        control.clear_faults();
        shown(control.faults())
    };
    let moderate = |control: &Control, body: &[u8]| {
        read_list::<ModerationRule>(body)?.into_iter().for_each(|rule| control.moderate(rule));
        done()
    };
    let clear_moderation = |control: &Control, _: &[u8]| {
        control.clear_moderation();
        done()
    };
    let filter = |control: &Control, body: &[u8]| {
        read_list::<TextRule>(body)?.into_iter().for_each(|rule| control.add_text_rule(rule));
        done()
    };
    let clear_filter = |control: &Control, _: &[u8]| {
        control.clear_text_rules();
        done()
    };
    let sanction = |control: &Control, body: &[u8]| {
        let account: Account = read(body)?;
        control.moderate_account(account.owner, account.moderated);
        done()
    };
    let faults = get(verb(control, |control, _| shown(control.faults())));
    Router::new()
        .route("/emulator/faults", faults.post(verb(control, add_faults)).delete(verb(control, clear_faults)))
        .route("/emulator/moderation", post(verb(control, moderate)).delete(verb(control, clear_moderation)))
        .route("/emulator/text-filter", post(verb(control, filter)).delete(verb(control, clear_filter)))
        .route("/emulator/accounts", post(verb(control, sanction)))
}

fn setting_routes(control: &Control) -> Router {
    let switches = |control: &Control, _: &[u8]| Ok(json!({ "values": values(control), "table": Switches::table() }));
    let set_switches = |control: &Control, body: &[u8]| {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let wanted: BTreeMap<String, Value> = read(body)?;
        let wanted: Vec<(String, String)> = wanted.into_iter().map(|(name, value)| (name, text(value))).collect();
        control.set_switches(wanted.iter().map(|(name, value)| (name.as_str(), value.as_str()))).map_err(refused)?;
        shown(values(control))
    };
    let set_limits = |control: &Control, body: &[u8]| {
        control.set_limits(read(body)?);
        shown(control.limits())
    };
    let set_latency = |control: &Control, body: &[u8]| {
        let wanted: NewLatency = read(body)?;
        control.set_latency(wanted.latency.parse().map_err(refused)?);
        done()
    };
    let set_fees = |control: &Control, body: &[u8]| {
        control.set_fees(read(body)?);
        done()
    };
    let put_key = |control: &Control, body: &[u8]| {
        control.put_key(read::<EmulatedKey>(body)?);
        done()
    };
    let revoke_key = |control: &Control, body: &[u8]| {
        control.revoke_key(&read::<Revocation>(body)?.key);
        done()
    };
    let advance = |control: &Control, body: &[u8]| {
        let advance: Advance = read(body)?;
        shown(control.advance(Duration::from_millis(advance.ms)))
    };
    let reset = |control: &Control, _: &[u8]| {
        control.reset();
        done()
    };
    let limits = get(verb(control, |control, _| shown(control.limits())));
    Router::new()
        .route(
            "/emulator/switches",
            get(verb(control, switches)).put(verb(control, set_switches)).post(verb(control, set_switches)),
        )
        .route("/emulator/limits", limits.put(verb(control, set_limits)))
        .route("/emulator/latency", put(verb(control, set_latency)))
        .route("/emulator/fees", put(verb(control, set_fees)))
        .route("/emulator/keys", post(verb(control, put_key)))
        .route("/emulator/keys/revoke", post(verb(control, revoke_key)))
        .route("/emulator/clock", get(verb(control, |control, _| shown(control.clock()))))
        .route("/emulator/clock/advance", post(verb(control, advance)))
        .route("/emulator/reset", post(verb(control, reset)))
}

fn values(control: &Control) -> BTreeMap<&'static str, String> {
    control.switches().into_iter().collect()
}
