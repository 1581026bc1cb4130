//! The way on that a refused command names: for an upload whose outcome is unknown, for content
//! that moderation rejected, for a file that can't be used.

use macadam::emulator::{
    ApiEndpoint, Config, EndpointLimits, FaultAction, FaultRule, Limit, ModerationRule, ModerationVerdict, Point,
    VerdictStep,
};

use super::everyday::pictures;
use super::support::{GLOBS, Project, Remote, png, rbxmx};

/// Moderation rejects what is uploaded as `name` from now on.
fn reject(remote: &Remote, name: &str) {
    remote.control().moderate(ModerationRule {
        content_hash: None,
        name: Some(name.to_owned()),
        asset_id: None,
        verdicts: vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }],
        fail_operation: false,
    });
}

#[test]
fn every_command_about_an_upload_whose_outcome_is_unknown_names_both_ways_to_resolve_it() {
    let (remote, project) = pictures(&["a"]);
    let hold = format!("{GLOBS}\n[policy]\nambiguous_create = \"hold\"\n");
    project.write("assets.toml", &hold);
    let reset = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Reset { at: Point::AfterCommit });
    remote.control().add_faults(vec![reset.times(1)]).unwrap();
    project.run(&["sync", "--once"]).expect(1);
    let both = ["`macadam resolve ui/a.png --asset-id N`", "`macadam resolve ui/a.png --recreate`"];
    let history = project.run(&["history", "ui/a.png"]).expect(0).stdout;
    assert!(history.starts_with("ui/a.png has no revision: it was never uploaded"), "{history}");
    let planned = project.run(&["plan"]).expect(0).stdout;
    let lost =
        "look at https://create.roblox.com/dashboard/creations for an Image named \"a\" of user 1, uploaded at 20";
    assert!(planned.contains(lost), "{planned}");
    let check = |args: &[&str]| {
        let ran = project.run(args).expect(1);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(both.iter().all(|way| said.contains(way)), "{args:?}: {said}");
        assert!(!said.contains("sync --once` uploads"), "{args:?}: {said}");
    };
    for args in [
        &["archive", "ui/a.png", "--yes"][..],
        &["restore", "ui/a.png"],
        &["pin", "ui/a.png", "1"],
        &["open", "ui/a.png"],
        &["retry", "ui/a.png"],
        &["retry", "--all"],
        &["forget", "ui/a.png", "--yes"],
        &["import", "ui/a.png", "106216587199"],
    ] {
        check(args);
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 1);
}

#[test]
fn a_mistyped_command_or_option_gets_its_suggestion_in_json_too() {
    let project = Project::new(GLOBS);
    for (typed, meant) in [(&["statsu"][..], "`status`"), (&["plan", "--refersh"], "`--refresh`")] {
        let (code, document) = project.json(typed);
        let hint = document["errors"][0]["hint"].as_str().unwrap();
        assert!(code == 64 && hint.contains(meant), "{document:#}");
    }
}

#[test]
fn a_retry_of_everything_says_what_helps_where_no_retry_does() {
    let (remote, project) = pictures(&["a", "b"]);
    reject(&remote, "b");
    project.run(&["sync", "--once"]).expect(1);
    let said = project.run(&["retry", "--all"]).expect(1).stderr;
    assert!(said.contains("a retry doesn't help `ui/b.png`") && said.contains("change the file"), "{said}");
    assert!(!said.contains("refused no asset"), "{said}");
}

#[test]
fn archivings_are_not_counted_among_the_assets_of_the_manifest() {
    let (remote, project) = pictures(&["a", "b", "c", "d"]);
    project.sync();
    let removed = "\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n";
    project.write("assets.toml", format!("{GLOBS}{removed}"));
    project.remove("ui/a.png");
    reject(&remote, "e");
    project.write("ui/e.png", png(99));
    let ran = project.run(&["sync", "--once"]).expect(1);
    assert!(ran.stdout.contains("Not finished: 1 archived, 1 of 4 rejected by moderation."), "{}", ran.stdout);
}

/// An archived asset is used again by another address, which is told beside the sharing.
#[test]
fn a_restored_asset_of_another_address_is_shown_as_restored() {
    let (remote, project) = pictures(&["a", "b"]);
    let manifest = format!("{GLOBS}\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n");
    project.write("assets.toml", &manifest);
    project.sync();
    project.remove("ui/a.png");
    project.sync();
    project.write("ui/b.png", png(1));
    let plan = project.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("archived") && plan.contains("active") && plan.contains("1 to restore"), "{plan}");
    let planned = &project.json(&["plan"]).1["actions"][0];
    assert_eq!(planned["restores"], true, "{planned:#}");
    let told = project.run(&["sync", "--once"]).expect(0).stdout;
    assert!(told.contains("ui/b.png") && told.contains(", restored\n") && told.contains("1 restored"), "{told}");
    assert_eq!(remote.requests(ApiEndpoint::RestoreAsset), 1);
}

