//! The JSON of requests, read as the service's serializer reads it: IDs as numbers or strings, null
//! as absent, unknown fields ignored.

use serde_json::Value;

use crate::emulator::refusal::ApiRefusal;
use crate::emulator::world::account::Principal;
use crate::emulator::world::asset::{AssetLink, PreviewImage};
use crate::emulator::world::input::{AssetInput, SOCIAL_LINKS};

/// Reads the `request` part of a create or an update.
pub(in crate::emulator) fn asset_input(text: &str) -> Result<AssetInput, ApiRefusal> {
    let body = object(text)?;
    let mut input = AssetInput {
        asset_type: string(&body, "assetType")?,
        display_name: string(&body, "displayName")?,
        description: string(&body, "description")?,
        ..AssetInput::default()
    };
    if let Some(id) = set(&body, "assetId") {
        input.asset_id = Some(integer(id, "assetId")?);
    }
    if let Some(context) = set(&body, "creationContext") {
        read_context(context, &mut input)?;
    }
    if let Some(icon) = string(&body, "icon")?.filter(|icon| !icon.is_empty()) {
        input.icon = Some(asset_of_path(&icon, "icon")?);
    }
    if let Some(previews) = set(&body, "previews") {
        let list = previews.as_array().ok_or_else(|| unconvertible(previews, "Preview[]", "previews"))?;
        input.previews = list.iter().map(preview).collect::<Result<_, _>>()?;
    }
    for (name, _) in SOCIAL_LINKS {
        if let Some(link) = set(&body, name) {
            let uri =
                string(link, "uri")?.ok_or_else(|| ApiRefusal::invalid(format!("The uri of {name} is invalid.")))?;
            input.social_links.insert(name.to_owned(), AssetLink { title: string(link, "title")?, uri });
        }
    }
    let fields =
        ["displayName", "description", "icon", "previews"].into_iter().chain(SOCIAL_LINKS.map(|(name, _)| name));
    input.named = fields.filter(|name| set(&body, name).is_some()).map(str::to_owned).collect();
    Ok(input)
}

fn read_context(context: &Value, input: &mut AssetInput) -> Result<(), ApiRefusal> {
    input.privacy = string(context, "assetPrivacy")?;
    // Null is refused here, unlike elsewhere (Sleitnick/rbxcloud#33).
    if let Some(price) = context.get("expectedPrice") {
        let number = price.as_i64().or_else(|| price.as_str().and_then(|text| text.parse().ok()));
        input.expected_price =
            Some(number.ok_or_else(|| unconvertible(price, "System.Int64", "creationContext.expectedPrice"))?);
    }
    if let Some(creator) = set(context, "creator") {
        let user = set(creator, "userId").map(|id| integer(id, "creationContext.creator.userId")).transpose()?;
        let group = set(creator, "groupId").map(|id| integer(id, "creationContext.creator.groupId")).transpose()?;
        input.creator = match (user, group) {
            (Some(id), None) => Some(Principal::User(id)),
            (None, Some(id)) => Some(Principal::Group(id)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(ApiRefusal::invalid("Creator must be either a user or a group.")),
        };
    }
    Ok(())
}

/// Reads the JSON of a rollback: the path of a version.
pub(in crate::emulator) fn rollback(text: &str) -> Result<String, ApiRefusal> {
    string(&object(text)?, "assetVersion")?.ok_or_else(|| ApiRefusal::invalid("AssetVersion is required."))
}

/// Reads the JSON of an introspection: the key.
pub(in crate::emulator) fn introspection(text: &str) -> Result<String, ApiRefusal> {
    string(&object(text)?, "apiKey")?.ok_or_else(|| ApiRefusal::invalid("ApiKey is required."))
}

fn object(text: &str) -> Result<Value, ApiRefusal> {
    if text.trim().is_empty() {
        return Err(ApiRefusal::invalid("Request body cannot be empty"));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(ApiRefusal::invalid("Request body must be a JSON object.")),
        // The service's serializer says this about text that is cut off. curl's --form cuts text at
        // a `;`.
        Err(error) if error.is_eof() => Err(ApiRefusal::invalid(format!(
            "Unterminated string. Expected delimiter: \". Path '', line {}, position {}.",
            error.line(),
            error.column()
        ))),
        Err(error) => Err(ApiRefusal::invalid(format!(
            "After parsing a value an unexpected character was encountered. Path '', line {}, position {}.",
            error.line(),
            error.column()
        ))),
    }
}

/// Returns a field that is present and not null.
fn set<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

fn string(body: &Value, name: &str) -> Result<Option<String>, ApiRefusal> {
    match set(body, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(unconvertible(other, "System.String", name)),
    }
}

/// Reads an int64 above zero, as number or string.
fn integer(value: &Value, path: &str) -> Result<u64, ApiRefusal> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number
        .and_then(|number| u64::try_from(number).ok())
        .filter(|id| *id > 0)
        .ok_or_else(|| unconvertible(value, "System.Int64", path))
}

