//! `macadam init` in the folder of another tool, whose assets a new start would upload again.

use serde_json::json;

use super::empty;
use crate::support::Remote;

const FILES: [&str; 6] = [
    "asphalt.toml",
    "tarmac.toml",
    ".mantle-state.yml",
    "game.mantle-state.yml",
    ".rbx-sync-cache.json",
    "tungsten.toml",
];

#[test]
fn init_beside_another_tools_file_names_the_import_and_writes_nothing() {
    let remote = Remote::start();
    for file in FILES {
        let project = empty(&remote);
        project.write(file, "");
        let told = project.run(&["init", "--creator", "user:1"]).expect(1).stderr;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&format!("{file} is here")) && told.contains("--yes"), "{told}");
        assert!(told.contains(&format!("import --from {file}")), "{told}");
        assert!(!project.file("assets.toml").exists() && !project.file(".gitattributes").exists());
        project.run(&["init", "--yes"]).expect(0);
        assert!(project.file("assets.toml").exists());
        // The import itself leads to `init`, for the rest.
        project.run(&["init"]).expect(0);
    }
}

#[test]
fn init_names_the_import_of_each_tool_and_in_json_too() {
    let remote = Remote::start();
    let project = empty(&remote);
    project.write("asphalt.toml", "");
    project.write("tarmac.toml", "");
    let (code, document) = project.json(&["init"]);
    let hint = document["errors"][0]["hint"].as_str().unwrap();
    assert_eq!(code, 1);
    assert!(hint.contains("`macadam import --from asphalt.toml` or `macadam import --from tarmac.toml`"), "{hint}");
    let (code, document) = project.json(&["init", "--yes"]);
    assert_eq!((code, &document["written"][0]), (0, &json!("assets.toml")));
}

#[test]
#[cfg(target_os = "linux")]
fn at_a_terminal_init_asks_before_a_new_start() {
    let remote = Remote::start();
    let project = empty(&remote);
    project.write("asphalt.toml", "");
    let told = project.at_terminal(&["init"], "n\n").expect(1).stdout;
    assert!(told.contains("import --from asphalt.toml") && told.contains("Nothing was written."), "{told}");
    assert!(!project.file("assets.toml").exists() && !project.file(".gitattributes").exists());
    project.at_terminal(&["init"], "y\n\n\n\n\n").expect(0);
    assert!(project.file("assets.toml").exists());
}
