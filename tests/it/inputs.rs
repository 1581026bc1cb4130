//! Unusual files, folders that became links, and unfinished sounds.

use std::collections::BTreeMap;
use std::time::Duration;

use macadam::emulator::{ApiEndpoint, Config, CreatableType};
use serde_json::Value;

use super::service::Service;
use super::support::git::git;
use super::support::{Project, Remote, animation, png, rbxmx, system};

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.all]\npath = \"files/**/*.*\"\n";

/// Frames of MP3: 128 kbit/s, 44.1 kHz, 26 milliseconds each.
fn mp3(frames: usize) -> Vec<u8> {
    let mut frame = b"\xff\xfb\x90\x00".to_vec();
    frame.resize(417, 0x55);
    frame.repeat(frames)
}

/// A binary glTF of this JSON.
fn glb(json: &str) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap();
    let head = [2_u32.to_le_bytes(), (length + 20).to_le_bytes(), length.to_le_bytes()].concat();
    [b"glTF", &head[..], b"JSON", json.as_bytes()].concat()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.strip_prefix(from).map_or((&rest[..1], &rest[1..]), |after| (to, after));
        out.extend(piece);
        rest = after;
    }
    out
}

/// Returns the message of `check` for each file that it refuses.
fn refused(project: &Project) -> BTreeMap<String, String> {
    let (_, document) = project.json(&["check"]);
    let problems = document["errors"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    problems.iter().map(|problem| (text(&problem["address"]), text(&problem["message"]))).collect()
}

#[test]
fn files_are_judged_as_players_and_other_programs_read_them() {
    let tag = [&b"ID3\x04\0\0\0\0\x01\0"[..], &[0; 128]].concat();
    let latin = animation("x").into_bytes();
    let latin = replace(&latin, b">x<", b">\xe9<");
    let gltf = r#"{"asset":{"version":"2.0"},"buffers":[{"byteLength":4}]}"#;
    let cases: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("zeros.mp3", [vec![0; 96], mp3(40)].concat(), None),
        ("cut.mp3", mp3(40)[200..].to_vec(), None),
        ("tag.mp3", [mp3(8100), tag, mp3(8100)].concat(), Some("plays 7:04 minutes")),
        ("seven.mp3", mp3(16_081), None),
        ("nothing.mp3", vec![0; 4000], Some("not that of a .mp3 file")),
        ("latin.rbxmx", latin, None),
        ("old.gltf", br#"{"asset":{"version":"1.0"},"buffers":{}}"#.to_vec(), Some("glTF version \"1.0\"")),
        ("empty.glb", glb(gltf), Some("binary chunk is missing")),
        ("text.fbx", b"FBXHeaderExtension:  {\n}\n".to_vec(), None),
        ("converted.png", replace(&png(1), b"\r\n", b"\n"), Some("line ends in this file were converted")),
        (
            "junk.jpg",
            b"\xff\xd8\xff\xe0\0\x04xxjunk\xff\xc0\0\x0b\x08\0\x1e\0\x28\x01\x01\x11\0\xff\xd9".to_vec(),
            None,
        ),
    ];
    let project = Project::new(MANIFEST);
    for (name, bytes, _) in &cases {
        project.write(&format!("files/{name}"), bytes);
    }
    let refused = refused(&project);
    for (name, _, expected) in &cases {
        let said = refused.get(&format!("files/{name}")).map(String::as_str);
        match expected {
            Some(part) => assert!(said.is_some_and(|said| said.contains(part)), "{name}: {said:?}"),
            None => assert_eq!(said, None, "{name}"),
        }
    }
}

#[test]
fn a_folder_that_became_a_link_out_of_the_project_is_no_removal() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[globs.models]\npath = \"models/**/*.rbxmx\"\n\n[policy]\nremoved = \"archive\"\narchive_after = \"1s\"\n";
    for (place, target) in [("models/sub", "outside"), ("models", "outside"), ("models/sub", "nowhere")] {
        let project = Project::new(manifest).at(&remote.url());
        let outside = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            project.write(&format!("models/sub/{name}.rbxmx"), rbxmx(&format!("{name} {place} {target}")));
        }
        // Another folder stays, so that not all is gone.
        project.write("models/stays.rbxmx", rbxmx(&format!("stays {place} {target}")));
        project.sync();
        let creates = remote.requests(ApiEndpoint::CreateAsset);
        std::fs::rename(project.file(place), outside.path().join("moved")).unwrap();
        let to = outside.path().join(if target == "outside" { "moved" } else { "nowhere" });
        system::symlink(to, project.file(place)).unwrap();
        for _ in 0..2 {
            let (code, document) = project.json(&["sync", "--once"]);
            assert_eq!(code, 1, "{place}: {document:#}");
            let (_, status) = project.json(&["status"]);
            for name in ["a", "b", "c"] {
                let address = format!("models/sub/{name}.rbxmx");
                let rows = status["assets"].as_array().unwrap();
                let row = rows.iter().find(|row| row["address"] == *address).unwrap();
                assert_eq!(row["state"], "failed", "{place}: {row:#}");
                let error = row["error"].as_str().unwrap();
                assert!(error.contains(&format!("`{place}` is a link")), "{place}: {error}");
            }
        }
        assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0, "{place}");
        assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "{place}");
        assert!(project.read("assets.lock.toml").contains("models/sub/c.rbxmx"));
        assert!(!project.read("assets.lock.toml").contains("removed = true"), "{}", project.read("assets.lock.toml"));
    }
}

