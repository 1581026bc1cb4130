use super::*;
use crate::model::asset::{AssetType, FileFormat, Privacy};
use crate::model::change::Change;
use crate::model::desired::{Absences, DesiredAsset, Pin};
use crate::model::digest;
use crate::model::file::{ContentFacts, FileFacts, FileProblem};
use crate::model::history::{Origin, RevisionFact, RevisionKey, Standing};
use crate::model::ids::{AssetId, ContentHash, Creator, OperationId, Revision, UserId};
use crate::model::metadata::{Description, DisplayName, FieldDigests, Metadata};
use crate::model::path::ProjectPath;
use crate::model::phase::{Intent, PhaseEvent};
use crate::model::policy::{AmbiguousCreate, Policy};
use crate::model::recorded::{AttemptId, Identity, Objection, Trouble};
use crate::plan::metadata::{Comparison, compare};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A plan without a person's wishes.
fn plan(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Plan {
    super::plan(desired, recorded, &Wishes::default(), now)
}

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn id(number: u64) -> AssetId {
    AssetId::new(number).unwrap()
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn creator(number: u64) -> Creator {
    Creator::User(UserId::new(number).unwrap())
}

/// A wanted asset: its type follows from the extension, its content is one byte.
fn want(path: &str, content: u8) -> DesiredAsset {
    let path = ProjectPath::new(path).unwrap();
    let format = FileFormat::of_extension(&path.extension().unwrap()).unwrap();
    let facts = FileFacts { size: 3, hash: hash(content), format, content: ContentFacts::Opaque };
    DesiredAsset {
        path,
        asset_type: format.types().first().copied(),
        creator: creator(1),
        content: Ok(facts),
        metadata: Metadata::default(),
        privacy: Privacy::Default,
        expected_price: None,
        prevent_replace: false,
        pin: None,
        grants: Vec::new(),
    }
}

fn named(want: DesiredAsset, name: &str) -> DesiredAsset {
    let metadata = Metadata { display_name: Some(DisplayName::new(name).unwrap()), ..want.metadata.clone() };
    DesiredAsset { metadata, ..want }
}

fn described(want: DesiredAsset, text: &str) -> DesiredAsset {
    let metadata = Metadata { description: Some(Description::new(text).unwrap()), ..want.metadata.clone() };
    DesiredAsset { metadata, ..want }
}

fn desired(assets: Vec<DesiredAsset>) -> Desired {
    Desired { assets: assets.into_iter().map(|a| (address(a.path.as_str()), a)).collect(), ..Desired::default() }
}

/// What is known, told as the changes that made it known.
#[derive(Default)]
struct Known(Recorded);

impl Known {
    fn tell(mut self, change: Change) -> Self {
        self.0.apply(&change, NOW).unwrap();
        self
    }

    fn enrolled(self, path: &str) -> Self {
        let wanted = want(path, 0);
        let identity = Identity {
            asset_type: wanted.asset_type.unwrap(),
            creator: wanted.creator,
            privacy: wanted.privacy,
            path: wanted.path,
        };
        self.tell(Change::Enroll { address: address(path), identity })
    }

    /// A revision of `path` with its asset's ordinal; a Model's version is its ordinal too.
    fn revision(self, path: &str, asset: u64, ordinal: u32, content: u8) -> Self {
        self.fact(path, asset, ordinal, |fact| fact.content = Some(hash(content)))
    }

    fn fact(self, path: &str, asset: u64, ordinal: u32, edit: impl Fn(&mut RevisionFact)) -> Self {
        let known = if self.0.assets.contains_key(&address(path)) { self } else { self.enrolled(path) };
        let model = want(path, 0).asset_type == Some(AssetType::Model);
        let version = model.then(|| Revision::new(u64::from(ordinal)).unwrap());
        let mut fact = RevisionFact {
            ordinal: if model { 1 } else { ordinal },
            content: None,
            standing: Standing::Live,
            shared: false,
            duplicate: false,
            made: None,
        };
        edit(&mut fact);
        known.tell(Change::Learn { address: address(path), key: RevisionKey { asset_id: id(asset), version }, fact })
    }

    fn points_to(self, path: &str, asset: u64) -> Self {
        self.tell(Change::Point { address: address(path), asset_id: id(asset) })
    }

    fn asked(self, like: &DesiredAsset) -> Self {
        self.tell(Change::Ask {
            address: address(like.path.as_str()),
            fields: like.metadata.digests(),
            stored: FieldDigests::new(),
        })
    }

    fn create_under_way(self, path: &str, content: u8, costly: bool, events: &[PhaseEvent]) -> Self {
        let attempt = AttemptId(self.0.next_attempt);
        let intent = Intent::Create { content: hash(content), fields: FieldDigests::new(), costly, replaces: false };
        let mut known = self.enrolled(path).tell(Change::Begin { attempt, address: address(path), intent });
        for event in events {
            known = known.tell(Change::Advance { attempt, event: event.clone() });
        }
        known
    }
}

fn text(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for step in &plan.steps {
        let asset = step.action.asset_id().map(|id| format!(" {id}")).unwrap_or_default();
        lines.push(format!("{} {}{asset}: {}", step.action.name(), step.address, step.reason));
    }
    lines.extend(plan.held.iter().map(|hold| format!("{} {}: {}", hold.kind, hold.address, hold.reason)));
    lines.extend(plan.drifts.iter().map(|drift| format!("drift {}: {}", drift.address, drift.what)));
    let about = |note: &Note| note.address.as_ref().map(|address| format!(" {address}")).unwrap_or_default();
    lines.extend(plan.notes.iter().map(|note| format!("note{}: {}", about(note), note.text)));
    lines.join("\n")
}

fn check(wanted: Vec<DesiredAsset>, known: Known, expected: &str) {
    check_desired(&desired(wanted), known, expected);
}

fn check_desired(desired: &Desired, known: Known, expected: &str) {
    let plan = plan(desired, &known.0, NOW);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(text(&plan), expected.join("\n"));
}

#[test]
fn what_is_new_is_created_and_what_is_known_is_left() {
    check(
        vec![want("a.png", 1), want("b.fbx", 2)],
        Known::default(),
        "create a.png: it is new\ncreate b.fbx: it is new",
    );
    let known = Known::default().revision("a.png", 10, 1, 1).revision("b.fbx", 11, 1, 2);
    check(vec![want("a.png", 1), want("b.fbx", 2)], known, "");
}

#[test]
fn changed_content_is_updated_or_replaced_by_type() {
    let known = || Known::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).revision("b.fbx", 11, 1, 2);
    check(
        vec![want("a.png", 3), want("b.fbx", 4)],
        known(),
        "replace a.png 10: its content changed, and this type can't be updated in place
         update_content b.fbx 11: its content changed from 02020202 to 04040404",
    );
    let held = DesiredAsset { prevent_replace: true, ..want("a.png", 3) };
    check(
        vec![held],
        known(),
        "held a.png: its content changed, and this type can't be updated in place, and `prevent_replace` forbids a new asset ID",
    );
}

#[test]
fn an_earlier_content_of_an_immutable_type_is_pointed_to_not_uploaded() {
    let known = Known::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
    check(vec![want("a.png", 1)], known, "replace a.png 10: its content is again that of asset 10");
    let known = Known::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2);
    check(vec![want("a.png", 1)], known, "");
}

