//! The class of every kind of ending.

use super::*;
use crate::cloud::class::{Class, Later, Refusal, Unsent};
use crate::cloud::wire::operation::{OperationFailure, OperationState, Submitted};
use crate::cloud::wire::version::VersionList;
use crate::model::ids::OperationId;

/// Time limits that are short for the response, but patient with everything before it.
const HASTY: Timeouts =
    Timeouts { answer: Duration::from_millis(300), upload_answer: Duration::from_millis(300), ..PATIENT };

async fn create_class(script: Vec<ConnectionStep>) -> (Class, String) {
    created(PATIENT, script).await
}

async fn created(timeouts: Timeouts, script: Vec<ConnectionStep>) -> (Class, String) {
    let server = Server::start(vec![script]).await;
    let client = with(&server.url, timeouts);
    let failure = client.create_asset(&create_request(), upload("pixels"), recorded()).await.result.unwrap_err();
    (failure.class, shown(&failure))
}

async fn read_class(script: Vec<ConnectionStep>) -> (Class, String) {
    asked(PATIENT, script).await
}

async fn asked(timeouts: Timeouts, script: Vec<ConnectionStep>) -> (Class, String) {
    let server = Server::start(vec![script]).await;
    let failure = with(&server.url, timeouts).get_asset(asset_id(), &[]).await.result.unwrap_err();
    (failure.class, shown(&failure))
}

