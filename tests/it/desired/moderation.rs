//! Moderation and the text filter: Macadam waits for verdicts, remembers them, and never answers
//! them with a second upload.

use macadam::emulator::{ApiEndpoint, ModerationRule, ModerationVerdict, TextAction, TextField, TextRule, VerdictStep};

use serde_json::json;

use super::{actions, asset, asset_id, check_converged, prompt, row};
use crate::support::{GLOBS, Project, Remote, png};

fn verdicts(remote: &Remote, steps: &[(u64, ModerationVerdict)]) {
    let verdicts =
        steps.iter().map(|(after_ms, verdict)| VerdictStep { after_ms: *after_ms, verdict: *verdict }).collect();
    remote.control().moderate(ModerationRule {
        content_hash: None,
        name: None,
        asset_id: None,
        verdicts,
        fail_operation: false,
    });
}

#[test]
fn under_review_is_done_and_followed_by_later_runs() {
    let remote = prompt();
    verdicts(&remote, &[(0, ModerationVerdict::Reviewing), (3_600_000, ModerationVerdict::Approved)]);
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    let document = project.sync();
    assert_eq!(document["under_review"], 1, "{document:#}");
    assert_eq!(row(&project, "ui/a.png")["moderation"], "reviewing");
    // Macadam looks again only when a look is due, and never uploads it again; another machine
    // continues.
    project.remove_state();
    let document = project.sync();
    assert_eq!(
        (document["under_review"].as_u64(), remote.requests(ApiEndpoint::CreateAsset)),
        (Some(1), 1),
        "{document:#}"
    );
    remote.control().moderate(ModerationRule {
        content_hash: None,
        name: None,
        asset_id: Some(asset_id(&project, "ui/a.png")),
        verdicts: vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Approved }],
        fail_operation: false,
    });
    project.remove_state();
    assert_eq!(project.sync()["under_review"], 0);
    assert_eq!(row(&project, "ui/a.png")["moderation"], "approved");
    assert!(!project.read("assets.lock.toml").contains("reviewing"));
}

#[test]
fn a_late_rejection_is_waited_for_and_stays_on_every_machine() {
    let remote = prompt();
    verdicts(&remote, &[(0, ModerationVerdict::Reviewing), (1500, ModerationVerdict::Rejected)]);
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    let (code, document) = project.json(&["sync", "--once", "--wait-moderation=60s"]);
    assert_eq!(code, 1, "{document:#}");
    assert_eq!(row(&project, "ui/a.png")["state"], "rejected");
    for fresh in [false, true] {
        if fresh {
            project.remove_state();
        }
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!((code, actions(&document)), (1, vec!["hold ui/a.png".to_owned()]), "{document:#}");
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 1);
    // Other content is uploaded.
    remote.control().clear_moderation();
    project.write("ui/a.png", png(2));
    project.sync();
    assert_eq!(row(&project, "ui/a.png")["state"], "synced");
}

#[test]
fn an_approval_is_waited_for() {
    let remote = prompt();
    verdicts(&remote, &[(0, ModerationVerdict::Reviewing), (1500, ModerationVerdict::Approved)]);
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    let (code, document) = project.json(&["sync", "--once", "--wait-moderation=60s"]);
    assert_eq!((code, document["under_review"].as_u64()), (0, Some(0)), "{document:#}");
    assert_eq!(row(&project, "ui/a.png")["moderation"], "approved");
}

#[test]
fn a_later_takedown_is_noticed_on_refresh() {
    let remote = prompt();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    remote.control().moderate(ModerationRule {
        content_hash: None,
        name: None,
        asset_id: Some(asset_id(&project, "ui/a.png")),
        verdicts: vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }],
        fail_operation: false,
    });
    check_converged("not looked at", &project, &remote);
    let (code, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!((code, actions(&document)), (1, vec!["hold ui/a.png".to_owned()]), "{document:#}");
    assert_eq!((row(&project, "ui/a.png")["state"].as_str(), remote.assets().len()), (Some("rejected"), 1));
}

fn filter(remote: &Remote, action: TextAction) {
    remote.control().add_text_rule(TextRule { contains: "naughty".to_owned(), field: TextField::Both, action });
}

fn named(policy: &str, name: &str, description: &str) -> String {
    format!(
        "[creator]\nuser_id = 1\n\n[policy]\n{policy}\n\n[assets.a]\npath = \"a.png\"\ndisplay_name = \"{name}\"\ndescription = \"{description}\"\n"
    )
}

#[test]
fn a_censored_text_never_loops_and_is_shown() {
    let remote = prompt();
    filter(&remote, TextAction::Censor);
    let project = Project::new(&named("drift = \"heal\"", "a naughty name", "and a naughty text")).at(&remote.url());
    project.write("a.png", png(1));
    let told: Vec<String> = project.sync()["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["message"].as_str().unwrap().to_owned())
        .collect();
    let filtered = |what: &str, text: &str| format!("a: because of Roblox's text filter, the {what} there is `{text}`");
    let both = [filtered("description", "and a ####### text"), filtered("name", "a ####### name")];
    assert_eq!(told, both);
    for fresh in [false, true] {
        if fresh {
            project.remove_state();
        }
        check_converged("censored", &project, &remote);
        let (_, document) = project.json(&["sync", "--once", "--refresh"]);
        assert_eq!(actions(&document), Vec::<String>::new(), "fresh {fresh}: {document:#}");
    }
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), 0);
    let row = row(&project, "a");
    assert_eq!(row["state"], "synced");
    assert_eq!(row["stored_display_name"], "a ####### name", "{row:#}");
    assert_eq!(row["stored_description"], "and a ####### text", "{row:#}");
}

