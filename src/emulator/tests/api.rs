//! The responses of the API under the switch profile `observed`, in process.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::files::{FilePartFixture, audio, fbx, image, model, video};
use super::fixture::{EmulatorFixture, FORM, START, TestResponse, form, id_of, new_asset};
use crate::emulator::{
    CreatableType, Creators, EmulatedKey, EndpointLimits, ForeignEdit, LatencyModel, Limit, ModerationRule,
    ModerationVerdict, Principal, Profile, TextAction, TextField, TextRule, VerdictStep, VersionOrigin,
};

#[test]
fn a_create_is_polled_until_it_is_done() {
    let fixture = EmulatorFixture::new();
    let mut request = new_asset("Model", "Sword");
    request["description"] = json!("sharp");
    request["creationContext"]["expectedPrice"] = json!(0);
    request["creationContext"]["assetPrivacy"] = json!("default");
    let accepted = fixture.create(&request, &model("a"));
    let id = accepted.good()["operationId"].as_str().unwrap().to_owned();
    let running = json!({ "path": format!("operations/{id}"), "operationId": id, "done": false });
    assert_eq!(accepted.good(), running);
    assert_eq!(fixture.poll(&accepted).good(), running);
    let asset = fixture.control.assets()[0].asset.id;
    let mut expected = json!({
        "path": format!("assets/{asset}"), "revisionId": "1", "revisionCreateTime": "2023-11-14T22:13:20.000000000Z",
        "assetId": asset.to_string(), "displayName": "Sword", "description": "sharp", "assetType": "Model",
        "creationContext": { "creator": { "userId": "1" } }, "moderationResult": { "moderationState": "Approved" }, "state": "Active",
    });
    let done = json!({ "path": format!("operations/{id}"), "operationId": id, "done": true, "response": expected });
    assert_eq!(fixture.finish(&accepted), done);
    expected["revisionCreateTime"] = json!("2023-11-14T22:13:20.000Z");
    assert_eq!(fixture.get(&format!("/assets/v1/assets/{asset}")).good(), expected);
}

#[test]
fn equal_creates_make_two_assets() {
    let fixture = EmulatorFixture::new();
    let (one, two) = (fixture.made("Image", "a", &image(8, 8)), fixture.made("Image", "a", &image(8, 8)));
    assert!(one < two);
    let commits = fixture.control.counters().commits;
    assert_eq!(commits.values().collect::<Vec<_>>(), [&2]);
}

#[test]
fn invalid_creates_are_refused_with_the_messages_of_the_wire() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Value, &mut FilePartFixture), status: u16, message: &str) {
        let fixture = EmulatorFixture::with(|config| config.fees = [(CreatableType::Image, 10)].into());
        let (mut request, mut file) = (new_asset("Image", "Sword"), image(8, 8));
        change(&mut request, &mut file);
        assert_eq!(fixture.create(&request, &file).refusal(), (status, message.to_owned()));
        assert!(fixture.control.assets().is_empty() && fixture.control.operations().is_empty());
        assert_eq!(
            fixture.control.requests().last().map(|request| (request.committed, request.status)),
            Some((false, Some(status)))
        );
    }
    let length = "Asset name length is invalid.";
    check(|request, _| request["displayName"] = json!("n".repeat(51)), 400, length);
    check(|request, _| request["displayName"] = json!(""), 400, length);
    check(|request, _| request["displayName"] = Value::Null, 400, length);
    check(|request, _| request["description"] = json!("d".repeat(1001)), 400, "Asset description length is invalid.");
    check(|request, _| request["assetType"] = json!("Plugin"), 400, "AssetType Plugin is not supported.");
    check(|request, _| request["assetType"] = Value::Null, 400, "AssetType is required.");
    check(|request, _| request["creationContext"] = json!({}), 400, "Creator is required.");
    check(
        |request, _| request["creationContext"]["expectedPrice"] = Value::Null,
        400,
        "Error converting value {null} to type 'System.Int64'. Path 'creationContext.expectedPrice'",
    );
    check(
        |request, _| request["creationContext"]["expectedPrice"] = json!(9),
        400,
        "The price is 10 Robux, more than the expected price of 9.",
    );
    check(
        |request, _| request["creationContext"]["assetPrivacy"] = json!("secret"),
        400,
        "AssetPrivacy secret is invalid.",
    );
    check(
        |request, _| request["twitterSocialLink"] = json!({ "uri": "https://twitter.com/us" }),
        400,
        "Social links can't be set when an asset is created.",
    );
    let invalid = "\"InvalidImage\"";
    check(|_, file| file.bytes = b"no image".to_vec(), 400, invalid);
    check(|_, file| *file = image(8000, 8), 400, invalid);
    check(|_, file| *file = image(8, 8000), 400, invalid);
    check(|_, file| *file = FilePartFixture { name: "i.jpg", ..image(8, 8) }, 400, invalid);
    check(|_, file| file.bytes.clear(), 400, "Request body cannot be empty");
    check(|_, file| *file = model("x"), 400, "The content type is not supported for AssetType Image.");
}

