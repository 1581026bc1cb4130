//! The service: from a save to the wire, processor time a save, many files at once, and idle.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::child::{peak, timed};
use super::commands::settle;
use super::process::measure as usage;
use super::relay::Relay;
use super::rows::{Goal, Row, Table, median};
use super::running::Service;
use super::tree::Tree;

/// How many saves are measured, and the time between them.
const SAVES: usize = 20;
const APART: Duration = Duration::from_millis(1500);

/// The time after which the work of a start, or of saves, has ended.
const CALM: Duration = Duration::from_secs(12);

/// The time after its start at which a service is idle: what it does once, and what it gives back to
/// the system after that, has ended. It is watched for as long.
const IDLE: Duration = Duration::from_secs(60);

/// The time after which a missing request counts as a failure.
const NEVER: Duration = Duration::from_secs(120);

/// The same for a tenth of all files, at a hundred a minute.
const NEVER_AT_ONCE: Duration = Duration::from_secs(2 * 60 * 60);

/// The first content number of saves, and of files that change together.
const FRESH: u32 = 3_000_000;
const AT_ONCE: u32 = 4_000_000;

/// Measures a service over the tree.
pub fn measure(table: &Table, tree: &Tree, relay: &Relay) {
    let files = tree.files.len();
    let service = Service::start(&tree.project);
    sleep(IDLE);
    let idle = &usage(&[service.pid()], IDLE)[0];
    let goal = |mib: f64| Goal::Time { ms: 0.5, memory: Some(mib) };
    let memory = Some(idle.rss);
    let a_second = idle.cpu.as_secs_f64() * 1000.0 / idle.time.as_secs_f64();
    let goal = goal(if files > 10_000 { 120.0 } else { 25.0 });
    table.row(Row {
        work: "service, idle: processor time a second",
        files,
        time: a_second,
        beside: None,
        memory,
        goal,
    });

    let _ = relay.arrivals().try_iter().count();
    let before = cpu(service.pid());
    let mut wires = Vec::new();
    for save in 0..SAVES {
        let (path, kind) = &tree.files[save * 11 % files];
        let content = kind.bytes(FRESH + u32::try_from(save).expect("few saves"));
        let saved = Instant::now();
        tree.project.write(path, content);
        let arrival = relay.arrivals().recv_timeout(NEVER).expect("a save leads to a request");
        wires.push((arrival.at - saved).as_secs_f64() * 1000.0);
        sleep(APART.saturating_sub(saved.elapsed()));
    }
    sleep(CALM);
    let a_save = (cpu(service.pid()) - before) / SAVES as f64;
    let most = wires.iter().copied().fold(0.0, f64::max);
    let memory = peak(service.pid());
    let row =
        |work, time, ms, memory| Row { work, files, time, beside: None, memory, goal: Goal::Time { ms, memory: None } };
    table.row(row("service: save to wire, median of 20", median(wires), 150.0, memory));
    table.row(row("service: save to wire, most of 20", most, 1000.0, None));
    table.row(row("service: processor time a save", a_save, 20.0, None));
    service.end();
    settle(&tree.project);
}

/// Changes a tenth of the files at once, once for `sync --once` and once beside the service.
pub fn together(table: &Table, tree: &Tree) {
    let files = tree.files.len();
    let change = |round: u32| {
        for (at, (path, kind)) in tree.files.iter().step_by(10).enumerate() {
            let content = AT_ONCE + round * 1_000_000 + u32::try_from(at).expect("few files");
            tree.project.write(path, kind.bytes(content));
        }
    };
    let is_synced = || {
        let (code, status) = tree.project.json(&["status"]);
        let rows = status["assets"].as_array().expect("a list");
        code == 0 && rows.iter().all(|row| row["state"] == "synced")
    };
    change(0);
    let once = timed(&mut tree.project.command(&["sync", "--once", "--yes"]));
    assert_eq!(once.code, 0, "a tenth is synced");
    let row = |work, time, beside, goal| Row { work, files, time, beside, memory: None, goal };
    table.row(row("a tenth at once: `sync --once`, processor time", once.cpu, None, Goal::None));

    let service = Service::start(&tree.project);
    sleep(CALM);
    let before = cpu(service.pid());
    change(1);
    let began = Instant::now();
    sleep(CALM);
    while !is_synced() {
        assert!(began.elapsed() < NEVER_AT_ONCE, "never synced:\n{}", service.log());
        sleep(CALM);
    }
    let beside = Some(("`sync --once`", once.cpu));
    let goal = Goal::Ratio { times: 2.0, memory: None };
    table.row(row("a tenth at once: service, processor time", cpu(service.pid()) - before, beside, goal));
    service.end();
    settle(&tree.project);
}

/// The processor time of a process so far, in milliseconds.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
    rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() * 10.0
}
