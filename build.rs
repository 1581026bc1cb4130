//! Tells the program which commit it was built from and for which target, for `macadam --version`.
//!
//! A build must succeed without git, outside a checkout, and inside somebody else's checkout: then
//! the commit is unknown. Only a release build asks for it, because a development build would
//! otherwise compile everything again after each commit. Must never write into the source folder.
#![expect(clippy::disallowed_methods, reason = "cargo talks to build scripts through the environment and files")]
#![allow(
    clippy::print_stdout,
    reason = "cargo reads the answers from standard output; only tests, which include this file, have the lint"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable by which whoever builds from an archive says the commit.
const GIVEN: &str = "MACADAM_COMMIT";

/// What cargo puts into a package beside its files.
const PACKAGED: &str = ".cargo_vcs_info.json";

/// The number of digits of a commit that `--version` shows.
const SHOWN: usize = 12;

fn main() {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let target = env::var("TARGET").unwrap_or_else(|_| "unknown target".to_owned());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    let given = env::var(GIVEN).ok().filter(|given| is_commit(given));
    let found = match given {
        Some(given) => Some(shortened(&given)),
        None if is_release => {
            sources(&folder).iter().for_each(|path| println!("cargo::rerun-if-changed={}", path.display()));
            commit(&folder)
        }
        None => None,
    };
    println!("cargo::rustc-env=MACADAM_BUILD={}", build(found.as_deref(), &target, is_release));
}

/// The text in brackets after the version.
pub fn build(commit: Option<&str>, target: &str, is_release: bool) -> String {
    let commit = commit.unwrap_or(if is_release { "commit unknown" } else { "development build" });
    format!("{commit}, {target}")
}

/// The commit that `folder` holds: of its own checkout, marked if files differ from it, or of the
/// package that was unpacked there.
pub fn commit(folder: &Path) -> Option<String> {
    of_checkout(folder).or_else(|| of_package(&std::fs::read_to_string(folder.join(PACKAGED)).ok()?))
}

fn of_checkout(folder: &Path) -> Option<String> {
    // A package that was unpacked inside another project isn't of that project's commit.
    let top = git(folder, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != folder.canonicalize().ok()? {
        return None;
    }
    let commit = git(folder, &["rev-parse", "--verify", "HEAD"]).filter(|commit| is_commit(commit))?;
    let changes = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(format!("{}{}", shortened(&commit), if changes.is_empty() { "" } else { "-modified" }))
}

/// Reads the commit that cargo wrote into a package.
fn of_package(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1).filter(|commit| is_commit(commit))?;
    let is_modified =
        rest.split_once("\"dirty\"").is_some_and(|(_, rest)| rest.trim_start_matches([':', ' ']).starts_with("true"));
    Some(format!("{}{}", shortened(commit), if is_modified { "-modified" } else { "" }))
}

/// Whether a text is a whole commit, of SHA-1 or SHA-256, or at least as much of one as is shown.
fn is_commit(text: &str) -> bool {
    (SHOWN..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn shortened(commit: &str) -> String {
    commit.chars().take(SHOWN).collect()
}

/// The files whose change makes another commit or a modified one.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let named = |name: &str| git(folder, &["rev-parse", "--git-path", name]).map(|path| folder.join(path));
    let branch = git(folder, &["symbolic-ref", "--quiet", "HEAD"]);
    let of_git = [named("HEAD"), named("packed-refs"), branch.as_deref().and_then(named)];
    let of_project = ["Cargo.toml", "Cargo.lock", "src", "migrations", "systemd", PACKAGED];
    // Cargo takes a path that doesn't exist for a change each time.
    of_git.into_iter().flatten().chain(of_project.map(|name| folder.join(name))).filter(|path| path.exists()).collect()
}

/// What git says, in one line; `None` without git, or where it says no.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    // Variables of a hook or of another tool would lead git to another repository.
    let mut command = Command::new("git");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"] {
        command.env_remove(name);
    }
    // A status must not write git's index anew.
    let output = command.env("GIT_OPTIONAL_LOCKS", "0").current_dir(folder).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim_end_matches(['\n', '\r']).to_owned())
}
