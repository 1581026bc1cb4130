//! Regressions: each test is named after the behaviour that must hold.

use macadam::emulator::{
    ApiEndpoint, BodyShape, Config, EndpointLimits, FaultAction, FaultRule, LatencyModel, Limit, Point, ScriptedReply,
    TextAction, TextField, TextRule,
};

use super::support::{Project, Ran, Remote, png, rbxmx};

const UI: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n";
const MODELS: &str = "[creator]\nuser_id = 1\n\n[globs.models]\npath = \"models/*.rbxmx\"\n";

/// A remote whose limits are never reached: Macadam itself stays under the documented ones.
fn unlimited() -> Remote {
    let endpoints = ApiEndpoint::ALL.into_iter().map(|endpoint| (endpoint, Limit::of(100_000))).collect();
    Remote::with(Config { limits: EndpointLimits { endpoints, ..EndpointLimits::none() }, ..Config::default() })
}

fn reply(status: u16, shape: BodyShape, message: &str) -> FaultAction {
    FaultAction::Reply(ScriptedReply { message: message.to_owned(), ..ScriptedReply::new(status, shape) })
}

fn fault(remote: &Remote, rule: FaultRule) -> u64 {
    remote.control().add_faults(vec![rule]).unwrap()[0]
}

/// The first address's ID in the lockfile's terms: what `status` says.
fn asset_id(project: &Project, address: &str) -> u64 {
    let (_, document) = project.json(&["status", address]);
    document["assets"][0]["asset_id"].as_u64().unwrap()
}

#[test]
fn a_refused_creator_stops_requests_for_its_other_assets() {
    let remote = unlimited();
    let project = Project::new(UI).at(&remote.url());
    (0..60).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let rule = fault(&remote, FaultRule::on(ApiEndpoint::CreateAsset, reply(403, BodyShape::Service, "no permission")));
    let (code, document) = project.json(&["sync", "--once", "--uploads", "4"]);
    assert_eq!(code, 1, "{document:#}");
    let fired = remote.control().fired(rule);
    assert!((1..=4).contains(&fired), "{fired} creates were sent");
}

#[test]
fn a_refused_observation_is_not_repeated_endlessly() {
    let remote = unlimited();
    let project = Project::new(MODELS).at(&remote.url());
    project.write("models/a.rbxmx", rbxmx("a"));
    project.sync();
    project.write("models/a.rbxmx", rbxmx("b"));
    let rule = fault(&remote, FaultRule::on(ApiEndpoint::GetAsset, reply(400, BodyShape::Service, "Invalid request.")));
    let (code, document) = project.json(&["sync", "--once", "--timeout", "10s"]);
    assert_eq!((code, remote.control().fired(rule)), (1, 1), "{document:#}");
    let error = document["actions"][0]["error"].as_str().unwrap();
    assert!(error.contains("Invalid request"), "{error}");
    remote.control().clear_faults();
    project.sync();
}

#[test]
fn a_failed_observation_is_repeated_only_after_a_pause() {
    let remote = unlimited();
    let project = Project::new(MODELS).at(&remote.url());
    project.write("models/a.rbxmx", rbxmx("a"));
    project.sync();
    project.write("models/a.rbxmx", rbxmx("b"));
    let rule = fault(&remote, FaultRule::on(ApiEndpoint::GetAsset, reply(409, BodyShape::Service, "Aborted.")));
    let (code, _) = project.json(&["sync", "--once", "--timeout", "3s"]);
    let fired = remote.control().fired(rule);
    assert_eq!(code, 1);
    assert!((1..10).contains(&fired), "{fired} requests");
    remote.control().clear_faults();
    project.sync();
}

#[test]
#[cfg_attr(windows, ignore = "no limit of open files")]
fn only_files_under_upload_are_open() {
    let remote = unlimited();
    let project = Project::new(UI).at(&remote.url());
    (0..90).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]);
    let sync = project.command(&["sync", "--once", "--json"]);
    command.arg(sync.get_program()).args(sync.get_args()).current_dir(project.path()).env_clear();
    command.envs(sync.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = Ran::of(command.output().unwrap()).expect(0);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["actions"].as_array().unwrap().len(), 90, "none had to be tried twice");
    assert_eq!(remote.assets().len(), 90);
}

/// Roblox stored hash signs for the new name, so the update in doubt was taken for not carried out,
/// and the old name, wanted again, for stored.
#[test]
fn a_censored_name_in_doubt_is_put_back_when_the_old_name_is_wanted_again() {
    let remote = unlimited();
    let manifest =
        |name: &str| format!("[creator]\nuser_id = 1\n\n[assets.a]\npath = \"a.png\"\ndisplay_name = \"{name}\"\n");
    remote.control().add_text_rule(TextRule {
        contains: "Ugly".to_owned(),
        field: TextField::Name,
        action: TextAction::Censor,
    });
    let mut project = Project::new(&manifest("Shield")).at(&remote.url());
    project.write("a.png", png(1));
    project.sync();
    project.write("assets.toml", manifest("Ugly"));
    project.set_env("MACADAM_FAILPOINT", "answered:1");
    assert_eq!(project.run(&["sync", "--once"]).code, -1, "it was killed");
    project.set_env("MACADAM_FAILPOINT", "");
    // A request that was handed over is carried out when its operation ends.
    while remote.assets()[0].asset.metadata.display_name != "####" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    project.write("assets.toml", manifest("Shield"));
    project.sync();
    assert_eq!(remote.assets()[0].asset.metadata.display_name, "Shield");
}

