//! Several addresses at once, and globs.

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::{asset_id, content, is_settled, refused, remote, row, three};
use crate::crash::stage::hash;
use crate::support::{Project, Remote, png, rbxmx};

/// Pictures in two folders, each with two revisions.
fn pictures() -> (Remote, Project) {
    let remote = remote(&[]);
    let project = Project::new("[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n").at(&remote.url());
    for (round, names) in [(0, NAMES), (100, NAMES)] {
        for (at, name) in names.iter().enumerate() {
            project.write(name, png(u8::try_from(at).unwrap() + round));
        }
        project.sync();
    }
    (remote, project)
}

const NAMES: [&str; 4] = ["ui/a.png", "ui/b.png", "ui/x/c.png", "ui/x/d.png"];

/// The values of `key` by address.
fn by_address(document: &Value, key: &str) -> Vec<String> {
    let each = document["assets"].as_array().unwrap().iter();
    each.map(|one| format!("{} {}", one["address"].as_str().unwrap(), one[key])).collect()
}

fn is_archived(remote: &Remote, project: &Project, address: &str) -> bool {
    remote.control().asset(asset_id(project, address)).unwrap().asset.archived
}

#[test]
fn pins_are_written_all_or_none() {
    let (remote, project) = three(&[]);
    let before = project.read("assets.toml");
    // One of them never had it: none is pinned.
    project.write("ui/b.png", png(50));
    project.sync();
    let (message, _) = refused(&project, &["pin", "sword", "ui/*", "2"], 1);
    assert!(message.contains("`ui/b.png` can't be pinned to revision 2"), "{message}");
    assert_eq!((project.read("assets.toml"), remote.requests(ApiEndpoint::RollbackAsset)), (before.clone(), 0));
    let (code, document) = project.json(&["pin", "sword", "ui/a*", "1"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(by_address(&document, "revision"), ["sword 1", "ui/a.png 1"]);
    assert_eq!((&document["outcome"], &document["manifest_written"]), (&json!("done"), &json!(true)), "{document:#}");
    assert_eq!(content(&remote, asset_id(&project, "ui/a.png")), hash(&png(1)));
    assert_eq!(content(&remote, asset_id(&project, "sword")), hash(rbxmx("1").as_bytes()));
    is_settled(&remote, &project);
    let (message, _) = refused(&project, &["unpin", "sword", "ui/b.png"], 1);
    assert_eq!(message, "`ui/b.png` is not pinned");
    // A glob means what is pinned.
    project.run(&["unpin", "**"]).expect(0);
    assert_eq!(project.read("assets.toml"), before);
    assert_eq!(content(&remote, asset_id(&project, "ui/a.png")), hash(&png(3)));
    is_settled(&remote, &project);
    refused(&project, &["unpin", "**"], 1);
}

#[test]
fn addresses_are_forgotten_all_or_none() {
    let (_remote, project) = pictures();
    let before = project.read("assets.lock.toml");
    let (message, hint) = refused(&project, &["forget", "--yes", "ui/a.png", "ui/q.png"], 1);
    assert!(message.contains("`ui/q.png`") && !hint.is_empty(), "{message} {hint}");
    assert_eq!(project.read("assets.lock.toml"), before);
    let (code, document) = project.json(&["forget", "--yes", "ui/x/**", "ui/a.png"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(by_address(&document, "in_manifest"), ["ui/x/c.png true", "ui/x/d.png true", "ui/a.png true"]);
    assert!(document["assets"][0]["asset_ids"].as_array().unwrap().len() == 2, "{document:#}");
    let left: Vec<Value> = project.json(&["status"]).1["assets"].as_array().unwrap().clone();
    assert_eq!(left.iter().filter(|row| row["asset_id"].is_number()).count(), 1);
}

#[test]
fn each_is_archived_and_restored_for_itself() {
    let (remote, project) = pictures();
    let gone = asset_id(&project, "ui/b.png");
    project.run(&["archive", "ui/a.png"]).expect(0);
    // The glob doesn't mean addresses that are archived already.
    let (code, document) = project.json(&["archive", "ui/*"]);
    assert_eq!((code, by_address(&document, "outcome")), (0, vec!["ui/b.png \"done\"".to_owned()]), "{document:#}");
    assert!(remote.control().asset(gone).unwrap().asset.archived);
    // A name is: it fails, and keeps the others from nothing.
    let (code, document) = project.json(&["archive", "ui/a.png", "ui/x/c.png"]);
    let told = ["ui/a.png \"failed\"", "ui/x/c.png \"done\""];
    assert_eq!((code, by_address(&document, "outcome")), (1, told.map(str::to_owned).to_vec()), "{document:#}");
    let why = document["assets"][0]["errors"][0]["message"].as_str().unwrap();
    assert!(why.contains("is already archived"), "{document:#}");
    let text = project.run(&["restore", "**"]).expect(0).stdout;
    assert_eq!(text.matches("restored:").count(), 3, "{text}");
    assert!(NAMES.iter().all(|name| !is_archived(&remote, &project, name)));
    is_settled(&remote, &project);
}

#[test]
fn an_emptied_manifest_is_archived_on_purpose() {
    let (remote, project) = pictures();
    let ids = NAMES.map(|name| asset_id(&project, name));
    project.write("assets.toml", "[creator]\nuser_id = 1\n");
    project.run(&["archive", "**", "--yes"]).expect(0);
    assert!(ids.iter().all(|id| remote.control().asset(*id).unwrap().asset.archived));
}

#[test]
fn retry_with_a_glob_takes_the_refused_assets() {
    let (remote, project) = pictures();
    remote.control().add_text_rule(serde_json::from_value(json!({ "contains": "Bad", "action": "refuse" })).unwrap());
    let manifest = project.read("assets.toml");
    project.write("assets.toml", format!("{manifest}display_name = \"Bad\"\n"));
    project.run(&["sync", "--once"]).expect(1);
    remote.control().clear_text_rules();
    let (code, document) = project.json(&["retry", "ui/x/*"]);
    assert_eq!((code, &document["addresses"]), (0, &json!(["ui/x/c.png", "ui/x/d.png"])), "{document:#}");
    project.run(&["sync", "--once"]).expect(1);
    let names = |name: &str| remote.control().asset(asset_id(&project, name)).unwrap().asset.metadata.display_name;
    assert_eq!((names("ui/x/c.png").as_str(), names("ui/a.png").as_str()), ("Bad", "a"));
    project.run(&["retry", "**"]).expect(0);
    project.sync();
    refused(&project, &["retry", "**"], 1);
}

/// The picture is another asset then, and the assets that show it follow in the same command.
#[test]
fn a_pinned_icon_is_sent_to_the_assets_that_show_it() {
    let remote = remote(&[]);
    let manifest = "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"sword.rbxmx\"\nicon = \"icon\"\n\n[assets.icon]\npath = \"icon.png\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("1"));
    for shade in 1..=2 {
        project.write("icon.png", png(shade));
        project.sync();
    }
    // A change of the model itself is not what the command is about.
    project.write("sword.rbxmx", rbxmx("2"));
    let shown = |project: &Project| {
        let icon = remote.control().asset(asset_id(project, "sword")).unwrap().asset.metadata.icon;
        (icon, Some(asset_id(project, "icon")))
    };
    let done = |document: &Value| {
        let each = document["actions"].as_array().unwrap().iter();
        each.map(|entry| format!("{} {}", entry["action"], entry["address"]).replace('"', "")).collect::<Vec<_>>()
    };
    let (code, document) = project.json(&["pin", "icon", "1"]);
    assert_eq!(
        (code, done(&document)),
        (0, vec!["rollback icon".to_owned(), "update_metadata sword".to_owned()]),
        "{document:#}"
    );
    let (icon, wanted) = shown(&project);
    assert_eq!(icon, wanted);
    assert_eq!(row(&project, "sword")["revision"], 1, "its own file waits for a sync");
    project.run(&["unpin", "icon"]).expect(0);
    let (icon, wanted) = shown(&project);
    assert_eq!(icon, wanted);
    assert_eq!(done(&project.sync()), ["update_content sword"]);
}
