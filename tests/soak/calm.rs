//! The calm after a storm: the service gets in step, with a person's help where the contract asks
//! for it; then everything is checked. And the end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::endless;
use crate::figures::Taken;
use crate::invariants::{self, Ledger};
use crate::known::Known;
use crate::stage::{Row, Stage};
use crate::story::Story;

/// In a quiet time the log grows by this many lines at most.
const LINES_WHEN_QUIET: u64 = 5;

/// What is out of step for so long while Macadam says that it is in step stays so.
const UNSEEN: Duration = Duration::from_secs(10);

/// What a person did about an upload without end shows after so long.
const SETTLES: Duration = Duration::from_secs(5);

/// Lets the storm end, waits until the service is in step, and checks all that must hold then.
pub fn calm(stage: &mut Stage, story: &mut Story, ledger: &mut Ledger, rng: &mut fastrand::Rng) {
    let began = Instant::now();
    story.rest(stage, rng);
    converge(stage, story, rng);
    stage.figures.converged = began.elapsed();
    stage.figures.slowest = stage.figures.slowest.max(began.elapsed());
    stage.tell("in step");
    stage.service.until_ready();
    quiet(stage);
    invariants::in_step(stage, story).unwrap_or_else(|out| panic!("no longer in step: {}", out.why));
    ledger.check(stage);
    take_sample(stage);
    invariants::bounded(&stage.figures.samples);
    invariants::healthy(stage);
}