#[test]
fn a_refused_archiving_names_its_asset_among_several() {
    let (remote, project) = pictures(&["a", "b"]);
    reject(&remote, "b");
    project.run(&["sync", "--once"]).expect(1);
    for args in [&["archive", "ui/*", "--yes"][..], &["archive", "ui/b.png", "--yes"]] {
        let ran = project.run(args).expect(1);
        assert!(ran.stderr.contains("error: ui/b.png: Roblox refused it"), "{}", ran.stderr);
        assert!(ran.stderr.contains("moderation rejected this asset"), "{}", ran.stderr);
    }
}

#[test]
fn a_new_owners_picture_that_moderation_rejects_is_named_with_what_helps() {
    let (remote, project) = pictures(&["a", "b"]);
    let policy = "\n[policy]\nremoved = \"archive\"\narchive_after = \"12h\"\n";
    project.write("assets.toml", format!("{GLOBS}{policy}"));
    project.sync();
    reject(&remote, "b");
    project.write("assets.toml", format!("{GLOBS}{policy}").replace("user_id = 1", "group_id = 7"));
    let ran = project.run(&["recreate", "--creator", "--yes"]).expect(1);
    assert!(ran.stderr.contains("error: ui/b.png: Roblox's moderation rejected this content"), "{}", ran.stderr);
    assert!(ran.stderr.contains("change the file"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("recreate --creator` again"), "{}", ran.stdout);
    assert!(ran.stdout.contains("after 12 hours"), "{}", ran.stdout);
    project.write("ui/b.png", png(77));
    remote.control().clear_moderation();
    project.sync();
}

#[test]
fn a_file_that_can_not_be_used_reads_the_same_in_check_plan_and_sync() {
    let remote = Remote::start();
    let project = Project::new("[creator]\nuser_id = 1\n\n[globs.f]\npath = \"f/*\"\n").at(&remote.url());
    project.write("f/empty.ogg", "");
    project.write("f/empty.png", "");
    project.write("f/text.mp3", "this is a text");
    project.write("f/text.png", "this is a text");
    let told = |args: &[&str]| {
        let ran = project.run(args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        for message in
            ["the file is empty", "the content is not that of a .mp3 file", "the content is not that of a .png file"]
        {
            assert!(said.contains(message), "{args:?} {message}: {said}");
        }
        assert!(!said.contains("isn't complete"), "{args:?}: {said}");
    };
    [&["check"][..], &["plan"], &["sync", "--once"], &["status"]].into_iter().for_each(told);
    assert!(remote.assets().is_empty());
}

#[test]
fn addresses_of_one_asset_are_restored_together() {
    let (_remote, project) = pictures(&["a", "c"]);
    project.write("ui/b.png", png(1));
    project.sync();
    project.run(&["archive", "ui/*", "--yes"]).expect(0);
    let ran = project.run(&["restore", "ui/*"]).expect(0);
    assert_eq!(ran.stdout.matches("restored: ui/").count(), 3, "{}", ran.stdout);
    assert!(!ran.stdout.contains("is not archived"), "{}", ran.stdout);
    project.run(&["archive", "ui/*", "--yes"]).expect(0);
    project.run(&["restore", "ui/b.png", "ui/a.png"]).expect(0);
    let said = project.run(&["restore", "ui/a.png"]).expect(1).stderr;
    assert!(said.contains("is not archived"), "{said}");
}

#[test]
fn a_value_in_the_wrong_place_says_what_to_write() {
    let (_remote, project) = pictures(&["a"]);
    for (args, code, words) in [
        (&["sync", "--once", "--wait-moderation", "5m"][..], 1, "write `--wait-moderation=5m`"),
        (&["man", "assets.toml"], 3, "`macadam man share/man/man1`"),
        (&["man", "ui/a.png/pages"], 3, "a file is in the way"),
        (&["sync", "--once", "--api-key-file", "nope"], 4, "name a file that holds just the key"),
        (&["sync", "once"], 64, "did you mean `macadam sync --once`?"),
        (&["lockfile", "merge", "a", "b", "c"], 3, "there is no file a"),
        (&["emulator", "--switch", "color=red"], 64, "`macadam emulator --list-switches`"),
        (&["init", "--yes", "--glob", "*.exe"], 64, "finds no files that Roblox accepts"),
    ] {
        let said = project.run(args).expect(code).stderr;
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let said = Project::new("").run(&["init", "--emulator", "--yes"]).expect(64).stderr;
    assert!(said.contains("`init` writes the files of a real project, so it can't be rehearsed"), "{said}");
}

#[test]
fn a_machine_that_takes_over_uploads_from_the_lockfile_asks_for_their_results_at_once() {
    let (remote, project) = pictures(&[]);
    let models = "[creator]\nuser_id = 1\n\n[globs.m]\npath = \"m/*.rbxmx\"\n";
    project.write("assets.toml", models);
    for name in ["a", "b", "c", "d", "e", "f"] {
        project.write(&format!("m/{name}.rbxmx"), rbxmx(name));
    }
    let stuck =
        r#"{"match": {"endpoint": "get_operation"}, "action": {"kind": "reply", "status": 503, "shape": "service"}}"#;
    remote.control().add_faults(vec![serde_json::from_str(stuck).unwrap()]).unwrap();
    project.run(&["sync", "--once", "--timeout", "3s"]).expect(1);
    remote.control().clear_faults();
    // A clone without the state, such as the next run in CI.
    project.remove_state();
    let begun = std::time::Instant::now();
    project.sync();
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 6);
}

#[test]
fn an_import_of_an_asset_with_the_file_s_bytes_says_that_nothing_is_uploaded() {
    let (remote, project) = pictures(&[]);
    project.write("assets.toml", "[creator]\nuser_id = 1\n\n[globs.m]\npath = \"m/*.rbxmx\"\n");
    for name in ["a", "b"] {
        project.write(&format!("m/{name}.rbxmx"), rbxmx("same"));
    }
    project.sync();
    let (_, document) = project.json(&["open", "m/a.rbxmx"]);
    let asset_id = document["asset_id"].to_string();
    for name in ["a", "b"] {
        project.remove(&format!("m/{name}.rbxmx"));
    }
    project.write("m/c.rbxmx", rbxmx("same"));
    let (_, document) = project.json(&["plan"]);
    let hint = document["actions"][0]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("`macadam forget m/a.rbxmx m/b.rbxmx` if it is none of them"), "{document}");
    let said = project.run(&["import", "m/c.rbxmx", &asset_id]).expect(0).stderr;
    assert!(said.contains(&format!("m/c.rbxmx has the bytes of asset {asset_id}: nothing is uploaded.")), "{said}");
    let requests = remote.requests(ApiEndpoint::CreateAsset) + remote.requests(ApiEndpoint::UpdateAsset);
    project.run(&["sync", "--once"]);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset) + remote.requests(ApiEndpoint::UpdateAsset), requests);
}

