//! The texts that people read: plan, sync, status and history, as the program prints them to a
//! pipe.

use macadam::emulator::{Config, ForeignEdit, ModerationRule, ModerationVerdict, Profile, VerdictStep};
use serde_json::{Value, json};

use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

pub const MANIFEST: &str = "\
[creator]
user_id = 1

[assets.sword]
path = \"sword.rbxmx\"
display_name = \"Sword\"
description = \"A sword\"

[assets.icon]
path = \"icon.png\"
";

/// A remote, and a project of a model and a picture that were never synced.
pub fn new(manifest: &str) -> (Remote, Project) {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let remote = Remote::with(Config { switches, ..Config::default() });
    let project = Project::new(manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("sword"));
    project.write("icon.png", png(1));
    (remote, project)
}

/// The same after a sync.
pub fn synced(manifest: &str) -> (Remote, Project) {
    let (remote, project) = new(manifest);
    project.sync();
    (remote, project)
}

pub fn asset_id(project: &Project, address: &str) -> u64 {
    project.json(&["status", address]).1["assets"][0]["asset_id"].as_u64().unwrap()
}

/// A text whose asset IDs and times are the same in every run.
pub fn stable(text: &str) -> String {
    let mut stable = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
        stable.push_str(if digits.len() >= 9 { "ID" } else { digits });
        stable.push_str(&word[digits.len()..]);
    }
    stable
}

fn shown(ran: Ran) -> String {
    stable(&ran.stdout)
}

fn plan(project: &Project) -> String {
    shown(project.run(&["plan"]).expect(0))
}

