//! The contract of each command with people and scripts: exit code, the one JSON document with its
//! keys, and the files that it leaves alone.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use macadam::emulator::{ApiEndpoint, Config, Creators, EmulatedKey, Principal};
use serde_json::{Value, json};

use super::support::system::{self, NOBODY};
use super::support::{Project, Ran, Remote, SECRET, png, rbxmx};

const MANIFEST: &str =
    "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"sword.rbxmx\"\n\n[assets.icon]\npath = \"icon.png\"\n";

/// A remote, and a project of a model and a picture that were never synced.
fn new() -> (Remote, Project) {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let remote = Remote::with(Config { switches, ..Config::default() });
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("sword"));
    project.write("icon.png", png(1));
    (remote, project)
}

/// The same after a sync.
fn synced() -> (Remote, Project) {
    let (remote, project) = new();
    project.sync();
    (remote, project)
}

/// Every file below a folder, with its bytes.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

#[track_caller]
fn has_keys(value: &Value, keys: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value:#}"));
    for key in keys {
        assert!(object.contains_key(*key), "`{key}` is missing in {value:#}");
    }
}

/// Runs with `--json`; the document must be the errors of the contract. Gives the first one.
#[track_caller]
fn error(project: &Project, args: &[&str], code: i32) -> Value {
    let (found, document) = project.json(args);
    assert_eq!(found, code, "{args:?}: {document:#}");
    let errors = document["errors"].as_array().unwrap_or_else(|| panic!("{args:?}: {document:#}"));
    assert!(!errors.is_empty(), "{args:?}");
    for error in errors {
        has_keys(error, &["message", "hint", "file", "line", "column"]);
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    let first = errors[0].clone();
    // A person gets the same words on standard error, and nothing on standard output but what
    // became of each asset.
    let text = project.run(args).expect(code);
    assert!(text.stdout.is_empty() || code == 4, "{args:?}: {}", text.stdout);
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&text.stderr).contains(&flat(first["message"].as_str().unwrap())), "{args:?}: {}", text.stderr);
    first
}

const ACTION: &[&str] = &["address", "action", "reason", "asset_id", "revision"];

#[test]
fn init_overwrites_nothing() {
    let project = Project::new("# mine\n");
    project.write(".gitattributes", "# mine too\n");
    let (code, document) = project.json(&["init"]);
    assert_eq!(code, 0);
    assert_eq!(document["written"], json!([".macadam/.gitignore"]));
    assert_eq!(document["kept"], json!(["assets.toml", ".gitattributes"]));
    assert_eq!(
        (project.read("assets.toml").as_str(), project.read(".gitattributes").as_str()),
        ("# mine\n", "# mine too\n")
    );
    let before = snapshot(project.path());
    project.run(&["init"]).expect(0);
    assert_eq!(snapshot(project.path()), before);
}

#[test]
fn init_gives_a_manifest_that_lacks_only_the_creator() {
    let project = Project::new("");
    project.remove("assets.toml");
    project.run(&["init"]).expect(0);
    let found = error(&project, &["check"], 3);
    assert!(found["hint"].as_str().unwrap().contains("user_id"), "{found:#}");
    project.write("assets.toml", project.read("assets.toml").replacen("# user_id", "user_id", 1));
    project.run(&["check"]).expect(0);
}

#[test]
fn check_tells_bad_files_from_a_bad_manifest() {
    let (remote, project) = new();
    let (code, document) = project.json(&["check"]);
    assert_eq!((code, &document["errors"]), (0, &json!([])));
    project.write("icon.png", "no picture");
    let (code, document) = project.json(&["check"]);
    assert_eq!(code, 1);
    let errors = document["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{document:#}");
    has_keys(&errors[0], &["message", "hint", "file", "line", "column"]);
    assert_eq!(errors[0]["file"], "icon.png");
    assert!(project.run(&["check"]).expect(1).stdout.contains("icon.png"));
    project.write("assets.toml", format!("{MANIFEST}colour = 1\n"));
    let found = error(&project, &["check"], 3);
    assert_eq!((&found["file"], &found["line"]), (&json!("assets.toml"), &json!(9)));
    assert_eq!(remote.all_requests(), 0);
    assert!(!project.state_folder().exists(), "check made a state");
}

