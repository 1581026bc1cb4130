//! The cost of a service while nothing changes, compared to a process that only holds the same file
//! watches.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bare::Bare;
use super::figures::{Section, mebibytes, milliseconds};
use super::process::{Usage, measure};
use super::running::Service;
use super::tree::{FOLDERS, Tree};

/// The time after which the work of a start has ended. Threads that wait for blocking work end
/// after ten seconds.
const CALM: Duration = Duration::from_secs(15);

/// In mebibytes of resident memory, and in per cent of a core.
const MOST_MEMORY: f64 = 25.0;
const MOST_CPU: f64 = 0.1;

/// Measures a service over this tree for `time`.
pub fn run(tree: &Tree, time: Duration) -> Section {
    let began = Instant::now();
    let service = Service::start(&tree.project);
    let start = began.elapsed();
    let bare = Bare::start(FOLDERS.iter().map(|folder| tree.project.file(folder)));
    sleep(CALM);
    let before = tree.remote.all_requests();
    let usage = measure(&[service.pid(), bare.pid()], time);
    let requests = tree.remote.all_requests() - before;
    tree.check_synced();
    let log = service.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "it was not idle:\n{log}");
    service.end();
    let [service, bare] = &usage[..] else { unreachable!("two were measured") };
    section(tree, start, requests, service, bare)
}

fn section(tree: &Tree, start: Duration, requests: usize, service: &Usage, bare: &Usage) -> Section {
    let seconds = service.time.as_secs_f64();
    let mut section = Section::new(format!("idle: {} known files, {seconds:.0} seconds", tree.files.len()));
    section.add("start until ready", milliseconds(start), "ms");
    section.measure("resident memory", mebibytes(service.rss), "MiB", MOST_MEMORY);
    section.add("  of it its own", mebibytes(service.rss_anonymous), "MiB");
    section.add("  the most ever", mebibytes(service.rss_peak), "MiB");
    section.measure("processor", service.cpu_percent(), "% of a core", MOST_CPU);
    section.add("wakes", service.wakes_a_minute(), "a minute");
    section.add("requests", 60.0 * requests as f64 / seconds, "a minute");
    section.add("threads", service.threads as f64, "");
    section.add("descriptors", service.descriptors as f64, "");
    section.add("bare watch: resident memory", mebibytes(bare.rss), "MiB");
    section.add("bare watch: of it its own", mebibytes(bare.rss_anonymous), "MiB");
    section.add("bare watch: processor", bare.cpu_percent(), "% of a core");
    section.add("bare watch: wakes", bare.wakes_a_minute(), "a minute");
    section.add("resident memory / bare watch", service.rss as f64 / bare.rss as f64, "times");
    section
}
