//! Uploads whose outcome is unknown: how long they rest, what is held at once, and how a person
//! settles them.

use macadam::emulator::{ApiEndpoint, Config};
use serde_json::{Value, json};

use super::{MANIFEST, Trial, generous};
use crate::support::png;

fn lost(name: &str, times: u64) -> Value {
    json!({"match": {"endpoint": "create_asset", "name": name}, "times": times, "action": {"kind": "reset", "at": "after_commit"}})
}

fn copies(trial: &Trial, name: &str) -> usize {
    trial.remote.assets().iter().filter(|report| report.asset.metadata.display_name == name).count()
}

fn possible(trial: &Trial, address: &str) -> u64 {
    let (_, status) = trial.project.json(&["status", address]);
    status["assets"][0]["possible_duplicates"].as_u64().unwrap()
}

#[test]
fn an_upload_whose_answer_was_lost_rests_for_a_minute_across_runs() {
    let mut trial = Trial::new().fault(lost("a", 100));
    trial.project.set_env("MACADAM_REST", "60");
    for _ in 0..3 {
        let document = trial.document(3, 1);
        assert_eq!(Trial::outcome(&document, "ui/a.png"), "waiting", "{document:#}");
        assert_ne!(Trial::outcome(&document, "ui/b.png"), "failed", "{document:#}");
        assert_eq!(copies(&trial, "a"), 1, "a few bad seconds cost one copy at most");
    }
    trial.project.set_env("MACADAM_CLOCK_SHIFT", "61");
    assert_eq!(possible(&trial, "ui/a.png"), 0, "it is due, and was not sent again yet");
    trial.converge();
    assert_eq!((copies(&trial, "a"), possible(&trial, "ui/a.png")), (2, 1));
}

#[test]
fn nothing_is_sent_again_before_roblox_answers_something_well() {
    let down = json!([
        lost("a", 1),
        {"match": {"endpoint": "introspect_key"}, "action": {"kind": "reply", "status": 500}},
        {"match": {"endpoint": "get_asset"}, "action": {"kind": "reply", "status": 500}},
    ]);
    let trial = Trial::new();
    trial.project.remove("ui/b.png");
    trial.project.write("assets.toml", MANIFEST.split("[assets").next().unwrap());
    let trial = trial.fault(down);
    let document = trial.document(8, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "waiting", "{document:#}");
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 1);
    trial.remote.control().clear_faults();
    trial.settle();
    assert_eq!(copies(&trial, "a"), 2);
}

