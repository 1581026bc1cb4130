//! Which asset ID the game is given for an address, whatever becomes of the file's content.

use super::*;
use crate::model::recorded::Record;
use crate::plan::current::for_game;

/// What a machine with a state gives, and one that has nothing but the lockfile.
#[track_caller]
fn check_id(want: Option<&DesiredAsset>, path: &str, known: KnownBuilder, with_state: u64, with_lockfile: u64) {
    let mut recorded = known.0;
    let record = recorded.assets.get_mut(&address(path)).unwrap();
    check_in(&desired(want.cloned().into_iter().collect()), record, path, (with_state, with_lockfile));
}

/// The same in a checkout that wants this.
#[track_caller]
fn check_in(desired: &Desired, record: &mut Record, path: &str, expected: (u64, u64)) {
    let of = address(path);
    let number = |record: &Record| for_game(desired, &of, record).map_or(0, |(key, _)| key.asset_id.get());
    let first = number(record);
    record.points_to = None;
    assert_eq!((first, number(record)), expected);
}

/// A picture that was replaced once.
fn picture() -> KnownBuilder {
    KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 2, 2).points_to("a.png", 20)
}

fn model() -> KnownBuilder {
    KnownBuilder::default().revision("b.fbx", 11, 1, 1).revision("b.fbx", 11, 2, 2).points_to("b.fbx", 11)
}

#[test]
fn the_files_content_decides() {
    check_id(Some(&want("a.png", 2)), "a.png", picture(), 20, 20);
    check_id(Some(&want("a.png", 1)), "a.png", picture(), 10, 10);
    check_id(Some(&want("b.fbx", 1)), "b.fbx", model(), 11, 11);
}

#[test]
fn content_without_an_asset_leaves_the_last_one() {
    check_id(Some(&want("a.png", 3)), "a.png", picture(), 20, 20);
    check_id(Some(&missing(want("a.png", 3))), "a.png", picture(), 20, 20);
    check_id(Some(&want("b.fbx", 3)), "b.fbx", model(), 11, 11);
    check_id(None, "a.png", picture(), 20, 20);
    check_id(Some(&want("a.png", 1)), "a.png", KnownBuilder::default().enrolled("a.png"), 0, 0);
}

#[test]
fn a_pin_decides_before_the_content() {
    check_id(Some(&pinned(want("a.png", 2), 10)), "a.png", picture(), 10, 10);
    check_id(Some(&pinned(want("b.fbx", 2), 1)), "b.fbx", model(), 11, 11);
    // Of an asset that it never had nothing is known.
    check_id(Some(&pinned(want("a.png", 1), 99)), "a.png", picture(), 20, 20);
}

#[test]
fn a_pin_decides_where_the_file_is_absent_too() {
    let place = |asset| StrayPlace::Pin(Pin::Asset(id(asset)));
    let check = |asset, expected| {
        let stray = vec![Stray { to: address("a.png"), place: place(asset) }];
        let mut known = picture().0;
        let record = known.assets.get_mut(&address("a.png")).unwrap();
        check_in(&Desired { stray, ..desired(vec![]) }, record, "a.png", expected);
    };
    check(10, (10, 10));
    check(20, (20, 20));
    check(99, (20, 20));
}

#[test]
fn rejected_or_lost_content_gives_the_asset_of_before() {
    for state in [RevisionState::Rejected, RevisionState::Gone] {
        let late = picture().state("a.png", 20, 2, state);
        check_id(Some(&want("a.png", 2)), "a.png", late, 10, 10);
        // Without another one the ID stays: an appeal may bring it back.
        let only =
            KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).state("a.png", 10, 1, state);
        check_id(Some(&want("a.png", 1)), "a.png", only, 10, 10);
    }
    check_id(Some(&want("b.fbx", 2)), "b.fbx", model().state("b.fbx", 11, 2, RevisionState::Rejected), 11, 11);
}

#[test]
fn an_archived_asset_keeps_its_id() {
    let archived = picture().retirements("a.png", 20, RetireReason::ByHand, days_ago(1), Some(days_ago(1)));
    check_id(Some(&want("a.png", 2)), "a.png", archived, 20, 20);
}

#[test]
fn of_two_assets_for_one_content_the_lockfiles_choice_counts() {
    let twins = || KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 20, 1, 1);
    let listed = |asset: u64| {
        let mut known = twins();
        known.0.assets.get_mut(&address("a.png")).unwrap().history.list(id(asset), Some(Listing::Listed));
        known
    };
    check_id(Some(&want("a.png", 1)), "a.png", listed(10), 10, 10);
    check_id(Some(&want("a.png", 1)), "a.png", listed(20), 20, 20);
    check_id(Some(&want("a.png", 3)), "a.png", listed(20), 20, 20);
}
