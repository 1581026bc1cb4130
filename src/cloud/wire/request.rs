//! The JSON that is sent.

use serde_json::{Map, Value, json};

use crate::model::asset::{AssetType, Privacy};
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::metadata::{Description, DisplayName, Field, SocialLink, SocialNetwork};

/// The properties of a new asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its type.
    pub asset_type: AssetType,
    /// Its display name.
    pub display_name: DisplayName,
    /// Its description. An absent one is sent as empty, which is Roblox's own default.
    pub description: Option<Description>,
    /// Its owner.
    pub creator: Creator,
    /// The most Robux that the upload may cost. Roblox refuses a higher price (V1).
    pub expected_price: Option<u64>,
    /// Its privacy setting.
    pub privacy: Privacy,
}

/// One metadata field of an update with its new value. Body and mask are derived from it, so they
/// can't differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldUpdate {
    /// `displayName`
    DisplayName(DisplayName),
    /// `description`; an empty one clears it.
    Description(Description),
    /// `icon`, a square Image; `None` clears it.
    Icon(Option<AssetId>),
    /// `previews`, the whole list of Images with their alternative texts.
    Previews(Vec<(AssetId, Option<String>)>),
    /// `<network>SocialLink`; `None` clears it.
    SocialLink(SocialNetwork, Option<SocialLink>),
}

impl FieldUpdate {
    /// Returns the field.
    pub const fn field(&self) -> Field {
        match self {
            Self::DisplayName(_) => Field::DisplayName,
            Self::Description(_) => Field::Description,
            Self::Icon(_) => Field::Icon,
            Self::Previews(_) => Field::Previews,
            Self::SocialLink(network, _) => Field::SocialLink(*network),
        }
    }

    /// Returns the value in the body. Roblox clears a field that the mask names and the body leaves
    /// out (observed by a public client, for links).
    fn value(&self) -> Option<Value> {
        match self {
            Self::DisplayName(name) => Some(json!(name.as_str())),
            Self::Description(text) => Some(json!(text.as_str())),
            Self::Icon(icon) => icon.map(|id| json!(format!("assets/{id}"))),
            Self::Previews(all) => Some(all.iter().map(preview).collect()),
            Self::SocialLink(_, link) => link.as_ref().map(|link| match &link.title {
                Some(title) => json!({"title": title, "uri": link.uri}),
                None => json!({"uri": link.uri}),
            }),
        }
    }
}

fn preview((asset_id, alt_text): &(AssetId, Option<String>)) -> Value {
    let asset = format!("assets/{asset_id}");
    match alt_text {
        Some(alt_text) => json!({"asset": asset, "altText": alt_text}),
        None => json!({"asset": asset}),
    }
}

impl CreateRequest {
    /// Returns the `request` part. Unset fields are left out: Roblox refuses a null price (a public
    /// client's report).
    pub(in crate::cloud) fn json(&self) -> String {
        // IDs are strings, as in V1's samples.
        let creator = match self.creator {
            Creator::User(id) => json!({"userId": id.to_string()}),
            Creator::Group(id) => json!({"groupId": id.to_string()}),
        };
        let mut context = Map::from_iter([("creator".to_owned(), creator)]);
        if let Some(price) = self.expected_price {
            context.insert("expectedPrice".to_owned(), json!(price));
        }
        let privacy = match self.privacy {
            Privacy::Default => None,
            Privacy::Restricted => Some("restricted"),
            Privacy::OpenUse => Some("openUse"),
        };
        if let Some(privacy) = privacy {
            context.insert("assetPrivacy".to_owned(), json!(privacy));
        }
        let mut request = Map::new();
        request.insert("assetType".to_owned(), json!(self.asset_type.name()));
        request.insert("displayName".to_owned(), json!(self.display_name.as_str()));
        // V1 requires a description, though creates without one were seen to pass.
        let description = self.description.as_ref().map_or("", Description::as_str);
        request.insert("description".to_owned(), json!(description));
        request.insert("creationContext".to_owned(), Value::Object(context));
        Value::Object(request).to_string()
    }
}

/// Returns the `request` part of an update: the asset and the fields.
pub(in crate::cloud) fn update_json(asset_id: AssetId, fields: &[FieldUpdate]) -> String {
    let mut request = Map::from_iter([("assetId".to_owned(), json!(asset_id.to_string()))]);
    for field in fields {
        if let Some(value) = field.value() {
            request.insert(field.field().wire_name().to_owned(), value);
        }
    }
    Value::Object(request).to_string()
}

/// Returns the path of a version, which is the value of a rollback.
pub(in crate::cloud) fn version_path(asset_id: AssetId, revision: Revision) -> String {
    format!("assets/{asset_id}/versions/{revision}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> AssetId {
        AssetId::new(number).unwrap()
    }

    #[test]
    fn a_create_sends_only_set_fields_and_the_required_description() {
        let least = CreateRequest {
            asset_type: AssetType::Image,
            display_name: DisplayName::new("a \"name\"; with\nall").unwrap(),
            description: None,
            creator: "user:9007199254740993".parse().unwrap(),
            expected_price: None,
            privacy: Privacy::Default,
        };
        let check = |request: &CreateRequest, wanted: &str| assert_eq!(request.json(), wanted);
        check(
            &least,
            r#"{"assetType":"Image","displayName":"a \"name\"; with\nall","description":"","creationContext":{"creator":{"userId":"9007199254740993"}}}"#,
        );
        let most = CreateRequest {
            description: Some(Description::new("new").unwrap()),
            creator: "group:7".parse().unwrap(),
            expected_price: Some(0),
            privacy: Privacy::OpenUse,
            ..least.clone()
        };
        check(
            &most,
            r#"{"assetType":"Image","displayName":"a \"name\"; with\nall","description":"new","creationContext":{"creator":{"groupId":"7"},"expectedPrice":0,"assetPrivacy":"openUse"}}"#,
        );
        assert!(
            CreateRequest { privacy: Privacy::Restricted, ..least }.json().contains(r#""assetPrivacy":"restricted""#)
        );
    }

    #[test]
    fn updates_set_and_clear_fields() {
        let link = SocialLink { title: Some("us".to_owned()), uri: "https://x".to_owned() };
        let bare = SocialLink { title: None, uri: "https://y".to_owned() };
        let fields = [
            FieldUpdate::DisplayName(DisplayName::new("n").unwrap()),
            FieldUpdate::Description(Description::default()),
            FieldUpdate::Icon(Some(id(7))),
            FieldUpdate::Previews(vec![(id(8), Some("front".to_owned())), (id(9), None)]),
            FieldUpdate::SocialLink(SocialNetwork::Twitter, Some(link)),
            FieldUpdate::SocialLink(SocialNetwork::Github, Some(bare)),
        ];
        assert_eq!(
            update_json(id(5), &fields),
            r#"{"assetId":"5","displayName":"n","description":"","icon":"assets/7","previews":[{"asset":"assets/8","altText":"front"},{"asset":"assets/9"}],"twitterSocialLink":{"title":"us","uri":"https://x"},"githubSocialLink":{"uri":"https://y"}}"#
        );
        let cleared = [
            FieldUpdate::Icon(None),
            FieldUpdate::Previews(Vec::new()),
            FieldUpdate::SocialLink(SocialNetwork::Twitter, None),
        ];
        assert_eq!(update_json(id(5), &cleared), r#"{"assetId":"5","previews":[]}"#);
        assert_eq!(update_json(id(5), &[]), r#"{"assetId":"5"}"#);
    }
}
