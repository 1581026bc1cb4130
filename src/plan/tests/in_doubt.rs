//! Creates whose outcome is unknown, and what is under way.

use super::*;

#[test]
fn a_create_that_is_never_answered_is_not_fed_copies_without_end() {
    let resting = |doubts: u32, content: u8| {
        let input_digest = metadata_digest::input_digest(Some(hash(content)), &FieldDigests::new());
        let blocked =
            Blocked::Retrying { input_digest, failures: doubts, doubts, next_at: NOW, message: "reset".to_owned() };
        Change::SetBlocked { address: address("a.png"), blocked: Some(blocked) }
    };
    let doubtful = || {
        let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
        KnownBuilder::default().create_under_way("a.png", 1, false, &doubt)
    };
    let again = "create a.png: not on Roblox yet
         note a.png: it is uploaded again because the first answer got lost; there may now be two copies of it on Roblox";
    check(vec![want("a.png", 1)], doubtful(), again);
    check(vec![want("a.png", 1)], doubtful().tell(resting(1, 1)), again);
    check(vec![want("a.png", 1)], doubtful().tell(resting(2, 2)), again);
    let held = "held a.png: its last 3 uploads, the latest of 1970-01-01 00:00 UTC, got no clear answer, so it is unknown whether Roblox has it";
    check(vec![want("a.png", 1)], doubtful().tell(resting(2, 1)), held);
    let retry = Policy { ambiguous_create: AmbiguousCreate::Retry, ..Policy::default() };
    let insists = Desired { policy: retry, ..desired(vec![want("a.png", 1)]) };
    check_desired(&insists, doubtful().tell(resting(2, 1)), held);

    // Giving up counts, also after a crash that wrote nothing down.
    let counted = |known: KnownBuilder| {
        let mut recorded = known.0;
        let plan = plan(&desired(vec![want("a.png", 1)]), &recorded, NOW);
        plan.marks.iter().for_each(|mark| recorded.apply(mark, NOW).unwrap());
        match &recorded.assets[&address("a.png")].blocked.as_deref() {
            Some(Blocked::Retrying { doubts, .. }) => *doubts,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(counted(KnownBuilder::default().create_under_way("a.png", 1, false, &[PhaseEvent::HandOver])), 1);
    assert_eq!(counted(doubtful().tell(resting(1, 1))), 2);
}

#[test]
fn open_operations_are_followed_and_doubt_follows_the_policy() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = KnownBuilder::default().create_under_way("a.png", 1, false, &[PhaseEvent::HandOver, accepted]);
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known,
        "wait a.png: sent at 1970-01-01 00:00 UTC; Roblox is still processing it\ncreate b.png: not on Roblox yet; it shares the upload of `a.png`, which has the same bytes",
    );
    let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
    let held =
        "held a.png: its upload of 1970-01-01 00:00 UTC got no clear answer, so it is unknown whether Roblox has it";
    let again = "create a.png: not on Roblox yet
         note a.png: it is uploaded again because the first answer got lost; there may now be two copies of it on Roblox";
    let check_policy = |policy: AmbiguousCreate, costly: bool, expected: &str| {
        let mut desired = desired(vec![want("a.png", 1)]);
        desired.policy.ambiguous_create = policy;
        check_desired(&desired, KnownBuilder::default().create_under_way("a.png", 1, costly, &doubt), expected);
    };
    check_policy(AmbiguousCreate::Auto, false, again);
    check_policy(AmbiguousCreate::Auto, true, held);
    check_policy(AmbiguousCreate::Retry, true, again);
    check_policy(AmbiguousCreate::Hold, false, held);
}

fn known_in_doubt(costly: bool) -> KnownBuilder {
    KnownBuilder::default().create_under_way("a.png", 1, costly, &[PhaseEvent::HandOver, PhaseEvent::Doubt])
}

#[test]
fn a_create_sent_again_after_doubt_is_uploaded_once_for_all_sharers() {
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known_in_doubt(false),
        "create a.png: not on Roblox yet
         create b.png: not on Roblox yet; it shares the upload of `a.png`, which has the same bytes
         note a.png: it is uploaded again because the first answer got lost; there may now be two copies of it on Roblox",
    );
}

#[test]
fn the_bytes_of_a_held_create_in_doubt_are_not_uploaded_for_another_address() {
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known_in_doubt(true),
        "held a.png: its upload of 1970-01-01 00:00 UTC got no clear answer, so it is unknown whether Roblox has it
         held b.png: it shares the upload of `a.png`, which is on hold",
    );
}

#[test]
fn an_operation_is_followed_beside_a_younger_create_in_doubt() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = KnownBuilder::default()
        .create_under_way("a.png", 1, false, &[PhaseEvent::HandOver, accepted])
        .create_under_way("a.png", 1, false, &[PhaseEvent::HandOver, PhaseEvent::Doubt]);
    check(vec![want("a.png", 1)], known, "wait a.png: sent at 1970-01-01 00:00 UTC; Roblox is still processing it");
}

#[test]
fn a_create_in_doubt_stays_open_until_another_takes_its_place() {
    let broken = FileProblem {
        kind: crate::model::file::FileProblemKind::Missing,
        message: "no such file".to_owned(),
        hint: None,
    };
    let desired = desired(vec![DesiredAsset { content: Err(broken), ..want("a.png", 1) }]);
    let plan = plan(&desired, &known_in_doubt(false).0, NOW);
    assert_eq!(text(&plan), "failed a.png: no such file");
    assert_eq!(plan.marks, []);
}

#[test]
fn the_operation_of_a_removed_address_is_polled_to_its_end() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known =
        || KnownBuilder::default().create_under_way("b.png", 1, false, &[PhaseEvent::HandOver, accepted.clone()]);
    let wait = "wait b.png: sent at 1970-01-01 00:00 UTC; Roblox is still processing it";
    check(vec![], known(), wait);
    check(vec![want("c.png", 2)], known(), &format!("{wait}\ncreate c.png: not on Roblox yet"));
    // A file that was renamed meanwhile.
    check(
        vec![want("a.png", 1)],
        known(),
        &format!("create a.png: not on Roblox yet; it shares the upload of `b.png`, which has the same bytes\n{wait}"),
    );
}

/// A lockfile brought one and the journal had one: each may have left an asset.
#[test]
fn two_creates_in_doubt_count_as_two() {
    let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
    let known =
        KnownBuilder::default().create_under_way("a.png", 1, false, &doubt).create_under_way("a.png", 1, false, &doubt);
    let mut recorded = known.0;
    for mark in &plan(&desired(vec![want("a.png", 1)]), &recorded, NOW).marks {
        recorded.apply(mark, NOW).unwrap();
    }
    let blocked = recorded.assets[&address("a.png")].blocked.as_deref();
    assert!(matches!(blocked, Some(Blocked::Retrying { doubts: 2, .. })), "{blocked:?}");
}