#[test]
fn an_earlier_content_of_a_model_is_uploaded_again() {
    let known = Known::default().revision("b.fbx", 11, 1, 1).revision("b.fbx", 11, 2, 2);
    check(vec![want("b.fbx", 1)], known, "update_content b.fbx 11: its content changed from 02020202 to 01010101");
}

#[test]
fn equal_bytes_of_an_immutable_type_are_uploaded_once() {
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        Known::default(),
        "create a.png: it is new\ncreate b.png: it is new; the same bytes are uploaded for `a.png`",
    );
    check(
        vec![want("a.png", 1), named(want("b.png", 1), "B")],
        Known::default(),
        "create a.png: it is new; the same bytes are uploaded for `b.png`\ncreate b.png: it is new",
    );
    let two_names = vec![named(want("a.png", 1), "A"), named(want("b.png", 1), "B")];
    check(two_names, Known::default(), "create a.png: it is new\ncreate b.png: it is new");
    check(
        vec![want("b.png", 1)],
        Known::default().revision("a.png", 10, 1, 1),
        "create b.png 10: it is new; `a.png` has an asset with the same bytes",
    );
    check(
        vec![want("a.fbx", 1), want("b.fbx", 1)],
        Known::default(),
        "create a.fbx: it is new\ncreate b.fbx: it is new",
    );
    let other = DesiredAsset { creator: creator(2), ..want("b.png", 1) };
    check(vec![want("a.png", 1), other], Known::default(), "create a.png: it is new\ncreate b.png: it is new");
}

