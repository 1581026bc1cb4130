//! `archive` and `restore`.

use macadam::emulator::{ApiEndpoint, Conditions, FaultRule, ForeignEdit};
use serde_json::json;

use super::{MANIFEST, asset_id, is_settled, refused, remote, row, three};
use crate::support::{Project, Ran, png, rbxmx};

#[test]
fn an_asset_is_archived_and_a_sync_leaves_it_alone() {
    let (remote, project) = three(&[]);
    for address in ["sword", "ui/a.png"] {
        let id = asset_id(&project, address);
        let (code, told) = project.json(&["archive", address]);
        let keys = ["address", "asset_id", "revision", "outcome", "lockfile_written"];
        let values = keys.map(|key| told[key].clone());
        assert_eq!(code, 0, "{told:#}");
        assert_eq!(values, [json!(address), json!(id), json!(3), json!("done"), json!(true)], "{told:#}");
        assert!(remote.control().asset(id).unwrap().asset.archived);
        // Also on another machine, and where drift is healed.
        for fresh in [false, true] {
            if fresh {
                project.remove_state();
            }
            assert_eq!(row(&project, address)["state"], "archived");
            is_settled(&remote, &project);
            project.write("assets.toml", format!("{MANIFEST}\n[policy]\ndrift = \"heal\"\n"));
            project.run(&["sync", "--once", "--refresh"]).expect(0);
            project.write("assets.toml", MANIFEST);
        }
        assert!(remote.control().asset(id).unwrap().asset.archived);
        let told = refused(&project, &["archive", address], 1);
        assert!(told.0.contains("is already archived") && told.1.contains("macadam restore"), "{told:?}");

        let text = project.run(&["restore", address]).expect(0).stdout;
        assert!(text.contains("restored:") && text.contains("Commit the lockfile"), "{text}");
        assert!(!remote.control().asset(id).unwrap().asset.archived);
        assert_eq!(row(&project, address)["state"], "synced");
        assert!(!project.read("assets.lock.toml").contains("archived"));
        let told = refused(&project, &["restore", address], 1);
        assert!(told.0.contains("is not archived"), "{told:?}");
        is_settled(&remote, &project);
    }
}

#[test]
fn an_asset_of_two_addresses_is_archived_by_hand_for_both() {
    let (remote, project) = three(&[]);
    project.write("ui/z.png", png(3));
    project.sync();
    let both = ["ui/a.png", "ui/z.png"];
    project.run(&["archive", "--yes", both[0], both[1]]).expect(0);
    let told = project.run(&["sync", "--once", "--refresh"]).expect(0).stdout;
    assert!(!told.contains("outside of Macadam"), "{told}");
    for address in both {
        assert_eq!(row(&project, address)["archived_by"], "hand", "{told}");
    }
    project.run(&["restore", "ui/z.png"]).expect(0);
    for address in both {
        assert_eq!(row(&project, address)["state"], "synced");
    }
    is_settled(&remote, &project);
}

#[test]
fn restore_undoes_every_kind_of_archiving() {
    let (remote, project) = three(&[]);
    let id = asset_id(&project, "sword");
    let archive = |archived: bool| {
        remote.control().edit(id, &ForeignEdit { archived: Some(archived), ..ForeignEdit::default() }).unwrap();
    };
    archive(true);
    project.run(&["restore", "sword"]).expect(0);
    assert!(!remote.control().asset(id).unwrap().asset.archived);
    // An asset that another person restored no longer counts as archived, and nothing is sent.
    project.run(&["archive", "sword"]).expect(0);
    archive(false);
    project.let_reads_catch_up();
    let restores = remote.requests(ApiEndpoint::RestoreAsset);
    project.run(&["restore", "sword"]).expect(0);
    assert_eq!(remote.requests(ApiEndpoint::RestoreAsset), restores);
    assert_eq!(row(&project, "sword")["state"], "synced");
    is_settled(&remote, &project);
}

#[test]
fn an_address_that_left_is_archived_too() {
    let (remote, project) = three(&[]);
    let id = asset_id(&project, "ui/a.png");
    project.remove("ui/a.png");
    project.write("ui/other.png", png(9));
    project.sync();
    project.run(&["archive", "ui/a.png"]).expect(0);
    assert!(remote.control().asset(id).unwrap().asset.archived);
    assert_eq!(row(&project, "ui/a.png")["state"], "archived");
    is_settled(&remote, &project);
}

