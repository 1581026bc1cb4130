//! Before a rollback the version itself is read: one that isn't there or that moderation rejected
//! is refused, and nothing is sent.

use macadam::emulator::{ApiEndpoint, ForeignEdit};
use serde_json::{Value, json};

use super::{asset_id, content, is_settled, refused, row, three};
use crate::crash::stage::hash;
use crate::support::rbxmx;

/// The only revision in a `history`.
#[track_caller]
fn only(history: &Value) -> Value {
    let revisions = history["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 1, "{history:#}");
    revisions[0].clone()
}

#[test]
fn a_version_that_moderation_rejected_is_refused_before_anything_is_sent() {
    let (remote, project) = three(&[]);
    let id = asset_id(&project, "sword");
    remote.control().edit(id, &ForeignEdit { reject_version: Some(1), ..ForeignEdit::default() }).unwrap();
    let before = project.read("assets.toml");
    let (message, hint) = refused(&project, &["pin", "sword", "1"], 1);
    assert!(message.contains("can't be pinned to revision 1: moderation rejected it"), "{message}");
    assert!(hint.contains("`macadam history sword 1 --remote`"), "{hint}");
    assert_eq!((project.read("assets.toml"), remote.requests(ApiEndpoint::RollbackAsset)), (before, 0));
    let (code, history) = project.json(&["history", "sword", "1", "--remote"]);
    assert_eq!((code, &only(&history)["remote"]["moderation"]), (0, &json!("rejected")), "{history:#}");
    // From then on it is known, here and on every machine that has the lockfile.
    let asked = remote.all_requests();
    let (message, _) = refused(&project, &["pin", "sword", "1"], 1);
    assert!(message.contains("which moderation rejected"), "{message}");
    assert_eq!(remote.requests(ApiEndpoint::RollbackAsset), 0);
    assert_eq!(remote.all_requests(), asked);
}

#[test]
fn a_version_that_is_not_there_is_refused_before_anything_is_sent() {
    let (remote, project) = three(&[]);
    let id = asset_id(&project, "sword");
    remote.control().edit(id, &ForeignEdit { remove_version: Some(1), ..ForeignEdit::default() }).unwrap();
    let before = project.read("assets.toml");
    let (message, _) = refused(&project, &["pin", "sword", "1"], 1);
    assert!(message.contains(&format!("Roblox has no version 1 of asset {id}")), "{message}");
    assert_eq!((project.read("assets.toml"), remote.requests(ApiEndpoint::RollbackAsset)), (before, 0));
    let (code, history) = project.json(&["history", "sword", "1", "--remote"]);
    assert_eq!((code, &only(&history)["at_remote"]), (0, &json!(false)), "{history:#}");
    // The others can be gone back to.
    project.run(&["pin", "sword", "2"]).expect(0);
    assert_eq!(content(&remote, id), hash(rbxmx("2").as_bytes()));
    is_settled(&remote, &project);
}

/// A pin that a person wrote by hand.
#[test]
fn a_sync_reads_the_version_before_it_rolls_back() {
    for edit in [
        ForeignEdit { reject_version: Some(1), ..ForeignEdit::default() },
        ForeignEdit { remove_version: Some(1), ..ForeignEdit::default() },
    ] {
        let (remote, project) = three(&[]);
        let id = asset_id(&project, "sword");
        remote.control().edit(id, &edit).unwrap();
        let manifest = project.read("assets.toml");
        project.write("assets.toml", format!("{manifest}\n[pins]\nsword = 1\n"));
        for _ in 0..2 {
            let (code, document) = project.json(&["sync", "--once"]);
            assert_eq!(code, 1, "{document:#}");
        }
        assert_eq!(
            (remote.requests(ApiEndpoint::RollbackAsset), content(&remote, id)),
            (0, hash(rbxmx("3").as_bytes()))
        );
        // Another pin is carried out.
        project.write("assets.toml", format!("{manifest}\n[pins]\nsword = 2\n"));
        project.sync();
        assert_eq!(
            (remote.requests(ApiEndpoint::RollbackAsset), row(&project, "sword")["state"].clone()),
            (1, json!("pinned"))
        );
    }
}

/// Which revision is current after a rollback only the asset itself shows. A clone knows no earlier
/// observation of it either.
#[test]
fn a_rollback_whose_result_can_not_be_fetched_is_settled_by_a_later_look() {
    for way in ["repoint", "new_version"] {
        let (remote, project) = three(&[("rollback", way)]);
        project.run(&["pin", "sword", "2", "--no-sync"]).expect(0);
        project.remove_state();
        let unseen =
            json!({"match": {"endpoint": "get_asset", "nth": [2]}, "action": {"kind": "reply", "status": 503}});
        remote.control().add_faults(vec![serde_json::from_value(unseen).unwrap()]).unwrap();
        project.sync();
        assert_eq!(row(&project, "sword")["state"], "pinned", "{way}");
        let at = if way == "repoint" { 2 } else { 4 };
        let lockfile = project.read("assets.lock.toml");
        assert!(lockfile.contains(&format!("revision = {at}, newest = {}", at.max(3))), "{way}: {lockfile}");
        let (_, document) = project.json(&["sync", "--once", "--refresh"]);
        assert_eq!((&document["in_sync"], &document["actions"]), (&json!(true), &json!([])), "{document:#}");
        assert_eq!(remote.requests(ApiEndpoint::RollbackAsset), 1);
    }
}

#[test]
fn one_revision_of_a_history_and_several_histories() {
    let (_remote, project) = three(&[]);
    let (_, history) = project.json(&["history", "sword", "2"]);
    assert_eq!((&history["address"], &only(&history)["revision"]), (&json!("sword"), &json!(2)));
    let (_, history) = project.json(&["history", "ui/a.png", "1", "--remote"]);
    assert_eq!((&only(&history)["revision"], &only(&history)["at_remote"]), (&json!(1), &json!(true)));
    let (message, hint) = refused(&project, &["history", "sword", "9"], 1);
    assert!(message.contains("has no revision 9") && hint == "it has 1, 2, 3", "{message} {hint}");
    let (_, histories) = project.json(&["history", "sword", "ui/*"]);
    let addresses: Vec<&str> =
        histories["assets"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["sword", "ui/a.png"], "{histories:#}");
    let text = project.run(&["history", "sword", "ui/*", "2"]).expect(0).stdout;
    assert!(text.contains("\nsword\n") && text.contains("\nui/a.png\n"), "{text}");
    let (message, _) = refused(&project, &["history", "nobody/*"], 1);
    assert_eq!(message, "no asset matches the pattern `nobody/*`");
}
