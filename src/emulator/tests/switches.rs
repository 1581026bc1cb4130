//! One test for each switch: the view of a client under each of its values. A switch without a row
//! here fails the first test.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::files::{FilePartFixture, audio, fbx, image, model, video};
use super::fixture::{EmulatorFixture, FORM, TestResponse, form, id_of, new_asset};
use crate::emulator::{
    CreatableType, EmulatedKey, EndpointLimits, Limit, ModerationRule, ModerationVerdict, Principal, Switches,
    VerdictStep,
};

/// The switches, the values to try, and the result of the probe under each.
struct SwitchCase {
    name: &'static str,
    seen: &'static [(&'static str, &'static str)],
    probe: fn(&EmulatorFixture) -> String,
}

fn status(response: &TestResponse) -> String {
    response.status.to_string()
}

fn model_with_two_versions(fixture: &EmulatorFixture) -> u64 {
    let id = fixture.made("Model", "a", &model("one"));
    fixture.updated(id, &model("two"));
    id
}

fn roll_back(fixture: &EmulatorFixture, id: u64, number: u32) -> TestResponse {
    let path = format!("/assets/v1/assets/{id}/versions:rollback");
    fixture.post(&path, &json!({ "assetVersion": format!("assets/{id}/versions/{number}") }))
}

fn rename(fixture: &EmulatorFixture, id: u64) -> TestResponse {
    fixture.update(id, "displayName", &json!({ "assetId": id, "displayName": "b" }), None)
}

fn asset(fixture: &EmulatorFixture, id: u64) -> TestResponse {
    fixture.get(&format!("/assets/v1/assets/{id}"))
}

fn archive(fixture: &EmulatorFixture, id: u64) -> TestResponse {
    fixture.post(&format!("/assets/v1/assets/{id}:archive"), &json!({}))
}

fn reject(fixture: &EmulatorFixture, id: u64) {
    let verdicts = vec![VerdictStep { after_ms: 0, verdict: ModerationVerdict::Rejected }];
    fixture.control.moderate(ModerationRule { asset_id: Some(id), verdicts, ..ModerationRule::default() });
}

fn keys(value: &Value) -> String {
    value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
}

fn content_update(
    fixture: &EmulatorFixture,
    asset_type: &str,
    first: &FilePartFixture,
    second: &FilePartFixture,
) -> String {
    let id = fixture.made(asset_type, "a", first);
    status(&fixture.update(id, "", &json!({ "assetId": id }), Some(second)))
}

/// Uploads an ogg until the quota is used up, and returns how many were accepted.
fn uploads(fixture: &EmulatorFixture, asset_type: &str, file: &FilePartFixture, most: usize) -> usize {
    (0..most).take_while(|_| fixture.create(&new_asset(asset_type, "a"), file).status == 200).count()
}