#[test]
fn an_asset_in_use_elsewhere_is_not_archived() {
    let remote = remote(&[]);
    let manifest = "\
[creator]
user_id = 1
[assets.sword]
path = \"sword.rbxmx\"
icon = \"ui/icon.png\"
[globs.ui]
path = \"ui/*.png\"
";
    let project = Project::new(manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("1"));
    for (name, shade) in [("icon", 1), ("b", 2), ("c", 2), ("d", 3)] {
        project.write(&format!("ui/{name}.png"), png(shade));
    }
    project.sync();
    let d = asset_id(&project, "ui/d.png");
    project.write("assets.toml", format!("{manifest}[existing]\nmusic = {d}\n"));
    let cases = [
        ("ui/icon.png", "`sword`, as its icon"),
        ("ui/b.png", "`ui/c.png`"),
        ("ui/c.png", "`ui/b.png`"),
        ("ui/d.png", "`music` of [existing]"),
    ];
    for (address, by) in cases {
        let told = refused(&project, &["archive", address], 1);
        assert!(told.0.contains("is also used by") && told.0.contains(by), "{told:?}");
    }
    let told = refused(&project, &["archive", "swrod"], 1);
    assert_eq!(told.1, "did you mean `sword`?");
    project.write("ui/young.png", png(8));
    let told = refused(&project, &["archive", "ui/young.png"], 1);
    assert!(told.0.contains("has no asset yet"), "{told:?}");
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
}

/// A refusal says nothing of what the manifest wants: the address goes on as before.
#[test]
fn a_refused_archiving_changes_nothing_here() {
    let (remote, project) = three(&[]);
    let keyless = project.command(&["archive", "sword"]).env_remove("ROBLOX_API_KEY").output().unwrap();
    drop(Ran::of(keyless).expect(4));
    let reply = json!({ "kind": "reply", "status": 400, "shape": "service", "message": "no" });
    let conditions = Conditions { endpoint: Some(ApiEndpoint::ArchiveAsset), ..Conditions::default() };
    let action = serde_json::from_value(reply).unwrap();
    let rule = FaultRule { label: None, conditions, times: None, action };
    remote.control().add_faults(vec![rule]).unwrap();
    let (code, told) = project.json(&["archive", "sword"]);
    assert_eq!((code, &told["outcome"]), (1, &json!("failed")), "{told:#}");
    assert!(told["errors"][0]["message"].as_str().unwrap().contains("Roblox refused it"), "{told:#}");
    remote.control().clear_faults();
    assert_eq!(row(&project, "sword")["state"], "synced");
    is_settled(&remote, &project);
}

#[test]
fn a_rehearsal_archives_in_the_emulators_world() {
    let project = Project::new(MANIFEST);
    project.write("sword.rbxmx", rbxmx("1"));
    project.run(&["sync", "--once", "--emulator"]).expect(0);
    project.run(&["archive", "sword", "--emulator"]).expect(0);
    let (_, status) = project.json(&["status", "--emulator"]);
    assert_eq!(status["assets"][0]["state"], "archived");
    project.run(&["restore", "sword", "--emulator"]).expect(0);
    let (_, status) = project.json(&["status", "--emulator"]);
    assert_eq!(status["assets"][0]["state"], "synced");
}

/// On another branch it was restored a moment ago: no read can contradict that yet, and the
/// lockfile of the branch that archived it may be older.
#[test]
fn an_older_lockfile_does_not_archive_again_what_was_restored_since() {
    let (remote, project) = three(&[]);
    for address in ["sword", "ui/a.png"] {
        let id = asset_id(&project, address);
        project.run(&["archive", address]).expect(0);
        let older = project.read("assets.lock.toml");
        project.run(&["restore", address]).expect(0);
        project.write("assets.lock.toml", older);
        project.sync();
        let told = row(&project, address);
        assert_eq!((&told["state"], &told["archived_by"]), (&json!("synced"), &json!(null)), "{told:#}");
        assert!(!project.read("assets.lock.toml").contains("archived"));
        assert!(!remote.control().asset(id).unwrap().asset.archived);
        // A look that can tell says the same.
        project.let_reads_catch_up();
        project.sync();
        assert_eq!(row(&project, address)["state"], "synced");
        is_settled(&remote, &project);
    }
}

