//! The network: connections refused, reset, closed, hanging, dripping; answers cut off and garbled.

use std::net::TcpListener;

use macadam::emulator::{ApiEndpoint, Config};
use serde_json::{Value, json};

use super::{MANIFEST, Trial, generous, survive, survive_changing};
use crate::support::Project;

/// The faults of a connection, on whatever `endpoint` answers.
fn of_connections(endpoint: &str) -> Vec<(&'static str, Value)> {
    let on = |action: Value, times: u64| json!({"match": {"endpoint": endpoint}, "times": times, "action": action});
    vec![
        ("reset before the body", on(json!({"kind": "reset", "at": "before_body"}), 2)),
        ("reset after the body", on(json!({"kind": "reset", "at": "after_body"}), 1)),
        ("reset after the commit", on(json!({"kind": "reset", "at": "after_commit"}), 1)),
        ("closed after the body", on(json!({"kind": "close", "at": "after_body"}), 1)),
        ("closed after the commit", on(json!({"kind": "close", "at": "after_commit"}), 1)),
        ("hangs before the body", on(json!({"kind": "hang", "at": "before_body"}), 1)),
        ("hangs after the body", on(json!({"kind": "hang", "at": "after_body"}), 1)),
        ("hangs after the commit", on(json!({"kind": "hang", "at": "after_commit"}), 1)),
        ("cut off", on(json!({"kind": "truncate"}), 1)),
        ("slow loris", on(json!({"kind": "drip", "interval_ms": 400}), 1)),
        ("a delay", on(json!({"kind": "delay", "before_commit_ms": 300, "before_reply_ms": 300}), 2)),
    ]
}

/// An answer with status 200 that can't be read, after the request was carried out or not.
fn unreadable(endpoint: &str, commit: bool) -> Vec<(&'static str, Value)> {
    let with = |shape: &str| {
        let action = json!({"kind": "reply", "status": 200, "shape": shape, "commit": commit});
        json!({"match": {"endpoint": endpoint}, "times": 1, "action": action})
    };
    ["html", "empty", "truncated_json", "garbage", "unknown_object"].map(|shape| (shape, with(shape))).to_vec()
}

#[test]
fn broken_connections_of_creates() {
    survive(&of_connections("create_asset"));
}

#[test]
fn broken_connections_of_updates() {
    survive_changing(&of_connections("update_asset"));
}

#[test]
fn broken_connections_of_polls_and_reads() {
    survive(&of_connections("get_operation"));
    let reads = of_connections("get_asset");
    survive_changing(&reads);
}

#[test]
fn unreadable_answers_to_creates() {
    let mut cases = [unreadable("create_asset", true), unreadable("create_asset", false)].concat();
    // A whole answer of Roblox's that says nothing is held for a person, see below.
    cases.retain(|(shape, _)| *shape != "unknown_object");
    survive(&cases);
}

#[test]
fn a_whole_answer_that_says_nothing_of_an_upload_is_held_and_never_sent_again() {
    for commit in [true, false] {
        let case =
            unreadable("create_asset", commit).into_iter().find(|(shape, _)| *shape == "unknown_object").unwrap();
        let trial = Trial::new().fault(case.1);
        let creates = (0..2).map(|_| {
            let document = trial.document(30, 1);
            assert_eq!(document["summary"]["hold"], 1, "{document:#}");
            trial.remote.requests(ApiEndpoint::CreateAsset)
        });
        assert_eq!(creates.collect::<Vec<_>>(), [3, 3]);
        trial.fired();
    }
}

#[test]
fn unreadable_answers_to_updates() {
    survive_changing(&[unreadable("update_asset", true), unreadable("update_asset", false)].concat());
}

#[test]
fn unreadable_answers_to_polls_and_reads() {
    survive(&unreadable("get_operation", true));
    survive_changing(&unreadable("get_asset", true));
}

#[test]
fn connections_reset_at_once_are_never_in_doubt() {
    let trial = Trial::new().fault(json!({"times": 4, "action": {"kind": "refuse"}}));
    // More than the system sends ahead, so that its last byte can't have left when the reset comes,
    // however late.
    for name in ["ui/a.png", "ui/b.png"] {
        trial.project.remove(name);
    }
    trial.project.write("models/sword.rbxmx", crate::support::rbxmx(&"x".repeat(8_000_000)));
    trial.run(60).expect(0);
    trial.converge();
    assert_eq!(trial.events("in_doubt"), 0);
}

#[test]
fn an_unreachable_remote_leaves_uploads_waiting_and_never_in_doubt() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let project = Project::new(MANIFEST).at(&format!("http://{port}"));
    project.write("ui/a.png", crate::support::png(1));
    project.write("models/sword.rbxmx", crate::support::rbxmx("one"));
    let (code, document) = project.json(&["sync", "--once", "--timeout", "3s"]);
    assert_eq!(code, 1, "{document:#}");
    assert_eq!(Trial::outcome(&document, "sword"), "waiting");
    let remote = crate::support::Remote::with(Config { listen: port, limits: generous(), ..Config::default() });
    let trial = Trial { remote, project, rules: Vec::new(), exceeded: 0 };
    trial.settle();
    assert_eq!(trial.remote.assets().len(), 2);
    assert_eq!(trial.events("in_doubt"), 0, "what was refused was never sent");
}

#[test]
fn a_name_that_can_not_be_found_is_never_sent() {
    // RFC 6761: nothing is ever found under `invalid`.
    let project = Project::new(MANIFEST).at("https://open-cloud.invalid");
    project.write("ui/a.png", crate::support::png(1));
    project.write("models/sword.rbxmx", crate::support::rbxmx("one"));
    let (code, document) = project.json(&["sync", "--once", "--timeout", "3s"]);
    assert_eq!(code, 1, "{document:#}");
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "waiting");
    assert!(!document.to_string().contains("two copies of it"), "{document:#}");
}
