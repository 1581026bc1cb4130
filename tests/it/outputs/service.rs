//! The outputs of a running service: it writes them after uploads, and doesn't react to them.

use super::{LUAU, MANIFEST, id, project};
use crate::service::Service;
use crate::support::{Remote, png};

#[test]
fn the_service_writes_them_and_does_not_answer_to_them() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    let command = "printf '%s\\n' \"$MACADAM_CHANGED\" >> told.txt";
    let service = Service::start(&project, &["--on-change", command]);
    service.until_synced("ui/a.png");
    service.until("its output", || project.file(LUAU).exists() && project.read(LUAU).contains("ui/a.png"));
    let looks = |log: &str| log.matches("files or manifest changed").count();
    let at_start = looks(&service.log());
    service.says("read the manifest and all files");
    project.write("ui/c.png", png(3));
    service.until_synced("ui/c.png");
    let has_it = |name: &str, text: &str| project.file(name).exists() && project.read(name).contains(text);
    service.until("the other picture", || has_it("ui/assets.json", "\"c\":") && has_it(LUAU, "ui/c.png"));
    service.until("the command is told", || has_it("told.txt", LUAU) && has_it("told.txt", "ui/assets.json"));
    // The next look, caused by another file, undoes an edit by hand.
    project.write(LUAU, format!("{}-- mine\n", project.read(LUAU)));
    project.write("ui/d.png", png(4));
    service.until("the last picture", || has_it(LUAU, "ui/d.png"));
    assert!(!project.read(LUAU).contains("mine"));
    let log = service.end();
    // Once for each of two pictures, and never for the output in the folder of the glob.
    assert_eq!(looks(&log), at_start + 2, "{log}");
    // The command gets the lockfile and the outputs together, so that they are one commit.
    let told = project.read("told.txt");
    let types = project.file(LUAU).with_extension("d.ts");
    assert!(
        told.contains(&format!("assets.lock.toml\n{}\n{}", types.display(), project.file(LUAU).display())),
        "{told}"
    );
    assert_ne!(id(&project, "ui/d.png"), 0);
}

#[test]
fn an_unwritable_output_is_reported_once_and_stops_nothing() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.write(LUAU, "return {}\n");
    let service = Service::start(&project, &[]);
    service.until_synced("ui/a.png");
    service.says(&format!("couldn't write {LUAU}"));
    service.until("the others", || project.file("ui/assets.json").exists());
    project.write("ui/c.png", png(3));
    service.until_synced("ui/c.png");
    service.until("it goes on", || project.read("ui/assets.json").contains("\"c\":"));
    let log = service.end();
    assert_eq!(log.matches(&format!("couldn't write {LUAU}")).count(), 1, "{log}");
    assert_eq!(project.read(LUAU), "return {}\n");
}
