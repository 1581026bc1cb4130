//! The resource usage of a process, from Linux's `/proc`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The interval between samples of the threads. What a thread does between its last sample and its end
/// is lost: one of tokio's ends after ten idle seconds.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// The resources that a process used over a time, and those it holds at the end.
#[derive(Clone, Debug)]
pub struct Usage {
    /// The measured time.
    pub time: Duration,
    /// Processor time of all its threads, including those that ended.
    pub cpu: Duration,
    /// The number of times that a thread voluntarily went to sleep, which is the number of wakes.
    pub wakes: u64,
    /// Resident memory, in bytes.
    pub rss: u64,
    /// Resident memory of the process's own, without pages of files, in bytes.
    pub rss_anonymous: u64,
    /// The most memory that was ever resident, in bytes.
    pub rss_peak: u64,
    /// The number of threads.
    pub threads: u64,
    /// The number of open descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Returns processor time in per cent of one core.
    pub fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    /// Returns wakes per minute.
    pub fn wakes_a_minute(&self) -> f64 {
        60.0 * self.wakes as f64 / self.time.as_secs_f64()
    }
}

/// Measures several processes over the same `time`. Returns their usage in the same order.
pub fn measure(pids: &[u32], time: Duration) -> Vec<Usage> {
    let began = Instant::now();
    let mut meters: Vec<Meter> = pids.iter().map(|pid| Meter::start(*pid)).collect();
    while began.elapsed() < time {
        std::thread::sleep(SAMPLE_INTERVAL.min(time.saturating_sub(began.elapsed())));
        meters.iter_mut().for_each(Meter::sample);
    }
    meters.into_iter().map(|meter| meter.end(began.elapsed())).collect()
}

struct Meter {
    folder: PathBuf,
    before: BTreeMap<String, ThreadUsage>,
    latest: BTreeMap<String, ThreadUsage>,
}

/// What a thread used since it began.
#[derive(Clone, Copy)]
struct ThreadUsage {
    /// The scheduler's own count: `stat` counts steps of 10 milliseconds.
    cpu: Duration,
    wakes: u64,
}

fn sum(threads: &BTreeMap<String, ThreadUsage>) -> (Duration, u64) {
    (threads.values().map(|thread| thread.cpu).sum(), threads.values().map(|thread| thread.wakes).sum())
}

impl Meter {
    fn start(pid: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let mut meter = Self { before: BTreeMap::new(), latest: BTreeMap::new(), folder };
        meter.sample();
        meter.before = meter.latest.clone();
        meter
    }

    /// Records what each living thread used.
    fn sample(&mut self) {
        for thread in self.folder.join("task").read_dir().expect("the process lives").flatten() {
            // It may have ended meanwhile.
            let read = |name| std::fs::read_to_string(thread.path().join(name));
            let (Ok(status), Ok(schedule)) = (read("status"), read("schedstat")) else { continue };
            let nanoseconds = schedule.split(' ').next().and_then(|text| text.parse().ok()).expect("a number");
            let wakes = number(&status, "voluntary_ctxt_switches");
            let id = thread.file_name().to_string_lossy().into_owned();
            self.latest.insert(id, ThreadUsage { cpu: Duration::from_nanos(nanoseconds), wakes });
        }
    }

    fn end(self, time: Duration) -> Usage {
        let status = std::fs::read_to_string(self.folder.join("status")).expect("the process lives");
        let ((cpu, wakes), (cpu_before, wakes_before)) = (sum(&self.latest), sum(&self.before));
        let kib = |name| number(&status, name) * 1024;
        Usage {
            time,
            cpu: cpu - cpu_before,
            wakes: wakes - wakes_before,
            rss: kib("VmRSS"),
            rss_anonymous: kib("RssAnon"),
            rss_peak: kib("VmHWM"),
            threads: number(&status, "Threads"),
            descriptors: self.folder.join("fd").read_dir().expect("the process lives").count(),
        }
    }
}

/// Returns the number on the line `name` of a `status` file.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in\n{status}"))
}
