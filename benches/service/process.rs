//! What a process uses, as Linux tells it in `/proc`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// `/proc` counts processor time in so many ticks a second, on every Linux.
const TICKS: u32 = 100;

/// How often threads are looked at: what one that ended in between had counted is lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a process used over a time, and holds at its end.
#[derive(Clone, Debug)]
pub struct Usage {
    /// How long it was measured.
    pub time: Duration,
    /// Processor time of all its threads, also of those that ended.
    pub cpu: Duration,
    /// How often a thread went to sleep of itself, which is how often one was woken.
    pub wakes: u64,
    /// Resident memory, in bytes.
    pub rss: u64,
    /// What of it is the process's own, and not pages of files.
    pub rss_anonymous: u64,
    /// The most that ever was resident.
    pub rss_peak: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Processor time in per cent of one core.
    pub fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    /// Wakes a minute.
    pub fn wakes_a_minute(&self) -> f64 {
        60.0 * self.wakes as f64 / self.time.as_secs_f64()
    }
}

/// Measures several processes over the same `time`, and gives their figures in the same order.
pub fn measure(pids: &[u32], time: Duration) -> Vec<Usage> {
    let began = Instant::now();
    let mut meters: Vec<Meter> = pids.iter().map(|pid| Meter::start(*pid)).collect();
    while began.elapsed() < time {
        std::thread::sleep(LOOK_EVERY.min(time.saturating_sub(began.elapsed())));
        meters.iter_mut().for_each(Meter::look);
    }
    meters.into_iter().map(|meter| meter.end(began.elapsed())).collect()
}

struct Meter {
    folder: PathBuf,
    cpu: Duration,
    before: BTreeMap<String, u64>,
    latest: BTreeMap<String, u64>,
}

impl Meter {
    fn start(pid: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let mut meter = Self { cpu: Duration::ZERO, before: BTreeMap::new(), latest: BTreeMap::new(), folder };
        meter.look();
        meter.before = meter.latest.clone();
        meter.cpu = meter.cpu_so_far();
        meter
    }

    /// Notes the switches of each thread that lives.
    fn look(&mut self) {
        for thread in self.folder.join("task").read_dir().expect("the process lives").flatten() {
            // It may have ended meanwhile.
            let Ok(status) = std::fs::read_to_string(thread.path().join("status")) else { continue };
            let id = thread.file_name().to_string_lossy().into_owned();
            self.latest.insert(id, number(&status, "voluntary_ctxt_switches"));
        }
    }

    fn cpu_so_far(&self) -> Duration {
        let stat = std::fs::read_to_string(self.folder.join("stat")).expect("the process lives");
        // The second field is its name, in which anything may stand.
        let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
        let field = |at: usize| rest.split(' ').nth(at).and_then(|text| text.parse::<u32>().ok()).expect("a number");
        // utime and stime are the fields 14 and 15.
        Duration::from_secs(1) * (field(11) + field(12)) / TICKS
    }

    fn end(self, time: Duration) -> Usage {
        let status = std::fs::read_to_string(self.folder.join("status")).expect("the process lives");
        let wakes = self.latest.values().sum::<u64>() - self.before.values().sum::<u64>();
        let kib = |name| number(&status, name) * 1024;
        Usage {
            time,
            cpu: self.cpu_so_far() - self.cpu,
            wakes,
            rss: kib("VmRSS"),
            rss_anonymous: kib("RssAnon"),
            rss_peak: kib("VmHWM"),
            threads: number(&status, "Threads"),
            descriptors: self.folder.join("fd").read_dir().expect("the process lives").count(),
        }
    }
}

/// The number on the line `name` of a `status` file.
fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in\n{status}"))
}