#[test]
fn an_import_with_its_arguments_swapped_or_without_an_entry_says_what_to_write() {
    let (_remote, project) = pictures(&["a"]);
    let swapped = project.run(&["import", "106216587199", "ui/a.png"]).expect(64).stderr;
    assert!(swapped.contains("`macadam import ui/a.png 106216587199`"), "{swapped}");
    for (address, entry) in [
        ("shield", "`[assets.shield]`, and below it `path = \"FILE\"`"),
        ("other/x.png", "`[assets.\"other/x.png\"]`, and below it `path = \"other/x.png\"`"),
    ] {
        let said = project.run(&["import", address, "106216587199"]).expect(1).stderr;
        assert!(said.contains(entry), "{said}");
    }
}

#[test]
fn a_port_that_is_in_use_says_what_to_do() {
    let (_remote, project) = pictures(&["a"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = project.run(&["sync", "--listen", &port]).expect(3).stderr;
    assert!(said.contains("uses that port") && said.contains("choose another port for `--listen`"), "{said}");
}

#[test]
fn help_about_help_is_help() {
    let project = Project::new(GLOBS);
    let help = project.run(&["help", "help"]).expect(0).stdout;
    for option in ["--help", "-h"] {
        assert_eq!(project.run(&["help", option]).expect(0).stdout, help);
    }
}

/// It changes nothing, and asks nobody.
#[test]
fn a_locked_sync_needs_no_key() {
    let (_remote, mut project) = pictures(&["a"]);
    project.sync();
    project.set_env("ROBLOX_API_KEY", "");
    project.run(&["sync", "--once", "--locked"]).expect(0);
    project.run(&["sync", "--once", "--locked", "--refresh"]).expect(4);
}

#[test]
fn init_for_the_merge_driver_alone_tells_of_nothing_else() {
    let (_remote, project) = pictures(&["a"]);
    project.git(&["init", "-q"]);
    project.run(&["init"]).expect(0);
    let told = project.run(&["init", "--merge-driver"]).expect(0).stdout;
    assert!(told.contains("merge"), "{told}");
    for other in ["Next:", "kept", ".env"] {
        assert!(!told.contains(other), "{other}: {told}");
    }
}

/// The run before spent Roblox's limit.
#[test]
fn a_run_whose_time_is_over_before_anything_began_says_what_it_waited_for() {
    let mut limits = EndpointLimits::documented();
    limits.endpoints.insert(ApiEndpoint::CreateAsset, Limit::of(2));
    let remote = Remote::with(Config { limits, ..Config::default() });
    let project = Project::new(GLOBS).at(&remote.url());
    (1..8).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let run = || project.run(&["sync", "--once", "--timeout", "4s"]).expect(1).stderr;
    run();
    let waited = "not started, because Macadam was waiting for Roblox's rate limit";
    let mut said = run();
    if !said.contains(waited) {
        // The remote's minute ended meanwhile, so that another one has just begun.
        said = run();
    }
    assert!(said.contains(waited), "{said}");
}

/// A machine that knows the asset from the lockfile alone.
#[test]
fn history_says_what_its_dashes_mean() {
    let (_remote, project) = pictures(&["a"]);
    project.sync();
    assert!(!project.run(&["history", "ui/a.png"]).expect(0).stdout.contains("`-`"));
    project.remove(".macadam");
    let told = project.run(&["history", "ui/a.png"]).expect(0).stdout;
    assert!(told.contains("`-`: another machine uploaded it, and the lockfile doesn't say when and how"), "{told}");
}
