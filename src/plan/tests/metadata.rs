//! Exactly the fields that changed, and what the text filter makes of them.

use super::*;
use crate::plan::metadata::{MetadataDiff, compare};

#[test]
fn metadata_is_updated_by_exactly_what_changed() {
    let wanted = || described(named(want("b.fbx", 1), "Sword"), "A sword");
    let known = |asked: &DesiredAsset| KnownBuilder::default().revision("b.fbx", 11, 1, 1).asked(asked);
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
        "update_content b.fbx 11: the file changed
         update_metadata b.fbx 11: display_name changed",
    );
}

/// A branch cleared a description, and forgot that it had: back on the other branch its lockfile's
/// description was believed to be stored.
#[test]
fn requested_metadata_is_remembered_after_the_key_is_removed() {
    let asked = described(named(want("b.fbx", 1), "Sword"), "A sword").metadata.digests();
    let MetadataDiff { fields, .. } = compare(&FieldDigests::new(), &asked, None);
    let cleared = described(named(want("b.fbx", 1), "Sword"), "").metadata.digests();
    assert_eq!(fields, cleared);
    let again = compare(&FieldDigests::new(), &fields, None);
    assert_eq!(again, MetadataDiff { changed: Vec::new(), fields });
}

#[test]
fn an_older_asset_kept_its_old_name_when_its_content_came_back() {
    let known = || {
        let known =
            KnownBuilder::default().revision("a.png", 10, 1, 1).revision("a.png", 11, 2, 2).points_to("a.png", 11);
        known.asked(&named(want("a.png", 2), "New"))
    };
    let back = "replace a.png 10: the file is again the one of asset 10";
    let renamed = format!("{back}\nupdate_metadata a.png 10: display_name changed");
    check(vec![named(want("a.png", 1), "New")], known(), &renamed);
    let seen = |name: &str| Change::RecordObservation {
        asset: crate::model::remote::RemoteAsset {
            display_name: Some(name.to_owned()),
            ..crate::model::remote::RemoteAsset::unknown(id(10))
        },
    };
    check(vec![named(want("a.png", 1), "New")], known().tell(seen("Old")), &renamed);
    check(vec![named(want("a.png", 1), "New")], known().tell(seen("New")), back);
}

/// A Model of which `asked` was asked last.
fn sword(asked: &DesiredAsset) -> KnownBuilder {
    KnownBuilder::default().revision("b.fbx", 11, 1, 1).points_to("b.fbx", 11).asked_of(asked, &[("i.png", 20)])
}

fn with_image(known: KnownBuilder) -> KnownBuilder {
    known.revision("i.png", 20, 1, 5).points_to("i.png", 20)
}

#[test]
fn each_field_is_sent_when_it_changes_and_cleared_when_its_key_goes() {
    let bare = || want("b.fbx", 1);
    let fields: [(DesiredAsset, DesiredAsset, &str); 5] = [
        (described(bare(), "A"), described(bare(), "B"), "description"),
        (with_icon(bare(), Some("assets/7")), with_icon(bare(), Some("assets/8")), "icon"),
        (with_preview(bare(), "assets/7", None), with_preview(bare(), "assets/7", Some("front")), "previews"),
        (
            with_link(bare(), Some("https://x.com/a")),
            with_link(bare(), Some("https://x.com/b")),
            "social_links.twitter",
        ),
        (named(bare(), "A"), named(bare(), "B"), "display_name"),
    ];
    for (one, other, name) in fields {
        let changed = format!("update_metadata b.fbx 11: {name} changed");
        check(vec![one.clone()], sword(&one), "");
        check(vec![other], sword(&one), &changed);
        check(vec![one.clone()], sword(&bare()), &changed);
        // A display name can't be cleared: it is no longer managed.
        let gone = if name == "display_name" { "" } else { changed.as_str() };
        check(vec![bare()], sword(&one), gone);
    }
    for (cleared, set) in [
        (described(bare(), ""), described(bare(), "A")),
        (with_icon(bare(), None), with_icon(bare(), Some("assets/7"))),
        (with_link(bare(), None), with_link(bare(), Some("https://x.com/a"))),
    ] {
        check(vec![cleared.clone()], sword(&cleared), "");
        check(vec![bare()], sword(&cleared), "");
        assert_eq!(plan(&desired(vec![cleared]), &sword(&set).0, NOW).steps.len(), 1);
    }
}

