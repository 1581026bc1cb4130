//! The changes of a step, in values that a person can read: from what, to what.
//!
//! Pure. It only describes what [`super::plan`] decided: nothing here may have a say in what is
//! done. Texts are whole; printers cut them. Read next: [`super::step`] for what there is to
//! describe.

use super::current::last;
use super::input_digest;
use super::step::{Action, FieldChange, NewAsset, Step};
use crate::model::asset::Privacy;
use crate::model::desired::Desired;
use crate::model::digest::FieldDigest;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::{AssetRef, Field, Preview, SocialLink};
use crate::model::phase::Phase;
use crate::model::recorded::{Identity, Record, Recorded};
use crate::model::remote::RemoteAsset;

/// One thing that a step changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What: a metadata field, or one of `file`, `type`, `creator`, `privacy`, `expected_price`,
    /// `content`, `asset`, `revision`, `address`, `state`, `under_way`,
    /// `operation`.
    pub what: String,
    /// What it is now; empty: it is known that nothing is there. `None`: unknown, or not there
    /// before.
    pub from: Option<String>,
    /// What it becomes; empty: nothing is left there. `None`: Roblox decides.
    pub to: Option<String>,
}

impl Difference {
    fn new(what: impl Into<String>, from: Option<String>, to: Option<String>) -> Self {
        Self { what: what.into(), from, to }
    }

    fn set(what: impl Into<String>, to: impl ToString) -> Self {
        Self::new(what, None, Some(to.to_string()))
    }
}

/// Returns the changes of `step`, in a fixed order. `recorded` has the plan's marks applied.
pub(crate) fn diff(step: &Step, recorded: &Recorded) -> Vec<Difference> {
    let record = recorded.assets.get(&step.address);
    match &step.action {
        Action::Create(new) => created(new),
        Action::Share { owner, key, identity, content, from: None, restores } => {
            let mut all = identified(identity);
            all.push(Difference::set("content", short(content)));
            all.push(Difference::set("asset", key.map_or_else(|| owner.to_string(), |key| asset(key.asset_id))));
            all.extend(restores.then(|| state("archived", "active")));
            all
        }
        Action::Share { owner, key, content, from: Some(old), restores, .. } => {
            let to = key.map_or_else(|| owner.to_string(), |key| asset(key.asset_id));
            let mut all =
                vec![content_of(record, *old, Some(content)), Difference::new("asset", Some(asset(*old)), Some(to))];
            all.extend(restores.then(|| state("archived", "active")));
            all
        }
        Action::UpdateContent { asset_id, content, .. } => {
            let head = record.and_then(Record::head);
            let known = head.and_then(|(_, fact)| fact.content);
            let version = head.filter(|(key, _)| key.asset_id == *asset_id).and_then(|(key, _)| key.version);
            vec![
                Difference::new("content", known.as_ref().map(short), Some(short(content))),
                Difference::new("revision", version.map(text), None),
            ]
        }
        Action::Replace { old, new } => {
            let mut all =
                vec![content_of(record, *old, Some(&new.content)), Difference::new("asset", Some(asset(*old)), None)];
            all.extend(new.expected_price.filter(|price| *price > 0).map(price));
            all
        }
        Action::PointBack { to, from, restores, .. } => {
            let mut all = pointed_back(record, *from, *to);
            all.extend(restores.then(|| state("archived", "active")));
            all
        }
        Action::Rollback { asset_id, to } => rolled_back(record, *asset_id, *to),
        Action::UpdateMetadata { asset_id, changes, .. } => {
            changes.iter().map(|change| field(change, *asset_id, record, recorded)).collect()
        }
        Action::Move { from } => {
            vec![Difference::new("address", Some(from.to_string()), Some(step.address.to_string()))]
        }
        Action::Archive { .. } => vec![state("active", "archived")],
        Action::Restore { .. } => vec![state("archived", "active")],
        Action::Settle { attempt } | Action::Wait { attempt } => {
            let attempt = recorded.attempts.get(attempt);
            let operation = attempt.and_then(|attempt| match &attempt.phase {
                Phase::Submitted(operation) | Phase::SetAside(operation) => Some(operation),
                Phase::Intended | Phase::HandedOver | Phase::InDoubt | Phase::Held | Phase::Closed(_) => None,
            });
            let intent = attempt.map(|attempt| Difference::set("under_way", attempt.intent.name()));
            intent.into_iter().chain(operation.map(|operation| Difference::set("operation", operation))).collect()
        }
    }
}

