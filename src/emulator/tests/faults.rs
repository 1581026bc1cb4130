//! One test for each fault: over a real port it fires, its counter says so, and the world is as it
//! should be.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{ExchangeEnd, call, create, get, quick};
use super::files::model;
use super::fixture::{FORM, form, id_of};
use crate::emulator::{FaultRule, Running};

/// Adds one rule and returns its ID.
#[track_caller]
fn script(emulator: &Running, rule: Value) -> u64 {
    let rule: FaultRule = serde_json::from_value(rule).unwrap();
    emulator.control().add_faults(vec![rule]).unwrap()[0]
}

/// Checks how often the rule fired, how many assets exist, and how many requests got a response.
#[track_caller]
fn check(emulator: &Running, rule: u64, fired: u64, assets: usize, answered: usize) {
    assert_eq!(emulator.control().fired(rule), fired, "fired");
    assert_eq!(emulator.control().assets().len(), assets, "assets");
    let log = emulator.control().requests();
    assert_eq!(log.iter().filter(|request| request.status.is_some()).count(), answered, "answered: {log:#?}");
}

/// Checks that the remote works after the faults.
async fn recovers(emulator: Running) {
    emulator.control().clear_faults();
    let before = emulator.control().assets().len();
    assert_eq!(create(&emulator, &model("after")).await.status(), 200);
    assert_eq!(emulator.control().assets().len(), before + 1);
    emulator.shutdown().await;
}

#[tokio::test]
async fn refuse_resets_a_connection_before_anything_is_read() {
    let emulator = quick().await;
    let rule = script(&emulator, json!({ "match": { "nth": [1] }, "action": { "kind": "refuse" } }));
    assert_eq!(create(&emulator, &model("a")).await, ExchangeEnd::Reset(0));
    assert_eq!(emulator.control().requests(), []);
    assert_eq!(create(&emulator, &model("a")).await.status(), 200);
    check(&emulator, rule, 1, 1, 1);
    recovers(emulator).await;
}

#[tokio::test]
async fn connections_end_at_each_point_by_reset_close_and_silence() {
    for (kind, end) in
        [("reset", ExchangeEnd::Reset(0)), ("close", ExchangeEnd::Closed(0)), ("hang", ExchangeEnd::Silence)]
    {
        for (at, assets, bytes) in [("before_body", 0, false), ("after_body", 0, true), ("after_commit", 1, true)] {
            let emulator = quick().await;
            let rule = script(
                &emulator,
                json!({ "match": { "endpoint": "create_asset" }, "action": { "kind": kind, "at": at } }),
            );
            let outcome = create(&emulator, &model("a")).await;
            // A close with unread bytes is a reset for the kernel.
            let expected = if (kind, at) == ("close", "before_body") {
                [end.clone(), ExchangeEnd::Reset(0)]
            } else {
                [end.clone(), end.clone()]
            };
            assert!(expected.contains(&outcome), "{kind} {at}: {outcome:?}");
            check(&emulator, rule, 1, assets, 0);
            let request = emulator.control().requests()[0].clone();
            assert_eq!(
                (request.bytes > 0, request.committed, request.faults),
                (bytes, assets == 1, vec![rule]),
                "{kind} {at}"
            );
            let ended = async {
                while emulator.control().counters().unanswered == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(2), ended).await.expect("the request never ended");
            recovers(emulator).await;
        }
    }
}

#[tokio::test]
async fn delays_come_before_the_commit_or_before_the_reply() {
    for (field, made_early) in [("before_commit_ms", 0), ("before_reply_ms", 1)] {
        let emulator = quick().await;
        let delay = json!({ "match": { "nth": [1] }, "action": { "kind": "delay", field: 600_000 } });
        let rule = script(&emulator, delay);
        let file = model("a");
        let (outcome, ()) = tokio::join!(create(&emulator, &file), async {
            while emulator.control().fired(rule) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Another one goes the same way to its end meanwhile.
            assert_eq!(create(&emulator, &model("b")).await.status(), 200);
            assert_eq!(emulator.control().assets().len(), 1 + made_early, "{field}");
            emulator.control().clear_faults();
        });
        assert_eq!(outcome.status(), 200);
        check(&emulator, rule, 1, 2, 2);
        recovers(emulator).await;
    }
}

