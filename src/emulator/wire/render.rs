//! Encodes the bodies of successful responses, in the dialect of the switches.

use serde_json::{Map, Value, json};

use crate::emulator::clock::rfc3339;
use crate::emulator::switches::{
    EnumDialect, Ids, OperationReply, Published, RevisionOfUnversioned, Switches, UnsetFields, VersionsBody,
};
use crate::emulator::world::VersionPage;
use crate::emulator::world::account::Principal;
use crate::emulator::world::asset::{Asset, AssetView, Version};
use crate::emulator::world::content::CreatableType;
use crate::emulator::world::input::SOCIAL_LINKS;
use crate::emulator::world::moderation::ModerationVerdict;
use crate::emulator::world::operation::{FailedOperation, FieldError, Operation, OperationEnding};

use super::error::code;

/// The fields that GET returns without a read mask (a live note of a public client).
const DEFAULT_FIELDS: [&str; 10] = [
    "path",
    "revisionId",
    "revisionCreateTime",
    "assetId",
    "displayName",
    "description",
    "assetType",
    "creationContext",
    "moderationResult",
    "state",
];

/// The fields that GET returns only on request (V1).
const MASKED_FIELDS: [&str; 2] = ["icon", "previews"];

/// Whether a read mask may name the field.
pub(in crate::emulator) fn is_field(name: &str) -> bool {
    DEFAULT_FIELDS.contains(&name)
        || MASKED_FIELDS.contains(&name)
        || SOCIAL_LINKS.iter().any(|(link, _)| *link == name)
}

/// Encodes the emulator's responses in one dialect.
pub(in crate::emulator) struct Writer<'a>(pub(in crate::emulator) &'a Switches);

