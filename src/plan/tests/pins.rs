//! Addresses held at an earlier revision.

use super::*;

#[test]
fn a_pinned_address_is_left_alone() {
    let known = KnownBuilder::default().revision("b.fbx", 11, 1, 1);
    let pinned = DesiredAsset { pin: Some(Pin::Revision(Revision::new(1).unwrap())).into(), ..want("b.fbx", 2) };
    check(
        vec![pinned],
        known,
        "note b.fbx: it is pinned to revision 1, and its file has other content; `macadam unpin b.fbx` goes back to it",
    );
}

fn model() -> KnownBuilder {
    KnownBuilder::default()
        .revision("b.fbx", 11, 1, 1)
        .revision("b.fbx", 11, 2, 2)
        .revision("b.fbx", 11, 3, 3)
        .points_to("b.fbx", 11)
}

fn picture() -> KnownBuilder {
    KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 2, 2).points_to("a.png", 20)
}

const WAITS: &str =
    "note b.fbx: it is pinned to revision 1, and its file has other content; `macadam unpin b.fbx` goes back to it";

#[test]
fn a_pin_is_carried_out_once_however_a_rollback_works() {
    let wanted = || vec![pinned(want("b.fbx", 3), 1)];
    check(
        wanted(),
        model(),
        &format!("rollback b.fbx 11: it is pinned to revision 1, and revision 3 is current\n{WAITS}"),
    );
    // The head moved back, and reads show the old revision.
    let repointed = || model().rolled_back("b.fbx", 11, 1, 1, 3);
    check(wanted(), repointed(), WAITS);
    check(wanted(), repointed().seen(11, |seen| seen.revision = Revision::new(1).ok()), WAITS);
    // A new version has the old bytes, and is the newest.
    let renewed = || model().revision("b.fbx", 11, 4, 1).rolled_back("b.fbx", 11, 1, 4, 4);
    check(wanted(), renewed(), WAITS);
    check(wanted(), renewed().seen(11, |seen| seen.revision = Revision::new(4).ok()), WAITS);
    // A lockfile of before `newest` was written.
    let revision = |known: KnownBuilder| known.seen(11, |seen| seen.revision = Revision::new(3).ok());
    check(wanted(), revision(model().rolled_back("b.fbx", 11, 1, 1, 3)), WAITS);
}

#[test]
fn a_fresh_machine_does_not_roll_back_again() {
    let fresh = |known: KnownBuilder| {
        let mut known = known;
        known.0.assets.get_mut(&address("b.fbx")).unwrap().points_to = None;
        known.0.seen.clear();
        known
    };
    check(vec![pinned(want("b.fbx", 3), 1)], fresh(model().rolled_back("b.fbx", 11, 1, 1, 3)), WAITS);
    let renewed = model().revision("b.fbx", 11, 4, 1).rolled_back("b.fbx", 11, 1, 4, 4);
    check(vec![pinned(want("b.fbx", 3), 1)], fresh(renewed), WAITS);
}

#[test]
fn another_pin_is_carried_out_from_where_the_last_one_led() {
    let second =
        "note b.fbx: it is pinned to revision 2, and its file has other content; `macadam unpin b.fbx` goes back to it";
    check(
        vec![pinned(want("b.fbx", 3), 2)],
        model().rolled_back("b.fbx", 11, 1, 1, 3),
        &format!("rollback b.fbx 11: it is pinned to revision 2, and revision 1 is current\n{second}"),
    );
}

#[test]
fn unpinned_the_file_is_what_counts_and_is_not_uploaded_where_a_revision_has_it() {
    let wanted = |content: u8| vec![want("b.fbx", content)];
    let back = "rollback b.fbx 11: it is no longer pinned, and revision 3 has the file's bytes";
    let repointed = || model().rolled_back("b.fbx", 11, 1, 1, 3);
    let renewed = || model().revision("b.fbx", 11, 4, 1).rolled_back("b.fbx", 11, 1, 4, 4);
    check(wanted(3), repointed(), back);
    check(wanted(3), renewed(), back);
    // The file is what was pinned.
    check(wanted(1), repointed(), "");
    check(wanted(1), renewed(), "");
    // The file was changed while it waited.
    let update = "update_content b.fbx 11: the file changed";
    check(wanted(9), repointed(), update);
    check(wanted(9), renewed(), update);
}

