//! Ending in order: the first signal lets requests finish, the second ends at once; a stopped
//! process continues; a second process stays out.

use std::time::Duration;

use macadam::emulator::{ApiEndpoint, FaultAction, OperationFault, Point};

use super::points::IMAGES;
use super::stage::{Stage, wait_until};
use crate::support::png;
use crate::support::system::Signal;

const STUCK: FaultAction = FaultAction::Operation(OperationFault::Stuck { for_ms: None });

fn images(count: u8) -> Stage {
    let mut stage = Stage::new(IMAGES);
    (0..count).for_each(|shade| stage.write(&format!("ui/{shade}.png"), png(shade)));
    stage
}

/// After an end in order nothing is in doubt, so nothing is doubled.
#[track_caller]
fn goes_on(stage: &mut Stage, count: usize) {
    stage.remote.control().clear_faults();
    let open = stage.examine_the_dead();
    assert!(!open.iter().any(|open| open.is_create_in_doubt()), "{open:?}");
    stage.recover(&open);
    assert_eq!(stage.remote.assets().len(), count);
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), count);
}

#[test]
fn sigterm_lets_uploads_finish() {
    let mut stage = images(12);
    let delay = FaultAction::Delay { before_commit_ms: 300, before_reply_ms: 300 };
    let slow = stage.fault(ApiEndpoint::CreateAsset, delay);
    let mut run = stage.spawn();
    // The first request goes alone, so several are on the wire after the second.
    wait_until("uploads", || stage.remote.requests(ApiEndpoint::CreateAsset) > 1);
    run.send(Signal::TERM);
    run.end().unwrap().expect(143);
    assert!(stage.remote.control().fired(slow) > 1);
    assert_eq!(stage.remote.control().counters().unanswered, 0, "what was on the wire was finished");
    assert!(stage.remote.assets().len() < 12, "nothing more was begun");
    goes_on(&mut stage, 12);
}

#[test]
fn sigint_leaves_operations_to_the_next_run() {
    let mut stage = images(3);
    stage.fault(ApiEndpoint::CreateAsset, STUCK);
    let mut run = stage.spawn();
    wait_until("a poll", || stage.remote.requests(ApiEndpoint::GetOperation) > 0);
    run.send(Signal::INT);
    let ran = run.end().unwrap().expect(130);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["in_sync"], false, "{document:#}");
    goes_on(&mut stage, 3);
}

#[test]
fn a_second_sigint_ends_at_once() {
    let mut stage = images(1);
    let hang = stage.fault(ApiEndpoint::CreateAsset, FaultAction::Hang { at: Point::AfterCommit });
    let mut run = stage.spawn();
    wait_until("the upload to hang", || stage.remote.control().fired(hang) > 0);
    run.send(Signal::INT);
    std::thread::sleep(Duration::from_millis(300));
    assert!(run.is_running(), "the first signal waits for the wire");
    // Two signals that come together are one to the kernel, so the second is repeated.
    while run.is_running() {
        run.send(Signal::INT);
        std::thread::sleep(Duration::from_millis(50));
    }
    run.end().unwrap().expect(130);
    stage.remote.control().clear_faults();
    let open = stage.examine_the_dead();
    assert!(open.iter().all(|open| open.is_create_in_doubt()) && open.len() == 1, "{open:?}");
    stage.recover(&open);
    assert_eq!(stage.remote.assets().len(), 2, "it was made, and nobody could know");
}

#[test]
#[cfg_attr(windows, ignore = "no such signal")]
fn a_stopped_process_goes_on() {
    let mut stage = images(30);
    let mut run = stage.spawn();
    wait_until("uploads", || stage.remote.requests(ApiEndpoint::CreateAsset) > 5);
    run.send(Signal::STOP);
    std::thread::sleep(Duration::from_secs(2));
    run.send(Signal::CONT);
    run.end().unwrap().expect(0);
    goes_on(&mut stage, 30);
}

#[test]
fn a_second_process_stays_out() {
    let mut stage = images(2);
    stage.fault(ApiEndpoint::CreateAsset, STUCK);
    let run = stage.spawn();
    wait_until("both uploads", || stage.remote.requests(ApiEndpoint::CreateAsset) == 2);
    wait_until("a poll", || stage.remote.requests(ApiEndpoint::GetOperation) > 0);
    let creates = stage.remote.requests(ApiEndpoint::CreateAsset);
    for command in [&["sync", "--once"][..], &["resolve", "ui/0.png", "--recreate"], &["retry", "ui/0.png"]] {
        let (code, document) = stage.project.json(command);
        assert_eq!(code, 5, "{command:?}: {document:#}");
        let message = document["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("macadam sync --once"), "the holder is named: {message}");
    }
    stage.project.run(&["status"]).expect(0);
    stage.project.run(&["plan"]).expect(0);
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), creates);
    stage.remote.control().clear_faults();
    run.end().unwrap().expect(0);
    goes_on(&mut stage, 2);
}