/// The asset that a step concerns, also where only what is known tells.
pub(crate) fn asset_of(step: &Step, desired: &Desired, recorded: &Recorded) -> Option<AssetId> {
    match &step.action {
        Action::Move { .. } => input_digest::asset_of(&step.address, desired, recorded),
        Action::Settle { attempt } | Action::Wait { attempt } => recorded.attempts.get(attempt)?.intent.asset_id(),
        action => action.asset_id(),
    }
}

/// The first digits of a hash, enough to tell contents apart by eye.
fn short(hash: &ContentHash) -> String {
    hash.to_string().chars().take(8).collect()
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

fn asset(id: AssetId) -> String {
    AssetRef::Id(id).to_string()
}

fn price(robux: u64) -> Difference {
    Difference::set("expected_price", robux)
}

fn state(from: &str, to: &str) -> Difference {
    Difference::new("state", Some(from.to_owned()), Some(to.to_owned()))
}

fn identified(identity: &Identity) -> Vec<Difference> {
    let Identity { asset_type, creator, privacy, path } = identity;
    let mut all = vec![Difference::set("file", path), Difference::set("type", asset_type)];
    all.push(Difference::set("creator", creator));
    all.extend((*privacy != Privacy::Default).then(|| Difference::set("privacy", privacy.name())));
    all
}

fn created(new: &NewAsset) -> Vec<Difference> {
    let NewAsset { identity, content, size: _, format: _, display_name, description, expected_price, fields: _ } = new;
    let mut all = identified(identity);
    all.insert(2, Difference::set("display_name", display_name));
    all.extend(description.as_ref().filter(|d| !d.as_str().is_empty()).map(|d| Difference::set("description", d)));
    all.extend(expected_price.filter(|price| *price > 0).map(price));
    all.push(Difference::set("content", short(content)));
    all
}

/// From the content of an asset that the address had to another.
fn content_of(record: Option<&Record>, old: AssetId, new: Option<&ContentHash>) -> Difference {
    let known = record.and_then(|record| record.history.of_asset(old).next_back()).and_then(|(_, fact)| fact.content);
    Difference::new("content", known.as_ref().map(short), new.map(short))
}

fn pointed_back(record: Option<&Record>, from: AssetId, to: RevisionKey) -> Vec<Difference> {
    let fact = record.and_then(|record| record.history.get(to));
    let number = |asset_id: AssetId| {
        let record = record?;
        let (key, _) = record.history.of_asset(asset_id).next_back()?;
        Some(record.history.number(key).to_string())
    };
    vec![
        content_of(record, from, fact.and_then(|fact| fact.content).as_ref()),
        Difference::new("asset", Some(asset(from)), Some(asset(to.asset_id))),
        Difference::new("revision", number(from), number(to.asset_id)),
    ]
}

fn rolled_back(record: Option<&Record>, asset_id: AssetId, to: Revision) -> Vec<Difference> {
    let head = record.and_then(last);
    let back_to = RevisionKey { asset_id, version: Some(to) };
    let wanted = record.and_then(|record| record.history.get(back_to)).and_then(|fact| fact.content);
    let known = head.and_then(|(_, fact)| fact.content);
    vec![
        Difference::new("content", known.as_ref().map(short), wanted.as_ref().map(short)),
        Difference::new("revision", head.and_then(|(key, _)| key.version).map(text), Some(text(to))),
    ]
}

fn field(change: &FieldChange, asset_id: Option<AssetId>, record: Option<&Record>, recorded: &Recorded) -> Difference {
    let field = change.field();
    let from = match asset_id {
        // The steps before make the asset: nothing is there yet.
        None => Some(String::new()),
        Some(asset_id) => {
            let seen = recorded.observed(asset_id).and_then(|seen| at_roblox(&seen.asset, field));
            let cleared = || record.and_then(|record| record.asked.get(&field)) == Some(&FieldDigest::of_cleared());
            seen.or_else(|| cleared().then(String::new))
        }
    };
    Difference::new(field.name(), from, Some(value(change)))
}

/// The value that a field gets.
pub(crate) fn value(change: &FieldChange) -> String {
    match change {
        FieldChange::DisplayName(name) => name.to_string(),
        FieldChange::Description(description) => description.to_string(),
        FieldChange::Icon(icon) => icon.as_ref().map(text).unwrap_or_default(),
        FieldChange::Previews(previews) => shown(previews.iter().map(|p| {
            let Preview { asset, alt_text } = p;
            (asset.to_string(), alt_text.as_deref())
        })),
        FieldChange::SocialLink(_, link) => link.as_ref().map(linked).unwrap_or_default(),
    }
}

/// The value of a field at Roblox, as far as its answers tell.
pub(crate) fn at_roblox(seen: &RemoteAsset, field: Field) -> Option<String> {
    seen.stored(field)?;
    Some(match field {
        Field::DisplayName => seen.display_name.clone().unwrap_or_default(),
        Field::Description => seen.description.clone().unwrap_or_default(),
        Field::Icon => seen.extras.as_ref()?.icon.map(asset).unwrap_or_default(),
        Field::Previews => {
            shown(seen.previews.iter().flatten().map(|(id, alt_text)| (asset(*id), alt_text.as_deref())))
        }
        Field::SocialLink(network) => seen.extras.as_ref()?.social_links.get(&network).map(linked).unwrap_or_default(),
    })
}

fn shown<'a>(previews: impl Iterator<Item = (String, Option<&'a str>)>) -> String {
    let one = |(asset, alt_text): (String, Option<&str>)| match alt_text {
        Some(alt_text) if !alt_text.is_empty() => format!("{asset} \"{alt_text}\""),
        Some(_) | None => asset,
    };
    previews.map(one).collect::<Vec<_>>().join(", ")
}

