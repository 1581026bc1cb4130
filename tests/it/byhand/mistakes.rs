//! Commands that can't be carried out, and commands that are given twice: nothing is half done, and
//! the message names the way out.

use serde_json::json;

use super::{asset_id, is_settled, refused, remote, row};
use crate::support::{Project, png, rbxmx};

const SHOWN: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n\n[assets.sword]\npath = \"sword.rbxmx\"\nicon = \"ui/icon.png\"\n";

fn shown() -> (crate::support::Remote, Project) {
    let remote = remote(&[]);
    let project = Project::new(SHOWN).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("1"));
    project.write("ui/icon.png", png(1));
    project.write("ui/copy.png", png(1));
    project.write("ui/other.png", png(2));
    project.sync();
    (remote, project)
}

#[test]
fn status_takes_globs_and_names_the_nearest_address() {
    let (_remote, project) = shown();
    let (code, document) = project.json(&["status", "ui/*o*y.png", "sword"]);
    assert_eq!(code, 0, "{document:#}");
    let names: Vec<&str> =
        document["assets"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap()).collect();
    assert_eq!(names, ["sword", "ui/copy.png"]);
    let (message, hint) = refused(&project, &["status", "swrod"], 1);
    assert!(message.contains("`swrod`") && hint.contains("`sword`"), "{message} {hint}");
    let (message, _) = refused(&project, &["status", "x/*"], 1);
    assert_eq!(message, "no asset matches the pattern `x/*`");
}

#[test]
fn a_glob_that_fits_assets_with_nothing_to_do_says_so() {
    let (_remote, project) = shown();
    for (command, what) in
        [("retry", "can be helped by `macadam retry`"), ("unpin", "is pinned"), ("restore", "is archived")]
    {
        let (message, _) = refused(&project, &[command, "ui/*"], 1);
        assert!(message.starts_with("none of the 3 assets that match `ui/*`") && message.contains(what), "{message}");
    }
}

#[test]
fn recreate_refuses_unknown_addresses_and_a_table_that_can_not_be_written_before_anything_is_uploaded() {
    let (remote, project) = shown();
    project.write("assets.toml", SHOWN.replace("user_id = 1", "group_id = 7"));
    let before = (remote.assets().len(), project.read("assets.lock.toml"));
    let (message, hint) = refused(&project, &["recreate", "--creator", "ui/other.png", "swrod"], 1);
    assert!(message.contains("`swrod`") && hint.contains("`sword`"), "{message} {hint}");
    for table in ["nowhere/ids.csv", "assets.toml/ids.csv"] {
        let (message, hint) = refused(&project, &["recreate", "--creator", "--yes", "--table", table], 3);
        assert!(message.contains("ids.csv") && hint.contains("--table"), "{message} {hint}");
    }
    assert_eq!((remote.assets().len(), project.read("assets.lock.toml")), before, "nothing was done");
    project.run(&["recreate", "--creator", "--yes", "--table", "ids.csv"]).expect(0);
    assert_eq!(project.read("ids.csv").lines().count(), 5);
    // On the way back, the hint says that nothing is uploaded.
    project.write("assets.toml", SHOWN);
    let (_, plan) = project.json(&["plan"]);
    assert!(plan.to_string().contains("goes back to the asset that it had"), "{plan:#}");
    let made = remote.assets().len();
    project.run(&["recreate", "--creator", "--yes"]).expect(0);
    assert_eq!(remote.assets().len(), made);
    is_settled(&remote, &project);
}

#[test]
fn forget_says_how_to_take_the_asset_back() {
    let (remote, project) = shown();
    let other = asset_id(&project, "ui/other.png");
    project.run(&["forget", "--yes", "ui/other.png"]).expect(0);
    for command in ["forget", "history"] {
        let (message, hint) = refused(&project, &[command, "ui/other.png"], 1);
        assert!(message.contains("was forgotten") && message.contains(&other.to_string()), "{message}");
        assert_eq!(hint, format!("`macadam import ui/other.png {other} --content-matches` takes it back"));
    }
    project.run(&["import", "ui/other.png", &other.to_string(), "--content-matches"]).expect(0);
    is_settled(&remote, &project);
}

