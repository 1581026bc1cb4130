//! Macadam checks the key before the first write of a run, and a failed check never fails a run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use macadam::emulator::{ApiEndpoint, Config, Creators, EmulatedKey, Principal};
use serde_json::{Value, json};

use super::service::Service;
use super::support::system::Signal;
use super::support::{Project, Ran, Remote, SECRET, png, rbxmx, system};

/// Assets of a user and of two groups, one by one and by globs.
const MANIFEST: &str = "\
[creator]
user_id = 1

[assets.sword]
path = \"sword.rbxmx\"

[assets.flag]
path = \"flag.rbxmx\"
creator = { group_id = 7 }

[globs.hud]
path = \"hud/*.png\"
creator = { group_id = 7 }

[globs.ui]
path = \"ui/*.png\"
creator = { group_id = 8 }
";

fn ours() -> EmulatedKey {
    EmulatedKey::all_powerful(SECRET, "ci", Principal::User(1))
}

fn start(key: Option<EmulatedKey>) -> (Remote, Project) {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let remote = Remote::with(Config { switches, keys: key.into_iter().collect(), ..Config::default() });
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("sword"));
    project.write("flag.rbxmx", rbxmx("flag"));
    project.write("hud/a.png", png(1));
    project.write("ui/b.png", png(2));
    (remote, project)
}

fn entry(document: &Value, address: &str) -> Value {
    let actions = document["actions"].as_array().unwrap();
    actions.iter().find(|entry| entry["address"] == address).unwrap_or_else(|| panic!("{document:#}")).clone()
}

#[test]
fn assets_of_a_user_and_two_groups_of_which_the_key_may_act_for_one() {
    let (remote, project) =
        start(Some(EmulatedKey { creators: Creators::Only([Principal::Group(7)].into()), ..ours() }));
    for runs in 1..=3 {
        // A fresh clone doubles nothing either.
        if runs == 3 {
            project.remove_state();
        }
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(code, 1, "{document:#}");
        let rests = entry(&document, "ui/b.png");
        assert_eq!(rests["outcome"], "failed", "{document:#}");
        assert_eq!(rests["error"], "the key `ci` has no access to group 8");
        assert!(rests["hint"].as_str().unwrap().contains("give the key access to group 8"), "{rests:#}");
        if runs == 1 {
            for address in ["sword", "flag", "hud/a.png"] {
                assert_eq!(entry(&document, address)["outcome"], "done", "{document:#}");
            }
        }
        assert_eq!(remote.requests(ApiEndpoint::IntrospectKey), runs, "once a run");
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 3, "nothing is sent for the other group");
    }
    // Once the key may, the next run does it; then there is nothing to do, and nothing is asked.
    remote.control().put_key(ours());
    assert_eq!(project.sync()["summary"], json!({"create": 1}));
    let requests = remote.all_requests();
    assert_eq!(project.sync()["actions"], json!([]));
    assert_eq!(remote.all_requests(), requests);
    let mut owners: Vec<_> = remote.assets().iter().map(|report| report.asset.creator).collect();
    owners.sort();
    assert_eq!(owners, [Principal::User(1), Principal::Group(7), Principal::Group(7), Principal::Group(8)]);
    // Existing assets wait too when the access is taken away.
    remote.control().put_key(EmulatedKey { creators: Creators::Only([Principal::Group(8)].into()), ..ours() });
    project.write("flag.rbxmx", rbxmx("another flag"));
    project.write("ui/b.png", png(3));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, &entry(&document, "ui/b.png")["outcome"]), (1, &json!("done")), "{document:#}");
    assert_eq!(entry(&document, "flag")["error"], "the key `ci` has no access to group 7");
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), 0);
}

#[test]
fn a_key_that_can_do_nothing_stops_the_run_before_anything_is_sent() {
    for (key, said) in [
        (EmulatedKey { enabled: false, ..ours() }, "the key `ci` is disabled"),
        (EmulatedKey { expires_at_ms: Some(1), ..ours() }, "the key `ci` has expired"),
        (EmulatedKey { write: false, ..ours() }, "the key `ci` lacks asset:write"),
        (EmulatedKey { read: false, ..ours() }, "the key `ci` lacks asset:read"),
    ] {
        let (remote, project) = start(Some(key));
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(code, 4, "{document:#}");
        assert_eq!(document["errors"][0]["message"], said);
        assert!(document["errors"][0]["hint"].as_str().unwrap().contains("create.roblox.com"), "{document:#}");
        assert_eq!((remote.all_requests(), remote.assets().len()), (1, 0), "{said}");
        let ran = project.run(&["sync", "--once"]).expect(4);
        assert!(ran.stderr.contains(said) && ran.stderr.contains("hint"), "{}", ran.stderr);
        remote.control().put_key(ours());
        assert_eq!(project.sync()["summary"], json!({"create": 4}), "{said}");
    }
}