#[test]
fn whoever_shares_says_nothing_about_metadata_until_it_differs() {
    let shared = || {
        let known = Known::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
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
        "replace b.png 10: it shares an asset whose metadata it wants otherwise",
    );
    check(vec![named(want("b.png", 1), "B")], shared(), "update_metadata b.png 10: display_name changed");
}

#[test]
fn whoever_waits_for_a_held_upload_is_held() {
    let mut known = Known::default().enrolled("a.png");
    let refused = Trouble::Refused {
        subject: digest::subject(Some(hash(1)), &FieldDigests::new()),
        action: "create".to_owned(),
        objection: Objection::Other,
        message: "InvalidImage".to_owned(),
        at: NOW,
    };
    known = known.tell(Change::Rest { address: address("a.png"), trouble: Some(refused) });
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known,
        "failed a.png: Roblox refused to create it: InvalidImage
         held b.png: it shares the upload of `a.png`, which is held",
    );
}

#[test]
fn a_refusal_ends_with_new_content_and_a_retry_keeps_its_time() {
    let subject = digest::subject(Some(hash(1)), &FieldDigests::new());
    let later: Timestamp = "1970-01-01T00:01:00Z".parse().unwrap();
    let trouble = Trouble::Retrying { subject, failures: 2, doubts: 0, next_at: later, message: "502".to_owned() };
    let known = || {
        let rest = Change::Rest { address: address("a.png"), trouble: Some(trouble.clone()) };
        Known::default().enrolled("a.png").tell(rest)
    };
    let times = |content: u8| {
        let plan = plan(&desired(vec![want("a.png", content)]), &known().0, NOW);
        plan.steps.iter().map(|step| step.not_before).collect::<Vec<_>>()
    };
    assert_eq!(times(1), [Some(later)]);
    assert_eq!(times(2), [None], "new content starts anew");
}

