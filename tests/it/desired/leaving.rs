//! Assets that are no longer wanted: kept, or archived after a while, and never many at once
//! without a person.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{actions, asset_id, check, check_converged, prompt, row};
use crate::support::{Project, Remote, png};

fn manifest(policy: &str) -> String {
    format!("[creator]\nuser_id = 1\n\n[policy]\n{policy}\n\n[globs.ui]\npath = \"ui/*.png\"\n")
}

fn project(remote: &Remote, policy: &str, pictures: u8) -> Project {
    let project = Project::new(&manifest(policy)).at(&remote.url());
    (0..pictures).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    project.sync();
    project
}

/// Syncs until what left is due: the policy of these tests waits for ten minutes.
fn sync_when_due(project: &Project) -> serde_json::Value {
    project.sync();
    project.pass(11);
    project.sync()
}

fn is_archived(remote: &Remote, id: u64) -> bool {
    remote.control().asset(id).unwrap().asset.archived
}

#[test]
fn a_replaced_asset_is_archived_by_policy_and_restored_when_its_content_comes_back() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"archive\"\narchive_after = \"10m\"", 4);
    let old = asset_id(&project, "ui/0.png");
    project.write("ui/0.png", png(50));
    let document = sync_when_due(&project);
    assert_eq!(actions(&document), ["archive ui/0.png"], "{document:#}");
    assert!(is_archived(&remote, old));
    check_converged("archived", &project, &remote);
    // Another machine knows it, and doesn't archive again.
    project.remove_state();
    check_converged("archived, on a fresh machine", &project, &remote);
    project.write("ui/0.png", png(0));
    let document = project.sync();
    assert_eq!(actions(&document).first().map(String::as_str), Some("replace ui/0.png"), "{document:#}");
    assert_eq!(asset_id(&project, "ui/0.png"), old);
    assert!(!is_archived(&remote, old));
    check_converged("back", &project, &remote);
}

#[test]
fn archiving_waits_and_plan_tells_until_when() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"archive\"\nremoved = \"archive\"\narchive_after = \"14d\"", 4);
    let (old, gone) = (asset_id(&project, "ui/0.png"), asset_id(&project, "ui/1.png"));
    project.write("ui/0.png", png(50));
    project.remove("ui/1.png");
    let document = project.sync();
    assert_eq!(actions(&document), ["replace ui/0.png"], "{document:#}");
    check_converged("waiting", &project, &remote);
    let (_, plan) = project.json(&["plan"]);
    let notes: Vec<&str> = plan["notes"].as_array().unwrap().iter().filter_map(|note| note["note"].as_str()).collect();
    assert!(
        notes.iter().any(|note| note.contains(&format!("asset {old} was replaced; Macadam archives it after 20"))),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.contains(&format!("asset {gone} left the manifest; Macadam archives it after 20"))),
        "{notes:?}"
    );
    assert_eq!(row(&project, "ui/1.png")["state"], "removed");
    assert!(!is_archived(&remote, old) && !is_archived(&remote, gone));
}

/// Each run of CI is a fresh clone: the time goes on where the lockfile says that it began.
#[test]
fn archive_after_goes_on_in_fresh_clones() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"archive\"\nremoved = \"archive\"\narchive_after = \"14d\"", 4);
    let (old, gone) = (asset_id(&project, "ui/0.png"), asset_id(&project, "ui/1.png"));
    project.write("ui/0.png", png(50));
    project.remove("ui/1.png");
    project.sync();
    let lockfile = project.read("assets.lock.toml");
    let dates = || {
        let (_, plan) = project.json(&["plan"]);
        let notes = plan["notes"].as_array().unwrap().iter().filter_map(|note| note["note"].as_str());
        let dates: Vec<String> = notes.filter(|note| note.contains("archives it after")).map(str::to_owned).collect();
        assert_eq!(dates.len(), 2, "{plan:#}");
        dates
    };
    let first = dates();
    for _ in 0..2 {
        project.remove_state();
        project.pass(6 * 24 * 60);
        assert_eq!(dates(), first);
        assert_eq!(actions(&project.sync()), Vec::<String>::new());
        assert_eq!(project.read("assets.lock.toml"), lockfile, "reading changes no date");
    }
    assert!(!is_archived(&remote, old) && !is_archived(&remote, gone));
    project.remove_state();
    project.pass(2 * 24 * 60 + 1);
    assert_eq!(actions(&project.sync()), ["archive ui/0.png", "archive ui/1.png"]);
    assert!(is_archived(&remote, old) && is_archived(&remote, gone));
    // What comes back and leaves again begins anew.
    project.write("ui/1.png", png(1));
    project.sync();
    project.remove_state();
    project.remove("ui/1.png");
    assert_eq!(actions(&project.sync()), Vec::<String>::new());
    assert!(!is_archived(&remote, gone));
}

