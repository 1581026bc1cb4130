//! What left, and when it is archived.

use super::*;

#[test]
fn an_asset_that_left_the_manifest_is_marked_and_one_of_another_branch_is_not() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("b.png", 11, 1, 2);
    let known = known.tell(Change::SetInLockfile { address: address("a.png"), in_lockfile: InLockfile::Yes });
    let plan = plan(&desired(vec![]), &known.0, NOW);
    assert_eq!(plan.marks, [Change::SetRemoved { address: address("a.png"), removed: true }]);
    assert_eq!(text(&plan), "note a.png: it is no longer in the manifest; its asset stays on Roblox");
}

/// No lockfile has it yet: it was removed where its upload was begun, and nowhere else.
#[test]
fn an_upload_that_was_begun_in_another_checkout_leaves_nothing_here() {
    let begun_in = Checkout::Branch("x".to_owned());
    let begun = || {
        let in_lockfile = InLockfile::NotYet { begun_in: begun_in.clone() };
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
        known.tell(Change::SetInLockfile { address: address("a.png"), in_lockfile })
    };
    let (wanted, known) = staying(begun(), 9);
    let on = |checkout: Checkout| Desired { checkout, ..at_once(desired(wanted.clone())) };
    let there = plan(&on(begun_in.clone()), &known.0, NOW);
    assert!(text(&there).starts_with("archive a.png 10:"), "{}", text(&there));
    for checkout in [Checkout::Branch("y".to_owned()), Checkout::Commit("0f".to_owned()), Checkout::Unknown] {
        let elsewhere = plan(&on(checkout.clone()), &known.0, NOW);
        assert_eq!((elsewhere.marks.as_slice(), text(&elsewhere).as_str()), (&[][..], ""), "{checkout:?}");
    }
    // A new branch that has the file under another name.
    let renamed = Desired { checkout: Checkout::Branch("z".to_owned()), ..desired(vec![want("b.png", 1)]) };
    check_desired(&renamed, begun(), "move b.png: it was `a.png` before: both have the same bytes");
}

#[test]
fn an_absent_asset_is_not_removed_while_a_whole_folder_is_missing() {
    let known = ["a.png", "b.png", "c.png", "d.png"].into_iter().zip(10..);
    let known =
        known.fold(KnownBuilder::default(), |known, (path, id)| known.revision(path, id, 1, 1).points_to(path, id));
    let lock = |path: &str| Change::SetInLockfile { address: address(path), in_lockfile: InLockfile::Yes };
    let known = ["a.png", "b.png", "c.png"].into_iter().fold(known, |known, path| known.tell(lock(path)));
    let known = known.tell(Change::SetRemoved { address: address("b.png"), removed: true });
    let absences = Absences::DontCount { why: AbsenceReason::Unreadable };
    let check = |wanted: Vec<DesiredAsset>, marks: &[Change], expected: &str| {
        let plan = plan(&Desired { absences: absences.clone(), ..desired(wanted) }, &known.0, NOW);
        assert_eq!((plan.marks.as_slice(), text(&plan).as_str()), (marks, expected));
    };
    check(
        vec![],
        &[],
        "note: 2 assets are absent here, which doesn't count as a removal: some folders could not be read",
    );
    let back = Change::SetRemoved { address: address("b.png"), removed: false };
    let asked = |paths: &[&str]| paths.iter().map(|path| want(path, 1)).collect::<Vec<_>>();
    check(asked(&["a.png", "b.png", "c.png"]), &[back], "");
}

#[test]
fn an_address_that_never_got_to_roblox_leaves_without_a_word() {
    let known = || KnownBuilder::default().enrolled("a.png").locked("a.png");
    let never = [(want("a.png", 1).path, NeverCommitted::File)].into();
    let left = Desired { never_committed: never, ..desired(vec![]) };
    assert!(known().0.addresses().from_elsewhere.is_empty());
    check_desired(&left, known(), "");
    check_desired(&desired(vec![]), known(), "");
    // An upload of another machine may have made an asset.
    let open = KnownBuilder::default().create_under_way("a.png", 1, false, &[PhaseEvent::HandOver]).locked("a.png");
    assert!(open.0.addresses().from_elsewhere.contains_key(&address("a.png")));
}

fn at_once(desired: Desired) -> Desired {
    with_policy(archiving(desired), |policy| policy.archive_after = Duration::ZERO)
}

