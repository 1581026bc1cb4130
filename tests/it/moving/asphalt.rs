//! Asphalt.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{asphalt_tree, asset_id, blake3, empty, found, move_in, move_in_offline, planned, uploaded, without_key};
use crate::support::{Project, Remote, SECRET, png, rbxmx};

const FIXTURES: [(&str, &str, &str); 2] = [
    (
        "flat",
        include_str!("fixtures/asphalt-2/flat/asphalt.toml"),
        include_str!("fixtures/asphalt-2/flat/asphalt.lock.toml"),
    ),
    (
        "nested",
        include_str!("fixtures/asphalt-2/nested/asphalt.toml"),
        include_str!("fixtures/asphalt-2/nested/asphalt.lock.toml"),
    ),
];

#[test]
fn files_written_by_asphalt_move_in_without_uploads() {
    let remote = Remote::start();
    for (style, config, lockfile) in FIXTURES {
        let project = empty(&remote);
        asphalt_tree(&project);
        project.write("asphalt.toml", config);
        project.write("asphalt.lock.toml", lockfile);
        let told = move_in_offline(&project, "asphalt.toml");
        assert_eq!(told["assets"].as_array().unwrap().len(), 51, "{told:#}");
        assert_eq!((&told["uploads"], &told["existing"]), (&json!(0), &json!(1)));
        assert_eq!(told["creator"], "user:1");
        // The one input bleeds and the other doesn't.
        assert_eq!(found(&told, "treated").len(), 30);
        assert_eq!(planned(&project), json!({}));
        let manifest = project.read("assets.toml");
        assert!(
            manifest.contains("path = \"assets/art/**/*.{png,")
                && manifest.contains("\"assets/art/logo.png\" = 987654321"),
            "{manifest}"
        );
        assert!(
            manifest.contains(&format!("path = \"src/shared/art.luau\"\nstyle = \"{style}\"\nbase = \"assets/art\"")),
            "{manifest}"
        );
        let lockfile = project.read("assets.lock.toml");
        assert_eq!(lockfile.matches("state = \"unverified\"").count(), 51, "{lockfile}");
    }
    assert_eq!(remote.all_requests(), 0);
}

/// A project of Asphalt's whose assets are at the remote: two pictures, of which one is twice
/// there, a sound and a model.
fn project(remote: &Remote) -> Project {
    let files = [("assets/a.png", png(1)), ("assets/b.png", png(2)), ("assets/sword.rbxmx", rbxmx("one").into_bytes())];
    let ids = uploaded(remote, "user_id = 1", "", &files);
    let project = empty(remote);
    let mut lockfile = "version = 2\n".to_owned();
    for (path, bytes) in &files {
        project.write(path, bytes);
        lockfile.push_str(&format!("\n[inputs.assets.{}]\nasset_id = {}\n", blake3(bytes), ids[*path]));
    }
    project.write("assets/again/a.png", png(1));
    project.write("asphalt.lock.toml", lockfile);
    project.write("asphalt.toml", CONFIG);
    project
}

const CONFIG: &str = "[creator]\ntype = \"user\"\nid = 1\n\n[inputs.assets]\npath = \"assets/**/*\"\noutput_path = \"src\"\nbleed = false\n";

#[test]
fn with_a_key_each_asset_is_read_once_and_the_next_sync_sends_nothing() {
    let remote = Remote::start();
    let project = project(&remote);
    let before = (remote.requests(ApiEndpoint::GetAsset), remote.writes());
    let told = move_in(&project, &["asphalt.toml"]);
    assert!(told["assets"].as_array().unwrap().iter().all(|asset| asset["verified"] == true), "{told:#}");
    assert_eq!(remote.requests(ApiEndpoint::GetAsset), before.0 + 3, "equal files have one asset");
    assert!(!project.read("assets.lock.toml").contains("unverified"));
    let requests = remote.all_requests();
    project.sync();
    assert_eq!(remote.writes(), before.1);
    assert_eq!(remote.requests(ApiEndpoint::GetAsset), before.0 + 3);
    assert!(remote.all_requests() <= requests + 1, "at most the look at the key");
}

