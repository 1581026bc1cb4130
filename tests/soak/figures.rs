//! What is counted, and the table at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::processes::sample::Sample;
use crate::stage::Stage;

/// A sample in a calm, with the life of the service that it is of.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub life: u32,
    pub phase: u32,
    pub sample: Sample,
}

/// The figures of a soak.
#[derive(Debug, Default)]
pub struct Figures {
    pub phases: u32,
    /// What must not be and was told.
    pub broken: u32,
    /// Actions of the story, by kind.
    pub actions: BTreeMap<String, u64>,
    /// Other things that happened.
    pub events: BTreeMap<String, u64>,
    /// One or more of each calm.
    pub samples: Vec<Taken>,
    /// How long the service took to get in step after the last storm, and at most.
    pub converged: Duration,
    pub slowest: Duration,
    /// Assets at the remote.
    pub assets: usize,
    /// Of them those that nobody knows, each explained by a create that was given up or is open.
    pub unknown: usize,
    /// Creates that were given up and told as possible doubles.
    pub given_up: usize,
    /// Assets beyond the first with the content that they were made with.
    pub doubles: usize,
    /// Processor time of the service in the last quiet time, in hundredths of a second.
    pub idle: u64,
}

impl Figures {
    /// Counts something that happened.
    pub fn count(&mut self, what: &str) {
        *self.events.entry(what.to_owned()).or_default() += 1;
    }

    pub fn all_actions(&self) -> u64 {
        self.actions.values().sum()
    }

    /// One line on how it stands after a phase.
    pub fn line(&self, stage: &Stage, time: Duration) -> String {
        let Sample { rss, descriptors, threads, .. } =
            self.samples.last().map(|taken| taken.sample).unwrap_or_default();
        format!(
            "phase {} at {}: {} actions, in step after {:.1} s, {} assets ({} given up), life {}, {} MB, {descriptors} descriptors, {threads} threads",
            self.phases,
            clock(time),
            self.all_actions(),
            self.converged.as_secs_f64(),
            self.assets,
            self.given_up,
            stage.service.life,
            rss / 1024,
        )
    }

    /// All of it.
    pub fn table(&self, stage: &Stage, time: Duration) -> String {
        let counts = stage.emulator.counts();
        let mut text = String::new();
        let mut row = |name: &str, value: String| writeln!(text, "{name:<30} {value}").unwrap();
        row("duration", clock(time));
        row("phases", self.phases.to_string());
        row("actions", format!("{}: {}", self.all_actions(), list(&self.actions)));
        row("commands, by exit code", list(&stage.commands.ended));
        row("other events", list(&self.events));
        row("lives of the service", stage.service.life.to_string());
        row("faults that struck", list(&counts.faults));
        row("requests", format!("{}: {}", counts.requests(), list(&counts.endpoints)));
        row("answers", format!("{}, {} without", list(&counts.statuses), counts.unanswered));
        row("windows exceeded", counts.exceeded.to_string());
        row("assets", self.assets.to_string());
        row(
            "creates given up",
            format!("{}, {} assets unknown, {} doubled", self.given_up, self.unknown, self.doubles),
        );
        let (made, doubles) = stage.runners.assets;
        row("CI runs, by exit code", format!("{}; {made} assets, {doubles} doubled", list(&stage.runners.ended)));
        row("states deleted or put back", format!("{}, {} assets known to them alone", stage.states, stage.lost()));
        row("in step after at most", format!("{:.1} s", self.slowest.as_secs_f64()));
        row("orderly end after at most", format!("{:.1} s", stage.service.slowest_end.as_secs_f64()));
        let all = || self.samples.iter().map(|taken| taken.sample);
        let most = |of: fn(Sample) -> u64| all().map(of).max().unwrap_or(0);
        let (first, last) = (all().next().unwrap_or_default(), all().next_back().unwrap_or_default());
        let peak = most(|sample| sample.peak);
        row("resident memory", format!("first {} KB, last {} KB, peak {peak} KB", first.rss, last.rss));
        row("descriptors at most", most(|sample| sample.descriptors).to_string());
        row("threads at most", most(|sample| sample.threads).to_string());
        row("watches at most", most(|sample| sample.watches).to_string());
        let tasks = all().filter_map(|sample| sample.tasks).max();
        row("tasks at most", tasks.map_or_else(|| "not told".to_owned(), |tasks| tasks.to_string()));
        row("processor time when quiet", format!("{} ms", self.idle * 10));
        let lines = stage.service.lines();
        row("lines of log", format!("{lines}, {:.1} an action", lines as f64 / self.all_actions().max(1) as f64));
        row("memory by phase", self.memory());
        text
    }

    /// Each life's resident memory in its calms.
    fn memory(&self) -> String {
        let mut lives: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for taken in &self.samples {
            lives.entry(taken.life).or_default().push(taken.sample.rss.to_string());
        }
        let lives = lives.iter().map(|(life, sizes)| format!("life {life}: {}", sizes.join(" ")));
        lives.collect::<Vec<_>>().join("; ")
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
