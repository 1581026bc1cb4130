//! What is under review, rejected, or taken down.

use super::*;

#[test]
fn rejected_content_is_not_uploaded_again() {
    let known = KnownBuilder::default()
        .revision("a.png", 10, 1, 1)
        .revision("b.fbx", 11, 1, 1)
        .fact("a.png", 10, 1, |fact| fact.state = RevisionState::Rejected)
        .fact("b.fbx", 11, 1, |fact| fact.state = RevisionState::Rejected);
    check(
        vec![want("a.png", 1), want("b.fbx", 1)],
        known,
        "rejected a.png: Roblox's moderation rejected this content
         rejected b.fbx: Roblox's moderation rejected this content",
    );
}

#[test]
fn rejected_content_is_not_uploaded_under_another_address() {
    let known = || {
        KnownBuilder::default().fact("a.png", 10, 1, |fact| {
            fact.content = Some(hash(1));
            fact.state = RevisionState::Rejected;
        })
    };
    let rejected = "rejected b.png: Roblox's moderation rejected this content, uploaded as `a.png`";
    check(vec![want("b.png", 1)], known(), rejected);
    check(vec![want("b.png", 1)], known().revision("b.png", 11, 1, 2).points_to("b.png", 11), rejected);
    check(vec![want("b.png", 1)], known().revision("b.png", 11, 1, 1).points_to("b.png", 11), "");
}

#[test]
fn an_asset_under_review_is_used_and_shared() {
    let known = || KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10);
    let known = || {
        let mut known = known();
        let record = known.0.assets.get_mut(&address("a.png")).unwrap();
        record.history = Default::default();
        known.fact("a.png", 10, 1, |fact| (fact.content, fact.state) = (Some(hash(1)), RevisionState::Reviewing))
    };
    check(vec![want("a.png", 1)], known(), "");
    check(
        vec![want("b.png", 1)],
        known(),
        "create b.png 10: not on Roblox yet; it shares the asset of `a.png`, which has the same bytes",
    );
    check(vec![named(want("a.png", 1), "A")], known(), "update_metadata a.png 10: display_name changed");
}

#[test]
fn a_rejected_content_is_held_until_it_changes() {
    let rejected = |path: &str, asset: u64| {
        KnownBuilder::default().revision(path, asset, 1, 1).points_to(path, asset).state(
            path,
            asset,
            1,
            RevisionState::Rejected,
        )
    };
    let held = |path: &str| format!("rejected {path}: Roblox's moderation rejected this content");
    check(vec![want("a.png", 1)], rejected("a.png", 10), &held("a.png"));
    check(vec![named(want("a.png", 1), "A")], rejected("a.png", 10), &held("a.png"));
    check(
        vec![want("a.png", 2)],
        rejected("a.png", 10),
        "replace a.png 10: the file changed; Roblox can't update an Image, so it gets a new asset ID",
    );
    check(vec![want("b.fbx", 2)], rejected("b.fbx", 11), "update_content b.fbx 11: the file changed");
}

#[test]
fn a_file_that_reverts_to_rejected_content_is_held() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).state("a.png", 10, 1, RevisionState::Rejected);
    let known = known.revision("a.png", 20, 2, 2).points_to("a.png", 20);
    check(vec![want("a.png", 1)], known, "rejected a.png: Roblox's moderation rejected this content");
    let known = KnownBuilder::default().revision("b.fbx", 11, 1, 1).state("b.fbx", 11, 1, RevisionState::Rejected);
    let known = known.revision("b.fbx", 11, 2, 2).points_to("b.fbx", 11);
    check(vec![want("b.fbx", 1)], known, "rejected b.fbx: Roblox's moderation rejected this content");
}

#[test]
fn an_asset_that_is_taken_down_later_is_held_where_it_is_used() {
    let known = KnownBuilder::default().revision("a.png", 10, 1, 1).points_to("a.png", 10).sharing("b.png", 10, 1);
    let known = known.state("a.png", 10, 1, RevisionState::Rejected).fact("b.png", 10, 1, |fact| {
        fact.state = RevisionState::Rejected;
        fact.shared = true;
    });
    check(
        vec![want("a.png", 1), want("b.png", 1)],
        known,
        "rejected a.png: Roblox's moderation rejected this content
         rejected b.png: Roblox's moderation rejected this content",
    );
}
