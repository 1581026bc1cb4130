//! Several manifests in one repository: they may use the same assets, and none takes anything from
//! another or uploads its files again.

use macadam::emulator::ApiEndpoint;
use serde_json::Value;

use super::changed::{ONLY_WHAT_CHANGED, looks};
use super::service::Service;
use super::support::{Project, Ran, Remote, animation, png, rbxmx};

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n";
const AT_ONCE: &str = "\n[policy]\nremoved = \"archive\"\nreplaced = \"archive\"\narchive_after = \"0d\"\n";
const STAGE: [&str; 4] = ["sync", "--once", "--manifest", "stage.toml"];

/// A synced project with two pictures, and a second manifest that shares them by a copied lockfile and
/// archives what it no longer wants.
fn shared() -> (Remote, Project) {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    for n in 1..=2 {
        project.write(&format!("ui/{n}.png"), png(n));
    }
    project.sync();
    std::fs::copy(project.file("assets.lock.toml"), project.file("stage.lock.toml")).unwrap();
    project.write("stage.toml", format!("{MANIFEST}{AT_ONCE}"));
    project.run(&STAGE).expect(0);
    (remote, project)
}

fn leaves(project: &Project, name: &str) {
    let without = MANIFEST.replace("*.png\"\n", &format!("*.png\"\nexclude = [\"{name}\"]\n"));
    project.write("stage.toml", format!("{without}{AT_ONCE}"));
}

fn archived(remote: &Remote) -> Vec<u64> {
    let archived = remote.assets().into_iter().filter(|one| one.asset.archived);
    archived.map(|one| one.asset.id).collect()
}

fn id(project: &Project, manifest: &str, address: &str) -> u64 {
    let rows = project.json(&["status", "--manifest", manifest]).1["assets"].as_array().unwrap().clone();
    rows.iter().find(|row| row["address"] == address).unwrap()["asset_id"].as_u64().unwrap()
}

fn held(document: &Value) -> Vec<(&str, String)> {
    let actions = document["actions"].as_array().unwrap().iter().filter(|action| action["action"] == "hold");
    let told = |action: &Value| format!("{} / {}", action["reason"], action["hint"]);
    actions.map(|action| (action["address"].as_str().unwrap(), told(action))).collect()
}

#[test]
fn no_policy_archives_an_asset_that_another_manifest_has_in_use() {
    let (remote, project) = shared();
    leaves(&project, "ui/1.png");
    for _ in 0..2 {
        let ran = project.run(&STAGE).expect(0);
        assert!(ran.stdout.contains("assets.toml uses it too (assets.lock.toml)"), "{}", ran.stdout);
        assert!(archived(&remote).is_empty());
    }
    // A picture that stage alone changed.
    project.write("ui/2.png", png(9));
    project.run(&STAGE).expect(0);
    assert_eq!((archived(&remote).len(), remote.assets().len()), (0, 3));
    // Once nothing else uses it.
    project.write("assets.toml", MANIFEST.replace("**/*", "2"));
    project.run(&["forget", "--yes", "ui/1.png"]).expect(0);
    project.run(&STAGE).expect(0);
    assert_eq!(archived(&remote).len(), 1);
}

#[test]
fn no_command_archives_an_asset_that_another_manifest_has_in_use() {
    let (remote, project) = shared();
    let archive = ["archive", "--yes", "ui/1.png", "--manifest", "stage.toml"];
    let ran = project.run(&archive).expect(1);
    assert!(ran.stderr.contains("assets.toml uses it too (assets.lock.toml)"), "{}", ran.stderr);
    assert!(archived(&remote).is_empty());
    // Its policy keeps the asset on Roblox, and a person may say otherwise.
    project.write("assets.toml", MANIFEST.replace("**/*", "2"));
    project.sync();
    project.run(&archive).expect(0);
    assert_eq!(archived(&remote).len(), 1);
}