#[test]
fn an_import_can_be_corrected_by_saying_that_the_content_matches() {
    let (remote, project) = shown();
    let other = asset_id(&project, "ui/other.png");
    project.run(&["forget", "--yes", "ui/other.png"]).expect(0);
    project.run(&["import", "ui/other.png", &other.to_string()]).expect(0);
    assert_eq!(row(&project, "ui/other.png")["content_hash"], json!(null));
    project.run(&["import", "ui/other.png", &other.to_string(), "--content-matches"]).expect(0);
    is_settled(&remote, &project);
    let (message, _) = refused(&project, &["import", "ui/other.png", &other.to_string(), "--content-matches"], 1);
    assert!(message.contains("already belongs to `ui/other.png`"), "{message}");
}

#[test]
fn assets_that_use_each_other_are_archived_by_one_command() {
    let (remote, project) = shown();
    // The icon is in use as long as its model is, and a shared picture as long as the other address
    // is.
    let (message, _) = refused(&project, &["archive", "--yes", "ui/icon.png"], 1);
    assert!(message.contains("also used by"), "{message}");
    let (code, document) = project.json(&["archive", "--yes", "**"]);
    assert_eq!(code, 0, "{document:#}");
    assert!(remote.assets().iter().all(|report| report.asset.archived), "{document:#}");
    project.run(&["restore", "**"]).expect(0);
    assert!(remote.assets().iter().all(|report| !report.asset.archived));
    is_settled(&remote, &project);
}

#[test]
fn a_name_that_is_nearly_right_leads_to_the_right_one_in_every_command() {
    let (_remote, project) = shown();
    let hint = |args: &[&str], code: i32| refused(&project, args, code).1;
    let whole = project.file("ui/icon.png").display().to_string();
    for command in ["status", "history", "open", "forget", "archive"] {
        assert_eq!(hint(&[command, "icon"], 1), "did you mean `ui/icon.png`?", "{command}");
        assert_eq!(
            hint(&[command, &whole], 1),
            "names begin at the folder of assets.toml: write `ui/icon.png`",
            "{command}"
        );
        assert_eq!(hint(&[command, "UI/**"], 1), "upper and lower case differ: did you mean 'ui/**'?", "{command}");
        assert_eq!(hint(&[command, "Ui"], 1), "for all assets in the folder write 'ui/**', in quotes", "{command}");
    }
    for args in [&["plan", "icon"][..], &["sync", "--once", "icon"], &["resolve", "icon", "--recreate"]] {
        assert_eq!(hint(args, 1), "did you mean `ui/icon.png`?", "{args:?}");
    }
    assert_eq!(hint(&["pin", "1", "ui/icon.png"], 64), "write `macadam pin ui/icon.png 1`");
    assert_eq!(hint(&["status", "--all"], 64), "without a name, `macadam status` is about all assets");
    let told = project.run(&["sync", "--dry-run"]).expect(64).stderr;
    assert!(told.contains("  hint: `macadam plan` shows") && !told.contains("tip:"), "{told}");
}

/// Nothing was uploaded yet, so only the manifest knows the names.
#[test]
fn the_history_of_a_folder_leads_to_its_assets_before_the_first_sync() {
    let remote = remote(&[]);
    let project = Project::new(SHOWN).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("1"));
    project.write("ui/icon.png", png(1));
    let (_, hint) = refused(&project, &["history", "ui"], 1);
    assert_eq!(hint, "for all assets in the folder write 'ui/**', in quotes");
}

#[test]
fn a_forgotten_asset_that_a_glob_finds_is_kept_out_by_other_means_than_one_with_an_entry() {
    let (_remote, project) = shown();
    let (_, hint) = refused(&project, &["forget", "ui/other.png"], 1);
    assert!(hint.starts_with("to prevent that, first move the file away, or `exclude` it in its glob;"), "{hint}");
    let (_, hint) = refused(&project, &["forget", "sword"], 1);
    assert!(hint.starts_with("to prevent that, first remove its entry from the manifest;"), "{hint}");
    let told = project.run(&["forget", "--yes", "ui/other.png"]).expect(0).stdout;
    assert!(told.contains("To prevent that, move the file away, or `exclude` it in its glob"), "{told}");
    project.write("assets.toml", "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"sword.rbxmx\"\n");
    let told = project.run(&["status"]).expect(0).stdout;
    assert!(told.contains("removed (still on Roblox)"), "{told}");
}