impl Writer<'_> {
    /// Encodes an asset with the fields of the mask, or the default ones. GET times have 3 digits,
    /// those in operations 9.
    pub(in crate::emulator) fn asset(&self, view: &AssetView, mask: Option<&[String]>, digits: usize) -> Value {
        let mut body = Map::new();
        match mask {
            None => DEFAULT_FIELDS.iter().for_each(|name| self.field(&mut body, name, view, digits)),
            Some(mask) => mask.iter().for_each(|name| self.field(&mut body, name, view, digits)),
        }
        Value::Object(body)
    }

    fn field(&self, body: &mut Map<String, Value>, name: &str, view: &AssetView, digits: usize) {
        let versioned =
            view.asset_type == CreatableType::Model || self.0.revision_of_unversioned == RevisionOfUnversioned::Present;
        let metadata = &view.metadata;
        let value = match name {
            "path" => Some(json!(format!("assets/{}", view.id))),
            "revisionId" => versioned.then(|| json!(view.revision.to_string())),
            "revisionCreateTime" => versioned.then(|| json!(rfc3339(view.revision_at, digits))),
            "assetId" => Some(self.id(view.id)),
            "displayName" => Some(json!(metadata.display_name)),
            "description" => metadata.description.as_ref().map(|text| json!(text)),
            "assetType" => Some(match self.0.enum_dialect {
                EnumDialect::Plain => json!(view.asset_type.name()),
                EnumDialect::Prefixed => json!(view.asset_type.prefixed()),
            }),
            "creationContext" => Some(self.creator(view.creator)),
            "moderationResult" => Some(self.moderation(view.verdict)),
            "state" => Some(json!(if view.archived { "Archived" } else { "Active" })),
            "icon" => metadata.icon.map(|id| json!(format!("assets/{id}"))),
            // A requested list is present even if it is empty (OPENBLOX).
            "previews" => Some(
                metadata
                    .previews
                    .iter()
                    .map(|preview| json!({ "asset": format!("assets/{}", preview.asset), "altText": preview.alt_text }))
                    .collect(),
            ),
            link => metadata.social_links.get(link).map(|link| json!(link)),
        };
        self.put(body, name, value);
    }

    /// Inserts a field. An unset one is absent or null.
    fn put(&self, body: &mut Map<String, Value>, name: &str, value: Option<Value>) {
        match (value, self.0.unset_fields) {
            (Some(value), _) => drop(body.insert(name.to_owned(), value)),
            (None, UnsetFields::Null) => drop(body.insert(name.to_owned(), Value::Null)),
            (None, UnsetFields::Absent) => {}
        }
    }

    fn id(&self, id: u64) -> Value {
        match self.0.ids {
            Ids::String => json!(id.to_string()),
            Ids::Number => json!(id),
        }
    }

    fn creator(&self, owner: Principal) -> Value {
        match owner {
            Principal::User(id) => json!({ "creator": { "userId": self.id(id) } }),
            Principal::Group(id) => json!({ "creator": { "groupId": self.id(id) } }),
        }
    }

    fn moderation(&self, verdict: ModerationVerdict) -> Value {
        let state = match self.0.enum_dialect {
            EnumDialect::Plain => verdict.name().to_owned(),
            EnumDialect::Prefixed => format!("MODERATION_STATE_{}", verdict.name().to_ascii_uppercase()),
        };
        json!({ "moderationState": state })
    }

    /// Encodes an AssetVersion.
    pub(in crate::emulator) fn version(&self, asset: &Asset, version: &Version, now: u64) -> Value {
        let mut body = Map::new();
        body.insert("path".into(), json!(format!("assets/{}/versions/{}", asset.id, version.number)));
        body.insert("creationContext".into(), self.creator(asset.creator));
        body.insert("moderationResult".into(), self.moderation(version.moderation.at(now)));
        if self.0.published == Published::Present && asset.head == version.number {
            body.insert("published".into(), json!(true));
        }
        Value::Object(body)
    }

    /// Encodes a page of versions.
    pub(in crate::emulator) fn versions(&self, page: &VersionPage, now: u64) -> Value {
        let list: Vec<Value> = page.versions.iter().map(|version| self.version(&page.asset, version, now)).collect();
        if self.0.versions_body == VersionsBody::Array {
            return Value::Array(list);
        }
        let mut body = Map::new();
        body.insert("assetVersions".into(), Value::Array(list));
        self.put(&mut body, "nextPageToken", page.next_page.as_ref().map(|token| json!(token)));
        Value::Object(body)
    }

    /// Encodes an operation as accepted.
    pub(in crate::emulator) fn accepted(&self, id: &str) -> Value {
        let mut body = self.operation_head(id);
        if self.0.operation_reply == OperationReply::Full {
            body.insert("done".into(), json!(false));
        }
        Value::Object(body)
    }

    fn operation_head(&self, id: &str) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("path".into(), json!(format!("operations/{id}")));
        if self.0.operation_reply == OperationReply::Full {
            body.insert("operationId".into(), json!(id));
        }
        body
    }

    /// Encodes an operation as a poll finds it.
    pub(in crate::emulator) fn operation(&self, operation: &Operation) -> Value {
        let Some((_, ending)) = &operation.ending else { return self.accepted(&operation.id) };
        let mut body = self.operation_head(&operation.id);
        body.insert("done".into(), json!(true));
        match ending {
            OperationEnding::Asset { view, errors } => {
                if !errors.is_empty() {
                    body.insert("metadata".into(), self.field_errors(errors));
                }
                let mut response = Map::new();
                if self.0.enum_dialect == EnumDialect::Prefixed {
                    response.insert("@type".into(), json!("type.googleapis.com/roblox.open_cloud.assets.v1.Asset"));
                }
                if let Value::Object(fields) = self.asset(view, None, 9) {
                    response.extend(fields);
                }
                body.insert("response".into(), Value::Object(response));
            }
            OperationEnding::Failed(FailedOperation::Nothing) => {}
            OperationEnding::Failed(FailedOperation::Error { code, message }) => {
                drop(body.insert("error".into(), self.status(code, message)))
            }
            OperationEnding::Failed(FailedOperation::InResponse { code, message }) => {
                drop(body.insert("response".into(), self.status(code, message)))
            }
            OperationEnding::Failed(FailedOperation::MetadataErrors(errors)) => {
                drop(body.insert("metadata".into(), self.field_errors(errors)))
            }
        }
        Value::Object(body)
    }

    fn field_errors(&self, errors: &[FieldError]) -> Value {
        let item = |error: &FieldError| {
            let mut status = self.status(&error.code, &error.message);
            if let Some(fields) = status.as_object_mut() {
                fields.insert("details".into(), json!([]));
            }
            json!({ "error": status, "fieldMask": error.field })
        };
        json!({ "errors": errors.iter().map(item).collect::<Vec<_>>() })
    }

    fn status(&self, name: &str, message: &str) -> Value {
        let number = match name {
            "Internal" | "INTERNAL" => 500,
            "ResourceExhausted" | "RESOURCE_EXHAUSTED" => 429,
            _ => 400,
        };
        json!({ "code": code(name, number, self.0), "message": message })
    }
}