#[test]
fn values_at_the_limits_are_accepted() {
    let fixture = EmulatorFixture::with(|config| config.fees = [(CreatableType::Image, 10)].into());
    let mut request = new_asset("Image", &"n".repeat(50));
    request["description"] = json!("d".repeat(1000));
    request["creationContext"]["expectedPrice"] = json!(10);
    assert_eq!(fixture.create(&request, &image(7999, 7999)).status, 200);
}

#[test]
fn broken_bodies_are_refused() {
    #[track_caller]
    fn check(content_type: &str, body: Vec<u8>, message: &str) {
        let response = EmulatorFixture::new().send_as("k", "POST", "/assets/v1/assets", content_type, body);
        let (status, text) = response.refusal();
        assert_eq!(status, 400);
        assert!(text.starts_with(message), "{text}");
    }
    let empty = "Request body cannot be empty";
    check("application/json", b"{}".to_vec(), empty);
    check(FORM, Vec::new(), "Failed to read the request form.");
    check(FORM, b"--B--\r\n".to_vec(), empty);
    check(FORM, form("", Some(&image(8, 8))), empty);
    check(FORM, form("{\"description\": \"a", Some(&image(8, 8))), "Unterminated string.");
    check(FORM, form("{,}", Some(&image(8, 8))), "After parsing a value an unexpected character was encountered.");
    check(FORM, form("[]", Some(&image(8, 8))), "Request body must be a JSON object.");
    check(FORM, form(&new_asset("Image", "a").to_string(), None), empty);
    let named = String::from_utf8(form("{}", None))
        .unwrap()
        .replace("name=\"request\"", "name=\"request\"; filename=\"r.json\"");
    check(FORM, named.into_bytes(), empty);
    let huge = FilePartFixture { bytes: vec![0; 30_000_000], ..image(8, 8) };
    check(
        FORM,
        form(&new_asset("Image", "a").to_string(), Some(&huge)),
        "Failed to read the request form. Request body too large.",
    );
}

#[test]
fn a_corrupt_file_makes_an_operation_that_fails() {
    let fixture = EmulatorFixture::new();
    let garbage = FilePartFixture { bytes: b"garbage".to_vec(), ..model("") };
    let ended = fixture.finish(&fixture.create(&new_asset("Model", "a"), &garbage));
    assert_eq!(ended["error"], json!({ "code": "CorruptedData", "message": "The file is corrupted." }));
    assert!(fixture.control.assets().is_empty() && fixture.control.counters().commits.is_empty());
}

#[test]
fn keys_are_checked_for_expiry_scope_and_creator() {
    let key = |change: fn(&mut EmulatedKey)| {
        let fixture = EmulatorFixture::new();
        let mut key =
            EmulatedKey { creators: Creators::Owner, ..EmulatedKey::all_powerful("k", "ci", Principal::User(1)) };
        change(&mut key);
        fixture.control.put_key(key);
        fixture
    };
    #[track_caller]
    fn check(fixture: &EmulatorFixture, response: TestResponse, status: u16, body: Value) {
        assert_eq!((response.status, response.json()), (status, body));
        assert!(fixture.control.assets().is_empty());
    }
    let bad = json!({ "errors": [{ "code": 0, "message": "Invalid API Key" }] });
    let create = |fixture: &EmulatorFixture| fixture.create(&new_asset("Image", "a"), &image(8, 8));
    let fixture = key(|_| {});
    for wrong in ["", "other"] {
        check(&fixture, fixture.send_as(wrong, "GET", "/assets/v1/assets/5", "", Vec::new()), 401, bad.clone());
    }
    let fixture = key(|key| key.enabled = false);
    check(&fixture, create(&fixture), 401, bad.clone());
    let fixture = key(|key| key.expires_at_ms = Some(START));
    check(&fixture, create(&fixture), 401, bad);
    let fixture = key(|key| key.write = false);
    check(
        &fixture,
        create(&fixture),
        403,
        json!({ "code": "INSUFFICIENT_SCOPE", "message": "The API key lacks the scope asset:write." }),
    );
    assert_eq!(fixture.get("/assets/v1/assets/5").status, 404);
    let fixture = key(|key| key.read = false);
    check(
        &fixture,
        fixture.get("/assets/v1/assets/5"),
        403,
        json!({ "code": "INSUFFICIENT_SCOPE", "message": "The API key lacks the scope asset:read." }),
    );
    let fixture = key(|key| key.owner = Principal::User(2));
    check(
        &fixture,
        create(&fixture),
        403,
        json!({ "code": "PERMISSION_DENIED", "message": "The API key has no permission for user:1." }),
    );
    let fixture =
        key(|key| (key.owner, key.creators) = (Principal::User(2), Creators::Only([Principal::User(1)].into())));
    assert_eq!(create(&fixture).status, 200);
}

