//! Which asset ID the game gets while something is on its way, refused, pinned, archived or absent.

use macadam::emulator::{ForeignEdit, ModerationRule, ModerationVerdict, VerdictStep};

use super::{LUAU, MANIFEST, error, id, jpeg, project, refuse_uploads, states};
use crate::support::{Project, Remote, png};

const ONCE: [&str; 2] = ["sync", "--once"];

/// The ID that the game gets for `ui/a.png`, or 0.
fn in_game(project: &Project) -> u64 {
    let text = project.read(LUAU);
    let value = text.split("[\"ui/a.png\"] = \"rbxassetid://").nth(1).and_then(|rest| rest.split('"').next());
    value.map_or(0, |number| number.parse().unwrap())
}

/// Checks that a clone with only the lockfile would write the same file.
fn check_clone(project: &Project) {
    project.remove_state();
    project.run(&["outputs", "--check"]).expect(0);
}

#[test]
fn a_replaced_picture_appears_only_once_its_upload_is_done() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let first = id(&project, "ui/a.png");
    refuse_uploads(&remote);
    project.write("ui/a.png", png(3));
    let (code, document) = project.json(&["plan", "--detailed-exitcode"]);
    assert_eq!((code, &document["outputs"][0]["new_asset_ids"]), (2, &1.into()), "{document:#}");
    project.run(&["outputs"]).expect(0);
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, states(&document), in_game(&project)), (1, vec!["up_to_date"; 3], first));

    remote.control().clear_faults();
    project.run(&["retry", "ui/a.png"]).expect(0);
    project.sync();
    let second = id(&project, "ui/a.png");
    assert!(second != first && in_game(&project) == second);
    check_clone(&project);

    // Earlier content has its asset already.
    project.write("ui/a.png", png(1));
    project.run(&["outputs"]).expect(0);
    assert_eq!(in_game(&project), first);
    project.sync();
    assert_eq!(in_game(&project), first);
    check_clone(&project);
}

#[test]
fn a_pin_holds_the_id_and_an_unpin_gives_that_of_the_file() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let first = id(&project, "ui/a.png");
    project.write("ui/a.png", png(3));
    project.sync();
    let second = id(&project, "ui/a.png");
    project.run(&["pin", "ui/a.png", "1"]).expect(0);
    assert_eq!(in_game(&project), first);
    check_clone(&project);
    project.run(&["unpin", "ui/a.png"]).expect(0);
    assert_eq!(in_game(&project), second);
}

#[test]
fn rejected_content_leaves_the_picture_of_before() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let first = id(&project, "ui/a.png");
    remote.control().moderate(ModerationRule {
        content_hash: None,
        name: None,
        asset_id: None,
        verdicts: vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }],
        fail_operation: false,
    });
    project.write("ui/a.png", png(3));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{document:#}");
    assert_eq!(in_game(&project), first);
    check_clone(&project);
}

/// Until there is a new asset the game goes on with the old one.
#[test]
fn an_asset_that_is_uploaded_again_for_another_owner_keeps_its_id_until_then() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let (first, before) = (id(&project, "ui/a.png"), project.read(LUAU));
    project.write("assets.toml", MANIFEST.replace("user_id = 1", "group_id = 7"));
    refuse_uploads(&remote);
    project.run(&["recreate", "--creator", "--yes"]).expect(1);
    project.run(&ONCE).expect(1);
    assert_eq!((in_game(&project), project.read(LUAU)), (first, before));
    check_clone(&project);
    // The state that knew of the refusal is gone.
    remote.control().clear_faults();
    project.sync();
    let second = id(&project, "ui/a.png");
    assert!(second != first && in_game(&project) == second);
    check_clone(&project);
}

/// The IDs that are not known here may be in the lockfile that was lost.
#[test]
fn without_the_lockfile_no_id_leaves_the_game() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    project.git(&["init", "--quiet"]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "--quiet", "-m", "synced"]);
    let before = project.read(LUAU);
    project.remove("assets.lock.toml");
    project.remove_state();
    for args in [&ONCE[..], &["outputs"], &["outputs", "--check"]] {
        let (code, document) = project.json(args);
        assert_eq!((code, states(&document)), (1, vec!["failed"; 3]), "{args:?}: {document:#}");
        assert!(error(&document, 0).contains("assets.lock.toml is missing here"), "{document:#}");
        assert!(document["outputs"][0]["hint"].as_str().unwrap().contains("git checkout -- assets.lock.toml"));
        assert_eq!(project.read(LUAU), before);
    }
    project.git(&["checkout", "--", "assets.lock.toml"]);
    project.sync();
    assert_eq!(project.read(LUAU), before);

    // A person who agrees to a new one gets new IDs.
    project.remove("assets.lock.toml");
    project.remove_state();
    project.run(&["sync", "--once", "--accept-new-lockfile"]).expect(0);
    assert!(in_game(&project) != 0 && project.read(LUAU) != before);
}

#[test]
fn an_archived_asset_keeps_its_id() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let first = id(&project, "ui/a.png");
    project.run(&["archive", "ui/a.png", "--yes"]).expect(0);
    project.run(&["outputs", "--check"]).expect(0);
    let archived = ForeignEdit { archived: Some(true), ..ForeignEdit::default() };
    remote.control().edit(id(&project, "ui/icons/b.png"), &archived).unwrap();
    project.json(&["sync", "--once", "--refresh"]);
    assert_eq!(in_game(&project), first);
    check_clone(&project);
}

