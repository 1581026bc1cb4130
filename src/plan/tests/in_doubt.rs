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

/// A possible duplicate of an upload that was not sent again would be counted, and would let the next
/// read of the lockfile give up the first one.
#[test]
fn a_held_upload_gives_up_no_create_in_doubt() {
    let check = |desired: &Desired, known: KnownBuilder, options: PlanOptions, hold: &str| {
        let plan = crate::plan::plan(desired, &known.0, &options, NOW);
        let text = text(&plan);
        assert!(plan.steps.is_empty() && text.contains(hold), "{text}");
        assert!(!text.contains("note a.png"), "{text}");
        assert_eq!(plan.marks, []);
    };
    let usual = PlanOptions::default;
    let files = crate::model::unseen_history::OpenFiles::All;
    let gap = crate::model::unseen_history::HistoryGap::Shallow;
    let unseen = Some(crate::model::unseen_history::UnseenHistory { gap, files });
    let shallow = Desired { unseen_history: unseen, ..desired(vec![want("a.png", 1)]) };
    check(&shallow, known_in_doubt(false), usual(), "this is a shallow clone");

    let missing = crate::model::missing_lockfile::MissingLockfile {
        name: "assets.lock.toml".to_owned(),
        in_git: crate::model::missing_lockfile::InGit::Head(crate::model::missing_lockfile::WayBack::Index),
        others: Vec::new(),
        was_known: false,
        is_written_anew: false,
    };
    let lost = PlanOptions { missing_lockfile: Some(missing), ..usual() };
    check(&desired(vec![want("a.png", 1)]), known_in_doubt(false), lost, "assets.lock.toml");

    let spent = SpentQuota { until: NOW + SignedDuration::from_hours(1), message: "too many".to_owned() };
    let quota = Change::SetSpentQuota { creator: creator(1), asset_type: AssetType::Image, spent: Some(spent) };
    check(&desired(vec![want("a.png", 1)]), known_in_doubt(false).tell(quota), usual(), "too many");

    let rejected = known_in_doubt(false)
        .fact("b.png", 7, 1, |fact| (fact.content, fact.state) = (Some(hash(1)), RevisionState::Rejected));
    let wanted = desired(vec![want("a.png", 1), want("b.png", 2)]);
    let plan = plan(&wanted, &rejected.0, NOW);
    assert!(plan.held.iter().any(|hold| hold.address == address("a.png")), "{}", text(&plan));
    assert_eq!(abandoned(&plan), 0, "{:?}", plan.marks);
}

/// The number of changes under way that a plan gives up.
fn abandoned(plan: &Plan) -> usize {
    let abandons = |mark: &&Change| matches!(mark, Change::Advance { event: PhaseEvent::Abandon, .. });
    plan.marks.iter().filter(abandons).count()
}

#[test]
fn a_create_in_doubt_without_another_in_its_place_is_not_called_sent_again() {
    let note = "note a.png: the answer to an earlier upload of it got lost, and it has an asset from another one; there may be a second copy of it on Roblox";
    let check = |wanted: Vec<DesiredAsset>, known: KnownBuilder, step: &str| {
        let mut recorded = known.0;
        let given_up = plan(&desired(wanted.clone()), &recorded, NOW);
        assert_eq!(text(&given_up), format!("{step}\n{note}").trim_start());
        assert_eq!(abandoned(&given_up), 1);
        given_up.marks.iter().for_each(|mark| recorded.apply(mark, NOW).unwrap());
        assert_eq!(recorded.assets[&address("a.png")].possible_duplicates.len(), 1);
        assert_eq!(recorded.assets[&address("a.png")].blocked.as_deref(), None);
        assert_eq!(abandoned(&plan(&desired(wanted), &recorded, NOW)), 0);
    };
    let shares = "create a.png 7: not on Roblox yet; it shares the asset of `b.png`, which has the same bytes";
    let has_it = || known_in_doubt(false).revision("b.png", 7, 1, 1).points_to("b.png", 7);
    check(vec![want("a.png", 1), want("b.png", 1)], has_it(), shares);
    let back = known_in_doubt(false).revision("a.png", 7, 1, 2).revision("a.png", 8, 2, 3).points_to("a.png", 8);
    check(vec![want("a.png", 2)], back, "replace a.png 7: the file is again the one of asset 7");

    // Until the other upload is there it is open whether this one is needed again.
    let wanted = || vec![want("a.png", 1), named(want("b.png", 1), "b")];
    let plan = plan(&desired(wanted()), &known_in_doubt(false).0, NOW);
    let waits = "create a.png: not on Roblox yet; it shares the upload of `b.png`, which has the same bytes
create b.png: not on Roblox yet";
    assert_eq!(text(&plan), waits);
    assert_eq!(plan.marks, []);
    let shared = known_in_doubt(false).revision("b.png", 7, 1, 1).points_to("b.png", 7).sharing("a.png", 7, 1);
    let asked = shared.asked(&named(want("b.png", 1), "b"));
    check(wanted(), asked, "");
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
