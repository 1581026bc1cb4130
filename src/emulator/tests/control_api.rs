//! Whatever reaches the endpoints of the control API, they report the fault, and the emulator keeps
//! working.

use axum::body::Body;
use axum::http::Request;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::files::model;
use super::fixture::{EmulatorFixture, new_asset};
use crate::emulator::control_api;

/// Returns the verbs that read a body, each with a valid one.
fn verbs() -> Vec<(&'static str, &'static str, Value)> {
    let rule = json!({ "label": "x", "times": 1, "match": { "endpoint": "create_asset", "nth": [1], "probability": 0.5 },
        "action": { "kind": "reply", "status": 429, "retry_after": { "seconds": 1 }, "headers": { "a": "b" } } });
    let key = json!({ "key": "k", "name": "ci", "owner": "user:1", "creators": { "only": ["group:2"] } });
    vec![
        ("POST", "/emulator/faults", rule),
        (
            "POST",
            "/emulator/moderation",
            json!([{ "asset_id": 1, "verdicts": [{ "after_ms": 5, "verdict": "Rejected" }] }]),
        ),
        ("POST", "/emulator/text-filter", json!([{ "contains": "x", "field": "name", "action": "censor" }])),
        ("POST", "/emulator/accounts", json!({ "owner": "user:1", "moderated": false })),
        ("PUT", "/emulator/switches", json!({ "rollback": "repoint", "audio_quota": 7 })),
        (
            "PUT",
            "/emulator/limits",
            json!({ "window_ms": 1000, "endpoints": { "create_asset": { "per_ip": 1, "per_owner": 2, "per_key": 3 } } }),
        ),
        ("PUT", "/emulator/latency", json!({ "latency": "polls:3" })),
        ("PUT", "/emulator/fees", json!({ "Video": 2000 })),
        ("POST", "/emulator/keys", key),
        ("POST", "/emulator/keys/revoke", json!({ "key": "k" })),
        ("POST", "/emulator/clock/advance", json!({ "ms": 60_000 })),
        ("POST", "/emulator/assets/{id}/edit", json!({ "display_name": "theirs", "content_hash": "ab" })),
    ]
}

/// Sends one request to the control API alone. Returns the status, and the body as JSON.
fn send(fixture: &EmulatorFixture, method: &str, path: &str, body: Vec<u8>) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let service = TowerToHyperService::new(control_api::router(&fixture.control));
        let (head, body) = service.call(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    })
}

/// Replaces the value at one place of a document.
fn replace(document: &mut Value, place: usize, by: &Value) {
    fn places(value: &Value, path: &str, all: &mut Vec<String>) {
        all.push(path.to_owned());
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, inner)| places(inner, &format!("{path}/{name}"), all))
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, inner)| places(inner, &format!("{path}/{at}"), all))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut all = Vec::new();
    places(document, "", &mut all);
    *document.pointer_mut(&all[place % all.len()]).unwrap() = by.clone();
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "drip",
            "polls:0",
            "999999999999999999",
            "user:0",
            "-1",
            "1-5",
            "observed",
            "Rejected"
        ])
        .prop_map(Value::from),
    ]
}

/// Checks that the emulator still lists its data and serves its API.
fn check_still_works(fixture: &EmulatorFixture) {
    for path in ["assets", "operations", "requests", "counters", "faults", "switches", "limits", "clock"] {
        assert_eq!(send(fixture, "GET", &format!("/emulator/{path}"), Vec::new()).0, 200, "{path}");
    }
    fixture.control.clear_faults();
    let status = fixture.create(&new_asset("Model", "Sword"), &model("a")).status;
    assert!((200..500).contains(&status), "{status}");
    let status = fixture.get("/assets/v1/assets/5").status;
    assert!((200..500).contains(&status), "{status}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused_with_a_reason(which in 0_usize..12, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let fixture = EmulatorFixture::new();
        let id = fixture.made("Model", "a", &model("a"));
        let (method, path, _) = verbs().swap_remove(which);
        let (status, body) = send(&fixture, method, &path.replace("{id}", &id.to_string()), bytes.clone());
        if serde_json::from_slice::<Value>(&bytes).is_err() {
            prop_assert!((400..500).contains(&status), "{status} {body}");
            prop_assert!(body["error"].is_string(), "{body}");
        }
        check_still_works(&fixture);
    }

    #[test]
    fn nearly_valid_bodies_are_accepted_or_refused(
        which in 0_usize..12,
        edits in prop::collection::vec((any::<usize>(), any_value()), 1..4),
        method in prop::sample::select(vec!["", "GET", "POST", "PUT", "DELETE", "PATCH"]),
    ) {
        let fixture = EmulatorFixture::new();
        let id = fixture.made("Model", "a", &model("a"));
        let (own, path, mut document) = verbs().swap_remove(which);
        edits.iter().for_each(|(place, by)| replace(&mut document, *place, by));
        let method = if method.is_empty() { own } else { method };
        let (status, body) = send(&fixture, method, &path.replace("{id}", &id.to_string()), document.to_string().into_bytes());
        prop_assert!((200..500).contains(&status), "{status} {body}");
        check_still_works(&fixture);
    }

    #[test]
    fn every_path_gets_a_response(path in "/emulator/[a-z0-9/%._-]{0,30}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let fixture = EmulatorFixture::new();
        if let Ok(uri) = path.parse::<axum::http::Uri>() {
            let (status, body) = send(&fixture, "POST", &uri.to_string(), bytes);
            prop_assert!((200..500).contains(&status), "{status} {body}");
        }
        check_still_works(&fixture);
    }
}
