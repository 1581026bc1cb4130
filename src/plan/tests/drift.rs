//! Changes that were made at Roblox outside of Macadam.

use super::*;
use crate::model::ids::GroupId;

#[test]
fn a_revision_made_elsewhere_holds_the_update() {
    let known = || {
        KnownBuilder::default().revision("b.fbx", 11, 1, 1).fact("b.fbx", 11, 2, |fact| {
            fact.made = Some((NOW, Origin::Elsewhere));
        })
    };
    check(vec![want("b.fbx", 2)], known(), "held b.fbx: revision 2 of asset 11 was made on Roblox, outside of Macadam");
    check(vec![want("b.fbx", 1)], known(), "drift b.fbx: revision 2 was made on Roblox, outside of Macadam");
}

/// One machine renamed it, another one updated it under its old name: git merged their lockfiles.
#[test]
fn a_revision_that_another_name_of_the_asset_made_is_none_from_elsewhere() {
    let known = || {
        let known = KnownBuilder::default().revision("a.fbx", 11, 1, 1).revision("a.fbx", 11, 2, 2).left("a.fbx");
        known.revision("b.fbx", 11, 1, 1).elsewhere("b.fbx", 11, 2).locked("b.fbx")
    };
    check(vec![want("b.fbx", 2)], known(), "");
    check(vec![want("b.fbx", 3)], known(), "update_content b.fbx 11: the file changed");
    let unknown = || known().elsewhere("a.fbx", 11, 3).elsewhere("b.fbx", 11, 3);
    check(
        vec![want("b.fbx", 4)],
        unknown(),
        "held b.fbx: revision 3 of asset 11 was made on Roblox, outside of Macadam",
    );
}

fn model() -> KnownBuilder {
    KnownBuilder::default().fact("b.fbx", 11, 1, |fact| {
        fact.content = Some(hash(1));
        fact.made = Some((days_ago(9), Origin::Create));
    })
}

const ELSEWHERE: &str = "revision 2 of asset 11 was made on Roblox, outside of Macadam";
/// The same as a drift, which names its asset beside.
const DRIFT: &str = "revision 2 was made on Roblox, outside of Macadam";

#[test]
fn the_file_is_put_over_what_somebody_else_made_only_when_a_person_says_so() {
    let known = || model().points_to("b.fbx", 11).elsewhere("b.fbx", 11, 2);
    let overwrite = |content: u8, wished: bool| {
        let overwrite = wished.then(|| address("b.fbx")).into_iter().collect();
        let options = PlanOptions { overwrite, ..PlanOptions::default() };
        text(&super::super::plan(&desired(vec![want("b.fbx", content)]), &known().0, &options, NOW))
    };
    let over = "update_content b.fbx 11: the file replaces a revision that was made outside of Macadam";
    assert_eq!(overwrite(1, false), format!("drift b.fbx: {DRIFT}"));
    assert_eq!(overwrite(1, true), over);
    assert_eq!(overwrite(2, false), format!("held b.fbx: {ELSEWHERE}"));
    assert_eq!(overwrite(2, true), over);
    // The policy heals no content.
    check_desired(&repair(desired(vec![want("b.fbx", 1)])), known(), &format!("drift b.fbx: {DRIFT}"));
    check_desired(&repair(desired(vec![want("b.fbx", 2)])), known(), &format!("held b.fbx: {ELSEWHERE}"));
    // Metadata goes on beside a drifted content.
    check(
        vec![named(want("b.fbx", 1), "Sword")],
        known(),
        &format!("update_metadata b.fbx 11: display_name changed\ndrift b.fbx: {DRIFT}"),
    );
}