#[test]
fn a_bearer_token_is_as_good_as_a_key() {
    let request = Request::get("/assets/v1/assets/5").header("authorization", "Bearer t").body(Body::empty()).unwrap();
    assert_eq!(EmulatorFixture::new().send_request(request).status, 404);
}

#[test]
fn foreign_assets_can_be_read_but_not_written() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("a"));
    fixture
        .control
        .put_key(EmulatedKey { creators: Creators::Owner, ..EmulatedKey::all_powerful("k", "ci", Principal::User(2)) });
    assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}")).status, 200);
    assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}/versions")).status, 403);
    assert_eq!(fixture.post(&format!("/assets/v1/assets/{id}:archive"), &json!({})).status, 403);
    assert_eq!(fixture.update(id, "displayName", &json!({ "assetId": id, "displayName": "b" }), None).status, 403);
    assert!(!fixture.control.asset(id).unwrap().asset.archived);
}

#[test]
fn keys_are_introspected() {
    let fixture = EmulatorFixture::new();
    fixture.control.put_key(EmulatedKey::all_powerful("k", "ci", Principal::User(5)));
    let body = fixture.post("/api-keys/v1/introspect", &json!({ "apiKey": "k" })).good();
    assert_eq!(
        body,
        json!({
            "name": "ci", "authorizedUserId": 5,
            "scopes": [{ "name": "asset", "operations": ["read", "write"], "userIds": ["*"], "groupIds": ["*"] }],
            "enabled": true, "expired": false,
        })
    );
    assert_eq!(fixture.post("/api-keys/v1/introspect", &json!({ "apiKey": "x" })).status, 401);
    assert_eq!(fixture.post("/api-keys/v1/introspect", &json!({})).status, 400);
}

#[test]
fn a_model_is_updated_in_place_and_equal_bytes_make_no_version() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("one"));
    let accepted = fixture.update(id, "", &json!({ "assetId": id }), Some(&model("two")));
    let revision =
        |fixture: &EmulatorFixture| fixture.get(&format!("/assets/v1/assets/{id}")).good()["revisionId"].clone();
    assert_eq!(revision(&fixture), "1", "the version appears when the operation ends");
    assert_eq!(fixture.finish(&accepted)["response"]["revisionId"], "2");
    assert_eq!(revision(&fixture), "2");
    assert_eq!(fixture.updated(id, &model("two"))["revisionId"], "2");
    assert_eq!(fixture.updated(id, &fbx("three"))["revisionId"], "3");
    assert_eq!(fixture.updated(id, &model("one"))["revisionId"], "4");
    let origins: Vec<VersionOrigin> =
        fixture.control.asset(id).unwrap().asset.versions.iter().map(|version| version.origin).collect();
    assert_eq!(origins, [VersionOrigin::Create, VersionOrigin::Update, VersionOrigin::Update, VersionOrigin::Update]);
}

#[test]
fn content_of_immutable_types_can_not_be_updated() {
    for (asset_type, file) in [("Image", image(8, 8)), ("Decal", image(8, 8)), ("Audio", audio()), ("Video", video())] {
        let fixture = EmulatorFixture::new();
        let id = fixture.made(asset_type, "a", &file);
        let response = fixture.update(id, "", &json!({ "assetId": id }), Some(&file));
        assert_eq!(response.refusal(), (400, format!("AssetType {asset_type} does not support content updates.")));
    }
}

