//! The whole desired state, against a remote that answers each open question either way.

mod drift;
mod leaving;
mod moderation;
mod moves;

use std::collections::BTreeMap;

use macadam::emulator::{ApiEndpoint, AssetReport, Config, Profile};
use serde_json::Value;

use super::profiles::{changed_switches, each, remote};
use super::support::{Project, Remote, animation, png, rbxmx};

/// A remote whose operations are seen at once.
pub fn prompt() -> Remote {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    Remote::with(Config { switches, ..Config::default() })
}

/// Returns the row of `status` for an address.
pub fn row(project: &Project, address: &str) -> Value {
    project.json(&["status", address]).1["assets"][0].clone()
}

/// The asset ID of an address.
pub fn asset_id(project: &Project, address: &str) -> u64 {
    row(project, address)["asset_id"].as_u64().unwrap()
}

/// The asset of an address, as the remote has it.
pub fn asset(project: &Project, remote: &Remote, address: &str) -> AssetReport {
    remote.control().asset(asset_id(project, address)).unwrap()
}

/// The steps of a document, as `action address`.
pub fn actions(document: &Value) -> Vec<String> {
    let name = |entry: &Value| format!("{} {}", entry["action"].as_str().unwrap(), entry["address"].as_str().unwrap());
    document["actions"].as_array().unwrap().iter().map(name).collect()
}

/// Syncs, which must do exactly `expected`; a plan before says the same, a second run finds nothing
/// to do and sends nothing.
#[track_caller]
pub fn check(what: &str, project: &Project, remote: &Remote, expected: &[&str]) {
    let planned = actions(&project.json(&["plan"]).1);
    assert_eq!(planned, expected, "{what}: planned");
    let document = project.sync();
    assert_eq!(actions(&document), expected, "{what}: {document:#}");
    check_converged(what, project, remote);
}

/// Nothing is left to do, and nothing is sent to find that out.
#[track_caller]
pub fn check_converged(what: &str, project: &Project, remote: &Remote) {
    let before = remote.all_requests();
    let second = project.sync();
    assert_eq!(actions(&second), Vec::<String>::new(), "{what}: {second:#}");
    assert_eq!(remote.all_requests(), before, "{what}: the second run sent something");
}

fn manifest(crate_keys: &str, tail: &str) -> String {
    format!(
        "[creator]\nuser_id = 1\n\n[assets.crate]\npath = \"crate.rbxmx\"\n{crate_keys}\n\n[assets.wave]\npath = \"wave.rbxmx\"\n\n\
         [globs.ui]\npath = \"ui/**/*.png\"\n{tail}"
    )
}

const SHOWN: &str = "icon = \"ui/a.png\"\npreviews = [{ asset = \"ui/b.png\", alt_text = \"front\" }, { asset = \"ui/a.png\" }]\n\
                     social_links = { twitter = { title = \"us\", uri = \"https://twitter.com/us\" }, github = { uri = \"https://github.com/us\" } }";

/// The bytes that players get of a model.
fn head_of(asset: &AssetReport) -> String {
    let head = asset.asset.versions.iter().find(|version| version.number == asset.asset.head);
    head.unwrap().content.hash.clone()
}