/// It would archive at once what has two weeks left.
#[test]
fn a_wrong_clock_archives_nothing() {
    let remote = prompt();
    let mut project = project(&remote, "removed = \"archive\"\narchive_after = \"14d\"", 4);
    project.set_env("MACADAM_CLOCK_WRONG", "1");
    project.remove("ui/1.png");
    project.sync();
    project.pass(15 * 24 * 60);
    let ran = project.run(&["sync", "--once"]).expect(1);
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert!(text.contains("this machine's clock is 360 hours ahead, so asset"), "{text}");
    assert!(text.contains("timedatectl"), "{text}");
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
    project.pass(-15 * 24 * 60);
    assert_eq!(actions(&project.sync()), Vec::<String>::new());
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
}

#[test]
fn fresh_clones_count_the_archivings_of_a_day_together() {
    let remote = prompt();
    let project = project(&remote, "removed = \"archive\"\narchive_after = \"0d\"", 9);
    let remove_two = |first: u8| {
        project.remove_state();
        (first..first + 2).for_each(|shade| project.remove(&format!("ui/{shade}.png")));
        project.json(&["sync", "--once"])
    };
    assert_eq!(remove_two(0).0, 0);
    let (code, document) = remove_two(2);
    assert_eq!((code, actions(&document)), (1, vec!["hold ui/2.png".to_owned(), "hold ui/3.png".to_owned()]));
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 2);
    // The code of one run agrees in another clone.
    let hint = document["actions"][0]["hint"].as_str().unwrap().to_owned();
    let code_word = hint.rsplit("--confirm ").next().unwrap().trim_end_matches('`').to_owned();
    project.remove_state();
    assert_eq!(project.json(&["sync", "--once", "--confirm", &code_word]).0, 0);
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 4);
    // On another day these count no longer.
    project.pass(25 * 60);
    assert_eq!(remove_two(4).0, 0);
}

#[test]
fn a_file_that_comes_back_keeps_its_id_and_is_restored() {
    let remote = prompt();
    let project = project(&remote, "removed = \"archive\"\narchive_after = \"10m\"", 4);
    let id = asset_id(&project, "ui/3.png");
    project.remove("ui/3.png");
    assert_eq!(actions(&sync_when_due(&project)), ["archive ui/3.png"]);
    check_converged("removed", &project, &remote);
    assert!(is_archived(&remote, id));
    assert_eq!(row(&project, "ui/3.png")["state"], "archived");
    project.remove_state();
    project.write("ui/3.png", png(3));
    check("back", &project, &remote, &["restore ui/3.png"]);
    assert!(!is_archived(&remote, id));
    assert_eq!((asset_id(&project, "ui/3.png"), remote.assets().len()), (id, 4));
}

#[test]
fn many_at_once_are_held_until_exactly_that_plan_is_confirmed() {
    let remote = prompt();
    let project = project(&remote, "removed = \"archive\"\narchive_after = \"10m\"", 6);
    (0..3).for_each(|shade| project.remove(&format!("ui/{shade}.png")));
    project.sync();
    project.pass(11);
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(
        (code, actions(&document)),
        (1, vec!["hold ui/0.png", "hold ui/1.png", "hold ui/2.png"].into_iter().map(str::to_owned).collect()),
        "{document:#}"
    );
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
    let hint = document["actions"][0]["hint"].as_str().unwrap().to_owned();
    let code_word = hint.rsplit("--confirm ").next().unwrap().trim_end_matches('`').to_owned();
    assert_eq!(project.json(&["sync", "--once", "--confirm", "00000000"]).0, 1, "another code agrees to nothing");
    let (code, document) = project.json(&["sync", "--once", "--confirm", &code_word]);
    assert_eq!((code, remote.requests(ApiEndpoint::ArchiveAsset)), (0, 3), "{document:#}");
    // One more on the same day is too many again.
    project.remove("ui/3.png");
    project.sync();
    project.pass(11);
    assert_eq!(project.json(&["sync", "--once", "--confirm", &code_word]).0, 1);
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 3);
}

