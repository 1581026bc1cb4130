//! A run that begins with what changed since there was nothing to do: it loads and plans only that,
//! and does what a run that looks at everything does.

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use macadam::emulator::{ApiEndpoint, Config, FaultAction, FaultRule, LatencyModel, Point};
use serde_json::Value;

use super::support::git::git;
use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

/// How often something was loaded, scanned and planned: only what changed, everything after that, all
/// files, everything, and a part.
pub(super) fn looks(ran: &Ran) -> [usize; 5] {
    [
        "only what changed was loaded",
        "everything was loaded after a part",
        "everything was scanned",
        "everything was planned",
        "a part was planned",
    ]
    .map(|what| ran.stderr.matches(what).count())
}

/// What a run looks at that needs nothing but what changed: a plan before the steps, and one after.
pub(super) const ONLY_WHAT_CHANGED: [usize; 5] = [1, 0, 0, 0, 2];

pub(super) fn sync(project: &Project) -> Ran {
    project.run(&["sync", "--once", "--uploads", "1", "-vv"]).expect(0)
}

/// A synced project, with the proof that there is nothing to do.
fn proved(manifest: &str) -> (Remote, Project) {
    let remote = Remote::with(Config { latency: LatencyModel::Fixed(0), ..Config::default() });
    let project = Project::new(manifest).at(&remote.url());
    for number in 0..3_u8 {
        project.write(&format!("ui/{number}.png"), png(number));
        project.write(&format!("models/in/{number}.rbxmx"), rbxmx(&number.to_string()));
    }
    sync(&project);
    // Times that are too recent prove nothing.
    project.pass(1);
    sync(&project);
    (remote, project)
}

fn proofs(project: &Project) -> i64 {
    let state = rusqlite::Connection::open(project.state()).unwrap();
    state.query_row("SELECT count(*) FROM settled", [], |row| row.get(0)).unwrap()
}

pub(super) fn forget_the_proof(project: &Project) {
    rusqlite::Connection::open(project.state()).unwrap().execute("DELETE FROM settled", []).unwrap();
}

#[test]
fn an_edit_loads_and_plans_only_what_it_can_touch_one_edit_after_the_other() {
    let (remote, project) = proved(GLOBS);
    // After an edit the lockfile is too recent for its times to say that it is the known one.
    for (path, content, sums) in [
        ("models/in/1.rbxmx", rbxmx("edited").into_bytes(), 0),
        ("ui/1.png", png(9), 1),
        ("models/in/1.rbxmx", rbxmx("edited again").into_bytes(), 1),
    ] {
        project.write(path, content);
        let ran = sync(&project);
        assert_eq!(looks(&ran), ONLY_WHAT_CHANGED, "{path}");
        assert_eq!(ran.stderr.matches("the lockfile was summed up").count(), sums, "{path}");
    }
    assert_eq!((remote.requests(ApiEndpoint::UpdateAsset), remote.requests(ApiEndpoint::CreateAsset)), (2, 7));
    // The same bytes at another time are nothing to do, and then that is proved.
    project.write("ui/2.png", png(2));
    let ran = sync(&project);
    assert_eq!(looks(&ran), [1, 0, 0, 0, 1]);
    assert!(ran.stdout.contains("6 assets are up to date, nothing to do"), "{}", ran.stdout);
    let ran = project.run(&["sync", "--once"]).expect(0);
    assert_eq!(ran.stdout, "Done. 6 assets are up to date, nothing to do.\n");
    // The statuses that were kept are those of a plan.
    let commands = [&["status"][..], &["plan"], &["history", "ui/1.png"], &["status", "models/in/1.rbxmx"]];
    let proved = commands.map(|command| project.json(command));
    assert_eq!(proofs(&project), 1);
    forget_the_proof(&project);
    assert_eq!(commands.map(|command| project.json(command)), proved);
    assert_eq!(project.sync()["actions"], serde_json::json!([]));
}