#[test]
fn an_edited_picture_gets_a_new_asset_and_an_edited_model_keeps_its_own() {
    let remote = Remote::start();
    let project = project(&remote);
    move_in(&project, &["asphalt.toml"]);
    let ids = ["assets/a.png", "assets/b.png", "assets/sword.rbxmx"].map(|address| asset_id(&project, address));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    project.write("assets/b.png", png(3));
    project.write("assets/sword.rbxmx", rbxmx("two"));
    assert_eq!(planned(&project), json!({"replace": 1, "update_content": 1}));
    project.sync();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates + 1);
    let now = ["assets/a.png", "assets/b.png", "assets/sword.rbxmx"].map(|address| asset_id(&project, address));
    assert_eq!((now[0], now[2]), (ids[0], ids[2]));
    assert_ne!(now[1], ids[1]);
}

#[test]
fn a_file_never_uploaded_is_listed_and_uploaded_by_the_next_sync() {
    let remote = Remote::start();
    let project = project(&remote);
    project.write("assets/new.png", png(9));
    project.write("assets/.hidden/a.png", png(2));
    project.write("assets/notes.txt", "text");
    project.write("assets/logo.svg", "<svg/>");
    project.write("assets/UPPER.PNG", png(8));
    let told = move_in_offline(&project, "asphalt.toml");
    assert_eq!(found(&told, "not_uploaded"), ["assets/new.png"]);
    assert_eq!(found(&told, "drawing"), ["assets/logo.svg"]);
    // A hidden file that has an asset is in no glob of Macadam's.
    assert!(found(&told, "glob_differs")[0].starts_with("assets/.hidden/a.png"), "{told:#}");
    assert_eq!(told["uploads"], 1);
    assert_eq!(planned(&project), json!({"create": 1}));
    without_key(&project, &["check"]).expect(0);
}

#[test]
fn an_asset_of_somebody_else_is_used_and_not_managed() {
    let remote = Remote::start();
    let theirs = uploaded(&remote, "user_id = 2", "", &[("assets/theirs.png", png(5))]);
    let decal = uploaded(&remote, "user_id = 1", "type = \"Decal\"\n", &[("assets/decal.png", png(6))]);
    let project = project(&remote);
    let mut lockfile = project.read("asphalt.lock.toml");
    for (id, path, bytes) in [
        (theirs["assets/theirs.png"], "assets/theirs.png", png(5)),
        (decal["assets/decal.png"], "assets/decal.png", png(6)),
    ] {
        project.write(path, &bytes);
        lockfile.push_str(&format!("\n[inputs.assets.{}]\nasset_id = {id}\n", blake3(&bytes)));
    }
    project.write("asphalt.lock.toml", lockfile);
    let told = move_in(&project, &["asphalt.toml"]);
    let found = found(&told, "mismatch");
    assert!(
        found[0].contains("is of the type Decal, not Image") && found[1].contains("belongs to user 2"),
        "{found:?}"
    );
    assert_eq!(told["uploads"], 0);
    assert!(project.read("assets.toml").contains(&format!("\"assets/theirs.png\" = {}", theirs["assets/theirs.png"])));
    let writes = remote.writes();
    project.sync();
    assert_eq!(remote.writes(), writes);
}

#[test]
fn nothing_is_overwritten() {
    let remote = Remote::start();
    let project = project(&remote);
    for name in ["assets.toml", "assets.lock.toml"] {
        project.write(name, "mine");
        let ran = project.run(&["import", "--from", "asphalt.toml"]).expect(1);
        assert!(ran.stderr.contains(&format!("{name} already exists")), "{}", ran.stderr);
        assert_eq!(project.read(name), "mine");
        project.remove(name);
    }
    move_in_offline(&project, "asphalt.toml");
    let before = (project.read("assets.toml"), project.read("assets.lock.toml"), project.read("asphalt.lock.toml"));
    project.run(&["import", "--from", "asphalt.toml"]).expect(1);
    assert_eq!(
        (project.read("assets.toml"), project.read("assets.lock.toml"), project.read("asphalt.lock.toml")),
        before
    );
}