/// Pictures that left, the first of them asset 10, each with bytes of its own.
fn gone(paths: &[&str]) -> KnownBuilder {
    let known = paths.iter().zip(10..);
    known.fold(KnownBuilder::default(), |known, (path, asset)| {
        known.revision(path, asset, 1, asset as u8).points_to(path, asset).left(path)
    })
}

/// Pictures that stay, from asset 100 on.
fn staying(known: KnownBuilder, number: u64) -> (Vec<DesiredAsset>, KnownBuilder) {
    let all = (100..100 + number).map(|asset| (format!("s{asset}.png"), asset));
    all.fold((Vec::new(), known), |(mut wanted, known), (path, asset)| {
        wanted.push(want(&path, asset as u8));
        (wanted, known.revision(&path, asset, 1, asset as u8).points_to(&path, asset).locked(&path))
    })
}

#[test]
fn a_removed_asset_is_archived_after_its_time() {
    let since = |days: i64, why: RetireReason| gone(&["a.png"]).retirements("a.png", 10, why, days_ago(days), None);
    let wanted = || archiving(desired(vec![]));
    check_desired(&desired(vec![]), gone(&["a.png"]), "");
    check_desired(
        &wanted(),
        gone(&["a.png"]),
        "note a.png: asset 10 left the manifest; Macadam archives it after 1970-01-15 00:00 UTC",
    );
    check_desired(
        &wanted(),
        since(13, RetireReason::Removed),
        "note a.png: asset 10 left the manifest; Macadam archives it after 1970-01-02 00:00 UTC",
    );
    check_desired(&wanted(), since(14, RetireReason::Removed), "archive a.png 10: it is no longer in the manifest");
    check_desired(&at_once(desired(vec![])), gone(&["a.png"]), "archive a.png 10: it is no longer in the manifest");
    // It is done once; and not undone by a restore by hand, which forgets it.
    let archived = gone(&["a.png"]).retirements("a.png", 10, RetireReason::Removed, days_ago(20), Some(days_ago(5)));
    check_desired(&wanted(), archived, "");
}

#[test]
fn a_replaced_asset_is_archived_after_its_time() {
    let known =
        || KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    let wanted = || desired(vec![want("a.png", 2)]);
    check_desired(&wanted(), known(), "");
    check_desired(
        &archiving(wanted()),
        known(),
        "note a.png: asset 10 was replaced; Macadam archives it after 1970-01-15 00:00 UTC",
    );
    check_desired(&at_once(wanted()), known(), "archive a.png 10: another asset took its place");
    let only_removed = with_policy(at_once(wanted()), |policy| policy.replaced = LeavePolicy::Keep);
    check_desired(&only_removed, known(), "");
    // The file reverts while it waits.
    let waiting = known().retirements("a.png", 10, RetireReason::Replaced, days_ago(13), None);
    let back = "replace a.png 10: the file is again the one of asset 10";
    check_desired(&at_once(desired(vec![want("a.png", 1)])), waiting, back);
}

/// The lockfile says which asset is in use, and may be older than the file that isn't here.
#[test]
fn nothing_begins_to_count_as_replaced_where_the_file_can_not_be_read() {
    let known =
        || KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 10);
    let unread = || at_once(desired(vec![missing(want("a.png", 2))]));
    let says = |known: KnownBuilder| text(&plan(&unread(), &known.0, NOW));
    assert!(!says(known()).contains("archive"), "{}", says(known()));
    // Once it counts, that goes on; the asset in use is never archived.
    let counted = || known().retirements("a.png", 11, RetireReason::Replaced, days_ago(20), None);
    assert!(says(counted()).contains("archive a.png 11: another asset took its place"), "{}", says(counted()));
    let in_use = counted().retirements("a.png", 10, RetireReason::Replaced, days_ago(20), None);
    assert!(!says(in_use).contains("archive a.png 10"));
}

#[test]
fn another_branchs_addresses_are_never_archived() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
    check_desired(&at_once(desired(vec![])), known, "");
}

#[test]
fn an_asset_in_use_is_never_archived() {
    let existing = Desired { existing: [(address("theme"), id(10))].into(), ..desired(vec![]) };
    check_desired(&at_once(existing), gone(&["a.png"]), "");
    let shown = |want: DesiredAsset| {
        let known = gone(&["a.png"]).revision("b.fbx", 11, 1, 1).points_to("b.fbx", 11).asked(&want);
        check_desired(&at_once(desired(vec![want])), known, "");
    };
    shown(with_icon(want("b.fbx", 1), Some("assets/10")));
    shown(with_preview(want("b.fbx", 1), "assets/10", None));
}

