//! `recreate --creator`: new assets for a new owner, with a table of old and new IDs.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use macadam::emulator::{ApiEndpoint, LatencyModel};
use serde_json::{Value, json};

use super::{asset_id, is_settled, refused, remote, row};
use crate::crash::stage::Stage;
use crate::service::Service;
use crate::support::{Project, Ran, Remote, png, rbxmx};

const TAIL: &str = "
[assets.sword]
path = \"sword.rbxmx\"
icon = \"ui/icon.png\"

[globs.ui]
path = \"ui/*.png\"
";
const USER: &str = "[creator]\nuser_id = 1\n";
const GROUP: &str = "[creator]\ngroup_id = 7\n";
const NAMES: [&str; 4] = ["sword", "ui/copy.png", "ui/icon.png", "ui/other.png"];

/// A Model of two revisions, its icon, a picture that shares the icon's asset, and one more that
/// was replaced once.
fn files(project: &Project) {
    for name in ["1", "2"] {
        project.write("sword.rbxmx", rbxmx(name));
        project.write("ui/icon.png", png(1));
        project.write("ui/copy.png", png(1));
        project.write("ui/other.png", png(if name == "1" { 2 } else { 3 }));
        project.sync();
    }
}

fn migrating() -> (Remote, Project) {
    let remote = remote(&[]);
    let project = Project::new(&format!("{USER}{TAIL}")).at(&remote.url());
    files(&project);
    (remote, project)
}

fn ids(project: &Project) -> BTreeMap<&'static str, u64> {
    NAMES.into_iter().map(|name| (name, asset_id(project, name))).collect()
}

