//! `pin` and `unpin`.

use std::process::Stdio;

use macadam::emulator::{ApiEndpoint, Conditions, FaultAction, FaultRule, ForeignEdit, OperationFault};
use serde_json::json;

use super::{asset_id, content, is_settled, refused, row, three};
use crate::crash::stage::{hash, wait_until};
use crate::support::{Project, Ran, png, rbxmx};

const COMMIT: &str = "Commit the manifest and the lockfile, or the next sync elsewhere undoes this.";

/// Under both behaviours that the remote may show.
#[test]
fn a_model_is_pinned_and_unpinned() {
    for behaviour in ["new_version", "repoint"] {
        let (remote, project) = three(&[("rollback", behaviour)]);
        let id = asset_id(&project, "sword");
        let before = project.read("assets.toml");
        let (code, told) = project.json(&["pin", "sword", "1"]);
        assert_eq!(code, 0, "{behaviour}: {told:#}");
        assert_eq!(
            (&told["address"], &told["asset_id"], &told["revision"], &told["outcome"]),
            (&json!("sword"), &json!(id), &json!(1), &json!("done")),
            "{told:#}"
        );
        assert_eq!((&told["actions"][0]["action"], told["actions"].as_array().unwrap().len()), (&json!("rollback"), 1));
        assert_eq!(project.read("assets.toml"), format!("{before}\n[pins]\nsword = 1\n"));
        assert_eq!(content(&remote, id), hash(rbxmx("1").as_bytes()));
        assert_eq!(
            (row(&project, "sword")["state"].as_str(), remote.requests(ApiEndpoint::RollbackAsset)),
            (Some("pinned"), 1)
        );
        is_settled(&remote, &project);
        // Another machine knows what it was carried out to.
        project.remove_state();
        is_settled(&remote, &project);

        let (code, told) = project.json(&["unpin", "sword"]);
        assert_eq!((code, &told["outcome"], &told["asset_id"]), (0, &json!("done"), &json!(id)), "{told:#}");
        assert_eq!(project.read("assets.toml"), before);
        assert_eq!(content(&remote, id), hash(rbxmx("3").as_bytes()));
        assert_eq!(row(&project, "sword")["state"], "synced");
        is_settled(&remote, &project);
        // Nothing was uploaded for it.
        assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), 2);
    }
}

#[test]
fn a_picture_is_pinned_from_a_fresh_clone_and_restored() {
    let (remote, project) = three(&[]);
    let (_, history) = project.json(&["history", "ui/a.png"]);
    let first = history["revisions"][0]["asset_id"].as_u64().unwrap();
    remote.control().edit(first, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    project.remove_state();
    let ran = project.run(&["pin", "ui/a.png", "1"]).expect(0);
    assert!(ran.stdout.contains("rolled back") && ran.stdout.trim_end().ends_with(COMMIT), "{}", ran.stdout);
    assert!(project.read("assets.toml").contains(&format!("[pins]\n\"ui/a.png\" = {{ asset_id = {first} }}\n")));
    assert_eq!(asset_id(&project, "ui/a.png"), first);
    assert!(!remote.control().asset(first).unwrap().asset.archived);
    is_settled(&remote, &project);
    // Its file waits.
    project.write("ui/a.png", png(9));
    let (_, plan) = project.json(&["plan"]);
    assert!(plan["notes"].to_string().contains("macadam unpin ui/a.png"), "{plan:#}");
    // A second pin takes the place of the first.
    project.run(&["pin", "ui/a.png", "2"]).expect(0);
    assert_eq!(project.read("assets.toml").matches("ui/a.png\"").count(), 1);
    // Back to the file, which was never uploaded.
    let (code, told) = project.json(&["unpin", "ui/a.png"]);
    assert_eq!((code, &told["actions"][0]["action"], &told["revision"]), (0, &json!("replace"), &json!(4)), "{told:#}");
    assert!(!project.read("assets.toml").contains("pins"));
    assert_eq!(content(&remote, asset_id(&project, "ui/a.png")), hash(&png(9)));
    is_settled(&remote, &project);
}

#[test]
fn pin_carries_out_only_its_address() {
    let (remote, project) = three(&[]);
    project.write("ui/a.png", png(7));
    project.write("ui/new.png", png(8));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    project.run(&["pin", "sword", "2"]).expect(0);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["summary"], json!({"replace": 1, "create": 1}));
    project.sync();
    is_settled(&remote, &project);
}

