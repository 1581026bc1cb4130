//! Moving in from other tools, as a user would: `macadam import --from`, then `plan` and `sync`.

mod asphalt;
mod beside;
#[cfg(unix)]
mod links;
mod lists;
mod others;
pub mod unverified;
mod walk;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Project, Ran, Remote, png};

/// A project without a manifest.
fn empty(remote: &Remote) -> Project {
    let project = Project::new("").at(&remote.url());
    project.remove("assets.toml");
    project
}

/// Runs without a key.
fn without_key(project: &Project, args: &[&str]) -> Ran {
    Ran::of(project.command(args).env_remove("ROBLOX_API_KEY").output().unwrap())
}

/// Moves in without a key, which must succeed.
fn move_in_offline(project: &Project, from: &str) -> Value {
    let ran = without_key(project, &["import", "--from", from, "--json"]).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Moves in with a key, which must succeed.
fn move_in(project: &Project, args: &[&str]) -> Value {
    let (code, told) = project.json(&[&["import", "--from"], args].concat());
    assert_eq!(code, 0, "{told:#}");
    told
}

/// The subjects of one kind of finding.
fn found(told: &Value, kind: &str) -> Vec<String> {
    let findings = told["findings"].as_array().unwrap();
    let subjects = findings.iter().filter(|finding| finding["kind"] == kind).map(|finding| &finding["subjects"]);
    subjects
        .flat_map(|subjects| subjects.as_array().unwrap())
        .map(|subject| subject.as_str().unwrap().to_owned())
        .collect()
}

/// The actions of a plan without a key.
fn planned(project: &Project) -> Value {
    // It fails where the tool's own output is still to be adopted.
    let ran = without_key(project, &["plan", "--json"]);
    assert!([0, 1].contains(&ran.code), "{}{}", ran.stdout, ran.stderr);
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    plan["summary"].clone()
}

/// Uploads files as another project does, and tells their asset IDs.
fn uploaded(remote: &Remote, creator: &str, keys: &str, files: &[(&str, Vec<u8>)]) -> BTreeMap<String, u64> {
    let manifest = format!("[creator]\n{creator}\n\n[globs.all]\npath = \"assets/**/*\"\n{keys}");
    let other = Project::new(&manifest).at(&remote.url());
    files.iter().for_each(|(path, bytes)| other.write(path, bytes));
    other.sync();
    let (_, status) = other.json(&["status"]);
    let row = |row: &Value| (row["address"].as_str().unwrap().to_owned(), row["asset_id"].as_u64().unwrap());
    status["assets"].as_array().unwrap().iter().map(row).collect()
}

/// The asset of an address.
fn asset_id(project: &Project, address: &str) -> u64 {
    let (_, status) = project.json(&["status", address]);
    status["assets"][0]["asset_id"].as_u64().unwrap_or_default()
}

/// The tree from which the fixtures of Asphalt were made: 51 pictures of two inputs.
fn asphalt_tree(project: &Project) {
    for number in 0..30_u8 {
        project.write(&format!("assets/icons/set{}/icon{number}.png", number % 3), png(number));
    }
    for number in 0..20_u8 {
        let folder = if number % 2 == 1 { String::new() } else { format!("deep{}/", number % 4) };
        project.write(&format!("assets/art/{folder}art-{number}.png"), png(100 + number));
    }
    project.write("assets/art/copy.png", png(101));
}

/// BLAKE3 in hex.
fn blake3(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// SHA-1 in hex.
fn sha1(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
