//! The room as a whole: text in, diagnostics or the desired state out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{Diagnostic, Manifest, parse, render};
use crate::model::address::Address;
use crate::model::asset::{AssetType, FileFormat, Privacy};
use crate::model::desired::{Desired, DesiredAsset, FoundFile, FoundFiles, Grantee, Pin, Stray, StrayPlace};
use crate::model::file::{ContentFacts, FileFacts, FileProblem, ModelRoot};
use crate::model::ids::{AssetId, ContentHash, Creator, GroupId, Revision, UserId};
use crate::model::metadata::{AssetRef, SocialLink, SocialNetwork};
use crate::model::output::{Language, MissingAsset, OutputStyle, TypeWidth, ValueForm};
use crate::model::path::ProjectPath;
use crate::model::policy::{AmbiguousCreate, DriftPolicy, LeavePolicy, ModeratedName, Policy};

const EXAMPLE: &str = include_str!("../../assets.toml.example");
const CREATOR: &str = "[creator]\nuser_id = 1\n";

fn good(text: &str) -> Manifest {
    parse(text.as_bytes(), "assets.toml").unwrap_or_else(|all| panic!("{}", render(&all, text, false, None)))
}

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn path(text: &str) -> ProjectPath {
    ProjectPath::new(text).unwrap()
}

/// `line:column message | hint`, further places after an `@`. Lines are counted after [`CREATOR`].
fn told(all: &[Diagnostic], text: &str, lines_before: usize) -> Vec<String> {
    let source = super::ManifestSource::new("", text.to_owned());
    all.iter()
        .map(|d| {
            let place = match (d.line, d.column) {
                (Some(line), Some(column)) => format!("{}:{column} ", line - lines_before),
                _ => String::new(),
            };
            let hint = d.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
            let also: String = d
                .also
                .iter()
                .map(|(span, _)| source.place(span.start))
                .map(|(line, column)| format!(" @{}:{column}", line - lines_before))
                .collect();
            format!("{place}{}{hint}{also}", d.message)
        })
        .collect()
}

/// Checks the errors that need no files; those about unknown addresses are told by the
/// second look.
fn check(text: &str, expected: &[&str]) {
    let whole = format!("{CREATOR}{text}");
    let all = match parse(whole.as_bytes(), "assets.toml") {
        Ok(manifest) if manifest.selection().globs.is_empty() => {
            manifest.resolve(&FoundFiles::new(), &BTreeSet::new(), &BTreeSet::new()).err().unwrap_or_default()
        }
        Ok(_) => Vec::new(),
        Err(all) => all,
    };
    assert_eq!(told(&all, &whole, 2), expected, "{text}");
}

/// A file as the walk would find it, matched by the globs with these indexes.
fn found(globs: &[usize], format: FileFormat, content: ContentFacts) -> FoundFile {
    let hash = ContentHash::from_bytes([7; 32]);
    FoundFile { globs: globs.to_vec(), content: Ok(FileFacts { size: 9, hash, format, content }) }
}

fn png(globs: &[usize]) -> FoundFile {
    found(globs, FileFormat::Png, ContentFacts::Image { width: 64, height: 64 })
}