#[tokio::test]
async fn a_delay_ends_when_its_rule_is_removed() {
    for field in ["before_commit_ms", "before_reply_ms"] {
        let emulator = quick().await;
        script(&emulator, json!({ "action": { "kind": "delay", field: 600_000 } }));
        let file = model("a");
        let (outcome, ()) = tokio::join!(create(&emulator, &file), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(emulator.control().requests()[0].status, None, "{field}");
            emulator.control().clear_faults();
        });
        assert_eq!(outcome.status(), 200, "{field}");
    }
}

#[tokio::test]
async fn truncate_breaks_off_after_the_commit() {
    let emulator = quick().await;
    let rule = script(&emulator, json!({ "action": { "kind": "truncate" } }));
    let outcome = create(&emulator, &model("a")).await;
    assert!(matches!(outcome, ExchangeEnd::Closed(bytes) if bytes > 100), "{outcome:?}");
    check(&emulator, rule, 1, 1, 1);
    recovers(emulator).await;
}

#[tokio::test]
async fn drip_answers_a_byte_at_a_time() {
    let emulator = quick().await;
    let rule = script(&emulator, json!({ "action": { "kind": "drip", "interval_ms": 2 } }));
    let begun = emulator.control().clock().now_ms;
    assert_eq!(get(&emulator, "/assets/v1/assets/7").await.json()["code"], "NOT_FOUND");
    let took = emulator.control().clock().now_ms - begun;
    assert!(took > 50, "{took}");
    check(&emulator, rule, 1, 0, 1);
    recovers(emulator).await;
}

#[tokio::test]
async fn replies_have_any_status_and_shape_with_and_without_commit() {
    for (status, shape) in [
        (200, "garbage"),
        (200, "html"),
        (400, "html"),
        (200, "empty"),
        (500, "problem_details"),
        (502, "html"),
        (503, "service"),
    ] {
        for commit in [false, true] {
            let emulator = quick().await;
            let rule = script(
                &emulator,
                json!({ "action": { "kind": "reply", "status": status, "shape": shape, "commit": commit } }),
            );
            let ExchangeEnd::Answer { status: got, body, .. } = create(&emulator, &model("a")).await else {
                panic!("no answer")
            };
            assert_eq!(got, status);
            match shape {
                "garbage" => assert!(std::str::from_utf8(&body).is_err()),
                "html" => assert!(body.starts_with(b"<html>")),
                "empty" => assert_eq!(body, b""),
                _ => assert!(serde_json::from_slice::<Value>(&body).unwrap().is_object()),
            }
            check(&emulator, rule, 1, usize::from(commit), 1);
            assert_eq!(emulator.control().requests()[0].committed, commit);
            recovers(emulator).await;
        }
    }
}

#[tokio::test]
async fn replies_have_their_own_body_and_headers() {
    let emulator = quick().await;
    let reply = |extra: Value| {
        let mut action = json!({ "kind": "reply", "status": 429 });
        action.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "times": 1, "action": action })
    };
    let scripts = [
        (json!({}), None),
        (json!({ "retry_after": { "seconds": 0 } }), Some("0")),
        (json!({ "retry_after": { "seconds": 7 } }), Some("7")),
        (json!({ "headers": { "Retry-After": "soon" } }), Some("soon")),
    ];
    for (extra, expected) in scripts {
        let rule = script(&emulator, reply(extra));
        let response = get(&emulator, "/assets/v1/assets/7").await;
        assert_eq!((response.status(), response.header("retry-after").as_deref()), (429, expected));
        assert!(response.header("x-ratelimit-limit").is_some());
        assert_eq!(emulator.control().fired(rule), 1);
    }
    script(
        &emulator,
        reply(json!({ "retry_after": { "date_in_ms": 90_000 }, "rate_limit_headers": false, "body": "so there" })),
    );
    let response = get(&emulator, "/assets/v1/assets/7").await;
    let date = httpdate::parse_http_date(&response.header("retry-after").unwrap()).unwrap();
    let now = emulator.control().clock().now_ms / 1000;
    let wait = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - now;
    assert!((85..=90).contains(&wait), "{wait}");
    assert_eq!(response.header("x-ratelimit-limit"), None);
    assert!(matches!(response, ExchangeEnd::Answer { body, .. } if body == b"so there"));
    script(&emulator, reply(json!({ "headers": { "x-ratelimit-remaining": "70" } })));
    let response = get(&emulator, "/assets/v1/assets/7").await;
    assert_eq!(response.header("x-ratelimit-remaining").as_deref(), Some("70"));
    recovers(emulator).await;
}

