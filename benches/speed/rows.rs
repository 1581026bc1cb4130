//! The table: each row is printed as soon as it is measured, in the form of docs/speed.md.

/// The table of a run, with the rows of one program.
pub struct Table {
    /// What tells its rows from those of the program that was built here; empty for that.
    program: &'static str,
}

impl Table {
    /// Prints the head.
    pub fn begin() {
        println!("| work | files | Macadam | beside it | ratio | most memory | goal | |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    }

    /// The rows of a program.
    pub fn of(program: &'static str) -> Self {
        Self { program }
    }

    /// Prints a row.
    pub fn row(&self, row: Row) {
        let Row { work, files, time, beside, memory, goal } = row;
        let ratio = beside.as_ref().map(|(_, least)| time / least);
        let (beside, times) = match (&beside, ratio) {
            (Some((what, at)), Some(ratio)) => (format!("{what}: {}", milliseconds(*at)), format!("{ratio:.2}")),
            _ => (String::new(), String::new()),
        };
        let mib = memory.map(|bytes| bytes as f64 / 1_048_576.0);
        let (goal, kept) = match goal {
            Goal::Ratio { times, memory } => {
                let kept = ratio.is_some_and(|ratio| ratio <= times) && within(mib, memory);
                (format!("{times} ×{}", in_memory(memory)), kept)
            }
            Goal::Time { ms, memory } => {
                (format!("{}{}", milliseconds(ms), in_memory(memory)), time <= ms && within(mib, memory))
            }
            Goal::None => (String::new(), true),
        };
        let kept = if goal.is_empty() {
            ""
        } else if kept {
            "kept"
        } else {
            "missed"
        };
        let memory = mib.map(|mib| format!("{mib:.1} MiB")).unwrap_or_default();
        let program = self.program;
        println!(
            "| {work}{program} | {files} | {} | {beside} | {times} | {memory} | {goal} | {kept} |",
            milliseconds(time)
        );
    }
}

/// A measured row. Times are in milliseconds.
pub struct Row {
    pub work: &'static str,
    pub files: usize,
    pub time: f64,
    /// What was measured beside it, and how long that took.
    pub beside: Option<(&'static str, f64)>,
    /// The most memory that was resident, in bytes.
    pub memory: Option<u64>,
    pub goal: Goal,
}

/// The goal of a row; memory in mebibytes.
#[derive(Clone, Copy)]
pub enum Goal {
    Ratio { times: f64, memory: Option<f64> },
    Time { ms: f64, memory: Option<f64> },
    None,
}

fn within(mib: Option<f64>, goal: Option<f64>) -> bool {
    goal.is_none_or(|goal| mib.is_some_and(|mib| mib <= goal))
}

fn in_memory(goal: Option<f64>) -> String {
    goal.map(|goal| format!(", {goal} MiB")).unwrap_or_default()
}

fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 1000.0 => format!("{:.2} s", ms / 1000.0),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}

/// The median of some values.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
