//! `sync --once` ends within 6 seconds after the first signal, whatever the remote does: CI kills
//! after that.

use std::process::Stdio;
use std::time::{Duration, Instant};

use macadam::emulator::{ApiEndpoint, FaultAction, FaultRule, Point};
use serde_json::Value;

use super::support::system::{Signal, send};
use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

/// The promise.
const END: Duration = Duration::from_secs(6);

/// One picture whose upload is answered, then the fault.
fn ends(endpoint: ApiEndpoint, action: FaultAction, args: &[&str]) -> (Remote, Project, Value) {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("models/b.rbxmx", rbxmx("b"));
    project.sync();
    project.write("ui/a.png", png(2));
    project.write("models/b.rbxmx", rbxmx("c"));
    let fault = remote.control().add_faults(vec![FaultRule::on(endpoint, action)]).unwrap()[0];
    let mut command = project.command(&[&["sync", "--once", "--json"], args].concat());
    let run = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while remote.control().fired(fault) == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "the fault never came");
        std::thread::sleep(Duration::from_millis(20));
    }
    send(&run, Signal::INT);
    let signalled = Instant::now();
    let ran = Ran::of(run.wait_with_output().unwrap()).expect(130);
    let took = signalled.elapsed();
    assert!(took < END, "{endpoint:?}: it took {took:?}");
    remote.control().clear_faults();
    let document = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{endpoint:?}: {error} in {:?}\n{}", ran.stdout, ran.stderr));
    (remote, project, document)
}

#[test]
fn sync_once_ends_in_time_whatever_does_not_answer() {
    let hang = |at| FaultAction::Hang { at };
    let cases: [(ApiEndpoint, FaultAction, &[&str]); 5] = [
        (ApiEndpoint::CreateAsset, hang(Point::AfterCommit), &[]),
        (ApiEndpoint::CreateAsset, hang(Point::BeforeBody), &[]),
        (ApiEndpoint::UpdateAsset, FaultAction::Drip { interval_ms: 1000 }, &[]),
        (ApiEndpoint::GetOperation, hang(Point::AfterCommit), &[]),
        (ApiEndpoint::GetAsset, hang(Point::AfterBody), &["--refresh"]),
    ];
    std::thread::scope(|scope| {
        for (endpoint, action, args) in cases {
            scope.spawn(move || {
                let (remote, project, document) = ends(endpoint, action, args);
                assert_eq!(document["in_sync"], false, "{document:#}");
                // Nothing is lost by it: once the remote answers, the next runs end in sync.
                let began = Instant::now();
                while project.json(&["sync", "--once"]).0 != 0 {
                    assert!(began.elapsed() < Duration::from_secs(90), "{endpoint:?} never gets in sync");
                }
                let lockfile = project.read("assets.lock.toml");
                assert!(!lockfile.contains("open"), "{endpoint:?}: {lockfile}");
                let doubled = usize::from(endpoint == ApiEndpoint::CreateAsset);
                assert!(remote.assets().len() <= 3 + doubled, "{endpoint:?}");
            });
        }
    });
}

#[test]
fn an_unanswered_upload_is_in_the_lockfile_and_the_result() {
    let (_remote, project, document) =
        ends(ApiEndpoint::CreateAsset, FaultAction::Hang { at: Point::AfterCommit }, &[]);
    let actions = document["actions"].as_array().unwrap();
    let outcome = |address: &str| {
        let of_it = actions.iter().find(|action| action["address"] == address);
        of_it.map(|action| action["outcome"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(outcome("ui/a.png"), "held", "{document:#}");
    // The report has the answered uploads too: as done, or as an operation that the next run
    // follows.
    assert!(["done", "waiting"].contains(&outcome("models/b.rbxmx").as_str()), "{document:#}");
    let lockfile = project.read("assets.lock.toml");
    let entry = lockfile.split("[assets.\"ui/a.png\"]").nth(1).unwrap();
    assert!(entry.contains("open = ["), "{lockfile}");
}
