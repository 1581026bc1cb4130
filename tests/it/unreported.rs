//! Changes that `--on-change` of the service has reported or not, and secrets that it must not see.

use crate::service::Service;
use crate::support::{Project, Remote, png};

const MANIFEST: &str =
    "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n\n[notify]\nwebhook_env = \"OUR_HOOK\"\n";

fn project(remote: &Remote) -> Project {
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    let mut project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.set_env("OUR_HOOK", "https://hooks.example.com/secret");
    project.set_env("NEW_HOOK", "https://hooks.example.com/secret");
    project
}

/// Whether the state knows of a change of the lockfile that was reported to no command.
fn is_unreported(project: &Project) -> bool {
    let state = rusqlite::Connection::open(project.state()).unwrap();
    state.query_row("SELECT lockfile_unreported FROM meta", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_change_that_the_service_reported_is_not_reported_again() {
    let remote = Remote::start();
    let project = project(&remote);
    let service = Service::start(&project, &["--on-change", "echo told >> told"]);
    service.until_synced("ui/a.png");
    service.until("the command was told", || project.file("told").exists());
    service.until("that is written down", || !is_unreported(&project));
    service.end();
    project.run(&["sync", "--once", "--on-change", "echo again >> told"]).expect(0);
    assert_eq!(project.read("told"), "told\n");
}

#[test]
fn a_change_whose_command_failed_is_reported_by_the_next_service() {
    let remote = Remote::start();
    let project = project(&remote);
    project.run(&["sync", "--once", "--on-change", "exit 1"]).expect(1);
    assert!(is_unreported(&project));
    // Nothing changes, and it is reported all the same; the end of the service records that, too.
    let service = Service::start(&project, &["--on-change", "echo told >> told"]);
    service.until("the command was told", || project.file("told").exists());
    service.end();
    assert!(!is_unreported(&project));
}

#[test]
fn the_command_does_not_see_where_the_webhook_is() {
    let remote = Remote::start();
    let project = project(&remote);
    let ran = project.run(&["sync", "--once", "--on-change", "env > once"]).expect(0);
    assert!(!ran.stdout.contains("secret"), "{}", ran.stdout);
    // Both of a service's manifests name one that it must not see.
    let service = Service::start(&project, &["--on-change", "env > \"env.$(ls env.* 2>/dev/null | wc -l)\""]);
    project.write("ui/b.png", png(2));
    service.until_synced("ui/b.png");
    service.until("the command ran", || project.file("env.0").exists());
    project.write("assets.toml", MANIFEST.replace("OUR_HOOK", "NEW_HOOK"));
    project.write("ui/c.png", png(3));
    service.until_synced("ui/c.png");
    service.until("the command ran again", || project.file("env.1").exists());
    service.end();
    let seen = |name: &str, variable: &str| {
        let text = project.read(name);
        assert!(text.contains("MACADAM_LOCKFILE="), "{name}: {text}");
        text.lines().any(|line| line.starts_with(&format!("{variable}=")))
    };
    assert_eq!((seen("once", "OUR_HOOK"), seen("once", "NEW_HOOK")), (false, true));
    assert_eq!((seen("env.0", "OUR_HOOK"), seen("env.0", "NEW_HOOK")), (false, true));
    assert!(!seen("env.1", "NEW_HOOK") && !seen("env.1", "ROBLOX_API_KEY"));
}
