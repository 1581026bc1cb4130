//! A disk that fills up while uploads are under way: there is room for what comes of them, and
//! nothing more is sent; where writing fails all the same, they are held.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::Trial;
use crate::support::{Ran, SECRET, png};

/// Uploads are carried out, and answered when the disk is full.
fn slow() -> Trial {
    Trial::new().fault(json!({
        "match": {"endpoint": "create_asset"},
        "action": {"kind": "delay", "before_reply_ms": 1500}
    }))
}

/// Waits until so many assets are made, whose answers are still to come.
fn wait_for(trial: &Trial, made: usize) {
    let began = Instant::now();
    while trial.remote.control().counters().commits.len() < made {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is uploaded");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no such limits of the disk")]
fn a_disk_that_fills_up_in_the_middle_doubles_nothing() {
    // A small disk of its own, seen by these runs alone; something else fills it while the first
    // one uploads.
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=24m tmpfs disk || exit 77
        "$0" "$@" > first.json & run=$!
        touch mounted
        until [ -e go ]; do sleep 0.01; done
        cat /dev/zero > disk/full 2>/dev/null
        wait $run; echo $?
        cat /dev/zero > disk/more 2>/dev/null
        cp later ui/c.png
        "$0" "$@" > second.json; echo $?
        rm disk/full disk/more
        "$0" "$@" > third.json; echo $?
    "#;
    let trial = slow();
    trial.project.write("later", png(3));
    std::fs::create_dir(trial.project.file("disk")).unwrap();
    let inner = trial.project.command(&["sync", "--once", "--json", "--state", "disk/state.db", "--timeout", "30s"]);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(trial.project.path());
    command.env("ROBLOX_API_KEY", SECRET).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut runs) = command.spawn() else {
        eprintln!("skipped: there is no `unshare`");
        return;
    };
    while !trial.project.file("mounted").exists() {
        if runs.try_wait().unwrap().is_some() {
            eprintln!("skipped: no file system can be mounted here");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_for(&trial, 3);
    trial.project.write("go", "");
    let ran = Ran::of(runs.wait_with_output().unwrap());
    let told = ["first.json", "second.json", "third.json"].map(|name| trial.project.read(name));
    // The second may find the room that the first one left, or none.
    assert!(matches!(&*ran.stdout, "0\n0\n0\n" | "0\n3\n0\n"), "{} {told:#?} {}", ran.stdout, ran.stderr);
    assert_eq!(trial.remote.assets().len(), 4, "{told:#?}");
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 4, "sent once each");
    // The lockfile has them all.
    trial.converge();
    assert_eq!(trial.remote.assets().len(), 4);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no such limits of the disk")]
fn a_disk_without_room_for_outcomes_sends_nothing() {
    let trial = Trial::new();
    // The state has room, 1 MB, and the log not for more.
    let ran = limited(&trial, "ulimit -f 2000").expect(3);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let error = document["errors"][0]["message"].as_str().unwrap();
    assert!(error.contains("the disk is full") && error.contains("Macadam sent nothing more"), "{document:#}");
    assert!(error.contains("then run it again"), "{document:#}");
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 0);
    trial.settle();
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no such limits of the disk")]
fn an_upload_whose_outcome_could_not_be_written_is_held() {
    let trial = slow();
    let ran = std::thread::scope(|scope| {
        let run = scope.spawn(|| limited(&trial, "echo $$ > pid"));
        wait_for(&trial, 3);
        // From now on no write behind the first page of a file succeeds.
        let pid = trial.project.read("pid");
        let status = Command::new("prlimit").args(["--pid", pid.trim(), "--fsize=4096:4096"]).status();
        let limited = status.is_ok_and(|status| status.success());
        (limited, run.join().unwrap())
    });
    let (true, ran) = ran else {
        eprintln!("skipped: there is no `prlimit`");
        return;
    };
    ran.expect(3);
    trial.fired();
    trial.remote.control().clear_faults();

    // A command that only reads reports it too.
    let held = |document: &Value| {
        let rows = document["assets"].as_array().unwrap();
        rows.iter().filter(|row| row["state"] == "held").count()
    };
    let (_, status) = trial.project.json(&["status"]);
    // The one that was sent last was still to be answered; a quicker one may have been answered
    // before.
    let count = held(&status);
    assert!(count > 0, "{status:#}");
    for _ in 0..3 {
        let document = trial.document(10, 1);
        let actions = document["actions"].as_array().unwrap();
        let held: Vec<_> = actions.iter().filter(|action| action["outcome"] == "held").collect();
        assert_eq!(held.len(), count, "{document:#}");
        assert!(held[0]["error"].as_str().unwrap().contains("could not be written"), "{document:#}");
        trial.project.pass(60);
    }
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3, "nothing is sent again");

    let (_, status) = trial.project.json(&["status"]);
    assert_eq!(held(&status), count, "{status:#}");
    for row in status["assets"].as_array().unwrap().iter().filter(|row| row["state"] == "held") {
        let hash = super::hex(&std::fs::read(trial.project.file(row["path"].as_str().unwrap())).unwrap());
        let assets = trial.remote.assets();
        let made = assets.iter().find(|report| report.asset.versions[0].content.hash == hash);
        let made = made.unwrap_or_else(|| panic!("{hash} is not in {assets:#?}"));
        let id = made.asset.id.to_string();
        trial.project.run(&["resolve", row["address"].as_str().unwrap(), "--asset-id", &id]).expect(0);
    }
    trial.settle();
    assert_eq!(trial.remote.assets().len(), 3);
}