/// The asset that is fetched to see whether Roblox has recovered may be any.
#[test]
fn a_failed_look_for_recovery_sends_no_refused_file_of_another_address() {
    let refuse = json!({"match": {"endpoint": "create_asset", "name": "a"}, "action": {"kind": "reply", "status": 400, "body": r#"{"code":"X","message":"no"}"#}});
    let down = json!([
        {"match": {"endpoint": "create_asset", "name": "c"}, "times": 1, "action": {"kind": "reset", "at": "after_body"}},
        {"match": {"endpoint": "get_asset"}, "action": {"kind": "reply", "status": 500}},
    ]);
    let trial = Trial::new();
    trial.project.write("assets.toml", MANIFEST.split("[assets").next().unwrap());
    trial.project.sync();
    let trial = trial.fault(refuse);
    trial.project.write("ui/a.png", png(11));
    trial.document(10, 1);
    let creates = trial.remote.requests(ApiEndpoint::CreateAsset);
    trial.project.write("ui/c.png", png(3));
    let trial = trial.fault(down);
    for _ in 0..2 {
        let document = trial.document(6, 1);
        assert_eq!(Trial::outcome(&document, "ui/c.png"), "waiting", "{document:#}");
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), creates + 1, "the refused file was sent again");
    }
    trial.fired();
    trial.remote.control().clear_faults();
    trial.document(20, 1);
    assert_eq!((trial.remote.requests(ApiEndpoint::CreateAsset), copies(&trial, "c")), (creates + 2, 1));
}

/// Tells for each held address which asset it became, as a person does.
fn resolve_all(trial: &Trial) {
    let (_, status) = trial.project.json(&["status"]);
    for row in status["assets"].as_array().unwrap().iter().filter(|row| row["state"] == "held") {
        let address = row["address"].as_str().unwrap();
        let stem = std::path::Path::new(address).file_stem().unwrap().to_str().unwrap();
        let name = if address == "sword" { "Sword" } else { stem };
        let assets = trial.remote.assets();
        let id = assets.iter().find(|report| report.asset.metadata.display_name == name).unwrap().asset.id.to_string();
        trial.project.run(&["resolve", address, "--asset-id", &id]).expect(0);
    }
}

#[test]
fn uploads_that_end_without_a_readable_result_are_held_and_never_sent_again() {
    let body = "{\"done\":true,\"response\":{\"path\":\"assets/unknown\"}}";
    let junk =
        json!({"match": {"endpoint": "get_operation"}, "action": {"kind": "reply", "status": 200, "body": body}});
    let trial = Trial::new().fault(junk);
    for _ in 0..2 {
        let document = trial.document(30, 1);
        assert_eq!(document["summary"]["hold"], 3, "{document:#}");
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
    }
    trial.fired();
    trial.remote.control().clear_faults();
    // A machine without a state holds them too.
    trial.project.remove(".macadam");
    trial.document(30, 1);
    resolve_all(&trial);
    trial.settle();
    assert_eq!(trial.remote.assets().len(), 3, "nothing was made twice");
}

#[test]
fn several_results_in_a_row_that_can_not_be_read_stop_uploads() {
    let action = json!({"kind": "reply", "status": 200, "commit": true, "body": "{\"asset\":{\"number\":1}}"});
    let trial = Trial::new().fault(json!({"match": {"endpoint": "create_asset"}, "action": action}));
    (0..20).for_each(|shade| trial.project.write(&format!("ui/more-{shade}.png"), png(100 + shade)));
    let ran = trial.project.run(&["sync", "--once", "--json", "--uploads", "1", "--timeout", "30s"]).expect(1);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(trial.remote.assets().len(), 3, "{document:#}");
    assert!(document.to_string().contains("can't be understood"), "{document:#}");
    trial.fired();
    trial.remote.control().clear_faults();
    resolve_all(&trial);
    trial.settle();
    assert_eq!(trial.remote.assets().len(), 23, "nothing was made twice");
}

#[test]
fn a_possible_duplicate_survives_the_state_and_a_rename() {
    let trial = Trial::with(MANIFEST, Config { limits: generous(), ..Config::default() }).fault(lost("a", 1));
    trial.document(60, 0);
    trial.fired();
    trial.remote.control().clear_faults();
    assert_eq!((copies(&trial, "a"), possible(&trial, "ui/a.png")), (2, 1));
    assert!(trial.project.read("assets.lock.toml").contains("possible_duplicates"));
    trial.project.remove(".macadam");
    assert_eq!(possible(&trial, "ui/a.png"), 1, "the lockfile alone says so");
    std::fs::rename(trial.project.file("ui/a.png"), trial.project.file("ui/renamed.png")).unwrap();
    trial.project.sync();
    assert_eq!(possible(&trial, "ui/renamed.png"), 1);
    // The other copy is found, and recorded beside the one that is used.
    let (_, status) = trial.project.json(&["status", "ui/renamed.png"]);
    let used = status["assets"][0]["asset_id"].as_u64().unwrap();
    let assets = trial.remote.assets();
    let other = assets.iter().find(|r| r.asset.metadata.display_name == "a" && r.asset.id != used).unwrap().asset.id;
    let told = trial.project.run(&["resolve", "ui/renamed.png", "--asset-id", &other.to_string()]).expect(0).stdout;
    let second = format!("asset {other} is the second copy of ui/renamed.png, which keeps using asset {used}");
    assert!(told.contains(&second), "{told}");
    assert_eq!(possible(&trial, "ui/renamed.png"), 0);
    assert!(trial.project.read("assets.lock.toml").contains(&other.to_string()));
    let (_, status) = trial.project.json(&["status", "ui/renamed.png"]);
    assert_eq!(status["assets"][0]["asset_id"].as_u64(), Some(used), "{status:#}");
    trial.project.run(&["resolve", "ui/renamed.png", "--no-duplicate"]).expect(1);
}

#[test]
fn a_person_can_say_that_there_is_no_duplicate() {
    let trial = Trial::new().fault(json!({"match": {"endpoint": "create_asset", "name": "a"}, "times": 1, "action": {"kind": "reset", "at": "after_body"}}));
    trial.document(60, 0);
    assert_eq!(possible(&trial, "ui/a.png"), 1);
    // Nothing waits for an upload, so it can't be sent again; and the only asset there is no second one.
    let (_, status) = trial.project.json(&["status", "ui/a.png"]);
    let used = status["assets"][0]["asset_id"].to_string();
    for wrong in [&["--recreate"][..], &["--asset-id", &used]] {
        let said = trial.project.run(&[&["resolve", "ui/a.png"], wrong].concat()).expect(1).stderr;
        let proposes = (said.contains("`macadam resolve ui/a.png --no-duplicate`"), said.contains("--recreate"));
        assert_eq!(proposes, (true, false), "{wrong:?}: {said}");
    }
    let told = trial.project.run(&["resolve", "ui/a.png", "--no-duplicate"]).expect(0).stdout;
    assert!(told.contains("there is no second copy of ui/a.png"), "{told}");
    assert_eq!(possible(&trial, "ui/a.png"), 0);
    trial.project.remove(".macadam");
    assert_eq!(possible(&trial, "ui/a.png"), 0, "the lockfile says so too");
    trial.project.sync();
    trial.fired();
    assert_eq!(trial.remote.assets().len(), 3);
}