#[test]
fn invalid_updates_are_refused() {
    let fixture = EmulatorFixture::new();
    let (id, wide) = (fixture.made("Model", "a", &model("a")), fixture.made("Image", "i", &image(8, 4)));
    #[track_caller]
    fn check(
        fixture: &EmulatorFixture,
        id: u64,
        mask: &str,
        fields: Value,
        file: Option<&FilePartFixture>,
        message: &str,
    ) {
        assert_eq!(fixture.update(id, mask, &fields, file).refusal(), (400, message.to_owned()));
    }
    check(
        &fixture,
        id,
        "",
        json!({ "assetId": id + 1 }),
        Some(&model("b")),
        "AssetId in the request does not match the path.",
    );
    check(
        &fixture,
        id,
        "",
        json!({ "assetId": id, "assetType": "Image" }),
        Some(&model("b")),
        "AssetType can't be changed.",
    );
    check(&fixture, id, "weight", json!({ "assetId": id }), None, "The update mask has an invalid field: weight.");
    check(&fixture, id, "displayName", json!({ "assetId": id }), None, "Asset name length is invalid.");
    check(
        &fixture,
        id,
        "githubSocialLink",
        json!({ "assetId": id, "githubSocialLink": { "uri": "https://gitlab.com/us" } }),
        None,
        "The uri of githubSocialLink is invalid.",
    );
    fixture.set("metadata_failure", "refused");
    let icon = |icon: u64| json!({ "assetId": id, "icon": format!("assets/{icon}") });
    check(&fixture, id, "icon", icon(wide), None, &format!("AssetId {wide} is not square."));
    check(&fixture, id, "icon", icon(id), None, &format!("AssetId {id} is not an Image."));
    check(&fixture, id, "icon", icon(7), None, "AssetId 7 is not found");
    assert_eq!(fixture.update(7, "icon", &icon(wide), None).refusal(), (404, "AssetId 7 is not found".to_owned()));
}

#[test]
fn an_update_changes_only_masked_metadata() {
    let fixture = EmulatorFixture::new();
    let (id, icon) = (fixture.made("Model", "a", &model("a")), fixture.made("Image", "i", &image(8, 8)));
    let link = |name: &str| json!({ "uri": format!("https://{name}/us") });
    let fields = json!({
        "assetId": id, "displayName": "b", "description": "d", "icon": format!("assets/{icon}"),
        "previews": [{ "asset": format!("assets/{icon}"), "altText": "front" }],
        "twitchSocialLink": { "title": "t", "uri": "https://www.twitch.tv/us" },
        "githubSocialLink": link("github.com"), "guildedSocialLink": link("guilded.gg"), "robloxSocialLink": link("roblox.com"),
    });
    let mask = "displayName,icon,previews%2CtwitchSocialLink,githubSocialLink,guildedSocialLink";
    let ended = fixture.finish(&fixture.update(id, mask, &fields, None));
    assert_eq!(ended["response"]["displayName"], "b");
    assert_eq!(ended["response"]["revisionId"], "1");
    let read = |mask: &str| fixture.get(&format!("/assets/v1/assets/{id}?readMask={mask}")).good();
    assert_eq!(
        read("displayName,description,icon,previews,twitchSocialLink,robloxSocialLink"),
        json!({
            "displayName": "b", "icon": format!("assets/{icon}"),
            "previews": [{ "asset": format!("assets/{icon}"), "altText": "front" }],
            "twitchSocialLink": { "title": "t", "uri": "https://www.twitch.tv/us" },
        }),
        "what is outside the mask is ignored"
    );
    let four = fixture.update(id, "robloxSocialLink", &fields, None);
    assert_eq!(four.refusal(), (400, "An asset can have at most 3 social links.".to_owned()));
    fixture.finish(&fixture.update(id, "icon,previews,twitchSocialLink,description", &json!({ "assetId": id }), None));
    assert_eq!(
        read("icon,previews,twitchSocialLink,description"),
        json!({ "previews": [] }),
        "what the mask names and the body lacks is cleared"
    );
}

#[test]
fn content_and_metadata_change_together() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("a"));
    let fields = json!({ "assetId": id, "displayName": "b", "description": "ignored" });
    let ended = fixture.finish(&fixture.update(id, "displayName", &fields, Some(&model("b"))));
    let response = &ended["response"];
    assert_eq!(
        (&response["revisionId"], &response["displayName"], response.get("description")),
        (&json!("2"), &json!("b"), None)
    );
}