#[test]
fn an_import_is_no_drift_though_its_bytes_are_unknown() {
    let imported = |made: Option<Origin>| {
        KnownBuilder::default()
            .fact("b.fbx", 11, 4, |fact| fact.made = made.map(|origin| (NOW, origin)))
            .points_to("b.fbx", 11)
    };
    let update = "update_content b.fbx 11: Macadam can't compare asset 11 with the file, so it uploads the file; if they \
                  are the same, `macadam import b.fbx 11 --content-matches` keeps the asset";
    check(vec![want("b.fbx", 1)], imported(Some(Origin::Import)), update);
    check(vec![want("b.fbx", 1)], imported(None), update);
    // From a lockfile: a later one that nobody here made.
    check(vec![want("b.fbx", 1)], model().fact("b.fbx", 11, 2, |_| {}), &format!("drift b.fbx: {DRIFT}"));
    // A picture whose bytes are unknown is replaced.
    let known = KnownBuilder::default().fact("a.png", 10, 1, |fact| fact.made = Some((NOW, Origin::Import)));
    check(
        vec![want("a.png", 1)],
        known.points_to("a.png", 10),
        "replace a.png 10: Macadam can't compare asset 10 with the file, and Roblox can't update an Image, so it gets a \
         new asset ID; if they are the same, `macadam import a.png 10 --content-matches` keeps the asset",
    );
}

#[test]
fn metadata_is_reported_or_put_back_three_times_a_day() {
    let wanted = named(want("b.fbx", 1), "Sword");
    let known = |name: &str, times: usize| {
        let name = name.to_owned();
        let known = model().points_to("b.fbx", 11).asked(&wanted).repairs("b.fbx", DriftRepair::Metadata, times);
        known.seen(11, move |seen| seen.display_name = Some(name.clone()))
    };
    let drift = "drift b.fbx: the name is \"Axe\" on Roblox and \"Sword\" in assets.toml";
    let report = || desired(vec![wanted.clone()]);
    let heal = || repair(report());
    check_desired(&report(), known("Sword", 0), "");
    check_desired(&report(), known("Axe", 0), drift);
    let back = "update_metadata b.fbx 11: display_name changed, here or on Roblox, and is set as the manifest says";
    for times in 0..3 {
        check_desired(&heal(), known("Axe", times), back);
    }
    check_desired(&heal(), known("Axe", 3), &format!("{drift}; Macadam put it back 3 times today"));
    // The next day.
    let tomorrow = plan(&heal(), &known("Axe", 3).0, days_ago(-1));
    assert_eq!(text(&tomorrow), back);
    // Changed here as well: that is sent, and is no healing.
    check(vec![named(want("b.fbx", 1), "Bow")], known("Axe", 0), "update_metadata b.fbx 11: display_name changed");
    check(vec![named(want("b.fbx", 1), "Axe")], known("Axe", 0), "update_metadata b.fbx 11: display_name changed");
}

#[test]
fn a_picture_that_a_person_archived_gets_no_new_asset() {
    let by_hand = |known: KnownBuilder, path: &str| {
        known.retirements(path, 11, RetireReason::ByHand, days_ago(2), Some(days_ago(2)))
    };
    let two = || KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    let known = || by_hand(two(), "a.png");
    let held = "held a.png: its file changed, but asset 11 is archived";
    check(vec![want("a.png", 3)], known(), held);
    check_desired(&repair(desired(vec![want("a.png", 3)])), known(), held);
    // The file of before would put another asset in use as well.
    check(vec![want("a.png", 1)], known(), held);
    // It was archived for the other address that has it.
    let shared = by_hand(KnownBuilder::default().revision("b.png", 11, 1, 2).points_to("b.png", 11), "b.png");
    check(
        vec![want("a.png", 3), want("b.png", 2)],
        shared.sharing("a.png", 11, 2),
        &format!("{held}\nnote b.png: it was archived by hand; `macadam restore b.png` brings it back"),
    );
    // Somebody restored it since; or Macadam archived it, while it was not wanted.
    let replaced = "replace a.png 11: the file changed; Roblox can't update an Image, so it gets a new asset ID";
    let back = known().seen(11, |seen| seen.archived = Some(false));
    check(vec![want("a.png", 3)], back, replaced);
    let removed = two().retirements("a.png", 11, RetireReason::Removed, days_ago(2), Some(days_ago(2)));
    check(vec![want("a.png", 3)], removed, replaced);
    let options = PlanOptions { overwrite: [address("a.png")].into(), ..PlanOptions::default() };
    assert_eq!(text(&super::super::plan(&desired(vec![want("a.png", 3)]), &known().0, &options, NOW)), replaced);
}

