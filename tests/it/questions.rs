//! Questions at a terminal: what is asked, and that a no changes nothing.

use macadam::emulator::Config;

use super::faults::generous;
use super::support::{Project, Remote, png, system};

const USER: &str = "[creator]\nuser_id = 1\n";
const TAIL: &str = "\n[globs.ui]\npath = \"ui/*.png\"\n";

fn synced() -> (Remote, Project) {
    synced_at(Remote::start())
}

fn synced_at(remote: Remote) -> (Remote, Project) {
    let project = Project::new(&format!("{USER}{TAIL}")).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(2));
    project.sync();
    (remote, project)
}

#[test]
fn forget_asks_before_it_forgets_what_the_manifest_still_has() {
    let (_remote, project) = synced();
    let lockfile = project.read("assets.lock.toml");
    let ran = project.at_terminal(&["forget", "ui/a.png"], "n\n").expect(1).stdout;
    assert!(ran.contains("ui/a.png is still in the manifest") && ran.contains("Continue? [y/N]"), "{ran}");
    assert!(ran.trim_end().ends_with("Cancelled. Nothing was forgotten."), "{ran}");
    assert_eq!(project.read("assets.lock.toml"), lockfile);
    let ran = project.at_terminal(&["forget", "ui/a.png"], "y\n").expect(0).stdout;
    assert!(ran.contains("Forgot ui/a.png"), "{ran}");
    assert!(!project.read("assets.lock.toml").contains("[assets.\"ui/a.png\"]"));
}

#[test]
fn forget_asks_nothing_about_what_left_the_manifest() {
    let (_remote, project) = synced();
    project.remove("ui/a.png");
    let ran = project.at_terminal(&["forget", "ui/a.png"], "").expect(0).stdout;
    assert!(ran.contains("Forgot ui/a.png") && !ran.contains("Continue?"), "{ran}");
}

#[test]
fn recreate_asks_before_it_uploads_many_assets_again() {
    // Of more than a hundred uploads, none waits for the next minute.
    let (remote, project) = synced_at(Remote::with(Config { limits: generous(), ..Config::default() }));
    (3..=51).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    project.sync();
    project.write("assets.toml", format!("[creator]\ngroup_id = 7\n{TAIL}"));
    let (writes, lockfile) = (remote.writes(), project.read("assets.lock.toml"));
    let ran = project.at_terminal(&["recreate", "--creator"], "n\n").expect(1).stdout;
    assert!(ran.contains("This uploads 51 new assets to Roblox as group 7"), "{ran}");
    assert!(ran.trim_end().ends_with("Cancelled. Nothing was changed on Roblox."), "{ran}");
    assert_eq!((remote.writes(), project.read("assets.lock.toml")), (writes, lockfile));
    let ran = project.at_terminal(&["recreate", "--creator"], "y\n").expect(0).stdout;
    assert_eq!(remote.writes(), writes + 51, "{ran}");
}

