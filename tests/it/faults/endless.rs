//! Operations that never end: how Macadam reports them, how a person gives one up, and one that
//! ends after all.

use serde_json::{Value, json};

use super::{Trial, side_by_side};
use crate::service::Service;
use crate::support::png;

/// Another picture, whose operation doesn't end, half an hour and more ago.
fn endless() -> (Trial, String) {
    let mut trial = Trial::new();
    trial.project.sync();
    let before: Vec<String> = trial.remote.control().operations().iter().map(|report| report.id.clone()).collect();
    let pending = |path: &str| json!({"match": {"endpoint": "get_operation", "path": path}, "action": {"kind": "reply", "status": 200, "body": "{\"done\":false}"}});
    trial = trial.fault(pending("operations"));
    trial.project.write("ui/late.png", png(50));
    assert_eq!(Trial::outcome(&trial.document(3, 1), "ui/late.png"), "waiting");
    let operations = trial.remote.control().operations();
    let id = operations.iter().map(|report| report.id.clone()).find(|id| !before.contains(id)).unwrap();
    trial.remote.control().clear_faults();
    let rule = serde_json::from_value(pending(&id)).unwrap();
    trial.remote.control().add_faults(vec![rule]).unwrap();
    trial.project.set_env("MACADAM_CLOCK_SHIFT", "7500");
    (trial, id)
}

fn row(trial: &Trial) -> Value {
    trial.project.json(&["status", "ui/late.png"]).1["assets"][0].clone()
}

/// Every asset of the picture at the remote, in the order in which they were made.
fn assets(trial: &Trial) -> Vec<u64> {
    let all = trial.remote.assets();
    let mut ids: Vec<u64> = all
        .iter()
        .filter(|report| report.asset.metadata.display_name == "late")
        .map(|report| report.asset.id)
        .collect();
    ids.sort_unstable();
    ids
}

fn known(trial: &Trial) {
    let lockfile = trial.project.read("assets.lock.toml");
    assets(trial).iter().for_each(|id| assert!(lockfile.contains(&id.to_string()), "{id} is lost:\n{lockfile}"));
}

#[test]
fn an_endless_operation_is_named_with_its_age_and_the_way_out() {
    let (trial, id) = endless();
    let row = row(&trial);
    assert_eq!(row["state"], "in_progress");
    assert!(row["hint"].as_str().unwrap().contains("macadam resolve ui/late.png --asset-id N"), "{row:#}");
    let told = trial.project.run(&["status"]).expect(0).stdout;
    assert!(told.contains("for 2 h"), "{told}");
    let planned = trial.project.run(&["plan", "--verbose"]).expect(0).stdout;
    assert!(planned.contains(&id) && planned.contains("for 2 h"), "{planned}");
    let ran = trial.project.run(&["sync", "--once", "--patience", "2s", "--timeout", "3s"]).expect(1);
    assert!(ran.stdout.contains("ui/late.png") && ran.stdout.contains("for 2 h"), "{}", ran.stdout);
    assert_eq!(trial.remote.assets().len(), 4, "it is not uploaded again by itself");
}

#[test]
fn a_changed_file_overtakes_an_endless_operation_whose_late_asset_is_recorded() {
    let (trial, _) = endless();
    trial.project.write("ui/late.png", png(51));
    let document = trial.document(20, 0);
    assert_eq!(Trial::outcome(&document, "ui/late.png"), "done", "{document:#}");
    let used = row(&trial)["asset_id"].as_u64().unwrap();
    assert_eq!((&row(&trial)["state"], &row(&trial)["possible_duplicates"]), (&json!("synced"), &json!(1)));
    let (_, history) = trial.project.json(&["history", "ui/late.png"]);
    assert!(history["events"].to_string().contains("possible_duplicate"), "{history:#}");
    // Also for a machine that has only the lockfile.
    trial.project.remove(".macadam");
    trial.document(20, 0);
    assert_eq!(row(&trial)["possible_duplicates"], 1);
    trial.remote.control().clear_faults();
    trial.document(20, 0);
    assert_eq!((row(&trial)["possible_duplicates"].as_u64(), row(&trial)["asset_id"].as_u64()), (Some(0), Some(used)));
    assert_eq!(assets(&trial).len(), 2);
    known(&trial);
    trial.settle();
}

#[test]
fn an_endless_operation_can_be_given_up_and_its_late_asset_is_no_surprise() {
    let (trial, _) = endless();
    trial.project.run(&["resolve", "ui/late.png", "--recreate"]).expect(0);
    trial.document(20, 0);
    assert_eq!((assets(&trial).len(), row(&trial)["possible_duplicates"].as_u64()), (2, Some(1)));
    assert_eq!(row(&trial)["state"], "synced");
    let used = row(&trial)["asset_id"].as_u64();
    trial.remote.control().clear_faults();
    trial.document(20, 0);
    assert_eq!((row(&trial)["possible_duplicates"].as_u64(), row(&trial)["asset_id"].as_u64()), (Some(0), used));
    known(&trial);
    let settled = trial.project.json(&["sync", "--once"]);
    assert_eq!((settled.0, &settled.1["actions"]), (0, &json!([])), "{:#}", settled.1);
}

#[test]
fn an_endless_operation_can_be_resolved_or_forgotten() {
    let (trial, _) = endless();
    let made = assets(&trial)[0].to_string();
    trial.project.run(&["resolve", "ui/late.png", "--asset-id", &made]).expect(0);
    trial.settle();
    assert_eq!(assets(&trial).len(), 1);
    let (trial, _) = endless();
    let (code, document) = trial.project.json(&["forget", "--yes", "ui/late.png"]);
    assert_eq!((code, document["possible_duplicates"].as_u64()), (0, Some(1)), "{document:#}");
}

#[test]
fn beside_a_service_an_endless_operation_yields_to_a_person_and_to_a_changed_file() {
    let cases = [("a changed file", None), ("a person", Some(["resolve", "ui/late.png", "--recreate"]))];
    side_by_side(&cases, |command| {
        let (trial, _) = endless();
        let service = Service::start(&trial.project, &["--interval", "10m"]);
        service.until("it is waited for", || row(&trial)["state"] == "in_progress");
        match command {
            Some(command) => drop(trial.project.run(command).expect(0)),
            None => trial.project.write("ui/late.png", png(51)),
        }
        service.until_synced("ui/late.png");
        service.end();
        assert_eq!((assets(&trial).len(), row(&trial)["possible_duplicates"].as_u64()), (2, Some(1)));
    });
}
