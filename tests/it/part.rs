//! `sync --once ADDRESS…` and `plan ADDRESS…`: a part of the project, and nothing else.

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::support::{GLOBS, Project, Remote, png, rbxmx};

fn project(remote: &Remote) -> Project {
    let project = Project::new(GLOBS).at(&remote.url());
    for (name, shade) in [("ui/a.png", 1), ("ui/b.png", 2), ("ui/deep/c.png", 3)] {
        project.write(name, png(shade));
    }
    project.write("models/d.rbxmx", rbxmx("d"));
    project
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["address"].as_str().unwrap()).collect()
}

#[test]
fn a_sync_of_some_addresses_leaves_the_others() {
    let remote = Remote::start();
    let project = project(&remote);
    let (code, planned) = project.json(&["plan", "models/d.rbxmx", "ui/*"]);
    assert_eq!((code, names(&planned["actions"])), (0, vec!["models/d.rbxmx", "ui/a.png", "ui/b.png"]), "{planned:#}");
    assert_eq!(planned["part"]["left_out"], json!([{"address": "ui/deep/c.png", "action": "create"}]));

    let (code, document) = project.json(&["sync", "--once", "models/d.rbxmx", "ui/*"]);
    assert_eq!((code, &document["in_sync"]), (0, &json!(true)), "{document:#}");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);
    assert_eq!(document["part"]["addresses"], json!(["models/d.rbxmx", "ui/a.png", "ui/b.png"]));
    assert_eq!(document["part"]["left_out"], json!([{"address": "ui/deep/c.png", "action": "create"}]));
    let lockfile = project.read("assets.lock.toml");
    assert!(lockfile.contains("ui/a.png") && !lockfile.contains("c.png"), "{lockfile}");

    // A person is told so, and the rest is done later.
    let ran = project.run(&["plan", "ui/*"]).expect(0);
    assert!(ran.stdout.contains("nothing to do, 2 assets are up to date."), "{}", ran.stdout);
    project.write("ui/a.png", png(9));
    let ran = project.run(&["sync", "--once", "ui/a.png"]).expect(0);
    assert!(ran.stdout.contains("Done. 1 asset is up to date: 1 replaced."), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("This was a part of the project. Still to do: 1 to upload. `macadam sync --once"),
        "{}",
        ran.stdout
    );
    project.sync();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 5);
    let ran = project.run(&["plan", "ui/a.png"]).expect(0);
    assert!(ran.stdout.contains("nothing else is to do"), "{}", ran.stdout);
    // What can't go on elsewhere isn't passed over.
    project.write("ui/b.png", "no picture");
    let ran = project.run(&["sync", "--once", "ui/a.png"]).expect(0);
    assert!(ran.stdout.contains("1 other asset is on hold: `macadam plan` says why."), "{}", ran.stdout);
    let (_, document) = project.json(&["plan", "ui/a.png"]);
    assert_eq!(document["part"]["on_hold"], json!(["ui/b.png"]));
}

#[test]
fn a_part_brings_along_what_it_needs_and_nothing_else_moves_or_leaves() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[policy]\nremoved = \"archive\"\n\n\
        [assets.crate]\npath = \"d.rbxmx\"\nicon = \"icon\"\n\n[assets.icon]\npath = \"i.png\"\n\n\
        [assets.twin]\npath = \"j.png\"\n\n[assets.other]\npath = \"o.png\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("d.rbxmx", rbxmx("d"));
    project.write("i.png", png(1));
    // The same bytes: they share one asset.
    project.write("j.png", png(1));
    project.write("o.png", png(2));
    project.run(&["sync", "--once", "crate"]).expect(0);
    assert_eq!(remote.assets().len(), 2, "the model and its icon");
    project.sync();
    assert_eq!(remote.assets().len(), 3);

    // `other` is renamed, and `twin` leaves; neither is the business of a sync of `crate`.
    let renamed = manifest.replace("[assets.other]", "[assets.another]");
    let renamed = renamed.replace("[assets.twin]\npath = \"j.png\"\n\n", "");
    project.write("assets.toml", renamed);
    project.write("d.rbxmx", rbxmx("e"));
    let before = project.read("assets.lock.toml");
    let document = project.json(&["sync", "--once", "crate"]).1;
    assert_eq!(names(&document["actions"]), ["crate"], "{document:#}");
    let after = project.read("assets.lock.toml");
    assert!(after != before && after.contains("[assets.\"other\"]") && !after.contains("\"another\""), "{after}");
    assert_eq!(names(&document["part"]["left_out"]), ["another"]);
    // The whole project takes it in.
    let document = project.sync();
    assert_eq!(names(&document["actions"]), ["another"], "{document:#}");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);
}

#[test]
fn the_exit_code_is_about_the_part() {
    let remote = Remote::start();
    let project = project(&remote);
    project.write("ui/b.png", "not a picture");
    project.run(&["sync", "--once", "ui/a.png"]).expect(0);
    project.run(&["plan", "ui/a.png"]).expect(0);
    project.run(&["sync", "--once", "ui/b.png"]).expect(1);
    project.run(&["plan", "ui/b.png"]).expect(1);
    project.run(&["sync", "--once", "--locked", "ui/a.png"]).expect(0);
    project.run(&["sync", "--once", "--locked", "ui/deep/**"]).expect(1);
}

#[test]
fn an_unknown_address_is_an_error_with_the_nearest_name() {
    let remote = Remote::start();
    let project = project(&remote);
    for command in [&["sync", "--once"][..], &["plan"]] {
        let ran = project.run(&[command, &["ui/a.pgn"]].concat()).expect(1);
        assert!(ran.stderr.contains("there is no asset named `ui/a.pgn`"), "{}", ran.stderr);
        assert!(ran.stderr.contains("did you mean `ui/a.png`?"), "{}", ran.stderr);
        let ran = project.run(&[command, &["sounds/*"]].concat()).expect(1);
        assert!(ran.stderr.contains("no asset matches the pattern `sounds/*`"), "{}", ran.stderr);
    }
    assert_eq!(remote.all_requests(), 0);
}

#[test]
fn a_service_of_one_address_gets_a_tip() {
    let project = Project::new(GLOBS);
    let ran = project.run(&["sync", "sword"]).expect(64);
    assert!(ran.stderr.contains("`macadam sync --once sword` syncs only what you name"), "{}", ran.stderr);
}
