//! The main job: files in, assets on the remote, their IDs in state and lockfile, a second run with
//! nothing to do; and what one bad asset does to the rest.

use std::path::Path;

use macadam::emulator::{
    ApiEndpoint, Config, FaultRule, ModerationRule, ModerationVerdict, TextAction, TextField, TextRule, VerdictStep,
};
use serde_json::{Value, json};

use super::support::{GLOBS, Project, Remote, png, rbxmx, system};

/// A remote that shows new operations at once.
fn remote() -> Remote {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    Remote::with(Config { switches, ..Config::default() })
}

/// The row of an address in `status`.
fn row(project: &Project, address: &str) -> Value {
    let (code, document) = project.json(&["status", address]);
    assert_eq!(code, 0, "{document:#}");
    document["assets"][0].clone()
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn a_second_run_sends_nothing() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("models/b.rbxmx", rbxmx("b"));
    let first = project.sync();
    assert_eq!(first["summary"]["create"], 2);
    assert_eq!(first["in_sync"], true);
    assert_eq!(remote.assets().len(), 2);
    let before = remote.all_requests();
    let second = project.sync();
    assert_eq!(second["actions"].as_array().unwrap().len(), 0);
    assert_eq!(remote.all_requests(), before);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
}

/// The README's first command, twice, in a copy of the example.
#[test]
fn the_quickstart_is_in_sync_the_second_time() {
    let project = Project::new("");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart")), project.path());
    project.remove_state();
    let world = ".macadam/emulator/world.json";
    let command = ["sync", "--once", "--emulator"];
    let mut first = project.command(&command);
    // A rehearsal needs no key.
    let first = super::support::Ran::of(first.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(0);
    assert!(
        first.stdout.contains("Rehearsal done. Nothing was sent to Roblox. 6 assets: 6 uploaded"),
        "{}",
        first.stdout
    );
    let made = project.read(world);
    let second = project.run(&command).expect(0);
    assert!(second.stdout.contains("Nothing was sent to Roblox. 6 assets, nothing to do"), "{}", second.stdout);
    assert_eq!(project.read(world), made, "the second run changed the remote");
    let (code, third) = project.json(&command);
    assert_eq!((code, &third["in_sync"], &third["actions"]), (0, &json!(true), &json!([])));
    assert!(!project.file("assets.lock.toml").exists() && !project.state().exists());
}

#[test]
fn the_lockfile_alone_is_enough() {
    let remote = remote();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(1));
    project.write("models/b.rbxmx", rbxmx("b"));
    project.sync();
    let (lockfile, before) = (project.read("assets.lock.toml"), remote.all_requests());
    project.remove_state();
    assert_eq!(project.sync()["actions"], json!([]));
    assert_eq!(remote.all_requests(), before);
    assert_eq!(project.read("assets.lock.toml"), lockfile);
}

#[test]
fn the_key_is_nowhere() {
    let remote = remote();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("models/b.rbxmx", rbxmx("b"));
    for args in
        [&["sync", "--once", "-vv"][..], &["sync", "--once", "-vv", "--log-format", "json"], &["status"], &["plan"]]
    {
        // The harness looks at both outputs.
        project.run(args).expect(0);
        project.write("ui/a.png", png(2));
    }
    let mut files = Vec::new();
    files_below(project.path(), &mut files);
    assert!(files.iter().any(|path| path.ends_with(".macadam/assets.db")), "{files:?}");
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let key = super::support::SECRET.as_bytes();
        assert!(!bytes.windows(key.len()).any(|window| window == key), "{}", path.display());
    }
    let log = serde_json::to_string(&remote.control().requests()).unwrap();
    assert!(log.contains("create_asset") && !log.contains(super::support::SECRET));
}

