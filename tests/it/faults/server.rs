//! The server: bursts of every 5xx, with and without commit; answers in another dialect; reads that
//! lag behind writes.

use std::time::Duration;

use macadam::emulator::{ApiEndpoint, Asset, Config, ForeignEdit};
use macadam::testing::cloud::Client;
use macadam::testing::cloud::Credential;
use macadam::testing::cloud::Failure;
use macadam::testing::cloud::Timeouts;
use macadam::testing::cloud::VersionList;
use macadam::testing::model::AssetId;
use serde_json::{Value, json};

use super::{MANIFEST, Trial, generous, hex, side_by_side, survive, survive_changing};
use crate::support::{SECRET, rbxmx};

/// Bursts of the errors that a gateway or a service in trouble answers with.
fn bursts(endpoint: &str) -> Vec<(&'static str, Value)> {
    let reply = |status: u16, shape: &str, commit: bool, times: u64| {
        let action = json!({"kind": "reply", "status": status, "shape": shape, "commit": commit});
        json!({"match": {"endpoint": endpoint}, "times": times, "action": action})
    };
    vec![
        ("500", reply(500, "service", false, 1)),
        ("500 after the commit", reply(500, "service", true, 1)),
        ("502 page", reply(502, "html", false, 1)),
        ("502 page after the commit", reply(502, "html", true, 1)),
        ("503", reply(503, "service", false, 4)),
        ("503 page after the commit", reply(503, "html", true, 1)),
        ("504", reply(504, "empty", false, 1)),
        ("504 after the commit", reply(504, "empty", true, 1)),
        ("400 page", reply(400, "html", false, 1)),
    ]
}

#[test]
fn errors_of_creates() {
    survive(&bursts("create_asset"));
}

#[test]
fn errors_of_updates() {
    survive_changing(&bursts("update_asset"));
}

#[test]
fn errors_of_polls_fail_no_upload() {
    side_by_side(&bursts("get_operation"), |script| {
        let trial = Trial::new().fault(script.clone());
        let document = trial.document(30, 0);
        assert_eq!(document["in_sync"], true);
        trial.converge();
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3, "an error while polling uploads nothing again");
    });
}

#[test]
fn a_throttled_create_is_never_doubled() {
    // A well-formed 503 is definite: nothing was carried out.
    let action = json!({"kind": "reply", "status": 503, "shape": "service"});
    let trial = Trial::new().fault(json!({"match": {"endpoint": "create_asset"}, "times": 4, "action": action}));
    assert_eq!(trial.document(30, 0)["in_sync"], true);
    trial.converge();
    assert_eq!(trial.events("in_doubt"), 0);
    assert_eq!(trial.remote.assets().len(), 3);
}

#[test]
fn one_bad_asset_blocks_no_other() {
    let script = json!([
        {"match": {"endpoint": "create_asset", "name": "a"}, "action": {"kind": "reply", "status": 400, "shape": "service", "message": "InvalidImage"}},
    ]);
    let trial = Trial::new().fault(script);
    let document = trial.document(15, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "failed");
    assert!(Trial::error(&document, "ui/a.png").contains("InvalidImage"), "{document:#}");
    assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
    assert_eq!(Trial::outcome(&document, "sword"), "done");
    trial.fired();
    trial.remote.control().clear_faults();
    // A refusal waits for a change, or for `retry`.
    let before = trial.remote.all_requests();
    trial.document(15, 1);
    assert_eq!(trial.remote.all_requests(), before);
    trial.project.run(&["retry", "ui/a.png"]).expect(0);
    trial.settle();
}

#[test]
fn an_update_whose_answer_is_lost_is_settled_by_looking() {
    let lost =
        json!({"match": {"endpoint": "update_asset", "nth": [1]}, "action": {"kind": "reset", "at": "after_commit"}});
    let trial = Trial::changed().fault(lost);
    assert_eq!(trial.document(30, 0)["in_sync"], true);
    trial.converge();
    assert_eq!(trial.events("possible_duplicate"), 0);
}

#[test]
fn reads_that_lag_behind_a_write_are_no_drift() {
    let stale = json!({"match": {"endpoint": "update_asset"}, "action": {"kind": "stale_reads", "for_ms": 1500}});
    let trial = Trial::changed().fault(stale);
    for content in ["three", "four"] {
        assert_eq!(trial.document(30, 0)["in_sync"], true);
        trial.project.write("models/sword.rbxmx", rbxmx(content));
    }
    trial.run(30);
    trial.converge();
}