const VERSIONS: &[SwitchCase] = &[
    SwitchCase {
        name: "rollback",
        seen: &[("repoint", "1 of 2"), ("new_version", "3 of 3")],
        probe: |fixture| {
            let id = model_with_two_versions(fixture);
            let path = roll_back(fixture, id, 1).good()["path"].as_str().unwrap().to_owned();
            let count = fixture.control.asset(id).unwrap().asset.versions.len();
            format!("{} of {count}", path.rsplit('/').next().unwrap())
        },
    },
    SwitchCase {
        name: "rollback_to_current",
        seen: &[("ok", "200"), ("bad_request", "400")],
        probe: |fixture| status(&roll_back(fixture, model_with_two_versions(fixture), 2)),
    },
    SwitchCase {
        name: "rollback_to_rejected",
        seen: &[("ok", "200"), ("bad_request", "400")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("one"));
            reject(fixture, id);
            fixture.control.clear_moderation();
            fixture.updated(id, &model("two"));
            status(&roll_back(fixture, id, 1))
        },
    },
    SwitchCase {
        name: "rollback_of_unversioned",
        seen: &[("ok", "200"), ("bad_request", "400")],
        probe: |fixture| {
            fixture.set("rollback_to_current", "ok");
            status(&roll_back(fixture, fixture.made("Image", "a", &image(8, 8)), 1))
        },
    },
    SwitchCase {
        name: "rollback_moderation",
        seen: &[("kept", "Approved"), ("reviewed", "Reviewing")],
        probe: |fixture| {
            let response = roll_back(fixture, model_with_two_versions(fixture), 1).good();
            response["moderationResult"]["moderationState"].as_str().unwrap().to_owned()
        },
    },
    SwitchCase {
        name: "rollback_body",
        seen: &[("both", "200 200"), ("json", "200 400"), ("multipart", "400 200")],
        probe: |fixture| {
            let id = model_with_two_versions(fixture);
            let body = format!(
                "--B\r\nContent-Disposition: form-data; name=\"assetVersion\"\r\n\r\nassets/{id}/versions/1\r\n--B--\r\n"
            );
            let json = roll_back(fixture, id, 1).status;
            let path = format!("/assets/v1/assets/{id}/versions:rollback");
            fixture.set("rollback_to_current", "ok");
            format!("{json} {}", fixture.send_as("k", "POST", &path, FORM, body.into_bytes()).status)
        },
    },
    SwitchCase {
        name: "published",
        seen: &[("present", "true"), ("absent", "null")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            fixture.get(&format!("/assets/v1/assets/{id}/versions/1")).good()["published"].to_string()
        },
    },
    SwitchCase {
        name: "versions_body",
        seen: &[("object", "object"), ("array", "array")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            let body = fixture.get(&format!("/assets/v1/assets/{id}/versions")).good();
            if body.is_array() {
                "array".into()
            } else {
                body["assetVersions"].as_array().map(|_| "object".into()).unwrap()
            }
        },
    },
    SwitchCase {
        name: "versions_of_unversioned",
        seen: &[("listed", "200 1"), ("empty", "200 0"), ("not_found", "404")],
        probe: |fixture| {
            let id = fixture.made("Image", "a", &image(8, 8));
            let response = fixture.get(&format!("/assets/v1/assets/{id}/versions"));
            match response.json()["assetVersions"].as_array() {
                Some(list) => format!("{} {}", response.status, list.len()),
                None => status(&response),
            }
        },
    },
    SwitchCase {
        name: "page_size_out_of_range",
        seen: &[("bad_request", "400 400"), ("clamped", "1 2")],
        probe: |fixture| {
            let id = model_with_two_versions(fixture);
            let page = |size: &str| fixture.get(&format!("/assets/v1/assets/{id}/versions?maxPageSize={size}"));
            let seen = |response: TestResponse| {
                response.json()["assetVersions"].as_array().map_or(response.status as usize, Vec::len)
            };
            format!("{} {}", seen(page("-1")), seen(page("51")))
        },
    },
    SwitchCase {
        name: "revision_of_unversioned",
        seen: &[("present", "\"1\""), ("absent", "null")],
        probe: |fixture| asset(fixture, fixture.made("Image", "a", &image(8, 8))).good()["revisionId"].to_string(),
    },
];

