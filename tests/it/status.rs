//! `status`: each state, what it says beside it, and what it must not say.

use macadam::emulator::{ForeignEdit, ModerationRule, ModerationVerdict, TextAction, TextField, TextRule, VerdictStep};
use serde_json::{Value, json};

use super::output::{MANIFEST, asset_id, new, stable, synced};
use super::support::{GLOBS, Project, png, rbxmx};

fn row(project: &Project, address: &str) -> Value {
    let (code, document) = project.json(&["status", address]);
    assert_eq!(code, 0, "{document:#}");
    document["assets"][0].clone()
}

/// Syncs until the row is as it should be once `archive_after` is over.
#[track_caller]
fn sync_until(project: &Project, address: &str, done: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..200 {
        project.run(&["sync", "--once"]);
        let found = row(project, address);
        if done(&found) {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{:#}", row(project, address));
}

fn shown(project: &Project) -> String {
    stable(&project.run(&["status"]).expect(0).stdout)
}

fn manifest(project: &Project, from: &str, to: &str) {
    let text = project.read("assets.toml");
    assert!(text.contains(from), "{text}");
    project.write("assets.toml", text.replace(from, to));
}

#[test]
fn a_pinned_address_tells_its_revision_and_what_waits() {
    let (_remote, project) = synced(MANIFEST);
    let first = asset_id(&project, "icon");
    project.write("sword.rbxmx", rbxmx("two"));
    project.write("icon.png", png(2));
    project.sync();
    project.write("assets.toml", format!("{MANIFEST}\n[pins]\nsword = 1\nicon = {{ asset_id = {first} }}\n"));
    let before = row(&project, "sword");
    assert_eq!(
        (&before["state"], &before["pinned_revision"], &before["revision"]),
        (&json!("pinned"), &json!(1), &json!(2))
    );
    let waits = before["waits"].as_str().unwrap();
    assert!(waits.starts_with("to roll back: it is pinned to revision 1"), "{waits}");
    assert!(waits.ends_with("its file has other content; `macadam unpin sword` goes back to it"), "{waits}");
    project.sync();
    let (sword, icon) = (row(&project, "sword"), row(&project, "icon"));
    assert_eq!((&icon["pinned_revision"], &icon["pinned_asset_id"]), (&json!(1), &json!(first)), "{icon:#}");
    assert_eq!((&sword["pinned_revision"], &sword["pinned_asset_id"]), (&json!(1), &Value::Null), "{sword:#}");
    for row in [&sword, &icon] {
        assert!(row["waits"].as_str().unwrap().contains("`macadam unpin"), "{row:#}");
        assert_ne!(row["content_hash"], row["file_hash"]);
    }
    insta::assert_snapshot!(shown(&project), @r#"
    STATE   ADDRESS  TYPE   ASSET ID                   REV
    pinned  icon     Image  rbxassetid://ID    1
        it is pinned to revision 1, and its file has other content; `macadam unpin icon` goes back to it
    pinned  sword    Model  rbxassetid://ID    3
        it is pinned to revision 1, and its file has other content; `macadam unpin sword` goes back to it

    2 pinned
    "#);
    // A file that was not read since.
    project.write("icon.png", png(7));
    assert!(
        row(&project, "icon")["waits"]
            .as_str()
            .unwrap()
            .contains("its file was written since the last sync; `macadam unpin icon` uploads what changed")
    );
}

#[test]
fn status_shows_foreign_changes_as_drifted_or_archived() {
    let (remote, project) = synced(MANIFEST);
    let (sword, icon) = (asset_id(&project, "sword"), asset_id(&project, "icon"));
    remote
        .control()
        .edit(sword, &ForeignEdit { display_name: Some("Axe".to_owned()), ..ForeignEdit::default() })
        .unwrap();
    remote.control().edit(icon, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    project.let_reads_catch_up();
    project.run(&["sync", "--once", "--refresh"]).expect(0);
    let (sword, icon) = (row(&project, "sword"), row(&project, "icon"));
    assert_eq!(sword["state"], "drifted");
    let drift = &sword["drifts"][0];
    assert_eq!(drift["what"], "the name is \"Axe\" on Roblox and \"Sword\" in assets.toml");
    assert_eq!(drift["fields"], json!([{ "field": "display_name", "at_roblox": "Axe", "wanted": "Sword" }]));
    assert_eq!((&icon["state"], &icon["archived_by"]), (&json!("archived"), &json!("elsewhere")));
    insta::assert_snapshot!(shown(&project), @r#"
    STATE     ADDRESS  TYPE   ASSET ID                   REV
    archived  icon     Image  rbxassetid://ID    1
        it was archived on Roblox, outside of Macadam
        hint: `macadam restore icon`
    differs   sword    Model  rbxassetid://ID    1
        the name is "Axe" on Roblox and "Sword" in assets.toml
        hint: change it here as well, or set `policy.drift = "heal"` to have it put back

    1 archived, 1 differs
    "#);
}

#[test]
fn status_says_since_when_an_asset_is_under_review() {
    let (remote, project) = new(MANIFEST);
    let verdicts = vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Reviewing }];
    remote.control().moderate(ModerationRule { verdicts, ..ModerationRule::default() });
    project.sync();
    let found = row(&project, "sword");
    assert_eq!((&found["state"], &found["moderation"]), (&json!("synced"), &json!("reviewing")));
    assert!(found["under_review_since"].is_string(), "{found:#}");
    assert!(shown(&project).contains("moderation: reviewing since 20"));
}

#[test]
fn coming_archivings_have_a_date_and_past_ones_a_reason() {
    let policy = "[policy]\nreplaced = \"archive\"\nremoved = \"archive\"\n";
    let (_remote, project) = synced(&format!("{MANIFEST}\n{policy}"));
    let old = asset_id(&project, "icon");
    project.write("icon.png", png(2));
    project.sync();
    // The plan after the replacement starts the clock.
    project.sync();
    let found = row(&project, "icon");
    assert_eq!((&found["state"], &found["archives"][0]["asset_id"]), (&json!("synced"), &json!(old)), "{found:#}");
    assert_eq!((found["archives"][0]["at"].is_string(), &found["archives"][0]["why"]), (true, &json!("replaced")));
    assert!(shown(&project).contains("was replaced; Macadam archives it after 20"));
    project.pass(20 * 24 * 60);
    assert!(shown(&project).contains("was replaced; Macadam archives it with the next sync"), "{}", shown(&project));
    manifest(&project, "replaced =", "archive_after = \"1s\"\nreplaced =");
    manifest(&project, "[assets.icon]\npath = \"icon.png\"\n", "");
    let found = sync_until(&project, "icon", |row| row["state"] == "archived");
    assert_eq!(found["archived_by"], "policy", "{found:#}");
    assert!(shown(&project).contains("archived by Macadam, as [policy] says"));
}

#[test]
fn status_shows_the_filtered_text_beside_the_one_asked_for() {
    let (remote, project) = new(&MANIFEST.replace("A sword", "A darn sword"));
    let rule = |action| TextRule { contains: "darn".to_owned(), field: TextField::Both, action };
    remote.control().add_text_rule(rule(TextAction::Censor));
    project.sync();
    let found = row(&project, "sword");
    assert_eq!((&found["stored_description"], &found["stored_display_name"]), (&json!("A #### sword"), &Value::Null));
    assert_eq!(found["state"], "synced");
    assert!(shown(&project).contains("Roblox changed the description to `A #### sword`"));
}

#[test]
fn a_kept_name_is_no_drift() {
    let (remote, project) = synced(&format!("{MANIFEST}\n[policy]\nmoderated_name = \"neutral\"\n"));
    let contains = "darn".to_owned();
    remote.control().add_text_rule(TextRule { contains, field: TextField::Name, action: TextAction::Refuse });
    manifest(&project, "\"Sword\"", "\"Darn sword\"");
    project.run(&["sync", "--once"]).expect(0);
    project.sync();
    let found = row(&project, "sword");
    assert_eq!((&found["state"], &found["stored_display_name"]), (&json!("synced"), &json!("Sword")), "{found:#}");
    let (_, document) = project.json(&["plan", "--refresh"]);
    assert_eq!(document["drifts"], json!([]), "{document:#}");
}

#[test]
fn a_new_asset_under_a_neutral_name_tells_so() {
    let (remote, project) = new(&MANIFEST
        .replace("\"Sword\"", "\"Darn\"")
        .replace("[creator]", "[policy]\nmoderated_name = \"neutral\"\n\n[creator]"));
    let contains = "darn".to_owned();
    remote.control().add_text_rule(TextRule { contains, field: TextField::Name, action: TextAction::Refuse });
    project.run(&["sync", "--once"]).expect(0);
    let found = row(&project, "sword");
    assert_eq!((&found["state"], &found["stored_display_name"]), (&json!("synced"), &json!("Model")), "{found:#}");
}

#[test]
fn an_absence_that_does_not_count_is_not_removed() {
    let (_remote, project) = new(GLOBS);
    project.write("models/sword.rbxmx", rbxmx("sword"));
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(2));
    project.sync();
    project.remove("ui/b.png");
    assert_eq!(row(&project, "ui/b.png")["state"], "removed");
    project.remove("ui");
    let found = row(&project, "ui/a.png");
    assert_eq!(found["state"], "synced", "{found:#}");
    assert!(found["waits"].as_str().unwrap().contains("doesn't treat it as removed: the folder `ui`"), "{found:#}");
}

#[test]
fn a_moved_file_is_one_row() {
    let (_remote, project) = new(GLOBS);
    project.write("models/sword.rbxmx", rbxmx("sword"));
    project.write("ui/a.png", png(1));
    project.sync();
    let id = asset_id(&project, "ui/a.png");
    manifest(&project, "[globs.ui]", "[assets.close]\npath = \"ui/a.png\"\n\n[globs.ui]");
    let (_, document) = project.json(&["status"]);
    let rows = document["assets"].as_array().unwrap();
    let addresses: Vec<&Value> = rows.iter().map(|row| &row["address"]).collect();
    assert_eq!(addresses, ["close", "models/sword.rbxmx"]);
    assert_eq!((&rows[0]["asset_id"], &rows[0]["state"]), (&json!(id), &json!("pending")));
}

#[test]
fn a_removed_address_whose_archiving_is_held_is_on_hold() {
    let (_remote, project) = new(&format!("{GLOBS}\n[policy]\nremoved = \"archive\"\narchive_after = \"1s\"\n"));
    project.write("models/sword.rbxmx", rbxmx("sword"));
    for (name, shade) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        project.write(&format!("ui/{name}.png"), png(shade));
    }
    project.sync();
    for name in ["a", "b", "c"] {
        project.remove(&format!("ui/{name}.png"));
    }
    let found = sync_until(&project, "ui/a.png", |row| row["error"].is_string());
    assert_eq!((&found["state"], &found["archives"]), (&json!("held"), &json!([])), "{found:#}");
    assert!(found["error"].as_str().unwrap().contains("would be archived now"), "{found:#}");
    assert!(found["hint"].as_str().unwrap().contains("--confirm"), "{found:#}");
    let ran = project.run(&["sync", "--once"]).expect(1);
    assert!(ran.stdout.contains("Not finished: 3 on hold."), "{}", ran.stdout);
}