#[test]
fn a_create_that_is_never_answered_is_not_fed_copies_without_end() {
    let resting = |doubts: u32, content: u8| {
        let subject = digest::subject(Some(hash(content)), &FieldDigests::new());
        let trouble =
            Trouble::Retrying { subject, failures: doubts, doubts, next_at: NOW, message: "reset".to_owned() };
        Change::Rest { address: address("a.png"), trouble: Some(trouble) }
    };
    let doubtful = || {
        let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
        Known::default().create_under_way("a.png", 1, false, &doubt)
    };
    let again = "create a.png: it is new
         note a.png: the outcome of an earlier create is unknown; it is sent again and may exist twice";
    check(vec![want("a.png", 1)], doubtful(), again);
    check(vec![want("a.png", 1)], doubtful().tell(resting(1, 1)), again);
    check(vec![want("a.png", 1)], doubtful().tell(resting(2, 2)), again);
    let held =
        "held a.png: nobody knows whether its create of 1970-01-01T00:00:00Z, the last of 3 in a row, was carried out";
    check(vec![want("a.png", 1)], doubtful().tell(resting(2, 1)), held);
    let retry = Policy { ambiguous_create: AmbiguousCreate::Retry, ..Policy::default() };
    let insists = Desired { policy: retry, ..desired(vec![want("a.png", 1)]) };
    check_desired(&insists, doubtful().tell(resting(2, 1)), held);

    // Giving up counts, also after a crash that wrote nothing down.
    let counted = |known: Known| {
        let mut recorded = known.0;
        let plan = plan(&desired(vec![want("a.png", 1)]), &recorded, NOW);
        plan.marks.iter().for_each(|mark| recorded.apply(mark, NOW).unwrap());
        match &recorded.assets[&address("a.png")].trouble {
            Some(Trouble::Retrying { doubts, .. }) => *doubts,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(counted(Known::default().create_under_way("a.png", 1, false, &[PhaseEvent::HandOver])), 1);
    assert_eq!(counted(doubtful().tell(resting(1, 1))), 2);
}

#[test]
fn metadata_is_updated_by_exactly_what_changed() {
    let wanted = || described(named(want("b.fbx", 1), "Sword"), "A sword");
    let known = |asked: &DesiredAsset| Known::default().revision("b.fbx", 11, 1, 1).asked(asked);
    check(vec![wanted()], known(&wanted()), "");
    check(
        vec![wanted()],
        known(&described(want("b.fbx", 1), "A sword")),
        "update_metadata b.fbx 11: display_name changed",
    );
    check(vec![wanted()], known(&want("b.fbx", 1)), "update_metadata b.fbx 11: display_name and description changed");
    check(vec![named(want("b.fbx", 1), "Sword")], known(&wanted()), "update_metadata b.fbx 11: description changed");
    check(vec![described(want("b.fbx", 1), "A sword")], known(&wanted()), "");
    check(vec![want("b.fbx", 1)], known(&described(want("b.fbx", 1), "")), "");
    check(
        vec![described(named(want("b.fbx", 2), "Blade"), "A sword")],
        known(&wanted()),
        "update_content b.fbx 11: its content changed from 01010101 to 02020202
         update_metadata b.fbx 11: display_name changed",
    );
}

#[test]
fn rejected_content_is_not_uploaded_again() {
    let known = Known::default()
        .revision("a.png", 10, 1, 1)
        .revision("b.fbx", 11, 1, 1)
        .fact("a.png", 10, 1, |fact| fact.standing = Standing::Rejected)
        .fact("b.fbx", 11, 1, |fact| fact.standing = Standing::Rejected);
    check(
        vec![want("a.png", 1), want("b.fbx", 1)],
        known,
        "rejected a.png: Roblox's moderation rejected this content
         rejected b.fbx: Roblox's moderation rejected this content",
    );
}

#[test]
fn a_revision_made_elsewhere_holds_the_update() {
    let known = || {
        Known::default().revision("b.fbx", 11, 1, 1).fact("b.fbx", 11, 2, |fact| {
            fact.made = Some((NOW, Origin::Elsewhere));
        })
    };
    check(vec![want("b.fbx", 2)], known(), "held b.fbx: somebody else made revision 2 of asset 11");
    check(vec![want("b.fbx", 1)], known(), "drift b.fbx: somebody else made revision 2 of asset 11");
}

#[test]
fn an_unusable_file_a_changed_owner_and_a_changed_type_are_held() {
    let broken = FileProblem { message: "no such file".to_owned(), hint: None };
    let known = || Known::default().revision("a.png", 10, 1, 1).revision("b.rbxm", 11, 1, 1);
    check(
        vec![
            DesiredAsset { content: Err(broken), ..want("a.png", 1) },
            DesiredAsset { creator: creator(2), ..want("b.rbxm", 2) },
        ],
        known(),
        "failed a.png: no such file\nheld b.rbxm: its creator changed from user:1 to user:2",
    );
    check(
        vec![DesiredAsset { asset_type: Some(AssetType::Animation), ..want("b.rbxm", 2) }],
        Known::default().revision("b.rbxm", 11, 1, 1),
        "held b.rbxm: its type changed from Model to Animation",
    );
}

#[test]
fn what_left_the_manifest_is_marked_and_another_branchs_is_left_alone() {
    let known = Known::default().revision("a.png", 10, 1, 1).revision("b.png", 11, 1, 2);
    let known = known.tell(Change::Lock { address: address("a.png"), in_lockfile: true });
    let plan = plan(&desired(vec![]), &known.0, NOW);
    assert_eq!(plan.marks, [Change::Remove { address: address("a.png"), removed: true }]);
    assert_eq!(text(&plan), "note a.png: left the manifest; its asset at Roblox is kept");
}

#[test]
fn what_is_absent_is_not_removed_where_something_is_missing_as_a_whole() {
    let known = ["a.png", "b.png", "c.png", "d.png"].into_iter().zip(10..);
    let known = known.fold(Known::default(), |known, (path, id)| known.revision(path, id, 1, 1).points_to(path, id));
    let lock = |path: &str| Change::Lock { address: address(path), in_lockfile: true };
    let known = ["a.png", "b.png", "c.png"].into_iter().fold(known, |known, path| known.tell(lock(path)));
    let known = known.tell(Change::Remove { address: address("b.png"), removed: true });
    let absences = Absences::DontCount { why: "no folder".to_owned() };
    let check = |wanted: Vec<DesiredAsset>, marks: &[Change], expected: &str| {
        let plan = plan(&Desired { absences: absences.clone(), ..desired(wanted) }, &known.0, NOW);
        assert_eq!((plan.marks.as_slice(), text(&plan).as_str()), (marks, expected));
    };
    check(vec![], &[], "note: 2 assets are absent and not taken for removed: no folder");
    let back = Change::Remove { address: address("b.png"), removed: false };
    let asked = |paths: &[&str]| paths.iter().map(|path| want(path, 1)).collect::<Vec<_>>();
    check(asked(&["a.png", "b.png", "c.png"]), &[back], "");
}

#[test]
fn what_is_under_way_is_followed_and_doubt_follows_the_policy() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = Known::default().create_under_way("a.png", 1, false, &[PhaseEvent::HandOver, accepted]);
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known,
        "wait a.png: Roblox works on operation op\ncreate b.png: it is new; the same bytes are uploaded for `a.png`",
    );
    let doubt = [PhaseEvent::HandOver, PhaseEvent::Doubt];
    let held = "held a.png: nobody knows whether its create of 1970-01-01T00:00:00Z was carried out";
    let again = "create a.png: it is new
         note a.png: the outcome of an earlier create is unknown; it is sent again and may exist twice";
    let check_policy = |policy: AmbiguousCreate, costly: bool, expected: &str| {
        let mut desired = desired(vec![want("a.png", 1)]);
        desired.policy.ambiguous_create = policy;
        check_desired(&desired, Known::default().create_under_way("a.png", 1, costly, &doubt), expected);
    };
    check_policy(AmbiguousCreate::Auto, false, again);
    check_policy(AmbiguousCreate::Auto, true, held);
    check_policy(AmbiguousCreate::Retry, true, again);
    check_policy(AmbiguousCreate::Hold, false, held);
}

