//! Tarmac, Mantle, asset-sync and Tungsten: files as their sources write them.

use serde_json::json;

use super::{blake3, empty, found, move_in, move_in_offline, planned, sha1, uploaded, without_key};
use crate::crash::stage::hash;
use crate::support::{Project, Ran, Remote, animation, png};

/// Two pictures at the remote, and a project that has them.
fn pictures(remote: &Remote, keys: &str) -> (Project, u64, u64) {
    let ids = uploaded(remote, "user_id = 1", keys, &[("assets/a.png", png(1)), ("assets/ui/b.png", png(2))]);
    let project = empty(remote);
    project.write("assets/a.png", png(1));
    project.write("assets/ui/b.png", png(2));
    (project, ids["assets/a.png"], ids["assets/ui/b.png"])
}

fn nothing_is_sent(remote: &Remote, project: &Project) {
    assert_eq!(planned(project), json!({}));
    let writes = remote.writes();
    project.sync();
    assert_eq!(remote.writes(), writes);
}

#[test]
fn tarmac_moves_in_by_path_and_hash() {
    let remote = Remote::start();
    let (project, a, b) = pictures(&remote, "");
    let inputs = |glob: &str, keys: &str| format!("\n[[inputs]]\nglob = \"{glob}\"\n{keys}");
    let codegen = "codegen = true\ncodegen-path = \"src/assets.lua\"\ncodegen-base-path = \"assets\"\n";
    let config = format!(
        "name = \"game\"\n{}{}",
        inputs("assets/**/*.png", codegen),
        inputs("sheets/*.png", "packable = true\n")
    );
    project.write("tarmac.toml", config);
    for sheet in ["sheets/one.png", "sheets/two.png"] {
        project.write(sheet, png(50));
    }
    let row = |path: &str, bytes: &[u8], id: u64, rest: &str| {
        format!("[inputs.\"{path}\"]\nhash = \"{}\"\nid = {id}\n{rest}packable = false\n\n", blake3(bytes))
    };
    let manifest = [
        row("assets/a.png", &png(1), a, ""),
        row("assets/ui/b.png", &png(2), b, ""),
        row("assets/gone.png", &png(3), 77, ""),
        row("sheets/one.png", &png(50), 88, "slice = [[0, 0], [1, 1]]\n"),
        row("sheets/two.png", &png(50), 88, "slice = [[1, 0], [2, 1]]\n"),
    ];
    project.write("tarmac-manifest.toml", manifest.concat());
    // Tarmac doesn't record the user.
    let ran = without_key(&project, &["import", "--from", "tarmac.toml"]).expect(64);
    assert!(ran.stderr.contains("--creator user:ID"), "{}", ran.stderr);
    // Nor does anything but Roblox know that this is another one.
    let ran = project.run(&["import", "--from", "tarmac.toml", "--creator", "user:5"]).expect(64);
    let said = "all 2 assets belong to user 1, not to user 5; nothing was written";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("`--creator user:1`"), "{}", ran.stderr);
    assert!(!project.file("assets.toml").exists() && !project.file("assets.lock.toml").exists());
    let told = move_in(&project, &["tarmac.toml", "--creator", "user:1"]);
    assert_eq!(told["assets"].as_array().unwrap().len(), 2, "{told:#}");
    assert_eq!(found(&told, "packed_sheet"), ["sheets/one.png", "sheets/two.png"]);
    assert_eq!(found(&told, "file_gone"), ["asset 77 (assets/gone.png)"]);
    assert_eq!(found(&told, "may_be_poisoned").len(), 1);
    let manifest = project.read("assets.toml");
    assert!(manifest.contains("path = \"src/assets.lua\"\nstyle = \"nested\"\nbase = \"assets\""), "{manifest}");
    assert!(!manifest.contains("sheets"), "{manifest}");
    nothing_is_sent(&remote, &project);
}

/// A command without it would go to Roblox, with a lockfile of another server.
#[test]
fn the_commands_that_follow_a_move_name_the_server_of_the_move() {
    let remote = Remote::start();
    let (project, a, _) = pictures(&remote, "");
    project.write("tarmac.toml", "name = \"game\"\n\n[[inputs]]\nglob = \"assets/**/*.png\"\n");
    let row = format!("[inputs.\"assets/a.png\"]\nhash = \"{}\"\nid = {a}\npackable = false\n", blake3(&png(1)));
    project.write("tarmac-manifest.toml", row);
    let from = ["import", "--from", "tarmac.toml", "--creator", "user:1"];
    let ran = Ran::of(project.command(&from).env_remove("MACADAM_STAND_IN").output().unwrap()).expect(0);
    let server = format!(" --api-url {}", remote.url());
    // Editors find the schema by the first line.
    assert!(project.read("assets.toml").starts_with("#:schema ./assets.schema.json\n"));
    assert_eq!(project.read("assets.schema.json"), project.run(&["schema"]).expect(0).stdout);
    let commands: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("     macadam ")).collect();
    assert!(commands.len() >= 2, "{}", ran.stdout);
    // `init` asks no server.
    let (init, others): (Vec<&str>, Vec<&str>) = commands.into_iter().partition(|line| line.contains(" init"));
    assert!(init.iter().all(|line| !line.contains("--api-url")), "{}", ran.stdout);
    assert!(!others.is_empty() && others.iter().all(|line| line.ends_with(&server)), "{}", ran.stdout);
}

