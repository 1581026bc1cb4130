//! `history --remote`: Roblox's list beside Macadam's history, without changing anything.

use std::process::Stdio;

use macadam::emulator::{ApiEndpoint, Config, ForeignEdit, ModerationRule, ModerationVerdict, Profile, VerdictStep};
use serde_json::{Value, json};

use super::cli::snapshot;
use super::everyday::pictures;
use super::support::{Project, Ran, Remote, png, rbxmx};

const MANIFEST: &str =
    "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"sword.rbxmx\"\n\n[assets.icon]\npath = \"icon.png\"\n";

/// A remote of a profile, and a project of a model and a picture that is in sync with it.
fn synced(profile: Profile) -> (Remote, Project) {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let remote = Remote::with(Config { profile, switches, ..Config::default() });
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("sword"));
    project.write("icon.png", png(1));
    project.sync();
    (remote, project)
}

fn asset_id(project: &Project, address: &str) -> u64 {
    project.json(&["status", address]).1["assets"][0]["asset_id"].as_u64().unwrap()
}

/// Somebody else makes so many versions.
fn made_elsewhere(remote: &Remote, asset: u64, count: usize) {
    for number in 0..count {
        let edit = ForeignEdit { content_hash: Some(format!("{number:064x}")), ..ForeignEdit::default() };
        remote.control().edit(asset, &edit).unwrap();
    }
}

fn fault(remote: &Remote, script: Value) {
    remote.control().add_faults(vec![serde_json::from_value(script).unwrap()]).unwrap();
}

/// The revisions as numbers, with what Roblox said of each.
#[track_caller]
fn asked(project: &Project, address: &str) -> (Vec<u64>, Vec<Value>, Value) {
    let (code, document) = project.json(&["history", address, "--remote"]);
    assert_eq!(code, 0, "{document:#}");
    let revisions = document["revisions"].as_array().unwrap().clone();
    let keys = ["revision", "asset_id", "content_hash", "created_at", "action", "current", "remote", "at_remote"];
    for entry in &revisions {
        keys.iter().for_each(|key| assert!(entry.as_object().unwrap().contains_key(*key), "{key}: {entry:#}"));
    }
    (revisions.iter().map(|entry| entry["revision"].as_u64().unwrap()).collect(), revisions, document["notes"].clone())
}

#[test]
fn versions_made_elsewhere_are_marked_and_nothing_is_written() {
    let (remote, project) = synced(Profile::Observed);
    let id = asset_id(&project, "sword");
    made_elsewhere(&remote, id, 2);
    let rejected = VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected };
    remote.control().moderate(ModerationRule {
        asset_id: Some(id),
        verdicts: vec![rejected],
        ..ModerationRule::default()
    });
    // With the state, and in a fresh clone.
    for fresh in [false, true] {
        if fresh {
            project.remove_state();
        }
        let (files, requests) = (snapshot(project.path()), remote.all_requests());
        let (numbers, revisions, notes) = asked(&project, "sword");
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(revisions[0]["current"], true);
        let approved = json!({"moderation": "approved", "published": false, "archived": null});
        assert_eq!(revisions[0]["remote"], approved);
        for entry in &revisions[1..] {
            assert_eq!((&entry["action"], &entry["content_hash"]), (&json!("elsewhere"), &Value::Null), "{entry:#}");
            assert_eq!((&entry["asset_id"], &entry["current"]), (&json!(id), &json!(false)), "{entry:#}");
        }
        let rejected = json!({"moderation": "rejected", "published": true, "archived": null});
        assert_eq!(revisions[2]["remote"], rejected);
        assert_eq!(notes, json!([]));
        assert_eq!(remote.all_requests(), requests + 1, "one page is enough");
        assert_eq!(snapshot(project.path()), files, "asking writes nothing");
    }
    let text = project.run(&["history", "sword", "--remote"]).expect(0).stdout;
    assert!(text.contains("AT ROBLOX") && text.contains("rejected, published"), "{text}");
    assert!(text.contains("3 revisions, 2 made elsewhere"), "{text}");
    // Without being asked for, nothing of it is shown.
    let (_, local) = project.json(&["history", "sword"]);
    assert_eq!(local["revisions"].as_array().unwrap().len(), 1);
    assert!(local["revisions"][0].get("remote").is_none());
    assert!(!project.run(&["history", "sword"]).expect(0).stdout.contains("AT ROBLOX"));
}

#[test]
fn long_lists_are_read_page_by_page() {
    let (remote, project) = synced(Profile::Observed);
    made_elsewhere(&remote, asset_id(&project, "sword"), 120);
    let before = remote.requests(ApiEndpoint::ListVersions);
    let (numbers, revisions, _) = asked(&project, "sword");
    assert_eq!(numbers, (1..=121).collect::<Vec<u64>>());
    assert!(revisions.iter().all(|entry| entry["at_remote"] == true));
    assert_eq!(remote.requests(ApiEndpoint::ListVersions), before + 3);
}

