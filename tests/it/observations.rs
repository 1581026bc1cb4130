//! The weight of one answer by Roblox: reads that lag behind writes, a single "not found", an
//! appeal, an old state, and another asset's ID.

use macadam::emulator::{ApiEndpoint, ForeignEdit, ModerationRule, ModerationVerdict, VerdictStep};
use serde_json::{Value, json};

use crate::desired::{actions, asset, asset_id, prompt, row};
use crate::support::{Project, Remote, png, rbxmx};

const MANIFEST: &str = "\
[creator]
user_id = 1

[policy]
drift = \"heal\"

[assets.sword]
path = \"sword.rbxmx\"
display_name = \"Sword\"

[globs.ui]
path = \"ui/*.png\"
";

fn synced() -> (Remote, Project) {
    let remote = prompt();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("one"));
    project.write("ui/a.png", png(1));
    project.sync();
    (remote, project)
}

fn fault(remote: &Remote, script: Value) {
    remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
}

fn not_found(remote: &Remote, endpoint: &str, asset: u64, times: u64) {
    let reply = json!({"kind": "reply", "status": 404, "shape": "service", "message": "AssetId is not found"});
    let only = json!({"endpoint": endpoint, "asset_id": asset});
    fault(remote, json!({"match": only, "times": times, "action": reply}));
}

#[track_caller]
fn refresh(project: &Project, code: i32) -> Value {
    let (ended, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!(ended, code, "{document:#}");
    document
}

#[test]
fn restoring_right_after_archiving_is_sent_though_reads_lag() {
    let (remote, project) = synced();
    let id = asset_id(&project, "sword");
    fault(&remote, json!({"action": {"kind": "stale_reads", "for_ms": 60_000}}));
    project.run(&["archive", "sword"]).expect(0);
    assert!(remote.control().asset(id).unwrap().asset.archived);
    project.run(&["restore", "sword"]).expect(0);
    assert_eq!(remote.requests(ApiEndpoint::RestoreAsset), 1);
    assert!(!remote.control().asset(id).unwrap().asset.archived);
    // And back again, though Roblox still answers as before all of it.
    project.run(&["archive", "sword"]).expect(0);
    assert!(remote.control().asset(id).unwrap().asset.archived);
    assert_eq!(row(&project, "sword")["state"], "archived");
}

#[test]
fn own_writes_are_not_taken_for_somebody_elses_while_reads_lag() {
    let (remote, project) = synced();
    fault(&remote, json!({"action": {"kind": "stale_reads", "for_ms": 60_000}}));
    project.write("assets.toml", MANIFEST.replace("\"Sword\"\n", "\"Axe\"\nicon = \"ui/a.png\"\n"));
    project.sync();
    assert_eq!(asset(&project, &remote, "sword").asset.metadata.display_name, "Axe");
    let updates = remote.requests(ApiEndpoint::UpdateAsset);
    for _ in 0..2 {
        let document = refresh(&project, 0);
        assert_eq!((actions(&document).len(), &document["drifts"]), (0, &json!([])), "{document:#}");
    }
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), updates, "nothing is sent again");
    assert_eq!(row(&project, "sword")["state"], "synced");
}

#[test]
fn drift_is_healed_once_reads_have_caught_up() {
    let (remote, project) = synced();
    let edit = ForeignEdit { archived: Some(true), ..ForeignEdit::default() };
    remote.control().edit(asset_id(&project, "sword"), &edit).unwrap();
    assert_eq!(actions(&refresh(&project, 0)), Vec::<String>::new(), "it may be older than the upload");
    project.let_reads_catch_up();
    assert_eq!(actions(&refresh(&project, 0)), ["restore sword"]);
}

