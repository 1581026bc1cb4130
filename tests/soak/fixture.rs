//! The fixture of a soak, and its course: storm, calm, storm, …, and an orderly end. Read next:
//! `scenario/` for the storm, `calm.rs` for the rest.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::calm;
use crate::figures::Figures;
use crate::invariants::Ledger;
use crate::known::Known;
use crate::options::Options;
use crate::pace::Pace;
use crate::processes::commands::Commands;
use crate::processes::emulator::Emulator;
use crate::processes::service::Service;
use crate::runners::Runners;
use crate::scenario::Scenario;
use crate::support::Project;

/// The number of recent actions that a failure shows.
const LAST_ACTIONS: usize = 40;

/// The number of recent lines of the service's log that a failure shows.
const LAST_LINES: usize = 100;

/// One row of `status`.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    pub address: String,
    pub asset_id: Option<u64>,
    pub content_hash: Option<String>,
    pub state: String,
    pub archived_by: Option<String>,
    pub error: Option<String>,
    pub code: Option<String>,
    pub facts: Option<Facts>,
    pub waits: Option<String>,
    pub drifts: Vec<Drift>,
}

/// A change of the asset for which Macadam blames another person.
#[derive(Debug, Clone, Deserialize)]
pub struct Drift {
    pub code: String,
    pub revision: Option<u64>,
    pub what: String,
}

/// What the reason of a hold names.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Facts {
    pub addresses: Vec<String>,
    pub asset_id: Option<u64>,
    pub revision: Option<u64>,
}

/// The two processes, the checkout between them, and the records of a soak.
#[derive(Debug)]
pub struct SoakFixture {
    pub pace: Pace,
    pub project: Project,
    pub emulator: Emulator,
    pub service: Service,
    pub commands: Commands,
    pub figures: Figures,
    pub runners: Runners,
    /// How often the state was deleted or replaced.
    pub states: u32,
    /// Facts that only lost states knew.
    pub gone: Vec<Known>,
    /// Revisions that a lost state had made, and that neither its older copy nor the lockfile of
    /// the checkout knew: asset and revision.
    pub unknown_revisions: BTreeSet<(u64, u64)>,
    /// Assets that were archived by hand before an older copy of the state came back.
    pub unknown_archivings: BTreeSet<u64>,
    began: Instant,
    events: Vec<String>,
    event_log: File,
}

impl SoakFixture {
    fn new(folder: &std::path::Path, pace: Pace) -> Self {
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs).unwrap();
        let emulator = Emulator::new(logs.clone(), &pace);
        let runners = Runners::new(folder.join("ci"), logs.clone(), emulator.url(), &pace);
        Self {
            project: Project::new(folder.join("checkout"), emulator.url(), pace.rest),
            pace,
            emulator,
            runners,
            states: 0,
            gone: Vec::new(),
            unknown_revisions: BTreeSet::new(),
            unknown_archivings: BTreeSet::new(),
            service: Service::new(logs.clone()),
            commands: Commands::new(logs.clone()),
            figures: Figures::default(),
            began: Instant::now(),
            events: Vec::new(),
            event_log: File::create(logs.join("story.log")).unwrap(),
        }
    }

    /// Records an event with its time in seconds.
    pub fn record(&mut self, what: impl Display) {
        let line = format!("{:9.3}  {what}", self.began.elapsed().as_secs_f64());
        writeln!(self.event_log, "{line}").unwrap();
        self.events.push(line);
    }

    /// Returns how many assets only lost states knew.
    pub fn lost(&self) -> usize {
        self.gone.iter().flat_map(Known::assets).collect::<BTreeSet<_>>().len()
    }

    /// Records a violation that doesn't keep the scenario from continuing.
    pub fn broken(&mut self, what: &str) {
        eprintln!("soak: phase {}: {what}", self.figures.phases + 1);
        self.record(what);
        self.figures.broken += 1;
    }

    /// Returns the rows of `status`; `None` if the command fails for now.
    pub fn status(&self) -> Option<Vec<Row>> {
        let (code, mut document) = self.project.json(&["status"]);
        (code == 0).then(|| serde_json::from_value(document["assets"].take()).unwrap())
    }

    /// Starts the next life of the service.
    pub fn start_service(&mut self, rng: &mut fastrand::Rng) {
        let interval = self.pace.intervals[rng.usize(..self.pace.intervals.len())];
        self.service.start(&self.project, self.pace.patience, interval);
        self.record(format!("the service begins its life {} with --interval {interval}", self.service.life));
    }

    /// Collects ended commands. The service must not end by itself, unless another command holds
    /// the state when it starts.
    pub fn supervise(&mut self, rng: &mut fastrand::Rng) {
        self.commands.reap();
        if let Some(status) = self.service.ended_by_itself() {
            assert!(status.code() == Some(5) && !self.service.is_ready(), "the service ended by itself with {status}");
            self.figures.count("the state was held at a start");
            std::thread::sleep(Duration::from_millis(300));
            self.start_service(rng);
        }
        if self.service.is_up() {
            self.service.log.catch_up();
        }
    }
}

/// Runs a scenario: for some time, or the short one.
pub fn run(options: &Options) -> ExitCode {
    let Options { seed, time, .. } = *options;
    println!("soak: --seed {seed}");
    let pace = if time.is_some() { Pace::long() } else { Pace::short() };
    let folder = tempfile::Builder::new().prefix("macadam-soak-").tempdir().unwrap();
    let mut fixture = SoakFixture::new(folder.path(), pace.clone());
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut scenario = Scenario::new(&pace, &options.without, rng.fork());
    let course = || course(&mut fixture, &mut scenario, &mut rng, time.unwrap_or_default());
    if catch_unwind(AssertUnwindSafe(course)).is_ok() && fixture.figures.broken == 0 {
        if time.is_some() {
            println!("{}", fixture.figures.table(&fixture, fixture.began.elapsed()));
        }
        return ExitCode::SUCCESS;
    }
    let kept: PathBuf = folder.keep();
    let last = |lines: &[String], count: usize| lines[lines.len().saturating_sub(count)..].join("\n");
    let log: Vec<String> = fixture.service.log.text().lines().map(str::to_owned).collect();
    eprintln!("\nthe last actions:\n{}", last(&fixture.events, LAST_ACTIONS));
    eprintln!("\nthe end of the service's log:\n{}", last(&log, LAST_LINES));
    eprintln!("\n{}", fixture.figures.table(&fixture, fixture.began.elapsed()));
    eprintln!(
        "\nsoak --seed {seed} failed in phase {}, or before where that is told: see above; all is kept in {}",
        fixture.figures.phases + 1,
        kept.display()
    );
    ExitCode::FAILURE
}

fn course(fixture: &mut SoakFixture, scenario: &mut Scenario, rng: &mut fastrand::Rng, time: Duration) {
    let mut ledger = Ledger::default();
    scenario.begin(fixture);
    if !time.is_zero() {
        // Every branch has the first files in its lockfile.
        calm::calm(fixture, scenario, &mut ledger, rng);
        fixture.project.commit("in step");
    }
    loop {
        scenario.storm(fixture, rng);
        calm::calm(fixture, scenario, &mut ledger, rng);
        fixture.runners.settle(&fixture.emulator);
        fixture.figures.phases += 1;
        println!("soak: {}", fixture.figures.line(fixture, fixture.began.elapsed()));
        if fixture.began.elapsed() >= time {
            break;
        }
    }
    calm::finish(fixture);
}