/// Each kind of bad asset beside a good one: the good one is done, each bad one says why, and none
/// is tried at Roblox again.
#[test]
fn one_bad_asset_stops_no_other() {
    let remote = remote();
    let refuse = json!({
        "match": {"endpoint": "create_asset", "name": "bad"},
        "action": {"kind": "reply", "status": 400, "shape": "service", "message": "\"InvalidImage\""},
    });
    remote.control().add_faults(vec![serde_json::from_value::<FaultRule>(refuse).unwrap()]).unwrap();
    let project = Project::new(&format!("{GLOBS}\n[assets.missing]\npath = \"gone.png\"\n")).at(&remote.url());
    project.write("models/good.rbxmx", rbxmx("good"));
    project.write("ui/good.png", png(1));
    project.write("ui/bad.png", png(2));
    project.write("ui/cut.png", &png(3)[..20]);
    project.write("ui/text.png", "not a picture");
    project.write("ui/lfs.png", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n");
    project.write("ui/empty.png", "");
    // Other systems have no such names, and refuse to write one.
    let not_utf8 = project.file("ui").join(system::any_text(b"\xff.png".to_vec()));
    if cfg!(target_os = "linux") {
        std::fs::write(&not_utf8, png(4)).unwrap();
    }
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{document:#}");
    assert_eq!(document["in_sync"], false);
    let actions = document["actions"].as_array().unwrap();
    let of = |address: &str| actions.iter().find(|entry| entry["address"].as_str() == Some(address)).unwrap();
    assert_eq!((&of("ui/good.png")["outcome"], &of("ui/good.png")["error"]), (&json!("done"), &Value::Null));
    for (address, why) in [
        ("ui/bad.png", "\"InvalidImage\""),
        ("ui/cut.png", "cut off"),
        ("ui/text.png", ""),
        ("ui/lfs.png", "Git LFS pointer"),
        ("ui/empty.png", "empty"),
        ("missing", "gone.png"),
    ] {
        let entry = of(address);
        assert_eq!(entry["outcome"], "failed", "{entry:#}");
        let error = entry["error"].as_str().unwrap();
        assert!(!error.is_empty() && error.contains(why), "{entry:#}");
        assert_eq!(row(&project, address)["state"], "failed");
    }
    let odd = actions.iter().find(|entry| entry["error"].as_str().is_some_and(|error| error.contains("UTF-8")));
    let outcome = odd.map(|odd| odd["outcome"].as_str().unwrap());
    assert_eq!(outcome, cfg!(target_os = "linux").then_some("failed"), "{document:#}");
    assert!(row(&project, "ui/bad.png")["error"].as_str().unwrap().contains("InvalidImage"));
    assert_eq!(remote.assets().len(), 2);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);

    let before = remote.all_requests();
    project.run(&["sync", "--once"]).expect(1);
    assert_eq!(remote.all_requests(), before, "a refused asset was tried again");

    // `retry` makes it due, though nothing changed.
    project.run(&["retry", "ui/good.png"]).expect(1);
    project.run(&["retry", "ui/bad.png"]).expect(0);
    assert_eq!(row(&project, "ui/bad.png")["state"], "pending");
    project.run(&["sync", "--once"]).expect(1);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 4);
    assert_eq!(row(&project, "ui/bad.png")["state"], "failed");
    // And so does another content.
    project.write("ui/bad.png", png(5));
    project.run(&["sync", "--once"]).expect(1);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 5);
    // Roblox takes it at last, and the rest is mended.
    remote.control().clear_faults();
    project.run(&["retry", "ui/bad.png"]).expect(0);
    ["ui/cut.png", "ui/text.png", "ui/lfs.png", "ui/empty.png"].iter().for_each(|name| project.remove(name));
    let _ = std::fs::remove_file(not_utf8);
    project.write("gone.png", png(6));
    assert_eq!(project.sync()["summary"], json!({"create": 2}));
}

/// 50 code points are 100 units of UTF-16: whether Roblox takes them is unknown.
#[test]
fn a_name_that_is_too_long_for_roblox_fails_alone() {
    let name = "\u{1f5e1}".repeat(50);
    for (unit, code) in [("code_points", 0), ("utf16", 1)] {
        let remote = remote();
        remote.control().set_switch("name_length_unit", unit).unwrap();
        let project = Project::new(&format!("{GLOBS}\n[assets.long]\npath = \"l.png\"\ndisplay_name = \"{name}\"\n"));
        let project = project.at(&remote.url());
        project.write("l.png", png(1));
        project.write("ui/a.png", png(2));
        project.write(&format!("ui/{}.png", "n".repeat(200)), png(3));
        project.write("models/b.rbxmx", rbxmx("b"));
        let (found, document) = project.json(&["sync", "--once"]);
        assert_eq!(found, code, "{unit}: {document:#}");
        assert_eq!(remote.assets().len(), if code == 0 { 4 } else { 3 }, "{unit}: {document:#}");
        let before = remote.all_requests();
        assert_eq!(project.run(&["sync", "--once"]).code, code);
        assert_eq!(remote.all_requests(), before, "{unit}");
        if code == 1 {
            assert_eq!(row(&project, "long")["state"], "failed");
            assert!(row(&project, "long")["error"].as_str().unwrap().contains("name length"), "{document:#}");
        }
    }
}

const NAMED: &str = "[creator]\nuser_id = 1\n\n[assets.a]\npath = \"a.rbxmx\"\ndisplay_name = \"NAME\"\ndescription = \"TEXT\"\n\n[assets.b]\npath = \"b.png\"\n";

fn named(name: &str, text: &str) -> String {
    NAMED.replace("NAME", name).replace("TEXT", text)
}