#[test]
fn a_shared_asset_is_archived_with_its_last_address() {
    let remote = prompt();
    let project = project(&remote, "removed = \"archive\"\narchive_after = \"10m\"", 4);
    project.write("ui/copy.png", png(0));
    project.sync();
    let id = asset_id(&project, "ui/0.png");
    assert_eq!(asset_id(&project, "ui/copy.png"), id);
    project.remove("ui/0.png");
    assert_eq!(actions(&sync_when_due(&project)), Vec::<String>::new());
    assert!(!is_archived(&remote, id));
    project.remove("ui/copy.png");
    let document = sync_when_due(&project);
    assert_eq!(document["summary"]["archive"], 1, "{document:#}");
    assert!(is_archived(&remote, id));
    check_converged("both left", &project, &remote);
}

#[test]
fn an_empty_manifest_and_a_vanished_folder_archive_nothing() {
    let remote = prompt();
    let policy = "removed = \"archive\"\narchive_after = \"0d\"";
    let project = project(&remote, policy, 2);
    project.write("assets.toml", format!("[creator]\nuser_id = 1\n\n[policy]\n{policy}\n"));
    check_converged("empty", &project, &remote);
    project.write("assets.toml", manifest(policy));
    std::fs::rename(project.file("ui"), project.file("elsewhere")).unwrap();
    check_converged("vanished", &project, &remote);
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
}

#[test]
fn archive_after_zero_archives_in_the_same_command() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"archive\"\nremoved = \"archive\"\narchive_after = \"0d\"", 6);
    let (old, gone) = (asset_id(&project, "ui/0.png"), asset_id(&project, "ui/1.png"));
    project.write("ui/0.png", png(50));
    project.remove("ui/1.png");
    let document = project.sync();
    assert_eq!(actions(&document), ["replace ui/0.png", "archive ui/1.png", "archive ui/0.png"], "{document:#}");
    assert!(is_archived(&remote, old) && is_archived(&remote, gone));
    check_converged("at once", &project, &remote);
}

/// From now on Roblox refuses to archive anything.
fn refuse_archivings(remote: &Remote) {
    let action =
        json!({"kind": "reply", "status": 400, "body": r#"{"code":"INVALID_ARGUMENT","message":"not this one"}"#});
    let rule = serde_json::from_value(json!({"match": {"endpoint": "archive_asset"}, "action": action})).unwrap();
    remote.control().add_faults(vec![rule]).unwrap();
}

#[test]
fn a_refused_archiving_is_not_sent_again_before_a_retry_or_another_removal() {
    let remote = prompt();
    let project = project(&remote, "removed = \"archive\"\narchive_after = \"0d\"", 4);
    let gone = asset_id(&project, "ui/1.png");
    refuse_archivings(&remote);
    project.remove("ui/1.png");
    let sent = |number: usize, step: &str| assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), number, "{step}");
    let held = |document: &serde_json::Value| {
        assert_eq!(actions(document), ["hold ui/1.png"], "{document:#}");
        let action = &document["actions"][0];
        assert_eq!(
            (&action["code"], &action["facts"]["asset_id"]),
            (&json!("archiving_refused"), &json!(gone)),
            "{document:#}"
        );
        let said = format!("asset {gone} left the manifest, but Roblox refused to archive it: not this one");
        assert_eq!(action["error"].as_str().or(action["reason"].as_str()), Some(said.as_str()), "{document:#}");
    };
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    sent(1, "refused");
    for _ in 0..2 {
        let (code, document) = project.json(&["sync", "--once"]);
        held(&document);
        assert_eq!(code, 1, "{document:#}");
    }
    held(&project.json(&["plan"]).1);
    sent(1, "remembered");
    assert_eq!(row(&project, "ui/1.png")["state"], "failed");
    let doctor = project.run(&["doctor"]);
    assert!(doctor.stdout.contains("1 refused by Roblox"), "{}", doctor.stdout);

    project.run(&["retry", "--all"]).expect(0);
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    sent(2, "retried");
    project.run(&["archive", "ui/1.png", "--yes"]).expect(1);
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    sent(3, "by hand only");

    project.write("ui/1.png", png(1));
    check_converged("back", &project, &remote);
    project.remove("ui/1.png");
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    sent(4, "removed anew");

    remote.control().clear_faults();
    project.run(&["retry", "ui/1.png"]).expect(0);
    assert_eq!(actions(&project.sync()), ["archive ui/1.png"]);
    assert!(is_archived(&remote, gone));
    check_converged("archived", &project, &remote);
}