#[test]
fn a_refused_name_fails_or_is_replaced_by_a_neutral_one() {
    let remote = prompt();
    filter(&remote, TextAction::Refuse);
    let project = Project::new(&named("moderated_name = \"fail\"", "naughty", "text")).at(&remote.url());
    project.write("a.png", png(1));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, remote.assets().len()), (1, 0), "{document:#}");
    let sent = remote.requests(ApiEndpoint::CreateAsset);
    project.write("assets.toml", named("moderated_name = \"neutral\"", "naughty", "text"));
    project.sync();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), sent + 1);
    assert_eq!(asset(&project, &remote, "a").asset.metadata.display_name, "Image");
    check_converged("neutral", &project, &remote);
    project.remove_state();
    check_converged("neutral, on a fresh machine", &project, &remote);
    // In one run from the start, and for a name that is changed later.
    let other = Project::new(&named("moderated_name = \"neutral\"", "naughty too", "text")).at(&remote.url());
    other.write("a.png", png(2));
    other.sync();
    assert_eq!(asset(&other, &remote, "a").asset.metadata.display_name, "Image");
    other.write("assets.toml", named("moderated_name = \"neutral\"", "fine", "other"));
    other.sync();
    assert_eq!(asset(&other, &remote, "a").asset.metadata.display_name, "fine");
    other.write("assets.toml", named("moderated_name = \"neutral\"", "naughty again", "third"));
    other.sync();
    let kept = asset(&other, &remote, "a").asset.metadata;
    assert_eq!((kept.display_name.as_str(), kept.description.as_deref()), ("fine", Some("third")));
    check_converged("kept", &other, &remote);
    assert_eq!(row(&other, "a")["stored_display_name"], "fine");
}

/// Nothing that the messages propose is known to fail.
#[test]
fn a_pin_that_leads_back_to_a_rejected_file_does_not_promise_another_try() {
    let remote = prompt();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    verdicts(&remote, &[(0, ModerationVerdict::Rejected)]);
    project.write("ui/a.png", png(2));
    project.run(&["sync", "--once"]).expect(1);
    project.run(&["pin", "ui/a.png", "1"]).expect(0);
    let said = project.run(&["unpin", "ui/a.png"]).expect(1).stderr;
    assert!(said.contains("no longer pinned") && said.contains("rejected this content"), "{said}");
    assert!(said.contains("change the file") && !said.contains("tries it again"), "{said}");
}

/// However the file came back: the commands name the asset that the game has.
#[test]
fn a_rejected_replacement_shows_the_asset_that_the_game_keeps() {
    let remote = prompt();
    let project = Project::new(&format!("{GLOBS}\n[[outputs]]\npath = \"ids.luau\"\n")).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    let first = asset_id(&project, "ui/a.png");
    verdicts(&remote, &[(0, ModerationVerdict::Rejected)]);
    project.write("ui/a.png", png(2));
    project.run(&["sync", "--once"]).expect(1);
    let check = |when: &str| {
        let row = row(&project, "ui/a.png");
        assert!(project.read("ids.luau").contains(&first.to_string()), "{when}");
        assert_eq!((&row["state"], &row["moderation"]), (&json!("rejected"), &json!("rejected")), "{when}: {row:#}");
        assert_eq!((&row["asset_id"], &row["revision"]), (&json!(first), &json!(1)), "{when}: {row:#}");
        assert_eq!(row["waits"], json!(format!("the game keeps asset {first} (revision 1)")), "{when}: {row:#}");
        let shown = project.run(&["status"]).expect(0).stdout;
        assert!(shown.contains(&format!("\n    the game keeps asset {first} (revision 1)\n")), "{when}: {shown}");
        let revisions = project.json(&["history", "ui/a.png"]).1["revisions"].clone();
        let marks = |at: usize| (revisions[at]["current"] == true, revisions[at]["file"] == true);
        assert_eq!((marks(0), marks(1)), ((true, false), (false, true)), "{when}: {revisions:#}");
        let opened = project.run(&["open", "ui/a.png"]).expect(0).stdout;
        assert!(opened.contains(&first.to_string()), "{when}: {opened}");
    };
    check("rejected");
    project.run(&["pin", "ui/a.png", "1"]).expect(0);
    project.run(&["unpin", "ui/a.png"]).expect(1);
    check("after a pin");
    project.remove_state();
    project.run(&["sync", "--once"]).expect(1);
    check("on another machine");
}

#[test]
fn a_picture_whose_only_asset_is_rejected_keeps_its_key_in_the_games_code() {
    let remote = prompt();
    verdicts(&remote, &[(0, ModerationVerdict::Rejected)]);
    let project = Project::new(&format!("{GLOBS}\n[[outputs]]\npath = \"ids.luau\"\n")).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.run(&["sync", "--once"]).expect(1);
    let id = asset_id(&project, "ui/a.png").to_string();
    assert!(project.read("ids.luau").contains(&id), "{}", project.read("ids.luau"));
}