#[test]
fn ten_mistakes_are_ten_located_errors_and_no_request() {
    let (remote, project) = new();
    let manifest = "\
[creator]
user_id = 0

[policy]
drift = \"mend\"
colour = \"blue\"

[assets.a]
path = \"../a.png\"

[assets.b]
type = \"Image\"

[assets.c]
path = \"c.png\"
type = \"Hat\"

[assets.d]
path = \"d.png\"
display_name = \"\"

[assets.e]
path = \"e.png\"
expected_price = -1

[assets.f]
path = \"f.png\"
icon = \"nobody\"

[globs.g]
path = \"g/**/[.png\"

[existing]
h = \"text\"
";
    project.write("assets.toml", manifest);
    // Where each mistake is, as a person counts.
    let places = [
        (2, "user_id"),
        (5, "drift"),
        (6, "colour"),
        (9, "path"),
        (11, "[assets.b]"),
        (16, "type"),
        (20, "display_name"),
        (24, "expected_price"),
        (28, "icon"),
        (31, "path"),
        (34, "h"),
    ];
    for command in [&["check"][..], &["plan"], &["status"], &["sync", "--once"], &["sync", "--once", "--locked"]] {
        let (code, document) = project.json(command);
        assert_eq!(code, 3, "{command:?}: {document:#}");
        let errors = document["errors"].as_array().unwrap();
        let found: Vec<u64> = errors.iter().map(|error| error["line"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = places.iter().map(|(line, _)| *line).collect();
        assert_eq!(found, expected, "{command:?}: {document:#}");
        for (error, (line, text)) in errors.iter().zip(places) {
            assert_eq!(error["file"], "assets.toml");
            let column = usize::try_from(error["column"].as_u64().unwrap()).unwrap();
            let source = manifest.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
            assert!(source.starts_with(text) && (1..=source.len() + 1).contains(&column), "{error:#}");
        }
        let shown = project.run(command).expect(3);
        assert_eq!(shown.stdout, "");
        for (line, _) in places {
            assert!(shown.stderr.contains(&format!("assets.toml:{line}:")), "line {line} in\n{}", shown.stderr);
        }
    }
    assert_eq!(remote.all_requests(), 0);
    assert!(!project.file("assets.lock.toml").exists());
}

#[test]
fn plan_shows_and_changes_nothing() {
    let (remote, project) = new();
    let before = snapshot(project.path());
    let (code, document) = project.json(&["plan"]);
    assert_eq!(code, 0);
    assert_eq!(document["summary"], json!({"create": 2}));
    let actions = document["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 2);
    actions.iter().for_each(|action| has_keys(action, ACTION));
    assert_eq!((&actions[0]["asset_id"], &actions[0]["revision"]), (&Value::Null, &Value::Null));
    assert!(project.run(&["plan"]).expect(0).stdout.contains("to upload"));
    project.run(&["plan", "--detailed-exitcode"]).expect(2);
    // No key is needed.
    let mut command = project.command(&["plan"]);
    Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(0);
    assert_eq!(snapshot(project.path()), before, "plan wrote something");
    assert_eq!(remote.all_requests(), 0);

    project.sync();
    project.run(&["plan", "--detailed-exitcode"]).expect(0);
    // Nothing to do at the remote, but a lockfile to write.
    project.remove("assets.lock.toml");
    project.run(&["plan", "--detailed-exitcode"]).expect(2);
}

#[test]
fn locked_changes_nothing() {
    let (remote, project) = synced();
    let requests = remote.all_requests();
    let locked = ["sync", "--once", "--locked"];
    assert_eq!(project.json(&locked).1["in_sync"], true);
    project.run(&locked).expect(0);
    project.write("icon.png", png(2));
    let before = snapshot(project.path());
    let (code, document) = project.json(&locked);
    assert_eq!((code, &document["in_sync"]), (1, &json!(false)));
    assert_eq!(document["actions"][0]["action"], "replace");
    project.run(&locked).expect(1);
    assert_eq!(snapshot(project.path()), before, "--locked wrote something");
    assert_eq!(remote.all_requests(), requests, "--locked sent something");
    // Only the lockfile differs.
    project.write("icon.png", png(1));
    project.remove("assets.lock.toml");
    project.run(&locked).expect(1);
    assert!(!project.file("assets.lock.toml").exists());
}

#[test]
fn sync_status_and_history_have_the_keys_of_the_contract() {
    let (_remote, project) = new();
    let report = project.sync();
    has_keys(&report, &["actions", "summary", "in_sync"]);
    for action in report["actions"].as_array().unwrap() {
        has_keys(action, ACTION);
        has_keys(action, &["outcome", "error"]);
        assert!(action["asset_id"].is_u64() && action["revision"] == 1 && action["outcome"] == "done");
    }
    project.write("sword.rbxmx", rbxmx("two"));
    project.write("icon.png", png(2));
    project.sync();

    let (code, status) = project.json(&["status"]);
    assert_eq!(code, 0);
    let rows = status["assets"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        has_keys(row, &["address", "path", "type", "asset_id", "revision", "content_hash", "state", "moderation"]);
        has_keys(row, &["pinned_revision", "error"]);
        assert_eq!((&row["state"], &row["revision"]), (&json!("synced"), &json!(2)));
        assert_eq!(row["content_hash"].as_str().unwrap().len(), 64);
    }
    assert!(project.run(&["status"]).expect(0).stdout.contains("2 synced"));
    let (_, one) = project.json(&["status", "sword"]);
    assert_eq!(one["assets"].as_array().unwrap().len(), 1);
    assert_eq!(error(&project, &["status", "swrd"], 1)["hint"], "did you mean `sword`?");

    for address in ["sword", "icon"] {
        let (code, history) = project.json(&["history", address]);
        assert_eq!((code, history["address"].as_str()), (0, Some(address)));
        let revisions = history["revisions"].as_array().unwrap();
        revisions.iter().for_each(|revision| {
            has_keys(revision, &["revision", "asset_id", "content_hash", "created_at", "action", "current"]);
        });
        let numbers: Vec<_> = revisions.iter().map(|revision| revision["revision"].as_u64().unwrap()).collect();
        let current: Vec<_> = revisions.iter().map(|revision| revision["current"].as_bool().unwrap()).collect();
        assert_eq!((numbers, current), (vec![1, 2], vec![false, true]), "{history:#}");
        // A Model keeps its ID, a picture does not.
        let same = revisions[0]["asset_id"] == revisions[1]["asset_id"];
        assert_eq!(same, address == "sword");
    }
    error(&project, &["history", "nobody"], 1);
}

#[test]
fn readers_work_on_a_fresh_clone_and_write_nothing() {
    let (remote, project) = synced();
    project.remove_state();
    let before = snapshot(project.path());
    let requests = remote.all_requests();
    for command in [&["status"][..], &["history", "sword"], &["plan"], &["check"], &["sync", "--once", "--locked"]] {
        let mut command = project.command(command);
        let ran = Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(0);
        assert!(!ran.stdout.is_empty());
    }
    let (_, status) = project.json(&["status", "icon"]);
    assert!(status["assets"][0]["asset_id"].is_u64(), "{status:#}");
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["actions"], json!([]));
    assert_eq!(snapshot(project.path()), before);
    assert_eq!(remote.all_requests(), requests);
}

/// Root writes where it likes, so the program runs as nobody where the test is root.
#[test]
#[cfg_attr(windows, ignore = "folders have no such permissions")]
fn readers_work_in_a_read_only_folder() {
    let (_remote, project) = synced();
    let set = |mode| {
        for folder in [project.path().to_owned(), project.state_folder()] {
            system::set_mode(folder, mode);
        }
    };
    set(0o555);
    let root = std::fs::write(project.file("probe"), "").is_ok();
    if root {
        // The state is its user's alone.
        let inside = snapshot(project.path()).into_keys();
        for path in inside.chain([project.path().to_owned(), project.state_folder()]) {
            system::give(path, NOBODY, Some(NOBODY)).unwrap();
        }
    }
    let run = |args: &[&str]| {
        let mut command = project.command(args);
        if root {
            system::run_as(&mut command, NOBODY);
        }
        command.output().map(Ran::of)
    };
    // The binary may lie in a folder that only root may enter; then nothing can be shown.
    if let Ok(version) = run(&["--version"]) {
        drop(version.expect(0));
        for command in [&["status"][..], &["history", "sword"], &["plan"], &["check"], &["sync", "--once", "--locked"]]
        {
            drop(run(command).unwrap().expect(0));
        }
        let refused = run(&["sync", "--once", "--json"]).unwrap().expect(3);
        let document: Value = serde_json::from_str(&refused.stdout).unwrap();
        assert!(!document["errors"][0]["message"].as_str().unwrap().is_empty());
    }
    set(0o755);
}

#[test]
fn wrong_usage_exits_with_64() {
    let (remote, project) = new();
    for args in [
        &["frobnicate"][..],
        &[],
        &["sync", "--locked"],
        &["sync", "--once", "--timeout", "soon"],
        &["sync", "--once", "--uploads", "0"],
        &["status", "--no-such-flag"],
        &["history"],
        &["completions", "tcl"],
    ] {
        let (code, document) = project.json(args);
        assert_eq!(code, 64, "{args:?}: {document:#}");
        has_keys(&document["errors"][0], &["message", "hint", "file", "line", "column"]);
        let ran = project.run(args).expect(64);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{args:?}");
    }
    // A word that only shares letters with a command is no mistyped one.
    let told = |args: &[&str]| project.run(args).expect(64).stderr;
    assert!(!told(&["frobnicate"]).contains("recreate"), "{}", told(&["frobnicate"]));
    for (typed, meant) in [("synch", "sync"), ("stauts", "status"), ("hist", "history"), ("restroe", "restore")] {
        assert!(told(&[typed]).contains(&format!("'{meant}'")), "{}", told(&[typed]));
    }
    let without = told(&["-q"]);
    assert!(without.contains("the command is missing") && without.contains("`macadam --help`"), "{without}");
    // http is for this machine alone.
    let mut command = project.command(&["status"]);
    let elsewhere = Project::new(MANIFEST).at("http://roblox.example");
    assert!(command.output().unwrap().status.success());
    error(&elsewhere, &["status"], 64);
    assert_eq!(remote.all_requests(), 0);
}

#[test]
fn help_version_and_completions_go_to_standard_output() {
    let project = Project::new("");
    project.remove("assets.toml");
    for (args, text) in [
        (&["--help"][..], "Exit codes"),
        (&["sync", "--help"], "--locked"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "complete"),
        (&["completions", "zsh"], "#compdef macadam"),
        (&["completions", "fish"], "--command macadam"),
    ] {
        let ran = project.run(args).expect(0);
        assert!(ran.stdout.contains(text) && ran.stderr.is_empty(), "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_missing_manifest_exits_with_3() {
    let project = Project::new("");
    project.remove("assets.toml");
    for command in [&["check"][..], &["plan"], &["status"], &["sync", "--once"]] {
        let found = error(&project, command, 3);
        assert!(found["hint"].as_str().unwrap().contains("macadam init"), "{found:#}");
    }
}

#[test]
fn without_a_key_nothing_is_sent() {
    let (remote, project) = new();
    for text in [None, Some(""), Some("bad\nkey"), Some("schl\u{fc}ssel")] {
        let mut command = project.command(&["sync", "--once", "--json"]);
        match text {
            Some(text) => command.env("ROBLOX_API_KEY", text),
            None => command.env_remove("ROBLOX_API_KEY"),
        };
        let ran = Ran::of(command.output().unwrap()).expect(4);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(document["errors"][0]["message"].as_str().unwrap().contains("key"), "{document:#}");
        assert!(!ran.stdout.contains("schl"), "{}", ran.stdout);
    }
    assert_eq!(remote.all_requests(), 0);
}

#[test]
fn the_key_comes_from_a_file_or_a_credential_before_the_environment() {
    let (remote, project) = new();
    remote.control().put_key(EmulatedKey::all_powerful("from-file", "file", Principal::User(1)));
    project.write("secret/roblox-api-key", "from-file\n");
    let file = project.file("secret/roblox-api-key");
    let mut command = project.command(&["sync", "--once", "--api-key-file", file.to_str().unwrap()]);
    Ran::of(command.output().unwrap()).expect(0);
    project.write("icon.png", png(2));
    let mut command = project.command(&["sync", "--once"]);
    Ran::of(command.env("CREDENTIALS_DIRECTORY", project.file("secret")).output().unwrap()).expect(0);
    // The introspection carries the key in its body.
    let mut requests = remote.control().requests();
    requests.retain(|request| request.endpoint != Some(ApiEndpoint::IntrospectKey));
    assert!(requests.iter().all(|request| request.key.as_deref() == Some("file")));
    let missing = project.file("nothing");
    let found = error(&project, &["sync", "--once", "--api-key-file", missing.to_str().unwrap()], 4);
    assert!(found["message"].as_str().unwrap().contains("nothing"), "{found:#}");
}

#[test]
fn a_refused_key_stops_everything() {
    let (remote, project) = new();
    remote.control().put_key(EmulatedKey::all_powerful("another", "another", Principal::User(1)));
    let found = error(&project, &["sync", "--once"], 4);
    assert!(found["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{found:#}");
    assert_eq!(remote.assets().len(), 0);
    // Roblox was asked, and answered.
    let told = project.run(&["sync", "--once", "-v"]).expect(4).stderr;
    assert!(told.contains("doesn't accept") && !told.contains("couldn't be asked"), "{told}");
    // With the right key nothing stands in the way.
    remote.control().put_key(EmulatedKey::all_powerful(SECRET, "ours", Principal::User(1)));
    assert_eq!(project.sync()["summary"], json!({"create": 2}));
}

/// The key can't be introspected: what it lacks is learned from what is refused.
fn hide_the_key(remote: &Remote) {
    let script = json!({"match": {"endpoint": "introspect_key"}, "action": {"kind": "reply", "status": 404}});
    remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
}

#[test]
fn a_missing_scope_stops_everything_however_roblox_says_so() {
    for refusal in ["service_403", "gateway_403", "problem_403", "gateway_401"] {
        let (remote, project) = new();
        remote.control().set_switch("scope_refusal", refusal).unwrap();
        hide_the_key(&remote);
        remote
            .control()
            .put_key(EmulatedKey { write: false, ..EmulatedKey::all_powerful(SECRET, "ours", Principal::User(1)) });
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!((code, remote.assets().len()), (4, 0), "{refusal}: {document:#}");
    }
}

#[test]
fn a_run_that_a_missing_scope_stops_counts_what_is_left() {
    let (remote, project) = new();
    project.sync();
    project.write("sword.rbxmx", rbxmx("another sword"));
    remote
        .control()
        .put_key(EmulatedKey { write: false, ..EmulatedKey::all_powerful(SECRET, "ours", Principal::User(1)) });
    let ran = project.run(&["sync", "--once"]).expect(4);
    assert!(ran.stdout.ends_with("Stopped: 1 of 2 not done.\n"), "{}", ran.stdout);
    // A file that can't be used doesn't hide it.
    project.write("icon.png", "no picture");
    let ran = project.run(&["sync", "--once"]).expect(4);
    assert!(ran.stdout.ends_with("Stopped: 1 of 2 files can't be used, 1 not done.\n"), "{}", ran.stdout);
}

#[test]
fn a_moderated_account_stops_everything() {
    let (remote, project) = new();
    remote.control().moderate_account(Principal::User(1), true);
    remote.control().put_key(EmulatedKey::all_powerful(SECRET, "ours", Principal::User(1)));
    error(&project, &["sync", "--once"], 4);
    assert_eq!(remote.assets().len(), 0);
}

#[test]
fn a_refused_permission_stops_only_that_creators_assets() {
    for refusal in ["service", "gateway", "problem"] {
        let (remote, project) = new();
        remote.control().set_switch("permission_refusal", refusal).unwrap();
        hide_the_key(&remote);
        remote.control().put_key(EmulatedKey {
            creators: Creators::Owner,
            ..EmulatedKey::all_powerful(SECRET, "ours", Principal::User(1))
        });
        project.write("assets.toml", MANIFEST.replace("[assets.icon]", "[assets.icon]\ncreator = { group_id = 9 }"));
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(code, 1, "{refusal}: {document:#}");
        let outcome = |address: &str| {
            let actions = document["actions"].as_array().unwrap();
            actions.iter().find(|entry| entry["address"] == address).unwrap()["outcome"].clone()
        };
        assert_eq!((outcome("sword"), outcome("icon")), (json!("done"), json!("failed")), "{refusal}: {document:#}");
        assert_eq!(remote.assets().len(), 1);
        // Once the permission is there, the next run does it.
        remote.control().put_key(EmulatedKey::all_powerful(SECRET, "ours", Principal::User(1)));
        assert_eq!(project.sync()["summary"], json!({"create": 1}), "{refusal}");
    }
}

#[test]
fn one_process_at_a_time_holds_a_state() {
    let (remote, project) = new();
    let hang = json!({"match": {"endpoint": "create_asset"}, "action": {"kind": "hang", "at": "after_body"}});
    remote.control().add_faults(vec![serde_json::from_value(hang).unwrap()]).unwrap();
    let mut first = project.command(&["sync", "--once"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while remote.requests(ApiEndpoint::CreateAsset) == 0 {
        assert!(first.try_wait().unwrap().is_none(), "the first run ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let requests = remote.all_requests();
    let found = error(&project, &["sync", "--once"], 5);
    assert!(found["message"].as_str().unwrap().contains(&first.id().to_string()), "{found:#}");
    error(&project, &["retry", "sword"], 5);
    assert_eq!(remote.all_requests(), requests);
    // A reader is not in the way.
    project.run(&["status"]).expect(0);
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock died with the process.
    remote.control().clear_faults();
    assert_eq!(project.sync()["in_sync"], true);
}

#[test]
fn another_remote_is_refused() {
    let (remote, project) = synced();
    let (other, requests) = (Remote::start(), remote.all_requests());
    let project = project.at(&other.url());
    let before = snapshot(project.path());
    for state in [true, false] {
        if !state {
            project.remove_state();
        }
        for command in [&["sync", "--once"][..], &["plan"], &["status"], &["history", "sword"]] {
            let found = error(&project, command, 3);
            assert!(found["message"].as_str().unwrap().contains(&remote.url()), "{found:#}");
        }
    }
    assert_eq!(
        Some(project.read("assets.lock.toml").into_bytes().as_slice()),
        before.get(&project.file("assets.lock.toml")).map(Vec::as_slice)
    );
    assert_eq!((other.all_requests(), remote.all_requests()), (0, requests));
}

#[test]
fn a_damaged_lockfile_is_never_an_empty_one() {
    let (remote, project) = synced();
    let requests = remote.all_requests();
    let good = project.read("assets.lock.toml");
    let cut = good.rfind("[assets").unwrap();
    for (what, bad) in [
        ("cut off", good[..cut].to_owned()),
        ("cut in a line", good[..cut - 30].to_owned()),
        ("newer", good.replace("version = 1", "version = 999")),
        ("empty", String::new()),
        ("no TOML", format!("{good}\n[[[")),
        ("another value", good.replace("asset_id = ", "asset_id = \"x\" #")),
    ] {
        project.write("assets.lock.toml", &bad);
        for state in [true, false] {
            if !state && project.state_folder().exists() {
                std::fs::rename(project.state_folder(), project.file("aside")).unwrap();
            }
            for command in [&["sync", "--once"][..], &["plan"], &["status"]] {
                let found = error(&project, command, 3);
                assert!(found["message"].as_str().unwrap().contains("lockfile"), "{what}: {found:#}");
            }
            assert_eq!(project.read("assets.lock.toml"), bad, "{what}: it was overwritten");
        }
        project.remove_state();
        std::fs::rename(project.file("aside"), project.state_folder()).unwrap();
    }
    assert_eq!(remote.all_requests(), requests);
    project.write("assets.lock.toml", good);
    assert_eq!(project.sync()["actions"], json!([]));
}

#[test]
fn a_damaged_state_is_refused_and_kept() {
    let (remote, project) = synced();
    let requests = remote.all_requests();
    let bad = b"this was a database once".repeat(400);
    project.remove_state();
    std::fs::create_dir(project.state_folder()).unwrap();
    std::fs::write(project.state(), &bad).unwrap();
    for command in [&["sync", "--once"][..], &["status"], &["plan"]] {
        let found = error(&project, command, 3);
        assert!(found["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{found:#}");
    }
    assert_eq!(std::fs::read(project.state()).unwrap(), bad);
    assert_eq!(remote.all_requests(), requests);
}

#[test]
fn lockfile_merge_keeps_both_sides_and_refuses_what_it_cannot_read() {
    let (_remote, project) = synced();
    project.write("base", project.read("assets.lock.toml"));
    project.write("icon.png", png(2));
    project.sync();
    project.write("ours", project.read("assets.lock.toml"));
    project.write("assets.lock.toml", project.read("base"));
    project.remove_state();
    project.write("icon.png", png(3));
    project.sync();
    project.write("theirs", project.read("assets.lock.toml"));
    let (code, document) = project.json(&["lockfile", "merge", "base", "ours", "theirs"]);
    assert_eq!((code, document.is_object()), (0, true));
    let merged = project.read("ours");
    let hashes = |text: &str| text.matches("content_hash").count();
    assert_eq!((hashes(&project.read("base")), hashes(&merged)), (2, 4), "{merged}");
    // Again, and the other way round, is the same.
    project.run(&["lockfile", "merge", "base", "theirs", "ours"]).expect(0);
    assert_eq!(project.read("theirs"), merged);
    project.write("ours", "<<<<<<< HEAD\n");
    error(&project, &["lockfile", "merge", "base", "ours", "theirs"], 3);
    assert_eq!(project.read("ours"), "<<<<<<< HEAD\n");
}

/// The binary's own emulator, ended when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(project: &Project) -> Self {
        let mut command = project.command(&["emulator", "--listen", "127.0.0.1:0", "--latency", "50", "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !text.trim_end().ends_with('}') {
            assert!(lines.read_line(&mut text).unwrap() > 0, "the emulator ended: {text}");
        }
        let document: Value = serde_json::from_str(&text).unwrap();
        Self { child, url: document["url"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A client as the `curl` lines of Roblox's guide (creator-docs: cloud/guides/usage-assets.md),
/// which knows nothing of Macadam.
struct Curl {
    base: String,
    http: reqwest::Client,
}

impl Curl {
    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.header("x-api-key", "any").send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}/assets/v1/{path}", self.base)
    }

    async fn get(&self, path: &str) -> Value {
        self.answer(self.http.get(self.url(path))).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        self.answer(request.body(body.to_string())).await
    }

    /// `--form 'request={…}' --form 'fileContent=@"file";type=…'`
    async fn form(&self, request: reqwest::RequestBuilder, json: &Value, file: Option<String>) -> Value {
        let mut form = reqwest::multipart::Form::new().text("request", json.to_string());
        if let Some(file) = file {
            let part = reqwest::multipart::Part::text(file).file_name("sword.rbxmx");
            form = form.part("fileContent", part.mime_str("model/x-rbxm").unwrap());
        }
        self.answer(request.multipart(form)).await
    }

    /// Polls an operation until it is done. A fresh one may be unknown for a while.
    async fn poll(&self, operation: &Value) -> Value {
        let path = operation["path"].as_str().unwrap();
        loop {
            let answer = self.http.get(self.url(path)).header("x-api-key", "any").send().await.unwrap();
            let text = answer.text().await.unwrap();
            let document: Value = serde_json::from_str(&text).unwrap();
            if document["done"] == true {
                return document["response"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_public_client_can_use_the_emulator() {
    let project = Project::new("");
    let served = Served::start(&project);
    let curl = Curl { base: served.url.clone(), http: reqwest::Client::builder().no_proxy().build().unwrap() };

    let create = json!({
        "assetType": "Model", "displayName": "Sword", "description": "A sword",
        "creationContext": {"creator": {"userId": "1"}},
    });
    let operation = curl.form(curl.http.post(curl.url("assets")), &create, Some(rbxmx("one"))).await;
    let made = curl.poll(&operation).await;
    let id = made["assetId"].as_str().unwrap().to_owned();
    assert_eq!((&made["displayName"], &made["revisionId"]), (&json!("Sword"), &json!("1")));

    let asset = curl.get(&format!("assets/{id}")).await;
    assert_eq!((&asset["assetType"], &asset["state"]), (&json!("Model"), &json!("Active")));

    let url = curl.url(&format!("assets/{id}"));
    let update = json!({"assetId": id});
    let operation = curl.form(curl.http.patch(&url), &update, Some(rbxmx("two"))).await;
    assert_eq!(curl.poll(&operation).await["revisionId"], "2");
    let rename = json!({"assetId": id, "displayName": "Long sword"});
    curl.form(curl.http.patch(format!("{url}?updateMask=displayName")), &rename, None).await;
    let named = loop {
        let asset = curl.get(&format!("assets/{id}?readMask=displayName")).await;
        if asset["displayName"] != "Sword" {
            break asset;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(named["displayName"], "Long sword");

    let versions = curl.get(&format!("assets/{id}/versions?maxPageSize=10")).await;
    let paths: Vec<_> = versions["assetVersions"].as_array().unwrap().iter().map(|v| v["path"].clone()).collect();
    assert_eq!(paths, [json!(format!("assets/{id}/versions/2")), json!(format!("assets/{id}/versions/1"))]);
    assert_eq!(curl.get(&format!("assets/{id}/versions/1")).await["path"], format!("assets/{id}/versions/1"));
    let back = json!({"assetVersion": format!("assets/{id}/versions/1")});
    curl.post(&format!("assets/{id}/versions:rollback"), &back).await;
    let head = curl.get(&format!("assets/{id}/versions")).await["assetVersions"].as_array().unwrap().len();
    assert_eq!(head, 3, "observed: a rollback makes a new version of the old bytes");

    assert_eq!(curl.post(&format!("assets/{id}:archive"), &json!({})).await["state"], "Archived");
    assert_eq!(curl.get(&format!("assets/{id}")).await["state"], "Archived");
    assert_eq!(curl.post(&format!("assets/{id}:restore"), &json!({})).await["state"], "Active");
}
