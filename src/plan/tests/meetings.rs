//! Rules that meet.

use super::*;

fn model() -> KnownBuilder {
    let known =
        KnownBuilder::default().revision("b.fbx", 11, 1, 1).revision("b.fbx", 11, 2, 2).revision("b.fbx", 11, 3, 3);
    known.points_to("b.fbx", 11).locked("b.fbx")
}

fn at_once(desired: Desired) -> Desired {
    with_policy(archiving(desired), |policy| policy.archive_after = Duration::ZERO)
}

#[test]
fn a_pinned_asset_moves_with_its_pin() {
    let known = || model().rolled_back("b.fbx", 11, 1, 1, 3);
    let waits =
        "note sword: it is pinned to revision 1, and its file has other content; `macadam unpin sword` goes back to it";
    let moved = "move sword: it was `b.fbx` before: both have the same file";
    check_desired(
        &desired_as(vec![called("sword", pinned(want("b.fbx", 3), 1))]),
        known(),
        &format!("{moved}\n{waits}"),
    );
    // Moved, and pinned to another revision.
    check_desired(
        &desired_as(vec![called("sword", pinned(want("b.fbx", 3), 2))]),
        known(),
        &format!(
            "{moved}\nrollback sword 11: it is pinned to revision 2, and revision 1 is current\n{}",
            waits.replace("revision 1", "revision 2")
        ),
    );
    // By its bytes: those that it is pinned to, or those that wait.
    check(
        vec![pinned(want("c.fbx", 1), 1)],
        known(),
        "move c.fbx: it was `b.fbx` before: both have the same pinned revision",
    );
}

#[test]
fn a_moved_asset_whose_icon_is_replaced() {
    let known = model().asked_of(&with_icon(want("b.fbx", 3), Some("i.png")), &[("i.png", 20)]);
    let known = known.revision("i.png", 20, 1, 5).points_to("i.png", 20).locked("i.png");
    check_desired(
        &desired_as(vec![
            called("sword", with_icon(want("b.fbx", 3), Some("i.png"))),
            called("i.png", want("i.png", 6)),
        ]),
        known,
        "replace i.png 20: the file changed; Roblox can't update an Image, so it gets a new asset ID
         move sword: it was `b.fbx` before: both have the same file
         update_metadata sword 11: icon changed",
    );
}

#[test]
fn an_icon_that_moved_is_the_same_icon() {
    let known = model().asked_of(&with_icon(want("b.fbx", 3), Some("i.png")), &[("i.png", 20)]);
    let known = known.revision("i.png", 20, 1, 5).points_to("i.png", 20).locked("i.png");
    check(
        vec![with_icon(want("b.fbx", 3), Some("j.png")), want("j.png", 5)],
        known,
        "move j.png: it was `i.png` before: both have the same bytes",
    );
}

#[test]
fn a_shared_one_that_is_removed_leaves_the_other_its_asset() {
    let known = || {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).locked("a.png");
        known.sharing("b.png", 10, 1).locked("b.png")
    };
    let left = |path: &str| format!("note {path}: it is no longer in the manifest");
    check_desired(&at_once(desired(vec![want("b.png", 1)])), known(), &left("a.png"));
    check_desired(&at_once(desired(vec![want("a.png", 1)])), known(), &left("b.png"));
    let both = format!("archive a.png 10: it is no longer in the manifest\n{}\n{}", left("a.png"), left("b.png"));
    check_desired(&at_once(desired(vec![])), known(), &both);
    // The one that stays says something else of the asset now: it owns it, and doesn't split.
    check_desired(
        &at_once(desired(vec![named(want("b.png", 1), "B")])),
        known(),
        &format!("update_metadata b.png 10: display_name changed\n{}", left("a.png")),
    );
}

#[test]
fn a_rejected_asset_whose_file_reverts_uses_its_earlier_asset() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 2, 2).points_to("a.png", 20);
    let known = known.state("a.png", 20, 2, RevisionState::Rejected);
    check(vec![want("a.png", 1)], known, "replace a.png 10: the file is again the one of asset 10");
    let known = model().state("b.fbx", 11, 3, RevisionState::Rejected);
    check(vec![want("b.fbx", 2)], known, "update_content b.fbx 11: the file changed");
}

#[test]
fn a_branch_switch_under_a_pin() {
    // The other branch has no pin, and the file that was waiting.
    let known = || model().rolled_back("b.fbx", 11, 1, 1, 3);
    check(
        vec![want("b.fbx", 3)],
        known(),
        "rollback b.fbx 11: it is no longer pinned, and revision 3 has the file's bytes",
    );
    // The other branch doesn't have the address at all: its lockfile doesn't either.
    let elsewhere = known().tell(Change::SetInLockfile { address: address("b.fbx"), in_lockfile: InLockfile::No });
    check_desired(&at_once(desired(vec![])), elsewhere, "");
    // And back, with an older lockfile: what the state knows of the rollback counts.
    let waits =
        "note b.fbx: it is pinned to revision 1, and its file has other content; `macadam unpin b.fbx` goes back to it";
    check(vec![pinned(want("b.fbx", 3), 1)], known(), waits);
}