#[test]
fn a_file_that_goes_back_to_earlier_bytes_loads_only_that_and_is_in_the_lockfile() {
    let (remote, project) = proved(GLOBS);
    project.write("ui/1.png", png(9));
    assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED);
    assert!(!project.read("assets.lock.toml").contains("current = "));
    project.write("ui/1.png", png(1));
    assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED);
    let (_, status) = project.json(&["status", "ui/1.png"]);
    let line = format!("\ncurrent = {}\n", status["assets"][0]["asset_id"]);
    assert_eq!(project.read("assets.lock.toml").matches(&line).count(), 1, "{}", project.read("assets.lock.toml"));
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 7);
}

#[test]
fn a_file_whose_time_can_not_show_an_edit_is_read_again() {
    let (remote, project) = proved(GLOBS);
    let write = |content: u8| {
        project.write("ui/1.png", png(content));
        let file = std::fs::File::options().write(true).open(project.file("ui/1.png")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 80)).unwrap();
    };
    for content in 7..10 {
        write(content);
        assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED);
        assert_eq!(
            project.run(&["sync", "--once"]).expect(0).stdout,
            "Done. 6 assets are up to date, nothing to do.\n"
        );
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 9);
}

#[test]
fn whatever_is_more_than_an_edit_takes_a_whole_run() {
    let check = |what: &str, manifest: &str, change: &dyn Fn(&Project)| {
        let (_remote, project) = proved(manifest);
        change(&project);
        let ran = project.run(&["sync", "--once", "-vv"]);
        let [part, after, scanned, ..] = looks(&ran);
        assert!(part == after && scanned > 0, "{what}: {}", ran.stderr);
    };
    check("a new file", GLOBS, &|project| project.write("ui/9.png", png(9)));
    check("a removed file", GLOBS, &|project| project.remove("ui/1.png"));
    check("a renamed file", GLOBS, &|project| {
        std::fs::rename(project.file("ui/1.png"), project.file("ui/9.png")).unwrap();
    });
    check("the manifest", GLOBS, &|project| project.write("assets.toml", format!("{GLOBS}# a comment\n")));
    check("the lockfile", GLOBS, &|project| {
        project.write("ui/1.png", png(9));
        project.write("assets.lock.toml", project.read("assets.lock.toml"));
    });
    check("another type", GLOBS, &|project| project.write("models/in/1.rbxmx", super::support::animation("a")));
    check("a day later", GLOBS, &|project| {
        project.write("ui/1.png", png(9));
        project.pass(25 * 60);
    });
    let shows = format!("{GLOBS}\n[assets.sword]\npath = \"models/in/1.rbxmx\"\nicon = \"ui/1.png\"\n");
    check("an icon", &shows, &|project| project.write("ui/1.png", png(9)));
    let output = format!("{GLOBS}\n[[outputs]]\npath = \"ids.json\"\n");
    check("another ID for the game", &output, &|project| project.write("ui/1.png", png(9)));
}

#[test]
fn the_games_files_follow_a_new_asset_and_need_nothing_else() {
    let (_remote, project) = proved(&format!("{GLOBS}\n[[outputs]]\npath = \"ids.json\"\n"));
    let before = project.read("ids.json");
    project.write("models/in/1.rbxmx", rbxmx("edited"));
    assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED);
    assert_eq!(project.read("ids.json"), before, "an updated model keeps its ID");
    project.write("ui/1.png", png(9));
    assert_eq!(looks(&sync(&project))[..3], [1, 1, 1]);
    assert_ne!(project.read("ids.json"), before);
    // Its earlier bytes have their earlier ID, with no step at all.
    project.pass(1);
    sync(&project);
    project.write("ui/1.png", png(1));
    assert_eq!(looks(&sync(&project))[..3], [1, 1, 1]);
    assert_eq!(project.read("ids.json"), before);
}

