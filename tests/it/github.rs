//! What GitHub Actions shows of a run: annotations at lines of the manifest and the job's summary,
//! whatever names and messages say; and progress where no terminal is.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::support::{Project, Ran, Remote, png};

/// Its glob is in line 5.
const UI: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n";

/// The most that GitHub takes of a summary.
const LIMIT: usize = 1024 * 1024;

/// The program as a step of a job runs it.
fn step(project: &Project, args: &[&str]) -> Command {
    let summary = project.file("summary.md");
    if !summary.exists() {
        std::fs::write(&summary, "").unwrap();
    }
    let mut command = project.command(args);
    command.env("CI", "true").env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", summary);
    command.env("GITHUB_WORKSPACE", project.path());
    command
}

fn run(project: &Project, args: &[&str]) -> Ran {
    Ran::of(step(project, args).output().unwrap())
}

/// The log commands of a step: what the runner would carry out.
fn commands(ran: &Ran) -> Vec<&str> {
    ran.stdout.lines().chain(ran.stderr.lines()).filter(|line| line.trim_start().starts_with("::")).collect()
}

/// A project in a folder of the repository, with two files that can't be used.
fn broken() -> Project {
    let project = Project::new("");
    project.remove("assets.toml");
    project.write("game/assets.toml", format!("{UI}\n[assets.sword]\npath = \"sword.rbxmx\"\n"));
    project.write("game/ui/good.png", png(1));
    project.write("game/ui/bad.png", "no picture");
    project
}

#[test]
fn files_that_can_not_be_used_are_annotated_at_their_lines_of_the_manifest() {
    let project = broken();
    let manifest = ["--manifest", "game/assets.toml"];
    for (args, code) in [(&["check"][..], 1), (&["plan"], -1)] {
        project.write("summary.md", "");
        let ran = run(&project, &[args, &manifest].concat());
        assert!(code < 0 || ran.code == code, "{}", ran.stderr);
        let commands = commands(&ran);
        assert_eq!(commands.len(), 2, "{args:?}: {commands:?}");
        assert!(commands[0].starts_with("::error file=game/assets.toml,line="), "{commands:?}");
        let of = |word: &str| *commands.iter().find(|command| command.contains(word)).unwrap();
        assert!(of("sword").contains(",line=7,"), "{commands:?}");
        assert!(of("ui/bad.png").contains(",line=5,"), "{commands:?}");
        let summary = project.read("summary.md");
        assert!(summary.contains(&format!("macadam {}", args[0])) && summary.contains("bad.png"), "{summary}");
        assert!(summary.contains("```text\n") && !summary.contains('\u{1b}'), "{summary}");
    }
    // A mistake in the manifest, with its own line.
    project.write("game/assets.toml", "[creator]\nuser_id = 1\n\n[globs.ui]\npaht = \"x\"\n");
    let ran = run(&project, &[&["check"][..], &manifest].concat()).expect(3);
    let commands = commands(&ran);
    assert!(
        commands.iter().any(|command| command.starts_with("::error file=game/assets.toml,line=5,col=1,")),
        "{commands:?}"
    );
}

#[test]
fn annotations_are_nine_at_most_and_say_how_many_more_there_are() {
    let project = Project::new(UI);
    (0..30).for_each(|n| project.write(&format!("ui/{n}.png"), "no picture"));
    let ran = run(&project, &["check"]).expect(1);
    let commands = commands(&ran);
    assert_eq!(commands.len(), 10, "{commands:?}");
    assert!(commands[9].contains("21 more errors"), "{commands:?}");
    assert_eq!(project.read("summary.md").matches("ui/").count(), 30, "the summary has all");
}