const DIALECT: &[SwitchCase] = &[
    SwitchCase {
        name: "enum_dialect",
        seen: &[
            ("plain", "Model Approved null"),
            (
                "prefixed",
                "ASSET_TYPE_MODEL MODERATION_STATE_APPROVED \"type.googleapis.com/roblox.open_cloud.assets.v1.Asset\"",
            ),
        ],
        probe: |fixture| {
            let response = fixture.finish(&fixture.create(&new_asset("Model", "a"), &model("a")))["response"].clone();
            let state = &response["moderationResult"]["moderationState"];
            format!("{} {} {}", response["assetType"].as_str().unwrap(), state.as_str().unwrap(), response["@type"])
        },
    },
    SwitchCase {
        name: "operation_reply",
        seen: &[("full", "path operationId done, path operationId done"), ("path_only", "path, path")],
        probe: |fixture| {
            let accepted = fixture.create(&new_asset("Model", "a"), &model("a"));
            format!("{}, {}", keys(&accepted.good()), keys(&fixture.poll(&accepted).good()))
        },
    },
    SwitchCase {
        name: "ids",
        seen: &[("string", "true true"), ("number", "false false")],
        probe: |fixture| {
            let body = asset(fixture, fixture.made("Model", "a", &model("a"))).good();
            format!("{} {}", body["assetId"].is_string(), body["creationContext"]["creator"]["userId"].is_string())
        },
    },
    SwitchCase {
        name: "unset_fields",
        seen: &[("absent", "false false"), ("null", "true true")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            let versions = fixture.get(&format!("/assets/v1/assets/{id}/versions")).good();
            let has = |body: &Value, name: &str| body.as_object().unwrap().get(name) == Some(&Value::Null);
            format!("{} {}", has(&asset(fixture, id).good(), "description"), has(&versions, "nextPageToken"))
        },
    },
    SwitchCase {
        name: "error_code",
        seen: &[("string", "\"NOT_FOUND\" \"CorruptedData\""), ("number", "404 400")],
        probe: |fixture| {
            let garbage = FilePartFixture { bytes: b"garbage".to_vec(), ..model("") };
            let ended = fixture.finish(&fixture.create(&new_asset("Model", "a"), &garbage));
            format!("{} {}", asset(fixture, 7).json()["code"], ended["error"]["code"])
        },
    },
    SwitchCase {
        name: "error_shape",
        seen: &[
            ("status", "code message"),
            ("problem_details", "type title status traceId"),
            ("error_field", "error message errorDetails"),
            ("text", "AssetId 7 is not found"),
        ],
        probe: |fixture| {
            let response = asset(fixture, 7);
            serde_json::from_str(&response.text).map_or(response.text.clone(), |body| keys(&body))
        },
    },
    SwitchCase {
        name: "rate_limit_headers",
        seen: &[
            ("plain", "1 | 0 | 40"),
            ("list", "1, 1;w=60, 5, 5;w=60 | 0, 4 | 40, 40"),
            ("repeated", "1+5 | 0+4 | 40+40"),
        ],
        probe: |fixture| {
            let limit = Limit { per_ip: 1, per_owner: 1, per_key: 5 };
            fixture.control.set_limits(EndpointLimits {
                endpoints: [(crate::emulator::ApiEndpoint::GetAsset, limit)].into(),
                ..EndpointLimits::none()
            });
            let response = asset(fixture, 7);
            ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
                .map(|name| response.header(name).join("+"))
                .join(" | ")
        },
    },
    SwitchCase {
        name: "key_throttle_reply",
        seen: &[("service", "RESOURCE_EXHAUSTED \"\" 9, 0"), ("gateway", " \"5\" 9, 0")],
        probe: |fixture| {
            let limit = Limit { per_ip: 10, per_owner: 10, per_key: 1 };
            fixture.control.set_limits(EndpointLimits {
                endpoints: [(crate::emulator::ApiEndpoint::GetAsset, limit)].into(),
                ..EndpointLimits::none()
            });
            asset(fixture, 7);
            let response = asset(fixture, 7);
            assert_eq!(response.status, 429);
            let code = response.json()["code"].as_str().unwrap_or_default().to_owned();
            format!(
                "{code} {:?} {}",
                response.header("retry-after").concat(),
                response.header("x-ratelimit-remaining").concat()
            )
        },
    },
];

