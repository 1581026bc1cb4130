//! What a person reads every day: results as they happen, refusals told once, retries that can't
//! help, and words for states of the world.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use macadam::emulator::{ApiEndpoint, CreatableType, EmulatedKey, FaultAction, FaultRule, Point, Principal};
use serde_json::json;

use super::support::{GLOBS, Project, Ran, Remote, SECRET, png, rbxmx, wav};

/// A project with these pictures, and its remote.
pub fn pictures(names: &[&str]) -> (Remote, Project) {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    for (shade, name) in (1..).zip(names) {
        project.write(&format!("ui/{name}.png"), png(shade));
    }
    (remote, project)
}

fn refuse_creates(remote: &Remote, message: &str) {
    let reply = json!({"kind": "reply", "status": 400, "shape": "service", "message": message});
    let rule = json!({"match": {"endpoint": "create_asset"}, "action": reply});
    remote.control().add_faults(vec![serde_json::from_value(rule).unwrap()]).unwrap();
}

#[test]
fn results_are_printed_while_others_are_under_way() {
    let (remote, project) = pictures(&["a", "b"]);
    let hang =
        json!({"match": {"endpoint": "create_asset", "name": "b"}, "action": {"kind": "hang", "at": "after_body"}});
    remote.control().add_faults(vec![serde_json::from_value(hang).unwrap()]).unwrap();
    let mut child = project.command(&["sync", "--once"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("uploaded        ui/a.png (rbxassetid://"), "{first}");
    assert_eq!(child.try_wait().unwrap(), None, "the other one hangs");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn each_result_is_printed_once_and_with_v_its_rule() {
    let (_remote, project) = pictures(&["a", "b"]);
    let ran = project.run(&["sync", "--once", "-v"]).expect(0);
    for name in ["ui/a.png", "ui/b.png"] {
        let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(name)).collect();
        assert!(
            matches!(lines.as_slice(), [line] if line.starts_with("uploaded") && line.ends_with(" [new]")),
            "{lines:?}"
        );
    }
    assert!(ran.stdout.ends_with("The lockfile has changed: commit it.\n"), "{}", ran.stdout);
}

#[test]
fn a_refusal_of_several_assets_is_told_once() {
    let (remote, project) = pictures(&["a", "b", "c", "d"]);
    refuse_creates(&remote, "InvalidImage");
    let ran = project.run(&["sync", "--once"]).expect(1);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(all.matches("InvalidImage").count(), 1, "{all}");
    assert!(ran.stdout.contains("  4 assets: ui/a.png, ui/b.png, ui/c.png and 1 more\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("`macadam retry --all`") && ran.stdout.contains("4 of 4 failed"), "{}", ran.stdout);
    let plan = project.run(&["plan", "-v"]).expect(0).stdout;
    assert!(
        plan.contains("  4 assets: ui/a.png, ui/b.png, ui/c.png, ui/d.png\n") && plan.contains("[refused]"),
        "{plan}"
    );
}

#[test]
fn assets_that_are_skipped_for_their_owner_do_not_show_the_first_ones_message() {
    let (remote, project) = pictures(&["a", "b", "c"]);
    let denied = json!({"kind": "reply", "status": 403, "shape": "service", "message": "No."});
    let rule = json!({"match": {"endpoint": "create_asset"}, "action": denied});
    remote.control().add_faults(vec![serde_json::from_value(rule).unwrap()]).unwrap();
    let ran = project.run(&["sync", "--once", "--uploads", "1"]).expect(1);
    assert!(ran.stdout.contains("3 assets: ui/a.png, ui/b.png, ui/c.png\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("Image `a`"), "{}", ran.stdout);
}

#[test]
fn retry_says_what_would_help_where_it_can_not_and_does_the_rest() {
    let (remote, project) = pictures(&["a", "b"]);
    project.sync();
    let says = |args: &[&str], parts: &[&str]| {
        let ran = project.run(args).expect(1).stderr;
        assert!(parts.iter().all(|part| ran.contains(part)), "{args:?}: {ran}");
    };
    says(&["retry", "ui/a.png"], &["there is nothing to retry: `ui/a.png` is up to date"]);
    says(&["retry", "--all"], &["Roblox refused no asset, and none waits"]);
    says(&["retry", "ui/x.png"], &["there is no asset named `ui/x.png`"]);
    // One is refused, of one the outcome is unknown, and one was not tried yet.
    refuse_creates(&remote, "InvalidImage");
    project.write("ui/c.png", png(10));
    project.run(&["sync", "--once"]).expect(1);
    remote.control().clear_faults();
    let reset = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Reset { at: Point::AfterCommit });
    remote.control().add_faults(vec![reset.times(1)]).unwrap();
    project.write("assets.toml", format!("{GLOBS}\n[policy]\nambiguous_create = \"hold\"\n"));
    project.write("ui/d.png", png(11));
    project.run(&["sync", "--once"]).expect(1);
    project.write("ui/e.png", png(12));
    says(&["retry", "ui/d.png"], &["a retry doesn't help `ui/d.png`", "`macadam resolve ui/d.png --recreate`"]);
    says(&["retry", "ui/e.png"], &["`ui/e.png` is still to be uploaded", "`macadam sync --once` continues"]);
    says(&["resolve", "ui/e.png", "--recreate"], &["no upload of `ui/e.png` was sent yet"]);
    says(&["retry", "ui/c.png", "ui/d.png"], &["a retry doesn't help `ui/d.png`", "the other one is tried again"]);
    let (_, status) = project.json(&["status", "ui/c.png"]);
    assert_eq!(status["assets"][0]["state"], "pending", "{status:#}");
}

#[test]
fn retry_all_takes_every_refused_asset_and_nothing_else() {
    let (remote, project) = pictures(&["a"]);
    project.sync();
    refuse_creates(&remote, "InvalidImage");
    project.write("ui/b.png", png(10));
    project.write("ui/c.png", png(11));
    project.run(&["sync", "--once"]).expect(1);
    remote.control().clear_faults();
    let (code, document) = project.json(&["retry", "--all"]);
    assert_eq!((code, &document["addresses"]), (0, &json!(["ui/b.png", "ui/c.png"])), "{document:#}");
    assert_eq!(project.sync()["summary"], json!({"create": 2}));
}

#[test]
fn what_waits_for_a_quota_is_not_retried_and_says_until_when() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[globs.s]\npath = \"s/*.wav\"\n";
    let project = Project::new(manifest).at(&remote.url());
    for name in 1..4_u32 {
        project.write(&format!("s/{name}.wav"), wav(name));
    }
    remote.control().set_switch("audio_quota", "0").unwrap();
    let ran = project.run(&["sync", "--once"]).expect(1);
    assert_eq!(ran.stdout.matches("tries again by itself after 20").count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("3 assets: ") && ran.stdout.contains("3 of 3 waiting"), "{}", ran.stdout);
    for args in [&["retry", "s/1.wav"][..], &["resolve", "s/1.wav", "--recreate"]] {
        let said = project.run(args).expect(1).stderr;
        assert!(!said.contains("no asset named"), "{said}");
    }
    let said = project.run(&["retry", "s/1.wav"]).expect(1).stderr;
    assert!(said.contains("tries again by itself after 20"), "{said}");
}

#[test]
fn a_fee_above_the_expected_price_says_what_to_write() {
    let (remote, project) = pictures(&["a"]);
    remote.control().set_fees(BTreeMap::from([(CreatableType::Image, 20)]));
    project.write("assets.toml", GLOBS.replace("[globs.ui]\n", "[globs.ui]\nexpected_price = 5\n"));
    let ran = project.run(&["sync", "--once"]).expect(1);
    assert!(ran.stdout.contains("`expected_price = 20`"), "{}", ran.stdout);
}

#[test]
fn a_refused_key_is_named_first() {
    let (remote, project) = pictures(&["a", "b"]);
    remote.control().put_key(EmulatedKey::all_powerful("another", "other", Principal::User(1)));
    remote.control().revoke_key(SECRET);
    let unasked = json!({"match": {"endpoint": "introspect_key"}, "action": {"kind": "reply", "status": 500}});
    remote.control().add_faults(vec![serde_json::from_value(unasked).unwrap()]).unwrap();
    let ran = project.run(&["sync", "--once"]).expect(4);
    assert!(ran.stderr.starts_with("error: Roblox doesn't accept this API key"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("doesn't accept").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_missing_connection_is_one_line_for_all_assets_with_until_when_it_is_tried() {
    let (remote, project) = pictures(&["a", "b", "c"]);
    drop(remote);
    let ran = project.run(&["sync", "--once", "--timeout", "3s"]).expect(1);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("no connection to")).collect();
    assert!(matches!(lines.as_slice(), [line] if line.contains("Macadam tries again until 20")), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("no connection to").count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("3 assets: ui/a.png, ui/b.png, ui/c.png"), "{}", ran.stdout);
}

#[test]
fn a_run_without_a_connection_shows_since_when_it_waits_and_when_it_gives_up() {
    let (remote, mut project) = pictures(&["a", "b", "c"]);
    drop(remote);
    project.set_env("MACADAM_PROGRESS", "200");
    let ran = project.run(&["sync", "--once", "--timeout", "2s"]).expect(1);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("macadam: ")).collect();
    let waits = |line: &&&str| {
        line.starts_with("macadam: 0 of 3 done · no network since ") && line.contains(" UTC · gives up at ")
    };
    assert!(lines.iter().filter(waits).count() > 3, "{}", ran.stderr);
    assert!(!lines.iter().skip(1).any(|line| line.contains("uploading")), "{}", ran.stderr);
}

#[test]
fn vv_logs_each_request_with_its_status_and_time_and_never_the_key() {
    let (_remote, project) = pictures(&["a"]);
    let said = project.run(&["sync", "--once", "-vv"]).expect(0).stderr;
    let requests: Vec<&str> = said.lines().filter(|line| line.contains(" request ")).collect();
    let is_create = |line: &&&str| line.contains("method=POST path=/assets/v1/assets status=200 ms=");
    assert_eq!(requests.iter().filter(is_create).count(), 1, "{said}");
    assert!(requests.iter().any(|line| line.contains("method=GET path=/assets/v1/operations/")), "{said}");
    let said = project.run(&["plan", "--refresh", "-vv"]).expect(0).stderr;
    assert!(said.contains("method=GET path=/assets/v1/assets/"), "{said}");
}

#[test]
fn overwrite_and_confirm_without_anything_to_do_are_errors() {
    let (_remote, project) = pictures(&["a"]);
    project.sync();
    for (args, part) in [
        (&["--overwrite", "ui/a.png"][..], "nothing to overwrite"),
        (&["--overwrite", "ui/x.png"], "no asset named"),
        (&["--confirm", "12345678"], "no archiving waits for a code"),
    ] {
        let ran = project.run(&[&["sync", "--once"], args].concat()).expect(1);
        assert!(ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_file_that_only_its_case_keeps_out_is_a_warning_of_every_command() {
    let (_remote, project) = pictures(&["a"]);
    project.sync();
    project.sync();
    project.write("ui/B.PNG", png(7));
    for args in [&["check"][..], &["plan"], &["sync", "--once"], &["status"], &["outputs"]] {
        let said = project.run(args).expect(0).stderr;
        let has_outputs = args != ["outputs"];
        assert_eq!(
            said.matches("left out because upper and lower case differ: ui/B.PNG").count(),
            usize::from(has_outputs),
            "{args:?}: {said}"
        );
    }
    let doctor = project.run(&["doctor"]).stdout;
    assert!(doctor.contains("ui/B.PNG"), "{doctor}");
}

#[test]
fn keys_without_effect_are_warnings() {
    let (_remote, project) = pictures(&["a"]);
    let globs = GLOBS.replace("[globs.ui]\n", "[globs.ui]\ngrants = [{ user = 7 }]\n");
    project.write("assets.toml", format!("{globs}\n[notify]\nwebhook_env = \"HOOK\"\n"));
    for args in [&["check"][..], &["plan"], &["sync", "--once"], &["status"]] {
        let said = project.run(args).expect(0).stderr;
        for part in ["[notify] has no effect in this version", "`grants` has no effect in this version (1 asset)"] {
            assert_eq!(said.matches(part).count(), 1, "{args:?}: {said}");
        }
    }
}

#[test]
fn sync_and_pin_name_the_outputs_to_commit() {
    let (_remote, project) = pictures(&["a"]);
    project.write("assets.toml", format!("{GLOBS}\n[[outputs]]\npath = \"ids.json\"\n"));
    let early = project.run(&["outputs"]).expect(0).stderr;
    let wanted = "1 asset has no asset ID yet, so the outputs lack it: ui/a.png; `macadam sync --once` uploads it";
    assert!(early.contains(wanted), "{early}");
    let ran = project.run(&["sync", "--once"]).expect(0);
    assert!(ran.stdout.ends_with("The lockfile and ids.json have changed: commit them.\n"), "{}", ran.stdout);
    project.write("ui/a.png", png(9));
    project.sync();
    let pinned = project.run(&["pin", "ui/a.png", "1"]).expect(0).stdout;
    assert!(pinned.contains("wrote           ids.json\n"), "{pinned}");
    assert!(pinned.contains("Commit the manifest, the lockfile and ids.json, or"), "{pinned}");
    project.write("ids.json", "old");
    project.run(&["outputs", "--adopt", "--yes"]).expect(0);
    assert!(!project.run(&["outputs", "--check"]).expect(0).stderr.contains("out of date"));
    let text = project.read("ids.json").replace(char::is_numeric, "7");
    project.write("ids.json", text);
    let late = project.run(&["outputs", "--check", "--format", "github"]).expect(1).stderr;
    let told: Vec<&str> = late.lines().filter(|line| line.starts_with("::") && line.contains("out of date")).collect();
    assert!(matches!(told.as_slice(), [line] if line.starts_with("::error ")), "{late}");
}

#[test]
fn open_prints_the_page_and_the_id_of_an_asset() {
    let (_remote, project) = pictures(&["a", "b"]);
    let early = project.run(&["open", "ui/a.png"]).expect(1).stderr;
    assert!(early.contains("`ui/a.png` isn't uploaded yet"), "{early}");
    project.sync();
    let (_, status) = project.json(&["status", "ui/a.png"]);
    let id = status["assets"][0]["asset_id"].as_u64().unwrap();
    let page = format!("https://create.roblox.com/store/asset/{id}");
    assert_eq!(project.run(&["open", "ui/a.png"]).expect(0).stdout, format!("{page}  rbxassetid://{id}\n"));
    let both = project.run(&["open", "ui/*"]).expect(0).stdout;
    assert!(both.starts_with(&format!("ui/a.png  {page}  ")) && both.lines().count() == 2, "{both}");
    let (_, document) = project.json(&["open", "ui/a.png"]);
    assert_eq!((&document["url"], &document["asset_id"]), (&json!(page), &json!(id)), "{document:#}");
    assert!(project.run(&["open", "ui/aa.png"]).expect(1).stderr.contains("`ui/a.png`"));
}

#[test]
fn import_says_before_it_writes_what_will_happen_and_how_to_go_back() {
    let (remote, project) = pictures(&["a"]);
    let (other, _) = (Project::new(GLOBS).at(&remote.url()), ());
    other.write("ui/z.png", png(99));
    other.sync();
    let (_, document) = other.json(&["open", "ui/z.png"]);
    let id = document["asset_id"].to_string();
    let said = project.run(&["import", "ui/a.png", &id]).expect(0).stderr;
    assert!(
        said.starts_with(&format!("Macadam can't compare asset {id} with the file of ui/a.png, so the next sync")),
        "{said}"
    );
    assert!(said.contains("`macadam forget ui/a.png` takes the import back.\n"), "{said}");
    project.run(&["forget", "--yes", "ui/a.png"]).expect(0);
    assert_eq!(project.sync()["summary"], json!({"create": 1}));
    // What has its file stays in use.
    let (_, document) = project.json(&["open", "ui/a.png"]);
    let own = document["asset_id"].to_string();
    let said = project.run(&["import", "ui/a.png", &id]).expect(0).stderr;
    assert!(said.starts_with(&format!("ui/a.png stays asset {own}, which has its file")), "{said}");
    assert!(said.contains("`macadam import ui/a.png") && said.contains("--content-matches"), "{said}");
    let (_, document) = project.json(&["open", "ui/a.png"]);
    assert_eq!((document["asset_id"].to_string(), remote.requests(ApiEndpoint::CreateAsset)), (own.clone(), 2));
    project.run(&["import", "ui/a.png", &id, "--content-matches"]).expect(0);
    // Where another one has its file next, a pin goes back.
    project.write("ui/a.png", png(98));
    let third = {
        other.write("ui/y.png", png(97));
        other.sync();
        other.json(&["open", "ui/y.png"]).1["asset_id"].to_string()
    };
    let said = project.run(&["import", "ui/a.png", &third]).expect(0).stderr;
    assert!(said.contains("`macadam pin ui/a.png ") && said.contains(&format!("goes back to asset {id}.\n")), "{said}");
    let quiet = project.run(&["import", "ui/a.png", &third, "--content-matches"]);
    assert!(!quiet.stderr.contains("can't compare"), "{}", quiet.stderr);
}

#[test]
fn what_is_on_hold_is_counted_by_assets() {
    let (remote, project) = pictures(&["a", "b"]);
    project.sync();
    let ids: Vec<u64> = remote.assets().iter().map(|report| report.asset.id).collect();
    project.write("assets.toml", GLOBS.replace("[globs.ui]\n", "[globs.ui]\ncreator = { group_id = 9 }\n"));
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(
        plan.contains("on hold (2)\n") && plan.ends_with("Plan: 2 on hold, 0 unchanged.\n")
            || plan.ends_with("Plan: 2 on hold.\n"),
        "{plan}"
    );
    let ran: Ran = project.run(&["sync", "--once"]).expect(1);
    assert!(ran.stdout.contains("2 of 2 on hold"), "{}", ran.stdout);
    let status = project.run(&["status"]).expect(0).stdout;
    assert!(status.ends_with("\n2 on hold\n"), "{status}");
    assert_eq!(remote.assets().len(), ids.len());
}

#[test]
fn a_pinned_asset_without_its_file_is_nothing_wrong_for_plan_and_sync() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"sword.rbxmx\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("one"));
    project.sync();
    project.write("assets.toml", format!("{manifest}\n[pins]\nsword = 1\n"));
    project.sync();
    project.remove("sword.rbxmx");
    for command in [&["plan"][..], &["sync", "--once"], &["plan"]] {
        project.run(command).expect(0);
    }
    project.run(&["check"]).expect(1);
}
