//! A running emulator from outside: starting, the control API, the world file, and unexpected
//! bytes.
#![expect(clippy::disallowed_methods, reason = "the tests look at world files")]

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{ExchangeEnd, call, create, get, quick, started};
use super::files::model;
use super::fixture::{EmulatorFixture, FORM, form, id_of, new_asset};
use crate::emulator::{Config, Running, StartError, WorldFileError, start};

async fn send(emulator: &Running, method: &str, path: &str, body: Value) -> ExchangeEnd {
    call(emulator.addr(), method, path, "application/json", body.to_string().as_bytes()).await
}

/// Creates a model, waits for the operation, and returns the ID.
async fn made(emulator: &Running, text: &str) -> u64 {
    let path = create(emulator, &model(text)).await.json()["path"].as_str().unwrap().to_owned();
    id_of(&get(emulator, &format!("/assets/v1/{path}")).await.json()["response"])
}

#[tokio::test]
async fn the_control_api_has_every_documented_verb() {
    let emulator = quick().await;
    let id = made(&emulator, "a").await;
    let rule = json!({ "label": "late", "match": { "endpoint": "get_asset" }, "action": { "kind": "truncate" } });
    let asset = format!("/emulator/assets/{id}");
    let edit = format!("/emulator/assets/{id}/edit");
    #[rustfmt::skip]
    let verbs = [
        ("GET", "/emulator/assets", Value::Null, "/0/asset_type", json!("Model")),
        ("GET", asset.as_str(), Value::Null, "/moderation", json!("Approved")),
        ("POST", edit.as_str(), json!({ "display_name": "theirs" }), "/metadata/display_name", json!("theirs")),
        ("GET", "/emulator/operations", Value::Null, "/0/succeeded", json!(true)),
        ("GET", "/emulator/requests", Value::Null, "/0/endpoint", json!("create_asset")),
        ("GET", "/emulator/counters", Value::Null, "/statuses/200", json!(2)),
        ("POST", "/emulator/faults", rule.clone(), "/ids", json!([1])),
        ("POST", "/emulator/faults", json!([rule, rule]), "/ids", json!([2, 3])),
        ("GET", "/emulator/faults", Value::Null, "/0/label", json!("late")),
        ("DELETE", "/emulator/faults", Value::Null, "/2/active", json!(false)),
        ("POST", "/emulator/moderation", json!({ "asset_id": id, "verdicts": [{ "verdict": "Rejected" }] }), "", json!({})),
        ("GET", asset.as_str(), Value::Null, "/moderation", json!("Rejected")),
        ("DELETE", "/emulator/moderation", Value::Null, "", json!({})),
        ("POST", "/emulator/text-filter", json!([{ "contains": "x", "action": "refuse" }]), "", json!({})),
        ("DELETE", "/emulator/text-filter", Value::Null, "", json!({})),
        ("POST", "/emulator/accounts", json!({ "owner": "user:1", "moderated": true }), "", json!({})),
        ("GET", "/assets/v1/assets/7", Value::Null, "/errors/0/message", json!("User is moderated")),
        ("POST", "/emulator/accounts", json!({ "owner": "user:1", "moderated": false }), "", json!({})),
        ("PUT", "/emulator/switches", json!({ "rollback": "repoint", "audio_quota": 7 }), "/rollback", json!("repoint")),
        ("GET", "/emulator/switches", Value::Null, "/values/audio_quota", json!("7")),
        ("GET", "/emulator/switches", Value::Null, "/table/0/name", json!("rollback")),
        ("GET", "/emulator/limits", Value::Null, "/endpoints/get_operation/per_key", json!(100)),
        ("PUT", "/emulator/limits", json!({ "window_ms": 1000, "endpoints": {} }), "/window_ms", json!(1000)),
        ("PUT", "/emulator/latency", json!({ "latency": "polls:3" }), "", json!({})),
        ("PUT", "/emulator/fees", json!({ "Video": 2000 }), "", json!({})),
        ("POST", "/emulator/keys", json!({ "key": "k", "name": "ci", "owner": "user:1", "creators": { "only": ["group:2"] } }), "", json!({})),
        ("GET", "/assets/v1/assets/7", Value::Null, "/code", json!("NOT_FOUND")),
        ("POST", "/emulator/keys/revoke", json!({ "key": "k" }), "", json!({})),
        ("GET", "/assets/v1/assets/7", Value::Null, "/errors/0/message", json!("Invalid API Key")),
        ("GET", "/emulator/clock", Value::Null, "/manual", json!(false)),
        ("POST", "/emulator/clock/advance", json!({ "ms": 60_000 }), "/manual", json!(false)),
        ("POST", "/emulator/reset", Value::Null, "", json!({})),
        ("GET", "/emulator/assets", Value::Null, "", json!([])),
    ];
    for (method, path, body, pointer, expected) in verbs {
        let response = send(&emulator, method, path, body).await;
        let body = response.json();
        assert_eq!(body.pointer(pointer), Some(&expected), "{method} {path}: {body}");
    }
    emulator.shutdown().await;
}

