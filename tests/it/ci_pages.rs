//! The workflows of docs/ci.md and the steps of action.yml as they stand there: each `run:` block is
//! taken out and run as the runner does, against bare repositories, with the runner's variables.
//!
//! Read next: `ci`, for the machines and the hub.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ci::{Ci, MANIFEST, push};
use super::commit_push::Clone;
use super::support::git::isolated;
use super::support::{Ran, SECRET, png, system};

/// The bash of a step whose workflow names none, and of one that names it.
const BASH: [&str; 4] = ["--noprofile", "--norc", "-eo", "pipefail"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A file that docs/ci.md shows, by the name in its first line.
fn page(name: &str) -> Value {
    let text = read("docs/ci.md");
    let block = text.split("```yaml\n").skip(1).find(|block| block.starts_with(&format!("# {name}\n")));
    let block = block.unwrap_or_else(|| panic!("docs/ci.md shows no {name}")).split("```").next().unwrap();
    serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn upload() -> Value {
    page(".github/workflows/assets.yml")
}

fn pull_request() -> Value {
    page(".github/workflows/assets-check.yml")
}

fn action() -> Value {
    serde_saphyr::from_str(&read("action.yml")).unwrap()
}

/// The steps of the one job of a workflow, or of the action.
fn steps(file: &Value) -> Vec<Value> {
    let job = match file["jobs"].as_object() {
        Some(jobs) => jobs.values().next().unwrap(),
        None => &file["runs"],
    };
    job["steps"].as_array().unwrap().clone()
}

fn named(file: &Value, name: &str) -> Value {
    steps(file).into_iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`"))
}

/// A runner: a machine with nothing but git and Macadam, its variables, and a checkout.
struct Runner<'a> {
    ci: &'a Ci,
    folder: tempfile::TempDir,
    workspace: PathBuf,
    variables: Vec<(String, String)>,
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    system::make_executable(path);
}

impl<'a> Runner<'a> {
    fn new(ci: &'a Ci) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "temp", "tools", "work"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let bin = folder.path().join("bin");
        let macadam = format!(
            "#!/bin/sh\nMACADAM_STAND_IN=1 MACADAM_PUSH_PAUSE=0 exec '{}' \"$@\" --api-url {}\n",
            env!("CARGO_BIN_EXE_macadam"),
            ci.remote.url()
        );
        program(&bin.join("macadam"), &macadam);
        // What can't be had here notes how it was called.
        let log = folder.path().join("calls.txt");
        for name in ["gh", "apt-get", "git-lfs"] {
            program(&bin.join(name), &format!("#!/bin/sh\necho {name} \"$@\" >> '{}'\n", log.display()));
        }
        let cargo = format!(
            "#!/bin/sh\necho cargo \"$@\" >> '{}'\nroot=${{CARGO_INSTALL_ROOT:-}}\nwhile [ $# -gt 0 ]; do\n  [ \"$1\" != --root ] || root=$2\n  shift\ndone\nmkdir -p \"$root/bin\"\ncp '{}' \"$root/bin/macadam\"\n",
            log.display(),
            bin.join("macadam").display()
        );
        program(&bin.join("cargo"), &cargo);
        let workspace = folder.path().join("work/game");
        std::fs::create_dir(&workspace).unwrap();
        Self { ci, folder, workspace, variables: Vec::new() }
    }

    /// A runner of GitHub Actions for a push to main, with the tip of main checked out as
    /// actions/checkout does it.
    fn of_push(ci: &'a Ci) -> Self {
        let mut runner = Self::new(ci);
        runner.on_github("push", "refs/heads/main");
        runner.fetch("+refs/heads/main:refs/remotes/origin/main", &[]);
        runner.git(&["checkout", "-q", "--force", "-B", "main", "refs/remotes/origin/main"]);
        runner
    }

    /// A runner of GitHub Actions for a pull request, at its merge commit.
    fn of_pull_request(ci: &'a Ci) -> Self {
        let mut runner = Self::new(ci);
        runner.on_github("pull_request", "refs/pull/7/merge");
        runner.fetch("+refs/pull/7/merge:refs/remotes/pull/7/merge", &["--depth=1"]);
        runner.git(&["checkout", "-q", "--force", "refs/remotes/pull/7/merge"]);
        runner
    }

    fn on_github(&mut self, event: &str, reference: &str) {
        let temp = self.folder.path().join("temp");
        let file = |name: &str| {
            std::fs::write(temp.join(name), "").unwrap();
            temp.join(name).display().to_string()
        };
        let files = [
            ("GITHUB_STEP_SUMMARY", file("summary")),
            ("GITHUB_OUTPUT", file("output")),
            ("GITHUB_PATH", file("path")),
        ];
        let known = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", event.to_owned()),
            ("GITHUB_REF", reference.to_owned()),
            ("GITHUB_REF_NAME", reference.trim_start_matches("refs/heads/").trim_start_matches("refs/").to_owned()),
            ("GITHUB_REPOSITORY", "owner/game".to_owned()),
            ("GITHUB_WORKSPACE", self.workspace.display().to_string()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_TEMP", temp.display().to_string()),
            ("RUNNER_TOOL_CACHE", self.folder.path().join("tools").display().to_string()),
        ];
        self.variables.extend(known.into_iter().chain(files).map(|(name, value)| (name.to_owned(), value)));
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    fn hub(&self) -> String {
        format!("file://{}", self.ci.hub.folder.path().join("hub.git").display())
    }

    fn fetch(&self, reference: &str, depth: &[&str]) {
        self.git(&["init", "-q", "-b", "master"]);
        self.git(&["remote", "add", "origin", &self.hub()]);
        self.git(&[&["fetch", "-q", "--no-tags"], depth, &["origin", reference]].concat());
    }

    fn git(&self, args: &[&str]) -> String {
        Clone { path: self.workspace.clone() }.git(args)
    }

    /// Without a git identity and without a home.
    fn bash(&self, script: &str, folder: &Path) -> Command {
        let file = self.folder.path().join("temp/script.sh");
        std::fs::write(&file, script).unwrap();
        let mut command = isolated("bash", folder);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("GIT_{who}_NAME")).env_remove(format!("GIT_{who}_EMAIL"));
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()));
        command.env("HOME", self.folder.path()).env("CI", "true").envs(self.variables.iter().cloned());
        command.args(BASH).arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A step with a `run:` block and the variables of its `env`.
    fn step(&self, step: &Value, expressions: &[(&str, &str)]) -> Command {
        let value = |text: &str| {
            let Some(expression) = text.strip_prefix("${{ ").and_then(|text| text.strip_suffix(" }}")) else {
                return text.to_owned();
            };
            let found = expressions.iter().find(|(name, _)| *name == expression);
            found.unwrap_or_else(|| panic!("what is {expression}?")).1.to_owned()
        };
        let folder = step["working-directory"].as_str().map_or_else(String::new, value);
        let mut command = self.bash(step["run"].as_str().unwrap(), &self.workspace.join(folder));
        for (name, text) in step["env"].as_object().into_iter().flatten() {
            command.env(name, value(text.as_str().unwrap()));
        }
        command
    }

    fn run(&self, step: &Value, expressions: &[(&str, &str)]) -> Ran {
        Ran::of(self.step(step, expressions).output().unwrap())
    }

    fn sync(&self) -> Command {
        self.step(&named(&upload(), "sync"), &[("secrets.ROBLOX_API_KEY", SECRET)])
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn summary(&self) -> String {
        self.read("temp/summary")
    }
}

/// Sets the branch of a pull request's merge commit, as GitHub does it.
fn propose(ci: &Ci, change: impl Fn(&Clone)) {
    let author = ci.machine();
    change(&author);
    author.git(&["add", "--all"]);
    author.git(&["commit", "-q", "-m", "proposed"]);
    author.git(&["push", "-q", "origin", "+HEAD:refs/pull/7/merge"]);
}

fn picture(machine: &Clone, name: &str, shade: u8) {
    std::fs::create_dir_all(machine.path.join("ui")).unwrap();
    std::fs::write(machine.path.join("ui").join(name), png(shade)).unwrap();
}

#[test]
fn github_uploads_once_and_a_run_with_nothing_to_do_pushes_nothing() {
    let ci = Ci::new(3);
    let runner = Runner::of_push(&ci);
    let ran = Ran::of(runner.sync().output().unwrap()).expect(0);
    assert!(ran.stderr.contains("pushed to origin/main"), "{}", ran.stderr);
    assert_eq!((ci.creates(), ci.pushed().matches("ui/").count()), (3, 3));
    assert!(runner.summary().starts_with("### ✅ macadam sync --once\n\nDone. 3 assets"), "{}", runner.summary());
    let who =
        isolated("git", &ci.hub.folder.path().join("hub.git")).args(["log", "-1", "--format=%an %ce", "main"]).output();
    let who = String::from_utf8(who.unwrap().stdout).unwrap();
    assert!(who.starts_with("github-actions[bot] 41898282+"), "{who}");

    // The run that waited checks out the tip, and not the commit that it was started for.
    let ran = Ran::of(Runner::of_push(&ci).sync().output().unwrap()).expect(0);
    assert!(!ran.stderr.contains("pushed"), "{}", ran.stderr);
    assert_eq!((ci.creates(), ci.hub.log().len()), (3, 2));
}

#[test]
fn github_pushes_the_lockfile_of_a_run_with_a_failing_asset() {
    let ci = Ci::new(2);
    let author = ci.machine();
    author.write("ui/broken.png", "no picture");
    push(&author, "broken");
    let runner = Runner::of_push(&ci);
    let ran = Ran::of(runner.sync().output().unwrap()).expect(1);
    let annotation = ran.stderr.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(
        annotation.starts_with("::error file=assets.toml,line=5,") && annotation.contains("ui/broken.png"),
        "{annotation}"
    );
    assert!(runner.summary().contains("❌") && runner.summary().contains("ui/broken.png"), "{}", runner.summary());
    assert_eq!((ci.creates(), ci.pushed().matches("ui/").count()), (2, 2));
}

#[test]
fn github_catches_up_with_a_person_who_pushed_first() {
    let ci = Ci::new(1);
    let runner = Runner::of_push(&ci);
    let author = ci.machine();
    author.write("note.txt", "meanwhile\n");
    push(&author, "meanwhile");
    Ran::of(runner.sync().output().unwrap()).expect(0);
    assert_eq!(ci.hub.log(), ["assets: sync", "meanwhile", "first"]);
    assert_eq!(ci.pushed().matches("ui/").count(), 1);
}

#[test]
fn a_cancelled_job_pushes_what_was_uploaded() {
    let ci = Ci::new(2);
    let stuck = json!([{"match": {"endpoint": "create_asset", "nth": [2]}, "action": {"kind": "operation", "outcome": "stuck"}}]);
    ci.remote.control().add_faults(serde_json::from_value(stuck).unwrap()).unwrap();
    let runner = Runner::of_push(&ci);
    let child = runner.sync().spawn().unwrap();
    let begun = Instant::now();
    while ci.creates() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no second upload");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    // The runner sends SIGINT to the process of the step, and kills it 7.5 seconds later.
    let signalled = Instant::now();
    system::send(&child, system::Signal::INT);
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert!(signalled.elapsed() < Duration::from_millis(7500), "{:?}", signalled.elapsed());
    assert!(ran.stderr.contains("pushed to origin/main") && ci.pushed().contains("ui/"), "{}", ran.stderr);
    // The next run follows the upload that was under way.
    ci.remote.control().clear_faults();
    assert_eq!(ci.creates(), 2);
}

#[test]
fn a_pull_request_of_a_fork_is_checked_and_planned_without_a_key() {
    let ci = Ci::new(1);
    propose(&ci, |author| {
        picture(author, "new.png", 9);
        author.write("ui/::error::@all.png", "no picture");
    });
    let before = (ci.hub.log(), ci.remote.all_requests());
    let runner = Runner::of_pull_request(&ci);
    let page = pull_request();
    let checked = runner.run(&named(&page, "check"), &[]).expect(1);
    for line in checked.stdout.lines().chain(checked.stderr.lines()).filter(|line| line.trim_start().starts_with("::"))
    {
        assert!(line.starts_with("::error file=assets.toml,line=5,title=macadam::ui/"), "{line}");
    }
    runner.run(&named(&page, "plan"), &[]);
    let summary = runner.summary();
    for words in ["❌ macadam check", "macadam plan", "ui/new.png", "1 file can't be used"] {
        assert!(summary.contains(words), "{words}: {summary}");
    }
    // Nothing was sent to Roblox, or written to the repository.
    assert_eq!((ci.hub.log(), ci.remote.all_requests()), before);
    assert_eq!(runner.git(&["status", "--porcelain"]), "");
    assert_eq!(runner.read("calls.txt"), "", "no comment");
}

/// Only the sync on main can give a new picture its asset ID.
#[test]
fn a_pull_request_fails_for_no_output_that_the_sync_on_main_writes() {
    let ci = Ci::new(1);
    let with = |path: &str| format!("{MANIFEST}\n[[outputs]]\npath = \"{path}\"\nmissing = \"error\"\n");
    let author = ci.machine();
    author.write("assets.toml", &with("ids.luau"));
    push(&author, "outputs");
    Ran::of(Runner::of_push(&ci).sync().output().unwrap()).expect(0);
    propose(&ci, |author| picture(author, "new.png", 9));
    let check = |code: i32| {
        let runner = Runner::of_pull_request(&ci);
        runner.git(&["fetch", "-q", "--unshallow", "origin", "refs/pull/7/merge"]);
        let of_macadam = |step: &Value| step["run"].as_str().is_some_and(|run| !run.contains("gh "));
        let steps: Vec<Value> = steps(&pull_request()).into_iter().filter(of_macadam).collect();
        let codes = steps.iter().map(|step| runner.run(step, &[]).code);
        assert_eq!(codes.max(), Some(code), "{}", runner.summary());
    };
    check(0);
    // What it can't write fails.
    propose(&ci, |author| {
        author.write("assets.toml", &with("mine.luau"));
        author.write("mine.luau", "return {}\n");
    });
    check(1);
}

/// `gh api` beside the comments of a pull request, in pages as GitHub hands them out. What it is asked
/// to write is in `requests.txt` and `sent.md`.
const GH: &str = r#"#!/bin/sh
set -e
[ "$1" = api ] && shift
method=GET all= filter= body= where=
while [ $# -gt 0 ]; do
    case $1 in
    --paginate) all=yes ;;
    --silent) ;;
    --method) method=$2 && shift ;;
    --jq) filter=$2 && shift ;;
    -F) body=${2#body=@} && shift ;;
    *) where=$1 ;;
    esac
    shift
done
cd "$HOME"
echo "$method $where" >> requests.txt
if [ "$method" != GET ]; then
    cp "$body" sent.md
    exit
fi
for page in page-*.json; do
    jq -r "$filter" "$page"
    [ -n "$all" ] || break
done
"#;

#[test]
fn a_pull_request_of_the_same_repository_gets_the_plan_as_one_comment_beside_those_of_others() {
    let ci = Ci::new(1);
    propose(&ci, |author| picture(author, "new.png", 9));
    let runner = Runner::of_pull_request(&ci);
    program(&runner.folder.path().join("bin/gh"), GH);
    runner.git(&["fetch", "-q", "--unshallow", "origin", "refs/pull/7/merge"]);
    let step = named(&pull_request(), "comment");
    let expressions =
        [("github.token", "t"), ("github.repository", "owner/game"), ("github.event.pull_request.number", "7")];
    let comment = |id: u32, login: &str, body: &str| json!({"id": id, "user": {"login": login}, "body": body});
    let on_page = |page: u32, comments: &[Value]| {
        let path = runner.folder.path().join(format!("page-{page}.json"));
        std::fs::write(path, serde_json::to_string(comments).unwrap()).unwrap();
    };
    let writes = |expected: &str| {
        std::fs::write(runner.folder.path().join("requests.txt"), "").unwrap();
        runner.run(&step, &expressions).expect(0);
        let requests = runner.read("requests.txt");
        assert_eq!(requests.lines().skip(1).collect::<Vec<_>>(), [expected], "{requests}");
        assert_eq!(requests.lines().next(), Some("GET repos/owner/game/issues/7/comments?per_page=100"));
    };
    let others = [
        comment(11, "github-actions[bot]", "<!-- coverage -->\n80 %"),
        comment(12, "stranger", "<!-- macadam plan -->\nmine"),
    ];
    on_page(1, &others);
    on_page(2, &[comment(22, "github-actions[bot]", "see <!-- macadam plan --> above")]);
    writes("POST repos/owner/game/issues/7/comments");
    let sent = runner.read("sent.md");
    assert!(sent.starts_with("<!-- macadam plan -->\n### ✅ macadam plan\n\nPlan: 2 to upload.\n"), "{sent}");
    assert!(sent.contains("ui/new.png") && sent.ends_with('\n'), "{sent}");

    // The next run finds what this one wrote, whatever was commented since, and replaces it.
    on_page(2, &[comment(21, "github-actions[bot]", &sent), comment(22, "github-actions[bot]", "size: 3 MB")]);
    writes("PATCH repos/owner/game/issues/comments/21");

    // A plan that isn't there any more doesn't stay in the comment.
    std::fs::write(runner.workspace.join("assets.toml"), "[creator\n").unwrap();
    writes("PATCH repos/owner/game/issues/comments/21");
    assert!(runner.read("sent.md").contains("### ❌ macadam plan"), "{}", runner.read("sent.md"));
}

#[test]
fn the_action_builds_once_and_runs_the_command() {
    let ci = Ci::new(1);
    let runner = Runner::of_push(&ci);
    let action = action();
    let source = env!("CARGO_MANIFEST_DIR");
    let expressions = [
        ("github.action_path", source),
        ("github.action_ref", "0123456789abcdef0123456789abcdef01234567"),
        ("inputs.run", "sync --once --on-change macadam-commit-push"),
        ("inputs.working-directory", "."),
        ("inputs.api-key || env.ROBLOX_API_KEY", SECRET),
    ];
    let hash = || {
        std::fs::write(runner.folder.path().join("temp/output"), "").unwrap();
        runner.run(&named(&action, "look at the sources"), &expressions).expect(0);
        runner.read("temp/output")
    };
    let first = hash();
    assert!(first.starts_with("hash=") && first.trim_end().len() == 45, "{first}");
    assert_eq!(first, hash());
    runner.run(&named(&action, "build Macadam"), &expressions).expect(0);
    assert!(
        runner.read("calls.txt").starts_with("cargo install --locked --path . --root "),
        "{}",
        runner.read("calls.txt")
    );
    let version = runner.run(&named(&action, "install Macadam"), &expressions).expect(0);
    assert!(version.stdout.starts_with("macadam "), "{}", version.stdout);
    assert_eq!(
        runner.read("temp/path").trim_end(),
        runner.folder.path().join("tools/macadam/bin").display().to_string()
    );
    runner.run(&named(&action, "run Macadam"), &expressions).expect(0);
    assert_eq!((ci.creates(), ci.pushed().matches("ui/").count()), (1, 1));
    // The words of the input are no shell.
    let quiet =
        expressions.map(|(name, value)| (name, if name == "inputs.run" { "check; touch stolen *" } else { value }));
    runner.run(&named(&action, "run Macadam"), &quiet).expect(64);
    assert!(!runner.workspace.join("stolen").exists());
}

/// The variables of a job and of what it extends.
fn gitlab_variables(page: &Value, job: &str) -> Vec<(String, String)> {
    let parts = [&page["variables"], &page[".macadam"]["variables"], &page[job]["variables"]];
    let all = parts.into_iter().filter_map(Value::as_object).flatten();
    // Those that name others are the runner's own, below.
    let plain = all.filter(|(_, value)| !value.as_str().unwrap().contains('$'));
    plain.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// A runner of GitLab: the commit that `reference` points at, and no branch.
fn gitlab<'a>(ci: &'a Ci, page: &Value, job: &str, reference: &str) -> Runner<'a> {
    let mut runner = Runner::new(ci);
    runner.variables = gitlab_variables(page, job);
    let depth = runner.variables.iter().find(|(name, _)| name == "GIT_DEPTH");
    // GitLab's default is 20; 0 is everything.
    let depth = depth.map_or("20", |(_, depth)| depth.as_str());
    let depth: Vec<String> = (depth != "0").then(|| format!("--depth={depth}")).into_iter().collect();
    let depth: Vec<&str> = depth.iter().map(String::as_str).collect();
    runner.fetch(&format!("+{reference}:refs/pipelines/1"), &depth);
    runner.git(&["checkout", "-q", "--detach", "refs/pipelines/1"]);
    runner.set("GITLAB_CI", "true");
    runner.set("CI_PROJECT_DIR", &runner.workspace.display().to_string());
    runner.set("CARGO_INSTALL_ROOT", &runner.workspace.join(".macadam-bin").display().to_string());
    for (name, value) in [("CI_SERVER_HOST", "gitlab.example"), ("CI_PROJECT_PATH", "owner/game"), ("PUSH_TOKEN", "t")]
    {
        runner.set(name, value);
    }
    // The address of the server leads to the hub.
    runner.set("GIT_CONFIG_COUNT", "1");
    runner.set("GIT_CONFIG_KEY_0", &format!("url.{}.insteadOf", runner.hub()));
    runner.set("GIT_CONFIG_VALUE_0", "https://macadam:t@gitlab.example/owner/game.git");
    runner
}

fn gitlab_script(page: &Value, job: &str) -> String {
    let lines = page[".macadam"]["before_script"].as_array().unwrap().iter();
    let lines: Vec<&str> =
        lines.chain(page[job]["script"].as_array().unwrap()).map(|line| line.as_str().unwrap()).collect();
    lines.join("\n")
}

#[test]
fn gitlab_uploads_from_the_tip_of_the_branch_and_pushes() {
    let ci = Ci::new(2);
    let page = page(".gitlab-ci.yml");
    ci.hub_git(&["update-ref", "refs/keep/first", "main"]);
    for run in 0..2 {
        // The second pipeline was made for the first commit too, and waited.
        let mut runner = gitlab(&ci, &page, "assets", "refs/keep/first");
        runner.set("CI_COMMIT_BRANCH", "main");
        runner.set("ROBLOX_API_KEY", SECRET);
        let script = gitlab_script(&page, "assets");
        let ran = Ran::of(runner.bash(&script, &runner.workspace).output().unwrap()).expect(0);
        assert_eq!(ran.stderr.contains("pushed to origin/main"), run == 0, "{}", ran.stderr);
        assert_eq!((ci.creates(), ci.hub.log().len()), (2, 2));
        assert!(runner.read("calls.txt").contains("cargo install --locked --git"), "{}", runner.read("calls.txt"));
    }
}

#[test]
fn gitlab_checks_a_merge_request_without_a_key() {
    let ci = Ci::new(1);
    propose(&ci, |author| author.write("ui/broken.png", "no picture"));
    let page = page(".gitlab-ci.yml");
    let runner = gitlab(&ci, &page, "assets-check", "refs/pull/7/merge");
    let script = gitlab_script(&page, "assets-check");
    let ran = Ran::of(runner.bash(&script, &runner.workspace).output().unwrap()).expect(1);
    assert!(ran.stdout.contains("ui/broken.png"), "{}", ran.stdout);
    assert_eq!((ci.hub.log().len(), ci.remote.all_requests()), (1, 0));
}

/// A clone of 20 commits can't tell a new picture from one whose entry a merge took out.
#[test]
fn gitlab_plans_a_picture_of_an_old_commit_of_the_branch() {
    let ci = Ci::new(1);
    Ran::of(Runner::of_push(&ci).sync().output().unwrap()).expect(0);
    let author = ci.machine();
    picture(&author, "new.png", 9);
    push(&author, "picture");
    for _ in 0..20 {
        author.git(&["commit", "-q", "--allow-empty", "-m", "later"]);
    }
    author.git(&["push", "-q", "origin", "+HEAD:refs/pull/7/merge"]);
    let page = page(".gitlab-ci.yml");
    let runner = gitlab(&ci, &page, "assets-check", "refs/pull/7/merge");
    let ran = Ran::of(runner.bash(&gitlab_script(&page, "assets-check"), &runner.workspace).output().unwrap());
    let ran = ran.expect(0);
    assert!(ran.stdout.contains("Plan: 1 to upload"), "{}", ran.stdout);
}

#[test]
fn the_workflows_queue_and_ask_for_no_more_than_they_need() {
    let (main, pull) = (upload(), pull_request());
    // One group for all branches, of which one alone is uploaded; a job that is skipped takes no place in it.
    let sync = &main["jobs"]["sync"];
    assert_eq!(sync["concurrency"], json!({ "group": "assets", "cancel-in-progress": false }));
    assert_eq!((&sync["if"], &main["concurrency"]), (&json!("github.ref == 'refs/heads/main'"), &Value::Null));
    assert_eq!(main["on"]["push"]["branches"], json!(["main"]));
    assert_eq!(main["permissions"], json!({ "contents": "write" }));
    assert_eq!(pull["permissions"], json!({ "contents": "read", "pull-requests": "write" }));
    assert_eq!(pull["on"], json!({ "pull_request": null }), "never pull_request_target");
    assert!(!pull.to_string().contains("secrets."), "a pull request has no key");
    let checkout = |file: &Value| steps(file).into_iter().next().unwrap()["with"].clone();
    assert_eq!(checkout(&main)["ref"], "${{ github.ref_name }}", "the tip of the branch");
    assert_eq!(checkout(&main)["fetch-depth"], 0, "the lockfile's history");
    assert_eq!((&checkout(&main)["lfs"], &checkout(&pull)["lfs"]), (&json!(true), &json!(true)));
    assert_eq!(checkout(&pull)["persist-credentials"], false);
    let own = named(&pull, "comment")["if"].to_string();
    assert!(own.contains("github.event.pull_request.head.repo.full_name == github.repository"), "{own}");
    let gitlab = page(".gitlab-ci.yml");
    assert_eq!(
        (&gitlab["assets"]["interruptible"], &gitlab["assets"]["resource_group"]),
        (&json!(false), &json!("assets"))
    );
    assert_eq!(gitlab["workflow"]["auto_cancel"]["on_new_commit"], "interruptible");
    // The time of a whole job: that of --timeout, and half an hour to check out and to build.
    assert_eq!((&gitlab["assets"]["timeout"], &sync["timeout-minutes"]), (&json!("90 minutes"), &json!(90)));

    let mut blocks = Vec::new();
    for file in [&main, &pull, &action()] {
        for job in file["jobs"].as_object().into_iter().flat_map(|jobs| jobs.values()) {
            assert!(job["timeout-minutes"].as_u64().is_some());
        }
        for step in steps(file) {
            if let Some(run) = step["run"].as_str() {
                assert!(!run.contains("${{"), "an expression becomes part of the script: {run}");
                blocks.push(step["name"].as_str().unwrap().to_owned());
            }
            if let Some(uses) = step["uses"].as_str().filter(|uses| *uses != "you/macadam@COMMIT") {
                let commit = uses.split(['@', ' ']).nth(1).unwrap();
                assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{uses} is not pinned");
            }
        }
    }
    // Each is run by a test above.
    let tested = ["sync", "check", "plan", "comment"];
    let of_action = ["look at the sources", "build Macadam", "install Macadam", "run Macadam"];
    assert_eq!(blocks, [&tested[..], &of_action].concat());
}