#[test]
fn an_unusable_icon_is_an_error_inside_the_operation() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("a"));
    let fields = json!({ "assetId": id, "displayName": "b", "icon": "assets/7" });
    let ended = fixture.finish(&fixture.update(id, "displayName,icon", &fields, None));
    let error = json!({ "code": "InvalidArgument", "message": "AssetId 7 is not found", "details": [] });
    assert_eq!(ended["metadata"], json!({ "errors": [{ "error": error, "fieldMask": "icon" }] }));
    assert_eq!(ended["response"]["displayName"], "b");
}

#[test]
fn reads_are_refused_for_wrong_masks_ids_and_paths() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("a"));
    let wrong = fixture.get(&format!("/assets/v1/assets/{id}?readMask=displayName,weight"));
    assert_eq!(wrong.refusal(), (400, "The read mask has an invalid field: weight.".to_owned()));
    assert_eq!(
        fixture.get("/assets/v1/assets/7").json(),
        json!({ "code": "NOT_FOUND", "message": "AssetId 7 is not found" })
    );
    assert_eq!(
        fixture.get("/assets/v1/assets/x").json()["errors"],
        json!({ "assetId": ["The value 'x' is not valid."] })
    );
    assert_eq!(fixture.get("/assets/v1/planets").json(), json!({ "errors": [{ "code": 0, "message": "NotFound" }] }));
    assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}:archive")).status, 405);
}

#[test]
fn versions_are_listed_newest_first_page_by_page() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("0"));
    for number in 1..20 {
        fixture.updated(id, &model(&number.to_string()));
    }
    let page = |query: &str| fixture.get(&format!("/assets/v1/assets/{id}/versions?{query}")).good();
    let paths = |page: &Value| -> Vec<String> {
        page["assetVersions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| version["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let expected =
        |numbers: Vec<u32>| numbers.iter().map(|number| format!("assets/{id}/versions/{number}")).collect::<Vec<_>>();
    let first = page("pageToken=&maxPageSize=");
    assert_eq!(paths(&first), expected((13..=20).rev().collect()));
    let second = page(&format!("maxPageSize=12&pageToken={}", first["nextPageToken"].as_str().unwrap()));
    assert_eq!(paths(&second), expected((1..=12).rev().collect()));
    assert_eq!(second.get("nextPageToken"), None);
    assert_eq!(
        page("maxPageSize=1")["assetVersions"][0],
        json!({
            "path": format!("assets/{id}/versions/20"), "creationContext": { "creator": { "userId": "1" } },
            "moderationResult": { "moderationState": "Approved" }, "published": true,
        })
    );
    for query in ["pageToken=zz", "pageToken=31", "maxPageSize=x"] {
        assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}/versions?{query}")).status, 400, "{query}");
    }
    assert_eq!(
        fixture.get(&format!("/assets/v1/assets/{id}/versions/3")).good()["path"],
        format!("assets/{id}/versions/3")
    );
    assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}/versions/21")).status, 404);
}

#[test]
fn a_rollback_is_json_or_a_form() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("one"));
    fixture.updated(id, &model("two"));
    let path = format!("/assets/v1/assets/{id}/versions:rollback");
    let version = |number: u32| format!("assets/{id}/versions/{number}");
    let response = fixture.post(&path, &json!({ "assetVersion": version(1) })).good();
    assert_eq!(response["path"], version(3), "observed: a new version with the old bytes");
    let hashes: Vec<String> =
        fixture.control.asset(id).unwrap().asset.versions.iter().map(|version| version.content.hash.clone()).collect();
    assert_eq!(hashes[2], hashes[0]);
    let body =
        format!("--B\r\nContent-Disposition: form-data; name=\"assetVersion\"\r\n\r\n{}\r\n--B--\r\n", version(2));
    assert_eq!(fixture.send_as("k", "POST", &path, FORM, body.into_bytes()).good()["path"], version(4));
    for (wrong, status) in [
        (json!({}), 400),
        (json!({ "assetVersion": "2" }), 400),
        (json!({ "assetVersion": "assets/7/versions/1" }), 400),
    ] {
        assert_eq!(fixture.post(&path, &wrong).status, status, "{wrong}");
    }
    assert_eq!(fixture.post(&path, &json!({ "assetVersion": version(9) })).status, 404);
}

