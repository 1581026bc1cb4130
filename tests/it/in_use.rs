//! A picture went back to an earlier asset: the lockfile says which one the game uses, also where the
//! file can't, in a clone without a state and in one with an older state.

use macadam::emulator::{
    ApiEndpoint, BodyShape, FaultAction, FaultRule, ModerationRule, ModerationVerdict, ScriptedReply, VerdictStep,
};
use serde_json::{Value, json};

use super::clones::{MANIFEST, Shared, asset_id, pull, push};
use super::support::git::git;
use super::support::{Project, png};

const FILE: &str = "ui/y.png";
const ARCHIVES: &str = "\n[policy]\nreplaced = \"archive\"\nremoved = \"archive\"\narchive_after = \"0d\"\n";
const KEEPS_REMOVED: &str = "\n[policy]\nreplaced = \"archive\"\nremoved = \"keep\"\narchive_after = \"0d\"\n";
const KEEPS: &str = "";

/// A project whose picture was replaced, and is the first one again.
struct Back {
    shared: Shared,
    /// The machine that did it.
    author: Project,
    first: u64,
    second: u64,
}

impl Back {
    fn new(policy: &str) -> Self {
        let (shared, author) = Shared::new();
        author.write("assets.toml", format!("{MANIFEST}\n[[outputs]]\npath = \"ids.json\"\n{policy}"));
        // So that no archiving is one of suspiciously many.
        (100..110).for_each(|shade| author.write(&format!("ui/{shade}.png"), png(shade)));
        author.sync();
        let first = asset_id(&author, FILE);
        author.write(FILE, png(3));
        author.sync();
        let second = asset_id(&author, FILE);
        push(&author, "the second picture");
        author.write(FILE, png(2));
        author.sync();
        push(&author, "the first picture again");
        assert!(first != second && asset_id(&author, FILE) == first);
        Self { shared, author, first, second }
    }