#[test]
#[cfg(unix)]
fn what_follows_a_question_that_ctrl_c_ends_has_a_line_of_its_own() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    let remote = Remote::start();
    let project = Project::new(&format!("{USER}{TAIL}")).at(&remote.url());
    (1..=51).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let asked = project.command(&["sync", "--once"]);
    let words = [asked.get_program()].into_iter().chain(asked.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut command = Command::new("script");
    command.args(["-qec", &words.join(" "), "/dev/null"]).current_dir(project.path()).env_clear();
    command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    while !seen.ends_with(b"Continue? [y/N] ") {
        let mut byte = [0];
        shown.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    typed.write_all(b"\x03").unwrap();
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    assert!(rest.starts_with("^C\r\n"), "{rest:?}");
    assert_eq!(remote.writes(), 0);
}

/// The server's asset IDs don't exist on Roblox.
#[test]
fn a_question_names_a_server_on_this_machine_and_not_roblox() {
    let remote = Remote::start();
    let as_people_run_it = "#!/bin/sh\nunset MACADAM_STAND_IN\nexec '{}' \"$@\"\n";
    let project = Project::new(&format!("{USER}{TAIL}"));
    let program = project.file("macadam");
    project.write("macadam", as_people_run_it.replace("{}", env!("CARGO_BIN_EXE_macadam")));
    system::set_mode(&program, 0o755);
    let project = project.run_by(&program);
    (1..=51).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let server = remote.url();
    let ran = project.at_terminal(&["sync", "--once", "--api-url", &server], "n\n");
    assert!(ran.stdout.contains("This uploads 51 new assets to http://127.0.0.1:"), "{}", ran.stdout);
    assert!(ran.stdout.contains("(not Roblox) as user 1"), "{}", ran.stdout);
    assert_eq!(remote.writes(), 0);
}

#[test]
fn outputs_asks_before_it_overwrites_a_file_of_nobody_it_knows() {
    let (_remote, project) = synced();
    project.write("assets.toml", format!("{USER}{TAIL}\n[[outputs]]\npath = \"ids.json\"\n"));
    project.write("ids.json", "{\"mine\": 1}\n");
    let ran = project.at_terminal(&["outputs", "--adopt"], "n\n").expect(1).stdout;
    assert!(ran.contains("Macadam didn't make ids.json"), "{ran}");
    assert!(project.read("ids.json").contains("mine"));
    project.at_terminal(&["outputs", "--adopt"], "y\n").expect(0);
    assert!(project.read("ids.json").contains("ui/a.png"));
}

#[test]
fn init_asks_again_for_an_output_that_is_none() {
    let project = Project::new("");
    project.remove("assets.toml");
    for (path, words) in [
        ("y", "`y` doesn't end like a file for asset IDs"),
        ("../src/ids.luau", "the path `../src/ids.luau` leaves the manifest's folder"),
        ("../src/ids.luau", "a folder that has both the assets and the code"),
        ("/src/ids.luau", "relative to the manifest's folder"),
    ] {
        let ran = project.run(&["init", "--creator", "user:1", "--output", path]).expect(64);
        assert!(ran.stderr.contains(words), "{path}: {}", ran.stderr);
    }
    assert!(!project.file("assets.toml").exists());
    let ran = project.at_terminal(&["init"], "\ny\nsrc/ids.luau\n\n").expect(0).stdout;
    assert!(ran.contains("That isn't a file for asset IDs"), "{ran}");
    assert!(project.read("assets.toml").contains("path = \"src/ids.luau\""), "{ran}");
}

#[test]
fn init_lists_what_it_found_in_columns() {
    let project = Project::new("");
    project.remove("assets.toml");
    (1..=10).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    project.write("textures/stone/a.png", png(1));
    let ran = project.at_terminal(&["init"], "user:1\n\n\n\n\n").expect(0).stdout;
    let ends = |noun: &str| ran.lines().find_map(|line| Some(line.trim_end().strip_suffix(noun)?.len()));
    assert_eq!(ends(" 10 files").map(|at| at + 3), ends(" 1 file").map(|at| at + 2), "{ran}");
}

#[test]
fn init_asks_whose_a_number_is_and_takes_a_page() {
    for (typed, expected) in [
        ("123\ng\n\n\n\n\n", "group_id = 123"),
        ("123\nx\n123\nu\n\n\n\n\n", "user_id = 123"),
        ("https://www.roblox.com/communities/456/Name\n\n\n\n\n", "group_id = 456"),
        ("https://www.roblox.com/games/9/Name\nuser:5\n\n\n\n\n", "user_id = 5"),
    ] {
        let project = Project::new("");
        project.remove("assets.toml");
        let ran = project.at_terminal(&["init"], typed).expect(0).stdout;
        let manifest = project.read("assets.toml");
        assert!(manifest.lines().any(|line| line == expected), "{typed:?}\n{ran}\n{manifest}");
    }
}
