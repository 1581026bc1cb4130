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
    assert_eq!(project.read(".gitignore"), ".env\n");
    assert!(!ran.stdout.contains("keep that file out of git"), "{}", ran.stdout);
    let commands = |ran: &Ran| {
        let (_, next) = ran.stdout.split_once("Next:").unwrap();
        let commands =
            next.lines().map(str::trim).filter(|line| line.starts_with("macadam ") || line.starts_with("git "));
        commands.map(str::to_owned).collect::<Vec<_>>()
    };
    // The assets' files too.
    let commit = ["git add .", "git commit -m \"assets\""];
    let steps = ["macadam check", "macadam plan", "macadam sync --once --emulator", "macadam sync --once"];
    assert_eq!(commands(&ran), [&steps[..], &commit].concat());
    assert!(!ran.stdout.contains("ROBLOX_API_KEY=… macadam"), "the key in the shell's history: {}", ran.stdout);
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

/// The steps that follow end with `git add .`.
#[test]
fn init_says_before_its_steps_that_a_gitignore_of_another_tool_lets_the_key_into_git() {
    for (ignored, is_told) in [("/*.rbxlx\n", true), ("/*.rbxlx\n.env\n", false)] {
        for has_git in [false, true] {
            let project = empty();
            project.write(".gitignore", ignored);
            if has_git {
                git(project.path(), &["init", "--quiet"]);
            }
            let told = project.run(&["init"]).expect(0).stdout;
            let (before, _) = told.split_once("Next:").unwrap();
            assert_eq!(before.contains("keep that file out of git"), is_told, "{ignored} {has_git}: {told}");
        }
    }
}

