//! Situations of new users: a folder that is a link for a while, advice of a plan that somebody
//! follows late, a renamed key.

use serde_json::{Value, json};

use super::support::system::symlink;
use super::support::{GLOBS, Project, Remote, png, rbxmx};

fn remote() -> Remote {
    let remote = Remote::start();
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    remote
}

fn notes(document: &Value) -> Vec<String> {
    let text =
        |note: &Value| format!("{}: {}", note["address"].as_str().unwrap_or("-"), note["note"].as_str().unwrap());
    document["notes"].as_array().unwrap().iter().map(text).collect()
}

/// The note about the file that was deleted.
const GONE: &str = "ui/c.png: its file is gone, so the glob `ui` no longer finds it";

#[test]
fn a_folder_that_became_a_link_restores_no_removed_asset() {
    let remote = remote();
    let project = Project::new(&format!("{GLOBS}\n[policy]\nremoved = \"archive\"\narchive_after = \"7d\"\n"));
    let project = project.at(&remote.url());
    for (name, shade) in [("a", 1), ("b", 2), ("c", 3)] {
        project.write(&format!("ui/{name}.png"), png(shade));
    }
    project.write("models/m.rbxmx", rbxmx("m"));
    project.sync();
    project.remove("ui/c.png");
    assert!(notes(&project.sync()).iter().any(|note| note.contains(GONE)));
    let lockfile = project.read("assets.lock.toml");
    std::fs::rename(project.file("ui"), project.file("elsewhere")).unwrap();
    symlink("/nowhere/at/all", project.file("ui")).unwrap();
    let (_, plan) = project.json(&["plan"]);
    let failed: Vec<&Value> = plan["actions"].as_array().unwrap().iter().map(|action| &action["address"]).collect();
    assert!(failed.contains(&&json!("ui/a.png")) && !failed.contains(&&json!("ui/c.png")), "{plan:#}");
    // Without a state the lockfile tells as much.
    let (_, check) = project.json(&["check"]);
    let refused: Vec<&Value> = check["errors"].as_array().unwrap().iter().map(|error| &error["address"]).collect();
    assert!(refused.contains(&&json!("ui/b.png")) && !refused.contains(&&json!("ui/c.png")), "{check:#}");
    project.run(&["sync", "--once"]).expect(1);
    assert_eq!(project.read("assets.lock.toml"), lockfile);
    std::fs::remove_file(project.file("ui")).unwrap();
    std::fs::rename(project.file("elsewhere"), project.file("ui")).unwrap();
    let told = notes(&project.sync());
    assert!(!told.iter().any(|note| note.contains(GONE)), "{told:?}");
    assert_eq!(project.read("assets.lock.toml"), lockfile);
}

#[test]
fn each_revision_of_a_history_has_a_name_of_its_own() {
    let remote = remote();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("models/a.rbxmx", rbxmx("a"));
    project.sync();
    let id = |address: &str| project.json(&["status", address]).1["assets"][0]["asset_id"].as_u64().unwrap();
    let old = id("models/a.rbxmx");
    project.remove("models/a.rbxmx");
    project.write("models/d.rbxmx", rbxmx("a, edited"));
    project.sync();
    let new = id("models/d.rbxmx");
    let (code, told) = project.json(&["import", "models/d.rbxmx", &old.to_string()]);
    let orphan = format!("asset {new}, which models/d.rbxmx had until now, stays on Roblox");
    assert!(code == 0 && told["notes"].to_string().contains(&orphan), "{told:#}");
    let (_, history) = project.json(&["history", "models/d.rbxmx"]);
    let revisions = history["revisions"].as_array().unwrap();
    let named: Vec<_> = revisions.iter().map(|entry| (&entry["asset_id"], &entry["revision"])).collect();
    assert_eq!(named.len(), 2, "{history:#}");
    assert!(named.contains(&(&json!(old), &json!(1))) && named.contains(&(&json!(new), &Value::Null)), "{named:?}");
    let one = project.json(&["history", "models/d.rbxmx", "1"]).1;
    assert_eq!(one["revisions"].as_array().unwrap().len(), 1, "{one:#}");
    let text = project.run(&["history", "models/d.rbxmx"]).expect(0).stdout;
    assert!(text.contains("another asset"), "{text}");
}

#[test]
fn one_that_left_is_named_to_few_new_ones_whose_id_can_be_kept() {
    let remote = remote();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/d.png", png(1));
    project.write("models/m.rbxmx", rbxmx("m"));
    project.sync();
    let advice = || {
        let (_, plan) = project.json(&["plan"]);
        notes(&plan).into_iter().filter(|note| note.contains("left in the same change")).count()
    };
    project.remove("ui/d.png");
    project.write("ui/e.png", png(2));
    assert_eq!(advice(), 0, "an Image that is edited is another asset all the same");
    project.remove("models/m.rbxmx");
    project.write("models/n.rbxmx", rbxmx("n"));
    assert_eq!(advice(), 1);
    for number in 0..5 {
        project.write(&format!("models/many{number}.rbxmx"), rbxmx(&format!("many {number}")));
    }
    assert_eq!(advice(), 0, "nobody would look through many");
}

#[test]
fn check_knows_a_key_that_was_renamed() {
    let remote = remote();
    let manifest = |key: &str| {
        format!(
            "[creator]\nuser_id = 1\n\n[assets.{key}]\npath = \"x.png\"\n\n[assets.b]\npath = \"b.rbxmx\"\nicon = \"x\"\n"
        )
    };
    let project = Project::new(&manifest("x")).at(&remote.url());
    project.write("x.png", png(1));
    project.write("b.rbxmx", rbxmx("b"));
    project.sync();
    project.write("assets.toml", manifest("xx"));
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("called `xx` now"), "{plan}");
    let ran = project.run(&["check"]).expect(0);
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(told.contains("the icon of `b` names `x`, which is called `xx` now: write `xx`"), "{told}");
    // A name that never existed is still a mistake.
    project.write("assets.toml", manifest("x").replace("icon = \"x\"", "icon = \"y\""));
    project.run(&["check"]).expect(3);
    project.run(&["plan"]).expect(3);
}