const REFUSALS: &[SwitchCase] = &[
    SwitchCase {
        name: "scope_refusal",
        seen: &[
            ("service_403", "403 code message"),
            ("gateway_403", "403 errors"),
            ("problem_403", "403 type title status traceId"),
            ("gateway_401", "401 errors"),
        ],
        probe: |fixture| {
            fixture
                .control
                .put_key(EmulatedKey { write: false, ..EmulatedKey::all_powerful("k", "ci", Principal::User(1)) });
            let response = fixture.create(&new_asset("Model", "a"), &model("a"));
            format!("{} {}", response.status, keys(&response.json()))
        },
    },
    SwitchCase {
        name: "permission_refusal",
        seen: &[("service", "code message"), ("gateway", "errors"), ("problem", "type title status traceId")],
        probe: |fixture| {
            let creators = crate::emulator::Creators::Owner;
            fixture
                .control
                .put_key(EmulatedKey { creators, ..EmulatedKey::all_powerful("k", "ci", Principal::User(2)) });
            let response = fixture.create(&new_asset("Model", "a"), &model("a"));
            assert_eq!(response.status, 403);
            keys(&response.json())
        },
    },
    SwitchCase {
        name: "quota_refusal",
        seen: &[("resource_exhausted", "429"), ("invalid_argument", "400"), ("permission_denied", "403")],
        probe: |fixture| {
            fixture.set("audio_quota", "0");
            status(&fixture.create(&new_asset("Audio", "a"), &audio()))
        },
    },
    SwitchCase {
        name: "quota_of_failed",
        seen: &[("counted", "400"), ("returned", "200")],
        probe: |fixture| {
            fixture.set("audio_quota", "1");
            fixture.create(&new_asset("Audio", "a"), &FilePartFixture { bytes: b"garbage".to_vec(), ..audio() }).good();
            status(&fixture.create(&new_asset("Audio", "a"), &audio()))
        },
    },
    SwitchCase {
        name: "update_fee",
        seen: &[("charged", "400"), ("free", "200")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            fixture.control.set_fees([(CreatableType::Model, 5)].into());
            let request = json!({ "assetId": id, "creationContext": { "expectedPrice": 0 } });
            status(&fixture.update(id, "", &request, Some(&model("b"))))
        },
    },
    SwitchCase {
        name: "name_length_unit",
        seen: &[("code_points", "200"), ("utf16", "400")],
        probe: |fixture| status(&fixture.create(&new_asset("Model", &"🗡".repeat(26)), &model("a"))),
    },
    SwitchCase {
        name: "missing_description",
        seen: &[("accepted", "200"), ("refused", "400")],
        probe: |fixture| status(&fixture.create(&new_asset("Model", "a"), &model("a"))),
    },
    SwitchCase {
        name: "prefixed_input",
        seen: &[("accepted", "200"), ("refused", "400")],
        probe: |fixture| status(&fixture.create(&new_asset("ASSET_TYPE_MODEL", "a"), &model("a"))),
    },
    SwitchCase {
        name: "create_icon_previews",
        seen: &[("accepted", "200 true"), ("refused", "400 false")],
        probe: |fixture| {
            let icon = fixture.made("Image", "i", &image(8, 8));
            let mut request = new_asset("Model", "a");
            request["icon"] = json!(format!("assets/{icon}"));
            let response = fixture.create(&request, &model("a"));
            let stored = fixture.control.assets().iter().any(|report| report.asset.metadata.icon == Some(icon));
            format!("{} {stored}", response.status)
        },
    },
    SwitchCase {
        name: "format_decided_by",
        seen: &[("mime", "200"), ("extension", "400")],
        probe: |fixture| {
            status(&fixture.create(&new_asset("Image", "a"), &FilePartFixture { name: "i.fbx", ..image(8, 8) }))
        },
    },
    SwitchCase {
        name: "size_limit",
        seen: &[("file_20mb", "400"), ("body_30mb", "200")],
        probe: |fixture| {
            let mut file = model("a");
            file.bytes.resize(20_000_001, 0);
            status(&fixture.create(&new_asset("Model", "a"), &file))
        },
    },
    SwitchCase {
        name: "large_video",
        seen: &[("accepted", "200"), ("refused", "400")],
        probe: |fixture| {
            let mut file = video();
            file.bytes.resize(30_000_000, 0);
            status(&fixture.create(&new_asset("Video", "a"), &file))
        },
    },
    SwitchCase {
        name: "unknown_operation",
        seen: &[("not_found", "404"), ("bad_request", "400")],
        probe: |fixture| status(&fixture.get("/assets/v1/operations/00000000-0000-0000-0000-000000000000")),
    },
    SwitchCase {
        name: "operation_readers",
        seen: &[("same_owner", "200"), ("same_key", "404")],
        probe: |fixture| {
            fixture.control.put_key(EmulatedKey::all_powerful("k", "one", Principal::User(1)));
            fixture.control.put_key(EmulatedKey::all_powerful("l", "two", Principal::User(1)));
            let path =
                fixture.create(&new_asset("Model", "a"), &model("a")).good()["path"].as_str().unwrap().to_owned();
            status(&fixture.send_as("l", "GET", &format!("/assets/v1/{path}"), "", Vec::new()))
        },
    },
];

