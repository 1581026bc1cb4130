//! Operations that misbehave, moderation, and creates in doubt.

use macadam::emulator::{
    ApiEndpoint, Config, ModerationRule, ModerationVerdict, TextAction, TextField, TextRule, VerdictStep,
};
use serde_json::{Value, json};

use super::{MANIFEST, Trial, generous, side_by_side};
use crate::support::png;

/// A fault of the operation that a create of `ui/a.png` starts.
fn operation(outcome: Value) -> Value {
    let mut action = outcome;
    action["kind"] = json!("operation");
    json!({"match": {"endpoint": "create_asset", "name": "a"}, "times": 1, "action": action})
}

#[test]
fn an_operation_that_never_ends_is_polled_by_the_next_run_and_uploads_nothing_again() {
    let trial = Trial::new().fault(operation(json!({"outcome": "stuck"})));
    let document = trial.document(10, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "waiting");
    assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
    let (_, status) = trial.project.json(&["status", "ui/a.png"]);
    assert_eq!(status["assets"][0]["state"], "in_progress");
    assert!(trial.project.read("assets.lock.toml").contains("open"), "the lockfile carries it to the next machine");
    trial.converge();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
    assert_eq!(trial.remote.assets().len(), 3);
}

#[test]
fn an_operation_unknown_for_its_first_seconds_is_asked_again() {
    let trial = Trial::new().fault(operation(json!({"outcome": "invisible", "for_ms": 2000})));
    assert_eq!(trial.document(60, 0)["in_sync"], true);
    trial.converge();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
}

#[test]
fn operations_that_end_badly_make_nothing_and_say_why() {
    let refused = ["error", "metadata_error", "failure_in_response"];
    let cases = refused.map(|outcome| {
        (outcome, operation(json!({"outcome": outcome, "code": "CorruptedData", "message": "can't read the picture"})))
    });
    side_by_side(&cases, |script| {
        let trial = Trial::new().fault(script.clone());
        let document = trial.document(30, 1);
        assert_eq!(Trial::outcome(&document, "ui/a.png"), "failed");
        assert!(Trial::error(&document, "ui/a.png").contains("can't read the picture"), "{document:#}");
        assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
        trial.fired();
        trial.remote.control().clear_faults();
        trial.document(30, 1);
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3, "not again by itself");
        trial.project.run(&["retry", "ui/a.png"]).expect(0);
        trial.settle();
        assert_eq!(trial.remote.assets().len(), 3);
    });
}

#[test]
fn operations_that_fail_for_a_while_are_started_again() {
    let trial = Trial::new().fault(operation(json!({"outcome": "error", "code": "Internal", "message": "oops"})));
    assert_eq!(trial.document(60, 0)["in_sync"], true);
    trial.converge();
    assert_eq!(trial.remote.assets().len(), 3);
}

#[test]
fn an_operation_that_ends_with_nothing_leaves_its_create_in_doubt() {
    let hold = MANIFEST.replace("[globs", "[policy]\nambiguous_create = \"hold\"\n\n[globs");
    let trial = Trial::with(&hold, Config { limits: generous(), ..Config::default() })
        .fault(operation(json!({"outcome": "nothing"})));
    let document = trial.document(30, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "held");
    trial.fired();
    trial.remote.control().clear_faults();
    let creates = trial.remote.requests(ApiEndpoint::CreateAsset);
    trial.document(30, 1);
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), creates, "only a person can tell");
    trial.project.run(&["resolve", "ui/a.png", "--recreate"]).expect(0);
    trial.settle();
}

#[test]
fn a_create_in_doubt_is_resolved_with_the_asset_that_it_made() {
    let hold = MANIFEST.replace("[globs", "[policy]\nambiguous_create = \"hold\"\n\n[globs");
    let lost = json!({"match": {"endpoint": "create_asset", "name": "a"}, "times": 1, "action": {"kind": "reset", "at": "after_commit"}});
    let trial = Trial::with(&hold, Config { limits: generous(), ..Config::default() }).fault(lost);
    let document = trial.document(30, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "held");
    trial.fired();
    let id_of = |name: &str| {
        let assets = trial.remote.assets();
        assets.iter().find(|report| report.asset.metadata.display_name == name).unwrap().asset.id.to_string()
    };
    trial.project.run(&["resolve", "ui/a.png", "--asset-id", &id_of("Sword")]).expect(1);
    trial.project.run(&["resolve", "ui/a.png", "--asset-id", &id_of("a")]).expect(0);
    trial.settle();
    assert_eq!(trial.remote.assets().len(), 3, "nothing was made twice");
}

