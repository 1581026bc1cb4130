//! One asset for equal bytes.

use super::*;
use crate::model::phase::IntentKind;

#[test]
fn equal_bytes_of_an_immutable_type_are_uploaded_once() {
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        KnownBuilder::default(),
        "create a.png: not on Roblox yet\ncreate b.png: not on Roblox yet; it shares the upload of `a.png`, which has the same bytes",
    );
    check(
        vec![want("a.png", 1), named(want("b.png", 1), "B")],
        KnownBuilder::default(),
        "create a.png: not on Roblox yet; it shares the upload of `b.png`, which has the same bytes\ncreate b.png: not on Roblox yet",
    );
    let two_names = vec![named(want("a.png", 1), "A"), named(want("b.png", 1), "B")];
    check(two_names, KnownBuilder::default(), "create a.png: not on Roblox yet\ncreate b.png: not on Roblox yet");
    check(
        vec![want("b.png", 1)],
        KnownBuilder::default().revision("a.png", 10, 1, 1),
        "create b.png 10: not on Roblox yet; it shares the asset of `a.png`, which has the same bytes",
    );
    check(
        vec![want("a.fbx", 1), want("b.fbx", 1)],
        KnownBuilder::default(),
        "create a.fbx: not on Roblox yet\ncreate b.fbx: not on Roblox yet",
    );
    let other = DesiredAsset { creator: creator(2), ..want("b.png", 1) };
    check(
        vec![want("a.png", 1), other],
        KnownBuilder::default(),
        "create a.png: not on Roblox yet\ncreate b.png: not on Roblox yet",
    );
}

#[test]
fn a_sharing_address_sends_no_metadata_until_it_differs() {
    let shared = || {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
        known
            .fact("b.png", 10, 1, |fact| {
                fact.content = Some(hash(1));
                fact.shared = true;
            })
            .points_to("b.png", 10)
    };
    check(vec![want("a.png", 1), want("b.png", 1)], shared(), "");
    check(
        vec![want("a.png", 1), named(want("b.png", 1), "B")],
        shared(),
        "replace b.png 10: it shares an asset but has other metadata, so it gets an asset of its own",
    );
    check(vec![named(want("b.png", 1), "B")], shared(), "update_metadata b.png 10: display_name changed");
}

#[test]
fn a_sharing_address_waits_for_the_upload_in_progress() {
    let wanted = desired(vec![want("a.png", 1), want("b.png", 1)]);
    let check = |known: KnownBuilder, path: &str, expected: &str, owner: &str| {
        let options = PlanOptions { in_progress: [address(path)].into(), ..PlanOptions::default() };
        let plan = super::super::plan(&wanted, &known.0, &options, NOW);
        assert_eq!(text(&plan), expected);
        assert_eq!(plan.steps[0].after, [address(owner)]);
    };
    // Under way or not yet begun, and whichever of the two it is.
    let sent = KnownBuilder::default().create_under_way("a.png", 1, false, &[PhaseEvent::HandOver]).locked("a.png");
    let waits = "create b.png: not on Roblox yet; it shares the upload of `a.png`, which has the same bytes";
    check(sent, "a.png", waits, "a.png");
    check(KnownBuilder::default(), "a.png", waits, "a.png");
    let other = "create a.png: not on Roblox yet; it shares the upload of `b.png`, which has the same bytes";
    check(KnownBuilder::default(), "b.png", other, "b.png");
}

#[test]
fn an_address_that_waits_for_a_held_upload_is_held() {
    let mut known = KnownBuilder::default().enrolled("a.png");
    let refused = Blocked::Refused {
        input_digest: metadata_digest::input_digest(Some(hash(1)), &FieldDigests::new()),
        action: IntentKind::Create,
        refusal_kind: RefusalKind::Other,
        message: "InvalidImage".to_owned(),
        at: NOW,
    };
    known = known.tell(Change::SetBlocked { address: address("a.png"), blocked: Some(refused) });
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known,
        "failed a.png: Roblox refused the upload: InvalidImage
         held b.png: it shares the upload of `a.png`, which is on hold",
    );
}