#[test]
fn archive_and_restore_return_the_asset() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Image", "a", &image(8, 8));
    let path = format!("/assets/v1/assets/{id}");
    for (verb, body, state) in [("archive", "", "Archived"), ("restore", "{}", "Active")] {
        let response = fixture.send_as("k", "POST", &format!("{path}:{verb}"), "application/json", body.into()).good();
        assert_eq!((&response["state"], id_of(&response)), (&json!(state), id));
        assert_eq!(fixture.get(&path).good()["state"], state);
    }
    assert_eq!(fixture.post("/assets/v1/assets/7:archive", &json!({})).status, 404);
}

#[test]
fn moderation_moves_on_and_an_operation_keeps_its_snapshot() {
    let fixture = EmulatorFixture::new();
    let step = |after_ms, verdict| VerdictStep { after_ms, verdict };
    let verdicts = vec![
        step(0, ModerationVerdict::Reviewing),
        step(5000, ModerationVerdict::Approved),
        step(9000, ModerationVerdict::Rejected),
    ];
    fixture.control.moderate(ModerationRule { name: Some("song".into()), verdicts, ..ModerationRule::default() });
    let accepted = fixture.create(&new_asset("Audio", "song"), &audio());
    let state = |body: &Value| body["moderationResult"]["moderationState"].as_str().unwrap().to_owned();
    let id = id_of(&fixture.finish(&accepted)["response"]);
    let now = || state(&fixture.get(&format!("/assets/v1/assets/{id}")).good());
    assert_eq!(now(), "Reviewing");
    fixture.pass(4000);
    assert_eq!(now(), "Approved");
    assert_eq!(state(&fixture.poll(&accepted).good()["response"]), "Reviewing");
    fixture.pass(4000);
    assert_eq!(now(), "Rejected");
    let version = fixture.get(&format!("/assets/v1/assets/{id}/versions/1")).good();
    assert_eq!(state(&version), "Rejected");
    let verdicts = vec![step(0, ModerationVerdict::Approved)];
    fixture.control.moderate(ModerationRule { asset_id: Some(id), verdicts, ..ModerationRule::default() });
    assert_eq!(now(), "Approved");
}

#[test]
fn moderated_content_can_fail_the_operation() {
    let fixture = EmulatorFixture::new();
    fixture.control.moderate(ModerationRule { fail_operation: true, ..ModerationRule::default() });
    let ended = fixture.finish(&fixture.create(&new_asset("Audio", "song"), &audio()));
    assert_eq!(ended["error"]["code"], "ContentModerated");
    assert!(fixture.control.assets().is_empty());
}

#[test]
fn an_account_with_too_many_rejections_is_moderated() {
    let fixture = EmulatorFixture::with(|config| config.rejections_allowed = Some(2));
    let verdicts = vec![VerdictStep { after_ms: 100, verdict: ModerationVerdict::Rejected }];
    fixture.control.moderate(ModerationRule { verdicts, ..ModerationRule::default() });
    fixture.made("Audio", "a", &audio());
    assert_eq!(fixture.get("/assets/v1/assets/7").status, 404);
    fixture.create(&new_asset("Audio", "b"), &audio());
    assert_eq!(fixture.get("/assets/v1/assets/7").status, 404);
    fixture.pass(100);
    assert_eq!(fixture.get("/assets/v1/assets/7").refusal(), (403, "User is moderated".to_owned()));
    fixture.control.moderate_account(Principal::User(1), false);
    assert_eq!(fixture.get("/assets/v1/assets/7").status, 404);
}

#[test]
fn the_text_filter_refuses_or_censors_creates_and_updates() {
    let fixture = EmulatorFixture::new();
    let rule = |contains: &str, field, action| TextRule { contains: contains.into(), field, action };
    fixture.control.add_text_rule(rule("dev", TextField::Both, TextAction::Censor));
    fixture.control.add_text_rule(rule("bad", TextField::Name, TextAction::Refuse));
    fixture.control.add_text_rule(rule("bad", TextField::Description, TextAction::Refuse));
    let mut request = new_asset("Model", "tt-dev");
    request["description"] = json!("dev notes");
    let id = id_of(&fixture.finish(&fixture.create(&request, &model("a")))["response"]);
    let stored = fixture.get(&format!("/assets/v1/assets/{id}?readMask=displayName,description")).good();
    assert_eq!(stored, json!({ "displayName": "tt-###", "description": "### notes" }));
    assert_eq!(
        fixture.create(&new_asset("Model", "bad"), &model("a")).refusal(),
        (400, "AssetName is moderated.".to_owned())
    );
    let bad = fixture.update(id, "description", &json!({ "assetId": id, "description": "bad" }), None);
    assert_eq!(bad.refusal(), (400, "AssetDescription is moderated.".to_owned()));
    let ended =
        fixture.finish(&fixture.update(id, "displayName", &json!({ "assetId": id, "displayName": "dev" }), None));
    assert_eq!(ended["response"]["displayName"], "###");
    fixture.control.clear_text_rules();
    let ended =
        fixture.finish(&fixture.update(id, "displayName", &json!({ "assetId": id, "displayName": "dev" }), None));
    assert_eq!(ended["response"]["displayName"], "dev");
}

