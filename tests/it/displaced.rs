//! The state is deleted or replaced under a running process, with and without a second process:
//! nothing is lost, and there are never two writers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use macadam::emulator::{ApiEndpoint, FaultAction, FaultRule};
use serde_json::{Value, json};

use super::service::Service;
use super::state_folder::checkout;
use super::support::git::git;
use super::support::{Project, Ran, Remote, png};

/// The longest wait for an event; later it never comes.
const NEVER: Duration = Duration::from_secs(90);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < NEVER, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Creates are carried out at once and answered so much later.
fn slow(remote: &Remote, before_reply_ms: u64) {
    let delay = FaultAction::Delay { before_commit_ms: 0, before_reply_ms };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, delay)]).unwrap();
}

fn creates(remote: &Remote) -> usize {
    remote.requests(ApiEndpoint::CreateAsset)
}

/// Every asset at the remote is in the lockfile and in the state, and a further run sends nothing.
#[track_caller]
fn all_is_known(project: &Project, remote: &Remote) {
    let ids: BTreeSet<i64> = remote.assets().iter().map(|made| made.asset.id.cast_signed()).collect();
    let lockfile = project.read("assets.lock.toml");
    assert!(ids.iter().all(|id| lockfile.contains(&format!("asset_id = {id}"))), "{ids:?}\n{lockfile}");
    let state = rusqlite::Connection::open(project.state()).unwrap();
    let mut rows = state.prepare("SELECT asset_id FROM revisions").unwrap();
    let known: BTreeSet<i64> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(known, ids);
    let verdict: String = state.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    drop(rows);
    drop(state);
    let before = remote.all_requests();
    assert_eq!(project.sync()["actions"], json!([]));
    assert_eq!(remote.all_requests(), before);
}

fn lose(project: &Project) {
    git(project.path(), &["clean", "-ffdxq", "--exclude=log.txt"]);
    project.remove_state();
}

/// `sync --once`, in the background.
fn once(project: &Project) -> Child {
    let mut command = project.command(&["sync", "--once", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(process: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), process.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn commit(project: &Project) {
    git(project.path(), &["add", "--all", ":!log.txt"]);
    git(project.path(), &["commit", "--quiet", "--message=more"]);
}

fn aside(project: &Project) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project.state_folder()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".aside-")).collect()
}

#[test]
fn a_service_whose_state_is_deleted_in_the_middle_of_an_upload_writes_it_anew() {
    let remote = Remote::start();
    let project = checkout(&remote);
    let service = Service::start(&project, &[]);
    service.until_synced("ui/b.png");
    // The lockfile, which comes later, is what there is to commit.
    service.until("the lockfile is written", || project.read("assets.lock.toml").contains("ui/b.png"));
    commit(&project);
    slow(&remote, 1500);
    project.write("ui/c.png", png(3));
    service.until("the upload is on the wire", || creates(&remote) == 3);
    lose(&project);
    service.says("the state was written anew and nothing is lost");
    project.write("ui/c.png", png(3));
    service.until_synced("ui/c.png");
    // It is held as before, and requests reach it.
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 5, "{document:#}");
    let asked = Instant::now();
    let (code, document) = project.json(&["archive", "ui/a.png"]);
    assert_eq!(code, 0, "{document:#}");
    let (code, document) = project.json(&["restore", "ui/a.png"]);
    assert_eq!(code, 0, "{document:#}");
    // At once, and not at the next look that comes by itself: each would be half a minute later.
    assert!(asked.elapsed() < Duration::from_secs(25), "{:?}", asked.elapsed());
    service.end();
    assert_eq!(remote.assets().len(), 3);
    all_is_known(&project, &remote);
}

#[test]
fn a_service_whose_state_another_process_holds_by_now_ends_and_leaves_what_it_made_to_the_lockfile() {
    let remote = Remote::start();
    let project = checkout(&remote);
    let mut first = project.command(&["sync"]);
    let log = std::fs::File::create(project.file("first.log")).unwrap();
    let mut first = first.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    until("the first has synced", || project.file("assets.lock.toml").exists() && remote.assets().len() == 2);
    slow(&remote, 4000);
    project.write("ui/c.png", png(3));
    until("the upload is on the wire", || creates(&remote) == 3);
    // Otherwise it may notice before the second is there, and hold a new state itself.
    signal(&first, "STOP");
    remote.control().clear_faults();
    project.remove_state();
    let second = Service::start(&project, &[]);
    signal(&first, "CONT");
    second.until_with("the first ends", &["first.log"], || first.try_wait().unwrap().is_some());
    assert_eq!(first.wait().unwrap().code(), Some(5), "{}", project.read("first.log"));
    let log = project.read("first.log");
    assert!(log.contains("another Macadam has started since"), "{log}");
    second.until_synced("ui/c.png");
    let ids: Vec<String> = remote.assets().iter().map(|made| format!("asset_id = {}", made.asset.id)).collect();
    // The second did not know that the first had sent it: both copies are known.
    second.until("the lockfile has all", || {
        let lockfile = project.read("assets.lock.toml");
        ids.iter().all(|id| lockfile.contains(id))
    });
    second.end();
    all_is_known(&project, &remote);
}

