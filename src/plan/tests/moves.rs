//! Addresses that take over the assets of others that left.

use super::*;

fn left(path: &str, asset: u64, content: u8) -> KnownBuilder {
    KnownBuilder::default().revision(path, asset, 1, content).points_to(path, asset).locked(path)
}

fn also_left(known: KnownBuilder, path: &str, asset: u64, content: u8) -> KnownBuilder {
    known.revision(path, asset, 1, content).points_to(path, asset).locked(path)
}

#[test]
fn one_file_under_another_name_is_the_same_asset_whatever_its_bytes() {
    let known = || left("ui/a.png", 10, 1);
    check_desired(
        &desired_as(vec![called("close", want("ui/a.png", 1))]),
        known(),
        "move close: it was `ui/a.png` before: both have the same file",
    );
    // A file found by a glob was promoted to an entry of its own, and edited in the same commit.
    check_desired(
        &desired_as(vec![called("close", want("ui/a.png", 2))]),
        known(),
        "move close: it was `ui/a.png` before: both have the same file
         replace close 10: the file changed; Roblox can't update an Image, so it gets a new asset ID",
    );
    check_desired(
        &desired_as(vec![called("sword", named(want("m.fbx", 2), "Sword"))]),
        left("m.fbx", 11, 1),
        "move sword: it was `m.fbx` before: both have the same file
         update_content sword 11: the file changed
         update_metadata sword 11: display_name changed",
    );
    check_desired(
        &desired_as(vec![called("close", missing(want("ui/a.png", 1)))]),
        known(),
        "move close: it was `ui/a.png` before: both have the same file
         failed close: no such file",
    );
}

