//! An asset ID in place of a name, and names of `[existing]`.

use serde_json::json;

use super::output::{MANIFEST, asset_id, new, stable, synced};
use super::support::{Project, png, rbxmx};

/// Commands, with what they print and say, and `ID` for each asset ID.
struct Transcript<'a>(&'a Project, String);

impl Transcript<'_> {
    #[track_caller]
    fn run(&mut self, arguments: &[&str], code: i32) {
        let ran = self.0.run(arguments).expect(code);
        let told = if code == 0 { &ran.stdout } else { &ran.stderr };
        self.1.push_str(&stable(&format!("$ macadam {}\n{told}\n", arguments.join(" "))));
    }
}

#[test]
fn an_asset_id_leads_to_its_address_and_revision() {
    let (_remote, project) = synced(MANIFEST);
    let (first, sword) = (asset_id(&project, "icon"), asset_id(&project, "sword"));
    project.write("icon.png", png(2));
    project.write("sword.rbxmx", rbxmx("two"));
    project.sync();
    let second = asset_id(&project, "icon");
    let (first, second, sword) = (first.to_string(), second.to_string(), sword.to_string());
    let uri = format!("rbxassetid://{first}");
    let mut transcript = Transcript(&project, String::new());
    transcript.run(&["status", &uri], 0);
    transcript.run(&["status", &second, "sword"], 0);
    transcript.run(&["open", &sword], 0);
    // The page is that of the asset that was asked for.
    let opened = project.run(&["open", &first]).expect(0).stdout;
    assert!(opened.contains(&format!("/store/asset/{first}")), "{opened}");
    assert_eq!(project.json(&["open", &first]).1["asset_id"], json!(first.parse::<u64>().unwrap()));
    assert_eq!(project.json(&["status", &first]).1["assets"][0]["address"], "icon");
    // The number after it is a revision, another ID isn't.
    let (code, history) = project.json(&["history", &uri, "2"]);
    assert_eq!(
        (code, &history["address"], &history["revisions"][0]["asset_id"]),
        (0, &json!("icon"), &json!(second.parse::<u64>().unwrap()))
    );
    let both = project.json(&["history", &sword, &first]).1;
    assert_eq!((&both["assets"][0]["address"], &both["assets"][1]["address"]), (&json!("sword"), &json!("icon")));
    // A command that changes something takes no ID.
    transcript.run(&["archive", &first, "--yes"], 1);
    transcript.run(&["pin", &uri, "1"], 1);
    transcript.run(&["status", "123456789"], 1);
    transcript.run(&["archive", "123456789", "--yes"], 1);
    // Removed, then forgotten.
    let (before, _) = MANIFEST.split_once("[assets.sword]").unwrap();
    project.write("assets.toml", format!("{before}[assets.icon]\npath = \"icon.png\"\n"));
    project.sync();
    transcript.run(&["open", &sword], 0);
    project.run(&["forget", "sword"]).expect(0);
    transcript.run(&["status", &sword], 1);
    insta::assert_snapshot!("asset_ids", transcript.1);
}

#[test]
fn an_address_of_digits_wins_over_an_asset_id() {
    let (_remote, project) = synced(MANIFEST);
    let id = asset_id(&project, "icon").to_string();
    project.write("assets.toml", format!("{MANIFEST}\n[assets.{id}]\npath = \"other.png\"\n"));
    project.write("other.png", png(5));
    assert_eq!(project.json(&["status", &id]).1["assets"][0]["path"], "other.png");
    project.sync();
    assert_eq!(project.json(&["history", &id]).1["address"], json!(id));
}

#[test]
fn entries_of_existing_are_opened_and_otherwise_left_alone() {
    let (_remote, project) = new(&format!("{MANIFEST}\n[existing]\n\"music/theme\" = 987654321\n"));
    project.sync();
    let opened = project.run(&["open", "music/theme"]).expect(0).stdout;
    assert_eq!(opened, "https://create.roblox.com/store/asset/987654321  rbxassetid://987654321\n");
    assert_eq!(project.json(&["open", "987654321"]).1["address"], "music/theme");
    let mut transcript = Transcript(&project, String::new());
    transcript.run(&["status", "music/theme"], 1);
    transcript.run(&["history", "music/theme"], 1);
    transcript.run(&["status", "987654321"], 1);
    transcript.run(&["pin", "music/theme", "1"], 1);
    transcript.run(&["archive", "music/theme", "--yes"], 1);
    transcript.run(&["archive", "987654321", "--yes"], 1);
    transcript.run(&["plan", "music/theme"], 1);
    insta::assert_snapshot!("existing", transcript.1);
}
