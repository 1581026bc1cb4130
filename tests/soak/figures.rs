//! The counts of a soak, and the table at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::fixture::SoakFixture;
use crate::processes::sample::Sample;

/// A sample in a calm, with the life of the service that it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct PhaseSample {
    pub life: u32,
    pub phase: u32,
    pub sample: Sample,
}

/// The figures of a soak.
#[derive(Debug, Default)]
pub struct Figures {
    pub phases: u32,
    /// Violations that were reported without ending the soak.
    pub broken: u32,
    /// Actions of the scenario, by kind.
    pub actions: BTreeMap<String, u64>,
    /// Other events.
    pub events: BTreeMap<String, u64>,
    /// One or more samples of each calm.
    pub samples: Vec<PhaseSample>,
    /// How long the service took to get in step after the last storm, and at most.
    pub converged: Duration,
    pub slowest: Duration,
    /// Assets at the remote.
    pub assets: usize,
    /// Unknown assets among them, each explained by an abandoned or open create.
    pub unknown: usize,
    /// Abandoned creates, reported as possible duplicates.
    pub given_up: usize,
    /// Assets beyond the first with the content that they were made with.
    pub doubles: usize,
    /// Processor time of the service in the last quiet time, in hundredths of a second.
    pub idle: u64,
}

impl Figures {
    /// Counts an event.
    pub fn count(&mut self, what: &str) {
        *self.events.entry(what.to_owned()).or_default() += 1;
    }

    pub fn all_actions(&self) -> u64 {
        self.actions.values().sum()
    }

    /// Returns one line on the state after a phase.
    pub fn line(&self, fixture: &SoakFixture, time: Duration) -> String {
        let Sample { rss, descriptors, threads, .. } =
            self.samples.last().map(|sampled| sampled.sample).unwrap_or_default();
        format!(
            "phase {} at {}: {} actions, in step after {:.1} s, {} assets ({} given up), life {}, {} MB, {descriptors} descriptors, {threads} threads",
            self.phases,
            clock(time),
            self.all_actions(),
            self.converged.as_secs_f64(),
            self.assets,
            self.given_up,
            fixture.service.life,
            rss / 1024,
        )
    }

    /// Returns the whole table.
    pub fn table(&self, fixture: &SoakFixture, time: Duration) -> String {
        let counts = fixture.emulator.counts();
        let mut text = String::new();
        let mut row = |name: &str, value: String| writeln!(text, "{name:<30} {value}").unwrap();
        row("duration", clock(time));
        row("phases", self.phases.to_string());
        row("actions", format!("{}: {}", self.all_actions(), list(&self.actions)));
        row("commands, by exit code", list(&fixture.commands.ended));
        row("other events", list(&self.events));
        row("lives of the service", fixture.service.life.to_string());
        row("faults that struck", list(&counts.faults));
        row("requests", format!("{}: {}", counts.requests(), list(&counts.endpoints)));
        row("answers", format!("{}, {} without", list(&counts.statuses), counts.unanswered));
        row("windows exceeded", counts.exceeded.to_string());
        row("assets", self.assets.to_string());
        row(
            "creates given up",
            format!("{}, {} assets unknown, {} doubled", self.given_up, self.unknown, self.doubles),
        );
        let (made, doubles) = fixture.runners.assets;
        row("CI runs, by exit code", format!("{}; {made} assets, {doubles} doubled", list(&fixture.runners.ended)));
        row("states deleted or put back", format!("{}, {} assets known to them alone", fixture.states, fixture.lost()));
        row("in step after at most", format!("{:.1} s", self.slowest.as_secs_f64()));
        row("orderly end after at most", format!("{:.1} s", fixture.service.slowest_end.as_secs_f64()));
        let all = || self.samples.iter().map(|sampled| sampled.sample);
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
        let lines = fixture.service.lines();
        row("lines of log", format!("{lines}, {:.1} an action", lines as f64 / self.all_actions().max(1) as f64));
        row("memory by phase", self.memory());
        text
    }

    /// Returns each life's resident memory in its calms.
    fn memory(&self) -> String {
        let mut lives: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for sampled in &self.samples {
            lives.entry(sampled.life).or_default().push(sampled.sample.rss.to_string());
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
