//! The calm after a storm: the service catches up, with a person's help where the contract asks for
//! it; then everything is checked. Also the end of the soak.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::endless;
use crate::figures::PhaseSample;
use crate::fixture::{Row, SoakFixture};
use crate::invariants::{self, Ledger};
use crate::known::Known;
use crate::scenario::Scenario;
use crate::system::Signal;

/// The most lines that the log may grow by in a quiet time.
const LINES_WHEN_QUIET: u64 = 5;

/// The time after which a difference that Macadam doesn't report counts as permanent.
const UNSEEN: Duration = Duration::from_secs(10);

/// The time after which a person's handling of an endless upload shows.
const SETTLES: Duration = Duration::from_secs(5);

/// Lets the storm end, waits until the service is in step, and checks all invariants.
pub fn calm(fixture: &mut SoakFixture, scenario: &mut Scenario, ledger: &mut Ledger, rng: &mut fastrand::Rng) {
    let began = Instant::now();
    scenario.wind_down(fixture, rng);
    converge(fixture, scenario, rng);
    fixture.figures.converged = began.elapsed();
    fixture.figures.slowest = fixture.figures.slowest.max(began.elapsed());
    fixture.record("in step");
    fixture.service.until_ready();
    quiet(fixture);
    invariants::in_step(fixture, scenario).unwrap_or_else(|out| panic!("no longer in step: {}", out.why));
    ledger.check(fixture);
    take_sample(fixture);
    invariants::bounded(&fixture.figures.samples);
    invariants::healthy(fixture);
}