#[test]
fn wrong_usage_is_reported_with_a_remedy() {
    let remote = Remote::start();
    let project = project(&remote);
    let check = |args: &[&str], code: i32, expected: &str| {
        let ran = project.run(&[&["import"], args].concat()).expect(code);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    };
    check(&[], 64, "needs an asset's name in the manifest and its ID on Roblox");
    check(&["--from", "package.json"], 64, "name one of asphalt.toml");
    check(&["--from", "tarmac.toml"], 3, "tarmac.toml");
    check(&["--from", "asphalt.toml", "--creator", "group:7"], 64, "--creator says group 7");
    check(&["--from", "asphalt.toml", "--creator", "me"], 64, "user:ID or group:ID");
    check(&["--from", "asphalt.toml", "--environment", "x"], 64, "has no environments");
    check(&["a", "1", "--from", "asphalt.toml"], 64, "cannot be used with");
    project.write("asphalt.lock.toml", "version = 9\n");
    check(&["--from", "asphalt.toml"], 3, "has version 9");
    assert!(!project.file("assets.toml").exists() && !project.file("assets.lock.toml").exists());
}

#[test]
fn the_report_says_what_came_along_and_what_to_do_next() {
    let remote = Remote::start();
    let project = project(&remote);
    let ran = project.run(&["import", "--from", "asphalt.toml"]).expect(0);
    for expected in [
        "took over 4 files from Asphalt, with their asset IDs",
        "owned by user 1",
        "wrote assets.toml, assets.lock.toml and assets.schema.json; nothing was uploaded",
        "Roblox confirmed the owner and type of every asset",
        "plan: the next sync uploads nothing",
        "macadam outputs --adopt",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}:\n{}", ran.stdout);
    }
}

/// What Asphalt uploaded is in its lockfile alone.
#[test]
fn without_asphalts_lockfile_nothing_is_promised() {
    let remote = Remote::start();
    let project = project(&remote);
    project.remove("asphalt.lock.toml");
    let ran = project.run(&["import", "--from", "asphalt.toml"]).expect(0);
    let told = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("there is no asphalt.lock.toml, so Macadam can't know what Asphalt uploaded"), "{told}");
    assert!(told.contains("Get that file first, remove assets.toml and assets.lock.toml, and import again"), "{told}");
    assert!(ran.stdout.contains("uploads 4 files, also what Asphalt uploaded already"), "{}", ran.stdout);
    for name in ["assets.toml", "assets.lock.toml"] {
        project.remove(name);
    }
    assert_eq!(move_in_offline(&project, "asphalt.toml")["missing_record"], "asphalt.lock.toml");
}

#[test]
fn a_refused_key_writes_nothing() {
    let remote = Remote::start();
    let project = project(&remote);
    remote.control().revoke_key(SECRET);
    project.run(&["import", "--from", "asphalt.toml"]).expect(4);
    assert!(!project.file("assets.toml").exists() && !project.file("assets.lock.toml").exists());
}

/// Whoever reads only what the program prints has everything that docs/moving.md lists.
#[test]
fn the_next_steps_name_the_merge_driver_and_the_code_files() {
    let remote = Remote::start();
    let project = project(&remote);
    let told = project.run(&["import", "--from", "asphalt.toml"]).expect(0).stdout;
    let (_, next) = told.split_once("Next:").unwrap();
    let commands: Vec<&str> = next.lines().map(str::trim).filter(|line| line.starts_with("macadam ")).collect();
    assert_eq!(commands, ["macadam plan", "macadam outputs --adopt", "macadam init"], "{told}");
    let last = next.trim_end().lines().last().unwrap();
    for file in ["assets.toml", "assets.lock.toml", ".gitattributes", "src/assets.luau"] {
        assert!(last.contains(file), "{file}: {last}");
    }
    for command in commands {
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        project.run(&args).expect(0);
    }
    // In a checkout the driver is set too.
    project.remove("assets.toml");
    project.remove("assets.lock.toml");
    project.git(&["init", "-q"]);
    let told = project.run(&["import", "--from", "asphalt.toml"]).expect(0).stdout;
    assert!(told.contains("     macadam init --merge-driver\n"), "{told}");
}