#[test]
fn a_run_whose_state_is_deleted_in_the_middle_goes_on_with_a_new_one() {
    let remote = Remote::start();
    let project = checkout(&remote);
    (3..12).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    commit(&project);
    slow(&remote, 700);
    let run = once(&project);
    until("several uploads are on the wire", || creates(&remote) > 1);
    lose(&project);
    let ran = Ran::of(run.wait_with_output().unwrap()).expect(0);
    assert!(ran.stderr.contains("the state was written anew"), "{}", ran.stderr);
    // Requests whose last byte was held back when the state was found gone were sent again.
    assert_eq!(remote.assets().len(), 11);
    all_is_known(&project, &remote);
}

#[test]
fn uploads_of_a_second_process_are_taken_over_and_not_repeated() {
    let remote = Remote::start();
    let project = checkout(&remote);
    (3..7).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    commit(&project);
    slow(&remote, 5000);
    let first = once(&project);
    // The first request of a run goes alone.
    until("the upload is carried out", || remote.assets().len() == 1);
    // It notices nothing before the second is done. Until it stops, it waits for the slow answer.
    signal(&first, "STOP");
    remote.control().clear_faults();
    lose(&project);
    project.sync();
    assert_eq!(remote.assets().len(), 7, "the second knew nothing of the one on the wire");
    signal(&first, "CONT");
    let ran = Ran::of(first.wait_with_output().unwrap()).expect(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["in_sync"], true, "{document:#}");
    // Requests whose last byte was held back may have come, and nothing came of them.
    assert_eq!(remote.assets().len(), 7, "{document:#}\n{}", ran.stderr);
    assert_eq!(aside(&project).len(), 1);
    all_is_known(&project, &remote);
}

#[test]
fn one_file_of_the_state_deleted_or_replaced_is_enough_to_notice() {
    let parts: [&str; 5] = [".lock", "", "-wal", "-shm", "backup"];
    let run = |part: &str| {
        let remote = Remote::start();
        let project = checkout(&remote);
        let mut service = Service::start(&project, &[]);
        service.until_synced("ui/b.png");
        let mut path = project.state().into_os_string();
        if part == "backup" {
            std::fs::copy(project.state(), project.file("backup.db")).unwrap();
            std::fs::rename(project.file("backup.db"), path).unwrap();
        } else {
            path.push(part);
            std::fs::remove_file(path).unwrap();
        }
        if part == ".lock" {
            let (code, document) = project.json(&["sync", "--once"]);
            assert_eq!(code, 5, "the database is still held: {document:#}");
        }
        project.write("ui/c.png", png(3));
        service.says("the state was written anew");
        service.until_synced("ui/c.png");
        service.until("the lockfile is written", || project.read("assets.lock.toml").contains("ui/c.png"));
        service.kill();
        // The state by itself, as the killed process left it.
        std::fs::remove_file(project.file("assets.lock.toml")).unwrap();
        let (_, document) = project.json(&["status"]);
        let ids = document["assets"].as_array().unwrap().iter().filter(|asset| asset["asset_id"].is_u64()).count();
        assert_eq!(ids, 3, "{part:?}: {document:#}");
        assert_eq!(remote.assets().len(), 3, "{part:?}");
    };
    std::thread::scope(|scope| parts.map(|part| scope.spawn(move || run(part))).map(|ran| ran.join().unwrap()));
}

#[test]
fn a_service_whose_git_folder_is_gone_ends_and_the_next_start_goes_on() {
    let remote = Remote::start();
    let project = checkout(&remote);
    let mut service = project.command(&["sync"]);
    let log = std::fs::File::create(project.file("log.txt")).unwrap();
    let mut service = service.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    until("it has synced", || project.file("assets.lock.toml").exists() && remote.assets().len() == 2);
    // At once: what deletes it file by file meets a service that writes it again meanwhile.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(project.file(".git"), elsewhere.path().join("git")).unwrap();
    project.write("ui/c.png", png(3));
    until("it ends", || service.try_wait().unwrap().is_some());
    assert_eq!(service.wait().unwrap().code(), Some(3), "{}", project.read("log.txt"));
    assert!(!project.file(".git").exists(), "no folder of git's is made up");
    project.sync();
    assert_eq!(remote.assets().len(), 3);
    all_is_known(&project, &remote);
}
