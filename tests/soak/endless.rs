//! Uploads whose operation never ends at Roblox, and a person's remedies for one that is half an
//! hour old: to send it again, forget its address, or save other content. The soak doesn't wait for
//! half an hour: while the service is down, it dates the journal of the upload back.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::Value;

use crate::content::Kind;
use crate::fixture::SoakFixture;
use crate::known::{Known, copy_state, state_file};
use crate::manifest::Manifest;
use crate::system::Signal;

/// An upload of a new asset that Roblox works on, according to the state.
#[derive(Debug)]
struct Upload {
    id: u64,
    address: String,
    content: String,
}

/// Returns the uploads in the state that the emulator never ends.
fn uploads(fixture: &SoakFixture) -> Vec<Upload> {
    let endless: BTreeSet<String> = fixture.emulator.endless().into_iter().collect();
    if endless.is_empty() {
        return Vec::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(copy) = copy_state(&fixture.project.file(""), folder.path()) else { return Vec::new() };
    let db = Connection::open(copy).unwrap();
    let last = "SELECT id, address, lower(hex(content)), event, operation
        FROM attempts JOIN journal ON attempt = id
        WHERE action IN ('create', 'replace') AND ending IS NULL
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

/// Lets half an hour pass for each endless upload; then a person handles it. `number` and those
/// after it are new contents.
pub fn settle(fixture: &mut SoakFixture, mut number: u64, rng: &mut fastrand::Rng) -> bool {
    let can_act = fixture.service.is_up() && fixture.emulator.is_up() && !fixture.project.lacks_state();
    if !can_act || fixture.service.frozen(|| uploads(fixture)).is_empty() {
        return false;
    }
    fixture.commands.finish();
    fixture.service.until_ready();
    fixture.service.end(Signal::TERM);
    let old = uploads(fixture);
    let db = Connection::open(state_file(&fixture.project.file(""))).unwrap();
    for Upload { id, .. } in &old {
        let back = "UPDATE journal SET at = strftime('%Y-%m-%dT%H:%M:%SZ', at, '-40 minutes') WHERE attempt = ?1";
        db.execute(back, [i64::try_from(*id).unwrap()]).unwrap();
    }
    drop(db);
    fixture.start_service(rng);
    fixture.service.until_ready();
    for upload in old {
        handle(fixture, &upload, number, rng);
        number += 1;
    }
    true
}

/// Handles an upload as a person would, with the service running.
fn handle(fixture: &mut SoakFixture, Upload { address, content, .. }: &Upload, number: u64, rng: &mut fastrand::Rng) {
    let manifest = Manifest::read(&fixture.project);
    let path = manifest.entries().get(address).map_or_else(|| address.clone(), |entry| entry.path.clone());
    let (has_file, is_pinned) = (fixture.project.file(&path).exists(), manifest.pins().contains(address));
    let rows = fixture.status().unwrap_or_default();
    let asset = rows.iter().find(|row| row.address == *address).and_then(|row| row.asset_id);
    let users = rows.iter().filter(|row| row.asset_id.is_some() && row.asset_id == asset).count();
    let patience = ["--patience", fixture.pace.command_patience];
    match rng.u8(..3) {
        0 if has_file && !is_pinned => {
            fixture.record(format!("{address} never ends: another content"));
            fixture.project.write(&path, Kind::of(&path).bytes(number));
            fixture.figures.count("uploads without end: overtaken by a change");
        }
        // Shared uploads stay as they are; they are another matter.
        1 if !is_pinned && users < 2 => {
            let mut known = fixture.service.frozen(|| Known::state(&fixture.project));
            let (code, document) = fixture.project.json(&[&["forget", "--yes", address], patience.as_slice()].concat());
            fixture.record(format!("{address} never ends: forget it: {code} {}", document["errors"]));
            if code == 0 {
                // A person removed the address from everything that Macadam manages.
                known.facts.retain(|(of, ..), _| of == address);
                known.open = vec![(address.clone(), true, content.clone())];
                let Known { facts, open, .. } = known;
                fixture.gone.push(Known { facts, open, ..Known::default() });
                fixture.figures.count("uploads without end: forgotten");
            }
        }
        _ => {
            let (code, document) =
                fixture.project.json(&[&["resolve", address, "--recreate"], patience.as_slice()].concat());
            fixture.record(format!("{address} never ends: send it again: {code} {}", document["errors"]));
            fixture.figures.count("uploads without end: sent again");
        }
    }
}

/// Whether an operation of the emulator never ends.
pub fn is_endless(operation: &Value) -> bool {
    operation["done"] == false && operation["finish_at_ms"].is_null() && operation["gone"] == false
}