#[test]
fn the_same_bytes_elsewhere_are_the_same_asset() {
    let moved = "move b.png: it was `a.png` before: both have the same bytes";
    check(vec![want("b.png", 1)], left("a.png", 10, 1), moved);
    check(vec![want("z.fbx", 1)], left("m.fbx", 10, 1), "move z.fbx: it was `m.fbx` before: both have the same bytes");
    // The order of names plays no part.
    check(vec![want("a.png", 1)], left("b.png", 10, 1), "move a.png: it was `b.png` before: both have the same bytes");
    // It had several contents: what it was when it left, and what it was before.
    let known = || left("a.png", 10, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    check(vec![want("b.png", 2)], known(), moved);
    let back = format!("{moved}\nreplace b.png 10: the file is again the one of asset 10");
    check(vec![want("b.png", 1)], known(), &back);
    let known = left("m.fbx", 10, 1).revision("m.fbx", 10, 2, 2);
    let updated = "move n.fbx: it was `m.fbx` before: both have the same bytes
         update_content n.fbx 10: the file changed";
    check(vec![want("n.fbx", 1)], known, updated);
}

#[test]
fn the_last_content_of_an_address_outweighs_earlier_contents() {
    let known = left("a.png", 10, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    let moved = "move c.png: it was `b.png` before: both have the same bytes\nnote a.png: it is no longer in the manifest; its asset stays on Roblox";
    check(vec![want("c.png", 1)], also_left(known, "b.png", 12, 1), moved);
    // Who left just now comes before who left long ago.
    let known = left("a.png", 10, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    let known = also_left(known, "b.png", 12, 1).left("b.png");
    let moved = "move c.png: it was `a.png` before: both have the same bytes
         replace c.png 10: the file is again the one of asset 10";
    check(vec![want("c.png", 1)], known, moved);
}

#[test]
fn a_pin_that_is_renamed_in_the_same_change_tells_which_asset_it_is() {
    // Unknown bytes, under another name.
    let model = || left("a.fbx", 10, 1).revision("a.fbx", 10, 2, 2);
    let waits = |name: &str| {
        format!(
            "note {name}: it is pinned to revision 1, and its file has other content; `macadam unpin {name}` goes back to it"
        )
    };
    let moved = "move b.fbx: it was `a.fbx` before: both have the same pinned revision";
    let carried_out = || model().rolled_back("a.fbx", 10, 1, 1, 2);
    check(vec![pinned(want("b.fbx", 9), 1)], carried_out(), &format!("{moved}\n{}", waits("b.fbx")));
    let rollback = "rollback b.fbx 10: it is pinned to revision 1, and revision 2 is current";
    check(vec![pinned(want("b.fbx", 9), 1)], model(), &format!("{moved}\n{rollback}\n{}", waits("b.fbx")));
    let picture = left("a.png", 10, 1).revision("a.png", 11, 2, 2).points_to("a.png", 10);
    check(
        vec![pinned(want("b.png", 9), 10)],
        picture,
        &format!("move b.png: it was `a.png` before: both have the same pinned revision\n{}", waits("b.png")),
    );
    // Of several Models the one that was pinned there; where none was, a person says which.
    let two = || also_left(model(), "c.fbx", 20, 5);
    let known = two().rolled_back("a.fbx", 10, 1, 1, 2);
    let kept = "note c.fbx: it is no longer in the manifest; its asset stays on Roblox";
    let expected = format!("{moved}\n{}\n{kept}", waits("b.fbx"));
    check(vec![pinned(want("b.fbx", 9), 1)], known, &expected);
    let choice = "held b.fbx: it may be any of `a.fbx`, `c.fbx`, which left and had the same pinned revision";
    check(vec![pinned(want("b.fbx", 9), 1)], two(), choice);
    // Two new ones with the pin of one that left.
    check(
        vec![pinned(want("x.fbx", 8), 1), pinned(want("y.fbx", 9), 1)],
        model(),
        "held x.fbx: `a.fbx` moved here or to another new address: each has the same pinned revision
         held y.fbx: `a.fbx` moved here or to another new address: each has the same pinned revision",
    );
    // A revision that none of them had.
    check(
        vec![pinned(want("b.fbx", 9), 7)],
        model(),
        "held b.fbx: it is pinned to revision 7, but has no revisions yet
         note a.fbx: it is no longer in the manifest; its asset stays on Roblox",
    );
}

fn in_pins(asset: u64) -> StrayPlace {
    StrayPlace::Pin(Pin::Asset(id(asset)))
}

#[test]
fn a_removed_address_that_is_still_referenced_is_not_replaced() {
    let known = || left("a.fbx", 10, 1).revision("a.fbx", 10, 2, 2);
    let stray = |place| vec![Stray { to: address("a.fbx"), place }];
    let wanted = Desired { stray: stray(in_pins(1)), ..desired(vec![want("b.fbx", 9), want("c.png", 8)]) };
    check_desired(
        &wanted,
        known(),
        "create c.png: not on Roblox yet
         held b.fbx: it may be `a.fbx` under another name: that left the manifest, but [pins] still names it
         held a.fbx: [pins] still names `a.fbx`, which is no longer in the manifest",
    );
    let plan = plan(&wanted, &known().0, NOW);
    assert_eq!(hints(&plan)[0], "b.fbx: write `b.fbx` there if it is `a.fbx`; remove that pin if it is another asset");
    // Also long after it left, and for whoever shows it.
    let wanted = Desired { stray: stray(in_pins(1)), ..desired(vec![want("b.fbx", 9)]) };
    let held = "held b.fbx: it may be `a.fbx` under another name: that left the manifest, but [pins] still names it
         held a.fbx: [pins] still names `a.fbx`, which is no longer in the manifest";
    check_desired(&wanted, known().left("a.fbx"), held);
    let icon = Stray { to: address("i.png"), place: StrayPlace::Icon { of: address("m.fbx") } };
    let wanted = vec![with_icon(want("m.fbx", 1), Some("i.png")), want("j.png", 9)];
    let known = also_left(left("i.png", 10, 1), "m.fbx", 11, 1);
    check_desired(
        &Desired { stray: vec![icon], ..desired(wanted) },
        known,
        "held j.png: it may be `i.png` under another name: that left the manifest, but the icon of `m.fbx` still names it
         held m.fbx: the icon of `m.fbx` still names `i.png`, which is no longer in the manifest",
    );
}

#[test]
fn a_possible_rename_with_an_edit_is_reported_and_held_where_the_id_is_protected() {
    let kept = "note a.fbx: it is no longer in the manifest; its asset stays on Roblox";
    let note = "note b.fbx: it is new, and `a.fbx` left in the same change; if it is `a.fbx`, renamed and edited, `macadam import b.fbx 10` gives it the old asset ID";
    let known = || left("a.fbx", 10, 1);
    check(vec![want("b.fbx", 2)], known(), &format!("create b.fbx: not on Roblox yet\n{note}\n{kept}"));
    // Of another type or owner, or left long ago.
    let kept_picture = kept.replace("fbx", "png");
    check(vec![want("b.fbx", 2)], left("a.png", 10, 1), &format!("create b.fbx: not on Roblox yet\n{kept_picture}"));
    check(vec![want("b.fbx", 2)], known().left("a.fbx"), "create b.fbx: not on Roblox yet");
    // Whoever shares makes nothing.
    let shared = also_left(left("a.png", 10, 1), "s.png", 12, 2);
    check(
        vec![want("s.png", 2), want("b.png", 2)],
        shared,
        &format!(
            "create b.png 12: not on Roblox yet; it shares the asset of `s.png`, which has the same bytes\n{kept_picture}"
        ),
    );
    let protected = DesiredAsset { prevent_replace: true, ..want("b.fbx", 2) };
    let wanted = desired(vec![protected]);
    check_desired(
        &wanted,
        known(),
        "held b.fbx: it may be `a.fbx`, which left in the same change, renamed and edited; `prevent_replace` forbids a new asset ID",
    );
    let plan = plan(&wanted, &known().0, NOW);
    assert_eq!(plan.marks, [], "it is asked again until a person has said which");
    assert_eq!(
        hints(&plan),
        ["b.fbx: `macadam import b.fbx 10` if it is `a.fbx`; `prevent_replace = false` if it is a new asset"]
    );
    check_desired(&wanted, KnownBuilder::default(), "create b.fbx: not on Roblox yet");
}

#[test]
fn the_path_counts_before_the_bytes() {
    // `a.png` and `b.png` swapped their bytes, and `a.png` got a name of its own.
    let known = also_left(left("a.png", 10, 1), "b.png", 11, 2);
    check_desired(
        &desired_as(vec![called("x", want("a.png", 2)), called("y", want("b.png", 1))]),
        known,
        "move x: it was `a.png` before: both have the same file
         replace x 11: the file changed; Roblox can't update an Image, so it gets a new asset ID; it shares the asset of `y`, which has the same bytes
         move y: it was `b.png` before: both have the same file
         replace y 10: the file changed; Roblox can't update an Image, so it gets a new asset ID; it shares the asset of `x`, which has the same bytes",
    );
    // What moved by its path is no candidate by its bytes any more.
    check_desired(
        &desired_as(vec![called("x", want("a.png", 3)), called("c.png", want("c.png", 1))]),
        left("a.png", 10, 1),
        "create c.png 10: not on Roblox yet; it shares the asset of `x`, which has the same bytes
         move x: it was `a.png` before: both have the same file
         replace x 10: the file changed; Roblox can't update an Image, so it gets a new asset ID",
    );
}

#[test]
fn two_candidates_are_held_with_the_remedy() {
    let known = || also_left(left("a.png", 10, 1), "b.png", 11, 1);
    let desired = desired(vec![want("c.png", 1)]);
    let plan = plan(&desired, &known().0, NOW);
    assert_eq!(
        hints(&plan),
        [
            "c.png: `macadam import c.png 10` if it is `a.png`; `macadam import c.png 11` if it is `b.png`; `macadam forget a.png b.png` if it is none of them"
        ]
    );
    check_desired(
        &desired,
        known(),
        "held c.png: it may be any of `a.png`, `b.png`, which left and had the same bytes",
    );
    // One left just now, the other long ago: that is no choice.
    let known = left("a.png", 10, 1).left("a.png");
    check(
        vec![want("c.png", 1)],
        also_left(known, "b.png", 11, 1),
        "move c.png: it was `b.png` before: both have the same bytes",
    );
}

#[test]
fn a_model_with_the_same_bytes_twice_is_a_choice_and_a_picture_is_none() {
    check(
        vec![want("x.fbx", 1), want("y.fbx", 1)],
        left("m.fbx", 10, 1),
        "held x.fbx: `m.fbx` moved here or to another new address: each has the same bytes
         held y.fbx: `m.fbx` moved here or to another new address: each has the same bytes",
    );
    check(
        vec![want("x.png", 1), want("y.png", 1)],
        left("a.png", 10, 1),
        "move x.png: it was `a.png` before: both have the same bytes
         create y.png 10: not on Roblox yet; it shares the asset of `x.png`, which has the same bytes",
    );
    // A copy of what stays is no move.
    let known = KnownBuilder::default().revision("m.fbx", 10, 1, 1).points_to("m.fbx", 10).locked("m.fbx");
    check(vec![want("m.fbx", 1), want("n.fbx", 1)], known, "create n.fbx: not on Roblox yet");
}

#[test]
fn two_that_shared_an_asset_and_left_are_one_candidate() {
    let known = left("a.png", 10, 1).sharing("b.png", 10, 1).locked("b.png");
    check(
        vec![want("c.png", 1)],
        known,
        "move c.png: it was `a.png` before: both have the same bytes
         note b.png: it is no longer in the manifest; its asset stays on Roblox",
    );
}

/// A key was renamed on two branches, one to each name, and a third name came with their merge.
#[test]
fn two_names_of_one_asset_and_file_that_left_are_one_candidate() {
    let at_once = |desired: Desired| with_policy(archiving(desired), |policy| policy.archive_after = Duration::ZERO);
    let add = |known: KnownBuilder, name: &str, asset: u64, revisions: &[u8]| {
        let (asset_type, path) = (AssetType::Model, ProjectPath::new("k.fbx").unwrap());
        let identity = Identity { asset_type, creator: creator(1), privacy: Privacy::Default, path };
        let known = known.tell(Change::SetIdentity { address: address(name), identity });
        let known = (1_u32..).zip(revisions).fold(known, |known, (version, content)| {
            let key = RevisionKey { asset_id: id(asset), version: Revision::new(version.into()).ok() };
            let fact = RevisionFact::new(1, Some(hash(*content)), RevisionState::Live);
            known.tell(Change::AddRevision { address: address(name), key, fact })
        });
        known.points_to(name, asset).locked(name)
    };
    let wanted = |content| at_once(desired_as(vec![called("two", want("k.fbx", content))]));
    let both = |one: u64, other: u64| add(add(KnownBuilder::default(), "k1", one, &[1, 2]), "one", other, &[1]);
    // Whichever it takes over from, the revisions of both count, and the asset isn't archived.
    let moved = "move two: it was `k1` before: both have the same file";
    let left = "note one: it is no longer in the manifest";
    check_desired(&wanted(2), both(10, 10), &format!("{moved}\n{left}"));
    let updated = format!("{moved}\nupdate_content two 10: the file changed\n{left}");
    check_desired(&wanted(1), both(10, 10), &updated);
    check_desired(&wanted(3), both(10, 10), &updated);
    // What is on its way goes along.
    let known = both(10, 10);
    let attempt = AttemptId(known.0.next_attempt);
    let intent = Intent::UpdateContent { asset_id: id(10), content: hash(3), head: Revision::new(1).ok() };
    let known = known.tell(Change::Begin { attempt, address: address("one"), intent });
    let known = known.tell(Change::Advance { attempt, event: PhaseEvent::HandOver });
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = known.tell(Change::Advance { attempt, event: accepted });
    let under_way = "move two: it was `one` before: both have the same file
         wait two: sent at 1970-01-01 00:00 UTC; Roblox is still processing it
         note k1: it is no longer in the manifest";
    check_desired(&wanted(3), known, under_way);
    // Two assets are a choice.
    let held = "held two: it may be any of `k1`, `one`, which left and had the same file";
    check_desired(&wanted(2), both(10, 11), held);
}

#[test]
fn another_type_or_owner_is_no_move_by_bytes_and_held_by_path() {
    let other = |want: DesiredAsset| DesiredAsset { creator: creator(2), ..want };
    let kept = "note a.png: it is no longer in the manifest; its asset stays on Roblox";
    check(vec![other(want("b.png", 1))], left("a.png", 10, 1), &format!("create b.png: not on Roblox yet\n{kept}"));
    let decal = DesiredAsset { asset_type: Some(AssetType::Decal), ..want("b.png", 1) };
    check(vec![decal.clone()], left("a.png", 10, 1), &format!("create b.png: not on Roblox yet\n{kept}"));
    let same_path = DesiredAsset { path: ProjectPath::new("a.png").unwrap(), ..decal };
    check_desired(
        &desired_as(vec![called("x", same_path)]),
        left("a.png", 10, 1),
        "move x: it was `a.png` before: both have the same file\nheld x: its type changed from Image to Decal",
    );
}

#[test]
fn a_reference_to_the_old_address_holds_the_new_one() {
    let stray = |place: StrayPlace| vec![Stray { to: address("a.png"), place }];
    let check = |desired: Desired, stray: Vec<Stray>, held: &[&str], hint: &str| {
        let plan = plan(&Desired { stray, ..desired }, &left("a.png", 10, 1).0, NOW);
        assert_eq!(plan.held.iter().map(|h| format!("{}: {}", h.address, h.reason)).collect::<Vec<_>>(), held);
        assert!(plan.held.iter().all(|hold| hold.hint().as_deref() == Some(hint)), "{:?}", hints(&plan));
        assert_eq!(plan.marks, [], "nothing moves, and nothing is taken for removed");
        assert_eq!(plan.steps, []);
    };
    check(
        desired(vec![want("b.png", 1)]),
        stray(in_pins(1)),
        &["b.png: [pins] still names `a.png`, which is called `b.png` now"],
        "write `b.png` there",
    );
    let m = address("m.fbx");
    check(
        desired(vec![want("b.png", 1), with_icon(want("m.fbx", 2), Some("a.png"))]),
        stray(StrayPlace::Icon { of: m.clone() }),
        &[
            "b.png: the icon of `m.fbx` still names `a.png`, which is called `b.png` now",
            "m.fbx: the icon of `m.fbx` still names `a.png`, which is called `b.png` now",
        ],
        "write `b.png` there",
    );
    check(
        desired(vec![want("b.png", 1), with_preview(want("m.fbx", 2), "a.png", None)]),
        stray(StrayPlace::Preview { of: m }),
        &[
            "b.png: a preview of `m.fbx` still names `a.png`, which is called `b.png` now",
            "m.fbx: a preview of `m.fbx` still names `a.png`, which is called `b.png` now",
        ],
        "write `b.png` there",
    );
}

#[test]
fn a_pin_of_an_address_whose_file_alone_is_absent_is_no_contradiction() {
    let stray = vec![Stray { to: address("a.png"), place: in_pins(10) }];
    let absences = Absences::DontCount { why: AbsenceReason::SparseCheckout };
    let plan = plan(&Desired { stray, absences, ..desired(vec![want("b.png", 9)]) }, &left("a.png", 10, 1).0, NOW);
    let says = text(&plan);
    let is_told =
        says.starts_with("create b.png: not on Roblox yet\nnote: 1 asset is absent here, which doesn't count");
    assert!(plan.held.is_empty() && is_told, "{says}");
}

#[test]
fn a_reference_to_a_removed_address_is_held() {
    let stray = vec![Stray { to: address("a.png"), place: in_pins(1) }];
    let wanted = Desired { stray, ..desired(vec![]) };
    let plan = plan(&wanted, &left("a.png", 10, 1).0, NOW);
    assert_eq!(hints(&plan), ["a.png: remove the reference, or put the asset back into the manifest"]);
}

#[test]
fn absences_that_do_not_count_hold_moves_by_bytes_and_not_by_path() {
    let absences = Absences::DontCount { why: AbsenceReason::Unreadable };
    let uncounted = "note: 1 asset is absent here, which doesn't count as a removal: some folders could not be read";
    check_desired(
        &Desired { absences: absences.clone(), ..desired(vec![want("b.png", 1)]) },
        left("a.png", 10, 1),
        &format!(
            "held b.png: it has the same bytes as `a.png`, which may have moved here or not: some folders could not be read\n{uncounted}"
        ),
    );
    check_desired(
        &Desired { absences, ..desired_as(vec![called("x", want("a.png", 1))]) },
        left("a.png", 10, 1),
        "move x: it was `a.png` before: both have the same file",
    );
}

#[test]
fn an_address_that_only_another_branch_knows_does_not_move() {
    let known = KnownBuilder::default().revision("m.fbx", 10, 1, 1).points_to("m.fbx", 10);
    check(vec![want("n.fbx", 1)], known, "create n.fbx: not on Roblox yet");
}

#[test]
fn a_move_takes_everything_along() {
    let known = left("m.fbx", 10, 1).asked(&named(want("m.fbx", 1), "Sword")).left("m.fbx");
    let desired = desired(vec![named(want("n.fbx", 1), "Sword")]);
    let mut recorded = known.0;
    for mark in &plan(&desired, &recorded, NOW).marks {
        recorded.apply(mark, NOW).unwrap();
    }
    assert_eq!(recorded.assets.keys().map(Address::as_str).collect::<Vec<_>>(), ["n.fbx"]);
    let record = &recorded.assets[&address("n.fbx")];
    assert_eq!((record.removed, record.identity.path.as_str()), (false, "n.fbx"));
    let after = plan(&desired, &recorded, NOW);
    assert_eq!((after.steps, after.marks, after.held), (vec![], vec![], vec![]));
}

#[test]
fn an_asset_that_may_have_moved_is_not_archived_while_a_person_is_asked() {
    let known = also_left(left("a.png", 10, 1), "b.png", 11, 1);
    let at_once = |desired: Desired| with_policy(archiving(desired), |policy| policy.archive_after = Duration::ZERO);
    let held = "held c.png: it may be any of `a.png`, `b.png`, which left and had the same bytes";
    check_desired(&at_once(desired(vec![want("c.png", 1)])), known, held);
    let stray = vec![Stray { to: address("a.png"), place: in_pins(1) }];
    let renamed = Desired { stray, ..desired(vec![want("b.png", 1)]) };
    let held = "held b.png: [pins] still names `a.png`, which is called `b.png` now";
    check_desired(&at_once(renamed), left("a.png", 10, 1), held);
}

#[test]
fn work_in_progress_under_the_old_name_blocks_the_new_one() {
    let in_progress = |path: &str| PlanOptions { in_progress: [address(path)].into(), ..PlanOptions::default() };
    let on_its_way =
        |path: &str| KnownBuilder::default().create_under_way(path, 1, false, &[PhaseEvent::HandOver]).locked(path);
    let check = |wanted: Vec<DesiredAsset>, known: KnownBuilder, options: &PlanOptions, expected: &str| {
        assert_eq!(text(&super::super::plan(&desired(wanted), &known.0, options, NOW)), expected);
    };
    let mark = "note a.fbx: it is no longer in the manifest; its asset stays on Roblox";
    // By its bytes, those that are on their way or those that it has, and by its path.
    check(vec![want("b.fbx", 1)], on_its_way("a.fbx"), &in_progress("a.fbx"), mark);
    check(vec![want("b.png", 1)], on_its_way("a.png"), &in_progress("a.png"), &mark.replace("fbx", "png"));
    check(vec![want("b.fbx", 1)], left("a.fbx", 10, 1), &in_progress("a.fbx"), mark);
    let called = desired_as(vec![called("sword", want("a.fbx", 2))]);
    assert_eq!(text(&super::super::plan(&called, &on_its_way("a.fbx").0, &in_progress("a.fbx"), NOW)), mark);
    // Other bytes under another name are another asset, and what is in hand and still wanted keeps
    // nobody waiting.
    check(
        vec![want("b.fbx", 2)],
        on_its_way("a.fbx"),
        &in_progress("a.fbx"),
        &format!("create b.fbx: not on Roblox yet\n{mark}"),
    );
    let both = vec![want("a.fbx", 1), want("b.fbx", 1)];
    check(both, on_its_way("a.fbx"), &in_progress("a.fbx"), "create b.fbx: not on Roblox yet");
}

#[test]
fn a_create_under_way_goes_along_with_its_address() {
    let accepted = [PhaseEvent::HandOver, PhaseEvent::Accept(OperationId::new("op").unwrap())];
    let known = || KnownBuilder::default().create_under_way("a.fbx", 1, false, &accepted).locked("a.fbx");
    let plan = plan(&desired(vec![want("b.fbx", 1)]), &known().0, NOW);
    let moved = "move b.fbx: it was `a.fbx` before: both have the same bytes\nwait b.fbx: sent at 1970-01-01 00:00 UTC; Roblox is still processing it";
    assert_eq!(text(&plan), moved);
    assert!(plan.marks.contains(&Change::Move { from: address("a.fbx"), to: address("b.fbx") }), "{:?}", plan.marks);
    // In doubt it is the new address that a person is asked about, and that may have made two.
    let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
    let costly = KnownBuilder::default().create_under_way("a.fbx", 1, true, &doubt).locked("a.fbx");
    let held = "move b.fbx: it was `a.fbx` before: both have the same bytes\nheld b.fbx: its upload of 1970-01-01 00:00 UTC got no clear answer, so it is unknown whether Roblox has it";
    check(vec![want("b.fbx", 1)], costly, held);
    // Nothing left: as if it had never begun.
    let begun = KnownBuilder::default().create_under_way("a.fbx", 1, false, &[]).locked("a.fbx");
    let new = "create b.fbx: not on Roblox yet\nnote a.fbx: it is no longer in the manifest; its asset stays on Roblox";
    check(vec![want("b.fbx", 1)], begun, new);
}

#[test]
fn every_address_of_a_model_knows_its_head() {
    // Moved on one branch after an update; the other's lockfile has it under its old name, as it
    // was before.
    let known = || left("b.fbx", 10, 1).revision("b.fbx", 10, 2, 2).revision("a.fbx", 10, 1, 1).points_to("a.fbx", 10);
    check(
        vec![want("a.fbx", 1)],
        known(),
        "update_content a.fbx 10: the file changed\nnote b.fbx: it is no longer in the manifest; its asset stays on Roblox",
    );
    check(vec![want("a.fbx", 2)], known(), "note b.fbx: it is no longer in the manifest; its asset stays on Roblox");
    // One that was seen at Roblox before a lockfile told what it is.
    let seen = known().elsewhere("a.fbx", 10, 2);
    check(
        vec![want("a.fbx", 3)],
        seen,
        "update_content a.fbx 10: the file changed\nnote b.fbx: it is no longer in the manifest; its asset stays on Roblox",
    );
    // What a person archived under the other name is no doing of somebody else's.
    let archived = known()
        .retirements("b.fbx", 10, RetireReason::ByHand, NOW, Some(NOW))
        .seen(10, |seen| seen.archived = Some(true));
    let noted = "note a.fbx: it was archived by hand; `macadam restore a.fbx` brings it back";
    let left = "note b.fbx: it is no longer in the manifest; its asset stays on Roblox";
    check(vec![want("a.fbx", 2)], archived, &format!("{noted}\n{left}"));
}

#[test]
fn addresses_of_one_model_take_turns() {
    let known = left("b.fbx", 10, 1).revision("a.fbx", 10, 1, 1).points_to("a.fbx", 10);
    let attempt = AttemptId(known.0.next_attempt);
    let intent = Intent::UpdateContent { asset_id: id(10), content: hash(2), head: Revision::new(1).ok() };
    let known = known.tell(Change::Begin { attempt, address: address("b.fbx"), intent });
    let known = known.tell(Change::Advance { attempt, event: PhaseEvent::HandOver });
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = known.tell(Change::Advance { attempt, event: accepted });
    let plan = plan(&desired(vec![want("a.fbx", 3)]), &known.0, NOW);
    let other = "wait b.fbx: sent at 1970-01-01 00:00 UTC; Roblox is still processing it\nnote b.fbx: it is no longer in the manifest; its asset stays on Roblox";
    assert_eq!(text(&plan), other, "and nothing of a.fbx, which would take its revision for somebody else's");
}

#[test]
fn the_file_of_an_entry_whose_path_is_wrong_is_not_uploaded_a_second_time() {
    let bastion = |path: &str, content| called("bastion", want(path, content));
    let known = |path: &str| {
        let identity = Identity {
            asset_type: want(path, 0).asset_type.unwrap(),
            creator: creator(1),
            privacy: Privacy::Default,
            path: ProjectPath::new(path).unwrap(),
        };
        let known = KnownBuilder::default().tell(Change::SetIdentity { address: address("bastion"), identity });
        let version = (want(path, 0).asset_type == Some(AssetType::Model)).then(|| Revision::new(1).unwrap());
        let fact = RevisionFact::new(1, Some(hash(1)), RevisionState::Live);
        let key = RevisionKey { asset_id: id(10), version };
        known
            .tell(Change::AddRevision { address: address("bastion"), key, fact })
            .points_to("bastion", 10)
            .locked("bastion")
    };
    let wrong = |(name, want)| (name, missing(want));
    let found = |path: &str, content| called(path, want(path, content));
    // A letter wrong, whatever the bytes, and also of a type that shares what was uploaded.
    for (path, typo) in [("m/fort.rbxm", "m/fortt.rbxm"), ("ui/fort.png", "ui/fortt.png")] {
        for content in [1, 2] {
            let desired = desired_as(vec![wrong(bastion(typo, 1)), found(path, content)]);
            let held = format!(
                "failed bastion: no such file
                 held {path}: this is the file of `bastion`, whose path `{typo}` doesn't exist"
            );
            check_desired(&desired, known(path), &held);
            let plan = plan(&desired, &known(path).0, NOW);
            assert_eq!(plan.marks, [], "the file stays its own");
            assert_eq!(
                hints(&plan)[1],
                format!(
                    "{path}: if it is `bastion`, write `path = \"{path}\"` there; if it is another asset, it is uploaded once `{typo}` is there"
                )
            );
        }
    }
    // A file that was renamed without its entry. A picture's asset is shared, and nothing uploaded.
    let renamed = desired_as(vec![wrong(bastion("m/fort.rbxm", 1)), found("m/castle.rbxm", 1)]);
    check_desired(
        &renamed,
        known("m/fort.rbxm"),
        "failed bastion: no such file
         held m/castle.rbxm: these are the bytes of `bastion`, whose file `m/fort.rbxm` doesn't exist",
    );
    let renamed = desired_as(vec![wrong(bastion("ui/fort.png", 1)), found("ui/castle.png", 1)]);
    let shared = "create ui/castle.png 10: not on Roblox yet; it shares the asset of `bastion`, which has the same bytes\nfailed bastion: no such file";
    check_desired(&renamed, known("ui/fort.png"), shared);
    // Corrected, and where it is another asset after all.
    check_desired(&desired_as(vec![bastion("m/fort.rbxm", 1)]), known("m/fort.rbxm"), "");
    check_desired(
        &desired_as(vec![bastion("m/keep.rbxm", 1), found("m/fort.rbxm", 3)]),
        known("m/fort.rbxm"),
        "create m/fort.rbxm: not on Roblox yet
         note bastion: its file is m/keep.rbxm now, and was m/fort.rbxm before; it keeps its asset",
    );
    // The entry left: its asset goes on with the file.
    let moved = "move m/fort.rbxm: it was `bastion` before: both have the same file";
    check_desired(&desired_as(vec![found("m/fort.rbxm", 1)]), known("m/fort.rbxm"), moved);
    // A state that knows the file's address from before the key had a name.
    let both = known("m/fort.rbxm").revision("m/fort.rbxm", 10, 1, 1).points_to("m/fort.rbxm", 10);
    check_desired(
        &desired_as(vec![wrong(bastion("m/fortt.rbxm", 1)), found("m/fort.rbxm", 1)]),
        both,
        "failed bastion: no such file
         held m/fort.rbxm: this is the file of `bastion`, whose path `m/fortt.rbxm` doesn't exist",
    );
}

/// Another machine renamed it, and this state still knows the old name, which the lockfile doesn't have.
#[test]
fn another_file_under_an_old_name_is_new_and_the_asset_stays_that_of_the_new_name() {
    let check = |old: &str, new: &str, expected: &str| {
        let known =
            KnownBuilder::default().revision(old, 10, 1, 1).points_to(old, 10).revision(new, 10, 1, 1).locked(new);
        check_desired(&desired(vec![want(old, 7), want(new, 1)]), known, expected);
    };
    check("a.png", "v.png", "create a.png: not on Roblox yet");
    check("m.fbx", "v.fbx", "create m.fbx: not on Roblox yet");
    // Its own bytes need no upload.
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("v.png", 10, 1, 1).locked("v.png");
    check_desired(&desired(vec![want("a.png", 1), want("v.png", 1)]), known, "");
}