#[test]
fn what_changes_during_the_upload_of_an_edit_is_uploaded_too() {
    let other = |project: &Project| project.write("models/in/0.rbxmx", rbxmx("edited meanwhile"));
    let same = |project: &Project| project.write("models/in/1.rbxmx", rbxmx("edited again"));
    let new = |project: &Project| project.write("models/new.rbxmx", rbxmx("new"));
    let lockfile = |project: &Project| project.write("assets.lock.toml", project.read("assets.lock.toml"));
    type Change<'a> = &'a dyn Fn(&Project);
    let changes: [(Change<'_>, (usize, usize)); 4] =
        [(&other, (2, 6)), (&same, (2, 6)), (&new, (1, 7)), (&lockfile, (1, 6))];
    for (change, made) in changes {
        let (remote, project) = proved(GLOBS);
        let slow = FaultAction::Delay { before_commit_ms: 0, before_reply_ms: 1_000 };
        remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::UpdateAsset, slow)]).unwrap();
        project.write("models/in/1.rbxmx", rbxmx("edited"));
        let mut command = project.command(&["sync", "--once", "-vv"]);
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while remote.requests(ApiEndpoint::UpdateAsset) < 1 {
            assert!(begun.elapsed() < Duration::from_secs(60), "no update came");
            std::thread::sleep(Duration::from_millis(10));
        }
        change(&project);
        let ran = Ran::of(run.wait_with_output().unwrap()).expect(0);
        assert_eq!(looks(&ran)[0], 1, "{}", ran.stderr);
        assert_eq!((remote.requests(ApiEndpoint::UpdateAsset), remote.requests(ApiEndpoint::CreateAsset)), made);
        assert_eq!(project.sync()["actions"], serde_json::json!([]));
    }
}

#[test]
fn an_edit_whose_answer_is_lost_or_that_is_not_sent_is_uploaded_once() {
    for (path, content) in [("models/in/1.rbxmx", rbxmx("edited").into_bytes()), ("ui/1.png", png(9))] {
        for at in [Point::BeforeBody, Point::AfterBody, Point::AfterCommit] {
            let (remote, project) = proved(GLOBS);
            let assets = remote.assets().len();
            for endpoint in [ApiEndpoint::UpdateAsset, ApiEndpoint::CreateAsset] {
                let rule = FaultRule { times: Some(1), ..FaultRule::on(endpoint, FaultAction::Reset { at }) };
                remote.control().add_faults(vec![rule]).unwrap();
            }
            project.write(path, &content);
            let ran = project.run(&["sync", "--once", "-vv"]);
            assert_eq!(looks(&ran)[0], 1, "{path}, {at:?}: {}", ran.stderr);
            for _ in 0..4 {
                project.pass(5);
                project.run(&["sync", "--once"]);
            }
            assert_eq!(project.sync()["actions"], serde_json::json!([]), "{path}, {at:?}");
            // A create that was carried out without an answer can't be told from one that was not.
            let new =
                usize::from(path.ends_with("png")) + usize::from(path.ends_with("png") && at == Point::AfterCommit);
            assert_eq!(remote.assets().len() - assets, new, "{path}, {at:?}");
        }
    }
}

/// Everything that a state knows but times.
pub(super) fn state(project: &Project) -> Vec<String> {
    let state = rusqlite::Connection::open(project.state()).unwrap();
    let queries = [
        "SELECT address, asset_type, creator, path, asked, stored, overruled, points_to, pin, removed_at IS NULL, in_lockfile \
         FROM assets ORDER BY address",
        "SELECT address, asset_id, version, ordinal, content, state, round, shared, disputed, era, origin FROM revisions \
         ORDER BY address, asset_id, version",
        "SELECT address, asset_id, duplicate FROM listed ORDER BY address, asset_id",
        "SELECT address, field, digest FROM asked_before ORDER BY address, field, digest",
        "SELECT address, asset_id, why, archived_at IS NULL FROM retirements ORDER BY address, asset_id",
        "SELECT path, size, content, kind FROM files ORDER BY path",
        "SELECT asset_id, revision, display_name, archived FROM observations ORDER BY asset_id",
        "SELECT revisions_digest, next_attempt, lockfile_lost_since IS NULL FROM meta",
    ];
    let mut all = Vec::new();
    for query in queries {
        let mut rows = state.prepare(query).unwrap();
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
            values.collect::<Result<Vec<_>, _>>().map(|values| format!("{values:?}"))
        };
        all.extend(rows.query_map([], row).unwrap().map(Result::unwrap));
    }
    all
}