#[test]
fn more_than_a_third_and_three_within_a_day_wait_for_a_person() {
    let three = ["a.png", "b.png", "c.png"];
    let held = |all: u64| {
        let (wanted, known) = staying(gone(&three), all - 3);
        plan(&at_once(desired(wanted)), &known.0, NOW)
    };
    let plan_of_8 = held(8);
    assert_eq!(plan_of_8.held.len(), 3);
    assert!(plan_of_8.held.iter().all(|hold| hold.part == HeldPart::Archiving && hold.kind() == HoldKind::Held));
    let reason = "asset 10 left the manifest and would be archived now, but 3 of 8 assets in one day is a lot";
    assert_eq!(plan_of_8.held[0].reason.to_string(), reason);
    assert_eq!((plan_of_8.steps.len(), held(9).steps.len()), (0, 3));
    // Two never wait.
    let (wanted, known) = staying(gone(&["a.png", "b.png"]), 0);
    assert_eq!(plan(&at_once(desired(wanted)), &known.0, NOW).steps.len(), 2);
    // The code in the hint frees exactly these.
    let HoldReason::ManyArchivings { code, .. } = plan_of_8.held[0].reason.clone() else { panic!() };
    let confirmed = |paths: &[&str]| {
        let (wanted, known) = staying(gone(paths), 5);
        let options = PlanOptions { confirmed: Some(code.clone()), ..PlanOptions::default() };
        super::super::plan(&at_once(desired(wanted)), &known.0, &options, NOW).steps.len()
    };
    assert_eq!((confirmed(&three), confirmed(&["a.png", "b.png", "c.png", "d.png"])), (3, 0));
}

#[test]
fn only_archivings_within_a_day_count_against_the_limit() {
    let known = |archived: Timestamp| {
        let known = gone(&["a.png", "b.png", "c.png"]);
        let known = known.retirements("a.png", 10, RetireReason::Removed, days_ago(20), Some(archived));
        let (wanted, known) =
            staying(known.retirements("b.png", 11, RetireReason::Removed, days_ago(20), Some(archived)), 4);
        plan(&at_once(desired(wanted)), &known.0, NOW).steps.len()
    };
    assert_eq!((known(NOW), known(days_ago(1))), (0, 1));
    // A date of a clock that was ahead may be today's.
    assert_eq!(known(NOW + SignedDuration::from_hours(1000)), 0);
}

/// Another machine renamed `a.png`, and then replaced it.
#[test]
fn an_old_name_keeps_no_asset_that_the_new_one_replaced() {
    let known = |edit: fn(&mut RevisionFact)| {
        let known = KnownBuilder::default().fact("a.png", 10, 1, |fact| {
            fact.content = Some(hash(1));
            edit(fact);
        });
        let known = known.revision("v.png", 10, 1, 1).revision("v.png", 11, 2, 2).points_to("v.png", 11);
        known.locked("v.png").retirements("v.png", 10, RetireReason::Replaced, days_ago(20), None)
    };
    let wanted = at_once(desired(vec![want("v.png", 2)]));
    let archived = "archive v.png 10: another asset took its place";
    check_desired(&wanted, known(|_| ()), archived);
    // On another branch it is another file that shares the asset.
    check_desired(&wanted, known(|fact| fact.shared = true), "");
}

/// The earlier assets of replaced pictures, archived long ago or kept, are no part of what the game loses.
#[test]
fn the_limit_is_a_part_of_the_assets_in_use() {
    let check = |archived_at: Option<Timestamp>, replaced: LeavePolicy| {
        let (wanted, known) = staying(gone(&["a.png", "b.png", "c.png"]), 4);
        let earlier = wanted.iter().flat_map(|want| [want; 2]).zip(200..);
        let known = earlier.fold(known, |known, (want, asset)| {
            let path = want.path.as_str();
            let known = known.revision(path, asset, 2, (asset - 199) as u8);
            match archived_at {
                Some(_) => known.retirements(path, asset, RetireReason::Replaced, days_ago(40), archived_at),
                None => known,
            }
        });
        let plan = plan(&with_policy(at_once(desired(wanted)), |policy| policy.replaced = replaced), &known.0, NOW);
        let reason = "asset 10 left the manifest and would be archived now, but 3 of 7 assets in one day is a lot";
        assert_eq!(plan.held.first().map(|hold| hold.reason.to_string()).as_deref(), Some(reason), "{}", text(&plan));
    };
    check(Some(days_ago(20)), LeavePolicy::Archive);
    check(None, LeavePolicy::Keep);
}