/// Roblox can't update a picture: its changed file would get a new asset, and be in use again.
#[test]
fn a_changed_picture_of_an_asset_that_a_person_archived_is_held() {
    let (remote, project) = three(&[]);
    let id = asset_id(&project, "ui/a.png");
    project.run(&["archive", "ui/a.png"]).expect(0);
    let made = remote.assets().len();
    project.write("ui/a.png", png(77));
    let (code, report) = project.json(&["sync", "--once"]);
    let held = &report["actions"][0];
    assert_eq!((code, &held["outcome"], &held["code"]), (1, &json!("held"), &json!("archived")), "{report:#}");
    assert!(held["hint"].as_str().unwrap().contains("macadam restore ui/a.png"), "{report:#}");
    assert_eq!((remote.assets().len(), asset_id(&project, "ui/a.png")), (made, id));
    project.run(&["restore", "ui/a.png"]).expect(0);
    assert_eq!(project.sync()["summary"], json!({"replace": 1}));
    is_settled(&remote, &project);
}

/// A reverted picture has an asset already, which would be in use again.
#[test]
fn a_picture_that_goes_back_after_a_person_archived_its_asset_is_held_until_it_is_restored() {
    let (remote, project) = three(&[]);
    let manifest = format!(
        "{MANIFEST}\n[policy]\nreplaced = \"archive\"\narchive_after = \"0d\"\n\n[[outputs]]\npath = \"ids.json\"\n"
    );
    project.write("assets.toml", manifest);
    // So that no archiving is one of suspiciously many.
    (100..110).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let first = asset_id(&project, "ui/a.png");
    let earlier = std::fs::read(project.file("ui/a.png")).unwrap();
    project.write("ui/a.png", png(77));
    project.sync();
    let second = asset_id(&project, "ui/a.png");
    project.run(&["archive", "ui/a.png"]).expect(0);
    project.write("ui/a.png", earlier);
    let is_archived = |id: u64| remote.control().asset(id).unwrap().asset.archived;
    // Also in a fresh clone.
    for fresh in [false, true] {
        if fresh {
            project.remove_state();
        }
        let (code, report) = project.json(&["sync", "--once"]);
        let held = &report["actions"][0];
        assert_eq!((code, &held["outcome"], &held["code"]), (1, &json!("held"), &json!("archived")), "{report:#}");
        assert_eq!((asset_id(&project, "ui/a.png"), is_archived(first), is_archived(second)), (second, true, true));
        assert!(project.read("ids.json").contains(&format!("rbxassetid://{second}\"")), "{}", project.read("ids.json"));
    }
    project.run(&["restore", "ui/a.png"]).expect(0);
    assert!(!is_archived(second));
    project.sync();
    assert_eq!((asset_id(&project, "ui/a.png"), is_archived(first)), (first, false));
    assert!(project.read("ids.json").contains(&format!("rbxassetid://{first}\"")), "{}", project.read("ids.json"));
    project.sync();
    is_settled(&remote, &project);
}

#[test]
fn restoring_what_a_sync_would_archive_again_is_refused_and_both_ways_to_keep_it_work() {
    let remote = remote(&[]);
    let manifest = format!("{MANIFEST}\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n");
    let project = Project::new(&manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("sword"));
    (1..=3).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    project.sync();
    let id = asset_id(&project, "ui/1.png");
    let is_archived = || remote.control().asset(id).unwrap().asset.archived;
    project.remove("ui/1.png");
    project.sync();
    assert!(is_archived());
    let before = remote.writes();
    let (message, hint) = refused(&project, &["restore", "ui/1.png"], 1);
    assert!(message.contains("left the manifest") && message.contains("would archive"), "{message}");
    let existing = format!("\"ui/1.png\" = {id}");
    assert!(hint.contains("git revert") && hint.contains(&existing), "{hint}");
    assert_eq!(remote.writes(), before, "{message}");

    project.write("ui/1.png", png(1));
    project.sync();
    assert!(!is_archived(), "its file is back");
    project.remove("ui/1.png");
    project.sync();
    assert!(is_archived());
    project.write("assets.toml", format!("{manifest}\n[existing]\n{existing}\n"));
    project.run(&["restore", "ui/1.png"]).expect(0);
    project.sync();
    assert!(!is_archived(), "[existing] keeps it");
    is_settled(&remote, &project);
}
