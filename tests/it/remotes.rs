//! Other servers than Roblox: a rehearsal, a server on this machine, a mistyped address. None of
//! them makes the real project unusable, and no hint of theirs leads to the real Roblox.

use std::time::{Duration, Instant};

use super::service::Service;
use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

const MANIFEST: &str =
    "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"sword.rbxmx\"\n\n[assets.icon]\npath = \"icon.png\"\n";

fn project() -> Project {
    let project = Project::new(MANIFEST);
    project.write("sword.rbxmx", rbxmx("sword"));
    project.write("icon.png", png(1));
    project
}

/// A run of the program as people have it, which takes a server on this machine for what it is.
fn run(project: &Project, args: &[&str]) -> Ran {
    Ran::of(project.command(args).env_remove("MACADAM_STAND_IN").output().unwrap())
}

#[test]
fn a_mistyped_address_leaves_the_project_as_it_was() {
    let remote = Remote::start();
    let project = project();
    let (wrong, right) = (["--api-url", "http://127.0.0.1:9"], ["--api-url", &remote.url()]);
    let sync = |server: &[&str]| run(&project, &[&["sync", "--once"], server].concat());
    assert_ne!(sync(&[&wrong[..], &["--timeout", "2s"]].concat()).code, 0);
    assert!(!project.file("assets.lock.toml").exists(), "nothing was uploaded, and there is a lockfile");
    sync(&right).expect(0);
    // Each has a state of its own from then on, and the lockfile tells which it belongs to.
    let lockfile = project.read("assets.lock.toml");
    let refused = sync(&wrong).expect(3);
    assert!(refused.stderr.contains("the lockfile belongs to"), "{}", refused.stderr);
    sync(&right).expect(0);
    assert_eq!((project.read("assets.lock.toml"), remote.assets().len()), (lockfile, 2));
}

#[test]
fn each_server_has_a_state_of_its_own() {
    let (one, two) = (Remote::start(), Remote::start());
    let project = project();
    let sync = |remote: &Remote| run(&project, &["sync", "--once", "--api-url", &remote.url()]);
    sync(&one).expect(0);
    let lockfile = project.read("assets.lock.toml");
    project.remove("assets.lock.toml");
    sync(&two).expect(0);
    project.write("assets.lock.toml", lockfile);
    sync(&one).expect(0);
    sync(&two).expect(3);
    assert_eq!((one.assets().len(), two.assets().len()), (2, 2));
}

#[test]
fn a_lockfile_of_a_server_on_this_machine_names_the_way_back_to_roblox() {
    let remote = Remote::start();
    let project = project();
    let synced = run(&project, &["sync", "--once", "--api-url", &remote.url()]).expect(0);
    assert!(!synced.stdout.contains("commit it"), "{}", synced.stdout);
    assert!(synced.stdout.contains(&format!("of {}, not of Roblox", remote.url())), "{}", synced.stdout);
    let refused = run(&project, &["plan"]).expect(3);
    let way_on = format!("to go on with that server, add `--api-url {}`", remote.url());
    assert!(refused.stderr.contains(&way_on), "{}", refused.stderr);
    assert!(!refused.stderr.contains("git checkout"), "{}", refused.stderr);
    let local = project.read("assets.lock.toml");
    project.write("assets.lock.toml", "the real one\n");
    project.git(&["init", "--quiet"]);
    project.git(&["add", "assets.lock.toml"]);
    project.git(&["commit", "--quiet", "--message", "real"]);
    project.write("assets.lock.toml", local);
    let refused = run(&project, &["plan"]).expect(3);
    assert!(refused.stderr.contains("git checkout HEAD -- "), "{}", refused.stderr);
    std::fs::remove_dir_all(project.file(".git")).unwrap();
    project.remove("assets.lock.toml");
    run(&project, &["plan"]).expect(0);
}

#[test]
fn an_address_without_its_scheme_is_completed_in_the_message() {
    let project = project();
    for (short, whole) in [
        ("127.0.0.1:8787", "`--api-url http://127.0.0.1:8787`"),
        ("localhost:8787", "`--api-url http://localhost:8787`"),
        ("gateway.example", "`--api-url https://gateway.example`"),
    ] {
        let ran = run(&project, &["plan", "--api-url", short]).expect(64);
        assert!(ran.stderr.contains(whole), "{}", ran.stderr);
    }
}