#[test]
fn an_asset_that_comes_back_gets_its_current_name() {
    let remote = unlimited();
    let manifest =
        |name: &str| format!("[creator]\nuser_id = 1\n\n[assets.a]\npath = \"a.png\"\ndisplay_name = \"{name}\"\n");
    let project = Project::new(&manifest("Old")).at(&remote.url());
    project.write("a.png", png(1));
    project.sync();
    project.write("a.png", png(2));
    project.write("assets.toml", manifest("New"));
    project.sync();
    project.write("a.png", png(1));
    project.sync();
    let back = remote.control().asset(asset_id(&project, "a")).unwrap();
    assert_eq!(back.asset.versions.len(), 1);
    assert_eq!(back.asset.metadata.display_name, "New");
    assert_eq!(remote.assets().len(), 2);
    let before = remote.all_requests();
    project.sync();
    assert_eq!(remote.all_requests(), before);
}

#[test]
fn one_answer_of_not_found_replaces_no_shared_asset() {
    let remote = unlimited();
    let project = Project::new(UI).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(1));
    project.sync();
    let shared = asset_id(&project, "ui/a.png");
    project.write("ui/a.png", png(2));
    project.sync();
    project.write("ui/a.png", png(1));
    let mut gone = FaultRule::on(ApiEndpoint::GetAsset, reply(404, BodyShape::Service, "AssetId is not found"));
    gone.conditions.asset_id = Some(shared);
    project.let_reads_catch_up();
    let rule = fault(&remote, gone);
    // One answer doesn't prove that it is gone, so no other asset takes its place.
    let (code, document) = project.json(&["sync", "--once"]);
    assert!(remote.control().fired(rule) > 0);
    assert_eq!((code, remote.assets().len()), (1, 2), "{document:#}");
    remote.control().clear_faults();
    // Until it is asked again.
    project.pass(6);
    project.sync();
    assert_eq!((asset_id(&project, "ui/a.png"), asset_id(&project, "ui/b.png")), (shared, shared));
    assert_eq!(remote.assets().len(), 2);
}

#[test]
fn an_upload_in_doubt_is_not_resolved_with_the_asset_that_it_replaces() {
    let remote = unlimited();
    let manifest = format!("{UI}\n[policy]\nambiguous_create = \"hold\"\n");
    let project = Project::new(&manifest).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    let old = asset_id(&project, "ui/a.png").to_string();
    project.write("ui/a.png", png(2));
    let reset = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Reset { at: Point::AfterCommit });
    let rule = fault(&remote, reset.times(1));
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    assert_eq!(remote.control().fired(rule), 1);
    let (code, document) = project.json(&["resolve", "ui/a.png", "--asset-id", &old]);
    assert_eq!(code, 1);
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("already belongs to"), "{document:#}");
    let made = remote.assets().iter().map(|report| report.asset.id).find(|id| id.to_string() != old).unwrap();
    assert_eq!(project.json(&["resolve", "ui/a.png", "--asset-id", &made.to_string()]).0, 0);
    project.sync();
    assert_eq!((asset_id(&project, "ui/a.png"), remote.assets().len()), (made, 2));
}

#[test]
fn a_refused_key_reports_the_work_done_before() {
    let remote = unlimited();
    let project = Project::new(UI).at(&remote.url());
    (0..3).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let refused = reply(401, BodyShape::Gateway, "Invalid API Key");
    let rule = fault(&remote, FaultRule::on(ApiEndpoint::CreateAsset, refused).nth(2));
    let (code, document) = project.json(&["sync", "--once", "--uploads", "1"]);
    assert_eq!((code, remote.control().fired(rule)), (4, 1));
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("Invalid API Key"), "{document:#}");
    let outcomes: Vec<&str> =
        document["actions"].as_array().unwrap().iter().map(|action| action["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.len(), 3, "{document:#}");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
    assert_eq!(document["in_sync"], false);
    project.sync();
    assert_eq!(remote.assets().len(), 3);
}

/// An address that shared a refused upload was in the document twice, as waiting and as held.
#[test]
fn a_refused_shared_upload_is_reported_once() {
    let remote = unlimited();
    let project = Project::new(UI).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(1));
    fault(&remote, FaultRule::on(ApiEndpoint::CreateAsset, reply(400, BodyShape::Service, "InvalidImage")));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1);
    let told: Vec<(&str, &str)> = document["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| (action["address"].as_str().unwrap(), action["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("ui/a.png", "failed"), ("ui/b.png", "held")], "{document:#}");
}

/// A manifest that broke during the run ended it as if nothing had been tried, though assets had
/// been made.
#[test]
fn a_broken_manifest_reports_the_work_done_before() {
    let remote = unlimited();
    remote.control().set_latency(LatencyModel::Fixed(1500));
    let project = Project::new(UI).at(&remote.url());
    project.write("ui/a.png", png(1));
    let child = project
        .command(&["sync", "--once"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while remote.requests(ApiEndpoint::CreateAsset) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    project.write("assets.toml", "[creator\n");
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(3);
    assert!(ran.stdout.contains("ui/a.png"), "{}", ran.stdout);
    assert!(ran.stderr.contains("assets.toml:1"), "{}", ran.stderr);
    assert!(project.read("assets.lock.toml").contains("ui/a.png"));
}

/// A run without a manifest that can be used, or without a key, made a state all the same.
#[test]
fn a_run_that_attempts_nothing_leaves_no_state() {
    let project = Project::new("[creator\n");
    project.run(&["sync", "--once"]).expect(3);
    project.write("assets.toml", UI);
    let without_key = project.command(&["sync", "--once"]).env_remove("ROBLOX_API_KEY").output().unwrap();
    Ran::of(without_key).expect(4);
    assert!(!project.state_folder().exists());
}
