//! Addresses that are renamed while they are pinned, were edited, or had other bytes before: no
//! asset ID changes without a word.

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::{asset_id, content, is_settled, refused, remote, row};
use crate::crash::stage::hash;
use crate::service::Service;
use crate::support::{Project, Remote, png, rbxmx};

/// One Model of its own name, found by a glob, with two revisions.
fn model() -> (Remote, Project) {
    let remote = remote(&[]);
    let project = Project::new(MANIFEST).at(&remote.url());
    for name in ["1", "2"] {
        project.write("m/sword.rbxmx", rbxmx(name));
        project.sync();
    }
    (remote, project)
}

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.m]\npath = \"m/*.rbxmx\"\n\n[globs.ui]\npath = \"ui/*.png\"\n";

fn rename(project: &Project, from: &str, to: &str) {
    std::fs::rename(project.file(from), project.file(to)).unwrap();
}

fn actions(document: &Value) -> Vec<String> {
    let entries = document["actions"].as_array().unwrap().iter();
    entries.map(|entry| format!("{} {}", entry["action"], entry["address"]).replace('"', "")).collect()
}

/// Its file holds bytes that were never uploaded, so only the pin tells its identity.
#[test]
fn a_pinned_model_that_is_renamed_keeps_its_asset() {
    let (remote, project) = model();
    let id = asset_id(&project, "m/sword.rbxmx");
    project.run(&["pin", "m/sword.rbxmx", "1"]).expect(0);
    project.write("m/sword.rbxmx", rbxmx("never uploaded"));
    rename(&project, "m/sword.rbxmx", "m/blade.rbxmx");
    // The pin still has the old name: nothing is made in its place, and the remedy is reported.
    for _ in 0..2 {
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(code, 1, "{document:#}");
        assert_eq!(actions(&document), ["hold m/blade.rbxmx", "hold m/sword.rbxmx"], "{document:#}");
        let hint = document["actions"][0]["hint"].as_str().unwrap();
        assert!(hint.starts_with("write `m/blade.rbxmx` there if it is `m/sword.rbxmx`"), "{hint}");
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 1);
    // Its pin is renamed: it is the same asset, and stays where it is.
    project.write("assets.toml", project.read("assets.toml").replace("m/sword.rbxmx\" = 1", "m/blade.rbxmx\" = 1"));
    assert_eq!(actions(&project.sync()), ["move m/blade.rbxmx"]);
    assert_eq!((asset_id(&project, "m/blade.rbxmx"), content(&remote, id)), (id, hash(rbxmx("1").as_bytes())));
    is_settled(&remote, &project);
    project.run(&["unpin", "m/blade.rbxmx"]).expect(0);
    assert_eq!(content(&remote, id), hash(rbxmx("never uploaded").as_bytes()));
    assert_eq!(remote.assets().len(), 1);
}

#[test]
fn a_pin_that_is_renamed_in_the_same_commit_moves_along() {
    let (remote, project) = model();
    project.write("ui/a.png", png(1));
    project.sync();
    project.write("ui/a.png", png(2));
    project.sync();
    let (_, history) = project.json(&["history", "ui/a.png"]);
    let (sword, first) = (asset_id(&project, "m/sword.rbxmx"), history["revisions"][0]["asset_id"].clone());
    // A Model where it is, without a rollback; a picture at its first asset.
    project.run(&["pin", "m/sword.rbxmx", "2"]).expect(0);
    project.run(&["pin", "ui/a.png", "1"]).expect(0);
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    for (from, to) in [("m/sword.rbxmx", "m/blade.rbxmx"), ("ui/a.png", "ui/b.png")] {
        rename(&project, from, to);
        project.write("assets.toml", project.read("assets.toml").replace(from, to));
    }
    project.write("m/blade.rbxmx", rbxmx("never uploaded"));
    project.write("ui/b.png", png(9));
    // Also on a machine that has nothing but the lockfile.
    project.remove(".macadam");
    let document = project.sync();
    assert_eq!(actions(&document), ["move m/blade.rbxmx", "move ui/b.png"], "{document:#}");
    assert_eq!(document["actions"][0]["code"], "moved_by_pin", "{document:#}");
    assert_eq!((json!(asset_id(&project, "ui/b.png")), asset_id(&project, "m/blade.rbxmx")), (first, sword));
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
    is_settled(&remote, &project);
}