#[test]
fn a_rename_shows_before_the_next_sync() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let first = id(&project, "ui/a.png");
    std::fs::rename(project.file("ui/a.png"), project.file("ui/c.png")).unwrap();
    project.run(&["outputs"]).expect(0);
    assert!(project.read(LUAU).contains(&format!("[\"ui/c.png\"] = \"rbxassetid://{first}\"")));
    assert_eq!(in_game(&project), 0);
}

/// A folder that isn't mounted takes nothing out of the game.
#[test]
fn an_absent_file_stays_in_the_output() {
    let remote = Remote::start();
    let project = project(&MANIFEST.replace("ui/assets.json", "assets.json"), &remote);
    project.sync();
    let before = project.read(LUAU);
    std::fs::rename(project.file("ui"), project.file("elsewhere")).unwrap();
    project.run(&["outputs", "--check"]).expect(0);
    project.json(&["sync", "--once"]);
    assert_eq!(project.read(LUAU), before);
    check_clone(&project);
    // Only one file was removed.
    std::fs::rename(project.file("elsewhere"), project.file("ui")).unwrap();
    project.remove("ui/a.png");
    project.sync();
    assert_eq!(in_game(&project), 0);
    assert!(project.read(LUAU).contains("ui/icons/b.png"));
}

#[test]
fn an_output_of_another_manifest_is_left_alone() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.sync();
    let ours = project.read(LUAU);
    let output = format!("[[outputs]]\npath = \"{LUAU}\"\n");
    project.write(
        "assets.staging.toml",
        format!("creator = {{ user_id = 2 }}\n\n[globs.ui]\npath = \"ui/**/*.png\"\n\n{output}"),
    );
    let staging = ["sync", "--once", "--manifest", "assets.staging.toml"];
    let ran = project.run(&staging).expect(1);
    assert!(
        ran.stdout.contains("it has the asset IDs of assets.toml, so Macadam doesn't overwrite it"),
        "{}",
        ran.stdout
    );
    assert_eq!(project.read(LUAU), ours);
    // A manifest that was renamed goes on with its outputs.
    project.remove("assets.toml");
    project.run(&staging).expect(0);
    assert_ne!(project.read(LUAU), ours);
    project.write("assets.toml", MANIFEST);
    project.run(&["outputs", "--check"]).expect(1);
    project.run(&["outputs", "--adopt"]).expect(0);
    assert_eq!(project.read(LUAU), ours);
}

#[test]
fn a_locked_sync_fails_where_an_output_can_not_be_written_and_ignores_what_git_ignores() {
    let remote = Remote::start();
    let project = project(MANIFEST, &remote);
    project.git(&["init", "-q"]);
    project.write(".gitignore", "/src/\n");
    project.sync();
    project.remove("src");
    let (code, document) = project.json(&["sync", "--once", "--locked"]);
    assert_eq!((code, &document["in_sync"]), (0, &true.into()), "{document:#}");
    project.remove("ui/assets.json");
    project.run(&["sync", "--once", "--locked"]).expect(1);
    project.sync();
    // Two addresses get one key.
    project.write("ui/a.jpg", jpeg());
    project.run(&ONCE).expect(1);
    let (code, document) = project.json(&["sync", "--once", "--locked"]);
    assert_eq!((code, &document["in_sync"]), (1, &false.into()), "{document:#}");
}

#[test]
fn an_output_that_lacks_only_what_the_plan_brings_would_be_written() {
    let remote = Remote::start();
    let strict = MANIFEST.replace("style = \"nested\"", "missing = \"error\"");
    let project = project(&strict, &remote);
    project.sync();
    project.write("ui/c.png", png(1));
    project.write("ui/d.png", png(9));
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["outputs"][2]["state"], "out_of_date", "{plan:#}");
    let told = project.run(&["plan"]).expect(0).stdout;
    assert!(
        told.contains("would write     ui/assets.json: 1 asset ID to come") && !told.contains("can't write"),
        "{told}"
    );
    project.sync();
    // What the plan doesn't bring is still an error.
    refuse_uploads(&remote);
    project.write("ui/e.png", png(10));
    project.run(&["sync", "--once"]).expect(1);
    let (_, plan) = project.json(&["plan"]);
    assert_eq!(plan["outputs"][2]["state"], "failed", "{plan:#}");
}

/// Two manifests of one name took turns in writing the file.
#[test]
fn a_manifest_leaves_the_output_of_one_of_its_name_below_alone() {
    let remote = Remote::start();
    let outer = project(
        "[creator]\nuser_id = 1\n[globs.ui]\npath = \"ui/**\"\n[[outputs]]\npath = \"sub/ids.json\"\n",
        &remote,
    );
    outer.sync();
    outer.write(
        "sub/assets.toml",
        "[creator]\nuser_id = 1\n[globs.a]\npath = \"a/*.png\"\n[[outputs]]\npath = \"ids.json\"\n",
    );
    outer.write("sub/a/c.png", png(3));
    outer.run(&["sync", "--once", "--manifest", "sub/assets.toml"]).expect(0);
    let made = outer.read("sub/ids.json");
    assert!(made.contains("a/c.png"), "{made}");
    let ran = outer.run(&["outputs"]).expect(1);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("it has the asset IDs of sub/assets.toml"), "{said}");
    assert_eq!(outer.read("sub/ids.json"), made);
    outer.run(&["outputs", "--check", "--manifest", "sub/assets.toml"]).expect(0);
}
