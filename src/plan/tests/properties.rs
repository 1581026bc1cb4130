use proptest::prelude::*;

use super::*;

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