/// Roblox's answer to an upload left no trace outside the run that got it.
#[test]
fn what_the_key_is_not_allowed_is_told_later_too() {
    let (remote, project) = start(Some(ours()));
    let stopped = || project.json(&["status"]).1["stopped"].clone();
    assert_eq!(stopped(), Value::Null);
    let script = |status: u16| {
        let action = json!({"kind": "reply", "status": status, "shape": "service", "message": "No."});
        let script = json!({"match": {"endpoint": "create_asset"}, "action": action});
        remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
    };
    script(403);
    project.run(&["sync", "--once"]).expect(1);
    let told = stopped();
    assert!(told["message"].as_str().unwrap().starts_with("nothing is uploaded for "), "{told:#}");
    assert!(told["hint"].as_str().unwrap().contains("give the key access to"), "{told:#}");
    let ran = project.run(&["status"]).expect(0);
    assert!(ran.stderr.contains("nothing is uploaded for ") && ran.stderr.contains("(since 20"), "{}", ran.stderr);
    let ran = project.run(&["retry", "--all"]).expect(1);
    assert!(ran.stderr.contains("no single asset was refused: nothing is uploaded for "), "{}", ran.stderr);
    // A service says it as well, and a retry tries it.
    let service = Service::start(&project, &["--interval", "1h"]);
    service.until("it was refused again", || service.log().contains("give the key access to user 1"));
    assert_eq!(stopped()["since"], told["since"]);
    remote.control().clear_faults();
    project.run(&["retry", "sword"]).expect(0);
    service.until_synced("sword");
    service.until("uploads go on", || stopped().is_null());
    service.end();

    project.write("hud/late.png", png(9));
    script(401);
    project.run(&["sync", "--once"]).expect(4);
    assert!(
        stopped()["message"].as_str().unwrap().starts_with("nothing is uploaded: Roblox doesn't accept"),
        "{:#}",
        stopped()
    );
    remote.control().clear_faults();
    project.sync();
    assert_eq!(stopped(), Value::Null);
}

/// A reload repeated the refusal, and asked nobody.
#[test]
#[cfg_attr(windows, ignore = "no such signal")]
fn after_a_reload_an_owner_that_was_refused_is_tried_again() {
    let (remote, project) =
        start(Some(EmulatedKey { creators: Creators::Only([Principal::Group(7)].into()), ..ours() }));
    let service = Service::start(&project, &["--interval", "1h"]);
    service.says("the key `ci` has no access to group 8");
    service.until_synced("sword");
    remote.control().put_key(ours());
    service.signal(Signal::HUP);
    service.until_synced("ui/b.png");
    // The same after an answer of Roblox to an upload.
    let action = json!({"kind": "reply", "status": 403, "shape": "service", "message": "No."});
    let script = json!({"match": {"endpoint": "create_asset"}, "action": action});
    remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
    project.write("hud/late.png", png(9));
    service.until("it was refused", || !project.json(&["status"]).1["stopped"].is_null());
    remote.control().clear_faults();
    service.signal(Signal::HUP);
    service.until_synced("hud/late.png");
    service.end();
}

