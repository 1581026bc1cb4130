//! Clones with states of their own, and other people's commits: git alone says what the assets are.

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::service::Service;
use super::support::git::git;
use super::support::{Project, Remote, png, rbxmx};

pub(super) const MANIFEST: &str = "\
[creator]
user_id = 1

[assets.crate]
path = \"crate.rbxmx\"
display_name = \"Crate\"

[globs.ui]
path = \"ui/*.png\"
";

/// The part that clones share: the remote, and the repository that they push to.
pub(super) struct Shared {
    pub(super) remote: Remote,
    origin: tempfile::TempDir,
}

impl Shared {
    /// With a clone of which the first commit was pushed in sync.
    pub(super) fn new() -> (Self, Project) {
        let remote = Remote::start();
        remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
        let origin = tempfile::tempdir().unwrap();
        git(origin.path(), &["init", "--quiet", "--bare", "--initial-branch=main"]);
        let project = Project::new(MANIFEST).at(&remote.url());
        git(project.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(project.path(), &["remote", "add", "origin", &origin.path().to_string_lossy()]);
        project.write(".gitignore", "log.txt\n");
        project.write("crate.rbxmx", rbxmx("crate"));
        project.write("ui/x.png", png(1));
        project.write("ui/y.png", png(2));
        project.sync();
        push(&project, "first");
        (Self { remote, origin }, project)
    }

    /// Another clone, in which nothing ran yet.
    pub(super) fn clone_alone(&self) -> Project {
        let project = Project::new("").at(&self.remote.url());
        project.remove("assets.toml");
        git(project.path(), &["clone", "--quiet", &self.origin.path().to_string_lossy(), "."]);
        project
    }

    /// Another clone, in sync with what was pushed.
    pub(super) fn clone(&self) -> Project {
        let project = self.clone_alone();
        let before = self.remote.writes();
        project.sync();
        assert_eq!(self.remote.writes(), before, "a fresh clone sent something");
        project
    }

    fn name(&self) -> String {
        let assets = self.remote.assets();
        let krate = assets.iter().find(|report| report.asset.asset_type.name() == "Model").unwrap();
        krate.asset.metadata.display_name.clone()
    }

    /// Nothing is to be done here, and nothing is sent or written.
    #[track_caller]
    pub(super) fn is_in_sync(&self, project: &Project) {
        let before = self.remote.writes();
        let (code, plan) = project.json(&["plan", "--detailed-exitcode"]);
        assert_eq!((code, &plan["actions"]), (0, &json!([])), "{plan:#}");
        project.run(&["sync", "--once", "--locked"]).expect(0);
        assert_eq!(project.sync()["actions"], json!([]));
        assert_eq!(git(project.path(), &["status", "--porcelain"]), "");
        assert_eq!(self.remote.writes(), before, "something was sent");
        let (_, status) = project.json(&["status"]);
        let rows = status["assets"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["state"] == "synced"), "{status:#}");
    }
}

pub(super) fn push(project: &Project, message: &str) {
    git(project.path(), &["add", "--all"]);
    git(project.path(), &["commit", "--quiet", "--message", message]);
    git(project.path(), &["push", "--quiet", "origin", "HEAD"]);
}

pub(super) fn pull(project: &Project) {
    git(project.path(), &["pull", "--quiet", "--ff-only"]);
}

pub(super) fn asset_id(project: &Project, address: &str) -> u64 {
    project.json(&["status", address]).1["assets"][0]["asset_id"].as_u64().unwrap()
}

