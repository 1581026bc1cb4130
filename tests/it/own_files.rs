//! Macadam's own files are plain files at their own paths: Macadam follows no link among them,
//! waits for no FIFO, reads no huge file, and quotes no other file in a log.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::system::symlink;
use super::support::{GLOBS, Project, Ran, Remote, SECRET, png};

/// A secret in a file that isn't Macadam's; it must never be printed.
const OTHERS: &str = "hunter2-correct-horse";

/// Longer than any of these commands takes, shorter than anybody waits for a FIFO.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns how the command ended; a command that waits for ever fails the test.
fn end(mut command: Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ran::of(child.wait_with_output().unwrap())
}

#[track_caller]
fn refused(ran: &Ran, code: i32, says: &str) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{said}");
    assert!(said.contains(says), "`{says}` is not in: {said}");
    assert!(!said.contains("hunter2"), "{said}");
}

fn fifo(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn project(remote: &Remote) -> Project {
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project
}

#[test]
fn a_manifest_that_is_a_link_shows_nothing_of_what_it_leads_to() {
    let remote = Remote::start();
    let project = project(&remote);
    let outside = tempfile::tempdir().unwrap();
    for text in [format!("{OTHERS}\n"), format!("[creator]\nuser_id = {OTHERS}\n"), GLOBS.to_owned()] {
        std::fs::write(outside.path().join("key"), &text).unwrap();
        project.remove("assets.toml");
        symlink(outside.path().join("key"), project.file("assets.toml")).unwrap();
        for command in [&["check"][..], &["plan"], &["sync", "--once"], &["pin", "ui/a.png", "1"], &["status"]] {
            let ran = project.run(command);
            refused(&ran, 3, "symbolic link");
            refused(&ran, 3, "in place of the link");
        }
        assert_eq!(std::fs::read_to_string(outside.path().join("key")).unwrap(), text);
    }
    assert_eq!(remote.all_requests(), 0);
}

#[test]
fn nothing_is_read_or_written_through_a_link_in_place_of_a_file_of_ours() {
    let remote = Remote::start();
    let links = [
        ("assets.lock.toml", Some(3)),
        (".macadam", Some(3)),
        (".macadam/assets.db", Some(3)),
        (".macadam/assets.db.lock", Some(3)),
        (".macadam/assets.db.outcomes", Some(3)),
        // These only serve a message or git, and are replaced or left.
        (".macadam/assets.db.holder", Some(0)),
        (".macadam/.gitignore", Some(0)),
        // SQLite's own, which it may as well remove.
        (".macadam/assets.db-wal", None),
        (".macadam/assets.db-shm", None),
    ];
    for (name, code) in links {
        for exists in [true, false] {
            let project = project(&remote);
            let outside = tempfile::tempdir().unwrap();
            let victim = outside.path().join("victim");
            let content = format!("{OTHERS}\n");
            if name == ".macadam" {
                std::fs::create_dir(&victim).unwrap();
            } else if exists {
                std::fs::write(&victim, &content).unwrap();
            }
            std::fs::create_dir_all(project.file(name).parent().unwrap()).unwrap();
            symlink(&victim, project.file(name)).unwrap();
            let before = remote.writes();
            let ran = end(project.command(&["sync", "--once"]));
            let right = code.map_or(matches!(ran.code, 0 | 3), |code| code == ran.code);
            assert!(right, "{name}, {exists}: {} {}{}", ran.code, ran.stdout, ran.stderr);
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter2"));
            if ran.code != 0 {
                assert_eq!(remote.writes(), before, "{name}");
            }
            if victim.is_dir() {
                assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0, "{name}");
            } else if exists {
                assert_eq!(std::fs::read_to_string(&victim).unwrap(), content, "{name}");
            } else {
                assert!(!victim.exists(), "{name}");
            }
        }
    }
}

#[test]
fn the_rehearsals_world_is_not_kept_through_a_link() {
    for name in ["emulator", "emulator/world.json", "emulator/world.json.lock", "emulator/assets.lock.toml"] {
        let project = Project::new(GLOBS);
        project.write("ui/a.png", png(1));
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        if name == "emulator" { std::fs::create_dir(&victim) } else { std::fs::write(&victim, OTHERS) }.unwrap();
        let link = project.file(".macadam").join(name);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&victim, link).unwrap();
        refused(&end(project.command(&["sync", "--once", "--emulator"])), 3, "symbolic link");
        if name == "emulator" {
            assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
        } else {
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), OTHERS, "{name}");
        }
    }
}

#[test]
fn the_folder_that_a_person_names_may_be_reached_by_a_link() {
    let remote = Remote::start();
    let project = project(&remote);
    let outside = tempfile::tempdir().unwrap();
    let link = outside.path().join("game");
    symlink(project.path(), &link).unwrap();
    let manifest = link.join("assets.toml");
    let mut command = project.command(&["sync", "--once", "--manifest", manifest.to_str().unwrap()]);
    end({
        command.current_dir(outside.path());
        command
    })
    .expect(0);
    assert!(project.state().exists() && project.file("assets.lock.toml").exists());
    assert_eq!(project.sync()["actions"], serde_json::json!([]));
    // A state that was named by hand as well.
    std::fs::create_dir(project.file("states")).unwrap();
    symlink(project.file("states"), outside.path().join("states")).unwrap();
    let state = outside.path().join("states/x.db");
    end(project.command(&["sync", "--once", "--state", state.to_str().unwrap()])).expect(0);
    assert!(project.file("states/x.db").exists());
}

