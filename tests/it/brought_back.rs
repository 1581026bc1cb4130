//! An asset that was archived by hand and is in use again, where a lockfile from before that comes back, as by a switch of branches.

use macadam::emulator::Endpoint;

use super::support::{Project, Remote, png};

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n";

#[test]
fn an_older_lockfile_does_not_make_a_restored_asset_archived() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    project.run(&["archive", "ui/a.png"]).expect(0);
    let older = project.read("assets.lock.toml");
    assert!(older.contains("archived"), "{older}");
    project.run(&["restore", "ui/a.png"]).expect(0);
    project.let_reads_catch_up();
    project.write("assets.lock.toml", older);
    // Roblox is asked, and its answer is newer than the lockfile.
    let (_, document) = project.json(&["sync", "--once", "--refresh"]);
    assert!(!document.to_string().contains("archived by hand"), "{document:#}");
    let lockfile = project.read("assets.lock.toml");
    assert!(!lockfile.contains("archived"), "{lockfile}");
    let (_, status) = project.json(&["status"]);
    assert_eq!(status["assets"][0]["state"], "synced", "{status:#}");
    assert_eq!(remote.requests(Endpoint::RestoreAsset), 1);
}