fn findings(files: impl IntoIterator<Item = (&'static str, FoundFile)>) -> FoundFiles {
    files.into_iter().map(|(name, finding)| (path(name), finding)).collect()
}

fn resolved(text: &str, files: FoundFiles) -> Desired {
    let manifest = good(&format!("{CREATOR}{text}"));
    manifest
        .resolve(&files, &BTreeSet::new(), &BTreeSet::new())
        .unwrap_or_else(|all| panic!("{}", render(&all, manifest.text(), false, None)))
        .desired
}

/// Checks the errors that need files.
fn check_resolve(text: &str, files: FoundFiles, expected: &[&str]) {
    let manifest = good(&format!("{CREATOR}{text}"));
    let all = manifest.resolve(&files, &BTreeSet::new(), &BTreeSet::new()).err().unwrap_or_default();
    assert_eq!(told(&all, manifest.text(), 2), expected, "{text}");
}

#[test]
fn a_manifest_with_ten_mistakes_gives_ten_located_errors() {
    let text = r#"[creator]
user_id = "123"

[polcy]
drift = "heal"

[policy]
removed = "archived"

[assets.sword]
path = "../sword.fbx"
typ = "Model"

[assets.shield]
display_name = ""
path = "shield.exe"

[assets.song]
path = "song.ogg"
privacy = "restricted"
icon = "swrd"

[globs.ui]
path = "ui/[.png"
"#;
    let all = parse(text.as_bytes(), "assets.toml").unwrap_err();
    let expected = [
        "2:11 `user_id` must be a number, not a string | write it without quotes: 123",
        "4:2 unknown key `polcy` in the manifest | did you mean `policy`?",
        "8:11 `removed` can't be `archived` | did you mean `archive`?",
        "11:8 the path `../sword.fbx` leaves the manifest's folder with `..` | move the file into the manifest's folder, or the manifest into a folder above both",
        "12:1 unknown key `typ` in `[assets.sword]` | did you mean `type`?",
        "15:16 a display name has 1 to 50 characters, this one has 0 | \
         a name can't be empty; leave the key out and Macadam doesn't touch the name",
        "16:8 `shield.exe`: Roblox doesn't accept this kind of file | Roblox accepts .fbx .gltf .glb .rbxm .rbxmx .png .jpg .jpeg \
         .bmp .tga .mp3 .ogg .wav .flac .mp4 .mov .mesh",
        "20:11 the privacy of an Audio can't be chosen | it can for `Image`, `Decal` and `Mesh`; leave it out for all others",
        "21:8 there is no asset named `swrd` | did you mean `sword`?",
        "24:8 `ui/[.png` is not a valid pattern: unclosed character class; missing ']'",
    ];
    assert_eq!(expected.len(), 10);
    assert_eq!(told(&all, text, 0), expected);
    assert!(all.iter().all(|d| d.file == "assets.toml"));
}

#[test]
fn errors_are_rendered_with_their_lines() {
    let text = "[creator]\nuser_id = 1\napi_key = \"abc\"\n\n[assets.\"\u{e9}p\u{e9}e\"]\npath = \"a.png\"\n[assets.b]\npath = \"a.png\"\n";
    let all = parse(text.as_bytes(), "game/assets.toml").unwrap_err();
    let expected = "\
error: unknown key `api_key` in [creator]
 --> game/assets.toml:3:1
  |
3 | api_key = *****
  | ^^^^^^^
  |
  = hint: a manifest holds no credentials: they come from --api-key-file or the environment; revoke one that was committed

error: `\u{e9}p\u{e9}e` and `b` have the same path, `a.png`
 --> game/assets.toml:8:8
  |
6 | path = \"a.png\"
  |        ------- the path of `\u{e9}p\u{e9}e`
7 | [assets.b]
8 | path = \"a.png\"
  |        ^^^^^^^
  |
  = hint: keep one address for each file
";
    assert_eq!(render(&all, text, false, None), expected);
    assert!(render(&all, text, true, None).contains('\u{1b}'));
}

#[test]
fn the_example_is_right_and_shows_the_defaults() {
    let manifest = good(EXAMPLE);
    assert_eq!(*manifest.policy(), Policy::default());
    assert_eq!(manifest.creator(), Creator::User(UserId::new(1_234_567).unwrap()));
    assert_eq!(manifest.webhook_env(), Some("MACADAM_WEBHOOK"));
    let [first, second] = manifest.outputs() else { panic!("two outputs") };
    assert_eq!((first.language, first.include.as_deref().map(<[_]>::len)), (Language::Luau, Some(2)));
    // It describes the module beside it, and so holds what that one holds.
    assert_eq!((second.style, second.strip_extensions, &second.include), (OutputStyle::Flat, false, &first.include));
    assert_eq!((second.types, second.name.as_str()), (TypeWidth::Literal, "Assets"));
    assert_eq!(second.language, Language::TypeScriptDeclaration);
    let selection = manifest.selection();
    assert_eq!(selection.explicit, [path("models/sword.fbx"), path("models/sword.png")]);
    let globs: Vec<(&str, &str)> = selection.globs.iter().map(|g| (g.name.as_str(), g.path.as_str())).collect();
    assert_eq!(globs, [("ui", "ui/**/*.png"), ("music", "music/*.ogg")]);
}

/// Every key of the contract stands in the example, so that it can't fall behind.
#[test]
fn the_example_names_every_key() {
    let keys = [
        "user_id",
        "group_id",
        "drift",
        "removed",
        "replaced",
        "archive_after",
        "ambiguous_create",
        "moderated_name",
        "path",
        "type",
        "display_name",
        "description",
        "privacy",
        "expected_price",
        "icon",
        "previews",
        "asset",
        "alt_text",
        "prevent_replace",
        "creator",
        "grants",
        "universe",
        "user",
        "group",
        "social_links",
        "title",
        "uri",
        "exclude",
        "style",
        "strip_extensions",
        "base",
        "name",
        "value",
        "types",
        "missing",
        "include",
        "webhook_env",
        "asset_id",
    ];
    for key in keys {
        assert!(EXAMPLE.contains(&format!("{key} = ")) || EXAMPLE.contains(&format!(".{key}]")), "{key}");
    }
    for table in ["creator", "policy", "defaults", "existing", "[outputs]", "notify", "pins"] {
        assert!(EXAMPLE.contains(&format!("\n[{table}]\n")), "{table}");
    }
}

#[test]
fn the_example_becomes_the_desired_state() {
    let files = findings([
        ("models/sword.fbx", found(&[], FileFormat::Fbx, ContentFacts::Opaque)),
        ("models/sword.png", png(&[])),
        ("ui/close.png", png(&[0])),
        ("music/a.ogg", found(&[1], FileFormat::Ogg, ContentFacts::Audio { duration: None, sample_rate: None })),
    ]);
    let manifest = good(EXAMPLE);
    let resolved = manifest.resolve(&files, &BTreeSet::new(), &BTreeSet::new()).unwrap();
    let notes = manifest.notes(&resolved);
    // It shows every key, also those that have no effect yet.
    assert!(notes.iter().all(|note| note.message.contains("has no effect in this version")));
    assert_eq!(notes.len(), 2);
    let desired = resolved.desired;
    let addresses: Vec<&str> = desired.assets.keys().map(Address::as_str).collect();
    assert_eq!(addresses, ["music/a.ogg", "sword", "sword-icon", "ui/close.png"]);
    assert_eq!(desired.existing, BTreeMap::from([(address("music/theme"), AssetId::new(987_654_321).unwrap())]));

    let sword = &desired.assets[&address("sword")];
    let group = GroupId::new(7_654_321).unwrap();
    assert_eq!(sword.asset_type, Some(AssetType::Model));
    assert_eq!(sword.creator, Creator::Group(group));
    assert_eq!(*sword.pin, Some(Pin::Revision(Revision::new(3).unwrap())));
    assert_eq!((*sword.expected_price, sword.prevent_replace, sword.privacy), (Some(0), false, Privacy::Default));
    let user = UserId::new(1_234_567).unwrap();
    assert_eq!(*sword.grants, [Grantee::Universe(123), Grantee::User(user), Grantee::Group(group)]);
    assert_eq!(sword.metadata.icon, Some(Some(AssetRef::Address(address("sword-icon")))));
    let previews = sword.metadata.previews.as_ref().unwrap();
    assert_eq!(previews[1].asset, AssetRef::Id(AssetId::new(123_456).unwrap()));
    assert_eq!(previews[0].alt_text.as_deref(), Some("The sword from the front"));
    let links = &sword.metadata.social_links;
    assert_eq!(links[&SocialNetwork::Twitter].as_ref().unwrap().title.as_deref(), Some("us"));
    assert_eq!(links[&SocialNetwork::Youtube], None);

    let song = &desired.assets[&address("music/a.ogg")];
    assert_eq!(song.metadata.description.as_ref().map(|d| d.as_str()), Some("Music of the game"));
    let close = &desired.assets[&address("ui/close.png")];
    assert_eq!(close.metadata.description.as_ref().map(|d| d.as_str()), Some(""));
    assert_eq!(*close.pin, Some(Pin::Asset(AssetId::new(123).unwrap())));
}

#[test]
fn a_policy_is_read_in_full() {
    let text = "[policy]\ndrift = 'heal'\nremoved = 'archive'\nreplaced = 'archive'\narchive_after = '36h'\n\
                ambiguous_create = 'hold'\nmoderated_name = 'neutral'\n";
    let expected = Policy {
        drift: DriftPolicy::Heal,
        removed: LeavePolicy::Archive,
        replaced: LeavePolicy::Archive,
        archive_after: Duration::from_secs(36 * 3600),
        ambiguous_create: AmbiguousCreate::Hold,
        moderated_name: ModeratedName::Neutral,
    };
    assert_eq!(resolved(text, FoundFiles::new()).policy, expected);
    check(
        "[policy]\narchive_after = 14\n",
        &[
            "2:17 `archive_after` must be a string in quotes, not a number | a whole number with `s`, `m`, `h`, `d` or `w` after it, such as \"14d\", at most ten years; \"0d\" means at once",
        ],
    );
    check(
        "[policy]\narchive_after = '1y'\ndrift = 'fix'\n",
        &[
            "2:17 `archive_after` can't be `1y` | a whole number with `s`, `m`, `h`, `d` or `w` after it, such as \"14d\", at most ten years; \"0d\" means at once",
            "3:9 `drift` can't be `fix` | it can be `report` or `heal`",
        ],
    );
    check(
        "[policy]\narchive_after = '11y'\nremoved = true\n",
        &[
            "2:17 `archive_after` can't be `11y` | a whole number with `s`, `m`, `h`, `d` or `w` after it, such as \"14d\", at most ten years; \"0d\" means at once",
            "3:11 `removed` must be a string in quotes, not true or false",
        ],
    );
}

#[test]
fn a_manifest_names_one_owner() {
    let check = |text: &str, expected: &[&str]| {
        let all = parse(text.as_bytes(), "m").err().unwrap_or_default();
        assert_eq!(told(&all, text, 0), expected, "{text}");
    };
    check("[creator]\ngroup_id = 7\n", &[]);
    check("[creator]\r\ngroup_id = 7\r\n", &[]);
    check("\u{feff}[creator]\nuser_id = 0x10\n", &[]);
    check(
        "# nothing\n",
        &["1:1 the manifest has no [creator] | say who owns the assets: [creator] with `user_id` or `group_id`"],
    );
    check("[creator]\n", &["1:2 [creator] names no owner | set `user_id` or `group_id`"]);
    check(
        "[creator]\ngroup_id = 2\nuser_id = 1\n",
        &["3:1 [creator] names both a user and a group | keep the one that owns the assets @2:1"],
    );
    check(
        "[creator]\nuser_id = 0\n",
        &["2:11 `user_id` can't be 0 | the number is in the address of your profile: roblox.com/users/1234567/profile"],
    );
    check(
        "[creator]\nuser_id = -5\n",
        &[
            "2:11 `user_id` can't be -5 | the number is in the address of your profile: roblox.com/users/1234567/profile",
        ],
    );
    check(
        "[creator]\nuser_id = 99999999999999999999\n",
        &["2:11 `user_id` must be a whole number from 0 to 9223372036854775807, not `99999999999999999999`"],
    );
    check("[creator]\nuser_id = 1.5\n", &["2:11 `user_id` must be a number, not a number with a fraction"]);
    check("creator = 5\n", &["1:11 `creator` must be a table, not a number"]);
    check(
        "user_id = 1\n[creator]\nuser_id = 1\n",
        &["1:1 unknown key `user_id` in the manifest | it belongs under [creator]"],
    );
}

#[test]
fn syntax_errors_stand_beside_others_where_the_rest_is_sure() {
    check(
        "[assets.a]\npath = a.png\ntype = Image\nicn = \"\"\n[assets.a]\n",
        &[
            "2:8 text must be in quotes | write \"a.png\"",
            "3:8 text must be in quotes | write \"Image\"",
            "4:1 unknown key `icn` in `[assets.a]` | did you mean `icon`?",
            "5:9 `a` is set twice | remove one of the two @1:1",
        ],
    );
    check("[assets.a\npath = 1\nicn = 2\n", &["1:10 the closing `]` is missing | write [assets.a]"]);
}

#[test]
fn assets_are_checked_key_by_key() {
    let asset = |keys: &str, expected: &[&str]| check(&format!("[assets.a]\npath = \"a.png\"\n{keys}\n"), expected);
    asset("", &[]);
    asset("type = \"Decal\"\nprivacy = \"open_use\"\nexpected_price = 0\nicon = \"\"\npreviews = []\n", &[]);
    asset("type = \"image\"", &["3:8 `type` can't be `image` | did you mean `Image`?"]);
    asset(
        "type = \"Audio\"",
        &["3:8 an Audio can't be made from a .png file | a .png file becomes `Image` or `Decal`"],
    );
    asset(
        "expected_price = -1",
        &["3:18 `expected_price` must be a whole number from 0 to 9223372036854775807, not `-1`"],
    );
    asset(
        "prevent_replace = \"yes\"",
        &["3:19 `prevent_replace` must be true or false, not a string | write it without quotes: true or false"],
    );
    asset(
        &format!("display_name = \"{}\"", "x".repeat(51)),
        &[&format!(
            "3:16 a display name has 1 to 50 characters, this one has 51 | cut to that it would be `{}`",
            "x".repeat(50)
        )],
    );
    asset(
        &format!("description = \"{}\"", "é".repeat(1001)),
        &["3:15 a description has at most 1000 characters, this one has 1001 | cut it to 1000 characters"],
    );
    asset(
        "creator = { user_id = 1, group_id = 2 }",
        &["3:26 `creator` names both a user and a group | keep the one that owns the assets @3:13"],
    );
    asset(
        "grants = [{ universe = 0 }, { user = 1, group = 2 }, {}, 5]",
        &[
            "3:24 `0` is not a universe ID | a universe ID is a positive number that Roblox gave",
            "3:29 a grant names more than one | write one of `universe`, `user` or `group` in each grant",
            "3:54 a grant names nobody | write one of `universe`, `user` or `group` in each grant",
            "3:58 `grants` must be a table, not a number",
        ],
    );
    asset(
        "png = {}",
        &["3:1 unknown key `png` in `[assets.a]` | a name with a dot must be in quotes: [assets.\"close.png\"]"],
    );
    asset(
        "url = \"https://x\"",
        &["3:1 unknown key `url` in `[assets.a]` | the manifest can't choose the server; use the option --api-url"],
    );
    check(
        "[assets]\na = \"a.png\"\nb = {}\n\"\" = { path = \"c.png\" }\n\"assets/1\" = { path = \"d.png\" }\n",
        &[
            "2:5 `a` must be a table, not a string | write { path = \"a.png\" }",
            "3:1 the asset `b` has no `path` | set `path` to its file, relative to the manifest's folder",
            "4:1 an address can't be empty",
            "5:1 the name `assets/1` looks like an asset ID | give it another name",
        ],
    );
    check(
        "[assets.a]\npath = 'ui\\a.png'\n",
        &[
            "2:8 the path `ui\\a.png` contains a backslash; write `/` between folders on every system | write \"ui/a.png\"",
        ],
    );
}

#[test]
fn social_links_are_known_few_and_https() {
    let links = |keys: &str, expected: &[&str]| {
        check(&format!("[assets.a]\npath = \"a.png\"\n[assets.a.social_links]\n{keys}\n"), expected);
    };
    links("twitter = \"\"\ngithub = { title = \"\", uri = \"https://github.com/us\" }", &[]);
    links(
        "twiter = \"\"\nmyspace = \"\"",
        &[
            "4:1 `twiter` is not a social link that Roblox knows | did you mean `twitter`?",
            "5:1 `myspace` is not a social link that Roblox knows | it can be `facebook`, `twitter`, `youtube`, `twitch`, `discord`, \
         `github`, `roblox`, `guilded` or `devforum`",
        ],
    );
    links(
        "twitter = \"https://twitter.com/us\"\ntwitch = { title = \"x\" }\ngithub = { uri = \"github.com/us\" }",
        &[
            "4:11 `twitter` must be a table, not a string | write twitter = { uri = \"https://…\" }, or \"\" to clear the link",
            "5:1 a social link needs a `uri` | to clear the link write twitch = \"\"",
            "6:18 `github.com/us` is not an https:// address | write the whole URL, such as \"https://twitter.com/us\"",
        ],
    );
    let link = |name: &str| format!("{name} = {{ uri = \"https://x.org/us\" }}\n");
    let four: String = ["twitter", "github", "roblox", "guilded"].map(link).concat();
    links(
        &four,
        &[
            "1:9 an asset has at most 3 social links, this one has 4 | those of [defaults] count; a link is left out with \"\"",
        ],
    );
    check(
        &format!(
            "[defaults.social_links]\n{}[assets.a]\npath = \"a.png\"\nsocial_links = {{ discord = \"\" }}\n",
            link("discord")
        ),
        &[],
    );
}

#[test]
fn each_of_the_nine_social_links_is_read() {
    let nine = ["facebook", "twitter", "youtube", "twitch", "discord", "github", "roblox", "guilded", "devforum"];
    assert_eq!(nine, SocialNetwork::ALL.map(SocialNetwork::key));
    for (name, network) in nine.into_iter().zip(SocialNetwork::ALL) {
        let text = format!(
            "[assets.a]\npath = 'a.png'\nsocial_links.{name} = {{ title = 't', uri = 'https://x.org/{name}' }}\n"
        );
        let links = resolved(&text, FoundFiles::new()).assets[&address("a")].metadata.social_links.clone();
        let link = SocialLink { title: Some("t".to_owned()), uri: format!("https://x.org/{name}") };
        assert_eq!(links, BTreeMap::from([(network, Some(link))]));
    }
}

#[test]
fn at_most_three_social_links_are_set_and_any_number_cleared() {
    let links = |set: &[&str], cleared: &[&str]| {
        let set = set.iter().map(|name| format!("{name} = {{ uri = \"https://x.org/us\" }}\n"));
        set.chain(cleared.iter().map(|name| format!("{name} = \"\"\n"))).collect::<String>()
    };
    let all = SocialNetwork::ALL.map(SocialNetwork::key);
    let (three, six) = all.split_at(3);
    let too_many = |place: &str| {
        format!(
            "{place} an asset has at most 3 social links, this one has 4 | those of [defaults] count; a link is left out with \"\""
        )
    };
    let asset = "[assets.a]\npath = 'a.png'\n[assets.a.social_links]\n";
    check(&format!("{asset}{}", links(three, six)), &[]);
    check(&format!("{asset}{}", links(&all[..4], &all[4..])), &[&too_many("1:9")]);
    // A glob's links count with those of [defaults], and one that clears such a link makes room.
    let defaults = format!("[defaults.social_links]\n{}", links(three, &[]));
    let glob = "[globs.g]\npath = '*.png'\n[globs.g.social_links]\n";
    check(&format!("{defaults}{glob}{}", links(&all[3..4], &[])), &[&too_many("5:8")]);
    check(&format!("{defaults}{glob}{}", links(&all[3..4], &all[..1])), &[]);
}

#[test]
fn keys_for_creation_only_are_read_and_checked() {
    let asset = |keys: &str| {
        let text = format!("[defaults]\nexpected_price = 7\n[assets.a]\npath = 'a.png'\n{keys}\n");
        resolved(&text, FoundFiles::new()).assets.remove(&address("a")).unwrap()
    };
    for (word, privacy) in
        [("default", Privacy::Default), ("restricted", Privacy::Restricted), ("open_use", Privacy::OpenUse)]
    {
        assert_eq!(asset(&format!("privacy = '{word}'")).privacy, privacy);
    }
    assert_eq!(asset("").privacy, Privacy::Default);
    assert_eq!((*asset("").expected_price, *asset("expected_price = 0").expected_price), (Some(7), Some(0)));
    assert!(asset("prevent_replace = true").prevent_replace && !asset("").prevent_replace);
    let wrong = |keys: &str, expected: &[&str]| check(&format!("[assets.a]\npath = 'a.fbx'\n{keys}\n"), expected);
    wrong("privacy = 'default'", &[]);
    wrong(
        "privacy = 'restricted'",
        &[
            "3:11 the privacy of a Model can't be chosen | it can for `Image`, `Decal` and `Mesh`; leave it out for all others",
        ],
    );
    wrong("privacy = 'open'", &["3:11 `privacy` can't be `open` | it can be `default`, `restricted` or `open_use`"]);
    wrong(
        "expected_price = '5'",
        &["3:18 `expected_price` must be a number, not a string | write it without quotes: 5"],
    );
    wrong("expected_price = 1.5", &["3:18 `expected_price` must be a number, not a number with a fraction"]);
}

#[test]
fn the_nearest_creator_owns_an_asset() {
    let text = "[assets.a]\npath = 'a.png'\n[assets.b]\npath = 'b.png'\ncreator = { user_id = 3 }\n\
                [globs.g]\npath = 'g/*'\ncreator = { group_id = 4 }\n[globs.h]\npath = 'h/*'\n";
    let files = || findings([("g/x.png", png(&[0])), ("h/x.png", png(&[1]))]);
    let owners = |text: &str| -> Vec<String> {
        let owner = |(address, asset): (&Address, &DesiredAsset)| format!("{address} {:?}", asset.creator);
        resolved(text, files()).assets.iter().map(owner).collect()
    };
    let (user, group) = (|n| Creator::User(UserId::new(n).unwrap()), |n| Creator::Group(GroupId::new(n).unwrap()));
    let expected = |other: Creator| {
        let all = [("a", other), ("b", user(3)), ("g/x.png", group(4)), ("h/x.png", other)];
        all.map(|(address, creator)| format!("{address} {creator:?}"))
    };
    assert_eq!(owners(text), expected(user(1)));
    assert_eq!(owners(&format!("[defaults]\ncreator = {{ group_id = 2 }}\n{text}")), expected(group(2)));
    check("[globs.g]\npath = '*'\ncreator = {}\n", &["3:1 `creator` names no owner | set `user_id` or `group_id`"]);
}

#[test]
fn an_icon_is_square_and_a_preview_need_not_be() {
    let image = |width, height| found(&[], FileFormat::Png, ContentFacts::Image { width, height });
    let text = |field: &str| format!("[assets.i]\npath = 'i.png'\n[assets.m]\npath = 'm.fbx'\n{field}\n");
    let icon = |file: FoundFile, expected: &[&str]| {
        check_resolve(&text("icon = 'i'"), findings([("i.png", file)]), expected);
    };
    icon(image(64, 64), &[]);
    icon(image(64, 63), &["5:8 an icon must be square, `i` has 64 by 63 pixels | name a square Image"]);
    // An icon whose file can't be used is a problem of that asset.
    icon(
        FoundFile {
            globs: vec![],
            content: Err(FileProblem {
                kind: crate::model::file::FileProblemKind::Missing,
                message: "bad".to_owned(),
                hint: None,
            }),
        },
        &[],
    );
    check_resolve(&text("icon = 'i'"), FoundFiles::new(), &[]);
    check_resolve(&text("previews = [{ asset = 'i' }]"), findings([("i.png", image(64, 36))]), &[]);
}

#[test]
fn keys_that_make_no_sense_for_many_say_why() {
    check(
        "[defaults]\nprivacy = \"restricted\"\ndisplay_name = \"x\"\n",
        &[
            "2:1 `privacy` can't be set in [defaults] | it can't be undone, so set it under [assets.NAME] or [globs.NAME]",
            "3:1 `display_name` can't be set in [defaults] | set it under [assets.NAME] or [globs.NAME]",
        ],
    );
    check(
        "[globs.g]\npath = \"*.png\"\nicon = \"assets/1\"\n",
        &["3:1 `icon` can't be set in `[globs.g]` | set it for single assets, under [assets.NAME]"],
    );
}

#[test]
fn an_unknown_key_error_lists_the_known_keys() {
    check(
        "[notify]\ncolour = 1\nurl = 1\nicon = 1\nx-api-key = 1\n",
        &[
            "2:1 unknown key `colour` in [notify] | the keys here are `webhook_env`",
            "3:1 unknown key `url` in [notify] | the manifest can't choose the server; use the option --api-url",
            "4:1 unknown key `icon` in [notify] | it belongs under [assets.NAME]",
            "5:1 unknown key `x-api-key` in [notify] | a manifest holds no credentials: they come from --api-key-file or the \
             environment; revoke one that was committed",
        ],
    );
}

#[test]
fn clashes_name_both_places() {
    check(
        "[assets.a]\npath = \"x.png\"\n[assets.b]\npath = \"./x.png\"\n",
        &["4:8 `a` and `b` have the same path, `x.png` | keep one address for each file @2:8"],
    );
    check(
        "[assets.\"\u{e9}\"]\npath = \"x.png\"\n[assets.\"e\u{301}\"]\npath = \"y.png\"\n",
        &[
            "3:9 two assets have the address `\u{e9}` | they look different but are the same name in Unicode; rename one @1:9",
        ],
    );
    check(
        "[assets.a]\npath = \"x.png\"\n[existing]\na = 1\n\"\u{e9}\" = 1\n\"e\u{301}\" = 2\n",
        &[
            "4:1 `a` is an asset of this manifest | remove one of the two @1:9",
            "6:1 `\u{e9}` is set twice | they look different but are the same name in Unicode; remove one @5:1",
        ],
    );
    check(
        "[[outputs]]\npath = \"a.luau\"\n[[outputs]]\npath = \"a.luau\"\n",
        &["4:8 two outputs write `a.luau` | give each output a file of its own @2:8"],
    );
}

#[test]
fn globs_outputs_and_notify_are_checked() {
    check(
        "[globs.g]\n[globs.h]\npath = \"/x/*.png\"\nexclude = \"y\"\n",
        &[
            "1:8 the glob `g` has no `path` | set `path` to a pattern, such as \"ui/**/*.png\"",
            "3:8 the pattern `/x/*.png` is absolute; paths are relative to the manifest's folder",
            "4:11 `exclude` must be a list, not a string",
        ],
    );
    check(
        "[globs.g]\npath = \"*.png\"\ntype = \"Model\"\n[globs.h]\npath = \"*.psd\"\n[globs.i]\npath = \"*.ogg\"\nprivacy = \"restricted\"\n",
        &[
            "3:8 a Model can't be made from a .png file | a .png file becomes `Image` or `Decal`",
            "5:8 `*.psd` finds no files that Roblox accepts | export it as .png, and name that file here",
            "8:11 the privacy of an Audio can't be chosen | it can for `Image`, `Decal` and `Mesh`; leave it out for all others",
        ],
    );
    check(
        "[outputs]\npath = \"x.luau\"\n",
        &["1:2 `outputs` must be a list, not a table | write [[outputs]] with two brackets, once for each output"],
    );
    check(
        "[[outputs]]\n[[outputs]]\npath = \"x.py\"\n[[outputs]]\npath = \"x.ts\"\nstyle = \"tree\"\ninclude = []\n",
        &[
            "1:1 an output needs a `path` | such as path = \"src/shared/assets.luau\"",
            "3:8 `x.py` has an unknown extension | it can be `.d.ts`, `.ts`, `.luau`, `.lua` or `.json`",
            "6:9 `style` can't be `tree` | it can be `flat` or `nested`",
            "7:11 `include` holds no pattern | leave it out for all addresses",
        ],
    );
    let url = "`webhook_env` is the name of an environment variable, not a URL | a webhook's URL is a secret: put it into the \
               environment and its variable's name here; renew one that was committed";
    check("[notify]\nwebhook_env = \"https://discord.com/api/webhooks/1/x\"\n", &[&format!("2:15 {url}")]);
    check(
        "[notify]\nwebhook_env = \"MY-HOOK\"\n",
        &[
            "2:15 `MY-HOOK` can't be the name of an environment variable | use letters, digits and `_`, such as \"MACADAM_WEBHOOK\"",
        ],
    );
    check(
        "[notify]\nwebhook_env = \"ROBLOX_API_KEY\"\nwebhook_url = \"x\"\n",
        &[
            "2:15 `ROBLOX_API_KEY` holds a credential, not a webhook's URL | use a variable of its own, such as \"MACADAM_WEBHOOK\"",
            "3:1 unknown key `webhook_url` in [notify] | did you mean `webhook_env`?",
        ],
    );
}

#[test]
fn existing_and_pins_are_checked() {
    check(
        "[existing]\nmusic.theme = 1\nb = \"rbxassetid://1\"\nc = 0\n",
        &[
            "2:1 `music` must be an asset ID, not a table | a name with a dot must be in quotes: \"close.png\" = 123",
            "3:5 `b` must be an asset ID, not a string | write the number alone, without quotes",
            "4:5 `0` isn't a valid asset ID | an ID is a positive number that Roblox gave",
        ],
    );
    check(
        "[assets.m]\npath = \"m.fbx\"\n[assets.i]\npath = \"i.png\"\n[pins]\nm = { asset_id = 1 }\ni = 2\n\"i.png\" = 3\nn = 4\n",
        &[
            "6:5 a Model is pinned at a revision, not at an asset ID | write the revision's number alone; `macadam history` lists them",
            "7:5 an Image is pinned to an asset ID, not to a revision | `macadam pin i REVISION` writes it for you; by hand write { asset_id = 123 }, with an ID that `macadam history i` lists",
            "8:1 there is no asset named `i.png` | that is the path of `i`: pin that address",
            "9:1 there is no asset named `n` | did you mean `i`?",
        ],
    );
    check(
        "[existing]\ne = 1\n[pins]\ne = 1\nf = {}\ng = 0\n",
        &[
            "4:1 `e` is under [existing] | only assets that Macadam manages can be pinned",
            "5:5 the pin of `f` has no `asset_id` | write { asset_id = 123 }; a name with a dot must be in quotes",
            "6:5 `0` isn't a valid revision | an ID is a positive number that Roblox gave",
        ],
    );
}

#[test]
fn icons_lead_to_images_and_never_in_a_circle() {
    let two =
        "[assets.m]\npath = \"m.fbx\"\n[assets.i]\npath = \"i.png\"\n[existing]\ne = 5\n[assets.a]\npath = \"a.png\"\n";
    let icon = |value: &str, expected: &[&str]| check(&format!("{two}icon = {value}\n"), expected);
    let name = "name an Image, or another asset's ID as \"assets/123\"";
    icon("\"i\"", &[]);
    icon("\"assets/12\"", &[]);
    icon("\"m\"", &[&format!("9:8 the icon must be an Image, `m` is a Model | {name}")]);
    icon("\"e\"", &["9:8 `e` is under [existing] | write \"assets/5\""]);
    icon("\"i.png\"", &["9:8 there is no asset named `i.png` | that is the path of `i`: write that address"]);
    icon("12", &["9:8 `icon` must be a string in quotes, not a number | for an asset ID write \"assets/12\""]);
    icon("\"rbxassetid://12\"", &["9:8 `icon` can't be `rbxassetid://12` | write \"assets/12\""]);
    icon("\"assets/0\"", &["9:8 `0` isn't a valid asset ID | an ID is a positive number that Roblox gave"]);
    icon(
        "\"a\"",
        &[
            "9:8 icons and previews form a circle: `a` -> `a` | Macadam uploads each asset before the one that shows it; remove one of these",
        ],
    );
    check(
        "[assets.a]\npath = \"a.png\"\npreviews = [\"b\", { asset = \"c\" }, {}]\n[globs.g]\npath = \"c/*\"\n",
        &[
            "3:13 `previews` must be a list of tables, not a string | write { asset = \"b\" }",
            "3:28 there is no asset named `c` | did you mean `a`?",
            "3:35 a preview needs an `asset` | write the name of an Image in this manifest, or an asset ID as \"assets/123\"",
        ],
    );
    let circle = "[assets.a]\npath = \"a.png\"\nicon = \"b\"\n[assets.b]\npath = \"b.png\"\npreviews = [{ asset = \"c\" }]\n\
                  [assets.c]\npath = \"c.png\"\nicon = \"a\"\n[assets.d]\npath = \"d.png\"\nicon = \"a\"\n";
    check(
        circle,
        &[
            "3:8 icons and previews form a circle: `a` -> `b` -> `c` -> `a` | Macadam uploads each asset before the one that \
         shows it; remove one of these @6:23 @9:8",
        ],
    );
}

#[test]
fn a_chain_of_icons_may_be_long() {
    let one = |n: usize| format!("[assets.a{n}]\npath = \"{n}.png\"\nicon = \"a{}\"\n", n + 1);
    let chain: String = (0..20_000).map(one).collect();
    good(&format!("{CREATOR}{chain}[assets.a20000]\npath = \"last.png\"\n"));
}

#[test]
fn more_errors_than_anybody_reads_are_counted() {
    let text = format!("{CREATOR}[policy]\n{}", (0..150).map(|n| format!("x{n:03} = 1\n")).collect::<String>());
    let all = parse(text.as_bytes(), "m").unwrap_err();
    assert_eq!(all.len(), 101);
    assert_eq!((all[100].message.as_str(), all[100].line), ("and 50 more", None));
    assert_eq!(all[0].line, Some(4));
}

const GLOBS: &str = "[globs.a]\npath = \"a/**\"\n[globs.b]\npath = \"**/*.png\"\n";

#[test]
fn clashes_that_only_files_show_name_both() {
    check_resolve(
        GLOBS,
        findings([("a/x.png", png(&[0, 1])), ("a/y.png", png(&[0, 1]))]),
        &["4:8 the globs `a` and `b` both find `a/x.png` | narrow one of them, or leave files out with `exclude` @2:8"],
    );
    let explicit = "[assets.x]\npath = \"a/x.png\"\n";
    check_resolve(&format!("{explicit}{GLOBS}"), findings([("a/x.png", png(&[0, 1]))]), &[]);
    check_resolve(
        &format!("[assets.\"b/x.png\"]\npath = \"a/x.png\"\n{GLOBS}"),
        findings([("a/x.png", png(&[])), ("b/x.png", png(&[1]))]),
        &[
            "1:9 `b/x.png` is the address of the asset with the file `a/x.png` and of the file `b/x.png` | rename one of them, or \
           leave the file out with `exclude` @6:8",
        ],
    );
    check_resolve(
        &format!("[existing]\n\"b/x.png\" = 1\n{GLOBS}"),
        findings([("b/x.png", png(&[1]))]),
        &[
            "2:1 `b/x.png` is under [existing], and a glob finds a file with this address | leave the file out with `exclude`, and the \
         game keeps asset 1; without the entry the next sync uploads the file as a new asset @6:8",
        ],
    );
    check_resolve(
        GLOBS,
        findings([("b/\u{e9}.png", png(&[1])), ("b/e\u{301}.png", png(&[1]))]),
        &[
            "4:8 two files have the address `b/\u{e9}.png` | their names are the same in Unicode: b/e\\u{301}.png and b/\\u{e9}.png",
        ],
    );
    check_resolve(
        GLOBS,
        findings([("b/\u{1b}.png", png(&[1]))]),
        &[
            "4:8 the file `b/\\u{1b}.png` can't be an asset: an address can't hold the control character U+001B | rename it, or leave \
         it out with `exclude`",
        ],
    );
}

#[test]
fn references_are_checked_against_what_the_globs_find() {
    let text = format!("{GLOBS}[assets.m]\npath = \"m.fbx\"\nicon = \"a/x.png\"\n[pins]\n\"a/y.rbxm\" = 3\n");
    let fbx = || found(&[], FileFormat::Fbx, ContentFacts::Opaque);
    let animation = || found(&[0], FileFormat::Rbxm, ContentFacts::Instances { root: ModelRoot::Animation });
    let model = || found(&[0], FileFormat::Rbxm, ContentFacts::Instances { root: ModelRoot::Other });
    check_resolve(&text, findings([("m.fbx", fbx()), ("a/x.png", png(&[0])), ("a/y.rbxm", model())]), &[]);
    check_resolve(
        &text,
        findings([("m.fbx", fbx()), ("a/x2.png", png(&[0])), ("a/y.rbxm", animation())]),
        &[
            "7:8 there is no asset named `a/x.png` | did you mean `a/x2.png`?",
            "9:14 an Animation is pinned to an asset ID, not to a revision | `macadam pin a/y.rbxm REVISION` writes it for you; by hand write { asset_id = 123 }, with an ID that `macadam history a/y.rbxm` lists",
        ],
    );
    let wide = found(&[0], FileFormat::Png, ContentFacts::Image { width: 64, height: 32 });
    check_resolve(
        &text,
        findings([("m.fbx", fbx()), ("a/x.png", wide)]),
        &[
            "7:8 an icon must be square, `a/x.png` has 64 by 32 pixels | name a square Image",
            "9:1 there is no asset named `a/y.rbxm` | remove the pin",
        ],
    );
    let problem = FoundFile {
        globs: vec![0],
        content: Err(FileProblem {
            kind: crate::model::file::FileProblemKind::Missing,
            message: "bad".to_owned(),
            hint: None,
        }),
    };
    check_resolve(&text, findings([("m.fbx", fbx()), ("a/x.png", png(&[0])), ("a/y.rbxm", problem)]), &[]);
}

#[test]
fn a_reference_to_a_known_removed_address_is_no_error() {
    let text = format!(
        "{CREATOR}[assets.a]\npath = \"a.png\"\nicon = \"old\"\npreviews = [{{ asset = \"old\" }}, {{ asset = \"b.png\" }}, {{ asset = \"old\" }}]\n\
         [assets.b]\npath = \"b.png\"\n[pins]\nold = {{ asset_id = 1 }}\n\"b.png\" = 3\n[existing]\nmusic = 1\n"
    );
    let manifest = good(&text);
    let look = |known: &[&str]| {
        manifest.resolve(&FoundFiles::new(), &known.iter().copied().map(address).collect(), &BTreeSet::new())
    };
    let desired = look(&["old", "b.png", "b", "other"]).unwrap().desired;
    let (pin, of) = (|asset_id| StrayPlace::Pin(Pin::Asset(AssetId::new(asset_id).unwrap())), address("a"));
    let stray = |to: &str, place: &StrayPlace| Stray { to: address(to), place: place.clone() };
    let (icon, preview) = (StrayPlace::Icon { of: of.clone() }, StrayPlace::Preview { of: of.clone() });
    let expected = [
        stray("b.png", &StrayPlace::Pin(Pin::Revision(Revision::new(3).unwrap()))),
        stray("b.png", &preview),
        stray("old", &pin(1)),
        stray("old", &icon),
        stray("old", &preview),
    ];
    assert_eq!(desired.stray, expected);
    let metadata = &desired.assets[&of].metadata;
    assert_eq!(metadata.icon, Some(Some(AssetRef::Address(address("old")))));
    assert_eq!(metadata.previews.as_ref().map(Vec::len), Some(3));
    assert_eq!(desired.assets.len(), 2, "a pin makes no asset");

    let path_of = "that is the path of `b`";
    assert_eq!(
        told(&look(&["old"]).unwrap_err(), &text, 2),
        [
            format!("4:42 there is no asset named `b.png` | {path_of}: write that address"),
            format!("9:1 there is no asset named `b.png` | {path_of}: pin that address"),
        ]
    );
    assert_eq!(look(&[]).unwrap_err().len(), 6);
}

#[test]
fn a_known_address_excuses_no_other_mistake() {
    let known: BTreeSet<Address> = ["music", "m", "i"].map(address).into_iter().collect();
    let told = |text: &str| {
        let manifest = good(&format!("{CREATOR}{text}"));
        let all = manifest.resolve(
            &findings([("i.png", png(&[0])), ("m.fbx", found(&[0], FileFormat::Fbx, ContentFacts::Opaque))]),
            &known,
            &BTreeSet::new(),
        );
        told(&all.err().unwrap_or_default(), manifest.text(), 2)
    };
    let parsed = |text: &str| parse(format!("{CREATOR}{text}").as_bytes(), "m").unwrap_err().remove(0).message;
    assert_eq!(parsed("[existing]\nmusic = 1\n[pins]\nmusic = 1\n"), "`music` is under [existing]");
    assert_eq!(
        parsed("[assets.m]\npath = 'm.fbx'\n[pins]\nm = { asset_id = 1 }\n"),
        "a Model is pinned at a revision, not at an asset ID"
    );
    let glob = "[globs.g]\npath = '*'\n[assets.i]\npath = 'x.png'\n";
    assert_eq!(
        told(&format!("{glob}icon = 'm.fbx'\n")),
        ["5:8 the icon must be an Image, `m.fbx` is a Model | name an Image, or another asset's ID as \"assets/123\""]
    );
    assert_eq!(
        told(&format!("{glob}icon = 'i.pngg'\n")),
        ["5:8 there is no asset named `i.pngg` | did you mean `i.png`?"]
    );
    // Beside another mistake the first look tells of an address that is not there: it can't know of
    // what left.
    let all = parse(format!("{CREATOR}typo = 1\n[pins]\nm = 1\n").as_bytes(), "m").unwrap_err();
    assert_eq!(all.len(), 2);
}

#[test]
fn an_unusable_file_is_a_problem_of_its_asset_alone() {
    let check = |entry: &str, files: FoundFiles, name: &str, asset_type: Option<AssetType>, problem: Option<&str>| {
        let desired = resolved(entry, files);
        let DesiredAsset { asset_type: seen, content, .. } = &desired.assets[&address(name)];
        let message = content.as_ref().err().map(|problem| problem.message.as_str());
        assert_eq!((*seen, message), (asset_type, problem), "{entry}");
    };
    let missing = "no file `x.png`";
    check("[assets.a]\npath = \"x.png\"\n", FoundFiles::new(), "a", Some(AssetType::Image), Some(missing));
    check("[assets.a]\npath = \"x.rbxm\"\n", FoundFiles::new(), "a", None, Some("no file `x.rbxm`"));
    let typed = "[globs.g]\npath = \"*\"\ntype = \"Image\"\n";
    let sound = found(&[0], FileFormat::Ogg, ContentFacts::Audio { duration: None, sample_rate: None });
    let mismatch = "an Image can't be made from a .ogg file";
    check(typed, findings([("s.ogg", sound.clone())]), "s.ogg", Some(AssetType::Image), Some(mismatch));
    let private = "[globs.g]\npath = \"*\"\nprivacy = \"restricted\"\n";
    let refused = "the privacy of an Audio can't be chosen";
    check(private, findings([("s.ogg", sound)]), "s.ogg", Some(AssetType::Audio), Some(refused));
    check(private, findings([("x.png", png(&[0]))]), "x.png", Some(AssetType::Image), None);
    let still = found(&[], FileFormat::Rbxm, ContentFacts::Instances { root: ModelRoot::Other });
    let moving = found(&[], FileFormat::Rbxm, ContentFacts::Instances { root: ModelRoot::Animation });
    let named = "[assets.a]\npath = \"x.rbxm\"\ntype = \"Animation\"\n";
    check(
        named,
        findings([("x.rbxm", still.clone())]),
        "a",
        Some(AssetType::Animation),
        Some("the file is not one animation"),
    );
    check(named, findings([("x.rbxm", moving.clone())]), "a", Some(AssetType::Animation), None);
    let inferred = "[assets.a]\npath = \"x.rbxm\"\n";
    check(inferred, findings([("x.rbxm", moving)]), "a", Some(AssetType::Animation), None);
    check(inferred, findings([("x.rbxm", still)]), "a", Some(AssetType::Model), None);
    let huge = found(&[], FileFormat::Rbxm, ContentFacts::Instances { root: ModelRoot::Unknown });
    let untold = Some("the model is too large to tell whether it is an Animation");
    check(inferred, findings([("x.rbxm", huge.clone())]), "a", None, untold);
    check(named, findings([("x.rbxm", huge)]), "a", Some(AssetType::Animation), None);
}

#[test]
fn unset_cleared_and_default_are_three_things() {
    let text = "[defaults]\ndescription = \"all\"\nprevent_replace = true\nexpected_price = 5\n[assets.a]\npath = \"a.png\"\n\
                [assets.b]\npath = \"b.png\"\ndescription = \"\"\nprevent_replace = false\nicon = \"\"\npreviews = []\n";
    let desired = resolved(text, FoundFiles::new());
    let (a, b) = (&desired.assets[&address("a")], &desired.assets[&address("b")]);
    let description = |asset: &DesiredAsset| asset.metadata.description.as_ref().map(|d| d.as_str().to_owned());
    assert_eq!((description(a).as_deref(), a.prevent_replace, *a.expected_price), (Some("all"), true, Some(5)));
    assert_eq!((description(b).as_deref(), b.prevent_replace, *b.expected_price), (Some(""), false, Some(5)));
    assert_eq!((&a.metadata.icon, &a.metadata.previews, &a.metadata.display_name), (&None, &None, &None));
    assert_eq!((&b.metadata.icon, &b.metadata.previews), (&Some(None), &Some(Vec::new())));
}

/// Returns the notes of a manifest with these files, where no address is known.
fn noted(manifest: &Manifest, files: FoundFiles, unread: &BTreeSet<usize>) -> Vec<Diagnostic> {
    manifest.notes(&manifest.resolve(&files, &BTreeSet::new(), unread).unwrap())
}

#[test]
fn a_glob_or_pattern_without_matches_is_a_note() {
    let text = format!("{CREATOR}{GLOBS}[[outputs]]\npath = \"x.json\"\ninclude = [\"a/**\", \"sowrd\"]\n");
    let manifest = good(&text);
    let notes = noted(&manifest, findings([("a/x.ogg", png(&[0]))]), &BTreeSet::new());
    assert_eq!(
        told(&notes, &text, 2),
        [
            "4:8 the glob `b` finds no file | check its folder and extension; upper and lower case differ, and `*` doesn't cross `/`",
            "7:20 the pattern `sowrd` in the `include` of `x.json` fits no address | `macadam status` lists the addresses"
        ]
    );
    assert!(render(&notes, &text, false, None).starts_with("note: the glob `b` finds no file\n"));
    let brackets = format!("{CREATOR}[globs.b]\npath = \"UI [new]/x/*.png\"\n");
    let notes = noted(&good(&brackets), findings([]), &BTreeSet::new());
    assert!(told(&notes, &brackets, 2)[0].ends_with("write \"UI [[]new[]]/x/*.png\""));
    // Its folder could not be read, which is told where that is.
    let unread = [1].into();
    let notes = noted(&manifest, findings([("a/x.ogg", png(&[0]))]), &unread);
    assert_eq!(
        told(&notes, &text, 2),
        [
            "7:20 the pattern `sowrd` in the `include` of `x.json` fits no address | `macadam status` lists the addresses"
        ]
    );
}

#[test]
fn a_pattern_of_several_outputs_without_matches_is_told_once() {
    let outputs = ["a.json", "b.luau"].map(|path| format!("[[outputs]]\npath = \"{path}\"\ninclude = [\"sowrd\"]\n"));
    let text = format!("{CREATOR}{}", outputs.concat());
    let notes = noted(&good(&text), FoundFiles::new(), &BTreeSet::new());
    let told = told(&notes, &text, 1);
    assert!(
        told[0].contains("the pattern `sowrd` in the `include` of `a.json` and `b.luau` fits no address"),
        "{told:?}"
    );
}

/// Findings for whatever a manifest speaks of, each file in one of several states.
fn some_findings(manifest: &Manifest, states: &[u8]) -> FoundFiles {
    let selection = manifest.selection();
    let globs = selection.globs.len();
    let extra = ["ui/a.png", "ui/e\u{301}.png", "ui/\u{e9}.png", "music/x.ogg", "\u{1b}"].map(path);
    let files = selection.explicit.into_iter().chain(extra);
    let finding = |state: u8| match state % 5 {
        0 => None,
        1 => Some(FoundFile {
            globs: vec![],
            content: Err(FileProblem {
                kind: crate::model::file::FileProblemKind::Missing,
                message: "bad".to_owned(),
                hint: None,
            }),
        }),
        2 => Some(png(&[usize::from(state), 0])),
        3 => Some(png(&(0..globs).collect::<Vec<_>>())),
        _ => Some(found(
            &[usize::from(state) % 2],
            FileFormat::Rbxm,
            ContentFacts::Instances { root: if state > 99 { ModelRoot::Animation } else { ModelRoot::Other } },
        )),
    };
    files.zip(states.iter().copied().cycle()).filter_map(|(path, state)| Some((path, finding(state)?))).collect()
}

/// Some of the addresses that such manifests name.
fn some_known(states: &[u8]) -> BTreeSet<Address> {
    let all = ["a", "b", "sword", "sword-icon", "ui/a.png"].map(address).into_iter();
    all.zip(states.iter().cycle()).filter(|(_, state)| **state % 2 == 0).map(|(address, _)| address).collect()
}

/// Whatever the text, it is read, rendered and resolved without a panic, and every error has its
/// place.
fn survives(bytes: &[u8], states: &[u8]) {
    let lossy = String::from_utf8_lossy(bytes);
    match parse(bytes, "m") {
        Ok(manifest) => {
            if let Err(all) = manifest.resolve(&some_findings(&manifest, states), &some_known(states), &BTreeSet::new())
            {
                assert!(!all.is_empty());
                render(&all, &lossy, true, None);
            }
        }
        Err(all) => {
            assert!(!all.is_empty());
            assert!(all.iter().take(100).all(|d| d.line.is_some() && d.column.is_some()), "{all:?}");
            assert!(!render(&all, &lossy, false, None).is_empty());
        }
    }
}

/// However deep a line is, no stack is exhausted.
#[test]
fn no_depth_panics() {
    for open in ["[", "{a=", "a.", "[[", "[a.", "\"", "{", "(a|{"] {
        for depth in [50, 500, 20_000] {
            let deep = open.repeat(depth);
            survives(format!("a = {deep}").as_bytes(), &[0]);
            survives(format!("{deep}a = 1").as_bytes(), &[0]);
            survives(format!("{CREATOR}[globs.a]\npath = \"{}\"\n", deep.replace('"', "")).as_bytes(), &[0]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), states in prop::collection::vec(any::<u8>(), 1..9)) {
        survives(&bytes, &states);
    }

    #[test]
    fn random_toml_never_panics(
        text in "([a-z]{1,3}|\\[\\[?assets\\.[ab]\\]\\]?|=|\"[a-zé/\\\\.*{\\[]{0,5}\"|\\{|\\}|\\[|\\]|,|\n|[0-9-]{1,3}|true|path|icon|\u{feff}|'|\"\"\"|#| ){0,40}",
        states in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        survives(text.as_bytes(), &states);
        survives(format!("{CREATOR}{text}").as_bytes(), &states);
    }

    #[test]
    fn a_mutated_manifest_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, any::<prop::sample::Index>(), 0_usize..20), 0..4),
        states in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for (at, length, from, copied) in edits {
            let (at, from) = (at.index(bytes.len()), from.index(EXAMPLE.len()));
            let end = bytes.len().min(at + length);
            let piece = EXAMPLE.as_bytes()[from..EXAMPLE.len().min(from + copied)].to_vec();
            bytes.splice(at..end, piece);
            if bytes.is_empty() { break; }
        }
        survives(&bytes, &states);
    }
}

