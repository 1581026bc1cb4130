//! The units in `systemd/`: what they must say, and what systemd itself thinks of them where it is
//! installed. Also that docs/operating.md explains every metric.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use macadam::testing::telemetry::Metrics;

use super::commit_push::Hub;
use super::support::git::isolated;

const UNITS: [&str; 5] =
    ["macadam.service", "macadam-once.service", "macadam-once.timer", "macadam-pull.service", "macadam-pull.timer"];
const SERVICES: [&str; 3] = ["macadam.service", "macadam-once.service", "macadam-pull.service"];

/// Newer than the oldest systemd that the units are for; an older one says that it doesn't know
/// them, and goes on.
const NEWER_KEYS: [&str; 2] = ["RestartSteps", "RestartMaxDelaySec"];

/// 1.5, ten times, as `systemd-analyze security --threshold` takes it.
const EXPOSURE: &str = "15";

fn text(unit: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A unit as its assignments: (section, key, value), in order.
#[derive(Debug)]
struct Unit(Vec<(String, String, String)>);

impl Unit {
    fn read(text: &str) -> Self {
        let mut section = String::new();
        let mut assignments = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            assert!(!line.ends_with('\\'), "this reader knows no continued lines: {line}");
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("neither a section nor a key: {line}"));
            assert!(!section.is_empty(), "{line} stands in no section");
            assignments.push((section.clone(), key.to_owned(), value.to_owned()));
        }
        Self(assignments)
    }

    fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let of = |(s, k, _): &&(String, String, String)| s == section && k == key;
        self.0.iter().filter(of).map(|(_, _, value)| value.as_str()).collect()
    }

    #[track_caller]
    fn one(&self, section: &str, key: &str) -> &str {
        match self.all(section, key).as_slice() {
            [value] => value,
            other => panic!("[{section}] {key} should be there once: {other:?}"),
        }
    }
}

fn seconds(span: &str) -> u64 {
    let digits = span.find(|c: char| !c.is_ascii_digit()).unwrap_or(span.len());
    let (number, unit) = span.split_at(digits);
    let scale = match unit {
        "" | "s" => 1,
        "min" | "m" => 60,
        "h" => 3600,
        other => panic!("{other} in {span}"),
    };
    number.parse::<u64>().unwrap() * scale
}

/// Whoever adds a unit adds it to the list above.
#[test]
fn each_unit_of_the_folder_is_looked_at() {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut units: Vec<String> = names.filter(|name| name != "macadam-commit-push").collect();
    units.sort();
    let mut known = UNITS.map(str::to_owned);
    known.sort();
    assert_eq!(units, known);
}