const UPDATES: &[SwitchCase] = &[
    SwitchCase {
        name: "metadata_reply",
        seen: &[
            ("operation", "path operationId done, a"),
            ("done_operation", "path operationId done response, b"),
            ("fields", "displayName, b"),
        ],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            let response = rename(fixture, id).good();
            format!("{}, {}", keys(&response), asset(fixture, id).good()["displayName"].as_str().unwrap())
        },
    },
    SwitchCase {
        name: "metadata_failure",
        seen: &[("refused", "400"), ("operation", "200")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            status(&fixture.update(id, "icon", &json!({ "assetId": id, "icon": "assets/7" }), None))
        },
    },
    SwitchCase {
        name: "unmasked_metadata",
        seen: &[("ignored", "a"), ("applied", "b")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            fixture.finish(&fixture.update(id, "", &json!({ "assetId": id, "displayName": "b" }), None));
            asset(fixture, id).good()["displayName"].as_str().unwrap().to_owned()
        },
    },
    SwitchCase {
        name: "metadata_revision",
        seen: &[("unchanged", "1"), ("bumped", "2")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            fixture.finish(&rename(fixture, id));
            fixture.finish(&rename(fixture, id));
            asset(fixture, id).good()["revisionId"].as_str().unwrap().to_owned()
        },
    },
    SwitchCase {
        name: "update_without_asset_id",
        seen: &[("refused", "400"), ("accepted", "200")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            status(&fixture.update(id, "", &json!({}), Some(&model("b"))))
        },
    },
    SwitchCase {
        name: "deduplicate",
        seen: &[("head", "2 3"), ("any_version", "2 2"), ("never", "3 4")],
        probe: |fixture| {
            let id = model_with_two_versions(fixture);
            let revision =
                |file: &FilePartFixture| fixture.updated(id, file)["revisionId"].as_str().unwrap().to_owned();
            format!("{} {}", revision(&model("two")), revision(&model("one")))
        },
    },
    SwitchCase {
        name: "content_update",
        seen: &[("models", "200 200 400"), ("fbx_only", "400 200 400"), ("models_and_animations", "200 200 200")],
        probe: |fixture| {
            let model_update = content_update(fixture, "Model", &model("a"), &model("b"));
            let fbx_update = content_update(fixture, "Model", &model("a"), &fbx("b"));
            format!("{model_update} {fbx_update} {}", content_update(fixture, "Animation", &model("a"), &model("b")))
        },
    },
    SwitchCase {
        name: "archived_write",
        seen: &[("ok", "200 200"), ("bad_request", "400 400")],
        probe: |fixture| {
            let id = model_with_two_versions(fixture);
            archive(fixture, id).good();
            format!("{} {}", rename(fixture, id).status, roll_back(fixture, id, 1).status)
        },
    },
    SwitchCase {
        name: "archive_again",
        seen: &[("ok", "200"), ("bad_request", "400")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            archive(fixture, id).good();
            status(&archive(fixture, id))
        },
    },
    SwitchCase {
        name: "archive_rejected",
        seen: &[("ok", "200"), ("bad_request", "400")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            reject(fixture, id);
            status(&archive(fixture, id))
        },
    },
    SwitchCase {
        name: "archive_types",
        seen: &[("all", "200"), ("all_but_video", "400")],
        probe: |fixture| status(&archive(fixture, fixture.made("Video", "a", &video()))),
    },
    SwitchCase {
        name: "archived_get",
        seen: &[("ok", "200"), ("not_found", "404")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            archive(fixture, id).good();
            status(&asset(fixture, id))
        },
    },
    SwitchCase {
        name: "rejected_get",
        seen: &[("ok", "200"), ("not_found", "404")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            reject(fixture, id);
            status(&asset(fixture, id))
        },
    },
    SwitchCase {
        name: "decal",
        seen: &[("wraps_image", "Image Decal, the Decal is answered"), ("single", "Decal, the Decal is answered")],
        probe: |fixture| {
            let answered = id_of(&fixture.finish(&fixture.create(&new_asset("Decal", "a"), &image(8, 8)))["response"]);
            let assets = fixture.control.assets();
            let types: Vec<&str> = assets.iter().map(|report| report.asset.asset_type.name()).collect();
            let decal = assets.iter().find(|report| report.asset.id == answered).unwrap();
            format!("{}, the {} is answered", types.join(" "), decal.asset.asset_type.name())
        },
    },
];