#[test]
fn init_asks_for_the_merge_driver_only_where_it_is_not_set() {
    let project = empty();
    git(project.path(), &["init", "--quiet"]);
    let asks = || project.run(&["init"]).expect(0).stdout.contains("Run this once in each clone");
    assert!(asks());
    project.run(&["init", "--merge-driver"]).expect(0);
    assert!(!asks());
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
    // As PowerShell's `>>` writes it: git doesn't read that.
    project.write(".gitignore", "\u{feff}.env\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    let utf_16 = sync(&[]).expect(0).stderr;
    assert!(utf_16.contains(warning) && utf_16.contains("which is UTF-16"), "{utf_16}");
    project.write(".gitignore", ".env\n");
    assert!(!sync(&[]).expect(0).stderr.contains(warning));
    assert!(!project.run(&["check"]).expect(0).stderr.contains(warning));
    git(project.path(), &["add", "--force", ".env"]);
    // Nobody else has it yet, so the key stays a secret.
    let staged = sync(&[]).expect(4).stderr;
    assert!(staged.contains("is staged") && staged.contains("git rm --cached"), "{staged}");
    assert!(!staged.contains("is in git") && !staged.contains("revoke"), "{staged}");
    project.git(&["commit", "--quiet", "--message", "leak", ".env"]);
    // Whatever the checked-out branch has.
    project.git(&["checkout", "--quiet", "--orphan", "new"]);
    let refused = sync(&[]).expect(4);
    assert!(refused.stderr.contains("is in git") && refused.stderr.contains("git rm --cached"), "{}", refused.stderr);
    assert_eq!(remote.assets().len(), 1);
    // A key from elsewhere makes the file not matter.
    project.run(&["sync", "--once"]).expect(0);
}

#[test]
fn a_env_file_without_a_usable_key_says_what_is_wrong_with_it() {
    let remote = Remote::start();
    let project = Project::new("[creator]\nuser_id = 1\n\n[assets.a]\npath = \"a.rbxmx\"\n").at(&remote.url());
    project.write("a.rbxmx", rbxmx("a"));
    let run = |args: &[&str]| Ran::of(project.command(args).env_remove("ROBLOX_API_KEY").output().unwrap());
    let check = |words: [&str; 2]| {
        let ran = run(&["sync", "--once"]).expect(4);
        let checkup = run(&["doctor"]).expect(0);
        for told in [&ran.stderr, &checkup.stdout] {
            assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
            assert!(!told.contains(SECRET), "{told}");
        }
        assert!(checkup.stdout.contains("warning   key"), "{}", checkup.stdout);
    };
    for (text, words) in [
        ("ROBLOX_KEY=SECRET", ["has `ROBLOX_KEY`", "write ROBLOX_API_KEY in place"]),
        ("RBX_API_KEY=SECRET", ["has `RBX_API_KEY`", "write ROBLOX_API_KEY in place"]),
        ("ROBLOX_API_KEY", ["no line that begins with `ROBLOX_API_KEY=`", "write ROBLOX_API_KEY= and the key"]),
        ("ROBLOX_API_KEY=", ["is empty", "write ROBLOX_API_KEY= and the key"]),
        ("", ["is empty", "write ROBLOX_API_KEY= and the key"]),
    ] {
        project.write(".env", text.replace("SECRET", SECRET));
        check(words);
    }
    project.remove(".env");
    project.write(".env/x", "");
    check([".env beside the manifest is a folder", "--api-key-file key.txt"]);
    std::fs::remove_dir_all(project.file(".env")).unwrap();
    project.write(".env.txt", format!("ROBLOX_API_KEY={SECRET}"));
    check(["is called .env.txt", "rename .env.txt to .env"]);
    project.remove(".env.txt");
    // A variable with a similar name, and one that CI fills with a secret that doesn't exist.
    let with = |name: &str, value: &str| {
        let mut command = project.command(&["sync", "--once"]);
        Ran::of(command.env_remove("ROBLOX_API_KEY").env(name, value).output().unwrap()).expect(4).stderr
    };
    let near = with("ROBLOX_APIKEY", SECRET);
    assert!(near.contains("the variable `ROBLOX_APIKEY` is set") && !near.contains(SECRET), "{near}");
    assert!(with("ROBLOX_API_KEY", "").contains("the variable ROBLOX_API_KEY is set, but empty"));
    assert!(remote.assets().is_empty());
    // As Windows' PowerShell writes it.
    let wide: Vec<u8> =
        format!("\u{feff}ROBLOX_API_KEY={SECRET}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    project.write(".env", wide);
    run(&["sync", "--once"]).expect(0);
    assert_eq!(remote.assets().len(), 1);
}

#[test]
fn a_key_in_the_env_file_of_a_folder_above_is_found_but_not_used() {
    let remote = Remote::start();
    let project = Project::new("").at(&remote.url());
    project.write("game/assets.toml", "[creator]\nuser_id = 1\n");
    project.write(".env", format!("ROBLOX_API_KEY={SECRET}"));
    let doctor = || {
        let mut command = project.command(&["doctor", "--manifest", "game/assets.toml"]);
        Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).stdout
    };
    assert!(!doctor().contains("../.env"), "outside of git a folder above is somebody else's");
    git(project.path(), &["init", "--quiet"]);
    assert!(doctor().contains("ROBLOX_API_KEY is in ../.env, seen from the manifest"), "{}", doctor());
}

#[test]
fn errors_of_the_system_have_words_and_no_numbers() {
    let project = Project::new("[creator]\nuser_id = 1\n");
    let ran = project.run(&["sync", "--once", "--api-key-file", "no-key"]).expect(4);
    // Windows has words of its own, in the language of its person.
    let words = if cfg!(windows) { "" } else { "No such file" };
    assert!(ran.stderr.contains(&format!("can't read the API key from no-key: {words}")), "{}", ran.stderr);
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

/// Whoever uploads and doesn't commit the files leaves others with a lockfile alone.
#[test]
fn a_clone_without_the_assets_files_says_what_is_missing() {
    let remote = Remote::start();
    let project = Project::new("[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n").at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(2));
    project.sync();
    let clone = Project::new(&project.read("assets.toml")).at(&remote.url());
    clone.write("assets.lock.toml", project.read("assets.lock.toml"));
    let lacks = "the lockfile has 2 assets whose files aren't here, such as ui/a.png";
    for args in [&["plan"][..], &["check"], &["sync", "--once"]] {
        let told = clone.run(args).expect(0).stdout;
        assert!(told.contains(lacks) && told.contains("add them to git there"), "{args:?}: {told}");
    }
    // A command with this machine's folder would be none of the other one's.
    let manifest = clone.file("assets.toml").display().to_string();
    let mut from_elsewhere = clone.command(&["plan", "--manifest", &manifest]);
    let told = Ran::of(from_elsewhere.current_dir(project.path()).output().unwrap()).expect(0).stdout;
    assert!(told.contains("add them to git there") && !told.contains("git -C"), "{told}");
    let (_, checkup) = clone.json(&["doctor"]);
    assert!(checkup.to_string().contains("finds no file, and the lockfile has 2 assets"), "{checkup:#}");
}

/// Its globs found nothing, since brackets and braces mean choices.
#[cfg(target_os = "linux")]
#[test]
fn init_lists_folders_with_brackets_and_braces() {
    let project = empty();
    project.write("UI [neu]/a.png", png(1));
    project.write("W {x}/b.png", png(2));
    project.at_terminal(&["init"], "user:1\n\n\n\n\n").expect(0);
    let checked = project.run(&["check"]).expect(0);
    assert!(checked.stdout.contains("OK: 2 assets"), "{}{}", checked.stdout, project.read("assets.toml"));
}
