//! Files that get another name or other bytes while their asset is on its way: nothing is doubled,
//! and no other person is blamed.

use macadam::emulator::{ApiEndpoint, Config, EndpointLimits, FaultAction, FaultRule, LatencyModel, Limit, Point};

use super::service::{Service, start};
use super::support::{Project, Remote, png, rbxmx};

/// A slow remote, and a service that is in sync with it.
fn slow(operation_ms: u64) -> (Remote, Project) {
    let (remote, project) = start(Config::default());
    project.sync();
    let slow = FaultAction::Delay { before_commit_ms: 0, before_reply_ms: operation_ms };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, slow)]).unwrap();
    (remote, project)
}

fn rename(project: &Project, from: &str, to: &str) {
    std::fs::rename(project.file(from), project.file(to)).unwrap();
}

#[test]
fn renaming_during_an_upload_keeps_the_asset() {
    let (remote, project) = slow(3_000);
    let service = Service::start(&project, &[]);
    project.write("ui/new.png", png(5));
    project.write("models/new.rbxmx", rbxmx("new"));
    service.until("both are on the wire", || remote.requests(ApiEndpoint::CreateAsset) == 4);
    rename(&project, "ui/new.png", "ui/renamed.png");
    rename(&project, "models/new.rbxmx", "models/renamed.rbxmx");
    service.until_synced("ui/renamed.png");
    service.until_synced("models/renamed.rbxmx");
    service.end();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (4, 4));
}

#[test]
fn renaming_before_the_lockfile_is_written_keeps_the_asset() {
    let (remote, project) = slow(0);
    // Its upload keeps the lockfile waiting.
    let slow = FaultAction::Delay { before_commit_ms: 3_000, before_reply_ms: 0 };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::UpdateAsset, slow)]).unwrap();
    let service = Service::start(&project, &[]);
    project.write("models/sword.rbxmx", rbxmx("a longer sword"));
    service.until("the update is on the wire", || remote.requests(ApiEndpoint::UpdateAsset) == 1);
    project.write("models/new.rbxmx", rbxmx("new"));
    service.until("it is made", || service.log().contains("uploaded address=models/new.rbxmx"));
    rename(&project, "models/new.rbxmx", "models/renamed.rbxmx");
    service.until_synced("models/renamed.rbxmx");
    service.end();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (3, 3));
}

#[test]
fn renaming_after_a_kill_takes_the_operation_along() {
    let (remote, project) = start(Config::default());
    remote.control().set_latency(LatencyModel::Fixed(2_000));
    let mut service = Service::start(&project, &[]);
    service.until("both are accepted", || remote.control().operations().len() == 2);
    service.until("the operations are written down", || service.state_of("ui/a.png") == "in_progress");
    service.kill();
    rename(&project, "ui/a.png", "ui/renamed.png");
    rename(&project, "models/sword.rbxmx", "models/renamed.rbxmx");
    project.sync();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (2, 2));
}

#[test]
fn a_queued_upload_whose_file_is_gone_is_not_sent() {
    // One create a window: of two the second waits for a whole one.
    let mut limits = EndpointLimits { window_ms: 6_000, ..EndpointLimits::default() };
    limits.endpoints.insert(ApiEndpoint::CreateAsset, Limit::of(1));
    let (remote, project) = start(Config { limits, ..Config::default() });
    project.remove("models/sword.rbxmx");
    project.sync();
    let service = Service::start(&project, &[]);
    project.write("ui/y.png", png(6));
    project.write("ui/z.png", png(7));
    service.until("the first is sent", || remote.requests(ApiEndpoint::CreateAsset) >= 2);
    rename(&project, "ui/z.png", "ui/zz.png");
    service.until_synced("ui/zz.png");
    service.until_synced("ui/y.png");
    service.end();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (3, 3));
}