/// The outputs of a manifest with one image and these outputs.
fn outputs_of(text: &str) -> Vec<crate::model::output::Output> {
    good(&format!("{CREATOR}{text}")).outputs().to_vec()
}

#[test]
fn every_key_of_an_output_is_read() {
    let text = "[[outputs]]\npath = \"src/my-assets.ts\"\nstyle = \"nested\"\nbase = \"./assets/ui/\"\nname = \"UI\"\n\
                strip_extensions = true\nvalue = \"content\"\ntypes = \"literal\"\nmissing = \"error\"\ninclude = [\"a/**\"]\n\
                exclude = [\"a/b/*\"]\n[[outputs]]\npath = \"src/end.json\"\nvalue = \"id\"\n";
    let [all, few] = outputs_of(text).try_into().unwrap();
    assert_eq!(
        (all.language, all.style, all.base.as_deref()),
        (Language::TypeScript, OutputStyle::Nested, Some("assets/ui"))
    );
    assert_eq!((all.name.as_str(), all.strip_extensions, all.value), ("UI", true, ValueForm::Content));
    assert_eq!((all.types, all.missing), (TypeWidth::Literal, MissingAsset::Error));
    assert_eq!((all.include, all.exclude), (Some(vec!["a/**".to_owned()]), vec!["a/b/*".to_owned()]));
    assert_eq!(
        (few.name.as_str(), few.value, few.missing, few.include),
        ("_end", ValueForm::Id, MissingAsset::Omit, None)
    );
    assert_eq!((few.base, few.exclude), (None, Vec::new()));
}

