//! One edit among many files, with `sync --once`: what it costs besides finding it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use macadam::emulator::{ApiEndpoint, Config, FaultAction, FaultRule, LatencyModel};

use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

/// A synced project of two pictures and two models, whose operations take this long from now on.
fn synced(operation_ms: u64) -> (Remote, Project) {
    let remote = Remote::with(Config { latency: LatencyModel::Fixed(operation_ms), ..Config::default() });
    let project = Project::new(GLOBS).at(&remote.url());
    for number in 0..2 {
        project.write(&format!("ui/{number}.png"), png(number));
        project.write(&format!("models/{number}.rbxmx"), rbxmx(&number.to_string()));
    }
    project.sync();
    (remote, project)
}

fn start(project: &Project) -> Child {
    let mut command = project.command(&["sync", "--once", "-vv"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How often everything was scanned, everything was planned, and a part.
fn looks(run: Child) -> [usize; 3] {
    let ran = Ran::of(run.wait_with_output().unwrap()).expect(0);
    ["everything was scanned", "everything was planned", "a part was planned"]
        .map(|what| ran.stderr.matches(what).count())
}

/// Waits until the emulator has had so many updates.
fn await_updates(remote: &Remote, count: usize) {
    await_requests(remote, ApiEndpoint::UpdateAsset, count);
}

/// Waits until the emulator has had so many requests.
fn await_requests(remote: &Remote, endpoint: ApiEndpoint, count: usize) {
    let begun = Instant::now();
    while remote.requests(endpoint) < count {
        assert!(begun.elapsed() < Duration::from_secs(60), "{endpoint:?} didn't come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn after_an_edit_everything_was_scanned_and_planned_once() {
    let (remote, project) = synced(0);
    project.write("models/1.rbxmx", rbxmx("edited"));
    assert_eq!(looks(start(&project)), [1, 1, 1]);
    assert_eq!((remote.requests(ApiEndpoint::UpdateAsset), remote.requests(ApiEndpoint::CreateAsset)), (1, 4));
    project.write("ui/1.png", png(9));
    assert_eq!(looks(start(&project)), [1, 1, 1]);
    assert_eq!((remote.requests(ApiEndpoint::UpdateAsset), remote.requests(ApiEndpoint::CreateAsset)), (1, 5));
    assert_eq!(looks(start(&project)), [1, 1, 0], "nothing is to be done");
}

#[test]
fn what_shows_an_edited_picture_follows_in_the_same_run() {
    let remote = Remote::start();
    let shows = "[creator]\nuser_id = 1\n[assets.icon]\npath = \"icon.png\"\n[assets.same]\npath = \"same.png\"\n\
                 [assets.sword]\npath = \"sword.rbxmx\"\nicon = \"icon\"\n";
    let project = Project::new(shows).at(&remote.url());
    for (name, content) in [("icon.png", png(1)), ("same.png", png(2)), ("sword.rbxmx", rbxmx("1").into())] {
        project.write(name, content);
    }
    project.sync();
    project.write("icon.png", png(3));
    project.sync();
    let writes = remote.writes();
    assert_eq!(project.sync()["actions"], serde_json::json!([]), "the icon is the new asset already");
    assert_eq!(remote.writes(), writes);
}

#[test]
fn what_changes_during_an_upload_is_uploaded_in_the_same_run() {
    type Change<'a> = (&'a dyn Fn(&Project), (usize, usize));
    let other_edit = |project: &Project| project.write("models/0.rbxmx", rbxmx("edited meanwhile"));
    let same_edit = |project: &Project| project.write("models/1.rbxmx", rbxmx("edited again"));
    let new_file = |project: &Project| project.write("models/2.rbxmx", rbxmx("new"));
    let changes: [Change<'_>; 3] = [(&other_edit, (2, 4)), (&same_edit, (2, 4)), (&new_file, (1, 5))];
    for (change, (updates, creates)) in changes {
        let (remote, project) = synced(0);
        let slow = FaultAction::Delay { before_commit_ms: 0, before_reply_ms: 1_000 };
        remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::UpdateAsset, slow)]).unwrap();
        project.write("models/1.rbxmx", rbxmx("edited"));
        let run = start(&project);
        await_updates(&remote, 1);
        change(&project);
        let [scans, ..] = looks(run);
        assert!(scans > 1, "everything is scanned again");
        let made = (remote.requests(ApiEndpoint::UpdateAsset), remote.requests(ApiEndpoint::CreateAsset));
        assert_eq!(made, (updates, creates));
    }
}

#[test]
fn the_asset_of_an_edit_is_fetched_while_the_key_is_checked() {
    let (remote, project) = synced(0);
    project.write("models/1.rbxmx", rbxmx("edited"));
    let before = remote.all_requests();
    let [introspected, fetched] = [ApiEndpoint::IntrospectKey, ApiEndpoint::GetAsset].map(|of| remote.requests(of));
    // However slow this machine is, the check ends after the asset was asked for.
    let held = FaultAction::Delay { before_commit_ms: 0, before_reply_ms: 60_000 };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::IntrospectKey, held)]).unwrap();
    let run = start(&project);
    await_requests(&remote, ApiEndpoint::IntrospectKey, 1 + introspected);
    await_requests(&remote, ApiEndpoint::GetAsset, fetched + 1);
    let updated = || remote.requests(ApiEndpoint::UpdateAsset);
    assert_eq!(updated(), 0, "nothing is changed before");
    remote.control().clear_faults();
    Ran::of(run.wait_with_output().unwrap()).expect(0);
    assert_eq!(updated(), 1);
    let sent = remote.control().requests().split_off(before);
    let fetches = sent.iter().filter(|request| request.endpoint == Some(ApiEndpoint::GetAsset)).count();
    // On a slow machine the operation isn't visible yet when it is asked for first.
    let early = sent.iter().filter(|request| request.status == Some(404)).count();
    // An answer that is no longer fresh by then is asked for again.
    assert!(fetches <= 2 && sent.len() == 3 + fetches + early, "two requests after the check: {sent:#?}");
}
