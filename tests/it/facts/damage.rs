//! A state that lost rows proves nothing: it isn't used, and the lockfile stays as it is.

use macadam::emulator::ApiEndpoint;
use rusqlite::Connection;

use super::{LOCKFILE, asset_id, machine, remote};
use crate::support::{Project, png, rbxmx};

const STATE: &str = ".macadam/assets.db";

fn remove_state(project: &Project) {
    for name in [STATE.to_owned(), format!("{STATE}-wal"), format!("{STATE}-shm")] {
        if project.file(&name).exists() {
            project.remove(&name);
        }
    }
}

#[test]
fn a_state_that_lost_rows_is_not_used_and_uploads_nothing() {
    let remote = remote();
    let project =
        machine(&remote, &[("ui/a.png", png(1)), ("ui/b.png", png(2)), ("models/s.rbxmx", rbxmx("s").into_bytes())]);
    project.sync();
    let (lockfile, id) = (project.read(LOCKFILE), asset_id(&project, "ui/a.png"));
    let (creates, requests) = (remote.requests(ApiEndpoint::CreateAsset), remote.all_requests());
    let sound = std::fs::read(project.file(STATE)).unwrap();
    for loss in [
        "DELETE FROM revisions",
        "DELETE FROM revisions WHERE address = 'ui/a.png'",
        "DELETE FROM assets WHERE address = 'ui/a.png'",
        "PRAGMA foreign_keys = ON; DELETE FROM assets",
        "UPDATE revisions SET content = zeroblob(32) WHERE address = 'ui/b.png'",
    ] {
        remove_state(&project);
        project.write(STATE, &sound);
        let state = Connection::open(project.file(STATE)).unwrap();
        state.execute_batch(loss).unwrap();
        drop(state);
        for command in [&["sync", "--once"][..], &["plan"], &["status"]] {
            let (code, document) = project.json(command);
            assert_eq!(code, 3, "{loss}: {command:?}: {document:#}");
            let error = &document["errors"][0];
            assert!(error["message"].as_str().unwrap().contains("damaged"), "{loss}: {error:#}");
            assert!(error["hint"].as_str().unwrap().contains("rebuilds the state from the lockfile"), "{error:#}");
        }
        assert_eq!(project.read(LOCKFILE), lockfile, "{loss}");
    }
    assert_eq!(remote.all_requests(), requests);
    // As the hint says.
    remove_state(&project);
    project.sync();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
    assert_eq!((project.read(LOCKFILE), asset_id(&project, "ui/a.png")), (lockfile, id));
}