#[test]
fn a_pin_to_an_unusable_revision_is_refused_with_the_usable_ones() {
    let check_hint = |wanted: DesiredAsset, known: KnownBuilder, reason: &str, hint: &str| {
        let plan = plan(&desired(vec![wanted]), &known.0, NOW);
        let held: Vec<_> = plan.held.iter().map(|h| (h.reason.to_string(), h.hint().unwrap())).collect();
        assert_eq!((held, plan.steps), (vec![(reason.to_owned(), hint.to_owned())], vec![]));
    };
    check_hint(
        pinned(want("b.fbx", 3), 9),
        model(),
        "it is pinned to revision 9, which it never had",
        "it has 1, 2, 3",
    );
    let rejected = model().state("b.fbx", 11, 2, RevisionState::Rejected);
    check_hint(
        pinned(want("b.fbx", 3), 2),
        rejected,
        "it is pinned to revision 2, which moderation rejected",
        "it has 1, 3",
    );
    let list = "it has 1 (asset 10), 2 (asset 20)";
    check_hint(pinned(want("a.png", 2), 30), picture(), "it is pinned to asset 30, which it never had", list);
    let gone = picture().state("a.png", 10, 1, RevisionState::Gone);
    check_hint(
        pinned(want("a.png", 2), 10),
        gone,
        "it is pinned to asset 10, which Roblox no longer has",
        "it has 2 (asset 20)",
    );
    // The pin of another type's form.
    let wrong = DesiredAsset { pin: Some(Pin::Asset(id(11))).into(), ..want("b.fbx", 3) };
    check_hint(wrong, model(), "it is pinned to asset 11, which it never had", "it has 1, 2, 3");
    check_hint(
        pinned(want("c.fbx", 3), 1),
        model(),
        "it is pinned to revision 1, but has no revisions yet",
        "`macadam unpin c.fbx`",
    );
}

#[test]
fn a_replaced_type_is_pinned_by_pointing_back() {
    let waits =
        "note a.png: it is pinned to revision 1, and its file has other content; `macadam unpin a.png` goes back to it";
    let back = format!("rollback a.png 10: it is pinned to asset 10\n{waits}");
    check(vec![pinned(want("a.png", 2), 10)], picture(), &back);
    check(vec![pinned(want("a.png", 2), 10)], picture().points_to("a.png", 10), waits);
    check(vec![pinned(want("a.png", 9), 10)], picture().points_to("a.png", 10), waits);
    check(vec![pinned(want("a.png", 1), 10)], picture().points_to("a.png", 10), "");
    // Unpinned.
    check(
        vec![want("a.png", 2)],
        picture().points_to("a.png", 10),
        "replace a.png 20: the file is again the one of asset 20",
    );
}

#[test]
fn a_pinned_address_needs_no_file() {
    check(vec![missing(pinned(want("b.fbx", 3), 3))], model(), "");
    check(
        vec![missing(pinned(want("b.fbx", 3), 1))],
        model(),
        "rollback b.fbx 11: it is pinned to revision 1, and revision 3 is current",
    );
    check(vec![missing(pinned(want("a.png", 2), 20))], picture(), "");
}

#[test]
fn metadata_goes_on_while_content_is_pinned() {
    let known = || model().rolled_back("b.fbx", 11, 1, 1, 3);
    check(
        vec![named(pinned(want("b.fbx", 3), 1), "Sword")],
        known(),
        &format!("update_metadata b.fbx 11: display_name changed\n{WAITS}"),
    );
}

#[test]
fn a_newer_revision_than_the_pinned_one_is_reported_and_not_undone() {
    let made = "revision 4 of asset 11 was made on Roblox, outside of Macadam";
    let wanted = || vec![pinned(want("b.fbx", 3), 1)];
    // Carried out before: somebody went on from there.
    let known = model().rolled_back("b.fbx", 11, 1, 1, 3).elsewhere("b.fbx", 11, 4);
    check(wanted(), known, &format!("drift b.fbx: {}\n{WAITS}", made.replace(" of asset 11", "")));
    check(wanted(), model().elsewhere("b.fbx", 11, 4), &format!("held b.fbx: {made}"));
    // The pin is to what somebody else made.
    check(
        vec![pinned(want("b.fbx", 3), 4)],
        model().elsewhere("b.fbx", 11, 4),
        "note b.fbx: it is pinned to revision 4, and its file has other content; `macadam unpin b.fbx` goes back to it",
    );
}

#[test]
fn a_refused_rollback_waits_for_another_pin() {
    let input_digest = |want: &DesiredAsset| input_digest::of(want, &want.metadata.digests()).asset;
    let wanted = pinned(want("b.fbx", 3), 1);
    let known = || model().refused("b.fbx", input_digest(&wanted), RefusalKind::Other);
    check(vec![wanted.clone()], known(), "failed b.fbx: Roblox refused the new metadata: Moderated");
    let other = "rollback b.fbx 11: it is pinned to revision 2, and revision 3 is current
        note b.fbx: it is pinned to revision 2, and its file has other content; `macadam unpin b.fbx` goes back to it";
    check(vec![pinned(want("b.fbx", 3), 2)], known(), other);
}

/// Roblox refuses the rollback of an archived asset, and the address was called failed.
#[test]
fn a_pin_to_an_asset_archived_by_hand_waits_for_its_restoration() {
    let known = KnownBuilder::default().revision("m.fbx", 10, 1, 1).revision("m.fbx", 10, 2, 2).points_to("m.fbx", 10);
    let known = known
        .retirements("m.fbx", 10, RetireReason::ByHand, NOW, Some(NOW))
        .seen(10, |seen| seen.archived = Some(true));
    let plan = plan(&desired(vec![pinned(want("m.fbx", 2), 1)]), &known.0, NOW);
    assert_eq!(text(&plan), "held m.fbx: it is pinned to revision 1, but asset 10 is archived");
    assert_eq!(hints(&plan), ["m.fbx: `macadam restore m.fbx`"]);
}