fn only(endpoint: crate::emulator::ApiEndpoint, limit: Limit) -> EndpointLimits {
    EndpointLimits { endpoints: [(endpoint, limit)].into(), ..EndpointLimits::none() }
}

#[test]
fn a_429_of_the_gateway_asks_for_too_short_a_wait() {
    let fixture = EmulatorFixture::new();
    fixture.control.set_limits(only(crate::emulator::ApiEndpoint::GetAsset, Limit::of(1)));
    assert_eq!(fixture.get("/assets/v1/assets/7").header("x-ratelimit-remaining"), ["0, 0"]);
    let response = fixture.get("/assets/v1/assets/7");
    assert_eq!((response.status, response.json()), (429, json!({ "errors": [{ "code": 0, "message": "" }] })));
    let headers =
        ["retry-after", "x-envoy-ratelimited", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    let values: Vec<&str> = headers.iter().flat_map(|name| response.header(name)).collect();
    // START is 20 s into a minute.
    assert_eq!(values, ["5", "true", "1, 1;w=60, 1, 1;w=60", "0, 0", "40, 40"]);
    fixture.pass(40_000);
    assert_eq!(fixture.get("/assets/v1/assets/7").status, 404);
    assert_eq!(fixture.control.counters().windows_exceeded.values().collect::<Vec<_>>(), [&1]);
}

#[test]
fn the_default_limits_are_the_documented_ones() {
    let limits = EndpointLimits::documented();
    let of = |endpoint| limits.endpoints[&endpoint];
    use crate::emulator::ApiEndpoint as E;
    for endpoint in [E::CreateAsset, E::GetAsset, E::UpdateAsset] {
        assert_eq!(of(endpoint), Limit::of(120));
    }
    for endpoint in [E::ArchiveAsset, E::RestoreAsset, E::ListVersions, E::GetVersion, E::RollbackAsset] {
        assert_eq!(of(endpoint), Limit::of(100));
    }
    assert_eq!(of(E::GetOperation), Limit { per_ip: 300, per_owner: 300, per_key: 100 });
    assert!(!limits.endpoints.contains_key(&E::IntrospectKey));
}

#[test]
fn latency_can_be_counted_in_polls_or_as_observed() {
    let fixture = EmulatorFixture::with(|config| config.latency = LatencyModel::Polls(2));
    let accepted = fixture.create(&new_asset("Model", "a"), &model("a"));
    let done: Vec<bool> = (0..4).map(|_| fixture.poll(&accepted).good()["done"].as_bool().unwrap()).collect();
    assert_eq!(done, [false, false, true, true]);

    fixture.control.set_latency(LatencyModel::Observed);
    let accepted = fixture.create(&new_asset("Model", "a"), &fbx("a"));
    fixture.pass(2000);
    assert_eq!(fixture.poll(&accepted).good()["done"], false);
    fixture.pass(2000);
    assert_eq!(fixture.poll(&accepted).good()["done"], true);
}

#[test]
fn edits_by_another_person_are_visible() {
    let fixture = EmulatorFixture::new();
    let id = fixture.made("Model", "a", &model("a"));
    let edit = ForeignEdit {
        display_name: Some("theirs".into()),
        description: Some("d".into()),
        archived: Some(true),
        content_hash: Some("ff".into()),
        ..ForeignEdit::default()
    };
    fixture.control.edit(id, &edit).unwrap();
    let seen = fixture.get(&format!("/assets/v1/assets/{id}?readMask=displayName,description,state,revisionId")).good();
    assert_eq!(seen, json!({ "displayName": "theirs", "description": "d", "state": "Archived", "revisionId": "2" }));
    fixture.control.edit(id, &ForeignEdit { head: Some(1), archived: Some(false), ..ForeignEdit::default() }).unwrap();
    assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}")).good()["revisionId"], "1");
    assert_eq!(fixture.control.edit(id, &ForeignEdit { head: Some(9), ..ForeignEdit::default() }), None);
    assert_eq!(fixture.control.edit(7, &ForeignEdit::default()), None);
    // One version is taken down, another one is removed; the current one can't be removed.
    fixture.control.edit(id, &ForeignEdit { reject_version: Some(1), ..ForeignEdit::default() }).unwrap();
    let version = |number: u32| fixture.get(&format!("/assets/v1/assets/{id}/versions/{number}"));
    assert_eq!(version(1).good()["moderationResult"]["moderationState"], "Rejected");
    assert_eq!(fixture.control.edit(id, &ForeignEdit { remove_version: Some(1), ..ForeignEdit::default() }), None);
    fixture.control.edit(id, &ForeignEdit { remove_version: Some(2), ..ForeignEdit::default() }).unwrap();
    assert_eq!(version(2).status, 404);
}