#[test]
fn an_update_whose_answer_is_lost_is_not_taken_for_drift() {
    let (remote, project) = start(Config::default());
    remote.control().set_latency(LatencyModel::Fixed(2_500));
    project.sync();
    let service = Service::start(&project, &[]);
    let lost = FaultRule::on(ApiEndpoint::UpdateAsset, FaultAction::Reset { at: Point::AfterCommit });
    remote.control().add_faults(vec![lost.times(1)]).unwrap();
    project.write("models/sword.rbxmx", rbxmx("a longer sword"));
    service.until("its second revision", || remote.assets().iter().any(|report| report.asset.versions.len() == 2));
    service.until_synced("models/sword.rbxmx");
    let log = service.end();
    assert!(!log.contains("outside of Macadam"), "{log}");
    assert!(remote.assets().iter().all(|report| report.asset.versions.len() <= 2), "equal bytes make no version");
}

#[test]
fn an_observation_during_an_update_is_not_taken_for_drift() {
    let (remote, project) = start(Config::default());
    project.sync();
    remote.control().set_latency(LatencyModel::Fixed(3_000));
    project.write("models/sword.rbxmx", rbxmx("a longer sword"));
    project.run(&["sync", "--once", "--timeout", "1s"]).expect(1);
    let updated = || remote.assets().iter().any(|report| report.asset.versions.len() == 2);
    while !updated() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (code, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!((code, &document["in_sync"]), (0, &true.into()), "{document:#}");
    let (_, document) = project.json(&["history", "models/sword.rbxmx"]);
    assert_eq!(document["events"], serde_json::json!([]));
    assert_eq!(document["revisions"][1]["action"], "update_content");
}

#[test]
fn a_manifest_that_breaks_while_git_works_does_not_end_the_service() {
    let (remote, project) = start(Config::default());
    project.write(".git/index.lock", "");
    let service = Service::start(&project, &[]);
    let manifest = project.read("assets.toml");
    project.write("assets.toml", format!("{manifest}\nbroken = = 1\n"));
    project.remove(".git/index.lock");
    service.says("still using the last good version");
    service.until("it goes on by that one", || remote.assets().len() == 2);
    project.write("assets.toml", manifest);
    service.says("the manifest is valid again");
    service.end();
}

/// Its outcome isn't known yet, and nothing failed.
#[test]
fn an_upload_that_a_service_is_sending_is_shown_as_under_way() {
    let (remote, project) = start(Config::default());
    project.remove("models/sword.rbxmx");
    let never = FaultAction::Hang { at: Point::AfterBody };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, never)]).unwrap();
    let service = Service::start(&project, &[]);
    service.until("it is on the wire", || remote.requests(ApiEndpoint::CreateAsset) == 1);
    let (_, plan) = project.json(&["plan"]);
    let action = &plan["actions"][0];
    assert_eq!((&action["action"], &action["code"]), (&"wait".into(), &"under_way".into()), "{plan:#}");
    assert_eq!((&plan["actions"][1], &plan["notes"]), (&serde_json::Value::Null, &serde_json::json!([])), "{plan:#}");
    let (_, status) = project.json(&["status", "ui/a.png"]);
    let row = &status["assets"][0];
    assert_eq!((&row["state"], &row["error"]), (&"in_progress".into(), &serde_json::Value::Null), "{status:#}");
}

/// What is sent is not yet at Roblox: a server that hangs is told from one that works.
#[test]
fn an_upload_without_an_answer_is_told_as_that() {
    let (remote, project) = start(Config::default());
    project.sync();
    let hang = FaultAction::Hang { at: Point::AfterBody };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, hang)]).unwrap();
    let mut service = Service::start(&project, &[]);
    project.write("ui/new.png", png(5));
    service.until("it is sent", || service.state_of("ui/new.png") == "in_progress");
    let status = || project.run(&["status", "ui/new.png"]).expect(0).stdout;
    assert!(!status().contains("hasn't answered"), "{}", status());
    project.pass(1);
    assert!(status().contains("and Roblox hasn't answered yet"), "{}", status());
    service.kill();
}
