//! `--require-branch`: on another branch nothing is uploaded, and whoever asks is told why.

use macadam::emulator::ApiEndpoint;
use serde_json::Value;

use super::service::{Service, get, on_draft};

#[test]
fn a_service_that_waits_for_its_branch_says_so_wherever_a_person_asks() {
    let (remote, project) = on_draft();
    let mut service = Service::start(&project, &["--require-branch", "main", "--listen", "127.0.0.1:0"]);
    let waiting = || project.json(&["status"]).1["waiting"].clone();
    let words = "the checkout is on the branch `draft`, not on main";
    service.until("status says it", || waiting()["message"] == words);
    let address = service.address();
    service.until("/readyz says it", || get(&address, "/readyz").1.contains("another branch is checked out"));
    let ran = project.run(&["status"]).expect(0);
    assert!(ran.stderr.contains(&format!("warning: the running `macadam sync` does nothing: {words} (since 20")));
    assert!(ran.stderr.contains("  hint: `git switch main` checks it out"), "{}", ran.stderr);
    let (_, doctor) = project.json(&["doctor"]);
    let checks = doctor["checks"].as_array().unwrap();
    let about = checks.iter().find(|check| check["message"].as_str().unwrap().contains(words)).unwrap();
    assert_eq!((&about["check"], &about["result"]), (&"git".into(), &"warning".into()));
    let ran = project.run(&["retry", "ui/a.png", "--patience", "3s"]).expect(5);
    assert!(ran.stderr.contains(&format!("It waits too: {words}; `git switch main`")), "{}", ran.stderr);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 0);

    // What a service that was killed left behind says nothing.
    service.kill();
    assert_eq!(waiting(), Value::Null);
    let start = || Service::start(&project, &["--require-branch", "main"]);
    project.git(&["switch", "main"]);
    let service = start();
    service.until_synced("ui/a.png");
    assert_eq!(waiting(), Value::Null, "nor to the next one");
    // Nor does one that ended while it waited.
    project.git(&["switch", "draft"]);
    service.until("status says it again", || !waiting().is_null());
    service.end();
    project.git(&["switch", "main"]);
    let service = start();
    service.until_synced("ui/a.png");
    assert_eq!(waiting(), Value::Null);
    service.end();
}

#[test]
fn a_wait_for_a_branch_is_told_as_long_as_it_lasts_and_no_longer() {
    let (_remote, project) = on_draft();
    let service = Service::start(&project, &["--require-branch", "main"]);
    let waits = || !project.json(&["status"]).1["waiting"].is_null();
    service.until("status says it", waits);
    let mut told = project.state().into_os_string();
    told.push(".waiting");
    // What is beside a state leaves with it.
    std::fs::remove_file(&told).unwrap();
    service.until("status says it again", waits);
    // The branch is there, and something else is in the way.
    project.write(".git/MERGE_HEAD", "");
    project.write(".git/HEAD", "ref: refs/heads/main\n");
    service.until("status says no more", || !waits());
    service.end();
}

#[test]
fn a_single_sync_of_another_branch_is_refused() {
    let (remote, project) = on_draft();
    let once = ["sync", "--once", "--require-branch", "main"];
    let ran = project.run(&once).expect(1);
    assert!(
        ran.stderr.contains("nothing was done: the checkout is on the branch `draft`, not on main"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: `git switch main`"), "{}", ran.stderr);
    let commit = project.git(&["rev-parse", "HEAD"]);
    project.git(&["checkout", "--quiet", commit.trim()]);
    drop(project.run(&once).expect(1));
    assert_eq!((remote.all_requests(), project.state().exists()), (0, false));
    project.git(&["switch", "main"]);
    drop(project.run(&once).expect(0));
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
}
