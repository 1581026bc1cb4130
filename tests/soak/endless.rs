//! Uploads whose operation never ends at Roblox, and what a person does about one that is half an
//! hour old: sends it again, forgets its address, or saves another content. Nobody waits for half
//! an hour here: while the service is down, the journal of the upload is dated back.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

use crate::content::Kind;
use crate::known::{Known, copy_state, state_file};
use crate::manifest::Manifest;
use crate::stage::Stage;

/// An upload of a new asset that Roblox works on, by the state.
#[derive(Debug)]
struct Upload {
    id: u64,
    address: String,
    content: String,
}

/// The uploads of the state that the emulator never ends.
fn uploads(stage: &Stage) -> Vec<Upload> {
    let endless: BTreeSet<String> = stage.emulator.endless().into_iter().collect();
    if endless.is_empty() {
        return Vec::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(copy) = copy_state(&stage.project.file(""), folder.path()) else { return Vec::new() };
    let db = Connection::open(copy).unwrap();
    let last = "SELECT id, address, lower(hex(content)), event, operation
        FROM attempts JOIN journal ON attempt = id
        WHERE asset_id IS NULL AND ending IS NULL
        AND step = (SELECT max(step) FROM journal WHERE attempt = attempts.id)";
    let mut rows = db.prepare(last).unwrap();
    let rows = rows.query_map([], |row| {
        let upload = Upload { id: row.get::<_, i64>(0)?.unsigned_abs(), address: row.get(1)?, content: row.get(2)? };
        Ok((upload, row.get::<_, String>(3)?, row.get::<_, Option<String>>(4)?))
    });
    let rows = rows.unwrap().map(Result::unwrap);
    let is_endless = |event: &str, operation: &Option<String>| {
        event == "accept" && operation.as_ref().is_some_and(|operation| endless.contains(operation))
    };
    rows.filter(|(_, event, operation)| is_endless(event, operation)).map(|(upload, ..)| upload).collect()
}

/// Lets half an hour go by for each upload that never ends, and then a person does something about
/// it. `number` and those after it are new contents.
pub fn settle(stage: &mut Stage, mut number: u64, rng: &mut fastrand::Rng) -> bool {
    let can_act = stage.service.is_up() && stage.emulator.is_up() && !stage.project.lacks_state();
    if !can_act || stage.service.frozen(|| uploads(stage)).is_empty() {
        return false;
    }
    stage.commands.finish();
    stage.service.until_ready();
    stage.service.end(Signal::TERM);
    let old = uploads(stage);
    let db = Connection::open(state_file(&stage.project.file(""))).unwrap();
    for Upload { id, .. } in &old {
        let back = "UPDATE journal SET at = strftime('%Y-%m-%dT%H:%M:%SZ', at, '-40 minutes') WHERE attempt = ?1";
        db.execute(back, [i64::try_from(*id).unwrap()]).unwrap();
    }
    drop(db);
    stage.start_service(rng);
    stage.service.until_ready();
    for upload in old {
        way_out(stage, &upload, number, rng);
        number += 1;
    }
    true
}

/// What a person does, with the service running.
fn way_out(stage: &mut Stage, Upload { address, content, .. }: &Upload, number: u64, rng: &mut fastrand::Rng) {
    let manifest = Manifest::read(&stage.project);
    let path = manifest.entries().get(address).map_or_else(|| address.clone(), |entry| entry.path.clone());
    let (has_file, is_pinned) = (stage.project.file(&path).exists(), manifest.pins().contains(address));
    let rows = stage.status().unwrap_or_default();
    let asset = rows.iter().find(|row| row.address == *address).and_then(|row| row.asset_id);
    let users = rows.iter().filter(|row| row.asset_id.is_some() && row.asset_id == asset).count();
    let patience = ["--patience", stage.pace.command_patience];
    match rng.u8(..3) {
        0 if has_file && !is_pinned => {
            stage.tell(format!("{address} never ends: another content"));
            stage.project.write(&path, Kind::of(&path).bytes(number));
            stage.figures.count("uploads without end: overtaken by a change");
        }
        // What others share stays theirs, which is another story.
        1 if !is_pinned && users < 2 => {
            let mut known = stage.service.frozen(|| Known::state(&stage.project));
            let (code, document) = stage.project.json(&[&["forget", address], patience.as_slice()].concat());
            stage.tell(format!("{address} never ends: forget it: {code} {}", document["errors"]));
            if code == 0 {
                // A person took the address out of all that Macadam looks after.
                known.facts.retain(|(of, ..), _| of == address);
                known.open = vec![(address.clone(), true, content.clone())];
                let Known { facts, open, .. } = known;
                stage.gone.push(Known { facts, open, ..Known::default() });
                stage.figures.count("uploads without end: forgotten");
            }
        }
        _ => {
            let (code, document) =
                stage.project.json(&[&["resolve", address, "--recreate"], patience.as_slice()].concat());
            stage.tell(format!("{address} never ends: send it again: {code} {}", document["errors"]));
            stage.figures.count("uploads without end: sent again");
        }
    }
}

/// What the emulator says of its operations.
pub fn is_endless(operation: &Value) -> bool {
    operation["done"] == false && operation["finish_at_ms"].is_null() && operation["gone"] == false
}
