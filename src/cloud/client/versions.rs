//! Versions: list them, read one, roll back to one.

use std::future::Future;

use super::assets::asset;
use super::{ApiRequest, Client, Unexpected};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, RecordError};
use crate::cloud::http::{Outgoing, Payload};
use crate::cloud::multipart;
use crate::cloud::wire::request::version_path;
use crate::cloud::wire::version::{PAGE, PageError, RemoteVersion, VersionList, read_version};
use crate::model::ids::{AssetId, Revision};

/// The form of a rollback's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RollbackForm {
    /// JSON, as in V1's sample and in every client.
    #[default]
    Json,
    /// A form, as in V1's schema, for use after Roblox refused JSON.
    Multipart,
}

impl Client {
    /// Reads the next page of `list` with one request. Call it until [`VersionList::is_complete`].
    pub async fn list_versions(&self, list: &mut VersionList) -> ApiReply<()> {
        let asset_id = list.asset_id();
        let mut call =
            ApiRequest::get(Endpoint::ListVersions, asset(asset_id), format!("assets/v1/assets/{asset_id}/versions"));
        call.query.push(("maxPageSize", PAGE.to_string()));
        if let Some(token) = list.page_token() {
            call.query.push(("pageToken", token.to_owned()));
        }
        let mut endless = false;
        let mut reply = self
            .read(call, |body| match list.add(body) {
                Ok(()) => Ok(()),
                Err(PageError::Unreadable) => Err(Unexpected::Unreadable),
                Err(PageError::Endless) => {
                    endless = true;
                    Err(Unexpected::Unreadable)
                }
            })
            .await;
        if let (Err(failure), true) = (&mut reply.result, endless) {
            failure.message = "the pages of the list lead in a circle or never end".to_owned();
        }
        reply
    }

    /// Reads one version.
    pub async fn get_version(&self, asset_id: AssetId, revision: Revision) -> ApiReply<RemoteVersion> {
        let path = format!("assets/v1/assets/{asset_id}/versions/{revision}");
        let call = ApiRequest::get(Endpoint::GetVersion, asset(asset_id), path);
        self.read(call, |body| match read_version(body, asset_id) {
            Some(version) if version.revision == revision => Ok(version),
            Some(_) | None => Err(Unexpected::Unreadable),
        })
        .await
    }

    /// Makes the content of an earlier version current. The response names the old version or a new
    /// one; clients saw both. So read the asset again to learn its head.
    pub async fn rollback(
        &self,
        asset_id: AssetId,
        to: Revision,
        form: RollbackForm,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> ApiReply<RemoteVersion> {
        let version = version_path(asset_id, to);
        let payload = match form {
            RollbackForm::Json => Payload::json(serde_json::json!({ "assetVersion": version }).to_string()),
            RollbackForm::Multipart => multipart::field("assetVersion", &version),
        };
        let path = format!("assets/v1/assets/{asset_id}/versions:rollback");
        let call = ApiRequest::post(Endpoint::Rollback, asset(asset_id), path, Outgoing::Payload(payload));
        self.change(call, record, |body| read_version(body, asset_id).ok_or(Unexpected::Unreadable)).await
    }
}