#[tokio::test]
async fn every_way_to_break_after_the_hand_over_leaves_a_change_in_doubt() {
    let html = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
    let cut = "HTTP/1.1 400 Bad\r\ncontent-length: 900\r\n\r\n{\"code\":\"INVALID_ARGUMENT\",\"message\":\"x\"}";
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n{}", " ".repeat(2_000_000));
    let dripping = format!("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{}", " ".repeat(500));
    let cases = [
        ("closed", vec![ConnectionStep::Whole]),
        ("reset", vec![ConnectionStep::Whole, ConnectionStep::Reset]),
        ("silent", vec![ConnectionStep::Whole, ConnectionStep::Hang]),
        ("no HTTP", vec![ConnectionStep::Whole, ConnectionStep::Say("SSH-2.0-OpenSSH\r\n\r\n".to_owned())]),
        ("half a head", vec![ConnectionStep::Whole, ConnectionStep::Say("HTTP/1.1 200 OK\r\ncontent-le".to_owned())]),
        ("half a refusal", vec![ConnectionStep::Whole, ConnectionStep::Say(cut.to_owned())]),
        (
            "half a refusal, then silence",
            vec![ConnectionStep::Whole, ConnectionStep::Say(cut.to_owned()), ConnectionStep::Hang],
        ),
        ("a slow loris", vec![ConnectionStep::Whole, ConnectionStep::Drip(dripping)]),
        ("an endless body", vec![ConnectionStep::Whole, ConnectionStep::Say(huge)]),
        ("an error page", vec![ConnectionStep::Whole, ConnectionStep::Say(html.to_owned())]),
        ("garbled success", say(200, r#"{"path":"operations/a-1","done":fal"#)),
        ("empty success", say(200, "")),
        ("no content", vec![ConnectionStep::Whole, ConnectionStep::Say("HTTP/1.1 204 No Content\r\n\r\n".to_owned())]),
        ("a page as success", say(200, "<html>sign in</html>")),
        ("an error as success", say(200, r#"{"errors":[{"code":0,"message":""}]}"#)),
        ("a failure inside", say(500, r#"{"code":"INTERNAL","message":"x"}"#)),
        ("a gateway's timeout", say(504, r#"{"errors":[{"code":0,"message":""}]}"#)),
        ("a redirect", say(307, "{}")),
    ];
    for (name, script) in cases {
        let slow = matches!(script.last(), Some(ConnectionStep::Hang | ConnectionStep::Drip(_)));
        let timeouts = if slow { HASTY } else { PATIENT };
        let (class, shown) = created(timeouts, script.clone()).await;
        assert_eq!(class, Class::InDoubt, "{name}: {shown}");
        assert_eq!(shown.contains("nothing came of"), slow, "{name}: {shown}");
        // The limit of a read starts before its connection. Whichever limit ends it, the class is
        // the same.
        let connect = if slow { HASTY.answer } else { PATIENT.connect };
        let (class, shown) = asked(Timeouts { connect, ..timeouts }, script).await;
        assert_eq!(class, Class::CouldNotAsk, "{name}: {shown}");
    }
}

#[tokio::test]
async fn a_change_that_breaks_before_the_hand_over_was_never_sent() {
    // Nothing listens: the port was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = with(&format!("http://{free}"), PATIENT);
    let never = async { panic!("nothing was handed over") };
    let failure = client.create_asset(&create_request(), upload("pixels"), never).await.result.unwrap_err();
    assert_eq!(failure.class, Class::NeverSent(Unsent::Connection));
    assert!(failure.class.is_outage());
    assert!(shown(&failure).contains(&format!("no connection to http://{free}")), "{}", shown(&failure));
    // Without a body the record comes first. A missing connection still proves that nothing left.
    let failure = client.archive_asset(asset_id(), recorded()).await.result.unwrap_err();
    assert_eq!(failure.class, Class::NeverSent(Unsent::Connection));
    assert_eq!(client.get_asset(asset_id(), &[]).await.result.unwrap_err().class, Class::CouldNotAsk);

    // The listener doesn't speak TLS, so that no byte of the request can have left.
    let plain = Server::start(vec![vec![ConnectionStep::Say("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned())]; 3]).await;
    let client = with(&plain.url.replace("http://", "https://"), PATIENT);
    let failure = client.archive_asset(asset_id(), recorded()).await.result.unwrap_err();
    assert_eq!(failure.class, Class::NeverSent(Unsent::Connection), "{}", shown(&failure));

    // The content is larger than the buffers on the way, so the end can't have left.
    let content = "x".repeat(16_000_000);
    for script in [
        vec![ConnectionStep::Reset],
        vec![ConnectionStep::Head, ConnectionStep::Reset],
        vec![ConnectionStep::Head],
        vec![ConnectionStep::Hang],
    ] {
        let server = Server::start(vec![script.clone()]).await;
        let never = async { panic!("nothing was handed over") };
        let stalls = matches!(script.last(), Some(ConnectionStep::Hang));
        let idle = if stalls { Duration::from_millis(300) } else { PATIENT.idle };
        let client = with(&server.url, Timeouts { idle, ..PATIENT });
        let reply = client.create_asset(&create_request(), upload(&content), never).await;
        let failure = reply.result.unwrap_err();
        assert_eq!(failure.class, Class::NeverSent(Unsent::Connection), "{script:?}: {}", shown(&failure));
    }
}

#[tokio::test]
async fn a_well_formed_refusal_is_definite() {
    let check = async |status: u16, body: &str, wanted: Class, words: &str| {
        let (class, shown) = create_class(say(status, body)).await;
        assert_eq!(class, wanted, "{shown}");
        assert!(shown.starts_with(words), "{shown}");
    };
    check(
        400,
        r#"{"code":"INVALID_ARGUMENT","message":"AssetName is moderated."}"#,
        Class::Refused(Refusal::NameModerated),
        "could not create Image `Größe`: Roblox answered 400 INVALID_ARGUMENT: AssetName is moderated\n",
    )
    .await;
    check(
        429,
        r#"{"errors":[{"code":0,"message":""}]}"#,
        Class::TryLater(Later::RateLimited),
        "could not create Image `Größe`: Roblox answered 429\n",
    )
    .await;
    check(
        503,
        r#"{"code":"UNAVAILABLE","message":"x"}"#,
        Class::TryLater(Later::Unavailable),
        "could not create Image `Größe`: Roblox answered 503 UNAVAILABLE: x\n",
    )
    .await;
    check(
        200,
        r#"{"path":"operations/a","done":true,"error":{"code":"ContentModerated","message":"no"}}"#,
        Class::Refused(Refusal::ContentModerated),
        "could not create Image `Größe`: Roblox answered 200 ContentModerated: no\n",
    )
    .await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(vec![say(200, "{}")]).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = format!("HTTP/1.1 {status} Moved\r\nlocation: {}/x\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
        let (class, _) = read_class(vec![ConnectionStep::Whole, ConnectionStep::Say(redirect.clone())]).await;
        assert_eq!(class, Class::CouldNotAsk);
        let (class, _) = create_class(vec![ConnectionStep::Whole, ConnectionStep::Say(redirect)]).await;
        assert_eq!(class, Class::InDoubt);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_echoed_key_is_never_shown() {
    let quoted = KEY.replace('/', "\\/");
    let bodies = [
        format!(r#"{{"errors":[{{"code":"{KEY}","message":"bad key {KEY}"}}]}}"#),
        format!(r#"{{"code":"X {KEY}","message":"{quoted}"}}"#),
        format!(r#"{{"title":"{KEY}","status":401,"errors":{{"{KEY}":["{KEY}"]}}}}"#),
        format!(r#""{KEY}""#),
        format!("your key {KEY} is bad"),
        format!("<html>{KEY}</html>"),
        KEY[..20].to_owned(),
        format!(r#"{{"done":true,"error":{{"code":"{KEY}","message":"{KEY}"}}}}"#),
    ];
    for body in bodies {
        for status in [200, 401, 500] {
            for shown in [create_class(say(status, &body)).await.1, read_class_or_nothing(status, &body).await] {
                assert!(!shown.contains("nobody-may"), "{status} {body}: {shown}");
            }
        }
    }
    let server = Server::start(Vec::new()).await;
    assert!(!format!("{:?}", client(&server)).contains("nobody-may"));
    // A header that reflects the key, and a response that is not HTTP.
    let reflected = format!("HTTP/1.1 302 {KEY}\r\nlocation: http://x/{KEY}\r\ncontent-length: 0\r\n\r\n");
    for script in [
        vec![ConnectionStep::Whole, ConnectionStep::Say(reflected)],
        vec![ConnectionStep::Whole, ConnectionStep::Say(format!("{KEY}\r\n\r\n"))],
    ] {
        assert!(!read_class(script.clone()).await.1.contains("nobody-may"));
        assert!(!create_class(script).await.1.contains("nobody-may"));
    }
}

async fn read_class_or_nothing(status: u16, body: &str) -> String {
    let server = Server::start(vec![say(status, body)]).await;
    match client(&server).get_operation(&OperationId::new("a").unwrap(), None).await.result {
        Ok(state) => format!("{state:?}"),
        Err(failure) => shown(&failure),
    }
}

#[tokio::test]
async fn an_unknown_operation_is_distinguished_from_a_failed_read() {
    let check = async |status: u16, body: &str, wanted: Result<OperationState, Class>| {
        let server = Server::start(vec![say(status, body)]).await;
        let reply = client(&server).get_operation(&OperationId::new("a").unwrap(), None).await;
        assert_eq!(reply.result.map_err(|failure| failure.class), wanted, "{status} {body}");
    };
    let envelope = r#"{"errors":[{"code":0,"message":""}]}"#;
    for status in [200, 400, 404] {
        check(status, envelope, Ok(OperationState::NotVisible)).await;
    }
    check(404, r#"{"code":"NOT_FOUND","message":"gone"}"#, Ok(OperationState::Unknown)).await;
    check(404, r#"{"error":"NOT_FOUND","message":"gone"}"#, Ok(OperationState::Unknown)).await;
    check(400, r#"{"code":"INVALID_ARGUMENT","message":"gone"}"#, Ok(OperationState::Unknown)).await;
    // What gateways and proxies say of a route that they don't have.
    for other in [
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"code":404,"message":"The current request is not defined by this API."}"#,
        r#"{"code":5,"message":"Not Found","details":[]}"#,
        r#"{"type":"t","title":"Not Found","status":404}"#,
        r#""not found""#,
    ] {
        check(404, other, Ok(OperationState::NotVisible)).await;
    }
    check(404, "not found", Err(Class::Refused(Refusal::NoRoute))).await;
    check(404, "<html>", Err(Class::CouldNotAsk)).await;
    check(401, envelope, Err(Class::Refused(Refusal::KeyRefused))).await;
    check(429, envelope, Err(Class::TryLater(Later::RateLimited))).await;
    check(500, envelope, Err(Class::CouldNotAsk)).await;
    check(200, "", Err(Class::CouldNotAsk)).await;
    let failed = OperationFailure { code: Some("3".to_owned()), message: "[redacted]".to_owned() };
    let body = format!(r#"{{"path":"operations/a","done":true,"error":{{"code":3,"message":"{KEY}"}}}}"#);
    check(200, &body, Ok(OperationState::Failed(failed))).await;
}

#[tokio::test]
async fn circular_version_pages_end_with_a_reason() {
    let page = r#"{"assetVersions":[{"path":"assets/5/versions/2"}],"nextPageToken":"same"}"#;
    let server = Server::start(vec![[say(200, page), say(200, page)].concat()]).await;
    let client = client(&server);
    let mut list = VersionList::new(asset_id());
    client.list_versions(&mut list).await.result.unwrap();
    let failure = client.list_versions(&mut list).await.result.unwrap_err();
    assert_eq!(failure.class, Class::CouldNotAsk);
    assert!(failure.to_string().ends_with("the pages of the list lead in a circle or never end"), "{failure}");
    assert!(!list.is_complete());
}

#[tokio::test]
async fn a_missing_asset_is_distinguished_from_a_missing_service() {
    let (class, _) = read_class(say(404, r#"{"code":"NOT_FOUND","message":"AssetId 5 is not found"}"#)).await;
    assert_eq!(class, Class::Refused(Refusal::NotFound));
    for nobody in [r#"{"errors":[{"code":0,"message":"NotFound"}]}"#, "404 page not found"] {
        assert_eq!(read_class(say(404, nobody)).await.0, Class::Refused(Refusal::NoRoute));
    }
    assert_eq!(read_class(say(404, "<html>")).await.0, Class::CouldNotAsk);
}

#[tokio::test]
async fn an_early_refusal_over_a_broken_connection_is_not_in_doubt() {
    // The remote closes with bytes unread. That causes a reset, which may overtake the response.
    let content = "x".repeat(16_000_000);
    let early = vec![
        ConnectionStep::Head,
        ConnectionStep::Say(server::response(413, r#"{"errors":[{"code":0,"message":"too large"}]}"#)),
    ];
    let server = Server::start(vec![early]).await;
    let never = async { panic!("nothing was handed over") };
    let failure = client(&server).create_asset(&create_request(), upload(&content), never).await.result.unwrap_err();
    let wanted = [Class::Refused(Refusal::TooLarge), Class::NeverSent(Unsent::Connection)];
    assert!(wanted.contains(&failure.class), "{}", shown(&failure));
}

#[tokio::test]
async fn localhost_is_this_machine() {
    let server = Server::start(vec![say(200, r#"{"assetId":"5"}"#)]).await;
    let client = with(&server.url.replace("127.0.0.1", "localhost"), PATIENT);
    assert_eq!(client.get_asset(asset_id(), &[]).await.result.unwrap().asset_id, asset_id());
}

#[tokio::test]
async fn a_chunked_response_is_read() {
    let body = "{\"operationId\":\"a-1\"}";
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &body[..5],
        body.len() - 5,
        &body[5..]
    );
    let server = Server::start(vec![vec![ConnectionStep::Whole, ConnectionStep::Say(chunked)]]).await;
    let reply = client(&server).create_asset(&create_request(), upload("pixels"), recorded()).await;
    assert!(matches!(reply.result, Ok(Submitted::Operation(_))));
}
