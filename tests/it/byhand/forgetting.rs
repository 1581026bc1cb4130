//! `forget`.

use macadam::emulator::{ApiEndpoint, Conditions, FaultAction, FaultRule, OperationFault, Point};
use serde_json::{Value, json};

use super::{MANIFEST, asset_id, is_settled, refused, remote, three};
use crate::service::Service;
use crate::support::{Project, Ran, Remote, png};

#[test]
fn an_address_is_forgotten_and_created_anew() {
    let (remote, project) = three(&[]);
    let (_, history) = project.json(&["history", "ui/a.png"]);
    let had: Vec<Value> = history["revisions"].as_array().unwrap().iter().map(|r| r["asset_id"].clone()).collect();
    let requests = remote.all_requests();
    let mut command = project.command(&["forget", "--yes", "ui/a.png", "--json"]);
    // It needs no key.
    let ran = Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(0);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["asset_ids"], &told["outcome"]), (&json!(had), &json!("done")), "{told:#}");
    assert_eq!((&told["in_manifest"], &told["lockfile_written"]), (&json!(true), &json!(true)), "{told:#}");
    assert_eq!(remote.all_requests(), requests);
    let lockfile = project.read("assets.lock.toml");
    assert!(!lockfile.contains("[assets.\"ui/a.png\"]") && lockfile.contains("sword"), "{lockfile}");
    refused(&project, &["history", "ui/a.png"], 1);
    // Neither the state nor the lockfile brings it back.
    for fresh in [false, true] {
        if fresh {
            project.remove_state();
        }
        let (_, plan) = project.json(&["plan"]);
        assert_eq!(plan["summary"], json!({"create": 1}), "{plan:#}");
    }
    project.sync();
    assert!(!had.contains(&json!(asset_id(&project, "ui/a.png"))));
    is_settled(&remote, &project);
}

#[test]
fn the_last_address_leaves_an_empty_lockfile() {
    let remote = remote(&[]);
    let project = Project::new("[creator]\nuser_id = 1\n[globs.ui]\npath = \"ui/*.png\"\n").at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    project.remove("ui/a.png");
    project.write("ui/keep.txt", "");
    let told = project.run(&["forget", "ui/a.png"]).expect(0).stdout;
    assert!(told.contains("Commit the lockfile") && !told.contains("uploads it as a new asset"), "{told}");
    assert!(!project.read("assets.lock.toml").contains("[assets."));
    is_settled(&remote, &project);
    for command in ["forget", "status", "history", "open", "archive", "restore", "retry"] {
        let (message, hint) = refused(&project, &[command, "ui/a.png"], 1);
        assert!(message.contains("`ui/a.png` was forgotten; it had asset"), "{command}: {message}");
        assert!(hint.contains("takes it back"), "{command}: {hint}");
    }
}

#[test]
fn forgetting_one_address_keeps_the_shared_asset_of_the_other() {
    let remote = remote(&[]);
    let project =
        Project::new(MANIFEST.replace("[assets.sword]\npath = \"sword.rbxmx\"\n", "").as_str()).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(1));
    project.sync();
    let shared = asset_id(&project, "ui/b.png");
    let (_, told) = project.json(&["forget", "--yes", "ui/a.png"]);
    assert_eq!(told["shared_asset_ids"], json!([shared]), "{told:#}");
    project.sync();
    assert_eq!(asset_id(&project, "ui/b.png"), shared);
    is_settled(&remote, &project);
}

/// A project with a picture whose create ends in `fault`.
fn stuck(fault: FaultAction, policy: &str) -> (Remote, Project) {
    let remote = remote(&[]);
    let conditions = Conditions { endpoint: Some(ApiEndpoint::CreateAsset), ..Conditions::default() };
    remote.control().add_faults(vec![FaultRule { label: None, conditions, times: None, action: fault }]).unwrap();
    let project = Project::new(&format!("{MANIFEST}{policy}")).at(&remote.url());
    project.write("sword.rbxmx", crate::support::rbxmx("s"));
    (remote, project)
}

#[test]
fn an_address_with_open_work_is_not_forgotten() {
    let (_remote, project) = stuck(FaultAction::Operation(OperationFault::Stuck { for_ms: None }), "");
    project.run(&["sync", "--once", "--timeout", "2s"]).expect(1);
    let told = refused(&project, &["forget", "--yes", "sword"], 1);
    assert!(told.0.contains("still changing") && told.1.contains("macadam sync --once"), "{told:?}");

    let reset = FaultAction::Reset { at: Point::AfterCommit };
    let (_remote, project) = stuck(reset, "\n[policy]\nambiguous_create = \"hold\"\n");
    project.run(&["sync", "--once"]).expect(1);
    let told = refused(&project, &["forget", "--yes", "sword"], 1);
    assert!(told.0.contains("still unknown whether an upload") && told.1.contains("macadam resolve sword"), "{told:?}");
    let told = refused(&project, &["forget", "swrod"], 1);
    assert_eq!(told.1, "did you mean `sword`?");
    project.run(&["resolve", "sword", "--recreate"]).expect(0);
    project.run(&["forget", "--yes", "sword"]).expect(0);
}

#[test]
fn what_is_still_in_the_manifest_is_forgotten_only_on_purpose() {
    let (remote, project) = three(&[]);
    let (lockfile, made) = (project.read("assets.lock.toml"), remote.assets().len());
    let is_refused = || {
        let (message, hint) = refused(&project, &["forget", "ui/a.png"], 1);
        assert_eq!(message, "ui/a.png is still in the manifest, so the next sync uploads it as a new asset");
        assert!(hint.contains("`exclude`") && hint.contains("`--yes`"), "{hint}");
        let (message, _) = refused(&project, &["forget", "**"], 1);
        assert_eq!(message, "2 assets are still in the manifest, so the next sync uploads them as new assets");
    };
    is_refused();
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    is_refused();
    assert_eq!((project.read("assets.lock.toml"), remote.assets().len()), (lockfile, made));
    let (code, told) = project.json(&["forget", "--yes", "ui/a.png"]);
    assert_eq!((code, &told["by_service"], &told["in_manifest"]), (0, &json!(true), &json!(true)), "{told:#}");
    let told = project.run(&["forget", "--yes", "sword"]).expect(0).stdout;
    assert!(told.contains("note sword is still in the manifest, so the next sync uploads it"), "{told}");
    service.end();
}
