//! Refusals by Roblox: too many requests in every spelling, a revoked key, a sanctioned account, a
//! creator without permission.

use macadam::emulator::{ApiEndpoint, Config, Creators, EmulatedKey, EndpointLimits, Limit, Principal};
use serde_json::{Value, json};

use super::{MANIFEST, Trial, generous, side_by_side};
use crate::support::{SECRET, png};

#[test]
fn too_many_requests_are_waited_out_in_every_spelling() {
    let limited = |shape: &str, retry_after: Value, reset: Option<&str>| {
        let mut action = json!({"kind": "reply", "status": 429, "shape": shape});
        if !retry_after.is_null() {
            action["retry_after"] = retry_after;
        }
        if let Some(reset) = reset {
            action["headers"] =
                json!({"x-ratelimit-reset": reset, "x-ratelimit-remaining": "0", "x-ratelimit-limit": "60"});
        }
        json!({"match": {"endpoint": "create_asset"}, "times": 1, "action": action})
    };
    let cases = [
        ("seconds", limited("gateway", json!({"seconds": 1}), None)),
        ("a date", limited("gateway", json!({"date_in_ms": 1000}), None)),
        ("zero", limited("gateway", json!({"seconds": 0}), None)),
        ("absent", limited("service", Value::Null, None)),
        ("too short", limited("gateway", json!({"seconds": 1}), Some("3"))),
        ("a list", limited("gateway", json!({"seconds": 1}), Some("2, 3;w=60"))),
    ];
    side_by_side(&cases, |script| {
        let limits = EndpointLimits { window_ms: 4_000, ..generous() };
        let trial = Trial::with(MANIFEST, Config { limits, ..Config::default() }).fault(script.clone());
        assert_eq!(trial.document(100, 0)["in_sync"], true);
        trial.converge();
        assert_eq!(trial.remote.assets().len(), 3);
        assert_eq!(trial.events("in_doubt"), 0, "a refusal is definite");
        let log = trial.remote.control().requests();
        let creates: Vec<_> = log.iter().filter(|request| request.endpoint == Some(ApiEndpoint::CreateAsset)).collect();
        assert_eq!(creates.len(), 4, "one 429 stops the budget for everyone");
        if script["action"]["headers"].is_object() {
            assert!(creates[1].at_ms - creates[0].at_ms >= 2000, "the reset counts, not `retry-after` alone");
        }
    });
}

/// Neither `retry-after` nor `x-ratelimit-*`: nothing tells for how long.
fn bare_429(nth: u64) -> Value {
    let action = json!({"kind": "reply", "status": 429, "shape": "gateway", "rate_limit_headers": false});
    json!({"match": {"endpoint": "create_asset", "nth": [nth]}, "action": action})
}

#[test]
fn too_many_requests_without_a_word_of_when_last_until_the_window_that_is_known_ends() {
    let limits = EndpointLimits { window_ms: 4_000, ..generous() };
    let trial = Trial::with(MANIFEST, Config { limits, ..Config::default() }).fault(bare_429(2));
    assert_eq!(trial.document(100, 0)["in_sync"], true);
    trial.converge();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 4, "one 429 stops the budget for everyone");
    assert_eq!(trial.events("in_doubt"), 0, "a refusal is definite");
}

#[test]
fn too_many_requests_without_any_header_stop_the_budget_for_a_whole_window_across_runs() {
    let mut trial = Trial::new().fault(bare_429(1));
    for run in 0..2 {
        let document = trial.document(2, 1);
        assert_eq!(Trial::outcome(&document, "sword"), "waiting", "{document:#}");
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 1, "run {run} asked before the window can be over");
    }
    // A minute is the longest window that Roblox documents.
    trial.project.set_env("MACADAM_CLOCK_SHIFT", "90");
    trial.converge();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 4);
    assert_eq!(trial.events("in_doubt"), 0);
}

#[test]
fn a_limit_that_is_lowered_is_learned() {
    let limits = |number: u32| {
        let mut limits = EndpointLimits { window_ms: 4_000, ..EndpointLimits::documented() };
        limits.endpoints.values_mut().for_each(|limit| *limit = Limit::of(1_000));
        limits.endpoints.insert(ApiEndpoint::CreateAsset, Limit::of(number));
        limits
    };
    let lower = json!({"match": {"endpoint": "create_asset", "nth": [4]}, "action": {"kind": "set_limits", "limits": serde_json::to_value(limits(6)).unwrap()}});
    let mut trial = Trial::with(MANIFEST, Config { limits: limits(60), ..Config::default() }).fault(lower);
    trial.exceeded = 1;
    (0..14).for_each(|shade| trial.project.write(&format!("ui/more-{shade}.png"), png(100 + shade)));
    assert_eq!(trial.document(100, 0)["in_sync"], true);
    trial.converge();
    let refused = trial.remote.control().counters().statuses.get(&429).copied().unwrap_or_default();
    assert!(refused <= 8, "at most what was on the wire: {refused}");
}

#[test]
fn a_key_that_is_revoked_midway_stops_everything_and_keeps_what_was_done() {
    let revoke = json!({"match": {"endpoint": "create_asset", "nth": [4]}, "action": {"kind": "revoke_key"}});
    let trial = Trial::new().fault(revoke);
    (0..30).for_each(|shade| trial.project.write(&format!("ui/more-{shade}.png"), png(100 + shade)));
    let ran = trial.run(30).expect(4);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(document["errors"][0]["hint"].is_string(), "{document:#}");
    let creates = trial.remote.requests(ApiEndpoint::CreateAsset);
    assert!(creates <= 4 + 8, "only what was on the wire went on: {creates}");
    assert!(trial.project.read("assets.lock.toml").contains("[assets"), "what was done is kept");
    trial.converge();
    assert_eq!(trial.remote.assets().len(), 33);
}

#[test]
fn a_sanctioned_account_stops_everything() {
    let script = json!({"match": {"endpoint": "create_asset", "nth": [2]}, "action": {"kind": "moderate_account"}});
    let trial = Trial::new().fault(script);
    (0..30).for_each(|shade| trial.project.write(&format!("ui/more-{shade}.png"), png(100 + shade)));
    let ran = trial.run(30).expect(4);
    assert!(ran.stdout.to_lowercase().contains("moderated"), "{}", ran.stdout);
    let creates = trial.remote.requests(ApiEndpoint::CreateAsset);
    assert!(creates <= 2 + 8, "only what was on the wire went on: {creates}");
    let owner = trial.remote.control().requests().iter().find_map(|request| request.owner).unwrap();
    trial.remote.control().moderate_account(owner, false);
    trial.converge();
}

#[test]
fn a_creator_without_permission_stops_only_its_own_assets() {
    let key = |creators: Creators| EmulatedKey {
        key: SECRET.to_owned(),
        name: "test".to_owned(),
        owner: Principal::User(1),
        read: true,
        write: true,
        creators,
        enabled: true,
        expires_at_ms: None,
    };
    let manifest = format!("{MANIFEST}creator = {{ group_id = 7 }}\n");
    let config = Config { limits: generous(), keys: vec![key(Creators::Owner)], ..Config::default() };
    // Introspected, the key would tell it before anything is sent.
    let hidden = json!({"match": {"endpoint": "introspect_key"}, "action": {"kind": "reply", "status": 404}});
    let trial = Trial::with(&manifest, config).fault(hidden);
    let document = trial.document(30, 1);
    assert_eq!(Trial::outcome(&document, "sword"), "failed");
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "done");
    assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3, "one refusal is enough for a run");
    trial.remote.control().put_key(key(Creators::All));
    trial.converge();
}