/// Roblox says yes and stores something else.
#[test]
fn a_censored_name_is_not_corrected_for_ever() {
    let remote = remote();
    let rule = |action| TextRule { contains: "darn".to_owned(), field: TextField::Both, action };
    remote.control().add_text_rule(rule(TextAction::Censor));
    let project = Project::new(&named("A darn crate", "darn it")).at(&remote.url());
    project.write("a.rbxmx", rbxmx("a"));
    project.write("b.png", png(1));
    project.sync();
    let still = |project: &Project| {
        let before = remote.all_requests();
        assert_eq!(project.sync()["actions"], json!([]));
        assert_eq!(remote.all_requests(), before, "it was corrected again");
    };
    still(&project);
    assert_eq!(row(&project, "a")["stored_display_name"], "A #### crate");
    assert_eq!(row(&project, "a")["state"], "synced");
    // The same by an update.
    project.write("assets.toml", named("Another darn crate", "darn it all"));
    assert_eq!(project.sync()["summary"], json!({"update_metadata": 1}));
    still(&project);
    assert_eq!(row(&project, "a")["stored_display_name"], "Another #### crate");
    // A name that passes.
    project.write("assets.toml", named("A crate", "it"));
    assert_eq!(project.sync()["summary"], json!({"update_metadata": 1}));
    still(&project);
    assert_eq!(row(&project, "a")["stored_display_name"], Value::Null);
    // The lockfile alone is enough not to loop.
    project.write("assets.toml", named("A darn crate", "it"));
    project.sync();
    project.remove_state();
    still(&project);
}

#[test]
fn a_refused_name_waits_for_another_name() {
    let remote = remote();
    let contains = "darn".to_owned();
    remote.control().add_text_rule(TextRule { contains, field: TextField::Name, action: TextAction::Refuse });
    let project = Project::new(&named("A darn crate", "")).at(&remote.url());
    project.write("a.rbxmx", rbxmx("a"));
    project.write("b.png", png(1));
    let refused = |project: &Project| {
        project.run(&["sync", "--once"]).expect(1);
        let found = row(project, "a");
        assert_eq!(found["state"], "failed");
        assert!(found["error"].as_str().unwrap().contains("AssetName is moderated."), "{found:#}");
        let before = remote.all_requests();
        project.run(&["sync", "--once"]).expect(1);
        assert_eq!(remote.all_requests(), before, "it was tried again");
    };
    refused(&project);
    assert_eq!(row(&project, "b")["state"], "synced");
    project.write("assets.toml", named("A crate", ""));
    assert_eq!(project.sync()["summary"], json!({"create": 1}));
    // The same for a new name of what is there.
    project.write("assets.toml", named("A darn crate", ""));
    refused(&project);
    assert!(row(&project, "a")["asset_id"].is_u64());
    project.write("assets.toml", named("A crate", ""));
    assert_eq!(project.sync()["actions"], json!([]));
    assert_eq!(remote.assets().len(), 2);
}

/// A rejected content is not uploaded again, on any machine, until it changes.
#[test]
fn rejected_content_waits_for_another_content() {
    for get in ["ok", "not_found"] {
        let remote = remote();
        remote.control().set_switch("rejected_get", get).unwrap();
        let verdicts = vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }];
        remote.control().moderate(ModerationRule { name: Some("rude".to_owned()), verdicts, ..Default::default() });
        let project = Project::new(GLOBS).at(&remote.url());
        project.write("ui/rude.png", png(1));
        project.write("ui/good.png", png(2));
        project.write("models/rude.rbxmx", rbxmx("rude"));
        project.run(&["sync", "--once"]).expect(1);
        assert_eq!(remote.assets().len(), 3);
        let before = remote.requests(ApiEndpoint::CreateAsset) + remote.requests(ApiEndpoint::UpdateAsset);
        for state in [true, false] {
            if !state {
                project.remove_state();
            }
            project.run(&["sync", "--once"]).expect(1);
            for address in ["ui/rude.png", "models/rude.rbxmx"] {
                let found = row(&project, address);
                assert_eq!((&found["state"], &found["moderation"]), (&json!("rejected"), &json!("rejected")), "{get}");
            }
            assert_eq!(row(&project, "ui/good.png")["state"], "synced");
        }
        let after = remote.requests(ApiEndpoint::CreateAsset) + remote.requests(ApiEndpoint::UpdateAsset);
        assert_eq!(after, before, "{get}: rejected content was sent again");
        remote.control().clear_moderation();
        project.write("ui/rude.png", png(3));
        project.run(&["sync", "--once"]).expect(1);
        assert_eq!(row(&project, "ui/rude.png")["state"], "synced", "{get}");
    }
}