/// Also one in another folder, whose lockfile is committed and not checked out, and an asset that
/// another manifest only names.
#[test]
fn a_manifest_anywhere_in_the_repository_keeps_its_assets() {
    let (remote, project) = shared();
    let first = id(&project, "stage.toml", "ui/1.png");
    project.git(&["init", "-q"]);
    std::fs::create_dir_all(project.file("places/lobby")).unwrap();
    std::fs::rename(project.file("assets.toml"), project.file("places/lobby/assets.toml")).unwrap();
    std::fs::rename(project.file("assets.lock.toml"), project.file("places/lobby/assets.lock.toml")).unwrap();
    project.git(&["add", "--all"]);
    project.git(&["commit", "-q", "-m", "all"]);
    project.remove("places/lobby/assets.lock.toml");
    leaves(&project, "ui/1.png");
    let ran = project.run(&STAGE).expect(0);
    assert!(ran.stdout.contains("places/lobby/assets.toml uses it too"), "{}", ran.stdout);
    // Now it has nothing but a name for it.
    project.write("places/lobby/assets.toml", format!("[creator]\nuser_id = 1\n\n[existing]\nlogo = {first}\n"));
    let text = project.git(&["show", "HEAD:places/lobby/assets.lock.toml"]);
    let without = text.replace(&first.to_string(), "99");
    project.write("places/lobby/assets.lock.toml", &without);
    project.run(&STAGE).expect(0);
    assert!(archived(&remote).is_empty());
    // One that can't be read may have it.
    project.write("places/lobby/assets.toml", MANIFEST);
    project.write("places/lobby/assets.lock.toml", format!("{text}<<<<<<< ours\n"));
    let ran = project.run(&STAGE).expect(0);
    assert!(ran.stdout.contains("places/lobby/assets.lock.toml can't be read"), "{}", ran.stdout);
    assert!(archived(&remote).is_empty());
    project.write("places/lobby/assets.lock.toml", &without);
    project.run(&STAGE).expect(0);
    assert_eq!(archived(&remote), [first]);
}

#[test]
fn a_changed_model_says_that_another_manifest_uses_it() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[assets.gate]\npath = \"gate.rbxmx\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("gate.rbxmx", rbxmx("one"));
    project.sync();
    std::fs::copy(project.file("assets.lock.toml"), project.file("stage.lock.toml")).unwrap();
    project.write("stage.toml", manifest);
    project.write("gate.rbxmx", rbxmx("two"));
    let ran = project.run(&["plan", "--manifest", "stage.toml"]).expect(0);
    assert!(ran.stdout.contains("changes elsewhere too: assets.toml uses it too"), "{}", ran.stdout);
    // So does the sync, also one that loads only what changed.
    let sync = [&STAGE[..], &["-vv"]].concat();
    project.run(&sync).expect(0);
    project.pass(1);
    project.run(&sync).expect(0);
    project.write("gate.rbxmx", rbxmx("three"));
    let ran = project.run(&sync).expect(0);
    assert_eq!(looks(&ran), ONLY_WHAT_CHANGED);
    assert!(ran.stdout.contains("changes elsewhere too: assets.toml uses it too"), "{}", ran.stdout);
}

#[test]
fn a_manifest_in_a_folder_below_or_above_another_uploads_none_of_its_files_unasked() {
    let remote = Remote::start();
    let project = Project::new(&MANIFEST.replace("ui/", "")).at(&remote.url());
    project.git(&["init", "-q"]);
    for (n, name) in (1..).zip(["places/lobby/ui/a.png", "places/lobby/ui/b.png", "ui/c.png"]) {
        project.write(name, png(n));
    }
    project.sync();
    project.write("places/lobby/assets.toml", MANIFEST);
    let lobby = ["sync", "--once", "--manifest", "places/lobby/assets.toml"];
    let (code, document) = project.json(&lobby);
    let told = held(&document);
    assert_eq!((code, told.len()), (1, 2), "{document:#}");
    for word in
        ["../../assets.lock.toml (of ../../assets.toml) has the same files", "`exclude`", "--accept-new-lockfile"]
    {
        assert!(told[0].1.contains(word), "{word}: {told:?}");
    }
    assert_eq!(remote.assets().len(), 3);
    project.run(&[&lobby[..], &["--accept-new-lockfile"]].concat()).expect(0);
    // The other way round, and asked about once.
    project.remove("assets.lock.toml");
    project.remove(".git/macadam/assets.toml.db");
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, held(&document).len()), (1, 3), "{document:#}");
    assert_eq!(remote.assets().len(), 5);
}

