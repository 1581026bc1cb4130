//! The service's pass at the interval: while nothing changed it looks at the disk, and neither
//! scans nor plans.

use macadam::emulator::{ApiEndpoint, Config};

use super::service::{Service, start};
use super::support::{Project, Remote, png};

/// How often everything was scanned, everything planned, and only the disk looked at.
fn looks(service: &Service<'_>) -> [usize; 3] {
    let log = service.log();
    ["everything was scanned", "everything was planned", "nothing changed since the last plan"]
        .map(|what| log.matches(what).count())
}

/// A project in git with an output, and a service that looks at it every second.
fn project() -> (Remote, Project) {
    let (remote, project) = start(Config::default());
    let manifest = format!("{}\n[[outputs]]\npath = \"ids.json\"\n", project.read("assets.toml"));
    project.write("assets.toml", manifest);
    project.write(".gitignore", "log.txt\n");
    project.git(&["init", "-q", "-b", "main"]);
    project.sync();
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "synced"]);
    (remote, project)
}

fn quiet(project: &Project) -> Service<'_> {
    let service = Service::start(project, &["--interval", "1s", "-vv"]);
    service.until("it is quiet", || looks(&service)[2] > 0);
    service
}

#[test]
fn an_interval_without_a_change_scans_and_plans_nothing() {
    let (remote, project) = project();
    let service = quiet(&project);
    let [scanned, planned, looked] = looks(&service);
    service.until("it looked again", || looks(&service)[2] >= looked + 3);
    assert_eq!(looks(&service)[..2], [scanned, planned], "{}", service.log());
    // A save is planned for, and after it everything once more.
    let made = remote.requests(ApiEndpoint::CreateAsset);
    project.write("ui/a.png", png(77));
    service.until("it is uploaded", || remote.requests(ApiEndpoint::CreateAsset) > made);
    service.until("everything was planned again", || looks(&service)[1] > planned);
    let looked = looks(&service)[2];
    service.until("it is quiet again", || looks(&service)[2] > looked + 1);
    let [scanned, planned, looked] = looks(&service);
    service.until("it stays quiet", || looks(&service)[2] > looked + 1);
    assert_eq!(looks(&service)[..2], [scanned, planned], "{}", service.log());
    service.end();
}

#[test]
fn what_no_event_tells_of_is_found_at_the_interval() {
    let (_remote, project) = project();
    let service = quiet(&project);
    let before = project.read("ids.json");
    // An output takes no scan.
    let [scanned, ..] = looks(&service);
    project.remove("ids.json");
    service.until("the output is written again", || project.file("ids.json").exists());
    assert_eq!((project.read("ids.json"), looks(&service)[0]), (before.clone(), scanned));
    project.write("ids.json", before.replace("a.png", "b.png"));
    service.until("the output is put right", || project.read("ids.json") == before);
    // Git's index has no event of its own.
    assert!(!service.log().contains("is not in git"));
    project.git(&["rm", "-q", "--cached", "ui/a.png"]);
    service.says("is not in git");
    // The state knows something new.
    let [_, planned, _] = looks(&service);
    project.run(&["archive", "ui/a.png", "--yes"]).expect(0);
    service.until("everything was planned again", || looks(&service)[1] > planned);
    service.end();
}

/// A link could lead another program's file, or one outside the project, to be overwritten.
#[cfg(unix)]
#[test]
fn an_output_whose_folder_became_a_link_is_told_at_the_interval() {
    let (_remote, project) = project();
    let manifest = project.read("assets.toml").replace("\"ids.json\"", "\"out/ids.json\"");
    project.write("assets.toml", manifest);
    project.sync();
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "another output"]);
    let service = quiet(&project);
    std::fs::rename(project.file("out"), project.file("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", project.file("out")).unwrap();
    service.says("couldn't write out/ids.json");
    service.end();
}

#[test]
fn a_lockfile_that_goes_is_noticed() {
    let (_remote, project) = project();
    let service = quiet(&project);
    let [scanned, planned, _] = looks(&service);
    project.remove("assets.lock.toml");
    service.until("everything is looked at", || looks(&service)[0] > scanned && looks(&service)[1] > planned);
    service.says("nothing new is uploaded: assets.lock.toml is missing here");
    service.end();
}
