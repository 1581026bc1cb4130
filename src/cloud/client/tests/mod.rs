//! The client against a remote that follows each test's script, down to the byte.

mod classes;
mod requests;
mod server;

use std::error::Error;
use std::time::Duration;

use self::server::{ConnectionStep, Server};
use super::*;
use crate::cloud::http::UploadBody;
use crate::model::asset::{AssetType, Privacy};
use crate::model::ids::AssetId;
use crate::model::metadata::DisplayName;

const KEY: &str = "k3y-that-nobody-may-see/+=";

/// Time limits for a busy machine. A test of a timeout shortens only the part it is about, so that
/// no other can end first.
const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    answer: Duration::from_secs(20),
    upload_answer: Duration::from_secs(20),
    slowest_rate: 1_000_000,
};

fn client(server: &Server) -> Client {
    with(&server.url, PATIENT)
}

fn with(url: &str, timeouts: Timeouts) -> Client {
    Client::new(url.parse().unwrap(), Credential::api_key(KEY).unwrap(), timeouts).unwrap()
}

fn asset_id() -> AssetId {
    AssetId::new(5).unwrap()
}

fn create_request() -> CreateRequest {
    CreateRequest {
        asset_type: AssetType::Image,
        display_name: DisplayName::new("Größe").unwrap(),
        description: None,
        creator: "user:1".parse().unwrap(),
        expected_price: None,
        privacy: Privacy::Default,
    }
}

fn upload(content: &str) -> UploadBody {
    UploadBody {
        length: content.len() as u64,
        reader: Box::new(std::io::Cursor::new(content.to_owned())),
        file_name: "Größe \"1\".png".to_owned(),
        mime: "image/png",
    }
}

async fn recorded() -> Result<(), RecordError> {
    Ok(())
}

/// Returns every text that a failure can become.
fn shown(failure: &Failure) -> String {
    let mut text = format!("{failure}\n{failure:?}\n{failure:#?}");
    let mut source = failure.source();
    while let Some(error) = source {
        text.push_str(&format!("\n{error}\n{error:?}"));
        source = error.source();
    }
    text
}

fn say(status: u16, body: &str) -> Vec<ConnectionStep> {
    vec![ConnectionStep::Whole, ConnectionStep::Say(server::response(status, body))]
}
