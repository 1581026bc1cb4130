//! The main job under both profiles of the emulator, and once for each value of each of its
//! switches: open questions about the remote must not matter.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use macadam::emulator::{ApiEndpoint, AssetReport, Config, CreatableType, Profile, Switches};

use super::support::{Project, Remote, animation, png, rbxmx};

/// Two addresses of one picture, a picture of its own, a model and an animation, all with their
/// names set.
fn manifest(model_name: &str, description: &str) -> String {
    format!(
        "[creator]\nuser_id = 1\n\n[assets.crate]\npath = \"crate.rbxmx\"\ndisplay_name = \"{model_name}\"\ndescription = \"{description}\"\n\n\
         [assets.wave]\npath = \"wave.rbxmx\"\n\n[globs.ui]\npath = \"ui/*.png\"\n"
    )
}

/// A remote with one answer of its profile changed. New operations are visible at once unless that
/// is the question.
pub fn remote(profile: Profile, switch: Option<(&str, &str)>) -> Remote {
    let mut switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    switches.extend(switch.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Remote::with(Config { profile, switches, ..Config::default() })
}

/// How often each content was stored, over all assets.
fn stored(assets: &[AssetReport]) -> BTreeMap<String, usize> {
    let mut stored = BTreeMap::new();
    let versions = assets.iter().filter(|asset| asset.asset.wraps.is_none()).flat_map(|asset| &asset.asset.versions);
    versions.for_each(|version| *stored.entry(version.content.hash.clone()).or_default() += 1);
    stored
}

fn model(remote: &Remote) -> AssetReport {
    let mut models = remote.assets().into_iter().filter(|asset| asset.asset.asset_type == CreatableType::Model);
    let model = models.next().unwrap();
    assert!(models.next().is_none(), "the model was made twice");
    model
}

/// Syncs, which must do exactly `expected`; a second run must find nothing to do and send nothing.
#[track_caller]
fn check(what: &str, project: &Project, remote: &Remote, expected: &[(&str, u64)]) {
    let document = project.sync();
    let summary: BTreeMap<String, u64> = serde_json::from_value(document["summary"].clone()).unwrap();
    let expected: BTreeMap<String, u64> = expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(summary, expected, "{what}: {document:#}");
    let before = remote.all_requests();
    let second = project.sync();
    assert_eq!(second["actions"].as_array().unwrap().len(), 0, "{what}: {second:#}");
    assert_eq!(second["in_sync"], true, "{what}");
    assert_eq!(remote.all_requests(), before, "{what}: the second run sent something");
}

/// Everything that the main job can do: create, share, update in place, replace, change metadata,
/// clear it, point back.
fn main_job(what: &str, remote: &Remote) {
    let project = Project::new(&manifest("Crate", "A crate")).at(&remote.url());
    project.write("crate.rbxmx", rbxmx("one"));
    project.write("wave.rbxmx", animation("wave"));
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(1));
    project.write("ui/c.png", png(3));
    check(what, &project, remote, &[("create", 5)]);
    assert_eq!(stored(&remote.assets()).values().copied().collect::<Vec<_>>(), [1; 4], "{what}");
    let first = project.json(&["status", "ui/c.png"]).1["assets"][0]["asset_id"].clone();

    // A model changes in place, with its metadata at the same time; a picture gets another asset.
    project.write("assets.toml", manifest("Wooden crate", ""));
    project.write("crate.rbxmx", rbxmx("two"));
    project.write("ui/c.png", png(4));
    check(what, &project, remote, &[("update_content", 1), ("update_metadata", 1), ("replace", 1)]);
    let stored_model = model(remote).asset;
    assert_eq!(stored_model.metadata.display_name, "Wooden crate", "{what}");
    assert_eq!(stored_model.metadata.description.unwrap_or_default(), "", "{what}");
    assert_eq!(stored_model.versions.last().unwrap().number, stored_model.head, "{what}");
    let contents: Vec<_> = stored_model.versions.iter().map(|version| &version.content.hash).collect();
    assert!(contents.len() >= 2 && contents.first() != contents.last(), "{what}: {contents:?}");

    // Metadata alone.
    project.write("assets.toml", manifest("Crate", "Made of wood"));
    check(what, &project, remote, &[("update_metadata", 1)]);
    let metadata = model(remote).asset.metadata;
    assert_eq!((metadata.display_name.as_str(), metadata.description.as_deref()), ("Crate", Some("Made of wood")));

    // The old picture again: its old asset, without an upload.
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    project.write("ui/c.png", png(3));
    check(what, &project, remote, &[("replace", 1)]);
    assert_eq!(project.json(&["status", "ui/c.png"]).1["assets"][0]["asset_id"], first, "{what}");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "{what}: it was uploaded again");
    assert!(stored(&remote.assets()).values().all(|count| *count == 1) || what.contains("metadata_revision"), "{what}");

    // A machine with the lockfile alone has nothing to do either.
    project.remove_state();
    let before = remote.all_requests();
    assert_eq!(project.sync()["actions"].as_array().unwrap().len(), 0, "{what}");
    assert_eq!(remote.all_requests(), before, "{what}: the lockfile was not enough");
}