/// Each command sent the person to another one.
#[test]
fn a_retry_beside_a_service_tries_the_key_that_is_there_now() {
    let key = |secret: &str| EmulatedKey::all_powerful(secret, "ci", Principal::User(1));
    let (remote, mut project) = start(Some(key(SECRET)));
    project.write("key.txt", SECRET);
    project.set_env("ROBLOX_API_KEY", "");
    let service = Service::start(&project, &["--api-key-file", "key.txt", "--interval", "1h"]);
    service.until_synced("sword");
    // Nothing that a retry could help.
    project.write("hud/broken.png", "no picture");
    let stopped = || project.json(&["status"]).1["stopped"].clone();
    let mut secret = SECRET;
    for (fresh, picture, retry) in
        [("another-key-771c", "hud/c.png", ["retry", "--all"]), ("third-key-9f20", "hud/d.png", ["retry", "hud/d.png"])]
    {
        remote.control().revoke_key(secret);
        project.write(picture, png(picture.as_bytes()[4]));
        service.until("the key is refused", || !stopped().is_null());
        let ran = project.run(&["status"]).expect(0);
        let told: Vec<&str> = ran.stderr.lines().skip_while(|line| !line.contains("nothing is uploaded: ")).collect();
        assert_eq!(told[0].matches("Roblox").count(), 1, "{}", ran.stderr);
        assert!(told[1].starts_with("  hint: ") && told[1].contains("`macadam retry --all`"), "{}", ran.stderr);
        let (code, document) = project.json(&["doctor"]);
        let checks = document["checks"].as_array().unwrap();
        let about = checks.iter().find(|check| check["message"].to_string().contains("nothing is uploaded: "));
        assert_eq!((code, &about.unwrap()["check"], &about.unwrap()["result"]), (1, &json!("key"), &json!("error")));
        remote.control().put_key(key(fresh));
        project.write("key.txt", fresh);
        let ran = project.run(&retry).expect(0);
        assert!(ran.stdout.contains("OK: the running `macadam sync` tries "), "{}", ran.stdout);
        service.until_synced(picture);
        service.until("uploads go on", || stopped().is_null());
        secret = fresh;
    }
    service.end();
}

/// A service can't see the variables of the shell in which a person sets a new key.
#[test]
fn a_service_with_a_key_from_its_environment_needs_a_restart() {
    let key = |secret: &str| EmulatedKey::all_powerful(secret, "ci", Principal::User(1));
    let (remote, project) = start(Some(key(SECRET)));
    let service = Service::start(&project, &["--interval", "1h"]);
    service.until_synced("sword");
    remote.control().revoke_key(SECRET);
    project.write("hud/c.png", png(7));
    let stopped = || project.json(&["status"]).1["stopped"].clone();
    service.until("the key is refused", || !stopped().is_null());
    let restart = "can't read another key by itself: it comes from the variable ROBLOX_API_KEY";
    let hint = stopped()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains(restart) && !hint.contains("retry --all"), "{hint}");
    remote.control().put_key(key("another-key-771c"));
    let with_another = |args: &[&str]| {
        let mut command = project.command(args);
        Ran::of(command.env("ROBLOX_API_KEY", "another-key-771c").output().unwrap())
    };
    let retried = with_another(&["retry", "--all"]).expect(0);
    assert!(retried.stderr.contains(restart), "{}{}", retried.stdout, retried.stderr);
    // The key that is here is a good one.
    let checkup = with_another(&["doctor"]).stdout;
    assert!(checkup.contains("maybe with another key than the one that is here now"), "{checkup}");
    assert!(!checkup.contains("check that the key is whole"), "{checkup}");
    service.end();
}

/// The same key may have the permission by now.
#[test]
fn a_service_with_a_key_from_its_environment_needs_no_restart_for_a_new_permission() {
    let (remote, project) =
        start(Some(EmulatedKey { creators: Creators::Only([Principal::Group(7)].into()), ..ours() }));
    let service = Service::start(&project, &["--interval", "1h"]);
    let stopped = || project.json(&["status"]).1["stopped"].clone();
    service.until("the owner is refused", || !stopped().is_null());
    let hint = stopped()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("give the key access to group 8") && hint.contains("`macadam retry --all`"), "{hint}");
    assert!(!hint.contains("can't read another key"), "{hint}");
    remote.control().put_key(ours());
    let retried = project.run(&["retry", "--all"]).expect(0);
    assert!(!retried.stderr.contains("can't read another key"), "{}", retried.stderr);
    service.until_synced("ui/b.png");
    service.end();
}