#[test]
fn a_manifest_that_moved_without_its_lockfile_uploads_nothing_again() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.git(&["init", "-q"]);
    project.write("ui/a.png", png(1));
    project.sync();
    project.git(&["add", "--all"]);
    project.git(&["commit", "-q", "-m", "all"]);
    std::fs::create_dir(project.file("game")).unwrap();
    project.git(&["mv", "assets.toml", "ui", "game/"]);
    let game = ["sync", "--once", "--manifest", "game/assets.toml"];
    let (code, document) = project.json(&game);
    let told = held(&document);
    assert_eq!((code, told.len()), (1, 1), "{document:#}");
    assert!(told[0].1.contains("`git -C game mv ../assets.lock.toml assets.lock.toml`"), "{told:?}");
    project.git(&["mv", "assets.lock.toml", "game/"]);
    project.run(&game).expect(0);
    assert_eq!(remote.assets().len(), 1);
}

/// Two manifests of ten files that have one in common: only that one waits for an answer.
#[test]
fn a_file_that_two_manifests_share_holds_none_of_the_others() {
    let remote = Remote::start();
    let manifest = |name: &str| format!("{}\n[globs.logo]\npath = \"logo/*.rbxmx\"\n", MANIFEST.replace("ui", name));
    let project = Project::new(&manifest("lobby")).at(&remote.url());
    project.write("logo/logo.rbxmx", animation("one"));
    for n in 1..=3 {
        project.write(&format!("lobby/{n}.png"), png(n));
        project.write(&format!("arena/{n}.png"), png(10 + n));
        project.write(&format!("hall/{n}.png"), png(20 + n));
    }
    project.sync();
    project.write("arena.toml", manifest("arena"));
    let arena = ["sync", "--once", "--manifest", "arena.toml"];
    // As long as nobody decides.
    for _ in 0..2 {
        let (code, document) = project.json(&arena);
        let told = held(&document);
        assert_eq!((code, told.len(), told[0].0), (1, 1, "logo/logo.rbxmx"), "{document:#}");
        assert!(told[0].1.contains("assets.toml has asset"), "{told:?}");
        assert_eq!(remote.assets().len(), 7);
        let (_, status) = project.json(&["status", "--manifest", "arena.toml"]);
        let rows = status["assets"].as_array().unwrap();
        let row = rows.iter().find(|row| row["address"] == "logo/logo.rbxmx").unwrap();
        assert_eq!(row["state"], "held", "{status:#}");
    }
    let id = |manifest: &str| id(&project, manifest, "logo/logo.rbxmx");
    // The command of the hint shares it.
    let logo = id("assets.toml").to_string();
    let import = ["import", "logo/logo.rbxmx", &logo, "--content-matches", "--manifest", "arena.toml"];
    project.run(&import).expect(0);
    project.run(&arena).expect(0);
    assert_eq!((id("arena.toml"), remote.assets().len()), (id("assets.toml"), 7));
    // The other one makes it two environments.
    project.write("hall.toml", manifest("hall"));
    let hall = ["sync", "--once", "--manifest", "hall.toml"];
    project.run(&[&hall[..], &["--accept-new-lockfile"]].concat()).expect(0);
    assert_ne!(id("hall.toml"), id("assets.toml"));
    assert_eq!(remote.assets().len(), 11);
    project.run(&hall).expect(0);
}

