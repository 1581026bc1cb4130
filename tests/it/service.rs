//! The service as systemd runs it: the real program against the emulator, from the first look to
//! SIGTERM. Tests wait for what has to come, never for a time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use macadam::emulator::{
    ApiEndpoint, AssetReport, Config, EmulatedKey, FaultAction, FaultRule, ForeignEdit, Point, Principal,
};

use super::beside::in_doubt;
use super::support::system::{Signal, send};
use super::support::{Project, Remote, SECRET, png, rbxmx};

/// The longest wait for an event; later it never comes.
const NEVER: Duration = Duration::from_secs(90);

const MANIFEST: &str = "\
[creator]
user_id = 1

[globs.ui]
path = \"ui/*.png\"

[globs.models]
path = \"models/*.rbxmx\"
";

/// A running `macadam sync`.
pub struct Service<'a> {
    project: &'a Project,
    child: Child,
}

impl<'a> Service<'a> {
    pub fn start(project: &'a Project, args: &[&str]) -> Self {
        let log = std::fs::File::create(project.file("log.txt")).unwrap();
        let mut command = project.command(&[&["sync"], args].concat());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let service = Self { project, child };
        // Not the end of "already".
        service.until("ready", || [" ready", "\"ready\""].iter().any(|word| service.log().contains(word)));
        service
    }

    pub fn log(&self) -> String {
        let log = self.project.read("log.txt");
        assert!(!log.contains(SECRET), "the key was printed");
        log
    }

