//! Drift: always reported, healed if the policy says so; content is never overwritten without being
//! asked to.

use macadam::emulator::{ApiEndpoint, ForeignEdit};
use serde_json::json;

use super::{actions, asset, asset_id, check_converged, prompt, row};
use crate::support::{GLOBS, Project, Remote, png, rbxmx};

fn manifest(policy: &str, more: &str) -> String {
    format!(
        "[creator]\nuser_id = 1\n\n[policy]\n{policy}\n\n[assets.sword]\npath = \"sword.rbxmx\"\ndisplay_name = \"Sword\"\n\
         description = \"A sword\"\n{more}"
    )
}

fn project(remote: &Remote, policy: &str) -> Project {
    let project = Project::new(&manifest(policy, "")).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("one"));
    project.sync();
    project
}

/// Somebody else changes the sword.
fn edit(project: &Project, remote: &Remote, edit: ForeignEdit) {
    remote.control().edit(asset_id(project, "sword"), &edit).unwrap();
}

#[track_caller]
fn refresh(project: &Project, code: i32, wanted: &[&str]) -> serde_json::Value {
    project.let_reads_catch_up();
    let (ended, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!((ended, actions(&document)), (code, wanted.iter().map(|s| (*s).to_owned()).collect()), "{document:#}");
    document
}

#[test]
fn a_name_changed_at_roblox_is_reported_or_put_back_three_times_a_day() {
    let remote = prompt();
    let report = project(&remote, "drift = \"report\"");
    edit(&report, &remote, ForeignEdit { display_name: Some("Spoon".to_owned()), ..ForeignEdit::default() });
    check_converged("not refreshed, not known", &report, &remote);
    refresh(&report, 0, &[]);
    assert_eq!(asset(&report, &remote, "sword").asset.metadata.display_name, "Spoon");
    let (_, plan) = report.json(&["plan"]);
    let wanted = json!([{ "field": "display_name", "at_roblox": "Spoon", "wanted": "Sword" }]);
    assert_eq!(plan["drifts"][0]["fields"], wanted, "{plan:#}");
    assert_eq!(row(&report, "sword")["state"], "drifted");

    let remote = prompt();
    let heal = project(&remote, "drift = \"heal\"");
    for _ in 0..3 {
        edit(&heal, &remote, ForeignEdit { display_name: Some("Spoon".to_owned()), ..ForeignEdit::default() });
        refresh(&heal, 0, &["update_metadata sword"]);
        assert_eq!(asset(&heal, &remote, "sword").asset.metadata.display_name, "Sword");
    }
    edit(&heal, &remote, ForeignEdit { display_name: Some("Spoon".to_owned()), ..ForeignEdit::default() });
    refresh(&heal, 0, &[]);
    assert_eq!(asset(&heal, &remote, "sword").asset.metadata.display_name, "Spoon", "enough for a day");
}

#[test]
fn an_asset_archived_at_roblox_is_reported_or_restored() {
    for (policy, wanted) in [("report", [].as_slice()), ("heal", &["restore sword"])] {
        let remote = prompt();
        let project = project(&remote, &format!("drift = \"{policy}\""));
        edit(&project, &remote, ForeignEdit { archived: Some(true), ..ForeignEdit::default() });
        refresh(&project, 0, wanted);
        assert_eq!(asset(&project, &remote, "sword").asset.archived, policy == "report");
        assert_eq!(row(&project, "sword")["state"], if policy == "report" { "archived" } else { "synced" });
    }
}

/// An asset that somebody archived is not restored by a copy of its file, whether Macadam knew that
/// before or finds it when it is about to share the asset.
#[test]
fn sharing_restores_no_asset_that_somebody_archived() {
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Archived {
        ByHand,
        AtRoblox { known: bool, heal: bool },
    }
    let [unknown, known, healed] =
        [(false, false), (true, false), (true, true)].map(|(known, heal)| Archived::AtRoblox { known, heal });
    for how in [Archived::ByHand, unknown, known, healed] {
        let remote = prompt();
        let heals = matches!(how, Archived::AtRoblox { heal: true, .. });
        let policy = if heals { "[policy]\ndrift = \"heal\"\n" } else { "" };
        let project = Project::new(&format!("{GLOBS}\n{policy}")).at(&remote.url());
        project.write("ui/a.png", png(1));
        project.sync();
        let first = asset_id(&project, "ui/a.png");
        project.let_reads_catch_up();
        if how == Archived::ByHand {
            project.run(&["archive", "ui/a.png", "--yes"]).expect(0);
            project.let_reads_catch_up();
        } else {
            let archived = ForeignEdit { archived: Some(true), ..ForeignEdit::default() };
            remote.control().edit(first, &archived).unwrap();
        }
        if matches!(how, Archived::AtRoblox { known: true, heal: false }) {
            refresh(&project, 0, &[]);
        }
        project.write("ui/b.png", png(1));
        let (code, document) = project.json(&["sync", "--once"]);
        let is_archived = || remote.control().asset(first).unwrap().asset.archived;
        if heals {
            // What Macadam finds only now is put back as it is where nothing is shared.
            let (code, document) = if code == 0 { (code, document) } else { project.json(&["sync", "--once"]) };
            assert_eq!((code, is_archived()), (0, false), "{how:?}: {document:#}");
        } else {
            assert_eq!((code, actions(&document)), (1, vec!["hold ui/b.png".to_owned()]), "{how:?}: {document:#}");
            assert_eq!((is_archived(), remote.requests(ApiEndpoint::RestoreAsset)), (true, 0), "{how:?}");
            let held = project.run(&["plan"]).stdout;
            assert!(held.contains("its file is that of `ui/a.png`, but asset"), "{how:?}: {held}");
            assert!(held.contains("`macadam restore ui/a.png`"), "{how:?}: {held}");
            project.run(&["restore", "ui/a.png"]).expect(0);
            project.let_reads_catch_up();
            project.sync();
        }
        assert_eq!((asset_id(&project, "ui/b.png"), remote.requests(ApiEndpoint::CreateAsset)), (first, 1), "{how:?}");
    }
}

#[test]
fn content_made_elsewhere_yields_only_to_overwrite() {
    let remote = prompt();
    let project = project(&remote, "drift = \"heal\"");
    let theirs = "ab".repeat(32);
    edit(&project, &remote, ForeignEdit { content_hash: Some(theirs.clone()), ..ForeignEdit::default() });
    refresh(&project, 0, &[]);
    assert_eq!(row(&project, "sword")["state"], "drifted");
    // A changed file has to wait: the remote content may be a deploy that wasn't pulled.
    project.write("sword.rbxmx", rbxmx("two"));
    refresh(&project, 1, &["hold sword"]);
    let head = || {
        let asset = asset(&project, &remote, "sword").asset;
        asset.versions.iter().find(|version| version.number == asset.head).unwrap().content.hash.clone()
    };
    assert_eq!(head(), theirs);
    let (code, document) = project.json(&["sync", "--once", "--overwrite", "sword"]);
    assert_eq!((code, actions(&document)), (0, vec!["update_content sword".to_owned()]), "{document:#}");
    assert_ne!(head(), theirs);
    check_converged("overwritten", &project, &remote);
    assert_eq!(row(&project, "sword")["state"], "synced");
}

#[test]
fn the_file_as_it_was_is_put_over_content_made_elsewhere_when_asked_to() {
    let remote = prompt();
    let project = project(&remote, "drift = \"report\"");
    edit(&project, &remote, ForeignEdit { content_hash: Some("cd".repeat(32)), ..ForeignEdit::default() });
    refresh(&project, 0, &[]);
    let (code, document) = project.json(&["sync", "--once", "--overwrite", "sword"]);
    assert_eq!((code, actions(&document)), (0, vec!["update_content sword".to_owned()]), "{document:#}");
    check_converged("overwritten", &project, &remote);
}

#[test]
fn could_not_ask_is_never_gone() {
    use macadam::emulator::{BodyShape, FaultAction, FaultRule, ScriptedReply};
    let remote = prompt();
    let project =
        project(&remote, "drift = \"heal\"\nremoved = \"archive\"\nreplaced = \"archive\"\narchive_after = \"1s\"");
    let reply = ScriptedReply { message: "unavailable".to_owned(), ..ScriptedReply::new(503, BodyShape::Service) };
    let rule = FaultRule::on(ApiEndpoint::GetAsset, FaultAction::Reply(reply));
    let rule = remote.control().add_faults(vec![rule]).unwrap()[0];
    let document = refresh(&project, 0, &[]);
    assert!(remote.control().fired(rule) > 0);
    assert_eq!(document["unasked"].as_array().unwrap().len(), 1, "{document:#}");
    assert_eq!(row(&project, "sword")["state"], "synced");
    // The asset is gone: Macadam says so, and uploads nothing.
    remote.control().clear_faults();
    let gone =
        ScriptedReply { message: "Asset is not found".to_owned(), ..ScriptedReply::new(404, BodyShape::Service) };
    remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::GetAsset, FaultAction::Reply(gone))]).unwrap();
    for answer in 1..=3 {
        refresh(&project, 0, &[]);
        assert_eq!(row(&project, "sword")["state"], if answer == 3 { "drifted" } else { "synced" }, "answer {answer}");
        project.pass(5);
    }
    assert_eq!(remote.assets().len(), 1);
}

