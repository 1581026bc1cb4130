//! The joint knowledge of state, lockfile and the lockfiles of other branches and machines, with
//! the real binary.

mod contradictions;
mod damage;
mod forgetting;
mod late;
mod twins;

use serde_json::Value;

use crate::support::{Project, Remote};

const MANIFEST: &str =
    "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/*.png\"\n\n[globs.models]\npath = \"models/*.rbxmx\"\n";
const LOCKFILE: &str = "assets.lock.toml";

/// A remote whose operations can be read at once.
fn remote() -> Remote {
    let remote = Remote::start();
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    remote
}

/// A machine with these files.
fn machine(remote: &Remote, files: &[(&str, Vec<u8>)]) -> Project {
    let project = Project::new(MANIFEST).at(&remote.url());
    files.iter().for_each(|(name, content)| project.write(name, content));
    project
}

/// The row of an address in `status`.
fn row(project: &Project, address: &str) -> Value {
    let (code, document) = project.json(&["status", address]);
    assert_eq!(code, 0, "{document:#}");
    document["assets"][0].clone()
}

fn asset_id(project: &Project, address: &str) -> u64 {
    row(project, address)["asset_id"].as_u64().unwrap()
}
