//! Long-running operations, and the other responses to a create or an update.

use serde::Deserialize;
use serde_json::Value;

use super::asset::AssetWire;
use super::error::{ErrorBody, InnerWire, StatusWire};
use super::scalar::{Flag, Lenient, object, path_id};
use crate::model::ids::{AssetId, OperationId};
use crate::model::remote::RemoteAsset;

/// The result of a create or an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Roblox works on it. Poll this operation.
    Operation(OperationId),
    /// Done, with this asset.
    Done(RemoteAsset),
    /// Done, with the fields as stored now. A metadata update may respond with fields instead of an
    /// operation (V1).
    Fields(RemoteAsset),
}

/// The state of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationState {
    /// Roblox works on it.
    Pending,
    /// Done, with the asset as of then.
    Done(RemoteAsset),
    /// Done without making anything. A metadata update may have been applied in part.
    Failed(OperationFailure),
    /// Done, but the body names neither an asset nor a failure.
    DoneWithNothing,
    /// The service knows no such operation: not yet, in its first seconds, or no longer. Its age
    /// decides.
    Unknown,
    /// An error envelope, which gateways send too. It may mean that a fresh operation can't be
    /// seen yet; of an older one it says nothing.
    NotVisible,
}

/// The failure of an operation; [`crate::cloud::class::of_operation`] gives its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFailure {
    /// A code such as `InvalidArgument`, if there is one.
    pub code: Option<String>,
    /// Roblox's message; redacted and cut when it comes from the client.
    pub message: String,
}

/// The content of an operation's body, before its ID is checked.
enum OperationOutcome {
    Pending,
    Done(Box<AssetWire>),
    Failed(OperationFailure),
    Nothing,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OperationWire {
    path: Lenient<String>,
    operation_id: Lenient<String>,
    done: Lenient<Flag>,
    response: Lenient<Value>,
    error: Lenient<InnerWire>,
    metadata: Lenient<MetadataWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MetadataWire {
    errors: Lenient<Vec<MetadataErrorWire>>,
}

/// An entry of `metadata.errors`: contains an error, or is one itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MetadataErrorWire {
    error: Lenient<InnerWire>,
    code: Lenient<super::scalar::CodeForm>,
    message: Lenient<String>,
    field_mask: Lenient<String>,
}

impl OperationWire {
    fn id(&self) -> Option<OperationId> {
        let id = self.operation_id.0.as_deref().and_then(|text| OperationId::new(text).ok());
        // In 2023, and in GUIDE, there was only the path.
        id.or_else(|| {
            let id: String = path_id(self.path.0.as_deref()?, "operations")?;
            OperationId::new(&id).ok()
        })
    }