#[test]
fn a_server_that_never_answers_gets_at_most_three_copies() {
    let lost =
        json!({"match": {"endpoint": "create_asset", "name": "a"}, "action": {"kind": "reset", "at": "after_commit"}});
    let trial = Trial::new().fault(lost);
    let document = trial.document(60, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "held");
    assert_eq!(Trial::outcome(&document, "sword"), "done");
    let copies = || trial.remote.assets().iter().filter(|report| report.asset.metadata.display_name == "a").count();
    assert_eq!(copies(), 3);
    trial.document(60, 1);
    assert_eq!(copies(), 3, "nor by the next run");
    let (_, status) = trial.project.json(&["status", "ui/a.png"]);
    assert_eq!(status["assets"][0]["state"], "held");
    assert!(status["assets"][0]["hint"].as_str().unwrap().contains("macadam resolve ui/a.png"), "{status:#}");
    trial.fired();
    trial.remote.control().clear_faults();
    let made = trial.remote.assets().iter().find(|report| report.asset.metadata.display_name == "a").unwrap().asset.id;
    trial.project.run(&["resolve", "ui/a.png", "--asset-id", &made.to_string()]).expect(0);
    trial.settle();
    assert_eq!(trial.events("possible_duplicate"), 2);
}

#[test]
fn an_operation_that_is_gone_leaves_its_create_in_doubt() {
    let hold = MANIFEST.replace("[globs", "[policy]\nambiguous_create = \"hold\"\n\n[globs");
    let trial = Trial::with(&hold, Config { limits: generous(), ..Config::default() })
        .fault(operation(json!({"outcome": "gone"})));
    let document = trial.document(10, 1);
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "waiting");
    assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
    trial.fired();
    // The machine is off for a night.
    trial.project.pass(600);
    assert_eq!(Trial::outcome(&trial.document(120, 1), "ui/a.png"), "held");
    trial.remote.control().clear_faults();
    let made = trial.remote.assets().iter().find(|report| report.asset.metadata.display_name == "a").unwrap().asset.id;
    trial.project.run(&["resolve", "ui/a.png", "--asset-id", &made.to_string()]).expect(0);
    trial.settle();
}

#[test]
fn a_gateway_that_lacks_the_route_of_operations_puts_no_upload_in_doubt() {
    let no_route = json!({"kind": "reply", "status": 404, "shape": "gateway"});
    let trial = Trial::new().fault(json!({"match": {"endpoint": "get_operation"}, "action": no_route}));
    for _ in 0..2 {
        let document = trial.document(10, 1);
        for name in ["ui/a.png", "ui/b.png", "sword"] {
            assert_eq!(Trial::outcome(&document, name), "waiting");
        }
        trial.project.pass(60);
    }
    assert_eq!(trial.events("in_doubt"), 0);
    trial.converge();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
}

#[test]
fn content_that_moderation_rejects_is_not_uploaded_again() {
    let trial = Trial::new();
    let steps = vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }];
    trial.remote.control().moderate(ModerationRule {
        name: Some("a".to_owned()),
        verdicts: steps,
        ..Default::default()
    });
    let document = trial.document(15, 1);
    assert_eq!(Trial::outcome(&document, "ui/b.png"), "done");
    trial.remote.control().clear_moderation();
    let requests = trial.remote.all_requests();
    trial.document(15, 1);
    assert_eq!(trial.remote.all_requests(), requests);
    let (_, status) = trial.project.json(&["status", "ui/a.png"]);
    assert_eq!(status["assets"][0]["state"], "rejected");
    // Nor on a machine that has only the lockfile.
    trial.project.remove_state();
    trial.document(15, 1);
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
    trial.project.write("ui/a.png", png(3));
    trial.settle();
}

#[test]
fn an_upload_under_review_is_done() {
    let trial = Trial::new();
    let steps = vec![VerdictStep { after_ms: 3_600_000, verdict: ModerationVerdict::Approved }];
    trial.remote.control().moderate(ModerationRule { verdicts: steps, ..Default::default() });
    assert_eq!(trial.document(15, 0)["in_sync"], true);
    // A review that began so long ago is looked at only now and then, however slow this machine is.
    trial.project.pass(50);
    trial.settle();
}

#[test]
fn a_text_stored_as_hash_signs_is_not_corrected_without_end() {
    let trial = Trial::new();
    let rule = TextRule { contains: "Sharp".to_owned(), field: TextField::Both, action: TextAction::Censor };
    trial.remote.control().add_text_rule(rule);
    trial.project.write("assets.toml", MANIFEST.replace("description = \"\"", "description = \"Sharp\""));
    assert_eq!(trial.document(15, 0)["in_sync"], true);
    assert!(trial.remote.assets().iter().any(|report| report.asset.metadata.description.as_deref() == Some("#####")));
    trial.settle();
    assert_eq!(trial.remote.requests(ApiEndpoint::UpdateAsset), 0);
}

#[test]
fn a_text_that_is_refused_waits_for_another() {
    let trial = Trial::new();
    let rule = TextRule { contains: "Sword".to_owned(), field: TextField::Name, action: TextAction::Refuse };
    trial.remote.control().add_text_rule(rule);
    let document = trial.document(15, 1);
    assert_eq!(Trial::outcome(&document, "sword"), "failed");
    assert_eq!(Trial::outcome(&document, "ui/a.png"), "done");
    trial.project.write("assets.toml", MANIFEST.replace("\"Sword\"", "\"Blade\""));
    trial.settle();
}