#[test]
fn a_failed_sync_is_annotated_and_its_summary_says_what_was_done() {
    let remote = Remote::start();
    let project = Project::new(UI).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(2));
    let body = json!({"code": "INVALID_ARGUMENT", "message": "50%\n::set-output name=x::y"}).to_string();
    let reply = json!({"kind": "reply", "status": 400, "body": body});
    let refuse = json!([{"match": {"endpoint": "create_asset", "nth": [1]}, "action": reply}]);
    let faults = serde_json::from_value(refuse);
    remote.control().add_faults(faults.unwrap()).unwrap();
    let ran = run(&project, &["sync", "--once", "--uploads", "1"]).expect(1);
    let commands = commands(&ran);
    assert_eq!(commands.len(), 1, "{commands:?}\n{}", ran.stdout);
    assert!(commands[0].starts_with("::error file=assets.toml,line=5,title=macadam::ui/"), "{commands:?}");
    assert!(commands[0].contains("50%25"), "{commands:?}");
    let summary = project.read("summary.md");
    assert!(summary.starts_with("### ❌ macadam sync --once (exit code 1)\n\nNot finished: "), "{summary}");
    assert!(summary.contains("uploaded        ui/"), "{summary}");
}

#[test]
fn names_of_strangers_give_no_log_command_and_leave_no_fence() {
    let names =
        ["::add-mask::x", "::set-output name=a::b", "a%0A::error::b", "```", "@everyone", "</details>", "a\u{202e}b"];
    let mut manifest = "[creator]\nuser_id = 1\n".to_owned();
    for (number, name) in names.iter().enumerate() {
        manifest += &format!("[assets.\"{name}\"]\npath = \"{number}.png\"\n");
    }
    let project = Project::new(&manifest);
    for number in 0..names.len() / 2 {
        project.write(&format!("{number}.png"), png(number as u8));
    }
    for args in [&["check"][..], &["plan"], &["sync", "--once", "--emulator"]] {
        project.write("summary.md", "");
        let ran = run(&project, args);
        for command in commands(&ran) {
            let (head, message) = command.split_once("title=macadam::").unwrap();
            assert!(head.starts_with("::error file=assets.toml,line=") || head.starts_with("::warning "), "{command}");
            assert!(!message.contains("%0A::"), "{command}");
        }
        assert!(!ran.stdout.contains('\u{202e}') && !ran.stderr.contains('\u{202e}'));
        let summary = project.read("summary.md");
        let (open, rest) = summary.split_once("text\n").unwrap();
        let fence = open.lines().last().unwrap();
        assert!(fence.len() >= 3 && fence.bytes().all(|byte| byte == b'`'), "{summary}");
        let after = rest.split_once(&format!("\n{fence}\n")).unwrap().1;
        assert_eq!(after.trim(), "", "{summary}");
    }
}

#[test]
fn a_summary_keeps_the_limit_of_its_step() {
    let project = broken();
    let args = ["check", "--manifest", "game/assets.toml"];
    for taken in [0, LIMIT - 150, LIMIT - 10, LIMIT] {
        project.write("summary.md", "x".repeat(taken));
        run(&project, &args).expect(1);
        let length = std::fs::metadata(project.file("summary.md")).unwrap().len();
        assert!(length as usize <= LIMIT && (taken > 0 || length > 100), "{taken}: {length}");
    }
    // A summary that can't be written is no failure of the check.
    let mut command = step(&project, &args);
    let ran = Ran::of(command.env("GITHUB_STEP_SUMMARY", "/nowhere/summary.md").output().unwrap()).expect(1);
    assert!(ran.stderr.contains("couldn't write the job summary"), "{}", ran.stderr);
}

#[test]
fn annotations_come_only_where_they_are_wanted() {
    let project = broken();
    let args = ["check", "--manifest", "game/assets.toml"];
    let count = |project: &Project, more: &[&str]| {
        project.write("summary.md", "");
        let found = commands(&run(project, &[&args[..], more].concat())).len();
        (found, project.read("summary.md").is_empty())
    };
    assert_eq!(count(&project, &[]), (2, false));
    assert_eq!(count(&project, &["--format", "text"]), (0, true));
    assert_eq!(count(&project, &["--json"]), (0, true));
    assert_eq!(commands(&project.run(&args)), Vec::<&str>::new(), "not on a person's machine");
    assert_eq!(commands(&project.run(&[&args[..], &["--format", "github"]].concat())).len(), 2);
    project.run(&[&args[..], &["--format", "github", "--json"]].concat()).expect(64);
    project.run(&[&args[..], &["--format", "markdown"]].concat()).expect(64);
}