    pub fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        self.until_with(what, &[], holds);
    }

    /// The same, with these logs of the project in the failure.
    pub fn until_with(&self, what: &str, logs: &[&str], mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            let others = || logs.iter().map(|log| format!("\n{log}:\n{}", self.project.read(log))).collect::<String>();
            assert!(began.elapsed() < NEVER, "never came: {what}\n{}{}", self.log(), others());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn says(&self, text: &str) {
        self.until(text, || self.log().contains(text));
    }

    pub fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in order.
    pub fn end(mut self) -> String {
        self.signal(Signal::TERM);
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "{}", self.log());
                return self.log();
            }
            assert!(began.elapsed() < NEVER, "it does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it by signals that don't wait for it; returns its exit code and its log.
    fn end_at_once(mut self) -> (Option<i32>, String) {
        let began = Instant::now();
        loop {
            self.signal(Signal::TERM);
            std::thread::sleep(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.log());
            }
            assert!(began.elapsed() < NEVER, "it does not end\n{}", self.log());
        }
    }

    pub fn state_of(&self, address: &str) -> String {
        let (_, document) = self.project.json(&["status"]);
        let rows = document["assets"].as_array().unwrap();
        let row = rows.iter().find(|row| row["address"] == address);
        row.map(|row| row["state"].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub fn until_synced(&self, address: &str) {
        self.until(&format!("{address} is synced"), || self.state_of(address) == "synced");
    }

    /// Where `--listen` is, from the log.
    pub fn address(&self) -> String {
        self.says("listening on http://");
        let log = self.log();
        let (_, rest) = log.split_once("listening on http://").unwrap();
        rest.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect()
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (code, answer)
}

/// A picture and a model, and a remote that shows operations at once.
pub fn start(config: Config) -> (Remote, Project) {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let remote = Remote::with(Config { switches, ..config });
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("models/sword.rbxmx", rbxmx("sword"));
    (remote, project)
}

#[test]
fn a_changed_file_reaches_roblox_without_another_command() {
    let (remote, project) = start(Config::default());
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    let assets = remote.assets().len();

    // A new file, a changed model, a moved file: one create, one update in place, none.
    project.write("ui/b.png", png(2));
    project.write("models/sword.rbxmx", rbxmx("a longer sword"));
    service
        .until("the model's second revision", || remote.assets().iter().any(|report| report.asset.versions.len() == 2));
    service.until_synced("ui/b.png");
    std::fs::rename(project.file("ui/a.png"), project.file("ui/moved.png")).unwrap();
    service.until_synced("ui/moved.png");
    assert_eq!(remote.assets().len(), assets + 1);

    // A manifest that is added to counts as soon as it is written.
    project.write("icons/c.png", png(3));
    project.write("assets.toml", format!("{MANIFEST}\n[assets.crown]\npath = \"icons/c.png\"\n"));
    service.until_synced("crown");

    // After all that nothing is left to do.
    let log = service.end();
    assert!(log.contains("wrote the lockfile"), "{log}");
    let line = log.lines().find(|line| line.contains("uploaded address=ui/b.png")).unwrap();
    assert!(line.contains("change="), "by which one change can be followed: {line}");
    for address in ["ui/b.png", "ui/moved.png", "crown", "models/sword.rbxmx"] {
        assert!(project.read("assets.lock.toml").contains(address), "{address} is not in the lockfile");
    }
    let before = remote.all_requests();
    project.sync();
    assert_eq!(remote.all_requests(), before);
}

#[test]
fn an_invalid_manifest_leaves_the_last_good_one_in_force() {
    let (remote, project) = start(Config::default());
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");

    project.write("assets.toml", format!("{MANIFEST}\nbroken = = 1\n"));
    service.says("still using the last good version: assets.toml:10:");
    project.write("ui/b.png", png(2));
    service.until("b is created", || remote.requests(ApiEndpoint::CreateAsset) == 3);

    project.write("assets.toml", MANIFEST);
    service.says("the manifest is valid again");
    service.until_synced("ui/b.png");
    service.end();
    assert_eq!(remote.assets().len(), 3);
}

/// A checkout of the branch `draft`, beside `main`.
pub fn on_draft() -> (Remote, Project) {
    let (remote, project) = start(Config::default());
    project.write(".gitignore", "log.txt\n");
    project.git(&["init", "--quiet", "--initial-branch=main"]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-m", "first"]);
    project.git(&["switch", "-c", "draft"]);
    (remote, project)
}

#[test]
fn nothing_is_written_on_another_branch_or_while_git_is_busy() {
    let (remote, project) = on_draft();
    let mut waits = project.command(&["sync", "--require-branch", "main"]);
    let log = std::fs::File::create(project.file("log.txt")).unwrap();
    let child = waits.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let service = Service { project: &project, child };
    service.says("waiting: the checkout is on");
    service.says("ready");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 0);

    project.git(&["switch", "main"]);
    service.until_synced("ui/a.png");
    service.says("wrote the lockfile");

    // A pull in the middle.
    let waited = service.log().matches("waiting: ").count();
    project.write(".git/index.lock", "");
    project.write("ui/b.png", png(2));
    service.until("it waits again", || service.log().matches("waiting: ").count() > waited);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
    project.remove(".git/index.lock");
    service.until_synced("ui/b.png");
    service.end();
}

/// A git that died leaves its lock, and nobody said so but one line of the log.
#[test]
fn a_git_that_never_ends_is_told_by_everything_that_is_asked() {
    let (remote, project) = start(Config::default());
    project.write(".gitignore", "log.txt\n");
    project.git(&["init", "--quiet", "--initial-branch=main"]);
    let service = Service::start(&project, &["--listen", "0"]);
    let address = service.address();
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    let left = std::fs::File::create(project.file(".git/index.lock")).unwrap();
    left.set_modified(std::time::SystemTime::now() - Duration::from_secs(600)).unwrap();
    project.write("ui/b.png", png(2));
    service.says("nothing is uploaded meanwhile: git holds");
    service.until("/readyz tells it", || get(&address, "/readyz").1.contains("git's work here doesn't end"));
    let (_, checkup) = project.json(&["doctor"]);
    let told = checkup["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["message"].as_str().unwrap().contains("git holds"));
    assert_eq!(told.unwrap_or_else(|| panic!("{checkup:#}"))["result"], "warning");
    let (code, document) = project.json(&["archive", "ui/a.png", "--yes", "--patience", "1s"]);
    assert_eq!(code, 5, "{document:#}");
    let hint = document["errors"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("nothing was done: git holds") && hint.contains("index.lock"), "{hint}");
    project.remove(".git/index.lock");
    service.until_synced("ui/b.png");
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
    let log = service.end();
    assert!(
        log.lines().any(|line| line.contains("WARN") && line.contains("if no git runs here, remove that file")),
        "{log}"
    );
}

#[test]
#[cfg_attr(windows, ignore = "no such signal")]
fn a_refused_key_stops_writes_until_a_reload_brings_another() {
    let key = |secret: &str| EmulatedKey::all_powerful(secret, "ci", Principal::User(1));
    let (remote, mut project) = start(Config { keys: vec![key(SECRET)], ..Config::default() });
    project.write("key.txt", SECRET);
    project.set_env("ROBLOX_API_KEY", "");
    let service = Service::start(&project, &["--api-key-file", "key.txt", "--listen", "0"]);
    let address = service.address();
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");

    remote.control().revoke_key(SECRET);
    project.write("ui/b.png", png(2));
    service.says("nothing is uploaded until the API key is changed");
    let log = service.log();
    assert!(log.contains("write the new key into key.txt") && log.contains("goes on by itself"), "{log}");
    assert!(!log.contains("trying again later") && !log.contains("couldn't be asked"), "told once: {log}");
    service.until("/readyz tells it", || get(&address, "/readyz").1.contains("the key was refused"));
    let made = remote.assets().len();
    let (code, document) = project.json(&["archive", "ui/a.png", "--yes"]);
    assert_eq!(code, 4, "{document:#}");
    assert!(document["errors"][0]["hint"].as_str().unwrap().contains("another key"), "{document:#}");

    let fresh = "another-key-771c";
    remote.control().put_key(key(fresh));
    project.write("key.txt", fresh);
    service.signal(Signal::HUP);
    service.until_synced("ui/b.png");
    assert_eq!(remote.assets().len(), made + 1);
    let log = service.end();
    assert!(!log.contains(fresh), "{log}");
}

#[test]
fn health_and_metrics_say_how_it_stands() {
    let key = EmulatedKey {
        expires_at_ms: Some(4_102_444_800_000),
        ..EmulatedKey::all_powerful(SECRET, "ci", Principal::User(1))
    };
    let (_remote, project) = start(Config { keys: vec![key], ..Config::default() });
    let service = Service::start(&project, &["--listen", "0"]);
    let address = service.address();
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    let metric = |name: &str| {
        let (code, text) = get(&address, "/metrics");
        assert_eq!(code, 200);
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()))
    };
    service.until("two assets are counted as synced", || metric("macadam_assets{state=\"synced\"}") == Some(2.0));
    assert_eq!(metric("macadam_key_expiry_timestamp_seconds"), Some(4_102_444_800.0));
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/readyz").0, 200);
    assert_eq!(get(&address, "/nothing").0, 404);
    service.end();
    assert!(TcpStream::connect(&address).is_err(), "it still listens");
}

#[test]
fn the_cost_of_a_save_follows_the_change() {
    let (remote, project) = start(Config::default());
    for number in 2..6 {
        project.write(&format!("ui/{number}.png"), png(number));
    }
    project.run(&["sync", "--once"]).expect(0);
    let service = Service::start(&project, &["--listen", "0"]);
    let address = service.address();
    let counts = || {
        let (_, text) = get(&address, "/metrics");
        let count = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.rsplit(' ').next()?.parse::<u64>().ok()
        };
        [
            "macadam_scanned_files_total",
            "macadam_planned_assets_total",
            "macadam_reconcile_passes_total{scope=\"all\"}",
            "macadam_reconcile_passes_total{scope=\"part\"}",
        ]
        .map(|name| count(name).unwrap_or(0))
    };
    service.until("the start is over", || counts()[2] > 0);
    let before = counts();
    assert_eq!(before, [6, 6, 1, 0], "every file is looked at once, and every asset planned once");
    let made = remote.requests(ApiEndpoint::CreateAsset);
    project.write("ui/a.png", png(77));
    service.until("the picture is uploaded", || remote.requests(ApiEndpoint::CreateAsset) > made);
    service.until("its outcome is planned for", || counts()[3] == 2);
    service.until("the lockfile has it", || service.log().contains("wrote the lockfile"));
    // One file is looked at. Its asset is planned before the upload and after it.
    assert_eq!(counts(), [7, 8, 1, 2]);
    // What is new may be what left, and takes a look at everything.
    project.write("ui/new.png", png(78));
    service.until_synced("ui/new.png");
    assert!(counts()[0] > 7 && counts()[2] > 1, "{:?}", counts());
    service.end();
}

