//! The resource usage of a process, from `/proc`.

use std::fs;

/// The resource usage of a process at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Resident memory, in kilobytes.
    pub rss: u64,
    /// The most resident memory so far, in kilobytes.
    pub peak: u64,
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Folders and files that inotify watches for it.
    pub watches: u64,
    /// Processor time, in hundredths of a second.
    pub processor: u64,
    /// Its async tasks, if its metrics report them.
    pub tasks: Option<u64>,
}

impl Sample {
    /// Samples the process with this ID, except for the tasks.
    pub fn of(pid: u32) -> Self {
        let folder = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let entries = |name: &str| fs::read_dir(format!("{folder}/{name}")).into_iter().flatten().flatten();
        let watches = |info: fs::DirEntry| {
            let text = fs::read_to_string(info.path()).unwrap_or_default();
            text.lines().filter(|line| line.starts_with("inotify wd:")).count() as u64
        };
        Self {
            rss: field("VmRSS:"),
            peak: field("VmHWM:"),
            threads: field("Threads:"),
            descriptors: entries("fd").count() as u64,
            watches: entries("fdinfo").map(watches).sum(),
            processor: processor(&folder),
            tasks: None,
        }
    }
}

/// Returns the times in user and kernel mode. The fields follow the name in brackets, which may
/// contain anything.
fn processor(folder: &str) -> u64 {
    let stat = fs::read_to_string(format!("{folder}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
