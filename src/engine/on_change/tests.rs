//! The command as a real shell runs it.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "looks at what the command wrote")]

use super::*;

use std::fs;
use std::path::Path;

const LIMITS: TimeLimits =
    TimeLimits { run: Duration::from_secs(60), grace: Duration::from_secs(20), last: Duration::from_secs(20) };

struct CommandFixture {
    folder: tempfile::TempDir,
}

impl CommandFixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, command: &str, limits: TimeLimits) -> OnChange {
        fs::write(self.path("assets.toml"), "").unwrap();
        let project = Project::find(Some(Path::new("assets.toml")), None, self.folder.path()).unwrap();
        OnChange::with(
            CommandSettings { command: command.to_owned(), project, hidden: vec!["CARGO".to_owned()] },
            limits,
        )
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    async fn until(&self, what: &str, mut reached: impl FnMut() -> bool) {
        let begun = clock::elapsed();
        while !reached() {
            assert!(clock::elapsed() - begun < Duration::from_secs(120), "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn the_command_gets_the_changed_paths_and_no_secret() {
    let bench = CommandFixture::new();
    let on_change = bench.start("pwd -P >> out; printf '%s\\n' \"$MACADAM_CHANGED\" >> out; env > env", LIMITS);
    on_change.changed([bench.path("b c.luau"), bench.path("assets.lock.toml"), bench.path("b c.luau")]);
    assert!(on_change.finish(Duration::from_secs(60)).await);
    let (folder, real) = (bench.folder.path().display(), fs::canonicalize(bench.folder.path()).unwrap());
    assert_eq!(bench.read("out"), format!("{}\n{folder}/assets.lock.toml\n{folder}/b c.luau\n", real.display()));
    let env = bench.read("env");
    assert!(env.contains(&format!("MACADAM_MANIFEST={folder}/assets.toml\n")), "{env}");
    assert!(env.contains(&format!("MACADAM_LOCKFILE={folder}/assets.lock.toml\n")), "{env}");
    // cargo sets this variable for tests; here it stands for one that the project hides.
    assert!(env.contains("PATH=") && !env.lines().any(|line| line.starts_with("CARGO=")), "{env}");
    let hidden = environment(
        &CommandSettings {
            command: String::new(),
            project: Project::find(Some(Path::new("assets.toml")), None, bench.folder.path()).unwrap(),
            hidden: Vec::new(),
        },
        &[],
        None,
    )
    .without;
    for name in ["ROBLOX_API_KEY", "ROBLOX_OAUTH_TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"] {
        assert!(hidden.iter().any(|hidden| hidden == name), "{name}");
    }
}

#[tokio::test]
async fn changes_during_a_run_cause_one_more_run() {
    let bench = CommandFixture::new();
    let on_change = bench.start("echo begun >> out; while [ ! -e go ]; do sleep 0.02; done; echo ended >> out", LIMITS);
    on_change.changed([bench.path("a")]);
    bench.until("begun", || bench.read("out") == "begun\n").await;
    assert!(on_change.is_running());
    for _ in 0..5 {
        on_change.changed([bench.path("b")]);
    }
    fs::write(bench.path("go"), "").unwrap();
    bench.until("two runs", || on_change.counts() == Counts { succeeded: 2, failed: 0 }).await;
    assert!(on_change.finish(Duration::from_secs(60)).await);
    assert_eq!(bench.read("out"), "begun\nended\nbegun\nended\n");
}

/// `macadam-commit-push` would commit and push the file whose name is a line of it.
#[tokio::test]
async fn a_path_with_a_line_break_is_no_two_paths() {
    let bench = CommandFixture::new();
    let on_change = bench.start("echo ran >> out", LIMITS);
    on_change.changed([bench.path("notes.txt\nids.json")]);
    assert!(!on_change.finish(Duration::from_secs(60)).await);
    assert_eq!(bench.read("out"), "");
}

#[tokio::test]
async fn a_failure_is_counted_and_retried_once_at_shutdown() {
    let bench = CommandFixture::new();
    let on_change = bench.start("echo \"$MACADAM_CHANGED\" >> out; exit 3", LIMITS);
    on_change.changed([bench.path("a")]);
    bench.until("failed", || on_change.counts() == Counts { succeeded: 0, failed: 1 }).await;
    assert!(!on_change.is_running());
    assert!(!on_change.finish(Duration::from_secs(60)).await);
    assert_eq!(bench.read("out").lines().count(), 2, "{}", bench.read("out"));
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let bench = CommandFixture::new();
    // The child ignores SIGTERM and would write for ever.
    let child = "trap '' TERM; while :; do date +%N > alive; sleep 0.02; done";
    let command = format!("sh -c \"{child}\" & echo $! > pid; wait");
    let limits = TimeLimits { run: Duration::from_secs(2), grace: Duration::from_millis(200), ..LIMITS };
    let on_change = bench.start(&command, limits);
    on_change.changed([bench.path("a")]);
    bench.until("ended", || on_change.counts() == Counts { succeeded: 0, failed: 1 }).await;
    assert!(!bench.read("pid").is_empty(), "it ran");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = bench.read("alive");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.read("alive"), before, "the child lives on");
}

#[tokio::test]
async fn shutdown_ends_a_running_command() {
    let bench = CommandFixture::new();
    let on_change =
        bench.start("trap 'echo asked >> out; exit 1' TERM; echo up > up; while :; do sleep 0.02; done", LIMITS);
    on_change.changed([bench.path("a")]);
    bench.until("up", || bench.path("up").exists()).await;
    assert!(!on_change.finish(Duration::from_millis(20_200)).await);
    assert_eq!(bench.read("out"), "asked\n");
}

/// The shell that started it ends at once.
#[tokio::test]
async fn a_script_of_the_command_gets_the_time_to_take_back_what_it_began() {
    let bench = CommandFixture::new();
    let script = "trap 'sleep 0.3; echo taken back >> out; exit 1' TERM; echo up > up; while :; do sleep 0.02; done";
    let on_change = bench.start(&format!("sh -c \"{script}\"; true"), LIMITS);
    on_change.changed([bench.path("a")]);
    bench.until("up", || bench.path("up").exists()).await;
    assert!(!on_change.finish(Duration::from_millis(20_200)).await);
    assert_eq!(bench.read("out"), "taken back\n");
}

#[tokio::test]
async fn a_command_that_cant_be_started_is_a_failure() {
    let bench = CommandFixture::new();
    let on_change = bench.start("exit 0", LIMITS);
    fs::remove_file(bench.path("assets.toml")).unwrap();
    fs::remove_dir(bench.folder.path()).unwrap();
    on_change.changed([bench.path("a")]);
    bench.until("failed", || on_change.counts().failed == 1).await;
}