#[test]
fn the_services_are_confined_alike() {
    let [service, once, pull] = SERVICES.map(text);
    // From this line on, they are one text but for comments and what is installed.
    let confinement = |text: &str| {
        let from = text.find("# --- What it may touch").unwrap();
        let text = text[from..].split("\n[Install]").next().unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(confinement(&service), confinement(&once));
    assert_eq!(confinement(&service), confinement(&pull));
    // Each has its key and no other.
    let key = |text: &str| Unit::read(text).all("Service", "LoadCredential").concat();
    let roblox = "roblox-api-key:/etc/macadam/roblox-api-key";
    assert_eq!([key(&service), key(&once), key(&pull)], [roblox, roblox, ""]);
    for unit in [service, once, pull].map(|text| Unit::read(&text)) {
        for (key, value) in [
            ("User", "macadam"),
            ("StateDirectory", "macadam"),
            ("ProtectSystem", "strict"),
            ("ProtectHome", "yes"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
            ("KillMode", "mixed"),
        ] {
            assert_eq!(unit.one("Service", key), value, "{key}");
        }
        let folders = ["ReadWritePaths", "WorkingDirectory"].map(|key| unit.one("Service", key));
        assert_eq!(folders, ["/srv/game"; 2], "the checkout");
        assert!(unit.one("Unit", "Documentation").starts_with("man:macadam(1)"));
        assert_eq!(unit.all("Service", "SystemCallFilter"), ["@system-service", "~@privileged @resources"]);
        // Draining takes at most ten seconds.
        assert!(seconds(unit.one("Service", "TimeoutStopSec")) > 10);
        // The network must stay open for Roblox and for git.
        for key in ["PrivateNetwork", "IPAddressDeny", "RestrictNetworkInterfaces"] {
            assert_eq!(unit.all("Service", key), Vec::<&str>::new(), "{key}");
        }
    }
}

#[test]
fn the_service_is_watched_and_comes_back() {
    let unit = Unit::read(&text("macadam.service"));
    for (key, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("ExecStart", "/usr/local/bin/macadam sync"),
        ("ExecReload", "kill -HUP $MAINPID"),
        ("Restart", "on-failure"),
    ] {
        assert_eq!(unit.one("Service", key), value, "{key}");
    }
    assert!(seconds(unit.one("Service", "WatchdogSec")) >= 60, "a beat costs a wake-up");
    // Exit codes 3 and 4 are tried again, because their causes are mended from outside; never in a
    // tight loop, and never given up.
    assert!(seconds(unit.one("Service", "RestartSec")) >= 30);
    assert!(seconds(unit.one("Service", "RestartMaxDelaySec")) > seconds(unit.one("Service", "RestartSec")));
    assert_eq!(unit.one("Unit", "StartLimitIntervalSec"), "0");
    let never = unit.one("Service", "RestartPreventExitStatus");
    assert_eq!(never, "64");
    assert_eq!(unit.one("Install", "WantedBy"), "multi-user.target");
}

#[test]
fn the_timer_unit_gives_a_run_time_to_end_in_order() {
    let unit = Unit::read(&text("macadam-once.service"));
    assert_eq!(unit.one("Service", "Type"), "oneshot");
    let command = unit.one("Service", "ExecStart");
    let own = command.strip_prefix("/usr/local/bin/macadam sync --once --timeout ").unwrap();
    assert!(seconds(own) < seconds(unit.one("Service", "TimeoutStartSec")), "{command}");
    // A refused push ends a run with 1, too.
    assert_eq!(unit.all("Service", "SuccessExitStatus"), Vec::<&str>::new());
    // A conflict would end the watching service each time that the timer fires.
    assert_eq!(unit.all("Unit", "Conflicts"), Vec::<&str>::new());
    let timer = Unit::read(&text("macadam-once.timer"));
    assert_eq!(timer.one("Timer", "Persistent"), "true");
    assert_eq!(timer.one("Install", "WantedBy"), "timers.target");
}

/// The command of the unit brings a push into a checkout, and leaves one with a lockfile that isn't
/// committed yet as it is.
#[test]
fn the_pull_unit_pulls_and_its_timer_starts_it_every_minute() {
    let unit = Unit::read(&text("macadam-pull.service"));
    assert_eq!(unit.one("Service", "Type"), "oneshot");
    let (timer, service) = (Unit::read(&text("macadam-pull.timer")), Unit::read(&text("macadam.service")));
    assert_eq!(timer.one("Timer", "OnCalendar"), "minutely");
    assert_eq!(timer.one("Install", "WantedBy"), "timers.target");
    assert_eq!(unit.one("Service", "User"), service.one("Service", "User"));
    assert!(unit.all("Unit", "Conflicts").is_empty() && unit.all("Install", "WantedBy").is_empty());

    let hub = Hub::new();
    let (checkout, person) = (hub.clone("checkout"), hub.clone("person"));
    let commit = |name: &str| {
        person.write(name, "new\n");
        person.git(&["add", name]);
        person.git(&["commit", "-q", "-m", name]);
        person.git(&["push", "-q"]);
    };
    let pull = || {
        let words: Vec<&str> = unit.one("Service", "ExecStart").split(' ').collect();
        isolated(words[0], &checkout.path).args(&words[1..]).status().unwrap().success()
    };
    commit("first.txt");
    assert!(pull() && checkout.path.join("first.txt").exists());
    checkout.write("game/assets.lock.toml", "not committed\n");
    commit("game/assets.lock.toml");
    assert!(!pull(), "git refuses to overwrite it");
    assert_eq!(checkout.read("game/assets.lock.toml"), "not committed\n");
    checkout.git(&["checkout", "-q", "--", "game/assets.lock.toml"]);
    assert!(pull() && checkout.read("game/assets.lock.toml") == "new\n");
    // A commit that waits to be pushed contradicts what was pushed: nothing is left half done.
    checkout.write("game/assets.lock.toml", "another\n");
    checkout.git(&["commit", "-q", "-a", "-m", "not pushed"]);
    person.write("game/assets.lock.toml", "newer\n");
    person.git(&["commit", "-q", "-a", "-m", "newer"]);
    person.git(&["push", "-q"]);
    assert!(!pull() && checkout.git(&["status", "--porcelain"]).is_empty());
    assert!(!checkout.path.join(".git/rebase-merge").exists());
}

/// The units in a folder of their own, with a program that is there: `verify` looks for it.
fn installed(folder: &Path) -> Vec<PathBuf> {
    let write = |unit: &&str| {
        let path = folder.join(unit);
        let text = text(unit).replace("/usr/local/bin/macadam", env!("CARGO_BIN_EXE_macadam"));
        std::fs::write(&path, text).unwrap();
        path
    };
    UNITS.iter().map(write).collect()
}

/// Runs `systemd-analyze`; `None`, with a reason printed, where it isn't or is too old.
fn analyze(what: &str, args: &[&str], units: &[PathBuf]) -> Option<Output> {
    let mut command = Command::new("systemd-analyze");
    command.arg("--no-pager").args(args).args(units).env("LC_ALL", "C");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: no systemd-analyze to {what} the units with: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unrecognized option") || said.contains("Unknown command verb") {
        eprintln!("skipped: this systemd-analyze is too old to {what} units: {}", said.trim());
        return None;
    }
    Some(output)
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = installed(folder.path());
    let Some(output) = analyze("verify", &["verify", "--man=no"], &units) else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    // It exits with 0 even when it ignores a line, so what it says counts. About units of the
    // machine it may say what it likes.
    let ours = said.lines().filter(|line| UNITS.iter().any(|unit| line.contains(unit)));
    let wrong: Vec<&str> =
        ours.filter(|line| !NEWER_KEYS.iter().any(|key| line.contains(&format!("'{key}'")))).collect();
    assert!(wrong.is_empty() && output.status.success(), "{}\n{said}", output.status);
}

#[test]
fn systemd_finds_the_services_hardened() {
    let folder = tempfile::tempdir().unwrap();
    let units = installed(folder.path());
    for unit in units.iter().filter(|unit| SERVICES.iter().any(|service| unit.ends_with(service))) {
        let threshold = format!("--threshold={EXPOSURE}");
        let args = ["security", "--offline=true", &threshold];
        let Some(output) = analyze("judge", &args, std::slice::from_ref(unit)) else { return };
        let table = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}\n{table}\n{}", unit.display(), String::from_utf8_lossy(&output.stderr));
        // Proof that the threshold is looked at at all: nothing that talks to the Internet reaches
        // 0.
        let args = ["security", "--offline=true", "--threshold=0"];
        assert!(analyze("judge", &args, std::slice::from_ref(unit)).is_some_and(|output| !output.status.success()));
    }
}

#[test]
fn the_documentation_explains_every_metric() {
    let metrics = Metrics::new("0", 0);
    metrics.set_assets(&[("synced", 1)]);
    metrics.action("create", "done");
    metrics.request("get_asset", None);
    metrics.waited("get_asset", std::time::Duration::from_secs(1));
    metrics.rescan("start");
    metrics.pass("all", 1);
    metrics.set_last_success(1);
    metrics.set_on_change_failing(Some(1));
    metrics.set_key_expiry(Some(1));
    let text = metrics.text();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(names.len(), 20, "a new metric has to be made above as well");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md")).unwrap();
    let missing: Vec<&&str> = names.iter().filter(|name| !page.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "docs/operating.md explains no {missing:?}");
    // And none that isn't there: alerts on a name that nothing has never fire.
    let mentioned = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in mentioned.filter(|word| word.starts_with("macadam_") && *word != "macadam_") {
        let base = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        assert!(names.contains(&name) || names.contains(&base), "docs/operating.md names {name}");
    }
}