fn converge(stage: &mut Stage, story: &mut Story, rng: &mut fastrand::Rng) {
    let began = Instant::now();
    let (mut helped, mut settled, mut last, mut since) = (Instant::now(), Instant::now(), None, Instant::now());
    loop {
        stage.supervise(rng);
        let Err(out) = invariants::in_step(stage, story) else {
            // What nobody wants any more is seen to as well.
            if endless::settle(stage, story.number_block(), rng) {
                settled = Instant::now();
                continue;
            }
            return;
        };
        let waited = began.elapsed();
        assert!(waited < stage.pace.converge, "not in step after {} s: {}", waited.as_secs(), out.why);
        if last.as_ref() != Some(&out) {
            (last, since) = (Some(out), Instant::now());
        } else if out.unseen && since.elapsed() > UNSEEN {
            stage.broken(&out.why);
            overwrite(stage, &[out.address], rng);
        }
        if helped.elapsed() > Duration::from_secs(1) {
            help(stage);
            accept_lockfile(stage, rng);
            mend_blame(stage, rng);
            if settled.elapsed() > SETTLES && endless::settle(stage, story.number_block(), rng) {
                settled = Instant::now();
            }
            helped = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// What `status` asks of a person: creates that are held in doubt are settled, and what was
/// archived by hand is restored where its file went on.
fn help(stage: &mut Stage) {
    let Some(rows) = stage.status() else { return };
    let mut doubtful = BTreeSet::new();
    for row in rows.iter().filter(|row| row.state == "held") {
        let error = row.error.clone().unwrap_or_default();
        if error.ends_with("is archived") {
            by_hand(stage, &["restore", &row.address], "archived assets that a person restored for a new content");
            continue;
        }
        if error.starts_with("it shares the upload of") {
            // The one whose upload it is may have left: it is the one to settle all the same.
            doubtful.extend(error.split('`').nth(1).map(str::to_owned));
        } else if error.contains("create") {
            doubtful.insert(row.address.clone());
        }
    }
    if doubtful.is_empty() {
        return;
    }
    let known = stage.service.frozen(|| Known::state(&stage.project));
    for (address, _, content) in known.open.iter().filter(|(address, ..)| doubtful.contains(address)) {
        resolve(stage, &known, address, content);
    }
}

/// A branch that was made before its first lockfile was written has none, and says so: a person
/// agrees to a new one.
fn accept_lockfile(stage: &mut Stage, rng: &mut fastrand::Rng) {
    let (code, status) = stage.project.json(&["status"]);
    if code != 0 || status["lost_lockfile"].is_null() {
        return;
    }
    stage.service.end(Signal::TERM);
    by_hand(stage, &["sync", "--once", "--accept-new-lockfile"], "lockfiles that a person agreed to make anew");
    stage.start_service(rng);
    stage.service.until_ready();
}

/// Nobody but Macadam changes anything at this remote: what is blamed on somebody else is told as
/// broken, and put right so that the story can go on.
fn mend_blame(stage: &mut Stage, rng: &mut fastrand::Rng) {
    let blamed = |row: &Row| {
        let mut whats = row.drifts.iter().map(|drift| &drift.what).chain(row.error.as_ref());
        ["held", "drifted"].contains(&row.state.as_str()) && whats.any(|what| what.starts_with("somebody else made"))
    };
    let rows: Vec<Row> = stage.status().unwrap_or_default().into_iter().filter(blamed).collect();
    if rows.is_empty() {
        return;
    }
    for row in &rows {
        // A lost state made it, and no lockfile of this branch tells so: to the older copy somebody else
        // did.
        if stage.unknown_revisions.iter().any(|(asset, revision)| row.blames(*asset, *revision)) {
            stage.figures.count("revisions of a lost state that were taken for somebody else's");
        } else {
            stage.broken(&format!("of asset {:?} {}", row.asset_id, row.told()));
        }
    }
    overwrite(stage, &rows.into_iter().map(|row| row.address).collect::<Vec<_>>(), rng);
}

/// Puts the files over what the remote has, for which the service has to be stopped.
fn overwrite(stage: &mut Stage, addresses: &[String], rng: &mut fastrand::Rng) {
    stage.service.end(Signal::TERM);
    let over = addresses.iter().flat_map(|address| ["--overwrite", address]);
    let args: Vec<&str> = ["sync", "--once", "--refresh"].into_iter().chain(over).collect();
    by_hand(stage, &args, "times that files were put over what the remote had");
    stage.start_service(rng);
    stage.service.until_ready();
}

/// Looks for what a create in doubt made, as a person would.
fn resolve(stage: &mut Stage, known: &Known, address: &str, content: &str) {
    let (assets, known) = (stage.emulator.assets(), known.assets());
    let made = assets.iter().find(|asset| {
        let id = asset["id"].as_u64().unwrap();
        !known.contains(&id) && invariants::made_with(asset) == content
    });
    let id = made.map(|asset| asset["id"].to_string());
    let settled: Vec<&str> = match &id {
        Some(id) => vec!["--asset-id", id],
        None => vec!["--recreate"],
    };
    by_hand(stage, &[&["resolve", address], settled.as_slice()].concat(), "creates in doubt that a person settled");
}

fn by_hand(stage: &mut Stage, args: &[&str], what: &str) {
    let (code, document) = stage.project.json(&[args, &["--patience", stage.pace.command_patience]].concat());
    stage.tell(format!("{args:?}: {code} {}", document["errors"]));
    stage.figures.count(what);
}

/// What ended just now is in the lockfile after so long: the service writes it at most every five
/// seconds.
const WRITTEN_DOWN: Duration = Duration::from_secs(6);

/// For a while nothing may happen: no request for a change, no new lockfile, hardly a line in the
/// log.
fn quiet(stage: &mut Stage) {
    std::thread::sleep(WRITTEN_DOWN);
    stage.service.log.catch_up();
    let look = |stage: &Stage| (stage.emulator.counts().writes(), stage.project.read("assets.lock.toml"));
    let (before, lines, processor) = (look(stage), stage.service.log.lines, stage.service.sample().processor);
    std::thread::sleep(stage.pace.quiet);
    let after = look(stage);
    assert_eq!(before.0, after.0, "in a quiet time requests for changes were sent");
    assert!(before.1 == after.1, "in a quiet time the lockfile was written");
    let added = stage.service.log.catch_up();
    assert!(stage.service.log.lines <= lines + LINES_WHEN_QUIET, "in a quiet time this was logged:\n{added}");
    stage.figures.idle = stage.service.sample().processor - processor;
}

fn take_sample(stage: &mut Stage) {
    let taken = Taken { life: stage.service.life, phase: stage.figures.phases + 1, sample: stage.service.sample() };
    stage.figures.samples.push(taken);
}

/// SIGTERM ends the service in order, and a run after it has nothing to do.
pub fn finish(stage: &mut Stage) {
    stage.service.end(Signal::TERM);
    let before = stage.emulator.counts();
    let (code, document) = stage.project.json(&["sync", "--once"]);
    assert_eq!((code, document["in_sync"].as_bool()), (0, Some(true)), "a run after the service: {document:#}");
    let after = stage.emulator.counts();
    assert_eq!(before.writes(), after.writes(), "a run after the service sent requests for changes: {document:#}");
    stage.tell(format!("the run after the service sent {} requests", after.requests() - before.requests()));
    invariants::few_lines(stage);
}

impl Row {
    /// Whether it says that somebody else made this revision.
    fn blames(&self, asset: u64, revision: u64) -> bool {
        let told = self.told();
        self.asset_id == Some(asset)
            && told.contains(&format!("somebody else made revision {revision} of asset {asset}"))
    }

    /// For a person who wonders about it.
    pub fn told(&self) -> String {
        let Self { address, state, error, waits, drifts, .. } = self;
        let drift = drifts.first().map(|drift| &drift.what);
        format!("`{address}` is {state}: {}", drift.or(error.as_ref()).or(waits.as_ref()).map_or("", |text| text))
    }
}