/// What moderation thinks of the account goes by how often something is sent that it refused.
#[test]
fn an_archiving_that_fails_or_succeeds_sends_no_refused_file_again() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"archive\"\narchive_after = \"1d\"", 6);
    let old = asset_id(&project, "ui/0.png");
    project.write("ui/0.png", png(50));
    project.sync();
    let reply = |status: u16| json!({"kind": "reply", "status": status, "body": r#"{"code":"X","message":"no"}"#});
    let fault = |endpoint: &str, status: u16| {
        let rule = json!({"match": {"endpoint": endpoint}, "action": reply(status)});
        remote.control().add_faults(vec![serde_json::from_value(rule).unwrap()]).unwrap();
    };
    fault("create_asset", 400);
    project.write("ui/0.png", png(51));
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    let manifest = project.read("assets.toml").replace("archive_after = \"1d\"", "archive_after = \"0d\"");
    project.write("assets.toml", manifest);
    fault("archive_asset", 503);
    for _ in 0..2 {
        drop(project.json(&["sync", "--once", "--timeout", "5s"]));
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "after a failed archiving");
    }
    let tries = remote.requests(ApiEndpoint::ArchiveAsset);
    assert!((2..=8).contains(&tries), "four fit into the back-off of five seconds: {tries}");
    assert!(!is_archived(&remote, old));
    remote.control().clear_faults();
    fault("create_asset", 400);
    for _ in 0..3 {
        drop(project.json(&["sync", "--once"]));
    }
    assert!(is_archived(&remote, old));
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "after an archiving");
}

#[test]
fn a_refused_archiving_of_a_replaced_asset_holds_nothing_else_of_its_address() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"archive\"\narchive_after = \"0d\"", 6);
    let first = asset_id(&project, "ui/0.png");
    refuse_archivings(&remote);
    for shade in [50, 51] {
        project.write("ui/0.png", png(shade));
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(actions(&document).first().map(String::as_str), Some("replace ui/0.png"), "{document:#}");
        assert_eq!(code, 1);
    }
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 2, "one for each asset");
    let (_, document) = project.json(&["sync", "--once"]);
    assert_eq!(actions(&document), ["hold ui/0.png", "hold ui/0.png"], "{document:#}");
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 2);
    assert_eq!(row(&project, "ui/0.png")["state"], "synced");
    // The first one is in use again.
    project.write("ui/0.png", png(0));
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    assert_eq!(asset_id(&project, "ui/0.png"), first);
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 3, "the last picture is replaced now");
    remote.control().clear_faults();
    project.run(&["retry", "ui/0.png"]).expect(0);
    assert_eq!(project.sync()["summary"]["archive"], 2);
    check_converged("archived", &project, &remote);
}

#[test]
fn a_sync_without_a_step_says_why_the_lockfile_changes() {
    let remote = prompt();
    let project = project(&remote, "replaced = \"keep\"", 3);
    project.write("ui/0.png", png(50));
    project.sync();
    project.write("assets.toml", manifest("replaced = \"archive\"\narchive_after = \"14d\""));
    let why = "since when earlier assets of ui/0.png are unwanted";
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains(&format!("assets.lock.toml would change: {why}.")), "{plan}");
    let sync = project.run(&["sync", "--once"]).expect(0).stdout;
    assert!(sync.contains(&format!("The lockfile has changed: {why}.")), "{sync}");
    // An upload says it itself.
    project.write("ui/1.png", png(51));
    let sync = project.run(&["sync", "--once"]).expect(0).stdout;
    assert!(sync.contains("The lockfile has changed") && !sync.contains("since when"), "{sync}");
}
