use super::*;

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
