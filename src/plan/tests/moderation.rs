use super::*;

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
