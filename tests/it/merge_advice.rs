//! The advice about a merge of the lockfile that isn't finished: one text wherever it is told, and
//! whoever follows it has everything.

use std::path::Path;

use serde_json::Value;

use super::branches::Repository;
use super::support::{Ran, git, png};

const LOCKFILE: &str = "assets.lock.toml";

/// A repository in whose lockfile two branches are in conflict, with this `.gitattributes`, and with
/// this merge driver.
fn conflict(attributes: &str, driver: Option<&str>) -> Repository {
    let repository = Repository::new();
    repository.project.write(".gitattributes", attributes);
    repository.commit("attributes");
    repository.branch("one", &[("ui/s1.png", png(11))]);
    repository.branch("two", &[("ui/s2.png", png(12))]);
    if let Some(driver) = driver {
        repository.git(&["config", "merge.macadam.driver", driver]);
    }
    assert_ne!(repository.project.try_git(&["merge", "--quiet", "--no-edit", "one"]).code, 0, "no conflict");
    repository
}

/// The hints of a document's errors and warnings that tell of the lockfile.
fn hints(repository: &Repository, command: &str) -> Vec<String> {
    let (_, document) = repository.project.json(&[command]);
    let all = ["errors", "warnings", "checks"].iter().filter_map(|key| document[key].as_array()).flatten();
    let hints = all.filter_map(|told| told["hint"].as_str().filter(|hint| hint.contains("git add")));
    hints.map(str::to_owned).collect()
}

/// The one hint that every command gives.
#[track_caller]
fn hint(repository: &Repository, commands: &[&str]) -> String {
    let mut told: Vec<String> = commands.iter().flat_map(|command| hints(repository, command)).collect();
    assert_eq!(told.len(), commands.len(), "{told:#?}");
    told.dedup();
    assert_eq!(told.len(), 1, "{told:#?}");
    told.pop().unwrap()
}

/// The words of a command, of which double quotes hold some together.
fn words(command: &str) -> Vec<String> {
    let quoted = command.split('"').enumerate();
    let words = quoted.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// Does what a hint says, where `macadam` is in the path.
fn follow(repository: &Repository, hint: &str) {
    if let Some(line) = hint.split("lacks the line `").nth(1).and_then(|rest| rest.split('`').next()) {
        let before = repository.project.read(".gitattributes");
        repository.project.write(".gitattributes", format!("{before}{line}\n"));
    }
    let program = Path::new(env!("CARGO_BIN_EXE_macadam")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(program.to_owned()).chain(std::env::split_paths(&path))).unwrap();
    for command in hint.split('`').skip(1).step_by(2).filter(|command| command.starts_with("git ")) {
        let mut git = git::isolated("git", repository.project.path());
        git.args(&words(command)[1..]).env("PATH", &path);
        Ran::of(git.output().unwrap()).expect(0);
    }
}

#[track_caller]
fn is_settled(repository: &Repository) {
    let lockfile = repository.project.read(LOCKFILE);
    assert!(lockfile.contains("ui/s1.png") && lockfile.contains("ui/s2.png"), "{lockfile}");
    repository.commit("merged");
    repository.syncs_without_an_upload();
    let (_, document) = repository.project.json(&["doctor"]);
    let checks = document["checks"].as_array().unwrap();
    let of_git: Vec<&Value> = checks.iter().filter(|check| check["check"] == "git").collect();
    assert!(of_git.iter().all(|check| check["result"] == "ok"), "{of_git:#?}");
}

#[test]
fn the_advice_about_conflict_markers_is_the_same_everywhere_and_works() {
    for attributes in ["/assets.lock.toml merge=macadam text eol=lf\n", ""] {
        let repository = conflict(attributes, None);
        assert!(repository.project.read(LOCKFILE).contains("<<<<<<<"));
        let hint = hint(&repository, &["check", "plan", "doctor", "status"]);
        follow(&repository, &hint);
        is_settled(&repository);
    }
}

/// Twice the same advice, or a second one, only makes a reader choose.
#[test]
fn conflict_markers_are_told_once() {
    let repository = conflict("", None);
    for command in ["check", "plan", "status"] {
        let told = repository.project.run(&[command]).expect(3).stderr;
        assert_eq!(told.matches("git checkout --merge").count(), 1, "{command}: {told}");
        assert!(told.contains("git config merge.macadam.driver"), "{command}: {told}");
    }
}

#[test]
fn the_advice_about_a_driver_that_failed_is_the_same_everywhere_and_works() {
    let repository = conflict("/assets.lock.toml merge=macadam text eol=lf\n", Some("no-such-program %O %A %B"));
    assert!(!repository.project.read(LOCKFILE).contains("<<<<<<<"));
    let advice = hint(&repository, &["check", "plan", "doctor", "status"]);
    assert!(advice.contains("git checkout --merge"), "{advice}");
    follow(&repository, &advice);
    is_settled(&repository);
}

#[test]
fn a_merged_lockfile_only_has_to_be_added() {
    let repository = conflict("/assets.lock.toml merge=macadam text eol=lf\n", Some("no-such-program %O %A %B"));
    let driver = format!("'{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
    repository.git(&["config", "merge.macadam.driver", &driver]);
    repository.git(&["checkout", "--merge", "--", LOCKFILE]);
    let advice = hint(&repository, &["check", "plan", "doctor"]);
    assert!(!advice.contains("checkout"), "{advice}");
    follow(&repository, &advice);
    is_settled(&repository);
}
