//! `macadam doctor`: says what is wrong and what to do, whatever else is wrong, and writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::commit_push::Clone;
use super::support::{Project, Remote, png, rbxmx};

const MANIFEST: &str =
    "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n\n[[outputs]]\npath = \"ids.luau\"\n";

/// A project in git with everything as it should be.
fn healthy(remote: &Remote) -> Project {
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write(".gitattributes", "*.lock.toml merge=macadam text eol=lf\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "merge.macadam.driver", "macadam lockfile merge %O %A %B"]);
    project.sync();
    commit(&project);
    project
}

fn git(project: &Project, args: &[&str]) -> String {
    Clone { path: project.path().to_owned() }.git(args)
}

fn commit(project: &Project) {
    git(project, &["add", "--all"]);
    git(project, &["commit", "-q", "--allow-empty", "-m", "x"]);
}

/// The results by topic, the worst of each.
#[track_caller]
fn results(project: &Project, code: i32) -> BTreeMap<String, (String, String)> {
    let (found, document) = project.json(&["doctor"]);
    assert_eq!(found, code, "{document:#}");
    assert_eq!(document["healthy"], code == 0);
    let mut worst: BTreeMap<String, (String, String)> = BTreeMap::new();
    let rank =
        |result: &str| ["ok", "unchecked", "warning", "error"].iter().position(|known| *known == result).unwrap();
    for check in document["checks"].as_array().unwrap() {
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let (topic, result) = (text("check"), text("result"));
        assert!(rank(&result) < 2 || !text("hint").is_empty(), "nothing says what to do: {check:#}");
        if worst.get(&topic).is_none_or(|(other, _)| rank(other) < rank(&result)) {
            worst.insert(topic, (result, format!("{}; {}", text("message"), text("hint"))));
        }
    }
    worst
}

/// Those that are not `ok`, without what depends on the machine of the test.
fn wrong(results: &BTreeMap<String, (String, String)>) -> Vec<String> {
    let machine = ["watching", "disk"];
    let wrong = results.iter().filter(|(topic, (result, _))| result != "ok" && !machine.contains(&topic.as_str()));
    wrong.map(|(topic, (result, _))| format!("{topic} {result}")).collect()
}

/// Every file below a folder with its content, SQLite's shared memory aside, which readers need.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.to_string_lossy().ends_with("-shm") {
                files.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_healthy_project_has_no_finding_and_nothing_is_written() {
    let remote = Remote::start();
    let project = healthy(&remote);
    let (before, writes) = (tree(project.path()), remote.writes());
    let found = results(&project, 0);
    assert_eq!(wrong(&found), Vec::<String>::new(), "{found:#?}");
    for topic in [
        "manifest",
        "files",
        "line_endings",
        "network",
        "clock",
        "key",
        "creator",
        "state",
        "lockfile",
        "git",
        "outputs",
        "watching",
        "disk",
    ] {
        assert!(found.contains_key(topic), "{topic}");
    }
    let ran = project.run(&["doctor"]).expect(0);
    assert!(
        ran.stdout.contains("ok        lockfile: ") && ran.stdout.ends_with("No problems found.\n"),
        "{}",
        ran.stdout
    );
    assert_eq!((tree(project.path()), remote.writes()), (before, writes));
    // A fresh clone has no state, and gets none.
    let clone = Project::new(MANIFEST).at(&remote.url());
    drop(results(&clone, 0));
    assert!(!clone.state_folder().exists());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let remote = Remote::start();
    let project = healthy(&remote);
    git(&project, &["config", "--unset", "merge.macadam.driver"]);
    git(&project, &["rm", "-q", "--cached", "assets.lock.toml"]);
    project.write(".gitignore", "*.lock.toml\n");
    project.write("ui/pointer.png", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    project.write("ui/broken.png", "no picture");
    project.write("ids.luau", project.read("ids.luau").replace("return", "-- edited\nreturn"));
    project.pass(60);
    let found = results(&project, 1);
    let has = |topic: &str, result: &str, words: &[&str]| {
        let (found, text) = &found[topic];
        assert_eq!(found, result, "{topic}: {text}");
        words.iter().for_each(|word| assert!(text.contains(word), "{topic}: {word}: {text}"));
    };
    has("files", "error", &["1 Git LFS pointer", "ui/pointer.png", "git lfs pull"]);
    has("git", "error", &["ignored by git", "git check-ignore"]);
    has("clock", "warning", &["60 minutes ahead"]);
    has("outputs", "warning", &["ids.luau", "macadam outputs"]);
    has("state", "ok", &[]);
    let ran = project.run(&["doctor"]).expect(1);
    for words in [
        "error     files: 1 file can't be used: ui/broken.png",
        "git config merge.macadam.driver",
        "Found 3 problems and ",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}

#[test]
fn a_deleted_and_an_unmerged_lockfile_are_not_to_be_committed() {
    let remote = Remote::start();
    let project = healthy(&remote);
    let lockfile = project.read("assets.lock.toml");
    project.remove("assets.lock.toml");
    let (result, text) = &results(&project, 0)["git"];
    assert!(result == "warning" && text.contains("`git checkout -- assets.lock.toml`"), "{text}");
    // Git left its own version there, without markers.
    project.write("assets.lock.toml", &lockfile);
    let blob = git(&project, &["rev-parse", "HEAD:assets.lock.toml"]);
    let blob = blob.trim();
    git(&project, &["update-index", "--force-remove", "assets.lock.toml"]);
    for stage in ["1", "2", "3"] {
        let mut entry = std::process::Command::new("git");
        entry.current_dir(project.path()).args(["update-index", "--index-info"]).stdin(std::process::Stdio::piped());
        let mut child = entry.spawn().unwrap();
        let line = format!("100644 {blob} {stage}\tassets.lock.toml\n");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    let (result, text) = &results(&project, 1)["git"];
    assert!(result == "error" && text.contains("`git add assets.lock.toml`"), "{text}");
    for command in [&["check"][..], &["plan", "--emulator"], &["plan"]] {
        let ran = project.run(command);
        let warns = ran.stderr.contains("several versions of assets.lock.toml from a merge that isn't finished");
        assert_eq!(warns, !command.contains(&"--emulator"), "{command:?}: {}", ran.stderr);
    }
    git(&project, &["add", "assets.lock.toml"]);
    assert_eq!(results(&project, 0)["git"].0, "ok");
}

#[test]
fn line_endings_that_git_changed_are_told() {
    let remote = Remote::start();
    let project = healthy(&remote);
    project.write("assets.toml", format!("{MANIFEST}\n[assets.sword]\npath = \"sword.rbxmx\"\n"));
    project.write("sword.rbxmx", rbxmx("one"));
    project.sync();
    commit(&project);
    // As a Windows machine checks it out.
    git(&project, &["config", "core.autocrlf", "true"]);
    project.remove("sword.rbxmx");
    git(&project, &["checkout", "-q", "--", "sword.rbxmx"]);
    assert!(project.read("sword.rbxmx").contains("\r\n"));
    let found = results(&project, 0);
    let (result, text) = &found["line_endings"];
    assert!(result == "warning" && text.contains("sword.rbxmx") && text.contains("`*.rbxmx -text`"), "{text}");
}

#[test]
fn a_shallow_clone_says_what_follows_and_a_foreign_lockfile_is_an_error() {
    let remote = Remote::start();
    let project = healthy(&remote);
    commit(&project);
    let url = format!("file://{}", project.path().display());
    let clone = Project::new("").at(&remote.url());
    clone.git(&["init", "-q", "-b", "main"]);
    clone.git(&["fetch", "-q", "--depth", "1", &url, "main"]);
    clone.git(&["reset", "-q", "--hard", "FETCH_HEAD"]);
    clone.git(&["config", "merge.macadam.driver", "macadam lockfile merge %O %A %B"]);
    let (_, kept) = project.json(&["doctor"]);
    assert!(!kept.to_string().contains("shallow"), "{kept:#}");
    let (_, kept) = clone.json(&["doctor"]);
    assert!(kept.to_string().contains("uploads only what its commits show to be new"), "{kept:#}");
    clone.write("assets.toml", format!("{}\n[policy]\nremoved = \"archive\"\n", project.read("assets.toml")));
    let found = results(&clone, 0);
    let (result, text) = &found["git"];
    assert!(result == "warning" && text.contains("`git fetch --unshallow`"), "{found:#?}");

    let elsewhere = Remote::start();
    let (_, document) = clone.at(&elsewhere.url()).json(&["doctor"]);
    let checks = document["checks"].as_array().unwrap();
    let lockfile = checks.iter().find(|check| check["check"] == "lockfile").unwrap();
    assert_eq!(lockfile["result"], "error", "{document:#}");
    assert!(lockfile["message"].as_str().unwrap().contains("belongs to"), "{lockfile:#}");
}

#[test]
fn a_key_that_roblox_says_is_expired_is_an_error_and_no_key_is_none() {
    let remote = Remote::start();
    let mut project = healthy(&remote);
    let body = json!({"name": "ci", "authorizedUserId": 156, "enabled": true, "expired": true}).to_string();
    let expired =
        json!([{"match": {"endpoint": "introspect_key"}, "action": {"kind": "reply", "status": 200, "body": body}}]);
    remote.control().add_faults(serde_json::from_value(expired).unwrap()).unwrap();
    let found = results(&project, 1);
    assert_eq!(wrong(&found), ["creator unchecked", "key error"], "{found:#?}");
    assert!(found["key"].1.contains("create.roblox.com/dashboard/credentials"), "{}", found["key"].1);

    project.set_env("ROBLOX_API_KEY", "");
    let found = results(&project, 0);
    assert_eq!(wrong(&found), ["creator unchecked", "key unchecked"], "{found:#?}");
    assert!(found["key"].1.contains("ROBLOX_API_KEY"), "{}", found["key"].1);
    project.run(&["doctor", "--api-key-file", "missing"]).expect(1);
}

#[test]
fn a_proxy_that_is_down_is_named_with_its_variable() {
    let mut project = Project::new(MANIFEST).at("https://roblox.invalid");
    // Nothing listens there.
    project.set_env("HTTPS_PROXY", "http://me:word@127.0.0.1:9");
    let network = |project: &Project| {
        let document = project.json(&["doctor"]).1;
        let checks = document["checks"].as_array().unwrap().iter();
        checks.filter(|check| check["check"] == "network").map(|check| check["message"].to_string()).collect::<String>()
    };
    let told = network(&project);
    let wanted = "no connection to https://roblox.invalid through the proxy 127.0.0.1:9 (HTTPS_PROXY): nothing answers";
    assert!(told.contains(wanted) && !told.contains("word"), "{told}");
    // Where the proxy isn't used, it isn't named.
    project.set_env("NO_PROXY", "roblox.invalid");
    let told = network(&project);
    assert!(told.contains("no connection to https://roblox.invalid") && !told.contains("proxy 127"), "{told}");
}

#[test]
fn what_can_not_be_checked_hides_nothing_else() {
    // Nothing listens there.
    let project = Project::new("[creator]\nuser_id = \"me\"\n").at("http://127.0.0.1:9");
    project.write("assets.lock.toml", "<<<<<<< HEAD\n");
    let found = results(&project, 1);
    let wrong = wrong(&found);
    for wanted in
        ["manifest error", "lockfile error", "network error", "clock unchecked", "key unchecked", "git unchecked"]
    {
        assert!(wrong.contains(&wanted.to_owned()), "{wanted}: {wrong:?}");
    }
    assert!(found["manifest"].1.contains("macadam check"), "{}", found["manifest"].1);
    for topic in ["files", "assets", "line_endings", "outputs", "watching"] {
        assert_eq!(found[topic].0, "unchecked", "{topic}: {found:#?}");
    }
    // A rehearsal asks nobody.
    let rehearsal = Project::new(MANIFEST);
    let (_, document) = rehearsal.json(&["doctor", "--emulator"]);
    let warned = document["checks"].as_array().unwrap().iter().find(|check| check["result"] == "warning").unwrap();
    assert!(warned["message"].as_str().unwrap().contains("`ui` finds no file"), "{warned:#}");
    assert!(!rehearsal.state_folder().exists(), "a rehearsal's doctor writes nothing either");
    let topics: Vec<&Value> = document["checks"].as_array().unwrap().iter().map(|check| &check["check"]).collect();
    assert!(!topics.contains(&&json!("network")) && topics.contains(&&json!("state")), "{topics:?}");
}

#[test]
fn files_are_checked_though_the_lockfile_is_broken_and_that_one_is_not_to_be_committed() {
    let project = Project::new(MANIFEST).at("http://127.0.0.1:9");
    project.write("ui/a.png", "no picture");
    git(&project, &["init", "-q", "-b", "main"]);
    commit(&project);
    project.write("assets.lock.toml", "version = 1\n");
    let found = results(&project, 1);
    assert!(found["files"].1.contains("1 file can't be used: ui/a.png"), "{found:#?}");
    assert_eq!(found["lockfile"].0, "error", "{found:#?}");
    let (_, document) = project.json(&["doctor"]);
    assert!(!document.to_string().contains("git add assets.lock.toml"), "{document:#}");
    assert_eq!((found["outputs"].0.as_str(), found["assets"].0.as_str()), ("unchecked", "unchecked"), "{found:#?}");
}

#[test]
fn before_the_first_commit_nothing_is_said_to_be_in_git() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write(".gitattributes", "*.lock.toml merge=macadam text eol=lf\n");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["config", "merge.macadam.driver", "macadam lockfile merge %O %A %B"]);
    let found = results(&project, 0);
    let (result, text) = &found["git"];
    assert_eq!(result, "ok", "{found:#?}");
    assert!(text.starts_with("there is no assets.lock.toml yet"), "{text}");
}

#[test]
fn a_clone_whose_lockfile_lost_an_entry_is_told_where_it_is() {
    let remote = Remote::start();
    let project = healthy(&remote);
    project.write("ui/b.png", png(2));
    project.sync();
    commit(&project);
    let lockfile = project.read("assets.lock.toml");
    project.write("assets.lock.toml", super::lost_entries::without(&lockfile, "ui/a.png"));
    commit(&project);
    project.remove(".git/macadam");
    let (result, text) = &results(&project, 0)["lockfile"];
    assert_eq!(result, "warning", "{text}");
    assert!(text.contains("lost an entry, which an earlier one in git's history has: ui/a.png"), "{text}");
}

/// A file in the place of a folder stands for a folder without rights: the tests may run as root.
#[test]
fn a_state_that_can_not_be_made_is_an_error_with_a_way_out() {
    let project = Project::new(MANIFEST);
    project.write(".macadam", "");
    let (result, said) = results(&project, 1)["state"].clone();
    assert_eq!(result, "error", "{said}");
    assert!(said.contains("can't create the folder") && said.contains("--state"), "{said}");
}
