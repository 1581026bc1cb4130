//! Narrow terminals: no line is cut inside a word by the terminal, and what a person copies stays
//! whole. Without a terminal no line is broken.
//!
//! `MACADAM_COLUMNS` stands in for a terminal of that width. Read next: `src/cli/fit.rs`.

use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

/// A project with an asset of every kind of trouble that a person meets.
fn troubled(remote: &Remote) -> Project {
    let manifest = format!(
        "{GLOBS}\n[assets.sword]\npath = \"sword.rbxmx\"\ndisplay_name = \"A sword whose name is quite a long one\"\n\n\
         [policy]\nremoved = \"archive\"\narchive_after = \"7d\"\n"
    );
    let project = Project::new(&manifest).at(&remote.url());
    for (name, shade) in [("ui/hud/buttons/close.png", 1), ("ui/hud/buttons/close_hover.png", 2), ("ui/coin.png", 3)] {
        project.write(name, png(shade));
    }
    project.write("sword.rbxmx", rbxmx("one"));
    project.sync();
    project.write("sword.rbxmx", rbxmx("two"));
    project.sync();
    project.remove("ui/coin.png");
    project.write("ui/hud/buttons/close.png", "no picture");
    project.write("ui/hud/buttons/close_hover.png", png(4));
    project.write(
        "assets.toml",
        manifest
            .replace("A sword", "A bigger sword")
            .replace("[assets.sword]", "[assets.gone]\npath = \"models/nowhere.rbxmx\"\n\n[assets.sword]"),
    );
    project
}

fn at(project: &Project, columns: Option<usize>, args: &[&str]) -> String {
    let mut command = project.command(args);
    if let Some(columns) = columns {
        command.env("MACADAM_COLUMNS", columns.to_string()).env("COLUMNS", columns.to_string());
    }
    let Ran { stdout, stderr, .. } = Ran::of(command.output().unwrap());
    format!("{stdout}{stderr}")
}

/// The words of a text, whatever stands between them.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[track_caller]
fn check(args: &[&str], whole: &str, fitted: &str, columns: usize) {
    let told = format!("{args:?} at {columns} columns\n{fitted}");
    assert_eq!(words(fitted), words(whole), "{told}");
    for line in fitted.lines().filter(|line| line.chars().count() > columns) {
        // Only what is wider than the terminal by itself, and is copied whole: at the edge, alone.
        let is_whole = line.starts_with('`') || !line.trim().contains(' ');
        assert!(is_whole && !line.starts_with(' '), "{line:?} in {told}");
    }
}

#[test]
fn no_line_is_cut_inside_a_word_at_40_and_at_80_columns() {
    let remote = Remote::start();
    let project = troubled(&remote);
    let commands: [&[&str]; 6] = [
        &["check"],
        &["status"],
        &["history", "ui/hud/buttons/close_hover.png"],
        &["status", "nobody"],
        &["resolve", "sword", "--recreate"],
        &["open", "sword", "ui/hud/buttons/close_hover.png"],
    ];
    for args in commands {
        let whole = at(&project, None, args);
        for columns in [40, 80] {
            // A table that is too wide shows asset IDs as numbers.
            let plain = |text: &str| text.replace("rbxassetid://", "");
            check(args, &plain(&whole), &plain(&at(&project, Some(columns), args)), columns);
        }
    }
    // A row of a table is one line where there is room.
    let history = at(&project, Some(80), &["history", "sword"]);
    assert!(history.lines().any(|line| line.contains("updated") && line.ends_with("current")), "{history}");
    // Values are cut to fit; all other lines are as above.
    for columns in [40, 80] {
        let plan = at(&project, Some(columns), &["plan"]);
        for line in plan.lines() {
            assert!(line.chars().count() <= columns || line.starts_with('`'), "{line:?} in\n{plan}");
        }
    }
}

#[test]
fn a_mistake_in_a_manifest_is_shown_within_the_terminal() {
    let project = Project::new(
        "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"models/weapons/swords/of/the/old/kingdom/sword.rbxmx\"\n\
         description = \"A sword that is so well described that its line is wide\"; # why\nicon = \"nobody\"\n",
    );
    project.write("sword.rbxmx", rbxmx("one"));
    for columns in [40, 80] {
        let shown = at(&project, Some(columns), &["check"]);
        assert!(shown.contains("error") && shown.contains("hint"), "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= columns, "{line:?} in\n{shown}");
        }
    }
}

#[test]
fn every_help_and_wrong_usage_fits_into_40_columns() {
    let project = Project::new("");
    for args in [&["plan", "sword"][..], &["upload"], &["sync", "--locked"], &["init"], &["init"]] {
        let fitted = at(&project, Some(40), args);
        assert!(!fitted.is_empty());
        for line in fitted.lines().filter(|line| line.chars().count() > 40) {
            // Commands to copy.
            assert!(
                ["     git add ", "     macadam ", "  git config ", "`macadam "]
                    .iter()
                    .any(|start| line.starts_with(start)),
                "{line:?} in\n{fitted}"
            );
        }
    }
    for command in ["sync", "pin", "import", "completions", "emulator"] {
        let help = at(&project, Some(40), &[command, "--help"]);
        let example = help.find("Example:").unwrap();
        for line in help[..example].lines().filter(|line| line.chars().count() > 40) {
            assert!(!line.trim().contains(' '), "{line:?} in\n{help}");
        }
    }
}

#[test]
fn a_rehearsal_marks_each_line_within_the_terminal() {
    let project = Project::new(&format!("{GLOBS}\n[assets.gone]\npath = \"models/nowhere.rbxmx\"\n"));
    project.write("ui/close.png", png(1));
    for args in [&["plan", "--emulator"][..], &["sync", "--once", "--emulator"]] {
        let shown = at(&project, Some(40), args);
        for line in shown.lines().filter(|line| !line.is_empty()) {
            let rest = line.strip_prefix("[rehearsal] ").unwrap();
            // An emulated asset ID is wider than what is left beside the mark.
            assert!(line.chars().count() <= 40 || !rest.contains(' '), "{line:?} in\n{shown}");
        }
    }
}