#[test]
fn a_plan_of_new_assets() {
    let manifest = MANIFEST.replace("[assets.icon]", "icon = \"icon\"\n\n[assets.icon]\nprivacy = \"open_use\"");
    let (_remote, project) =
        new(&format!("{manifest}\n[assets.again]\npath = \"again.png\"\nprivacy = \"open_use\"\n"));
    project.write("again.png", png(1));
    insta::assert_snapshot!(plan(&project), @r#"
    new (2)
      again
          Image "again" from again.png for user 1
          privacy  open_use
          not on Roblox yet
      sword
          Model "Sword" from sword.rbxmx for user 1
          description  A sword
          not on Roblox yet

    new (same file as another asset, so no upload) (1)
      icon
          Image from icon.png for user 1
          privacy  open_use
          asset    again
          not on Roblox yet; it shares the upload of `again`, which has the same bytes
          after again

    settings changed (1)
      sword
          icon  (none) -> icon
          the icon is set after the upload
          after icon

    Plan: 2 to upload, 1 to share an asset ID, 1 icon to set.
    "#);
}

#[test]
fn a_plan_of_changes() {
    let (remote, project) = synced(&MANIFEST.replace(
        "[assets.icon]",
        "[assets.sword.social_links]\ntwitter = { uri = \"https://twitter.com/us\" }\n\n[assets.icon]",
    ));
    project.write("sword.rbxmx", rbxmx("another sword"));
    project.write("icon.png", png(2));
    let manifest = project.read("assets.toml").replace("\"Sword\"", "\"Long sword\"").replace(
        "\"A sword\"",
        "\"A sword that is longer than any other sword that there is in this game, and sharper\"",
    );
    project.write("assets.toml", manifest.replace("{ uri", "{ title = \"us\", uri"));
    insta::assert_snapshot!(plan(&project), @r#"
    updated (1)
      sword (rbxassetid://ID)
          content   6fe6befa -> 65e2d7e1
          revision  1 -> (new)
          the file changed

    replaced (new asset ID) (1)
      icon (rbxassetid://ID)
          content  304d322c -> 39307ffe
          asset    rbxassetid://ID -> (new)
          the file changed; Roblox can't update an Image, so it gets a new asset ID

    settings changed (1)
      sword (rbxassetid://ID)
          display_name          Sword -> Long sword
          description           A sword -> A sword that is longer than any other sw…
          social_links.twitter  (unknown) -> us <https://twitter.com/us>
          display_name and description and social_links.twitter changed

    Plan: 1 to update, 1 to replace, 1 name to set, 1 description to set, 1 social link to set.
    "#);
    let (_, document) = project.json(&["plan"]);
    let actions = document["actions"].as_array().unwrap();
    let codes: Vec<&Value> = actions.iter().map(|action| &action["code"]).collect();
    assert_eq!(codes, ["content_changed", "content_changed", "metadata_changed"]);
    let what = |index: usize| -> Vec<&str> {
        actions[index]["changes"].as_array().unwrap().iter().map(|change| change["what"].as_str().unwrap()).collect()
    };
    assert_eq!(what(1), ["content", "revision"]);
    assert_eq!(what(2), ["display_name", "description", "social_links.twitter"]);
    assert_eq!(actions[2]["changes"][1]["from"], "A sword");
    assert!(actions[2]["changes"][1]["to"].as_str().unwrap().ends_with("and sharper"), "a text is whole in JSON");
    assert_eq!((&document["drifts"], &document["notes"]), (&json!([]), &json!([])));
    assert_eq!(remote.assets().len(), 2);
}

#[test]
fn a_plan_shows_holds_and_drifts() {
    let (remote, project) = synced(MANIFEST);
    let elsewhere = ForeignEdit { content_hash: Some("0".repeat(64)), ..ForeignEdit::default() };
    remote.control().edit(asset_id(&project, "sword"), &elsewhere).unwrap();
    project.write("icon.png", "no picture");
    let refreshed = shown(project.run(&["plan", "--refresh"]).expect(1));
    insta::assert_snapshot!(refreshed, @r#"
    files that can't be used (1)
      icon
          the content is not that of a .png file
          hint: export it again, and check that other programs can open it

    changed on Roblox (1)
      sword (rbxassetid://ID)
          revision 2 was made on Roblox, outside of Macadam
          hint: if it is a deploy that this checkout hasn't pulled, pull it; `macadam sync --once --overwrite sword` puts the file over it

    Plan: 1 file can't be used. 1 changed on Roblox.
    assets.lock.toml would change: sword.
    "#);
    let (_, document) = project.json(&["plan", "--refresh"]);
    let drift = &document["drifts"][0];
    assert_eq!((&drift["address"], drift["asset_id"].is_u64()), (&json!("sword"), true), "{document:#}");
    assert!(drift["what"].is_string() && drift["hint"].is_string());
    let hold = &document["actions"][0];
    assert_eq!((&hold["action"], &hold["part"], &hold["kind"]), (&json!("hold"), &json!("asset"), &json!("failed")));
}

#[test]
fn a_moved_file_and_a_removed_one() {
    let (_remote, project) = new(GLOBS);
    project.write("models/sword.rbxmx", rbxmx("sword"));
    for (name, shade) in [("a", 1), ("b", 2), ("c", 3)] {
        project.write(&format!("ui/{name}.png"), png(shade));
    }
    project.sync();
    project.write("ui/d.png", png(1));
    project.remove("ui/a.png");
    project.remove("ui/c.png");
    insta::assert_snapshot!(plan(&project), @r#"
    moved (same asset ID) (1)
      ui/d.png (rbxassetid://ID)
          address  ui/a.png -> ui/d.png
          it was `ui/a.png` before: both have the same bytes

    notes (1)
      ui/c.png: its file is gone, so the glob `ui` no longer finds it; its asset stays on Roblox

    Plan: 1 to move, 2 unchanged.
    "#);
    let (_, document) = project.json(&["plan"]);
    assert!(document["actions"][0]["asset_id"].is_u64(), "{document:#}");
}

#[test]
fn a_removal_that_is_archived_is_told_once() {
    let (_remote, project) = new(&format!("{GLOBS}\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n"));
    for shade in 0..6 {
        project.write(&format!("ui/{shade}.png"), png(shade));
    }
    project.sync();
    project.remove("ui/0.png");
    let text = plan(&project);
    assert!(text.contains("archived (1)") && !text.contains("notes"), "{text}");
    assert_eq!(text.matches("its file is gone").count(), 1, "{text}");
    for shade in 1..4 {
        project.remove(&format!("ui/{shade}.png"));
    }
    let text = plan(&project);
    assert!(text.contains("on hold (4)") && !text.contains("notes"), "{text}");
    assert_eq!(text.matches("--confirm").count(), 1, "{text}");
    let said = project.run(&["sync", "--once"]).expect(1).stdout;
    assert!(said.contains("on hold (4)") && !said.contains("notes"), "{said}");
}

#[test]
fn a_long_plan_is_cut_for_people_and_whole_in_json() {
    let (_remote, project) = new(GLOBS);
    for shade in 0..21 {
        project.write(&format!("ui/{shade:02}.png"), png(shade));
    }
    let text = plan(&project);
    assert!(text.contains("new (21)") && text.contains("ui/09.png"), "{text}");
    assert!(text.contains("and 11 more; -v shows all") && !text.contains("ui/10.png"), "{text}");
    let whole = project.run(&["plan", "-v"]).expect(0).stdout;
    assert!(whole.contains("ui/20.png") && !whole.contains("more"), "{whole}");
    assert_eq!(project.json(&["plan"]).1["actions"].as_array().unwrap().len(), 21);
    project.remove("ui/20.png");
    let text = plan(&project);
    assert!(text.contains("ui/19.png") && !text.contains("more"), "{text}");
}

fn sync(project: &Project, args: &[&str], code: i32) -> (String, String) {
    let ran = project.run(&[&["sync", "--once"], args].concat()).expect(code);
    (stable(&ran.stdout), stable(&ran.stderr))
}

#[test]
fn a_sync_names_what_it_did() {
    let (_remote, project) = new(MANIFEST);
    let (text, _) = sync(&project, &[], 0);
    insta::assert_snapshot!(text, @r#"
    uploaded        icon (rbxassetid://ID, revision 1)
    uploaded        sword (rbxassetid://ID, revision 1)

    Done. 2 assets are up to date: 2 uploaded.
    The lockfile has changed: commit it.
    "#);
    project.write("sword.rbxmx", rbxmx("another sword"));
    project.write("assets.toml", project.read("assets.toml").replace("\"Sword\"", "\"Axe\"").replace("A sw", "Sw"));
    let (text, _) = sync(&project, &[], 0);
    insta::assert_snapshot!(text, @r#"
    updated         sword (rbxassetid://ID, revision 2)
    changed         sword (rbxassetid://ID, revision 2): display_name, description

    Done. 2 assets are up to date: 1 updated, 1 name set, 1 description set.
    The lockfile has changed: commit it.
    "#);
}

#[test]
fn drift_is_a_warning_and_no_failure() {
    let (remote, project) = synced(MANIFEST);
    let edit = ForeignEdit { display_name: Some("Axe".to_owned()), ..ForeignEdit::default() };
    remote.control().edit(asset_id(&project, "sword"), &edit).unwrap();
    project.let_reads_catch_up();
    let (text, warnings) = sync(&project, &["--refresh"], 0);
    insta::assert_snapshot!(format!("{text}{warnings}"), @r#"
    Done. 1 of 2 assets is up to date; 1 was changed on Roblox (above).
    warning: sword (rbxassetid://ID): the name is "Axe" on Roblox and "Sword" in assets.toml; change it here as well, or set `policy.drift = "heal"` to have it put back
    "#);
    let (code, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!((code, &document["in_sync"], &document["under_review"]), (0, &json!(true), &json!(0)));
    assert_eq!(document["drifts"][0]["address"], "sword");
    assert!(document["drifts"][0]["hint"].is_string(), "{document:#}");
}

#[test]
fn assets_under_review_are_counted_and_no_failure() {
    let (remote, project) = new(MANIFEST);
    let verdicts = vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Reviewing }];
    remote.control().moderate(ModerationRule { verdicts, ..ModerationRule::default() });
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, &document["under_review"]), (0, &json!(2)), "{document:#}");
    let (text, _) = sync(&project, &[], 0);
    insta::assert_snapshot!(text, @"Done. 2 assets are up to date: 2 in moderation.");
}

#[test]
fn a_failed_look_is_reported() {
    let (remote, project) = synced(MANIFEST);
    let script = json!({"match": {"endpoint": "get_asset"}, "action": {"kind": "reply", "status": 404}});
    remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
    let (code, document) = project.json(&["sync", "--once", "--refresh"]);
    let unasked = document["unasked"].as_array().unwrap();
    assert_eq!((code, unasked.len()), (0, 2), "{document:#}");
    assert!(unasked[0]["asset_id"].is_u64() && unasked[0]["reason"].is_string(), "{document:#}");
    let (_, warnings) = sync(&project, &["--refresh"], 0);
    assert!(warnings.contains("asset ID couldn't be checked"), "{warnings}");
}

#[test]
fn locked_prints_the_plan() {
    let (_remote, project) = synced(MANIFEST);
    project.write("icon.png", png(2));
    let (text, warnings) = sync(&project, &["--locked"], 1);
    assert_eq!(text, plan(&project));
    assert!(warnings.contains("--locked"), "{warnings}");
    let (code, document) = project.json(&["sync", "--once", "--locked"]);
    let action = &document["actions"][0];
    assert_eq!((code, &action["outcome"], &action["code"]), (1, &json!("waiting"), &json!("content_changed")));
    assert_eq!(action["changes"][0]["what"], "content");
}

/// A text whose times are the same in every run.
fn history(project: &Project, address: &str) -> String {
    let text = stable(&project.run(&["history", address]).expect(0).stdout);
    let lines = text.lines().map(|line| match line.find(" 20") {
        Some(at) if line[at..].len() >= 21 && line[at + 5..].starts_with('-') => {
            format!("{} WHEN{}", &line[..at], &line[at + 21..])
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn history_marks_what_is_pinned_current_and_made_by_a_rollback() {
    // Roblox makes a new version of a rollback, or moves the head back.
    for (profile, current) in [(Profile::Observed, 3), (Profile::Documented, 1)] {
        let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
        let remote = Remote::with(Config { profile, switches, ..Config::default() });
        let project = Project::new(MANIFEST).at(&remote.url());
        project.write("sword.rbxmx", rbxmx("sword"));
        project.write("icon.png", png(1));
        project.sync();
        let first = asset_id(&project, "icon");
        project.write("sword.rbxmx", rbxmx("two"));
        project.write("icon.png", png(2));
        project.sync();
        project.write("assets.toml", format!("{MANIFEST}\n[pins]\nsword = 1\nicon = {{ asset_id = {first} }}\n"));
        project.sync();
        if profile == Profile::Observed {
            insta::assert_snapshot!(history(&project, "sword"), @r#"
    REV  ASSET ID                   CONTENT       WHEN                  HOW
      1  rbxassetid://ID  6fe6befac66b  WHEN  uploaded     pinned
      2  rbxassetid://ID  ad548b2a4fc9  WHEN  updated      the file's bytes
    * 3  rbxassetid://ID  6fe6befac66b  WHEN  rolled back  current, back to 1
    "#);
            insta::assert_snapshot!(history(&project, "icon"), @r#"
    REV  ASSET ID                   CONTENT       WHEN                  HOW
    * 1  rbxassetid://ID  304d322ca8bc  WHEN  uploaded  current, pinned
      2  rbxassetid://ID  39307ffe62c4  WHEN  replaced  the file's bytes
    "#);
        }
        for fresh in [false, true] {
            if fresh {
                project.remove_state();
            }
            let (_, document) = project.json(&["history", "sword"]);
            let revisions = document["revisions"].as_array().unwrap();
            let of = |key: &str| -> Vec<u64> {
                let marked = revisions.iter().filter(|entry| entry[key] == true);
                marked.map(|entry| entry["revision"].as_u64().unwrap()).collect()
            };
            assert_eq!((of("current"), of("pinned")), (vec![current], vec![1]), "{document:#}");
            assert_eq!(of("file"), if fresh { vec![] } else { vec![2] }, "{document:#}");
            let last = revisions.last().unwrap();
            let back = (&json!("rollback"), &json!(1));
            assert_eq!((&last["action"], &last["rollback_of"]) == back, current == 3, "{document:#}");
        }
    }
}