const NUMBERS: &[SwitchCase] = &[
    SwitchCase {
        name: "operation_visible_after_ms",
        seen: &[("0", "200"), ("500", "404 ")],
        probe: |fixture| {
            let created = fixture.create(&new_asset("Model", "a"), &model("a"));
            let early = fixture.poll(&created);
            fixture.pass(500);
            assert_eq!(fixture.poll(&created).good()["done"], false);
            match early.status {
                200 => status(&early),
                _ => format!("{} {}", early.status, early.json()["errors"][0]["message"].as_str().unwrap()),
            }
        },
    },
    SwitchCase {
        name: "reads_behind_ms",
        seen: &[("0", "Archived"), ("5000", "Active, Archived")],
        probe: |fixture| {
            let id = fixture.made("Model", "a", &model("a"));
            fixture.pass(60_000);
            archive(fixture, id).good();
            let mut seen = Vec::new();
            for _ in 0..2 {
                seen.push(fixture.get(&format!("/assets/v1/assets/{id}")).json()["state"].as_str().unwrap().to_owned());
                fixture.pass(5000);
            }
            seen.dedup();
            seen.join(", ")
        },
    },
    SwitchCase {
        name: "operation_retention_ms",
        seen: &[("0", "200"), ("5000", "404")],
        probe: |fixture| {
            let created = fixture.create(&new_asset("Model", "a"), &model("a"));
            fixture.finish(&created);
            fixture.pass(5000);
            status(&fixture.poll(&created))
        },
    },
    SwitchCase {
        name: "audio_quota",
        seen: &[("2", "2, 0, 2"), ("3", "3, 0, 3")],
        probe: |fixture| {
            let first = uploads(fixture, "Audio", &audio(), 9);
            fixture.pass(29 * 86_400_000);
            let early = uploads(fixture, "Audio", &audio(), 9);
            fixture.pass(86_400_000);
            format!("{first}, {early}, {}", uploads(fixture, "Audio", &audio(), 9))
        },
    },
    SwitchCase {
        name: "video_quota",
        seen: &[("1", "1, 1"), ("2", "2, 2")],
        probe: |fixture| {
            let first = uploads(fixture, "Video", &video(), 9);
            fixture.pass(86_400_000);
            format!("{first}, {}", uploads(fixture, "Video", &video(), 9))
        },
    },
];

fn rows() -> impl Iterator<Item = &'static SwitchCase> {
    [VERSIONS, DIALECT, REFUSALS, UPDATES, NUMBERS].into_iter().flatten()
}

#[test]
fn every_switch_has_a_row_with_all_its_values() {
    let tested: BTreeMap<&str, Vec<&str>> =
        rows().map(|row| (row.name, row.seen.iter().map(|(value, _)| *value).collect())).collect();
    for row in Switches::table() {
        let tried = tested.get(row.name).unwrap_or_else(|| panic!("the switch {} has no test", row.name));
        if row.values == ["N"] {
            assert!(tried.len() > 1, "{}", row.name);
        } else {
            assert_eq!(tried, row.values, "{}", row.name);
        }
    }
    assert_eq!(tested.len(), Switches::table().len());
}

#[track_caller]
fn check(rows: &[SwitchCase]) {
    for row in rows {
        for (value, expected) in row.seen {
            let fixture = EmulatorFixture::new();
            fixture.set(row.name, value);
            assert_eq!((row.probe)(&fixture), *expected, "{} = {value}", row.name);
        }
        let different: std::collections::BTreeSet<&str> = row.seen.iter().map(|(_, seen)| *seen).collect();
        assert_eq!(different.len(), row.seen.len(), "the values of {} can't be told apart", row.name);
    }
}

#[test]
fn versions_and_rollback_follow_their_switches() {
    check(VERSIONS);
}

#[test]
fn the_dialect_follows_its_switches() {
    check(DIALECT);
}

#[test]
fn refusals_and_limits_follow_their_switches() {
    check(REFUSALS);
}

#[test]
fn updates_and_archiving_follow_their_switches() {
    check(UPDATES);
}

#[test]
fn numeric_switches_take_effect() {
    check(NUMBERS);
}

#[test]
fn an_update_without_a_mask_and_with_content_leaves_the_metadata_alone() {
    let fixture = EmulatorFixture::new();
    fixture.set("unmasked_metadata", "applied");
    let id = fixture.made("Model", "a", &model("a"));
    let request = json!({ "assetId": id, "displayName": "b" });
    let body = form(&request.to_string(), Some(&model("b")));
    let response = fixture.send_as("k", "PATCH", &format!("/assets/v1/assets/{id}"), FORM, body);
    assert_eq!(fixture.finish(&response)["response"]["displayName"], "a");
}