#[test]
fn an_asset_that_comes_back_is_restored_with_its_id() {
    let archived = |why: RetireReason| gone(&["a.png"]).retirements("a.png", 10, why, days_ago(20), Some(days_ago(5)));
    let wanted = || archiving(desired(vec![want("a.png", 10)]));
    let restored = "restore a.png 10: Macadam archived it while it was not in the manifest, and it is back";
    check_desired(&wanted(), archived(RetireReason::Removed), restored);
    check_desired(
        &archiving(desired(vec![named(want("a.png", 10), "A")])),
        archived(RetireReason::Removed),
        &format!("{restored}\nupdate_metadata a.png 10: display_name changed"),
    );
    check_desired(
        &wanted(),
        archived(RetireReason::ByHand),
        "note a.png: it was archived by hand; `macadam restore a.png` brings it back",
    );
    // Before it was archived.
    let waiting = gone(&["a.png"]).retirements("a.png", 10, RetireReason::Removed, days_ago(2), None);
    let plan = plan(&wanted(), &waiting.0, NOW);
    assert_eq!(text(&plan), "");
    assert!(plan.marks.contains(&Change::SetRetirement {
        address: address("a.png"),
        asset_id: id(10),
        retirement: None
    }));
}

/// The newer picture was rejected by a late review, or a merge archived what the lockfile says is in use.
#[test]
fn what_the_game_is_given_again_is_restored() {
    let known = || {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).locked("a.png");
        known.retirements("a.png", 10, RetireReason::Replaced, days_ago(20), Some(days_ago(5)))
    };
    let restored = "restore a.png 10: Macadam archived it, and the game uses it again";
    let says = |wanted: Desired, known: KnownBuilder| {
        let plan = plan(&wanted, &known.0, NOW);
        text(&plan).lines().filter(|line| line.starts_with("restore")).collect::<Vec<_>>().join("\n")
    };
    let rejected = || known().points_to("a.png", 11).state("a.png", 11, 2, RevisionState::Rejected);
    for policy in [at_once, |desired: Desired| desired] {
        assert_eq!(says(policy(desired(vec![want("a.png", 2)])), rejected()), restored);
        assert_eq!(says(policy(desired(vec![want("a.png", 2)])), known().points_to("a.png", 11)), "");
        let in_use = || known().points_to("a.png", 10);
        assert_eq!(says(policy(desired(vec![missing(want("a.png", 1))])), in_use()), restored);
        let absences = Absences::DontCount { why: AbsenceReason::SparseCheckout };
        assert_eq!(says(Desired { absences, ..policy(desired(vec![])) }, in_use()), restored);
        // It left, or another asset takes its place at once.
        assert_eq!(says(policy(desired(vec![])), in_use()), "");
        assert_eq!(says(policy(desired(vec![want("a.png", 3)])), in_use()), "");
    }
    let by_hand = known().retirements("a.png", 10, RetireReason::ByHand, days_ago(20), Some(days_ago(5)));
    let by_hand = by_hand.points_to("a.png", 11).state("a.png", 11, 2, RevisionState::Rejected);
    assert_eq!(says(at_once(desired(vec![want("a.png", 2)])), by_hand), "");
    let seen = rejected().seen(10, |seen| seen.archived = Some(false));
    assert_eq!(says(at_once(desired(vec![want("a.png", 2)])), seen), "");
}

#[test]
fn what_a_pin_names_is_not_archived_where_its_file_is_absent() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).locked("a.png");
    let known = known.points_to("a.png", 11).retirements("a.png", 10, RetireReason::Replaced, days_ago(20), None);
    let absences = Absences::DontCount { why: AbsenceReason::SparseCheckout };
    let says = |stray: Vec<Stray>| {
        text(&plan(&at_once(Desired { stray, absences: absences.clone(), ..desired(vec![]) }), &known.0, NOW))
    };
    assert!(says(vec![]).contains("archive a.png 10"), "{}", says(vec![]));
    let pinned = Stray { to: address("a.png"), place: StrayPlace::Pin(Pin::Asset(id(10))) };
    let kept = says(vec![pinned]);
    assert!(kept.starts_with("note: 1 asset is absent here") && !kept.contains('\n'), "{kept}");
}