#[tokio::test]
async fn merge_adds_unknown_fields_and_values() {
    let emulator = quick().await;
    let fields = json!({ "weather": "fine", "done": null });
    let rule = script(&emulator, json!({ "action": { "kind": "merge", "fields": fields } }));
    let response = create(&emulator, &model("a")).await.json();
    assert_eq!((&response["weather"], response.get("done")), (&json!("fine"), None));
    check(&emulator, rule, 1, 1, 1);
    recovers(emulator).await;
}

#[tokio::test]
async fn a_duplicate_commit_makes_two_assets() {
    let emulator = quick().await;
    let rule = script(&emulator, json!({ "match": { "name": "Sword" }, "action": { "kind": "duplicate_commit" } }));
    assert_eq!(create(&emulator, &model("a")).await.status(), 200);
    check(&emulator, rule, 1, 2, 1);
    assert_eq!(emulator.control().counters().commits.values().collect::<Vec<_>>(), [&2]);
    recovers(emulator).await;
}

/// Creates a model and returns its ID.
async fn made(emulator: &Running) -> u64 {
    let path = create(emulator, &model("a")).await.json()["path"].as_str().unwrap().to_owned();
    id_of(&get(emulator, &format!("/assets/v1/{path}")).await.json()["response"])
}

async fn post(emulator: &Running, path: &str) -> ExchangeEnd {
    call(emulator.addr(), "POST", path, "application/json", b"{}").await
}

#[tokio::test]
async fn stale_reads_show_what_was_before_a_write() {
    let emulator = quick().await;
    let id = made(&emulator).await;
    let rule = script(
        &emulator,
        json!({ "match": { "asset_id": id }, "action": { "kind": "stale_reads", "for_ms": 60_000 }, "times": 1 }),
    );
    assert_eq!(post(&emulator, &format!("/assets/v1/assets/{id}:archive")).await.json()["state"], "Archived");
    assert_eq!(get(&emulator, &format!("/assets/v1/assets/{id}")).await.json()["state"], "Active");
    emulator.control().advance(Duration::from_secs(60));
    assert_eq!(get(&emulator, &format!("/assets/v1/assets/{id}")).await.json()["state"], "Archived");
    assert_eq!(emulator.control().fired(rule), 1);

    let rule = script(
        &emulator,
        json!({ "match": { "endpoint": "create_asset" }, "action": { "kind": "stale_reads", "for_ms": 60_000 } }),
    );
    let fresh = made(&emulator).await;
    assert_eq!(get(&emulator, &format!("/assets/v1/assets/{fresh}")).await.status(), 404);
    emulator.control().advance(Duration::from_secs(60));
    assert_eq!(get(&emulator, &format!("/assets/v1/assets/{fresh}")).await.status(), 200);
    assert_eq!(emulator.control().fired(rule), 1);
    recovers(emulator).await;
}

#[tokio::test]
async fn delayed_reads_show_each_write_after_its_own_delay() {
    let emulator = quick().await;
    let id = made(&emulator).await;
    emulator.control().set_switch("reads_behind_ms", "60000").unwrap();
    let asset = format!("/assets/v1/assets/{id}");
    let state = async || get(&emulator, &asset).await.json()["state"].as_str().unwrap().to_owned();
    post(&emulator, &format!("{asset}:archive")).await;
    emulator.control().advance(Duration::from_secs(40));
    post(&emulator, &format!("{asset}:restore")).await;
    assert_eq!(state().await, "Active");
    emulator.control().advance(Duration::from_secs(30));
    assert_eq!(state().await, "Archived", "the second write is 30 s old, the first 70 s");
    emulator.control().advance(Duration::from_secs(30));
    assert_eq!(state().await, "Active");
    recovers(emulator).await;
}