#[test]
fn a_renamed_file_with_bytes_that_it_had_before_keeps_its_asset() {
    let (remote, project) = model();
    project.write("ui/a.png", png(1));
    project.sync();
    project.write("ui/a.png", png(2));
    project.sync();
    let id = asset_id(&project, "m/sword.rbxmx");
    project.remove("m/sword.rbxmx");
    project.write("m/blade.rbxmx", rbxmx("1"));
    project.remove("ui/a.png");
    project.write("ui/b.png", png(1));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    let done = ["move m/blade.rbxmx", "update_content m/blade.rbxmx", "move ui/b.png", "replace ui/b.png"];
    assert_eq!(actions(&project.sync()), done);
    assert_eq!((asset_id(&project, "m/blade.rbxmx"), remote.requests(ApiEndpoint::CreateAsset)), (id, creates));
    assert_eq!(row(&project, "ui/b.png")["revision"], 1);
    is_settled(&remote, &project);
}

/// Renamed, edited and under another key in one commit: nothing tells that it is the same.
#[test]
fn a_rename_with_an_edit_is_said_where_it_makes_a_new_asset() {
    let (remote, project) = model();
    let id = asset_id(&project, "m/sword.rbxmx");
    project.remove("m/sword.rbxmx");
    project.write("m/blade.rbxmx", rbxmx("3"));
    let told = format!("`m/sword.rbxmx`, renamed and edited, `macadam import m/blade.rbxmx {id}` gives it");
    let (_, plan) = project.json(&["plan"]);
    assert!(plan["notes"].to_string().contains(&told), "{plan:#}");
    let ran = project.run(&["sync", "--once"]).expect(0);
    assert!(ran.stdout.contains(&told), "{}", ran.stdout);
    // It is not too late.
    project.run(&["import", "m/blade.rbxmx", &id.to_string()]).expect(0);
    project.sync();
    assert_eq!((asset_id(&project, "m/blade.rbxmx"), content(&remote, id)), (id, hash(rbxmx("3").as_bytes())));
    is_settled(&remote, &project);
}