#[test]
fn on_change_runs_after_the_lockfile_and_its_failure_stops_nothing() {
    let (_remote, project) = start(Config::default());
    let command = "printf '%s\\n' \"$MACADAM_CHANGED\" >> told.txt; exit 3";
    let service = Service::start(&project, &["--on-change", command]);
    let told = || project.file("told.txt").exists() && project.read("told.txt").contains("assets.lock.toml");
    service.until("the command ran", told);
    project.write("ui/b.png", png(2));
    service.until_synced("ui/b.png");
    // The command commits the lockfile, so nobody else has to.
    let ran = project.run(&["archive", "ui/a.png", "--yes"]).expect(0);
    assert!(ran.stdout.contains("done by the running") && !ran.stdout.contains("Commit"), "{}", ran.stdout);
    service.end();
}

#[test]
fn a_second_signal_says_that_the_lockfile_may_not_be_published() {
    let (_remote, project) = start(Config::default());
    let service = Service::start(&project, &["--on-change", "touch begun; sleep 60"]);
    service.until("the command runs", || project.file("begun").exists());
    let (code, log) = service.end_at_once();
    assert_eq!(code, Some(143), "{log}");
    assert!(log.contains("the command of --on-change may not be done. Keep this folder"), "{log}");
}

#[test]
fn without_a_connection_the_service_does_not_blame_roblox() {
    // Nothing listens there.
    let project = Project::new(MANIFEST).at("http://127.0.0.1:9");
    (0..5).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let service = Service::start(&project, &[]);
    service.says("no connection to Roblox: waiting for the network");
    assert!(!service.log().contains("Roblox fails"), "{}", service.log());
    service.end();
}

