//! `import`.

use macadam::emulator::{ApiEndpoint, ForeignEdit, ModerationRule, ModerationVerdict, VerdictStep};
use serde_json::json;

use super::{MANIFEST, asset_id, content, is_settled, refused, remote, row};
use crate::crash::stage::hash;
use crate::support::{Project, Ran, Remote, png, rbxmx};

/// A project of another person, whose sword and picture are at the remote.
fn made_elsewhere(remote: &Remote, manifest: &str) -> (u64, u64) {
    let other = Project::new(manifest).at(&remote.url());
    other.write("sword.rbxmx", rbxmx("theirs"));
    other.write("ui/a.png", png(1));
    other.sync();
    (asset_id(&other, "sword"), asset_id(&other, "ui/a.png"))
}

fn project(remote: &Remote, manifest: &str) -> Project {
    let project = Project::new(manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("ours"));
    project.write("ui/a.png", png(1));
    project
}

#[test]
fn a_model_is_imported_and_updated_by_the_next_sync() {
    let remote = remote(&[]);
    let (sword, _) = made_elsewhere(&remote, MANIFEST);
    remote
        .control()
        .edit(sword, &ForeignEdit { content_hash: Some("0".repeat(64)), ..ForeignEdit::default() })
        .unwrap();
    let project = project(&remote, MANIFEST);
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    let (code, told) = project.json(&["import", "sword", &sword.to_string()]);
    assert_eq!(code, 0, "{told:#}");
    let keys = ["address", "asset_id", "revision", "outcome", "content_known", "lockfile_written"];
    let values = keys.map(|key| told[key].clone());
    assert_eq!(values, [json!("sword"), json!(sword), json!(2), json!("done"), json!(false), json!(true)]);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset) + remote.requests(ApiEndpoint::UpdateAsset), creates);
    let known = row(&project, "sword");
    assert_eq!((&known["asset_id"], &known["content_hash"]), (&json!(sword), &json!(null)), "{known:#}");
    // The lockfile alone says as much.
    project.remove_state();
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["summary"], json!({"update_content": 1, "create": 1}), "{plan:#}");
    let told = project.run(&["plan"]).expect(0).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let way_on = format!("`macadam import sword {sword} --content-matches`");
    assert!(told.contains(&format!("can't compare asset {sword} with the file, so it uploads the file")), "{told}");
    assert!(told.contains(&way_on) && !told.contains("the file changed"), "{told}");
    project.sync();
    assert_eq!(content(&remote, sword), hash(rbxmx("ours").as_bytes()));
    let (_, history) = project.json(&["history", "sword"]);
    assert_eq!(history["revisions"][1]["action"], "update_content");
    is_settled(&remote, &project);
}

#[test]
fn the_plan_after_an_import_says_that_the_file_can_not_be_compared_and_how_to_keep_the_asset() {
    let remote = remote(&[]);
    let (_, picture) = made_elsewhere(&remote, MANIFEST);
    let project = project(&remote, MANIFEST);
    project.run(&["import", "ui/a.png", &picture.to_string()]).expect(0);
    let reason = |plan: &serde_json::Value| {
        let actions = plan["actions"].as_array().unwrap();
        actions.iter().find(|action| action["address"] == "ui/a.png").unwrap()["reason"].as_str().unwrap().to_owned()
    };
    let told = reason(&project.json(&["plan"]).1);
    assert!(
        told.starts_with(&format!("Macadam can't compare asset {picture} with the file, and Roblox can't")),
        "{told}"
    );
    assert!(told.contains(&format!("`macadam import ui/a.png {picture} --content-matches`")), "{told}");
    project.sync();
    project.write("ui/a.png", png(9));
    assert!(reason(&project.json(&["plan"]).1).starts_with("the file changed"));
}

#[test]
fn a_matching_import_uploads_nothing_and_sends_only_differing_metadata() {
    let remote = remote(&[]);
    let manifest = format!("{MANIFEST}display_name = \"Theirs\"\ndescription = \"same\"\n");
    let (_, picture) = made_elsewhere(&remote, &manifest);
    let mine = manifest.replace("Theirs", "Ours").replace("[assets.sword]\npath = \"sword.rbxmx\"\n", "");
    let project = project(&remote, &mine);
    let before = (remote.requests(ApiEndpoint::CreateAsset), remote.requests(ApiEndpoint::UpdateAsset));
    let ran = project.run(&["import", "ui/a.png", &picture.to_string(), "--content-matches"]).expect(0);
    assert!(ran.stdout.contains("imported:") && ran.stdout.contains("Commit the lockfile"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("can't compare"), "{}", ran.stdout);
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["summary"], json!({"update_metadata": 1}));
    assert!(
        plan["actions"].to_string().contains("display_name") && !plan.to_string().contains("description"),
        "{plan:#}"
    );
    project.sync();
    let after = (remote.requests(ApiEndpoint::CreateAsset), remote.requests(ApiEndpoint::UpdateAsset));
    assert_eq!(after, (before.0, before.1 + 1));
    assert_eq!(asset_id(&project, "ui/a.png"), picture);
    is_settled(&remote, &project);
}