#[test]
fn an_address_that_can_not_upload_holds_no_other_with_the_same_bytes() {
    let known = || KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
    let new = "create b.png: not on Roblox yet";
    check(
        vec![DesiredAsset { pin: Some(Pin::Asset(id(10))).into(), ..want("a.png", 2) }, want("b.png", 2)],
        known(),
        &format!(
            "{new}\nnote a.png: it is pinned to revision 1, and its file has other content; `macadam unpin a.png` goes back to it"
        ),
    );
    let plan = plan(
        &desired(vec![DesiredAsset { prevent_replace: true, ..want("a.png", 2) }, want("b.png", 2)]),
        &known().0,
        NOW,
    );
    assert_eq!(plan.steps.iter().map(|step| step.address.as_str()).collect::<Vec<_>>(), ["b.png"]);
    check(
        vec![
            DesiredAsset { creator: creator(2), ..want("a.png", 2) },
            DesiredAsset { creator: creator(2), ..want("b.png", 2) },
        ],
        known(),
        &format!("{new}\nheld a.png: its owner changed from user 1 to user 2"),
    );
}

#[test]
fn different_metadata_splits_a_shared_asset_and_equal_metadata_does_not() {
    let shared = |asked: &DesiredAsset| {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).asked(asked);
        known.sharing("b.png", 10, 1)
    };
    let a = named(want("a.png", 1), "A");
    check(vec![a.clone(), named(want("b.png", 1), "A")], shared(&a), "");
    let splits = "replace b.png 10: it shares an asset but has other metadata, so it gets an asset of its own";
    check(vec![a.clone(), named(want("b.png", 1), "B")], shared(&a), splits);
    check(vec![a.clone(), described(want("b.png", 1), "D")], shared(&a), splits);
    let keeps = DesiredAsset { prevent_replace: true, ..named(want("b.png", 1), "B") };
    let held = "held b.png: it shares an asset but has other metadata, and `prevent_replace` forbids a new asset ID";
    check(vec![a.clone(), keeps], shared(&a), held);
    // The owner changes what it says: the sharer says nothing of it.
    let renamed = "update_metadata a.png 10: display_name changed";
    check(vec![named(want("a.png", 1), "C"), want("b.png", 1)], shared(&a), renamed);
}

#[test]
fn other_privacy_is_another_asset() {
    let open = |want: DesiredAsset| DesiredAsset { privacy: Privacy::OpenUse, ..want };
    check(
        vec![want("a.png", 1), open(want("b.png", 1)), open(want("c.png", 1))],
        KnownBuilder::default(),
        "create a.png: not on Roblox yet
         create b.png: not on Roblox yet
         create c.png: not on Roblox yet; it shares the upload of `b.png`, which has the same bytes",
    );
}

#[test]
fn the_owner_may_move_on_and_the_asset_stays_with_the_sharer() {
    let known = || KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
    let at_once = |desired: Desired| with_policy(archiving(desired), |policy| policy.archive_after = Duration::ZERO);
    check_desired(
        &at_once(desired(vec![want("a.png", 2), want("b.png", 1)])),
        known(),
        "replace a.png 10: the file changed; Roblox can't update an Image, so it gets a new asset ID",
    );
    check_desired(&at_once(desired(vec![want("b.png", 1)])), known().left("a.png"), "");
    check_desired(&at_once(desired(vec![want("a.png", 1)])), known().left("b.png"), "");
}

/// On a machine with only the lockfile an address without a file shows its newest asset, and so the
/// one that uses that split off.
#[test]
fn an_address_without_a_file_owns_no_shared_upload() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 2, 2).sharing("b.png", 20, 2);
    check(
        vec![missing(want("a.png", 1)), named(want("b.png", 2), "B")],
        known,
        "update_metadata b.png 20: display_name changed\nfailed a.png: no such file",
    );
}

#[test]
fn what_several_addresses_of_a_model_know_is_learned_once() {
    let known = KnownBuilder::default().revision("c.fbx", 10, 1, 1);
    let known = ["a.fbx", "b.fbx"]
        .into_iter()
        .fold(known, |known, path| known.revision(path, 10, 1, 1).revision(path, 10, 2, 2));
    let plan = plan(&desired(vec![want("c.fbx", 2)]), &known.0, NOW);
    let learned = plan.marks.iter().filter(|mark| matches!(mark, Change::AddRevision { .. }));
    assert_eq!(learned.count(), 1, "{:?}", plan.marks);
}