#[test]
fn a_list_that_can_not_page_calls_nothing_missing() {
    let (remote, project) = synced(Profile::Documented);
    remote.control().set_switch("versions_body", "array").unwrap();
    made_elsewhere(&remote, asset_id(&project, "sword"), 60);
    let (numbers, revisions, notes) = asked(&project, "sword");
    assert_eq!((numbers.len(), numbers[0], numbers[1], numbers[50]), (51, 1, 12, 61));
    assert_eq!((&revisions[0]["at_remote"], &revisions[0]["remote"]), (&Value::Null, &Value::Null));
    assert_eq!(revisions[50]["remote"]["published"], Value::Null, "nobody told");
    assert!(notes[0].as_str().unwrap().contains("newest 50"), "{notes}");
}

#[test]
fn pages_that_lead_in_a_circle_end_with_an_error() {
    let (remote, project) = synced(Profile::Observed);
    fault(&remote, json!({"match": {"endpoint": "list_versions"}, "action": {"kind": "versions_loop"}}));
    let before = remote.requests(ApiEndpoint::ListVersions);
    let (code, document) = project.json(&["history", "sword", "--remote"]);
    assert_eq!(code, 1, "{document:#}");
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("circle"), "{document:#}");
    assert_eq!(
        remote.requests(ApiEndpoint::ListVersions),
        before + 2,
        "an answer that came well is not asked for again"
    );
}

#[test]
fn an_outage_is_retried_and_then_reported() {
    let (remote, project) = synced(Profile::Observed);
    let reply = |status: u16, times: u64| json!({"match": {"endpoint": "list_versions"}, "times": times, "action": {"kind": "reply", "status": status}});
    for status in [502, 429] {
        fault(&remote, reply(status, 1));
        assert_eq!(asked(&project, "sword").0, [1]);
    }
    fault(&remote, reply(503, 3));
    let (code, document) = project.json(&["history", "sword", "--remote"]);
    assert_eq!(code, 1, "{document:#}");
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("503"), "{document:#}");
}

#[test]
fn a_revision_that_roblox_lacks_is_shown_as_missing() {
    let (remote, project) = synced(Profile::Observed);
    project.write("sword.rbxmx", rbxmx("two"));
    project.sync();
    let id = asset_id(&project, "sword");
    let list = json!({"assetVersions": [{"path": format!("assets/{id}/versions/2")}]}).to_string();
    let action = json!({"kind": "reply", "status": 200, "body": list});
    fault(&remote, json!({"match": {"endpoint": "list_versions"}, "times": 1, "action": action}));
    let (numbers, revisions, _) = asked(&project, "sword");
    assert_eq!(numbers, [1, 2]);
    assert_eq!((&revisions[0]["at_remote"], &revisions[0]["remote"]), (&json!(false), &Value::Null));
    assert_eq!(revisions[1]["at_remote"], true);
    // The asset itself is gone: that is reported, and is no failure.
    let gone = json!({"kind": "reply", "status": 404, "shape": "service", "message": "AssetId is not found"});
    fault(&remote, json!({"match": {"path": format!("assets/{id}")}, "action": gone}));
    let (_, revisions, notes) = asked(&project, "sword");
    assert!(revisions.iter().all(|entry| entry["at_remote"] == false), "{revisions:#?}");
    assert_eq!(notes, json!([]));
    let text = project.run(&["history", "sword", "--remote"]).expect(0).stdout;
    assert!(text.contains("2 missing at Roblox"), "{text}");
}

#[test]
fn a_list_that_is_refused_or_empty_says_so_and_fails_nothing() {
    let (remote, project) = synced(Profile::Observed);
    let refused = json!({"kind": "reply", "status": 404, "shape": "service", "message": "no versions"});
    let empty = json!({"kind": "reply", "status": 200, "body": "{}"});
    for (action, said) in [(refused, "no versions"), (empty, "lists no versions")] {
        fault(&remote, json!({"match": {"endpoint": "list_versions"}, "times": 1, "action": action}));
        let (numbers, revisions, notes) = asked(&project, "sword");
        assert_eq!((numbers, &revisions[0]["at_remote"]), (vec![1], &json!(true)), "{revisions:#?}");
        assert_eq!(revisions[0]["remote"]["moderation"], "approved");
        assert!(notes[0].as_str().unwrap().contains(said), "{notes}");
    }
}

