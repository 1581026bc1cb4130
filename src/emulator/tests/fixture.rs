//! An emulator without sockets, on a clock that stands still.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};

use super::files::FilePartFixture;
use crate::emulator::connection::Connection;
use crate::emulator::{ClockKind, Config, Control, EndpointLimits, LatencyModel, Switches, assemble, service};

pub(super) const START: u64 = 1_700_000_000_000;

pub(super) struct EmulatorFixture {
    pub(super) control: Control,
}

#[derive(Clone, Debug)]
pub(super) struct TestResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl TestResponse {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// Returns the body of a response that must be 200.
    #[track_caller]
    pub(super) fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// Returns status and message of a refusal in any shape.
    pub(super) fn refusal(&self) -> (u16, String) {
        let body = serde_json::from_str(&self.text).unwrap_or(json!(self.text));
        let message = [&body["message"], &body["errors"][0]["message"], &body["title"], &body];
        (self.status, message.iter().find_map(|value| value.as_str()).unwrap_or_default().to_owned())
    }

    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

/// Makes a form as clients send it, with the file first or last.
pub(super) fn form(request: &str, file: Option<&FilePartFixture>) -> Vec<u8> {
    let mut body = format!("--B\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{request}\r\n").into_bytes();
    if let Some(FilePartFixture { name, mime, bytes }) = file {
        let head = format!(
            "--B\r\nContent-Disposition: form-data; name=\"fileContent\"; filename=\"{name}\"\r\nContent-Type: {mime}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--B--\r\n");
    body
}

pub(super) const FORM: &str = "multipart/form-data; boundary=B";

/// Makes the JSON of a create for user 1.
pub(super) fn new_asset(asset_type: &str, name: &str) -> Value {
    json!({ "assetType": asset_type, "displayName": name, "creationContext": { "creator": { "userId": "1" } } })
}

impl EmulatorFixture {
    /// Observed behaviour, no limits, and operations that take a second and are visible at once.
    pub(super) fn new() -> Self {
        EmulatorFixture::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            clock: ClockKind::Manual { start_ms: START },
            latency: LatencyModel::Fixed(1000),
            limits: EndpointLimits::none(),
            switches: vec![("operation_visible_after_ms".to_owned(), "0".to_owned())],
            ..Config::default()
        };
        change(&mut config);
        let mut switches = Switches::of(config.profile);
        for (name, value) in &config.switches {
            switches.set(name, value).unwrap();
        }
        EmulatorFixture { control: Control { shared: Arc::new(assemble(&config, switches, None, false)) } }
    }

    pub(super) fn set(&self, name: &str, value: &str) {
        self.control.set_switch(name, value).unwrap();
    }

    pub(super) fn pass(&self, ms: u64) {
        self.control.advance(Duration::from_millis(ms));
    }

    pub(super) fn send_as(
        &self,
        key: &str,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> TestResponse {
        let mut request = Request::builder().method(method).uri(path).header("content-type", content_type);
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        self.send_request(request.body(Body::from(body)).unwrap())
    }

    pub(super) fn send_request(&self, request: Request<Body>) -> TestResponse {
        let connection = Connection::new(1, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let response = service::respond(Arc::clone(&self.control.shared), connection, request).await;
            let (head, body) = response.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            TestResponse {
                status: head.status.as_u16(),
                headers: head.headers,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }
        })
    }

    pub(super) fn get(&self, path: &str) -> TestResponse {
        self.send_as("k", "GET", path, "", Vec::new())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.send_as("k", "POST", path, "application/json", body.to_string().into_bytes())
    }

    pub(super) fn create(&self, request: &Value, file: &FilePartFixture) -> TestResponse {
        self.send_as("k", "POST", "/assets/v1/assets", FORM, form(&request.to_string(), Some(file)))
    }

    pub(super) fn update(&self, id: u64, mask: &str, request: &Value, file: Option<&FilePartFixture>) -> TestResponse {
        let path = format!("/assets/v1/assets/{id}?updateMask={mask}");
        self.send_as("k", "PATCH", &path, FORM, form(&request.to_string(), file))
    }

    /// Polls the operation that a response names.
    #[track_caller]
    pub(super) fn poll(&self, response: &TestResponse) -> TestResponse {
        self.get(&format!("/assets/v1/{}", response.good()["path"].as_str().unwrap()))
    }

    /// Lets the operation of a response end, and returns its final state.
    #[track_caller]
    pub(super) fn finish(&self, response: &TestResponse) -> Value {
        self.pass(1000);
        let ended = self.poll(response).good();
        assert_eq!(ended["done"], true, "{ended}");
        ended
    }

    /// Creates an asset, waits for the operation, and returns the ID.
    #[track_caller]
    pub(super) fn made(&self, asset_type: &str, name: &str, file: &FilePartFixture) -> u64 {
        let ended = self.finish(&self.create(&new_asset(asset_type, name), file));
        id_of(&ended["response"])
    }

    /// Updates a model's content, waits for the operation, and returns its response.
    #[track_caller]
    pub(super) fn updated(&self, id: u64, file: &FilePartFixture) -> Value {
        self.finish(&self.update(id, "", &json!({ "assetId": id }), Some(file)))["response"].clone()
    }
}

/// Reads an asset ID, as string or number.
#[track_caller]
pub(super) fn id_of(asset: &Value) -> u64 {
    let id = &asset["assetId"];
    id.as_u64().or_else(|| id.as_str()?.parse().ok()).unwrap_or_else(|| panic!("no asset: {asset}"))
}