#[test]
fn an_archived_asset_is_reported_or_restored_three_times_a_day() {
    let known = |times: usize| {
        let known = model().points_to("b.fbx", 11).repairs("b.fbx", DriftRepair::Archived, times);
        known.seen(11, |seen| seen.archived = Some(true))
    };
    let wanted = || desired(vec![want("b.fbx", 1)]);
    check_desired(&wanted(), known(0), "drift b.fbx: it was archived on Roblox, outside of Macadam");
    let back = "restore b.fbx 11: it was archived on Roblox, outside of Macadam";
    check_desired(&repair(wanted()), known(2), back);
    let enough = "drift b.fbx: it was archived on Roblox, outside of Macadam; Macadam put it back 3 times today";
    check_desired(&repair(wanted()), known(3), enough);
    // Macadam was to archive it, and somebody did before it came back.
    let to_come = known(0).retirements("b.fbx", 11, RetireReason::Removed, days_ago(2), None);
    check_desired(&repair(wanted()), to_come, back);
    // Metadata has a count of its own.
    let both = known(0).repairs("b.fbx", DriftRepair::Metadata, 3);
    check_desired(&repair(wanted()), both, back);
    // A changed file is not put into an archived asset.
    let changed = || desired(vec![want("b.fbx", 2)]);
    check_desired(&changed(), known(0), "held b.fbx: its file changed, but asset 11 is archived");
    check_desired(&repair(changed()), known(0), &format!("{back}\nupdate_content b.fbx 11: the file changed"));
}

#[test]
fn an_archived_asset_is_reported_for_every_address_that_has_it() {
    let known = || {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
        known.seen(10, |seen| seen.archived = Some(true))
    };
    let wanted = || desired(vec![want("a.png", 1), want("b.png", 1)]);
    check_desired(
        &wanted(),
        known(),
        "drift a.png: it was archived on Roblox, outside of Macadam\ndrift b.png: it was archived on Roblox, outside of Macadam",
    );
    check_desired(&repair(wanted()), known(), "restore a.png 10: it was archived on Roblox, outside of Macadam");
}

/// A Model's update would change the very asset that somebody archived, and Roblox refuses that. A
/// picture's new asset leaves the archived one alone.
#[test]
fn a_changed_picture_that_somebody_else_archived_gets_a_new_asset_and_a_changed_model_waits() {
    let picture = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
    let known = picture.seen(10, |seen| seen.archived = Some(true));
    check(
        vec![want("a.png", 2)],
        known,
        "replace a.png 10: the file changed; Roblox can't update an Image, so it gets a new asset ID",
    );
    let known = model().points_to("b.fbx", 11).seen(11, |seen| seen.archived = Some(true));
    check(vec![want("b.fbx", 2)], known, "held b.fbx: its file changed, but asset 11 is archived");
}

/// A copy of a file whose asset was archived by hand was reported as archived outside of Macadam.
#[test]
fn an_archiving_counts_for_every_address_of_the_asset() {
    let known = |why: RetireReason| {
        let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
        let known = known.retirements("a.png", 10, why, days_ago(2), Some(days_ago(1)));
        known.seen(10, |seen| seen.archived = Some(true))
    };
    let b = || desired(vec![want("b.png", 1)]);
    check_desired(
        &b(),
        known(RetireReason::ByHand),
        "note b.png: it was archived by hand; `macadam restore b.png` brings it back",
    );
    let restored = "restore b.png 10: Macadam archived it while it was not in the manifest, and it is back";
    check_desired(&b(), known(RetireReason::Replaced), restored);
    let both = desired(vec![want("a.png", 1), want("b.png", 1)]);
    let restored = "restore a.png 10: Macadam archived it while it was not in the manifest, and it is back";
    check_desired(&both, known(RetireReason::Replaced), restored);
}

/// The address that had made the asset wanted other bytes and was held, so nobody put back what the
/// other one uses.
#[test]
fn a_held_address_kept_the_asset_of_another_from_being_healed() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
    let known = known.seen(10, |seen| seen.archived = Some(true));
    let held = DesiredAsset { prevent_replace: true, ..want("a.png", 2) };
    check_desired(
        &repair(desired(vec![held, want("b.png", 1)])),
        known,
        "restore b.png 10: it was archived on Roblox, outside of Macadam
         held a.png: the file changed and Roblox can't update an Image, and `prevent_replace` forbids a new asset ID",
    );
}

