//! One lockfile, many branches: switches and merges by the real git; what any branch knows is never
//! uploaded again.

use macadam::emulator::ApiEndpoint;

use super::support::{GLOBS, Project, Remote, png, rbxmx};

/// A project in a git repository with a first commit: two pictures and a model, synced.
pub struct Repository {
    pub project: Project,
    pub remote: Remote,
}

impl Repository {
    pub fn new() -> Self {
        let remote = Remote::start();
        remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
        let project = Project::new(GLOBS).at(&remote.url());
        project.write("ui/m.png", png(1));
        project.write("ui/n.png", png(2));
        project.write("models/b.rbxmx", rbxmx("b"));
        let repository = Self { project, remote };
        repository.project.run(&["init"]).expect(0);
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.project.sync();
        repository.commit("first");
        repository
    }

    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        self.project.git(args)
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// As `macadam init` tells.
    fn configure_driver(&self) {
        let driver = format!("'{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
        self.git(&["config", "merge.macadam.driver", &driver]);
    }

    /// Writes files on a new branch off main, syncs and commits them.
    pub fn branch(&self, name: &str, files: &[(&str, Vec<u8>)]) {
        self.git(&["checkout", "--quiet", "-b", name, "main"]);
        files.iter().for_each(|(path, content)| self.project.write(path, content));
        self.project.sync();
        self.commit(name);
    }

    /// Everything that could be an upload: creates and updates.
    fn uploads(&self) -> usize {
        self.remote.requests(ApiEndpoint::CreateAsset) + self.remote.requests(ApiEndpoint::UpdateAsset)
    }

    /// Syncs without uploading anything. What the state knows from other branches may be added to
    /// the lockfile; nothing may leave it.
    #[track_caller]
    pub fn syncs_without_an_upload(&self) {
        let before = self.uploads();
        let document = self.project.sync();
        assert_eq!(self.uploads(), before, "{document:#}");
        assert_eq!(document["in_sync"], true);
        let changed = self.git(&["diff", "--name-only"]);
        assert!(["", "assets.lock.toml\n"].contains(&changed.as_str()), "{changed}");
        let lost: Vec<String> = self.git(&["diff", "--numstat"]).lines().map(str::to_owned).collect();
        assert!(lost.iter().all(|line| line.split_whitespace().nth(1) == Some("0")), "{lost:?}");
        self.git(&["add", "assets.lock.toml"]);
        if !changed.is_empty() {
            self.git(&["commit", "--quiet", "--message", "what other branches know"]);
        }
        assert_eq!(self.project.sync()["actions"].as_array().unwrap().len(), 0);
        assert_eq!(self.git(&["diff"]), "", "the second run changed the lockfile again");
    }

    fn asset_id(&self, address: &str) -> u64 {
        let (code, document) = self.project.json(&["status", address]);
        assert_eq!(code, 0);
        document["assets"][0]["asset_id"].as_u64().unwrap()
    }
}

#[test]
fn the_state_is_not_in_git_and_the_lockfile_is() {
    let repository = Repository::new();
    let files = repository.git(&["ls-files"]);
    assert!(files.contains("assets.lock.toml"), "{files}");
    assert!(!files.contains(".db"), "{files}");
}

#[test]
fn deleting_the_state_uploads_nothing() {
    let repository = Repository::new();
    repository.project.remove_state();
    repository.syncs_without_an_upload();
    // A fresh clone has neither state nor folder.
    repository.project.remove_state();
    repository.git(&["checkout", "--quiet", "."]);
    repository.syncs_without_an_upload();
}

#[test]
fn switching_branches_and_back_uploads_nothing() {
    let repository = Repository::new();
    let main = (repository.asset_id("ui/m.png"), repository.asset_id("ui/n.png"));
    repository.branch("replaced", &[("ui/m.png", png(7)), ("models/b.rbxmx", rbxmx("b").into_bytes())]);
    let replaced = repository.asset_id("ui/m.png");
    assert_ne!(replaced, main.0);
    repository.branch("added", &[("ui/z.png", png(8)), ("models/y.rbxmx", rbxmx("y").into_bytes())]);
    let added = repository.asset_id("ui/z.png");
    for _ in 0..2 {
        repository.git(&["checkout", "--quiet", "replaced"]);
        repository.syncs_without_an_upload();
        assert_eq!(repository.asset_id("ui/m.png"), replaced);
        repository.git(&["checkout", "--quiet", "added"]);
        repository.syncs_without_an_upload();
        assert_eq!(repository.asset_id("ui/z.png"), added);
        repository.git(&["checkout", "--quiet", "main"]);
        repository.syncs_without_an_upload();
        assert_eq!((repository.asset_id("ui/m.png"), repository.asset_id("ui/n.png")), main);
    }
    assert_eq!(repository.remote.assets().len(), 6);
}

/// With the state gone at each switch, the lockfiles alone do it.
#[test]
fn switching_branches_without_a_state_uploads_nothing() {
    let repository = Repository::new();
    repository.branch("replaced", &[("ui/m.png", png(7))]);
    repository.branch("added", &[("ui/z.png", png(8))]);
    for branch in ["replaced", "main", "added", "replaced"] {
        repository.git(&["checkout", "--quiet", branch]);
        repository.project.remove_state();
        let head = repository.git(&["rev-parse", "HEAD"]);
        repository.syncs_without_an_upload();
        assert_eq!(repository.git(&["rev-parse", "HEAD"]), head, "the lockfile changed");
    }
}

#[test]
fn two_branches_that_add_assets_merge_by_the_driver() {
    let repository = Repository::new();
    repository.configure_driver();
    // Neighbours in the sorted lockfile: git alone would see one hunk.
    repository.branch("one", &[("ui/s1.png", png(11)), ("ui/m.png", png(21))]);
    repository.branch("two", &[("ui/s2.png", png(12)), ("ui/n.png", png(22))]);
    repository.git(&["merge", "--quiet", "--no-edit", "one"]);
    for state in [true, false] {
        if !state {
            repository.project.remove_state();
        }
        repository.syncs_without_an_upload();
    }
    assert_eq!(repository.remote.assets().len(), 7);
}

#[test]
fn two_branches_that_replace_one_picture_merge_by_the_driver() {
    let repository = Repository::new();
    repository.configure_driver();
    repository.branch("one", &[("ui/m.png", png(31))]);
    let theirs = repository.asset_id("ui/m.png");
    repository.branch("two", &[("ui/m.png", png(32))]);
    // The picture is a conflict for a person; the lockfile is none.
    let merge = repository.project.try_git(&["merge", "--quiet", "--no-edit", "one"]);
    assert_eq!(merge.code, 1, "{}{}", merge.stdout, merge.stderr);
    assert_eq!(repository.git(&["diff", "--name-only", "--diff-filter=U"]).trim(), "ui/m.png");
    repository.git(&["checkout", "--quiet", "--theirs", "ui/m.png"]);
    repository.commit("merged");
    repository.project.remove_state();
    repository.syncs_without_an_upload();
    assert_eq!(repository.asset_id("ui/m.png"), theirs);
    let (_, history) = repository.project.json(&["history", "ui/m.png"]);
    assert_eq!(history["revisions"].as_array().unwrap().len(), 3, "{history:#}");
}

/// Two machines made the same picture from one stale lockfile: one is used, the other is not
/// forgotten.
#[test]
fn one_content_made_on_two_branches_keeps_both_ids() {
    let repository = Repository::new();
    repository.configure_driver();
    repository.branch("one", &[("ui/s.png", png(11))]);
    let one = repository.asset_id("ui/s.png");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.project.remove_state();
    repository.branch("two", &[("ui/s.png", png(11))]);
    let two = repository.asset_id("ui/s.png");
    assert_ne!(one, two);
    repository.git(&["merge", "--quiet", "--no-edit", "one"]);
    repository.project.remove_state();
    repository.syncs_without_an_upload();
    let (_, status) = repository.project.json(&["status", "ui/s.png"]);
    let row = &status["assets"][0];
    let mut ids = vec![row["asset_id"].as_u64().unwrap(), row["duplicates"][0].as_u64().unwrap()];
    ids.sort_unstable();
    let mut made = vec![one, two];
    made.sort_unstable();
    assert_eq!(ids, made, "{status:#}");
}

#[test]
fn two_branches_that_add_assets_usually_merge_without_the_driver() {
    let repository = Repository::new();
    repository.project.remove(".gitattributes");
    repository.commit("no driver");
    repository.branch("one", &[("models/a.rbxmx", rbxmx("a").into_bytes())]);
    repository.branch("two", &[("ui/z.png", png(12))]);
    repository.git(&["merge", "--quiet", "--no-edit", "one"]);
    repository.project.remove_state();
    repository.syncs_without_an_upload();
    assert_eq!(repository.remote.assets().len(), 5);
}

#[test]
fn a_lockfile_with_conflict_markers_is_left_alone() {
    let repository = Repository::new();
    repository.project.remove(".gitattributes");
    repository.commit("no driver");
    repository.branch("one", &[("ui/s1.png", png(11))]);
    repository.branch("two", &[("ui/s2.png", png(12))]);
    let merge = repository.project.try_git(&["merge", "--quiet", "--no-edit", "one"]);
    assert_eq!(merge.code, 1, "git merged what this test needs as a conflict");
    let conflict = repository.project.read("assets.lock.toml");
    assert!(conflict.contains("<<<<<<<"), "{conflict}");
    let before = repository.remote.all_requests();
    for command in
        [&["sync", "--once"][..], &["sync", "--once", "--locked"], &["plan"], &["status"], &["history", "ui/m.png"]]
    {
        let (code, document) = repository.project.json(command);
        assert_eq!(code, 3, "{command:?}: {document:#}");
        let error = &document["errors"][0];
        assert!(error["message"].as_str().unwrap().contains("merge conflicts"), "{command:?}: {error:#}");
        let line = usize::try_from(error["line"].as_u64().unwrap()).unwrap();
        assert!(conflict.lines().nth(line - 1).unwrap().starts_with("<<<<<<<"), "{error:#}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error:#}");
    }
    assert_eq!(repository.project.read("assets.lock.toml"), conflict);
    assert_eq!(repository.remote.all_requests(), before);
}

/// A folder that is not mounted, a manifest that was emptied, a checkout that leaves files out:
/// each looks like a removal and is none.
#[test]
fn a_vanished_folder_removes_nothing() {
    let repository = Repository::new();
    let project = &repository.project;
    let (manifest, lockfile) = (project.read("assets.toml"), project.read("assets.lock.toml"));
    let nothing_is_removed = |why: &str| {
        let (code, document) = project.json(&["plan", "--detailed-exitcode"]);
        assert_eq!((code, &document["actions"]), (0, &serde_json::json!([])), "{document:#}");
        let note = document["notes"][0]["note"].as_str().unwrap_or_default();
        assert!(note.contains("count as a removal") && note.contains(why), "{document:#}");
        assert_eq!(project.sync()["in_sync"], true);
        assert_eq!(project.read("assets.lock.toml"), lockfile, "{why}");
    };

    std::fs::rename(project.file("ui"), project.file("unmounted")).unwrap();
    nothing_is_removed("the folder `ui` of [globs.ui]");
    std::fs::rename(project.file("unmounted"), project.file("ui")).unwrap();

    project.write("assets.toml", "[creator]\nuser_id = 1\n");
    nothing_is_removed("has no assets at all");
    project.write("assets.toml", &manifest);

    repository.git(&["sparse-checkout", "set", "--no-cone", "/*", "!/ui/n.png"]);
    assert!(!project.file("ui/n.png").exists() && project.file("ui/m.png").exists());
    nothing_is_removed("sparse-checkout");
    repository.git(&["sparse-checkout", "disable"]);

    repository.syncs_without_an_upload();
    assert_eq!(project.json(&["plan"]).1["notes"], serde_json::json!([]));
    project.remove("ui/n.png");
    project.sync();
    assert_eq!(project.read("assets.lock.toml").matches("removed = true").count(), 1);
}

#[test]
fn a_branch_with_the_old_name_of_a_model_puts_its_own_bytes_back() {
    let repository = Repository::new();
    let project = &repository.project;
    repository.git(&["branch", "other"]);
    project.write("models/b.rbxmx", rbxmx("a longer b"));
    project.sync();
    std::fs::rename(project.file("models/b.rbxmx"), project.file("models/c.rbxmx")).unwrap();
    project.sync();
    repository.commit("renamed");

    // The asset holds main's bytes, and this branch wants its own.
    repository.git(&["checkout", "--quiet", "other"]);
    project.sync();
    let report = repository.remote.assets().into_iter().find(|report| report.asset.versions.len() > 1).unwrap();
    let versions: Vec<&str> = report.asset.versions.iter().map(|version| version.content.hash.as_str()).collect();
    assert_eq!((versions.len(), versions[2]), (3, versions[0]), "{versions:?}");
    assert_eq!(repository.remote.assets().len(), 3);
    repository.syncs_without_an_upload();
}
