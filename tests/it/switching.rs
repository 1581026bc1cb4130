//! Another branch is checked out while an upload is under way: the new asset belongs to the branch
//! that has its file.

use macadam::emulator::{ApiEndpoint, Config, LatencyModel};

use super::service::{Service, start};
use super::support::system::{Signal, send};
use super::support::{Project, Remote, png, rbxmx};

/// Whatever left the manifest is archived at once.
const AT_ONCE: &str = "\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n";
const LOCKFILE: &str = "assets.lock.toml";
const NEW: &str = "ui/new.png";

fn commit(project: &Project) {
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--message=more"]);
}

/// A synced checkout on the branch `x`, which has the lockfile of the branch `y`.
fn repository() -> (Remote, Project) {
    let (remote, project) = start(Config::default());
    let manifest = project.read("assets.toml");
    project.write("assets.toml", format!("{manifest}{AT_ONCE}"));
    project.write(".gitignore", "log.txt\n");
    project.git(&["init", "--quiet", "--initial-branch=y"]);
    project.sync();
    commit(&project);
    project.git(&["checkout", "--quiet", "-b", "x"]);
    (remote, project)
}

/// Adds the new picture in a commit, without a lockfile that has it.
fn add_new(project: &Project) {
    project.write(NEW, png(7));
    commit(project);
}

/// A single run that dies while Roblox works on its upload.
fn die_in_the_upload(project: &Project) {
    let mut command = project.command(&["sync", "--once"]);
    assert!(!command.env("MACADAM_FAILPOINT", "accepted:1").output().unwrap().status.success());
}

/// The checkout is as git has it, and every asset is in use.
#[track_caller]
fn is_untouched(remote: &Remote, project: &Project) {
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert!(remote.assets().iter().all(|report| !report.asset.archived), "{:#?}", remote.assets());
}

/// Back on the branch that has the file: nothing is uploaded again, and the lockfile has its asset.
#[track_caller]
fn is_used_there(remote: &Remote, project: &Project, branch: &str, creates: usize) {
    project.git(&["checkout", "--quiet", branch]);
    assert_eq!(project.sync()["in_sync"], true);
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (creates, creates));
    assert!(project.read(LOCKFILE).contains(NEW), "{}", project.read(LOCKFILE));
    assert!(!project.read(LOCKFILE).contains("removed"), "{}", project.read(LOCKFILE));
    is_settled(project);
}

fn is_settled(project: &Project) {
    assert_eq!(project.sync()["actions"], serde_json::json!([]));
}

#[test]
fn an_upload_that_ends_on_another_branch_stays_out_of_its_lockfile() {
    let (remote, project) = repository();
    remote.control().set_latency(LatencyModel::Fixed(2_500));
    let service = Service::start(&project, &[]);
    add_new(&project);
    service.until("it is on the wire", || remote.requests(ApiEndpoint::CreateAsset) == 3);
    project.git(&["checkout", "--quiet", "y"]);
    service.says("uploaded address=ui/new.png");
    service.end();
    is_untouched(&remote, &project);
    project.sync();
    is_untouched(&remote, &project);
    is_used_there(&remote, &project, "x", 3);
}

/// Nothing else happens there that would make the service write its lockfile.
#[test]
fn an_upload_that_ended_on_another_branch_is_in_its_lockfile_soon_after_the_way_back() {
    let (remote, project) = repository();
    remote.control().set_latency(LatencyModel::Fixed(1_500));
    let service = Service::start(&project, &[]);
    add_new(&project);
    service.until("it is on the wire", || remote.requests(ApiEndpoint::CreateAsset) == 3);
    project.git(&["checkout", "--quiet", "y"]);
    service.says("uploaded address=ui/new.png");
    is_untouched(&remote, &project);
    project.git(&["checkout", "--quiet", "x"]);
    service.until("it is in the lockfile", || project.read(LOCKFILE).contains(NEW));
    service.end();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);
}