#[test]
fn a_pinned_asset_is_healed_and_restored() {
    let wanted = || repair(desired(vec![named(pinned(want("b.fbx", 1), 1), "Sword")]));
    let known = || {
        let known = model().rolled_back("b.fbx", 11, 1, 1, 3).asked(&named(want("b.fbx", 1), "Sword"));
        known.seen(11, |seen| {
            (seen.archived, seen.display_name, seen.revision) =
                (Some(true), Some("Axe".to_owned()), Revision::new(1).ok());
        })
    };
    check_desired(
        &wanted(),
        known(),
        "restore b.fbx 11: it was archived on Roblox, outside of Macadam
         update_metadata b.fbx 11: display_name changed, here or on Roblox, and is set as the manifest says",
    );
}

#[test]
fn the_asset_that_a_pin_left_is_not_archived_with_the_replaced_ones() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 2, 2).points_to("a.png", 10);
    let wanted = || at_once(desired(vec![pinned(want("a.png", 2), 10)]));
    let waits =
        "note a.png: it is pinned to revision 1, and its file has other content; `macadam unpin a.png` goes back to it";
    check_desired(&wanted(), known, &format!("archive a.png 20: another asset took its place\n{waits}"));
}

#[test]
fn an_address_that_shares_with_a_pinned_one_is_independent_of_the_pin() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
    let waits =
        "note a.png: it is pinned to revision 1, and its file has other content; `macadam unpin a.png` goes back to it";
    check(
        vec![pinned(want("a.png", 2), 10), want("b.png", 2)],
        known,
        &format!(
            "replace b.png 10: the file changed; Roblox can't update an Image, so it gets a new asset ID\n{waits}"
        ),
    );
}

#[test]
fn a_changed_file_and_a_changed_owner_and_a_pin_to_what_never_was() {
    let other = DesiredAsset { creator: creator(2), ..pinned(want("b.fbx", 9), 7) };
    check(vec![other], model(), "held b.fbx: its owner changed from user 1 to user 2");
}

#[test]
fn open_work_comes_before_a_pin_and_a_move() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let intent = Intent::UpdateContent { asset_id: id(11), content: hash(4), head: Revision::new(3).ok() };
    let under_way = |known: KnownBuilder, event: PhaseEvent| {
        let attempt = AttemptId(known.0.next_attempt);
        let known = known.tell(Change::Begin { attempt, address: address("b.fbx"), intent: intent.clone() });
        let known = known.tell(Change::Advance { attempt, event: PhaseEvent::HandOver });
        known.tell(Change::Advance { attempt, event })
    };
    let wait = "sent at 1970-01-01 00:00 UTC; Roblox is still processing it";
    check(vec![pinned(want("b.fbx", 4), 1)], under_way(model(), accepted.clone()), &format!("wait b.fbx: {wait}"));
    check(
        vec![want("b.fbx", 4)],
        under_way(model(), PhaseEvent::Doubt),
        "wait b.fbx: an earlier request got no clear answer, so Macadam checks what Roblox has",
    );
    check_desired(
        &desired_as(vec![called("sword", want("b.fbx", 4))]),
        under_way(model(), accepted.clone()),
        &format!("move sword: it was `b.fbx` before: both have the same file\nwait sword: {wait}"),
    );
    check_desired(
        &at_once(desired(vec![])),
        under_way(model(), accepted),
        &format!("wait b.fbx: {wait}\nnote b.fbx: it is no longer in the manifest"),
    );
}

/// A merge of two branches has the asset under both names.
#[test]
fn two_addresses_put_their_files_over_one_another() {
    let known = || KnownBuilder::default().revision("a.fbx", 11, 1, 1).points_to("a.fbx", 11);
    let both = known().revision("b.fbx", 11, 1, 1).points_to("b.fbx", 11).locked("b.fbx");
    check(
        vec![want("a.fbx", 2), want("b.fbx", 1)],
        both.locked("a.fbx"),
        "held a.fbx: `b.fbx` has the same asset
         held b.fbx: `a.fbx` has the same asset",
    );
}

/// The old asset's archiving counted as the end of what comes before the metadata, which could then
/// be sent to the asset that was being replaced.
#[test]
fn metadata_waits_until_the_asset_is_replaced() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 2, 2).points_to("a.png", 20);
    check_desired(
        &at_once(desired(vec![with_link(want("a.png", 3), Some("https://x.com/a"))])),
        known,
        "replace a.png 20: the file changed; Roblox can't update an Image, so it gets a new asset ID
         archive a.png 10: another asset took its place
         update_metadata a.png: the social_links.twitter is set after the upload",
    );
}