/// One of two addresses that shared an asset left, and later the other: it was archived with the
/// first one's time.
#[test]
fn an_asset_is_archived_by_the_time_of_the_last_address_that_left() {
    let shared = || {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
        known.left("a.png").retirements("a.png", 10, RetireReason::Removed, days_ago(20), None)
    };
    check_desired(&archiving(desired(vec![want("b.png", 1)])), shared(), "");
    let dated = "note b.png: asset 10 left the manifest; Macadam archives it after 1970-01-15 00:00 UTC";
    check_desired(&archiving(desired(vec![])), shared().left("b.png"), dated);
    let both = shared().left("b.png").retirements("b.png", 10, RetireReason::Removed, days_ago(15), None);
    check_desired(&archiving(desired(vec![])), both, "archive a.png 10: it is no longer in the manifest");
    // The other one is another branch's.
    check_desired(&archiving(desired(vec![])), shared(), "");
}

#[test]
fn an_asset_counts_as_archived_only_once_it_is() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
    let known = known.left("a.png").left("b.png");
    let plan = plan(&at_once(desired(vec![])), &known.0, NOW);
    assert_eq!(plan.steps.len(), 1);
    let archived =
        |mark: &Change| matches!(mark, Change::SetRetirement { retirement: Some(s), .. } if s.archived_at.is_some());
    assert!(!plan.marks.iter().any(archived), "{:?}", plan.marks);
}

/// Another machine archived it, and its lockfile says when: a look that may be older says nothing, nor
/// does one of a clock that was behind.
#[test]
fn a_look_right_after_an_archiving_takes_nothing_back() {
    let is_back = |archived: Timestamp| {
        let known = gone(&["a.png"]).retirements("a.png", 10, RetireReason::Removed, days_ago(20), Some(archived));
        let known = known.seen(10, |seen| seen.archived = Some(false));
        plan(&archiving(desired(vec![want("a.png", 10)])), &known.0, NOW).steps.is_empty()
    };
    assert!(!is_back(NOW - SignedDuration::from_secs(60)));
    assert!(is_back(NOW - SignedDuration::from_mins(3)));
    assert!(is_back(NOW + SignedDuration::from_hours(1000)), "it was archived before the lockfile was read");
}

/// It was restored for another address, and this one went on believing that it was archived.
#[test]
fn a_restored_asset_is_not_restored_again() {
    let known = gone(&["a.png"]).retirements("a.png", 10, RetireReason::Removed, days_ago(20), Some(days_ago(5)));
    let plan =
        plan(&archiving(desired(vec![want("a.png", 10)])), &known.seen(10, |seen| seen.archived = Some(false)).0, NOW);
    assert_eq!(text(&plan), "");
    assert!(plan.marks.contains(&Change::SetRetirement {
        address: address("a.png"),
        asset_id: id(10),
        retirement: None
    }));
}

/// The file can't say so where it is absent or unreadable.
#[test]
fn what_was_restored_elsewhere_counts_as_restored_without_its_file() {
    let restored = |why: RetireReason| {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).locked("a.png");
        known
            .retirements("a.png", 10, why, days_ago(20), Some(days_ago(5)))
            .seen(10, |seen| seen.archived = Some(false))
    };
    let absences = Absences::DontCount { why: AbsenceReason::SparseCheckout };
    let taken_off = Change::SetRetirement { address: address("a.png"), asset_id: id(10), retirement: None };
    for why in [RetireReason::ByHand, RetireReason::Removed, RetireReason::Replaced] {
        for wanted in [
            Desired { absences: absences.clone(), ..desired(vec![]) },
            desired(vec![missing(want("a.png", 1))]),
            desired(vec![want("a.png", 1)]),
        ] {
            let marks = plan(&wanted, &restored(why).0, NOW).marks;
            assert_eq!(marks.iter().filter(|mark| **mark == taken_off).count(), 1, "{why:?}: {marks:?}");
        }
    }
    // It left: what the policy keeps is no longer archived, and what it archives, it archives once.
    for why in [RetireReason::ByHand, RetireReason::Removed] {
        for (wanted, expected) in [(desired(vec![]), true), (at_once(desired(vec![])), false)] {
            let marks = plan(&wanted, &restored(why).left("a.png").0, NOW).marks;
            assert_eq!(marks.contains(&taken_off), expected, "{why:?}: {marks:?}");
        }
    }
}

#[test]
fn nothing_is_archived_where_absences_do_not_count() {
    let absences = Absences::DontCount { why: AbsenceReason::Unreadable };
    check_desired(&Desired { absences, ..at_once(desired(vec![])) }, gone(&["a.png"]), "");
}
