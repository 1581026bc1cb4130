use super::*;

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
