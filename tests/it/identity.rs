//! Before Macadam changes metadata it checks an asset's owner and type, and no more often than
//! that.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use crate::desired::{asset_id, prompt};
use crate::support::{Project, Remote, png};

fn manifest(owner: u64, description: &str) -> String {
    format!("[creator]\nuser_id = {owner}\n\n[assets.pic]\npath = \"a.png\"\ndescription = \"{description}\"\n")
}

fn project(remote: &Remote, owner: u64) -> Project {
    let project = Project::new(&manifest(owner, "one")).at(&remote.url());
    project.write("a.png", png(u8::try_from(owner).unwrap()));
    project
}

#[test]
fn metadata_of_a_picture_that_is_somebody_elses_are_not_changed() {
    let remote = prompt();
    let (ours, theirs) = (project(&remote, 1), project(&remote, 2));
    ours.sync();
    theirs.sync();
    let (our, their) = (asset_id(&ours, "pic"), asset_id(&theirs, "pic"));
    let wrong = project(&remote, 1);
    wrong.write("assets.lock.toml", ours.read("assets.lock.toml").replace(&our.to_string(), &their.to_string()));
    wrong.write("assets.toml", manifest(1, "two"));
    let (code, document) = wrong.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{document:#}");
    assert!(document.to_string().contains(&format!("asset {their} belongs to user 2")), "{document:#}");
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), 0);
    // And it stays that way, without another question.
    let reads = remote.requests(ApiEndpoint::GetAsset);
    wrong.json(&["sync", "--once"]);
    assert_eq!((remote.requests(ApiEndpoint::UpdateAsset), remote.requests(ApiEndpoint::GetAsset)), (0, reads));
}

#[test]
fn an_asset_is_read_before_its_metadata_change_unless_that_was_done_since_the_last_write() {
    let remote = prompt();
    let project = project(&remote, 1);
    project.sync();
    assert_eq!(remote.requests(ApiEndpoint::GetAsset), 0, "what was just uploaded needs no look");
    let counts = |project: &Project| {
        project.sync();
        (remote.requests(ApiEndpoint::GetAsset), remote.requests(ApiEndpoint::UpdateAsset))
    };
    project.write("assets.toml", manifest(1, "two"));
    assert_eq!(counts(&project), (1, 1));
    // Somebody looked since.
    project.let_reads_catch_up();
    let (code, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!((code, &document["actions"]), (0, &json!([])), "{document:#}");
    project.write("assets.toml", manifest(1, "three"));
    assert_eq!(counts(&project), (2, 2));
    project.write("assets.toml", manifest(1, "four"));
    assert_eq!(counts(&project), (3, 3));
}