#[test]
fn a_key_that_can_not_be_introspected_is_tried() {
    let reply = |status: u16, shape: &str| json!({"kind": "reply", "status": status, "shape": shape});
    for action in [
        reply(404, "gateway"),
        reply(403, "service"),
        reply(401, "gateway"),
        reply(429, "gateway"),
        reply(500, "html"),
        reply(503, "service"),
        reply(200, "garbage"),
        reply(200, "unknown_object"),
        json!({"kind": "reset", "at": "before_body"}),
        json!({"kind": "hang", "at": "after_body"}),
    ] {
        let (remote, project) = start(None);
        let script = json!({"match": {"endpoint": "introspect_key"}, "action": action});
        let ids = remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
        let (code, document) = project.json(&["sync", "--once", "--patience", "2s"]);
        assert_eq!((code, &document["summary"]), (0, &json!({"create": 4})), "{action}: {document:#}");
        assert_eq!(remote.control().fired(ids[0]), 1, "{action}: it is not tried again");
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 4, "{action}");
    }
}

#[test]
fn a_token_is_not_introspected() {
    let (remote, project) = start(None);
    let mut command = project.command(&["sync", "--once"]);
    let ran = Ran::of(command.env_remove("ROBLOX_API_KEY").env("ROBLOX_OAUTH_TOKEN", SECRET).output().unwrap());
    drop(ran.expect(0));
    assert_eq!((remote.requests(ApiEndpoint::IntrospectKey), remote.assets().len()), (0, 4));
}

#[test]
fn a_run_that_only_waits_asks_nothing_about_the_key() {
    let (remote, project) = start(None);
    let script = json!({"match": {"endpoint": "create_asset"}, "action": {"kind": "operation", "outcome": "stuck"}});
    remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
    drop(project.run(&["sync", "--once", "--timeout", "2s"]).expect(1));
    assert_eq!((remote.requests(ApiEndpoint::IntrospectKey), remote.requests(ApiEndpoint::CreateAsset)), (1, 4));
    remote.control().clear_faults();
    assert_eq!(project.sync()["in_sync"], true);
    assert_eq!((remote.requests(ApiEndpoint::IntrospectKey), remote.requests(ApiEndpoint::CreateAsset)), (1, 4));
}

#[test]
fn a_key_that_expires_soon_is_warned_of_in_the_log() {
    let after = |days: u64| {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(days * 24 * 60 * 60);
        Some(u64::try_from(at.as_millis()).unwrap())
    };
    for (days, warned) in [(3, true), (30, false)] {
        let (_remote, project) = start(Some(EmulatedKey { expires_at_ms: after(days), ..ours() }));
        let ran = project.run(&["sync", "--once"]).expect(0);
        assert_eq!(ran.stderr.contains("the key `ci` expires at"), warned, "{}", ran.stderr);
    }
}

#[test]
#[cfg_attr(windows, ignore = "files have no such permissions")]
fn a_key_file_that_everybody_can_read_is_a_warning() {
    let (_remote, project) = start(None);
    project.write("key", SECRET);
    for (mode, warned) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        system::set_mode(project.file("key"), mode);
        let ran = project.run(&["sync", "--once", "--api-key-file", "key"]).expect(0);
        assert_eq!(
            ran.stderr.contains("every user of this machine can read the API key"),
            warned,
            "{mode:o}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_key_in_place_of_its_file_is_not_repeated() {
    let (_remote, project) = start(None);
    let key = "AbCd1234efgh5678/IjKl9012mnop3456+QrSt7890uvwx1234==";
    for wrong in
        [key, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkw.c2ln", "/AbCd1234efgh5678IjKl9012mnop3456/QrSt7890"]
    {
        let ran = project.run(&["sync", "--once", "--api-key-file", wrong]).expect(4);
        assert!(!ran.stderr.contains(&wrong[1..12]), "{}", ran.stderr);
        assert!(ran.stderr.contains("not the key itself"), "{}", ran.stderr);
    }
    let ran = project.run(&["sync", "--once", "--api-key-file", "no-such-key"]).expect(4);
    assert!(ran.stderr.contains("no-such-key"), "a name is repeated: {}", ran.stderr);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "looks into /proc")]
fn the_memory_of_the_process_is_in_no_core_dump() {
    let (_remote, project) = start(None);
    let mut service = project.command(&["sync"]);
    service.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut service = service.spawn().unwrap();
    let mut log = std::io::BufReader::new(service.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut log, &mut String::new()).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    // A core goes to a program despite the limit, if the process can be dumped; then its files
    // belong to root alone.
    let private = std::fs::metadata(format!("/proc/{}/environ", service.id())).unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(system::owner_of(&private), 0, "other programs of the user can't look into it");
}