#[test]
fn the_log_records_effects_but_never_the_key() {
    let fixture = EmulatorFixture::new();
    fixture.control.put_key(EmulatedKey::all_powerful("hush-hush", "ci", Principal::Group(9)));
    let request =
        json!({ "assetType": "Image", "displayName": "a", "creationContext": { "creator": { "groupId": 9 } } });
    let body = form(&request.to_string(), Some(&image(8, 8)));
    let bytes = body.len() as u64;
    let response = fixture.send_as("hush-hush", "POST", "/assets/v1/assets?x=1", FORM, body).good();
    let log = fixture.control.requests();
    let entry = &log[0];
    let asset = &fixture.control.assets()[0];
    assert_eq!(
        (entry.method.as_str(), entry.path.as_str(), entry.query.as_str()),
        ("POST", "/assets/v1/assets", "x=1")
    );
    assert_eq!((entry.status, entry.committed, entry.bytes, entry.at_ms), (Some(200), true, bytes, START));
    assert_eq!(
        (entry.owner, entry.key.as_deref(), entry.asset_id),
        (Some(Principal::Group(9)), Some("ci"), Some(asset.asset.id))
    );
    assert_eq!(entry.content_hash.as_ref(), Some(&asset.asset.versions[0].content.hash));
    assert_eq!(entry.operation_id.as_deref(), response["operationId"].as_str());
    let shown =
        format!("{log:?}{:?}{:?}{}", fixture.control, fixture.control.counters(), serde_json::to_string(&log).unwrap());
    assert!(!shown.contains("hush-hush"));
}

#[test]
fn reset_empties_the_world_and_keeps_the_settings() {
    let fixture = EmulatorFixture::new();
    fixture.set("rollback", "repoint");
    fixture.made("Model", "a", &model("a"));
    fixture.control.reset();
    assert!(
        fixture.control.assets().is_empty()
            && fixture.control.operations().is_empty()
            && fixture.control.requests().is_empty()
    );
    assert!(fixture.control.switches().contains(&("rollback", "repoint".to_owned())));
}

#[test]
fn the_usual_requests_succeed_under_both_profiles() {
    for profile in [Profile::Documented, Profile::Observed] {
        let fixture = EmulatorFixture::with(|config| config.profile = profile);
        let id = fixture.made("Model", "a", &model("one"));
        assert_eq!(fixture.updated(id, &model("two"))["revisionId"], "2");
        let path = format!("/assets/v1/assets/{id}/versions:rollback");
        fixture.post(&path, &json!({ "assetVersion": format!("assets/{id}/versions/1") })).good();
        let current = |fixture: &EmulatorFixture| {
            fixture.control.asset(id).unwrap().asset.current().unwrap().content.hash.clone()
        };
        assert_eq!(current(&fixture), fixture.control.asset(id).unwrap().asset.versions[0].content.hash);
        fixture.update(id, "displayName", &json!({ "assetId": id, "displayName": "b" }), None).good();
        fixture.pass(1000);
        assert_eq!(fixture.get(&format!("/assets/v1/assets/{id}")).good()["displayName"], "b");
        for (verb, state) in [("archive", "Archived"), ("restore", "Active")] {
            assert_eq!(fixture.post(&format!("/assets/v1/assets/{id}:{verb}"), &json!({})).good()["state"], state);
        }
    }
}
