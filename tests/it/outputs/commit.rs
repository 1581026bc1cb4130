//! `--on-change macadam-commit-push` takes the outputs along.

use super::LUAU;
use crate::ci::{Ci, MANIFEST, push};

const ON_CHANGE: [&str; 4] = ["sync", "--once", "--on-change", "macadam-commit-push"];

#[test]
fn outputs_are_committed_with_the_lockfile_and_files_of_others_are_not() {
    let ci = Ci::new(2);
    let author = ci.machine();
    let outputs = format!("[[outputs]]\npath = \"{LUAU}\"\n[[outputs]]\npath = \"mine.json\"\n");
    author.write("assets.toml", &format!("{MANIFEST}{outputs}"));
    push(&author, "outputs");
    let machine = ci.machine();
    machine.write("mine.json", "{}\n");
    ci.run(&machine, &ON_CHANGE).expect(1);
    let pushed = ci.hub.show(LUAU);
    assert_eq!((pushed.as_str(), pushed.matches("rbxassetid://").count()), (machine.read(LUAU).as_str(), 2));
    assert_eq!(ci.hub.show("mine.json"), "");
    assert_eq!(ci.hub.log(), ["assets: sync", "outputs", "first"]);

    // The lockfile says all, and only an output is missing.
    let other = ci.machine();
    std::fs::remove_file(other.path.join(LUAU)).unwrap();
    ci.run(&other, &ON_CHANGE).expect(0);
    assert_eq!(other.git(&["status", "--porcelain", "--untracked-files=no"]), "");
    assert!(ci.hub.show("mine.json").contains("rbxassetid://"), "a new output is committed as well");
    assert_eq!(ci.creates(), 2);
}
