//! One run of a command as a whole process: how long it took, its processor time, and the most
//! memory that it had, out of Linux's `/proc`.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The ticks per second in which `/proc` counts processor time, on every Linux.
const TICKS: f64 = 100.0;

/// How often the memory is looked at. What is taken in the last moment before the end isn't seen.
const LOOK: Duration = Duration::from_micros(500);

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From the start to the end, in milliseconds.
    pub wall: f64,
    /// Processor time in milliseconds, in steps of ten.
    pub cpu: f64,
    /// The most memory that was resident, in bytes; only of [`watched`].
    pub memory: u64,
    pub code: i32,
}

/// Runs a command, and looks at nothing until it ends.
pub fn timed(command: &mut Command) -> Cost {
    run(command, None)
}

/// Runs a command and watches its memory, which makes it a little slower.
pub fn watched(command: &mut Command) -> Cost {
    run(command, Some(LOOK))
}

fn run(command: &mut Command, look: Option<Duration>) -> Cost {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let mut memory = 0;
    match look {
        None => drop(has_ended(&mut child, true)),
        Some(look) => {
            while !has_ended(&mut child, false) {
                memory = memory.max(peak(child.id()).unwrap_or(0));
                std::thread::sleep(look);
            }
        }
    }
    let wall = began.elapsed().as_secs_f64() * 1000.0;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let ticks: f64 = stat
        .rsplit_once(") ")
        .map_or(0.0, |(_, rest)| rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum());
    let code = child.wait().expect("it is our child").code().unwrap_or(-1);
    Cost { wall, cpu: ticks * 1000.0 / TICKS, memory, code }
}

/// Whether it has ended, at the latest when it has if this waits. Its status isn't taken, so that `/proc` still
/// knows its times.
#[cfg(unix)]
fn has_ended(child: &mut Child, wait: bool) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let how = if wait { how } else { how | WaitIdOptions::NOHANG };
    waitid(WaitId::Pid(Pid::from_child(child)), how).expect("it is our child").is_some()
}

/// The same where there is no `/proc`: only the time on the clock is measured.
#[cfg(not(unix))]
fn has_ended(child: &mut Child, wait: bool) -> bool {
    if wait {
        child.wait().expect("it is our child");
    }
    child.try_wait().expect("it is our child").is_some()
}

/// The most memory that a process had so far, in bytes.
pub fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