#[test]
fn a_declaration_holds_what_the_module_beside_it_holds() {
    let text = "[[outputs]]\npath = \"x/a.d.ts\"\ntypes = \"literal\"\nvalue = \"id\"\n[[outputs]]\npath = \"x/a.luau\"\nname = \"A\"\n\
                style = \"nested\"\nvalue = \"id\"\nbase = \"ui\"\nexclude = [\"b\"]\n";
    let [declaration, module] = outputs_of(text).try_into().unwrap();
    assert_eq!((declaration.language, declaration.types), (Language::TypeScriptDeclaration, TypeWidth::Literal));
    assert_eq!((declaration.style, declaration.value, declaration.name), (module.style, module.value, module.name));
    assert_eq!((declaration.base, declaration.exclude), (module.base, module.exclude));
    check(
        "[[outputs]]\npath = \"a.luau\"\n[[outputs]]\npath = \"a.d.ts\"\nstyle = \"nested\"\n[[outputs]]\npath = \"b/a.d.ts\"\n",
        &[
            "5:1 `style` differs from that of `a.luau` | leave `style` out: a `.d.ts` output has the keys and values of the module beside it @2:8",
            "7:8 a `.d.ts` output describes a `.luau` output beside it, and there is none | add an output with path = \"b/a.luau\", or write a `.ts` file",
        ],
    );
}

