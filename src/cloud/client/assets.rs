//! Create, read, update, archive and restore.

use std::future::Future;

use reqwest::Method;

use super::{ApiRequest, Client, CreateRequest, FieldUpdate, Unexpected};
use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::{ApiReply, RecordError, fit};
use crate::cloud::http::{Outgoing, UploadBody};
use crate::cloud::multipart;
use crate::cloud::wire::asset::read_asset;
use crate::cloud::wire::operation::{Submitted, read_submitted};
use crate::cloud::wire::request::update_json;
use crate::model::ids::AssetId;
use crate::model::metadata::Field;
use crate::model::remote::RemoteAsset;

/// A change to an asset.
pub struct UpdateRequest {
    /// The asset.
    pub asset_id: AssetId,
    /// The metadata fields that change, and no others.
    pub fields: Vec<FieldUpdate>,
    /// New bytes. Bytes equal to those of the newest version make no new version (measured by a
    /// public client).
    pub content: Option<UploadBody>,
}

impl Client {
    /// Creates an asset. Every create that Roblox carries out makes a new asset, even from the same
    /// bytes; no idempotency key prevents it (V1).
    pub async fn create_asset(
        &self,
        request: &CreateRequest,
        upload: UploadBody,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> ApiReply<Submitted> {
        let form = multipart::form(&request.json(), Some(upload));
        let target = format!("{} `{}`", request.asset_type, fit(request.display_name.as_str(), &self.credential()));
        let call =
            ApiRequest::post(Endpoint::CreateAsset, target, "assets/v1/assets".to_owned(), Outgoing::Payload(form));
        self.change(call, record, |body| submitted(body, None)).await
    }

    /// Changes an asset's metadata, content, or both.
    pub async fn update_asset(
        &self,
        request: UpdateRequest,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> ApiReply<Submitted> {
        let UpdateRequest { asset_id, fields, content } = request;
        let about_content = content.is_some();
        let mask: Vec<&str> = fields.iter().map(|update| update.field().wire_name()).collect();
        let query = if mask.is_empty() { Vec::new() } else { vec![("updateMask", mask.join(","))] };
        let call = ApiRequest {
            endpoint: Endpoint::UpdateAsset,
            target: asset(asset_id),
            method: Method::PATCH,
            path: format!("assets/v1/assets/{asset_id}"),
            query,
            outgoing: Outgoing::Payload(multipart::form(&update_json(asset_id, &fields), content)),
        };
        let decode = |body: &[u8]| match submitted(body, Some(asset_id)) {
            // Bare fields confirm metadata (V1), but not content.
            Ok(Submitted::Fields(fields)) if about_content && fields.revision.is_none() => Err(Unexpected::Unreadable),
            other => other,
        };
        self.change(call, record, decode).await
    }

    /// Reads an asset: the default fields or, with `fields`, only those. Icon, previews and links
    /// are returned only on request. An unknown field name would make Roblox refuse the whole
    /// request, so only V1's are used.
    ///
    /// A response doesn't prove ownership: public assets of others can be read too.
    pub async fn get_asset(&self, asset_id: AssetId, fields: &[Field]) -> ApiReply<RemoteAsset> {
        let mut call = ApiRequest::get(Endpoint::GetAsset, asset(asset_id), format!("assets/v1/assets/{asset_id}"));
        let mask: Vec<&str> = fields.iter().map(|field| field.wire_name()).collect();
        if !mask.is_empty() {
            call.query.push(("readMask", mask.join(",")));
        }
        self.read(call, |body| read_asset(body, asset_id, !mask.is_empty()).ok_or(Unexpected::Unreadable)).await
    }

    /// Archives an asset. No game can use it until it is restored. Assets can't be deleted (V1).
    pub async fn archive_asset(
        &self,
        asset_id: AssetId,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> ApiReply<RemoteAsset> {
        self.command(Endpoint::ArchiveAsset, "archive", asset_id, record).await
    }

    /// Restores an archived asset.
    pub async fn restore_asset(
        &self,
        asset_id: AssetId,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> ApiReply<RemoteAsset> {
        self.command(Endpoint::RestoreAsset, "restore", asset_id, record).await
    }

    async fn command(
        &self,
        endpoint: Endpoint,
        verb: &str,
        asset_id: AssetId,
        record: impl Future<Output = Result<(), RecordError>>,
    ) -> ApiReply<RemoteAsset> {
        let path = format!("assets/v1/assets/{asset_id}:{verb}");
        let call = ApiRequest::post(endpoint, asset(asset_id), path, Outgoing::Command);
        self.change(call, record, |body| read_asset(body, asset_id, false).ok_or(Unexpected::Unreadable)).await
    }
}

fn submitted(body: &[u8], about: Option<AssetId>) -> Result<Submitted, Unexpected> {
    read_submitted(body, about).ok_or(Unexpected::Unreadable)?.map_err(Unexpected::Failure)
}

/// Returns the name of an asset in messages.
pub(super) fn asset(asset_id: AssetId) -> String {
    format!("asset {asset_id}")
}