#[tokio::test]
async fn the_control_api_reports_invalid_requests() {
    let emulator = quick().await;
    #[rustfmt::skip]
    let wrong = [
        ("POST", "/emulator/faults", json!({ "action": { "kind": "explode" } }), 400, "unknown variant `explode`"),
        ("POST", "/emulator/faults", json!([{ "action": { "kind": "reply", "status": 99 } }]), 400, "`status` can't be 99"),
        ("PUT", "/emulator/switches", json!({ "rollback": "back" }), 400, "the switch `rollback` can't be `back`: it takes repoint or new_version"),
        ("PUT", "/emulator/latency", json!({ "latency": "soon" }), 400, "`soon` isn't a latency"),
        ("POST", "/emulator/keys", json!({ "key": "k", "name": "n", "owner": "me" }), 400, "`me` isn't an owner"),
        ("POST", "/emulator/clock/advance", json!({}), 400, "missing field `ms`"),
        ("GET", "/emulator/assets/7", Value::Null, 404, "no such asset"),
        ("POST", "/emulator/assets/x/edit", json!({}), 404, "no such asset"),
        ("GET", "/emulator/weather", Value::Null, 404, "no such verb"),
    ];
    for (method, path, body, status, message) in wrong {
        let response = send(&emulator, method, path, body).await;
        let error = response.json()["error"].as_str().unwrap().to_owned();
        assert!(response.status() == status && error.starts_with(message), "{path}: {} {error}", response.status());
    }
    assert!(emulator.control().requests().is_empty(), "a request to the control API is not in the log");
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_web_page_can_neither_script_nor_read_it() {
    let emulator = quick().await;
    let addr = emulator.addr();
    let page = |head: String| async move {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    };
    let rule = r#"{"action":{"kind":"refuse"}}"#;
    let length = rule.len();
    let form = format!("connection: close\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{rule}");
    let post = "POST /emulator/faults HTTP/1.1\r\n";
    let rebound = page("GET /emulator/assets HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_owned());
    assert!(rebound.await.starts_with("HTTP/1.1 403 "));
    let script = page(format!("{post}host: {addr}\r\norigin: https://evil.example\r\n{form}"));
    assert!(script.await.starts_with("HTTP/1.1 403 "));
    assert!(page(format!("{post}host: {addr}\r\n{form}")).await.starts_with("HTTP/1.1 415 "));
    assert!(emulator.control().faults().is_empty(), "nothing was scripted");
    emulator.shutdown().await;
}

#[tokio::test]
async fn switches_are_set_all_or_none() {
    let emulator = quick().await;
    send(&emulator, "PUT", "/emulator/switches", json!({ "archive_again": "bad_request", "rollback": "back" })).await;
    assert!(emulator.control().switches().contains(&("archive_again", "ok".to_owned())));
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_world_file_survives_a_restart_and_ids_do_not_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("emulator/world.json");
    let open = || started(|config| config.world_file = Some(world.clone()));
    let emulator = open().await;
    let id = made(&emulator, "a").await;
    let accepted = create(&emulator, &model("b")).await.json()["path"].as_str().unwrap().to_owned();
    // A change with a response is in the file: dropping everything without a shutdown loses
    // nothing.
    let saved = std::fs::read_to_string(&world).unwrap();
    assert!(saved.contains(&id.to_string()) && saved.contains(accepted.trim_start_matches("operations/")));
    assert!(!saved.contains("\"k\""), "no key is in it");
    emulator.shutdown().await;

    let emulator = open().await;
    let known: Vec<u64> = emulator.control().assets().iter().map(|report| report.asset.id).collect();
    assert!(known.len() == 2 && known.contains(&id));
    assert_eq!(get(&emulator, &format!("/assets/v1/{accepted}")).await.json()["done"], true);
    let operations: Vec<String> = emulator.control().operations().into_iter().map(|operation| operation.id).collect();
    let fresh = made(&emulator, "c").await;
    assert!(known.iter().all(|id| *id < fresh));
    assert_eq!(emulator.control().operations().len(), operations.len() + 1);
    emulator.shutdown().await;
}

#[tokio::test]
async fn changes_through_the_control_are_saved_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.json");
    let open = || started(|config| config.world_file = Some(world.clone()));
    let emulator = open().await;
    let id = made(&emulator, "a").await;
    emulator.control().edit(id, &crate::emulator::ForeignEdit { archived: Some(true), ..Default::default() }).unwrap();
    emulator.shutdown().await;
    let emulator = open().await;
    assert!(emulator.control().asset(id).unwrap().asset.archived);
    emulator.shutdown().await;
}

#[tokio::test]
async fn two_emulators_can_not_share_a_world_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { world_file: Some(folder.path().join("world.json")), ..Config::default() };
    let first = start(config()).await.unwrap();
    let error = start(config()).await.unwrap_err();
    let StartError::World(WorldFileError::InUse { url, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(url.as_ref(), Some(&first.url()));
    assert!(error.hint().is_some());
    first.shutdown().await;
    start(config()).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_damaged_world_file_is_an_error_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.json");
    for text in ["{\"format\":2,\"wor", "{\"format\":1,\"world\":{}}", "{\"format\":99,\"world\":{}}", ""] {
        std::fs::write(&world, text).unwrap();
        let error = start(Config { world_file: Some(world.clone()), ..Config::default() }).await.unwrap_err();
        assert!(matches!(&error, StartError::World(WorldFileError::Damaged { .. })), "{error:?}");
        assert_eq!(std::fs::read_to_string(&world).unwrap(), text);
    }
}

#[tokio::test]
async fn wrong_switches_and_taken_addresses_are_errors() {
    let first = quick().await;
    let error = start(Config { listen: first.addr(), ..Config::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), format!("could not listen on {}", first.addr()));
    let error =
        start(Config { switches: vec![("rollback".into(), "back".into())], ..Config::default() }).await.unwrap_err();
    assert!(matches!(error, StartError::Switch(_)) && error.hint().is_some());
    first.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_open_connections_at_once() {
    let emulator = quick().await;
    let mut open = tokio::net::TcpStream::connect(emulator.addr()).await.unwrap();
    open.write_all(b"GET /assets/v1/assets/7 HTTP/1.1\r\n").await.unwrap();
    let addr = emulator.addr();
    tokio::time::timeout(Duration::from_secs(1), emulator.shutdown()).await.unwrap();
    assert_eq!(open.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn many_clients_at_once_get_an_asset_each() {
    let emulator = quick().await;
    let file = model("a");
    let outcomes = futures_util::future::join_all((0..50).map(|_| create(&emulator, &file))).await;
    assert!(outcomes.iter().all(|outcome| outcome.status() == 200));
    assert_eq!(emulator.control().assets().len(), 50);
    assert_eq!(emulator.control().counters().connections, 50);
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_connection_can_be_used_again() {
    let emulator = quick().await;
    let mut stream = tokio::net::TcpStream::connect(emulator.addr()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /assets/v1/assets/7 HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\n\r\n").await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"is not found\"}") {
            assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0);
        }
    }
    assert_eq!(emulator.control().counters().connections, 1);
    emulator.shutdown().await;
}

#[tokio::test]
async fn bytes_that_are_not_http_do_no_harm() {
    let emulator = quick().await;
    for garbage in [
        &b"\0\xff\xfe"[..],
        b"GET\r\n\r\n",
        b"POST /assets/v1/assets HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        &[b'a'; 100_000],
    ] {
        let mut stream = tokio::net::TcpStream::connect(emulator.addr()).await.unwrap();
        stream.write_all(garbage).await.ok();
        stream.shutdown().await.ok();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.ok();
    }
    assert_eq!(create(&emulator, &model("a")).await.status(), 200);
    emulator.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_request_makes_the_service_panic(
        method in prop_oneof![Just("GET"), Just("POST"), Just("PATCH"), Just("DELETE")],
        path in prop_oneof![
            Just("/assets/v1/assets".to_owned()), Just("/assets/v1/assets/5".to_owned()), Just("/assets/v1/assets/5/versions:rollback".to_owned()),
            Just("/api-keys/v1/introspect".to_owned()), "/assets/v1/(assets|operations)/[0-9a-z%:/]{0,12}", "/[a-z0-9/%]{0,20}",
        ],
        query in "(updateMask|readMask|pageToken|maxPageSize)=[a-zA-Z0-9%,+&=-]{0,20}",
        content_type in prop_oneof![Just(FORM), Just("application/json"), Just("multipart/form-data"), Just("x")],
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            ".{0,40}".prop_map(|text| form(&text, None)),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
                form(&new_asset("Image", "a").to_string(), Some(&super::files::FilePartFixture { bytes, ..super::files::image(1, 1) }))
            }),
        ],
    ) {
        let response = EmulatorFixture::new().send_as("k", method, &format!("{path}?{query}"), content_type, body);
        prop_assert!((200..500).contains(&response.status), "{} {}", response.status, response.text);
    }
}