#[test]
fn keys_of_an_output_that_its_language_has_not_are_refused() {
    check(
        "[[outputs]]\npath = \"a.luau\"\ntypes = \"wide\"\n[[outputs]]\npath = \"a.json\"\nname = \"a\"\nvalue = \"content\"\ntypes = \"wide\"\n",
        &[
            "3:1 `types` is for TypeScript, and this output is Luau | leave it out, or set it in a `.ts` or `.d.ts` output",
            "6:1 `name` is for Luau and TypeScript, and JSON has no names | leave it out",
            "7:9 `content` is a value of Luau and TypeScript, and JSON has none | use `uri` or `id`",
            "8:1 `types` is for TypeScript, and this output is JSON | leave it out, or set it in a `.ts` or `.d.ts` output",
        ],
    );
    check(
        "[[outputs]]\npath = \"a.luau\"\nname = \"end\"\nbase = \"/\"\nvalue = \"url\"\nmissing = \"skip\"\n[[outputs]]\npath = \"b.ts\"\nname = \"my assets\"\nbase = \"ui/*\"\ntypes = \"litteral\"\n",
        &[
            "3:8 `end` can't be a name in Luau and TypeScript | use letters, digits and `_`, and no reserved word: such as \"_end\"",
            "4:8 `base` is empty | leave it out to cut nothing off",
            "5:9 `value` can't be `url` | did you mean `uri`?",
            "6:11 `missing` can't be `skip` | it can be `omit`, `empty` or `error`",
            "9:8 `my assets` can't be a name in Luau and TypeScript | use letters, digits and `_`, and no reserved word: such as \"my_assets\"",
            "10:8 `base` is a folder, not a pattern | such as base = \"assets\"",
            "11:9 `types` can't be `litteral` | did you mean `literal`?",
        ],
    );
}