/// As a mistake in assets.toml, but without the line, which may hold a secret.
#[test]
fn a_mistake_in_another_tools_file_has_its_place() {
    let remote = Remote::start();
    let project = empty(&remote);
    project.write("tarmac.toml", "name = \"game\"\n\n[[inputs]]\nglob = \"assets/**/*.png\"\n");
    project.write("tarmac-manifest.toml", "[inputs.\"assets/a.png\"]\nhash = \"hunter2\"\nid = \n");
    let from = ["import", "--from", "tarmac.toml", "--creator", "user:1"];
    let said = without_key(&project, &from).expect(3).stderr;
    assert_eq!(said, "error: tarmac-manifest.toml:3:6: the value is missing\n");
    let (code, told) = project.json(&from);
    let error = &told["errors"][0];
    assert_eq!((code, &error["file"], &error["line"]), (3, &"tarmac-manifest.toml".into(), &3.into()), "{told:#}");
}

#[test]
fn a_file_changed_since_tarmac_uploaded_it_is_listed_and_uploaded() {
    let remote = Remote::start();
    let (project, a, _) = pictures(&remote, "");
    project.write("tarmac.toml", "name = \"game\"\nupload-to-group-id = 7\n\n[[inputs]]\nglob = \"assets/*.png\"\n");
    let manifest = format!("[inputs.\"assets/a.png\"]\nhash = \"{}\"\nid = {a}\npackable = false\n", blake3(&png(9)));
    project.write("tarmac-manifest.toml", manifest);
    let told = move_in_offline(&project, "tarmac.toml");
    assert_eq!(told["creator"], "group:7");
    assert_eq!(found(&told, "changed"), [format!("assets/a.png (asset {a})")]);
    assert_eq!(found(&told, "not_uploaded"), ["assets/ui/b.png"]);
    let lockfile = project.read("assets.lock.toml");
    assert!(lockfile.contains(&format!("asset_id = {a}")) && !lockfile.contains("content_hash"), "{lockfile}");
    assert_eq!(planned(&project), json!({"create": 1, "replace": 1}));
}

fn mantle(entries: &[(&str, &str, &str, u64)]) -> String {
    let entry = |(path, kind, hash, id): &(&str, &str, &str, u64)| {
        format!(
            "    - id: asset_{path}\n      inputs:\n        {kind}:\n          filePath: {path}\n          fileHash: {hash}\n          groupId: ~\n      \
             outputs:\n        {kind}:\n          assetId: {id}\n      dependencies: []\n"
        )
    };
    entries.iter().map(entry).collect()
}

#[test]
fn one_environment_of_mantle_moves_in() {
    let remote = Remote::start();
    let (project, a, b) = pictures(&remote, "");
    let production = mantle(&[
        ("assets/a.png", "imageAsset", &hash(&png(1)), a),
        ("assets/ui/b.png", "imageAsset", &hash(&png(2)), b),
        ("fake-path", "audioAsset", "fake-hash", 99),
    ]);
    let staging = mantle(&[("assets/a.png", "imageAsset", &hash(&png(1)), 55)]);
    let state = format!(
        "#\n# WARNING - Generated file.\n#\n\n---\nversion: '6'\nenvironments:\n  production:\n{production}  staging:\n{staging}"
    );
    project.write(".mantle-state.yml", &state);
    let ran = without_key(&project, &["import", "--from", ".mantle-state.yml", "--creator", "user:1"]).expect(3);
    assert!(ran.stderr.contains("--environment production"), "{}", ran.stderr);
    let told = move_in(&project, &[".mantle-state.yml", "--creator", "user:1", "--environment", "production"]);
    assert_eq!(told["assets"].as_array().unwrap().len(), 2, "{told:#}");
    assert_eq!(found(&told, "fake_record").len(), 1);
    assert!(project.read("assets.toml").contains("[assets.\"assets/ui/b.png\"]\npath = \"assets/ui/b.png\""));
    nothing_is_sent(&remote, &project);

    let old = empty(&remote);
    old.write(".mantle-state.yml", state.replace("'6'", "'5'"));
    let ran = without_key(&old, &["import", "--from", ".mantle-state.yml"]).expect(3);
    assert!(ran.stderr.contains("version 5") && ran.stderr.contains("mantle deploy"), "{}", ran.stderr);
}