#[test]
fn commands_beside_it_are_carried_out_by_it() {
    let (remote, project) = start(Config::default());
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    project.write("models/sword.rbxmx", rbxmx("a longer sword"));
    service.until("the second revision", || remote.assets().iter().any(|report| report.asset.versions.len() == 2));
    service.until_synced("models/sword.rbxmx");

    // It holds the state, so no other process syncs.
    project.run(&["sync", "--once"]).expect(5);

    let (code, document) = project.json(&["archive", "ui/a.png", "--yes"]);
    assert_eq!((code, document["by_service"].as_bool()), (0, Some(true)), "{document:#}");
    assert_eq!(service.state_of("ui/a.png"), "archived");
    let ran = project.run(&["restore", "ui/a.png"]).expect(0);
    assert!(ran.stdout.contains("restored:") && ran.stdout.contains("Commit the lockfile."), "{}", ran.stdout);
    service.until_synced("ui/a.png");

    let (code, document) = project.json(&["pin", "models/sword.rbxmx", "1"]);
    assert_eq!((code, document["by_service"].as_bool()), (0, Some(true)), "{document:#}");
    assert_eq!(remote.requests(ApiEndpoint::RollbackAsset), 1);
    assert_eq!(service.state_of("models/sword.rbxmx"), "pinned");
    let (code, document) = project.json(&["unpin", "models/sword.rbxmx"]);
    assert_eq!(code, 0, "{document:#}");
    service.until_synced("models/sword.rbxmx");

    // An unknown address gets the same refusal as without a service.
    let (code, document) = project.json(&["archive", "ui/none.png", "--yes"]);
    assert_eq!(code, 1, "{document:#}");

    let picture = |report: &&AssetReport| report.asset.versions.len() == 1;
    let asset = remote.assets().iter().find(picture).unwrap().asset.id;
    project.remove("ui/a.png");
    service.until("its leaving is seen", || service.state_of("ui/a.png") != "synced");
    let (code, document) = project.json(&["forget", "ui/a.png"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(service.state_of("ui/a.png"), "");
    project.write("ui/again.png", png(9));
    service.until_synced("ui/again.png");
    let made = remote.assets().len();
    let (code, document) = project.json(&["import", "ui/again.png", &asset.to_string(), "--content-matches"]);
    assert_eq!((code, document["asset_id"].as_u64()), (0, Some(asset)), "{document:#}");
    assert_eq!(document["by_service"], true);
    service.until_synced("ui/again.png");
    service.end();
    assert_eq!(remote.assets().len(), made, "what matches is not sent again");
}

#[test]
fn a_create_in_doubt_is_settled_by_it() {
    let (remote, project, made) = in_doubt();
    let service = Service::start(&project, &[]);
    let other = remote.assets().iter().map(|report| report.asset.id).find(|id| *id != made).unwrap();

    // The service refuses in the same words as the command alone, with its exit code.
    let (code, document) = project.json(&["resolve", "ui/a.png", "--asset-id", &other.to_string()]);
    let problem = &document["errors"][0];
    assert!(code == 1 && problem["message"].as_str().unwrap().contains("already belongs to"), "{document:#}");
    assert!(problem["hint"].is_string(), "{document:#}");
    let (code, document) = project.json(&["retry", "ui/none.png"]);
    assert_eq!((code, &document["errors"][0]["message"]), (1, &"there is no asset named `ui/none.png`".into()));

    let (code, document) = project.json(&["resolve", "ui/a.png", "--asset-id", &made.to_string()]);
    assert_eq!((code, document["by_service"].as_bool()), (0, Some(true)), "{document:#}");
    service.until_synced("ui/a.png");
    service.end();
    assert_eq!(remote.assets().len(), 2);
    assert!(project.read("assets.lock.toml").contains(&made.to_string()));
}

#[test]
fn a_killed_service_continues_its_work() {
    let (remote, project) = start(Config::default());
    let mut service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    service.kill();
    drop(service);

    // The start notices changes made while no process watched, and sends nothing else.
    project.write("ui/b.png", png(2));
    let service = Service::start(&project, &[]);
    service.until_synced("ui/b.png");
    service.end();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (3, 3));
}

#[test]
fn a_request_that_gets_no_answer_keeps_neither_files_nor_the_end_waiting() {
    let (remote, project) = start(Config::default());
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    let never = FaultRule::on(ApiEndpoint::ArchiveAsset, FaultAction::Hang { at: Point::AfterBody });
    remote.control().add_faults(vec![never]).unwrap();
    let mut archive = project.command(&["archive", "ui/a.png", "--yes"]);
    let archive = archive.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    service.until("it is on the wire", || remote.requests(ApiEndpoint::ArchiveAsset) == 1);

    project.write("ui/b.png", png(2));
    service.until_synced("ui/b.png");
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 1, "it still waits for its answer");

    let log = service.end();
    assert!(log.contains("did not answer in time"), "{log}");
    let told = archive.wait_with_output().unwrap();
    let message = String::from_utf8(told.stderr).unwrap();
    assert!(message.contains("was stopped before Roblox answered"), "{message}");
    assert!(!remote.assets().iter().any(|report| report.asset.archived));

    // The next run looks what came of it: nothing.
    remote.control().clear_faults();
    project.run(&["sync", "--once"]);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3);
}