/// The files themselves stay what they were, down to their inodes and times.
#[test]
fn files_and_outputs_behind_a_new_link_out_of_the_project_are_errors_also_after_a_run_with_nothing_to_do() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[assets.o]\npath = \"x/o.rbxmx\"\n\n[[outputs]]\npath = \"s/ids.json\"\n";
    for (folder, error) in [("x", "`x/o.rbxmx` leads out of the manifest's folder"), ("s", "is a symbolic link")] {
        let project = Project::new(manifest).at(&remote.url());
        git(project.path(), &["init", "-q", "-b", "main"]);
        project.write("x/o.rbxmx", rbxmx(folder));
        project.sync();
        git(project.path(), &["add", "-A"]);
        git(project.path(), &["commit", "-q", "-m", "synced"]);
        project.pass(1);
        project.sync();
        let before = remote.writes();
        let outside = tempfile::tempdir().unwrap();
        std::fs::rename(project.file(folder), outside.path().join(folder)).unwrap();
        system::symlink(outside.path().join(folder), project.file(folder)).unwrap();
        for change in ["nothing", "the manifest"] {
            let ran = project.run(&["sync", "--once"]).expect(1);
            assert!(ran.stdout.contains(error), "{folder}, {change}: {}{}", ran.stdout, ran.stderr);
            project.write("assets.toml", format!("{manifest}# another line\n"));
        }
        if folder == "x" {
            assert!(project.run(&["plan"]).stdout.contains(error), "{folder}");
        }
        assert_eq!(remote.writes(), before, "{folder}");
    }
}

/// A file stands where the folder should be, for which nobody needs to be another user.
#[test]
fn a_folder_that_is_not_readable_is_told_as_that_and_not_as_a_glob_without_files() {
    let globs = "[globs.music]\npath = \"music/*.ogg\"\n[globs.ui]\npath = \"ui/*.png\"\n";
    let remote = Remote::start();
    let project = Project::new(&format!("[creator]\nuser_id = 1\n\n{globs}")).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", "no picture");
    project.write("music", "");
    for command in [&["check"][..], &["plan"], &["status"], &["sync", "--once"]] {
        let ran = project.run(command);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(told.contains("`music` isn't a folder"), "{told}");
        assert!(!told.contains("finds no file"), "{told}");
    }
    let counted = |ends: &str| {
        let checked = project.run(&["check"]).expect(1);
        assert!(checked.stdout.trim_end().ends_with(ends), "{}", checked.stdout);
    };
    counted("1 file can't be used, of 2 assets found; 1 path can't be used either");
    project.write("ui/b.png", png(2));
    counted("1 path can't be used; 2 assets found");
}

#[test]
fn a_single_run_takes_no_sound_that_somebody_seems_to_be_writing() {
    let remote = Remote::start();
    let mut project = Project::new(MANIFEST).at(&remote.url());
    project.write("files/half.mp3", &mp3(40)[..9000]);
    project.write("files/whole.mp3", mp3(41));
    project.write("files/a.png", png(1));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, remote.assets().len()), (1, 2), "{document:#}");
    let held = document["actions"].as_array().unwrap().iter().find(|action| action["address"] == "files/half.mp3");
    let error = held.unwrap()["error"].as_str().unwrap();
    assert!(error.contains("isn't complete by its own format"), "{error}");
    // On a CI machine everything was just checked out.
    project.set_env("CI", "true");
    project.run(&["check"]).expect(0);
    project.sync();
    assert_eq!(remote.assets().len(), 3);
    // Bytes that are at Roblox already are whole, however new the file is: nothing would be uploaded.
    project.set_env("CI", "");
    project.remove_state();
    project.remove("files/half.mp3");
    project.write("files/half.mp3", &mp3(40)[..9000]);
    for command in [&["check"][..], &["plan"], &["sync", "--once"]] {
        project.run(command).expect(0);
    }
    let doctor = project.run(&["doctor"]);
    assert!(!doctor.stdout.contains("can't be used"), "{}", doctor.stdout);
    assert_eq!(remote.assets().len(), 3);
}

#[test]
fn a_sound_that_is_appended_in_pieces_is_uploaded_once_it_is_whole() {
    let switches = vec![("operation_visible_after_ms".to_owned(), "0".to_owned())];
    let remote = Remote::with(Config { switches, ..Config::default() });
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("files/a.png", png(1));
    let service = Service::start(&project, &[]);
    service.until_synced("files/a.png");
    let whole = mp3(40);
    for end in [3000, 6000] {
        project.write("files/song.mp3", &whole[..end]);
        // More than others wait for: it isn't a matter of luck that nothing is sent.
        std::thread::sleep(Duration::from_millis(2500));
        // Another change is taken at once meanwhile.
        project.write("files/a.png", png(u8::try_from(end / 1000).unwrap()));
        service.until_synced("files/a.png");
    }
    let sounds = || remote.assets().iter().filter(|report| report.asset.asset_type == CreatableType::Audio).count();
    assert_eq!(sounds(), 0, "a piece was uploaded");
    project.write("files/song.mp3", &whole);
    service.until_synced("files/song.mp3");
    assert_eq!(sounds(), 1);
    service.end();
}
