//! The requests, to the byte, and when each part leaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncRead;

use super::server::response;
use super::*;
use crate::cloud::class::{Class, Refusal, Unsent};
use crate::cloud::wire::operation::{OperationState, Submitted};
use crate::cloud::wire::version::VersionList;
use crate::model::ids::{OperationId, Revision};
use crate::model::metadata::{Description, Field, SocialNetwork};

const PENDING: &str = r#"{"path":"operations/a-1","operationId":"a-1","done":false}"#;
const ASSET: &str = r#"{"path":"assets/5","assetId":"5","state":"Archived"}"#;
const VERSION: &str = r#"{"path":"assets/5/versions/2"}"#;

/// Returns the request's head in lower case, and its body with the boundary replaced by `B`.
fn parts(request: &str) -> (String, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let boundary = head.split_once("boundary=").map(|(_, rest)| rest.lines().next().unwrap());
    let body = boundary.map_or(body.to_owned(), |boundary| body.replace(boundary, "B"));
    let content_length = format!("content-length: {}", request.len() - head.len() - 4);
    if request.len() > head.len() + 4 {
        assert!(head.to_ascii_lowercase().contains(&content_length), "{head}");
    }
    (head.to_ascii_lowercase(), body)
}

#[tokio::test]
async fn a_create_is_sent_to_the_byte() {
    let server = Server::start(vec![say(200, PENDING)]).await;
    let reply = client(&server).create_asset(&create_request(), upload("pixels"), recorded()).await;
    let operation = OperationId::new("a-1").unwrap();
    assert_eq!(reply.result.unwrap(), Submitted::Operation(operation));
    let head = reply.head.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.limits.remaining, ["119, 69000", "118"]);
    assert_eq!(head.limits.limit, ["120, 120;w=60"]);
    assert_eq!(head.limits.reset, ["41, 12"]);
    let (head, body) = parts(&server.received(0));
    let lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines[0], "post /assets/v1/assets http/1.1");
    assert!(lines.contains(&format!("x-api-key: {KEY}").as_str()), "{head}");
    assert!(lines.contains(&"connection: close"), "{head}");
    assert!(lines.contains(&concat!("user-agent: macadam/", env!("CARGO_PKG_VERSION"))), "{head}");
    for absent in ["transfer-encoding", "accept-encoding", "expect", "cookie", "authorization"] {
        assert!(!lines.iter().any(|line| line.starts_with(absent)), "{head}");
    }
    assert_eq!(
        body,
        concat!(
            "--B\r\nContent-Disposition: form-data; name=\"request\"\r\nContent-Type: application/json\r\n\r\n",
            r#"{"assetType":"Image","displayName":"Größe","description":"","creationContext":{"creator":{"userId":"1"}}}"#,
            "\r\n--B\r\nContent-Disposition: form-data; name=\"fileContent\"; filename=\"Gr__e__1_.png\"\r\nContent-Type: image/png\r\n\r\n",
            "pixels\r\n--B--\r\n"
        )
    );
}

#[tokio::test]
async fn an_update_of_metadata_has_a_mask_and_no_file() {
    let server = Server::start(vec![say(200, "{}")]).await;
    let fields = vec![
        FieldUpdate::Description(Description::new("").unwrap()),
        FieldUpdate::SocialLink(SocialNetwork::Twitter, None),
    ];
    let request = UpdateRequest { asset_id: asset_id(), fields, content: None };
    assert!(matches!(client(&server).update_asset(request, recorded()).await.result, Ok(Submitted::Fields(_))));
    let (head, body) = parts(&server.received(0));
    assert!(
        head.starts_with("patch /assets/v1/assets/5?updatemask=description%2ctwittersociallink http/1.1\r\n"),
        "{head}"
    );
    assert_eq!(
        body,
        "--B\r\nContent-Disposition: form-data; name=\"request\"\r\nContent-Type: application/json\r\n\r\n{\"assetId\":\"5\",\"description\":\"\"}\r\n--B--\r\n"
    );
}