#[test]
fn asset_sync_moves_in_by_its_cache() {
    let remote = Remote::start();
    let (project, a, b) = pictures(&remote, "");
    let cache = json!({
        sha1(&png(1)): a.to_string(),
        format!("{}(bleed)", sha1(&png(2))): b.to_string(),
        sha1(b"gone"): "77",
    });
    project.write(".rbx-sync-cache.json", cache.to_string());
    project.write("package.json", r#"{"scripts": {"assets": "rbxts-asset-sync --output=src/assets.ts"}}"#);
    let told = move_in(&project, &[".rbx-sync-cache.json", "--creator", "user:1"]);
    assert_eq!(found(&told, "treated"), ["assets/ui/b.png"]);
    assert_eq!(found(&told, "file_gone"), ["asset 77"]);
    let manifest = project.read("assets.toml");
    assert!(
        manifest.contains("path = \"src/assets.ts\"\nstyle = \"flat\"\nname = \"assets\"\ntypes = \"literal\""),
        "{manifest}"
    );
    nothing_is_sent(&remote, &project);
}

#[test]
fn tungsten_moves_in_by_hash_and_by_the_names_of_its_module() {
    let remote = Remote::start();
    let (project, a, b) = pictures(&remote, "type = \"Decal\"\n");
    let model = animation("walk").into_bytes();
    let models = uploaded(&remote, "user_id = 1", "type = \"Model\"\n", &[("assets/walk.rbxmx", model.clone())]);
    project.write("assets/walk.rbxmx", &model);
    project.write(
        "tungsten.toml",
        "[creator]\ntype = \"user\"\nid = 1\n\n[codegen]\nstyle = \"nested\"\nstrip_extension = true\n\n[inputs.assets]\npath = \"assets/**/*\"\noutput_path = \"src/assets.luau\"\n",
    );
    let rows = [("0".repeat(64), a), ("1".repeat(64), b), (hash(&model), models["assets/walk.rbxmx"])];
    let rows = rows.map(|(hash, id)| format!("\n[inputs.assets.{hash}]\nasset_id = {id}\n"));
    project.write("tungsten.lock.toml", format!("version = 1\n{}", rows.concat()));
    let module = format!(
        "-- This file was automatically @generated by Tungsten.\n-- It is not intended for manual editing.\n\nlocal assets = {{\n\ta = \"rbxassetid://{a}\",\n\tui = {{\n\t\tb = \"rbxassetid://{b}\",\n\t}},\n}}\n\nreturn assets"
    );
    project.write("src/assets.luau", module);
    let told = move_in(&project, &["tungsten.toml"]);
    assert_eq!(told["assets"].as_array().unwrap().len(), 3, "{told:#}");
    assert_eq!(found(&told, "unchecked"), ["assets/a.png", "assets/ui/b.png"]);
    let manifest = project.read("assets.toml");
    assert!(manifest.contains("type = \"Decal\"") && manifest.contains("[globs.assets_models]"), "{manifest}");
    // Its module is Tungsten's until a person says otherwise.
    assert_eq!(planned(&project), json!({}));
    without_key(&project, &["outputs", "--adopt"]).expect(0);
    let module = project.read("src/assets.luau");
    assert!(module.contains(&format!("a = \"rbxassetid://{a}\"")), "{module}");
    assert!(module.contains(&format!("b = \"rbxassetid://{b}\"")), "{module}");
    nothing_is_sent(&remote, &project);
}

#[test]
fn a_list_that_somebody_kept_moves_in_by_its_paths() {
    let remote = Remote::start();
    let (project, a, b) = pictures(&remote, "");
    project.write("assets/new.png", png(3));
    let list =
        format!("asset_id;who;path\r\n{a};me;assets/a.png\r\nrbxassetid://{b};;assets\\ui\\b.png\r\n77;;gone.png\r\n");
    project.write("ids.csv", &list);
    // A list is no sign that another tool uploaded something.
    project.run(&["init", "--manifest", "other.toml", "--creator", "user:1"]).expect(0);
    let ran = without_key(&project, &["import", "--from", "ids.csv"]).expect(64);
    assert!(ran.stderr.contains("--creator user:ID"), "{}", ran.stderr);
    let told = move_in(&project, &["ids.csv", "--creator", "user:1"]);
    assert_eq!(told["assets"].as_array().unwrap().len(), 2, "{told:#}");
    assert_eq!(found(&told, "unchecked"), ["assets/a.png", "assets/ui/b.png"]);
    assert_eq!(found(&told, "file_gone"), ["asset 77 (gone.png)"]);
    assert!(!project.read("assets.toml").contains("new.png"));
    assert_eq!(project.read("ids.csv"), list);
    nothing_is_sent(&remote, &project);
    // A glob finds the same files by the same addresses.
    let owner = "[creator]\nuser_id = 1\n";
    project.write(
        "assets.toml",
        format!("{owner}\n[globs.ui]\npath = \"assets/**/*.png\"\nexclude = [\"assets/new.png\"]\n"),
    );
    nothing_is_sent(&remote, &project);

    project.remove("assets.toml");
    project.remove("assets.lock.toml");
    project.write("ids.csv", "path,asset_id\nassets/a.png,the secret\n");
    let ran = project.run(&["import", "--from", "ids.csv", "--creator", "user:1"]);
    assert!(ran.stderr.contains("line 2 has no asset ID") && !ran.stderr.contains("secret"), "{}", ran.stderr);
    assert!(!project.file("assets.toml").exists() && ran.code != 0);
}
