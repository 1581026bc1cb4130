//! What is new, changed or unusable.

use super::*;

#[test]
fn a_new_asset_is_created_and_a_known_one_is_left_alone() {
    check(
        vec![want("a.png", 1), want("b.fbx", 2)],
        KnownBuilder::default(),
        "create a.png: not on Roblox yet\ncreate b.fbx: not on Roblox yet",
    );
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("b.fbx", 11, 1, 2);
    check(vec![want("a.png", 1), want("b.fbx", 2)], known, "");
}

#[test]
fn changed_content_is_updated_or_replaced_by_type() {
    let known =
        || KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).revision("b.fbx", 11, 1, 2);
    check(
        vec![want("a.png", 3), want("b.fbx", 4)],
        known(),
        "replace a.png 10: the file changed; Roblox can't update an Image, so it gets a new asset ID
         update_content b.fbx 11: the file changed",
    );
    let held = DesiredAsset { prevent_replace: true, ..want("a.png", 3) };
    check(
        vec![held],
        known(),
        "held a.png: the file changed and Roblox can't update an Image, and `prevent_replace` forbids a new asset ID",
    );
}

#[test]
fn an_earlier_content_of_an_immutable_type_is_pointed_to_not_uploaded() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    check(vec![want("a.png", 1)], known, "replace a.png 10: the file is again the one of asset 10");
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2);
    check(vec![want("a.png", 1)], known, "");
}

#[test]
fn an_earlier_content_of_a_model_is_uploaded_again() {
    let known = KnownBuilder::default().revision("b.fbx", 11, 1, 1).revision("b.fbx", 11, 2, 2);
    check(vec![want("b.fbx", 1)], known, "update_content b.fbx 11: the file changed");
}

#[test]
fn a_refusal_ends_with_new_content_and_a_retry_keeps_its_time() {
    let input_digest = metadata_digest::input_digest(Some(hash(1)), &FieldDigests::new());
    let later: Timestamp = "1970-01-01T00:01:00Z".parse().unwrap();
    let blocked = Blocked::Retrying { input_digest, failures: 2, doubts: 0, next_at: later, message: "502".to_owned() };
    let known = || {
        let rest = Change::SetBlocked { address: address("a.png"), blocked: Some(blocked.clone()) };
        KnownBuilder::default().enrolled("a.png").tell(rest)
    };
    let times = |content: u8| {
        let plan = plan(&desired(vec![want("a.png", content)]), &known().0, NOW);
        plan.steps.iter().map(|step| step.not_before).collect::<Vec<_>>()
    };
    assert_eq!(times(1), [Some(later)]);
    assert_eq!(times(2), [None], "new content starts anew");
}

/// `recreate --creator` waits for what came of the upload, so no message may lead to it first.
#[test]
fn a_changed_owner_after_an_upload_without_an_answer_waits_for_what_came_of_it() {
    let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
    let known = KnownBuilder::default()
        .revision("a.png", 10, 1, 1)
        .create_under_way("a.png", 2, false, &doubt)
        .points_to("a.png", 10);
    let want = DesiredAsset { creator: creator(2), ..want("a.png", 2) };
    let plan = plan(&desired(vec![want]), &known.0, NOW);
    let lost =
        "held a.png: its upload of 1970-01-01 00:00 UTC got no clear answer, so it is unknown whether Roblox has it";
    assert_eq!(text(&plan), lost);
    let hints = hints(&plan).join("\n");
    assert!(hints.contains("of user 1") && hints.contains("`macadam resolve a.png --recreate`"), "{hints}");
}

#[test]
fn an_unusable_file_a_changed_owner_and_a_changed_type_are_held() {
    let broken = FileProblem {
        kind: crate::model::file::FileProblemKind::Missing,
        message: "no such file".to_owned(),
        hint: None,
    };
    let known = || KnownBuilder::default().revision("a.png", 10, 1, 1).revision("b.rbxm", 11, 1, 1);
    check(
        vec![
            DesiredAsset { content: Err(broken), ..want("a.png", 1) },
            DesiredAsset { creator: creator(2), ..want("b.rbxm", 2) },
        ],
        known(),
        "failed a.png: no such file\nheld b.rbxm: its owner changed from user 1 to user 2",
    );
    check(
        vec![DesiredAsset { asset_type: Some(AssetType::Animation), ..want("b.rbxm", 2) }],
        KnownBuilder::default().revision("b.rbxm", 11, 1, 1),
        "held b.rbxm: its type changed from Model to Animation",
    );
}