#[test]
fn a_rename_with_an_edit_is_held_where_the_id_is_protected() {
    let (remote, project) = model();
    let id = asset_id(&project, "m/sword.rbxmx");
    project.write("assets.toml", format!("{MANIFEST}\n[defaults]\nprevent_replace = true\n"));
    project.remove("m/sword.rbxmx");
    project.write("m/blade.rbxmx", rbxmx("3"));
    for _ in 0..2 {
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!((code, actions(&document)), (1, vec!["hold m/blade.rbxmx".to_owned()]), "{document:#}");
        let hint = document["actions"][0]["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("`macadam import m/blade.rbxmx {id}`")), "{hint}");
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 1);
    project.run(&["import", "m/blade.rbxmx", &id.to_string()]).expect(0);
    assert_eq!(actions(&project.sync()), ["update_content m/blade.rbxmx"]);
    assert_eq!((asset_id(&project, "m/blade.rbxmx"), remote.assets().len()), (id, 1));
    is_settled(&remote, &project);
}

#[test]
fn an_emptied_manifest_archives_nothing_and_says_how_to_do_it_on_purpose() {
    let (remote, project) = model();
    project.write("assets.toml", "[creator]\nuser_id = 1\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n");
    for args in [&["plan"][..], &["check"], &["sync", "--once"]] {
        let told = project.run(args).expect(0).stdout;
        assert!(told.contains("lists no asset, and the lockfile still has one: m/sword.rbxmx"), "{args:?}: {told}");
        assert!(!told.contains("isn't here"), "its file is: {told}");
    }
    let (_, checkup) = project.json(&["doctor"]);
    assert!(!checkup.to_string().contains("finds no file"), "{checkup:#}");
    let document = project.sync();
    assert!(
        document["notes"].to_string().contains("`macadam archive '**'` archives them all on purpose"),
        "{document:#}"
    );
    assert_eq!((remote.requests(ApiEndpoint::ArchiveAsset), document["actions"].clone()), (0, json!([])));
}

/// Each command that takes the name of an asset, with an old name.
const WITH_A_NAME: [&[&str]; 14] = [
    &["status", "OLD"],
    &["history", "OLD"],
    &["open", "OLD"],
    &["pin", "OLD", "1"],
    &["unpin", "OLD"],
    &["forget", "OLD"],
    &["archive", "OLD"],
    &["restore", "OLD"],
    &["retry", "OLD"],
    &["resolve", "OLD", "--no-duplicate"],
    &["recreate", "--creator", "OLD"],
    &["import", "OLD", "5"],
    &["plan", "OLD"],
    &["sync", "--once", "--overwrite", "OLD"],
];

#[test]
fn whoever_types_an_old_name_is_told_the_new_one_by_every_command() {
    let remote = remote(&[]);
    let manifest = |name: &str| format!("[creator]\nuser_id = 1\n\n[assets.{name}]\npath = \"sword.rbxmx\"\n");
    let project = Project::new(&manifest("sword")).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("1"));
    project.sync();
    let hint = |args: &[&str], name: &str| {
        let args: Vec<&str> = args.iter().map(|word| if *word == "OLD" { name } else { *word }).collect();
        let (code, document) = project.json(&args);
        assert_eq!(code, 1, "{args:?} {document:#}");
        document["errors"][0]["hint"].as_str().unwrap_or_default().to_owned()
    };
    // Before a sync took the name over.
    project.write("assets.toml", manifest("blade"));
    for args in WITH_A_NAME {
        match args[0] {
            "history" => {
                let told = project.run(&["history", "sword"]).expect(0).stdout;
                assert!(told.contains("note the manifest calls sword `blade` now"), "{told}");
            }
            "forget" => {
                let told = project.run(&["forget", "sword"]).expect(1).stderr;
                assert!(told.contains("the manifest calls sword `blade` now"), "{told}");
            }
            // The state has it under its old name, so they do what they are asked.
            "archive" | "restore" => {
                let args = [args, if args[0] == "archive" { &["--yes"] } else { &[] }].concat();
                let args: Vec<&str> = args.iter().map(|word| if *word == "OLD" { "sword" } else { *word }).collect();
                let told = project.run(&args).expect(0).stdout;
                assert!(told.contains("note the manifest calls sword `blade` now"), "{told}");
            }
            "recreate" => {}
            _ => {
                let hint = hint(args, "sword");
                assert!(hint.starts_with("the manifest calls it `blade` now: run"), "{args:?}: {hint}");
            }
        }
    }
    for args in [&["pin", "OLD", "1"][..], &["history", "OLD"], &["archive", "OLD"]] {
        let hint = hint(args, "blade");
        assert!(hint.starts_with("it was called `sword` until now"), "{args:?}: {hint}");
    }
    project.sync();
    WITH_A_NAME.into_iter().for_each(|args| assert_eq!(hint(args, "sword"), "it is called `blade` now", "{args:?}"));
    // Twice renamed.
    project.write("assets.toml", manifest("sabre"));
    project.sync();
    assert_eq!(hint(&["open", "OLD"], "sword"), "it is called `sabre` now");
    assert_eq!(hint(&["open", "OLD"], "blade"), "it is called `sabre` now");
    // An asset that has the name again is what is meant.
    project.write("assets.toml", manifest("sword"));
    project.sync();
    project.run(&["open", "sword"]).expect(0);
    // What is forgotten has no name.
    project.run(&["forget", "--yes", "sword"]).expect(0);
    assert!(!hint(&["open", "OLD"], "blade").contains("called"));
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 1);
}