/// A branch cleared a description, and forgot that it had: back on the other branch its lockfile's description was believed to be stored.
#[test]
fn what_was_asked_for_is_remembered_though_it_is_no_longer_managed() {
    let asked = described(named(want("b.fbx", 1), "Sword"), "A sword").metadata.digests();
    let Comparison { fields, .. } = compare(&FieldDigests::new(), &asked, None);
    let cleared = described(named(want("b.fbx", 1), "Sword"), "").metadata.digests();
    assert_eq!(fields, cleared);
    let again = compare(&FieldDigests::new(), &fields, None);
    assert_eq!(again, Comparison { changed: Vec::new(), fields });
}

#[test]
fn a_pinned_address_is_left_alone() {
    let known = Known::default().revision("b.fbx", 11, 1, 1);
    let pinned = DesiredAsset { pin: Some(Pin::Revision(Revision::new(1).unwrap())), ..want("b.fbx", 2) };
    check(
        vec![pinned],
        known,
        "note b.fbx: is pinned to revision 1; its file has other bytes, which wait for `macadam unpin b.fbx`",
    );
}

fn known_doubt(costly: bool) -> Known {
    Known::default().create_under_way("a.png", 1, costly, &[PhaseEvent::HandOver, PhaseEvent::Doubt])
}

