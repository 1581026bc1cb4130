//! `macadam --version` says from which commit and for which target the program was built, and a
//! build works without git, outside a checkout, and in another project's.

use std::path::Path;

use super::support::Project;
use super::support::git::git;

/// The build script itself.
#[path = "../../build.rs"]
#[expect(dead_code, reason = "cargo runs its `main`")]
mod build_script;

/// A checkout with one commit, which is returned as `--version` shows it.
fn checkout(folder: &Path) -> String {
    git(folder, &["init", "-q", "-b", "main"]);
    std::fs::write(folder.join("Cargo.toml"), "[package]\n").unwrap();
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "-q", "-m", "first"]);
    git(folder, &["rev-parse", "HEAD"]).chars().take(12).collect()
}

#[test]
fn the_version_names_commit_and_target() {
    let said = Project::new("").run(&["--version"]).expect(0).stdout;
    let about = said.strip_prefix(concat!("macadam ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let (commit, target) = about.trim_end().strip_suffix(')').unwrap().split_once(", ").unwrap();
    assert!(commit == "development build" || commit.len() >= 12, "{said}");
    assert!(target.contains(std::env::consts::ARCH) && target.contains(std::env::consts::OS), "{said}");
    assert_eq!(build_script::build(Some("0123456789ab"), "t", true), "0123456789ab, t");
    assert_eq!(build_script::build(None, "t", true), "commit unknown, t");
}

#[test]
fn a_build_from_a_checkout_knows_its_commit_and_whether_files_differ() {
    let folder = tempfile::tempdir().unwrap();
    let first = checkout(folder.path());
    assert_eq!(build_script::commit(folder.path()), Some(first.clone()));
    // Another worktree's HEAD is elsewhere.
    git(folder.path(), &["worktree", "add", "-q", "-b", "other", "tree"]);
    assert_eq!(build_script::commit(&folder.path().join("tree")), Some(first.clone()));
    let watched = build_script::sources(&folder.path().join("tree"));
    assert!(watched.iter().any(|path| path.ends_with("refs/heads/other")), "{watched:?}");
    assert_eq!(build_script::commit(folder.path()), Some(first.clone()), "a new file is no change");
    std::fs::write(folder.path().join("Cargo.toml"), "[package]\nname = 'x'\n").unwrap();
    assert_eq!(build_script::commit(folder.path()), Some(format!("{first}-modified")));
    assert_eq!(git(folder.path(), &["status", "--porcelain"]).trim(), "M Cargo.toml\n?? tree/", "nothing was written");
}

#[test]
fn a_build_without_a_checkout_of_its_own_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(build_script::commit(folder.path()), None);
    assert!(build_script::sources(folder.path()).is_empty());
    checkout(folder.path());
    let inside = folder.path().join("vendor/macadam");
    std::fs::create_dir_all(&inside).unwrap();
    assert_eq!(build_script::commit(&inside), None, "the commit of another project");

    // A package says where it was made.
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let packaged = |more: &str| {
        let info = format!("{{\n  \"git\": {{\n    \"sha1\": \"{commit}\"{more}\n  }},\n  \"path_in_vcs\": \"\"\n}}");
        std::fs::write(inside.join(".cargo_vcs_info.json"), info).unwrap();
        build_script::commit(&inside)
    };
    assert_eq!(packaged("").as_deref(), Some("0123456789ab"));
    assert_eq!(packaged(",\n    \"dirty\": true").as_deref(), Some("0123456789ab-modified"));
    std::fs::write(inside.join(".cargo_vcs_info.json"), "{\"git\": {\"sha1\": \"$(x)\"}}").unwrap();
    assert_eq!(build_script::commit(&inside), None);
}

#[test]
#[cfg(target_os = "linux")]
fn the_program_brings_an_allocator_that_gives_freed_memory_back() {
    let project = Project::new("");
    let mut command = project.command(&["--version"]);
    command.env("_RJEM_MALLOC_CONF", "confirm_conf:true"); // it says what it was built with
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    for setting in ["dirty_decay_ms:1000", "muzzy_decay_ms:0"] {
        assert!(said.contains(&format!("Set conf value: {setting}")), "{said}");
    }
}
