use super::*;

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