    /// A clone without a state and one with the older state, both of the newest commit.
    fn machines(&self) -> [(&'static str, Project); 2] {
        let older = self.older();
        pull(&older);
        [("without a state", self.shared.clone_alone()), ("with an older state", older)]
    }

    /// A clone that is in sync with the commit of the second picture.
    fn older(&self) -> Project {
        let older = self.shared.clone_alone();
        git(older.path(), &["reset", "--quiet", "--hard", "HEAD~1"]);
        older.sync();
        assert_eq!(asset_id(&older, FILE), self.second);
        older
    }

    fn is_archived(&self, asset_id: u64) -> bool {
        self.shared.remote.control().asset(asset_id).unwrap().asset.archived
    }

    /// Every command names the first asset, before and after a sync, and the game keeps it.
    #[track_caller]
    fn keeps_the_first(&self, machine: &Project, when: &str) {
        let first = self.first;
        let check = |moment: &str| {
            let shown = asset_id(machine, FILE);
            assert_eq!(shown, first, "{when}, {moment}: status");
            assert_eq!(machine.json(&["open", FILE]).1["asset_id"], first, "{when}, {moment}: open");
            assert_eq!(current(machine), [json!(first)], "{when}, {moment}: history");
            let (_, plan) = machine.json(&["plan"]);
            let archived = plan["actions"].as_array().unwrap().iter().filter(|action| action["action"] == "archive");
            assert_eq!(archived.count(), 0, "{when}, {moment}: {plan:#}");
            assert_eq!(plan["outputs"][0]["changed_asset_ids"], json!([]), "{when}, {moment}: {plan:#}");
        };
        check("before");
        machine.run(&["sync", "--once"]);
        check("after");
        assert_eq!(given(machine), first, "{when}: the game's code");
        assert!(!self.is_archived(first), "{when}: the asset in use is archived");
        assert!(machine.read("assets.lock.toml").contains(&format!("\ncurrent = {first}\n")), "{when}");
    }
}

fn current(machine: &Project) -> Vec<Value> {
    let (_, history) = machine.json(&["history", FILE]);
    let revisions = history["revisions"].as_array().unwrap().iter();
    revisions.filter(|one| one["current"] == true).map(|one| one["asset_id"].clone()).collect()
}

/// The ID in the game's code.
fn given(machine: &Project) -> u64 {
    let ids: Value = serde_json::from_str(&machine.read("ids.json")).unwrap();
    let text = ids["ui"]["y.png"].as_str().or(ids[FILE].as_str()).unwrap_or_else(|| panic!("{ids:#}"));
    text.trim_start_matches("rbxassetid://").parse().unwrap()
}

/// Only the manifest tells, and that is there.
#[test]
fn a_pin_decides_also_where_the_pinned_file_is_not_checked_out() {
    let back = Back::new(KEEPS);
    back.author.run(&["pin", "--no-sync", FILE, "2"]).expect(0);
    push(&back.author, "pinned to the second picture");
    let (whole, part) = (back.shared.clone_alone(), back.shared.clone_alone());
    git(part.path(), &["sparse-checkout", "set", "--no-cone", "/*", &format!("!/{FILE}")]);
    assert!(!part.file(FILE).exists());
    for (machine, when) in [(&whole, "whole"), (&part, "in part")] {
        for moment in ["before", "after"] {
            assert_eq!(asset_id(machine, FILE), back.second, "{when}, {moment}: status");
            assert_eq!(current(machine), [json!(back.second)], "{when}, {moment}: history");
            machine.run(&["outputs"]).expect(0);
            assert_eq!(given(machine), back.second, "{when}, {moment}: the game's code");
            let ran = machine.run(&["sync", "--once"]).expect(0);
            assert!(!ran.stderr.contains("[pins]"), "{when}, {moment}: {}", ran.stderr);
        }
    }
}

/// A pull request renames the file and its pin, without a sync.
#[test]
fn a_pin_of_a_new_file_that_is_not_checked_out_stops_nothing() {
    let (shared, author) = Shared::new();
    author.write("assets.toml", format!("{MANIFEST}\n[[outputs]]\npath = \"ids.json\"\n"));
    author.run(&["pin", "--no-sync", FILE, "1"]).expect(0);
    let pinned = author.read("assets.toml");
    author.write("assets.toml", pinned.replace(&format!("\"{FILE}\" ="), "\"ui/z.png\" ="));
    git(author.path(), &["mv", FILE, "ui/z.png"]);
    push(&author, "renamed");
    let part = shared.clone_alone();
    git(part.path(), &["sparse-checkout", "set", "--no-cone", "/*", "!/ui/z.png"]);
    for command in [&["check"][..], &["outputs"], &["plan"], &["status"], &["sync", "--once"], &["sync", "--once"]] {
        part.run(command).expect(0);
    }
    assert_eq!(git(part.path(), &["diff", "--", "assets.lock.toml"]), "");
    // A name that no file of git's has is still a mistake.
    part.write("assets.toml", part.read("assets.toml").replace("ui/z.png", "ui/q.png"));
    let ran = part.run(&["plan"]).expect(3);
    assert!(ran.stderr.contains("there is no asset named `ui/q.png`"), "{}", ran.stderr);
}

#[test]
fn the_lockfile_says_which_asset_is_in_use_only_where_it_is_not_the_newest() {
    let back = Back::new(KEEPS);
    let line = format!("\ncurrent = {}\n", back.first);
    assert!(!git(back.author.path(), &["show", "HEAD~1:assets.lock.toml"]).contains("current"));
    assert_eq!(git(back.author.path(), &["show", "HEAD:assets.lock.toml"]).matches(&line).count(), 1);
    back.shared.is_in_sync(&back.author);
    // Whoever pulls it has nothing to do.
    let older = back.older();
    pull(&older);
    back.shared.is_in_sync(&older);
    back.shared.is_in_sync(&back.shared.clone());
    // Again the newest.
    older.write(FILE, png(3));
    older.sync();
    assert!(!older.read("assets.lock.toml").contains("current"));
    push(&older, "the second picture again");
    git(back.author.path(), &["pull", "--quiet", "--ff-only", "origin", "main"]);
    back.shared.is_in_sync(&back.author);
    assert_eq!((given(&back.author), current(&back.author)), (back.second, vec![json!(back.second)]));
}

#[test]
fn where_the_file_is_absent_or_unreadable_the_asset_in_use_stays() {
    type Spoil = fn(&Project);
    let ways: [(&str, Spoil); 4] = [
        ("sparse", |machine| drop(git(machine.path(), &["sparse-checkout", "set", "--cone", "models"]))),
        ("no folder", |machine| std::fs::remove_dir_all(machine.file("ui")).unwrap()),
        ("empty", |machine| machine.write(FILE, "")),
        ("pointer", |machine| {
            machine.write(FILE, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
        }),
    ];
    let back = Back::new(ARCHIVES);
    assert!(back.is_archived(back.second));
    for (how, spoil) in ways {
        for (which, machine) in back.machines() {
            spoil(&machine);
            back.keeps_the_first(&machine, &format!("{how}, {which}"));
        }
    }
}

/// The commit that replaced the picture is reverted, and with it the lockfile.
#[test]
fn a_revert_of_the_last_picture_brings_the_one_before_back_everywhere() {
    let back = Back::new(KEEPS);
    let before = back.shared.clone_alone();
    before.sync();
    back.author.write(FILE, png(9));
    back.author.sync();
    let third = asset_id(&back.author, FILE);
    push(&back.author, "a third picture");
    let with_third = back.shared.clone_alone();
    with_third.sync();
    assert_eq!(asset_id(&with_third, FILE), third);
    git(back.author.path(), &["revert", "--no-edit", "HEAD"]);
    git(back.author.path(), &["push", "--quiet", "origin", "HEAD"]);
    for machine in [&before, &with_third] {
        git(machine.path(), &["pull", "--quiet", "--ff-only", "origin", "main"]);
    }
    for (which, machine) in [("fresh", &back.shared.clone_alone()), ("older", &before), ("newer", &with_third)] {
        machine.write(FILE, "");
        back.keeps_the_first(machine, which);
    }
    back.author.sync();
    assert_eq!(given(&back.author), back.first);
}

#[test]
fn a_replacement_that_is_refused_or_rejected_leaves_the_asset_in_use() {
    let back = Back::new(ARCHIVES);
    let control = back.shared.remote.control();
    let refused = FaultAction::Reply(ScriptedReply {
        message: "InvalidImage".to_owned(),
        ..ScriptedReply::new(400, BodyShape::Service)
    });
    control.add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, refused)]).unwrap();
    for (which, machine) in back.machines() {
        machine.write(FILE, png(7));
        let (_, plan) = machine.json(&["plan"]);
        let replaced: Vec<&Value> =
            plan["actions"].as_array().unwrap().iter().map(|action| &action["asset_id"]).collect();
        assert_eq!(replaced, [&json!(back.first)], "{which}: {plan:#}");
        back.keeps_the_first(&machine, &format!("refused, {which}"));
    }
    control.clear_faults();
    control.moderate(ModerationRule {
        content_hash: None,
        name: None,
        asset_id: None,
        verdicts: vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }],
        fail_operation: false,
    });
    let machines = back.machines();
    let all = machines.iter().map(|(which, machine)| (*which, machine)).chain([("which did it", &back.author)]);
    for ((which, machine), shade) in all.zip(20..) {
        machine.write(FILE, png(shade));
        machine.run(&["sync", "--once"]).expect(1);
        back.keeps_the_first(machine, &format!("rejected, {which}"));
    }
}

