//! The commands that change one address at once: pins, imports, forgetting, archiving.

mod archiving;
mod forgetting;
mod imports;
mod mistakes;
mod pins;
mod pins_beside;
mod recreate;
mod renames;
mod several;
mod versions;

use macadam::emulator::Config;
use serde_json::Value;

use crate::support::{Project, Remote, png, rbxmx};

const MANIFEST: &str = "\
[creator]
user_id = 1

# the hero's
[assets.sword]
path = \"sword.rbxmx\"

[globs.ui]
path = \"ui/*.png\"
";

/// A remote without the delays that no test here is about.
fn remote(more: &[(&str, &str)]) -> Remote {
    let mut switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    switches.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Remote::with(Config { switches, ..Config::default() })
}

/// A project whose sword and picture have three revisions each.
fn three(more: &[(&str, &str)]) -> (Remote, Project) {
    let remote = remote(more);
    let project = Project::new(MANIFEST).at(&remote.url());
    for shade in 1..=3 {
        project.write("sword.rbxmx", rbxmx(&format!("{shade}")));
        project.write("ui/a.png", png(shade));
        project.sync();
    }
    (remote, project)
}

/// The row of an address in `status`.
fn row(project: &Project, address: &str) -> Value {
    let (code, document) = project.json(&["status", address]);
    assert_eq!(code, 0, "{document:#}");
    document["assets"][0].clone()
}

/// The asset that an address is now.
#[track_caller]
fn asset_id(project: &Project, address: &str) -> u64 {
    row(project, address)["asset_id"].as_u64().unwrap()
}

/// The SHA-256 of what players get of an asset.
fn content(remote: &Remote, asset_id: u64) -> String {
    let asset = remote.control().asset(asset_id).unwrap().asset;
    asset.versions.iter().find(|version| version.number == asset.head).unwrap().content.hash.clone()
}

/// That a plan has nothing to do, and that a sync sends nothing.
#[track_caller]
fn is_settled(remote: &Remote, project: &Project) {
    let (_, plan) = project.json(&["plan"]);
    assert_eq!((&plan["actions"], &plan["lockfile_changes"]), (&serde_json::json!([]), &false.into()), "{plan:#}");
    let before = remote.all_requests();
    assert_eq!(project.sync()["actions"], serde_json::json!([]));
    assert_eq!(remote.all_requests(), before);
}

/// The one error of a command that is refused.
#[track_caller]
fn refused(project: &Project, args: &[&str], code: i32) -> (String, String) {
    let (ended, document) = project.json(args);
    assert_eq!(ended, code, "{args:?}: {document:#}");
    let text = |key: &str| document["errors"][0][key].as_str().unwrap_or_default().to_owned();
    assert!(!text("message").is_empty(), "{document:#}");
    (text("message"), text("hint"))
}
