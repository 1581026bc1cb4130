//! The main job: files in, assets on the remote, their IDs in state and lockfile, a second run with nothing to do.

use macadam::emulator::Endpoint;

use super::support::{GLOBS, Project, Remote, png, rbxmx};

#[test]
fn a_second_run_sends_nothing() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("models/b.rbxmx", rbxmx("b"));
    let first = project.sync();
    assert_eq!(first["summary"]["create"], 2);
    assert_eq!(first["in_sync"], true);
    assert_eq!(remote.assets().len(), 2);
    let before = remote.all_requests();
    let second = project.sync();
    assert_eq!(second["actions"].as_array().unwrap().len(), 0);
    assert_eq!(remote.all_requests(), before);
    assert_eq!(remote.requests(Endpoint::CreateAsset), 2);
}