#[test]
fn one_answer_of_not_found_decides_nothing() {
    for endpoint in ["get_asset", "update_asset"] {
        let (remote, project) = synced();
        project.let_reads_catch_up();
        let id = asset_id(&project, "sword");
        not_found(&remote, endpoint, id, 1);
        project.write("sword.rbxmx", rbxmx("two"));
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(code, 1, "{endpoint}: {document:#}");
        assert!(document.to_string().contains(&format!("no asset {id}")), "{endpoint}: {document:#}");
        assert!(!project.read("assets.lock.toml").contains("gone"), "{endpoint}");
        assert_eq!((remote.assets().len(), asset_id(&project, "sword")), (2, id), "{endpoint}");
        // It is asked again by itself, and goes on.
        project.pass(6);
        assert_eq!(actions(&project.sync()), ["update_content sword"], "{endpoint}");
        assert_eq!(row(&project, "sword")["state"], "synced", "{endpoint}");
    }
}

/// Every look says that the picture is missing, until it counts.
fn picture_is_gone(remote: &Remote, project: &Project) -> u64 {
    let id = asset_id(project, "ui/a.png");
    not_found(remote, "get_asset", id, 3);
    for answer in 1..=3 {
        assert!(!project.read("assets.lock.toml").contains("gone"), "before answer {answer}");
        project.pass(6);
        refresh(project, 0);
    }
    assert!(project.read("assets.lock.toml").contains("state = \"gone\""));
    id
}

#[test]
fn gone_takes_several_answers_keeps_the_id_and_ends_with_the_first_good_one() {
    for fresh in [false, true] {
        let (remote, project) = synced();
        let id = picture_is_gone(&remote, &project);
        if fresh {
            project.remove(".macadam");
        }
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!((code, actions(&document).len(), remote.assets().len()), (0, 0, 2), "{document:#}");
        let shown = row(&project, "ui/a.png");
        assert_eq!((&shown["asset_id"], &shown["state"]), (&json!(id), &json!("drifted")), "{shown:#}");
        refresh(&project, 0);
        assert_eq!(row(&project, "ui/a.png")["state"], "synced", "fresh {fresh}");
        let lockfile = project.read("assets.lock.toml");
        assert!(!lockfile.contains("gone") && lockfile.contains("round = 1"), "{lockfile}");
        assert_eq!((asset_id(&project, "ui/a.png"), remote.assets().len()), (id, 2));
    }
}

#[test]
fn a_retry_and_an_import_take_back_that_an_asset_is_gone() {
    for command in [vec!["retry", "ui/a.png"], vec!["import", "ui/a.png", "ID"]] {
        let (remote, project) = synced();
        let id = picture_is_gone(&remote, &project).to_string();
        let command: Vec<&str> = command.iter().map(|word| if *word == "ID" { id.as_str() } else { *word }).collect();
        project.run(&command).expect(0);
        project.sync();
        assert_eq!(row(&project, "ui/a.png")["state"], "synced", "{command:?}");
        assert!(!project.read("assets.lock.toml").contains("gone"), "{command:?}");
        assert_eq!(remote.assets().len(), 2, "{command:?}");
    }
}

#[test]
fn a_picture_whose_earlier_asset_is_gone_is_not_uploaded_again() {
    let (remote, project) = synced();
    let id = picture_is_gone(&remote, &project);
    project.write("ui/a.png", png(2));
    assert_eq!(actions(&project.sync()), ["replace ui/a.png"], "another picture is another asset");
    project.write("ui/a.png", png(1));
    for fresh in [false, true] {
        if fresh {
            project.remove(".macadam");
        }
        let (code, document) = project.json(&["sync", "--once"]);
        if !fresh {
            assert_eq!((code, actions(&document)), (1, vec!["hold ui/a.png".to_owned()]), "{document:#}");
            let told = document.to_string();
            assert!(told.contains(&id.to_string()) && told.contains("with a new ID"), "{document:#}");
        }
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3, "fresh {fresh}");
    }
}