/// With branches, and with commits that no branch is checked out for.
#[test]
fn an_upload_that_was_begun_in_another_checkout_is_ended_and_stays_out_of_the_lockfile() {
    for detached in [false, true] {
        let (remote, project) = repository();
        add_new(&project);
        if detached {
            project.git(&["checkout", "--quiet", "--detach"]);
        }
        let there = project.git(&["rev-parse", "HEAD"]);
        die_in_the_upload(&project);
        is_untouched(&remote, &project);
        project.git(&["checkout", "--quiet", if detached { "HEAD~1" } else { "y" }]);
        for _ in 0..2 {
            assert_eq!(project.sync()["in_sync"], true);
            is_untouched(&remote, &project);
        }
        assert_eq!(remote.assets().len(), 3, "the operation was followed to its end");
        is_used_there(&remote, &project, if detached { there.trim() } else { "x" }, 3);
    }
}

/// The wishes of one branch say nothing of another one.
#[test]
fn a_run_that_ends_on_another_branch_leaves_its_lockfile_alone() {
    let (remote, project) = repository();
    add_new(&project);
    remote.control().set_latency(LatencyModel::Fixed(3_000));
    let run = project.command(&["sync", "--once"]).spawn().unwrap();
    let began = std::time::Instant::now();
    while remote.control().operations().len() < 3 {
        assert!(began.elapsed().as_secs() < 60, "nothing is uploaded");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    project.git(&["checkout", "--quiet", "y"]);
    send(&run, Signal::INT);
    run.wait_with_output().unwrap();
    is_untouched(&remote, &project);
    project.sync();
    is_untouched(&remote, &project);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);
}

/// Where the branch is the same the file was removed, and the lockfile says so of an asset that it
/// never had before.
#[test]
fn a_file_that_is_removed_before_its_lockfile_was_written_is_removed_there() {
    let (remote, project) = repository();
    add_new(&project);
    die_in_the_upload(&project);
    project.remove(NEW);
    project.sync();
    let lockfile = project.read(LOCKFILE);
    assert!(lockfile.contains(NEW) && lockfile.contains("removed = true"), "{lockfile}");
    assert_eq!(remote.assets().iter().filter(|report| report.asset.archived).count(), 1, "as the policy says");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);
    is_settled(&project);
}

/// Renamed on a branch that was made in the meantime: a Model has only its address and its bytes.
#[test]
fn a_model_that_is_renamed_on_a_new_branch_during_its_upload_keeps_its_asset() {
    let (remote, project) = repository();
    project.write("models/new.rbxmx", rbxmx("new"));
    die_in_the_upload(&project);
    project.git(&["checkout", "--quiet", "-b", "renamed"]);
    std::fs::rename(project.file("models/new.rbxmx"), project.file("models/renamed.rbxmx")).unwrap();
    project.sync();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (3, 3));
    assert!(project.read(LOCKFILE).contains("models/renamed.rbxmx"));
    is_settled(&project);
}

#[test]
fn a_switch_right_after_a_status_of_git_archives_nothing() {
    let (remote, project) = repository();
    (20..30).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    project.sync();
    commit(&project);
    project.git(&["checkout", "--quiet", "-b", "z"]);
    project.write(NEW, png(7));
    project.write("models/new.rbxmx", rbxmx("new"));
    project.sync();
    commit(&project);
    let service = Service::start(&project, &[]);
    service.until_synced(NEW);
    for branch in ["x", "z", "x"] {
        // So long a file must not have changed for its burst to be over.
        std::thread::sleep(std::time::Duration::from_secs(3));
        project.write("ui/20.png", png(20));
        // The index is written again, under a lock of its own.
        project.git(&["status", "--short"]);
        project.git(&["checkout", "--quiet", branch]);
    }
    std::thread::sleep(std::time::Duration::from_secs(3));
    service.end();
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
    is_untouched(&remote, &project);
}