#[test]
fn a_request_waits_for_the_work_on_its_address_alone() {
    let (remote, project) = start(Config::default());
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    service.until_synced("models/sword.rbxmx");
    let slow =
        FaultRule::on(ApiEndpoint::UpdateAsset, FaultAction::Delay { before_commit_ms: 3_000, before_reply_ms: 0 });
    remote.control().add_faults(vec![slow]).unwrap();
    project.write("models/sword.rbxmx", rbxmx("a longer sword"));
    service.until("its update is on the wire", || remote.requests(ApiEndpoint::UpdateAsset) == 1);

    // Of two that are asked, the one about the model has to wait for the update, and the other for
    // that one.
    let (code, document) = project.json(&["archive", "models/sword.rbxmx", "--yes"]);
    assert_eq!((code, document["by_service"].as_bool()), (0, Some(true)), "{document:#}");
    let asset = remote.assets().into_iter().find(|report| report.asset.versions.len() == 2);
    assert!(asset.is_some_and(|report| report.asset.archived), "archived after its second revision");
    service.end();
}

#[test]
#[cfg_attr(windows, ignore = "no such signal")]
fn a_defect_ends_the_work_on_one_address_alone() {
    let (remote, mut project) = start(Config::default());
    project.set_env("MACADAM_PANIC", "accepted:1");
    let service = Service::start(&project, &[]);
    service.says("a bug in Macadam stopped this asset");
    let synced = || ["ui/a.png", "models/sword.rbxmx"].iter().filter(|a| service.state_of(a) == "synced").count();
    service.until("the other is synced", || synced() == 1);

    // It rests until everything is looked at again; its operation was written down, and goes on.
    service.signal(Signal::HUP);
    service.until("both are synced", || synced() == 2);
    service.end();
    assert_eq!((remote.requests(ApiEndpoint::CreateAsset), remote.assets().len()), (2, 2));
}