#[test]
fn both_profiles_and_unknown_fields_and_values_are_understood() {
    let merge = json!({"moderationResult": {"moderationState": "Pondering"}, "newField": {"deep": [1, null]}, "state": "Frozen"});
    let script = json!([
        {"match": {"endpoint": "get_operation"}, "action": {"kind": "merge", "fields": {"newField": 1, "metadata": {"note": "hm"}}}},
        {"match": {"endpoint": "get_asset"}, "action": {"kind": "merge", "fields": merge}},
        {"match": {"endpoint": "create_asset"}, "action": {"kind": "merge", "fields": {"@type": "x", "progress": 0.5}}},
    ]);
    for profile in [macadam::emulator::Profile::Documented, macadam::emulator::Profile::Observed] {
        let config = Config { profile, limits: generous(), ..Config::default() };
        let trial = Trial::with(MANIFEST, config).fault(script.clone());
        assert_eq!(trial.document(30, 0)["in_sync"], true);
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        assert_eq!(trial.document(30, 0)["in_sync"], true);
        trial.converge();
    }
}

#[test]
fn version_pages_that_lead_in_a_circle_end_with_an_error() {
    let trial = Trial::new();
    trial.project.sync();
    let sword = sword(&trial).id;
    let asset_id = AssetId::new(sword).unwrap();
    // More versions than a page has.
    (0..60).for_each(|number| {
        let edit = ForeignEdit { content_hash: Some(format!("{number:064x}")), ..ForeignEdit::default() };
        trial.remote.control().edit(sword, &edit).unwrap();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let base = trial.remote.url().parse().unwrap();
    let client = Client::new(base, Credential::api_key(SECRET).unwrap(), Timeouts::default()).unwrap();
    let read_all = || {
        let mut list = VersionList::new(asset_id);
        runtime.block_on(async {
            while !list.is_complete() {
                client.list_versions(&mut list).await.result?;
            }
            Ok::<_, Failure>(list.versions().len())
        })
    };
    assert_eq!(read_all().unwrap(), 61);
    let trial = trial.fault(json!({"match": {"endpoint": "list_versions"}, "action": {"kind": "versions_loop"}}));
    let before = trial.remote.requests(ApiEndpoint::ListVersions);
    let failure = read_all().unwrap_err();
    assert!(failure.to_string().contains("lead in a circle"), "{failure}");
    assert!(trial.remote.requests(ApiEndpoint::ListVersions) - before <= 3, "the circle was walked once at most");
    trial.fired();
    trial.remote.control().clear_faults();
    assert_eq!(read_all().unwrap(), 61);
}

/// Its text was refused, and that stays so: the looks are spaced and counted without a back-off in
/// the state.
#[test]
fn an_update_that_never_arrived_yields_to_a_newer_file_also_where_a_text_was_refused() {
    let refuse = json!({"kind": "reply", "status": 400, "body": r#"{"code":"X","message":"no"}"#});
    let trial = Trial::new();
    trial.project.sync();
    trial.project.write("assets.toml", MANIFEST.replace("description = \"\"", "description = \"Sharp\""));
    let mut trial = trial.fault(json!({"match": {"endpoint": "update_asset"}, "action": refuse}));
    trial.document(10, 1);
    trial.fired();
    trial.remote.control().clear_faults();
    killed_at(&mut trial, "handed_over:1", "two");
    trial.project.write("models/sword.rbxmx", rbxmx("three"));
    let looks = trial.remote.requests(ApiEndpoint::GetAsset);
    trial.document(45, 0);
    let versions = sword(&trial).versions;
    let contents: Vec<&str> = versions.iter().map(|version| version.content.hash.as_str()).collect();
    assert_eq!(contents, ["one", "three"].map(|text| hex(rbxmx(text).as_bytes())));
    let looks = trial.remote.requests(ApiEndpoint::GetAsset) - looks;
    assert!(looks <= 20, "{looks}");
}

/// The second request may be stopped for as long as the first, so it is handed over like it.
#[test]
fn an_update_that_is_sent_again_is_handed_over_again() {
    let mut trial = Trial::new();
    trial.project.sync();
    for _ in 0..2 {
        killed_at(&mut trial, "handed_over:1", "two");
        assert_eq!(sword(&trial).versions.len(), 1, "its last byte never left");
    }
    trial.settle();
    assert_eq!(sword(&trial).versions.len(), 2);
}

/// A proxy may cut the answer of the first request and refuse the second one; the role in the group may
/// be gone by then.
#[test]
fn what_is_said_of_the_second_request_of_an_update_in_doubt_is_not_said_of_the_first() {
    let refusals = [
        ("no permission", 403, r#"{"code":"PERMISSION_DENIED","message":"no"}"#),
        ("a proxy", 403, "<html></html>"),
        ("no route", 404, "<html></html>"),
        ("the asset isn't found", 404, r#"{"code":"NOT_FOUND","message":"AssetId 1 is not found"}"#),
        ("the key", 401, r#"{"code":"UNAUTHENTICATED","message":"no"}"#),
        ("the content", 400, r#"{"code":"INVALID_ARGUMENT","message":"no"}"#),
    ];
    let cases = refusals.map(|(name, status, body)| (name, (status, body)));
    side_by_side(&cases, |(status, body)| {
        let trial = Trial::new();
        trial.project.sync();
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        let lost = json!({"kind": "reply", "status": 504, "shape": "empty", "commit": true});
        let refused = json!({"kind": "reply", "status": status, "body": body});
        let rule = |action: &Value| json!({"match": {"endpoint": "update_asset"}, "times": 1, "action": action});
        let trial = trial.fault(json!([rule(&lost), rule(&refused)]));
        let ended = trial.run(60);
        assert!([0, 1, 2, 4].contains(&ended.code), "{}", ended.stderr);
        trial.converge();
        let contents = sword(&trial).versions.into_iter().map(|version| version.content.hash);
        let expected = ["one", "two"].map(|text| hex(rbxmx(text).as_bytes()));
        assert_eq!(contents.collect::<Vec<_>>(), expected);
        assert_eq!(trial.events("made_elsewhere"), 0, "its own revision");
    });
}

#[test]
fn an_update_in_doubt_claims_no_revision_that_was_made_hours_later() {
    for content in ["two", "three"] {
        let mut trial = Trial::new();
        trial.project.sync();
        killed_at(&mut trial, "handed_over:1", "two");
        trial.project.pass(3 * 60);
        trial.remote.control().advance(Duration::from_secs(3 * 60 * 60));
        let theirs = "ab".repeat(32);
        let edit = ForeignEdit { content_hash: Some(theirs.clone()), ..ForeignEdit::default() };
        trial.remote.control().edit(sword(&trial).id, &edit).unwrap();
        trial.project.write("models/sword.rbxmx", rbxmx(content));
        let document = trial.document(20, 1);
        assert_eq!(Trial::outcome(&document, "sword"), "held", "{document:#}");
        assert_eq!(sword(&trial).versions.last().unwrap().content.hash, theirs, "overwritten");
        assert_eq!(trial.events("made_elsewhere"), 1);
    }
}

fn sword(trial: &Trial) -> Asset {
    let assets = trial.remote.assets();
    assets.into_iter().find(|report| report.asset.metadata.display_name == "Sword").unwrap().asset
}

/// The machine dies at this step of an update to this content.
fn killed_at(trial: &mut Trial, step: &'static str, content: &str) {
    trial.project.write("models/sword.rbxmx", rbxmx(content));
    trial.project.set_env("MACADAM_FAILPOINT", step);
    assert_eq!(trial.run(60).code, -1, "it was killed");
    trial.project.set_env("MACADAM_FAILPOINT", "");
}

#[test]
fn a_revision_made_elsewhere_is_held_and_not_overwritten() {
    let trial = Trial::new();
    trial.project.sync();
    let theirs = "ab".repeat(32);
    let edit = ForeignEdit { content_hash: Some(theirs.clone()), ..ForeignEdit::default() };
    trial.remote.control().edit(sword(&trial).id, &edit).unwrap();
    trial.project.write("models/sword.rbxmx", rbxmx("two"));
    trial.project.write("ui/b.png", crate::support::png(22));
    let document = trial.document(15, 1);
    assert_eq!(Trial::outcome(&document, "sword"), "held");
    assert!(Trial::error(&document, "sword").contains("revision 2 of asset"), "{document:#}");
    assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
    assert_eq!(sword(&trial).versions.last().unwrap().content.hash, theirs, "not overwritten");
    assert_eq!(trial.events("made_elsewhere"), 1);
}
