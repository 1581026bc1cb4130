//! The log of the real program on standard error, by reader.

use macadam::emulator::{Config, LatencyModel};

use super::service::{Service, start};
use super::support::{GLOBS, Project, Ran, Remote, png, system};

/// The lines about the one asset, of a run with standard error in a file that `JOURNAL_STREAM`
/// names rightly, or not.
fn logged_to_a_file(project: &Project, journal: bool, format: &str) -> Vec<String> {
    let path = project.file("log");
    let file = std::fs::File::create(&path).unwrap();
    let (device, inode) = system::identity_of(&file.metadata().unwrap());
    let named = format!("{device}:{}", inode + u64::from(!journal));
    let mut command = project.command(&["-v", "--log-format", format, "sync", "--once"]);
    let status = command.env("JOURNAL_STREAM", named).stderr(file).output().unwrap().status;
    let text = project.read("log");
    assert!(status.success(), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    text.lines().filter(|line| line.contains("ui/a.png")).map(str::to_owned).collect()
}

#[test]
#[cfg_attr(windows, ignore = "no journal")]
fn a_pipe_gets_no_escape_codes_and_the_journal_priorities() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    let piped = Ran::of(project.command(&["-v", "sync", "--once"]).output().unwrap()).expect(0).stderr;
    assert!(piped.contains("ui/a.png") && !piped.contains('\u{1b}'), "{piped:?}");

    let with_priority = |line: &String| line.starts_with("<6> INFO ");
    project.write("ui/a.png", png(2));
    let journal = logged_to_a_file(&project, true, "text");
    assert!(!journal.is_empty() && journal.iter().all(with_priority), "{journal:?}");
    project.write("ui/a.png", png(3));
    let other = logged_to_a_file(&project, false, "text");
    assert!(!other.is_empty() && !other.iter().any(with_priority), "inherited, but redirected since: {other:?}");
    project.write("ui/a.png", png(4));
    let json = logged_to_a_file(&project, true, "json");
    assert!(!json.is_empty() && json.iter().all(|line| line.starts_with("<6>{")), "{json:?}");
}

/// As `sync --once` says it.
#[test]
fn an_upload_that_ends_after_a_restart_is_called_finished() {
    let (remote, project) = start(Config::default());
    remote.control().set_latency(LatencyModel::Fixed(1_500));
    let mut service = Service::start(&project, &[]);
    service.until("both are accepted", || remote.control().operations().len() == 2);
    service.until("that is written down", || service.state_of("ui/a.png") == "in_progress");
    service.kill();
    let service = Service::start(&project, &[]);
    service.says("finished address=ui/a.png");
    service.says("all 2 assets are up to date");
    let log = service.end();
    assert!(!log.contains("\"wait\""), "{log}");
    assert_eq!(log.matches("up to date").count(), 1, "{log}");
}

#[test]
fn the_service_tells_what_moved_from_where_what_it_wrote_and_when_it_is_done() {
    let (_remote, project) = start(Config::default());
    let manifest = project.read("assets.toml");
    project.write("assets.toml", format!("{manifest}\n[[outputs]]\npath = \"ids.json\"\n"));
    let service = Service::start(&project, &[]);
    service.says("wrote the asset IDs into ids.json");
    service.until("it is done", || service.log().matches("all 2 assets are up to date").count() == 1);
    std::fs::rename(project.file("ui/a.png"), project.file("ui/b.png")).unwrap();
    service.says("moved address=ui/b.png outcome=\"done\" from=\"ui/a.png\"");
    service.until("it is done again", || service.log().matches("all 2 assets are up to date").count() == 2);
    service.end();
}

/// However many files follow the first one.
#[test]
fn files_that_are_not_in_git_are_told_once() {
    let (_remote, project) = start(Config::default());
    project.git(&["init", "-q"]);
    project.git(&["add", "assets.toml", "ui", "models"]);
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    for (name, shade) in [("ui/b.png", 2), ("ui/c.png", 3)] {
        project.write(name, png(shade));
        service.until_synced(name);
    }
    assert_eq!(service.log().matches("not in git").count(), 1, "{}", service.log());
    service.end();
}

/// A collector of logs finds the reason for a restart.
#[test]
fn json_also_says_why_and_how_the_service_ended() {
    let (_remote, project) = start(Config::default());
    let ends = |command: &mut std::process::Command| {
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.stdout, "");
        let lines: Vec<serde_json::Value> =
            ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
        (ran.code, lines.last().unwrap().clone())
    };
    let json = ["--log-format", "json", "sync"];
    let (code, last) = ends(project.command(&json).env_remove("ROBLOX_API_KEY"));
    assert_eq!((code, &last["level"], &last["message"]), (4, &"ERROR".into(), &"no API key".into()), "{last:#}");
    assert!(last["hint"].is_string() && last["timestamp"].is_string(), "{last:#}");
    let service = Service::start(&project, &["--log-format", "json"]);
    service.says("all 2 assets are up to date");
    let log = service.end();
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&last["level"], &last["message"]), (&"INFO".into(), &"stopped".into()), "{log}");
    project.write("assets.toml", "[creator]\nuser = 1\n");
    let (code, last) = ends(&mut project.command(&json));
    assert_eq!((code, &last["file"], &last["line"]), (3, &"assets.toml".into(), &2.into()), "{last:#}");
}
