//! The state is lost with the machine, and only the lockfile is left.
//!
//! Assets in the lockfile are never uploaded again, open work in it is resumed, and held uploads
//! stay held. Macadam writes the lockfile at most 5 s after an outcome; an upload that was handed
//! over later is lost, and its content is uploaded again. No journal can change that when its disk
//! is gone.

use macadam::emulator::{ApiEndpoint, FaultAction, OperationFault, Point};

use super::points::{IMAGES, MODELS, move_the_point, shade};
use super::stage::{Stage, action, hash, wait_until};
use crate::support::system::Signal;
use crate::support::{png, rbxmx};

#[test]
fn an_upload_that_the_lockfile_knows_is_not_repeated() {
    move_the_point(|stage, point| {
        let stage = stage.get_or_insert_with(|| {
            let mut stage = Stage::new(IMAGES);
            stage.write("ui/a.png", png(0));
            stage.converge();
            stage
        });
        let content = png(shade(point));
        stage.write("ui/a.png", &content);
        let ended = stage.crash(&point.to_string());
        stage.quiet();
        let made = stage.copies(&content);
        let known = stage.project.read("assets.lock.toml").contains(&hash(&content));
        stage.lose_the_state();
        stage.converge();
        stage.audit();
        // Only uploads that the lockfile lacks are repeated.
        assert_eq!(stage.copies(&content), if known { 1 } else { made + 1 }, "point {point}");
        ended.map(|ran| ran.expect(0)).is_some()
    });
}

#[test]
fn a_model_keeps_its_asset_and_an_unknown_revision_is_held() {
    let (mut updated, mut held) = (false, false);
    for point in ["handed_over:1", "answered:1", "accepted:1", "settled:1", "lockfile_written:1"] {
        let mut stage = Stage::new(MODELS);
        stage.write("models/a.rbxmx", rbxmx("one"));
        stage.converge();
        stage.write("models/a.rbxmx", rbxmx("two"));
        assert!(stage.crash(point).is_none(), "{point}");
        stage.quiet();
        // An update's version appears when its operation ends.
        wait_until("the operations to end", || stage.remote.control().operations().iter().all(|one| one.done));
        let versions = stage.remote.assets()[0].asset.versions.len();
        let known = stage.project.read("assets.lock.toml").contains(&hash(rbxmx("two").as_bytes()));
        stage.lose_the_state();
        let (code, document) = stage.project.json(&["sync", "--once"]);
        if known || versions == 1 {
            assert_eq!(code, 0, "{point}: {document:#}");
            stage.audit();
            updated = true;
        } else {
            // It may be a deploy from elsewhere: that nobody here knows better is what the lost
            // state costs.
            assert_eq!(code, 1, "{point}: {document:#}");
            assert_eq!(action(&document, "models/a.rbxmx")["outcome"], "held", "{point}: {document:#}");
            assert_eq!(stage.remote.assets()[0].asset.versions.len(), versions, "{point}: nothing is overwritten");
            held = true;
        }
        assert_eq!(stage.remote.assets().len(), 1, "{point}: a model keeps its asset");
    }
    assert!(updated && held);
}

#[test]
fn an_operation_is_resumed_on_another_machine() {
    let mut stage = Stage::new(IMAGES);
    stage.write("ui/a.png", png(1));
    let stuck = stage.fault(ApiEndpoint::CreateAsset, FaultAction::Operation(OperationFault::Stuck { for_ms: None }));
    let mut run = stage.spawn();
    wait_until("a poll", || stage.remote.requests(ApiEndpoint::GetOperation) > 0);
    run.send(Signal::TERM);
    run.end().unwrap().expect(143);
    assert_eq!(stage.remote.control().fired(stuck), 1);
    let lockfile = stage.lockfile();
    assert!(lockfile["assets"]["ui/a.png"]["open"][0].get("operation").is_some(), "{lockfile}");

    stage.lose_the_state();
    stage.remote.control().clear_faults();
    stage.converge();
    stage.audit();
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), 1);
    assert_eq!(stage.copies(&png(1)), 1);
}

#[test]
fn a_held_upload_stays_held_on_another_machine() {
    let mut stage = Stage::new(&format!("{IMAGES}[policy]\nambiguous_create = \"hold\"\n"));
    stage.write("ui/a.png", png(1));
    assert!(stage.crash("answered:1").is_none());
    stage.project.run(&["sync", "--once"]).expect(1);
    stage.lose_the_state();
    let (code, document) = stage.project.json(&["sync", "--once"]);
    assert_eq!((code, action(&document, "ui/a.png")["outcome"].as_str()), (1, Some("held")), "{document:#}");
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), 1);
    let made = stage.remote.assets()[0].asset.id.to_string();
    stage.project.run(&["resolve", "ui/a.png", "--asset-id", &made]).expect(0);
    stage.converge();
    stage.audit();
    assert_eq!(stage.copies(&png(1)), 1);
}

/// Once only the state had the count: every machine without a state made two more copies.
#[test]
fn doubts_in_a_row_are_counted_across_machines() {
    let mut stage = Stage::new(IMAGES);
    stage.write("ui/a.png", png(1));
    let hang = stage.fault(ApiEndpoint::CreateAsset, FaultAction::Hang { at: Point::AfterCommit });
    for doubts in 0..3 {
        let mut run = stage.spawn_with(&["--patience", "2s"]);
        wait_until("the create to hang", || stage.remote.control().fired(hang) > doubts);
        // The first signal waits for the wire, which gives up: the create is in doubt, and nothing
        // is sent again by this machine.
        run.send(Signal::TERM);
        // After the third, only a person can decide.
        run.end().unwrap().expect(if doubts < 2 { 143 } else { 1 });
        let open = stage.lockfile()["assets"]["ui/a.png"]["open"].clone();
        let counted = open[0].get("doubts").and_then(toml::Value::as_integer).unwrap_or(0);
        assert_eq!(u64::try_from(counted).unwrap(), doubts, "{open}");
        stage.lose_the_state();
    }
    stage.remote.control().clear_faults();
    let (code, document) = stage.project.json(&["sync", "--once"]);
    assert_eq!((code, action(&document, "ui/a.png")["outcome"].as_str()), (1, Some("held")), "{document:#}");
    assert!(document.to_string().contains("its last 3 uploads"), "{document:#}");
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), 3);
    assert_eq!(stage.copies(&png(1)), 3);
    let made = stage.remote.assets()[0].asset.id.to_string();
    stage.project.run(&["resolve", "ui/a.png", "--asset-id", &made]).expect(0);
    stage.converge();
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), 3);
    assert!(!stage.project.read("assets.lock.toml").contains("doubts"), "settled");
}