#[test]
#[cfg_attr(windows, ignore = "no FIFOs")]
fn a_fifo_is_refused_at_once() {
    let remote = Remote::start();
    let at = |name: &str, command: &[&str], code: i32| {
        let project = project(&remote);
        fifo(&project.file(name));
        let ran = end(project.command(command));
        refused(&ran, code, if name.ends_with(".holder") { "" } else { "a pipe" });
    };
    at("assets.toml", &["check"], 3);
    at("assets.toml", &["sync", "--once"], 3);
    at("assets.lock.toml", &["sync", "--once"], 3);
    at("assets.lock.toml", &["status"], 3);
    at(".git", &["sync", "--once"], 3);
    at(".macadam/assets.db", &["sync", "--once"], 3);
    at(".macadam/assets.db", &["status"], 3);
    at(".macadam/assets.db.lock", &["sync", "--once"], 3);
    at(".macadam/assets.db.outcomes", &["sync", "--once"], 3);
    at(".macadam/assets.db.holder", &["sync", "--once"], 0);
    at("key", &["sync", "--once", "--api-key-file", "key"], 4);
    at("theirs", &["lockfile", "merge", "theirs", "theirs", "theirs"], 3);
    let rehearse = |name: &str| {
        let project = Project::new(GLOBS);
        project.write("ui/a.png", png(1));
        fifo(&project.file(".macadam/emulator").join(name));
        refused(&end(project.command(&["sync", "--once", "--emulator"])), 3, "a pipe");
    };
    rehearse("world.json");
    rehearse("world.json.lock");
}

#[test]
fn a_key_file_may_be_a_link_and_is_not_repeated_where_it_holds_something_else() {
    let remote = Remote::start();
    let project = project(&remote);
    project.write("mounted/key", SECRET);
    symlink("mounted/key", project.file("key")).unwrap();
    let sync = ["sync", "--once", "--api-key-file", "key"];
    let keyless = || {
        let mut command = project.command(&sync);
        command.env_remove("ROBLOX_API_KEY");
        command
    };
    end(keyless()).expect(0);
    for content in [format!("{OTHERS} and more"), format!("{OTHERS}\n{OTHERS}")] {
        project.write("mounted/key", content);
        refused(&end(keyless()), 4, "has a character inside");
    }
    project.write("mounted/key", b"hunter2\xff");
    refused(&end(keyless()), 4, "not text");
    std::fs::File::options().write(true).open(project.file("mounted/key")).unwrap().set_len(1 << 30).unwrap();
    refused(&end(keyless()), 4, "more than 65536 bytes");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no limit of memory")]
fn a_huge_file_is_refused_before_it_is_read() {
    for (name, says) in [("assets.toml", "more than 16777216 bytes"), ("assets.lock.toml", "larger than")] {
        let project = Project::new(GLOBS);
        std::fs::File::create(project.file(name)).unwrap().set_len(1 << 30).unwrap();
        // This much memory is enough for the program, and not for the file.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 900000; exec \"$0\" status", env!("CARGO_BIN_EXE_macadam")]);
        command.current_dir(project.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        refused(&end(command), 3, says);
    }
}

#[test]
fn a_file_that_is_no_manifest_and_no_lockfile_is_not_quoted() {
    let project = Project::new("");
    let others = [
        format!("{OTHERS}\n"),
        format!("ROBLOX_API_KEY={OTHERS}\n"),
        format!("PORT=1\nexport KEY={OTHERS}\n"),
        format!("machine x\nlogin y\npassword {OTHERS}\n"),
        format!("{OTHERS} = \n{OTHERS} = 2\n"),
    ];
    for other in &others {
        project.write("assets.toml", other);
        for args in [&["check"][..], &["check", "--json"], &["plan"], &["pin", "a", "1"], &["status", "--json"]] {
            let ran = project.run(args);
            refused(&ran, 3, "the file is not TOML");
            assert!(ran.stdout.contains("\"line\"") || ran.stderr.contains("assets.toml:"), "{}", ran.stderr);
        }
        project.write("assets.toml", GLOBS);
        for (name, args) in [
            ("assets.lock.toml", &["status"][..]),
            ("assets.lock.toml", &["sync", "--once", "--emulator", "--json"]),
            ("ours", &["lockfile", "merge", "ours", "ours", "ours"]),
        ] {
            project.write(name, other);
            if args.contains(&"--emulator") {
                project.write(".macadam/emulator/assets.lock.toml", other);
            }
            refused(&project.run(args), 3, "");
            project.remove(name);
        }
        project.write("faults.json", other);
        refused(&end(project.command(&["emulator", "--faults", "faults.json"])), 64, "");
    }
    // A mistake in a manifest is shown with its line.
    project.write("assets.toml", "[creator]\nuser_id = 1\n[assets.x]\npath = oops.png\n");
    let ran = project.run(&["check"]).expect(3);
    assert!(ran.stderr.contains("path = oops.png"), "{}", ran.stderr);
}
