//! Operations, and the permissions of a key.

use super::{ApiRequest, Client, Unexpected};
use crate::cloud::echo::HIDDEN;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, Failure, fit};
use crate::cloud::http::Outgoing;
use crate::cloud::secret::CredentialKind;
use crate::cloud::wire::error::Shape;
use crate::cloud::wire::key::{KeyFacts, read_key};
use crate::cloud::wire::operation::{OperationState, read_operation};
use crate::model::ids::{AssetId, OperationId};

impl Client {
    /// Reads the state of an operation. `about` is the asset that it updates; a create's asset is
    /// not known yet.
    pub async fn get_operation(&self, operation: &OperationId, about: Option<AssetId>) -> ApiReply<OperationState> {
        let path = format!("assets/v1/operations/{operation}");
        let call = ApiRequest::get(Endpoint::GetOperation, format!("operation {operation}"), path);
        let mut reply =
            self.read(call, |body| read_operation(body, operation, about).ok_or(Unexpected::Unreadable)).await;
        reply.result = match reply.result {
            Ok(OperationState::Failed(failure)) => Ok(OperationState::Failed(self.fit_operation(failure))),
            Err(failure) => absence(&failure).ok_or(failure),
            result => result,
        };
        reply
    }

    /// Reads the facts about the API key. `None` for an OAuth token, which this endpoint doesn't
    /// support.
    ///
    /// The endpoint expects the key in the body. It goes to the same remote as the header of every
    /// other request (creator-docs: cloud/auth/api-keys.md).
    pub async fn introspect(&self) -> Option<ApiReply<KeyFacts>> {
        if self.credential().kind() != CredentialKind::ApiKey {
            return None;
        }
        let json = serde_json::json!({ "apiKey": self.credential().expose() }).to_string();
        let path = "api-keys/v1/introspect".to_owned();
        let call = ApiRequest::post(Endpoint::Introspect, "the API key".to_owned(), path, Outgoing::Read(json));
        let mut reply = self.read(call, |body| read_key(body).ok_or(Unexpected::Unreadable)).await;
        if let Ok(facts) = &mut reply.result {
            let name = facts.name.take().map(|name| fit(&name, &self.credential()));
            // A name with the key in it would be told with a hole.
            facts.name = name.filter(|name| !name.contains(HIDDEN));
        }
        Some(reply)
    }
}

/// Returns the state that a failed poll shows, if it shows one.
///
/// Only the service's own code for it says that there is no such operation (creator-docs:
/// cloud/reference/errors.md; a public client expects 404 or 400). Gateways and proxies say 404 in
/// other forms, or with a number or nothing for the code, while a route is missing. The response to
/// a fresh operation may be an error envelope for a second or two (observed live by a public
/// client).
fn absence(failure: &Failure) -> Option<OperationState> {
    match (failure.status, failure.shape, failure.code.as_deref()) {
        (Some(404), Some(Shape::Service), Some("NOT_FOUND"))
        | (Some(400), Some(Shape::Service), Some("INVALID_ARGUMENT")) => Some(OperationState::Unknown),
        (Some(200 | 400 | 404), Some(shape), _) if shape.is_own() => Some(OperationState::NotVisible),
        _ => None,
    }
}