#[test]
fn fields_that_a_create_cannot_send_follow_it() {
    let wanted = with_link(described(named(want("b.fbx", 1), "Sword"), "A"), Some("https://x.com/a"));
    check(
        vec![with_icon(wanted, Some("assets/7"))],
        KnownBuilder::default(),
        "create b.fbx: not on Roblox yet
         update_metadata b.fbx: the icon and social_links.twitter are set after the upload",
    );
    check(vec![with_icon(want("b.fbx", 1), None)], KnownBuilder::default(), "create b.fbx: not on Roblox yet");
}

#[test]
fn an_icon_follows_the_asset_that_its_address_is() {
    let wanted = |content: u8| vec![with_icon(want("b.fbx", 1), Some("i.png")), want("i.png", content)];
    let asked = with_icon(want("b.fbx", 1), Some("i.png"));
    let known = || with_image(sword(&asked));
    check(wanted(5), known(), "");
    let replace = "replace i.png 20: the file changed; Roblox can't update an Image, so it gets a new asset ID";
    check(wanted(6), known(), &format!("update_metadata b.fbx 11: icon changed\n{replace}"));
    // Its image is created, shared, pinned, held.
    check(
        wanted(5),
        sword(&want("b.fbx", 1)),
        "update_metadata b.fbx 11: icon changed\ncreate i.png: not on Roblox yet",
    );
    let with_twin = |known: KnownBuilder| known.revision("j.png", 30, 1, 6).points_to("j.png", 30);
    check(
        wanted(6),
        with_twin(known()),
        "update_metadata b.fbx 11: icon changed
         replace i.png 30: the file changed; Roblox can't update an Image, so it gets a new asset ID; it shares the asset of `j.png`, which has the same bytes",
    );
    let older = || known().revision("i.png", 19, 1, 4).fact("i.png", 20, 2, |_| {});
    check(
        vec![with_icon(want("b.fbx", 1), Some("i.png")), pinned(want("i.png", 5), 19)],
        older(),
        "update_metadata b.fbx 11: icon changed
         rollback i.png 19: it is pinned to asset 19
         note i.png: it is pinned to revision 1, and its file has other content; `macadam unpin i.png` goes back to it",
    );
    let held = DesiredAsset { prevent_replace: true, ..want("i.png", 6) };
    let why =
        "held i.png: the file changed and Roblox can't update an Image, and `prevent_replace` forbids a new asset ID";
    check(vec![asked.clone(), held.clone()], known(), why);
    // One that has no asset and gets none.
    check(
        vec![asked.clone(), missing(want("i.png", 5))],
        sword(&want("b.fbx", 1)),
        "failed i.png: no such file
         note b.fbx: it shows `i.png`, which has no asset yet, so that part of it is set later",
    );
}

#[test]
fn steps_that_show_an_image_wait_for_it() {
    let wanted = vec![
        with_preview(with_icon(want("b.fbx", 1), Some("i.png")), "j.png", None),
        want("i.png", 5),
        want("j.png", 6),
    ];
    let plan = plan(&desired(wanted), &KnownBuilder::default().0, NOW);
    let after: Vec<Vec<&str>> =
        plan.steps.iter().map(|step| step.after.iter().map(Address::as_str).collect()).collect();
    assert_eq!(after, [vec![], vec!["i.png", "j.png"], vec![], vec![]]);
}

#[test]
fn a_filtered_text_is_no_change_and_no_drift() {
    let wanted = described(want("b.fbx", 1), "rude");
    let stored = [(Field::Description, FieldDigest::of_text("####"))];
    let known = || {
        sword(&wanted).tell(Change::SetMetadata {
            address: address("b.fbx"),
            fields: wanted.metadata.digests(),
            stored: stored.into(),
        })
    };
    let seen = |text: &str| {
        let text = text.to_owned();
        known().seen(11, move |seen| (seen.description, seen.display_name) = (Some(text.clone()), Some("b".to_owned())))
    };
    check(vec![wanted.clone()], known(), "");
    check(vec![wanted.clone()], seen("####"), "");
    check(vec![wanted.clone()], seen("rude"), "");
    check(
        vec![wanted.clone()],
        seen("other"),
        "drift b.fbx: the description is \"other\" on Roblox and \"rude\" in assets.toml",
    );
    check(vec![described(want("b.fbx", 1), "nice")], seen("####"), "update_metadata b.fbx 11: description changed");
}