fn preview(value: &Value) -> Result<PreviewImage, ApiRefusal> {
    let asset = string(value, "asset")?.unwrap_or_default();
    Ok(PreviewImage {
        asset: asset_of_path(&asset, "previews")?,
        alt_text: string(value, "altText")?.unwrap_or_default(),
    })
}

/// Parses `assets/{id}`.
fn asset_of_path(path: &str, field: &str) -> Result<u64, ApiRefusal> {
    let id = path.strip_prefix("assets/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| ApiRefusal::invalid(format!("The asset path of {field} is invalid.")))
}

fn unconvertible(value: &Value, to: &str, path: &str) -> ApiRefusal {
    let shown = match value {
        Value::Null => "{null}".to_owned(),
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    };
    ApiRefusal::invalid(format!("Error converting value {shown} to type '{to}'. Path '{path}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[track_caller]
    fn refused(body: Value, message: &str) {
        assert_eq!(asset_input(&body.to_string()), Err(ApiRefusal::invalid(message)), "{body}");
    }

    #[test]
    fn a_full_request_is_read() {
        let body = json!({
            "assetType": "Model", "assetId": "12", "displayName": "Sword", "description": null,
            "creationContext": { "creator": { "groupId": 7 }, "expectedPrice": "5", "assetPrivacy": "openUse" },
            "icon": "assets/3", "previews": [{ "asset": "assets/4", "altText": "front" }],
            "twitchSocialLink": { "uri": "https://twitch.tv/us" }, "surprise": {},
        });
        let input = asset_input(&body.to_string()).unwrap();
        assert_eq!(
            input,
            AssetInput {
                asset_type: Some("Model".into()),
                asset_id: Some(12),
                display_name: Some("Sword".into()),
                description: None,
                creator: Some(Principal::Group(7)),
                expected_price: Some(5),
                privacy: Some("openUse".into()),
                icon: Some(3),
                previews: vec![PreviewImage { asset: 4, alt_text: "front".into() }],
                social_links: [(
                    "twitchSocialLink".to_owned(),
                    AssetLink { title: None, uri: "https://twitch.tv/us".into() }
                )]
                .into(),
                named: ["displayName", "icon", "previews", "twitchSocialLink"].map(str::to_owned).to_vec(),
            }
        );
    }

    #[test]
    fn refusals_have_the_messages_of_the_wire() {
        refused(
            json!({ "creationContext": { "expectedPrice": null } }),
            "Error converting value {null} to type 'System.Int64'. Path 'creationContext.expectedPrice'",
        );
        refused(json!({ "assetId": "x" }), "Error converting value \"x\" to type 'System.Int64'. Path 'assetId'");
        refused(json!({ "displayName": [] }), "Error converting value [] to type 'System.String'. Path 'displayName'");
        refused(json!({ "icon": "3" }), "The asset path of icon is invalid.");
        refused(json!([]), "Request body must be a JSON object.");
        refused(
            json!({ "creationContext": { "creator": { "userId": 1, "groupId": 2 } } }),
            "Creator must be either a user or a group.",
        );
        let broken = asset_input("{\"description\": \"a").unwrap_err();
        assert!(matches!(broken, ApiRefusal::Service { message, .. } if message.starts_with("Unterminated string.")));
        assert_eq!(asset_input("  "), Err(ApiRefusal::invalid("Request body cannot be empty")));
        assert_eq!(rollback("{}"), Err(ApiRefusal::invalid("AssetVersion is required.")));
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let names = prop_oneof![
                Just("creationContext"),
                Just("creator"),
                Just("userId"),
                Just("expectedPrice"),
                Just("icon"),
                Just("previews"),
                Just("asset"),
                Just("twitchSocialLink"),
                Just("uri"),
                Just("assetId"),
                Just("displayName")
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(names.prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_the_reader_panic(value in json_value(), cut in 0usize..200) {
            let text = value.to_string();
            let cut = text.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(text.len());
            for text in [text.as_str(), &text[..cut]] {
                let _ = (asset_input(text), rollback(text), introspection(text));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}") {
            let _ = (asset_input(&text), rollback(&text), introspection(&text));
        }
    }
}