#[tokio::test]
async fn an_endless_operation_outlives_the_faults() {
    let emulator = quick().await;
    let rule = script(
        &emulator,
        json!({ "match": { "endpoint": "create_asset" }, "action": { "kind": "operation", "outcome": "endless" } }),
    );
    let path = create(&emulator, &model("a")).await.json()["path"].as_str().unwrap().to_owned();
    assert_eq!(emulator.control().fired(rule), 1);
    emulator.control().clear_faults();
    emulator.control().advance(Duration::from_secs(3 * 86_400));
    assert_ne!(get(&emulator, &format!("/assets/v1/{path}")).await.json()["done"], true);
}

#[tokio::test]
async fn operations_fail_in_every_form() {
    let code = json!({ "code": "Internal", "message": "m" });
    let outcomes = [
        (json!({ "outcome": "error", "code": "Internal", "message": "m" }), "/error", code.clone()),
        (json!({ "outcome": "nothing" }), "/error", Value::Null),
        (
            json!({ "outcome": "metadata_error", "code": "Internal", "message": "m" }),
            "/metadata/errors/0/error/message",
            json!("m"),
        ),
        (json!({ "outcome": "failure_in_response", "code": "Internal", "message": "m" }), "/response", code),
    ];
    for (fault, pointer, expected) in outcomes {
        let emulator = quick().await;
        let mut action = json!({ "kind": "operation" });
        action.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        let rule = script(&emulator, json!({ "action": action, "times": 1 }));
        let path = create(&emulator, &model("a")).await.json()["path"].as_str().unwrap().to_owned();
        let ended = get(&emulator, &format!("/assets/v1/{path}")).await.json();
        assert_eq!(
            (&ended["done"], ended.pointer(pointer).unwrap_or(&Value::Null)),
            (&json!(true), &expected),
            "{fault}"
        );
        assert_eq!(ended.get("response").and_then(|response| response.get("assetId")), None);
        check(&emulator, rule, 1, 0, 2);
        recovers(emulator).await;
    }
}

#[tokio::test]
async fn operations_can_be_stuck_invisible_or_gone() {
    let emulator = quick().await;
    let poll = async |path: &str| get(&emulator, &format!("/assets/v1/{path}")).await;
    let accepted = async |action: Value| {
        let rule = script(&emulator, json!({ "action": action, "times": 1 }));
        let path = create(&emulator, &model("a")).await.json()["path"].as_str().unwrap().to_owned();
        assert_eq!(emulator.control().fired(rule), 1);
        path
    };
    let stuck = accepted(json!({ "kind": "operation", "outcome": "stuck" })).await;
    let slow = accepted(json!({ "kind": "operation", "outcome": "stuck", "for_ms": 60_000 })).await;
    let unseen = accepted(json!({ "kind": "operation", "outcome": "invisible", "for_ms": 60_000 })).await;
    let gone = accepted(json!({ "kind": "operation", "outcome": "gone" })).await;
    assert_eq!(poll(&slow).await.json()["done"], false);
    assert_eq!(poll(&unseen).await.json(), json!({ "errors": [{ "code": 0, "message": "" }] }));
    emulator.control().advance(Duration::from_secs(60));
    assert_eq!(poll(&slow).await.json()["done"], true);
    assert_eq!(poll(&unseen).await.json()["done"], true);
    assert_eq!(poll(&gone).await.status(), 404);
    assert_eq!(poll(&stuck).await.json()["done"], false);
    emulator.control().clear_faults();
    assert_eq!(poll(&stuck).await.json()["done"], true);
    assert_eq!(poll(&gone).await.status(), 404);
    assert_eq!(emulator.control().assets().len(), 4, "all were carried out");
    recovers(emulator).await;
}