fn converge(fixture: &mut SoakFixture, scenario: &mut Scenario, rng: &mut fastrand::Rng) {
    let began = Instant::now();
    let (mut helped, mut settled, mut last, mut since) = (Instant::now(), Instant::now(), None, Instant::now());
    loop {
        fixture.supervise(rng);
        let Err(out) = invariants::in_step(fixture, scenario) else {
            // Endless uploads of removed files are settled as well.
            if endless::settle(fixture, scenario.number_block(), rng) {
                settled = Instant::now();
                continue;
            }
            return;
        };
        let waited = began.elapsed();
        assert!(waited < fixture.pace.converge, "not in step after {} s: {}", waited.as_secs(), out.why);
        if last.as_ref() != Some(&out) {
            (last, since) = (Some(out), Instant::now());
        } else if out.unseen && since.elapsed() > UNSEEN {
            if restore_of_a_lost_state(fixture, &out.address) {
                continue;
            }
            if is_of_a_lost_state(fixture, &out.address) {
                fixture.figures.count("revisions of a lost state that nothing has read yet");
            } else {
                fixture.broken(&out.why);
            }
            overwrite(fixture, &[out.address], rng);
        }
        if helped.elapsed() > Duration::from_secs(1) {
            help(fixture);
            accept_lockfile(fixture, rng);
            repair_blame(fixture, rng);
            if settled.elapsed() > SETTLES && endless::settle(fixture, scenario.number_block(), rng) {
                settled = Instant::now();
            }
            helped = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Does the tasks that `status` leaves to a person: resolves held creates in doubt, and restores
/// archived assets whose file changed.
fn help(fixture: &mut SoakFixture) {
    let Some(rows) = fixture.status() else { return };
    let mut in_doubt = BTreeSet::new();
    for row in rows.iter().filter(|row| row.state == "held") {
        let code = row.code.as_deref().unwrap_or_default();
        if code == "archived" {
            run_command(
                fixture,
                &["restore", &row.address],
                "archived assets that a person restored for a new content",
            );
            continue;
        }
        let asset_id = row.facts.as_ref().and_then(|facts| facts.asset_id);
        if let ("one_of_several_left", Some(asset_id)) = (code, asset_id) {
            let asset_id = asset_id.to_string();
            run_command(fixture, &["import", &row.address, &asset_id], "moves that a person decided");
            continue;
        }
        if code == "shared_upload" {
            // The owner of the shared upload may be removed; it is still the one to resolve.
            in_doubt.extend(row.facts.iter().flat_map(|facts| facts.addresses.clone()));
        } else if ["no_answer", "answer_lost"].contains(&code) {
            in_doubt.insert(row.address.clone());
        }
    }
    if in_doubt.is_empty() {
        return;
    }
    let known = fixture.service.frozen(|| Known::state(&fixture.project));
    for (address, _, content) in known.open.iter().filter(|(address, ..)| in_doubt.contains(address)) {
        resolve(fixture, &known, address, content);
    }
}

/// Accepts a new lockfile. A branch that was made before its first lockfile was written has none,
/// and `status` reports that.
fn accept_lockfile(fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
    let (code, status) = fixture.project.json(&["status"]);
    if code != 0 || status["lost_lockfile"].is_null() {
        return;
    }
    fixture.service.end(Signal::TERM);
    run_command(fixture, &["sync", "--once", "--accept-new-lockfile"], "lockfiles that a person agreed to make anew");
    fixture.start_service(rng);
    fixture.service.until_ready();
}

/// Repairs wrong blame. Only Macadam changes anything at this remote, so blaming another person
/// counts as broken. The files are put over it so that the scenario can continue.
fn repair_blame(fixture: &mut SoakFixture, rng: &mut fastrand::Rng) {
    let blamed = |row: &Row| {
        let mut codes = row.drifts.iter().map(|drift| &drift.code).chain(row.code.as_ref());
        ["held", "drifted"].contains(&row.state.as_str()) && codes.any(|code| code == "made_elsewhere")
    };
    let rows: Vec<Row> = fixture.status().unwrap_or_default().into_iter().filter(blamed).collect();
    if rows.is_empty() {
        return;
    }
    for row in &rows {
        // A lost state made it, and no lockfile of this branch says so. To the older copy it is
        // another person's.
        if fixture.unknown_revisions.iter().any(|(asset, revision)| row.blames(*asset, *revision)) {
            fixture.figures.count("revisions of a lost state that were taken for somebody else's");
        } else {
            fixture.broken(&format!("of asset {:?} {}", row.asset_id, row.description()));
        }
    }
    overwrite(fixture, &rows.into_iter().map(|row| row.address).collect::<Vec<_>>(), rng);
}

/// Returns whether a lost state made the head of an address's asset, and no lockfile of this branch
/// says so. The older copy sees it only when it reads the asset, which the service does within six
/// hours.
fn is_of_a_lost_state(fixture: &SoakFixture, address: &str) -> bool {
    let rows = fixture.status().unwrap_or_default();
    let asset = rows.iter().find(|row| row.address == address).and_then(|row| row.asset_id);
    let assets = fixture.emulator.assets();
    let head = assets.iter().find(|found| found["id"].as_u64() == asset).and_then(|found| found["head"].as_u64());
    asset.zip(head).is_some_and(|made| fixture.unknown_revisions.contains(&made))
}

/// Restores the asset of an address that was archived by hand, if only a lost state knew so. The
/// older copy and its lockfile don't know of it until they read the asset, and then report it as
/// archived outside of Macadam. A person restores it.
fn restore_of_a_lost_state(fixture: &mut SoakFixture, address: &str) -> bool {
    let rows = fixture.status().unwrap_or_default();
    let is_unknown = |row: &&Row| {
        let asset_id = row.asset_id.filter(|id| fixture.unknown_archivings.contains(id));
        row.address == address && row.archived_by.as_deref() != Some("hand") && asset_id.is_some()
    };
    let found = rows.iter().any(|row| is_unknown(&row));
    if found {
        run_command(fixture, &["restore", address], "archivings of a lost state that a person took back");
    }
    found
}

/// Puts the files over the remote's content. The service must be stopped for that.
fn overwrite(fixture: &mut SoakFixture, addresses: &[String], rng: &mut fastrand::Rng) {
    fixture.service.end(Signal::TERM);
    let over = addresses.iter().flat_map(|address| ["--overwrite", address]);
    let args: Vec<&str> = ["sync", "--once", "--refresh"].into_iter().chain(over).collect();
    run_command(fixture, &args, "times that files were put over what the remote had");
    fixture.start_service(rng);
    fixture.service.until_ready();
}

/// Looks for the result of a create in doubt, as a person would.
fn resolve(fixture: &mut SoakFixture, known: &Known, address: &str, content: &str) {
    let (assets, known) = (fixture.emulator.assets(), known.assets());
    let made = assets.iter().find(|asset| {
        let id = asset["id"].as_u64().unwrap();
        !known.contains(&id) && invariants::made_with(asset) == content
    });
    let id = made.map(|asset| asset["id"].to_string());
    let settled: Vec<&str> = match &id {
        Some(id) => vec!["--asset-id", id],
        None => vec!["--recreate"],
    };
    run_command(
        fixture,
        &[&["resolve", address], settled.as_slice()].concat(),
        "creates in doubt that a person settled",
    );
}

fn run_command(fixture: &mut SoakFixture, args: &[&str], what: &str) {
    let (code, document) = fixture.project.json(&[args, &["--patience", fixture.pace.command_patience]].concat());
    fixture.record(format!("{args:?}: {code} {}", document["errors"]));
    fixture.figures.count(what);
}

/// The time after which a finished upload is in the lockfile. The service writes it at most every
/// five seconds.
const WRITTEN_DOWN: Duration = Duration::from_secs(6);

/// Checks that nothing happens for a while: no write, no new lockfile, hardly a line in the log.
fn quiet(fixture: &mut SoakFixture) {
    std::thread::sleep(WRITTEN_DOWN);
    fixture.service.log.catch_up();
    let look = |fixture: &SoakFixture| (fixture.emulator.counts().writes(), fixture.project.read("assets.lock.toml"));
    let (before, lines, processor) = (look(fixture), fixture.service.log.lines, fixture.service.sample().processor);
    std::thread::sleep(fixture.pace.quiet);
    let after = look(fixture);
    assert_eq!(before.0, after.0, "in a quiet time requests for changes were sent");
    assert!(before.1 == after.1, "in a quiet time the lockfile was written");
    let added = fixture.service.log.catch_up();
    assert!(fixture.service.log.lines <= lines + LINES_WHEN_QUIET, "in a quiet time this was logged:\n{added}");
    fixture.figures.idle = fixture.service.sample().processor - processor;
}

fn take_sample(fixture: &mut SoakFixture) {
    let sampled =
        PhaseSample { life: fixture.service.life, phase: fixture.figures.phases + 1, sample: fixture.service.sample() };
    fixture.figures.samples.push(sampled);
}

/// Checks that SIGTERM ends the service in order, and that a run after it has nothing to do.
pub fn finish(fixture: &mut SoakFixture) {
    fixture.service.end(Signal::TERM);
    let before = fixture.emulator.counts();
    let (code, document) = fixture.project.json(&["sync", "--once"]);
    assert_eq!((code, document["in_sync"].as_bool()), (0, Some(true)), "a run after the service: {document:#}");
    let after = fixture.emulator.counts();
    assert_eq!(before.writes(), after.writes(), "a run after the service sent requests for changes: {document:#}");
    fixture.record(format!("the run after the service sent {} requests", after.requests() - before.requests()));
    invariants::few_lines(fixture);
}

impl Row {
    /// Whether it says that another person made this revision.
    fn blames(&self, asset: u64, revision: u64) -> bool {
        let drifted = self.drifts.iter().map(|drift| drift.revision);
        let mut named = drifted.chain(self.facts.iter().map(|facts| facts.revision));
        self.asset_id == Some(asset) && named.any(|named| named == Some(revision))
    }

    /// Describes the row for a person.
    pub fn description(&self) -> String {
        let Self { address, state, error, waits, drifts, .. } = self;
        let drift = drifts.first().map(|drift| &drift.what);
        format!("`{address}` is {state}: {}", drift.or(error.as_ref()).or(waits.as_ref()).map_or("", |text| text))
    }
}