/// A copied lockfile brings the files of the other manifest along, which are not missing here.
#[test]
fn a_copied_lockfile_holds_nothing_of_what_only_the_other_manifest_wants() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.git(&["init", "-q"]);
    for n in 1..=3 {
        project.write(&format!("ui/{n}.png"), png(n));
    }
    project.sync();
    project.write("stage.toml", format!("{}{AT_ONCE}", MANIFEST.replace("**/*", "[12]")));
    std::fs::copy(project.file("assets.lock.toml"), project.file("stage.lock.toml")).unwrap();
    project.git(&["add", "--all"]);
    project.git(&["commit", "-q", "-m", "all"]);
    let status = project.run(&["status", "--manifest", "stage.toml"]);
    assert!(!status.stdout.contains("never committed"), "{}", status.stdout);
    for _ in 0..2 {
        let ran = project.run(&STAGE).expect(0);
        assert!(!ran.stdout.contains("missing here"), "{}", ran.stdout);
    }
    assert_eq!((archived(&remote).len(), remote.assets().len()), (0, 3));
}

/// Assets that are shared file by file don't make the others' upload one without a lockfile.
#[test]
fn what_was_imported_and_uploaded_is_written_down_whatever_the_other_manifest_has() {
    let remote = Remote::start();
    let manifest = |name: &str| format!("{}\n[globs.logo]\npath = \"logo/*.png\"\n", MANIFEST.replace("ui", name));
    let project = Project::new(&manifest("lobby")).at(&remote.url());
    for n in 1..=2 {
        project.write(&format!("logo/{n}.png"), png(n));
        project.write(&format!("arena/{n}.png"), png(10 + n));
    }
    project.sync();
    project.write("arena.toml", manifest("arena"));
    for name in ["logo/1.png", "logo/2.png"] {
        let asset = id(&project, "assets.toml", name).to_string();
        let ran = project.run(&["import", name, &asset, "--content-matches", "--manifest", "arena.toml"]).expect(0);
        assert!(ran.stdout.contains("Commit the lockfile."), "{}", ran.stdout);
        assert!(project.read("arena.lock.toml").contains(name));
    }
    // One of its own can't be uploaded.
    project.write("arena/2.png", "no picture");
    let arena = ["sync", "--once", "--manifest", "arena.toml"];
    project.run(&arena).expect(1);
    // Another machine knows all of it.
    project.remove(".macadam/arena.db");
    project.write("arena/2.png", png(12));
    project.run(&arena).expect(0);
    assert_eq!(remote.assets().len(), 4);
}

#[test]
fn a_service_archives_nothing_that_another_manifest_has_begun_to_use() {
    let (remote, project) = shared();
    let ids = ["ui/1.png", "ui/2.png"].map(|name| id(&project, "stage.toml", name));
    // Nothing else uses them now.
    project.write("assets.toml", MANIFEST.replace("ui/", "other/"));
    project.write("other/3.png", png(3));
    project.sync();
    project.run(&["forget", "--yes", "ui/1.png", "ui/2.png"]).expect(0);
    let service = Service::start(&project, &["--manifest", "stage.toml"]);
    service.until("the first plan", || project.json(&["status", "--manifest", "stage.toml"]).0 == 0);
    let names = |asset: u64| {
        let text = format!("{}\n[existing]\nlogo = {asset}\n", MANIFEST.replace("ui/", "other/"));
        project.write("assets.toml", text);
    };
    names(ids[1]);
    // Not by its policy: of two edited pictures only the other one's earlier asset goes.
    for (n, name) in [(8, "ui/2.png"), (9, "ui/1.png")] {
        let before = remote.assets().len();
        project.write(name, png(n));
        service.until("the upload", || remote.assets().len() == before + 1);
    }
    service.until("the archiving", || !archived(&remote).is_empty());
    assert_eq!(archived(&remote), [ids[0]]);
    // Nor by a command.
    names(id(&project, "stage.toml", "ui/2.png"));
    let ran = project.run(&["archive", "--yes", "ui/2.png", "--manifest", "stage.toml"]).expect(1);
    assert!(ran.stderr.contains("assets.toml uses it too (assets.lock.toml)"), "{}", ran.stderr);
    service.end();
    assert_eq!(archived(&remote), [ids[0]]);
}