#[tokio::test]
async fn an_update_whose_operation_fails_changes_nothing() {
    let emulator = quick().await;
    let id = made(&emulator).await;
    let rule = script(
        &emulator,
        json!({ "match": { "endpoint": "update_asset" }, "action": { "kind": "operation", "outcome": "nothing" } }),
    );
    for file in [Some(model("b")), None] {
        let body = form(&json!({ "assetId": id, "displayName": "b" }).to_string(), file.as_ref());
        let response =
            call(emulator.addr(), "PATCH", &format!("/assets/v1/assets/{id}?updateMask=displayName"), FORM, &body)
                .await;
        assert_eq!(response.status(), 200);
    }
    let asset = emulator.control().asset(id).unwrap().asset;
    assert_eq!((asset.versions.len(), asset.metadata.display_name.as_str()), (1, "Sword"));
    assert_eq!(emulator.control().fired(rule), 2);
    recovers(emulator).await;
}

#[tokio::test]
async fn version_pages_lead_back_to_the_first() {
    let emulator = quick().await;
    let id = made(&emulator).await;
    let rule = script(&emulator, json!({ "action": { "kind": "versions_loop" } }));
    let mut query = String::new();
    for _ in 0..3 {
        let page = get(&emulator, &format!("/assets/v1/assets/{id}/versions?{query}")).await.json();
        assert_eq!(page["assetVersions"][0]["path"], format!("assets/{id}/versions/1"));
        query = format!("pageToken={}", page["nextPageToken"].as_str().unwrap());
    }
    assert_eq!(emulator.control().fired(rule), 3);
    recovers(emulator).await;
}

#[tokio::test]
async fn limits_are_lowered_midway() {
    let emulator = quick().await;
    let limits =
        json!({ "window_ms": 60_000, "endpoints": { "get_asset": { "per_ip": 2, "per_owner": 2, "per_key": 2 } } });
    let rule =
        script(&emulator, json!({ "match": { "nth": [2] }, "action": { "kind": "set_limits", "limits": limits } }));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&emulator, "/assets/v1/assets/7").await.status());
    }
    assert_eq!(statuses, [404, 404, 429]);
    check(&emulator, rule, 1, 0, 3);
    recovers(emulator).await;
}

#[tokio::test]
async fn a_key_is_revoked_midway() {
    let emulator = quick().await;
    let rule = script(&emulator, json!({ "match": { "nth": [2] }, "action": { "kind": "revoke_key" } }));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(create(&emulator, &model("a")).await.status());
    }
    assert_eq!(statuses, [200, 401, 401]);
    check(&emulator, rule, 1, 1, 3);
    recovers(emulator).await;
}

#[tokio::test]
async fn an_account_is_moderated_midway() {
    let emulator = quick().await;
    let rule = script(&emulator, json!({ "match": { "nth": [2] }, "action": { "kind": "moderate_account" } }));
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        outcomes.push(create(&emulator, &model("a")).await);
    }
    assert_eq!((outcomes[0].status(), outcomes[1].status()), (200, 403));
    assert_eq!(outcomes[1].json(), json!({ "errors": [{ "code": 0, "message": "User is moderated" }] }));
    check(&emulator, rule, 1, 1, 2);
    emulator.control().moderate_account(crate::emulator::Principal::User(1), false);
    recovers(emulator).await;
}

#[tokio::test]
async fn a_fault_that_needs_a_commit_does_not_count_on_a_refused_request() {
    for action in [
        json!({ "kind": "reset", "at": "after_commit" }),
        json!({ "kind": "duplicate_commit" }),
        json!({ "kind": "operation", "outcome": "stuck" }),
        json!({ "kind": "reply", "status": 500, "commit": true }),
    ] {
        let emulator = quick().await;
        let rule = script(&emulator, json!({ "action": action }));
        let body = form("{}", None);
        let response = call(emulator.addr(), "POST", "/assets/v1/assets", FORM, &body).await;
        assert_eq!(response.status(), 400, "{action}");
        check(&emulator, rule, 0, 0, 1);
        recovers(emulator).await;
    }
}