#[test]
fn the_archived_asset_that_a_late_rejection_gives_the_game_again_is_restored() {
    let back = Back::new(ARCHIVES);
    assert!(back.is_archived(back.second));
    back.shared.remote.control().moderate(ModerationRule {
        content_hash: None,
        name: None,
        asset_id: Some(back.first),
        verdicts: vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }],
        fail_operation: false,
    });
    let refused = json!({"kind": "reply", "status": 400, "body": r#"{"code":"INVALID_ARGUMENT","message":"no"}"#});
    let rule = serde_json::from_value(json!({"match": {"endpoint": "restore_asset"}, "action": refused})).unwrap();
    back.shared.remote.control().add_faults(vec![rule]).unwrap();
    let restores = || back.shared.remote.requests(ApiEndpoint::RestoreAsset);
    let before = restores();
    // One run hears of it, and one that plans anew restores it. Roblox is asked once.
    (0..4).for_each(|_| drop(back.author.run(&["sync", "--once", "--refresh"]).expect(1)));
    assert_eq!(restores() - before, 1);
    assert!(back.is_archived(back.second));
    back.shared.remote.control().clear_faults();
    back.author.run(&["retry", FILE]).expect(0);
    back.author.run(&["sync", "--once", "--refresh"]).expect(1);
    assert_eq!((given(&back.author), back.is_archived(back.second)), (back.second, false));
    let (_, plan) = back.author.json(&["plan"]);
    assert_eq!(plan["summary"], json!({ "hold": 1 }), "{plan:#}");
}

#[test]
fn of_a_removed_picture_the_asset_in_use_leaves_by_the_policy_of_removed_ones() {
    for (policy, archived) in [(ARCHIVES, true), (KEEPS_REMOVED, false)] {
        let back = Back::new(policy);
        let machines = back.machines();
        git(back.author.path(), &["rm", "--quiet", FILE]);
        push(&back.author, "no picture");
        for (which, machine) in machines {
            pull(&machine);
            machine.run(&["sync", "--once"]).expect(0);
            assert_eq!(back.is_archived(back.first), archived, "{which}");
        }
    }
}

/// Each branch has a picture of its own; a person takes one, and until then none is archived.
#[test]
fn branches_that_both_changed_the_picture_archive_none_where_the_file_is_absent() {
    let back = Back::new(ARCHIVES);
    let (one, other) = (back.shared.clone(), back.shared.clone());
    let driver = format!("'{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
    git(other.path(), &["config", "merge.macadam.driver", &driver]);
    std::fs::write(other.file(".git/info/attributes"), "assets.lock.toml merge=macadam\n").unwrap();
    one.write(FILE, png(30));
    one.sync();
    push(&one, "one picture");
    other.write(FILE, png(31));
    other.sync();
    git(other.path(), &["add", "--all"]);
    git(other.path(), &["commit", "--quiet", "--message", "another picture"]);
    let made = [asset_id(&one, FILE), asset_id(&other, FILE)];
    git(other.path(), &["fetch", "--quiet"]);
    let merge = other.try_git(&["merge", "--no-edit", "origin/main"]).stdout;
    assert!(merge.contains(&format!("in {FILE}")) && !merge.contains("in assets.lock.toml"), "{merge}");
    git(other.path(), &["checkout", "--quiet", "--theirs", FILE, "ids.json"]);
    push(&other, "merged");
    let absent = back.shared.clone_alone();
    std::fs::remove_dir_all(absent.file("ui")).unwrap();
    absent.run(&["sync", "--once"]).expect(0);
    assert!(made.iter().all(|asset_id| !back.is_archived(*asset_id)), "{}", absent.read("assets.lock.toml"));
    // With the file it is decided.
    let whole = back.shared.clone_alone();
    whole.sync();
    assert_eq!(made.map(|asset_id| back.is_archived(asset_id)), [false, true]);
    assert_eq!(given(&whole), made[0]);
}
