//! The side door over HTTP, under `/emulator/`: JSON in, JSON out, no key. `mod.rs` lists the verbs. Each is one call of
//! [`Control`]; nothing is decided here.

use std::collections::BTreeMap;
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
use super::world::account::{Key, Owner};
use super::world::edit::Edit;
use super::world::moderation::{ModerationRule, TextRule};

type Answer = Result<Response<Body>, Response<Body>>;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn list(self) -> Vec<T> {
        match self {
            OneOrMany::Many(list) => list,
            OneOrMany::One(one) => vec![one],
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    owner: Owner,
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

/// A JSON answer.
fn json_answer(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let (status, text) = match serde_json::to_vec(body) {
        Ok(text) => (status, text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() }).to_string().into_bytes())
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn ok(body: &impl Serialize) -> Answer {
    Ok(json_answer(StatusCode::OK, body))
}

fn refused(error: impl std::fmt::Display) -> Response<Body> {
    json_answer(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() }))
}

fn missing(what: &str) -> Response<Body> {
    json_answer(StatusCode::NOT_FOUND, &json!({ "error": what }))
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Response<Body>> {
    serde_json::from_slice(body).map_err(refused)
}

/// A list is read item by item, so that an error names what is wrong with the item.
fn read_list<T: DeserializeOwned>(body: &Bytes) -> Result<Vec<T>, Response<Body>> {
    let values = read::<OneOrMany<Value>>(body)?.list();
    values.into_iter().map(|value| serde_json::from_value(value).map_err(refused)).collect()
}

fn asset_id(text: &str) -> Result<u64, Response<Body>> {
    text.parse().map_err(|_| missing("no such asset"))
}

/// A verb without a body.
macro_rules! look {
    ($control:ident, $answer:expr) => {{
        let $control = $control.clone();
        move || async move { $answer }
    }};
}

/// A verb with a body; answers once the change is in the world file.
macro_rules! change {
    ($control:ident, |$body:ident| $answer:expr) => {{
        let $control = $control.clone();
        move |$body: Bytes| async move {
            let answer: Answer = (|| $answer)();
            $control.shared.wait_saved().await;
            answer
        }
    }};
}

/// The side door's routes.
pub(super) fn router(control: &Control) -> Router {
    looking(control)
        .merge(scripting(control))
        .merge(setting(control))
        .route("/emulator/{*rest}", get(nothing).post(nothing).put(nothing))
}

async fn nothing() -> Response<Body> {
    missing("no such verb")
}

fn looking(control: &Control) -> Router {
    let one = control.clone();
    let asset = move |Path(id): Path<String>| async move {
        asset_id(&id).and_then(|id| one.asset(id).ok_or_else(|| missing("no such asset"))).and_then(|asset| ok(&asset))
    };
    let one = control.clone();
    let edit = move |Path(id): Path<String>, body: Bytes| async move {
        let change = || {
            let (id, edit) = (asset_id(&id)?, read::<Edit>(&body)?);
            one.edit(id, &edit).ok_or_else(|| missing("no such asset or version")).and_then(|asset| ok(&asset))
        };
        let answer: Answer = change();
        one.shared.wait_saved().await;
        answer
    };
    Router::new()
        .route("/emulator/assets", get(look!(control, ok(&control.assets()))))
        .route("/emulator/assets/{id}", get(asset))
        .route("/emulator/assets/{id}/edit", post(edit))
        .route("/emulator/operations", get(look!(control, ok(&control.operations()))))
        .route("/emulator/requests", get(look!(control, ok(&control.requests()))))
        .route("/emulator/counters", get(look!(control, ok(&control.counters()))))
}

fn scripting(control: &Control) -> Router {
    let faults = get(look!(control, ok(&control.faults())))
        .post(change!(control, |body| {
            let ids = control.add_faults(read_list::<FaultRule>(&body)?).map_err(refused)?;
            ok(&json!({ "ids": ids }))
        }))
        .delete(change!(control, |_body| {
            control.clear_faults();
            ok(&control.faults())
        }));
    let moderation = post(change!(control, |body| {
        read_list::<ModerationRule>(&body)?.into_iter().for_each(|rule| control.moderate(rule));
        ok(&json!({}))
    }))
    .delete(change!(control, |_body| {
        control.clear_moderation();
        ok(&json!({}))
    }));
    let text_filter = post(change!(control, |body| {
        read_list::<TextRule>(&body)?.into_iter().for_each(|rule| control.add_text_rule(rule));
        ok(&json!({}))
    }))
    .delete(change!(control, |_body| {
        control.clear_text_rules();
        ok(&json!({}))
    }));
    let accounts = post(change!(control, |body| {
        let account: Account = read(&body)?;
        control.moderate_account(account.owner, account.moderated);
        ok(&json!({}))
    }));
    Router::new()
        .route("/emulator/faults", faults)
        .route("/emulator/moderation", moderation)
        .route("/emulator/text-filter", text_filter)
        .route("/emulator/accounts", accounts)
}

fn setting(control: &Control) -> Router {
    let values = |control: &Control| control.switches().into_iter().collect::<BTreeMap<_, _>>();
    let switches = get(look!(control, ok(&json!({ "values": values(&control), "table": Switches::table() })))).put(
        change!(control, |body| {
            let wanted: BTreeMap<String, Value> = read(&body)?;
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let wanted: Vec<(String, String)> =
                wanted.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            control
                .set_switches(wanted.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                .map_err(refused)?;
            ok(&values(&control))
        }),
    );
    let limits = get(look!(control, ok(&control.limits()))).put(change!(control, |body| {
        control.set_limits(read(&body)?);
        ok(&control.limits())
    }));
    let latency = put(change!(control, |body| {
        let wanted: NewLatency = read(&body)?;
        control.set_latency(wanted.latency.parse().map_err(refused)?);
        ok(&json!({}))
    }));
    let fees = put(change!(control, |body| {
        control.set_fees(read(&body)?);
        ok(&json!({}))
    }));
    let keys = post(change!(control, |body| {
        control.put_key(read::<Key>(&body)?);
        ok(&json!({}))
    }));
    let revoke = post(change!(control, |body| {
        control.revoke_key(&read::<Revocation>(&body)?.key);
        ok(&json!({}))
    }));
    let advance =
        post(change!(control, |body| ok(&control.advance(Duration::from_millis(read::<Advance>(&body)?.ms)))));
    let reset = post(change!(control, |_body| {
        control.reset();
        ok(&json!({}))
    }));
    Router::new()
        .route("/emulator/switches", switches)
        .route("/emulator/limits", limits)
        .route("/emulator/latency", latency)
        .route("/emulator/fees", fees)
        .route("/emulator/keys", keys)
        .route("/emulator/keys/revoke", revoke)
        .route("/emulator/clock", get(look!(control, ok(&control.clock()))))
        .route("/emulator/clock/advance", advance)
        .route("/emulator/reset", reset)
}