/// Makes a random change of the files, the same for the same numbers.
fn change(random: &mut fastrand::Rng, projects: [&Project; 2]) {
    let paths = ["ui/0.png", "ui/1.png", "ui/2.png", "models/in/0.rbxmx", "models/in/1.rbxmx", "models/in/2.rbxmx"];
    let at = random.usize(..paths.len());
    let (path, other) = (paths[at], paths[if at < 3 { (at + 1) % 3 } else { 3 + (at + 1) % 3 }]);
    let fresh = |number: u8| if at < 3 { png(number) } else { rbxmx(&number.to_string()).into_bytes() };
    let (kind, number, known) = (random.u8(..8), random.u8(20..), random.u8(..4));
    for project in projects {
        let bytes = |path: &str| std::fs::read(project.file(path)).unwrap();
        match kind {
            0..=2 => project.write(path, fresh(number)),
            // Bytes that the address, or another one, may have had.
            3 | 4 => project.write(path, fresh(known)),
            5 => project.write(path, bytes(other)),
            6 => {
                let (one, two) = (bytes(path), bytes(other));
                project.write(path, two);
                project.write(other, one);
            }
            _ => project.write(path, bytes(path)),
        }
    }
}

#[test]
fn a_run_for_what_changed_does_what_a_whole_run_does() {
    let seeds = std::env::var("MACADAM_SEED").map_or(1..=2, |seed| {
        let seed: u64 = seed.parse().unwrap();
        seed..=seed
    });
    let (mut parts, mut runs) = (0, 0);
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let [(remote, project), (other_remote, whole)] = [proved(GLOBS), proved(GLOBS)];
        for step in 0..4 {
            change(&mut random, [&project, &whole]);
            for project in [&project, &whole] {
                project.let_reads_catch_up();
            }
            forget_the_proof(&whole);
            let (ran, expected) = (sync(&project), sync(&whole));
            let what = format!("MACADAM_SEED={seed}, step {step}: {}", ran.stderr);
            assert_eq!(looks(&expected)[0], 0);
            parts += usize::from(looks(&ran)[..2] == [1, 0]);
            runs += 1;
            assert_eq!(ran.stdout, expected.stdout, "{what}");
            let text = |project: &Project, remote: &Remote| project.read("assets.lock.toml").replace(&remote.url(), "");
            assert_eq!(text(&project, &remote), text(&whole, &other_remote), "{what}");
            assert_eq!(state(&project), state(&whole), "{what}");
            assert_eq!(written(&remote), written(&other_remote), "{what}");
            let status =
                |project: &Project| -> Vec<Value> { project.json(&["status"]).1["assets"].as_array().unwrap().clone() };
            assert_eq!(status(&project), status(&whole), "{what}");
        }
    }
    assert!(parts * 2 >= runs, "{parts} of {runs} runs began with what changed and needed nothing else");
}

/// The changes of the remote, in order.
pub(super) fn written(remote: &Remote) -> Vec<String> {
    let all = remote.control().requests();
    all.iter().filter(|request| request.committed).map(|request| format!("{:?}", request.endpoint)).collect()
}

#[test]
fn a_checkout_is_looked_at_too() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    git(project.path(), &["init", "-q", "-b", "main"]);
    project.write("ui/1.png", png(1));
    project.write("models/1.rbxmx", rbxmx("1"));
    sync(&project);
    git(project.path(), &["add", "-A"]);
    git(project.path(), &["commit", "-q", "-m", "synced"]);
    project.pass(1);
    sync(&project);
    project.write("models/1.rbxmx", rbxmx("2"));
    assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED);
    git(project.path(), &["commit", "-q", "-a", "--amend", "-m", "amended"]);
    project.write("models/1.rbxmx", rbxmx("3"));
    project.pass(1);
    assert_eq!(looks(&sync(&project))[0], 0, "another commit in its place");
}
