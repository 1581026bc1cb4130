//! How long syncs take that wait for Roblox: the real program against the emulator in this process,
//! with its limits, a round trip and operations that take their time.
//!
//! `cargo bench --bench network`; a debug build shows the same where the network dominates. With
//! words, only the rows that contain one of them: `cargo bench --bench network -- edit`. The counts
//! are exact, and the times those of one run. benches/README.md explains the rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench may fail loudly, sets up files, clocks and processes by hand, and prints"
)]

#[allow(dead_code, missing_docs, reason = "the harness of tests/it, of which the bench needs a part")]
#[path = "../tests/it/support.rs"]
mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use macadam::emulator::{self, ApiEndpoint, Config, EndpointLimits, LatencyModel, Running};
use serde_json::json;
use support::{GLOBS, Project, png, rbxmx};

/// A remote with a round trip and operations that take this long.
struct SlowRemote {
    running: Running,
    runtime: tokio::runtime::Runtime,
}

impl SlowRemote {
    fn start(round_trip_ms: u64, operation_ms: u64, limits: EndpointLimits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let latency = LatencyModel::Fixed(operation_ms);
        let running = runtime.block_on(emulator::start(Config { latency, limits, ..Config::default() })).unwrap();
        let half = round_trip_ms / 2;
        let delay = json!([{"action": {"kind": "delay", "before_commit_ms": half, "before_reply_ms": half}}]);
        running.control().add_faults(serde_json::from_value(delay).unwrap()).unwrap();
        Self { running, runtime }
    }

    fn count(&self, endpoint: ApiEndpoint) -> usize {
        self.running.control().requests().iter().filter(|request| request.endpoint == Some(endpoint)).count()
    }

    fn refused(&self) -> usize {
        self.running.control().requests().iter().filter(|request| request.status == Some(429)).count()
    }

    fn all(&self) -> usize {
        self.running.control().requests().len()
    }

    fn end(self) {
        self.runtime.block_on(self.running.shutdown());
    }
}

/// What one sync cost.
struct SyncFigures {
    took: Duration,
    requests: usize,
    polls: usize,
    refused: usize,
}

fn sync(project: &Project, remote: &SlowRemote) -> SyncFigures {
    let (requests, polls, refused) = (remote.all(), remote.count(ApiEndpoint::GetOperation), remote.refused());
    let began = Instant::now();
    let status = quiet(project, &["sync", "--once", "--yes"]).status().unwrap();
    assert!(status.success(), "{status}");
    SyncFigures {
        took: began.elapsed(),
        requests: remote.all() - requests,
        polls: remote.count(ApiEndpoint::GetOperation) - polls,
        refused: remote.refused() - refused,
    }
}

/// The program without what the tests of the program switch on.
fn quiet(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env_remove("MACADAM_REST").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn pictures(project: &Project, folder: &str, count: u32) {
    for n in 0..count {
        let mut data = png((n % 251) as u8);
        // After the end of the picture, so that no two are the same.
        data.extend(format!("{folder} {n}").bytes());
        project.write(&format!("ui/{folder}/{n}.png"), data);
    }
}

fn row(name: &str, goal: &str, figures: &SyncFigures, uploads: u32) {
    let SyncFigures { took, requests, polls, refused } = figures;
    let each = *polls as f64 / f64::from(uploads);
    println!("| {name} | {:.2} s | {requests} | {polls} ({each:.2} each) | {refused} | {goal} |", took.as_secs_f64());
}

/// New pictures, cold, and then as many as asked for with the latencies known.
fn bulk(name: &str, operation_ms: u64, cold: (u32, &str), warm: Option<(u32, &str)>) {
    let remote = SlowRemote::start(20, operation_ms, EndpointLimits::documented());
    let project = Project::new(GLOBS).at(&remote.running.url());
    pictures(&project, "cold", cold.0);
    row(&format!("{} {name}, cold", cold.0), cold.1, &sync(&project, &remote), cold.0);
    if let Some((count, goal)) = warm {
        // A new window, as for somebody who comes back later.
        std::thread::sleep(Duration::from_secs(62));
        pictures(&project, "warm", count);
        row(&format!("{count} {name}, warm"), goal, &sync(&project, &remote), count);
    }
    remote.end();
}

/// A Model is edited again and again; the last time counts. The polls of the first edits narrow down
/// how long its operations take.
fn edit() {
    let remote = SlowRemote::start(200, 3000, EndpointLimits::documented());
    let project = Project::new(GLOBS).at(&remote.running.url());
    project.write("models/sword.rbxmx", rbxmx("0"));
    sync(&project, &remote);
    for n in 1..=6 {
        project.write("models/sword.rbxmx", rbxmx(&n.to_string()));
        let figures = sync(&project, &remote);
        row(&format!("edit {n}, 3 s, round trip 0.2 s"), "3.5 s, 2 requests after the key check", &figures, 1);
    }
    remote.end();
}

/// 200 small creates against the program's own emulator, which has neither latency nor limits.
fn creates() {
    let project = Project::new(GLOBS);
    pictures(&project, "small", 200);
    let began = Instant::now();
    let status = quiet(&project, &["sync", "--once", "--yes", "--emulator"]).status().unwrap();
    assert!(status.success(), "{status}");
    println!("| 200 creates, rehearsed | {:.2} s | | | | 0.4 s |", began.elapsed().as_secs_f64());
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wants = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    println!("| work | took | requests | polls | 429s | goal |\n| --- | --- | --- | --- | --- | --- |");
    if wants("edit") {
        edit();
    }
    if wants("creates") {
        creates();
    }
    if wants("images 6") {
        bulk("images of 6 s", 6000, (80, "8 s, 1.5 polls"), None);
    }
    if wants("images 10") {
        bulk("images of 10 s", 10_000, (80, "12 s, 1.5 polls"), Some((250, "136.5 s, 1.1 polls")));
    }
}