/// Icons and links, moves, pins and unpins, on the machine that uploaded everything and on a fresh
/// one.
fn desired_job(what: &str, remote: &Remote) {
    let project = Project::new(&manifest(SHOWN, "")).at(&remote.url());
    project.write("crate.rbxmx", rbxmx("one"));
    project.write("wave.rbxmx", animation("wave"));
    (1..=2).zip(["ui/a.png", "ui/b.png"]).for_each(|(shade, name)| project.write(name, png(shade)));
    check(
        what,
        &project,
        remote,
        &["create crate", "update_metadata crate", "create ui/a.png", "create ui/b.png", "create wave"],
    );
    let (a, b) = (asset_id(&project, "ui/a.png"), asset_id(&project, "ui/b.png"));
    let shown = asset(&project, remote, "crate").asset.metadata;
    assert_eq!(shown.icon, Some(a), "{what}");
    assert_eq!(shown.previews.iter().map(|preview| preview.asset).collect::<Vec<_>>(), [b, a], "{what}");
    let links: BTreeMap<&str, &str> =
        shown.social_links.iter().map(|(name, link)| (name.as_str(), link.uri.as_str())).collect();
    assert_eq!(links.get("twitterSocialLink"), Some(&"https://twitter.com/us"), "{what}");

    // Another picture is another asset, and the icon follows; a picture that moved is the same
    // asset, and is not shown again.
    project.write("ui/a.png", png(3));
    check(what, &project, remote, &["update_metadata crate", "replace ui/a.png"]);
    assert_eq!(asset(&project, remote, "crate").asset.metadata.icon, Some(asset_id(&project, "ui/a.png")), "{what}");
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    std::fs::rename(project.file("ui/b.png"), project.file("ui/c.png")).unwrap();
    project.write("assets.toml", manifest(&SHOWN.replace("ui/b.png", "ui/c.png"), ""));
    check(what, &project, remote, &["move ui/c.png"]);
    assert_eq!((asset_id(&project, "ui/c.png"), remote.requests(ApiEndpoint::CreateAsset)), (b, creates), "{what}");

    // A removed key clears the field.
    project.write("assets.toml", manifest("description = \"A crate\"", ""));
    check(what, &project, remote, &["update_metadata crate"]);
    let cleared = asset(&project, remote, "crate").asset.metadata;
    assert_eq!((cleared.icon, cleared.previews.len(), cleared.social_links.len()), (None, 0, 0), "{what}");

    pin_and_back(what, &project, remote, a);
}

/// Three revisions of a model and two of a picture; the first of each is pinned and unpinned.
fn pin_and_back(what: &str, project: &Project, remote: &Remote, first_picture: u64) {
    let keys = "description = \"A crate\"";
    let first = head_of(&asset(project, remote, "crate"));
    for name in ["two", "three"] {
        project.write("crate.rbxmx", rbxmx(name));
        check(what, project, remote, &["update_content crate"]);
    }
    let last = head_of(&asset(project, remote, "crate"));
    let pins = format!("\n[pins]\ncrate = 1\n\"ui/a.png\" = {{ asset_id = {first_picture} }}\n");
    project.write("assets.toml", manifest(keys, &pins));
    check(what, project, remote, &["rollback crate", "rollback ui/a.png"]);
    assert_eq!(head_of(&asset(project, remote, "crate")), first, "{what}: rolled back");
    assert_eq!(asset_id(project, "ui/a.png"), first_picture, "{what}");
    assert_eq!(row(project, "crate")["state"], "pinned", "{what}");

    // It stays there: on a fresh machine, and while files change.
    project.remove_state();
    check_converged(what, project, remote);
    project.write("crate.rbxmx", rbxmx("four"));
    project.write("ui/a.png", png(9));
    check_converged(what, project, remote);
    project.write("crate.rbxmx", rbxmx("three"));
    project.write("ui/a.png", png(3));

    project.write("assets.toml", manifest(keys, ""));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    check(what, project, remote, &["rollback crate", "replace ui/a.png"]);
    assert_eq!(head_of(&asset(project, remote, "crate")), last, "{what}: back at the file");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "{what}: nothing was uploaded again");
    project.write("crate.rbxmx", rbxmx("five"));
    check(what, project, remote, &["update_content crate"]);
    assert_ne!(head_of(&asset(project, remote, "crate")), last, "{what}");
    project.remove_state();
    check_converged(what, project, remote);
}

#[test]
fn the_desired_state_under_both_profiles() {
    desired_job("documented", &remote(Profile::Documented, None));
    desired_job("observed", &remote(Profile::Observed, None));
}

/// The questions that this job, other than the main job, asks the remote.
const ASKED: [&str; 14] = [
    "rollback",
    "rollback_to_current",
    "rollback_moderation",
    "rollback_body",
    "operation_reply",
    "metadata_reply",
    "metadata_revision",
    "deduplicate",
    "revision_of_unversioned",
    "ids",
    "unset_fields",
    "enum_dialect",
    "create_icon_previews",
    "archived_get",
];

#[test]
fn the_desired_state_with_each_switch_changed() {
    let rows: Vec<_> = changed_switches().into_iter().filter(|(_, name, _)| ASKED.contains(name)).collect();
    assert!(rows.len() >= ASKED.len(), "{rows:?}");
    each(rows, |profile, name, value| {
        desired_job(&format!("{} with {name}={value}", profile.name()), &remote(profile, Some((name, value))));
    });
}