#[test]
fn asset_ids_of_a_server_on_this_machine_are_never_published() {
    let remote = Remote::start();
    let project = project();
    for mode in [&["--once"][..], &[]] {
        let url = remote.url();
        let args = [&["sync", "--on-change", "touch ran", "--api-url", &url], mode].concat();
        let refused = run(&project, &args).expect(64);
        assert!(refused.stderr.contains("must not be published"), "{}", refused.stderr);
    }
    assert!(!project.file("ran").exists() && remote.all_requests() == 0);
}

/// Every command that a text proposes, in backticks.
fn proposed(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("macadam ")).map(str::to_owned).collect()
}

#[test]
fn a_command_that_a_message_proposes_means_the_same_as_the_run() {
    let project = project();
    std::fs::rename(project.file("assets.toml"), project.file("my assets.toml")).unwrap();
    let options = ["--manifest", "my assets.toml", "--emulator"];
    run(&project, &[&["sync", "--once"][..], &options].concat()).expect(0);
    project.write("icon.png", "no picture");
    let repeated = match cfg!(windows) {
        true => "--manifest \"my assets.toml\" --emulator",
        false => "--manifest 'my assets.toml' --emulator",
    };
    let mut found = 0;
    for command in [
        &["sync", "--once"][..],
        &["sync", "--once", "--locked"],
        &["status", "nothing"],
        &["unpin", "sword"],
        &["pin", "sword", "7"],
        &["retry", "sword"],
        &["resolve", "sword", "--recreate"],
        &["restore", "sword"],
        &["archive", "sword", "--yes"],
        &["plan"],
    ] {
        for form in [&[][..], &["--json"]] {
            let ran = run(&project, &[command, &options, form].concat());
            for proposed in proposed(&format!("{}{}", ran.stdout, ran.stderr)) {
                found += 1;
                // A quote in JSON has a backslash.
                assert!(proposed.replace('\\', "").ends_with(repeated), "{command:?}: {proposed}");
            }
        }
    }
    assert!(found > 8, "only {found} proposed commands: do the messages still have any?");
}

#[test]
fn every_line_of_a_rehearsal_is_marked() {
    let project = project();
    for (args, code) in [
        (&["plan"][..], 0),
        (&["sync", "--once"], 0),
        (&["status"], 0),
        (&["history", "sword"], 0),
        (&["pin", "sword", "1"], 0),
        (&["unpin", "sword"], 0),
        (&["archive", "sword"], 0),
        (&["restore", "sword"], 0),
        (&["forget", "--yes", "sword"], 0),
        (&["recreate", "--creator"], 0),
        (&["retry", "sword"], 1),
        (&["outputs"], 0),
    ] {
        let args = [args, &["--emulator"]].concat();
        let ran = run(&project, &args).expect(code);
        for line in ran.stdout.lines().chain(ran.stderr.lines()).filter(|line| !line.is_empty()) {
            assert!(line.starts_with("[rehearsal] "), "{args:?}: {line}");
        }
        let document = run(&project, &[&args[..], &["--json"]].concat()).stdout;
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["rehearsal"], true, "{args:?}: {document:#}");
    }
    let status = run(&project, &["status", "icon", "--emulator"]).expect(0).stdout;
    assert!(status.contains("rbxassetid://90000000000000"), "the asset IDs look like Roblox's: {status}");
}

#[test]
fn a_rehearsal_of_many_files_takes_seconds() {
    let project = Project::new(GLOBS);
    for number in 0..300u16 {
        project.write(&format!("models/{number}.rbxmx"), rbxmx(&format!("{number}")));
    }
    let began = Instant::now();
    run(&project, &["sync", "--once", "--emulator", "--uploads", "32"]).expect(0);
    // The documented limits alone would take more than two minutes.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_service_in_a_rehearsal_says_so_and_takes_up_its_pins() {
    let project = project();
    run(&project, &["sync", "--once", "--emulator"]).expect(0);
    project.write("sword.rbxmx", rbxmx("two"));
    run(&project, &["sync", "--once", "--emulator"]).expect(0);
    let manifest = project.read("assets.toml");
    let service = Service::start(&project, &["--emulator"]);
    let pinned = run(&project, &["pin", "sword", "1", "--emulator"]).expect(0);
    assert!(pinned.stdout.contains("done by the running"), "{}", pinned.stdout);
    service.says("this is a rehearsal");
    service.says("watching assets.toml");
    assert_eq!(project.read("assets.toml"), manifest);
}
