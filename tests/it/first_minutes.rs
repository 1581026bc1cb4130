//! The first minutes with the program: a new project, a key, and commands before the first upload.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::support::{Project, Ran, Remote, SECRET, png, rbxmx, system};

fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(args).current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    system::prepare(&mut command);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

fn empty() -> Project {
    let project = Project::new("");
    project.remove("assets.toml");
    project
}

#[test]
fn init_writes_what_the_options_say_and_the_result_is_a_manifest() {
    let project = empty();
    project.write("ui/a.png", png(1));
    git(project.path(), &["init", "--quiet"]);
    let args = ["init", "--creator", "group:7", "--glob", "ui/**/*.png", "--glob", "ui/**/*.jpg"];
    let ran = project.run(&[&args[..], &["--output", "src/ids.luau", "--merge-driver"]].concat()).expect(0);
    let advice = if cfg!(windows) { " add the line `.env` to .gitignore." } else { "\n  echo .env >> .gitignore\n" };
    assert!(ran.stdout.contains(&format!("keep that file out of git:{advice}")), "{}", ran.stdout);
    project.write(".gitignore", ".env\n");
    assert!(!project.run(&["init"]).expect(0).stdout.contains(".gitignore"));
    let manifest = project.read("assets.toml");
    for line in ["group_id = 7", "[globs.ui-png]", "[globs.ui-jpg]", "path = \"src/ids.luau\""] {
        assert!(manifest.lines().any(|found| found == line), "{line}: {manifest}");
    }
    assert_eq!(project.json(&["check"]).1["assets"], 1);
    assert_eq!(git(project.path(), &["config", "merge.macadam.driver"]), "macadam lockfile merge %O %A %B\n");
    // Only this manifest's lockfile is Macadam's.
    let driver = |file: &str| git(project.path(), &["check-attr", "merge", "--", file]);
    assert!(driver("assets.lock.toml").ends_with(": macadam\n"), "{}", driver("assets.lock.toml"));
    for other in ["asphalt.lock.toml", "sub/assets.lock.toml"] {
        assert!(driver(other).ends_with(": unspecified\n"), "{}", driver(other));
    }
}

#[test]
fn init_names_its_own_files_and_a_project_above() {
    let project = Project::new("");
    std::fs::create_dir(project.file("sub")).unwrap();
    let mut command = project.command(&["init", "--manifest", "stage.toml"]);
    let ran = Ran::of(command.current_dir(project.file("sub")).output().unwrap()).expect(0);
    assert!(
        ran.stdout.contains("into stage.toml") && ran.stdout.contains("check --manifest stage.toml"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("is the manifest of a project already"), "{}", ran.stderr);
    assert!(project.read("sub/.gitattributes").contains("/stage.lock.toml merge=macadam"));
}

#[test]
fn init_prints_the_lines_that_gitattributes_lacks() {
    let project = empty();
    let before = "*.png binary\n/assets.lock.toml merge=macadam\n";
    project.write(".gitattributes", before);
    let ran = project.run(&["init"]).expect(0);
    assert!(ran.stdout.contains("Add these lines to .gitattributes:\n  *.rbxm  binary"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("  *.png") && !ran.stdout.contains("lock.toml merge"), "{}", ran.stdout);
    assert_eq!(project.read(".gitattributes"), before);
}

#[test]
fn a_key_in_a_env_file_beside_the_manifest_is_used_unless_git_tracks_it() {
    let remote = Remote::start();
    let project = Project::new("[creator]\nuser_id = 1\n\n[assets.a]\npath = \"a.rbxmx\"\n").at(&remote.url());
    project.write("a.rbxmx", rbxmx("a"));
    let sync = |args: &[&str]| {
        let mut command = project.command(&[&["sync", "--once"], args].concat());
        Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap())
    };
    let missing = sync(&[]).expect(4);
    for place in ["ROBLOX_API_KEY", ".env", "--api-key-file", "secret", "--emulator"] {
        assert!(missing.stderr.contains(place), "{place}: {}", missing.stderr);
    }
    project.write(".env", format!("OTHER=1\nexport ROBLOX_OAUTH_TOKEN={SECRET}\n"));
    sync(&[]).expect(4);
    project.write(".env", format!("# mine\nROBLOX_API_KEY=\"{SECRET}\"\n"));
    git(project.path(), &["init", "--quiet"]);
    let warning = "git doesn't ignore .env, which holds the API key";
    let exposed = sync(&[]).expect(0);
    let advice = if cfg!(windows) { "add the line `.env` to .gitignore" } else { "`echo .env >> .gitignore`" };
    assert!(exposed.stderr.contains(warning) && exposed.stderr.contains(advice), "{}", exposed.stderr);
    assert!(project.run(&["check"]).expect(0).stderr.contains(warning));
    let (_, checkup) = project.json(&["doctor"]);
    assert!(
        checkup["checks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|check| { check["result"] == "warning" && check["message"].as_str().unwrap().contains(warning) }),
        "{checkup:#}"
    );
    // A key from elsewhere is used instead.
    assert!(!project.run(&["sync", "--once"]).expect(0).stderr.contains(warning));
    project.write(".gitignore", ".env\n");
    assert!(!sync(&[]).expect(0).stderr.contains(warning));
    assert!(!project.run(&["check"]).expect(0).stderr.contains(warning));
    git(project.path(), &["add", "--force", ".env"]);
    let refused = sync(&[]).expect(4);
    assert!(refused.stderr.contains("is in git") && refused.stderr.contains("git rm --cached"), "{}", refused.stderr);
    assert_eq!(remote.assets().len(), 1);
    // A key from elsewhere makes the file not matter.
    project.run(&["sync", "--once"]).expect(0);
}

#[test]
fn errors_of_the_system_have_words_and_no_numbers() {
    let project = Project::new("[creator]\nuser_id = 1\n");
    let ran = project.run(&["sync", "--once", "--api-key-file", "no-key"]).expect(4);
    assert!(ran.stderr.contains("can't read the API key from no-key: No such file"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("os error"), "{}", ran.stderr);
}

#[test]
fn an_empty_manifest_is_told_from_one_that_is_up_to_date() {
    let project = Project::new("[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n");
    for args in [&["sync", "--once", "--emulator"][..], &["plan"], &["check"]] {
        let ran = project.run(args).expect(0);
        assert!(ran.stdout.contains("the manifest has no assets yet"), "{args:?}: {}", ran.stdout);
        assert!(!ran.stdout.contains("Done") && !ran.stdout.contains("up to date"), "{args:?}: {}", ran.stdout);
    }
}

#[test]
fn commands_before_the_first_upload_say_that_there_is_none_yet() {
    let project = Project::new("[creator]\nuser_id = 1\n\n[assets.a]\npath = \"a.png\"\n");
    project.write("a.png", png(1));
    let (code, document) = project.json(&["history", "a"]);
    assert_eq!(code, 1);
    assert_eq!(document["errors"][0]["message"], json!("`a` has no history: it isn't uploaded yet"));
    let outputs = project.run(&["outputs"]).expect(0);
    assert!(!outputs.stdout.is_empty(), "outputs said nothing");
}