/// Another machine did what was refused here, or failed, and its lockfile came.
#[test]
fn what_another_machine_did_is_neither_refused_nor_failed_any_more() {
    let unblocks = |wanted: DesiredAsset, known: KnownBuilder, blocked: &str| {
        let path = wanted.path.as_str().to_owned();
        let plan = plan(&desired(vec![wanted]), &known.0, NOW);
        let ended = Change::SetBlocked { address: address(&path), blocked: None };
        assert_eq!((text(&plan).as_str(), plan.marks.contains(&ended)), (blocked, blocked.is_empty()), "{path}");
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    };
    let digests = |want: &DesiredAsset| input_digest::of(want, &want.metadata.digests());
    let refused = |known: KnownBuilder, action: IntentKind, want: &DesiredAsset| {
        known.refused_as(action, want.path.as_str(), digests(want).asset, RefusalKind::Other)
    };
    let model = |content| KnownBuilder::default().revision("m.fbx", 10, 1, 1).revision("m.fbx", 10, 2, content);
    let update = |content| refused(model(content).points_to("m.fbx", 10), IntentKind::UpdateContent, &want("m.fbx", 3));
    unblocks(want("m.fbx", 3), update(3), "");
    unblocks(want("m.fbx", 3), update(2), "failed m.fbx: Roblox refused the new revision: Moderated");
    let picture = || KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
    unblocks(want("a.png", 1), refused(picture(), IntentKind::Create, &want("a.png", 1)), "");
    // A restoration that was refused is no upload.
    let restore = refused(picture(), IntentKind::Restore, &want("a.png", 1));
    unblocks(want("a.png", 1), restore, "failed a.png: Roblox refused to restore it: Moderated");
    let restored = |archived| {
        let refused = refused(picture(), IntentKind::Restore, &want("a.png", 1));
        refused.seen(10, |seen| seen.archived = Some(archived))
    };
    unblocks(want("a.png", 1), restored(true), "failed a.png: Roblox refused to restore it: Moderated");
    unblocks(want("a.png", 1), restored(false), "");
    let to_one = pinned(want("m.fbx", 2), 1);
    let rollback = |known: KnownBuilder| refused(known, IntentKind::Rollback, &to_one);
    unblocks(to_one.clone(), rollback(model(2)), "failed m.fbx: Roblox refused the rollback: Moderated");
    let there = rollback(model(2).rolled_back("m.fbx", 10, 1, 1, 2));
    let plan_there = plan(&desired(vec![to_one.clone()]), &there.0, NOW);
    assert!(plan_there.held.is_empty(), "{}", text(&plan_there));
    let sword = named(want("m.fbx", 2), "Sword");
    let metadata = |known: KnownBuilder| known.refused("m.fbx", digests(&sword).metadata, RefusalKind::Other);
    let known = || model(2).points_to("m.fbx", 10);
    unblocks(sword.clone(), metadata(known()), "failed m.fbx: Roblox refused the new metadata: Moderated");
    unblocks(sword.clone(), metadata(known().asked(&sword)), "");
    // A refused repair is asked for as well.
    let repaired = metadata(known().asked(&sword)).seen(10, |seen| seen.display_name = Some("Axe".to_owned()));
    unblocks(sword.clone(), repaired, "failed m.fbx: Roblox refused the new metadata: Moderated");
    let failed = |known: KnownBuilder, want: &DesiredAsset| {
        let (input_digest, message) = (digests(want).asset, "Unavailable".to_owned());
        let next_at = NOW + SignedDuration::from_hours(1);
        let blocked = Blocked::Retrying { input_digest, failures: 3, doubts: 0, next_at, message };
        known.tell(Change::SetBlocked { address: address(want.path.as_str()), blocked: Some(blocked) })
    };
    unblocks(want("m.fbx", 2), failed(known(), &want("m.fbx", 2)), "");
    let waits = plan(&desired(vec![want("m.fbx", 3)]), &failed(known(), &want("m.fbx", 3)).0, NOW);
    assert!(waits.steps.iter().all(|step| step.not_before.is_some()) && !waits.steps.is_empty(), "{}", text(&waits));
    assert!(!waits.marks.iter().any(|mark| matches!(mark, Change::SetBlocked { .. })), "{:?}", waits.marks);
}