#[test]
fn a_picture_whose_content_is_unknown_is_replaced() {
    let remote = remote(&[]);
    let (_, picture) = made_elsewhere(&remote, MANIFEST);
    let project = project(&remote, MANIFEST);
    project.run(&["import", "ui/a.png", &picture.to_string()]).expect(0);
    let report = project.sync();
    assert_eq!(report["summary"], json!({"create": 1, "replace": 1}), "{report:#}");
    assert_ne!(asset_id(&project, "ui/a.png"), picture);
    let (_, history) = project.json(&["history", "ui/a.png"]);
    assert_eq!(history["revisions"][0]["action"], "import", "{history:#}");
    is_settled(&remote, &project);
}

#[test]
fn an_import_that_does_not_match_is_refused() {
    let remote = remote(&[]);
    let (sword, picture) = made_elsewhere(&remote, MANIFEST);
    let (foreign, _) = made_elsewhere(&remote, &MANIFEST.replace("user_id = 1", "group_id = 5"));
    let rejected = vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }];
    remote.control().moderate(ModerationRule {
        content_hash: Some(hash(&png(99))),
        verdicts: rejected,
        ..Default::default()
    });
    let bad = Project::new(MANIFEST).at(&remote.url());
    bad.write("sword.rbxmx", rbxmx("x"));
    bad.write("ui/bad.png", png(99));
    bad.run(&["sync", "--once"]).expect(1);
    let rejected = asset_id(&bad, "ui/bad.png");

    let project = project(&remote, MANIFEST);
    project.write("ui/broken.png", "no picture");
    let before = remote.assets().len();
    let cases = [
        ("sword", foreign, "it belongs to group 5, not to user 1", ""),
        ("sword", picture, "its type is Image, not Model", ""),
        ("ui/a.png", rejected, "moderation rejected it", ""),
        ("ui/a.png", 77, "can't check asset 77", "create.roblox.com"),
        ("swrod", sword, "`swrod` is not in the manifest", "did you mean `sword`?"),
        ("shield", sword, "`shield` is not in the manifest", "add it to the manifest first"),
        ("ui/broken.png", picture, "can't be used", "macadam check"),
    ];
    for (address, asset, message, hint) in cases {
        let told = refused(&project, &["import", address, &asset.to_string()], 1);
        assert!(told.0.contains(message) && told.1.contains(hint), "{told:?}");
    }
    // What an import would do is said only of an asset that was found.
    let told = project.run(&["import", "ui/a.png", "77"]).expect(1).stderr;
    assert!(told.contains("can't check asset 77") && !told.contains("can't compare"), "{told}");
    refused(&project, &["import", "sword", "0"], 64);
    assert!(!project.file("assets.lock.toml").exists());
    project.run(&["import", "ui/a.png", &picture.to_string(), "--content-matches"]).expect(0);
    // An asset has one address.
    project.write("ui/b.png", png(2));
    for address in ["ui/a.png", "ui/b.png"] {
        let told = refused(&project, &["import", address, &picture.to_string()], 1);
        assert!(told.0.contains("already belongs to `ui/a.png`"), "{told:?}");
    }
    assert_eq!(remote.assets().len(), before);
}

