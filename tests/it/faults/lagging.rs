//! Requests whose answers are lost while Roblox's reads lag behind its writes: a read that may be
//! older doesn't settle them.

use std::time::Duration;

use macadam::emulator::{ApiEndpoint, AssetReport};
use serde_json::json;

use super::Trial;
use crate::support::{Project, rbxmx};

/// The asset that was made of a file of this name.
fn asset(trial: &Trial, name: &str) -> AssetReport {
    let assets = trial.remote.assets();
    assets.into_iter().find(|report| report.asset.metadata.display_name == name).unwrap()
}

/// From now on reads show each asset as it was before its last change, for a minute.
fn stale(trial: Trial) -> Trial {
    let trial = patient(trial);
    pass(&trial, 3);
    trial.fault(json!({"action": {"kind": "stale_reads", "for_ms": 60_000}}))
}

/// Uses the timeouts of production.
fn patient(mut trial: Trial) -> Trial {
    trial.project.set_env("MACADAM_REST", "120");
    trial
}

/// Minutes pass, here and at Roblox.
fn pass(trial: &Trial, minutes: u32) {
    trial.project.pass(minutes.into());
    trial.remote.control().advance(Duration::from_secs(60 * u64::from(minutes)));
}

/// The answer to one of the next requests to an endpoint is lost.
fn lost(trial: Trial, (endpoint, nth): (&str, u64), commit: bool) -> Trial {
    let reply = json!({"kind": "reply", "status": 502, "shape": "html", "commit": commit});
    trial.fault(json!({"match": {"endpoint": endpoint, "nth": [nth]}, "action": reply}))
}

#[test]
fn an_archive_whose_answer_is_lost_is_not_taken_as_done_by_an_older_read() {
    let trial = Trial::new();
    trial.project.sync();
    trial.project.run(&["archive", "ui/a.png"]).expect(0);
    let trial = stale(lost(trial, ("archive_asset", 1), false));
    trial.project.run(&["restore", "ui/a.png"]).expect(0);
    // Reads still show it archived; the next request for that is not carried out.
    trial.project.run(&["archive", "ui/a.png"]).expect(0);
    assert!(asset(&trial, "a").asset.archived);
    assert_eq!(trial.remote.requests(ApiEndpoint::ArchiveAsset), 3);
    trial.fired();
}

#[test]
fn an_archive_that_roblox_refuses_to_repeat_is_done() {
    let trial = Trial::new();
    trial.project.sync();
    trial.remote.control().set_switch("archive_again", "bad_request").unwrap();
    let trial = patient(lost(trial, ("archive_asset", 1), true));
    trial.project.run(&["archive", "ui/a.png"]).expect(0);
    assert_eq!(trial.remote.requests(ApiEndpoint::ArchiveAsset), 2);
    let (_, status) = trial.project.json(&["status", "ui/a.png"]);
    assert_eq!(status["assets"][0]["state"], "archived", "{status:#}");
    trial.fired();
}

#[test]
fn a_name_whose_answer_is_lost_is_not_taken_as_stored_by_an_older_read() {
    let manifest = |name: &str| {
        format!("[creator]\nuser_id = 1\n\n[assets.pic]\npath = \"ui/a.png\"\ndisplay_name = \"{name}\"\n")
    };
    let trial = Trial::with(&manifest("first"), macadam::emulator::Config::default());
    trial.project.sync();
    let trial = stale(lost(trial, ("update_asset", 2), false));
    trial.project.write("assets.toml", manifest("second"));
    trial.project.sync();
    // Reads still show the first name; the request that would bring it back is not carried out.
    trial.project.write("assets.toml", manifest("first"));
    trial.project.sync();
    trial.fired();
    assert_eq!(trial.remote.assets()[0].asset.metadata.display_name, "first");
    assert_eq!(trial.remote.requests(ApiEndpoint::UpdateAsset), 3);
}

#[test]
fn a_rollback_whose_answer_is_lost_is_not_sent_again_because_of_an_older_read() {
    let trial = Trial::new();
    trial.remote.control().set_switch("rollback", "new_version").unwrap();
    trial.project.sync();
    trial.project.write("models/sword.rbxmx", rbxmx("two"));
    trial.project.sync();
    let mut trial = stale(trial);
    trial.project.run(&["pin", "sword", "1", "--no-sync"]).expect(0);
    trial.project.set_env("MACADAM_FAILPOINT", "answered:1");
    assert_eq!(trial.project.run(&["sync", "--once"]).code, -1, "it was killed");
    trial.project.set_env("MACADAM_FAILPOINT", "");
    let (code, document) = trial.project.json(&["sync", "--once", "--timeout", "4s"]);
    assert_eq!(code, 1, "{document:#}");
    trial.remote.control().clear_faults();
    pass(&trial, 6);
    let (code, document) = trial.project.json(&["sync", "--once", "--timeout", "20s"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(trial.remote.requests(ApiEndpoint::RollbackAsset), 1);
    assert_eq!(asset(&trial, "Sword").asset.versions.len(), 3, "rolled back once");
}

#[test]
fn a_rollback_that_roblox_refuses_to_repeat_is_done() {
    let trial = Trial::new();
    trial.remote.control().set_switch("rollback", "repoint").unwrap();
    trial.remote.control().set_switch("rollback_to_current", "bad_request").unwrap();
    trial.project.sync();
    trial.project.write("models/sword.rbxmx", rbxmx("two"));
    trial.project.sync();
    // Another machine, whose lockfile doesn't say that the revision is current already.
    let other = Project::new(&trial.project.read("assets.toml")).at(&trial.remote.url());
    for path in ["ui/a.png", "ui/b.png", "models/sword.rbxmx", "assets.lock.toml"] {
        other.write(path, std::fs::read(trial.project.file(path)).unwrap());
    }
    for project in [&trial.project, &other] {
        project.run(&["pin", "sword", "1"]).expect(0);
        let (_, status) = project.json(&["status", "sword"]);
        assert_eq!(status["assets"][0]["state"], "pinned", "{status:#}");
    }
}