#[test]
fn history_remote_reads_each_asset_of_a_replaced_type() {
    for profile in [Profile::Observed, Profile::Documented] {
        let (remote, project) = synced(profile);
        let first = asset_id(&project, "icon");
        for shade in [2, 3] {
            project.write("icon.png", png(shade));
            project.sync();
        }
        let last = asset_id(&project, "icon");
        remote.control().edit(first, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
        let gone = json!({"kind": "reply", "status": 404, "shape": "service", "message": "AssetId is not found"});
        fault(&remote, json!({"match": {"endpoint": "get_asset", "asset_id": last}, "action": gone}));
        let before = (remote.requests(ApiEndpoint::GetAsset), remote.requests(ApiEndpoint::ListVersions));
        let (numbers, revisions, notes) = asked(&project, "icon");
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(revisions[0]["remote"], json!({"moderation": "approved", "published": null, "archived": true}));
        assert_eq!(revisions[1]["remote"]["archived"], false);
        assert_eq!((&revisions[2]["at_remote"], &revisions[2]["current"]), (&json!(false), &json!(true)));
        assert!(notes[0].as_str().unwrap().contains("Image"), "{notes}");
        let after = (remote.requests(ApiEndpoint::GetAsset), remote.requests(ApiEndpoint::ListVersions));
        assert_eq!(after, (before.0 + 3, before.1));
    }
}

#[test]
fn history_remote_needs_a_key_that_roblox_accepts() {
    let (remote, project) = synced(Profile::Observed);
    let requests = remote.all_requests();
    let mut command = project.command(&["history", "sword", "--remote", "--json"]);
    let ran = Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(4);
    assert!(ran.stdout.contains("no API key"), "{}", ran.stdout);
    assert_eq!(remote.all_requests(), requests);
    let refused = json!({"kind": "reply", "status": 401, "message": "Invalid API Key"});
    fault(&remote, json!({"action": refused}));
    let (code, document) = project.json(&["history", "sword", "--remote"]);
    assert_eq!(code, 4, "{document:#}");
    assert!(document["errors"][0]["hint"].is_string(), "{document:#}");
    let (code, _) = project.json(&["history", "nobody", "--remote"]);
    assert_eq!(code, 1, "an address that nothing is known of is not asked for");
}

#[test]
fn history_remote_works_beside_a_run_and_with_the_emulator() {
    let (remote, project) = synced(Profile::Observed);
    project.write("sword.rbxmx", rbxmx("two"));
    let stuck = json!({"kind": "operation", "outcome": "stuck"});
    fault(&remote, json!({"match": {"endpoint": "update_asset"}, "action": stuck}));
    let polls = remote.requests(ApiEndpoint::GetOperation);
    let mut run = project.command(&["sync", "--once"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while remote.requests(ApiEndpoint::GetOperation) == polls {
        assert!(run.try_wait().unwrap().is_none(), "the run ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let (numbers, _, notes) = asked(&project, "sword");
    assert_eq!(numbers[0], 1);
    assert!(notes[0].as_str().unwrap().contains("changing this asset right now"), "{notes}");
    remote.control().clear_faults();
    assert!(run.wait().unwrap().success());

    let project = Project::new(MANIFEST);
    project.write("sword.rbxmx", rbxmx("sword"));
    project.write("icon.png", png(1));
    project.run(&["sync", "--once", "--emulator"]).expect(0);
    let mut command = project.command(&["history", "sword", "--remote", "--emulator"]);
    let text = Ran::of(command.env_remove("ROBLOX_API_KEY").output().unwrap()).expect(0).stdout;
    assert!(text.contains("approved, published"), "{text}");
}

#[test]
fn a_repeated_upload_is_reported_afterwards() {
    let (remote, project) = synced(Profile::Observed);
    fault(
        &remote,
        json!({ "match": { "endpoint": "create_asset" }, "action": { "kind": "reset", "at": "after_commit" }, "times": 1 }),
    );
    project.write("icon.png", png(2));
    project.sync();
    assert_eq!(remote.assets().len(), 4, "the model, and the second picture twice");

    let (_, document) = project.json(&["status"]);
    let rows = document["assets"].as_array().unwrap();
    let counts: Vec<_> =
        rows.iter().map(|row| (row["address"].as_str(), row["possible_duplicates"].as_u64())).collect();
    assert_eq!(counts, [(Some("icon"), Some(1)), (Some("sword"), Some(0))]);
    let told = project.run(&["status"]).expect(0).stdout;
    assert!(
        told.contains(
            "1 asset may have a second copy on Roblox, because the first answer got lost. `macadam history icon`"
        ),
        "{told}"
    );

    let (_, document) = project.json(&["history", "icon"]);
    let events: Vec<_> = document["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str()).collect();
    assert_eq!(events, [Some("in_doubt"), Some("possible_duplicate")]);
    let told = project.run(&["history", "icon"]).expect(0).stdout;
    assert!(told.contains("so there may be two copies of it on Roblox"), "{told}");
    assert!(told.contains("the upload of a new asset got no clear answer: ") && !told.contains("create: "), "{told}");
    let (_, document) = project.json(&["history", "sword"]);
    assert_eq!(document["events"], json!([]));
}

#[test]
fn a_shared_revision_names_the_address_that_uploaded_it() {
    let (_remote, project) = pictures(&["a"]);
    project.write("ui/b.png", png(1));
    project.sync();
    let told = project.run(&["history", "ui/b.png"]).expect(0).stdout;
    assert!(told.contains("shared with ui/a.png  current\n") && !told.contains("uploaded"), "{told}");
    let revision = &project.json(&["history", "ui/b.png"]).1["revisions"][0];
    assert_eq!((&revision["action"], &revision["shared"]), (&json!("share"), &json!(true)), "{revision:#}");
    let told = project.run(&["history", "ui/a.png"]).expect(0).stdout;
    assert!(told.contains("uploaded  current\n"), "{told}");
}