#[test]
fn pin_with_no_sync_only_writes_the_manifest() {
    let (remote, project) = three(&[]);
    let requests = remote.all_requests();
    let mut command = project.command(&["pin", "sword", "1", "--no-sync", "--json"]);
    // It needs no key, and no lock: another process may hold the state.
    let ran = Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(0);
    assert!(ran.stdout.contains("\"outcome\": \"written\""), "{}", ran.stdout);
    assert_eq!(remote.all_requests(), requests);
    assert_eq!(project.json(&["plan"]).1["summary"], json!({"rollback": 1}));
    let text = project.run(&["unpin", "sword", "--no-sync"]).expect(0).stdout;
    // Nothing but the manifest has changed.
    assert!(text.trim_end().ends_with("Commit the manifest: the next sync carries it out."), "{text}");
    assert_eq!(remote.all_requests(), requests);
    is_settled(&remote, &project);
}

/// A refused pin leaves the manifest as it was, and sends nothing.
#[test]
fn pin_checks_everything_before_it_writes() {
    let (remote, project) = three(&[]);
    project.write("ui/other.png", png(40));
    project.sync();
    project.write("ui/young.png", png(41));
    project.remove("ui/other.png");
    let before = (project.read("assets.toml"), remote.all_requests());
    let cases = [
        ("sword", "9", "`sword` can't be pinned to revision 9, which it never had", "it has 1, 2, 3"),
        ("ui/a.png", "4", "which it never had", "it has 1 (asset "),
        ("swrod", "1", "there is no asset named `swrod`", "did you mean `sword`?"),
        ("ui/young.png", "1", "has no revisions yet", "macadam sync --once"),
        ("ui/other.png", "1", "`ui/other.png` is not in the manifest", "add `ui/other.png` to the manifest"),
    ];
    for (address, revision, message, hint) in cases {
        for more in [&[][..], &["--no-sync"]] {
            let told = refused(&project, &[&["pin", address, revision], more].concat(), 1);
            assert!(told.0.contains(message) && told.1.contains(hint), "{told:?}");
        }
    }
    for revision in ["one", "0"] {
        refused(&project, &["pin", "sword", revision], 64);
    }
    let told = refused(&project, &["unpin", "sword"], 1);
    assert!(told.0.contains("`sword` is not pinned"), "{told:?}");
    let keyless = project.command(&["pin", "sword", "1"]).env_remove("ROBLOX_API_KEY").output().unwrap();
    drop(Ran::of(keyless).expect(4));
    assert_eq!((project.read("assets.toml"), remote.all_requests()), before);
}

#[test]
fn pinning_a_rejected_or_missing_revision_is_refused() {
    let (remote, project) = three(&[]);
    let (_, history) = project.json(&["history", "ui/a.png"]);
    let first = history["revisions"][0]["asset_id"].as_u64().unwrap();
    let text = project.read("assets.lock.toml");
    project.remove_state();
    let line = text.lines().find(|line| line.contains(&format!("asset_id = {first},"))).unwrap();
    for (standing, why) in [("rejected", "which moderation rejected"), ("gone", "which Roblox no longer has")] {
        let with = line.replacen(" }", &format!(", state = \"{standing}\" }}"), 1);
        project.write("assets.lock.toml", text.replace(line, &with));
        let (message, hint) = refused(&project, &["pin", "ui/a.png", "1"], 1);
        assert!(message.contains(why) && hint.starts_with("it has 2 (asset "), "{message} {hint}");
    }
    assert_eq!(remote.requests(ApiEndpoint::RestoreAsset), 0);
}

