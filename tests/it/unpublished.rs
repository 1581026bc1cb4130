//! A lockfile that doesn't get to the other machines: a push that is refused, or another command of
//! `--on-change` that fails, is told wherever a person looks.

use serde_json::Value;

use super::service::{Service, get};
use super::support::git::git;
use super::support::{Project, Remote, png, system};

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n";

/// A clone, and the repository that it pushes to.
struct Published {
    remote: Remote,
    origin: tempfile::TempDir,
    project: Project,
}

impl Published {
    fn new() -> Self {
        let remote = Remote::start();
        remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
        let origin = tempfile::tempdir().unwrap();
        git(origin.path(), &["init", "--quiet", "--bare", "--initial-branch=main"]);
        let project = Project::new(MANIFEST).at(&remote.url());
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.git(&["remote", "add", "origin", &origin.path().to_string_lossy()]);
        project.write("ui/a.png", png(1));
        project.write(".gitignore", "log.txt\n");
        project.git(&["add", "."]);
        project.git(&["commit", "--quiet", "--message", "first"]);
        project.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
        Self { remote, origin, project }
    }

    fn refuse(&self, refuse: bool) {
        let hook = self.origin.path().join("hooks/pre-receive");
        if refuse {
            std::fs::write(&hook, "#!/bin/sh\necho main is protected >&2\nexit 1\n").unwrap();
            system::make_executable(&hook);
        } else {
            std::fs::remove_file(hook).unwrap();
        }
    }

    fn unpublished(&self) -> Value {
        self.project.json(&["status"]).1["unpublished"].clone()
    }

    /// The findings of `doctor` about git.
    fn findings(&self) -> Vec<String> {
        let (_, document) = self.project.json(&["doctor"]);
        let checks = document["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "git");
        checks.map(|check| format!("{}: {}", check["result"], check["message"])).collect()
    }

    fn has_finding(&self, words: &str) -> bool {
        self.findings().iter().any(|finding| finding.contains(words))
    }
}

#[test]
fn a_refused_push_of_the_service_is_told_by_all_that_watch_it() {
    let published = Published::new();
    let project = &published.project;
    published.refuse(true);
    assert_eq!(published.unpublished(), Value::Null);
    let args = ["--listen", "127.0.0.1:0", "--on-change", "macadam-commit-push"];
    let service = Service::start(project, &args);
    let address = service.address();
    service.says("on-change: the command failed");
    service.until("the pages say it", || {
        get(&address, "/readyz").1.contains("the command of --on-change fails since 20")
            && get(&address, "/metrics").1.contains("\nmacadam_on_change_failing_since_timestamp_seconds 1")
    });
    assert_eq!(get(&address, "/readyz").0, 200, "a restart would not help");
    let told = published.unpublished();
    assert!(told["message"].as_str().unwrap().contains("origin refused the push: "), "{told:#}");
    assert!(told["message"].as_str().unwrap().contains("main is protected"), "{told:#}");
    let ran = project.run(&["status"]).expect(0);
    assert!(ran.stderr.contains("warning: --on-change fails") && ran.stderr.contains("(since 20"), "{}", ran.stderr);
    let head = project.git(&["rev-parse", "--short", "HEAD"]);
    let unpushed = format!("the commit {} with assets.lock.toml is not on origin/main", head.trim());
    assert!(published.has_finding(&unpushed), "{:#?}", published.findings());
    assert!(published.has_finding("--on-change fails"), "{:#?}", published.findings());
    service.end();
    assert!(published.has_finding(&unpushed) && !published.unpublished().is_null(), "though no service runs");

    // The next service knows since when, and ends it.
    published.refuse(false);
    let service = Service::start(project, &args);
    let address = service.address();
    service.says("pushed to origin/main");
    service.until("all say that it is over", || {
        published.unpublished().is_null()
            && get(&address, "/readyz").1.contains("\r\n\r\n1 assets, watching")
            && !get(&address, "/metrics").1.contains("macadam_on_change_failing_since_timestamp_seconds 1")
    });
    assert!(!published.has_finding("not on origin/main") && !published.has_finding("--on-change"));
    service.end();
}

/// No other machine would get what such a service uploads.
#[test]
fn a_service_that_could_not_publish_uploads_nothing_and_says_so() {
    let published = Published::new();
    let project = &published.project;
    project.git(&["switch", "--quiet", "--create", "feature", "--track", "main"]);
    let service = Service::start(project, &["--listen", "127.0.0.1:0", "--on-change", "macadam-commit-push"]);
    let address = service.address();
    let waiting = || project.json(&["status"]).1["waiting"].clone();
    service.until("status says it", || !waiting().is_null());
    let told = waiting();
    let words = "--on-change can't publish from here: the upstream of the branch feature is the local branch main";
    assert!(told["message"].as_str().unwrap().starts_with(words), "{told:#}");
    assert!(told["message"].as_str().unwrap().contains("`git push -u origin feature`"), "{told:#}");
    assert!(told["hint"].as_str().unwrap().contains("nothing is uploaded"), "{told:#}");
    assert!(published.has_finding(words), "{:#?}", published.findings());
    service.until("the page says it", || get(&address, "/readyz").1.contains("can't publish from here"));
    assert_eq!(published.remote.writes(), 0);
    project.git(&["push", "--quiet", "--set-upstream", "origin", "feature"]);
    service.until_synced("ui/a.png");
    service.says("pushed to origin/feature");
    assert_eq!(waiting(), Value::Null);
    service.end();
}

#[test]
fn a_command_that_fails_after_sync_once_is_told_until_one_succeeds() {
    let published = Published::new();
    let project = &published.project;
    let once = |command: &str, code: i32| drop(project.run(&["sync", "--once", "--on-change", command]).expect(code));
    once("echo no way; exit 3", 1);
    let told = published.unpublished();
    assert!(told["message"].as_str().unwrap().ends_with(": no way"), "{told:#}");
    once("exit 4", 1);
    assert_eq!(published.unpublished()["since"], told["since"]);
    once("true", 0);
    assert_eq!(published.unpublished(), Value::Null);
    // Whoever goes on without a command publishes by hand.
    project.write("ui/a.png", png(9));
    once("exit 5", 1);
    assert_ne!(published.unpublished(), Value::Null);
    project.run(&["sync", "--once"]).expect(0);
    assert_eq!(published.unpublished(), Value::Null);
}

#[test]
fn a_file_that_the_service_published_and_nobody_committed_is_told() {
    let published = Published::new();
    let project = &published.project;
    let service = Service::start(project, &["--on-change", "macadam-commit-push"]);
    service.says("pushed to origin/main");
    let words = "is not committed as uploaded, so other machines go back to what git has: ui/a.png";
    assert!(!published.has_finding("not committed as uploaded"), "{:#?}", published.findings());
    project.write("ui/a.png", png(2));
    service.says(words);
    assert_eq!(service.log().matches("not committed as uploaded").count(), 1, "not of what was committed before");
    assert!(published.has_finding(words), "{:#?}", published.findings());
    project.git(&["commit", "--quiet", "--message", "the picture", "ui/a.png"]);
    assert!(!published.has_finding("not committed as uploaded"), "{:#?}", published.findings());
    service.end();
}