fn actions(document: &Value) -> Vec<String> {
    let text =
        |action: &Value| format!("{} {}", action["action"].as_str().unwrap(), action["address"].as_str().unwrap());
    document["actions"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_pulled_deploy_is_in_sync_where_a_state_is() {
    let (shared, a) = Shared::new();
    let b = shared.clone();
    a.write("ui/y.png", png(3));
    a.write("ui/new.png", png(4));
    a.write("assets.toml", MANIFEST.replace("\"Crate\"", "\"Krate\""));
    a.sync();
    push(&a, "replaced and renamed");
    pull(&b);
    shared.is_in_sync(&b);
    assert_eq!(asset_id(&b, "ui/y.png"), asset_id(&a, "ui/y.png"));
    // Back by a commit, with another name.
    a.write("ui/y.png", png(2));
    a.write("assets.toml", MANIFEST.replace("\"Crate\"", "\"Kiste\""));
    a.sync();
    push(&a, "back");
    pull(&b);
    let before = shared.remote.writes();
    b.sync();
    assert_eq!((shared.remote.writes(), shared.name()), (before, "Kiste".to_owned()));
    shared.is_in_sync(&b);
}

#[test]
fn a_service_takes_a_pulled_deploy_as_it_is() {
    let (shared, a) = Shared::new();
    let b = shared.clone();
    let service = Service::start(&b, &[]);
    a.write("ui/y.png", png(3));
    a.write("assets.toml", MANIFEST.replace("\"Crate\"", "\"Krate\""));
    a.sync();
    push(&a, "replaced and renamed");
    let before = shared.remote.writes();
    pull(&b);
    // Its own change ends after the pulled one was seen.
    b.write("ui/own.png", png(9));
    service.until_synced("ui/own.png");
    service.end();
    assert_eq!(shared.remote.writes(), before + 1, "{}", b.read("log.txt"));
    assert_eq!(asset_id(&b, "ui/y.png"), asset_id(&a, "ui/y.png"));
}

#[test]
fn an_older_commit_makes_its_assets_current_and_asserts_its_metadata() {
    let (shared, a) = Shared::new();
    let first = asset_id(&a, "ui/y.png");
    a.write("ui/y.png", png(3));
    a.write("assets.toml", MANIFEST.replace("\"Crate\"", "\"Krate\""));
    a.sync();
    push(&a, "replaced and renamed");
    git(a.path(), &["checkout", "--quiet", "HEAD~1"]);
    let (code, plan) = a.json(&["plan", "--detailed-exitcode"]);
    assert_eq!((code, actions(&plan)), (2, vec!["update_metadata crate".to_owned()]), "{plan:#}");
    assert_eq!(actions(&a.sync()), ["update_metadata crate"]);
    assert_eq!((asset_id(&a, "ui/y.png"), shared.name()), (first, "Crate".to_owned()));
    assert_eq!(shared.remote.requests(ApiEndpoint::CreateAsset), 4);
}

/// Roblox has one name. A checkout gets its branch's name, whatever another branch asked for
/// meanwhile.
#[test]
fn a_name_of_another_branch_that_was_asked_for_later_is_put_right() {
    let (shared, a) = Shared::new();
    let b = shared.clone();
    git(a.path(), &["checkout", "--quiet", "-b", "one"]);
    a.write("assets.toml", MANIFEST.replace("\"Crate\"", "\"One\""));
    a.sync();
    push(&a, "one");
    b.write("assets.toml", MANIFEST.replace("\"Crate\"", "\"Two\""));
    b.sync();
    push(&b, "two");
    assert_eq!(shared.name(), "Two");
    b.let_reads_catch_up();
    git(b.path(), &["fetch", "--quiet"]);
    git(b.path(), &["checkout", "--quiet", "one"]);
    assert_eq!(actions(&b.sync()), ["update_metadata crate"]);
    assert_eq!((shared.name(), actions(&b.sync())), ("One".to_owned(), Vec::new()));
}

#[test]
fn an_upload_that_another_machine_lost_has_no_time() {
    let (shared, a) = Shared::new();
    a.write("assets.toml", format!("{MANIFEST}\n[policy]\nambiguous_create = \"hold\"\n"));
    let lost = json!({"match": {"endpoint": "create_asset"}, "action": {"kind": "reset", "at": "after_commit"}});
    shared.remote.control().add_faults(vec![serde_json::from_value(lost).unwrap()]).unwrap();
    a.write("ui/lost.png", png(7));
    a.run(&["sync", "--once", "--timeout", "20s"]).expect(1);
    push(&a, "lost");
    a.remove_state();
    let told = || a.json(&["status", "ui/lost.png"]).1;
    let (early, error) = (told(), told()["assets"][0]["error"].as_str().unwrap().to_owned());
    a.pass(5);
    assert_eq!(told(), early);
    assert!(error.contains("its upload from another machine") && !error.contains("202"), "{error}");
    a.run(&["sync", "--once", "--timeout", "20s"]).expect(1);
    assert!(told()["assets"][0]["error"].as_str().unwrap().contains("from another machine"));
}

/// The lockfile stays the one that the service knows; only files come with the merge.
#[test]
fn a_merge_that_drops_entries_under_a_running_service_uploads_nothing_again() {
    let (shared, author) = Shared::new();
    let other = shared.clone();
    author.write("ui/z1.png", png(11));
    author.sync();
    push(&author, "theirs");
    let service = Service::start(&other, &[]);
    other.write("ui/z2.png", png(12));
    service.until("it is in the lockfile", || other.read("assets.lock.toml").contains("ui/z2.png"));
    git(other.path(), &["add", "--all"]);
    git(other.path(), &["commit", "--quiet", "--message", "ours"]);
    git(other.path(), &["fetch", "--quiet"]);
    git(other.path(), &["merge", "--quiet", "--no-edit", "-X", "ours", "origin/main"]);
    assert!(!git(other.path(), &["show", "HEAD:assets.lock.toml"]).contains("ui/z1.png"));
    service.until("what the merge dropped is back", || other.read("assets.lock.toml").contains("ui/z1.png"));
    service.until_synced("ui/z1.png");
    service.end();
    assert_eq!(shared.remote.requests(ApiEndpoint::CreateAsset), 5);
}

#[test]
fn a_clone_without_a_state_tells_which_earlier_picture_is_in_use() {
    let (shared, a) = Shared::new();
    a.write("assets.toml", format!("{MANIFEST}\n[[outputs]]\npath = \"ids.json\"\n"));
    a.write("ui/y.png", png(3));
    a.sync();
    push(&a, "another picture");
    let another = asset_id(&a, "ui/y.png");
    a.write("ui/y.png", png(2));
    push(&a, "the first picture again, not synced yet");
    // As a pull request is planned in CI.
    let planning = shared.clone_alone();
    let (_, plan) = planning.json(&["plan"]);
    let text = planning.run(&["plan"]).expect(0).stdout;
    a.sync();
    push(&a, "the first picture again");
    let first = asset_id(&a, "ui/y.png");
    assert_ne!(first, another);
    // As on a machine with a state.
    assert_eq!(actions(&plan), ["replace ui/y.png"], "{plan:#}");
    let asset = json!({ "what": "asset", "from": format!("assets/{another}"), "to": format!("assets/{first}") });
    assert!(plan["actions"][0]["changes"].as_array().unwrap().contains(&asset), "{plan:#}");
    assert!(text.contains("1 to switch back") && text.contains("ids.json"), "{text}");

    let clone = shared.clone_alone();
    let (_, history) = clone.json(&["history", "ui/y.png"]);
    let current: Vec<&Value> =
        history["revisions"].as_array().unwrap().iter().filter(|one| one["current"] == true).collect();
    assert_eq!(current.iter().map(|one| &one["asset_id"]).collect::<Vec<_>>(), [&json!(first)], "{history:#}");
    // Nobody has read the file here.
    assert!(history["revisions"].as_array().unwrap().iter().all(|one| one["file"].is_null()), "{history:#}");
    assert_eq!(clone.json(&["open", "ui/y.png"]).1["asset_id"], first);
    let (_, status) = clone.json(&["status", "ui/y.png"]);
    assert_eq!((&status["assets"][0]["asset_id"], &status["assets"][0]["state"]), (&json!(first), &json!("synced")));
    assert_eq!(clone.json(&["plan"]).1["outputs"][0]["changed_asset_ids"], json!([]));
    shared.is_in_sync(&a);
}