#[test]
fn pin_beside_a_running_sync_exits_with_5_and_changes_nothing() {
    let (remote, project) = three(&[]);
    project.write("ui/b.png", png(30));
    let stuck = FaultAction::Operation(OperationFault::Stuck { for_ms: None });
    let conditions = Conditions { endpoint: Some(ApiEndpoint::CreateAsset), ..Conditions::default() };
    remote.control().add_faults(vec![FaultRule { label: None, conditions, times: None, action: stuck }]).unwrap();
    let mut sync = project.command(&["sync", "--once"]);
    let mut sync = sync.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let polls = remote.requests(ApiEndpoint::GetOperation);
    wait_until("a poll", || remote.requests(ApiEndpoint::GetOperation) > polls);
    let before = project.read("assets.toml");
    refused(&project, &["pin", "sword", "1"], 5);
    assert_eq!(project.read("assets.toml"), before);
    project.run(&["pin", "sword", "1", "--no-sync"]).expect(0);
    refused(&project, &["unpin", "sword"], 5);
    project.run(&["unpin", "sword", "--no-sync"]).expect(0);
    assert_eq!(project.read("assets.toml"), before);
    sync.kill().unwrap();
    sync.wait().unwrap();
}

/// The manifest says what is wanted; the next sync goes on from there.
#[test]
fn a_pin_that_could_not_be_carried_out_stays_written() {
    let (remote, project) = three(&[]);
    let id = asset_id(&project, "sword");
    remote.control().edit(id, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    let (code, told) = project.json(&["pin", "sword", "1"]);
    assert_eq!((code, &told["outcome"], &told["manifest_written"]), (1, &json!("failed"), &json!(true)), "{told:#}");
    let error = &told["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("that isn't done yet"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("`macadam unpin sword` removes the pin"), "{error:#}");
    assert!(project.read("assets.toml").contains("sword = 1"));
    remote.control().edit(id, &ForeignEdit { archived: Some(false), ..ForeignEdit::default() }).unwrap();
    project.run(&["retry", "sword"]).expect(0);
    project.run(&["pin", "sword", "1"]).expect(0);
    assert_eq!(content(&remote, id), hash(rbxmx("1").as_bytes()));
}

#[test]
fn a_rehearsal_pins_in_the_emulators_world() {
    let project = Project::new(super::MANIFEST);
    for shade in 1..=2 {
        project.write("sword.rbxmx", rbxmx(&format!("{shade}")));
        project.run(&["sync", "--once", "--emulator"]).expect(0);
    }
    let manifest = project.read("assets.toml");
    let ran = project.run(&["pin", "sword", "1", "--emulator"]).expect(0);
    assert!(!ran.stdout.contains(COMMIT), "{}", ran.stdout);
    assert_eq!(project.json(&["status", "sword", "--emulator"]).1["assets"][0]["pinned_revision"], 1);
    let refused = project.run(&["unpin", "sword"]).expect(1);
    assert!(refused.stderr.contains("is not pinned"), "{}", refused.stderr);
    let (_, plan) = project.json(&["plan", "--emulator"]);
    assert_eq!(plan["actions"], json!([]));
    project.run(&["unpin", "sword", "--emulator"]).expect(0);
    assert_eq!(project.json(&["status", "sword", "--emulator"]).1["assets"][0]["pinned_revision"], json!(null));
    assert_eq!(project.read("assets.toml"), manifest, "the real manifest was changed");
    assert!(!project.file("assets.lock.toml").exists() && !project.state().exists());
}

/// A pin of an address that is in the manifest for nothing else keeps the manifest from being used;
/// taking it out mends that.
#[test]
fn a_stray_pin_can_be_taken_out() {
    let (remote, project) = three(&[]);
    let before = project.read("assets.toml");
    project.write("assets.toml", format!("{before}\n[pins]\nnobody = 3\n"));
    project.run(&["sync", "--once"]).expect(3);
    project.run(&["unpin", "nobody"]).expect(0);
    assert_eq!(project.read("assets.toml"), before);
    is_settled(&remote, &project);
}