/// Old and new ID of every address in the command's table.
fn table(document: &Value) -> BTreeMap<String, (u64, u64)> {
    let rows = document["assets"].as_array().unwrap().iter();
    let row = |row: &Value| {
        let id = |key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{document:#}"));
        (row["address"].as_str().unwrap().to_owned(), (id("old_asset_id"), id("new_asset_id")))
    };
    rows.map(row).collect()
}

/// Every address is the new owner's, shown and shared as before, and what it was is known.
fn is_migrated(remote: &Remote, project: &Project, old: &BTreeMap<&str, u64>) {
    let new = ids(project);
    for (name, id) in &new {
        let asset = remote.control().asset(*id).unwrap().asset;
        assert_eq!(serde_json::to_value(asset.creator).unwrap(), "group:7", "{name}");
        let former = format!("{name}@user:1");
        assert_eq!((asset_id(project, &former), row(project, &former)["state"].clone()), (old[name], json!("removed")));
    }
    assert_eq!(new["ui/icon.png"], new["ui/copy.png"]);
    assert_eq!(remote.control().asset(new["sword"]).unwrap().asset.metadata.icon, Some(new["ui/icon.png"]));
    // Three of each owner's, and the picture that was replaced long ago.
    assert_eq!(remote.assets().len(), 7);
    let (_, history) = project.json(&["history", "sword@user:1"]);
    assert_eq!(history["revisions"].as_array().unwrap().len(), 2, "the old history is kept: {history:#}");
    is_settled(remote, project);
}

#[test]
fn a_whole_project_gets_new_assets_for_its_new_owner() {
    let (remote, project) = migrating();
    let old = ids(&project);
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{document:#}");
    let hint = document["actions"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("`macadam recreate --creator`"), "{hint}");
    let (code, document) = project.json(&["recreate", "--creator", "--table", "table.csv"]);
    assert_eq!((code, &document["outcome"], &document["left_out"]), (0, &json!("done"), &json!([])), "{document:#}");
    let made = table(&document);
    let expected = ids(&project).into_iter().map(|(name, new)| (name.to_owned(), (old[name], new)));
    assert_eq!(made, expected.collect());
    let told = document["old_assets"].as_str().unwrap();
    assert!(
        told.contains("are kept") && told.contains("user:1 can archive them: `macadam archive '**/*@user:1'`"),
        "{told}"
    );
    let line = format!("\"sword\",user:1,{},{}\n", made["sword"].0, made["sword"].1);
    let text = project.read("table.csv");
    assert!(text.starts_with("address,old_creator,old_asset_id,new_asset_id\n") && text.contains(&line), "{text}");
    is_migrated(&remote, &project, &old);
    // Given again it makes nothing, and tells the same; also on a machine that has only the
    // lockfile.
    project.remove(".macadam");
    let requests = remote.requests(ApiEndpoint::CreateAsset);
    let (code, document) = project.json(&["recreate", "--creator"]);
    assert_eq!((code, table(&document), remote.requests(ApiEndpoint::CreateAsset)), (0, made, requests));
    is_settled(&remote, &project);
    // The old ones can be archived on purpose.
    project.run(&["archive", "**/*@user:1", "--yes"]).expect(0);
    assert!(old.values().all(|id| remote.control().asset(*id).unwrap().asset.archived));
    is_settled(&remote, &project);
}

/// Another machine, which knows the addresses by their old owner, pulls manifest and lockfile.
#[test]
fn a_machine_with_an_old_state_follows_the_lockfile() {
    let (remote, project) = migrating();
    let old = ids(&project);
    let before = std::fs::read(project.file(".macadam/assets.db")).unwrap();
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    project.run(&["recreate", "--creator"]).expect(0);
    project.remove(".macadam");
    project.write(".macadam/assets.db", before);
    project.let_reads_catch_up();
    project.sync();
    is_migrated(&remote, &project, &old);
}

/// Back to the first owner: every address takes over what it had, and nothing is uploaded.
#[test]
fn changing_the_owner_back_takes_over_the_old_assets() {
    let (remote, project) = migrating();
    let old = ids(&project);
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    project.run(&["recreate", "--creator"]).expect(0);
    project.write("assets.toml", format!("{USER}{TAIL}"));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    project.run(&["recreate", "--creator"]).expect(0);
    assert_eq!((ids(&project), remote.requests(ApiEndpoint::CreateAsset)), (old, creates));
    is_settled(&remote, &project);
}

#[test]
fn a_sync_continues_after_a_crash() {
    for point in ["recreate_begun:1", "accepted:1", "settled:1"] {
        let stage = Stage::new(&format!("{USER}{TAIL}"));
        files(&stage.project);
        let old = ids(&stage.project);
        stage.project.write("assets.toml", format!("{GROUP}{TAIL}"));
        assert!(stage.crash_in(&["recreate", "--creator"], point).is_none(), "nobody died at {point}");
        stage.quiet();
        let (code, document) = stage.project.json(&["recreate", "--creator"]);
        assert_eq!((code, table(&document).len()), (0, 4), "{point}: {document:#}");
        is_migrated(&stage.remote, &stage.project, &old);
    }
}

#[test]
fn recreate_names_the_addresses_that_it_leaves_out() {
    let (remote, project) = migrating();
    project.run(&["pin", "sword", "1"]).expect(0);
    let pins = "\n[pins]\nsword = 1\n";
    project.write("assets.toml", format!("{GROUP}{TAIL}{pins}"));
    let (code, document) = project.json(&["recreate", "--creator", "ui/*", "sword"]);
    assert_eq!(code, 1, "{document:#}");
    let left = &document["left_out"][0];
    assert_eq!(
        (document["left_out"].as_array().unwrap().len(), &left["address"]),
        (1, &json!("sword")),
        "{document:#}"
    );
    assert!(left["reason"].as_str().unwrap().contains("`macadam unpin sword` first"), "{document:#}");
    assert_eq!(table(&document).len(), 3, "{document:#}");
    project.run(&["unpin", "sword", "--no-sync"]).expect(0);
    project.run(&["recreate", "--creator"]).expect(0);
    assert_eq!(remote.control().asset(asset_id(&project, "sword")).unwrap().asset.versions.len(), 1);
    is_settled(&remote, &project);
    let (message, _) = refused(&project, &["recreate", "--creator", "nobody/*"], 1);
    assert_eq!(message, "no asset matches the pattern `nobody/*`");
    refused(&project, &["recreate"], 64);
}

#[test]
fn a_running_service_carries_it_out() {
    let (remote, project) = migrating();
    let old = ids(&project);
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    service.until("the change of the owner is seen", || service.state_of("sword") == "held");
    let (code, document) = project.json(&["recreate", "--creator"]);
    assert_eq!((code, &document["by_service"]), (0, &json!(true)), "{document:#}");
    assert_eq!(table(&document).len(), 4, "{document:#}");
    service.until_synced("sword");
    service.end();
    is_migrated(&remote, &project, &old);
}

#[test]
fn recreate_in_a_rehearsal_leaves_the_real_lockfile_alone() {
    let project = Project::new(&format!("{USER}{TAIL}"));
    for (name, content) in [("sword.rbxmx", rbxmx("1").into_bytes()), ("ui/icon.png", png(1))] {
        project.write(name, content);
    }
    project.run(&["sync", "--once", "--emulator"]).expect(0);
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    let (code, document) = project.json(&["recreate", "--creator", "--emulator"]);
    assert_eq!((code, table(&document).len()), (0, 2), "{document:#}");
    assert_eq!(project.json(&["plan", "--emulator"]).1["actions"], json!([]));
    assert!(!project.file("assets.lock.toml").exists());
}

/// With real branches: the old one, whose manifest and lockfile are from before the change of the
/// owner, is visited once.
#[test]
fn visiting_an_old_branch_after_a_migration_brings_no_asset_of_the_old_owner_back() {
    let remote = remote(&[]);
    let project = Project::new(&format!("{USER}{TAIL}")).at(&remote.url());
    project.write(".gitignore", ".macadam/\n");
    project.git(&["init", "--quiet", "--initial-branch=main"]);
    files(&project);
    let old = ids(&project);
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--message=the user's"]);
    project.git(&["branch", "old"]);
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    project.run(&["recreate", "--creator", "--yes"]).expect(0);
    project.git(&["commit", "--quiet", "--all", "--message=the group's"]);
    let new = ids(&project);
    is_migrated(&remote, &project, &old);

    let made = remote.assets().len();
    for round in 0..2 {
        for (branch, used) in [("old", &old), ("main", &new)] {
            project.git(&["checkout", "--quiet", branch]);
            project.sync();
            assert_eq!(&ids(&project), used, "round {round}, on {branch}");
            assert_eq!(project.sync()["actions"], json!([]), "round {round}, on {branch}");
            project.git(&["commit", "--quiet", "--all", "--allow-empty", "--message=visited"]);
        }
        // Then also a machine that has only what git has.
        project.remove_state();
    }
    // The branch asks for metadata of its own, which is sent again.
    assert_eq!(remote.assets().len(), made);
}

/// A git checkout of the migrating project, committed on `main`, and the assets of the first owner.
fn repository() -> (Remote, Project, BTreeMap<&'static str, u64>) {
    let remote = remote(&[]);
    let project = Project::new(&format!("{USER}{TAIL}")).at(&remote.url());
    project.write(".gitattributes", "*.lock.toml merge=macadam\n");
    project.git(&["init", "--quiet", "--initial-branch=main"]);
    let driver = format!("'{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
    project.git(&["config", "merge.macadam.driver", &driver]);
    files(&project);
    commit(&project, "the user's");
    let old = ids(&project);
    (remote, project, old)
}

fn commit(project: &Project, message: &str) {
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
}

/// An asset that was read before git brought another lockfile is read once more.
fn is_looked_at(project: &Project) {
    project.let_reads_catch_up();
    assert_eq!(project.sync()["actions"], json!([]));
}

/// The rows of a table that has one for each address: from the old owner's asset to the new one's.
fn rows(old: &BTreeMap<&str, u64>, new: &BTreeMap<&str, u64>) -> BTreeMap<String, (u64, u64)> {
    old.iter().map(|(name, id)| ((*name).to_owned(), (*id, new[name]))).collect()
}

/// Taken back by git, with and without a sync of what git brought back, and given again; on another
/// branch, too.
#[test]
fn a_change_of_the_owner_that_is_given_again_uploads_nothing_again() {
    for visit in ["reset", "reset and sync", "another branch"] {
        let (remote, project, old) = repository();
        project.write("assets.toml", format!("{GROUP}{TAIL}"));
        project.run(&["recreate", "--creator", "--yes"]).expect(0);
        let new = ids(&project);
        match visit {
            "another branch" => {
                project.git(&["checkout", "--quiet", "-b", "group"]);
                commit(&project, "the group's");
                project.git(&["checkout", "--quiet", "main"]);
            }
            _ => drop(project.git(&["reset", "--quiet", "--hard"])),
        }
        if visit != "reset" {
            project.sync();
            assert_eq!(ids(&project), old, "{visit}");
            commit(&project, "visited");
        }
        let creates = remote.requests(ApiEndpoint::CreateAsset);
        project.write("assets.toml", format!("{GROUP}{TAIL}"));
        let (code, document) = project.json(&["recreate", "--creator"]);
        assert_eq!((code, &document["left_out"]), (0, &json!([])), "{visit}: {document:#}");
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "{visit}: {document:#}");
        assert_eq!(document["assets"].as_array().unwrap().len(), NAMES.len(), "one row an address: {document:#}");
        assert_eq!(table(&document), rows(&old, &new), "{visit}");
        assert_eq!(ids(&project), new, "{visit}");
        is_looked_at(&project);
        is_migrated(&remote, &project, &old);
        // Also for a machine that has only what git has.
        project.remove_state();
        project.sync();
        is_migrated(&remote, &project, &old);
        assert_eq!(ids(&project), new, "{visit}");
    }
}

/// Killed before anything was uploaded, and taken back: the name of the first time is used again.
#[test]
fn a_change_of_the_owner_that_was_killed_and_taken_back_is_begun_anew() {
    let (remote, project, old) = repository();
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    let mut command = project.command(&["recreate", "--creator", "--yes"]);
    assert!(!command.env("MACADAM_FAILPOINT", "begun:1").output().unwrap().status.success());
    project.git(&["reset", "--quiet", "--hard"]);
    project.sync();
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    let (code, document) = project.json(&["recreate", "--creator"]);
    assert_eq!((code, table(&document)), (0, rows(&old, &ids(&project))), "{document:#}");
    assert_eq!(document["assets"].as_array().unwrap().len(), NAMES.len(), "{document:#}");
    is_looked_at(&project);
    is_migrated(&remote, &project, &old);
}

/// Killed while Roblox works on the new owner's asset, and taken back: what comes of it is the new
/// owner's, whoever the address belongs to when it is done.
#[test]
fn an_upload_for_another_owner_than_the_checkout_has_by_now_is_kept_as_that_owners() {
    let remote = remote(&[]);
    let manifest = |owner: &str| format!("{owner}\n[globs.ui]\npath = \"ui/*.png\"\n");
    let project = Project::new(&manifest(USER)).at(&remote.url());
    project.git(&["init", "--quiet", "--initial-branch=main"]);
    project.write("ui/icon.png", png(1));
    project.sync();
    commit(&project, "the user's");
    let old = asset_id(&project, "ui/icon.png");
    project.write("assets.toml", manifest(GROUP));
    let mut command = project.command(&["recreate", "--creator", "--yes"]);
    assert!(!command.env("MACADAM_FAILPOINT", "accepted:1").output().unwrap().status.success());
    project.git(&["reset", "--quiet", "--hard"]);
    assert_eq!(project.sync()["in_sync"], true);
    assert_eq!((asset_id(&project, "ui/icon.png"), remote.assets().len()), (old, 2));
    assert_eq!(project.sync()["actions"], json!([]));
    project.write("assets.toml", manifest(GROUP));
    let (code, document) = project.json(&["recreate", "--creator"]);
    assert_eq!((code, remote.assets().len()), (0, 2), "{document:#}");
    let new = asset_id(&project, "ui/icon.png");
    assert_eq!(table(&document), [("ui/icon.png".to_owned(), (old, new))].into());
    let asset = remote.control().asset(new).unwrap().asset;
    assert_eq!(serde_json::to_value(asset.creator).unwrap(), "group:7");
    is_looked_at(&project);
    is_settled(&remote, &project);
}

/// A checkout in the middle: the addresses are the old owner's again, and that is no success.
#[test]
fn a_change_of_the_owner_that_git_takes_back_midway_is_no_success() {
    let remote = remote(&[]);
    let manifest = |owner: &str| format!("{owner}\n[globs.ui]\npath = \"ui/*.png\"\n");
    let project = Project::new(&manifest(USER)).at(&remote.url());
    project.git(&["init", "--quiet", "--initial-branch=main"]);
    project.write("ui/icon.png", png(1));
    project.sync();
    commit(&project, "the user's");
    project.write("assets.toml", manifest(GROUP));
    remote.control().set_latency(LatencyModel::Fixed(1_500));
    let mut command = project.command(&["recreate", "--creator", "--yes"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while remote.requests(ApiEndpoint::CreateAsset) < 2 {
        assert!(began.elapsed().as_secs() < 60, "nothing is uploaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    project.git(&["checkout", "--quiet", "."]);
    let ran = Ran::of(running.wait_with_output().unwrap()).expect(1);
    assert!(
        ran.stderr.contains("the manifest changed meanwhile"),
        "{}
{}",
        ran.stdout,
        ran.stderr
    );
}

/// The old owner's branch goes on after the change, and is merged.
#[test]
fn the_table_names_the_old_owners_newest_asset_also_of_a_merged_branch() {
    let (remote, project, _) = repository();
    project.git(&["branch", "old"]);
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    project.run(&["recreate", "--creator", "--yes"]).expect(0);
    commit(&project, "the group's");
    project.git(&["checkout", "--quiet", "old"]);
    project.write("ui/other.png", png(9));
    project.sync();
    let newest = asset_id(&project, "ui/other.png");
    commit(&project, "the user's goes on");
    project.git(&["checkout", "--quiet", "main"]);
    project.git(&["merge", "--quiet", "--message=merged", "old"]);
    project.sync();
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    let new = asset_id(&project, "ui/other.png");
    for _ in 0..2 {
        let (code, document) = project.json(&["recreate", "--creator"]);
        assert_eq!((code, document["assets"].as_array().unwrap().len()), (0, NAMES.len()), "{document:#}");
        assert_eq!(table(&document)["ui/other.png"], (newest, new), "{document:#}");
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
    // The name that the command gives for the old assets reaches it.
    project.run(&["archive", "ui/other.png@user:1", "--yes"]).expect(0);
    assert!(remote.control().asset(newest).unwrap().asset.archived);
    is_looked_at(&project);
    is_settled(&remote, &project);
}

/// The command wrote a new lockfile first, which made the next plan believe that nothing was lost.
#[test]
fn nothing_is_made_for_a_new_owner_while_the_lockfile_is_lost() {
    let (remote, project) = migrating();
    project.remove("assets.lock.toml");
    project.write("assets.toml", format!("{GROUP}{TAIL}"));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    for _ in 0..2 {
        let (message, hint) = refused(&project, &["recreate", "--creator", "--yes"], 1);
        assert!(message.contains("assets.lock.toml"), "{message}");
        assert!(hint.contains("--accept-new-lockfile"), "{hint}");
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
        assert_eq!(project.json(&["status", "sword@user:1"]).0, 1, "nothing was renamed");
    }
    project.run(&["sync", "--once", "--accept-new-lockfile"]).expect(1);
    project.run(&["recreate", "--creator", "--yes"]).expect(0);
    assert!(remote.requests(ApiEndpoint::CreateAsset) > creates);
}

/// Whatever the policy says: players still see it.
#[test]
fn the_old_owners_asset_is_archived_only_once_there_is_a_new_one() {
    let remote = remote(&[]);
    let rest = "\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n\n[globs.ui]\npath = \"ui/*.png\"\n";
    let project = Project::new(&format!("{USER}{rest}")).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    let old = asset_id(&project, "ui/a.png");
    let archived = || remote.control().asset(old).unwrap().asset.archived;
    project.write("assets.toml", format!("{GROUP}{rest}"));
    let refuse = json!([{
        "match": {"endpoint": "create_asset"},
        "action": {"kind": "reply", "status": 400, "shape": "service", "message": "no"},
    }]);
    remote.control().add_faults(serde_json::from_value(refuse).unwrap()).unwrap();
    project.run(&["recreate", "--creator"]).expect(1);
    for _ in 0..2 {
        project.run(&["sync", "--once"]).expect(1);
        project.pass(60);
    }
    assert!(!archived(), "there is no new asset");
    remote.control().clear_faults();
    project.run(&["retry", "--all"]).expect(0);
    project.run(&["sync", "--once"]).expect(0);
    project.run(&["sync", "--once"]).expect(0);
    assert!(archived() && asset_id(&project, "ui/a.png") != old);
}