fn neutral(desired: Desired) -> Desired {
    with_policy(desired, |policy| policy.moderated_name = ModeratedName::Neutral)
}

#[test]
fn a_refused_name_of_a_create_follows_the_policy() {
    let wanted = named(want("b.fbx", 1), "Rude");
    let input_digests = input_digest::of(&wanted, &wanted.metadata.digests());
    let known =
        |refusal_kind| KnownBuilder::default().enrolled("b.fbx").refused("b.fbx", input_digests.asset, refusal_kind);
    let held = "failed b.fbx: Roblox refused the new metadata: Moderated";
    check(vec![wanted.clone()], known(RefusalKind::DisplayName), held);
    let name = |desired: &Desired, known: KnownBuilder| {
        let plan = plan(desired, &known.0, NOW);
        plan.steps.iter().find_map(|step| match &step.action {
            Action::Create(new) => Some(new.display_name.to_string()),
            _ => None,
        })
    };
    let on = |want: DesiredAsset| neutral(desired(vec![want]));
    assert_eq!(name(&on(wanted.clone()), known(RefusalKind::DisplayName)).as_deref(), Some("Model"));
    // The neutral one was refused as well, for something else.
    assert_eq!(name(&on(wanted.clone()), known(RefusalKind::Other)), None);
    assert_eq!(name(&on(named(want("b.fbx", 1), "Nice")), known(RefusalKind::DisplayName)).as_deref(), Some("Nice"));
    assert_eq!(name(&on(wanted), KnownBuilder::default()).as_deref(), Some("Rude"));
}

#[test]
fn a_refused_name_that_stays_is_no_drift() {
    let wanted = described(named(want("b.fbx", 1), "Rude"), "A");
    let before = described(named(want("b.fbx", 1), "Sword"), "A");
    let input_digests = input_digest::of(&wanted, &wanted.metadata.digests());
    let known = || {
        let known = sword(&before).refused("b.fbx", input_digests.metadata, RefusalKind::DisplayName);
        known.seen(11, |seen| (seen.display_name, seen.description) = (Some("Sword".to_owned()), Some("A".to_owned())))
    };
    check(vec![wanted.clone()], known(), "failed b.fbx: Roblox refused the new metadata: Moderated");
    let desired = repair(neutral(desired(vec![wanted])));
    check_desired(&desired, known(), "note b.fbx: Roblox refused the display name, so the asset keeps its old one");
    let mut recorded = known().0;
    for mark in &plan(&desired, &recorded, NOW).marks {
        recorded.apply(mark, NOW).unwrap();
    }
    let after = plan(&desired, &recorded, NOW);
    assert_eq!((after.steps, after.marks, after.drifts), (vec![], vec![], vec![]));
    let sword = FieldDigest::of_text("Sword");
    assert_eq!(recorded.assets[&address("b.fbx")].stored.get(&Field::DisplayName), Some(&sword), "status shows it");
}

#[test]
fn the_rest_of_an_update_goes_on_without_a_refused_name() {
    let wanted = described(named(want("b.fbx", 1), "Rude"), "B");
    let input_digests = input_digest::of(&wanted, &wanted.metadata.digests());
    let known = sword(&described(named(want("b.fbx", 1), "Sword"), "A"));
    check_desired(
        &neutral(desired(vec![wanted])),
        known.refused("b.fbx", input_digests.metadata, RefusalKind::DisplayName),
        "update_metadata b.fbx 11: description changed
         note b.fbx: Roblox refused the display name, so the asset keeps its old one",
    );
}

#[test]
fn privacy_after_creation_is_a_note() {
    check(
        vec![DesiredAsset { privacy: Privacy::Restricted, ..want("b.fbx", 1) }],
        sword(&want("b.fbx", 1)),
        "note b.fbx: Roblox takes `privacy` only with the first upload, so changing it here has no effect",
    );
}