#[test]
fn plan_refreshes_without_writing() {
    let remote = prompt();
    let project = project(&remote, "drift = \"heal\"");
    edit(&project, &remote, ForeignEdit { display_name: Some("Spoon".to_owned()), ..ForeignEdit::default() });
    let before = project.read("assets.lock.toml");
    project.let_reads_catch_up();
    let (code, document) = project.json(&["plan", "--refresh", "--detailed-exitcode"]);
    assert_eq!((code, actions(&document)), (2, vec!["update_metadata sword".to_owned()]), "{document:#}");
    assert_eq!(actions(&project.json(&["plan"]).1), Vec::<String>::new(), "nothing was remembered");
    assert_eq!(project.read("assets.lock.toml"), before);
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), 0);
    let (code, _) = project.json(&["sync", "--once", "--locked", "--refresh"]);
    assert_eq!((code, remote.requests(ApiEndpoint::UpdateAsset)), (1, 0));
}

/// Roblox makes no new revision of the bytes that are current, so such an update was sent again
/// without end.
#[test]
fn a_file_that_goes_back_to_what_somebody_made_current_is_held_and_overwritten_once() {
    let remote = prompt();
    let project = project(&remote, "drift = \"report\"");
    project.write("sword.rbxmx", rbxmx("two"));
    project.sync();
    project.let_reads_catch_up();
    edit(&project, &remote, ForeignEdit { head: Some(1), ..ForeignEdit::default() });
    project.write("sword.rbxmx", rbxmx("one"));
    let updates = || remote.requests(ApiEndpoint::UpdateAsset);
    let before = updates();
    let held = project.run(&["sync", "--once"]).expect(1).stdout;
    assert!(held.contains("revision 1 of asset") && held.contains("was made current on Roblox"), "{held}");
    assert_eq!(updates(), before, "nothing is sent unseen");
    project.run(&["sync", "--once", "--overwrite", "sword", "--timeout", "30s"]).expect(0);
    assert_eq!(updates(), before + 1);
    check_converged("overwritten", &project, &remote);
    // The next content is a new revision.
    project.write("sword.rbxmx", rbxmx("three"));
    project.sync();
    assert_eq!(asset(&project, &remote, "sword").asset.head, 3);
}