#[test]
fn an_archived_asset_is_imported_with_a_note() {
    let remote = remote(&[]);
    let (sword, _) = made_elsewhere(&remote, MANIFEST);
    remote.control().edit(sword, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    let project = project(&remote, MANIFEST);
    let (code, told) = project.json(&["import", "sword", &sword.to_string()]);
    assert_eq!((code, &told["archived"]), (0, &json!(true)), "{told:#}");
    assert!(told["notes"].to_string().contains("macadam restore sword"), "{told:#}");
    assert_eq!(row(&project, "sword")["asset_id"], sword);
}

/// Two addresses left with the same bytes: which of them the new one is, a person says.
#[test]
fn an_ambiguous_move_is_decided_by_an_import() {
    let remote = remote(&[]);
    let manifest = |names: &[&str]| {
        let entry = |name: &&str| format!("[assets.{name}]\npath = \"{name}.rbxmx\"\n");
        format!("[creator]\nuser_id = 1\n{}", names.iter().map(entry).collect::<String>())
    };
    let project = Project::new(&manifest(&["a", "b"])).at(&remote.url());
    project.write("a.rbxmx", rbxmx("same"));
    project.write("b.rbxmx", rbxmx("same"));
    project.sync();
    let b = asset_id(&project, "b");
    project.write("assets.toml", manifest(&["c"]));
    project.write("c.rbxmx", rbxmx("same"));
    let (code, held) = project.json(&["sync", "--once"]);
    assert_eq!((code, held["actions"][0]["outcome"].as_str()), (1, Some("held")), "{held:#}");
    assert!(held["actions"][0]["hint"].as_str().unwrap().contains("macadam import c"), "{held:#}");
    let (code, told) = project.json(&["import", "c", &b.to_string()]);
    assert_eq!((code, &told["moved_from"], &told["content_known"]), (0, &json!("b"), &json!(true)), "{told:#}");
    assert_eq!(asset_id(&project, "c"), b);
    let lockfile = project.read("assets.lock.toml");
    assert!(!lockfile.contains("[assets.\"b\"]") && lockfile.contains("[assets.\"c\"]"), "{lockfile}");
    // The other one needs no decision any more: it left.
    project.sync();
    is_settled(&remote, &project);
    assert_eq!(remote.assets().len(), 2);
}

/// A synced project with the Model `m/a.rbxmx`.
fn one_model() -> (Remote, Project) {
    let remote = remote(&[]);
    let manifest = "[creator]\nuser_id = 1\n[globs.m]\npath = \"m/*.rbxmx\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("m/a.rbxmx", rbxmx("a"));
    project.sync();
    (remote, project)
}

/// Renames a Model of [`one_model`], and edits it at once.
fn rename_model(project: &Project, from: &str, to: &str) {
    project.remove(&format!("m/{from}.rbxmx"));
    project.write(&format!("m/{to}.rbxmx"), rbxmx(to));
}

/// A Model that was renamed and edited at once, twice, and was synced in between.
#[test]
fn a_model_is_taken_over_again_and_again_from_the_name_that_had_it_last() {
    let (remote, project) = one_model();
    let rename = |from, to| rename_model(&project, from, to);
    let first = asset_id(&project, "m/a.rbxmx");
    rename("a", "b");
    project.sync();
    let second = asset_id(&project, "m/b.rbxmx");
    let Ran { stdout, stderr, .. } = project.run(&["import", "m/b.rbxmx", &first.to_string()]).expect(0);
    let said = format!("{stderr}{stdout}");
    assert_eq!(said.matches("uploads the file").count(), 1, "{said}");
    assert_eq!(row(&project, "m/b.rbxmx")["state"], "pending");
    // The way back is one.
    assert!(said.contains(&format!("`macadam import m/b.rbxmx {second}` goes back to asset {second}")), "{said}");
    project.run(&["import", "m/b.rbxmx", &second.to_string()]).expect(0);
    is_settled(&remote, &project);
    assert_eq!(asset_id(&project, "m/b.rbxmx"), second);
    project.run(&["import", "m/b.rbxmx", &first.to_string()]).expect(0);
    assert_eq!(project.sync()["summary"], json!({"update_content": 1}));
    rename("b", "c");
    let (_, told) = project.json(&["import", "m/c.rbxmx", &first.to_string()]);
    assert_eq!((&told["moved_from"], &told["content_known"]), (&json!("m/b.rbxmx"), &json!(true)), "{told:#}");
    // Macadam made that revision itself.
    assert_eq!(project.sync()["summary"], json!({"update_content": 1}));
    assert_eq!(content(&remote, first), hash(rbxmx("c").as_bytes()));
    is_settled(&remote, &project);
}

/// Also on other machines, and after a merge with a branch from before.
#[test]
fn a_name_that_left_loses_its_asset_to_the_one_that_takes_it_over() {
    let (remote, project) = one_model();
    let rename = |from, to| rename_model(&project, from, to);
    let (id, before) = (asset_id(&project, "m/a.rbxmx"), project.read("assets.lock.toml"));
    let first = id.to_string();
    // Each is synced under its new name before it is taken over.
    for (from, to) in [("a", "b"), ("b", "c")] {
        rename(from, to);
        project.sync();
        let (_, told) = project.json(&["import", &format!("m/{to}.rbxmx"), &first]);
        assert_eq!(told["moved_from"], json!(format!("m/{from}.rbxmx")), "{told:#}");
        project.sync();
        is_settled(&remote, &project);
    }
    let check = |when: &str| {
        let rows = project.json(&["status"]).1["assets"].clone();
        let with: Vec<_> = rows.as_array().unwrap().iter().filter(|row| row["asset_id"] == id).collect();
        assert_eq!(with.len(), 1, "{when}: {rows:#}");
        assert_eq!((&with[0]["address"], &with[0]["state"]), (&json!("m/c.rbxmx"), &json!("synced")), "{when}");
        let revisions = project.json(&["history", "m/c.rbxmx"]).1["revisions"].clone();
        let of_first = revisions.as_array().unwrap().iter().filter(|one| one["asset_id"] == id);
        let contents: Vec<_> = of_first.map(|one| one["content_hash"].clone()).collect();
        assert_eq!(contents, ["a", "b", "c"].map(|text| json!(hash(rbxmx(text).as_bytes()))), "{when}: {revisions:#}");
    };
    check("here");
    let told = project.run(&["status", "m/a.rbxmx"]).expect(1).stderr;
    assert!(told.contains("it is called `m/c.rbxmx` now"), "{told}");
    let lockfile = project.read("assets.lock.toml");
    project.remove_state();
    check("in a clone");
    // A branch from before doesn't bring it back.
    project.write("base.toml", &before);
    project.write("ours.toml", &lockfile);
    project.write("theirs.toml", &before);
    project.run(&["lockfile", "merge", "base.toml", "ours.toml", "theirs.toml"]).expect(0);
    assert_eq!(project.read("ours.toml"), lockfile);
    // Its old file doesn't stop the asset's new name.
    project.sync();
    project.write("m/a.rbxmx", rbxmx("a"));
    let plan = project.run(&["plan"]).stdout;
    assert!(!plan.contains("m/c.rbxmx` has the same asset"), "{plan}");
    assert_eq!(row(&project, "m/c.rbxmx")["state"], "synced", "{plan}");
}

#[test]
fn an_imported_picture_with_other_content_than_the_file_does_not_pretend_to_be_used() {
    let remote = remote(&[]);
    let manifest = "[creator]\nuser_id = 1\n[globs.ui]\npath = \"ui/*.png\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("ui/x.png", png(1));
    project.sync();
    let old = asset_id(&project, "ui/x.png");
    project.remove("ui/x.png");
    project.write("ui/x2.png", png(2));
    project.sync();
    let new = asset_id(&project, "ui/x2.png");
    let Ran { stdout, stderr, .. } = project.run(&["import", "ui/x2.png", &old.to_string()]).expect(0);
    let said = format!("{stderr}{stdout}");
    let stays =
        format!("ui/x2.png stays asset {new}, which has its file: Roblox can't update an Image to another content");
    assert!(said.contains(&stays) && !said.contains("uploads the file") && !said.contains("can't compare"), "{said}");
    let number = said.split(&format!("asset {old} is revision ")).nth(1).unwrap().split(' ').next().unwrap().to_owned();
    // Promise, status and plan agree, and the way to use it is one.
    assert_eq!(asset_id(&project, "ui/x2.png"), new);
    is_settled(&remote, &project);
    project.run(&["pin", "ui/x2.png", &number]).expect(0);
    assert_eq!(asset_id(&project, "ui/x2.png"), old);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
}

#[test]
fn an_import_that_is_not_used_says_that_the_policy_archives_it() {
    let remote = remote(&[]);
    let (_, picture) = made_elsewhere(&remote, MANIFEST);
    for (policy, is_said) in [("", false), ("\n[policy]\nreplaced = \"archive\"\n", true)] {
        let project = project(&remote, &format!("{MANIFEST}{policy}"));
        project.write("ui/a.png", png(9));
        project.sync();
        let Ran { stdout, stderr, .. } = project.run(&["import", "ui/a.png", &picture.to_string()]).expect(0);
        let said = format!("{stderr}{stdout}").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(said.contains("Without a pin Macadam archives it like a replaced one"), is_said, "{said}");
    }
}

#[test]
fn a_rehearsal_imports_from_the_emulators_world() {
    let project = Project::new(MANIFEST);
    project.write("sword.rbxmx", rbxmx("1"));
    project.run(&["sync", "--once", "--emulator"]).expect(0);
    let (_, status) = project.json(&["status", "sword", "--emulator"]);
    let id = status["assets"][0]["asset_id"].to_string();
    let rehearsal = project.state_folder().join("emulator");
    for name in ["assets.db", "assets.db-wal", "assets.db-shm", "assets.lock.toml"] {
        let _ = std::fs::remove_file(rehearsal.join(name));
    }
    let ran = project.run(&["import", "sword", &id, "--emulator", "--content-matches"]).expect(0);
    assert!(!ran.stdout.contains("commit"), "{}", ran.stdout);
    let (_, plan) = project.json(&["plan", "--emulator"]);
    assert_eq!(plan["actions"], json!([]));
}