#[test]
fn a_manifest_that_a_sparse_checkout_leaves_out_keeps_what_it_names() {
    let (remote, project) = shared();
    let first = id(&project, "stage.toml", "ui/1.png");
    project.git(&["init", "-q"]);
    std::fs::create_dir_all(project.file("places/lobby")).unwrap();
    project.write("places/lobby/assets.toml", format!("[creator]\nuser_id = 1\n\n[existing]\nlogo = {first}\n"));
    let text = project.read("assets.lock.toml");
    project.write("places/lobby/assets.lock.toml", text.replace(&first.to_string(), "99"));
    project.remove("assets.toml");
    project.remove("assets.lock.toml");
    project.git(&["add", "--all"]);
    project.git(&["commit", "-q", "-m", "all"]);
    project.git(&["sparse-checkout", "set", "--no-cone", "/*", "!/places"]);
    assert!(!project.file("places").exists());
    project.write("ui/1.png", png(9));
    let ran = project.run(&STAGE).expect(0);
    assert!(ran.stdout.contains("places/lobby/assets.toml uses it too"), "{}", ran.stdout);
    assert!(archived(&remote).is_empty());
    // As long as it names it.
    project.git(&["sparse-checkout", "disable"]);
    project.write("places/lobby/assets.toml", "[creator]\nuser_id = 1\n");
    project.git(&["commit", "-q", "--all", "-m", "without"]);
    project.git(&["sparse-checkout", "set", "--no-cone", "/*", "!/places"]);
    project.run(&STAGE).expect(0);
    assert_eq!(archived(&remote), [first]);
}

#[test]
fn an_asset_of_another_type_is_none_that_a_manifest_could_share() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    for n in 1..=2 {
        project.write(&format!("ui/{n}.png"), png(n));
    }
    project.sync();
    let decals = format!("{MANIFEST}type = \"Decal\"\n");
    project.write("decals.toml", &decals);
    let sync = ["sync", "--once", "--manifest", "decals.toml"];
    project.run(&sync).expect(0);
    // Roblox makes a Decal's picture beside it.
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 4);
    // Nor does it make the two separate environments.
    let more = "\n[globs.more]\npath = \"more/*.png\"\n";
    project.write("more/1.png", png(11));
    project.write("assets.toml", format!("{MANIFEST}{more}"));
    project.sync();
    project.write("decals.toml", format!("{decals}{more}"));
    let (code, document) = project.json(&sync);
    let told = held(&document);
    assert_eq!((code, told.len()), (1, 1), "{document:#}");
    assert!(told[0].1.contains("assets.toml has asset"), "{told:?}");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 5);
}

#[test]
fn without_git_nothing_of_a_repository_is_archived_and_the_way_on_is_named() {
    let (remote, project) = shared();
    project.git(&["init", "-q"]);
    // None that can be found without git.
    project.remove("assets.toml");
    project.remove("assets.lock.toml");
    let run = |args: &[&str]| {
        let mut command = project.command(args);
        Ran::of(command.env("PATH", "/nowhere").output().unwrap())
    };
    let ran = run(&["archive", "--yes", "ui/1.png", "--manifest", "stage.toml"]).expect(1);
    assert!(ran.stderr.contains("install git"), "{}", ran.stderr);
    project.write("ui/1.png", png(9));
    let ran = run(&[&STAGE[..], &["-v"]].concat()).expect(0);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(said.matches("can't tell which other manifests the repository has").count(), 1, "{said}");
    assert!(said.contains("install git"), "{said}");
    assert!(archived(&remote).is_empty());
    // With git nothing else has it.
    project.run(&STAGE).expect(0);
    assert_eq!(archived(&remote).len(), 1);
}