#[test]
fn a_name_that_a_new_asset_has_is_no_old_name() {
    let remote = remote(&[]);
    let entry = |name: &str| format!("[assets.{name}]\npath = \"{name}.rbxmx\"\n\n");
    let manifest = |names: &[&str]| {
        let entries: String = names.iter().map(|name| entry(name)).collect();
        format!("[creator]\nuser_id = 1\n\n{entries}")
    };
    let project = Project::new(&manifest(&["sword"])).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("1"));
    project.sync();
    rename(&project, "sword.rbxmx", "old.rbxmx");
    project.write("assets.toml", manifest(&["old"]));
    project.sync();
    let hint = |args: &[&str]| refused(&project, args, 1).1;
    {
        let service = Service::start(&project, &[]);
        service.until_synced("old");
        assert_eq!(hint(&["archive", "sword"]), "it is called `old` now");
        assert_eq!(hint(&["import", "sword", "5"]), "it is called `old` now");
        service.end();
    }
    // A new asset gets the name; no sync has seen it yet.
    project.write("sword.rbxmx", rbxmx("2"));
    project.write("assets.toml", manifest(&["old", "sword"]));
    for args in [&["archive", "sword"][..], &["open", "sword"], &["pin", "sword", "1"], &["history", "sword"]] {
        let hint = hint(args);
        assert!(hint.contains("`macadam sync --once`") && !hint.contains("old"), "{args:?}: {hint}");
    }
    // Roblox doesn't have the asset, which is no question of names.
    let is_not_found = || assert!(hint(&["import", "sword", "5"]).starts_with("its ID is in the address of its page"));
    is_not_found();
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    is_not_found();
    service.end();
    // It had the name last, so it is the one that is missing.
    project.write("assets.toml", manifest(&["old"]));
    project.sync();
    project.run(&["forget", "--yes", "sword"]).expect(0);
    assert!(!hint(&["open", "sword"]).contains("`old` now"));
}

#[test]
fn status_does_not_advise_to_drop_the_pin_of_an_asset_that_may_be_renamed() {
    let (_remote, project) = model();
    project.write("ui/a.png", png(1));
    project.sync();
    project.run(&["pin", "ui/a.png", "1"]).expect(0);
    rename(&project, "ui/a.png", "ui/b.png");
    let (_, status) = project.json(&["status", "ui/a.png"]);
    let hint = status["assets"][0]["hint"].as_str().unwrap();
    assert!(hint.starts_with("`macadam plan` finds the new name"), "{hint}");
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["actions"][0]["hint"], "write `ui/b.png` there", "{plan:#}");
}

/// Both were one asset, since their bytes are equal.
#[test]
fn renamed_files_of_keys_are_told_one_by_one() {
    let remote = remote(&[]);
    let manifest = |one: &str, two: &str| {
        format!("[creator]\nuser_id = 1\n\n[assets.one]\npath = \"{one}\"\n\n[assets.two]\npath = \"{two}\"\n")
    };
    let project = Project::new(&manifest("a.png", "b.png")).at(&remote.url());
    project.write("a.png", png(1));
    project.write("b.png", png(1));
    project.sync();
    rename(&project, "a.png", "x.png");
    rename(&project, "b.png", "y.png");
    project.write("assets.toml", manifest("x.png", "y.png"));
    for command in [&["plan"][..], &["sync", "--once"]] {
        let told = project.run(command).expect(0).stdout;
        for line in
            ["one: its file is x.png now, and was a.png before", "two: its file is y.png now, and was b.png before"]
        {
            assert!(told.contains(line), "{told}");
        }
    }
    is_settled(&remote, &project);
    assert_eq!(remote.assets().len(), 1);
}

/// Each of them is another asset, though their bytes are equal.
#[test]
fn two_models_of_equal_bytes_that_are_renamed_are_held_with_a_command_for_each() {
    let remote = remote(&[]);
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("m/a.rbxmx", rbxmx("same"));
    project.write("m/b.rbxmx", rbxmx("same"));
    project.sync();
    let (a, b) = (asset_id(&project, "m/a.rbxmx"), asset_id(&project, "m/b.rbxmx"));
    rename(&project, "m/a.rbxmx", "m/x.rbxmx");
    rename(&project, "m/b.rbxmx", "m/y.rbxmx");
    let (_, plan) = project.json(&["plan"]);
    let hint = plan["actions"][0]["hint"].as_str().unwrap();
    for (id, name) in [(a, "m/a.rbxmx"), (b, "m/b.rbxmx")] {
        assert!(hint.contains(&format!("`macadam import m/x.rbxmx {id}` if it is `{name}`")), "{hint}");
    }
}