#[test]
fn an_appeal_ends_a_rejection_on_every_machine() {
    let (remote, project) = synced();
    let id = asset_id(&project, "ui/a.png");
    let judge = |verdict: ModerationVerdict| {
        let verdicts = vec![VerdictStep { after_ms: 0, verdict }];
        remote.control().moderate(ModerationRule { asset_id: Some(id), verdicts, ..ModerationRule::default() });
    };
    project.let_reads_catch_up();
    judge(ModerationVerdict::Rejected);
    refresh(&project, 1);
    let rejected = project.read("assets.lock.toml");
    assert!(rejected.contains("state = \"rejected\""), "{rejected}");
    judge(ModerationVerdict::Approved);
    let other = Project::new(MANIFEST).at(&remote.url());
    for name in ["sword.rbxmx", "ui/a.png", "assets.lock.toml"] {
        other.write(name, std::fs::read(project.file(name)).unwrap());
    }
    refresh(&other, 0);
    let appealed = other.read("assets.lock.toml");
    assert!(!appealed.contains("rejected"), "{appealed}");
    // The first machine hears of it by the lockfile alone.
    project.write("assets.lock.toml", appealed);
    project.sync();
    assert_eq!((row(&project, "ui/a.png")["state"].as_str(), remote.assets().len()), (Some("synced"), 2));
}

#[test]
fn an_old_state_with_a_newer_lockfile_looks_again_before_it_holds() {
    let (_remote, project) = synced();
    project.let_reads_catch_up();
    refresh(&project, 0);
    let old = project.file("old");
    std::fs::create_dir(&old).unwrap();
    for entry in std::fs::read_dir(project.file(".macadam")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), old.join(entry.file_name())).unwrap();
        }
    }
    for name in ["two", "three"] {
        project.write("sword.rbxmx", rbxmx(name));
        project.sync();
    }
    project.remove(".macadam");
    std::fs::rename(old, project.file(".macadam")).unwrap();
    project.pass(60);
    let (_, plan) = project.json(&["plan"]);
    assert_eq!((&plan["drifts"], actions(&plan)), (&json!([]), vec![]), "{plan:#}");
    project.write("sword.rbxmx", rbxmx("four"));
    assert_eq!(actions(&project.sync()), ["update_content sword"]);
}

#[test]
fn an_asset_of_somebody_else_is_held_and_never_touched() {
    let (remote, project) = synced();
    let theirs = Project::new(&MANIFEST.replace("user_id = 1", "user_id = 2")).at(&remote.url());
    theirs.write("sword.rbxmx", rbxmx("theirs"));
    theirs.write("ui/a.png", png(9));
    theirs.sync();
    let lockfile = project.read("assets.lock.toml");
    for address in ["sword", "ui/a.png"] {
        let (ours, other) = (asset_id(&project, address), asset_id(&theirs, address));
        let wrong = Project::new(MANIFEST).at(&remote.url());
        wrong.write("sword.rbxmx", rbxmx("one"));
        wrong.write("ui/a.png", png(1));
        wrong.write("assets.lock.toml", lockfile.replace(&ours.to_string(), &other.to_string()));
        let before = remote.control().asset(other).unwrap().asset;
        let told = wrong.run(&["archive", address]).expect(1).stderr;
        assert!(told.contains(&format!("asset {other} belongs to user 2")), "{told}");
        wrong.write("assets.toml", MANIFEST.replace("\"Sword\"", "\"Mine\""));
        wrong.write("sword.rbxmx", rbxmx("mine"));
        let (code, document) = wrong.json(&["sync", "--once", "--refresh"]);
        assert_eq!(code, 1, "{document:#}");
        let hold = document["actions"].as_array().unwrap().iter().find(|action| action["address"] == address).unwrap();
        assert_eq!(hold["action"], "hold", "{document:#}");
        assert!(hold.to_string().contains("belongs to user 2"), "{hold:#}");
        let after = remote.control().asset(other).unwrap().asset;
        assert_eq!((after.metadata, after.versions.len()), (before.metadata, before.versions.len()));
        assert!(!after.archived);
    }
}