#[test]
fn the_main_job_under_the_documented_profile() {
    main_job("documented", &remote(Profile::Documented, None));
}

#[test]
fn the_main_job_under_the_observed_profile() {
    main_job("observed", &remote(Profile::Observed, None));
}

/// How many emulators run side by side: the job mostly waits for operations.
const SIDE_BY_SIDE: usize = 12;

/// Every value of every switch, under the profile whose own value it is not.
pub fn changed_switches() -> Vec<(Profile, &'static str, &'static str)> {
    let mut rows = vec![(Profile::Documented, "operation_visible_after_ms", "1500")];
    for row in Switches::table() {
        for value in row.values.iter().filter(|value| **value != "N") {
            let documented = row.documented != *value;
            let observed = row.observed != *value;
            rows.extend(documented.then_some((Profile::Documented, row.name, *value)));
            rows.extend((observed && !documented).then_some((Profile::Observed, row.name, *value)));
        }
    }
    // No content of this job's model can be updated then:
    // `a_model_that_roblox_does_not_update_is_refused_once`.
    rows.retain(|(_, _, value)| *value != "fbx_only");
    rows
}

/// Does a job for every row, some side by side, and fails with the rows whose job failed.
pub fn each(
    rows: Vec<(Profile, &'static str, &'static str)>,
    job: impl Fn(Profile, &'static str, &'static str) + Sync,
) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((profile, name, value)) = rows.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let job = std::panic::AssertUnwindSafe(|| job(profile, name, value));
                    if std::panic::catch_unwind(job).is_err() {
                        failed.lock().unwrap().push(format!("{} with {name}={value}", profile.name()));
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner().unwrap(), Vec::<String>::new());
}

#[test]
fn the_main_job_with_each_switch_changed() {
    let rows = changed_switches();
    assert!(rows.len() > 50, "{}", rows.len());
    each(rows, |profile, name, value| {
        main_job(&format!("{} with {name}={value}", profile.name()), &remote(profile, Some((name, value))));
    });
}

#[test]
fn a_model_that_roblox_does_not_update_is_refused_once() {
    let remote = remote(Profile::Documented, Some(("content_update", "fbx_only")));
    let project = Project::new(&manifest("Crate", "A crate")).at(&remote.url());
    project.write("crate.rbxmx", rbxmx("one"));
    project.write("wave.rbxmx", animation("wave"));
    project.write("ui/a.png", png(1));
    project.sync();
    project.write("crate.rbxmx", rbxmx("two"));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1);
    let error = document["actions"][0]["error"].as_str().unwrap();
    assert!(error.contains("AssetType Model does not support content updates."), "{error}");
    let sent = remote.requests(ApiEndpoint::UpdateAsset);
    assert_eq!(sent, 1);
    assert_eq!(project.json(&["sync", "--once"]).0, 1);
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), sent, "it was tried again");
    // The file as it was is what Roblox has.
    project.write("crate.rbxmx", rbxmx("one"));
    assert_eq!(project.sync()["in_sync"], true);
}

/// Roblox takes the first sound and refuses the second for want of quota; what came before, and all
/// else, is done.
#[test]
fn a_used_up_quota_stops_only_the_asset_that_meets_it() {
    for refusal in ["resource_exhausted", "invalid_argument", "permission_denied"] {
        let switches = [("quota_refusal", refusal), ("audio_quota", "1"), ("operation_visible_after_ms", "0")];
        let switches = switches.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let remote = Remote::with(Config { switches, ..Config::default() });
        let manifest = "[creator]\nuser_id = 1\n[globs.all]\npath = \"*.{wav,png}\"\n";
        let project = Project::new(manifest).at(&remote.url());
        let sound =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart/sounds/pickup.wav")).unwrap();
        project.write("a.wav", &sound);
        let mut other = sound;
        *other.last_mut().unwrap() ^= 1;
        project.write("b.wav", &other);
        project.write("c.png", png(1));
        let (code, document) = project.json(&["sync", "--once", "--timeout", "3s"]);
        assert_eq!(code, 1, "{refusal}: {document:#}");
        let done = remote.assets().into_iter().filter(|asset| asset.asset.asset_type == CreatableType::Audio).count();
        assert_eq!(done, 1, "{refusal}: {document:#}");
        let error = document["actions"].as_array().unwrap().iter().find(|entry| entry["outcome"] != "done").unwrap();
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()), "{refusal}: {error:#}");
    }
}
