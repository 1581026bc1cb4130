use super::*;
use crate::plan::metadata::{Comparison, compare};

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