/// A service that began without one plans with the lockfile that it wrote.
#[test]
fn a_first_lockfile_is_known_as_soon_as_it_is_written() {
    let (remote, project) = start(Config::default());
    let policy = "\n[policy]\nreplaced = \"archive\"\narchive_after = \"0d\"\n";
    project.write("assets.toml", format!("{MANIFEST}{policy}"));
    let service = Service::start(&project, &["--interval", "1d"]);
    service.until_synced("ui/a.png");
    service.says("wrote the lockfile");
    project.write("ui/a.png", png(77));
    service.until("the first picture is archived", || remote.assets().iter().any(|report| report.asset.archived));
    service.end();
}

#[test]
fn a_removed_asset_is_archived_when_due_and_not_at_the_interval() {
    let (remote, project) = start(Config::default());
    let policy = "\n[policy]\nremoved = \"archive\"\narchive_after = \"3s\"\n";
    project.write("assets.toml", format!("{MANIFEST}{policy}"));
    let service = Service::start(&project, &["--interval", "1d"]);
    service.until_synced("ui/a.png");
    service.says("wrote the lockfile");
    project.remove("ui/a.png");
    service.until("it is archived", || remote.assets().iter().any(|report| report.asset.archived));
    service.end();
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 1);
}

#[test]
fn drift_is_reported_without_a_refresh() {
    let (remote, project) = start(Config::default());
    project.sync();
    let id = remote.assets().iter().map(|report| report.asset.id).min().unwrap();
    remote.control().edit(id, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    // The asset was not read for a long time.
    let state = rusqlite::Connection::open(project.state()).unwrap();
    assert_eq!(state.execute("UPDATE observations SET at = '2026-01-01T00:00:00Z'", []).unwrap(), 2);
    state.execute("UPDATE own_writes SET at = '2026-01-01T00:00:00Z'", []).unwrap();
    drop(state);
    let service = Service::start(&project, &[]);
    service.says("changed on Roblox: ");
    assert!((["ui/a.png", "models/sword.rbxmx"].iter()).any(|address| service.state_of(address) != "synced"));
    service.end();
    assert_eq!(remote.requests(ApiEndpoint::RestoreAsset), 0, "told, and left alone by the default policy");
}

#[test]
fn a_second_signal_ends_the_service_at_once_and_the_log_says_so() {
    let (remote, project) = start(Config::default());
    let never = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Hang { at: Point::AfterBody });
    remote.control().add_faults(vec![never]).unwrap();
    let mut service = Service::start(&project, &["--log-format", "json"]);
    service.until("an upload is on the wire", || remote.requests(ApiEndpoint::CreateAsset) > 0);
    let began = Instant::now();
    let status = loop {
        service.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(50));
        if let Some(status) = service.child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < NEVER, "it does not end\n{}", service.log());
    };
    let log = service.log();
    assert_ne!(status.code(), Some(0), "{log}");
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "WARN", "{log}");
    assert!(last["message"].as_str().unwrap().contains("by a second signal"), "{log}");
}