fn linked(link: &SocialLink) -> String {
    let SocialLink { title, uri } = link;
    match title {
        Some(title) if !title.is_empty() => format!("{title} <{uri}>"),
        Some(_) | None => format!("<{uri}>"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::address::Address;
    use crate::model::asset::{AssetType, FileFormat};
    use crate::model::change::Change;
    use crate::model::desired::Pin;
    use crate::model::history::{RevisionFact, RevisionState};
    use crate::model::ids::{Creator, UserId};
    use crate::model::metadata::{Description, DisplayName, FieldDigests, SocialNetwork};
    use crate::model::path::ProjectPath;
    use crate::model::phase::Intent;
    use crate::model::recorded::{AttemptId, PinnedAt, RetireReason};
    use crate::plan::reason::step::StepReason;

    fn id(number: u64) -> AssetId {
        AssetId::new(number).unwrap()
    }

    fn hash(byte: u8) -> ContentHash {
        ContentHash::from_bytes([byte; 32])
    }

    fn address(text: &str) -> Address {
        Address::new(text).unwrap()
    }

    fn revision(number: u64) -> Revision {
        Revision::new(number).unwrap()
    }

    fn identity(asset_type: AssetType, privacy: Privacy) -> Identity {
        let path = ProjectPath::new("models/sword.fbx").unwrap();
        Identity { asset_type, creator: Creator::User(UserId::new(7).unwrap()), privacy, path }
    }

    fn new() -> NewAsset {
        NewAsset {
            identity: identity(AssetType::Model, Privacy::OpenUse),
            content: hash(0xab),
            size: 3,
            format: FileFormat::Fbx,
            display_name: DisplayName::new("Sword").unwrap(),
            description: Some(Description::new("A sword").unwrap()),
            expected_price: Some(5),
            fields: FieldDigests::new(),
        }
    }

    /// `sword` with these revisions: an asset, its version, the content; the last is the newest.
    fn known(asset_type: AssetType, revisions: &[(u64, Option<u64>, u8)]) -> Recorded {
        let mut recorded = Recorded::default();
        let mut tell = |change: Change| recorded.apply(&change, Timestamp::UNIX_EPOCH).unwrap();
        tell(Change::SetIdentity { address: address("sword"), identity: identity(asset_type, Privacy::Default) });
        for (ordinal, (asset, version, content)) in (1u32..).zip(revisions) {
            let key = RevisionKey { asset_id: id(*asset), version: version.map(revision) };
            let ordinal = if version.is_some() { 1 } else { ordinal };
            let (content, state) = (Some(hash(*content)), RevisionState::Live);
            let fact = RevisionFact::new(ordinal, content, state);
            tell(Change::AddRevision { address: address("sword"), key, fact });
            tell(Change::SetCurrentAsset { address: address("sword"), asset_id: id(*asset) });
        }
        recorded
    }

    fn seen(mut recorded: Recorded, edit: impl FnOnce(&mut RemoteAsset)) -> Recorded {
        let mut asset = RemoteAsset::unknown(id(10));
        edit(&mut asset);
        recorded.apply(&Change::RecordObservation { asset }, Timestamp::UNIX_EPOCH).unwrap();
        recorded
    }

    #[track_caller]
    fn check(action: Action, recorded: &Recorded, expected: &str) {
        let (address, reason) = (address("sword"), StepReason::New);
        let step = Step { address, action, reason, after: Vec::new(), not_before: None };
        let shown = |value: Option<String>| value.map_or_else(|| "?".to_owned(), |text| format!("`{text}`"));
        let lines = diff(&step, recorded);
        let lines = lines.into_iter().map(|d| format!("{} {} -> {}", d.what, shown(d.from), shown(d.to)));
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_create_tells_what_it_makes_and_leaves_out_defaults() {
        check(
            Action::Create(Box::new(new())),
            &Recorded::default(),
            "file ? -> `models/sword.fbx`
             type ? -> `Model`
             display_name ? -> `Sword`
             creator ? -> `user:7`
             privacy ? -> `open_use`
             description ? -> `A sword`
             expected_price ? -> `5`
             content ? -> `abababab`",
        );
        let plain = NewAsset {
            identity: identity(AssetType::Image, Privacy::Default),
            description: None,
            expected_price: Some(0),
            ..new()
        };
        check(
            Action::Create(Box::new(plain)),
            &Recorded::default(),
            "file ? -> `models/sword.fbx`
             type ? -> `Image`
             display_name ? -> `Sword`
             creator ? -> `user:7`
             content ? -> `abababab`",
        );
    }

    #[test]
    fn content_goes_from_hash_to_hash() {
        let model = known(AssetType::Model, &[(10, Some(1), 1), (10, Some(2), 2)]);
        let update = || Action::UpdateContent {
            asset_id: id(10),
            head: Some(revision(2)),
            identity: identity(AssetType::Model, Privacy::Default),
            content: hash(3),
            size: 3,
            format: FileFormat::Fbx,
        };
        check(update(), &model, "content `02020202` -> `03030303`\nrevision `2` -> ?");
        let back = Action::Rollback { asset_id: id(10), to: revision(1) };
        check(back, &model, "content `02020202` -> `01010101`\nrevision `2` -> `1`");
        // After a rollback that moved the head, it goes on from there.
        let mut rolled = model;
        let at = RevisionKey { asset_id: id(10), version: Some(revision(1)) };
        let pinned = Some(PinnedAt { pin: Pin::Revision(revision(1)), at, newest: Some(revision(2)) });
        rolled.apply(&Change::SetPinnedAt { address: address("sword"), pinned }, Timestamp::UNIX_EPOCH).unwrap();
        check(update(), &rolled, "content `01010101` -> `03030303`\nrevision `1` -> ?");
    }

    #[test]
    fn a_replaced_type_goes_from_asset_to_asset() {
        let image = known(AssetType::Image, &[(10, None, 1), (11, None, 2)]);
        let replace = Action::Replace { old: id(11), new: Box::new(new()) };
        let expected = "content `02020202` -> `abababab`\nasset `assets/11` -> ?\nexpected_price ? -> `5`";
        check(replace, &image, expected);
        for pinned in [false, true] {
            let to = RevisionKey { asset_id: id(10), version: None };
            check(
                Action::PointBack { to, from: id(11), pinned, restores: true },
                &image,
                "content `02020202` -> `01010101`\nasset `assets/11` -> `assets/10`\nrevision `2` -> `1`\nstate `archived` -> `active`",
            );
        }
        let share = |key: Option<RevisionKey>, from: Option<AssetId>| Action::Share {
            owner: address("other"),
            key,
            identity: identity(AssetType::Image, Privacy::Default),
            content: hash(9),
            from,
            restores: false,
        };
        check(share(None, Some(id(11))), &image, "content `02020202` -> `09090909`\nasset `assets/11` -> `other`");
        check(
            share(Some(RevisionKey { asset_id: id(30), version: None }), None),
            &image,
            "file ? -> `models/sword.fbx`\ntype ? -> `Image`\ncreator ? -> `user:7`\ncontent ? -> `09090909`\nasset ? -> `assets/30`",
        );
    }

    #[test]
    fn metadata_goes_from_what_roblox_has_as_far_as_that_is_known() {
        let changes = || {
            let link = SocialLink { title: Some("us".to_owned()), uri: "https://twitter.com/us".to_owned() };
            let preview = Preview { asset: AssetRef::Id(id(31)), alt_text: Some("Front".to_owned()) };
            vec![
                FieldChange::DisplayName(DisplayName::new("Long sword").unwrap()),
                FieldChange::Description(Description::default()),
                FieldChange::Icon(Some(AssetRef::Address(address("sword-icon")))),
                FieldChange::Previews(vec![preview, Preview { asset: AssetRef::Id(id(32)), alt_text: None }]),
                FieldChange::SocialLink(SocialNetwork::Twitter, Some(link)),
            ]
        };
        let update = |asset_id: Option<u64>| Action::UpdateMetadata {
            asset_id: asset_id.map(id),
            changes: changes(),
            repairs: false,
        };
        let lines = |from: [&str; 5]| {
            let [name, description, icon, previews, link] = from;
            format!(
                "display_name {name} -> `Long sword`
                 description {description} -> ``
                 icon {icon} -> `sword-icon`
                 previews {previews} -> `assets/31 \"Front\", assets/32`
                 social_links.twitter {link} -> `us <https://twitter.com/us>`"
            )
        };
        let unseen = known(AssetType::Model, &[(10, Some(1), 1)]);
        check(update(Some(10)), &unseen, &lines(["?"; 5]));
        // The asset is yet to come.
        check(update(None), &unseen, &lines(["``"; 5]));
        let named = seen(unseen.clone(), |asset| asset.display_name = Some("Sword".to_owned()));
        check(update(Some(10)), &named, &lines(["`Sword`", "``", "?", "?", "?"]));
        let whole = seen(unseen.clone(), |asset| {
            asset.display_name = Some("Sword".to_owned());
            asset.description = Some("A sword".to_owned());
            let link = SocialLink { title: None, uri: "https://twitter.com/me".to_owned() };
            let social_links = std::collections::BTreeMap::from([(SocialNetwork::Twitter, link)]);
            (asset.previews, asset.extras) =
                (Some(Vec::new()), Some(Box::new(crate::model::remote::Extras { icon: Some(id(5)), social_links })));
        });
        let expected = ["`Sword`", "`A sword`", "`assets/5`", "``", "`<https://twitter.com/me>`"];
        check(update(Some(10)), &whole, &lines(expected));
        // On a fresh machine only the digests of what was asked are known: those of a cleared field
        // tell its value.
        let mut cleared = unseen;
        let fields = FieldDigests::from([
            (Field::Icon, FieldDigest::of_cleared()),
            (Field::DisplayName, FieldDigest::of_text("Sword")),
        ]);
        let ask = Change::SetMetadata { address: address("sword"), fields, stored: FieldDigests::new() };
        cleared.apply(&ask, Timestamp::UNIX_EPOCH).unwrap();
        check(update(Some(10)), &cleared, &lines(["?", "?", "``", "?", "?"]));
    }

    #[test]
    fn the_rest_is_a_line_each() {
        let mut recorded = known(AssetType::Model, &[(10, Some(1), 1)]);
        let asset_id = id(10);
        check(Action::Archive { asset_id, why: RetireReason::Removed }, &recorded, "state `active` -> `archived`");
        check(Action::Restore { asset_id, repairs: true }, &recorded, "state `archived` -> `active`");
        let attempt = AttemptId(0);
        check(Action::Wait { attempt }, &recorded, "");
        let intent = Intent::Archive { asset_id };
        let begin = Change::Begin { attempt, address: address("sword"), intent };
        recorded.apply(&begin, Timestamp::UNIX_EPOCH).unwrap();
        check(Action::Settle { attempt }, &recorded, "under_way ? -> `archive`");
        check(Action::Move { from: address("axe") }, &recorded, "address `axe` -> `sword`");
    }
}
