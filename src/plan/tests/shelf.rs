use super::*;

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