#[test]
fn an_output_takes_no_other_files_place() {
    check(
        "[assets.a]\npath = \"a.json\"\n[[outputs]]\npath = \"a.json\"\n",
        &[
            "2:8 `a.json`: Roblox doesn't accept this kind of file | Roblox accepts .fbx .gltf .glb .rbxm .rbxmx .png .jpg .jpeg .bmp .tga .mp3 .ogg .wav .flac .mp4 .mov .mesh",
            "4:8 `a.json` is the file of the asset `a` | write the output elsewhere @2:8",
        ],
    );
    check(
        "[[outputs]]\npath = \"assets.lock.toml\"\n[[outputs]]\npath = \"assets.toml\"\n[[outputs]]\npath = \".git/hooks/a.lua\"\n\
         [[outputs]]\npath = \"x/.macadam/a.lua\"\n[[outputs]]\npath = \"../a.lua\"\n[[outputs]]\npath = \"A.lua\"\n[[outputs]]\npath = \"a.LUA\"\n",
        &[
            "2:8 `assets.lock.toml` is the lockfile | write the output elsewhere",
            "4:8 `assets.toml` is the manifest | write the output elsewhere",
            "6:8 no output can be written into a `.git` folder | write it where the game's code is",
            "8:8 no output can be written into a `.macadam` folder | write it where the game's code is",
            "10:8 the path `../a.lua` leaves the manifest's folder with `..` | move the file into the manifest's folder, or the manifest into a folder above both",
            "14:8 two outputs write `a.LUA` | give each output a file of its own @12:8",
        ],
    );
}

#[test]
fn a_path_has_no_control_characters() {
    check(
        "[assets.a]\npath = \"a\\u001b.png\"\n[[outputs]]\npath = \"notes.txt\\nids.json\"\n",
        &[
            "2:8 a path can't hold the control character U+001B | rename the file, and write its new name",
            "4:8 a path can't hold the control character U+000A | rename the file, and write its new name",
        ],
    );
}

#[test]
fn no_glob_finds_an_output() {
    let text =
        format!("{CREATOR}[globs.all]\npath = \"ui/**\"\nexclude = [\"wip\"]\n[[outputs]]\npath = \"ui/[a].json\"\n");
    let selection = good(&text).selection();
    assert_eq!(selection.globs[0].exclude, ["wip", "ui/[[]a[]].json"]);
}