/// The state is on the full disk, and the project elsewhere.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no such limits of the disk")]
fn a_full_disk_is_named_and_hides_nothing_that_is_known() {
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=12m tmpfs disk || exit 77
        "$0" sync --once "$@" > first.json || exit 78
        cat /dev/zero > disk/full 2>/dev/null
        cp later ui/c.png
        "$0" status "$@" > status.json; echo $?
        "$0" sync --once "$@" > sync.json; echo $?
        "$0" pin ui/a.png 1 "$@" > pin.json; echo $?
        "$0" doctor "$@" > doctor.json; echo $?
        rm disk/state.db*
        cat /dev/zero > disk/more 2>/dev/null
        "$0" sync --once "$@" > fresh.json; echo $?
        "$0" doctor "$@" > fresh_doctor.json; echo $?
    "#;
    let trial = Trial::new();
    trial.project.write("later", png(3));
    std::fs::create_dir(trial.project.file("disk")).unwrap();
    let inner = trial.project.command(&["--json", "--state", "disk/state.db"]);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(trial.project.path());
    let ran = match command.env("ROBLOX_API_KEY", SECRET).output() {
        Ok(output) if output.status.code() == Some(0) => Ran::of(output),
        other => {
            eprintln!("skipped: there is no `unshare`, or no file system can be mounted here: {other:?}");
            return;
        }
    };
    let read = |name: &str| -> Value { serde_json::from_str(&trial.project.read(name)).unwrap() };
    assert_eq!(ran.stdout, "0\n3\n3\n1\n3\n1\n", "{}", ran.stderr);
    let status = read("status.json");
    assert!(status["assets"].as_array().unwrap().iter().any(|row| row["asset_id"].is_u64()), "{status:#}");
    for name in ["sync.json", "pin.json", "fresh.json"] {
        let document = read(name);
        let error = &document["errors"][0];
        assert!(error["message"].as_str().unwrap().contains("the disk is full"), "{name}: {document:#}");
        assert!(error["hint"].as_str().unwrap().contains("then run it again"), "{name}: {document:#}");
    }
    for name in ["doctor.json", "fresh_doctor.json"] {
        let document = read(name);
        let disk: Vec<&Value> =
            document["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "disk").collect();
        let [disk] = disk.as_slice() else { panic!("{name}: {document:#}") };
        let message = disk["message"].as_str().unwrap();
        assert!(disk["result"] == "error" && message.contains("bytes free at `"), "{name}: {document:#}");
    }
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3, "sent before the disk was full");
}

/// A run in a shell that sets its limits first; a write past one is an error and no signal.
fn limited(trial: &Trial, limit: &str) -> Ran {
    let inner = trial.project.command(&["sync", "--once", "--json", "--timeout", "20s"]);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' XFSZ; {limit}; exec \"$0\" \"$@\""));
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(trial.project.path());
    Ran::of(command.env("ROBLOX_API_KEY", SECRET).output().unwrap())
}