#[tokio::test]
async fn an_update_of_content_has_a_file_and_no_mask() {
    // Bare fields confirm metadata only, and leave the outcome of content open.
    let server = Server::start(vec![say(200, PENDING), say(200, "{}")]).await;
    let client = client(&server);
    let request = || UpdateRequest { asset_id: asset_id(), fields: Vec::new(), content: Some(upload("mesh")) };
    assert!(matches!(client.update_asset(request(), recorded()).await.result, Ok(Submitted::Operation(_))));
    let (head, body) = parts(&server.received(0));
    assert!(head.starts_with("patch /assets/v1/assets/5 http/1.1\r\n"), "{head}");
    assert!(body.ends_with("\r\n\r\nmesh\r\n--B--\r\n"), "{body}");
    assert_eq!(client.update_asset(request(), recorded()).await.result.unwrap_err().class, Class::InDoubt);
}

#[tokio::test]
async fn the_other_requests_are_sent_to_the_byte() {
    let responses = [ASSET, ASSET, VERSION, VERSION];
    let server = Server::start(responses.map(|body| say(200, body)).to_vec()).await;
    let client = client(&server);
    let two = Revision::new(2).unwrap();
    assert_eq!(client.archive_asset(asset_id(), recorded()).await.result.unwrap().archived, Some(true));
    client.restore_asset(asset_id(), recorded()).await.result.unwrap();
    let version = client.rollback(asset_id(), two, RollbackForm::Json, recorded()).await.result.unwrap();
    assert_eq!(version.revision, two);
    client.rollback(asset_id(), two, RollbackForm::Multipart, recorded()).await.result.unwrap();
    let wanted = [
        ("post /assets/v1/assets/5:archive ", ""),
        ("post /assets/v1/assets/5:restore ", ""),
        ("post /assets/v1/assets/5/versions:rollback ", r#"{"assetVersion":"assets/5/versions/2"}"#),
        (
            "post /assets/v1/assets/5/versions:rollback ",
            "--B\r\nContent-Disposition: form-data; name=\"assetVersion\"\r\n\r\nassets/5/versions/2\r\n--B--\r\n",
        ),
    ];
    for (connection, (line, body)) in wanted.into_iter().enumerate() {
        let (head, sent) = parts(&server.received(connection));
        assert!(head.starts_with(line), "{head}");
        assert!(head.contains("\r\nconnection: close") && head.contains("content-length: "), "{head}");
        assert_eq!(sent, body);
    }
    // A change never goes over a connection that was used before.
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn reads_share_a_connection() {
    let bodies = [
        ASSET,
        r#"{"icon":"assets/7"}"#,
        VERSION,
        PENDING,
        r#"{"assetVersions":[{"path":"assets/5/versions/2"}],"nextPageToken":"a b&c"}"#,
        r#"{"assetVersions":[{"path":"assets/5/versions/1"}]}"#,
    ];
    let server = Server::start(vec![bodies.into_iter().flat_map(|body| say(200, body)).collect()]).await;
    let client = client(&server);
    client.get_asset(asset_id(), &[]).await.result.unwrap();
    let fields = [Field::Icon, Field::Previews, Field::SocialLink(SocialNetwork::DevForum)];
    assert_eq!(client.get_asset(asset_id(), &fields).await.result.unwrap().extras.unwrap().icon, AssetId::new(7).ok());
    client.get_version(asset_id(), Revision::new(2).unwrap()).await.result.unwrap();
    let operation = OperationId::new("a-1").unwrap();
    assert_eq!(client.get_operation(&operation, None).await.result.unwrap(), OperationState::Pending);
    let mut list = VersionList::new(asset_id());
    while !list.is_complete() {
        client.list_versions(&mut list).await.result.unwrap();
    }
    assert_eq!(list.versions().iter().map(|version| version.revision.get()).collect::<Vec<_>>(), [2, 1]);
    let received = server.received(0);
    let lines: Vec<&str> = received.lines().filter(|line| line.starts_with("GET ")).collect();
    assert_eq!(
        lines,
        [
            "GET /assets/v1/assets/5 HTTP/1.1",
            "GET /assets/v1/assets/5?readMask=icon%2Cpreviews%2CdevForumSocialLink HTTP/1.1",
            "GET /assets/v1/assets/5/versions/2 HTTP/1.1",
            "GET /assets/v1/operations/a-1 HTTP/1.1",
            "GET /assets/v1/assets/5/versions?maxPageSize=50 HTTP/1.1",
            "GET /assets/v1/assets/5/versions?maxPageSize=50&pageToken=a+b%26c HTTP/1.1",
        ]
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn introspection_goes_to_the_same_remote() {
    let facts = format!(r#"{{"name":"ci {KEY}","authorizedUserId":1,"scopes":[],"enabled":true}}"#);
    let server = Server::start(vec![say(200, &facts)]).await;
    let facts = client(&server).introspect().await.unwrap().result.unwrap();
    assert_eq!(facts.name, None, "a name that holds the key");
    let (head, body) = parts(&server.received(0));
    assert!(head.starts_with("post /api-keys/v1/introspect "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(!head.contains("x-api-key"), "{head}");
    assert_eq!(body, format!(r#"{{"apiKey":"{KEY}"}}"#));
    let token = Credential::oauth("token").unwrap();
    let oauth = Client::new(server.url.parse().unwrap(), token, Timeouts::default()).unwrap();
    assert!(oauth.introspect().await.is_none());
}

#[tokio::test]
async fn a_token_goes_into_its_own_header() {
    let server = Server::start(vec![say(200, ASSET)]).await;
    let token = Credential::oauth("t0ken").unwrap();
    let client = Client::new(server.url.parse().unwrap(), token, Timeouts::default()).unwrap();
    client.get_asset(asset_id(), &[]).await.result.unwrap();
    let (head, _) = parts(&format!("{}\r\n\r\n", server.received(0).trim_end()));
    assert!(head.contains("authorization: bearer t0ken") && !head.contains("x-api-key"), "{head}");
}

#[tokio::test]
async fn the_tail_leaves_after_the_record_and_all_else_before() {
    let two = Revision::new(2).unwrap();
    for case in ["create", "metadata", "rollback"] {
        let server = Server::start(vec![say(200, if case == "rollback" { VERSION } else { PENDING })]).await;
        let client = client(&server);
        let ran = AtomicBool::new(false);
        let tail = if case == "rollback" { "}" } else { "--\r\n" };
        let record = async {
            // Everything but the tail arrives before the record runs, and nothing more until it is
            // done.
            let waits = if case == "rollback" { "versions/2\"" } else { "\r\n\r\n" };
            server
                .until(0, |received| received.split_once("\r\n\r\n").is_some_and(|(_, body)| body.contains(waits)))
                .await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(!server.received(0).ends_with(tail), "{}", server.received(0));
            ran.store(true, Ordering::SeqCst);
            Ok(())
        };
        let settled = match case {
            "create" => client.create_asset(&create_request(), upload("pixels"), record).await.result.is_ok(),
            "metadata" => {
                let fields = vec![FieldUpdate::Icon(None)];
                let request = UpdateRequest { asset_id: asset_id(), fields, content: None };
                client.update_asset(request, record).await.result.is_ok()
            }
            _ => client.rollback(asset_id(), two, RollbackForm::Json, record).await.result.is_ok(),
        };
        assert!(settled && ran.load(Ordering::SeqCst), "{case}");
        assert!(server.received(0).ends_with(tail), "{case}");
    }
}

#[tokio::test]
async fn a_change_that_could_not_be_recorded_is_never_completed() {
    let server = Server::start(vec![vec![ConnectionStep::Drain], vec![ConnectionStep::Drain]]).await;
    let client = client(&server);
    let full = || async { Err(RecordError::from("disk full")) };
    let failure = client.create_asset(&create_request(), upload("pixels"), full()).await.result.unwrap_err();
    assert_eq!(failure.class, Class::NeverSent(Unsent::Record));
    assert!(shown(&failure).contains("disk full"));
    let received = server.until(0, |received| received.contains("pixels")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!received.ends_with("--\r\n") && !server.received(0).ends_with("--\r\n"));
    // A change without a body does not even connect.
    let failure = client.archive_asset(asset_id(), full()).await.result.unwrap_err();
    assert_eq!(failure.class, Class::NeverSent(Unsent::Record));
    assert_eq!(server.connections(), 1);
}

/// Yields some bytes, then an error.
struct Changed(Option<Vec<u8>>);

impl AsyncRead for Changed {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(match self.0.take() {
            Some(bytes) => {
                buffer.put_slice(&bytes);
                Ok(())
            }
            None => Err(io::Error::other("the file changed while it was read")),
        })
    }
}

#[tokio::test]
async fn a_content_that_changed_is_never_completed() {
    let whole = || UploadBody { reader: Box::new(Changed(Some(b"pixels".to_vec()))), ..upload("pixels") };
    let check = async |upload: UploadBody, words: &str| {
        let server = Server::start(vec![vec![ConnectionStep::Drain]]).await;
        let ran = AtomicBool::new(false);
        let record = async {
            ran.store(true, Ordering::SeqCst);
            Ok(())
        };
        let failure = client(&server).create_asset(&create_request(), upload, record).await.result.unwrap_err();
        assert_eq!(failure.class, Class::NeverSent(Unsent::Content), "{words}");
        assert!(shown(&failure).contains(words), "{}", shown(&failure));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!server.received(0).ends_with("--\r\n"), "{words}");
        assert!(!ran.load(Ordering::SeqCst), "{words}");
    };
    // A wrong hash shows only at the end, after all announced bytes.
    check(whole(), "the file changed while it was read").await;
    check(UploadBody { length: 7, ..upload("pixels") }, "has 6 bytes instead of 7").await;
    check(UploadBody { length: 5, ..upload("pixels") }, "has 6 bytes instead of 5").await;
}

#[tokio::test]
async fn a_dropped_exchange_is_never_completed() {
    let server = Server::start(vec![vec![ConnectionStep::Drain]]).await;
    let client = Arc::new(client(&server));
    let sending = Arc::clone(&client);
    let task = tokio::spawn(async move {
        sending.create_asset(&create_request(), upload("pixels"), std::future::pending()).await.result.is_ok()
    });
    server.until(0, |received| received.ends_with("pixels")).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(server.received(0).ends_with("pixels"));
}

#[tokio::test]
async fn a_response_before_the_whole_body_is_trusted() {
    // More than the buffers on the way hold, so that the client is still sending.
    let content = "x".repeat(16_000_000);
    let ran = AtomicBool::new(false);
    for (status, class) in [
        (401, Class::Refused(Refusal::KeyRefused)),
        (413, Class::Refused(Refusal::TooLarge)),
        (500, Class::NeverSent(Unsent::Connection)),
    ] {
        let say = response(status, r#"{"errors":[{"code":0,"message":"no"}]}"#);
        let server =
            Server::start(vec![vec![ConnectionStep::Head, ConnectionStep::Say(say), ConnectionStep::Hang]]).await;
        let record = async {
            ran.store(true, Ordering::SeqCst);
            Ok(())
        };
        let reply = client(&server).create_asset(&create_request(), upload(&content), record).await;
        assert_eq!(reply.head.map(|head| head.status), Some(status));
        assert_eq!(reply.result.unwrap_err().class, class);
        assert!(!ran.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn success_for_half_a_request_is_recorded_before_it_is_trusted() {
    let content = "x".repeat(16_000_000);
    let server = Server::start(vec![vec![
        ConnectionStep::Head,
        ConnectionStep::Say(response(200, PENDING)),
        ConnectionStep::Hang,
    ]])
    .await;
    let ran = AtomicBool::new(false);
    let record = async {
        ran.store(true, Ordering::SeqCst);
        Ok(())
    };
    let reply = client(&server).create_asset(&create_request(), upload(&content), record).await;
    assert!(matches!(reply.result, Ok(Submitted::Operation(_))));
    assert!(ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_exchange_that_ends_during_the_record_ends_without_the_tail() {
    let say = response(500, r#"{"code":"INTERNAL","message":"x"}"#);
    for script in [
        vec![ConnectionStep::Head, ConnectionStep::Say(say), ConnectionStep::Drain],
        vec![ConnectionStep::Head, ConnectionStep::Reset],
        vec![ConnectionStep::Head],
    ] {
        let server = Server::start(vec![script.clone()]).await;
        let slow = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(())
        };
        let failure = client(&server).create_asset(&create_request(), upload("pixels"), slow).await.result.unwrap_err();
        assert_eq!(failure.class, Class::NeverSent(Unsent::Connection), "{script:?}: {}", shown(&failure));
        assert!(!server.received(0).ends_with("--\r\n"), "{script:?}");
    }
}