    fn outcome(self) -> OperationOutcome {
        let response = self.response.0.filter(Value::is_object);
        let failure = self.error.0.map(InnerWire::into_status).filter(StatusWire::says_something);
        // `done: false` is usually absent, while a `done: true` was always there. A body without it
        // is judged by its other fields.
        let done = match self.done.0 {
            Some(flag) => flag.is_set(),
            None => response.is_some() || failure.is_some(),
        };
        if !done {
            return OperationOutcome::Pending;
        }
        if let Some(failure) = failure {
            return OperationOutcome::Failed(OperationFailure::of(&failure, None));
        }
        let entries = self.metadata.0.and_then(|metadata| metadata.errors.0).unwrap_or_default();
        if let Some(failure) = entries.into_iter().find_map(MetadataErrorWire::into_failure) {
            return OperationOutcome::Failed(failure);
        }
        let Some(response) = response else { return OperationOutcome::Nothing };
        let asset = AssetWire::deserialize(&response).unwrap_or_default();
        let status = StatusWire::deserialize(&response).unwrap_or_default();
        // An asset has no `message`. One client's code handles a failure in place of the asset.
        if asset.id().is_none() && status.message.0.is_some() && status.says_something() {
            return OperationOutcome::Failed(OperationFailure::of(&status, None));
        }
        OperationOutcome::Done(Box::new(asset))
    }
}

impl MetadataErrorWire {
    fn into_failure(self) -> Option<OperationFailure> {
        let outer = StatusWire { code: self.code, status: Lenient(None), message: self.message };
        let inner = self.error.0.map(InnerWire::into_status);
        let status = inner.filter(StatusWire::says_something).or_else(|| outer.says_something().then_some(outer));
        match (status, self.field_mask.0) {
            (Some(status), fields) => Some(OperationFailure::of(&status, fields.as_deref())),
            (None, Some(fields)) => Some(OperationFailure { code: None, message: format!("{fields} was not stored") }),
            (None, None) => None,
        }
    }
}

impl OperationFailure {
    fn of(status: &StatusWire, fields: Option<&str>) -> Self {
        let message = status.message.0.clone().unwrap_or_default();
        let message = match fields {
            Some(fields) => format!("{fields}: {message}"),
            None => message,
        };
        Self { code: status.word(), message }
    }
}

/// Returns the asset of a finished operation. `about` is the updated asset: a response may leave it
/// out, but can't name another.
fn known(wire: AssetWire, about: Option<AssetId>) -> Result<Option<RemoteAsset>, OtherAsset> {
    match (wire.id(), about) {
        (Some(id), Some(about)) if id != about => Err(OtherAsset),
        (id, about) => Ok(id.or(about).map(|id| wire.into_asset(id, false))),
    }
}

struct OtherAsset;

/// Reads the response to a create (`about` is `None`) or to an update of `about`: its result, or
/// the failure with which it ended. `None` if the body is neither.
pub fn read_submitted(body: &[u8], about: Option<AssetId>) -> Option<Result<Submitted, OperationFailure>> {
    let wire: OperationWire = object(body)?;
    let id = wire.id();
    if id.is_some() || wire.done.0.is_some() {
        let submitted = match wire.outcome() {
            OperationOutcome::Failed(failure) => return Some(Err(failure)),
            OperationOutcome::Done(asset) => match known(*asset, about).ok()? {
                Some(asset) => Submitted::Done(asset),
                None => Submitted::Operation(id?),
            },
            // The polls will reveal what a finished operation without an asset means.
            OperationOutcome::Pending | OperationOutcome::Nothing => Submitted::Operation(id?),
        };
        return Some(Ok(submitted));
    }
    if ErrorBody::read(body, true).shape.is_own() {
        return None;
    }
    let fields = known(object(body)?, about).ok()??;
    Some(Ok(if about.is_some() { Submitted::Fields(fields) } else { Submitted::Done(fields) }))
}

/// Reads the state of the operation `asked`; `about` as above. `None` if the body is no operation,
/// or another one.
pub fn read_operation(body: &[u8], asked: &OperationId, about: Option<AssetId>) -> Option<OperationState> {
    let wire: OperationWire = object(body)?;
    match wire.id() {
        Some(id) if id != *asked => return None,
        Some(_) => {}
        None if wire.done.0.is_some() => {}
        None => return None,
    }
    Some(match wire.outcome() {
        OperationOutcome::Pending => OperationState::Pending,
        OperationOutcome::Failed(failure) => OperationState::Failed(failure),
        OperationOutcome::Nothing => OperationState::DoneWithNothing,
        OperationOutcome::Done(asset) => {
            known(*asset, about).ok()?.map_or(OperationState::DoneWithNothing, OperationState::Done)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(id: u64) -> RemoteAsset {
        RemoteAsset::unknown(AssetId::new(id).unwrap())
    }

    fn operation(id: &str) -> OperationId {
        OperationId::new(id).unwrap()
    }

    fn failed(code: Option<&str>, message: &str) -> OperationFailure {
        OperationFailure { code: code.map(str::to_owned), message: message.to_owned() }
    }

    #[test]
    fn create_responses_are_read() {
        let check = |body: &str, wanted: Option<Result<Submitted, OperationFailure>>| {
            assert_eq!(read_submitted(body.as_bytes(), None), wanted, "{body}");
        };
        let running = Some(Ok(Submitted::Operation(operation("a-1"))));
        check(r#"{"path":"operations/a-1","operationId":"a-1","done":false}"#, running.clone());
        check(r#"{"path":"operations/a-1"}"#, running.clone());
        check(r#"{"path":"/assets/v1/operations/a-1","done":null}"#, running.clone());
        check(r#"{"operationId":"a-1"}"#, running.clone());
        check(r#"{"operationId":"a-1","done":"false"}"#, running.clone());
        check(r#"{"operationId":"a-1","done":true}"#, running.clone());
        check(r#"{"operationId":"a-1","done":true,"response":{}}"#, running);
        check(r#"{"operationId":"a-1","done":true,"response":{"assetId":"7"}}"#, Some(Ok(Submitted::Done(asset(7)))));
        check(r#"{"done":true,"response":{"path":"assets/7"}}"#, Some(Ok(Submitted::Done(asset(7)))));
        check(r#"{"assetId":7}"#, Some(Ok(Submitted::Done(asset(7)))));
        check(
            r#"{"path":"operations/a-1","done":true,"error":{"code":"InvalidArgument","message":"x"}}"#,
            Some(Err(failed(Some("InvalidArgument"), "x"))),
        );
        for nothing in
            ["", "{}", "[]", "null", r#"{"done":false}"#, r#"{"operationId":"../../x"}"#, r#"{"displayName":"x"}"#]
        {
            check(nothing, None);
        }
        check(r#"{"code":"INTERNAL","message":"assets/7"}"#, None);
        check(r#"{"path":"operations/a-1","operationId":"a-1","done":fal"#, None);
    }

    #[test]
    fn update_responses_are_read() {
        let check = |body: &str, wanted: Option<Submitted>| {
            let about = AssetId::new(5).unwrap();
            assert_eq!(read_submitted(body.as_bytes(), Some(about)), wanted.map(Ok), "{body}");
        };
        check(r#"{"path":"operations/a-1"}"#, Some(Submitted::Operation(operation("a-1"))));
        check(r#"{"path":"operations/a-1","done":true,"response":{}}"#, Some(Submitted::Done(asset(5))));
        check(r#"{"previews":[]}"#, Some(Submitted::Fields(RemoteAsset { previews: Some(Vec::new()), ..asset(5) })));
        check(
            r##"{"assetId":"5","displayName":"#"}"##,
            Some(Submitted::Fields(RemoteAsset { display_name: Some("#".to_owned()), ..asset(5) })),
        );
        // Cleared fields are absent, so clearing the only field brings an empty object.
        check("{}", Some(Submitted::Fields(asset(5))));
        check(r#"{"assetId":"6"}"#, None);
        check(r#"{"done":true,"response":{"assetId":"6"}}"#, None);
        check(r#"{"errors":[{"code":0,"message":""}]}"#, None);
        check("[]", None);
        check("\"ok\"", None);
    }

    #[test]
    fn poll_responses_are_read() {
        let check = |body: &str, wanted: Option<OperationState>| {
            assert_eq!(read_operation(body.as_bytes(), &operation("a-1"), None), wanted, "{body}");
        };
        check(r#"{"path":"operations/a-1"}"#, Some(OperationState::Pending));
        check(r#"{"path":"operations/a-1","done":false,"response":{"assetId":"7"}}"#, Some(OperationState::Pending));
        check(r#"{"done":false}"#, Some(OperationState::Pending));
        let done = Some(OperationState::Done(RemoteAsset { revision: "1".parse().ok(), ..asset(7) }));
        for body in [
            r#"{"path":"operations/a-1","operationId":"a-1","done":true,"response":{"path":"assets/7","revisionId":"1","assetId":"7"}}"#,
            r#"{"path":"operations/a-1","response":{"@type":"x","path":"assets/7","revisionId":"1"}}"#,
            r#"{"done":true,"error":null,"metadata":{},"response":{"assetId":7,"revisionId":1}}"#,
            r#"{"done":true,"error":{},"metadata":{"errors":[]},"response":{"assetId":7,"revisionId":1}}"#,
            r#"{"done":true,"error":{"code":0},"response":{"assetId":7,"revisionId":1}}"#,
        ] {
            check(body, done.clone());
        }
        let fails = |code, message| Some(OperationState::Failed(failed(code, message)));
        check(
            r#"{"done":true,"error":{"code":"ContentModerated","message":"no"}}"#,
            fails(Some("ContentModerated"), "no"),
        );
        check(r#"{"done":true,"error":{"code":3,"message":"no"},"response":{"assetId":"7"}}"#, fails(Some("3"), "no"));
        check(r#"{"done":true,"error":"Internal"}"#, fails(Some("Internal"), ""));
        check(r#"{"done":true,"response":{"code":"X","message":"no"}}"#, fails(Some("X"), "no"));
        check(
            r#"{"done":true,"metadata":{"errors":[{"error":{"code":"InvalidArgument","message":"no square"},"fieldMask":"icon"}]},"response":{"assetId":"7"}}"#,
            fails(Some("InvalidArgument"), "icon: no square"),
        );
        check(r#"{"done":true,"metadata":{"errors":[{"code":9,"message":"no"}]}}"#, fails(Some("9"), "no"));
        check(r#"{"done":true,"metadata":{"errors":[{"fieldMask":"icon"}]}}"#, fails(None, "icon was not stored"));
        check(r#"{"path":"operations/a-1","error":{"message":"no"}}"#, fails(None, "no"));
        check(r#"{"done":true}"#, Some(OperationState::DoneWithNothing));
        check(r#"{"done":true,"response":{"displayName":"x"}}"#, Some(OperationState::DoneWithNothing));
        check(r#"{"done":true,"response":"x"}"#, Some(OperationState::DoneWithNothing));
        check(r#"{"path":"operations/b-2","done":true}"#, None);
        check(r#"{"errors":[{"code":0,"message":""}]}"#, None);
        check("{}", None);
        check("<html>", None);
    }
}
