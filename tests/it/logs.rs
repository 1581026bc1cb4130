//! The log of the real program on standard error, by reader.

use super::support::{GLOBS, Project, Ran, Remote, png, system};

/// The lines about the one asset, of a run with standard error in a file that `JOURNAL_STREAM`
/// names rightly, or not.
fn logged_to_a_file(project: &Project, journal: bool, format: &str) -> Vec<String> {
    let path = project.file("log");
    let file = std::fs::File::create(&path).unwrap();
    let (device, inode) = system::identity_of(&file.metadata().unwrap());
    let named = format!("{device}:{}", inode + u64::from(!journal));
    let mut command = project.command(&["-v", "--log-format", format, "sync", "--once"]);
    let status = command.env("JOURNAL_STREAM", named).stderr(file).output().unwrap().status;
    let text = project.read("log");
    assert!(status.success(), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    text.lines().filter(|line| line.contains("ui/a.png")).map(str::to_owned).collect()
}

#[test]
#[cfg_attr(windows, ignore = "no journal")]
fn a_pipe_gets_no_escape_codes_and_the_journal_priorities() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    let piped = Ran::of(project.command(&["-v", "sync", "--once"]).output().unwrap()).expect(0).stderr;
    assert!(piped.contains("ui/a.png") && !piped.contains('\u{1b}'), "{piped:?}");

    let with_priority = |line: &String| line.starts_with("<6> INFO ");
    project.write("ui/a.png", png(2));
    let journal = logged_to_a_file(&project, true, "text");
    assert!(!journal.is_empty() && journal.iter().all(with_priority), "{journal:?}");
    project.write("ui/a.png", png(3));
    let other = logged_to_a_file(&project, false, "text");
    assert!(!other.is_empty() && !other.iter().any(with_priority), "inherited, but redirected since: {other:?}");
    project.write("ui/a.png", png(4));
    let json = logged_to_a_file(&project, true, "json");
    assert!(!json.is_empty() && json.iter().all(|line| line.starts_with("<6>{")), "{json:?}");
}
