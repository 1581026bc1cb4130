//! Death from outside, at random moments and in the middle of a lockfile's write.

use std::time::Duration;

use macadam::emulator::{ApiEndpoint, FaultAction};

use super::points::MODELS;
use super::stage::{Stage, lockfile_ids, wait_until};
use crate::support::animation;
use crate::support::system::Signal;

/// The number of new files in each round.
const FILES: usize = 30;

/// The first kill of a round falls into this time, in milliseconds; the later ones as well.
const MOMENTS: std::ops::Range<u64> = 20..1200;

/// The number of extra rounds for a machine on which nothing was on the wire yet.
const PATIENCE: u64 = 10;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

#[test]
fn at_random_while_thirty_files_go_up() {
    let rounds = number("MACADAM_CRASH_ROUNDS").unwrap_or(3);
    let seed = number("MACADAM_CRASH_SEED").unwrap_or(1);
    println!("MACADAM_CRASH_SEED={seed} MACADAM_CRASH_ROUNDS={rounds}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::new(MODELS);
    stage.write("models/base.rbxmx", animation("base"));
    stage.converge();
    // Creates stay on the wire for a while, so that many deaths find some there.
    let wire = FaultAction::Delay { before_commit_ms: 20, before_reply_ms: 40 };
    stage.fault(ApiEndpoint::CreateAsset, wire);
    let (mut deaths, mut in_doubt) = (0, 0);
    // On a slow machine the first deaths may come before anything is on the wire: then there are
    // more.
    for round in 0..rounds + PATIENCE {
        if round >= rounds && in_doubt > 0 {
            break;
        }
        for file in 0..FILES {
            stage.write(&format!("models/{file}.rbxmx"), animation(&format!("{round} {file}")));
        }
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut run = stage.spawn();
            std::thread::sleep(Duration::from_millis(random.u64(MOMENTS)));
            run.send(Signal::KILL);
            deaths += u32::from(run.end().is_none());
            open.extend(stage.examine_the_dead());
        }
        in_doubt += open.iter().filter(|open| open.is_create_in_doubt()).count();
        stage.recover(&open);
    }
    println!("{deaths} deaths, {in_doubt} creates in doubt, {} assets", stage.remote.assets().len());
    assert!(deaths > 0 && in_doubt > 0, "nothing was on the wire when a run was killed");
}

#[test]
fn while_the_lockfile_is_written() {
    let mut stage = Stage::new(MODELS);
    stage.write("models/a.rbxmx", animation("base"));
    stage.converge();
    // A lockfile that takes a while to write: it remembers many assets of other branches.
    let text = stage.project.read("assets.lock.toml");
    let others: String = (0..4000)
        .map(|n| {
            let hash = super::stage::hash(format!("other {n}").as_bytes());
            format!(
                "[assets.\"z/{n:05}.rbxmx\"]\ntype = \"Animation\"\ncreator = \"user:1\"\nremoved = true\nrevisions = [\n  {{ asset_id = {}, content_hash = \"{hash}\" }},\n]\n\n",
                900_000_000 + n
            )
        })
        .collect();
    stage.project.write("assets.lock.toml", text.replace("# end of lockfile", &format!("{others}# end of lockfile")));
    stage.converge();

    let mut torn_off = 0;
    for round in 0..8 {
        stage.write("models/a.rbxmx", animation(&format!("{round}")));
        let before = stage.project.read("assets.lock.toml");
        let mut run = stage.spawn();
        wait_until("the lockfile's successor", || is_being_written(&stage) || !run.is_running());
        if run.is_running() {
            run.send(Signal::KILL);
        }
        torn_off += u32::from(run.end().is_none());
        let after = stage.lockfile();
        let ids = lockfile_ids(&after);
        assert!(lockfile_ids(&toml::Value::Table(toml::from_str(&before).unwrap())).is_subset(&ids));
        assert!(ids.len() > 4000);
    }
    assert!(torn_off > 0, "no run was killed while it wrote");
    stage.converge();
    let ids = lockfile_ids(&stage.lockfile());
    assert!(stage.remote.assets().iter().all(|asset| ids.contains(&asset.asset.id)), "an asset is lost");
}

/// Whether the temporary file that will replace the lockfile is there.
fn is_being_written(stage: &Stage) -> bool {
    let names = std::fs::read_dir(stage.project.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(".assets.lock.toml."))
}