#[test]
fn a_create_sent_again_after_doubt_was_uploaded_once_more_for_each_sharer() {
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known_doubt(false),
        "create a.png: it is new
         create b.png: it is new; the same bytes are uploaded for `a.png`
         note a.png: the outcome of an earlier create is unknown; it is sent again and may exist twice",
    );
}

#[test]
fn the_bytes_of_a_held_create_in_doubt_were_uploaded_for_another_address() {
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known_doubt(true),
        "held a.png: nobody knows whether its create of 1970-01-01T00:00:00Z was carried out
         held b.png: it shares the upload of `a.png`, which is held",
    );
}

#[test]
fn an_operation_was_forgotten_over_a_younger_create_in_doubt() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = Known::default()
        .create_under_way("a.png", 1, false, &[PhaseEvent::HandOver, accepted])
        .create_under_way("a.png", 1, false, &[PhaseEvent::HandOver, PhaseEvent::Doubt]);
    check(vec![want("a.png", 1)], known, "wait a.png: Roblox works on operation op");
}

#[test]
fn a_create_in_doubt_was_given_up_though_nothing_took_its_place() {
    let broken = FileProblem { message: "no such file".to_owned(), hint: None };
    let desired = desired(vec![DesiredAsset { content: Err(broken), ..want("a.png", 1) }]);
    let plan = plan(&desired, &known_doubt(false).0, NOW);
    assert_eq!(text(&plan), "failed a.png: no such file");
    assert_eq!(plan.marks, []);
}

#[test]
fn the_operation_of_an_address_that_left_was_never_polled_and_its_asset_lost() {
    let accepted = PhaseEvent::Accept(OperationId::new("op").unwrap());
    let known = || Known::default().create_under_way("b.png", 1, false, &[PhaseEvent::HandOver, accepted.clone()]);
    let wait = "wait b.png: Roblox works on operation op";
    check(vec![], known(), wait);
    check(vec![want("c.png", 2)], known(), &format!("{wait}\ncreate c.png: it is new"));
    // A file that was renamed meanwhile.
    check(
        vec![want("a.png", 1)],
        known(),
        &format!("create a.png: it is new; the same bytes are uploaded for `b.png`\n{wait}"),
    );
}

#[test]
fn rejected_content_was_uploaded_again_under_another_address() {
    let known = || {
        Known::default().fact("a.png", 10, 1, |fact| {
            fact.content = Some(hash(1));
            fact.standing = Standing::Rejected;
        })
    };
    let rejected = "rejected b.png: Roblox's moderation rejected this content, as `a.png`";
    check(vec![want("b.png", 1)], known(), rejected);
    check(vec![want("b.png", 1)], known().revision("b.png", 11, 1, 2).points_to("b.png", 11), rejected);
    check(vec![want("b.png", 1)], known().revision("b.png", 11, 1, 1).points_to("b.png", 11), "");
}