#[test]
fn a_plan_in_markdown_is_a_comment() {
    let project = Project::new(UI);
    project.write("ui/a.png", png(1));
    let ran = run(&project, &["plan", "--format", "markdown"]).expect(0);
    assert!(ran.stdout.starts_with("### ✅ macadam plan\n\nPlan: 1 to upload.\n\n```text\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("ui/a.png") && ran.stdout.trim_end().ends_with("```"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
    (0..3000).for_each(|n| project.write(&format!("ui/a-rather-long-name-of-a-file/{n}.png"), png((n % 250) as u8)));
    let ran = run(&project, &["plan", "-v", "--format", "markdown"]);
    assert!(ran.stdout.len() < 65_536 && ran.stdout.contains("more lines are in the log"), "{}", ran.stdout.len());
}

/// A green tick stood over a plan that fails the sync on main.
#[test]
fn a_plan_with_assets_on_hold_warns_in_markdown_and_names_its_manifest() {
    let remote = Remote::start();
    let project = Project::new(UI).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    project.write("assets.toml", UI.replace("user_id = 1", "user_id = 2"));
    let ran = run(&project, &["plan", "--format", "markdown"]).expect(0);
    let head = "### ⚠️ macadam plan\n\nPlan: 1 on hold.\n\nA sync fails while assets are on hold or rejected.\n\n";
    assert!(ran.stdout.starts_with(head), "{}", ran.stdout);
    let locked = project.run(&["sync", "--once", "--locked"]).expect(1);
    assert!(locked.stderr.contains("a sync fails while 1 asset is on hold or rejected"), "{}", locked.stderr);
    project.write("dev.toml", UI);
    let ran = run(&project, &["plan", "--manifest", "dev.toml", "--format", "markdown"]);
    assert!(ran.stdout.contains(" macadam plan --manifest dev.toml"), "{}", ran.stdout);
}

#[test]
fn a_long_run_prints_progress_where_no_terminal_is() {
    let remote = Remote::start();
    let mut project = Project::new(UI).at(&remote.url());
    project.set_env("MACADAM_PROGRESS", "100");
    project.write("ui/a.png", png(1));
    let stuck = json!([{"match": {"endpoint": "create_asset"}, "action": {"kind": "operation", "outcome": "stuck"}}]);
    remote.control().add_faults(serde_json::from_value(stuck).unwrap()).unwrap();
    let ran = project.run(&["sync", "--once", "--timeout", "1s"]).expect(1);
    let lines = |ran: &Ran| ran.stderr.lines().filter(|line| line.contains("0 of 1 done")).count();
    assert!(lines(&ran) > 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains("0 of 1 done"), "{}", ran.stderr);
    let quiet = project.run(&["sync", "--once", "--timeout", "1s", "--quiet"]).expect(1);
    assert_eq!(lines(&quiet), 0, "{}", quiet.stderr);
    assert!(Path::new(&project.file("assets.lock.toml")).exists());
    // The names of files on their way.
    remote.control().clear_faults();
    project.write("ui/b.png", png(2));
    let slow = json!([{"match": {"endpoint": "create_asset"}, "action": {"kind": "delay", "before_reply_ms": 400}}]);
    remote.control().add_faults(serde_json::from_value(slow).unwrap()).unwrap();
    let ran = project.run(&["sync", "--once", "--timeout", "2s"]);
    assert!(ran.stderr.contains("uploading ui/b.png"), "{}", ran.stderr);
}