#[test]
fn a_vanished_asset_is_reported_and_not_uploaded_again() {
    let gone = |known: KnownBuilder, path: &str, asset: u64| known.state(path, asset, 1, RevisionState::Gone);
    let model = || gone(model().points_to("b.fbx", 11), "b.fbx", 11);
    check(vec![want("b.fbx", 1)], model(), "drift b.fbx: Roblox no longer has its asset");
    check(vec![want("b.fbx", 2)], model(), "held b.fbx: Roblox no longer has its asset");
    let picture = || gone(KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10), "a.png", 10);
    check(vec![want("a.png", 1)], picture(), "drift a.png: Roblox no longer has its asset");
    check(vec![want("a.png", 2)], picture(), "replace a.png 10: Roblox no longer has its asset");
    let twin = picture().revision("b.png", 12, 1, 1).points_to("b.png", 12);
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        twin,
        "replace a.png 12: Roblox no longer has its asset; it shares the asset of `b.png`, which has the same bytes",
    );
}

#[test]
fn a_fresh_machine_does_not_upload_a_vanished_asset_again() {
    let known = || KnownBuilder::default().revision("a.png", 10, 1, 1).state("a.png", 10, 1, RevisionState::Gone);
    check(vec![want("a.png", 1)], known(), "drift a.png: Roblox no longer has its asset");
    // It had gone back to the older one.
    let older = known().revision("a.png", 20, 2, 2);
    check(vec![want("a.png", 1)], older, "drift a.png: Roblox no longer has its asset");
}

#[test]
fn an_older_revision_made_current_elsewhere_is_reported_unless_the_read_may_lag() {
    let known = |made: Option<Timestamp>| {
        let known = model().points_to("b.fbx", 11).fact("b.fbx", 11, 2, |fact| {
            fact.content = Some(hash(2));
            fact.made = made.map(|at| (at, Origin::UpdateContent));
        });
        known.seen(11, |seen| seen.revision = Revision::new(1).ok())
    };
    let what = "revision 1 of asset 11 was made current on Roblox in place of 2, outside of Macadam";
    let drift = format!("drift b.fbx: {}", what.replace(" of asset 11", ""));
    check(vec![want("b.fbx", 2)], known(Some(days_ago(1))), &drift);
    check(vec![want("b.fbx", 3)], known(Some(days_ago(1))), &format!("held b.fbx: {what}"));
    let just_now = Some(NOW - SignedDuration::from_secs(60));
    check(vec![want("b.fbx", 2)], known(just_now), "");
    check(vec![want("b.fbx", 3)], known(just_now), "update_content b.fbx 11: the file changed");
    // With the lockfile alone a machine can't tell when it was made.
    check(vec![want("b.fbx", 2)], known(None), &drift);
}

#[test]
fn an_asset_that_roblox_does_not_find_is_left_alone_and_not_uploaded_anew() {
    let known = || model().points_to("b.fbx", 11).tell(Change::RecordNotFound { asset_id: id(11) });
    let missing = "b.fbx: Roblox answered that it has no asset 11; that counts after 3 such answers, so far 1";
    check(vec![want("b.fbx", 2)], known(), &format!("held {missing}"));
    // Nothing is to be done about it: that is told, and no failure.
    let plan = plan(&desired(vec![want("b.fbx", 1)]), &known().0, NOW);
    assert!(plan.held.is_empty() && plan.steps.is_empty(), "{plan:?}");
    assert!(text(&plan).contains(&format!("note {missing}")), "{}", text(&plan));
}

#[test]
fn an_asset_of_another_owner_is_held_whatever_is_wanted_of_it() {
    let known = || {
        let known = model().points_to("b.fbx", 11);
        known.seen(11, |seen| seen.creator = Some(Creator::Group(GroupId::new(666).unwrap())))
    };
    let held = "held b.fbx: asset 11 belongs to group 666, and the lockfile says user 1";
    for content in [1, 2] {
        check(vec![want("b.fbx", content)], known(), held);
    }
    // An observation that is out of date says nothing.
    check(vec![want("b.fbx", 1)], known().tell(Change::MarkOutdated { asset_id: id(11) }), "");
}