#[test]
fn an_address_that_can_not_upload_held_whoever_has_the_same_bytes() {
    let known = || Known::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
    let new = "create b.png: it is new";
    check(
        vec![DesiredAsset { pin: Some(Pin::Asset(id(10))), ..want("a.png", 2) }, want("b.png", 2)],
        known(),
        &format!(
            "{new}\nnote a.png: is pinned to revision 1; its file has other bytes, which wait for `macadam unpin a.png`"
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
        &format!("{new}\nheld a.png: its creator changed from user:1 to user:2"),
    );
}

#[test]
fn an_older_asset_kept_its_old_name_when_its_content_came_back() {
    let known = || {
        let known = Known::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
        known.asked(&named(want("a.png", 2), "New"))
    };
    let back = "replace a.png 10: its content is again that of asset 10";
    let renamed = format!("{back}\nupdate_metadata a.png 10: display_name changed");
    check(vec![named(want("a.png", 1), "New")], known(), &renamed);
    let seen = |name: &str| Change::See {
        asset: crate::model::remote::RemoteAsset {
            display_name: Some(name.to_owned()),
            ..crate::model::remote::RemoteAsset::unknown(id(10))
        },
    };
    check(vec![named(want("a.png", 1), "New")], known().tell(seen("Old")), &renamed);
    check(vec![named(want("a.png", 1), "New")], known().tell(seen("New")), back);
}

prop_compose! {
    fn any_want()(path in prop::sample::select(vec!["a.png", "b.png", "c.fbx", "d.fbx", "e.ogg"]), content in 0u8..4,
                  name in prop::option::of(0u8..3), broken in prop::bool::weighted(0.1), owner in 1u64..3, keep in any::<bool>()) -> DesiredAsset {
        let mut wanted = want(path, content);
        wanted.metadata.display_name = name.map(|n| DisplayName::new(&format!("n{n}")).unwrap());
        wanted.creator = creator(owner);
        wanted.prevent_replace = keep;
        if broken {
            wanted.content = Err(FileProblem { message: "broken".to_owned(), hint: None });
        }
        wanted
    }
}

prop_compose! {
    fn any_known()(facts in prop::collection::vec((prop::sample::select(vec!["a.png", "b.png", "c.fbx", "d.fbx", "x.png"]), 10u64..15, 1u32..4, prop::option::of(0u8..4), 0u8..4, any::<bool>(), any::<bool>()), 0..8)) -> Recorded {
        let mut known = Known::default();
        for (path, asset, ordinal, content, standing, shared, point) in facts {
            known = known.fact(path, asset, ordinal, |fact| {
                fact.content = content.map(hash);
                fact.standing = Standing::ALL[usize::from(standing)];
                fact.shared = shared;
            });
            if point {
                known = known.points_to(path, asset);
            }
        }
        known.0
    }
}

proptest! {
    #[test]
    fn every_plan_is_sound_and_repeatable(wanted in prop::collection::vec(any_want(), 0..6), recorded in any_known()) {
        let desired = desired(wanted);
        let first = plan(&desired, &recorded, NOW);
        prop_assert_eq!(lint::check(&first), Vec::<String>::new());
        prop_assert_eq!(&plan(&desired, &recorded, NOW), &first);
        for address in desired.assets.keys() {
            let spoken = first.steps.iter().any(|s| s.address == *address) || first.held.iter().any(|h| h.address == *address);
            let settled = recorded.assets.get(address).is_some_and(|r| !r.history.is_empty());
            prop_assert!(spoken || settled, "{} is neither planned nor held nor known", address);
        }
    }

    #[test]
    fn carrying_out_the_marks_leaves_no_marks(wanted in prop::collection::vec(any_want(), 0..6), recorded in any_known()) {
        let desired = desired(wanted);
        let mut recorded = recorded;
        for mark in &plan(&desired, &recorded, NOW).marks {
            recorded.apply(mark, NOW).unwrap();
        }
        prop_assert_eq!(plan(&desired, &recorded, NOW).marks, vec![]);
    }
}
