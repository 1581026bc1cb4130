//! `pin` and `unpin` beside a running service, which carries them out.

use std::process::{Child, Stdio};

use macadam::emulator::{ApiEndpoint, BodyShape, FaultAction, FaultRule, ForeignEdit, Point, ScriptedReply};
use serde_json::{Value, json};

use super::{asset_id, content, is_settled, refused, row, three};
use crate::crash::stage::{hash, wait_until};
use crate::service::Service;
use crate::support::{Project, Ran, Remote, png, rbxmx};

fn script(remote: &Remote, endpoint: ApiEndpoint, action: FaultAction) {
    remote.control().add_faults(vec![FaultRule::on(endpoint, action)]).unwrap();
}

fn spawn(project: &Project, args: &[&str]) -> Child {
    let mut command = project.command(&[args, &["--json"]].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> (i32, Value) {
    let ran = Ran::of(child.wait_with_output().unwrap());
    (ran.code, serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}\n{}", ran.stdout, ran.stderr)))
}

/// The service used to be passed over: the manifest was written first, and the version asked for
/// too late.
#[test]
fn everything_is_checked_before_the_manifest_is_written() {
    let (remote, project) = three(&[]);
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    let before = project.read("assets.toml");
    script(&remote, ApiEndpoint::GetVersion, FaultAction::Reply(ScriptedReply::new(404, BodyShape::Service)));
    let (message, hint) = refused(&project, &["pin", "sword", "1"], 1);
    assert!(message.contains("`sword` can't be pinned to revision 1"), "{message}");
    assert!(hint.contains("macadam history sword 1 --remote"), "{hint}");
    assert_eq!((project.read("assets.toml"), remote.requests(ApiEndpoint::RollbackAsset)), (before.clone(), 0));
    remote.control().clear_faults();

    let (code, told) = project.json(&["pin", "sword", "1"]);
    assert_eq!((code, &told["by_service"], &told["manifest_written"]), (0, &json!(true), &json!(true)), "{told:#}");
    assert_eq!((&told["revision"], &told["outcome"]), (&json!(1), &json!("done")), "{told:#}");
    assert_eq!(content(&remote, asset_id(&project, "sword")), hash(rbxmx("1").as_bytes()));
    // A pin that the manifest has is a pin.
    let (code, told) = project.json(&["pin", "sword", "1"]);
    assert_eq!((code, &told["manifest_written"], remote.requests(ApiEndpoint::RollbackAsset)), (0, &json!(false), 1));
    let (code, told) = project.json(&["unpin", "**"]);
    assert_eq!((code, &told["manifest_written"], project.read("assets.toml")), (0, &json!(true), before), "{told:#}");
    service.end();
    is_settled(&remote, &project);
}

#[test]
fn an_edit_of_the_manifest_meanwhile_is_kept_and_counts() {
    let (remote, project) = three(&[]);
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    let slow = FaultAction::Delay { before_commit_ms: 0, before_reply_ms: 1_500 };
    script(&remote, ApiEndpoint::GetVersion, slow);
    let pin = spawn(&project, &["pin", "sword", "1"]);
    wait_until("its version is asked for", || remote.requests(ApiEndpoint::GetVersion) == 1);
    let edited = format!("# mine\n{}", project.read("assets.toml"));
    project.write("assets.toml", &edited);
    assert_eq!(ended(pin).0, 0);
    assert_eq!(project.read("assets.toml"), format!("{edited}\n[pins]\nsword = 1\n"));

    // What the person took out can't be pinned any more, and no stray pin is left.
    let pin = spawn(&project, &["pin", "sword", "2"]);
    wait_until("its version is asked for", || remote.requests(ApiEndpoint::GetVersion) == 3);
    let without = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n";
    project.write("assets.toml", without);
    let (code, told) = ended(pin);
    assert_eq!((code, project.read("assets.toml").as_str()), (1, without), "{told:#}");
    assert!(told["errors"][0]["message"].as_str().unwrap().contains("is not in the manifest"), "{told:#}");
    service.end();
}

/// The manifest says what is wanted, whatever became of the service.
#[test]
fn a_pin_on_hold_is_answered_with_its_reason_and_stays_written() {
    let (remote, mut project) = three(&[]);
    project.set_env("MACADAM_HELD", "300");
    let id = asset_id(&project, "sword");
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    remote.control().edit(id, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    let (code, told) = project.json(&["pin", "sword", "1"]);
    assert_eq!((code, &told["outcome"], &told["manifest_written"]), (1, &json!("waiting"), &json!(true)), "{told:#}");
    let error = &told["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("that isn't done yet"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("`macadam unpin sword` removes the pin"), "{error:#}");
    assert!(project.read("assets.toml").contains("sword = 1"));
    remote.control().edit(id, &ForeignEdit { archived: Some(false), ..ForeignEdit::default() }).unwrap();
    project.run(&["retry", "sword"]).expect(0);
    project.run(&["pin", "sword", "1"]).expect(0);
    assert_eq!(content(&remote, id), hash(rbxmx("1").as_bytes()));
    service.end();
}

#[test]
fn a_pin_that_waits_for_roblox_keeps_no_other_command_waiting() {
    let (remote, project) = three(&[]);
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    script(&remote, ApiEndpoint::RollbackAsset, FaultAction::Hang { at: Point::AfterBody });
    let pin = spawn(&project, &["pin", "sword", "1"]);
    wait_until("it is on the wire", || remote.requests(ApiEndpoint::RollbackAsset) == 1);
    let (code, told) = project.json(&["archive", "ui/a.png", "--yes"]);
    assert_eq!((code, &told["by_service"]), (0, &json!(true)), "{told:#}");

    service.end();
    let (code, told) = ended(pin);
    assert_eq!((code, &told["outcome"], &told["manifest_written"]), (1, &json!("waiting"), &json!(true)), "{told:#}");
    let message = told["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("that isn't done yet") && message.contains("was stopped before"), "{message}");
    remote.control().clear_faults();
    project.sync();
    assert_eq!(row(&project, "sword")["state"], "pinned");
}

#[test]
fn a_client_that_dies_takes_nothing_back() {
    let (remote, project) = three(&[]);
    let mut service = Service::start(&project, &[]);
    service.until_synced("sword");
    let slow = FaultAction::Delay { before_commit_ms: 0, before_reply_ms: 500 };
    script(&remote, ApiEndpoint::GetVersion, slow);
    let mut pin = spawn(&project, &["pin", "sword", "1"]);
    wait_until("the service has begun", || remote.requests(ApiEndpoint::GetVersion) == 1);
    pin.kill().unwrap();
    pin.wait().unwrap();
    let id = asset_id(&project, "sword");
    service.until("it is pinned", || content(&remote, id) == hash(rbxmx("1").as_bytes()));

    // And a service that dies is noticed.
    script(&remote, ApiEndpoint::RollbackAsset, FaultAction::Hang { at: Point::AfterBody });
    let pin = spawn(&project, &["pin", "sword", "2"]);
    wait_until("it is on the wire", || remote.requests(ApiEndpoint::RollbackAsset) == 2);
    service.kill();
    let (code, told) = ended(pin);
    assert_eq!((code, &told["outcome"], &told["manifest_written"]), (1, &json!("waiting"), &json!(true)), "{told:#}");
    assert!(told["errors"][0]["message"].as_str().unwrap().contains("ended while it was doing this"), "{told:#}");
}

#[test]
fn a_rehearsal_pins_beside_a_rehearsing_service() {
    let project = Project::new(super::MANIFEST);
    for shade in 1..=2 {
        project.write("sword.rbxmx", rbxmx(&format!("{shade}")));
        project.run(&["sync", "--once", "--emulator"]).expect(0);
    }
    let manifest = project.read("assets.toml");
    let service = Service::start(&project, &["--emulator"]);
    for (args, pinned) in
        [(&["pin", "sword", "1", "--emulator"][..], json!(1)), (&["unpin", "sword", "--emulator"], Value::Null)]
    {
        let (code, told) = project.json(args);
        let written = (&told["by_service"], &told["manifest_written"]);
        assert_eq!((code, written), (0, (&json!(true), &json!(false))), "{told:#}");
        assert_eq!(project.json(&["status", "sword", "--emulator"]).1["assets"][0]["pinned_revision"], pinned);
    }
    assert_eq!(project.read("assets.toml"), manifest, "the real manifest was changed");
    service.end();
}

#[test]
fn a_pin_waits_for_git_and_is_withdrawn_untouched() {
    let (_remote, project) = three(&[]);
    project.git(&["init", "-q"]);
    project.git(&["add", "assets.toml", "assets.lock.toml", "ui", "sword.rbxmx"]);
    project.git(&["commit", "-qm", "all"]);
    let service = Service::start(&project, &[]);
    service.until_synced("sword");
    let before = project.read("assets.toml");
    project.write(".git/index.lock", "");
    let (message, _) = refused(&project, &["pin", "sword", "1", "--patience", "1s"], 5);
    assert!(message.contains("has not started this"), "{message}");
    project.remove(".git/index.lock");
    assert_eq!(project.read("assets.toml"), before);
    project.run(&["pin", "sword", "1"]).expect(0);
    // A pin of nothing keeps the manifest from being used; taking it out mends that.
    project.write("assets.toml", format!("{}nobody = 3\n", project.read("assets.toml")));
    service.says("the manifest has an error");
    project.run(&["unpin", "nobody"]).expect(0);
    project.run(&["unpin", "sword"]).expect(0);
    assert_eq!(project.read("assets.toml"), before);
    service.end();
}

#[test]
fn files_of_a_glob_are_pinned_together_or_not_at_all() {
    let (remote, project) = three(&[]);
    let service = Service::start(&project, &[]);
    let before = project.read("assets.toml");
    project.write("ui/new.png", png(50));
    service.until_synced("ui/new.png");
    let (message, _) = refused(&project, &["pin", "ui/*", "2"], 1);
    assert!(message.contains("`ui/new.png` can't be pinned to revision 2"), "{message}");
    assert_eq!(project.read("assets.toml"), before);
    let (code, told) = project.json(&["pin", "ui/*", "sword", "1"]);
    assert_eq!((code, told["assets"].as_array().unwrap().len()), (0, 3), "{told:#}");
    assert_eq!(content(&remote, asset_id(&project, "ui/a.png")), hash(&png(1)));
    service.end();
    is_settled(&remote, &project);
}
